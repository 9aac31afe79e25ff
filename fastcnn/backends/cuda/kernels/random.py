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
