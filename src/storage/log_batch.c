/* SPDX-License-Identifier: Apache-2.0
 *
 * One append: records in one gathered write, which counts as a whole or not at
 * all. Payloads are written from where they lie.
 */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "storage/log_state.h"

static const uint8_t zeros[RECORD_SECTOR];

/* Where everything of one write lies in the scratch memory. */
struct gather {
    struct iovec *parts;
    int part_count;
    uint8_t *headers;
};

static uint64_t batch_bytes(const struct log_put *puts, size_t count) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += record_align(RECORD_HEADER_SIZE + puts[i].record.size, 8);
    return record_align(bytes, RECORD_SECTOR);
}

static int gather_begin(struct log *log, struct gather *gather, size_t count) {
    size_t vectors = (2 * count + 1) * sizeof(struct iovec);
    size_t need = vectors + count * RECORD_HEADER_SIZE;
    if (need > log->scratch_size) {
        uint8_t *scratch = mem_alloc(need);
        if (!scratch)
            return LASH_NOMEM;
        mem_free(log->scratch);
        log->scratch = scratch;
        log->scratch_size = need;
    }
    *gather = (struct gather){(void *)log->scratch, 0, log->scratch + vectors};
    return LASH_OK;
}

static void gather_part(struct gather *gather, const void *data, uint64_t size) {
    if (size)
        gather->parts[gather->part_count++] = (struct iovec){(void *)(uintptr_t)data, (size_t)size};
}

/* Fill in the records' places and checksums. */
static void encode(const struct log *log, struct log_put *puts, size_t count, struct gather *gather) {
    uint64_t position = log->position;
    uint32_t chain = log->chain;
    for (size_t i = 0; i < count; i++) {
        struct record *record = &puts[i].record;
        LASH_ASSERT(record->size % 8 == 0);
        record->flags = i + 1 == count ? RECORD_END : 0;
        record->prev_crc = chain;
        record->position = position;
        record->durable = log->durable;
        record->payload_crc = record->type == RECORD_FRAME ? frame_crc(puts[i].payload, (size_t)record->size)
                                                           : crc32c(0, puts[i].payload, (size_t)record->size);
        record_encode(gather->headers + i * RECORD_HEADER_SIZE, log->salt, record);
        gather_part(gather, gather->headers + i * RECORD_HEADER_SIZE, RECORD_HEADER_SIZE);
        gather_part(gather, puts[i].payload, record->size);
        position += RECORD_HEADER_SIZE + record->size;
        chain = record->crc;
    }
    gather_part(gather, zeros, record_align(position, RECORD_SECTOR) - position);
}

/* A write failed. Without its first header nothing of the append is valid, whatever got to the file. When even that
 * cannot be destroyed, nobody knows what a later log_open would find, and the log is given up. A full disk that took
 * not a byte needs no undoing. */
static int undo(struct log *log, uint64_t offset, uint64_t written, int rc) {
    if (rc != LASH_FULL || written) {
        int undone = log_write_zeros(log->vfs, log_current(log)->file, offset, offset + RECORD_SECTOR);
        if (undone) {
            log->dead = true;
            rc = LASH_IO;
        }
    }
    log_warn("append to the log failed", F_ERR(rc), F_STR("dir", log->dir), F_U64("position", log->position),
             F_STR("do", log->dead ? "check the disk, then start again" : "free or mend the disk"));
    return rc;
}

int log_batch_write(struct log *log, struct log_put *puts, size_t count, uint64_t leave) {
    LASH_ASSERT(count && !log->dead);
    uint64_t bytes = batch_bytes(puts, count);
    struct log_segment *segment = log_current(log);
    struct gather gather;
    int rc = gather_begin(log, &gather, count);
    if (rc)
        return rc;
    if (log->rolling || log->position - segment->first_position + bytes + leave > segment->size) {
        rc = log_roll(log, bytes + leave);
        if (rc)
            return rc;
        segment = log_current(log);
    }
    uint64_t offset = log->position - segment->first_position;
    LASH_ASSERT(offset % RECORD_SECTOR == 0 && offset + bytes + leave <= segment->size);
    encode(log, puts, count, &gather);
    uint64_t written;
    rc = log_write_all(log->vfs, segment->file, gather.parts, gather.part_count, offset, &written);
    if (rc)
        return undo(log, offset, written, rc);
    LASH_ASSERT(written == bytes);
    log_batch_count(log, puts, count, bytes);
    return LASH_OK;
}

int log_batch_encode(struct log *log, struct log_put *puts, size_t count, uint64_t leave, uint8_t *data, uint64_t max,
                     uint64_t *bytes) {
    const struct log_segment *segment = log_current(log);
    *bytes = batch_bytes(puts, count);
    if (*bytes > max || log->rolling || log->position - segment->first_position + *bytes + leave > segment->size)
        return LASH_BUSY;
    struct gather gather;
    int rc = gather_begin(log, &gather, count);
    if (rc)
        return rc;
    encode(log, puts, count, &gather);
    for (int i = 0; i < gather.part_count; i++) {
        memcpy(data, gather.parts[i].iov_base, gather.parts[i].iov_len);
        data += gather.parts[i].iov_len;
    }
    return LASH_OK;
}

void log_batch_count(struct log *log, const struct log_put *puts, size_t count, uint64_t bytes) {
    log->position += bytes;
    log->chain = puts[count - 1].record.crc;
    log->claimed = puts[count - 1].record.durable;
}

struct log_span log_span_of(const struct record *record, const struct frame *frame, struct log_segment *segment) {
    return (struct log_span){
        .first = record->a,
        .term = frame->term,
        .count = (uint32_t)(frame->first + frame->count - record->a),
        .skip = (uint32_t)(record->a - frame->first),
        .total = frame->count,
        .kind = frame->kind,
        .segment = segment,
        .offset = record->position + RECORD_HEADER_SIZE - segment->first_position,
        .size = (uint32_t)record->size,
        .crc = record->payload_crc,
    };
}
