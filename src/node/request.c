/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: made on any thread, ended on the loop thread.
 */
#include "node/request.h"

#include <string.h>

#include "base/buf.h"
#include "base/metric.h"
#include "storage/frame.h"

/* Where requests of this kind are counted. */
static struct request_count *request_counted(struct request_gauge *gauge, enum request_kind kind) {
    if (kind == REQUEST_COMMAND || kind == REQUEST_BARRIER)
        return &gauge->proposals;
    if (kind == REQUEST_SNAPSHOT)
        return &gauge->snapshots;
    if (kind == REQUEST_CHANGE)
        return &gauge->changes;
    return kind == REQUEST_READ ? &gauge->reads : &gauge->transfers;
}

size_t request_cost(size_t size) {
    return sizeof(struct request) + size;
}

int request_new(struct request_gauge *gauge, enum request_kind kind, const void *data, size_t size,
                struct request **request) {
    struct request *new = mem_alloc(request_cost(size));
    if (!new)
        return LASH_NOMEM;
    memset(new, 0, sizeof *new);
    list_init(&new->age);
    list_init(&new->link);
    new->gauge = gauge;
    new->cost = request_cost(size);
    new->kind = kind;
    new->size = size;
    if (size)
        memcpy(new->data, data, size);
    atomic_fetch_add_explicit(&gauge->made_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&gauge->made_bytes, new->cost, memory_order_relaxed);
    *request = new;
    return 0;
}

void request_received(const struct request *request) {
    metric_add(&request_counted(request->gauge, request->kind)->made, 1);
    metric_add(&request->gauge->reads_by_lease, request->read_kind == LASH_READ_LEASE);
    metric_add(&request->gauge->reads_stale, request->read_kind == LASH_READ_STALE);
}

void request_end(struct request *request, int error, lash_index index, struct list *ended) {
    list_remove(&request->age);
    list_remove(&request->link);
    request->error = error;
    request->index = index;
    list_push(ended, &request->link);
}

void request_deliver(struct list *ended, size_t bytes) {
    struct list *at;
    size_t told = 0;
    while (told < bytes && (at = list_pop(ended))) {
        struct request *request = list_entry(at, struct request, link);
        told += frame_entry_space(request->size);
        lash_done_fn done = request->done;
        void *argument = request->argument;
        int error = request->error;
        lash_index index = request->index;
        struct request_count *count = request_counted(request->gauge, request->kind);
        metric_add(&count->ended, 1);
        metric_add(&count->failed, error != 0);
        request_free(request);
        done(argument, error, index);
    }
}

void request_free(struct request *request) {
    metric_add(&request->gauge->gone_count, 1);
    metric_add(&request->gauge->gone_bytes, request->cost);
    mem_free(request);
}

void request_withdraw(struct request *request) {
    atomic_fetch_sub_explicit(&request->gauge->made_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&request->gauge->made_bytes, request->cost, memory_order_relaxed);
    mem_free(request);
}

/* Read apart, so that an end may seem to come first. */
static uint64_t request_difference(const _Atomic uint64_t *made, const _Atomic uint64_t *gone) {
    uint64_t less = metric_get(gone);
    uint64_t all = metric_get(made);
    return all > less ? all - less : 0;
}

uint64_t request_count(const struct request_gauge *gauge) {
    return request_difference(&gauge->made_count, &gauge->gone_count);
}

uint64_t request_bytes(const struct request_gauge *gauge) {
    return request_difference(&gauge->made_bytes, &gauge->gone_bytes);
}

/* How many there were, and, in `pending`, how many there are. */
static uint64_t request_made(const struct request_count *count, uint64_t *pending) {
    *pending = request_difference(&count->made, &count->ended);
    return metric_get(&count->made);
}

void request_metrics(const struct request_gauge *gauge, struct lash_metrics *metrics) {
    metrics->proposals = request_made(&gauge->proposals, &metrics->proposals_pending);
    metrics->proposals_failed = metric_get(&gauge->proposals.failed);
    metrics->reads = request_made(&gauge->reads, &metrics->reads_pending);
    metrics->reads_failed = metric_get(&gauge->reads.failed);
    metrics->reads_by_lease = metric_get(&gauge->reads_by_lease);
    metrics->reads_stale = metric_get(&gauge->reads_stale);
    metrics->pending_bytes = request_bytes(gauge);
}
