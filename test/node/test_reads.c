/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads of each kind, at three nodes over the loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "fixture.h"
#include "lash/metrics.h"

static int read_as(lash_node *node, enum lash_read_kind kind, uint64_t age_ms_max) {
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    int error = lash_node_read_as(node, kind, age_ms_max, fixture_done, &wait);
    if (error)
        return error;
    fixture_wait_for(&wait, 0);
    for (int i = 0; i < FIXTURE_ERRORS; i++)
        if (wait.failed[i])
            return -i;
    return 0;
}

static void open_three(struct fixture *fixture) {
    fixture_set_up(fixture, 3);
    fixture_calm(fixture);
    fixture_open_all(fixture);
    fixture_leader(fixture);
}

static void a_read_by_lease_at_any_node_sees_what_completed_on_another(void **state) {
    (void)state;
    struct fixture fixture;
    open_three(&fixture);
    bool held = false;
    for (uint64_t i = 0; i < 60; i++) {
        fixture_propose_surely(fixture.nodes[i % 3].node, &i, sizeof i);
        assert_int_equal(read_as(fixture.nodes[(i + 1) % 3].node, LASH_READ_LEASE, 0), 0);
        assert_int_equal(fixture_applied(&fixture.nodes[(i + 1) % 3]), i + 1);
        struct lash_status status;
        assert_int_equal(lash_node_status(fixture.nodes[i % 3].node, &status), 0);
        held = held || status.raft.lease_until_ms != 0;
    }
    assert_true(held);
    struct lash_metrics metrics;
    assert_int_equal(lash_node_metrics(fixture.nodes[0].node, &metrics), 0);
    assert_int_equal(metrics.reads_by_lease, 20);
    assert_int_equal(metrics.reads_failed, 0);
    fixture_tear_down(&fixture);
}

static void a_stale_read_needs_nobody_while_an_answer_is_young_enough(void **state) {
    (void)state;
    struct fixture fixture;
    open_three(&fixture);
    fixture.options.request_timeout_ms = 300;
    fixture_close(&fixture, 0);
    fixture_open(&fixture, 0);
    uint64_t number = 1;
    fixture_propose_surely(fixture.nodes[1].node, &number, sizeof number);
    lash_node *node = fixture.nodes[0].node;
    /* It knows of no answer yet, and gets one. */
    int error = read_as(node, LASH_READ_STALE, 60000);
    while (error == LASH_NO_LEADER || error == LASH_TIMEOUT)
        error = read_as(node, LASH_READ_STALE, 60000);
    assert_int_equal(error, 0);
    assert_int_equal(fixture_applied(&fixture.nodes[0]), 1);
    fixture_close(&fixture, 1);
    fixture_close(&fixture, 2);
    /* Until the answer is surely older than the bound that follows. */
    uint64_t known_ns = uv_hrtime();
    do
        assert_int_equal(read_as(node, LASH_READ_STALE, 60000), 0);
    while (uv_hrtime() - known_ns < 3000000);
    /* Nothing is as young as that, and there is nobody to ask. */
    error = read_as(node, LASH_READ_STALE, 1);
    assert_true(error == LASH_NO_LEADER || error == LASH_TIMEOUT);
    struct lash_metrics metrics;
    assert_int_equal(lash_node_metrics(node, &metrics), 0);
    assert_true(metrics.reads_stale >= 3);
    fixture_tear_down(&fixture);
}

static void an_unknown_kind_is_refused(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 1);
    fixture_open_all(&fixture);
    assert_int_equal(lash_node_read_as(fixture.nodes[0].node, (enum lash_read_kind)3, 0, fixture_done, NULL),
                     LASH_INVALID);
    assert_int_equal(read_as(fixture.nodes[0].node, LASH_READ_LEASE, 0), 0);
    fixture_tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_by_lease_at_any_node_sees_what_completed_on_another),
        cmocka_unit_test(a_stale_read_needs_nobody_while_an_answer_is_young_enough),
        cmocka_unit_test(an_unknown_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
