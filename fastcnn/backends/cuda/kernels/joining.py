"""Joining arrays along an axis, and cutting them apart.

Joined arrays are rows of `pitch` elements, a row for each place before the axis; each part has `length` of them, from
`first` on.

Layout     Thread i takes element i of the part.
Cost       Bound by memory: each element is read and written once.
"""

from fastcnn.backends.cuda.language import cuda, kernel, pointer, uint32

THREADS = 256


@kernel(threads=THREADS)
def join(real):
    """Write a part to its place."""

    def body(part: pointer(real), whole: pointer(real), length: uint32, pitch: uint32, first: uint32, count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            row = uint32(i // length)
            whole[uint32(row * pitch + first + (i - row * length))] = part[i]

    return body


@kernel(threads=THREADS)
def cut(real):
    """Read a part from its place."""

    def body(part: pointer(real), whole: pointer(real), length: uint32, pitch: uint32, first: uint32, count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            row = uint32(i // length)
            part[i] = whole[uint32(row * pitch + first + (i - row * length))]

    return body
