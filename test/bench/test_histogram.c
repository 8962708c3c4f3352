/* SPDX-License-Identifier: Apache-2.0
 *
 * The histogram's arithmetic: every value is in one bucket, buckets follow one
 * another without gaps, and quantiles are right within their width.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lashctl/histogram.h"

static struct histogram histogram;
static struct histogram other;

static int clear(void **state) {
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    memset(&other, 0, sizeof other);
    return 0;
}

static void an_empty_one_has_no_quantiles(void **state) {
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 0), 0);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    assert_int_equal(histogram_quantile(&histogram, 1), 0);
}

static void small_values_are_exact(void **state) {
    (void)state;
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(&histogram, value <= 50 ? value : 50);
    assert_int_equal(histogram_quantile(&histogram, 0), 1);
    assert_int_equal(histogram_quantile(&histogram, 0.01), 1);
    assert_int_equal(histogram_quantile(&histogram, 0.25), 25);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 50);
    assert_int_equal(histogram_quantile(&histogram, 0.51), 50);
    assert_int_equal(histogram_quantile(&histogram, 1), 50);
    assert_int_equal(histogram.count, 100);
    assert_int_equal(histogram.max, 50);
}

static void buckets_follow_one_another_without_gaps(void **state) {
    (void)state;
    uint64_t begin = 0;
    unsigned buckets = 0;
    for (;; buckets++) {
        uint64_t end = histogram_bucket_end(begin);
        assert_true(end >= begin);
        assert_int_equal(histogram_bucket_end(end), end);
        /* the width is at most a part of the bucket's own begin */
        assert_true(end - begin <= begin / HISTOGRAM_PARTS);
        if (end == UINT64_MAX)
            break;
        begin = end + 1;
        assert_true(histogram_bucket_end(begin) > end);
    }
    assert_int_equal(buckets + 1, HISTOGRAM_BUCKETS);
}

static void quantiles_are_right_within_a_bucket(void **state) {
    (void)state;
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&histogram, value * 1000);
    static const double fractions[] = {0.01, 0.1, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
        uint64_t wanted = (uint64_t)(fractions[i] * 100000 + 0.5) * 1000;
        uint64_t found = histogram_quantile(&histogram, fractions[i]);
        assert_true(found >= wanted);
        assert_true(found <= wanted + wanted / HISTOGRAM_PARTS);
    }
    assert_int_equal(histogram_quantile(&histogram, 1), 100000 * 1000);
}

static void the_largest_value_counts_too(void **state) {
    (void)state;
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, 0);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    assert_true(histogram_quantile(&histogram, 1) == UINT64_MAX);
}

static void values_up_to_a_bound_are_counted(void **state) {
    (void)state;
    for (uint64_t value = 1; value <= 1000; value++)
        histogram_add(&histogram, value * 1000);
    assert_int_equal(histogram_count_up_to(&histogram, 999), 0);
    assert_int_equal(histogram_count_up_to(&histogram, UINT64_MAX), 1000);
    uint64_t half = histogram_count_up_to(&histogram, 500 * 1000);
    assert_true(half >= 500 && half <= 500 + 500 / HISTOGRAM_PARTS);
}

static void merged_ones_are_as_one(void **state) {
    (void)state;
    for (uint64_t value = 0; value < 1000; value++)
        histogram_add(value % 2 ? &histogram : &other, value);
    histogram_merge(&histogram, &other);
    assert_int_equal(histogram.count, 1000);
    assert_int_equal(histogram.max, 999);
    assert_int_equal(histogram_quantile(&histogram, 0.05), 49);
    assert_int_equal(histogram_quantile(&histogram, 1), 999);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_one_has_no_quantiles, clear),
        cmocka_unit_test_setup(small_values_are_exact, clear),
        cmocka_unit_test_setup(buckets_follow_one_another_without_gaps, clear),
        cmocka_unit_test_setup(quantiles_are_right_within_a_bucket, clear),
        cmocka_unit_test_setup(the_largest_value_counts_too, clear),
        cmocka_unit_test_setup(values_up_to_a_bound_are_counted, clear),
        cmocka_unit_test_setup(merged_ones_are_as_one, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
