/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips, and what the transport counts of each peer.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/metric.h"

/* A node that probes often; who else there is, the test says. */
struct scene {
    struct world world;
    struct node prober;
    struct node others[2];
};

static int scene_open(void **state) {
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    world_open(&scene->world);
    struct transport_options options = node_options(&scene->prober, &scene->world, 1);
    options.probe_ms = 2;
    node_open_with(&scene->prober, &options);
    *state = scene;
    return 0;
}

static int scene_close(void **state) {
    struct scene *scene = *state;
    for (size_t i = 0; i < 2; i++)
        if (scene->others[i].transport && !scene->others[i].closed)
            node_close(&scene->others[i]);
    if (!scene->prober.closed)
        node_close(&scene->prober);
    world_close(&scene->world);
    free(scene);
    return 0;
}

/* What `node` knows of its only peer. */
static struct lash_peer_metrics peer_of(const struct node *node) {
    struct lash_peer_metrics peers[2];
    assert_int_equal(transport_peers(node->transport, peers, 2), 1);
    return peers[0];
}

static bool has_three_round_trips(void *argument) {
    const struct lash_peer_metrics peer = peer_of(argument);
    return metric_total(&peer.round_trip) >= 3;
}

static void round_trips_are_measured_by_the_one_that_probes(void **state) {
    struct scene *scene = *state;
    struct node *other = &scene->others[0];
    node_open(other, &scene->world, 2);
    node_join(&scene->prober, other);
    world_run_until(&scene->world, has_three_round_trips, &scene->prober);
    struct lash_peer_metrics peer = peer_of(&scene->prober);
    assert_int_equal(peer.id, 2);
    assert_true(peer.connected);
    assert_int_equal(peer.connects, 1);
    assert_int_equal(peer.disconnects, 0);
    assert_true(peer.round_trip_ns > 0);
    assert_true(peer.round_trip.sum_ns >= peer.round_trip_ns);
    assert_int_equal(peer.round_trip.bound_ns, 100000);
    assert_int_equal(peer.round_trip.bucket_count, 16);
    struct lash_peer_metrics back = peer_of(other);
    assert_int_equal(metric_total(&back.round_trip), 0);
    assert_int_equal(back.round_trip_ns, 0);
    assert_int_equal(scene->prober.received + other->received, 0); /* probes are nobody else's business */
}

static bool has_sent_all(void *argument) {
    const struct lash_peer_metrics peer = peer_of(argument);
    return peer.queued_packets == 0;
}

static void traffic_is_counted_for_each_peer(void **state) {
    struct scene *scene = *state;
    struct node *a = &scene->others[0];
    struct node *b = &scene->others[1];
    node_open(a, &scene->world, 3);
    node_open(b, &scene->world, 4);
    node_meet(a, b);
    assert_int_equal(node_send_number(a, 4, 0, 100), LASH_NOT_FOUND);
    assert_int_equal(peer_of(a).send_failures, 1);
    node_join(a, b);
    assert_int_equal(node_send_number(a, 4, 0, 100), 0);
    assert_int_equal(peer_of(a).queued_packets, 1);
    const struct packet_header header = {.head_size = 8, .tail_size = 100};
    assert_int_equal(peer_of(a).queued_bytes, packet_size(&header));
    world_run_until(&scene->world, has_sent_all, a);
    node_exchange(a, b);
    struct lash_peer_metrics there = peer_of(a);
    struct lash_peer_metrics here = peer_of(b);
    assert_int_equal(there.packets_sent, here.packets_received);
    assert_int_equal(there.bytes_sent, here.bytes_received);
    assert_int_equal(here.packets_sent, there.packets_received);
    assert_int_equal(here.bytes_sent, there.bytes_received);
    assert_true(there.bytes_sent > packet_size(&header));
}

/* ---- Peers by hand ------------------------------------------------------------------------------ */

/* Be the peer 2 that the prober dials, with these features; returns the connection. */
static int be_dialled(struct scene *scene, uint64_t features) {
    uint16_t port;
    int listener = raw_listen(&port);
    assert_int_equal(transport_add_peer(scene->prober.transport, 2, "127.0.0.1", port), 0);
    int fd = raw_accept(&scene->world, listener);
    assert_int_equal(close(listener), 0);
    struct packet_hello hello = raw_read_hello(&scene->world, fd);
    assert_true(hello.features & PACKET_FEATURE_PROBES);
    raw_write_reply_with(fd, 2, PACKET_ACCEPTED, features);
    return fd;
}

static void write_probe(int fd, enum packet_kind kind, uint64_t number) {
    uint8_t bytes[PACKET_HEADER_SIZE + PACKET_PROBE_SIZE];
    le64_put(bytes + PACKET_HEADER_SIZE, number);
    packet_header_encode_kind(kind, bytes + PACKET_HEADER_SIZE, PACKET_PROBE_SIZE, 0, bytes);
    raw_write(fd, bytes, sizeof bytes);
}

/* The number of the probe, or of the answer to one, that comes next. */
static uint64_t read_probe(struct scene *scene, int fd, enum packet_kind kind) {
    uint8_t bytes[PACKET_HEADER_SIZE + PACKET_PROBE_SIZE];
    struct packet_header header;
    raw_read(&scene->world, fd, bytes, sizeof bytes);
    assert_int_equal(packet_header_decode(bytes, sizeof bytes, 1 << 20, &header), LASH_OK);
    assert_int_equal(header.kind, kind);
    return le64_get(bytes + PACKET_HEADER_SIZE);
}

static bool has_a_round_trip(void *argument) {
    return peer_of(argument).round_trip_ns > 0;
}

static void only_the_answer_to_the_latest_probe_counts(void **state) {
    struct scene *scene = *state;
    int fd = be_dialled(scene, PACKET_FEATURE_PROBES);
    uint64_t number = read_probe(scene, fd, PACKET_PROBE);
    int back = raw_join(&scene->prober, 2);
    write_probe(back, PACKET_PROBE_REPLY, number + 1);
    write_probe(back, PACKET_PROBE_REPLY, 0);
    write_probe(back, PACKET_PROBE, 77); /* answered after the two before it were looked at */
    assert_int_equal(read_probe(scene, fd, PACKET_PROBE_REPLY), 77);
    assert_int_equal(peer_of(&scene->prober).round_trip_ns, 0);
    write_probe(back, PACKET_PROBE_REPLY, number);
    write_probe(back, PACKET_PROBE_REPLY, number);
    world_run_until(&scene->world, has_a_round_trip, &scene->prober);
    assert_true(read_probe(scene, fd, PACKET_PROBE) != number); /* the next one comes only now */
    struct lash_peer_metrics peer = peer_of(&scene->prober);
    assert_int_equal(metric_total(&peer.round_trip), 1);
    assert_int_equal(close(back), 0);
    assert_int_equal(close(fd), 0);
}

/* The answer is lost when the peer's own connection breaks, or is not there yet; the one that was probed over stands. */
static void a_probe_whose_answer_is_lost_is_followed_by_another(void **state) {
    struct scene *scene = *state;
    node_close(&scene->prober);
    struct transport_options options = node_options(&scene->prober, &scene->world, 1);
    options.probe_ms = 2;
    options.stall_ms = 50;
    node_open_with(&scene->prober, &options);
    int fd = be_dialled(scene, PACKET_FEATURE_PROBES);
    uint64_t lost = read_probe(scene, fd, PACKET_PROBE);
    int back = raw_join(&scene->prober, 2);
    do { /* an answer that this process was too slow to give is lost as well */
        uint64_t number = read_probe(scene, fd, PACKET_PROBE);
        assert_true(number != lost);
        write_probe(back, PACKET_PROBE_REPLY, lost); /* too late */
        write_probe(back, PACKET_PROBE_REPLY, number);
        world_run_for(&scene->world, 1);
    } while (!has_a_round_trip(&scene->prober));
    assert_int_equal(close(back), 0);
    assert_int_equal(close(fd), 0);
}

static void peers_that_do_not_answer_probes_get_none(void **state) {
    struct scene *scene = *state;
    int fd = be_dialled(scene, ~PACKET_FEATURES);
    world_run_for(&scene->world, 20); /* ten times as long as a probe waits */
    assert_true(peer_of(&scene->prober).connected);
    assert_int_equal(peer_of(&scene->prober).bytes_sent, 0);
    assert_int_equal(close(fd), 0);
}

static void probes_of_another_size_or_kind_are_no_packets(void **state) {
    static const struct {
        uint32_t kind;
        uint32_t head_size;
        uint64_t tail_size;
    } cases[] = {{PACKET_PROBE, 0, 0},       {PACKET_PROBE, 16, 0},       {PACKET_PROBE, 8, 1},
                 {PACKET_PROBE_REPLY, 0, 0}, {PACKET_PROBE_REPLY, 8, 99}, {PACKET_PROBE_REPLY + 1, 8, 0},
                 {UINT32_MAX, 8, 0}};
    static const uint8_t head[16];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[PACKET_HEADER_SIZE];
        struct packet_header header;
        packet_header_encode_kind((enum packet_kind)cases[i].kind, head, cases[i].head_size, cases[i].tail_size, bytes);
        assert_int_equal(packet_header_decode(bytes, sizeof bytes, 1 << 20, &header), LASH_CORRUPT);
    }
}

#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENARIO(round_trips_are_measured_by_the_one_that_probes),
        SCENARIO(traffic_is_counted_for_each_peer),
        SCENARIO(only_the_answer_to_the_latest_probe_counts),
        SCENARIO(a_probe_whose_answer_is_lost_is_followed_by_another),
        SCENARIO(peers_that_do_not_answer_probes_get_none),
        cmocka_unit_test(probes_of_another_size_or_kind_are_no_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
