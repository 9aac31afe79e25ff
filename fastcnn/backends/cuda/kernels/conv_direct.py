"""Convolution and its two backwards, of any stride, padding, dilation and number of channels.

    y[n,o,i,j]   = bias[o] + sum over c,r,s of w[o,c,r,s] * x[n, c, i*stride + r*dilation - padding, ...]
    dx[n,c,h,v]  = sum over o,r,s of w[o,c,r,s] * dy[n,o,i,j], where i*stride + r*dilation - padding = h, and so on
    dw[o,c,r,s]  = sum over n,i,j of dy[n,o,i,j] * x[n, c, i*stride + r*dilation - padding, ...]

Layout     NCHW, OIHW. All sizes but the batch are constants of the kernel, so that no index takes a division.
Method     Products of matrices that are never stored: `kernels.gemm` asks for an element, the functions here find it.
             y   (O, pixels of y)  = w (O, C*KH*KW)   @ windows of x
             dx  (C, pixels of x)  = w^T (C, O*KH*KW) @ what of dy each pixel of x was part of
             dw  (O, C*KH*KW)      = dy (O, pixels)   @ windows of x, transposed; in parts of the pixels
Numerics   Chains in the order of c,r,s; of o,r,s; and of n,i,j within a part.
NaN        What lies outside counts as 0, also times a weight that is infinite or NaN.
"""

from typing import NamedTuple

from fastcnn.backends.cuda.kernels.gemm import (
    SUMS,
    THREADS,
    TILE,
    column_of,
    load_deep,
    multiplying,
    row_of,
)
from fastcnn.backends.cuda.language import cuda, inline, kernel, pointer, uint32


class Geometry(NamedTuple):
    """The sizes of a convolution, but for the batch."""

    channels: int
    height: int
    width: int
    outputs: int
    kernel: tuple[int, int]
    out: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


def window_loader(real, geometry):
    """Element (pixel, k) of the windows of x: the cell that tap k = (c, r, s) meets for output pixel (n, i, j)."""
    channels, height, width, _, (kernel_height, kernel_width), (out_height, out_width) = geometry[:6]
    (stride_down, stride_across), (above, before), (dilation_down, dilation_across) = geometry[6:]
    taps, pixels = kernel_height * kernel_width, out_height * out_width
    plane, image = height * width, channels * height * width
    bottom, right = height + above, width + before

    @inline
    def load(x, pixel, k):
        n, cell = uint32(pixel // uint32(pixels)), uint32(pixel % uint32(pixels))
        i, j = uint32(cell // uint32(out_width)), uint32(cell % uint32(out_width))
        c, tap = uint32(k // uint32(taps)), uint32(k % uint32(taps))
        r, s = uint32(tap // uint32(kernel_width)), uint32(tap % uint32(kernel_width))
        h = uint32(i * uint32(stride_down) + r * uint32(dilation_down))  # counted from the edge of the padding
        v = uint32(j * uint32(stride_across) + s * uint32(dilation_across))
        inside = h >= uint32(above) and h < uint32(bottom) and v >= uint32(before) and v < uint32(right)
        at = uint32(n * uint32(image) + c * uint32(plane))
        return x[uint32(at + (h - uint32(above)) * uint32(width) + (v - uint32(before)))] if inside else real(0)

    return load


def reaching_loader(real, geometry):
    """The element of an output map that reached a cell of the input through a tap; 0 if none did."""
    width, kernel_width, (out_height, out_width) = geometry.width, geometry.kernel[1], geometry.out
    (stride_down, stride_across), (above, before), (dilation_down, dilation_across) = geometry[6:]
    pixels = out_height * out_width

    @inline
    def load(maps, number, cell, tap):
        down = uint32(tap // uint32(kernel_width) * uint32(dilation_down))
        across = uint32(tap % uint32(kernel_width) * uint32(dilation_across))
        h = uint32(cell // uint32(width) + uint32(above))  # counted from the edge of the padding
        v = uint32(cell % uint32(width) + uint32(before))
        value = real(0)
        if h >= down and v >= across:
            h, v = uint32(h - down), uint32(v - across)  # of the window's first tap
            i, j = uint32(h // uint32(stride_down)), uint32(v // uint32(stride_across))
            starts = h % uint32(stride_down) == 0 and v % uint32(stride_across) == 0
            if starts and i < uint32(out_height) and j < uint32(out_width):
                value = maps[uint32(number * uint32(pixels) + i * uint32(out_width) + j)]
        return value

    return load


@kernel(threads=THREADS)
def conv2d(real, geometry, biased):
    """Grid (tiles of pixels, tiles of channels)."""
    geometry = Geometry(*geometry)
    outputs, pixels = geometry.outputs, geometry.out[0] * geometry.out[1]
    load_window = window_loader(real, geometry)

    @inline
    def load_x(x, pixel, k, pixels, depth):
        return load_window(x, pixel, k)

    multiply = multiplying(real, load_deep, True, load_x, False)
    depth = geometry.channels * geometry.kernel[0] * geometry.kernel[1]

    def body(x: pointer(real), w: pointer(real), bias: pointer(real), y: pointer(real), batch: uint32):
        sums = cuda.local.array(SUMS, real)
        top, left = uint32(cuda.blockIdx.y * TILE), uint32(cuda.blockIdx.x * TILE)
        count = uint32(batch * uint32(pixels))
        multiply(w, x, sums, top, left, uint32(outputs), count, uint32(depth), uint32(0), uint32(depth))
        for i in range(SUMS):
            o, pixel = uint32(top + row_of(i)), uint32(left + column_of(i))
            if o < uint32(outputs) and pixel < count:
                n, cell = uint32(pixel // uint32(pixels)), uint32(pixel % uint32(pixels))
                first = bias[o] if biased else real(0)
                y[uint32((n * uint32(outputs) + o) * uint32(pixels) + cell)] = first + sums[i]

    return body


@kernel(threads=THREADS)
def conv2d_backward_input(real, geometry):
    """Grid (tiles of pixels, tiles of channels)."""
    geometry = Geometry(*geometry)
    channels, outputs, pixels = geometry.channels, geometry.outputs, geometry.height * geometry.width
    taps = geometry.kernel[0] * geometry.kernel[1]
    depth = outputs * taps
    load_reaching = reaching_loader(real, geometry)

    @inline
    def load_w(w, c, k, lines, depth):
        o, tap = uint32(k // uint32(taps)), uint32(k % uint32(taps))
        return w[uint32((o * uint32(channels) + c) * uint32(taps) + tap)]

    @inline
    def load_dy(dy, pixel, k, lines, depth):
        n, cell = uint32(pixel // uint32(pixels)), uint32(pixel % uint32(pixels))
        o, tap = uint32(k // uint32(taps)), uint32(k % uint32(taps))
        return load_reaching(dy, uint32(n * uint32(outputs) + o), cell, tap)

    multiply = multiplying(real, load_w, False, load_dy, False)

    def body(dy: pointer(real), w: pointer(real), dx: pointer(real), batch: uint32):
        sums = cuda.local.array(SUMS, real)
        top, left = uint32(cuda.blockIdx.y * TILE), uint32(cuda.blockIdx.x * TILE)
        count = uint32(batch * uint32(pixels))
        multiply(w, dy, sums, top, left, uint32(channels), count, uint32(depth), uint32(0), uint32(depth))
        for i in range(SUMS):
            c, pixel = uint32(top + row_of(i)), uint32(left + column_of(i))
            if c < uint32(channels) and pixel < count:
                n, cell = uint32(pixel // uint32(pixels)), uint32(pixel % uint32(pixels))
                dx[uint32((n * uint32(channels) + c) * uint32(pixels) + cell)] = sums[i]

    return body


@kernel(threads=THREADS)
def conv2d_backward_weight(real, geometry):
    """dw[part] = the sum over a part of the pixels; grid (tiles of taps, tiles of channels, parts)."""
    geometry = Geometry(*geometry)
    outputs, pixels = geometry.outputs, geometry.out[0] * geometry.out[1]
    taps = geometry.channels * geometry.kernel[0] * geometry.kernel[1]
    load_window = window_loader(real, geometry)

    @inline
    def load_dy(dy, o, pixel, lines, depth):
        n, cell = uint32(pixel // uint32(pixels)), uint32(pixel % uint32(pixels))
        return dy[uint32((n * uint32(outputs) + o) * uint32(pixels) + cell)]

    @inline
    def load_x(x, tap, pixel, lines, depth):
        return load_window(x, pixel, tap)

    multiply = multiplying(real, load_dy, True, load_x, True)

    def body(dy: pointer(real), x: pointer(real), dw: pointer(real), batch: uint32, part: uint32):
        sums = cuda.local.array(SUMS, real)
        top, left = uint32(cuda.blockIdx.y * TILE), uint32(cuda.blockIdx.x * TILE)
        z = uint32(cuda.blockIdx.z)
        count = uint32(batch * uint32(pixels))
        first = uint32(z * part)
        last = uint32(min(count, uint32(first + part)))
        multiply(dy, x, sums, top, left, uint32(outputs), uint32(taps), count, first, last)
        for i in range(SUMS):
            o, tap = uint32(top + row_of(i)), uint32(left + column_of(i))
            if o < uint32(outputs) and tap < uint32(taps):
                dw[uint32((z * uint32(outputs) + o) * uint32(taps) + tap)] = sums[i]

    return body
