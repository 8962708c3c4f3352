/* SPDX-License-Identifier: Apache-2.0
 *
 * The marker beside the database: whether the database can be trusted.
 *
 * Nothing in the database is synced while it is open. It survives the end of its
 * process, whose writes the kernel holds, but not the end of the kernel, nor a sync
 * that fails: what the kernel could not write it drops. The marker says which boot of
 * the machine the database was last opened in, and whether it was synced and closed since.
 */
#ifndef LASH_STORE_MARKER_H
#define LASH_STORE_MARKER_H

#include <stdbool.h>

enum marker_state {
    MARKER_MISSING, /* no marker: what there is of a database is of unknown origin */
    MARKER_CLEAN,   /* synced and closed */
    MARKER_SAME,    /* not closed, but opened since the machine was started */
    MARKER_OTHER,   /* not closed, and the machine was started since; or which boot it was is not known */
};

/* Read the marker of `dir`. One that makes no sense is MARKER_MISSING.
 * Errors: LASH_IO, LASH_VERSION (written by a newer version). */
int marker_read(const char *dir, enum marker_state *state);

/* Replace the marker, durably, by "open in this boot" or "clean", before this returns; the one before stays valid until
 * then. Errors: LASH_IO, LASH_FULL, LASH_NOMEM. */
int marker_write(const char *dir, bool clean);

/* Take the marker away, so that nothing vouches for the database any more. Errors: LASH_IO, LASH_NOMEM. */
int marker_remove(const char *dir);

/* Make the names in `dir` durable. Errors: as marker_write. */
int marker_sync_dir(const char *dir);

/* `dir`/`name`, mem_free'd by the caller; NULL when memory ran out. */
char *marker_path(const char *dir, const char *name);

#endif
