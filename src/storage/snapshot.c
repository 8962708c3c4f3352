/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of snapshots: which are there, how one takes its place and how one goes.
 *
 * A snapshot is written under the name "part-...", synced, read back, renamed, and the
 * folder is synced. So a file named "snapshot-..." was whole on disk before it had
 * that name. The folder is synced before it is listed: a process that was killed
 * between renaming and syncing leaves a name that is not durable yet, and the log
 * will be trimmed on the strength of it.
 */
#include "storage/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "storage/log_state.h"
#include "storage/snapshot_state.h"

#define PREFIX "snapshot-"
#define PART_PREFIX "part-"
#define DAMAGED_NAME "damaged"

/* ---- Names -------------------------------------------------------------------------------------- */

char *snapshots_path(const struct snapshots *snapshots, lash_index index, lash_term term) {
    char name[SNAPSHOT_NAME_SIZE];
    snprintf(name, sizeof name, PREFIX "%016" PRIx64 "-%016" PRIx64, index, term);
    return log_path(snapshots->dir, name);
}

char *snapshots_part_path(const struct snapshots *snapshots, uint64_t part) {
    char name[SNAPSHOT_NAME_SIZE];
    snprintf(name, sizeof name, PART_PREFIX "%016" PRIx64, part);
    return log_path(snapshots->dir, name);
}

/* Index and term from a name that snapshots_path made; false: it is another's. */
static bool parse_name(const char *name, struct snapshot_info *info) {
    char head[SNAPSHOT_NAME_SIZE];
    const char *dash = strrchr(name, '-');
    if (!dash || strlen(dash) != 17 || (size_t)(dash - name) >= sizeof head)
        return false;
    memcpy(head, name, (size_t)(dash - name));
    head[dash - name] = '\0';
    *info = (struct snapshot_info){.index = log_segment_number(head, PREFIX), .term = log_segment_number(dash, "-")};
    return info->index && info->term;
}

/* ---- What is there ------------------------------------------------------------------------------ */

/* What listing the folder finds. */
struct listing {
    struct snapshot_info *infos;
    size_t info_count;
    uint64_t *parts;
    size_t part_count;
    bool nomem;
};

/* Room for one element more in an array that doubles. */
static bool listing_grow(struct listing *listing, void **array, size_t count, size_t size) {
    if (count & (count - 1))
        return true;
    void *grown = mem_realloc(*array, (count ? 2 * count : 1) * size);
    if (grown)
        *array = grown;
    listing->nomem |= !grown;
    return grown != NULL;
}

static void listing_note(void *argument, const char *name) {
    struct listing *listing = argument;
    struct snapshot_info info;
    uint64_t part = log_segment_number(name, PART_PREFIX);
    if (part && listing_grow(listing, (void **)&listing->parts, listing->part_count, sizeof part))
        listing->parts[listing->part_count++] = part;
    if (parse_name(name, &info) && listing_grow(listing, (void **)&listing->infos, listing->info_count, sizeof info))
        listing->infos[listing->info_count++] = info;
}

static int listing_compare(const void *left, const void *right) {
    const struct snapshot_info *a = left;
    const struct snapshot_info *b = right;
    if (a->index != b->index)
        return a->index < b->index ? 1 : -1;
    return (a->term < b->term) - (a->term > b->term);
}

static const char *what_to_do(int rc) {
    if (rc == LASH_VERSION)
        return "start the version that wrote it, or a newer one";
    if (rc == LASH_MISMATCH)
        return "check the data directory: this snapshot belongs to another cluster";
    return "check the disk and the directory's permissions, then start again";
}

/* Report, and pass on `rc`. */
static int failed(int rc, const char *path, const char *what) {
    log_error("cannot use the snapshots", F_ERR(rc), F_STR("what", what), F_STR("path", path),
              F_STR("do", what_to_do(rc)));
    return rc;
}

/* Keep a damaged snapshot out of the way, and at hand for who wants to see what became of it. */
static void put_aside(const struct snapshots *snapshots, const char *path) {
    log_error("a snapshot is damaged and was set aside", F_STR("path", path), F_STR("as", DAMAGED_NAME),
              F_STR("do", "check the disk; the snapshot before it and the log, or a peer's snapshot, take its place"));
    char *to = log_path(snapshots->dir, DAMAGED_NAME);
    int result = to ? snapshots->vfs->rename(snapshots->vfs->context, path, to) : -ENOMEM;
    if (result < 0)
        log_warn("a damaged snapshot could not be renamed", F_STR("path", path), F_STR("error", strerror(-result)));
    mem_free(to);
}

static void discard(const struct snapshots *snapshots, char *path) {
    if (path)
        snapshots->vfs->unlink(snapshots->vfs->context, path);
    mem_free(path);
}

/* One snapshot that was found, newer ones first: it is kept, set aside or removed. */
static int take_found(struct snapshots *snapshots, struct snapshot_info *info) {
    char *path = snapshots_path(snapshots, info->index, info->term);
    if (!path)
        return LASH_NOMEM;
    if (snapshots->count == SNAPSHOTS_KEPT) {
        discard(snapshots, path);
        return LASH_OK;
    }
    struct snapshot_reader *reader;
    int rc = snapshot_open_path(snapshots, path, &reader);
    if (!rc) {
        const struct snapshot_head *head = snapshot_head_of(reader);
        info->bytes = snapshot_file_bytes(reader);
        if (head->index != info->index || head->term != info->term)
            rc = LASH_CORRUPT;
        snapshot_close(reader);
    }
    if (!rc)
        snapshots->kept[snapshots->count++] = *info;
    else if (rc == LASH_CORRUPT)
        put_aside(snapshots, path);
    else
        failed(rc, path, "a snapshot cannot be read");
    mem_free(path);
    return rc == LASH_CORRUPT ? LASH_OK : rc;
}

/* What an earlier process did not finish: of copies the newest is kept, for the transfer may go on. */
static void take_part(struct snapshots *snapshots, uint64_t part) {
    char *path = snapshots_part_path(snapshots, part);
    struct snapshot_info info;
    uint64_t obsolete = part;
    bool wanted = path && snapshot_part_info(snapshots, path, &info) == LASH_OK &&
                  (!snapshots->count || info.index > snapshots->kept[0].index) && info.index > snapshots->left.index;
    mem_free(path);
    if (wanted) {
        obsolete = snapshots->left_part;
        snapshots->left_part = part;
        snapshots->left = info;
    }
    if (obsolete)
        discard(snapshots, snapshots_part_path(snapshots, obsolete));
    if (part >= snapshots->next_part)
        snapshots->next_part = part + 1;
}

uint64_t snapshots_take_left(struct snapshots *snapshots, const struct snapshot_info *info) {
    pthread_mutex_lock(&snapshots->mutex);
    uint64_t part = snapshots->left_part;
    const struct snapshot_info left = snapshots->left;
    snapshots->left_part = 0;
    snapshots->left = (struct snapshot_info){0};
    pthread_mutex_unlock(&snapshots->mutex);
    if (!part || (left.index == info->index && left.term == info->term && left.bytes == info->bytes))
        return part;
    discard(snapshots, snapshots_part_path(snapshots, part));
    return 0;
}

static int take_all(struct snapshots *snapshots, struct listing *listing) {
    if (listing->info_count)
        qsort(listing->infos, listing->info_count, sizeof *listing->infos, listing_compare);
    for (size_t i = 0; i < listing->info_count; i++) {
        int rc = take_found(snapshots, &listing->infos[i]);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < listing->part_count; i++)
        take_part(snapshots, listing->parts[i]);
    return LASH_OK;
}

static int sync_folder(struct snapshots *snapshots, const char *path) {
    int result = snapshots->vfs->sync_dir(snapshots->vfs->context, path);
    if (result < 0 && log_error_of(result) == LASH_NOMEM)
        return LASH_NOMEM;
    return result < 0 ? snapshots_sync_failed(snapshots, "directory", result) : LASH_OK;
}

static int make_folder(struct snapshots *snapshots) {
    int result = snapshots->vfs->mkdir(snapshots->vfs->context, snapshots->dir);
    if (result < 0)
        return failed(log_error_of(result), snapshots->dir, strerror(-result));
    char *parent = log_parent(snapshots->dir);
    int rc = parent ? sync_folder(snapshots, parent) : LASH_NOMEM;
    mem_free(parent);
    return rc ? rc : sync_folder(snapshots, snapshots->dir);
}

static int find_all(struct snapshots *snapshots) {
    int rc = make_folder(snapshots);
    if (rc)
        return rc;
    struct listing listing = {0};
    int result = snapshots->vfs->list(snapshots->vfs->context, snapshots->dir, listing_note, &listing);
    if (result < 0)
        rc = failed(log_error_of(result), snapshots->dir, strerror(-result));
    else
        rc = listing.nomem ? LASH_NOMEM : take_all(snapshots, &listing);
    mem_free(listing.infos);
    mem_free(listing.parts);
    return rc;
}

/* ---- Opening and closing ------------------------------------------------------------------------ */

int snapshots_open(const struct snapshots_options *options, struct snapshots **snapshots) {
    if (!options->vfs || !options->dir || !*options->dir || options->chunk_bytes > SNAPSHOT_CHUNK_BYTES_MAX)
        return LASH_INVALID;
    struct snapshots *made = mem_calloc(1, sizeof *made);
    if (!made)
        return LASH_NOMEM;
    made->vfs = options->vfs;
    made->cluster_id = options->cluster_id;
    made->node_id = options->node_id;
    made->group = options->group;
    made->chunk_bytes = options->chunk_bytes ? options->chunk_bytes : SNAPSHOT_CHUNK_BYTES_DEFAULT;
    made->next_part = 1;
    pthread_mutex_init(&made->naming, NULL);
    pthread_mutex_init(&made->mutex, NULL);
    made->dir = mem_strdup(options->dir);
    int rc = made->dir ? find_all(made) : LASH_NOMEM;
    if (rc) {
        snapshots_close(made);
        return rc;
    }
    *snapshots = made;
    return LASH_OK;
}

void snapshots_close(struct snapshots *snapshots) {
    if (!snapshots)
        return;
    pthread_mutex_destroy(&snapshots->mutex);
    pthread_mutex_destroy(&snapshots->naming);
    mem_free(snapshots->dir);
    mem_free(snapshots);
}

/* ---- Looking ------------------------------------------------------------------------------------ */

size_t snapshots_list(struct snapshots *snapshots, struct snapshot_info infos[SNAPSHOTS_KEPT]) {
    pthread_mutex_lock(&snapshots->mutex);
    size_t count = snapshots->count;
    memcpy(infos, snapshots->kept, sizeof snapshots->kept);
    pthread_mutex_unlock(&snapshots->mutex);
    return count;
}

lash_index snapshots_floor(struct snapshots *snapshots) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    return snapshots_list(snapshots, infos) == SNAPSHOTS_KEPT ? infos[SNAPSHOTS_KEPT - 1].index : 0;
}

/* The snapshot at `index`. */
static int find(struct snapshots *snapshots, lash_index index, struct snapshot_info *info) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    size_t count = snapshots_list(snapshots, infos);
    for (size_t i = 0; i < count; i++) {
        if (infos[i].index == index) {
            *info = infos[i];
            return LASH_OK;
        }
    }
    return LASH_NOT_FOUND;
}

int snapshot_open(struct snapshots *snapshots, lash_index index, struct snapshot_reader **reader) {
    struct snapshot_info info;
    int rc = find(snapshots, index, &info);
    if (rc)
        return rc;
    char *path = snapshots_path(snapshots, info.index, info.term);
    rc = path ? snapshot_open_path(snapshots, path, reader) : LASH_NOMEM;
    mem_free(path);
    return rc;
}

bool snapshots_dead(struct snapshots *snapshots) {
    pthread_mutex_lock(&snapshots->mutex);
    bool dead = snapshots->dead;
    pthread_mutex_unlock(&snapshots->mutex);
    return dead;
}

int snapshots_wants(struct snapshots *snapshots, lash_index index) {
    pthread_mutex_lock(&snapshots->mutex);
    bool dead = snapshots->dead;
    bool wanted = !snapshots->count || index > snapshots->kept[0].index;
    pthread_mutex_unlock(&snapshots->mutex);
    if (dead)
        return LASH_IO;
    return wanted ? LASH_OK : LASH_EXISTS;
}

int snapshots_sync_failed(struct snapshots *snapshots, const char *what, int result) {
    pthread_mutex_lock(&snapshots->mutex);
    snapshots->dead = true;
    pthread_mutex_unlock(&snapshots->mutex);
    log_error("sync failed, no snapshot is made any more", F_STR("what", what), F_STR("dir", snapshots->dir),
              F_STR("error", strerror(-result)), F_STR("do", "check the disk, then start again"));
    return LASH_IO;
}

/* ---- Coming and going --------------------------------------------------------------------------- */

/* Take the snapshot at `index` off the list; false: it is not there any more. */
static bool forget(struct snapshots *snapshots, lash_index index) {
    bool found = false;
    pthread_mutex_lock(&snapshots->mutex);
    for (size_t i = 0; i < snapshots->count && !found; i++) {
        found = snapshots->kept[i].index == index;
        if (found)
            memmove(&snapshots->kept[i], &snapshots->kept[i + 1], (--snapshots->count - i) * sizeof snapshots->kept[0]);
    }
    pthread_mutex_unlock(&snapshots->mutex);
    return found;
}

int snapshots_check(struct snapshots *snapshots, lash_index index) {
    struct snapshot_info info;
    int rc = find(snapshots, index, &info);
    if (rc)
        return rc;
    char *path = snapshots_path(snapshots, info.index, info.term);
    if (!path)
        return LASH_NOMEM;
    rc = snapshot_check_path(snapshots, path, &info);
    if (rc == LASH_CORRUPT) {
        pthread_mutex_lock(&snapshots->naming);
        if (forget(snapshots, index))
            put_aside(snapshots, path);
        pthread_mutex_unlock(&snapshots->naming);
    }
    mem_free(path);
    return rc;
}

/* The newest is there: put it first, and remove what there is no place for. */
static void insert(struct snapshots *snapshots, const struct snapshot_info *info) {
    struct snapshot_info old = {0};
    pthread_mutex_lock(&snapshots->mutex);
    if (snapshots->count == SNAPSHOTS_KEPT)
        old = snapshots->kept[--snapshots->count];
    memmove(&snapshots->kept[1], &snapshots->kept[0], snapshots->count * sizeof snapshots->kept[0]);
    snapshots->kept[0] = *info;
    snapshots->count++;
    bool useless = snapshots->left_part && snapshots->left.index <= info->index;
    pthread_mutex_unlock(&snapshots->mutex);
    if (useless)
        (void)snapshots_take_left(snapshots, &(struct snapshot_info){0});
    if (old.index)
        discard(snapshots, snapshots_path(snapshots, old.index, old.term));
}

static int adopt(struct snapshots *snapshots, const char *from, const char *to, const struct snapshot_info *info) {
    int rc = snapshots_wants(snapshots, info->index);
    if (rc)
        return rc;
    int result = snapshots->vfs->rename(snapshots->vfs->context, from, to);
    rc = result < 0 ? log_error_of(result) : sync_folder(snapshots, snapshots->dir);
    if (rc) {
        snapshots->vfs->unlink(snapshots->vfs->context, to);
        return rc;
    }
    insert(snapshots, info);
    return LASH_OK;
}

int snapshots_adopt(struct snapshots *snapshots, const char *from, const struct snapshot_info *info) {
    char *to = snapshots_path(snapshots, info->index, info->term);
    if (!to)
        return LASH_NOMEM;
    pthread_mutex_lock(&snapshots->naming);
    int rc = adopt(snapshots, from, to, info);
    pthread_mutex_unlock(&snapshots->naming);
    mem_free(to);
    return rc;
}
