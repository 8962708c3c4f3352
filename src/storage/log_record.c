/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding of the log's records.
 */
#include "storage/log_record.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

#define RECORD_MAGIC UINT32_C(0x4345524c) /* "LREC" */

enum { CRC_AT = 60 };

_Static_assert(CRC_AT + 4 == RECORD_HEADER_SIZE, "the header ends with its checksum");
_Static_assert(RECORD_SECTOR % RECORD_HEADER_SIZE == 0, "a header at a sector's begin never straddles sectors");

void record_encode(uint8_t *at, uint32_t salt, struct record *record) {
    LASH_ASSERT(record->position % 8 == 0 && record->durable <= record->position);
    LASH_ASSERT(record->size <= RECORD_PAYLOAD_MAX);
    le32_put(at, RECORD_MAGIC);
    le16_put(at + 4, RECORD_VERSION);
    le16_put(at + 6, (uint16_t)record->type);
    le32_put(at + 8, record->flags);
    le32_put(at + 12, record->prev_crc);
    le64_put(at + 16, record->position);
    le64_put(at + 24, record->durable);
    le64_put(at + 32, record->a);
    le64_put(at + 40, record->b);
    le64_put(at + 48, record->size);
    le32_put(at + 56, record->payload_crc);
    record->crc = crc32c(salt, at, CRC_AT);
    le32_put(at + CRC_AT, record->crc);
}

int record_decode(const uint8_t *at, uint32_t salt, struct record *record) {
    struct reader reader = reader_make(at, RECORD_HEADER_SIZE);
    if (read_u32(&reader) != RECORD_MAGIC || le32_get(at + CRC_AT) != crc32c(salt, at, CRC_AT))
        return LASH_CORRUPT;
    uint16_t version = read_u16(&reader);
    record->type = read_u16(&reader);
    record->flags = read_u32(&reader);
    record->prev_crc = read_u32(&reader);
    record->position = read_u64(&reader);
    record->durable = read_u64(&reader);
    record->a = read_u64(&reader);
    record->b = read_u64(&reader);
    record->size = read_u64(&reader);
    record->payload_crc = read_u32(&reader);
    record->crc = read_u32(&reader);
    bool known = record->type >= RECORD_SEGMENT && record->type <= RECORD_RESET;
    if (version != RECORD_VERSION || !known || (record->flags & ~(uint32_t)RECORD_END))
        return LASH_VERSION;
    if (record->position % 8 || record->durable > record->position || record->size > RECORD_PAYLOAD_MAX)
        return LASH_CORRUPT;
    return LASH_OK;
}

uint64_t record_end(const struct record *record) {
    uint64_t end = record->position + RECORD_HEADER_SIZE + record->size;
    return record_align(end, record->flags & RECORD_END ? RECORD_SECTOR : 8);
}

void record_segment_encode(uint8_t *at, const struct record_segment *segment) {
    struct writer writer = writer_make(at, RECORD_SEGMENT_SIZE + segment->identity_size);
    write_u64(&writer, segment->cluster_id);
    write_u64(&writer, segment->node_id);
    write_u64(&writer, segment->group);
    write_u64(&writer, segment->term);
    write_u64(&writer, segment->vote);
    write_u64(&writer, segment->last_index);
    write_u64(&writer, segment->last_term);
    write_u64(&writer, segment->first_index);
    write_u64(&writer, segment->prev_term);
    write_u32(&writer, segment->identity_size);
    write_u32(&writer, segment->salt);
    write_bytes(&writer, segment->identity, segment->identity_size);
    LASH_ASSERT(!writer.failed && writer.at == writer.end);
}

int record_segment_decode(const uint8_t *payload, uint64_t size, struct record_segment *segment) {
    struct reader reader = reader_make(payload, (size_t)size);
    segment->cluster_id = read_u64(&reader);
    segment->node_id = read_u64(&reader);
    segment->group = read_u64(&reader);
    segment->term = read_u64(&reader);
    segment->vote = read_u64(&reader);
    segment->last_index = read_u64(&reader);
    segment->last_term = read_u64(&reader);
    segment->first_index = read_u64(&reader);
    segment->prev_term = read_u64(&reader);
    segment->identity_size = read_u32(&reader);
    segment->salt = read_u32(&reader);
    segment->identity = read_bytes(&reader, segment->identity_size);
    if (reader.failed || reader_left(&reader))
        return LASH_CORRUPT;
    if (segment->first_index == 0 || segment->first_index - 1 > segment->last_index)
        return LASH_CORRUPT;
    return LASH_OK;
}

static void record_flip(uint8_t *bytes, size_t bit) {
    bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
}

/* What a segment's first record may be. */
struct segment_bounds {
    uint64_t number;
    size_t size_min;
    size_t size_max;
};

static bool segment_header(const uint8_t *bytes, const struct segment_bounds *bounds, struct record *record) {
    return record_decode(bytes, 0, record) == LASH_OK && record->type == RECORD_SEGMENT &&
           record->a == bounds->number && RECORD_HEADER_SIZE + record->size >= bounds->size_min &&
           RECORD_HEADER_SIZE + record->size <= bounds->size_max;
}

static bool segment_whole(const uint8_t *bytes, const struct segment_bounds *bounds, struct record *record) {
    return segment_header(bytes, bounds, record) &&
           crc32c(0, bytes + RECORD_HEADER_SIZE, (size_t)record->size) == record->payload_crc;
}

bool record_segment_mend(uint8_t *bytes, size_t size_min, size_t size, uint64_t number, size_t *record_size) {
    const struct segment_bounds bounds = {number, size_min, size};
    struct record record;
    LASH_ASSERT(size_min >= RECORD_HEADER_SIZE + RECORD_SEGMENT_SIZE && size_min <= size);
    bool payload = segment_header(bytes, &bounds, &record);
    size_t begin = payload ? RECORD_HEADER_SIZE : 0;
    size_t end = payload ? RECORD_HEADER_SIZE + (size_t)record.size : RECORD_HEADER_SIZE;
    for (size_t bit = 8 * begin; bit < 8 * end; bit++) {
        record_flip(bytes, bit);
        if (segment_whole(bytes, &bounds, &record)) {
            *record_size = RECORD_HEADER_SIZE + (size_t)record.size;
            return true;
        }
        record_flip(bytes, bit);
    }
    return false;
}

const char *record_type_name(uint32_t type) {
    static const char *const names[] = {"?", "segment", "frame", "vote", "trim", "mark", "reset"};
    return type < sizeof names / sizeof *names ? names[type] : names[0];
}
