/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters and histograms that one thread adds to while others look: relaxed
 * loads and stores, so that adding costs a few nanoseconds and nobody waits. What is read is
 * never older than what the reader knew before, but sums and counts that belong
 * together may be read apart.
 *
 * The bounds double, as Prometheus likes them; for quantiles of a measurement there is
 * lashctl's log-linear histogram, a hundred times the size.
 */
#ifndef LASH_BASE_METRIC_H
#define LASH_BASE_METRIC_H

#include <stdatomic.h>

#include "lash/metrics.h"

/* Make it by metric_histogram. */
struct metric_histogram {
    uint64_t bound_ns; /* as in struct lash_histogram */
    uint32_t bucket_count;
    _Atomic uint64_t counts[LASH_HISTOGRAM_BUCKETS_MAX + 1];
    _Atomic uint64_t sum_ns;
};

/* An empty histogram. */
void metric_histogram(struct metric_histogram *histogram, uint64_t bound_ns, uint32_t bucket_count);

/* A value came `times` times. */
void metric_observe(struct metric_histogram *histogram, uint64_t ns, uint64_t times);

void metric_copy(const struct metric_histogram *histogram, struct lash_histogram *copy);

/* How many values there were. */
uint64_t metric_total(const struct lash_histogram *histogram);

static inline uint64_t metric_get(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Only one thread ever adds to a counter. */
static inline void metric_add(_Atomic uint64_t *counter, uint64_t n) {
    atomic_store_explicit(counter, metric_get(counter) + n, memory_order_relaxed);
}

#endif
