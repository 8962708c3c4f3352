/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the disk is slow: a job of the log has been out for long, or what they take,
 * smoothed, is much. A slow replica leaves leading to others (raft/priority.c). By the
 * replica's clock, so that simulations see the same; measured from the loop thread's side,
 * as that is what those wait who wait for the disk.
 */
#ifndef LASH_NODE_SLOWNESS_H
#define LASH_NODE_SLOWNESS_H

#include <stdbool.h>
#include <stdint.h>

struct replica;

struct slowness {
    uint64_t since_ms;    /* when the job that is out began */
    uint64_t smoothed_us; /* what a write takes */
    uint64_t probe_at_ms; /* slow: when a disk without writes is tried */
    bool slow;            /* the core was told */
};

/* A job of the log goes out. */
void slowness_begin(struct replica *replica);

/* It is back; `wrote`: it was a write with its sync, and succeeded. */
void slowness_end(struct replica *replica, bool wrote);

/* Whether a write is due that serves nothing but to find out whether the disk is slow still; if so, the next is due later. */
bool slowness_probe(struct replica *replica);

/* Tell the core what has changed. */
void slowness_turn(struct replica *replica);
uint64_t slowness_deadline(const struct replica *replica);

#endif
