/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions on real nodes: many threads, leaders that are closed under load, and
 * every command applied exactly once on every replica (X1).
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
#include "session/machine.h"

enum { CLIENTS = 4, ROUNDS = 200, ROUNDS_MAX = 20000, OUTSTANDING = 8, LOADED = 2, NODES = 5 };

/* What a snapshot holds. */
struct ledger_view {
    uint64_t count;
    uint8_t applied[CLIENTS][ROUNDS_MAX];
};

/* A replica's program: how often it applied each command. */
struct ledger {
    lash_sessions *sessions;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool blocked; /* the next apply waits */
    bool waits;   /* one does */
    uint8_t applied[CLIENTS][ROUNDS_MAX];
    uint64_t count;
    uint64_t restored; /* from snapshots */
    struct ledger_view pinned, read;
};

struct order {
    uint32_t client;
    uint32_t round;
};

struct receipt {
    struct order order;
    uint64_t place; /* among all commands */
};

static int ledger_apply(void *context, const struct lash_command *command, struct lash_reply *reply) {
    struct ledger *ledger = context;
    struct receipt receipt;
    assert_int_equal(command->size, sizeof receipt.order);
    memcpy(&receipt.order, command->data, sizeof receipt.order);
    pthread_mutex_lock(&ledger->mutex);
    ledger->waits = ledger->blocked;
    pthread_cond_broadcast(&ledger->changed);
    while (ledger->blocked)
        pthread_cond_wait(&ledger->changed, &ledger->mutex);
    ledger->waits = false;
    ledger->applied[receipt.order.client][receipt.order.round]++;
    receipt.place = ++ledger->count;
    pthread_mutex_unlock(&ledger->mutex);
    return lash_reply_write(reply, &receipt, sizeof receipt);
}

/* ---- Snapshots ------------------------------------------------------------------------------------------------ */

static int ledger_snapshot_begin(void *context, lash_index index, void **view) {
    struct ledger *ledger = context;
    (void)index;
    ledger->pinned.count = ledger->count;
    memcpy(ledger->pinned.applied, ledger->applied, sizeof ledger->applied);
    *view = &ledger->pinned;
    return 0;
}

static int ledger_snapshot_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    (void)context;
    return lash_snapshot_write(sink, view, sizeof(struct ledger_view));
}

static void ledger_snapshot_end(void *context, void *view) {
    (void)context;
    (void)view;
}

static int ledger_restore(void *context, struct lash_snapshot_source *source, lash_index index,
                          const struct lash_session_row *rows, size_t count) {
    struct ledger *ledger = context;
    struct ledger_view *view = &ledger->read;
    size_t got;
    uint8_t end;
    (void)index;
    assert_null(rows);
    assert_int_equal(count, 0);
    int error = lash_snapshot_read(source, view, sizeof *view, &got);
    if (error)
        return error;
    assert_int_equal(got, sizeof *view);
    error = lash_snapshot_read(source, &end, 1, &got);
    if (error)
        return error;
    assert_int_equal(got, 0);
    pthread_mutex_lock(&ledger->mutex);
    ledger->restored++;
    ledger->count = view->count;
    memcpy(ledger->applied, view->applied, sizeof view->applied);
    pthread_mutex_unlock(&ledger->mutex);
    return 0;
}

static void ledger_block(struct ledger *ledger, bool blocked) {
    pthread_mutex_lock(&ledger->mutex);
    ledger->blocked = blocked;
    pthread_cond_broadcast(&ledger->changed);
    pthread_mutex_unlock(&ledger->mutex);
}

static void ledger_wait_until_blocked(struct ledger *ledger) {
    pthread_mutex_lock(&ledger->mutex);
    while (!ledger->waits)
        pthread_cond_wait(&ledger->changed, &ledger->mutex);
    pthread_mutex_unlock(&ledger->mutex);
}

/* ---- Clusters ------------------------------------------------------------------------------------------------ */

struct cluster {
    struct fixture fixture;
    struct ledger ledgers[FIXTURE_NODES_MAX];
};

static void cluster_open(struct cluster *cluster, size_t i) {
    char dir[96];
    struct ledger *ledger = &cluster->ledgers[i];
    const struct lash_node_options options = fixture_options(&cluster->fixture, i, dir);
    const struct lash_session_machine program = {.context = ledger,
                                                 .apply = ledger_apply,
                                                 .snapshot_begin = ledger_snapshot_begin,
                                                 .snapshot_write = ledger_snapshot_write,
                                                 .snapshot_end = ledger_snapshot_end,
                                                 .restore = ledger_restore};
    memset(ledger->applied, 0, sizeof ledger->applied);
    ledger->count = 0;
    ledger->restored = 0;
    assert_int_equal(lash_sessions_new(&program, &ledger->sessions), 0);
    const struct lash_state_machine machine = lash_sessions_machine(ledger->sessions);
    assert_int_equal(lash_node_open(&options, &machine, &cluster->fixture.nodes[i].node), 0);
}

static void cluster_close(struct cluster *cluster, size_t i) {
    fixture_close(&cluster->fixture, i);
    lash_sessions_free(cluster->ledgers[i].sessions);
    cluster->ledgers[i].sessions = NULL;
}

static void cluster_set_up(struct cluster *cluster, size_t count) {
    fixture_set_up(&cluster->fixture, count);
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_init(&cluster->ledgers[i].mutex, NULL);
        pthread_cond_init(&cluster->ledgers[i].changed, NULL);
        cluster->ledgers[i].blocked = false;
        cluster->ledgers[i].sessions = NULL;
    }
}

static void cluster_tear_down(struct cluster *cluster) {
    for (size_t i = 0; i < cluster->fixture.count; i++) {
        cluster_close(cluster, i);
        pthread_cond_destroy(&cluster->ledgers[i].changed);
        pthread_mutex_destroy(&cluster->ledgers[i].mutex);
    }
    fixture_tear_down(&cluster->fixture);
}

/* ---- Clients --------------------------------------------------------------------------------------------------- */

/* Its commands; `places` are those that it was told. */
struct client {
    lash_session *session;
    uint32_t number;
    struct fixture_wait wait;
    uint32_t rounds; /* asked for */
    uint64_t places[ROUNDS_MAX];
};

/* Every replica has applied each command once; returns how many there are. */
static uint64_t judge(struct cluster *cluster, const struct client *clients) {
    uint64_t sum = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        sum += clients[i].rounds;
    for (size_t i = 0; i < cluster->fixture.count; i++) {
        struct ledger *ledger = &cluster->ledgers[i];
        int error;
        while ((error = fixture_read(cluster->fixture.nodes[i].node, NULL)) != 0)
            assert_true(error == LASH_NO_LEADER || error == LASH_TIMEOUT);
        pthread_mutex_lock(&ledger->mutex);
        assert_int_equal(ledger->count, sum);
        for (size_t client = 0; client < CLIENTS; client++)
            for (size_t round = 0; round < clients[client].rounds; round++)
                assert_int_equal(ledger->applied[client][round], 1);
        pthread_mutex_unlock(&ledger->mutex);
    }
    return sum;
}

struct asked {
    struct client *client;
    struct order order;
};

/* All that was to be closed has been. */
static _Atomic bool felled;

static void client_done(void *argument, int error, const void *reply, size_t size) {
    struct asked *asked = argument;
    struct receipt receipt;
    assert_int_equal(error, 0);
    assert_int_equal(size, sizeof receipt);
    memcpy(&receipt, reply, sizeof receipt);
    assert_memory_equal(&receipt.order, &asked->order, sizeof receipt.order);
    asked->client->places[asked->order.round] = receipt.place;
    fixture_done(&asked->client->wait, 0, receipt.place);
}

static void *client_run(void *argument) {
    struct client *client = argument;
    static struct asked all[CLIENTS][ROUNDS_MAX];
    for (uint32_t round = 0; round < ROUNDS_MAX && (round < ROUNDS || !felled); round++) {
        struct asked *asked = &all[client->number][round];
        *asked = (struct asked){client, {client->number, round}};
        fixture_wait_add(&client->wait);
        int error;
        while ((error = lash_session_propose(client->session, &asked->order, sizeof asked->order, client_done,
                                             asked)) == LASH_BUSY)
            fixture_wait_for(&client->wait, OUTSTANDING / 2);
        assert_int_equal(error, 0);
        client->rounds++;
        fixture_wait_for(&client->wait, OUTSTANDING);
    }
    fixture_wait_for(&client->wait, 0);
    return NULL;
}

/* Hand the office to this one, as far as it will have it, and close it; then let it come back with nothing in memory. */
static void fell(struct cluster *cluster, size_t victim) {
    size_t leader = fixture_leader(&cluster->fixture);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    lash_index index;
    assert_int_equal(fixture_snapshot(cluster->fixture.nodes[0].node, &index), 0);
    assert_int_equal(fixture_snapshot(cluster->fixture.nodes[victim].node, &index), 0);
    assert_int_equal(lash_node_transfer(cluster->fixture.nodes[leader].node, victim + 1, fixture_done, &wait), 0);
    fixture_wait_for(&wait, 0);
    cluster_close(cluster, victim);
    cluster_open(cluster, victim);
}

static void leaders_are_closed_under_load_and_every_command_is_applied_once(void **state) {
    (void)state;
    static struct cluster cluster;
    static struct client clients[CLIENTS];
    const struct lash_session_options options = {.outstanding_max = 2 * OUTSTANDING};
    pthread_t threads[CLIENTS];
    cluster_set_up(&cluster, NODES);
    cluster.fixture.options.request_timeout_ms = 1000;
    cluster.fixture.options.trailing_bytes = 1;
    cluster.fixture.options.segment_bytes = 64 << 10;
    for (size_t i = 0; i < NODES; i++)
        cluster_open(&cluster, i);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.number = i};
        fixture_wait_init(&clients[i].wait);
        assert_int_equal(lash_session_open(cluster.ledgers[i % LOADED].sessions, cluster.fixture.nodes[i % LOADED].node,
                                           &options, &clients[i].session),
                         0);
        assert_int_equal(pthread_create(&threads[i], NULL, client_run, &clients[i]), 0);
    }
    for (size_t victim = LOADED; victim < NODES; victim++)
        fell(&cluster, victim);
    felled = true;
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    uint64_t sum = judge(&cluster, clients);
    for (size_t i = 0; i < CLIENTS; i++)
        lash_session_close(clients[i].session);
    struct lash_sessions_counts counts;
    lash_sessions_count(cluster.ledgers[0].sessions, &counts);
    assert_int_equal(counts.applied, sum);
    cluster_tear_down(&cluster);
}

/* ---- One node ---------------------------------------------------------------------------------------------------- */

static void ask(struct client *client, struct asked *asked, uint32_t round) {
    *asked = (struct asked){client, {client->number, round}};
    fixture_wait_add(&client->wait);
    assert_int_equal(lash_session_propose(client->session, &asked->order, sizeof asked->order, client_done, asked), 0);
}

static struct lash_metrics metrics_of(const struct cluster *cluster) {
    struct lash_metrics metrics;
    assert_int_equal(lash_node_metrics(cluster->fixture.nodes[0].node, &metrics), 0);
    return metrics;
}

/* The state machine is held up by one command. The next one is in the log, waits for so long that its request times out, and is
 * tried again; so it is there twice. */
static void a_command_whose_answer_got_lost_is_answered_the_second_time(void **state) {
    (void)state;
    static struct cluster cluster;
    static struct client client;
    struct asked first, second;
    cluster_set_up(&cluster, 1);
    cluster.fixture.options.request_timeout_ms = 100;
    cluster_open(&cluster, 0);
    client = (struct client){0};
    fixture_wait_init(&client.wait);
    assert_int_equal(
        lash_session_open(cluster.ledgers[0].sessions, cluster.fixture.nodes[0].node, NULL, &client.session), 0);
    ledger_block(&cluster.ledgers[0], true);
    ask(&client, &first, 0);
    ledger_wait_until_blocked(&cluster.ledgers[0]);
    struct lash_metrics before = metrics_of(&cluster), now;
    ask(&client, &second, 1);
    do {
        sched_yield();
        now = metrics_of(&cluster);
    } while (now.proposals_failed == before.proposals_failed || now.proposals < before.proposals + 2);
    ledger_block(&cluster.ledgers[0], false);
    fixture_wait_for(&client.wait, 0);
    assert_int_equal(client.places[0], 1);
    assert_int_equal(client.places[1], 2);
    assert_int_equal(fixture_barrier(cluster.fixture.nodes[0].node), 0);
    struct lash_sessions_counts counts;
    lash_sessions_count(cluster.ledgers[0].sessions, &counts);
    assert_int_equal(counts.applied, 2);
    assert_true(counts.repeated >= 1);
    lash_session_close(client.session);
    lash_sessions_count(cluster.ledgers[0].sessions, &counts);
    assert_int_equal(counts.sessions, 0);
    assert_int_equal(counts.replies, 0);
    cluster_tear_down(&cluster);
}

static void ended(void *argument, int error, const void *reply, size_t size) {
    assert_null(reply);
    assert_int_equal(size, 0);
    fixture_done(argument, error, 0);
}

/* A command of a session, made by hand, and so as often as wanted; its reply is the caller's. */
static struct buf *propose_by_hand(const struct cluster *cluster, const struct session_command *head,
                                   lash_index *index) {
    const struct order order = {0, 7};
    uint8_t bytes[COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE + sizeof order];
    size_t size = command_encode(head, bytes);
    struct fixture_wait wait;
    struct session_result result = {0};
    if (head->kind == COMMAND_APPLY) {
        memcpy(bytes + size, &order, sizeof order);
        size += sizeof order;
    }
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    assert_int_equal(lash_node_propose(cluster->fixture.nodes[0].node, bytes, size, &result, fixture_done, &wait), 0);
    fixture_wait_for(&wait, 0);
    assert_int_equal(wait.succeeded, 1);
    assert_int_equal(result.error, 0);
    *index = wait.index;
    return result.reply;
}

/* S1, X1: a command is applied, a snapshot taken, the process starts anew from it, and the command comes again. */
static void a_node_restored_from_a_snapshot_knows_what_was_applied(void **state) {
    (void)state;
    static struct cluster cluster;
    lash_index session, index;
    cluster_set_up(&cluster, 1);
    cluster_open(&cluster, 0);
    struct session_command head = {.kind = COMMAND_REGISTER, .limits = {60000, 16, 8, 64}};
    assert_null(propose_by_hand(&cluster, &head, &session));
    head = (struct session_command){.kind = COMMAND_APPLY, .session = session, .sequence = 1, .lowest = 1};
    struct buf *first = propose_by_hand(&cluster, &head, &index);
    assert_int_equal(fixture_snapshot(cluster.fixture.nodes[0].node, &index), 0);
    cluster_close(&cluster, 0);
    cluster_open(&cluster, 0);
    struct buf *second = propose_by_hand(&cluster, &head, &index);
    assert_int_equal(cluster.ledgers[0].restored, 1);
    assert_int_equal(cluster.ledgers[0].applied[0][7], 1);
    assert_int_equal(cluster.ledgers[0].count, 1);
    assert_int_equal(first->size, second->size);
    assert_memory_equal(first->data, second->data, first->size);
    buf_unref(first);
    buf_unref(second);
    cluster_tear_down(&cluster);
}

static void without_a_majority_commands_end_and_sessions_can_be_closed(void **state) {
    (void)state;
    static struct cluster cluster;
    struct fixture_wait wait;
    lash_session *sessions[2];
    const struct lash_session_options options = {.retry_ms = 50};
    cluster_set_up(&cluster, 3);
    cluster.fixture.options.request_timeout_ms = 100;
    cluster_open(&cluster, 0);
    fixture_wait_init(&wait);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(lash_session_open(cluster.ledgers[0].sessions, cluster.fixture.nodes[0].node,
                                           i == 0 ? &options : NULL, &sessions[i]),
                         0);
        fixture_wait_add(&wait);
        assert_int_equal(lash_session_propose(sessions[i], "x", 1, ended, &wait), 0);
    }
    fixture_wait_for(&wait, 1);
    assert_int_equal(wait.failed[-LASH_NO_LEADER], 1);
    for (size_t i = 0; i < 2; i++)
        lash_session_close(sessions[i]);
    fixture_wait_for(&wait, 0);
    assert_int_equal(wait.failed[-LASH_CLOSED], 1);
    lash_session_close(NULL);
    cluster_tear_down(&cluster);
}

static void options_out_of_their_bounds_are_refused(void **state) {
    (void)state;
    static struct cluster cluster;
    const struct lash_session_options wrong[] = {{.timeout_ms = (uint64_t)25 * 3600 * 1000},
                                                 {.sessions_max = 65537},
                                                 {.outstanding_max = 1025},
                                                 {.reply_bytes_max = (16 << 20) + 1}};
    lash_session *session;
    cluster_set_up(&cluster, 1);
    cluster_open(&cluster, 0);
    lash_sessions *sessions = cluster.ledgers[0].sessions;
    lash_node *node = cluster.fixture.nodes[0].node;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(lash_session_open(sessions, node, &wrong[i], &session), LASH_INVALID);
    assert_int_equal(lash_session_open(NULL, node, NULL, &session), LASH_INVALID);
    assert_int_equal(lash_session_open(sessions, NULL, NULL, &session), LASH_INVALID);
    assert_int_equal(lash_session_open(sessions, node, NULL, NULL), LASH_INVALID);
    cluster_tear_down(&cluster);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaders_are_closed_under_load_and_every_command_is_applied_once),
        cmocka_unit_test(a_command_whose_answer_got_lost_is_answered_the_second_time),
        cmocka_unit_test(a_node_restored_from_a_snapshot_knows_what_was_applied),
        cmocka_unit_test(without_a_majority_commands_end_and_sessions_can_be_closed),
        cmocka_unit_test(options_out_of_their_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
