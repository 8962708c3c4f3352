/* SPDX-License-Identifier: Apache-2.0
 *
 * Compaction: what it refuses, what stays readable, what is removed, and when.
 */
#include "harness.h"

#include <stdio.h>

static void put_many(struct harness *harness, const char *prefix, int count, const char *value) {
    for (int i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s%06d", prefix, i);
        assert_int_equal(harness_apply(harness, put(key, value)), STORE_OK);
    }
}

static int64_t count_at(struct harness *harness, int64_t revision) {
    struct store_op op = get_all();
    op.range.revision = revision;
    op.range.count_only = true;
    assert_int_equal(harness_read(harness, op), STORE_OK);
    return harness->got.op.range.count;
}

static void compacting_zero_succeeds_once_on_a_fresh_store(void **state) {
    struct harness *harness = *state;
    assert_int_equal(harness_apply(harness, compact(0)), STORE_OK);
    assert_int_equal(harness->got.revision, 1);
    assert_int_equal(harness->got.compact_revision, 0);
    assert_int_equal(harness_apply(harness, compact(0)), STORE_COMPACTED);
    assert_int_equal(harness_apply(harness, compact(-1)), STORE_COMPACTED);
}

static void a_future_or_compacted_revision_is_refused(void **state) {
    struct harness *harness = *state;
    put_many(harness, "k", 3, "v");
    assert_int_equal(harness_apply(harness, compact(5)), STORE_FUTURE_REVISION);
    assert_int_equal(harness_apply(harness, compact(4)), STORE_OK);
    assert_int_equal(harness->got.op.type, STORE_COMPACT);
    assert_int_equal(harness->got.op.revision, 4);
    assert_int_equal(harness_apply(harness, compact(4)), STORE_COMPACTED);
    assert_int_equal(harness_apply(harness, compact(3)), STORE_COMPACTED);
    assert_int_equal(harness_apply(harness, compact(5)), STORE_FUTURE_REVISION);
    assert_int_equal(harness->got.compact_revision, 4);
}

static void the_newest_revision_of_each_key_stays(void **state) {
    struct harness *harness = *state;
    put_many(harness, "k", 3, "old");
    put_many(harness, "k", 3, "new");
    assert_int_equal(audit_records(harness), 6);
    assert_int_equal(harness_apply(harness, compact(6)), STORE_OK);
    /* k0 and k1 lose their old revision; k2 keeps it, as its new one is behind 6. */
    assert_int_equal(audit_records(harness), 4);
    assert_int_equal(count_at(harness, 6), 3);
    struct store_op op = get("k000002", "");
    op.range.revision = 6;
    harness_read(harness, op);
    assert_kv(&harness->got.op.range.kvs[0], "k000002", "old", 4, 4, 1);
    assert_int_equal(harness_apply(harness, compact(7)), STORE_OK);
    assert_int_equal(audit_records(harness), 3);
}

static void a_deleted_key_vanishes_with_its_tombstone(void **state) {
    struct harness *harness = *state;
    put_many(harness, "k", 3, "v");
    harness_apply(harness, del("k000001", ""));
    harness_apply(harness, put("z", "1"));
    assert_int_equal(harness_apply(harness, compact(6)), STORE_OK);
    assert_int_equal(audit_records(harness), 3);
    assert_int_equal(count_at(harness, 6), 3);
    harness_apply(harness, put("k000001", "again"));
    harness_read(harness, get("k000001", ""));
    assert_kv(&harness->got.op.range.kvs[0], "k000001", "again", 7, 7, 1);
}

/* A watch that starts at the compaction's revision must still see the deletion. */
static void a_deletion_at_the_revision_itself_stays_until_the_next_compaction(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("k", "1"));
    harness_apply(harness, del("k", ""));
    assert_int_equal(harness_apply(harness, compact(3)), STORE_OK);
    assert_int_equal(audit_records(harness), 1);
    assert_int_equal(count_at(harness, 3), 0);
    harness_apply(harness, put("z", "1"));
    assert_int_equal(harness_apply(harness, compact(4)), STORE_OK);
    assert_int_equal(audit_records(harness), 1);
    assert_int_equal(count_at(harness, 4), 1);
}

static void a_tombstone_that_was_written_over_goes_too(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("k", "1"));
    harness_apply(harness, del("k", ""));
    harness_apply(harness, put("k", "2"));
    assert_int_equal(harness_apply(harness, compact(3)), STORE_OK);
    assert_int_equal(audit_records(harness), 2);
    assert_int_equal(harness_apply(harness, compact(4)), STORE_OK);
    assert_int_equal(audit_records(harness), 1);
    harness_read(harness, get("k", ""));
    assert_kv(&harness->got.op.range.kvs[0], "k", "2", 4, 4, 1);
}

static void a_large_one_takes_effect_at_once_and_is_removed_bit_by_bit(void **state) {
    struct harness *harness = *state;
    put_many(harness, "k", 5000, "1");
    put_many(harness, "k", 5000, "2");
    assert_int_equal(harness_apply(harness, compact(10001)), STORE_OK);
    size_t left = audit_records(harness);
    assert_true(left > 5000);
    struct store_op op = get_all();
    op.range.revision = 10000;
    assert_int_equal(harness_read(harness, op), STORE_COMPACTED);
    assert_int_equal(count_at(harness, 0), 5000);
    audit(harness);
    /* Any command drives the removal, one that is refused too. */
    struct store_op refused = put("nope", "");
    refused.put.ignore_value = true;
    while (audit_records(harness) > 5000) {
        assert_int_equal(harness_apply(harness, refused), STORE_KEY_NOT_FOUND);
        assert_true(audit_records(harness) <= left);
        left = audit_records(harness);
        assert_true(harness->next < 12000);
    }
    assert_int_equal(count_at(harness, 0), 5000);
}

static void a_physical_one_waits_for_the_removal(void **state) {
    struct harness *harness = *state;
    put_many(harness, "k", 5000, "1");
    put_many(harness, "k", 5000, "2");
    assert_int_equal(harness_apply(harness, compact_physical(10001)), STORE_OK);
    assert_int_equal(audit_records(harness), 5000);
}

static void a_removal_goes_on_where_it_was_after_a_restart(void **state) {
    struct harness *harness = *state;
    put_many(harness, "k", 5000, "1");
    put_many(harness, "k", 5000, "2");
    harness_apply(harness, compact(10001));
    size_t left = audit_records(harness);
    harness_close(harness);
    harness_open(harness);
    assert_int_equal(audit_records(harness), left);
    while (audit_records(harness) > 5000) {
        harness_apply(harness, del("nothing", ""));
        assert_true(harness->next < 12000);
    }
}

static void a_new_compaction_takes_over_a_removal_under_way(void **state) {
    struct harness *harness = *state;
    put_many(harness, "k", 3000, "1");
    harness_apply(harness, del("k", "l"));
    put_many(harness, "j", 3000, "2");
    harness_apply(harness, del("j", "k"));
    int64_t last = harness->got.revision;
    /* The first stops in the middle of its own revision's tombstones, which the second must remove. */
    assert_int_equal(harness_apply(harness, compact(3002)), STORE_OK);
    audit(harness);
    assert_int_equal(harness_apply(harness, compact(last - 1)), STORE_OK);
    assert_int_equal(count_at(harness, 0), 0);
    assert_int_equal(count_at(harness, last - 1), 3000);
    audit(harness);
    assert_int_equal(harness_apply(harness, put("z", "1")), STORE_OK);
    assert_int_equal(harness_apply(harness, compact_physical(last + 1)), STORE_OK);
    assert_int_equal(audit_records(harness), 1);
}

static void what_was_removed_gives_its_space_back(void **state) {
    struct harness *harness = *state;
    char value[4001];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    put_many(harness, "k", 500, value);
    struct store_stats before, after;
    store_stats(harness->store, &before);
    harness_apply(harness, del("k", "l"));
    harness_apply(harness, put("z", ""));
    harness_apply(harness, compact_physical(harness->got.revision));
    store_stats(harness->store, &after);
    assert_true(after.size_in_use < before.size_in_use / 10);
    for (int round = 0; round < 5; round++) {
        put_many(harness, "k", 500, value);
        harness_apply(harness, compact_physical(harness->got.revision));
    }
    store_stats(harness->store, &after);
    assert_true(after.size < 3 * before.size);
}

static void replicas_with_other_batches_hold_the_same(void **state) {
    (void)state;
    uint64_t hashes[2];
    for (size_t batch = 1; batch <= 2; batch++) {
        struct harness harness;
        harness_make(&harness);
        harness_open(&harness);
        put_many(&harness, "k", 3000, "1");
        put_many(&harness, "k", 3000, "2");
        harness_apply(&harness, compact(5000));
        /* The same commands one by one, and once with a restart and empty batches between. */
        for (int i = 0; i < 20; i++) {
            harness_apply(&harness, put("after", "x"));
            if (batch == 1)
                continue;
            struct lash_state_machine machine = store_machine(harness.store);
            assert_int_equal(machine.apply(machine.context, NULL, 0, harness.next++), LASH_OK);
            if (i == 10) {
                harness_close(&harness);
                harness_open(&harness);
            }
        }
        assert_int_equal(store_hash(harness.store, &hashes[batch - 1]), LASH_OK);
        harness_close(&harness);
        harness_remove(&harness);
    }
    assert_true(hashes[0] == hashes[1]);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        fresh(compacting_zero_succeeds_once_on_a_fresh_store),
        fresh(a_future_or_compacted_revision_is_refused),
        fresh(the_newest_revision_of_each_key_stays),
        fresh(a_deleted_key_vanishes_with_its_tombstone),
        fresh(a_deletion_at_the_revision_itself_stays_until_the_next_compaction),
        fresh(a_tombstone_that_was_written_over_goes_too),
        fresh(a_large_one_takes_effect_at_once_and_is_removed_bit_by_bit),
        fresh(a_physical_one_waits_for_the_removal),
        fresh(a_removal_goes_on_where_it_was_after_a_restart),
        fresh(a_new_compaction_takes_over_a_removal_under_way),
        fresh(what_was_removed_gives_its_space_back),
        cmocka_unit_test(replicas_with_other_batches_hold_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
