/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's options, checked and with their defaults filled in, and what follows
 * from them: the first configuration, and what the log says of itself.
 */
#ifndef LASH_NODE_SETTINGS_H
#define LASH_NODE_SETTINGS_H

#include "lash/node.h"
#include "node/roster.h"
#include "storage/log.h"
#include "storage/vfs.h"

enum { SETTINGS_IDENTITY_HEAD = 16, SETTINGS_IDENTITY_MAX = SETTINGS_IDENTITY_HEAD + ROSTER_BYTES_MAX };

/* Fill `settings` with `options` and the defaults. The pointers in it stay the caller's, until settings_keep. Errors: LASH_INVALID, with a log
 * line that says what is wrong. */
int settings_check(const struct lash_node_options *options, struct lash_node_options *settings);

/* Whether the state machine's functions go together: of those of snapshots it has all, or none. */
bool settings_machine(const struct lash_state_machine *machine);

/* Let `settings` point to copies of its own. Errors: LASH_NOMEM (settings_release is to be called all the same). */
int settings_keep(struct lash_node_options *settings);
void settings_release(struct lash_node_options *settings);

/* Whether a node without data can begin with these: among its peers, or joining. Errors: LASH_INVALID, with a log line. */
int settings_check_new(const struct lash_node_options *settings);

/* The peers as a roster in which all vote, in the order of their ids; NULL when there are none. Errors: LASH_INVALID, with a log
 * line, LASH_TOO_LARGE, LASH_NOMEM. */
int settings_roster(const struct lash_node_options *settings, struct roster **roster);

/* What a log says of itself (the blob in its first record). */
struct settings_identity {
    uint64_t disk;        /* of the data directory, never 0 */
    struct roster *first; /* the group's first configuration; NULL: the node joined a group that there was */
};

/* As bytes. Returns the size. */
size_t settings_identity_encode(const struct settings_identity *identity, uint8_t data[SETTINGS_IDENTITY_MAX]);

/* Read it, also as versions wrote it that knew neither disks nor addresses; the roster is the caller's. Errors:
 * LASH_CORRUPT, LASH_VERSION, LASH_NOMEM. */
int settings_identity_decode(const struct log_identity *log, struct settings_identity *identity);

/* "data_dir/name", the caller's (mem_free); NULL: no memory. */
char *settings_path(const char *data_dir, const char *name);

/* Note in the data directory that its node was removed for good, durably; and whether that is noted. Errors: LASH_IO,
 * LASH_FULL, LASH_NOMEM. */
int settings_mark_removed(const struct vfs *vfs, const char *data_dir);
int settings_is_removed(const struct vfs *vfs, const char *data_dir, bool *removed);

/* Create the directory `path` and those above it, durably. Errors: LASH_IO, LASH_NOMEM, LASH_FULL. */
int settings_make_directory(const struct vfs *vfs, const char *path);

#endif
