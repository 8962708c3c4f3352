/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening: what survives what, who is kept out, and memory that runs out.
 */
#include "harness.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "lash/log.h"
#include "store/handle.h"
#include "store/view.h"

/* Log lines since the last reset. */
static char logged[8192];

static void log_keep(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", line);
}

static int setup(void **state) {
    logged[0] = 0;
    lash_set_log(log_keep, NULL, LASH_LOG_WARN);
    return harness_setup(state);
}

static int teardown(void **state) {
    lash_set_log(NULL, NULL, LASH_LOG_WARN);
    return harness_teardown(state);
}

static int64_t count(struct harness *harness) {
    assert_int_equal(harness_read(harness, get_all()), STORE_OK);
    return harness->got.op.range.count;
}

/* The marker that a session leaves when its process is killed. */
static void forget_the_close(struct harness *harness, const char *boot) {
    char text[64], marker[128];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    text[strcspn(text, "\n")] = 0;
    snprintf(marker, sizeof marker, "lash-store 1 open %s\n", boot ? boot : text);
    harness_write_file(harness, "store.state", marker);
}

static void data_and_applied_index_survive_a_close(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_apply(harness, put("b", "1"));
    uint64_t before, after;
    assert_int_equal(store_hash(harness->store, &before), LASH_OK);
    harness_close(harness);
    char marker[128];
    harness_read_file(harness, "store.state", marker, sizeof marker);
    assert_string_equal(marker, "lash-store 1 clean -\n");
    harness_open(harness);
    assert_int_equal(harness->applied, 2);
    assert_int_equal(count(harness), 2);
    assert_int_equal(store_hash(harness->store, &after), LASH_OK);
    assert_true(before == after);
    assert_string_equal(logged, "");
}

static void an_open_store_says_so_in_this_boot(void **state) {
    struct harness *harness = *state;
    char marker[128], expected[128];
    harness_read_file(harness, "store.state", marker, sizeof marker);
    forget_the_close(harness, NULL);
    harness_read_file(harness, "store.state", expected, sizeof expected);
    assert_string_equal(marker, expected);
}

static void a_clean_store_survives_a_restart_of_the_machine(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_close(harness);
    /* Nothing in the marker of a clean close names a boot. */
    harness_open(harness);
    assert_int_equal(harness->applied, 1);
}

static void a_store_that_was_not_closed_survives_in_the_same_boot(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_close(harness);
    forget_the_close(harness, NULL);
    harness_open(harness);
    assert_int_equal(harness->applied, 1);
    assert_string_equal(logged, "");
}

/* What the kernel could not write it has dropped, and what is in its cache may be gone tomorrow. */
static void a_store_whose_last_sync_failed_is_rebuilt(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    int file, ends[2];
    assert_int_equal(mdb_env_get_fd(harness->store->file->db.env, &file), 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], file), file); /* which cannot be synced */
    harness_close(harness);
    close(ends[0]);
    close(ends[1]);
    assert_non_null(strstr(logged, "could not be synced; it is rebuilt from the log"));
    harness_open(harness);
    assert_int_equal(harness->applied, 0);
    assert_int_equal(count(harness), 0);
}

static void a_store_that_was_not_closed_and_cannot_be_synced_is_rebuilt(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_close(harness);
    forget_the_close(harness, NULL);
    char path[128];
    snprintf(path, sizeof path, "%s/store.mdb", harness->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* which cannot be synced */
    harness_open(harness);
    assert_int_equal(harness->applied, 0);
    assert_non_null(strstr(logged, "could not be written to the disk"));
    harness_apply(harness, put("a", "1"));
}

static void a_store_of_another_boot_is_rebuilt_empty(void **state) {
    struct harness *harness = *state;
    const char *boots[] = {"00000000-dead-beef-0000-000000000000", "unknown", "-"};
    for (size_t i = 0; i < 3; i++) {
        harness_apply(harness, put("a", "1"));
        harness_close(harness);
        forget_the_close(harness, boots[i]);
        logged[0] = 0;
        harness_open(harness);
        assert_int_equal(harness->applied, 0);
        assert_int_equal(count(harness), 0);
        assert_int_equal(harness->got.revision, 1);
        assert_non_null(strstr(logged, "and is rebuilt from the log"));
        assert_ptr_equal(strchr(logged, '\n'), logged + strlen(logged) - 1);
    }
}

static void a_database_without_a_sound_marker_is_rebuilt(void **state) {
    struct harness *harness = *state;
    const char *markers[] = {
        "", "lash-store", "lash-store 1 clean", "lash-store 1 tidy x\n", "lash-store 0 clean -\n", "\xff\xfe\n"};
    for (size_t i = 0; i < TXN_COUNT(markers); i++) {
        harness_apply(harness, put("a", "1"));
        harness_close(harness);
        harness_write_file(harness, "store.state", markers[i]);
        harness_open(harness);
        assert_int_equal(harness->applied, 0);
    }
}

/* A crash between writing the new marker and putting it in place. */
static void a_marker_left_half_written_changes_nothing(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_close(harness);
    harness_write_file(harness, "store.state.new", "lash-st");
    harness_open(harness);
    assert_int_equal(harness->applied, 1);
}

/* The power fails after the marker was replaced and before the database was made. */
static void a_marker_without_a_database_starts_empty(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_close(harness);
    char path[128];
    snprintf(path, sizeof path, "%s/store.mdb", harness->dir);
    assert_int_equal(unlink(path), 0);
    harness_open(harness);
    assert_int_equal(harness->applied, 0);
}

static void a_newer_format_is_refused_and_nothing_is_deleted(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_close(harness);
    char marker[128];
    harness_read_file(harness, "store.state", marker, sizeof marker);
    harness_write_file(harness, "store.state", "lash-store 2 open 00000000-dead-beef-0000-000000000000 more\n");
    assert_int_equal(harness_try_open(harness), LASH_VERSION);
    assert_non_null(strstr(logged, "newer version"));
    harness_write_file(harness, "store.state", marker);
    harness_open(harness);
    assert_int_equal(harness->applied, 1);
}

/* Mark the closed store's file as being of `format`, or as a file of no format at all when it is 0; with a table `history`, as the first
 * layout had. */
static void mark(struct harness *harness, uint32_t format, bool history) {
    char path[128], name[] = "format";
    snprintf(path, sizeof path, "%s/store.mdb", harness->dir);
    MDB_env *env;
    MDB_txn *transaction;
    MDB_dbi table;
    uint8_t bytes[4];
    le32_put(bytes, format);
    MDB_val key = {.mv_size = 6, .mv_data = name}, value = {.mv_size = 4, .mv_data = bytes};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 5), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_dbi_open(transaction, "meta", 0, &table), 0);
    assert_int_equal(mdb_put(transaction, table, &key, &value, 0), 0);
    if (history) {
        assert_int_equal(mdb_dbi_open(transaction, "history", MDB_CREATE, &table), 0);
        assert_int_equal(mdb_put(transaction, table, &key, &value, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(transaction), 0);
    mdb_env_close(env);
}

static void a_newer_layout_or_version_is_refused_and_nothing_is_deleted(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_close(harness);
    const uint32_t layout = DB_LAYOUT << DB_VERSION_BITS;
    const uint32_t newer[] = {layout | (DB_VERSION_NEWEST + 1), layout + 0x100 + DB_VERSION_FIRST,
                              layout + 0x10000 + DB_VERSION_FIRST, DB_VERSION_NEWEST + 1};
    for (size_t i = 0; i < TXN_COUNT(newer); i++) {
        mark(harness, newer[i], false);
        assert_int_equal(harness_try_open(harness), LASH_VERSION);
    }
    const uint32_t none[] = {0, layout};
    for (size_t i = 0; i < TXN_COUNT(none); i++) {
        mark(harness, none[i], false);
        assert_int_equal(harness_try_open(harness), LASH_CORRUPT);
    }
    assert_null(strstr(logged, "is rebuilt"));
    mark(harness, layout | DB_VERSION_NEWEST, false);
    harness_open(harness);
    assert_int_equal(harness->applied, 1);
    assert_int_equal(count(harness), 1);
}

/* What an earlier version wrote is a cache of snapshot and log too. */
static void a_database_of_an_older_layout_is_rebuilt(void **state) {
    struct harness *harness = *state;
    /* The first layout's format was the version alone. */
    const uint32_t older[] = {DB_VERSION_FIRST, DB_VERSION_NEWEST, 1 << DB_VERSION_BITS | DB_VERSION_NEWEST};
    for (size_t i = 0; i < TXN_COUNT(older); i++) {
        harness_apply(harness, put("a", "1"));
        harness_apply(harness, put("a", "2"));
        harness_close(harness);
        mark(harness, older[i], true);
        logged[0] = 0;
        harness_open(harness);
        assert_int_equal(harness->applied, 0);
        assert_int_equal(count(harness), 0);
        assert_int_equal(harness->got.revision, 1);
        assert_non_null(strstr(logged, "an earlier version wrote the database"));
        harness_apply(harness, put("b", "1"));
        audit(harness);
        harness_close(harness);
        logged[0] = 0;
        harness_open(harness);
        assert_int_equal(harness->applied, 1);
        assert_string_equal(logged, "");
    }
}

static void an_older_layout_and_memory_that_runs_out(void **state) {
    struct harness *harness = *state;
    harness_close(harness);
    mark(harness, DB_VERSION_FIRST, true);
    int rc;
    uint64_t n = 0;
    do {
        mem_fail_after(++n);
        rc = harness_try_open(harness);
        mem_fail_after(0);
        assert_true(rc == LASH_OK || rc == LASH_NOMEM);
    } while (rc);
    assert_true(n > 1);
    assert_int_equal(harness->applied, 0);
    assert_int_equal(count(harness), 0);
}

static void a_file_that_is_no_database_is_corrupt(void **state) {
    struct harness *harness = *state;
    harness_close(harness);
    char path[128], junk[8192];
    memset(junk, 'x', sizeof junk - 1);
    junk[sizeof junk - 1] = 0;
    harness_write_file(harness, "store.mdb", junk);
    assert_int_equal(harness_try_open(harness), LASH_CORRUPT);
    snprintf(path, sizeof path, "%s/store.mdb", harness->dir);
    assert_int_equal(unlink(path), 0);
    harness_open(harness);
}

static void a_second_opener_is_kept_out(void **state) {
    struct harness *harness = *state;
    struct store_options options = {.dir = harness->dir};
    struct store *second;
    lash_index applied;
    assert_int_equal(store_open(&options, &second, &applied), LASH_BUSY);
    assert_non_null(strstr(logged, "another process"));
    harness_apply(harness, put("a", "1"));
    assert_int_equal(count(harness), 1);
}

static void directories_are_made_and_a_file_in_their_place_is_an_error(void **state) {
    struct harness *harness = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/x/y//z", harness->dir);
    struct store_options options = {.dir = path};
    struct store *store;
    lash_index applied;
    assert_int_equal(store_open(&options, &store, &applied), LASH_OK);
    store_close(store);
    static const char *const files[] = {"store.mdb", "store.mdb-lock", "store.state", "store.lock"};
    for (size_t i = 0; i < TXN_COUNT(files); i++) {
        char file[160];
        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        assert_int_equal(unlink(file), 0);
    }
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/x/y", harness->dir);
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/x", harness->dir);
    assert_int_equal(rmdir(path), 0);
    harness_write_file(harness, "x", "");
    assert_int_equal(store_open(&options, &store, &applied), LASH_IO);
    snprintf(path, sizeof path, "%s/x/y", harness->dir);
    assert_int_equal(store_open(&options, &store, &applied), LASH_IO);
}

static void a_full_map_fails_the_batch_and_keeps_what_was(void **state) {
    struct harness *harness = *state;
    harness_close(harness);
    struct store_options options = {.dir = harness->dir, .map_bytes = 1 << 20};
    assert_int_equal(store_open(&options, &harness->store, &harness->applied), LASH_OK);
    harness_apply(harness, put("a", "1"));
    static char value[400001];
    memset(value, 'v', sizeof value - 1);
    struct store_op ops[] = {put("b", "1"), put("c", value), put("d", value), put("e", value)};
    struct lash_command commands[TXN_COUNT(ops)];
    struct store_result results[TXN_COUNT(ops)] = {0};
    for (size_t i = 0; i < TXN_COUNT(ops); i++) {
        uint8_t *command;
        commands[i] = (struct lash_command){.index = harness->next + i, .request = &results[i]};
        assert_int_equal(store_encode(&ops[i], &command, &commands[i].size), LASH_OK);
        commands[i].data = command;
    }
    struct lash_state_machine machine = store_machine(harness->store);
    lash_index last = commands[TXN_COUNT(ops) - 1].index;
    assert_int_equal(machine.apply(machine.context, commands, TXN_COUNT(ops), last), LASH_FULL);
    for (size_t i = 0; i < TXN_COUNT(ops); i++) {
        assert_null(results[i].arena);
        mem_free((void *)(uintptr_t)commands[i].data);
    }
    assert_int_equal(count(harness), 1);
    harness_close(harness);
    harness_open(harness);
    assert_int_equal(harness->applied, 1);
    assert_int_equal(count(harness), 1);
}

/* The room that is held back goes when a batch does not fit, and the machine says so until it is there again. */
static void room_held_back_goes_when_it_is_needed_and_comes_back(void **state) {
    struct harness *harness = *state;
    harness_close(harness);
    struct store_options options = {.dir = harness->dir, .map_bytes = 1 << 20, .reserve_bytes = 1 << 20};
    assert_int_equal(store_open(&options, &harness->store, &harness->applied), LASH_OK);
    struct lash_state_machine machine = store_machine(harness->store);
    char path[sizeof harness->dir + 16];
    snprintf(path, sizeof path, "%s/reserve", harness->dir);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 1 << 20);
    assert_int_equal(machine.room(machine.context), LASH_OK);

    static char value[2000001];
    memset(value, 'v', sizeof value - 1);
    struct store_op op = put("b", value);
    struct lash_command command = {.index = harness->next};
    uint8_t *encoded;
    assert_int_equal(store_encode(&op, &encoded, &command.size), LASH_OK);
    command.data = encoded;
    assert_int_equal(machine.apply(machine.context, &command, 1, command.index), LASH_FULL);
    mem_free(encoded);
    assert_int_not_equal(stat(path, &status), 0);

    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit full = {.rlim_cur = 1 << 19, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    int rc = machine.room(machine.context);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, LASH_FULL);
    assert_int_not_equal(stat(path, &status), 0);
    assert_int_equal(machine.room(machine.context), LASH_OK);
    assert_int_equal(stat(path, &status), 0);
    harness_apply(harness, put("a", "1"));
}

/* A file that may not grow is what a full disk is to the database. */
static void a_disk_that_is_full_fails_the_batch_and_later_ones_succeed(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    struct store_stats stats;
    store_stats(harness->store, &stats);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit full = {.rlim_cur = stats.size, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    static char value[100001];
    memset(value, 'v', sizeof value - 1);
    struct store_op op = put("b", value);
    struct lash_command command = {.index = harness->next, .request = &harness->got};
    uint8_t *encoded;
    assert_int_equal(store_encode(&op, &encoded, &command.size), LASH_OK);
    command.data = encoded;
    struct lash_state_machine machine = store_machine(harness->store);
    int rc = machine.apply(machine.context, &command, 1, command.index);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, LASH_FULL);
    assert_int_equal(count(harness), 1);
    assert_int_equal(machine.apply(machine.context, &command, 1, command.index), LASH_OK);
    mem_free(encoded);
    harness->next++;
    assert_int_equal(count(harness), 2);
}

/* Damage one record behind the store's back, in each of the tables that a read goes through. */
static void damaged_records_are_reported_and_end_no_process(void **state) {
    struct harness *harness = *state;
    const char *tables[] = {"keys", "revisions", "meta"};
    for (size_t i = 0; i < TXN_COUNT(tables); i++) {
        harness_apply(harness, put("a", "1"));
        struct view view;
        assert_int_equal(view_begin(&view, &harness->store->file->db, true), LASH_OK);
        MDB_dbi dbi = i == 0 ? view.db->keys : i == 1 ? view.db->revisions : view.db->meta;
        MDB_cursor *cursor;
        MDB_val name, value = {.mv_size = 3, .mv_data = (char[]){"bad"}};
        assert_int_equal(mdb_cursor_open(view.txn, dbi, &cursor), 0);
        assert_int_equal(mdb_cursor_get(cursor, &name, &(MDB_val){0}, MDB_LAST), 0);
        assert_int_equal(mdb_cursor_put(cursor, &name, &value, 0), 0);
        mdb_cursor_close(cursor);
        assert_int_equal(mdb_txn_commit(view.txn), 0);
        index_finish(&view.index);
        assert_int_equal(harness_read(harness, get("a", "")), STORE_FAILED);
        struct store_op op = put("a", "2");
        op.put.prev_kv = true;
        struct lash_command command = {.index = harness->next, .request = &harness->got};
        uint8_t *encoded;
        assert_int_equal(store_encode(&op, &encoded, &command.size), LASH_OK);
        command.data = encoded;
        struct lash_state_machine machine = store_machine(harness->store);
        assert_int_equal(machine.apply(machine.context, &command, 1, command.index), LASH_CORRUPT);
        mem_free(encoded);
        harness_close(harness);
        /* A damaged record of numbers is found at once. Deleting the marker has all rebuilt. */
        if (i == 2)
            assert_int_equal(harness_try_open(harness), LASH_CORRUPT);
        harness_write_file(harness, "store.state", "");
        harness_open(harness);
        assert_int_equal(harness->applied, 0);
    }
}

static void a_marker_that_cannot_be_written_is_an_error(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_close(harness);
    char path[128];
    snprintf(path, sizeof path, "%s/store.state.new", harness->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(harness_try_open(harness), LASH_IO);
    assert_int_equal(rmdir(path), 0);
    harness_open(harness);
    assert_int_equal(harness->applied, 1);
}

/* A history with a bit of everything, ended by a read. Returns the first error. */
static int everything(const char *dir, struct store_result *result) {
    static char key[3000], value[20000];
    memset(key, 'k', sizeof key - 1);
    memset(value, 'v', sizeof value - 1);
    struct store_compare compare = {.key = text("a"), .range_end = text("z"), .number = 99};
    struct store_op inner[] = {put("b", "1"), get("a", "z"), del("a", "b"), txn(&compare, 1, NULL, 0, NULL, 0)};
    struct store_op ops[] = {put("a", value), put(key, "1"), put("a", "2"),      txn(&compare, 1, NULL, 0, inner, 4),
                             del("a", "~"),   put("c", "1"), compact_physical(6)};
    inner[2].delete_range.prev_kv = ops[4].delete_range.prev_kv = ops[2].put.prev_kv = true;
    struct store_options options = {.dir = dir};
    struct store *store;
    lash_index applied;
    int rc = store_open(&options, &store, &applied);
    if (rc)
        return rc;
    for (size_t i = (size_t)applied; i < TXN_COUNT(ops) && rc == 0; i++) {
        struct lash_command command = {.index = i + 1, .request = result};
        uint8_t *encoded;
        rc = store_encode(&ops[i], &encoded, &command.size);
        if (rc)
            break;
        command.data = encoded;
        struct lash_state_machine machine = store_machine(store);
        rc = machine.apply(machine.context, &command, 1, i + 1);
        mem_free(encoded);
    }
    struct store_op read = get_all();
    read.range.revision = rc ? 0 : 6;
    read.range.sort_order = STORE_SORT_DESCEND;
    store_read(store, &read, result);
    if (rc == 0 && result->error == STORE_FAILED)
        rc = LASH_NOMEM;
    store_close(store);
    return rc;
}

static void every_allocation_may_fail_and_nothing_is_lost(void **state) {
    struct harness *harness = *state;
    harness_close(harness);
    harness_remove(harness);
    harness_make(harness);
    uint64_t n = 0;
    int rc;
    do {
        struct store_result result = {0};
        mem_fail_after(++n);
        rc = everything(harness->dir, &result);
        mem_fail_after(0);
        store_result_free(&result);
        assert_true(rc == LASH_OK || rc == LASH_NOMEM);
        assert_true(n < 10000);
        /* Each round either did nothing or went on from where the one before stopped. To fail every allocation of the whole
         * history, begin again from nothing every time. */
        harness_open(harness);
        audit(harness);
        harness_close(harness);
        harness_remove(harness);
        if (rc)
            harness_make(harness);
    } while (rc);
    assert_true(n > 50);
    harness_make(harness);
    struct store_result result = {0};
    assert_int_equal(everything(harness->dir, &result), LASH_OK);
    /* At revision 6 the transaction's put of "b" and all else is deleted. */
    assert_int_equal(result.error, STORE_OK);
    assert_int_equal(result.op.range.count, 0);
    store_result_free(&result);
    harness_open(harness);
    assert_int_equal(count(harness), 1);
}

/* The same, going on after each failure with what the failed round left. */
static void a_store_goes_on_after_each_failed_allocation(void **state) {
    struct harness *harness = *state;
    harness_close(harness);
    int rc = LASH_NOMEM;
    for (uint64_t n = 1; rc; n++) {
        struct store_result result = {0};
        mem_fail_after(n);
        rc = everything(harness->dir, &result);
        mem_fail_after(0);
        store_result_free(&result);
    }
    harness_open(harness);
    assert_int_equal(harness->applied, 7);
    assert_int_equal(count(harness), 1);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        fresh(data_and_applied_index_survive_a_close),
        fresh(an_open_store_says_so_in_this_boot),
        fresh(a_clean_store_survives_a_restart_of_the_machine),
        fresh(a_store_that_was_not_closed_survives_in_the_same_boot),
        fresh(a_store_whose_last_sync_failed_is_rebuilt),
        fresh(a_store_that_was_not_closed_and_cannot_be_synced_is_rebuilt),
        fresh(a_store_of_another_boot_is_rebuilt_empty),
        fresh(a_database_without_a_sound_marker_is_rebuilt),
        fresh(a_marker_left_half_written_changes_nothing),
        fresh(a_marker_without_a_database_starts_empty),
        fresh(a_newer_format_is_refused_and_nothing_is_deleted),
        fresh(a_newer_layout_or_version_is_refused_and_nothing_is_deleted),
        fresh(a_database_of_an_older_layout_is_rebuilt),
        fresh(an_older_layout_and_memory_that_runs_out),
        fresh(a_file_that_is_no_database_is_corrupt),
        fresh(a_second_opener_is_kept_out),
        fresh(directories_are_made_and_a_file_in_their_place_is_an_error),
        fresh(a_full_map_fails_the_batch_and_keeps_what_was),
        fresh(room_held_back_goes_when_it_is_needed_and_comes_back),
        fresh(a_disk_that_is_full_fails_the_batch_and_later_ones_succeed),
        fresh(damaged_records_are_reported_and_end_no_process),
        fresh(a_marker_that_cannot_be_written_is_an_error),
        fresh(every_allocation_may_fail_and_nothing_is_lost),
        fresh(a_store_goes_on_after_each_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
