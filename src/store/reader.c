/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading for clients: once, or several times from one state.
 */
#include "base/buf.h"
#include "base/logger.h"
#include "store/arena.h"
#include "store/execute.h"
#include "store/handle.h"

struct store_reader {
    struct store *store;
    struct view view;
    struct store_arena *arena; /* of what results point to, where it is lent */
};

static void reader_failed(const struct store *store, int rc) {
    log_error("store: cannot read", F_STR("dir", store->dir), F_ERR(rc));
}

int store_reader_begin(struct store *store, struct store_reader **reader) {
    struct store_reader *begun = mem_calloc(1, sizeof *begun);
    int rc = begun && (begun->arena = arena_new()) ? handle_look(store, &begun->view) : LASH_NOMEM;
    if (rc) {
        store_arena_free(begun ? begun->arena : NULL);
        mem_free(begun);
        reader_failed(store, rc);
        return rc;
    }
    begun->store = store;
    begun->view.lends = true;
    *reader = begun;
    return LASH_OK;
}

static int reader_run(struct store_reader *reader, const struct store_op *op, struct store_result *result) {
    struct view *view = &reader->view;
    result->revision = view->state.revision;
    result->compact_revision = view->state.compacted;
    return execute_run(view, op, reader->arena, &result->error, &result->op);
}

void store_reader_read(struct store_reader *reader, const struct store_op *op, struct store_result *result) {
    store_result_free(result);
    if (!store_is_read(op)) {
        result->error = STORE_INVALID_REQUEST;
        return;
    }
    int rc = reader_run(reader, op, result);
    if (rc == 0)
        return;
    store_result_free(result);
    result->error = STORE_FAILED;
    reader_failed(reader->store, rc);
}

void store_reader_end(struct store_reader *reader) {
    if (!reader)
        return;
    handle_leave(reader->store, &reader->view);
    store_arena_free(reader->arena);
    mem_free(reader);
}

void store_read(struct store *store, const struct store_op *op, struct store_result *result) {
    struct store_reader *reader;
    store_result_free(result);
    if (store_reader_begin(store, &reader)) {
        result->error = STORE_FAILED;
        return;
    }
    reader->view.lends = false;
    store_reader_read(reader, op, result);
    if (result->error == STORE_OK) {
        result->arena = reader->arena;
        reader->arena = NULL;
    }
    store_reader_end(reader);
}
