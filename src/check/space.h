/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of a cluster and the steps between them: which events can happen in
 * a state, what each leads to, and the fingerprint that is the same for states that
 * differ only in what the nodes are called.
 */
#ifndef LASH_CHECK_SPACE_H
#define LASH_CHECK_SPACE_H

#include "check/model.h"
#include "check/replica.h"

#define SPACE_MESSAGES_MAX 24
#define SPACE_WORDS_MAX (MODEL_NODES_MAX + 1 + SPACE_MESSAGES_MAX)

/* A state is space_words() words: the nodes' numbers, the ghosts', and those of the messages in flight, sorted, the
 * free places last and 0. */

/* In an event, beside enum replica_kind: a message is lost (without the reduction only). */
#define SPACE_LOSE 15

struct space;

/* A step to another state, or to a broken invariant. */
struct space_step {
    uint32_t acting; /* position of the node */
    uint32_t event;  /* REPLICA_EVENT, or SPACE_LOSE as its kind */
    const uint32_t *state;
    uint64_t fingerprint;
    uint32_t spent;
    const struct model_verdict *verdict; /* NULL: all is well */
};

/* NULL when memory ran out. */
struct space *space_new(const struct model_bounds *bounds, enum model_fault fault);
void space_free(struct space *space);

uint32_t space_words(const struct space *space);

/* The state in which all nodes have just started, with these disks (id, disk_ fields, commit) and what was committed
 * before. False when memory ran out. */
bool space_start(struct space *space, const struct model_node *disks, const struct model_ghost *ghost, uint32_t *state);

/* Put a message into an initial state. False when memory ran out. */
bool space_start_message(struct space *space, const struct model_message *message, uint32_t *state);

/* Whether the initial state itself is sound. */
bool space_judge(struct space *space, const uint32_t *state, struct model_verdict *verdict);

/* Every step that can be taken in `state` and changes something, in an order that depends on the state alone. `visit` returns
 * false to end the walk. What a step points to is valid during the visit. False when memory ran out. */
bool space_expand(struct space *space, const uint32_t *state,
                  bool (*visit)(void *context, const struct space_step *step), void *context);

/* Whether a message can never again have an effect on `node`, given its sender. */
bool space_inert(const struct space *space, const struct model_message *message, const struct model_node *from,
                 const struct model_node *node);

/* Try on every node seen so far every message seen so far that is inert there: the reduction left them out because they
 * have no effect. Counts the trials. */
bool space_audit(struct space *space, uint64_t *audited, struct model_verdict *verdict);

uint64_t space_fingerprint(struct space *space, const uint32_t *state);
/* What of the bounds was spent, FINGERPRINTS_SPENT; with the reduction a state is left out if one of its fingerprint is there
 * for which no more was spent. Without it this is 0, and the fingerprint tells such states apart. */
uint32_t space_spent(const struct space *space, const uint32_t *state);
/* A fingerprint of the nodes and ghosts alone but for what was spent, with symmetric ones taken as one whatever the bounds
 * say: neither symmetry nor the reduction may change the set of these. */
uint64_t space_projection(struct space *space, const uint32_t *state);

const struct model_node *space_node(const struct space *space, const uint32_t *state, uint32_t position);
const struct model_ghost *space_ghost(const struct space *space, const uint32_t *state);
const struct model_message *space_message(const struct space *space, uint32_t number);
const struct model_bounds *space_bounds(const struct space *space);

/* Steps not taken because a node would have had more writes under way than the bound. */
uint64_t space_clipped(const struct space *space);
struct replicas *space_replicas(struct space *space);
size_t space_memory(const struct space *space);

#endif
