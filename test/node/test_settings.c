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

#include "node/settings.h"

static const struct lash_peer good_peers[] = {{3, "localhost", 3}, {1, "localhost", 1}, {2, "localhost", 2}};

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
    assert_int_equal(settings.request_timeout_ms, 7000);
}

static void each_mistake_is_refused(void **state) {
    (void)state;
    static const struct lash_peer twice[] = {{1, "a", 1}, {2, "b", 2}, {2, "c", 3}};
    static const struct lash_peer zero[] = {{1, "a", 1}, {0, "b", 2}};
    static const struct lash_peer no_host[] = {{1, "a", 1}, {2, NULL, 2}};
    static const struct lash_peer no_port[] = {{1, "a", 1}, {2, "b", 0}};
    struct lash_node_options bad[12];
    size_t count = sizeof bad / sizeof bad[0];
    for (size_t i = 0; i < count; i++)
        bad[i] = good_options();
    bad[0].id = 9;
    bad[1].data_dir = NULL;
    bad[2].data_dir = "";
    bad[3].listen_host = NULL;
    bad[4].heartbeat_ms = 400;
    bad[5].entry_bytes_max = UINT64_MAX;
    bad[6].peer_count = 0;
    bad[7].peer_count = LASH_RAFT_MEMBERS_MAX + 1;
    bad[8].peers = twice;
    bad[9].peers = zero;
    bad[10].peers = no_host;
    bad[11].peers = no_port;
    bad[9].peer_count = bad[10].peer_count = bad[11].peer_count = 2;
    for (size_t i = 0; i < count; i++) {
        struct lash_node_options settings;
        print_message("mistake %zu\n", i);
        assert_int_equal(settings_check(&bad[i], &settings), LASH_INVALID);
    }
}

static void the_order_of_peers_does_not_change_the_identity(void **state) {
    (void)state;
    static const struct lash_peer other_order[] = {{1, "x", 7}, {2, "y", 8}, {3, "z", 9}};
    static const struct lash_peer other_members[] = {{1, "x", 7}, {2, "y", 8}, {4, "z", 9}};
    const struct lash_peer *peers[] = {good_peers, other_order, other_members};
    uint8_t identities[3][SETTINGS_IDENTITY_MAX];
    size_t sizes[3];
    for (size_t i = 0; i < 3; i++) {
        struct lash_node_options options = good_options();
        struct lash_configuration configuration;
        options.peers = peers[i];
        settings_configuration(&options, &configuration);
        assert_int_equal(configuration.count, 3);
        assert_int_equal(configuration.members[0].id, 1);
        assert_int_equal(configuration.members[2].flags, LASH_MEMBER_VOTER);
        sizes[i] = settings_identity(&configuration, identities[i]);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(identities[0], identities[1], sizes[0]);
    assert_memory_not_equal(identities[0], identities[2], sizes[0]);
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
        cmocka_unit_test(the_order_of_peers_does_not_change_the_identity),
        cmocka_unit_test(a_directory_is_made_with_all_above_it),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_an_io_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
