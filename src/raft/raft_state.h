/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's state: one block of 64-bit words. Offsets instead of pointers, no
 * padding, and zero wherever nothing is in use: so a copy is a memcpy, equal
 * states are equal bytes, and the hash of the words is the hash of the state.
 *
 * The block is: struct lash_raft, a struct progress per member slot, the reads,
 * the term table, and behind what is hashed the reads released by the last step.
 */
#ifndef LASH_RAFT_STATE_H
#define LASH_RAFT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"
#include "raft/configuration.h"
#include "raft/progress.h"
#include "raft/terms.h"

/* Terms, indexes and times stay below this, so that sums never overflow. What exceeds it cannot be right. */
#define RAFT_LIMIT ((uint64_t)1 << 62)

/* A read that waits. */
struct raft_read {
    uint64_t context; /* its asker's */
    uint64_t from;    /* the follower that forwarded it; 0: asked here */
    uint64_t lease;   /* 1: a lease will do */
};

/* Reads that wait, in the order of arrival (D§6.4). The first `joined` are on their way together: at the leader they
 * wait for the current round, at a follower for the leader's answer. The others form the next batch. */
struct raft_reads {
    uint64_t count;
    uint64_t joined;
    uint64_t index;       /* leader, while joined > 0: the read index of those that joined */
    uint64_t deadline_ms; /* follower, while joined > 0: when the leader's answer is given up */
    struct raft_read items[];
};

/* Reads released by the last step. Cleared by the next; no part of the hash. */
struct raft_released {
    uint64_t count;
    struct lash_read_done items[];
};

struct lash_raft {
    /* Fixed at creation. */
    uint64_t id;
    uint64_t group;
    uint64_t heartbeat_ms;
    uint64_t election_ms;
    uint64_t pre_vote;     /* 1: on */
    uint64_t check_quorum; /* 1: on */
    uint64_t leases;       /* 1: on */
    uint64_t lease_drift;  /* per mille that a clock may be off */
    uint64_t inflight_messages_max;
    uint64_t inflight_bytes_max;
    uint64_t message_bytes_max;
    uint64_t reads_max;
    uint64_t progress_words; /* of one member */
    uint64_t progress_at;    /* offsets in words from the block's begin */
    uint64_t reads_at;
    uint64_t terms_at;
    uint64_t released_at; /* also the number of words that make up the state */

    /* Persistent state on all servers (Figure 2); the log's part of it is the term table. */
    uint64_t term; /* never falls (E3) */
    uint64_t vote; /* in `term`; 0: none */

    /* Volatile state on all servers. */
    uint64_t role;   /* enum lash_role */
    uint64_t leader; /* of `term`; 0: unknown, always 0 for candidates of both kinds */
    uint64_t commit; /* never falls */
    uint64_t applied;
    uint64_t now_ms;                /* of the last event; never falls */
    uint64_t random;                /* state of the generator */
    uint64_t election_deadline_ms;  /* unless leader */
    uint64_t asked_ms;              /* pre-candidate: when it asked; else 0 */
    uint64_t contact_ms;            /* when the leader was last heard; 0 when it is unknown */
    uint64_t heartbeat_deadline_ms; /* leader */
    uint64_t full;                  /* 1: the disk has no room for entries */
    uint64_t slow;                  /* 1: the disk is slow */
    uint64_t promised_ms;           /* before that it votes for nobody of its own accord (D§6.4.1) */

    /* Leader: the transfer of its office that is under way (D§3.10). All 0 when there is none. */
    uint64_t transfer_to;
    uint64_t transfer_deadline_ms; /* when it is given up */
    uint64_t transfer_told;        /* 1: the target was told since the last heartbeat */
    uint64_t transfer_why;         /* enum lash_transfer_reason */

    /* How long the office stays where it is before it is handed over without having been asked for (priority.c). */
    uint64_t moved_ms; /* when it last went to somebody, or was offered to, as far as this node knows; 0: not yet */
    uint64_t pause_ms; /* how long it stays since; 0: not yet */

    /* Leader: changes of membership (D§4). All 0 unless they are under way. */
    uint64_t retiring;    /* 1: it has no vote any more, and hands over before it steps down */
    uint64_t commit_mark; /* while anyone is measured by it: committed at the last heartbeat; who holds this keeps up */

    /* What is on disk. Writes are numbered from 1. */
    uint64_t writes;         /* given out so far */
    uint64_t writes_durable; /* all up to this one are on disk */
    uint64_t write_of_term;  /* the last that held term and vote */
    uint64_t write_of_cut;   /* the last that dropped a suffix; 0 once it is durable */
    uint64_t cut_from;       /* the lowest index dropped by the cuts that are not durable yet; 0: none */
    uint64_t durable_index;  /* the log equals the disk's up to here */

    uint64_t round;           /* leader: the current read round, 0 at the begin of a leadership */
    uint64_t round_ms;        /* leader: when that began */
    uint64_t lease_wanted_ms; /* leader: until when it keeps up a lease; 0: nobody has read by one */
    uint64_t lease_behind;    /* leader: it holds no lease before something behind this is committed */
    uint64_t read_context;    /* of the last batch forwarded; rises */

    uint64_t votes[LASH_RAFT_MEMBERS_MAX]; /* candidates of both kinds: 1 for a vote granted, by slot */
    struct configuration configuration;    /* in force: the newest in the log, else what came before the log */
    struct configuration previous;         /* the one before it; all 0 once `configuration` is known to be committed */
};

static inline struct progress *raft_progress(struct lash_raft *raft, uint32_t slot) {
    return (struct progress *)((uint64_t *)raft + raft->progress_at + slot * raft->progress_words);
}

static inline const struct progress *raft_progress_of(const struct lash_raft *raft, uint32_t slot) {
    return (const struct progress *)((const uint64_t *)raft + raft->progress_at + slot * raft->progress_words);
}

static inline struct raft_reads *raft_reads(struct lash_raft *raft) {
    return (struct raft_reads *)((uint64_t *)raft + raft->reads_at);
}

static inline const struct raft_reads *raft_reads_of(const struct lash_raft *raft) {
    return (const struct raft_reads *)((const uint64_t *)raft + raft->reads_at);
}

static inline struct terms *raft_terms(struct lash_raft *raft) {
    return (struct terms *)((uint64_t *)raft + raft->terms_at);
}

static inline const struct terms *raft_terms_of(const struct lash_raft *raft) {
    return (const struct terms *)((const uint64_t *)raft + raft->terms_at);
}

static inline struct raft_released *raft_released(struct lash_raft *raft) {
    return (struct raft_released *)((uint64_t *)raft + raft->released_at);
}

/* Whether this node has a vote in the configuration in force. */
static inline bool raft_votes(const struct lash_raft *raft) {
    return configuration_votes(&raft->configuration, raft->id);
}

/* Whether this node may stand for election. D§4.2.2: who is not part of its own latest configuration still does, as it may be
 * needed, until that one is committed: its log may be the only one that holds it. A witness never does: it has nothing to lead
 * with. */
static inline bool raft_stands(const struct lash_raft *raft) {
    if (configuration_witness(&raft->configuration, raft->id) || configuration_witness(&raft->previous, raft->id))
        return false;
    return raft_votes(raft) || configuration_votes(&raft->previous, raft->id);
}

#endif
