/* SPDX-License-Identifier: Apache-2.0
 *
 * The key-value state machine: etcd's data model (revisions, transactions,
 * compaction) on LMDB. It is a cache of the log: the applied index lies in the
 * same LMDB transaction as the data, nothing is synced on the way of a write, and
 * after a power loss the file is thrown away and rebuilt from the log.
 *
 * Threads: store_machine's apply runs on the node's apply thread; store_read and
 * store_stats may be called from any thread at the same time, and each sees one
 * consistent state. The rest is pure.
 */
#ifndef LASH_STORE_STORE_H
#define LASH_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lash/metrics.h"

/* Bytes that belong to someone else. data may be NULL when size is 0. */
struct store_bytes {
    const uint8_t *data;
    size_t size;
};

/* A key at a revision, as mvccpb.KeyValue. */
struct store_kv {
    struct store_bytes key;
    struct store_bytes value;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t version;
    int64_t lease;
};

/* ---- Requests. Field meanings are etcd's; numbers of the enums are the wire's. ------------------- */

enum store_sort_order { STORE_SORT_NONE = 0, STORE_SORT_ASCEND = 1, STORE_SORT_DESCEND = 2 };
enum store_sort_target {
    STORE_SORT_KEY = 0,
    STORE_SORT_VERSION = 1,
    STORE_SORT_CREATE = 2,
    STORE_SORT_MOD = 3,
    STORE_SORT_VALUE = 4,
};

struct store_range {
    struct store_bytes key;
    struct store_bytes range_end; /* empty: one key; "\0": all from key on */
    int64_t limit;                /* 0: none */
    int64_t revision;             /* <= 0: now */
    int sort_order;
    int sort_target;
    bool keys_only;
    bool count_only;
    int64_t min_mod_revision, max_mod_revision, min_create_revision, max_create_revision; /* 0: no filter */
};

struct store_put {
    struct store_bytes key;
    struct store_bytes value;
    int64_t lease;
    bool prev_kv;
    bool ignore_value;
    bool ignore_lease;
};

struct store_delete {
    struct store_bytes key;
    struct store_bytes range_end;
    bool prev_kv;
};

enum store_compare_result { STORE_EQUAL = 0, STORE_GREATER = 1, STORE_LESS = 2, STORE_NOT_EQUAL = 3 };
enum store_compare_target {
    STORE_COMPARE_VERSION = 0,
    STORE_COMPARE_CREATE = 1,
    STORE_COMPARE_MOD = 2,
    STORE_COMPARE_VALUE = 3,
    STORE_COMPARE_LEASE = 4,
};

struct store_compare {
    int result;
    int target;
    struct store_bytes key;
    struct store_bytes range_end;
    int64_t number;           /* version, create, mod or lease */
    struct store_bytes value; /* for VALUE */
};

enum store_op_type {
    STORE_RANGE = 1,
    STORE_PUT = 2,
    STORE_DELETE = 3,
    STORE_TXN = 4,
    STORE_COMPACT = 5,
    STORE_MEMBER = 6,
    STORE_RAISE = 7
};

struct store_op;

struct store_txn {
    const struct store_compare *compares;
    size_t compare_count;
    const struct store_op *success;
    size_t success_count;
    const struct store_op *failure;
    size_t failure_count;
};

struct store_compaction {
    int64_t revision;
    bool physical;
};

/* What a member says of itself, for the lists that clients ask for. Changes no revision. */
struct store_member {
    uint64_t id;
    struct store_bytes name;
    const struct store_bytes *client_urls;
    size_t client_url_count;
};

/* The versions of what the log and the data may hold. The cluster is at the first one until all its members know the next; then it is raised,
 * through the log, and whoever does not know it stops before it, and does not start with the data of one that does.
 *   2: memberships that change
 */
enum { STORE_VERSION_FIRST = 1, STORE_VERSION_NEWEST = 2 };

/* Raise the cluster's version to this one, if it is lower. Changes no revision. */
struct store_raise {
    uint32_t version;
};

/* One request, or one operation of a transaction (there neither COMPACT, MEMBER nor RAISE). */
struct store_op {
    enum store_op_type type;
    union {
        struct store_range range;
        struct store_put put;
        struct store_delete delete_range;
        struct store_txn txn;
        struct store_compaction compaction;
        struct store_member member;
        struct store_raise raise;
    };
};

/* ---- Results ------------------------------------------------------------------------------------ */

/* Refusals that are the same on every replica; the API turns them into etcd's codes and texts. */
enum store_error {
    STORE_OK = 0,
    STORE_EMPTY_KEY,
    STORE_KEY_NOT_FOUND,
    STORE_VALUE_PROVIDED,
    STORE_LEASE_PROVIDED,
    STORE_TOO_MANY_OPS,
    STORE_DUPLICATE_KEY,
    STORE_INVALID_SORT,
    STORE_COMPACTED,
    STORE_FUTURE_REVISION,
    STORE_LEASE_NOT_FOUND,
    STORE_NO_SPACE,
    STORE_INVALID_REQUEST, /* an unknown enum number, a request without an operation */
    STORE_FAILED,          /* this replica's own trouble: memory or I/O; see the log (never from apply) */
};

struct store_op_result;

struct store_range_result {
    const struct store_kv *kvs;
    size_t kv_count;
    bool more;
    int64_t count;
};

struct store_put_result {
    const struct store_kv *prev_kv; /* NULL: not asked for, or none */
};

struct store_delete_result {
    int64_t deleted;
    const struct store_kv *prev_kvs;
    size_t prev_kv_count;
};

struct store_txn_result {
    bool succeeded;
    const struct store_op_result *ops;
    size_t op_count;
};

struct store_op_result {
    enum store_op_type type;
    int64_t revision; /* for the header of this (inner) response; 0 for a transaction within one, as etcd's */
    union {
        struct store_range_result range;
        struct store_put_result put;
        struct store_delete_result delete_range;
        struct store_txn_result txn;
    };
};

/* A whole result. Make it zero before use; store_result_free releases everything that `op` points to. */
struct store_result {
    enum store_error error;
    int64_t revision; /* the store's revision after the request (of the state read, for reads) */
    int64_t compact_revision;
    struct store_op_result op; /* only when error is STORE_OK */
    struct store_arena *arena;
};
void store_result_free(struct store_result *result);

/* ---- The store ---------------------------------------------------------------------------------- */

struct store;

struct store_options {
    const char *dir;        /* created if missing */
    uint64_t map_bytes;     /* [64 GiB] address space for LMDB; the file grows as needed */
    uint64_t reserve_bytes; /* [0] held back on the disk, for what is committed when it fills up */
    uint64_t
        growth_max; /* [256 MiB, or the database's size if that is more] what it may grow by while a snapshot is read */
    uint64_t (*now_ns)(void); /* monotonic, only to measure by; NULL: nothing is timed */
};

/* Open or create. `applied` is the index to give to lash_node_options.applied. A file that may have lost unsynced pages (the
 * machine was restarted since, by its boot id, without a clean close, or they could not be written) is deleted and starts
 * empty, with applied 0.
 * Errors: LASH_NOMEM, LASH_IO, LASH_BUSY, LASH_CORRUPT, LASH_VERSION, LASH_FULL; each with a log line. */
int store_open(const struct store_options *options, struct store **store, lash_index *applied);

/* Sync, mark as cleanly closed, and free. No reader may be active. NULL is allowed. */
void store_close(struct store *store);

/* Its directory, as long as it is open. */
const char *store_dir(const struct store *store);

/* The state machine to give to lash_node_open. A command's `request`, when there is one, is a `struct store_result *`
 * that apply fills, and that its owner frees; after an error of apply it is zero. apply's errors: LASH_VERSION and
 * LASH_CORRUPT (a command that cannot be read), LASH_NOMEM, LASH_IO, LASH_FULL; then nothing of the batch took place. Its
 * `room` says LASH_FULL from when the reserve had to be used until it is there again. */
struct lash_state_machine store_machine(struct store *store);

/* The same with the callbacks for snapshots, which need the node's library. */
struct lash_state_machine store_machine_with_snapshots(struct store *store);

/* Serve a RANGE, or a TXN without writes, from the local state. Refusals are in result->error. */
void store_read(struct store *store, const struct store_op *op, struct store_result *result);

/* One state to be read from several times: that of its beginning. Until its end it keeps the database from using pages again, so it is not
 * to be kept for long. */
struct store_reader;

/* Any thread; the reader belongs to one thread at a time. Errors: LASH_NOMEM, LASH_IO, LASH_CORRUPT, LASH_BUSY (too many readers); each with a log line. */
int store_reader_begin(struct store *store, struct store_reader **reader);

/* As store_read. Nothing is copied: what the result points to is valid until the reader's end. */
void store_reader_read(struct store_reader *reader, const struct store_op *op, struct store_result *result);

/* NULL is allowed. */
void store_reader_end(struct store_reader *reader);

/* The members that have said something of themselves, by their ids: an array in result->arena. This replica's own trouble is
 * in result->error. */
void store_members(struct store *store, struct store_result *result, const struct store_member **members,
                   size_t *count);

/* Sizes and revisions now. */
struct store_stats {
    int64_t revision;
    int64_t compact_revision; /* -1: never compacted; also in struct store_result */
    uint64_t size;            /* of the file */
    uint64_t size_in_use;
    uint64_t size_max; /* beyond which writes are refused */
    uint64_t
        index_entries; /* keys that have a revision, deleted ones too before they are compacted, and parts of long keys */
    lash_index applied;
    uint32_t version; /* the cluster's */
};
void store_stats(struct store *store, struct store_stats *stats);

/* Give back memory that is not needed just now. To be called about once a second, by one thread at a time, beside any that
 * use the store. */
void store_rest(struct store *store);

/* How long batches took to become visible: the commits of LMDB. The first bound is 1 ms. Any thread. */
void store_commits(const struct store *store, struct lash_histogram *commits);

/* A hash of every revision that is held, the same on all replicas that applied the same commands. Reads everything: for tests
 * and for comparing replicas. Any thread. Errors: LASH_NOMEM, LASH_IO, LASH_CORRUPT, LASH_BUSY (too many readers). */
int store_hash(struct store *store, uint64_t *hash);

/* The answer to HashKV. */
struct store_hash_kv {
    enum store_error
        error; /* STORE_FUTURE_REVISION, STORE_COMPACTED (`revision` is before the compaction), STORE_FAILED */
    uint32_t hash;
    int64_t hash_revision;    /* up to which it is */
    int64_t compact_revision; /* it depends on this as well */
    int64_t revision;         /* the store's */
};

/* Hash what was written up to `revision` (0: up to now) and is not compacted: the same on all replicas that have applied that revision and
 * know of the same compaction, whatever else they have applied. Not etcd's function. Reads everything up to there. Any thread. */
void store_hash_kv(struct store *store, int64_t revision, struct store_hash_kv *answer);

/* ---- Snapshots ---------------------------------------------------------------------------------- */

/* Where the bytes of an image go, and where they come from. write returns 0 or an error; read sets *got to less than
 * `size` as it likes, and to 0 only at the end. */
struct store_sink {
    int (*write)(void *context, const void *data, size_t size);
    void *context;
};
struct store_source {
    int (*read)(void *context, void *data, size_t size, size_t *got);
    void *context;
};

struct store_snapshot;

/* Hold on to the state of this moment; cheap. Until its end it keeps the database from using pages again, so it is not to be kept for long.
 * Any thread; the snapshot belongs to one thread at a time. Errors: LASH_NOMEM, LASH_IO, LASH_CORRUPT, LASH_BUSY (too many readers). */
int store_snapshot_begin(struct store *store, struct store_snapshot **snapshot);

/* What it holds: everything up to this index, and this revision. */
lash_index store_snapshot_index(const struct store_snapshot *snapshot);
int64_t store_snapshot_revision(const struct store_snapshot *snapshot);

/* Write the image (docs/store-image.md) while commands go on being applied. Errors: those of the sink, LASH_NOMEM, LASH_IO,
 * LASH_CORRUPT, LASH_BUSY (given up, as the database grew too far meanwhile; see growth_max). */
int store_snapshot_write(struct store_snapshot *snapshot, const struct store_sink *sink);

/* Let go of it. NULL is allowed. */
void store_snapshot_end(struct store_snapshot *snapshot);

/* Replace the whole state by the image that `source` yields, as applied up to `index`, at once: readers that are under way
 * go on with the old state. On the apply thread. On an error nothing has changed. Errors: those of the source, LASH_CORRUPT, LASH_VERSION, LASH_NOMEM, LASH_IO, LASH_FULL; each with a log line. */
int store_restore(struct store *store, const struct store_source *source, lash_index index);

/* ---- Commands ------------------------------------------------------------------------------------ */

/* Check what can be checked without state, as etcd does before it proposes: empty keys, operations per list, duplicate
 * keys, sort options, enum numbers. */
enum store_error store_check(const struct store_op *op, size_t ops_max);

/* Whether the op only reads (RANGE, or a TXN whose branches only read). */
bool store_is_read(const struct store_op *op);

/* Encode a PUT, DELETE, TXN, COMPACT, MEMBER or RAISE for the log. *command is mem_free'd by the caller. Errors: LASH_NOMEM. */
int store_encode(const struct store_op *op, uint8_t **command, size_t *size);

/* Decode into `op`, whose arrays live in *arena and whose bytes point into `command`. Trusts nothing. Errors:
 * LASH_CORRUPT, LASH_VERSION (an unknown command), LASH_NOMEM. */
int store_decode(const uint8_t *command, size_t size, struct store_op *op, struct store_arena **arena);
void store_arena_free(struct store_arena *arena);

/* An English phrase for logs. */
const char *store_strerror(enum store_error error);

#endif
