"""The memory of results and of scratch: a part of _core.pyx, which includes it.

Freed blocks wait in lists by size, so that a training step allocates nothing after the first and finds its pages warm.
Sizes are rounded up to four classes per power of two. Everything here runs under the GIL.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memset

cdef extern from "<stdlib.h>" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)

cdef dict _free_blocks = {}
cdef size_t _cached_bytes = 0
cdef size_t _cache_limit = <size_t>1 << 30
cdef int64_t _blocks_allocated = 0
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
        global _cached_bytes, _blocks_allocated
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
        else:
            _blocks_allocated += 1
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


def blocks_allocated():
    """How many blocks were asked of the operating system so far, because the cache had none of their size."""
    return _blocks_allocated


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


cdef inline cnp.ndarray _like(cnp.ndarray array):
    return _new((<object>array).shape, cnp.PyArray_TYPE(array))


cdef inline void *_data(cnp.ndarray array) noexcept nogil:
    return cnp.PyArray_DATA(array)


cdef inline void *_element(cnp.ndarray array, int64_t index) noexcept nogil:
    return cnp.PyArray_BYTES(array) + index * cnp.PyArray_ITEMSIZE(array)
