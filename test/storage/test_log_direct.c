/* SPDX-License-Identifier: Apache-2.0
 *
 * Appends that their caller writes past the cache: what counts of them, and when
 * the log does it itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "sim/kit.h"
#include "sim/memfs.h"
#include "storage/log_state.h"

enum { SEGMENT = 4 * KIT_SEGMENT };

/* One log on one memory disk, and what it should hold. */
struct fixture {
    struct memfs *fs;
    struct log_options options;
    struct log *log;
    struct log_recovered recovered;
    struct kit_state expected;
};

static void reopen(struct fixture *fixture) {
    log_close(fixture->log);
    log_recovered_free(&fixture->recovered);
    fixture->log = NULL;
    assert_int_equal(log_open(&fixture->options, &fixture->log, &fixture->recovered), LASH_OK);
}

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->fs = memfs_new();
    fixture->options = kit_options(memfs_vfs(fixture->fs), "d");
    fixture->options.segment_bytes = SEGMENT;
    fixture->expected.first = 1;
    reopen(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    log_close(fixture->log);
    log_recovered_free(&fixture->recovered);
    int open_files = memfs_open_files(fixture->fs);
    memfs_free(fixture->fs);
    free(fixture);
    return open_files;
}

/* By the log itself. */
static void append(struct fixture *fixture, lash_index index, size_t size) {
    assert_int_equal(kit_append(fixture->log, index, 1, 1, 0, size), LASH_OK);
    kit_state_append(&fixture->expected, index, 1, 1, 0);
    assert_int_equal(log_sync(fixture->log), LASH_OK);
}

static void expect_same(struct fixture *fixture) {
    struct kit_state found;
    assert_int_equal(kit_read(fixture->log, &fixture->recovered, &found), LASH_OK);
    assert_true(kit_equal(&found, &fixture->expected));
}

/* An append whose write the test carries out, so that `written` bytes are there, or an error. */
static int append_directly(struct fixture *fixture, lash_index first, size_t size, ssize_t written, bool may_wait) {
    struct log_item item = {.first = first, .frame = kit_frame(first, 1, 1, 0, size)};
    struct log_write write;
    int rc = log_append_begin(fixture->log, &item, 1, &write);
    if (!rc) {
        assert_int_equal((uintptr_t)write.data % 4096, 0);
        assert_int_equal(write.size % RECORD_SECTOR, 0);
        assert_int_equal(write.offset % RECORD_SECTOR, 0);
        memfs_carry_out(fixture->options.vfs, &write);
        assert_int_equal(write.result, write.size);
        write.result = written ? written : write.result;
        rc = log_append_end(fixture->log, &write, may_wait);
        if (rc == LASH_BUSY && !may_wait)
            rc = log_append_end(fixture->log, &write, true);
    }
    buf_unref(item.frame);
    return rc;
}

static void small_appends_may_be_written_by_the_caller(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(append_directly(fixture, 1, 20, 0, false), LASH_BUSY); /* nothing is open for it yet */
    append(fixture, 1, 20);
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    assert_int_equal(append_directly(fixture, 2, 200, 0, false), LASH_OK);
    assert_int_equal(append_directly(fixture, 3, 600, 0, true), LASH_OK);
    assert_int_equal(fixture->log->durable, fixture->log->position);
    kit_state_append(&fixture->expected, 2, 1, 1, 0);
    kit_state_append(&fixture->expected, 3, 1, 1, 0);
    append(fixture, 4, 20);
    reopen(fixture);
    expect_same(fixture);
}

static void what_takes_another_segment_or_room_for_it_the_log_writes_itself(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    assert_int_equal(append_directly(fixture, 1, SEGMENT, 0, false), LASH_BUSY);     /* it ends the segment */
    assert_int_equal(append_directly(fixture, 1, SEGMENT / 2, 0, false), LASH_BUSY); /* the next is due behind it */
    append(fixture, 1, SEGMENT / 2);
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    assert_int_equal(append_directly(fixture, 2, 20, 0, false), LASH_OK); /* the next is there */
    kit_state_append(&fixture->expected, 2, 1, 1, 0);
    append(fixture, 3, SEGMENT);
    assert_int_equal(append_directly(fixture, 4, 20, 0, false), LASH_BUSY); /* the new one is not open for it */
    reopen(fixture);
    expect_same(fixture);
}

static void what_the_disk_did_not_take_whole_does_not_count(void **state) {
    static const ssize_t results[] = {RECORD_SECTOR, -EAGAIN, -EINTR, -EINVAL, -ENOSPC};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        struct fixture *fixture = *state;
        lash_index last = fixture->expected.last;
        assert_int_equal(log_prepare(fixture->log), LASH_OK);
        assert_int_equal(append_directly(fixture, last + 1, 600, results[i], false), LASH_BUSY);
        if (results[i] != -ENOSPC) { /* then nothing was written, which here it was */
            reopen(fixture);
            expect_same(fixture);
            assert_int_equal(log_prepare(fixture->log), LASH_OK);
            assert_int_equal(append_directly(fixture, last + 1, 600, results[i], true), LASH_BUSY);
        }
        assert_int_equal(log_prepare(fixture->log), LASH_OK);
        assert_int_equal(append_directly(fixture, last + 1, 20, 0, false), LASH_BUSY); /* it is not tried again */
        append(fixture, last + 1, 20);
        reopen(fixture);
        expect_same(fixture);
    }
}

static void a_failed_write_of_the_callers_is_the_end_like_a_failed_sync(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    assert_int_equal(append_directly(fixture, 1, 20, -EIO, false), LASH_IO);
    assert_int_equal(kit_append(fixture->log, 1, 1, 1, 0, 20), LASH_IO);
    assert_int_equal(log_sync(fixture->log), LASH_IO);
    kit_state_append(&fixture->expected, 1, 1, 1, 0); /* it was written all the same, which nobody could know */
    reopen(fixture);
    expect_same(fixture);
}

/* Its write would make itself durable, and not what lies before it. */
static void an_append_behind_what_is_not_durable_the_log_writes_itself(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    assert_int_equal(append_directly(fixture, 1, 20, 0, false), LASH_OK);
    kit_state_append(&fixture->expected, 1, 1, 1, 0);
    assert_int_equal(log_mark(fixture->log), LASH_OK);
    assert_int_equal(append_directly(fixture, 2, 20, 0, false), LASH_BUSY);
    append(fixture, 2, 20);
    assert_int_equal(append_directly(fixture, 3, 20, 0, false), LASH_OK);
    kit_state_append(&fixture->expected, 3, 1, 1, 0);
    memfs_fail(fixture->fs, 1, MEMFS_POWER_OFF);
    log_close(fixture->log);
    fixture->log = NULL;
    memfs_power_on(fixture->fs, MEMFS_NONE, 1);
    reopen(fixture);
    expect_same(fixture);
}

/* Whoever reads holds the lock while a file is opened, for which no writer on a loop may wait. */
static void a_lock_that_is_held_is_not_waited_for(void **state) {
    struct fixture *fixture = *state;
    struct log_item item = {.first = 1, .frame = kit_frame(1, 1, 1, 0, 20)};
    struct log_write write;
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    pthread_mutex_lock(&fixture->log->mutex);
    assert_int_equal(log_append_begin(fixture->log, &item, 1, &write), LASH_BUSY);
    pthread_mutex_unlock(&fixture->log->mutex);
    assert_int_equal(log_append_begin(fixture->log, &item, 1, &write), LASH_OK);
    memfs_carry_out(fixture->options.vfs, &write);
    pthread_mutex_lock(&fixture->log->mutex);
    assert_int_equal(log_append_end(fixture->log, &write, false), LASH_BUSY);
    pthread_mutex_unlock(&fixture->log->mutex);
    assert_int_equal(log_append_end(fixture->log, &write, true), LASH_OK);
    buf_unref(item.frame);
    kit_state_append(&fixture->expected, 1, 1, 1, 0);
    reopen(fixture);
    expect_same(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_appends_may_be_written_by_the_caller, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_another_segment_or_room_for_it_the_log_writes_itself, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_the_disk_did_not_take_whole_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_of_the_callers_is_the_end_like_a_failed_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(an_append_behind_what_is_not_durable_the_log_writes_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lock_that_is_held_is_not_waited_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
