/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster's version: raised by commands, never lowered, kept and copied with the data, and what an older
 * program does with the data of a newer one.
 */
#include <lmdb.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "images.h"
#include "store/db.h"

static struct store_op raise_to(uint32_t version) {
    return (struct store_op){.type = STORE_RAISE, .raise = {version}};
}

static uint32_t version_of(struct harness *harness) {
    struct store_stats stats;
    store_stats(harness->store, &stats);
    return stats.version;
}

/* The version that the closed store's file is marked with. */
static uint32_t mark_of(struct harness *harness, const char *file) {
    char path[128], name[] = "format";
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;
    MDB_val key = {.mv_size = 6, .mv_data = name}, value;
    snprintf(path, sizeof path, "%s/%s", harness->dir, file);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    assert_int_equal(mdb_get(txn, meta, &key, &value), 0);
    assert_int_equal(value.mv_size, 4);
    uint32_t format = le32_get(value.mv_data);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    assert_int_equal(format >> 8, DB_LAYOUT);
    return format & 0xff;
}

static void the_version_is_raised_and_never_lowered(void **state) {
    struct harness *harness = *state;
    assert_int_equal(version_of(harness), STORE_VERSION_FIRST);
    assert_int_equal(harness_apply(harness, put("key", "value")), STORE_OK);
    assert_int_equal(harness_apply(harness, raise_to(STORE_VERSION_NEWEST)), STORE_OK);
    assert_int_equal(harness->got.revision, 2); /* it is no revision */
    assert_int_equal(version_of(harness), STORE_VERSION_NEWEST);
    assert_int_equal(harness_apply(harness, raise_to(STORE_VERSION_FIRST)), STORE_OK);
    assert_int_equal(version_of(harness), STORE_VERSION_NEWEST);
    const struct store_member *members;
    size_t count;
    store_members(harness->store, &harness->got, &members, &count);
    assert_int_equal(harness->got.error, STORE_OK);
    assert_int_equal(count, 0); /* nor a member */
    audit(harness);
}

static void data_of_a_newer_version_is_marked_as_such(void **state) {
    struct harness *harness = *state;
    harness_close(harness);
    assert_int_equal(mark_of(harness, "store.mdb"), 1);
    harness_open(harness);
    assert_int_equal(harness_apply(harness, raise_to(2)), STORE_OK);
    harness_close(harness);
    assert_int_equal(mark_of(harness, "store.mdb"), 2); /* which a program that knows 1 refuses */
    harness_open(harness);
    assert_int_equal(version_of(harness), 2);
}

static void images_carry_the_version(void **state) {
    struct harness *harness = *state;
    struct image_bytes first, raised;
    image_bytes_init(&first);
    image_bytes_init(&raised);
    assert_int_equal(image_save(harness, &first), LASH_OK);
    assert_int_equal(harness_apply(harness, raise_to(2)), STORE_OK);
    assert_int_equal(image_save(harness, &raised), LASH_OK);
    assert_int_equal(image_load(harness, &first, 10), LASH_OK);
    assert_int_equal(version_of(harness), 1);
    assert_int_equal(image_load(harness, &raised, 20), LASH_OK);
    assert_int_equal(version_of(harness), 2);
    harness_close(harness);
    assert_int_equal(mark_of(harness, "store.mdb"), 2);
    harness_open(harness);
    image_bytes_free(&first);
    image_bytes_free(&raised);
}

/* A command as a newer program may write it: it is the end of what this one applies. */
static void a_version_that_is_not_known_stops_the_store(void **state) {
    struct harness *harness = *state;
    struct store_op newer = raise_to(STORE_VERSION_NEWEST + 1), op;
    struct store_arena *arena;
    uint8_t *command;
    size_t size;
    assert_int_equal(store_encode(&newer, &command, &size), 0);
    assert_int_equal(store_decode(command, size, &op, &arena), LASH_VERSION);
    struct lash_state_machine machine = store_machine(harness->store);
    const struct lash_command commands[] = {{.index = 1, .term = 1, .data = command, .size = size}};
    assert_int_equal(machine.apply(machine.context, commands, 1, 1), LASH_VERSION);
    assert_int_equal(version_of(harness), STORE_VERSION_FIRST);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(store_decode(command, cut, &op, &arena), LASH_CORRUPT);
    mem_free(command);
    struct store_op inner = raise_to(2), outer = txn(NULL, 0, &inner, 1, NULL, 0);
    assert_int_equal(store_check(&outer, 128), STORE_INVALID_REQUEST);
    assert_int_equal(store_encode(&outer, &command, &size), 0);
    assert_int_equal(store_decode(command, size, &op, &arena), LASH_VERSION);
    mem_free(command);
}

#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENARIO(the_version_is_raised_and_never_lowered),
        SCENARIO(data_of_a_newer_version_is_marked_as_such),
        SCENARIO(images_carry_the_version),
        SCENARIO(a_version_that_is_not_known_stops_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
