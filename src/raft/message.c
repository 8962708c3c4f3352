/* SPDX-License-Identifier: Apache-2.0
 *
 * One handler per message: this table only dispatches.
 */
#include "raft/message.h"

#include <string.h>

#include "base/assert.h"
#include "raft/election.h"
#include "raft/raft_state.h"
#include "raft/read.h"
#include "raft/replication.h"
#include "raft/role.h"
#include "raft/snapshot.h"
#include "raft/transfer.h"

struct message_handler {
    /* Whether the contents can be right; NULL: always. */
    bool (*valid)(const struct lash_raft *raft, const struct lash_message *message);
    /* Whether the term table has room for it; NULL: nothing is appended. */
    int (*room)(const struct lash_raft *raft, const struct lash_message *message);
    void (*handle)(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);
    /* Whether a higher term in it makes this node a follower of that term before the handler runs. Vote requests and
     * their answers have rules of their own (D§9.6, D§6.2). */
    bool raises_term;
};

static const struct message_handler message_handlers[] = {
    [LASH_MSG_VOTE] = {election_vote_valid, NULL, election_vote, false},
    [LASH_MSG_VOTE_REPLY] = {NULL, election_vote_reply_room, election_vote_reply, false},
    [LASH_MSG_APPEND] = {replication_append_valid, replication_append_room, replication_append, true},
    [LASH_MSG_APPEND_REPLY] = {NULL, NULL, replication_append_reply, true},
    [LASH_MSG_READ] = {NULL, NULL, read_request, true},
    [LASH_MSG_READ_REPLY] = {NULL, NULL, read_reply, true},
    [LASH_MSG_TIMEOUT_NOW] = {NULL, NULL, transfer_timeout_now, true},
    [LASH_MSG_SNAPSHOT] = {snapshot_offered_valid, NULL, snapshot_offered, true},
};

#define MESSAGE_HANDLERS (sizeof message_handlers / sizeof message_handlers[0])

/* D§4.1: whoever appends, offers snapshots, or asks for a vote may be of a configuration that this node has yet to learn of; and
 * a leader goes on for a while after it has removed itself (D§4.2.2). Everything else is an affair of members. */
static bool message_from_member(const struct lash_raft *raft, const struct lash_message *message) {
    return message->type == LASH_MSG_APPEND || message->type == LASH_MSG_SNAPSHOT || message->type == LASH_MSG_VOTE ||
           message->from == raft->leader ||
           configuration_slot(&raft->configuration, message->from) != CONFIGURATION_NONE;
}

bool message_acceptable(const struct lash_raft *raft, const struct lash_message *message) {
    if (message->type >= MESSAGE_HANDLERS || message_handlers[message->type].handle == NULL)
        return false;
    if (message->to != raft->id || message->from == raft->id || message->term >= RAFT_LIMIT)
        return false;
    if (message->from == 0 || !message_from_member(raft, message))
        return false;
    const struct message_handler *handler = &message_handlers[message->type];
    return handler->valid == NULL || handler->valid(raft, message);
}

int message_room(const struct lash_raft *raft, const struct lash_message *message) {
    const struct message_handler *handler = &message_handlers[message->type];
    return handler->room == NULL ? LASH_OK : handler->room(raft, message);
}

void message_handle(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs) {
    const struct message_handler *handler = &message_handlers[message->type];
    /* §5.1, Figure 2, all servers: if a request or response contains term T > currentTerm, set currentTerm = T and
     * convert to follower. */
    if (handler->raises_term && message->term > raft->term)
        role_become_follower(raft, message->term, 0, outputs);
    handler->handle(raft, message, outputs);
}

struct lash_message *message_send_after(const struct lash_raft *raft, enum lash_message_type type, lash_id to,
                                        uint64_t write, struct lash_outputs *outputs) {
    LASH_ASSERT(outputs->send_count < LASH_RAFT_SENDS_MAX);
    LASH_ASSERT(to != 0 && to != raft->id);
    struct lash_send *send = &outputs->sends[outputs->send_count++];
    memset(send, 0, sizeof *send); /* it may hold an earlier step's message */
    send->after_write = write;
    send->message.type = type;
    send->message.from = raft->id;
    send->message.to = to;
    send->message.term = raft->term;
    return &send->message;
}

struct lash_message *message_send(const struct lash_raft *raft, enum lash_message_type type, lash_id to,
                                  struct lash_outputs *outputs) {
    return message_send_after(raft, type, to, 0, outputs);
}
