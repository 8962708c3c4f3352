/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames kept in memory at the end of the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/recent.h"

enum { FRAME_BYTES = 100 };

/* Hold `count` entries from `first` on. */
static void push(struct recent *recent, lash_index first, uint32_t count, lash_term term, uint64_t write) {
    struct buf *buf = buf_new(FRAME_BYTES);
    assert_non_null(buf);
    buf->size = FRAME_BYTES;
    struct recent_frame frame = {.frame = buf, .first = first, .last = first + count - 1, .term = term, .write = write};
    assert_int_equal(recent_reserve(recent, 1), 0);
    recent_push(recent, &frame);
    buf_unref(buf);
}

static void every_index_is_found_in_its_frame(void **state) {
    (void)state;
    struct recent recent;
    assert_int_equal(recent_init(&recent, UINT64_MAX, UINT64_MAX), 0);
    assert_true(recent_first(&recent) == UINT64_MAX);
    assert_int_equal(recent_find(&recent, 1), 0);
    for (lash_index first = 10; first < 10 + 3 * 200; first += 3)
        push(&recent, first, 3, 1, first);
    assert_int_equal(recent_first(&recent), 10);
    for (lash_index index = 10; index < 610; index++) {
        size_t position = recent_find(&recent, index);
        assert_int_equal(position, (index - 10) / 3);
        assert_in_range(index, recent_at(&recent, position)->first, recent_at(&recent, position)->last);
    }
    assert_int_equal(recent_find(&recent, 9), recent.count);
    assert_int_equal(recent_find(&recent, 610), recent.count);
    recent_free(&recent);
}

static void a_later_frame_replaces_the_suffix(void **state) {
    (void)state;
    struct recent recent;
    assert_int_equal(recent_init(&recent, UINT64_MAX, UINT64_MAX), 0);
    push(&recent, 1, 5, 1, 1);
    push(&recent, 6, 5, 1, 2);
    push(&recent, 11, 5, 1, 3);
    push(&recent, 6, 1, 2, 4);
    assert_int_equal(recent.count, 2);
    assert_int_equal(recent_at(&recent, 1)->term, 2);
    assert_int_equal(recent_find(&recent, 7), recent.count);
    push(&recent, 1, 1, 3, 5);
    assert_int_equal(recent.count, 1);
    assert_int_equal(recent.bytes, FRAME_BYTES);
    recent_free(&recent);
}

static void only_written_frames_are_let_go_and_the_oldest_first(void **state) {
    (void)state;
    struct recent recent;
    assert_int_equal(recent_init(&recent, 2 * FRAME_BYTES, 2 * FRAME_BYTES), 0);
    for (lash_index i = 1; i <= 10; i++)
        push(&recent, i, 1, 1, i);
    assert_int_equal(recent.count, 10);
    recent_written(&recent, 3);
    assert_int_equal(recent_first(&recent), 4);
    recent_written(&recent, 10);
    assert_int_equal(recent_first(&recent), 9);
    assert_int_equal(recent.count, 2);
    recent_free(&recent);
}

static void what_is_settled_is_let_go_but_for_a_few(void **state) {
    (void)state;
    struct recent recent;
    assert_int_equal(recent_init(&recent, 8 * FRAME_BYTES, 2 * FRAME_BYTES), 0);
    for (lash_index first = 1; first <= 16; first += 2)
        push(&recent, first, 2, 1, first);
    recent_settled(&recent, 16);
    assert_int_equal(recent_first(&recent), 1); /* nothing is written */
    recent_settled(&recent, 4);
    recent_written(&recent, 7); /* with the frame of 7 and 8 */
    assert_int_equal(recent_first(&recent), 5);
    recent_settled(&recent, 7); /* 8 is still needed */
    assert_int_equal(recent_first(&recent), 7);
    recent_settled(&recent, 16);
    assert_int_equal(recent_first(&recent), 9);
    recent_written(&recent, 15);
    assert_int_equal(recent_first(&recent), 13);
    assert_int_equal(recent.bytes, 2 * FRAME_BYTES);
    recent_settled(&recent, 13); /* a follower came back that has no more */
    for (lash_index first = 17; first <= 40; first += 2)
        push(&recent, first, 2, 1, first);
    recent_written(&recent, 39);
    assert_int_equal(recent_first(&recent), 25);
    assert_int_equal(recent.bytes, 8 * FRAME_BYTES);
    recent_free(&recent);
}

static void the_ring_goes_round(void **state) {
    (void)state;
    struct recent recent;
    assert_int_equal(recent_init(&recent, 50 * FRAME_BYTES, 50 * FRAME_BYTES), 0);
    for (lash_index i = 1; i <= 1000; i++) {
        push(&recent, i, 1, 1, i);
        recent_written(&recent, i);
    }
    assert_int_equal(recent.capacity, 64);
    assert_int_equal(recent_first(&recent), 951);
    assert_int_equal(recent_find(&recent, 1000), 49);
    recent_free(&recent);
}

static void room_without_memory_is_refused_and_nothing_lost(void **state) {
    (void)state;
    struct recent recent;
    assert_int_equal(recent_init(&recent, UINT64_MAX, UINT64_MAX), 0);
    push(&recent, 1, 1, 1, 1);
    mem_fail_after(1);
    assert_int_equal(recent_reserve(&recent, 1000), LASH_NOMEM);
    mem_fail_after(0);
    assert_int_equal(recent_find(&recent, 1), 0);
    recent_free(&recent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_found_in_its_frame),
        cmocka_unit_test(a_later_frame_replaces_the_suffix),
        cmocka_unit_test(only_written_frames_are_let_go_and_the_oldest_first),
        cmocka_unit_test(what_is_settled_is_let_go_but_for_a_few),
        cmocka_unit_test(the_ring_goes_round),
        cmocka_unit_test(room_without_memory_is_refused_and_nothing_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
