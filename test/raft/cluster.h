/* SPDX-License-Identifier: Apache-2.0
 *
 * A driver for several cores in one process: logs in memory, a network that is a
 * list of packets, disks that write when they are told to, and a clock that moves
 * when it is told to. Nothing happens by itself, so a test decides every order of
 * events; the oracle judges after each.
 */
#ifndef LASH_TEST_RAFT_CLUSTER_H
#define LASH_TEST_RAFT_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lash/raft.h"
#include "oracle.h"

#define CLUSTER_NODES_MAX 7
#define CLUSTER_PACKETS_MAX 4096
#define CLUSTER_ENTRY_BYTES 100 /* what an entry weighs on the wire */
#define CLUSTER_CLOCK_TRUE 1000 /* the rate of a clock that shows true time */

/* A message on its way, with the entries that it carries: entries[0] is at index `first`. */
struct cluster_packet {
    struct lash_message message;
    lash_index first;
    struct entry *entries;
    uint32_t entry_count;
};

/* A snapshot that a leader's driver was told to send, and what became of it so far. */
struct cluster_stream {
    lash_id leader;
    lash_term leads; /* the term that it led when it was told */
    lash_id member;
    lash_index index; /* of the snapshot */
    lash_term term;
    bool wanted; /* the member's core asked for it */
};

#define CLUSTER_STREAMS_MAX 64

/* What one step wants on disk. */
struct cluster_write {
    uint64_t number;
    bool save_vote;
    lash_term term;
    lash_id vote;
    lash_index first; /* of `entries`; 0: none */
    struct entry *entries;
    uint32_t entry_count;
    lash_index reset; /* the log goes on behind a snapshot at this index; 0: no */
    lash_term reset_term;
};

struct cluster_held {
    uint64_t after_write;
    struct cluster_packet packet;
};

/* A read that was asked for and is yet to be answered. */
struct cluster_read {
    uint64_t context;
    lash_index floor; /* committed when it was asked: it must see at least this */
};

struct cluster_node {
    lash_id id;
    bool up;
    bool joins; /* it began without a configuration */
    struct lash_raft_options options;
    void *block;
    struct lash_raft *raft;
    uint64_t clock_rate;  /* of its clock, per mille of true time */
    uint64_t deadline_ms; /* by that clock */
    lash_index commit;
    lash_term term;
    uint32_t role;
    struct lash_configuration configuration;   /* in force after the last step */
    lash_index matches[CLUSTER_NODES_MAX + 1]; /* while it leads: what it knew of each, by id, after the last step */

    struct entries log;
    lash_index first_index; /* what is before was compacted */

    /* On disk. `disk` holds 1..its count, also what was compacted; a log that a snapshot is to replace is what it was. */
    lash_index snapshot; /* the newest; 0: none */
    struct entries disk;
    lash_term disk_term;
    lash_id disk_vote;

    struct cluster_write *writes; /* under way, oldest first */
    uint64_t write_count;
    uint64_t write_max;
    struct cluster_held *held;
    uint64_t held_count;
    uint64_t held_max;
    struct cluster_read *reads;
    uint64_t read_count;
    uint64_t read_max;
};

struct cluster {
    uint32_t count;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    uint64_t now_ms;
    uint64_t payloads; /* given out so far */
    uint64_t contexts; /* given out so far */
    uint64_t starts;   /* of nodes so far: each gets a seed of its own */
    uint64_t seed;
    struct lash_configuration configuration;   /* that the group began with */
    struct lash_configuration *configurations; /* of all entries that ever held one; see cluster_configuration */
    uint64_t configuration_count;
    uint64_t configuration_max;
    bool cut[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1]; /* from, to: what is sent is lost */
    struct cluster_packet packets[CLUSTER_PACKETS_MAX];     /* in the order of sending */
    uint32_t packet_count;
    struct cluster_stream streams[CLUSTER_STREAMS_MAX];
    uint32_t stream_count;
    struct oracle *oracle;

    uint64_t trace;    /* hash of all outputs so far (P1) */
    uint64_t steps;    /* events handled so far */
    uint64_t reads_ok; /* reads answered with an index */
    uint64_t reads_no; /* reads refused */
    uint64_t grows;    /* times that a term table was full */
    uint64_t installs; /* snapshots installed */
    uint64_t resets;   /* of them those that replaced the log */

    /* Called after each step that was not refused. */
    void (*observe)(struct cluster *cluster, struct cluster_node *node, const struct lash_event *event,
                    const struct lash_outputs *outputs);
    /* Decides how much of first..last to send, first - 1 for nothing. NULL: as much as bytes_max allows. */
    lash_index (*send_some)(struct cluster *cluster, const struct lash_message *message);
    /* Decides where the frame with an APPEND's entries begins, 1..first. NULL: at `first`. */
    lash_index (*frame_start)(struct cluster *cluster, const struct lash_message *message);
    void *context; /* the test's */
};

/* A cluster of `count` voters, all down. `options` serves for all nodes; its id and seed are set for each. */
struct cluster *cluster_new(uint32_t count, const struct lash_raft_options *options, uint64_t seed);
void cluster_free(struct cluster *cluster);

/* Before any start: the last `count` nodes are no members at first, and join when they are configured. */
void cluster_spare(struct cluster *cluster, uint32_t count);

struct cluster_node *cluster_node(struct cluster *cluster, lash_id id);

/* What a node's clock shows, and the true time at which it shows the node's deadline. */
uint64_t cluster_clock(const struct cluster *cluster, const struct cluster_node *node);
uint64_t cluster_due(const struct cluster_node *node);

/* What an entry of kind CONFIGURATION holds. */
const struct lash_configuration *cluster_configuration(const struct cluster *cluster, const struct entry *entry);

/* Put onto the disk of a node that is down: a log of these terms (commands of unique payload; equal (index, term) get
 * equal payloads), the term and the vote. */
void cluster_disk_set(struct cluster *cluster, lash_id id, const lash_term *terms, uint32_t count, lash_term term,
                      lash_id vote);

/* Start a node from its disk; `floor` is what it knows to be committed. */
void cluster_start(struct cluster *cluster, lash_id id, lash_index floor);
void cluster_start_all(struct cluster *cluster);

/* A node dies; of its writes under way the first `survive` have reached the disk all the same. */
void cluster_crash(struct cluster *cluster, lash_id id, uint64_t survive);

/* One event for one node, with all that follows at once. Returns lash_raft_step's result. */
int cluster_step(struct cluster *cluster, lash_id id, struct lash_event *event);

int cluster_tick(struct cluster *cluster, lash_id id);
int cluster_propose(struct cluster *cluster, lash_id id, uint32_t count);
int cluster_read(struct cluster *cluster, lash_id id);
int cluster_read_by_lease(struct cluster *cluster, lash_id id);
int cluster_unreachable(struct cluster *cluster, lash_id id, lash_id peer);
int cluster_down(struct cluster *cluster, lash_id id, lash_id peer);
int cluster_applied(struct cluster *cluster, lash_id id, lash_index index);
int cluster_transfer(struct cluster *cluster, lash_id id, lash_id to);
int cluster_configure(struct cluster *cluster, lash_id id, const struct lash_configuration *to);
int cluster_ready(struct cluster *cluster, lash_id id, lash_id peer);
int cluster_room(struct cluster *cluster, lash_id id, bool full);
int cluster_slow(struct cluster *cluster, lash_id id, bool slow);

/* A snapshot of what is applied up to `index` is durable, and the log is compacted up to `compacted`. */
int cluster_snapshot(struct cluster *cluster, lash_id id, lash_index index, lash_index compacted);
int cluster_compact(struct cluster *cluster, lash_id id, lash_index index);

/* The entry at `index` that a node would find after a crash, in its snapshot or in its log; NULL: none. */
const struct entry *cluster_durable(const struct cluster *cluster, const struct cluster_node *node, lash_index index);

/* A leader's driver is told to send a snapshot: fills in which. What it began as an earlier term's leader is given up. A member's core wants what `install_from` offers. */
void cluster_stream_begin(struct cluster *cluster, struct cluster_node *node, struct lash_message *message);
void cluster_stream_want(struct cluster *cluster, const struct cluster_node *node, const struct lash_outputs *outputs);

/* A stream comes to its end: the snapshot got there and is installed, if it was wanted; or it broke. */
void cluster_stream_end(struct cluster *cluster, uint32_t position, bool ok);

/* A node died: nobody waits for its streams, and who sends it one learns in time. */
void cluster_stream_forget(struct cluster *cluster, lash_id id);

/* S3: the log of `node` is replaced by a snapshot. */
void cluster_reset(struct cluster *cluster, struct cluster_node *node, const struct lash_outputs *outputs);

/* What a node finds when it starts: a log that goes on from the newest snapshot. */
void cluster_recover(struct cluster *cluster, struct cluster_node *node);

/* Let the first `count` writes under way of a node reach its disk, as one. */
void cluster_write(struct cluster *cluster, lash_id id, uint64_t count);

/* The position of the oldest packet from..to (0: any), or packet_count. */
uint32_t cluster_find(const struct cluster *cluster, lash_id from, lash_id to);
/* Take the packet at a position off the network; the caller frees it. */
struct cluster_packet cluster_take(struct cluster *cluster, uint32_t position);
/* Hand a packet to its node, if that is up. */
void cluster_hand(struct cluster *cluster, const struct cluster_packet *packet);
void cluster_deliver(struct cluster *cluster, uint32_t position);
void cluster_drop(struct cluster *cluster, uint32_t position);
void cluster_duplicate(struct cluster *cluster, uint32_t position);
void cluster_packet_free(struct cluster_packet *packet);

/* Cut or mend all links between `id` and the others. */
void cluster_isolate(struct cluster *cluster, lash_id id, bool cut);

/* Write and deliver until nothing is under way; no time passes. */
void cluster_settle(struct cluster *cluster);

/* Let time pass, with disks and network at work and all deadlines met. */
void cluster_run(struct cluster *cluster, uint64_t ms);

/* The node that leads the highest term among those up, or 0. */
lash_id cluster_leader(struct cluster *cluster);

/* Elect `id`: it is the first to time out, all at work. Stops the test when that does not make it the leader. */
void cluster_elect(struct cluster *cluster, lash_id id);

#endif
