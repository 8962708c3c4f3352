/* SPDX-License-Identifier: Apache-2.0
 *
 * Scenarios searched, each in a process of its own, and their results.
 */
#ifndef LASH_CHECK_RUN_H
#define LASH_CHECK_RUN_H

#include <stdio.h>

#include "check/scenario.h"
#include "check/search.h"

/* One scenario under bounds. */
struct run {
    const struct scenario *scenario;
    struct model_bounds bounds; /* relative, as in the scenario */
    enum model_fault fault;
    struct search_result result;
    uint64_t audited; /* trials of the reduction's premise */
    bool done;        /* `result` is there; else the process ended otherwise */
    FILE *text;       /* what it has to say */
};

/* Search one scenario in this process; transcripts go to `file`. */
void run_here(struct run *run, const struct search_limits *limits, FILE *file);

/* Search all, `jobs` at a time, until `seconds` (0: none) have passed; each one's account is printed to `file` in order. False when a
 * process or file could not be had. */
bool run_all(struct run *runs, uint32_t count, uint32_t jobs, const struct search_limits *limits, FILE *file);

/* The last line: all results as JSON. */
void run_json(FILE *file, const struct run *runs, uint32_t count, const char *bound, double seconds);

/* 0: all held within the bounds; 1: a violation, or a process that did not end well; 3: incomplete. */
int run_status(const struct run *runs, uint32_t count);

#endif
