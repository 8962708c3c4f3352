/* SPDX-License-Identifier: Apache-2.0
 *
 * Large commands on their way into a log: cut into parts (parts.h) by the leader, one
 * command at a time, and by everyone else on the way to the leader, which puts them together
 * first: so that a peer that is slow, or dies, holds nobody up.
 */
#ifndef LASH_NODE_CUTTER_H
#define LASH_NODE_CUTTER_H

#include "base/list.h"
#include "node/parts.h"
#include "node/request.h"
#include "node/wire.h"

struct replica;

/* What the leader appends the parts of. */
enum cutter_source { CUTTER_NOTHING = 0, CUTTER_OWN, CUTTER_GUEST };

struct cutter {
    struct list own; /* this node's request that is being cut, off the queue until its last part is sent; or empty */
    uint64_t batch;  /* it is being forwarded under this number; 0: it is not */
    struct assembly guest;     /* as leader: a peer's command, on its way here or whole */
    uint64_t guest_batch;      /* the peer's number for it */
    uint64_t guest_heard_ms;   /* when a part of it came last */
    enum cutter_source source; /* whose parts are being appended, or forwarded */
    uint64_t offset;           /* bytes of it that were */
    uint32_t burst;            /* parts appended or sent since the loop went round */
    bool broken; /* as leader: parts of this term will never be a command; an entry behind them is to say so */
};

/* How a command can get into the log. */
enum cutter_way {
    CUTTER_WHOLE, /* in one entry */
    CUTTER_PARTS,
    CUTTER_NEVER, /* it does not fit an entry, and somebody does not know parts */
};

void cutter_init(struct replica *replica);
void cutter_free(struct replica *replica);

/* How this node, which leads, or knows who does, can pass on a command of its own. */
enum cutter_way cutter_way(const struct replica *replica, const struct request *request);

/* Take the queue's first request, to be cut. */
void cutter_begin(struct replica *replica);

/* Whether something is to be appended or forwarded that is not in the proposer's queue. */
bool cutter_busy(const struct replica *replica);

/* As leader: whether an entry of another command would end one that is begun. */
bool cutter_cutting(const struct replica *replica);

/* As leader: append the next part. Errors: LASH_BACKLOG, and those of proposer_append. */
int cutter_lead(struct replica *replica);

/* As anyone else: send the next part to the leader. Errors: LASH_NOMEM, and those of struct replica_env's send. */
int cutter_forward(struct replica *replica);

/* Another leader or term: what was begun begins anew. */
void cutter_reset(struct replica *replica);

/* The way to a peer broke. */
void cutter_disconnected(struct replica *replica, lash_id peer);

/* Nothing can be written: end what is being cut. */
void cutter_end(struct replica *replica, int error);

/* The parts forwarded as `batch` were refused: if they are of a request that is still being cut, move it to `refused`. */
void cutter_refused(struct replica *replica, uint64_t batch, struct list *refused);

/* As leader: a part that a peer forwards, in a checked frame. Returns LASH_CORRUPT for what no right peer sends, or why the
 * command is refused. */
int cutter_forwarded(struct replica *replica, lash_id from, const struct wire_head *head, const uint8_t *tail,
                     const struct frame *frame);

#endif
