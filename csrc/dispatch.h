/* dispatch.h: one untyped call per kernel, for a caller that knows the element type only at run time. Each forwards to
 * the table of its target's type and level. */
#ifndef FASTCNN_DISPATCH_H
#define FASTCNN_DISPATCH_H

#include "fastcnn.h"
#include "parallel.h"

/* What a call runs on. Taken once per call, because scratch memory is sized by it too: the level or the number of
 * threads may be changed meanwhile by another thread. */
typedef struct fc_target {
    fc_isa isa;
    bool is_double;
    int workers;
} fc_target;

#define FC_CALL(on, kernel, ...)                                                                                     \
    ((on).is_double ? fc_float64_kernels((on).isa)->kernel(__VA_ARGS__)                                              \
                    : fc_float32_kernels((on).isa)->kernel(__VA_ARGS__))

/* A call that a signal may stop: then -1, and what it has written is worth nothing. */
#define FC_RUN(on, kernel, ...) (FC_CALL(on, kernel, __VA_ARGS__), fc_was_stopped() ? -1 : 0)

static inline fc_algorithm fc_conv2d_algorithm(fc_target on, const fc_conv_shape *s, fc_direction direction)
{
    return FC_CALL(on, conv2d_algorithm, s, direction);
}

static inline size_t fc_conv2d_workspace(fc_target on, const fc_conv_shape *s, fc_direction direction,
                                         fc_algorithm algorithm)
{
    return FC_CALL(on, conv2d_workspace, s, direction, algorithm, on.workers);
}

static inline int fc_conv2d(fc_target on, const fc_conv_shape *s, fc_algorithm algorithm, const void *x,
                            const void *weight, bool packed, const void *bias, void *y, void *workspace)
{
    return FC_RUN(on, conv2d, s, algorithm, x, weight, packed, bias, y, workspace, on.workers);
}

static inline int fc_conv2d_backward_input(fc_target on, const fc_conv_shape *s, fc_algorithm algorithm,
                                           const void *dy, const void *weight, void *dx, void *workspace)
{
    return FC_RUN(on, conv2d_backward_input, s, algorithm, dy, weight, dx, workspace, on.workers);
}

static inline int fc_conv2d_backward_weight(fc_target on, const fc_conv_shape *s, fc_algorithm algorithm,
                                            const void *dy, const void *x, void *dweight, void *workspace)
{
    return FC_RUN(on, conv2d_backward_weight, s, algorithm, dy, x, dweight, workspace, on.workers);
}

static inline int fc_winograd_tile(fc_target on, const fc_conv_shape *s, fc_direction direction, int64_t pool,
                                   fc_algorithm algorithm)
{
    return FC_CALL(on, winograd_tile, s, direction, pool, algorithm);
}

static inline size_t fc_conv_pool_workspace(fc_target on, const fc_conv_shape *s, fc_direction direction, int64_t pool,
                                            fc_algorithm algorithm)
{
    return FC_CALL(on, conv_pool_workspace, s, direction, pool, algorithm, on.workers);
}

/* argmax: with `average`, the active pixels of windows */
static inline int fc_conv_pool(fc_target on, const fc_conv_shape *s, int64_t pool, bool average,
                               fc_algorithm algorithm, const fc_drop_rule *dropout, const void *x,
                               const void *weight, bool packed, const void *bias, void *y, uint8_t *argmax,
                               void *workspace)
{
    return FC_RUN(on, conv_pool, s, pool, average, algorithm, dropout, x, weight, packed, bias, y, argmax,
                  workspace, on.workers);
}

static inline int fc_conv_pool_backward_input(fc_target on, const fc_conv_shape *s, int64_t pool, double p,
                                              const void *dy, const void *y, const uint8_t *argmax,
                                              const void *weight, void *dx, void *workspace)
{
    return FC_RUN(on, conv_pool_backward_input, s, pool, p, dy, y, argmax, weight, dx, workspace, on.workers);
}

static inline fc_status fc_conv_pool_backward_weight(fc_target on, const fc_conv_shape *s, int64_t pool, double p,
                                                     const void *dy, const void *y, const uint8_t *argmax,
                                                     const void *x, void *dweight, void *dbias, void *workspace)
{
    const fc_status status = FC_CALL(on, conv_pool_backward_weight, s, pool, p, dy, y, argmax, x, dweight, dbias,
                                     workspace, on.workers);
    return fc_was_stopped() ? FC_STOPPED : status;
}

static inline size_t fc_conv_avg_pool_workspace(fc_target on, const fc_conv_shape *s, fc_algorithm algorithm,
                                                bool input_gradient)
{
    return FC_CALL(on, conv_avg_pool_workspace, s, algorithm, input_gradient, on.workers);
}

static inline int fc_conv_avg_pool_backward(fc_target on, const fc_conv_shape *s, fc_algorithm algorithm,
                                            const void *dy, const uint8_t *active, const void *x, const void *weight,
                                            void *dx, void *dweight, void *dbias, void *workspace)
{
    return FC_RUN(on, conv_avg_pool_backward, s, algorithm, dy, active, x, weight, dx, dweight, dbias, workspace,
                  on.workers);
}

static inline size_t fc_conv_tanh_pool_workspace(fc_target on, const fc_conv_shape *s, const fc_pool_shape *pooling,
                                                 fc_algorithm algorithm, bool backward, bool input_gradient)
{
    return FC_CALL(on, conv_tanh_pool_workspace, s, pooling, algorithm, backward, input_gradient, on.workers);
}

static inline int fc_conv_tanh_pool(fc_target on, const fc_conv_shape *s, const fc_pool_shape *pooling,
                                    fc_algorithm algorithm, const void *x, const void *weight, const void *bias,
                                    void *z, void *y, void *workspace)
{
    return FC_RUN(on, conv_tanh_pool, s, pooling, algorithm, x, weight, bias, z, y, workspace, on.workers);
}

static inline int fc_conv_tanh_pool_backward(fc_target on, const fc_conv_shape *s, const fc_pool_shape *pooling,
                                             fc_algorithm algorithm, const void *dy, const void *z, const void *x,
                                             const void *weight, void *dx, void *dweight, void *dbias,
                                             void *workspace)
{
    return FC_RUN(on, conv_tanh_pool_backward, s, pooling, algorithm, dy, z, x, weight, dx, dweight, dbias, workspace,
                  on.workers);
}

static inline int fc_channel_sum(fc_target on, int64_t batch, int64_t channels, int64_t plane, const void *x,
                                 void *sum)
{
    return FC_RUN(on, channel_sum, batch, channels, plane, x, sum, on.workers);
}

static inline int fc_im2col(fc_target on, const fc_conv_shape *s, const void *x, void *columns)
{
    return FC_RUN(on, im2col, s, x, columns, on.workers);
}

static inline int fc_col2im(fc_target on, const fc_conv_shape *s, const void *columns, void *x)
{
    return FC_RUN(on, col2im, s, columns, x, on.workers);
}

static inline size_t fc_matmul_workspace(fc_target on, const fc_matmul_shape *s)
{
    return FC_CALL(on, matmul_workspace, s, on.workers);
}

static inline int fc_matmul(fc_target on, const fc_matmul_shape *s, const void *a, const void *b, void *c,
                            void *workspace)
{
    return FC_RUN(on, matmul, s, a, b, c, workspace, on.workers);
}

static inline int fc_end_linear(fc_target on, const fc_linear_shape *s, const fc_linear_end *how, const void *bias,
                                void *y)
{
    return FC_RUN(on, end_linear, s, how, bias, y, on.workers);
}

static inline size_t fc_linear_backward_workspace(fc_target on, const fc_linear_shape *s)
{
    return FC_CALL(on, linear_backward_workspace, s, on.workers);
}

static inline int fc_linear_backward(fc_target on, const fc_linear_shape *s, double p, const void *dy, const void *y,
                                     const void *x, const void *weight, void *dx, void *dweight, void *dbias,
                                     void *workspace)
{
    return FC_RUN(on, linear_backward, s, p, dy, y, x, weight, dx, dweight, dbias, workspace, on.workers);
}

static inline int fc_max_pool2d(fc_target on, const fc_pool_shape *s, const void *x, void *y, uint8_t *argmax)
{
    return FC_RUN(on, max_pool2d, s, x, y, argmax, on.workers);
}

static inline fc_status fc_max_pool2d_backward(fc_target on, const fc_pool_shape *s, const void *dy,
                                               const uint8_t *argmax, void *dx)
{
    const fc_status status = FC_CALL(on, max_pool2d_backward, s, dy, argmax, dx, on.workers);
    return fc_was_stopped() ? FC_STOPPED : status;
}

static inline size_t fc_avg_pool2d_workspace(fc_target on, const fc_pool_shape *s)
{
    return FC_CALL(on, avg_pool2d_workspace, s, on.workers);
}

static inline int fc_avg_pool2d(fc_target on, const fc_pool_shape *s, bool count_padding, const void *x, void *y,
                                void *workspace)
{
    return FC_RUN(on, avg_pool2d, s, count_padding, x, y, workspace, on.workers);
}

static inline int fc_avg_pool2d_backward(fc_target on, const fc_pool_shape *s, bool count_padding, const void *dy,
                                         void *dx, void *workspace)
{
    return FC_RUN(on, avg_pool2d_backward, s, count_padding, dy, dx, workspace, on.workers);
}

static inline int fc_relu(fc_target on, int64_t count, const void *x, void *y)
{
    return FC_RUN(on, relu, count, x, y, on.workers);
}

static inline int fc_relu_backward(fc_target on, int64_t count, const void *dy, const void *y, void *dx)
{
    return FC_RUN(on, relu_backward, count, dy, y, dx, on.workers);
}

static inline int fc_leaky_relu(fc_target on, int64_t count, const void *x, double slope, void *y)
{
    return FC_RUN(on, leaky_relu, count, x, slope, y, on.workers);
}

static inline int fc_leaky_relu_backward(fc_target on, int64_t count, const void *dy, const void *x, double slope,
                                         void *dx)
{
    return FC_RUN(on, leaky_relu_backward, count, dy, x, slope, dx, on.workers);
}

static inline int fc_sigmoid(fc_target on, int64_t count, const void *x, void *y)
{
    return FC_RUN(on, sigmoid, count, x, y, on.workers);
}

static inline int fc_sigmoid_backward(fc_target on, int64_t count, const void *dy, const void *y, void *dx)
{
    return FC_RUN(on, sigmoid_backward, count, dy, y, dx, on.workers);
}

static inline int fc_tanh(fc_target on, int64_t count, const void *x, void *y)
{
    return FC_RUN(on, tanh, count, x, y, on.workers);
}

static inline int fc_tanh_backward(fc_target on, int64_t count, const void *dy, const void *y, void *dx)
{
    return FC_RUN(on, tanh_backward, count, dy, y, dx, on.workers);
}

static inline int fc_add(fc_target on, int64_t count, const void *a, const void *b, void *sum)
{
    return FC_RUN(on, add, count, a, b, sum, on.workers);
}

/* first: the number of element 0, a multiple of CHUNK */
static inline int fc_dropout(fc_target on, int64_t count, const void *x, double p, uint64_t seed, uint64_t offset,
                             uint64_t first, void *y)
{
    return FC_RUN(on, dropout, count, x, p, seed, offset, first, y, on.workers);
}

static inline int fc_copy_rows(fc_target on, int64_t rows, int64_t width, const void *from, int64_t from_pitch,
                               void *to, int64_t to_pitch)
{
    return FC_RUN(on, copy_rows, rows, width, from, from_pitch, to, to_pitch, on.workers);
}

static inline int fc_look_up(fc_target on, int64_t rows, int64_t width, const uint8_t *from, const int64_t *which,
                             const void *table, void *to)
{
    return FC_RUN(on, look_up, rows, width, from, which, table, to, on.workers);
}

static inline int fc_softmax(fc_target on, int64_t rows, int64_t classes, const void *x, void *y)
{
    return FC_RUN(on, softmax, rows, classes, x, y, on.workers);
}

static inline int fc_softmax_backward(fc_target on, int64_t rows, int64_t classes, const void *dy, const void *y,
                                      void *dx)
{
    return FC_RUN(on, softmax_backward, rows, classes, dy, y, dx, on.workers);
}

static inline int fc_log_softmax(fc_target on, int64_t rows, int64_t classes, const void *x, void *y)
{
    return FC_RUN(on, log_softmax, rows, classes, x, y, on.workers);
}

static inline int fc_log_softmax_backward(fc_target on, int64_t rows, int64_t classes, const void *dy, const void *y,
                                          void *dx)
{
    return FC_RUN(on, log_softmax_backward, rows, classes, dy, y, dx, on.workers);
}

static inline int fc_cross_entropy(fc_target on, int64_t rows, int64_t classes, const void *logits,
                                   const int64_t *index, const void *soft, void *loss)
{
    return FC_RUN(on, cross_entropy, rows, classes, logits, index, soft, loss, on.workers);
}

static inline int fc_cross_entropy_backward(fc_target on, int64_t rows, int64_t classes, const void *dloss,
                                            const void *logits, const int64_t *index, const void *soft, void *dlogits)
{
    return FC_RUN(on, cross_entropy_backward, rows, classes, dloss, logits, index, soft, dlogits, on.workers);
}

static inline void fc_sgd_update(fc_target on, int64_t count, void *data, const void *grad, double lr)
{
    FC_CALL(on, sgd_update, count, data, grad, lr, on.workers);
}

static inline void fc_momentum_update(fc_target on, int64_t count, void *data, const void *grad, void *velocity,
                                      double lr, double momentum, bool nesterov)
{
    FC_CALL(on, momentum_update, count, data, grad, velocity, lr, momentum, nesterov, on.workers);
}

static inline void fc_rmsprop_update(fc_target on, int64_t count, void *data, const void *grad, void *square_average,
                                     double lr, double decay, double eps)
{
    FC_CALL(on, rmsprop_update, count, data, grad, square_average, lr, decay, eps, on.workers);
}

static inline void fc_adam_update(fc_target on, int64_t count, void *data, const void *grad, void *first_moment,
                                  void *second_moment, double lr, double beta1, double beta2, double eps, int64_t step,
                                  double weight_decay)
{
    FC_CALL(on, adam_update, count, data, grad, first_moment, second_moment, lr, beta1, beta2, eps, step,
            weight_decay, on.workers);
}

static inline void fc_adjust_gradient(fc_target on, int64_t count, void *grad, const void *data, double scale,
                                      double limit, double l1, double l2)
{
    FC_CALL(on, adjust_gradient, count, grad, data, scale, limit, l1, l2, on.workers);
}

static inline size_t fc_sum_of_squares_workspace(fc_target on, int64_t count)
{
    return FC_CALL(on, sum_of_squares_workspace, count);
}

static inline double fc_sum_of_squares(fc_target on, int64_t count, const void *x, void *workspace)
{
    return FC_CALL(on, sum_of_squares, count, x, workspace, on.workers);
}

static inline double fc_multiply_adds(fc_target on, int64_t rounds, void *sums)
{
    return FC_CALL(on, multiply_adds, rounds, sums, on.workers);
}

#endif
