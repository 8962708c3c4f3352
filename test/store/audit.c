/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the store's tables agree with each other. Of each key the index names the
 * newest record and the history all others, so that records = keys + history.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "store/handle.h"
#include "store/order.h"
#include "store/record.h"

/* What a pass over the raw table `keys` found. */
struct audit_names {
    size_t ends;
    size_t links;
    size_t spaces; /* with something in them, but for the first */
    uint64_t link_sum;
    uint64_t space_sum; /* the same spaces must be linked as are there */
};

static MDB_cursor *audit_cursor(struct view *view, MDB_dbi dbi) {
    MDB_cursor *cursor;
    assert_int_equal(mdb_cursor_open(view->txn, dbi, &cursor), 0);
    return cursor;
}

static struct audit_names audit_names(struct view *view) {
    struct audit_names names = {0};
    MDB_cursor *cursor = audit_cursor(view, view->db->keys);
    MDB_val name, value;
    uint64_t space_before = 0;
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0) {
        uint64_t space = be64_get(name.mv_data);
        if (space != space_before) {
            names.spaces++;
            names.space_sum += space * space;
            space_before = space;
        }
        if (name.mv_size == 8 + INDEX_CHUNK + 1) {
            assert_int_equal(value.mv_size, 8);
            names.links++;
            names.link_sum += be64_get(value.mv_data) * be64_get(value.mv_data);
        } else {
            names.ends++;
        }
    }
    mdb_cursor_close(cursor);
    return names;
}

static void audit_entry(struct view *view, const struct index_entry *entry) {
    struct record record;
    assert_int_equal(record_get(view, entry->revision, &record), LASH_OK);
    assert_bytes(record.key, index_key(&view->index));
    assert_true(record.id == entry->id && record.tombstone == entry->tombstone);
    assert_true(record.create_revision == entry->create_revision && record.version == entry->version &&
                record.lease == entry->lease);
    assert_true(entry->id < view->state.next_id && entry->revision.main <= view->state.revision);
    assert_true(entry->tombstone ? record.version == 0 && record.value.size == 0 : record.version > 0);
    assert_true(entry->create_revision <= entry->revision.main);
}

static size_t audit_index(struct view *view) {
    size_t count = 0;
    uint8_t *before = NULL;
    size_t before_size = 0;
    struct index_entry entry;
    int rc = index_first(&view->index, (struct store_bytes){0}, everything_end, &entry);
    for (; rc == 0; rc = index_next(&view->index, &entry)) {
        struct store_bytes key = index_key(&view->index);
        assert_true(!before || bytes_compare(bytes(before, before_size), key) < 0);
        before = realloc(before, key.size + 1);
        memcpy(before, key.data, key.size);
        before_size = key.size;
        audit_entry(view, &entry);
        count++;
    }
    assert_int_equal(rc, LASH_NOT_FOUND);
    free(before);
    return count;
}

static size_t audit_history(struct view *view) {
    size_t count = 0;
    MDB_cursor *cursor = audit_cursor(view, view->db->history);
    MDB_val name, value;
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0) {
        const uint8_t *at = name.mv_data;
        struct revision revision = {.main = (int64_t)be64_get(at + 8), .sub = be32_get(at + 16)};
        struct record record;
        assert_int_equal(record_get(view, revision, &record), LASH_OK);
        assert_true(record.id == be64_get(at) && record.tombstone == (*(const uint8_t *)value.mv_data != 0));
        struct index_entry entry;
        assert_int_equal(index_find(&view->index, record.key, &entry), LASH_OK);
        assert_true(entry.id == record.id);
        assert_true(entry.revision.main > revision.main ||
                    (entry.revision.main == revision.main && entry.revision.sub > revision.sub));
        count++;
    }
    mdb_cursor_close(cursor);
    return count;
}

static size_t audit_count(struct view *view, MDB_dbi dbi) {
    MDB_stat stat;
    assert_int_equal(mdb_stat(view->txn, dbi, &stat), 0);
    return stat.ms_entries;
}

void audit(struct harness *harness) {
    struct view view;
    assert_int_equal(view_begin(&view, &harness->store->file->db, false), LASH_OK);
    struct audit_names names = audit_names(&view);
    assert_int_equal(names.links, names.spaces);
    assert_true(names.link_sum == names.space_sum);
    size_t keys = audit_index(&view);
    assert_int_equal(keys, names.ends);
    size_t history = audit_history(&view);
    assert_int_equal(keys + history, audit_count(&view, view.db->revisions));
    view_abort(&view);
}

size_t audit_records(struct harness *harness) {
    struct view view;
    assert_int_equal(view_begin(&view, &harness->store->file->db, false), LASH_OK);
    size_t count = audit_count(&view, view.db->revisions);
    view_abort(&view);
    return count;
}
