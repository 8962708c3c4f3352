/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bucket a duration falls into: how often the first bound has to be doubled
 * to reach it is the number of bits of what it holds of that bound.
 */
#include "base/metric.h"

#include "base/assert.h"

void metric_histogram(struct metric_histogram *histogram, uint64_t bound_ns, uint32_t bucket_count) {
    LASH_ASSERT(bound_ns > 0 && bucket_count >= 1 && bucket_count <= LASH_HISTOGRAM_BUCKETS_MAX);
    histogram->bound_ns = bound_ns;
    histogram->bucket_count = bucket_count;
    for (uint32_t i = 0; i <= LASH_HISTOGRAM_BUCKETS_MAX; i++)
        atomic_init(&histogram->counts[i], 0);
    atomic_init(&histogram->sum_ns, 0);
}

static uint32_t metric_bucket(const struct metric_histogram *histogram, uint64_t ns) {
    if (ns <= histogram->bound_ns)
        return 0;
    /* A bound is within its bucket: hence the 1. */
    uint32_t bucket = 64u - (uint32_t)__builtin_clzll((ns - 1) / histogram->bound_ns);
    return bucket < histogram->bucket_count ? bucket : histogram->bucket_count;
}

void metric_observe(struct metric_histogram *histogram, uint64_t ns, uint64_t times) {
    metric_add(&histogram->counts[metric_bucket(histogram, ns)], times);
    metric_add(&histogram->sum_ns, ns * times);
}

void metric_copy(const struct metric_histogram *histogram, struct lash_histogram *copy) {
    *copy = (struct lash_histogram){.bound_ns = histogram->bound_ns,
                                    .bucket_count = histogram->bucket_count,
                                    .sum_ns = metric_get(&histogram->sum_ns)};
    for (uint32_t i = 0; i <= histogram->bucket_count; i++)
        copy->counts[i] = metric_get(&histogram->counts[i]);
}

uint64_t metric_total(const struct lash_histogram *histogram) {
    uint64_t total = 0;
    for (uint32_t i = 0; i <= histogram->bucket_count; i++)
        total += histogram->counts[i];
    return total;
}
