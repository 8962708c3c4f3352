/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the operations on one key can be put into one order that respects real
 * time and that a single register would have answered in the same way
 * (linearizability, Herlihy and Wing 1990), by Wing and Gong's search with the
 * states seen before cached (Lowe 2017).
 */
#ifndef LASH_LINEAR_LINEAR_H
#define LASH_LINEAR_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#include "linear/history.h"

enum linear_verdict {
    LINEAR_YES,
    LINEAR_NO,
    LINEAR_UNDECIDED /* time or memory ran out first */
};

/* The register's value at first, when it is not known: the first operation that depends on it decides. */
#define LINEAR_ANY UINT32_MAX

/* The limits of a search. */
struct linear_limits {
    uint64_t deadline;  /* CLOCK_MONOTONIC, in nanoseconds; 0: none */
    size_t cache_bytes; /* for states seen before */
};

/* Whether the deadline (as in the limits) has passed; looks at the clock once in a few thousand calls, which *steps counts. */
bool linear_out_of_time(uint64_t deadline, uint64_t *steps);

/* Judge `count` operations on one key, sorted by start. */
enum linear_verdict linear_check(const struct history_op *ops, size_t count, uint32_t initial,
                                 const struct linear_limits *limits);

/* A smallest window of operations that cannot be linearized, out of `count` that cannot: copied to `window`, which has
 * room for `count`, as linear_check takes them. Returns how many; *initial is the value to begin with: `initial`, or
 * LINEAR_ANY when the window does not depend on it. An operation that ends behind the window counts as unknown there. */
size_t linear_window(const struct history_op *ops, size_t count, const struct linear_limits *limits,
                     struct history_op *window, uint32_t *initial);

#endif
