/* SPDX-License-Identifier: Apache-2.0
 *
 * One run: a seed, a number of events, and then the healing. The same settings give
 * the same run, bit for bit.
 */
#ifndef LASH_SIM_RUN_H
#define LASH_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/profile.h"

enum { RUN_ONLY_MAX = 4096 };

struct run_settings {
    uint64_t seed;
    uint64_t events; /* before the healing */
    uint32_t nodes;
    const char *profile;
    bool without[FAULT_KINDS]; /* kinds that do not happen */
    bool forbid[FAULT_KINDS];  /* kinds that count as a broken invariant, to try the tools out */
    uint64_t *only;            /* faults with times of their own: those of these numbers alone; NULL: all */
    size_t only_count;
    bool trace;
    FILE *faults; /* where the number of each fault carried out goes, as text; NULL: nowhere */
};

struct run_result {
    uint64_t events;
    uint64_t simulated_us;
    uint64_t commits;
    uint64_t done;
    uint64_t reads;
    uint64_t packets;
    uint64_t starts;
    uint64_t repairs;   /* of damaged logs */
    uint64_t snapshots; /* taken or got */
    uint64_t installed; /* logs that went on from a peer's */
    uint64_t restored;  /* state machines */
    uint64_t changes;   /* of the membership */
    uint64_t removals;  /* nodes that noticed theirs */
    uint64_t stuck;     /* runs that lost too many members to end */
    uint64_t parts;     /* of commands, but for the last ones, in leaders' logs */
    uint64_t hollow;    /* entries in witnesses' logs that lack their data */
    uint64_t violations;
    uint64_t hash;
    uint64_t cpu_us;
    uint64_t faults[FAULT_KINDS];
    char invariant[16]; /* the one that was broken, or "" */
    char what[240];
};

/* The world without its run: whether the settings make sense. */
bool run_known_profile(const char *name);

/* Whether faults of this profile have numbers; those of bare cores have none. */
bool run_numbers_faults(const char *profile);

/* Carry it out. An invariant that is broken ends the process: what must be said is said by `ended` with the result so
 * far, and the exit code is 1. */
void run(const struct run_settings *settings, struct run_result *result,
         void (*ended)(const struct run_settings *settings, const struct run_result *result));

/* The same in a process of its own: false when an invariant was broken. */
bool run_apart(const struct run_settings *settings, struct run_result *result);

/* What a process that ended with this status, and not by itself, leaves of its run. */
void run_died(int status, struct run_result *result);

/* What is said of a failure, on stderr. */
void run_print_failure(const struct run_settings *settings, const struct run_result *result);

/* The last line. */
void run_print_json(const struct run_settings *settings, const struct run_result *result, const char *seeds);

/* Add up. */
void run_add(struct run_result *sum, const struct run_result *result);

/* What this process has worked so far. */
uint64_t run_clock_us(void);

#endif
