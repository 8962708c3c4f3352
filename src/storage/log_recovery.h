/* SPDX-License-Identifier: Apache-2.0
 *
 * Recovery's state, which outlives log_open while the log waits for what it lacks,
 * and what its files do for one another: log_recover.c reads and decides,
 * log_salvage.c looks at damage, log_repair.c puts things right.
 */
#ifndef LASH_STORAGE_LOG_RECOVERY_H
#define LASH_STORAGE_LOG_RECOVERY_H

#include "storage/log_reader.h"
#include "storage/log_state.h"

/* A record of an append whose end has not been seen yet. */
struct staged {
    struct record record;
    struct frame frame; /* of a frame record */
    bool damaged;       /* the frame is, but for its header */
};

/* A segment's first record. */
struct head {
    struct record record;
    struct record_segment state; /* `identity` is gone */
};

/* A record that cannot be read and without which recovery cannot go on. */
struct gap {
    struct log_segment *segment; /* in use; NULL: there is none */
    bool header;                 /* the record's header is whole: `record` */
    struct record record;        /* else only prev_crc and position are known */
    uint64_t end;                /* without a header: where the next record begins, */
    uint32_t crc;                /* and what that says is this one's checksum */
    lash_index index;            /* of the entry whose frame is wanted */
};

struct recovery {
    struct log *log;
    struct log_reader reader;
    uint64_t *sequences; /* of the segments found, in order */
    size_t sequence_count;
    uint64_t *recycled; /* of the recycled files found */
    size_t recycled_count;
    bool new_found;  /* a segment was being made */
    bool list_nomem; /* memory ran out while listing */
    struct head *heads;
    struct staged *staged;
    size_t staged_count;
    size_t staged_capacity;
    size_t segment;    /* the one being replayed */
    bool begun;        /* its first record has been dealt with; it is in use */
    uint64_t position; /* of the record looked at */
    uint32_t chain;    /* checksum of the one before */
    uint64_t durable;  /* the furthest durable position that was claimed behind an invalid record */
    struct gap gap;
};

/* ---- log_recover.c ------------------------------------------------------------------------------ */

/* Report, and pass on `rc`. `sequence` 0: not about one segment. */
int recovery_fail(const struct log *log, int rc, uint64_t sequence, uint64_t offset, const char *why);

/* The record at recovery->position is `staged`: go on behind it. Errors: as log_open. */
int recovery_take(struct recovery *recovery, struct log_segment *segment, const struct staged *staged);

/* ---- log_salvage.c ------------------------------------------------------------------------------ */

/* The record at recovery->position is not valid although it was durable, because of `why`. LASH_OK: it was put right, or
 * is known to be a frame that is missing, and recovery goes on. Errors: LASH_DAMAGED (recovery->gap says what is needed to
 * go on), LASH_CORRUPT (nothing can be done), LASH_IO, LASH_NOMEM. */
int salvage_record(struct recovery *recovery, struct log_segment *segment, const char *why);

/* The same for a segment's first record. Errors: LASH_CORRUPT (it is as it was), LASH_IO, LASH_NOMEM. */
int salvage_head(struct recovery *recovery, struct log_segment *segment);

/* The header of a record in the gap with this payload: the one whose checksum the next record gives. False when
 * there is none, or more than one. */
bool salvage_fit(const struct recovery *recovery, const struct gap *gap, uint32_t type, const uint8_t *payload,
                 uint64_t size, struct record *record);

/* ---- log_repair.c ------------------------------------------------------------------------------- */

/* Write `size` bytes into a file in use where they are not there yet, sector by sector, and sync it. */
int repair_write(struct log *log, const struct log_segment *segment, uint64_t offset, const uint8_t *bytes,
                 uint64_t size);

#endif
