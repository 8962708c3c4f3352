/* SPDX-License-Identifier: Apache-2.0
 *
 * What a replica holds in memory is bounded (P3), also while something that it
 * waits for stands still: its disk, its state machine, or the disk of its leader.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "node/replica_state.h"
#include "sim/world.h"

static void broken(void *context, const char *invariant, const char *what) {
    (void)context;
    print_error("%s: %s\n", invariant, what);
    abort();
}

static struct world *new_world_of(size_t nodes, uint64_t seed) {
    struct world_options options = {.seed = seed, .nodes = nodes, .failed = broken, .manual = true};
    profile_quiet(&options.profile);
    return world_new(&options);
}

static struct world *new_world(uint64_t seed) {
    return new_world_of(3, seed);
}

static size_t count_of(const struct list *list) {
    size_t count = 0;
    for (const struct list *at = list->next; at != list; at = at->next)
        count++;
    return count;
}

/* Steps with an executor of one node standing still. */
static void steps_without(struct world *world, size_t position, enum replica_executor executor, struct list *held,
                          uint64_t until_us) {
    while (world->now_us < until_us) {
        assert_true(world_step(world));
        list_splice(held, &world->nodes[position].queued[executor]);
    }
}

/* The executor goes on. */
static void let_go(struct world *world, size_t position, enum replica_executor executor, struct list *held) {
    list_splice(&world->nodes[position].queued[executor], held);
    world_work(world, position, executor);
}

/* Reads that wait for a state machine which stands still time out, and nothing is left of them. */
static void reads_that_timed_out_leave_nothing_behind(void **state) {
    (void)state;
    struct world *world = new_world(1);
    size_t leader = world_leader(world);
    struct world_node *node = &world->nodes[leader];
    const struct reads *reads = &node->replica->reads;
    struct list held;
    list_init(&held);
    uint64_t timeout_us = node->replica->options.request_timeout_ms * 1000;
    uint64_t end = world->now_us + 3 * timeout_us;
    size_t most = 0;
    while (world->now_us < end) {
        world_propose(world, (leader + 1) % 3); /* so that each read has an index of its own to wait for */
        world_read(world, leader);
        steps_without(world, leader, REPLICA_APPLY, &held, world->now_us + timeout_us / 100);
        most = count_of(&reads->ready) > most ? count_of(&reads->ready) : most;
    }
    assert_false(list_empty(&held));
    assert_true(world->tally.reads_failed > 150);
    assert_in_range(most, 50, 105);
    let_go(world, leader, REPLICA_APPLY, &held);
    world_heal(world);
    assert_true(list_empty(&reads->ready));
    world_free(world);
}

/* Those that wait for the same index wait together. */
static void reads_of_one_index_wait_as_one(void **state) {
    (void)state;
    struct world *world = new_world(2);
    size_t leader = world_leader(world);
    struct world_node *node = &world->nodes[leader];
    struct list held;
    list_init(&held);
    world_quiet(world);
    world_propose(world, (leader + 1) % 3);
    steps_without(world, leader, REPLICA_APPLY, &held, world->now_us + 50000);
    assert_int_equal(count_of(&held), 1);
    for (int i = 0; i < 20; i++) {
        world_read(world, leader);
        steps_without(world, leader, REPLICA_APPLY, &held, world->now_us + 10000);
    }
    assert_int_equal(count_of(&node->replica->reads.ready), 1);
    uint64_t reads = world->tally.reads;
    let_go(world, leader, REPLICA_APPLY, &held);
    world_heal(world);
    assert_int_equal(world->tally.reads, reads + 20);
    world_free(world);
}

/* A follower whose disk hangs in a new term answers nothing that it is asked; its answers do not pile up. */
static void answers_that_wait_for_a_disk_do_not_pile_up(void **state) {
    (void)state;
    struct world *world = new_world(3);
    size_t former = world_leader(world);
    size_t slow = (former + 1) % 3;
    size_t leader = (former + 2) % 3;
    struct list held;
    list_init(&held);
    world_transfer(world, former, leader);
    steps_without(world, slow, REPLICA_LOG, &held, world->now_us + 100000);
    assert_int_equal(world->nodes[leader].replica->status.role, LASH_LEADER);
    assert_false(list_empty(&held));
    size_t most = 0;
    const struct sender_list *waiting = &world->nodes[slow].replica->sender.held;
    for (int i = 0; i < 6000; i++) { /* each begins a round, of which all members are told */
        world_read(world, leader);
        for (uint64_t reads = world->tally.reads; world->tally.reads == reads;)
            steps_without(world, slow, REPLICA_LOG, &held, world->now_us + 1);
        most = waiting->count > most ? waiting->count : most;
    }
    assert_int_equal(most, 4096);
    let_go(world, slow, REPLICA_LOG, &held);
    world_heal(world);
    assert_int_equal(waiting->count, 0);
    world_free(world);
}

/* Give a leader a megabyte of a peer's proposals; whether it refused them with `error`. */
static bool forward_refused(struct world *world, size_t leader, size_t from, uint64_t batch, int error) {
    static uint8_t data[1 << 20];
    struct replica *replica = world->nodes[leader].replica;
    struct frame_input input = {.origin = from + 1, .sequence = batch, .data = data, .size = sizeof data};
    struct buf *frame;
    assert_int_equal(frame_encode(0, 1, replica->status.term, LASH_ENTRY_COMMAND, &input, 1, &frame), 0);
    struct wire_head head = {.kind = WIRE_FORWARD};
    head.forward.term = replica->status.term;
    head.forward.batch = batch;
    uint8_t bytes[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, bytes);
    const struct world_lane *lane = &network_link(world, leader, from)->lanes[TRANSPORT_CONTROL];
    const struct list *last = lane->packets.prev;
    assert_int_equal(replica_receive(replica, from + 1, bytes, size, frame->data, frame->size), 0);
    buf_unref(frame);
    const struct world_packet *packet = list_entry(lane->packets.prev, struct world_packet, link);
    if (lane->packets.prev == last || wire_decode(packet->head, packet->head_size, &head) ||
        head.kind != WIRE_FORWARD_REPLY)
        return false;
    assert_int_equal(head.forward_reply.batch, batch);
    assert_int_equal(head.forward_reply.error, error);
    return true;
}

/* Others commit without the leader's disk, so that only the leader itself can tell them to wait. */
static void forwarded_proposals_do_not_fill_the_memory_of_a_leader_whose_disk_hangs(void **state) {
    (void)state;
    struct world *world = new_world(4);
    size_t leader = world_leader(world);
    size_t from = (leader + 1) % 3;
    world_quiet(world);
    const struct journal *journal = &world->nodes[leader].replica->journal;
    while (journal->busy)
        assert_true(world_step(world));
    unsigned taken = 0;
    while (taken < 200 && !forward_refused(world, leader, from, taken + 1, LASH_BUSY))
        taken++;
    assert_in_range(taken, 60, 64);
    assert_true(journal->queued.bytes < 66 << 20);
    for (unsigned i = 0; i < 20; i++)
        assert_true(forward_refused(world, leader, from, 1000 + i, LASH_BUSY));
    /* What was taken is written in the end, and what was refused may come again. */
    world_turn(world, leader);
    assert_true(world_work(world, leader, REPLICA_LOG));
    assert_false(forward_refused(world, leader, from, 2000, LASH_BUSY));
    world_free(world);
}

static int proposal_error;

static void proposal_ended(void *argument, int error, lash_index index) {
    (void)argument;
    (void)index;
    proposal_error = error;
}

/* A proposal that waits in vain for those before it, while there is a leader, was never tried. */
static void a_proposal_that_waits_too_long_behind_others_is_told_so(void **state) {
    (void)state;
    struct world *world = new_world_of(1, 5);
    size_t leader = world_leader(world);
    struct world_node *node = &world->nodes[leader];
    while (node->replica->journal.busy)
        assert_true(world_step(world));
    struct list held;
    list_init(&held);
    assert_false(forward_refused(world, leader, 1, 1, LASH_BUSY));
    world_turn(world, leader);
    list_splice(&held, &node->queued[REPLICA_LOG]);
    assert_false(list_empty(&held)); /* the disk hangs */
    for (uint64_t batch = 2; !journal_crowded(node->replica); batch++)
        assert_false(forward_refused(world, leader, 1, batch, LASH_BUSY));
    struct list requests;
    struct request *request;
    list_init(&requests);
    assert_int_equal(request_new(&node->gauge, REQUEST_COMMAND, "late", 4, &request), 0);
    request->done = proposal_ended;
    list_push(&requests, &request->link);
    replica_submit(node->replica, &requests);
    proposal_error = 0;
    steps_without(world, leader, REPLICA_LOG, &held,
                  world->now_us + node->replica->options.request_timeout_ms * 1000 + 50000);
    assert_int_equal(node->replica->status.role, LASH_LEADER);
    assert_int_equal(proposal_error, LASH_BUSY);
    let_go(world, leader, REPLICA_LOG, &held);
    world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_that_timed_out_leave_nothing_behind),
        cmocka_unit_test(reads_of_one_index_wait_as_one),
        cmocka_unit_test(answers_that_wait_for_a_disk_do_not_pile_up),
        cmocka_unit_test(forwarded_proposals_do_not_fill_the_memory_of_a_leader_whose_disk_hangs),
        cmocka_unit_test(a_proposal_that_waits_too_long_behind_others_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
