/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the membership: their bytes, and what they make of the membership in force.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "node/change.h"

static struct roster *present(void) {
    static const struct lash_node_member members[] = {
        {.id = 1, .flags = LASH_MEMBER_VOTER, .disk = 11, .host = "a", .port = 1, .note = "one", .note_size = 3},
        {.id = 2, .flags = LASH_MEMBER_VOTER, .disk = 12, .host = "b", .port = 2},
        {.id = 3, .flags = LASH_MEMBER_PROMOTE, .disk = 13, .host = "c", .port = 3},
    };
    struct roster *roster;
    assert_int_equal(roster_new(7, members, 3, &roster), 0);
    return roster;
}

/* What the change makes of it; NULL, and why not. */
static struct roster *changed(const struct change *change, int *error) {
    struct roster *before = present();
    struct roster *after = NULL;
    *error = change_apply(change, before, &after);
    roster_unref(before);
    return after;
}

static int refusal(const struct change *change) {
    int error;
    struct roster *after = changed(change, &error);
    assert_null(after);
    return error;
}

static void a_member_is_added_with_a_disk_that_is_not_known(void **state) {
    (void)state;
    int error;
    struct change change = {
        .kind = CHANGE_ADD, .count = 1, .members[0] = {.id = 4, .disk = 99, .host = "d", .port = 4}};
    struct roster *after = changed(&change, &error);
    assert_int_equal(after->count, 4);
    assert_int_equal(after->members[3].id, 4);
    assert_int_equal(after->members[3].disk, 0);
    assert_int_equal(after->members[0].disk, 11);
    roster_unref(after);
    change.members[0].id = 3;
    assert_int_equal(refusal(&change), LASH_EXISTS);
}

static void a_member_is_removed_unless_nobody_would_vote(void **state) {
    (void)state;
    int error;
    struct change change = {.kind = CHANGE_REMOVE, .id = 1};
    struct roster *after = changed(&change, &error);
    assert_int_equal(after->count, 2);
    assert_null(roster_find(after, 1));
    assert_string_equal(after->members[0].host, "b");
    struct roster *alone = NULL;
    change.id = 2;
    assert_int_equal(change_apply(&change, after, &alone), LASH_INVALID);
    assert_null(alone);
    roster_unref(after);
    change.id = 9;
    assert_int_equal(refusal(&change), LASH_NOT_FOUND);
}

/* Two requests for it may have been taken by different nodes. */
static void an_address_that_a_member_has_is_no_other_members(void **state) {
    (void)state;
    int error;
    struct change change = {.kind = CHANGE_ADD, .count = 1, .members[0] = {.id = 4, .host = "b", .port = 2}};
    assert_int_equal(refusal(&change), LASH_EXISTS);
    change.members[0].port = 3; /* the third one's is another host's */
    roster_unref(changed(&change, &error));
    assert_int_equal(error, 0);
    change = (struct change){.kind = CHANGE_UPDATE, .count = 1, .members[0] = {.id = 1, .host = "b", .port = 2}};
    assert_int_equal(refusal(&change), LASH_EXISTS);
    change.members[0].id = 2; /* its own */
    roster_unref(changed(&change, &error));
    assert_int_equal(error, 0);
}

static void a_learner_is_promoted(void **state) {
    (void)state;
    int error;
    struct change change = {.kind = CHANGE_PROMOTE, .id = 3};
    struct roster *after = changed(&change, &error);
    assert_int_equal(roster_find(after, 3)->flags, LASH_MEMBER_VOTER);
    assert_int_equal(roster_find(after, 3)->disk, 13);
    roster_unref(after);
    change.id = 2;
    assert_int_equal(refusal(&change), LASH_EXISTS);
    change.id = 9;
    assert_int_equal(refusal(&change), LASH_NOT_FOUND);
}

static void an_update_leaves_vote_and_disk_alone(void **state) {
    (void)state;
    int error;
    struct change change = {
        .kind = CHANGE_UPDATE,
        .count = 1,
        .members[0] = {.id = 1, .priority = 7, .host = "z", .port = 9, .note = "n", .note_size = 1}};
    struct roster *after = changed(&change, &error);
    assert_string_equal(after->members[0].host, "z");
    assert_int_equal(after->members[0].note_size, 1);
    assert_int_equal(after->members[0].flags, LASH_MEMBER_VOTER);
    assert_int_equal(after->members[0].disk, 11);
    assert_int_equal(after->members[0].priority, 7);
    roster_unref(after);
    change.members[0].priority = LASH_RAFT_PRIORITY_MAX + 1;
    assert_int_equal(change_check(&change), LASH_INVALID);
    change.members[0].priority = 0;
    change.members[0].id = 9;
    assert_int_equal(refusal(&change), LASH_NOT_FOUND);
}

static void a_membership_is_set_as_a_whole(void **state) {
    (void)state;
    int error;
    struct change change = {.kind = CHANGE_SET,
                            .count = 2,
                            .members = {{.id = 3, .flags = LASH_MEMBER_VOTER, .disk = 5, .host = "c", .port = 3},
                                        {.id = 5, .flags = LASH_MEMBER_VOTER, .disk = 5, .host = "e", .port = 5}}};
    struct roster *after = changed(&change, &error);
    assert_int_equal(after->count, 2);
    assert_int_equal(after->members[0].disk, 13); /* what the nodes know, not what is said */
    assert_int_equal(after->members[1].disk, 0);
    roster_unref(after);
    change.members[1].id = 3;
    assert_int_equal(refusal(&change), LASH_INVALID);
}

/* Every bit of the head and every length. */
static void only_what_was_encoded_is_decoded(void **state) {
    (void)state;
    static const struct change changes[] = {
        {.kind = CHANGE_SET,
         .count = 2,
         .members = {{.id = 1, .flags = LASH_MEMBER_VOTER, .host = "a", .port = 1},
                     {.id = 2, .note = "x", .note_size = 1}}},
        {.kind = CHANGE_ADD, .count = 1, .members[0] = {.id = 4, .host = "d", .port = 4}},
        {.kind = CHANGE_REMOVE, .id = 1},
        {.kind = CHANGE_PROMOTE, .id = UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint8_t data[512];
        uint8_t again[512];
        struct change decoded;
        size_t size = change_size(&changes[i]);
        assert_in_range(size, CHANGE_HEAD_SIZE, sizeof data - 1);
        change_encode(&changes[i], data);
        assert_int_equal(change_decode(data, size, &decoded), 0);
        assert_int_equal(decoded.kind, changes[i].kind);
        assert_int_equal(decoded.id, changes[i].id);
        assert_int_equal(change_size(&decoded), size);
        change_encode(&decoded, again);
        assert_memory_equal(again, data, size);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(change_decode(data, cut, &decoded), LASH_CORRUPT);
        data[size] = 0;
        assert_int_equal(change_decode(data, size + 1, &decoded), LASH_CORRUPT);
        for (size_t bit = 0; bit < 8 * (size_t)CHANGE_HEAD_SIZE; bit++) {
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            int error = change_decode(data, size, &decoded);
            assert_true(error == 0 || error == LASH_CORRUPT || error == LASH_VERSION);
            assert_true(error != 0 || change_check(&decoded) == 0);
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        le16_put(data, CHANGE_VERSION + 1);
        assert_int_equal(change_decode(data, size, &decoded), LASH_VERSION);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_added_with_a_disk_that_is_not_known),
        cmocka_unit_test(a_member_is_removed_unless_nobody_would_vote),
        cmocka_unit_test(an_address_that_a_member_has_is_no_other_members),
        cmocka_unit_test(a_learner_is_promoted),
        cmocka_unit_test(an_update_leaves_vote_and_disk_alone),
        cmocka_unit_test(a_membership_is_set_as_a_whole),
        cmocka_unit_test(only_what_was_encoded_is_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
