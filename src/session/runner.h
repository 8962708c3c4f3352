/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that the sessions of one process have in common: it tries again what
 * is due, and speaks for sessions that are silent.
 */
#ifndef LASH_SESSION_RUNNER_H
#define LASH_SESSION_RUNNER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"

struct runner {
    pthread_mutex_t mutex; /* guards the rest, and all sessions */
    pthread_cond_t wake;   /* something is due earlier than the thread knows */
    pthread_cond_t idle;   /* a callback has returned, or a session is closed */
    pthread_t thread;
    bool started; /* with the first session */
    bool ending;
    struct list sessions;
};

/* Without its thread. Errors: LASH_NOMEM. */
int runner_open(struct runner *runner);

/* No session is left. */
void runner_close(struct runner *runner);

#endif
