/* SPDX-License-Identifier: Apache-2.0
 *
 * The power goes at every operation on the disk in turn, and of what was not
 * synced all, nothing, or any part survives, whole, old, zeroed or as garbage; it goes
 * again during recovery and afterwards. What was synced is there (D1), what is
 * there is a state that the log went through (D2), and a mere crash is never
 * taken for corruption (D3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>

#include "lash/log.h"
#include "script.h"
#include "sim/memfs.h"

enum { SEEDS = 5 };

/* One way to lose power. */
struct crash {
    uint64_t n; /* at this operation of the course */
    enum memfs_survival survival;
    uint64_t seed;
};

static void swallow(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static size_t expect_allowed(struct script *script, const struct crash *crash, const char *when) {
    size_t found = 0;
    int rc = script_find(script, &found);
    if (rc)
        print_error("%s: operation %" PRIu64 ", survival %d, seed %" PRIu64 ": %d (allowed %zu..%zu)\n", when, crash->n,
                    (int)crash->survival, crash->seed, rc, script->synced, script->tried);
    assert_int_equal(rc, LASH_OK);
    return found;
}

/* The log of a machine that lost its power: closing it does nothing to the disk. */
static void abandon(struct script *script, struct memfs *fs) {
    memfs_fail(fs, 1, MEMFS_POWER_OFF);
    log_close(script->log);
    script->log = NULL;
}

/* From the disk as it is, recovery gives state `found`, whatever operation of recovery the power fails at first. */
static void crash_during_recovery(const struct script *model, struct memfs *fs, const struct crash *crash,
                                  size_t found) {
    bool failed = true;
    for (uint64_t m = 1; failed; m++) {
        struct memfs *copy = memfs_clone(fs);
        struct script *script = script_new(memfs_vfs(copy));
        struct log_options options = script->options;
        *script = *model;
        script->options = options;
        script->log = NULL;
        struct log_recovered recovered;
        memfs_fail(copy, m, MEMFS_POWER_OFF);
        if (!log_open(&script->options, &script->log, &recovered))
            log_recovered_free(&recovered);
        failed = memfs_failed(copy);
        abandon(script, copy);
        memfs_power_on(copy, crash->survival, crash->seed + m);
        assert_int_equal(expect_allowed(script, crash, "crash during recovery"), found);
        script_free(script);
        memfs_free(copy);
    }
}

/* After recovery the log goes on, and what is synced then survives the next crash. */
static void go_on(struct script *script, struct memfs *fs, const struct crash *crash, size_t found) {
    struct kit_state *state = &script->states[found];
    lash_term term = state->term + 1;
    lash_index first = state->last > state->first ? state->last : state->last + 1;
    script->states[found + 1] = *state;
    script->states[found + 1].term = term;
    script->states[found + 1].vote = 1;
    script->states[found + 2] = script->states[found + 1];
    kit_state_append(&script->states[found + 2], first, 2, term, 99);
    script->states[found + 3] = script->states[found + 2];
    kit_state_append(&script->states[found + 3], first + 2, 1, term, 99);
    script->synced = script->tried = found;
    script->tried = found + 3;
    assert_int_equal(kit_vote(script->log, term, 1), LASH_OK);
    assert_int_equal(kit_append(script->log, first, 2, term, 99, 16 + crash->seed * 8), LASH_OK);
    if (crash->n % 2) {
        assert_int_equal(log_sync(script->log), LASH_OK);
        script->synced = found + 2;
    }
    assert_int_equal(kit_append(script->log, first + 2, 1, term, 99, 600), LASH_OK);
    abandon(script, fs);
    memfs_power_on(fs, crash->survival, crash->seed * 31 + crash->n);
    expect_allowed(script, crash, "crash after recovery");
}

/* Lose power once; false when the course ends before. */
static bool lose_power(const struct crash *crash) {
    struct memfs *fs = memfs_new();
    struct script *script = script_new(memfs_vfs(fs));
    size_t i = 0;
    memfs_fail(fs, crash->n, MEMFS_POWER_OFF);
    script_run(script, &i);
    bool failed = memfs_failed(fs);
    abandon(script, fs);
    memfs_power_on(fs, crash->survival, crash->seed);
    struct memfs *before = memfs_clone(fs);
    size_t found = expect_allowed(script, crash, "crash");
    if (crash->seed == 1)
        crash_during_recovery(script, before, crash, found);
    memfs_free(before);
    go_on(script, fs, crash, found);
    script_free(script);
    memfs_free(fs);
    return failed;
}

static void lose_power_everywhere(enum memfs_survival survival, uint64_t seeds) {
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct crash crash = {1, survival, seed};
        while (lose_power(&crash))
            crash.n++;
        assert_true(crash.n > 100);
    }
}

/* Kill the process at one operation, start anew on what the cache shows, go on, and then lose power. What recovery
 * found must be durable from then on, directory included. */
static bool kill_and_lose_power(const struct crash *crash) {
    struct memfs *fs = memfs_new();
    struct script *script = script_new(memfs_vfs(fs));
    size_t i = 0;
    memfs_fail(fs, crash->n, MEMFS_POWER_OFF);
    script_run(script, &i);
    bool failed = memfs_failed(fs);
    abandon(script, fs);
    memfs_kill(fs);
    size_t found = expect_allowed(script, crash, "kill");
    go_on(script, fs, crash, found);
    script_free(script);
    memfs_free(fs);
    return failed;
}

static void every_kill_followed_by_a_power_loss(void **state) {
    (void)state;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct crash crash = {1, seed == 1 ? MEMFS_NONE : MEMFS_GARBAGE, seed};
        while (kill_and_lose_power(&crash))
            crash.n++;
        assert_true(crash.n > 100);
    }
}

static void every_crash_with_all_writes_on_disk(void **state) {
    (void)state;
    lose_power_everywhere(MEMFS_ALL, 1);
}

static void every_crash_without_unsynced_writes(void **state) {
    (void)state;
    lose_power_everywhere(MEMFS_NONE, 1);
}

static void every_crash_with_some_sectors_on_disk(void **state) {
    (void)state;
    lose_power_everywhere(MEMFS_SOME, SEEDS);
}

static void every_crash_with_garbage_in_unsynced_sectors(void **state) {
    (void)state;
    lose_power_everywhere(MEMFS_GARBAGE, SEEDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kill_followed_by_a_power_loss),
        cmocka_unit_test(every_crash_with_all_writes_on_disk),
        cmocka_unit_test(every_crash_without_unsynced_writes),
        cmocka_unit_test(every_crash_with_some_sectors_on_disk),
        cmocka_unit_test(every_crash_with_garbage_in_unsynced_sectors),
    };
    return cmocka_run_group_tests_name("log crash", tests, NULL, NULL);
}
