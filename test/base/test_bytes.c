/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte readers and writers, and intrusive lists.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/list.h"

static void numbers_are_little_endian_bytes(void **state) {
    (void)state;
    uint8_t bytes[15];
    struct writer writer = writer_make(bytes, sizeof bytes);
    write_u8(&writer, 0x01);
    write_u16(&writer, 0x0302);
    write_u32(&writer, 0x87060504);
    write_u64(&writer, 0xff0e0d0c0b0a0908);
    assert_false(writer.failed);
    assert_ptr_equal(writer.at, writer.end);
    const uint8_t expected[15] = {1, 2, 3, 4, 5, 6, 0x87, 8, 9, 10, 11, 12, 13, 14, 0xff};
    assert_memory_equal(bytes, expected, sizeof bytes);

    struct reader reader = reader_make(bytes, sizeof bytes);
    assert_int_equal(read_u8(&reader), 0x01);
    assert_int_equal(read_u16(&reader), 0x0302);
    assert_int_equal(read_u32(&reader), 0x87060504);
    assert_true(read_u64(&reader) == 0xff0e0d0c0b0a0908);
    assert_int_equal(reader_left(&reader), 0);
    assert_false(reader.failed);
}

static void a_reader_past_its_end_yields_zeros_and_remembers(void **state) {
    (void)state;
    const uint8_t bytes[3] = {1, 2, 3};
    struct reader reader = reader_make(bytes, sizeof bytes);
    assert_int_equal(read_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(read_u8(&reader), 0); /* there is a byte, but what it means is lost */
    assert_null(read_bytes(&reader, 0));
}

static void a_reader_of_nothing_is_at_its_end(void **state) {
    (void)state;
    struct reader reader = reader_make("", 0);
    assert_non_null(read_bytes(&reader, 0));
    assert_false(reader.failed);
    assert_null(read_bytes(&reader, SIZE_MAX));
    assert_true(reader.failed);
}

static void a_writer_past_its_end_writes_nothing_and_remembers(void **state) {
    (void)state;
    uint8_t bytes[5] = {9, 9, 9, 9, 9};
    struct writer writer = writer_make(bytes, 3);
    write_u32(&writer, 1);
    assert_true(writer.failed);
    write_u8(&writer, 1);
    write_u16(&writer, 1);
    write_u64(&writer, 1);
    write_bytes(&writer, "ab", 2);
    const uint8_t untouched[5] = {9, 9, 9, 9, 9};
    assert_memory_equal(bytes, untouched, sizeof bytes);
}

struct item {
    int number;
    struct list node;
};

static int pop_number(struct list *list) {
    struct list *node = list_pop(list);
    return node ? list_entry(node, struct item, node)->number : -1;
}

static void a_list_gives_back_in_order(void **state) {
    (void)state;
    struct list list;
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&list);
    assert_true(list_empty(&list));
    for (int i = 0; i < 4; i++)
        list_push(&list, &items[i].node);
    list_remove(&items[1].node);
    list_remove(&items[1].node); /* off the list already: no harm */
    assert_int_equal(pop_number(&list), 0);
    assert_int_equal(pop_number(&list), 2);
    assert_int_equal(pop_number(&list), 3);
    assert_int_equal(pop_number(&list), -1);
    assert_true(list_empty(&list));
}

static void a_spliced_list_moves_whole(void **state) {
    (void)state;
    struct list to;
    struct list from;
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&to);
    list_init(&from);
    list_splice(&to, &from);
    assert_true(list_empty(&to));
    for (int i = 0; i < 4; i++)
        list_push(i < 2 ? &to : &from, &items[i].node);
    list_splice(&to, &from);
    assert_true(list_empty(&from));
    for (int i = 0; i < 4; i++)
        assert_int_equal(pop_number(&to), i);
    assert_true(list_empty(&to));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_little_endian_bytes),
        cmocka_unit_test(a_reader_past_its_end_yields_zeros_and_remembers),
        cmocka_unit_test(a_reader_of_nothing_is_at_its_end),
        cmocka_unit_test(a_writer_past_its_end_writes_nothing_and_remembers),
        cmocka_unit_test(a_list_gives_back_in_order),
        cmocka_unit_test(a_spliced_list_moves_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
