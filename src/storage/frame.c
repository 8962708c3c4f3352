/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: encoding by the leader, checking by everybody else. See frame.h for
 * the format.
 */
#include "storage/frame.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

#define FRAME_MAGIC UINT32_C(0x4d52464c) /* "LFRM" */

enum {
    HEADER_GROUP = 8,
    HEADER_FIRST = 16,
    HEADER_TERM = 24,
    HEADER_COUNT = 32,
    HEADER_FLAGS = 36,
    HEADER_BODY_SIZE = 40,
    HEADER_RESERVED_TOO = 48,
    HEADER_BODY_CRC = 56,
    HEADER_CRC = 60,
    ENTRY_CRC = 4,
    ENTRY_ORIGIN = 8,
    ENTRY_SEQUENCE = 16,
};

enum { FLAG_HOLLOW = 1 };

_Static_assert(HEADER_CRC + 4 == FRAME_HEADER_SIZE, "the header ends with its checksum");
_Static_assert(FRAME_HEADER_SIZE % 8 == 0 && FRAME_ENTRY_SIZE % 8 == 0, "entries stay aligned");

size_t frame_entry_space(size_t size) {
    return FRAME_ENTRY_SIZE + ((size + 7) & ~(size_t)7);
}

/* The checksum of the entry at `at`: all of it but the checksum itself and the zeros behind the data. */
static uint32_t entry_crc(const uint8_t *at, size_t size) {
    uint32_t crc = crc32c(0, at, ENTRY_CRC);
    return crc32c(crc, at + ENTRY_ORIGIN, FRAME_ENTRY_SIZE - ENTRY_ORIGIN + size);
}

static void encode_entry(uint8_t *at, const struct frame_input *input) {
    le32_put(at, (uint32_t)input->size);
    le64_put(at + ENTRY_ORIGIN, input->origin);
    le64_put(at + ENTRY_SEQUENCE, input->sequence);
    if (input->size)
        memcpy(at + FRAME_ENTRY_SIZE, input->data, input->size);
    memset(at + FRAME_ENTRY_SIZE + input->size, 0, frame_entry_space(input->size) - FRAME_ENTRY_SIZE - input->size);
    le32_put(at + ENTRY_CRC, entry_crc(at, input->size));
}

static void encode_header(uint8_t *at, const struct frame *frame) {
    memset(at, 0, FRAME_HEADER_SIZE);
    le32_put(at, FRAME_MAGIC);
    le16_put(at + 4, FRAME_VERSION);
    le16_put(at + 6, (uint16_t)frame->kind);
    le64_put(at + HEADER_GROUP, frame->group);
    le64_put(at + HEADER_FIRST, frame->first);
    le64_put(at + HEADER_TERM, frame->term);
    le32_put(at + HEADER_COUNT, frame->count);
    le32_put(at + HEADER_FLAGS, frame->hollow ? FLAG_HOLLOW : 0);
    le64_put(at + HEADER_BODY_SIZE, frame->body_size);
    le32_put(at + HEADER_BODY_CRC, crc32c(0, at + FRAME_HEADER_SIZE, (size_t)frame->body_size));
    le32_put(at + HEADER_CRC, crc32c(0, at, HEADER_CRC));
}

/* The bytes that the inputs' entries take. Errors: LASH_TOO_LARGE. */
static int measure(const struct frame_input *inputs, uint32_t count, uint64_t *body_size) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (inputs[i].size > FRAME_BODY_MAX)
            return LASH_TOO_LARGE;
        total += frame_entry_space(inputs[i].size);
        if (total > FRAME_BODY_MAX)
            return LASH_TOO_LARGE;
    }
    *body_size = total;
    return LASH_OK;
}

int frame_encode(uint64_t group, lash_index first, lash_term term, uint32_t kind, const struct frame_input *inputs,
                 uint32_t count, struct buf **frame) {
    LASH_ASSERT(count >= 1 && first >= 1);
    LASH_ASSERT(kind <= UINT16_MAX);
    struct frame header = {.group = group, .first = first, .term = term, .count = count, .kind = kind};
    int rc = measure(inputs, count, &header.body_size);
    if (rc)
        return rc;
    struct buf *buf = buf_new((size_t)(FRAME_HEADER_SIZE + header.body_size));
    if (!buf)
        return LASH_NOMEM;
    size_t offset = FRAME_HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        encode_entry(buf->data + offset, &inputs[i]);
        offset += frame_entry_space(inputs[i].size);
    }
    LASH_ASSERT(offset == FRAME_HEADER_SIZE + header.body_size);
    encode_header(buf->data, &header);
    buf->size = offset;
    *frame = buf;
    return LASH_OK;
}

int frame_header(const uint8_t *data, struct frame *frame) {
    if (le32_get(data) != FRAME_MAGIC || le32_get(data + HEADER_CRC) != crc32c(0, data, HEADER_CRC))
        return LASH_CORRUPT;
    if (le16_get(data + 4) != FRAME_VERSION || le32_get(data + HEADER_FLAGS) > FLAG_HOLLOW ||
        le64_get(data + HEADER_RESERVED_TOO))
        return LASH_VERSION;
    frame->kind = le16_get(data + 6);
    frame->group = le64_get(data + HEADER_GROUP);
    frame->first = le64_get(data + HEADER_FIRST);
    frame->term = le64_get(data + HEADER_TERM);
    frame->count = le32_get(data + HEADER_COUNT);
    frame->body_size = le64_get(data + HEADER_BODY_SIZE);
    frame->hollow = le32_get(data + HEADER_FLAGS) == FLAG_HOLLOW;
    if (frame->count == 0 || frame->first == 0 || frame->first > UINT64_MAX - frame->count)
        return LASH_CORRUPT;
    if (frame->hollow && frame->body_size != (uint64_t)frame->count * FRAME_ENTRY_SIZE)
        return LASH_CORRUPT;
    if (frame->body_size > FRAME_BODY_MAX || frame->body_size < (uint64_t)frame->count * FRAME_ENTRY_SIZE)
        return LASH_CORRUPT;
    return LASH_OK;
}

static int check(const uint8_t *data, size_t size, bool summed, struct frame *frame, size_t *used) {
    if (size < FRAME_HEADER_SIZE)
        return LASH_CORRUPT;
    int rc = frame_header(data, frame);
    if (rc)
        return rc;
    if (frame->body_size > size - FRAME_HEADER_SIZE)
        return LASH_CORRUPT;
    size_t body = (size_t)frame->body_size;
    const uint8_t *at = data + FRAME_HEADER_SIZE;
    if (!summed && crc32c(0, at, body) != le32_get(data + HEADER_BODY_CRC))
        return LASH_CORRUPT;
    for (uint32_t i = 0; i < frame->count; i++) {
        if (body < FRAME_ENTRY_SIZE)
            return LASH_CORRUPT;
        size_t length = le32_get(at);
        if (length > body - FRAME_ENTRY_SIZE || frame_entry_space(length) > body)
            return LASH_CORRUPT;
        if (!summed && entry_crc(at, length) != le32_get(at + ENTRY_CRC))
            return LASH_CORRUPT;
        at += frame_entry_space(length);
        body -= frame_entry_space(length);
    }
    if (body)
        return LASH_CORRUPT;
    *used = FRAME_HEADER_SIZE + (size_t)frame->body_size;
    return LASH_OK;
}

int frame_check(const uint8_t *data, size_t size, struct frame *frame, size_t *used) {
    return check(data, size, false, frame, used);
}

int frame_check_summed(const uint8_t *data, size_t size, uint32_t crc, struct frame *frame, size_t *used) {
    int rc = check(data, size, true, frame, used);
    if (!rc && (*used != size || frame_crc(data, size) != crc))
        rc = LASH_CORRUPT;
    return rc;
}

uint32_t frame_crc(const uint8_t *data, size_t size) {
    LASH_ASSERT(size >= FRAME_HEADER_SIZE);
    return crc32c_join(crc32c(0, data, FRAME_HEADER_SIZE), le32_get(data + HEADER_BODY_CRC), size - FRAME_HEADER_SIZE);
}

int frame_hollow(struct buf *frame, struct buf **hollow) {
    struct frame header;
    struct frame_entry entry;
    size_t offset = 0;
    int rc = frame_header(frame->data, &header);
    LASH_ASSERT(!rc);
    uint64_t least = (uint64_t)header.count * FRAME_ENTRY_SIZE;
    if (header.kind == LASH_ENTRY_CONFIGURATION || header.body_size == least) {
        *hollow = buf_ref(frame);
        return LASH_OK;
    }
    struct buf *buf = buf_new((size_t)(FRAME_HEADER_SIZE + least));
    if (!buf)
        return LASH_NOMEM;
    uint8_t *at = buf->data + FRAME_HEADER_SIZE;
    for (; frame_next(frame->data, &header, &offset, &entry); at += FRAME_ENTRY_SIZE)
        encode_entry(at, &(struct frame_input){.origin = entry.origin, .sequence = entry.sequence});
    buf->size = (size_t)(at - buf->data);
    LASH_ASSERT(buf->size == FRAME_HEADER_SIZE + least);
    header.body_size = least;
    header.hollow = true;
    encode_header(buf->data, &header);
    *hollow = buf;
    return LASH_OK;
}

/* The walk needs to know which entry it is at; `index` carries that from call to call, and the frame's own count
 * bounds it by the body's size, which frame_check proved to hold exactly `count` entries. */
bool frame_next(const uint8_t *data, const struct frame *frame, size_t *offset, struct frame_entry *entry) {
    if (*offset >= frame->body_size)
        return false;
    const uint8_t *at = data + FRAME_HEADER_SIZE + *offset;
    entry->index = *offset == 0 ? frame->first : entry->index + 1;
    entry->size = le32_get(at);
    entry->origin = le64_get(at + ENTRY_ORIGIN);
    entry->sequence = le64_get(at + ENTRY_SEQUENCE);
    entry->data = at + FRAME_ENTRY_SIZE;
    *offset += frame_entry_space(entry->size);
    LASH_ASSERT(*offset <= frame->body_size);
    return true;
}
