"""All operations of the GPU backend, by the names of `fastcnn.ops`; imported when the first array on a GPU asks.

They take the arrays of other libraries, too, that have ``__cuda_array_interface__``, and give `DeviceArray`s.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from fastcnn.backends.cuda.array import DeviceArray, to_device
from fastcnn.backends.cuda.convolution import (
    col2im,
    conv2d,
    conv2d_algorithm,
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    conv_output_shape,
    im2col,
    matmul,
)
from fastcnn.backends.cuda.fused import (
    conv2d_relu_avg_pool2d,
    conv2d_relu_avg_pool2d_algorithm,
    conv2d_relu_avg_pool2d_backward,
    conv2d_relu_max_pool2d,
    conv2d_relu_max_pool2d_algorithm,
    conv2d_relu_max_pool2d_backward,
)
from fastcnn.backends.cuda.fused_tanh import conv2d_tanh_avg_pool2d, conv2d_tanh_avg_pool2d_backward
from fastcnn.backends.cuda.linear import (
    linear,
    linear_backward,
    linear_relu_dropout,
    linear_relu_dropout_backward,
)
from fastcnn.backends.cuda.pointwise import (
    add,
    concat,
    concat_backward,
    dropout,
    dropout_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from fastcnn.backends.cuda.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    pool_output_shape,
)
from fastcnn.backends.cuda.rows import (
    cross_entropy,
    cross_entropy_backward,
    log_product_loss,
    log_product_loss_backward,
    log_softmax,
    log_softmax_backward,
    product_loss,
    product_loss_backward,
    softmax,
    softmax_backward,
)
from fastcnn.backends.cuda.updates import (
    adam_update,
    adjust_gradient,
    momentum_update,
    rmsprop_update,
    sgd_update,
    sum_of_squares,
)

__all__ = [
    "adam_update",
    "add",
    "adjust_gradient",
    "avg_pool2d",
    "avg_pool2d_backward",
    "col2im",
    "concat",
    "concat_backward",
    "conv2d",
    "conv2d_algorithm",
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv2d_relu_avg_pool2d",
    "conv2d_relu_avg_pool2d_algorithm",
    "conv2d_relu_avg_pool2d_backward",
    "conv2d_relu_max_pool2d",
    "conv2d_relu_max_pool2d_algorithm",
    "conv2d_relu_max_pool2d_backward",
    "conv2d_tanh_avg_pool2d",
    "conv2d_tanh_avg_pool2d_backward",
    "conv_output_shape",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "im2col",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "linear_relu_dropout",
    "linear_relu_dropout_backward",
    "log_product_loss",
    "log_product_loss_backward",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "max_pool2d",
    "max_pool2d_backward",
    "momentum_update",
    "pool_output_shape",
    "product_loss",
    "product_loss_backward",
    "relu",
    "relu_backward",
    "rmsprop_update",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "sum_of_squares",
    "tanh",
    "tanh_backward",
]


def is_on_gpu(array: Any) -> bool:
    """Whether an array lies there: some libraries have one type for both sides."""
    return isinstance(array, DeviceArray) or (
        not isinstance(array, np.ndarray) and hasattr(array, "__cuda_array_interface__")
    )


def _taking_others(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The operation, for arrays of other libraries as for its own."""

    @wraps(operation)
    def called(*arguments: Any, **named: Any) -> Any:
        return operation(*map(_taken, arguments), **{name: _taken(value) for name, value in named.items()})

    return called


def _taken(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_taken(one) for one in value] if any(map(is_on_gpu, value)) else value
    return to_device(value) if is_on_gpu(value) else value


for _name in __all__:
    globals()[_name] = _taking_others(globals()[_name])
