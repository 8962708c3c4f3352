/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated world's own checks can fail: each test damages the world behind the
 * production code's back. And it is the same world each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/logger.h"
#include "session/machine.h"
#include "sim/queue.h"
#include "sim/run.h"
#include "sim/stray.h"
#include "sim/world_session.h"
#include "sim/world_store.h"
#include "storage/log_state.h"
#include "store/store.h"

/* What a child process that broke an invariant says of it. */
static int verdict_pipe;
static struct world *verdict_world;

static void world_broken(void *context, const char *invariant, const char *what) {
    (void)context;
    (void)what;
    world_store_clean(verdict_world);
    (void)!write(verdict_pipe, invariant, strlen(invariant));
    _exit(1);
}

/* What stands behind the replicas. */
enum kind { PLAIN, STORE, SESSIONS };

static struct world *quiet_world(size_t nodes, uint64_t seed, enum kind kind) {
    struct world_options options = {.seed = seed, .nodes = nodes, .failed = world_broken, .manual = true};
    profile_quiet(&options.profile);
    options.profile.store = kind == STORE;
    options.profile.sessions = kind == SESSIONS;
    return world_new(&options);
}

/* A world of three nodes with ten commands carried out goes through `damage` in a process of its own; the invariant that
 * breaks is to be this one. */
static void expect_of(const char *invariant, void (*damage)(struct world *world), enum kind kind) {
    int ends[2];
    char found[16] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        verdict_pipe = ends[1];
        struct world *world = verdict_world = quiet_world(3, 7, kind);
        (void)world_leader(world);
        for (size_t i = 0; i < 10; i++)
            (void)world_propose(world, i % 3);
        world_heal(world);
        damage(world);
        world_free(world);
        _exit(0);
    }
    close(ends[1]);
    ssize_t size = read(ends[0], found, sizeof found - 1);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(size >= 0 && WIFEXITED(status));
    assert_string_equal(found, invariant);
}

static void expect(const char *invariant, void (*damage)(struct world *world)) {
    expect_of(invariant, damage, PLAIN);
}

static void nothing(struct world *world) {
    world_heal(world);
    world_ask_all(world);
}

static void the_disk_is_empty(struct world *world) {
    world_kill(world, 1);
    memfs_free(world->nodes[1].disk);
    world->nodes[1].disk = memfs_new();
    world->nodes[1].machine.applied = 0;
    (void)world_start(world, 1);
}

static void the_disk_is_anothers(struct world *world) {
    world_kill(world, 1);
    world_kill(world, 2);
    memfs_free(world->nodes[1].disk);
    world->nodes[1].disk = memfs_clone(world->nodes[2].disk);
    (void)world_start(world, 1);
}

static void a_bit_of_the_log_flips(struct world *world) {
    world_kill(world, 1);
    assert_true(memfs_rot(world->nodes[1].disk, "log/log-0000000000000001", 520, 1));
    world->options.manual = false;
    (void)world_start(world, 1);
}

/* Frames of their own, one behind the other: entries 12 to 17. */
static void six_commands(struct world *world) {
    for (int i = 0; i < 6; i++) {
        (void)world_propose(world, world_leader(world));
        world_quiet(world);
    }
    world_heal(world);
}

/* Bytes of the frame with this entry are wrong; it is in the log's first segment. */
static void rot(struct world *world, size_t position, lash_index index) {
    const struct log_index *spans = &world->nodes[position].log->index;
    uint64_t offset = spans->spans[log_index_find(spans, index)].offset;
    world_kill(world, position);
    world->nodes[position].damaged = true;
    for (uint64_t i = 0; i < 80; i++)
        assert_true(memfs_rot(world->nodes[position].disk, "log/log-0000000000000001", offset + i, 0xff));
}

/* With it the checksum of the record's header is wrong, and nothing else. */
static void a_bit_flips_and_is_put_right(struct world *world) {
    world->nodes[1].damaged = true;
    a_bit_of_the_log_flips(world);
    world->options.manual = true;
    if (!world->nodes[1].replica || world->tally.repairs)
        world_broken(NULL, "not put right", "");
    world_heal(world);
}

/* While one is being repaired, the two others and it are as two of three. */
static void a_log_is_repaired(struct world *world) {
    six_commands(world);
    rot(world, 1, 13);
    (void)world_start(world, 1);
    if (!world->nodes[1].repair)
        world_broken(NULL, "not damaged", "");
    world_heal(world);
    world_ask_all(world);
    if (!world->nodes[1].replica || world->tally.repairs != 1)
        world_broken(NULL, "not repaired", "");
}

/* Of two that are damaged in different places each has what the other lacks; the third stays away. */
static void two_logs_repair_one_another(struct world *world) {
    six_commands(world);
    rot(world, 1, 13);
    rot(world, 2, 14);
    world_kill(world, 0);
    world->nodes[0].gone = true;
    (void)world_start(world, 1);
    (void)world_start(world, 2);
    if (!world->nodes[1].repair || !world->nodes[2].repair)
        world_broken(NULL, "not damaged", "");
    world_heal(world);
    world_ask_all(world);
    if (world->tally.repairs != 2)
        world_broken(NULL, "not repaired", "");
}

/* A repair that could go on does not. */
static void a_repair_stands_still(struct world *world) {
    six_commands(world);
    rot(world, 1, 13);
    (void)world_start(world, 1);
    world_hold(world, 1, REPLICA_LOG);
    world_heal(world);
}

static void a_machine_forgets_before_a_read(struct world *world) {
    size_t leader = world_leader(world);
    world_read(world, leader);
    world->nodes[leader].machine.applied = 0;
    world_quiet(world);
}

static void a_dropped_command_is_applied(struct world *world) {
    uint64_t number = world_propose(world, world_leader(world));
    world->commands[number - 1].fate = WORLD_DROPPED;
    world_quiet(world);
}

static void a_command_is_applied_elsewhere(struct world *world) {
    uint64_t number = world_propose(world, world_leader(world));
    world->commands[number - 1].index = 1;
    world_quiet(world);
}

static void a_machine_differs(struct world *world) {
    world->nodes[1].machine.state++;
    (void)world_propose(world, world_leader(world));
    world_heal(world);
}

static void a_machine_applies_again(struct world *world) {
    struct lash_command command = {.index = 1, .data = "\1\0\0\0\0\0\0", .size = 8};
    (void)machine_apply(&world->nodes[0], &command, 1, 1);
}

static void a_command_has_changed(struct world *world) {
    struct lash_command command = {.index = 100, .data = "\1\0\0\0\0\0\0\0\1\1\2", .size = 11};
    (void)machine_apply(&world->nodes[0], &command, 1, 100);
}

static void more_was_acknowledged_than_there_is(struct world *world) {
    world->acknowledged = 1000000;
    world_heal(world);
}

static void a_node_takes_no_part(struct world *world) {
    world->nodes[1].apply_error = LASH_NOMEM;
    (void)world_propose(world, world_leader(world));
    world_heal(world);
}

static void a_replica_fails_for_no_reason(struct world *world) {
    world->options.manual = false;
    world->nodes[1].apply_error = LASH_NOMEM;
    (void)world_propose(world, world_leader(world));
    world_heal(world);
}

static void a_store_has_another_revision(struct world *world) {
    world->nodes[1].store_revision++;
    for (int i = 0; i < 5; i++)
        (void)world_propose(world, world_leader(world));
    world_heal(world);
}

static void a_store_forgets_over_a_kill(struct world *world) {
    world_kill(world, 1);
    world->nodes[1].machine.applied--;
    (void)world_start(world, 1);
}

static void a_store_has_applied_more(struct world *world) {
    struct lash_state_machine machine = store_machine(world->nodes[1].store);
    struct store_op op = {.type = STORE_PUT, .put = {.key = {(const uint8_t *)"x", 1}}};
    struct store_result result = {0};
    struct lash_command command = {.index = world->nodes[1].machine.applied + 1, .request = &result};
    uint8_t *data;
    assert_int_equal(store_encode(&op, &data, &command.size), 0);
    command.data = data;
    assert_int_equal(machine.apply(machine.context, &command, 1, command.index), 0);
    mem_free(data);
    store_result_free(&result);
    world_read(world, 1);
    world_quiet(world);
}

static void stores_that_go_astray_are_found(void **state) {
    (void)state;
    expect_of("", nothing, STORE);
    expect_of("X2", a_store_has_another_revision, STORE);
    expect_of("X2", a_store_forgets_over_a_kill, STORE);
    expect_of("R1", a_store_has_applied_more, STORE);
}

/* ---- Sessions ---------------------------------------------------------------------------------------------- */

static void a_table_is_of_another_time(struct world *world) {
    world_session_table(&world->nodes[1])->table.log_ms++;
    (void)world_propose(world, world_leader(world));
    world_heal(world);
}

static void a_command_without_a_session_comes_by(struct world *world) {
    uint64_t number = world_command(world);
    struct lash_command command = {
        .index = world->nodes[1].machine.applied + 1, .data = &number, .size = sizeof number};
    if (machine_apply(&world->nodes[1], &command, 1, command.index) == LASH_CORRUPT)
        world_broken(NULL, "refused", "");
}

static void sessions_that_go_astray_are_found(void **state) {
    (void)state;
    expect_of("", nothing, SESSIONS);
    expect_of("L4", a_table_is_of_another_time, SESSIONS);
    expect_of("refused", a_command_without_a_session_comes_by, SESSIONS);
}

/* ---- Writes that go astray ------------------------------------------------------------------------------- */

/* A write of the second node lands far behind everything; then so many more batches are written, and the node is started anew. */
static void go_astray(struct world *world, int batches) {
    struct world_node *node = &world->nodes[1];
    stray_plan(node, 1, "log/log-0000000000000001", 8192, node->log->segments[0]->first_position + 8192);
    for (int i = 0; i < 1 + batches; i++) {
        (void)world_propose(world, world_leader(world));
        uint64_t count = node->stray.count;
        while (node->stray.count == count)
            assert_true(world_step(world));
    }
    assert_int_equal(node->stray.after, 0);
    assert_true(node->damaged);
}

static void start_anew(struct world *world) {
    world_kill(world, 1);
    world->options.manual = false;
    (void)world_start(world, 1);
    world->options.manual = true;
}

static void gone_and_nothing_broken(struct world *world) {
    if (!world->nodes[1].gone)
        world_broken(NULL, "runs", "");
    (void)world_propose(world, world_leader(world));
    world_heal(world);
}

static void the_last_write_goes_astray(struct world *world) {
    go_astray(world, 0);
    start_anew(world);
    gone_and_nothing_broken(world);
}

/* The others have what was lost with it. */
static void a_write_goes_astray_and_others_follow(struct world *world) {
    go_astray(world, 1);
    start_anew(world);
    (void)world_propose(world, world_leader(world));
    world_heal(world);
    if (!world->nodes[1].replica || world->tally.repairs != 1)
        world_broken(NULL, "not repaired", "");
}

static void the_last_write_is_missing_and_none_went_astray(struct world *world) {
    go_astray(world, 0);
    struct world_stray *stray = &world->nodes[1].stray;
    stray->appends[(stray->count - 1) % WORLD_APPENDS].hit = false;
    start_anew(world);
}

static void a_write_goes_astray_and_nobody_planned_it(struct world *world) {
    go_astray(world, 1);
    world->nodes[1].damaged = false;
    start_anew(world);
}

static void a_write_is_to_go_astray_and_none_does(struct world *world) {
    stray_plan(&world->nodes[1], 100, "log/log-0000000000000001", 8192, 8192);
    start_anew(world);
    if (world->nodes[1].damaged || world->nodes[1].gone)
        world_broken(NULL, "damaged", "");
    world_heal(world);
}

static void writes_that_go_astray_are_found_where_they_can_be(void **state) {
    (void)state;
    expect("", the_last_write_goes_astray);
    expect("", a_write_goes_astray_and_others_follow);
    expect("", a_write_is_to_go_astray_and_none_does);
    expect("D2", the_last_write_is_missing_and_none_went_astray);
    expect("D3", a_write_goes_astray_and_nobody_planned_it);
}

/* A node whose deadline is always over makes no time pass. */
static void a_node_spins(struct world *world) {
    for (;;) {
        world->nodes[0].deadline_us = world->now_us;
        world->nodes[0].timer_us = world->now_us;
        world_plan(world, 0, EVENT_TIMER, 0, world->nodes[0].life | (uint64_t)++world->nodes[0].timers << 32);
        (void)world_step(world);
    }
}

static void a_witness_gets_data(struct world *world) {
    world->nodes[1].witness = true;
    world_ask_all(world);
}

static void a_witness_is_asked_to_lead(struct world *world) {
    size_t leader = world_leader(world);
    world->profile.witnesses = true;
    for (size_t i = 0; i < 3; i++)
        world->nodes[i].witness = i != leader;
    world_transfer(world, leader, (leader + 1) % 3);
    world_quiet(world);
    world_heal(world);
}

static void what_is_broken_behind_its_back_is_found(void **state) {
    (void)state;
    expect("", nothing);
    expect("D2", the_disk_is_empty);
    expect("contract", the_disk_is_anothers);
    expect("D3", a_bit_of_the_log_flips);
    expect("", a_bit_flips_and_is_put_right);
    expect("", a_log_is_repaired);
    expect("", two_logs_repair_one_another);
    expect("P2", a_repair_stands_still);
    expect("R1", a_machine_forgets_before_a_read);
    expect("R1", a_dropped_command_is_applied);
    expect("L4", a_command_is_applied_elsewhere);
    expect("L4", a_machine_differs);
    expect("L5", a_machine_applies_again);
    expect("L2", a_command_has_changed);
    expect("D1", more_was_acknowledged_than_there_is);
    expect("P2", a_node_takes_no_part);
    expect("contract", a_replica_fails_for_no_reason);
    expect("P3", a_node_spins);
    expect("W1", a_witness_gets_data);
    expect("W1", a_witness_is_asked_to_lead);
}

/* ---- The same each time -------------------------------------------------------------------------------- */

static void the_same_seed_gives_the_same_run_and_another_one_another(void **state) {
    (void)state;
    const char *const profiles[] = {"node", "swarm", "calm", "core", "membership", "store", "session"};
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        struct run_settings settings = {.seed = 5 + i, .events = 15000, .nodes = 3, .profile = profiles[i]};
        struct run_result first, second, other;
        assert_true(run_apart(&settings, &first));
        assert_true(run_apart(&settings, &second));
        settings.seed += 100;
        assert_true(run_apart(&settings, &other));
        assert_true(first.hash != 0 && first.commits > 0);
        first.cpu_us = second.cpu_us = 0;
        assert_memory_equal(&first, &second, sizeof first);
        assert_true(first.hash != other.hash);
    }
}

static void a_fault_that_is_left_out_leaves_the_others_where_they_were(void **state) {
    (void)state;
    struct run_settings settings = {.seed = 8, .events = 15000, .nodes = 3, .profile = "node"};
    struct run_result all, none;
    uint64_t nothing_only[1];
    assert_true(run_apart(&settings, &all));
    settings.only = nothing_only;
    assert_true(run_apart(&settings, &none));
    uint64_t faults = 0;
    for (unsigned kind = 0; kind < FAULT_PACKET; kind++) {
        faults += all.faults[kind];
        assert_int_equal(none.faults[kind], 0);
    }
    assert_true(faults > 10);
}

/* ---- The queue ------------------------------------------------------------------------------------------ */

static void events_come_in_the_order_of_time_and_then_of_planning(void **state) {
    (void)state;
    struct queue queue = {0};
    uint64_t random = 3;
    for (uint32_t i = 0; i < 2000; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        queue_push(&queue, (struct event){.at_us = random >> 58, .subject = i});
    }
    struct event event, before = {0};
    for (uint32_t i = 0; i < 2000; i++, before = event) {
        assert_true(queue_pop(&queue, &event));
        assert_true(event.at_us > before.at_us || i == 0 ||
                    (event.at_us == before.at_us && event.subject > before.subject));
    }
    assert_false(queue_pop(&queue, &event));
    queue_free(&queue);
}

int main(void) {
    lash_set_log(NULL, NULL, LASH_LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_broken_behind_its_back_is_found),
        cmocka_unit_test(stores_that_go_astray_are_found),
        cmocka_unit_test(sessions_that_go_astray_are_found),
        cmocka_unit_test(writes_that_go_astray_are_found_where_they_can_be),
        cmocka_unit_test(the_same_seed_gives_the_same_run_and_another_one_another),
        cmocka_unit_test(a_fault_that_is_left_out_leaves_the_others_where_they_were),
        cmocka_unit_test(events_come_in_the_order_of_time_and_then_of_planning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
