/* SPDX-License-Identifier: Apache-2.0
 *
 * Courses of events for a log, as tables of steps: one that was thought out, and
 * any number that are drawn from a seed.
 */
#ifndef LASH_SIM_COURSE_H
#define LASH_SIM_COURSE_H

#include <stddef.h>
#include <stdint.h>

#include "lash/raft.h"

enum { COURSE_STEPS_MAX = 96 };

enum course_action {
    COURSE_OPEN,
    COURSE_VOTE,        /* a: term, b: vote */
    COURSE_APPEND,      /* a: first index, b: count, of `term` and `size` each */
    COURSE_APPEND_VOTE, /* likewise, with `term` and a vote in the same append */
    COURSE_BATCH,       /* likewise, as `frames` frames that follow one another in one append */
    COURSE_DIRECT,      /* likewise, written past the cache by whoever appends, and synced */
    COURSE_SYNC,
    COURSE_MARK,
    COURSE_TRIM,    /* a: index */
    COURSE_INSTALL, /* a: index, of `term`, of another replica's snapshot */
    COURSE_READ,
    COURSE_CLOSE,
};

struct course_step {
    enum course_action action;
    uint64_t a;
    uint64_t b;
    lash_term term;
    size_t size;
    uint32_t frames;
};

struct course {
    const char *dir; /* the log's directory; those above it may be missing, too */
    struct course_step steps[COURSE_STEPS_MAX];
    size_t count;
};

/* Votes, appends, truncations, rolling over, trimming, recycling and reopening, each where it hurts. */
void course_fixed(struct course *course);

/* The like, by chance. */
void course_draw(struct course *course, uint64_t seed);

#endif
