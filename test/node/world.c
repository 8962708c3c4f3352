/* SPDX-License-Identifier: Apache-2.0
 *
 * Replicas on one thread, with checks of what they apply and acknowledge.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { WORLD_HEARTBEAT_MS = 10, WORLD_ELECTION_MS = 100, WORLD_STEPS_MAX = 3000000 };

uint64_t world_random(struct world *world, uint64_t below) {
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random % below;
}

/* ---- State machine and requests ------------------------------------------------------------------ */

static int world_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    struct world_node *node = context;
    struct world *world = node->world;
    if (node->apply_error)
        return node->apply_error;
    for (size_t i = 0; i < count; i++) {
        uint32_t number;
        assert_int_equal(commands[i].size, sizeof number);
        memcpy(&number, commands[i].data, sizeof number);
        assert_in_range(number, 1, world->commands);
        assert_true(commands[i].index > node->applied && commands[i].index < WORLD_INDEX_MAX);
        /* One command per index, the same everywhere; none that was reported as dropped. */
        uint32_t *chosen = &world->chosen[commands[i].index];
        if (*chosen == 0)
            *chosen = number;
        assert_int_equal(*chosen, number);
        assert_int_not_equal(world->fates[number], WORLD_DROPPED);
        node->applied = commands[i].index;
        node->apply_count++;
    }
    assert_true(last >= node->applied);
    node->applied = last;
    return 0;
}

static int world_room(void *context) {
    const struct world_node *node = context;
    return node->room_error;
}

struct world_call {
    struct list link;
    struct world_node *node;
    uint32_t number;         /* 0: a read */
    lash_index acknowledged; /* when it began */
};

static void world_ended(void *argument, int error, lash_index index) {
    struct world_call *call = argument;
    struct world *world = call->node->world;
    assert_true(world->outstanding > 0);
    world->outstanding--;
    if (call->number == 0) {
        /* A read reflects all that was acknowledged before it began. */
        if (!error)
            assert_true(index >= call->acknowledged && call->node->applied >= index);
        world->reads += !error;
    } else {
        assert_int_equal(world->fates[call->number], WORLD_OPEN);
        bool dropped = error == LASH_DROPPED || error == LASH_NO_LEADER || error == LASH_FULL;
        world->fates[call->number] = !error ? WORLD_DONE : dropped ? WORLD_DROPPED : WORLD_UNSURE;
        world->done += !error;
        world->dropped += dropped;
        world->unsure += error && !dropped;
        /* A command takes effect between its begin and its end. */
        if (!error)
            assert_true(index > call->acknowledged && world->chosen[index] == call->number);
        if (!error && index > world->acknowledged)
            world->acknowledged = index;
        bool chosen = false;
        for (lash_index i = 1; dropped && i < WORLD_INDEX_MAX; i++)
            chosen |= world->chosen[i] == call->number;
        assert_false(chosen);
    }
    list_remove(&call->link);
    free(call);
}

/* Give a request to a node that runs. */
static void world_hand(struct world *world, size_t position, struct request *request) {
    struct world_node *node = &world->nodes[position];
    struct list requests;
    list_init(&requests);
    list_push(&requests, &request->link);
    replica_submit(node->replica, &requests);
    node->deadline_ms = world->now_ms; /* a turn is due */
}

static void world_submit(struct world *world, size_t position, enum request_kind kind, uint32_t number) {
    struct world_node *node = &world->nodes[position];
    struct request *request;
    assert_int_equal(request_new(&node->gauge, kind, &number, number ? sizeof number : 0, &request), 0);
    struct world_call *call = malloc(sizeof *call);
    assert_non_null(call);
    *call = (struct world_call){.node = node, .number = number, .acknowledged = world->acknowledged};
    list_init(&call->link);
    list_push(&node->calls, &call->link);
    request->done = world_ended;
    request->argument = call;
    world->outstanding++;
    world_hand(world, position, request);
}

uint32_t world_propose(struct world *world, size_t position) {
    assert_true(world->commands + 1 < WORLD_COMMANDS_MAX);
    uint32_t number = ++world->commands;
    world_submit(world, position, REQUEST_COMMAND, number);
    return number;
}

void world_read(struct world *world, size_t position) {
    world_submit(world, position, REQUEST_READ, 0);
}

static void world_transferred(void *argument, int error, lash_index index) {
    struct world *world = argument;
    assert_int_equal(index, 0);
    world->transfers++;
    world->transfer_error = error;
}

void world_transfer(struct world *world, size_t position, size_t target) {
    struct request *request;
    assert_int_equal(request_new(&world->nodes[position].gauge, REQUEST_TRANSFER, NULL, 0, &request), 0);
    request->target = target < world->count ? target + 1 : 0;
    request->done = world_transferred;
    request->argument = world;
    world_hand(world, position, request);
}

/* ---- The replica's world ------------------------------------------------------------------------- */

static uint64_t world_now_ms(void *context) {
    struct world_node *node = context;
    return node->world->now_ms;
}

static void world_arm(void *context, uint64_t deadline_ms) {
    struct world_node *node = context;
    node->deadline_ms = deadline_ms;
}

static int world_send(void *context, lash_id peer, const void *head, size_t head_size, struct buf *const *tails,
                      size_t count) {
    struct world_node *node = context;
    struct world_node *to = &node->world->nodes[peer - 1];
    if (node->send_error)
        return node->send_error;
    if (!node->connected[peer - 1])
        return LASH_NOT_FOUND;
    size_t tail_size = 0;
    for (size_t i = 0; i < count; i++)
        tail_size += tails[i]->size;
    struct world_packet *packet = malloc(sizeof *packet + head_size + tail_size);
    assert_non_null(packet);
    *packet = (struct world_packet){.from = node->id, .head_size = head_size, .tail_size = tail_size};
    memcpy(packet->data, head, head_size);
    uint8_t *at = packet->data + head_size;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, tails[i]->data, tails[i]->size);
        at += tails[i]->size;
    }
    list_init(&packet->link);
    list_push(&to->incoming[node->id - 1], &packet->link);
    node->packets_sent++;
    return 0;
}

static void world_submit_job(void *context, enum replica_executor executor, struct job *job) {
    struct world_node *node = context;
    assert_true(list_empty(&node->queued[executor]) && list_empty(&node->worked[executor]));
    list_push(&node->queued[executor], &job->link);
    node->jobs[executor]++;
}

static void world_halt(void *context, int error) {
    struct world_node *node = context;
    assert_int_equal(error, LASH_IO);
    node->halted = true;
}

/* ---- Starting and stopping ----------------------------------------------------------------------- */

static struct replica_options world_options(struct world_node *node) {
    struct replica_options options = {.id = node->id,
                                      .cluster_id = 1,
                                      .heartbeat_ms = WORLD_HEARTBEAT_MS,
                                      .election_ms = WORLD_ELECTION_MS,
                                      .seed = world_random(node->world, UINT32_MAX) + 1,
                                      .sequence = world_random(node->world, UINT32_MAX) << 20,
                                      .applied = node->applied,
                                      .request_timeout_ms = 20 * WORLD_ELECTION_MS,
                                      .recent_bytes_max = 4096,
                                      .machine = {.context = node, .apply = world_apply, .room = world_room},
                                      .gauge = &node->gauge};
    options.configuration.count = (uint32_t)node->world->count;
    for (uint32_t i = 0; i < node->world->count; i++)
        options.configuration.members[i] = (struct lash_member){.id = i + 1, .flags = LASH_MEMBER_VOTER};
    return options;
}

void world_start(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    struct log_options log_options = {
        .vfs = memfs_vfs(node->disk), .dir = "log", .segment_bytes = 16384, .cluster_id = 1, .node_id = node->id};
    struct log_recovered recovered;
    assert_null(node->replica);
    assert_int_equal(log_open(&log_options, &node->log, &recovered), 0);
    struct replica_options options = world_options(node);
    node->env = (struct replica_env){.context = node,
                                     .now_ms = world_now_ms,
                                     .arm = world_arm,
                                     .send = world_send,
                                     .submit = world_submit_job,
                                     .halt = world_halt};
    node->deadline_ms = world->now_ms;
    node->halted = false;
    assert_int_equal(replica_new(&options, &node->env, node->log, &recovered, &node->replica), 0);
    log_recovered_free(&recovered);
    for (size_t i = 0; i < world->count; i++)
        if (i != position && world->nodes[i].replica)
            world_connect(world, position, i);
    world_turn(world, position);
}

/* The process is gone, and with it its requests: nobody will ever know what became of them. */
static void world_stop(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    for (size_t i = 0; i < world->count; i++)
        world_disconnect(world, position, i);
    for (size_t i = 0; i < REPLICA_EXECUTORS; i++) {
        list_init(&node->queued[i]);
        list_init(&node->worked[i]);
    }
    replica_stop(node->replica);
    struct replica *replica = node->replica;
    node->replica = NULL;
    replica_abandon(replica);
    struct list *at;
    while ((at = list_pop(&node->calls))) {
        free(list_entry(at, struct world_call, link));
        world->outstanding--;
        world->abandoned++;
    }
    node->deadline_ms = UINT64_MAX;
}

void world_kill(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    world_stop(world, position);
    memfs_fail(node->disk, 1, MEMFS_POWER_OFF);
    log_close(node->log);
    memfs_fail(node->disk, 0, MEMFS_EIO);
    memfs_kill(node->disk);
}

void world_power_off(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    world_stop(world, position);
    memfs_fail(node->disk, 1, MEMFS_POWER_OFF);
    log_close(node->log);
    memfs_power_on(node->disk, MEMFS_GARBAGE, world_random(world, UINT32_MAX));
    node->applied = 0;
}

void world_set_up(struct world *world, size_t count, uint64_t seed) {
    memset(world, 0, sizeof *world);
    world->random = seed * 0x9e3779b97f4a7c15U + 1;
    world->now_ms = 1000;
    world->pace = 2 * count * count;
    world->count = count;
    for (size_t i = 0; i < count; i++) {
        struct world_node *node = &world->nodes[i];
        node->world = world;
        node->id = i + 1;
        node->disk = memfs_new();
        list_init(&node->calls);
        for (size_t j = 0; j < WORLD_NODES_MAX; j++)
            list_init(&node->incoming[j]);
        for (size_t j = 0; j < REPLICA_EXECUTORS; j++) {
            list_init(&node->queued[j]);
            list_init(&node->worked[j]);
        }
    }
    for (size_t i = 0; i < count; i++)
        world_start(world, i);
}

void world_tear_down(struct world *world) {
    for (size_t i = 0; i < world->count; i++) {
        struct world_node *node = &world->nodes[i];
        if (node->replica) {
            replica_stop(node->replica);
            do
                world_turn(world, i);
            while (world_work(world, i, REPLICA_LOG) || world_work(world, i, REPLICA_APPLY) ||
                   world_work(world, i, REPLICA_READ) || world_finish(world, i, REPLICA_LOG) ||
                   world_finish(world, i, REPLICA_APPLY) || world_finish(world, i, REPLICA_READ));
            assert_true(replica_stopped(node->replica));
            for (size_t j = 0; j < world->count; j++)
                world_disconnect(world, i, j);
            replica_free(node->replica);
            log_close(node->log);
        }
        assert_int_equal(node->gauge.count, 0);
        memfs_free(node->disk);
    }
}

/* ---- What happens -------------------------------------------------------------------------------- */

void world_turn(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    if (!node->replica)
        return;
    replica_turn(node->replica);
    replica_deliver(node->replica);
}

bool world_work(struct world *world, size_t position, enum replica_executor executor) {
    struct world_node *node = &world->nodes[position];
    struct list *at = list_pop(&node->queued[executor]);
    if (!at)
        return false;
    struct job *job = list_entry(at, struct job, link);
    job->work(job);
    list_push(&node->worked[executor], &job->link);
    return true;
}

bool world_finish(struct world *world, size_t position, enum replica_executor executor) {
    struct world_node *node = &world->nodes[position];
    struct list *at = list_pop(&node->worked[executor]);
    if (!at)
        return false;
    struct job *job = list_entry(at, struct job, link);
    job->done(job);
    return true;
}

/* The oldest packet from one node to another; false when there is none. */
static bool world_deliver(struct world *world, size_t from, size_t to) {
    struct world_node *node = &world->nodes[to];
    struct list *at = list_pop(&node->incoming[from]);
    if (!at)
        return false;
    struct world_packet *packet = list_entry(at, struct world_packet, link);
    assert_int_equal(replica_receive(node->replica, packet->from, packet->data, packet->head_size,
                                     packet->data + packet->head_size, packet->tail_size),
                     0);
    free(packet);
    return true;
}

/* Time goes on to the next deadline, or a little. */
static void world_wait(struct world *world) {
    uint64_t next = world->now_ms + 1 + world_random(world, 5);
    for (size_t i = 0; i < world->count; i++)
        if (world->nodes[i].deadline_ms < next)
            next = world->nodes[i].deadline_ms;
    if (next > world->now_ms)
        world->now_ms = next;
    for (size_t i = 0; i < world->count; i++)
        if (world->nodes[i].deadline_ms <= world->now_ms)
            world_turn(world, i);
}

void world_step(struct world *world) {
    size_t node = (size_t)world_random(world, world->count);
    size_t other = (size_t)world_random(world, world->count);
    enum replica_executor executor = (enum replica_executor)world_random(world, REPLICA_EXECUTORS);
    bool happened = false;
    if (world->nodes[node].replica) {
        switch (world_random(world, 4)) {
        case 0:
            happened = world_work(world, node, executor);
            break;
        case 1:
            happened = world_finish(world, node, executor);
            break;
        default:
            happened = world_deliver(world, other, node);
        }
    }
    /* Several events make one turn now and then. */
    if (happened && world_random(world, 4) != 0)
        world_turn(world, node);
    else if (!happened && world_random(world, world->pace) == 0)
        world_wait(world);
}

/* The position of the leader that all running nodes know, or the number of nodes. */
static size_t world_known_leader(const struct world *world) {
    lash_id leader = 0;
    for (size_t i = 0; i < world->count; i++) {
        struct lash_status status;
        if (!world->nodes[i].replica)
            continue;
        replica_status(world->nodes[i].replica, &status);
        if (status.raft.leader == 0 || (leader != 0 && status.raft.leader != leader))
            return world->count;
        leader = status.raft.leader;
    }
    return leader != 0 && world->nodes[leader - 1].replica ? (size_t)leader - 1 : world->count;
}

size_t world_leader(struct world *world) {
    for (int i = 0; i < WORLD_STEPS_MAX; i++) {
        size_t leader = world_known_leader(world);
        if (leader < world->count)
            return leader;
        world_step(world);
    }
    fail_msg("no leader");
    return 0;
}

void world_quiet(struct world *world) {
    for (int i = 0; world->outstanding > 0; i++) {
        assert_true(i < WORLD_STEPS_MAX);
        world_step(world);
    }
}

/* ---- Faults -------------------------------------------------------------------------------------- */

static void world_connect_one(struct world *world, size_t from, size_t to) {
    struct world_node *node = &world->nodes[from];
    if (node->connected[to] || !node->replica)
        return;
    node->connected[to] = true;
    replica_connected(node->replica, to + 1);
}

static void world_disconnect_one(struct world *world, size_t from, size_t to) {
    struct world_node *node = &world->nodes[from];
    struct list *at;
    while ((at = list_pop(&world->nodes[to].incoming[from])))
        free(list_entry(at, struct world_packet, link));
    if (!node->connected[to])
        return;
    node->connected[to] = false;
    if (node->replica)
        replica_disconnected(node->replica, to + 1);
}

void world_connect(struct world *world, size_t a, size_t b) {
    world_connect_one(world, a, b);
    world_connect_one(world, b, a);
}

void world_disconnect(struct world *world, size_t a, size_t b) {
    world_disconnect_one(world, a, b);
    world_disconnect_one(world, b, a);
}

void world_heal(struct world *world) {
    world->pace = 2 * world->count * world->count;
    for (size_t i = 0; i < world->count; i++)
        if (!world->nodes[i].replica)
            world_start(world, i);
    for (size_t i = 0; i < world->count; i++)
        for (size_t j = 0; j < i; j++)
            world_connect(world, i, j);
    bool same = false;
    for (int step = 0; !same; step++) {
        assert_true(step < WORLD_STEPS_MAX);
        world_step(world);
        struct lash_status status;
        size_t leader = world_known_leader(world);
        same = leader < world->count && world->outstanding == 0;
        if (same)
            replica_status(world->nodes[leader].replica, &status);
        for (size_t i = 0; same && i < world->count; i++)
            same = world->nodes[i].applied == status.raft.last_index && status.raft.commit == status.raft.last_index;
    }
    for (size_t i = 0; i < world->count; i++)
        assert_true(world->nodes[i].applied >= world->acknowledged);
}
