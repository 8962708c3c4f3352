/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands in parts: heads that say anything, and logs with entries of all kinds, of which the
 * commands that come together are those that a look back through the whole log finds.
 */
#include "node/parts.h"

#include "fuzz.h"
#include "lash/error.h"

enum { LOG_MAX = 200, STEP_BYTES = 4, TOTAL_MAX = 16 };

struct step {
    uint32_t kind;
    lash_term term;
    struct frame_entry entry;
    struct part part;
    uint8_t bytes[PARTS_HEAD + TOTAL_MAX];
};

static void any_head(const uint8_t *data, size_t size) {
    uint8_t *exact = fuzz_copy(data, size);
    const struct frame_entry entry = {.index = 1, .data = exact, .size = size};
    struct part part;
    int error = parts_decode(&entry, &part);
    LASH_ASSERT(error == LASH_OK || error == LASH_CORRUPT);
    if (!error) {
        uint8_t again[PARTS_HEAD];
        parts_encode_head(again, part.total, part.offset);
        LASH_ASSERT(memcmp(again, data, PARTS_HEAD) == 0 && part.data == exact + PARTS_HEAD);
        LASH_ASSERT(part.size > 0 && part.total <= PARTS_TOTAL_MAX && part.offset + part.size <= part.total);
        LASH_ASSERT(parts_ends(&part) == (part.offset + part.size == part.total));
    }
    mem_free(exact);
}

/* Four bytes make an entry: its kind and whether it begins a term, who proposed what, and which part it is. */
static void step_make(struct step *step, const struct step *before, const uint8_t *data) {
    uint64_t total = 1 + data[2] % TOTAL_MAX;
    uint64_t offset = data[3] % TOTAL_MAX;
    size_t size = 1 + data[3] / TOTAL_MAX;
    step->kind = data[0] % 8 < 5 ? (uint32_t)LASH_ENTRY_PART : data[0] % 8U - 5;
    if (data[0] >= 240)
        step->kind = LASH_ENTRY_CONFIGURATION;
    step->term = (before ? before->term : 1) + (data[0] / 8 % 8 == 7);
    for (size_t i = 0; i < sizeof step->bytes; i++)
        step->bytes[i] = (uint8_t)(data[1] + data[2] + i);
    parts_encode_head(step->bytes, total, offset);
    step->entry = (struct frame_entry){.index = before ? before->entry.index + 1 : 1,
                                       .origin = 1 + data[1] % 2,
                                       .sequence = data[1] / 2 % 4,
                                       .data = step->bytes,
                                       .size = PARTS_HEAD + (size < TOTAL_MAX ? size : TOTAL_MAX)};
}

/* The part that the one at `at` goes on with, or NULL: what there is between the two ends what was begun. */
static const struct step *step_before(const struct step *log, size_t at) {
    const struct step *step = &log[at];
    while (at-- > 0) {
        const struct step *other = &log[at];
        if (other->kind == LASH_ENTRY_CONFIGURATION && other->term == step->term)
            continue;
        bool fits = other->kind == LASH_ENTRY_PART && other->term == step->term &&
                    other->entry.origin == step->entry.origin && other->entry.sequence == step->entry.sequence &&
                    other->part.total == step->part.total && other->part.offset + other->part.size == step->part.offset;
        return fits ? other : NULL;
    }
    return NULL;
}

/* What a command holds whose last part is at `at`, by a look back. */
static void look_back(const struct step *log, size_t at, uint8_t *command) {
    const struct step *step = &log[at];
    while (step) {
        memcpy(command + step->part.offset, step->part.data, step->part.size);
        step = step->part.offset ? step_before(log, (size_t)(step - log)) : NULL;
    }
}

/* Whether the entry at `at` may stand there, by a look back. */
static bool may_follow(const struct step *log, size_t at) {
    const struct step *step = &log[at];
    struct part part;
    if (step->kind != LASH_ENTRY_PART)
        return true;
    return !parts_decode(&step->entry, &part) && (part.offset == 0 || step_before(log, at));
}

static void take_in(struct assembly *assembly, const struct parts_cursor *next, const struct step *log, size_t at) {
    uint8_t expected[TOTAL_MAX];
    const struct part *part = &log[at].part;
    LASH_ASSERT(assembly_add(assembly, next, part) == LASH_OK);
    LASH_ASSERT(parts_pending(next) != parts_ends(part));
    if (parts_pending(next))
        return;
    struct buf *whole = assembly_take(assembly);
    look_back(log, at, expected);
    LASH_ASSERT(whole->size == part->total && memcmp(whole->data, expected, whole->size) == 0);
    buf_unref(whole);
}

static void any_log(const uint8_t *data, size_t size) {
    static struct step log[LOG_MAX];
    struct assembly assembly = {.command = NULL};
    for (size_t at = 0; at < LOG_MAX && size >= STEP_BYTES; at++, data += STEP_BYTES, size -= STEP_BYTES) {
        struct step *step = &log[at];
        step_make(step, at ? &log[at - 1] : NULL, data);
        struct parts_cursor next = assembly.cursor;
        int error = parts_follow(&next, step->term, step->kind, &step->entry, &step->part);
        bool may = step->kind != LASH_ENTRY_PART || parts_decode(&step->entry, &step->part) == LASH_OK;
        may = may && may_follow(log, at);
        LASH_ASSERT(error == (may ? LASH_OK : LASH_CORRUPT));
        if (error)
            break; /* the node stops before it */
        if (step->kind == LASH_ENTRY_PART)
            take_in(&assembly, &next, log, at);
        else if (!parts_pending(&next))
            assembly_drop(&assembly);
    }
    assembly_drop(&assembly);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    if (data[0] % 4 == 0)
        any_head(data + 1, size - 1);
    else
        any_log(data + 1, size - 1);
    return 0;
}
