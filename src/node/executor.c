/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread, one lock, two lists.
 */
#include "node/executor.h"

#include <pthread.h>

#include "base/assert.h"
#include "lash/error.h"

static void executor_run(void *argument) {
    struct executor *executor = argument;
    pthread_setname_np(pthread_self(), executor->name);
    uv_mutex_lock(&executor->mutex);
    for (;;) {
        struct list *at = list_pop(&executor->queued);
        if (at) {
            struct job *job = list_entry(at, struct job, link);
            uv_mutex_unlock(&executor->mutex);
            job->work(job);
            uv_mutex_lock(&executor->mutex);
            list_push(&executor->finished, &job->link);
            atomic_store(&executor->some_finished, true);
            uv_mutex_unlock(&executor->mutex);
            executor->notify(executor->context); /* once the lock is free, as above */
            uv_mutex_lock(&executor->mutex);
        } else if (executor->closing) {
            break;
        } else {
            uv_cond_wait(&executor->cond, &executor->mutex);
        }
    }
    uv_mutex_unlock(&executor->mutex);
}

int executor_open(struct executor *executor, const char *name, void (*notify)(void *context), void *context) {
    list_init(&executor->queued);
    list_init(&executor->finished);
    executor->closing = false;
    atomic_init(&executor->some_finished, false);
    executor->name = name;
    executor->notify = notify;
    executor->context = context;
    if (uv_mutex_init(&executor->mutex) != 0)
        return LASH_NOMEM;
    if (uv_cond_init(&executor->cond) != 0) {
        uv_mutex_destroy(&executor->mutex);
        return LASH_NOMEM;
    }
    if (uv_thread_create(&executor->thread, executor_run, executor) != 0) {
        uv_cond_destroy(&executor->cond);
        uv_mutex_destroy(&executor->mutex);
        return LASH_NOMEM;
    }
    return 0;
}

void executor_submit(struct executor *executor, struct job *job) {
    uv_mutex_lock(&executor->mutex);
    list_push(&executor->queued, &job->link);
    uv_mutex_unlock(&executor->mutex);
    uv_cond_signal(&executor->cond); /* once the lock is free: else its thread wakes up only to wait for it */
}

void executor_finish(struct executor *executor) {
    if (!atomic_load(&executor->some_finished))
        return; /* who has just finished one wakes the loop thread after it */
    struct list finished;
    list_init(&finished);
    uv_mutex_lock(&executor->mutex);
    list_splice(&finished, &executor->finished);
    atomic_store(&executor->some_finished, false);
    uv_mutex_unlock(&executor->mutex);
    struct list *at;
    while ((at = list_pop(&finished))) {
        struct job *job = list_entry(at, struct job, link);
        job->done(job);
    }
}

void executor_close(struct executor *executor) {
    uv_mutex_lock(&executor->mutex);
    executor->closing = true;
    uv_cond_signal(&executor->cond);
    uv_mutex_unlock(&executor->mutex);
    uv_thread_join(&executor->thread);
    LASH_ASSERT(list_empty(&executor->queued) && list_empty(&executor->finished));
    uv_cond_destroy(&executor->cond);
    uv_mutex_destroy(&executor->mutex);
}
