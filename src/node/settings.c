/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of a node. Everything a caller can get wrong is found here, before
 * anything is opened.
 */
#include "node/settings.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/logger.h"
#include "storage/frame.h"

enum { SETTINGS_IDENTITY_VERSION = 1 };

static int settings_invalid(const char *why) {
    log_error("options of the node are not valid", F_STR("why", why));
    return LASH_INVALID;
}

static void settings_default(uint64_t *value, uint64_t otherwise) {
    if (*value == 0)
        *value = otherwise;
}

static const char *settings_wrong_peers(const struct lash_node_options *options) {
    if (options->peer_count == 0 || options->peer_count > LASH_RAFT_MEMBERS_MAX || !options->peers)
        return "peers: 1 to 16 of them are needed";
    bool self = false;
    for (size_t i = 0; i < options->peer_count; i++) {
        const struct lash_peer *peer = &options->peers[i];
        if (peer->id == 0)
            return "peers: an id is 0";
        for (size_t j = 0; j < i; j++)
            if (options->peers[j].id == peer->id)
                return "peers: an id occurs twice";
        if (peer->id == options->id)
            self = true;
        else if (!peer->host || peer->port == 0)
            return "peers: one has no host or no port";
    }
    return self ? NULL : "id: not among the peers";
}

static const char *settings_wrong(const struct lash_node_options *settings) {
    if (!settings->data_dir || !settings->data_dir[0])
        return "data_dir: missing";
    if (!settings->listen_host)
        return "listen_host: missing";
    if (settings->election_ms < 3 * settings->heartbeat_ms || settings->heartbeat_ms > UINT32_MAX ||
        settings->election_ms > UINT32_MAX)
        return "election_ms: less than three heartbeats, or more than 49 days";
    if (settings->entry_bytes_max > FRAME_BODY_MAX / 2)
        return "entry_bytes_max: more than 128 MiB";
    if (settings->request_timeout_ms > UINT32_MAX)
        return "request_timeout_ms: more than 49 days";
    return settings_wrong_peers(settings);
}

int settings_check(const struct lash_node_options *options, struct lash_node_options *settings) {
    *settings = *options;
    settings_default(&settings->heartbeat_ms, 100);
    settings_default(&settings->election_ms, 1000);
    settings_default(&settings->segment_bytes, (uint64_t)64 << 20);
    settings_default(&settings->entry_bytes_max, (uint64_t)16 << 20);
    settings_default(&settings->pending_bytes_max, (uint64_t)256 << 20);
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

void settings_configuration(const struct lash_node_options *settings, struct lash_configuration *configuration) {
    memset(configuration, 0, sizeof *configuration);
    for (size_t i = 0; i < settings->peer_count; i++) {
        size_t at = configuration->count++;
        while (at > 0 && configuration->members[at - 1].id > settings->peers[i].id) {
            configuration->members[at] = configuration->members[at - 1];
            at--;
        }
        configuration->members[at] = (struct lash_member){.id = settings->peers[i].id, .flags = LASH_MEMBER_VOTER};
    }
}

size_t settings_identity(const struct lash_configuration *configuration, uint8_t data[SETTINGS_IDENTITY_MAX]) {
    struct writer writer = writer_make(data, SETTINGS_IDENTITY_MAX);
    write_u32(&writer, SETTINGS_IDENTITY_VERSION);
    write_u32(&writer, configuration->count);
    for (uint32_t i = 0; i < configuration->count; i++) {
        write_u64(&writer, configuration->members[i].id);
        write_u32(&writer, configuration->members[i].flags);
        write_u32(&writer, configuration->members[i].priority);
    }
    LASH_ASSERT(!writer.failed);
    return (size_t)(writer.at - data);
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
