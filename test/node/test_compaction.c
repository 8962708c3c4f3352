/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots of replicas in a simulated world: who lacks what the others have trimmed, who
 * waits for what is skipped, and what crashes and breaks in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/metric.h"
#include "node/replica_state.h"
#include "simulated.h"

enum { COMMANDS = 10, CRASHES_MAX = 400 };

struct taken {
    bool ended;
    int error;
    lash_index index;
};

static void snapshot_ended(void *argument, int error, lash_index index) {
    *(struct taken *)argument = (struct taken){true, error, index};
}

/* Ask a node for a snapshot, and wait for it. */
static struct taken take(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    struct taken taken = {0};
    struct request *request;
    struct list requests;
    list_init(&requests);
    assert_int_equal(request_new(&node->gauge, REQUEST_SNAPSHOT, NULL, 0, &request), 0);
    request->done = snapshot_ended;
    request->argument = &taken;
    list_push(&requests, &request->link);
    replica_submit(node->replica, &requests);
    world_turn(world, position);
    STEPS_UNTIL(world, taken.ended);
    return taken;
}

static void propose(struct world *world, size_t position, int count) {
    for (int i = 0; i < count; i++) {
        world_propose(world, position);
        world_quiet(world);
    }
}

static void apart(struct world *world, size_t position, bool are) {
    for (size_t i = 0; i < world->count; i++) {
        if (i == position)
            continue;
        if (are)
            world_disconnect(world, i, position);
        else
            world_connect(world, i, position);
    }
}

/* All others but `away` take two snapshots and trim their logs. */
static void move_on(struct world *world, size_t leader, size_t away, size_t also) {
    for (int round = 0; round < 2; round++) {
        propose(world, leader, COMMANDS);
        for (size_t i = 0; i < world->count; i++) {
            if (i == away || i == also)
                continue;
            STEPS_UNTIL(world, world->nodes[i].machine.applied == status_of(world, leader).raft.last_index);
            assert_int_equal(take(world, i).error, 0);
        }
    }
    run_ms(world, 20); /* the logs are trimmed */
    assert_true(status_of(world, leader).raft.first_index > COMMANDS);
}

static size_t another(const struct world *world, size_t position) {
    return (position + 1) % world->count;
}

static void requests_for_what_a_snapshot_skips_end_at_once_and_unknown(void **state) {
    (void)state;
    struct world *world = new_snapshot_world(3, 1);
    size_t leader = world_leader(world);
    size_t away = another(world, leader);
    propose(world, leader, 1);
    lash_index before = world->nodes[leader].machine.applied;
    uint64_t number = world_propose(world, away);
    /* Its command gets to the leader, and nothing comes back. */
    STEPS_UNTIL(world, status_of(world, leader).raft.last_index > before);
    apart(world, away, true);
    world_propose(world, leader);
    STEPS_UNTIL(world, world->nodes[leader].machine.applied > before + 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COMMANDS; i++) {
            uint64_t one = world_propose(world, leader);
            STEPS_UNTIL(world, world_fate(world, one) == WORLD_DONE);
        }
        for (size_t i = 0; i < world->count; i++)
            if (i != away)
                assert_int_equal(take(world, i).error, 0);
    }
    run_ms(world, 20);
    assert_int_equal(world_fate(world, number), WORLD_OPEN);
    apart(world, away, false);
    uint64_t at_us = world->now_us;
    STEPS_UNTIL(world, world_fate(world, number) != WORLD_OPEN);
    assert_int_equal(world_fate(world, number), WORLD_UNSURE);
    assert_true(world->now_us - at_us < 1000000); /* before the request's time was over */
    world_heal(world);
    run_ms(world, 20); /* the log's part of it is written */
    assert_int_equal(world->tally.installed, 1);
    free_world(world);
}

static void a_transfer_that_broke_off_goes_on_where_it_was(void **state) {
    (void)state;
    struct world *world = new_snapshot_world(3, 2);
    size_t leader = world_leader(world);
    size_t away = another(world, leader);
    propose(world, leader, 1);
    apart(world, away, true);
    move_on(world, leader, away, away);
    const struct replica *receiver = world->nodes[away].replica;
    uint64_t bytes = status_of(world, leader).snapshot.bytes;
    assert_true(bytes > 4 * (uint64_t)64);
    for (int broken = 0; broken < 3; broken++) {
        apart(world, away, false);
        uint64_t received = status_of(world, away).snapshot.received;
        STEPS_UNTIL(world, status_of(world, away).snapshot.received > received || world->tally.installed);
        apart(world, away, true);
        run_ms(world, 300);
    }
    assert_int_equal(world->tally.installed, 0);
    apart(world, away, false);
    world_heal(world);
    run_ms(world, 20); /* the log's part of it is written */
    assert_int_equal(world->tally.installed, 1);
    assert_int_equal(metric_get(&receiver->meter.snapshot_bytes_received), bytes);
    assert_int_equal(metric_get(&world->nodes[leader].replica->meter.snapshots_sent), 1);
    free_world(world);
}

static void a_transfer_goes_on_when_the_receiver_was_started_again(void **state) {
    (void)state;
    struct world *world = new_snapshot_world(3, 14);
    size_t leader = world_leader(world);
    size_t away = another(world, leader);
    propose(world, leader, 1);
    apart(world, away, true);
    move_on(world, leader, away, away);
    uint64_t bytes = status_of(world, leader).snapshot.bytes;
    apart(world, away, false);
    STEPS_UNTIL(world, status_of(world, away).snapshot.received > bytes / 2);
    world_kill(world, away);
    assert_true(world_start(world, away));
    STEPS_UNTIL(world, world->tally.installed == 1);
    /* The first piece again, to learn what is sent, and what was missing. */
    const struct replica *receiver = world->nodes[away].replica;
    assert_true(metric_get(&receiver->meter.snapshot_bytes_received) < bytes * 3 / 4);
    world_heal(world);
    free_world(world);
}

static void two_followers_are_sent_one_at_the_same_time(void **state) {
    (void)state;
    struct world *world = new_snapshot_world(5, 3);
    size_t leader = world_leader(world);
    size_t away = another(world, leader);
    size_t also = another(world, away);
    propose(world, leader, 1);
    apart(world, away, true);
    apart(world, also, true);
    move_on(world, leader, away, also);
    apart(world, away, false);
    apart(world, also, false);
    STEPS_UNTIL(world, status_of(world, leader).snapshot.stream_count == 2);
    world_heal(world);
    run_ms(world, 20); /* the log's part of it is written */
    assert_int_equal(world->tally.installed, 2);
    free_world(world);
}

static void a_stream_ends_with_the_office(void **state) {
    (void)state;
    struct world *world = new_snapshot_world(3, 4);
    size_t leader = world_leader(world);
    size_t away = another(world, leader);
    size_t next = another(world, away);
    propose(world, leader, 1);
    apart(world, away, true);
    move_on(world, leader, away, away);
    apart(world, away, false);
    STEPS_UNTIL(world, status_of(world, leader).snapshot.stream_count == 1);
    world_transfer(world, leader, next);
    STEPS_UNTIL(world, status_of(world, next).raft.role == LASH_LEADER);
    STEPS_UNTIL(world, status_of(world, leader).raft.role != LASH_LEADER);
    world_turn(world, leader);
    assert_int_equal(status_of(world, leader).snapshot.stream_count, 0);
    world_heal(world);
    run_ms(world, 20); /* the log's part of it is written */
    assert_int_equal(world->tally.installed, 1);
    free_world(world);
}

/* Hand over, and wait until the node that is away has a vote for the new leader to write down. */
static lash_term hand_over(struct world *world, size_t from, size_t to, size_t away) {
    const struct replica *replica = world->nodes[away].replica;
    world_transfer(world, from, to);
    STEPS_UNTIL(world, status_of(world, to).raft.role == LASH_LEADER);
    STEPS_UNTIL(world, replica->status.term == status_of(world, to).raft.term && replica->status.vote == to + 1);
    return replica->status.term;
}

static void a_vote_that_waits_for_the_disk_survives_the_logs_reset(void **state) {
    (void)state;
    struct world *world = new_snapshot_world(3, 12);
    size_t leader = world_leader(world);
    size_t away = another(world, leader);
    size_t next = another(world, away);
    propose(world, leader, 1);
    apart(world, away, true);
    move_on(world, leader, away, away);
    apart(world, away, false);
    const struct installer *installer = &world->nodes[away].replica->installer;
    STEPS_UNTIL(world, installer->busy && installer->received + installer->chunk->size == installer->bytes);
    /* The disk hangs, before the snapshot's last piece; one vote is being written, and another waits behind it. */
    world_hold(world, away, REPLICA_COPY);
    STEPS_UNTIL(world, !world->nodes[away].replica->journal.busy);
    world_hold(world, away, REPLICA_LOG);
    (void)hand_over(world, leader, next, away);
    lash_term term = hand_over(world, next, leader, away);
    const struct journal *journal = &world->nodes[away].replica->journal;
    assert_true(journal->busy && journal->queued.count > 0);
    /* The snapshot becomes whole, and what waits is worth nothing any more, but for the vote. */
    world_release(world, away, REPLICA_COPY);
    STEPS_UNTIL(world, journal->queued.reset != 0);
    assert_int_equal(status_of(world, away).raft.term, term);
    world_release(world, away, REPLICA_LOG);
    STEPS_UNTIL(world, journal_idle(world->nodes[away].replica));
    world_kill(world, away);
    assert_true(world_start(world, away));
    assert_int_equal(status_of(world, away).raft.term, term);
    assert_int_equal(status_of(world, away).raft.vote, leader + 1);
    world_heal(world);
    assert_int_equal(world->tally.installed, 1);
    free_world(world);
}

static void a_piece_whose_checksum_is_wrong_comes_from_no_right_peer(void **state) {
    (void)state;
    struct world *world = new_snapshot_world(3, 9);
    world_leader(world);
    static const uint8_t piece[] = "piece";
    struct wire_head head = {.kind = WIRE_SNAPSHOT_CHUNK};
    head.chunk.index = 7;
    head.chunk.term = 1;
    head.chunk.bytes = 100;
    for (int wrong = 0; wrong < 2; wrong++) {
        uint8_t data[WIRE_HEAD_MAX];
        head.chunk.crc = crc32c(0, piece, sizeof piece) + (uint32_t)wrong;
        size_t size = wire_encode(&head, data);
        assert_int_equal(replica_receive(world->nodes[0].replica, 2, data, size, piece, sizeof piece),
                         wrong ? LASH_CORRUPT : LASH_OK);
    }
    free_world(world);
}

static void a_rate_holds(void **state) {
    (void)state;
    struct world *world = new_snapshot_world(3, 5);
    size_t leader = world_leader(world);
    size_t away = another(world, leader);
    propose(world, leader, 1);
    apart(world, away, true);
    move_on(world, leader, away, away);
    world->nodes[leader].replica->options.snapshot_rate = 1000;
    uint64_t bytes = status_of(world, leader).snapshot.bytes;
    apart(world, away, false);
    uint64_t at_us = world->now_us;
    STEPS_UNTIL(world, world->tally.installed == 1);
    uint64_t least_us = (bytes - 300) * 1000; /* some go at once */
    assert_true(world->now_us - at_us > least_us);
    assert_true(world->now_us - at_us < 2 * bytes * 1000);
    world_heal(world);
    free_world(world);
}

/* Power is lost at the n-th operation of the disk of who receives a snapshot. False: it has all by then. */
static bool crash_at(uint64_t n) {
    struct world *world = new_snapshot_world(3, 6);
    size_t leader = world_leader(world);
    size_t away = another(world, leader);
    propose(world, leader, 1);
    apart(world, away, true);
    move_on(world, leader, away, away);
    struct world_node *node = &world->nodes[away];
    lash_index index = status_of(world, leader).snapshot.index;
    apart(world, away, false);
    memfs_fail(node->disk, n, MEMFS_POWER_OFF);
    STEPS_UNTIL(world, memfs_failed(node->disk) || node->machine.applied > index + 2 ||
                           (node->machine.applied >= index && world->outstanding == 0));
    bool crashed = memfs_failed(node->disk);
    if (crashed) {
        world_power_off(world, away);
        world_start(world, away);
    }
    memfs_fail(node->disk, 0, MEMFS_EIO);
    world_heal(world);
    world_ask_all(world);
    assert_true(node->machine.applied >= index);
    free_world(world);
    return crashed;
}

static void a_crash_at_any_operation_of_an_installation_loses_nothing(void **state) {
    (void)state;
    uint64_t n = 1;
    while (crash_at(n))
        assert_true(++n < CRASHES_MAX);
    assert_true(n > 20);
}

/* Power is lost at the n-th operation of the disk of who takes its second snapshot and trims its log. */
static bool crash_taking_at(uint64_t n) {
    struct world *world = new_snapshot_world(1, 7);
    propose(world, world_leader(world), COMMANDS);
    assert_int_equal(take(world, 0).error, 0);
    propose(world, 0, COMMANDS);
    struct world_node *node = &world->nodes[0];
    struct taken taken = {0};
    struct request *request;
    struct list requests;
    list_init(&requests);
    assert_int_equal(request_new(&node->gauge, REQUEST_SNAPSHOT, NULL, 0, &request), 0);
    request->done = snapshot_ended;
    request->argument = &taken;
    list_push(&requests, &request->link);
    memfs_fail(node->disk, n, MEMFS_POWER_OFF);
    replica_submit(node->replica, &requests);
    world_turn(world, 0);
    uint64_t end_us = world->now_us + 50000;
    while (!memfs_failed(node->disk) && world->now_us < end_us)
        assert_true(world_step(world));
    bool crashed = memfs_failed(node->disk);
    if (crashed) {
        world_power_off(world, 0);
        world_start(world, 0);
    } else {
        assert_true(taken.ended && taken.error == 0);
        assert_true(status_of(world, 0).raft.first_index > 1);
    }
    memfs_fail(node->disk, 0, MEMFS_EIO);
    world_heal(world);
    world_ask_all(world);
    free_world(world);
    return crashed;
}

static void a_crash_at_any_operation_of_taking_one_loses_nothing(void **state) {
    (void)state;
    uint64_t n = 1;
    while (crash_taking_at(n))
        assert_true(++n < CRASHES_MAX);
    assert_true(n > 10);
}

static void a_failed_sync_of_a_snapshot_stops_nothing_but_snapshots(void **state) {
    (void)state;
    uint64_t failed = 0;
    for (uint64_t n = 1; n < 40 && !failed; n++) {
        struct world *world = new_snapshot_world(1, 8);
        propose(world, world_leader(world), COMMANDS);
        run_ms(world, 200); /* the log is idle: what fails is of the snapshot */
        memfs_fail(world->nodes[0].disk, n, MEMFS_EIO);
        struct taken taken = take(world, 0);
        memfs_fail(world->nodes[0].disk, 0, MEMFS_EIO);
        assert_int_equal(replica_error(world->nodes[0].replica), 0);
        propose(world, 0, COMMANDS);
        struct taken again = take(world, 0);
        failed += taken.error == LASH_IO && again.error == LASH_IO; /* it was a sync: none is made any more */
        assert_int_equal(status_of(world, 0).raft.first_index, 1);
        world_heal(world);
        free_world(world);
    }
    assert_int_equal(failed, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_for_what_a_snapshot_skips_end_at_once_and_unknown),
        cmocka_unit_test(a_transfer_that_broke_off_goes_on_where_it_was),
        cmocka_unit_test(a_transfer_goes_on_when_the_receiver_was_started_again),
        cmocka_unit_test(two_followers_are_sent_one_at_the_same_time),
        cmocka_unit_test(a_stream_ends_with_the_office),
        cmocka_unit_test(a_vote_that_waits_for_the_disk_survives_the_logs_reset),
        cmocka_unit_test(a_piece_whose_checksum_is_wrong_comes_from_no_right_peer),
        cmocka_unit_test(a_rate_holds),
        cmocka_unit_test(a_crash_at_any_operation_of_an_installation_loses_nothing),
        cmocka_unit_test(a_crash_at_any_operation_of_taking_one_loses_nothing),
        cmocka_unit_test(a_failed_sync_of_a_snapshot_stops_nothing_but_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
