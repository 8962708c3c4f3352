/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames for peers whose logs are damaged: each may have asked for one, which is
 * looked up in the log in a job, and sent as it lies there. Whether what is sent is
 * committed does not matter; the asker takes only what it had.
 */
#ifndef LASH_NODE_LENDER_H
#define LASH_NODE_LENDER_H

#include <stdbool.h>

#include "node/replica.h"
#include "node/wire.h"

/* What a peer has asked for. */
struct lender_ask {
    lash_id peer; /* 0: a free place */
    struct log_damage damage;
};

struct lender {
    struct job job;
    const struct replica_env *env;
    struct log *log;
    uint64_t group;
    void (*idle)(void *owner); /* the job has come back, and the executor is free */
    void *owner;
    struct lender_ask asks[LASH_RAFT_MEMBERS_MAX];
    size_t position; /* of the ask served last */
    struct lender_ask serving;
    bool busy;         /* the job is out */
    int error;         /* the job's results */
    struct buf *frame; /* or NULL */
};

void lender_init(struct lender *lender, const struct replica_env *env, struct log *log, uint64_t group,
                 void (*idle)(void *owner), void *owner);
void lender_free(struct lender *lender);

/* A peer has sent a REPAIR_ASK; one that it sent before and that was not served yet is forgotten. */
void lender_ask(struct lender *lender, lash_id from, const struct wire_head *head);

/* Hand the next job to an executor that is free, if there is one. */
void lender_start(struct lender *lender, enum replica_executor executor);

#endif
