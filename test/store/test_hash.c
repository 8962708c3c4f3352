/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash by which members are compared: the same however far each of them is, and another
 * as soon as anything differs.
 */
#include "harness.h"

#include <stdio.h>

enum { KEYS = 1000 };

static struct store_hash_kv hash_at(struct harness *harness, int64_t revision) {
    struct store_hash_kv hash;
    store_hash_kv(harness->store, revision, &hash);
    return hash;
}

static void assert_same(struct store_hash_kv left, struct store_hash_kv right) {
    assert_int_equal(left.error, STORE_OK);
    assert_int_equal(right.error, STORE_OK);
    assert_int_equal(left.hash_revision, right.hash_revision);
    assert_int_equal(left.compact_revision, right.compact_revision);
    assert_int_equal(left.hash, right.hash);
}

/* Keys that are written, written over and deleted, some of them twice. */
static void write_much(struct harness *harness) {
    for (int turn = 0; turn < 3; turn++)
        for (int i = 0; i < KEYS; i++) {
            char key[16], value[16];
            snprintf(key, sizeof key, "k%04d", i);
            snprintf(value, sizeof value, "%d", turn);
            if ((i + turn) % 5 == 0)
                harness_apply(harness, del(key, ""));
            else
                harness_apply(harness, put(key, value));
        }
}

static int64_t revision_of(struct harness *harness) {
    return hash_at(harness, 0).revision;
}

static void what_comes_later_does_not_count(void **state) {
    struct harness *harness = *state;
    write_much(harness);
    int64_t revision = revision_of(harness);
    struct store_hash_kv before = hash_at(harness, 0);
    assert_int_equal(before.hash_revision, revision);
    harness_apply(harness, put("k0001", "later"));
    harness_apply(harness, del("k0002", ""));
    assert_same(hash_at(harness, revision), before);
    assert_true(hash_at(harness, 0).hash != before.hash);
}

/* Each command removes a little of what was compacted. One member has just compacted, another is done. */
static void how_far_the_removal_is_does_not_count(void **state) {
    struct harness *harness = *state;
    for (int round = 0; round < 2; round++) /* more than the compaction itself looks at */
        write_much(harness);
    int64_t revision = revision_of(harness);
    struct store_hash_kv uncompacted = hash_at(harness, revision);
    harness_apply(harness, compact(revision - 20));
    size_t records = audit_records(harness);
    struct store_hash_kv compacted = hash_at(harness, revision);
    assert_int_equal(compacted.compact_revision, revision - 20);
    assert_true(compacted.hash != uncompacted.hash);
    enum { COMMANDS = 250 };
    for (int i = 0; i < COMMANDS; i++) {
        harness_apply(harness, put("later", "x"));
        if (i % 10 == 0)
            assert_same(hash_at(harness, revision), compacted);
    }
    assert_same(hash_at(harness, revision), compacted);
    assert_true(audit_records(harness) + 1000 < records + COMMANDS); /* much was removed in between */
}

static void a_restart_changes_nothing(void **state) {
    struct harness *harness = *state;
    write_much(harness);
    int64_t revision = revision_of(harness);
    harness_apply(harness, compact_physical(revision - 20));
    struct store_hash_kv before = hash_at(harness, revision);
    harness_close(harness);
    harness_open(harness);
    assert_same(hash_at(harness, revision), before);
}

static void a_value_that_differs_tells(void **state) {
    struct harness *harness = *state;
    struct harness other;
    harness_make(&other);
    harness_open(&other);
    write_much(harness);
    write_much(&other);
    int64_t revision = revision_of(harness);
    assert_same(hash_at(harness, 0), hash_at(&other, 0));
    harness_apply(harness, put("k", "one"));
    harness_apply(&other, put("k", "two"));
    assert_true(hash_at(harness, 0).hash != hash_at(&other, 0).hash);
    assert_same(hash_at(harness, revision), hash_at(&other, revision));
    harness_close(&other);
    harness_remove(&other);
}

static void revisions_that_cannot_be_hashed_are_refused_as_etcd_does(void **state) {
    struct harness *harness = *state;
    write_much(harness);
    int64_t revision = revision_of(harness);
    assert_int_equal(hash_at(harness, revision + 1).error, STORE_FUTURE_REVISION);
    harness_apply(harness, compact(revision - 20));
    assert_int_equal(hash_at(harness, revision - 21).error, STORE_COMPACTED);
    assert_int_equal(hash_at(harness, revision - 20).error, STORE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_comes_later_does_not_count, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(how_far_the_removal_is_does_not_count, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(a_restart_changes_nothing, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(a_value_that_differs_tells, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(revisions_that_cannot_be_hashed_are_refused_as_etcd_does, harness_setup,
                                        harness_teardown),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
