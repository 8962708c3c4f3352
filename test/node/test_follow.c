/* SPDX-License-Identifier: Apache-2.0
 *
 * A replica that follows the configurations in its log (D§4): what is in force,
 * who its peers are, and when it knows that it was removed. The test is its world
 * and speaks for its peers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "node/replica.h"
#include "node/wire.h"
#include "sim/memfs.h"

enum { SELF = 1, IDS = 8, FEW_MS = 10 };

struct world {
    struct memfs *fs;
    struct log *log;
    struct replica *replica;
    struct replica_env env;
    struct request_gauge gauge;
    struct list jobs;
    struct roster *first;
    uint16_t ports[IDS]; /* by id, of those that are peers */
    uint64_t disks[IDS]; /* expected */
    lash_index committed;
    bool welcome;
};

static uint64_t now_ms(void *context) {
    (void)context;
    return 1000;
}

static void arm(void *context, uint64_t deadline_ms) {
    (void)context;
    (void)deadline_ms;
}

static int send_nowhere(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                        struct buf *const *tails, size_t count) {
    (void)context, (void)peer, (void)lane, (void)head, (void)head_size, (void)tails, (void)count;
    return 0;
}

static void submit(void *context, enum replica_executor executor, struct job *job) {
    (void)executor;
    list_push(&((struct world *)context)->jobs, &job->link);
}

static uint64_t features(void *context, lash_id peer) {
    (void)context;
    (void)peer;
    return WIRE_MEMBERS;
}

static int add_peer(void *context, lash_id peer, const char *host, uint16_t port) {
    assert_in_range(peer, 1, IDS - 1);
    assert_string_equal(host, "h");
    ((struct world *)context)->ports[peer] = port;
    return 0;
}

static void remove_peer(void *context, lash_id peer) {
    ((struct world *)context)->ports[peer] = 0;
}

static void expect(void *context, lash_id peer, uint64_t disk) {
    ((struct world *)context)->disks[peer] = disk;
}

static void configured(void *context, lash_index committed, bool welcome) {
    struct world *world = context;
    world->committed = committed;
    world->welcome = welcome;
}

static void halt(void *context, int error) {
    (void)context;
    fail_msg("halted: %d", error);
}

static int apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    (void)context, (void)commands, (void)count, (void)last;
    return 0;
}

static void start(struct world *world) {
    struct log_options log_options = {
        .vfs = memfs_vfs(world->fs), .dir = "log", .segment_bytes = 65536, .cluster_id = 1, .node_id = SELF};
    struct log_recovered recovered;
    assert_int_equal(log_open(&log_options, &world->log, &recovered), 0);
    struct replica_options options = {.id = SELF,
                                      .part_bytes = 64,
                                      .cluster_id = 1,
                                      .heartbeat_ms = FEW_MS,
                                      .election_ms = FEW_MS * 10,
                                      .seed = 1,
                                      .request_timeout_ms = 1000,
                                      .recent_bytes_max = 4096,
                                      .recent_bytes_kept = 1024,
                                      .uncommitted_bytes_max = 1 << 20,
                                      .inflight_bytes_max = 1 << 20,
                                      .first = world->first,
                                      .machine = {.apply = apply},
                                      .gauge = &world->gauge};
    world->env = (struct replica_env){.context = world,
                                      .now_ms = now_ms,
                                      .arm = arm,
                                      .send = send_nowhere,
                                      .submit = submit,
                                      .features = features,
                                      .add_peer = add_peer,
                                      .remove_peer = remove_peer,
                                      .expect = expect,
                                      .configured = configured,
                                      .halt = halt};
    list_init(&world->jobs);
    assert_int_equal(replica_new(&options, &world->env, world->log, &recovered, &world->replica), 0);
    log_recovered_free(&recovered);
    replica_turn(world->replica);
}

/* Do all jobs, and what they bring about. */
static void settle(struct world *world) {
    struct list *at;
    replica_turn(world->replica);
    while ((at = list_pop(&world->jobs))) {
        struct job *job = list_entry(at, struct job, link);
        job->work(job);
        job->done(job);
        replica_turn(world->replica);
    }
}

static void stop(struct world *world) {
    settle(world);
    replica_stop(world->replica);
    settle(world);
    assert_true(replica_stopped(world->replica));
    replica_free(world->replica);
    log_close(world->log);
}

/* Members 1 to `count` vote; `index`es of ports tell configurations apart. */
static struct roster *voters(lash_index index, lash_id first, lash_id last) {
    struct lash_node_member members[IDS];
    struct roster *roster;
    size_t count = 0;
    for (lash_id id = first; id <= last; id++)
        members[count++] = (struct lash_node_member){
            .id = id, .flags = LASH_MEMBER_VOTER, .disk = 100 + id, .host = "h", .port = (uint16_t)(10 * index + id)};
    assert_int_equal(roster_new(index, members, count, &roster), 0);
    return roster;
}

static void open_world(struct world *world, lash_id members) {
    memset(world, 0, sizeof *world);
    world->fs = memfs_new();
    world->first = members ? voters(0, 1, members) : NULL;
    start(world);
}

static void close_world(struct world *world) {
    stop(world);
    roster_unref(world->first);
    memfs_free(world->fs);
}

static int give_frame(struct world *world, lash_id from, lash_term term, lash_index prev, lash_term prev_term,
                      lash_index commit, const struct buf *frame) {
    struct wire_head head = {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_APPEND, .term = term}};
    head.message.append.prev_index = prev;
    head.message.append.prev_term = prev_term;
    head.message.append.commit = commit;
    uint8_t bytes[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, bytes);
    int error = replica_receive(world->replica, from, bytes, size, frame->data, frame->size);
    settle(world);
    return error;
}

/* What a witness is sent of a command: the leader of term 5, n2, sends it as the first entry. */
static int give_hollow(struct world *world) {
    const struct frame_input input = {.origin = 2, .sequence = 1, .data = "command", .size = 7};
    struct buf *frame;
    struct buf *hollow;
    assert_int_equal(frame_encode(0, 1, 5, LASH_ENTRY_COMMAND, &input, 1, &frame), 0);
    assert_int_equal(frame_hollow(frame, &hollow), 0);
    int error = give_frame(world, 2, 5, 0, 0, 1, hollow);
    buf_unref(frame);
    buf_unref(hollow);
    return error;
}

/* One entry from `from`, the leader of `term`: a no-op, or `roster`, which is used up. */
static int give(struct world *world, lash_id from, lash_term term, lash_index prev, lash_term prev_term,
                lash_index commit, struct roster *roster) {
    uint8_t data[ROSTER_BYTES_MAX];
    struct frame_input input = {.origin = from};
    uint32_t kind = roster ? LASH_ENTRY_CONFIGURATION : LASH_ENTRY_NOOP;
    if (roster) {
        roster_encode(roster, data);
        input.data = data;
        input.size = roster_size(roster);
        roster_unref(roster);
    }
    struct buf *frame;
    assert_int_equal(frame_encode(0, prev + 1, term, kind, &input, 1, &frame), 0);
    int error = give_frame(world, from, term, prev, prev_term, commit, frame);
    buf_unref(frame);
    return error;
}

static lash_index newest(const struct world *world) {
    const struct roster *roster = replica_roster(world->replica);
    struct lash_status status;
    replica_status(world->replica, &status);
    assert_int_equal(status.raft.configuration.index, roster ? roster->index : 0);
    assert_int_equal(status.raft.configuration.count, roster ? roster->count : 0);
    return roster ? roster->index : UINT64_MAX;
}

/* D§4.1, C4. */
static void a_configuration_counts_from_when_it_is_in_the_log_until_it_is_cut_off(void **state) {
    (void)state;
    struct world world;
    open_world(&world, 3);
    assert_int_equal(give(&world, 2, 5, 0, 0, 0, NULL), 0);
    assert_int_equal(newest(&world), 0);
    assert_int_equal(give(&world, 2, 5, 1, 5, 1, voters(2, 1, 4)), 0);
    assert_int_equal(newest(&world), 2);
    assert_int_equal(world.ports[4], 24);
    assert_int_equal(world.ports[2], 22); /* where it is now */
    /* Another leader has none of it; the index gets a no-op, and the next another configuration. */
    assert_int_equal(give(&world, 3, 6, 1, 5, 1, NULL), 0);
    assert_int_equal(newest(&world), 0);
    assert_int_equal(world.ports[4], 0);
    assert_int_equal(world.ports[2], 2);
    assert_int_equal(give(&world, 3, 6, 2, 6, 2, voters(3, 1, 5)), 0);
    assert_int_equal(newest(&world), 3);
    /* One takes the place of another of the same index. */
    assert_int_equal(give(&world, 2, 7, 2, 6, 2, voters(3, 1, 2)), 0);
    assert_int_equal(newest(&world), 3);
    assert_int_equal(replica_roster(world.replica)->count, 2);
    close_world(&world);
}

static void after_a_restart_the_newest_in_the_log_is_in_force(void **state) {
    (void)state;
    struct world world;
    open_world(&world, 3);
    assert_int_equal(give(&world, 2, 5, 0, 0, 0, NULL), 0);
    assert_int_equal(give(&world, 2, 5, 1, 5, 1, voters(2, 1, 4)), 0);
    assert_int_equal(give(&world, 2, 5, 2, 5, 2, voters(3, 1, 5)), 0);
    stop(&world);
    start(&world);
    assert_int_equal(newest(&world), 3);
    assert_int_equal(replica_roster(world.replica)->members[4].port, 35);
    assert_int_equal(world.ports[5], 35);
    /* And the one before it, should it be cut off. */
    assert_int_equal(give(&world, 3, 6, 2, 5, 2, NULL), 0);
    assert_int_equal(newest(&world), 2);
    close_world(&world);
}

/* Whoever leaves may be needed, and asked, until that is committed. */
static void who_leaves_is_let_go_once_that_is_committed(void **state) {
    (void)state;
    struct world world;
    open_world(&world, 3);
    assert_int_equal(give(&world, 2, 5, 0, 0, 0, NULL), 0);
    assert_int_equal(give(&world, 2, 5, 1, 5, 1, voters(2, 1, 2)), 0);
    assert_int_equal(newest(&world), 2);
    assert_int_equal(world.ports[3], 3);
    assert_int_equal(world.committed, 0);
    assert_int_equal(give(&world, 2, 5, 2, 5, 2, NULL), 0);
    assert_int_equal(world.ports[3], 0);
    assert_int_equal(world.committed, 2);
    assert_int_equal(world.disks[2], 102);
    assert_false(world.welcome);
    close_world(&world);
}

static void a_roster_of_another_entry_is_not_taken(void **state) {
    (void)state;
    struct world world;
    open_world(&world, 3);
    assert_int_equal(give(&world, 2, 5, 0, 0, 0, NULL), 0);
    assert_int_equal(give(&world, 2, 5, 1, 5, 1, voters(3, 1, 4)), LASH_CORRUPT);
    assert_int_equal(newest(&world), 0);
    close_world(&world);
}

/* D§4.2.3. */
static void a_member_for_certain_believes_that_it_was_removed(void **state) {
    (void)state;
    struct world world;
    open_world(&world, 3);
    assert_int_equal(give(&world, 2, 5, 0, 0, 0, NULL), 0);
    assert_int_equal(give(&world, 2, 5, 1, 5, 1, voters(2, 1, 4)), 0);
    replica_stranger(world.replica, 3, 1); /* it is behind */
    replica_stranger(world.replica, 3, 0); /* it does not say */
    assert_int_equal(replica_error(world.replica), 0);
    replica_stranger(world.replica, 3, 9);
    assert_int_equal(replica_error(world.replica), LASH_REMOVED);
    close_world(&world);
}

/* Its addition may have been lost with a leader, and be tried again. */
static void who_is_yet_to_be_added_does_not(void **state) {
    (void)state;
    struct world world;
    open_world(&world, 0);
    assert_true(world.welcome);
    replica_stranger(world.replica, 2, 9);
    assert_int_equal(give(&world, 2, 5, 0, 0, 0, NULL), 0);
    assert_int_equal(newest(&world), UINT64_MAX);
    assert_int_equal(give(&world, 2, 5, 1, 5, 1, voters(2, 1, 3)), 0);
    assert_int_equal(newest(&world), 2);
    replica_stranger(world.replica, 3, 9);
    assert_int_equal(replica_error(world.replica), 0);
    /* Then it is committed, and it is a member for certain. */
    assert_int_equal(give(&world, 2, 5, 2, 5, 2, NULL), 0);
    replica_stranger(world.replica, 3, 9);
    assert_int_equal(replica_error(world.replica), LASH_REMOVED);
    close_world(&world);
}

static void who_keeps_data_takes_nothing_that_is_meant_for_a_witness(void **state) {
    (void)state;
    struct world world;
    struct lash_status status;
    open_world(&world, 3);
    assert_int_equal(give_hollow(&world), LASH_CORRUPT);
    replica_status(world.replica, &status);
    assert_int_equal(status.raft.last_index, 0);
    close_world(&world);
    /* Who joins may be one. Should it then be added as another, it has entries without data, and takes no part. */
    open_world(&world, 0);
    assert_int_equal(give_hollow(&world), 0);
    replica_status(world.replica, &status);
    assert_int_equal(status.raft.applied, 1);
    assert_int_equal(give(&world, 2, 5, 1, 5, 2, voters(2, 1, 3)), 0);
    replica_status(world.replica, &status);
    assert_int_equal(status.error, LASH_MISMATCH);
    close_world(&world);
}

static void a_committed_configuration_without_a_node_ends_its_part(void **state) {
    (void)state;
    struct world world;
    open_world(&world, 3);
    assert_int_equal(give(&world, 2, 5, 0, 0, 0, NULL), 0);
    assert_int_equal(give(&world, 2, 5, 1, 5, 1, voters(2, 2, 3)), 0);
    assert_int_equal(replica_error(world.replica), 0);
    assert_int_equal(give(&world, 2, 5, 2, 5, 2, NULL), 0);
    settle(&world);
    assert_int_equal(replica_error(world.replica), LASH_REMOVED);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_counts_from_when_it_is_in_the_log_until_it_is_cut_off),
        cmocka_unit_test(after_a_restart_the_newest_in_the_log_is_in_force),
        cmocka_unit_test(who_leaves_is_let_go_once_that_is_committed),
        cmocka_unit_test(a_roster_of_another_entry_is_not_taken),
        cmocka_unit_test(a_member_for_certain_believes_that_it_was_removed),
        cmocka_unit_test(who_is_yet_to_be_added_does_not),
        cmocka_unit_test(who_keeps_data_takes_nothing_that_is_meant_for_a_witness),
        cmocka_unit_test(a_committed_configuration_without_a_node_ends_its_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
