/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages in words.
 */
#include "sim/words.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/names.h"

void words_message(char text[WORDS_SIZE], const struct lash_message *message) {
    switch (message->type) {
    case LASH_MSG_VOTE:
        (void)snprintf(text, WORDS_SIZE, "%s term %" PRIu64 ", last %" PRIu64 " of term %" PRIu64,
                       message->vote.pre ? "PRE-VOTE" : "VOTE", message->term, message->vote.last_index,
                       message->vote.last_term);
        break;
    case LASH_MSG_VOTE_REPLY:
        (void)snprintf(text, WORDS_SIZE, "%s term %" PRIu64 " %s",
                       message->vote_reply.pre ? "PRE-VOTE-REPLY" : "VOTE-REPLY", message->term,
                       message->vote_reply.granted ? "granted" : "refused");
        break;
    case LASH_MSG_APPEND:
        (void)snprintf(text, WORDS_SIZE,
                       "APPEND term %" PRIu64 " behind %" PRIu64 " of term %" PRIu64 ", commit %" PRIu64, message->term,
                       message->append.prev_index, message->append.prev_term, message->append.commit);
        break;
    case LASH_MSG_APPEND_REPLY:
        if (message->append_reply.success)
            (void)snprintf(text, WORDS_SIZE, "APPEND-REPLY term %" PRIu64 " match %" PRIu64, message->term,
                           message->append_reply.match);
        else
            (void)snprintf(text, WORDS_SIZE,
                           "APPEND-REPLY term %" PRIu64 " refuses %" PRIu64 ", hint %" PRIu64 " of term %" PRIu64,
                           message->term, message->append_reply.rejected, message->append_reply.hint_index,
                           message->append_reply.hint_term);
        break;
    case LASH_MSG_READ:
        (void)snprintf(text, WORDS_SIZE, "READ term %" PRIu64, message->term);
        break;
    case LASH_MSG_READ_REPLY:
        (void)snprintf(text, WORDS_SIZE, "READ-REPLY term %" PRIu64 " index %" PRIu64, message->term,
                       message->read_reply.index);
        break;
    case LASH_MSG_TIMEOUT_NOW:
        (void)snprintf(text, WORDS_SIZE, "TIMEOUT-NOW term %" PRIu64 ", last %" PRIu64, message->term,
                       message->timeout_now.last_index);
        break;
    case LASH_MSG_SNAPSHOT:
        (void)snprintf(text, WORDS_SIZE, "SNAPSHOT term %" PRIu64 ", up to %" PRIu64 " of term %" PRIu64, message->term,
                       message->snapshot.last_index, message->snapshot.last_term);
        break;
    default:
        (void)snprintf(text, WORDS_SIZE, "message %u term %" PRIu64, message->type, message->term);
    }
}

const char *words_role(uint32_t role) {
    LASH_ASSERT(role < NAMES_ROLES);
    return names_roles[role];
}
