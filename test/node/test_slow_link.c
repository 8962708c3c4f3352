/* SPDX-License-Identifier: Apache-2.0
 *
 * A large entry over slow links: real nodes behind a proxy that lets each connection have so many bytes a second. While
 * the entry takes several election timeouts, the leader stays in office and answers reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

/* Instrumented code takes many times as long for the same bytes. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

enum {
    NODES = 3,
    PIPES_MAX = 64,
    TICK_MS = 5,
    RATE = 2 << 20, /* bytes a second that a connection gets towards the node behind the proxy */
    ENTRY_BYTES = 16 << 20,
    ELECTION_MS = INSTRUMENTED ? 3500 : 2000,
    STALL_MS = ELECTION_MS / 4, /* of this whole process, by which a try is worth nothing */
    TRIES_MAX = 6,
};

static uint64_t now_ms(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- The proxy --------------------------------------------------------------------------------------- */

struct pipe_ends {
    int from; /* who dialled; -1: a free place */
    int to;   /* the node */
};

/* In front of every node a listener of its own. */
struct proxy {
    pthread_t thread;
    atomic_bool stop;
    atomic_uint_fast64_t longest_ms; /* between two of its ticks */
    int listeners[NODES];
    struct sockaddr_in nodes[NODES];
    struct pipe_ends pipes[PIPES_MAX];
};

static void pipe_close(struct pipe_ends *ends) {
    (void)close(ends->from);
    (void)close(ends->to);
    ends->from = -1;
}

/* Move up to `size` bytes, as many as both sides have and take at once. False when the connection has ended. */
static bool pipe_move(int from, int to, size_t size) {
    static uint8_t bytes[1 << 16];
    while (size > 0) {
        size_t part = size < sizeof bytes ? size : sizeof bytes;
        ssize_t got = recv(from, bytes, part, MSG_PEEK | MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got <= 0)
            return false;
        ssize_t put = send(to, bytes, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EAGAIN)
            return true;
        if (put < 0 || recv(from, bytes, (size_t)put, 0) != put)
            return false;
        size -= (size_t)put;
    }
    return true;
}

static void proxy_accept(struct proxy *proxy, size_t node) {
    int from = accept(proxy->listeners[node], NULL, NULL);
    if (from < 0)
        return;
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pipe_ends *place = NULL;
    for (size_t i = 0; i < PIPES_MAX; i++)
        if (proxy->pipes[i].from < 0)
            place = &proxy->pipes[i];
    if (to < 0 || !place || connect(to, (const struct sockaddr *)&proxy->nodes[node], sizeof proxy->nodes[node]) != 0) {
        (void)close(from);
        (void)close(to);
        return;
    }
    *place = (struct pipe_ends){from, to};
}

/* What passes in a tick is bounded by time, not by how often this thread gets to run. */
static void *proxy_run(void *argument) {
    struct proxy *proxy = argument;
    struct pollfd polled[NODES];
    for (size_t i = 0; i < NODES; i++)
        polled[i] = (struct pollfd){.fd = proxy->listeners[i], .events = POLLIN};
    uint64_t last_ms = now_ms();
    while (!atomic_load(&proxy->stop)) {
        (void)poll(polled, NODES, TICK_MS);
        uint64_t tick_ms = now_ms() - last_ms;
        last_ms += tick_ms;
        if (tick_ms > atomic_load(&proxy->longest_ms))
            atomic_store(&proxy->longest_ms, tick_ms);
        for (size_t i = 0; i < NODES; i++)
            proxy_accept(proxy, i);
        for (size_t i = 0; i < PIPES_MAX; i++) {
            struct pipe_ends *ends = &proxy->pipes[i];
            if (ends->from >= 0 && (!pipe_move(ends->from, ends->to, (size_t)RATE * TICK_MS / 1000) ||
                                    !pipe_move(ends->to, ends->from, SIZE_MAX)))
                pipe_close(ends);
        }
    }
    return NULL;
}

/* Nodes listen where `peers` say; after this, `peers` name the proxy. */
static void proxy_start(struct proxy *proxy, struct fixture *fixture) {
    memset(proxy, 0, sizeof *proxy);
    for (size_t i = 0; i < PIPES_MAX; i++)
        proxy->pipes[i].from = -1;
    for (size_t i = 0; i < NODES; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        proxy->nodes[i] = address;
        proxy->nodes[i].sin_port = htons(fixture->peers[i].port);
        socklen_t size = sizeof address;
        proxy->listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(proxy->listeners[i] >= 0);
        assert_int_equal(bind(proxy->listeners[i], (const struct sockaddr *)&address, size), 0);
        assert_int_equal(listen(proxy->listeners[i], 16), 0);
        assert_int_equal(getsockname(proxy->listeners[i], (struct sockaddr *)&address, &size), 0);
        fixture->peers[i].port = ntohs(address.sin_port);
    }
    assert_int_equal(pthread_create(&proxy->thread, NULL, proxy_run, proxy), 0);
}

static void proxy_stop(struct proxy *proxy) {
    atomic_store(&proxy->stop, true);
    assert_int_equal(pthread_join(proxy->thread, NULL), 0);
    for (size_t i = 0; i < PIPES_MAX; i++)
        if (proxy->pipes[i].from >= 0)
            pipe_close(&proxy->pipes[i]);
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(close(proxy->listeners[i]), 0);
}

/* ---- The test ---------------------------------------------------------------------------------------- */

static void open_all(struct fixture *fixture, const struct proxy *proxy) {
    for (size_t i = 0; i < NODES; i++) {
        char dir[96];
        struct lash_node_options options = fixture_options(fixture, i, dir);
        options.listen_port = ntohs(proxy->nodes[i].sin_port);
        struct lash_state_machine machine = fixture_machine_of(fixture, &fixture->nodes[i]);
        assert_int_equal(lash_node_open(&options, &machine, &fixture->nodes[i].node), 0);
    }
}

static uint64_t outstanding(struct fixture_wait *wait) {
    pthread_mutex_lock(&wait->mutex);
    uint64_t count = wait->outstanding;
    pthread_mutex_unlock(&wait->mutex);
    return count;
}

/* What became of one large entry. */
struct attempt {
    uint64_t took_ms;
    uint64_t reads; /* answered meanwhile */
    uint64_t longest_read_ms;
    struct lash_status before;
    struct lash_status after;
    int error;
};

static void attempt(lash_node *leader, struct attempt *made) {
    memset(made, 0, sizeof *made);
    assert_int_equal(lash_node_status(leader, &made->before), 0);
    uint8_t *data = calloc(1, ENTRY_BYTES);
    assert_non_null(data);
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    uint64_t begun_ms = now_ms();
    assert_int_equal(lash_node_propose(leader, data, ENTRY_BYTES, NULL, fixture_done, &wait), 0);
    while (outstanding(&wait) > 0) {
        uint64_t asked_ms = now_ms();
        made->reads += fixture_read(leader, NULL) == 0;
        uint64_t took_ms = now_ms() - asked_ms;
        made->longest_read_ms = took_ms > made->longest_read_ms ? took_ms : made->longest_read_ms;
    }
    made->took_ms = now_ms() - begun_ms;
    made->error = wait.succeeded != 1;
    assert_int_equal(lash_node_status(leader, &made->after), 0);
    free(data);
}

static void a_large_entry_on_slow_links_costs_neither_the_office_nor_reads(void **state) {
    (void)state;
    struct fixture fixture;
    struct proxy proxy;
    fixture_set_up(&fixture, NODES);
    fixture.options.heartbeat_ms = ELECTION_MS / 10;
    fixture.options.election_ms = ELECTION_MS;
    fixture.options.segment_bytes = (uint64_t)64 << 20;
    proxy_start(&proxy, &fixture);
    open_all(&fixture, &proxy);
    struct attempt made;
    int tries = 0;
    do { /* on a machine that lets this process stand still there may be elections whatever the nodes do */
        lash_node *leader = fixture.nodes[fixture_leader(&fixture)].node;
        atomic_store(&proxy.longest_ms, 0);
        attempt(leader, &made);
        tries++;
    } while (atomic_load(&proxy.longest_ms) >= STALL_MS && tries < TRIES_MAX);
    print_message("16 MiB took %llu ms; meanwhile %llu reads, the longest %llu ms; try %d\n",
                  (unsigned long long)made.took_ms, (unsigned long long)made.reads,
                  (unsigned long long)made.longest_read_ms, tries);
    if (atomic_load(&proxy.longest_ms) >= STALL_MS)
        fail_msg("the machine let this process stand still for %llu ms and more in each of %d tries",
                 (unsigned long long)STALL_MS, TRIES_MAX);
    assert_int_equal(made.error, 0);
    assert_true(made.took_ms > 2 * ELECTION_MS);
    assert_true(made.reads > 2);
    assert_true(made.longest_read_ms < made.took_ms / 2); /* no read waited for the entry */
    assert_int_equal(made.after.raft.term, made.before.raft.term);
    assert_int_equal(made.after.raft.role, LASH_LEADER);
    fixture_tear_down(&fixture);
    proxy_stop(&proxy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_entry_on_slow_links_costs_neither_the_office_nor_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
