/* SPDX-License-Identifier: Apache-2.0
 *
 * Commits through liblash: one process per replica, and in the leader's process
 * the clients, each of which proposes its next command when its last is applied.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "bench/bench.h"
#include "bench/scratch.h"
#include "lash/log.h"
#include "lash/node.h"
#include "lashctl/clock.h"
#include "lashctl/kv_load.h"

#define COMMIT_HOST "127.0.0.1"

struct commit_client {
    struct commit *commit;
    uint64_t began;
};

struct commit {
    const struct bench_options *options;
    struct scratch scratch;
    uint16_t ports[CREW_MAX];
    int holders[CREW_MAX]; /* sockets that hold the ports */
    int held;
    /* in a member's process */
    lash_node *node;
    uint64_t counter; /* the state machine: commands applied; apply thread */
    struct load load;
    struct commit_client *clients;
    void *value;
    _Atomic int error; /* of the last operation that failed */
    lash_term term;    /* when this member became leader */
};

/* ---- In a member's process ------------------------------------------------------------------------- */

static int commit_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    (void)commands, (void)last;
    struct commit *commit = context;
    commit->counter += count;
    return 0;
}

/* Snapshots, so that the log is trimmed and its files are used again, as they are where a program runs for long. */
static int commit_snapshot_begin(void *context, lash_index index, void **view) {
    (void)index;
    const struct commit *commit = context;
    uint64_t *counter = mem_alloc(sizeof *counter);
    if (!counter)
        return LASH_NOMEM;
    *counter = commit->counter;
    *view = counter;
    return 0;
}

static int commit_snapshot_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    (void)context;
    return lash_snapshot_write(sink, view, sizeof(uint64_t));
}

static void commit_snapshot_end(void *context, void *view) {
    (void)context;
    mem_free(view);
}

static int commit_restore(void *context, struct lash_snapshot_source *source, lash_index index) {
    (void)index;
    struct commit *commit = context;
    size_t got;
    int error = lash_snapshot_read(source, &commit->counter, sizeof commit->counter, &got);
    return error || got == sizeof commit->counter ? error : LASH_CORRUPT;
}

static void commit_done(void *argument, int error, lash_index index);

static void commit_propose(struct commit_client *client) {
    struct commit *commit = client->commit;
    client->began = clock_ns();
    int error =
        lash_node_propose(commit->node, commit->value, (size_t)commit->options->value, NULL, commit_done, client);
    if (error) {
        commit->error = error;
        (void)load_ended(&commit->load, client->began, false);
    }
}

static void commit_done(void *argument, int error, lash_index index) {
    (void)index;
    struct commit_client *client = argument;
    if (error)
        client->commit->error = error;
    if (load_ended(&client->commit->load, client->began, error == 0))
        commit_propose(client);
}

static bool commit_open_node(struct commit *commit, size_t number) {
    struct lash_peer peers[CREW_MAX];
    for (int i = 0; i < commit->options->replicas; i++)
        peers[i] = (struct lash_peer){.id = (lash_id)i + 1, .host = COMMIT_HOST, .port = commit->ports[i]};
    char directory[SCRATCH_PATH_MAX + 64];
    (void)snprintf(directory, sizeof directory, "%s/replica%zu", commit->scratch.path, number + 1);
    /* all clients' commands at once, and as much again for what goes with them */
    uint64_t pending = (uint64_t)commit->options->clients * ((uint64_t)commit->options->value + 4096) * 2;
    struct lash_node_options options = {
        .id = number + 1,
        .cluster_id = 1,
        .data_dir = directory,
        .listen_host = COMMIT_HOST,
        .listen_port = commit->ports[number],
        .peers = peers,
        .peer_count = (size_t)commit->options->replicas,
        .pending_bytes_max = pending > (uint64_t)256 << 20 ? pending : 0,
    };
    struct lash_state_machine machine = {.context = commit,
                                         .apply = commit_apply,
                                         .snapshot_begin = commit_snapshot_begin,
                                         .snapshot_write = commit_snapshot_write,
                                         .snapshot_end = commit_snapshot_end,
                                         .restore = commit_restore,
                                         .quick = true};
    lash_set_log(NULL, NULL, LASH_LOG_ERROR);
    int error = lash_node_open(&options, &machine, &commit->node);
    if (error)
        (void)fprintf(stderr, "lash-bench: cannot open a replica: %s\n", lash_strerror(error));
    return error == 0;
}

static bool commit_open(void *context, size_t number, struct crew_result *result) {
    struct commit *commit = context;
    size_t clients = (size_t)commit->options->clients;
    commit->clients = mem_calloc(clients, sizeof *commit->clients);
    commit->value = mem_alloc((size_t)commit->options->value);
    if (!commit->clients || !commit->value || !load_open(&commit->load, &result->load)) {
        (void)fprintf(stderr, "lash-bench: out of memory\n");
        return false;
    }
    kv_load_fill(commit->value, (size_t)commit->options->value);
    for (size_t i = 0; i < clients; i++)
        commit->clients[i].commit = commit;
    return commit_open_node(commit, number);
}

/* As leader of a term in which it can commit, with all others connected. */
static bool commit_ready(void *context) {
    struct commit *commit = context;
    struct lash_status status;
    (void)lash_node_status(commit->node, &status);
    commit->term = status.raft.term;
    return status.raft.role == LASH_LEADER && status.raft.last_term == status.raft.term &&
           status.raft.commit == status.raft.last_index &&
           status.peers_connected == (uint32_t)commit->options->replicas - 1;
}

static void commit_start(void *context) {
    struct commit *commit = context;
    /* each joins before the first can leave */
    for (int i = 0; i < commit->options->clients; i++)
        load_join(&commit->load);
    for (int i = 0; i < commit->options->clients; i++)
        commit_propose(&commit->clients[i]);
}

static void commit_measure(void *context, bool on) {
    struct commit *commit = context;
    load_measure(&commit->load, on);
}

static bool commit_stop(void *context) {
    struct commit *commit = context;
    load_stop(&commit->load);
    struct lash_status status;
    (void)lash_node_status(commit->node, &status);
    if (commit->load.result->failures > 0)
        (void)fprintf(stderr, "lash-bench: %llu operations failed: %s\n",
                      (unsigned long long)commit->load.result->failures, lash_strerror(commit->error));
    else if (status.raft.term != commit->term || status.raft.role != LASH_LEADER)
        (void)fprintf(stderr, "lash-bench: the leader changed, so that the clients were with a follower; try again\n");
    else
        return true;
    return false;
}

static void commit_close(void *context) {
    struct commit *commit = context;
    lash_node_close(commit->node);
    load_close(&commit->load);
    mem_free(commit->clients);
    mem_free(commit->value);
}

/* ---- In the parent --------------------------------------------------------------------------------- */

/* Ports that nobody uses, nor is given as long as sockets hold them: those do not listen and allow to share, as a
 * replica's listener does, which can so take its port. */
static bool commit_hold_ports(struct commit *commit) {
    int one = 1;
    for (; commit->held < commit->options->replicas; commit->held++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        int holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (holder < 0 || setsockopt(holder, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
            bind(holder, (struct sockaddr *)&address, size) != 0 ||
            getsockname(holder, (struct sockaddr *)&address, &size) != 0) {
            perror("lash-bench: cannot choose ports");
            if (holder >= 0)
                (void)close(holder);
            return false;
        }
        commit->ports[commit->held] = ntohs(address.sin_port);
        commit->holders[commit->held] = holder;
    }
    return true;
}

static void commit_let_ports_go(struct commit *commit) {
    while (commit->held > 0)
        (void)close(commit->holders[--commit->held]);
}

bool bench_commit(const struct bench_options *options) {
    static const struct crew_work work = {.open = commit_open,
                                          .ready = commit_ready,
                                          .start = commit_start,
                                          .measure = commit_measure,
                                          .stop = commit_stop,
                                          .close = commit_close};
    struct commit commit = {.options = options};
    struct crew_phases phases = {.warm_up_seconds = options->warm_up, .seconds = options->seconds};
    struct crew_result *result;
    if (!scratch_make(&commit.scratch, options->directory))
        return false;
    bool well = commit_hold_ports(&commit) && crew_run((size_t)options->replicas, &work, &commit, &phases, &result);
    commit_let_ports_go(&commit);
    scratch_remove(&commit.scratch);
    if (well) {
        bench_report("commit", options, result);
        crew_result_free(result);
    }
    return well;
}
