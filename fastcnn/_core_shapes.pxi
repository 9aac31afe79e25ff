"""Checked sizes: a part of _core.pyx, which includes it."""

_PROBLEMS = {FC_BAD_SIZE: "size", FC_BAD_STRIDE: "stride", FC_BAD_PADDING: "padding", FC_KERNEL_TOO_LARGE: "fit",
             FC_WINDOW_TOO_LARGE: "window", FC_OVERFLOW: "overflow"}


cdef class ConvShape:
    """A convolution's sizes, checked. `problem` is None, or what is wrong with them. The stride is cut to what
    the input has room for."""
    cdef fc_conv_shape c
    cdef readonly object problem
    cdef readonly tuple input, weight, output, stride
    cdef double work  # see _target

    def __cinit__(self, tuple input_shape, tuple weight_shape, tuple stride, tuple padding, tuple dilation):
        self.c.batch, self.c.channels, self.c.height, self.c.width = input_shape
        self.c.out_channels, _, self.c.kernel_height, self.c.kernel_width = weight_shape
        self.c.stride_height, self.c.stride_width = stride
        self.c.padding_height, self.c.padding_width = padding
        self.c.dilation_height, self.c.dilation_width = dilation
        self.problem = _PROBLEMS.get(fc_conv_shape_check(&self.c))
        self.input, self.weight = input_shape, weight_shape
        self.output = (self.c.batch, self.c.out_channels, self.c.out_height, self.c.out_width)
        self.stride = (self.c.stride_height, self.c.stride_width)
        self.work = <double>self.c.batch * self.c.out_height * self.c.out_width * self.c.out_channels
        self.work *= <double>self.c.channels * self.c.kernel_height * self.c.kernel_width


cdef class PoolShape:
    """A pooling's sizes, checked; `argmax`: a byte has to number a window's cells. All else is as ConvShape's."""
    cdef fc_pool_shape c
    cdef readonly object problem
    cdef readonly tuple input, output, stride
    cdef double work

    def __cinit__(self, tuple input_shape, tuple kernel_size, tuple stride, tuple padding, bint argmax):
        cdef object planes = input_shape[0] * input_shape[1]
        self.c.planes = planes
        self.c.height, self.c.width = input_shape[2:]
        self.c.kernel_height, self.c.kernel_width = kernel_size
        self.c.stride_height, self.c.stride_width = stride
        self.c.padding_height, self.c.padding_width = padding
        self.problem = _PROBLEMS.get(fc_pool_shape_check(&self.c, argmax))
        self.input = input_shape
        self.output = (input_shape[0], input_shape[1], self.c.out_height, self.c.out_width)
        self.stride = (self.c.stride_height, self.c.stride_width)
        self.work = ELEMENT_WORK * <double>self.c.planes * self.c.height * self.c.width
