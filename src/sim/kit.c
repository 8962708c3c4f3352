/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames with contents that tell where they come from.
 */
#include "sim/kit.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

struct log_options kit_options(const struct vfs *vfs, const char *dir) {
    return (struct log_options){
        .vfs = vfs,
        .dir = dir,
        .segment_bytes = KIT_SEGMENT,
        .cluster_id = KIT_CLUSTER,
        .node_id = KIT_NODE,
        .group = KIT_GROUP,
        .salt = KIT_SALT,
        .identity = "members of the first day",
        .identity_size = 24,
        .direct = true,
    };
}

/* The value that an entry of kit_frame has in a kit_state. */
static uint64_t kit_value(lash_index index, lash_term term, uint64_t salt) {
    return index * 1000003 + term * 1009 + salt;
}

/* The bytes of an entry with `value`: the value, and bytes that follow from it. */
static void fill(uint8_t *data, size_t size, uint64_t value) {
    le64_put(data, value);
    for (size_t i = 8; i < size; i++)
        data[i] = (uint8_t)(value + i * 7);
}

static bool is_filled(const uint8_t *data, size_t size) {
    if (size < 8)
        return false;
    for (size_t i = 8; i < size; i++)
        if (data[i] != (uint8_t)(le64_get(data) + i * 7))
            return false;
    return true;
}

struct buf *kit_frame(lash_index first, uint32_t count, lash_term term, uint64_t salt, size_t size) {
    LASH_ASSERT(size >= 8);
    struct frame_input *inputs = mem_calloc(count, sizeof *inputs);
    uint8_t *data = mem_alloc(count * size);
    struct buf *frame = NULL;
    if (inputs && data) {
        for (uint32_t i = 0; i < count; i++) {
            fill(data + i * size, size, kit_value(first + i, term, salt));
            inputs[i] = (struct frame_input){KIT_NODE, first + i, data + i * size, size};
        }
        if (frame_encode(KIT_GROUP, first, term, LASH_ENTRY_COMMAND, inputs, count, &frame))
            frame = NULL;
    }
    mem_free(inputs);
    mem_free(data);
    return frame;
}

int kit_append(struct log *log, lash_index first, uint32_t count, lash_term term, uint64_t salt, size_t size) {
    struct buf *frame = kit_frame(first, count, term, salt, size);
    if (!frame)
        return LASH_NOMEM;
    struct log_item item = {.frame = frame, .first = first};
    int rc = log_append(log, &item, 1);
    buf_unref(frame);
    return rc;
}

int kit_vote(struct log *log, lash_term term, lash_id vote) {
    struct log_item item = {.save_vote = true, .term = term, .vote = vote};
    return log_append(log, &item, 1);
}

void kit_state_append(struct kit_state *state, lash_index first, uint32_t count, lash_term term, uint64_t salt) {
    LASH_ASSERT(first + count <= KIT_ENTRIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        state->terms[first + i] = term;
        state->values[first + i] = kit_value(first + i, term, salt);
    }
    state->last = first + count - 1;
}

void kit_state_trim(struct kit_state *state, lash_index index) {
    state->first = index + 1;
}

void kit_state_install(struct kit_state *state, lash_index index, lash_term term) {
    if (index < state->first || (index <= state->last && state->terms[index] == term))
        return;
    state->first = index + 1;
    state->last = index;
    if (term <= state->term)
        return;
    state->term = term;
    state->vote = 0;
}

/* Take from a frame what counts: what lies from `next` on. False when it is not as kit_frame makes them. */
static bool take(struct kit_state *state, const struct buf *buf, lash_index *next) {
    struct frame frame;
    size_t used;
    if (frame_check(buf->data, buf->size, &frame, &used) || used != buf->size || frame.first > *next)
        return false;
    struct frame_entry entry;
    size_t offset = 0;
    while (frame_next(buf->data, &frame, &offset, &entry)) {
        if (entry.index > state->last || (entry.index == *next && !is_filled(entry.data, entry.size)))
            return false;
        if (entry.index != *next)
            continue;
        state->terms[entry.index] = frame.term;
        state->values[entry.index] = le64_get(entry.data);
        ++*next;
    }
    return true;
}

static bool runs_match(const struct log_recovered *recovered, const struct kit_state *state) {
    lash_index next = recovered->first_index;
    for (size_t i = 0; i < recovered->run_count; i++) {
        const struct lash_run *run = &recovered->runs[i];
        if (run->first != next || run->count < 1 || run->kind != LASH_ENTRY_COMMAND)
            return false;
        for (uint32_t j = 0; j < run->count; j++, next++)
            if (next > state->last || state->terms[next] != run->term)
                return false;
    }
    return next == recovered->last_index + 1;
}

/* Read from *next on as many frames as come at once. */
static int read_some(struct log *log, struct kit_state *state, lash_index *next) {
    struct buf **frames;
    size_t count;
    int rc = log_read(log, *next, state->last, 1500, &frames, &count);
    if (rc)
        return rc;
    lash_index before = *next;
    for (size_t i = 0; i < count; i++) {
        if (!take(state, frames[i], next))
            rc = LASH_UNKNOWN;
        buf_unref(frames[i]);
    }
    mem_free(frames);
    return *next == before ? LASH_UNKNOWN : rc;
}

int kit_read(struct log *log, const struct log_recovered *recovered, struct kit_state *state) {
    state->term = recovered->term;
    state->vote = recovered->vote;
    state->first = recovered->first_index;
    state->last = recovered->last_index;
    if (state->last >= KIT_ENTRIES_MAX || state->first > state->last + 1)
        return LASH_UNKNOWN;
    lash_index next = state->first;
    while (next <= state->last) {
        int rc = read_some(log, state, &next);
        if (rc)
            return rc;
    }
    return runs_match(recovered, state) ? LASH_OK : LASH_UNKNOWN;
}

bool kit_equal(const struct kit_state *a, const struct kit_state *b) {
    if (a->term != b->term || a->vote != b->vote || a->first != b->first || a->last != b->last)
        return false;
    for (lash_index i = a->first; i <= a->last; i++)
        if (a->terms[i] != b->terms[i] || a->values[i] != b->values[i])
            return false;
    return true;
}
