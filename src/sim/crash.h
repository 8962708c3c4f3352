/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's crash enumerator: it carries out a course of events on the production
 * log, stops the machine after every operation on the disk, and for every
 * outcome (which unsynced sectors, sizes and directory entries survive, and how) demands
 * that recovery gives back what was durable and nothing that never was.
 */
#ifndef LASH_SIM_CRASH_H
#define LASH_SIM_CRASH_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/memfs.h"

struct crash_options {
    uint64_t seed;
    uint64_t limit;        /* at each operation all outcomes up to so many, else a sample of that size */
    uint64_t nested_limit; /* likewise at each operation of recovery */
    uint64_t nested_every; /* recovery is stopped, too, for one outcome in so many; 0: never */
    /* For tests: what makes a disk lie. NULL: none. */
    void (*lie)(struct vfs *vfs);
    /* Called now and then; false: stop. NULL: none. */
    bool (*progress)(void *context);
    void *context;
    bool quiet; /* count violations, but do not print them */
};

struct crash_counts {
    uint64_t courses;
    uint64_t operations; /* of the courses on the disk */
    uint64_t crashes;    /* of them those that changed something: moments to stop the machine at */
    uint64_t exhausted;  /* of the crashes those of which all outcomes were tried */
    uint64_t outcomes;   /* disks that a restart found */
    uint64_t nested;     /* of the outcomes those of a crash during recovery, or right after it */
    uint64_t faults;     /* failed operations that a course was made to meet with */
    uint64_t recoveries;
    uint64_t violations;
};

/* Stop the machine everywhere in course `number`: 0 is the fixed one, others follow from the number and the seed. With
 * `operation`, only before that one. */
void crash_course(const struct crash_options *options, uint64_t number, uint64_t operation,
                  struct crash_counts *counts);

/* Let every `every`-th operation of the course (0: only one), from the `first` on (1: the first), fail in each way, and
 * stop the machine or the process at the operations that follow. */
void crash_faults(const struct crash_options *options, uint64_t number, uint64_t first, uint64_t every,
                  struct crash_counts *counts);

/* The program: "lash-sim crash ...". Exit code 0: no violation; 1: some, printed with how to see them again;
 * 2: wrong usage. The last line of standard output is JSON with the counts. */
int crash_main(int argc, const char **argv);

#endif
