/* SPDX-License-Identifier: Apache-2.0
 *
 * Data directories made and remade while nothing runs on them: what they hold
 * afterwards, and that stopping anywhere leaves the old one, the new one, or one on which
 * no node starts and that can be gone on with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "lash/log.h"
#include "node/offline.h"
#include "sim/memfs.h"

enum { CLUSTER = 0x77, SNAPSHOT = 6, FIRST = 5, LAST = 10, TERM = 4, VOTE = 2, STATE_BYTES = 20000 };

#define DIR "d/member"

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

/* ---- A member of a cluster of three, and a learner ------------------------------------------------- */

static struct roster *roster_of(lash_index index, size_t count) {
    struct lash_node_member members[4] = {{0}};
    char hosts[4][8];
    struct roster *roster;
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(hosts[i], sizeof hosts[i], "h%zu", i + 1);
        members[i] = (struct lash_node_member){.id = i + 1,
                                               .flags = i < 3 ? LASH_MEMBER_VOTER : 0,
                                               .host = hosts[i],
                                               .port = (uint16_t)(2380 + i),
                                               .disk = 100 + i};
    }
    assert_int_equal(roster_new(index, members, count, &roster), 0);
    return roster;
}

static void append(struct log *log, lash_index first, uint32_t count, lash_term term, uint32_t kind, const void *data,
                   size_t size) {
    struct frame_input inputs[8] = {{0}};
    struct buf *frame;
    for (uint32_t i = 0; i < count; i++)
        inputs[i] = (struct frame_input){.origin = 1, .sequence = first + i, .data = data, .size = size};
    assert_int_equal(frame_encode(0, first, term, kind, inputs, count, &frame), 0);
    const struct log_item item = {.frame = frame, .first = first};
    assert_int_equal(log_append(log, &item, 1), 0);
    buf_unref(frame);
}

static uint8_t state_byte(lash_index index, size_t at) {
    return (uint8_t)(index * 7 + at * 13 + at / 1000);
}

static void write_snapshot(struct snapshots *snapshots, lash_index index, lash_term term, const struct roster *roster) {
    uint8_t configuration[4096];
    struct snapshot_writer *writer;
    uint8_t *state = mem_alloc(STATE_BYTES);
    assert_non_null(state);
    for (size_t i = 0; i < STATE_BYTES; i++)
        state[i] = state_byte(index, i);
    roster_encode(roster, configuration);
    const struct snapshot_head head = {index, term, configuration, roster_size(roster), false};
    assert_int_equal(snapshot_begin(snapshots, &head, &writer), 0);
    assert_int_equal(snapshot_write(writer, state, STATE_BYTES), 0);
    assert_int_equal(snapshot_commit(writer), 0);
    mem_free(state);
}

/* What a member of the old cluster has on its disk. */
static struct memfs *old_member(lash_id id) {
    struct memfs *fs = memfs_new();
    struct roster *first = roster_of(0, 3), *second = roster_of(5, 4);
    struct foundation foundation;
    uint8_t encoded[4096];
    assert_int_equal(settings_make_directory(memfs_vfs(fs), DIR), 0);
    const struct foundation_options options = {.vfs = memfs_vfs(fs),
                                               .dir = DIR,
                                               .cluster_id = CLUSTER,
                                               .id = id,
                                               .disk = 99 + id,
                                               .segment_bytes = 8192,
                                               .first = first};
    assert_int_equal(foundation_open(&foundation, &options), 0);
    const struct log_item votes[] = {{.save_vote = true, .term = 1, .vote = 1},
                                     {.save_vote = true, .term = TERM, .vote = VOTE}};
    assert_int_equal(log_append(foundation.log, &votes[0], 1), 0);
    append(foundation.log, 1, 4, 1, LASH_ENTRY_COMMAND, "before", 6);
    roster_encode(second, encoded);
    append(foundation.log, 5, 1, 1, LASH_ENTRY_CONFIGURATION, encoded, roster_size(second));
    append(foundation.log, 6, 5, 2, LASH_ENTRY_COMMAND, "behind", 6);
    assert_int_equal(log_append(foundation.log, &votes[1], 1), 0);
    assert_int_equal(log_sync(foundation.log), 0);
    write_snapshot(foundation.snapshots, FIRST - 1, 1, first);
    write_snapshot(foundation.snapshots, SNAPSHOT, 2, second);
    assert_int_equal(log_trim(foundation.log, FIRST - 1), 0);
    foundation_close(&foundation);
    roster_unref(first);
    roster_unref(second);
    return fs;
}

/* ---- What there is --------------------------------------------------------------------------------- */

static void check_snapshot(struct snapshots *snapshots, lash_index index, size_t members) {
    struct snapshot_reader *reader;
    struct roster *roster;
    size_t got, at = 0;
    static uint8_t state[STATE_BYTES + 1];
    assert_int_equal(snapshot_open(snapshots, index, &reader), 0);
    const struct snapshot_head *head = snapshot_head_of(reader);
    assert_int_equal(roster_decode(head->configuration, head->configuration_size, &roster), 0);
    assert_int_equal(roster->count, members);
    assert_int_equal(snapshot_read(reader, state, sizeof state, &got), 0);
    assert_int_equal(got, STATE_BYTES);
    while (at < got && state[at] == state_byte(index, at))
        at++;
    assert_int_equal(at, got);
    roster_unref(roster);
    snapshot_close(reader);
}

static void check_entries(struct log *log, uint32_t kind_of_change) {
    lash_index next = FIRST;
    struct buf **frames;
    size_t count;
    assert_int_equal(log_read(log, FIRST, LAST, UINT64_MAX, &frames, &count), 0);
    for (size_t i = 0; i < count; i++) {
        struct frame frame;
        struct frame_entry entry;
        size_t offset = 0;
        assert_int_equal(frame_header(frames[i]->data, &frame), 0);
        while (frame_next(frames[i]->data, &frame, &offset, &entry)) {
            if (entry.index < next)
                continue;
            assert_int_equal(entry.index, next++);
            assert_int_equal(frame.kind, entry.index == 5 ? kind_of_change : LASH_ENTRY_COMMAND);
            assert_int_equal(frame.term, entry.index > 5 ? 2 : 1);
            if (entry.index > 5)
                assert_memory_equal(entry.data, "behind", 6);
        }
        buf_unref(frames[i]);
    }
    mem_free(frames);
    assert_int_equal(next, LAST + 1);
}

/* Open what is there as a node would, of the given cluster, and look at all of it. */
static void check_member(struct memfs *fs, lash_id id, uint64_t cluster_id, size_t members, uint32_t kind_of_change) {
    struct log_identity blob;
    struct log *log;
    struct log_recovered recovered;
    struct snapshots *snapshots;
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    assert_int_equal(unfinished_check(memfs_vfs(fs), DIR), 0);
    assert_int_equal(log_identify(memfs_vfs(fs), DIR "/log", &blob), 0);
    assert_true(blob.cluster_id == cluster_id && blob.node_id == id);
    const struct log_options options = {.vfs = memfs_vfs(fs),
                                        .dir = DIR "/log",
                                        .cluster_id = cluster_id,
                                        .node_id = id,
                                        .identity = blob.identity,
                                        .identity_size = blob.identity_size};
    const struct snapshots_options folder = {
        .vfs = memfs_vfs(fs), .dir = DIR "/snapshots", .cluster_id = cluster_id, .node_id = id};
    assert_int_equal(log_open(&options, &log, &recovered), 0);
    assert_int_equal(snapshots_open(&folder, &snapshots), 0);
    assert_int_equal(recovered.first_index, FIRST);
    assert_int_equal(recovered.prev_term, 1);
    assert_int_equal(recovered.last_index, LAST);
    assert_int_equal(recovered.term, TERM);
    assert_int_equal(recovered.vote, VOTE);
    check_entries(log, kind_of_change);
    assert_int_equal(snapshots_list(snapshots, infos), 2);
    assert_int_equal(infos[0].index, SNAPSHOT);
    assert_int_equal(infos[0].term, 2);
    check_snapshot(snapshots, SNAPSHOT, members);
    check_snapshot(snapshots, FIRST - 1, members == 4 ? 3 : members);
    log_close(log);
    log_recovered_free(&recovered);
    snapshots_close(snapshots);
    log_identity_free(&blob);
}

static int recover(struct memfs *fs, struct lash_recovery *recovery, const lash_id *survivors, size_t count) {
    recovery->data_dir = DIR;
    recovery->survivors = survivors;
    recovery->survivor_count = count;
    recovery->segment_bytes = 8192;
    return offline_recover(memfs_vfs(fs), recovery);
}

static void check_recovered(struct memfs *fs, lash_id id, uint64_t cluster_id) {
    struct lash_inspection inspection;
    check_member(fs, id, cluster_id, 2, LASH_ENTRY_NOOP);
    assert_int_equal(offline_inspect(memfs_vfs(fs), DIR, &inspection), 0);
    assert_int_equal(inspection.last_index, LAST);
    assert_int_equal(inspection.last_term, 2);
    assert_int_equal(inspection.term, TERM);
    assert_int_equal(inspection.identity.disk, 99 + id);
    assert_int_equal(inspection.members->count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(inspection.members->members[i].flags, LASH_MEMBER_VOTER);
        assert_int_equal(inspection.members->members[i].port, i ? 2383 : 2380);
        assert_int_equal(inspection.members->members[i].disk, i ? 103 : 100);
    }
    lash_inspection_free(&inspection);
}

/* ---- Recovery -------------------------------------------------------------------------------------- */

static const lash_id survivors[] = {4, 1}; /* a learner that survives gets a vote */

static void survivors_become_one_cluster_with_all_that_they_had(void **state) {
    static struct lash_recovery one, four;
    (void)state;
    struct memfs *first = old_member(1), *fourth = old_member(4);
    check_member(first, 1, CLUSTER, 4, LASH_ENTRY_CONFIGURATION);
    assert_int_equal(recover(first, &one, survivors, 2), 0);
    assert_int_equal(recover(fourth, &four, survivors, 2), 0);
    assert_true(one.cluster_id == four.cluster_id && one.cluster_id != CLUSTER);
    check_recovered(first, 1, one.cluster_id);
    check_recovered(fourth, 4, one.cluster_id);
    assert_non_null(strstr(one.record, "last entry 10 of term 2"));
    assert_non_null(strstr(one.record, "old cluster 77, members:\n  1 voter h1:2380\n  2 voter h2:2381\n"));
    assert_non_null(strstr(one.record, "members:\n  1 voter h1:2380\n  4 voter h4:2383\n"));
    uint64_t size;
    assert_int_equal(memfs_vfs(first)->size(first, one.record_path, &size), 0);
    assert_int_equal(size, strlen(one.record));
    assert_int_equal(memfs_vfs(first)->size(first, DIR "/replaced/log/log-0000000000000001", &size), 0);
    memfs_free(first);
    memfs_free(fourth);
}

static void a_second_recovery_makes_another_cluster(void **state) {
    static struct lash_recovery first, second;
    (void)state;
    const lash_id alone[] = {1};
    struct memfs *fs = old_member(1);
    assert_int_equal(recover(fs, &first, survivors, 2), 0);
    assert_int_equal(recover(fs, &second, alone, 1), 0);
    assert_true(first.cluster_id != second.cluster_id && second.cluster_id != CLUSTER);
    assert_string_not_equal(first.record_path, second.record_path);
    check_member(fs, 1, second.cluster_id, 1, LASH_ENTRY_NOOP);
    memfs_free(fs);
}

static void lists_of_survivors_that_make_no_sense_change_nothing(void **state) {
    static const struct {
        lash_id ids[3];
        size_t count;
    } lists[] = {{{0}, 0}, {{2}, 1}, {{1, 9}, 2}, {{1, 1}, 2}, {{2, 3}, 2}};
    static struct lash_recovery recovery;
    (void)state;
    struct memfs *fs = old_member(1);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        assert_int_equal(recover(fs, &recovery, lists[i].ids, lists[i].count), LASH_INVALID);
    check_member(fs, 1, CLUSTER, 4, LASH_ENTRY_CONFIGURATION);
    assert_int_equal(settings_mark_removed(memfs_vfs(fs), DIR), 0);
    assert_int_equal(recover(fs, &recovery, survivors, 2), LASH_REMOVED);
    memfs_free(fs);
}

static void a_damaged_snapshot_that_the_log_needs_is_no_base(void **state) {
    static struct lash_recovery recovery;
    (void)state;
    struct memfs *fs = old_member(1);
    assert_true(memfs_rot(fs, DIR "/snapshots/snapshot-0000000000000006-0000000000000002", 5000, 1));
    assert_int_equal(recover(fs, &recovery, survivors, 2), 0); /* the one before does */
    memfs_free(fs);
    fs = old_member(1);
    assert_true(memfs_rot(fs, DIR "/snapshots/snapshot-0000000000000006-0000000000000002", 5000, 1));
    assert_true(memfs_rot(fs, DIR "/snapshots/snapshot-0000000000000004-0000000000000001", 5000, 1));
    assert_int_equal(recover(fs, &recovery, survivors, 2), LASH_CORRUPT);
    memfs_free(fs);
}

/* What is there after a stop: the old member, or the new one, or one that no node starts on. Going on makes it the new one. */
static void check_stopped(struct memfs *fs, uint64_t cluster_id) {
    static struct lash_recovery recovery;
    enum unfinished what;
    assert_int_equal(unfinished_read(memfs_vfs(fs), DIR, &what, NULL), 0);
    if (what == UNFINISHED_NOTHING) {
        struct log_identity blob;
        assert_int_equal(log_identify(memfs_vfs(fs), DIR "/log", &blob), 0);
        if (blob.cluster_id == CLUSTER)
            check_member(fs, 1, CLUSTER, 4, LASH_ENTRY_CONFIGURATION);
        else
            check_recovered(fs, 1, cluster_id);
        bool done = blob.cluster_id != CLUSTER;
        log_identity_free(&blob);
        if (done)
            return;
    } else {
        assert_int_equal(unfinished_check(memfs_vfs(fs), DIR), LASH_INVALID);
    }
    assert_int_equal(recover(fs, &recovery, survivors, 2), 0);
    assert_true(recovery.cluster_id == cluster_id);
    assert_non_null(strstr(recovery.record, "last entry 10 of term 2"));
    check_recovered(fs, 1, cluster_id);
}

static void the_power_may_go_at_each_operation(void **state) {
    static struct lash_recovery recovery;
    (void)state;
    struct memfs *base = old_member(1), *fs = memfs_clone(base);
    assert_int_equal(recover(fs, &recovery, survivors, 2), 0);
    uint64_t cluster_id = recovery.cluster_id, operations = memfs_operations(fs);
    memfs_free(fs);
    print_message("%" PRIu64 " operations\n", operations);
    for (uint64_t n = 1; n <= operations; n++) {
        for (int survival = MEMFS_ALL; survival <= MEMFS_GARBAGE; survival++) {
            fs = memfs_clone(base);
            memfs_fail(fs, n, MEMFS_POWER_OFF);
            bool stopped = recover(fs, &recovery, survivors, 2) != 0;
            memfs_power_on(fs, (enum memfs_survival)survival, n);
            if (stopped)
                check_stopped(fs, cluster_id);
            memfs_free(fs);
        }
    }
    memfs_free(base);
}

static void each_operation_may_fail_and_the_process_be_killed(void **state) {
    static struct lash_recovery recovery;
    (void)state;
    struct memfs *base = old_member(1), *fs = memfs_clone(base);
    assert_int_equal(recover(fs, &recovery, survivors, 2), 0);
    uint64_t cluster_id = recovery.cluster_id, operations = memfs_operations(fs);
    memfs_free(fs);
    for (uint64_t n = 1; n <= operations; n++) {
        fs = memfs_clone(base);
        memfs_fail(fs, n, n % 2 ? MEMFS_EIO : MEMFS_ENOSPC);
        bool stopped = recover(fs, &recovery, survivors, 2) != 0;
        memfs_fail(fs, 0, MEMFS_FINE);
        assert_int_equal(memfs_open_files(fs), 0);
        memfs_kill(fs);
        if (stopped)
            check_stopped(fs, cluster_id);
        memfs_free(fs);
    }
    memfs_free(base);
}

static void memory_may_run_out_at_each_allocation(void **state) {
    static struct lash_recovery recovery;
    (void)state;
    struct memfs *base = old_member(1);
    uint64_t cluster_id = 0;
    int rc = LASH_NOMEM;
    struct memfs *whole = memfs_clone(base);
    assert_int_equal(recover(whole, &recovery, survivors, 2), 0);
    cluster_id = recovery.cluster_id;
    memfs_free(whole);
    for (uint64_t n = 1; rc; n++) {
        struct memfs *fs = memfs_clone(base);
        mem_fail_after(n);
        rc = recover(fs, &recovery, survivors, 2);
        mem_fail_after(0);
        assert_int_equal(memfs_open_files(fs), 0);
        if (rc)
            check_stopped(fs, cluster_id);
        memfs_free(fs);
    }
    memfs_free(base);
}

/* ---- Founding -------------------------------------------------------------------------------------- */

static int found_state(void *context, lash_state_fn take, void *to) {
    int error = 0;
    (void)context;
    for (size_t i = 0; i < STATE_BYTES && !error; i += 1000) {
        uint8_t piece[1000];
        for (size_t j = 0; j < sizeof piece; j++)
            piece[j] = state_byte(1, i + j);
        error = take(to, piece, sizeof piece);
    }
    return error;
}

static int found_nothing(void *context, lash_state_fn take, void *to) {
    (void)context;
    (void)take;
    (void)to;
    return LASH_CORRUPT;
}

static int found(struct memfs *fs, lash_id id) {
    struct roster *roster = roster_of(0, 3);
    const struct lash_founding founding = {.data_dir = DIR,
                                           .id = id,
                                           .cluster_id = CLUSTER,
                                           .members = roster->members,
                                           .member_count = roster->count,
                                           .segment_bytes = 8192,
                                           .state = found_state};
    int error = offline_found(memfs_vfs(fs), &founding);
    roster_unref(roster);
    return error;
}

static void check_founded(struct memfs *fs) {
    struct lash_inspection inspection;
    const struct snapshots_options options = {
        .vfs = memfs_vfs(fs), .dir = DIR "/snapshots", .cluster_id = CLUSTER, .node_id = 2};
    struct snapshots *snapshots;
    assert_int_equal(unfinished_check(memfs_vfs(fs), DIR), 0);
    assert_int_equal(offline_inspect(memfs_vfs(fs), DIR, &inspection), 0);
    assert_int_equal(inspection.identity.id, 2);
    assert_true(inspection.identity.disk != 0);
    assert_int_equal(inspection.first_index, 2);
    assert_int_equal(inspection.last_index, 1);
    assert_int_equal(inspection.last_term, 1);
    assert_int_equal(inspection.term, 1);
    assert_int_equal(inspection.snapshot, 1);
    assert_int_equal(inspection.members->count, 3);
    assert_int_equal(inspection.members->members[2].disk, 0);
    lash_inspection_free(&inspection);
    assert_int_equal(snapshots_open(&options, &snapshots), 0);
    check_snapshot(snapshots, 1, 3);
    snapshots_close(snapshots);
}

static void a_founded_member_begins_behind_its_snapshot(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    assert_int_equal(found(fs, 9), LASH_INVALID);
    assert_int_equal(found(fs, 2), 0);
    check_founded(fs);
    assert_int_equal(found(fs, 2), LASH_EXISTS);
    memfs_free(fs);
}

static void a_state_that_cannot_be_had_founds_nothing(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    struct roster *roster = roster_of(0, 3);
    const struct lash_founding founding = {.data_dir = DIR,
                                           .id = 1,
                                           .cluster_id = CLUSTER,
                                           .members = roster->members,
                                           .member_count = roster->count,
                                           .state = found_nothing};
    assert_int_equal(offline_found(memfs_vfs(fs), &founding), LASH_CORRUPT);
    assert_int_equal(unfinished_check(memfs_vfs(fs), DIR), LASH_INVALID);
    assert_int_equal(offline_found(memfs_vfs(fs), &founding), LASH_EXISTS);
    roster_unref(roster);
    memfs_free(fs);
}

/* Wherever the power goes: nothing, all of it, or a directory that says that it is not finished. */
static void no_node_starts_on_half_a_founding(void **state) {
    (void)state;
    struct memfs *fs = memfs_new();
    assert_int_equal(found(fs, 2), 0);
    uint64_t operations = memfs_operations(fs);
    memfs_free(fs);
    for (uint64_t n = 1; n <= operations; n++) {
        for (int survival = MEMFS_ALL; survival <= MEMFS_GARBAGE; survival++) {
            fs = memfs_new();
            memfs_fail(fs, n, MEMFS_POWER_OFF);
            bool stopped = found(fs, 2) != 0;
            memfs_power_on(fs, (enum memfs_survival)survival, n);
            struct log_identity blob = {.identity = NULL};
            enum unfinished what;
            assert_int_equal(unfinished_read(memfs_vfs(fs), DIR, &what, NULL), 0);
            if (what == UNFINISHED_NOTHING && log_identify(memfs_vfs(fs), DIR "/log", &blob) == 0)
                check_founded(fs);
            else
                assert_true(stopped);
            log_identity_free(&blob);
            memfs_free(fs);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survivors_become_one_cluster_with_all_that_they_had),
        cmocka_unit_test(a_second_recovery_makes_another_cluster),
        cmocka_unit_test(lists_of_survivors_that_make_no_sense_change_nothing),
        cmocka_unit_test(a_damaged_snapshot_that_the_log_needs_is_no_base),
        cmocka_unit_test(the_power_may_go_at_each_operation),
        cmocka_unit_test(each_operation_may_fail_and_the_process_be_killed),
        cmocka_unit_test(memory_may_run_out_at_each_allocation),
        cmocka_unit_test(a_founded_member_begins_behind_its_snapshot),
        cmocka_unit_test(a_state_that_cannot_be_had_founds_nothing),
        cmocka_unit_test(no_node_starts_on_half_a_founding),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
