/* stamp.c: all kernels for one instruction-set level and one element type.
 *
 * setup.py compiles this file once per level and type, each time with the level's own -m flags, with FC_DOUBLE for
 * float64, and with FC_TABLE set to the name of the table below (fc_avx2_float32, ...). The bodies know neither level
 * nor type: they are written with `real`, `vec` and the tile sizes.
 */
#include <math.h>

#include "fastcnn.h"
#include "parallel.h"
#include "random.h"
#include "shape.h"
#include "vec.h"

#include "exp.inc"
#include "strides.inc"
#include "transpose.inc"

#include "multiply.inc"

#include "dots.inc"

#include "pool.inc"

#include "avg_pool.inc"
#include "copy.inc"
#include "im2col.inc"
#include "look_up.inc"
#include "matmul.inc"
#include "max_pool.inc"
#include "optimizer.inc"
#include "padded.inc"
#include "peak.inc"
#include "pointwise.inc"
#include "softmax.inc"
#include "sums.inc"

#include "active_max.inc"
#include "active_mean.inc"

#include "winograd_transform.inc"

#include "winograd_choice.inc"

#include "winograd_range.inc"

#include "winograd_source.inc"

#include "winograd.inc"

#include "winograd_output.inc"

#include "winograd_weight.inc"

#include "sparse.inc"

#include "linear.inc"

#include "pixels.inc"

#include "correlate.inc"

#include "conv_direct.inc"
#include "conv_im2col.inc"
#include "conv_weight.inc"
#include "conv_weight_dots.inc"

#include "conv.inc"

#include "conv_pool.inc"

#include "conv_pool_few.inc"

#include "active.inc"
#include "conv_pool_one.inc"
#include "conv_pool_weight.inc"
#include "conv_pool_input.inc"

#include "conv_pool_choice.inc"

#include "conv_avg_pool.inc"

#include "conv_tanh_pool.inc"

#ifdef FC_DOUBLE
typedef fc_kernels_float64 kernel_table;
#else
typedef fc_kernels_float32 kernel_table;
#endif

extern const kernel_table FC_TABLE;
const kernel_table FC_TABLE = {
    .conv2d_algorithm = conv2d_algorithm,
    .conv2d_workspace = conv2d_workspace,
    .conv2d = conv2d,
    .conv2d_backward_input = conv2d_backward_input,
    .conv2d_backward_weight = conv2d_backward_weight,
    .winograd_tile = winograd_tile,
    .conv_pool_workspace = conv_pool_workspace,
    .conv_pool = conv_pool,
    .conv_pool_backward_input = conv_pool_backward_input,
    .conv_pool_backward_weight = conv_pool_backward_weight,
    .conv_avg_pool_workspace = conv_avg_pool_workspace,
    .conv_avg_pool_backward = conv_avg_pool_backward,
    .conv_tanh_pool_workspace = conv_tanh_pool_workspace,
    .conv_tanh_pool = conv_tanh_pool,
    .conv_tanh_pool_backward = conv_tanh_pool_backward,
    .channel_sum = channel_sum,
    .im2col = im2col,
    .col2im = col2im,
    .matmul_workspace = matmul_workspace,
    .matmul = matmul,
    .end_linear = end_linear,
    .linear_backward_workspace = linear_backward_workspace,
    .linear_backward = linear_backward,
    .max_pool2d = max_pool2d,
    .max_pool2d_backward = max_pool2d_backward,
    .avg_pool2d_workspace = avg_pool2d_workspace,
    .avg_pool2d = avg_pool2d,
    .avg_pool2d_backward = avg_pool2d_backward,
    .relu = relu,
    .relu_backward = relu_backward,
    .leaky_relu = leaky_relu,
    .leaky_relu_backward = leaky_relu_backward,
    .sigmoid = sigmoid,
    .sigmoid_backward = sigmoid_backward,
    .tanh = tanh_forward,
    .tanh_backward = tanh_backward,
    .add = add,
    .dropout = dropout,
    .copy_rows = copy_rows,
    .look_up = look_up,
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .log_softmax = log_softmax,
    .log_softmax_backward = log_softmax_backward,
    .cross_entropy = cross_entropy,
    .cross_entropy_backward = cross_entropy_backward,
    .sgd_update = sgd_update,
    .momentum_update = momentum_update,
    .rmsprop_update = rmsprop_update,
    .adam_update = adam_update,
    .adjust_gradient = adjust_gradient,
    .sum_of_squares_workspace = sum_of_squares_workspace,
    .sum_of_squares = sum_of_squares,
    .multiply_adds = multiply_adds,
};
