/* SPDX-License-Identifier: Apache-2.0
 *
 * One core alone with the test, which plays its disk, its clock and all other
 * members. For tests of single rules; whole clusters are cluster.h's.
 */
#ifndef LASH_TEST_RAFT_SOLO_H
#define LASH_TEST_RAFT_SOLO_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"

#define SOLO_SENDS_MAX 128
#define SOLO_RUNS_MAX 16

struct solo {
    struct lash_raft *raft;
    void *block;
    struct lash_raft_options options;
    uint64_t now_ms;
    uint64_t writes;       /* given out by the core so far */
    lash_index write_last; /* what the last write with entries ended with */
    lash_term write_term;
    struct lash_outputs out;                /* of the last step, without those of LASH_EVENT_SENT */
    struct lash_send sends[SOLO_SENDS_MAX]; /* of the last step and the LASH_EVENT_SENTs that it led to */
    uint32_t send_count;
    struct lash_run runs[SOLO_RUNS_MAX]; /* of the message being made */
};

/* What the core starts with; zero is a fresh node n1 of three. */
struct solo_start {
    lash_id id;         /* [1] */
    uint32_t members;   /* [3] */
    uint32_t learners;  /* of the members, the last so many */
    uint32_t witnesses; /* of those before, the last so many */
    bool joins;         /* it is no member, and knows of none */
    lash_term term;
    lash_id vote;
    const lash_term *log; /* terms, ended by 0; NULL: empty */
    lash_index floor;
    bool no_pre_vote;
    bool no_check_quorum;
    uint32_t inflight_messages_max;
    uint64_t inflight_bytes_max;
    uint32_t terms_max;
    uint32_t reads_max;
};

#define SOLO_LOG(...) ((const lash_term[]){__VA_ARGS__, 0})
#define SOLO_ENTRY_BYTES 10

void solo_start(struct solo *solo, const struct solo_start *start);
void solo_stop(struct solo *solo);

/* One event at the present time; `now_ms` is filled in. Entries offered count as sent, all of them. */
int solo_step(struct solo *solo, struct lash_event *event);
int solo_message(struct solo *solo, struct lash_message message);
int solo_tick(struct solo *solo);
int solo_propose(struct solo *solo, uint32_t count);
int solo_read(struct solo *solo, uint64_t context);
/* All writes so far are durable. */
int solo_written(struct solo *solo);
/* The clock reaches the deadline, and the core looks at it. */
int solo_timeout(struct solo *solo);

/* Make the core the leader of the next term, its no-op durable at home and with n2. */
void solo_lead(struct solo *solo);

struct lash_message solo_vote(lash_id from, lash_term term, lash_index last_index, lash_term last_term);
struct lash_message solo_pre_vote(lash_id from, lash_term term, lash_index last_index, lash_term last_term);
struct lash_message solo_vote_reply(lash_id from, lash_term term, bool granted);
struct lash_message solo_pre_vote_reply(lash_id from, lash_term term, bool granted);
/* `entries` are the terms of the entries, ended by 0; NULL: none. Valid until the next of these. */
struct lash_message solo_append(struct solo *solo, lash_id from, lash_term term, lash_index prev_index,
                                lash_term prev_term, lash_index commit, const lash_term *entries);
struct lash_message solo_accept(lash_id from, lash_term term, lash_index match, uint64_t round);
struct lash_message solo_refuse(lash_id from, lash_term term, lash_index rejected, lash_index hint_index,
                                lash_term hint_term);
struct lash_message solo_read_request(lash_id from, lash_term term, uint64_t context);
struct lash_message solo_read_reply(lash_id from, lash_term term, uint64_t context, lash_index index);

/* The last message of `type` that the last step sent to `to` (0: anyone), or NULL. */
const struct lash_send *solo_sent(const struct solo *solo, uint32_t type, lash_id to);
uint32_t solo_sent_count(const struct solo *solo, uint32_t type);

struct lash_raft_status solo_status(const struct solo *solo);
/* The terms of the log as text, such as "1 1 2". Static storage. */
const char *solo_log(const struct solo *solo);

#endif
