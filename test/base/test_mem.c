/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks from the cache in front of the C library's allocator: as large as asked
 * for, nobody else's, and used again, also by threads that did not free them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/buf.h"

enum { SIZE_MOST = 2200, BLOCKS = 3000, ROUNDS = 20, THREADS = 4 };

static void block_fill(uint8_t *block, size_t size, size_t number) {
    for (size_t i = 0; i < size; i++)
        block[i] = (uint8_t)(number * 31 + i);
}

static void block_check(const uint8_t *block, size_t size, size_t number) {
    for (size_t i = 0; i < size; i++)
        assert_int_equal(block[i], (uint8_t)(number * 31 + i));
}

static size_t size_of(size_t number) {
    return number * 37 % SIZE_MOST;
}

static void blocks_of_all_sizes_hold_what_is_written_to_them(void **state) {
    (void)state;
    static uint8_t *blocks[BLOCKS];
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = (i + round) % 2 ? mem_alloc(size_of(i)) : mem_calloc(1, size_of(i));
            assert_non_null(blocks[i]);
            for (size_t at = 0; (i + round) % 2 == 0 && at < size_of(i); at++)
                assert_int_equal(blocks[i][at], 0);
            block_fill(blocks[i], size_of(i), i);
        }
        for (size_t i = 0; i < BLOCKS; i++)
            block_check(blocks[i], size_of(i), i);
        for (size_t i = 0; i < BLOCKS; i++)
            mem_free(blocks[(i * 7 + round) % BLOCKS]);
    }
}

static void a_block_that_grows_and_shrinks_keeps_its_bytes(void **state) {
    (void)state;
    uint8_t *block = NULL;
    size_t held = 0;
    for (size_t i = 1; i < BLOCKS; i++) {
        size_t size = size_of(i) + 1;
        block = mem_realloc(block, size);
        assert_non_null(block);
        if (i > 1)
            block_check(block, held < size ? held : size, i - 1);
        block_fill(block, size, i);
        held = size;
    }
    mem_free(block);
}

static void *free_blocks(void *argument) {
    uint8_t **blocks = argument;
    for (size_t i = 0; i < BLOCKS; i++) {
        block_check(blocks[i], size_of(i), i);
        mem_free(blocks[i]);
    }
    return NULL;
}

static void blocks_are_freed_on_other_threads_which_end(void **state) {
    (void)state;
    static uint8_t *blocks[THREADS][BLOCKS];
    for (size_t round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (size_t t = 0; t < THREADS; t++) {
            for (size_t i = 0; i < BLOCKS; i++) {
                blocks[t][i] = mem_alloc(size_of(i));
                assert_non_null(blocks[t][i]);
                block_fill(blocks[t][i], size_of(i), i);
            }
            assert_int_equal(pthread_create(&threads[t], NULL, free_blocks, blocks[t]), 0);
        }
        for (size_t t = 0; t < THREADS; t++)
            assert_int_equal(pthread_join(threads[t], NULL), 0);
    }
}

static void what_was_freed_last_is_used_first(void **state) {
    (void)state;
    if (!mem_caches())
        skip();
    void *first = mem_alloc(100);
    void *second = mem_alloc(100);
    mem_free(first);
    mem_free(second);
    assert_ptr_equal(mem_alloc(110), second);
    assert_ptr_equal(mem_alloc(90), first);
    mem_free(first);
    mem_free(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_all_sizes_hold_what_is_written_to_them),
        cmocka_unit_test(a_block_that_grows_and_shrinks_keeps_its_bytes),
        cmocka_unit_test(blocks_are_freed_on_other_threads_which_end),
        cmocka_unit_test(what_was_freed_last_is_used_first),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
