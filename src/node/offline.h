/* SPDX-License-Identifier: Apache-2.0
 *
 * Data directories that are made or remade while nothing runs on them; the functions
 * of lash/offline.h on any file system, and what they share.
 *
 * A directory that is not finished says so in a file, "unfinished", which is made
 * durable before anything else changes and goes last; no node is opened meanwhile.
 * Its text says what is under way:
 *
 *   founding      a new member's data is being made
 *   recovery 1    the old log and snapshots are on their way into replaced/
 *   recovery 2    the new ones are on their way from recovered/ into their places
 *
 * and behind a recovery's line comes the record of what is done.
 */
#ifndef LASH_NODE_OFFLINE_H
#define LASH_NODE_OFFLINE_H

#include "lash/offline.h"
#include "node/settings.h"
#include "storage/snapshot.h"

enum unfinished { UNFINISHED_NOTHING = 0, UNFINISHED_FOUNDING, UNFINISHED_MOVING_OUT, UNFINISHED_MOVING_IN };

/* What is under way in the directory. `record`, unless NULL, becomes its record. Errors: LASH_IO, LASH_NOMEM, LASH_CORRUPT (the
 * file makes no sense). */
int unfinished_read(const struct vfs *vfs, const char *data_dir, enum unfinished *what, char record[LASH_RECORD_MAX]);

/* Say so, durably, and take it back. `record` may be NULL. Errors: LASH_IO, LASH_NOMEM, LASH_FULL. */
int unfinished_write(const struct vfs *vfs, const char *data_dir, enum unfinished what, const char *record);
int unfinished_remove(const struct vfs *vfs, const char *data_dir);

/* For a start: LASH_INVALID with a log line when something is unfinished; else as unfinished_read. */
int unfinished_check(const struct vfs *vfs, const char *data_dir);

/* Write a whole file, durably but for its name. Errors: LASH_IO, LASH_NOMEM, LASH_FULL. */
int unfinished_write_file(const struct vfs *vfs, const char *path, const char *text);

/* The error of a file operation that returned `result`. */
int unfinished_error(int result);

/* A new log and folder of snapshots of `cluster_id`, in `dir`, which exists. */
struct foundation {
    const struct vfs *vfs;
    char *log_dir;
    char *snapshots_dir;
    struct log_options log_options;
    struct snapshots_options snapshots_options;
    uint8_t *identity;
    struct log *log;
    struct snapshots *snapshots;
    struct log_recovered recovered;
};

struct foundation_options {
    const struct vfs *vfs;
    const char *dir;
    uint64_t cluster_id;
    lash_id id;
    uint64_t group;
    uint64_t disk; /* 0: a new one */
    uint64_t segment_bytes;
    const struct roster *first;
};

/* Open them. Errors: as log_open and snapshots_open. Ends with foundation_close in any case. */
int foundation_open(struct foundation *foundation, const struct foundation_options *options);
void foundation_close(struct foundation *foundation);

/* On any file system. */
int offline_found(const struct vfs *vfs, const struct lash_founding *founding);
int offline_inspect(const struct vfs *vfs, const char *data_dir, struct lash_inspection *inspection);
int offline_recover(const struct vfs *vfs, struct lash_recovery *recovery);

#endif
