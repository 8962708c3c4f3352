/* SPDX-License-Identifier: Apache-2.0
 *
 * The table in front of a program's state machine, and what a client's request
 * learns there.
 */
#ifndef LASH_SESSION_MACHINE_H
#define LASH_SESSION_MACHINE_H

#include "session/runner.h"
#include "session/snapshot.h"

/* What is left in a request (lash_command.request) that was proposed by this process. */
struct session_result {
    int error;         /* 0, LASH_EXPIRED, or LASH_BUSY: beyond outstanding_max, to be tried again */
    uint64_t log_ms;   /* the log's time then */
    struct buf *reply; /* of an APPLY that succeeded; with a reference */
};

/* What was done of a batch that has yet to end. It outlives a LASH_FULL, after which the node brings the same commands again. */
struct machine_pass {
    lash_index last;
    uint32_t *
        replies_max; /* of each command that was judged: bounds the reply; MACHINE_ANSWERED: the program is not asked */
    size_t capacity;
    size_t judged;  /* the table has seen so many commands */
    size_t applied; /* and the program, where it had to; at most one less */
    bool under_way;
};

/* What a snapshot under way is made of. */
struct machine_view {
    struct table_view *table;
    void *program; /* its own view */
};

struct lash_sessions {
    struct lash_session_machine machine;
    struct table table; /* apply thread's, but for its counts */
    struct machine_pass pass;
    _Atomic uint64_t applied, repeated, refused;
    struct runner runner; /* of the sessions that were opened here */
};

#endif
