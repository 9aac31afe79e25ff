/* random.h: counter-based random bits. No state: the bits of element i depend on (seed, offset, i) alone, so they are
 * the same for any number of threads, any instruction set, after a restart, and on a GPU.
 *
 *   key     = two rounds of a 64-bit finaliser over (seed, offset)
 *   bits(i) = mix32(mix32(low(i) ^ low(key)) + (high(key) ^ high(i) * golden))
 *
 * mix64 is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014); mix32 has the constants found by Chris Wellons'
 * search for low-bias 32-bit hashes. Two keyed rounds separate neighbouring seeds and offsets; the tests measure it.
 * Not for cryptography.
 */
#ifndef FASTCNN_RANDOM_H
#define FASTCNN_RANDOM_H

#include <stdint.h>

static inline uint64_t mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t random_key(uint64_t seed, uint64_t offset)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    return mix64(mix64(seed + golden) ^ (offset + golden));
}

static inline uint32_t mix32(uint32_t h)
{
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return h ^ (h >> 16);
}

/* What the upper half of a 64-bit element index adds to the key. */
static inline uint32_t high_mix(uint64_t index) { return (uint32_t)(index >> 32) * 0x9e3779b9u; }

static inline uint32_t random_bits(uint32_t low_index, uint32_t k0, uint32_t k1)
{
    return mix32(mix32(low_index ^ k0) + k1);
}

#endif
