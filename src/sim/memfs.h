/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk in memory behind the VFS, which loses power, fills up and fails when
 * told to. It keeps what is durable apart from what programs see: data by
 * 512-byte sectors, file sizes, and directory entries, each on its own.
 *
 * Every operation but close is counted. Deterministic: the same calls and seeds
 * give the same disk. One thread at a time.
 */
#ifndef LASH_SIM_MEMFS_H
#define LASH_SIM_MEMFS_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/vfs.h"

enum { MEMFS_SECTOR = 512 };

struct memfs;

/* What the operation chosen by memfs_fail does. */
enum memfs_fault {
    MEMFS_EIO,       /* fails; a write has done nothing, a sync loses what it should have written */
    MEMFS_EIO_DONE,  /* fails, though a write has been carried out whole */
    MEMFS_ENOSPC,    /* a write, reservation, or anything else that takes room fails; others succeed */
    MEMFS_SHORT,     /* a read or write does about half; others succeed */
    MEMFS_POWER_OFF, /* fails, and so does everything after it, until memfs_power_on */
    MEMFS_FAULTS,    /* how many there are */
};

/* What becomes of writes that no sync covered when the power goes. */
enum memfs_survival {
    MEMFS_ALL,     /* everything got to the disk */
    MEMFS_NONE,    /* nothing did */
    MEMFS_SOME,    /* each sector, size and directory entry by chance; of a sector any version that was written */
    MEMFS_GARBAGE, /* as SOME, but sectors may also be zeros or random bytes */
};

/* An empty disk; asserts that memory is there. */
struct memfs *memfs_new(void);

/* A copy of the durable state, without open files. */
struct memfs *memfs_clone(const struct memfs *fs);
void memfs_free(struct memfs *fs);

/* The operations; valid as long as `fs`. */
const struct vfs *memfs_vfs(struct memfs *fs);

/* Operations so far since the last memfs_fail, memfs_power_on or creation. */
uint64_t memfs_operations(const struct memfs *fs);

/* Count anew, and let the n-th operation from now on (1: the next) meet with `fault`; 0: none. */
void memfs_fail(struct memfs *fs, uint64_t n, enum memfs_fault fault);

/* The same, for `count` operations from the n-th on. */
void memfs_fail_for(struct memfs *fs, uint64_t n, uint64_t count, enum memfs_fault fault);

/* From now on writes and reservations fail with ENOSPC, or no longer. */
void memfs_fill(struct memfs *fs, bool full);

/* Whether the fault has been met. */
bool memfs_failed(const struct memfs *fs);

/* The machine stops and starts again: what was not durable survives or not; open files and locks are gone. */
void memfs_power_on(struct memfs *fs, enum memfs_survival survival, uint64_t seed);

/* The process is killed: open files and locks are gone, all that was written stays readable, nothing becomes durable. */
void memfs_kill(struct memfs *fs);

/* The bytes of a file as programs see them, for tests that damage them (durably); NULL when there is none. */
uint8_t *memfs_bytes(struct memfs *fs, const char *path, uint64_t *size);

/* Call after changing memfs_bytes: what is there is now what is on disk. */
void memfs_settle(struct memfs *fs, const char *path);

/* Cut a file off, or extend it with zeros, durably. */
void memfs_resize(struct memfs *fs, const char *path, uint64_t size);

/* Open files. */
int memfs_open_files(const struct memfs *fs);

#endif
