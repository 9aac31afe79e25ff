"""Convolution, ReLU, pooling and dropout in one pass: a part of _core.pyx, which includes it."""


def conv_pool_fits(ConvShape shape, int64_t pool):
    """Whether the functions below take this shape; those of average-pooling only with windows of 2x2."""
    return bool(fc_conv_pool_fits(&shape.c, pool))


def conv_pool(ConvShape shape, PoolShape pooling, int64_t pool, bint average, int algorithm, cnp.ndarray x,
              cnp.ndarray weight, cnp.ndarray bias, double p, uint64_t seed, uint64_t offset, bint for_backward,
              Packed packed=None):
    """y, dropped out where p > 0, and argmax, None unless `for_backward`; with `average`, active pixels."""
    cdef cnp.ndarray y = _new(pooling.output, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray argmax = _new(pooling.output, cnp.NPY_UINT8) if for_backward else None
    cdef void *argmax_data = NULL if argmax is None else _data(argmax)
    cdef fc_target on = _target(x, shape.work)
    cdef void *bias_data = NULL if bias is None else _data(bias)
    cdef fc_drop_rule dropout
    dropout.p, dropout.seed, dropout.offset = p, seed, offset
    cdef size_t size = fc_conv_pool_workspace(on, &shape.c, FC_FORWARD, pool, <fc_algorithm>algorithm)
    cdef bint ready = packed is not None and packed.ready(size, on)
    cdef Scratch scratch = Scratch(size) if packed is None else packed.scratch
    with nogil:
        fc_conv_pool(on, &shape.c, pool, average, <fc_algorithm>algorithm, &dropout, _data(x), _data(weight), ready,
                     bias_data, _data(y), <uint8_t *>argmax_data, scratch.memory)
    return y, argmax


def conv_pool_backward_input(ConvShape shape, int64_t pool, double p, cnp.ndarray dy, cnp.ndarray y,
                             cnp.ndarray argmax, cnp.ndarray weight):
    cdef cnp.ndarray dx = _new(shape.input, cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy, shape.work)
    cdef Scratch scratch = Scratch(fc_conv_pool_workspace(on, &shape.c, FC_BACKWARD_INPUT, pool, FC_AUTO))
    with nogil:
        fc_conv_pool_backward_input(on, &shape.c, pool, p, _data(dy), _data(y), <uint8_t *>_data(argmax),
                                    _data(weight), _data(dx), scratch.memory)
    return dx


def conv_pool_backward_weight(ConvShape shape, int64_t pool, double p, cnp.ndarray dy, cnp.ndarray y,
                              cnp.ndarray argmax, cnp.ndarray x):
    """dweight and dbias, or None if an argmax is not a cell of its window."""
    cdef cnp.ndarray dweight = _new(shape.weight, cnp.PyArray_TYPE(dy))
    cdef cnp.ndarray dbias = _new((shape.weight[0],), cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy, shape.work)
    cdef Scratch scratch = Scratch(fc_conv_pool_workspace(on, &shape.c, FC_BACKWARD_WEIGHT, pool, FC_AUTO))
    cdef fc_status status
    with nogil:
        status = fc_conv_pool_backward_weight(on, &shape.c, pool, p, _data(dy), _data(y), <uint8_t *>_data(argmax),
                                              _data(x), _data(dweight), _data(dbias), scratch.memory)
    return (dweight, dbias) if status == FC_OK else None


def conv_avg_pool_backward(ConvShape shape, int algorithm, cnp.ndarray dy, cnp.ndarray active, cnp.ndarray x,
                           cnp.ndarray weight, bint input_gradient):
    """dx, or None without `input_gradient`, dweight and dbias."""
    cdef cnp.ndarray dx = _new(shape.input, cnp.PyArray_TYPE(dy)) if input_gradient else None
    cdef cnp.ndarray dweight = _new(shape.weight, cnp.PyArray_TYPE(dy))
    cdef cnp.ndarray dbias = _new((shape.weight[0],), cnp.PyArray_TYPE(dy))
    cdef fc_target on = _target(dy, shape.work)
    cdef void *dx_data = NULL if dx is None else _data(dx)
    cdef Scratch scratch = Scratch(
        fc_conv_avg_pool_workspace(on, &shape.c, <fc_algorithm>algorithm, input_gradient))
    with nogil:
        fc_conv_avg_pool_backward(on, &shape.c, <fc_algorithm>algorithm, _data(dy), <uint8_t *>_data(active),
                                  _data(x), _data(weight), dx_data, _data(dweight), _data(dbias), scratch.memory)
    return dx, dweight, dbias
