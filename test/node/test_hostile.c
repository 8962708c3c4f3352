/* SPDX-License-Identifier: Apache-2.0
 *
 * Replicas against peers that lie with well-formed bytes, and against the
 * smaller troubles of a disk: whatever comes, no assertion of ours may end the
 * process, and nothing committed may change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/logger.h"
#include "node/parts.h"
#include "node/wire.h"
#include "sim/world_snapshot.h"
#include "simulated.h"

/* An AppendEntries with frames of one entry each, or of `count` in the only one. */
struct forgery {
    struct wire_head head;
    uint8_t *tail;
    size_t size;
    size_t capacity;
};

static void forge(struct forgery *forgery, lash_term term, lash_index prev_index, lash_term prev_term,
                  lash_index commit) {
    memset(forgery, 0, sizeof *forgery);
    forgery->head.kind = WIRE_MESSAGE;
    forgery->head.message.type = LASH_MSG_APPEND;
    forgery->head.message.term = term;
    forgery->head.message.append.prev_index = prev_index;
    forgery->head.message.append.prev_term = prev_term;
    forgery->head.message.append.commit = commit;
}

static void forge_inputs(struct forgery *forgery, lash_index first, lash_term term, uint32_t kind,
                         const struct frame_input *inputs, uint32_t count) {
    struct buf *frame;
    assert_int_equal(frame_encode(0, first, term, kind, inputs, count, &frame), 0);
    if (forgery->size + frame->size > forgery->capacity) {
        forgery->capacity = 2 * (forgery->size + frame->size);
        forgery->tail = realloc(forgery->tail, forgery->capacity);
        assert_non_null(forgery->tail);
    }
    memcpy(forgery->tail + forgery->size, frame->data, frame->size);
    forgery->size += frame->size;
    buf_unref(frame);
}

static void forge_frame(struct forgery *forgery, lash_index first, lash_term term, uint32_t kind, uint32_t count) {
    struct frame_input inputs[8] = {{0}};
    assert_in_range(count, 1, 8);
    forge_inputs(forgery, first, term, kind, inputs, count);
}

/* Give it to a node as coming from `from`; what the node says to it. */
static int give(struct world *world, size_t position, lash_id from, struct forgery *forgery) {
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&forgery->head, data);
    int error = replica_receive(world->nodes[position].replica, from, data, size, forgery->tail, forgery->size);
    free(forgery->tail);
    forgery->tail = NULL;
    return error;
}

/* Behind the world's back a disk has come to hold a frame that follows what it holds. */
static void put_on_disk(struct world *world, lash_id id, const uint8_t *data) {
    struct frame frame;
    struct frame_entry entry;
    struct judge_log suffix = {0};
    size_t offset = 0;
    const struct judge_log *disk = judge_disk(world->judge, id);
    uint64_t chain = judge_log_chain(disk, disk->count);
    assert_int_equal(frame_header(data, &frame), 0);
    while (frame_next(data, &frame, &offset, &entry)) {
        judge_log_push(&suffix, chain, frame.term, frame.kind, world_digest(&entry));
        chain = judge_log_chain(&suffix, suffix.count);
    }
    world_disk_written(&world->nodes[id - 1], disk->count, &suffix);
    judge_log_free(&suffix);
}

/* What the forgery says is true: its sender leads, and it and the third node hold the frame durably. */
static void make_true(struct world *world, lash_id leader, const struct forgery *forgery) {
    struct frame frame;
    struct frame_entry entry;
    size_t offset = 0;
    if (forgery->size) {
        put_on_disk(world, 2, forgery->tail);
        put_on_disk(world, 3, forgery->tail);
        assert_int_equal(frame_header(forgery->tail, &frame), 0);
        while (frame_next(forgery->tail, &frame, &offset, &entry))
            judge_append(world->judge, leader, entry.index, frame.term, frame.kind, world_digest(&entry), true);
    }
    const struct judge_log *log = judge_memory(world->judge, leader);
    struct lash_raft_status status = {.role = LASH_LEADER,
                                      .term = forgery->head.message.term,
                                      .commit = forgery->head.message.append.commit,
                                      .last_index = log->count,
                                      .last_term = log->entries[log->count - 1].term};
    judge_observe(world->judge, leader, &status);
}

/* A node that has entries 1 to 3 in one frame of term 5, which the first of its false leaders sent. */
static struct world *misled_world(lash_index commit) {
    struct world *world = new_puppet_world(3, 1);
    struct forgery forgery;
    forge(&forgery, 5, 0, 0, commit);
    forge_frame(&forgery, 1, 5, LASH_ENTRY_BARRIER, 3);
    make_true(world, 2, &forgery);
    assert_int_equal(give(world, 0, 2, &forgery), 0);
    assert_int_equal(status_of(world, 0).raft.last_index, 3);
    assert_int_equal(status_of(world, 0).raft.commit, commit);
    return world;
}

static void entries_that_cut_through_a_frame_are_refused(void **state) {
    (void)state;
    struct world *world = misled_world(0);
    struct forgery forgery;
    forge(&forgery, 6, 1, 5, 0);
    forge_frame(&forgery, 2, 6, LASH_ENTRY_BARRIER, 1);
    assert_int_equal(give(world, 0, 3, &forgery), LASH_CORRUPT);
    forge(&forgery, 6, 0, 0, 0);
    forge_frame(&forgery, 1, 5, LASH_ENTRY_BARRIER, 2);
    forge_frame(&forgery, 3, 6, LASH_ENTRY_BARRIER, 1);
    assert_int_equal(give(world, 0, 3, &forgery), LASH_CORRUPT);
    assert_int_equal(status_of(world, 0).raft.last_index, 3);
    assert_int_equal(status_of(world, 0).raft.last_term, 5);
    /* At a frame's begin it is what every new leader may do. */
    forge(&forgery, 6, 0, 0, 0);
    forge_frame(&forgery, 1, 6, LASH_ENTRY_BARRIER, 2);
    assert_int_equal(give(world, 0, 3, &forgery), 0);
    assert_int_equal(status_of(world, 0).raft.last_index, 2);
    free_world(world);
}

static void a_frame_whose_begin_is_held_and_whose_rest_is_not_is_refused(void **state) {
    (void)state;
    struct world *world = new_puppet_world(3, 8);
    struct forgery forgery;
    forge(&forgery, 5, 0, 0, 0);
    forge_frame(&forgery, 1, 5, LASH_ENTRY_BARRIER, 1);
    assert_int_equal(give(world, 0, 2, &forgery), 0);
    forge(&forgery, 6, 1, 5, 0);
    forge_frame(&forgery, 2, 6, LASH_ENTRY_BARRIER, 1);
    assert_int_equal(give(world, 0, 3, &forgery), 0);
    forge(&forgery, 7, 0, 0, 0);
    forge_frame(&forgery, 1, 5, LASH_ENTRY_BARRIER, 3);
    assert_int_equal(give(world, 0, 2, &forgery), LASH_CORRUPT);
    assert_int_equal(status_of(world, 0).raft.last_index, 2);
    free_world(world);
}

static void entries_in_the_place_of_committed_ones_are_ignored(void **state) {
    (void)state;
    struct world *world = misled_world(3);
    struct forgery forgery;
    forge(&forgery, 6, 0, 0, 0);
    forge_frame(&forgery, 1, 6, LASH_ENTRY_BARRIER, 4);
    assert_int_equal(give(world, 0, 3, &forgery), 0);
    assert_int_equal(status_of(world, 0).raft.last_index, 3);
    assert_int_equal(status_of(world, 0).raft.last_term, 5);
    assert_int_equal(status_of(world, 0).raft.commit, 3);
    free_world(world);
}

/* The node's jobs are done as they come; no packet arrives and no time passes. */
static void work_off(struct world *world, size_t position) {
    bool some = true;
    while (some) {
        world_turn(world, position);
        some = false;
        for (enum replica_executor i = 0; i < REPLICA_EXECUTORS; i++)
            while (world_work(world, position, i) || world_finish(world, position, i))
                some = true;
    }
}

static void what_is_committed_of_a_frame_is_applied_once_and_no_more_than_that(void **state) {
    (void)state;
    struct world *world = new_puppet_world(3, 6);
    uint64_t numbers[3];
    struct frame_input inputs[3];
    for (uint32_t i = 0; i < 3; i++) {
        numbers[i] = world_command(world);
        inputs[i] = (struct frame_input){.origin = 2, .sequence = i, .data = &numbers[i], .size = sizeof numbers[i]};
    }
    struct forgery forgery;
    forge(&forgery, 5, 0, 0, 2);
    forge_inputs(&forgery, 1, 5, LASH_ENTRY_COMMAND, inputs, 3);
    make_true(world, 2, &forgery);
    assert_int_equal(give(world, 0, 2, &forgery), 0);
    work_off(world, 0);
    assert_int_equal(world->nodes[0].machine.applied, 2);
    forge(&forgery, 5, 3, 5, 3);
    make_true(world, 2, &forgery);
    assert_int_equal(give(world, 0, 2, &forgery), 0);
    work_off(world, 0);
    assert_int_equal(world->nodes[0].machine.applied, 3);
    assert_int_equal(world->nodes[0].apply_count, 3);
    free_world(world);
}

/* The sequence of the one command in the last packet from one node to another. */
static uint64_t forwarded_sequence(struct world *world, size_t from, size_t to) {
    const struct world_lane *lane = &network_link(world, from, to)->lanes[TRANSPORT_ENTRIES];
    const struct world_packet *packet = list_entry(lane->packets.prev, struct world_packet, link);
    struct wire_head head;
    struct frame frame;
    struct frame_entry entry;
    size_t used;
    size_t offset = 0;
    assert_int_equal(wire_decode(packet->head, packet->head_size, &head), 0);
    assert_int_equal(head.kind, WIRE_FORWARD);
    assert_int_equal(packet->tail_count, 1);
    const struct buf *tail = packet->tails[0];
    assert_int_equal(frame_check(tail->data, tail->size, &frame, &used), 0);
    assert_true(frame_next(tail->data, &frame, &offset, &entry));
    return entry.sequence;
}

static void anothers_entry_with_the_number_of_a_request_does_not_answer_it(void **state) {
    (void)state;
    struct world *world = misled_world(0);
    uint64_t number = world_propose(world, 0);
    world_turn(world, 0);
    uint64_t anothers = world_command(world);
    struct frame_input input = {
        .origin = 3, .sequence = forwarded_sequence(world, 0, 1), .data = &anothers, .size = sizeof anothers};
    struct forgery forgery;
    forge(&forgery, 5, 3, 5, 4);
    forge_inputs(&forgery, 4, 5, LASH_ENTRY_COMMAND, &input, 1);
    make_true(world, 2, &forgery);
    assert_int_equal(give(world, 0, 2, &forgery), 0);
    work_off(world, 0);
    assert_int_equal(world->nodes[0].machine.applied, 4);
    assert_int_equal(world_fate(world, number), WORLD_OPEN);
    input.origin = 1;
    input.data = &number;
    forge(&forgery, 5, 4, 5, 5);
    forge_inputs(&forgery, 5, 5, LASH_ENTRY_COMMAND, &input, 1);
    make_true(world, 2, &forgery);
    assert_int_equal(give(world, 0, 2, &forgery), 0);
    work_off(world, 0);
    assert_int_equal(world_fate(world, number), WORLD_DONE);
    free_world(world);
}

static void each_answer_waits_for_its_own_write(void **state) {
    (void)state;
    struct world *world = new_puppet_world(3, 7);
    struct forgery forgery;
    for (lash_index i = 1; i <= 2; i++) {
        forge(&forgery, 5, i - 1, i == 1 ? 0 : 5, 0);
        forge_frame(&forgery, i, 5, LASH_ENTRY_BARRIER, 1);
        assert_int_equal(give(world, 0, 2, &forgery), 0);
        world_turn(world, 0);
    }
    /* The first is being written, the second comes next. */
    uint64_t sent = world->nodes[0].packets_sent;
    for (uint64_t done = 1; done <= 2; done++) {
        assert_true(world_work(world, 0, REPLICA_LOG));
        assert_true(world_finish(world, 0, REPLICA_LOG));
        world_turn(world, 0);
        assert_int_equal(world->nodes[0].packets_sent, sent + done);
    }
    free_world(world);
}

static void the_term_of_a_message_is_saved_with_its_entries(void **state) {
    (void)state;
    struct world *world = misled_world(0);
    work_off(world, 0);
    world_kill(world, 0);
    struct log *log;
    struct log_recovered recovered;
    struct log_options options = {
        .vfs = memfs_vfs(world->nodes[0].disk), .dir = "log", .segment_bytes = 16384, .cluster_id = 1, .node_id = 1};
    assert_int_equal(log_open(&options, &log, &recovered), 0);
    assert_int_equal(recovered.term, 5);
    assert_int_equal(recovered.last_index, 3);
    log_recovered_free(&recovered);
    log_close(log);
    free_world(world);
}

static void a_read_that_was_lost_with_its_connection_is_asked_again_at_once(void **state) {
    (void)state;
    struct world *world = misled_world(0);
    work_off(world, 0);
    world_read(world, 0);
    world_turn(world, 0);
    uint64_t sent = world->nodes[0].packets_sent;
    world_disconnect(world, 0, 1);
    world_connect(world, 0, 1);
    world->now_us += 20000;
    world_turn(world, 0);
    assert_int_equal(world->nodes[0].packets_sent, sent + 1);
    free_world(world);
}

static void more_changes_of_term_than_twice_the_room_are_taken(void **state) {
    (void)state;
    struct world *world = new_puppet_world(3, 2);
    struct forgery forgery;
    enum { CHANGES = 5000 };
    forge(&forgery, CHANGES, 0, 0, 0);
    for (uint64_t i = 1; i <= CHANGES; i++)
        forge_frame(&forgery, i, i, LASH_ENTRY_BARRIER, 1);
    assert_int_equal(give(world, 0, 2, &forgery), 0);
    assert_int_equal(status_of(world, 0).raft.last_index, CHANGES);
    free_world(world);
}

static void entries_of_an_unknown_kind_are_not_taken(void **state) {
    (void)state;
    struct world *world = new_puppet_world(3, 3);
    struct forgery forgery;
    forge(&forgery, 5, 0, 0, 0);
    forge_frame(&forgery, 1, 5, LASH_ENTRY_PART + 1, 1);
    assert_int_equal(give(world, 0, 2, &forgery), LASH_VERSION);
    assert_int_equal(status_of(world, 0).raft.last_index, 0);
    free_world(world);
}

/* A node finds an entry in its log that it cannot apply. */
static void stops_before(uint32_t kind, const struct frame_input *input, int expected) {
    struct world *world = new_world(1, 4);
    world_leader(world);
    world_propose(world, 0);
    world_quiet(world);
    lash_index applied = world->nodes[0].machine.applied;
    world_kill(world, 0);

    struct log *log;
    struct log_recovered recovered;
    struct log_options options = {
        .vfs = memfs_vfs(world->nodes[0].disk), .dir = "log", .segment_bytes = 16384, .cluster_id = 1, .node_id = 1};
    assert_int_equal(log_open(&options, &log, &recovered), 0);
    struct log_item item = {.first = recovered.last_index + 1};
    assert_int_equal(frame_encode(0, item.first, recovered.term, kind, input, 1, &item.frame), 0);
    assert_int_equal(log_append(log, &item, 1), 0);
    put_on_disk(world, 1, item.frame->data);
    buf_unref(item.frame);
    log_recovered_free(&recovered);
    log_close(log);

    world_start(world, 0);
    world_propose(world, 0);
    STEPS_UNTIL(world, replica_error(world->nodes[0].replica));
    assert_int_equal(replica_error(world->nodes[0].replica), expected);
    assert_true(world->nodes[0].machine.applied < item.first && world->nodes[0].machine.applied >= applied);
    free_world(world);
}

/* A newer version wrote it, and an older one was started again. */
static void a_node_stops_before_an_entry_of_an_unknown_kind_in_its_log(void **state) {
    (void)state;
    const struct frame_input input = {0};
    stops_before(77, &input, LASH_VERSION);
}

static void a_node_stops_before_a_part_that_goes_on_with_nothing(void **state) {
    (void)state;
    uint8_t part[PARTS_HEAD + 4] = {0};
    parts_encode_head(part, 10, 5);
    const struct frame_input input = {.origin = 1, .sequence = 1, .data = part, .size = sizeof part};
    stops_before(LASH_ENTRY_PART, &input, LASH_CORRUPT);
    const struct frame_input no_part = {.origin = 1, .sequence = 1, .data = part, .size = PARTS_HEAD - 1};
    stops_before(LASH_ENTRY_PART, &no_part, LASH_CORRUPT);
}

static void a_durable_position_that_cannot_be_noted_is_no_harm(void **state) {
    (void)state;
    struct world *world = new_world(1, 5);
    world_leader(world);
    world_propose(world, 0);
    world_quiet(world);
    memfs_fill(world->nodes[0].disk, true);
    uint64_t jobs = world->nodes[0].jobs[REPLICA_LOG];
    STEPS_UNTIL(world, world->nodes[0].jobs[REPLICA_LOG] != jobs);
    while (world_work(world, 0, REPLICA_LOG) || world_finish(world, 0, REPLICA_LOG))
        continue;
    assert_int_equal(replica_error(world->nodes[0].replica), 0);
    memfs_fill(world->nodes[0].disk, false);
    run_ms(world, 1100); /* it looks for room once a second */
    uint64_t number = world_propose(world, 0);
    world_quiet(world);
    assert_int_equal(world_fate(world, number), WORLD_DONE);
    free_world(world);
}

/* Any of them: also that of a file or a directory when a new segment begins. */
static void whenever_a_sync_fails_the_process_is_to_stop(void **state) {
    (void)state;
    uint32_t halted = 0;
    uint32_t stopped = 0;
    for (uint64_t n = 40; n <= 80; n++) {
        struct world *world = new_world(1, 200 + n);
        world_leader(world);
        struct world_node *node = &world->nodes[0];
        memfs_fail(node->disk, n, MEMFS_EIO);
        for (int i = 0; i < 60 && !replica_error(node->replica); i++) {
            world_propose(world, 0);
            world_quiet(world);
        }
        /* A log that a failed sync has killed says so at every sync from then on. */
        bool dead = log_sync(node->log) != 0;
        if (replica_error(node->replica))
            assert_int_equal(node->halted, dead);
        halted += node->halted;
        stopped += replica_error(node->replica) != 0;
        free_world(world);
    }
    assert_true(halted > 0 && stopped > halted);
}

int main(void) {
    lash_set_log(NULL, NULL, LASH_LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_that_cut_through_a_frame_are_refused),
        cmocka_unit_test(a_frame_whose_begin_is_held_and_whose_rest_is_not_is_refused),
        cmocka_unit_test(entries_in_the_place_of_committed_ones_are_ignored),
        cmocka_unit_test(what_is_committed_of_a_frame_is_applied_once_and_no_more_than_that),
        cmocka_unit_test(anothers_entry_with_the_number_of_a_request_does_not_answer_it),
        cmocka_unit_test(each_answer_waits_for_its_own_write),
        cmocka_unit_test(the_term_of_a_message_is_saved_with_its_entries),
        cmocka_unit_test(a_read_that_was_lost_with_its_connection_is_asked_again_at_once),
        cmocka_unit_test(more_changes_of_term_than_twice_the_room_are_taken),
        cmocka_unit_test(entries_of_an_unknown_kind_are_not_taken),
        cmocka_unit_test(a_node_stops_before_an_entry_of_an_unknown_kind_in_its_log),
        cmocka_unit_test(a_node_stops_before_a_part_that_goes_on_with_nothing),
        cmocka_unit_test(a_durable_position_that_cannot_be_noted_is_no_harm),
        cmocka_unit_test(whenever_a_sync_fails_the_process_is_to_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
