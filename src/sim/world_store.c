/* SPDX-License-Identifier: Apache-2.0
 *
 * The store in the simulated world. A killed process leaves its file to the next one
 * as it is: here it is copied away from the one that still has it open. After a loss
 * of power the file is of an earlier boot, and damaged.
 */
#include "sim/world_store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "raft/random.h"
#include "sim/memory.h"
#include "store/store.h"

enum {
    STORE_KEYS = 16,
    STORE_COPY_BYTES = 1 << 16,
    STORE_HASH_EVERY = 8, /* reads */
};

static const char store_marker_of_another_boot[] = "lash-store 1 open another-boot\n";

/* ---- Files -------------------------------------------------------------------------------------------- */

static void store_path(const struct world_node *node, uint64_t copy, const char *name, char *path, size_t size) {
    (void)snprintf(path, size, "%s/n%u-%llu%s", node->world->scratch_dir, (unsigned)node->id, (unsigned long long)copy,
                   name);
}

static void store_copy_file(const struct world_node *node, const char *name) {
    char from[128], to[128];
    store_path(node, node->store_copy, name, from, sizeof from);
    store_path(node, node->store_copy + 1, name, to, sizeof to);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t *bytes = memory_new(1, STORE_COPY_BYTES);
    LASH_ASSERT(in >= 0 && out >= 0);
    ssize_t size;
    while ((size = read(in, bytes, STORE_COPY_BYTES)) > 0) {
        ssize_t put = write(out, bytes, (size_t)size);
        LASH_ASSERT(put == size);
    }
    LASH_ASSERT(size == 0);
    memory_free(bytes);
    close(in);
    close(out);
}

static int store_remove(const char *path, const struct stat *info, int type, struct FTW *place) {
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static void store_remove_dir(const char *path) {
    (void)nftw(path, store_remove, 16, FTW_DEPTH | FTW_PHYS);
}

void world_store_clean(struct world *world) {
    if (world->scratch_dir[0])
        store_remove_dir(world->scratch_dir);
    world->scratch_dir[0] = 0;
}

static void store_scratch(struct world *world) {
    static const char *const places[] = {"/dev/shm/lash-sim-XXXXXX", "/tmp/lash-sim-XXXXXX"};
    for (size_t i = 0; i < 2 && !world->scratch_dir[0]; i++) {
        memcpy(world->scratch_dir, places[i], strlen(places[i]) + 1);
        if (!mkdtemp(world->scratch_dir))
            world->scratch_dir[0] = 0;
    }
    LASH_ASSERT(world->scratch_dir[0]);
}

/* ---- Lives ---------------------------------------------------------------------------------------------- */

void world_store_open(struct world_node *node) {
    struct world *world = node->world;
    char dir[128];
    lash_index applied;
    if (!world->scratch_dir[0])
        store_scratch(world);
    store_path(node, node->store_copy, "", dir, sizeof dir);
    struct store_options options = {.dir = dir, .map_bytes = (uint64_t)1 << 30};
    int error = store_open(&options, &node->store, &applied);
    if (error)
        world_fail(world, "contract", "n%u's store does not open: %s", (unsigned)node->id, lash_strerror(error));
    if (applied != node->machine.applied)
        world_fail(world, "X2", "n%u's store has applied %llu after its process ended at %llu", (unsigned)node->id,
                   (unsigned long long)applied, (unsigned long long)node->machine.applied);
}

void world_store_close(struct world_node *node) {
    world_store_unpin(node); /* by a process that has died */
    store_close(node->store);
    node->store = NULL;
}

/* The last sectors of the file, if there is one yet, are not what they were, and the marker is of another boot. */
static void store_damage(const struct world_node *node) {
    char path[128];
    store_path(node, node->store_copy, "/store.mdb", path, sizeof path);
    struct stat info;
    if (stat(path, &info) != 0)
        return;
    LASH_ASSERT(truncate(path, info.st_size / 2) == 0);
    store_path(node, node->store_copy, "/store.state", path, sizeof path);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t size = (ssize_t)sizeof store_marker_of_another_boot - 1;
    LASH_ASSERT(file >= 0 && write(file, store_marker_of_another_boot, (size_t)size) == size);
    close(file);
}

/* What the process had open, as it leaves it behind. */
static void store_leave(struct world_node *node) {
    char dir[128];
    store_path(node, node->store_copy + 1, "", dir, sizeof dir);
    LASH_ASSERT(mkdir(dir, 0700) == 0 || errno == EEXIST);
    store_copy_file(node, "/store.mdb");
    store_copy_file(node, "/store.state");
    world_store_close(node);
    store_path(node, node->store_copy, "", dir, sizeof dir);
    store_remove_dir(dir);
    node->store_copy++;
}

void world_store_die(struct world_node *node, bool power) {
    if (node->store)
        store_leave(node);
    /* Nor does one survive that was not open, as the log was being repaired. */
    if (power && node->world->scratch_dir[0])
        store_damage(node);
}

/* ---- Operations -------------------------------------------------------------------------------------------- */

struct store_words {
    char keys[4][4];
    char value[24];
};

static uint64_t store_pick(struct world *world, uint64_t below) {
    return world_draw(world, DOMAIN_CLIENT, below);
}

static struct store_bytes store_key(struct world *world, struct store_words *words, size_t at) {
    (void)snprintf(words->keys[at], sizeof words->keys[at], "k%02u", (unsigned)store_pick(world, STORE_KEYS));
    return (struct store_bytes){(const uint8_t *)words->keys[at], 3};
}

static struct store_op store_put_op(struct world *world, struct store_words *words, size_t at) {
    struct store_op op = {.type = STORE_PUT};
    op.put.key = store_key(world, words, at);
    op.put.value = (struct store_bytes){(const uint8_t *)words->value, 1 + store_pick(world, sizeof words->value)};
    op.put.prev_kv = store_pick(world, 2) != 0;
    return op;
}

static struct store_op store_delete_op(struct world *world, struct store_words *words, size_t at) {
    struct store_op op = {.type = STORE_DELETE};
    op.delete_range.key = store_key(world, words, at);
    if (store_pick(world, 4) == 0)
        op.delete_range.range_end = store_key(world, words, at + 1);
    op.delete_range.prev_kv = true;
    return op;
}

static struct store_op store_range_op(struct world *world, struct store_words *words, size_t at) {
    struct store_op op = {.type = STORE_RANGE};
    op.range.key = store_key(world, words, at);
    op.range.range_end = (struct store_bytes){(const uint8_t *)"l", 1};
    return op;
}

/* An operation; a transaction's parts lie in `parts` and `compare`. */
static struct store_op store_some_op(struct world *world, struct store_words *words, struct store_op parts[2],
                                     struct store_compare *compare) {
    uint64_t chance = store_pick(world, 100);
    memset(words->value, 'a' + (int)store_pick(world, 26), sizeof words->value);
    if (chance < 55)
        return store_put_op(world, words, 0);
    if (chance < 72)
        return store_delete_op(world, words, 0);
    if (chance < 74) {
        struct store_op op = {.type = STORE_COMPACT};
        op.compaction.revision = (int64_t)store_pick(world, (uint64_t)world->store_revision + 2);
        return op;
    }
    *compare = (struct store_compare){.result = (int)store_pick(world, 4), .target = STORE_COMPARE_VERSION};
    compare->key = store_key(world, words, 0);
    compare->number = (int64_t)store_pick(world, 4);
    parts[0] = store_put_op(world, words, 1);
    parts[1] = store_pick(world, 2) ? store_range_op(world, words, 2) : store_delete_op(world, words, 2);
    struct store_op op = {.type = STORE_TXN};
    op.txn = (struct store_txn){.compares = compare,
                                .compare_count = 1,
                                .success = &parts[0],
                                .success_count = 1,
                                .failure = &parts[1],
                                .failure_count = 1};
    return op;
}

size_t world_store_draw(struct world *world, uint8_t *data, size_t max) {
    struct store_words words;
    struct store_op parts[2];
    struct store_compare compare;
    struct store_op op = store_some_op(world, &words, parts, &compare);
    uint8_t *encoded;
    size_t size;
    enum store_error refused = store_check(&op, 128);
    LASH_ASSERT(refused == STORE_OK);
    int error = store_encode(&op, &encoded, &size);
    LASH_ASSERT(!error && size <= max);
    memcpy(data, encoded, size);
    mem_free(encoded);
    return size;
}

/* ---- Results ------------------------------------------------------------------------------------------------ */

static uint64_t store_mix(uint64_t hash, uint64_t word) {
    return random_mix(hash ^ word) + 1;
}

/* How many keys an operation, a transaction's single one too, has changed. */
static uint64_t store_changes(const struct store_op_result *op) {
    if (op->type == STORE_PUT)
        return 1;
    if (op->type == STORE_DELETE)
        return (uint64_t)op->delete_range.deleted;
    if (op->type == STORE_TXN)
        return op->txn.op_count ? store_changes(&op->txn.ops[0]) : 0;
    return 0;
}

static uint64_t store_digest(const struct store_result *result) {
    uint64_t hash = store_mix(result->error, (uint64_t)result->revision);
    hash = store_mix(hash, (uint64_t)result->compact_revision);
    if (result->error != STORE_OK)
        return hash;
    hash = store_mix(hash, result->op.type);
    hash = store_mix(hash, store_changes(&result->op));
    return result->op.type == STORE_TXN ? store_mix(hash, result->op.txn.succeeded) : hash;
}

/* X2: the revision grows by one for a request that changed something, and else not at all. */
static void store_judge(struct world_node *node, lash_index index, const struct store_result *result) {
    struct world *world = node->world;
    int64_t before = node->store_revision;
    int64_t grown = result->error == STORE_OK && store_changes(&result->op) ? 1 : 0;
    if (result->revision != before + grown)
        world_fail(world, "X2", "n%u's revision is %lld after %llu, and was %lld", (unsigned)node->id,
                   (long long)result->revision, (unsigned long long)index, (long long)before);
    node->store_revision = result->revision;
    world->store_revisions =
        memory_room(world->store_revisions, &world->store_capacity, index + 1, sizeof *world->store_revisions);
    world->store_revisions[index] = result->revision;
    if (result->revision > world->store_revision)
        world->store_revision = result->revision;
}

int world_store_apply(struct world_node *node, const struct lash_command *commands, size_t count, lash_index last,
                      size_t skip, uint64_t *digests) {
    struct store_result *results = memory_new(count, sizeof *results);
    struct lash_command *stripped = memory_new(count, sizeof *stripped);
    for (size_t i = 0; i < count; i++) {
        stripped[i] = commands[i];
        stripped[i].data = (const uint8_t *)commands[i].data + skip;
        stripped[i].size = commands[i].size - skip;
        stripped[i].request = &results[i];
    }
    if (node->machine.applied == 0)
        node->store_revision = 1;
    struct lash_state_machine machine = store_machine(node->store);
    int error = machine.apply(machine.context, stripped, count, last);
    for (size_t i = 0; i < count; i++) {
        if (!error) {
            store_judge(node, commands[i].index, &results[i]);
            digests[i] = store_digest(&results[i]);
        }
        store_result_free(&results[i]);
    }
    memory_free(results);
    memory_free(stripped);
    return error;
}

/* ---- Snapshots ------------------------------------------------------------------------------------------------ */

int world_store_pin(struct world_node *node, lash_index index) {
    struct lash_state_machine machine = store_machine_with_snapshots(node->store);
    LASH_ASSERT(!node->store_view);
    return machine.snapshot_begin(machine.context, index, &node->store_view);
}

int world_store_write(struct world_node *node, struct lash_snapshot_sink *sink) {
    struct lash_state_machine machine = store_machine_with_snapshots(node->store);
    return machine.snapshot_write(machine.context, node->store_view, sink);
}

void world_store_unpin(struct world_node *node) {
    struct lash_state_machine machine = store_machine_with_snapshots(node->store);
    if (node->store_view)
        machine.snapshot_end(machine.context, node->store_view);
    node->store_view = NULL;
}

static int64_t store_revision_at(const struct world *world, lash_index index);

int world_store_restore(struct world_node *node, struct lash_snapshot_source *source, lash_index index) {
    struct lash_state_machine machine = store_machine_with_snapshots(node->store);
    int error = machine.restore(machine.context, source, index);
    if (!error)
        node->store_revision = store_revision_at(node->world, index);
    return error;
}

/* ---- Reads ---------------------------------------------------------------------------------------------------- */

/* The revision that the store had after `index`, an entry that may be no command. */
static int64_t store_revision_at(const struct world *world, lash_index index) {
    if (index >= world->store_capacity)
        index = world->store_capacity ? world->store_capacity - 1 : 0;
    while (index > 0 && world->store_revisions[index] == 0)
        index--;
    return index ? world->store_revisions[index] : 1;
}

void world_store_read(struct world_node *node, lash_index floor) {
    struct world *world = node->world;
    struct store_words words;
    struct store_result result = {0};
    struct store_op op = store_range_op(world, &words, 0);
    mem_fail_after(0); /* a read that fails for want of memory says so, and proves nothing */
    store_read(node->store, &op, &result);
    if (result.error != STORE_OK)
        world_fail(world, "R1", "n%u's store does not answer: %s", (unsigned)node->id, store_strerror(result.error));
    int64_t expected = store_revision_at(world, node->machine.applied);
    if (result.revision != expected || result.revision < store_revision_at(world, floor))
        world_fail(world, "R1", "n%u's store reads revision %lld, and after %llu it is %lld", (unsigned)node->id,
                   (long long)result.revision, (unsigned long long)node->machine.applied, (long long)expected);
    for (size_t i = 0; i < result.op.range.kv_count; i++)
        if (result.op.range.kvs[i].mod_revision > result.revision)
            world_fail(world, "X2", "n%u's store reads a key of revision %lld at %lld", (unsigned)node->id,
                       (long long)result.op.range.kvs[i].mod_revision, (long long)result.revision);
    store_result_free(&result);
}

void world_store_compare(struct world *world) {
    const struct world_node *first = NULL;
    uint64_t expected = 0;
    for (size_t i = 0; i < world->count; i++) {
        const struct world_node *node = &world->nodes[i];
        uint64_t hash;
        if (!node->store || node->witness || (first && node->machine.applied != first->machine.applied))
            continue;
        int error = store_hash(node->store, &hash);
        if (error)
            world_fail(world, "contract", "n%u's store has no hash: %s", (unsigned)node->id, lash_strerror(error));
        if (first && hash != expected)
            world_fail(world, "X2", "the stores of n%u and n%u differ after %llu", (unsigned)first->id,
                       (unsigned)node->id, (unsigned long long)node->machine.applied);
        expected = hash;
        first = node;
    }
}
