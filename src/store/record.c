/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables `revisions` and `history`.
 */
#include "store/record.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "store/order.h"

enum {
    REVISION_BYTES = 8 + 4,
    HISTORY_BYTES = 8 + REVISION_BYTES,
    RECORD_BYTES = 1 + 8 + REVISION_BYTES + 3 * 8 + 4, /* then the key, then the value */
};

static void revision_put(uint8_t *at, struct revision revision) {
    be64_put(at, (uint64_t)revision.main);
    be32_put(at + 8, revision.sub);
}

static struct revision revision_get(const uint8_t *at) {
    return (struct revision){.main = (int64_t)be64_get(at), .sub = be32_get(at + 8)};
}

struct store_kv record_kv(const struct record *record) {
    return (struct store_kv){
        .key = record->key,
        .value = record->value,
        .create_revision = record->create_revision,
        .mod_revision = record->revision.main,
        .version = record->version,
        .lease = record->lease,
    };
}

static int record_decode(struct revision revision, MDB_val value, struct record *record) {
    struct reader reader = reader_make(value.mv_data, value.mv_size);
    record->revision = revision;
    record->tombstone = read_u8(&reader) != 0;
    record->id = read_u64(&reader);
    const uint8_t *previous = read_bytes(&reader, REVISION_BYTES);
    record->create_revision = (int64_t)read_u64(&reader);
    record->version = (int64_t)read_u64(&reader);
    record->lease = (int64_t)read_u64(&reader);
    record->key.size = read_u32(&reader);
    record->key.data = read_bytes(&reader, record->key.size);
    if (reader.failed)
        return LASH_CORRUPT;
    record->previous = revision_get(previous);
    record->value = (struct store_bytes){.data = reader.at, .size = reader_left(&reader)};
    return LASH_OK;
}

int record_get(struct view *view, struct revision revision, struct record *record) {
    uint8_t name[REVISION_BYTES];
    revision_put(name, revision);
    MDB_val key = {.mv_size = sizeof name, .mv_data = name}, value;
    int rc = db_error(mdb_get(view->txn, view->db->revisions, &key, &value));
    if (rc)
        return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc;
    return record_decode(revision, value, record);
}

static int record_cursor(struct view *view, MDB_dbi dbi, MDB_cursor **cursor) {
    if (*cursor)
        return LASH_OK;
    int rc = db_error(mdb_cursor_open(view->txn, dbi, cursor));
    if (rc)
        *cursor = NULL;
    return rc;
}

int record_seek(struct view *view, struct revision from, struct record *record) {
    int rc = record_cursor(view, view->db->revisions, &view->revisions);
    if (rc)
        return rc;
    uint8_t name[REVISION_BYTES];
    revision_put(name, from);
    MDB_val key = {.mv_size = sizeof name, .mv_data = name}, value;
    rc = db_error(mdb_cursor_get(view->revisions, &key, &value, MDB_SET_RANGE));
    if (rc)
        return rc;
    if (key.mv_size != REVISION_BYTES)
        return LASH_CORRUPT;
    return record_decode(revision_get(key.mv_data), value, record);
}

int record_append(struct view *view, const struct record *record) {
    LASH_ASSERT(record->key.size <= UINT32_MAX && record->value.size <= UINT32_MAX);
    int rc = record_cursor(view, view->db->revisions, &view->revisions);
    if (rc)
        return rc;
    uint8_t name[REVISION_BYTES];
    revision_put(name, record->revision);
    MDB_val key = {.mv_size = sizeof name, .mv_data = name};
    MDB_val value = {.mv_size = RECORD_BYTES + record->key.size + record->value.size};
    rc = db_error(mdb_cursor_put(view->revisions, &key, &value, MDB_APPEND | MDB_RESERVE));
    if (rc)
        return rc;
    struct writer writer = writer_make(value.mv_data, value.mv_size);
    write_u8(&writer, record->tombstone);
    write_u64(&writer, record->id);
    revision_put(write_room(&writer, REVISION_BYTES), record->previous);
    write_u64(&writer, (uint64_t)record->create_revision);
    write_u64(&writer, (uint64_t)record->version);
    write_u64(&writer, (uint64_t)record->lease);
    write_u32(&writer, (uint32_t)record->key.size);
    write_bytes(&writer, record->key.data, record->key.size);
    write_bytes(&writer, record->value.data, record->value.size);
    LASH_ASSERT(!writer.failed && writer.at == writer.end);
    return LASH_OK;
}

int record_remove(struct view *view, struct revision revision) {
    uint8_t name[REVISION_BYTES];
    revision_put(name, revision);
    MDB_val key = {.mv_size = sizeof name, .mv_data = name};
    int rc = db_error(mdb_del(view->txn, view->db->revisions, &key, NULL));
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}

static void history_name(uint8_t *at, uint64_t id, struct revision revision) {
    be64_put(at, id);
    revision_put(at + 8, revision);
}

int history_add(struct view *view, uint64_t id, struct revision revision, bool tombstone) {
    uint8_t name[HISTORY_BYTES], flag = tombstone;
    history_name(name, id, revision);
    MDB_val key = {.mv_size = sizeof name, .mv_data = name}, value = {.mv_size = 1, .mv_data = &flag};
    return db_error(mdb_put(view->txn, view->db->history, &key, &value, 0));
}

int history_remove(struct view *view, uint64_t id, struct revision revision) {
    uint8_t name[HISTORY_BYTES];
    history_name(name, id, revision);
    MDB_val key = {.mv_size = sizeof name, .mv_data = name};
    int rc = db_error(mdb_del(view->txn, view->db->history, &key, NULL));
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}

int history_find(struct view *view, uint64_t id, int64_t main, struct revision *revision, bool *tombstone) {
    int rc = record_cursor(view, view->db->history, &view->history);
    if (rc)
        return rc;
    /* No change has the largest sub-revision, so this name is not there, and the one before it is what we look for. */
    uint8_t name[HISTORY_BYTES];
    history_name(name, id, (struct revision){.main = main, .sub = UINT32_MAX});
    MDB_val key = {.mv_size = sizeof name, .mv_data = name}, value;
    rc = db_error(mdb_cursor_get(view->history, &key, &value, MDB_SET_RANGE));
    if (rc && rc != LASH_NOT_FOUND)
        return rc;
    rc = db_error(mdb_cursor_get(view->history, &key, &value, rc ? MDB_LAST : MDB_PREV));
    if (rc)
        return rc;
    if (key.mv_size != HISTORY_BYTES || value.mv_size != 1)
        return LASH_CORRUPT;
    const uint8_t *at = key.mv_data;
    if (be64_get(at) != id)
        return LASH_NOT_FOUND;
    *revision = revision_get(at + 8);
    *tombstone = *(const uint8_t *)value.mv_data != 0;
    return LASH_OK;
}
