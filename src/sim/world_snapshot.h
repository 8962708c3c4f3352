/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots in the simulated world: the state machine's, their folder on the simulated
 * disk, and what a start finds there. A snapshot that is durable takes the place of a
 * log on disk that does not hold its last entry, at the next start at the latest; so
 * from then on that disk counts as what was committed up to there.
 */
#ifndef LASH_SIM_WORLD_SNAPSHOT_H
#define LASH_SIM_WORLD_SNAPSHOT_H

#include "sim/world.h"

/* A log on disk: the first `kept` entries of one, and those of another behind. */
struct world_disk {
    const struct judge_log *base;
    uint64_t kept;
    const struct judge_log *suffix; /* may be NULL */
};

/* The plain state machine's part: struct lash_state_machine has them. */
int snapshot_machine_begin(void *context, lash_index index, void **view);
int snapshot_machine_write(void *context, void *view, struct lash_snapshot_sink *sink);
void snapshot_machine_end(void *context, void *view);
int snapshot_machine_restore(void *context, struct lash_snapshot_source *source, lash_index index);

/* The node's replica takes snapshots, if the profile says so. */
void world_snapshot_options(const struct world_node *node, struct replica_options *options);

/* Open the folder of a node whose log was opened, and let the log go on from it. Errors: those of joiner_join. */
int world_snapshot_open(struct world_node *node, struct log_recovered *recovered);
void world_snapshot_close(struct world_node *node);

/* S1, D3: the node has opened its folder, or finished a job: which snapshots it has. */
void world_snapshot_look(struct world_node *node);

/* S2: the journal's job has forgotten entries of the log. */
void world_snapshot_trimmed(struct world_node *node);

/* The log that was found begins behind entries that only a snapshot holds: those. */
void world_disk_begin(struct world_node *node, const struct log_recovered *recovered, struct judge_log *found);

/* Whether a start on this disk finds `found`, with the newest snapshot of now. */
bool world_disk_finds(const struct world_node *node, const struct world_disk *disk, const struct judge_log *found);

/* The term and vote that a start makes of these. */
void world_disk_term(const struct world_node *node, lash_term *term, lash_id *vote);

/* The log on disk is this now; or it was dropped, and goes on behind a snapshot. */
void world_disk_started(struct world_node *node, const struct judge_log *found);
void world_disk_written(struct world_node *node, uint64_t kept, const struct judge_log *suffix);
void world_disk_reset(struct world_node *node, lash_index index, lash_term term);

/* A bit of one of the node's snapshots flips on disk. False: it has none. */
bool world_snapshot_rot(struct world_node *node, uint64_t number, uint64_t place);

#endif
