/* SPDX-License-Identifier: Apache-2.0
 *
 * Log and snapshots put together at a start.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "node/snapshotting.h"
#include "sim/memfs.h"

enum { TERM = 3, DATA_BYTES = 300 };

/* A log with entries 1 to `last` of one term, and what recovery says of it. */
struct stage {
    struct memfs *disk;
    struct log *log;
    struct log_recovered recovered;
    struct snapshots *snapshots;
    struct roster *roster;
    bool gap;
};

static void open_log(struct stage *stage) {
    struct log_options options = {
        .vfs = memfs_vfs(stage->disk), .dir = "log", .segment_bytes = 16384, .cluster_id = 1, .node_id = 1};
    assert_int_equal(log_open(&options, &stage->log, &stage->recovered), 0);
}

static void open_snapshots(struct stage *stage) {
    struct snapshots_options options = {
        .vfs = memfs_vfs(stage->disk), .dir = "snapshots", .cluster_id = 1, .node_id = 1, .chunk_bytes = 64};
    assert_int_equal(snapshots_open(&options, &stage->snapshots), 0);
}

static void set_up(struct stage *stage, lash_index last) {
    memset(stage, 0, sizeof *stage);
    stage->disk = memfs_new();
    open_log(stage);
    log_recovered_free(&stage->recovered);
    struct frame_input inputs[16] = {{0}};
    struct log_item item = {.save_vote = true, .term = TERM, .first = 1};
    assert_int_equal(frame_encode(0, 1, TERM, LASH_ENTRY_COMMAND, inputs, (uint32_t)last, &item.frame), 0);
    assert_int_equal(log_append(stage->log, &item, 1), 0);
    assert_int_equal(log_sync(stage->log), 0);
    buf_unref(item.frame);
    log_close(stage->log);
    open_log(stage);
    open_snapshots(stage);
}

static void tear_down(struct stage *stage) {
    log_recovered_free(&stage->recovered);
    roster_unref(stage->roster);
    snapshots_close(stage->snapshots);
    log_close(stage->log);
    memfs_free(stage->disk);
}

/* A snapshot with a membership whose entry comes right before. */
static void put_snapshot(struct stage *stage, lash_index index, lash_term term) {
    struct lash_node_member members[2] = {{.id = 1, .flags = LASH_MEMBER_VOTER}, {.id = 2, .flags = 0}};
    static const uint8_t data[DATA_BYTES];
    uint8_t bytes[256];
    struct roster *roster;
    assert_int_equal(roster_new(index - 1, members, 2, &roster), 0);
    assert_true(roster_size(roster) <= sizeof bytes);
    roster_encode(roster, bytes);
    struct snapshot_head head = {
        .index = index, .term = term, .configuration = bytes, .configuration_size = roster_size(roster)};
    struct snapshot_writer *writer;
    assert_int_equal(snapshot_begin(stage->snapshots, &head, &writer), 0);
    assert_int_equal(snapshot_write(writer, data, sizeof data), 0);
    assert_int_equal(snapshot_commit(writer), 0);
    roster_unref(roster);
}

static int join(struct stage *stage) {
    return joiner_join(stage->snapshots, stage->log, &stage->recovered, &stage->gap, &stage->roster);
}

static void without_snapshots_nothing_changes(void **state) {
    (void)state;
    struct stage stage;
    set_up(&stage, 5);
    assert_int_equal(join(&stage), 0);
    assert_null(stage.roster);
    assert_false(stage.gap);
    assert_int_equal(stage.recovered.last_index, 5);
    tear_down(&stage);
}

static void a_log_that_holds_the_snapshots_last_entry_stays(void **state) {
    (void)state;
    struct stage stage;
    set_up(&stage, 5);
    put_snapshot(&stage, 3, TERM);
    assert_int_equal(join(&stage), 0);
    assert_int_equal(stage.recovered.first_index, 1);
    assert_int_equal(stage.recovered.last_index, 5);
    assert_int_equal(stage.roster->index, 2);
    assert_int_equal(stage.roster->count, 2);
    tear_down(&stage);
}

static void a_log_that_does_not_goes_on_behind_the_snapshot(void **state) {
    (void)state;
    struct stage stage;
    set_up(&stage, 5);
    put_snapshot(&stage, 9, TERM + 1);
    assert_int_equal(join(&stage), 0);
    assert_int_equal(stage.recovered.first_index, 10);
    assert_int_equal(stage.recovered.last_index, 9);
    assert_int_equal(stage.recovered.prev_term, TERM + 1);
    assert_int_equal(stage.recovered.term, TERM + 1);
    tear_down(&stage);
}

static void another_term_at_that_index_is_another_log(void **state) {
    (void)state;
    struct stage stage;
    set_up(&stage, 5);
    put_snapshot(&stage, 4, TERM + 1);
    assert_int_equal(join(&stage), 0);
    assert_int_equal(stage.recovered.first_index, 5);
    assert_int_equal(stage.recovered.last_index, 4);
    tear_down(&stage);
}

static void rot(struct stage *stage, const char *path) {
    assert_true(memfs_rot(stage->disk, path, 200, 1));
}

static void no_log_is_dropped_for_a_damaged_snapshot(void **state) {
    (void)state;
    struct stage stage;
    set_up(&stage, 5);
    put_snapshot(&stage, 2, TERM);
    put_snapshot(&stage, 9, TERM);
    rot(&stage, "snapshots/snapshot-0000000000000009-0000000000000003");
    assert_int_equal(join(&stage), 0);
    assert_int_equal(stage.recovered.first_index, 1);
    assert_int_equal(stage.recovered.last_index, 5);
    assert_int_equal(stage.roster->index, 1); /* that of the one before */
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    assert_int_equal(snapshots_list(stage.snapshots, infos), 1);
    assert_int_equal(infos[0].index, 2);
    tear_down(&stage);
}

static void a_log_that_begins_behind_what_is_there_has_a_gap(void **state) {
    (void)state;
    struct stage stage;
    set_up(&stage, 5);
    put_snapshot(&stage, 2, TERM);
    assert_int_equal(log_install(stage.log, 8, TERM, &stage.recovered), 0);
    assert_int_equal(join(&stage), 0);
    assert_true(stage.gap);
    assert_null(stage.roster);
    assert_int_equal(stage.recovered.first_index, 9);
    tear_down(&stage);
}

static void a_snapshot_that_contradicts_what_was_committed_is_refused(void **state) {
    (void)state;
    struct stage stage;
    set_up(&stage, 5);
    assert_int_equal(log_install(stage.log, 8, TERM, &stage.recovered), 0);
    put_snapshot(&stage, 8, TERM + 1);
    assert_int_equal(join(&stage), LASH_MISMATCH);
    tear_down(&stage);
}

/* A membership in the log, of an entry with this index. */
static void append_membership(struct stage *stage, lash_index index) {
    struct lash_node_member member = {.id = 1, .flags = LASH_MEMBER_VOTER};
    uint8_t bytes[256];
    struct roster *roster;
    assert_int_equal(roster_new(index, &member, 1, &roster), 0);
    roster_encode(roster, bytes);
    struct frame_input input = {.data = bytes, .size = roster_size(roster)};
    struct log_item item = {.first = index};
    assert_int_equal(frame_encode(0, index, TERM, LASH_ENTRY_CONFIGURATION, &input, 1, &item.frame), 0);
    assert_int_equal(log_append(stage->log, &item, 1), 0);
    assert_int_equal(log_sync(stage->log), 0);
    buf_unref(item.frame);
    roster_unref(roster);
}

static lash_index newest_of(struct stage *stage) {
    struct roster *roster = joiner_newest_roster(stage->log, stage->snapshots);
    lash_index index = roster ? roster->index : 0;
    roster_unref(roster);
    return index;
}

static void the_newest_membership_is_the_logs_or_a_snapshots(void **state) {
    (void)state;
    struct stage stage;
    set_up(&stage, 5);
    assert_null(joiner_newest_roster(stage.log, NULL));
    assert_int_equal(newest_of(&stage), 0);
    append_membership(&stage, 6);
    assert_int_equal(newest_of(&stage), 6);
    put_snapshot(&stage, 4, TERM); /* with one of entry 3 */
    assert_int_equal(newest_of(&stage), 6);
    put_snapshot(&stage, 9, TERM);
    assert_int_equal(newest_of(&stage), 8);
    tear_down(&stage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_snapshots_nothing_changes),
        cmocka_unit_test(a_log_that_holds_the_snapshots_last_entry_stays),
        cmocka_unit_test(a_log_that_does_not_goes_on_behind_the_snapshot),
        cmocka_unit_test(another_term_at_that_index_is_another_log),
        cmocka_unit_test(no_log_is_dropped_for_a_damaged_snapshot),
        cmocka_unit_test(a_log_that_begins_behind_what_is_there_has_a_gap),
        cmocka_unit_test(a_snapshot_that_contradicts_what_was_committed_is_refused),
        cmocka_unit_test(the_newest_membership_is_the_logs_or_a_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
