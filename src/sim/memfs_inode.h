/* SPDX-License-Identifier: Apache-2.0
 *
 * A file's contents on the disk in memory: its bytes as programs see them (the
 * cache) and as they are on disk, and which sectors of the one wait to be written
 * to the other. Sectors are listed when they become dirty, so that a sync costs what
 * it writes, whatever the size of the file.
 */
#ifndef LASH_SIM_MEMFS_INODE_H
#define LASH_SIM_MEMFS_INODE_H

#include "base/list.h"
#include "sim/memfs.h"

struct inode {
    struct list link;    /* in memfs->inodes */
    uint32_t references; /* directory entries, changes to them, and open files */
    uint32_t number;     /* tells it from the others of its disk and its copies */
    char *path;          /* where it was last */
    uint8_t *seen;       /* `capacity` sectors; zeros behind `size` */
    uint8_t *disk;       /* likewise; zeros behind `disk_size` */
    bool *is_dirty;      /* `capacity` */
    uint32_t *dirty;     /* the sectors that wait to be written, each once; `capacity` */
    uint32_t dirty_count;
    uint32_t capacity; /* sectors */
    uint64_t size;
    uint64_t disk_size;
    struct list versions; /* what dirty sectors held before they were written once more, oldest first */
    bool differs;         /* clean sectors may not be on disk as they are seen */
};

/* Assert that the simulated world has memory: it is not the program's, whose allocations tests make fail. */
void *inode_need(void *memory);

/* Free it: apart from where lists are walked, in which static analysis loses its way. */
void inode_release(void *memory);

/* An empty file without references. */
struct inode *inode_new(uint32_t number, const char *path);

/* A copy without references. */
struct inode *inode_clone(const struct inode *inode);
void inode_free(struct inode *inode);

/* The bytes of whole sectors that `size` takes. */
uint64_t inode_round(uint64_t size);

/* Write the first `size` bytes of the parts. */
void inode_write(struct inode *inode, const struct iovec *parts, uint64_t size, uint64_t offset);

/* Extend the file with zeros. */
void inode_extend(struct inode *inode, uint64_t size);

/* Write all dirty sectors, and the size. */
void inode_sync(struct inode *inode);

/* Write those of `size` bytes at `offset`, and the size if it is needed for them. */
void inode_sync_range(struct inode *inode, uint64_t size, uint64_t offset);

/* Fail to: what is dirty is lost, though the cache goes on showing it. With `random`, each sector by chance. */
void inode_lose(struct inode *inode, uint64_t *random);

/* Let programs see what is on disk, except for what waits to be written. */
void inode_drop_cache(struct inode *inode);

/* Write sectors to the disk alone, past the cache; what lies behind the file's durable end is lost. */
void inode_put(struct inode *inode, const struct iovec *parts, uint64_t size, uint64_t offset);

/* Take the dirty mark off the sectors that `size` bytes at `offset` touch. */
void inode_clean(struct inode *inode, uint64_t size, uint64_t offset);

/* Make the disk what programs see, also where the two differ without being dirty. */
void inode_settle(struct inode *inode);

/* Cut off or extend, durably. */
void inode_resize(struct inode *inode, uint64_t size);

/* The points of a loss of power, one after the other from *at (0: the first); false when there are none left. */
bool inode_point(const struct inode *inode, uint32_t *at, struct memfs_point *point);

/* Decide on the points in turn; afterwards nothing is dirty, and programs see what is on disk. */
void inode_power_on(struct inode *inode, int32_t (*pick)(void *context, struct memfs_point point), void *context,
                    uint64_t *random);

#endif
