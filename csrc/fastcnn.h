/* fastcnn.h: the contract between the C kernels and their one caller, fastcnn/_core.pyx.
 *
 * Every kernel exists once per instruction-set level and element type, stamped from the same body (stamp.c). They are
 * reached through a table: fc_float32_kernels(level) and fc_float64_kernels(level) give the tables of a level.
 *
 * Promises of the kernels
 *   arrays       C-contiguous, aligned to their element, no overlap between inputs and outputs
 *   shapes       checked: a kernel is only called with a shape that fc_*_shape_check() has accepted
 *   memory       none allocated; scratch comes from the caller, who asks *_workspace() for the number of bytes
 *   packed       in conv2d and conv_pool: the scratch is as the last call with this shape, algorithm, number of workers
 *                and weight left it, and still holds the weight as the kernel packed it
 *   argmax       NULL in conv_pool: not wanted
 *   threads      `workers` threads share the work; results are the same bits for every number of workers
 *   rounding     the caller's, in all threads; its floating-point state is restored
 *   denormals    zeros to all arithmetic and comparisons; what a kernel only selects or copies keeps its bits
 *   signals      may stop a call halfway (parallel.h), but for updates in place
 */
#ifndef FASTCNN_H
#define FASTCNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fc_status {
    FC_OK,
    FC_BAD_SIZE,          /* a size below one (below zero for the batch) */
    FC_BAD_STRIDE,        /* stride or dilation below one */
    FC_BAD_PADDING,       /* negative, or more than half a pooling window */
    FC_KERNEL_TOO_LARGE,  /* the (dilated) kernel does not fit the padded input */
    FC_WINDOW_TOO_LARGE,  /* a pooling window of more than 255 cells: its argmax would not fit a byte */
    FC_OVERFLOW,          /* arrays or scratch memory for these sizes could not be addressed */
    FC_BAD_INDEX,         /* an argmax outside its window */
    FC_STOPPED            /* by a signal (parallel.h) */
} fc_status;

typedef enum fc_algorithm { FC_AUTO, FC_DIRECT, FC_IM2COL, FC_WINOGRAD } fc_algorithm;
typedef enum fc_direction { FC_FORWARD, FC_BACKWARD_INPUT, FC_BACKWARD_WEIGHT } fc_direction;

/* x (batch, channels, height, width) * weight (out_channels, channels, kernel_height, kernel_width)
 *   -> y (batch, out_channels, out_height, out_width) */
typedef struct fc_conv_shape {
    int64_t batch, channels, height, width;
    int64_t out_channels, kernel_height, kernel_width;
    int64_t stride_height, stride_width;
    int64_t padding_height, padding_width;
    int64_t dilation_height, dilation_width;
    int64_t out_height, out_width; /* filled in by fc_conv_shape_check, which cuts strides to what the input has */
} fc_conv_shape;

/* x (planes, height, width) -> y (planes, out_height, out_width); planes = batch * channels */
typedef struct fc_pool_shape {
    int64_t planes, height, width;
    int64_t kernel_height, kernel_width;
    int64_t stride_height, stride_width;
    int64_t padding_height, padding_width;
    int64_t out_height, out_width; /* filled in by fc_pool_shape_check, alike */
} fc_pool_shape;

/* c (m, n) = op(a) (m, k) @ op(b) (k, n); a transposed operand is stored as (k, m) or (n, k) */
typedef struct fc_matmul_shape {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
} fc_matmul_shape;

/* x (batch, inputs) @ weight (outputs, inputs)^T -> y (batch, outputs) */
typedef struct fc_linear_shape {
    int64_t batch, inputs, outputs;
} fc_linear_shape;

/* Dropout at the end of a stage: none where p is 0. It draws by (seed, offset) and the flat index of the output. */
typedef struct fc_drop_rule {
    double p;
    uint64_t seed, offset;
} fc_drop_rule;

/* What follows a fully connected product. */
typedef struct fc_linear_end {
    bool relu;
    fc_drop_rule dropout;
} fc_linear_end;

fc_status fc_conv_shape_check(fc_conv_shape *shape);
/* Whether conv_pool, which is convolution, ReLU, pooling and dropout in one, takes this shape with windows of
 * pool x pool; average-pooling only with 2x2. */
bool fc_conv_pool_fits(const fc_conv_shape *shape, int64_t pool);
/* Whether FC_DIRECT can be asked for: it copies images with their padding, which is to be in proportion to what they
 * and the result hold. FC_IM2COL takes every shape. */
bool fc_direct_fits(const fc_conv_shape *shape);
/* Whether FC_WINOGRAD can be asked for: 3x3 or 5x5 filters, stride 1, dilation 1, padding less than the filter. */
bool fc_winograd_fits(const fc_conv_shape *shape);
fc_status fc_pool_shape_check(fc_pool_shape *shape, bool argmax); /* argmax: a byte has to number the cells */

#define FC_DECLARE_KERNELS(table, real)                                                                              \
    typedef struct table {                                                                                           \
        fc_algorithm (*conv2d_algorithm)(const fc_conv_shape *, fc_direction);                                       \
        size_t (*conv2d_workspace)(const fc_conv_shape *, fc_direction, fc_algorithm, int workers);                  \
        void (*conv2d)(const fc_conv_shape *, fc_algorithm, const real *x, const real *weight, bool packed,          \
                       const real *bias, real *y, void *workspace, int workers);                                     \
        void (*conv2d_backward_input)(const fc_conv_shape *, fc_algorithm, const real *dy, const real *weight,       \
                                      real *dx, void *workspace, int workers);                                       \
        void (*conv2d_backward_weight)(const fc_conv_shape *, fc_algorithm, const real *dy, const real *x,           \
                                       real *dweight, void *workspace, int workers);                                 \
        int (*winograd_tile)(const fc_conv_shape *, fc_direction, int64_t pool, fc_algorithm);                       \
        size_t (*conv_pool_workspace)(const fc_conv_shape *, fc_direction, int64_t pool, fc_algorithm, int workers); \
        void (*conv_pool)(const fc_conv_shape *, int64_t pool, bool average, fc_algorithm, const fc_drop_rule *,     \
                          const real *x, const real *weight, bool packed, const real *bias, real *y,                 \
                          uint8_t *argmax, void *workspace, int workers);                                            \
        void (*conv_pool_backward_input)(const fc_conv_shape *, int64_t pool, double p, const real *dy,              \
                                         const real *y, const uint8_t *argmax, const real *weight, real *dx,         \
                                         void *workspace, int workers);                                              \
        fc_status (*conv_pool_backward_weight)(const fc_conv_shape *, int64_t pool, double p, const real *dy,        \
                                               const real *y, const uint8_t *argmax, const real *x, real *dweight,   \
                                               real *dbias, void *workspace, int workers);                           \
        size_t (*conv_avg_pool_workspace)(const fc_conv_shape *, fc_algorithm, bool input_gradient, int workers);    \
        void (*conv_avg_pool_backward)(const fc_conv_shape *, fc_algorithm, const real *dy, const uint8_t *active,   \
                                       const real *x, const real *weight, real *dx, real *dweight, real *dbias,      \
                                       void *workspace, int workers);                                                \
        size_t (*conv_tanh_pool_workspace)(const fc_conv_shape *, const fc_pool_shape *, fc_algorithm,               \
                                           bool backward, bool input_gradient, int workers);                         \
        void (*conv_tanh_pool)(const fc_conv_shape *, const fc_pool_shape *, fc_algorithm, const real *x,            \
                               const real *weight, const real *bias, real *z, real *y, void *workspace,              \
                               int workers);                                                                         \
        void (*conv_tanh_pool_backward)(const fc_conv_shape *, const fc_pool_shape *, fc_algorithm, const real *dy,  \
                                        const real *z, const real *x, const real *weight, real *dx, real *dweight,   \
                                        real *dbias, void *workspace, int workers);                                  \
        void (*channel_sum)(int64_t batch, int64_t channels, int64_t plane, const real *x, real *sum, int workers);  \
        void (*im2col)(const fc_conv_shape *, const real *x, real *columns, int workers);                            \
        void (*col2im)(const fc_conv_shape *, const real *columns, real *x, int workers);                            \
        size_t (*matmul_workspace)(const fc_matmul_shape *, int workers);                                            \
        void (*matmul)(const fc_matmul_shape *, const real *a, const real *b, real *c, void *workspace,              \
                       int workers);                                                                                 \
        void (*end_linear)(const fc_linear_shape *, const fc_linear_end *, const real *bias, real *y, int workers);  \
        size_t (*linear_backward_workspace)(const fc_linear_shape *, int workers);                                   \
        void (*linear_backward)(const fc_linear_shape *, double p, const real *dy, const real *y, const real *x,     \
                                const real *weight, real *dx, real *dweight, real *dbias, void *workspace,           \
                                int workers);                                                                        \
        void (*max_pool2d)(const fc_pool_shape *, const real *x, real *y, uint8_t *argmax, int workers);             \
        fc_status (*max_pool2d_backward)(const fc_pool_shape *, const real *dy, const uint8_t *argmax, real *dx,     \
                                         int workers);                                                               \
        size_t (*avg_pool2d_workspace)(const fc_pool_shape *, int workers);                                          \
        void (*avg_pool2d)(const fc_pool_shape *, bool count_padding, const real *x, real *y, void *workspace,       \
                           int workers);                                                                             \
        void (*avg_pool2d_backward)(const fc_pool_shape *, bool count_padding, const real *dy, real *dx,             \
                                    void *workspace, int workers);                                                   \
        void (*relu)(int64_t count, const real *x, real *y, int workers);                                            \
        void (*relu_backward)(int64_t count, const real *dy, const real *y, real *dx, int workers);                  \
        void (*leaky_relu)(int64_t count, const real *x, double slope, real *y, int workers);                        \
        void (*leaky_relu_backward)(int64_t count, const real *dy, const real *x, double slope, real *dx,            \
                                    int workers);                                                                    \
        void (*sigmoid)(int64_t count, const real *x, real *y, int workers);                                         \
        void (*sigmoid_backward)(int64_t count, const real *dy, const real *y, real *dx, int workers);               \
        void (*tanh)(int64_t count, const real *x, real *y, int workers);                                            \
        void (*tanh_backward)(int64_t count, const real *dy, const real *y, real *dx, int workers);                  \
        void (*add)(int64_t count, const real *a, const real *b, real *sum, int workers);                            \
        void (*dropout)(int64_t count, const real *x, double p, uint64_t seed, uint64_t offset, uint64_t first,      \
                        real *y, int workers);                                                                       \
        void (*copy_rows)(int64_t rows, int64_t width, const real *from, int64_t from_pitch, real *to,               \
                          int64_t to_pitch, int workers);                                                            \
        void (*look_up)(int64_t rows, int64_t width, const uint8_t *from, const int64_t *which, const real *table,   \
                        real *to, int workers);                                                                      \
        void (*softmax)(int64_t rows, int64_t classes, const real *x, real *y, int workers);                         \
        void (*softmax_backward)(int64_t rows, int64_t classes, const real *dy, const real *y, real *dx,             \
                                 int workers);                                                                       \
        void (*log_softmax)(int64_t rows, int64_t classes, const real *x, real *y, int workers);                     \
        void (*log_softmax_backward)(int64_t rows, int64_t classes, const real *dy, const real *y, real *dx,         \
                                     int workers);                                                                   \
        void (*cross_entropy)(int64_t rows, int64_t classes, const real *logits, const int64_t *index,               \
                              const real *soft, real *loss, int workers);                                            \
        void (*cross_entropy_backward)(int64_t rows, int64_t classes, const real *dloss, const real *logits,         \
                                       const int64_t *index, const real *soft, real *dlogits, int workers);          \
        void (*sgd_update)(int64_t count, real *data, const real *grad, double lr, int workers);                     \
        void (*momentum_update)(int64_t count, real *data, const real *grad, real *velocity, double lr,              \
                                double momentum, bool nesterov, int workers);                                        \
        void (*rmsprop_update)(int64_t count, real *data, const real *grad, real *square_average, double lr,         \
                               double decay, double eps, int workers);                                               \
        void (*adam_update)(int64_t count, real *data, const real *grad, real *first_moment, real *second_moment,    \
                            double lr, double beta1, double beta2, double eps, int64_t step, double weight_decay,    \
                            int workers);                                                                            \
        void (*adjust_gradient)(int64_t count, real *grad, const real *data, double scale, double limit, double l1,  \
                                double l2, int workers);                                                             \
        size_t (*sum_of_squares_workspace)(int64_t count);                                                           \
        double (*sum_of_squares)(int64_t count, const real *x, void *workspace, int workers);                        \
        double (*multiply_adds)(int64_t rounds, void *sums, int workers);                                            \
    } table;

FC_DECLARE_KERNELS(fc_kernels_float32, float)
FC_DECLARE_KERNELS(fc_kernels_float64, double)

/* Instruction-set levels, lowest first. fc_isa_usable: compiled in, and this CPU has it. */
typedef enum fc_isa { FC_BASELINE, FC_AVX2, FC_AVX512, FC_ISA_COUNT } fc_isa;

const char *fc_isa_name(fc_isa level);
bool fc_isa_compiled(fc_isa level);
bool fc_isa_usable(fc_isa level);
fc_isa fc_isa_current(void);
void fc_isa_select(fc_isa level); /* level must be usable */
#ifdef __clang__
#define FC_COMPILER "clang " __clang_version__
#else
#define FC_COMPILER "gcc " __VERSION__
#endif

const fc_kernels_float32 *fc_float32_kernels(fc_isa level);
const fc_kernels_float64 *fc_float64_kernels(fc_isa level);

#endif
