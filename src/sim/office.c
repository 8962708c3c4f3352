/* SPDX-License-Identifier: Apache-2.0
 *
 * After the faults the office must come to who should have it (P5): to a voter whose
 * disk is not slow, and of these to one with the highest priority. In some runs the leader's
 * disk turns slow for good then: it must notice, and hand over.
 */
#include "base/assert.h"
#include "node/replica_state.h"
#include "sim/world.h"

enum {
    OFFICE_ELECTIONS_MAX = 150, /* two pauses of the protocol (raft/priority.c), and time to notice */
    OFFICE_REST_ELECTIONS = 20, /* for so long nothing may move then */
    OFFICE_LIMIT_MS = 100,      /* the least that makes a disk slow, and the part of the election timeout that does: */
    OFFICE_LIMIT_PART = 4,      /* see node/slowness.c */
};

static uint64_t office_election_us(const struct world *world) {
    return world->profile.heartbeat_ms * 10000;
}

/* Whether all running nodes follow one leader, that is the right one, and the disk of no voter that could lead is taken any more for what it was during
 * the faults: whom a slow disk kept from leading may be the right one a little later. */
static bool office_is_right(struct world *world) {
    size_t leader = world_known_leader(world);
    if (leader == world->count || world->outstanding)
        return false;
    const struct lash_raft_status *status = &world->nodes[leader].replica->status;
    uint32_t highest = 0, own = 0;
    bool others = false;
    for (uint32_t i = 0; i < status->configuration.count; i++) {
        const struct lash_member *member = &status->configuration.members[i];
        const struct world_node *node = &world->nodes[member->id - 1];
        if (!node->replica || (member->flags & LASH_MEMBER_VOTER) == 0 || node->witness)
            continue;
        if (node->replica->status.slow != (node->slowness > 1))
            return false;
        if (node->replica->status.slow)
            continue;
        others = true;
        highest = member->priority > highest ? member->priority : highest;
        own = member->id == status->id ? member->priority + 1 : own;
    }
    return !others || own == highest + 1;
}

/* Steps for so long, with a command now and then: a disk that nobody writes to is neither slow nor fast. */
static void office_pass(struct world *world, uint64_t us) {
    for (uint64_t end_us = world->now_us + us; world->now_us < end_us;) {
        size_t leader = world_known_leader(world);
        if (leader < world->count && !world->outstanding)
            (void)world_propose(world, leader);
        uint64_t next_us = world->now_us + world->profile.heartbeat_ms * 1000;
        while (world->now_us < next_us && world_step(world))
            continue;
    }
    world_quiet(world);
}

/* Its writes take twice what makes a disk slow, on average. */
static void office_slow_down(struct world *world, size_t position) {
    uint64_t limit_us = world->profile.heartbeat_ms * 10000 / OFFICE_LIMIT_PART;
    if (limit_us < (uint64_t)OFFICE_LIMIT_MS * 1000)
        limit_us = (uint64_t)OFFICE_LIMIT_MS * 1000;
    uint64_t usual_us = world->profile.disk_us + world->profile.disk_span_us / 2;
    world->nodes[position].slowness = 1 + 2 * limit_us / usual_us;
    TRACE(world, "SLOW: n%zu's disk takes %llu times as long as usual from now on", position + 1,
          (unsigned long long)world->nodes[position].slowness);
}

static void office_wait(struct world *world) {
    uint64_t begun_us = world->now_us;
    while (!office_is_right(world)) {
        if (world->now_us > begun_us + office_election_us(world) * OFFICE_ELECTIONS_MAX)
            world_fail(world, "P5", "the office has not come to who should have it within %d election timeouts",
                       OFFICE_ELECTIONS_MAX);
        office_pass(world, office_election_us(world));
    }
}

/* The replica that all follow. */
static const struct replica *office_holder(struct world *world) {
    const struct replica *replica = world->nodes[world_leader(world)].replica;
    LASH_ASSERT(replica);
    return replica;
}

/* The leader's disk turns slow: it must notice, and let another lead. */
static void office_lose_a_disk(struct world *world) {
    const struct replica *leader = office_holder(world);
    uint64_t end_us = world->now_us + office_election_us(world) * OFFICE_ELECTIONS_MAX;
    office_slow_down(world, (size_t)leader->options.id - 1);
    while (!leader->status.slow) {
        if (world->now_us > end_us)
            world_fail(world, "P5", "n%u does not notice that its disk is slow", (unsigned)leader->options.id);
        office_pass(world, office_election_us(world));
    }
    office_wait(world);
}

/* Whether the others are a majority: else each election needs a vote from the slow disk, for which nobody waits that long. */
static bool office_can_spare(struct world *world, const struct replica *leader) {
    uint32_t voters = 0, others = 0;
    for (uint32_t i = 0; i < leader->status.configuration.count; i++) {
        const struct lash_member *member = &leader->status.configuration.members[i];
        bool votes = (member->flags & LASH_MEMBER_VOTER) != 0;
        voters += votes;
        others += votes && member->id != leader->options.id && world->nodes[member->id - 1].replica;
    }
    return 2 * others > voters;
}

void world_office(struct world *world) {
    if (world->tally.stuck)
        return;
    office_wait(world);
    if (world->profile.slow_for_good && office_can_spare(world, office_holder(world)))
        office_lose_a_disk(world);
    lash_term term = office_holder(world)->status.term;
    office_pass(world, office_election_us(world) * OFFICE_REST_ELECTIONS);
    if (office_holder(world)->status.term != term)
        world_fail(world, "P5", "the office moved on from who should have it");
    for (size_t i = 0; i < world->count; i++)
        world->nodes[i].slowness = 1;
}
