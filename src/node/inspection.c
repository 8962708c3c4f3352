/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into a data directory.
 */
#include "node/inspection.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/logger.h"
#include "node/node_state.h"

/* ---- Opening --------------------------------------------------------------------------------------- */

int inspection_open(const struct vfs *vfs, const char *data_dir, struct inspected *inspected) {
    *inspected = (struct inspected){.vfs = vfs};
    inspected->log_dir = settings_path(data_dir, "log");
    inspected->snapshots_dir = settings_path(data_dir, "snapshots");
    if (!inspected->log_dir || !inspected->snapshots_dir)
        return LASH_NOMEM;
    int error = log_identify(vfs, inspected->log_dir, &inspected->blob);
    if (!error)
        error = settings_identity_decode(&inspected->blob, &inspected->identity);
    if (error)
        return error;
    const struct log_options log = {.vfs = vfs,
                                    .dir = inspected->log_dir,
                                    .cluster_id = inspected->blob.cluster_id,
                                    .node_id = inspected->blob.node_id,
                                    .group = inspected->blob.group,
                                    .identity = inspected->blob.identity,
                                    .identity_size = inspected->blob.identity_size};
    const struct snapshots_options snapshots = {.vfs = vfs,
                                                .dir = inspected->snapshots_dir,
                                                .cluster_id = inspected->blob.cluster_id,
                                                .node_id = inspected->blob.node_id,
                                                .group = inspected->blob.group};
    error = log_open(&log, &inspected->log, &inspected->recovered);
    if (!error)
        error = snapshots_open(&snapshots, &inspected->snapshots);
    return error ? error : inspection_roster(inspected, &inspected->roster);
}

void inspection_close(struct inspected *inspected) {
    log_close(inspected->log);
    log_recovered_free(&inspected->recovered);
    snapshots_close(inspected->snapshots);
    roster_unref(inspected->roster);
    roster_unref(inspected->identity.first);
    log_identity_free(&inspected->blob);
    mem_free(inspected->log_dir);
    mem_free(inspected->snapshots_dir);
    *inspected = (struct inspected){.vfs = inspected->vfs};
}

/* ---- The newest membership ------------------------------------------------------------------------- */

/* That of the entry at `index`, which is one of a membership. */
static int inspection_entry(struct inspected *inspected, lash_index index, struct roster **roster) {
    struct buf **frames;
    size_t count;
    int error = log_read(inspected->log, index, index, 1, &frames, &count);
    if (error)
        return error;
    struct frame frame;
    struct frame_entry entry;
    size_t offset = 0;
    error = frame_header(frames[0]->data, &frame);
    bool found = false;
    while (!error && !found && frame_next(frames[0]->data, &frame, &offset, &entry))
        found = entry.index == index;
    if (!error)
        error = found ? roster_decode(entry.data, entry.size, roster) : LASH_CORRUPT;
    for (size_t i = 0; i < count; i++)
        buf_unref(frames[i]);
    mem_free(frames);
    return error;
}

static int inspection_snapshot(struct inspected *inspected, lash_index index, struct roster **roster) {
    struct snapshot_reader *reader;
    int error = snapshot_open(inspected->snapshots, index, &reader);
    if (error)
        return error;
    const struct snapshot_head *head = snapshot_head_of(reader);
    if (head->configuration_size)
        error = roster_decode(head->configuration, head->configuration_size, roster);
    snapshot_close(reader);
    return error;
}

int inspection_roster(struct inspected *inspected, struct roster **roster) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    *roster = NULL;
    for (size_t i = inspected->recovered.run_count; i-- > 0;) {
        const struct lash_run *run = &inspected->recovered.runs[i];
        if (run->kind == LASH_ENTRY_CONFIGURATION)
            return inspection_entry(inspected, run->first + run->count - 1, roster);
    }
    int error = LASH_OK;
    if (snapshots_list(inspected->snapshots, infos) > 0)
        error = inspection_snapshot(inspected, infos[0].index, roster);
    if (!error && !*roster)
        *roster = roster_ref(inspected->identity.first);
    return error;
}

/* ---- Telling --------------------------------------------------------------------------------------- */

lash_term inspection_last_term(const struct inspected *inspected) {
    const struct log_recovered *recovered = &inspected->recovered;
    return recovered->run_count ? recovered->runs[recovered->run_count - 1].term : recovered->prev_term;
}

static int inspection_tell(struct inspected *inspected, const char *data_dir, struct lash_inspection *inspection) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    inspection->identity = (struct lash_identity){.id = inspected->blob.node_id,
                                                  .cluster_id = inspected->blob.cluster_id,
                                                  .group = inspected->blob.group,
                                                  .disk = inspected->identity.disk};
    inspection->term = inspected->recovered.term;
    inspection->vote = inspected->recovered.vote;
    inspection->first_index = inspected->recovered.first_index;
    inspection->last_index = inspected->recovered.last_index;
    inspection->last_term = inspection_last_term(inspected);
    inspection->snapshot = snapshots_list(inspected->snapshots, infos) ? infos[0].index : 0;
    if (inspected->roster) {
        inspection->members = node_copy_members(inspected->roster, inspected->blob.cluster_id);
        if (!inspection->members)
            return LASH_NOMEM;
    }
    return settings_is_removed(inspected->vfs, data_dir, &inspection->identity.removed);
}

int offline_inspect(const struct vfs *vfs, const char *data_dir, struct lash_inspection *inspection) {
    enum unfinished what;
    *inspection = (struct lash_inspection){.members = NULL};
    int error = unfinished_read(vfs, data_dir, &what, NULL);
    if (error)
        return error;
    inspection->unfinished = what != UNFINISHED_NOTHING;
    if (inspection->unfinished)
        return LASH_OK;
    struct inspected inspected;
    error = inspection_open(vfs, data_dir, &inspected);
    if (!error)
        error = inspection_tell(&inspected, data_dir, inspection);
    inspection_close(&inspected);
    return error;
}

int lash_node_inspect(const char *data_dir, struct lash_inspection *inspection) {
    if (!data_dir || !data_dir[0] || !inspection)
        return LASH_INVALID;
    return offline_inspect(vfs_posix(), data_dir, inspection);
}

void lash_inspection_free(struct lash_inspection *inspection) {
    lash_members_free(inspection->members);
    inspection->members = NULL;
}
