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
 *            they are first needed and never end; a forked child has none, forgets them and starts its own.
 * Signals    One thread looks for them between its tasks, and in long ones, about once a second: Python's main thread,
 *            whose handlers wait for it. If it is told to stop, whatever its call has not begun yet is left undone.
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

/* How a thread computes: how it rounds, whether it flushes denormals to zero. */
#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned int float_state;
static const float_state flushing = 0x8040u; /* FTZ: results, DAZ: operands */
static const float_state usual = 0x1f80u;
static float_state get_float_state(void) { return _mm_getcsr(); }
static void set_float_state(float_state state) { _mm_setcsr(state); }
#elif defined(__aarch64__)
typedef uint64_t float_state;
static const float_state flushing = 1u << 24;
static const float_state usual = 0;
static float_state get_float_state(void)
{
    float_state state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    return state;
}
static void set_float_state(float_state state) { __asm__ volatile("msr fpcr, %0" : : "r"(state)); }
#else
typedef int float_state;
static const float_state flushing = 0, usual = 0;
static float_state get_float_state(void) { return 0; }
static void set_float_state(float_state state) { (void)state; }
#endif

#define PATIENCE 100000 /* nanoseconds that a helper looks out before it sleeps */
#define LOOKS 64        /* until it glances at the clock */

static struct job {
    int64_t tasks;
    fc_task *task;
    const void *context;
    bool whole;                            /* no signal may stop it */
    float_state floats;                    /* of who calls: helpers compute as it does */
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
static int own = -1, kept;     /* the caller's CPU, and how many helpers keep off it */

static void pause_briefly(void)
{
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

#ifdef CLOCK_MONOTONIC_COARSE
#define CLOCK_OF_LOOKS CLOCK_MONOTONIC_COARSE /* a few nanoseconds a task */
#else
#define CLOCK_OF_LOOKS CLOCK_MONOTONIC
#endif

static struct signals {
    fc_look *look;
    uintptr_t thread; /* which looks */
    int64_t every, next;
    bool stop; /* what its call has not done yet */
    int forks; /* that this process came out of: a handler may fork */
} signals;

static bool looks_for_signals(void) { return signals.look && (uintptr_t)pthread_self() == signals.thread; }

void fc_look_for_signals(fc_look *look, uintptr_t thread, int64_t every)
{
    signals.look = look;
    signals.thread = thread;
    signals.every = every;
    signals.next = 0;
}

bool fc_was_stopped(void)
{
    if (!looks_for_signals() || !signals.stop)
        return false;
    signals.stop = false;
    return true;
}

/* Whether the task at hand is not to be begun any more. Who answers computes as it is used to. */
static bool is_stopped(bool whole)
{
    if (whole || !looks_for_signals())
        return false;
    const int64_t now = nanoseconds(CLOCK_OF_LOOKS);
    if (!signals.stop && now >= signals.next) {
        const float_state here = get_float_state();
        signals.next = now + signals.every;
        set_float_state(usual);
        signals.stop = signals.look() != 0;
        set_float_state(here);
    }
    return signals.stop;
}

bool fc_is_stopped(void) { return is_stopped(false); }

/* ---- tasks ------------------------------------------------------------------------------------------------------- */

static void take_tasks(int worker)
{
    const float_state before = get_float_state();
    set_float_state(job.floats | flushing);
    for (int64_t i; (i = atomic_fetch_add(&job.next, 1)) < job.tasks;) {
        if (worker == 0 && is_stopped(job.whole)) {
            atomic_store(&job.next, job.tasks);
            break;
        }
        job.task(job.context, i, worker);
    }
    set_float_state(before);
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
    for (int64_t idle_since = nanoseconds(CLOCK_MONOTONIC);;) {
        for (int look = 0; look < LOOKS && atomic_load(&job.seats) == 0; look++)
            pause_briefly();
        const int seat = take_seat();
        if (seat) {
            take_tasks(seat);
            atomic_fetch_add(&job.done, 1);
            idle_since = nanoseconds(CLOCK_MONOTONIC);
        } else if (nanoseconds(CLOCK_MONOTONIC) - idle_since > PATIENCE) {
            sleep_until_morning();
            idle_since = nanoseconds(CLOCK_MONOTONIC);
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

static void run_alone(int64_t tasks, fc_task *task, const void *context, bool whole)
{
    const float_state before = get_float_state();
    set_float_state(before | flushing);
    for (int64_t i = 0; i < tasks && !is_stopped(whole); i++)
        task(context, i, 0);
    set_float_state(before);
}

static void run(int64_t tasks, int workers, fc_task *task, const void *context, bool whole)
{
    const int seats = (int)(tasks < workers ? tasks : workers) - 1;
    if (seats < 1 || pthread_mutex_trylock(&one_caller)) {
        run_alone(tasks, task, context, whole);
        return;
    }
    if (helpers < seats)
        start_helpers(seats);
    keep_own_cpu(seats < helpers ? seats : helpers);
    job.tasks = tasks;
    job.task = task;
    job.context = context;
    job.whole = whole;
    job.floats = get_float_state();
    atomic_store(&job.next, 0);
    atomic_store(&job.done, 0);
    atomic_store(&job.seats, seats); /* from here on helpers come */
    wake_helpers(seats);
    const int forks = signals.forks;
    take_tasks(0);
    const int sat = seats - atomic_exchange(&job.seats, 0);
    for (int looks = 1; atomic_load(&job.done) < sat && signals.forks == forks; looks++)
        if (looks % LOOKS)
            pause_briefly();
        else
            sched_yield(); /* the helper may be waiting for this very CPU */
    pthread_mutex_unlock(&one_caller);
}

void fc_parallel_for(int64_t tasks, int workers, fc_task *task, const void *context)
{
    run(tasks, workers, task, context, false);
}

void fc_parallel_whole(int64_t tasks, int workers, fc_task *task, const void *context)
{
    run(tasks, workers, task, context, true);
}

void fc_begin_anew(void)
{
    one_caller = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    bedroom = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    morning = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    atomic_store(&sleepers, 0);
    atomic_store(&job.seats, 0);
    helpers = kept = 0;
    own = -1;
    signals.forks++;
}
