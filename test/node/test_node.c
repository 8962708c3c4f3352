/* SPDX-License-Identifier: Apache-2.0
 *
 * One node through the public header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/metric.h"
#include "fixture.h"

static void a_single_node_applies_what_is_proposed_and_reads_it(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    lash_node *node = fixture.nodes[0].node;
    fixture_propose_many(node, 100);
    assert_int_equal(fixture_applied(&fixture.nodes[0]), 100);
    lash_index index = 0;
    assert_int_equal(fixture_read(node, &index), 0);
    assert_true(index >= 101); /* the term's no-op is an entry too */
    assert_int_equal(fixture_barrier(node), 0);
    struct lash_status status;
    assert_int_equal(lash_node_status(node, &status), 0);
    assert_int_equal(status.error, 0);
    assert_int_equal(status.pending_requests, 0);
    assert_int_equal(status.cluster_id, 42);
    assert_true(status.log_bytes > 0);
    assert_true(status.raft.commit >= 102);
    fixture_tear_down(&fixture);
}

static void the_result_of_a_command_reaches_its_proposer(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    for (uint64_t i = 1; i <= 10; i++) {
        struct fixture_wait wait;
        uint64_t result = 0;
        fixture_wait_init(&wait);
        fixture_wait_add(&wait);
        assert_int_equal(lash_node_propose(fixture.nodes[0].node, NULL, 0, &result, fixture_done, &wait), 0);
        fixture_wait_for(&wait, 0);
        assert_int_equal(result, i);
    }
    fixture_tear_down(&fixture);
}

static void everything_acknowledged_is_applied_again_after_reopening(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    uint64_t hash = 0;
    for (int round = 1; round <= 4; round++) {
        fixture_open(&fixture, 0);
        fixture_propose_many(fixture.nodes[0].node, 50);
        fixture_agree(&fixture, 50 * (uint64_t)round);
        assert_true(fixture.nodes[0].machine.hash != hash);
        hash = fixture.nodes[0].machine.hash;
        fixture_close(&fixture, 0);
    }
    fixture_tear_down(&fixture);
}

static void an_entry_of_an_earlier_life_answers_no_request_of_this_one(void **state) {
    (void)state;
    struct fixture fixture;
    struct fixture_wait wait;
    uint64_t result = 0;
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    fixture_propose_many(fixture.nodes[0].node, 10);
    fixture_close(&fixture, 0);
    fixture_open(&fixture, 0);
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    /* It waits while the ten are applied again. */
    assert_int_equal(lash_node_propose(fixture.nodes[0].node, NULL, 0, &result, fixture_done, &wait), 0);
    fixture_wait_for(&wait, 0);
    assert_int_equal(result, 11);
    fixture_tear_down(&fixture);
}

static void a_state_machine_that_kept_its_state_is_not_given_it_again(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    fixture_propose_many(fixture.nodes[0].node, 20);
    lash_index applied;
    assert_int_equal(fixture_read(fixture.nodes[0].node, &applied), 0);
    fixture_close(&fixture, 0);
    fixture.options.applied = applied;
    fixture_open(&fixture, 0);
    fixture_propose_many(fixture.nodes[0].node, 3);
    assert_int_equal(fixture_applied(&fixture.nodes[0]), 3);
    fixture_close(&fixture, 0);
    fixture.options.applied = applied + 1000;
    assert_int_equal(fixture_try_open(&fixture, 0), LASH_MISMATCH);
    fixture_tear_down(&fixture);
}

static void a_command_beyond_the_limit_is_refused(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture.options.entry_bytes_max = 1000;
    fixture_open(&fixture, 0);
    char data[1001] = {0};
    assert_int_equal(fixture_propose(fixture.nodes[0].node, data, 1001), LASH_TOO_LARGE);
    assert_int_equal(fixture_propose(fixture.nodes[0].node, data, 1000), 0);
    assert_int_equal(fixture_applied(&fixture.nodes[0]), 1);
    fixture_tear_down(&fixture);
}

static void a_command_larger_than_a_segment_is_written_and_read_back(void **state) {
    (void)state;
    enum { SIZE = 5 << 20 };
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    char *data = calloc(1, SIZE);
    assert_non_null(data);
    memset(data, 'x', SIZE);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fixture_propose(fixture.nodes[0].node, data, SIZE), 0);
    fixture_close(&fixture, 0);
    fixture_open(&fixture, 0);
    fixture_agree(&fixture, 3);
    free(data);
    fixture_tear_down(&fixture);
}

static void beyond_the_bound_of_pending_bytes_it_is_busy(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture.options.pending_bytes_max = 20000;
    fixture_open(&fixture, 0);
    lash_node *node = fixture.nodes[0].node;
    assert_int_equal(fixture_barrier(node), 0);
    fixture_block(&fixture.nodes[0], true);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    char data[1000] = {0};
    uint64_t accepted = 0;
    int error;
    do {
        fixture_wait_add(&wait);
        error = lash_node_propose(node, data, sizeof data, NULL, fixture_done, &wait);
        accepted += !error;
    } while (!error && accepted <= 20);
    assert_int_equal(error, LASH_BUSY);
    assert_in_range(accepted, 10, 20);
    assert_int_equal(lash_node_propose(node, data, sizeof data, NULL, fixture_done, &wait), LASH_BUSY);
    fixture_block(&fixture.nodes[0], false);
    fixture_wait_for(&wait, 1);
    assert_int_equal(wait.succeeded, accepted);
    assert_int_equal(fixture_propose(node, data, sizeof data), 0);
    fixture_tear_down(&fixture);
}

static void a_node_that_applies_too_slowly_takes_no_more(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture.options.apply_lag_max = 5;
    fixture_open(&fixture, 0);
    lash_node *node = fixture.nodes[0].node;
    assert_int_equal(fixture_barrier(node), 0);
    struct lash_status status;
    assert_int_equal(lash_node_status(node, &status), 0);
    lash_index before = status.raft.commit;
    fixture_block(&fixture.nodes[0], true);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    uint64_t accepted = 0;
    int error = 0;
    while (accepted < 20) {
        fixture_wait_add(&wait);
        error = lash_node_propose(node, "slow", 4, NULL, fixture_done, &wait);
        if (error)
            break;
        accepted++;
        do
            assert_int_equal(lash_node_status(node, &status), 0);
        while (status.raft.commit < before + accepted);
    }
    assert_int_equal(error, LASH_BACKLOG);
    assert_in_range(accepted, 5, 6); /* the barrier may not have counted as applied yet */
    fixture_block(&fixture.nodes[0], false);
    fixture_wait_for(&wait, 1);
    assert_int_equal(wait.succeeded, accepted);
    assert_int_equal(fixture_propose(node, "again", 5), 0);
    fixture_tear_down(&fixture);
}

static int refuse_to_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    (void)context;
    (void)commands;
    (void)count;
    (void)last;
    return LASH_INVALID;
}

static void a_directory_or_a_port_in_use_is_busy(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    char dir[96];
    struct lash_node_options options = fixture_options(&fixture, 0, dir);
    fixture_open(&fixture, 0);
    struct lash_state_machine machine = {.apply = NULL};
    lash_node *second;
    assert_int_equal(lash_node_open(&options, &machine, &second), LASH_INVALID);
    machine.apply = refuse_to_apply;
    assert_int_equal(lash_node_open(&options, &machine, &second), LASH_BUSY);
    strncat(dir, "-other", sizeof dir - strlen(dir) - 1);
    assert_int_equal(lash_node_open(&options, &machine, &second), LASH_BUSY);
    fixture_propose_many(fixture.nodes[0].node, 1);
    fixture_tear_down(&fixture);
}

static void data_of_another_cluster_or_node_is_a_mismatch(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    fixture_propose_many(fixture.nodes[0].node, 1);
    fixture_close(&fixture, 0);
    fixture.options.cluster_id = 43;
    assert_int_equal(fixture_try_open(&fixture, 0), LASH_MISMATCH);
    fixture.options.cluster_id = 42;
    fixture.peers[0].id = 2;
    assert_int_equal(fixture_try_open(&fixture, 0), LASH_MISMATCH);
    fixture.peers[0].id = 1;
    fixture_open(&fixture, 0);
    fixture_agree(&fixture, 1);
    fixture_tear_down(&fixture);
}

static void a_node_with_data_goes_by_its_log_whatever_peers_are_given(void **state) {
    (void)state;
    struct fixture fixture;
    char dir[96];
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    fixture_propose_many(fixture.nodes[0].node, 1);
    fixture_close(&fixture, 0);
    struct lash_peer others[] = {{.id = 8, .host = "127.0.0.1", .port = 9}, {.id = 9, .host = "127.0.0.1", .port = 9}};
    struct lash_node_options options = fixture_options(&fixture, 0, dir);
    struct fixture_node *node = &fixture.nodes[0];
    for (size_t count = 0; count <= 2; count += 2) {
        node->machine.count = 0;
        node->machine.last = 0;
        struct lash_state_machine machine = fixture_machine_of(&fixture, node);
        options.peers = others;
        options.peer_count = count;
        assert_int_equal(lash_node_open(&options, &machine, &node->node), 0);
        fixture_agree(&fixture, 1 + count / 2);
        struct lash_members *members;
        assert_int_equal(lash_node_members(node->node, &members), 0);
        assert_int_equal(members->count, 1);
        assert_int_equal(members->members[0].id, 1);
        lash_members_free(members);
        fixture_propose_many(node->node, 1);
        fixture_close(&fixture, 0);
    }
    fixture_tear_down(&fixture);
}

/* Damage a byte in the middle of the only log segment that was written to. */
static void damage_log(const struct fixture *fixture) {
    char path[160];
    char dir[96];
    fixture_options(fixture, 0, dir);
    snprintf(path, sizeof path, "%s/log", dir);
    DIR *log = opendir(path);
    assert_non_null(log);
    bool damaged = false;
    struct dirent *entry;
    while ((entry = readdir(log))) {
        char data[4096];
        snprintf(path, sizeof path, "%s/log/%.40s", dir, entry->d_name);
        int file = open(path, O_RDWR);
        if (file < 0)
            continue;
        char *at = NULL;
        if (pread(file, data, sizeof data, 4096) == sizeof data)
            at = memmem(data, sizeof data, "xxxxxxxx", 8); /* a command's; a single one might be a header's */
        if (at) {
            assert_int_equal(pwrite(file, "y", 1, 4096 + (at - data)), 1);
            damaged = true;
        }
        close(file);
    }
    closedir(log);
    assert_true(damaged);
}

static void damaged_bytes_that_were_durable_keep_the_node_from_opening(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    char data[1000];
    memset(data, 'x', sizeof data);
    for (int i = 0; i < 20; i++)
        assert_int_equal(fixture_propose(fixture.nodes[0].node, data, sizeof data), 0);
    fixture_close(&fixture, 0);
    damage_log(&fixture);
    assert_int_equal(fixture_try_open(&fixture, 0), LASH_CORRUPT);
    fixture_tear_down(&fixture);
}

static void a_state_machine_that_fails_stops_the_node_and_says_why(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture_open(&fixture, 0);
    lash_node *node = fixture.nodes[0].node;
    fixture_propose_many(node, 1);
    fixture.nodes[0].machine.fail_with = LASH_VERSION;
    assert_int_equal(fixture_propose(node, "new", 3), LASH_CLOSED);
    struct lash_status status;
    do
        assert_int_equal(lash_node_status(node, &status), 0);
    while (status.error == 0);
    assert_int_equal(status.error, LASH_VERSION);
    assert_int_equal(fixture_propose(node, "old", 3), LASH_CLOSED);
    assert_int_equal(fixture_read(node, NULL), LASH_CLOSED);
    fixture_tear_down(&fixture);
}

static void closing_ends_every_request_exactly_once(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    for (uint64_t round = 0; round < 20; round++) {
        fixture_open(&fixture, 0);
        struct fixture_wait wait;
        fixture_wait_init(&wait);
        enum { COUNT = 300 };
        for (uint64_t i = 0; i < COUNT; i++) {
            fixture_wait_add(&wait);
            int error = i % 3 == 0 ? lash_node_read(fixture.nodes[0].node, fixture_done, &wait)
                                   : lash_node_propose(fixture.nodes[0].node, &i, sizeof i, NULL, fixture_done, &wait);
            assert_int_equal(error, 0);
        }
        fixture_wait_for(&wait, COUNT - round * 10);
        fixture_close(&fixture, 0);
        assert_int_equal(wait.outstanding, 0);
        assert_int_equal(wait.succeeded + wait.failed[-LASH_CLOSED], COUNT);
    }
    fixture_tear_down(&fixture);
}

static void observe_count(void *context, const struct lash_status *status) {
    uint64_t *seen = context;
    seen[status->raft.role]++;
}

static void changes_of_role_are_observed(void **state) {
    (void)state;
    uint64_t seen[4] = {0};
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture.options.observe = observe_count;
    fixture.options.observe_context = seen;
    fixture_open(&fixture, 0);
    fixture_propose_many(fixture.nodes[0].node, 1);
    fixture_close(&fixture, 0);
    assert_int_equal(seen[LASH_LEADER], 1);
    fixture_tear_down(&fixture);
}

struct happenings {
    uint64_t count;
    uint64_t of_kind[16];
    struct lash_observation last;
};

static void happened(void *context, const struct lash_observation *observation) {
    struct happenings *seen = context;
    seen->count++;
    seen->of_kind[observation->kind]++;
    seen->last = *observation;
}

static void what_happens_is_told_and_counted(void **state) {
    enum { COUNT = 20 };
    (void)state;
    struct happenings seen = {0};
    struct lash_metrics metrics;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture.options.happened = happened;
    fixture.options.observe_context = &seen;
    fixture_open(&fixture, 0);
    lash_node *node = fixture.nodes[0].node;
    fixture_propose_many(node, COUNT);
    assert_int_equal(fixture_read(node, NULL), 0);
    assert_int_equal(lash_node_metrics(node, &metrics), 0);
    assert_int_equal(metrics.elections, 1);
    assert_int_equal(metrics.elections_won, 1);
    assert_int_equal(metrics.leader_changes, 1);
    assert_true(metrics.proposals >= COUNT); /* some may have been tried again */
    assert_int_equal(metrics.reads, 1);
    assert_int_equal(metrics.reads_failed, 0);
    assert_true(metrics.log_writes > 0 && metrics.log_writes <= metrics.proposals + 3);
    assert_true(metric_total(&metrics.commit) >= COUNT && metrics.commit.sum_ns > 0);
    assert_true(metric_total(&metrics.apply) >= COUNT && metrics.apply.sum_ns > 0);
    assert_true(metric_total(&metrics.sync) >= metrics.log_writes && metrics.sync.sum_ns > 0);
    assert_int_equal(metrics.peer_count, 0);
    fixture_settle(node);
    fixture_close(&fixture, 0);
    assert_int_equal(seen.of_kind[LASH_OBSERVED_LEADER], 1);
    assert_true(seen.of_kind[LASH_OBSERVED_ROLE] >= 1);
    assert_int_equal(seen.of_kind[LASH_OBSERVED_CONFIGURATION], 1); /* in which the member's disk is written down */
    assert_int_equal(seen.count, seen.of_kind[LASH_OBSERVED_LEADER] + seen.of_kind[LASH_OBSERVED_ROLE] + 1);
    assert_int_equal(seen.last.leader, seen.last.peer);
    fixture_tear_down(&fixture);
}

/* Open, propose, read, close, with the n-th allocation failing, for every n until none does. */
static void every_failed_allocation_is_survived(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture.options.request_timeout_ms = 300;
    uint64_t acknowledged = 0;
    uint64_t refused = 0;
    for (uint64_t n = 1; n <= 150; n++) {
        mem_fail_after(n);
        int error = fixture_try_open(&fixture, 0);
        if (!error) {
            for (uint64_t i = 0; i < 3; i++) {
                error = fixture_propose(fixture.nodes[0].node, &i, sizeof i);
                acknowledged += error == 0;
                refused += error != 0;
            }
            error = fixture_read(fixture.nodes[0].node, NULL);
        }
        mem_fail_after(0);
        refused += error != 0;
        fixture_close(&fixture, 0);
    }
    assert_true(acknowledged > 0 && refused > 0);
    fixture.options.request_timeout_ms = 60000;
    fixture_open(&fixture, 0);
    assert_int_equal(fixture_barrier(fixture.nodes[0].node), 0);
    assert_true(fixture_applied(&fixture.nodes[0]) >= acknowledged);
    fixture_tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_node_applies_what_is_proposed_and_reads_it),
        cmocka_unit_test(the_result_of_a_command_reaches_its_proposer),
        cmocka_unit_test(everything_acknowledged_is_applied_again_after_reopening),
        cmocka_unit_test(an_entry_of_an_earlier_life_answers_no_request_of_this_one),
        cmocka_unit_test(a_state_machine_that_kept_its_state_is_not_given_it_again),
        cmocka_unit_test(a_command_beyond_the_limit_is_refused),
        cmocka_unit_test(a_command_larger_than_a_segment_is_written_and_read_back),
        cmocka_unit_test(beyond_the_bound_of_pending_bytes_it_is_busy),
        cmocka_unit_test(a_node_that_applies_too_slowly_takes_no_more),
        cmocka_unit_test(a_directory_or_a_port_in_use_is_busy),
        cmocka_unit_test(data_of_another_cluster_or_node_is_a_mismatch),
        cmocka_unit_test(a_node_with_data_goes_by_its_log_whatever_peers_are_given),
        cmocka_unit_test(damaged_bytes_that_were_durable_keep_the_node_from_opening),
        cmocka_unit_test(a_state_machine_that_fails_stops_the_node_and_says_why),
        cmocka_unit_test(closing_ends_every_request_exactly_once),
        cmocka_unit_test(changes_of_role_are_observed),
        cmocka_unit_test(what_happens_is_told_and_counted),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
