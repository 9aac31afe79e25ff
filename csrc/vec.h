/* vec.h: the element type `real` and the vector type `vec` of the current stamp, and the few things that vector
 * extensions cannot say: splat, masked edges, select, shuffles. Arithmetic on vec is written with plain operators. */
#ifndef FASTCNN_VEC_H
#define FASTCNN_VEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#ifdef FC_DOUBLE
typedef double real;
typedef int64_t real_bits;
#define REAL_BYTES 8
#define MATH(function) function
#else
typedef float real;
typedef int32_t real_bits;
#define REAL_BYTES 4
#define MATH(function) function##f /* the one of <math.h> that takes a real */
#endif

#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX2__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
#define VL (VEC_BYTES / REAL_BYTES) /* lanes of a vec */

typedef real vec __attribute__((vector_size(VEC_BYTES)));
typedef real_bits vec_bits __attribute__((vector_size(VEC_BYTES)));
typedef uint8_t vec_bytes __attribute__((vector_size(VL)));
typedef real vec_unaligned __attribute__((vector_size(VEC_BYTES), aligned(REAL_BYTES), may_alias));

typedef real_bits vec_bits_unaligned __attribute__((vector_size(VEC_BYTES), aligned(REAL_BYTES), may_alias));

/* Before it hands out registers, gcc moves the loads of a whole loop body to its start on AArch64, and then lacks
 * registers: sums of the 8x3 multiply tile went through memory. Out-of-order processors don't need it. */
#if defined(__aarch64__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif

#define INLINE static inline __attribute__((always_inline))
/* Before a loop over registers: it must be unrolled whole, or the registers become memory. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE vec load(const real *from) { return *(const vec_unaligned *)from; }
INLINE void store(real *to, vec value) { *(vec_unaligned *)to = value; }

/* The same value, in a register: gcc would rather load it again for each use, which takes longer than the use. */
INLINE vec held(vec value)
{
#if defined(__AVX512F__)
    __asm__("" : "+v"(value));
#elif defined(__SSE2__)
    __asm__("" : "+x"(value));
#elif defined(__aarch64__)
    __asm__("" : "+w"(value));
#endif
    return value;
}

INLINE vec splat(real value) { return value - (vec){0}; }

/* where mask (all ones or all zeros a lane): a, else b */
INLINE vec blend(vec_bits mask, vec a, vec b)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    return (vec)_mm512_mask_blend_pd(_mm512_movepi64_mask((__m512i)mask), (__m512d)b, (__m512d)a);
#elif defined(__AVX512F__)
    return (vec)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), (__m512)b, (__m512)a);
#else
    return (vec)((mask & (vec_bits)a) | (~mask & (vec_bits)b));
#endif
}
INLINE vec_bits blend_bits(vec_bits mask, vec_bits a, vec_bits b) { return (mask & a) | (~mask & b); }

/* The larger, lane by lane; b where they are equal, or either is NaN. */
INLINE vec larger(vec a, vec b)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    return (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && defined(FC_DOUBLE)
    return (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return blend(a > b, a, b);
#endif
}

INLINE vec_bits larger_bits(vec_bits a, vec_bits b)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    return (vec_bits)_mm512_max_epi64((__m512i)a, (__m512i)b);
#elif defined(__AVX512F__)
    return (vec_bits)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__) && !defined(FC_DOUBLE)
    return (vec_bits)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
    return blend_bits(a > b, a, b);
#endif
}

/* where x > y: a, else b */
INLINE vec_bits blend_if_larger(vec x, vec y, vec_bits a, vec_bits b)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    const __mmask8 larger = _mm512_cmp_pd_mask((__m512d)x, (__m512d)y, _CMP_GT_OQ);
    return (vec_bits)_mm512_mask_mov_epi64((__m512i)b, larger, (__m512i)a);
#elif defined(__AVX512F__)
    const __mmask16 larger = _mm512_cmp_ps_mask((__m512)x, (__m512)y, _CMP_GT_OQ);
    return (vec_bits)_mm512_mask_mov_epi32((__m512i)b, larger, (__m512i)a);
#else
    return blend_bits(x > y, a, b);
#endif
}

/* Whether a lane is NaN. */
INLINE bool any_nan(vec value)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    return _mm512_cmp_pd_mask((__m512d)value, (__m512d)value, _CMP_UNORD_Q) != 0;
#elif defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)value, (__m512)value, _CMP_UNORD_Q) != 0;
#elif defined(__AVX2__) && defined(FC_DOUBLE)
    return _mm256_movemask_pd(_mm256_cmp_pd((__m256d)value, (__m256d)value, _CMP_UNORD_Q)) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)value, (__m256)value, _CMP_UNORD_Q)) != 0;
#else
    const vec_bits nan = value != value;
    real_bits any = 0;
    UNROLL for (int lane = 0; lane < VL; lane++)
        any |= nan[lane];
    return any != 0;
#endif
}

/* memcpy of `count` (0 .. VL) elements, where a call would take longer than the copy. */
INLINE void copy_few(void *to, const void *from, int64_t count, const size_t element_bytes)
{
    if (count == VL) {
        memcpy(to, from, VL * element_bytes);
        return;
    }
    UNROLL for (int part = VL / 2; part > 0; part /= 2)
        if (count & part) {
            memcpy(to, from, (size_t)part * element_bytes);
            to = (char *)to + (size_t)part * element_bytes;
            from = (const char *)from + (size_t)part * element_bytes;
        }
}

/* The first `count` (0 .. VL) lanes from memory, zeros behind them; nothing past them is touched. */
INLINE vec load_first(const real *from, int64_t count)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), from);
#elif defined(__AVX512F__)
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
#elif defined(__AVX2__)
    static const real_bits lanes[2 * VL] = {-1, -1, -1, -1, /* as many before the middle as a vec has lanes */
#ifndef FC_DOUBLE
                                            -1, -1, -1, -1,
#endif
    };
    const __m256i mask = _mm256_loadu_si256((const __m256i *)(lanes + VL - count));
#ifdef FC_DOUBLE
    return (vec)_mm256_maskload_pd(from, mask);
#else
    return (vec)_mm256_maskload_ps(from, mask);
#endif
#else
    real lanes[VL] = {0};
    copy_few(lanes, from, count, sizeof(real));
    return load(lanes);
#endif
}

/* The same of bytes, each widened to a lane. */
INLINE vec_bits load_first_bytes(const uint8_t *from, int64_t count)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    return (vec_bits)_mm512_cvtepu8_epi64(_mm_maskz_loadu_epi8((__mmask16)((1u << count) - 1), from));
#elif defined(__AVX512F__)
    return (vec_bits)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8((__mmask16)((1u << count) - 1), from));
#else
    vec_bytes bytes = {0};
    copy_few(&bytes, from, count, 1);
#if defined(__AVX2__) && defined(FC_DOUBLE) /* where gcc would convert lane by lane */
    return (vec_bits)_mm256_cvtepu8_epi64(_mm_cvtsi32_si128((int32_t)bytes));
#elif defined(__AVX2__)
    return (vec_bits)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)bytes));
#else
    return __builtin_convertvector(bytes, vec_bits);
#endif
#endif
}

INLINE void store_first(real *to, vec value, int64_t count)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    _mm512_mask_storeu_pd(to, (__mmask8)((1u << count) - 1), (__m512d)value);
#elif defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)value);
#else
    real lanes[VL];
    store(lanes, value);
    copy_few(to, lanes, count, sizeof(real));
#endif
}

/* The first `count` lanes, all below 256, as bytes. */
INLINE void store_first_bytes(uint8_t *to, vec_bits value, int64_t count)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    _mm_mask_storeu_epi8(to, (__mmask16)((1u << count) - 1), _mm512_cvtepi64_epi8((__m512i)value));
#elif defined(__AVX512F__)
    _mm_mask_storeu_epi8(to, (__mmask16)((1u << count) - 1), _mm512_cvtepi32_epi8((__m512i)value));
#elif defined(__AVX2__)
#ifdef FC_DOUBLE
    const __m256i lower = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    const __m128i words = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32((__m256i)value, lower));
    const __m128i halves = _mm_packs_epi32(words, words);
#else
    const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)value),
                                           _mm256_extracti128_si256((__m256i)value, 1));
#endif
    const int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(halves, halves));
    copy_few(to, &bytes, count, 1);
#else
    const vec_bytes bytes = __builtin_convertvector(value, vec_bytes);
    copy_few(to, &bytes, count, 1);
#endif
}

/* value where kept, else 0. Levels without masked operations would branch, and guess wrong at random. */
INLINE real keep_if(bool kept, real value)
{
#if defined(__AVX512F__)
    return kept ? value : 0;
#else
    real_bits bits;
    memcpy(&bits, &value, sizeof bits);
    bits &= -(real_bits)kept;
    memcpy(&value, &bits, sizeof bits);
    return value;
#endif
}

/* memcpy for few bytes, where a call would take longer than the copy. */
INLINE void copy_bytes(uint8_t *to, const uint8_t *from, int64_t count)
{
#if defined(__AVX512F__)
    for (; count > 0; count -= 64, to += 64, from += 64) {
        const __mmask64 mask = count < 64 ? ((__mmask64)1 << count) - 1 : ~(__mmask64)0;
        _mm512_mask_storeu_epi8(to, mask, _mm512_maskz_loadu_epi8(mask, from));
    }
#else
    memcpy(to, from, (size_t)count);
#endif
}

#if defined(__AVX2__) && !defined(__AVX512F__)
/* Of four lanes, the numbers of those in a mask, in order: a hexadecimal digit each, the first one lowest. */
static const uint16_t chosen_of_4[16] = {0,    0x0,  0x1,  0x10,  0x2,  0x20,  0x21,  0x210,
                                         0x3, 0x30, 0x31, 0x310, 0x32, 0x320, 0x321, 0x3210};

/* To the front of a vector go the lanes in the mask; what is behind them has no meaning. */
INLINE __m256i lanes_to_front(uint32_t mask)
{
    const uint32_t low = mask & 15;
#ifdef FC_DOUBLE
    const __m256i lane = _mm256_srlv_epi32(_mm256_set1_epi32(chosen_of_4[low]),
                                           _mm256_setr_epi32(0, 0, 4, 4, 8, 8, 12, 12));
    return _mm256_add_epi32(_mm256_add_epi32(lane, lane), _mm256_setr_epi32(0, 1, 0, 1, 0, 1, 0, 1));
#else
    const uint32_t upper = (uint32_t)(chosen_of_4[mask >> 4] + 0x4444) << 4 * __builtin_popcount(low);
    return _mm256_srlv_epi32(_mm256_set1_epi32((int)(chosen_of_4[low] | upper)),
                             _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
#endif
}
#endif

/* Appends the lanes of a and b where mask is all ones to two lists, in order, and returns how many; writes VL lanes. */
INLINE int64_t append_where(vec_bits mask, vec_bits a, vec b, real_bits *to_a, real *to_b)
{
#if defined(__AVX512F__) && defined(FC_DOUBLE)
    const __mmask8 lanes = _mm512_movepi64_mask((__m512i)mask);
    _mm512_storeu_si512(to_a, _mm512_maskz_compress_epi64(lanes, (__m512i)a));
    _mm512_storeu_pd(to_b, _mm512_maskz_compress_pd(lanes, (__m512d)b));
    return __builtin_popcount(lanes);
#elif defined(__AVX512F__)
    const __mmask16 lanes = _mm512_movepi32_mask((__m512i)mask);
    _mm512_storeu_si512(to_a, _mm512_maskz_compress_epi32(lanes, (__m512i)a));
    _mm512_storeu_ps(to_b, _mm512_maskz_compress_ps(lanes, (__m512)b));
    return __builtin_popcount(lanes);
#elif defined(__AVX2__)
#ifdef FC_DOUBLE
    const uint32_t lanes = (uint32_t)_mm256_movemask_pd((__m256d)mask);
#else
    const uint32_t lanes = (uint32_t)_mm256_movemask_ps((__m256)mask);
#endif
    const __m256i front = lanes_to_front(lanes);
    _mm256_storeu_si256((__m256i *)to_a, _mm256_permutevar8x32_epi32((__m256i)a, front));
    _mm256_storeu_si256((__m256i *)to_b, _mm256_permutevar8x32_epi32((__m256i)b, front));
    return __builtin_popcount(lanes);
#else
    int64_t count = 0;
    for (int lane = 0; lane < VL; lane++) {
        to_a[count] = a[lane];
        to_b[count] = b[lane];
        count -= mask[lane];
    }
    return count;
#endif
}

#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vec_bits){__VA_ARGS__})
#endif

/* Lanes a0 b0 a1 b1 ... of the lower and of the upper halves; lanes 0 2 4 ... and 1 3 5 ... of a followed by b. */
#if VL == 16
#define LOW_PAIRS 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_PAIRS 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif VL == 8
#define LOW_PAIRS 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_PAIRS 4, 12, 5, 13, 6, 14, 7, 15
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15
#elif VL == 4
#define LOW_PAIRS 0, 4, 1, 5
#define HIGH_PAIRS 2, 6, 3, 7
#define EVEN_LANES 0, 2, 4, 6
#define ODD_LANES 1, 3, 5, 7
#else
#define LOW_PAIRS 0, 2
#define HIGH_PAIRS 1, 3
#define EVEN_LANES 0, 2
#define ODD_LANES 1, 3
#endif

INLINE vec interleave_low(vec a, vec b) { return SHUFFLE(a, b, LOW_PAIRS); }
INLINE vec interleave_high(vec a, vec b) { return SHUFFLE(a, b, HIGH_PAIRS); }
INLINE vec even_lanes(vec a, vec b) { return SHUFFLE(a, b, EVEN_LANES); }
INLINE vec odd_lanes(vec a, vec b) { return SHUFFLE(a, b, ODD_LANES); }

INLINE real sum_lanes(vec value)
{
    real lanes[VL], sum;
    store(lanes, value);
    UNROLL for (int width = VL / 2; width > 0; width /= 2)
        UNROLL for (int lane = 0; lane < width; lane++)
            lanes[lane] += lanes[lane + width];
    sum = lanes[0];
    return sum;
}

#endif
