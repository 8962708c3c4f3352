/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: encoding, the exact bytes, and that nothing damaged is accepted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "storage/frame.h"

static struct buf *three_entries(void) {
    const struct frame_input inputs[3] = {{1, 10, "alpha", 5}, {2, 11, NULL, 0}, {3, 12, "12345678", 8}};
    struct buf *frame;
    assert_int_equal(frame_encode(7, 100, 5, LASH_ENTRY_COMMAND, inputs, 3, &frame), LASH_OK);
    return frame;
}

static void entries_come_back(void **state) {
    (void)state;
    struct buf *buf = three_entries();
    struct frame frame;
    size_t used;
    assert_int_equal(frame_check(buf->data, buf->size, &frame, &used), LASH_OK);
    assert_int_equal(used, buf->size);
    assert_int_equal(frame.group, 7);
    assert_int_equal(frame.first, 100);
    assert_int_equal(frame.term, 5);
    assert_int_equal(frame.count, 3);
    assert_int_equal(frame.kind, LASH_ENTRY_COMMAND);
    static const char *const data[3] = {"alpha", "", "12345678"};
    size_t offset = 0;
    struct frame_entry entry;
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(frame_next(buf->data, &frame, &offset, &entry));
        assert_int_equal(entry.index, 100 + i);
        assert_int_equal(entry.origin, 1 + i);
        assert_int_equal(entry.sequence, 10 + i);
        assert_int_equal((int)entry.size, (int)strlen(data[i]));
        assert_memory_equal(entry.data, data[i], entry.size);
    }
    assert_false(frame_next(buf->data, &frame, &offset, &entry));
    buf_unref(buf);
}

/* The format is for ever: these bytes were written down when version 1 was made. */
static void the_bytes_are_those_of_version_1(void **state) {
    (void)state;
    static const char golden[] = "4c46524d01000000" /* magic, version, kind */
                                 "0700000000000000" /* group */
                                 "6400000000000000" /* first index */
                                 "0500000000000000" /* term */
                                 "0300000000000000" /* count */
                                 "5800000000000000" /* body size */
                                 "0000000000000000"
                                 "e2e0b60fbd31aeb6" /* CRCs of body and header */
                                 "0500000023bb2e59" /* size, CRC */
                                 "0100000000000000"
                                 "0a00000000000000"
                                 "616c706861000000"
                                 "0000000080b84ec4"
                                 "0200000000000000"
                                 "0b00000000000000"
                                 "0800000043b34a9d"
                                 "0300000000000000"
                                 "0c00000000000000"
                                 "3132333435363738";
    struct buf *buf = three_entries();
    char hex[2 * 256 + 1];
    assert_int_equal(2 * buf->size, sizeof golden - 1);
    for (size_t i = 0; i < buf->size; i++)
        snprintf(hex + 2 * i, 3, "%02x", buf->data[i]);
    assert_string_equal(hex, golden);
    buf_unref(buf);
}

static void every_flipped_bit_is_noticed(void **state) {
    (void)state;
    struct buf *buf = three_entries();
    struct frame frame;
    size_t used;
    for (size_t bit = 0; bit < 8 * buf->size; bit++) {
        buf->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(frame_check(buf->data, buf->size, &frame, &used), LASH_OK);
        buf->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_unref(buf);
}

static void the_checksum_of_all_bytes_is_known_without_reading_them(void **state) {
    (void)state;
    struct buf *buf = three_entries();
    uint32_t crc = crc32c(0, buf->data, buf->size);
    assert_int_equal(frame_crc(buf->data, buf->size), crc);
    buf->data[buf->size - 9] ^= 1; /* in memory, after it was checked */
    assert_int_equal(frame_crc(buf->data, buf->size), crc);
    buf_unref(buf);
}

/* Of bytes whose own checksum is right those of the frame need not be: they may have turned before they were summed. */
static void a_frame_is_not_believed_for_its_records_checksum(void **state) {
    (void)state;
    struct buf *buf = three_entries();
    struct frame frame;
    size_t used;
    uint32_t crc = crc32c(0, buf->data, buf->size);
    assert_int_equal(frame_check_summed(buf->data, buf->size, crc, &frame, &used), LASH_OK);
    assert_int_equal(frame.count, 3);
    assert_int_equal(frame_check_summed(buf->data, buf->size, crc ^ 1, &frame, &used), LASH_CORRUPT);
    for (size_t bit = 0; bit < 8 * buf->size; bit++) {
        buf->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        crc = crc32c(0, buf->data, buf->size);
        assert_int_not_equal(frame_check_summed(buf->data, buf->size, crc, &frame, &used), LASH_OK);
        buf->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_unref(buf);
}

static void every_truncation_is_noticed(void **state) {
    (void)state;
    struct buf *buf = three_entries();
    for (size_t size = 0; size < buf->size; size++) {
        uint8_t *exact = malloc(size + 1); /* so that ASan sees a read beyond */
        memcpy(exact, buf->data, size);
        struct frame frame;
        size_t used;
        assert_int_equal(frame_check(exact, size, &frame, &used), LASH_CORRUPT);
        free(exact);
    }
    buf_unref(buf);
}

/* Set the checksums of a frame right after it was tampered with. */
static void seal(struct buf *buf) {
    le32_put(buf->data + 56, crc32c(0, buf->data + FRAME_HEADER_SIZE, buf->size - FRAME_HEADER_SIZE));
    le32_put(buf->data + 60, crc32c(0, buf->data, 60));
}

static int check(const struct buf *buf) {
    struct frame frame;
    size_t used;
    return frame_check(buf->data, buf->size, &frame, &used);
}

static void lies_with_right_checksums_are_not_believed(void **state) {
    (void)state;
    struct buf *buf = three_entries();
    le32_put(buf->data + 32, 2); /* fewer entries than the body has */
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    le32_put(buf->data + 32, 4); /* more */
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    le32_put(buf->data + 32, 0);
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    le32_put(buf->data + 32, 3);
    le32_put(buf->data + FRAME_HEADER_SIZE, UINT32_MAX); /* an entry beyond the body */
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    le32_put(buf->data + FRAME_HEADER_SIZE, 5);
    le64_put(buf->data + 40, FRAME_BODY_MAX + 1);
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    le64_put(buf->data + 40, buf->size - FRAME_HEADER_SIZE);
    buf->data[FRAME_HEADER_SIZE + FRAME_ENTRY_SIZE] ^= 1; /* an entry that its own checksum disowns */
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    buf->data[FRAME_HEADER_SIZE + FRAME_ENTRY_SIZE] ^= 1;
    le64_put(buf->data + 16, 0); /* index 0 stands before the log */
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    le64_put(buf->data + 16, UINT64_MAX - 1); /* indexes that wrap */
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    le64_put(buf->data + 16, 100);
    seal(buf);
    assert_int_equal(check(buf), LASH_OK);
    buf_unref(buf);
}

static void a_newer_version_is_told_from_damage(void **state) {
    (void)state;
    struct buf *buf = three_entries();
    le16_put(buf->data + 4, FRAME_VERSION + 1);
    seal(buf);
    assert_int_equal(check(buf), LASH_VERSION);
    le16_put(buf->data + 4, FRAME_VERSION);
    le32_put(buf->data + 36, 2);
    seal(buf);
    assert_int_equal(check(buf), LASH_VERSION);
    buf_unref(buf);
}

/* What a witness gets: all that there is to know of the entries but what they hold. */
static void a_hollow_frame_has_the_entries_and_none_of_their_data(void **state) {
    (void)state;
    struct buf *buf = three_entries();
    struct buf *hollow;
    struct buf *same;
    struct frame frame;
    struct frame_entry entry;
    size_t used;
    size_t offset = 0;
    assert_int_equal(frame_hollow(buf, &hollow), LASH_OK);
    assert_int_equal(frame_check(hollow->data, hollow->size, &frame, &used), LASH_OK);
    assert_true(frame.hollow);
    assert_int_equal(used, FRAME_HEADER_SIZE + 3 * FRAME_ENTRY_SIZE);
    assert_true(frame.group == 7 && frame.first == 100 && frame.term == 5 && frame.kind == LASH_ENTRY_COMMAND);
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(frame_next(hollow->data, &frame, &offset, &entry));
        assert_true(entry.index == 100 + i && entry.origin == 1 + i && entry.sequence == 10 + i && entry.size == 0);
    }
    assert_false(frame_next(hollow->data, &frame, &offset, &entry));
    /* There is nothing to leave out of it a second time, nor may one hold anything. */
    assert_int_equal(frame_hollow(hollow, &same), LASH_OK);
    assert_ptr_equal(same, hollow);
    buf_unref(same);
    buf_unref(hollow);
    le32_put(buf->data + 36, 1);
    seal(buf);
    assert_int_equal(check(buf), LASH_CORRUPT);
    buf_unref(buf);
}

static void memberships_are_left_in_a_hollow_frame(void **state) {
    (void)state;
    const struct frame_input input = {1, 10, "members", 7};
    struct buf *buf;
    struct buf *hollow;
    assert_int_equal(frame_encode(7, 1, 1, LASH_ENTRY_CONFIGURATION, &input, 1, &buf), LASH_OK);
    assert_int_equal(frame_hollow(buf, &hollow), LASH_OK);
    assert_ptr_equal(hollow, buf);
    buf_unref(hollow);
    buf_unref(buf);
}

static void too_much_is_refused(void **state) {
    (void)state;
    static const uint8_t byte;
    struct frame_input inputs[2] = {{0, 0, &byte, FRAME_BODY_MAX - FRAME_ENTRY_SIZE}, {0, 0, &byte, 1}};
    struct buf *frame;
    assert_int_equal(frame_encode(0, 1, 1, LASH_ENTRY_COMMAND, inputs, 2, &frame), LASH_TOO_LARGE);
    inputs[0].size = SIZE_MAX - 3;
    assert_int_equal(frame_encode(0, 1, 1, LASH_ENTRY_COMMAND, inputs, 1, &frame), LASH_TOO_LARGE);
}

static void memory_that_runs_out_is_an_error(void **state) {
    (void)state;
    const struct frame_input input = {0, 0, "x", 1};
    struct buf *frame;
    mem_fail_after(1);
    assert_int_equal(frame_encode(0, 1, 1, LASH_ENTRY_NOOP, &input, 1, &frame), LASH_NOMEM);
    mem_fail_after(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(the_bytes_are_those_of_version_1),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(the_checksum_of_all_bytes_is_known_without_reading_them),
        cmocka_unit_test(a_frame_is_not_believed_for_its_records_checksum),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(lies_with_right_checksums_are_not_believed),
        cmocka_unit_test(a_newer_version_is_told_from_damage),
        cmocka_unit_test(a_hollow_frame_has_the_entries_and_none_of_their_data),
        cmocka_unit_test(memberships_are_left_in_a_hollow_frame),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
