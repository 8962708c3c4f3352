/* SPDX-License-Identifier: Apache-2.0
 *
 * What a replica counts and measures of itself (lash/metrics.h). Nothing that a
 * replica does depends on it: where there is no finer clock, as in most simulations,
 * nothing is timed.
 *
 * Threads: the loop thread adds, but for `sync`, which is whoever's writes the log
 * then; any thread may read counters and histograms.
 */
#ifndef LASH_NODE_METER_H
#define LASH_NODE_METER_H

#include "base/metric.h"

/* Marks that can be set before they have to share. */
enum { METER_MARKS_MAX = 256 };

/* A moment in which something happened to `count` entries, of which `last` is the last. */
struct meter_mark {
    lash_index last;
    uint64_t count;
    uint64_t at_ns;
};

/* Marks on their way to an index that passes them, oldest first; a ring. */
struct meter_marks {
    struct meter_mark marks[METER_MARKS_MAX];
    uint32_t head;
    uint32_t count;
};

struct meter {
    uint64_t (*now_ns)(void *context); /* NULL: nothing is timed */
    void *context;
    struct meter_marks proposed;
    struct meter_marks committed;

    _Atomic uint64_t pre_elections;
    _Atomic uint64_t elections;
    _Atomic uint64_t elections_won;
    _Atomic uint64_t leader_changes;
    _Atomic uint64_t transfers[LASH_TRANSFER_SLOW + 1]; /* by reason */
    _Atomic uint64_t log_writes;
    _Atomic uint64_t log_bytes;
    _Atomic uint64_t snapshots_failed;
    _Atomic uint64_t snapshots_installed;
    _Atomic uint64_t snapshots_sent;
    _Atomic uint64_t snapshot_send_failures;
    _Atomic uint64_t snapshot_bytes_sent;
    _Atomic uint64_t snapshot_bytes_received;
    _Atomic uint64_t snapshots_taken;
    struct metric_histogram snapshot_save;
    struct metric_histogram snapshot_restore;
    struct metric_histogram sync;
    struct metric_histogram commit;
    struct metric_histogram apply;
};

/* All zeros is not a meter yet. */
void meter_init(struct meter *meter, uint64_t (*now_ns)(void *context), void *context);

/* A moment to measure from; 0 when nothing is timed. Any thread. */
uint64_t meter_now(const struct meter *meter);

/* The log was synced, which began at `since_ns`, for `bytes` of entries; or it failed, which is not counted. */
void meter_synced(struct meter *meter, uint64_t since_ns);
void meter_written(struct meter *meter, uint64_t bytes);

/* As leader: `count` entries up to `last` were put into the log, beginning at `since_ns`. */
void meter_proposed(struct meter *meter, lash_index last, uint64_t count, uint64_t since_ns);

/* A snapshot was taken, or the state machine restored from one, which began at `since_ns`. */
void meter_snapshot_taken(struct meter *meter, uint64_t since_ns);
void meter_snapshot_restored(struct meter *meter, uint64_t since_ns);

/* A step of the core led from `before` to `now`. */
void meter_stepped(struct meter *meter, const struct lash_raft_status *before, const struct lash_raft_status *now);

/* How long the oldest entry that is committed and not applied has been so. Loop thread. */
uint64_t meter_apply_lag(const struct meter *meter);

/* Fill in what the meter has. Any thread. */
void meter_read(const struct meter *meter, struct lash_metrics *metrics);

#endif
