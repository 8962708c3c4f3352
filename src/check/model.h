/* SPDX-License-Identifier: Apache-2.0
 *
 * What a state of the model is made of. A cluster's state is a tuple of small
 * numbers: one per node, one per message in flight, one for the ghosts. Each names
 * the contents below, which are interned (intern.h): equal contents, equal number.
 * All contents are flat, zeroed where nothing is in use, and compared as bytes.
 */
#ifndef LASH_CHECK_MODEL_H
#define LASH_CHECK_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"

#define MODEL_NODES_MAX 5
#define MODEL_TERMS_MAX 7
#define MODEL_LOG_MAX 12
#define MODEL_WRITES_MAX 4
#define MODEL_HELD_MAX 10
#define MODEL_READS_MAX 3
#define MODEL_CRASHES_MAX 7
#define MODEL_ROSTERS_MAX 6
#define MODEL_PERMUTATIONS_MAX 120

/* An entry: its term, kind, and a payload that no other entry has: who made it, and at which index. One with a configuration
 * names that instead of its maker (roster.h). */
typedef uint16_t model_entry;
#define MODEL_ENTRY(term, kind, maker, index) ((model_entry)((term) << 9 | (kind) << 7 | (maker) << 4 | (index)))
#define MODEL_ENTRY_TERM(entry) ((unsigned)(entry) >> 9 & 7)
#define MODEL_ENTRY_KIND(entry) ((unsigned)(entry) >> 7 & 3)
#define MODEL_ENTRY_MAKER(entry) ((unsigned)(entry) >> 4 & 7)
#define MODEL_ENTRY_INDEX(entry) ((unsigned)(entry)&15)
_Static_assert(MODEL_LOG_MAX <= 15 && MODEL_NODES_MAX <= 7 && MODEL_TERMS_MAX <= 7 && MODEL_ROSTERS_MAX <= 7,
               "an entry's fields hold every index, node, term and membership");

/* A write under way. */
struct model_write {
    uint8_t save_vote;
    uint8_t term;
    uint8_t vote;
    uint8_t first; /* of `entries`; 0: none. What the disk holds from there on is dropped */
    uint8_t count;
    uint8_t reset;      /* the log goes on behind a snapshot at this index; 0: no */
    uint8_t reset_term; /* of that entry */
    uint8_t reserved;
    model_entry entries[MODEL_LOG_MAX];
};

/* A message that waits for a write. */
struct model_held {
    uint32_t message;
    uint32_t after; /* how many of the writes under way must be durable first */
};

/* A node: what can be seen of its core, what its driver holds, and its disk. Behind it, in the interned contents, come
 * the words of the core's block (core.h). */
struct model_node {
    uint8_t id;
    uint8_t role; /* enum lash_role */
    uint8_t term;
    uint8_t vote;
    uint8_t leader;
    uint8_t commit;
    uint8_t applied;
    uint8_t last;
    uint8_t durable;                /* the last index that the core takes for durable */
    uint8_t round;                  /* leader: the read round */
    uint8_t transfer_to;            /* leader: whom it hands its office to */
    uint8_t match[MODEL_NODES_MAX]; /* leader: by node */
    uint8_t next[MODEL_NODES_MAX];
    uint8_t reads; /* bit r: read r was asked here and is open */
    uint8_t log_count;
    uint8_t disk_count;
    uint8_t disk_term;
    uint8_t disk_vote;
    uint8_t write_count;
    uint8_t held_count;
    uint8_t snapshot;     /* the newest one on disk covers the log up to here; 0: there is none */
    uint8_t stale;        /* 1: the disk's log does not hold the snapshot's last entry: a start drops it */
    uint8_t roster;       /* where memberships change: the configuration that it goes by, as a byte of roster.h; */
    uint8_t roster_index; /* and that one's index */
    model_entry log[MODEL_LOG_MAX];              /* the entry at index i is log[i - 1] */
    model_entry disk[MODEL_LOG_MAX];             /* what a start would find, in the snapshot and in the log */
    struct model_write writes[MODEL_WRITES_MAX]; /* oldest first */
    struct model_held held[MODEL_HELD_MAX];
};

/* A message in flight. */
struct model_message {
    struct lash_message body; /* without runs, and first, last and bytes_max 0 */
    uint32_t count; /* entries that an APPEND carries from prev_index + 1 on, or a SNAPSHOT covers from 1 on */
    model_entry entries[MODEL_LOG_MAX];
};

/* What happened and is needed to judge, and what is left of the bounds. */
struct model_ghost {
    uint8_t leaders[MODEL_TERMS_MAX + 1]; /* by term: who ever led it; 0: nobody, or nobody can lead it any more */
    uint8_t committed_count;
    uint8_t commit_terms[MODEL_LOG_MAX]; /* by index: the term of the leader that committed it; 0: before any to come */
    uint8_t floors[MODEL_READS_MAX + 1]; /* by read, while it is open: what was committed when it was asked */
    uint8_t crashes;
    uint8_t proposals;
    uint8_t reads;
    uint8_t timeouts;
    uint8_t heartbeats;
    uint8_t transfers;
    uint8_t snapshots;
    uint8_t changes;
    uint8_t reserved;
    model_entry committed[MODEL_LOG_MAX];
};

_Static_assert(sizeof(struct model_ghost) == 34 + MODEL_LOG_MAX * sizeof(model_entry), "ghosts are compared as bytes");
_Static_assert(sizeof(struct model_node) == 32 + 2 * (size_t)MODEL_LOG_MAX * sizeof(model_entry) +
                                                MODEL_WRITES_MAX * sizeof(struct model_write) +
                                                MODEL_HELD_MAX * sizeof(struct model_held),
               "nodes are compared as bytes");

/* Bounds and rules of a search. */
struct model_bounds {
    uint32_t nodes;
    uint32_t terms;
    uint32_t entries; /* commands proposed */
    uint32_t crashes;
    uint32_t messages;   /* in flight */
    uint32_t reads;      /* and read rounds of a leadership, one more: a duplicated question begins another */
    uint32_t writes;     /* under way at a node */
    uint32_t timeouts;   /* of elections, and of leaders without a quorum */
    uint32_t heartbeats; /* that leaders send because it is time */
    uint32_t transfers;  /* of leadership, asked for */
    uint32_t depth;      /* steps from the start; 0: any number */
    uint32_t snapshots;  /* taken, of all that is committed, and the log compacted */
    uint32_t changes;    /* of the membership, asked for */
    /* With `changes`: sets of voters, bits by id, ended by 0. The cluster begins with the first; those beyond begin without a
     * configuration. Any may be asked for. Nodes are then told apart: there is no symmetry. */
    uint8_t rosters[MODEL_ROSTERS_MAX];
    uint8_t witnesses; /* set of nodes that are witnesses when they vote, bits by id */
    bool late;         /* messages of a term that their receiver has left may still arrive */
    bool pre_vote;
    bool check_quorum;
    bool symmetry;
    bool reduction;
};

/* Faults of the driver, for tests of the checker: with them the search must find a violation. */
enum model_fault {
    MODEL_FAULT_NONE = 0,
    MODEL_FAULT_SEND_EARLY,  /* messages do not wait for writes */
    MODEL_FAULT_LOSE_SYNCED, /* a crash loses the last entry of the disk */
    MODEL_FAULT_LOSE_VOTE,   /* a crash loses the vote on disk */
    MODEL_FAULT_LOSE_TERM,   /* a crash loses the last term and its vote */
    MODEL_FAULT_WRONG_ENTRY, /* a follower's disk gets what another leader might have written */
};

/* What is broken, if anything. */
struct model_verdict {
    const char *invariant; /* NULL: nothing */
    char text[192];
};

#endif
