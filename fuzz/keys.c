/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's index of keys, against a sorted array: found is what was
 * inserted, and walks go in the order of the bytes, also when they change the size of
 * what they come by.
 *
 * Input: operations, each a byte that chooses it and one or two keys; a key is a byte repeated as a 16-bit number says,
 * and up to three bytes behind that.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "fuzz.h"
#include "lash/error.h"
#include "store/index.h"
#include "store/order.h"

enum { KEYS_MAX = 24, KEY_BYTES_MAX = 4 * INDEX_CHUNK, STEPS_MAX = 200 };
enum { OP_PUT = 0, OP_REMOVE = 1, OP_FIND = 2, OP_WALK = 3, OPS = 4 };

struct key {
    struct index_entry entry;
    size_t size;
    uint8_t data[KEY_BYTES_MAX];
};

/* The model: keys in order. */
struct keys {
    struct key *list[KEYS_MAX];
    size_t count;
};

static MDB_env *env;
static MDB_dbi dbi;

static void open_env(void) {
    char path[] = "/tmp/lash-fuzz-keys-XXXXXX";
    int file = mkstemp(path);
    LASH_ASSERT(file >= 0);
    (void)close(file);
    LASH_ASSERT(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, 16 << 20) == 0);
    LASH_ASSERT(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600) == 0);
    (void)unlink(path); /* it stays open; nothing is left behind */
    MDB_txn *txn;
    LASH_ASSERT(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    LASH_ASSERT(mdb_dbi_open(txn, NULL, 0, &dbi) == 0 && mdb_txn_commit(txn) == 0);
}

static struct store_bytes take_key(struct reader *input, uint8_t room[KEY_BYTES_MAX]) {
    uint8_t letter = read_u8(input), tail = read_u8(input) % 4;
    size_t size = read_u16(input) % (KEY_BYTES_MAX - 4);
    memset(room, letter, size);
    for (uint8_t i = 0; i < tail; i++)
        room[size++] = read_u8(input);
    return (struct store_bytes){room, size};
}

static struct store_bytes bytes_of(const struct key *key) {
    return (struct store_bytes){key->data, key->size};
}

/* Where `key` is in the model, or belongs. */
static size_t place_of(const struct keys *keys, struct store_bytes key) {
    size_t at = 0;
    while (at < keys->count && bytes_compare(bytes_of(keys->list[at]), key) < 0)
        at++;
    return at;
}

static bool has(const struct keys *keys, size_t at, struct store_bytes key) {
    return at < keys->count && bytes_compare(bytes_of(keys->list[at]), key) == 0;
}

static void check_entry(const struct index_entry *found, const struct index_entry *expected) {
    LASH_ASSERT(found->ordinal == expected->ordinal && found->tombstone == expected->tombstone);
    LASH_ASSERT(found->revision.main == expected->revision.main && found->revision.sub == expected->revision.sub);
    LASH_ASSERT(found->create_revision == expected->create_revision && found->version == expected->version);
    LASH_ASSERT(found->lease == expected->lease);
    LASH_ASSERT(found->post.main == expected->post.main);
}

/* An entry of a revision; its size differs from the next one's. */
static struct index_entry entry_of(int64_t revision, uint64_t ordinal) {
    uint64_t lease = UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)revision >> (uint64_t)revision * 5 % 64;
    return (struct index_entry){.ordinal = ordinal,
                                .revision = {revision, 1},
                                .post = {revision / 2, 0},
                                .create_revision = revision,
                                .version = revision,
                                .lease = (int64_t)lease};
}

static void find(struct index *index, const struct keys *keys, struct store_bytes key) {
    struct index_entry entry;
    size_t at = place_of(keys, key);
    int rc = index_find(index, key, &entry);
    LASH_ASSERT(rc == (has(keys, at, key) ? LASH_OK : LASH_NOT_FOUND));
    if (rc == LASH_OK)
        check_entry(&entry, &keys->list[at]->entry);
}

static void put(struct index *index, struct keys *keys, struct store_bytes key, int64_t revision) {
    struct index_entry entry = entry_of(revision, 1);
    size_t at = place_of(keys, key);
    if (has(keys, at, key)) {
        struct index_entry old;
        LASH_ASSERT(index_find(index, key, &old) == LASH_OK);
        entry.ordinal = old.ordinal + 1;
        LASH_ASSERT(index_update(index, &entry) == LASH_OK);
        keys->list[at]->entry = entry;
        return;
    }
    if (keys->count == KEYS_MAX)
        return;
    LASH_ASSERT(index_insert(index, key, &entry) == LASH_OK);
    struct key *made = mem_alloc(sizeof *made);
    LASH_ASSERT(made);
    made->entry = entry;
    made->size = key.size;
    memcpy(made->data, key.data, key.size);
    memmove(&keys->list[at + 1], &keys->list[at], (keys->count - at) * sizeof keys->list[0]);
    keys->list[at] = made;
    keys->count++;
}

static void remove_key(struct index *index, struct keys *keys, struct store_bytes key) {
    size_t at = place_of(keys, key);
    if (!has(keys, at, key))
        return;
    LASH_ASSERT(index_remove(index, key) == LASH_OK);
    mem_free(keys->list[at]);
    keys->count--;
    memmove(&keys->list[at], &keys->list[at + 1], (keys->count - at) * sizeof keys->list[0]);
}

/* Walk [from, to) and expect the model's keys, each of which gets an entry of `revision`; `to` of one zero byte: to the end. */
static void walk(struct index *index, const struct keys *keys, struct store_bytes from, struct store_bytes to,
                 int64_t revision) {
    struct index_entry entry;
    size_t at = place_of(keys, from);
    bool single = to.size == 0, open_ended = bytes_open_ended(to);
    int rc = index_first(index, from, to, &entry);
    for (; rc == LASH_OK; rc = index_next(index, &entry), at++) {
        LASH_ASSERT(at < keys->count && bytes_compare(index_key(index), bytes_of(keys->list[at])) == 0);
        LASH_ASSERT(single ? bytes_compare(index_key(index), from) == 0
                           : open_ended || bytes_compare(index_key(index), to) < 0);
        check_entry(&entry, &keys->list[at]->entry);
        entry = entry_of(revision + (int64_t)at, entry.ordinal + 1);
        LASH_ASSERT(index_update(index, &entry) == LASH_OK);
        keys->list[at]->entry = entry;
    }
    LASH_ASSERT(rc == LASH_NOT_FOUND);
    bool more = at < keys->count && (single ? bytes_compare(bytes_of(keys->list[at]), from) == 0
                                            : open_ended || bytes_compare(bytes_of(keys->list[at]), to) < 0);
    LASH_ASSERT(!more);
}

static void step(struct index *index, struct keys *keys, struct reader *input, int64_t revision) {
    uint8_t room[KEY_BYTES_MAX], end_room[KEY_BYTES_MAX];
    unsigned op = read_u8(input) % OPS;
    struct store_bytes key = take_key(input, room);
    if (key.size == 0)
        return; /* no key is empty */
    if (op == OP_PUT)
        put(index, keys, key, revision);
    else if (op == OP_REMOVE)
        remove_key(index, keys, key);
    else if (op == OP_FIND)
        find(index, keys, key);
    else
        walk(index, keys, key, take_key(input, end_room), revision);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!env)
        open_env();
    MDB_txn *txn;
    LASH_ASSERT(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    uint64_t next_space = 1;
    struct index index;
    struct keys keys = {0};
    struct reader input = reader_make(data, size);
    index_init(&index, txn, dbi, &next_space);
    for (int64_t revision = 1; reader_left(&input) > 0 && revision <= STEPS_MAX; revision++)
        step(&index, &keys, &input, revision);
    static const uint8_t lowest[1];
    walk(&index, &keys, (struct store_bytes){lowest, 1}, (struct store_bytes){lowest, 1}, STEPS_MAX);
    index_finish(&index);
    /* Once every key is gone, so are all links: nothing is left in the table. */
    index_init(&index, txn, dbi, &next_space);
    while (keys.count > 0)
        remove_key(&index, &keys, bytes_of(keys.list[keys.count / 2]));
    index_finish(&index);
    MDB_stat stat;
    LASH_ASSERT(mdb_stat(txn, dbi, &stat) == 0 && stat.ms_entries == 0);
    mdb_txn_abort(txn);
    return 0;
}
