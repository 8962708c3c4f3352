/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator's world for tests of replicas.
 */
#include "simulated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void simulated_failed(void *context, const char *invariant, const char *what) {
    (void)context;
    fail_msg("invariant %s: %s", invariant, what);
}

static struct world *simulated_new(size_t count, size_t puppets, uint64_t seed) {
    struct world_options options = {
        .seed = seed, .nodes = count, .puppets = puppets, .failed = simulated_failed, .manual = true};
    profile_quiet(&options.profile);
    return world_new(&options);
}

struct world *new_world(size_t count, uint64_t seed) {
    return simulated_new(count, 0, seed);
}

static struct world *simulated_snapshots(size_t count, uint64_t seed, bool operators) {
    struct world_options options = {.seed = seed, .nodes = count, .failed = simulated_failed, .manual = true};
    profile_quiet(&options.profile);
    options.profile.snapshots = true;
    options.profile.snapshot_bytes_min = UINT64_MAX;
    options.profile.trailing_bytes = 1;
    options.profile.piece_bytes = 64;
    options.profile.operators = operators;
    return world_new(&options);
}

struct world *new_snapshot_world(size_t count, uint64_t seed) {
    return simulated_snapshots(count, seed, false);
}

struct world *new_members_world(size_t count, uint64_t seed) {
    return simulated_snapshots(count, seed, true);
}

struct world *new_puppet_world(size_t count, uint64_t seed) {
    return simulated_new(count, count - 1, seed);
}

void free_world(struct world *world) {
    world_free(world);
}

struct lash_status status_of(const struct world *world, size_t position) {
    struct lash_status status;
    replica_status(world->nodes[position].replica, &status);
    return status;
}

uint64_t draw(struct world *world, uint64_t below) {
    return world_draw(world, DOMAIN_CLIENT, below);
}

void run_ms(struct world *world, uint64_t ms) {
    uint64_t end_us = world->now_us + ms * 1000;
    while (world->now_us < end_us)
        if (!world_step(world)) /* nothing will ever happen */
            world->now_us = end_us;
}
