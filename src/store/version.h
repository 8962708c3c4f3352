/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster's version: a record of the table of members, under an id that no
 * member has, so that it is in every image of the store. The record is the command
 * that raised it, as it came through the log.
 */
#ifndef LASH_STORE_VERSION_H
#define LASH_STORE_VERSION_H

#include "store/view.h"

/* Raise it, if it is lower. Errors: LASH_NOMEM, LASH_CORRUPT, LASH_IO, LASH_FULL, LASH_VERSION. */
int version_raise(struct view *view, uint32_t version);

/* What it is. Errors: LASH_CORRUPT, LASH_NOMEM, LASH_IO, LASH_VERSION. */
int version_get(const struct view *view, uint32_t *version);

/* Whether a key of the table of members is the record's. */
bool version_is_record(MDB_val key);

#endif
