/* SPDX-License-Identifier: Apache-2.0
 *
 * What the schedules of bare cores share: random ones (core_run.c), and those in
 * which time passes evenly (core_lease.c).
 */
#ifndef LASH_SIM_CORE_SCHEDULE_H
#define LASH_SIM_CORE_SCHEDULE_H

#include "sim/core.h"

enum {
    CORE_WEIGHT_MAX = 512,
    CORE_CHANCES = 32,
    CORE_DRIFT_MAX = 250, /* per mille that clocks may be off */
    CORE_AHEAD_MAX = 5000,
    CORE_PRIORITIES = 3, /* from 0 on */
};

struct core_schedule {
    struct core *core;
    const struct run_settings *settings;
    struct run_result *result;
    uint32_t weights[CORE_CHANCES];
    uint64_t weight;                          /* their sum */
    uint8_t table[CORE_WEIGHT_MAX];           /* each chance as often as it weighs */
    bool reorder;                             /* packets are taken from anywhere, else in the order of sending */
    struct core_packet aside[CORE_ASIDE_MAX]; /* packets that come much later */
    uint32_t aside_count;

    /* core_lease.c: what may happen in each millisecond, one time in so many; 0: it does not. */
    uint64_t arrive;
    uint64_t written;
    uint64_t isolate;
    uint64_t mend;
    uint64_t crash;
    uint64_t start;
    uint64_t transfer;
    uint64_t hint;
    uint64_t configure;
    uint64_t propose;
    uint64_t disaster;
    uint64_t strike_ms; /* when the one under way strikes; 0: none is */
    uint64_t late;      /* of a packet: it comes much later */
    uint64_t pause;
    bool paused[CORE_NODES_MAX + 1]; /* by id: the process stands still */
};

/* ---- core_run.c ----------------------------------------------------------------------------------- */

/* A fault happens. */
void core_count(struct core_schedule *schedule, enum fault fault);

/* Some number below. */
uint64_t core_draw(struct core *core, uint64_t below);

/* Somebody who is up, or down; NULL: nobody is. */
struct core_node *core_some_node(struct core *core, bool up);

void core_start_some(struct core *core);

/* One of the packets set aside arrives. */
void core_arrive(struct core_schedule *schedule);

void core_isolate(struct core *core, lash_id id, bool cut);
void core_configure_some(struct core *core, struct core_node *node);

/* An event of `type` about the node `id`. */
void core_with_id(struct core *core, struct core_node *node, uint32_t type, lash_id id);

/* ---- core_lease.c --------------------------------------------------------------------------------- */

/* Other delays and faults from now on. */
void core_lease_regime(struct core_schedule *schedule);

/* A millisecond passes. */
void core_lease_moment(struct core_schedule *schedule);

#endif
