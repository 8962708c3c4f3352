/* SPDX-License-Identifier: Apache-2.0
 *
 * Range: finding, filtering, sorting and limiting keys at a revision.
 */
#ifndef LASH_STORE_RANGE_H
#define LASH_STORE_RANGE_H

#include "store/record.h"

/* Whether the view can answer for `revision`: STORE_OK, STORE_FUTURE_REVISION or STORE_COMPACTED. */
enum store_error range_check_revision(const struct view_state *state, int64_t revision);

/* Carry out `range`, whose revision was checked, as of `now` when it names none. What is found is copied into `arena`, unless the view lends it.
 * Errors: LASH_NOMEM, LASH_CORRUPT, LASH_IO. */
int range_run(struct view *view, const struct store_range *range, int64_t now, struct store_arena *arena,
              struct store_range_result *result);

/* Copy a record's fields and bytes (the value only if `with_value`) into `arena`. Errors: LASH_NOMEM. */
int range_copy(struct store_arena *arena, const struct record *record, bool with_value, struct store_kv *kv);

#endif
