/* SPDX-License-Identifier: Apache-2.0
 *
 * The window over a segment file, and the two questions asked of it: is there a
 * valid record here, and what do records behind this place claim?
 */
#include "storage/log_reader.h"

#include <stdbool.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"

/* Several times what one record usually takes, as one that ends behind the window is read twice. */
enum { WINDOW_SIZE = 1 << 20 };

void log_reader_init(struct log_reader *reader, const struct vfs *vfs) {
    *reader = (struct log_reader){.vfs = vfs, .file = -1};
}

void log_reader_turn(struct log_reader *reader, int file, uint64_t file_size) {
    reader->file = file;
    reader->file_size = file_size;
    reader->start = 0;
    reader->used = 0;
}

void log_reader_free(struct log_reader *reader) {
    mem_free(reader->window);
    reader->window = NULL;
    reader->capacity = 0;
}

static int window_grow(struct log_reader *reader, size_t size) {
    if (size <= reader->capacity)
        return LASH_OK;
    uint64_t usual = reader->file_size < WINDOW_SIZE ? reader->file_size : WINDOW_SIZE;
    size_t capacity = size < usual ? (size_t)usual : size;
    uint8_t *window = mem_alloc(capacity);
    if (!window)
        return LASH_NOMEM;
    mem_free(reader->window);
    reader->window = window;
    reader->capacity = capacity;
    reader->used = 0;
    return LASH_OK;
}

/* Fill the window from `offset` on, as far as it and the file reach. */
static int window_fill(struct log_reader *reader, uint64_t offset) {
    uint64_t want = reader->file_size - offset;
    if (want > reader->capacity)
        want = reader->capacity;
    reader->start = offset;
    reader->used = 0;
    while (reader->used < want) {
        ssize_t got = reader->vfs->pread(reader->vfs->context, reader->file, reader->window + reader->used,
                                         (size_t)want - reader->used, offset + reader->used);
        if (got < 0)
            return LASH_IO;
        if (got == 0)
            break;
        reader->used += (size_t)got;
    }
    return LASH_OK;
}

int log_reader_bytes(struct log_reader *reader, uint64_t offset, uint64_t size, const uint8_t **bytes) {
    if (offset > reader->file_size || reader->file_size - offset < size)
        return LASH_NOT_FOUND;
    bool inside = offset >= reader->start && offset + size <= reader->start + reader->used;
    if (!inside) {
        int rc = window_grow(reader, (size_t)size);
        if (!rc)
            rc = window_fill(reader, offset);
        if (rc)
            return rc;
        if (reader->used < size)
            return LASH_NOT_FOUND;
    }
    *bytes = reader->window + (offset - reader->start);
    return LASH_OK;
}

static int no_record(int rc, const char **why) {
    switch (rc) {
    case LASH_NOT_FOUND:
        *why = "the file ends";
        return LASH_CORRUPT;
    case LASH_VERSION:
        *why = "a record of an unknown version or type";
        return rc;
    case LASH_CORRUPT:
        *why = "no record, or its header is damaged";
        return rc;
    default:
        *why = "it cannot be read";
        return rc;
    }
}

int log_reader_record(struct log_reader *reader, uint64_t offset, uint64_t position, struct record *record,
                      const uint8_t **payload, const char **why) {
    const uint8_t *bytes;
    int rc = log_reader_bytes(reader, offset, RECORD_HEADER_SIZE, &bytes);
    if (!rc)
        rc = record_decode(bytes, offset ? reader->salt : 0, record);
    bool whole = !rc || rc == LASH_VERSION;
    if (whole && position != RECORD_ANYWHERE && record->position != position) {
        *why = "a record that belongs elsewhere";
        return LASH_CORRUPT;
    }
    if (rc)
        return no_record(rc, why);
    rc = log_reader_bytes(reader, offset, RECORD_HEADER_SIZE + record->size, &bytes);
    if (rc)
        return no_record(rc, why);
    *payload = bytes + RECORD_HEADER_SIZE;
    if (crc32c(0, *payload, (size_t)record->size) != record->payload_crc) {
        *why = "the payload does not match its checksum";
        return LASH_CORRUPT;
    }
    return LASH_OK;
}

/* Advance *offset to the next record that is in its own place. Errors: LASH_NOT_FOUND, LASH_IO, LASH_NOMEM. */
static int seek_record(struct log_reader *reader, uint64_t *offset, uint64_t first_position, struct record *record) {
    LASH_ASSERT(*offset % 8 == 0);
    for (; *offset + RECORD_HEADER_SIZE <= reader->file_size; *offset += 8) {
        const uint8_t *bytes;
        int rc = log_reader_bytes(reader, *offset, RECORD_HEADER_SIZE, &bytes);
        if (rc)
            return rc;
        if (record_decode(bytes, reader->salt, record) == LASH_OK && record->position == first_position + *offset)
            return LASH_OK;
    }
    return LASH_NOT_FOUND;
}

int log_reader_next(struct log_reader *reader, uint64_t offset, uint64_t first_position, struct record *record) {
    return seek_record(reader, &offset, first_position, record);
}

int log_reader_claims(struct log_reader *reader, uint64_t offset, uint64_t first_position, struct log_claims *claims) {
    *claims = (struct log_claims){.end = offset};
    struct record record;
    int rc;
    while (!(rc = seek_record(reader, &offset, first_position, &record))) {
        uint64_t end = record_end(&record) - first_position;
        if (end > reader->file_size)
            end = reader->file_size;
        if (end > claims->end)
            claims->end = end;
        if (record.durable > claims->durable) {
            claims->durable = record.durable;
            claims->offset = offset;
        }
        offset += 8;
    }
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}
