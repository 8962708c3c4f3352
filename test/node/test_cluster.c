/* SPDX-License-Identifier: Apache-2.0
 *
 * Three nodes in one process, over the loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture.h"

static void what_any_node_takes_is_applied_by_all_in_one_order(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    fixture_open_all(&fixture);
    fixture_leader(&fixture);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    for (uint64_t i = 0; i < 3000; i++) {
        fixture_wait_add(&wait);
        assert_int_equal(lash_node_propose(fixture.nodes[i % 3].node, &i, sizeof i, NULL, fixture_done, &wait), 0);
    }
    fixture_agree(&fixture, fixture_wait_all(&wait));
    assert_true(wait.succeeded > 0);
    fixture_tear_down(&fixture);
}

static void a_read_on_any_node_sees_what_completed_on_another(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    fixture_open_all(&fixture);
    fixture_leader(&fixture);
    for (uint64_t i = 0; i < 60; i++) {
        fixture_propose_surely(fixture.nodes[i % 3].node, &i, sizeof i);
        assert_int_equal(fixture_read(fixture.nodes[(i + 1) % 3].node, NULL), 0);
        assert_int_equal(fixture_applied(&fixture.nodes[(i + 1) % 3]), i + 1);
    }
    fixture_tear_down(&fixture);
}

static void a_command_of_megabytes_is_forwarded_and_replicated(void **state) {
    (void)state;
    enum { SIZE = 3 << 20 };
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    fixture_open_all(&fixture);
    fixture_leader(&fixture);
    char *data = calloc(1, SIZE);
    assert_non_null(data);
    for (size_t i = 0; i < 6; i++)
        fixture_propose_surely(fixture.nodes[i % 3].node, data, SIZE);
    fixture_agree(&fixture, 6);
    free(data);
    fixture_tear_down(&fixture);
}

static void when_the_leader_is_closed_the_others_go_on_and_it_catches_up(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_open_all(&fixture);
    uint64_t count = 0;
    for (int round = 0; round < 4; round++) {
        size_t leader = fixture_leader(&fixture);
        fixture_propose_many(fixture.nodes[leader].node, 20);
        fixture_close(&fixture, leader);
        size_t next = fixture_leader(&fixture);
        assert_true(next != leader);
        fixture_propose_many(fixture.nodes[next].node, 20);
        count += 40;
        fixture_open(&fixture, leader);
        fixture_leader(&fixture);
        fixture_agree(&fixture, count);
    }
    fixture_tear_down(&fixture);
}

static void a_whole_cluster_restarts_with_everything_it_acknowledged(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    for (uint64_t round = 1; round <= 3; round++) {
        fixture_open_all(&fixture);
        size_t leader = fixture_leader(&fixture);
        fixture_propose_many(fixture.nodes[(leader + 1) % 3].node, 50);
        fixture_agree(&fixture, 50 * round);
        for (size_t i = 0; i < 3; i++)
            fixture_close(&fixture, i);
    }
    fixture_tear_down(&fixture);
}

static void a_node_that_starts_empty_handed_late_gets_the_whole_log(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    fixture_open(&fixture, 0);
    fixture_open(&fixture, 1);
    size_t leader = fixture_leader(&fixture);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    char *data = calloc(1, 20000);
    assert_non_null(data);
    for (uint64_t i = 0; i < 2500; i++) {
        fixture_wait_add(&wait);
        assert_int_equal(lash_node_propose(fixture.nodes[leader].node, data, 20000, NULL, fixture_done, &wait), 0);
        fixture_wait_for(&wait, 8);
    }
    uint64_t count = fixture_wait_all(&wait);
    assert_true(count > 0);
    fixture_open(&fixture, 2);
    fixture_leader(&fixture);
    fixture_agree(&fixture, count);
    free(data);
    fixture_tear_down(&fixture);
}

static void without_a_quorum_nothing_succeeds_and_everything_ends(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture.options.request_timeout_ms = 700;
    fixture_open_all(&fixture);
    size_t leader = fixture_leader(&fixture);
    lash_node *node = fixture.nodes[leader].node;
    fixture_close(&fixture, (leader + 1) % 3);
    fixture_close(&fixture, (leader + 2) % 3);
    int error = fixture_propose(node, "x", 1);
    assert_true(error == LASH_TIMEOUT || error == LASH_NO_LEADER);
    assert_int_equal(fixture_propose(node, "y", 1), LASH_NO_LEADER);
    assert_int_equal(fixture_read(node, NULL), LASH_NO_LEADER);
    fixture_open(&fixture, (leader + 1) % 3);
    fixture_leader(&fixture);
    do
        error = fixture_propose(node, "z", 1);
    while (error == LASH_NO_LEADER || error == LASH_DROPPED || error == LASH_TIMEOUT);
    assert_int_equal(error, 0);
    fixture_tear_down(&fixture);
}

static void closing_with_requests_outstanding_ends_each_once(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_open_all(&fixture);
    fixture_leader(&fixture);
    struct fixture_wait waits[3];
    for (size_t i = 0; i < 3; i++)
        fixture_wait_init(&waits[i]);
    for (uint64_t i = 0; i < 3000; i++) {
        fixture_wait_add(&waits[i % 3]);
        int error = i % 7 == 0
                        ? lash_node_read(fixture.nodes[i % 3].node, fixture_done, &waits[i % 3])
                        : lash_node_propose(fixture.nodes[i % 3].node, &i, sizeof i, NULL, fixture_done, &waits[i % 3]);
        assert_int_equal(error, 0);
    }
    for (size_t i = 0; i < 3; i++) {
        fixture_close(&fixture, i);
        assert_int_equal(waits[i].outstanding, 0);
    }
    fixture_tear_down(&fixture);
}

static void another_clusters_node_is_not_let_in(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_open(&fixture, 0);
    fixture_open(&fixture, 1);
    fixture.options.cluster_id = 77;
    fixture_open(&fixture, 2);
    size_t leader = 2;
    while (leader == 2) {
        struct lash_status status;
        if (fixture_barrier(fixture.nodes[0].node) != 0)
            continue;
        assert_int_equal(lash_node_status(fixture.nodes[0].node, &status), 0);
        leader = status.raft.leader == 0 ? 2 : (size_t)status.raft.leader - 1;
    }
    fixture_propose_many(fixture.nodes[leader].node, 10);
    struct lash_status status;
    assert_int_equal(lash_node_status(fixture.nodes[2].node, &status), 0);
    assert_int_equal(status.peers_connected, 0);
    assert_int_equal(status.raft.commit, 0);
    assert_int_equal(fixture_applied(&fixture.nodes[2]), 0);
    fixture_tear_down(&fixture);
}

/* Not a measurement, but a bound that only something badly wrong would miss; the figure is printed. */
static void many_proposals_outstanding_make_large_groups(void **state) {
    (void)state;
    enum { COUNT = 50000, OUTSTANDING = 1024 };
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    fixture.options.segment_bytes = 64 << 20;
    fixture_open_all(&fixture);
    size_t leader = fixture_leader(&fixture);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    char data[128] = {0};
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t i = 0; i < COUNT; i++) {
        fixture_wait_add(&wait);
        assert_int_equal(lash_node_propose(fixture.nodes[leader].node, data, sizeof data, NULL, fixture_done, &wait),
                         0);
        fixture_wait_for(&wait, OUTSTANDING);
    }
    uint64_t count = fixture_wait_all(&wait);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(count > 0);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    print_message("%d proposals of %zu bytes, %d outstanding: %.0f a second\n", COUNT, sizeof data, OUTSTANDING,
                  (double)count / seconds);
    fixture_tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_any_node_takes_is_applied_by_all_in_one_order),
        cmocka_unit_test(a_read_on_any_node_sees_what_completed_on_another),
        cmocka_unit_test(a_command_of_megabytes_is_forwarded_and_replicated),
        cmocka_unit_test(when_the_leader_is_closed_the_others_go_on_and_it_catches_up),
        cmocka_unit_test(a_whole_cluster_restarts_with_everything_it_acknowledged),
        cmocka_unit_test(a_node_that_starts_empty_handed_late_gets_the_whole_log),
        cmocka_unit_test(without_a_quorum_nothing_succeeds_and_everything_ends),
        cmocka_unit_test(closing_with_requests_outstanding_ends_each_once),
        cmocka_unit_test(another_clusters_node_is_not_let_in),
        cmocka_unit_test(many_proposals_outstanding_make_large_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
