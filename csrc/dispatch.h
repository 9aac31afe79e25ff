/* dispatch.h: one untyped call per kernel, for a caller that knows the element type only at run time. Each forwards to
 * the table of that type at the instruction-set level in use. */
#ifndef FASTCNN_DISPATCH_H
#define FASTCNN_DISPATCH_H

#include "fastcnn.h"

#define FC_CALL(is_double, kernel, ...)                                                                              \
    ((is_double) ? fc_float64_kernels()->kernel(__VA_ARGS__) : fc_float32_kernels()->kernel(__VA_ARGS__))

static inline fc_algorithm fc_conv2d_algorithm(bool is_double, const fc_conv_shape *s, fc_direction direction)
{
    return FC_CALL(is_double, conv2d_algorithm, s, direction);
}

static inline size_t fc_conv2d_workspace(bool is_double, const fc_conv_shape *s, fc_direction direction,
                                         fc_algorithm algorithm, int workers)
{
    return FC_CALL(is_double, conv2d_workspace, s, direction, algorithm, workers);
}

static inline void fc_conv2d(bool is_double, const fc_conv_shape *s, fc_algorithm algorithm, const void *x,
                             const void *weight, const void *bias, void *y, void *workspace, int workers)
{
    FC_CALL(is_double, conv2d, s, algorithm, x, weight, bias, y, workspace, workers);
}

static inline void fc_conv2d_backward_input(bool is_double, const fc_conv_shape *s, fc_algorithm algorithm,
                                            const void *dy, const void *weight, void *dx, void *workspace, int workers)
{
    FC_CALL(is_double, conv2d_backward_input, s, algorithm, dy, weight, dx, workspace, workers);
}

static inline void fc_conv2d_backward_weight(bool is_double, const fc_conv_shape *s, fc_algorithm algorithm,
                                             const void *dy, const void *x, void *dweight, void *workspace, int workers)
{
    FC_CALL(is_double, conv2d_backward_weight, s, algorithm, dy, x, dweight, workspace, workers);
}

static inline void fc_channel_sum(bool is_double, int64_t batch, int64_t channels, int64_t plane, const void *x,
                                  void *sum, int workers)
{
    FC_CALL(is_double, channel_sum, batch, channels, plane, x, sum, workers);
}

static inline void fc_im2col(bool is_double, const fc_conv_shape *s, const void *x, void *columns, int workers)
{
    FC_CALL(is_double, im2col, s, x, columns, workers);
}

static inline void fc_col2im(bool is_double, const fc_conv_shape *s, const void *columns, void *x, int workers)
{
    FC_CALL(is_double, col2im, s, columns, x, workers);
}

static inline size_t fc_matmul_workspace(bool is_double, const fc_matmul_shape *s, int workers)
{
    return FC_CALL(is_double, matmul_workspace, s, workers);
}

static inline void fc_matmul(bool is_double, const fc_matmul_shape *s, const void *a, const void *b, void *c,
                             void *workspace, int workers)
{
    FC_CALL(is_double, matmul, s, a, b, c, workspace, workers);
}

static inline void fc_max_pool2d(bool is_double, const fc_pool_shape *s, const void *x, void *y, uint8_t *argmax,
                                 int workers)
{
    FC_CALL(is_double, max_pool2d, s, x, y, argmax, workers);
}

static inline fc_status fc_max_pool2d_backward(bool is_double, const fc_pool_shape *s, const void *dy,
                                               const uint8_t *argmax, void *dx, int workers)
{
    return FC_CALL(is_double, max_pool2d_backward, s, dy, argmax, dx, workers);
}

static inline void fc_relu(bool is_double, int64_t count, const void *x, void *y, int workers)
{
    FC_CALL(is_double, relu, count, x, y, workers);
}

static inline void fc_relu_backward(bool is_double, int64_t count, const void *dy, const void *y, void *dx, int workers)
{
    FC_CALL(is_double, relu_backward, count, dy, y, dx, workers);
}

static inline void fc_dropout(bool is_double, int64_t count, const void *x, double p, uint64_t seed, uint64_t offset,
                              void *y, int workers)
{
    FC_CALL(is_double, dropout, count, x, p, seed, offset, y, workers);
}

static inline void fc_softmax(bool is_double, int64_t rows, int64_t classes, const void *x, void *y, int workers)
{
    FC_CALL(is_double, softmax, rows, classes, x, y, workers);
}

static inline void fc_softmax_backward(bool is_double, int64_t rows, int64_t classes, const void *dy, const void *y,
                                       void *dx, int workers)
{
    FC_CALL(is_double, softmax_backward, rows, classes, dy, y, dx, workers);
}

static inline void fc_log_softmax(bool is_double, int64_t rows, int64_t classes, const void *x, void *y, int workers)
{
    FC_CALL(is_double, log_softmax, rows, classes, x, y, workers);
}

static inline void fc_log_softmax_backward(bool is_double, int64_t rows, int64_t classes, const void *dy, const void *y,
                                           void *dx, int workers)
{
    FC_CALL(is_double, log_softmax_backward, rows, classes, dy, y, dx, workers);
}

static inline void fc_cross_entropy(bool is_double, int64_t rows, int64_t classes, const void *logits,
                                    const int64_t *index, const void *soft, void *loss, int workers)
{
    FC_CALL(is_double, cross_entropy, rows, classes, logits, index, soft, loss, workers);
}

static inline void fc_cross_entropy_backward(bool is_double, int64_t rows, int64_t classes, const void *dloss,
                                             const void *logits, const int64_t *index, const void *soft, void *dlogits,
                                             int workers)
{
    FC_CALL(is_double, cross_entropy_backward, rows, classes, dloss, logits, index, soft, dlogits, workers);
}

static inline void fc_rmsprop_update(bool is_double, int64_t count, void *data, const void *grad, void *square_average,
                                     double lr, double decay, double eps, int workers)
{
    FC_CALL(is_double, rmsprop_update, count, data, grad, square_average, lr, decay, eps, workers);
}

static inline void fc_sgd_update(bool is_double, int64_t count, void *data, const void *grad, double lr, int workers)
{
    FC_CALL(is_double, sgd_update, count, data, grad, lr, workers);
}

#endif
