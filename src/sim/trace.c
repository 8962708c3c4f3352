/* SPDX-License-Identifier: Apache-2.0
 *
 * The account of a run: a line for everything that happens, with the simulated time
 * in seconds before it.
 */
#include <inttypes.h>
#include <stdarg.h>

#include "node/replica_state.h"
#include "sim/words.h"
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

/* A packet that is not the core's. */
static void trace_other(char text[WORDS_SIZE], const struct wire_head *head) {
    static const char *const answers[] = {"goes on", "done", "refused", "damaged", "asks"};
    if (head->kind == WIRE_FORWARD)
        (void)snprintf(text, WORDS_SIZE, "FORWARD term %" PRIu64 " batch %" PRIu64, head->forward.term,
                       head->forward.batch);
    else if (head->kind == WIRE_FORWARD_REPLY)
        (void)snprintf(text, WORDS_SIZE, "FORWARD-REPLY batch %" PRIu64 ": %s", head->forward_reply.batch,
                       lash_strerror(head->forward_reply.error));
    else if (head->kind == WIRE_SNAPSHOT_CHUNK)
        (void)snprintf(text, WORDS_SIZE, "SNAPSHOT-CHUNK %" PRIu64 " at %" PRIu64 " of %" PRIu64, head->chunk.index,
                       head->chunk.offset, head->chunk.bytes);
    else if (head->kind == WIRE_SNAPSHOT_ACK)
        (void)snprintf(text, WORDS_SIZE, "SNAPSHOT-ACK %" PRIu64 " %s at %" PRIu64, head->ack.index,
                       answers[head->ack.answer], head->ack.offset);
    else
        (void)snprintf(text, WORDS_SIZE, "kind %u", head->kind);
}

void trace_packet(struct world *world, const char *what, lash_id from, lash_id to, const uint8_t *head, size_t size,
                  struct buf *const *tails, size_t count) {
    struct wire_head decoded;
    char text[WORDS_SIZE] = "";
    char frames[400] = "";
    if (wire_decode(head, size, &decoded))
        return;
    if (decoded.kind == WIRE_MESSAGE)
        words_message(text, &decoded.message);
    else
        trace_other(text, &decoded);
    if (decoded.kind == WIRE_MESSAGE)
        trace_frames(frames, sizeof frames, tails, count);
    trace(world, "n%u %s %s n%u %s%s", (unsigned)from, what, what[0] == 'g' ? "from" : "to", (unsigned)to, text,
          frames);
}
