# cython: language_level=3
"""What csrc/ offers, as Cython sees it: shapes, levels, and one function per kernel. The C headers explain them."""

from libc.stdint cimport int64_t, uint8_t, uint64_t, uintptr_t

cdef extern from "dispatch.h" nogil:
    ctypedef bint bool_t "bool"
    ctypedef enum fc_status:
        FC_OK, FC_BAD_SIZE, FC_BAD_STRIDE, FC_BAD_PADDING, FC_KERNEL_TOO_LARGE, FC_WINDOW_TOO_LARGE, FC_OVERFLOW
        FC_BAD_INDEX, FC_STOPPED
    ctypedef enum fc_algorithm:
        FC_AUTO, FC_DIRECT, FC_IM2COL, FC_WINOGRAD
    ctypedef enum fc_direction:
        FC_FORWARD, FC_BACKWARD_INPUT, FC_BACKWARD_WEIGHT
    ctypedef struct fc_conv_shape:
        int64_t batch, channels, height, width, out_channels, kernel_height, kernel_width
        int64_t stride_height, stride_width, padding_height, padding_width, dilation_height, dilation_width
        int64_t out_height, out_width
    ctypedef struct fc_pool_shape:
        int64_t planes, height, width, kernel_height, kernel_width
        int64_t stride_height, stride_width, padding_height, padding_width
        int64_t out_height, out_width
    ctypedef struct fc_matmul_shape:
        int64_t m, n, k
        bool_t transpose_a, transpose_b
    ctypedef struct fc_linear_shape:
        int64_t batch, inputs, outputs
    ctypedef struct fc_drop_rule:
        double p
        uint64_t seed, offset
    ctypedef struct fc_linear_end:
        bool_t relu
        fc_drop_rule dropout
    ctypedef enum fc_isa:
        FC_BASELINE, FC_ISA_COUNT

    fc_status fc_conv_shape_check(fc_conv_shape *)
    fc_status fc_pool_shape_check(fc_pool_shape *, bool_t)
    const char *fc_isa_name(fc_isa)
    bint fc_isa_compiled(fc_isa)
    bint fc_isa_usable(fc_isa)
    fc_isa fc_isa_current()
    void fc_isa_select(fc_isa)
    const char *FC_COMPILER

    void fc_begin_anew()
    void fc_look_for_signals(int (*)() except -1 with gil, uintptr_t, int64_t)

    ctypedef struct fc_target:
        fc_isa isa
        bool_t is_double
        int workers

    fc_algorithm fc_conv2d_algorithm(fc_target, const fc_conv_shape *, fc_direction)
    size_t fc_conv2d_workspace(fc_target, const fc_conv_shape *, fc_direction, fc_algorithm)
    int fc_conv2d(fc_target, const fc_conv_shape *, fc_algorithm, const void *, const void *, bint, const void *,
                  void *, void *) except -1
    int fc_conv2d_backward_input(fc_target, const fc_conv_shape *, fc_algorithm, const void *, const void *, void *,
                                 void *) except -1
    bint fc_conv_pool_fits(const fc_conv_shape *, int64_t)
    bint fc_direct_fits(const fc_conv_shape *)
    bint fc_winograd_fits(const fc_conv_shape *)
    int fc_winograd_tile(fc_target, const fc_conv_shape *, fc_direction, int64_t, fc_algorithm)
    size_t fc_conv_pool_workspace(fc_target, const fc_conv_shape *, fc_direction, int64_t, fc_algorithm)
    int fc_conv_pool(fc_target, const fc_conv_shape *, int64_t, bint, fc_algorithm, const fc_drop_rule *, const void *,
                     const void *, bint, const void *, void *, uint8_t *, void *) except -1
    int fc_conv_pool_backward_input(fc_target, const fc_conv_shape *, int64_t, double, const void *, const void *,
                                    const uint8_t *, const void *, void *, void *) except -1
    fc_status fc_conv_pool_backward_weight(fc_target, const fc_conv_shape *, int64_t, double, const void *,
                                           const void *, const uint8_t *, const void *, void *, void *,
                                           void *) except FC_STOPPED
    size_t fc_conv_avg_pool_workspace(fc_target, const fc_conv_shape *, fc_algorithm, bint)
    int fc_conv_avg_pool_backward(fc_target, const fc_conv_shape *, fc_algorithm, const void *, const uint8_t *,
                                  const void *, const void *, void *, void *, void *, void *) except -1
    size_t fc_conv_tanh_pool_workspace(fc_target, const fc_conv_shape *, const fc_pool_shape *, fc_algorithm, bint,
                                       bint)
    int fc_conv_tanh_pool(fc_target, const fc_conv_shape *, const fc_pool_shape *, fc_algorithm, const void *,
                          const void *, const void *, void *, void *, void *) except -1
    int fc_conv_tanh_pool_backward(fc_target, const fc_conv_shape *, const fc_pool_shape *, fc_algorithm, const void *,
                                   const void *, const void *, const void *, void *, void *, void *, void *) except -1
    int fc_conv2d_backward_weight(fc_target, const fc_conv_shape *, fc_algorithm, const void *, const void *, void *,
                                  void *) except -1
    int fc_channel_sum(fc_target, int64_t, int64_t, int64_t, const void *, void *) except -1
    int fc_im2col(fc_target, const fc_conv_shape *, const void *, void *) except -1
    int fc_col2im(fc_target, const fc_conv_shape *, const void *, void *) except -1
    size_t fc_matmul_workspace(fc_target, const fc_matmul_shape *)
    int fc_matmul(fc_target, const fc_matmul_shape *, const void *, const void *, void *, void *) except -1
    int fc_end_linear(fc_target, const fc_linear_shape *, const fc_linear_end *, const void *, void *) except -1
    size_t fc_linear_backward_workspace(fc_target, const fc_linear_shape *)
    int fc_linear_backward(fc_target, const fc_linear_shape *, double, const void *, const void *, const void *,
                           const void *, void *, void *, void *, void *) except -1
    int fc_max_pool2d(fc_target, const fc_pool_shape *, const void *, void *, uint8_t *) except -1
    fc_status fc_max_pool2d_backward(fc_target, const fc_pool_shape *, const void *, const uint8_t *,
                                     void *) except FC_STOPPED
    size_t fc_avg_pool2d_workspace(fc_target, const fc_pool_shape *)
    int fc_avg_pool2d(fc_target, const fc_pool_shape *, bool_t, const void *, void *, void *) except -1
    int fc_avg_pool2d_backward(fc_target, const fc_pool_shape *, bool_t, const void *, void *, void *) except -1
    int fc_relu(fc_target, int64_t, const void *, void *) except -1
    int fc_relu_backward(fc_target, int64_t, const void *, const void *, void *) except -1
    int fc_leaky_relu(fc_target, int64_t, const void *, double, void *) except -1
    int fc_leaky_relu_backward(fc_target, int64_t, const void *, const void *, double, void *) except -1
    int fc_sigmoid(fc_target, int64_t, const void *, void *) except -1
    int fc_sigmoid_backward(fc_target, int64_t, const void *, const void *, void *) except -1
    int fc_tanh(fc_target, int64_t, const void *, void *) except -1
    int fc_tanh_backward(fc_target, int64_t, const void *, const void *, void *) except -1
    int fc_add(fc_target, int64_t, const void *, const void *, void *) except -1
    int fc_dropout(fc_target, int64_t, const void *, double, uint64_t, uint64_t, uint64_t, void *) except -1
    int fc_copy_rows(fc_target, int64_t, int64_t, const void *, int64_t, void *, int64_t) except -1
    int fc_look_up(fc_target, int64_t, int64_t, const uint8_t *, const int64_t *, const void *, void *) except -1
    int fc_softmax(fc_target, int64_t, int64_t, const void *, void *) except -1
    int fc_softmax_backward(fc_target, int64_t, int64_t, const void *, const void *, void *) except -1
    int fc_log_softmax(fc_target, int64_t, int64_t, const void *, void *) except -1
    int fc_log_softmax_backward(fc_target, int64_t, int64_t, const void *, const void *, void *) except -1
    int fc_cross_entropy(fc_target, int64_t, int64_t, const void *, const int64_t *, const void *, void *) except -1
    int fc_cross_entropy_backward(fc_target, int64_t, int64_t, const void *, const void *, const int64_t *,
                                  const void *, void *) except -1
    void fc_sgd_update(fc_target, int64_t, void *, const void *, double)
    void fc_momentum_update(fc_target, int64_t, void *, const void *, void *, double, double, bool_t)
    void fc_rmsprop_update(fc_target, int64_t, void *, const void *, void *, double, double, double)
    void fc_adam_update(fc_target, int64_t, void *, const void *, void *, void *, double, double, double, double,
                        int64_t, double)
    void fc_adjust_gradient(fc_target, int64_t, void *, const void *, double, double, double, double)
    size_t fc_sum_of_squares_workspace(fc_target, int64_t)
    double fc_sum_of_squares(fc_target, int64_t, const void *, void *)
    double fc_multiply_adds(fc_target, int64_t, void *)
