/* SPDX-License-Identifier: Apache-2.0
 *
 * The membership, for programs: what is asked for becomes a request like any
 * other, and what is in force is copied out.
 */
#include <string.h>

#include "base/logger.h"
#include "node/change.h"
#include "node/node_state.h"
#include "transport/ask.h"

/* ---- Changing it --------------------------------------------------------------------------------- */

static int node_change(lash_node *node, const struct change *change, lash_done_fn done, void *argument) {
    int error = change_check(change);
    if (error)
        return error;
    size_t size = change_size(change);
    uint8_t *data = mem_alloc(size);
    if (!data)
        return LASH_NOMEM;
    change_encode(change, data);
    struct request *request;
    error = node_make_request(node, REQUEST_CHANGE, data, size, done, argument, &request);
    mem_free(data);
    return error ? error : node_enqueue(node, request);
}

static int node_change_id(lash_node *node, enum change_kind kind, lash_id id, lash_done_fn done, void *argument) {
    const struct change change = {.kind = kind, .id = id};
    return node_change(node, &change, done, argument);
}

static int node_change_member(lash_node *node, enum change_kind kind, const struct lash_node_member *member,
                              lash_done_fn done, void *argument) {
    if (!member)
        return LASH_INVALID;
    struct change change = {.kind = kind, .count = 1, .members[0] = *member};
    return node_change(node, &change, done, argument);
}

int lash_node_configure(lash_node *node, const struct lash_node_member *members, size_t count, lash_done_fn done,
                        void *argument) {
    struct change change = {.kind = CHANGE_SET, .count = count};
    if (count > LASH_RAFT_MEMBERS_MAX)
        return LASH_TOO_LARGE;
    if (count == 0 || !members)
        return LASH_INVALID;
    memcpy(change.members, members, count * sizeof *members);
    return node_change(node, &change, done, argument);
}

int lash_node_add(lash_node *node, const struct lash_node_member *member, lash_done_fn done, void *argument) {
    return node_change_member(node, CHANGE_ADD, member, done, argument);
}

int lash_node_remove(lash_node *node, lash_id id, lash_done_fn done, void *argument) {
    return node_change_id(node, CHANGE_REMOVE, id, done, argument);
}

int lash_node_promote(lash_node *node, lash_id id, lash_done_fn done, void *argument) {
    return node_change_id(node, CHANGE_PROMOTE, id, done, argument);
}

int lash_node_update(lash_node *node, const struct lash_node_member *member, lash_done_fn done, void *argument) {
    return node_change_member(node, CHANGE_UPDATE, member, done, argument);
}

/* ---- Looking at it ------------------------------------------------------------------------------- */

/* Texts follow the structure. */
struct lash_members *node_copy_members(const struct roster *roster, uint64_t cluster_id) {
    size_t size = sizeof(struct lash_members);
    for (uint32_t i = 0; i < roster->count; i++)
        size += strlen(roster->members[i].host) + 1 + roster->members[i].note_size;
    struct lash_members *members = mem_calloc(1, size);
    if (!members)
        return NULL;
    members->index = roster->index;
    members->cluster_id = cluster_id;
    members->count = roster->count;
    char *at = (char *)(members + 1);
    for (uint32_t i = 0; i < roster->count; i++) {
        struct lash_node_member *to = &members->members[i];
        *to = roster->members[i];
        size_t host_size = strlen(to->host) + 1;
        members->joint = members->joint || (to->flags & LASH_MEMBER_VOTER_OLD) != 0;
        memcpy(at, to->host, host_size);
        to->host = at;
        at += host_size;
        if (to->note_size)
            memcpy(at, to->note, to->note_size);
        to->note = to->note_size ? at : NULL;
        at += to->note_size;
    }
    return members;
}

int lash_node_members(lash_node *node, struct lash_members **members) {
    uv_mutex_lock(&node->mutex);
    struct roster *roster = roster_ref(node->roster);
    uv_mutex_unlock(&node->mutex);
    if (!roster)
        return LASH_NOT_FOUND;
    *members = node_copy_members(roster, node->options.cluster_id);
    roster_unref(roster);
    return *members ? 0 : LASH_NOMEM;
}

void lash_members_free(struct lash_members *members) {
    mem_free(members);
}

int lash_node_ask(const struct lash_peer *addresses, size_t count, uint64_t timeout_ms, struct lash_members **members) {
    if (count == 0 || !addresses || !members)
        return LASH_INVALID;
    int error = LASH_NOT_FOUND;
    for (size_t i = 0; i < count && error && error != LASH_NOMEM; i++) {
        uint64_t cluster_id;
        uint8_t *answer;
        size_t size;
        error = transport_ask(addresses[i].host, addresses[i].port, timeout_ms / count, &cluster_id, &answer, &size);
        if (error)
            continue;
        struct roster *roster;
        error = roster_decode(answer, size, &roster);
        mem_free(answer);
        if (error)
            continue;
        *members = node_copy_members(roster, cluster_id);
        roster_unref(roster);
        error = *members ? 0 : LASH_NOMEM;
    }
    return error;
}

int lash_node_identify(const char *data_dir, struct lash_identity *identity) {
    if (!data_dir || !data_dir[0] || !identity)
        return LASH_INVALID;
    char *dir = settings_path(data_dir, "log");
    if (!dir)
        return LASH_NOMEM;
    struct log_identity log;
    int error = log_identify(vfs_posix(), dir, &log);
    mem_free(dir);
    if (error)
        return error;
    struct settings_identity own;
    error = settings_identity_decode(&log, &own);
    log_identity_free(&log);
    if (error)
        return error;
    *identity =
        (struct lash_identity){.id = log.node_id, .cluster_id = log.cluster_id, .group = log.group, .disk = own.disk};
    roster_unref(own.first);
    return settings_is_removed(vfs_posix(), data_dir, &identity->removed);
}
