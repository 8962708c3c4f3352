/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame: a batch of consecutive entries of one term and kind, encoded once
 * by the leader. The same bytes travel to every follower and lie in every log.
 *
 * All little-endian. Header, 64 bytes:
 *   0  u32 magic "LFRM"        4  u16 version (1)   6  u16 kind (enum lash_entry_kind)
 *   8  u64 group              16  u64 first index  24  u64 term
 *  32  u32 count              36  u32 flags (1: hollow) 40  u64 body size in bytes
 *  48  u64 reserved (0)       56  u32 CRC32C of the body   60  u32 CRC32C of bytes 0..59
 * Body: `count` entries, each
 *   0  u32 size of data        4  u32 CRC32C of the rest of this entry's header and its data
 *   8  u64 origin (the proposing node; 0: none)    16  u64 sequence (its number for the proposal)
 *  24  data, then zeros up to a multiple of 8
 * A hollow frame is what a witness holds of one: the same entries without their data. Who lacks data must not take it for whole.
 * The body's CRC makes one pass enough for the wire; an entry's own lets it be checked wherever it goes alone.
 */
#ifndef LASH_STORAGE_FRAME_H
#define LASH_STORAGE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "lash/raft.h"

enum { FRAME_HEADER_SIZE = 64, FRAME_ENTRY_SIZE = 24, FRAME_VERSION = 1 };
#define FRAME_BODY_MAX ((uint64_t)256 << 20) /* a longer body is not believed */

/* A frame's header, decoded. */
struct frame {
    uint64_t group;
    lash_index first;
    lash_term term;
    uint32_t count;
    uint32_t kind;
    uint64_t body_size;
    bool hollow; /* its entries' data was left out */
};

/* One entry of a frame; `data` points into the frame. */
struct frame_entry {
    lash_index index;
    uint64_t origin;
    uint64_t sequence;
    const uint8_t *data;
    size_t size;
};

/* An entry to encode. */
struct frame_input {
    uint64_t origin;
    uint64_t sequence;
    const void *data;
    size_t size;
};

/* Bytes that an entry with `size` bytes of data takes in a body. */
size_t frame_entry_space(size_t size);

/* Encode `count` >= 1 inputs into a new buffer (one reference, the caller's) that holds header and body.
 * Errors: LASH_NOMEM, LASH_TOO_LARGE. */
int frame_encode(uint64_t group, lash_index first, lash_term term, uint32_t kind, const struct frame_input *inputs,
                 uint32_t count, struct buf **frame);

/* Read and check the header at `data` (64 bytes are there). Errors: LASH_CORRUPT, LASH_VERSION. */
int frame_header(const uint8_t *data, struct frame *frame);

/* Check a whole frame in `data`, of which `size` bytes are there: header, body CRC, entries' bounds and CRCs. On
 * success *used is its length. Trusts nothing. Errors: LASH_CORRUPT, LASH_VERSION. */
int frame_check(const uint8_t *data, size_t size, struct frame *frame, size_t *used);

/* As frame_check, of one frame that is all of the bytes, whose checksum was found to be `crc`: if the checksum that the frame carries of
 * its body belongs to them, it cannot fail, and nor can those of the entries below it. */
int frame_check_summed(const uint8_t *data, size_t size, uint32_t crc, struct frame *frame, size_t *used);

/* The checksum of all bytes of a frame that was checked, from those that it carries: bits that have turned in memory since do not fit
 * it. */
uint32_t frame_crc(const uint8_t *data, size_t size);

/* What a witness is sent of a whole frame: a new one without the entries' data, marked as such, or another reference if there is
 * none to leave out, or it is a membership, which every member needs. The caller's. Errors: LASH_NOMEM. */
int frame_hollow(struct buf *frame, struct buf **hollow);

/* Walk the entries of a frame that was checked: start with *offset 0; false at the end. Leave *offset and *entry alone
 * from call to call: the next index follows from them. */
bool frame_next(const uint8_t *data, const struct frame *frame, size_t *offset, struct frame_entry *entry);

#endif
