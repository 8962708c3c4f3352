/* SPDX-License-Identifier: Apache-2.0
 *
 * What the transport's tests share: one loop with a watchdog, nodes on ephemeral
 * ports of 127.0.0.1 that count what happens to them, and raw sockets that
 * speak the protocol by hand.
 */
#ifndef LASH_TEST_TRANSPORT_WORLD_H
#define LASH_TEST_TRANSPORT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "lash/error.h"
#include "transport/packet.h"
#include "transport/transport.h"

#define WORLD_CLUSTER 0xc1u
#define WORLD_LOG_MAX 256
#define WORLD_PEERS_MAX 8

/* A loop. Every wait in it ends by its condition or, after 30 s, by the watchdog, which fails the test. */
struct world {
    uv_loop_t loop;
    uv_timer_t watchdog;
    uv_timer_t pace; /* wakes the loop for conditions on raw sockets */
    char log[WORLD_LOG_MAX][512];
    size_t log_count;
};

struct node {
    struct world *world;
    struct transport *transport;
    uint64_t id;
    uint16_t port;
    bool closed;
    uint64_t connected[WORLD_PEERS_MAX];    /* calls, by peer id */
    uint64_t disconnected[WORLD_PEERS_MAX]; /* likewise */
    uint64_t down[WORLD_PEERS_MAX];         /* likewise */
    uint64_t lane_ready[WORLD_PEERS_MAX];   /* likewise */
    uint64_t lane_lost[WORLD_PEERS_MAX];    /* likewise */
    uint64_t received;                      /* packets */
    uint64_t received_from[WORLD_PEERS_MAX];
    uint64_t next_number; /* the number that the next numbered packet must have */
    struct buf *kept;     /* the owner of the last packet, if `keep` */
    bool keep;
    struct transport_packet last; /* what it points to is valid if `keep` */
    void *argument;               /* of the callbacks below */
    void (*on_received)(struct node *node, const struct transport_packet *packet);
    int verdict; /* what `received` returns */
    void (*on_disconnected)(struct node *node, uint64_t peer);
};

typedef bool (*condition_fn)(void *argument);

void world_open(struct world *world);
void world_close(struct world *world); /* all nodes are closed; fails if the loop still holds anything */
void world_run_until(struct world *world, condition_fn condition, void *argument);
void world_run_for(struct world *world, uint64_t ms);
/* Log lines since the start that contain both texts. */
size_t world_log_matches(const struct world *world, const char *text, const char *text2);

/* Short times, this cluster, no peers. */
struct transport_options node_options(struct node *node, struct world *world, uint64_t id);
void node_open(struct node *node, struct world *world, uint64_t id);
void node_open_with(struct node *node, const struct transport_options *options);
void node_meet(struct node *node, const struct node *peer); /* add as a peer */
void node_join(struct node *a, struct node *b);             /* both ways, and wait until both are connected */
void node_close(struct node *node);                         /* and wait */
/* Send a packet with a number as its head and `tail_size` bytes behind it; returns transport_send's error. */
int node_send_number(struct node *node, uint64_t peer, uint64_t number, size_t tail_size);
/* The receiving end of it: checks order and contents. */
void node_check_number(struct node *node, const struct transport_packet *packet);
void node_exchange(struct node *a, struct node *b); /* a packet each way arrives */
struct transport_counters node_counters(const struct node *node);

struct buf *filled_buf(size_t size, uint8_t seed);

/* Raw sockets. All fail the test on error. */
int raw_connect(uint16_t port);
int raw_listen(uint16_t *port);
int raw_accept(struct world *world, int listener); /* waits */
void raw_write(int fd, const void *data, size_t size);
void raw_read(struct world *world, int fd, void *data, size_t size); /* waits for all */
void raw_wait_closed(struct world *world, int fd);                   /* by the other side; discards what comes */
struct packet_hello raw_hello(uint64_t from, uint64_t to);
void raw_write_hello(int fd, const struct packet_hello *hello);
struct packet_reply raw_read_reply(struct world *world, int fd);
struct packet_hello raw_read_hello(struct world *world, int fd);
void raw_write_reply(int fd, uint64_t node_id, uint16_t status);
void raw_write_reply_with(int fd, uint64_t node_id, uint16_t status, uint64_t features);
/* A connection from `from` to `node` that has shaken hands. */
int raw_join(struct node *node, uint64_t from);
/* Encode a whole packet; returns its size. */
size_t raw_packet(uint8_t *bytes, size_t capacity, const void *head, uint32_t head_size, const void *tail,
                  size_t tail_size);

#endif
