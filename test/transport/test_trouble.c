/* SPDX-License-Identifier: Apache-2.0
 *
 * Trouble that is nobody's fault: peers that stall, no memory, no descriptors.
 */
#include "world.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/notice.h"

#define STALL_MS 150

struct wait {
    struct node *node;
    uint64_t number;
};

static bool is_connected_to_3(void *argument) {
    return transport_is_connected(((struct node *)argument)->transport, 3);
}

static bool has_disconnected_from_3(void *argument) {
    return ((struct node *)argument)->disconnected[3] > 0;
}

static bool has_received(void *argument) {
    const struct wait *wait = argument;
    return wait->node->received >= wait->number;
}

/* Let the kernel wait for ever at the node's end of the connection to `fd`: Linux would end a stall by itself, and then
 * this test would not see whether the transport does. */
static void leave_stalls_to_the_transport(int fd) {
    struct sockaddr_in ours = {0};
    socklen_t size = sizeof ours;
    assert_int_equal(getpeername(fd, (struct sockaddr *)&ours, &size), 0);
    bool found = false;
    for (int other = 0; other < 256; other++) {
        struct sockaddr_in theirs = {0};
        size = sizeof theirs;
        if (getsockname(other, (struct sockaddr *)&theirs, &size) != 0 || theirs.sin_port != ours.sin_port)
            continue;
        const unsigned never = 0;
        assert_int_equal(setsockopt(other, IPPROTO_TCP, TCP_USER_TIMEOUT, &never, sizeof never), 0);
        found = true;
    }
    assert_true(found);
}

/* Peer 3 shakes hands and then reads nothing. Peer 2 gets every packet meanwhile, and in the end 3 is given up. */
static void stalled_peer_does_not_hinder_another_and_is_given_up(void **state) {
    (void)state;
    struct world world;
    struct node a;
    struct node b;
    world_open(&world);
    struct transport_options options = node_options(&a, &world, 1);
    options.stall_ms = STALL_MS;
    options.queue_bytes_max = (uint64_t)8 << 20;
    node_open_with(&a, &options);
    node_open(&b, &world, 2);
    b.on_received = node_check_number;
    node_join(&a, &b);
    uint16_t port = 0;
    int listener = raw_listen(&port);
    assert_int_equal(transport_add_peer(a.transport, 3, "127.0.0.1", port), LASH_OK);
    int stalled = raw_accept(&world, listener);
    (void)raw_read_hello(&world, stalled);
    raw_write_reply(stalled, 3, PACKET_ACCEPTED);
    world_run_until(&world, is_connected_to_3, &a);
    leave_stalls_to_the_transport(stalled);
    uint64_t number = 0;
    struct wait wait = {&b, 0};
    while (!has_disconnected_from_3(&a)) {
        int error = LASH_OK;
        while (error == LASH_OK) /* its queue is full at all times */
            error = node_send_number(&a, 3, number, 500000);
        assert_int_equal(error, LASH_BUSY);
        assert_int_equal(node_send_number(&a, 2, number++, 1000), LASH_OK);
        wait.number = number;
        world_run_until(&world, has_received, &wait);
    }
    assert_int_equal(a.disconnected[2], 0);
    assert_int_equal(world_log_matches(&world, "lost the connection to a peer", "takes no data"), 1);
    assert_int_equal(close(stalled), 0);
    assert_int_equal(close(listener), 0);
    node_close(&a);
    node_close(&b);
    world_close(&world);
}

/* The other side of it: a peer that takes something now and then is not given up, however long all of it takes. */
static void slow_peer_is_not_given_up(void **state) {
    (void)state;
    struct world world;
    struct node a;
    world_open(&world);
    struct transport_options options = node_options(&a, &world, 1);
    options.stall_ms = 1000;
    node_open_with(&a, &options);
    uint16_t port = 0;
    int listener = raw_listen(&port);
    assert_int_equal(transport_add_peer(a.transport, 3, "127.0.0.1", port), LASH_OK);
    int slow = raw_accept(&world, listener);
    (void)raw_read_hello(&world, slow);
    raw_write_reply(slow, 3, PACKET_ACCEPTED);
    world_run_until(&world, is_connected_to_3, &a);
    const size_t size = (size_t)40 << 20;
    uint8_t *bytes = malloc(size + 40);
    assert_non_null(bytes);
    assert_int_equal(node_send_number(&a, 3, 0, size), LASH_OK);
    for (size_t part = 0; part < 20; part++) {
        world_run_for(&world, 100);
        raw_read(&world, slow, bytes + part * (size / 20), size / 20);
    }
    raw_read(&world, slow, bytes + size, 40);
    struct buf *tail = filled_buf(size, 0);
    assert_memory_equal(bytes + 40, tail->data, size);
    buf_unref(tail);
    free(bytes);
    assert_int_equal(a.disconnected[3], 0);
    assert_int_equal(close(slow), 0);
    assert_int_equal(close(listener), 0);
    node_close(&a);
    world_close(&world);
}

/* ---- Dialling ----------------------------------------------------------------------------------- */

/* A node whose back-off may become long, and a raw listener that it takes for its peer 3. */
struct dialler {
    struct world world;
    struct node node;
    int listener;
    uint16_t port;
};

static int dialler_open(void **state) {
    struct dialler *dialler = calloc(1, sizeof *dialler);
    assert_non_null(dialler);
    world_open(&dialler->world);
    struct transport_options options = node_options(&dialler->node, &dialler->world, 1);
    options.reconnect_ms_min = 1;
    options.reconnect_ms_max = 20000;
    node_open_with(&dialler->node, &options);
    dialler->listener = raw_listen(&dialler->port);
    *state = dialler;
    return 0;
}

static int dialler_close(void **state) {
    struct dialler *dialler = *state;
    assert_int_equal(close(dialler->listener), 0);
    node_close(&dialler->node);
    world_close(&dialler->world);
    free(dialler);
    return 0;
}

static void dialler_meets_its_listener(struct dialler *dialler) {
    assert_int_equal(transport_add_peer(dialler->node.transport, 3, "127.0.0.1", dialler->port), LASH_OK);
}

static bool has_been_refused(void *argument) {
    return node_counters(argument).refused > 0;
}

static void refused_dialler_waits_long_at_once(void **state) {
    struct dialler *dialler = *state;
    dialler_meets_its_listener(dialler);
    int fd = raw_accept(&dialler->world, dialler->listener);
    raw_write_reply(fd, 3, PACKET_UNKNOWN_PEER);
    world_run_until(&dialler->world, has_been_refused, &dialler->node);
    assert_int_equal(close(fd), 0);
    world_run_for(&dialler->world, 200);
    assert_true(accept(dialler->listener, NULL, NULL) < 0);
}

/* Shaking hands is no reason to start the back-off anew: it doubles from 1 ms, so that 300 ms see about ten tries. */
static void peer_that_breaks_off_after_the_handshake_is_dialled_ever_slower(void **state) {
    struct dialler *dialler = *state;
    dialler_meets_its_listener(dialler);
    uint64_t end_ms = uv_now(&dialler->world.loop) + 300;
    while (uv_now(&dialler->world.loop) < end_ms) {
        int fd = accept(dialler->listener, NULL, NULL);
        if (fd >= 0) {
            raw_write_reply(fd, 3, PACKET_ACCEPTED);
            (void)raw_read_hello(&dialler->world, fd);
            assert_int_equal(close(fd), 0);
        }
        (void)uv_run(&dialler->world.loop, UV_RUN_ONCE);
    }
    assert_true(dialler->node.connected[3] > 0);
    assert_true(dialler->node.connected[3] <= 14);
}

static bool has_given_up_connecting(void *argument) {
    return world_log_matches(argument, "cannot connect to a peer", "timed out") > 0;
}

/* A full backlog drops what comes: a connection attempt then neither succeeds nor fails. */
static void connecting_that_hangs_is_given_up(void **state) {
    struct dialler *dialler = *state;
    assert_int_equal(listen(dialler->listener, 0), 0);
    int waiting = raw_connect(dialler->port);
    uint64_t start_ms = uv_now(&dialler->world.loop);
    dialler_meets_its_listener(dialler);
    world_run_until(&dialler->world, has_given_up_connecting, &dialler->world);
    assert_true(uv_now(&dialler->world.loop) - start_ms >= 2000);
    assert_int_equal(close(waiting), 0);
}

/* ---- Memory ------------------------------------------------------------------------------------- */

static bool open_or_no_memory(struct node *node, const struct transport_options *options) {
    int error = transport_open(options, &node->transport);
    if (error)
        assert_int_equal(error, LASH_NOMEM);
    else
        node->port = transport_port(node->transport);
    return error == 0;
}

static bool meet_or_no_memory(struct node *node, const struct node *peer) {
    int error = transport_add_peer(node->transport, peer->id, "127.0.0.1", peer->port);
    assert_true(error == LASH_OK || error == LASH_NOMEM);
    return error == LASH_OK;
}

struct delivery {
    struct node *from;
    struct node *to;
    struct buf *tail; /* made beforehand: the test's own allocations are not to fail */
    bool sent;        /* on the present connection */
};

/* Sends what the connection lost again, as the protocol above does. */
static bool has_delivered(void *argument) {
    struct delivery *delivery = argument;
    if (delivery->to->received > 0)
        return true;
    uint64_t peer = delivery->to->id;
    if (!transport_is_connected(delivery->from->transport, peer)) {
        delivery->sent = false;
    } else if (!delivery->sent) {
        int error = transport_send(delivery->from->transport, peer, TRANSPORT_CONTROL, "head", 4, &delivery->tail, 1);
        assert_true(error == LASH_OK || error == LASH_NOMEM);
        delivery->sent = error == LASH_OK;
    }
    return false;
}

static void check_tail(struct node *node, const struct transport_packet *packet) {
    const struct buf *tail = node->argument;
    assert_int_equal(packet->tail_size, tail->size);
    assert_memory_equal(packet->tail, tail->data, tail->size);
}

/* Whether the allocation that was to fail, at most the n-th from now, has not come yet. */
static bool failure_is_still_to_come(uint64_t n) {
    bool failed = false;
    for (uint64_t i = 0; i < n && !failed; i++) {
        void *memory = mem_alloc(1);
        failed = !memory;
        mem_free(memory);
    }
    mem_fail_after(0);
    return failed;
}

/* Returns whether the run had as many as n allocations. */
static bool survives_failure_of_allocation(uint64_t n) {
    struct world world;
    struct node a;
    struct node b;
    world_open(&world);
    struct buf *tail = filled_buf(200000, 1);
    const struct transport_options a_options = node_options(&a, &world, 1);
    const struct transport_options b_options = node_options(&b, &world, 2);
    a.on_received = b.on_received = check_tail;
    a.argument = b.argument = tail;
    mem_fail_after(n);
    while (!open_or_no_memory(&a, &a_options))
        ;
    while (!open_or_no_memory(&b, &b_options))
        ;
    while (!meet_or_no_memory(&a, &b))
        ;
    while (!meet_or_no_memory(&b, &a))
        ;
    struct delivery there = {&a, &b, tail, false};
    world_run_until(&world, has_delivered, &there);
    struct delivery back = {&b, &a, tail, false};
    world_run_until(&world, has_delivered, &back);
    bool had_n = !failure_is_still_to_come(n);
    /* The failure may have come last of all, and its connection be breaking now: deliver once more. */
    b.received = 0;
    there.sent = false;
    world_run_until(&world, has_delivered, &there);
    assert_true(transport_is_connected(a.transport, 2));
    node_close(&a);
    node_close(&b);
    assert_int_equal(tail->references, 1);
    buf_unref(tail);
    world_close(&world);
    return had_n;
}

static void every_allocation_failed_in_turn(void **state) {
    (void)state;
    uint64_t n = 1;
    while (survives_failure_of_allocation(n))
        n++;
    print_message("%llu allocations\n", (unsigned long long)n - 1);
    assert_true(n > 10);
}

static void sending_without_memory_queues_nothing(void **state) {
    (void)state;
    struct world world;
    struct node a;
    struct node b;
    world_open(&world);
    node_open(&a, &world, 1);
    node_open(&b, &world, 2);
    node_join(&a, &b);
    struct buf *tail = filled_buf(100, 1);
    mem_fail_after(1);
    assert_int_equal(transport_send(a.transport, 2, TRANSPORT_CONTROL, "h", 1, &tail, 1), LASH_NOMEM);
    assert_int_equal(tail->references, 1);
    buf_unref(tail);
    node_exchange(&a, &b);
    assert_int_equal(node_counters(&a).packets_sent, 1);
    node_close(&a);
    node_close(&b);
    world_close(&world);
}

/* ---- Descriptors -------------------------------------------------------------------------------- */

static bool has_logged_accepting(void *argument) {
    return world_log_matches(argument, "cannot accept connections", "oo many open files") > 0;
}

/* The limit is put below what is open already: not even libuv's spare descriptor helps. */
static void no_descriptors_to_accept_is_survived(void **state) {
    (void)state;
    struct world world;
    struct node a;
    struct node b;
    world_open(&world);
    node_open(&a, &world, 1);
    node_open(&b, &world, 2);
    node_join(&a, &b);
    int waiting = raw_connect(a.port);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    world_run_until(&world, has_logged_accepting, &world);
    node_exchange(&a, &b);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    raw_wait_closed(&world, waiting);
    assert_int_equal(a.connected[2], 1);
    struct node c;
    node_open(&c, &world, 3);
    node_join(&c, &a);
    node_exchange(&c, &a);
    node_close(&a);
    node_close(&b);
    node_close(&c);
    world_close(&world);
}

/* ---- Log lines ---------------------------------------------------------------------------------- */

static void same_trouble_is_due_again_only_after_a_while(void **state) {
    (void)state;
    struct notices notices = {0};
    assert_true(notice_due(&notices, NOTICE_BROKEN, 1, 1000));
    assert_false(notice_due(&notices, NOTICE_BROKEN, 1, 1000));
    assert_true(notice_due(&notices, NOTICE_BROKEN, 2, 1000));
    assert_true(notice_due(&notices, NOTICE_BAD_PACKET, 1, 1000));
    assert_false(notice_due(&notices, NOTICE_BROKEN, 1, 1000 + NOTICE_INTERVAL_MS - 1));
    assert_true(notice_due(&notices, NOTICE_BROKEN, 1, 1000 + NOTICE_INTERVAL_MS));
}

static void made_up_peers_do_not_flood_the_log(void **state) {
    (void)state;
    struct notices notices = {0};
    uint64_t due = 0;
    for (uint64_t peer = 1; peer <= 10000; peer++)
        due += notice_due(&notices, NOTICE_REFUSED, peer, 1000 + peer / 10);
    assert_int_equal(due, NOTICE_SLOTS);
    assert_true(notice_due(&notices, NOTICE_REFUSED, 1, 100000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stalled_peer_does_not_hinder_another_and_is_given_up),
        cmocka_unit_test(slow_peer_is_not_given_up),
        cmocka_unit_test_setup_teardown(refused_dialler_waits_long_at_once, dialler_open, dialler_close),
        cmocka_unit_test_setup_teardown(peer_that_breaks_off_after_the_handshake_is_dialled_ever_slower, dialler_open,
                                        dialler_close),
        cmocka_unit_test_setup_teardown(connecting_that_hangs_is_given_up, dialler_open, dialler_close),
        cmocka_unit_test(every_allocation_failed_in_turn),
        cmocka_unit_test(sending_without_memory_queues_nothing),
        cmocka_unit_test(no_descriptors_to_accept_is_survived),
        cmocka_unit_test(same_trouble_is_due_again_only_after_a_while),
        cmocka_unit_test(made_up_peers_do_not_flood_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
