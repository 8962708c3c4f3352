/* SPDX-License-Identifier: Apache-2.0
 *
 * A fixed course of events for a log, with votes, appends, truncations, rolling
 * over, trimming, recycling and reopening, and a record of what must and what
 * may be found after each crash.
 */
#ifndef LASH_TEST_STORAGE_SCRIPT_H
#define LASH_TEST_STORAGE_SCRIPT_H

#include "kit.h"

enum { SCRIPT_STATES_MAX = 96 };

/* A course under way. states[0] is the empty log; each modification that is tried adds one. */
struct script {
    struct log_options options;
    struct log *log;
    struct kit_state states[SCRIPT_STATES_MAX];
    size_t done;   /* modifications that succeeded */
    size_t tried;  /* done, or done + 1 when the last one failed */
    size_t synced; /* modifications that are durable for certain */
};

/* A course on a disk; asserts that memory is there. */
struct script *script_new(const struct vfs *vfs);
void script_free(struct script *script);

/* How many steps there are. */
size_t script_length(void);

/* Carry out step `i`, which on success is never to be repeated, and after an error may be. Errors: those of the log. */
int script_step(struct script *script, size_t i);

/* All steps, from `i` on, until one fails; returns its error and leaves *i at it. */
int script_run(struct script *script, size_t *i);

/* Open the log on a healthy disk, and find which state it has: *found. Returns log_open's error, or LASH_UNKNOWN when
 * the log has a state that it must not have: one that is older than what was synced, or that never was. */
int script_find(struct script *script, size_t *found);

/* Close the log and say that its present state, `found`, is the last one and durable. */
void script_settle(struct script *script, size_t found);

#endif
