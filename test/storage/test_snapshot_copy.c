/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of snapshots that their process did not finish: the next one goes on behind what is
 * there and right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lash/log.h"
#include "sim/memfs.h"
#include "storage/snapshot_format.h"

enum { CHUNK = 64, FILE_MAX = 1024, TERM = 2, DATA = 5 * CHUNK + 7 };

static void swallow(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static int quiet(void **state) {
    (void)state;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    return 0;
}

static struct snapshots *opened(struct memfs *fs, uint64_t node) {
    const struct snapshots_options options = {
        .vfs = memfs_vfs(fs), .dir = "s", .cluster_id = 1, .node_id = node, .chunk_bytes = CHUNK};
    struct snapshots *snapshots;
    assert_int_equal(snapshots_open(&options, &snapshots), LASH_OK);
    return snapshots;
}

static void data_of(uint8_t data[DATA]) {
    for (size_t i = 0; i < DATA; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
}

static void save(struct snapshots *snapshots, lash_index index) {
    const struct snapshot_head head = {
        .index = index, .term = TERM, .configuration = "three members", .configuration_size = 14};
    uint8_t data[DATA];
    struct snapshot_writer *writer;
    data_of(data);
    assert_int_equal(snapshot_begin(snapshots, &head, &writer), LASH_OK);
    assert_int_equal(snapshot_write(writer, data, sizeof data), LASH_OK);
    assert_int_equal(snapshot_commit(writer), LASH_OK);
}

static void expect_data(struct snapshots *snapshots) {
    uint8_t expected[DATA];
    uint8_t data[DATA + 1];
    struct snapshot_reader *reader;
    size_t size;
    data_of(expected);
    assert_int_equal(snapshot_open(snapshots, 10, &reader), LASH_OK);
    assert_int_equal(snapshot_read(reader, data, sizeof data, &size), LASH_OK);
    assert_int_equal(size, DATA);
    assert_memory_equal(data, expected, DATA);
    snapshot_close(reader);
}

/* A snapshot's file as another node made it. */
static size_t file_of_peer(uint8_t bytes[FILE_MAX]) {
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs, 4);
    struct snapshot_reader *reader;
    size_t size;
    save(snapshots, 10);
    assert_int_equal(snapshot_open(snapshots, 10, &reader), LASH_OK);
    assert_int_equal(snapshot_raw(reader, 0, bytes, FILE_MAX, &size), LASH_OK);
    snapshot_close(reader);
    snapshots_close(snapshots);
    memfs_free(fs);
    return size;
}

/* Copy some of it, and end the process: in order, or by a kill. */
static void leave(struct memfs *fs, const uint8_t *bytes, size_t size, size_t copied, bool killed) {
    struct snapshots *snapshots = opened(fs, 3);
    struct snapshot_writer *writer;
    assert_int_equal(snapshot_receive(snapshots, 10, TERM, size, &writer), LASH_OK);
    assert_int_equal(snapshot_received(writer), 0);
    assert_int_equal(snapshot_copy(writer, 0, bytes, copied), LASH_OK);
    if (killed)
        memfs_fail(fs, 1, MEMFS_POWER_OFF);
    snapshot_leave(writer);
    snapshots_close(snapshots);
    if (killed)
        memfs_kill(fs);
}

static size_t part_count;

static void count_part(void *argument, const char *name) {
    (void)argument;
    part_count += strncmp(name, "part-", 5) == 0;
}

static size_t parts_in(struct memfs *fs) {
    const struct vfs *vfs = memfs_vfs(fs);
    part_count = 0;
    assert_int_equal(vfs->list(vfs->context, "s", count_part, NULL), 0);
    return part_count;
}

/* How much of the copy the next process finds; then it gets the rest, and has the snapshot. */
static uint64_t go_on(struct memfs *fs, const uint8_t *bytes, size_t size) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    struct snapshots *snapshots = opened(fs, 3);
    struct snapshot_writer *writer;
    assert_int_equal(snapshots_list(snapshots, infos), 0);
    assert_int_equal(snapshot_receive(snapshots, 10, TERM, size, &writer), LASH_OK);
    uint64_t found = snapshot_received(writer);
    assert_int_equal(snapshot_copy(writer, found, bytes + found, size - (size_t)found), LASH_OK);
    assert_int_equal(snapshot_commit(writer), LASH_OK);
    expect_data(snapshots);
    snapshots_close(snapshots);
    assert_int_equal(parts_in(fs), 0);
    return found;
}

static void what_there_is_of_a_copy_outlives_its_process(void **state) {
    (void)state;
    uint8_t bytes[FILE_MAX];
    size_t size = file_of_peer(bytes);
    const size_t record = SNAPSHOT_CHUNK_SIZE + CHUNK;
    const size_t header = size - SNAPSHOT_END_SIZE - (SNAPSHOT_CHUNK_SIZE + 7) - 5 * record;
    for (size_t copied = 0; copied <= size; copied++) {
        struct memfs *fs = memfs_new();
        leave(fs, bytes, size, copied, copied % 2);
        size_t there = copied;
        while (there < size && bytes[there] == 0) /* as is what was never written */
            there++;
        size_t chunks = there < header ? 0 : (there - header) / record;
        /* Whole chunks, and of the last, which is shorter, nothing. */
        assert_int_equal(go_on(fs, bytes, size), there < header ? 0 : header + (chunks < 5 ? chunks : 5) * record);
        memfs_free(fs);
    }
}

static void of_a_copy_that_was_damaged_what_is_right_stays(void **state) {
    (void)state;
    uint8_t bytes[FILE_MAX];
    uint64_t file_size;
    size_t size = file_of_peer(bytes);
    for (size_t at = 0; at < size - SNAPSHOT_END_SIZE - CHUNK; at++) {
        struct memfs *fs = memfs_new();
        leave(fs, bytes, size, size, true);
        memfs_bytes(fs, "s/part-0000000000000001", &file_size)[at] ^= 1;
        assert_true(go_on(fs, bytes, size) <= at);
        memfs_free(fs);
    }
}

static void what_is_left_of_another_copy_is_removed(void **state) {
    (void)state;
    uint8_t bytes[FILE_MAX];
    size_t size = file_of_peer(bytes);
    struct memfs *fs = memfs_new();
    struct snapshot_writer *writer;
    leave(fs, bytes, size, size / 2, false);
    struct snapshots *snapshots = opened(fs, 3);
    assert_int_equal(parts_in(fs), 1);
    assert_int_equal(snapshot_receive(snapshots, 10, TERM, size + 1, &writer), LASH_OK);
    assert_int_equal(snapshot_received(writer), 0);
    assert_int_equal(parts_in(fs), 1);
    snapshot_abandon(writer);
    snapshots_close(snapshots);
    leave(fs, bytes, size, size / 2, false);
    snapshots = opened(fs, 3);
    save(snapshots, 11); /* it would be older than that */
    assert_int_equal(parts_in(fs), 0);
    snapshots_close(snapshots);
    memfs_free(fs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_there_is_of_a_copy_outlives_its_process),
        cmocka_unit_test(of_a_copy_that_was_damaged_what_is_right_stays),
        cmocka_unit_test(what_is_left_of_another_copy_is_removed),
    };
    return cmocka_run_group_tests_name("snapshot copies", tests, quiet, NULL);
}
