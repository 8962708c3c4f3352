/* SPDX-License-Identifier: Apache-2.0
 *
 * Clusters of bare cores: logs in memory, disks that write when they are told to,
 * and no bytes anywhere. Millions of events a second, each judged. A random schedule
 * decides what happens next, with weights that change now and then.
 */
#ifndef LASH_SIM_CORE_H
#define LASH_SIM_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lash/raft.h"
#include "sim/judge.h"
#include "sim/run.h"

enum {
    CORE_ENTRIES_MAX = 8,    /* in one message or write */
    CORE_PACKETS_MAX = 1024, /* on their way; what is beyond is lost */
    CORE_WRITES_MAX = 64,    /* under way at one node; beyond, the oldest one is done at once */
    CORE_HELD_MAX = 128,     /* messages that wait for a write; what is beyond is lost */
    CORE_READS_MAX = 16,     /* open at one node */
    CORE_ASIDE_MAX = 32,     /* packets that come much later */
    CORE_NODES_MAX = 9,
    CORE_STREAMS_MAX = 128, /* snapshots on their way: one from each node to each other */
    CORE_ENTRY_BYTES = 100, /* what an entry weighs on the wire */
};

struct core_entry {
    lash_term term;
    uint64_t digest;
    uint32_t kind;
};

/* A log from index 1 on: the entry at index i is entries[i - 1]. */
struct core_log {
    struct core_entry *entries;
    uint64_t count;
    uint64_t capacity;
};

struct core_packet {
    struct lash_message message;
    lash_index first; /* of entries */
    uint32_t count;
    struct core_entry entries[CORE_ENTRIES_MAX];
};

/* What one step wants on disk. */
struct core_write {
    uint64_t number;
    bool save_vote;
    lash_term term;
    lash_id vote;
    lash_index first; /* of entries */
    uint32_t count;
    struct core_entry entries[CORE_ENTRIES_MAX];
    lash_index reset; /* the log goes on behind a snapshot at this index; 0: no */
    lash_term reset_term;
};

/* A snapshot that a leader's driver was told to send. */
struct core_stream {
    lash_id leader;
    lash_term leads; /* the term that it led when it was told */
    lash_id member;
    lash_index index; /* of the snapshot */
    lash_term term;
    bool wanted; /* the member's core asked for it */
};

struct core_read {
    uint64_t context;
    lash_index floor; /* committed when it was asked: it must see at least this */
};

struct core_node {
    lash_id id;
    bool up;
    bool joins; /* it began without a configuration */
    struct lash_raft_options options;
    void *block;
    struct lash_raft *raft;
    uint64_t clock_rate;            /* of its clock, per mille of true time; */
    uint64_t clock_ahead;           /* where that began, in milliseconds */
    uint64_t deadline_ms;           /* by that clock */
    struct lash_raft_status status; /* after the latest step */
    lash_index first_index;         /* what is before was compacted */
    struct core_log log;
    struct core_log disk;
    lash_term disk_term;
    lash_id disk_vote;
    lash_index snapshot;                       /* the newest one; 0: none */
    struct core_write writes[CORE_WRITES_MAX]; /* under way, oldest first */
    uint32_t write_count;
    uint64_t held_after[CORE_HELD_MAX];
    struct lash_message held[CORE_HELD_MAX];
    uint32_t held_count;
    struct core_read reads[CORE_READS_MAX];
    uint32_t read_count;
};

struct core {
    uint32_t count;
    struct core_node nodes[CORE_NODES_MAX + 1]; /* by id */
    struct judge *judge;
    struct lash_configuration configuration;   /* that the group began with */
    bool changes;                              /* the membership changes */
    uint32_t witnesses;                        /* nodes that are witnesses whenever they vote: a set of bits by id */
    struct lash_configuration *configurations; /* of all entries that ever held one, by digest */
    uint64_t configuration_count;
    uint64_t configuration_capacity;
    uint64_t now_ms;
    uint64_t seed;
    uint64_t starts;
    uint64_t digests;                                 /* given out so far */
    uint64_t contexts;                                /* given out so far */
    bool cut[CORE_NODES_MAX + 1][CORE_NODES_MAX + 1]; /* from, to: what is sent is lost */
    struct core_packet packets[CORE_PACKETS_MAX];     /* a ring, in the order of sending */
    uint32_t packet_head;
    uint32_t packet_count;
    struct core_log committed; /* what snapshots hold */
    struct core_stream streams[CORE_STREAMS_MAX];
    uint32_t stream_count;
    uint64_t installed;      /* snapshots */
    struct judge_log suffix; /* of a write that becomes durable */
    uint64_t hash;
    uint64_t steps;
    uint64_t sent;
    uint64_t reads_ok;
    /* How much of a message's entries to send: first - 1 for nothing. */
    lash_index (*send_some)(struct core *core, const struct lash_message *message);
    uint64_t random; /* the schedule's */
    FILE *trace;     /* an account of all events; NULL: none */
};

/* A cluster of voters, all down. */
struct core *core_new(uint32_t count, const struct lash_raft_options *options, uint64_t seed, judge_failed_fn failed,
                      void *context);
void core_free(struct core *core);

/* Before any start: the membership may change, and the last `spare` nodes are no members at first. */
void core_spare(struct core *core, uint32_t spare);

/* Start a node from its disk; `floor` is what it knows to be committed. */
void core_start(struct core *core, struct core_node *node, lash_index floor);

/* What the node's clock shows. */
uint64_t core_clock(const struct core *core, const struct core_node *node);

/* It dies; of its writes under way the first `survive` have reached the disk all the same. */
void core_crash(struct core *core, struct core_node *node, uint32_t survive);

/* One event at a node, with all that follows at once. Returns lash_raft_step's result. */
int core_step(struct core *core, struct core_node *node, struct lash_event *event);
int core_tick(struct core *core, struct core_node *node);
int core_propose(struct core *core, struct core_node *node, uint32_t count);
int core_read(struct core *core, struct core_node *node, bool lease);
int core_configure(struct core *core, struct core_node *node, const struct lash_configuration *to);

/* Let the first `count` writes under way of a node reach its disk, as one. */
void core_write(struct core *core, struct core_node *node, uint32_t count);

/* Let `log` end with `entries`, the first at index `first`. */
void core_log_put(struct core_log *log, lash_index first, const struct core_entry *entries, uint32_t count);

/* core_snapshot.c: a snapshot of what is applied up to `index` is durable, and the log is compacted up to `compacted`. */
void core_snapshot(struct core *core, struct core_node *node, lash_index index, lash_index compacted);

/* Whether the node's log on disk holds what its newest snapshot covers; else a start drops it. */
bool core_disk_counts(const struct core *core, const struct core_node *node);

/* What a node finds when it starts: a log that goes on from its newest snapshot. */
void core_recover(struct core *core, struct core_node *node);

/* Its log goes on behind a snapshot. */
void core_reset(struct core *core, struct core_node *node, const struct lash_outputs *outputs);

/* A leader's driver is told to send a snapshot: fills in which; one that it began as an earlier term's leader is given up.
 * A member's core wants it. */
void core_stream_begin(struct core *core, struct core_node *node, struct lash_message *message);
void core_stream_want(struct core *core, const struct core_node *node, const struct lash_outputs *outputs);

/* It gets there and is installed, if it was wanted; or it breaks. */
void core_stream_end(struct core *core, uint32_t position, bool ok);

/* A node died. */
void core_stream_forget(struct core *core, lash_id id);

/* The packet at a position behind the oldest, which takes the oldest one's place. */
struct core_packet *core_pick(struct core *core, uint32_t position);

/* The oldest packet is no longer on its way. */
void core_drop(struct core *core);
void core_push(struct core *core, const struct core_packet *packet);
void core_hand(struct core *core, const struct core_packet *packet);

/* Let time pass, with disks and network at work and all deadlines met. */
void core_pass(struct core *core, uint64_t ms);

/* The node that leads the highest term among those up; NULL: none does. */
struct core_node *core_leader(struct core *core);

/* core_trace.c: lines of the account; only to be called when there is one. An event, before it is handled (`packet`: what
 * the message came in, else NULL); what comes of it; and a start or an end. */
void core_trace_event(const struct core *core, const struct core_node *node, const struct lash_event *event,
                      const struct core_packet *packet);
void core_trace_outputs(const struct core *core, const struct core_node *node, const struct lash_outputs *outputs,
                        int error);
void core_trace_life(const struct core *core, const struct core_node *node, const char *what);

/* core_run.c: the profiles `core` and `membership`. */
bool core_profile(const char *name);
void core_run(const struct run_settings *settings, struct run_result *result, judge_failed_fn failed);

#endif
