/* SPDX-License-Identifier: Apache-2.0
 *
 * Compaction. It takes effect at once: reads before its revision are refused from
 * then on. What it made obsolete is removed a little with every command that follows,
 * so that no command takes long, and by the commands rather than by time or batch, so
 * that every replica holds the same at the same index.
 */
#ifndef LASH_STORE_COMPACT_H
#define LASH_STORE_COMPACT_H

#include "store/view.h"

/* Carry out the request; the refusal, if any, is in *refusal. Errors: LASH_NOMEM, LASH_CORRUPT, LASH_IO, LASH_FULL. */
int compact_run(struct view *view, const struct store_compaction *compaction, enum store_error *refusal);

/* Go on with the removal for one command. To be called after each. Errors: as compact_run. */
int compact_step(struct view *view);

#endif
