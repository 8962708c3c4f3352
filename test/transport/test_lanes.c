/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes: a connection for each, with peers that have them, and one for all with
 * peers that do not; what fills up or breaks one of them is its own.
 */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A node, and what it dials: peer 2, which is played by hand. */
struct scene {
    struct world world;
    struct node node;
    int listener;
};

static int scene_open(void **state) {
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    world_open(&scene->world);
    node_open(&scene->node, &scene->world, 1);
    uint16_t port;
    scene->listener = raw_listen(&port);
    assert_int_equal(transport_add_peer(scene->node.transport, 2, "127.0.0.1", port), 0);
    *state = scene;
    return 0;
}

static int scene_close(void **state) {
    struct scene *scene = *state;
    node_close(&scene->node);
    world_close(&scene->world);
    assert_int_equal(close(scene->listener), 0);
    free(scene);
    return 0;
}

/* Take the connection that the node dials next, which is to be for `lane`, and answer with these features. */
static int take(struct scene *scene, uint16_t lane, uint64_t features) {
    int fd = raw_accept(&scene->world, scene->listener);
    const struct packet_hello hello = raw_read_hello(&scene->world, fd);
    assert_int_equal(hello.lane, lane);
    assert_true(hello.features & PACKET_FEATURE_LANES);
    raw_write_reply_with(fd, 2, PACKET_ACCEPTED, features);
    return fd;
}

/* Whether the node dials within some time. */
static bool dials(struct scene *scene) {
    world_run_for(&scene->world, 100); /* more than twice the longest back-off */
    int fd = accept(scene->listener, NULL, NULL);
    assert_true(fd >= 0 || errno == EAGAIN);
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    return fd >= 0;
}

static bool is_connected(void *argument) {
    const struct scene *scene = argument;
    return transport_is_connected(scene->node.transport, 2);
}

static bool is_disconnected(void *argument) {
    return !is_connected(argument);
}

static int say(struct scene *scene, enum transport_lane lane, const char *text) {
    return transport_send(scene->node.transport, 2, lane, text, strlen(text), NULL, 0);
}

static bool control_is_ready(void *argument) {
    return say(argument, TRANSPORT_CONTROL, "first") == LASH_OK;
}

/* The next packet on `fd` has this head, and no tail. */
static void hear(struct scene *scene, int fd, const char *text) {
    uint8_t expected[64];
    uint8_t bytes[64];
    size_t size = raw_packet(expected, sizeof expected, text, (uint32_t)strlen(text), NULL, 0);
    raw_read(&scene->world, fd, bytes, size);
    assert_memory_equal(bytes, expected, size);
}

static bool lane_was_ready(void *argument) {
    const struct scene *scene = argument;
    return scene->node.lane_ready[2] > 0;
}

/* ---- Between nodes ------------------------------------------------------------------------------ */

static bool node_lane_was_ready(void *argument) {
    const struct node *node = argument;
    return node->lane_ready[2] > 0;
}

static bool node_has_three(void *argument) {
    const struct node *node = argument;
    return node->received == 3;
}

static void packets_of_every_lane_arrive(void **state) {
    (void)state;
    struct world world;
    struct node a;
    struct node b;
    world_open(&world);
    node_open(&a, &world, 1);
    node_open(&b, &world, 2);
    node_join(&a, &b);
    struct buf *tail = filled_buf(300000, 9);
    assert_int_equal(transport_send(a.transport, 2, TRANSPORT_SNAPSHOT, "s", 1, &tail, 1), LASH_BUSY);
    world_run_until(&world, node_lane_was_ready, &a);
    for (int lane = TRANSPORT_CONTROL; lane < TRANSPORT_LANES; lane++)
        assert_int_equal(transport_send(a.transport, 2, (enum transport_lane)lane, "x", 1, &tail, 1), LASH_OK);
    buf_unref(tail);
    struct lash_peer_metrics peer;
    assert_int_equal(transport_peers(a.transport, &peer, 1), 1);
    assert_int_equal(peer.queued_packets, 3);
    assert_true(peer.queued_bytes > 900000);
    world_run_until(&world, node_has_three, &b);
    assert_int_equal(transport_peers(a.transport, &peer, 1), 1);
    assert_int_equal(peer.packets_sent, 3);
    assert_int_equal(peer.connects, 1);
    assert_int_equal(node_counters(&a).connects, 1);
    assert_true(transport_features(a.transport, 2) == 0);
    node_close(&a);
    node_close(&b);
    world_close(&world);
}

/* ---- With a peer that has lanes ----------------------------------------------------------------- */

static void connected_is_who_can_be_sent_control_and_entries(void **state) {
    struct scene *scene = *state;
    int control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, control_is_ready, scene);
    assert_false(is_connected(scene));
    assert_int_equal(say(scene, TRANSPORT_ENTRIES, "early"), LASH_NOT_FOUND);
    hear(scene, control, "first");
    assert_int_equal(scene->node.connected[2], 0);
    int entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    assert_int_equal(scene->node.connected[2], 1);
    assert_int_equal(say(scene, TRANSPORT_ENTRIES, "now"), LASH_OK);
    hear(scene, entries, "now");
    assert_false(dials(scene)); /* the snapshot lane is not needed */
    assert_int_equal(close(control), 0);
    assert_int_equal(close(entries), 0);
}

static void a_full_lane_holds_up_no_other(void **state) {
    struct scene *scene = *state;
    int control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    int entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    /* Nobody reads the entries: sockets and the queue fill up. */
    struct buf *tail = filled_buf(8 << 20, 1);
    int error = 0;
    while (!error) {
        error = transport_send(scene->node.transport, 2, TRANSPORT_ENTRIES, "e", 1, &tail, 1);
        world_run_for(&scene->world, 1);
    }
    buf_unref(tail);
    assert_int_equal(error, LASH_BUSY);
    assert_int_equal(say(scene, TRANSPORT_CONTROL, "heartbeat"), LASH_OK);
    hear(scene, control, "heartbeat");
    assert_int_equal(say(scene, TRANSPORT_SNAPSHOT, "chunk"), LASH_BUSY);
    int snapshot = take(scene, TRANSPORT_SNAPSHOT, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, lane_was_ready, scene);
    assert_int_equal(say(scene, TRANSPORT_SNAPSHOT, "chunk"), LASH_OK);
    hear(scene, snapshot, "chunk");
    assert_int_equal(close(control), 0);
    assert_int_equal(close(entries), 0);
    assert_int_equal(close(snapshot), 0);
}

static void entries_lane_that_breaks_leaves_control_alone(void **state) {
    struct scene *scene = *state;
    int control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    int entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    assert_int_equal(close(entries), 0);
    world_run_until(&scene->world, is_disconnected, scene);
    assert_int_equal(scene->node.disconnected[2], 1);
    assert_int_equal(say(scene, TRANSPORT_ENTRIES, "lost"), LASH_NOT_FOUND);
    assert_int_equal(say(scene, TRANSPORT_CONTROL, "heartbeat"), LASH_OK);
    hear(scene, control, "heartbeat");
    entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    assert_int_equal(scene->node.connected[2], 2);
    assert_int_equal(node_counters(&scene->node).disconnects, 1);
    assert_int_equal(scene->node.lane_lost[2], 0);
    assert_int_equal(close(control), 0);
    assert_int_equal(close(entries), 0);
}

static void with_the_control_lane_all_lanes_end(void **state) {
    struct scene *scene = *state;
    int control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    int entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    assert_int_equal(say(scene, TRANSPORT_SNAPSHOT, "chunk"), LASH_BUSY);
    int snapshot = take(scene, TRANSPORT_SNAPSHOT, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, lane_was_ready, scene);
    assert_int_equal(close(control), 0);
    raw_wait_closed(&scene->world, entries);
    raw_wait_closed(&scene->world, snapshot);
    assert_false(is_connected(scene));
    assert_int_equal(scene->node.disconnected[2], 1);
    assert_int_equal(scene->node.lane_lost[2], 1);
    control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    assert_int_equal(close(control), 0);
    assert_int_equal(close(entries), 0);
}

static bool lane_was_lost(void *argument) {
    const struct scene *scene = argument;
    return scene->node.lane_lost[2] > 0;
}

static void snapshot_lane_is_dialled_only_when_needed(void **state) {
    struct scene *scene = *state;
    int control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    int entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    assert_int_equal(say(scene, TRANSPORT_SNAPSHOT, "chunk"), LASH_BUSY);
    int snapshot = take(scene, TRANSPORT_SNAPSHOT, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, lane_was_ready, scene);
    assert_int_equal(close(snapshot), 0);
    world_run_until(&scene->world, lane_was_lost, scene);
    assert_true(is_connected(scene));
    assert_false(dials(scene));
    assert_int_equal(say(scene, TRANSPORT_SNAPSHOT, "chunk"), LASH_BUSY);
    /* One that cannot be made is lost as well, and not tried again by itself. */
    scene->node.lane_lost[2] = 0;
    assert_int_equal(close(raw_accept(&scene->world, scene->listener)), 0);
    world_run_until(&scene->world, lane_was_lost, scene);
    assert_false(dials(scene));
    assert_int_equal(scene->node.disconnected[2], 0);
    assert_int_equal(close(control), 0);
    assert_int_equal(close(entries), 0);
}

/* A moved peer's lanes are dialled where it is now, control first. */
static void moved_peer_loses_all_lanes(void **state) {
    struct scene *scene = *state;
    int control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    int entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    uint16_t port;
    int there = raw_listen(&port);
    assert_int_equal(transport_add_peer(scene->node.transport, 2, "127.0.0.1", port), 0);
    assert_int_equal(scene->node.disconnected[2], 1);
    raw_wait_closed(&scene->world, control);
    raw_wait_closed(&scene->world, entries);
    assert_int_equal(close(scene->listener), 0);
    scene->listener = there;
    control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    world_run_until(&scene->world, is_connected, scene);
    transport_remove_peer(scene->node.transport, 2);
    raw_wait_closed(&scene->world, control);
    raw_wait_closed(&scene->world, entries);
    assert_int_equal(scene->node.disconnected[2], 1);
}

/* ---- With a peer that has none ------------------------------------------------------------------ */

static void peer_without_lanes_gets_everything_in_order_over_one_connection(void **state) {
    struct scene *scene = *state;
    int fd = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_PROBES);
    world_run_until(&scene->world, is_connected, scene);
    static const enum transport_lane lanes[] = {TRANSPORT_ENTRIES, TRANSPORT_CONTROL, TRANSPORT_SNAPSHOT};
    static const char *const texts[] = {"one", "two", "three"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(say(scene, lanes[i], texts[i]), LASH_OK);
    for (size_t i = 0; i < 3; i++)
        hear(scene, fd, texts[i]);
    assert_false(dials(scene));
    assert_int_equal(close(fd), 0);
    world_run_until(&scene->world, is_disconnected, scene);
    assert_int_equal(scene->node.disconnected[2], 1);
    assert_int_equal(scene->node.lane_lost[2], 0);
}

/* Its process was replaced between two connections: it took the second one for the only one. */
static void peer_that_knows_no_lanes_any_more_is_dialled_anew(void **state) {
    struct scene *scene = *state;
    int control = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    int entries = take(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_PROBES);
    raw_wait_closed(&scene->world, entries);
    raw_wait_closed(&scene->world, control);
    assert_int_equal(scene->node.connected[2], 0);
    int fd = take(scene, TRANSPORT_CONTROL, PACKET_FEATURE_PROBES);
    world_run_until(&scene->world, is_connected, scene);
    assert_int_equal(close(fd), 0);
}

/* ---- From a peer -------------------------------------------------------------------------------- */

/* A connection from peer 2 for `lane`. */
static int join(struct scene *scene, uint16_t lane, uint64_t features) {
    int fd = raw_connect(scene->node.port);
    struct packet_hello hello = raw_hello(2, 1);
    hello.lane = lane;
    hello.features = features;
    raw_write_hello(fd, &hello);
    assert_int_equal(raw_read_reply(&scene->world, fd).status, PACKET_ACCEPTED);
    return fd;
}

static void write_packet(int fd, const char *text) {
    uint8_t bytes[64];
    size_t size = raw_packet(bytes, sizeof bytes, text, (uint32_t)strlen(text), NULL, 0);
    raw_write(fd, bytes, size);
}

static bool has_received_two(void *argument) {
    const struct scene *scene = argument;
    return scene->node.received == 2;
}

static void packets_are_taken_from_every_lane_of_a_peer(void **state) {
    struct scene *scene = *state;
    int control = join(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    int entries = join(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    write_packet(entries, "e");
    write_packet(control, "c");
    world_run_until(&scene->world, has_received_two, scene);
    /* A newer one of a lane takes the place of the older; a newer control lane that of all. */
    int newer = join(scene, TRANSPORT_ENTRIES, PACKET_FEATURE_LANES);
    raw_wait_closed(&scene->world, entries);
    int fresh = join(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    raw_wait_closed(&scene->world, control);
    raw_wait_closed(&scene->world, newer);
    /* Whoever does not know lanes has something else in those bytes. */
    int old = join(scene, 77, 0);
    raw_wait_closed(&scene->world, fresh);
    assert_int_equal(close(old), 0);
}

static void unknown_lane_is_refused(void **state) {
    struct scene *scene = *state;
    int control = join(scene, TRANSPORT_CONTROL, PACKET_FEATURE_LANES);
    int fd = raw_connect(scene->node.port);
    struct packet_hello hello = raw_hello(2, 1);
    hello.lane = TRANSPORT_LANES;
    hello.features = PACKET_FEATURE_LANES;
    raw_write_hello(fd, &hello);
    raw_wait_closed(&scene->world, fd);
    assert_int_equal(node_counters(&scene->node).refused, 1);
    write_packet(control, "a");
    write_packet(control, "b");
    world_run_until(&scene->world, has_received_two, scene);
    assert_int_equal(close(control), 0);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_of_every_lane_arrive),
        SCENE_TEST(connected_is_who_can_be_sent_control_and_entries),
        SCENE_TEST(a_full_lane_holds_up_no_other),
        SCENE_TEST(entries_lane_that_breaks_leaves_control_alone),
        SCENE_TEST(with_the_control_lane_all_lanes_end),
        SCENE_TEST(snapshot_lane_is_dialled_only_when_needed),
        SCENE_TEST(moved_peer_loses_all_lanes),
        SCENE_TEST(peer_without_lanes_gets_everything_in_order_over_one_connection),
        SCENE_TEST(peer_that_knows_no_lanes_any_more_is_dialled_anew),
        SCENE_TEST(packets_are_taken_from_every_lane_of_a_peer),
        SCENE_TEST(unknown_lane_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
