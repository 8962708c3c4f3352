/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds proposals back, and what is not held back by them: entries that get stuck on their way delay neither heartbeats
 * nor reads, and a leader that cannot commit or write takes no more than is good for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "node/replica_state.h"
#include "simulated.h"

/* ---- The account ------------------------------------------------------------------------------------ */

static void what_is_committed_counts_no_more(void **state) {
    (void)state;
    struct backlog backlog;
    backlog_init(&backlog, 1000);
    backlog_settle(&backlog, 3, 0);
    for (lash_index last = 1; last <= 10; last++) {
        assert_false(backlog_full(&backlog));
        backlog_add(&backlog, last, 100);
    }
    assert_true(backlog_full(&backlog));
    backlog_settle(&backlog, 3, 4);
    assert_int_equal(backlog.bytes, 600);
    backlog_settle(&backlog, 3, 4);
    assert_int_equal(backlog.bytes, 600);
    backlog_settle(&backlog, 4, 4); /* another leadership: what it did not append is not its own */
    assert_int_equal(backlog.bytes, 0);
    backlog_add(&backlog, 11, 100000); /* larger than the bound, alone */
    assert_true(backlog_full(&backlog));
    backlog_settle(&backlog, 4, 11);
    assert_false(backlog_full(&backlog));
}

static void many_small_entries_need_no_more_room(void **state) {
    (void)state;
    struct backlog backlog;
    lash_index last = 0;
    lash_index commit = 0;
    backlog_init(&backlog, 100000);
    backlog_settle(&backlog, 1, 0);
    for (int round = 0; round < 100; round++) {
        while (!backlog_full(&backlog)) {
            last++;
            backlog_add(&backlog, last, 1 + last % 700);
        }
        commit = (commit + last) / 2;
        backlog_settle(&backlog, 1, commit);
        uint64_t bytes = 0;
        for (lash_index index = commit + 1; index <= last; index++)
            bytes += 1 + index % 700;
        /* What shares a part with an entry that is not committed counts on. */
        assert_in_range(backlog.bytes, bytes, bytes + 100000 / BACKLOG_FRACTION + 700);
    }
    backlog_settle(&backlog, 1, last);
    assert_int_equal(backlog.bytes, 0);
    assert_int_equal(backlog.count, 0);
}

/* ---- Entries that get stuck ------------------------------------------------------------------------- */

/* A cluster with little room for what is not committed. */
static struct world *narrow_world(uint64_t seed) {
    struct world *world = new_world(3, seed);
    for (size_t i = 0; i < 3; i++)
        world->nodes[i].replica->proposer.backlog.bytes_max = 4000;
    return world;
}

/* No entry gets from the leader to anybody before `until_us`; all else does. */
static void stick_entries(struct world *world, size_t leader, uint64_t until_us) {
    for (size_t i = 0; i < 3; i++)
        network_link(world, leader, i)->lanes[TRANSPORT_ENTRIES].blocked_us = until_us;
}

static void entries_that_get_stuck_cost_neither_the_office_nor_reads(void **state) {
    (void)state;
    struct world *world = new_world(3, 21);
    size_t leader = world_leader(world);
    world_quiet(world);
    lash_term term = status_of(world, leader).raft.term;
    stick_entries(world, leader, world->now_us + 5000000);
    uint64_t number = world_propose(world, leader);
    uint64_t reads = world->tally.reads;
    for (int i = 0; i < 30; i++) { /* two of them in an election timeout */
        run_ms(world, 50);
        world_read(world, leader);
        world_read(world, (leader + 1) % 3);
    }
    run_ms(world, 50);
    assert_int_equal(world->tally.reads, reads + 60);
    assert_int_equal(status_of(world, leader).raft.role, LASH_LEADER);
    assert_int_equal(status_of(world, leader).raft.term, term);
    assert_int_equal(world_fate(world, number), WORLD_OPEN);
    /* Sent once to each, with marks behind it, and neither taken for lost. */
    for (size_t i = 0; i < 3; i++)
        if (i != leader)
            assert_in_range(network_link(world, leader, i)->lanes[TRANSPORT_ENTRIES].count, 2, 2000 / 10);
    stick_entries(world, leader, 0);
    world_heal(world);
    assert_int_equal(world_fate(world, number), WORLD_DONE);
    assert_int_equal(status_of(world, leader).raft.term, term);
    free_world(world);
}

static void proposals_are_refused_while_too_much_is_not_committed(void **state) {
    (void)state;
    struct world *world = narrow_world(22);
    size_t leader = world_leader(world);
    size_t follower = (leader + 1) % 3;
    world_quiet(world);
    stick_entries(world, leader, world->now_us + 1000000);
    uint64_t first = world_propose(world, leader);
    uint64_t refused = first;
    for (int i = 0; i < 1000 && world_fate(world, refused) == WORLD_OPEN; i++) {
        refused = world_propose(world, leader);
        world_turn(world, leader);
    }
    assert_int_equal(world_fate(world, refused), WORLD_DROPPED);
    assert_int_equal(world_fate(world, first), WORLD_OPEN);
    struct lash_metrics metrics;
    replica_queues(world->nodes[leader].replica, &metrics);
    assert_in_range(metrics.uncommitted_bytes, 4000, 6000);
    uint64_t forwarded = world_propose(world, follower);
    run_ms(world, 20);
    assert_int_equal(world_fate(world, forwarded), WORLD_DROPPED);
    /* What is committed makes room. */
    stick_entries(world, leader, 0);
    world_quiet(world);
    assert_int_equal(world_fate(world, first), WORLD_DONE);
    uint64_t after = world_propose(world, leader);
    uint64_t other = world_propose(world, follower);
    world_quiet(world);
    assert_int_equal(world_fate(world, after), WORLD_DONE);
    assert_int_equal(world_fate(world, other), WORLD_DONE);
    replica_queues(world->nodes[leader].replica, &metrics);
    assert_int_equal(metrics.uncommitted_bytes, 0);
    world_heal(world);
    free_world(world);
}

/* ---- A leader whose disk hangs ---------------------------------------------------------------------- */

static uint64_t forwards;

static int count_forwards(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                          struct buf *const *tails, size_t count) {
    struct wire_head decoded;
    if (wire_decode(head, head_size, &decoded) == 0 && decoded.kind == WIRE_FORWARD)
        forwards++;
    return network_send(context, peer, lane, head, head_size, tails, count);
}

static void a_leader_that_takes_nothing_is_not_sent_everything_again_and_again(void **state) {
    (void)state;
    enum { PROPOSALS = 40 };
    struct world *world = new_world(3, 23);
    size_t leader = world_leader(world);
    struct world_node *follower = &world->nodes[(leader + 1) % 3];
    world_quiet(world);
    follower->env.send = count_forwards;
    forwards = 0;
    /* The leader's disk has more to write than it may have. */
    world_hold(world, leader, REPLICA_LOG);
    world->nodes[leader].replica->journal.queued.bytes += (uint64_t)1 << 30;
    uint64_t numbers[PROPOSALS];
    for (int i = 0; i < PROPOSALS; i++) {
        numbers[i] = world_propose(world, follower->id - 1);
        world_turn(world, follower->id - 1);
    }
    assert_int_equal(forwards, PROPOSALS);
    run_ms(world, 390); /* for longer than that it would not go on leading */
    /* After 10, 20, 40 and 80 ms, and then every 100 ms. */
    assert_in_range(forwards, PROPOSALS + 5, PROPOSALS + 8);
    world->nodes[leader].replica->journal.queued.bytes -= (uint64_t)1 << 30;
    world_release(world, leader, REPLICA_LOG);
    world_quiet(world);
    for (int i = 0; i < PROPOSALS; i++)
        assert_int_equal(world_fate(world, numbers[i]), WORLD_DONE);
    assert_in_range(forwards, PROPOSALS + 5, PROPOSALS + 10);
    world_heal(world);
    free_world(world);
}

/* ---- Notices of commits ------------------------------------------------------------------------------ */

/* A world whose leader has just committed an entry that it proposed itself, and has not told anybody. */
static struct world *world_with_commit(uint64_t seed, size_t *leader) {
    struct world *world = new_world(3, seed);
    *leader = world_leader(world);
    world_propose(world, *leader);
    world_quiet(world);
    lash_index before = status_of(world, *leader).raft.commit;
    world_propose(world, *leader);
    STEPS_UNTIL(world, status_of(world, *leader).raft.commit > before);
    assert_int_equal(world->nodes[*leader].replica->sender.notice_count, 2);
    return world;
}

static void the_next_entries_say_what_is_committed(void **state) {
    (void)state;
    size_t leader;
    struct world *world = world_with_commit(31, &leader);
    const struct replica *replica = world->nodes[leader].replica;
    size_t follower = (leader + 1) % 3;
    lash_index commit = status_of(world, leader).raft.commit;
    uint64_t since_ms = replica->now_ms;
    world_propose(world, leader);
    STEPS_UNTIL(world, status_of(world, leader).raft.last_index > commit);
    assert_int_equal(replica->now_ms, since_ms); /* else the notices have left */
    assert_int_equal(replica->sender.notice_count, 0);
    STEPS_UNTIL(world, status_of(world, follower).raft.last_index > commit);
    assert_int_equal(status_of(world, follower).raft.commit, commit);
    free_world(world);
}

static void a_commit_is_told_soon_when_nothing_else_is(void **state) {
    (void)state;
    for (uint64_t seed = 41; seed < 61; seed++) {
        size_t leader;
        struct world *world = world_with_commit(seed, &leader);
        const struct replica *replica = world->nodes[leader].replica;
        lash_index commit = status_of(world, leader).raft.commit;
        uint64_t since_us = world->now_us;
        STEPS_UNTIL(world, replica->sender.notice_count == 0);
        assert_in_range(world->now_us - since_us, 0, 2500); /* and a turn's delay */
        for (size_t i = 0; i < 3; i++)
            STEPS_UNTIL(world, status_of(world, i).raft.commit == commit);
        assert_in_range(world->now_us - since_us, 0, 4000); /* sooner than most heartbeats come, one in 10 ms */
        free_world(world);
    }
}

static void a_commit_that_nobody_here_waits_for_is_told_at_once(void **state) {
    (void)state;
    struct world *world = new_world(3, 62);
    size_t leader = world_leader(world);
    world_quiet(world);
    lash_index before = status_of(world, leader).raft.commit;
    world_propose(world, (leader + 1) % 3);
    STEPS_UNTIL(world, status_of(world, leader).raft.commit > before);
    assert_int_equal(world->nodes[leader].replica->sender.notice_count, 0);
    free_world(world);
}

static void a_notice_is_not_sent_after_the_office_is_lost(void **state) {
    (void)state;
    size_t leader;
    struct world *world = world_with_commit(63, &leader);
    struct replica *replica = world->nodes[leader].replica;
    replica->status.role = LASH_FOLLOWER;
    replica->sender.notices_due_ms = 0;
    size_t sent = 0;
    for (size_t i = 0; i < 3; i++)
        for (size_t lane = 0; lane < TRANSPORT_LANES; lane++)
            sent -= network_link(world, leader, i)->lanes[lane].count;
    sender_notify(replica);
    for (size_t i = 0; i < 3; i++)
        for (size_t lane = 0; lane < TRANSPORT_LANES; lane++)
            sent += network_link(world, leader, i)->lanes[lane].count;
    replica->status.role = LASH_LEADER;
    assert_int_equal(sent, 0);
    assert_int_equal(replica->sender.notice_count, 0);
    free_world(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_committed_counts_no_more),
        cmocka_unit_test(many_small_entries_need_no_more_room),
        cmocka_unit_test(entries_that_get_stuck_cost_neither_the_office_nor_reads),
        cmocka_unit_test(proposals_are_refused_while_too_much_is_not_committed),
        cmocka_unit_test(a_leader_that_takes_nothing_is_not_sent_everything_again_and_again),
        cmocka_unit_test(the_next_entries_say_what_is_committed),
        cmocka_unit_test(a_commit_is_told_soon_when_nothing_else_is),
        cmocka_unit_test(a_commit_that_nobody_here_waits_for_is_told_at_once),
        cmocka_unit_test(a_notice_is_not_sent_after_the_office_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
