"""Counter-based random bits, those of csrc/random.h: the bits of element i depend on (seed, offset) and on i alone.

    key     = two rounds of a 64-bit finaliser over (seed, offset)
    bits(i) = mix32(mix32(i ^ low half of the key) + high half)

An offset has the step of the training in its upper half. A recorded step is repeated with the offset that it was
recorded with; the clock says how many steps ago that was, see `fastcnn.backends.cuda.steps`. Arrays on the device have
less than 2**32 elements, so the upper half of an index adds nothing here.
"""

from fastcnn.backends.cuda.language import inline, uint32, uint64


@inline
def mix64(z):
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    z = uint64(z)
    z = uint64((z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9))
    z = uint64((z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB))
    return uint64(z ^ (z >> uint64(31)))


@inline
def random_key(seed, offset, clock):
    """The key of (seed, offset), in the step that the clock says."""
    now = uint64(offset + (uint64(clock[0]) << uint64(32)))
    golden = uint64(0x9E3779B97F4A7C15)
    return mix64(uint64(mix64(uint64(seed + golden)) ^ uint64(now + golden)))


@inline
def mix32(h):
    """A 32-bit hash; the constants are from Chris Wellons' search for hashes of low bias."""
    h = uint32(h)
    h = uint32((h ^ (h >> uint32(16))) * uint32(0x7FEB352D))
    h = uint32((h ^ (h >> uint32(15))) * uint32(0x846CA68B))
    return uint32(h ^ (h >> uint32(16)))


@inline
def random_bits(i, key):
    """32 random bits for element i."""
    return mix32(uint32(mix32(uint32(i ^ uint32(key))) + uint32(key >> uint64(32))))
