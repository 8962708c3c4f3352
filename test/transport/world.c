/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop, nodes and raw sockets of the transport's tests.
 */
#include "world.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "lash/log.h"

#define WORLD_WATCHDOG_MS 30000

/* ---- The loop ----------------------------------------------------------------------------------- */

static void world_on_log(void *context, enum lash_log_level level, const char *line) {
    struct world *world = context;
    (void)level;
    if (world->log_count < WORLD_LOG_MAX)
        (void)snprintf(world->log[world->log_count++], sizeof world->log[0], "%s", line);
}

static void world_on_watchdog(uv_timer_t *timer) {
    const struct world *world = timer->data;
    for (size_t i = 0; i < world->log_count; i++)
        print_error("log: %s\n", world->log[i]);
    fail_msg("the watchdog: a condition did not come true in time");
}

static void world_on_pace(uv_timer_t *timer) {
    (void)timer;
}

void world_open(struct world *world) {
    memset(world, 0, sizeof *world);
    lash_set_log(world_on_log, world, LASH_LOG_DEBUG);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    assert_int_equal(uv_timer_init(&world->loop, &world->watchdog), 0);
    assert_int_equal(uv_timer_init(&world->loop, &world->pace), 0);
    world->watchdog.data = world;
    assert_int_equal(uv_timer_start(&world->watchdog, world_on_watchdog, WORLD_WATCHDOG_MS, 0), 0);
    assert_int_equal(uv_timer_start(&world->pace, world_on_pace, 1, 1), 0);
}

void world_close(struct world *world) {
    uv_close((uv_handle_t *)&world->watchdog, NULL);
    uv_close((uv_handle_t *)&world->pace, NULL);
    assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    lash_set_log(NULL, NULL, LASH_LOG_INFO);
}

void world_run_until(struct world *world, condition_fn condition, void *argument) {
    while (!condition(argument))
        (void)uv_run(&world->loop, UV_RUN_ONCE);
}

void world_run_for(struct world *world, uint64_t ms) {
    uint64_t end_ms = uv_now(&world->loop) + ms;
    while (uv_now(&world->loop) < end_ms)
        (void)uv_run(&world->loop, UV_RUN_ONCE);
}

size_t world_log_matches(const struct world *world, const char *text, const char *text2) {
    size_t matches = 0;
    for (size_t i = 0; i < world->log_count; i++)
        matches += strstr(world->log[i], text) && strstr(world->log[i], text2);
    return matches;
}

/* ---- Nodes -------------------------------------------------------------------------------------- */

static int node_on_received(void *context, const struct transport_packet *packet) {
    struct node *node = context;
    assert_true(packet->head >= packet->owner->data);
    assert_true(packet->head + packet->head_size <= packet->tail);
    assert_true(packet->tail + packet->tail_size <= packet->owner->data + packet->owner->size);
    assert_int_equal((uintptr_t)packet->head % 8, 0);
    assert_int_equal((uintptr_t)packet->tail % 8, 0);
    assert_true(packet->from < WORLD_PEERS_MAX);
    node->received++;
    node->received_from[packet->from]++;
    node->last = *packet;
    if (node->keep) {
        buf_unref(node->kept);
        node->kept = buf_ref(packet->owner);
    }
    if (node->on_received)
        node->on_received(node, packet);
    return node->verdict;
}

static void node_on_connected(void *context, uint64_t peer) {
    struct node *node = context;
    assert_true(transport_is_connected(node->transport, peer));
    node->connected[peer]++;
}

static void node_on_down(void *context, uint64_t peer) {
    struct node *node = context;
    assert_true(peer < WORLD_PEERS_MAX);
    node->down[peer]++;
}

static void node_on_lane_ready(void *context, uint64_t peer) {
    struct node *node = context;
    assert_true(peer < WORLD_PEERS_MAX);
    node->lane_ready[peer]++;
}

static void node_on_lane_lost(void *context, uint64_t peer) {
    struct node *node = context;
    assert_true(peer < WORLD_PEERS_MAX);
    node->lane_lost[peer]++;
}

static void node_on_disconnected(void *context, uint64_t peer) {
    struct node *node = context;
    assert_false(transport_is_connected(node->transport, peer));
    node->disconnected[peer]++;
    if (node->on_disconnected)
        node->on_disconnected(node, peer);
}

static void node_on_closed(void *context) {
    struct node *node = context;
    assert_false(node->closed);
    node->closed = true;
}

struct transport_options node_options(struct node *node, struct world *world, uint64_t id) {
    *node = (struct node){.world = world, .id = id};
    return (struct transport_options){
        .loop = &world->loop,
        .cluster_id = WORLD_CLUSTER,
        .node_id = id,
        .listen_host = "127.0.0.1",
        .reconnect_ms_min = 2,
        .reconnect_ms_max = 40,
        .handshake_ms = 5000,
        .seed = 7,
        .context = node,
        .received = node_on_received,
        .connected = node_on_connected,
        .disconnected = node_on_disconnected,
        .down = node_on_down,
        .lane_ready = node_on_lane_ready,
        .lane_lost = node_on_lane_lost,
    };
}

void node_open_with(struct node *node, const struct transport_options *options) {
    assert_int_equal(transport_open(options, &node->transport), LASH_OK);
    node->port = transport_port(node->transport);
    assert_int_not_equal(node->port, 0);
}

void node_open(struct node *node, struct world *world, uint64_t id) {
    const struct transport_options options = node_options(node, world, id);
    node_open_with(node, &options);
}

void node_meet(struct node *node, const struct node *peer) {
    assert_int_equal(transport_add_peer(node->transport, peer->id, "127.0.0.1", peer->port), LASH_OK);
}

struct node_pair {
    struct node *a;
    struct node *b;
    uint64_t a_received;
    uint64_t b_received;
};

static bool node_pair_connected(void *argument) {
    const struct node_pair *pair = argument;
    return transport_is_connected(pair->a->transport, pair->b->id) &&
           transport_is_connected(pair->b->transport, pair->a->id);
}

void node_join(struct node *a, struct node *b) {
    node_meet(a, b);
    node_meet(b, a);
    struct node_pair pair = {.a = a, .b = b};
    world_run_until(a->world, node_pair_connected, &pair);
}

static bool node_is_closed(void *argument) {
    return ((struct node *)argument)->closed;
}

void node_close(struct node *node) {
    transport_close(node->transport, node_on_closed, node);
    world_run_until(node->world, node_is_closed, node);
    buf_unref(node->kept);
    node->kept = NULL;
}

struct transport_counters node_counters(const struct node *node) {
    struct transport_counters counters;
    transport_counters(node->transport, &counters);
    return counters;
}

struct buf *filled_buf(size_t size, uint8_t seed) {
    struct buf *buf = buf_new(size);
    assert_non_null(buf);
    for (size_t i = 0; i < size; i++)
        buf->data[i] = (uint8_t)(seed + i * 31 + i / 251);
    buf->size = size;
    return buf;
}

int node_send_number(struct node *node, uint64_t peer, uint64_t number, size_t tail_size) {
    uint8_t head[8];
    le64_put(head, number);
    struct buf *tail = filled_buf(tail_size, (uint8_t)number);
    int error = transport_send(node->transport, peer, TRANSPORT_CONTROL, head, sizeof head, &tail, 1);
    buf_unref(tail);
    return error;
}

void node_check_number(struct node *node, const struct transport_packet *packet) {
    assert_int_equal(packet->head_size, 8);
    assert_int_equal(le64_get(packet->head), node->next_number);
    struct buf *tail = filled_buf(packet->tail_size, (uint8_t)node->next_number);
    assert_memory_equal(packet->tail, tail->data, tail->size);
    buf_unref(tail);
    node->next_number++;
}

static bool node_pair_exchanged(void *argument) {
    const struct node_pair *pair = argument;
    return pair->a->received_from[pair->b->id] > pair->a_received &&
           pair->b->received_from[pair->a->id] > pair->b_received;
}

void node_exchange(struct node *a, struct node *b) {
    struct node_pair pair = {.a = a, .b = b};
    world_run_until(a->world, node_pair_connected, &pair);
    pair.a_received = a->received_from[b->id];
    pair.b_received = b->received_from[a->id];
    assert_int_equal(transport_send(a->transport, b->id, TRANSPORT_CONTROL, "ping", 4, NULL, 0), LASH_OK);
    assert_int_equal(transport_send(b->transport, a->id, TRANSPORT_CONTROL, "pong", 4, NULL, 0), LASH_OK);
    world_run_until(a->world, node_pair_exchanged, &pair);
}

/* ---- Raw sockets -------------------------------------------------------------------------------- */

static struct sockaddr_in raw_address(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int raw_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct sockaddr_in address = raw_address(port);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

int raw_listen(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = raw_address(0);
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

struct raw_wait {
    int fd;
    int accepted;
    uint8_t *data;
    size_t left;
};

static bool raw_has_accepted(void *argument) {
    struct raw_wait *wait = argument;
    wait->accepted = accept(wait->fd, NULL, NULL);
    assert_true(wait->accepted >= 0 || errno == EAGAIN);
    return wait->accepted >= 0;
}

int raw_accept(struct world *world, int listener) {
    struct raw_wait wait = {.fd = listener};
    world_run_until(world, raw_has_accepted, &wait);
    return wait.accepted;
}

void raw_write(int fd, const void *data, size_t size) {
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

static bool raw_has_read(void *argument) {
    struct raw_wait *wait = argument;
    ssize_t got = recv(wait->fd, wait->data, wait->left, MSG_DONTWAIT);
    assert_true(got > 0 || (got < 0 && errno == EAGAIN));
    if (got > 0) {
        wait->data += got;
        wait->left -= (size_t)got;
    }
    return wait->left == 0;
}

void raw_read(struct world *world, int fd, void *data, size_t size) {
    struct raw_wait wait = {.fd = fd, .data = data, .left = size};
    world_run_until(world, raw_has_read, &wait);
}

static bool raw_is_closed(void *argument) {
    const struct raw_wait *wait = argument;
    uint8_t discarded[4096];
    ssize_t got = recv(wait->fd, discarded, sizeof discarded, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

void raw_wait_closed(struct world *world, int fd) {
    struct raw_wait wait = {.fd = fd};
    world_run_until(world, raw_is_closed, &wait);
    assert_int_equal(close(fd), 0);
}

struct packet_hello raw_hello(uint64_t from, uint64_t to) {
    return (struct packet_hello){.version_min = PACKET_VERSION_MIN,
                                 .version_max = PACKET_VERSION_MAX,
                                 .cluster_id = WORLD_CLUSTER,
                                 .from = from,
                                 .to = to};
}

void raw_write_hello(int fd, const struct packet_hello *hello) {
    uint8_t bytes[PACKET_HELLO_SIZE];
    packet_hello_encode(hello, bytes);
    raw_write(fd, bytes, sizeof bytes);
}

struct packet_reply raw_read_reply(struct world *world, int fd) {
    uint8_t bytes[PACKET_REPLY_SIZE];
    raw_read(world, fd, bytes, sizeof bytes);
    struct packet_reply reply;
    assert_int_equal(packet_reply_decode(bytes, sizeof bytes, &reply), LASH_OK);
    return reply;
}

struct packet_hello raw_read_hello(struct world *world, int fd) {
    uint8_t bytes[PACKET_HELLO_SIZE];
    raw_read(world, fd, bytes, sizeof bytes);
    struct packet_hello hello;
    assert_int_equal(packet_hello_decode(bytes, sizeof bytes, &hello), LASH_OK);
    return hello;
}

void raw_write_reply_with(int fd, uint64_t node_id, uint16_t status, uint64_t features) {
    const struct packet_reply reply = {.status = status,
                                       .version = status == PACKET_ACCEPTED ? PACKET_VERSION_MAX : 0,
                                       .version_min = PACKET_VERSION_MIN,
                                       .version_max = PACKET_VERSION_MAX,
                                       .node_id = node_id,
                                       .cluster_id = WORLD_CLUSTER,
                                       .features = features};
    uint8_t bytes[PACKET_REPLY_SIZE];
    packet_reply_encode(&reply, bytes);
    raw_write(fd, bytes, sizeof bytes);
}

void raw_write_reply(int fd, uint64_t node_id, uint16_t status) {
    raw_write_reply_with(fd, node_id, status, 0);
}

int raw_join(struct node *node, uint64_t from) {
    int fd = raw_connect(node->port);
    const struct packet_hello hello = raw_hello(from, node->id);
    raw_write_hello(fd, &hello);
    const struct packet_reply reply = raw_read_reply(node->world, fd);
    assert_int_equal(reply.status, PACKET_ACCEPTED);
    assert_int_equal(reply.node_id, node->id);
    return fd;
}

size_t raw_packet(uint8_t *bytes, size_t capacity, const void *head, uint32_t head_size, const void *tail,
                  size_t tail_size) {
    const struct packet_header header = {.head_size = head_size, .tail_size = tail_size};
    size_t size = (size_t)packet_size(&header);
    assert_true(size <= capacity);
    memset(bytes, 0, size);
    packet_header_encode(head, head_size, tail_size, bytes);
    memcpy(bytes + PACKET_HEADER_SIZE, head, head_size);
    if (tail_size)
        memcpy(bytes + PACKET_HEADER_SIZE + packet_align(head_size), tail, tail_size);
    return size;
}
