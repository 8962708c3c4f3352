/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol's bytes: what is encoded is decoded, and nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "lash/error.h"
#include "transport/packet.h"

#define BYTES_MAX 4096

static const struct packet_hello example_hello = {
    .version_min = 1,
    .version_max = 3,
    .cluster_id = 0x1122334455667788,
    .from = 0x8e9e05c52164694d,
    .to = 2,
    .features = 0xf0f0,
    .lane = 1,
    .port = 2380,
    .disk = 0xa1a2a3a4a5a6a7a8,
    .index = 0xb1b2b3b4b5b6b7b8,
};

static const struct packet_reply example_reply = {
    .status = PACKET_NO_COMMON_VERSION,
    .version = 0,
    .version_min = 4,
    .version_max = 6,
    .node_id = 0x0102030405060708,
    .cluster_id = 99,
    .features = 1,
    .index = 0x0a0b0c0d0e0f0102,
};

/* Make the CRC in the last 4 of `size` bytes right again. */
static void seal(uint8_t *bytes, size_t size) {
    le32_put(bytes + size - 4, crc32c(0, bytes, size - 4));
}

static void hello_survives_the_wire(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HELLO_SIZE];
    struct packet_hello hello;
    packet_hello_encode(&example_hello, bytes);
    assert_int_equal(packet_hello_decode(bytes, sizeof bytes, &hello), LASH_OK);
    assert_int_equal(hello.version_min, 1);
    assert_int_equal(hello.version_max, 3);
    assert_true(hello.cluster_id == example_hello.cluster_id && hello.from == example_hello.from);
    assert_true(hello.to == example_hello.to && hello.features == example_hello.features);
    assert_int_equal(hello.lane, 1);
    assert_int_equal(hello.port, 2380);
    assert_true(hello.disk == example_hello.disk && hello.index == example_hello.index);
}

/* The layout is a promise to other versions: the very bytes. */
static void hello_has_the_documented_layout(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HELLO_SIZE];
    packet_hello_encode(&example_hello, bytes);
    assert_memory_equal(bytes, "LASH\x01\x00\x03\x00\x88\x77\x66\x55\x44\x33\x22\x11\x4d\x69\x64\x21\xc5\x05\x9e\x8e",
                        24);
    assert_memory_equal(bytes + 24, "\x02\0\0\0\0\0\0\0\xf0\xf0\0\0\0\0\0\0\x01\0\x4c\x09\xb8\xb7\xb6\xb5", 24);
    assert_memory_equal(bytes + 48, "\xa8\xa7\xa6\xa5\xa4\xa3\xa2\xa1\xb4\xb3\xb2\xb1", 12);
    assert_int_equal(le32_get(bytes + 60), crc32c(0, bytes, 60));
}

static void hello_cut_or_flipped_is_refused(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HELLO_SIZE];
    struct packet_hello hello;
    packet_hello_encode(&example_hello, bytes);
    for (size_t size = 0; size < sizeof bytes; size++)
        assert_int_equal(packet_hello_decode(bytes, size, &hello), LASH_CORRUPT);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(packet_hello_decode(bytes, sizeof bytes, &hello), LASH_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void hello_with_an_empty_version_range_is_refused(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HELLO_SIZE];
    struct packet_hello hello = example_hello;
    hello.version_min = 4;
    packet_hello_encode(&hello, bytes);
    assert_int_equal(packet_hello_decode(bytes, sizeof bytes, &hello), LASH_CORRUPT);
    hello = example_hello;
    hello.version_min = 0;
    packet_hello_encode(&hello, bytes);
    assert_int_equal(packet_hello_decode(bytes, sizeof bytes, &hello), LASH_CORRUPT);
}

static void reserved_bytes_of_a_newer_handshake_are_ignored(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HELLO_SIZE];
    struct packet_hello hello;
    packet_hello_encode(&example_hello, bytes);
    memset(bytes + 44, 0xff, 4);
    memset(bytes + 56, 0xff, 4);
    seal(bytes, sizeof bytes);
    assert_int_equal(packet_hello_decode(bytes, sizeof bytes, &hello), LASH_OK);
    assert_true(hello.features == example_hello.features);
}

static void garbage_is_told_from_a_hello_at_its_first_byte(void **state) {
    (void)state;
    assert_true(packet_hello_begins((const uint8_t *)"", 0));
    assert_true(packet_hello_begins((const uint8_t *)"LA", 2));
    assert_true(packet_hello_begins((const uint8_t *)"LASH\x01", 5));
    assert_false(packet_hello_begins((const uint8_t *)"G", 1));
    assert_false(packet_hello_begins((const uint8_t *)"LASR", 4));
}

static void reply_survives_the_wire(void **state) {
    (void)state;
    uint8_t bytes[PACKET_REPLY_SIZE];
    struct packet_reply reply;
    packet_reply_encode(&example_reply, bytes);
    assert_int_equal(packet_reply_decode(bytes, sizeof bytes, &reply), LASH_OK);
    assert_int_equal(reply.status, PACKET_NO_COMMON_VERSION);
    assert_int_equal(reply.version, 0);
    assert_int_equal(reply.version_min, 4);
    assert_int_equal(reply.version_max, 6);
    assert_true(reply.node_id == example_reply.node_id && reply.cluster_id == 99 && reply.features == 1);
    assert_true(reply.index == example_reply.index);
}

static void reply_cut_or_flipped_is_refused(void **state) {
    (void)state;
    uint8_t bytes[PACKET_REPLY_SIZE];
    struct packet_reply reply;
    packet_reply_encode(&example_reply, bytes);
    for (size_t size = 0; size < sizeof bytes; size++)
        assert_int_equal(packet_reply_decode(bytes, size, &reply), LASH_CORRUPT);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(packet_reply_decode(bytes, sizeof bytes, &reply), LASH_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A socket connected to itself must not take its own hello for an answer. */
static void hello_is_no_reply(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HELLO_SIZE];
    struct packet_reply reply;
    packet_hello_encode(&example_hello, bytes);
    seal(bytes, PACKET_REPLY_SIZE);
    assert_int_equal(packet_reply_decode(bytes, PACKET_REPLY_SIZE, &reply), LASH_CORRUPT);
}

static void common_version_is_the_highest_of_both(void **state) {
    (void)state;
    struct packet_hello hello = {.version_min = 1, .version_max = UINT16_MAX};
    assert_int_equal(packet_common_version(&hello), PACKET_VERSION_MAX);
    hello.version_max = PACKET_VERSION_MIN;
    assert_int_equal(packet_common_version(&hello), PACKET_VERSION_MIN);
    hello = (struct packet_hello){.version_min = PACKET_VERSION_MAX + 1, .version_max = PACKET_VERSION_MAX + 9};
    assert_int_equal(packet_common_version(&hello), 0);
}

static void packet_sizes_are_multiples_of_eight(void **state) {
    (void)state;
    struct packet_header header = {.head_size = 0, .tail_size = 0};
    assert_int_equal(packet_size(&header), 32);
    header = (struct packet_header){.head_size = 1, .tail_size = 8};
    assert_int_equal(packet_size(&header), 48);
    header = (struct packet_header){.head_size = 9, .tail_size = 15};
    assert_int_equal(packet_size(&header), 64);
}

static void packet_header_survives_the_wire(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HEADER_SIZE];
    struct packet_header header;
    packet_header_encode("head", 4, 1000, bytes);
    assert_int_equal(packet_header_decode(bytes, sizeof bytes, BYTES_MAX, &header), LASH_OK);
    assert_int_equal(header.head_size, 4);
    assert_int_equal(header.tail_size, 1000);
    assert_int_equal(header.head_crc, crc32c(0, "head", 4));
}

static void packet_header_cut_or_flipped_is_refused(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HEADER_SIZE];
    struct packet_header header;
    packet_header_encode("head", 4, 1000, bytes);
    for (size_t size = 0; size < sizeof bytes; size++)
        assert_int_equal(packet_header_decode(bytes, size, BYTES_MAX, &header), LASH_CORRUPT);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(packet_header_decode(bytes, sizeof bytes, BYTES_MAX, &header), LASH_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void unknown_flags_are_refused(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HEADER_SIZE];
    struct packet_header header;
    const size_t reserved_at[] = {4, 12};
    for (size_t i = 0; i < 2; i++) {
        packet_header_encode("head", 4, 0, bytes);
        bytes[reserved_at[i]] = 1;
        seal(bytes, sizeof bytes);
        assert_int_equal(packet_header_decode(bytes, sizeof bytes, BYTES_MAX, &header), LASH_CORRUPT);
    }
}

static void sizes_beyond_the_bound_are_refused(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HEADER_SIZE];
    struct packet_header header;
    packet_header_encode("", 0, BYTES_MAX - PACKET_HEADER_SIZE, bytes);
    assert_int_equal(packet_header_decode(bytes, sizeof bytes, BYTES_MAX, &header), LASH_OK);
    const uint64_t tails[] = {BYTES_MAX - PACKET_HEADER_SIZE + 1, BYTES_MAX + 1, UINT64_MAX, UINT64_MAX - 31};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        packet_header_encode("", 0, tails[i], bytes);
        assert_int_equal(packet_header_decode(bytes, sizeof bytes, BYTES_MAX, &header), LASH_TOO_LARGE);
    }
    packet_header_encode("", 0, 0, bytes);
    le32_put(bytes + 8, UINT32_MAX);
    seal(bytes, sizeof bytes);
    assert_int_equal(packet_header_decode(bytes, sizeof bytes, BYTES_MAX, &header), LASH_TOO_LARGE);
}

/* The tail's own bytes are the frame's to check; everything else of the body is checked here. */
static void body_flipped_outside_the_tail_is_refused(void **state) {
    (void)state;
    uint8_t bytes[PACKET_HEADER_SIZE + 16 + 16] = {0};
    const struct packet_header header = {.head_size = 9, .tail_size = 11, .head_crc = crc32c(0, "nine byte", 9)};
    memcpy(bytes + PACKET_HEADER_SIZE, "nine byte", 9);
    memcpy(bytes + PACKET_HEADER_SIZE + 16, "eleven byte", 11);
    assert_int_equal(packet_body_check(&header, bytes), LASH_OK);
    for (size_t at = PACKET_HEADER_SIZE; at < sizeof bytes; at++) {
        bool in_tail = at >= PACKET_HEADER_SIZE + 16 && at < PACKET_HEADER_SIZE + 16 + 11;
        bytes[at] ^= 0x80;
        assert_int_equal(packet_body_check(&header, bytes), in_tail ? LASH_OK : LASH_CORRUPT);
        bytes[at] ^= 0x80;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_survives_the_wire),
        cmocka_unit_test(hello_has_the_documented_layout),
        cmocka_unit_test(hello_cut_or_flipped_is_refused),
        cmocka_unit_test(hello_with_an_empty_version_range_is_refused),
        cmocka_unit_test(reserved_bytes_of_a_newer_handshake_are_ignored),
        cmocka_unit_test(garbage_is_told_from_a_hello_at_its_first_byte),
        cmocka_unit_test(reply_survives_the_wire),
        cmocka_unit_test(reply_cut_or_flipped_is_refused),
        cmocka_unit_test(hello_is_no_reply),
        cmocka_unit_test(common_version_is_the_highest_of_both),
        cmocka_unit_test(packet_sizes_are_multiples_of_eight),
        cmocka_unit_test(packet_header_survives_the_wire),
        cmocka_unit_test(packet_header_cut_or_flipped_is_refused),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(sizes_beyond_the_bound_are_refused),
        cmocka_unit_test(body_flipped_outside_the_tail_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
