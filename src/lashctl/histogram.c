/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bucket a value falls into: its highest set bit chooses the power of two, the
 * bits below it the part.
 */
#include "lashctl/histogram.h"

#include "base/assert.h"

static size_t bucket_of(uint64_t value) {
    if (value < HISTOGRAM_PARTS)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_PART_BITS;
    return (size_t)(shift + 1) * HISTOGRAM_PARTS + (size_t)((value >> shift) - HISTOGRAM_PARTS);
}

static uint64_t end_of(size_t bucket) {
    if (bucket < HISTOGRAM_PARTS)
        return bucket;
    unsigned shift = (unsigned)(bucket / HISTOGRAM_PARTS - 1);
    uint64_t part = bucket % HISTOGRAM_PARTS + HISTOGRAM_PARTS;
    return (part << shift) + (((uint64_t)1 << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    size_t bucket = bucket_of(value);
    LASH_ASSERT(bucket < HISTOGRAM_BUCKETS);
    histogram->buckets[bucket]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

void histogram_merge(struct histogram *to, const struct histogram *from) {
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
        to->buckets[bucket] += from->buckets[bucket];
    to->count += from->count;
    if (from->max > to->max)
        to->max = from->max;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction) {
    LASH_ASSERT(fraction >= 0 && fraction <= 1);
    double wanted = fraction * (double)histogram->count;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen > 0 && (double)seen >= wanted)
            return end_of(bucket) < histogram->max ? end_of(bucket) : histogram->max;
    }
    return histogram->max;
}

uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t value) {
    uint64_t count = 0;
    for (size_t bucket = 0; bucket <= bucket_of(value); bucket++)
        count += histogram->buckets[bucket];
    return count;
}

uint64_t histogram_bucket_end(uint64_t value) {
    return end_of(bucket_of(value));
}
