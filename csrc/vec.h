/* vec.h: the element type `real` and the vector type `vec` of the current stamp, and the few things that vector
 * extensions cannot say: splat, masked edges, select, shuffles. Arithmetic on vec is written with plain operators. */
#ifndef FASTCNN_VEC_H
#define FASTCNN_VEC_H

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
    if (count == VL)
        return load(from);
    real lanes[VL] = {0};
    memcpy(lanes, from, (size_t)count * sizeof(real));
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
    if (count == VL)
        memcpy(&bytes, from, VL);
    else
        memcpy(&bytes, from, (size_t)count);
    return __builtin_convertvector(bytes, vec_bits);
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
    memcpy(to, lanes, (size_t)count * sizeof(real));
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
