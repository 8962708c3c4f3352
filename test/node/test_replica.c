/* SPDX-License-Identifier: Apache-2.0
 *
 * Replicas in a simulated world: scenarios, and long random histories with faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/logger.h"
#include "node/wire.h"
#include "simulated.h"

static void what_comes_while_a_write_is_out_makes_one_write(void **state) {
    (void)state;
    struct world *world = new_world(1, 1);
    world_leader(world);
    world_propose(world, 0);
    world_quiet(world);
    while (world_work(world, 0, REPLICA_LOG) || world_finish(world, 0, REPLICA_LOG))
        continue;
    uint64_t before = world->nodes[0].jobs[REPLICA_LOG];
    for (int i = 0; i < 100; i++) {
        world_propose(world, 0);
        world_turn(world, 0);
    }
    assert_int_equal(world->nodes[0].jobs[REPLICA_LOG], before + 1);
    assert_true(world_work(world, 0, REPLICA_LOG));
    assert_true(world_finish(world, 0, REPLICA_LOG));
    world_turn(world, 0);
    assert_int_equal(world->nodes[0].jobs[REPLICA_LOG], before + 2);
    assert_true(world_work(world, 0, REPLICA_LOG));
    assert_true(world_finish(world, 0, REPLICA_LOG));
    world_turn(world, 0);
    assert_int_equal(world->nodes[0].jobs[REPLICA_LOG], before + 2);
    world_quiet(world);
    assert_int_equal(world->tally.done, 101);
    free_world(world);
}

static void a_leader_sends_entries_before_its_own_write_is_done(void **state) {
    (void)state;
    struct world *world = new_world(3, 2);
    size_t leader = world_leader(world);
    world_propose(world, leader);
    world_quiet(world);
    uint64_t sent = world->nodes[leader].packets_sent;
    world_propose(world, leader);
    world_turn(world, leader);
    assert_true(world->nodes[leader].packets_sent >= sent + 2);
    world_quiet(world);
    free_world(world);
}

static void nothing_is_acknowledged_before_it_is_durable_at_a_quorum(void **state) {
    (void)state;
    struct world *world = new_world(3, 12);
    size_t leader = world_leader(world);
    world_propose(world, leader);
    world_quiet(world);
    world_heal(world);
    uint64_t number = world_propose(world, leader);
    for (size_t i = 0; i < 3; i++)
        if (i != leader)
            world_hold(world, i, REPLICA_LOG);
    run_ms(world, 1000);
    assert_int_equal(world_fate(world, number), WORLD_OPEN);
    for (size_t i = 0; i < 3; i++)
        world_release(world, i, REPLICA_LOG);
    world_quiet(world);
    world_heal(world);
    free_world(world);
}

static void no_vote_leaves_before_it_is_durable(void **state) {
    (void)state;
    struct world *world = new_world(3, 13);
    for (size_t i = 0; i < 3; i++)
        world_hold(world, i, REPLICA_LOG);
    for (int i = 0; i < 20000; i++) {
        for (size_t j = 0; j < 3; j++)
            assert_int_not_equal(status_of(world, j).raft.role, LASH_LEADER);
        assert_true(world_step(world));
    }
    for (size_t i = 0; i < 3; i++)
        world_release(world, i, REPLICA_LOG);
    world_leader(world);
    free_world(world);
}

static void a_forward_meant_for_another_term_is_refused(void **state) {
    (void)state;
    struct world *world = new_world(3, 14);
    size_t leader = world_leader(world);
    world_propose(world, leader);
    world_quiet(world);
    world_heal(world);
    struct lash_status before;
    struct lash_status after;
    replica_status(world->nodes[leader].replica, &before);
    struct frame_input input = {.origin = (leader + 1) % 3 + 1, .sequence = 7, .data = "data", .size = 4};
    struct buf *frame;
    assert_int_equal(frame_encode(0, 1, 1, LASH_ENTRY_COMMAND, &input, 1, &frame), 0);
    for (lash_term term = before.raft.term - 1; term <= before.raft.term + 1; term += 2) {
        struct wire_head head;
        memset(&head, 0, sizeof head);
        head.kind = WIRE_FORWARD;
        head.forward.term = term;
        uint8_t data[WIRE_HEAD_MAX];
        size_t size = wire_encode(&head, data);
        uint64_t sent = world->nodes[leader].packets_sent;
        assert_int_equal(
            replica_receive(world->nodes[leader].replica, input.origin, data, size, frame->data, frame->size), 0);
        assert_int_equal(world->nodes[leader].packets_sent, sent + 1);
    }
    buf_unref(frame);
    replica_status(world->nodes[leader].replica, &after);
    assert_int_equal(after.raft.last_index, before.raft.last_index);
    free_world(world);
}

static void nothing_is_applied_before_it_is_durable_here(void **state) {
    (void)state;
    struct world *world = new_world(3, 3);
    size_t leader = world_leader(world);
    world_propose(world, leader);
    world_quiet(world);
    /* The leader's disk stands still while the followers commit. */
    lash_index applied = world->nodes[leader].machine.applied;
    world_hold(world, leader, REPLICA_LOG);
    world_propose(world, leader);
    world_turn(world, leader);
    STEPS_UNTIL(world, status_of(world, leader).raft.commit == status_of(world, leader).raft.last_index);
    run_ms(world, 1000);
    assert_int_equal(world->nodes[leader].machine.applied, applied);
    assert_int_equal(world->outstanding, 1);
    world_release(world, leader, REPLICA_LOG);
    world_quiet(world);
    assert_true(world->nodes[leader].machine.applied > applied);
    free_world(world);
}

static void a_proposal_that_its_deposed_leader_held_alone_is_dropped_for_certain(void **state) {
    (void)state;
    struct world *world = new_world(3, 4);
    size_t leader = world_leader(world);
    world_propose(world, leader);
    world_quiet(world);
    world_disconnect(world, leader, (leader + 1) % 3);
    world_disconnect(world, leader, (leader + 2) % 3);
    uint64_t lost = world_propose(world, leader);
    world_turn(world, leader);
    size_t other = (leader + 1) % 3;
    STEPS_UNTIL(world, status_of(world, other).raft.leader != 0 && status_of(world, other).raft.leader != leader + 1);
    world_heal(world);
    assert_int_equal(world_fate(world, lost), WORLD_DROPPED);
    free_world(world);
}

static void a_follower_learns_that_what_it_forwarded_was_lost(void **state) {
    (void)state;
    struct world *world = new_world(3, 5);
    size_t leader = world_leader(world);
    size_t follower = (leader + 1) % 3;
    world_propose(world, follower);
    world_quiet(world);
    uint64_t lost = world_propose(world, follower);
    world_turn(world, follower);
    world_kill(world, leader); /* with the packet on its way */
    world_leader(world);
    world_quiet(world);
    assert_int_equal(world_fate(world, lost), WORLD_DROPPED);
    world_heal(world);
    free_world(world);
}

static void a_proposal_that_could_not_be_sent_waits_for_the_next_chance(void **state) {
    (void)state;
    struct world *world = new_world(3, 6);
    size_t leader = world_leader(world);
    size_t follower = (leader + 1) % 3;
    world->nodes[follower].send_error = LASH_BUSY;
    uint64_t number = world_propose(world, follower);
    for (int i = 0; i < 100; i++)
        world_turn(world, follower);
    assert_int_equal(world_fate(world, number), WORLD_OPEN);
    world->nodes[follower].send_error = 0;
    world_quiet(world);
    assert_int_equal(world_fate(world, number), WORLD_DONE);
    free_world(world);
}

/* What is on its way from one node to another arrives at a third one. */
static void redirect(struct world *world, size_t from, size_t to, size_t third) {
    struct world_link *link = network_link(world, from, to);
    struct world_link *other = network_link(world, from, third);
    struct list *at;
    for (size_t lane = 0; lane < TRANSPORT_LANES; lane++) {
        while ((at = list_pop(&link->lanes[lane].packets))) {
            link->lanes[lane].count--;
            list_push(&other->lanes[lane].packets, at);
            other->lanes[lane].count++;
            world_plan(world, 1, EVENT_DELIVER, lane * WORLD_LINKS + (size_t)(other - world->links),
                       other->lanes[lane].generation);
        }
    }
}

static void a_refused_forward_goes_to_the_next_leader(void **state) {
    (void)state;
    struct world *world = new_world(3, 7);
    size_t leader = world_leader(world);
    size_t follower = (leader + 1) % 3;
    world_propose(world, follower);
    world_quiet(world);
    uint64_t number = world_propose(world, follower);
    world_turn(world, follower);
    /* The packet reaches a node that is not the leader: as if its term had just ended. */
    size_t other = (leader + 2) % 3;
    redirect(world, follower, leader, other);
    world_quiet(world);
    assert_int_equal(world_fate(world, number), WORLD_DONE);
    world_heal(world);
    free_world(world);
}

static void a_lone_node_ends_its_requests_by_their_deadline(void **state) {
    (void)state;
    struct world *world = new_world(3, 8);
    for (size_t i = 1; i < 3; i++)
        world_disconnect(world, 0, i);
    uint64_t number = world_propose(world, 0);
    world_read(world, 0);
    uint64_t begin_us = world->now_us;
    world_quiet(world);
    assert_in_range(world->now_us, begin_us + 1999000, begin_us + 2100000); /* clocks show whole milliseconds */
    assert_int_equal(world_fate(world, number), WORLD_DROPPED);             /* LASH_NO_LEADER: it was never sent */
    assert_int_equal(world->tally.reads, 0);
    free_world(world);
}

static void a_state_machine_that_fails_ends_the_replica_but_not_the_cluster(void **state) {
    (void)state;
    struct world *world = new_world(3, 9);
    size_t leader = world_leader(world);
    world_heal(world);
    world->nodes[leader].apply_error = LASH_VERSION;
    uint64_t number = world_propose(world, leader);
    world_quiet(world);
    assert_int_equal(world_fate(world, number), WORLD_UNSURE);
    assert_int_equal(replica_error(world->nodes[leader].replica), LASH_VERSION);
    world_kill(world, leader);
    world->nodes[leader].apply_error = 0;
    world_leader(world);
    world_heal(world);
    assert_int_equal(world->nodes[leader].apply_count, 1);
    free_world(world);
}

/* Each operation of the disk fails in turn while commands are proposed. */
static void after_any_failed_disk_operation_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    uint32_t halted = 0;
    uint32_t stopped = 0;
    for (uint64_t n = 1; n <= 60; n++) {
        struct world *world = new_world(1, 100 + n);
        world_leader(world);
        struct world_node *node = &world->nodes[0];
        memfs_fail(node->disk, n, MEMFS_EIO);
        for (int i = 0; i < 30 && !node->halted && !replica_error(node->replica); i++) {
            world_propose(world, 0);
            world_quiet(world);
        }
        uint64_t done = world->tally.done;
        if (node->halted || replica_error(node->replica)) {
            world_propose(world, 0);
            world_quiet(world);
            assert_int_equal(world->tally.done, done); /* D4 */
        }
        halted += node->halted;
        stopped += replica_error(node->replica) != 0;
        world_power_off(world, 0);
        node->apply_count = 0;
        world_heal(world);
        assert_true(node->apply_count >= done);
        free_world(world);
    }
    assert_true(halted > 0 && stopped >= halted);
}

/* Whatever bytes come, the replica neither crashes nor believes them. */
static void garbage_and_damaged_packets_are_refused(void **state) {
    (void)state;
    struct world *world = new_world(3, 11);
    size_t leader = world_leader(world);
    world_propose(world, (leader + 1) % 3);
    world_quiet(world);
    struct replica *victim = world->nodes[leader].replica;
    struct wire_head head;
    memset(&head, 0, sizeof head);
    head.kind = WIRE_FORWARD;
    struct lash_status status;
    replica_status(victim, &status);
    head.forward.term = status.raft.term;
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    struct buf *frame;
    struct frame_input input = {.origin = 2, .sequence = 7, .data = "data", .size = 4};
    assert_int_equal(frame_encode(0, 1, 1, LASH_ENTRY_COMMAND, &input, 1, &frame), 0);
    lash_index last = status.raft.last_index;
    for (size_t bit = 0; bit < frame->size * 8; bit++) {
        frame->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        int error = replica_receive(victim, 2, data, size, frame->data, frame->size);
        assert_true(error == LASH_CORRUPT || error == LASH_VERSION);
        frame->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < frame->size; cut++)
        assert_int_equal(replica_receive(victim, 2, data, size, frame->data, cut), LASH_CORRUPT);
    /* Another's name on it, an entry that no client proposes, another group. */
    assert_int_equal(replica_receive(victim, 3, data, size, frame->data, frame->size), LASH_CORRUPT);
    buf_unref(frame);
    assert_int_equal(frame_encode(0, 1, 1, LASH_ENTRY_NOOP, &input, 1, &frame), 0);
    assert_int_equal(replica_receive(victim, 2, data, size, frame->data, frame->size), LASH_CORRUPT);
    buf_unref(frame);
    head.group = 1;
    size = wire_encode(&head, data);
    assert_int_equal(replica_receive(victim, 2, data, size, NULL, 0), LASH_CORRUPT);
    for (int i = 0; i < 20000; i++) {
        uint8_t noise[WIRE_HEAD_MAX];
        for (size_t j = 0; j < sizeof noise; j++)
            noise[j] = (uint8_t)draw(world, 256);
        assert_true(replica_receive(victim, 2, noise, draw(world, sizeof noise), noise, 64) != 0);
    }
    replica_status(victim, &status);
    assert_int_equal(status.raft.last_index, last);
    world_heal(world);
    free_world(world);
}

/* One thing that goes wrong, or is put right. */
static void mishap(struct world *world) {
    size_t node = (size_t)draw(world, world->count);
    size_t other = (size_t)draw(world, world->count);
    switch (draw(world, 6)) {
    case 0:
        if (world->nodes[node].replica)
            world_kill(world, node);
        break;
    case 1:
        if (world->nodes[node].replica)
            world_power_off(world, node);
        break;
    case 2:
        world_disconnect(world, node, other);
        break;
    case 3:
        if (node != other && world->nodes[node].replica && world->nodes[other].replica)
            world_connect(world, node, other);
        break;
    default:
        if (!world->nodes[node].replica)
            world_start(world, node);
    }
}

/* Memory runs out for a moment now and then; a replica that could not go on without it is started again. */
static void step_short_of_memory(struct world *world) {
    if (draw(world, 50) == 0)
        mem_fail_after(1 + draw(world, 6));
    (void)world_step(world);
    mem_fail_after(0);
    for (size_t i = 0; i < world->count; i++) {
        if (world->nodes[i].replica && replica_error(world->nodes[i].replica)) {
            assert_int_equal(replica_error(world->nodes[i].replica), LASH_NOMEM);
            world_kill(world, i);
            world_start(world, i);
        }
    }
}

static void step_plainly(struct world *world) {
    (void)world_step(world); /* nothing happens where nobody runs */
}

static void history(uint64_t seed, size_t count, void (*step)(struct world *world)) {
    struct world *world = new_world(count, seed);
    world->profile.packet_span_us <<= draw(world, 6);
    world->profile.disk_span_us <<= draw(world, 6);
    world->profile.apply_span_us <<= draw(world, 6);
    for (int i = 0; i < 20000; i++) {
        size_t node = (size_t)draw(world, count);
        if (world->nodes[node].replica && draw(world, 10) == 0)
            world_propose(world, node);
        if (world->nodes[node].replica && draw(world, 20) == 0)
            world_read(world, node);
        if (draw(world, 500) == 0)
            mishap(world);
        step(world);
    }
    world_heal(world);
    /* Healed, it takes requests everywhere again (P2). */
    world_ask_all(world);
    const struct world_tally *tally = &world->tally;
    print_message("seed %" PRIu64 ": %" PRIu64 " commands: %" PRIu64 " done, %" PRIu64 " dropped, %" PRIu64
                  " unsure, %" PRIu64 " abandoned; %" PRIu64 " reads\n",
                  seed, world->command_count, tally->done, tally->dropped, tally->unsure, tally->abandoned,
                  tally->reads);
    assert_true(world->tally.reads >= count);
    free_world(world);
}

static void three_replicas_through_random_histories(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++)
        history(seed, 3, step_plainly);
}

static void five_replicas_through_random_histories(void **state) {
    (void)state;
    for (uint64_t seed = 1001; seed <= 1010; seed++)
        history(seed, 5, step_plainly);
}

static void three_replicas_through_random_histories_short_of_memory(void **state) {
    (void)state;
    for (uint64_t seed = 2001; seed <= 2020; seed++)
        history(seed, 3, step_short_of_memory);
}

/* usage: test_node_replica [FIRST_SEED COUNT]: only histories, from that seed on */
int main(int argc, char **argv) {
    /* Thousands of elections are nothing that an operator would want to read about. */
    lash_set_log(NULL, NULL, LASH_LOG_ERROR + 1);
    if (argc == 3) {
        uint64_t first = strtoull(argv[1], NULL, 10);
        for (uint64_t seed = first; seed < first + strtoull(argv[2], NULL, 10); seed++)
            history(seed, seed % 2 ? 3 : 5, seed % 4 < 2 ? step_plainly : step_short_of_memory);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_while_a_write_is_out_makes_one_write),
        cmocka_unit_test(a_leader_sends_entries_before_its_own_write_is_done),
        cmocka_unit_test(nothing_is_acknowledged_before_it_is_durable_at_a_quorum),
        cmocka_unit_test(no_vote_leaves_before_it_is_durable),
        cmocka_unit_test(a_forward_meant_for_another_term_is_refused),
        cmocka_unit_test(nothing_is_applied_before_it_is_durable_here),
        cmocka_unit_test(a_proposal_that_its_deposed_leader_held_alone_is_dropped_for_certain),
        cmocka_unit_test(a_follower_learns_that_what_it_forwarded_was_lost),
        cmocka_unit_test(a_proposal_that_could_not_be_sent_waits_for_the_next_chance),
        cmocka_unit_test(a_refused_forward_goes_to_the_next_leader),
        cmocka_unit_test(a_lone_node_ends_its_requests_by_their_deadline),
        cmocka_unit_test(a_state_machine_that_fails_ends_the_replica_but_not_the_cluster),
        cmocka_unit_test(after_any_failed_disk_operation_nothing_acknowledged_is_lost),
        cmocka_unit_test(garbage_and_damaged_packets_are_refused),
        cmocka_unit_test(three_replicas_through_random_histories),
        cmocka_unit_test(five_replicas_through_random_histories),
        cmocka_unit_test(three_replicas_through_random_histories_short_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
