/* SPDX-License-Identifier: Apache-2.0
 *
 * Real nodes for tests.
 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libuv closes descriptors by system calls of its own, which the thread sanitizer does not see: when another thread is
 * given the same number, it takes that for a race. No race in memory has one of these functions in its stack. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "race:^closedir$\nrace:^opendir$\nrace:^open$\nrace:^close$\nrace:^socket$\nrace:^accept4$\nrace:^bind$\n";
}

/* ---- State machine ------------------------------------------------------------------------------- */

static int fixture_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    struct fixture_machine *machine = context;
    pthread_mutex_lock(&machine->mutex);
    while (machine->blocked)
        pthread_cond_wait(&machine->unblocked, &machine->mutex);
    int error = machine->fail_with;
    for (size_t i = 0; !error && i < count; i++) {
        assert_true(commands[i].index > machine->last && commands[i].index <= last);
        machine->last = commands[i].index;
        machine->hash = (machine->hash ^ commands[i].index) * 0x100000001b3U;
        const uint8_t *data = commands[i].data;
        for (size_t j = 0; j < commands[i].size; j++)
            machine->hash = (machine->hash ^ data[j]) * 0x100000001b3U;
        machine->count++;
        if (commands[i].request)
            *(uint64_t *)commands[i].request = machine->count;
    }
    if (!error)
        machine->last = last;
    pthread_mutex_unlock(&machine->mutex);
    return error;
}

/* A snapshot: what it counts, and bytes that make it larger. */
struct fixture_view {
    uint64_t count;
    uint64_t hash;
    lash_index last;
};

static int fixture_snapshot_begin(void *context, lash_index index, void **view) {
    struct fixture_machine *machine = context;
    struct fixture_view *made = malloc(sizeof *made);
    assert_non_null(made);
    pthread_mutex_lock(&machine->mutex);
    *made = (struct fixture_view){machine->count, machine->hash, machine->last};
    assert_true(machine->views == 0 && machine->last == index);
    machine->views++;
    pthread_mutex_unlock(&machine->mutex);
    *view = made;
    return 0;
}

static int fixture_snapshot_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    struct fixture_machine *machine = context;
    static const uint8_t zeros[1000];
    pthread_mutex_lock(&machine->mutex);
    while (machine->held)
        pthread_cond_wait(&machine->unblocked, &machine->mutex);
    int error = machine->snapshot_error;
    size_t padding = machine->padding;
    pthread_mutex_unlock(&machine->mutex);
    if (!error)
        error = lash_snapshot_write(sink, view, sizeof(struct fixture_view));
    while (!error && padding) {
        size_t size = padding < sizeof zeros ? padding : sizeof zeros;
        error = lash_snapshot_write(sink, zeros, size);
        padding -= size;
    }
    return error;
}

static void fixture_snapshot_end(void *context, void *view) {
    struct fixture_machine *machine = context;
    pthread_mutex_lock(&machine->mutex);
    assert_true(machine->views == 1);
    machine->views--;
    pthread_mutex_unlock(&machine->mutex);
    free(view);
}

static int fixture_restore(void *context, struct lash_snapshot_source *source, lash_index index) {
    struct fixture_machine *machine = context;
    struct fixture_view view = {0};
    uint8_t bytes[1000];
    size_t got;
    int error = lash_snapshot_read(source, &view, sizeof view, &got);
    if (!error)
        assert_int_equal(got, sizeof view);
    for (got = sizeof bytes; !error && got == sizeof bytes;)
        error = lash_snapshot_read(source, bytes, sizeof bytes, &got);
    pthread_mutex_lock(&machine->mutex);
    if (!error)
        error = machine->restore_error;
    if (!error) {
        assert_true(view.last == index && index > machine->last);
        machine->count = view.count;
        machine->hash = view.hash;
        machine->last = view.last;
        machine->restored++;
    }
    pthread_mutex_unlock(&machine->mutex);
    return error;
}

void fixture_hold_snapshots(struct fixture_node *node, bool held) {
    pthread_mutex_lock(&node->machine.mutex);
    node->machine.held = held;
    pthread_cond_broadcast(&node->machine.unblocked);
    pthread_mutex_unlock(&node->machine.mutex);
}

uint64_t fixture_applied(struct fixture_node *node) {
    pthread_mutex_lock(&node->machine.mutex);
    uint64_t count = node->machine.count;
    pthread_mutex_unlock(&node->machine.mutex);
    return count;
}

void fixture_block(struct fixture_node *node, bool blocked) {
    pthread_mutex_lock(&node->machine.mutex);
    node->machine.blocked = blocked;
    pthread_cond_broadcast(&node->machine.unblocked);
    pthread_mutex_unlock(&node->machine.mutex);
}

/* ---- Nodes --------------------------------------------------------------------------------------- */

/* Ports that nobody else is given until the end: sockets that do not listen, and allow to share, hold them. */
static void fixture_ports(struct fixture *fixture) {
    const int on = 1;
    for (size_t i = 0; i < fixture->count; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        int holder = fixture->holders[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(holder >= 0);
        assert_int_equal(setsockopt(holder, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
        assert_int_equal(bind(holder, (struct sockaddr *)&address, size), 0);
        assert_int_equal(getsockname(holder, (struct sockaddr *)&address, &size), 0);
        fixture->peers[i] = (struct lash_peer){.id = i + 1, .host = "127.0.0.1", .port = ntohs(address.sin_port)};
    }
}

void fixture_set_up(struct fixture *fixture, size_t count) {
    memset(fixture, 0, sizeof *fixture);
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/lash-node-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    fixture->count = count;
    fixture->options.cluster_id = 42;
    /* A node by itself has nobody to wait for. */
    fixture->options.heartbeat_ms = count == 1 ? 5 : 20;
    fixture->options.election_ms = count == 1 ? 15 : 150;
    fixture->options.request_timeout_ms = 60000;
    fixture->options.segment_bytes = 1 << 20;
    fixture_ports(fixture);
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_init(&fixture->nodes[i].machine.mutex, NULL);
        pthread_cond_init(&fixture->nodes[i].machine.unblocked, NULL);
    }
}

static void fixture_remove(const char *path) {
    DIR *dir = opendir(path);
    if (dir) {
        struct dirent *entry;
        while ((entry = readdir(dir))) {
            char below[512];
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
            fixture_remove(below);
        }
        closedir(dir);
    }
    remove(path);
}

void fixture_wipe(const struct fixture *fixture, size_t i) {
    char dir[96];
    snprintf(dir, sizeof dir, "%s/n%zu", fixture->dir, i + 1);
    fixture_remove(dir);
}

void fixture_tear_down(struct fixture *fixture) {
    for (size_t i = 0; i < fixture->count; i++) {
        fixture_close(fixture, i);
        close(fixture->holders[i]);
        pthread_cond_destroy(&fixture->nodes[i].machine.unblocked);
        pthread_mutex_destroy(&fixture->nodes[i].machine.mutex);
    }
    fixture_remove(fixture->dir);
}

struct lash_node_options fixture_options(const struct fixture *fixture, size_t i, char dir[96]) {
    struct lash_node_options options = fixture->options;
    snprintf(dir, 96, "%s/n%zu", fixture->dir, i + 1);
    options.id = fixture->peers[i].id;
    options.data_dir = dir;
    options.listen_host = fixture->peers[i].host;
    options.listen_port = fixture->peers[i].port;
    options.peers = fixture->peers;
    options.peer_count = fixture->count;
    return options;
}

struct lash_state_machine fixture_machine_of(const struct fixture *fixture, struct fixture_node *node) {
    struct lash_state_machine machine = {.context = &node->machine, .apply = fixture_apply};
    if (fixture->snapshots) {
        machine.snapshot_begin = fixture_snapshot_begin;
        machine.snapshot_write = fixture_snapshot_write;
        machine.snapshot_end = fixture_snapshot_end;
        machine.restore = fixture_restore;
    }
    return machine;
}

int fixture_try_open(struct fixture *fixture, size_t i) {
    char dir[96];
    struct lash_node_options options = fixture_options(fixture, i, dir);
    struct fixture_node *node = &fixture->nodes[i];
    node->machine.count = 0;
    node->machine.hash = 0;
    node->machine.last = 0;
    node->machine.restored = 0;
    struct lash_state_machine machine = fixture_machine_of(fixture, node);
    return lash_node_open(&options, &machine, &node->node);
}

void fixture_open(struct fixture *fixture, size_t i) {
    assert_int_equal(fixture_try_open(fixture, i), 0);
}

void fixture_calm(struct fixture *fixture) {
    fixture->options.heartbeat_ms = 100;
    fixture->options.election_ms = 800;
}

void fixture_open_all(struct fixture *fixture) {
    for (size_t i = 0; i < fixture->count; i++)
        fixture_open(fixture, i);
}

void fixture_close(struct fixture *fixture, size_t i) {
    fixture_block(&fixture->nodes[i], false);
    fixture_hold_snapshots(&fixture->nodes[i], false);
    lash_node_close(fixture->nodes[i].node);
    fixture->nodes[i].node = NULL;
}

/* A leader that all open nodes know is one that a barrier through each of them reaches. */
size_t fixture_leader(struct fixture *fixture) {
    for (;;) {
        lash_id leader = 0;
        bool agreed = true;
        for (size_t i = 0; i < fixture->count; i++) {
            struct lash_status status;
            if (!fixture->nodes[i].node)
                continue;
            if (fixture_barrier(fixture->nodes[i].node) != 0)
                agreed = false;
            assert_int_equal(lash_node_status(fixture->nodes[i].node, &status), 0);
            if (status.raft.leader == 0 || (leader != 0 && status.raft.leader != leader))
                agreed = false;
            leader = status.raft.leader;
        }
        if (agreed && fixture->nodes[leader - 1].node)
            return (size_t)(leader - 1);
    }
}

void fixture_agree(struct fixture *fixture, uint64_t count) {
    uint64_t hash = 0;
    bool first = true;
    for (size_t i = 0; i < fixture->count; i++) {
        struct fixture_node *node = &fixture->nodes[i];
        if (!node->node)
            continue;
        int error;
        while ((error = fixture_read(node->node, NULL)) != 0)
            assert_true(error == LASH_NO_LEADER || error == LASH_TIMEOUT);
        assert_int_equal(fixture_applied(node), count);
        assert_true(first || node->machine.hash == hash);
        hash = node->machine.hash;
        first = false;
    }
}

/* ---- Requests ------------------------------------------------------------------------------------ */

void fixture_wait_init(struct fixture_wait *wait) {
    memset(wait, 0, sizeof *wait);
    pthread_mutex_init(&wait->mutex, NULL);
    pthread_cond_init(&wait->cond, NULL);
}

void fixture_wait_add(struct fixture_wait *wait) {
    pthread_mutex_lock(&wait->mutex);
    wait->outstanding++;
    pthread_mutex_unlock(&wait->mutex);
}

void fixture_done(void *argument, int error, lash_index index) {
    struct fixture_wait *wait = argument;
    pthread_mutex_lock(&wait->mutex);
    assert_true(wait->outstanding > 0);
    wait->outstanding--;
    if (error) {
        wait->failed[-error]++;
    } else {
        wait->succeeded++;
        wait->index = index;
    }
    pthread_cond_broadcast(&wait->cond);
    pthread_mutex_unlock(&wait->mutex);
}

void fixture_wait_for(struct fixture_wait *wait, uint64_t left) {
    pthread_mutex_lock(&wait->mutex);
    while (wait->outstanding > left)
        pthread_cond_wait(&wait->cond, &wait->mutex);
    pthread_mutex_unlock(&wait->mutex);
}

uint64_t fixture_wait_all(struct fixture_wait *wait) {
    fixture_wait_for(wait, 0);
    for (int i = 0; i < FIXTURE_ERRORS; i++)
        if (i != -LASH_DROPPED && i != -LASH_NO_LEADER)
            assert_int_equal(wait->failed[i], 0);
    return wait->succeeded;
}

/* Wait for the one request that was accepted or refused with `error`. */
static int fixture_one(struct fixture_wait *wait, int error, lash_index *index) {
    if (error)
        return error;
    fixture_wait_for(wait, 0);
    if (index)
        *index = wait->index;
    for (int i = 0; i < FIXTURE_ERRORS; i++)
        if (wait->failed[i])
            return -i;
    return 0;
}

int fixture_propose(lash_node *node, const void *data, size_t size) {
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    return fixture_one(&wait, lash_node_propose(node, data, size, NULL, fixture_done, &wait), NULL);
}

int fixture_read(lash_node *node, lash_index *index) {
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    return fixture_one(&wait, lash_node_read(node, fixture_done, &wait), index);
}

int fixture_snapshot(lash_node *node, lash_index *index) {
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    return fixture_one(&wait, lash_node_snapshot(node, fixture_done, &wait), index);
}

int fixture_barrier(lash_node *node) {
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    return fixture_one(&wait, lash_node_barrier(node, fixture_done, &wait), NULL);
}

void fixture_settle(lash_node *node) {
    for (bool known = false; !known;) {
        int error = fixture_barrier(node);
        assert_true(error == 0 || error == LASH_DROPPED || error == LASH_NO_LEADER);
        struct lash_members *members;
        assert_int_equal(lash_node_members(node, &members), 0);
        known = true;
        for (size_t i = 0; i < members->count; i++)
            known = known && members->members[i].disk != 0;
        lash_members_free(members);
    }
}

void fixture_propose_surely(lash_node *node, const void *data, size_t size) {
    int error;
    do
        error = fixture_propose(node, data, size);
    while (error == LASH_DROPPED || error == LASH_NO_LEADER);
    assert_int_equal(error, 0);
}

void fixture_propose_many(lash_node *node, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        fixture_propose_surely(node, &i, sizeof i);
}
