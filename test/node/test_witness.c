/* SPDX-License-Identifier: Apache-2.0
 *
 * Real nodes, of which one is a witness: it decides who leads and what is committed, and
 * keeps nothing of what commands hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "lash/metrics.h"

enum { WITNESS = 2 /* the position of the third */ };

/* Open the node at `i`; the first two are a new cluster, the third joins it. */
static void open_at(struct fixture *fixture, size_t i) {
    char dir[96];
    struct lash_node_options options = fixture_options(fixture, i, dir);
    struct fixture_node *node = &fixture->nodes[i];
    struct lash_state_machine machine = fixture_machine_of(fixture, node);
    node->machine.count = 0;
    node->machine.hash = 0;
    node->machine.last = 0;
    options.peer_count = 2;
    options.joining = i == WITNESS;
    assert_int_equal(lash_node_open(&options, &machine, &node->node), 0);
}

static struct lash_node_member witness_of(const struct fixture *fixture) {
    const struct lash_peer *peer = &fixture->peers[WITNESS];
    return (struct lash_node_member){
        .id = peer->id, .flags = LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS, .host = peer->host, .port = peer->port};
}

static struct lash_status status_of(const struct fixture *fixture, size_t i) {
    struct lash_status status;
    assert_int_equal(lash_node_status(fixture->nodes[i].node, &status), 0);
    return status;
}

/* Add the witness: an election, or another change, may be in the way. */
static void add_witness(struct fixture *fixture, size_t at) {
    struct lash_node_member member = witness_of(fixture);
    for (;;) {
        struct fixture_wait wait;
        fixture_wait_init(&wait);
        fixture_wait_add(&wait);
        assert_int_equal(lash_node_add(fixture->nodes[at].node, &member, fixture_done, &wait), 0);
        fixture_wait_for(&wait, 0);
        if (wait.succeeded || wait.failed[-LASH_EXISTS])
            return;
        fixture_propose_many(fixture->nodes[at].node, 1);
    }
}

/* Wait until the witness has passed over what the node at `i` has applied. */
static void await_witness(const struct fixture *fixture, size_t i) {
    lash_index applied = status_of(fixture, i).raft.applied;
    while (status_of(fixture, WITNESS).raft.applied < applied)
        sched_yield();
}

/* Two with a witness, and some commands. */
static void set_up(struct fixture *fixture) {
    fixture_set_up(fixture, 3);
    fixture_calm(fixture);
    fixture->snapshots = true;
    fixture->options.trailing_bytes = 1;
    fixture->options.segment_bytes = 64 << 10;
    open_at(fixture, 0);
    open_at(fixture, 1);
    fixture_settle(fixture->nodes[0].node);
}

static void with_witness(struct fixture *fixture) {
    set_up(fixture);
    open_at(fixture, WITNESS);
    add_witness(fixture, 0);
    fixture_settle(fixture->nodes[0].node);
}

static void either_data_member_goes_on_with_the_witness(void **state) {
    (void)state;
    struct fixture fixture;
    with_witness(&fixture);
    fixture_propose_many(fixture.nodes[0].node, 20);
    uint64_t count = 20;
    for (size_t away = 0; away < 2; away++) {
        size_t left = 1 - away;
        while (fixture_applied(&fixture.nodes[left]) < count)
            sched_yield();
        count = fixture_applied(&fixture.nodes[left]);
        fixture_close(&fixture, away);
        fixture_propose_many(fixture.nodes[left].node, 10);
        count += 10;
        assert_int_equal(fixture_applied(&fixture.nodes[left]), count);
        open_at(&fixture, away);
        fixture_propose_many(fixture.nodes[away].node, 1);
        count++;
        assert_int_equal(fixture_applied(&fixture.nodes[away]), count);
    }
    await_witness(&fixture, 0);
    assert_int_equal(fixture_applied(&fixture.nodes[WITNESS]), 0);
    assert_int_equal(status_of(&fixture, WITNESS).raft.role, LASH_FOLLOWER);
    fixture_tear_down(&fixture);
}

static void a_witness_refuses_what_is_about_data(void **state) {
    (void)state;
    struct fixture fixture;
    with_witness(&fixture);
    fixture_propose_many(fixture.nodes[0].node, 5);
    await_witness(&fixture, 0);
    lash_node *witness = fixture.nodes[WITNESS].node;
    assert_int_equal(fixture_propose(witness, "x", 1), LASH_WITNESS);
    assert_int_equal(fixture_read(witness, NULL), LASH_WITNESS);
    assert_int_equal(fixture_barrier(witness), LASH_WITNESS);
    /* What is about members it takes like any other. */
    struct lash_members *members;
    assert_int_equal(lash_node_members(witness, &members), 0);
    assert_int_equal(members->count, 3);
    assert_int_equal(members->members[2].flags, LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS);
    lash_members_free(members);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    lash_id leader = status_of(&fixture, 0).raft.leader;
    assert_int_equal(lash_node_transfer(fixture.nodes[leader - 1].node, fixture.peers[WITNESS].id, fixture_done, &wait),
                     0);
    fixture_wait_for(&wait, 0);
    assert_int_equal(wait.failed[-LASH_INVALID], 1);
    fixture_tear_down(&fixture);
}

static void a_witness_keeps_next_to_nothing(void **state) {
    (void)state;
    struct fixture fixture;
    uint8_t data[4096] = {1};
    with_witness(&fixture);
    for (int i = 0; i < 100; i++)
        fixture_propose_surely(fixture.nodes[0].node, data, sizeof data);
    await_witness(&fixture, 0);
    struct lash_metrics full;
    struct lash_metrics hollow;
    assert_int_equal(lash_node_metrics(fixture.nodes[0].node, &full), 0);
    assert_int_equal(lash_node_metrics(fixture.nodes[WITNESS].node, &hollow), 0);
    assert_true(full.log_bytes > 100 * sizeof data);
    assert_true(hollow.log_bytes < full.log_bytes / 4); /* an append takes whole sectors, whatever is in it */
    /* Its snapshots say that there were some; it trims its log by them, and starts from them. */
    lash_index index;
    assert_int_equal(fixture_snapshot(fixture.nodes[WITNESS].node, &index), 0);
    fixture_propose_many(fixture.nodes[0].node, 5);
    await_witness(&fixture, 0);
    assert_int_equal(fixture_snapshot(fixture.nodes[WITNESS].node, NULL), 0);
    assert_int_equal(status_of(&fixture, WITNESS).raft.first_index, index + 1);
    assert_true(status_of(&fixture, WITNESS).snapshot.bytes < 1000);
    fixture_close(&fixture, WITNESS);
    open_at(&fixture, WITNESS);
    fixture_close(&fixture, 1);
    fixture_propose_many(fixture.nodes[0].node, 5);
    await_witness(&fixture, 0);
    assert_int_equal(fixture.nodes[WITNESS].machine.restored, 0);
    assert_int_equal(fixture_applied(&fixture.nodes[WITNESS]), 0);
    assert_int_equal(fixture_read(fixture.nodes[WITNESS].node, NULL), LASH_WITNESS);
    fixture_tear_down(&fixture);
}

/* Its log begins behind what the others have trimmed: a snapshot comes, without what makes it large. */
static void a_witness_that_comes_late_gets_a_snapshot_without_data(void **state) {
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    for (size_t i = 0; i < 2; i++)
        fixture.nodes[i].machine.padding = 1 << 20;
    for (int round = 0; round < 2; round++) {
        fixture_propose_many(fixture.nodes[0].node, 20);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(fixture_snapshot(fixture.nodes[i].node, NULL), 0);
    }
    fixture_propose_many(fixture.nodes[0].node, 20);
    open_at(&fixture, WITNESS);
    add_witness(&fixture, 0);
    fixture_settle(fixture.nodes[0].node);
    fixture_propose_many(fixture.nodes[0].node, 1);
    await_witness(&fixture, 0);
    struct lash_metrics metrics;
    assert_int_equal(lash_node_metrics(fixture.nodes[WITNESS].node, &metrics), 0);
    assert_int_equal(metrics.snapshots_installed, 1);
    assert_true(metrics.snapshot_bytes_received < 1000);
    assert_int_equal(fixture.nodes[WITNESS].machine.restored, 0);
    fixture_close(&fixture, 1);
    fixture_propose_many(fixture.nodes[0].node, 5);
    fixture_close(&fixture, WITNESS);
    open_at(&fixture, WITNESS);
    fixture_propose_many(fixture.nodes[0].node, 5);
    assert_int_equal(fixture_read(fixture.nodes[WITNESS].node, NULL), LASH_WITNESS);
    fixture_tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_data_member_goes_on_with_the_witness),
        cmocka_unit_test(a_witness_refuses_what_is_about_data),
        cmocka_unit_test(a_witness_keeps_next_to_nothing),
        cmocka_unit_test(a_witness_that_comes_late_gets_a_snapshot_without_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
