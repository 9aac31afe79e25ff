"""Fully connected layers, alone and with ReLU and dropout behind them."""

from fastcnn import _core
from fastcnn.backends.arrays import Array, addressable, checked, plain, same_shape
from fastcnn.backends.cpu.convolution import bias_of
from fastcnn.backends.cpu.pointwise import dropout_key, dropout_rate
from fastcnn.errors import ConfigError, ShapeError


def _input_and_weight(who: str, x: Array, weight: Array) -> tuple[Array, Array]:
    """Both as the kernels take them, if they fit each other."""
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ShapeError(f"{who}: expected x (N, I) and weight (O, I), got {x.shape} and {weight.shape}")
    addressable(who, (len(x), len(weight)))
    return plain(x), plain(weight)


def _output(who: str, name: str, array: Array, x: Array, weight: Array) -> Array:
    """`array` as the kernels take it, if it has the shape of the output."""
    array = checked(who, name, array, x.dtype)
    same_shape(who, name, array, (len(x), len(weight)), "x {} and weight {}", x.shape, weight.shape)
    return plain(array)


def _place(who: str, out: Array | None, **inputs: Array) -> Array | None:
    """`out`, if the kernels can write the gradient of the weight there while they read the inputs."""
    if out is None:
        return None
    weight = inputs["weight"]
    out = checked(who, "out", out, weight.dtype)
    same_shape(who, "out", out, weight.shape, "weight {}", weight.shape)
    if plain(out) is not out or not out.flags.writeable:
        raise ConfigError(f"{who}: out must be C-contiguous, aligned and writeable; leave it out for a new array")
    for name, array in inputs.items():
        if _core.overlap(out, array):
            raise ConfigError(f"{who}: out overlaps {name}, which is still read; pass another array, or none")
    return out


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    x, weight = _input_and_weight("linear", x, weight)
    return _core.linear(x, weight, bias_of("linear", bias, weight), False, 0.0, 0, 0)


def linear_backward(
    dy: Array, x: Array, weight: Array, input_gradient: bool = True, out: Array | None = None
) -> tuple[Array | None, Array, Array]:
    who = "linear_backward"
    x, weight = _input_and_weight(who, x, weight)
    dy = _output(who, "dy", dy, x, weight)
    out = _place(who, out, dy=dy, x=x, weight=weight)
    return _core.linear_backward(dy, None, x, weight, 0.0, input_gradient, out)


def linear_relu_dropout(
    x: Array, weight: Array, bias: Array | None = None, p: float = 0.0, seed: int = 0, offset: int = 0
) -> Array:
    who = "linear_relu_dropout"
    x, weight = _input_and_weight(who, x, weight)
    return _core.linear(
        x, weight, bias_of(who, bias, weight), True, dropout_rate(who, p), *dropout_key(who, seed, offset)
    )


def linear_relu_dropout_backward(
    dy: Array,
    y: Array,
    x: Array,
    weight: Array,
    p: float = 0.0,
    input_gradient: bool = True,
    out: Array | None = None,
) -> tuple[Array | None, Array, Array]:
    who = "linear_relu_dropout_backward"
    x, weight = _input_and_weight(who, x, weight)
    dy, y = _output(who, "dy", dy, x, weight), _output(who, "y", y, x, weight)
    out = _place(who, out, dy=dy, y=y, x=x, weight=weight)
    return _core.linear_backward(dy, y, x, weight, dropout_rate(who, p), input_gradient, out)
