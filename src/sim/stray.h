/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes that go astray: they land, durably, at another place of the same file or
 * of another one, and where they belong nothing is written. Nobody notices before
 * the log is opened again. Then the damage is found, or there is none, or the
 * last appends are gone and nothing that is left says that they were there: damage to
 * what no later append claims cannot be told from a torn tail (docs/log-format.md).
 */
#ifndef LASH_SIM_STRAY_H
#define LASH_SIM_STRAY_H

#include "sim/world.h"

/* Of the writes of a node that runs, from now on, the n-th goes astray, to `offset` of the file `path`, where the log's position
 * is `position`; UINT64_MAX: the file is no segment. Once in a disk's life. */
void stray_plan(struct world_node *node, uint64_t n, const char *path, uint64_t offset, uint64_t position);

/* No longer: the disk is whole, unless something else has damaged it. */
void stray_cancel(struct world_node *node);

/* After any job: if the write has gone astray by now, it has landed on appends that were there. Whether it has. */
bool stray_landed(struct world_node *node);

/* Before and after the journal's job; `kept`: what it wrote counts. */
void stray_before(struct world_node *node);
void stray_after(struct world_node *node, bool kept);

/* A node's log was opened; `survived`: with the batch that was being written when it ended. */
void stray_started(struct world_node *node, bool survived);

/* Whether the log can have come to this by losing an append that a stray write hit, and what follows it, where nothing that was
 * not hit claims it. */
bool stray_excuses(const struct world_node *node, const struct world_state *found);

#endif
