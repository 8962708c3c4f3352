/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk in memory behind the VFS, which loses power, fills up, fails, rots and
 * goes astray when told to. It keeps what is durable apart from what programs see:
 * data by 512-byte sectors, file sizes, and directory entries, each on its own.
 *
 * Every operation but close is counted. Deterministic: the same calls and seeds
 * give the same disk. One thread at a time.
 */
#ifndef LASH_SIM_MEMFS_H
#define LASH_SIM_MEMFS_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/log.h"

enum { MEMFS_SECTOR = 512 };

struct memfs;

/* ---- The disk ------------------------------------------------------------------------------------- */

/* An empty disk; asserts that memory is there. */
struct memfs *memfs_new(void);

/* A copy of the disk, with what is not durable yet, as a killed process leaves it: no open files, no faults, no hook. */
struct memfs *memfs_clone(const struct memfs *fs);
void memfs_free(struct memfs *fs);

/* The operations; valid as long as `fs`, which is their context. */
const struct vfs *memfs_vfs(struct memfs *fs);

/* Carry out a write that the log has handed over (log_append_begin), through its VFS: written and synced, or an error. */
void memfs_carry_out(const struct vfs *vfs, struct log_write *write);

/* Where all chances are drawn from, from now on. */
void memfs_seed(struct memfs *fs, uint64_t seed);

/* Open files. */
int memfs_open_files(const struct memfs *fs);

/* Call `each` with every durable file: its path, and its durable size. */
void memfs_files(const struct memfs *fs, void (*each)(void *argument, const char *path, uint64_t size), void *argument);

/* ---- Faults --------------------------------------------------------------------------------------- */

/* What an operation meets with. */
enum memfs_fault {
    MEMFS_FINE,      /* nothing */
    MEMFS_EIO,       /* fails; a write has done nothing, a sync loses what it should have written: cached, but clean */
    MEMFS_EIO_DONE,  /* fails, though it has been carried out whole */
    MEMFS_EIO_SOME,  /* fails; a write has done half, a sync has written some sectors and loses the others */
    MEMFS_ENOSPC,    /* a write, reservation, or anything else that takes room fails; others succeed */
    MEMFS_SHORT,     /* a read or write does about half; others succeed */
    MEMFS_ASTRAY,    /* a write lands, durably, where memfs_aim says; only the cache has it where it belongs */
    MEMFS_POWER_OFF, /* fails, and so does everything after it, until memfs_power_on or memfs_kill */
    MEMFS_FAULTS,    /* how many there are */
};

enum memfs_kind {
    MEMFS_OPEN,
    MEMFS_PREAD,
    MEMFS_PWRITE,
    MEMFS_FDATASYNC,
    MEMFS_FALLOCATE,
    MEMFS_SIZE,
    MEMFS_RENAME,
    MEMFS_UNLINK,
    MEMFS_MKDIR,
    MEMFS_SYNC_DIR,
    MEMFS_LIST,
    MEMFS_LOCK,
    MEMFS_DROP_CACHE,
    MEMFS_KINDS,
};

/* "open", "pread", ... */
const char *memfs_kind_name(enum memfs_kind kind);

/* Called before each operation; what it returns is what the operation meets with. `path` is the one given, or the one
 * that the file was opened under last. It may look at the disk and clone it, but not change it. */
typedef enum memfs_fault (*memfs_hook)(void *context, enum memfs_kind kind, const char *path);

/* NULL: none. The faults of memfs_fail and memfs_fail_for come first, and the hook is called all the same. */
void memfs_set_hook(struct memfs *fs, memfs_hook hook, void *context);

/* Operations so far since the last memfs_fail, memfs_power_on or creation. */
uint64_t memfs_operations(const struct memfs *fs);

/* Grows with each change to the disk, or to what waits to be written. */
uint64_t memfs_changes(const struct memfs *fs);

/* Count anew, and let the n-th operation from now on (1: the next) meet with `fault`; 0: none. */
void memfs_fail(struct memfs *fs, uint64_t n, enum memfs_fault fault);

/* The same, for `count` operations from the n-th on. */
void memfs_fail_for(struct memfs *fs, uint64_t n, uint64_t count, enum memfs_fault fault);

/* Whether the fault has been met. */
bool memfs_failed(const struct memfs *fs);

/* From now on writes and reservations fail with ENOSPC, or no longer. */
void memfs_fill(struct memfs *fs, bool full);

/* The files' sectors may come to so many bytes; UINT64_MAX: no bound, as at first. Files may be beyond it already. A
 * write that fits in part is short. */
void memfs_set_capacity(struct memfs *fs, uint64_t bytes);

/* What the files' sectors come to. */
uint64_t memfs_used(const struct memfs *fs);

/* Where writes with MEMFS_ASTRAY land: in the file `path`, at `offset` rounded down to a sector. */
void memfs_aim(struct memfs *fs, const char *path, uint64_t offset);

/* How many bytes the last one had. */
uint64_t memfs_stray_bytes(const struct memfs *fs);

/* Bit rot: invert the bits of `mask` in a durable byte. Programs see it unless a write of that sector waits. False when
 * no durable byte is there. */
bool memfs_rot(struct memfs *fs, const char *path, uint64_t offset, uint8_t mask);

/* ---- Time ----------------------------------------------------------------------------------------- */

/* What operations take, in nanoseconds. */
struct memfs_costs {
    uint32_t call;        /* each operation */
    uint32_t sector_copy; /* each sector read or written, to the cache */
    uint32_t sync;        /* each fdatasync and sync_dir */
    uint32_t sector_sync; /* each sector that a sync writes */
};

/* The default: about what a data centre's SSD takes. */
void memfs_set_costs(struct memfs *fs, const struct memfs_costs *costs);

/* What the operations since the last call have taken, in nanoseconds. */
uint64_t memfs_take_cost(struct memfs *fs);

/* ---- The end of a process ------------------------------------------------------------------------- */

/* What becomes of writes that no sync covered when the power goes. */
enum memfs_survival {
    MEMFS_ALL,     /* everything got to the disk */
    MEMFS_NONE,    /* nothing did */
    MEMFS_SOME,    /* each sector, size and directory entry by chance; of a sector any version that was written */
    MEMFS_GARBAGE, /* as SOME, but sectors may also be zeros or random bytes */
};

/* The machine stops and starts again: what was not durable survives or not; open files and locks are gone. */
void memfs_power_on(struct memfs *fs, enum memfs_survival survival, uint64_t seed);

/* The process is killed: open files and locks are gone, all that was written stays readable, nothing becomes durable. */
void memfs_kill(struct memfs *fs);

/* What the loss of power decides on: a change to the directories, a file's size, a sector. */
struct memfs_point {
    uint32_t options; /* 0: as it is on disk, .. options - 1: as it was written last; 1: both are the same */
    bool sector;      /* may also be MEMFS_ZEROS or MEMFS_RANDOM */
};

enum { MEMFS_ZEROS = INT32_MAX - 1, MEMFS_RANDOM = INT32_MAX };

/* The points of a disk that no process has open, in their order; fills at most `max`, and returns how many there are. */
size_t memfs_points(const struct memfs *fs, struct memfs_point *points, size_t max);

/* As memfs_power_on, with `pick` to decide on each point in turn. */
void memfs_power_on_as(struct memfs *fs, int32_t (*pick)(void *context, struct memfs_point point), void *context);

/* ---- For tests ------------------------------------------------------------------------------------ */

/* The bytes of a file as programs see them, for tests that damage them (durably); NULL when there is none. */
uint8_t *memfs_bytes(struct memfs *fs, const char *path, uint64_t *size);

/* Call after changing memfs_bytes: what is there is now what is on disk. */
void memfs_settle(struct memfs *fs, const char *path);

/* Cut a file off, or extend it with zeros, durably. */
void memfs_resize(struct memfs *fs, const char *path, uint64_t size);

#endif
