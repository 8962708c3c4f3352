/* SPDX-License-Identifier: Apache-2.0
 *
 * The crash enumerator finds nothing in the log, and can find: on disks that lie in one
 * way or another, where no log could keep its promise, it must say so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/crash.h"

/* ---- Liars ---------------------------------------------------------------------------------------- */

static int no_fdatasync(void *context, int file) {
    (void)context;
    (void)file;
    return 0;
}

static void skip_fdatasync(struct vfs *vfs) {
    vfs->fdatasync = no_fdatasync;
}

static int no_sync_dir(void *context, const char *path) {
    (void)context;
    (void)path;
    return 0;
}

static void skip_sync_dir(struct vfs *vfs) {
    vfs->sync_dir = no_sync_dir;
}

static int cheerful_fdatasync(void *context, int file) {
    memfs_vfs(context)->fdatasync(context, file);
    return 0;
}

static void hide_failed_syncs(struct vfs *vfs) {
    vfs->fdatasync = cheerful_fdatasync;
}

static ssize_t whole_pwritev(void *context, int file, const struct iovec *parts, int count, uint64_t offset) {
    ssize_t total = 0;
    for (int i = 0; i < count; i++)
        total += (ssize_t)parts[i].iov_len;
    ssize_t done = memfs_vfs(context)->pwritev(context, file, parts, count, offset);
    return done < 0 ? done : total;
}

static void ignore_short_writes(struct vfs *vfs) {
    vfs->pwritev = whole_pwritev;
}

static int losing_rename(void *context, const char *from, const char *to) {
    (void)to;
    return memfs_vfs(context)->unlink(context, from);
}

static void lose_renamed_files(struct vfs *vfs) {
    vfs->rename = losing_rename;
}

/* ---- Cases ---------------------------------------------------------------------------------------- */

static struct crash_counts run(void (*lie)(struct vfs *vfs), uint64_t course, uint64_t faults) {
    const struct crash_options options = {
        .seed = 1, .limit = 24, .nested_limit = 4, .nested_every = 32, .lie = lie, .quiet = lie != NULL};
    struct crash_counts counts = {0};
    crash_course(&options, course, 0, &counts);
    if (faults && !counts.violations)
        crash_faults(&options, course, 1, faults, &counts);
    return counts;
}

static void an_honest_disk_shows_no_violation(void **state) {
    (void)state;
    for (uint64_t course = 0; course < 2; course++) {
        struct crash_counts counts = run(NULL, course, 41);
        assert_int_equal(counts.violations, 0);
        assert_int_equal(counts.courses, 1);
        assert_true(counts.operations > 100 && counts.crashes > 40 && counts.outcomes > 500);
        assert_true(counts.exhausted > 10 && counts.nested > 100 && counts.faults > 10);
        assert_true(counts.recoveries > counts.outcomes);
    }
}

static void the_same_seed_gives_the_same_run(void **state) {
    (void)state;
    struct crash_counts first = run(NULL, 1, 0);
    struct crash_counts second = run(NULL, 1, 0);
    assert_memory_equal(&first, &second, sizeof first);
}

static void a_skipped_fdatasync_is_found(void **state) {
    (void)state;
    for (uint64_t course = 0; course < 3; course++)
        assert_true(run(skip_fdatasync, course, 0).violations > 0);
}

static void a_skipped_sync_of_a_directory_is_found(void **state) {
    (void)state;
    for (uint64_t course = 0; course < 3; course++)
        assert_true(run(skip_sync_dir, course, 0).violations > 0);
}

static void an_ignored_failure_of_a_sync_is_found(void **state) {
    (void)state;
    assert_true(run(hide_failed_syncs, 0, 1).violations > 0);
}

static void an_ignored_short_write_is_found(void **state) {
    (void)state;
    assert_true(run(ignore_short_writes, 0, 1).violations > 0);
}

static void a_file_lost_when_renamed_is_found(void **state) {
    (void)state;
    assert_true(run(lose_renamed_files, 0, 0).violations > 0);
}

static void one_operation_can_be_looked_at_alone(void **state) {
    (void)state;
    const struct crash_options options = {.seed = 1, .limit = 24, .nested_limit = 4, .nested_every = 1};
    struct crash_counts counts = {0};
    crash_course(&options, 0, 40, &counts);
    assert_int_equal(counts.violations, 0);
    assert_int_equal(counts.crashes, 1);
}

/* The command line. */
static void wrong_usage_is_told_from_violations(void **state) {
    (void)state;
    const char *good[] = {"crash", "--script", "0", "--at", "30", "--limit", "4", NULL};
    assert_int_equal(crash_main(7, good), 0);
    const char *unknown[] = {"crash", "--no-such-option", NULL};
    assert_int_equal(crash_main(2, unknown), 2);
    const char *range[] = {"crash", "--limit", "0", NULL};
    assert_int_equal(crash_main(3, range), 2);
    const char *extra[] = {"crash", "more", NULL};
    assert_int_equal(crash_main(2, extra), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_disk_shows_no_violation),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(a_skipped_fdatasync_is_found),
        cmocka_unit_test(a_skipped_sync_of_a_directory_is_found),
        cmocka_unit_test(an_ignored_failure_of_a_sync_is_found),
        cmocka_unit_test(an_ignored_short_write_is_found),
        cmocka_unit_test(a_file_lost_when_renamed_is_found),
        cmocka_unit_test(one_operation_can_be_looked_at_alone),
        cmocka_unit_test(wrong_usage_is_told_from_violations),
    };
    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
