/* SPDX-License-Identifier: Apache-2.0
 *
 * The account of a run: a line for everything that happens, with the simulated time
 * in seconds before it.
 */
#include <inttypes.h>
#include <stdarg.h>

#include "node/replica_state.h"
#include "sim/world.h"

void trace(struct world *world, const char *format, ...) {
    va_list arguments;
    FILE *out = world->options.trace;
    (void)fprintf(out, "%5" PRIu64 ".%06" PRIu64 " ", world->now_us / 1000000, world->now_us % 1000000);
    va_start(arguments, format);
    (void)vfprintf(out, format, arguments);
    va_end(arguments);
    (void)fputc('\n', out);
}

/* A message's fields beside its term. */
static void trace_message(char *text, size_t size, const struct lash_message *message) {
    switch (message->type) {
    case LASH_MSG_VOTE:
        (void)snprintf(text, size, "%s term %" PRIu64 ", last %" PRIu64 " of term %" PRIu64,
                       message->vote.pre ? "PRE-VOTE" : "VOTE", message->term, message->vote.last_index,
                       message->vote.last_term);
        break;
    case LASH_MSG_VOTE_REPLY:
        (void)snprintf(text, size, "%s term %" PRIu64 " %s", message->vote_reply.pre ? "PRE-VOTE-REPLY" : "VOTE-REPLY",
                       message->term, message->vote_reply.granted ? "granted" : "refused");
        break;
    case LASH_MSG_APPEND:
        (void)snprintf(text, size, "APPEND term %" PRIu64 " behind %" PRIu64 " of term %" PRIu64 ", commit %" PRIu64,
                       message->term, message->append.prev_index, message->append.prev_term, message->append.commit);
        break;
    case LASH_MSG_APPEND_REPLY:
        if (message->append_reply.success)
            (void)snprintf(text, size, "APPEND-REPLY term %" PRIu64 " match %" PRIu64, message->term,
                           message->append_reply.match);
        else
            (void)snprintf(text, size,
                           "APPEND-REPLY term %" PRIu64 " refuses %" PRIu64 ", hint %" PRIu64 " of term %" PRIu64,
                           message->term, message->append_reply.rejected, message->append_reply.hint_index,
                           message->append_reply.hint_term);
        break;
    case LASH_MSG_READ:
        (void)snprintf(text, size, "READ term %" PRIu64, message->term);
        break;
    case LASH_MSG_READ_REPLY:
        (void)snprintf(text, size, "READ-REPLY term %" PRIu64 " index %" PRIu64, message->term,
                       message->read_reply.index);
        break;
    default:
        (void)snprintf(text, size, "message %u term %" PRIu64, message->type, message->term);
    }
}

/* The indexes of the frames that come with it. */
static void trace_frames(char *text, size_t size, struct buf *const *tails, size_t count) {
    text[0] = 0;
    size_t used = 0;
    for (size_t i = 0; i < count && used < size; i++) {
        struct frame frame;
        if (frame_header(tails[i]->data, &frame) == 0)
            used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64 "..%" PRIu64 " (term %" PRIu64 ")",
                                     i ? ", " : "; entries ", frame.first, frame.first + frame.count - 1, frame.term);
    }
}

void trace_packet(struct world *world, const char *what, lash_id from, lash_id to, const uint8_t *head, size_t size,
                  struct buf *const *tails, size_t count) {
    struct wire_head decoded;
    char text[200] = "";
    char frames[400] = "";
    if (wire_decode(head, size, &decoded))
        return;
    if (decoded.kind == WIRE_MESSAGE)
        trace_message(text, sizeof text, &decoded.message);
    else if (decoded.kind == WIRE_FORWARD)
        (void)snprintf(text, sizeof text, "FORWARD term %" PRIu64 " batch %" PRIu64, decoded.forward.term,
                       decoded.forward.batch);
    else
        (void)snprintf(text, sizeof text, "FORWARD-REPLY batch %" PRIu64 ": %s", decoded.forward_reply.batch,
                       lash_strerror(decoded.forward_reply.error));
    if (decoded.kind == WIRE_MESSAGE)
        trace_frames(frames, sizeof frames, tails, count);
    trace(world, "n%u %s %s n%u %s%s", (unsigned)from, what, what[0] == 'g' ? "from" : "to", (unsigned)to, text,
          frames);
}
