/* SPDX-License-Identifier: Apache-2.0
 *
 * Witnesses in the simulated world (W1). Their logs hold entries without data, and the
 * judge is to know these for the entries that they stand for: the first log that an
 * entry comes to is a leader's, which holds all of it. Whatever a witness is sent and
 * writes is looked at on its way.
 */
#ifndef LASH_SIM_WORLD_HOLLOW_H
#define LASH_SIM_WORLD_HOLLOW_H

#include "node/wire.h"
#include "sim/world.h"

/* An entry of a checked frame, as the judge is to see it, whether its data is there or not. */
struct world_entry {
    lash_term term;
    uint32_t kind;
    uint64_t digest;
};

/* What an entry in a log of the node's is. */
struct world_entry world_hollow_entry(const struct world_node *node, const struct frame *frame,
                                      const struct frame_entry *entry);

/* The node's core has got this entry: a witness gets no data, and all others get all of it. */
void world_hollow_got(struct world_node *node, const struct frame *frame, const struct frame_entry *entry,
                      const struct world_entry *told);

/* Likewise what is sent to it. */
void world_hollow_sent(const struct world_node *node, lash_id peer, const struct wire_head *head,
                       struct buf *const *tails, size_t count);

/* Up to where a node has applied what was committed: a witness does so without a state machine. */
lash_index world_hollow_applied(const struct world_node *node);

void world_hollow_free(struct world *world);

#endif
