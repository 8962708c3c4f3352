/* SPDX-License-Identifier: Apache-2.0
 *
 * Durations are measured a batch at a time: one mark when something happens to a
 * batch of entries, and one look at the clock when an index passes marks.
 */
#include "node/meter.h"

#include "base/assert.h"

enum {
    METER_BOUND_NS = 100000,       /* 0.1 ms, up to 3.3 s */
    METER_SYNC_BOUND_NS = 1000000, /* 1 ms, up to 8.2 s: as etcd's */
    METER_SYNC_BUCKETS = 14,
};

void meter_init(struct meter *meter, uint64_t (*now_ns)(void *context), void *context) {
    meter->now_ns = now_ns;
    meter->context = context;
    metric_histogram(&meter->sync, METER_SYNC_BOUND_NS, METER_SYNC_BUCKETS);
    metric_histogram(&meter->snapshot_save, METER_SYNC_BOUND_NS, METER_SYNC_BUCKETS);
    metric_histogram(&meter->snapshot_restore, METER_SYNC_BOUND_NS, METER_SYNC_BUCKETS);
    metric_histogram(&meter->commit, METER_BOUND_NS, LASH_HISTOGRAM_BUCKETS_MAX);
    metric_histogram(&meter->apply, METER_BOUND_NS, LASH_HISTOGRAM_BUCKETS_MAX);
}

uint64_t meter_now(const struct meter *meter) {
    return meter->now_ns ? meter->now_ns(meter->context) : 0;
}

_Static_assert(sizeof((struct meter *)0)->transfers / sizeof(uint64_t) ==
                   sizeof((struct lash_metrics *)0)->transfers / sizeof(uint64_t),
               "each reason has its number");

/* ---- Marks --------------------------------------------------------------------------------------- */

static struct meter_mark *meter_mark_at(struct meter_marks *marks, uint32_t position) {
    return &marks->marks[(marks->head + position) % METER_MARKS_MAX];
}

/* When all marks are in use, the newest becomes one for these entries too: they then seem to have come as early. */
static void meter_mark(struct meter_marks *marks, lash_index last, uint64_t count, uint64_t at_ns) {
    if (marks->count == METER_MARKS_MAX) {
        struct meter_mark *newest = meter_mark_at(marks, marks->count - 1);
        newest->last = last;
        newest->count += count;
        return;
    }
    *meter_mark_at(marks, marks->count++) = (struct meter_mark){last, count, at_ns};
}

/* Observe the marks that `index` has passed. */
static void meter_pass(struct meter *meter, struct meter_marks *marks, lash_index index,
                       struct metric_histogram *histogram) {
    if (marks->count == 0 || meter_mark_at(marks, 0)->last > index)
        return;
    uint64_t now_ns = meter_now(meter);
    while (marks->count > 0 && meter_mark_at(marks, 0)->last <= index) {
        const struct meter_mark *mark = meter_mark_at(marks, 0);
        metric_observe(histogram, now_ns - mark->at_ns, mark->count);
        marks->head = (marks->head + 1) % METER_MARKS_MAX;
        marks->count--;
    }
}

/* ---- Events -------------------------------------------------------------------------------------- */

void meter_synced(struct meter *meter, uint64_t since_ns) {
    if (meter->now_ns)
        metric_observe(&meter->sync, meter_now(meter) - since_ns, 1);
}

void meter_written(struct meter *meter, uint64_t bytes) {
    metric_add(&meter->log_writes, 1);
    metric_add(&meter->log_bytes, bytes);
}

void meter_proposed(struct meter *meter, lash_index last, uint64_t count, uint64_t since_ns) {
    if (meter->now_ns)
        meter_mark(&meter->proposed, last, count, since_ns);
}

void meter_snapshot_taken(struct meter *meter, uint64_t since_ns) {
    metric_add(&meter->snapshots_taken, 1);
    if (meter->now_ns)
        metric_observe(&meter->snapshot_save, meter_now(meter) - since_ns, 1);
}

void meter_snapshot_restored(struct meter *meter, uint64_t since_ns) {
    if (meter->now_ns)
        metric_observe(&meter->snapshot_restore, meter_now(meter) - since_ns, 1);
}

static void meter_role(struct meter *meter, const struct lash_raft_status *before, const struct lash_raft_status *now) {
    bool anew = now->role != before->role || now->term != before->term;
    if (anew && now->role == LASH_PRE_CANDIDATE)
        metric_add(&meter->pre_elections, 1);
    bool stood = now->role == LASH_CANDIDATE || (now->role == LASH_LEADER && before->role != LASH_CANDIDATE);
    if (anew && stood) /* the only voter wins in the step in which it stands */
        metric_add(&meter->elections, 1);
    if (anew && now->role == LASH_LEADER)
        metric_add(&meter->elections_won, 1);
    if (now->role != LASH_LEADER) /* what becomes of its entries, it does not measure */
        meter->proposed.count = 0;
    if (now->leader != 0 && now->leader != before->leader)
        metric_add(&meter->leader_changes, 1);
}

void meter_stepped(struct meter *meter, const struct lash_raft_status *before, const struct lash_raft_status *now) {
    if (now->role != before->role || now->term != before->term || now->leader != before->leader)
        meter_role(meter, before, now);
    LASH_ASSERT(now->commit >= before->commit && now->applied >= before->applied);
    if (now->transfer_to != 0 && before->transfer_to == 0)
        metric_add(&meter->transfers[now->transfer_why], 1);
    if (!meter->now_ns)
        return;
    if (now->commit > before->commit) {
        meter_mark(&meter->committed, now->commit, now->commit - before->commit, meter_now(meter));
        meter_pass(meter, &meter->proposed, now->commit, &meter->commit);
    }
    if (now->applied > before->applied)
        meter_pass(meter, &meter->committed, now->applied, &meter->apply);
}

/* ---- Reading ------------------------------------------------------------------------------------- */

uint64_t meter_apply_lag(const struct meter *meter) {
    if (meter->committed.count == 0)
        return 0;
    return meter_now(meter) - meter->committed.marks[meter->committed.head].at_ns;
}

void meter_read(const struct meter *meter, struct lash_metrics *metrics) {
    metrics->pre_elections = metric_get(&meter->pre_elections);
    metrics->elections = metric_get(&meter->elections);
    metrics->elections_won = metric_get(&meter->elections_won);
    metrics->leader_changes = metric_get(&meter->leader_changes);
    for (uint32_t why = 0; why <= LASH_TRANSFER_SLOW; why++)
        metrics->transfers[why] = metric_get(&meter->transfers[why]);
    metrics->log_writes = metric_get(&meter->log_writes);
    metrics->log_bytes = metric_get(&meter->log_bytes);
    metrics->snapshots_taken = metric_get(&meter->snapshots_taken);
    metrics->snapshots_failed = metric_get(&meter->snapshots_failed);
    metrics->snapshots_installed = metric_get(&meter->snapshots_installed);
    metrics->snapshots_sent = metric_get(&meter->snapshots_sent);
    metrics->snapshot_send_failures = metric_get(&meter->snapshot_send_failures);
    metrics->snapshot_bytes_sent = metric_get(&meter->snapshot_bytes_sent);
    metrics->snapshot_bytes_received = metric_get(&meter->snapshot_bytes_received);
    metric_copy(&meter->snapshot_save, &metrics->snapshot_save);
    metric_copy(&meter->snapshot_restore, &metrics->snapshot_restore);
    metric_copy(&meter->sync, &metrics->sync);
    metric_copy(&meter->commit, &metrics->commit);
    metric_copy(&meter->apply, &metrics->apply);
}
