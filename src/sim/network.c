/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated network. From each node to each other there are lanes, each of which
 * keeps the order of what is sent in it until they break; then what is on its way
 * is lost, the sender notices after some time, and connects again. A profile may
 * also lose, double and reorder the core's own messages, which the protocol is made
 * to bear. Proposals on their way to the leader are never doubled: the transport
 * sends them once.
 */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "node/replica_state.h"
#include "raft/random.h"
#include "sim/memory.h"
#include "sim/world_hollow.h"
#include "sim/world_peers.h"

enum { NETWORK_PACKETS_MAX = 512 /* that wait in one lane; then the sender is refused */ };

struct world_link *network_link(struct world *world, size_t from, size_t to) {
    return &world->links[from * WORLD_NODES_MAX + to];
}

static void network_forget(struct world *world, struct world_packet *packet) {
    for (size_t i = 0; i < packet->tail_count; i++)
        buf_unref(packet->tails[i]);
    memory_free(packet->tails);
    packet->tails = NULL;
    packet->tail_count = 0;
    list_push(&world->free_packets, &packet->link);
}

static void network_clear_lane(struct world *world, struct world_lane *lane) {
    struct list *at;
    while ((at = list_pop(&lane->packets)))
        network_forget(world, list_entry(at, struct world_packet, link));
    lane->count = 0;
    lane->last_us = 0;
    lane->generation++;
    lane->cut = false;
    lane->closed = false;
}

static void network_clear(struct world *world, struct world_link *link) {
    for (size_t i = 0; i < TRANSPORT_LANES; i++)
        network_clear_lane(world, &link->lanes[i]);
    link->generation++;
}

void network_init(struct world *world) {
    for (size_t i = 0; i < WORLD_LINKS; i++)
        for (size_t lane = 0; lane < TRANSPORT_LANES; lane++)
            list_init(&world->links[i].lanes[lane].packets);
}

void network_free(struct world *world) {
    for (size_t i = 0; i < WORLD_LINKS; i++)
        network_clear(world, &world->links[i]);
    struct list *at;
    while ((at = list_pop(&world->free_packets)))
        memory_free(list_entry(at, struct world_packet, link));
}

/* ---- Sending ---------------------------------------------------------------------------------------- */

static struct world_packet *network_packet(struct world *world, const void *head, size_t head_size,
                                           struct buf *const *tails, size_t count) {
    struct list *at = list_pop(&world->free_packets);
    struct world_packet *packet = at ? list_entry(at, struct world_packet, link) : memory_new(1, sizeof *packet);
    list_init(&packet->link);
    LASH_ASSERT(head_size <= sizeof packet->head);
    packet->head_size = head_size;
    packet->flipped = false;
    memcpy(packet->head, head, head_size);
    packet->tail_count = count;
    packet->tails = count ? memory_new(count, sizeof *packet->tails) : NULL;
    for (size_t i = 0; i < count; i++)
        packet->tails[i] = buf_ref(tails[i]);
    return packet;
}

/* Put a packet on its way. */
static void network_push(struct world *world, struct world_link *link, size_t number, struct world_packet *packet) {
    struct world_lane *lane = &link->lanes[number];
    size_t position = (size_t)(link - world->links);
    const struct profile *profile = &world->profile;
    uint64_t us = profile->packet_us + world_draw(world, DOMAIN_NETWORK, profile->packet_span_us);
    if (fault_of_packet(world, FAULT_DELAY))
        us += world_draw(world, DOMAIN_NETWORK, profile->heartbeat_ms * 20000);
    if (world->now_us + us < lane->last_us)
        us = lane->last_us - world->now_us;
    lane->last_us = world->now_us + us;
    packet->from = position / WORLD_NODES_MAX + 1;
    packet->flipped = packet->tail_count && fault_of_packet(world, FAULT_FLIP);
    list_push(&lane->packets, &packet->link);
    lane->count++;
    world_plan(world, us, EVENT_DELIVER, number * WORLD_LINKS + position, lane->generation);
}

/* The last packet, a message of the core's, comes before the one before it. */
static void network_overtake(struct world_lane *lane) {
    struct list *last = lane->packets.prev;
    struct list *before = last->prev;
    if (before == &lane->packets)
        return;
    list_remove(before);
    list_push(&lane->packets, before);
}

/* What the judge makes of it; whether it is a message of the core's. */
static bool network_judge(struct world_node *node, lash_id peer, const void *head, size_t size,
                          struct buf *const *tails, size_t count) {
    struct world *world = node->world;
    struct wire_head decoded;
    if (wire_decode(head, size, &decoded))
        world_fail(world, "contract", "n%u sends what nobody can decode", (unsigned)node->id);
    if (world->profile.operators)
        world_peers_judge(node, peer, &decoded);
    if (world->profile.witnesses)
        world_hollow_sent(node, peer, &decoded, tails, count);
    world->hash = random_mix(world->hash ^ crc32c(0, head, size)) + peer;
    if (decoded.kind != WIRE_MESSAGE)
        return false;
    decoded.message.from = node->id;
    decoded.message.to = peer;
    judge_sent(world->judge, node->id, &decoded.message);
    return true;
}

int network_send(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                 struct buf *const *tails, size_t count) {
    struct world_node *node = context;
    struct world *world = node->world;
    LASH_ASSERT(peer >= 1 && peer <= world->count);
    struct world_link *link = network_link(world, node->id - 1, peer - 1);
    size_t number = world->profile.lanes ? lane : 0;
    if (node->send_error)
        return node->send_error;
    if (!link->open || link->lanes[number].closed)
        return LASH_NOT_FOUND;
    bool message = network_judge(node, peer, head, head_size, tails, count);
    if (link->lanes[number].count >= NETWORK_PACKETS_MAX || fault_of_packet(world, FAULT_REFUSE))
        return LASH_BUSY;
    node->packets_sent++;
    world->tally.packets++;
    if (world->options.trace)
        trace_packet(world, link->broken ? "loses" : "sends", node->id, peer, head, head_size, tails, count);
    if (link->broken || link->lanes[number].cut || fault_of_packet(world, FAULT_DROP))
        return 0;
    network_push(world, link, number, network_packet(world, head, head_size, tails, count));
    if (message && fault_of_packet(world, FAULT_REORDER))
        network_overtake(&link->lanes[number]);
    if (message && fault_of_packet(world, FAULT_DUPLICATE))
        network_push(world, link, number, network_packet(world, head, head_size, tails, count));
    return 0;
}

/* ---- Arriving --------------------------------------------------------------------------------------- */

/* The tails in one piece. */
static const uint8_t *network_tail(struct world *world, const struct world_packet *packet, size_t *size) {
    *size = 0;
    for (size_t i = 0; i < packet->tail_count; i++)
        *size += packet->tails[i]->size;
    if (packet->tail_count == 1 && !packet->flipped)
        return packet->tails[0]->data;
    world->scratch = memory_room(world->scratch, &world->scratch_capacity, *size, 1);
    uint8_t *at = world->scratch;
    for (size_t i = 0; i < packet->tail_count; i++) {
        memcpy(at, packet->tails[i]->data, packet->tails[i]->size);
        at += packet->tails[i]->size;
    }
    return world->scratch;
}

static void network_hand(struct world *world, size_t position, struct world_packet *packet) {
    struct world_node *node = &world->nodes[position];
    size_t size;
    const uint8_t *tail = network_tail(world, packet, &size);
    if (packet->flipped) {
        uint64_t bit = world_draw(world, DOMAIN_NETWORK, size * 8);
        world->scratch[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    if (world->options.trace)
        trace_packet(world, packet->flipped ? "gets, damaged," : "gets", node->id, packet->from, packet->head,
                     packet->head_size, packet->tails, packet->tail_count);
    int error = node->repair
                    ? repair_receive(node->repair, packet->from, packet->head, packet->head_size, tail, size)
                    : replica_receive(node->replica, packet->from, packet->head, packet->head_size, tail, size);
    /* What is not about repairs a repair does not look at. */
    if (node->replica && packet->flipped && !error)
        world_fail(world, "D3", "n%u takes damaged frames from n%u for good", (unsigned)node->id,
                   (unsigned)packet->from);
    if (!packet->flipped && error)
        world_fail(world, "contract", "n%u finds what n%u sent impossible: %s", (unsigned)node->id,
                   (unsigned)packet->from, lash_strerror(error));
    if (node->replica)
        world_observe(node);
}

void network_deliver(struct world *world, const struct event *event) {
    size_t position = event->subject % WORLD_LINKS;
    struct world_link *link = &world->links[position];
    struct world_lane *lane = &link->lanes[event->subject / WORLD_LINKS];
    if (event->argument != lane->generation || list_empty(&lane->packets))
        return;
    uint64_t blocked_us = lane->blocked_us > link->blocked_us ? lane->blocked_us : link->blocked_us;
    if (blocked_us > world->now_us) {
        struct event later = *event;
        later.at_us = blocked_us;
        queue_push(&world->queue, later);
        return;
    }
    struct world_packet *packet = list_entry(list_pop(&lane->packets), struct world_packet, link);
    lane->count--;
    bool flipped = packet->flipped;
    network_hand(world, position % WORLD_NODES_MAX, packet);
    network_forget(world, packet);
    /* Bytes that cannot be right end their connection. */
    if (flipped && event->subject / WORLD_LINKS == TRANSPORT_ENTRIES)
        network_cut(world, position / WORLD_NODES_MAX, position % WORLD_NODES_MAX);
    else if (flipped)
        network_break(world, position / WORLD_NODES_MAX, position % WORLD_NODES_MAX);
}

/* ---- Connections ------------------------------------------------------------------------------------- */

/* Whether a node can be connected to. */
static bool network_present(const struct world *world, size_t position) {
    return world_alive(&world->nodes[position]) || position >= world->count - world->options.puppets;
}

static void network_open(struct world *world, size_t from, size_t to) {
    struct world_link *link = network_link(world, from, to);
    struct world_node *node = &world->nodes[from];
    if (link->open || from == to || !world_alive(node) || !network_present(world, to))
        return;
    link->open = true;
    link->broken = false;
    if (node->repair)
        repair_connected(node->repair, to + 1);
    else
        replica_connected(node->replica, to + 1);
    world_turn_soon(node);
}

void network_lose(struct world *world, size_t from, size_t to, bool told) {
    struct world_link *link = network_link(world, from, to);
    struct world_node *node = &world->nodes[from];
    network_clear(world, link);
    if (!link->open)
        return;
    link->open = false;
    link->broken = false;
    if (!told || !world_alive(node))
        return;
    if (node->repair) {
        repair_disconnected(node->repair, to + 1);
    } else {
        replica_disconnected(node->replica, to + 1);
        world_observe(node);
    }
    world_turn_soon(node);
}

void world_connect(struct world *world, size_t a, size_t b) {
    network_open(world, a, b);
    network_open(world, b, a);
}

void world_disconnect(struct world *world, size_t a, size_t b) {
    network_lose(world, a, b, true);
    network_lose(world, b, a, true);
}

void network_dial(struct world *world, size_t from, size_t to) {
    struct world_link *link = network_link(world, from, to);
    if (link->waiting || link->open || from == to)
        return;
    link->waiting = true;
    world_plan(world, 1 + world_draw(world, DOMAIN_NETWORK, world->profile.packet_span_us * 4), EVENT_CONNECT,
               (uint64_t)(link - world->links), 0);
}

void network_break(struct world *world, size_t from, size_t to) {
    struct world_link *link = network_link(world, from, to);
    if (!link->open || link->broken)
        return;
    network_clear(world, link);
    link->broken = true;
    world_plan(world, 1 + world_draw(world, DOMAIN_NETWORK, world->profile.heartbeat_ms * 3000), EVENT_NOTICE,
               (uint64_t)(link - world->links), link->generation);
}

/* What its sender does about a lane of entries that broke: it goes by as lost, and is connected again. */
static void network_notice_lane(struct world *world, const struct event *event) {
    size_t position = event->subject % WORLD_LINKS;
    struct world_lane *lane = &world->links[position].lanes[TRANSPORT_ENTRIES];
    struct world_node *node = &world->nodes[position / WORLD_NODES_MAX];
    if (!lane->cut || event->argument != lane->generation)
        return;
    TRACE(world, "n%u notices that its lane of entries to n%zu is broken", (unsigned)node->id,
          position % WORLD_NODES_MAX + 1);
    lane->cut = false;
    lane->closed = true;
    if (node->replica) { /* a repair has nothing on that lane */
        replica_disconnected(node->replica, position % WORLD_NODES_MAX + 1);
        world_observe(node);
        world_turn_soon(node);
    }
    world_plan(world, 1 + world_draw(world, DOMAIN_NETWORK, world->profile.packet_span_us * 4), EVENT_CONNECT,
               event->subject, lane->generation);
}

static void network_connect_lane(struct world *world, const struct event *event) {
    size_t position = event->subject % WORLD_LINKS;
    struct world_lane *lane = &world->links[position].lanes[TRANSPORT_ENTRIES];
    struct world_node *node = &world->nodes[position / WORLD_NODES_MAX];
    if (!lane->closed || event->argument != lane->generation)
        return;
    if (lane->blocked_us > world->now_us) {
        world_plan(world, lane->blocked_us - world->now_us, EVENT_CONNECT, event->subject, event->argument);
        return;
    }
    TRACE(world, "n%u connects its lane of entries to n%zu", (unsigned)node->id, position % WORLD_NODES_MAX + 1);
    lane->closed = false;
    if (!node->replica)
        return;
    replica_connected(node->replica, position % WORLD_NODES_MAX + 1);
    world_turn_soon(node);
}

void network_cut(struct world *world, size_t from, size_t to) {
    struct world_link *link = network_link(world, from, to);
    struct world_lane *lane = &link->lanes[TRANSPORT_ENTRIES];
    if (!link->open || link->broken || lane->cut || lane->closed)
        return;
    network_clear_lane(world, lane);
    lane->cut = true;
    world_plan(world, 1 + world_draw(world, DOMAIN_NETWORK, world->profile.heartbeat_ms * 3000), EVENT_NOTICE,
               TRANSPORT_ENTRIES * WORLD_LINKS + (uint64_t)(link - world->links), lane->generation);
}

void network_notice(struct world *world, const struct event *event) {
    if (event->subject >= WORLD_LINKS) {
        network_notice_lane(world, event);
        return;
    }
    const struct world_link *link = &world->links[event->subject];
    size_t from = event->subject / WORLD_NODES_MAX;
    size_t to = event->subject % WORLD_NODES_MAX;
    if (!link->broken || event->argument != link->generation)
        return;
    TRACE(world, "n%zu notices that its connection to n%zu is broken", from + 1, to + 1);
    network_lose(world, from, to, true);
    network_dial(world, from, to);
}

/* A node dials one that runs, which may have moved, or not want it. False: it is not taken. */
static bool network_welcome(struct world *world, size_t from, size_t to) {
    enum world_dial dial = world->profile.operators ? world_peers_dial(world, from, to) : WORLD_DIAL_TAKEN;
    if (dial == WORLD_DIAL_TAKEN)
        return true;
    if (dial == WORLD_DIAL_OTHERS)
        return false;
    struct world_link *link = network_link(world, from, to);
    link->waiting = true;
    world_plan(world, 1 + world_draw(world, DOMAIN_NETWORK, world->profile.heartbeat_ms * 5000), EVENT_CONNECT,
               (uint64_t)(link - world->links), 0);
    return false;
}

/* A machine that runs refuses connections to a process that has ended; one that does not run says nothing. */
static void network_refused(struct world *world, size_t from, size_t to) {
    struct world_node *node = &world->nodes[from];
    bool known = !world->profile.operators || world_peers_finds(world, from, to);
    if (!known || world->nodes[to].gone || world->nodes[to].lost_power || !node->replica)
        return;
    TRACE(world, "n%zu is refused by n%zu, whose process has ended", from + 1, to + 1);
    replica_down(node->replica, to + 1);
    world_observe(node);
    world_turn_soon(node);
}

void network_connect_event(struct world *world, const struct event *event) {
    if (event->subject >= WORLD_LINKS) {
        network_connect_lane(world, event);
        return;
    }
    struct world_link *link = &world->links[event->subject];
    size_t from = event->subject / WORLD_NODES_MAX;
    size_t to = event->subject % WORLD_NODES_MAX;
    /* Connecting takes packets both ways. */
    uint64_t back_us = network_link(world, to, from)->blocked_us;
    uint64_t blocked_us = link->blocked_us > back_us ? link->blocked_us : back_us;
    link->waiting = false;
    if (!world_alive(&world->nodes[from]))
        return;
    if (blocked_us > world->now_us) {
        link->waiting = true;
        world_plan(world, blocked_us - world->now_us, EVENT_CONNECT, event->subject, 0);
        return;
    }
    if (!world_alive(&world->nodes[to])) {
        network_refused(world, from, to);
        return;
    }
    if (link->open || !network_welcome(world, from, to))
        return;
    TRACE(world, "n%zu connects to n%zu", from + 1, to + 1);
    network_open(world, from, to);
}

void network_up(struct world *world, size_t position) {
    for (size_t i = 0; i < world->count; i++) {
        if (i == position || !network_present(world, i))
            continue;
        if (world->options.manual)
            world_connect(world, position, i);
        network_dial(world, position, i);
        network_dial(world, i, position);
    }
}

void network_down(struct world *world, size_t position) {
    for (size_t i = 0; i < world->count; i++) {
        if (i == position)
            continue;
        struct world_link *link = network_link(world, position, i);
        network_clear(world, link);
        link->open = false;
        link->broken = false;
        if (world->options.manual)
            network_lose(world, i, position, true);
        network_break(world, i, position);
    }
}
