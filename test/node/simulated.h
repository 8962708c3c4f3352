/* SPDX-License-Identifier: Apache-2.0
 *
 * Replicas in the simulator's world, where a test does what an operator would: there
 * are no faults and no clients but the test's, and all that replicas say, write,
 * apply and acknowledge is judged as it happens.
 */
#ifndef LASH_TEST_NODE_SIMULATED_H
#define LASH_TEST_NODE_SIMULATED_H

#include "sim/world.h"

enum { SIMULATED_STEPS_MAX = 1000000 };

/* `count` nodes, running and connected. An invariant that is broken fails the test. */
struct world *new_world(size_t count, uint64_t seed);

/* The same, with state machines that take snapshots when asked to, and send them in pieces of 64 bytes. */
struct world *new_snapshot_world(size_t count, uint64_t seed);

/* The same, whose membership changes (sim/operator.h). */
struct world *new_members_world(size_t count, uint64_t seed);

/* The same, of which only the first node runs; the test speaks for the others. */
struct world *new_puppet_world(size_t count, uint64_t seed);

/* Stop it in order, and free it. */
void free_world(struct world *world);

struct lash_status status_of(const struct world *world, size_t position);

/* A number below `below` from the world's seed. */
uint64_t draw(struct world *world, uint64_t below);

/* Let time pass. */
void run_ms(struct world *world, uint64_t ms);

/* Steps until the condition holds, which must be soon. */
#define STEPS_UNTIL(world, condition)                                                                                  \
    do {                                                                                                               \
        for (int steps = 0; !(condition); steps++) {                                                                   \
            assert_true(steps < SIMULATED_STEPS_MAX);                                                                  \
            assert_true(world_step(world));                                                                            \
        }                                                                                                              \
    } while (0)

#endif
