/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the store's tables agree with each other. Of each key the index names the
 * newest record, from which a chain leads to all others: each record is in one, once.
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
    assert_true(entry->ordinal > 0 && record.tombstone == entry->tombstone);
    assert_true(record.create_revision == entry->create_revision && record.version == entry->version &&
                record.lease == entry->lease);
    assert_true(entry->revision.main <= view->state.revision);
    assert_true(entry->tombstone ? record.version == 0 && record.value.size == 0 : record.version > 0);
    assert_true(entry->create_revision <= entry->revision.main);
}

/* The records of one key, by rising ordinal, the first of which compaction may have removed. */
struct audit_chain {
    struct record *records; /* of the ordinals from `first` on */
    size_t count;
    uint64_t first;
};

/* Read a key's chain by its previous pointers alone. */
static struct audit_chain audit_chain(struct view *view, const struct index_entry *entry) {
    struct audit_chain chain = {.records = calloc(entry->ordinal, sizeof *chain.records), .first = entry->ordinal + 1};
    assert_non_null(chain.records);
    struct revision at = entry->revision;
    struct record record;
    while (at.main && record_get_old(view, at, &record) == LASH_OK) {
        assert_true(chain.first > 1);
        assert_bytes(record.key, index_key(&view->index));
        chain.records[--chain.first - 1] = record;
        chain.count++;
        at = record.previous;
    }
    assert_true(at.main <= view->state.compacted || at.main == 0);
    memmove(chain.records, chain.records + chain.first - 1, chain.count * sizeof *chain.records);
    return chain;
}

/* Where number `ordinal` jumps. Posts by counting up: ends of whole trees, of which two of a size and one more make the next. */
static uint64_t audit_target(uint64_t *targets, uint64_t ordinal) {
    uint64_t last = (ordinal - 1) / RECORD_POST * RECORD_POST, jump = targets[last];
    bool twins = ordinal % RECORD_POST == 0 && jump && last - jump == jump - targets[jump];
    targets[ordinal] = twins ? targets[jump] : last;
    return targets[ordinal];
}

static void audit_jumps(const struct audit_chain *chain) {
    uint64_t last = chain->first + chain->count;
    uint64_t *targets = calloc(last, sizeof *targets);
    assert_non_null(targets);
    for (uint64_t ordinal = 1; ordinal < last; ordinal++) {
        uint64_t target = audit_target(targets, ordinal);
        if (ordinal < chain->first)
            continue;
        const struct record *record = &chain->records[ordinal - chain->first];
        const struct revision oldest = chain->records[0].revision;
        if (target >= chain->first)
            assert_int_equal(revision_compare(record->jump, chain->records[target - chain->first].revision), 0);
        else
            assert_true(revision_compare(record->jump, oldest) < 0);
    }
    free(targets);
}

/* Every search finds what its neighbours in the chain are. */
static void audit_searches(struct view *view, const struct audit_chain *chain) {
    struct revision newest = chain->records[chain->count - 1].revision, found;
    for (size_t i = 0; i < chain->count; i++) {
        const struct record *record = &chain->records[i];
        if (record->revision.main <= view->state.compacted + 1 || record->revision.main == record->previous.main)
            continue;
        int rc = record_find(view, newest, record->revision.main - 1, &found);
        assert_int_equal(rc, record->previous.main ? LASH_OK : LASH_NOT_FOUND);
        assert_int_equal(revision_compare(found, record->previous), 0);
    }
}

/* Count the keys, and their records. */
static size_t audit_index(struct view *view, size_t *records) {
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
        struct audit_chain chain = audit_chain(view, &entry);
        audit_jumps(&chain);
        audit_searches(view, &chain);
        *records += chain.count;
        free(chain.records);
        count++;
    }
    assert_int_equal(rc, LASH_NOT_FOUND);
    free(before);
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
    size_t records = 0;
    assert_int_equal(audit_index(&view, &records), names.ends);
    assert_int_equal(records, audit_count(&view, view.db->revisions));
    view_abort(&view);
}

size_t audit_records(struct harness *harness) {
    struct view view;
    assert_int_equal(view_begin(&view, &harness->store->file->db, false), LASH_OK);
    size_t count = audit_count(&view, view.db->revisions);
    view_abort(&view);
    return count;
}
