/* SPDX-License-Identifier: Apache-2.0
 *
 * Linearizable reads (D§6.4): all that come in one turn of the loop share one
 * question to the core, and then wait until the state machine has reached the
 * index that it gave. The core answers every question; a refused one is asked
 * again under a new context, for a read changes nothing.
 */
#include "base/assert.h"
#include "node/replica_state.h"

/* Reads that were asked for together. */
struct reads_batch {
    struct list link;
    uint64_t context;
    lash_index index;     /* once ready */
    struct list requests; /* those that timed out since are gone */
};

void reads_init(struct replica *replica) {
    list_init(&replica->reads.queue);
    list_init(&replica->reads.asked);
    list_init(&replica->reads.ready);
}

static void reads_free_batches(struct list *batches) {
    struct list *at;
    while ((at = list_pop(batches))) {
        struct reads_batch *batch = list_entry(at, struct reads_batch, link);
        LASH_ASSERT(list_empty(&batch->requests));
        mem_free(batch);
    }
}

void reads_free(struct replica *replica) {
    LASH_ASSERT(list_empty(&replica->reads.queue));
    reads_free_batches(&replica->reads.asked);
    reads_free_batches(&replica->reads.ready);
}

void reads_submit(struct replica *replica, struct request *request) {
    list_push(&replica->reads.queue, &request->link);
}

/* The batch's requests wait to be asked for again. */
static void reads_return(struct replica *replica, struct reads_batch *batch) {
    list_splice(&replica->reads.queue, &batch->requests);
    list_remove(&batch->link);
    mem_free(batch);
}

/* Ask the core for an index for all that is queued. */
static void reads_ask(struct replica *replica) {
    struct reads *reads = &replica->reads;
    struct reads_batch *batch = mem_alloc(sizeof *batch);
    int error = LASH_NOMEM;
    if (batch) {
        batch->context = replica_number(replica);
        batch->index = 0;
        list_init(&batch->requests);
        list_splice(&batch->requests, &reads->queue);
        list_init(&batch->link);
        list_push(&reads->asked, &batch->link);
        struct lash_event event = {.type = LASH_EVENT_READ};
        event.read.context = batch->context;
        error = replica_step(replica, &event, NULL, 0);
        if (error)
            reads_return(replica, batch);
    }
    if (error)
        reads->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
}

/* What a batch's requests end with: LASH_BUSY when they have to wait on. A full node applies nothing that is not in its log
 * yet before there is room, and who reads had better ask another. */
static int reads_end_of(const struct replica *replica, const struct reads_batch *batch) {
    if (batch->index <= replica->applier.applied)
        return 0;
    bool stuck = replica->applier.full || (replica->full && batch->index > replica->status.durable_index);
    return stuck ? LASH_FULL : LASH_BUSY;
}

/* End the batches whose time has come, and let go those of which every request has timed out. They wait in the order of
 * their indexes, so that a state machine which stands still costs no look at all that waits for it. */
static void reads_finish_ready(struct replica *replica) {
    while (!list_empty(&replica->reads.ready)) {
        struct reads_batch *batch = list_entry(replica->reads.ready.next, struct reads_batch, link);
        int error = reads_end_of(replica, batch);
        if (error == LASH_BUSY && !list_empty(&batch->requests))
            return;
        struct list *request;
        while ((request = list_pop(&batch->requests)))
            request_end(list_entry(request, struct request, link), error, error ? 0 : batch->index, &replica->ended);
        list_remove(&batch->link);
        mem_free(batch);
    }
}

/* The batch waits for `index` to be applied, with the one before it if that waits for as much. */
static void reads_await(struct reads *reads, struct reads_batch *batch, lash_index index) {
    list_remove(&batch->link);
    if (!list_empty(&reads->ready)) {
        struct reads_batch *last = list_entry(reads->ready.prev, struct reads_batch, link);
        if (last->index >= index) {
            list_splice(&last->requests, &batch->requests);
            mem_free(batch);
            return;
        }
    }
    batch->index = index;
    list_push(&reads->ready, &batch->link);
}

void reads_turn(struct replica *replica) {
    struct reads *reads = &replica->reads;
    if (!list_empty(&reads->queue) && replica->status.leader != 0 && replica->now_ms >= reads->not_before_ms)
        reads_ask(replica);
    reads_finish_ready(replica);
}

uint64_t reads_deadline(const struct replica *replica) {
    const struct reads *reads = &replica->reads;
    if (list_empty(&reads->queue) || reads->not_before_ms <= replica->now_ms)
        return UINT64_MAX;
    return reads->not_before_ms;
}

void reads_leader_changed(struct replica *replica) {
    replica->reads.not_before_ms = 0;
}

void reads_answered(struct replica *replica, uint64_t context, lash_index index) {
    struct reads *reads = &replica->reads;
    struct list *at = reads->asked.next;
    while (at != &reads->asked && list_entry(at, struct reads_batch, link)->context != context)
        at = at->next;
    if (at == &reads->asked)
        return;
    struct reads_batch *batch = list_entry(at, struct reads_batch, link);
    if (index == 0) {
        reads_return(replica, batch);
        reads->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
    } else {
        reads_await(reads, batch, index);
    }
}
