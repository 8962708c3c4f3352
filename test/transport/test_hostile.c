/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad input, from diallers and from acceptors. In each test nodes 1 and 2 are
 * connected and well; whatever the stranger does, they still are at the end.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define PACKET_BYTES_MAX 100000
#define HANDSHAKE_MS 60

struct scene {
    struct world world;
    struct node a; /* what is attacked; knows peers 2 and 3 */
    struct node b; /* a good peer of it */
    uint16_t port; /* of `listener`, where a believes peer 3 to be */
    int listener;
    bool checked; /* the good peers were found connected for all of the test */
};

static int scene_open(void **state) {
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    world_open(&scene->world);
    struct transport_options options = node_options(&scene->a, &scene->world, 1);
    options.packet_bytes_max = PACKET_BYTES_MAX;
    options.handshake_ms = HANDSHAKE_MS;
    node_open_with(&scene->a, &options);
    node_open(&scene->b, &scene->world, 2);
    node_join(&scene->a, &scene->b);
    scene->listener = raw_listen(&scene->port);
    assert_int_equal(transport_add_peer(scene->a.transport, 3, "127.0.0.1", scene->port), LASH_OK);
    *state = scene;
    return 0;
}

/* The good peers exchange packets, over the connections that they had from the start. */
static void scene_check(struct scene *scene) {
    node_exchange(&scene->a, &scene->b);
    assert_int_equal(scene->a.connected[2], 1);
    assert_int_equal(scene->b.connected[1], 1);
    scene->checked = true;
}

static int scene_close(void **state) {
    struct scene *scene = *state;
    assert_true(scene->checked);
    assert_int_equal(close(scene->listener), 0);
    node_close(&scene->a);
    node_close(&scene->b);
    world_close(&scene->world);
    free(scene);
    return 0;
}

struct wait {
    struct node *node;
    uint64_t number;
};

static bool has_received_from_3(void *argument) {
    const struct wait *wait = argument;
    return wait->node->received_from[3] >= wait->number;
}

static bool has_connected_to_3(void *argument) {
    const struct wait *wait = argument;
    return wait->node->connected[3] >= wait->number;
}

static bool has_disconnected_from_3(void *argument) {
    const struct wait *wait = argument;
    return wait->node->disconnected[3] >= wait->number;
}

static bool has_refused(void *argument) {
    const struct wait *wait = argument;
    return node_counters(wait->node).refused >= wait->number;
}

/* ---- Diallers that do not shake hands ----------------------------------------------------------- */

static void garbage_is_closed_at_once(void **state) {
    struct scene *scene = *state;
    int fd = raw_connect(scene->a.port);
    raw_write(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    raw_wait_closed(&scene->world, fd);
    assert_int_equal(node_counters(&scene->a).refused, 1);
    assert_int_equal(world_log_matches(&scene->world, "did not shake hands", "not the peer protocol"), 1);
    scene_check(scene);
}

static void damaged_hello_is_closed(void **state) {
    struct scene *scene = *state;
    int fd = raw_connect(scene->a.port);
    uint8_t bytes[PACKET_HELLO_SIZE];
    const struct packet_hello hello = raw_hello(3, 1);
    packet_hello_encode(&hello, bytes);
    bytes[20] ^= 1;
    raw_write(fd, bytes, sizeof bytes);
    raw_wait_closed(&scene->world, fd);
    assert_int_equal(world_log_matches(&scene->world, "did not shake hands", "damaged handshake"), 1);
    scene_check(scene);
}

static void truncated_hello_is_closed(void **state) {
    struct scene *scene = *state;
    for (size_t size = 0; size < PACKET_HELLO_SIZE; size += 9) {
        int fd = raw_connect(scene->a.port);
        uint8_t bytes[PACKET_HELLO_SIZE];
        const struct packet_hello hello = raw_hello(3, 1);
        packet_hello_encode(&hello, bytes);
        raw_write(fd, bytes, size);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        raw_wait_closed(&scene->world, fd);
    }
    assert_int_equal(node_counters(&scene->a).refused, 8);
    scene_check(scene);
}

static void silent_and_slow_diallers_are_closed_in_time(void **state) {
    struct scene *scene = *state;
    int silent = raw_connect(scene->a.port);
    int slow = raw_connect(scene->a.port);
    raw_write(slow, "LASH", 4);
    uint64_t start_ms = uv_now(&scene->world.loop);
    raw_wait_closed(&scene->world, silent);
    raw_wait_closed(&scene->world, slow);
    assert_true(uv_now(&scene->world.loop) - start_ms >= HANDSHAKE_MS - 10);
    struct wait wait = {&scene->a, 2};
    world_run_until(&scene->world, has_refused, &wait);
    assert_int_equal(world_log_matches(&scene->world, "did not shake hands", "said nothing in time"), 1);
    scene_check(scene);
}

static void crowd_of_silent_diallers_keeps_nobody_out(void **state) {
    struct scene *scene = *state;
    int fds[400];
    for (size_t i = 0; i < 400; i++) {
        fds[i] = raw_connect(scene->a.port);
        (void)uv_run(&scene->world.loop, UV_RUN_NOWAIT);
    }
    int fd = raw_join(&scene->a, 3);
    for (size_t i = 0; i < 400; i++)
        raw_wait_closed(&scene->world, fds[i]);
    assert_int_equal(close(fd), 0);
    scene_check(scene);
}

/* Long before their time is up; node 2 would wait 5 s for each. */
static void oldest_of_a_crowd_give_way(void **state) {
    struct scene *scene = *state;
    int fds[300];
    for (size_t i = 0; i < 300; i++) {
        fds[i] = raw_connect(scene->b.port);
        (void)uv_run(&scene->world.loop, UV_RUN_NOWAIT);
    }
    struct wait wait = {&scene->b, 300 - 256};
    world_run_until(&scene->world, has_refused, &wait);
    raw_wait_closed(&scene->world, fds[0]);
    assert_int_equal(world_log_matches(&scene->world, "did not shake hands", "too many connections"), 1);
    for (size_t i = 1; i < 300; i++)
        assert_int_equal(close(fds[i]), 0);
    scene_check(scene);
}

/* ---- Handshakes that are refused ---------------------------------------------------------------- */

static void refused(struct scene *scene, const struct packet_hello *hello, uint16_t status, const char *reason) {
    for (size_t i = 0; i < 3; i++) {
        int fd = raw_connect(scene->a.port);
        raw_write_hello(fd, hello);
        const struct packet_reply reply = raw_read_reply(&scene->world, fd);
        assert_int_equal(reply.status, status);
        assert_int_equal(reply.version, 0);
        assert_int_equal(reply.node_id, 1);
        assert_int_equal(reply.cluster_id, WORLD_CLUSTER);
        assert_int_equal(reply.version_max, PACKET_VERSION_MAX);
        raw_wait_closed(&scene->world, fd);
    }
    assert_int_equal(node_counters(&scene->a).refused, 3);
    assert_int_equal(world_log_matches(&scene->world, "refused a peer's connection", reason), 1);
    assert_int_equal(world_log_matches(&scene->world, "advice=", "address=127.0.0.1:"), 1);
    scene_check(scene);
}

static void other_cluster_is_refused(void **state) {
    struct packet_hello hello = raw_hello(3, 1);
    hello.cluster_id++;
    refused(*state, &hello, PACKET_OTHER_CLUSTER, "another cluster");
}

static void other_node_meant_is_refused(void **state) {
    const struct packet_hello hello = raw_hello(3, 2);
    refused(*state, &hello, PACKET_OTHER_NODE, "another node was meant");
}

static void newer_versions_only_are_refused(void **state) {
    struct packet_hello hello = raw_hello(3, 1);
    hello.version_min = PACKET_VERSION_MAX + 1;
    hello.version_max = PACKET_VERSION_MAX + 5;
    refused(*state, &hello, PACKET_NO_COMMON_VERSION, "no protocol version in common");
}

static void unknown_peer_is_refused(void **state) {
    const struct packet_hello hello = raw_hello(6, 1);
    refused(*state, &hello, PACKET_UNKNOWN_PEER, "not a member");
}

/* A node that claims this node's own id, such as this node itself. */
static void own_id_is_refused(void **state) {
    const struct packet_hello hello = raw_hello(1, 1);
    refused(*state, &hello, PACKET_UNKNOWN_PEER, "not a member");
}

static void newer_peer_with_an_overlap_is_accepted(void **state) {
    struct scene *scene = *state;
    struct packet_hello hello = raw_hello(3, 1);
    hello.version_max = UINT16_MAX;
    hello.features = UINT64_MAX;
    int fd = raw_connect(scene->a.port);
    raw_write_hello(fd, &hello);
    const struct packet_reply reply = raw_read_reply(&scene->world, fd);
    assert_int_equal(reply.status, PACKET_ACCEPTED);
    assert_int_equal(reply.version, PACKET_VERSION_MAX);
    assert_true(reply.features == PACKET_FEATURES);
    assert_int_equal(close(fd), 0);
    scene_check(scene);
}

/* ---- Packets ------------------------------------------------------------------------------------ */

static void packets_byte_by_byte_arrive(void **state) {
    struct scene *scene = *state;
    uint8_t bytes[1024];
    int fd = raw_connect(scene->a.port);
    const struct packet_hello hello = raw_hello(3, 1);
    packet_hello_encode(&hello, bytes);
    for (size_t i = 0; i < PACKET_HELLO_SIZE; i++) {
        raw_write(fd, bytes + i, 1);
        (void)uv_run(&scene->world.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(raw_read_reply(&scene->world, fd).status, PACKET_ACCEPTED);
    scene->a.keep = true;
    for (uint64_t number = 1; number <= 3; number++) {
        size_t size = raw_packet(bytes, sizeof bytes, "head", 4, "and a tail", 10);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(scene->a.received_from[3], number - 1);
            raw_write(fd, bytes + i, 1);
            (void)uv_run(&scene->world.loop, UV_RUN_NOWAIT);
        }
        struct wait wait = {&scene->a, number};
        world_run_until(&scene->world, has_received_from_3, &wait);
        assert_memory_equal(scene->a.last.tail, "and a tail", 10);
    }
    assert_int_equal(close(fd), 0);
    scene_check(scene);
}

/* All of them, although nothing follows that would bring another read. */
static void packets_that_come_in_one_read_all_arrive(void **state) {
    struct scene *scene = *state;
    uint8_t bytes[512];
    size_t size = 0;
    for (int i = 0; i < 5; i++)
        size += raw_packet(bytes + size, sizeof bytes - size, "head", 4, "and a tail", 10);
    int fd = raw_join(&scene->a, 3);
    raw_write(fd, bytes, size);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    raw_wait_closed(&scene->world, fd);
    assert_int_equal(scene->a.received_from[3], 5);
    scene_check(scene);
}

static void bytes_that_are_no_packet_close_the_connection(struct scene *scene, const uint8_t *bytes, size_t size,
                                                          const char *reason) {
    uint64_t received = scene->a.received_from[3];
    for (uint64_t times = 1; times <= 2; times++) {
        int fd = raw_join(&scene->a, 3);
        raw_write(fd, bytes, size);
        raw_wait_closed(&scene->world, fd);
        assert_int_equal(node_counters(&scene->a).bad_packets, times);
    }
    assert_int_equal(scene->a.received_from[3], received);
    assert_int_equal(world_log_matches(&scene->world, "sent bytes that are no packet", "peer=3"), 1);
    assert_int_equal(world_log_matches(&scene->world, "sent bytes that are no packet", reason), 1);
    scene_check(scene);
}

static void wrong_magic_closes_the_connection(void **state) {
    uint8_t bytes[64];
    size_t size = raw_packet(bytes, sizeof bytes, "head", 4, "tail", 4);
    bytes[0] = 'X';
    bytes_that_are_no_packet_close_the_connection(*state, bytes, size, "damaged");
}

static void damaged_head_closes_the_connection(void **state) {
    uint8_t bytes[64];
    size_t size = raw_packet(bytes, sizeof bytes, "head", 4, "tail", 4);
    bytes[PACKET_HEADER_SIZE] ^= 1;
    bytes_that_are_no_packet_close_the_connection(*state, bytes, size, "damaged");
}

static void damaged_header_closes_the_connection(void **state) {
    uint8_t bytes[64];
    size_t size = raw_packet(bytes, sizeof bytes, "head", 4, "tail", 4);
    bytes[16] ^= 1;
    bytes_that_are_no_packet_close_the_connection(*state, bytes, size, "damaged");
}

static void oversize_packet_closes_the_connection(void **state) {
    uint8_t bytes[PACKET_HEADER_SIZE];
    packet_header_encode("", 0, (uint64_t)1 << 40, bytes);
    bytes_that_are_no_packet_close_the_connection(*state, bytes, sizeof bytes, "longer than allowed");
}

static void contents_that_the_receiver_refuses_close_the_connection(void **state) {
    struct scene *scene = *state;
    uint8_t bytes[64];
    size_t size = raw_packet(bytes, sizeof bytes, "head", 4, "tail", 4);
    int fd = raw_join(&scene->a, 3);
    scene->a.verdict = LASH_VERSION;
    raw_write(fd, bytes, size);
    raw_wait_closed(&scene->world, fd);
    assert_int_equal(scene->a.received_from[3], 1);
    assert_int_equal(node_counters(&scene->a).bad_packets, 1);
    assert_int_equal(world_log_matches(&scene->world, "sent bytes that are no packet", "of an unknown version"), 1);
    scene->a.verdict = LASH_OK;
    scene_check(scene);
}

static void truncated_packet_then_close_is_dropped(void **state) {
    struct scene *scene = *state;
    uint8_t bytes[64];
    size_t size = raw_packet(bytes, sizeof bytes, "head", 4, "tail", 4);
    for (size_t cut = 1; cut < size; cut += 6) {
        int fd = raw_join(&scene->a, 3);
        raw_write(fd, bytes, cut);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        raw_wait_closed(&scene->world, fd);
    }
    assert_int_equal(scene->a.received_from[3], 0);
    assert_int_equal(node_counters(&scene->a).bad_packets, 0);
    scene_check(scene);
}

static void second_connection_replaces_the_first(void **state) {
    struct scene *scene = *state;
    uint8_t bytes[64];
    size_t size = raw_packet(bytes, sizeof bytes, "head", 4, "tail", 4);
    int first = raw_join(&scene->a, 3);
    raw_write(first, bytes, size / 2);
    int second = raw_join(&scene->a, 3);
    raw_wait_closed(&scene->world, first);
    raw_write(second, bytes, size);
    struct wait wait = {&scene->a, 1};
    world_run_until(&scene->world, has_received_from_3, &wait);
    assert_int_equal(close(second), 0);
    scene_check(scene);
}

/* ---- Acceptors ---------------------------------------------------------------------------------- */

static void acceptor_that_says_nothing_is_given_up_and_tried_again(void **state) {
    struct scene *scene = *state;
    for (size_t i = 0; i < 2; i++) {
        int fd = raw_accept(&scene->world, scene->listener);
        const struct packet_hello hello = raw_read_hello(&scene->world, fd);
        assert_int_equal(hello.from, 1);
        assert_int_equal(hello.to, 3);
        assert_int_equal(hello.cluster_id, WORLD_CLUSTER);
        raw_wait_closed(&scene->world, fd);
    }
    assert_int_equal(world_log_matches(&scene->world, "cannot connect to a peer", "in time"), 1);
    scene_check(scene);
}

static void acceptor_that_closes_or_answers_garbage_is_tried_again(void **state) {
    struct scene *scene = *state;
    int fd = raw_accept(&scene->world, scene->listener);
    assert_int_equal(close(fd), 0);
    uint8_t garbage[PACKET_REPLY_SIZE];
    memset(garbage, 0x5a, sizeof garbage);
    fd = raw_accept(&scene->world, scene->listener);
    raw_write(fd, garbage, sizeof garbage);
    raw_wait_closed(&scene->world, fd);
    fd = raw_accept(&scene->world, scene->listener);
    raw_write_reply(fd, 4, PACKET_ACCEPTED);
    raw_wait_closed(&scene->world, fd);
    assert_int_equal(scene->a.connected[3], 0);
    assert_int_equal(scene->a.disconnected[3], 0);
    scene_check(scene);
}

static void refusal_for_an_unknown_reason_is_told(void **state) {
    struct scene *scene = *state;
    int fd = raw_accept(&scene->world, scene->listener);
    raw_write_reply(fd, 3, 999);
    raw_wait_closed(&scene->world, fd);
    assert_int_equal(node_counters(&scene->a).refused, 1);
    assert_int_equal(world_log_matches(&scene->world, "a peer refused our connection", "does not know"), 1);
    scene_check(scene);
}

static int accept_well(struct scene *scene, uint64_t times) {
    int fd = raw_accept(&scene->world, scene->listener);
    (void)raw_read_hello(&scene->world, fd);
    raw_write_reply(fd, 3, PACKET_ACCEPTED);
    struct wait wait = {&scene->a, times};
    world_run_until(&scene->world, has_connected_to_3, &wait);
    return fd;
}

static void byte_after_the_reply_breaks_the_connection(void **state) {
    struct scene *scene = *state;
    int fd = accept_well(scene, 1);
    raw_write(fd, "x", 1);
    struct wait wait = {&scene->a, 1};
    world_run_until(&scene->world, has_disconnected_from_3, &wait);
    raw_wait_closed(&scene->world, fd);
    assert_int_equal(world_log_matches(&scene->world, "lost the connection", "where none may come"), 1);
    fd = accept_well(scene, 2);
    assert_int_equal(close(fd), 0);
    scene_check(scene);
}

static void end_of_an_idle_connection_is_noticed(void **state) {
    struct scene *scene = *state;
    int fd = accept_well(scene, 1);
    assert_int_equal(close(fd), 0);
    struct wait wait = {&scene->a, 1};
    world_run_until(&scene->world, has_disconnected_from_3, &wait);
    assert_int_equal(node_send_number(&scene->a, 3, 0, 0), LASH_NOT_FOUND);
    scene_check(scene);
}

static void reset_of_an_idle_connection_is_noticed(void **state) {
    struct scene *scene = *state;
    int fd = accept_well(scene, 1);
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    assert_int_equal(close(fd), 0);
    struct wait wait = {&scene->a, 1};
    world_run_until(&scene->world, has_disconnected_from_3, &wait);
    scene_check(scene);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENE_TEST(garbage_is_closed_at_once),
        SCENE_TEST(damaged_hello_is_closed),
        SCENE_TEST(truncated_hello_is_closed),
        SCENE_TEST(silent_and_slow_diallers_are_closed_in_time),
        SCENE_TEST(crowd_of_silent_diallers_keeps_nobody_out),
        SCENE_TEST(oldest_of_a_crowd_give_way),
        SCENE_TEST(other_cluster_is_refused),
        SCENE_TEST(other_node_meant_is_refused),
        SCENE_TEST(newer_versions_only_are_refused),
        SCENE_TEST(unknown_peer_is_refused),
        SCENE_TEST(own_id_is_refused),
        SCENE_TEST(newer_peer_with_an_overlap_is_accepted),
        SCENE_TEST(packets_byte_by_byte_arrive),
        SCENE_TEST(packets_that_come_in_one_read_all_arrive),
        SCENE_TEST(wrong_magic_closes_the_connection),
        SCENE_TEST(damaged_head_closes_the_connection),
        SCENE_TEST(damaged_header_closes_the_connection),
        SCENE_TEST(oversize_packet_closes_the_connection),
        SCENE_TEST(contents_that_the_receiver_refuses_close_the_connection),
        SCENE_TEST(truncated_packet_then_close_is_dropped),
        SCENE_TEST(second_connection_replaces_the_first),
        SCENE_TEST(acceptor_that_says_nothing_is_given_up_and_tried_again),
        SCENE_TEST(acceptor_that_closes_or_answers_garbage_is_tried_again),
        SCENE_TEST(refusal_for_an_unknown_reason_is_told),
        SCENE_TEST(byte_after_the_reply_breaks_the_connection),
        SCENE_TEST(end_of_an_idle_connection_is_noticed),
        SCENE_TEST(reset_of_an_idle_connection_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
