/* The recurrences of dsbench on the CPU: plain C, no dependency, called through ctypes with data pointers.
 *
 * Every function works on the rows [begin, end) of a batch and returns 0, or 1 when memory runs out; callers split a
 * batch over threads. Names end in the precision (_f32, _f64) and the instruction set (_base, _avx2, _avx512); the best
 * one that the processor has is asked for by `instruction_set`.
 */

#include <stdlib.h>

#if !defined(__GNUC__)
#error "needs gcc or clang: vector extensions"
#endif

#define CHUNK 16 /* tokens between two kept states of the selective scan */
#define TILE 128 /* likewise of the recurrence of channels */
#define LOG2_E 1.44269504088896340736
#define INLINE static inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))
#define JOIN_(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define NAME(x) JOIN(x, PRECISION, SET)
#define FUNCTION(x) EXPORT int NAME(x)
/* aligned for the widest vector; the size must be a multiple of the alignment */
#define ALLOCATE(type, count) ((type *)aligned_alloc(64, (((count) * sizeof(type) + 63) / 64) * 64))

#define SET _base
#define WIDTH 16
#include "precisions.h"

#if defined(__x86_64__) && !defined(__clang__)
#define HAS_X86 1
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define SET _avx2
#define WIDTH 32
#include "precisions.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#define SET _avx512
#define WIDTH 64
#include "precisions.h"
#pragma GCC pop_options
#elif defined(__x86_64__)
#define HAS_X86 1
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define SET _avx2
#define WIDTH 32
#include "precisions.h"
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))), apply_to = function)
#define SET _avx512
#define WIDTH 64
#include "precisions.h"
#pragma clang attribute pop
#else
#define HAS_X86 0
#endif

/* The best instruction set of this processor: the suffix of the functions to call. */
EXPORT const char *instruction_set(void) {
#if HAS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return "avx512";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
#endif
    return "base";
}

EXPORT int chunk_length(void) {
    return CHUNK;
}

EXPORT int tile_length(void) {
    return TILE;
}
