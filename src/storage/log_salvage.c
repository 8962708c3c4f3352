/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be made of a record that was durable and is damaged: rows M and N of
 * recovery's decisions. Nothing here is guessed. A record's checksum begins with the log's salt,
 * covers its place, its payload's checksum and the checksum of the record before, and stands once more in the record
 * behind it; so what was written is known where all of these agree on one possibility:
 *
 *  - One bit of a header is wrong. Headers with right checksums differ in six bits or more (CRC32C over 480 bits),
 *    so that only one of them is a bit away; its place and its predecessor's checksum must be right as well.
 *  - The header is gone, but not what it was the header of: a frame that lies there or that another replica has, or nothing,
 *    with a mark. What is unknown are the first index that counts, the durable position, and whether the append ends
 *    there; of the few possibilities exactly one must have the checksum that the next record gives, and end where that begins.
 *  - The header is whole, and the payload, a frame, is not. Its place, length and checksum are known.
 *
 * A header that is gone and belonged to a term, a vote, or the log's begin is not made up: no other replica knows it.
 */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "storage/log_recovery.h"

/* Durable positions tried for a header that is gone: those of so many bytes of appends without a sync. */
#define SALVAGE_WINDOW ((uint64_t)512 << 20)

static void flip(uint8_t *bytes, size_t bit) {
    bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
}

static int mended(struct log *log, const struct log_segment *segment, uint64_t offset, const char *what) {
    char name[LOG_NAME_SIZE];
    log_segment_name(name, segment->sequence);
    log_warn("mended damage to the log from what is around it; check the disk", F_STR("what", what),
             F_STR("dir", log->dir), F_STR("file", name), F_U64("offset", offset));
    log->mended++;
    return LASH_OK;
}

/* Write what a header must have been back to where it was. */
static int put_header(struct recovery *recovery, const struct log_segment *segment, struct record *record) {
    struct log *log = recovery->log;
    uint8_t header[RECORD_HEADER_SIZE];
    uint64_t offset = record->position - segment->first_position;
    record_encode(header, log->salt, record);
    int rc = repair_write(log, segment, offset, header, sizeof header);
    log_reader_turn(&recovery->reader, segment->file, segment->size);
    return rc ? recovery_fail(log, rc, segment->sequence, offset, "a damaged record cannot be written again")
              : mended(log, segment, offset, "header");
}

/* ---- One bit ------------------------------------------------------------------------------------ */

static bool follows(const struct record *record, const struct recovery *recovery) {
    return record->position == recovery->position && record->prev_crc == recovery->chain;
}

/* Whether one bit away from `header` there is that of a record in its place. */
static bool correct_bit(const struct recovery *recovery, uint8_t *header, struct record *record) {
    for (size_t bit = 0; bit < (size_t)8 * RECORD_HEADER_SIZE; bit++) {
        flip(header, bit);
        if (record_decode(header, recovery->log->salt, record) == LASH_OK && follows(record, recovery))
            return true;
        flip(header, bit);
    }
    return false;
}

int salvage_head(struct recovery *recovery, struct log_segment *segment) {
    struct log *log = recovery->log;
    size_t size = RECORD_HEADER_SIZE + RECORD_SEGMENT_SIZE + log->identity_size;
    const uint8_t *bytes;
    int rc = log_reader_bytes(&recovery->reader, 0, size, &bytes);
    if (rc)
        return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc;
    uint8_t *copy = mem_alloc(size);
    if (!copy)
        return LASH_NOMEM;
    memcpy(copy, bytes, size);
    rc = record_segment_mend(copy, size, size, segment->sequence, &size) ? repair_write(log, segment, 0, copy, size)
                                                                         : LASH_CORRUPT;
    mem_free(copy);
    log_reader_turn(&recovery->reader, segment->file, segment->size);
    return rc ? rc : mended(log, segment, 0, "the segment's first record");
}

/* ---- A header that is gone ---------------------------------------------------------------------- */

/* The durable positions that the record can give: they never fall, and those of one append are the same. */
static void durable_range(const struct recovery *recovery, uint64_t *low, uint64_t *high) {
    const struct log *log = recovery->log;
    *low = log->claimed;
    *high = log->position;
    if (recovery->staged_count)
        *low = *high = recovery->staged[recovery->staged_count - 1].record.durable;
    else if (*high - *low > SALVAGE_WINDOW)
        *low = *high - SALVAGE_WINDOW;
}

static lash_index last_index(const struct recovery *recovery) {
    lash_index last = log_index_last(&recovery->log->index);
    for (size_t i = 0; i < recovery->staged_count; i++)
        if (recovery->staged[i].record.type == RECORD_FRAME)
            last = recovery->staged[i].frame.first + recovery->staged[i].frame.count - 1;
    return last;
}

/* How many durable positions give the candidate the checksum that the next record gives; the last such one is left in it. */
static unsigned count_fits(const struct recovery *recovery, const struct gap *gap, struct record *candidate,
                           struct record *found) {
    uint8_t header[RECORD_HEADER_SIZE];
    uint64_t low;
    uint64_t high;
    unsigned fits = 0;
    durable_range(recovery, &low, &high);
    for (uint64_t durable = low; durable <= high; durable += RECORD_SECTOR) {
        candidate->durable = durable;
        record_encode(header, recovery->log->salt, candidate);
        if (candidate->crc != gap->crc)
            continue;
        *found = *candidate;
        fits++;
    }
    return fits;
}

bool salvage_fit(const struct recovery *recovery, const struct gap *gap, uint32_t type, const uint8_t *payload,
                 uint64_t size, struct record *record) {
    lash_index firsts[2] = {0, 0};
    size_t first_count = 1;
    struct frame frame;
    if (type == RECORD_FRAME) {
        if (frame_header(payload, &frame))
            return false;
        firsts[0] = frame.first;
        firsts[1] = last_index(recovery) + 1; /* the others an earlier frame holds */
        if (firsts[1] > frame.first && firsts[1] - frame.first < frame.count)
            first_count = 2;
    }
    unsigned fits = 0;
    for (size_t i = 0; i < 2 * first_count; i++) {
        struct record candidate = gap->record;
        candidate.type = type;
        candidate.flags = i % 2 ? RECORD_END : 0;
        candidate.a = firsts[i / 2];
        candidate.b = 0;
        candidate.size = size;
        candidate.payload_crc = crc32c(0, payload, (size_t)size);
        if (record_end(&candidate) == gap->end)
            fits += count_fits(recovery, gap, &candidate, record);
    }
    return fits == 1;
}

/* Whether the frame is still there. Errors: LASH_CORRUPT (it is not), LASH_IO, LASH_NOMEM. */
static int fit_frame(struct recovery *recovery, const struct gap *gap, uint64_t offset, struct record *record) {
    const uint8_t *bytes;
    struct frame frame;
    size_t used;
    int rc = log_reader_bytes(&recovery->reader, offset, FRAME_HEADER_SIZE, &bytes);
    if (!rc)
        rc = frame_header(bytes, &frame);
    if (!rc)
        rc = log_reader_bytes(&recovery->reader, offset, FRAME_HEADER_SIZE + frame.body_size, &bytes);
    if (!rc)
        rc = frame_check(bytes, FRAME_HEADER_SIZE + (size_t)frame.body_size, &frame, &used);
    if (!rc && !salvage_fit(recovery, gap, RECORD_FRAME, bytes, used, record))
        rc = LASH_CORRUPT;
    return rc == LASH_IO || rc == LASH_NOMEM ? rc : rc ? LASH_CORRUPT : LASH_OK;
}

/* The entry that the gap must have held if what follows it goes on behind `next`; 0: it held none, or one that was replaced. */
static lash_index missing_before(const struct recovery *recovery, lash_index next) {
    lash_index last = last_index(recovery);
    if (next > last + 1)
        return last + 1;
    return next <= last && next > recovery->log->index.first_index ? next - 1 : 0;
}

/* The entry that the gap held, by the first frame behind it, or by the next segment; where nothing tells, it may have been
 * the last. 0: it held none. */
static int find_entry(struct recovery *recovery, const struct gap *gap, lash_index *index) {
    const struct log *log = recovery->log;
    const struct log_segment *segment = gap->segment;
    bool last = recovery->segment + 1 == log->segment_count;
    uint64_t bound = last ? UINT64_MAX : log->segments[recovery->segment + 1]->first_position;
    struct record record = {.position = gap->end - 8};
    int rc = LASH_OK;
    while (!rc) {
        uint64_t offset = record.position + 8 - segment->first_position;
        rc = log_reader_next(&recovery->reader, offset, segment->first_position, &record);
        if (!rc && record.position >= bound)
            rc = LASH_NOT_FOUND;
        if (!rc && record.type == RECORD_FRAME) {
            *index = missing_before(recovery, record.a);
            return LASH_OK;
        }
    }
    if (rc != LASH_NOT_FOUND)
        return rc;
    *index = last ? last_index(recovery) + 1
                  : missing_before(recovery, recovery->heads[recovery->segment + 1].state.last_index + 1);
    return LASH_OK;
}

/* Where the next record begins, and what it says is the lost one's checksum. Errors: LASH_CORRUPT (there is none), LASH_IO,
 * LASH_NOMEM. */
static int find_end(struct recovery *recovery, struct gap *gap) {
    const struct log *log = recovery->log;
    const struct log_segment *segment = gap->segment;
    uint64_t offset = recovery->position - segment->first_position;
    bool last = recovery->segment + 1 == log->segment_count;
    uint64_t bound = last ? UINT64_MAX : log->segments[recovery->segment + 1]->first_position;
    struct record next;
    int rc = log_reader_next(&recovery->reader, offset + 8, segment->first_position, &next);
    if ((rc == LASH_NOT_FOUND || (!rc && next.position >= bound)) && !last) {
        next = recovery->heads[recovery->segment + 1].record;
        rc = LASH_OK;
    }
    if (rc)
        return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc;
    gap->end = next.position;
    gap->crc = next.prev_crc;
    return LASH_OK;
}

static int salvage_header(struct recovery *recovery, struct gap *gap, const char *why) {
    struct log *log = recovery->log;
    struct log_segment *segment = gap->segment;
    uint64_t offset = recovery->position - segment->first_position;
    struct record record;
    gap->record = (struct record){.prev_crc = recovery->chain, .position = recovery->position};
    int rc = find_end(recovery, gap);
    if (!rc && salvage_fit(recovery, gap, RECORD_MARK, NULL, 0, &record))
        return put_header(recovery, segment, &record);
    if (!rc)
        rc = fit_frame(recovery, gap, offset + RECORD_HEADER_SIZE, &record);
    if (!rc)
        return put_header(recovery, segment, &record);
    if (rc == LASH_CORRUPT && gap->end)
        rc = find_entry(recovery, gap, &gap->index);
    if (!rc && !gap->index)
        rc = LASH_CORRUPT;
    if (rc)
        return recovery_fail(log, rc, segment->sequence, offset, rc == LASH_CORRUPT ? why : "it cannot be read");
    return LASH_DAMAGED;
}

/* ---- A payload ---------------------------------------------------------------------------------- */

/* Whether this is the header of the frame that the record holds. */
static bool is_frame_of(const struct recovery *recovery, const struct record *record, const uint8_t *bytes,
                        struct frame *frame) {
    return frame_header(bytes, frame) == LASH_OK && frame->group == recovery->log->group &&
           FRAME_HEADER_SIZE + frame->body_size == record->size && record->a >= frame->first &&
           record->a - frame->first < frame->count;
}

/* The frame's header, also if a bit of it is wrong. */
static bool frame_known(const struct recovery *recovery, const struct record *record, const uint8_t *bytes,
                        struct frame *frame) {
    uint8_t header[FRAME_HEADER_SIZE];
    memcpy(header, bytes, sizeof header);
    bool known = is_frame_of(recovery, record, header, frame);
    for (size_t bit = 0; !known && bit < 8 * sizeof header; bit++) {
        flip(header, bit);
        known = is_frame_of(recovery, record, header, frame);
        flip(header, bit);
    }
    return known;
}

/* The record's header is whole. If that of the frame in it is, too, all that recovery needs is known. */
static int salvage_payload(struct recovery *recovery, struct gap *gap, const char *why) {
    struct log_segment *segment = gap->segment;
    uint64_t offset = gap->record.position - segment->first_position;
    struct staged staged = {.record = gap->record, .damaged = true};
    const uint8_t *bytes;
    bool fits = gap->record.type == RECORD_FRAME && gap->record.size >= FRAME_HEADER_SIZE &&
                segment->size - offset - RECORD_HEADER_SIZE >= gap->record.size;
    if (!fits)
        return recovery_fail(recovery->log, LASH_CORRUPT, segment->sequence, offset, why);
    int rc = log_reader_bytes(&recovery->reader, offset + RECORD_HEADER_SIZE, FRAME_HEADER_SIZE, &bytes);
    if (rc)
        return recovery_fail(recovery->log, rc, segment->sequence, offset, "it cannot be read");
    bool known = frame_known(recovery, &gap->record, bytes, &staged.frame);
    gap->index = gap->record.a;
    return known ? recovery_take(recovery, segment, &staged) : LASH_DAMAGED;
}

int salvage_record(struct recovery *recovery, struct log_segment *segment, const char *why) {
    struct log *log = recovery->log;
    uint64_t offset = recovery->position - segment->first_position;
    struct gap gap = {.segment = segment};
    uint8_t header[RECORD_HEADER_SIZE];
    const uint8_t *bytes;
    if (!log->repair)
        return recovery_fail(log, LASH_CORRUPT, segment->sequence, offset, why);
    int rc = log_reader_bytes(&recovery->reader, offset, sizeof header, &bytes);
    if (rc)
        return recovery_fail(log, rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc, segment->sequence, offset, why);
    memcpy(header, bytes, sizeof header);
    gap.header = record_decode(header, log->salt, &gap.record) == LASH_OK && follows(&gap.record, recovery);
    if (!gap.header && correct_bit(recovery, header, &gap.record))
        return put_header(recovery, segment, &gap.record);
    rc = gap.header ? salvage_payload(recovery, &gap, why) : salvage_header(recovery, &gap, why);
    if (rc == LASH_DAMAGED)
        recovery->gap = gap;
    if (rc == LASH_DAMAGED || gap.header) {
        char name[LOG_NAME_SIZE];
        log_segment_name(name, segment->sequence);
        log_warn("the log is damaged where it had been durable", F_STR("what", why), F_STR("dir", log->dir),
                 F_STR("file", name), F_U64("offset", offset), F_U64("index", gap.index));
    }
    return rc;
}
