/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's state, shared by the files that implement log.h: log.c (open, close,
 * sync, trim), log_append.c (appends), log_batch.c (one append's bytes),
 * log_segment.c (files), log_recover.c and log_read.c.
 */
#ifndef LASH_STORAGE_LOG_STATE_H
#define LASH_STORAGE_LOG_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/log.h"
#include "storage/log_index.h"
#include "storage/log_record.h"

/* Recycled files that are kept for later segments. */
enum { LOG_POOL_MAX = 2 };

/* Room for the longest file name that the log gives, with its end. */
enum { LOG_NAME_SIZE = 32 };

#define LOG_SEGMENT_BYTES_DEFAULT ((uint64_t)64 << 20)
#define LOG_SEGMENT_BYTES_MIN ((uint64_t)4 << 10)

/* One file of the log. */
struct log_segment {
    uint64_t sequence;       /* from 1, without gaps */
    uint64_t first_position; /* of the file's first byte */
    bool dropped;            /* no longer in the list; under the mutex */
    uint64_t size;           /* of the file */
    /* Under the mutex: open, else -1, while there are users: the writer, recovery, and each read under way. */
    int file;
    uint32_t users;
};

/* The longest append that its caller may write, and how the memory for that begins. */
enum { LOG_DIRECT_MAX = 64 << 10, LOG_DIRECT_ALIGNMENT = 4 << 10 };

/* Every segment keeps room behind its entries for a mark, a trim, which must be possible on a full disk, and that
 * one's mark. */
enum { LOG_LEAVE_BY_MARK = 0, LOG_LEAVE_BY_TRIM = RECORD_SECTOR, LOG_LEAVE_BY_APPEND = 3 * RECORD_SECTOR };

/* What the log will be once some items are in. */
struct log_outlook {
    lash_term term;
    lash_id vote;
    lash_index last;
    size_t puts; /* records that they take */
};

/* An append whose records are made. */
struct log_begun {
    const struct log_item *items; /* the caller's */
    size_t item_count;
    struct log_outlook outlook;
    struct log_put *puts; /* outlook.puts of them */
    uint64_t bytes;
};

struct log {
    const struct vfs *vfs;
    char *dir;
    int lock_file; /* -1: not open */
    uint64_t segment_bytes;
    uint64_t cluster_id;
    uint64_t node_id;
    uint64_t group;
    uint32_t salt;
    uint8_t *identity;
    uint32_t identity_size;

    pthread_mutex_t mutex; /* guards `index` and `segments`, which only the writer changes */
    struct log_index index;
    struct log_segment **segments; /* in order; the last is the one written to */
    size_t segment_count;
    size_t segment_capacity;
    _Atomic uint64_t bytes; /* of all segments; read without the mutex, so that no reader of it waits for a disk */

    /* The writer's own. */
    uint64_t position; /* where the next append begins */
    uint64_t durable;  /* everything before is on disk */
    uint64_t claimed;  /* the furthest durable position that a record gives */
    uint64_t data_end; /* everything behind is marks */
    uint32_t chain;    /* checksum of the last record */
    lash_term term;
    lash_id vote;
    bool full_said;              /* the log line about a full disk is written, and there has been no room since */
    bool rolling;                /* the last segment is finished; only a new one takes appends */
    bool dead;                   /* a sync failed, or a failed append could not be undone: nothing more is tried */
    uint64_t pool[LOG_POOL_MAX]; /* numbers in the names of recycled files */
    size_t pool_count;
    bool repair;               /* see log_options */
    uint64_t torn_bytes;       /* cut off by recovery */
    uint32_t mended;           /* records that recovery put right by itself */
    struct recovery *recovery; /* while it is under way, or has stopped for damage */
    uint8_t *scratch;          /* headers and vectors of the append under way */
    size_t scratch_size;
    bool direct_wanted;     /* see log_options */
    int direct_file;        /* the last segment once more, past the cache; -1: not open */
    uint8_t *direct_memory; /* with room for an aligned buffer */
    struct log_begun begun; /* what the caller is writing; zeros: nothing */
};

/* ---- log_segment.c ------------------------------------------------------------------------------ */

/* A fresh file while it becomes a segment. */
#define LOG_NEW_NAME "new"

/* "log-0000000000000001", or the recycled "free-0000000000000001", into `name` of LOG_NAME_SIZE bytes. */
void log_segment_name(char *name, uint64_t sequence);
void log_segment_free_name(char *name, uint64_t sequence);

/* The number in a name that the functions above made; 0: it is another's. */
uint64_t log_segment_number(const char *name, const char *prefix);

/* "dir/name", the caller's (mem_free); NULL when memory ran out. */
char *log_path(const char *dir, const char *name);

/* The directory that holds `path`, the caller's (mem_free); NULL when memory ran out. */
char *log_parent(const char *path);

/* The lash_error for a VFS result below 0. */
int log_error_of(ssize_t result);

/* Write all parts; `written` counts what got to the file, also on an error. `parts` is used up. */
int log_write_all(const struct vfs *vfs, int file, struct iovec *parts, int count, uint64_t offset, uint64_t *written);

/* Write zeros over bytes `from` .. `to` of a file. */
int log_write_zeros(const struct vfs *vfs, int file, uint64_t from, uint64_t to);

/* Sync, or die: after a failed sync nothing is known any more. Errors: LASH_IO; of log_sync_dir also LASH_NOMEM, when
 * nothing could be tried for want of memory or files, which is no reason to die. */
int log_sync_failed(struct log *log, const char *what, int result); /* `result` is the VFS's */
int log_sync_file(struct log *log, int file);
int log_sync_dir(struct log *log, const char *path);

/* Make the log's directory durable in the one above, that one in the next, and so on: whichever of them a process that
 * was killed may have made. One far above that may not be read, or cannot be synced by its nature, was not made by us.
 * Errors: as log_sync_dir. */
int log_sync_parents(struct log *log);

/* The segment that is written to. */
struct log_segment *log_current(const struct log *log);

/* Begin the next segment, with room for `bytes` of records behind its own: a file that is whole and durable before it
 * gets its name. Everything before is made durable. Errors: LASH_NOMEM, LASH_IO, LASH_FULL. */
int log_roll(struct log *log, uint64_t bytes);

/* Whether log_prepare has nothing to do yet when the log has come as far as `position`. */
bool log_is_prepared(const struct log *log, uint64_t position);

/* Make room in the list for one segment more. Errors: LASH_NOMEM. */
int log_segment_reserve(struct log *log);

/* Recycle or remove the segments that hold nothing that counts. Errors: LASH_IO, LASH_NOMEM. */
int log_drop_segments(struct log *log);

/* Become a user of the segment: its file is open from now on. Under the mutex. Errors: LASH_IO, LASH_NOMEM. */
int log_segment_use(struct log *log, struct log_segment *segment);

/* One user less; the last closes the file, and frees a segment that is no longer in the list. Under the mutex. */
void log_segment_leave(struct log *log, struct log_segment *segment);

/* ---- log_batch.c -------------------------------------------------------------------------------- */

/* A record to write. The place, chain and checksums are filled in. */
struct log_put {
    struct record record; /* type, a, b and size are the caller's */
    const uint8_t *payload;
};

/* Write records as one append: all of it counts, or nothing. Leaves at least `leave` bytes of the segment, so that a
 * trim or a mark finds room. Errors: LASH_NOMEM, LASH_IO, LASH_FULL. */
int log_batch_write(struct log *log, struct log_put *puts, size_t count, uint64_t leave);

/* The same as bytes, for the caller to write at the log's position. Errors: LASH_NOMEM; LASH_BUSY: they are more than `max`, or take
 * another segment. */
int log_batch_encode(struct log *log, struct log_put *puts, size_t count, uint64_t leave, uint8_t *data, uint64_t max,
                     uint64_t *bytes);

/* The records are written: the next append goes behind them. */
void log_batch_count(struct log *log, const struct log_put *puts, size_t count, uint64_t bytes);

/* The span that a frame record in `segment` gives. */
struct log_span log_span_of(const struct record *record, const struct frame *frame, struct log_segment *segment);

/* ---- log_append.c ------------------------------------------------------------------------------- */

/* Open the last segment past the cache, if that is wanted and can be had; and close it. */
void log_direct_open(struct log *log);
void log_direct_close(struct log *log);

/* ---- log_read.c --------------------------------------------------------------------------------- */

/* The span's frame as it lies on disk, whose segment is in use. Errors: as log_read. */
int log_read_frame(const struct log *log, const struct log_span *span, struct buf **frame);

/* ---- log.c -------------------------------------------------------------------------------------- */

/* Fill `recovered` with what the log holds now. Errors: LASH_NOMEM. */
int log_describe(const struct log *log, struct log_recovered *recovered);

/* ---- log_recover.c ------------------------------------------------------------------------------ */

/* Fill a log whose directory is locked from the files there, or begin a new one. Errors: as log_open. */
int log_recover(struct log *log);

/* Go on where it stopped for damage. Errors: as log_open. */
int log_recover_on(struct log *log);

/* Forget a recovery that has stopped. */
void log_recover_end(struct log *log);

#endif
