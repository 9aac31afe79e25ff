"""The oracle: every operation written the slow and obvious way, in NumPy float64.

Tests hold each fast backend to these functions. They share no code with any kernel, check no arguments, and
are meant to be compared with a formula by eye. Whatever comes in is taken as float64 and float64 goes out;
only the updates at the end write into the arrays they are given. Names and arguments are those of `fastcnn.ops`.

Convolutions go tap by tap: for one cell (r, s) of the filter, the input cells that it meets are a strided
slice of the padded input, one cell per output position. `algorithm` is accepted and makes no difference.
"""

from fastcnn.backends.reference.convolution import (
    col2im,
    conv2d,
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    im2col,
    matmul,
)
from fastcnn.backends.reference.fused import (
    conv2d_relu_avg_pool2d,
    conv2d_relu_avg_pool2d_backward,
    conv2d_relu_max_pool2d,
    conv2d_relu_max_pool2d_backward,
    conv2d_tanh_avg_pool2d,
    conv2d_tanh_avg_pool2d_backward,
    linear,
    linear_backward,
    linear_relu_dropout,
    linear_relu_dropout_backward,
)
from fastcnn.backends.reference.pointwise import (
    add,
    concat,
    concat_backward,
    dropout,
    dropout_backward,
    dropout_bits,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from fastcnn.backends.reference.pooling import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from fastcnn.backends.reference.rows import (
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
from fastcnn.backends.reference.updates import (
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
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv2d_relu_avg_pool2d",
    "conv2d_relu_avg_pool2d_backward",
    "conv2d_relu_max_pool2d",
    "conv2d_relu_max_pool2d_backward",
    "conv2d_tanh_avg_pool2d",
    "conv2d_tanh_avg_pool2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "dropout_bits",
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
