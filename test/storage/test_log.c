/* SPDX-License-Identifier: Apache-2.0
 *
 * The log on a healthy disk: what goes in comes out, across reopening, rolling
 * over, truncating, trimming and recycling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/kit.h"
#include "sim/memfs.h"
#include "storage/log_record.h"
#include "storage/log_state.h"

/* One log on one memory disk, and what it should hold. */
struct fixture {
    struct memfs *fs;
    struct log_options options;
    struct log *log;
    struct log_recovered recovered;
    struct kit_state expected;
};

static void reopen(struct fixture *fixture) {
    log_close(fixture->log);
    log_recovered_free(&fixture->recovered);
    fixture->log = NULL;
    assert_int_equal(log_open(&fixture->options, &fixture->log, &fixture->recovered), LASH_OK);
    /* What an earlier use of the file left behind the end is no torn tail either. */
    assert_int_equal(fixture->recovered.torn_bytes, 0);
}

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->fs = memfs_new();
    fixture->options = kit_options(memfs_vfs(fixture->fs), "data/n1");
    fixture->expected.first = 1;
    reopen(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    log_close(fixture->log);
    log_recovered_free(&fixture->recovered);
    int open_files = memfs_open_files(fixture->fs);
    memfs_free(fixture->fs);
    free(fixture);
    return open_files;
}

static void append(struct fixture *fixture, lash_index first, uint32_t count, lash_term term, size_t size) {
    assert_int_equal(kit_append(fixture->log, first, count, term, 0, size), LASH_OK);
    kit_state_append(&fixture->expected, first, count, term, 0);
}

static void vote(struct fixture *fixture, lash_term term, lash_id id) {
    assert_int_equal(kit_vote(fixture->log, term, id), LASH_OK);
    fixture->expected.term = term;
    fixture->expected.vote = id;
}

static void trim(struct fixture *fixture, lash_index index) {
    assert_int_equal(log_trim(fixture->log, index), LASH_OK);
    kit_state_trim(&fixture->expected, index);
}

static void sync_log(struct fixture *fixture) {
    assert_int_equal(log_sync(fixture->log), LASH_OK);
}

static void expect_same(struct fixture *fixture) {
    struct kit_state found;
    assert_int_equal(kit_read(fixture->log, &fixture->recovered, &found), LASH_OK);
    assert_true(kit_equal(&found, &fixture->expected));
}

static bool exists(struct fixture *fixture, const char *path) {
    uint64_t size;
    return memfs_bytes(fixture->fs, path, &size) != NULL;
}

static void a_new_log_is_empty(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(fixture->recovered.term, 0);
    assert_int_equal(fixture->recovered.first_index, 1);
    assert_int_equal(fixture->recovered.last_index, 0);
    assert_int_equal(fixture->recovered.run_count, 0);
    assert_true(exists(fixture, "data/n1/log-0000000000000001"));
    reopen(fixture);
    expect_same(fixture);
    assert_int_equal(fixture->recovered.torn_bytes, 0);
}

static void entries_and_votes_come_back(void **state) {
    struct fixture *fixture = *state;
    vote(fixture, 1, 7);
    append(fixture, 1, 3, 1, 20);
    vote(fixture, 2, 9);
    append(fixture, 4, 1, 2, 8);
    sync_log(fixture);
    reopen(fixture);
    expect_same(fixture);
    assert_int_equal(fixture->recovered.run_count, 2);
    assert_int_equal(fixture->recovered.runs[1].first, 4);
    assert_int_equal(fixture->recovered.runs[1].term, 2);
}

static void many_items_are_one_write_and_one_sync(void **state) {
    struct fixture *fixture = *state;
    struct log_item items[3] = {
        {.save_vote = true, .term = 3, .vote = 1, .frame = kit_frame(1, 2, 3, 0, 16), .first = 1},
        {.frame = kit_frame(3, 2, 3, 0, 16), .first = 3},
        {.frame = kit_frame(5, 1, 3, 0, 16), .first = 5},
    };
    memfs_fail(fixture->fs, 0, MEMFS_FAULTS);
    assert_int_equal(log_append(fixture->log, items, 3), LASH_OK);
    sync_log(fixture);
    assert_int_equal(memfs_operations(fixture->fs), 2);
    for (int i = 0; i < 3; i++)
        buf_unref(items[i].frame);
    fixture->expected.term = 3;
    fixture->expected.vote = 1;
    kit_state_append(&fixture->expected, 1, 5, 3, 0);
    reopen(fixture);
    expect_same(fixture);
    assert_int_equal(fixture->recovered.run_count, 1);
}

static void a_frame_below_the_last_index_replaces_the_suffix(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 1, 1, 16);
    append(fixture, 2, 1, 1, 16);
    append(fixture, 3, 1, 1, 16);
    append(fixture, 2, 1, 2, 16);
    fixture->recovered.last_index = 2;
    struct buf **frames;
    size_t count;
    assert_int_equal(log_read(fixture->log, 1, 2, UINT64_MAX, &frames, &count), LASH_OK);
    assert_int_equal(count, 2);
    buf_unref(frames[0]);
    buf_unref(frames[1]);
    mem_free(frames);
    assert_int_equal(log_read(fixture->log, 3, 3, UINT64_MAX, &frames, &count), LASH_NOT_FOUND);
    reopen(fixture);
    expect_same(fixture);
}

/* Frames are made whole by one leader, so that Raft replaces whole frames; the log is right all the same. */
static void a_frame_replaced_from_its_middle_is_read_without_its_end(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 4, 1, 16);
    append(fixture, 5, 6, 1, 24);
    append(fixture, 8, 2, 2, 16);
    for (int round = 0; round < 2; round++) {
        struct buf **frames;
        size_t count;
        assert_int_equal(log_read(fixture->log, 6, 9, UINT64_MAX, &frames, &count), LASH_OK);
        assert_int_equal(count, 2);
        struct frame frame;
        size_t used;
        assert_int_equal(frame_check(frames[0]->data, frames[0]->size, &frame, &used), LASH_OK);
        assert_int_equal(frame.first, 5);
        assert_int_equal(frame.count, 3);
        assert_int_equal(frame_check(frames[1]->data, frames[1]->size, &frame, &used), LASH_OK);
        assert_int_equal(frame.first, 8);
        assert_int_equal(frame.term, 2);
        buf_unref(frames[0]);
        buf_unref(frames[1]);
        mem_free(frames);
        reopen(fixture);
        expect_same(fixture);
    }
}

static void a_frame_that_begins_with_entries_held_already_counts_from_first(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 4, 1, 16);
    struct log_item item = {.frame = kit_frame(3, 5, 1, 0, 16), .first = 5};
    assert_int_equal(log_append(fixture->log, &item, 1), LASH_OK);
    buf_unref(item.frame);
    kit_state_append(&fixture->expected, 5, 3, 1, 0);
    reopen(fixture);
    expect_same(fixture);
    assert_int_equal(fixture->recovered.last_index, 7);
}

static void what_leaves_a_gap_or_goes_back_is_refused(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 2, 2, 16);
    vote(fixture, 2, 1);
    assert_int_equal(kit_append(fixture->log, 4, 1, 2, 0, 16), LASH_INVALID);
    assert_int_equal(kit_append(fixture->log, 3, 1, 1, 0, 16), LASH_INVALID);
    assert_int_equal(kit_vote(fixture->log, 1, 1), LASH_INVALID);
    assert_int_equal(kit_vote(fixture->log, 2, 3), LASH_INVALID);
    assert_int_equal(log_trim(fixture->log, 3), LASH_INVALID);
    struct log_item items[2] = {{.frame = kit_frame(3, 1, 2, 0, 16), .first = 3},
                                {.frame = kit_frame(5, 1, 2, 0, 16), .first = 5}};
    assert_int_equal(log_append(fixture->log, items, 2), LASH_INVALID);
    buf_unref(items[0].frame);
    buf_unref(items[1].frame);
    reopen(fixture);
    expect_same(fixture);
}

static void segments_roll_over_and_keep_the_chain(void **state) {
    struct fixture *fixture = *state;
    for (lash_index i = 1; i <= 60; i++)
        append(fixture, i, 1, 1 + i / 20, 100 + (size_t)i * 3);
    sync_log(fixture);
    assert_true(exists(fixture, "data/n1/log-0000000000000005"));
    assert_true(log_size(fixture->log) >= 5 * KIT_SEGMENT);
    reopen(fixture);
    expect_same(fixture);
    append(fixture, 61, 1, 4, 50);
    reopen(fixture);
    expect_same(fixture);
}

static void a_record_larger_than_a_segment_gets_one_of_its_own_size(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 1, 1, 100);
    append(fixture, 2, 1, 1, 3 * KIT_SEGMENT);
    append(fixture, 3, 20, 1, 1000);
    append(fixture, 23, 1, 1, 8);
    sync_log(fixture);
    reopen(fixture);
    expect_same(fixture);
}

/* Append entries of one sector each until the segment is used so far that one ahead is wanted. */
static lash_index append_until_half(struct fixture *fixture, lash_index next) {
    for (int i = 0; i < 4; i++, next++)
        append(fixture, next, 1, 1, 300);
    sync_log(fixture);
    return next;
}

static void a_segment_is_set_aside_and_used_when_the_disk_is_full(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    uint64_t before = memfs_used(fixture->fs);
    lash_index next = append_until_half(fixture, 1);
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    assert_int_equal(memfs_used(fixture->fs), before + KIT_SEGMENT);
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    assert_int_equal(memfs_used(fixture->fs), before + KIT_SEGMENT);
    memfs_set_capacity(fixture->fs, memfs_used(fixture->fs));
    next = append_until_half(fixture, next);
    assert_int_equal(log_size(fixture->log), 2 * KIT_SEGMENT);
    /* What is left is used up, and not a byte of the one that does not fit counts. */
    assert_int_equal(log_prepare(fixture->log), LASH_FULL);
    while (kit_append(fixture->log, next, 1, 1, 0, 300) == LASH_OK)
        kit_state_append(&fixture->expected, next++, 1, 1, 0);
    assert_int_equal(kit_append(fixture->log, next, 1, 1, 0, 300), LASH_FULL);
    reopen(fixture);
    expect_same(fixture);
    memfs_set_capacity(fixture->fs, UINT64_MAX);
    assert_int_equal(log_prepare(fixture->log), LASH_OK);
    append_until_half(fixture, next);
    reopen(fixture);
    expect_same(fixture);
}

static void a_segment_set_aside_survives_a_crash_or_is_made_anew(void **state) {
    struct fixture *fixture = *state;
    for (enum memfs_survival survival = MEMFS_ALL; survival <= MEMFS_GARBAGE; survival++) {
        lash_index next = append_until_half(fixture, fixture->expected.last + 1);
        assert_int_equal(log_prepare(fixture->log), LASH_OK);
        memfs_fail(fixture->fs, 1, MEMFS_POWER_OFF);
        log_close(fixture->log);
        fixture->log = NULL;
        memfs_power_on(fixture->fs, survival, 7);
        reopen(fixture);
        expect_same(fixture);
        assert_int_equal(log_prepare(fixture->log), LASH_OK);
        append_until_half(fixture, next);
        reopen(fixture);
        expect_same(fixture);
    }
}

static void trimming_recycles_segments_and_keeps_term_and_vote(void **state) {
    struct fixture *fixture = *state;
    vote(fixture, 5, 2);
    for (lash_index i = 1; i <= 40; i++)
        append(fixture, i, 1, 5, 200);
    uint64_t before = log_size(fixture->log);
    trim(fixture, 30);
    assert_true(log_size(fixture->log) < before);
    assert_false(exists(fixture, "data/n1/log-0000000000000001"));
    reopen(fixture);
    expect_same(fixture);
    struct buf **frames;
    size_t count;
    assert_int_equal(log_read(fixture->log, 30, 31, UINT64_MAX, &frames, &count), LASH_NOT_FOUND);
    assert_int_equal(fixture->recovered.prev_term, 5);
    for (lash_index i = 41; i <= 90; i++) {
        append(fixture, i, 1, 6, 200);
        if (i % 10 == 0)
            trim(fixture, i - 5);
    }
    reopen(fixture);
    expect_same(fixture);
    trim(fixture, 90);
    reopen(fixture);
    expect_same(fixture);
    append(fixture, 91, 2, 6, 10);
    reopen(fixture);
    expect_same(fixture);
}

static void short_reads_while_opening_lose_nothing(void **state) {
    struct fixture *fixture = *state;
    vote(fixture, 1, 7);
    for (lash_index i = 1; i <= 12; i++)
        append(fixture, i, 1, 1, 200);
    append(fixture, 13, 1, 1, 2 * KIT_SEGMENT); /* so that half a read is less than a record */
    sync_log(fixture);
    bool met = true;
    for (uint64_t n = 1; met; n++) {
        log_close(fixture->log);
        log_recovered_free(&fixture->recovered);
        fixture->log = NULL;
        memfs_fail(fixture->fs, n, MEMFS_SHORT);
        assert_int_equal(log_open(&fixture->options, &fixture->log, &fixture->recovered), LASH_OK);
        met = memfs_failed(fixture->fs);
        memfs_fail(fixture->fs, 0, MEMFS_EIO);
        expect_same(fixture);
    }
}

/* Of the frame that held the first entry only trimmed ones are left. */
static void replacing_all_that_trimming_left_of_a_frame_leaves_no_empty_run(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 4, 1, 16);
    trim(fixture, 3);
    append(fixture, 4, 2, 2, 16);
    sync_log(fixture);
    reopen(fixture);
    expect_same(fixture);
    assert_int_equal(fixture->recovered.run_count, 1);
    assert_int_equal(fixture->recovered.runs[0].first, 4);
    assert_int_equal(fixture->recovered.runs[0].count, 2);
}

static void trimming_in_the_middle_of_a_frame_keeps_its_rest(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 10, 1, 16);
    trim(fixture, 4);
    reopen(fixture);
    expect_same(fixture);
    assert_int_equal(fixture->recovered.runs[0].first, 5);
    assert_int_equal(fixture->recovered.runs[0].count, 6);
    assert_int_equal(kit_append(fixture->log, 4, 1, 1, 0, 16), LASH_INVALID);
}

/* For a disk whose first read lets the writer trim and reuse everything meanwhile. */
static struct fixture *to_trim;

static ssize_t pread_while_trimming(void *context, int file, void *data, size_t size, uint64_t offset) {
    struct fixture *fixture = to_trim;
    const struct vfs *below = memfs_vfs(context);
    if (fixture) {
        to_trim = NULL;
        fixture->log->vfs = below;
        trim(fixture, 29);
        for (lash_index i = 31; i <= 120; i++)
            append(fixture, i, 1, 1, 200);
    }
    return below->pread(context, file, data, size, offset);
}

static void a_reader_keeps_its_segment_from_being_recycled(void **state) {
    struct fixture *fixture = *state;
    for (lash_index i = 1; i <= 30; i++)
        append(fixture, i, 1, 1, 200);
    reopen(fixture); /* so that nothing is in the cache */
    struct vfs disk = *memfs_vfs(fixture->fs);
    disk.pread = pread_while_trimming;
    fixture->log->vfs = &disk;
    to_trim = fixture;
    struct buf **frames;
    size_t count;
    assert_int_equal(log_read(fixture->log, 1, 30, UINT64_MAX, &frames, &count), LASH_OK);
    assert_null(to_trim);
    assert_int_equal(count, 30);
    for (size_t i = 0; i < count; i++) {
        struct frame frame;
        size_t used;
        assert_int_equal(frame_check(frames[i]->data, frames[i]->size, &frame, &used), LASH_OK);
        assert_int_equal(frame.first, i + 1);
        buf_unref(frames[i]);
    }
    mem_free(frames);
    assert_int_equal(log_read(fixture->log, 29, 30, UINT64_MAX, &frames, &count), LASH_NOT_FOUND);
    reopen(fixture);
    expect_same(fixture);
}

/* What one thread reads while the writer appends, replaces and trims. */
struct concurrent {
    struct log *log;
    _Atomic bool stop;
    _Atomic lash_index last;
    _Atomic uint64_t reads; /* that found something */
};

static void *read_all_the_time(void *argument) {
    struct concurrent *shared = argument;
    for (uint64_t i = 0; !shared->stop; i++) {
        lash_index at = shared->last > i % 40 ? shared->last - i % 40 : 1;
        struct buf **frames;
        size_t count;
        int rc = log_read(shared->log, at, at, UINT64_MAX, &frames, &count);
        if (rc == LASH_OK) {
            struct frame frame;
            size_t used;
            LASH_ASSERT(count == 1 && frame_check(frames[0]->data, frames[0]->size, &frame, &used) == LASH_OK);
            LASH_ASSERT(frame.first <= at && at < frame.first + frame.count);
            buf_unref(frames[0]);
            mem_free(frames);
            shared->reads++;
        }
        LASH_ASSERT(rc == LASH_OK || rc == LASH_NOT_FOUND);
    }
    return NULL;
}

static void readers_and_the_writer_do_not_disturb_each_other(void **state) {
    struct fixture *fixture = *state;
    char dir[] = "/tmp/lash-test-log-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct log_options options = kit_options(vfs_posix(), dir);
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    struct concurrent shared = {.log = log};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all_the_time, &shared), 0);
    lash_index last = 0;
    while (last < 300 || shared.reads < 200) {
        lash_index first = last % 7 == 6 ? last - 1 : last + 1;
        assert_int_equal(kit_append(log, first, 3, 1 + last / 50, 0, 100), LASH_OK);
        last = first + 2;
        shared.last = last;
        if (last % 10 == 0 && last > 30)
            assert_int_equal(log_trim(log, last - 5 - last / 10 % 3 * 10), LASH_OK);
    }
    shared.stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    log_close(log);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    (void)fixture;
}

static void reading_stops_at_the_bytes_allowed(void **state) {
    struct fixture *fixture = *state;
    for (lash_index i = 1; i <= 10; i++)
        append(fixture, i, 1, 1, 40);
    for (int round = 0; round < 2; round++) {
        struct buf **frames;
        size_t count;
        size_t size = FRAME_HEADER_SIZE + frame_entry_space(40);
        assert_int_equal(log_read(fixture->log, 2, 10, 0, &frames, &count), LASH_OK);
        assert_int_equal(count, 1);
        assert_int_equal(frames[0]->size, size);
        buf_unref(frames[0]);
        mem_free(frames);
        assert_int_equal(log_read(fixture->log, 2, 10, 3 * size, &frames, &count), LASH_OK);
        assert_int_equal(count, 3);
        while (count)
            buf_unref(frames[--count]);
        mem_free(frames);
        reopen(fixture);
    }
}

static void a_mark_is_written_once_and_only_over_synced_records(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 1, 1, 40);
    memfs_fail(fixture->fs, 0, MEMFS_FAULTS);
    assert_int_equal(log_mark(fixture->log), LASH_OK);
    assert_int_equal(memfs_operations(fixture->fs), 0);
    sync_log(fixture);
    assert_int_equal(log_mark(fixture->log), LASH_OK);
    assert_int_equal(memfs_operations(fixture->fs), 2);
    assert_int_equal(log_mark(fixture->log), LASH_OK);
    sync_log(fixture);
    assert_int_equal(log_mark(fixture->log), LASH_OK);
    assert_int_equal(memfs_operations(fixture->fs), 3);
}

static void closing_twice_writes_nothing_new(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 1, 1, 40);
    reopen(fixture);
    memfs_fail(fixture->fs, 0, MEMFS_FAULTS);
    log_close(fixture->log);
    fixture->log = NULL;
    assert_int_equal(memfs_operations(fixture->fs), 0);
}

static void another_ones_log_is_refused(void **state) {
    struct fixture *fixture = *state;
    log_close(fixture->log);
    fixture->log = NULL;
    struct log_options other = fixture->options;
    struct log *log;
    struct log_recovered recovered;
    other.cluster_id++;
    assert_int_equal(log_open(&other, &log, &recovered), LASH_MISMATCH);
    other = fixture->options;
    other.node_id++;
    assert_int_equal(log_open(&other, &log, &recovered), LASH_MISMATCH);
    other = fixture->options;
    other.group++;
    assert_int_equal(log_open(&other, &log, &recovered), LASH_MISMATCH);
    other = fixture->options;
    other.identity = "members of the second day"; /* longer */
    other.identity_size = 25;
    assert_int_equal(log_open(&other, &log, &recovered), LASH_MISMATCH);
    other.identity = "members of another day..";
    other.identity_size = 24;
    assert_int_equal(log_open(&other, &log, &recovered), LASH_MISMATCH);
}

static void whose_log_it_is_can_be_told_while_it_is_open(void **state) {
    struct fixture *fixture = *state;
    struct log_identity found;
    assert_int_equal(log_identify(fixture->options.vfs, "nowhere", &found), LASH_NOT_FOUND);
    for (lash_index i = 1; i <= 40; i++)
        append(fixture, i, 1, 1, 200);
    trim(fixture, 40);
    assert_int_equal(log_identify(fixture->options.vfs, fixture->options.dir, &found), LASH_OK);
    assert_int_equal(found.cluster_id, fixture->options.cluster_id);
    assert_int_equal(found.node_id, fixture->options.node_id);
    assert_int_equal(found.group, fixture->options.group);
    assert_int_equal(found.salt, fixture->options.salt);
    assert_int_equal(found.identity_size, fixture->options.identity_size);
    assert_memory_equal(found.identity, fixture->options.identity, found.identity_size);
    log_identity_free(&found);
}

static void the_identity_survives_trimming(void **state) {
    struct fixture *fixture = *state;
    for (lash_index i = 1; i <= 40; i++)
        append(fixture, i, 1, 1, 200);
    trim(fixture, 40);
    another_ones_log_is_refused(state);
    reopen(fixture);
}

static void a_second_opener_is_turned_away(void **state) {
    struct fixture *fixture = *state;
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(log_open(&fixture->options, &log, &recovered), LASH_BUSY);
}

static void bad_options_are_refused(void **state) {
    struct fixture *fixture = *state;
    struct log *log;
    struct log_recovered recovered;
    struct log_options options = fixture->options;
    options.segment_bytes = 4095;
    assert_int_equal(log_open(&options, &log, &recovered), LASH_INVALID);
    options = fixture->options;
    options.dir = "";
    assert_int_equal(log_open(&options, &log, &recovered), LASH_INVALID);
}

static void a_missing_segment_is_noticed(void **state) {
    struct fixture *fixture = *state;
    for (lash_index i = 1; i <= 60; i++)
        append(fixture, i, 1, 1, 200);
    log_close(fixture->log);
    fixture->log = NULL;
    const struct vfs *vfs = memfs_vfs(fixture->fs);
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(vfs->rename(vfs->context, "data/n1/log-0000000000000002", "data/n1/away"), 0);
    assert_int_equal(log_open(&fixture->options, &log, &recovered), LASH_CORRUPT);
    assert_int_equal(vfs->rename(vfs->context, "data/n1/away", "data/n1/log-0000000000000002"), 0);
    assert_int_equal(vfs->unlink(vfs->context, "data/n1/log-0000000000000001"), 0);
    assert_int_equal(log_open(&fixture->options, &log, &recovered), LASH_CORRUPT);
}

static void recycled_files_without_segments_are_noticed(void **state) {
    struct fixture *fixture = *state;
    log_close(fixture->log);
    fixture->log = NULL;
    const struct vfs *vfs = memfs_vfs(fixture->fs);
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(vfs->rename(vfs->context, "data/n1/log-0000000000000001", "data/n1/free-0000000000000001"), 0);
    assert_int_equal(log_open(&fixture->options, &log, &recovered), LASH_CORRUPT);
}

/* What log_dump prints, the caller's (free). */
static char *dump(struct fixture *fixture, int expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(log_dump(memfs_vfs(fixture->fs), fixture->options.dir, true, out), expected);
    fclose(out);
    return text;
}

static void the_dump_shows_every_record(void **state) {
    struct fixture *fixture = *state;
    vote(fixture, 3, 0xab);
    append(fixture, 1, 2, 3, 16);
    for (lash_index i = 3; i <= 30; i++)
        append(fixture, i, 1, 4, 200);
    trim(fixture, 5);
    sync_log(fixture);
    assert_int_equal(log_mark(fixture->log), LASH_OK);
    char *text = dump(fixture, LASH_OK);
    assert_non_null(strstr(text, "log-0000000000000002 offset=0 "));
    assert_non_null(strstr(text, " first=30 frame=30..30 term=4 kind=command count=1 ok"));
    assert_non_null(strstr(text, " trim first=6 prev_term=4 ok"));
    assert_non_null(strstr(text, " mark ok"));
    assert_non_null(strstr(text, "identity=\"members of the first day\""));
    assert_non_null(strstr(text, "    index=30 origin=d sequence=30 size=200 data=\""));
    assert_non_null(strstr(text, " end\n"));
    free(text);
}

static void the_dump_names_what_is_damaged(void **state) {
    struct fixture *fixture = *state;
    append(fixture, 1, 1, 1, 16);
    append(fixture, 2, 1, 1, 16);
    log_close(fixture->log);
    fixture->log = NULL;
    uint64_t size;
    memfs_bytes(fixture->fs, "data/n1/log-0000000000000001", &size)[RECORD_SECTOR + 200] ^= 1;
    memfs_bytes(fixture->fs, "data/n1/log-0000000000000001", &size)[RECORD_SECTOR + 64] ^= 1;
    char *text = dump(fixture, LASH_CORRUPT);
    assert_non_null(strstr(text, "log-0000000000000001 offset=512 CORRUPT: "));
    free(text);
    fixture->options.dir = "nowhere";
    text = dump(fixture, LASH_NOT_FOUND);
    free(text);
}

static void the_same_on_the_operating_systems_files(void **state) {
    struct fixture *fixture = *state;
    log_close(fixture->log);
    log_recovered_free(&fixture->recovered);
    fixture->log = NULL;
    char dir[] = "/tmp/lash-test-log-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[64];
    snprintf(path, sizeof path, "%s/deep/er", dir);
    fixture->options.vfs = vfs_posix();
    fixture->options.dir = path;
    assert_int_equal(log_open(&fixture->options, &fixture->log, &fixture->recovered), LASH_OK);
    for (lash_index i = 1; i <= 40; i++)
        append(fixture, i, 1, 1, 300);
    trim(fixture, 20);
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(log_open(&fixture->options, &log, &recovered), LASH_BUSY);
    reopen(fixture);
    expect_same(fixture);
    log_close(fixture->log);
    fixture->log = NULL;
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* Such as those of /proc, or of a read-only image at the root. */
static void a_directory_far_above_that_cannot_be_synced_is_no_obstacle(void **state) {
    (void)state;
    char dir[] = "/tmp/lash-test-log-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(vfs_posix()->sync_dir(vfs_posix()->context, "/proc/self"), -EINVAL);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/root%s/log", dir);
    struct log_options options = kit_options(vfs_posix(), path);
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    log_close(log);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        SCENARIO(a_new_log_is_empty),
        SCENARIO(entries_and_votes_come_back),
        SCENARIO(many_items_are_one_write_and_one_sync),
        SCENARIO(a_frame_below_the_last_index_replaces_the_suffix),
        SCENARIO(a_frame_replaced_from_its_middle_is_read_without_its_end),
        SCENARIO(a_frame_that_begins_with_entries_held_already_counts_from_first),
        SCENARIO(what_leaves_a_gap_or_goes_back_is_refused),
        SCENARIO(segments_roll_over_and_keep_the_chain),
        SCENARIO(a_record_larger_than_a_segment_gets_one_of_its_own_size),
        SCENARIO(a_segment_is_set_aside_and_used_when_the_disk_is_full),
        SCENARIO(a_segment_set_aside_survives_a_crash_or_is_made_anew),
        SCENARIO(trimming_recycles_segments_and_keeps_term_and_vote),
        SCENARIO(short_reads_while_opening_lose_nothing),
        SCENARIO(replacing_all_that_trimming_left_of_a_frame_leaves_no_empty_run),
        SCENARIO(trimming_in_the_middle_of_a_frame_keeps_its_rest),
        SCENARIO(a_reader_keeps_its_segment_from_being_recycled),
        SCENARIO(readers_and_the_writer_do_not_disturb_each_other),
        SCENARIO(reading_stops_at_the_bytes_allowed),
        SCENARIO(a_mark_is_written_once_and_only_over_synced_records),
        SCENARIO(closing_twice_writes_nothing_new),
        SCENARIO(another_ones_log_is_refused),
        SCENARIO(the_identity_survives_trimming),
        SCENARIO(whose_log_it_is_can_be_told_while_it_is_open),
        SCENARIO(a_second_opener_is_turned_away),
        SCENARIO(bad_options_are_refused),
        SCENARIO(a_missing_segment_is_noticed),
        SCENARIO(recycled_files_without_segments_are_noticed),
        SCENARIO(the_dump_shows_every_record),
        SCENARIO(the_dump_names_what_is_damaged),
        SCENARIO(the_same_on_the_operating_systems_files),
        SCENARIO(a_directory_far_above_that_cannot_be_synced_is_no_obstacle),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
