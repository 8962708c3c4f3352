/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of a node. Everything a caller can get wrong is found here, before
 * anything is opened.
 */
#include "node/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/logger.h"
#include "node/parts.h"

enum { SETTINGS_IDENTITY_PLAIN = 1, SETTINGS_IDENTITY_VERSION = 2 };

/* The file that says that the node was removed. */
#define SETTINGS_REMOVED "removed"

static int settings_invalid(const char *why) {
    log_error("options of the node are not valid", F_STR("why", why));
    return LASH_INVALID;
}

static void settings_default(uint64_t *value, uint64_t otherwise) {
    if (*value == 0)
        *value = otherwise;
}

static const char *settings_wrong_peers(const struct lash_node_options *options) {
    if (options->peer_count > LASH_RAFT_MEMBERS_MAX || (options->peer_count > 0 && !options->peers))
        return "peers: at most 16 of them are possible";
    for (size_t i = 0; i < options->peer_count; i++) {
        const struct lash_peer *peer = &options->peers[i];
        if (peer->id == 0)
            return "peers: an id is 0";
        if (peer->priority > LASH_RAFT_PRIORITY_MAX)
            return "peers: a priority is above 1000";
        for (size_t j = 0; j < i; j++)
            if (options->peers[j].id == peer->id)
                return "peers: an id occurs twice";
        if (peer->id != options->id && (!peer->host || peer->port == 0))
            return "peers: one has no host or no port";
    }
    return NULL;
}

static const char *settings_wrong(const struct lash_node_options *settings) {
    if (settings->id == 0)
        return "id: missing";
    if (!settings->data_dir || !settings->data_dir[0])
        return "data_dir: missing";
    if (!settings->listen_host)
        return "listen_host: missing";
    if (settings->election_ms < 3 * settings->heartbeat_ms || settings->heartbeat_ms > UINT32_MAX ||
        settings->election_ms > UINT32_MAX)
        return "election_ms: less than three heartbeats, or more than 49 days";
    if (settings->lease_drift >= 1000)
        return "lease_drift: not below 1000 per mille";
    if (settings->entry_bytes_max > PARTS_TOTAL_MAX)
        return "entry_bytes_max: more than 1 GiB";
    if (settings->inflight_bytes_max > (uint64_t)1 << 40)
        return "inflight_bytes_max: more than 1 TiB";
    if (settings->request_timeout_ms > UINT32_MAX)
        return "request_timeout_ms: more than 49 days";
    return settings_wrong_peers(settings);
}

int settings_check(const struct lash_node_options *options, struct lash_node_options *settings) {
    *settings = *options;
    settings_default(&settings->heartbeat_ms, 100);
    settings_default(&settings->election_ms, 1000);
    if (settings->lease_drift == 0)
        settings->lease_drift = 100;
    settings_default(&settings->segment_bytes, (uint64_t)64 << 20);
    settings_default(&settings->entry_bytes_max, (uint64_t)16 << 20);
    uint64_t two = 2 * settings->entry_bytes_max;
    settings_default(&settings->pending_bytes_max, two > (uint64_t)256 << 20 ? two : (uint64_t)256 << 20);
    settings_default(&settings->uncommitted_bytes_max, (uint64_t)512 << 20);
    settings_default(&settings->inflight_bytes_max, (uint64_t)8 << 20);
    settings_default(&settings->snapshot_bytes_min, (uint64_t)64 << 20);
    settings_default(&settings->trailing_bytes, (uint64_t)64 << 20);
    settings_default(&settings->request_timeout_ms, 5000 + 2 * settings->election_ms);
    const char *wrong = settings_wrong(settings);
    return wrong ? settings_invalid(wrong) : 0;
}

bool settings_machine(const struct lash_state_machine *machine) {
    int count = (machine->snapshot_begin != NULL) + (machine->snapshot_write != NULL) +
                (machine->snapshot_end != NULL) + (machine->restore != NULL);
    if (count != 0 && count != 4)
        settings_invalid("state machine: it has some of the functions for snapshots, and not all");
    return count == 0 || count == 4;
}

static void settings_release_peers(struct lash_peer *peers, size_t count) {
    for (size_t i = 0; peers && i < count; i++)
        mem_free((void *)(uintptr_t)peers[i].host);
    mem_free(peers);
}

void settings_release(struct lash_node_options *settings) {
    mem_free((void *)(uintptr_t)settings->data_dir);
    mem_free((void *)(uintptr_t)settings->listen_host);
    settings_release_peers((struct lash_peer *)(uintptr_t)settings->peers, settings->peer_count);
    settings->data_dir = NULL;
    settings->listen_host = NULL;
    settings->peers = NULL;
}

int settings_keep(struct lash_node_options *settings) {
    const struct lash_peer *theirs = settings->peers;
    struct lash_peer *peers = mem_calloc(settings->peer_count + 1, sizeof *peers);
    settings->data_dir = mem_strdup(settings->data_dir);
    settings->listen_host = mem_strdup(settings->listen_host);
    settings->peers = peers;
    bool whole = peers && settings->data_dir && settings->listen_host;
    for (size_t i = 0; whole && i < settings->peer_count; i++) {
        peers[i] = theirs[i];
        peers[i].host = theirs[i].host ? mem_strdup(theirs[i].host) : NULL;
        whole = !theirs[i].host || peers[i].host;
    }
    return whole ? 0 : LASH_NOMEM;
}

int settings_check_new(const struct lash_node_options *settings) {
    bool self = settings->joining;
    for (size_t i = 0; i < settings->peer_count; i++)
        self = self || settings->peers[i].id == settings->id;
    return self ? 0 : settings_invalid("id: not among the peers, and the node does not join");
}

int settings_roster(const struct lash_node_options *settings, struct roster **roster) {
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
    *roster = NULL;
    LASH_ASSERT(settings->peer_count <= LASH_RAFT_MEMBERS_MAX);
    for (size_t i = 0; i < settings->peer_count; i++) {
        const struct lash_peer *peer = &settings->peers[i];
        size_t at = i;
        for (; at > 0 && members[at - 1].id > peer->id; at--)
            members[at] = members[at - 1];
        members[at] = (struct lash_node_member){.id = peer->id, .flags = LASH_MEMBER_VOTER, .priority = peer->priority};
        if (peer->host && peer->host[0] && peer->port) {
            members[at].host = peer->host;
            members[at].port = peer->port;
        }
    }
    int error = settings->peer_count ? roster_new(0, members, settings->peer_count, roster) : 0;
    return error == LASH_INVALID ? settings_invalid("peers: a host has other than printable characters") : error;
}

/* ---- What the log says of itself ------------------------------------------------------------------- */

size_t settings_identity_encode(const struct settings_identity *identity, uint8_t data[SETTINGS_IDENTITY_MAX]) {
    LASH_ASSERT(identity->disk != 0);
    le32_put(data, SETTINGS_IDENTITY_VERSION);
    le32_put(data + 4, 0);
    le64_put(data + 8, identity->disk);
    if (!identity->first)
        return SETTINGS_IDENTITY_HEAD;
    roster_encode(identity->first, data + SETTINGS_IDENTITY_HEAD);
    return SETTINGS_IDENTITY_HEAD + roster_size(identity->first);
}

/* Members without addresses; the disk is told from others by the number with which the log's checksums begin. */
static int settings_identity_plain(struct reader *reader, uint32_t salt, struct settings_identity *identity) {
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX] = {0};
    uint32_t count = read_u32(reader);
    if (count > LASH_RAFT_MEMBERS_MAX)
        return LASH_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        members[i].id = read_u64(reader);
        members[i].flags = read_u32(reader);
        members[i].priority = read_u32(reader);
    }
    if (reader->failed || reader_left(reader) != 0)
        return LASH_CORRUPT;
    identity->disk = ((uint64_t)salt + 1) * 0x9e3779b97f4a7c15U | 1;
    return roster_new(0, members, count, &identity->first);
}

int settings_identity_decode(const struct log_identity *log, struct settings_identity *identity) {
    struct reader reader = reader_make(log->identity, log->identity_size);
    uint32_t version = read_u32(&reader);
    *identity = (struct settings_identity){0};
    if (reader.failed || version > SETTINGS_IDENTITY_VERSION)
        return reader.failed ? LASH_CORRUPT : LASH_VERSION;
    int error = 0;
    if (version == SETTINGS_IDENTITY_PLAIN) {
        error = settings_identity_plain(&reader, log->salt, identity);
    } else {
        uint32_t reserved = read_u32(&reader);
        identity->disk = read_u64(&reader);
        size_t size = reader_left(&reader);
        if (version == 0 || reserved != 0 || reader.failed || identity->disk == 0)
            error = LASH_CORRUPT;
        if (!error && size > 0)
            error = roster_decode(read_bytes(&reader, size), size, &identity->first);
    }
    return error == LASH_INVALID ? LASH_CORRUPT : error;
}

/* ---- The data directory ------------------------------------------------------------------------------ */

char *settings_path(const char *data_dir, const char *name) {
    size_t size = strlen(data_dir) + 1 + strlen(name) + 1;
    char *path = mem_alloc(size);
    if (path)
        (void)snprintf(path, size, "%s/%s", data_dir, name);
    return path;
}

int settings_mark_removed(const struct vfs *vfs, const char *data_dir) {
    char *path = settings_path(data_dir, SETTINGS_REMOVED);
    if (!path)
        return LASH_NOMEM;
    int file = vfs->open(vfs->context, path, VFS_WRITE | VFS_CREATE);
    int result = file;
    if (file >= 0) {
        result = vfs->fdatasync(vfs->context, file);
        vfs->close(vfs->context, file);
    }
    if (result >= 0)
        result = vfs->sync_dir(vfs->context, data_dir);
    if (result < 0)
        log_error("it could not be noted that the node was removed", F_STR("path", path),
                  F_STR("why", strerror(-result)));
    mem_free(path);
    return result >= 0 ? 0 : result == -ENOSPC ? LASH_FULL : LASH_IO;
}

int settings_is_removed(const struct vfs *vfs, const char *data_dir, bool *removed) {
    char *path = settings_path(data_dir, SETTINGS_REMOVED);
    if (!path)
        return LASH_NOMEM;
    uint64_t size;
    *removed = vfs->size(vfs->context, path, &size) == 0;
    mem_free(path);
    return 0;
}

/* Create one directory, whose parent exists, and make its name durable. */
static int settings_make_one(const struct vfs *vfs, char *path) {
    int result = vfs->mkdir(vfs->context, path);
    if (!result) {
        char *slash = strrchr(path, '/');
        if (!slash) {
            result = vfs->sync_dir(vfs->context, ".");
        } else if (slash == path) {
            result = vfs->sync_dir(vfs->context, "/");
        } else {
            *slash = '\0';
            result = vfs->sync_dir(vfs->context, path);
            *slash = '/';
        }
    }
    if (result)
        log_error("the data directory could not be created", F_STR("path", path), F_STR("why", strerror(-result)));
    return result == 0 ? 0 : result == -ENOSPC ? LASH_FULL : LASH_IO;
}

int settings_make_directory(const struct vfs *vfs, const char *path) {
    uint64_t size;
    if (vfs->size(vfs->context, path, &size) == 0)
        return 0;
    char *copy = mem_strdup(path);
    if (!copy)
        return LASH_NOMEM;
    int error = 0;
    for (char *at = copy + 1; !error && *at; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        if (vfs->size(vfs->context, copy, &size) != 0)
            error = settings_make_one(vfs, copy);
        *at = '/';
    }
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    if (!error && vfs->size(vfs->context, copy, &size) != 0)
        error = settings_make_one(vfs, copy);
    mem_free(copy);
    return error;
}
