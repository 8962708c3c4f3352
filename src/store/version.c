/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster's version: see version.h.
 */
#include "store/version.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "store/store.h"

_Static_assert((int)DB_VERSION_NEWEST == (int)STORE_VERSION_NEWEST && (int)DB_VERSION_FIRST == (int)STORE_VERSION_FIRST,
               "a program that does not know the version does not open the file");

static const uint8_t version_key[8]; /* the id 0 */

static MDB_val version_name(void) {
    return (MDB_val){.mv_size = sizeof version_key, .mv_data = (void *)(uintptr_t)version_key};
}

bool version_is_record(MDB_val key) {
    return key.mv_size == sizeof version_key && memcmp(key.mv_data, version_key, sizeof version_key) == 0;
}

int version_get(const struct view *view, uint32_t *version) {
    MDB_val key = version_name(), value;
    struct store_op op;
    struct store_arena *arena;
    *version = STORE_VERSION_FIRST;
    int rc = db_error(mdb_get(view->txn, view->db->members, &key, &value));
    if (rc)
        return rc == LASH_NOT_FOUND ? LASH_OK : rc;
    rc = store_decode(value.mv_data, value.mv_size, &op, &arena);
    if (rc)
        return rc;
    if (op.type == STORE_RAISE)
        *version = op.raise.version;
    else
        rc = LASH_CORRUPT;
    store_arena_free(arena);
    return rc;
}

int version_raise(struct view *view, uint32_t version) {
    uint32_t present;
    LASH_ASSERT(view->writes && version <= STORE_VERSION_NEWEST); /* a newer one cannot be decoded */
    int rc = version_get(view, &present);
    if (rc || present >= version)
        return rc;
    struct store_op op = {.type = STORE_RAISE, .raise = {version}};
    uint8_t *record;
    size_t size;
    rc = store_encode(&op, &record, &size);
    if (rc)
        return rc;
    MDB_val key = version_name(), value = {.mv_size = size, .mv_data = record};
    rc = db_error(mdb_put(view->txn, view->db->members, &key, &value, 0));
    mem_free(record);
    return rc ? rc : db_raise_version(view->db, view->txn, version);
}
