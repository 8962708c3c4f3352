/* SPDX-License-Identifier: Apache-2.0
 *
 * The store as a state machine whose state the node can write down and restore.
 */
#include "base/assert.h"
#include "lash/node.h"
#include "store/store.h"

static int machine_snapshot_begin(void *context, lash_index index, void **view) {
    struct store_snapshot *snapshot;
    int rc = store_snapshot_begin(context, &snapshot);
    if (rc)
        return rc;
    LASH_ASSERT(store_snapshot_index(snapshot) == index);
    *view = snapshot;
    return LASH_OK;
}

static int machine_sink(void *context, const void *data, size_t size) {
    return lash_snapshot_write(context, data, size);
}

static int machine_snapshot_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    const struct store_sink to = {.write = machine_sink, .context = sink};
    (void)context;
    return store_snapshot_write(view, &to);
}

static void machine_snapshot_end(void *context, void *view) {
    (void)context;
    store_snapshot_end(view);
}

static int machine_source(void *context, void *data, size_t size, size_t *got) {
    return lash_snapshot_read(context, data, size, got);
}

static int machine_restore(void *context, struct lash_snapshot_source *source, lash_index index) {
    const struct store_source from = {.read = machine_source, .context = source};
    return store_restore(context, &from, index);
}

struct lash_state_machine store_machine_with_snapshots(struct store *store) {
    struct lash_state_machine machine = store_machine(store);
    machine.snapshot_begin = machine_snapshot_begin;
    machine.snapshot_write = machine_snapshot_write;
    machine.snapshot_end = machine_snapshot_end;
    machine.restore = machine_restore;
    return machine;
}
