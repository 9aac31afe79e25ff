"""Sizes and their errors: what every backend asks before it computes.

The arithmetic is csrc/shape.c's; this module turns its verdict into one line that says who, what was expected, what
came, and what to do. A shape that was accepted once is remembered, so a training step checks nothing twice.
"""

from functools import lru_cache

from fastcnn import _core
from fastcnn._core import dims as dims
from fastcnn._core import pair as pair
from fastcnn.errors import ShapeError

Pair = tuple[int, int]
Size = int | tuple[int, int] | list[int]


def by(sizes: tuple[int, ...]) -> str:
    """Sizes as people write them: 3x3."""
    return "x".join(map(str, sizes))


def conv_shape(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size,
    padding: Size,
    dilation: Size,
    who: object = "conv2d",
) -> _core.ConvShape:
    """The checked sizes of a convolution.

    Raises:
        ShapeError: naming the size that is wrong.
    """
    input_shape = dims(input_shape, 4, "input", "(N, C, H, W)", who)
    weight_shape = dims(weight_shape, 4, "weight", "(O, C, KH, KW)", who)
    geometry = (pair(stride, "stride", who), pair(padding, "padding", who), pair(dilation, "dilation", who))
    return _conv_shape(input_shape, weight_shape, *geometry, str(who))


@lru_cache(maxsize=4096)
def _conv_shape(
    input_shape: tuple[int, ...], weight_shape: tuple[int, ...], stride: Pair, padding: Pair, dilation: Pair, who: str
) -> _core.ConvShape:
    kernel = by(weight_shape[2:])
    if input_shape[1] != weight_shape[1]:
        raise ShapeError(
            f"{who}: expected input (N, {weight_shape[1]}, H, W) for a weight of {weight_shape[1]} input channels, "
            f"got {input_shape}"
        )
    try:
        shape = _core.ConvShape(input_shape, weight_shape, stride, padding, dilation)
    except OverflowError:
        raise ShapeError(f"{who}: a size of {input_shape} * {weight_shape} does not fit 63 bits") from None
    if shape.problem == "size":
        raise ShapeError(f"{who}: sizes must be at least 1, got input {input_shape} and weight {weight_shape}")
    if shape.problem == "stride":
        raise ShapeError(f"{who}: stride and dilation must be at least 1, got stride {stride}, dilation {dilation}")
    if shape.problem == "padding":
        raise ShapeError(f"{who}: padding must not be negative, got {padding}")
    if shape.problem == "fit":
        raise ShapeError(
            f"{who}: a {kernel} kernel with dilation {by(dilation)} does not fit the {by(input_shape[2:])} input with "
            f"padding {by(padding)}; use a smaller kernel, less dilation or more padding"
        )
    if shape.problem == "overflow":
        raise ShapeError(
            f"{who}: input {input_shape} with weight {weight_shape}, padding {padding}, dilation {dilation} has more "
            "elements than can be addressed"
        )
    return shape


def pool_shape(
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    who: object = "max_pool2d",
    argmax: bool = True,
) -> _core.PoolShape:
    """The checked sizes of a pooling; `stride` None means `kernel_size`; `argmax`: whether a byte numbers the cells.

    Raises:
        ShapeError: naming the size that is wrong.
    """
    input_shape = dims(input_shape, 4, "input", "(N, C, H, W)", who)
    kernel = pair(kernel_size, "kernel_size", who)
    stride = kernel if stride is None else pair(stride, "stride", who)
    return _pool_shape(input_shape, kernel, stride, pair(padding, "padding", who), str(who), bool(argmax))


@lru_cache(maxsize=4096)
def _pool_shape(
    input_shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, who: str, argmax: bool
) -> _core.PoolShape:
    if min(input_shape[0], input_shape[1] - 1) < 0:
        raise ShapeError(f"{who}: sizes must be at least 1, got input {input_shape}")
    try:
        shape = _core.PoolShape(input_shape, kernel, stride, padding, argmax)
    except OverflowError:
        raise ShapeError(f"{who}: a size of input {input_shape} does not fit 63 bits") from None
    if shape.problem == "size":
        raise ShapeError(f"{who}: sizes must be at least 1, got input {input_shape} and a {by(kernel)} window")
    if shape.problem == "stride":
        raise ShapeError(f"{who}: stride must be at least 1, got {stride}")
    if shape.problem == "padding":
        raise ShapeError(f"{who}: padding must be between 0 and half the {by(kernel)} window, got {padding}")
    if shape.problem == "window":
        raise ShapeError(
            f"{who}: a {by(kernel)} window has {kernel[0] * kernel[1]} cells; at most 255 can be numbered by its "
            "argmax: use a smaller window"
        )
    if shape.problem == "fit":
        raise ShapeError(
            f"{who}: a {by(kernel)} window does not fit the {by(input_shape[2:])} input with padding {by(padding)}; "
            "use a smaller window or more padding"
        )
    if shape.problem == "overflow":
        raise ShapeError(f"{who}: input {input_shape} has more elements than can be addressed")
    return shape
