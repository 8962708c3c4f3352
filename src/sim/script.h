/* SPDX-License-Identifier: Apache-2.0
 *
 * A course of events under way on a log, and a record of what must and what may be
 * found after a crash.
 */
#ifndef LASH_SIM_SCRIPT_H
#define LASH_SIM_SCRIPT_H

#include <stdbool.h>

#include "sim/course.h"
#include "sim/kit.h"

/* states[0] is the empty log; each modification that is tried adds one. */
struct script {
    const struct course *course;
    struct log_options options;
    struct log *log;
    struct kit_state states[COURSE_STEPS_MAX + 1];
    size_t at;     /* the step that comes next */
    size_t done;   /* modifications that succeeded */
    size_t tried;  /* done, or done + 1 when the last one failed */
    size_t synced; /* modifications that are durable for certain */
    bool lost;     /* opening found less than was done before closing: the course is over */
    bool begun;    /* the log was opened once: its identity is durable for certain */
};

/* A course, the caller's, on a disk; asserts that memory is there. */
struct script *script_new(const struct vfs *vfs, const struct course *course);
void script_free(struct script *script);

/* All steps that are left, until one fails; returns its error, and leaves script->at there: run again to try it again.
 * Errors: those of the log; LASH_UNKNOWN with script->lost. */
int script_run(struct script *script);

/* Something else than the failed step: save a vote in a new term, and sync. Errors: those of the log. */
int script_vote(struct script *script);

/* Open a log and read all of it, and find which of the states `low` .. `high` it has: *found. On success *log is the
 * caller's. Returns log_open's or log_read's error, or LASH_UNKNOWN when the log has none of these states. */
int script_find(const struct log_options *options, const struct kit_state *states, size_t low, size_t high,
                struct log **log, size_t *found);

#endif
