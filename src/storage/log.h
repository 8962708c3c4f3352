/* SPDX-License-Identifier: Apache-2.0
 *
 * The write-ahead log of one replica: frames of entries, term and vote, and the
 * first configuration, as records in preallocated segments.
 *
 * Records only ever follow one another; nothing is rewritten in place. A frame
 * record whose first index is at or below the last replaces the suffix from there
 * (§5.3), so truncation and append are one record. Each record chains the
 * checksum of the one before, and says up to which position the log was durable
 * when it was written, which is how recovery tells a torn tail (cut off) from
 * corruption of what may have been acknowledged (LASH_CORRUPT).
 *
 * Threads: log_append, log_append_begin, log_append_end, log_sync, log_mark, log_prepare, log_trim, log_install and log_close
 * belong to the writer: one thread, or several that see to it that one at a time is. log_read may be called from any thread at the same time.
 */
#ifndef LASH_STORAGE_LOG_H
#define LASH_STORAGE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "lash/raft.h"
#include "storage/frame.h"
#include "storage/vfs.h"

struct log;

struct log_options {
    const struct vfs *vfs;
    const char *dir;        /* created if missing */
    uint64_t segment_bytes; /* [64 MiB] at least 4 KiB; a larger record gets a segment of its own size */
    uint64_t cluster_id;    /* written at first; LASH_MISMATCH when the log is another's */
    uint64_t node_id;
    uint64_t group;
    /* A random number, kept when the log is new: where its records' checksums begin. Nobody who makes commands knows
     * it, so that nobody can make a command whose bytes recovery takes for records of the log. */
    uint32_t salt;
    /* An opaque blob kept as the log's first record when the log is new (the node puts the first configuration,
     * addresses and the identity of its disk there); must be equal when it exists (see log_identify), else
     * LASH_MISMATCH. May be empty. */
    const void *identity;
    size_t identity_size;
    /* Where what was durable is damaged and can be made whole again, do so, with the help of log_repair where frames of other
     * replicas are needed; else such damage is LASH_CORRUPT like any other. */
    bool repair;
    /* Small appends are to be written past the system's cache where that is possible (log_append_begin). */
    bool direct;
};

/* What recovery found. Freed by log_recovered_free. */
struct log_recovered {
    lash_term term;
    lash_id vote;
    lash_index first_index; /* 1 for a new log; after log_trim, the first index kept */
    lash_term prev_term;    /* of first_index - 1 */
    lash_index last_index;  /* first_index - 1 when there are no entries */
    struct lash_run *runs;
    size_t run_count;
    uint64_t torn_bytes; /* cut off the tail; 0 after a clean stop */
};

/* What a damaged log needs next: the frame with the entry at `index`, as it was written. */
struct log_damage {
    lash_index index;
    uint64_t size;   /* of the frame in bytes; 0: that is not known, nor is its checksum */
    uint32_t crc;    /* CRC32C over the frame */
    uint64_t number; /* of the segment that is damaged, */
    uint64_t offset; /* and where in its file */
};

/* One thing to append; several make one write. */
struct log_item {
    bool save_vote;
    lash_term term; /* with save_vote */
    lash_id vote;
    struct buf *frame; /* or NULL; a checked frame, only referenced during the call */
    lash_index first;  /* the first index of the frame that counts: >= the frame's own first, and <= last + 1 */
};

/* Open or create. Recovery reads and checks every record. On success both outputs are the caller's.
 * The directory is locked (LASH_BUSY when another process has it). Errors: LASH_INVALID, LASH_NOMEM, LASH_IO,
 * LASH_BUSY, LASH_CORRUPT, LASH_MISMATCH, LASH_VERSION, LASH_FULL. Each failure writes one log line that says what,
 * where (file, offset) and what to do. */
int log_open(const struct log_options *options, struct log **log, struct log_recovered *recovered);

/* ---- A damaged log. With the option `repair`, log_open may answer LASH_DAMAGED: then *log is the caller's, *recovered is
 * not filled in, and the log is good only for log_damaged, log_repair, log_find and log_close, of which one at a time may
 * be called, until log_repair answers LASH_OK. docs/log-format.md says what can be repaired. ---------------------------- */

/* What it needs next; false when the log is whole. */
bool log_damaged(const struct log *log, struct log_damage *damage);

/* Put `frame` where one is missing, if it is the very one that was written there: its bytes must have the checksum that was
 * written with them, or give the record of which the next one tells the checksum. Syncs, and goes on with the
 * recovery. LASH_OK: the log is whole, and as if log_open had just opened it. Errors: LASH_MISMATCH (it is another;
 * nothing was changed), LASH_DAMAGED (it was put there, and something else is missing), those of log_open (the log can only be
 * closed; after LASH_IO the process must stop as after log_sync). */
int log_repair(struct log *log, const struct buf *frame, struct log_recovered *recovered);

/* Find the frame with the entry at damage->index that another replica has asked for, in a log that is whole or not. The caller
 * gets a reference. Any thread may call it on a log that is whole. Errors: LASH_NOT_FOUND, LASH_NOMEM, LASH_IO, LASH_CORRUPT. */
int log_find(struct log *log, const struct log_damage *damage, struct buf **frame);

/* Find the newest frame of a kind that is whole, in a log that need not be. Otherwise as log_find. */
int log_find_newest(struct log *log, uint32_t kind, struct buf **frame);

void log_recovered_free(struct log_recovered *recovered);

/* Whose log lies in a directory. Freed by log_identity_free. */
struct log_identity {
    uint64_t cluster_id;
    uint64_t node_id;
    uint64_t group;
    uint32_t salt;
    uint8_t *identity; /* the blob that was given when it was new */
    size_t identity_size;
};

/* Look whose log lies in `dir`; takes no lock and changes nothing. On success *identity is the caller's. Errors:
 * LASH_NOT_FOUND (none does), LASH_CORRUPT, LASH_VERSION, LASH_IO, LASH_NOMEM. */
int log_identify(const struct vfs *vfs, const char *dir, struct log_identity *identity);
void log_identity_free(struct log_identity *identity);

/* Write `count` items in order with as few writes as possible; not durable before log_sync. On an error nothing of it
 * counts: neither log_read nor a later log_open sees any of the items (the next append overwrites them), unless power is
 * lost before the next sync: then they may be there, whole, as what was never synced may. Another log_append may be
 * tried, unless the log is dead (see log_sync). Items that are appended together survive a crash together or not at all. Errors: LASH_NOMEM, LASH_IO, LASH_FULL (no room; appending may work later), LASH_INVALID (an index
 * that leaves a gap or was trimmed, a frame of another group or of a term below that of the entry before it, a term that
 * falls, a second vote in a term). */
int log_append(struct log *log, const struct log_item *items, size_t count);

/* A write that the caller of log_append_begin carries out. */
struct log_write {
    int file;         /* a handle of the VFS */
    const void *data; /* the log's, until log_append_end; lies at a multiple of 4 KiB */
    size_t size;      /* a multiple of 512, like `offset` */
    uint64_t offset;
    ssize_t result; /* the caller's: bytes that are on disk, or -errno */
};

/* Begin to append items that are few and small, as log_append and log_sync together do, but let the caller write them, in whatever way, as long as
 * no thread has to wait for it: the node has the kernel do it (io_uring). `items` stay as they are, and nothing else may be asked of the writer, until
 * log_append_end. Waits for nothing itself. Errors: those of log_append; LASH_BUSY: not this time, log_append is to do it (they are
 * too large, or the segment ends, something before them is not durable, or there is no way past the cache). */
int log_append_begin(struct log *log, const struct log_item *items, size_t count, struct log_write *write);

/* The write has ended, with write->result. LASH_OK: all of it is there, so the items count and are durable. Any thread, one at a time, may
 * call it; unless it `may_wait`, it waits for nothing, and answers LASH_BUSY where it would have to: then it is to be called again with
 * `may_wait`. Errors then: LASH_BUSY (the write was refused; nothing of it counts, and log_append is to do it), LASH_IO (as of log_sync). */
int log_append_end(struct log *log, const struct log_write *write, bool may_wait);

/* Make all that was appended durable. After an error the log is dead (as after a failed append that could not be undone): every later call fails with LASH_IO, and the
 * process must stop (see the design's failure policy). Errors: LASH_IO. */
int log_sync(struct log *log);

/* Write down that all that was synced is durable, so that damage to it can be told from a torn tail: a small record,
 * itself not synced. Nothing is written when that stands in the log already or something is not synced yet. To be
 * called when there is nothing else to write. Errors: LASH_NOMEM, LASH_IO, LASH_FULL (no harm is done). */
int log_mark(struct log *log);

/* See to it that the next segment's file is there, with all its space, before the present one is half used; so what is
 * under way when the disk fills up still finds room, and so do thousands of votes. To be called after appends, and
 * from time to time after LASH_FULL. Errors: LASH_FULL (no space for it: appends go on until the present segment is used
 * up), LASH_NOMEM, LASH_IO (no harm is done). */
int log_prepare(struct log *log);

/* Forget entries up to `index` (a durable snapshot covers them); whole segments are recycled. Term, vote and identity
 * survive. Syncs. Errors: LASH_INVALID, LASH_IO, LASH_NOMEM, LASH_FULL. */
int log_trim(struct log *log, lash_index index);

/* Let the log go on from a durable snapshot at `index`, whose entry is of `term` (§7): if it holds that entry, what lies
 * behind stays, and nothing is done; so, too, if it begins behind that index. Otherwise it becomes empty and begins at
 * index + 1. To be called when a snapshot of another replica was installed, and after log_open with the newest
 * snapshot: the machine may have stopped between the two. Term, vote and identity survive; a term below the entry's
 * is raised to it, for then the entry's was never acted on. Syncs.
 * `recovered`, unless NULL, is freed and filled anew. Errors: LASH_INVALID (another term than the entry before the log's
 * first, which was committed), LASH_IO, LASH_NOMEM, LASH_FULL. */
int log_install(struct log *log, lash_index index, lash_term term, struct log_recovered *recovered);

/* Read frames from the one that holds `first` on, each whole, until `last` is reached or the next would go past
 * `bytes_max` (at least one frame is read). The caller gets an array of new references in *frames with *count of them
 * (mem_free the array after buf_unref each). A frame may begin before `first`, and at its begin may hold entries that the log
 * holds from an earlier frame; equal by the Log Matching Property.
 * Errors: LASH_NOT_FOUND (outside the log), LASH_NOMEM, LASH_IO, LASH_CORRUPT (bytes on disk changed). */
int log_read(struct log *log, lash_index first, lash_index last, uint64_t bytes_max, struct buf ***frames,
             size_t *count);

/* Bytes that the entries behind `at` take, with what lies between them. Any thread; may wait for a file to be opened. */
uint64_t log_bytes_behind(struct log *log, lash_index at);

/* The highest index behind which the entries up to `at` take at least `bytes`; 0 when they do not. Any thread, as above. */
lash_index log_index_before(struct log *log, lash_index at, uint64_t bytes);

/* Bytes of segments on disk. Any thread; never waits. */
uint64_t log_size(struct log *log);

/* Write the durable position once more (so that the last records are covered too), release everything. NULL is fine. */
void log_close(struct log *log);

/* Print every record of the log in `dir` to `out`, one line each, and each problem with file and offset; needs no lock
 * and changes nothing. With `data`, commands are shown too. Errors: LASH_IO, LASH_NOT_FOUND, LASH_CORRUPT (after
 * printing what could be read). */
int log_dump(const struct vfs *vfs, const char *dir, bool data, FILE *out);

#endif
