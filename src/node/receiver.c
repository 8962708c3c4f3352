/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages from peers. Nothing in them is believed before it was checked.
 */
#include <string.h>

#include "base/assert.h"
#include "node/replica_state.h"

/* The frames of one AppendEntries. */
struct receiver_frames {
    struct recent_frame *frames;
    struct lash_run *runs;
    size_t count;
    size_t capacity;
    struct lash_configuration *configurations; /* what the CONFIGURATION entries hold */
    size_t configuration_count;
    size_t configuration_capacity;
};

static int receiver_reserve(struct receiver_frames *found) {
    if (found->count < found->capacity)
        return 0;
    size_t capacity = found->capacity ? found->capacity * 2 : 16;
    struct recent_frame *frames = mem_realloc(found->frames, capacity * sizeof *frames);
    if (!frames)
        return LASH_NOMEM;
    found->frames = frames;
    struct lash_run *runs = mem_realloc(found->runs, capacity * sizeof *runs);
    if (!runs)
        return LASH_NOMEM;
    found->runs = runs;
    found->capacity = capacity;
    return 0;
}

/* Add the checked frame at `data`, of which an earlier frame of the message may hold the first entries. */
static int receiver_add(struct receiver_frames *found, const struct frame *frame, const uint8_t *data, size_t size) {
    lash_index first = frame->first;
    lash_index last = frame->first + frame->count - 1;
    if (found->count) {
        lash_index next = found->frames[found->count - 1].last + 1;
        if (first > next || last < next)
            return LASH_CORRUPT;
        first = next;
    }
    int error = receiver_reserve(found);
    if (error)
        return error;
    struct buf *copy = buf_new(size);
    if (!copy)
        return LASH_NOMEM;
    memcpy(copy->data, data, size);
    copy->size = size;
    found->frames[found->count] =
        (struct recent_frame){.frame = copy, .first = first, .last = last, .term = frame->term, .kind = frame->kind};
    found->runs[found->count] = (struct lash_run){
        .first = first, .term = frame->term, .count = (uint32_t)(last - first + 1), .kind = frame->kind};
    found->count++;
    return 0;
}

static int receiver_reserve_configuration(struct receiver_frames *found) {
    if (found->configuration_count < found->configuration_capacity)
        return 0;
    size_t capacity = found->configuration_capacity ? found->configuration_capacity * 2 : 4;
    struct lash_configuration *configurations = mem_realloc(found->configurations, capacity * sizeof *configurations);
    if (!configurations)
        return LASH_NOMEM;
    found->configurations = configurations;
    found->configuration_capacity = capacity;
    return 0;
}

/* Decode what a checked frame of kind CONFIGURATION holds, for the core and for this node. */
static int receiver_configurations(struct replica *replica, struct receiver_frames *found, const struct frame *frame,
                                   const uint8_t *data) {
    struct frame_entry entry;
    size_t offset = 0;
    while (frame_next(data, frame, &offset, &entry)) {
        if (found->configuration_count && entry.index <= found->configurations[found->configuration_count - 1].index)
            continue; /* an earlier frame of the message held it */
        struct roster *roster = NULL;
        int error = receiver_reserve_configuration(found);
        if (!error)
            error = roster_decode(entry.data, entry.size, &roster);
        if (error)
            return error;
        roster_configuration(roster, &found->configurations[found->configuration_count++]);
        lash_index index = roster->index;
        error = members_offer(replica, roster);
        if (error || index != entry.index)
            return error ? error : LASH_CORRUPT;
    }
    return 0;
}

static int receiver_parse(struct replica *replica, const uint8_t *tail, size_t size, struct receiver_frames *found) {
    while (size) {
        struct frame frame;
        size_t used;
        int error = frame_check(tail, size, &frame, &used);
        if (!error && (frame.group != replica->options.group || frame.first == 0))
            error = LASH_CORRUPT;
        if (!error && frame.kind > LASH_ENTRY_PART)
            error = LASH_VERSION;
        if (!error && frame.hollow && witness_contradicted(replica))
            error = LASH_CORRUPT;
        if (!error)
            error = receiver_add(found, &frame, tail, used);
        if (!error && frame.kind == LASH_ENTRY_CONFIGURATION)
            error = receiver_configurations(replica, found, &frame, tail);
        if (error)
            return error;
        LASH_ASSERT(used <= size);
        tail += used;
        size -= used;
    }
    return 0;
}

/* The first entry of `frame` behind `after` that the log holds with another term; 0 when there is none. */
static lash_index receiver_differs(const struct replica *replica, const struct recent_frame *frame, lash_index after) {
    lash_index last = frame->last < replica->status.last_index ? frame->last : replica->status.last_index;
    lash_term term;
    for (lash_index index = frame->first > after ? frame->first : after + 1; index <= last; index++) {
        if (lash_raft_term_at(replica->raft, index, &term) && term != frame->term)
            return index;
        /* Terms never fall along the log. */
        if (lash_raft_term_at(replica->raft, last, &term) && term == frame->term)
            return 0;
    }
    return 0;
}

/* Whether the message would cut off a part of a frame. A leader encodes each index of its term once, and frames travel
 * and are stored whole; so where two logs part, a frame begins in both. */
static bool receiver_cuts_frame(const struct replica *replica, const struct lash_message *message,
                                const struct receiver_frames *found) {
    lash_index after = message->append.prev_index;
    lash_term term;
    if (!lash_raft_term_at(replica->raft, after, &term) || term != message->append.prev_term)
        return false; /* and will be refused */
    for (size_t i = 0; i < found->count; i++) {
        lash_index index = receiver_differs(replica, &found->frames[i], after);
        if (index == 0)
            continue;
        size_t position = recent_find(&replica->recent, index);
        return index != found->frames[i].first ||
               (position < replica->recent.count && recent_at(&replica->recent, position)->first != index);
    }
    return false;
}

int receiver_message(struct replica *replica, lash_id from, struct wire_head *head, const uint8_t *tail, size_t size) {
    if (size && head->message.type != LASH_MSG_APPEND)
        return LASH_CORRUPT;
    struct receiver_frames found = {0};
    int error = receiver_parse(replica, tail, size, &found);
    if (!error && found.count && receiver_cuts_frame(replica, &head->message, &found))
        error = LASH_CORRUPT;
    if (!error) {
        struct lash_event event = {.type = LASH_EVENT_MESSAGE, .message = head->message};
        event.message.from = from;
        event.message.to = replica->options.id;
        if (found.count) {
            event.message.append.runs = found.runs;
            event.message.append.run_count = (uint32_t)found.count;
            event.message.append.configurations = found.configurations;
            event.message.append.configuration_count = (uint32_t)found.configuration_count;
        }
        error = replica_step(replica, &event, found.frames, found.count);
    }
    for (size_t i = 0; i < found.count; i++)
        buf_unref(found.frames[i].frame);
    members_offer_end(replica);
    mem_free(found.frames);
    mem_free(found.runs);
    mem_free(found.configurations);
    /* Without memory, and when the core finds it outside its contract, the message is as good as lost. */
    return error == LASH_CORRUPT || error == LASH_VERSION ? error : 0;
}
