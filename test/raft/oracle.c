/* SPDX-License-Identifier: Apache-2.0
 *
 * The history of a cluster of cores, and what must hold of it.
 */
#include "oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Logs -------------------------------------------------------------------------------------- */

/* Make room for `count` elements; tests have all the memory that they need, or stop. */
static void *oracle_room(void *array, uint64_t *max, uint64_t count, size_t size) {
    if (count <= *max)
        return array;
    uint64_t wanted = *max == 0 ? 16 : *max * 2;
    if (wanted < count)
        wanted = count;
    char *grown = realloc(array, wanted * size);
    if (grown == NULL)
        abort();
    memset(grown + *max * size, 0, (wanted - *max) * size);
    *max = wanted;
    return grown;
}

void entries_append(struct entries *log, struct entry entry) {
    log->entries = oracle_room(log->entries, &log->max, log->count + 1, sizeof entry);
    log->entries[log->count++] = entry;
}

void entries_truncate(struct entries *log, uint64_t count) {
    if (count < log->count)
        log->count = count;
}

void entries_copy(struct entries *to, const struct entries *from) {
    to->count = 0;
    for (uint64_t i = 0; i < from->count; i++)
        entries_append(to, from->entries[i]);
}

void entries_free(struct entries *log) {
    free(log->entries);
    memset(log, 0, sizeof *log);
}

bool entry_equal(const struct entry *a, const struct entry *b) {
    return a->term == b->term && a->payload == b->payload && a->kind == b->kind;
}

/* ---- History ----------------------------------------------------------------------------------- */

/* An entry with the term of the one before it: by induction, equal ones have equal logs before them. */
struct oracle_known {
    struct entry entry;
    lash_term prev_term;
};

/* All entries that any log ever held at one index. */
struct oracle_index {
    struct oracle_known *known;
    uint64_t count;
    uint64_t max;
};

struct oracle_term {
    lash_id leader;
    lash_id votes[ORACLE_NODES_MAX + 1]; /* by voter */
};

struct oracle {
    struct oracle_term *terms;
    uint64_t terms_max;
    struct oracle_index *indexes; /* of index i at i - 1 */
    uint64_t indexes_max;
    struct entries committed;
    lash_term *committed_in; /* the term of the leader that committed the entry; never falls */
    uint64_t committed_in_max;
    lash_term sent_terms[ORACLE_NODES_MAX + 1]; /* the highest that it spoke of */
};

void (*oracle_report)(void);

void oracle_fail(const char *invariant, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "invariant %s broken: ", invariant);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    if (oracle_report != NULL)
        oracle_report();
    abort();
}

struct oracle *oracle_new(void) {
    struct oracle *oracle = calloc(1, sizeof *oracle);
    if (oracle == NULL)
        abort();
    return oracle;
}

void oracle_free(struct oracle *oracle) {
    for (uint64_t i = 0; i < oracle->indexes_max; i++)
        free(oracle->indexes[i].known);
    free(oracle->indexes);
    free(oracle->terms);
    free(oracle->committed_in);
    entries_free(&oracle->committed);
    free(oracle);
}

static struct oracle_term *oracle_term_record(struct oracle *oracle, lash_term term) {
    oracle->terms = oracle_room(oracle->terms, &oracle->terms_max, term + 1, sizeof oracle->terms[0]);
    return &oracle->terms[term];
}

void oracle_leader(struct oracle *oracle, lash_id id, lash_term term, const struct entries *log) {
    struct oracle_term *record = oracle_term_record(oracle, term);
    ORACLE_CHECK(record->leader == 0 || record->leader == id, "E1", "term %llu was led by n%llu and now by n%llu",
                 (unsigned long long)term, (unsigned long long)record->leader, (unsigned long long)id);
    record->leader = id;
    for (uint64_t i = 0; i < oracle->committed.count && oracle->committed_in[i] < term; i++) {
        ORACLE_CHECK(i < log->count && entry_equal(&log->entries[i], &oracle->committed.entries[i]), "L3",
                     "n%llu leads term %llu without the committed entry %llu", (unsigned long long)id,
                     (unsigned long long)term, (unsigned long long)(i + 1));
    }
}

void oracle_vote(struct oracle *oracle, lash_id id, lash_term term, lash_id candidate, lash_term disk_term,
                 lash_id disk_vote) {
    struct oracle_term *record = oracle_term_record(oracle, term);
    ORACLE_CHECK(record->votes[id] == 0 || record->votes[id] == candidate, "E2",
                 "n%llu voted in term %llu for n%llu and n%llu", (unsigned long long)id, (unsigned long long)term,
                 (unsigned long long)record->votes[id], (unsigned long long)candidate);
    record->votes[id] = candidate;
    ORACLE_CHECK(disk_term > term || (disk_term == term && disk_vote == candidate), "E2",
                 "n%llu's vote of term %llu for n%llu left before it was on disk", (unsigned long long)id,
                 (unsigned long long)term, (unsigned long long)candidate);
}

void oracle_sent(struct oracle *oracle, lash_id id, lash_term term, lash_term disk_term) {
    ORACLE_CHECK(disk_term >= term, "E3", "n%llu spoke of term %llu before it was on disk", (unsigned long long)id,
                 (unsigned long long)term);
    if (term > oracle->sent_terms[id])
        oracle->sent_terms[id] = term;
}

void oracle_start(struct oracle *oracle, lash_id id, lash_term term) {
    ORACLE_CHECK(term >= oracle->sent_terms[id], "E3", "n%llu fell from term %llu to %llu", (unsigned long long)id,
                 (unsigned long long)oracle->sent_terms[id], (unsigned long long)term);
}

static void oracle_entry(struct oracle *oracle, lash_index index, const struct entry *entry, lash_term prev_term) {
    oracle->indexes = oracle_room(oracle->indexes, &oracle->indexes_max, index, sizeof oracle->indexes[0]);
    struct oracle_index *at = &oracle->indexes[index - 1];
    for (uint64_t i = 0; i < at->count; i++) {
        if (at->known[i].entry.term != entry->term)
            continue;
        ORACLE_CHECK(entry_equal(&at->known[i].entry, entry) && at->known[i].prev_term == prev_term, "L2",
                     "two entries %llu of term %llu differ, or what is before them does", (unsigned long long)index,
                     (unsigned long long)entry->term);
        return;
    }
    at->known = oracle_room(at->known, &at->max, at->count + 1, sizeof at->known[0]);
    at->known[at->count].entry = *entry;
    at->known[at->count].prev_term = prev_term;
    at->count++;
}

void oracle_log(struct oracle *oracle, const struct entries *log, uint64_t from) {
    for (uint64_t index = from; index <= log->count; index++)
        oracle_entry(oracle, index, &log->entries[index - 1], index == 1 ? 0 : log->entries[index - 2].term);
}

/* Nobody had committed it yet. A leader of a later term that commits anything commits all that an earlier one can. */
static void oracle_commit_first(struct oracle *oracle, lash_term term, const struct entry *entry) {
    uint64_t count = oracle->committed.count;
    ORACLE_CHECK(count == 0 || oracle->committed_in[count - 1] <= term, "L3",
                 "entry %llu was committed in term %llu behind what was committed in term %llu",
                 (unsigned long long)(count + 1), (unsigned long long)term,
                 (unsigned long long)oracle->committed_in[count - 1]);
    oracle->committed_in =
        oracle_room(oracle->committed_in, &oracle->committed_in_max, count + 1, sizeof oracle->committed_in[0]);
    oracle->committed_in[count] = term;
    entries_append(&oracle->committed, *entry);
}

void oracle_commit(struct oracle *oracle, lash_term term, const struct entries *log, lash_index from, lash_index to) {
    for (lash_index index = from; index <= to; index++) {
        const struct entry *entry = &log->entries[index - 1];
        if (index > oracle->committed.count) {
            oracle_commit_first(oracle, term, entry);
            continue;
        }
        ORACLE_CHECK(entry_equal(entry, &oracle->committed.entries[index - 1]), "L4",
                     "two different entries %llu were committed", (unsigned long long)index);
    }
}

/* ---- Membership -------------------------------------------------------------------------------- */

/* Whether more than half of those that carry `flag` are among `has`; nobody is a majority of nobody. */
static bool oracle_majority(const struct lash_configuration *configuration, uint32_t flag, const bool *has) {
    uint32_t voters = 0;
    uint32_t agree = 0;
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct lash_member *member = &configuration->members[i];
        voters += (member->flags & flag) != 0;
        agree += (member->flags & flag) != 0 && has[member->id];
    }
    return voters == 0 ? flag == LASH_MEMBER_VOTER_OLD : 2 * agree > voters;
}

bool oracle_quorum(const struct lash_configuration *configuration, const bool has[ORACLE_NODES_MAX + 1]) {
    return oracle_majority(configuration, LASH_MEMBER_VOTER, has) &&
           oracle_majority(configuration, LASH_MEMBER_VOTER_OLD, has);
}

void oracle_elected(struct oracle *oracle, lash_id id, lash_term term, const struct lash_configuration *configuration) {
    const struct oracle_term *record = oracle_term_record(oracle, term);
    bool granted[ORACLE_NODES_MAX + 1] = {false};
    for (lash_id voter = 1; voter <= ORACLE_NODES_MAX; voter++)
        granted[voter] = voter == id || record->votes[voter] == id;
    ORACLE_CHECK(oracle_quorum(configuration, granted), "C5", "n%llu leads term %llu without the votes for it",
                 (unsigned long long)id, (unsigned long long)term);
}

/* Who carries `flag`, as a set of bits by id. */
static uint32_t oracle_set(const struct lash_configuration *configuration, uint32_t flag) {
    uint32_t set = 0;
    for (uint32_t i = 0; i < configuration->count; i++)
        set |= (configuration->members[i].flags & flag) != 0 ? (uint32_t)1 << configuration->members[i].id : 0;
    return set;
}

void oracle_configured(const struct oracle *oracle, lash_id id, lash_term term, const struct entries *log,
                       lash_index commit, const struct lash_configuration *before,
                       const struct lash_configuration *next) {
    ORACLE_CHECK(before->index <= oracle->committed.count && before->index <= commit, "C1",
                 "n%llu proposes configuration %llu while %llu is not committed", (unsigned long long)id,
                 (unsigned long long)next->index, (unsigned long long)before->index);
    ORACLE_CHECK(commit > 0 && log->entries[commit - 1].term == term, "C2",
                 "n%llu proposes configuration %llu before an entry of term %llu is committed", (unsigned long long)id,
                 (unsigned long long)next->index, (unsigned long long)term);
    uint32_t voters = oracle_set(before, LASH_MEMBER_VOTER);
    uint32_t wanted = oracle_set(next, LASH_MEMBER_VOTER);
    bool follows;
    if (oracle_set(before, LASH_MEMBER_VOTER_OLD) != 0)
        follows = oracle_set(next, LASH_MEMBER_VOTER_OLD) == 0 && wanted == voters;
    else if (oracle_set(next, LASH_MEMBER_VOTER_OLD) != 0)
        follows = oracle_set(next, LASH_MEMBER_VOTER_OLD) == voters;
    else
        follows = __builtin_popcount(voters ^ wanted) <= 1;
    ORACLE_CHECK(follows, "C3", "configuration %llu does not follow from %llu", (unsigned long long)next->index,
                 (unsigned long long)before->index);
}

lash_index oracle_committed(const struct oracle *oracle) {
    return oracle->committed.count;
}

const struct entry *oracle_committed_entry(const struct oracle *oracle, lash_index index) {
    return &oracle->committed.entries[index - 1];
}

void oracle_copy(const struct oracle *oracle, struct entries *to, lash_index index) {
    ORACLE_CHECK(index <= oracle->committed.count, "S1", "a snapshot of %llu entries, and %llu are committed",
                 (unsigned long long)index, (unsigned long long)oracle->committed.count);
    entries_truncate(to, 0);
    for (uint64_t i = 0; i < index; i++)
        entries_append(to, oracle->committed.entries[i]);
}
