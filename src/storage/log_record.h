/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of the log, as bytes. docs/log-format.md has the whole picture.
 *
 * All little-endian. Header, 64 bytes:
 *   0  u32 magic "LREC"     4  u16 version (1)     6  u16 type (enum record_type)
 *   8  u32 flags           12  u32 checksum of the record before (0 for a log's very first)
 *  16  u64 position: where this record begins, in bytes since the log began
 *  24  u64 durable: up to this position the log was durable when this record was written
 *  32  u64 a               40  u64 b               (by type, see below)
 *  48  u64 size of the payload in bytes
 *  56  u32 CRC32C of the payload                  60  u32 CRC32C of bytes 0..59, begun with the log's salt; that of a
 *                                                    segment's first record, which tells the salt, begins with 0
 * The payload follows. Records of one append follow one another at multiples of 8 bytes, and the last of them has
 * RECORD_END set; the next append begins at the next multiple of RECORD_SECTOR, so that no write ever touches a sector
 * that holds durable bytes. Only an append that is whole counts.
 */
#ifndef LASH_STORAGE_LOG_RECORD_H
#define LASH_STORAGE_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lash/raft.h"
#include "storage/frame.h"

enum { RECORD_HEADER_SIZE = 64, RECORD_VERSION = 1, RECORD_SECTOR = 512 };

/* No payload is longer: that of a frame, or a segment's identity. */
#define RECORD_PAYLOAD_MAX (FRAME_BODY_MAX + FRAME_HEADER_SIZE)

enum record_type {
    RECORD_SEGMENT =
        1, /* a segment's first; a: its number; b: the file's size; payload: struct record_segment, identity */
    RECORD_FRAME = 2, /* a: the first index that counts; payload: a frame */
    RECORD_VOTE = 3,  /* a: term; b: vote */
    RECORD_TRIM = 4,  /* a: the log's first index from now on; b: the term of the index before it */
    RECORD_MARK = 5,  /* nothing but its durable position */
    RECORD_RESET = 6, /* as TRIM, but what lies behind is dropped as well: the log begins anew there */
};

enum { RECORD_END = 1 }; /* flag: the last record of an append */

struct record {
    uint32_t type;
    uint32_t flags;
    uint32_t prev_crc;
    uint64_t position;
    uint64_t durable;
    uint64_t a;
    uint64_t b;
    uint64_t size;
    uint32_t payload_crc;
    uint32_t crc; /* this record's checksum, which the next one carries */
};

/* What a segment record's payload says, besides the identity: whose log it is, and the log's state where the segment
 * begins, so that earlier segments can go.
 *   0 u64 cluster   8 u64 node   16 u64 group   24 u64 term   32 u64 vote   40 u64 last index   48 u64 last term
 *  56 u64 first index   64 u64 term before it   72 u32 identity size   76 u32 salt   80 identity */
struct record_segment {
    uint64_t cluster_id;
    uint64_t node_id;
    uint64_t group;
    lash_term term;
    lash_id vote;
    lash_index last_index;
    lash_term last_term;
    lash_index first_index;
    lash_term prev_term;
    uint32_t salt;           /* where the checksums of the other records' headers begin */
    const uint8_t *identity; /* in the payload */
    uint32_t identity_size;
};

enum { RECORD_SEGMENT_SIZE = 80 }; /* without the identity */

/* Write the header at `at`; sets record->crc. `salt`: see above. */
void record_encode(uint8_t *at, uint32_t salt, struct record *record);

/* Read a header and check everything that can be checked without knowing its place. Errors: LASH_CORRUPT, LASH_VERSION
 * (its checksum is right, but it is of another version or an unknown type; every version keeps magic, version,
 * prev_crc, position and checksum where they are). */
int record_decode(const uint8_t *at, uint32_t salt, struct record *record);

/* Where the next record begins: the next multiple of 8, or after an append's end, of RECORD_SECTOR. */
uint64_t record_end(const struct record *record);

/* Write RECORD_SEGMENT_SIZE + identity_size bytes. */
void record_segment_encode(uint8_t *at, const struct record_segment *segment);

/* Errors: LASH_CORRUPT. */
int record_segment_decode(const uint8_t *payload, uint64_t size, struct record_segment *segment);

/* Put right the one bit that is wrong in segment `number`'s first record, whose bytes these are, header and payload: `size`
 * of them, or fewer but no fewer than `size_min`. No guess: whatever else has the right checksums is three bits away or more. False, and
 * nothing is changed: more than a bit is wrong. *record_size gets the size of header and payload. */
bool record_segment_mend(uint8_t *bytes, size_t size_min, size_t size, uint64_t number, size_t *record_size);

/* "frame", "vote", ... */
const char *record_type_name(uint32_t type);

static inline uint64_t record_align(uint64_t size, uint64_t alignment) {
    return (size + alignment - 1) & ~(alignment - 1);
}

#endif
