/* SPDX-License-Identifier: Apache-2.0
 *
 * The snapshots of one replica: files in a folder beside the log, each the whole
 * state of a state machine at one index (§7), with the membership as it was there.
 *
 * A file gets its name only once it is whole, read back and durable, so whatever
 * has a name can be relied upon, and what a killed process left unfinished is
 * removed. The two newest are kept: should the newest turn out damaged, the one
 * before and the log from there on hold the same state. Therefore the log must not
 * be trimmed beyond snapshots_floor(). docs/snapshot-format.md has every byte.
 *
 * A file's bytes are the same on every replica: one that lacks a snapshot gets the
 * bytes as they are stored with another.
 *
 * Threads: functions that take a `struct snapshots` may be called from any; a
 * writer or a reader belongs to one thread at a time. Whoever opens the folder has
 * locked the data directory (log_open did).
 */
#ifndef LASH_STORAGE_SNAPSHOT_H
#define LASH_STORAGE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lash/raft.h"
#include "storage/vfs.h"

struct snapshots;
struct snapshot_writer;
struct snapshot_reader;

/* So many are kept. */
enum { SNAPSHOTS_KEPT = 2 };

/* The longest configuration. */
#define SNAPSHOT_CONFIGURATION_MAX ((size_t)64 << 10)

struct snapshots_options {
    const struct vfs *vfs;
    const char *dir; /* created if missing; the one above it exists */
    uint64_t cluster_id;
    uint64_t node_id; /* noted in the snapshots made here */
    uint64_t group;
    uint32_t chunk_bytes; /* [256 KiB] of data that share a checksum, at most 16 MiB */
};

/* What a snapshot is of. */
struct snapshot_head {
    lash_index index; /* the last entry that it holds the effect of */
    lash_term term;   /* of that entry */
    const void
        *configuration; /* the membership at that index, opaque here; as long as the reader, or during the call */
    size_t configuration_size;
    bool hollow; /* a witness's: there is no data, though the state machine had some */
};

/* A snapshot that is there. */
struct snapshot_info {
    lash_index index;
    lash_term term;
    uint64_t bytes; /* of the file */
};

/* ---- The folder --------------------------------------------------------------------------------- */

/* Open the folder, remove what was left unfinished (but for one copy of another replica's, see snapshot_receive), and look at the begin and end of each snapshot; damaged ones are
 * set aside. On success *snapshots is the caller's.
 * Errors: LASH_INVALID (options), LASH_NOMEM, LASH_IO, LASH_FULL, LASH_MISMATCH (another cluster's or group's), LASH_VERSION. Each
 * writes a log line. */
int snapshots_open(const struct snapshots_options *options, struct snapshots **snapshots);

/* NULL is fine. Writers and readers have ended. */
void snapshots_close(struct snapshots *snapshots);

/* Those that are there, the newest first; returns how many. */
size_t snapshots_list(struct snapshots *snapshots, struct snapshot_info infos[SNAPSHOTS_KEPT]);

/* Up to here the log may be trimmed without a gap, even if the newest snapshot turns out to be damaged: the index of the
 * one before it; 0 when there is none, for then the log itself is what is left. */
lash_index snapshots_floor(struct snapshots *snapshots);

/* Read all of the snapshot at `index` and check it; a damaged one is set aside, so that the one before it is the newest.
 * Errors: LASH_NOT_FOUND, LASH_CORRUPT, LASH_IO, LASH_NOMEM. */
int snapshots_check(struct snapshots *snapshots, lash_index index);

/* ---- Writing ------------------------------------------------------------------------------------ */

/* Whether a sync has failed: nothing is made durable any more, and the process must stop. */
bool snapshots_dead(struct snapshots *snapshots);

/* Begin a snapshot. Errors: LASH_INVALID, LASH_EXISTS (there is one at this index or beyond), LASH_NOMEM, LASH_IO,
 * LASH_FULL. */
int snapshot_begin(struct snapshots *snapshots, const struct snapshot_head *head, struct snapshot_writer **writer);

/* Add data. After an error only snapshot_abandon. Errors: LASH_IO, LASH_FULL. */
int snapshot_write(struct snapshot_writer *writer, const void *data, size_t size);

/* Begin to copy a snapshot from another replica, the file of `bytes` bytes as it is there; or go on with a copy that an earlier
 * process has left (see snapshot_leave): snapshot_received then is not 0. Errors: as snapshot_begin. */
int snapshot_receive(struct snapshots *snapshots, lash_index index, lash_term term, uint64_t bytes,
                     struct snapshot_writer **writer);

/* Add bytes of the file that lie at `offset`; snapshot_received says where the next belong. Errors: LASH_INVALID (another
 * place, or beyond the end; nothing has changed), LASH_IO, LASH_FULL. */
int snapshot_copy(struct snapshot_writer *writer, uint64_t offset, const void *data, size_t size);

/* How much of the file is there: where a transfer that broke off goes on. */
uint64_t snapshot_received(const struct snapshot_writer *writer);

/* Make the snapshot durable, read it back and check it, and let it take its place; the oldest beyond those that are kept
 * goes. On success it is there to stay; on an error nothing of it counts. The writer is freed either way.
 * Errors: LASH_CORRUPT (what was copied is not a whole snapshot of that index and term), LASH_MISMATCH (of another
 * cluster or group), LASH_VERSION, LASH_EXISTS (one at this index or beyond has come meanwhile), LASH_NOMEM, LASH_FULL, LASH_IO
 * (after a failed sync every later one fails so, too: the process must stop, see the design's failure policy). */
int snapshot_commit(struct snapshot_writer *writer);

/* Give the snapshot up. NULL is fine. */
void snapshot_abandon(struct snapshot_writer *writer);

/* The process ends: a copy stays as far as it has come, and the folder's next opener can go on with it. NULL is fine. */
void snapshot_leave(struct snapshot_writer *writer);

/* ---- Reading ------------------------------------------------------------------------------------ */

/* Open the snapshot at `index`. It stays readable even if it is removed meanwhile. Errors: LASH_NOT_FOUND, LASH_CORRUPT,
 * LASH_VERSION, LASH_IO, LASH_NOMEM. */
int snapshot_open(struct snapshots *snapshots, lash_index index, struct snapshot_reader **reader);

/* The same, but for a witness: its bytes (snapshot_raw, snapshot_file_bytes) are those of a hollow snapshot of the same index,
 * and there is no data to read. Errors: as above. */
int snapshot_open_hollow(struct snapshots *snapshots, lash_index index, struct snapshot_reader **reader);

/* What it is of; valid as long as the reader. */
const struct snapshot_head *snapshot_head_of(const struct snapshot_reader *reader);

/* The size of its data, and of the file. */
uint64_t snapshot_data_bytes(const struct snapshot_reader *reader);
uint64_t snapshot_file_bytes(const struct snapshot_reader *reader);

/* The next data, at most `size` bytes, checked; *got is less only at the end. Errors: LASH_CORRUPT, LASH_IO. */
int snapshot_read(struct snapshot_reader *reader, void *data, size_t size, size_t *got);

/* Bytes of the file as they are, unchecked, at most `size` from `offset` on; *got is less only at the end. Errors: LASH_IO. */
int snapshot_raw(const struct snapshot_reader *reader, uint64_t offset, void *data, size_t size, size_t *got);

/* NULL is fine. */
void snapshot_close(struct snapshot_reader *reader);

#endif
