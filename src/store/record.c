/* SPDX-License-Identifier: Apache-2.0
 *
 * The table `revisions`; record.h tells what leads where in it.
 */
#include "store/record.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "store/order.h"

enum {
    REVISION_BYTES = 8 + 4,
    RECORD_BYTES = 1 + 2 * REVISION_BYTES + 3 * 8 + 4, /* then the key, then the value */
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
    const uint8_t *previous = read_bytes(&reader, REVISION_BYTES);
    const uint8_t *jump = read_bytes(&reader, REVISION_BYTES);
    record->create_revision = (int64_t)read_u64(&reader);
    record->version = (int64_t)read_u64(&reader);
    record->lease = (int64_t)read_u64(&reader);
    record->key.size = read_u32(&reader);
    record->key.data = read_bytes(&reader, record->key.size);
    if (reader.failed)
        return LASH_CORRUPT;
    record->previous = revision_get(previous);
    record->jump = revision_get(jump);
    record->value = (struct store_bytes){.data = reader.at, .size = reader_left(&reader)};
    bool sound = revision_compare(record->jump, record->previous) <= 0 &&
                 revision_compare(record->previous, record->revision) < 0 && revision.sub < UINT32_MAX;
    return sound ? LASH_OK : LASH_CORRUPT; /* else a search or a walk might never end */
}

/* LASH_NOT_FOUND: it is not there. */
static int record_look(struct view *view, struct revision revision, struct record *record) {
    uint8_t name[REVISION_BYTES];
    revision_put(name, revision);
    MDB_val key = {.mv_size = sizeof name, .mv_data = name}, value;
    int rc = db_error(mdb_get(view->txn, view->db->revisions, &key, &value));
    return rc ? rc : record_decode(revision, value, record);
}

int record_get(struct view *view, struct revision revision, struct record *record) {
    int rc = record_look(view, revision, record);
    return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc;
}

int record_get_old(struct view *view, struct revision revision, struct record *record) {
    int rc = record_look(view, revision, record);
    return rc == LASH_NOT_FOUND && revision.main > view->state.compacted ? LASH_CORRUPT : rc;
}

/* Open the view's cursor at its first use. */
static int record_cursor(struct view *view) {
    if (view->revisions)
        return LASH_OK;
    int rc = db_error(mdb_cursor_open(view->txn, view->db->revisions, &view->revisions));
    if (rc)
        view->revisions = NULL;
    return rc;
}

int record_seek(struct view *view, struct revision from, struct record *record) {
    int rc = record_cursor(view);
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

struct index_entry record_entry(const struct index_entry *old, struct revision revision) {
    struct index_entry entry = {.ordinal = old->ordinal + 1, .revision = revision};
    entry.post = entry.ordinal % RECORD_POST ? old->post : revision;
    return entry;
}

/* The smallest term of `number`. */
static uint64_t record_term(uint64_t number) {
    LASH_ASSERT(number > 0 && number < INT64_MAX);
    for (;;) {
        uint64_t term = (UINT64_C(1) << (63 - __builtin_clzll(number + 1))) - 1;
        if (term == number)
            return term;
        number -= term;
    }
}

/* Where the record that follows `old` is to jump. */
static int record_jump(struct view *view, const struct index_entry *old, struct revision *jump) {
    uint64_t ordinal = old->ordinal + 1;
    *jump = old->post;
    if (ordinal % RECORD_POST || record_term(ordinal / RECORD_POST) == 1)
        return LASH_OK;
    struct record record;
    int rc = LASH_OK;
    for (int back = 0; back < 2 && rc == 0; back++) {
        rc = record_get_old(view, *jump, &record);
        if (rc == 0)
            *jump = record.jump;
    }
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}

int record_append(struct view *view, const struct record *record, const struct index_entry *old) {
    LASH_ASSERT(record->key.size <= UINT32_MAX && record->value.size <= UINT32_MAX);
    struct revision jump;
    bool follows = revision_compare(record->previous, record->revision) < 0;
    int rc = follows ? record_jump(view, old, &jump) : LASH_CORRUPT;
    if (rc == 0)
        rc = record_cursor(view);
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
    revision_put(write_room(&writer, REVISION_BYTES), record->previous);
    revision_put(write_room(&writer, REVISION_BYTES), jump);
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

int record_find(struct view *view, struct revision newest, int64_t main, struct revision *revision) {
    LASH_ASSERT(newest.main > main && main >= view->state.compacted);
    struct record record = {.previous = newest};
    while (record.previous.main > main) {
        bool far = record.jump.main > main;
        int rc = record_get(view, far ? record.jump : record.previous, &record);
        if (rc)
            return rc;
    }
    *revision = record.previous;
    return revision->main ? LASH_OK : LASH_NOT_FOUND;
}
