/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocations that fail on demand, and buffers shared by threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/buf.h"
#include "capture.h"

static void a_new_buffer_is_empty_and_as_large_as_asked(void **state) {
    (void)state;
    const size_t capacities[] = {0, 1, 4096, 1 << 20};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        struct buf *buf = buf_new(capacities[i]);
        assert_non_null(buf);
        assert_int_equal(buf->size, 0);
        assert_int_equal(buf->capacity, capacities[i]);
        memset(buf->data, 0xab, buf->capacity);
        buf_unref(buf);
    }
}

static void a_capacity_beyond_memory_is_refused(void **state) {
    (void)state;
    assert_null(buf_new(SIZE_MAX));
    assert_null(buf_new(SIZE_MAX - sizeof(struct buf) + 1));
}

static void the_last_reference_frees(void **state) {
    (void)state;
    struct buf *buf = buf_new(8);
    assert_non_null(buf);
    assert_ptr_equal(buf_ref(buf), buf);
    buf_unref(buf);
    memcpy(buf->data, "12345678", 8); /* still ours: an address sanitizer would object otherwise */
    buf->size = 8;
    assert_int_equal(atomic_load(&buf->references), 1);
    buf_unref(buf);
    buf_unref(NULL);
}

static void overrun_a_buffer(void) {
    struct buf *buf = buf_new(4);
    buf->size = 5;
    buf_unref(buf);
}

static void a_buffer_with_more_bytes_than_room_is_a_broken_invariant(void **state) {
    (void)state;
    char text[512];
    int status = capture_stderr(overrun_a_buffer, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "buf->size <= buf->capacity"));
}

#define SHARERS 4
#define ROUNDS 20000

static void *ref_and_unref_many_times(void *argument) {
    struct buf *buf = argument;
    for (int i = 0; i < ROUNDS; i++)
        buf_unref(buf_ref(buf));
    buf_unref(buf);
    return NULL;
}

static void threads_share_a_buffer(void **state) {
    (void)state;
    struct buf *buf = buf_new(16);
    assert_non_null(buf);
    pthread_t threads[SHARERS];
    for (int i = 0; i < SHARERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref_many_times, buf_ref(buf)), 0);
    for (int i = 0; i < SHARERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&buf->references), 1);
    buf_unref(buf);
}

/* Allocation number `which` (1..5) of each kind in turn. */
static void *allocate(int which) {
    switch (which) {
    case 1:
        return mem_alloc(10);
    case 2:
        return mem_calloc(3, 7);
    case 3:
        return mem_realloc(NULL, 10);
    case 4:
        return mem_strdup("word");
    default:
        return buf_new(10);
    }
}

static void the_nth_allocation_fails_once_whatever_its_kind(void **state) {
    (void)state;
    for (int n = 1; n <= 5; n++) {
        mem_fail_after((uint64_t)n);
        for (int which = 1; which <= 5; which++) {
            void *memory = allocate(which);
            assert_int_equal(memory == NULL, which == n);
            mem_free(memory);
        }
    }
}

static void a_planned_failure_can_be_called_off(void **state) {
    (void)state;
    mem_fail_after(1);
    mem_fail_after(0);
    void *memory = mem_alloc(1);
    assert_non_null(memory);
    mem_free(memory);
}

static void a_failed_realloc_leaves_the_old_block(void **state) {
    (void)state;
    char *word = mem_strdup("word");
    assert_non_null(word);
    mem_fail_after(1);
    assert_null(mem_realloc(word, 100));
    assert_string_equal(word, "word");
    char *larger = mem_realloc(word, 100);
    assert_non_null(larger);
    assert_string_equal(larger, "word");
    mem_free(larger);
}

static void size_zero_gives_a_block(void **state) {
    (void)state;
    void *blocks[] = {mem_alloc(0), mem_calloc(0, 4), mem_calloc(4, 0), mem_realloc(NULL, 0)};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        assert_non_null(blocks[i]);
        blocks[i] = mem_realloc(blocks[i], 0);
        assert_non_null(blocks[i]);
        mem_free(blocks[i]);
    }
    mem_free(NULL);
}

static void calloc_zeroes_and_refuses_overflow(void **state) {
    (void)state;
    const uint8_t zeros[64] = {0};
    uint8_t *memory = mem_calloc(8, 8);
    assert_non_null(memory);
    assert_memory_equal(memory, zeros, 64);
    mem_free(memory);
    volatile size_t half = SIZE_MAX / 2;
    assert_null(mem_calloc(half, 4));
}

static void *allocate_and_count_failures(void *argument) {
    _Atomic int *failures = argument;
    for (int i = 0; i < ROUNDS; i++) {
        void *memory = mem_alloc(1);
        if (!memory)
            atomic_fetch_add(failures, 1);
        mem_free(memory);
    }
    return NULL;
}

static void among_threads_exactly_one_allocation_fails(void **state) {
    (void)state;
    _Atomic int failures = 0;
    pthread_t threads[SHARERS];
    mem_fail_after(SHARERS * ROUNDS / 2);
    for (int i = 0; i < SHARERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_and_count_failures, &failures), 0);
    for (int i = 0; i < SHARERS; i++)
        pthread_join(threads[i], NULL);
    mem_fail_after(0);
    assert_int_equal(atomic_load(&failures), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_buffer_is_empty_and_as_large_as_asked),
        cmocka_unit_test(a_capacity_beyond_memory_is_refused),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(a_buffer_with_more_bytes_than_room_is_a_broken_invariant),
        cmocka_unit_test(threads_share_a_buffer),
        cmocka_unit_test(the_nth_allocation_fails_once_whatever_its_kind),
        cmocka_unit_test(a_planned_failure_can_be_called_off),
        cmocka_unit_test(a_failed_realloc_leaves_the_old_block),
        cmocka_unit_test(size_zero_gives_a_block),
        cmocka_unit_test(calloc_zeroes_and_refuses_overflow),
        cmocka_unit_test(among_threads_exactly_one_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
