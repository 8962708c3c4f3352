/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of packets, a list of jobs for each executor, and a loop that lets all
 * nodes have their turn until none has anything left to do.
 */
#include "rig.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { RIG_TAIL_BYTES_MAX = 16 << 20 };

/* ---- The world, as a replica sees it ------------------------------------------------------------------ */

static uint64_t env_now_ms(void *context) {
    const struct rig_node *node = context;
    return node->rig->now_ms;
}

static uint64_t env_now_ns(void *context) {
    const struct rig_node *node = context;
    return node->rig->now_ms * 1000000;
}

static void env_arm(void *context, uint64_t deadline_ms) {
    struct rig_node *node = context;
    node->deadline_ms = deadline_ms;
}

static int env_send(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                    struct buf *const *tails, size_t count) {
    (void)lane;
    const struct rig_node *node = context;
    struct rig *rig = node->rig;
    LASH_ASSERT(rig->count < RIG_PACKETS && head_size <= RIG_HEAD_MAX && count <= RIG_TAILS);
    struct rig_packet *packet = &rig->packets[(rig->oldest + rig->count++) % RIG_PACKETS];
    packet->from = node->id;
    packet->to = peer;
    packet->head_size = head_size;
    packet->tail_count = count;
    memcpy(packet->head, head, head_size);
    for (size_t i = 0; i < count; i++)
        packet->tails[i] = buf_ref(tails[i]);
    return 0;
}

static void env_submit(void *context, enum replica_executor executor, struct job *job) {
    struct rig_node *node = context;
    list_push(&node->jobs[executor], &job->link);
}

static uint64_t env_features(void *context, lash_id peer) {
    (void)context, (void)peer;
    return 0;
}

static void env_halt(void *context, int error) {
    (void)context;
    LASH_ASSERT(error == 0);
}

static int rig_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    (void)commands, (void)last;
    struct rig_node *node = context;
    node->applied += count;
    return 0;
}

/* ---- Turns -------------------------------------------------------------------------------------------- */

static void rig_deliver(struct rig *rig) {
    const struct rig_packet *packet = &rig->packets[rig->oldest];
    struct rig_node *node = &rig->nodes[packet->to - 1];
    const uint8_t *tail = NULL;
    size_t size = 0;
    for (size_t i = 0; i < packet->tail_count; i++) {
        LASH_ASSERT(size + packet->tails[i]->size <= RIG_TAIL_BYTES_MAX);
        if (packet->tail_count > 1)
            memcpy(rig->joined->data + size, packet->tails[i]->data, packet->tails[i]->size);
        tail = packet->tail_count > 1 ? rig->joined->data : packet->tails[i]->data;
        size += packet->tails[i]->size;
    }
    int error = replica_receive(node->replica, packet->from, packet->head, packet->head_size, tail, size);
    LASH_ASSERT(!error);
    for (size_t i = 0; i < packet->tail_count; i++)
        buf_unref(packet->tails[i]);
    rig->oldest = (rig->oldest + 1) % RIG_PACKETS;
    rig->count--;
}

static bool rig_work(struct rig_node *node) {
    bool any = false;
    for (size_t i = 0; i < REPLICA_EXECUTORS; i++) {
        struct list *link = list_pop(&node->jobs[i]);
        if (!link)
            continue;
        struct job *job = list_entry(link, struct job, link);
        job->work(job);
        job->done(job);
        any = true;
    }
    return any;
}

static void rig_turns(struct rig *rig) {
    for (size_t i = 0; i < RIG_NODES; i++) {
        replica_turn(rig->nodes[i].replica);
        if (replica_deliver(rig->nodes[i].replica))
            replica_notify(rig->nodes[i].replica);
    }
}

/* Until nobody has anything to do at this moment. */
static void rig_quiet(struct rig *rig) {
    bool any = true;
    while (any) {
        rig_turns(rig);
        any = rig->count > 0;
        while (rig->count > 0)
            rig_deliver(rig);
        rig_turns(rig);
        for (size_t i = 0; i < RIG_NODES; i++)
            any |= rig_work(&rig->nodes[i]);
    }
}

/* ---- Proposals ---------------------------------------------------------------------------------------- */

static void rig_done(void *argument, int error, lash_index index) {
    (void)index;
    struct rig *rig = argument;
    LASH_ASSERT(!error);
    rig->ended++;
}

void rig_commit(struct rig *rig, size_t count, const void *data, size_t size) {
    uint64_t ended = rig->ended + count;
    struct list requests;
    list_init(&requests);
    for (size_t i = 0; i < count; i++) {
        struct request *request;
        int error = request_new(&rig->nodes[0].gauge, REQUEST_COMMAND, data, size, &request);
        LASH_ASSERT(!error);
        request->done = rig_done;
        request->argument = rig;
        list_push(&requests, &request->link);
    }
    replica_submit(rig->nodes[0].replica, &requests);
    rig_quiet(rig);
    LASH_ASSERT(rig->ended == ended);
}

/* ---- Beginning and end -------------------------------------------------------------------------------- */

void rig_directory(char dir[64]) {
    (void)snprintf(dir, 64, "/tmp/lash-guard-XXXXXX");
    LASH_ASSERT(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status, (void)type, (void)at;
    return remove(path);
}

void rig_remove(const char *dir) {
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void node_open(struct rig *rig, size_t position) {
    struct rig_node *node = &rig->nodes[position];
    char dir[96];
    (void)snprintf(dir, sizeof dir, "%s/n%zu", rig->dir, position + 1);
    *node = (struct rig_node){.rig = rig, .id = position + 1, .deadline_ms = UINT64_MAX};
    node->env = (struct replica_env){.context = node,
                                     .now_ms = env_now_ms,
                                     .now_ns = env_now_ns,
                                     .arm = env_arm,
                                     .send = env_send,
                                     .submit = env_submit,
                                     .features = env_features,
                                     .halt = env_halt};
    for (size_t i = 0; i < REPLICA_EXECUTORS; i++)
        list_init(&node->jobs[i]);
    struct log_options log_options = {
        .vfs = vfs_posix(), .dir = dir, .cluster_id = 1, .node_id = node->id, .salt = (uint32_t)node->id};
    struct log_recovered recovered;
    int error = log_open(&log_options, &node->log, &recovered);
    LASH_ASSERT(!error);
    struct replica_options options = {.id = node->id,
                                      .cluster_id = 1,
                                      .heartbeat_ms = 100,
                                      /* the first stands for election long before the others would */
                                      .election_ms = position == 0 ? 1000 : 10000,
                                      .lease_drift = 100,
                                      .seed = node->id,
                                      .sequence = (node->id << 32) + 1,
                                      .request_timeout_ms = 60000,
                                      .recent_bytes_max = 16 << 20,
                                      .recent_bytes_kept = 1 << 20,
                                      .uncommitted_bytes_max = 64 << 20,
                                      .inflight_bytes_max = 8 << 20,
                                      .first = rig->first,
                                      .machine = {.context = node, .apply = rig_apply},
                                      .gauge = &node->gauge};
    error = replica_new(&options, &node->env, node->log, &recovered, &node->replica);
    LASH_ASSERT(!error);
    log_recovered_free(&recovered);
}

void rig_open(struct rig *rig) {
    struct lash_node_member members[RIG_NODES];
    memset(rig, 0, sizeof *rig);
    rig_directory(rig->dir);
    for (size_t i = 0; i < RIG_NODES; i++)
        members[i] = (struct lash_node_member){
            .id = i + 1, .flags = LASH_MEMBER_VOTER, .host = "127.0.0.1", .port = (uint16_t)(i + 1)};
    int error = roster_new(0, members, RIG_NODES, &rig->first);
    rig->joined = buf_new(RIG_TAIL_BYTES_MAX);
    LASH_ASSERT(!error && rig->joined);
    rig->now_ms = 1;
    for (size_t i = 0; i < RIG_NODES; i++)
        node_open(rig, i);
    for (size_t i = 0; i < RIG_NODES; i++)
        for (size_t j = 0; j < RIG_NODES; j++)
            if (i != j)
                replica_connected(rig->nodes[i].replica, j + 1);
    rig_quiet(rig);
    struct lash_status status = {.raft = {.role = LASH_FOLLOWER}};
    while (status.raft.role != LASH_LEADER || status.raft.commit != status.raft.last_index) {
        LASH_ASSERT(rig->now_ms < 10000);
        rig->now_ms += 10;
        rig_quiet(rig);
        replica_status(rig->nodes[0].replica, &status);
    }
}

void rig_close(struct rig *rig) {
    for (size_t i = 0; i < RIG_NODES; i++)
        replica_stop(rig->nodes[i].replica);
    rig_quiet(rig);
    for (size_t i = 0; i < RIG_NODES; i++) {
        LASH_ASSERT(replica_stopped(rig->nodes[i].replica));
        replica_free(rig->nodes[i].replica);
        log_close(rig->nodes[i].log);
    }
    buf_unref(rig->joined);
    roster_unref(rig->first);
    rig_remove(rig->dir);
}
