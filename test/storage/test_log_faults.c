/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation fails in turn, over opening, appending, syncing, reading, rolling
 * over, trimming and closing: nothing crashes or leaks, and what failed does not count.
 * And some failures of the disk whose consequences are worth telling one by one; the
 * crash enumerator lets every operation fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lash/log.h"
#include "sim/memfs.h"
#include "sim/script.h"
#include "storage/log_record.h"

static void swallow(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

/* Open a log, which must have entries up to `last`. */
static struct log *open_log(struct memfs *fs, const char *dir, lash_index last) {
    struct log_options options = kit_options(memfs_vfs(fs), dir);
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    assert_int_equal(recovered.last_index, last);
    log_recovered_free(&recovered);
    return log;
}

static void expect_last(struct memfs *fs, lash_index last) {
    log_close(open_log(fs, "d", last));
}

static void append_one(struct log *log, lash_index index) {
    assert_int_equal(kit_append(log, index, 1, 1, 0, 16), LASH_OK);
}

/* A new log with one durable entry. */
static struct log *begin_log(struct memfs *fs) {
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    struct log *log = open_log(fs, "d", 0);
    append_one(log, 1);
    assert_int_equal(log_sync(log), LASH_OK);
    return log;
}

/* The machine loses its power. */
static void power_off(struct memfs *fs, struct log *log, enum memfs_survival survival) {
    memfs_fail(fs, 1, MEMFS_POWER_OFF);
    log_close(log);
    memfs_power_on(fs, survival, 1);
}

/* How many allocations the course makes. */
static uint64_t count_allocations(const struct course *course) {
    const uint64_t many = 1000000;
    struct memfs *fs = memfs_new();
    struct script *script = script_new(memfs_vfs(fs), course);
    mem_fail_after(many);
    assert_int_equal(script_run(script), LASH_OK);
    uint64_t left = 0;
    for (void *memory; (memory = mem_alloc(1)); left++)
        mem_free(memory);
    script_free(script);
    memfs_free(fs);
    return many - left - 1;
}

/* What failed for want of memory is tried once more, and the course goes on as if nothing had happened. */
static void every_allocation_fails(void **state) {
    (void)state;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    struct course course;
    course_fixed(&course);
    uint64_t allocations = count_allocations(&course);
    assert_true(allocations > 100);
    for (uint64_t n = 1; n <= allocations; n++) {
        struct memfs *fs = memfs_new();
        struct script *script = script_new(memfs_vfs(fs), &course);
        mem_fail_after(n);
        if (script_run(script))
            assert_int_equal(script_run(script), LASH_OK);
        mem_fail_after(0);
        assert_int_equal(script->done, script->tried);
        log_close(script->log);
        assert_int_equal(memfs_open_files(fs), 0);
        size_t found;
        int rc = script_find(&script->options, script->states, script->done, script->done, &script->log, &found);
        if (rc)
            print_error("allocation %" PRIu64 ": after reopening %d\n", n, rc);
        assert_int_equal(rc, LASH_OK);
        script_free(script);
        memfs_free(fs);
    }
}

static void a_full_disk_ends_by_itself(void **state) {
    (void)state;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    struct memfs *fs = memfs_new();
    struct log *log = open_log(fs, "d", 0);
    struct log_options options = kit_options(memfs_vfs(fs), "d");
    struct log_recovered recovered;
    struct kit_state expected = {.first = 1};
    for (lash_index i = 1; i <= 20; i++) {
        if (i % 5 == 0) {
            memfs_fill(fs, true);
            assert_int_equal(kit_append(log, i, 1, 1, 0, 300), LASH_FULL);
            assert_int_equal(kit_append(log, i, 1, 1, 0, 2 * KIT_SEGMENT), LASH_FULL);
            assert_int_equal(log_sync(log), LASH_OK);
            memfs_fill(fs, false);
        }
        assert_int_equal(kit_append(log, i, 1, 1, 0, 300), LASH_OK);
        kit_state_append(&expected, i, 1, 1, 0);
    }
    log_close(log);
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    struct kit_state found;
    assert_int_equal(kit_read(log, &recovered, &found), LASH_OK);
    assert_true(kit_equal(&found, &expected));
    log_recovered_free(&recovered);
    log_close(log);
    memfs_free(fs);
}

/* A log that ended with a failed sync of a second entry, which the page cache goes on showing. */
static void fail_a_sync(struct memfs *fs) {
    struct log *log = begin_log(fs);
    append_one(log, 2);
    memfs_fail(fs, 1, MEMFS_EIO);
    assert_int_equal(log_sync(log), LASH_IO);
    log_close(log);
    memfs_kill(fs);
}

/* The page cache may show what a failed sync has not brought to the disk; believing it would be a lie. */
static void a_failed_sync_is_not_forgotten_over_a_restart(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    fail_a_sync(fs);
    expect_last(fs, 1);
    memfs_free(fs);
}

/* The same when the restart meets with trouble of its own: what it then takes for durable has to be. */
static void nor_when_any_operation_of_the_restart_fails(void **state) {
    (void)state;
    int opened = 0;
    for (uint64_t n = 1; n <= 30; n++) {
        struct memfs *fs = memfs_new();
        struct log_options options = kit_options(memfs_vfs(fs), "d");
        struct log *log;
        struct log_recovered recovered;
        fail_a_sync(fs);
        memfs_fail(fs, n, MEMFS_EIO);
        if (log_open(&options, &log, &recovered) == LASH_OK) {
            assert_int_equal(recovered.last_index, 1);
            log_recovered_free(&recovered);
            log_close(log);
            opened++;
        }
        memfs_free(fs);
    }
    assert_in_range(opened, 1, 29);
}

/* A log with one durable entry, and an append behind it that failed though all of it got to the file: two records, of
 * which the second begins on a sector of its own. */
static struct log *fail_an_append(struct memfs *fs) {
    struct log *log = begin_log(fs);
    size_t one_sector = RECORD_SECTOR - RECORD_HEADER_SIZE - FRAME_HEADER_SIZE - FRAME_ENTRY_SIZE;
    struct log_item items[2] = {{.frame = kit_frame(2, 1, 1, 0, one_sector), .first = 2},
                                {.frame = kit_frame(3, 1, 1, 0, 16), .first = 3}};
    memfs_fail(fs, 1, MEMFS_EIO_DONE);
    assert_int_equal(log_append(log, items, 2), LASH_IO);
    buf_unref(items[0].frame);
    buf_unref(items[1].frame);
    return log;
}

static void a_failed_append_is_not_there_after_reopening(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    log_close(fail_an_append(fs));
    expect_last(fs, 1);
    memfs_free(fs);
}

/* The second record is valid, in its own place, and follows: but not the record that it was made to follow. */
static void what_a_failed_append_left_behind_does_not_follow_the_next(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct log *log = fail_an_append(fs);
    assert_int_equal(kit_append(log, 2, 1, 1, 7, 16), LASH_OK);
    assert_int_equal(log_sync(log), LASH_OK);
    power_off(fs, log, MEMFS_NONE);
    expect_last(fs, 2);
    memfs_free(fs);
}

/* Of two appends the first is torn, so that both are cut off. The first is then made once more, bit for bit: what had
 * followed it must not follow it again. */
static void what_was_cut_off_does_not_come_back_with_the_same_append(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct log_options options = kit_options(memfs_vfs(fs), "d");
    struct log *log = begin_log(fs);
    struct log_recovered recovered;
    append_one(log, 2);
    append_one(log, 3);
    power_off(fs, log, MEMFS_ALL);
    uint64_t size;
    memset(memfs_bytes(fs, "d/log-0000000000000001", &size) + (size_t)2 * RECORD_SECTOR, 0, RECORD_SECTOR);
    memfs_settle(fs, "d/log-0000000000000001");
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    assert_int_equal(recovered.last_index, 1);
    assert_int_equal(recovered.torn_bytes, 2 * RECORD_SECTOR);
    log_recovered_free(&recovered);
    append_one(log, 2);
    assert_int_equal(log_sync(log), LASH_OK);
    power_off(fs, log, MEMFS_NONE);
    expect_last(fs, 2);
    memfs_free(fs);
}

/* When the failed append cannot be undone either, nobody may rely on this log any more. */
static void an_append_that_cannot_be_undone_is_the_end(void **state) {
    (void)state;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    struct memfs *fs = memfs_new();
    struct log *log = open_log(fs, "d", 0);
    memfs_fail_for(fs, 1, 2, MEMFS_EIO);
    assert_int_equal(kit_append(log, 1, 1, 1, 0, 16), LASH_IO);
    assert_int_equal(kit_append(log, 1, 1, 1, 0, 16), LASH_IO);
    assert_int_equal(log_sync(log), LASH_IO);
    log_close(log);
    expect_last(fs, 0);
    memfs_free(fs);
}

/* A process that is killed while it makes the directories leaves some that are not durable; the next must not take them
 * for granted. */
static void directories_of_a_killed_process_are_made_durable(void **state) {
    (void)state;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    bool killed = true;
    for (uint64_t n = 1; killed; n++) {
        struct memfs *fs = memfs_new();
        struct log_options options = kit_options(memfs_vfs(fs), "a/b/d");
        struct log *log = NULL;
        struct log_recovered recovered;
        memfs_fail(fs, n, MEMFS_POWER_OFF);
        killed = log_open(&options, &log, &recovered) != LASH_OK;
        if (!killed)
            log_recovered_free(&recovered);
        log_close(log);
        memfs_kill(fs);
        log = open_log(fs, "a/b/d", 0);
        append_one(log, 1);
        assert_int_equal(log_sync(log), LASH_OK);
        power_off(fs, log, MEMFS_NONE);
        log_close(open_log(fs, "a/b/d", 1));
        memfs_free(fs);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test(a_full_disk_ends_by_itself),
        cmocka_unit_test(a_failed_sync_is_not_forgotten_over_a_restart),
        cmocka_unit_test(nor_when_any_operation_of_the_restart_fails),
        cmocka_unit_test(a_failed_append_is_not_there_after_reopening),
        cmocka_unit_test(what_a_failed_append_left_behind_does_not_follow_the_next),
        cmocka_unit_test(directories_of_a_killed_process_are_made_durable),
        cmocka_unit_test(what_was_cut_off_does_not_come_back_with_the_same_append),
        cmocka_unit_test(an_append_that_cannot_be_undone_is_the_end),
    };
    return cmocka_run_group_tests_name("log faults", tests, NULL, NULL);
}
