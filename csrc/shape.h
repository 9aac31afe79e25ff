/* shape.h: integer helpers for sizes. Products that come from outside go through the checked ones. */
#ifndef FASTCNN_SHAPE_H
#define FASTCNN_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline int64_t min_size(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max_size(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t round_up(int64_t a, int64_t multiple) { return ceil_div(a, multiple) * multiple; }

/* *product *= factor; false, and *product unchanged, if that leaves 63 bits. */
static inline bool multiply_checked(int64_t *product, int64_t factor)
{
    int64_t result;
    if (__builtin_mul_overflow(*product, factor, &result))
        return false;
    *product = result;
    return true;
}

/* What one task of an operation on flat arrays takes: CHUNK elements, or those that are left. */
#define CHUNK 16384

typedef struct span {
    int64_t first, last;
} span;

static inline span chunk_at(int64_t count, int64_t index)
{
    return (span){index * CHUNK, min_size((index + 1) * CHUNK, count)};
}

/* Scratch memory handed out piece by piece. A driver carves its pieces in one function, which runs twice: from address
 * 0 to learn how many bytes it takes, and from the real memory to get the pointers. fc_*_shape_check leaves room for
 * the factors that drivers multiply sizes by; should a sum overflow all the same it saturates, and the allocation fails
 * instead of being too small. */
typedef struct workspace {
    uintptr_t at;
} workspace;

static inline void *carve_bytes(workspace *from, int64_t count, int64_t element_bytes)
{
    const uintptr_t piece = from->at;
    int64_t bytes = element_bytes;
    if (!multiply_checked(&bytes, count) || bytes > INT64_MAX - 64 ||
        __builtin_add_overflow(piece, (uintptr_t)round_up(bytes, 64), &from->at))
        from->at = UINTPTR_MAX;
    return (void *)piece; /* NOLINT: never dereferenced in the sizing run */
}

#endif
