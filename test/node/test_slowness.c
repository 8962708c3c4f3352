/* SPDX-License-Identifier: Apache-2.0
 *
 * Slow disks: a replica finds out by itself, leaves leading to others, and finds out
 * when it is over; where all disks are slow nobody moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/replica_state.h"
#include "simulated.h"

enum {
    LIMIT_MS = 100, /* beneath which no disk is slow */
    STUCK_MS = 400, /* after which one write is too long */
    ELECTION_MS = 100,
    TOO_SLOW = 1000, /* times what a disk usually takes, half a millisecond */
};

static bool is_slow(const struct world *world, size_t position) {
    return status_of(world, position).raft.slow != 0;
}

static uint64_t handed_over(const struct world *world, size_t position, enum lash_transfer_reason why) {
    struct lash_metrics metrics = {0};
    replica_metrics(world->nodes[position].replica, &metrics);
    return metrics.transfers[why];
}

static void a_leader_whose_disk_hangs_hands_over_and_writes_go_on(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = new_world(3, seed);
        size_t leader = world_leader(world);
        run_ms(world, 8 * ELECTION_MS);
        world_hold(world, leader, REPLICA_LOG);
        uint64_t begun_us = world->now_us;
        uint64_t number = world_propose(world, (leader + 1) % 3);
        STEPS_UNTIL(world, is_slow(world, leader));
        assert_in_range((world->now_us - begun_us) / 1000, STUCK_MS, STUCK_MS + 50);
        STEPS_UNTIL(world, status_of(world, leader).raft.role != LASH_LEADER);
        assert_int_equal(handed_over(world, leader, LASH_TRANSFER_SLOW), 1);
        assert_int_equal(handed_over(world, leader, LASH_TRANSFER_ASKED), 0);
        /* Its disk still hangs. */
        uint64_t later = world_propose(world, (leader + 1) % 3);
        STEPS_UNTIL(world, world_fate(world, later) != WORLD_OPEN);
        assert_int_equal(world_fate(world, later), WORLD_DONE);
        assert_int_equal(world_fate(world, number), WORLD_DONE);
        assert_true(world->now_us - begun_us < 2 * 1000 * STUCK_MS);
        world_release(world, leader, REPLICA_LOG);
        /* Nothing is written any more: it finds out all the same, by a write of its own now and then. */
        run_ms(world, 15000);
        assert_false(is_slow(world, leader));
        uint64_t jobs = world->nodes[leader].jobs[REPLICA_LOG];
        run_ms(world, 5000);
        assert_int_equal(world->nodes[leader].jobs[REPLICA_LOG], jobs);
        world_heal(world);
        free_world(world);
    }
}

/* No single write is long, but all are. */
static void a_leader_whose_writes_all_take_long_hands_over(void **state) {
    (void)state;
    struct world *world = new_world(3, 11);
    size_t leader = world_leader(world);
    run_ms(world, 8 * ELECTION_MS);
    world->nodes[leader].slowness = TOO_SLOW / 3;
    for (int i = 0; i < 60 && !is_slow(world, leader); i++) {
        world_propose(world, leader);
        run_ms(world, LIMIT_MS);
    }
    assert_true(is_slow(world, leader));
    STEPS_UNTIL(world, status_of(world, leader).raft.role != LASH_LEADER);
    assert_int_equal(handed_over(world, leader, LASH_TRANSFER_SLOW), 1);
    world->nodes[leader].slowness = 1;
    size_t now = world_leader(world);
    assert_int_not_equal(now, leader);
    for (int i = 0; i < 20; i++) {
        world_propose(world, now);
        world_quiet(world);
    }
    run_ms(world, 2000);
    assert_false(is_slow(world, leader));
    /* No priority calls it back. */
    assert_int_equal(world_leader(world), now);
    world_heal(world);
    free_world(world);
}

static void where_all_disks_are_slow_nobody_moves(void **state) {
    (void)state;
    struct world *world = new_world(3, 12);
    size_t leader = world_leader(world);
    run_ms(world, 8 * ELECTION_MS);
    /* The followers first: else the leader would be right to go. */
    for (size_t i = 1; i <= 2; i++) {
        world->nodes[(leader + i) % 3].slowness = TOO_SLOW;
        for (int more = 0; more < 60 && !is_slow(world, (leader + i) % 3); more++) {
            world_propose(world, leader);
            run_ms(world, LIMIT_MS);
        }
        assert_true(is_slow(world, (leader + i) % 3));
    }
    run_ms(world, ELECTION_MS);
    lash_term term = status_of(world, leader).raft.term;
    world->nodes[leader].slowness = TOO_SLOW;
    for (int i = 0; i < 300; i++) {
        world_propose(world, leader);
        run_ms(world, LIMIT_MS);
    }
    assert_true(is_slow(world, leader));
    assert_int_equal(world_leader(world), leader);
    assert_int_equal(status_of(world, leader).raft.term, term);
    assert_int_equal(handed_over(world, leader, LASH_TRANSFER_SLOW), 0);
    for (size_t i = 0; i < 3; i++)
        world->nodes[i].slowness = 1;
    world_quiet(world);
    world_heal(world);
    free_world(world);
}

static uint64_t told;

static int look_for_slow(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                         struct buf *const *tails, size_t count) {
    struct wire_head decoded;
    if (wire_decode(head, head_size, &decoded) == 0 && decoded.kind == WIRE_MESSAGE &&
        decoded.message.type == LASH_MSG_APPEND_REPLY)
        told += decoded.message.append_reply.slow;
    return network_send(context, peer, lane, head, head_size, tails, count);
}

static uint64_t features_of_before(void *context, lash_id peer) {
    (void)context;
    (void)peer;
    return WIRE_MEMBERS | WIRE_REPAIR | WIRE_LEASES | WIRE_SNAPSHOTS;
}

/* One of an earlier version would close the connection. */
static void only_who_knows_slow_disks_is_told(void **state) {
    (void)state;
    for (int before = 0; before <= 1; before++) {
        struct world *world = new_world(3, 13);
        size_t leader = world_leader(world);
        size_t follower = (leader + 1) % 3;
        told = 0;
        world->nodes[follower].env.send = look_for_slow;
        if (before)
            world->nodes[follower].env.features = features_of_before;
        run_ms(world, 8 * ELECTION_MS);
        world_hold(world, follower, REPLICA_LOG);
        world_propose(world, leader);
        STEPS_UNTIL(world, is_slow(world, follower));
        run_ms(world, ELECTION_MS);
        assert_int_equal(told == 0, before);
        assert_int_equal(status_of(world, leader).raft.progress[follower].slow, !before);
        world_release(world, follower, REPLICA_LOG);
        world_heal(world);
        free_world(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_whose_disk_hangs_hands_over_and_writes_go_on),
        cmocka_unit_test(a_leader_whose_writes_all_take_long_hands_over),
        cmocka_unit_test(where_all_disks_are_slow_nobody_moves),
        cmocka_unit_test(only_who_knows_slow_disks_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
