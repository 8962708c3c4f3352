/* SPDX-License-Identifier: Apache-2.0
 *
 * What kind of world a seed gives: how fast its networks and disks are, how busy
 * its clients, and how often each fault happens.
 */
#ifndef LASH_SIM_PROFILE_H
#define LASH_SIM_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"

/* Faults that happen at times of their own. docs/verification.md says what each does. */
enum fault {
    FAULT_RESET,     /* a connection breaks, with what was on its way */
    FAULT_CLOG,      /* nothing gets through one way between two nodes for a while */
    FAULT_LANE,      /* entries get stuck one way between two nodes, or lose their connection; all else gets through */
    FAULT_ISOLATE,   /* a node is cut off, both ways or one way */
    FAULT_PARTITION, /* two halves do not reach one another */
    FAULT_KILL,      /* a process dies; its machine lives on */
    FAULT_POWER,     /* a machine loses power */
    FAULT_CRASH_AT,  /* a machine loses power in the middle of one of the next operations of its disk */
    FAULT_PAUSE,     /* a process stands still */
    FAULT_STALL,     /* a disk stands still */
    FAULT_EIO,       /* one of the next operations of a disk fails */
    FAULT_SHORT,     /* one of the next reads or writes is cut short */
    FAULT_FULL,      /* a disk is full for a while */
    FAULT_MEMORY,    /* one of a node's next allocations fails */
    FAULT_STEP,      /* a clock leaps forward */
    FAULT_DRIFT,     /* a clock runs faster or slower from now on */
    FAULT_LOSE,      /* a machine is lost, with its disk */
    FAULT_TRANSFER,  /* an operator has leadership handed over */
    FAULT_ROT,       /* a bit of a log's older part flips on disk */
    FAULT_ASTRAY,    /* one of the next writes of a disk lands elsewhere */
    FAULT_SLOW,      /* a disk takes ten to a hundred times as long from now on, or no longer */
    /* Those of operators (operator.h). */
    FAULT_JOIN,      /* a node is added */
    FAULT_REMOVE,    /* a member is removed */
    FAULT_PROMOTE,   /* a learner gets a vote */
    FAULT_MOVE,      /* a member gets another address */
    FAULT_CONFIGURE, /* several of these at once */
    FAULT_REPLACE,   /* a machine is lost with its disk, and another is to take its place */
    FAULT_SNAPSHOT,  /* a node is asked for one */
    FAULT_UPGRADE,   /* a node goes on with another version */
    /* Those of single packets: how many of a million. */
    FAULT_DROP,      /* a packet is lost */
    FAULT_DUPLICATE, /* a packet comes twice */
    FAULT_REORDER,   /* a packet overtakes the one before it */
    FAULT_DELAY,     /* a packet takes long */
    FAULT_REFUSE,    /* the sender's queue takes no packet at the moment */
    FAULT_FLIP,      /* a bit of a packet's frames flips on its way */
    FAULT_KINDS,
    FAULT_OPERATOR = FAULT_JOIN, /* the first of those of operators */
    FAULT_PACKET = FAULT_DROP,   /* the first of those of packets */
};

/* Names as used by --only and --without. */
extern const char *const fault_names[FAULT_KINDS];

/* The fault of that name; FAULT_KINDS when there is none. */
enum fault fault_named(const char *name, unsigned size);

/* Where a kind's own stream of random numbers begins, whatever other kinds there are. */
uint64_t fault_stream(uint64_t seed, enum fault kind);

struct profile {
    uint64_t heartbeat_ms; /* the election timeout is ten of them */
    uint64_t segment_bytes;
    uint64_t recent_bytes_max;
    uint64_t uncommitted_bytes_max;
    uint64_t inflight_bytes_max;
    uint64_t part_bytes;     /* larger commands are cut into parts */
    uint64_t packet_us;      /* a packet's way takes that much, */
    uint64_t packet_span_us; /* and up to so much more; so with the others */
    uint64_t disk_us;
    uint64_t disk_span_us;
    uint64_t apply_us;
    uint64_t apply_span_us;
    uint32_t clients;
    uint64_t think_span_us;      /* between a client's requests */
    uint32_t read_percent;       /* of a client's requests */
    uint32_t data_max;           /* of a command's bytes beyond its header */
    uint64_t every[FAULT_KINDS]; /* mean time between two of a kind in us, or how many of a million packets; 0: never */
    bool lanes;     /* of a peer's packets, else all are in one: a build without lanes is among the nodes */
    bool store;     /* the state machine is lashd's store */
    bool sessions;  /* clients have sessions */
    bool operators; /* the membership changes, */
    bool witnesses; /* and some who join are witnesses */
    bool snapshots; /* are taken, sent and restored; */
    uint64_t snapshot_bytes_min, trailing_bytes, snapshot_rate; /* as struct replica_options has them, */
    uint64_t piece_bytes;                                       /* and in pieces of so many bytes */
    uint64_t lasting_us;                                        /* faults last up to so long */
    uint32_t priorities[LASH_RAFT_MEMBERS_MAX];                 /* of the members */
    bool slow_for_good; /* after the faults the leader's disk turns slow, and stays so */
};

/* The profile of that name for this seed; false when there is none of that name. */
bool profile_draw(const char *name, uint64_t seed, struct profile *profile);

/* A world without faults and clients, whose every step is a test's. */
void profile_quiet(struct profile *profile);

#endif
