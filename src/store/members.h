/* SPDX-License-Identifier: Apache-2.0
 *
 * What each member has said of itself: its name and client URLs, by its id. Not
 * part of the key space, and no revision of it.
 */
#ifndef LASH_STORE_MEMBERS_H
#define LASH_STORE_MEMBERS_H

#include "store/arena.h"
#include "store/view.h"

/* Note what `member` says. Errors: LASH_NOMEM, LASH_CORRUPT, LASH_IO, LASH_FULL. */
int members_put(struct view *view, const struct store_member *member);

/* All members that have said something, by their ids, copied into `arena`. Errors: as members_put. */
int members_list(struct view *view, struct store_arena *arena, const struct store_member **members, size_t *count);

/* Hand each one's command to `take`, by their ids, until it returns an error. Errors: those of `take`, and as members_put. */
int members_each(struct view *view, int (*take)(void *context, struct store_bytes command), void *context);

#endif
