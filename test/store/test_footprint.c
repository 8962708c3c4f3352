/* SPDX-License-Identifier: Apache-2.0
 *
 * What stays mapped in of a database that was read: little, and nothing that counts depends on it.
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/footprint.h"

enum { MIB = 1 << 20, KEYS = 6000, VALUE_BYTES = 4096 };

/* Bytes of files that this process has mapped in. */
static uint64_t mapped_now(void) {
    FILE *statm = fopen("/proc/self/statm", "r");
    char line[128], *at = line;
    assert_non_null(statm);
    assert_non_null(fgets(line, sizeof line, statm));
    fclose(statm);
    (void)strtoull(at, &at, 10);
    (void)strtoull(at, &at, 10);
    return strtoull(at, &at, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void fill(struct harness *harness) {
    char key[16], value[VALUE_BYTES + 1];
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key-%05d", i);
        memset(value, 'a' + i % 26, VALUE_BYTES);
        value[VALUE_BYTES] = 0;
        assert_int_equal(harness_apply(harness, put(key, value)), STORE_OK);
    }
}

/* Read all values, which maps them in. */
static void check_all(struct store *store) {
    struct store_result result = {0};
    struct store_op all = get_all();
    store_read(store, &all, &result);
    assert_int_equal(result.error, STORE_OK);
    assert_int_equal(result.op.range.count, KEYS);
    for (int i = 0; i < KEYS; i++) {
        const struct store_bytes value = result.op.range.kvs[i].value;
        assert_int_equal(value.size, VALUE_BYTES);
        assert_true(value.data[0] == 'a' + i % 26 && value.data[VALUE_BYTES - 1] == 'a' + i % 26);
    }
    store_result_free(&result);
}

static void a_store_at_rest_lets_go_of_what_was_read(void **state) {
    struct harness *harness = *state;
    fill(harness);
    uint64_t before = mapped_now();
    for (int round = 0; round < 2; round++) {
        check_all(harness->store);
        assert_true(mapped_now() > before + 16 * MIB);
        store_rest(harness->store);
        assert_true(mapped_now() < before + 5 * MIB);
    }
    check_all(harness->store);
    audit(harness);
}

struct resting {
    struct store *store;
    _Atomic bool stop;
};

static void *rest_all_the_time(void *argument) {
    struct resting *resting = argument;
    while (!atomic_load(&resting->stop))
        store_rest(resting->store);
    return NULL;
}

static void readers_and_the_writer_do_not_notice(void **state) {
    struct harness *harness = *state;
    struct resting resting = {.store = harness->store};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, rest_all_the_time, &resting), 0);
    fill(harness);
    for (int round = 0; round < 5; round++)
        check_all(harness->store);
    atomic_store(&resting.stop, true);
    pthread_join(thread, NULL);
    audit(harness);
}

static void what_is_let_go_keeps_to_the_budget(void **state) {
    (void)state;
    char path[] = "/tmp/lash-test-footprint-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(posix_fallocate(fd, 0, 16 * MIB), 0);
    const volatile uint8_t *map = mmap(NULL, 16 * MIB, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    struct footprint footprint;
    footprint_open(&footprint, fd, 2 * MIB, 5 * MIB);
    assert_ptr_equal(footprint.map, map);
    assert_int_equal(footprint.map_bytes, 16 * MIB);
    uint64_t before = mapped_now();
    for (size_t at = 0; at < 12 * MIB; at += 4096)
        assert_int_equal(map[at], 0);
    for (int look = 0; look < 2; look++) { /* 5 and 10 MiB of 12 */
        footprint_look(&footprint);
        assert_true(mapped_now() > before + 11 * MIB);
    }
    footprint_look(&footprint);
    assert_true(mapped_now() < before + MIB);
    for (size_t at = 0; at < MIB; at += 4096) /* so little may stay */
        assert_int_equal(map[at], 0);
    footprint_look(&footprint);
    assert_true(mapped_now() > before + MIB / 2);
    footprint_close(&footprint);
    munmap((void *)(uintptr_t)map, 16 * MIB);
    close(fd);
}

static void a_file_that_is_not_mapped_is_left_alone(void **state) {
    (void)state;
    struct footprint footprint;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    footprint_open(&footprint, fd, 0, UINT64_MAX);
    assert_null(footprint.map);
    footprint_look(&footprint);
    footprint_close(&footprint);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_at_rest_lets_go_of_what_was_read, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(readers_and_the_writer_do_not_notice, harness_setup, harness_teardown),
        cmocka_unit_test(what_is_let_go_keeps_to_the_budget),
        cmocka_unit_test(a_file_that_is_not_mapped_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
