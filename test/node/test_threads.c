/* SPDX-License-Identifier: Apache-2.0
 *
 * Many threads at the public functions of three nodes at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

enum { THREADS = 6, ROUNDS = 300, OUTSTANDING = 32 };

struct client {
    struct fixture *fixture;
    size_t number;
    struct fixture_wait proposals;
    struct fixture_wait reads;
};

/* Proposals and reads at all nodes by turns, with some outstanding. */
static void *run_client(void *argument) {
    struct client *client = argument;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        lash_node *node = client->fixture->nodes[(client->number + i) % 3].node;
        uint64_t data[2] = {client->number, i};
        struct lash_status status;
        fixture_wait_add(&client->proposals);
        assert_int_equal(lash_node_propose(node, data, sizeof data, NULL, fixture_done, &client->proposals), 0);
        fixture_wait_add(&client->reads);
        assert_int_equal(lash_node_read(node, fixture_done, &client->reads), 0);
        assert_int_equal(lash_node_status(node, &status), 0);
        fixture_wait_for(&client->proposals, OUTSTANDING);
    }
    fixture_wait_for(&client->reads, 0);
    return NULL;
}

static void many_threads_propose_and_read_at_all_nodes(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    fixture_open_all(&fixture);
    fixture_leader(&fixture);
    struct client clients[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        clients[i] = (struct client){.fixture = &fixture, .number = i};
        fixture_wait_init(&clients[i].proposals);
        fixture_wait_init(&clients[i].reads);
        assert_int_equal(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
    }
    uint64_t count = 0;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(clients[i].reads.succeeded, ROUNDS);
        count += fixture_wait_all(&clients[i].proposals);
    }
    assert_true(count > 0);
    fixture_agree(&fixture, count);
    fixture_tear_down(&fixture);
}

struct survivor {
    lash_node *node;
    uint64_t acknowledged;
    uint64_t unsure; /* proposals of which it is not known whether they were applied */
};

/* One proposal after another at one node, whatever becomes of the leader. */
static void *run_survivor(void *argument) {
    struct survivor *survivor = argument;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        int error = fixture_propose(survivor->node, &i, sizeof i);
        survivor->acknowledged += error == 0;
        survivor->unsure += error != 0 && error != LASH_DROPPED && error != LASH_NO_LEADER;
    }
    return NULL;
}

static void a_leader_is_closed_under_load_and_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_open_all(&fixture);
    size_t leader = fixture_leader(&fixture);
    struct survivor survivors[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        survivors[i] = (struct survivor){.node = fixture.nodes[(leader + 1 + i % 2) % 3].node};
        assert_int_equal(pthread_create(&threads[i], NULL, run_survivor, &survivors[i]), 0);
    }
    assert_int_equal(fixture_barrier(fixture.nodes[leader].node), 0);
    fixture_close(&fixture, leader);
    uint64_t acknowledged = 0;
    uint64_t unsure = 0;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        acknowledged += survivors[i].acknowledged;
        unsure += survivors[i].unsure;
    }
    fixture_open(&fixture, leader);
    size_t now = fixture_leader(&fixture);
    assert_int_equal(fixture_read(fixture.nodes[now].node, NULL), 0);
    uint64_t applied = fixture_applied(&fixture.nodes[now]);
    assert_in_range(applied, acknowledged, acknowledged + unsure);
    fixture_agree(&fixture, applied);
    assert_true(acknowledged > 0);
    fixture_tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_propose_and_read_at_all_nodes),
        cmocka_unit_test(a_leader_is_closed_under_load_and_nothing_acknowledged_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
