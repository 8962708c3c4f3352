/* SPDX-License-Identifier: Apache-2.0
 *
 * A node whose log is damaged where it had been durable, before it is a replica: it
 * asks its peers for the frames that it lacks, until the log is what it was. It lends
 * what it holds to others that do the same, and takes no part in anything else: it does not vote, nor
 * acknowledge, nor stand for election, so that to the others it is a node that has not been started yet.
 *
 * Threads and world as a replica's (replica.h); of the executors it uses REPLICA_LOG.
 */
#ifndef LASH_NODE_REPAIR_H
#define LASH_NODE_REPAIR_H

#include "node/replica.h"

struct repair;

struct repair_options {
    lash_id id;
    uint64_t group;
};

/* Begin with a log for which log_open answered LASH_DAMAGED; it stays the caller's, until repair_free. Errors: LASH_NOMEM. */
int repair_new(const struct repair_options *options, const struct replica_env *env, struct log *log,
               struct repair **repair);

/* Check the tail of a REPAIR_REPLY. Errors: LASH_CORRUPT, LASH_VERSION. */
int repair_check_reply(const uint8_t *tail, size_t size);

/* Free one that has stopped, is over, or was never turned. */
void repair_free(struct repair *repair);

/* Free one as if its process had died. Simulated processes only. */
void repair_abandon(struct repair *repair);

/* As of a replica. */
int repair_receive(struct repair *repair, lash_id from, const uint8_t *head, size_t head_size, const uint8_t *tail,
                   size_t tail_size);
void repair_connected(struct repair *repair, lash_id peer);
void repair_disconnected(struct repair *repair, lash_id peer);
void repair_turn(struct repair *repair);
void repair_stop(struct repair *repair);
bool repair_stopped(const struct repair *repair);
void repair_status(const struct repair *repair, struct lash_status *status);

/* LASH_DAMAGED while it goes on; LASH_OK: the log is whole, no job is out, and *recovered is the caller's; else why the log cannot
 * be used. */
int repair_outcome(struct repair *repair, struct log_recovered *recovered);

/* It was whole, and yet cannot be used because of `error`. */
void repair_fail(struct repair *repair, int error);

/* Call `each` for the peers that are connected, for the replica that follows. */
void repair_each_peer(const struct repair *repair, void (*each)(void *context, lash_id peer), void *context);

#endif
