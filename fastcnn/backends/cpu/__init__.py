"""The CPU backend: checks arrays and shapes, then calls the C kernels through fastcnn._core.

Arguments are those of `fastcnn.ops`, which documents them. Arrays may have any strides and may be read-only: what is
not C-contiguous and aligned is copied. Nothing is cast: float32 stays float32, and mixing is an error.
"""

from fastcnn.backends.cpu.convolution import (
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
from fastcnn.backends.cpu.fused import (
    conv2d_relu_max_pool2d,
    conv2d_relu_max_pool2d_algorithm,
    conv2d_relu_max_pool2d_backward,
)
from fastcnn.backends.cpu.linear import (
    linear,
    linear_backward,
    linear_relu_dropout,
    linear_relu_dropout_backward,
)
from fastcnn.backends.cpu.pointwise import (
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
from fastcnn.backends.cpu.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    pool_output_shape,
)
from fastcnn.backends.cpu.rows import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from fastcnn.backends.cpu.updates import (
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
    "conv2d_relu_max_pool2d",
    "conv2d_relu_max_pool2d_algorithm",
    "conv2d_relu_max_pool2d_backward",
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
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "max_pool2d",
    "max_pool2d_backward",
    "momentum_update",
    "pool_output_shape",
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
