/* SPDX-License-Identifier: Apache-2.0
 *
 * The page of metrics: the node is asked on the loop's thread, the rest is looked up
 * and written on a worker.
 */
#include "api/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/exposition.h"
#include "api/membership.h"
#include "api/methods.h"
#include "api/usage.h"
#include "base/assert.h"
#include "base/names.h"

enum { METRICS_ID_SIZE = 24 };

/* All that the page tells, gathered before it is written. */
struct metrics_sources {
    struct lash_status status;
    struct lash_metrics node;
    struct store_stats store;
    struct lash_histogram store_commits;
    struct usage usage;
    uint64_t connections;

    /* What follows from them. */
    uint64_t has_leader, is_leader, is_learner, full, slow, failed, damaged, peers_connected;
    uint64_t apply_lag;
    int64_t cluster_version;
    uint64_t sent_bytes, received_bytes; /* of clients' messages */
};

/* ---- Single numbers ------------------------------------------------------------------------------ */

enum metrics_form { METRICS_COUNT, METRICS_INTEGER, METRICS_SECONDS };

/* A family with one sample without labels: a 64-bit number of the sources. */
struct metrics_number {
    const char *name;
    enum exposition_type type;
    enum metrics_form form;
    size_t at;
    const char *help;
};

#define COUNTER(name, field, help)                                                                                     \
    { name, EXPOSITION_COUNTER, METRICS_COUNT, offsetof(struct metrics_sources, field), help }
#define GAUGE(name, field, help)                                                                                       \
    { name, EXPOSITION_GAUGE, METRICS_COUNT, offsetof(struct metrics_sources, field), help }
#define OF_FORM(name, type, form, field, help)                                                                         \
    { name, type, form, offsetof(struct metrics_sources, field), help }

static const struct metrics_number metrics_numbers[] = {
    GAUGE("etcd_server_has_leader", has_leader, "Whether or not a leader exists. 1 is existence, 0 is not."),
    GAUGE("etcd_server_is_leader", is_leader, "Whether or not this member is a leader. 1 if is, 0 otherwise."),
    GAUGE("etcd_server_is_learner", is_learner, "Whether or not this member is a learner. 1 if is, 0 otherwise."),
    COUNTER("etcd_server_leader_changes_seen_total", node.leader_changes, "The number of leader changes seen."),
    GAUGE("etcd_server_proposals_committed_total", status.raft.commit, "The commit index."),
    GAUGE("etcd_server_proposals_applied_total", status.raft.applied, "The applied index."),
    GAUGE("etcd_server_proposals_pending", node.proposals_pending, "Proposals made here that have not ended."),
    COUNTER("etcd_server_proposals_failed_total", node.proposals_failed,
            "Proposals made here that ended with an error."),
    COUNTER("etcd_server_read_indexes_failed_total", node.reads_failed,
            "Linearizable reads asked for here that ended with an error."),
    GAUGE("etcd_disk_wal_write_bytes_total", node.log_bytes, "Bytes of entries written to the log."),
    GAUGE("etcd_mvcc_db_total_size_in_bytes", store.size, "Size of the store's file."),
    GAUGE("etcd_mvcc_db_total_size_in_use_in_bytes", store.size_in_use, "Bytes of the store's file that hold data."),
    GAUGE("etcd_server_quota_backend_bytes", store.size_max, "Size of the store beyond which writes are refused."),
    OF_FORM("etcd_debugging_mvcc_current_revision", EXPOSITION_GAUGE, METRICS_INTEGER, store.revision,
            "The current revision of the store."),
    OF_FORM("etcd_debugging_mvcc_compact_revision", EXPOSITION_GAUGE, METRICS_INTEGER, store.compact_revision,
            "The revision of the last compaction; -1: there was none."),
    COUNTER("etcd_network_client_grpc_received_bytes_total", received_bytes, "Bytes of clients' gRPC messages."),
    COUNTER("etcd_network_client_grpc_sent_bytes_total", sent_bytes, "Bytes of gRPC messages sent to clients."),
    COUNTER("lash_pre_elections_total", node.pre_elections, "Pre-votes asked for by this member."),
    COUNTER("lash_elections_total", node.elections, "Elections in which this member stood."),
    COUNTER("lash_elections_won_total", node.elections_won, "Elections that this member won."),
    GAUGE("lash_raft_term", status.raft.term, "The current term."),
    GAUGE("lash_log_first_index", status.raft.first_index, "The first index that the log holds."),
    GAUGE("lash_log_last_index", status.raft.last_index, "The last index of the log."),
    GAUGE("lash_log_durable_index", status.raft.durable_index, "The log is on disk up to this index."),
    GAUGE("lash_log_size_bytes", status.log_bytes, "Size of the log's files."),
    GAUGE("lash_snapshot_index", status.snapshot.index, "The index of this member's newest snapshot; 0: none."),
    GAUGE("lash_snapshot_size_bytes", status.snapshot.bytes, "Size of the newest snapshot."),
    GAUGE("lash_snapshot_taking_bytes", status.snapshot.taken, "Bytes written of the snapshot being taken."),
    GAUGE("lash_snapshot_receiving_bytes", status.snapshot.received, "Bytes got of the snapshot being received."),
    COUNTER("lash_snapshots_taken_total", node.snapshots_taken, "Snapshots taken."),
    COUNTER("lash_snapshots_failed_total", node.snapshots_failed, "Snapshots that could not be taken."),
    COUNTER("lash_snapshots_installed_total", node.snapshots_installed, "Snapshots that came from a peer."),
    COUNTER("lash_snapshots_sent_total", node.snapshots_sent, "Snapshots sent to peers."),
    COUNTER("lash_snapshot_send_failures_total", node.snapshot_send_failures, "Snapshots to peers that broke off."),
    COUNTER("lash_snapshot_sent_bytes_total", node.snapshot_bytes_sent, "Bytes of snapshots sent to peers."),
    COUNTER("lash_snapshot_received_bytes_total", node.snapshot_bytes_received,
            "Bytes of snapshots received from peers."),
    COUNTER("lash_log_writes_total", node.log_writes, "Batches written to the log and synced."),
    GAUGE("lash_apply_lag_entries", apply_lag, "Entries that are committed and not applied here."),
    OF_FORM("lash_apply_lag_seconds", EXPOSITION_GAUGE, METRICS_SECONDS, node.apply_lag_ns,
            "How long the oldest entry that is committed and not applied here has been so."),
    COUNTER("lash_proposals_total", node.proposals, "Proposals made here."),
    COUNTER("lash_reads_total", node.reads, "Reads asked for here that are not serializable."),
    COUNTER("lash_reads_by_lease_total", node.reads_by_lease, "Of these: for which a lease does."),
    COUNTER("lash_reads_stale_total", node.reads_stale, "Of these: for which an answer of a limited age does."),
    GAUGE("lash_disk_full", full, "1: a disk has no room, and this member takes no entries."),
    GAUGE("lash_disk_slow", slow, "1: the log's disk is slow, and this member does not lead if another can."),
    OF_FORM("lash_log_write_smoothed_seconds", EXPOSITION_GAUGE, METRICS_SECONDS, node.write_ns,
            "What a write of the log takes with its sync, smoothed: by this a disk is slow."),
    GAUGE("lash_failed", failed, "1: this member has stopped taking part; its log says why."),
    GAUGE("lash_log_damaged", damaged, "1: this member's log is being repaired, and until then it takes no part."),
    GAUGE("lash_peers_connected", peers_connected, "Peers that can be sent to."),
    OF_FORM("lash_cluster_version", EXPOSITION_GAUGE, METRICS_INTEGER, cluster_version,
            "The version of what log and data may hold, as all members know it."),
    GAUGE("lash_client_connections", connections, "Connections of clients."),
    GAUGE("lash_store_index_entries", store.index_entries,
          "Entries of the store's index: keys, also deleted ones before compaction, and parts of long keys."),
    OF_FORM("process_cpu_seconds_total", EXPOSITION_COUNTER, METRICS_SECONDS, usage.cpu_ns,
            "Total user and system CPU time spent in seconds."),
    OF_FORM("process_start_time_seconds", EXPOSITION_GAUGE, METRICS_SECONDS, usage.start_ns,
            "Start time of the process since unix epoch in seconds."),
    GAUGE("process_resident_memory_bytes", usage.resident_bytes, "Resident memory size in bytes."),
    GAUGE("process_virtual_memory_bytes", usage.virtual_bytes, "Virtual memory size in bytes."),
    GAUGE("process_open_fds", usage.open_files, "Number of open file descriptors."),
    GAUGE("process_max_fds", usage.files_max, "Maximum number of open file descriptors."),
};

static void metrics_write_numbers(struct exposition *page, const struct metrics_sources *sources) {
    for (size_t i = 0; i < sizeof metrics_numbers / sizeof *metrics_numbers; i++) {
        const struct metrics_number *number = &metrics_numbers[i];
        const void *at = (const uint8_t *)sources + number->at;
        exposition_family(page, number->name, number->type, number->help);
        if (number->form == METRICS_INTEGER)
            exposition_integer(page, NULL, *(const int64_t *)at);
        else if (number->form == METRICS_SECONDS)
            exposition_seconds(page, NULL, *(const uint64_t *)at);
        else
            exposition_count(page, NULL, *(const uint64_t *)at);
    }
}

/* ---- What has labels ----------------------------------------------------------------------------- */

static struct exposition_labels metrics_label(const char *name, const char *value) {
    return (struct exposition_labels){.labels = {{name, value}}};
}

/* A gauge that is 1, and says something by its label. */
static void metrics_write_fact(struct exposition *page, const char *family, const char *help, const char *name,
                               const char *value) {
    const struct exposition_labels labels = metrics_label(name, value);
    exposition_family(page, family, EXPOSITION_GAUGE, help);
    exposition_count(page, &labels, 1);
}

/* How many members there are by the configuration in force here. */
static void metrics_write_members(struct exposition *page, const struct lash_raft_status *raft) {
    const struct exposition_labels voter = metrics_label("kind", "voter");
    const struct exposition_labels learner = metrics_label("kind", "learner");
    uint64_t voters = 0;
    for (uint32_t i = 0; i < raft->configuration.count; i++)
        voters += (raft->configuration.members[i].flags & LASH_MEMBER_VOTER) != 0;
    exposition_family(page, "lash_members", EXPOSITION_GAUGE, "Members, by the configuration in force here.");
    exposition_count(page, &voter, voters);
    exposition_count(page, &learner, raft->configuration.count - voters);
}

static void metrics_write_facts(struct exposition *page, const struct metrics_sources *sources) {
    char id[METRICS_ID_SIZE];
    snprintf(id, sizeof id, "%" PRIx64, sources->status.raft.id);
    metrics_write_fact(page, "etcd_server_version", "Which version is running. 1 for 'server_version' label.",
                       "server_version", SERVER_VERSION);
    metrics_write_fact(page, "etcd_cluster_version", "Which version is running. 1 for 'cluster_version' label.",
                       "cluster_version", SERVER_CLUSTER_MINOR);
    metrics_write_fact(page, "etcd_server_id", "Server or member ID in hexadecimal format. 1 for 'server_id' label.",
                       "server_id", id);
    exposition_family(page, "lash_raft_role", EXPOSITION_GAUGE, "1 for the role that this member has.");
    for (uint32_t role = 0; role < NAMES_ROLES; role++) {
        const struct exposition_labels labels = metrics_label("role", names_roles[role]);
        exposition_count(page, &labels, sources->status.raft.role == role);
    }
    metrics_write_members(page, &sources->status.raft);
}

static void metrics_write_histograms(struct exposition *page, const struct metrics_sources *sources) {
    const struct {
        const char *name;
        const struct lash_histogram *histogram;
        const char *help;
    } families[] = {
        {"etcd_disk_wal_fsync_duration_seconds", &sources->node.sync, "How long a sync of the log takes."},
        {"etcd_disk_backend_commit_duration_seconds", &sources->store_commits,
         "How long a commit of the store takes, which is not synced."},
        {"etcd_debugging_snap_save_total_duration_seconds", &sources->node.snapshot_save,
         "How long it takes from the begin of a snapshot until it is durable."},
        {"lash_snapshot_restore_duration_seconds", &sources->node.snapshot_restore,
         "How long it takes to restore the state machine from a snapshot."},
        {"lash_commit_duration_seconds", &sources->node.commit,
         "From the leader's taking an entry to its commitment, of the entries that this member led."},
        {"lash_apply_duration_seconds", &sources->node.apply,
         "From this member's knowing an entry committed to its having applied it."},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        exposition_family(page, families[i].name, EXPOSITION_HISTOGRAM, families[i].help);
        exposition_histogram(page, NULL, families[i].histogram);
    }
}

static void metrics_write_queues(struct exposition *page, const struct metrics_sources *sources) {
    const struct lash_metrics *node = &sources->node;
    const struct {
        const char *queue;
        uint64_t depth;
    } queues[] = {
        {"proposals", node->proposals_pending}, {"proposals_sent", node->proposals_sent},
        {"reads", node->reads_pending},         {"log", node->log_queued_frames},
        {"messages", node->messages_held},      {"apply", sources->apply_lag},
    };
    exposition_family(page, "lash_queue_depth", EXPOSITION_GAUGE, "What waits in each queue.");
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        const struct exposition_labels labels = metrics_label("queue", queues[i].queue);
        exposition_count(page, &labels, queues[i].depth);
    }
    const struct exposition_labels requests = metrics_label("queue", "requests");
    const struct exposition_labels log = metrics_label("queue", "log");
    const struct exposition_labels uncommitted = metrics_label("queue", "uncommitted");
    const struct exposition_labels parts = metrics_label("queue", "parts");
    exposition_family(page, "lash_queue_bytes", EXPOSITION_GAUGE, "What the queues hold.");
    exposition_count(page, &requests, node->pending_bytes);
    exposition_count(page, &log, node->log_queued_bytes);
    exposition_count(page, &uncommitted, node->uncommitted_bytes);
    exposition_count(page, &parts, node->parts_bytes);
}

/* ---- Peers --------------------------------------------------------------------------------------- */

/* A family with a sample for each peer. */
struct metrics_of_peer {
    const char *name;
    const char *label;
    enum exposition_type type;
    size_t at;
    const char *help;
};

#define PEER(name, label, type, field, help)                                                                           \
    { name, label, type, offsetof(struct lash_peer_metrics, field), help }

static const struct metrics_of_peer metrics_peer_numbers[] = {
    PEER("etcd_network_peer_sent_bytes_total", "To", EXPOSITION_COUNTER, bytes_sent,
         "The total number of bytes sent to peers."),
    PEER("etcd_network_peer_received_bytes_total", "From", EXPOSITION_COUNTER, bytes_received,
         "The total number of bytes received from peers."),
    PEER("etcd_network_peer_sent_failures_total", "To", EXPOSITION_COUNTER, send_failures,
         "The total number of send failures from peers."),
    PEER("lash_peer_sent_packets_total", "To", EXPOSITION_COUNTER, packets_sent, "Packets sent to the peer."),
    PEER("lash_peer_received_packets_total", "From", EXPOSITION_COUNTER, packets_received,
         "Packets received from the peer."),
    PEER("lash_peer_connects_total", "To", EXPOSITION_COUNTER, connects, "Connections to the peer that became ready."),
    PEER("lash_peer_queue_packets", "To", EXPOSITION_GAUGE, queued_packets,
         "Packets that wait to be sent to the peer."),
    PEER("lash_peer_queue_bytes", "To", EXPOSITION_GAUGE, queued_bytes, "Bytes that wait to be sent to the peer."),
};

static struct exposition_labels metrics_peer_label(const char *name, lash_id peer, char id[METRICS_ID_SIZE]) {
    snprintf(id, METRICS_ID_SIZE, "%" PRIx64, peer);
    return metrics_label(name, id);
}

/* Connections, which etcd tells by both their ends. */
static void metrics_write_connections(struct exposition *page, const struct metrics_sources *sources) {
    const struct lash_metrics *node = &sources->node;
    char local[METRICS_ID_SIZE];
    char remote[METRICS_ID_SIZE];
    struct exposition_labels labels = metrics_peer_label("Local", sources->status.raft.id, local);
    exposition_family(page, "etcd_network_active_peers", EXPOSITION_GAUGE,
                      "The current number of active peer connections.");
    for (uint32_t peer = 0; peer < node->peer_count; peer++) {
        labels.labels[1] = metrics_peer_label("Remote", node->peers[peer].id, remote).labels[0];
        exposition_count(page, &labels, node->peers[peer].connected);
    }
    exposition_family(page, "etcd_network_disconnected_peers_total", EXPOSITION_COUNTER,
                      "The total number of disconnected peers.");
    for (uint32_t peer = 0; peer < node->peer_count; peer++) {
        labels.labels[1] = metrics_peer_label("Remote", node->peers[peer].id, remote).labels[0];
        exposition_count(page, &labels, node->peers[peer].disconnects);
    }
}

static void metrics_write_peers(struct exposition *page, const struct metrics_sources *sources) {
    const struct lash_metrics *node = &sources->node;
    char id[METRICS_ID_SIZE];
    for (size_t i = 0; i < sizeof metrics_peer_numbers / sizeof *metrics_peer_numbers; i++) {
        const struct metrics_of_peer *number = &metrics_peer_numbers[i];
        exposition_family(page, number->name, number->type, number->help);
        for (uint32_t peer = 0; peer < node->peer_count; peer++) {
            const struct exposition_labels labels = metrics_peer_label(number->label, node->peers[peer].id, id);
            exposition_count(page, &labels, *(const uint64_t *)((const uint8_t *)&node->peers[peer] + number->at));
        }
    }
    exposition_family(page, "etcd_network_peer_round_trip_time_seconds", EXPOSITION_HISTOGRAM,
                      "Round-Trip-Time histogram between peers");
    for (uint32_t peer = 0; peer < node->peer_count; peer++) {
        const struct exposition_labels labels = metrics_peer_label("To", node->peers[peer].id, id);
        exposition_histogram(page, &labels, &node->peers[peer].round_trip);
    }
}

/* ---- Progress, as the leader knows it ------------------------------------------------------------ */

enum metrics_progress {
    PROGRESS_MATCH,
    PROGRESS_NEXT,
    PROGRESS_LAG,
    PROGRESS_ACTIVE,
    PROGRESS_FULL,
    PROGRESS_SLOW,
    PROGRESS_INFLIGHT
};

static uint64_t metrics_progress_of(const struct lash_raft_status *raft, const struct lash_progress *progress,
                                    enum metrics_progress what) {
    switch (what) {
    case PROGRESS_MATCH:
        return progress->match;
    case PROGRESS_NEXT:
        return progress->next;
    case PROGRESS_LAG:
        return raft->last_index > progress->match ? raft->last_index - progress->match : 0;
    case PROGRESS_ACTIVE:
        return progress->active;
    case PROGRESS_FULL:
        return progress->full;
    case PROGRESS_SLOW:
        return progress->slow;
    case PROGRESS_INFLIGHT:
        break;
    }
    return progress->inflight_bytes;
}

static void metrics_write_streams(struct exposition *page, const struct lash_snapshot_status *snapshot) {
    char id[METRICS_ID_SIZE];
    exposition_family(page, "lash_peer_snapshot_sent_bytes", EXPOSITION_GAUGE,
                      "Bytes that the peer has of the snapshot being sent to it.");
    for (uint32_t i = 0; i < snapshot->stream_count; i++) {
        const struct exposition_labels labels = metrics_peer_label("To", snapshot->streams[i].peer, id);
        exposition_count(page, &labels, snapshot->streams[i].sent);
    }
    exposition_family(page, "lash_peer_snapshot_size_bytes", EXPOSITION_GAUGE,
                      "Size of the snapshot being sent to the peer.");
    for (uint32_t i = 0; i < snapshot->stream_count; i++) {
        const struct exposition_labels labels = metrics_peer_label("To", snapshot->streams[i].peer, id);
        exposition_count(page, &labels, snapshot->streams[i].bytes);
    }
}

static void metrics_write_states(struct exposition *page, const struct lash_raft_status *raft) {
    char id[METRICS_ID_SIZE];
    exposition_family(page, "lash_peer_state", EXPOSITION_GAUGE, "1 for how the leader sends to the member.");
    for (uint32_t i = 0; i < raft->progress_count; i++) {
        for (uint32_t state = 0; state < NAMES_STATES; state++) {
            struct exposition_labels labels = metrics_peer_label("To", raft->progress[i].id, id);
            labels.labels[1] = (struct exposition_label){"state", names_states[state]};
            exposition_count(page, &labels, raft->progress[i].state == state);
        }
    }
}

static void metrics_write_progress(struct exposition *page, const struct lash_raft_status *raft) {
    static const struct {
        const char *name;
        enum metrics_progress what;
        const char *help;
    } families[] = {
        {"lash_peer_match_index", PROGRESS_MATCH, "The member's log is known to be durable up to here."},
        {"lash_peer_next_index", PROGRESS_NEXT, "The next entry to be sent to the member."},
        {"lash_peer_lag_entries", PROGRESS_LAG, "Entries of the leader's log that the member is not known to have."},
        {"lash_peer_active", PROGRESS_ACTIVE, "1: the member has answered within the last election timeout."},
        {"lash_peer_disk_full", PROGRESS_FULL, "1: the member said that its disk has no room."},
        {"lash_peer_disk_slow", PROGRESS_SLOW, "1: the member said that its disk is slow."},
        {"lash_peer_inflight_bytes", PROGRESS_INFLIGHT, "Bytes of entries sent to the member and not acknowledged."},
    };
    char id[METRICS_ID_SIZE];
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        exposition_family(page, families[i].name, EXPOSITION_GAUGE, families[i].help);
        for (uint32_t member = 0; member < raft->progress_count; member++) {
            const struct lash_progress *progress = &raft->progress[member];
            const struct exposition_labels labels = metrics_peer_label("To", progress->id, id);
            exposition_count(page, &labels, metrics_progress_of(raft, progress, families[i].what));
        }
    }
    metrics_write_states(page, raft);
}

/* ---- Hand-overs ---------------------------------------------------------------------------------- */

static void metrics_write_transfers(struct exposition *page, const struct lash_metrics *node) {
    exposition_family(page, "lash_leader_transfers_total", EXPOSITION_COUNTER,
                      "Times that this member, as leader, began to hand over.");
    for (uint32_t why = LASH_TRANSFER_ASKED; why < NAMES_TRANSFERS; why++) {
        const struct exposition_labels labels = {.labels = {{"reason", names_transfers[why]}}};
        exposition_count(page, &labels, node->transfers[why]);
    }
}

/* ---- Calls --------------------------------------------------------------------------------------- */

static struct exposition_labels metrics_method_labels(const char *code, const struct call_method *method) {
    if (!code)
        return (struct exposition_labels){
            .labels = {{"grpc_method", method->name}, {"grpc_service", method->service}, {"grpc_type", "unary"}}};
    return (struct exposition_labels){.labels = {{"grpc_code", code},
                                                 {"grpc_method", method->name},
                                                 {"grpc_service", method->service},
                                                 {"grpc_type", "unary"}}};
}

static void metrics_write_calls(struct exposition *page, const struct tally *tally) {
    exposition_family(page, "grpc_server_started_total", EXPOSITION_COUNTER,
                      "Total number of RPCs started on the server.");
    for (size_t i = 0; i < methods_count(); i++) {
        const struct exposition_labels labels = metrics_method_labels(NULL, methods_at(i));
        exposition_count(page, &labels, metric_get(&tally->methods[i].started));
    }
    exposition_family(page, "grpc_server_handled_total", EXPOSITION_COUNTER,
                      "Total number of RPCs completed on the server, regardless of success or failure.");
    for (size_t i = 0; i < methods_count(); i++) {
        for (int code = 0; code < GRPC_CODES; code++) {
            char unknown[24];
            const struct exposition_labels labels = metrics_method_labels(grpc_code_name(code, unknown), methods_at(i));
            exposition_count(page, &labels, metric_get(&tally->methods[i].handled[code]));
        }
    }
}

/* ---- The page ------------------------------------------------------------------------------------ */

static void metrics_derive(struct metrics_sources *sources, const struct tally *tally) {
    const struct lash_raft_status *raft = &sources->status.raft;
    sources->has_leader = raft->leader != 0;
    sources->is_leader = raft->role == LASH_LEADER;
    sources->is_learner = membership_is_learner(raft);
    sources->full = raft->full;
    sources->slow = raft->slow;
    sources->damaged = sources->status.error == LASH_DAMAGED;
    sources->failed = sources->status.error != 0 && !sources->damaged;
    sources->peers_connected = sources->status.peers_connected;
    sources->cluster_version = sources->store.version;
    sources->apply_lag = raft->commit > raft->applied ? raft->commit - raft->applied : 0;
    sources->sent_bytes = metric_get(&tally->sent_bytes);
    sources->received_bytes = metric_get(&tally->received_bytes);
    /* Clients' reads: the node knows of those only that ask together. */
    uint64_t ended = metric_get(&tally->reads.ended);
    sources->node.reads = metric_get(&tally->reads.made);
    sources->node.reads_pending = sources->node.reads > ended ? sources->node.reads - ended : 0;
    sources->node.reads_failed = metric_get(&tally->reads.failed);
    sources->node.reads_by_lease = metric_get(&tally->reads.by_lease);
    sources->node.reads_stale = metric_get(&tally->reads.stale);
}

/* On a worker. */
static void metrics_execute(struct call *call) {
    struct metrics_sources *sources = call->kept;
    const struct tally *tally = &call->loop->tally;
    struct exposition page = {.failed = false};
    store_stats(call->loop->options->store, &sources->store);
    store_commits(call->loop->options->store, &sources->store_commits);
    usage_read(&sources->usage);
    metrics_derive(sources, tally);
    metrics_write_facts(&page, sources);
    metrics_write_numbers(&page, sources);
    metrics_write_histograms(&page, sources);
    metrics_write_queues(&page, sources);
    metrics_write_peers(&page, sources);
    metrics_write_connections(&page, sources);
    metrics_write_progress(&page, &sources->status.raft);
    metrics_write_transfers(&page, &sources->node);
    metrics_write_streams(&page, &sources->status.snapshot);
    metrics_write_calls(&page, tally);
    call_encoded(call, exposition_finish(&page));
}

static void metrics_executed(struct call *call, int error) {
    LASH_ASSERT(error == 0);
    call_finish(call);
}

void metrics_start(struct call *call, unsigned flags) {
    (void)flags; /* of health only */
    struct metrics_sources *sources = arena_calloc(call->arena, 1, sizeof *sources);
    if (!sources || loop_is_full(call->loop)) {
        call_fail(call, sources ? API_TOO_MANY_REQUESTS : API_NO_MEMORY);
        return;
    }
    if (!call_status(call, &sources->status) || !call_metrics(call, &sources->node)) {
        call_fail(call, API_STOPPED);
        return;
    }
    sources->connections = call->loop->connection_count;
    call->kept = sources;
    call_offload(call, metrics_execute, metrics_executed);
}
