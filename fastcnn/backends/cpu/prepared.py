"""Kernels with all that they need but x, for many calls with one input shape: checks are done, weights packed, once.

Each function returns one that takes x, C-contiguous, of the weight's dtype and the shape that was said, and trusts it.
The weights may be packed at the first call: they must not change afterwards. One call at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fastcnn import _core
from fastcnn.backends.arrays import Array, plain
from fastcnn.backends.cpu.convolution import algorithm_number
from fastcnn.backends.cpu.fused import one_pass
from fastcnn.backends.shapes import Size, conv_shape, pool_shape

Call = Callable[[Array], Array]
Packs = list[_core.Packed]

_packs: ContextVar[Packs] = ContextVar("packs")


@contextmanager
def packs_of() -> Iterator[Packs]:
    """A list that collects where the functions that are made in the block keep their weights packed."""
    packs: Packs = []
    token = _packs.set(packs)
    try:
        yield packs
    finally:
        _packs.reset(token)


def _pack() -> _core.Packed:
    packed = _core.Packed()
    _packs.get([]).append(packed)
    return packed


def conv2d(
    input_shape: tuple[int, ...],
    weight: Array,
    bias: Array | None,
    stride: Size,
    padding: Size,
    dilation: Size,
    algorithm: str,
) -> Call:
    shape = conv_shape(input_shape, weight.shape, stride, padding, dilation)
    number, packed = algorithm_number("conv2d", algorithm, shape), _pack()
    weight, bias = plain(weight), None if bias is None else plain(bias)
    return lambda x: _core.conv2d(shape, number, x, weight, bias, packed)


def conv2d_relu_pool2d(
    average: bool,
    input_shape: tuple[int, ...],
    weight: Array,
    bias: Array | None,
    stride: Size,
    padding: Size,
    dilation: Size,
    pool_size: Size,
    algorithm: str,
) -> Call:
    who = "conv2d_relu_avg_pool2d" if average else "conv2d_relu_max_pool2d"
    shape = conv_shape(input_shape, weight.shape, stride, padding, dilation, who)
    pooling = pool_shape(shape.output, pool_size, None, 0, who)
    number, packed = algorithm_number(who, algorithm, shape), _pack()
    weight, bias = plain(weight), None if bias is None else plain(bias)
    pool = one_pass(shape, pool_size, algorithm, "avg" if average else "max")
    if pool is not None:
        how = (shape, pooling, pool, average, number)
        return lambda x: _core.conv_pool(*how, x, weight, bias, 0.0, 0, 0, False, packed)[0]

    def in_three(x: Array) -> Array:
        activated = _core.relu(_core.conv2d(shape, number, x, weight, bias, packed))
        return _core.avg_pool2d(pooling, activated, True) if average else _core.max_pool2d(pooling, activated)[0]

    return in_three


def linear(weight: Array, bias: Array | None, relu: bool) -> Call:
    """`weight` should begin where a vector may: most of the time goes into reading it."""
    weight, bias = plain(weight), None if bias is None else plain(bias)
    return lambda x: _core.linear(x, weight, bias, relu, 0.0, 0, 0)


def max_pool2d(input_shape: tuple[int, ...], kernel_size: Size, stride: Size, padding: Size) -> Call:
    shape = pool_shape(input_shape, kernel_size, stride, padding)
    return lambda x: _core.max_pool2d(shape, x)[0]


def avg_pool2d(
    input_shape: tuple[int, ...], kernel_size: Size, stride: Size, padding: Size, count_include_pad: bool
) -> Call:
    shape = pool_shape(input_shape, kernel_size, stride, padding, "avg_pool2d", argmax=False)
    return lambda x: _core.avg_pool2d(shape, x, count_include_pad)
