/* SPDX-License-Identifier: Apache-2.0
 *
 * One replica: the real core with a driver that obeys its outputs as raft.h says,
 * and a disk. A step is a function of the replica's state and the event, so each is
 * made once and remembered; the search over clusters then only looks steps up.
 */
#ifndef LASH_CHECK_REPLICA_H
#define LASH_CHECK_REPLICA_H

#include "check/intern.h"
#include "check/model.h"

enum replica_kind {
    REPLICA_ELECTION = 1,   /* the election timeout */
    REPLICA_HEARTBEAT = 2,  /* the leader's heartbeat is due */
    REPLICA_QUORUM = 3,     /* the leader heard from no quorum for an election timeout */
    REPLICA_GIVE_UP = 4,    /* the leader's answer to reads does not come in time */
    REPLICA_PROPOSE = 5,    /* a command is proposed */
    REPLICA_WRITTEN = 6,    /* argument: so many writes become durable, as one */
    REPLICA_READ = 7,       /* argument: the read that is asked for */
    REPLICA_CRASH = 8,      /* crash and start; argument: see REPLICA_CRASH_OF */
    REPLICA_DELIVER = 9,    /* argument: the message */
    REPLICA_TRANSFER = 10,  /* argument: the node that the leader is asked to hand its office to */
    REPLICA_ABANDON = 11,   /* the leader gives a transfer up */
    REPLICA_SNAPSHOT = 12,  /* a snapshot of what is committed is durable, and the log that it covers is forgotten */
    REPLICA_INSTALL = 13,   /* argument: the message that offered the snapshot which is durable here now */
    REPLICA_CONFIGURE = 14, /* argument: the membership that the leader is asked for (roster.h) */
};

/* An event: its kind and argument in one word. */
#define REPLICA_EVENT(kind, argument) ((uint32_t)(kind) | (uint32_t)(argument) << 4)
#define REPLICA_KIND(event) ((enum replica_kind)((event)&15))
#define REPLICA_ARGUMENT(event) ((event) >> 4)
/* Of the writes under way the first `survive` reached the disk; `reads` were asked in the cluster so far. */
#define REPLICA_CRASH_OF(survive, reads) ((uint32_t)(survive) | (uint32_t)(reads) << 8)

/* What a step does. */
struct replica_step {
    uint32_t after;  /* the node; 0: the event cannot happen, or what it would write does not fit the bound */
    uint8_t clipped; /* 1: the latter */
    uint8_t sends;   /* words[0..sends-1] are messages */
    uint8_t answers; /* words[sends..]: reads answered, REPLICA_ANSWER each */
    uint8_t verdict; /* replica_verdict's argument; 0: all is well */
    uint32_t words[];
};
#define REPLICA_ANSWER(read, index) ((uint32_t)(read) | (uint32_t)(index) << 8)
#define REPLICA_ANSWER_READ(answer) ((answer)&255)
#define REPLICA_ANSWER_INDEX(answer) ((answer) >> 8)

struct replicas;

/* NULL when memory ran out. `permutations` renamings are in to[k * (MODEL_NODES_MAX + 1) + id]. */
struct replicas *replicas_new(const struct model_bounds *bounds, enum model_fault fault, const uint8_t *to,
                              uint32_t permutations);
void replicas_free(struct replicas *replicas);

/* The number of a replica that starts from `disk`: its id, disk_ fields and commit count. 0 when memory ran out. */
uint32_t replicas_start(struct replicas *replicas, const struct model_node *disk);

/* The number of a message; 0 when memory ran out. */
uint32_t replicas_message_number(struct replicas *replicas, const struct model_message *message);

/* The step that node `number` takes at `event`; NULL when memory ran out. Valid until replicas_free. */
const struct replica_step *replicas_step(struct replicas *replicas, uint32_t number, uint32_t event);
const struct model_verdict *replicas_verdict(const struct replicas *replicas, uint8_t verdict);

struct intern *replicas_nodes(const struct replicas *replicas);
struct intern *replicas_messages(const struct replicas *replicas);

/* How many different steps were made, and the bytes that all of this takes. */
uint64_t replicas_steps(const struct replicas *replicas);
size_t replicas_memory(const struct replicas *replicas);

/* An entry whose maker is called to[maker]. */
model_entry replica_entry_renamed(model_entry entry, const uint8_t *to);

#endif
