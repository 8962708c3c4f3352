/* SPDX-License-Identifier: Apache-2.0
 *
 * Linearizable reads: see reading.h.
 */
#include "api/reading.h"

#include "base/assert.h"

/* Calls that the node was asked for together. */
struct reading {
    struct completion completion;
    struct loop *loop;
    int error;
    struct list calls; /* struct call.in_reading */
};

/* All calls of the list get this outcome. */
static void reading_complete(struct loop *loop, struct list *calls, int error) {
    for (struct list *at; (at = list_pop(calls)) != NULL;) {
        metric_add(&loop->tally.reads.ended, 1);
        metric_add(&loop->tally.reads.failed, error != 0);
        call_resume(list_entry(at, struct call, in_reading), error);
    }
}

static void reading_deliver(struct completion *completion) {
    struct reading *reading = list_entry(completion, struct reading, completion);
    reading_complete(reading->loop, &reading->calls, reading->error);
    mem_free(reading);
}

/* The node's answer, on its thread. */
static void reading_done(void *argument, int error, lash_index index) {
    struct reading *reading = argument;
    (void)index;
    reading->error = error;
    loop_complete(reading->loop, &reading->completion);
}

/* Ask the node for `calls`, which are moved. */
static void reading_start(struct loop *loop, struct list *calls, enum lash_read_kind kind, uint64_t age_ms_max) {
    struct reading *reading = mem_alloc(sizeof *reading);
    struct list refused;
    list_init(&refused);
    int error = LASH_NOMEM;
    if (reading) {
        reading->loop = loop;
        reading->completion.deliver = reading_deliver;
        list_init(&reading->completion.link);
        list_init(&reading->calls);
        list_splice(&reading->calls, calls);
        error = loop->node ? lash_node_read_as(loop->node, kind, age_ms_max, reading_done, reading) : LASH_CLOSED;
        if (error)
            list_splice(&refused, &reading->calls);
    } else {
        list_splice(&refused, calls);
    }
    if (!error)
        return;
    mem_free(reading);
    reading_complete(loop, &refused, error);
}

void reading_join(struct call *call) {
    struct loop *loop = call->loop;
    LASH_ASSERT(list_empty(&call->in_reading));
    metric_add(&loop->tally.reads.made, 1);
    metric_add(&loop->tally.reads.by_lease, call->read_kind == LASH_READ_LEASE);
    metric_add(&loop->tally.reads.stale, call->read_kind == LASH_READ_STALE);
    if (call->read_kind != LASH_READ_STALE) {
        list_push(&loop->readers[call->read_kind], &call->in_reading);
        return;
    }
    /* How old it may be differs from one call to the next. */
    struct list alone;
    list_init(&alone);
    list_push(&alone, &call->in_reading);
    reading_start(loop, &alone, LASH_READ_STALE, call->read_age_ms_max);
}

bool reading_waits(const struct loop *loop) {
    return !list_empty(&loop->readers[LASH_READ_INDEX]) || !list_empty(&loop->readers[LASH_READ_LEASE]);
}

void reading_ask(struct loop *loop) {
    for (int kind = LASH_READ_INDEX; kind <= LASH_READ_LEASE; kind++)
        if (!list_empty(&loop->readers[kind]))
            reading_start(loop, &loop->readers[kind], (enum lash_read_kind)kind, 0);
}

struct store_reader *reading_view(struct loop *loop) {
    if (loop->delivering && !loop->view && store_reader_begin(loop->options->store, &loop->view))
        loop->view = NULL;
    return loop->view;
}

void reading_begin(struct loop *loop) {
    LASH_ASSERT(!loop->delivering && !loop->view);
    loop->delivering = true;
}

void reading_end(struct loop *loop) {
    LASH_ASSERT(loop->delivering);
    loop->delivering = false;
    store_reader_end(loop->view);
    loop->view = NULL;
}
