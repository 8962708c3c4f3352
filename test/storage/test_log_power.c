/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be on disk before something else is done, one case for each such order:
 * the power goes at the worst moment, and nothing that no sync covered survives. The
 * crash enumerator tries all moments; these say which order each of them is about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lash/log.h"
#include "sim/kit.h"
#include "sim/memfs.h"

enum { ENTRY_BYTES = 300, MANY = 40 };

static void swallow(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static struct log *open_log(struct memfs *fs, struct log_recovered *recovered) {
    struct log_options options = kit_options(memfs_vfs(fs), "d");
    struct log *log;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    assert_int_equal(log_open(&options, &log, recovered), LASH_OK);
    log_recovered_free(recovered);
    return log;
}

static struct log *new_log(struct memfs *fs) {
    struct log_recovered recovered;
    return open_log(fs, &recovered);
}

static void append_one(struct log *log, lash_index index) {
    assert_int_equal(kit_append(log, index, 1, 1, 0, ENTRY_BYTES), LASH_OK);
}

/* The machine stops now: what no sync has covered is lost. */
static void lose_power(struct memfs *fs, struct log *log) {
    memfs_fail(fs, 1, MEMFS_POWER_OFF);
    log_close(log);
    memfs_power_on(fs, MEMFS_NONE, 1);
}

/* A sync reaches only the file that is written to last: what came before must have been synced when that file was begun. */
static void what_was_synced_is_there_although_segments_were_left_in_between(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct log_recovered recovered;
    struct log *log = new_log(fs);
    uint64_t size = log_size(log);
    for (lash_index index = 1; index <= MANY; index++)
        append_one(log, index);
    assert_true(log_size(log) > 2 * size);
    assert_int_equal(log_sync(log), LASH_OK);
    lose_power(fs, log);
    log = open_log(fs, &recovered);
    assert_int_equal(recovered.last_index, MANY);
    log_close(log);
    memfs_free(fs);
}

/* A segment whose name is durable and whose first record is not would be a damaged log. */
static void a_new_segment_is_on_disk_before_it_has_its_name(void **state) {
    (void)state;
    for (lash_index count = 1; count <= MANY; count++) {
        struct memfs *fs = memfs_new();
        struct log_recovered recovered;
        struct log *log = new_log(fs);
        lash_index synced = 0;
        for (lash_index index = 1; index <= count; index++) {
            uint64_t before = log_size(log);
            append_one(log, index);
            if (log_size(log) > before)
                synced = index - 1;
        }
        lose_power(fs, log);
        log = open_log(fs, &recovered);
        assert_in_range(recovered.last_index, synced, count);
        log_close(log);
        memfs_free(fs);
    }
}

/* What a killed process wrote is in the cache, and looks durable to the next, which counts on it from then on. */
static void what_a_start_found_is_on_disk(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct log_recovered recovered;
    struct log *log = new_log(fs);
    append_one(log, 1);
    memfs_fail(fs, 1, MEMFS_POWER_OFF);
    log_close(log);
    memfs_kill(fs);
    log = open_log(fs, &recovered);
    assert_int_equal(recovered.last_index, 1);
    lose_power(fs, log);
    log = open_log(fs, &recovered);
    assert_int_equal(recovered.last_index, 1);
    log_close(log);
    memfs_free(fs);
}

/* A start that finds segments gone must find why. */
static void segments_are_dropped_when_the_trim_is_on_disk(void **state) {
    (void)state;
    bool done = false;
    for (uint64_t operation = 1; !done; operation++) {
        struct memfs *fs = memfs_new();
        struct log_recovered recovered;
        struct log *log = new_log(fs);
        for (lash_index index = 1; index <= MANY; index++)
            append_one(log, index);
        assert_int_equal(log_sync(log), LASH_OK);
        memfs_fail(fs, operation, MEMFS_POWER_OFF);
        done = log_trim(log, MANY - 1) == LASH_OK;
        lose_power(fs, log);
        log = open_log(fs, &recovered);
        assert_int_equal(recovered.last_index, MANY);
        assert_true(recovered.first_index == MANY || (!done && recovered.first_index == 1));
        log_close(log);
        memfs_free(fs);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_synced_is_there_although_segments_were_left_in_between),
        cmocka_unit_test(a_new_segment_is_on_disk_before_it_has_its_name),
        cmocka_unit_test(what_a_start_found_is_on_disk),
        cmocka_unit_test(segments_are_dropped_when_the_trim_is_on_disk),
    };
    return cmocka_run_group_tests_name("log and loss of power", tests, NULL, NULL);
}
