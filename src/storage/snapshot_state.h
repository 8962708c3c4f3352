/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that implement snapshot.h share: snapshot.c (the folder),
 * snapshot_write.c and snapshot_read.c (one file each way).
 */
#ifndef LASH_STORAGE_SNAPSHOT_STATE_H
#define LASH_STORAGE_SNAPSHOT_STATE_H

#include <pthread.h>

#include "storage/snapshot_format.h"

#define SNAPSHOT_CHUNK_BYTES_DEFAULT ((uint32_t)256 << 10)

/* Room for the longest file name that the folder has. */
enum { SNAPSHOT_NAME_SIZE = 48 };

struct snapshots {
    const struct vfs *vfs;
    char *dir;
    uint64_t cluster_id;
    uint64_t node_id;
    uint64_t group;
    uint32_t chunk_bytes;

    pthread_mutex_t naming;                    /* held while names change; never waited for by who only looks */
    pthread_mutex_t mutex;                     /* guards the rest; held for moments only */
    struct snapshot_info kept[SNAPSHOTS_KEPT]; /* the newest first */
    size_t count;
    uint64_t next_part; /* for the name of the next that is begun */
    uint64_t
        left_part; /* of a copy that an earlier process did not finish, and of what it is to be; 0: there is none */
    struct snapshot_info left;
    bool dead; /* a sync failed: nothing is relied on any more */
};

/* ---- snapshot.c --------------------------------------------------------------------------------- */

/* The path of the snapshot, or of an unfinished one; the caller's (mem_free); NULL when memory ran out. */
char *snapshots_path(const struct snapshots *snapshots, lash_index index, lash_term term);
char *snapshots_part_path(const struct snapshots *snapshots, uint64_t part);

/* The number of the unfinished copy that an earlier process left of this very snapshot, which is the caller's from now on; 0: there is
 * none, and what else was left is removed. */
uint64_t snapshots_take_left(struct snapshots *snapshots, const struct snapshot_info *info);

/* Whether one at `index` would be the newest. */
int snapshots_wants(struct snapshots *snapshots, lash_index index);

/* After a failed sync: give the folder up. Returns LASH_IO. */
int snapshots_sync_failed(struct snapshots *snapshots, const char *what, int result);

/* The whole, durable file at `from` becomes the newest snapshot. Errors: as snapshot_commit. */
int snapshots_adopt(struct snapshots *snapshots, const char *from, const struct snapshot_info *info);

/* ---- snapshot_read.c ---------------------------------------------------------------------------- */

/* Open a file and check its header, its end and its size. Errors: LASH_CORRUPT, LASH_VERSION, LASH_MISMATCH (another cluster's or
 * group's), LASH_IO, LASH_NOMEM. */
int snapshot_open_path(const struct snapshots *snapshots, const char *path, struct snapshot_reader **reader);

/* Of what an unfinished file is to be, if it is a copy of another node's. Its size may be anything. Errors: as above, LASH_CORRUPT also
 * when it is none. */
int snapshot_part_info(const struct snapshots *snapshots, const char *path, struct snapshot_info *info);

/* So many bytes of it are there and right: header, configuration and whole chunks. 0: none, or it cannot be told. */
uint64_t snapshot_part_prefix(const struct snapshots *snapshots, const char *path);

/* Read all of the file and check it. Errors: as above. */
int snapshot_check_path(const struct snapshots *snapshots, const char *path, const struct snapshot_info *expected);

#endif
