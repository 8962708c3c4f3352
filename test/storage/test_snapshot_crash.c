/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots and the log together, stopped everywhere: wherever the power goes, whatever
 * fails, what is left of both has no gap (S2), keeps what was acknowledged (D1), and
 * has a second snapshot to fall back on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <string.h>

#include "lash/log.h"
#include "sim/kit.h"
#include "sim/memfs.h"
#include "storage/snapshot.h"

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

enum { CHUNK = 64, INSTALLED = 60 };

/* A replica's disk, and what it may rely on. */
struct replica {
    struct memfs *fs;
    struct log *log;
    struct snapshots *snapshots;
    lash_index acknowledged; /* durable for certain, in the log or in a snapshot */
    lash_index snapshot;     /* the newest snapshot that is durable for certain */
    lash_index before;       /* the one before it, if the log reaches back to it */
};

static struct snapshots_options snapshots_options_for(struct memfs *fs) {
    return (struct snapshots_options){
        .vfs = memfs_vfs(fs), .dir = "s", .cluster_id = KIT_CLUSTER, .node_id = KIT_NODE, .chunk_bytes = CHUNK};
}

/* Open both, and let the log go on from the newest snapshot. */
static int start(struct replica *replica, struct log_recovered *recovered) {
    struct log_options options = kit_options(memfs_vfs(replica->fs), "d");
    struct snapshots_options snapshots = snapshots_options_for(replica->fs);
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    replica->log = NULL;
    replica->snapshots = NULL;
    int rc = log_open(&options, &replica->log, recovered);
    if (!rc)
        rc = snapshots_open(&snapshots, &replica->snapshots);
    if (!rc && snapshots_list(replica->snapshots, infos))
        rc = log_install(replica->log, infos[0].index, infos[0].term, recovered);
    return rc;
}

static void stop(struct replica *replica) {
    log_close(replica->log);
    snapshots_close(replica->snapshots);
}

static int append(struct replica *replica, lash_index first, uint32_t count, lash_term term) {
    int rc = kit_append(replica->log, first, count, term, 0, 200);
    if (!rc)
        rc = log_sync(replica->log);
    if (!rc)
        replica->acknowledged = first + count - 1;
    return rc;
}

static int write_snapshot(struct snapshots *snapshots, lash_index index, lash_term term) {
    struct snapshot_head head = {.index = index, .term = term};
    struct snapshot_writer *writer;
    uint8_t data[3 * CHUNK + 5];
    memset(data, (int)index, sizeof data);
    int rc = snapshot_begin(snapshots, &head, &writer);
    if (rc)
        return rc;
    rc = snapshot_write(writer, data, sizeof data);
    if (!rc)
        return snapshot_commit(writer);
    snapshot_abandon(writer);
    return rc;
}

/* A snapshot of its own, and then the log is trimmed as far as may be. */
static int compact(struct replica *replica, lash_index index, lash_term term) {
    int rc = write_snapshot(replica->snapshots, index, term);
    if (rc)
        return rc;
    replica->before = replica->snapshot;
    replica->snapshot = index;
    lash_index floor = snapshots_floor(replica->snapshots);
    return floor ? log_trim(replica->log, floor) : LASH_OK;
}

/* A peer's snapshot: first it is durable, then the log goes on from it. */
static int install(struct replica *replica, lash_index index, lash_term term) {
    int rc = write_snapshot(replica->snapshots, index, term);
    if (rc)
        return rc;
    replica->before = 0;
    replica->snapshot = index;
    replica->acknowledged = index;
    return log_install(replica->log, index, term, NULL);
}

static int course(struct replica *replica) {
    struct log_recovered recovered;
    int rc = start(replica, &recovered);
    if (rc)
        return rc;
    log_recovered_free(&recovered);
    rc = kit_vote(replica->log, 1, 2);
    if (!rc)
        rc = append(replica, 1, 6, 1);
    if (!rc)
        rc = compact(replica, 5, 1);
    if (!rc)
        rc = append(replica, 7, 20, 1);
    if (!rc)
        rc = compact(replica, 16, 1);
    if (!rc)
        rc = append(replica, 27, 20, 1);
    if (!rc)
        rc = compact(replica, 40, 1);
    if (!rc)
        rc = install(replica, INSTALLED, 3);
    if (!rc)
        rc = append(replica, INSTALLED + 1, 10, 3);
    if (!rc)
        rc = compact(replica, INSTALLED + 8, 3);
    return rc ? rc : append(replica, INSTALLED + 11, 10, 3);
}

/* The newest snapshot is found to be damaged: the one before it does as well, unless the newest was a peer's. */
static void expect_fallback(struct replica *replica, const struct log_recovered *recovered) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    size_t count = snapshots_list(replica->snapshots, infos);
    if (count == SNAPSHOTS_KEPT && infos[0].index != INSTALLED)
        assert_true(recovered->first_index <= infos[1].index + 1);
    if (count == 1 && infos[0].index != INSTALLED)
        assert_int_equal(recovered->first_index, 1);
}

/* What is found after a restart. */
static void expect_whole(struct replica *replica, uint64_t n) {
    struct log_recovered recovered = {0};
    struct snapshot_info infos[SNAPSHOTS_KEPT] = {{0}};
    struct replica found = {.fs = replica->fs};
    struct kit_state state;
    assert_int_equal(start(&found, &recovered), LASH_OK);
    size_t count = snapshots_list(found.snapshots, infos);
    if (infos[0].index < replica->snapshot || recovered.first_index > infos[0].index + 1 ||
        recovered.last_index < replica->acknowledged)
        print_error("operation %" PRIu64 ": snapshot %" PRIu64 ", log %" PRIu64 "..%" PRIu64 ", acknowledged %" PRIu64
                    "\n",
                    n, infos[0].index, recovered.first_index, recovered.last_index, replica->acknowledged);
    assert_true(infos[0].index >= replica->snapshot);
    assert_true(recovered.first_index <= infos[0].index + 1);   /* S2 */
    assert_true(recovered.last_index >= replica->acknowledged); /* D1 */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(snapshots_check(found.snapshots, infos[i].index), LASH_OK);
    assert_int_equal(kit_read(found.log, &recovered, &state), LASH_OK);
    expect_fallback(&found, &recovered);
    log_recovered_free(&recovered);
    stop(&found);
}

static uint64_t course_operations(void) {
    struct replica replica = {.fs = memfs_new()};
    memfs_fail(replica.fs, 0, MEMFS_FINE);
    assert_int_equal(course(&replica), LASH_OK);
    assert_int_equal(replica.acknowledged, INSTALLED + 20);
    uint64_t operations = memfs_operations(replica.fs);
    stop(&replica);
    memfs_free(replica.fs);
    return operations;
}

static void wherever_the_power_goes_there_is_no_gap(void **state) {
    (void)state;
    static const enum memfs_survival survivals[] = {MEMFS_ALL, MEMFS_NONE, MEMFS_SOME, MEMFS_GARBAGE};
    uint64_t operations = course_operations();
    for (uint64_t n = 1; n <= operations; n++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            struct replica replica = {.fs = memfs_new()};
            memfs_fail(replica.fs, n, MEMFS_POWER_OFF);
            (void)course(&replica);
            stop(&replica);
            memfs_power_on(replica.fs, survivals[seed < 2 ? seed : 2 + seed % 2], n * 100 + seed);
            expect_whole(&replica, n);
            memfs_free(replica.fs);
        }
    }
}

/* The start after a loss of power is itself cut short, at each operation. */
static void nor_when_it_goes_again_during_the_start(void **state) {
    (void)state;
    uint64_t operations = course_operations();
    for (uint64_t n = 1; n <= operations; n += 3) {
        for (uint64_t again = 1; again <= 12; again++) {
            struct replica replica = {.fs = memfs_new()};
            struct replica half = {.fs = replica.fs};
            struct log_recovered recovered = {0};
            memfs_fail(replica.fs, n, MEMFS_POWER_OFF);
            (void)course(&replica);
            stop(&replica);
            memfs_power_on(replica.fs, MEMFS_SOME, n);
            memfs_fail(replica.fs, again, MEMFS_POWER_OFF);
            (void)start(&half, &recovered);
            log_recovered_free(&recovered);
            stop(&half);
            memfs_power_on(replica.fs, again % 2 ? MEMFS_SOME : MEMFS_NONE, n * 100 + again);
            expect_whole(&replica, n);
            memfs_free(replica.fs);
        }
    }
}

static void nor_when_an_operation_fails_and_the_process_ends(void **state) {
    (void)state;
    static const enum memfs_fault faults[] = {MEMFS_EIO, MEMFS_EIO_DONE, MEMFS_EIO_SOME, MEMFS_ENOSPC};
    uint64_t operations = course_operations();
    for (uint64_t n = 1; n <= operations; n++) {
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            struct replica replica = {.fs = memfs_new()};
            memfs_fail(replica.fs, n, faults[i]);
            (void)course(&replica);
            if (n % 2) {
                stop(&replica);
                memfs_kill(replica.fs);
            } else {
                memfs_fail(replica.fs, 1, MEMFS_POWER_OFF);
                stop(&replica);
                memfs_power_on(replica.fs, MEMFS_SOME, n);
            }
            expect_whole(&replica, n);
            memfs_free(replica.fs);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wherever_the_power_goes_there_is_no_gap),
        cmocka_unit_test(nor_when_it_goes_again_during_the_start),
        cmocka_unit_test(nor_when_an_operation_fails_and_the_process_ends),
    };
    return cmocka_run_group_tests_name("snapshots and the log, stopped everywhere", tests, quiet, NULL);
}
