/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands in parts: one that is larger than `part_bytes` of struct replica_options goes
 * into the log as consecutive entries of kind PART, each in a frame of its own, and is put
 * together again when they are applied.
 *
 * Each entry's data begins with a head, little-endian: u64 total bytes of the command, u64 offset of
 * this part; what follows are the part's bytes, at least one. All parts have the command's origin and
 * sequence. The first has offset 0, the last ends at the total.
 *
 * The rule, a pure function of the log (docs/protocol.md): a part with offset 0 begins a command. The next
 * of its parts has the same term, origin, sequence and total, and begins where the one before ended. Between
 * parts there may be entries of kind CONFIGURATION of that term, and nothing else: whatever else comes ends what was begun, of
 * which nothing is applied. A part that neither begins nor goes on is written by no leader of
 * this version.
 */
#ifndef LASH_NODE_PARTS_H
#define LASH_NODE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "storage/frame.h"

enum { PARTS_HEAD = 16 };

/* Bytes of a command in one part: as many as small commands share a frame. More would not make the log faster; each hop
 * holds one frame at a time, sends it again after a break, and lets heartbeats, reads and other peers' turns wait while it is encoded. */
#define PARTS_BYTES ((uint64_t)1 << 20)

/* The most bytes of a command; a part that claims more is not believed. */
#define PARTS_TOTAL_MAX ((uint64_t)1 << 30)

/* A part, decoded; `data` points into the entry. */
struct part {
    uint64_t total;
    uint64_t offset;
    const uint8_t *data;
    size_t size;
};

/* How far a command has come; total 0: none is begun. */
struct parts_cursor {
    lash_term term;
    lash_id origin;
    uint64_t sequence;
    uint64_t total;
    uint64_t next; /* bytes so far: the offset of the next part */
};

void parts_encode_head(uint8_t head[PARTS_HEAD], uint64_t total, uint64_t offset);

/* Decode an entry of kind PART. Errors: LASH_CORRUPT. */
int parts_decode(const struct frame_entry *entry, struct part *part);

/* Whether the part is the last of its command. */
bool parts_ends(const struct part *part);

/* Move the cursor over an entry of any kind. For one of kind PART `part` is filled in, and the cursor stays on a command that
 * it ends (next is total) until the entry after it. Errors: LASH_CORRUPT (no leader of this version writes that there). */
int parts_follow(struct parts_cursor *cursor, lash_term term, uint32_t kind, const struct frame_entry *entry,
                 struct part *part);

/* Whether a command is begun and not whole. */
bool parts_pending(const struct parts_cursor *cursor);

/* A command that is being put together. */
struct assembly {
    struct parts_cursor cursor;
    struct buf *command; /* NULL: none is begun */
};

/* Add the part with which `parts_follow` has moved `next`, a copy of the assembly's cursor, on. Errors: LASH_NOMEM, only for the first
 * part of a command; then nothing has changed. */
int assembly_add(struct assembly *assembly, const struct parts_cursor *next, const struct part *part);

/* The command, which is whole, is the caller's. */
struct buf *assembly_take(struct assembly *assembly);

/* Forget what was begun. */
void assembly_drop(struct assembly *assembly);

#endif
