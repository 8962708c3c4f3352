/* SPDX-License-Identifier: Apache-2.0
 *
 * The store: opening and closing, applying batches of commands, serving reads.
 */
#include "store/store.h"

#include <stdatomic.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/logger.h"
#include "store/arena.h"
#include "store/compact.h"
#include "store/dir.h"
#include "store/execute.h"
#include "store/handle.h"
#include "store/marker.h"
#include "store/members.h"
#include "store/version.h"

static const uint64_t map_bytes_default = UINT64_C(64) << 30;
static const uint64_t growth_max_default = UINT64_C(256) << 20;

enum { STORE_COMMIT_BOUND_NS = 1000000, STORE_COMMIT_BUCKETS = 14 }; /* 1 ms, up to 8.2 s: as etcd's */

/* ---- Opening and closing ------------------------------------------------------------------------ */

static int store_open_db(struct store *store, lash_index *applied) {
    int rc = handle_open(store, DIR_DATABASE, &store->file);
    if (rc)
        return rc;
    struct view view;
    rc = view_begin(&view, &store->file->db, false);
    if (rc) {
        log_error("store: cannot read the database; without it, it is rebuilt from the log", F_STR("dir", store->dir),
                  F_ERR(rc));
        handle_release(store, store->file);
        return rc;
    }
    *applied = view.state.applied;
    log_info("store: open", F_STR("dir", store->dir), F_U64("applied", view.state.applied),
             F_I64("revision", view.state.revision), F_I64("compacted", view.state.compacted));
    view_abort(&view);
    return LASH_OK;
}

static void store_free(struct store *store) {
    reserve_close(&store->reserve);
    pthread_mutex_destroy(&store->lock);
    mem_free(store->dir);
    mem_free(store);
}

/* A store with nothing open yet; NULL when memory ran out. */
static struct store *store_new(const struct store_options *options) {
    struct store *store = mem_calloc(1, sizeof *store);
    char *dir = store ? mem_strdup(options->dir) : NULL;
    if (!dir) {
        mem_free(store);
        return NULL;
    }
    store->dir = dir;
    store->map_bytes = options->map_bytes ? options->map_bytes : map_bytes_default;
    store->growth_max = options->growth_max ? options->growth_max : growth_max_default;
    store->now_ns = options->now_ns;
    int failed = pthread_mutex_init(&store->lock, NULL);
    LASH_ASSERT(failed == 0); /* it takes nothing that could be lacking */
    metric_histogram(&store->commit, STORE_COMMIT_BOUND_NS, STORE_COMMIT_BUCKETS);
    return store;
}

int store_open(const struct store_options *options, struct store **store, lash_index *applied) {
    struct store *opened = store_new(options);
    if (!opened)
        return LASH_NOMEM;
    int rc = dir_open(opened->dir, &opened->dir_lock);
    if (rc == 0) {
        rc = reserve_open(&opened->reserve, opened->dir, options->reserve_bytes);
        if (rc == 0)
            rc = store_open_db(opened, applied);
        if (rc)
            dir_close(opened->dir_lock);
    }
    if (rc) {
        store_free(opened);
        return rc;
    }
    *store = opened;
    return LASH_OK;
}

void store_close(struct store *store) {
    if (!store)
        return;
    LASH_ASSERT(store->file->users == 1);
    int rc = db_sync(&store->file->db);
    if (atomic_load(&store->lost))
        rc = LASH_IO;
    handle_release(store, store->file);
    /* The name of a restored database must be on the disk before the marker vouches for it. */
    if (rc == 0 && store->replaced)
        rc = marker_sync_dir(store->dir);
    /* After a sync that failed the kernel may hold for clean what the disk does not. */
    int marked = rc ? marker_remove(store->dir) : marker_write(store->dir, true);
    if (rc)
        log_error("store: the database could not be synced; it is rebuilt from the log", F_STR("dir", store->dir),
                  F_ERR(rc), F_STR("marker", marked ? "could not be removed: delete the database" : "removed"));
    else if (marked)
        log_error("store: not closed cleanly; after a restart of the machine it is rebuilt from the log",
                  F_STR("dir", store->dir), F_ERR(marked));
    dir_close(store->dir_lock);
    store_free(store);
}

const char *store_dir(const struct store *store) {
    return store->dir;
}

/* ---- Applying ----------------------------------------------------------------------------------- */

/* Carry out a decoded command; `scratch` holds it. */
static int store_execute(struct view *view, const struct store_op *op, struct store_arena *scratch,
                         struct store_result *result) {
    enum store_error refusal;
    if (!result)
        return execute_run(view, op, scratch, &refusal, NULL);
    store_result_free(result);
    result->arena = arena_new();
    if (!result->arena)
        return LASH_NOMEM;
    int rc = execute_run(view, op, result->arena, &result->error, &result->op);
    result->revision = view->state.revision;
    result->compact_revision = view->state.compacted;
    return rc;
}

static int store_apply_command(struct view *view, const struct lash_command *command) {
    struct store_op op;
    struct store_arena *scratch;
    int rc = store_decode(command->data, command->size, &op, &scratch);
    if (rc) {
        log_error("store: a command in the log cannot be read", F_U64("index", command->index),
                  F_U64("size", command->size), F_ERR(rc),
                  F_STR("hint", rc == LASH_VERSION ? "a newer version wrote it; start that version" : "see the error"));
        return rc;
    }
    rc = store_execute(view, &op, scratch, command->request);
    store_arena_free(scratch);
    return rc ? rc : compact_step(view);
}

static int store_commit(struct store *store, struct view *view) {
    if (!store->now_ns)
        return view_commit(view);
    uint64_t since_ns = store->now_ns();
    int rc = view_commit(view);
    metric_observe(&store->commit, store->now_ns() - since_ns, 1);
    return rc;
}

static int store_apply_batch(struct store *store, const struct lash_command *commands, size_t count, lash_index last) {
    struct view view;
    int rc = view_begin(&view, &store->file->db, true);
    if (rc == 0) {
        LASH_ASSERT(last >= view.state.applied);
        for (size_t i = 0; i < count && rc == 0; i++) {
            LASH_ASSERT(commands[i].index > view.state.applied && commands[i].index <= last);
            rc = store_apply_command(&view, &commands[i]);
            view.state.applied = commands[i].index;
        }
        view.state.applied = last;
        if (rc == 0)
            rc = store_commit(store, &view);
        else
            view_abort(&view);
    }
    if (rc == 0)
        return LASH_OK;
    rc = db_write_error(&store->file->db, rc);
    /* Nothing of the batch took place, so nothing of it may be answered. */
    for (size_t i = 0; i < count; i++) {
        if (commands[i].request)
            store_result_free(commands[i].request);
    }
    if (rc != LASH_FULL) /* which is tried again, and said by the node */
        log_error("store: cannot apply", F_STR("dir", store->dir), F_U64("last", last), F_ERR(rc));
    return rc;
}

static int store_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    struct store *store = context;
    int rc = atomic_load(&store->lost) ? LASH_IO : store_apply_batch(store, commands, count, last);
    if (rc == LASH_FULL && reserve_give(&store->reserve))
        rc = store_apply_batch(store, commands, count, last);
    return rc;
}

static int store_room(void *context) {
    struct store *store = context;
    return reserve_take(&store->reserve);
}

struct lash_state_machine store_machine(struct store *store) {
    return (struct lash_state_machine){.context = store, .apply = store_apply, .room = store_room};
}

void store_rest(struct store *store) {
    struct handle_file *file = handle_hold(store);
    footprint_look(&file->db.footprint);
    handle_release(store, file);
}

/* ---- Reading ------------------------------------------------------------------------------------ */

/* Begin to read into `result`, which is empty. */
static int store_look(struct store *store, struct store_result *result, struct view *view) {
    result->arena = arena_new();
    if (!result->arena)
        return LASH_NOMEM;
    int rc = handle_look(store, view);
    if (rc)
        return rc;
    result->revision = view->state.revision;
    result->compact_revision = view->state.compacted;
    return LASH_OK;
}

static int store_members_view(struct store *store, struct store_result *result, const struct store_member **members,
                              size_t *count) {
    struct view view;
    int rc = store_look(store, result, &view);
    if (rc)
        return rc;
    rc = members_list(&view, result->arena, members, count);
    handle_leave(store, &view);
    return rc;
}

void store_members(struct store *store, struct store_result *result, const struct store_member **members,
                   size_t *count) {
    store_result_free(result);
    *members = NULL;
    *count = 0;
    int rc = store_members_view(store, result, members, count);
    if (rc == 0)
        return;
    store_result_free(result);
    *count = 0;
    result->error = STORE_FAILED;
    log_error("store: cannot read the members", F_STR("dir", store->dir), F_ERR(rc));
}

void store_stats(struct store *store, struct store_stats *stats) {
    *stats = (struct store_stats){0};
    struct view view;
    int rc = handle_look(store, &view);
    if (rc == 0) {
        stats->revision = view.state.revision;
        stats->compact_revision = view.state.compacted;
        stats->applied = view.state.applied;
        rc = db_sizes(view.db, view.txn, &stats->size, &stats->size_in_use);
        if (rc == 0)
            rc = db_count(view.txn, view.db->keys, &stats->index_entries);
        if (rc == 0)
            rc = version_get(&view, &stats->version);
        stats->size_max = db_size_max(view.db);
        handle_leave(store, &view);
    }
    if (rc)
        log_error("store: cannot tell its size", F_STR("dir", store->dir), F_ERR(rc));
}

void store_commits(const struct store *store, struct lash_histogram *commits) {
    metric_copy(&store->commit, commits);
}
