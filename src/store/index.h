/* SPDX-License-Identifier: Apache-2.0
 *
 * The index: every key that has a revision, in byte order, with its newest one.
 *
 * LMDB's keys are short, ours are not. A key longer than INDEX_CHUNK bytes is cut
 * into chunks: its first chunk is a link to a *space* of its own, in which what is
 * behind the first chunk lies, cut again where needed. Keys that share a long prefix
 * share its links. In LMDB a key or link is
 *
 *   space (8 bytes, big-endian; 0: the first) | chunk            the end of a key
 *   space                                     | chunk | 0        a link: 1 byte longer than any end can be
 *
 * so that LMDB's order is ours: a link sorts right behind the key that ends there.
 */
#ifndef LASH_STORE_INDEX_H
#define LASH_STORE_INDEX_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/revision.h"

enum { INDEX_CHUNK = 502 };

/* What the index holds about a key. */
struct index_entry {
    uint64_t ordinal;         /* the newest revision's place among the key's, see record.h */
    struct revision revision; /* the key's newest */
    struct revision post;     /* the newest one of a round ordinal, see record.h; main 0: none */
    bool tombstone;           /* that one is a deletion; the three below are 0 then */
    int64_t create_revision;
    int64_t version;
    int64_t lease;
};

/* A walk over the index, and where it stands. */
struct index {
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t *next_space; /* the store's counter for spaces */
    MDB_cursor *cursor;   /* opened at first use */

    uint64_t *spaces; /* from the first space to the one that the cursor is in */
    size_t depth;     /* links followed; spaces holds one more */
    size_t spaces_capacity;
    uint8_t *key; /* the key at the cursor */
    size_t key_size;
    size_t key_capacity;
    struct store_bytes end; /* where the walk ends; see index_first */
    bool single;            /* the walk is over one key */
};

/* A walk by `txn`. Ends with index_finish, before the transaction does. */
void index_init(struct index *index, MDB_txn *txn, MDB_dbi dbi, uint64_t *next_space);
void index_finish(struct index *index);

/* Find `key`. Errors of these: LASH_NOT_FOUND (no such key; the walk's end), LASH_NOMEM, LASH_CORRUPT, LASH_IO, LASH_FULL. */
int index_find(struct index *index, struct store_bytes key, struct index_entry *entry);

/* Walk from `key` to before `range_end`, which stays the caller's during the walk; an empty one means `key` alone, "\0" all
 * from `key` on. The walk's current entry may be changed with index_update meanwhile. */
int index_first(struct index *index, struct store_bytes key, struct store_bytes range_end, struct index_entry *entry);
int index_next(struct index *index, struct index_entry *entry);

/* The walk's current key, until the next call. */
struct store_bytes index_key(const struct index *index);

/* Replace the entry that the last successful find, first or next returned. */
int index_update(struct index *index, const struct index_entry *entry);

/* Add `key`, which the index does not hold. */
int index_insert(struct index *index, struct store_bytes key, const struct index_entry *entry);

/* Remove `key`, which the index holds. */
int index_remove(struct index *index, struct store_bytes key);

#endif
