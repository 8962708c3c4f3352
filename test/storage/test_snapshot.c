/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots on disk: what is written is read back; only what is whole and durable has
 * a name; a damaged one is found and gives way to the one before it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "lash/log.h"
#include "sim/memfs.h"
#include "storage/snapshot_format.h"
#include "storage/snapshot_state.h"

enum { CLUSTER = 0xc1, CHUNK = 64, DATA_MAX = 1024, FILE_MAX = 2048, PIECE = 50 };

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

static struct snapshots_options options_for(struct memfs *fs) {
    return (struct snapshots_options){
        .vfs = memfs_vfs(fs), .dir = "s", .cluster_id = CLUSTER, .node_id = 3, .chunk_bytes = CHUNK};
}

static int open_on(struct memfs *fs, struct snapshots **snapshots) {
    struct snapshots_options options = options_for(fs);
    *snapshots = NULL;
    return snapshots_open(&options, snapshots);
}

static struct snapshots *opened(struct memfs *fs) {
    struct snapshots *snapshots;
    assert_int_equal(open_on(fs, &snapshots), LASH_OK);
    return snapshots;
}

/* ---- Snapshots whose contents follow from their index ------------------------------------------- */

static void data_of(lash_index index, uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(index * 31 + i * 7 + i / 251);
}

static struct snapshot_head head_of(lash_index index) {
    static const char configuration[] = "three members";
    return (struct snapshot_head){index, index / 10 + 1, configuration, sizeof configuration, false};
}

/* Several chunks, the last of them a short one. */
static size_t size_of(lash_index index) {
    return 3 * CHUNK + (size_t)index % CHUNK;
}

static int save_sized(struct snapshots *snapshots, lash_index index, size_t size) {
    uint8_t data[DATA_MAX];
    struct snapshot_head head = head_of(index);
    struct snapshot_writer *writer;
    data_of(index, data, size);
    int rc = snapshot_begin(snapshots, &head, &writer);
    if (rc)
        return rc;
    for (size_t at = 0; !rc && at < size; at += PIECE)
        rc = snapshot_write(writer, data + at, size - at < PIECE ? size - at : PIECE);
    if (!rc)
        return snapshot_commit(writer);
    snapshot_abandon(writer);
    return rc;
}

static int save(struct snapshots *snapshots, lash_index index) {
    return save_sized(snapshots, index, size_of(index));
}

/* Read a snapshot in pieces of `piece` bytes and compare. */
static int expect_sized(struct snapshots *snapshots, lash_index index, size_t size, size_t piece) {
    uint8_t expected[DATA_MAX];
    uint8_t data[DATA_MAX + 1];
    struct snapshot_head head = head_of(index);
    struct snapshot_reader *reader;
    data_of(index, expected, size);
    int rc = snapshot_open(snapshots, index, &reader);
    if (rc)
        return rc;
    size_t total = 0;
    size_t got = piece;
    while (!rc && got == piece && total + piece <= sizeof data) {
        rc = snapshot_read(reader, data + total, piece, &got);
        total += got;
    }
    if (!rc) {
        assert_int_equal(snapshot_head_of(reader)->index, head.index);
        assert_int_equal(snapshot_head_of(reader)->term, head.term);
        assert_int_equal(snapshot_head_of(reader)->configuration_size, head.configuration_size);
        assert_memory_equal(snapshot_head_of(reader)->configuration, head.configuration, head.configuration_size);
        assert_int_equal(snapshot_data_bytes(reader), size);
        assert_int_equal(total, size);
        assert_memory_equal(data, expected, size);
    }
    snapshot_close(reader);
    return rc;
}

static int expect(struct snapshots *snapshots, lash_index index) {
    return expect_sized(snapshots, index, size_of(index), 100);
}

static void expect_kept(struct snapshots *snapshots, lash_index newest, lash_index before) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    size_t count = snapshots_list(snapshots, infos);
    assert_int_equal(count, (newest != 0) + (before != 0));
    if (newest)
        assert_int_equal(infos[0].index, newest);
    if (before)
        assert_int_equal(infos[1].index, before);
    assert_int_equal(snapshots_floor(snapshots), before);
}

static const char *path_of(lash_index index) {
    static char path[SNAPSHOT_NAME_SIZE + 2];
    snprintf(path, sizeof path, "s/snapshot-%016" PRIx64 "-%016" PRIx64, index, head_of(index).term);
    return path;
}

/* A whole snapshot's bytes, as another replica would send them. */
static size_t file_of(lash_index index, uint8_t *bytes) {
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    struct snapshot_reader *reader;
    size_t size;
    assert_int_equal(save(snapshots, index), LASH_OK);
    assert_int_equal(snapshot_open(snapshots, index, &reader), LASH_OK);
    assert_int_equal(snapshot_raw(reader, 0, bytes, FILE_MAX, &size), LASH_OK);
    assert_int_equal(size, snapshot_file_bytes(reader));
    snapshot_close(reader);
    snapshots_close(snapshots);
    memfs_free(fs);
    return size;
}

static int copy_bytes(struct snapshots *snapshots, lash_index index, const uint8_t *bytes, size_t size) {
    struct snapshot_writer *writer;
    int rc = snapshot_receive(snapshots, index, head_of(index).term, size, &writer);
    if (rc)
        return rc;
    for (size_t at = 0; !rc && at < size; at += PIECE)
        rc = snapshot_copy(writer, at, bytes + at, size - at < PIECE ? size - at : PIECE);
    if (!rc)
        return snapshot_commit(writer);
    snapshot_abandon(writer);
    return rc;
}

static int copy(struct snapshots *snapshots, lash_index index) {
    uint8_t bytes[FILE_MAX];
    return copy_bytes(snapshots, index, bytes, file_of(index, bytes));
}

/* ---- Writing and reading ------------------------------------------------------------------------ */

static void what_was_written_is_read_back(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 7};
    static const size_t pieces[] = {1, 7, CHUNK, CHUNK + 1, DATA_MAX};
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(save_sized(snapshots, i + 1, sizes[i]), LASH_OK);
        assert_int_equal(snapshots_check(snapshots, i + 1), LASH_OK);
        for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++)
            assert_int_equal(expect_sized(snapshots, i + 1, sizes[i], pieces[j]), LASH_OK);
    }
    snapshots_close(snapshots);
    assert_int_equal(memfs_open_files(fs), 0);
    memfs_free(fs);
}

static void the_two_newest_are_kept(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    uint64_t size;
    expect_kept(snapshots, 0, 0);
    assert_int_equal(save(snapshots, 10), LASH_OK);
    expect_kept(snapshots, 10, 0);
    assert_int_equal(save(snapshots, 20), LASH_OK);
    expect_kept(snapshots, 20, 10);
    assert_int_equal(save(snapshots, 30), LASH_OK);
    expect_kept(snapshots, 30, 20);
    assert_null(memfs_bytes(fs, path_of(10), &size));
    assert_int_equal(expect(snapshots, 10), LASH_NOT_FOUND);
    snapshots_close(snapshots);
    snapshots = opened(fs);
    expect_kept(snapshots, 30, 20);
    assert_int_equal(expect(snapshots, 20), LASH_OK);
    assert_int_equal(expect(snapshots, 30), LASH_OK);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void an_older_one_is_not_taken(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    struct snapshot_head head = head_of(15);
    struct snapshot_writer *writer;
    assert_int_equal(snapshot_begin(snapshots, &head, &writer), LASH_OK);
    assert_int_equal(save(snapshots, 20), LASH_OK);
    assert_int_equal(snapshot_commit(writer), LASH_EXISTS); /* the newer one was quicker */
    assert_int_equal(save(snapshots, 20), LASH_EXISTS);
    assert_int_equal(save(snapshots, 19), LASH_EXISTS);
    assert_int_equal(copy(snapshots, 19), LASH_EXISTS);
    expect_kept(snapshots, 20, 0);
    snapshots_close(snapshots);
    snapshots = opened(fs);
    expect_kept(snapshots, 20, 0);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void a_reader_goes_on_when_its_snapshot_is_removed(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    struct snapshot_reader *reader;
    uint8_t expected[DATA_MAX];
    uint8_t data[DATA_MAX];
    size_t got;
    assert_int_equal(save(snapshots, 10), LASH_OK);
    assert_int_equal(snapshot_open(snapshots, 10, &reader), LASH_OK);
    assert_int_equal(save(snapshots, 20), LASH_OK);
    assert_int_equal(save(snapshots, 30), LASH_OK);
    expect_kept(snapshots, 30, 20);
    data_of(10, expected, size_of(10));
    assert_int_equal(snapshot_read(reader, data, sizeof data, &got), LASH_OK);
    assert_int_equal(got, size_of(10));
    assert_memory_equal(data, expected, got);
    snapshot_close(reader);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void what_makes_no_snapshot_is_refused(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    struct snapshot_writer *writer;
    struct snapshot_head head = head_of(10);
    head.index = 0;
    assert_int_equal(snapshot_begin(snapshots, &head, &writer), LASH_INVALID);
    head = head_of(10);
    head.term = 0;
    assert_int_equal(snapshot_begin(snapshots, &head, &writer), LASH_INVALID);
    head = head_of(10);
    head.configuration_size = SNAPSHOT_CONFIGURATION_MAX + 1;
    assert_int_equal(snapshot_begin(snapshots, &head, &writer), LASH_INVALID);
    assert_int_equal(snapshot_receive(snapshots, 10, 1, SNAPSHOT_HEADER_SIZE, &writer), LASH_INVALID);
    assert_int_equal(snapshot_receive(snapshots, 10, 1, UINT64_MAX, &writer), LASH_INVALID);
    assert_int_equal(snapshot_receive(snapshots, 0, 1, 1000, &writer), LASH_INVALID);
    snapshots_close(snapshots);
    struct snapshots_options options = options_for(fs);
    options.chunk_bytes = SNAPSHOT_CHUNK_BYTES_MAX + 1;
    assert_int_equal(snapshots_open(&options, &snapshots), LASH_INVALID);
    memfs_free(fs);
}

/* ---- Copies ------------------------------------------------------------------------------------- */

static void a_copy_is_the_same_file(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    uint8_t original[FILE_MAX];
    uint8_t bytes[FILE_MAX];
    struct snapshot_reader *reader;
    size_t size;
    assert_int_equal(copy(snapshots, 10), LASH_OK);
    assert_int_equal(expect(snapshots, 10), LASH_OK);
    assert_int_equal(snapshot_open(snapshots, 10, &reader), LASH_OK);
    assert_int_equal(snapshot_raw(reader, 0, bytes, sizeof bytes, &size), LASH_OK);
    assert_int_equal(size, file_of(10, original));
    assert_memory_equal(bytes, original, size);
    snapshot_close(reader);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void a_transfer_goes_on_where_it_broke_off(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    uint8_t bytes[FILE_MAX];
    size_t size = file_of(10, bytes);
    struct snapshot_writer *writer;
    assert_int_equal(snapshot_receive(snapshots, 10, head_of(10).term, size, &writer), LASH_OK);
    assert_int_equal(snapshot_copy(writer, 0, bytes, 100), LASH_OK);
    assert_int_equal(snapshot_received(writer), 100);
    assert_int_equal(snapshot_copy(writer, 0, bytes, 100), LASH_INVALID);               /* again */
    assert_int_equal(snapshot_copy(writer, 101, bytes, 100), LASH_INVALID);             /* a gap */
    assert_int_equal(snapshot_copy(writer, 100, bytes + 100, size - 99), LASH_INVALID); /* beyond the end */
    assert_int_equal(snapshot_copy(writer, 100, bytes + 100, 0), LASH_OK);
    assert_int_equal(snapshot_copy(writer, 100, bytes + 100, size - 100), LASH_OK);
    assert_int_equal(snapshot_commit(writer), LASH_OK);
    assert_int_equal(expect(snapshots, 10), LASH_OK);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void an_unfinished_copy_is_no_snapshot(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    uint8_t bytes[FILE_MAX];
    size_t size = file_of(10, bytes);
    struct snapshot_writer *writer;
    assert_int_equal(snapshot_receive(snapshots, 10, head_of(10).term, size, &writer), LASH_OK);
    assert_int_equal(snapshot_copy(writer, 0, bytes, size - 1), LASH_OK);
    assert_int_equal(snapshot_commit(writer), LASH_CORRUPT);
    expect_kept(snapshots, 0, 0);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void a_copy_with_any_byte_changed_is_refused(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    uint8_t bytes[FILE_MAX];
    size_t size = file_of(10, bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 1;
        int rc = copy_bytes(snapshots, 10, bytes, size);
        if (rc != LASH_CORRUPT)
            print_error("byte %zu changed: %d\n", i, rc);
        assert_int_equal(rc, LASH_CORRUPT);
        bytes[i] ^= 1;
    }
    expect_kept(snapshots, 0, 0);
    assert_int_equal(copy_bytes(snapshots, 10, bytes, size), LASH_OK);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void a_copy_of_another_snapshot_is_refused(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    uint8_t bytes[FILE_MAX];
    size_t size = file_of(10, bytes);
    assert_int_equal(copy_bytes(snapshots, 11, bytes, size), LASH_CORRUPT);
    assert_int_equal(copy_bytes(snapshots, 100, bytes, size), LASH_CORRUPT);
    snapshots_close(snapshots);
    struct snapshots_options options = options_for(fs);
    options.cluster_id++;
    assert_int_equal(snapshots_open(&options, &snapshots), LASH_OK);
    assert_int_equal(copy_bytes(snapshots, 10, bytes, size), LASH_MISMATCH);
    expect_kept(snapshots, 0, 0);
    snapshots_close(snapshots);
    memfs_free(fs);
}

/* ---- Damage ------------------------------------------------------------------------------------- */

static void damage_anywhere_is_found(void **state) {
    (void)state;
    uint64_t size = 1;
    for (uint64_t at = 0; at < size; at++) {
        struct memfs *fs = memfs_new();
        struct snapshots *snapshots = opened(fs);
        assert_int_equal(save(snapshots, 10), LASH_OK);
        assert_int_equal(save(snapshots, 20), LASH_OK);
        snapshots_close(snapshots);
        uint8_t *bytes = memfs_bytes(fs, path_of(20), &size);
        bytes[at] ^= (uint8_t)(1u << at % 8);
        memfs_settle(fs, path_of(20));
        /* Header and end are looked at when the folder is opened, the data when it is read. */
        snapshots = opened(fs);
        int rc = snapshots_check(snapshots, 20);
        if (rc != LASH_NOT_FOUND && rc != LASH_CORRUPT)
            print_error("byte %" PRIu64 " changed: %d\n", at, rc);
        assert_true(rc == LASH_NOT_FOUND || rc == LASH_CORRUPT);
        expect_kept(snapshots, 10, 0);
        assert_int_equal(expect(snapshots, 10), LASH_OK);
        /* It can come anew, from a peer. */
        assert_int_equal(copy(snapshots, 20), LASH_OK);
        expect_kept(snapshots, 20, 10);
        snapshots_close(snapshots);
        memfs_free(fs);
    }
    assert_true(size > 100);
}

static void no_damaged_data_is_given_out(void **state) {
    (void)state;
    for (uint64_t at = 0; at < size_of(20); at++) {
        struct memfs *fs = memfs_new();
        struct snapshots *snapshots = opened(fs);
        uint8_t expected[DATA_MAX];
        uint8_t byte;
        size_t got;
        uint64_t size;
        assert_int_equal(save(snapshots, 20), LASH_OK);
        data_of(20, expected, size_of(20));
        struct snapshot_reader *reader;
        assert_int_equal(snapshot_open(snapshots, 20, &reader), LASH_OK);
        uint64_t first = SNAPSHOT_HEADER_SIZE + head_of(20).configuration_size + SNAPSHOT_CHUNK_SIZE;
        memfs_bytes(fs, path_of(20), &size)[first + at / CHUNK * (CHUNK + SNAPSHOT_CHUNK_SIZE) + at % CHUNK] ^= 4;
        memfs_settle(fs, path_of(20));
        int rc = LASH_OK;
        uint64_t read = 0;
        while (!(rc = snapshot_read(reader, &byte, 1, &got)) && got)
            assert_int_equal(byte, expected[read++]);
        assert_int_equal(rc, LASH_CORRUPT);
        assert_int_equal(read, at / CHUNK * CHUNK);
        snapshot_close(reader);
        snapshots_close(snapshots);
        memfs_free(fs);
    }
}

static void a_file_that_was_cut_off_is_damaged(void **state) {
    (void)state;
    uint8_t bytes[FILE_MAX];
    size_t whole = file_of(20, bytes);
    for (uint64_t size = 0; size < whole; size++) {
        struct memfs *fs = memfs_new();
        struct snapshots *snapshots = opened(fs);
        assert_int_equal(save(snapshots, 10), LASH_OK);
        assert_int_equal(save(snapshots, 20), LASH_OK);
        snapshots_close(snapshots);
        memfs_resize(fs, path_of(20), size);
        snapshots = opened(fs);
        expect_kept(snapshots, 10, 0);
        snapshots_close(snapshots);
        memfs_free(fs);
    }
}

/* A chunk that is whole, but in another's place. */
static void chunks_that_changed_places_are_found(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    uint64_t size;
    uint8_t chunk[CHUNK + SNAPSHOT_CHUNK_SIZE];
    assert_int_equal(save(snapshots, 20), LASH_OK);
    uint8_t *first = memfs_bytes(fs, path_of(20), &size) + SNAPSHOT_HEADER_SIZE + head_of(20).configuration_size;
    memcpy(chunk, first, sizeof chunk);
    memmove(first, first + sizeof chunk, sizeof chunk);
    memcpy(first + sizeof chunk, chunk, sizeof chunk);
    memfs_settle(fs, path_of(20));
    assert_int_equal(snapshots_check(snapshots, 20), LASH_CORRUPT);
    expect_kept(snapshots, 0, 0);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static int open_changed(size_t at, uint8_t value) {
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    uint64_t size;
    assert_int_equal(save(snapshots, 20), LASH_OK);
    snapshots_close(snapshots);
    uint8_t *bytes = memfs_bytes(fs, path_of(20), &size);
    bytes[at] = value;
    struct snapshot_head head = head_of(20);
    uint32_t crc = crc32c(crc32c(0, bytes, SNAPSHOT_HEADER_SIZE - 4), head.configuration, head.configuration_size);
    le32_put(bytes + SNAPSHOT_HEADER_SIZE - 4, crc);
    memfs_settle(fs, path_of(20));
    int rc = open_on(fs, &snapshots);
    snapshots_close(snapshots);
    memfs_free(fs);
    return rc;
}

/* A healthy snapshot that this program cannot use must not be mistaken for damage and set aside. */
static void a_newer_version_or_another_cluster_is_refused(void **state) {
    (void)state;
    assert_int_equal(open_changed(4, SNAPSHOT_VERSION + 1), LASH_VERSION);
    assert_int_equal(open_changed(8, CLUSTER + 1), LASH_MISMATCH);
    assert_int_equal(open_changed(16, 1), LASH_MISMATCH);
    assert_int_equal(open_changed(24, 77), LASH_OK); /* made by another node: a copy */
}

static void leftovers_are_removed_and_other_files_left_alone(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    struct snapshot_head head = head_of(10);
    struct snapshot_writer *writer;
    uint64_t size;
    assert_int_equal(snapshot_begin(snapshots, &head, &writer), LASH_OK);
    assert_int_equal(snapshot_write(writer, "data", 4), LASH_OK);
    assert_non_null(memfs_bytes(fs, "s/part-0000000000000001", &size));
    const struct vfs *vfs = memfs_vfs(fs);
    int file = vfs->open(vfs->context, "s/notes-of-the-operator", VFS_WRITE | VFS_CREATE);
    assert_true(file >= 0);
    vfs->close(vfs->context, file);
    memfs_fail(fs, 1, MEMFS_POWER_OFF); /* the process is killed */
    snapshot_abandon(writer);
    snapshots_close(snapshots);
    memfs_kill(fs);
    snapshots = opened(fs);
    expect_kept(snapshots, 0, 0);
    assert_null(memfs_bytes(fs, "s/part-0000000000000001", &size));
    assert_int_equal(vfs->size(vfs->context, "s/notes-of-the-operator", &size), 0);
    snapshots_close(snapshots);
    memfs_free(fs);
}

/* ---- Failures and loss of power ----------------------------------------------------------------- */

enum { COURSE_STEPS = 4 };

/* How far a course got: the newest snapshot that is there for certain, and one that may be. */
struct progress {
    lash_index done;
    lash_index tried;
};

/* Snapshots made here, and one of a peer, by a process that is closed in between. Stops at the first error. */
static int course(struct memfs *fs, struct progress *progress) {
    struct snapshots *snapshots;
    int rc = open_on(fs, &snapshots);
    for (lash_index i = 1; !rc && i <= COURSE_STEPS; i++) {
        progress->tried = i * 10;
        rc = i == 3 ? copy(snapshots, i * 10) : save(snapshots, i * 10);
        if (!rc)
            progress->done = i * 10;
        if (!rc && i == 2) {
            snapshots_close(snapshots);
            rc = open_on(fs, &snapshots);
        }
    }
    snapshots_close(snapshots);
    return rc;
}

static uint64_t course_operations(void) {
    struct memfs *fs = memfs_new();
    struct progress progress = {0};
    memfs_fail(fs, 0, MEMFS_FINE);
    assert_int_equal(course(fs, &progress), LASH_OK);
    uint64_t operations = memfs_operations(fs);
    memfs_free(fs);
    return operations;
}

/* Everything that has a name is whole, and what was said to be there is; the next snapshot can be made. */
static void expect_progress(struct memfs *fs, const struct progress *progress, uint64_t n, const char *what) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    struct snapshots *snapshots = opened(fs);
    size_t count = snapshots_list(snapshots, infos);
    lash_index newest = count ? infos[0].index : 0;
    if (newest != progress->done && newest != progress->tried)
        print_error("%s at operation %" PRIu64 ": found %" PRIu64 ", made %" PRIu64 "\n", what, n, newest,
                    progress->done);
    assert_true(newest == progress->done || newest == progress->tried);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(snapshots_check(snapshots, infos[i].index), LASH_OK);
        assert_int_equal(expect(snapshots, infos[i].index), LASH_OK);
    }
    /* Of two that were there one is left at least, whatever the third came to. */
    if (newest >= 20)
        assert_int_equal(count, 2);
    assert_int_equal(save(snapshots, 90), LASH_OK);
    assert_int_equal(expect(snapshots, 90), LASH_OK);
    snapshots_close(snapshots);
    assert_int_equal(memfs_open_files(fs), 0);
}

static void whenever_the_power_goes_only_whole_snapshots_are_there(void **state) {
    (void)state;
    static const enum memfs_survival survivals[] = {MEMFS_ALL, MEMFS_NONE, MEMFS_SOME, MEMFS_GARBAGE};
    uint64_t operations = course_operations();
    assert_true(operations > 50);
    for (uint64_t n = 1; n <= operations; n++) {
        for (uint64_t seed = 0; seed < 10; seed++) {
            struct memfs *fs = memfs_new();
            struct progress progress = {0};
            memfs_fail(fs, n, MEMFS_POWER_OFF);
            (void)course(fs, &progress);
            size_t kind = seed < 2 ? seed : 2 + seed % 2;
            memfs_power_on(fs, survivals[kind], seed * 1000 + n);
            expect_progress(fs, &progress, n, "power lost");
            memfs_free(fs);
        }
    }
}

/* The process ends after the failure, and with it the cache's opinion of what is on disk. */
static void whatever_fails_only_whole_snapshots_are_there(void **state) {
    (void)state;
    static const enum memfs_fault faults[] = {MEMFS_EIO, MEMFS_EIO_DONE, MEMFS_EIO_SOME, MEMFS_ENOSPC, MEMFS_SHORT};
    uint64_t operations = course_operations();
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        for (uint64_t n = 1; n <= operations; n++) {
            struct memfs *fs = memfs_new();
            struct progress progress = {0};
            memfs_fail(fs, n, faults[i]);
            int rc = course(fs, &progress);
            if (faults[i] == MEMFS_SHORT)
                assert_int_equal(rc, LASH_OK);
            assert_int_equal(memfs_open_files(fs), 0);
            if (n % 2)
                memfs_kill(fs);
            else
                memfs_power_on(fs, MEMFS_SOME, n);
            expect_progress(fs, &progress, n, "failed");
            memfs_free(fs);
        }
    }
}

/* A start may find a name that no sync covers yet; from then on it is relied upon. */
static void what_a_start_has_found_stays(void **state) {
    (void)state;
    uint64_t operations = course_operations();
    for (uint64_t n = 1; n <= operations; n++) {
        struct memfs *fs = memfs_new();
        struct progress progress = {0};
        struct snapshot_info infos[SNAPSHOTS_KEPT] = {{0}};
        memfs_fail(fs, n, MEMFS_POWER_OFF); /* the process is killed */
        (void)course(fs, &progress);
        memfs_kill(fs);
        struct snapshots *snapshots = opened(fs);
        size_t count = snapshots_list(snapshots, infos);
        memfs_fail(fs, 1, MEMFS_POWER_OFF);
        snapshots_close(snapshots);
        memfs_power_on(fs, MEMFS_NONE, n);
        snapshots = opened(fs);
        expect_kept(snapshots, count > 0 ? infos[0].index : 0, count > 1 ? infos[1].index : 0);
        snapshots_close(snapshots);
        memfs_free(fs);
    }
}

/* After a failed sync the cache shows what the disk may not have: nothing later may rest on it. */
static void after_a_failed_sync_no_snapshot_is_made(void **state) {
    (void)state;
    uint64_t operations = course_operations();
    uint64_t met = 0;
    for (uint64_t n = 1; n <= operations; n++) {
        struct memfs *fs = memfs_new();
        struct snapshots *snapshots = opened(fs);
        assert_int_equal(save(snapshots, 10), LASH_OK);
        memfs_fail(fs, n, MEMFS_EIO);
        if (save(snapshots, 20) == LASH_IO && snapshots->dead) {
            met++;
            assert_int_equal(save(snapshots, 30), LASH_IO);
            assert_int_equal(copy(snapshots, 30), LASH_IO);
            expect_kept(snapshots, 10, 0);
        }
        snapshots_close(snapshots);
        memfs_free(fs);
    }
    assert_int_equal(met, 2); /* the file's and the folder's */
}

static void a_full_disk_ends_by_itself(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct snapshots *snapshots = opened(fs);
    assert_int_equal(save(snapshots, 10), LASH_OK);
    memfs_fill(fs, true);
    assert_int_equal(save(snapshots, 20), LASH_FULL);
    assert_int_equal(copy(snapshots, 20), LASH_FULL);
    expect_kept(snapshots, 10, 0);
    assert_int_equal(expect(snapshots, 10), LASH_OK);
    memfs_fill(fs, false);
    assert_int_equal(save(snapshots, 20), LASH_OK);
    expect_kept(snapshots, 20, 10);
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void every_allocation_fails(void **state) {
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct memfs *fs = memfs_new();
        struct snapshots *snapshots = opened(fs);
        uint8_t bytes[FILE_MAX];
        size_t size = file_of(20, bytes);
        struct snapshots *again = NULL;
        assert_int_equal(save(snapshots, 5), LASH_OK);
        mem_fail_after(n);
        int made = save(snapshots, 10);
        int copied = copy_bytes(snapshots, 20, bytes, size);
        int checked = snapshots_check(snapshots, 5);
        int reopened = open_on(fs, &again);
        int read = again ? expect(again, 20) : LASH_NOMEM;
        mem_fail_after(0);
        failed = made || copied || checked == LASH_NOMEM || reopened || read;
        assert_true(made == LASH_OK || made == LASH_NOMEM);
        assert_true(copied == LASH_OK || copied == LASH_NOMEM);
        assert_true(reopened == LASH_OK || reopened == LASH_NOMEM);
        snapshots_close(again);
        if (made == LASH_OK)
            assert_int_equal(expect(snapshots, 10), LASH_OK);
        assert_int_equal(save(snapshots, 30), LASH_OK);
        assert_int_equal(expect(snapshots, 30), LASH_OK);
        snapshots_close(snapshots);
        assert_int_equal(memfs_open_files(fs), 0);
        memfs_free(fs);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(the_two_newest_are_kept),
        cmocka_unit_test(an_older_one_is_not_taken),
        cmocka_unit_test(a_reader_goes_on_when_its_snapshot_is_removed),
        cmocka_unit_test(what_makes_no_snapshot_is_refused),
        cmocka_unit_test(a_copy_is_the_same_file),
        cmocka_unit_test(a_transfer_goes_on_where_it_broke_off),
        cmocka_unit_test(an_unfinished_copy_is_no_snapshot),
        cmocka_unit_test(a_copy_with_any_byte_changed_is_refused),
        cmocka_unit_test(a_copy_of_another_snapshot_is_refused),
        cmocka_unit_test(damage_anywhere_is_found),
        cmocka_unit_test(no_damaged_data_is_given_out),
        cmocka_unit_test(a_file_that_was_cut_off_is_damaged),
        cmocka_unit_test(chunks_that_changed_places_are_found),
        cmocka_unit_test(a_newer_version_or_another_cluster_is_refused),
        cmocka_unit_test(leftovers_are_removed_and_other_files_left_alone),
        cmocka_unit_test(whenever_the_power_goes_only_whole_snapshots_are_there),
        cmocka_unit_test(whatever_fails_only_whole_snapshots_are_there),
        cmocka_unit_test(what_a_start_has_found_stays),
        cmocka_unit_test(after_a_failed_sync_no_snapshot_is_made),
        cmocka_unit_test(a_full_disk_ends_by_itself),
        cmocka_unit_test(every_allocation_fails),
    };
    return cmocka_run_group_tests_name("snapshots", tests, quiet, NULL);
}
