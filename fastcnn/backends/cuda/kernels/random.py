"""Counter-based random bits, those of csrc/random.h: the bits of element i depend on the key and on i alone.

The host makes the key of (seed, offset), 64 bits, and passes its two halves. Arrays on the device have less than 2**32
elements, so the upper half of an index adds nothing here.
"""

from fastcnn.backends.cuda.language import inline, uint32


@inline
def mix32(h):
    """A 32-bit hash; the constants are from Chris Wellons' search for hashes of low bias."""
    h = uint32(h)
    h = uint32((h ^ (h >> uint32(16))) * uint32(0x7FEB352D))
    h = uint32((h ^ (h >> uint32(15))) * uint32(0x846CA68B))
    return uint32(h ^ (h >> uint32(16)))


@inline
def random_bits(i, low_key, high_key):
    """32 random bits for element i."""
    return mix32(uint32(mix32(uint32(i ^ low_key)) + high_key))


def random_key(seed, offset):
    """The key, on the host: two rounds of a 64-bit finaliser over both, in Python's exact integers."""
    golden = 0x9E3779B97F4A7C15
    return _mix64(_mix64(seed + golden) ^ (offset + golden) % 2**64)


def _mix64(z):
    z %= 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)
