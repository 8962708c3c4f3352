/* SPDX-License-Identifier: Apache-2.0
 *
 * The history of a cluster, and what must hold of it.
 */
#include "sim/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft/random.h"
#include "sim/electorate.h"
#include "sim/memory.h"

#define LLU (unsigned long long)

enum { JUDGE_INFLIGHT_MAX = 128, JUDGE_INFLIGHT_BYTES_MAX = (8 << 20) + (1 << 16) };

/* An entry that some log held at an index. */
struct judge_known {
    lash_term term;
    uint64_t chain;
};

/* All that logs held at one index, whether they still do or not. */
struct judge_index {
    struct judge_known first; /* of them; term 0: none yet */
    struct judge_known *more;
    uint64_t more_count;
    uint64_t more_capacity;
    uint64_t state; /* of the state machine after it; 0: nobody has told */
};

struct judge_term {
    lash_id leader;
    lash_id votes[JUDGE_NODES_MAX + 1]; /* by voter */
};

/* Up to where leaders of up to this term have committed. */
struct judge_mark {
    lash_term term;
    lash_index commit;
};

struct judge_node {
    struct judge_log memory; /* its core's, while it runs */
    struct judge_log disk;   /* what is durable */
    lash_term disk_term;
    lash_id disk_vote;
    lash_term sent_term; /* the highest that it spoke of, in all its lives */
    bool running;
    bool lost; /* for ever; `disk` is what it held until then */
    bool halted;
    lash_term term; /* when last observed in this life */
    uint32_t role;
    lash_index commit;
    lash_index matches[JUDGE_NODES_MAX + 1]; /* while it leads: by member */
    bool blind;                              /* what it knows of the membership cannot be told */
    bool configured;                         /* in this step it appended a configuration of its own, */
    bool by_itself;                          /* after it had committed what the step let it commit */
    uint64_t cuts;                           /* times that the end of its disk's log was replaced */
    bool replaced; /* its disk's log counts as gone for a snapshot that its core is yet to hear of */
    uint64_t
        cuts_seen[JUDGE_NODES_MAX + 1]; /* while it leads: of each member's, those that `matches` has stood up to */
};

struct judge {
    uint32_t count;
    judge_failed_fn failed;
    void *context;
    uint32_t inflight_messages_max;
    uint64_t inflight_bytes_max;
    bool changes; /* the membership may change */
    struct electorate *electorate;
    struct judge_node nodes[JUDGE_NODES_MAX + 1]; /* by id */
    struct judge_term *terms;
    uint64_t terms_capacity;
    struct judge_index *indexes; /* of index i at i - 1 */
    uint64_t indexes_capacity;
    struct judge_log committed;
    lash_index governing;     /* index of the newest configuration in it; 0: none */
    struct judge_mark *marks; /* terms and indexes rise */
    uint64_t mark_count;
    uint64_t marks_capacity;
};

/* ---- Logs ----------------------------------------------------------------------------------------- */

void judge_log_cut(struct judge_log *log, uint64_t count) {
    if (count < log->count)
        log->count = count;
}

void judge_log_push(struct judge_log *log, uint64_t chain, lash_term term, uint32_t kind, uint64_t digest) {
    log->entries = memory_room(log->entries, &log->capacity, log->count + 1, sizeof log->entries[0]);
    uint64_t mixed = random_mix(chain ^ random_mix(term * 8 + kind));
    log->entries[log->count++] =
        (struct judge_entry){.term = term, .kind = kind, .chain = random_mix(mixed + digest) | 1};
}

uint64_t judge_log_chain(const struct judge_log *log, uint64_t count) {
    LASH_ASSERT(count <= log->count);
    return count ? log->entries[count - 1].chain : 0;
}

void judge_log_free(struct judge_log *log) {
    memory_free(log->entries);
    memset(log, 0, sizeof *log);
}

void judge_log_copy(struct judge_log *to, uint64_t kept, const struct judge_log *suffix) {
    to->entries = memory_room(to->entries, &to->capacity, kept + suffix->count, sizeof suffix->entries[0]);
    if (suffix->count)
        memcpy(to->entries + kept, suffix->entries, suffix->count * sizeof suffix->entries[0]);
    to->count = kept + suffix->count;
}

/* ---- Creation ------------------------------------------------------------------------------------- */

struct judge *judge_new(uint32_t nodes, judge_failed_fn failed, void *context) {
    LASH_ASSERT(nodes >= 1 && nodes <= JUDGE_NODES_MAX);
    struct judge *judge = memory_new(1, sizeof *judge);
    judge->count = nodes;
    judge->failed = failed;
    judge->context = context;
    judge_bound(judge, JUDGE_INFLIGHT_MAX, JUDGE_INFLIGHT_BYTES_MAX);
    judge->electorate = electorate_new(nodes);
    return judge;
}

void judge_free(struct judge *judge) {
    for (lash_id id = 1; id <= judge->count; id++) {
        judge_log_free(&judge->nodes[id].memory);
        judge_log_free(&judge->nodes[id].disk);
    }
    for (uint64_t i = 0; i < judge->indexes_capacity; i++)
        memory_free(judge->indexes[i].more);
    memory_free(judge->indexes);
    memory_free(judge->terms);
    judge_log_free(&judge->committed);
    memory_free(judge->marks);
    electorate_free(judge->electorate);
    memory_free(judge);
}

void judge_bound(struct judge *judge, uint32_t inflight_messages_max, uint64_t inflight_bytes_max) {
    judge->inflight_messages_max = inflight_messages_max;
    judge->inflight_bytes_max = inflight_bytes_max;
}

void judge_membership(struct judge *judge, const struct lash_configuration *initial,
                      const bool joins[JUDGE_NODES_MAX + 1]) {
    judge->changes = true;
    electorate_begin(judge->electorate, initial, joins);
}

void judge_fail(struct judge *judge, const char *invariant, const char *format, ...) {
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    judge->failed(judge->context, invariant, what);
    abort();
}

static struct judge_node *judge_node(struct judge *judge, lash_id id) {
    LASH_ASSERT(id >= 1 && id <= judge->count);
    return &judge->nodes[id];
}

static struct judge_term *judge_term(struct judge *judge, lash_term term) {
    JUDGE_CHECK(judge, term < UINT32_MAX, "E3", "term %llu came out of nowhere", LLU term);
    judge->terms = memory_room(judge->terms, &judge->terms_capacity, term + 1, sizeof judge->terms[0]);
    return &judge->terms[term];
}

static struct judge_index *judge_index(struct judge *judge, lash_index index) {
    judge->indexes = memory_room(judge->indexes, &judge->indexes_capacity, index, sizeof judge->indexes[0]);
    return &judge->indexes[index - 1];
}

/* ---- Lives ---------------------------------------------------------------------------------------- */

/* Its core's log has this entry now. */
static void judge_holds(struct judge *judge, lash_id id, const struct judge_entry *entry) {
    if (entry->kind != LASH_ENTRY_CONFIGURATION || !judge->changes)
        return;
    bool known = electorate_append(judge->electorate, id, entry->chain);
    JUDGE_CHECK(judge, known, "L2", "n%llu holds a configuration that no leader has appended", LLU id);
}

static void judge_hold_all(struct judge *judge, lash_id id) {
    const struct judge_log *log = &judge_node(judge, id)->memory;
    electorate_cut(judge->electorate, id, 1);
    for (uint64_t i = 0; judge->changes && i < log->count; i++)
        judge_holds(judge, id, &log->entries[i]);
}

void judge_begun(struct judge *judge, lash_id id) {
    electorate_begun(judge->electorate, id);
}

void judge_blind(struct judge *judge, lash_id id, bool blind) {
    judge_node(judge, id)->blind = blind;
}

void judge_restart(struct judge *judge, lash_id id) {
    struct judge_node *node = judge_node(judge, id);
    LASH_ASSERT(!node->running);
    JUDGE_CHECK(judge, node->disk_term >= node->sent_term, "E3", "n%llu fell from term %llu to %llu over a restart",
                LLU id, LLU node->sent_term, LLU node->disk_term);
    judge_log_copy(&node->memory, 0, &node->disk);
    node->replaced = false;
    judge_hold_all(judge, id);
    node->running = true;
    node->halted = false;
    node->term = node->disk_term;
    node->role = LASH_FOLLOWER;
    node->commit = 0;
}

void judge_start(struct judge *judge, lash_id id, const struct judge_log *log, lash_term term, lash_id vote) {
    struct judge_node *node = judge_node(judge, id);
    judge_log_copy(&node->disk, 0, log);
    node->disk_term = term;
    node->disk_vote = vote;
    judge_restart(judge, id);
}

void judge_stop(struct judge *judge, lash_id id) {
    judge_node(judge, id)->running = false;
}

void judge_lose(struct judge *judge, lash_id id) {
    struct judge_node *node = judge_node(judge, id);
    LASH_ASSERT(!node->running);
    node->lost = true;
}

/* ---- Logs that grow and are cut ------------------------------------------------------------------- */

/* L2: an entry with this index and term stands behind the same log everywhere. */
static void judge_entry(struct judge *judge, lash_id id, lash_index index, const struct judge_entry *entry) {
    struct judge_index *at = judge_index(judge, index);
    struct judge_known *known = NULL;
    if (at->first.term == 0) {
        at->first = (struct judge_known){entry->term, entry->chain};
        return;
    }
    if (at->first.term == entry->term)
        known = &at->first;
    for (uint64_t i = 0; !known && i < at->more_count; i++)
        if (at->more[i].term == entry->term)
            known = &at->more[i];
    if (!known) {
        at->more = memory_room(at->more, &at->more_capacity, at->more_count + 1, sizeof *at->more);
        at->more[at->more_count++] = (struct judge_known){entry->term, entry->chain};
        return;
    }
    JUDGE_CHECK(judge, known->chain == entry->chain, "L2",
                "n%llu holds an entry %llu of term %llu, and there is another, or another log before it", LLU id,
                LLU index, LLU entry->term);
}

void judge_append(struct judge *judge, lash_id id, lash_index index, lash_term term, uint32_t kind, uint64_t digest,
                  bool leading) {
    struct judge_node *node = judge_node(judge, id);
    struct judge_log *log = &node->memory;
    JUDGE_CHECK(judge, index >= 1 && index <= log->count + 1, "L5", "n%llu appends %llu to a log that ends at %llu",
                LLU id, LLU index, LLU log->count);
    JUDGE_CHECK(judge, index > node->commit, "L4", "n%llu replaces its committed entry %llu", LLU id, LLU index);
    JUDGE_CHECK(judge, !leading || index == log->count + 1, "L1", "leader n%llu overwrites its entry %llu", LLU id,
                LLU index);
    judge_log_cut(log, index - 1);
    electorate_cut(judge->electorate, id, index);
    JUDGE_CHECK(judge, log->count == 0 || log->entries[log->count - 1].term <= term, "L2",
                "terms fall along n%llu's log at %llu", LLU id, LLU index);
    judge_log_push(log, judge_log_chain(log, log->count), term, kind, digest);
    judge_entry(judge, id, index, &log->entries[log->count - 1]);
    if (!leading)
        judge_holds(judge, id, &log->entries[log->count - 1]);
}

void judge_configure(struct judge *judge, lash_id id, lash_term term, uint64_t digest,
                     const struct lash_configuration *configuration, bool by_itself) {
    struct judge_node *node = judge_node(judge, id);
    judge_append(judge, id, configuration->index, term, LASH_ENTRY_CONFIGURATION, digest, true);
    const struct judge_entry *entry = &node->memory.entries[node->memory.count - 1];
    electorate_add(judge->electorate, configuration, entry->chain);
    judge_holds(judge, id, entry);
    node->configured = true;
    node->by_itself = by_itself;
}

/* What leaders of terms before this one have committed. */
static uint64_t judge_committed_before(const struct judge *judge, lash_term term) {
    uint64_t i = judge->mark_count;
    while (i > 0 && judge->marks[i - 1].term >= term)
        i--;
    return i ? judge->marks[i - 1].commit : 0;
}

/* Up to where a disk's log, of which all behind `kept` is to be replaced, holds what must stay: what was committed in the
 * node's term or before, which no leader that it may still listen to lacks. (It may have been committed without this
 * node: one that is in an earlier term can be made to drop it.) */
static uint64_t judge_must_stay(const struct judge *judge, const struct judge_node *node, uint64_t kept) {
    uint64_t committed = judge_committed_before(judge, node->disk_term + 1);
    uint64_t end = committed < node->disk.count ? committed : node->disk.count;
    uint64_t stays = kept;
    while (stays < end && node->disk.entries[stays].chain == judge->committed.entries[stays].chain)
        stays++;
    return stays > kept ? stays : 0;
}

void judge_durable(struct judge *judge, lash_id id, uint64_t kept, const struct judge_log *suffix) {
    struct judge_node *node = judge_node(judge, id);
    struct judge_log *disk = &node->disk;
    LASH_ASSERT(kept <= disk->count);
    uint64_t stays = kept < disk->count ? judge_must_stay(judge, node, kept) : 0;
    node->cuts += kept < disk->count;
    judge_log_copy(disk, kept, suffix);
    node->replaced = false;
    JUDGE_CHECK(judge,
                stays <= disk->count && judge_log_chain(disk, stays) == judge_log_chain(&judge->committed, stays), "D1",
                "n%llu's disk drops what was committed up to %llu", LLU id, LLU stays);
}

void judge_durable_vote(struct judge *judge, lash_id id, lash_term term, lash_id vote) {
    struct judge_node *node = judge_node(judge, id);
    JUDGE_CHECK(judge, term >= node->disk_term, "E3", "n%llu saves term %llu after %llu", LLU id, LLU term,
                LLU node->disk_term);
    JUDGE_CHECK(judge, term > node->disk_term || node->disk_vote == 0 || node->disk_vote == vote, "E2",
                "n%llu saves a vote of term %llu for n%llu after one for n%llu", LLU id, LLU term, LLU vote,
                LLU node->disk_vote);
    node->disk_term = term;
    node->disk_vote = vote;
}

/* Let `log` be what was committed up to `index`. */
static void judge_log_commit(const struct judge *judge, struct judge_log *log, lash_index index) {
    struct judge_log committed = {.entries = judge->committed.entries, .count = index};
    judge_log_copy(log, 0, &committed);
}

/* Whether `log` holds what was committed up to `index`. */
static bool judge_log_holds(const struct judge *judge, const struct judge_log *log, lash_index index) {
    return log->count >= index && judge_log_chain(log, index) == judge_log_chain(&judge->committed, index);
}

void judge_snapshot(struct judge *judge, lash_id id, lash_index index) {
    struct judge_node *node = judge_node(judge, id);
    JUDGE_CHECK(judge, index >= 1 && index <= judge->committed.count, "S1",
                "n%llu has a snapshot at %llu, and committed is %llu", LLU id, LLU index, LLU judge->committed.count);
    if (judge_log_holds(judge, &node->disk, index))
        return;
    judge_log_commit(judge, &node->disk, index);
    node->cuts++;
    node->replaced = true;
}

void judge_reset(struct judge *judge, lash_id id, lash_index index) {
    struct judge_node *node = judge_node(judge, id);
    JUDGE_CHECK(judge, index > node->commit, "S3", "n%llu drops its log, committed up to %llu, for a snapshot at %llu",
                LLU id, LLU node->commit, LLU index);
    JUDGE_CHECK(judge, index <= judge->committed.count, "S1", "n%llu's log goes on behind %llu, and committed is %llu",
                LLU id, LLU index, LLU judge->committed.count);
    JUDGE_CHECK(judge, !judge_log_holds(judge, &node->memory, index), "S3",
                "n%llu drops its log for a snapshot at %llu, which it holds", LLU id, LLU index);
    judge_log_commit(judge, &node->memory, index);
    node->replaced = false;
    node->blind = false;
    judge_hold_all(judge, id);
}

/* ---- Messages ------------------------------------------------------------------------------------- */

static void judge_vote(struct judge *judge, lash_id id, lash_term term, lash_id candidate) {
    const struct judge_node *node = judge_node(judge, id);
    lash_id *vote = &judge_term(judge, term)->votes[id];
    JUDGE_CHECK(judge, *vote == 0 || *vote == candidate, "E2", "n%llu voted in term %llu for n%llu and n%llu", LLU id,
                LLU term, LLU * vote, LLU candidate);
    *vote = candidate;
    JUDGE_CHECK(judge, node->disk_term > term || (node->disk_term == term && node->disk_vote == candidate), "E2",
                "n%llu's vote of term %llu for n%llu left before it was durable", LLU id, LLU term, LLU candidate);
}

/* What n says it holds of a log is on its disk, unless a later term has had its say. */
static void judge_match(struct judge *judge, lash_id id, const struct lash_message *message) {
    const struct judge_node *node = judge_node(judge, id);
    if (!message->append_reply.success || node->disk_term > message->term)
        return;
    JUDGE_CHECK(judge, message->append_reply.match <= node->disk.count, "L7",
                "n%llu acknowledges %llu, and its disk holds %llu", LLU id, LLU message->append_reply.match,
                LLU node->disk.count);
}

/* T2: whoever is asked to take over holds all of the leader's log durably. */
static void judge_timeout_now(struct judge *judge, lash_id id, const struct lash_message *message) {
    const struct judge_node *node = judge_node(judge, id);
    const struct judge_node *target = judge_node(judge, message->to);
    lash_index last = message->timeout_now.last_index;
    JUDGE_CHECK(judge, node->memory.count == last, "T2", "n%llu hands over a log up to %llu, and it ends at %llu",
                LLU id, LLU last, LLU node->memory.count);
    JUDGE_CHECK(judge,
                target->disk_term > message->term ||
                    (target->disk.count >= last &&
                     judge_log_chain(&target->disk, last) == judge_log_chain(&node->memory, last)),
                "T2", "n%llu asks n%llu to take over, which lacks entries", LLU id, LLU message->to);
}

void judge_sent(struct judge *judge, lash_id id, const struct lash_message *message) {
    struct judge_node *node = judge_node(judge, id);
    JUDGE_CHECK(judge, !node->halted, "D4", "n%llu speaks after its sync has failed", LLU id);
    bool vote = message->type == LASH_MSG_VOTE;
    bool reply = message->type == LASH_MSG_VOTE_REPLY;
    if ((vote && message->vote.pre) || (reply && message->vote_reply.pre))
        return;
    JUDGE_CHECK(judge, node->disk_term >= message->term, "E3", "n%llu speaks of term %llu before it is durable", LLU id,
                LLU message->term);
    if (message->term > node->sent_term)
        node->sent_term = message->term;
    if (vote)
        judge_vote(judge, id, message->term, id);
    else if (reply && message->vote_reply.granted)
        judge_vote(judge, id, message->term, message->to);
    else if (message->type == LASH_MSG_APPEND_REPLY)
        judge_match(judge, id, message);
    else if (message->type == LASH_MSG_TIMEOUT_NOW)
        judge_timeout_now(judge, id, message);
}

void judge_halt(struct judge *judge, lash_id id) {
    judge_node(judge, id)->halted = true;
}

/* ---- Observation ---------------------------------------------------------------------------------- */

static void judge_mark(struct judge *judge, lash_term term, lash_index commit) {
    struct judge_mark *last = judge->mark_count ? &judge->marks[judge->mark_count - 1] : NULL;
    JUDGE_CHECK(judge, !last || last->term <= term, "L3",
                "a leader of term %llu commits %llu behind what one of term %llu has committed", LLU term, LLU commit,
                LLU last->term);
    if (!last || last->term < term) {
        judge->marks = memory_room(judge->marks, &judge->marks_capacity, judge->mark_count + 1, sizeof judge->marks[0]);
        last = &judge->marks[judge->mark_count++];
    }
    *last = (struct judge_mark){term, commit};
}

static void judge_leader(struct judge *judge, lash_id id, lash_term term) {
    struct judge_node *node = judge_node(judge, id);
    struct judge_term *record = judge_term(judge, term);
    JUDGE_CHECK(judge, record->leader == 0 || record->leader == id, "E1", "term %llu was led by n%llu and now by n%llu",
                LLU term, LLU record->leader, LLU id);
    record->leader = id;
    memset(node->matches, 0, sizeof node->matches);
    bool granted[JUDGE_NODES_MAX + 1] = {false};
    for (lash_id voter = 1; voter <= judge->count; voter++)
        granted[voter] = voter == id || record->votes[voter] == id;
    JUDGE_CHECK(judge, !judge->changes || electorate_quorum(electorate_newest(judge->electorate, id, 0), granted), "C5",
                "n%llu leads term %llu without the votes for it", LLU id, LLU term);
    uint64_t count = judge_committed_before(judge, term);
    JUDGE_CHECK(judge,
                count <= node->memory.count &&
                    judge_log_chain(&node->memory, count) == judge_log_chain(&judge->committed, count),
                "L3", "n%llu leads term %llu without all of what was committed up to %llu", LLU id, LLU term,
                LLU count);
}

/* A leader of `term` commits what nobody had committed yet (L6). */
static void judge_commit(struct judge *judge, lash_id id, lash_term term, lash_index commit) {
    const struct judge_log *log = &judge_node(judge, id)->memory;
    JUDGE_CHECK(judge, log->entries[commit - 1].term == term, "L6", "n%llu of term %llu commits %llu of term %llu",
                LLU id, LLU term, LLU commit, LLU log->entries[commit - 1].term);
    const struct judge_node *node = judge_node(judge, id);
    const struct lash_configuration *governing =
        electorate_newest(judge->electorate, id, node->configured && node->by_itself ? 1 : 0);
    bool holds[JUDGE_NODES_MAX + 1] = {false};
    for (lash_id i = 1; i <= judge->count; i++) {
        const struct judge_log *disk = &judge->nodes[i].disk;
        bool held = disk->count >= commit && disk->entries[commit - 1].chain == log->entries[commit - 1].chain;
        /* One that is lost counts for who heard of it in time. */
        holds[i] = held && (!judge->nodes[i].lost || node->matches[i] >= commit);
    }
    JUDGE_CHECK(judge, electorate_quorum(governing, holds), "L6", "n%llu commits %llu, which no quorum holds durably",
                LLU id, LLU commit);
    /* A leader that is on its way out still counts for what came before its removal. */
    bool kept = electorate_kept(governing, holds) || (commit < governing->index && holds[id]);
    JUDGE_CHECK(judge, kept, "W2", "n%llu commits %llu, which only voters without data hold durably", LLU id,
                LLU commit);
    uint64_t known = judge->committed.count;
    JUDGE_CHECK(judge, judge_log_chain(log, known) == judge_log_chain(&judge->committed, known), "L4",
                "n%llu commits %llu behind another log than what was committed up to %llu", LLU id, LLU commit,
                LLU known);
    judge_mark(judge, term, commit);
    struct judge_log added = {.entries = log->entries + known, .count = commit - known};
    judge_log_copy(&judge->committed, known, &added);
    for (lash_index index = known + 1; index <= commit; index++)
        if (judge->committed.entries[index - 1].kind == LASH_ENTRY_CONFIGURATION)
            judge->governing = index;
}

static void judge_indexes(struct judge *judge, lash_id id, const struct lash_raft_status *status) {
    const struct judge_node *node = judge_node(judge, id);
    JUDGE_CHECK(judge, status->last_index == node->memory.count, "L5",
                "n%llu's log ends at %llu and its core says %llu", LLU id, LLU node->memory.count,
                LLU status->last_index);
    JUDGE_CHECK(judge,
                status->last_index == 0 || status->last_term == node->memory.entries[status->last_index - 1].term, "L5",
                "n%llu's last term is not its log's", LLU id);
    JUDGE_CHECK(judge, node->commit <= status->commit && status->commit <= status->last_index, "L5",
                "n%llu: commit was %llu and is %llu, last is %llu", LLU id, LLU node->commit, LLU status->commit,
                LLU status->last_index);
    JUDGE_CHECK(judge, status->applied <= status->commit, "L5", "n%llu: applied is %llu, commit %llu", LLU id,
                LLU status->applied, LLU status->commit);
    lash_index durable = status->durable_index;
    JUDGE_CHECK(judge,
                durable <= node->memory.count &&
                    (node->replaced || (durable <= node->disk.count && judge_log_chain(&node->disk, durable) ==
                                                                           judge_log_chain(&node->memory, durable))),
                "L6", "n%llu believes that its disk holds %llu", LLU id, LLU durable);
}

/* W1: somebody who votes keeps data, in each half of a joint configuration. */
static void judge_data(struct judge *judge, lash_id id, const struct lash_configuration *configuration) {
    static const uint32_t flags[] = {LASH_MEMBER_VOTER, LASH_MEMBER_VOTER_OLD};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        uint32_t voters = 0;
        uint32_t witnesses = 0;
        for (uint32_t slot = 0; slot < configuration->count; slot++) {
            uint32_t has = configuration->members[slot].flags;
            voters += (has & flags[i]) != 0;
            witnesses += (has & flags[i]) != 0 && (has & LASH_MEMBER_WITNESS) != 0;
        }
        JUDGE_CHECK(judge, voters == 0 || witnesses < voters, "W1",
                    "n%llu goes by configuration %llu, whose voters are all witnesses", LLU id,
                    LLU configuration->index);
    }
}

/* W1: who is in both configurations is a witness in both or in neither. */
static void judge_stays(struct judge *judge, lash_id id, const struct lash_configuration *before,
                        const struct lash_configuration *next) {
    for (uint32_t i = 0; i < before->count; i++) {
        for (uint32_t j = 0; j < next->count; j++) {
            uint32_t changed = before->members[i].flags ^ next->members[j].flags;
            bool same = before->members[i].id == next->members[j].id;
            JUDGE_CHECK(judge, !same || (changed & LASH_MEMBER_WITNESS) == 0, "W1",
                        "n%llu proposes that n%llu become a witness, or cease to be one", LLU id,
                        LLU next->members[j].id);
        }
    }
}

/* C4: the newest configuration in a node's log is in force. C1: the one before it is committed. C2, C3: what a leader
 * appends may come when it does, and where. */
static void judge_members(struct judge *judge, lash_id id, const struct lash_raft_status *status) {
    struct judge_node *node = judge_node(judge, id);
    const struct lash_configuration *newest = electorate_newest(judge->electorate, id, 0);
    const struct lash_configuration *before = electorate_newest(judge->electorate, id, 1);
    JUDGE_CHECK(judge, node->blind || memcmp(newest, &status->configuration, sizeof *newest) == 0, "C4",
                "n%llu goes by configuration %llu, and its log's newest is %llu", LLU id,
                LLU status->configuration.index, LLU newest->index);
    JUDGE_CHECK(judge, newest->index == 0 || before->index <= judge->committed.count, "C1",
                "n%llu's log holds the configurations %llu and %llu, and neither is committed", LLU id,
                LLU before->index, LLU newest->index);
    if (!node->configured)
        return;
    node->configured = false;
    JUDGE_CHECK(judge, before->index <= status->commit, "C1",
                "n%llu proposes a configuration without knowing that %llu is committed", LLU id, LLU before->index);
    JUDGE_CHECK(judge, status->commit > 0 && node->memory.entries[status->commit - 1].term == status->term, "C2",
                "n%llu proposes a configuration before an entry of term %llu is committed", LLU id, LLU status->term);
    judge_data(judge, id, newest);
    judge_stays(judge, id, before, newest);
    JUDGE_CHECK(judge, electorate_follow(before, newest), "C3", "configuration %llu does not follow from %llu",
                LLU newest->index, LLU before->index);
}

/* W1, W2: a witness neither stands nor leads, and holds nothing that its leader, as long as that votes, does not. */
static void judge_witnesses(struct judge *judge, lash_id id, const struct lash_raft_status *status) {
    const struct lash_configuration *configuration = &status->configuration;
    bool kept = false;
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct lash_member *member = &configuration->members[i];
        bool witness = (member->flags & LASH_MEMBER_WITNESS) != 0;
        JUDGE_CHECK(judge, member->id != id || !witness || status->role == LASH_FOLLOWER, "W1",
                    "n%llu is a witness, and stands or leads in term %llu", LLU id, LLU status->term);
        kept |= member->id == id && (member->flags & LASH_MEMBER_VOTER) != 0;
    }
    for (uint32_t i = 0; kept && i < status->progress_count; i++) {
        const struct lash_progress *progress = &status->progress[i];
        JUDGE_CHECK(
            judge, (progress->flags & LASH_MEMBER_WITNESS) == 0 || progress->match <= judge_node(judge, id)->disk.count,
            "W2", "the witness n%llu holds %llu before n%llu, which leads it", LLU progress->id, LLU progress->match,
            LLU id);
    }
}

/* L7: what a leader believes of the others is so. */
static void judge_progress(struct judge *judge, lash_id id, const struct lash_raft_status *status) {
    struct judge_node *node = judge_node(judge, id);
    bool member[JUDGE_NODES_MAX + 1] = {false};
    for (uint32_t i = 0; i < status->progress_count; i++)
        member[status->progress[i].id] = true;
    /* Who leaves and comes back begins anew. */
    for (lash_id other = 1; judge->changes && other <= judge->count; other++)
        node->matches[other] = member[other] ? node->matches[other] : 0;
    for (uint32_t i = 0; i < status->progress_count; i++) {
        const struct lash_progress *progress = &status->progress[i];
        lash_index match = progress->match;
        JUDGE_CHECK(judge, match < progress->next, "L7", "n%llu has match %llu and next %llu for n%llu", LLU id,
                    LLU match, LLU progress->next, LLU progress->id);
        JUDGE_CHECK(judge,
                    progress->inflight_messages <= judge->inflight_messages_max &&
                        progress->inflight_bytes <= judge->inflight_bytes_max,
                    "P3", "n%llu has %u messages, %llu bytes, on their way to n%llu", LLU id,
                    progress->inflight_messages, LLU progress->inflight_bytes, LLU progress->id);
        const struct judge_node *peer = judge_node(judge, progress->id);
        lash_index *before = &node->matches[progress->id];
        uint64_t *cuts = &node->cuts_seen[progress->id];
        if (match == *before && peer->cuts == *cuts)
            continue;
        JUDGE_CHECK(judge, match >= *before, "L7", "n%llu's match of n%llu fell from %llu to %llu", LLU id,
                    LLU progress->id, LLU * before, LLU match);
        *before = match;
        *cuts = peer->cuts;
        /* Who entered a later term may have dropped what this leader never committed. */
        if (peer->disk_term > status->term)
            continue;
        JUDGE_CHECK(judge,
                    match <= peer->disk.count && match <= node->memory.count &&
                        judge_log_chain(&peer->disk, match) == judge_log_chain(&node->memory, match),
                    "L7", "n%llu believes that n%llu holds its entries up to %llu", LLU id, LLU progress->id,
                    LLU match);
    }
}

void judge_observe(struct judge *judge, lash_id id, const struct lash_raft_status *status) {
    struct judge_node *node = judge_node(judge, id);
    JUDGE_CHECK(judge, status->term >= node->term, "E3", "n%llu fell from term %llu to %llu", LLU id, LLU node->term,
                LLU status->term);
    judge_indexes(judge, id, status);
    lash_term led = node->role == LASH_LEADER ? node->term : 0;
    lash_index commit = status->commit;
    if (status->role == LASH_LEADER && led != status->term) {
        judge_leader(judge, id, status->term);
        led = status->term;
    }
    if (commit > judge->committed.count) {
        JUDGE_CHECK(judge, led != 0, "L6", "n%llu, which does not lead, has %llu committed, and leaders %llu", LLU id,
                    LLU commit, LLU judge->committed.count);
        judge_commit(judge, id, led, commit);
    } else if (commit > node->commit) {
        JUDGE_CHECK(judge, judge_log_chain(&node->memory, commit) == judge_log_chain(&judge->committed, commit), "L4",
                    "n%llu has another entry %llu committed than others", LLU id, LLU commit);
    }
    node->term = status->term;
    node->role = status->role;
    node->commit = commit;
    judge_witnesses(judge, id, status);
    if (judge->changes)
        judge_members(judge, id, status);
    if (status->role == LASH_LEADER)
        judge_progress(judge, id, status);
}

/* ---- State machines ------------------------------------------------------------------------------- */

void judge_apply(struct judge *judge, lash_id id, lash_index from, lash_index to, uint64_t commands) {
    const struct judge_node *node = judge_node(judge, id);
    JUDGE_CHECK(judge, from <= to && to <= judge->committed.count, "L5",
                "n%llu applies %llu to %llu, and committed is %llu", LLU id, LLU(from + 1), LLU to,
                LLU judge->committed.count);
    JUDGE_CHECK(judge, to <= node->disk.count, "L5", "n%llu applies %llu, and its disk holds %llu", LLU id, LLU to,
                LLU node->disk.count);
    uint64_t expected = 0;
    for (lash_index index = from + 1; index <= to; index++)
        expected += judge->committed.entries[index - 1].kind == LASH_ENTRY_COMMAND;
    JUDGE_CHECK(judge, commands == expected, "L5", "n%llu applies %llu commands where the log has %llu", LLU id,
                LLU commands, LLU expected);
}

void judge_state(struct judge *judge, lash_id id, lash_index index, uint64_t state) {
    if (index == 0)
        return;
    struct judge_index *at = judge_index(judge, index);
    if (at->state == 0)
        at->state = state;
    JUDGE_CHECK(judge, at->state == state, "L4", "n%llu's state after %llu is not that of others", LLU id, LLU index);
}

/* ---- What is known -------------------------------------------------------------------------------- */

lash_index judge_committed(const struct judge *judge) {
    return judge->committed.count;
}

lash_index judge_effective(const struct judge *judge, lash_index index) {
    LASH_ASSERT(index <= judge->committed.count);
    const struct judge_entry *entries = judge->committed.entries;
    while (index > 0 &&
           (entries[index - 1].kind == LASH_ENTRY_PART || entries[index - 1].kind == LASH_ENTRY_CONFIGURATION))
        index--;
    return index;
}

const struct lash_configuration *judge_configured_at(const struct judge *judge, lash_index index) {
    LASH_ASSERT(index >= 1 && index <= judge->committed.count);
    return electorate_find(judge->electorate, judge_log_chain(&judge->committed, index));
}

const struct lash_configuration *judge_governing(const struct judge *judge) {
    return judge->governing ? judge_configured_at(judge, judge->governing) : electorate_initial(judge->electorate);
}

bool judge_proposed(const struct judge *judge, lash_id id) {
    return !judge->nodes[id].lost && electorate_newest(judge->electorate, id, 0)->index > judge->governing;
}

uint64_t judge_committed_chain(const struct judge *judge, lash_index index) {
    return index <= judge->committed.count ? judge_log_chain(&judge->committed, index) : 0;
}

const struct judge_log *judge_committed_log(const struct judge *judge) {
    return &judge->committed;
}

const struct judge_log *judge_memory(const struct judge *judge, lash_id id) {
    return &judge->nodes[id].memory;
}

const struct judge_log *judge_disk(const struct judge *judge, lash_id id) {
    return &judge->nodes[id].disk;
}

void judge_disk_vote(const struct judge *judge, lash_id id, lash_term *term, lash_id *vote) {
    *term = judge->nodes[id].disk_term;
    *vote = judge->nodes[id].disk_vote;
}
