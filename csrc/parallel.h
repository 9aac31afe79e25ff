/* parallel.h: the only door to threads. Kernels are single-threaded; drivers cut their work into tasks and call this.
 *
 * A task is told its index and which worker (0 .. workers-1) runs it; it may use the worker's own scratch memory, and
 * what it computes must depend on the index alone. That is what makes results independent of the number of threads.
 */
#ifndef FASTCNN_PARALLEL_H
#define FASTCNN_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>

typedef void fc_task(const void *context, int64_t index, int worker);

/* Run task(context, i, worker) for i in 0 .. tasks-1 on at most `workers` threads, all of which round as the caller
 * does, denormals flushed to zero. With one worker, or one task, no thread is ever started. A signal may leave tasks
 * undone, here and in what the same call of a kernel runs next: what they would have written must lead nobody else
 * than tasks to an address. */
void fc_parallel_for(int64_t tasks, int workers, fc_task *task, const void *context);

/* The same, to its end whatever happens: for updates in place, which must not stop halfway. */
void fc_parallel_whole(int64_t tasks, int workers, fc_task *task, const void *context);

/* For a forked child, which has one thread, of all locks and helpers copies that nobody will unlock or be. */
void fc_begin_anew(void);

/* `look` is called between tasks of one thread, about once in `every` nanoseconds; not 0: stop. */
typedef int fc_look(void);
void fc_look_for_signals(fc_look *look, uintptr_t thread, int64_t every);

/* For long tasks: whether to leave the rest undone, too. Looks for signals, as happens between tasks. */
bool fc_is_stopped(void);

/* Whether the call of a kernel that this thread just made was stopped. Forgets it. */
bool fc_was_stopped(void);

#endif
