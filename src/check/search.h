/* SPDX-License-Identifier: Apache-2.0
 *
 * Breadth-first search over a space, from given initial states: every state
 * within the bounds is visited once, the nearest first, so the first
 * broken invariant has a shortest way to it.
 */
#ifndef LASH_CHECK_SEARCH_H
#define LASH_CHECK_SEARCH_H

#include <stdio.h>

#include "check/space.h"

struct search_limits {
    uint64_t states; /* 0: none; so are the others */
    uint32_t depth;
    double seconds;
    size_t memory;    /* bytes */
    double progress;  /* seconds between two lines about it; 0: no lines */
    bool projections; /* count them, too */
    const char *name; /* for those lines */
};

/* Why a search ended. */
enum search_end {
    SEARCH_COMPLETE = 0, /* every state within the bounds was visited */
    SEARCH_VIOLATION,
    SEARCH_STATES, /* a limit was reached */
    SEARCH_DEPTH,  /* every state within so many steps was visited */
    SEARCH_TIME,
    SEARCH_MEMORY, /* the limit, or no more to be had */
};

struct search_result {
    enum search_end end;
    uint64_t states;      /* different ones, symmetric ones taken as one */
    uint64_t transitions; /* steps that change something */
    uint64_t steps;       /* different steps of the core that they were made of */
    uint64_t stuck;       /* states with messages in flight in which nothing can happen that changes anything */
    uint64_t clipped;     /* steps beyond the bound on writes under way */
    uint64_t projections; /* different nodes and ghosts, messages aside, and a hash of their set */
    uint64_t projections_hash;
    uint64_t frontier; /* states that were visited, but not all that they lead to */
    uint32_t depth;    /* every state within so many steps was visited; of a complete search: steps to the farthest */
    double seconds;
    size_t memory;
    struct model_verdict verdict;
};

struct search;

/* NULL when memory ran out. The space stays the caller's. */
struct search *search_new(struct space *space, const struct search_limits *limits);
void search_free(struct search *search);

/* An initial state, before search_run. False when memory ran out. */
bool search_add(struct search *search, const uint32_t *state);

void search_run(struct search *search, struct search_result *result);

/* After a violation: the way to it. `show` gets each step's number, from 0 for the initial state (`step` NULL), the states before
 * and after (the same at the last step, which leads to the violation), and the step. */
void search_retrace(struct search *search,
                    void (*show)(void *context, uint32_t number, const uint32_t *before, const struct space_step *step),
                    void *context);

#endif
