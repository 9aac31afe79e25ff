"""The windows of a convolution as a matrix, and back.

    im2col   columns[n, (c,r,s), (i,j)] = x[n, c, i*stride + r*dilation - padding, ...], 0 outside x
    col2im   dx[n,c,h,v] = sum of the columns that were copied from there

Layout     columns (N, C*KH*KW, OH*OW). All sizes but the batch are constants of the kernel.
Method     A thread an element. `col2im` gathers: a thread looks which taps meet its cell, in the order of r, s.
Cost       Bound by memory.
"""

from fastcnn.backends.cuda.kernels.conv_direct import Geometry, reaching_loader, window_loader
from fastcnn.backends.cuda.language import cuda, kernel, pointer, uint32

THREADS = 256


@kernel(threads=THREADS)
def im2col(real, geometry):
    """Thread i makes entry i of the columns."""
    geometry = Geometry(*geometry)
    pixels = geometry.out[0] * geometry.out[1]
    depth = geometry.channels * geometry.kernel[0] * geometry.kernel[1]
    load = window_loader(real, geometry)

    def body(x: pointer(real), columns: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        if i < count:
            row, cell = uint32(i // uint32(pixels)), uint32(i % uint32(pixels))
            n, k = uint32(row // uint32(depth)), uint32(row % uint32(depth))
            columns[i] = load(x, uint32(n * uint32(pixels) + cell), k)

    return body


@kernel(threads=THREADS)
def col2im(real, geometry):
    """Thread i makes element i of dx."""
    geometry = Geometry(*geometry)
    taps = geometry.kernel[0] * geometry.kernel[1]
    plane = geometry.height * geometry.width
    load = reaching_loader(real, geometry)

    def body(columns: pointer(real), dx: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        if i < count:
            map_of_columns, cell = uint32(i // uint32(plane) * uint32(taps)), uint32(i % uint32(plane))
            total = real(0)
            for tap in range(uint32(taps)):
                total += load(columns, uint32(map_of_columns + tap), cell, uint32(tap))
            dx[i] = total

    return body
