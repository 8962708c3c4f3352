/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's directory: made, locked, and rid of a database that cannot be trusted.
 */
#ifndef LASH_STORE_DIR_H
#define LASH_STORE_DIR_H

/* Make `dir` if missing, lock it, and decide by the marker whether its database survived; one that may not have is deleted.
 * On return the marker says, durably, "open in this boot". *lock is a descriptor to give to dir_close.
 * Errors: LASH_NOMEM, LASH_IO, LASH_BUSY, LASH_VERSION, LASH_FULL; with a log line. */
int dir_open(const char *dir, int *lock);

/* Unlock. */
void dir_close(int lock);

#endif
