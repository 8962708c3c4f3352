/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and the table in which they wait for their entries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "node/waiting.h"
#include "storage/frame.h"

struct ending {
    int calls;
    int error;
    lash_index index;
};

static void ended(void *argument, int error, lash_index index) {
    struct ending *ending = argument;
    ending->calls++;
    ending->error = error;
    ending->index = index;
}

static struct request *make_request(struct request_gauge *gauge, uint64_t sequence, struct ending *ending) {
    struct request *request;
    assert_int_equal(request_new(gauge, REQUEST_COMMAND, "data", 4, &request), 0);
    request->sequence = sequence;
    request->done = ended;
    request->argument = ending;
    return request;
}

static void a_request_counts_until_it_is_finished_once(void **state) {
    (void)state;
    struct request_gauge gauge = {0};
    struct ending ending = {0};
    struct request *request = make_request(&gauge, 1, &ending);
    assert_int_equal(request_count(&gauge), 1);
    assert_int_equal(request_bytes(&gauge), request_cost(4));
    assert_memory_equal(request->data, "data", 4);
    struct list age;
    list_init(&age);
    list_push(&age, &request->age);
    struct list done;
    list_init(&done);
    request_end(request, LASH_DROPPED, 9, &done);
    assert_int_equal(ending.calls, 0);
    assert_int_equal(request_count(&gauge), 1);
    request_deliver(&done, SIZE_MAX);
    assert_int_equal(ending.calls, 1);
    assert_int_equal(ending.error, LASH_DROPPED);
    assert_int_equal(ending.index, 9);
    assert_true(list_empty(&age));
    assert_int_equal(request_count(&gauge), 0);
    assert_int_equal(request_bytes(&gauge), 0);
}

static void ends_are_told_until_their_entries_are_so_many_bytes(void **state) {
    (void)state;
    struct request_gauge gauge = {0};
    struct ending ending = {0};
    struct list done;
    list_init(&done);
    for (uint64_t i = 1; i <= 10; i++)
        request_end(make_request(&gauge, i, &ending), 0, i, &done);
    request_deliver(&done, 3 * frame_entry_space(4) - 1);
    assert_int_equal(ending.calls, 3);
    assert_int_equal(ending.index, 3);
    request_deliver(&done, 1);
    assert_int_equal(ending.calls, 4);
    assert_int_equal(request_count(&gauge), 6);
    request_deliver(&done, SIZE_MAX);
    assert_int_equal(ending.calls, 10);
    assert_true(list_empty(&done));
    assert_int_equal(request_count(&gauge), 0);
}

static void a_request_that_nobody_took_is_withdrawn(void **state) {
    (void)state;
    struct request_gauge gauge = {0};
    struct ending ending = {0};
    request_withdraw(make_request(&gauge, 1, &ending));
    assert_int_equal(ending.calls, 0);
    assert_int_equal(request_count(&gauge), 0);
    assert_int_equal(request_bytes(&gauge), 0);
}

static void a_request_without_memory_is_refused(void **state) {
    (void)state;
    struct request_gauge gauge = {0};
    struct request *request;
    mem_fail_after(1);
    assert_int_equal(request_new(&gauge, REQUEST_READ, NULL, 0, &request), LASH_NOMEM);
    mem_fail_after(0);
    assert_int_equal(request_count(&gauge), 0);
}

static void each_of_many_requests_is_found_once(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    struct request_gauge gauge = {0};
    struct ending ending = {0};
    struct waiting waiting;
    struct list done;
    list_init(&done);
    assert_int_equal(waiting_init(&waiting), 0);
    uint64_t first = UINT64_MAX - COUNT / 2; /* sequences may wrap around */
    for (uint64_t i = 0; i < COUNT; i++)
        waiting_add(&waiting, make_request(&gauge, first + i, &ending));
    assert_int_equal(waiting.count, COUNT);
    assert_null(waiting_take(&waiting, first - 1));
    assert_null(waiting_take(&waiting, first + COUNT));
    for (uint64_t i = 0; i < COUNT; i++) {
        struct request *request = waiting_take(&waiting, first + i);
        assert_non_null(request);
        assert_true(request->sequence == first + i);
        assert_null(waiting_take(&waiting, first + i));
        request_end(request, 0, i, &done);
    }
    request_deliver(&done, SIZE_MAX);
    assert_int_equal(ending.calls, COUNT);
    waiting_free(&waiting);
}

static void without_memory_to_grow_the_table_still_works(void **state) {
    (void)state;
    enum { COUNT = 600 };
    struct request_gauge gauge = {0};
    struct ending ending = {0};
    struct waiting waiting;
    assert_int_equal(waiting_init(&waiting), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct request *request = make_request(&gauge, i, &ending);
        mem_fail_after(1);
        waiting_add(&waiting, request);
        mem_fail_after(0);
    }
    assert_int_equal(waiting.bucket_count, 256);
    for (uint64_t i = 0; i < COUNT; i++)
        request_free(waiting_take(&waiting, i));
    waiting_free(&waiting);
    assert_int_equal(ending.calls, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_counts_until_it_is_finished_once),
        cmocka_unit_test(ends_are_told_until_their_entries_are_so_many_bytes),
        cmocka_unit_test(a_request_that_nobody_took_is_withdrawn),
        cmocka_unit_test(a_request_without_memory_is_refused),
        cmocka_unit_test(each_of_many_requests_is_found_once),
        cmocka_unit_test(without_memory_to_grow_the_table_still_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
