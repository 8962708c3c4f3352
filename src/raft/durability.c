/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes are numbered, and become durable in that order. From the numbers the
 * core knows which term, vote and entries are on disk, whatever role or term
 * it has by the time that it hears so.
 */
#include "raft/durability.h"

#include "base/assert.h"
#include "raft/election.h"
#include "raft/raft_state.h"

/* The step's one write. */
static uint64_t durability_write(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (outputs->write == 0)
        outputs->write = ++raft->writes;
    LASH_ASSERT(outputs->write == raft->writes);
    return outputs->write;
}

void durability_save_vote(struct lash_raft *raft, struct lash_outputs *outputs) {
    raft->write_of_term = durability_write(raft, outputs);
    outputs->save_vote = true;
    outputs->term = raft->term;
    outputs->vote = raft->vote;
}

void durability_save_entries(struct lash_raft *raft, lash_index first, struct lash_outputs *outputs) {
    const struct terms *terms = raft_terms(raft);
    LASH_ASSERT(first <= terms->last_index && !outputs->append);
    durability_write(raft, outputs);
    outputs->append = true;
    outputs->append_first = first;
    outputs->append_last = terms->last_index;
    outputs->append_term = terms_last(terms);
}

void durability_cut(struct lash_raft *raft, lash_index from, struct lash_outputs *outputs) {
    LASH_ASSERT(from > raft->commit);
    if (raft->write_of_cut == 0 || from < raft->cut_from)
        raft->cut_from = from;
    raft->write_of_cut = durability_write(raft, outputs);
    if (raft->durable_index >= from)
        raft->durable_index = from - 1;
}

bool durability_term_saved(const struct lash_raft *raft) {
    return raft->write_of_term <= raft->writes_durable;
}

void durability_hold_sends(const struct lash_raft *raft, struct lash_outputs *outputs) {
    if (durability_term_saved(raft))
        return;
    /* Figure 2: persistent state is updated on stable storage before responding to RPCs; so are requests held, of
     * which the candidate's vote for itself is the one that counts (§5.2). */
    for (uint32_t i = 0; i < outputs->send_count; i++) {
        if (outputs->sends[i].after_write < raft->write_of_term)
            outputs->sends[i].after_write = raft->write_of_term;
    }
}

int durability_written_check(const struct lash_raft *raft, const struct lash_event *event) {
    if (event->written.write == 0 || event->written.write > raft->writes)
        return LASH_INVALID;
    return election_win_room(raft);
}

/* Whether the entry that a write ended with is still the one in the log. The term alone cannot tell: a suffix may be
 * dropped and come back from a later leader while the write that dropped it is yet to reach the disk. */
static bool durability_still_holds(const struct lash_raft *raft, const struct lash_event *event) {
    const struct terms *terms = raft_terms_of(raft);
    lash_index index = event->written.index;
    if (index == 0 || !terms_known(terms, index) || terms_at(terms, index) != event->written.term)
        return false;
    return event->written.write >= raft->write_of_cut || index < raft->cut_from;
}

void durability_written(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    if (event->written.write > raft->writes_durable)
        raft->writes_durable = event->written.write;
    if (raft->writes_durable == raft->writes)
        raft->durable_index = raft_terms(raft)->last_index;
    else if (durability_still_holds(raft, event) && event->written.index > raft->durable_index)
        raft->durable_index = event->written.index;
    LASH_ASSERT(raft->durable_index <= raft_terms(raft)->last_index);
    if (raft->write_of_cut <= raft->writes_durable) {
        raft->write_of_cut = 0;
        raft->cut_from = 0;
    }
    election_settle(raft, outputs);
}
