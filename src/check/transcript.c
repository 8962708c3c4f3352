/* SPDX-License-Identifier: Apache-2.0
 *
 * States and steps in words. An entry is written as index:term and what it is: c
 * for a command, n for a no-op, with the node that made it; of a configuration, which
 * membership it is, and from which it comes when it is joint.
 */
#include "check/transcript.h"

#include <string.h>

#include "check/roster.h"

struct transcript {
    FILE *file;
    struct space *space;
    const struct search_result *result;
};

static const char *transcript_role(uint32_t role) {
    static const char *const names[] = {"follower", "pre-candidate", "candidate", "leader"};
    return role < sizeof names / sizeof names[0] ? names[role] : "in no known role";
}

static void transcript_entries(FILE *file, const model_entry *entries, uint32_t count, uint32_t first) {
    (void)fprintf(file, "[");
    for (uint32_t i = 0; i < count; i++) {
        unsigned kind = MODEL_ENTRY_KIND(entries[i]);
        if (kind == LASH_ENTRY_CONFIGURATION) {
            (void)fprintf(file, "%s%u:%u-members-%u", i == 0 ? "" : " ", first + i, MODEL_ENTRY_TERM(entries[i]),
                          ROSTER_TO(entries[i]));
            if (ROSTER_FROM(entries[i]) != ROSTER_TO(entries[i]))
                (void)fprintf(file, "-from-%u", ROSTER_FROM(entries[i]));
            continue;
        }
        (void)fprintf(file, "%s%u:%u%sn%u", i == 0 ? "" : " ", first + i, MODEL_ENTRY_TERM(entries[i]),
                      kind == LASH_ENTRY_NOOP ? "-no-op-" : "-command-", MODEL_ENTRY_MAKER(entries[i]));
    }
    (void)fprintf(file, "]");
}

static void transcript_message(FILE *file, const struct model_message *message) {
    const struct lash_message *body = &message->body;
    (void)fprintf(file, "n%u to n%u: ", (unsigned)body->from, (unsigned)body->to);
    switch (body->type) {
    case LASH_MSG_VOTE:
        (void)fprintf(file, "%s term %u, last %u:%u", body->vote.pre ? "PRE-VOTE" : "VOTE", (unsigned)body->term,
                      (unsigned)body->vote.last_index, (unsigned)body->vote.last_term);
        break;
    case LASH_MSG_VOTE_REPLY:
        (void)fprintf(file, "%s term %u, %s", body->vote_reply.pre ? "PRE-VOTE_REPLY" : "VOTE_REPLY",
                      (unsigned)body->term, body->vote_reply.granted ? "granted" : "refused");
        break;
    case LASH_MSG_APPEND:
        (void)fprintf(file, "APPEND term %u, after %u:%u, commit %u, round %u, entries ", (unsigned)body->term,
                      (unsigned)body->append.prev_index, (unsigned)body->append.prev_term,
                      (unsigned)body->append.commit, (unsigned)body->append.round);
        transcript_entries(file, message->entries, message->count, (uint32_t)body->append.prev_index + 1);
        break;
    case LASH_MSG_APPEND_REPLY:
        if (body->append_reply.success)
            (void)fprintf(file, "APPEND_REPLY term %u, holds up to %u, round %u", (unsigned)body->term,
                          (unsigned)body->append_reply.match, (unsigned)body->append_reply.round);
        else
            (void)fprintf(file, "APPEND_REPLY term %u, refuses %u, hint %u:%u, round %u", (unsigned)body->term,
                          (unsigned)body->append_reply.rejected, (unsigned)body->append_reply.hint_index,
                          (unsigned)body->append_reply.hint_term, (unsigned)body->append_reply.round);
        break;
    case LASH_MSG_READ:
        (void)fprintf(file, "READ term %u, question %u", (unsigned)body->term, (unsigned)body->read.context);
        break;
    case LASH_MSG_READ_REPLY:
        (void)fprintf(file, "READ_REPLY term %u, question %u, index %u", (unsigned)body->term,
                      (unsigned)body->read_reply.context, (unsigned)body->read_reply.index);
        break;
    case LASH_MSG_SNAPSHOT:
        (void)fprintf(file, "SNAPSHOT term %u, up to %u:%u", (unsigned)body->term, (unsigned)body->snapshot.last_index,
                      (unsigned)body->snapshot.last_term);
        break;
    case LASH_MSG_TIMEOUT_NOW:
        (void)fprintf(file, "TIMEOUT_NOW term %u, log up to %u", (unsigned)body->term,
                      (unsigned)body->timeout_now.last_index);
        break;
    default:
        (void)fprintf(file, "message of type %u, term %u", body->type, (unsigned)body->term);
        break;
    }
}

static void transcript_node(FILE *file, const struct model_node *node) {
    (void)fprintf(file, "       n%u is %s, term %u, vote ", node->id, transcript_role(node->role), node->term);
    if (node->vote == 0)
        (void)fprintf(file, "none");
    else
        (void)fprintf(file, "n%u", node->vote);
    (void)fprintf(file, ", commit %u, log ", node->commit);
    transcript_entries(file, node->log, node->log_count, 1);
    bool behind = node->disk_term != node->term || node->disk_vote != node->vote ||
                  node->disk_count != node->log_count || memcmp(node->disk, node->log, sizeof node->log) != 0;
    if (behind) {
        (void)fprintf(file, "; on disk: term %u, vote n%u, log ", node->disk_term, node->disk_vote);
        transcript_entries(file, node->disk, node->disk_count, 1);
    }
    if (node->write_count > 0)
        (void)fprintf(file, "; %u writes under way, %u messages wait", node->write_count, node->held_count);
    (void)fprintf(file, "\n");
}

static void transcript_event(const struct transcript *transcript, const struct model_node *node,
                             const struct space_step *step) {
    FILE *file = transcript->file;
    uint32_t argument = REPLICA_ARGUMENT(step->event);
    switch ((uint32_t)REPLICA_KIND(step->event)) {
    case REPLICA_ELECTION:
        (void)fprintf(file, "n%u's election timeout passes\n", node->id);
        break;
    case REPLICA_HEARTBEAT:
        (void)fprintf(file, "n%u's heartbeat is due\n", node->id);
        break;
    case REPLICA_QUORUM:
        (void)fprintf(file, "n%u has not heard from a quorum for an election timeout\n", node->id);
        break;
    case REPLICA_GIVE_UP:
        (void)fprintf(file, "n%u gives up waiting for the answer to its reads\n", node->id);
        break;
    case REPLICA_PROPOSE:
        (void)fprintf(file, "a command is proposed to n%u\n", node->id);
        break;
    case REPLICA_WRITTEN:
        (void)fprintf(file, "%u of n%u's %u writes under way become durable\n", argument, node->id, node->write_count);
        break;
    case REPLICA_READ:
        (void)fprintf(file, "n%u is asked for read %u\n", node->id, argument);
        break;
    case REPLICA_CRASH:
        (void)fprintf(file, "n%u crashes, %u of its %u writes under way reach the disk, and starts again\n", node->id,
                      argument & 255, node->write_count);
        break;
    case REPLICA_TRANSFER:
        (void)fprintf(file, "n%u is asked to hand its office to n%u\n", node->id, argument);
        break;
    case REPLICA_CONFIGURE:
        (void)fprintf(file, "n%u is asked for the members", node->id);
        for (unsigned id = 1; id <= MODEL_NODES_MAX; id++) {
            if (space_bounds(transcript->space)->rosters[argument] >> id & 1)
                (void)fprintf(file, " n%u", id);
        }
        (void)fprintf(file, "\n");
        break;
    case REPLICA_ABANDON:
        (void)fprintf(file, "n%u gives the transfer of its office up\n", node->id);
        break;
    case REPLICA_SNAPSHOT:
        (void)fprintf(file, "n%u takes a snapshot up to %u and forgets the log before\n", node->id, node->commit);
        break;
    case REPLICA_INSTALL:
        (void)fprintf(file, "n%u has fetched and stored the snapshot up to %u\n", node->id,
                      (unsigned)space_message(transcript->space, argument)->body.snapshot.last_index);
        break;
    case REPLICA_DELIVER:
        transcript_message(file, space_message(transcript->space, argument));
        (void)fprintf(file, ": is delivered\n");
        break;
    default:
        transcript_message(file, space_message(transcript->space, argument));
        (void)fprintf(file, ": is lost\n");
        break;
    }
}

/* Messages that are in flight now and were not before. */
static void transcript_sent(const struct transcript *transcript, const uint32_t *before, const uint32_t *after) {
    uint32_t first = space_bounds(transcript->space)->nodes + 1;
    uint32_t words = space_words(transcript->space);
    for (uint32_t i = first; i < words && after[i] != 0; i++) {
        bool known = false;
        for (uint32_t j = first; j < words && !known; j++)
            known = before[j] == after[i];
        if (known)
            continue;
        (void)fprintf(transcript->file, "       sent: ");
        transcript_message(transcript->file, space_message(transcript->space, after[i]));
        (void)fprintf(transcript->file, "\n");
    }
}

static void transcript_show(void *context, uint32_t number, const uint32_t *before, const struct space_step *step) {
    const struct transcript *transcript = context;
    FILE *file = transcript->file;
    if (step == NULL) {
        (void)fprintf(file, "%4u.  the cluster starts\n", number);
        for (uint32_t i = 0; i < space_bounds(transcript->space)->nodes; i++)
            transcript_node(file, space_node(transcript->space, before, i));
        return;
    }
    (void)fprintf(file, "%4u.  ", number);
    transcript_event(transcript, space_node(transcript->space, before, step->acting), step);
    if (step->verdict != NULL)
        return;
    transcript_node(file, space_node(transcript->space, step->state, step->acting));
    transcript_sent(transcript, before, step->state);
}

void transcript_print(FILE *file, struct search *search, struct space *space, const struct search_result *result) {
    struct transcript transcript = {.file = file, .space = space, .result = result};
    search_retrace(search, transcript_show, &transcript);
    (void)fprintf(file, "invariant %s is broken: %s\n", result->verdict.invariant, result->verdict.text);
}
