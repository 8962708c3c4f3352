/* SPDX-License-Identifier: Apache-2.0
 *
 * Records: what each revision wrote, and the history that leads from a key to its
 * older records.
 *
 * Errors of all functions here: LASH_NOT_FOUND (where it says so), LASH_NOMEM,
 * LASH_CORRUPT, LASH_IO, LASH_FULL.
 */
#ifndef LASH_STORE_RECORD_H
#define LASH_STORE_RECORD_H

#include "store/view.h"

/* A record's bytes lie in the database here: until the next write in a writing view, else until the view ends. */

/* The record's fields as a client sees them; the bytes stay where they are. */
struct store_kv record_kv(const struct record *record);

/* The record of `revision`; a missing one is LASH_CORRUPT, as only known revisions are asked for. */
int record_get(struct view *view, struct revision revision, struct record *record);

/* The first record at or behind `from`. LASH_NOT_FOUND: there is none. */
int record_seek(struct view *view, struct revision from, struct record *record);

/* Add the record, which is behind all others. Its key and value must not lie in the database. */
int record_append(struct view *view, const struct record *record);

/* Remove the record; LASH_OK too when it is not there. */
int record_remove(struct view *view, struct revision revision);

/* The key's older revisions: note that one is no longer the newest; forget one (LASH_OK too when it is not there); find
 * the newest of them at or before `main` (LASH_NOT_FOUND: there is none). */
int history_add(struct view *view, uint64_t id, struct revision revision, bool tombstone);
int history_remove(struct view *view, uint64_t id, struct revision revision);
int history_find(struct view *view, uint64_t id, int64_t main, struct revision *revision, bool *tombstone);

#endif
