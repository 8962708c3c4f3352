/* SPDX-License-Identifier: Apache-2.0
 *
 * Many threads at the public functions of three nodes at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

/* A state machine without a lock, for the node says that only one of its functions runs at a time. */
struct quick {
    atomic_bool inside;
    atomic_bool held;  /* snapshot_begin waits while this is set */
    atomic_bool begun; /* it was called */
    uint64_t count;
    uint64_t on_loop; /* times that it was called there */
    uint64_t elsewhere;
};

static void quick_enter(struct quick *quick) {
    char name[16];
    assert_false(atomic_exchange_explicit(&quick->inside, true, memory_order_relaxed));
    assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    if (strcmp(name, "lash-loop") == 0)
        quick->on_loop++;
    else
        quick->elsewhere++;
}

static void quick_leave(struct quick *quick) {
    atomic_store_explicit(&quick->inside, false, memory_order_relaxed);
}

static int quick_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    (void)commands, (void)last;
    struct quick *quick = context;
    quick_enter(quick);
    quick->count += count;
    quick_leave(quick);
    return 0;
}

static int quick_begin(void *context, lash_index index, void **view) {
    (void)index;
    struct quick *quick = context;
    uint64_t *count = malloc(sizeof *count);
    assert_non_null(count);
    quick_enter(quick);
    atomic_store(&quick->begun, true);
    while (atomic_load(&quick->held))
        sched_yield();
    *count = quick->count;
    quick_leave(quick);
    *view = count;
    return 0;
}

static int quick_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    (void)context;
    return lash_snapshot_write(sink, view, sizeof(uint64_t));
}

static void quick_end(void *context, void *view) {
    (void)context;
    free(view);
}

static int quick_restore(void *context, struct lash_snapshot_source *source, lash_index index) {
    (void)context, (void)source, (void)index;
    return LASH_INVALID; /* nobody is away */
}

static struct lash_state_machine quick_machine(struct quick *quick) {
    return (struct lash_state_machine){.context = quick,
                                       .apply = quick_apply,
                                       .snapshot_begin = quick_begin,
                                       .snapshot_write = quick_write,
                                       .snapshot_end = quick_end,
                                       .restore = quick_restore,
                                       .quick = true};
}

/* A lone node with this state machine, which has applied one command. */
static lash_node *quick_open(struct fixture *fixture, struct quick *quick) {
    struct lash_state_machine machine = quick_machine(quick);
    char dir[96];
    fixture_set_up(fixture, 1);
    fixture_calm(fixture);
    struct lash_node_options options = fixture_options(fixture, 0, dir);
    lash_node *node;
    assert_int_equal(lash_node_open(&options, &machine, &node), 0);
    fixture_propose_surely(node, "first", 5);
    return node;
}

static void a_quick_state_machine_is_called_by_one_thread_at_a_time(void **state) {
    (void)state;
    struct fixture fixture;
    struct quick quick = {.count = 0};
    lash_node *node = quick_open(&fixture, &quick);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    uint64_t proposed = 1;
    for (size_t burst = 1; burst <= 4096; burst *= 2) { /* small ones for the loop thread, large ones for the other */
        for (size_t i = 0; i < burst; i++, proposed++) {
            fixture_wait_add(&wait);
            assert_int_equal(lash_node_propose(node, &i, sizeof i, NULL, fixture_done, &wait), 0);
        }
        fixture_wait_add(&wait);
        assert_int_equal(lash_node_snapshot(node, fixture_done, &wait), 0);
        fixture_wait_for(&wait, burst / 2);
    }
    fixture_wait_for(&wait, 0);
    for (size_t i = 0; i < 20; i++, proposed++)
        assert_int_equal(fixture_propose(node, &i, sizeof i), 0);
    lash_node_close(node);
    assert_int_equal(quick.count, proposed);
    assert_true(quick.on_loop > 0);
    assert_true(quick.elsewhere > 0); /* the snapshots at least */
    fixture_tear_down(&fixture);
}

static void what_the_apply_thread_is_at_is_waited_for_by_a_quick_state_machine(void **state) {
    (void)state;
    struct fixture fixture;
    struct quick quick = {.count = 0};
    lash_node *node = quick_open(&fixture, &quick);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    atomic_store(&quick.held, true);
    fixture_wait_add(&wait);
    assert_int_equal(lash_node_snapshot(node, fixture_done, &wait), 0);
    while (!atomic_load(&quick.begun))
        sched_yield();
    fixture_wait_add(&wait);
    assert_int_equal(lash_node_propose(node, "second", 6, NULL, fixture_done, &wait), 0);
    struct lash_status status;
    do { /* until it is committed, with which it would be applied */
        sched_yield();
        assert_int_equal(lash_node_status(node, &status), 0);
    } while (status.raft.commit == status.raft.applied);
    assert_int_equal(quick.count, 1);
    atomic_store(&quick.held, false);
    fixture_wait_for(&wait, 0);
    assert_int_equal(wait.succeeded, 2);
    lash_node_close(node);
    assert_int_equal(quick.count, 2);
    fixture_tear_down(&fixture);
}

/* Clients that propose again from their callbacks until the node refuses them. */
struct relay {
    lash_node *node;
    uint8_t command[1024];
    _Atomic uint64_t acknowledged;
    _Atomic uint64_t unsure;  /* ended with the node, which may have been in time */
    _Atomic uint64_t refused; /* clients that are gone */
};

static void relay_done(void *argument, int error, lash_index index);

static void relay_propose(struct relay *relay) {
    int error = lash_node_propose(relay->node, relay->command, sizeof relay->command, NULL, relay_done, relay);
    if (error)
        assert_int_equal(error, LASH_CLOSED);
    if (error)
        atomic_fetch_add(&relay->refused, 1);
}

static void relay_done(void *argument, int error, lash_index index) {
    struct relay *relay = argument;
    assert_true(index > 0 || error == LASH_CLOSED);
    atomic_fetch_add(error ? &relay->unsure : &relay->acknowledged, 1);
    relay_propose(relay);
}

static void what_many_callbacks_ask_for_is_taken_until_the_node_is_closed(void **state) {
    (void)state;
    enum { CLIENTS = 1000, ROUNDS_TO_SEE = 8 };
    struct fixture fixture;
    struct relay relay = {.acknowledged = 0};
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    fixture_open_all(&fixture);
    size_t leader = fixture_leader(&fixture);
    relay.node = fixture.nodes[leader].node;
    fixture_propose_surely(relay.node, "first", 5);
    for (size_t i = 0; i < CLIENTS; i++) /* whose commands are many times what is told in a row */
        relay_propose(&relay);
    struct lash_status status;
    do {
        sched_yield();
        assert_int_equal(lash_node_status(relay.node, &status), 0);
        assert_int_equal(atomic_load(&relay.refused), 0);
    } while (atomic_load(&relay.acknowledged) < (uint64_t)CLIENTS * ROUNDS_TO_SEE);
    lash_node_close(relay.node);
    fixture.nodes[leader].node = NULL;
    assert_int_equal(relay.refused, CLIENTS);
    assert_true(relay.unsure <= CLIENTS);
    uint64_t applied = fixture_applied(&fixture.nodes[leader]);
    assert_true(applied >= relay.acknowledged + 1 && applied <= relay.acknowledged + relay.unsure + 1);
    fixture_tear_down(&fixture);
}

/* Large commands, the first of which asks for a stale read when it is told. */
struct asking {
    lash_node *node;
    _Atomic size_t told;     /* of which nobody is woken, so that the loop thread waits for no lock */
    long sleeps_at_last_put; /* of the loop thread, when a put was told */
    long sleeps_at_read;
    size_t puts;
};

/* How often this thread has waited for something. */
static long sleeps(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

static void asking_read(void *argument, int error, lash_index index) {
    struct asking *asking = argument;
    (void)index;
    assert_int_equal(error, 0);
    asking->sleeps_at_read = sleeps();
    atomic_fetch_add(&asking->told, 1);
}

static void asking_put(void *argument, int error, lash_index index) {
    struct asking *asking = argument;
    if (asking->puts++ == 0)
        assert_int_equal(lash_node_read_as(asking->node, LASH_READ_STALE, 3600000, asking_read, asking), 0);
    (void)index;
    assert_int_equal(error, 0);
    asking->sleeps_at_last_put = sleeps();
    atomic_fetch_add(&asking->told, 1);
}

static void what_ends_while_others_are_told_is_told_before_the_loop_sleeps(void **state) {
    (void)state;
    enum { PUTS = 16, ROUNDS_OF_PUTS = 30 };
    static const uint8_t command[64 << 10];
    struct fixture fixture;
    struct quick quick = {.count = 0};
    lash_node *node = quick_open(&fixture, &quick);
    for (size_t round = 0; round < ROUNDS_OF_PUTS; round++) {
        struct asking asking = {.node = node};
        for (size_t i = 0; i < PUTS; i++)
            assert_int_equal(lash_node_propose(node, command, sizeof command, NULL, asking_put, &asking), 0);
        while (atomic_load(&asking.told) < PUTS + 1)
            sched_yield();
        /* Where puts come in several batches, the read is told between two, or right behind the last. */
        assert_true(asking.sleeps_at_read <= asking.sleeps_at_last_put);
    }
    lash_node_close(node);
    fixture_tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_propose_and_read_at_all_nodes),
        cmocka_unit_test(a_leader_is_closed_under_load_and_nothing_acknowledged_is_lost),
        cmocka_unit_test(a_quick_state_machine_is_called_by_one_thread_at_a_time),
        cmocka_unit_test(what_the_apply_thread_is_at_is_waited_for_by_a_quick_state_machine),
        cmocka_unit_test(what_many_callbacks_ask_for_is_taken_until_the_node_is_closed),
        cmocka_unit_test(what_ends_while_others_are_told_is_told_before_the_loop_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
