/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of keys on one LMDB table; index.h tells its layout.
 */
#include "store/index.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "store/db.h"
#include "store/order.h"

enum {
    INDEX_SPACE_BYTES = 8,
    INDEX_LINK_BYTES = INDEX_SPACE_BYTES + INDEX_CHUNK + 1, /* the size of a link's LMDB key, and of no other */
    INDEX_ENTRY_MAX = 1 + 8 * VARINT_MAX,
};
_Static_assert(INDEX_LINK_BYTES == 511, "LMDB's largest key");

/* A key as LMDB sees it. */
struct index_name {
    uint8_t bytes[INDEX_LINK_BYTES];
    MDB_val value;
};

/* Name the end of a key, or a link when `rest`, what is left of the key, is too long. */
static void index_name_set(struct index_name *name, uint64_t space, struct store_bytes rest) {
    bool link = rest.size > INDEX_CHUNK;
    size_t chunk = link ? INDEX_CHUNK : rest.size;
    be64_put(name->bytes, space);
    if (chunk)
        memcpy(name->bytes + INDEX_SPACE_BYTES, rest.data, chunk);
    if (link)
        name->bytes[INDEX_LINK_BYTES - 1] = 0;
    name->value = (MDB_val){.mv_size = INDEX_SPACE_BYTES + chunk + link, .mv_data = name->bytes};
}

static struct store_bytes bytes_skip(struct store_bytes bytes, size_t count) {
    LASH_ASSERT(count <= bytes.size);
    return (struct store_bytes){.data = bytes.data + count, .size = bytes.size - count};
}

/* What the index holds about a key, as bytes. */
struct index_bytes {
    uint8_t bytes[INDEX_ENTRY_MAX];
    MDB_val value;
};

static void entry_encode(struct index_bytes *to, const struct index_entry *entry) {
    struct writer writer = writer_make(to->bytes, sizeof to->bytes);
    write_u8(&writer, entry->tombstone);
    write_varint(&writer, (uint64_t)entry->revision.main);
    write_varint(&writer, entry->revision.sub);
    write_varint(&writer, entry->ordinal);
    write_varint(&writer, (uint64_t)entry->post.main);
    write_varint(&writer, entry->post.sub);
    write_varint(&writer, (uint64_t)entry->create_revision);
    write_varint(&writer, (uint64_t)entry->version);
    write_varint(&writer, (uint64_t)entry->lease);
    LASH_ASSERT(!writer.failed);
    to->value = (MDB_val){.mv_size = (size_t)(writer.at - to->bytes), .mv_data = to->bytes};
}

static int entry_decode(MDB_val value, struct index_entry *entry) {
    struct reader reader = reader_make(value.mv_data, value.mv_size);
    entry->tombstone = read_u8(&reader) != 0;
    entry->revision.main = (int64_t)read_varint(&reader);
    entry->revision.sub = (uint32_t)read_varint(&reader);
    entry->ordinal = read_varint(&reader);
    entry->post.main = (int64_t)read_varint(&reader);
    entry->post.sub = (uint32_t)read_varint(&reader);
    entry->create_revision = (int64_t)read_varint(&reader);
    entry->version = (int64_t)read_varint(&reader);
    entry->lease = (int64_t)read_varint(&reader);
    bool sound = !reader.failed && reader_left(&reader) == 0 && entry->ordinal && entry->ordinal < INT64_MAX &&
                 revision_compare(entry->post, entry->revision) <= 0;
    return sound ? LASH_OK : LASH_CORRUPT;
}

void index_init(struct index *index, MDB_txn *txn, MDB_dbi dbi, uint64_t *next_space) {
    *index = (struct index){.txn = txn, .dbi = dbi, .next_space = next_space};
}

void index_finish(struct index *index) {
    if (index->cursor)
        mdb_cursor_close(index->cursor);
    mem_free(index->spaces);
    mem_free(index->key);
    *index = (struct index){0};
}

/* Enter the space behind a link; the first space when `depth` is 0. */
static int index_enter(struct index *index, size_t depth, uint64_t space) {
    if (depth >= index->spaces_capacity) {
        size_t capacity = depth < 4 ? 4 : 2 * depth;
        uint64_t *spaces = mem_realloc(index->spaces, capacity * sizeof *spaces);
        if (!spaces)
            return LASH_NOMEM;
        index->spaces = spaces;
        index->spaces_capacity = capacity;
    }
    index->depth = depth;
    index->spaces[depth] = space;
    return LASH_OK;
}

/* Set the current key to its first `offset` bytes and `bytes`. */
static int index_key_set(struct index *index, size_t offset, const uint8_t *bytes, size_t size) {
    size_t total = offset + size;
    if (total > index->key_capacity) {
        size_t capacity = total < INDEX_CHUNK ? INDEX_CHUNK : 2 * total;
        uint8_t *key = mem_realloc(index->key, capacity);
        if (!key)
            return LASH_NOMEM;
        index->key = key;
        index->key_capacity = capacity;
    }
    if (size)
        memcpy(index->key + offset, bytes, size);
    index->key_size = total;
    return LASH_OK;
}

static int index_cursor_get(struct index *index, MDB_val *name, MDB_val *value, MDB_cursor_op op) {
    if (!index->cursor) {
        int rc = db_error(mdb_cursor_open(index->txn, index->dbi, &index->cursor));
        if (rc) {
            index->cursor = NULL;
            return rc;
        }
    }
    return db_error(mdb_cursor_get(index->cursor, name, value, op));
}

/* Enter the space that a link of the present one leads to. Spaces are numbered as they are made, each behind the one that leads to it;
 * else a walk might never end. */
static int index_enter_next(struct index *index, MDB_val value) {
    if (value.mv_size != INDEX_SPACE_BYTES)
        return LASH_CORRUPT;
    uint64_t space = be64_get(value.mv_data);
    return space > index->spaces[index->depth] ? index_enter(index, index->depth + 1, space) : LASH_CORRUPT;
}

/* Follow the links of `key` as far as they go; `rest` is what is left of it in the space reached, one chunk at most when
 * every link is there. Errors: LASH_NOT_FOUND (a link is missing), and as index_find. */
static int index_descend(struct index *index, struct store_bytes key, struct store_bytes *rest) {
    *rest = key;
    int rc = index_enter(index, 0, 0);
    while (rc == 0 && rest->size > INDEX_CHUNK) {
        struct index_name name;
        MDB_val value;
        index_name_set(&name, index->spaces[index->depth], *rest);
        rc = index_cursor_get(index, &name.value, &value, MDB_SET);
        if (rc == 0)
            rc = index_enter_next(index, value);
        if (rc == 0)
            *rest = bytes_skip(*rest, INDEX_CHUNK);
    }
    return rc;
}

int index_find(struct index *index, struct store_bytes key, struct index_entry *entry) {
    struct store_bytes rest;
    int rc = index_descend(index, key, &rest);
    if (rc)
        return rc;
    struct index_name name;
    MDB_val value;
    index_name_set(&name, index->spaces[index->depth], rest);
    rc = index_cursor_get(index, &name.value, &value, MDB_SET);
    return rc ? rc : entry_decode(value, entry);
}

/* The cursor ran out of the present space: step behind the link that led here. */
static int index_leave(struct index *index, MDB_val *name, MDB_val *value) {
    LASH_ASSERT(index->depth > 0);
    size_t offset = (index->depth - 1) * INDEX_CHUNK;
    /* One byte more than a chunk makes it the name of a link; which byte does not matter. */
    uint8_t chunk[INDEX_CHUNK + 1] = {0};
    LASH_ASSERT(offset + INDEX_CHUNK <= index->key_size);
    memcpy(chunk, index->key + offset, INDEX_CHUNK);
    index->depth--;
    struct index_name link;
    index_name_set(&link, index->spaces[index->depth], (struct store_bytes){.data = chunk, .size = INDEX_CHUNK + 1});
    int rc = index_cursor_get(index, &link.value, value, MDB_SET);
    if (rc)
        return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc;
    return index_cursor_get(index, name, value, MDB_NEXT);
}

/* Follow the link at the cursor to the first name of its space. */
static int index_follow(struct index *index, MDB_val *name, MDB_val *value) {
    const uint8_t *bytes = name->mv_data;
    int rc = index_key_set(index, index->depth * INDEX_CHUNK, bytes + INDEX_SPACE_BYTES, INDEX_CHUNK);
    if (rc == 0)
        rc = index_enter_next(index, *value);
    if (rc)
        return rc;
    struct index_name first;
    index_name_set(&first, index->spaces[index->depth], (struct store_bytes){0});
    *name = first.value;
    rc = index_cursor_get(index, name, value, MDB_SET_RANGE);
    return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc; /* a space is never empty */
}

/* From where the cursor is (or, with LASH_NOT_FOUND in `rc`, behind the last name of all) to the next end of a key. */
static int index_settle(struct index *index, int rc, MDB_val name, MDB_val value, struct index_entry *entry) {
    while (rc == 0 || rc == LASH_NOT_FOUND) {
        if (rc == 0 && (name.mv_size < INDEX_SPACE_BYTES || name.mv_size > INDEX_LINK_BYTES))
            return LASH_CORRUPT;
        if (rc == LASH_NOT_FOUND || be64_get(name.mv_data) != index->spaces[index->depth]) {
            if (index->depth == 0)
                return LASH_NOT_FOUND;
            rc = index_leave(index, &name, &value);
        } else if (name.mv_size == INDEX_LINK_BYTES) {
            rc = index_follow(index, &name, &value);
        } else {
            const uint8_t *chunk = (const uint8_t *)name.mv_data + INDEX_SPACE_BYTES;
            rc = index_key_set(index, index->depth * INDEX_CHUNK, chunk, name.mv_size - INDEX_SPACE_BYTES);
            return rc ? rc : entry_decode(value, entry);
        }
    }
    return rc;
}

/* The first key at or behind `key`. */
static int index_seek(struct index *index, struct store_bytes key, struct index_entry *entry) {
    struct store_bytes rest;
    int rc = index_descend(index, key, &rest);
    if (rc && rc != LASH_NOT_FOUND)
        return rc;
    /* Where a link is missing, what sorts behind its name sorts behind the key. */
    rc = index_key_set(index, 0, key.data, key.size);
    if (rc)
        return rc;
    struct index_name name;
    MDB_val value = {0};
    index_name_set(&name, index->spaces[index->depth], rest);
    MDB_val at = name.value;
    rc = index_cursor_get(index, &at, &value, MDB_SET_RANGE);
    return index_settle(index, rc, at, value, entry);
}

/* Whether the walk has reached its end. */
static bool index_ended(const struct index *index) {
    return !bytes_open_ended(index->end) && bytes_compare(index_key(index), index->end) >= 0;
}

int index_first(struct index *index, struct store_bytes key, struct store_bytes range_end, struct index_entry *entry) {
    index->end = range_end;
    index->single = range_end.size == 0;
    int rc;
    if (index->single) {
        rc = index_find(index, key, entry);
        return rc ? rc : index_key_set(index, 0, key.data, key.size);
    }
    if (!bytes_open_ended(range_end) && bytes_compare(key, range_end) >= 0)
        return LASH_NOT_FOUND;
    rc = index_seek(index, key, entry);
    return rc == 0 && index_ended(index) ? LASH_NOT_FOUND : rc;
}

int index_next(struct index *index, struct index_entry *entry) {
    if (index->single)
        return LASH_NOT_FOUND;
    MDB_val name = {0}, value = {0};
    int rc = index_cursor_get(index, &name, &value, MDB_NEXT);
    rc = index_settle(index, rc, name, value, entry);
    return rc == 0 && index_ended(index) ? LASH_NOT_FOUND : rc;
}

struct store_bytes index_key(const struct index *index) {
    return (struct store_bytes){.data = index->key, .size = index->key_size};
}

int index_update(struct index *index, const struct index_entry *entry) {
    LASH_ASSERT(index->cursor);
    MDB_val name, value;
    int rc = index_cursor_get(index, &name, &value, MDB_GET_CURRENT);
    if (rc)
        return rc;
    if (name.mv_size > INDEX_LINK_BYTES)
        return LASH_CORRUPT;
    struct index_bytes bytes;
    entry_encode(&bytes, entry);
    if (bytes.value.mv_size == value.mv_size)
        return db_error(mdb_cursor_put(index->cursor, &name, &bytes.value, MDB_CURRENT));
    /* One of another size is removed first and then added, which moves what lies in the page: the name must not. */
    uint8_t copy[INDEX_LINK_BYTES];
    memcpy(copy, name.mv_data, name.mv_size);
    name.mv_data = copy;
    return db_error(mdb_cursor_put(index->cursor, &name, &bytes.value, 0));
}

/* Make the links that are missing on the way to the end of a key. */
static int index_link(struct index *index, struct store_bytes *rest) {
    int rc = LASH_OK;
    while (rc == 0 && rest->size > INDEX_CHUNK) {
        uint64_t space = (*index->next_space)++;
        uint8_t bytes[INDEX_SPACE_BYTES];
        be64_put(bytes, space);
        struct index_name name;
        MDB_val value = {.mv_size = sizeof bytes, .mv_data = bytes};
        index_name_set(&name, index->spaces[index->depth], *rest);
        rc = db_error(mdb_put(index->txn, index->dbi, &name.value, &value, MDB_NOOVERWRITE));
        if (rc == 0)
            rc = index_enter(index, index->depth + 1, space);
        if (rc == 0)
            *rest = bytes_skip(*rest, INDEX_CHUNK);
    }
    return rc;
}

int index_insert(struct index *index, struct store_bytes key, const struct index_entry *entry) {
    struct store_bytes rest;
    int rc = index_descend(index, key, &rest);
    if (rc == LASH_NOT_FOUND)
        rc = index_link(index, &rest);
    if (rc)
        return rc;
    struct index_bytes bytes;
    entry_encode(&bytes, entry);
    struct index_name name;
    index_name_set(&name, index->spaces[index->depth], rest);
    return db_error(mdb_put(index->txn, index->dbi, &name.value, &bytes.value, MDB_NOOVERWRITE));
}

/* Whether nothing is left in `space`. Errors: as index_find, but never LASH_NOT_FOUND. */
static int index_space_empty(struct index *index, uint64_t space, bool *empty) {
    struct index_name first;
    MDB_val value;
    index_name_set(&first, space, (struct store_bytes){0});
    int rc = index_cursor_get(index, &first.value, &value, MDB_SET_RANGE);
    if (rc && rc != LASH_NOT_FOUND)
        return rc;
    *empty = rc == LASH_NOT_FOUND || first.value.mv_size < INDEX_SPACE_BYTES || be64_get(first.value.mv_data) != space;
    return LASH_OK;
}

int index_remove(struct index *index, struct store_bytes key) {
    struct store_bytes rest;
    int rc = index_descend(index, key, &rest);
    if (rc)
        return rc;
    struct index_name name;
    index_name_set(&name, index->spaces[index->depth], rest);
    rc = db_error(mdb_del(index->txn, index->dbi, &name.value, NULL));
    /* Links that lead nowhere now go too. */
    for (size_t depth = index->depth; rc == 0 && depth > 0; depth--) {
        bool empty;
        rc = index_space_empty(index, index->spaces[depth], &empty);
        if (rc || !empty)
            return rc;
        index_name_set(&name, index->spaces[depth - 1], bytes_skip(key, (depth - 1) * INDEX_CHUNK));
        rc = db_error(mdb_del(index->txn, index->dbi, &name.value, NULL));
    }
    return rc;
}
