/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's options: defaults, mistakes, and what follows from them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "node/settings.h"

static const struct lash_peer good_peers[] = {{3, "localhost", 3, 0}, {1, "localhost", 1, 0}, {2, "localhost", 2, 0}};

static struct lash_node_options good_options(void) {
    return (struct lash_node_options){
        .id = 1, .data_dir = "data", .listen_host = "localhost", .peers = good_peers, .peer_count = 3};
}

static void zeros_are_filled_with_the_documented_defaults(void **state) {
    (void)state;
    struct lash_node_options options = good_options();
    struct lash_node_options settings;
    assert_int_equal(settings_check(&options, &settings), 0);
    assert_int_equal(settings.heartbeat_ms, 100);
    assert_int_equal(settings.election_ms, 1000);
    assert_int_equal(settings.segment_bytes, 64 << 20);
    assert_int_equal(settings.entry_bytes_max, 16 << 20);
    assert_int_equal(settings.pending_bytes_max, 256 << 20);
    assert_int_equal(settings.uncommitted_bytes_max, 512 << 20);
    assert_int_equal(settings.inflight_bytes_max, 8 << 20);
    assert_int_equal(settings.apply_lag_max, 0);
    assert_int_equal(settings.request_timeout_ms, 7000);
}

static void each_mistake_is_refused(void **state) {
    (void)state;
    static const struct lash_peer twice[] = {{1, "a", 1, 0}, {2, "b", 2, 0}, {2, "c", 3, 0}};
    static const struct lash_peer zero[] = {{1, "a", 1, 0}, {0, "b", 2, 0}};
    static const struct lash_peer no_host[] = {{1, "a", 1, 0}, {2, NULL, 2, 0}};
    static const struct lash_peer no_port[] = {{1, "a", 1, 0}, {2, "b", 0, 0}};
    struct lash_node_options bad[11];
    size_t count = sizeof bad / sizeof bad[0];
    for (size_t i = 0; i < count; i++)
        bad[i] = good_options();
    bad[0].id = 0;
    bad[1].data_dir = NULL;
    bad[2].data_dir = "";
    bad[3].listen_host = NULL;
    bad[4].heartbeat_ms = 400;
    bad[5].entry_bytes_max = UINT64_MAX;
    bad[6].peer_count = LASH_RAFT_MEMBERS_MAX + 1;
    bad[7].peers = twice;
    bad[8].peers = zero;
    bad[9].peers = no_host;
    bad[10].peers = no_port;
    bad[8].peer_count = bad[9].peer_count = bad[10].peer_count = 2;
    for (size_t i = 0; i < count; i++) {
        struct lash_node_options settings;
        print_message("mistake %zu\n", i);
        assert_int_equal(settings_check(&bad[i], &settings), LASH_INVALID);
    }
}

static void a_new_node_is_among_its_peers_or_joins(void **state) {
    (void)state;
    struct lash_node_options options = good_options();
    assert_int_equal(settings_check_new(&options), 0);
    options.id = 9;
    assert_int_equal(settings_check_new(&options), LASH_INVALID);
    options.joining = true;
    assert_int_equal(settings_check_new(&options), 0);
    options.peer_count = 0;
    assert_int_equal(settings_check_new(&options), 0);
    options.joining = false;
    assert_int_equal(settings_check_new(&options), LASH_INVALID);
}

static void peers_become_voters_in_the_order_of_their_ids(void **state) {
    (void)state;
    struct lash_node_options options = good_options();
    struct roster *roster;
    assert_int_equal(settings_roster(&options, &roster), 0);
    assert_int_equal(roster->count, 3);
    assert_int_equal(roster->index, 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(roster->members[i].id, i + 1);
        assert_int_equal(roster->members[i].port, i + 1);
        assert_int_equal(roster->members[i].flags, LASH_MEMBER_VOTER);
        assert_string_equal(roster->members[i].host, "localhost");
    }
    roster_unref(roster);
    options.peer_count = 0;
    assert_int_equal(settings_roster(&options, &roster), 0);
    assert_null(roster);
    static const struct lash_peer spaced[] = {{1, "a b", 1, 0}};
    options.peers = spaced;
    options.peer_count = 1;
    assert_int_equal(settings_roster(&options, &roster), LASH_INVALID);
}

static struct log_identity blob_of(const struct settings_identity *identity, uint8_t data[SETTINGS_IDENTITY_MAX]) {
    return (struct log_identity){.identity = data, .identity_size = settings_identity_encode(identity, data)};
}

static void what_a_log_says_of_itself_comes_back(void **state) {
    (void)state;
    struct lash_node_options options = good_options();
    struct settings_identity identity = {.disk = 0x1234567890};
    struct settings_identity found;
    uint8_t data[SETTINGS_IDENTITY_MAX];
    struct log_identity log = blob_of(&identity, data);
    assert_int_equal(settings_identity_decode(&log, &found), 0);
    assert_int_equal(found.disk, 0x1234567890);
    assert_null(found.first);
    assert_int_equal(settings_roster(&options, &identity.first), 0);
    log = blob_of(&identity, data);
    assert_int_equal(settings_identity_decode(&log, &found), 0);
    assert_int_equal(found.first->count, 3);
    assert_string_equal(found.first->members[2].host, "localhost");
    roster_unref(found.first);
    for (size_t cut = 0; cut < log.identity_size; cut++) {
        struct log_identity shorter = {.identity = data, .identity_size = cut};
        assert_int_equal(settings_identity_decode(&shorter, &found), cut == SETTINGS_IDENTITY_HEAD ? 0 : LASH_CORRUPT);
    }
    data[0] = 3;
    assert_int_equal(settings_identity_decode(&log, &found), LASH_VERSION);
    data[0] = 0;
    assert_int_equal(settings_identity_decode(&log, &found), LASH_CORRUPT);
    roster_unref(identity.first);
}

/* As logs were begun before disks and addresses were noted. */
static void the_first_version_of_that_is_read(void **state) {
    (void)state;
    uint8_t data[8 + 2 * 16] = {1, 0, 0, 0, 2, 0, 0, 0, [8] = 7, [16] = 1, [24] = 9, [32] = 1};
    struct log_identity log = {.salt = 5, .identity = data, .identity_size = sizeof data};
    struct settings_identity found;
    assert_int_equal(settings_identity_decode(&log, &found), 0);
    assert_int_not_equal(found.disk, 0);
    uint64_t disk = found.disk;
    assert_int_equal(found.first->count, 2);
    assert_int_equal(found.first->members[1].id, 9);
    assert_int_equal(found.first->members[1].port, 0);
    roster_unref(found.first);
    log.salt = 6;
    assert_int_equal(settings_identity_decode(&log, &found), 0);
    assert_int_not_equal(found.disk, disk);
    roster_unref(found.first);
    log.identity_size--;
    assert_int_equal(settings_identity_decode(&log, &found), LASH_CORRUPT);
    log.identity_size++;
    data[24] = 7; /* one id twice */
    assert_int_equal(settings_identity_decode(&log, &found), LASH_CORRUPT);
}

static void a_removal_is_remembered(void **state) {
    (void)state;
    char dir[] = "/tmp/lash-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    bool removed = true;
    assert_int_equal(settings_is_removed(vfs_posix(), dir, &removed), 0);
    assert_false(removed);
    assert_int_equal(settings_mark_removed(vfs_posix(), dir), 0);
    assert_int_equal(settings_mark_removed(vfs_posix(), dir), 0);
    assert_int_equal(settings_is_removed(vfs_posix(), dir, &removed), 0);
    assert_true(removed);
    char *path = settings_path(dir, "removed");
    assert_int_equal(unlink(path), 0);
    mem_free(path);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(settings_mark_removed(vfs_posix(), dir), LASH_IO);
}

static void a_directory_is_made_with_all_above_it(void **state) {
    (void)state;
    char base[] = "/tmp/lash-settings-XXXXXX";
    assert_non_null(mkdtemp(base));
    char path[64];
    struct stat info;
    snprintf(path, sizeof path, "%s/a/b/c/", base);
    assert_int_equal(settings_make_directory(vfs_posix(), path), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(settings_make_directory(vfs_posix(), path), 0);
    const char *const made[] = {"a/b/c", "a/b", "a"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", base, made[i]);
        assert_int_equal(rmdir(path), 0);
    }
    assert_int_equal(rmdir(base), 0);
}

static void a_directory_that_cannot_be_made_is_an_io_error(void **state) {
    (void)state;
    assert_int_equal(settings_make_directory(vfs_posix(), "/proc/lash/data"), LASH_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_are_filled_with_the_documented_defaults),
        cmocka_unit_test(each_mistake_is_refused),
        cmocka_unit_test(a_new_node_is_among_its_peers_or_joins),
        cmocka_unit_test(peers_become_voters_in_the_order_of_their_ids),
        cmocka_unit_test(what_a_log_says_of_itself_comes_back),
        cmocka_unit_test(the_first_version_of_that_is_read),
        cmocka_unit_test(a_removal_is_remembered),
        cmocka_unit_test(a_directory_is_made_with_all_above_it),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_an_io_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
