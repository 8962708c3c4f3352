/* SPDX-License-Identifier: Apache-2.0
 *
 * One core alone with the test; see solo.h.
 */
#include "solo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct lash_configuration solo_configuration(const struct solo_start *start) {
    struct lash_configuration configuration = {.count = start->members ? start->members : 3};
    for (uint32_t i = 0; i < configuration.count; i++) {
        configuration.members[i].id = i + 1;
        if (i < configuration.count - start->learners)
            configuration.members[i].flags = LASH_MEMBER_VOTER;
        if (configuration.members[i].flags != 0 && i + start->witnesses >= configuration.count - start->learners)
            configuration.members[i].flags |= LASH_MEMBER_WITNESS;
    }
    return configuration;
}

static size_t solo_runs(struct lash_run *runs, lash_index first, const lash_term *terms) {
    size_t count = 0;
    for (lash_index index = first; terms != NULL && *terms != 0; index++, terms++) {
        if (count > 0 && runs[count - 1].term == *terms) {
            runs[count - 1].count++;
            continue;
        }
        if (count == SOLO_RUNS_MAX)
            abort();
        runs[count++] = (struct lash_run){.first = index, .term = *terms, .count = 1};
    }
    return count;
}

void solo_start(struct solo *solo, const struct solo_start *start) {
    memset(solo, 0, sizeof *solo);
    solo->now_ms = 1000;
    solo->options.id = start->id ? start->id : 1;
    solo->options.seed = 7;
    solo->options.no_pre_vote = start->no_pre_vote;
    solo->options.no_check_quorum = start->no_check_quorum;
    solo->options.inflight_messages_max = start->inflight_messages_max ? start->inflight_messages_max : 4;
    solo->options.inflight_bytes_max = start->inflight_bytes_max;
    solo->options.terms_max = start->terms_max ? start->terms_max : 16;
    solo->options.reads_max = start->reads_max ? start->reads_max : 16;
    struct lash_raft_saved saved = {.term = start->term, .vote = start->vote, .first_index = 1};
    saved.commit_floor = start->floor;
    if (!start->joins)
        saved.configuration = solo_configuration(start);
    saved.run_count = solo_runs(solo->runs, 1, start->log);
    saved.runs = solo->runs;
    solo->block = calloc(1, lash_raft_size(&solo->options));
    if (solo->block == NULL ||
        lash_raft_init(solo->block, &solo->options, &saved, solo->now_ms, &solo->raft) != LASH_OK)
        abort();
}

void solo_stop(struct solo *solo) {
    free(solo->block);
}

static void solo_collect(struct solo *solo, const struct lash_outputs *outputs) {
    if (outputs->write != 0)
        solo->writes = outputs->write;
    if (outputs->append) {
        solo->write_last = outputs->append_last;
        solo->write_term = outputs->append_term;
    }
    if (outputs->reset) {
        solo->write_last = outputs->snapshot_index;
        solo->write_term = outputs->snapshot_term;
    }
    for (uint32_t i = 0; i < outputs->send_count; i++) {
        if (solo->send_count == SOLO_SENDS_MAX)
            abort();
        solo->sends[solo->send_count++] = outputs->sends[i];
        const struct lash_message *message = &outputs->sends[i].message;
        if (message->type != LASH_MSG_APPEND || message->append.last < message->append.first)
            continue;
        struct lash_outputs more;
        struct lash_event sent = {.type = LASH_EVENT_SENT, .now_ms = solo->now_ms};
        sent.sent.to = message->to;
        sent.sent.last = message->append.last;
        sent.sent.bytes = (message->append.last - message->append.first + 1) * SOLO_ENTRY_BYTES;
        if (lash_raft_step(solo->raft, &sent, &more) != LASH_OK)
            abort();
        solo_collect(solo, &more);
    }
}

int solo_step(struct solo *solo, struct lash_event *event) {
    event->now_ms = solo->now_ms;
    solo->send_count = 0;
    int error = lash_raft_step(solo->raft, event, &solo->out);
    if (error == LASH_OK)
        solo_collect(solo, &solo->out);
    return error;
}

int solo_message(struct solo *solo, struct lash_message message) {
    message.to = solo->options.id;
    struct lash_event event = {.type = LASH_EVENT_MESSAGE, .message = message};
    return solo_step(solo, &event);
}

int solo_tick(struct solo *solo) {
    return solo_step(solo, &(struct lash_event){.type = LASH_EVENT_TICK});
}

int solo_propose(struct solo *solo, uint32_t count) {
    struct lash_event event = {.type = LASH_EVENT_PROPOSE};
    event.propose.kind = LASH_ENTRY_COMMAND;
    event.propose.count = count;
    return solo_step(solo, &event);
}

int solo_read(struct solo *solo, uint64_t context) {
    struct lash_event event = {.type = LASH_EVENT_READ};
    event.read.context = context;
    return solo_step(solo, &event);
}

int solo_written(struct solo *solo) {
    struct lash_event event = {.type = LASH_EVENT_WRITTEN};
    event.written.write = solo->writes;
    event.written.index = solo->write_last;
    event.written.term = solo->write_term;
    return solo_step(solo, &event);
}

int solo_timeout(struct solo *solo) {
    struct lash_event event = {.type = LASH_EVENT_TICK};
    /* A tick that comes too early is harmless, and tells the deadline. */
    if (solo->out.deadline_ms == 0 && solo_step(solo, &event) != LASH_OK)
        abort();
    if (solo->out.deadline_ms > solo->now_ms)
        solo->now_ms = solo->out.deadline_ms;
    return solo_step(solo, &event);
}

void solo_lead(struct solo *solo) {
    struct lash_raft_status status = solo_status(solo);
    solo_timeout(solo);
    solo_message(solo, solo_pre_vote_reply(2, status.term + 1, true));
    solo_written(solo);
    solo_message(solo, solo_vote_reply(2, status.term + 1, true));
    solo_written(solo);
    solo_message(solo, solo_accept(2, status.term + 1, status.last_index + 1, 0));
    if (solo_status(solo).role != LASH_LEADER)
        abort();
}

/* ---- Messages ---------------------------------------------------------------------------------- */

struct lash_message solo_vote(lash_id from, lash_term term, lash_index last_index, lash_term last_term) {
    struct lash_message message = {.type = LASH_MSG_VOTE, .from = from, .term = term};
    message.vote.last_index = last_index;
    message.vote.last_term = last_term;
    return message;
}

struct lash_message solo_pre_vote(lash_id from, lash_term term, lash_index last_index, lash_term last_term) {
    struct lash_message message = solo_vote(from, term, last_index, last_term);
    message.vote.pre = true;
    return message;
}

struct lash_message solo_vote_reply(lash_id from, lash_term term, bool granted) {
    struct lash_message message = {.type = LASH_MSG_VOTE_REPLY, .from = from, .term = term};
    message.vote_reply.granted = granted;
    return message;
}

struct lash_message solo_pre_vote_reply(lash_id from, lash_term term, bool granted) {
    struct lash_message message = solo_vote_reply(from, term, granted);
    message.vote_reply.pre = true;
    return message;
}

struct lash_message solo_append(struct solo *solo, lash_id from, lash_term term, lash_index prev_index,
                                lash_term prev_term, lash_index commit, const lash_term *entries) {
    struct lash_message message = {.type = LASH_MSG_APPEND, .from = from, .term = term};
    message.append.prev_index = prev_index;
    message.append.prev_term = prev_term;
    message.append.commit = commit;
    message.append.run_count = (uint32_t)solo_runs(solo->runs, prev_index + 1, entries);
    message.append.runs = solo->runs;
    return message;
}

struct lash_message solo_accept(lash_id from, lash_term term, lash_index match, uint64_t round) {
    struct lash_message message = {.type = LASH_MSG_APPEND_REPLY, .from = from, .term = term};
    message.append_reply.success = true;
    message.append_reply.match = match;
    message.append_reply.round = round;
    return message;
}

struct lash_message solo_refuse(lash_id from, lash_term term, lash_index rejected, lash_index hint_index,
                                lash_term hint_term) {
    struct lash_message message = {.type = LASH_MSG_APPEND_REPLY, .from = from, .term = term};
    message.append_reply.rejected = rejected;
    message.append_reply.hint_index = hint_index;
    message.append_reply.hint_term = hint_term;
    return message;
}

struct lash_message solo_read_request(lash_id from, lash_term term, uint64_t context) {
    struct lash_message message = {.type = LASH_MSG_READ, .from = from, .term = term};
    message.read.context = context;
    return message;
}

struct lash_message solo_read_reply(lash_id from, lash_term term, uint64_t context, lash_index index) {
    struct lash_message message = {.type = LASH_MSG_READ_REPLY, .from = from, .term = term};
    message.read_reply.context = context;
    message.read_reply.index = index;
    return message;
}

/* ---- What came of it --------------------------------------------------------------------------- */

const struct lash_send *solo_sent(const struct solo *solo, uint32_t type, lash_id to) {
    for (uint32_t i = solo->send_count; i > 0; i--) {
        const struct lash_message *message = &solo->sends[i - 1].message;
        if (message->type == type && (to == 0 || message->to == to))
            return &solo->sends[i - 1];
    }
    return NULL;
}

uint32_t solo_sent_count(const struct solo *solo, uint32_t type) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < solo->send_count; i++)
        count += solo->sends[i].message.type == type;
    return count;
}

struct lash_raft_status solo_status(const struct solo *solo) {
    struct lash_raft_status status;
    lash_raft_status(solo->raft, &status);
    return status;
}

const char *solo_log(const struct solo *solo) {
    static char words[256];
    struct lash_raft_status status = solo_status(solo);
    int at = 0;
    words[0] = '\0';
    for (lash_index index = status.first_index; index <= status.last_index; index++) {
        lash_term term = 0;
        lash_raft_term_at(solo->raft, index, &term);
        at += snprintf(words + at, sizeof words - (size_t)at, "%s%" PRIu64, at == 0 ? "" : " ", term);
    }
    return words;
}
