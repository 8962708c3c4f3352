/* SPDX-License-Identifier: Apache-2.0
 *
 * The invariants, named as in docs/protocol.md. Each function says whether all is
 * well; if not, the verdict names the invariant. Pure functions of the states.
 */
#ifndef LASH_CHECK_JUDGE_H
#define LASH_CHECK_JUDGE_H

#include "check/model.h"

/* E1, E2, E3, L1, L5, L6, L7 as far as one node's step shows them; `restarted`: a crash lies between the two. */
bool judge_step(const struct model_node *before, const struct model_node *after, bool restarted,
                struct model_verdict *verdict);

/* E2, E3: `message` leaves `node`. */
bool judge_send(const struct model_node *node, const struct model_message *message, struct model_verdict *verdict);

/* What a step of one node means for the cluster. */
struct judge_case {
    uint32_t count;                                  /* of nodes */
    uint32_t acting;                                 /* whose step it was: nodes[acting] */
    const struct model_node *before;                 /* that node before the step */
    const struct model_node *nodes[MODEL_NODES_MAX]; /* after the step */
    bool restarted;
    bool configured; /* the step was a change of the membership, asked for */
    const struct model_bounds *bounds;
};

/* E1, L2, L3, L4, L6, L7, C1 to C5, D1, W1, W2: and bring the ghosts up to date. */
bool judge_cluster(const struct judge_case *judged, struct model_ghost *ghost, struct model_verdict *verdict);

/* R1: read `read` is answered at `node` with `index`; 0: refused. */
bool judge_read(const struct model_node *node, const struct model_ghost *ghost, uint32_t read, lash_index index,
                struct model_verdict *verdict);

/* Record that an invariant is broken; returns false. */
bool judge_broken(struct model_verdict *verdict, const char *invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
