/* SPDX-License-Identifier: Apache-2.0
 *
 * What a replica counts and measures: for those who watch it. The state of the
 * protocol itself is in struct lash_status (lash/node.h); together they are what lashd shows
 * at /metrics.
 *
 * Counters start at 0 when the node is opened and only grow. Everything else is as
 * of now. Reading them takes no part in anything: the node never waits for it.
 */
#ifndef LASH_METRICS_H
#define LASH_METRICS_H

#include "lash/node.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LASH_HISTOGRAM_BUCKETS_MAX 16

/* Durations, counted in buckets whose upper bounds double. */
struct lash_histogram {
    uint64_t bound_ns;     /* of the first bucket; a value equal to a bound is within it */
    uint32_t bucket_count; /* with bounds */
    uint32_t reserved;
    uint64_t counts[LASH_HISTOGRAM_BUCKETS_MAX + 1]; /* of each bucket alone; counts[bucket_count]: beyond all bounds */
    uint64_t sum_ns;
};

/* One peer, as this node's transport sees it. */
struct lash_peer_metrics {
    lash_id id;
    bool connected;        /* the connection to it is ready */
    uint16_t features;     /* those of lash_node_options.features that it has too, while it is connected */
    uint64_t connects;     /* connections to it that became ready */
    uint64_t disconnects;  /* and broke */
    uint64_t packets_sent; /* given to the operating system whole */
    uint64_t bytes_sent;   /* of packets, with their headers */
    uint64_t packets_received;
    uint64_t bytes_received;
    uint64_t send_failures;  /* packets that could not be queued: there was no connection, or the queue was full */
    uint64_t queued_packets; /* wait to be given to the operating system */
    uint64_t queued_bytes;
    uint64_t round_trip_ns; /* of the last probe that was answered; 0: none was */
    /* Of a small packet there and back, once a second, on the connections that heartbeats use too: what waits before it
     * counts. Its first bound is 0.1 ms. */
    struct lash_histogram round_trip;
};

struct lash_metrics {
    /* Elections. */
    uint64_t pre_elections;  /* in which this node asked whether it could win (D§9.6) */
    uint64_t elections;      /* in which it stood (§5.2) */
    uint64_t elections_won;  /* after which it led */
    uint64_t leader_changes; /* another leader than before became known */
    uint64_t transfers[5];   /* that this node began as leader (D§3.10), by enum lash_transfer_reason */

    /* Requests made on this node. Barriers count as proposals. */
    uint64_t proposals;
    uint64_t proposals_failed;  /* that ended with an error */
    uint64_t proposals_pending; /* that have not ended */
    uint64_t proposals_sent;    /* of those: sent to a leader's log, and not being applied yet */
    uint64_t reads;
    uint64_t reads_failed;
    uint64_t reads_by_lease; /* of `reads`: asked for as LASH_READ_LEASE, */
    uint64_t reads_stale;    /* and as LASH_READ_STALE */
    uint64_t reads_pending;
    uint64_t pending_bytes; /* that all requests not ended hold, counted as by pending_bytes_max */

    /* The log. */
    uint64_t log_writes;        /* batches written and synced */
    uint64_t log_bytes;         /* of entries in them */
    uint64_t log_queued_frames; /* of entries, that wait for the disk or are being written */
    uint64_t log_queued_bytes;
    uint64_t uncommitted_bytes; /* that this node appended as leader and that are not committed */
    uint64_t parts_bytes;   /* of commands of which parts came, from the log or from peers, and that are not whole */
    uint64_t messages_held; /* answers that wait for the disk (§5.1, §5.3) */
    struct lash_histogram sync; /* of the log to disk, or a small append's write as a whole; the first bound is 1 ms */
    uint64_t write_ns;          /* what a write of the log takes with its sync, smoothed: by this a disk is slow */

    /* From the moment when the leader put an entry into its log to its commitment: of the entries of this node's
     * leaderships. The first bound is 0.1 ms. */
    struct lash_histogram commit;

    /* From the moment when this node knew that an entry is committed to its being applied here; how long the
     * oldest such entry has been waiting now, 0 when there is none. The first bound is 0.1 ms. */
    struct lash_histogram apply;
    uint64_t apply_lag_ns;

    /* Snapshots (§7). */
    uint64_t snapshots_taken;
    uint64_t snapshots_failed;        /* that could not be taken */
    uint64_t snapshots_installed;     /* that came from peers */
    uint64_t snapshots_sent;          /* to peers, whole */
    uint64_t snapshot_send_failures;  /* that broke off; another try goes on from there */
    uint64_t snapshot_bytes_sent;     /* of files */
    uint64_t snapshot_bytes_received; /* likewise */
    /* From the moment when one was begun until it was durable; from the begin of restoring the state machine from one to
     * its end. The first bound is 1 ms. */
    struct lash_histogram snapshot_save;
    struct lash_histogram snapshot_restore;

    uint32_t peer_count;
    uint32_t reserved;
    struct lash_peer_metrics peers[LASH_RAFT_MEMBERS_MAX];
};

/* Fill `metrics`. Any thread, callbacks too. Never blocks for long. Errors: LASH_CLOSED. */
LASH_PUBLIC int lash_node_metrics(lash_node *node, struct lash_metrics *metrics);

#ifdef __cplusplus
}
#endif
#endif
