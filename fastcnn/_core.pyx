# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The only door between Python and csrc/: memory, threads, instruction-set level, and one call per kernel.

`_core` trusts its one caller, `fastcnn.backends.cpu`, to pass C-contiguous, aligned arrays of one dtype and of shapes
that the shape objects below have accepted. Outputs come from a caching allocator; kernels run without the GIL.
"""

import os

from libc.stdint cimport int64_t, uint8_t, uint64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memset

cimport numpy as cnp

from fastcnn.errors import ConfigError

cnp.import_array()

cdef extern from "<stdlib.h>" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)


# ---- instruction-set level ------------------------------------------------------------------------------------------

def isa_compiled():
    """Names of the levels this build has, lowest first."""
    return tuple(fc_isa_name(<fc_isa>i).decode() for i in range(FC_ISA_COUNT) if fc_isa_compiled(<fc_isa>i))


def isa_levels():
    """Names of the levels that this build has and this CPU can run, lowest first."""
    return tuple(fc_isa_name(<fc_isa>i).decode() for i in range(FC_ISA_COUNT) if fc_isa_usable(<fc_isa>i))


def get_isa():
    """Name of the level in use."""
    return fc_isa_name(fc_isa_current()).decode()


def set_isa(str name):
    """Use the kernels of this level from now on, in every thread."""
    for i in range(FC_ISA_COUNT):
        if fc_isa_usable(<fc_isa>i) and fc_isa_name(<fc_isa>i).decode() == name:
            fc_isa_select(<fc_isa>i)
            return
    raise ConfigError(f"instruction-set level {name!r} is not to be had here; choose one of {', '.join(isa_levels())} "
                      "(environment variable FASTCNN_ISA)")


def compiler():
    """Name and version of the compiler that built the kernels."""
    return FC_COMPILER.decode()


# ---- threads --------------------------------------------------------------------------------------------------------

MOST_THREADS = 1024
cdef int _threads = 1
cdef bint _forked = False


def has_openmp():
    """Whether this build can use more than one thread."""
    return bool(fc_has_openmp())


def get_num_threads():
    """Number of threads that kernels use."""
    return _threads


def set_num_threads(count):
    """Let kernels use this many threads; in a build without OpenMP, one. A forked child refuses more than one."""
    global _threads
    if not (isinstance(count, int) and 1 <= count <= MOST_THREADS):
        raise ConfigError(f"the number of threads must be a whole number from 1 to {MOST_THREADS}, got {count!r}")
    if _forked and count > 1:
        raise ConfigError("a forked child runs on one thread, because OpenMP's threads do not survive a fork; start "
                          "processes with multiprocessing's 'spawn' method to use more")
    _threads = count if fc_has_openmp() else 1


def _after_fork_in_child():
    global _threads, _forked
    _threads = 1
    _forked = True


os.register_at_fork(after_in_child=_after_fork_in_child)


# ---- memory ---------------------------------------------------------------------------------------------------------

# Freed blocks wait in lists by size, so that a training step allocates nothing after the first and finds its pages
# warm. Sizes are rounded up to four classes per power of two. Everything here runs under the GIL.
cdef dict _free_blocks = {}
cdef size_t _cached_bytes = 0
cdef size_t _cache_limit = <size_t>1 << 30
cdef bint _poison = False


cdef size_t _size_class(size_t size) noexcept:
    cdef size_t step = 64
    while step * 8 < size:
        step *= 2
    return (size + step - 1) // step * step


cdef class Block:
    """A piece of 64-byte aligned memory that returns to the cache when nobody holds it."""
    cdef void *memory
    cdef size_t size

    def __cinit__(self, size_t size):
        global _cached_bytes
        if size > <size_t>1 << 62:
            raise MemoryError("a result or its scratch memory would be larger than the address space")
        self.size = _size_class(size if size else 1)
        cdef list waiting = _free_blocks.get(self.size)
        if waiting and not _poison:
            self.memory = <void *><uintptr_t>waiting.pop()
            _cached_bytes -= self.size
        elif posix_memalign(&self.memory, 64, self.size):
            self.memory = NULL
            raise MemoryError(f"cannot allocate {self.size} bytes")
        if _poison:
            memset(self.memory, 0xff, self.size)

    def __dealloc__(self):
        global _cached_bytes
        if self.memory is NULL:
            return
        if _poison or self.size > _cache_limit:
            free(self.memory)
            return
        if _cached_bytes + self.size > _cache_limit:
            release_memory()  # blocks of sizes that are no longer in use must not keep the new ones out
        _free_blocks.setdefault(self.size, []).append(<uintptr_t>self.memory)
        _cached_bytes += self.size


def release_memory():
    """Give all cached, unused memory back to the operating system."""
    global _free_blocks, _cached_bytes
    lists, _free_blocks, _cached_bytes = _free_blocks, {}, 0  # first: a finaliser may add blocks meanwhile
    for blocks in lists.values():
        for address in blocks:
            free(<void *><uintptr_t>address)


def set_poison(bint on):
    """Fill fresh memory with NaN (0xff bytes) and don't reuse any: for tests, where an unwritten cell must show."""
    global _poison
    _poison = on


cdef enum:
    MOST_DIMENSIONS = 64  # NumPy's own limit


cdef cnp.ndarray _new(tuple shape, int typenum):
    cdef cnp.npy_intp dims[MOST_DIMENSIONS]
    cdef int ndim = len(shape), i
    cdef int64_t count = 1
    if ndim > MOST_DIMENSIONS:
        raise ValueError(f"arrays of more than {MOST_DIMENSIONS} dimensions are not supported, got {ndim}")
    for i in range(ndim):
        dims[i] = shape[i]
        count *= dims[i]
    cdef Block block = Block(count * (1 if typenum == cnp.NPY_UINT8 else 4 if typenum == cnp.NPY_FLOAT32 else 8))
    cdef cnp.ndarray array = cnp.PyArray_SimpleNewFromData(ndim, dims, typenum, block.memory)
    cnp.set_array_base(array, block)
    return array


cdef inline fc_target _target(cnp.ndarray array) noexcept:
    """What to compute on: the array's element type, and the level and number of threads of this moment."""
    cdef fc_target on
    on.isa = fc_isa_current()
    on.is_double = cnp.PyArray_ITEMSIZE(array) == 8
    on.workers = _threads
    return on


cdef inline cnp.ndarray _like(cnp.ndarray array):
    return _new((<object>array).shape, cnp.PyArray_TYPE(array))


cdef inline void *_data(cnp.ndarray array) noexcept nogil:
    return cnp.PyArray_DATA(array)


# ---- shapes ---------------------------------------------------------------------------------------------------------

_PROBLEMS = {FC_BAD_SIZE: "size", FC_BAD_STRIDE: "stride", FC_BAD_PADDING: "padding", FC_KERNEL_TOO_LARGE: "fit",
             FC_WINDOW_TOO_LARGE: "window", FC_OVERFLOW: "overflow"}


cdef class ConvShape:
    """A convolution's sizes, checked. `problem` is None, or what is wrong with them."""
    cdef fc_conv_shape c
    cdef readonly object problem
    cdef readonly tuple input, weight, output

    def __cinit__(self, tuple input_shape, tuple weight_shape, tuple stride, tuple padding, tuple dilation):
        self.c.batch, self.c.channels, self.c.height, self.c.width = input_shape
        self.c.out_channels, _, self.c.kernel_height, self.c.kernel_width = weight_shape
        self.c.stride_height, self.c.stride_width = stride
        self.c.padding_height, self.c.padding_width = padding
        self.c.dilation_height, self.c.dilation_width = dilation
        self.problem = _PROBLEMS.get(fc_conv_shape_check(&self.c))
        self.input, self.weight = input_shape, weight_shape
        self.output = (self.c.batch, self.c.out_channels, self.c.out_height, self.c.out_width)


cdef class PoolShape:
    """A pooling's sizes, checked. `problem` is None, or what is wrong with them."""
    cdef fc_pool_shape c
    cdef readonly object problem
    cdef readonly tuple input, output

    def __cinit__(self, tuple input_shape, tuple kernel_size, tuple stride, tuple padding):
        cdef object planes = input_shape[0] * input_shape[1]
        self.c.planes = planes
        self.c.height, self.c.width = input_shape[2:]
        self.c.kernel_height, self.c.kernel_width = kernel_size
        self.c.stride_height, self.c.stride_width = stride
        self.c.padding_height, self.c.padding_width = padding
        self.problem = _PROBLEMS.get(fc_pool_shape_check(&self.c))
        self.input = input_shape
        self.output = (input_shape[0], input_shape[1], self.c.out_height, self.c.out_width)


# ---- kernels --------------------------------------------------------------------------------------------------------

ALGORITHMS = {"auto": FC_AUTO, "direct": FC_DIRECT, "im2col": FC_IM2COL}
DIRECTIONS = {"forward": FC_FORWARD, "backward_input": FC_BACKWARD_INPUT, "backward_weight": FC_BACKWARD_WEIGHT}


def conv2d_algorithm(ConvShape shape, bint is_double, int direction):
    """Name of the algorithm that "auto" takes for this shape."""
    cdef fc_target on
    on.isa, on.is_double, on.workers = fc_isa_current(), is_double, _threads
    chosen = fc_conv2d_algorithm(on, &shape.c, <fc_direction>direction)
    return next(name for name, value in ALGORITHMS.items() if value == chosen)


def conv2d(ConvShape shape, int algorithm, cnp.ndarray x, cnp.ndarray weight, cnp.ndarray bias):
    cdef cnp.ndarray y = _new(shape.output, cnp.PyArray_TYPE(x))
    cdef fc_target on = _target(x)
    cdef void *bias_data = NULL if bias is None else _data(bias)
    cdef Block scratch = Block(fc_conv2d_workspace(on, &shape.c, FC_FORWARD, <fc_algorithm>algorithm))
    with nogil:
        fc_conv2d(on, &shape.c, <fc_algorithm>algorithm, _data(x), _data(weight), bias_data, _data(y),
                  scratch.memory)
    return y


def conv2d_backward_input(ConvShape shape, int algorithm, cnp.ndarray dy, cnp.ndarray weight):
    cdef cnp.ndarray dx = _new(shape.input, cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy)
    cdef Block scratch = Block(
        fc_conv2d_workspace(on, &shape.c, FC_BACKWARD_INPUT, <fc_algorithm>algorithm))
    with nogil:
        fc_conv2d_backward_input(on, &shape.c, <fc_algorithm>algorithm, _data(dy), _data(weight), _data(dx),
                                 scratch.memory)
    return dx


def conv2d_backward_weight(ConvShape shape, int algorithm, cnp.ndarray dy, cnp.ndarray x):
    cdef cnp.ndarray dweight = _new(shape.weight, cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy)
    cdef Block scratch = Block(
        fc_conv2d_workspace(on, &shape.c, FC_BACKWARD_WEIGHT, <fc_algorithm>algorithm))
    with nogil:
        fc_conv2d_backward_weight(on, &shape.c, <fc_algorithm>algorithm, _data(dy), _data(x), _data(dweight),
                                  scratch.memory)
    return dweight


def channel_sum(int64_t batch, int64_t channels, int64_t plane, cnp.ndarray x):
    cdef cnp.ndarray total = _new((channels,), cnp.PyArray_TYPE(x))
    cdef fc_target on = _target(x)
    with nogil:
        fc_channel_sum(on, batch, channels, plane, _data(x), _data(total))
    return total


def im2col(ConvShape shape, cnp.ndarray x, tuple columns_shape):
    cdef cnp.ndarray columns = _new(columns_shape, cnp.PyArray_TYPE(x))
    cdef fc_target on = _target(x)
    with nogil:
        fc_im2col(on, &shape.c, _data(x), _data(columns))
    return columns


def col2im(ConvShape shape, cnp.ndarray columns):
    cdef cnp.ndarray x = _new(shape.input, cnp.PyArray_TYPE(columns))
    cdef fc_target on = _target(columns)
    with nogil:
        fc_col2im(on, &shape.c, _data(columns), _data(x))
    return x


def matmul(cnp.ndarray a, cnp.ndarray b, int64_t m, int64_t n, int64_t k, bint transpose_a, bint transpose_b):
    cdef cnp.ndarray c = _new((m, n), cnp.PyArray_TYPE(a))
    cdef fc_matmul_shape shape
    shape.m, shape.n, shape.k = m, n, k
    shape.transpose_a, shape.transpose_b = transpose_a, transpose_b
    cdef fc_target on = _target(a)
    cdef Block scratch = Block(fc_matmul_workspace(on, &shape))
    with nogil:
        fc_matmul(on, &shape, _data(a), _data(b), _data(c), scratch.memory)
    return c


def max_pool2d(PoolShape shape, cnp.ndarray x):
    cdef cnp.ndarray y = _new(shape.output, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray argmax = _new(shape.output, cnp.NPY_UINT8)
    cdef fc_target on = _target(x)
    with nogil:
        fc_max_pool2d(on, &shape.c, _data(x), _data(y), <uint8_t *>_data(argmax))
    return y, argmax


def max_pool2d_backward(PoolShape shape, cnp.ndarray dy, cnp.ndarray argmax):
    """dx, or None if an argmax is not a cell of its window."""
    cdef cnp.ndarray dx = _new(shape.input, cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy)
    cdef fc_status status
    with nogil:
        status = fc_max_pool2d_backward(on, &shape.c, _data(dy), <uint8_t *>_data(argmax), _data(dx))
    return dx if status == FC_OK else None


def relu(cnp.ndarray x):
    cdef cnp.ndarray y = _like(x)
    cdef fc_target on = _target(x)
    with nogil:
        fc_relu(on, cnp.PyArray_SIZE(x), _data(x), _data(y))
    return y


def relu_backward(cnp.ndarray dy, cnp.ndarray y):
    cdef cnp.ndarray dx = _like(dy)
    cdef fc_target on = _target(dy)
    with nogil:
        fc_relu_backward(on, cnp.PyArray_SIZE(dy), _data(dy), _data(y), _data(dx))
    return dx


def dropout(cnp.ndarray x, double p, uint64_t seed, uint64_t offset):
    cdef cnp.ndarray y = _like(x)
    cdef fc_target on = _target(x)
    with nogil:
        fc_dropout(on, cnp.PyArray_SIZE(x), _data(x), p, seed, offset, _data(y))
    return y


def softmax(cnp.ndarray x):
    cdef cnp.ndarray y = _like(x)
    cdef int64_t rows = x.shape[0], classes = x.shape[1]
    cdef fc_target on = _target(x)
    with nogil:
        fc_softmax(on, rows, classes, _data(x), _data(y))
    return y


def softmax_backward(cnp.ndarray dy, cnp.ndarray y):
    cdef cnp.ndarray dx = _like(dy)
    cdef int64_t rows = dy.shape[0], classes = dy.shape[1]
    cdef fc_target on = _target(dy)
    with nogil:
        fc_softmax_backward(on, rows, classes, _data(dy), _data(y), _data(dx))
    return dx


def log_softmax(cnp.ndarray x):
    cdef cnp.ndarray y = _like(x)
    cdef int64_t rows = x.shape[0], classes = x.shape[1]
    cdef fc_target on = _target(x)
    with nogil:
        fc_log_softmax(on, rows, classes, _data(x), _data(y))
    return y


def log_softmax_backward(cnp.ndarray dy, cnp.ndarray y):
    cdef cnp.ndarray dx = _like(dy)
    cdef int64_t rows = dy.shape[0], classes = dy.shape[1]
    cdef fc_target on = _target(dy)
    with nogil:
        fc_log_softmax_backward(on, rows, classes, _data(dy), _data(y), _data(dx))
    return dx


def cross_entropy(cnp.ndarray logits, cnp.ndarray index, cnp.ndarray soft):
    """One of `index` (int64) and `soft` is None."""
    cdef int64_t rows = logits.shape[0], classes = logits.shape[1]
    cdef cnp.ndarray loss = _new((rows,), cnp.PyArray_TYPE(logits))
    cdef int64_t *index_data = NULL if index is None else <int64_t *>_data(index)
    cdef void *soft_data = NULL if soft is None else _data(soft)
    cdef fc_target on = _target(logits)
    with nogil:
        fc_cross_entropy(on, rows, classes, _data(logits), index_data, soft_data, _data(loss))
    return loss


def cross_entropy_backward(cnp.ndarray dloss, cnp.ndarray logits, cnp.ndarray index, cnp.ndarray soft):
    """One of `index` (int64) and `soft` is None."""
    cdef int64_t rows = logits.shape[0], classes = logits.shape[1]
    cdef cnp.ndarray dlogits = _like(logits)
    cdef int64_t *index_data = NULL if index is None else <int64_t *>_data(index)
    cdef void *soft_data = NULL if soft is None else _data(soft)
    cdef fc_target on = _target(logits)
    with nogil:
        fc_cross_entropy_backward(on, rows, classes, _data(dloss), _data(logits), index_data, soft_data,
                                  _data(dlogits))
    return dlogits


def rmsprop_update(cnp.ndarray data, cnp.ndarray grad, cnp.ndarray square_average, double lr, double decay, double eps):
    cdef fc_target on = _target(data)
    with nogil:
        fc_rmsprop_update(on, cnp.PyArray_SIZE(data), _data(data), _data(grad), _data(square_average), lr,
                          decay, eps)


def sgd_update(cnp.ndarray data, cnp.ndarray grad, double lr):
    cdef fc_target on = _target(data)
    with nogil:
        fc_sgd_update(on, cnp.PyArray_SIZE(data), _data(data), _data(grad), lr)
