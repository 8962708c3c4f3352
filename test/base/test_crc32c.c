/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C against published values, against its definition, and one
 * implementation against the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/crc32c.h"

#define DATA_SIZE 5000

static uint8_t data[DATA_SIZE];

/* Bytes without a pattern, the same on every run. */
static int fill_data(void **state) {
    (void)state;
    uint32_t value = 1;
    for (size_t i = 0; i < DATA_SIZE; i++) {
        value = value * 1664525 + 1013904223;
        data[i] = (uint8_t)(value >> 24);
    }
    return 0;
}

static uint32_t crc32c_by_definition(uint32_t crc, const uint8_t *bytes, size_t size) {
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78U : 0);
    }
    return ~crc;
}

static void published_values(void **state) {
    (void)state;
    /* RFC 3720, B.4, and the check value of the polynomial. */
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t rising[32];
    uint8_t falling[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) {
        rising[i] = (uint8_t)i;
        falling[i] = (uint8_t)(31 - i);
    }
    const struct {
        const void *bytes;
        size_t size;
        uint32_t crc;
    } cases[] = {
        {zeros, 32, 0x8a9136aaU},   {ones, 32, 0x62a8ab43U},       {rising, 32, 0x46dd794eU},
        {falling, 32, 0x113fdb5cU}, {"123456789", 9, 0xe3069283U}, {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(crc32c(0, cases[i].bytes, cases[i].size), cases[i].crc);
    }
}

static void every_size_agrees_with_the_definition(void **state) {
    (void)state;
    for (size_t size = 0; size <= 1700; size++) {
        uint32_t expected = crc32c_by_definition(0, data, size);
        assert_int_equal(crc32c(0, data, size), expected);
    }
}

static void every_alignment_agrees_with_the_definition(void **state) {
    (void)state;
    for (size_t offset = 0; offset < 16; offset++) {
        uint32_t expected = crc32c_by_definition(7, data + offset, DATA_SIZE - 16);
        assert_int_equal(crc32c(7, data + offset, DATA_SIZE - 16), expected);
    }
}

static void a_crc_continues_across_any_cut(void **state) {
    (void)state;
    uint32_t whole = crc32c(0, data, 2000);
    for (size_t cut = 0; cut <= 2000; cut++) {
        assert_int_equal(crc32c(crc32c(0, data, cut), data + cut, 2000 - cut), whole);
    }
}

static void two_pieces_join_to_the_whole(void **state) {
    (void)state;
    for (size_t size = 0; size <= DATA_SIZE; size += size < 700 ? 1 : 997)
        for (size_t cut = 0; cut <= size; cut += 1 + size / 37)
            assert_int_equal(crc32c_join(crc32c(0, data, cut), crc32c(0, data + cut, size - cut), size - cut),
                             crc32c(0, data, size));
    /* 64 MiB and more of zeros, by halves */
    uint32_t zeros = crc32c(0, (const uint8_t[64]){0}, 64);
    uint32_t doubled = zeros;
    for (size_t size = 64; size < (size_t)1 << 28; size *= 2)
        doubled = crc32c_join(doubled, doubled, size);
    static const uint8_t block[1 << 16];
    uint32_t expected = 0;
    for (size_t i = 0; i < 1 << 12; i++)
        expected = crc32c(expected, block, sizeof block);
    assert_int_equal(doubled, expected);
}

static void every_flipped_bit_shows(void **state) {
    (void)state;
    uint32_t whole = crc32c(0, data, 1000);
    for (size_t bit = 0; bit < (size_t)8 * 1000; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        assert_int_not_equal(crc32c(0, data, 1000), whole);
        data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values),
        cmocka_unit_test(every_size_agrees_with_the_definition),
        cmocka_unit_test(every_alignment_agrees_with_the_definition),
        cmocka_unit_test(a_crc_continues_across_any_cut),
        cmocka_unit_test(two_pieces_join_to_the_whole),
        cmocka_unit_test(every_flipped_bit_shows),
    };
    return cmocka_run_group_tests(tests, fill_data, NULL);
}
