/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening the LMDB file and its tables, and translating LMDB's errors.
 */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/logger.h"

enum {
    DB_TABLES = 4,
    DB_READERS_MAX = 512,       /* reads at the same time */
    DB_KEY_BYTES = 511,         /* what the tables rely on */
    DB_ROOM_BYTES = 1 << 20,    /* less than this free: the disk is full. LMDB hardly gives the system more at once */
    DB_MAPPED_KEPT = 4 << 20,   /* bytes of the file that may stay mapped in when nobody needs them */
    DB_MAPPED_RATE = 256 << 20, /* bytes let go of a second: to map them in again takes 32 ms of a processor */
};

int db_error(int error) {
    switch (error) {
    case MDB_SUCCESS:
        return LASH_OK;
    case MDB_NOTFOUND:
        return LASH_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return LASH_FULL;
    case ENOMEM:
        return LASH_NOMEM;
    case MDB_READERS_FULL:
    case EBUSY:
    case EAGAIN:
        return LASH_BUSY;
    case MDB_VERSION_MISMATCH:
        return LASH_VERSION;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC:
    case MDB_INCOMPATIBLE:
        return LASH_CORRUPT;
    default:
        return LASH_IO;
    }
}

int db_write_error(const struct db *db, int rc) {
    mdb_filehandle_t file;
    struct statvfs disk;
    if (rc != LASH_IO || mdb_env_get_fd(db->env, &file) || fstatvfs(file, &disk))
        return rc;
    return (uint64_t)disk.f_bavail * disk.f_frsize < DB_ROOM_BYTES ? LASH_FULL : rc;
}

static MDB_val db_format_key(void) {
    static const char name[] = "format";
    return (MDB_val){.mv_size = sizeof name - 1, .mv_data = (void *)(uintptr_t)name};
}

/* What the format's number says. */
struct db_format {
    uint32_t layout;
    uint32_t version;
};

enum { DB_VERSION_MASK = (1 << DB_VERSION_BITS) - 1 };
_Static_assert((int)DB_VERSION_NEWEST <= (int)DB_VERSION_MASK, "the layout lies above the version");

/* Not an error: the file's layout is older than this program's. */
enum { DB_OLDER = 1 };

static int db_put_version(MDB_txn *txn, MDB_dbi meta, uint32_t version) {
    uint8_t bytes[4];
    le32_put(bytes, (uint32_t)DB_LAYOUT << DB_VERSION_BITS | version);
    MDB_val key = db_format_key(), value = {.mv_size = sizeof bytes, .mv_data = bytes};
    return db_error(mdb_put(txn, meta, &key, &value, 0));
}

static int db_get_format(MDB_txn *txn, MDB_dbi meta, struct db_format *format) {
    MDB_val key = db_format_key(), value;
    int rc = db_error(mdb_get(txn, meta, &key, &value));
    if (rc)
        return rc;
    if (value.mv_size != 4)
        return LASH_CORRUPT;
    uint32_t number = le32_get(value.mv_data);
    *format = (struct db_format){.layout = number >> DB_VERSION_BITS, .version = number & DB_VERSION_MASK};
    return format->version ? LASH_OK : LASH_CORRUPT;
}

/* Check the format of an existing file, which may be DB_OLDER; write it to a new one. */
static int db_check_format(MDB_txn *txn, MDB_dbi meta) {
    struct db_format format;
    int rc = db_get_format(txn, meta, &format);
    if (rc == LASH_NOT_FOUND)
        return db_put_version(txn, meta, DB_VERSION_FIRST);
    if (rc)
        return rc;
    if (format.layout > DB_LAYOUT || format.version > DB_VERSION_NEWEST)
        return LASH_VERSION;
    return format.layout < DB_LAYOUT ? DB_OLDER : LASH_OK;
}

int db_raise_version(const struct db *db, MDB_txn *txn, uint32_t version) {
    struct db_format present;
    LASH_ASSERT(version <= DB_VERSION_NEWEST);
    int rc = db_get_format(txn, db->meta, &present);
    return rc || present.version >= version ? rc : db_put_version(txn, db->meta, version);
}

static int db_open_tables(struct db *db) {
    struct {
        const char *name;
        MDB_dbi *dbi;
    } tables[] = {{"meta", &db->meta}, {"keys", &db->keys}, {"revisions", &db->revisions}, {"members", &db->members}};
    _Static_assert(sizeof tables / sizeof tables[0] == DB_TABLES, "LMDB is told how many there are");
    MDB_txn *txn;
    int rc = db_error(mdb_txn_begin(db->env, NULL, 0, &txn));
    if (rc)
        return rc;
    for (size_t i = 0; i < DB_TABLES && rc == 0; i++)
        rc = db_error(mdb_dbi_open(txn, tables[i].name, MDB_CREATE, tables[i].dbi));
    if (rc == 0)
        rc = db_check_format(txn, db->meta);
    if (rc == 0)
        return db_error(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return rc;
}

static int db_open_env(struct db *db, const char *path, uint64_t map_bytes) {
    int rc = mdb_env_create(&db->env);
    if (rc) {
        db->env = NULL;
        return db_error(rc);
    }
    if ((rc = mdb_env_set_maxdbs(db->env, DB_TABLES)) || (rc = mdb_env_set_maxreaders(db->env, DB_READERS_MAX)) ||
        (rc = mdb_env_set_mapsize(db->env, map_bytes)) ||
        (rc = mdb_env_open(db->env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD, 0600)))
        return db_error(rc);
    LASH_ASSERT(mdb_env_get_maxkeysize(db->env) >= DB_KEY_BYTES);
    /* A killed process leaves its readers behind, which would keep old pages from being used again. */
    int dead;
    mdb_filehandle_t file;
    if ((rc = mdb_reader_check(db->env, &dead)) || (rc = mdb_env_get_fd(db->env, &file)))
        return db_error(rc);
    footprint_open(&db->footprint, file, DB_MAPPED_KEPT, DB_MAPPED_RATE);
    return db_open_tables(db);
}

/* Take a file of an older layout away; only the one who holds the directory's lock opens it. */
static int db_delete(const char *path) {
    static const char *const ends[] = {"", "-lock"};
    size_t size = strlen(path) + sizeof "-lock";
    char *name = mem_alloc(size);
    if (!name)
        return LASH_NOMEM;
    int rc = LASH_OK;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0] && rc == 0; i++) {
        snprintf(name, size, "%s%s", path, ends[i]);
        if (unlink(name) && errno != ENOENT)
            rc = LASH_IO;
    }
    mem_free(name);
    return rc;
}

int db_open(struct db *db, const char *path, uint64_t map_bytes) {
    *db = (struct db){.footprint.statm = -1};
    int rc = db_open_env(db, path, map_bytes);
    if (rc == DB_OLDER) {
        log_warn("store: an earlier version wrote the database, which is rebuilt from snapshot and log",
                 F_STR("path", path));
        db_close(db);
        *db = (struct db){.footprint.statm = -1};
        rc = db_delete(path);
        if (rc == 0)
            rc = db_open_env(db, path, map_bytes);
        LASH_ASSERT(rc != DB_OLDER);
    }
    if (rc == 0)
        return LASH_OK;
    log_error("store: cannot open the database", F_STR("path", path), F_ERR(rc));
    db_close(db);
    return rc;
}

int db_sync(struct db *db) {
    return db_error(mdb_env_sync(db->env, 1));
}

int db_check(const struct db *db) {
    mdb_filehandle_t file;
    int rc = mdb_env_get_fd(db->env, &file);
    if (rc)
        return db_error(rc);
    /* Only an error of writing counts: a file system may lack the call. */
    bool failed = sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) != 0;
    return failed && (errno == EIO || errno == ENOSPC || errno == EDQUOT) ? LASH_IO : LASH_OK;
}

void db_close(struct db *db) {
    footprint_close(&db->footprint);
    if (db->env)
        mdb_env_close(db->env);
    *db = (struct db){0};
}

int db_sizes(const struct db *db, MDB_txn *txn, uint64_t *size, uint64_t *size_in_use) {
    /* LMDB numbers its own tables: 0 is the list of free pages, 1 the list of tables. */
    const MDB_dbi tables[] = {0, 1, db->meta, db->keys, db->revisions, db->members};
    uint64_t pages = 2; /* the two meta pages */
    MDB_stat stat = {0};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        int rc = mdb_stat(txn, tables[i], &stat);
        if (rc)
            return db_error(rc);
        pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    mdb_filehandle_t file;
    struct stat file_stat;
    int rc = mdb_env_get_fd(db->env, &file);
    if (rc)
        return db_error(rc);
    if (fstat(file, &file_stat))
        return LASH_IO;
    *size = (uint64_t)file_stat.st_size;
    *size_in_use = pages * stat.ms_psize;
    return LASH_OK;
}

int db_count(MDB_txn *txn, MDB_dbi table, uint64_t *count) {
    MDB_stat stat;
    int rc = mdb_stat(txn, table, &stat);
    *count = rc ? 0 : stat.ms_entries;
    return db_error(rc);
}

uint64_t db_size_max(const struct db *db) {
    MDB_envinfo info;
    return mdb_env_info(db->env, &info) == 0 ? info.me_mapsize : 0;
}

uint64_t db_extent(const struct db *db) {
    MDB_envinfo info;
    MDB_stat stat;
    bool known = mdb_env_info(db->env, &info) == 0 && mdb_env_stat(db->env, &stat) == 0;
    return known ? (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize : 0;
}
