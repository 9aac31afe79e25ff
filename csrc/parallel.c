/* parallel.c: fc_parallel_for and the threads that help it; the flush-to-zero guard.
 *
 * For whom   kernels of some ten microseconds, one after another, on machines that do something else too.
 * Method     Who calls starts at once with the tasks. Helpers join when they get there: each takes a seat, then one
 *            task after another. When no task is left nobody may sit down any more, and the caller waits for those
 *            who sit, not for helpers that sleep, or that the system gives no CPU. So a thread that is late costs
 *            nothing but its help; with OpenMP, whose regions end when all threads were there, it cost milliseconds.
 *            Helpers look out for the next job for a while, then sleep.
 * CPUs       On Linux, helpers keep off the CPU of who calls. While another library's threads spin on all others, Linux
 *            would wake a helper on that very CPU, where it gets its turn when all is done.
 * Threads    One job at a time: who comes while another thread has the helpers works alone. The helpers start when
 *            they are first needed and never end; a forked child has none, and must not ask for any.
 */
#if defined(__linux__)
#define _GNU_SOURCE /* for the CPUs of threads */
#endif
#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

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

#define PATIENCE 100000 /* nanoseconds that a helper looks out before it sleeps */
#define LOOKS 64        /* until it glances at the clock */

static struct job {
    int64_t tasks;
    fc_task *task;
    const void *context;
    _Alignas(64) atomic_int_fast64_t next; /* the first task that nobody has taken */
    _Alignas(64) atomic_int seats;         /* for helpers to take */
    _Alignas(64) atomic_int done;          /* helpers who sat and have got up */
} job;

static pthread_mutex_t one_caller = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t bedroom = PTHREAD_MUTEX_INITIALIZER; /* for falling asleep, and waking */
static pthread_cond_t morning = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;
static pthread_t helper[1023]; /* fastcnn takes up to 1024 threads */
static int helpers;            /* started so far */

static void pause_briefly(void)
{
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void take_tasks(int worker)
{
    const float_state before = flush_denormals();
    for (int64_t i; (i = atomic_fetch_add(&job.next, 1)) < job.tasks;)
        job.task(job.context, i, worker);
    restore(before);
}

/* The number of a seat, from 1, that is the helper's from now on; 0 if all are taken. */
static int take_seat(void)
{
    int seat = atomic_load(&job.seats);
    while (seat > 0 && !atomic_compare_exchange_weak(&job.seats, &seat, seat - 1))
        ;
    return seat;
}

static void sleep_until_morning(void)
{
    pthread_mutex_lock(&bedroom);
    atomic_fetch_add(&sleepers, 1); /* before the last look at the seats: wake_helpers comes after them */
    while (atomic_load(&job.seats) == 0)
        pthread_cond_wait(&morning, &bedroom);
    atomic_fetch_sub(&sleepers, 1);
    pthread_mutex_unlock(&bedroom);
}

static void *help(void *unused)
{
    for (int64_t idle_since = nanoseconds();;) {
        for (int look = 0; look < LOOKS && atomic_load(&job.seats) == 0; look++)
            pause_briefly();
        const int seat = take_seat();
        if (seat) {
            take_tasks(seat);
            atomic_fetch_add(&job.done, 1);
            idle_since = nanoseconds();
        } else if (nanoseconds() - idle_since > PATIENCE) {
            sleep_until_morning();
            idle_since = nanoseconds();
        }
    }
    return unused;
}

/* Signals are not for helpers: Python's main thread expects them. */
static void start_helpers(int wanted)
{
    const int most = (int)(sizeof helper / sizeof *helper);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; helpers < wanted && helpers < most && pthread_create(helper + helpers, NULL, help, NULL) == 0; helpers++)
        pthread_detach(helper[helpers]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Lets the first `wanted` helpers have all of the caller's CPUs but the one that it is on, if that changed. */
static void keep_own_cpu(int wanted)
{
#if defined(__linux__)
    static int own = -1, kept; /* the CPU, and how many helpers know */
    const int now = sched_getcpu();
    cpu_set_t others;
    if ((now == own && wanted <= kept) || now < 0 || sched_getaffinity(0, sizeof others, &others))
        return;
    CPU_CLR(now, &others);
    if (CPU_COUNT(&others))
        for (int i = now == own ? kept : 0; i < wanted; i++)
            pthread_setaffinity_np(helper[i], sizeof others, &others);
    own = now;
    kept = wanted;
#else
    (void)wanted;
#endif
}

static void wake_helpers(int wanted)
{
    if (atomic_load(&sleepers) == 0)
        return;
    pthread_mutex_lock(&bedroom);
    for (int i = 0; i < wanted; i++)
        pthread_cond_signal(&morning);
    pthread_mutex_unlock(&bedroom);
}

static void run_alone(int64_t tasks, fc_task *task, const void *context)
{
    const float_state before = flush_denormals();
    for (int64_t i = 0; i < tasks; i++)
        task(context, i, 0);
    restore(before);
}

void fc_parallel_for(int64_t tasks, int workers, fc_task *task, const void *context)
{
    const int seats = (int)(tasks < workers ? tasks : workers) - 1;
    if (seats < 1 || pthread_mutex_trylock(&one_caller)) {
        run_alone(tasks, task, context);
        return;
    }
    if (helpers < seats)
        start_helpers(seats);
    keep_own_cpu(seats < helpers ? seats : helpers);
    job.tasks = tasks;
    job.task = task;
    job.context = context;
    atomic_store(&job.next, 0);
    atomic_store(&job.done, 0);
    atomic_store(&job.seats, seats); /* from here on helpers come */
    wake_helpers(seats);
    take_tasks(0);
    const int sat = seats - atomic_exchange(&job.seats, 0);
    for (int looks = 1; atomic_load(&job.done) < sat; looks++)
        if (looks % LOOKS)
            pause_briefly();
        else
            sched_yield(); /* the helper may be waiting for this very CPU */
    pthread_mutex_unlock(&one_caller);
}
