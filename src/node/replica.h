/* SPDX-License-Identifier: Apache-2.0
 *
 * A replica without threads, sockets or clock: it drives the core, the log and
 * the state machine, and reaches the rest of the world through struct
 * replica_env. The production node and the simulator supply one each.
 *
 * Applied is only what is committed and also durable in the own log: a state
 * machine that survives a killed process is thereby never ahead of the log that
 * it is opened with.
 *
 * Threads: the loop thread only, for everything but the `work` of jobs.
 */
#ifndef LASH_NODE_REPLICA_H
#define LASH_NODE_REPLICA_H

#include <stdbool.h>

#include "base/buf.h"
#include "lash/metrics.h"
#include "node/job.h"
#include "node/request.h"
#include "node/roster.h"
#include "storage/log.h"
#include "storage/snapshot.h"
#include "transport/lane.h"

struct replica;

/* What a job runs on: the log is written, the state machine run, old entries read. Jobs of one executor run one after
 * another, and a replica has at most one job with each. */
enum replica_executor {
    REPLICA_LOG = 0,
    REPLICA_APPLY = 1,
    REPLICA_READ = 2,
    REPLICA_SNAPSHOT = 3, /* snapshots are taken */
    REPLICA_COPY = 4,     /* pieces of them are read for peers, and written that came from peers */
    REPLICA_EXECUTORS = 5,
};

/* The world. `context` is handed back to each function. */
struct replica_env {
    void *context;
    /* Monotonic milliseconds. */
    uint64_t (*now_ms)(void *context);
    /* Monotonic nanoseconds, only to measure by; any thread. May be NULL: then nothing is timed. */
    uint64_t (*now_ns)(void *context);
    /* Call replica_turn at `deadline_ms` or soon after; replaces the deadline before. UINT64_MAX: none. */
    void (*arm)(void *context, uint64_t deadline_ms);
    /* Queue a packet for `peer`: a copy of the head, references to the tails. Order is kept within a lane only. Errors: then
     * it was certainly not sent. */
    int (*send)(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                struct buf *const *tails, size_t count);
    /* Run `job` on an executor. */
    void (*submit)(void *context, enum replica_executor executor, struct job *job);
    /* Carry out a write of the log's so that it is durable, set write->result, and then, not in here, call job->done. May be NULL: the
     * log's executor writes. */
    void (*write)(void *context, struct log_write *write, struct job *job);
    /* Let `peer` be dialled, and heard, at an address, or at another than before; replica_disconnected may be called in
     * here. Errors: LASH_NOMEM, with which it is tried again, and others, with which it is not. May be NULL, as the next
     * one: whoever is connected is a peer. */
    int (*add_peer)(void *context, lash_id peer, const char *host, uint16_t port);
    /* Let go of `peer`: it has left, by a configuration that is committed, and nothing is to be heard from it any more. */
    void (*remove_peer)(void *context, lash_id peer);
    /* What both this node and `peer` announce (wire.h); 0: it is not connected. */
    uint64_t (*features)(void *context, lash_id peer);
    /* The identity of the peer's data directory, as it says; 0: not known. May be NULL. */
    uint64_t (*disk)(void *context, lash_id peer);
    /* The disk with which `peer` is a member, 0 when that is not known: it is not to be heard with another. With add_peer. */
    void (*expect)(void *context, lash_id peer, uint64_t disk);
    /* The committed configuration's index, for strangers, and whether they are welcome as peers, as this node waits to be
     * added. With add_peer. */
    void (*configured)(void *context, lash_index committed, bool welcome);
    /* Role, term or leader changed. May be NULL. */
    void (*observe)(void *context, const struct lash_status *status);
    /* The core has made a step, which is carried out but for what it sends; for whoever judges it. May be NULL. */
    void (*stepped)(void *context);
    /* Something happened that an observer may want to know. May be NULL. */
    void (*happened)(void *context, const struct lash_observation *observation);
    /* A sync of the log failed: stop the process at once. It may return only where the process is simulated. */
    void (*halt)(void *context, int error);
};

/* All set: no field has a default here. */
struct replica_options {
    lash_id id;
    uint64_t cluster_id;
    uint64_t group;
    uint64_t heartbeat_ms;
    uint64_t election_ms;
    bool leases;
    uint32_t lease_drift; /* per mille */
    uint64_t seed;        /* differs between the nodes of a cluster and between incarnations, unless replaying */
    uint64_t sequence;    /* the first of the numbers for requests: likely never used by this node before */
    lash_index applied;
    uint64_t request_timeout_ms;
    uint64_t recent_bytes_max;  /* frames kept in memory after they are written, */
    uint64_t recent_bytes_kept; /* and, of those that nobody is known to need */
    uint64_t uncommitted_bytes_max;
    uint64_t inflight_bytes_max;
    uint64_t part_bytes;  /* of a command in one entry; a larger one is cut (parts.h) */
    uint64_t disk;        /* identity of this node's data directory; 0: none */
    struct roster *first; /* the configuration to begin with: that of the newest snapshot, else the group's first;
                                  * NULL: this node joins */
    struct roster
        *contacts; /* where nodes are found, as far as no configuration with this one in it says so; or NULL */
    struct snapshots *snapshots; /* stays the caller's until replica_free; NULL: none, and the machine takes none */
    uint64_t snapshot_bytes_min; /* of log, after which a snapshot is taken */
    uint64_t trailing_bytes;     /* of log kept before a snapshot */
    uint64_t snapshot_rate;      /* bytes a second to each peer; 0: as many as it takes */
    uint64_t piece_bytes;        /* of a snapshot that go to a peer at a time */
    struct lash_state_machine machine;
    struct request_gauge *gauge;
};

/* Make a replica that goes on from `recovered` with `log`; both stay the caller's, the log until replica_free. References to
 * rosters are taken. Errors: LASH_INVALID, LASH_NOMEM, LASH_MISMATCH (`applied` is beyond the log), and those of log_read
 * and roster_decode. */
int replica_new(const struct replica_options *options, const struct replica_env *env, struct log *log,
                const struct log_recovered *recovered, struct replica **replica);

/* Free a replica that has stopped, or whose first replica_turn was never called. */
void replica_free(struct replica *replica);

/* Free a replica as if its process had died: its jobs are never finished, its requests never told. Simulated processes only. */
void replica_abandon(struct replica *replica);

/* ---- Events; after any number of them, replica_turn, then replica_deliver --------------------------------------- */

/* Take over a list of requests (by their `link`), each of which will end. */
void replica_submit(struct replica *replica, struct list *requests);

/* A packet came from `from`. `head` and `tail` are only read during the call. Returns LASH_CORRUPT or LASH_VERSION when the
 * bytes cannot come from a right peer, else 0. */
int replica_receive(struct replica *replica, lash_id from, const uint8_t *head, size_t head_size, const uint8_t *tail,
                    size_t tail_size);

/* The way to a peer has opened, or broke: then what was sent may be lost. */
void replica_connected(struct replica *replica, lash_id peer);
void replica_disconnected(struct replica *replica, lash_id peer);

/* The lane for snapshots to a peer can take something, or was lost with what was in it. */
void replica_lane(struct replica *replica, lash_id peer, bool ready);
/* A peer says that it knows the committed configuration at `index`, and that this node is no member in it. */
void replica_stranger(struct replica *replica, lash_id peer, lash_index index);

/* A peer says that another disk was this member's: what this node had is lost. */
void replica_impostor(struct replica *replica, lash_id peer);

/* A peer's process has ended, for all that can be told from here. */
void replica_down(struct replica *replica, lash_id peer);

/* Do all that is due: what gathered since the last turn becomes batches and jobs. */
void replica_turn(struct replica *replica);

/* Tell the ends of the requests that have ended by now; whether there were any. Then another turn is due with what the callbacks asked
 * for, or, when that is nothing, replica_notify. */
bool replica_deliver(struct replica *replica);

/* Whether requests have ended whose ends are yet to be told; and hand those over, for request_deliver. */
bool replica_has_ended(const struct replica *replica);
void replica_ended(struct replica *replica, struct list *ended);

/* Tell the others what is committed, if nothing else did. */
void replica_notify(struct replica *replica);

/* Take no further part: requests end with LASH_CLOSED, what waits for the log is still written. */
void replica_stop(struct replica *replica);

/* Whether a replica told to stop has no job outstanding, nothing to write, and nobody to tell. */
bool replica_stopped(const struct replica *replica);

/* ---- Observation ------------------------------------------------------------------------------- */

void replica_status(const struct replica *replica, struct lash_status *status);

/* Fill in what is counted and timed. Any thread. */
void replica_metrics(const struct replica *replica, struct lash_metrics *metrics);

/* Fill in the lengths of queues now. */
void replica_queues(const struct replica *replica, struct lash_metrics *metrics);

/* The configuration in force, valid until the next event; NULL: none is known yet. */
struct roster *replica_roster(const struct replica *replica);

/* The committed one, likewise. */
struct roster *replica_committed_roster(const struct replica *replica);

/* 0, or why the replica takes no part any more. */
int replica_error(const struct replica *replica);

#endif
