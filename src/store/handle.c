/* SPDX-License-Identifier: Apache-2.0
 *
 * Who uses which database.
 */
#include "store/handle.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/buf.h"
#include "store/marker.h"

struct handle_file *handle_hold(struct store *store) {
    pthread_mutex_lock(&store->lock);
    struct handle_file *file = store->file;
    file->users++;
    pthread_mutex_unlock(&store->lock);
    return file;
}

void handle_release(struct store *store, struct handle_file *file) {
    pthread_mutex_lock(&store->lock);
    LASH_ASSERT(file->users > 0);
    bool last = --file->users == 0;
    pthread_mutex_unlock(&store->lock);
    if (!last)
        return;
    db_close(&file->db);
    mem_free(file);
}

int handle_look(struct store *store, struct view *view) {
    struct handle_file *file = handle_hold(store);
    int rc = view_begin(view, &file->db, false);
    if (rc)
        handle_release(store, file);
    return rc;
}

/* The file that a view's database lies in. */
static struct handle_file *handle_of(const struct view *view) {
    return (struct handle_file *)((uintptr_t)view->db - offsetof(struct handle_file, db));
}

void handle_leave(struct store *store, struct view *view) {
    struct handle_file *file = handle_of(view);
    view_abort(view);
    handle_release(store, file);
}

int handle_open(const struct store *store, const char *name, struct handle_file **file) {
    char *path = marker_path(store->dir, name);
    struct handle_file *opened = mem_calloc(1, sizeof *opened);
    int rc = path && opened ? db_open(&opened->db, path, store->map_bytes) : LASH_NOMEM;
    mem_free(path);
    if (rc) {
        mem_free(opened);
        return rc;
    }
    opened->users = 1;
    *file = opened;
    return LASH_OK;
}

void handle_replace(struct store *store, struct handle_file *file) {
    LASH_ASSERT(file->users == 1);
    pthread_mutex_lock(&store->lock);
    struct handle_file *old = store->file;
    store->file = file;
    store->replaced = true;
    pthread_mutex_unlock(&store->lock);
    handle_release(store, old);
}
