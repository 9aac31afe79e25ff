/* parallel.c: fc_parallel_for over OpenMP, or serially where the build has none; the flush-to-zero guard. */
#include "parallel.h"
#include "fastcnn.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned int float_state;
static float_state flush_denormals(void)
{
    const float_state before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u); /* FTZ: results, DAZ: operands */
    return before;
}
static void restore(float_state before) { _mm_setcsr(before); }
#elif defined(__aarch64__)
typedef uint64_t float_state;
static float_state flush_denormals(void)
{
    float_state before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (1u << 24)));
    return before;
}
static void restore(float_state before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
typedef int float_state;
static float_state flush_denormals(void) { return 0; }
static void restore(float_state before) { (void)before; }
#endif

static void run_serially(int64_t tasks, fc_task *task, const void *context)
{
    const float_state before = flush_denormals();
    for (int64_t i = 0; i < tasks; i++)
        task(context, i, 0);
    restore(before);
}

#ifdef _OPENMP
#include <omp.h>

bool fc_has_openmp(void) { return true; }

void fc_parallel_for(int64_t tasks, int workers, fc_task *task, const void *context)
{
    const int threads = tasks < workers ? (int)tasks : workers;
    if (threads <= 1) {
        run_serially(tasks, task, context);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        const float_state before = flush_denormals();
#pragma omp for schedule(dynamic, 1) nowait
        for (int64_t i = 0; i < tasks; i++)
            task(context, i, omp_get_thread_num());
        restore(before);
    }
}

#else

bool fc_has_openmp(void) { return false; }

void fc_parallel_for(int64_t tasks, int workers, fc_task *task, const void *context)
{
    (void)workers;
    run_serially(tasks, task, context);
}

#endif
