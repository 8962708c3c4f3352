/* SPDX-License-Identifier: Apache-2.0
 *
 * Rosters: what is encoded comes back, and nothing else is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "node/roster.h"

static const struct lash_node_member three[] = {
    {.id = 7, .flags = LASH_MEMBER_VOTER, .disk = 0x1122334455667788, .host = "node-7.example", .port = 65535},
    {.id = UINT64_MAX,
     .flags = LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD,
     .priority = 9,
     .host = "::1",
     .port = 1,
     .note = "a\0b",
     .note_size = 3},
    {.id = 8, .flags = LASH_MEMBER_PROMOTE, .note = "learner", .note_size = 7},
};

static struct roster *make(const struct lash_node_member *members, size_t count) {
    struct roster *roster;
    assert_int_equal(roster_new(42, members, count, &roster), 0);
    return roster;
}

static void assert_same(const struct roster *a, const struct roster *b) {
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct lash_node_member *x = &a->members[i];
        const struct lash_node_member *y = &b->members[i];
        assert_int_equal(x->id, y->id);
        assert_int_equal(x->flags, y->flags);
        assert_int_equal(x->priority, y->priority);
        assert_int_equal(x->disk, y->disk);
        assert_string_equal(x->host, y->host);
        assert_int_equal(x->port, y->port);
        assert_int_equal(x->note_size, y->note_size);
        if (x->note_size)
            assert_memory_equal(x->note, y->note, x->note_size);
    }
}

static void what_is_encoded_comes_back(void **state) {
    (void)state;
    struct roster *roster = make(three, 3);
    uint8_t data[ROSTER_BYTES_MAX];
    size_t size = roster_size(roster);
    roster_encode(roster, data);
    struct roster *decoded;
    assert_int_equal(roster_decode(data, size, &decoded), 0);
    assert_same(roster, decoded);
    assert_string_equal(decoded->members[2].host, "");
    roster_unref(roster);
    roster_unref(decoded);
}

static void the_largest_roster_fits(void **state) {
    (void)state;
    char host[ROSTER_HOST_MAX + 1];
    memset(host, 'h', sizeof host);
    host[ROSTER_HOST_MAX] = '\0';
    static const uint8_t note[LASH_NODE_NOTE_MAX + 1];
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX + 1];
    for (size_t i = 0; i <= LASH_RAFT_MEMBERS_MAX; i++)
        members[i] = (struct lash_node_member){.id = i + 1,
                                               .flags = LASH_MEMBER_VOTER,
                                               .host = host,
                                               .port = 1,
                                               .note = note,
                                               .note_size = LASH_NODE_NOTE_MAX};
    struct roster *roster = make(members, LASH_RAFT_MEMBERS_MAX);
    uint8_t data[ROSTER_BYTES_MAX];
    assert_int_equal(roster_size(roster), ROSTER_BYTES_MAX);
    roster_encode(roster, data);
    roster_unref(roster);
    assert_int_equal(roster_decode(data, sizeof data, &roster), 0);
    roster_unref(roster);

    assert_int_equal(roster_new(0, members, LASH_RAFT_MEMBERS_MAX + 1, &roster), LASH_TOO_LARGE);
    members[3].note_size++;
    assert_int_equal(roster_new(0, members, LASH_RAFT_MEMBERS_MAX, &roster), LASH_TOO_LARGE);
}

static void what_is_no_membership_is_refused(void **state) {
    (void)state;
    static const struct lash_node_member wrong[][2] = {
        {{.id = 1}, {.id = 2, .flags = LASH_MEMBER_PROMOTE}},            /* nobody votes */
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 1}},              /* one id twice */
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 0}},              /* no id */
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 2, .host = "a"}}, /* no port */
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 2, .port = 1}},   /* no host */
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 2, .host = "a b", .port = 1}},
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 2, .host = "a\x7f", .port = 1}},
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 2, .flags = LASH_MEMBER_WITNESS}},
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 2, .flags = LASH_MEMBER_VOTER | LASH_MEMBER_PROMOTE}},
        {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 2, .note_size = 1}},
    };
    struct roster *roster;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(roster_new(0, wrong[i], 2, &roster), LASH_INVALID);
    assert_int_equal(roster_new(0, NULL, 0, &roster), LASH_INVALID);
}

/* Every byte and every length: nothing wrong is taken, and what is taken has one encoding. */
static void damaged_bytes_are_refused(void **state) {
    (void)state;
    struct roster *roster = make(three, 3);
    uint8_t data[ROSTER_BYTES_MAX];
    uint8_t again[ROSTER_BYTES_MAX];
    size_t size = roster_size(roster);
    roster_encode(roster, data);
    roster_unref(roster);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(roster_decode(data, cut, &roster), LASH_CORRUPT);
    data[size] = 0;
    assert_int_equal(roster_decode(data, size + 1, &roster), LASH_CORRUPT);
    for (size_t at = 0; at < size * 8; at++) {
        data[at / 8] ^= (uint8_t)(1u << at % 8);
        int error = roster_decode(data, size, &roster);
        assert_true(error == 0 || error == LASH_CORRUPT || error == LASH_VERSION);
        if (!error) {
            assert_int_equal(roster_size(roster), size);
            roster_encode(roster, again);
            assert_memory_equal(again, data, size);
            roster_unref(roster);
        }
        data[at / 8] ^= (uint8_t)(1u << at % 8);
    }
}

static void a_newer_version_is_told_apart(void **state) {
    (void)state;
    struct roster *roster = make(three, 3);
    uint8_t data[ROSTER_BYTES_MAX];
    size_t size = roster_size(roster);
    roster_encode(roster, data);
    roster_unref(roster);
    data[0] = 2;
    assert_int_equal(roster_decode(data, size, &roster), LASH_VERSION);
    data[0] = 1;
    le32_put(data + ROSTER_HEAD_SIZE + 8, LASH_MEMBER_VOTER | 64);
    assert_int_equal(roster_decode(data, size, &roster), LASH_VERSION);
    le32_put(data + ROSTER_HEAD_SIZE + 8, LASH_MEMBER_WITNESS);
    assert_int_equal(roster_decode(data, size, &roster), LASH_CORRUPT);
}

static void without_memory_nothing_is_made(void **state) {
    (void)state;
    struct roster *roster = NULL;
    mem_fail_after(1);
    assert_int_equal(roster_new(1, three, 3, &roster), LASH_NOMEM);
    mem_fail_after(0);
    assert_null(roster);
}

static void members_are_found_by_id(void **state) {
    (void)state;
    struct roster *roster = make(three, 3);
    assert_ptr_equal(roster_find(roster, UINT64_MAX), &roster->members[1]);
    assert_null(roster_find(roster, 9));
    struct lash_configuration configuration;
    roster_configuration(roster, &configuration);
    assert_int_equal(configuration.index, 42);
    assert_int_equal(configuration.count, 3);
    assert_int_equal(configuration.members[1].flags, LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD);
    assert_int_equal(configuration.members[1].priority, 9);
    struct roster *second = roster_ref(roster);
    roster_unref(roster);
    assert_int_equal(second->count, 3);
    roster_unref(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_comes_back),       cmocka_unit_test(the_largest_roster_fits),
        cmocka_unit_test(what_is_no_membership_is_refused), cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(a_newer_version_is_told_apart),    cmocka_unit_test(without_memory_nothing_is_made),
        cmocka_unit_test(members_are_found_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
