/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands in parts: which part may follow which, and how they become one again.
 */
#include "node/parts.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

_Static_assert(PARTS_BYTES + PARTS_HEAD + FRAME_ENTRY_SIZE + 8 <= FRAME_BODY_MAX, "a part fits a frame");
_Static_assert(PARTS_TOTAL_MAX <= SIZE_MAX / 2, "a command fits a buffer");

void parts_encode_head(uint8_t head[PARTS_HEAD], uint64_t total, uint64_t offset) {
    le64_put(head, total);
    le64_put(head + 8, offset);
}

int parts_decode(const struct frame_entry *entry, struct part *part) {
    if (entry->size <= PARTS_HEAD)
        return LASH_CORRUPT;
    part->total = le64_get(entry->data);
    part->offset = le64_get(entry->data + 8);
    part->data = entry->data + PARTS_HEAD;
    part->size = entry->size - PARTS_HEAD;
    bool sound =
        part->total <= PARTS_TOTAL_MAX && part->offset < part->total && part->size <= part->total - part->offset;
    return sound ? 0 : LASH_CORRUPT;
}

bool parts_ends(const struct part *part) {
    return part->offset + part->size == part->total;
}

bool parts_pending(const struct parts_cursor *cursor) {
    return cursor->next < cursor->total;
}

static bool parts_continues(const struct parts_cursor *cursor, lash_term term, const struct frame_entry *entry,
                            const struct part *part) {
    return parts_pending(cursor) && cursor->term == term && cursor->origin == entry->origin &&
           cursor->sequence == entry->sequence && cursor->total == part->total && cursor->next == part->offset;
}

int parts_follow(struct parts_cursor *cursor, lash_term term, uint32_t kind, const struct frame_entry *entry,
                 struct part *part) {
    if (kind != LASH_ENTRY_PART) {
        if (kind != LASH_ENTRY_CONFIGURATION || term != cursor->term || !parts_pending(cursor))
            *cursor = (struct parts_cursor){.total = 0};
        return 0;
    }
    int error = parts_decode(entry, part);
    if (error)
        return error;
    if (part->offset == 0)
        *cursor = (struct parts_cursor){
            .term = term, .origin = entry->origin, .sequence = entry->sequence, .total = part->total};
    else if (!parts_continues(cursor, term, entry, part))
        return LASH_CORRUPT;
    cursor->next += part->size;
    LASH_ASSERT(cursor->next <= cursor->total);
    return 0;
}

int assembly_add(struct assembly *assembly, const struct parts_cursor *next, const struct part *part) {
    if (part->offset == 0) {
        struct buf *command = buf_new((size_t)part->total);
        if (!command)
            return LASH_NOMEM;
        assembly_drop(assembly);
        assembly->command = command;
    }
    LASH_ASSERT(assembly->command && assembly->command->size == part->offset);
    LASH_ASSERT(next->next == part->offset + part->size && next->total == part->total);
    memcpy(assembly->command->data + part->offset, part->data, part->size);
    assembly->command->size += part->size;
    assembly->cursor = *next;
    return 0;
}

struct buf *assembly_take(struct assembly *assembly) {
    struct buf *command = assembly->command;
    LASH_ASSERT(command && command->size == assembly->cursor.total);
    *assembly = (struct assembly){.command = NULL};
    return command;
}

void assembly_drop(struct assembly *assembly) {
    buf_unref(assembly->command);
    *assembly = (struct assembly){.command = NULL};
}
