/* SPDX-License-Identifier: Apache-2.0
 *
 * Full disks: writes stop with a clear error, the office goes to a replica with
 * room, reads and votes go on, and it ends by itself. The world checks that nothing
 * acknowledged is lost and that all apply the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lash/log.h"
#include "simulated.h"

/* Without room for new files, as on most file systems; or for any write at all, as where each write takes new blocks. */
static void fill(struct world *world, size_t position, bool any_write) {
    struct memfs *disk = world->nodes[position].disk;
    if (any_write)
        memfs_fill(disk, true);
    else
        memfs_set_capacity(disk, memfs_used(disk));
}

static void make_room(struct world *world, size_t position) {
    memfs_fill(world->nodes[position].disk, false);
    memfs_set_capacity(world->nodes[position].disk, UINT64_MAX);
}

/* Propose at a node until it is full. */
static void write_until_full(struct world *world, size_t position) {
    for (int i = 0; !status_of(world, position).raft.full; i++) {
        assert_true(i < 5000);
        world_propose(world, position);
        world_quiet(world);
        assert_int_equal(replica_error(world->nodes[position].replica), 0);
    }
}

/* Propose at a node until it succeeds. */
static void write_until_done(struct world *world, size_t position) {
    uint64_t done = world->tally.done;
    for (int i = 0; world->tally.done == done; i++) {
        assert_true(i < 1000);
        world_propose(world, position);
        world_quiet(world);
        run_ms(world, 20);
    }
}

static void a_full_leader_hands_over_and_catches_up_when_there_is_room(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = new_world(3, seed);
        size_t full = world_leader(world);
        fill(world, full, seed % 2 == 0);
        write_until_full(world, full);
        run_ms(world, 50);
        size_t leader = world_leader(world);
        assert_int_not_equal(leader, full);
        /* Here writes fail at once and for certain, and what is there can be read; there they go on. */
        uint64_t number = world_propose(world, full);
        uint64_t begin_us = world->now_us;
        world_quiet(world);
        assert_int_equal(world_fate(world, number), WORLD_DROPPED);
        assert_true(world->now_us < begin_us + 100000);
        lash_term term = status_of(world, leader).raft.term;
        for (int i = 0; i < 300; i++) {
            world_propose(world, leader);
            world_quiet(world);
        }
        run_ms(world, 1000);
        assert_int_equal(status_of(world, full).raft.role, LASH_FOLLOWER);
        assert_int_equal(status_of(world, leader).raft.term, term);
        assert_true(world->nodes[full].machine.applied < world->nodes[leader].machine.applied);
        make_room(world, full);
        world_heal(world);
        assert_int_equal(status_of(world, full).raft.full, 0);
        assert_int_equal(status_of(world, leader).raft.term, term);
        write_until_done(world, full);
        free_world(world);
    }
}

static void with_a_full_majority_writes_fail_clearly_reads_work_and_all_goes_on_by_itself(void **state) {
    (void)state;
    for (uint64_t seed = 30; seed < 40; seed++) {
        struct world *world = new_world(3, seed);
        size_t leader = world_leader(world);
        world_heal(world);
        for (size_t i = 0; i < 3; i++)
            fill(world, i, seed % 2 == 0);
        for (int i = 0; i < 2000 && !(status_of(world, 0).raft.full && status_of(world, 1).raft.full &&
                                      status_of(world, 2).raft.full);
             i++) {
            world_propose(world, (size_t)i % 3);
            world_quiet(world);
        }
        run_ms(world, 500);
        leader = world_leader(world);
        assert_int_equal(status_of(world, leader).raft.no_room, 1);
        uint64_t done = world->tally.done;
        uint64_t begin_us = world->now_us;
        for (size_t i = 0; i < 3; i++) {
            uint64_t number = world_propose(world, i);
            world_quiet(world);
            assert_int_equal(world_fate(world, number), WORLD_DROPPED);
        }
        assert_int_equal(world->tally.done, done);
        assert_true(world->now_us < begin_us + 200000);
        uint64_t reads = world->tally.reads;
        for (size_t i = 0; i < 3; i++)
            world_read(world, i);
        world_quiet(world);
        if (seed % 2)
            assert_int_equal(world->tally.reads, reads + 3);
        run_ms(world, 3000);
        assert_int_equal(world_leader(world), leader);
        for (size_t i = 0; i < 3; i++)
            make_room(world, i);
        write_until_done(world, leader);
        world_heal(world);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(status_of(world, i).raft.full, 0);
        free_world(world);
    }
}

/* A full member votes: one of the others dies, and the third leads with its vote. */
static void a_full_member_votes(void **state) {
    (void)state;
    struct world *world = new_world(3, 41);
    size_t leader = world_leader(world);
    size_t full = (leader + 1) % 3;
    size_t other = 3 - leader - full;
    world_heal(world);
    fill(world, full, false);
    while (!status_of(world, full).raft.full)
        write_until_done(world, leader);
    while (world->nodes[other].machine.applied < world->nodes[leader].machine.applied)
        world_step(world);
    world_kill(world, leader);
    STEPS_UNTIL(world, status_of(world, other).raft.role == LASH_LEADER);
    assert_int_equal(status_of(world, full).raft.vote, other + 1);
    assert_int_equal(replica_error(world->nodes[full].replica), 0);
    make_room(world, full);
    world_heal(world);
    free_world(world);
}

static void a_state_machine_without_room_is_tried_again_with_the_same_commands(void **state) {
    (void)state;
    for (uint64_t seed = 50; seed < 60; seed++) {
        struct world *world = new_world(3, seed);
        size_t full = world_leader(world);
        world_heal(world);
        world->nodes[full].apply_error = LASH_FULL;
        uint64_t number = world_propose(world, full);
        STEPS_UNTIL(world, status_of(world, full).raft.full);
        run_ms(world, 100);
        size_t leader = world_leader(world);
        assert_int_not_equal(leader, full);
        assert_int_equal(world_fate(world, number), WORLD_UNSURE);
        assert_true(world->nodes[full].machine.applied < world->nodes[leader].machine.applied);
        write_until_done(world, leader);
        run_ms(world, 500);
        world->nodes[full].apply_error = 0;
        world_heal(world);
        assert_int_equal(status_of(world, full).raft.full, 0);
        free_world(world);
    }
}

/* What is under way is still applied and acknowledged, and read; only then do writes stop. */
static void a_state_machine_low_on_room_finishes_what_is_under_way(void **state) {
    (void)state;
    for (uint64_t seed = 70; seed < 80; seed++) {
        struct world *world = new_world(3, seed);
        size_t low = world_leader(world);
        world_heal(world);
        world->nodes[low].room_error = LASH_FULL;
        uint64_t first = world_propose(world, low);
        uint64_t second = world_propose(world, low);
        world_quiet(world);
        assert_true(world_fate(world, first) == WORLD_DONE && world_fate(world, second) == WORLD_DONE);
        STEPS_UNTIL(world, status_of(world, low).raft.full);
        run_ms(world, 100);
        assert_int_not_equal(world_leader(world), low);
        uint64_t third = world_propose(world, low);
        world_quiet(world);
        assert_int_equal(world_fate(world, third), WORLD_DROPPED);
        world->nodes[low].room_error = 0;
        write_until_done(world, low);
        world_heal(world);
        free_world(world);
    }
}

/* It has nothing to do until it is ended, and the world would say so if it were busy with that. */
static void a_replica_that_fails_while_it_waits_for_room_sleeps(void **state) {
    (void)state;
    struct world *world = new_world(1, 64);
    world_leader(world);
    world_heal(world);
    world_hold(world, 0, REPLICA_APPLY);
    world_propose(world, 0);
    run_ms(world, 50);
    fill(world, 0, true);
    world_propose(world, 0);
    STEPS_UNTIL(world, status_of(world, 0).raft.full);
    world->nodes[0].apply_error = LASH_VERSION;
    world_release(world, 0, REPLICA_APPLY);
    run_ms(world, 3000);
    assert_int_equal(replica_error(world->nodes[0].replica), LASH_VERSION);
    free_world(world);
}

/* A state machine that has not said yet whether it has room is not one that has none. */
static void before_the_state_machine_was_asked_for_room_there_is_room(void **state) {
    (void)state;
    struct world *world = new_world(1, 63);
    world_hold(world, 0, REPLICA_APPLY);
    world_leader(world);
    uint64_t number = world_propose(world, 0);
    run_ms(world, 50);
    assert_int_equal(status_of(world, 0).raft.full, 0);
    assert_int_equal(world_fate(world, number), WORLD_OPEN);
    world_release(world, 0, REPLICA_APPLY);
    world_quiet(world);
    assert_int_equal(world_fate(world, number), WORLD_DONE);
    free_world(world);
}

/* A node that is told to end while it waits for room does not wait for ever. */
static void a_full_node_can_be_closed(void **state) {
    (void)state;
    struct world *world = new_world(1, 61);
    world_leader(world);
    memfs_fill(world->nodes[0].disk, true);
    for (int i = 0; i < 200; i++) /* more at once than any room that is left */
        world_propose(world, 0);
    run_ms(world, 100);
    assert_int_equal(status_of(world, 0).raft.full, 1);
    free_world(world);
    world = new_world(1, 62);
    world_leader(world);
    world->nodes[0].apply_error = LASH_FULL;
    uint64_t number = world_propose(world, 0);
    run_ms(world, 3000); /* more than a request may take */
    assert_int_equal(world_fate(world, number), WORLD_UNSURE);
    free_world(world);
}

/* Disks fill and empty at random among kills: nothing acknowledged is lost, and all ends well. */
static void full_disks_among_kills(void **state) {
    (void)state;
    for (uint64_t seed = 100; seed < 130; seed++) {
        struct world *world = new_world(3, seed);
        for (int i = 0; i < 15000; i++) {
            size_t a = (size_t)draw(world, 3);
            uint64_t what = draw(world, 400);
            struct world_node *node = &world->nodes[a];
            if (what < 8 && node->replica)
                for (int j = 0; j < 10; j++)
                    world_propose(world, a);
            else if (what < 10)
                what == 8 ? fill(world, a, draw(world, 4) == 0) : make_room(world, a);
            else if (what == 14)
                node->room_error = draw(world, 2) ? LASH_FULL : 0;
            else if (what == 10)
                node->apply_error = draw(world, 2) ? LASH_FULL : 0;
            else if (what == 11 && node->replica && draw(world, 20) == 0)
                world_kill(world, a);
            else if (what == 12 && node->replica)
                world_read(world, a);
            else if (what == 13 && !node->replica) {
                make_room(world, a);
                world_start(world, a);
            }
            world_step(world);
        }
        for (size_t i = 0; i < 3; i++) {
            make_room(world, i);
            world->nodes[i].apply_error = world->nodes[i].room_error = 0;
            if (world->nodes[i].replica)
                assert_int_equal(replica_error(world->nodes[i].replica), 0);
        }
        world_heal(world);
        free_world(world);
    }
}

int main(void) {
    lash_set_log(NULL, NULL, LASH_LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_leader_hands_over_and_catches_up_when_there_is_room),
        cmocka_unit_test(a_full_member_votes),
        cmocka_unit_test(with_a_full_majority_writes_fail_clearly_reads_work_and_all_goes_on_by_itself),
        cmocka_unit_test(a_state_machine_without_room_is_tried_again_with_the_same_commands),
        cmocka_unit_test(a_state_machine_low_on_room_finishes_what_is_under_way),
        cmocka_unit_test(a_replica_that_fails_while_it_waits_for_room_sleeps),
        cmocka_unit_test(before_the_state_machine_was_asked_for_room_there_is_room),
        cmocka_unit_test(a_full_node_can_be_closed),
        cmocka_unit_test(full_disks_among_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
