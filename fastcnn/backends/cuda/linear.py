"""Fully connected layers, alone and with ReLU and dropout behind them."""

from fastcnn.backends.arrays import same_shape
from fastcnn.backends.cpu.pointwise import dropout_key, dropout_rate
from fastcnn.backends.cuda.arguments import checked, launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty
from fastcnn.backends.cuda.convolution import bias_of, matmul
from fastcnn.backends.cuda.kernels import elements
from fastcnn.backends.cuda.kernels import linear as kernels
from fastcnn.backends.cuda.pointwise import dropout_draw
from fastcnn.backends.cuda.products import product, sum_rows
from fastcnn.errors import ConfigError, ShapeError


def _input_and_weight(who: str, x: DeviceArray, weight: DeviceArray) -> None:
    """Check that both fit each other."""
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ShapeError(f"{who}: expected x (N, I) and weight (O, I), got {x.shape} and {weight.shape}")


def _output(who: str, name: str, array: DeviceArray, x: DeviceArray, weight: DeviceArray) -> None:
    """Check that `array` has the shape of the output."""
    array = checked(who, name, array, x.dtype)
    same_shape(who, name, array, (len(x), len(weight)), f"x {x.shape} and weight {weight.shape}")


def _forward(
    x: DeviceArray, weight: DeviceArray, bias: DeviceArray | None, relu: bool, p: float, seed: int, offset: int
) -> DeviceArray:
    y = empty((len(x), len(weight)), x.dtype)
    if p == 1:
        launch_each(elements.fill(real_of(y)), y.size, y, 0.0)
        return y
    parts, count = product(x, weight, transpose_b=True)
    made = kernels.linear_end(real_of(x), bias is not None, relu)
    launch_each(made, y.size, parts, y if bias is None else bias, y, count, len(weight), *dropout_draw(p, seed, offset))
    return y


def _backward(
    g: DeviceArray, x: DeviceArray, weight: DeviceArray, input_gradient: bool, out: DeviceArray | None
) -> tuple[DeviceArray | None, DeviceArray, DeviceArray]:
    dx = matmul(g, weight) if input_gradient else None
    parts, count = product(g, x, transpose_a=True, out=out)
    dweight = parts if parts is out else sum_rows(parts.reshape(count, weight.size), out)
    return dx, dweight.reshape(weight.shape) if out is None else out, sum_rows(g)


def _place(who: str, out: DeviceArray | None, **inputs: DeviceArray) -> None:
    """Check that the gradient of the weight fits `out`, if that is given, and overwrites no input."""
    if out is None:
        return
    weight = inputs["weight"]
    same_shape(who, "out", checked(who, "out", out, weight.dtype), weight.shape, f"weight {weight.shape}")
    for name, array in inputs.items():
        if out.overlaps(array):
            raise ConfigError(f"{who}: out overlaps {name}, which is still read; pass another array, or none")


def linear(x: DeviceArray, weight: DeviceArray, bias: DeviceArray | None = None) -> DeviceArray:
    _input_and_weight("linear", x, weight)
    bias = bias_of("linear", bias, weight)
    return _forward(x, weight, bias, False, 0, 0, 0)


def linear_backward(
    dy: DeviceArray, x: DeviceArray, weight: DeviceArray, input_gradient: bool = True, out: DeviceArray | None = None
) -> tuple[DeviceArray | None, DeviceArray, DeviceArray]:
    who = "linear_backward"
    _input_and_weight(who, x, weight)
    _output(who, "dy", dy, x, weight)
    _place(who, out, dy=dy, x=x, weight=weight)
    return _backward(dy, x, weight, input_gradient, out)


def linear_relu_dropout(
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None = None,
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> DeviceArray:
    who = "linear_relu_dropout"
    _input_and_weight(who, x, weight)
    bias = bias_of(who, bias, weight)
    return _forward(x, weight, bias, True, dropout_rate(who, p), *dropout_key(who, seed, offset))


def linear_relu_dropout_backward(
    dy: DeviceArray,
    y: DeviceArray,
    x: DeviceArray,
    weight: DeviceArray,
    p: float = 0.0,
    input_gradient: bool = True,
    out: DeviceArray | None = None,
) -> tuple[DeviceArray | None, DeviceArray, DeviceArray]:
    who = "linear_relu_dropout_backward"
    _input_and_weight(who, x, weight)
    _output(who, "dy", dy, x, weight)
    _output(who, "y", y, x, weight)
    _place(who, out, dy=dy, y=y, x=x, weight=weight)
    p = dropout_rate(who, p)
    g = empty(dy.shape, dy.dtype)
    launch_each(kernels.linear_end_backward(real_of(dy)), dy.size, dy, y, 1 / (1 - p) if p < 1 else 0, g)
    return _backward(g, x, weight, input_gradient, out)
