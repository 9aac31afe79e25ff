# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The only door between Python and csrc/: one call per kernel. Checks, level, threads, memory and shapes are in the
files that it includes.

Kernels trust their one caller, `fastcnn.backends.cpu`, to pass C-contiguous, aligned arrays of one dtype and of shapes
that the shape objects below have accepted. Outputs come from a caching allocator; kernels run without the GIL.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t, uintptr_t

cimport numpy as cnp

import numpy as np

cnp.import_array()

include "_core_checks.pxi"
include "_core_target.pxi"
include "_core_memory.pxi"
include "_core_shapes.pxi"


# ---- kernels --------------------------------------------------------------------------------------------------------

ALGORITHMS = {"auto": FC_AUTO, "direct": FC_DIRECT, "im2col": FC_IM2COL, "winograd": FC_WINOGRAD}
DIRECTIONS = {"forward": FC_FORWARD, "backward_input": FC_BACKWARD_INPUT, "backward_weight": FC_BACKWARD_WEIGHT}


def conv2d_algorithm(ConvShape shape, bint is_double, int direction):
    """Name of the algorithm that "auto" takes for this shape."""
    cdef fc_target on
    on.isa, on.is_double, on.workers = fc_isa_current(), is_double, _threads
    chosen = fc_conv2d_algorithm(on, &shape.c, <fc_direction>direction)
    return next(name for name, value in ALGORITHMS.items() if value == chosen)


def direct_fits(ConvShape shape):
    """Whether algorithm "direct" takes this shape."""
    return bool(fc_direct_fits(&shape.c))


def winograd_fits(ConvShape shape):
    """Whether algorithm "winograd" takes this shape."""
    return bool(fc_winograd_fits(&shape.c))


def winograd_tile(ConvShape shape, bint is_double, int direction, int64_t pool, int algorithm):
    """The side of the tiles of outputs that an algorithm takes in Winograd's method, 0 where it takes another.
    pool: the side of the windows of a stage (_core_conv_pool.pxi), 0 without one."""
    cdef fc_target on
    on.isa, on.is_double, on.workers = fc_isa_current(), is_double, _threads
    return fc_winograd_tile(on, &shape.c, <fc_direction>direction, pool, <fc_algorithm>algorithm)


def conv2d(ConvShape shape, int algorithm, cnp.ndarray x, cnp.ndarray weight, cnp.ndarray bias, Packed packed=None):
    cdef cnp.ndarray y = _new(shape.output, cnp.PyArray_TYPE(x))
    cdef fc_target on = _target(x, shape.work)
    cdef void *bias_data = NULL if bias is None else _data(bias)
    cdef size_t size = fc_conv2d_workspace(on, &shape.c, FC_FORWARD, <fc_algorithm>algorithm)
    cdef bint ready = packed is not None and packed.ready(size, on)
    cdef Scratch scratch = Scratch(size) if packed is None else packed.scratch
    with nogil:
        fc_conv2d(on, &shape.c, <fc_algorithm>algorithm, _data(x), _data(weight), ready, bias_data, _data(y),
                  scratch.memory)
    return y


def conv2d_backward_input(ConvShape shape, int algorithm, cnp.ndarray dy, cnp.ndarray weight):
    cdef cnp.ndarray dx = _new(shape.input, cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy, shape.work)
    cdef Scratch scratch = Scratch(
        fc_conv2d_workspace(on, &shape.c, FC_BACKWARD_INPUT, <fc_algorithm>algorithm))
    with nogil:
        fc_conv2d_backward_input(on, &shape.c, <fc_algorithm>algorithm, _data(dy), _data(weight), _data(dx),
                                 scratch.memory)
    return dx


def conv2d_backward_weight(ConvShape shape, int algorithm, cnp.ndarray dy, cnp.ndarray x):
    cdef cnp.ndarray dweight = _new(shape.weight, cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy, shape.work)
    cdef Scratch scratch = Scratch(
        fc_conv2d_workspace(on, &shape.c, FC_BACKWARD_WEIGHT, <fc_algorithm>algorithm))
    with nogil:
        fc_conv2d_backward_weight(on, &shape.c, <fc_algorithm>algorithm, _data(dy), _data(x), _data(dweight),
                                  scratch.memory)
    return dweight


def channel_sum(int64_t batch, int64_t channels, int64_t plane, cnp.ndarray x):
    cdef cnp.ndarray total = _new((channels,), cnp.PyArray_TYPE(x))
    cdef fc_target on = _target(x, _elements(x))
    with nogil:
        fc_channel_sum(on, batch, channels, plane, _data(x), _data(total))
    return total


def im2col(ConvShape shape, cnp.ndarray x, tuple columns_shape):
    cdef cnp.ndarray columns = _new(columns_shape, cnp.PyArray_TYPE(x))
    cdef fc_target on = _target(x, shape.work)
    with nogil:
        fc_im2col(on, &shape.c, _data(x), _data(columns))
    return columns


def col2im(ConvShape shape, cnp.ndarray columns):
    cdef cnp.ndarray x = _new(shape.input, cnp.PyArray_TYPE(columns))
    cdef fc_target on = _target(columns, shape.work)
    with nogil:
        fc_col2im(on, &shape.c, _data(columns), _data(x))
    return x


cdef inline double _matmul_work(double m, double n, double k) noexcept:
    return m * n * k + ELEMENT_WORK * (m * k + k * n)


def matmul(cnp.ndarray a, cnp.ndarray b, int64_t m, int64_t n, int64_t k, bint transpose_a, bint transpose_b):
    cdef cnp.ndarray c = _new((m, n), cnp.PyArray_TYPE(a))
    cdef fc_matmul_shape shape
    shape.m, shape.n, shape.k = m, n, k
    shape.transpose_a, shape.transpose_b = transpose_a, transpose_b
    cdef fc_target on = _target(a, _matmul_work(m, n, k))
    cdef Scratch scratch = Scratch(fc_matmul_workspace(on, &shape))
    with nogil:
        fc_matmul(on, &shape, _data(a), _data(b), _data(c), scratch.memory)
    return c


include "_core_conv_pool.pxi"
include "_core_conv_tanh_pool.pxi"
include "_core_linear.pxi"


def max_pool2d(PoolShape shape, cnp.ndarray x):
    cdef cnp.ndarray y = _new(shape.output, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray argmax = _new(shape.output, cnp.NPY_UINT8)
    cdef fc_target on = _target(x, shape.work)
    with nogil:
        fc_max_pool2d(on, &shape.c, _data(x), _data(y), <uint8_t *>_data(argmax))
    return y, argmax


def max_pool2d_backward(PoolShape shape, cnp.ndarray dy, cnp.ndarray argmax):
    """dx, or None if an argmax is not a cell of its window."""
    cdef cnp.ndarray dx = _new(shape.input, cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy, shape.work)
    cdef fc_status status
    with nogil:
        status = fc_max_pool2d_backward(on, &shape.c, _data(dy), <uint8_t *>_data(argmax), _data(dx))
    return dx if status == FC_OK else None


def avg_pool2d(PoolShape shape, cnp.ndarray x, bint count_padding):
    cdef cnp.ndarray y = _new(shape.output, cnp.PyArray_TYPE(x))
    cdef fc_target on = _target(x, shape.work)
    cdef Scratch scratch = Scratch(fc_avg_pool2d_workspace(on, &shape.c))
    with nogil:
        fc_avg_pool2d(on, &shape.c, count_padding, _data(x), _data(y), scratch.memory)
    return y


def avg_pool2d_backward(PoolShape shape, cnp.ndarray dy, bint count_padding):
    cdef cnp.ndarray dx = _new(shape.input, cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy, shape.work)
    cdef Scratch scratch = Scratch(fc_avg_pool2d_workspace(on, &shape.c))
    with nogil:
        fc_avg_pool2d_backward(on, &shape.c, count_padding, _data(dy), _data(dx), scratch.memory)
    return dx


def relu(cnp.ndarray x):
    cdef cnp.ndarray y = _like(x)
    cdef fc_target on = _target(x, _elements(x))
    with nogil:
        fc_relu(on, cnp.PyArray_SIZE(x), _data(x), _data(y))
    return y


def relu_backward(cnp.ndarray dy, cnp.ndarray y):
    cdef cnp.ndarray dx = _like(dy)
    cdef fc_target on = _target(dy, _elements(dy))
    with nogil:
        fc_relu_backward(on, cnp.PyArray_SIZE(dy), _data(dy), _data(y), _data(dx))
    return dx


def leaky_relu(cnp.ndarray x, double slope):
    cdef cnp.ndarray y = _like(x)
    cdef fc_target on = _target(x, _elements(x))
    with nogil:
        fc_leaky_relu(on, cnp.PyArray_SIZE(x), _data(x), slope, _data(y))
    return y


def leaky_relu_backward(cnp.ndarray dy, cnp.ndarray x, double slope):
    cdef cnp.ndarray dx = _like(dy)
    cdef fc_target on = _target(dy, _elements(dy))
    with nogil:
        fc_leaky_relu_backward(on, cnp.PyArray_SIZE(dy), _data(dy), _data(x), slope, _data(dx))
    return dx


def sigmoid(cnp.ndarray x):
    cdef cnp.ndarray y = _like(x)
    cdef fc_target on = _target(x, _elements_of_functions(x))
    with nogil:
        fc_sigmoid(on, cnp.PyArray_SIZE(x), _data(x), _data(y))
    return y


def sigmoid_backward(cnp.ndarray dy, cnp.ndarray y):
    cdef cnp.ndarray dx = _like(dy)
    cdef fc_target on = _target(dy, _elements(dy))
    with nogil:
        fc_sigmoid_backward(on, cnp.PyArray_SIZE(dy), _data(dy), _data(y), _data(dx))
    return dx


def tanh(cnp.ndarray x):
    cdef cnp.ndarray y = _like(x)
    cdef fc_target on = _target(x, _elements_of_functions(x))
    with nogil:
        fc_tanh(on, cnp.PyArray_SIZE(x), _data(x), _data(y))
    return y


def tanh_backward(cnp.ndarray dy, cnp.ndarray y):
    cdef cnp.ndarray dx = _like(dy)
    cdef fc_target on = _target(dy, _elements(dy))
    with nogil:
        fc_tanh_backward(on, cnp.PyArray_SIZE(dy), _data(dy), _data(y), _data(dx))
    return dx


def add(cnp.ndarray a, cnp.ndarray b):
    cdef cnp.ndarray total = _like(a)
    cdef fc_target on = _target(a, _elements(a))
    with nogil:
        fc_add(on, cnp.PyArray_SIZE(a), _data(a), _data(b), _data(total))
    return total


def dropout(cnp.ndarray x, double p, uint64_t seed, uint64_t offset, uint64_t first=0):
    """`first`: the number of x's first element where x is a part of more, a multiple of 16384."""
    cdef cnp.ndarray y = _like(x)
    cdef fc_target on = _target(x, _elements_of_functions(x))
    with nogil:
        fc_dropout(on, cnp.PyArray_SIZE(x), _data(x), p, seed, offset, first, _data(y))
    return y


def concat(list arrays, tuple shape, int64_t rows):
    """`shape`: of the result; `rows`: the product of its sizes before the axis along which the arrays are joined."""
    cdef cnp.ndarray array, joined = _new(shape, cnp.PyArray_TYPE(<cnp.ndarray>arrays[0]))
    cdef fc_target on = _target(joined, _elements(joined))
    cdef int64_t pitch = cnp.PyArray_SIZE(joined) // rows if rows else 0, start = 0, width
    for array in arrays:
        width = cnp.PyArray_SIZE(array) // rows if rows else 0
        with nogil:
            fc_copy_rows(on, rows, width, _data(array), width, _element(joined, start), pitch)
        start += width
    return joined


def concat_backward(cnp.ndarray dy, list shapes, int64_t rows):
    """Arrays of these shapes; `rows`: the product of dy's sizes before the axis along which it is cut."""
    cdef cnp.ndarray part
    cdef fc_target on = _target(dy, _elements(dy))
    cdef int64_t pitch = cnp.PyArray_SIZE(dy) // rows if rows else 0, start = 0, width
    cdef list parts = []
    for shape in shapes:
        part = _new(shape, cnp.PyArray_TYPE(dy))
        width = cnp.PyArray_SIZE(part) // rows if rows else 0
        with nogil:
            fc_copy_rows(on, rows, width, _element(dy, start), pitch, _data(part), width)
        start += width
        parts.append(part)
    return tuple(parts)


def all_within(cnp.ndarray which, int64_t count):
    """Whether all of an int64 array are numbers from 0 to below `count`."""
    cdef int64_t *number = <int64_t *>_data(which)
    cdef int64_t i
    for i in range(cnp.PyArray_SIZE(which)):
        if not 0 <= number[i] < count:
            return False
    return True


def look_up(cnp.ndarray images, cnp.ndarray which, cnp.ndarray table):
    """table[images[which]], or table[images] where `which` is None: 256 numbers, bytes, int64, all within."""
    cdef int64_t count = images.shape[0], rows = count if which is None else which.shape[0]
    cdef int64_t width = cnp.PyArray_SIZE(images) // count if count else 0
    cdef int64_t *which_data = NULL if which is None else <int64_t *>_data(which)
    cdef cnp.ndarray numbers = _new((rows, *(<object>images).shape[1:]), cnp.PyArray_TYPE(table))
    cdef fc_target on = _target(numbers, _elements_of_functions(numbers))
    with nogil:
        fc_look_up(on, rows, width, <uint8_t *>_data(images), which_data, _data(table), _data(numbers))
    return numbers


def softmax(cnp.ndarray x):
    cdef cnp.ndarray y = _like(x)
    cdef int64_t rows = x.shape[0], classes = x.shape[1]
    cdef fc_target on = _target(x, _elements_of_functions(x))
    with nogil:
        fc_softmax(on, rows, classes, _data(x), _data(y))
    return y


def softmax_backward(cnp.ndarray dy, cnp.ndarray y):
    cdef cnp.ndarray dx = _like(dy)
    cdef int64_t rows = dy.shape[0], classes = dy.shape[1]
    cdef fc_target on = _target(dy, _elements(dy))
    with nogil:
        fc_softmax_backward(on, rows, classes, _data(dy), _data(y), _data(dx))
    return dx


def log_softmax(cnp.ndarray x):
    cdef cnp.ndarray y = _like(x)
    cdef int64_t rows = x.shape[0], classes = x.shape[1]
    cdef fc_target on = _target(x, _elements_of_functions(x))
    with nogil:
        fc_log_softmax(on, rows, classes, _data(x), _data(y))
    return y


def log_softmax_backward(cnp.ndarray dy, cnp.ndarray y):
    cdef cnp.ndarray dx = _like(dy)
    cdef int64_t rows = dy.shape[0], classes = dy.shape[1]
    cdef fc_target on = _target(dy, _elements_of_functions(dy))
    with nogil:
        fc_log_softmax_backward(on, rows, classes, _data(dy), _data(y), _data(dx))
    return dx


def cross_entropy(cnp.ndarray logits, cnp.ndarray index, cnp.ndarray soft):
    """One of `index` (int64) and `soft` is None."""
    cdef int64_t rows = logits.shape[0], classes = logits.shape[1]
    cdef cnp.ndarray loss = _new((rows,), cnp.PyArray_TYPE(logits))
    cdef int64_t *index_data = NULL if index is None else <int64_t *>_data(index)
    cdef void *soft_data = NULL if soft is None else _data(soft)
    cdef fc_target on = _target(logits, _elements_of_functions(logits))
    with nogil:
        fc_cross_entropy(on, rows, classes, _data(logits), index_data, soft_data, _data(loss))
    return loss


def cross_entropy_backward(cnp.ndarray dloss, cnp.ndarray logits, cnp.ndarray index, cnp.ndarray soft):
    """One of `index` (int64) and `soft` is None."""
    cdef int64_t rows = logits.shape[0], classes = logits.shape[1]
    cdef cnp.ndarray dlogits = _like(logits)
    cdef int64_t *index_data = NULL if index is None else <int64_t *>_data(index)
    cdef void *soft_data = NULL if soft is None else _data(soft)
    cdef fc_target on = _target(logits, _elements_of_functions(logits))
    with nogil:
        fc_cross_entropy_backward(on, rows, classes, _data(dloss), _data(logits), index_data, soft_data,
                                  _data(dlogits))
    return dlogits


def sgd_update(cnp.ndarray data, cnp.ndarray grad, double lr):
    cdef fc_target on = _target(data, _elements(data))
    with nogil:
        fc_sgd_update(on, cnp.PyArray_SIZE(data), _data(data), _data(grad), lr)


def momentum_update(cnp.ndarray data, cnp.ndarray grad, cnp.ndarray velocity, double lr, double momentum,
                    bint nesterov):
    cdef fc_target on = _target(data, _elements(data))
    with nogil:
        fc_momentum_update(on, cnp.PyArray_SIZE(data), _data(data), _data(grad), _data(velocity), lr, momentum,
                           nesterov)


def rmsprop_update(cnp.ndarray data, cnp.ndarray grad, cnp.ndarray square_average, double lr, double decay, double eps):
    cdef fc_target on = _target(data, _elements_of_functions(data))
    with nogil:
        fc_rmsprop_update(on, cnp.PyArray_SIZE(data), _data(data), _data(grad), _data(square_average), lr,
                          decay, eps)


def adam_update(cnp.ndarray data, cnp.ndarray grad, cnp.ndarray first_moment, cnp.ndarray second_moment, double lr,
                double beta1, double beta2, double eps, int64_t step, double weight_decay):
    cdef fc_target on = _target(data, _elements_of_functions(data))
    with nogil:
        fc_adam_update(on, cnp.PyArray_SIZE(data), _data(data), _data(grad), _data(first_moment),
                       _data(second_moment), lr, beta1, beta2, eps, step, weight_decay)


def adjust_gradient(cnp.ndarray grad, cnp.ndarray data, double scale, double limit, double l1, double l2):
    cdef fc_target on = _target(grad, _elements(grad))
    with nogil:
        fc_adjust_gradient(on, cnp.PyArray_SIZE(grad), _data(grad), _data(data), scale, limit, l1, l2)


def sum_of_squares(cnp.ndarray x):
    cdef fc_target on = _target(x, _elements(x))
    cdef double total
    cdef Scratch scratch = Scratch(fc_sum_of_squares_workspace(on, cnp.PyArray_SIZE(x)))
    with nogil:
        total = fc_sum_of_squares(on, cnp.PyArray_SIZE(x), _data(x), scratch.memory)
    return total
