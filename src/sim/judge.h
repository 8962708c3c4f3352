/* SPDX-License-Identifier: Apache-2.0
 *
 * The judge of a simulated cluster: it keeps the history that the invariants
 * speak of and says at once when one is broken. Each check takes constant time, or
 * time for each entry that is new. Invariants are named as in docs/verification.md.
 *
 * A log's entry carries a hash of everything up to it, so that two logs are equal
 * up to an index when their hashes there are.
 */
#ifndef LASH_SIM_JUDGE_H
#define LASH_SIM_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lash/raft.h"

enum { JUDGE_NODES_MAX = 24 };

struct judge_entry {
    lash_term term;
    uint64_t chain; /* of all entries up to this one */
    uint32_t kind;
};

/* A log from index 1 on: the entry at index i is entries[i - 1]. */
struct judge_log {
    struct judge_entry *entries;
    uint64_t count;
    uint64_t capacity;
};

void judge_log_cut(struct judge_log *log, uint64_t count);

/* Append an entry whose content has this digest, behind what hashes to `chain`. */
void judge_log_push(struct judge_log *log, uint64_t chain, lash_term term, uint32_t kind, uint64_t digest);

/* Let `to` be its first `kept` entries, and those of `suffix`. */
void judge_log_copy(struct judge_log *to, uint64_t kept, const struct judge_log *suffix);

/* The hash of the log's first `count` entries, which it has. */
uint64_t judge_log_chain(const struct judge_log *log, uint64_t count);
void judge_log_free(struct judge_log *log);

struct judge;

/* Told when an invariant is broken; must not return. */
typedef void (*judge_failed_fn)(void *context, const char *invariant, const char *what);

struct judge *judge_new(uint32_t nodes, judge_failed_fn failed, void *context);
void judge_free(struct judge *judge);

/* P3: a leader has at most so many messages with entries on their way to one follower, and so many bytes; at first the
 * core's defaults, and room for one entry more. */
void judge_bound(struct judge *judge, uint32_t inflight_messages_max, uint64_t inflight_bytes_max);

/* The membership may change, and is judged: C1 to C5. The cluster begins with `initial`, those nodes for which `joins`, by id,
 * says so with none. */
void judge_membership(struct judge *judge, const struct lash_configuration *initial,
                      const bool joins[JUDGE_NODES_MAX + 1]);

_Noreturn void judge_fail(struct judge *judge, const char *invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define JUDGE_CHECK(judge, condition, invariant, ...)                                                                  \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0))                                                                         \
            judge_fail((judge), (invariant), __VA_ARGS__);                                                             \
    } while (0)

/* ---- What a node does. Ids are 1 to `nodes`. ------------------------------------------------------ */

/* E3, D2: it starts with a log that is `log`, and with this term and vote; all is durable. */
void judge_start(struct judge *judge, lash_id id, const struct judge_log *log, lash_term term, lash_id vote);

/* E3: it starts with what is durable of it. */
void judge_restart(struct judge *judge, lash_id id);

/* It is gone; its disk stays. */
void judge_stop(struct judge *judge, lash_id id);

/* It has lost its disk and never comes back. */
void judge_lose(struct judge *judge, lash_id id);

/* L1, L2, L4: its core's log now has an entry at `index`, in place of whatever it had from there on. `leading`: it was
 * appended by a leader. */
void judge_append(struct judge *judge, lash_id id, lash_index index, lash_term term, uint32_t kind, uint64_t digest,
                  bool leading);

/* C1 to C3: a leader appends a configuration, `by_itself` or as it was asked to. */
void judge_configure(struct judge *judge, lash_id id, lash_term term, uint64_t digest,
                     const struct lash_configuration *configuration, bool by_itself);

/* D1: its disk's log holds, durably, the first `kept` entries and then those of `suffix`. */
void judge_durable(struct judge *judge, lash_id id, uint64_t kept, const struct judge_log *suffix);
void judge_durable_vote(struct judge *judge, lash_id id, lash_term term, lash_id vote);

/* It has got the membership that the group began with, by a snapshot. */
void judge_begun(struct judge *judge, lash_id id);

/* What a node that is about to start knows of the membership cannot be told from its log: where that begins behind its snapshots it
 * knows none until a leader tells (C4). */
void judge_blind(struct judge *judge, lash_id id, bool blind);

/* S1: it has a durable snapshot of what was committed up to `index`. When its disk's log does not hold that, a start would
 * drop the log, which then goes on behind the snapshot. */
void judge_snapshot(struct judge *judge, lash_id id, lash_index index);

/* S3: its core's log is dropped, and goes on behind a snapshot of what was committed up to `index`. */
void judge_reset(struct judge *judge, lash_id id, lash_index index);

/* E2, E3, L7, D4, T2: it sends a message. */
void judge_sent(struct judge *judge, lash_id id, const struct lash_message *message);

/* D4: its last sync has failed: it must not say anything any more. */
void judge_halt(struct judge *judge, lash_id id);

/* E1, E3, L3 to L7, C1 to C5, P3, W1, W2: its state after an event. Also to be called for each change of role. */
void judge_observe(struct judge *judge, lash_id id, const struct lash_raft_status *status);

/* L5: it applies what follows `from` up to `to`, which holds `commands` commands. */
void judge_apply(struct judge *judge, lash_id id, lash_index from, lash_index to, uint64_t commands);

/* L4, X2: after applying up to `index` its state machine's state hashes to `state`. */
void judge_state(struct judge *judge, lash_id id, lash_index index, uint64_t state);

/* ---- What is known -------------------------------------------------------------------------------- */

/* The highest index that any leader has committed. */
lash_index judge_committed(const struct judge *judge);

/* The last entry at or before `index`, which is committed, behind which a state machine changes nothing up to there: parts of a
 * command whose last is not among them, and configurations, do not. */
lash_index judge_effective(const struct judge *judge, lash_index index);

/* The newest committed configuration; what the cluster began with when there is none. */
const struct lash_configuration *judge_governing(const struct judge *judge);

/* Whether the node's log holds a configuration that may yet be committed: one behind the newest that is. */
bool judge_proposed(const struct judge *judge, lash_id id);

/* The configuration committed at `index`; NULL when that holds none. */
const struct lash_configuration *judge_configured_at(const struct judge *judge, lash_index index);

/* The hash of what was committed up to `index`; 0 when that much was not. */
uint64_t judge_committed_chain(const struct judge *judge, lash_index index);
const struct judge_log *judge_committed_log(const struct judge *judge);
const struct judge_log *judge_memory(const struct judge *judge, lash_id id);
const struct judge_log *judge_disk(const struct judge *judge, lash_id id);
void judge_disk_vote(const struct judge *judge, lash_id id, lash_term *term, lash_id *vote);

#endif
