/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots of real nodes: taken, restored at a start, sent to who was away, damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "lash/metrics.h"

enum { PADDING = 600000 /* several pieces */ };

static void set_up(struct fixture *fixture, size_t count) {
    fixture_set_up(fixture, count);
    fixture_calm(fixture);
    fixture->snapshots = true;
    fixture->options.trailing_bytes = 1;
    fixture->options.segment_bytes = 64 << 10;
    for (size_t i = 0; i < count; i++)
        fixture->nodes[i].machine.padding = PADDING;
}

static struct lash_status status_of(struct fixture *fixture, size_t i) {
    struct lash_status status;
    assert_int_equal(lash_node_status(fixture->nodes[i].node, &status), 0);
    return status;
}

/* Change a byte in the middle of each snapshot in the node's folder, of the newest only, or of all. Returns how many. */
static size_t damage(const struct fixture *fixture, size_t i, bool all) {
    char dir[128], path[512], newest[256] = "";
    snprintf(dir, sizeof dir, "%s/n%zu/snapshots", fixture->dir, i + 1);
    size_t count = 0;
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    struct dirent *entry;
    while ((entry = readdir(folder)))
        if (strncmp(entry->d_name, "snapshot-", 9) == 0 && strcmp(entry->d_name, newest) > 0)
            snprintf(newest, sizeof newest, "%s", entry->d_name);
    rewinddir(folder);
    while ((entry = readdir(folder))) {
        if (strncmp(entry->d_name, "snapshot-", 9) != 0 || (!all && strcmp(entry->d_name, newest) != 0))
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        int file = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(file >= 0);
        assert_int_equal(pwrite(file, "x", 1, PADDING / 2), 1);
        close(file);
        count++;
    }
    closedir(folder);
    return count;
}

/* Two snapshots, with commands before, between and behind. */
static uint64_t two_snapshots(struct fixture *fixture, size_t i, uint64_t count) {
    for (int round = 0; round < 2; round++) {
        fixture_propose_many(fixture->nodes[i].node, 20);
        assert_int_equal(fixture_snapshot(fixture->nodes[i].node, NULL), 0);
    }
    fixture_propose_many(fixture->nodes[i].node, 5);
    return count + 45;
}

static void a_snapshot_is_taken_on_demand_and_the_log_trimmed_to_the_one_before(void **state) {
    (void)state;
    struct fixture fixture;
    lash_index first, second, again;
    set_up(&fixture, 1);
    fixture_open_all(&fixture);
    fixture_settle(fixture.nodes[0].node);
    fixture_propose_many(fixture.nodes[0].node, 10);
    assert_int_equal(fixture_snapshot(fixture.nodes[0].node, &first), 0);
    assert_int_equal(status_of(&fixture, 0).raft.first_index, 1); /* it is the only one */
    fixture_propose_many(fixture.nodes[0].node, 10);
    assert_int_equal(fixture_snapshot(fixture.nodes[0].node, &second), 0);
    assert_int_equal(fixture_snapshot(fixture.nodes[0].node, &again), 0);
    assert_int_equal(second, first + 10);
    assert_int_equal(again, second);
    struct lash_status status = status_of(&fixture, 0);
    assert_int_equal(status.raft.first_index, first + 1);
    assert_int_equal(status.snapshot.index, second);
    assert_true(status.snapshot.bytes > PADDING);
    fixture_tear_down(&fixture);
}

static void what_is_kept_for_peers_that_lag_behind_stays_in_the_log(void **state) {
    (void)state;
    struct fixture fixture;
    uint8_t data[1000] = {1};
    set_up(&fixture, 1);
    fixture.options.trailing_bytes = 100000;
    fixture_open_all(&fixture);
    lash_index last = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 30; i++)
            fixture_propose_surely(fixture.nodes[0].node, data, sizeof data);
        assert_int_equal(fixture_snapshot(fixture.nodes[0].node, &last), 0);
    }
    /* Some sixty entries before the newest, whatever surrounds them in the log, though the one before is closer. */
    lash_index first = status_of(&fixture, 0).raft.first_index;
    assert_in_range(first, last - 75, last - 50);
    fixture_close(&fixture, 0);
    fixture_open(&fixture, 0);
    fixture_agree(&fixture, 90);
    fixture_tear_down(&fixture);
}

static void a_start_restores_the_newest_and_applies_what_follows(void **state) {
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1);
    fixture_open_all(&fixture);
    uint64_t count = two_snapshots(&fixture, 0, 0);
    uint64_t hash = fixture.nodes[0].machine.hash;
    fixture_close(&fixture, 0);
    fixture_open(&fixture, 0);
    fixture_agree(&fixture, count);
    assert_int_equal(fixture.nodes[0].machine.hash, hash);
    assert_int_equal(fixture.nodes[0].machine.restored, 1);
    fixture_tear_down(&fixture);
}

static void a_damaged_newest_falls_back_to_the_one_before(void **state) {
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1);
    fixture_open_all(&fixture);
    uint64_t count = two_snapshots(&fixture, 0, 0);
    uint64_t hash = fixture.nodes[0].machine.hash;
    fixture_close(&fixture, 0);
    assert_int_equal(damage(&fixture, 0, false), 1);
    fixture_open(&fixture, 0);
    fixture_agree(&fixture, count);
    assert_int_equal(fixture.nodes[0].machine.hash, hash);
    assert_int_equal(fixture.nodes[0].machine.restored, 1);
    fixture_tear_down(&fixture);
}

static void snapshots_are_taken_as_the_log_grows(void **state) {
    (void)state;
    struct fixture fixture;
    uint8_t data[1024] = {1};
    set_up(&fixture, 1);
    fixture.options.snapshot_bytes_min = 100 << 10;
    fixture.nodes[0].machine.padding = 0;
    fixture_open_all(&fixture);
    uint64_t count = 0;
    while (status_of(&fixture, 0).raft.first_index == 1) {
        fixture_propose_surely(fixture.nodes[0].node, data, sizeof data);
        assert_true(++count < 1000);
    }
    assert_true(count > 150);
    struct lash_metrics metrics;
    assert_int_equal(lash_node_metrics(fixture.nodes[0].node, &metrics), 0);
    assert_int_equal(metrics.snapshots_taken, 2);
    fixture_tear_down(&fixture);
}

static void applying_goes_on_while_a_snapshot_is_written(void **state) {
    (void)state;
    struct fixture fixture;
    struct fixture_wait wait;
    set_up(&fixture, 1);
    fixture_open_all(&fixture);
    fixture_propose_many(fixture.nodes[0].node, 3);
    fixture_hold_snapshots(&fixture.nodes[0], true);
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    assert_int_equal(lash_node_snapshot(fixture.nodes[0].node, fixture_done, &wait), 0);
    while (status_of(&fixture, 0).snapshot.taking == 0)
        fixture_propose_many(fixture.nodes[0].node, 1);
    fixture_propose_many(fixture.nodes[0].node, 10);
    assert_int_equal(wait.outstanding, 1);
    fixture_hold_snapshots(&fixture.nodes[0], false);
    assert_int_equal(fixture_wait_all(&wait), 1);
    fixture_tear_down(&fixture);
}

static void a_node_closes_while_it_takes_a_snapshot(void **state) {
    (void)state;
    struct fixture fixture;
    struct fixture_wait wait;
    set_up(&fixture, 1);
    fixture_open_all(&fixture);
    fixture_propose_many(fixture.nodes[0].node, 3);
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    assert_int_equal(lash_node_snapshot(fixture.nodes[0].node, fixture_done, &wait), 0);
    fixture_close(&fixture, 0);
    assert_int_equal(wait.outstanding, 0);
    assert_int_equal(wait.succeeded + wait.failed[-LASH_CLOSED], 1);
    assert_int_equal(fixture.nodes[0].machine.views, 0);
    fixture_tear_down(&fixture);
}

static void what_cannot_be_written_stops_nothing(void **state) {
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1);
    fixture_open_all(&fixture);
    fixture_propose_many(fixture.nodes[0].node, 3);
    fixture.nodes[0].machine.snapshot_error = LASH_FULL;
    assert_int_equal(fixture_snapshot(fixture.nodes[0].node, NULL), LASH_FULL);
    fixture_propose_many(fixture.nodes[0].node, 3);
    assert_int_equal(status_of(&fixture, 0).snapshot.index, 0);
    fixture.nodes[0].machine.snapshot_error = 0;
    assert_int_equal(fixture_snapshot(fixture.nodes[0].node, NULL), 0);
    fixture_tear_down(&fixture);
}

static void a_machine_without_snapshots_takes_none_and_one_with_some_of_them_is_refused(void **state) {
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1);
    fixture.snapshots = false;
    fixture_open_all(&fixture);
    assert_int_equal(lash_node_snapshot(fixture.nodes[0].node, fixture_done, NULL), LASH_INVALID);
    fixture_tear_down(&fixture);
}

/* ---- Several --------------------------------------------------------------------------------------- */

/* Close a follower, and let the others' logs go on without what it lacks. Returns its position. */
static size_t leave_behind(struct fixture *fixture, uint64_t *count) {
    size_t leader = fixture_leader(fixture);
    size_t away = (leader + 1) % fixture->count;
    fixture_propose_many(fixture->nodes[leader].node, 10);
    fixture_close(fixture, away);
    *count = 10;
    for (size_t i = 0; i < fixture->count; i++)
        if (i != away)
            *count = two_snapshots(fixture, i, *count);
    return away;
}

static void who_was_away_gets_a_snapshot(void **state) {
    (void)state;
    struct fixture fixture;
    uint64_t count;
    set_up(&fixture, 3);
    fixture_open_all(&fixture);
    size_t away = leave_behind(&fixture, &count);
    fixture_open(&fixture, away);
    fixture_agree(&fixture, count);
    assert_int_equal(fixture.nodes[away].machine.restored, 1);
    assert_true(status_of(&fixture, away).raft.first_index > 40);
    fixture_propose_many(fixture.nodes[away].node, 10);
    fixture_agree(&fixture, count + 10);
    /* Its log and its snapshot are as good as the others'. */
    fixture_close(&fixture, away);
    fixture_open(&fixture, away);
    fixture_agree(&fixture, count + 10);
    fixture_tear_down(&fixture);
}

static void a_peer_gives_another_for_the_only_snapshot_when_that_is_damaged(void **state) {
    (void)state;
    struct fixture fixture;
    uint64_t count;
    set_up(&fixture, 3);
    fixture_open_all(&fixture);
    size_t away = leave_behind(&fixture, &count);
    fixture_open(&fixture, away);
    fixture_agree(&fixture, count);
    fixture_close(&fixture, away);
    assert_int_equal(damage(&fixture, away, true), 1);
    fixture_open(&fixture, away);
    fixture_agree(&fixture, count);
    assert_int_equal(fixture.nodes[away].machine.restored, 1);
    fixture_tear_down(&fixture);
}

static void a_slow_stream_delays_nothing(void **state) {
    (void)state;
    struct fixture fixture;
    uint64_t count;
    set_up(&fixture, 3);
    fixture.options.snapshot_rate = 1 << 20;
    fixture_open_all(&fixture);
    size_t away = leave_behind(&fixture, &count);
    size_t leader = fixture_leader(&fixture);
    fixture_open(&fixture, away);
    while (status_of(&fixture, leader).snapshot.stream_count == 0)
        fixture_propose_many(fixture.nodes[leader].node, 1);
    struct lash_status status = status_of(&fixture, leader);
    assert_int_equal(status.snapshot.streams[0].peer, away + 1);
    fixture_propose_many(fixture.nodes[leader].node, 10);
    int error;
    while ((error = fixture_read(fixture.nodes[away].node, NULL)) != 0)
        assert_true(error == LASH_NO_LEADER || error == LASH_TIMEOUT);
    assert_int_equal(fixture.nodes[away].machine.restored, 1);
    fixture_tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_is_taken_on_demand_and_the_log_trimmed_to_the_one_before),
        cmocka_unit_test(what_is_kept_for_peers_that_lag_behind_stays_in_the_log),
        cmocka_unit_test(a_start_restores_the_newest_and_applies_what_follows),
        cmocka_unit_test(a_damaged_newest_falls_back_to_the_one_before),
        cmocka_unit_test(snapshots_are_taken_as_the_log_grows),
        cmocka_unit_test(applying_goes_on_while_a_snapshot_is_written),
        cmocka_unit_test(a_node_closes_while_it_takes_a_snapshot),
        cmocka_unit_test(what_cannot_be_written_stops_nothing),
        cmocka_unit_test(a_machine_without_snapshots_takes_none_and_one_with_some_of_them_is_refused),
        cmocka_unit_test(who_was_away_gets_a_snapshot),
        cmocka_unit_test(a_peer_gives_another_for_the_only_snapshot_when_that_is_damaged),
        cmocka_unit_test(a_slow_stream_delays_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
