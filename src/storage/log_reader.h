/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the records of one segment file, through a window of memory, and says
 * what is wrong with the first that is not as it should be. Trusts nothing.
 */
#ifndef LASH_STORAGE_LOG_READER_H
#define LASH_STORAGE_LOG_READER_H

#include "storage/log_record.h"
#include "storage/vfs.h"

struct log_reader {
    const struct vfs *vfs;
    int file;
    uint64_t file_size;
    uint32_t salt;   /* of the records behind the first, which tells it; the owner sets it */
    uint8_t *window; /* bytes start .. start + used of the file */
    size_t capacity;
    uint64_t start;
    size_t used;
};

/* Nothing is allocated before the first read. */
void log_reader_init(struct log_reader *reader, const struct vfs *vfs);

/* Turn to another file, which stays the caller's. */
void log_reader_turn(struct log_reader *reader, int file, uint64_t file_size);
void log_reader_free(struct log_reader *reader);

/* `size` bytes at `offset`, valid until the next call. Errors: LASH_NOT_FOUND (beyond the file), LASH_IO, LASH_NOMEM. */
int log_reader_bytes(struct log_reader *reader, uint64_t offset, uint64_t size, const uint8_t **bytes);

/* For a segment's first record, which itself says where it is. */
#define RECORD_ANYWHERE UINT64_MAX

/* The record at `offset`, which must have `position`. On success *payload is valid until the next call. Otherwise *why
 * says in words what is wrong. Errors: LASH_CORRUPT (no valid record here), LASH_VERSION, LASH_IO, LASH_NOMEM. */
int log_reader_record(struct log_reader *reader, uint64_t offset, uint64_t position, struct record *record,
                      const uint8_t **payload, const char **why);

/* The first record from `offset` on whose header is whole, in its own place, in a file whose first byte has
 * `first_position`. Errors: LASH_NOT_FOUND, LASH_IO, LASH_NOMEM. */
int log_reader_next(struct log_reader *reader, uint64_t offset, uint64_t first_position, struct record *record);

/* What lies behind a place where no valid record is. */
struct log_claims {
    uint64_t durable; /* the furthest durable position that a record there gives; 0: no record */
    uint64_t offset;  /* of that record */
    uint64_t end;     /* offset behind the last record found; where the search began when there is none */
};

/* Look for records from `offset` on that are in their own place, in a file whose first byte has `first_position`.
 * A header that is whole and names its own place is believed; its payload does not matter here.
 * Errors: LASH_IO, LASH_NOMEM. */
int log_reader_claims(struct log_reader *reader, uint64_t offset, uint64_t first_position, struct log_claims *claims);

#endif
