/* SPDX-License-Identifier: Apache-2.0
 *
 * A log-linear histogram of latencies: each power of two is cut into equal
 * parts, so that a quantile is right within 1.6 % from nanoseconds to centuries and
 * adding a value costs a few instructions.
 *
 * Threads: none of its own; its user keeps writers and readers apart.
 */
#ifndef LASH_LASHCTL_HISTOGRAM_H
#define LASH_LASHCTL_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_PART_BITS = 6,
    HISTOGRAM_PARTS = 1 << HISTOGRAM_PART_BITS, /* of a power of two; values below are counted exactly */
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_PART_BITS + 1) * HISTOGRAM_PARTS,
};

/* All zeros is an empty one. */
struct histogram {
    uint64_t count;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* Add all of `from` to `to`. */
void histogram_merge(struct histogram *to, const struct histogram *from);

/* The least value that at least `fraction` (0..1) of all values do not exceed, rounded up to the end of its bucket; 0 when
 * there is no value. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

/* How many values are in the bucket of `value` or below. */
uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t value);

/* The largest value that is counted in the same bucket as `value`. */
uint64_t histogram_bucket_end(uint64_t value);

#endif
