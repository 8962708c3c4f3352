/* SPDX-License-Identifier: Apache-2.0
 *
 * A log goes on from another replica's snapshot (§7): what stays, what goes, and what is
 * found when it is opened again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lash/log.h"
#include "sim/kit.h"
#include "sim/memfs.h"

static void swallow(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static int quiet(void **state) {
    (void)state;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    return 0;
}

/* ---- The log alone ------------------------------------------------------------------------------ */

struct fixture {
    struct memfs *fs;
    struct log_options options;
    struct log *log;
    struct log_recovered recovered;
};

static void reopen(struct fixture *fixture) {
    log_close(fixture->log);
    log_recovered_free(&fixture->recovered);
    assert_int_equal(log_open(&fixture->options, &fixture->log, &fixture->recovered), LASH_OK);
}

/* A log with ten entries of term 2 in which n3 was voted for. */
static void setup(struct fixture *fixture) {
    *fixture = (struct fixture){.fs = memfs_new()};
    fixture->options = kit_options(memfs_vfs(fixture->fs), "d");
    assert_int_equal(log_open(&fixture->options, &fixture->log, &fixture->recovered), LASH_OK);
    assert_int_equal(kit_vote(fixture->log, 2, 3), LASH_OK);
    for (lash_index i = 1; i <= 10; i++)
        assert_int_equal(kit_append(fixture->log, i, 1, 2, 0, 600), LASH_OK);
    assert_int_equal(log_sync(fixture->log), LASH_OK);
}

static void teardown(struct fixture *fixture) {
    log_close(fixture->log);
    log_recovered_free(&fixture->recovered);
    assert_int_equal(memfs_open_files(fixture->fs), 0);
    memfs_free(fixture->fs);
}

static void expect_log(const struct fixture *fixture, lash_index first, lash_term prev_term, lash_index last,
                       lash_term term, lash_id vote) {
    const struct log_recovered *found = &fixture->recovered;
    struct kit_state state;
    assert_int_equal(found->first_index, first);
    assert_int_equal(found->prev_term, prev_term);
    assert_int_equal(found->last_index, last);
    assert_int_equal(found->term, term);
    assert_int_equal(found->vote, vote);
    assert_int_equal(kit_read(fixture->log, found, &state), LASH_OK);
}

static void a_snapshot_beyond_the_log_replaces_it(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    uint64_t before = log_size(fixture.log);
    assert_int_equal(log_install(fixture.log, 50, 2, &fixture.recovered), LASH_OK);
    expect_log(&fixture, 51, 2, 50, 2, 3);
    assert_true(log_size(fixture.log) < before);
    reopen(&fixture);
    expect_log(&fixture, 51, 2, 50, 2, 3);
    assert_int_equal(kit_append(fixture.log, 11, 1, 2, 0, 8), LASH_INVALID);
    assert_int_equal(kit_append(fixture.log, 52, 1, 2, 0, 8), LASH_INVALID);
    assert_int_equal(kit_append(fixture.log, 51, 3, 2, 0, 8), LASH_OK);
    reopen(&fixture);
    expect_log(&fixture, 51, 2, 53, 2, 3);
    teardown(&fixture);
}

static void a_suffix_behind_the_snapshots_entry_stays(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    assert_int_equal(log_install(fixture.log, 7, 2, &fixture.recovered), LASH_OK);
    expect_log(&fixture, 1, 0, 10, 2, 3);
    assert_int_equal(log_install(fixture.log, 10, 2, &fixture.recovered), LASH_OK);
    expect_log(&fixture, 1, 0, 10, 2, 3);
    teardown(&fixture);
}

static void entries_that_are_not_the_snapshots_are_dropped(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    assert_int_equal(kit_vote(fixture.log, 4, 1), LASH_OK);
    assert_int_equal(log_install(fixture.log, 7, 3, NULL), LASH_OK);
    reopen(&fixture);
    expect_log(&fixture, 8, 3, 7, 4, 1);
    teardown(&fixture);
}

static void a_snapshot_before_the_log_changes_nothing(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    assert_int_equal(log_trim(fixture.log, 6), LASH_OK);
    assert_int_equal(log_install(fixture.log, 3, 1, NULL), LASH_OK);
    assert_int_equal(log_install(fixture.log, 6, 2, NULL), LASH_OK);
    assert_int_equal(log_install(fixture.log, 6, 1, NULL), LASH_INVALID); /* the log knows better */
    reopen(&fixture);
    expect_log(&fixture, 7, 2, 10, 2, 3);
    teardown(&fixture);
}

/* The snapshot can be durable before the term of the leader that sent it is. */
static void a_term_that_the_log_has_not_reached_is_raised(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    assert_int_equal(log_install(fixture.log, 50, 6, &fixture.recovered), LASH_OK);
    expect_log(&fixture, 51, 6, 50, 6, 0);
    assert_int_equal(kit_vote(fixture.log, 5, 1), LASH_INVALID);
    assert_int_equal(kit_vote(fixture.log, 6, 1), LASH_OK);
    reopen(&fixture);
    expect_log(&fixture, 51, 6, 50, 6, 1);
    teardown(&fixture);
}

static void what_makes_no_snapshot_is_refused(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    assert_int_equal(log_install(fixture.log, 0, 1, NULL), LASH_INVALID);
    assert_int_equal(log_install(fixture.log, 1, 0, NULL), LASH_INVALID);
    teardown(&fixture);
}

static void it_is_possible_on_a_full_disk(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    memfs_set_capacity(fixture.fs, memfs_used(fixture.fs));
    lash_index last = 11;
    while (kit_append(fixture.log, last, 1, 2, 0, 300) == LASH_OK)
        last++;
    assert_int_equal(log_install(fixture.log, 500, 5, NULL), LASH_OK);
    assert_true(last > 11);
    memfs_set_capacity(fixture.fs, UINT64_MAX);
    reopen(&fixture);
    expect_log(&fixture, 501, 5, 500, 5, 0);
    teardown(&fixture);
}

static void it_is_durable_when_it_returns(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    assert_int_equal(log_install(fixture.log, 50, 6, NULL), LASH_OK);
    memfs_fail(fixture.fs, 1, MEMFS_POWER_OFF);
    log_close(fixture.log);
    fixture.log = NULL;
    memfs_power_on(fixture.fs, MEMFS_NONE, 1);
    reopen(&fixture);
    expect_log(&fixture, 51, 6, 50, 6, 0);
    teardown(&fixture);
}

static void a_reader_of_the_old_log_is_not_disturbed(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    struct buf **frames;
    size_t count;
    assert_int_equal(log_install(fixture.log, 50, 2, NULL), LASH_OK);
    assert_int_equal(log_read(fixture.log, 1, 10, UINT64_MAX, &frames, &count), LASH_NOT_FOUND);
    assert_int_equal(log_read(fixture.log, 50, 50, UINT64_MAX, &frames, &count), LASH_NOT_FOUND);
    assert_int_equal(kit_append(fixture.log, 51, 2, 2, 0, 8), LASH_OK);
    assert_int_equal(log_read(fixture.log, 51, 52, UINT64_MAX, &frames, &count), LASH_OK);
    assert_int_equal(count, 1);
    buf_unref(frames[0]);
    mem_free(frames);
    teardown(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_beyond_the_log_replaces_it),
        cmocka_unit_test(a_suffix_behind_the_snapshots_entry_stays),
        cmocka_unit_test(entries_that_are_not_the_snapshots_are_dropped),
        cmocka_unit_test(a_snapshot_before_the_log_changes_nothing),
        cmocka_unit_test(a_term_that_the_log_has_not_reached_is_raised),
        cmocka_unit_test(what_makes_no_snapshot_is_refused),
        cmocka_unit_test(it_is_possible_on_a_full_disk),
        cmocka_unit_test(it_is_durable_when_it_returns),
        cmocka_unit_test(a_reader_of_the_old_log_is_not_disturbed),
    };
    return cmocka_run_group_tests_name("installing snapshots", tests, quiet, NULL);
}
