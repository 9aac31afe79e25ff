"""The memory of results and of scratch: a part of _core.pyx, which includes it.

Freed blocks wait in lists by size, so that a training step allocates nothing after the first and finds its pages warm.
Sizes are rounded up to sixteen classes per power of two. Scratch lives for one call only: there is one piece of it for
all kernels in turn, as large as the largest need so far. Everything here runs under the GIL.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memset

cdef extern from "<stdlib.h>" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)

cdef dict _free_blocks = {}  # addresses by size
cdef list _free_scratch = []  # (address, size); more than one only where several threads compute at once
cdef size_t _cached_bytes = 0
cdef size_t _cache_limit = <size_t>1 << 30
cdef int64_t _blocks_allocated = 0
cdef bint _poison = False


cdef size_t _size_class(size_t size) noexcept:
    cdef size_t step = 64
    while step * 32 < size:
        step *= 2
    return ((size if size else 1) + step - 1) // step * step


cdef void *_allocate(size_t size) except NULL:
    global _blocks_allocated
    cdef void *memory = NULL
    if posix_memalign(&memory, 64, size):
        raise MemoryError(f"cannot allocate {size} bytes")
    _blocks_allocated += 1
    return memory


cdef bint _keep(size_t size):
    """Whether the cache takes a block that nobody holds any more; counts it if so."""
    global _cached_bytes
    if _poison or size > _cache_limit:
        return False
    if _cached_bytes + size > _cache_limit:
        release_memory()  # blocks of sizes that are no longer in use must not keep the new ones out
    _cached_bytes += size
    return True


cdef class Block:
    """A piece of 64-byte aligned memory that returns to the cache when nobody holds it."""
    cdef void *memory
    cdef size_t size

    def __cinit__(self, size_t size):
        global _cached_bytes
        if size > <size_t>1 << 62:
            raise MemoryError("a result would be larger than the address space")
        self.size = _size_class(size)
        cdef list waiting = _free_blocks.get(self.size)
        if waiting and not _poison:
            self.memory = <void *><uintptr_t>waiting.pop()
            _cached_bytes -= self.size
        else:
            self.memory = _allocate(self.size)
        if _poison:
            memset(self.memory, 0xff, self.size)

    def __dealloc__(self):
        if self.memory is NULL:
            return
        if _keep(self.size):
            _free_blocks.setdefault(self.size, []).append(<uintptr_t>self.memory)
        else:
            free(self.memory)


cdef class Scratch:
    """64-byte aligned memory for one call of a kernel: what the call before has left, made larger where it must be."""
    cdef void *memory
    cdef size_t size

    def __cinit__(self, size_t size, bint fresh=False):
        global _cached_bytes
        if size > <size_t>1 << 62:
            raise MemoryError("scratch memory would be larger than the address space")
        if _free_scratch and not fresh and not _poison:
            address, self.size = _free_scratch.pop()
            self.memory = <void *><uintptr_t>address
            _cached_bytes -= self.size
        if self.memory is NULL or self.size < size:
            free(self.memory)
            self.memory = NULL
            self.size = _size_class(size)
            self.memory = _allocate(self.size)
        if _poison:
            memset(self.memory, 0xff, self.size)

    def __dealloc__(self):
        if self.memory is NULL:
            return
        if _keep(self.size):
            _free_scratch.append((<uintptr_t>self.memory, self.size))
        else:
            free(self.memory)


cdef class Packed:
    """Scratch that one convolution keeps from call to call, and with it what a kernel made of the weights.

    For calls with one shape, weight and bias, one after another.
    """
    cdef Scratch scratch
    cdef fc_target on

    cdef void *weight(self, cnp.ndarray weight, size_t size, fc_target on):
        """What the kernel is to be given: the weight, or NULL where the scratch holds all that it needs of it."""
        if self.scratch is not None and on.isa == self.on.isa and on.workers == self.on.workers:
            return NULL
        self.scratch, self.on = Scratch(size, fresh=True), on
        return _data(weight)


def release_memory():
    """Give all cached, unused memory back to the operating system."""
    global _free_blocks, _free_scratch, _cached_bytes
    lists, scratch = _free_blocks, _free_scratch
    _free_blocks, _free_scratch, _cached_bytes = {}, [], 0  # first: a finaliser may add blocks meanwhile
    for blocks in lists.values():
        for address in blocks:
            free(<void *><uintptr_t>address)
    for address, _ in scratch:
        free(<void *><uintptr_t>address)


def cached_bytes():
    """How much memory waits to be used again."""
    return _cached_bytes


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


def aligned(cnp.ndarray array):
    """A copy that begins where a vector may."""
    cdef cnp.ndarray copy = _like(array)
    copy[...] = array
    return copy


cdef inline void *_data(cnp.ndarray array) noexcept nogil:
    return cnp.PyArray_DATA(array)


cdef inline void *_element(cnp.ndarray array, int64_t index) noexcept nogil:
    return cnp.PyArray_BYTES(array) + index * cnp.PyArray_ITEMSIZE(array)
