/* parallel.h: the only door to threads. Kernels are single-threaded; drivers cut their work into tasks and call this.
 *
 * A task is told its index and which worker (0 .. workers-1) runs it; it may use the worker's own scratch memory, and
 * what it computes must depend on the index alone. That is what makes results independent of the number of threads.
 */
#ifndef FASTCNN_PARALLEL_H
#define FASTCNN_PARALLEL_H

#include <stdint.h>

typedef void fc_task(const void *context, int64_t index, int worker);

/* Run task(context, i, worker) for i in 0 .. tasks-1 on at most `workers` threads, denormals flushed to zero. With one
 * worker, or one task, no thread is ever started: that is what a forked child relies on. */
void fc_parallel_for(int64_t tasks, int workers, fc_task *task, const void *context);

#endif
