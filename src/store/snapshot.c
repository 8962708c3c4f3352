/* SPDX-License-Identifier: Apache-2.0
 *
 * Images of the store: written from a view, while commands go on being applied; and
 * restored into a new database, which takes the old one's place when it is whole.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/logger.h"
#include "store/dir.h"
#include "store/handle.h"
#include "store/image.h"
#include "store/marker.h"
#include "store/members.h"
#include "store/record.h"
#include "store/version.h"

/* ---- Writing ------------------------------------------------------------------------------------ */

enum {
    SNAPSHOT_LOOK = 256, /* records between two looks at how far the database has grown */
};

struct store_snapshot {
    struct store *store;
    struct view view;
    uint64_t extent_max; /* the database may reach so far while this is read */
};

/* While a view is read the database cannot use pages again, so that it grows with each change. */
static uint64_t snapshot_extent_max(const struct store *store, const struct db *db) {
    uint64_t extent = db_extent(db), size_max = db_size_max(db);
    uint64_t growth = store->growth_max > extent ? store->growth_max : extent;
    uint64_t edge = size_max - size_max / 8;
    return growth < edge && extent < edge - growth ? extent + growth : edge;
}

int store_snapshot_begin(struct store *store, struct store_snapshot **snapshot) {
    struct store_snapshot *begun = mem_calloc(1, sizeof *begun);
    if (!begun)
        return LASH_NOMEM;
    int rc = handle_look(store, &begun->view);
    if (rc) {
        mem_free(begun);
        return rc;
    }
    begun->store = store;
    begun->extent_max = snapshot_extent_max(store, begun->view.db);
    *snapshot = begun;
    return LASH_OK;
}

lash_index store_snapshot_index(const struct store_snapshot *snapshot) {
    return snapshot->view.state.applied;
}

int64_t store_snapshot_revision(const struct store_snapshot *snapshot) {
    return snapshot->view.state.revision;
}

void store_snapshot_end(struct store_snapshot *snapshot) {
    if (!snapshot)
        return;
    handle_leave(snapshot->store, &snapshot->view);
    mem_free(snapshot);
}

static int snapshot_write_records(struct store_snapshot *snapshot, struct image_writer *writer) {
    struct record record;
    struct revision next = {0};
    int rc;
    while ((rc = record_seek(&snapshot->view, next, &record)) == 0) {
        if (writer->records % SNAPSHOT_LOOK == 0 && db_extent(snapshot->view.db) > snapshot->extent_max) {
            log_warn("store: a snapshot took too long for what was written meanwhile, and is given up",
                     F_STR("dir", snapshot->store->dir), F_U64("records", writer->records),
                     F_U64("extent", db_extent(snapshot->view.db)));
            return LASH_BUSY;
        }
        rc = image_record(writer, &record);
        if (rc)
            return rc;
        next = (struct revision){.main = record.revision.main, .sub = record.revision.sub + 1};
    }
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}

static int snapshot_write_member(void *context, struct store_bytes member) {
    return image_member(context, member);
}

/* Whether what was read is what was written. Behind a snapshot the log is trimmed, and then nothing else holds what the snapshot
 * lacks. So a store of which the system lost a page makes none and applies nothing any more; the next start rebuilds it. */
static int snapshot_check(const struct store_snapshot *snapshot) {
    struct store *store = snapshot->store;
    if (!atomic_load(&store->lost) && db_check(snapshot->view.db) == LASH_OK)
        return LASH_OK;
    if (!atomic_exchange(&store->lost, true)) {
        int marked = marker_remove(store->dir);
        log_error("store: the system could not write some of the database, which is rebuilt at the next start",
                  F_STR("dir", store->dir),
                  F_STR("marker", marked ? "could not be removed: delete the database" : "removed"));
    }
    return LASH_IO;
}

int store_snapshot_write(struct store_snapshot *snapshot, const struct store_sink *sink) {
    const struct view_state *state = &snapshot->view.state;
    const struct image_state image = {.applied = state->applied,
                                      .revision = state->revision,
                                      .compacted = state->compacted,
                                      .removing = state->removing,
                                      .scan = state->scan};
    struct image_writer *writer = mem_alloc(sizeof *writer);
    if (!writer)
        return LASH_NOMEM;
    int rc = image_begin(writer, sink, &image);
    if (rc == 0)
        rc = snapshot_write_records(snapshot, writer);
    if (rc == 0)
        rc = members_each(&snapshot->view, snapshot_write_member, writer);
    if (rc == 0)
        rc = snapshot_check(snapshot);
    if (rc == 0)
        rc = image_end(writer);
    mem_free(writer);
    return rc;
}

/* ---- Restoring ---------------------------------------------------------------------------------- */

enum { RESTORE_BATCH_BYTES = 8 * 1024 * 1024 }; /* per transaction, so that none takes much memory */

struct restore {
    struct store *store;
    struct handle_file *file;
    struct view view; /* writing, while `open` */
    bool open;
    size_t bytes; /* in the transaction that is open */
    struct image_state state;
};

/* Whether the record is the next of its key: what the compaction has removed of one is the oldest. */
static bool restore_follows(const struct image_state *state, const struct record *record,
                            const struct index_entry *old) {
    if (old->ordinal)
        return revision_compare(record->previous, old->revision) == 0;
    return record->previous.main == 0 || record->previous.main <= state->compacted;
}

/* Add a record, the newest of its key so far: as the commands had done, but for what compaction has removed since. */
static int restore_record(struct view *view, const struct image_state *state, const struct record *record) {
    struct index *index = &view->index;
    struct index_entry old = {0};
    int rc = index_find(index, record->key, &old);
    if (rc && rc != LASH_NOT_FOUND)
        return rc;
    bool known = rc == 0;
    if (!restore_follows(state, record, &old))
        return LASH_CORRUPT;
    struct index_entry entry = record_entry(&old, record->revision);
    entry.tombstone = record->tombstone;
    entry.create_revision = record->create_revision;
    entry.version = record->version;
    entry.lease = record->lease;
    rc = known ? index_update(index, &entry) : index_insert(index, record->key, &entry);
    return rc ? rc : record_append(view, record, &old);
}

static int restore_member(struct view *view, struct store_bytes member) {
    struct store_op op;
    struct store_arena *arena;
    int rc = store_decode(member.data, member.size, &op, &arena);
    if (rc)
        return rc;
    rc = op.type == STORE_MEMBER  ? members_put(view, &op.member)
         : op.type == STORE_RAISE ? version_raise(view, op.raise.version)
                                  : LASH_CORRUPT;
    store_arena_free(arena);
    return rc;
}

static int restore_commit(struct restore *restore) {
    restore->open = false;
    restore->bytes = 0;
    return view_commit(&restore->view);
}

static int restore_item(struct restore *restore, struct image_item *item) {
    int rc = restore->open ? LASH_OK : view_begin(&restore->view, &restore->file->db, true);
    if (rc)
        return rc;
    restore->open = true;
    if (item->kind == IMAGE_BEGIN) {
        restore->state = item->state;
    } else if (item->kind == IMAGE_RECORD) {
        restore->bytes += item->record.key.size + item->record.value.size;
        rc = restore_record(&restore->view, &restore->state, &item->record);
    } else if (item->kind == IMAGE_MEMBER) {
        rc = restore_member(&restore->view, item->member);
    }
    return rc || restore->bytes < RESTORE_BATCH_BYTES ? rc : restore_commit(restore);
}

/* The numbers come last, with the index: before that this database is of no use to anybody. */
static int restore_finish(struct restore *restore, lash_index index) {
    int rc = restore->open ? LASH_OK : view_begin(&restore->view, &restore->file->db, true);
    if (rc)
        return rc;
    struct view_state *state = &restore->view.state;
    state->applied = index;
    state->revision = restore->state.revision;
    state->compacted = restore->state.compacted;
    state->removing = restore->state.removing;
    state->scan = restore->state.scan;
    return restore_commit(restore);
}

static int restore_fill(struct restore *restore, const struct store_source *source, lash_index index) {
    struct image_reader *reader = mem_alloc(sizeof *reader);
    if (!reader)
        return LASH_NOMEM;
    struct image_item item = {.kind = IMAGE_BEGIN};
    int rc = LASH_OK;
    image_open(reader, source);
    do {
        rc = image_next(reader, &item);
        if (rc == 0)
            rc = restore_item(restore, &item);
    } while (rc == 0 && item.kind != IMAGE_END);
    image_close(reader);
    mem_free(reader);
    if (rc == 0)
        rc = restore_finish(restore, index);
    if (restore->open)
        view_abort(&restore->view);
    return rc;
}

/* The switch: one rename. What happens to the lock files does not matter: whoever opens a database first makes its lock file anew. */
static int restore_switch(struct restore *restore) {
    struct store *store = restore->store;
    char *from = marker_path(store->dir, DIR_RESTORED), *to = marker_path(store->dir, DIR_DATABASE);
    char *from_lock = marker_path(store->dir, DIR_RESTORED "-lock");
    char *to_lock = marker_path(store->dir, DIR_DATABASE "-lock");
    int rc = from && to && from_lock && to_lock ? LASH_OK : LASH_NOMEM;
    if (rc == 0 && rename(from, to))
        rc = LASH_IO;
    if (rc == 0)
        (void)rename(from_lock, to_lock);
    mem_free(from);
    mem_free(to);
    mem_free(from_lock);
    mem_free(to_lock);
    if (rc == 0)
        handle_replace(store, restore->file);
    return rc;
}

int store_restore(struct store *store, const struct store_source *source, lash_index index) {
    struct restore restore = {.store = store};
    int rc = dir_delete_restored(store->dir);
    if (rc == 0)
        rc = handle_open(store, DIR_RESTORED, &restore.file);
    if (rc == 0) {
        rc = restore_fill(&restore, source, index);
        if (rc == 0)
            rc = restore_switch(&restore);
        if (rc) {
            rc = db_write_error(&restore.file->db, rc);
            handle_release(store, restore.file);
        }
    }
    if (rc) {
        (void)dir_delete_restored(store->dir); /* else it is at the next start */
        log_error("store: cannot restore a snapshot; what was there stays", F_STR("dir", store->dir),
                  F_U64("index", index), F_ERR(rc));
        return rc;
    }
    log_info("store: restored from a snapshot", F_STR("dir", store->dir), F_U64("index", index),
             F_I64("revision", restore.state.revision), F_I64("compacted", restore.state.compacted));
    return LASH_OK;
}
