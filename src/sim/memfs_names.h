/* SPDX-License-Identifier: Apache-2.0
 *
 * The directories of the disk in memory: the entries as programs see them, those
 * on disk, and the changes in between, each of which survives a loss of power or not,
 * on its own.
 */
#ifndef LASH_SIM_MEMFS_NAMES_H
#define LASH_SIM_MEMFS_NAMES_H

#include "sim/memfs_inode.h"

struct entry {
    struct list link;
    struct inode *inode; /* NULL: a directory */
    char path[];
};

struct names {
    struct list seen;    /* entries as programs see them */
    struct list disk;    /* entries as they are on disk */
    struct list changes; /* from `disk` to `seen`, in order */
};

void names_init(struct names *names);

/* Entries for the same paths, whose inodes `twin` gives. */
void names_clone(struct names *clone, const struct names *names, struct inode *(*twin)(void *context, uint32_t number),
                 void *context);
void names_free(struct names *names);

/* NULL: there is none. */
struct entry *names_find(const struct list *entries, const char *path);

/* The root, "." and "/", is always there. */
bool names_is_directory(const struct list *entries, const char *path);

/* Whether the directory that `path` lies in is there. */
bool names_has_parent(const struct list *entries, const char *path);

/* Whether `path` lies in the directory `parent`. */
bool names_lies_in(const char *path, const char *parent);

/* The path's last part. */
const char *names_last(const char *path);

/* Change what programs see: `remove` goes and `add` comes, each of which may be NULL. */
void names_change(struct names *names, const char *remove, const char *add, struct inode *inode);

/* Make the changes in a directory durable. */
void names_sync(struct names *names, const char *path);

/* Make some of them durable, in their order; the rest goes on waiting. */
void names_sync_some(struct names *names, const char *path, uint64_t *random);

/* Decide on each change; afterwards programs see what is on disk. */
void names_power_on(struct names *names, int32_t (*pick)(void *context, struct memfs_point point), void *context);

#endif
