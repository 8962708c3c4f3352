/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread that works jobs off, one after another, for the loop thread.
 */
#ifndef LASH_NODE_EXECUTOR_H
#define LASH_NODE_EXECUTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "node/job.h"

struct executor {
    uv_thread_t thread;
    uv_mutex_t mutex; /* guards the lists and `closing` */
    uv_cond_t cond;
    struct list queued;
    struct list finished;       /* worked, `done` not yet called */
    _Atomic bool some_finished; /* whether there are such; changed with the lock, read without */
    bool closing;
    const char *name;
    void (*notify)(void *context); /* called on the executor's thread after a job was finished, until executor_close */
    void *context;
};

/* Start the thread; `name` is static. Errors: LASH_NOMEM. */
int executor_open(struct executor *executor, const char *name, void (*notify)(void *context), void *context);

/* Hand a job over. Loop thread. */
void executor_submit(struct executor *executor, struct job *job);

/* Call `done` of every finished job. Loop thread. */
void executor_finish(struct executor *executor);

/* End the thread; no job is queued or unfinished. */
void executor_close(struct executor *executor);

#endif
