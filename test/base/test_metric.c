/* SPDX-License-Identifier: Apache-2.0
 *
 * Histograms with doubling bounds.
 */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metric.h"

static uint32_t only_bucket(const struct lash_histogram *copy) {
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i <= LASH_HISTOGRAM_BUCKETS_MAX; i++) {
        if (copy->counts[i] == 0)
            continue;
        assert_int_equal(found, UINT32_MAX);
        found = i;
    }
    return found;
}

/* The bucket that a single value falls into. */
static uint32_t bucket_of(uint64_t ns) {
    struct metric_histogram histogram;
    struct lash_histogram copy;
    metric_histogram(&histogram, 1000, 14);
    metric_observe(&histogram, ns, 1);
    metric_copy(&histogram, &copy);
    assert_int_equal(copy.sum_ns, ns);
    assert_int_equal(metric_total(&copy), 1);
    return only_bucket(&copy);
}

static void a_value_falls_into_the_first_bucket_whose_bound_it_does_not_exceed(void **state) {
    (void)state;
    assert_int_equal(bucket_of(0), 0);
    assert_int_equal(bucket_of(1), 0);
    for (uint32_t i = 0; i < 14; i++) {
        uint64_t bound = (uint64_t)1000 << i;
        assert_int_equal(bucket_of(bound - 1), i);
        assert_int_equal(bucket_of(bound), i);
        assert_int_equal(bucket_of(bound + 1), i + 1);
    }
}

static void what_exceeds_all_bounds_is_counted_apart(void **state) {
    (void)state;
    assert_int_equal(bucket_of(((uint64_t)1000 << 13) + 1), 14);
    assert_int_equal(bucket_of((uint64_t)1000 << 20), 14);
    assert_int_equal(bucket_of(UINT64_MAX), 14);
}

static void a_value_counts_as_often_as_it_came(void **state) {
    struct metric_histogram histogram;
    struct lash_histogram copy;
    (void)state;
    metric_histogram(&histogram, 100000, 16);
    metric_observe(&histogram, 50000, 3);
    metric_observe(&histogram, 100000, 0);
    metric_observe(&histogram, 150000, 2);
    metric_copy(&histogram, &copy);
    assert_int_equal(copy.bound_ns, 100000);
    assert_int_equal(copy.bucket_count, 16);
    assert_int_equal(copy.counts[0], 3);
    assert_int_equal(copy.counts[1], 2);
    assert_int_equal(metric_total(&copy), 5);
    assert_int_equal(copy.sum_ns, 450000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_falls_into_the_first_bucket_whose_bound_it_does_not_exceed),
        cmocka_unit_test(what_exceeds_all_bounds_is_counted_apart),
        cmocka_unit_test(a_value_counts_as_often_as_it_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
