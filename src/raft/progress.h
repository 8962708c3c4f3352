/* SPDX-License-Identifier: Apache-2.0
 *
 * What a leader knows of one member, and what is under way to it (Figure 2's
 * nextIndex and matchIndex, with what makes pipelining safe).
 */
#ifndef LASH_RAFT_PROGRESS_H
#define LASH_RAFT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"

/* A message with entries that was sent and not yet acknowledged. */
struct progress_sent {
    uint64_t last; /* the last entry that it carried */
    uint64_t bytes;
};

/* Why a member gets no entries for now. The next answer, which a heartbeat asks for at the latest, ends either. */
enum progress_pause {
    PROGRESS_FREE = 0,
    PROGRESS_WAITS = 1,  /* for an answer */
    PROGRESS_UNSENT = 2, /* the driver could send nothing; it may say when it can */
};

/* Whether a member in need of a snapshot may be offered one. */
enum progress_offer {
    PROGRESS_MAY_OFFER = 0,
    PROGRESS_OFFERED = 1,     /* the driver is at it */
    PROGRESS_NEXT_BEAT = 2,   /* it failed: again with the next heartbeat */
    PROGRESS_SECOND_BEAT = 3, /* it got there: an answer to the next heartbeat will say so, if none has yet */
};

/* A member as its leader sees it. All zero at nodes that do not lead. Always match < next. */
struct progress {
    uint64_t state;          /* enum lash_progress_state */
    uint64_t match;          /* its log equals the leader's up to here, durably; never falls (L7) */
    uint64_t next;           /* the next entry to send; in LASH_REPLICATE ahead of what is acknowledged */
    uint64_t paused;         /* enum progress_pause: why no entries are sent now */
    uint64_t full;           /* 1: it has no room for entries, it said */
    uint64_t slow;           /* 1: its disk is slow, it said */
    uint64_t offer;          /* enum progress_offer; outlasts LASH_SNAPSHOT, as the driver's work may */
    uint64_t contact_ms;     /* when it last answered in this term; at first the time of the election */
    uint64_t round;          /* the last read round that it acknowledged (D§6.4) */
    uint64_t round_sent;     /* the last read round that it was told of */
    uint64_t lease_ms;       /* until then it keeps the promise that it gave, by the leader's clock (D§6.4.1) */
    uint64_t commit_sent;    /* LASH_REPLICATE: the commit index that it can know of from what it was sent */
    uint64_t inflight_count; /* entries of `inflight` in use; in LASH_PROBE at most the probe; 0 in LASH_SNAPSHOT */
    uint64_t inflight_bytes; /* their sum */
    struct progress_sent inflight[]; /* oldest first; the rest is zero */
};

/* Words that a progress with room for `inflight_max` messages takes. */
uint64_t progress_words(uint64_t inflight_max);

/* As at the beginning of a leadership (Figure 2: nextIndex is the leader's last + 1, matchIndex 0). Memory is zeroed. */
void progress_init(struct progress *progress, lash_index next, uint64_t now_ms);

/* Send one message at a time, from `next` on, which is behind match. */
void progress_become_probe(struct progress *progress, lash_index next);

/* The logs meet at match: pipeline from there on. */
void progress_become_replicate(struct progress *progress);

/* The member needs what the log no longer holds. */
void progress_become_snapshot(struct progress *progress);

/* Whether entries may be sent now, given the limits. */
bool progress_ready(const struct progress *progress, uint64_t inflight_max, uint64_t bytes_max);

/* Entries up to `last` were sent, in `bytes` bytes; or, when `last` is next - 1, none could be. */
void progress_record_sent(struct progress *progress, lash_index last, uint64_t bytes);

/* The member acknowledged everything up to `match`. */
void progress_acknowledge(struct progress *progress, lash_index match);

/* The member has no room: it gets nothing before its next answer. */
void progress_hold(struct progress *progress);

/* Whether a refusal of `rejected` says something about what was sent last, and not about something older. */
bool progress_refusal_counts(const struct progress *progress, lash_index rejected);

#endif
