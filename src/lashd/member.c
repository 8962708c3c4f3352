/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's life: see member.h.
 */
#include "lashd/member.h"

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/logger.h"
#include "lash/node.h"
#include "lashd/memory.h"

enum {
    MEMBER_DRAIN_MS = 2000,                /* that requests under way get at the end */
    MEMBER_LOOK_S = 1,                     /* between looks at whether the node still takes part */
    MEMBER_FILES_MAX = 65536,              /* open files that are asked for */
    MEMBER_FILES_OWN = 256,                /* of them for log, store and peers */
    MEMBER_CONNECTIONS_MIN = 16,           /* however few files there are */
    MEMBER_CONNECTIONS_MAX = 8192,         /* and however many */
    MEMBER_ENTRY_BYTES = 16 * 1024 * 1024, /* the node's default for a command */
    MEMBER_APPLY_LAG_MAX =
        20000, /* entries beyond which requests are refused; etcd, which commits a quarter as many in a second, has 5,000 */
    MEMBER_RESERVE_BYTES = 8 * 1024 * 1024 /* of the disk, for what is under way when it fills up */
};

struct member {
    const struct config *config;
    char *problem;
    size_t problem_size;
    struct server_address addresses[CONFIG_URLS_MAX];
    const char *client_urls[CONFIG_URLS_MAX];
    struct store *store;
    struct server *server;
    lash_node *node;
    lash_index applied; /* by the store when it was opened */
    bool removed;       /* from the cluster */
};

static bool member_failed(struct member *member, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool member_failed(struct member *member, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(member->problem, member->problem_size, format, arguments);
    va_end(arguments);
    return false;
}

/* It was removed: end, and do not come back. */
static bool member_removed(struct member *member) {
    member->removed = true;
    return member_failed(member,
                         "member %" PRIx64
                         " (%s) was removed from the cluster, and ends; its data in %s is of no use any "
                         "more",
                         member->config->member_id, member->config->name, member->config->data_dir);
}

/* ---- Signals ----------------------------------------------------------------------------------- */

static sem_t member_wake;
static volatile sig_atomic_t member_signals;

static void member_signal(int number) {
    if (member_signals++)
        _exit(128 + number);
    sem_post(&member_wake);
}

static void member_catch_signals(void) {
    struct sigaction action = {.sa_handler = member_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int failed = sem_init(&member_wake, 0, 0);
    LASH_ASSERT(failed == 0);
    sigemptyset(&action.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

/* ---- The directory ----------------------------------------------------------------------------- */

/* Create the data directory and those above it. */
static bool member_make_dir(struct member *member) {
    char path[sizeof member->config->data_dir];
    snprintf(path, sizeof path, "%s", member->config->data_dir);
    for (char *at = path + 1;; at++) {
        char here = *at;
        if (here != '/' && here != '\0')
            continue;
        *at = '\0';
        if (mkdir(path, 0700) && errno != EEXIST)
            return member_failed(member, "cannot create the data directory %s: %s: %s; choose another --data-dir",
                                 member->config->data_dir, path, strerror(errno));
        *at = here;
        if (here == '\0')
            break;
    }
    if (access(member->config->data_dir, R_OK | W_OK | X_OK))
        return member_failed(member, "cannot use the data directory %s: %s; see to its owner and mode",
                             member->config->data_dir, strerror(errno));
    return true;
}

static void member_path(const struct member *member, const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", member->config->data_dir, name);
}

/* ---- The parts --------------------------------------------------------------------------------- */

/* As many connections as the limit of open files leaves room for. */
static uint32_t member_connections(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return MEMBER_CONNECTIONS_MIN;
    rlim_t wanted = limit.rlim_max < MEMBER_FILES_MAX ? limit.rlim_max : MEMBER_FILES_MAX;
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = {.rlim_cur = wanted, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    if (limit.rlim_cur < MEMBER_FILES_OWN + MEMBER_CONNECTIONS_MIN)
        return MEMBER_CONNECTIONS_MIN;
    rlim_t room = limit.rlim_cur - MEMBER_FILES_OWN;
    return room < MEMBER_CONNECTIONS_MAX ? (uint32_t)room : MEMBER_CONNECTIONS_MAX;
}

static bool member_open_store(struct member *member) {
    char path[sizeof member->config->data_dir + 16];
    member_path(member, "store", path, sizeof path);
    struct store_options options = {.dir = path, .reserve_bytes = MEMBER_RESERVE_BYTES, .now_ns = uv_hrtime};
    int error = store_open(&options, &member->store, &member->applied);
    if (error == LASH_BUSY)
        return member_failed(member,
                             "the data directory %s is in use by another process; stop that one, or choose "
                             "another --data-dir",
                             member->config->data_dir);
    if (error == LASH_CORRUPT)
        return member_failed(
            member, "the database in %s is damaged; delete that directory, and it is rebuilt from the log", path);
    if (error == LASH_VERSION)
        return member_failed(member, "the database in %s was written by a newer version; start that version", path);
    if (error)
        return member_failed(member, "cannot open the database in %s: %s; the log lines above say more", path,
                             lash_strerror(error));
    return true;
}

static bool member_open_server(struct member *member) {
    const struct config *config = member->config;
    for (size_t i = 0; i < config->listen_client_count; i++)
        member->addresses[i] =
            (struct server_address){url_listen_host(&config->listen_client[i]), config->listen_client[i].port};
    for (size_t i = 0; i < config->advertise_client_count; i++)
        member->client_urls[i] = config->advertise_client[i].text;
    struct server_options options = {
        .addresses = member->addresses,
        .address_count = config->listen_client_count,
        .store = member->store,
        .cluster_id = config->cluster_id,
        .member_id = config->member_id,
        .name = config->name,
        .client_urls = member->client_urls,
        .client_url_count = config->advertise_client_count,
        .ops_max = config->ops_max,
        .request_bytes_max = config->request_bytes_max,
        .connections_max = member_connections(),
        .learners_max = config->learners_max,
        .reconfig_unchecked = !config->reconfig_checked,
    };
    const struct server_address *failed;
    int error = server_open(&options, &member->server, &failed);
    if (!error)
        return true;
    if (!failed)
        return member_failed(member, "cannot start the server for clients: %s", lash_strerror(error));
    return member_failed(member, "cannot listen for clients on %s port %u: %s; change --listen-client-urls",
                         failed->host, (unsigned)failed->port,
                         error == LASH_BUSY      ? "another process uses it"
                         : error == LASH_INVALID ? "it is no address of this machine"
                                                 : lash_strerror(error));
}

static bool member_explain_node(struct member *member, int error) {
    const struct config *config = member->config;
    switch (error) {
    case LASH_BUSY:
        return member_failed(member,
                             "the data directory %s or the peer address %s is in use by another process; stop "
                             "that one, or change --data-dir or --listen-peer-urls",
                             config->data_dir, config->listen_peer.text);
    case LASH_MISMATCH:
        return member_failed(member,
                             "the data in %s is that of another cluster or member than its log says; restore the "
                             "directory as it was, or start anew with another --data-dir",
                             config->data_dir);
    case LASH_REMOVED:
        return member_removed(member);
    case LASH_CORRUPT:
        return member_failed(member,
                             "the log in %s/log is damaged where it had been durable, so this member may lack what "
                             "it acknowledged; the log line above says where; keep the directory for inspection",
                             config->data_dir);
    case LASH_VERSION:
        return member_failed(member, "the data in %s was written by a newer version; start that version",
                             config->data_dir);
    default:
        return member_failed(member,
                             "cannot start the node with data in %s and peers on %s: %s; the log lines above "
                             "say more",
                             config->data_dir, config->listen_peer.text, lash_strerror(error));
    }
}

/* On the node's thread. */
static void member_happened(void *context, const struct lash_observation *observation) {
    struct member *member = context;
    server_observe(member->server, observation);
    if (observation->kind == LASH_OBSERVED_ERROR || observation->kind == LASH_OBSERVED_REMOVED)
        sem_post(&member_wake);
}

static bool member_open_node(struct member *member) {
    const struct config *config = member->config;
    struct lash_peer peers[LASH_RAFT_MEMBERS_MAX];
    for (size_t i = 0; i < config->member_count; i++)
        peers[i] = (struct lash_peer){.id = config->members[i].id,
                                      .host = config->members[i].peer.host,
                                      .port = config->members[i].peer.port,
                                      .priority = config->members[i].priority};
    struct lash_node_options options = {
        .id = config->member_id,
        .cluster_id = config->cluster_id,
        .data_dir = config->data_dir, /* it keeps its log in log/ there */
        .listen_host = url_listen_host(&config->listen_peer),
        .listen_port = config->listen_peer.port,
        .peers = peers,
        .peer_count = config->member_count,
        .heartbeat_ms = config->heartbeat_ms,
        .election_ms = config->election_ms,
        .no_leases = config->lease_drift == 0,
        .lease_drift = (uint32_t)config->lease_drift,
        .segment_bytes = config->log_segment_bytes,
        .no_io_uring = !config->io_uring,
        .snapshot_bytes_min = config->snapshot_log_bytes,
        .trailing_bytes = config->snapshot_trailing_bytes,
        .snapshot_rate = config->snapshot_rate,
        .apply_lag_max = MEMBER_APPLY_LAG_MAX,
        .joining = config->joins,
        .features = SERVER_FEATURES,
        .applied = member->applied,
        .happened = member_happened,
        .observe_context = member,
    };
    if (config->request_bytes_max > MEMBER_ENTRY_BYTES) /* a peer with another limit may still forward what it allows */
        options.entry_bytes_max = config->request_bytes_max;
    struct lash_state_machine machine = store_machine_with_snapshots(member->store);
    int error = lash_node_open(&options, &machine, &member->node);
    return error ? member_explain_node(member, error) : true;
}

/* ---- The life ---------------------------------------------------------------------------------- */

/* Wait for a signal, and look from time to time whether the node goes on, or is being repaired. False when it does not. */
static bool member_wait(struct member *member) {
    while (!member_signals) {
        struct lash_status status;
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += MEMBER_LOOK_S;
        sem_timedwait(&member_wake, &until);
        store_rest(member->store);
        memory_rest();
        if (lash_node_status(member->node, &status) || !status.error || status.error == LASH_DAMAGED)
            continue;
        return status.error == LASH_REMOVED
                   ? member_removed(member)
                   : member_failed(member, "the node has stopped taking part: %s; the log lines above say why",
                                   lash_strerror(status.error));
    }
    return true;
}

static void member_handed_over(void *argument, int error, lash_index index) {
    const struct member *member = argument;
    (void)index;
    if (error)
        log_warn("could not hand leadership over; an election follows", F_ERR(error));
    else
        log_info("leadership handed over", F_HEX("member", member->config->member_id));
    sem_post(&member_wake);
}

/* A leader that ends hands its office over first, so that clients see no election. The node itself gives up after an
 * election timeout; a second signal ends the process at once. */
static void member_hand_over(struct member *member) {
    struct lash_status status;
    if (lash_node_status(member->node, &status) || status.raft.role != LASH_LEADER || status.raft.progress_count < 2)
        return;
    while (sem_trywait(&member_wake) == 0)
        continue;
    if (lash_node_transfer(member->node, 0, member_handed_over, member))
        return;
    while (sem_wait(&member_wake) && errno == EINTR)
        continue;
}

static bool member_serve(struct member *member) {
    int error = server_start(member->server, member->node);
    if (error)
        return member_failed(member, "cannot start the server for clients: %s", lash_strerror(error));
    bool good = member_wait(member);
    log_info("stopping", F_STR("name", member->config->name), F_HEX("member", member->config->member_id));
    member_hand_over(member);
    server_drain(member->server, MEMBER_DRAIN_MS);
    return good;
}

enum lashd_exit member_run(const struct config *config, char *problem, size_t problem_size) {
    struct member member = {.config = config, .problem_size = problem_size};
    member.problem = problem;
    member_catch_signals();
    log_info("starting", F_STR("name", config->name), F_HEX("member", config->member_id),
             F_HEX("cluster", config->cluster_id), F_STR("version", LASHD_VERSION), F_STR("data", config->data_dir),
             F_STR("clients", config->listen_client[0].text), F_STR("peers", config->listen_peer.text));
    bool good = member_make_dir(&member) && member_open_store(&member) && member_open_server(&member) &&
                member_open_node(&member) && member_serve(&member);
    lash_node_close(member.node);
    server_close(member.server);
    store_close(member.store);
    if (good)
        log_info("stopped", F_STR("name", config->name));
    if (good)
        return LASHD_EXIT_OK;
    return member.removed ? LASHD_EXIT_REMOVED : LASHD_EXIT_FAILED;
}
