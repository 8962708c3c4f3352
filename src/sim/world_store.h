/* SPDX-License-Identifier: Apache-2.0
 *
 * lashd's store as the state machine of a simulated node: LMDB files in a scratch
 * directory, operations drawn at random, and what must hold of their results.
 */
#ifndef LASH_SIM_WORLD_STORE_H
#define LASH_SIM_WORLD_STORE_H

#include "sim/world.h"

/* Open the node's store, which must be where its machine was. */
void world_store_open(struct world_node *node);

/* Its process has died: the file stays as it is; or its machine has lost power: the file cannot be trusted. */
void world_store_die(struct world_node *node, bool power);

/* Close it in order. */
void world_store_close(struct world_node *node);

/* The next operation, encoded, into `data` of `max` bytes; its size. */
size_t world_store_draw(struct world *world, uint8_t *data, size_t max);

/* Apply commands, each of which has `skip` bytes before the operation. `digests` gets a hash of each one's result. Errors:
 * those of the store; then nothing of it took place. */
int world_store_apply(struct world_node *node, const struct lash_command *commands, size_t count, lash_index last,
                      size_t skip, uint64_t *digests);

/* The store's part in a snapshot of the machine, which has applied up to `index`: pin its state, write it, let it go; replace its
 * state by what comes. Errors: those of struct lash_state_machine's functions. */
int world_store_pin(struct world_node *node, lash_index index);
int world_store_write(struct world_node *node, struct lash_snapshot_sink *sink);
void world_store_unpin(struct world_node *node);
int world_store_restore(struct world_node *node, struct lash_snapshot_source *source, lash_index index);

/* X2, R1: a read that began when `floor` was committed is served now. */
void world_store_read(struct world_node *node, lash_index floor);

/* X2: stores that have applied the same hold the same. */
void world_store_compare(struct world *world);

/* Remove the scratch directory. */
void world_store_clean(struct world *world);

#endif
