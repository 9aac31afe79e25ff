"""Fully connected layers: a part of _core.pyx, which includes it."""


cdef fc_linear_shape _linear_shape(cnp.ndarray x, cnp.ndarray weight) noexcept:
    cdef fc_linear_shape shape
    shape.batch, shape.inputs, shape.outputs = x.shape[0], x.shape[1], weight.shape[0]
    return shape


def linear(cnp.ndarray x, cnp.ndarray weight, cnp.ndarray bias, bint relu, double p, uint64_t seed, uint64_t offset):
    """x times the transposed weight, plus the bias, which may be None; then ReLU and dropout, where asked for."""
    cdef fc_linear_shape shape = _linear_shape(x, weight)
    cdef cnp.ndarray y = matmul(x, weight, shape.batch, shape.outputs, shape.inputs, False, True)
    cdef fc_linear_end end
    end.relu, end.dropout.p, end.dropout.seed, end.dropout.offset = relu, p, seed, offset
    cdef fc_target on = _target(x, _matmul_work(shape.batch, shape.outputs, shape.inputs))
    cdef void *bias_data = NULL if bias is None else _data(bias)
    if bias is not None or relu or p > 0:
        with nogil:
            fc_end_linear(on, &shape, &end, bias_data, _data(y))
    return y


def linear_backward(cnp.ndarray dy, cnp.ndarray y, cnp.ndarray x, cnp.ndarray weight, double p, bint input_gradient,
                    cnp.ndarray out):
    """dx, dweight and dbias; y is None where there was no ReLU, dx where nobody wants it. out: memory for dweight, or
    None."""
    cdef fc_linear_shape shape = _linear_shape(x, weight)
    cdef cnp.ndarray dx = _like(x) if input_gradient else None
    cdef cnp.ndarray dweight = _like(weight) if out is None else out
    cdef cnp.ndarray dbias = _new((weight.shape[0],), cnp.PyArray_TYPE(x))
    cdef fc_target on = _target(x, _matmul_work(shape.batch, shape.outputs, shape.inputs))
    cdef void *y_data = NULL if y is None else _data(y)
    cdef void *dx_data = NULL if dx is None else _data(dx)
    cdef Scratch scratch = Scratch(fc_linear_backward_workspace(on, &shape))
    with nogil:
        fc_linear_backward(on, &shape, p, _data(dy), y_data, _data(x), _data(weight), dx_data, _data(dweight),
                           _data(dbias), scratch.memory)
    return dx, dweight, dbias
