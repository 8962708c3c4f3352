/* SPDX-License-Identifier: Apache-2.0
 *
 * A new log and folder of snapshots; and the founding of a cluster with a given state.
 */
#include <errno.h>
#include <uv.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/logger.h"
#include "node/offline.h"

enum { FOUNDING_INDEX = 1, FOUNDING_TERM = 1 };

static const uint64_t segment_bytes_default = (uint64_t)64 << 20;

/* ---- The foundation -------------------------------------------------------------------------------- */

static int foundation_identify(struct foundation *foundation, const struct foundation_options *options) {
    struct settings_identity identity = {.disk = options->disk, .first = NULL};
    foundation->identity = mem_alloc(SETTINGS_IDENTITY_MAX);
    if (!foundation->identity)
        return LASH_NOMEM;
    if (identity.disk == 0 && uv_random(NULL, NULL, &identity.disk, sizeof identity.disk, 0, NULL) != 0)
        return LASH_IO;
    if (options->disk == 0)
        identity.disk |= 1;
    identity.first = roster_ref((struct roster *)(uintptr_t)options->first);
    foundation->log_options.identity = foundation->identity;
    foundation->log_options.identity_size = settings_identity_encode(&identity, foundation->identity);
    roster_unref(identity.first);
    return uv_random(NULL, NULL, &foundation->log_options.salt, sizeof foundation->log_options.salt, 0, NULL) == 0
               ? LASH_OK
               : LASH_IO;
}

int foundation_open(struct foundation *foundation, const struct foundation_options *options) {
    *foundation = (struct foundation){.vfs = options->vfs};
    foundation->log_dir = settings_path(options->dir, "log");
    foundation->snapshots_dir = settings_path(options->dir, "snapshots");
    if (!foundation->log_dir || !foundation->snapshots_dir)
        return LASH_NOMEM;
    foundation->log_options =
        (struct log_options){.vfs = options->vfs,
                             .dir = foundation->log_dir,
                             .segment_bytes = options->segment_bytes ? options->segment_bytes : segment_bytes_default,
                             .cluster_id = options->cluster_id,
                             .node_id = options->id,
                             .group = options->group};
    foundation->snapshots_options = (struct snapshots_options){.vfs = options->vfs,
                                                               .dir = foundation->snapshots_dir,
                                                               .cluster_id = options->cluster_id,
                                                               .node_id = options->id,
                                                               .group = options->group};
    int error = foundation_identify(foundation, options);
    if (!error)
        error = log_open(&foundation->log_options, &foundation->log, &foundation->recovered);
    return error ? error : snapshots_open(&foundation->snapshots_options, &foundation->snapshots);
}

void foundation_close(struct foundation *foundation) {
    log_close(foundation->log);
    log_recovered_free(&foundation->recovered);
    snapshots_close(foundation->snapshots);
    mem_free(foundation->identity);
    mem_free(foundation->log_dir);
    mem_free(foundation->snapshots_dir);
    *foundation = (struct foundation){.vfs = foundation->vfs};
}

/* ---- Founding -------------------------------------------------------------------------------------- */

static int founding_take(void *to, const void *data, size_t size) {
    return snapshot_write(to, data, size);
}

static int founding_write_state(const struct lash_founding *founding, struct snapshots *snapshots,
                                const struct roster *first) {
    uint8_t *configuration = mem_alloc(roster_size(first));
    if (!configuration)
        return LASH_NOMEM;
    roster_encode(first, configuration);
    const struct snapshot_head head = {.index = FOUNDING_INDEX,
                                       .term = FOUNDING_TERM,
                                       .configuration = configuration,
                                       .configuration_size = roster_size(first)};
    struct snapshot_writer *writer;
    int error = snapshot_begin(snapshots, &head, &writer);
    mem_free(configuration);
    if (error)
        return error;
    error = founding->state(founding->context, founding_take, writer);
    if (!error)
        return snapshot_commit(writer);
    snapshot_abandon(writer);
    return error;
}

static int founding_fill(const struct vfs *vfs, const struct lash_founding *founding, const struct roster *first) {
    const struct foundation_options options = {.vfs = vfs,
                                               .dir = founding->data_dir,
                                               .cluster_id = founding->cluster_id,
                                               .id = founding->id,
                                               .group = founding->group,
                                               .segment_bytes = founding->segment_bytes,
                                               .first = first};
    struct foundation foundation;
    int error = foundation_open(&foundation, &options);
    if (!error)
        error = founding_write_state(founding, foundation.snapshots, first);
    if (!error)
        error = log_install(foundation.log, FOUNDING_INDEX, FOUNDING_TERM, NULL);
    foundation_close(&foundation);
    return error;
}

/* The members as a roster, in the order of their ids, with what they are to a new cluster. */
static int founding_roster(const struct lash_founding *founding, struct roster **roster) {
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
    if (founding->member_count > LASH_RAFT_MEMBERS_MAX)
        return LASH_TOO_LARGE;
    for (size_t i = 0; i < founding->member_count; i++) {
        size_t at = i;
        for (; at > 0 && members[at - 1].id > founding->members[i].id; at--)
            members[at] = members[at - 1];
        members[at] = founding->members[i];
        members[at].disk = 0;
    }
    int error = founding->member_count ? roster_new(0, members, founding->member_count, roster) : LASH_INVALID;
    if (!error && !roster_find(*roster, founding->id)) {
        roster_unref(*roster);
        *roster = NULL;
        error = LASH_INVALID;
    }
    return error;
}

static void founding_see(void *argument, const char *name) {
    bool *seen = argument;
    *seen = *seen || name[0] != '.';
}

/* Whether the directory holds data, or is about to. */
static int founding_check_empty(const struct vfs *vfs, const char *data_dir) {
    static const char *const names[] = {"log", "snapshots"};
    enum unfinished what;
    int error = unfinished_read(vfs, data_dir, &what, NULL);
    if (!error && what != UNFINISHED_NOTHING)
        error = LASH_EXISTS;
    for (size_t i = 0; i < sizeof names / sizeof *names && !error; i++) {
        bool seen = false;
        char *path = settings_path(data_dir, names[i]);
        int result = path ? vfs->list(vfs->context, path, founding_see, &seen) : -ENOMEM;
        error = seen ? LASH_EXISTS : result == -ENOENT ? LASH_OK : unfinished_error(result);
        mem_free(path);
    }
    return error;
}

static int founding_make(const struct vfs *vfs, const struct lash_founding *founding, const struct roster *first) {
    int error = settings_make_directory(vfs, founding->data_dir);
    if (!error)
        error = founding_check_empty(vfs, founding->data_dir);
    if (!error)
        error = unfinished_write(vfs, founding->data_dir, UNFINISHED_FOUNDING, NULL);
    if (!error)
        error = founding_fill(vfs, founding, first);
    /* The names of the two folders, before it counts as finished. */
    if (!error)
        error = unfinished_error(vfs->sync_dir(vfs->context, founding->data_dir));
    return error ? error : unfinished_remove(vfs, founding->data_dir);
}

int offline_found(const struct vfs *vfs, const struct lash_founding *founding) {
    struct roster *first = NULL;
    bool named = founding->data_dir && founding->data_dir[0] && founding->state && founding->cluster_id;
    int error = named ? founding_roster(founding, &first) : LASH_INVALID;
    if (!error) {
        error = founding_make(vfs, founding, first);
        roster_unref(first);
    }
    if (error)
        log_error("a new member's data could not be made", F_STR("dir", named ? founding->data_dir : ""),
                  F_HEX("id", founding->id), F_ERR(error));
    return error;
}

int lash_node_found(const struct lash_founding *founding) {
    return founding ? offline_found(vfs_posix(), founding) : LASH_INVALID;
}
