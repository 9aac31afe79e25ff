"""The memory of results and of scratch: a part of _core.pyx, which includes it.

Freed blocks wait in lists by size, so that a training step allocates nothing after the first and finds its pages warm.
Sizes are rounded up to sixteen classes per power of two; where none of a size waits, one up to twice as large will do,
so that batches of changing sizes share their blocks. What waits is at most twice what was in use at one time lately, or
32 MiB, and never more than 1 GiB: beyond that the sizes that were used least lately go. Scratch lives for one call
only: there is one piece of it for all kernels in turn, as large as the largest need so far. Large blocks are mapped, so
that they go back to the system whole. Everything here runs under the GIL.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memset
from posix.mman cimport MAP_ANON, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap

cdef extern from "<stdlib.h>" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)

cdef extern from * nogil:
    """
    #if defined(__GLIBC__)
    #include <malloc.h>
    #define give_freed_pages_back() malloc_trim(0)
    #else
    #define give_freed_pages_back() 0
    #endif

    /* Bytes from which on a block is mapped; none where AddressSanitizer should see all of them. */
    #define LEAST_MAPPED ((size_t)128 << 10)
    #if defined(__SANITIZE_ADDRESS__)
    #undef LEAST_MAPPED
    #elif defined(__has_feature)
    #if __has_feature(address_sanitizer)
    #undef LEAST_MAPPED
    #endif
    #endif
    #ifndef LEAST_MAPPED
    #define LEAST_MAPPED SIZE_MAX
    #endif
    """
    int give_freed_pages_back()
    size_t LEAST_MAPPED

cdef enum:
    PERIOD = 4096  # blocks handed out: many steps of any network
    LEAST_CACHE = 32 << 20
    MOST_CACHE = 1 << 30

cdef dict _free_blocks = {}  # addresses by size, the sizes used last at the end
cdef list _free_scratch = []  # (address, size); more than one only where several threads compute at once
cdef size_t _cached_bytes = 0
cdef size_t _bytes_in_use = 0
cdef size_t _most_in_use = 0, _most_in_use_before = 0  # at one time, in this period and in the one before
cdef int _handed_out = 0  # in this period
cdef int64_t _blocks_allocated = 0
cdef bint _poison = False


cdef size_t _size_class(size_t size) noexcept:
    cdef size_t step = 64
    while step * 32 < size:
        step *= 2
    return ((size if size else 1) + step - 1) // step * step


cdef void *_from_system(size_t size) noexcept:
    """64-byte aligned memory, or NULL."""
    cdef void *memory = NULL
    if size < LEAST_MAPPED:
        return NULL if posix_memalign(&memory, 64, size) else memory
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    return NULL if memory == MAP_FAILED else memory


cdef void _to_system(void *memory, size_t size) noexcept:
    if size < LEAST_MAPPED:
        free(memory)
    else:
        munmap(memory, size)


cdef void *_allocate(size_t size) except NULL:
    global _blocks_allocated
    cdef void *memory = _from_system(size)
    if memory is NULL:
        release_memory()  # nobody shall be refused what lies unused in the cache
        memory = _from_system(size)
    if memory is NULL:
        raise MemoryError(f"cannot allocate {size} bytes")
    _blocks_allocated += 1
    return memory


cdef void _note_use(size_t size) noexcept:
    global _bytes_in_use, _most_in_use, _most_in_use_before, _handed_out
    _bytes_in_use += size
    _most_in_use = max(_most_in_use, _bytes_in_use)
    _handed_out += 1
    if _handed_out == PERIOD:
        _most_in_use_before, _most_in_use, _handed_out = _most_in_use, _bytes_in_use, 0


cdef _trim_cache():
    """Let go of what waits beyond the limit."""
    global _cached_bytes
    cdef size_t most = max(_most_in_use, _most_in_use_before)
    cdef size_t limit = min(<size_t>MOST_CACHE, max(<size_t>LEAST_CACHE, 2 * most))
    cdef size_t size
    while _cached_bytes > limit and _free_blocks:
        size = next(iter(_free_blocks))
        blocks = _free_blocks[size]
        if blocks:
            _cached_bytes -= size
            _to_system(<void *><uintptr_t>blocks.pop(), size)
        else:
            del _free_blocks[size]
    while _cached_bytes > limit and _free_scratch:
        address, size = _free_scratch.pop(0)
        _cached_bytes -= size
        _to_system(<void *><uintptr_t>address, size)


cdef void *_take_block(size_t *size) except NULL:
    """A block of at least this size, which becomes the block's own."""
    global _cached_bytes
    cdef size_t largest, candidate
    if size[0] > <size_t>1 << 62:
        raise MemoryError("a result would be larger than the address space")
    size[0] = candidate = _size_class(size[0])
    largest = size[0] if _poison else 2 * size[0]
    while candidate <= largest and not _poison:
        waiting = _free_blocks.get(candidate)
        if waiting:
            size[0] = candidate
            _cached_bytes -= candidate
            _note_use(candidate)
            return <void *><uintptr_t>waiting.pop()
        candidate = _size_class(candidate + 1)
    memory = _allocate(size[0])
    _note_use(size[0])
    return memory


cdef _return_block(void *memory, size_t size):
    global _cached_bytes, _bytes_in_use
    _bytes_in_use -= size
    if _poison:
        _to_system(memory, size)
        return
    waiting = _free_blocks.pop(size, None)
    if waiting is None:
        waiting = []
    _free_blocks.setdefault(size, waiting).append(<uintptr_t>memory)  # a finaliser may have come in between
    _cached_bytes += size
    _trim_cache()


cdef class Block:
    """A piece of 64-byte aligned memory that returns to the cache when nobody holds it."""
    cdef void *memory
    cdef size_t size

    def __cinit__(self, size_t size):
        self.memory = _take_block(&size)
        self.size = size
        if _poison:
            memset(self.memory, 0xff, self.size)

    def __dealloc__(self):
        if self.memory is not NULL:
            _return_block(self.memory, self.size)


cdef class Scratch:
    """64-byte aligned memory for one call of a kernel: what the call before has left, made larger where it must be.
    With `own`, it stays with its owner, is a block among blocks."""
    cdef void *memory
    cdef size_t size
    cdef size_t needed  # what is counted: a piece that is much too large must not pass for one that is in use
    cdef bint own

    def __cinit__(self, size_t size, bint own=False):
        global _cached_bytes
        if size > <size_t>1 << 62:
            raise MemoryError("scratch memory would be larger than the address space")
        self.own = own
        if own:
            self.memory = _take_block(&size)
            self.size = self.needed = size
        else:
            if _free_scratch and not _poison:
                address, self.size = _free_scratch.pop()
                self.memory = <void *><uintptr_t>address
                _cached_bytes -= self.size
            self.needed = _size_class(size)
            if self.memory is NULL or self.size < size:
                if self.memory is not NULL:
                    _to_system(self.memory, self.size)
                self.memory = NULL
                self.size = self.needed
                self.memory = _allocate(self.size)
            _note_use(self.needed)
        if _poison:
            memset(self.memory, 0xff, self.size)

    def __dealloc__(self):
        global _cached_bytes, _bytes_in_use
        if self.memory is NULL:
            return
        if self.own:
            _return_block(self.memory, self.size)
            return
        _bytes_in_use -= self.needed
        if _poison:
            _to_system(self.memory, self.size)
            return
        _free_scratch.append((<uintptr_t>self.memory, self.size))
        _cached_bytes += self.size
        _trim_cache()


cdef class Packed:
    """Scratch that one convolution keeps from call to call, and with it what a kernel made of the weights.

    For calls with one shape, weight and bias, one after another.
    """
    cdef Scratch scratch
    cdef fc_target on
    cdef int cut_offs

    cdef bint ready(self, size_t size, fc_target on):
        """Whether the scratch holds the weights as the kernel packed them. If not, it is new."""
        if (self.scratch is not None and on.isa == self.on.isa and on.workers == self.on.workers
                and self.cut_offs == _cut_offs):
            return True
        self.scratch = None  # first, for its memory will do for the next
        self.scratch, self.on, self.cut_offs = Scratch(size, own=True), on, _cut_offs
        return False

    @property
    def nbytes(self):
        """What it holds; nothing before the first call."""
        return 0 if self.scratch is None else self.scratch.size


def release_memory():
    """Give all cached, unused memory back to the operating system."""
    global _free_blocks, _free_scratch, _cached_bytes
    cdef size_t size
    lists, scratch = _free_blocks, _free_scratch
    _free_blocks, _free_scratch, _cached_bytes = {}, [], 0  # first: a finaliser may add blocks meanwhile
    for size, blocks in lists.items():
        for address in blocks:
            _to_system(<void *><uintptr_t>address, size)
    for address, size in scratch:
        _to_system(<void *><uintptr_t>address, size)
    give_freed_pages_back()


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


cdef inline void *_data(cnp.ndarray array) noexcept nogil:
    return cnp.PyArray_DATA(array)


cdef inline void *_element(cnp.ndarray array, int64_t index) noexcept nogil:
    return cnp.PyArray_BYTES(array) + index * cnp.PyArray_ITEMSIZE(array)
