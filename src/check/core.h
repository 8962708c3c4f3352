/* SPDX-License-Identifier: Apache-2.0
 *
 * The consensus core's block as the model keeps it: in canonical form, as the
 * words in which it differs from that of a fresh node. The only file of the checker
 * that knows what is inside the block.
 */
#ifndef LASH_CHECK_CORE_H
#define LASH_CHECK_CORE_H

#include "check/model.h"
#include "lash/raft.h"

/* The time at which every event happens but those that say that time has passed (core_deadline). */
#define CORE_NOW ((uint64_t)1000000)

struct cores;

/* Cores under these bounds; NULL when memory ran out. */
struct cores *cores_new(const struct model_bounds *bounds);
void cores_free(struct cores *cores);

/* Bytes that a packed core takes at most. */
size_t cores_packed_max(const struct cores *cores);

/* A block of its own for the core of `id`. Owned by `cores`, one at a time. It starts from the disk_ fields of `disk`, and from its
 * commit, which it knows to be committed. */
struct lash_raft *core_start(struct cores *cores, lash_id id, const struct model_node *disk, uint64_t read_context);
struct lash_raft *core_unpack(struct cores *cores, lash_id id, const void *packed, size_t size);

/* Bring to canonical form and pack; returns the bytes used. */
size_t core_pack(struct cores *cores, struct lash_raft *raft, void *packed);

/* What the canonical form must not forget but the driver has to know: fill the part of `node` that shows its core. */
void core_show(const struct lash_raft *raft, struct model_node *node);

/* The same of its membership. False: it goes by a configuration that there cannot be. */
bool core_show_roster(const struct cores *cores, const struct lash_raft *raft, struct model_node *node);

/* The hash of a packed core in which node `id` is called to[id]. */
uint64_t core_hash(struct cores *cores, lash_id id, const void *packed, size_t size, const uint8_t *to);

/* What time can bring. */
enum core_deadline {
    CORE_ELECTION,  /* not a leader: the election timeout */
    CORE_HEARTBEAT, /* leader: the next heartbeat, with answers of a quorum fresh */
    CORE_QUORUM,    /* leader: no answers of a quorum for an election timeout */
    CORE_READ,      /* follower: the leader's answer to reads does not come */
};

/* Let the time of a transfer under way be over at CORE_NOW. */
void core_give_up(struct lash_raft *raft);

/* When that is due, in canonical form. */
uint64_t core_deadline(enum core_deadline deadline);

#endif
