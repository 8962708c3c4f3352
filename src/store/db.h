/* SPDX-License-Identifier: Apache-2.0
 *
 * The LMDB file and its four tables:
 *
 *   meta       "format" -> see below; "state" -> struct view_state (view.h)
 *   keys       a key, cut into chunks -> its newest revision (index.h)
 *   revisions  main, sub -> what was written then: the key, its value, its numbers (record.h)
 *   members    a member's id -> what it says of itself (members.h)
 *
 * A value is stored once, under its revision. Nothing is held in memory.
 *
 * The format is one number, layout << DB_VERSION_BITS | version. The *layout* says
 * which tables there are and what lies in them; the *version* what log and data may
 * hold besides, which is the cluster's version (version.h). The rules:
 *
 *   - a program refuses a file whose layout or version is newer than it knows. Layout 0
 *     was the version alone, so that the programs of that time refuse every later layout;
 *   - a file of an older layout is not read but made anew, empty: it is a cache of
 *     snapshot and log, and goes as one does that cannot be trusted (dir.h);
 *   - a change of the tables takes the next layout; a command that older programs do
 *     not know takes the next version, which the members agree upon first.
 *
 * Layout 0 had a table `history` beside the records; 1 had their chain (record.h)
 * without posts.
 */
#ifndef LASH_STORE_DB_H
#define LASH_STORE_DB_H

#include <lmdb.h>
#include <stdint.h>

#include "lash/error.h"
#include "store/footprint.h"

enum { DB_LAYOUT = 2, DB_VERSION_BITS = 8, DB_VERSION_FIRST = 1, DB_VERSION_NEWEST = 2 };

struct db {
    MDB_env *env;
    struct footprint footprint;
    MDB_dbi meta;
    MDB_dbi keys;
    MDB_dbi revisions;
    MDB_dbi members;
};

/* Open or create the file `path` (and `path`-lock); one of an older layout is deleted first, with a log line. Nothing that is
 * written is synced before db_sync. Only one struct db per file and process. Errors: LASH_NOMEM, LASH_IO, LASH_BUSY, LASH_CORRUPT, LASH_VERSION, LASH_FULL; with a log line. */
int db_open(struct db *db, const char *path, uint64_t map_bytes);

/* Bring all that was committed to the disk. Errors: LASH_IO, LASH_FULL. */
int db_sync(struct db *db);

/* Whether the system got to the disk what it tried to write of the file since it was opened, or looked at so last: waits for what
 * is on its way and writes nothing. After a failure it may drop the page, and read an older one in its place. Errors: LASH_IO. */
int db_check(const struct db *db);
void db_close(struct db *db);

/* LMDB's or the system's error as a lash_error; MDB_NOTFOUND is LASH_NOT_FOUND. */
int db_error(int error);

/* What a failed transaction that writes is to be called. The system writes what fits when the disk fills up, and LMDB calls a
 * short write EIO, so that LASH_IO on a disk without room is LASH_FULL. Should it have been an error of the disk all the same,
 * then nothing is lost by trying again: nothing of the transaction took place, and once there is room, the error is told. */
int db_write_error(const struct db *db, int rc);

/* Bytes of the file, and bytes of it that hold data, as `txn` sees them. Errors: as db_error. */
int db_sizes(const struct db *db, MDB_txn *txn, uint64_t *size, uint64_t *size_in_use);

/* What the file may grow to, and what of it is in use or was. */
uint64_t db_size_max(const struct db *db);
uint64_t db_extent(const struct db *db);

/* Make the file one that only a program which knows `version` opens, unless it is one already. Errors: as db_error,
 * LASH_CORRUPT. */
int db_raise_version(const struct db *db, MDB_txn *txn, uint32_t version);

/* Entries of one table. Errors: as db_error. */
int db_count(MDB_txn *txn, MDB_dbi table, uint64_t *count);

#endif
