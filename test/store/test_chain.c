/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain from a key to its older records: what a search finds, how many records it
 * reads, and what compaction and restored images leave of it.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "images.h"
#include "store/handle.h"
#include "store/record.h"

/* Look-ups by name in LMDB's tables, which is how records are read; cursors do not count. */
static uint64_t reads;
int __real_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int __wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);

int __wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data) {
    reads++;
    return __real_mdb_get(txn, dbi, key, data);
}

/* What the key "k" was at a revision of the store; NULL: nothing. */
enum { REVISIONS_MAX = 8192 };
struct past {
    struct harness harness;
    char values[REVISIONS_MAX][8]; /* empty: it did not exist */
    int64_t revision;
    int64_t compacted;
};

static struct past *past_new(void) {
    struct past *past = calloc(1, sizeof *past);
    assert_non_null(past);
    harness_make(&past->harness);
    harness_open(&past->harness);
    past->revision = 1;
    past->compacted = 1; /* before it there is nothing to read */
    return past;
}

static void past_free(struct past *past) {
    audit(&past->harness);
    harness_close(&past->harness);
    harness_remove(&past->harness);
    free(past);
}

/* Let one revision come to pass: 'p' puts the key, 'd' deletes it, 'o' puts another one. */
static void past_do(struct past *past, char what) {
    assert_true(past->revision + 1 < REVISIONS_MAX);
    const char *before = past->values[past->revision];
    char *value = past->values[past->revision + 1];
    bool changes = what != 'd' || before[0];
    if (what == 'p')
        snprintf(value, sizeof past->values[0], "%d", (int)past->revision % 100000);
    else if (what == 'o')
        memcpy(value, before, sizeof past->values[0]);
    struct store_op op = what == 'd' ? del("k", "") : what == 'p' ? put("k", value) : put("other", "x");
    assert_int_equal(harness_apply(&past->harness, op), STORE_OK);
    past->revision += changes;
    assert_int_equal(past->harness.got.revision, past->revision);
}

static void past_do_all(struct past *past, const char *what, int times) {
    for (int i = 0; i < times; i++)
        for (const char *at = what; *at; at++)
            past_do(past, *at);
}

static void past_compact(struct past *past, int64_t revision, bool physical) {
    struct store_op op = physical ? compact_physical(revision) : compact(revision);
    assert_int_equal(harness_apply(&past->harness, op), STORE_OK);
    past->compacted = revision;
}

static void past_check_at(struct past *past, int64_t revision) {
    struct store_op op = get("k", "");
    op.range.revision = revision;
    assert_int_equal(harness_read(&past->harness, op), STORE_OK);
    const char *value = past->values[revision];
    const struct store_range_result *range = &past->harness.got.op.range;
    assert_int_equal(range->count, value[0] != 0);
    assert_int_equal(range->kv_count, value[0] != 0);
    if (value[0])
        assert_bytes(range->kvs[0].value, text(value));
}

/* Every revision that may be read. */
static void past_check(struct past *past) {
    for (int64_t revision = past->compacted; revision <= past->revision; revision++)
        past_check_at(past, revision);
}

/* Reads of records for one answer; what is read besides is the same for the present. */
static uint64_t past_reads_at(struct past *past, int64_t revision) {
    reads = 0;
    past_check_at(past, past->revision);
    uint64_t present = reads;
    reads = 0;
    past_check_at(past, revision);
    return reads - present;
}

static void a_search_among_thousands_of_revisions_reads_few_records(void **state) {
    (void)state;
    enum { COUNT = 8000, LOG2 = 9 }; /* of the posts */
    struct past *past = past_new();
    uint64_t written = reads;
    past_do_all(past, "p", COUNT);
    written = reads - written;
    uint64_t most = 0, all = 0;
    for (int64_t revision = 2; revision < past->revision; revision++) {
        uint64_t now = past_reads_at(past, revision);
        most = now > most ? now : most;
        all += now;
    }
    print_message("%llu reads at most, %.1f on the average; %.2f to write one\n", (unsigned long long)most,
                  (double)all / COUNT, (double)written / COUNT);
    assert_true(most <= RECORD_POST + 4 * LOG2);
    assert_true(all <= UINT64_C(4) * LOG2 * COUNT);
    assert_true(written <= COUNT + COUNT / 8); /* one for each is the batch's own */
    past_free(past);
}

/* The same once most was compacted: what is left is searched no slower. */
static void a_search_behind_a_compaction_reads_few_records(void **state) {
    (void)state;
    enum { COUNT = 3000, LOG2 = 9 };
    struct past *past = past_new();
    past_do_all(past, "p", COUNT);
    past_compact(past, past->revision - 500, true);
    past_do_all(past, "p", COUNT);
    audit(&past->harness);
    for (int64_t revision = past->compacted; revision < past->revision; revision += 7)
        assert_true(past_reads_at(past, revision) <= RECORD_POST + 4 * LOG2);
    past_free(past);
}

/* Two keys, one of them deleted now and then, compacted at every point; then more is written, and compacted again. */
static void every_revision_is_found_behind_a_compaction_at_any_point(void **state) {
    (void)state;
    static const char turn[] = "pppopdopppdppopppppopdp";
    for (int64_t first = 1; first <= 2 * (int64_t)strlen(turn); first++) {
        struct past *past = past_new();
        past_do_all(past, turn, 2);
        past_compact(past, first, first % 2 == 0);
        past_check(past);
        for (int turns = 0; turns < 6; turns++) {
            past_do_all(past, turn, 1);
            past_check(past);
            audit(&past->harness);
        }
        past_compact(past, (first + past->revision) / 2 + 1, true);
        past_check(past);
        past_do_all(past, turn, 1);
        past_check(past);
        past_free(past);
    }
}

/* More than the compaction itself removes, so that the chain is cut a little with every command. */
static void what_may_be_read_is_found_while_a_removal_is_under_way(void **state) {
    (void)state;
    struct past *past = past_new();
    past_do_all(past, "ppppd", 1300);
    past_compact(past, past->revision - 8, false);
    size_t before = audit_records(&past->harness);
    assert_true(before > 2000);
    for (int i = 0; i < 200; i++) {
        past_do_all(past, i % 3 ? "p" : "d", 1);
        past_check(past);
        if (i % 20 == 0)
            audit(&past->harness);
    }
    assert_true(audit_records(&past->harness) < 300);
    past_free(past);
}

static void a_key_that_was_removed_and_comes_back_begins_anew(void **state) {
    (void)state;
    struct past *past = past_new();
    for (int i = 0; i < 5; i++) {
        past_do_all(past, "pppppppd", 1);
        past_do(past, 'o');
        past_compact(past, past->revision, true);
        past_check(past);
        assert_int_equal(audit_records(&past->harness), 1);
    }
    past_do_all(past, "pppppd", 3);
    past_check(past);
    struct view view;
    struct index_entry entry;
    assert_int_equal(handle_look(past->harness.store, &view), LASH_OK);
    assert_int_equal(index_find(&view.index, text("k"), &entry), LASH_OK);
    assert_int_equal(entry.ordinal, 18);
    handle_leave(past->harness.store, &view);
    past_free(past);
}

/* A replica that was sent an image numbers what the image has, and goes on from there. */
static void a_restored_chain_goes_on(void **state) {
    (void)state;
    for (int64_t compacted = 1; compacted < 40; compacted += 3) {
        struct past *past = past_new();
        struct image_bytes image, again;
        past_do_all(past, "pppppdppo", 5);
        past_compact(past, compacted, true);
        image_bytes_init(&image);
        image_bytes_init(&again);
        assert_int_equal(image_save(&past->harness, &image), LASH_OK);
        assert_int_equal(image_load(&past->harness, &image, past->harness.next - 1), LASH_OK);
        past_check(past);
        audit(&past->harness);
        assert_int_equal(image_save(&past->harness, &again), LASH_OK);
        assert_int_equal(image.size, again.size);
        assert_memory_equal(image.data, again.data, image.size);
        past_do_all(past, "ppppdpp", 9);
        past_check(past);
        past_compact(past, past->revision - 10, true);
        past_do_all(past, "ppppdpp", 9);
        past_check(past);
        image_bytes_free(&image);
        image_bytes_free(&again);
        past_free(past);
    }
}

/* A key may come twice in a command that no client can send, but a log can hold: the later change counts. */
static void two_changes_of_a_key_in_one_revision_are_two_records(void **state) {
    struct harness *harness = *state;
    const struct store_op ops[] = {put("k", "1"), del("k", ""), put("k", "2")};
    for (int i = 0; i < 20; i++)
        assert_int_equal(harness_apply(harness, txn(NULL, 0, ops, 3, NULL, 0)), STORE_OK);
    audit(harness);
    for (int64_t revision = 2; revision <= 21; revision++) {
        struct store_op op = get("k", "");
        op.range.revision = revision;
        assert_int_equal(harness_read(harness, op), STORE_OK);
        assert_kv(&harness->got.op.range.kvs[0], "k", "2", revision, revision, 1);
    }
}

/* Records whose pointers lead forward, or to where nothing was compacted, are damaged, and end no process. */
static void damaged_pointers_are_reported(void **state) {
    struct harness *harness = *state;
    for (int i = 0; i < 21; i++) /* so that the last one, of revision 22, jumps to the 16th, of revision 17 */
        harness_apply(harness, put("k", "v"));
    uint8_t damaged[256];
    for (size_t at = 1; at <= 13; at += 12)
        for (int with = 0; with < 2; with++) {
            struct view view;
            MDB_val name, value;
            MDB_cursor *cursor;
            assert_int_equal(view_begin(&view, &harness->store->file->db, true), LASH_OK);
            assert_int_equal(mdb_cursor_open(view.txn, view.db->revisions, &cursor), 0);
            assert_int_equal(mdb_cursor_get(cursor, &name, &value, MDB_LAST), 0);
            assert_true(value.mv_size <= sizeof damaged);
            memcpy(damaged, value.mv_data, value.mv_size);
            uint8_t kept = damaged[at + 7];
            damaged[at + 7] = with ? 200 : kept; /* the main revision, big-endian */
            damaged[at + 11] = with ? 0 : 3;     /* the sub-revision */
            MDB_val changed = {.mv_size = value.mv_size, .mv_data = damaged};
            assert_int_equal(mdb_cursor_put(cursor, &name, &changed, MDB_CURRENT), 0);
            mdb_cursor_close(cursor);
            assert_int_equal(view_commit(&view), LASH_OK);
            struct store_op op = get("k", "");
            op.range.revision = at == 1 ? 20 : 10; /* which goes by previous, or by jump */
            assert_int_equal(harness_read(harness, op), STORE_FAILED);
            damaged[at + 7] = kept;
            damaged[at + 11] = 0;
            assert_int_equal(view_begin(&view, &harness->store->file->db, true), LASH_OK);
            assert_int_equal(mdb_cursor_open(view.txn, view.db->revisions, &cursor), 0);
            assert_int_equal(mdb_cursor_get(cursor, &name, &value, MDB_LAST), 0);
            assert_int_equal(mdb_cursor_put(cursor, &name, &changed, MDB_CURRENT), 0);
            mdb_cursor_close(cursor);
            assert_int_equal(view_commit(&view), LASH_OK);
            assert_int_equal(harness_read(harness, op), STORE_OK);
        }
}

/* Put what no write makes into a table, or take it out again, with `value` NULL. */
static void change_by_hand(struct harness *harness, bool record, MDB_val name, MDB_val *value) {
    struct view view;
    assert_int_equal(view_begin(&view, &harness->store->file->db, true), LASH_OK);
    MDB_dbi table = record ? view.db->revisions : view.db->keys;
    assert_int_equal(value ? mdb_put(view.txn, table, &name, value, 0) : mdb_del(view.txn, table, &name, NULL), 0);
    assert_int_equal(view_commit(&view), LASH_OK);
}

static void a_record_of_the_largest_sub_revision_ends_a_walk(void **state) {
    struct harness *harness = *state;
    uint8_t bytes[12] = {[7] = 2, [8] = 0xff, [9] = 0xff, [10] = 0xff, [11] = 0xff}, record[64] = {0};
    MDB_val name = {sizeof bytes, bytes}, value = {sizeof record, record};
    harness_apply(harness, put("k", "v"));
    change_by_hand(harness, true, name, &value);
    struct store_hash_kv answer;
    store_hash_kv(harness->store, 0, &answer);
    assert_int_equal(answer.error, STORE_FAILED);
    change_by_hand(harness, true, name, NULL);
}

static void a_link_that_leads_back_ends_a_walk(void **state) {
    struct harness *harness = *state;
    char key[600];
    uint8_t bytes[511] = {0}, right[8] = {[7] = 1}, wrong[8] = {0};
    MDB_val name = {sizeof bytes, bytes}, back = {sizeof wrong, wrong}, forth = {sizeof right, right};
    memset(key, 'L', sizeof key - 1);
    key[sizeof key - 1] = 0;
    memset(bytes + 8, 'L', 502);
    harness_apply(harness, put(key, "v")); /* in the first space behind a link */
    change_by_hand(harness, false, name, &back);
    assert_int_equal(harness_read(harness, get_all()), STORE_FAILED);
    assert_int_equal(harness_read(harness, get(key, "")), STORE_FAILED);
    change_by_hand(harness, false, name, &forth);
    assert_int_equal(harness_read(harness, get(key, "")), STORE_OK);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_among_thousands_of_revisions_reads_few_records),
        cmocka_unit_test(a_search_behind_a_compaction_reads_few_records),
        cmocka_unit_test(every_revision_is_found_behind_a_compaction_at_any_point),
        cmocka_unit_test(what_may_be_read_is_found_while_a_removal_is_under_way),
        cmocka_unit_test(a_key_that_was_removed_and_comes_back_begins_anew),
        cmocka_unit_test(a_restored_chain_goes_on),
        fresh(two_changes_of_a_key_in_one_revision_are_two_records),
        fresh(damaged_pointers_are_reported),
        fresh(a_record_of_the_largest_sub_revision_ends_a_walk),
        fresh(a_link_that_leads_back_ends_a_walk),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
