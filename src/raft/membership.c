/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership changes (D§4). A configuration is an entry of the log like any other,
 * but in force from the moment that it is appended, and no longer once it is cut
 * off. One that is proposed has all before it committed, so at most the newest can
 * be cut off, and the core keeps two: the newest, and the one before it for as long as
 * the newest is not known to be committed.
 */
#include "raft/membership.h"

#include <string.h>

#include "base/assert.h"
#include "raft/commit.h"
#include "raft/durability.h"
#include "raft/priority.h"
#include "raft/raft_state.h"
#include "raft/read.h"
#include "raft/replication.h"
#include "raft/role.h"
#include "raft/transfer.h"

/* ---- The configuration in force ---------------------------------------------------------------- */

int membership_load(struct lash_raft *raft, const struct lash_raft_saved *saved) {
    const struct lash_configuration *newest = &saved->configuration;
    /* Who joins a group begins without a configuration, and has no vote before it learns of one (D§4.2.1). */
    bool joins = newest->count == 0 && newest->index == 0;
    if (!joins && configuration_load(&raft->configuration, newest) != LASH_OK)
        return LASH_INVALID;
    if (newest->index == 0)
        return LASH_OK;
    if (saved->previous.index >= newest->index)
        return LASH_INVALID;
    joins = saved->previous.count == 0 && saved->previous.index == 0;
    return joins ? LASH_OK : configuration_load(&raft->previous, &saved->previous);
}

void membership_committed(struct lash_raft *raft) {
    if (raft->configuration.index <= raft->commit)
        memset(&raft->previous, 0, sizeof raft->previous);
}

/* D§4.1: each server adopts a configuration as soon as it is in its log, committed or not. */
static void membership_adopt(struct lash_raft *raft, const struct configuration *next) {
    LASH_ASSERT(next->index > raft->configuration.index);
    LASH_ASSERT(next->index <= raft_terms(raft)->last_index);
    raft->previous = raft->configuration;
    raft->configuration = *next;
    /* C1: the leader that proposed it had committed the one before, and the logs are the same up to here. So that one is
     * committed, this node cannot be made to cut it off, and two configurations are all that it needs to know. */
    commit_learn(raft, raft->previous.index, raft->previous.index);
    membership_committed(raft);
}

void membership_cut(struct lash_raft *raft, lash_index from) {
    if (raft->configuration.index < from)
        return;
    /* D§4.1: if the entry is removed from the log, the server falls back to the configuration before it. */
    raft->configuration = raft->previous;
    memset(&raft->previous, 0, sizeof raft->previous);
    LASH_ASSERT(raft->configuration.index < from);
}

void membership_reset(struct lash_raft *raft, const struct lash_configuration *installed, lash_index index) {
    if (installed == NULL) {
        membership_cut(raft, index + 1);
        return;
    }
    int error = configuration_load(&raft->configuration, installed);
    LASH_ASSERT(error == LASH_OK);
    (void)error;
    memset(&raft->previous, 0, sizeof raft->previous);
}

void membership_installed(struct lash_raft *raft, const struct lash_configuration *installed) {
    /* Whoever joined may hold the log and still not know the membership that the group began with: no entry has it. */
    if (raft->configuration.count == 0 && installed != NULL)
        membership_reset(raft, installed, installed->index);
}

/* What the CONFIGURATION entry at `index` holds, as the message says; NULL when it does not. */
static const struct lash_configuration *membership_of(const struct lash_message *message, lash_index index) {
    for (uint32_t i = 0; i < message->append.configuration_count && message->append.configurations != NULL; i++) {
        if (message->append.configurations[i].index == index)
            return &message->append.configurations[i];
    }
    return NULL;
}

bool membership_run_valid(const struct lash_message *message, const struct lash_run *run, lash_index after) {
    if (run->kind != LASH_ENTRY_CONFIGURATION)
        return true;
    struct configuration unused;
    for (lash_index index = run->first; index < run->first + run->count; index++) {
        if (index <= after)
            continue;
        const struct lash_configuration *held = membership_of(message, index);
        if (held == NULL || configuration_load(&unused, held) != LASH_OK)
            return false;
    }
    return true;
}

void membership_learn(struct lash_raft *raft, const struct lash_message *message, lash_index first, lash_index last) {
    for (uint32_t i = 0; i < message->append.run_count; i++) {
        const struct lash_run *run = &message->append.runs[i];
        if (run->kind != LASH_ENTRY_CONFIGURATION)
            continue;
        for (lash_index index = run->first; index < run->first + run->count && index <= last; index++) {
            struct configuration next;
            if (index < first)
                continue;
            int error = configuration_load(&next, membership_of(message, index));
            LASH_ASSERT(error == LASH_OK);
            (void)error;
            membership_adopt(raft, &next);
        }
    }
}

/* ---- Leader: changing it ----------------------------------------------------------------------- */

static void membership_swap(struct lash_raft *raft, uint32_t slot, uint32_t other) {
    uint64_t *a = (uint64_t *)raft_progress(raft, slot);
    uint64_t *b = (uint64_t *)raft_progress(raft, other);
    for (uint64_t i = 0; i < raft->progress_words; i++) {
        uint64_t word = a[i];
        a[i] = b[i];
        b[i] = word;
    }
}

/* Bring each member's progress to its slot in `next`: what is known of who stays is kept (L7), who is new begins like
 * everyone at the begin of a leadership, and of who leaves all is dropped. */
static void membership_move_progress(struct lash_raft *raft, const struct configuration *next) {
    lash_id at[LASH_RAFT_MEMBERS_MAX] = {0};
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        lash_id id = raft->configuration.members[slot].id;
        if (configuration_slot(next, id) != CONFIGURATION_NONE) {
            at[slot] = id;
            continue;
        }
        memset(raft_progress(raft, slot), 0, raft->progress_words * sizeof(uint64_t));
        read_drop(raft, id);
    }
    for (uint32_t slot = 0; slot < next->count; slot++) {
        lash_id id = next->members[slot].id;
        bool stays = configuration_slot(&raft->configuration, id) != CONFIGURATION_NONE;
        uint32_t from = slot;
        while (from < LASH_RAFT_MEMBERS_MAX - 1 && at[from] != (stays ? id : 0))
            from++;
        LASH_ASSERT(at[from] == (stays ? id : 0));
        if (from != slot) {
            membership_swap(raft, slot, from);
            at[from] = at[slot];
        }
        at[slot] = id;
        if (!stays)
            progress_init(raft_progress(raft, slot), next->index, raft->now_ms);
    }
}

static void membership_propose(struct lash_raft *raft, struct configuration *next, struct lash_outputs *outputs) {
    struct terms *terms = raft_terms(raft);
    LASH_ASSERT(raft->role == LASH_LEADER && raft->transfer_to == 0);
    LASH_ASSERT(raft->configuration.index <= raft->commit && commit_in_term(raft));
    terms_append(terms, 1, raft->term);
    durability_save_entries(raft, terms->last_index, outputs);
    next->index = terms->last_index;
    membership_move_progress(raft, next);
    membership_adopt(raft, next);
    membership_mark(raft, terms->last_index);
    outputs->configure = true;
    configuration_store(next, &outputs->configuration);
}

/* Whether a leader may propose a configuration now. */
static bool membership_may_change(const struct lash_raft *raft) {
    /* The correction to D§4.1 of 2015: not before an entry of the own term is committed; else two leaders could each
     * propose one that the other does not know of, and majorities of the two need not overlap (C2). */
    if (!commit_in_term(raft))
        return false;
    /* D§4.1: not while the latest configuration entry is uncommitted (C1); D§3.10: nor while the office is handed over. */
    return raft->configuration.index <= raft->commit && raft->transfer_to == 0 && !raft->retiring &&
           replication_room_left(raft);
}

/* D§4.2.1: a learner has caught up when what it lacks takes less than an election timeout to replicate. This one lacks at
 * most what was committed since the last heartbeat, in a shorter time than that; and it answers. */
static bool membership_caught_up(const struct lash_raft *raft, uint32_t slot, uint64_t now_ms) {
    const struct progress *progress = raft_progress_of(raft, slot);
    return progress->state == LASH_REPLICATE && progress->match >= raft->commit_mark && !progress->full &&
           now_ms < progress->contact_ms + raft->election_ms;
}

/* Whether no learner would become a voter that has not caught up. A node that is no member yet may become a voter at once:
 * who asks for that has no use for a learner. */
static bool membership_learners_ready(const struct lash_raft *raft, const struct configuration *to, uint64_t now_ms) {
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        lash_id id = raft->configuration.members[slot].id;
        bool promoted = !configuration_votes(&raft->configuration, id) && configuration_votes(to, id);
        if (promoted && !membership_caught_up(raft, slot, now_ms))
            return false;
    }
    return true;
}

/* Whether `to` can be asked for: joint configurations are the core's own affair. */
static bool membership_wanted(const struct lash_configuration *to, struct configuration *wanted) {
    return to != NULL && configuration_load(wanted, to) == LASH_OK && !configuration_joint(wanted);
}

int membership_configure_check(const struct lash_raft *raft, const struct lash_event *event) {
    struct configuration wanted;
    struct configuration next;
    if (!membership_wanted(event->configure.to, &wanted))
        return LASH_INVALID;
    if (raft->role != LASH_LEADER)
        return LASH_NOT_LEADER;
    if (!membership_may_change(raft) || configuration_joint(&raft->configuration))
        return LASH_BUSY;
    int error = configuration_between(&raft->configuration, &wanted, &next);
    if (error != LASH_OK)
        return error;
    uint64_t now_ms = event->now_ms > raft->now_ms ? event->now_ms : raft->now_ms;
    if (!membership_learners_ready(raft, &wanted, now_ms))
        return LASH_BEHIND;
    return raft_terms_of(raft)->last_index + 1 < RAFT_LIMIT ? LASH_OK : LASH_FULL;
}

void membership_configure(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    struct configuration wanted;
    struct configuration next;
    bool possible = membership_wanted(event->configure.to, &wanted) &&
                    configuration_between(&raft->configuration, &wanted, &next) == LASH_OK;
    LASH_ASSERT(possible);
    if (possible)
        membership_propose(raft, &next, outputs);
}

/* ---- Leader: what it does by itself ------------------------------------------------------------ */

void membership_mark(struct lash_raft *raft, lash_index index) {
    /* Without learners, and nobody to hand over to, nobody is measured, and equal states stay equal. */
    raft->commit_mark = priority_matters(raft) ? index : 0;
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        if (!configuration_votes(&raft->configuration, raft->configuration.members[slot].id))
            raft->commit_mark = index;
    }
}

/* Make the first learner that waits for it and has caught up a voter. One at a time: the next one waits like any change. */
static void membership_promote(struct lash_raft *raft, struct lash_outputs *outputs) {
    struct configuration next = raft->configuration;
    for (uint32_t slot = 0; slot < next.count; slot++) {
        if (next.members[slot].flags != LASH_MEMBER_PROMOTE || !membership_caught_up(raft, slot, raft->now_ms))
            continue;
        next.members[slot].flags = LASH_MEMBER_VOTER;
        membership_propose(raft, &next, outputs);
        return;
    }
}

/* Whether this node leads a group in which it has no vote, for certain. */
static bool membership_leads_others(const struct lash_raft *raft) {
    return raft->role == LASH_LEADER && raft->configuration.index <= raft->commit && !raft_votes(raft);
}

void membership_settle(struct lash_raft *raft, struct lash_outputs *outputs) {
    /* D§4.2.2: a leader that is removed manages the cluster until the new configuration is committed, and then steps down.
     * It hands over first, so that nobody waits for an election timeout. */
    if (membership_leads_others(raft) && !raft->retiring) {
        raft->retiring = 1;
        transfer_begin_to_best(raft);
    }
    if (outputs->append || raft_terms(raft)->last_index + 1 >= RAFT_LIMIT || !membership_may_change(raft))
        return;
    if (configuration_joint(&raft->configuration)) {
        /* D§4.3: once the joint configuration is committed, the leader proposes the new one; so does a later leader which
         * finds that its predecessor has not. */
        struct configuration next;
        configuration_leave_joint(&raft->configuration, &next);
        membership_propose(raft, &next, outputs);
    } else {
        membership_promote(raft, outputs);
    }
}

/* Whether entries were offered in this step: what was sent of them is yet to be said (LASH_EVENT_SENT), to a leader. */
static bool membership_offers(const struct lash_outputs *outputs) {
    bool offers = false;
    for (uint32_t i = 0; i < outputs->send_count; i++) {
        const struct lash_message *message = &outputs->sends[i].message;
        offers |= message->type == LASH_MSG_APPEND && message->append.first <= message->append.last;
    }
    return offers;
}

void membership_retire(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (raft->role == LASH_LEADER && raft->retiring && raft->transfer_to == 0 && !membership_offers(outputs))
        role_become_follower(raft, raft->term, 0, outputs);
}
