/* SPDX-License-Identifier: Apache-2.0
 *
 * What members say of themselves: kept by id, replaced by what they say later, and no part of the key space.
 */
#include "base/buf.h"
#include "harness.h"

static struct store_op member(uint64_t id, const char *name, const struct store_bytes *urls, size_t url_count) {
    return (struct store_op){.type = STORE_MEMBER, .member = {id, text(name), urls, url_count}};
}

static const struct store_member *list(struct harness *harness, size_t count) {
    const struct store_member *members;
    size_t found;
    store_members(harness->store, &harness->got, &members, &found);
    assert_int_equal(harness->got.error, STORE_OK);
    assert_int_equal(found, count);
    return members;
}

static void members_are_listed_by_id_with_what_they_said_last(void **state) {
    struct harness *harness = *state;
    const struct store_bytes old[] = {text("http://old:1")};
    const struct store_bytes now[] = {text("http://a:2379"), text("http://b:2379")};
    list(harness, 0);
    assert_int_equal(harness_apply(harness, member(UINT64_C(0xfb95b45db8376852), "n3", old, 1)), STORE_OK);
    assert_int_equal(harness_apply(harness, member(7, "n1", NULL, 0)), STORE_OK);
    assert_int_equal(harness_apply(harness, member(UINT64_C(0xfb95b45db8376852), "renamed", now, 2)), STORE_OK);
    const struct store_member *members = list(harness, 2);
    assert_int_equal(members[0].id, 7);
    assert_bytes(members[0].name, text("n1"));
    assert_int_equal(members[0].client_url_count, 0);
    assert_true(members[1].id == UINT64_C(0xfb95b45db8376852));
    assert_bytes(members[1].name, text("renamed"));
    assert_int_equal(members[1].client_url_count, 2);
    assert_bytes(members[1].client_urls[0], now[0]);
    assert_bytes(members[1].client_urls[1], now[1]);
}

static void saying_something_of_oneself_is_no_revision(void **state) {
    struct harness *harness = *state;
    const struct store_bytes urls[] = {text("http://a:2379")};
    assert_int_equal(harness_apply(harness, put("key", "value")), STORE_OK);
    assert_int_equal(harness_apply(harness, member(7, "n1", urls, 1)), STORE_OK);
    assert_int_equal(harness->got.revision, 2);
    assert_int_equal(harness_read(harness, get_all()), STORE_OK);
    assert_int_equal(harness->got.revision, 2);
    assert_int_equal(harness->got.op.range.count, 1);
    audit(harness);
}

static void members_outlive_a_restart(void **state) {
    struct harness *harness = *state;
    const struct store_bytes urls[] = {text("http://a:2379")};
    assert_int_equal(harness_apply(harness, member(7, "n1", urls, 1)), STORE_OK);
    harness_close(harness);
    harness_open(harness);
    assert_bytes(list(harness, 1)[0].client_urls[0], urls[0]);
}

static void a_member_is_no_part_of_a_transaction_and_not_cut_short(void **state) {
    (void)state;
    const struct store_bytes urls[] = {text("http://a:2379")};
    struct store_op inner = member(7, "n1", urls, 1), op = inner;
    struct store_arena *arena;
    uint8_t *command;
    size_t size;
    assert_int_equal(store_encode(&inner, &command, &size), 0);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(store_decode(command, cut, &op, &arena), LASH_CORRUPT);
    assert_int_equal(store_decode(command, size, &op, &arena), 0);
    store_arena_free(arena);
    mem_free(command);
    struct store_op outer = txn(NULL, 0, &inner, 1, NULL, 0);
    assert_int_equal(store_check(&outer, 128), STORE_INVALID_REQUEST);
    assert_int_equal(store_encode(&outer, &command, &size), 0);
    assert_int_equal(store_decode(command, size, &op, &arena), LASH_VERSION);
    mem_free(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_are_listed_by_id_with_what_they_said_last, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(saying_something_of_oneself_is_no_revision, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(members_outlive_a_restart, harness_setup, harness_teardown),
        cmocka_unit_test(a_member_is_no_part_of_a_transaction_and_not_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
