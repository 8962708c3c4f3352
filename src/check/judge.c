/* SPDX-License-Identifier: Apache-2.0
 *
 * The invariants over states of the model.
 *
 * Most need no history: that votes are never changed on disk, that terms on disk never
 * fall, and that nothing leaves before it is on disk, together say E2 and E3 of all
 * history. What does need it is in the ghosts: who led a term (E1), and what was
 * committed (L3, L4, D1, R1).
 */
#include "check/judge.h"

#include <stdarg.h>
#include <stdio.h>

#include "check/roster.h"

bool judge_broken(struct model_verdict *verdict, const char *invariant, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    verdict->invariant = invariant;
    (void)vsnprintf(verdict->text, sizeof verdict->text, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- One node ---------------------------------------------------------------------------------- */

static bool judge_leads_on(const struct model_node *before, const struct model_node *after) {
    return before->role == LASH_LEADER && after->role == LASH_LEADER && before->term == after->term;
}

static bool judge_terms(const struct model_node *before, const struct model_node *after, bool restarted,
                        struct model_verdict *verdict) {
    if (!restarted && after->term < before->term)
        return judge_broken(verdict, "E3", "n%u fell from term %u to %u", after->id, before->term, after->term);
    if (after->term < after->disk_term)
        return judge_broken(verdict, "E3", "n%u is in term %u, and its disk knew %u", after->id, after->term,
                            after->disk_term);
    if (after->disk_term < before->disk_term)
        return judge_broken(verdict, "E3", "n%u's disk fell from term %u to %u", after->id, before->disk_term,
                            after->disk_term);
    if (after->disk_term == before->disk_term && before->disk_vote != 0 && after->disk_vote != before->disk_vote)
        return judge_broken(verdict, "E2", "n%u's vote of term %u on disk was for n%u and is for n%u", after->id,
                            after->disk_term, before->disk_vote, after->disk_vote);
    return true;
}

static bool judge_log(const struct model_node *before, const struct model_node *after, bool restarted,
                      struct model_verdict *verdict) {
    if (after->last != after->log_count)
        return judge_broken(verdict, "L5", "n%u's log ends at %u, and its core says %u", after->id, after->log_count,
                            after->last);
    if (after->applied > after->commit || after->commit > after->last)
        return judge_broken(verdict, "L5", "n%u applied %u, committed %u, and has %u", after->id, after->applied,
                            after->commit, after->last);
    if (!restarted && after->commit < before->commit)
        return judge_broken(verdict, "L5", "n%u's commit index fell from %u to %u", after->id, before->commit,
                            after->commit);
    for (uint32_t i = 0; !restarted && i < before->commit; i++) {
        if (after->log[i] != before->log[i])
            return judge_broken(verdict, "L4", "n%u dropped its committed entry %u", after->id, i + 1);
    }
    for (uint32_t i = 0; judge_leads_on(before, after) && i < before->log_count; i++) {
        if (i >= after->log_count || after->log[i] != before->log[i])
            return judge_broken(verdict, "L1", "n%u, leader of term %u, dropped its entry %u", after->id, after->term,
                                i + 1);
    }
    if (after->durable > after->last || after->durable > after->disk_count)
        return judge_broken(verdict, "L6", "n%u takes %u for durable; its log holds %u, its disk %u", after->id,
                            after->durable, after->last, after->disk_count);
    for (uint32_t i = 0; i < after->durable; i++) {
        if (after->log[i] != after->disk[i])
            return judge_broken(verdict, "L6", "n%u takes %u for durable, and its disk holds another entry %u",
                                after->id, after->durable, i + 1);
    }
    return true;
}

static bool judge_progress(const struct model_node *before, const struct model_node *after,
                           struct model_verdict *verdict) {
    for (uint32_t slot = 0; slot < MODEL_NODES_MAX && after->role == LASH_LEADER; slot++) {
        if (after->next[slot] != 0 && after->match[slot] >= after->next[slot])
            return judge_broken(verdict, "L7", "n%u has match %u and next %u for n%u", after->id, after->match[slot],
                                after->next[slot], slot + 1);
        /* Who leaves and comes back begins anew. */
        if (judge_leads_on(before, after) && after->next[slot] != 0 && after->match[slot] < before->match[slot])
            return judge_broken(verdict, "L7", "n%u's match of n%u fell from %u to %u", after->id, slot + 1,
                                before->match[slot], after->match[slot]);
    }
    return true;
}

bool judge_step(const struct model_node *before, const struct model_node *after, bool restarted,
                struct model_verdict *verdict) {
    return judge_terms(before, after, restarted, verdict) && judge_log(before, after, restarted, verdict) &&
           judge_progress(before, after, verdict);
}

bool judge_send(const struct model_node *node, const struct model_message *message, struct model_verdict *verdict) {
    const struct lash_message *body = &message->body;
    bool request = body->type == LASH_MSG_VOTE;
    bool reply = body->type == LASH_MSG_VOTE_REPLY;
    /* A pre-vote speaks of a term that nobody has entered. */
    if ((request && body->vote.pre) || (reply && body->vote_reply.pre))
        return true;
    if (body->term > node->disk_term)
        return judge_broken(verdict, "E3", "n%u speaks of term %u, and its disk knows %u", node->id,
                            (unsigned)body->term, node->disk_term);
    lash_id candidate = request ? node->id : reply && body->vote_reply.granted ? body->to : 0;
    if (candidate != 0 && node->disk_term == body->term && node->disk_vote != candidate)
        return judge_broken(verdict, "E2", "n%u's vote of term %u for n%u leaves, and its disk holds one for n%u",
                            node->id, (unsigned)body->term, (unsigned)candidate, node->disk_vote);
    return true;
}

/* ---- The cluster ------------------------------------------------------------------------------- */

static bool judge_leader(const struct model_node *node, struct model_ghost *ghost, struct model_verdict *verdict) {
    uint8_t *leader = &ghost->leaders[node->term];
    if (*leader != 0 && *leader != node->id)
        return judge_broken(verdict, "E1", "term %u was led by n%u and now by n%u", node->term, *leader, node->id);
    *leader = node->id;
    for (uint32_t i = 0; i < ghost->committed_count; i++) {
        bool holds = i < node->log_count && node->log[i] == ghost->committed[i];
        if (!holds && node->term > ghost->commit_terms[i])
            return judge_broken(verdict, "L3", "n%u leads term %u without entry %u, committed before", node->id,
                                node->term, i + 1);
    }
    return true;
}

/* Who holds an entry durably, as a set of bits by id. */
static unsigned judge_holders(const struct judge_case *judged, uint32_t index, model_entry entry) {
    unsigned holders = 0;
    for (uint32_t i = 0; i < judged->count; i++) {
        const struct model_node *node = judged->nodes[i];
        if (node->disk_count >= index && node->disk[index - 1] == entry)
            holders |= 1u << node->id;
    }
    return holders;
}

/* The configuration by which the acting node committed: one that a leader appended in the step by itself came of what was
 * committed, one that it was asked for came before. */
static uint8_t judge_governing(const struct judge_case *judged) {
    const struct model_node *node = judged->nodes[judged->acting];
    uint8_t index = 0;
    uint8_t newest = roster_newest(judged->bounds, node->id, node->log, node->log_count, &index);
    bool appended = judge_leads_on(judged->before, node) && index > judged->before->log_count;
    if (!appended || judged->configured)
        return newest;
    return roster_newest(judged->bounds, node->id, node->log, index - 1u, &index);
}

/* Whether a quorum holds an entry durably: by whose configuration, where memberships change, the acting node's. */
static bool judge_holds(const struct judge_case *judged, uint32_t index, model_entry entry) {
    unsigned holders = judge_holders(judged, index, entry);
    if (judged->bounds->changes != 0)
        return roster_quorum(judged->bounds, judge_governing(judged), holders);
    return 2 * (unsigned)__builtin_popcount(holders) > judged->count;
}

/* C5: a new leader has the votes of both majorities. Who has gone on to a later term may have given one. */
static bool judge_votes(const struct judge_case *judged, struct model_verdict *verdict) {
    const struct model_node *leader = judged->nodes[judged->acting];
    unsigned granted = 0;
    for (uint32_t i = 0; i < judged->count; i++) {
        const struct model_node *node = judged->nodes[i];
        if (node->disk_term > leader->term || (node->disk_term == leader->term && node->disk_vote == leader->id))
            granted |= 1u << node->id;
    }
    if (judged->bounds->changes == 0 || roster_quorum(judged->bounds, leader->roster, granted))
        return true;
    return judge_broken(verdict, "C5", "n%u leads term %u without the votes for it", leader->id, leader->term);
}

/* C1 to C4: the newest configuration in the log is in force, the one before it is committed, and a leader appends one only
 * when it may, and what may come next. */
static bool judge_roster(const struct judge_case *judged, const struct model_ghost *ghost,
                         struct model_verdict *verdict) {
    const struct model_node *node = judged->nodes[judged->acting];
    uint8_t index = 0;
    uint8_t before_index = 0;
    uint8_t newest = roster_newest(judged->bounds, node->id, node->log, node->log_count, &index);
    if (node->roster != newest || node->roster_index != index)
        return judge_broken(verdict, "C4", "n%u goes by configuration %u, and its log's newest is %u", node->id,
                            node->roster_index, index);
    if (index == 0)
        return true;
    uint8_t before = roster_newest(judged->bounds, node->id, node->log, index - 1u, &before_index);
    if (before_index > ghost->committed_count)
        return judge_broken(verdict, "C1", "n%u's log holds configurations %u and %u, and neither is committed",
                            node->id, before_index, index);
    if (!judge_leads_on(judged->before, node) || index <= judged->before->log_count)
        return true;
    if (before_index > node->commit)
        return judge_broken(verdict, "C1", "n%u proposes configuration %u, and %u is not committed", node->id, index,
                            before_index);
    if (node->commit == 0 || MODEL_ENTRY_TERM(node->log[node->commit - 1]) != node->term)
        return judge_broken(verdict, "C2", "n%u proposes configuration %u before an entry of term %u is committed",
                            node->id, index, node->term);
    if (!roster_follows(judged->bounds, before, newest))
        return judge_broken(verdict, "C3", "configuration %u of n%u does not follow from %u", index, node->id,
                            before_index);
    return true;
}

static bool judge_commit(const struct judge_case *judged, struct model_ghost *ghost, struct model_verdict *verdict) {
    const struct model_node *node = judged->nodes[judged->acting];
    bool advanced = node->commit > (judged->restarted ? 0 : judged->before->commit);
    for (uint32_t i = 0; i < node->commit; i++) {
        if (i < ghost->committed_count) {
            if (node->log[i] != ghost->committed[i])
                return judge_broken(verdict, "L4", "n%u commits another entry %u than was committed", node->id, i + 1);
            continue;
        }
        if (node->role != LASH_LEADER)
            return judge_broken(verdict, "L6", "n%u commits %u, which no leader did", node->id, i + 1);
        if (!judge_holds(judged, i + 1, node->log[i]))
            return judge_broken(verdict, "L6", "n%u commits %u, which no majority holds durably", node->id, i + 1);
        ghost->committed[i] = node->log[i];
        ghost->commit_terms[i] = node->term;
        ghost->committed_count = (uint8_t)(i + 1);
    }
    if (advanced && node->role == LASH_LEADER && MODEL_ENTRY_TERM(node->log[node->commit - 1]) != node->term)
        return judge_broken(verdict, "L6", "n%u of term %u commits entry %u of term %u by counting", node->id,
                            node->term, node->commit, MODEL_ENTRY_TERM(node->log[node->commit - 1]));
    return true;
}

/* L2: from the last index at which the terms are the same, the logs are. */
static bool judge_same_prefix(const model_entry *a, uint32_t a_count, const model_entry *b, uint32_t b_count) {
    uint32_t i = a_count < b_count ? a_count : b_count;
    while (i > 0 && MODEL_ENTRY_TERM(a[i - 1]) != MODEL_ENTRY_TERM(b[i - 1]))
        i--;
    while (i > 0 && a[i - 1] == b[i - 1])
        i--;
    return i == 0;
}

static bool judge_matching(const struct judge_case *judged, struct model_verdict *verdict) {
    const struct model_node *node = judged->nodes[judged->acting];
    for (uint32_t i = 0; i < judged->count; i++) {
        const struct model_node *other = judged->nodes[i];
        if (!judge_same_prefix(node->log, node->log_count, other->log, other->log_count) ||
            !judge_same_prefix(node->log, node->log_count, other->disk, other->disk_count) ||
            !judge_same_prefix(node->disk, node->disk_count, other->log, other->log_count) ||
            !judge_same_prefix(node->disk, node->disk_count, other->disk, other->disk_count))
            return judge_broken(verdict, "L2", "n%u and n%u hold the same term at an index, and different logs",
                                node->id, other->id);
    }
    for (uint32_t i = 0; i < node->log_count; i++) {
        if (MODEL_ENTRY_INDEX(node->log[i]) != i + 1)
            return judge_broken(verdict, "L2", "n%u holds at %u what was made for %u", node->id, i + 1,
                                MODEL_ENTRY_INDEX(node->log[i]));
    }
    return true;
}

/* L7: what a leader believes of a member is so, unless that entered a later term: then it may have dropped what this
 * leader never committed. */
static bool judge_belief(const struct model_node *leader, const struct model_node *member,
                         struct model_verdict *verdict) {
    uint32_t match = leader->match[member->id - 1];
    if (leader->role != LASH_LEADER || leader->id == member->id || member->disk_term > leader->term)
        return true;
    for (uint32_t i = match; i > 0; i--) {
        if (i > member->disk_count || i > leader->log_count || member->disk[i - 1] != leader->log[i - 1])
            return judge_broken(verdict, "L7", "n%u believes that n%u holds its entries up to %u, and its %u differs",
                                leader->id, member->id, match, i);
    }
    return true;
}

/* Forget what can matter no more: nobody becomes leader of a term that all disks have passed. */
static void judge_forget(const struct judge_case *judged, struct model_ghost *ghost) {
    uint8_t passed = UINT8_MAX;
    for (uint32_t i = 0; i < judged->count; i++) {
        if (judged->nodes[i]->disk_term < passed)
            passed = judged->nodes[i]->disk_term;
    }
    for (uint32_t term = 0; term < passed && term <= MODEL_TERMS_MAX; term++)
        ghost->leaders[term] = 0;
    for (uint32_t i = 0; i < ghost->committed_count; i++) {
        if (ghost->commit_terms[i] < passed)
            ghost->commit_terms[i] = 0;
    }
}

/* W1, W2: a witness neither stands nor leads, and holds nothing that its leader, who votes, does not. */
static bool judge_witnesses(const struct judge_case *judged, struct model_verdict *verdict) {
    const struct model_node *node = judged->nodes[judged->acting];
    uint32_t witnesses = judged->bounds->witnesses;
    if (node->role != LASH_FOLLOWER && (witnesses >> node->id & 1))
        return judge_broken(verdict, "W1", "n%u is a witness, and stands or leads in term %u", node->id, node->term);
    for (uint32_t id = 1; node->role == LASH_LEADER && judged->bounds->changes == 0 && id <= judged->count; id++) {
        if ((witnesses >> id & 1) && node->match[id - 1] > node->disk_count)
            return judge_broken(verdict, "W2", "the witness n%u holds %u, and its leader's disk %u", id,
                                node->match[id - 1], node->disk_count);
    }
    return true;
}

bool judge_cluster(const struct judge_case *judged, struct model_ghost *ghost, struct model_verdict *verdict) {
    const struct model_node *node = judged->nodes[judged->acting];
    bool elected = node->role == LASH_LEADER && !judge_leads_on(judged->before, node);
    if (elected && (!judge_leader(node, ghost, verdict) || !judge_votes(judged, verdict)))
        return false;
    if (!judge_commit(judged, ghost, verdict) || !judge_matching(judged, verdict))
        return false;
    if (judged->bounds->changes != 0 && !judge_roster(judged, ghost, verdict))
        return false;
    if (!judge_witnesses(judged, verdict))
        return false;
    for (uint32_t i = 0; i < judged->count; i++) {
        if (!judge_belief(node, judged->nodes[i], verdict) || !judge_belief(judged->nodes[i], node, verdict))
            return false;
    }
    /* Where memberships change, a majority of which members is a question of who asks; L3 is the answer that counts. */
    for (uint32_t i = 0; i < ghost->committed_count && judged->bounds->changes == 0; i++) {
        if (!judge_holds(judged, i + 1, ghost->committed[i]))
            return judge_broken(verdict, "D1", "entry %u was committed, and no majority of disks holds it any more",
                                i + 1);
    }
    judge_forget(judged, ghost);
    return true;
}

bool judge_read(const struct model_node *node, const struct model_ghost *ghost, uint32_t read, lash_index index,
                struct model_verdict *verdict) {
    if (index != 0 && index < ghost->floors[read])
        return judge_broken(verdict, "R1", "n%u answers read %u with index %u; %u was committed when it was asked",
                            node->id, read, (unsigned)index, ghost->floors[read]);
    return true;
}
