/* SPDX-License-Identifier: Apache-2.0
 *
 * The judge of a cluster of cores: it keeps the history that the invariants of
 * the protocol speak of, and stops the process, naming the invariant, when one is
 * broken. Invariants are named as in docs/protocol.md.
 */
#ifndef LASH_TEST_RAFT_ORACLE_H
#define LASH_TEST_RAFT_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lash/raft.h"

#define ORACLE_NODES_MAX 8

/* An entry as the tests' logs hold it. The payload is unique among commands. */
struct entry {
    lash_term term;
    uint64_t payload;
    uint32_t kind;
};

/* A log from index 1 on: the entry at index i is entries[i - 1]. */
struct entries {
    struct entry *entries;
    uint64_t count;
    uint64_t max;
};

void entries_append(struct entries *log, struct entry entry);
void entries_truncate(struct entries *log, uint64_t count);
void entries_copy(struct entries *to, const struct entries *from);
void entries_free(struct entries *log);
bool entry_equal(const struct entry *a, const struct entry *b);

struct oracle;

struct oracle *oracle_new(void);
void oracle_free(struct oracle *oracle);

/* Called with the cluster's description before the process stops; tests print their seed here. */
extern void (*oracle_report)(void);
_Noreturn void oracle_fail(const char *invariant, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define ORACLE_CHECK(condition, invariant, ...)                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            oracle_fail(invariant, __VA_ARGS__);                                                                       \
    } while (0)

/* E1, L3: `id`, whose log is `log`, became leader of `term`; late, perhaps, when leaders of later terms have committed
 * more than it needs to hold. */
void oracle_leader(struct oracle *oracle, lash_id id, lash_term term, const struct entries *log);

/* E2: `id` sent its vote of `term` to `candidate`, and its disk held `disk_term` and `disk_vote`. */
void oracle_vote(struct oracle *oracle, lash_id id, lash_term term, lash_id candidate, lash_term disk_term,
                 lash_id disk_vote);

/* E3: `id` sent a message of `term` while its disk held `disk_term`. */
void oracle_sent(struct oracle *oracle, lash_id id, lash_term term, lash_term disk_term);

/* E3: `id` starts with `term`. */
void oracle_start(struct oracle *oracle, lash_id id, lash_term term);

/* L2: a log now holds its first `count` entries, of which those before `from` were seen before. */
void oracle_log(struct oracle *oracle, const struct entries *log, uint64_t from);

/* L3, L4: a node of `term` whose log is `log` committed the entries from..to. The first node to commit an entry is a
 * leader. */
void oracle_commit(struct oracle *oracle, lash_term term, const struct entries *log, lash_index from, lash_index to);

/* E1, C5: with `has`, by id, both majorities of the voters agree (one, when the configuration is not joint); learners never count. */
bool oracle_quorum(const struct lash_configuration *configuration, const bool has[ORACLE_NODES_MAX + 1]);

/* E1, C5: `id`, in this configuration, became leader of `term`: it has the votes for that. */
void oracle_elected(struct oracle *oracle, lash_id id, lash_term term, const struct lash_configuration *configuration);

/* C1, C2, C3: a leader of `term`, whose log is `log` and whose commit index is `commit`, appended `next` at its end; `before` was
 * the newest configuration until then. */
void oracle_configured(const struct oracle *oracle, lash_id id, lash_term term, const struct entries *log,
                       lash_index commit, const struct lash_configuration *before,
                       const struct lash_configuration *next);

/* The highest index that any node has known to be committed. */
lash_index oracle_committed(const struct oracle *oracle);
/* Let `to` be what is committed up to `index`. */
void oracle_copy(const struct oracle *oracle, struct entries *to, lash_index index);
const struct entry *oracle_committed_entry(const struct oracle *oracle, lash_index index);

#endif
