/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a history of the whole store can be put into one order that respects real time
 * and in which the store (revision_model.h) would have given the same answers.
 *
 * Where answers tell revisions, all is judged together, and the revisions
 * lead the search: what answered with a revision can only come when the store is there, and between two
 * known ones only operations of unknown outcome can fill in. Where no revision is told, operations
 * that share no keys are judged apart.
 */
#ifndef LASH_LINEAR_REVISION_LINEAR_H
#define LASH_LINEAR_REVISION_LINEAR_H

#include "linear/linear.h"
#include "linear/revision_history.h"

/* An operation that would have to come next where a search failed, and why it cannot. */
struct revision_obstacle {
    const struct revision_op *op;
    const char *why;
    const struct revision_op *behind; /* one that could not come any more after it; NULL: `why` says all */
};

/* How far the search got that failed, for people. */
struct revision_trouble {
    size_t judged;                     /* operations judged together, of which */
    size_t done;                       /* so many found a place, at most */
    int64_t revision;                  /* the store's then */
    struct revision_obstacle next[16]; /* as far as there is room */
    size_t next_count;
};

/* Judge the history of a store that was empty at `revision`. With LINEAR_NO, *trouble tells where it fails. */
enum linear_verdict revision_check(const struct revision_history *history, int64_t revision,
                                   const struct linear_limits *limits, struct revision_trouble *trouble);

#endif
