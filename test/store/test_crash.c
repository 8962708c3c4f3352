/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes killed with SIGKILL at random moments while they apply: what they leave is
 * the state after some batch, no earlier than the last one they reported.
 */
#include "harness.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "generate.h"
#include "lash/log.h"
#include "store/arena.h"

enum { KILLS = 30, BATCH_MAX = 8 };

static const uint64_t seed = 4711;

/* Command `index` of the history; the same in every process. Its revision is a guess, as the store's is not known. */
static struct store_op history_command(lash_index index, struct store_arena *arena) {
    struct generator generator = {.state = seed + index};
    generate_below(&generator, 2);
    return generate_command(&generator, arena, (int64_t)index / 2 + 1);
}

/* Apply the history's commands from `first` to `last` as one batch. */
static void history_apply(struct store *store, lash_index first, lash_index last) {
    struct store_arena *arena = arena_new();
    struct lash_command commands[BATCH_MAX];
    size_t count = (size_t)(last - first + 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t *encoded;
        struct store_op op = history_command(first + i, arena);
        commands[i] = (struct lash_command){.index = first + i, .term = 1};
        if (store_encode(&op, &encoded, &commands[i].size))
            abort();
        commands[i].data = encoded;
    }
    struct lash_state_machine machine = store_machine(store);
    if (machine.apply(machine.context, commands, count, last))
        abort();
    for (size_t i = 0; i < count; i++)
        mem_free((void *)(uintptr_t)commands[i].data);
    store_arena_free(arena);
}

/* The child: apply batch after batch and report each, until killed. */
_Noreturn static void child_run(const char *dir, int report) {
    struct store_options options = {.dir = dir};
    struct store *store;
    lash_index applied;
    if (store_open(&options, &store, &applied))
        abort();
    for (uint64_t batch = 0;; batch++) {
        lash_index last = applied + 1 + batch * 5 % BATCH_MAX;
        history_apply(store, applied + 1, last);
        applied = last;
        if (write(report, &applied, sizeof applied) != sizeof applied)
            abort();
    }
}

/* Start a child, let it report some batches, kill it a moment later. Returns the last batch that it reported. */
static lash_index kill_one(const char *dir, struct generator *generator) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        child_run(dir, pipes[1]);
    }
    close(pipes[1]);
    lash_index reported = 0;
    for (uint64_t reports = generate_below(generator, 40); reports > 0; reports--)
        assert_int_equal(read(pipes[0], &reported, sizeof reported), sizeof reported);
    /* How far it comes meanwhile is up to chance, which is the point. */
    volatile uint64_t spin = generate_below(generator, 300000);
    while (spin)
        spin--;
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    lash_index late;
    while (read(pipes[0], &late, sizeof late) == sizeof late)
        reported = late;
    close(pipes[0]);
    return reported;
}

static void killed_processes_leave_whole_batches_and_lose_none_reported(void **state) {
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct generator generator = {.state = seed};
    struct harness killed, steady;
    harness_make(&killed);
    harness_make(&steady);
    harness_open(&steady);
    lash_index compared = 0;
    for (int i = 0; i < KILLS; i++) {
        lash_index reported = kill_one(killed.dir, &generator);
        harness_open(&killed);
        assert_true(killed.applied >= reported && killed.applied >= compared);
        for (; compared < killed.applied; compared++)
            history_apply(steady.store, compared + 1, compared + 1);
        uint64_t expected, actual;
        assert_int_equal(store_hash(steady.store, &expected), LASH_OK);
        assert_int_equal(store_hash(killed.store, &actual), LASH_OK);
        assert_true(actual == expected);
        audit(&killed);
        harness_close(&killed);
    }
    assert_true(compared > 100);
    print_message("%llu commands\n", (unsigned long long)compared);
    harness_close(&steady);
    harness_remove(&steady);
    harness_remove(&killed);
}

int main(void) {
    lash_set_log(NULL, NULL, LASH_LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_processes_leave_whole_batches_and_lose_none_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
