"""Convolution, tanh and average-pooling in one call: a part of _core.pyx, which includes it."""


def conv_tanh_pool(ConvShape shape, PoolShape pooling, int algorithm, cnp.ndarray x, cnp.ndarray weight,
                   cnp.ndarray bias):
    """y, and what tanh made of the convolution."""
    cdef cnp.ndarray z = _new(shape.output, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray y = _new(pooling.output, cnp.PyArray_TYPE(x))
    cdef void *bias_data = NULL if bias is None else _data(bias)
    cdef fc_target on = _target(x, shape.work)
    cdef Scratch scratch = Scratch(
        fc_conv_tanh_pool_workspace(on, &shape.c, &pooling.c, <fc_algorithm>algorithm, False, False))
    with nogil:
        fc_conv_tanh_pool(on, &shape.c, &pooling.c, <fc_algorithm>algorithm, _data(x), _data(weight), bias_data,
                          _data(z), _data(y), scratch.memory)
    return y, z


def conv_tanh_pool_scratch(ConvShape shape, PoolShape pooling, int algorithm, bint is_double, bint backward):
    """How many bytes of scratch a call takes, and the pooling alone: for tests."""
    cdef fc_target on
    on.isa, on.is_double, on.workers = fc_isa_current(), is_double, 1
    whole = fc_conv_tanh_pool_workspace(on, &shape.c, &pooling.c, <fc_algorithm>algorithm, backward, False)
    return whole, fc_avg_pool2d_workspace(on, &pooling.c)


def conv_tanh_pool_backward(ConvShape shape, PoolShape pooling, int algorithm, cnp.ndarray dy, cnp.ndarray z,
                            cnp.ndarray x, cnp.ndarray weight, bint input_gradient):
    """dx, or None without `input_gradient`, dweight and dbias."""
    cdef cnp.ndarray dx = _new(shape.input, cnp.PyArray_TYPE(dy)) if input_gradient else None
    cdef cnp.ndarray dweight = _new(shape.weight, cnp.PyArray_TYPE(dy))
    cdef cnp.ndarray dbias = _new((shape.weight[0],), cnp.PyArray_TYPE(dy))
    cdef void *dx_data = NULL if dx is None else _data(dx)
    cdef fc_target on = _target(dy, shape.work)
    cdef Scratch scratch = Scratch(
        fc_conv_tanh_pool_workspace(on, &shape.c, &pooling.c, <fc_algorithm>algorithm, True, input_gradient))
    with nogil:
        fc_conv_tanh_pool_backward(on, &shape.c, &pooling.c, <fc_algorithm>algorithm, _data(dy), _data(z), _data(x),
                                   _data(weight), dx_data, _data(dweight), _data(dbias), scratch.memory)
    return dx, dweight, dbias
