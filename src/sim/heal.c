/* SPDX-License-Identifier: Apache-2.0
 *
 * After the faults: everything that can start starts, all connections come back,
 * and within a bounded time there must be a leader, all must have applied the same,
 * and requests must be taken everywhere again (P2).
 */
#include "node/replica_state.h"
#include "sim/operator.h"
#include "sim/world_hollow.h"
#include "sim/world_session.h"
#include "sim/world_store.h"

enum {
    HEAL_ELECTIONS_MAX = 50,   /* election timeouts for all to come together; a request may take 20 to end unsure */
    HEAL_LOOK_EVERY = 32,      /* events */
    HEAL_APART_ELECTIONS = 20, /* that two nodes are apart before others are asked for something */
};

size_t world_known_leader(const struct world *world) {
    lash_id leader = 0;
    for (size_t i = 0; i < world->count; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (!replica || !operator_counts(world, i))
            continue;
        if (replica->status.leader == 0 || (leader != 0 && replica->status.leader != leader))
            return world->count;
        leader = replica->status.leader;
    }
    return leader != 0 && world->nodes[leader - 1].replica ? (size_t)leader - 1 : world->count;
}

/* Whether the last packet on one of the link's lanes was delayed by a fault: all behind it are late as well, so that a window that
 * is full stays full, and the log is trimmed beyond it. */
static bool heal_late(const struct world *world, const struct world_link *link) {
    uint64_t usual_us = world->profile.packet_us + world->profile.packet_span_us;
    for (size_t i = 0; i < TRANSPORT_LANES; i++)
        if (link->lanes[i].last_us > world->now_us + usual_us)
            return true;
    return false;
}

/* Whether all running nodes reach one another. What is handed to a connection that broke and whose sender is yet to notice is
 * lost, and the request that it carried may well end unsure. */
static bool heal_connected(struct world *world) {
    for (size_t from = 0; from < world->count; from++) {
        for (size_t to = 0; to < world->count; to++) {
            bool running = from != to && world->nodes[from].replica && world->nodes[to].replica &&
                           operator_counts(world, from) && operator_counts(world, to);
            const struct world_link *link = network_link(world, from, to);
            const struct world_lane *entries = &link->lanes[TRANSPORT_ENTRIES];
            if (running && (!link->open || link->broken || entries->cut || entries->closed || heal_late(world, link)))
                return false;
        }
    }
    return true;
}

/* What a node that is to have come together with the others lacks; NULL: nothing. */
static const char *heal_lacks(const struct world *world, size_t position, lash_index last) {
    const struct world_node *node = &world->nodes[position];
    if (node->gone || !operator_counts(world, position) || (node->repair && world_repair_is_hopeless(node)))
        return NULL;
    if (!node->replica)
        return node->repair ? "a part of its log" : "a process";
    if (replica_error(node->replica))
        return "a part in it";
    if (node->replica->status.commit != last)
        return "what was committed";
    return world_hollow_applied(node) != last ? "what was to be applied" : NULL;
}

/* Whether every node that is not gone runs, reaches the others, has applied its leader's whole log, and no request is open.
 * Else what is not so, and of whom. */
static bool heal_looks(struct world *world, const char **lacks, size_t *whom) {
    size_t leader = world_known_leader(world);
    *whom = world->count;
    *lacks = leader == world->count   ? "a leader known to all"
             : world->outstanding     ? "the end of a request"
             : !heal_connected(world) ? "a connection"
                                      : operator_lacks(world);
    for (size_t i = 0; !*lacks && i < world->count; i++) {
        *lacks = heal_lacks(world, i, world->nodes[leader].replica->status.last_index);
        *whom = i;
    }
    return !*lacks;
}

static bool heal_converged(struct world *world) {
    const char *lacks;
    size_t whom;
    return heal_looks(world, &lacks, &whom);
}

static bool heal_quiet(struct world *world) {
    return world->outstanding == 0;
}

_Noreturn static void heal_failed(struct world *world, const char *what) {
    const char *lacks;
    size_t whom;
    if (heal_looks(world, &lacks, &whom))
        lacks = "nothing by now";
    world_fail(world, "P2", "%s within %d election timeouts: n%zu lacks %s", what, HEAL_ELECTIONS_MAX, whom + 1, lacks);
}

/* So long the newest snapshot may take to reach a node, again and again as newer ones take its place. */
static uint64_t heal_sending_us(const struct world *world) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < world->count && world->profile.snapshot_rate; i++)
        if (world->nodes[i].newest.bytes > bytes)
            bytes = world->nodes[i].newest.bytes;
    return bytes ? 3 * bytes * 1000000 / world->profile.snapshot_rate : 0;
}

/* Steps until `reached`, looked for after every so many events, or P2 is broken. */
static void heal_wait(struct world *world, bool (*reached)(struct world *world), uint64_t every, const char *what) {
    uint64_t end_us = world->now_us + world->profile.heartbeat_ms * 10000 * HEAL_ELECTIONS_MAX;
    for (uint64_t i = 0; i % every != 0 || !reached(world); i++) {
        bool goes_on = world->now_us <= end_us + heal_sending_us(world) && world_step(world);
        if (!goes_on && world->profile.operators && operator_is_stuck(world)) {
            TRACE(world, "STUCK: most voters are gone");
            world->tally.stuck = 1;
            return;
        }
        if (!goes_on)
            heal_failed(world, what);
    }
}

static void heal_start(struct world *world) {
    for (size_t i = 0; i < world->count; i++)
        if (!world_alive(&world->nodes[i]) && !world->nodes[i].gone)
            (void)world_start(world, i);
    for (size_t i = 0; i < world->count; i++)
        if (world_alive(&world->nodes[i]))
            network_up(world, i);
}

void world_ask_all(struct world *world) {
    uint64_t done = world->tally.done;
    uint64_t reads = world->tally.reads;
    size_t asked = 0;
    for (size_t i = 0; i < world->count; i++) {
        if (!world->nodes[i].replica || !operator_counts(world, i))
            continue;
        bool witness = world->nodes[i].witness;
        if (!witness || !world->sessions) /* a session's commands go elsewhere then */
            (void)world_propose(world, i);
        world_read(world, i);
        asked += !witness;
    }
    heal_wait(world, heal_converged, HEAL_LOOK_EVERY, "healed nodes did not carry out what they were asked for");
    if (!world->tally.stuck && (world->tally.done != done + asked || world->tally.reads != reads + asked))
        world_fail(world, "P2", "of %zu commands and reads at healed nodes %llu and %llu were carried out", asked,
                   (unsigned long long)(world->tally.done - done), (unsigned long long)(world->tally.reads - reads));
}

void world_heal(struct world *world) {
    TRACE(world, "HEAL");
    fault_end(world);
    if (world->profile.operators)
        operator_heal(world);
    heal_start(world);
    if (world->sessions)
        world_session_heal(world);
    heal_wait(world, heal_converged, HEAL_LOOK_EVERY, "the cluster did not come together");
    for (size_t i = 0; i < world->count; i++)
        if (!world->tally.stuck && world->nodes[i].replica && operator_counts(world, i) &&
            world_hollow_applied(&world->nodes[i]) < world->acknowledged)
            world_fail(world, "D1", "n%zu has applied %llu, and %llu was acknowledged", i + 1,
                       (unsigned long long)world_hollow_applied(&world->nodes[i]),
                       (unsigned long long)world->acknowledged);
    world_store_compare(world);
}

static void heal_cut(struct world *world, size_t a, size_t b, uint64_t until_us) {
    network_link(world, a, b)->blocked_us = until_us;
    network_link(world, b, a)->blocked_us = until_us;
    network_break(world, a, b);
    network_break(world, b, a);
}

static void heal_steps_until(struct world *world, uint64_t at_us) {
    while (world->now_us < at_us && world_step(world))
        continue;
}

void world_ask_apart(struct world *world) {
    size_t running[WORLD_NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < world->count; i++)
        if (world->nodes[i].replica && operator_votes(world, i))
            running[count++] = i;
    /* With only a majority left, one that misses another may be needed by it. */
    if (count < 3 || count < operator_members(world) || world->tally.stuck)
        return;
    /* Who is still behind, as its disk was slow until now, gets a snapshot, with which it is not known what became of a command. */
    heal_wait(world, heal_converged, HEAL_LOOK_EVERY, "a node that was slow did not catch up");
    uint64_t election_us = world->profile.heartbeat_ms * 10000;
    size_t a = (size_t)world_draw(world, DOMAIN_NETWORK, count);
    size_t b = (a + 1) % count;
    TRACE(world, "APART: n%zu and n%zu do not reach one another", running[a] + 1, running[b] + 1);
    heal_cut(world, running[a], running[b], world->now_us + election_us * HEAL_ELECTIONS_MAX * 2);
    heal_steps_until(world, world->now_us + election_us * HEAL_APART_ELECTIONS);
    uint64_t done = world->tally.done;
    uint64_t reads = world->tally.reads;
    size_t asked = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == a || i == b || world->nodes[running[i]].witness)
            continue;
        (void)world_propose(world, running[i]);
        world_read(world, running[i]);
        asked++;
    }
    heal_wait(world, heal_quiet, 1, "requests did not end while two nodes were apart");
    if (world->tally.done != done + asked || world->tally.reads != reads + asked)
        world_fail(world, "P2", "while two nodes were apart %llu and %llu of %zu commands and reads were carried out",
                   (unsigned long long)(world->tally.done - done), (unsigned long long)(world->tally.reads - reads),
                   asked);
}

static bool heal_led(struct world *world) {
    return world_known_leader(world) < world->count;
}

void world_quiet(struct world *world) {
    heal_wait(world, heal_quiet, 1, "requests did not end");
}

size_t world_leader(struct world *world) {
    heal_wait(world, heal_led, 1, "no leader was known to all");
    return world_known_leader(world);
}
