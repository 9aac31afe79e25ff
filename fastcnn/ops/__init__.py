"""The functional API: one function per operation, forwards and backwards side by side.

Conventions, true for every function here:

* Arrays are NumPy, `float32` or `float64`, all of one call of the same dtype; layout NCHW; any strides, read-only or
  not. Results are new C-contiguous arrays of that dtype. A batch of 0 is allowed, other sizes are at least 1.
* Sizes (`kernel_size`, `stride`, `padding`, `dilation`) are an int, or a pair (height, width).
* `dy` is the gradient of the loss with respect to the operation's output; a backward returns the gradient with respect
  to what its name says.
* Errors: `ShapeError` for sizes that do not fit, `DTypeError` for dtypes, `ConfigError` for settings of another type or
  out of range.
* Results are the same bits for any number of threads, which all round as the caller does. Arithmetic takes denormal
  numbers for zeros; what only selects or copies (`max_pool2d`, `relu_backward`, `concat`, `im2col`) passes them on.
* Where an operation takes longer than a second, signal handlers run meanwhile; one that raises ends it.
"""

from fastcnn.ops.convolution import (
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
from fastcnn.ops.fused import (
    conv2d_relu_avg_pool2d,
    conv2d_relu_avg_pool2d_algorithm,
    conv2d_relu_avg_pool2d_backward,
    conv2d_relu_max_pool2d,
    conv2d_relu_max_pool2d_algorithm,
    conv2d_relu_max_pool2d_backward,
)
from fastcnn.ops.fused_tanh import conv2d_tanh_avg_pool2d, conv2d_tanh_avg_pool2d_backward
from fastcnn.ops.linear import (
    linear,
    linear_backward,
    linear_relu_dropout,
    linear_relu_dropout_backward,
)
from fastcnn.ops.pointwise import (
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
from fastcnn.ops.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    pool_output_shape,
)
from fastcnn.ops.rows import (
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
from fastcnn.ops.updates import (
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
