/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening the log of a node, once it is known whose data there is.
 */
#include <uv.h>

#include "base/logger.h"
#include "node/node_state.h"
#include "node/offline.h"

/* Find out whose data there is, or, when there is none, begin with what the options say. `blob` gets what the log is to have
 * as its identity. */
static int node_identify(struct lash_node *node, const char *dir, struct log_identity *blob) {
    int error = log_identify(vfs_posix(), dir, blob);
    if (!error)
        error = settings_identity_decode(blob, &node->identity);
    if (error != LASH_NOT_FOUND)
        return error;
    blob->identity = mem_alloc(SETTINGS_IDENTITY_MAX);
    error = blob->identity ? settings_check_new(&node->options) : LASH_NOMEM;
    if (!error && uv_random(NULL, NULL, &node->identity.disk, sizeof node->identity.disk, 0, NULL) != 0)
        error = LASH_IO;
    node->identity.disk |= 1;
    if (!error && !node->options.joining)
        node->identity.first = roster_ref(node->contacts);
    if (!error)
        blob->identity_size = settings_identity_encode(&node->identity, blob->identity);
    return error;
}

static int node_open_log_at(struct lash_node *node, const char *dir, struct log_recovered *recovered) {
    struct log_identity blob = {0};
    int error = node_identify(node, dir, &blob);
    struct log_options options = {.vfs = vfs_posix(),
                                  .dir = dir,
                                  .segment_bytes = node->options.segment_bytes,
                                  .cluster_id = node->options.cluster_id,
                                  .node_id = node->options.id,
                                  .group = node->options.group,
                                  .identity = blob.identity,
                                  .identity_size = blob.identity_size,
                                  .repair = true,
                                  .direct = node->ring.open};
    if (!error && uv_random(NULL, NULL, &options.salt, sizeof options.salt, 0, NULL) != 0)
        error = LASH_IO;
    if (!error)
        error = log_open(&options, &node->log, recovered);
    else if (error != LASH_INVALID && error != LASH_NOMEM)
        log_error("what the data directory holds cannot be told", F_STR("dir", dir), F_ERR(error),
                  F_STR("do", error == LASH_CORRUPT
                                  ? "do not delete anything: see lashctl log, restore it from a backup, or remove this "
                                    "member from the cluster and add a new one"
                                  : "check the disk and the directory's permissions, then start again"));
    log_identity_free(&blob);
    return error;
}

int node_open_log(struct lash_node *node, struct log_recovered *recovered) {
    const char *data_dir = node->options.data_dir;
    bool removed = false;
    int error = settings_make_directory(vfs_posix(), data_dir);
    if (!error)
        error = unfinished_check(vfs_posix(), data_dir);
    if (!error)
        error = settings_is_removed(vfs_posix(), data_dir, &removed);
    if (!error && removed) {
        log_error("this node was removed from its cluster for good; a new one needs an id and a directory of its own",
                  F_HEX("id", node->options.id), F_STR("dir", data_dir));
        error = LASH_REMOVED;
    }
    if (!error)
        error = settings_roster(&node->options, &node->contacts);
    if (error)
        return error;
    char *dir = settings_path(data_dir, "log");
    error = dir ? node_open_log_at(node, dir, recovered) : LASH_NOMEM;
    mem_free(dir);
    return error;
}
