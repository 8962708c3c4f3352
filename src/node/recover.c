/* SPDX-License-Identifier: Apache-2.0
 *
 * Recovery of last resort: the survivors of a cluster that lost its majority become a
 * new one. docs/protocol.md, "Recovery of last resort", says what may be lost.
 *
 * A new log and new snapshots are made in recovered/, of the new cluster, with the same
 * entries and the same states: only what says who the members are is another. Then
 * the old files are moved into replaced/, and the new ones into their places, one by
 * one; the file "unfinished" says which of the two is under way, so that it can be gone
 * on with wherever it was stopped, and no node starts in between.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/logger.h"
#include "node/inspection.h"

enum { RECOVER_READ_BYTES = 8 << 20, RECOVER_COPY_BYTES = 1 << 18 };

static const char *const recover_folders[] = {"log", "snapshots"};

enum { RECOVER_FOLDERS = sizeof recover_folders / sizeof recover_folders[0] };

/* ---- Who the members are --------------------------------------------------------------------------- */

/* The same at all survivors, and never that of a cluster that there was: a mix of the old one's and of who survived. */
static uint64_t recover_cluster_id(uint64_t old, const struct roster *survivors) {
    uint64_t id = old ^ UINT64_C(0x6c61737420726573);
    for (uint32_t i = 0; i < survivors->count; i++) {
        id = (id ^ survivors->members[i].id) * UINT64_C(0x9e3779b97f4a7c15);
        id ^= id >> 29;
    }
    id = (id ^ survivors->count) * UINT64_C(0xbf58476d1ce4e5b9);
    id ^= id >> 32;
    return id == old || id == 0 ? old + 1 : id;
}

/* The survivors as the first configuration of the new cluster: each votes. */
static int recover_roster(const struct inspected *inspected, const struct lash_recovery *recovery,
                          struct roster **survivors) {
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
    size_t count = 0;
    if (!inspected->roster || recovery->survivor_count == 0 || recovery->survivor_count > LASH_RAFT_MEMBERS_MAX)
        return LASH_INVALID;
    for (size_t i = 0; i < recovery->survivor_count; i++) {
        const struct lash_node_member *survivor = roster_find(inspected->roster, recovery->survivors[i]);
        /* A witness has nothing to survive with. */
        if (!survivor || (survivor->flags & LASH_MEMBER_WITNESS) != 0)
            return LASH_INVALID;
    }
    for (uint32_t i = 0; i < inspected->roster->count; i++) {
        bool survives = false;
        for (size_t j = 0; j < recovery->survivor_count && !survives; j++)
            survives = recovery->survivors[j] == inspected->roster->members[i].id;
        if (!survives)
            continue;
        members[count] = inspected->roster->members[i];
        members[count++].flags = LASH_MEMBER_VOTER;
    }
    if (count != recovery->survivor_count) /* one was named twice */
        return LASH_INVALID;
    int error = roster_new(0, members, count, survivors);
    if (!error && !roster_find(*survivors, inspected->blob.node_id)) {
        roster_unref(*survivors);
        *survivors = NULL;
        error = LASH_INVALID;
    }
    return error;
}

/* ---- The record ------------------------------------------------------------------------------------ */

static void record_add(char *record, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void record_add(char *record, const char *format, ...) {
    size_t used = strlen(record);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(record + used, LASH_RECORD_MAX - used, format, arguments);
    va_end(arguments);
}

static void record_add_members(char *record, const char *title, uint64_t cluster_id, const struct roster *roster) {
    record_add(record, "%s cluster %" PRIx64 ", members:\n", title, cluster_id);
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct lash_node_member *member = &roster->members[i];
        record_add(record, "  %" PRIx64 " %s %s", member->id, member->flags & LASH_MEMBER_VOTER ? "voter" : "learner",
                   member->host[0] ? member->host : "address unknown");
        if (member->port)
            record_add(record, ":%u", (unsigned)member->port);
        record_add(record, "\n");
    }
}

static void record_make(char *record, const struct inspected *inspected, const struct roster *survivors,
                        uint64_t cluster_id) {
    char date[32] = "unknown";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    record[0] = '\0';
    record_add(record, "recovery of last resort of member %" PRIx64 " on %s\n", inspected->blob.node_id, date);
    record_add(record, "term %" PRIu64 ", last entry %" PRIu64 " of term %" PRIu64 ", log begins at %" PRIu64 "\n",
               inspected->recovered.term, inspected->recovered.last_index, inspection_last_term(inspected),
               inspected->recovered.first_index);
    record_add_members(record, "old", inspected->blob.cluster_id, inspected->roster);
    record_add_members(record, "new", cluster_id, survivors);
}

/* ---- Making the new log and snapshots -------------------------------------------------------------- */

/* The frame, or, of memberships, one with as many empty entries. */
static int recover_frame(struct buf *old, struct buf **frame) {
    struct frame header;
    int error = frame_header(old->data, &header);
    if (error || header.kind != LASH_ENTRY_CONFIGURATION) {
        *frame = error ? NULL : buf_ref(old);
        return error;
    }
    struct frame_input *inputs = mem_calloc(header.count, sizeof *inputs);
    if (!inputs)
        return LASH_NOMEM;
    error = frame_encode(header.group, header.first, header.term, LASH_ENTRY_NOOP, inputs, header.count, frame);
    mem_free(inputs);
    return error;
}

/* Append one frame from index *next on, which goes behind it. */
static int recover_append(struct log *log, struct buf *old, lash_index *next) {
    struct buf *frame;
    struct frame header;
    int error = recover_frame(old, &frame);
    if (error)
        return error;
    error = frame_header(frame->data, &header);
    const struct log_item item = {.frame = frame, .first = *next};
    if (!error)
        error = log_append(log, &item, 1);
    if (!error)
        *next = header.first + header.count;
    buf_unref(frame);
    return error;
}

static int recover_entries(struct inspected *inspected, struct log *log) {
    lash_index next = inspected->recovered.first_index;
    int error = LASH_OK;
    while (!error && next <= inspected->recovered.last_index) {
        struct buf **frames;
        size_t count;
        error = log_read(inspected->log, next, inspected->recovered.last_index, RECOVER_READ_BYTES, &frames, &count);
        if (error)
            break;
        for (size_t i = 0; i < count; i++) {
            if (!error)
                error = recover_append(log, frames[i], &next);
            buf_unref(frames[i]);
        }
        mem_free(frames);
    }
    return error;
}

static int recover_log(struct inspected *inspected, struct log *log) {
    const struct log_recovered *recovered = &inspected->recovered;
    int error = LASH_OK;
    if (recovered->first_index > 1)
        error = log_install(log, recovered->first_index - 1, recovered->prev_term, NULL);
    const struct log_item vote = {.save_vote = true, .term = recovered->term, .vote = recovered->vote};
    if (!error && recovered->term)
        error = log_append(log, &vote, 1);
    if (!error)
        error = recover_entries(inspected, log);
    return error ? error : log_sync(log);
}

static int recover_copy_data(struct snapshot_reader *reader, struct snapshot_writer *writer) {
    uint8_t *data = mem_alloc(RECOVER_COPY_BYTES);
    if (!data)
        return LASH_NOMEM;
    size_t got;
    int error;
    do {
        error = snapshot_read(reader, data, RECOVER_COPY_BYTES, &got);
        if (!error && got > 0)
            error = snapshot_write(writer, data, got);
    } while (!error && got == RECOVER_COPY_BYTES);
    mem_free(data);
    return error;
}

/* Copy one snapshot, whose membership becomes another. Errors: LASH_CORRUPT (it is damaged), and others. */
static int recover_snapshot(struct inspected *inspected, lash_index index, struct snapshots *to, const void *members,
                            size_t members_size) {
    struct snapshot_reader *reader;
    struct snapshot_writer *writer;
    int error = snapshot_open(inspected->snapshots, index, &reader);
    if (error)
        return error;
    struct snapshot_head head = *snapshot_head_of(reader);
    head.configuration = members;
    head.configuration_size = members_size;
    error = snapshot_begin(to, &head, &writer);
    if (!error) {
        error = recover_copy_data(reader, writer);
        if (error)
            snapshot_abandon(writer);
        else
            error = snapshot_commit(writer);
    }
    snapshot_close(reader);
    return error;
}

/* Copy those that are intact. One of them must reach to where the log begins. */
static int recover_snapshots(struct inspected *inspected, struct snapshots *to, const struct roster *survivors) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    size_t count = snapshots_list(inspected->snapshots, infos);
    lash_index reached = 0;
    uint8_t *members = mem_alloc(roster_size(survivors));
    if (!members)
        return LASH_NOMEM;
    roster_encode(survivors, members);
    int error = LASH_OK;
    for (size_t i = count; i-- > 0 && !error;) { /* the oldest first */
        error = recover_snapshot(inspected, infos[i].index, to, members, roster_size(survivors));
        if (error == LASH_CORRUPT) {
            log_warn("a damaged snapshot is left behind", F_U64("index", infos[i].index));
            error = LASH_OK;
        } else if (!error) {
            reached = infos[i].index;
        }
    }
    mem_free(members);
    if (!error && reached + 1 < inspected->recovered.first_index) {
        log_error("no intact snapshot reaches to the log's begin", F_U64("snapshot", reached),
                  F_U64("first_index", inspected->recovered.first_index),
                  F_STR("do", "recover from another survivor, or from a saved snapshot"));
        error = LASH_CORRUPT;
    }
    return error;
}

static int recover_build(struct inspected *inspected, const struct lash_recovery *recovery, const char *dir,
                         const struct roster *survivors) {
    const struct foundation_options options = {.vfs = inspected->vfs,
                                               .dir = dir,
                                               .cluster_id = recovery->cluster_id,
                                               .id = inspected->blob.node_id,
                                               .group = inspected->blob.group,
                                               .disk = inspected->identity.disk,
                                               .segment_bytes = recovery->segment_bytes,
                                               .first = survivors};
    struct foundation foundation;
    int error = foundation_open(&foundation, &options);
    if (!error)
        error = recover_snapshots(inspected, foundation.snapshots, survivors);
    if (!error)
        error = recover_log(inspected, foundation.log);
    foundation_close(&foundation);
    return error;
}

/* ---- Moving ---------------------------------------------------------------------------------------- */

/* The files of a folder, by their paths' last parts. */
struct listing {
    char **names;
    size_t count;
    size_t capacity;
    bool failed;
};

static void listing_add(void *argument, const char *name) {
    struct listing *listing = argument;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || listing->failed)
        return;
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? 2 * listing->capacity : 16;
        char **names = mem_realloc(listing->names, capacity * sizeof *names);
        listing->failed = !names;
        if (listing->failed)
            return;
        listing->names = names;
        listing->capacity = capacity;
    }
    listing->names[listing->count] = mem_strdup(name);
    listing->failed = !listing->names[listing->count];
    listing->count += !listing->failed;
}

static void listing_free(struct listing *listing) {
    for (size_t i = 0; i < listing->count; i++)
        mem_free(listing->names[i]);
    mem_free(listing->names);
}

/* List the folder; one that does not exist is empty. */
static int listing_of(const struct vfs *vfs, const char *folder, struct listing *listing) {
    *listing = (struct listing){.names = NULL};
    int result = vfs->list(vfs->context, folder, listing_add, listing);
    if (result == -ENOENT)
        return LASH_OK;
    return listing->failed ? LASH_NOMEM : unfinished_error(result);
}

/* Do something to `from`/`name`; `to` is the folder of the same name elsewhere, or NULL. */
typedef int (*move_fn)(const struct vfs *vfs, const char *from, const char *to, const char *name);

static int move_file(const struct vfs *vfs, const char *from, const char *to, const char *name) {
    char *source = settings_path(from, name), *target = settings_path(to, name);
    int error = source && target ? unfinished_error(vfs->rename(vfs->context, source, target)) : LASH_NOMEM;
    mem_free(source);
    mem_free(target);
    return error;
}

static int move_away(const struct vfs *vfs, const char *from, const char *to, const char *name) {
    (void)to;
    char *source = settings_path(from, name);
    int error = source ? unfinished_error(vfs->unlink(vfs->context, source)) : LASH_NOMEM;
    mem_free(source);
    return error;
}

static int move_folder(const struct vfs *vfs, const char *from, const char *to, move_fn move) {
    struct listing listing;
    int error = listing_of(vfs, from, &listing);
    if (!error && listing.count > 0 && to)
        error = unfinished_error(vfs->mkdir(vfs->context, to));
    for (size_t i = 0; i < listing.count && !error; i++)
        error = move(vfs, from, to, listing.names[i]);
    /* The target first: a file has one of its names at least. */
    if (!error && listing.count > 0 && to)
        error = unfinished_error(vfs->sync_dir(vfs->context, to));
    if (!error && listing.count > 0)
        error = unfinished_error(vfs->sync_dir(vfs->context, from));
    listing_free(&listing);
    return error;
}

/* Move log and snapshots from one directory into another, or remove them when that is NULL. */
static int move_all(const struct vfs *vfs, const char *from, const char *to, move_fn move) {
    int error = LASH_OK;
    if (!from)
        return LASH_NOMEM;
    for (size_t i = 0; i < RECOVER_FOLDERS && !error; i++) {
        char *source = settings_path(from, recover_folders[i]);
        char *target = to ? settings_path(to, recover_folders[i]) : NULL;
        error = source && (target || !to) ? move_folder(vfs, source, target, move) : LASH_NOMEM;
        mem_free(source);
        mem_free(target);
    }
    return error;
}

/* ---- The whole ------------------------------------------------------------------------------------- */

/* Keep the record beside the data, under a name that no other has. */
static int recover_keep_record(const struct vfs *vfs, struct lash_recovery *recovery) {
    uint64_t size;
    int number = 0;
    do
        (void)snprintf(recovery->record_path, sizeof recovery->record_path, "%s/recovery-%d.txt", recovery->data_dir,
                       ++number);
    while (vfs->size(vfs->context, recovery->record_path, &size) == 0 && size != strlen(recovery->record));
    int error = unfinished_write_file(vfs, recovery->record_path, recovery->record);
    return error ? error : unfinished_error(vfs->sync_dir(vfs->context, recovery->data_dir));
}

/* Go on from where `what` says that things are. */
static int recover_move(const struct vfs *vfs, struct lash_recovery *recovery, enum unfinished what) {
    const char *dir = recovery->data_dir;
    char *recovered = settings_path(dir, "recovered"), *replaced = settings_path(dir, "replaced");
    int error = recovered && replaced ? LASH_OK : LASH_NOMEM;
    if (!error && what == UNFINISHED_MOVING_OUT) {
        error = unfinished_error(vfs->mkdir(vfs->context, replaced));
        if (!error)
            error = move_all(vfs, dir, replaced, move_file);
        if (!error)
            error = unfinished_write(vfs, dir, UNFINISHED_MOVING_IN, recovery->record);
    }
    if (!error)
        error = move_all(vfs, recovered, dir, move_file);
    if (!error)
        error = recover_keep_record(vfs, recovery);
    mem_free(recovered);
    mem_free(replaced);
    return error ? error : unfinished_remove(vfs, dir);
}

/* Make the new log and snapshots beside the old ones, and the record. Nothing counts yet. */
static int recover_prepare(const struct vfs *vfs, struct inspected *inspected, struct lash_recovery *recovery) {
    struct roster *survivors = NULL;
    char *recovered = settings_path(recovery->data_dir, "recovered");
    char *replaced = settings_path(recovery->data_dir, "replaced");
    int error = recovered && replaced ? recover_roster(inspected, recovery, &survivors) : LASH_NOMEM;
    if (!error) {
        recovery->cluster_id = recover_cluster_id(inspected->blob.cluster_id, survivors);
        record_make(recovery->record, inspected, survivors, recovery->cluster_id);
        /* What an earlier recovery left, finished or not. */
        error = move_all(vfs, recovered, NULL, move_away);
    }
    if (!error)
        error = move_all(vfs, replaced, NULL, move_away);
    if (!error)
        error = unfinished_error(vfs->mkdir(vfs->context, recovered));
    if (!error)
        error = recover_build(inspected, recovery, recovered, survivors);
    if (!error)
        error = unfinished_error(vfs->sync_dir(vfs->context, recovered));
    if (!error)
        error = unfinished_error(vfs->sync_dir(vfs->context, recovery->data_dir));
    roster_unref(survivors);
    mem_free(recovered);
    mem_free(replaced);
    return error;
}

static int recover_begin(const struct vfs *vfs, struct lash_recovery *recovery) {
    struct inspected inspected;
    bool removed = false;
    int error = settings_is_removed(vfs, recovery->data_dir, &removed);
    if (error || removed)
        return error ? error : LASH_REMOVED;
    error = inspection_open(vfs, recovery->data_dir, &inspected);
    if (!error)
        error = recover_prepare(vfs, &inspected, recovery);
    /* From here on no node starts; only then is the lock let go. */
    if (!error)
        error = unfinished_write(vfs, recovery->data_dir, UNFINISHED_MOVING_OUT, recovery->record);
    inspection_close(&inspected);
    return error;
}

int offline_recover(const struct vfs *vfs, struct lash_recovery *recovery) {
    enum unfinished what;
    recovery->cluster_id = 0;
    recovery->record[0] = recovery->record_path[0] = '\0';
    int error = unfinished_read(vfs, recovery->data_dir, &what, recovery->record);
    if (!error && what == UNFINISHED_FOUNDING)
        error = unfinished_check(vfs, recovery->data_dir);
    if (!error && what == UNFINISHED_NOTHING) {
        error = recover_begin(vfs, recovery);
        what = UNFINISHED_MOVING_OUT;
    }
    if (!error)
        error = recover_move(vfs, recovery, what);
    if (!error) {
        struct lash_inspection inspection;
        error = offline_inspect(vfs, recovery->data_dir, &inspection);
        recovery->cluster_id = error ? 0 : inspection.identity.cluster_id;
        lash_inspection_free(&inspection);
    }
    if (error)
        log_error("the recovery has failed", F_STR("dir", recovery->data_dir), F_ERR(error));
    return error;
}

int lash_node_recover(struct lash_recovery *recovery) {
    if (!recovery || !recovery->data_dir || !recovery->data_dir[0] || !recovery->survivors)
        return LASH_INVALID;
    return offline_recover(vfs_posix(), recovery);
}
