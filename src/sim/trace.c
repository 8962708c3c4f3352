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

void trace_packet(struct world *world, const char *what, lash_id from, lash_id to, const uint8_t *head, size_t size,
                  struct buf *const *tails, size_t count) {
    struct wire_head decoded;
    char text[WORDS_SIZE] = "";
    char frames[400] = "";
    if (wire_decode(head, size, &decoded))
        return;
    if (decoded.kind == WIRE_MESSAGE)
        words_message(text, &decoded.message);
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
