/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots: what is restored is what was there, and whatever goes wrong on the way
 * leaves what was there before.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "generate.h"
#include "images.h"
#include "lash/log.h"
#include "store/arena.h"
#include "store/handle.h"
#include "store/image.h"

enum { HISTORIES = 12, COMMANDS = 150 };

/* Apply `count` commands of a history; the same for each store with the same generator. */
static void run_history(struct harness *harness, struct generator *generator, int count) {
    struct store_arena *arena = arena_new();
    assert_non_null(arena);
    for (int i = 0; i < count; i++)
        harness_apply(harness, generate_command(generator, arena, (int64_t)harness->next / 2 + 1));
    store_arena_free(arena);
}

static void say_who(struct harness *harness, uint64_t id, const char *name, const char *url) {
    const struct store_bytes urls[] = {text(url)};
    harness_apply(harness, (struct store_op){
                               .type = STORE_MEMBER,
                               .member = {.id = id, .name = text(name), .client_urls = urls, .client_url_count = 1}});
}

/* A second store, which ends with the test. */
static void open_second(struct harness *second) {
    harness_make(second);
    harness_open(second);
}

static void close_second(struct harness *second) {
    audit(second);
    harness_close(second);
    harness_remove(second);
}

static void restored_histories_are_the_same_and_go_on_the_same(void **state) {
    struct harness *harness = *state;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        struct generator generator = {.state = seed};
        run_history(harness, &generator, COMMANDS);
        struct harness second;
        struct image_bytes bytes;
        open_second(&second);
        harness_apply(&second, put("what is there", "goes"));
        image_bytes_init(&bytes);
        assert_int_equal(image_save(harness, &bytes), LASH_OK);
        bytes.piece = seed % 3 ? 0 : 7;
        assert_int_equal(image_load(&second, &bytes, harness->next - 1), LASH_OK);
        assert_true(image_hash(&second) == image_hash(harness));
        audit(&second);
        struct generator again = generator;
        run_history(harness, &generator, COMMANDS);
        run_history(&second, &again, COMMANDS);
        assert_true(image_hash(&second) == image_hash(harness));
        assert_int_equal(audit_records(&second), audit_records(harness));
        struct image_bytes here, there;
        image_bytes_init(&here);
        image_bytes_init(&there);
        assert_int_equal(image_save(harness, &here), LASH_OK);
        assert_int_equal(image_save(&second, &there), LASH_OK);
        assert_int_equal(here.size, there.size);
        assert_memory_equal(here.data, there.data, here.size);
        image_bytes_free(&here);
        image_bytes_free(&there);
        image_bytes_free(&bytes);
        close_second(&second);
    }
}

/* More than a compaction removes at once: the rest goes with the commands that follow, here as there. */
static void a_removal_under_way_goes_on_behind_a_restore(void **state) {
    enum { KEYS = 100, ROUNDS = 60, STEPS = 20 };
    struct harness *harness = *state;
    static char names[KEYS][8];
    struct store_op ops[KEYS];
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        ops[i] = put(names[i], "value");
    }
    for (int round = 0; round < ROUNDS; round++)
        harness_apply(harness, txn(NULL, 0, ops, KEYS, NULL, 0));
    harness_apply(harness, compact(harness->got.revision));
    size_t records = audit_records(harness);
    assert_in_range(records, KEYS + 1, KEYS * ROUNDS);
    struct harness second;
    struct image_bytes bytes;
    open_second(&second);
    image_bytes_init(&bytes);
    assert_int_equal(image_save(harness, &bytes), LASH_OK);
    assert_int_equal(image_load(&second, &bytes, harness->next - 1), LASH_OK);
    for (int step = 0; step < STEPS; step++) {
        harness_apply(harness, put("a", "1"));
        harness_apply(&second, put("a", "1"));
        assert_int_equal(audit_records(&second), audit_records(harness));
    }
    assert_true(audit_records(&second) < records);
    assert_true(image_hash(&second) == image_hash(harness));
    image_bytes_free(&bytes);
    close_second(&second);
}

static void the_index_is_the_restorers_and_members_come_along(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    say_who(harness, 7, "seven", "http://seven:2379");
    say_who(harness, 3, "three", "http://three:2379");
    struct image_bytes bytes;
    image_bytes_init(&bytes);
    assert_int_equal(image_save(harness, &bytes), LASH_OK);
    assert_int_equal(image_load(harness, &bytes, 40), LASH_OK);
    struct store_stats stats;
    store_stats(harness->store, &stats);
    assert_int_equal(stats.applied, 40);
    assert_int_equal(stats.revision, 2);
    const struct store_member *members;
    size_t count;
    store_members(harness->store, &harness->got, &members, &count);
    assert_int_equal(count, 2);
    assert_int_equal(members[0].id, 3);
    assert_bytes(members[1].client_urls[0], text("http://seven:2379"));
    harness_close(harness);
    harness_open(harness);
    assert_int_equal(harness->applied, 40);
    image_bytes_free(&bytes);
}

static void an_empty_store_has_an_image_too(void **state) {
    struct harness *harness = *state;
    struct image_bytes bytes;
    image_bytes_init(&bytes);
    assert_int_equal(image_save(harness, &bytes), LASH_OK);
    harness_apply(harness, put("a", "1"));
    assert_int_equal(image_load(harness, &bytes, 1), LASH_OK);
    assert_int_equal(harness_read(harness, get_all()), STORE_OK);
    assert_int_equal(harness->got.op.range.count, 0);
    assert_int_equal(harness->got.revision, 1);
    image_bytes_free(&bytes);
}

static void a_snapshot_is_of_the_moment_it_was_begun(void **state) {
    struct harness *harness = *state;
    struct store_snapshot *snapshot;
    struct image_bytes bytes;
    image_bytes_init(&bytes);
    harness_apply(harness, put("a", "1"));
    uint64_t then = image_hash(harness);
    assert_int_equal(store_snapshot_begin(harness->store, &snapshot), LASH_OK);
    harness_apply(harness, put("a", "2"));
    harness_apply(harness, put("b", "2"));
    harness_apply(harness, compact_physical(harness->got.revision));
    assert_int_equal(store_snapshot_index(snapshot), 1);
    assert_int_equal(store_snapshot_revision(snapshot), 2);
    assert_int_equal(store_snapshot_write(snapshot, &bytes.sink), LASH_OK);
    store_snapshot_end(snapshot);
    assert_int_equal(image_load(harness, &bytes, 1), LASH_OK);
    assert_true(image_hash(harness) == then);
    image_bytes_free(&bytes);
}

/* Readers go on with the database that they began with, and the last one closes it. */
static void who_reads_while_another_state_is_restored_sees_the_old_one(void **state) {
    struct harness *harness = *state;
    struct image_bytes empty, old;
    struct store_snapshot *reader;
    image_bytes_init(&empty);
    image_bytes_init(&old);
    assert_int_equal(image_save(harness, &empty), LASH_OK);
    harness_apply(harness, put("a", "1"));
    uint64_t then = image_hash(harness);
    assert_int_equal(store_snapshot_begin(harness->store, &reader), LASH_OK);
    assert_int_equal(image_load(harness, &empty, 0), LASH_OK);
    assert_int_equal(harness_read(harness, get("a", "")), STORE_OK);
    assert_int_equal(harness->got.op.range.count, 0);
    harness_apply(harness, put("b", "1"));
    assert_int_equal(store_snapshot_write(reader, &old.sink), LASH_OK);
    store_snapshot_end(reader);
    assert_int_equal(image_load(harness, &old, 1), LASH_OK);
    assert_true(image_hash(harness) == then);
    image_bytes_free(&empty);
    image_bytes_free(&old);
}

/* ---- Damage ------------------------------------------------------------------------------------- */

/* A store with something of everything, its image, and another state that must survive. */
static void make_image(struct harness *harness, struct image_bytes *bytes, uint64_t *survivor) {
    image_bytes_init(bytes);
    struct store_op both[] = {put("b", "1"), put("c", "1")};
    harness_apply(harness, put("a", "1"));
    harness_apply(harness, put("a", "2"));
    harness_apply(harness, txn(NULL, 0, both, 2, NULL, 0));
    harness_apply(harness, del("b", ""));
    harness_apply(harness, compact(2));
    say_who(harness, 7, "seven", "http://seven:2379");
    assert_int_equal(image_save(harness, bytes), LASH_OK);
    harness_apply(harness, put("survivor", "1"));
    *survivor = image_hash(harness);
}

/* Nothing has changed, neither in memory nor on the disk. */
static void check_survivor(struct harness *harness, uint64_t survivor) {
    struct stat status;
    char path[128];
    assert_true(image_hash(harness) == survivor);
    snprintf(path, sizeof path, "%s/store.mdb.new", harness->dir);
    assert_int_not_equal(stat(path, &status), 0);
}

static void a_changed_byte_anywhere_is_found_and_the_old_state_stays(void **state) {
    struct harness *harness = *state;
    struct image_bytes bytes;
    uint64_t survivor;
    make_image(harness, &bytes, &survivor);
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= (uint8_t)(1u << i % 8);
        int rc = image_load(harness, &bytes, 99);
        assert_true(rc == LASH_CORRUPT || (i == 6 && rc == LASH_VERSION) || (i == 7 && rc == LASH_VERSION));
        check_survivor(harness, survivor);
        bytes.data[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(image_load(harness, &bytes, harness->next), LASH_OK);
    image_bytes_free(&bytes);
}

static void a_cut_image_is_found_and_the_old_state_stays(void **state) {
    struct harness *harness = *state;
    struct image_bytes bytes;
    uint64_t survivor;
    make_image(harness, &bytes, &survivor);
    for (size_t size = bytes.size; bytes.size-- > 0;) {
        assert_int_equal(image_load(harness, &bytes, 99), LASH_CORRUPT);
        check_survivor(harness, survivor);
        assert_true(bytes.size < size);
    }
    image_bytes_free(&bytes);
}

static void only_padding_may_follow_the_end(void **state) {
    struct harness *harness = *state;
    struct image_bytes bytes;
    uint64_t survivor;
    make_image(harness, &bytes, &survivor);
    static const uint8_t zeros[IMAGE_PADDING_MAX + 1];
    size_t size = bytes.size;
    bytes.sink.write(bytes.sink.context, zeros, sizeof zeros);
    assert_int_equal(image_load(harness, &bytes, 99), LASH_CORRUPT);
    bytes.data[size + 3] = 1;
    bytes.size = size + 4;
    assert_int_equal(image_load(harness, &bytes, 99), LASH_CORRUPT);
    check_survivor(harness, survivor);
    bytes.data[size + 3] = 0;
    bytes.size = size + IMAGE_PADDING_MAX;
    assert_int_equal(image_load(harness, &bytes, 99), LASH_OK);
    image_bytes_free(&bytes);
}

/* ---- Trouble ------------------------------------------------------------------------------------ */

static void each_allocation_that_fails_fails_the_snapshot_or_nothing(void **state) {
    struct harness *harness = *state;
    struct image_bytes bytes, again;
    uint64_t survivor;
    make_image(harness, &bytes, &survivor);
    image_bytes_init(&again);
    int rc = LASH_NOMEM;
    for (uint64_t n = 1; rc; n++) {
        again.size = 0;
        mem_fail_after(n);
        rc = image_save(harness, &again);
        mem_fail_after(0);
        assert_true(rc == LASH_OK || rc == LASH_NOMEM);
    }
    rc = LASH_NOMEM;
    for (uint64_t n = 1; rc; n++) {
        mem_fail_after(n);
        rc = image_load(harness, &bytes, harness->next);
        mem_fail_after(0);
        assert_true(rc == LASH_OK || rc == LASH_NOMEM);
        if (rc)
            check_survivor(harness, survivor);
    }
    assert_int_equal(image_load(harness, &again, harness->next), LASH_OK);
    assert_true(image_hash(harness) == survivor);
    image_bytes_free(&bytes);
    image_bytes_free(&again);
}

static void each_write_and_read_that_fails_is_reported(void **state) {
    struct harness *harness = *state;
    struct generator generator = {.state = 5};
    struct image_bytes bytes, again;
    uint64_t survivor;
    make_image(harness, &bytes, &survivor);
    run_history(harness, &generator, 2000); /* more than one buffer */
    survivor = image_hash(harness);
    image_bytes_free(&bytes);
    image_bytes_init(&again);
    assert_int_equal(image_save(harness, &again), LASH_OK);
    uint64_t calls = again.calls;
    assert_true(calls > 1);
    for (uint64_t call = 1; call <= calls; call++) {
        image_bytes_free(&again);
        again.fail_at = call;
        assert_int_equal(image_save(harness, &again), LASH_IO);
    }
    image_bytes_free(&again);
    assert_int_equal(image_save(harness, &again), LASH_OK);
    again.piece = 1000;
    assert_int_equal(image_load(harness, &again, harness->next), LASH_OK);
    calls = again.calls;
    for (uint64_t call = 1; call <= calls; call++) {
        again.fail_at = call;
        assert_int_equal(image_load(harness, &again, 99), LASH_IO);
        check_survivor(harness, survivor);
    }
    image_bytes_free(&again);
}

/* A file that may not grow is what a full disk is to the database; LMDB calls a write that fits in part an I/O error. */
static void a_disk_that_is_full_fails_the_restore_and_a_later_one_succeeds(void **state) {
    struct harness *harness = *state;
    struct image_bytes bytes;
    uint64_t survivor;
    static char value[100001];
    memset(value, 'v', sizeof value - 1);
    harness_apply(harness, put("large", value));
    make_image(harness, &bytes, &survivor);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room <= 64 * 1024; room += 4096) {
        struct rlimit full = {.rlim_cur = room, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
        int rc = image_load(harness, &bytes, 99);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(rc == LASH_FULL || rc == LASH_IO);
        check_survivor(harness, survivor);
    }
    signal(SIGXFSZ, handler);
    assert_int_equal(image_load(harness, &bytes, harness->next), LASH_OK);
    image_bytes_free(&bytes);
}

/* Processes that die at each read of the image, or right behind the restore: what is there is the one state or the other. */
static void killed_restores_leave_the_old_state_or_the_new_one(void **state) {
    struct harness *harness = *state;
    struct image_bytes bytes;
    uint64_t survivor, restored;
    make_image(harness, &bytes, &survivor);
    lash_index applied = harness->next - 1;
    assert_int_equal(image_load(harness, &bytes, applied + 10), LASH_OK);
    restored = image_hash(harness);
    struct image_bytes old;
    image_bytes_init(&old);
    assert_int_equal(image_save(harness, &old), LASH_OK);
    harness_apply(harness, put("survivor", "1"));
    survivor = image_hash(harness);
    applied = harness->next - 1;
    harness_close(harness);
    old.piece = 16;
    for (uint64_t kill_at = 1, finished = 0; !finished; kill_at += 3) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            old.kill_at = kill_at;
            harness_open(harness);
            if (image_load(harness, &old, 50))
                abort();
            (void)raise(SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        harness_open(harness);
        finished = harness->applied == 50;
        assert_true(finished || harness->applied == applied);
        assert_true(image_hash(harness) == (finished ? restored : survivor));
        audit(harness);
        harness_close(harness);
    }
    harness_open(harness);
    check_survivor(harness, restored);
    image_bytes_free(&bytes);
    image_bytes_free(&old);
}

/* What a killed restore has left is removed; what it never switched to is never used. */
static void an_unfinished_database_is_removed_at_the_start(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    uint64_t survivor = image_hash(harness);
    harness_close(harness);
    harness_write_file(harness, "store.mdb.new", "half a database");
    harness_write_file(harness, "store.mdb.new-lock", "");
    harness_open(harness);
    assert_int_equal(harness->applied, 1);
    check_survivor(harness, survivor);
}

/* A reader that takes long keeps old pages from being used again; it must not let the file grow without end. */
static void a_snapshot_is_given_up_when_the_database_grows_too_far(void **state) {
    struct harness *harness = *state;
    harness_close(harness);
    struct store_options options = {.dir = harness->dir, .map_bytes = UINT64_C(4) << 30, .growth_max = 1 << 20};
    assert_int_equal(store_open(&options, &harness->store, &harness->applied), LASH_OK);
    struct store_snapshot *snapshot;
    struct image_bytes bytes;
    static char value[100001];
    memset(value, 'v', sizeof value - 1);
    image_bytes_init(&bytes);
    harness_apply(harness, put("large", value));
    assert_int_equal(store_snapshot_begin(harness->store, &snapshot), LASH_OK);
    for (int i = 0; i < 30; i++)
        harness_apply(harness, put("large", value));
    assert_int_equal(store_snapshot_write(snapshot, &bytes.sink), LASH_BUSY);
    store_snapshot_end(snapshot);
    bytes.size = 0;
    assert_int_equal(image_save(harness, &bytes), LASH_OK);
    image_bytes_free(&bytes);
}

static void a_member_that_is_none_is_corrupt(void **state) {
    struct harness *harness = *state;
    struct image_bytes bytes;
    struct image_writer *writer = mem_alloc(sizeof *writer);
    assert_non_null(writer);
    const struct image_state empty = {.revision = 1, .compacted = -1};
    struct store_op op = put("a", "1");
    uint8_t *command;
    size_t size;
    assert_int_equal(store_encode(&op, &command, &size), LASH_OK);
    image_bytes_init(&bytes);
    assert_int_equal(image_begin(writer, &bytes.sink, &empty), LASH_OK);
    assert_int_equal(image_member(writer, (struct store_bytes){.data = command, .size = size}), LASH_OK);
    assert_int_equal(image_end(writer), LASH_OK);
    assert_int_equal(image_load(harness, &bytes, 1), LASH_CORRUPT);
    mem_free(command);
    mem_free(writer);
    image_bytes_free(&bytes);
}

int main(void) {
    lash_set_log(NULL, NULL, LASH_LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(restored_histories_are_the_same_and_go_on_the_same, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(a_removal_under_way_goes_on_behind_a_restore, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(the_index_is_the_restorers_and_members_come_along, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(an_empty_store_has_an_image_too, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_is_of_the_moment_it_was_begun, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(who_reads_while_another_state_is_restored_sees_the_old_one, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(a_changed_byte_anywhere_is_found_and_the_old_state_stays, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(a_cut_image_is_found_and_the_old_state_stays, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(only_padding_may_follow_the_end, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(each_allocation_that_fails_fails_the_snapshot_or_nothing, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(each_write_and_read_that_fails_is_reported, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_is_full_fails_the_restore_and_a_later_one_succeeds, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(killed_restores_leave_the_old_state_or_the_new_one, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(an_unfinished_database_is_removed_at_the_start, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_is_given_up_when_the_database_grows_too_far, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(a_member_that_is_none_is_corrupt, harness_setup, harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
