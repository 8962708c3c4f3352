/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's directory: made, locked, and rid of a database that cannot be trusted.
 */
#ifndef LASH_STORE_DIR_H
#define LASH_STORE_DIR_H

/* The database, and one that is yet to take its place; beside each, its lock file, whose name ends in "-lock". */
#define DIR_DATABASE "store.mdb"
#define DIR_RESTORED "store.mdb.new"

/* Make `dir` if missing, lock it, and decide by the marker whether its database survived; one that may not have is deleted.
 * On return the marker says, durably, "open in this boot". *lock is a descriptor to give to dir_close.
 * Errors: LASH_NOMEM, LASH_IO, LASH_BUSY, LASH_VERSION, LASH_FULL; with a log line. */
int dir_open(const char *dir, int *lock);

/* Delete what a restore has left unfinished. Errors: LASH_NOMEM, LASH_IO. */
int dir_delete_restored(const char *dir);

/* Unlock. */
void dir_close(int lock);

#endif
