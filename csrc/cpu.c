/* cpu.c: which instruction-set levels this build and this CPU have, and the level in use: the one piece of global
 * state. It is chosen once, when the Python package is imported; tests move it to try every path on one machine. */
#include "fastcnn.h"

/* Each level is one stamp of stamp.c per element type. */
extern const fc_kernels_float32 fc_baseline_float32;
extern const fc_kernels_float64 fc_baseline_float64;
#ifdef FC_WITH_X86_LEVELS
extern const fc_kernels_float32 fc_avx2_float32, fc_avx512_float32;
extern const fc_kernels_float64 fc_avx2_float64, fc_avx512_float64;
#endif

typedef struct level {
    const char *name;
    const fc_kernels_float32 *float32;
    const fc_kernels_float64 *float64;
} level;

static const level levels[FC_ISA_COUNT] = {
    [FC_BASELINE] = {"baseline", &fc_baseline_float32, &fc_baseline_float64},
#ifdef FC_WITH_X86_LEVELS
    [FC_AVX2] = {"avx2", &fc_avx2_float32, &fc_avx2_float64},
    [FC_AVX512] = {"avx512", &fc_avx512_float32, &fc_avx512_float64},
#else
    [FC_AVX2] = {"avx2", 0, 0},
    [FC_AVX512] = {"avx512", 0, 0},
#endif
};

static fc_isa current = FC_BASELINE;

/* Asks for exactly the features that setup.py's flags let the compiler use. __builtin_cpu_supports also asks whether
 * the operating system saves the registers. */
static bool cpu_has(fc_isa isa)
{
#ifdef FC_WITH_X86_LEVELS
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    return isa == FC_BASELINE || (isa == FC_AVX2 && v3) || (isa == FC_AVX512 && v4);
#else
    return isa == FC_BASELINE;
#endif
}

const char *fc_isa_name(fc_isa isa) { return levels[isa].name; }
bool fc_isa_compiled(fc_isa isa) { return levels[isa].float32 != 0; }
bool fc_isa_usable(fc_isa isa) { return fc_isa_compiled(isa) && cpu_has(isa); }
fc_isa fc_isa_current(void) { return __atomic_load_n(&current, __ATOMIC_ACQUIRE); }
void fc_isa_select(fc_isa isa) { __atomic_store_n(&current, isa, __ATOMIC_RELEASE); }

const fc_kernels_float32 *fc_float32_kernels(fc_isa isa) { return levels[isa].float32; }
const fc_kernels_float64 *fc_float64_kernels(fc_isa isa) { return levels[isa].float64; }
