/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands larger than one entry is to be, in a simulated world in which an entry holds a few bytes:
 * whatever happens between their parts, each is applied once and whole, or nowhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "node/replica_state.h"
#include "simulated.h"

enum { PART = 2, BYTES = 80, PARTS = BYTES / PART };

/* Nodes that cut all commands, which have 8 bytes if a test does not want more. */
static struct world *cutting_world(size_t count, uint64_t seed) {
    struct world *world = new_snapshot_world(count, seed);
    for (size_t i = 0; i < count; i++)
        world->nodes[i].replica->options.part_bytes = PART;
    world->profile.part_bytes = PART;
    return world;
}

static const struct replica *replica_of(const struct world *world, size_t position) {
    return world->nodes[position].replica;
}

static const struct cutter *cutter_of(const struct world *world, size_t position) {
    return &replica_of(world, position)->proposer.cutter;
}

/* A client of its own, whose commands are large. */
struct asked {
    bool ended;
    int error;
    lash_index index;
    uint64_t number;
};

static void asked_ended(void *argument, int error, lash_index index) {
    struct asked *asked = argument;
    asked->ended = true;
    asked->error = error;
    asked->index = index;
}

/* Ask a node for a command of BYTES bytes, and let it go round. */
static void ask(struct world *world, size_t position, struct asked *asked) {
    struct world_node *node = &world->nodes[position];
    struct request *request;
    uint8_t data[BYTES];
    *asked = (struct asked){.number = world_command(world)};
    memset(data, (int)(asked->number & 0xff), sizeof data);
    memcpy(data, &asked->number, sizeof asked->number);
    assert_int_equal(request_new(&node->gauge, REQUEST_COMMAND, data, sizeof data, &request), 0);
    request->done = asked_ended;
    request->argument = asked;
    client_hand(node, request);
}

static lash_index applied_at(const struct world *world, const struct asked *asked) {
    return world->commands[asked->number - 1].index;
}

static void lane_until(struct world *world, size_t from, uint64_t until_us) {
    for (size_t i = 0; i < world->count; i++)
        network_link(world, from, i)->lanes[TRANSPORT_ENTRIES].blocked_us = until_us;
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

/* A leader that knows its term's begin committed. */
static size_t led(struct world *world) {
    size_t leader = world_leader(world);
    world_propose(world, leader);
    world_quiet(world);
    return leader;
}

static void a_large_command_is_applied_once_and_whole_wherever_it_was_asked_for(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 31);
    led(world);
    for (size_t i = 0; i < 3; i++) {
        struct asked asked;
        lash_index before = status_of(world, i).raft.last_index;
        ask(world, i, &asked);
        STEPS_UNTIL(world, asked.ended);
        assert_int_equal(asked.error, 0);
        assert_int_equal(applied_at(world, &asked), asked.index);
        assert_int_equal(asked.index, before + PARTS); /* at its last part */
        run_ms(world, 100);
    }
    world_heal(world);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(world->nodes[i].apply_count, 4);
        assert_null(replica_of(world, i)->applier.parts.command);
        assert_null(cutter_of(world, i)->guest.command);
    }
    free_world(world);
}

/* The leader has appended some of the parts, and a majority holds some of them. */
static void begin(struct world *world, size_t leader, struct asked *asked) {
    lash_index before = status_of(world, leader).raft.last_index;
    ask(world, leader, asked);
    STEPS_UNTIL(world, status_of(world, (leader + 1) % 3).raft.commit > before + 2);
    assert_true(cutter_cutting(replica_of(world, leader)));
}

static void a_leader_dies_between_parts(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 32);
    size_t leader = led(world);
    struct asked asked;
    begin(world, leader, &asked);
    size_t other = (leader + 1) % 3;
    STEPS_UNTIL(world, replica_of(world, other)->applier.parts.command != NULL);
    world_kill(world, leader);
    size_t next = world_leader(world);
    assert_int_not_equal(next, leader);
    world_propose(world, next);
    world_quiet(world);
    STEPS_UNTIL(world, replica_of(world, other)->applier.parts.command == NULL);
    assert_true(world_start(world, leader));
    world_heal(world);
    assert_int_equal(applied_at(world, &asked), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(world->nodes[i].machine.applied, status_of(world, next).raft.last_index);
    free_world(world);
}

static void a_deposed_leader_begins_anew_with_the_next(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 33);
    size_t leader = led(world);
    struct asked asked;
    world->nodes[leader].replica->proposer.backlog.bytes_max = 500; /* alone it does not come to the end */
    begin(world, leader, &asked);
    apart(world, leader, true);
    size_t other = (leader + 1) % 3;
    STEPS_UNTIL(world, status_of(world, other).raft.leader != 0 && status_of(world, other).raft.leader != leader + 1);
    assert_false(asked.ended);
    apart(world, leader, false);
    STEPS_UNTIL(world, asked.ended);
    assert_int_equal(asked.error, 0);
    assert_int_equal(applied_at(world, &asked), asked.index);
    world_heal(world);
    free_world(world);
}

static void a_leader_hands_over_between_parts(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 34);
    size_t leader = led(world);
    struct asked asked;
    begin(world, leader, &asked);
    world_transfer(world, leader, (leader + 1) % 3);
    STEPS_UNTIL(world, asked.ended);
    assert_int_equal(asked.error, 0);
    assert_int_not_equal(status_of(world, leader).raft.role, LASH_LEADER);
    world_heal(world);
    assert_int_equal(applied_at(world, &asked), asked.index);
    free_world(world);
}

/* A follower has applied all before a command, and has got some of its parts. */
static size_t half_at_a_follower(struct world *world, size_t leader, struct asked *asked) {
    size_t follower = (leader + 1) % 3;
    const struct applier *applier = &replica_of(world, follower)->applier;
    lash_index before = status_of(world, leader).raft.last_index;
    ask(world, leader, asked);
    STEPS_UNTIL(world, applier->parts.command && applier->reached > before + 2);
    assert_int_equal(applier->applied, before);
    assert_int_equal(world->nodes[follower].machine.applied, before);
    struct lash_metrics metrics;
    replica_queues(replica_of(world, follower), &metrics);
    assert_int_equal(metrics.parts_bytes, BYTES);
    return follower;
}

static void a_follower_restarts_with_some_of_the_parts(void **state) {
    (void)state;
    for (int power = 0; power < 2; power++) {
        struct world *world = cutting_world(3, 35);
        size_t leader = led(world);
        struct asked asked;
        size_t follower = half_at_a_follower(world, leader, &asked);
        if (power)
            world_power_off(world, follower);
        else
            world_kill(world, follower);
        STEPS_UNTIL(world, asked.ended);
        assert_int_equal(asked.error, 0);
        assert_true(world_start(world, follower));
        world_heal(world);
        assert_int_equal(world->nodes[follower].machine.applied, world->nodes[leader].machine.applied);
        free_world(world);
    }
}

static void take_snapshot(struct world *world, size_t position, struct asked *taken) {
    struct world_node *node = &world->nodes[position];
    struct request *request;
    *taken = (struct asked){.ended = false};
    assert_int_equal(request_new(&node->gauge, REQUEST_SNAPSHOT, NULL, 0, &request), 0);
    request->done = asked_ended;
    request->argument = taken;
    client_hand(node, request);
    STEPS_UNTIL(world, taken->ended);
    assert_int_equal(taken->error, 0);
}

static void a_snapshot_between_parts_covers_none_of_them(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 36);
    size_t leader = led(world);
    struct asked asked;
    struct asked taken;
    size_t follower = half_at_a_follower(world, leader, &asked);
    lash_index before = world->nodes[follower].machine.applied;
    lane_until(world, leader, world->now_us + 500000);
    take_snapshot(world, follower, &taken);
    assert_false(asked.ended);
    assert_int_equal(taken.index, before);
    world_power_off(world, follower); /* what it had applied is lost but for the snapshot */
    lane_until(world, leader, 0);
    assert_true(world_start(world, follower));
    world_heal(world);
    assert_int_equal(asked.error, 0);
    assert_int_equal(world->nodes[follower].machine.applied, world->nodes[leader].machine.applied);
    free_world(world);
}

static void a_snapshot_is_installed_over_some_of_the_parts(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 37);
    size_t leader = led(world);
    struct asked asked;
    struct asked taken;
    size_t follower = half_at_a_follower(world, leader, &asked);
    apart(world, follower, true);
    STEPS_UNTIL(world, asked.ended);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10; i++) {
            world_propose(world, leader);
            world_quiet(world);
        }
        for (size_t i = 0; i < 3; i++) {
            if (i == follower)
                continue;
            STEPS_UNTIL(world, world->nodes[i].machine.applied == status_of(world, leader).raft.last_index);
            take_snapshot(world, i, &taken);
        }
    }
    run_ms(world, 20);
    assert_true(status_of(world, leader).raft.first_index > asked.index);
    assert_non_null(replica_of(world, follower)->applier.parts.command);
    apart(world, follower, false);
    world_heal(world);
    run_ms(world, 20); /* the log's part of it is written */
    assert_int_equal(world->tally.installed, 1);
    assert_null(replica_of(world, follower)->applier.parts.command);
    free_world(world);
}

static void a_forwarded_command_whose_way_breaks_is_sent_anew(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 38);
    size_t leader = led(world);
    size_t follower = (leader + 1) % 3;
    struct asked asked;
    lash_index before = status_of(world, leader).raft.last_index;
    ask(world, follower, &asked);
    STEPS_UNTIL(world, cutter_of(world, leader)->guest.command != NULL);
    assert_true(cutter_cutting(replica_of(world, follower)));
    assert_int_equal(status_of(world, leader).raft.last_index, before); /* nothing before it is whole */
    struct lash_metrics metrics;
    replica_queues(replica_of(world, leader), &metrics);
    assert_int_equal(metrics.parts_bytes, BYTES);
    world_disconnect(world, leader, follower);
    assert_null(cutter_of(world, leader)->guest.command);
    run_ms(world, 5);
    world_connect(world, leader, follower);
    STEPS_UNTIL(world, asked.ended);
    assert_int_equal(asked.error, 0);
    world_heal(world);
    assert_int_equal(world->nodes[leader].apply_count, 2);
    free_world(world);
}

static void who_forwards_slowly_holds_nobody_up(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 39);
    size_t leader = led(world);
    size_t slow = (leader + 1) % 3;
    size_t other = (leader + 2) % 3;
    struct asked first;
    struct asked second;
    ask(world, slow, &first);
    STEPS_UNTIL(world, cutter_of(world, leader)->guest.command != NULL);
    network_link(world, slow, leader)->lanes[TRANSPORT_ENTRIES].blocked_us = world->now_us + 700000;
    /* The leader's own goes through, and one that is not cut from anywhere; a large one once the place is given up. */
    uint64_t began_us = world->now_us;
    ask(world, leader, &second);
    STEPS_UNTIL(world, second.ended);
    assert_true(world->now_us < began_us + 100000);
    ask(world, other, &second);
    STEPS_UNTIL(world, second.ended);
    assert_int_equal(second.error, 0);
    assert_true(world->now_us < began_us + 600000);
    assert_false(first.ended);
    STEPS_UNTIL(world, first.ended);
    assert_int_equal(first.error, 0);
    world_heal(world);
    assert_int_equal(world->nodes[leader].apply_count, 4);
    free_world(world);
}

/* What a leader that lost its office had put together, it does not append when it leads again. */
static void a_guest_goes_with_the_office(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 51);
    size_t leader = led(world);
    size_t follower = (leader + 1) % 3;
    struct asked asked;
    world->nodes[leader].replica->proposer.backlog.bytes_max = 500; /* alone it does not come to the end */
    lane_until(world, leader, world->now_us + 10000000);
    ask(world, follower, &asked);
    STEPS_UNTIL(world, cutter_of(world, leader)->source == CUTTER_GUEST);
    apart(world, leader, true);
    STEPS_UNTIL(world,
                status_of(world, follower).raft.leader != 0 && status_of(world, follower).raft.leader != leader + 1);
    lane_until(world, leader, 0);
    apart(world, leader, false);
    STEPS_UNTIL(world, asked.ended);
    world_quiet(world);
    world->nodes[leader].replica->proposer.backlog.bytes_max = UINT64_MAX;
    while (status_of(world, leader).raft.role != LASH_LEADER) {
        world_transfer(world, world_leader(world), leader);
        run_ms(world, 200);
    }
    world_propose(world, leader);
    world_heal(world);
    assert_int_equal(applied_at(world, &asked), asked.error ? 0 : asked.index);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(world->nodes[i].apply_count, asked.error ? 2 : 3);
    free_world(world);
}

static void nothing_that_is_forwarded_comes_between_parts(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 52);
    size_t leader = led(world);
    struct asked asked;
    begin(world, leader, &asked);
    uint64_t number = world_command(world);
    struct frame_input input = {.origin = (leader + 1) % 3 + 1, .sequence = 7, .data = &number, .size = sizeof number};
    struct wire_head head = {.kind = WIRE_FORWARD};
    head.forward.term = status_of(world, leader).raft.term;
    head.forward.batch = 9;
    struct buf *frame;
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    for (uint32_t kind = LASH_ENTRY_COMMAND; kind <= LASH_ENTRY_BARRIER; kind += LASH_ENTRY_BARRIER) {
        assert_int_equal(frame_encode(0, 1, head.forward.term, kind, &input, 1, &frame), 0);
        lash_index last = status_of(world, leader).raft.last_index;
        uint64_t sent = world->nodes[leader].packets_sent;
        assert_int_equal(
            replica_receive(world->nodes[leader].replica, input.origin, data, size, frame->data, frame->size), 0);
        assert_int_equal(status_of(world, leader).raft.last_index, last);
        assert_int_equal(world->nodes[leader].packets_sent, sent + 1); /* the refusal */
        buf_unref(frame);
    }
    STEPS_UNTIL(world, asked.ended);
    assert_int_equal(asked.error, 0);
    world_heal(world);
    free_world(world);
}

static void all_nodes_are_asked_at_once(void **state) {
    (void)state;
    struct world *world = cutting_world(5, 40);
    size_t leader = led(world);
    struct asked asked[25];
    for (size_t i = 0; i < 25; i++) {
        ask(world, i % 5, &asked[i]);
        if (i % 3 == 0)
            world_propose(world, (i + 1) % 5);
    }
    for (size_t i = 0; i < 25; i++) {
        STEPS_UNTIL(world, asked[i].ended);
        assert_int_equal(asked[i].error, 0);
        assert_int_equal(applied_at(world, &asked[i]), asked[i].index);
    }
    world_quiet(world);
    world_heal(world);
    assert_int_equal(world->nodes[leader].apply_count, 35);
    free_world(world);
}

static void a_command_larger_than_what_may_wait_goes_through_as_it_is_committed(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 41);
    size_t leader = led(world);
    uint64_t most = 0;
    world->nodes[leader].replica->proposer.backlog.bytes_max = 500;
    struct asked asked;
    ask(world, leader, &asked);
    while (!asked.ended) {
        assert_true(world_step(world));
        uint64_t waiting = proposer_uncommitted(replica_of(world, leader));
        most = waiting > most ? waiting : most;
    }
    assert_int_equal(asked.error, 0);
    assert_in_range(most, 1, 500 + FRAME_HEADER_SIZE + FRAME_ENTRY_SIZE + PARTS_HEAD + 8);
    world_heal(world);
    free_world(world);
}

static void reads_do_not_wait_for_a_command_that_is_under_way(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 42);
    size_t leader = led(world);
    struct asked asked;
    begin(world, leader, &asked);
    lane_until(world, leader, world->now_us + 400000);
    run_ms(world, 50);
    assert_false(asked.ended);
    uint64_t reads = world->tally.reads;
    for (size_t i = 0; i < 3; i++)
        world_read(world, i);
    run_ms(world, 50);
    assert_int_equal(world->tally.reads, reads + 3);
    assert_false(asked.ended);
    assert_true(world->nodes[leader].machine.applied < status_of(world, leader).raft.commit);
    STEPS_UNTIL(world, asked.ended);
    assert_int_equal(asked.error, 0);
    world_heal(world);
    free_world(world);
}

static void a_command_that_is_given_up_leaves_nothing_behind(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 43);
    size_t leader = led(world);
    lash_term term = status_of(world, leader).raft.term;
    world->nodes[leader].replica->proposer.backlog.bytes_max = 500;
    struct asked asked;
    begin(world, leader, &asked);
    lane_until(world, leader, world->now_us + 3000000); /* longer than a request waits */
    STEPS_UNTIL(world, asked.ended);
    assert_int_equal(asked.error, LASH_BUSY);
    run_ms(world, 2000);
    assert_int_equal(status_of(world, leader).raft.term, term);
    for (size_t i = 0; i < 3; i++) {
        assert_null(replica_of(world, i)->applier.parts.command);
        assert_int_equal(world->nodes[i].machine.applied, status_of(world, leader).raft.last_index);
    }
    assert_int_equal(applied_at(world, &asked), 0);
    world_heal(world);
    free_world(world);
}

static void a_full_disk_ends_what_is_under_way(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 44);
    size_t leader = led(world);
    struct asked own;
    struct asked guest;
    begin(world, leader, &own);
    ask(world, (leader + 1) % 3, &guest);
    STEPS_UNTIL(world, cutter_of(world, leader)->guest.command != NULL);
    for (size_t i = 0; i < 3; i++)
        world->nodes[i].room_error = LASH_FULL;
    STEPS_UNTIL(world, own.ended && guest.ended);
    assert_true(own.error == LASH_FULL || own.error == 0);
    assert_true(guest.error == LASH_FULL || guest.error == 0);
    for (size_t i = 0; i < 3; i++)
        world->nodes[i].room_error = 0;
    world_heal(world);
    assert_int_equal(applied_at(world, &own) != 0, own.error == 0);
    assert_int_equal(applied_at(world, &guest) != 0, guest.error == 0);
    free_world(world);
}

static void memory_runs_out_at_every_point(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 120; n++) {
        struct world *world = cutting_world(3, 45);
        size_t leader = led(world);
        struct asked asked[2];
        ask(world, leader, &asked[0]);
        ask(world, (leader + 1) % 3, &asked[1]);
        mem_fail_after(n);
        for (int i = 0; i < 2; i++) {
            STEPS_UNTIL(world, asked[i].ended);
            assert_int_equal(asked[i].error, 0);
        }
        mem_fail_after(0);
        world_heal(world);
        free_world(world);
    }
}

/* ---- Who does not know parts -------------------------------------------------------------------------- */

static uint64_t features_without_parts(void *context, lash_id peer) {
    (void)context;
    (void)peer;
    return WIRE_MEMBERS | WIRE_REPAIR | WIRE_LEASES | WIRE_SNAPSHOTS;
}

static void who_does_not_know_parts_gets_none(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 46);
    size_t leader = led(world);
    for (size_t i = 0; i < 3; i++)
        world->nodes[i].env.features = features_without_parts;
    for (size_t i = 0; i < 3; i++) {
        struct asked asked;
        lash_index before = status_of(world, leader).raft.last_index;
        ask(world, i, &asked);
        STEPS_UNTIL(world, asked.ended);
        assert_int_equal(asked.error, 0);
        assert_int_equal(asked.index, before + 1);
    }
    free_world(world);
}

static void only_the_leader_sees_who_does_not_know_parts(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 47);
    size_t leader = led(world);
    struct asked asked;
    world->nodes[leader].env.features = features_without_parts;
    lash_index before = status_of(world, leader).raft.last_index;
    ask(world, (leader + 1) % 3, &asked);
    STEPS_UNTIL(world, asked.ended);
    assert_int_equal(asked.error, 0);
    assert_int_equal(asked.index, before + 1); /* put together, and appended as it is */
    free_world(world);
}

static void what_fits_no_entry_is_refused_while_somebody_does_not_know_parts(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 48);
    size_t leader = led(world);
    size_t size = (size_t)(FRAME_BODY_MAX / 2) + 1;
    uint8_t *data = mem_calloc(1, size);
    assert_non_null(data);
    world->nodes[leader].env.features = features_without_parts;
    for (size_t i = 0; i < 3; i++) {
        struct asked asked = {.ended = false};
        struct request *request;
        world->nodes[i].replica->options.part_bytes = PARTS_BYTES;
        assert_int_equal(request_new(&world->nodes[i].gauge, REQUEST_COMMAND, data, size, &request), 0);
        request->done = asked_ended;
        request->argument = &asked;
        lash_index before = status_of(world, leader).raft.last_index;
        client_hand(&world->nodes[i], request);
        STEPS_UNTIL(world, asked.ended);
        assert_int_equal(asked.error, LASH_VERSION);
        assert_int_equal(status_of(world, leader).raft.last_index, before);
    }
    mem_free(data);
    free_world(world);
}

/* ---- Who lies ----------------------------------------------------------------------------------------- */

static void forwarded_part(struct world *world, size_t to, lash_id from, lash_id origin, uint32_t count, int expected) {
    uint8_t part[PARTS_HEAD + 1] = {0};
    parts_encode_head(part, 10, 0);
    const struct frame_input inputs[2] = {
        {.origin = origin, .sequence = 1, .data = part, .size = count ? sizeof part : PARTS_HEAD},
        {.origin = origin, .sequence = 1, .data = part, .size = sizeof part}};
    struct wire_head head = {.kind = WIRE_FORWARD};
    head.forward.term = status_of(world, to).raft.term;
    head.forward.batch = 9;
    struct buf *frame;
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    assert_int_equal(frame_encode(0, 1, head.forward.term, LASH_ENTRY_PART, inputs, count ? count : 1, &frame), 0);
    assert_int_equal(replica_receive(world->nodes[to].replica, from, data, size, frame->data, frame->size), expected);
    buf_unref(frame);
}

static void parts_that_no_right_peer_forwards_are_not_taken(void **state) {
    (void)state;
    struct world *world = cutting_world(3, 49);
    size_t leader = led(world);
    lash_id from = (leader + 1) % 3 + 1;
    forwarded_part(world, leader, from, from + 7, 1, LASH_CORRUPT);
    forwarded_part(world, leader, from, from, 2, LASH_CORRUPT);
    forwarded_part(world, leader, from, from, 0, LASH_CORRUPT);
    assert_null(cutter_of(world, leader)->guest.command);
    forwarded_part(world, leader, from, from, 1, 0);
    assert_non_null(cutter_of(world, leader)->guest.command);
    free_world(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_command_is_applied_once_and_whole_wherever_it_was_asked_for),
        cmocka_unit_test(a_leader_dies_between_parts),
        cmocka_unit_test(a_deposed_leader_begins_anew_with_the_next),
        cmocka_unit_test(a_leader_hands_over_between_parts),
        cmocka_unit_test(a_follower_restarts_with_some_of_the_parts),
        cmocka_unit_test(a_snapshot_between_parts_covers_none_of_them),
        cmocka_unit_test(a_snapshot_is_installed_over_some_of_the_parts),
        cmocka_unit_test(a_forwarded_command_whose_way_breaks_is_sent_anew),
        cmocka_unit_test(who_forwards_slowly_holds_nobody_up),
        cmocka_unit_test(a_guest_goes_with_the_office),
        cmocka_unit_test(nothing_that_is_forwarded_comes_between_parts),
        cmocka_unit_test(all_nodes_are_asked_at_once),
        cmocka_unit_test(a_command_larger_than_what_may_wait_goes_through_as_it_is_committed),
        cmocka_unit_test(reads_do_not_wait_for_a_command_that_is_under_way),
        cmocka_unit_test(a_command_that_is_given_up_leaves_nothing_behind),
        cmocka_unit_test(a_full_disk_ends_what_is_under_way),
        cmocka_unit_test(memory_runs_out_at_every_point),
        cmocka_unit_test(who_does_not_know_parts_gets_none),
        cmocka_unit_test(only_the_leader_sees_who_does_not_know_parts),
        cmocka_unit_test(what_fits_no_entry_is_refused_while_somebody_does_not_know_parts),
        cmocka_unit_test(parts_that_no_right_peer_forwards_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
