/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule by which entries of kind PART are one command: a pure function of the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "node/parts.h"

enum { TOTAL = 10, ORIGIN = 3, SEQUENCE = 7, TERM = 5 };

static const uint8_t command[TOTAL] = "0123456789";

struct walk {
    struct assembly assembly;
    uint8_t bytes[PARTS_HEAD + TOTAL];
    struct frame_entry entry;
};

/* An entry with `size` bytes of the command from `offset` on. */
static void entry_of(struct walk *walk, uint64_t total, uint64_t offset, size_t size) {
    parts_encode_head(walk->bytes, total, offset);
    if (offset < TOTAL)
        memcpy(walk->bytes + PARTS_HEAD, command + offset, size <= TOTAL - offset ? size : TOTAL - offset);
    walk->entry = (struct frame_entry){
        .index = 1, .origin = ORIGIN, .sequence = SEQUENCE, .data = walk->bytes, .size = PARTS_HEAD + size};
}

static int follow(struct walk *walk, lash_term term, uint32_t kind) {
    struct parts_cursor next = walk->assembly.cursor;
    struct part part;
    int error = parts_follow(&next, term, kind, &walk->entry, &part);
    if (error)
        return error;
    if (kind == LASH_ENTRY_PART)
        return assembly_add(&walk->assembly, &next, &part);
    walk->assembly.cursor = next;
    return 0;
}

static int part_at(struct walk *walk, uint64_t offset, size_t size) {
    entry_of(walk, TOTAL, offset, size);
    return follow(walk, TERM, LASH_ENTRY_PART);
}

static void assert_whole(struct walk *walk) {
    assert_false(parts_pending(&walk->assembly.cursor));
    struct buf *whole = assembly_take(&walk->assembly);
    assert_int_equal(whole->size, TOTAL);
    assert_memory_equal(whole->data, command, TOTAL);
    buf_unref(whole);
}

static void parts_of_any_sizes_become_one_command_again(void **state) {
    (void)state;
    for (size_t size = 1; size <= TOTAL; size++) {
        struct walk walk = {.assembly = {.command = NULL}};
        for (size_t offset = 0; offset < TOTAL; offset += size) {
            assert_int_equal(part_at(&walk, offset, size < TOTAL - offset ? size : TOTAL - offset), 0);
            assert_int_equal(parts_pending(&walk.assembly.cursor), offset + size < TOTAL);
        }
        assert_whole(&walk);
    }
}

static void what_is_begun_ends_with_any_other_entry(void **state) {
    (void)state;
    static const struct {
        uint32_t kind;
        lash_term term;
    } others[] = {{LASH_ENTRY_COMMAND, TERM},
                  {LASH_ENTRY_BARRIER, TERM},
                  {LASH_ENTRY_NOOP, TERM + 1},
                  {LASH_ENTRY_CONFIGURATION, TERM + 1}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct walk walk = {.assembly = {.command = NULL}};
        assert_int_equal(part_at(&walk, 0, 4), 0);
        entry_of(&walk, TOTAL, 4, 6);
        assert_int_equal(follow(&walk, others[i].term, others[i].kind), 0);
        assert_false(parts_pending(&walk.assembly.cursor));
        assert_int_equal(part_at(&walk, 4, 6), LASH_CORRUPT);
        assembly_drop(&walk.assembly);
    }
}

static void a_configuration_of_the_term_may_come_between(void **state) {
    (void)state;
    struct walk walk = {.assembly = {.command = NULL}};
    assert_int_equal(part_at(&walk, 0, 4), 0);
    assert_int_equal(follow(&walk, TERM, LASH_ENTRY_CONFIGURATION), 0);
    assert_int_equal(part_at(&walk, 4, 6), 0);
    assert_whole(&walk);
}

static void what_is_begun_can_begin_anew(void **state) {
    (void)state;
    struct walk walk = {.assembly = {.command = NULL}};
    assert_int_equal(part_at(&walk, 0, 4), 0);
    assert_int_equal(part_at(&walk, 0, 7), 0);
    assert_int_equal(part_at(&walk, 4, 6), LASH_CORRUPT);
    assert_int_equal(part_at(&walk, 7, 3), 0);
    assert_whole(&walk);
}

static void a_part_of_something_else_goes_on_with_nothing(void **state) {
    (void)state;
    for (int wrong = 0; wrong < 7; wrong++) {
        struct walk walk = {.assembly = {.command = NULL}};
        if (wrong)
            assert_int_equal(part_at(&walk, 0, 4), 0);
        entry_of(&walk, wrong == 1 ? TOTAL - 1 : TOTAL, wrong == 2 ? 3 : wrong == 3 ? 5 : 4, 5);
        walk.entry.origin += wrong == 4;
        walk.entry.sequence += wrong == 5;
        assert_int_equal(follow(&walk, wrong == 6 ? TERM + 1 : TERM, LASH_ENTRY_PART), LASH_CORRUPT);
        assembly_drop(&walk.assembly);
    }
}

static void a_head_that_cannot_be_right_is_not_believed(void **state) {
    (void)state;
    static const struct {
        uint64_t total;
        uint64_t offset;
        size_t size;
    } wrong[] = {{TOTAL, 0, 0}, {TOTAL, TOTAL, 1},          {TOTAL, 4, 7},
                 {0, 0, 1},     {TOTAL, UINT64_MAX - 1, 9}, {PARTS_TOTAL_MAX + 1, 0, 1}};
    struct walk walk = {.assembly = {.command = NULL}};
    struct part part;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        entry_of(&walk, wrong[i].total, wrong[i].offset, wrong[i].size);
        assert_int_equal(parts_decode(&walk.entry, &part), LASH_CORRUPT);
    }
    entry_of(&walk, TOTAL, 0, 1);
    walk.entry.size = PARTS_HEAD - 1;
    assert_int_equal(parts_decode(&walk.entry, &part), LASH_CORRUPT);
}

static void without_memory_nothing_has_changed(void **state) {
    (void)state;
    struct walk walk = {.assembly = {.command = NULL}};
    assert_int_equal(part_at(&walk, 0, 4), 0);
    mem_fail_after(1);
    assert_int_equal(part_at(&walk, 0, 6), LASH_NOMEM);
    mem_fail_after(1); /* what goes on needs none */
    assert_int_equal(part_at(&walk, 4, 6), 0);
    mem_fail_after(0);
    assert_whole(&walk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_any_sizes_become_one_command_again),
        cmocka_unit_test(what_is_begun_ends_with_any_other_entry),
        cmocka_unit_test(a_configuration_of_the_term_may_come_between),
        cmocka_unit_test(what_is_begun_can_begin_anew),
        cmocka_unit_test(a_part_of_something_else_goes_on_with_nothing),
        cmocka_unit_test(a_head_that_cannot_be_right_is_not_believed),
        cmocka_unit_test(without_memory_nothing_has_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
