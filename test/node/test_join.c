/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes that join a simulated cluster by a snapshot, while their disks fail, or whose
 * peers know less of the membership than they do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/replica_state.h"
#include "sim/operator.h"
#include "simulated.h"
#include "storage/log_state.h"

enum { NODES = 3, OPERATIONS = 60 };

static void propose(struct world *world, int count) {
    for (int i = 0; i < count; i++)
        (void)world_propose(world, 0);
    world_quiet(world);
}

/* A node takes two snapshots, of which the first is as far as its log goes back. */
static void take_snapshots(struct world *world, size_t position) {
    const struct fault_draw draw = {.a = position};
    for (int i = 0; i < 2; i++) {
        lash_index before = world->nodes[position].newest.index;
        propose(world, 10);
        assert_true(operator_snapshot(world, &draw));
        STEPS_UNTIL(world, world->nodes[position].newest.index > before);
    }
}

/* The fourth node is added as a learner, and started. */
static struct world_node *add_fourth(struct world *world) {
    const struct fault_draw draw = {.flag = true};
    struct world_node *node = &world->nodes[NODES];
    assert_true(operator_join(world, &draw));
    STEPS_UNTIL(world, node->replica != NULL);
    return node;
}

/* Whose process ends, starts again. */
static void start_again(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    if (node->replica && !node->halted && !replica_error(node->replica))
        return;
    if (world_alive(node))
        world_kill(world, position);
    assert_true(world_start(world, position));
}

static bool has_applied_all(const struct world *world, const struct world_node *node) {
    return node->machine.applied == judge_committed(world->judge) && operator_counts(world, node->id - 1);
}

static void join_with_failing_operation(uint64_t operation) {
    struct world *world = new_members_world(NODES, 11);
    size_t leader = world_leader(world);
    take_snapshots(world, leader);
    struct world_node *node = add_fourth(world);
    node->ailing = true;
    memfs_fail(node->disk, operation, MEMFS_EIO);
    for (int steps = 0; !has_applied_all(world, node); steps++) {
        assert_true(steps < SIMULATED_STEPS_MAX);
        assert_true(world_step(world));
        start_again(world, NODES);
    }
    assert_true(world->nodes[leader].log->index.first_index > 1);
    assert_int_equal(replica_roster(node->replica)->count, NODES + 1);
    free_world(world);
}

static void a_joining_node_gets_its_snapshot_whichever_operation_of_its_disk_fails(void **state) {
    (void)state;
    for (uint64_t operation = 1; operation <= OPERATIONS; operation++)
        join_with_failing_operation(operation);
}

/* D§4.1: n3 is away while n4 joins and comes to lead; it must listen to n4 all the same, which it does not know. */
static void who_was_away_listens_to_a_leader_that_it_does_not_know(void **state) {
    (void)state;
    struct world *world = new_members_world(NODES, 12);
    const struct fault_draw draw = {.flag = true, .number = 2}; /* as a voter */
    size_t leader = world_leader(world);
    size_t away = leader == 2 ? 1 : 2;
    propose(world, 3);
    world_kill(world, away);
    assert_true(operator_join(world, &draw));
    STEPS_UNTIL(world, world->nodes[NODES].replica && has_applied_all(world, &world->nodes[NODES]));
    world_transfer(world, leader, NODES);
    STEPS_UNTIL(world, world->nodes[NODES].replica->status.role == LASH_LEADER);
    propose(world, 3);
    assert_true(world_start(world, away));
    STEPS_UNTIL(world,
                world->nodes[away].replica->status.leader == NODES + 1 && has_applied_all(world, &world->nodes[away]));
    free_world(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_joining_node_gets_its_snapshot_whichever_operation_of_its_disk_fails),
        cmocka_unit_test(who_was_away_listens_to_a_leader_that_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
