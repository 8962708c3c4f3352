/* SPDX-License-Identifier: Apache-2.0
 *
 * What is searched: from where, and how far at each of the named bounds.
 */
#ifndef LASH_CHECK_SCENARIO_H
#define LASH_CHECK_SCENARIO_H

#include "check/model.h"
#include "check/space.h"

enum scenario_bound { SCENARIO_SMALL, SCENARIO_DEFAULT, SCENARIO_LARGE, SCENARIO_BOUNDS };

#define SCENARIO_LOG_MAX 6
#define SCENARIO_APPENDS_MAX 4

/* A node's disk at the start. */
struct scenario_disk {
    uint8_t term;
    uint8_t vote;
    uint8_t log[SCENARIO_LOG_MAX]; /* terms of its entries; 0: none */
};

/* An APPEND in flight at the start, of a leadership that is over or that began elsewhere. */
struct scenario_append {
    uint8_t from;
    uint8_t to;
    uint8_t term; /* 0: no message */
    uint8_t prev_index;
    uint8_t prev_term;
    uint8_t round;
    uint8_t log[SCENARIO_LOG_MAX]; /* terms of its entries, from prev_index + 1 on; 0: none */
};

struct scenario {
    const char *name;
    const char *about;
    struct scenario_disk disks[MODEL_NODES_MAX]; /* all zero: empty ones */
    uint8_t committed;                           /* entries committed before */
    uint8_t floor;                               /* of which all nodes know so many */
    struct scenario_append appends[SCENARIO_APPENDS_MAX];
    struct model_bounds bounds[SCENARIO_BOUNDS]; /* terms count from the highest of the disks; nodes 0: not searched */
};

/* All scenarios, ended by one without a name. */
extern const struct scenario scenarios[];

/* The name of a bound, or NULL from SCENARIO_BOUNDS on. */
const char *scenario_bound_name(unsigned bound);

/* What is wrong with these bounds, or NULL. */
const char *scenario_wrong(const struct model_bounds *bounds);

/* The bounds as the model has them: with terms counted from 0. */
struct model_bounds scenario_bounds(const struct scenario *scenario, const struct model_bounds *bounds);

/* The initial state. False when memory ran out. */
bool scenario_start(const struct scenario *scenario, struct space *space, uint32_t *state);

#endif
