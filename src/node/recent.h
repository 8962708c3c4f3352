/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames at the end of the log that are still in memory: those that wait to
 * be written, those that a peer or the state machine does not have yet, as far as a
 * bound in bytes allows, and a few more. Peers and the state machine are served from
 * here; what is older is read from the log.
 */
#ifndef LASH_NODE_RECENT_H
#define LASH_NODE_RECENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "lash/raft.h"

/* A frame and the entries in it that count: all, but for some at its begin that an earlier frame holds already. */
struct recent_frame {
    struct buf *frame;
    lash_index first;
    lash_index last;
    lash_term term;
    uint32_t kind;
    uint64_t write; /* the core's number for the write that it is part of */
};

struct recent {
    struct recent_frame *slots; /* a ring, consecutive in their indexes */
    size_t capacity;            /* a power of two */
    size_t head;
    size_t count;
    uint64_t bytes;      /* of all frames held */
    uint64_t bytes_max;  /* beyond it, written frames are let go */
    uint64_t bytes_kept; /* at most bytes_max: beyond it, those that are settled */
    lash_index settled;  /* nobody is known to need entries up to here */
    uint64_t written;    /* writes up to this number are in the log */
};

/* Errors: LASH_NOMEM. */
int recent_init(struct recent *recent, uint64_t bytes_max, uint64_t bytes_kept);
void recent_free(struct recent *recent);

/* Make room for `count` frames more. Errors: LASH_NOMEM. */
int recent_reserve(struct recent *recent, size_t count);

/* Hold another reference to the frame, which replaces all from its first index on; room was reserved. */
void recent_push(struct recent *recent, const struct recent_frame *frame);

/* Let all go: the log goes on elsewhere. */
void recent_reset(struct recent *recent);

/* Writes up to `write` are in the log: frames may be let go. */
void recent_written(struct recent *recent, uint64_t write);

/* Nobody is known to need entries up to `index`: frames may be let go. */
void recent_settled(struct recent *recent, lash_index index);

/* The position of the frame that holds `index`; recent->count when none does. */
size_t recent_find(const struct recent *recent, lash_index index);

/* The frame at a position below recent->count; valid until the next push. */
const struct recent_frame *recent_at(const struct recent *recent, size_t position);

/* The first index held; UINT64_MAX when there is none. The log is up to date before it, and perhaps not from it on. */
lash_index recent_first(const struct recent *recent);

#endif
