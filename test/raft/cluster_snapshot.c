/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster's snapshots. A snapshot at an index is what was committed up to there, so
 * the oracle knows its contents; S1 to S3 are judged here.
 */
#include <string.h>

#include "cluster.h"

#define LLU (unsigned long long)

_Static_assert(CLUSTER_STREAMS_MAX >= CLUSTER_NODES_MAX * (CLUSTER_NODES_MAX - 1), "one from each node to each other");

const struct entry *cluster_durable(const struct cluster *cluster, const struct cluster_node *node, lash_index index) {
    lash_index snapshot = node->snapshot;
    const struct entries *disk = &node->disk;
    if (index <= snapshot)
        return oracle_committed_entry(cluster->oracle, index);
    if (index > disk->count)
        return NULL;
    /* A log without the snapshot's last entry will be dropped. */
    if (snapshot != 0 && !entry_equal(&disk->entries[snapshot - 1], oracle_committed_entry(cluster->oracle, snapshot)))
        return NULL;
    return &disk->entries[index - 1];
}

void cluster_recover(struct cluster *cluster, struct cluster_node *node) {
    lash_index snapshot = node->snapshot;
    if (snapshot == 0)
        return;
    bool held = node->disk.count >= snapshot &&
                entry_equal(&node->disk.entries[snapshot - 1], oracle_committed_entry(cluster->oracle, snapshot));
    ORACLE_CHECK(node->first_index <= snapshot + 1, "S2", "n%llu's log begins at %llu, its snapshot ends at %llu",
                 LLU node->id, LLU node->first_index, LLU snapshot);
    if (held)
        return;
    oracle_copy(cluster->oracle, &node->disk, snapshot);
    node->first_index = snapshot + 1;
    /* It may be durable before the term of the leader that sent it is; nobody acted on that term yet. */
    lash_term term = oracle_committed_entry(cluster->oracle, snapshot)->term;
    if (node->disk_term >= term)
        return;
    node->disk_term = term;
    node->disk_vote = 0;
}

int cluster_snapshot(struct cluster *cluster, lash_id id, lash_index index, lash_index compacted) {
    struct cluster_node *node = cluster_node(cluster, id);
    int error = lash_raft_compact(node->raft, compacted);
    if (error != LASH_OK)
        return error;
    if (node->snapshot < index)
        node->snapshot = index;
    node->first_index = compacted + 1;
    return LASH_OK;
}

int cluster_compact(struct cluster *cluster, lash_id id, lash_index index) {
    return cluster_snapshot(cluster, id, index, index);
}

/* ---- Streams ----------------------------------------------------------------------------------- */

/* The snapshot that is on its way from one to the other; NULL: none. */
static struct cluster_stream *cluster_stream_find(struct cluster *cluster, lash_id leader, lash_id member) {
    for (uint32_t i = 0; i < cluster->stream_count; i++)
        if (cluster->streams[i].leader == leader && cluster->streams[i].member == member)
            return &cluster->streams[i];
    return NULL;
}

void cluster_stream_begin(struct cluster *cluster, struct cluster_node *node, struct lash_message *message) {
    ORACLE_CHECK(node->snapshot >= message->snapshot.last_index, "S2", "n%llu has no snapshot that reaches to %llu",
                 LLU node->id, LLU message->snapshot.last_index);
    message->snapshot.last_index = node->snapshot;
    message->snapshot.last_term = oracle_committed_entry(cluster->oracle, node->snapshot)->term;
    struct cluster_stream *stream = cluster_stream_find(cluster, node->id, message->to);
    if (stream == NULL)
        stream = &cluster->streams[cluster->stream_count++];
    else
        ORACLE_CHECK(stream->leads != message->term || cluster->configuration_count > 0, "contract",
                     "n%llu offers n%llu a second snapshot", LLU node->id, LLU message->to);
    *stream = (struct cluster_stream){.leader = node->id,
                                      .leads = message->term,
                                      .member = message->to,
                                      .index = message->snapshot.last_index,
                                      .term = message->snapshot.last_term};
}

void cluster_stream_want(struct cluster *cluster, const struct cluster_node *node, const struct lash_outputs *outputs) {
    ORACLE_CHECK(outputs->snapshot_index > node->commit, "S3", "n%llu wants a snapshot of what it has committed",
                 LLU node->id);
    struct cluster_stream *stream = cluster_stream_find(cluster, outputs->install_from, node->id);
    if (stream != NULL && stream->index == outputs->snapshot_index)
        stream->wanted = true;
}

static struct cluster_stream cluster_stream_take(struct cluster *cluster, uint32_t position) {
    struct cluster_stream stream = cluster->streams[position];
    cluster->stream_count--;
    memmove(&cluster->streams[position], &cluster->streams[position + 1],
            (cluster->stream_count - position) * sizeof stream);
    return stream;
}

/* The membership that a snapshot at `index` holds. */
static const struct lash_configuration *cluster_configured_at(const struct cluster *cluster, lash_index index) {
    while (index > 0 && oracle_committed_entry(cluster->oracle, index)->kind != LASH_ENTRY_CONFIGURATION)
        index--;
    return index == 0 ? &cluster->configuration
                      : cluster_configuration(cluster, oracle_committed_entry(cluster->oracle, index));
}

static void cluster_install(struct cluster *cluster, const struct cluster_stream *stream) {
    struct cluster_node *node = cluster_node(cluster, stream->member);
    struct lash_event event = {.type = LASH_EVENT_INSTALLED};
    event.installed.index = stream->index;
    event.installed.term = stream->term;
    event.installed.configuration = cluster_configured_at(cluster, stream->index);
    /* With it comes the membership that the group began with, if it is still that one. */
    node->joins = false;
    if (node->snapshot < stream->index)
        node->snapshot = stream->index;
    int error = cluster_step(cluster, node->id, &event);
    ORACLE_CHECK(error == LASH_OK, "test", "n%llu refuses a snapshot: %d", LLU node->id, error);
    ORACLE_CHECK(node->role == LASH_LEADER || node->commit >= stream->index, "S3",
                 "n%llu installed a snapshot at %llu and knows %llu to be committed", LLU node->id, LLU stream->index,
                 LLU node->commit);
    cluster->installs++;
}

void cluster_stream_end(struct cluster *cluster, uint32_t position, bool ok) {
    struct cluster_stream stream = cluster_stream_take(cluster, position);
    ok = ok && stream.wanted && cluster_node(cluster, stream.member)->up;
    if (ok)
        cluster_install(cluster, &stream);
    const struct cluster_node *leader = cluster_node(cluster, stream.leader);
    if (leader->role != LASH_LEADER || leader->term != stream.leads)
        return;
    struct lash_event event = {.type = LASH_EVENT_SNAPSHOT_ENDED};
    event.snapshot_ended.id = stream.member;
    event.snapshot_ended.ok = ok;
    int error = cluster_step(cluster, stream.leader, &event);
    ORACLE_CHECK(error == LASH_OK, "test", "n%llu refuses the end of a stream: %d", LLU stream.leader, error);
}

void cluster_stream_forget(struct cluster *cluster, lash_id id) {
    for (uint32_t i = cluster->stream_count; i > 0; i--) {
        struct cluster_stream *stream = &cluster->streams[i - 1];
        if (stream->member == id)
            stream->wanted = false;
        if (stream->leader == id)
            (void)cluster_stream_take(cluster, i - 1);
    }
}

void cluster_reset(struct cluster *cluster, struct cluster_node *node, const struct lash_outputs *outputs) {
    lash_index index = outputs->snapshot_index;
    bool held = node->log.count >= index &&
                entry_equal(&node->log.entries[index - 1], oracle_committed_entry(cluster->oracle, index));
    ORACLE_CHECK(!held, "S3", "n%llu drops its log, which holds the snapshot's entry %llu", LLU node->id, LLU index);
    ORACLE_CHECK(index > node->commit, "S3",
                 "n%llu drops its log up to its committed entry %llu for a snapshot at %llu", LLU node->id,
                 LLU node->commit, LLU index);
    oracle_copy(cluster->oracle, &node->log, index);
    node->first_index = index + 1;
    cluster->resets++;
}
