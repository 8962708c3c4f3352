/* SPDX-License-Identifier: Apache-2.0
 *
 * log_identify: whose log lies in a directory, from the first record of its earliest
 * segment, or of a later one should that be damaged, without a lock and without reading
 * any more. A first record in which one bit is wrong still tells: a log of one segment must
 * not be lost with it. Here it is only read that way; log_open puts it right on the disk.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "storage/log.h"
#include "storage/log_reader.h"
#include "storage/log_state.h"

enum { IDENTIFY_BYTES = 1 << 17 }; /* no first record is longer: it names members with addresses and notes */

/* The segments' numbers; they are consecutive. */
struct identify_range {
    uint64_t first; /* 0: there are none */
    uint64_t last;
};

static void identify_note(void *argument, const char *name) {
    struct identify_range *range = argument;
    uint64_t number = log_segment_number(name, "log-");
    if (number && (range->first == 0 || number < range->first))
        range->first = number;
    if (number > range->last)
        range->last = number;
}

static int identify_copy(const uint8_t *payload, uint64_t size, struct log_identity *identity) {
    struct record_segment state;
    if (record_segment_decode(payload, size, &state))
        return LASH_CORRUPT;
    *identity = (struct log_identity){.cluster_id = state.cluster_id,
                                      .node_id = state.node_id,
                                      .group = state.group,
                                      .salt = state.salt,
                                      .identity_size = state.identity_size};
    identity->identity = mem_alloc((size_t)state.identity_size + 1);
    if (!identity->identity)
        return LASH_NOMEM;
    if (state.identity_size)
        memcpy(identity->identity, state.identity, state.identity_size);
    return LASH_OK;
}

/* The first record is not valid: what it was, if one bit of it is wrong. Errors: LASH_CORRUPT, LASH_IO, LASH_NOMEM. */
static int identify_mended(struct log_reader *reader, uint64_t size, uint64_t number, struct log_identity *identity) {
    enum { LEAST = RECORD_HEADER_SIZE + RECORD_SEGMENT_SIZE };
    const uint8_t *bytes;
    size_t length = size < IDENTIFY_BYTES ? (size_t)size : IDENTIFY_BYTES;
    if (length < LEAST)
        return LASH_CORRUPT;
    int rc = log_reader_bytes(reader, 0, length, &bytes);
    if (rc)
        return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc;
    uint8_t *copy = mem_alloc(length);
    if (!copy)
        return LASH_NOMEM;
    memcpy(copy, bytes, length);
    rc = record_segment_mend(copy, LEAST, length, number, &length)
             ? identify_copy(copy + RECORD_HEADER_SIZE, length - RECORD_HEADER_SIZE, identity)
             : LASH_CORRUPT;
    mem_free(copy);
    return rc;
}

static int identify_segment(const struct vfs *vfs, const char *path, uint64_t number, struct log_identity *identity) {
    uint64_t size;
    int result = vfs->size(vfs->context, path, &size);
    int file = result < 0 ? result : vfs->open(vfs->context, path, VFS_READ);
    if (file < 0)
        return log_error_of(file);
    struct log_reader reader;
    log_reader_init(&reader, vfs);
    log_reader_turn(&reader, file, size);
    struct record record;
    const uint8_t *payload;
    const char *why;
    int rc = log_reader_record(&reader, 0, RECORD_ANYWHERE, &record, &payload, &why);
    if (!rc)
        rc = record.type == RECORD_SEGMENT ? identify_copy(payload, record.size, identity) : LASH_CORRUPT;
    else if (rc == LASH_CORRUPT)
        rc = identify_mended(&reader, size, number, identity);
    log_reader_free(&reader);
    vfs->close(vfs->context, file);
    return rc;
}

int log_identify(const struct vfs *vfs, const char *dir, struct log_identity *identity) {
    struct identify_range range = {0};
    int result = vfs->list(vfs->context, dir, identify_note, &range);
    if (result < 0 && result != -ENOENT)
        return log_error_of(result);
    int rc = LASH_NOT_FOUND;
    for (uint64_t number = range.first; range.first && number <= range.last; number++) {
        char name[LOG_NAME_SIZE];
        log_segment_name(name, number);
        char *path = log_path(dir, name);
        if (!path)
            return LASH_NOMEM;
        rc = identify_segment(vfs, path, number, identity);
        mem_free(path);
        if (rc != LASH_CORRUPT)
            break;
    }
    return rc;
}

void log_identity_free(struct log_identity *identity) {
    mem_free(identity->identity);
    identity->identity = NULL;
    identity->identity_size = 0;
}
