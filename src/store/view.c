/* SPDX-License-Identifier: Apache-2.0
 *
 * Views: transactions and the record of the store's numbers.
 */
#include "store/view.h"

#include "base/assert.h"
#include "base/bytes.h"

enum { STATE_BYTES = 3 * 8 + 1 + 8 + 4 + 8 };

static const char state_name[] = "state";

static MDB_val view_state_key(void) {
    return (MDB_val){.mv_size = sizeof state_name - 1, .mv_data = (void *)(uintptr_t)state_name};
}

static int view_state_load(struct view *view) {
    MDB_val key = view_state_key(), value;
    int rc = mdb_get(view->txn, view->db->meta, &key, &value);
    if (rc == MDB_NOTFOUND) {
        view->state = (struct view_state){.revision = 1, .compacted = -1, .next_space = 1};
        return LASH_OK;
    }
    if (rc)
        return db_error(rc);
    struct reader reader = reader_make(value.mv_data, value.mv_size);
    view->state.applied = read_u64(&reader);
    view->state.revision = (int64_t)read_u64(&reader);
    view->state.compacted = (int64_t)read_u64(&reader);
    view->state.removing = read_u8(&reader) != 0;
    view->state.scan.main = (int64_t)read_u64(&reader);
    view->state.scan.sub = read_u32(&reader);
    view->state.next_space = read_u64(&reader);
    bool sound = !reader.failed && reader_left(&reader) == 0 && view->state.revision >= 1 &&
                 view->state.compacted <= view->state.revision && view->state.next_space >= 1;
    return sound ? LASH_OK : LASH_CORRUPT;
}

static int view_state_save(struct view *view) {
    uint8_t bytes[STATE_BYTES];
    struct writer writer = writer_make(bytes, sizeof bytes);
    write_u64(&writer, view->state.applied);
    write_u64(&writer, (uint64_t)view->state.revision);
    write_u64(&writer, (uint64_t)view->state.compacted);
    write_u8(&writer, view->state.removing);
    write_u64(&writer, (uint64_t)view->state.scan.main);
    write_u32(&writer, view->state.scan.sub);
    write_u64(&writer, view->state.next_space);
    LASH_ASSERT(!writer.failed && writer.at == writer.end);
    MDB_val key = view_state_key(), value = {.mv_size = sizeof bytes, .mv_data = bytes};
    return db_error(mdb_put(view->txn, view->db->meta, &key, &value, 0));
}

int view_begin(struct view *view, const struct db *db, bool writes) {
    *view = (struct view){.db = db, .writes = writes};
    int rc = db_error(mdb_txn_begin(db->env, NULL, writes ? 0 : MDB_RDONLY, &view->txn));
    if (rc)
        return rc;
    index_init(&view->index, view->txn, db->keys, &view->state.next_space);
    rc = view_state_load(view);
    if (rc)
        view_abort(view);
    return rc;
}

static void view_finish(struct view *view) {
    index_finish(&view->index);
    if (view->revisions)
        mdb_cursor_close(view->revisions);
    view->revisions = NULL;
}

int view_commit(struct view *view) {
    LASH_ASSERT(view->writes);
    view_finish(view);
    int rc = view_state_save(view);
    if (rc)
        mdb_txn_abort(view->txn);
    else
        rc = db_error(mdb_txn_commit(view->txn));
    view->txn = NULL;
    return rc;
}

void view_abort(struct view *view) {
    view_finish(view);
    mdb_txn_abort(view->txn);
    view->txn = NULL;
}
