/* SPDX-License-Identifier: Apache-2.0
 *
 * A request that the program made and that has not ended: a command, a barrier,
 * a read, a transfer or a change of the membership, with the callback that tells its end.
 */
#ifndef LASH_NODE_REQUEST_H
#define LASH_NODE_REQUEST_H

#include <stdint.h>

#include "base/list.h"
#include "lash/metrics.h"

enum request_kind {
    REQUEST_COMMAND = LASH_ENTRY_COMMAND,
    REQUEST_BARRIER = LASH_ENTRY_BARRIER,
    REQUEST_READ = 256, /* no kind of entry, as what follows */
    REQUEST_TRANSFER = 257,
    REQUEST_SNAPSHOT = 258,
    REQUEST_CHANGE = 259, /* of the membership; its data is an encoded change */
};

/* What was counted of one kind of requests since the start, by the loop thread. */
struct request_count {
    _Atomic uint64_t made;
    _Atomic uint64_t ended;
    _Atomic uint64_t failed; /* of those: with an error */
};

/* What the requests of a node hold together: those that were made, by any thread, less those that are gone, which only the loop
 * thread counts. */
struct request_gauge {
    _Atomic uint64_t made_count;
    _Atomic uint64_t made_bytes;
    _Atomic uint64_t gone_count;
    _Atomic uint64_t gone_bytes;
    struct request_count proposals; /* commands and barriers */
    struct request_count reads;
    _Atomic uint64_t reads_by_lease; /* of those */
    _Atomic uint64_t reads_stale;
    struct request_count transfers;
    struct request_count snapshots;
    struct request_count changes;
};

struct request {
    struct list age;      /* all that may time out, oldest first; off it once being applied */
    struct list link;     /* the queue or batch that it is in, if any */
    struct request *next; /* in its bucket of the waiting table */
    struct request_gauge *gauge;
    size_t cost; /* counted in the gauge */
    enum request_kind kind;
    uint64_t sequence;    /* unique among this node's requests, over restarts too as far as chance can tell */
    lash_term term;       /* the term whose leader may have appended it; 0: it was never sent */
    uint64_t batch;       /* forwarded under this number; 0: not forwarded */
    lash_id target;       /* of a transfer; 0: the best */
    uint32_t read_kind;   /* of a read: enum lash_read_kind */
    uint64_t age_ms_max;  /* of a stale read: how old what it sees may be */
    uint64_t deadline_ms; /* it times out then */
    lash_index index;     /* once being applied: its entry's; at its end, what `done` is told */
    int error;            /* at its end */
    lash_done_fn done;
    void *argument;
    void *user; /* lash_command.request */
    size_t size;
    uint8_t data[];
};

/* Make a request with a copy of `size` bytes at `data`, counted in `gauge`. Errors: LASH_NOMEM. */
int request_new(struct request_gauge *gauge, enum request_kind kind, const void *data, size_t size,
                struct request **request);

/* The loop thread has got the request. */
void request_received(const struct request *request);

/* The request has ended: move it from its lists to the end of `ended`. It is in no waiting table. */
void request_end(struct request *request, int error, lash_index index, struct list *ended);

/* Tell the ends of a list of requests that have ended, and free them, up to the one with which their entries took `bytes` of the
 * log. Loop thread. */
void request_deliver(struct list *ended, size_t bytes);

/* Free a request whose end nobody is to be told. Loop thread. */
void request_free(struct request *request);

/* Free a request that the loop thread never got. Any thread. */
void request_withdraw(struct request *request);

/* How many requests there are, and what they hold. Any thread. */
uint64_t request_count(const struct request_gauge *gauge);
uint64_t request_bytes(const struct request_gauge *gauge);

/* Fill in what is counted of requests. Any thread. */
void request_metrics(const struct request_gauge *gauge, struct lash_metrics *metrics);

/* What a request of `size` bytes of data counts for in the gauge. */
size_t request_cost(size_t size);

#endif
