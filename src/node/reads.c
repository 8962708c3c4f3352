/* SPDX-License-Identifier: Apache-2.0
 *
 * Linearizable reads (D§6.4): all that come in one turn of the loop share one
 * question to the core, and then wait until the state machine has reached the
 * index that it gave. Those for which a lease will do share another (D§6.4.1). The
 * core answers every question; a refused one is asked again under a new context, for a
 * read changes nothing.
 *
 * A stale read takes the latest answer there is, if that was asked for no longer ago
 * than its bound: what it says was true no earlier than when it was asked for, by one
 * and the same clock.
 */
#include "base/assert.h"
#include "node/replica_state.h"

/* Reads that were asked for together. */
struct reads_batch {
    struct list link;
    uint64_t context;
    bool lease; /* one will do */
    uint64_t asked_ms;
    lash_index index;     /* once ready */
    struct list requests; /* those that timed out since are gone */
};

void reads_init(struct replica *replica) {
    list_init(&replica->reads.queue);
    list_init(&replica->reads.leased);
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
    LASH_ASSERT(list_empty(&replica->reads.queue) && list_empty(&replica->reads.leased));
    reads_free_batches(&replica->reads.asked);
    reads_free_batches(&replica->reads.ready);
}

/* The batch's requests wait to be asked for again. */
static void reads_return(struct replica *replica, struct reads_batch *batch) {
    list_splice(batch->lease ? &replica->reads.leased : &replica->reads.queue, &batch->requests);
    list_remove(&batch->link);
    mem_free(batch);
}

/* Ask the core for an index for all that is queued for one by a lease, or by a round. */
static void reads_ask(struct replica *replica, bool lease) {
    struct reads *reads = &replica->reads;
    struct list *queue = lease ? &reads->leased : &reads->queue;
    if (list_empty(queue))
        return;
    struct reads_batch *batch = mem_alloc(sizeof *batch);
    int error = LASH_NOMEM;
    if (batch) {
        batch->context = replica_number(replica);
        batch->index = 0;
        batch->lease = lease;
        batch->asked_ms = replica->env->now_ms(replica->env->context);
        list_init(&batch->requests);
        list_splice(&batch->requests, queue);
        list_init(&batch->link);
        list_push(&reads->asked, &batch->link);
        struct lash_event event = {.type = LASH_EVENT_READ};
        event.read.context = batch->context;
        event.read.lease = lease;
        error = replica_step(replica, &event, NULL, 0);
        if (error)
            reads_return(replica, batch);
    }
    if (error)
        reads->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
}

/* What a batch's requests end with: LASH_BUSY when they have to wait on. Who has learnt meanwhile that it is a witness has nothing
 * to read. A full node applies nothing that is not in its log
 * yet before there is room, and who reads had better ask another. */
static int reads_end_of(const struct replica *replica, const struct reads_batch *batch) {
    if (witness_here(replica))
        return LASH_WITNESS;
    if (batch->index <= replica->applier.reached)
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

/* A read asked for then reflects no less than `index`. */
static void reads_remember(struct reads *reads, uint64_t asked_ms, lash_index index) {
    if (reads->known_index != 0 && asked_ms < reads->known_ms)
        return;
    reads->known_ms = asked_ms;
    if (index > reads->known_index)
        reads->known_index = index;
}

/* Wait with those that wait for as much already, if what is known is young enough. */
static bool reads_take_known(struct replica *replica, struct request *request) {
    struct reads *reads = &replica->reads;
    uint64_t now_ms = replica->env->now_ms(replica->env->context);
    if (reads->known_index == 0 || now_ms - reads->known_ms > request->age_ms_max)
        return false;
    struct reads_batch *batch = mem_alloc(sizeof *batch);
    if (!batch)
        return false;
    *batch = (struct reads_batch){.asked_ms = reads->known_ms};
    list_init(&batch->requests);
    list_push(&batch->requests, &request->link);
    list_init(&batch->link);
    reads_await(reads, batch, reads->known_index);
    return true;
}

void reads_submit(struct replica *replica, struct request *request) {
    if (request->read_kind == LASH_READ_STALE && reads_take_known(replica, request))
        return;
    bool lease = request->read_kind == LASH_READ_LEASE;
    list_push(lease ? &replica->reads.leased : &replica->reads.queue, &request->link);
}

void reads_turn(struct replica *replica) {
    struct reads *reads = &replica->reads;
    if (replica->status.leader != 0 && replica->now_ms >= reads->not_before_ms) {
        reads_ask(replica, false);
        reads_ask(replica, true);
    }
    reads_finish_ready(replica);
}

uint64_t reads_deadline(const struct replica *replica) {
    const struct reads *reads = &replica->reads;
    bool waits = !list_empty(&reads->queue) || !list_empty(&reads->leased);
    if (!waits || reads->not_before_ms <= replica->now_ms)
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
        reads_remember(reads, batch->asked_ms, index);
        reads_await(reads, batch, index);
    }
}
