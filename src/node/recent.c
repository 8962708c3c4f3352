/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of frames in the order of their indexes.
 */
#include "node/recent.h"

#include "base/assert.h"

enum { RECENT_SLOTS_MIN = 64 };

static struct recent_frame *recent_slot(const struct recent *recent, size_t position) {
    return &recent->slots[(recent->head + position) & (recent->capacity - 1)];
}

int recent_init(struct recent *recent, uint64_t bytes_max, uint64_t bytes_kept) {
    LASH_ASSERT(bytes_kept <= bytes_max);
    *recent = (struct recent){.bytes_max = bytes_max, .bytes_kept = bytes_kept};
    return recent_reserve(recent, RECENT_SLOTS_MIN);
}

void recent_free(struct recent *recent) {
    for (size_t i = 0; i < recent->count; i++)
        buf_unref(recent_slot(recent, i)->frame);
    mem_free(recent->slots);
    *recent = (struct recent){0};
}

int recent_reserve(struct recent *recent, size_t count) {
    size_t capacity = recent->capacity ? recent->capacity : RECENT_SLOTS_MIN;
    while (capacity < recent->count + count)
        capacity *= 2;
    if (capacity == recent->capacity)
        return 0;
    struct recent_frame *slots = mem_alloc(capacity * sizeof *slots);
    if (!slots)
        return LASH_NOMEM;
    for (size_t i = 0; i < recent->count; i++)
        slots[i] = *recent_slot(recent, i);
    mem_free(recent->slots);
    recent->slots = slots;
    recent->capacity = capacity;
    recent->head = 0;
    return 0;
}

static void recent_drop_first(struct recent *recent) {
    struct recent_frame *slot = recent_slot(recent, 0);
    recent->bytes -= slot->frame->size;
    buf_unref(slot->frame);
    recent->head++;
    recent->count--;
}

static void recent_drop_last(struct recent *recent) {
    struct recent_frame *slot = recent_slot(recent, recent->count - 1);
    recent->bytes -= slot->frame->size;
    buf_unref(slot->frame);
    recent->count--;
}

void recent_push(struct recent *recent, const struct recent_frame *frame) {
    while (recent->count && recent_slot(recent, recent->count - 1)->first >= frame->first)
        recent_drop_last(recent);
    /* A leader encodes each index of its term once, and frames travel whole; so logs differ only at frames' ends. */
    LASH_ASSERT(recent->count == 0 || recent_slot(recent, recent->count - 1)->last + 1 == frame->first);
    LASH_ASSERT(recent->count < recent->capacity);
    *recent_slot(recent, recent->count) = *frame;
    buf_ref(frame->frame);
    recent->count++;
    recent->bytes += frame->frame->size;
}

void recent_reset(struct recent *recent) {
    while (recent->count)
        recent_drop_last(recent);
}

/* Let go of the oldest frames: of those that are written the oldest beyond the one bound, and of those of them that are settled,
 * beyond the other. */
static void recent_shrink(struct recent *recent) {
    while (recent->count && recent->bytes > recent->bytes_kept) {
        const struct recent_frame *oldest = recent_slot(recent, 0);
        if (oldest->write > recent->written || (recent->bytes <= recent->bytes_max && oldest->last > recent->settled))
            return;
        recent_drop_first(recent);
    }
}

void recent_written(struct recent *recent, uint64_t write) {
    LASH_ASSERT(write >= recent->written);
    recent->written = write;
    recent_shrink(recent);
}

void recent_settled(struct recent *recent, lash_index index) {
    recent->settled = index;
    recent_shrink(recent);
}

size_t recent_find(const struct recent *recent, lash_index index) {
    size_t low = 0;
    size_t high = recent->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (recent_slot(recent, middle)->last < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < recent->count && recent_slot(recent, low)->first > index)
        return recent->count;
    return low;
}

const struct recent_frame *recent_at(const struct recent *recent, size_t position) {
    LASH_ASSERT(position < recent->count);
    return recent_slot(recent, position);
}

lash_index recent_first(const struct recent *recent) {
    return recent->count ? recent_slot(recent, 0)->first : UINT64_MAX;
}

_Static_assert((RECENT_SLOTS_MIN & (RECENT_SLOTS_MIN - 1)) == 0, "slots are found by masking");
