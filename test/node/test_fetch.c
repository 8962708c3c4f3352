/* SPDX-License-Identifier: Apache-2.0
 *
 * Followers that need what is no longer in the leader's memory: the reads for
 * them delay nobody else, fail without harm, and never send what the log no longer
 * holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "lash/log.h"
#include "simulated.h"

/* One node is cut off until the others hold much more than fits the leader's memory. Returns the leader. */
static size_t fall_behind(struct world *world, size_t *behind) {
    size_t leader = world_leader(world);
    *behind = (leader + 1) % 3;
    for (size_t i = 0; i < 3; i++)
        if (i != *behind)
            world_disconnect(world, *behind, i);
    for (int i = 0; i < 400; i++) {
        world_propose(world, leader);
        if (i % 4 == 0)
            world_quiet(world);
    }
    world_quiet(world);
    assert_int_equal(status_of(world, leader).raft.role, LASH_LEADER);
    return leader;
}

static void reconnect(struct world *world, size_t behind) {
    for (size_t i = 0; i < 3; i++)
        if (i != behind)
            world_connect(world, behind, i);
}

/* Steps until the leader has asked for a read, which is not worked off. */
static void until_a_read_is_out(struct world *world, size_t leader) {
    world_hold(world, leader, REPLICA_READ);
    STEPS_UNTIL(world, !list_empty(&world->nodes[leader].queued[REPLICA_READ]));
}

/* The disk does not answer the read for ten election timeouts: heartbeats go on, to the one that waits too, and so do writes. */
static void a_read_that_hangs_delays_neither_heartbeats_nor_writes(void **state) {
    (void)state;
    struct world *world = new_world(3, 1);
    size_t behind;
    size_t leader = fall_behind(world, &behind);
    reconnect(world, behind);
    until_a_read_is_out(world, leader);
    lash_term term = status_of(world, leader).raft.term;
    uint64_t jobs = world->nodes[leader].jobs[REPLICA_READ];
    run_ms(world, 50); /* it hears of its leader */
    uint64_t end_us = world->now_us + 1000000;
    lash_index stuck = world->nodes[behind].machine.applied;
    while (world->now_us < end_us) {
        world_propose(world, leader);
        world_quiet(world);
        assert_int_equal(status_of(world, leader).raft.term, term);
        assert_int_equal(status_of(world, leader).raft.role, LASH_LEADER);
        assert_int_equal(status_of(world, behind).raft.role, LASH_FOLLOWER);
    }
    /* One read at a time. */
    assert_int_equal(world->nodes[leader].jobs[REPLICA_READ], jobs);
    assert_int_equal(world->nodes[behind].machine.applied, stuck);
    world_release(world, leader, REPLICA_READ);
    world_heal(world);
    assert_int_equal(status_of(world, leader).raft.term, term);
    free_world(world);
}

/* Reading is not slowed down to one message a heartbeat. */
static void a_follower_far_behind_catches_up_as_fast_as_the_disk_reads(void **state) {
    (void)state;
    struct world *world = new_world(3, 2);
    world->profile.data_max = 4000;
    size_t behind;
    size_t leader = fall_behind(world, &behind);
    for (int i = 0; i < 4000; i++) {
        world_propose(world, leader);
        if (i % 100 == 0)
            world_quiet(world);
    }
    world_quiet(world);
    uint64_t begin_us = world->now_us;
    reconnect(world, behind);
    lash_index goal = status_of(world, leader).raft.last_index;
    STEPS_UNTIL(world, world->nodes[behind].machine.applied >= goal);
    uint64_t reads = world->nodes[leader].jobs[REPLICA_READ];
    assert_true(reads > 8);
    assert_true(world->now_us - begin_us < reads * world->profile.heartbeat_ms * 1000 / 2);
    world_heal(world);
    free_world(world);
}

static enum memfs_fault fail_reads(void *context, enum memfs_kind kind, const char *path) {
    (void)context;
    (void)path;
    return kind == MEMFS_PREAD ? MEMFS_EIO : MEMFS_FINE;
}

/* What the leader cannot read it cannot give: it stops, and one that can takes its place. */
static void a_leader_that_cannot_read_its_log_stops_and_another_goes_on(void **state) {
    (void)state;
    struct world *world = new_world(3, 3);
    size_t behind;
    fall_behind(world, &behind);
    size_t others[2] = {(behind + 1) % 3, (behind + 2) % 3};
    for (size_t i = 0; i < 2; i++) { /* with nothing in memory */
        world_kill(world, others[i]);
        world_start(world, others[i]);
    }
    world_connect(world, others[0], others[1]);
    world_disconnect(world, behind, others[0]);
    world_disconnect(world, behind, others[1]);
    size_t leader = world->count;
    while (leader == world->count) {
        assert_true(world_step(world));
        for (size_t j = 0; j < 2; j++)
            if (status_of(world, others[j]).raft.role == LASH_LEADER)
                leader = others[j];
    }
    world_propose(world, leader);
    world_quiet(world);
    memfs_set_hook(world->nodes[leader].disk, fail_reads, NULL);
    reconnect(world, behind);
    STEPS_UNTIL(world, replica_error(world->nodes[leader].replica));
    assert_int_equal(replica_error(world->nodes[leader].replica), LASH_IO);
    memfs_set_hook(world->nodes[leader].disk, NULL, NULL);
    world_kill(world, leader);
    leader = world_leader(world);
    uint64_t done = world->tally.done;
    world_propose(world, leader);
    world_quiet(world);
    assert_int_equal(world->tally.done, done + 1);
    world_heal(world);
    free_world(world);
}

/* The leader loses its office while a read is out, and its log is cut; the read comes back in the midst, or after it leads
 * again. The world checks that all apply the same. */
static void what_was_read_before_a_change_of_leader_harms_nobody(void **state) {
    (void)state;
    for (uint64_t seed = 10; seed < 30; seed++) {
        struct world *world = new_world(3, seed);
        size_t behind;
        size_t leader = fall_behind(world, &behind);
        size_t third = 3 - leader - behind;
        reconnect(world, behind);
        until_a_read_is_out(world, leader);
        /* Entries that nobody else gets, in the way of those of the next leader. */
        world_disconnect(world, leader, third);
        world_disconnect(world, leader, behind);
        for (int i = 0; i < 20; i++)
            world_propose(world, leader);
        STEPS_UNTIL(world, status_of(world, third).raft.role == LASH_LEADER);
        world_propose(world, third);
        if (seed % 2) /* read before the cut, told after it */
            assert_true(world_work(world, leader, REPLICA_READ));
        world_connect(world, leader, third);
        STEPS_UNTIL(world, status_of(world, leader).raft.last_term == status_of(world, third).raft.last_term);
        world_release(world, leader, REPLICA_READ);
        world_heal(world);
        free_world(world);
    }
}

static void a_replica_told_to_stop_waits_for_its_read(void **state) {
    (void)state;
    struct world *world = new_world(3, 4);
    size_t behind;
    size_t leader = fall_behind(world, &behind);
    reconnect(world, behind);
    until_a_read_is_out(world, leader);
    struct replica *replica = world->nodes[leader].replica;
    replica_stop(replica);
    for (int i = 0; i < 1000; i++) {
        world_step(world);
        world_turn(world, leader);
        assert_false(replica_stopped(replica));
    }
    world_release(world, leader, REPLICA_READ);
    STEPS_UNTIL(world, replica_stopped(replica));
    free_world(world);
}

int main(void) {
    lash_set_log(NULL, NULL, LASH_LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_that_hangs_delays_neither_heartbeats_nor_writes),
        cmocka_unit_test(a_follower_far_behind_catches_up_as_fast_as_the_disk_reads),
        cmocka_unit_test(a_leader_that_cannot_read_its_log_stops_and_another_goes_on),
        cmocka_unit_test(what_was_read_before_a_change_of_leader_harms_nobody),
        cmocka_unit_test(a_replica_told_to_stop_waits_for_its_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
