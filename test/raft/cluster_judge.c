/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold of a node's state after each of its steps, given all disks; the
 * history is the oracle's.
 */
#include "cluster_judge.h"

#include <string.h>

#define LLU (unsigned long long)

struct lash_configuration cluster_newest(const struct cluster *cluster, const struct cluster_node *node,
                                         uint64_t count) {
    struct lash_configuration none = {0};
    while (count > 0 && node->log.entries[count - 1].kind != LASH_ENTRY_CONFIGURATION)
        count--;
    if (count > 0)
        return *cluster_configuration(cluster, &node->log.entries[count - 1]);
    return node->joins ? none : cluster->configuration;
}

void cluster_observe_state(struct cluster_node *node) {
    struct lash_raft_status status;
    lash_raft_status(node->raft, &status);
    node->commit = status.commit;
    node->term = status.term;
    node->role = status.role;
    node->configuration = status.configuration;
}

/* ---- Judging ----------------------------------------------------------------------------------- */

/* L7: what a leader believes of a member, its own disk included, is so. */
static void cluster_check_progress(struct cluster *cluster, struct cluster_node *node,
                                   const struct lash_raft_status *status) {
    bool member[CLUSTER_NODES_MAX + 1] = {false};
    for (uint32_t i = 0; i < status->progress_count; i++)
        member[status->progress[i].id] = true;
    /* Who leaves and comes back begins anew. */
    for (lash_id id = 1; id <= cluster->count; id++)
        node->matches[id] = member[id] ? node->matches[id] : 0;
    for (uint32_t i = 0; i < status->progress_count; i++) {
        const struct lash_progress *progress = &status->progress[i];
        const struct cluster_node *peer = cluster_node(cluster, progress->id);
        lash_index match = progress->match;
        ORACLE_CHECK(match < progress->next, "L7", "n%llu has match %llu and next %llu for n%llu", LLU node->id,
                     LLU match, LLU progress->next, LLU progress->id);
        ORACLE_CHECK(match >= node->matches[progress->id], "L7", "n%llu's match of n%llu fell from %llu to %llu",
                     LLU node->id, LLU progress->id, LLU node->matches[progress->id], LLU match);
        node->matches[progress->id] = match;
        /* Who entered a later term may have dropped what this leader never committed. */
        if (peer->disk_term > node->term)
            continue;
        const struct entry *held = match == 0 ? NULL : cluster_durable(cluster, peer, match);
        ORACLE_CHECK(match == 0 || held != NULL, "L7", "n%llu believes that n%llu holds %llu, and it does not",
                     LLU node->id, LLU progress->id, LLU match);
        ORACLE_CHECK(match == 0 || entry_equal(held, &node->log.entries[match - 1]), "L7",
                     "n%llu believes that n%llu holds its entry %llu, and it holds another", LLU node->id,
                     LLU progress->id, LLU match);
        ORACLE_CHECK(node->options.inflight_messages_max == 0 ||
                         progress->inflight_messages <= node->options.inflight_messages_max,
                     "P3", "n%llu has too much in flight", LLU node->id);
    }
}

/* L6: what a leader commits is on the disks of both majorities of its configuration, and the newest of it is of its own
 * term. */
static void cluster_check_quorum(struct cluster *cluster, const struct cluster_node *node,
                                 const struct lash_configuration *configuration, lash_index commit) {
    bool holds[ORACLE_NODES_MAX + 1] = {false};
    const struct entry *entry = &node->log.entries[commit - 1];
    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct entry *held = cluster_durable(cluster, &cluster->nodes[i], commit);
        holds[i + 1] = held != NULL && entry_equal(held, entry);
    }
    ORACLE_CHECK(oracle_quorum(configuration, holds), "L6",
                 "n%llu committed %llu, which no quorum of configuration %llu holds durably", LLU node->id, LLU commit,
                 LLU configuration->index);
    ORACLE_CHECK(entry->term == node->term, "L6", "n%llu of term %llu committed %llu of term %llu", LLU node->id,
                 LLU node->term, LLU commit, LLU entry->term);
}

/* C4: the newest configuration in the log is in force; C1: no log holds two that are not committed. */
static void cluster_check_configuration(const struct cluster *cluster, const struct cluster_node *node) {
    struct lash_configuration newest = cluster_newest(cluster, node, node->log.count);
    ORACLE_CHECK(memcmp(&newest, &node->configuration, sizeof newest) == 0, "C4",
                 "n%llu goes by configuration %llu, and its log's newest is %llu", LLU node->id,
                 LLU node->configuration.index, LLU newest.index);
    if (newest.index == 0)
        return;
    struct lash_configuration before = cluster_newest(cluster, node, newest.index - 1);
    ORACLE_CHECK(before.index <= oracle_committed(cluster->oracle), "C1",
                 "n%llu's log holds the configurations %llu and %llu, and neither is committed", LLU node->id,
                 LLU before.index, LLU newest.index);
}

static uint32_t cluster_flags(const struct lash_configuration *configuration, lash_id id) {
    for (uint32_t i = 0; i < configuration->count; i++) {
        if (configuration->members[i].id == id)
            return configuration->members[i].flags;
    }
    return 0;
}

void cluster_check_witness(const struct cluster *cluster, const struct cluster_node *node,
                           const struct lash_message *message) {
    const struct lash_configuration *configuration = &node->configuration;
    const struct entry *last = &node->log.entries[message->append.last - 1];
    if ((cluster_flags(configuration, message->to) & LASH_MEMBER_WITNESS) == 0)
        return;
    bool kept = false;
    for (uint32_t i = 0; i < cluster->count; i++) {
        uint32_t flags = cluster_flags(configuration, cluster->nodes[i].id);
        const struct entry *held = cluster_durable(cluster, &cluster->nodes[i], message->append.last);
        bool keeps = (flags & LASH_MEMBER_VOTER) != 0 && (flags & LASH_MEMBER_WITNESS) == 0;
        kept |= keeps && held != NULL && entry_equal(held, last);
    }
    ORACLE_CHECK(kept, "W2", "n%llu sends entry %llu to the witness n%llu before anyone keeps it", LLU node->id,
                 LLU message->append.last, LLU message->to);
}

/* The configuration that a leader commits by in a step: what it appends by itself comes of what was committed. */
static struct lash_configuration cluster_governing(const struct cluster *cluster, const struct cluster_node *node,
                                                   const struct lash_event *event, const struct lash_outputs *outputs) {
    bool by_itself = outputs->configure && event->type != LASH_EVENT_CONFIGURE;
    return cluster_newest(cluster, node, node->log.count - by_itself);
}

void cluster_check(struct cluster *cluster, struct cluster_node *node, const struct lash_event *event,
                   const struct lash_outputs *outputs) {
    struct lash_raft_status status;
    lash_index before = node->commit;
    lash_term term = node->term;
    bool led = node->role == LASH_LEADER;
    cluster_observe_state(node);
    ORACLE_CHECK(node->term >= term, "E3", "n%llu fell from term %llu to %llu", LLU node->id, LLU term, LLU node->term);
    lash_raft_status(node->raft, &status);
    lash_term last_term = 0;
    ORACLE_CHECK(status.last_index == node->log.count, "L5", "n%llu's log ends at %llu and its core says %llu",
                 LLU node->id, LLU node->log.count, LLU status.last_index);
    ORACLE_CHECK(lash_raft_term_at(node->raft, status.last_index, &last_term) &&
                     (status.last_index == 0 || last_term == node->log.entries[status.last_index - 1].term),
                 "L5", "n%llu's last term is not its log's", LLU node->id);
    ORACLE_CHECK(before <= status.commit && status.commit <= status.last_index && status.applied <= status.commit, "L5",
                 "n%llu: commit was %llu, is %llu, last is %llu", LLU node->id, LLU before, LLU status.commit,
                 LLU status.last_index);
    lash_index durable = status.durable_index;
    const struct entry *held = durable == 0 ? NULL : cluster_durable(cluster, node, durable);
    ORACLE_CHECK(durable == 0 || (held != NULL && entry_equal(held, &node->log.entries[durable - 1])), "L6",
                 "n%llu believes that its disk holds %llu", LLU node->id, LLU durable);
    oracle_commit(cluster->oracle, node->term, &node->log, before + 1, status.commit);
    cluster_check_configuration(cluster, node);
    ORACLE_CHECK(status.role == LASH_FOLLOWER ||
                     (cluster_flags(&node->configuration, node->id) & LASH_MEMBER_WITNESS) == 0,
                 "W1", "n%llu is a witness, and stands or leads in term %llu", LLU node->id, LLU node->term);
    if (status.role != LASH_LEADER)
        return;
    if (!led) {
        oracle_elected(cluster->oracle, node->id, status.term, &status.configuration);
        memset(node->matches, 0, sizeof node->matches);
        oracle_leader(cluster->oracle, node->id, status.term, &node->log);
    }
    struct lash_configuration governing = cluster_governing(cluster, node, event, outputs);
    if (status.commit > before)
        cluster_check_quorum(cluster, node, &governing, status.commit);
    cluster_check_progress(cluster, node, &status);
}

void cluster_check_configured(const struct cluster *cluster, const struct cluster_node *node,
                              const struct lash_outputs *outputs) {
    if (!outputs->configure)
        return;
    const struct lash_configuration *next = &outputs->configuration;
    struct lash_configuration before = cluster_newest(cluster, node, node->log.count - 1);
    ORACLE_CHECK(next->index == outputs->append_first && next->index == node->log.count, "contract",
                 "n%llu puts configuration %llu at %llu", LLU node->id, LLU next->index, LLU node->log.count);
    oracle_configured(cluster->oracle, node->id, node->term, &node->log, node->commit, &before, next);
}
