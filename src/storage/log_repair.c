/* SPDX-License-Identifier: Apache-2.0
 *
 * Putting the right bytes back where durable ones are damaged, and finding for
 * others what they lack. Whatever is put there is checked against what was written
 * at the time (log_salvage.c), so that it does not matter who sent it.
 */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "storage/log_recovery.h"

/* ---- Writing ------------------------------------------------------------------------------------ */

/* The sector at `at`, with the right bytes in their place, is written where it is another: so only sectors that are
 * damaged are ever written to. */
static int write_sector(struct log *log, const struct log_segment *segment, uint64_t at, uint64_t offset,
                        const uint8_t *bytes, uint64_t size) {
    uint8_t before[RECORD_SECTOR];
    uint8_t after[RECORD_SECTOR];
    size_t got = 0;
    while (got < sizeof before) {
        ssize_t some = log->vfs->pread(log->vfs->context, segment->file, before + got, sizeof before - got, at + got);
        if (some < 0)
            return LASH_IO;
        if (some == 0)
            break;
        got += (size_t)some;
    }
    uint64_t from = at > offset ? at : offset;
    uint64_t to = at + got < offset + size ? at + got : offset + size;
    memcpy(after, before, got);
    if (to > from)
        memcpy(after + (from - at), bytes + (from - offset), (size_t)(to - from));
    if (memcmp(before, after, got) == 0)
        return LASH_OK;
    struct iovec part = {after, got};
    uint64_t written;
    return log_write_all(log->vfs, segment->file, &part, 1, at, &written);
}

int repair_write(struct log *log, const struct log_segment *segment, uint64_t offset, const uint8_t *bytes,
                 uint64_t size) {
    LASH_ASSERT(segment->file >= 0 && offset + size <= segment->size);
    int rc = LASH_OK;
    for (uint64_t at = offset / RECORD_SECTOR * RECORD_SECTOR; !rc && at < offset + size; at += RECORD_SECTOR)
        rc = write_sector(log, segment, at, offset, bytes, size);
    return rc ? rc : log_sync_file(log, segment->file);
}

/* ---- What is missing ---------------------------------------------------------------------------- */

bool log_damaged(const struct log *log, struct log_damage *damage) {
    const struct gap *gap = log->recovery ? &log->recovery->gap : NULL;
    size_t found = log_index_damaged(&log->index);
    if (gap) {
        const struct record *record = &gap->record;
        *damage = (struct log_damage){.index = gap->index,
                                      .size = gap->header ? record->size : 0,
                                      .crc = gap->header ? record->payload_crc : 0,
                                      .number = gap->segment->sequence,
                                      .offset = record->position - gap->segment->first_position};
        return true;
    }
    if (found == log->index.count)
        return false;
    const struct log_span *span = &log->index.spans[found];
    *damage = (struct log_damage){.index = span->first,
                                  .size = span->size,
                                  .crc = span->crc,
                                  .number = span->segment->sequence,
                                  .offset = span->offset - RECORD_HEADER_SIZE};
    return true;
}

/* ---- Repairing ---------------------------------------------------------------------------------- */

static int write_failed(const struct log *log, const struct log_segment *segment, uint64_t offset, int rc) {
    return recovery_fail(log, rc, segment->sequence, offset, "a damaged record cannot be written again");
}

/* Where recovery has stopped. */
static int repair_gap(struct log *log, const struct buf *frame) {
    struct recovery *recovery = log->recovery;
    struct gap *gap = &recovery->gap;
    struct log_segment *segment = gap->segment;
    struct record record = gap->record;
    bool fits = gap->header ? record.size == frame->size && record.payload_crc == crc32c(0, frame->data, frame->size)
                            : salvage_fit(recovery, gap, RECORD_FRAME, frame->data, frame->size, &record);
    if (!fits)
        return LASH_MISMATCH;
    uint64_t offset = record.position - segment->first_position;
    uint8_t header[RECORD_HEADER_SIZE];
    record_encode(header, log->salt, &record);
    int rc = repair_write(log, segment, offset + RECORD_HEADER_SIZE, frame->data, frame->size);
    if (!rc)
        rc = repair_write(log, segment, offset, header, sizeof header);
    if (rc)
        return write_failed(log, segment, offset, rc);
    *gap = (struct gap){.segment = NULL};
    return log_recover_on(log);
}

/* A frame that counts. */
static int repair_span(struct log *log, struct log_span *span, const struct buf *frame) {
    if (span->size != frame->size || span->crc != crc32c(0, frame->data, frame->size))
        return LASH_MISMATCH;
    struct log_segment *segment = span->segment;
    int rc = log_segment_use(log, segment);
    if (rc)
        return write_failed(log, segment, span->offset, rc);
    rc = repair_write(log, segment, span->offset, frame->data, frame->size);
    log_segment_leave(log, segment);
    if (rc)
        return write_failed(log, segment, span->offset, rc);
    span->damaged = false;
    return log_index_damaged(&log->index) < log->index.count ? LASH_DAMAGED : LASH_OK;
}

int log_repair(struct log *log, const struct buf *frame, struct log_recovered *recovered) {
    struct log_damage damage;
    struct frame header;
    size_t used;
    bool damaged = log_damaged(log, &damage);
    LASH_ASSERT(damaged);
    bool sound = frame_check(frame->data, frame->size, &header, &used) == LASH_OK && used == frame->size &&
                 header.group == log->group && damage.index >= header.first &&
                 damage.index - header.first < header.count;
    if (!sound)
        return LASH_MISMATCH;
    int rc = log->recovery ? repair_gap(log, frame)
                           : repair_span(log, &log->index.spans[log_index_damaged(&log->index)], frame);
    if (rc == LASH_OK)
        rc = log_describe(log, recovered);
    if (rc == LASH_OK || rc == LASH_DAMAGED) {
        char name[LOG_NAME_SIZE];
        log_segment_name(name, damage.number);
        log_info("repaired a record of the log", F_STR("dir", log->dir), F_STR("file", name),
                 F_U64("offset", damage.offset), F_U64("index", damage.index));
    }
    return rc;
}

/* ---- For others --------------------------------------------------------------------------------- */

static bool is_asked_for(const struct buf *frame, const struct log_damage *damage) {
    return damage->size == 0 || (damage->size == frame->size && damage->crc == crc32c(0, frame->data, frame->size));
}

/* The span of a whole frame of an append that recovery has not seen the end of. */
static bool find_staged(const struct log *log, lash_index index, struct log_span *span) {
    const struct recovery *recovery = log->recovery;
    for (size_t i = recovery ? recovery->staged_count : 0; i > 0; i--) {
        const struct staged *staged = &recovery->staged[i - 1];
        const struct frame *frame = &staged->frame;
        if (staged->record.type != RECORD_FRAME || index < frame->first || index - frame->first >= frame->count)
            continue;
        *span = log_span_of(&staged->record, frame, recovery->gap.segment);
        return !staged->damaged;
    }
    return false;
}

int log_find(struct log *log, const struct log_damage *damage, struct buf **frame) {
    struct log_span staged;
    if (find_staged(log, damage->index, &staged)) {
        int rc = log_read_frame(log, &staged, frame);
        if (rc || is_asked_for(*frame, damage))
            return rc;
        buf_unref(*frame);
    }
    pthread_mutex_lock(&log->mutex);
    size_t found = log_index_find(&log->index, damage->index);
    /* A recovery that has stopped may know where entries end, and nothing yet of those. */
    bool readable = found < log->index.count && !log->index.spans[found].damaged;
    pthread_mutex_unlock(&log->mutex);
    struct buf **frames;
    size_t count;
    int rc = !readable ? LASH_NOT_FOUND : log_read(log, damage->index, damage->index, 0, &frames, &count);
    if (rc)
        return rc;
    LASH_ASSERT(count == 1);
    *frame = frames[0];
    mem_free(frames);
    if (is_asked_for(*frame, damage))
        return LASH_OK;
    buf_unref(*frame);
    return LASH_NOT_FOUND;
}

int log_find_newest(struct log *log, uint32_t kind, struct buf **frame) {
    pthread_mutex_lock(&log->mutex);
    size_t count = log->index.count;
    while (count && (log->index.spans[count - 1].kind != kind || log->index.spans[count - 1].damaged))
        count--;
    struct log_damage wanted = {.index = count ? log->index.spans[count - 1].first : 0};
    pthread_mutex_unlock(&log->mutex);
    return count ? log_find(log, &wanted, frame) : LASH_NOT_FOUND;
}
