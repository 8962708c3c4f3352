/* SPDX-License-Identifier: Apache-2.0
 *
 * What is allocated on the way of an entry through three replicas: of all calls of
 * malloc and its like in our own code, which the linker leads here first. The
 * batches have their buffers; an entry has none of its own but the copy of a
 * command that its proposer may not keep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "rig.h"

enum { ENTRY_BYTES = 256, WARM_UP_COMMITS = 50 };

static uint64_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size) {
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
    allocations++;
    return __real_realloc(old, size);
}

/* Allocations of one commit of `count` entries, once buffers that grow have grown. */
static uint64_t allocations_of(struct rig *rig, size_t count) {
    static const uint8_t data[ENTRY_BYTES];
    for (int i = 0; i < WARM_UP_COMMITS; i++)
        rig_commit(rig, count, data, sizeof data);
    uint64_t before = allocations;
    rig_commit(rig, count, data, sizeof data);
    return allocations - before;
}

static void a_batch_of_a_thousand_allocates_no_more_than_one_of_ten_but_each_commands_copy(void **state) {
    (void)state;
    static struct rig rig;
    rig_open(&rig);
    uint64_t ten = allocations_of(&rig, 10);
    uint64_t thousand = allocations_of(&rig, 1000);
    print_message("allocations: %llu for 10 entries, %llu for 1,000\n", (unsigned long long)ten,
                  (unsigned long long)thousand);
    assert_true(thousand >= 1000); /* they are counted */
    assert_in_range(thousand - ten, 990, 990 + 4);
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_a_thousand_allocates_no_more_than_one_of_ten_but_each_commands_copy),
    };
    return cmocka_run_group_tests_name("allocations", tests, NULL, NULL);
}
