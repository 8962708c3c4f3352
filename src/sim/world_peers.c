/* SPDX-License-Identifier: Apache-2.0
 *
 * The peers of simulated nodes.
 */
#include "sim/world_peers.h"

#include <string.h>

#include "base/assert.h"
#include "node/replica_state.h"
#include "storage/log_recovery.h"

static struct world_peer *peers_of(struct world_node *node, lash_id peer) {
    LASH_ASSERT(peer >= 1 && peer <= node->world->count && peer != node->id);
    return &node->peers[peer - 1];
}

static int peers_add(void *context, lash_id id, const char *host, uint16_t port) {
    struct world_node *node = context;
    struct world_peer *peer = peers_of(node, id);
    bool known = peer->known;
    bool moves = known && peer->port != port;
    if (strcmp(host, WORLD_HOST) != 0 || port == 0)
        world_fail(node->world, "contract", "n%u is to dial n%u at %s:%u", (unsigned)node->id, (unsigned)id, host,
                   (unsigned)port);
    peer->known = true;
    peer->guest = false;
    peer->port = port;
    if (moves)
        network_lose(node->world, node->id - 1, id - 1, true);
    if (moves || !known)
        network_dial(node->world, node->id - 1, id - 1);
    return 0;
}

/* Nothing is heard from it any more, nor said to it, and nobody is told. */
static void peers_drop(struct world_node *node, lash_id id) {
    *peers_of(node, id) = (struct world_peer){0};
    network_lose(node->world, node->id - 1, id - 1, false);
    network_break(node->world, id - 1, node->id - 1);
}

static void peers_remove(void *context, lash_id id) {
    peers_drop(context, id);
}

static bool peers_heard(const struct world_node *node, lash_id id) {
    const struct world_link *link = network_link(node->world, id - 1, node->id - 1);
    return link->open && !link->broken;
}

static uint64_t peers_disk(void *context, lash_id id) {
    const struct world_node *node = context;
    return peers_heard(node, id) ? node->world->nodes[id - 1].directory : 0;
}

static void peers_expect(void *context, lash_id id, uint64_t disk) {
    struct world_node *node = context;
    if (disk != 0 && disk != node->world->nodes[id - 1].directory)
        world_fail(node->world, "C6", "n%u takes n%u to have had another disk", (unsigned)node->id, (unsigned)id);
    peers_of(node, id)->disk = disk;
}

static void peers_configured(void *context, lash_index committed, bool welcome) {
    struct world_node *node = context;
    node->strangers_told = committed;
    node->welcomes = welcome;
    for (size_t i = 0; !welcome && i < node->world->count; i++) {
        if (!node->peers[i].guest || node->peers[i].index > committed)
            continue;
        network_lose(node->world, node->id - 1, i, true);
        peers_drop(node, i + 1);
    }
}

/* Nobody is removed who is a member, or may yet be; who was is no part of what is committed (C6). */
static void peers_happened(void *context, const struct lash_observation *observation) {
    struct world_node *node = context;
    struct world *world = node->world;
    const struct lash_configuration *now = judge_governing(world->judge);
    if (observation->kind != LASH_OBSERVED_REMOVED)
        return;
    for (uint32_t i = 0; i < now->count; i++)
        if (now->members[i].id == node->id)
            world_fail(world, "C6", "n%u takes itself to be removed, and is a member", (unsigned)node->id);
    TRACE(world, "n%u knows that it was removed", (unsigned)node->id);
    world->tally.removals++;
    node->removed = true;
}

static void peers_stepped(void *context) {
    struct world_node *node = context;
    if (node->replica)
        world_observe(node);
}

void world_peers_begin(struct world_node *node) {
    node->env.add_peer = peers_add;
    node->env.remove_peer = peers_remove;
    node->env.disk = peers_disk;
    node->env.expect = peers_expect;
    node->env.configured = peers_configured;
    node->env.happened = peers_happened;
    node->env.stepped = peers_stepped;
}

void world_peers_end(struct world_node *node) {
    memset(node->peers, 0, sizeof node->peers);
    node->strangers_told = 0;
    node->welcomes = false;
}

static void peers_dial_roster(struct world_node *node, const struct roster *roster) {
    for (uint32_t i = 0; roster && i < roster->count; i++)
        if (roster->members[i].id != node->id)
            (void)peers_add(node, roster->members[i].id, roster->members[i].host, roster->members[i].port);
}

void world_peers_repair(struct world_node *node) {
    struct buf *buf;
    struct frame frame;
    struct frame_entry entry;
    struct roster *newest = NULL;
    size_t offset = 0;
    peers_dial_roster(node, node->contacts);
    if (log_find_newest(node->log, LASH_ENTRY_CONFIGURATION, &buf))
        return;
    bool more = frame_header(buf->data, &frame) == LASH_OK && frame_next(buf->data, &frame, &offset, &entry);
    while (more && frame_next(buf->data, &frame, &offset, &entry))
        continue;
    if (more && roster_decode(entry.data, entry.size, &newest) == LASH_OK)
        peers_dial_roster(node, newest);
    roster_unref(newest);
    buf_unref(buf);
}

bool world_peers_finds(const struct world *world, size_t from, size_t to) {
    const struct world_peer *peer = &world->nodes[from].peers[to];
    uint16_t port = world->nodes[to].port;
    return peer->known && (peer->port == port || peer->hint == port);
}

/* The one dialled does not know who dials, or not with this disk. */
static enum world_dial peers_refuse(struct world_node *dialler, const struct world_node *other, bool disk) {
    TRACE(dialler->world, "n%u is refused by n%u, %s", (unsigned)dialler->id, (unsigned)other->id,
          disk ? "as its disk is another" : "to which it is a stranger");
    if (!dialler->replica)
        return WORLD_DIAL_AGAIN;
    if (disk)
        replica_impostor(dialler->replica, other->id);
    else
        replica_stranger(dialler->replica, other->id, other->strangers_told);
    world_turn_soon(dialler);
    return WORLD_DIAL_AGAIN;
}

enum world_dial world_peers_dial(struct world *world, size_t from, size_t to) {
    struct world_node *dialler = &world->nodes[from];
    struct world_node *other = &world->nodes[to];
    struct world_peer *known = &other->peers[from];
    if (!dialler->peers[to].known)
        return WORLD_DIAL_OTHERS;
    if (!world_peers_finds(world, from, to))
        return WORLD_DIAL_NOBODY;
    lash_index index = dialler->welcomes ? 0 : dialler->strangers_told;
    if (!known->known && (other->welcomes || index > other->strangers_told))
        *known = (struct world_peer){.known = true, .guest = true, .port = dialler->port};
    if (!known->known)
        return peers_refuse(dialler, other, false);
    if (known->disk && known->disk != dialler->directory)
        return peers_refuse(dialler, other, true);
    known->hint = dialler->port;
    known->index = index;
    network_dial(world, to, from);
    return WORLD_DIAL_TAKEN;
}

uint64_t world_peers_features(const struct world *world, size_t from, size_t to) {
    return world->nodes[from].features & world->nodes[to].features;
}

/* The feature that a packet needs. */
static uint64_t peers_need(const struct wire_head *head) {
    const struct lash_message *message = &head->message;
    if (head->kind == WIRE_REPAIR_ASK || head->kind == WIRE_REPAIR_REPLY)
        return WIRE_REPAIR;
    if (head->kind == WIRE_SNAPSHOT_CHUNK || head->kind == WIRE_SNAPSHOT_ACK)
        return WIRE_SNAPSHOTS;
    if (head->kind != WIRE_MESSAGE)
        return 0;
    bool lease = (message->type == LASH_MSG_APPEND && message->append.promise) ||
                 (message->type == LASH_MSG_APPEND_REPLY && message->append_reply.promise_ms != 0) ||
                 (message->type == LASH_MSG_READ && message->read.lease);
    return message->type == LASH_MSG_SNAPSHOT ? WIRE_SNAPSHOTS : lease ? WIRE_LEASES : 0;
}

void world_peers_judge(const struct world_node *node, lash_id peer, const struct wire_head *head) {
    struct world *world = node->world;
    uint64_t need = peers_need(head);
    const struct world_link *link = network_link(world, node->id - 1, peer - 1);
    if (!link->broken && need != 0 && (world_peers_features(world, node->id - 1, peer - 1) & need) == 0)
        world_fail(world, "contract", "n%u sends n%u a packet of kind %u, which that does not know", (unsigned)node->id,
                   (unsigned)peer, (unsigned)head->kind);
}
