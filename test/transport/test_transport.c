/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes that are well: they find each other, exchange packets, lose each other
 * and find each other again.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* Two nodes that know each other's address. */
struct pair {
    struct world world;
    struct node a;
    struct node b;
};

static int pair_open(void **state) {
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    world_open(&pair->world);
    node_open(&pair->a, &pair->world, 1);
    node_open(&pair->b, &pair->world, 2);
    *state = pair;
    return 0;
}

static int pair_close(void **state) {
    struct pair *pair = *state;
    if (!pair->a.closed)
        node_close(&pair->a);
    if (!pair->b.closed)
        node_close(&pair->b);
    world_close(&pair->world);
    free(pair);
    return 0;
}

/* Conditions. */
struct wait {
    struct node *node;
    uint64_t number;
};

static bool has_received(void *argument) {
    const struct wait *wait = argument;
    return wait->node->received >= wait->number;
}

static bool has_disconnected(void *argument) {
    const struct wait *wait = argument;
    return wait->node->disconnected[wait->number] > 0;
}

static bool has_connected(void *argument) {
    const struct wait *wait = argument;
    return wait->node->connected[wait->number] > 0;
}

static bool has_gone_down(void *argument) {
    const struct wait *wait = argument;
    return wait->node->down[wait->number] > 0;
}

static bool has_reconnected(void *argument) {
    const struct wait *wait = argument;
    return wait->node->connected[wait->number] > 1;
}

static bool has_refusals(void *argument) {
    const struct wait *wait = argument;
    return node_counters(wait->node).refused >= wait->number;
}

static void two_nodes_exchange_packets(void **state) {
    struct pair *pair = *state;
    pair->b.keep = true;
    node_join(&pair->a, &pair->b);
    struct buf *tails[2] = {filled_buf(13, 1), filled_buf(1000, 2)};
    assert_int_equal(transport_send(pair->a.transport, 2, TRANSPORT_CONTROL, "a head", 6, tails, 2), LASH_OK);
    struct wait wait = {&pair->b, 1};
    world_run_until(&pair->world, has_received, &wait);
    const struct transport_packet *packet = &pair->b.last;
    assert_int_equal(packet->from, 1);
    assert_int_equal(packet->head_size, 6);
    assert_memory_equal(packet->head, "a head", 6);
    assert_int_equal(packet->tail_size, 1013);
    assert_memory_equal(packet->tail, tails[0]->data, 13);
    assert_memory_equal(packet->tail + 13, tails[1]->data, 1000);
    /* Sent: the sender let go of them. */
    assert_int_equal(tails[0]->references, 1);
    assert_int_equal(tails[1]->references, 1);
    buf_unref(tails[0]);
    buf_unref(tails[1]);
    node_exchange(&pair->a, &pair->b);
    assert_int_equal(pair->a.connected[2], 1);
    assert_int_equal(pair->b.connected[1], 1);
    const struct transport_counters sent = node_counters(&pair->a);
    const struct transport_counters received = node_counters(&pair->b);
    assert_int_equal(sent.packets_sent, 2);
    assert_int_equal(received.packets_received, 2);
    assert_int_equal(sent.bytes_sent, (32 + 8 + 1016) + (32 + 8));
    assert_int_equal(received.bytes_received, sent.bytes_sent);
    assert_int_equal(sent.connects, 1);
    assert_int_equal(sent.disconnects + sent.refused + received.bad_packets, 0);
}

static void an_empty_packet_arrives(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    struct buf *empty = filled_buf(0, 0);
    assert_int_equal(transport_send(pair->a.transport, 2, TRANSPORT_CONTROL, NULL, 0, NULL, 0), LASH_OK);
    assert_int_equal(transport_send(pair->a.transport, 2, TRANSPORT_CONTROL, NULL, 0, &empty, 1), LASH_OK);
    buf_unref(empty);
    struct wait wait = {&pair->b, 2};
    world_run_until(&pair->world, has_received, &wait);
    assert_int_equal(pair->b.last.head_size, 0);
    assert_int_equal(pair->b.last.tail_size, 0);
}

static void a_packet_of_20_mb_arrives_in_a_buffer_of_its_own(void **state) {
    struct pair *pair = *state;
    pair->b.keep = true;
    pair->b.on_received = node_check_number;
    node_join(&pair->a, &pair->b);
    const size_t size = (size_t)20 << 20;
    assert_int_equal(node_send_number(&pair->a, 2, 0, size), LASH_OK);
    struct wait wait = {&pair->b, 1};
    world_run_until(&pair->world, has_received, &wait);
    assert_int_equal(pair->b.last.tail_size, size);
    assert_int_equal(pair->b.kept->size, 32 + 8 + size);
    assert_int_equal(node_send_number(&pair->a, 2, 1, 100), LASH_OK);
    wait.number = 2;
    world_run_until(&pair->world, has_received, &wait);
}

/* Sizes around the receiver's chunk, so that packets end before, at and behind its end. */
static void packets_of_all_sizes_keep_their_order(void **state) {
    struct pair *pair = *state;
    pair->b.on_received = node_check_number;
    node_join(&pair->a, &pair->b);
    uint64_t sent = 0;
    struct wait wait = {&pair->b, 0};
    for (size_t round = 0; round < 200; round++) {
        const size_t sizes[] = {round, round * 331 % 70000, 65536 - 40 - 8 + round % 3 * 8, 4096 * (round % 5)};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            assert_int_equal(node_send_number(&pair->a, 2, sent++, sizes[i]), LASH_OK);
        wait.number = sent > 40 ? sent - 40 : 0;
        world_run_until(&pair->world, has_received, &wait);
    }
    wait.number = sent;
    world_run_until(&pair->world, has_received, &wait);
}

static void twenty_thousand_small_packets_keep_their_order(void **state) {
    struct pair *pair = *state;
    pair->b.on_received = node_check_number;
    node_join(&pair->a, &pair->b);
    for (uint64_t number = 0; number < 20000;) {
        int error = node_send_number(&pair->a, 2, number, (size_t)(number % 50));
        if (error == LASH_OK) {
            number++;
            continue;
        }
        assert_int_equal(error, LASH_BUSY);
        (void)uv_run(&pair->world.loop, UV_RUN_ONCE);
    }
    struct wait wait = {&pair->b, 20000};
    world_run_until(&pair->world, has_received, &wait);
}

/* More pieces than one writev takes. */
static void a_packet_of_3000_tails_arrives_whole(void **state) {
    struct pair *pair = *state;
    pair->b.keep = true;
    node_join(&pair->a, &pair->b);
    struct buf *piece = filled_buf(7, 5);
    struct buf *tails[3000];
    for (size_t i = 0; i < 3000; i++)
        tails[i] = piece;
    assert_int_equal(transport_send(pair->a.transport, 2, TRANSPORT_CONTROL, "h", 1, tails, 3000), LASH_OK);
    struct wait wait = {&pair->b, 1};
    world_run_until(&pair->world, has_received, &wait);
    assert_int_equal(pair->b.last.tail_size, 21000);
    for (size_t i = 0; i < 3000; i++)
        assert_memory_equal(pair->b.last.tail + i * 7, piece->data, 7);
    assert_int_equal(piece->references, 1);
    buf_unref(piece);
}

static void packets_queued_in_one_turn_leave_in_that_turn(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    for (uint64_t number = 0; number < 300; number++)
        assert_int_equal(node_send_number(&pair->a, 2, number, 50), LASH_OK);
    assert_int_equal(node_counters(&pair->a).packets_sent, 0);
    (void)uv_run(&pair->world.loop, UV_RUN_NOWAIT);
    assert_int_equal(node_counters(&pair->a).packets_sent, 300);
}

static void send_once_connected(uv_prepare_t *prepare) {
    struct node *node = prepare->data;
    if (uv_is_active((const uv_handle_t *)&node->world->pace) || !transport_is_connected(node->transport, 2))
        return;
    assert_int_equal(transport_send(node->transport, 2, TRANSPORT_CONTROL, "late", 4, NULL, 0), LASH_OK);
    (void)uv_prepare_stop(prepare);
}

/* A prepare handle that was started earlier runs later than the transport's, right before the loop falls asleep. Nothing
 * else wakes it here before the watchdog. */
static void packet_queued_last_in_a_turn_does_not_wait(void **state) {
    struct pair *pair = *state;
    struct node c;
    uv_prepare_t late;
    assert_int_equal(uv_prepare_init(&pair->world.loop, &late), 0);
    late.data = &c;
    assert_int_equal(uv_prepare_start(&late, send_once_connected), 0);
    node_open(&c, &pair->world, 3);
    node_join(&c, &pair->b);
    /* The timer that watches over handshakes comes at most twice in this time, and then no more. */
    world_run_for(&pair->world, 600);
    assert_int_equal(uv_timer_stop(&pair->world.pace), 0);
    struct wait wait = {&pair->b, 1};
    world_run_until(&pair->world, has_received, &wait);
    uv_close((uv_handle_t *)&late, NULL);
    node_close(&c);
}

static void packets_queued_behind_a_long_write_follow_it(void **state) {
    struct pair *pair = *state;
    pair->b.on_received = node_check_number;
    node_join(&pair->a, &pair->b);
    assert_int_equal(node_send_number(&pair->a, 2, 0, (size_t)20 << 20), LASH_OK);
    (void)uv_run(&pair->world.loop, UV_RUN_NOWAIT);
    assert_int_equal(node_counters(&pair->a).packets_sent, 0);
    for (uint64_t number = 1; number < 100; number++)
        assert_int_equal(node_send_number(&pair->a, 2, number, 10), LASH_OK);
    struct wait wait = {&pair->b, 100};
    world_run_until(&pair->world, has_received, &wait);
}

static void queue_is_bounded_in_packets(void **state) {
    struct pair *pair = *state;
    struct node c;
    struct transport_options options = node_options(&c, &pair->world, 3);
    options.queue_packets_max = 10;
    node_open_with(&c, &options);
    node_join(&c, &pair->a);
    for (uint64_t number = 0; number < 10; number++)
        assert_int_equal(node_send_number(&c, 1, number, 1), LASH_OK);
    assert_int_equal(node_send_number(&c, 1, 10, 1), LASH_BUSY);
    pair->a.on_received = node_check_number;
    struct wait wait = {&pair->a, 10};
    world_run_until(&pair->world, has_received, &wait);
    assert_int_equal(node_send_number(&c, 1, 10, 1), LASH_OK);
    node_close(&c);
}

static void queue_is_bounded_in_bytes(void **state) {
    struct pair *pair = *state;
    struct node c;
    struct transport_options options = node_options(&c, &pair->world, 3);
    options.queue_bytes_max = 1000;
    options.packet_bytes_max = 5000;
    node_open_with(&c, &options);
    node_join(&c, &pair->a);
    /* 40 bytes of header and head. */
    assert_int_equal(node_send_number(&c, 1, 0, 560), LASH_OK);
    assert_int_equal(node_send_number(&c, 1, 1, 368), LASH_BUSY);
    assert_int_equal(node_send_number(&c, 1, 1, 360), LASH_OK);
    assert_int_equal(node_send_number(&c, 1, 2, 0), LASH_BUSY);
    pair->a.on_received = node_check_number;
    struct wait wait = {&pair->a, 2};
    world_run_until(&pair->world, has_received, &wait);
    /* Longer than the bound, but alone; and longer than any packet may be. */
    assert_int_equal(node_send_number(&c, 1, 2, 4961), LASH_TOO_LARGE);
    assert_int_equal(node_send_number(&c, 1, 2, 4960), LASH_OK);
    assert_int_equal(node_send_number(&c, 1, 3, 0), LASH_BUSY);
    wait.number = 3;
    world_run_until(&pair->world, has_received, &wait);
    node_close(&c);
}

static void sending_needs_a_connected_peer(void **state) {
    struct pair *pair = *state;
    assert_int_equal(node_send_number(&pair->a, 2, 0, 1), LASH_NOT_FOUND);
    node_meet(&pair->a, &pair->b);
    assert_int_equal(node_send_number(&pair->a, 2, 0, 1), LASH_NOT_FOUND);
    assert_false(transport_is_connected(pair->a.transport, 2));
    assert_int_equal(transport_features(pair->a.transport, 2), 0);
}

static void peer_that_restarts_is_found_again(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    uint16_t port = pair->b.port;
    node_close(&pair->b);
    struct wait wait = {&pair->a, 2};
    world_run_until(&pair->world, has_disconnected, &wait);
    assert_int_equal(node_send_number(&pair->a, 2, 0, 1), LASH_NOT_FOUND);
    struct transport_options options = node_options(&pair->b, &pair->world, 2);
    options.listen_port = port;
    node_open_with(&pair->b, &options);
    node_meet(&pair->b, &pair->a);
    world_run_until(&pair->world, has_reconnected, &wait);
    node_exchange(&pair->a, &pair->b);
    assert_int_equal(pair->a.connected[2], 2);
    assert_int_equal(pair->a.disconnected[2], 1);
    assert_int_equal(node_counters(&pair->a).disconnects, 1);
}

static void peer_whose_process_ended_is_down(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    node_close(&pair->b);
    struct wait wait = {&pair->a, 2};
    world_run_until(&pair->world, has_disconnected, &wait);
    assert_int_equal(pair->a.down[2], 0);
    world_run_until(&pair->world, has_gone_down, &wait);
}

static void peer_whose_connection_is_there_is_not_down(void **state) {
    struct pair *pair = *state;
    uint16_t free_port = pair->b.port;
    node_close(&pair->b);
    node_open(&pair->b, &pair->world, 2);
    assert_int_equal(transport_add_peer(pair->a.transport, 2, "127.0.0.1", free_port), LASH_OK);
    node_meet(&pair->b, &pair->a);
    struct wait wait = {&pair->b, 1};
    world_run_until(&pair->world, has_connected, &wait);
    uint64_t refused_before = pair->a.down[2];
    world_run_for(&pair->world, 200); /* several tries */
    assert_int_equal(pair->a.down[2], refused_before);
}

static void peer_that_moves_is_found_at_its_new_address(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    transport_remove_peer(pair->b.transport, 1); /* two that both are node 2 would get in each other's way */
    struct node moved;
    node_open(&moved, &pair->world, 2);
    node_meet(&moved, &pair->a);
    node_meet(&pair->a, &moved);
    assert_int_equal(pair->a.disconnected[2], 1);
    node_exchange(&pair->a, &moved);
    /* The same address again changes nothing. */
    node_meet(&pair->a, &moved);
    assert_true(transport_is_connected(pair->a.transport, 2));
    node_close(&moved);
}

static void peer_by_name_is_resolved(void **state) {
    struct pair *pair = *state;
    assert_int_equal(transport_add_peer(pair->a.transport, 2, "localhost", pair->b.port), LASH_OK);
    assert_int_equal(transport_add_peer(pair->b.transport, 1, "localhost", pair->a.port), LASH_OK);
    node_exchange(&pair->a, &pair->b);
}

static void peer_whose_name_cannot_be_resolved_is_tried_on(void **state) {
    struct pair *pair = *state;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(transport_add_peer(pair->a.transport, 2, name, pair->b.port), LASH_OK);
    (void)uv_run(&pair->world.loop, UV_RUN_ONCE);
    node_join(&pair->a, &pair->b);
    assert_int_equal(world_log_matches(&pair->world, "cannot connect to a peer", "peer=2"), 1);
}

static void removed_peer_is_refused(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    transport_remove_peer(pair->a.transport, 2);
    assert_int_equal(node_send_number(&pair->a, 2, 0, 1), LASH_NOT_FOUND);
    struct wait wait = {&pair->b, 1};
    world_run_until(&pair->world, has_disconnected, &wait);
    wait = (struct wait){&pair->b, 3};
    world_run_until(&pair->world, has_refusals, &wait);
    assert_int_equal(pair->a.disconnected[2], 0);
    assert_int_equal(world_log_matches(&pair->world, "refused a peer's connection", "it is not a member"), 1);
    assert_int_equal(world_log_matches(&pair->world, "a peer refused our connection", "it is not a member"), 1);
    transport_remove_peer(pair->a.transport, 2);
    node_join(&pair->a, &pair->b);
    node_exchange(&pair->a, &pair->b);
}

/* D§4.1: it may be a member, and the leader, of a configuration that is yet to be learned of. */
static void stranger_with_a_later_configuration_is_taken_until_that_is_known(void **state) {
    struct pair *pair = *state;
    transport_configured(pair->a.transport, 7, false);
    transport_configured(pair->b.transport, 7, false);
    node_meet(&pair->b, &pair->a);
    struct wait wait = {&pair->b, 1};
    world_run_until(&pair->world, has_refusals, &wait);
    assert_int_equal(pair->a.connected[2], 0);
    transport_configured(pair->b.transport, 8, false);
    wait = (struct wait){&pair->b, 1};
    world_run_until(&pair->world, has_connected, &wait);
    wait = (struct wait){&pair->a, 2};
    world_run_until(&pair->world, has_connected, &wait);
    node_exchange(&pair->a, &pair->b);
    /* By that one it is no member. */
    transport_configured(pair->a.transport, 8, false);
    assert_int_equal(pair->a.disconnected[2], 1);
    assert_int_equal(node_send_number(&pair->a, 2, 0, 1), LASH_NOT_FOUND);
}

static void nodes_of_two_clusters_refuse_each_other_and_say_so_once(void **state) {
    struct pair *pair = *state;
    struct node c;
    struct transport_options options = node_options(&c, &pair->world, 3);
    options.cluster_id = 0xc2;
    node_open_with(&c, &options);
    node_meet(&pair->a, &c);
    node_meet(&c, &pair->a);
    struct wait wait = {&c, 6};
    world_run_until(&pair->world, has_refusals, &wait);
    assert_false(transport_is_connected(c.transport, 1));
    assert_int_equal(c.connected[1] + pair->a.connected[3], 0);
    /* Each of the two refuses, and each is refused: four lines, however often they tried. */
    assert_int_equal(world_log_matches(&pair->world, "refused a peer's connection", "it belongs to another cluster"),
                     2);
    assert_int_equal(world_log_matches(&pair->world, "a peer refused our connection", "it belongs to another cluster"),
                     2);
    node_join(&pair->a, &pair->b);
    node_exchange(&pair->a, &pair->b);
    node_close(&c);
}

static void address_of_another_node_is_refused(void **state) {
    struct pair *pair = *state;
    struct node c;
    node_open(&c, &pair->world, 3);
    /* What is told to be node 3 is node 2. */
    assert_int_equal(transport_add_peer(pair->a.transport, 3, "127.0.0.1", pair->b.port), LASH_OK);
    node_meet(&pair->b, &pair->a);
    struct wait wait = {&pair->a, 2};
    world_run_until(&pair->world, has_refusals, &wait);
    assert_int_equal(world_log_matches(&pair->world, "refused a peer's connection", "another node was meant"), 1);
    assert_int_equal(world_log_matches(&pair->world, "a peer refused our connection", "node_there=2"), 1);
    node_close(&c);
}

static void features_are_those_of_both(void **state) {
    struct pair *pair = *state;
    struct node c;
    struct node d;
    struct transport_options options = node_options(&c, &pair->world, 3);
    options.features = 0x17;
    node_open_with(&c, &options);
    options = node_options(&d, &pair->world, 4);
    options.features = 0x2e;
    node_open_with(&d, &options);
    node_join(&c, &d);
    assert_int_equal(transport_features(c.transport, 4), 0x06);
    assert_int_equal(transport_features(d.transport, 3), 0x06);
    node_close(&c);
    node_close(&d);
}

static void peers_outside_the_contract_are_invalid(void **state) {
    struct pair *pair = *state;
    struct transport *transport = pair->a.transport;
    assert_int_equal(transport_add_peer(transport, 0, "127.0.0.1", 1), LASH_INVALID);
    assert_int_equal(transport_add_peer(transport, 1, "127.0.0.1", 1), LASH_INVALID);
    assert_int_equal(transport_add_peer(transport, 2, NULL, 1), LASH_INVALID);
    assert_int_equal(transport_add_peer(transport, 2, "", 1), LASH_INVALID);
    assert_int_equal(transport_add_peer(transport, 2, "127.0.0.1", 0), LASH_INVALID);
}

static void options_outside_the_contract_are_invalid(void **state) {
    struct pair *pair = *state;
    struct node c;
    struct transport *transport = NULL;
    const struct transport_options good = node_options(&c, &pair->world, 3);
    struct transport_options options = good;
    options.loop = NULL;
    assert_int_equal(transport_open(&options, &transport), LASH_INVALID);
    options = good;
    options.node_id = 0;
    assert_int_equal(transport_open(&options, &transport), LASH_INVALID);
    options = good;
    options.listen_host = NULL;
    assert_int_equal(transport_open(&options, &transport), LASH_INVALID);
    options = good;
    options.received = NULL;
    assert_int_equal(transport_open(&options, &transport), LASH_INVALID);
    options = good;
    options.packet_bytes_max = UINT64_MAX;
    assert_int_equal(transport_open(&options, &transport), LASH_INVALID);
    options = good;
    options.reconnect_ms_min = 50;
    assert_int_equal(transport_open(&options, &transport), LASH_INVALID);
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    options = good;
    options.listen_host = name;
    assert_int_equal(transport_open(&options, &transport), LASH_INVALID);
    assert_null(transport);
}

static void port_in_use_is_busy_and_leaves_nothing_behind(void **state) {
    struct pair *pair = *state;
    struct node c;
    struct transport_options options = node_options(&c, &pair->world, 3);
    options.listen_port = pair->a.port;
    struct transport *transport = NULL;
    assert_int_equal(transport_open(&options, &transport), LASH_BUSY);
    assert_null(transport);
    assert_int_equal(world_log_matches(&pair->world, "cannot listen for peers", "Address already in use"), 1);
}

static void ipv6_works(void **state) {
    struct pair *pair = *state;
    struct node c;
    struct transport_options options = node_options(&c, &pair->world, 3);
    options.listen_host = "::1";
    int error = transport_open(&options, &c.transport);
    if (error) {
        assert_int_equal(world_log_matches(&pair->world, "cannot listen for peers", "host=::1"), 1);
        skip();
    }
    c.port = transport_port(c.transport);
    assert_int_equal(transport_add_peer(pair->a.transport, 3, "::1", c.port), LASH_OK);
    node_meet(&c, &pair->a);
    node_exchange(&pair->a, &c);
    node_close(&c);
}

/* ---- Closing at awkward moments ----------------------------------------------------------------- */

static void close_while_connecting(void **state) {
    struct pair *pair = *state;
    node_meet(&pair->a, &pair->b);
    node_meet(&pair->b, &pair->a);
    node_close(&pair->a);
    assert_int_equal(pair->a.connected[2], 0);
}

static void close_while_resolving(void **state) {
    struct pair *pair = *state;
    assert_int_equal(transport_add_peer(pair->a.transport, 2, "localhost", pair->b.port), LASH_OK);
    (void)uv_run(&pair->world.loop, UV_RUN_NOWAIT);
    node_close(&pair->a);
}

static void close_after_every_number_of_turns(void **state) {
    struct pair *pair = *state;
    node_meet(&pair->b, &pair->a);
    for (size_t turns = 0; turns < 12; turns++) {
        struct node c;
        node_open(&c, &pair->world, 3);
        node_meet(&c, &pair->b);
        node_meet(&pair->b, &c);
        for (size_t i = 0; i < turns; i++) {
            (void)uv_run(&pair->world.loop, UV_RUN_ONCE);
            (void)node_send_number(&c, 2, i, 100000);
        }
        node_close(&c);
    }
}

static void close_while_writing_lets_go_of_what_was_queued(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    struct buf *tail = filled_buf((size_t)20 << 20, 3);
    assert_int_equal(transport_send(pair->a.transport, 2, TRANSPORT_CONTROL, "x", 1, &tail, 1), LASH_OK);
    (void)uv_run(&pair->world.loop, UV_RUN_NOWAIT);
    assert_int_equal(transport_send(pair->a.transport, 2, TRANSPORT_CONTROL, "y", 1, &tail, 1), LASH_OK);
    assert_int_equal(tail->references, 3);
    node_close(&pair->a);
    assert_int_equal(tail->references, 1);
    buf_unref(tail);
    assert_int_equal(pair->a.disconnected[2], 0);
}

static void closed_in_callback(void *context) {
    struct node *node = context;
    node->closed = true;
}

static void close_from_received(struct node *node, const struct transport_packet *packet) {
    (void)packet;
    assert_int_equal(node->received, 1);
    transport_close(node->transport, closed_in_callback, node);
    assert_int_equal(transport_add_peer(node->transport, 5, "127.0.0.1", 1), LASH_CLOSED);
    assert_int_equal(node_send_number(node, 1, 0, 1), LASH_NOT_FOUND);
}

static bool is_closed(void *argument) {
    return ((struct node *)argument)->closed;
}

/* Of the packets that came in one read only the first is delivered. */
static void close_from_within_received(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    pair->b.on_received = close_from_received;
    for (uint64_t number = 0; number < 10; number++)
        assert_int_equal(node_send_number(&pair->a, 2, number, 10), LASH_OK);
    world_run_until(&pair->world, is_closed, &pair->b);
    assert_int_equal(pair->b.received, 1);
}

static void remove_from_received(struct node *node, const struct transport_packet *packet) {
    assert_int_equal(node->received, 1);
    transport_remove_peer(node->transport, packet->from);
}

static void remove_the_sender_from_within_received(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    pair->b.on_received = remove_from_received;
    for (uint64_t number = 0; number < 10; number++)
        assert_int_equal(node_send_number(&pair->a, 2, number, 10), LASH_OK);
    struct wait wait = {&pair->a, 2};
    world_run_until(&pair->world, has_disconnected, &wait);
    assert_int_equal(pair->b.received, 1);
}

static void close_from_disconnected(struct node *node, uint64_t peer) {
    (void)peer;
    transport_close(node->transport, closed_in_callback, node);
}

static void close_from_within_disconnected(void **state) {
    struct pair *pair = *state;
    node_join(&pair->a, &pair->b);
    pair->a.on_disconnected = close_from_disconnected;
    node_close(&pair->b);
    world_run_until(&pair->world, is_closed, &pair->a);
}

#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_open, pair_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        PAIR_TEST(two_nodes_exchange_packets),
        PAIR_TEST(an_empty_packet_arrives),
        PAIR_TEST(a_packet_of_20_mb_arrives_in_a_buffer_of_its_own),
        PAIR_TEST(packets_of_all_sizes_keep_their_order),
        PAIR_TEST(twenty_thousand_small_packets_keep_their_order),
        PAIR_TEST(a_packet_of_3000_tails_arrives_whole),
        PAIR_TEST(packets_queued_in_one_turn_leave_in_that_turn),
        PAIR_TEST(packet_queued_last_in_a_turn_does_not_wait),
        PAIR_TEST(packets_queued_behind_a_long_write_follow_it),
        PAIR_TEST(queue_is_bounded_in_packets),
        PAIR_TEST(queue_is_bounded_in_bytes),
        PAIR_TEST(sending_needs_a_connected_peer),
        PAIR_TEST(peer_that_restarts_is_found_again),
        PAIR_TEST(peer_whose_process_ended_is_down),
        PAIR_TEST(peer_whose_connection_is_there_is_not_down),
        PAIR_TEST(peer_that_moves_is_found_at_its_new_address),
        PAIR_TEST(peer_by_name_is_resolved),
        PAIR_TEST(peer_whose_name_cannot_be_resolved_is_tried_on),
        PAIR_TEST(removed_peer_is_refused),
        PAIR_TEST(stranger_with_a_later_configuration_is_taken_until_that_is_known),
        PAIR_TEST(nodes_of_two_clusters_refuse_each_other_and_say_so_once),
        PAIR_TEST(address_of_another_node_is_refused),
        PAIR_TEST(features_are_those_of_both),
        PAIR_TEST(peers_outside_the_contract_are_invalid),
        PAIR_TEST(options_outside_the_contract_are_invalid),
        PAIR_TEST(port_in_use_is_busy_and_leaves_nothing_behind),
        PAIR_TEST(ipv6_works),
        PAIR_TEST(close_while_connecting),
        PAIR_TEST(close_while_resolving),
        PAIR_TEST(close_after_every_number_of_turns),
        PAIR_TEST(close_while_writing_lets_go_of_what_was_queued),
        PAIR_TEST(close_from_within_received),
        PAIR_TEST(remove_the_sender_from_within_received),
        PAIR_TEST(close_from_within_disconnected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
