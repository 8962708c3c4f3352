/* SPDX-License-Identifier: Apache-2.0
 *
 * The node in production: a loop thread with sockets and timers around a
 * replica, and the threads that work its jobs off. Requests enter from any
 * thread through one list; everything that a turn of the loop gathered is dealt with
 * in one replica_turn.
 */
#include "lash/metrics.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/assert.h"
#include "base/logger.h"
#include "node/node_state.h"
#include "node/parts.h"
#include "node/settings.h"
#include "node/snapshotting.h"
#include "node/wire.h"
#include "transport/packet.h"

enum {
    NODE_RECENT_BYTES_MAX = 32 << 20, /* of frames kept in memory for followers, */
    NODE_RECENT_BYTES_KEPT = 1 << 20, /* and for nobody in particular: around a change of leader they save a read */
    NODE_PIECE_BYTES = 256 << 10,     /* of a snapshot that go to a peer at a time */
    NODE_TELL_BYTES =
        128 << 10, /* cost of the requests whose callbacks are called in a row; then what they asked for has its turn */
    NODE_PROBE_MS = 1000, /* between measurements of the round trip to a peer */
};

/* ---- The replica's world ------------------------------------------------------------------------- */

static uint64_t node_now_ms(void *context) {
    (void)context;
    return uv_hrtime() / 1000000;
}

static uint64_t node_now_ns(void *context) {
    (void)context;
    return uv_hrtime();
}

static void node_turn(struct lash_node *node);

static void node_timer(uv_timer_t *timer) {
    node_turn(timer->data);
}

static void node_arm(void *context, uint64_t deadline_ms) {
    struct lash_node *node = context;
    if (node->tearing_down)
        return;
    if (deadline_ms == UINT64_MAX) {
        uv_timer_stop(&node->timer);
        return;
    }
    uint64_t now_ms = node_now_ms(node);
    uv_update_time(&node->loop);
    uv_timer_start(&node->timer, node_timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0, 0);
}

static int node_send(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                     struct buf *const *tails, size_t count) {
    struct lash_node *node = context;
    return transport_send(node->transport, peer, lane, head, head_size, tails, count);
}

static int node_add_peer(void *context, lash_id peer, const char *host, uint16_t port) {
    struct lash_node *node = context;
    return node->transport ? transport_add_peer(node->transport, peer, host, port) : LASH_CLOSED;
}

static void node_remove_peer(void *context, lash_id peer) {
    struct lash_node *node = context;
    if (node->transport)
        transport_remove_peer(node->transport, peer);
}

static uint64_t node_features(void *context, lash_id peer) {
    const struct lash_node *node = context;
    return node->transport ? transport_features(node->transport, peer) : 0;
}

static uint64_t node_disk(void *context, lash_id peer) {
    const struct lash_node *node = context;
    return node->transport ? transport_disk(node->transport, peer) : 0;
}

static void node_expect(void *context, lash_id peer, uint64_t disk) {
    struct lash_node *node = context;
    if (node->transport)
        transport_expect(node->transport, peer, disk);
}

static void node_configured(void *context, lash_index committed, bool welcome) {
    struct lash_node *node = context;
    if (node->transport)
        transport_configured(node->transport, committed, welcome);
}

static void node_submit(void *context, enum replica_executor executor, struct job *job) {
    struct lash_node *node = context;
    if (executor == REPLICA_APPLY && job->quick && !node->quick_done) {
        LASH_ASSERT(list_empty(&node->quick)); /* a replica has one job at a time for its state machine */
        list_push(&node->quick, &job->link);
        return;
    }
    executor_submit(&node->executors[executor], job);
}

/* Do the job that is to be done on this thread, if there is one, and what that brings about. */
static void node_do_quick(struct lash_node *node) {
    struct list *at = list_pop(&node->quick);
    if (!at)
        return;
    struct job *job = list_entry(at, struct job, link);
    node->quick_done = true;
    job->work(job);
    job->done(job);
    replica_turn(node->replica);
    LASH_ASSERT(list_empty(&node->quick));
    node->quick_done = false;
}

static void node_write(void *context, struct log_write *write, struct job *job) {
    struct lash_node *node = context;
    ring_write(&node->ring, write, job);
    if (ring_refused(&node->ring))
        uv_async_send(&node->wake);
}

static void node_observe(void *context, const struct lash_status *status) {
    struct lash_node *node = context;
    if (node->options.observe)
        node->options.observe(node->options.observe_context, status);
}

static void node_happened(void *context, const struct lash_observation *observation) {
    struct lash_node *node = context;
    if (node->options.happened)
        node->options.happened(node->options.observe_context, observation);
}

/* Nothing that relied on the failed sync was acknowledged, and nothing will be. */
static void node_halt(void *context, int error) {
    (void)context;
    log_error("stopping the process: a sync of the log failed, so what is on disk is unknown; restart the node",
              F_ERR(error));
    abort();
}

/* ---- The loop ------------------------------------------------------------------------------------ */

static int node_received(void *context, const struct transport_packet *packet) {
    struct lash_node *node = context;
    if (node->repair)
        return repair_receive(node->repair, packet->from, packet->head, packet->head_size, packet->tail,
                              packet->tail_size);
    return replica_receive(node->replica, packet->from, packet->head, packet->head_size, packet->tail,
                           packet->tail_size);
}

static void node_connected(void *context, uint64_t peer) {
    struct lash_node *node = context;
    if (node->repair)
        repair_connected(node->repair, peer);
    else
        replica_connected(node->replica, peer);
}

static void node_disconnected(void *context, uint64_t peer) {
    struct lash_node *node = context;
    if (node->repair)
        repair_disconnected(node->repair, peer);
    else
        replica_disconnected(node->replica, peer);
}

static void node_lane_ready(void *context, uint64_t peer) {
    struct lash_node *node = context;
    if (!node->repair)
        replica_lane(node->replica, peer, true);
}

static void node_lane_lost(void *context, uint64_t peer) {
    struct lash_node *node = context;
    if (!node->repair)
        replica_lane(node->replica, peer, false);
}

static void node_down(void *context, uint64_t peer) {
    struct lash_node *node = context;
    if (!node->repair)
        replica_down(node->replica, peer);
}

static void node_refused(void *context, uint64_t peer, uint16_t status, uint64_t index) {
    struct lash_node *node = context;
    if (node->replica && status == PACKET_UNKNOWN_PEER)
        replica_stranger(node->replica, peer, index);
    else if (node->replica && status == PACKET_OTHER_DISK)
        replica_impostor(node->replica, peer);
}

/* The membership, for who is not part of the cluster yet. */
static struct buf *node_asked(void *context) {
    const struct lash_node *node = context;
    const struct roster *roster =
        node->replica && !replica_error(node->replica) ? replica_committed_roster(node->replica) : NULL;
    struct buf *answer = roster ? buf_new(roster_size(roster)) : NULL;
    if (answer) {
        roster_encode(roster, answer->data);
        answer->size = answer->capacity;
    }
    return answer;
}

static void node_transport_closed(void *context) {
    struct lash_node *node = context;
    node->transport = NULL;
}

/* Close what keeps the loop running. */
static void node_tear_down(struct lash_node *node) {
    if (node->tearing_down)
        return;
    node->tearing_down = true;
    if (node->transport)
        transport_close(node->transport, node_transport_closed, node);
    uv_close((uv_handle_t *)&node->timer, NULL);
    uv_close((uv_handle_t *)&node->check, NULL);
    uv_close((uv_handle_t *)&node->wake, NULL);
    ring_detach(&node->ring);
}

static void node_look(const struct lash_node *node, struct lash_status *status) {
    if (node->replica)
        replica_status(node->replica, status);
    else
        repair_status(node->repair, status);
    status->cluster_id = node->options.cluster_id;
}

static void node_publish(struct lash_node *node) {
    struct lash_status status;
    node_look(node, &status);
    struct roster *roster = node->replica ? replica_roster(node->replica) : NULL;
    struct roster *before = NULL;
    uv_mutex_lock(&node->mutex);
    if (node->roster != roster) {
        before = node->roster;
        node->roster = roster_ref(roster);
    }
    node->status = status;
    node->begun = node->replica != NULL;
    if (node->replica)
        replica_queues(node->replica, &node->metrics);
    node->metrics.peer_count = 0;
    if (node->transport)
        node->metrics.peer_count =
            (uint32_t)transport_peers(node->transport, node->metrics.peers, LASH_RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < node->metrics.peer_count; i++)
        node->metrics.peers[i].features =
            (uint16_t)(node_features(node, node->metrics.peers[i].id) >> WIRE_PROGRAM_SHIFT);
    uv_mutex_unlock(&node->mutex);
    roster_unref(before);
}

/* A node that was removed remembers it, whatever becomes of the cluster that could tell it again. */
static void node_note_removal(struct lash_node *node) {
    if (replica_error(node->replica) != LASH_REMOVED || node->removal_noted)
        return;
    node->removal_noted = true;
    (void)settings_mark_removed(vfs_posix(), node->options.data_dir); /* else it will be told again */
}

static int node_begin(struct lash_node *node, struct log_recovered *recovered);

static void node_begin_connected(void *context, lash_id peer) {
    struct lash_node *node = context;
    replica_connected(node->replica, peer);
}

/* How many members there are, as far as that is known before the log is whole. */
static size_t node_members_known(const struct lash_node *node) {
    const struct roster *roster = node->latest ? node->latest : node->identity.first;
    if (!roster)
        roster = node->contacts;
    return roster ? roster->count : 0;
}

/* Before the log is whole nobody can tell who the members are now: those of the newest configuration that can be read, in the log or
 * in a snapshot, are asked, those of the first day, and those whom the options name. */
static int node_dial_known(struct lash_node *node, const struct roster *roster) {
    int error = 0;
    for (uint32_t i = 0; !error && roster && i < roster->count; i++) {
        const struct lash_node_member *member = &roster->members[i];
        if (member->id != node->options.id && member->port)
            error = transport_add_peer(node->transport, member->id, member->host, member->port);
    }
    return error;
}

/* Whoever is no member any more is let go. */
static void node_hang_up_known(struct lash_node *node, const struct roster *roster) {
    const struct roster *now = replica_roster(node->replica);
    for (uint32_t i = 0; roster && i < roster->count; i++)
        if (now && !roster_find(now, roster->members[i].id)) {
            transport_remove_peer(node->transport, roster->members[i].id);
            replica_disconnected(node->replica, roster->members[i].id);
        }
}

/* Be a replica once the log is whole. */
static void node_end_repair(struct lash_node *node) {
    struct log_recovered recovered;
    int error = repair_outcome(node->repair, &recovered);
    if (error)
        return;
    error = node_begin(node, &recovered);
    if (error) {
        repair_fail(node->repair, error);
        return;
    }
    struct repair *repair = node->repair;
    node->repair = NULL;
    struct lash_observation observation = {.kind = LASH_OBSERVED_REPAIRED, .peer = node->options.id};
    node_happened(node, &observation);
    repair_each_peer(repair, node_begin_connected, node);
    node_hang_up_known(node, node->latest);
    node_hang_up_known(node, node->identity.first);
    node_hang_up_known(node, node->contacts);
    repair_free(repair);
}

/* The turn of a node whose log is being repaired. False: it is a replica. */
static bool node_repair_turn(struct lash_node *node, bool closing) {
    if (!node->repair)
        return false;
    if (closing)
        repair_stop(node->repair);
    else
        node_end_repair(node);
    if (!node->repair)
        return false;
    repair_turn(node->repair);
    node_publish(node);
    if (repair_stopped(node->repair))
        node_tear_down(node);
    return true;
}

/* Take over the requests that came since, and say whether this thread will look again before it sleeps. Returns whether the node is
 * being closed. */
static bool node_take(struct lash_node *node, struct list *incoming, bool looks_again) {
    list_init(incoming);
    uv_mutex_lock(&node->mutex);
    list_splice(incoming, &node->incoming);
    node->looks_again = looks_again;
    node->stopping = node->closing;
    uv_mutex_unlock(&node->mutex);
    list_splice(incoming, &node->asked);
    return node->stopping;
}

/* A turn of the replica with the requests that came. */
static void node_replica_turn(struct lash_node *node, struct list *incoming, bool closing) {
    if (closing)
        replica_stop(node->replica);
    replica_submit(node->replica, incoming);
    replica_turn(node->replica);
    node_do_quick(node);
    node_note_removal(node);
}

static void node_deliver(struct lash_node *node, struct list *ended) {
    node_telling = node;
    request_deliver(ended, NODE_TELL_BYTES);
    node_telling = NULL;
}

/* The callbacks; whether there were any. What some of many ask for is on its way while the next are called, so that followers and
 * disks have work meanwhile. */
static bool node_tell(struct lash_node *node) {
    struct list ended;
    struct list incoming;
    list_init(&ended);
    replica_ended(node->replica, &ended);
    if (list_empty(&ended))
        return false;
    for (node_deliver(node, &ended); !list_empty(&ended); node_deliver(node, &ended)) {
        bool closing = node_take(node, &incoming, true);
        if (list_empty(&incoming))
            continue;
        node_replica_turn(node, &incoming, closing);
        transport_flush(node->transport);
    }
    return true;
}

/* Everything that came since the last turn. */
static void node_turn(struct lash_node *node) {
    if (node->tearing_down)
        return;
    struct list incoming;
    bool closing = node_take(node, &incoming, true);
    for (uint32_t i = 0; i < node->executor_count; i++)
        executor_finish(&node->executors[i]);
    ring_finish(&node->ring);
    if (node_repair_turn(node, closing)) {
        (void)node_take(node, &incoming, false);
        LASH_ASSERT(list_empty(&incoming)); /* no request comes before there is a replica */
        return;
    }
    node_replica_turn(node, &incoming, closing);
    node_publish(node); /* before the callbacks, which may ask for it */
    /* What the callbacks ask for has its turn at once, without a wake-up. */
    bool told = node_tell(node);
    closing = node_take(node, &incoming, false);
    if (closing || !list_empty(&incoming) || replica_has_ended(node->replica)) {
        node_replica_turn(node, &incoming, closing);
        node_publish(node);
        (void)replica_deliver(node->replica);
    } else if (told) {
        replica_notify(node->replica);
    }
    if (replica_stopped(node->replica))
        node_tear_down(node);
}

/* What the turn sends leaves at once: else the loop would go round once more for it, with another turn. */
static void node_check(uv_check_t *check) {
    struct lash_node *node = check->data;
    node_turn(node);
    if (node->transport && !node->tearing_down)
        transport_flush(node->transport);
}

static void node_woken(uv_async_t *wake) {
    (void)wake; /* the turn follows at the end of this round of the loop */
}

static void node_wake(void *context) {
    struct lash_node *node = context;
    uv_async_send(&node->wake);
}

static void node_run(void *argument) {
    struct lash_node *node = argument;
    pthread_setname_np(pthread_self(), "lash-loop");
    node_turn(node);
    uv_run(&node->loop, UV_RUN_DEFAULT);
}

/* ---- Opening and closing ------------------------------------------------------------------------- */

/* Seeds: from the operating system unless given; the node's id tells nodes with the same seed apart. */
static int node_seed(const struct lash_node *node, uint64_t seeds[2]) {
    if (uv_random(NULL, NULL, seeds, 2 * sizeof seeds[0], 0, NULL) != 0)
        return LASH_IO;
    if (node->options.seed)
        seeds[0] = node->options.seed ^ node->options.id * 0x9e3779b97f4a7c15U;
    seeds[1] = seeds[1] >> 1 | 1; /* far from wrapping around */
    return 0;
}

static int node_cannot_restore(const struct log_recovered *recovered) {
    log_error("the log begins behind what the state machine has applied, and it takes no snapshots",
              F_U64("first_index", recovered->first_index),
              F_STR("do", "start a program whose state machine restores snapshots"));
    return LASH_MISMATCH;
}

/* Open the snapshots, unless the repair of the log has done so. Errors: those of snapshots_open. */
static int node_open_folder(struct lash_node *node) {
    if (!node->machine.restore || node->snapshots)
        return LASH_OK;
    char *dir = settings_path(node->options.data_dir, "snapshots");
    if (!dir)
        return LASH_NOMEM;
    struct snapshots_options options = {.vfs = vfs_posix(),
                                        .dir = dir,
                                        .cluster_id = node->options.cluster_id,
                                        .node_id = node->options.id,
                                        .group = node->options.group};
    int error = snapshots_open(&options, &node->snapshots);
    mem_free(dir);
    return error;
}

/* Open the snapshots, let the log go on from the newest, and take its membership. Errors: those of lash_node_open. */
static int node_open_snapshots(struct lash_node *node, struct log_recovered *recovered) {
    if (!node->machine.restore)
        return node->options.applied + 1 < recovered->first_index ? node_cannot_restore(recovered) : 0;
    struct roster *roster = NULL;
    bool gap = false;
    int error = node_open_folder(node);
    if (!error)
        error = joiner_join(node->snapshots, node->log, recovered, &gap, &roster);
    if (!error && (gap || roster)) { /* with a gap, none is known until a leader tells */
        roster_unref(node->identity.first);
        node->identity.first = roster;
    }
    return error;
}

static const struct replica_env node_env = {.now_ms = node_now_ms,
                                            .now_ns = node_now_ns,
                                            .arm = node_arm,
                                            .send = node_send,
                                            .add_peer = node_add_peer,
                                            .remove_peer = node_remove_peer,
                                            .features = node_features,
                                            .disk = node_disk,
                                            .expect = node_expect,
                                            .configured = node_configured,
                                            .submit = node_submit,
                                            .observe = node_observe,
                                            .happened = node_happened,
                                            .halt = node_halt};

static int node_make_replica(struct lash_node *node, const struct log_recovered *recovered) {
    uint64_t seeds[2];
    int error = node_seed(node, seeds);
    if (error)
        return error;
    struct replica_options options = {.id = node->options.id,
                                      .cluster_id = node->options.cluster_id,
                                      .group = node->options.group,
                                      .heartbeat_ms = node->options.heartbeat_ms,
                                      .election_ms = node->options.election_ms,
                                      .leases = !node->options.no_leases,
                                      .lease_drift = node->options.lease_drift,
                                      .seed = seeds[0],
                                      .sequence = seeds[1],
                                      .applied = node->options.applied,
                                      .request_timeout_ms = node->options.request_timeout_ms,
                                      .recent_bytes_max = NODE_RECENT_BYTES_MAX,
                                      .recent_bytes_kept = NODE_RECENT_BYTES_KEPT,
                                      .uncommitted_bytes_max = node->options.uncommitted_bytes_max,
                                      .inflight_bytes_max = node->options.inflight_bytes_max,
                                      .part_bytes = PARTS_BYTES,
                                      .disk = node->identity.disk,
                                      .first = node->identity.first,
                                      .contacts = node->contacts,
                                      .snapshots = node->snapshots,
                                      .snapshot_bytes_min = node->options.snapshot_bytes_min,
                                      .trailing_bytes = node->options.trailing_bytes,
                                      .snapshot_rate = node->options.snapshot_rate,
                                      .piece_bytes = NODE_PIECE_BYTES,
                                      .machine = node->machine,
                                      .gauge = &node->gauge};
    error = replica_new(&options, &node->env, node->log, recovered, &node->replica);
    if (error == LASH_MISMATCH)
        log_error("the state machine has applied more than the log holds; one of them is another's or was lost",
                  F_U64("applied", options.applied), F_U64("log", recovered->last_index));
    return error;
}

/* Make the replica from a log that is whole, and let go of `recovered`. */
static int node_begin(struct lash_node *node, struct log_recovered *recovered) {
    int error = node_open_snapshots(node, recovered);
    if (!error)
        error = node_make_replica(node, recovered);
    if (!error)
        log_info("log opened", F_HEX("id", node->options.id), F_HEX("cluster", node->options.cluster_id),
                 F_STR("dir", node->options.data_dir), F_U64("term", recovered->term),
                 F_U64("first_index", recovered->first_index), F_U64("last_index", recovered->last_index),
                 F_U64("applied", node->options.applied), F_U64("torn_bytes", recovered->torn_bytes));
    log_recovered_free(recovered);
    return error;
}

/* The log is damaged: repair it with the help of others, if there are others. */
static int node_open_repair(struct lash_node *node) {
    struct repair_options options = {.id = node->options.id, .group = node->options.group};
    int error = node_open_folder(node);
    if (error)
        return error;
    node->latest = joiner_newest_roster(node->log, node->snapshots);
    if (node_members_known(node) > 1)
        return repair_new(&options, &node->env, node->log, &node->repair);
    log_error("the log is damaged where it had been durable, and no other node can have what it lacks",
              F_HEX("id", node->options.id), F_STR("dir", node->options.data_dir),
              F_STR("do", "do not delete anything: restore this directory from a backup"));
    return LASH_CORRUPT;
}

static int node_open_replica(struct lash_node *node) {
    struct log_recovered recovered;
    node->env = node_env;
    node->env.context = node;
    node->env.write = !node->options.no_io_uring && ring_open(&node->ring) ? node_write : NULL;
    int error = node_open_log(node, &recovered);
    if (error == LASH_DAMAGED)
        return node_open_repair(node);
    return error ? error : node_begin(node, &recovered);
}

static int node_open_transport(struct lash_node *node) {
    struct transport_options options = {.loop = &node->loop,
                                        .cluster_id = node->options.cluster_id,
                                        .node_id = node->options.id,
                                        .features = WIRE_MEMBERS | WIRE_REPAIR | WIRE_LEASES | WIRE_PARTS |
                                                    WIRE_WITNESS | WIRE_SLOW |
                                                    (node->machine.restore ? WIRE_SNAPSHOTS : 0) |
                                                    (uint64_t)node->options.features << WIRE_PROGRAM_SHIFT,
                                        .disk = node->identity.disk,
                                        .listen_host = node->options.listen_host,
                                        .listen_port = node->options.listen_port,
                                        .probe_ms = NODE_PROBE_MS,
                                        .seed = uv_hrtime() ^ node->options.id,
                                        .context = node,
                                        .received = node_received,
                                        .connected = node_connected,
                                        .disconnected = node_disconnected,
                                        .lane_ready = node_lane_ready,
                                        .refused = node_refused,
                                        .asked = node_asked,
                                        .lane_lost = node_lane_lost,
                                        .down = node_down};
    int error = transport_open(&options, &node->transport);
    if (!error && node->repair)
        error = node_dial_known(node, node->identity.first);
    if (!error && node->repair)
        error = node_dial_known(node, node->contacts);
    if (!error && node->repair)
        error = node_dial_known(node, node->latest); /* whose addresses are the newest */
    return error;
}

/* The loop and its handles, not yet running. */
static int node_open_loop(struct lash_node *node) {
    if (uv_loop_init(&node->loop) != 0)
        return LASH_NOMEM;
    if (uv_async_init(&node->loop, &node->wake, node_woken) != 0) {
        uv_loop_close(&node->loop);
        return LASH_NOMEM;
    }
    uv_timer_init(&node->loop, &node->timer);
    uv_check_init(&node->loop, &node->check);
    node->timer.data = node;
    node->check.data = node;
    node->loop_open = true;
    if (node->ring.open && ring_attach(&node->ring, &node->loop) != 0)
        node->env.write = NULL;
    return node_open_transport(node);
}

/* Start the threads, with all signals blocked: they are the program's business, and SIGPIPE is nobody's. */
static int node_start(struct lash_node *node) {
    static const char *const names[] = {[REPLICA_LOG] = "lash-log",
                                        [REPLICA_APPLY] = "lash-apply",
                                        [REPLICA_READ] = "lash-read",
                                        [REPLICA_SNAPSHOT] = "lash-snapshot",
                                        [REPLICA_COPY] = "lash-copy"};
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    uv_check_start(&node->check, node_check);
    int error = 0;
    while (!error && node->executor_count < REPLICA_EXECUTORS) {
        uint32_t i = node->executor_count;
        error = executor_open(&node->executors[i], names[i], node_wake, node);
        node->executor_count += !error;
    }
    if (!error && uv_thread_create(&node->thread, node_run, node) != 0)
        error = LASH_NOMEM;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* Free what was opened; no loop thread runs. */
static void node_free(struct lash_node *node) {
    for (uint32_t i = 0; i < node->executor_count; i++)
        executor_close(&node->executors[i]); /* none may wake a loop that is gone */
    if (node->loop_open) {
        node_tear_down(node);
        uv_run(&node->loop, UV_RUN_DEFAULT);
        int busy = uv_loop_close(&node->loop);
        LASH_ASSERT(busy == 0);
    }
    ring_close(&node->ring);
    if (node->replica)
        replica_free(node->replica);
    if (node->repair)
        repair_free(node->repair);
    log_close(node->log);
    snapshots_close(node->snapshots);
    settings_release(&node->options);
    uv_mutex_destroy(&node->mutex);
    roster_unref(node->roster);
    roster_unref(node->contacts);
    roster_unref(node->latest);
    roster_unref(node->identity.first);
    mem_free(node);
}

int lash_node_open(const struct lash_node_options *options, const struct lash_state_machine *machine,
                   lash_node **node) {
    if (!options || !machine || !machine->apply || !node || !settings_machine(machine))
        return LASH_INVALID;
    struct lash_node_options settings;
    int error = settings_check(options, &settings);
    if (error)
        return error;
    lash_node *new = mem_calloc(1, sizeof *new);
    if (!new)
        return LASH_NOMEM;
    new->options = settings;
    new->machine = *machine;
    error = settings_keep(&new->options);
    list_init(&new->incoming);
    list_init(&new->quick);
    list_init(&new->asked);
    if (error || uv_mutex_init(&new->mutex) != 0) {
        settings_release(&new->options);
        mem_free(new);
        return LASH_NOMEM;
    }
    error = node_open_replica(new);
    if (!error)
        error = node_open_loop(new);
    if (!error) {
        node_look(new, &new->status);
        new->begun = new->replica != NULL;
        new->roster = new->replica ? roster_ref(replica_roster(new->replica)) : NULL;
        error = node_start(new);
    }
    if (error) {
        node_free(new);
        return error;
    }
    *node = new;
    return 0;
}

void lash_node_close(lash_node *node) {
    if (!node)
        return;
    uv_mutex_lock(&node->mutex);
    node->closing = true;
    uv_async_send(&node->wake);
    uv_mutex_unlock(&node->mutex);
    uv_thread_join(&node->thread);
    node_free(node);
}

/* ---- Observation --------------------------------------------------------------------------------- */

int lash_node_status(lash_node *node, struct lash_status *status) {
    uv_mutex_lock(&node->mutex);
    *status = node->status;
    uv_mutex_unlock(&node->mutex);
    status->pending_requests = request_count(&node->gauge);
    return 0;
}

int lash_node_metrics(lash_node *node, struct lash_metrics *metrics) {
    uv_mutex_lock(&node->mutex);
    *metrics = node->metrics;
    bool begun = node->begun;
    uv_mutex_unlock(&node->mutex);
    if (begun)
        replica_metrics(node->replica, metrics);
    return 0;
}
