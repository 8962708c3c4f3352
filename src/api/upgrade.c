/* SPDX-License-Identifier: Apache-2.0
 *
 * Raising the cluster's version: see upgrade.h.
 */
#include "api/upgrade.h"

#include "api/call.h"
#include "base/assert.h"
#include "base/logger.h"

_Static_assert(STORE_VERSION_NEWEST - STORE_VERSION_FIRST <= 16, "a version has a bit");

static bool upgrade_peer_knows(const struct lash_metrics *metrics, lash_id peer, uint16_t bit) {
    for (uint32_t i = 0; i < metrics->peer_count; i++)
        if (metrics->peers[i].id == peer)
            return metrics->peers[i].connected && (metrics->peers[i].features & bit);
    return false;
}

bool upgrade_is_known(const struct lash_raft_status *raft, const struct lash_metrics *metrics, uint32_t version) {
    LASH_ASSERT(version > STORE_VERSION_FIRST && version <= STORE_VERSION_NEWEST);
    uint16_t bit = (uint16_t)(1u << (version - STORE_VERSION_FIRST - 1));
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        lash_id member = raft->configuration.members[i].id;
        if (member != raft->id && !upgrade_peer_knows(metrics, member, bit))
            return false;
    }
    return raft->configuration.count > 0;
}

static void upgrade_done(struct call *call, int error) {
    struct upgrader *upgrader = call->owner;
    uint32_t version = call->op.raise.version;
    bool good = !error && !call->result.error;
    upgrader->call = NULL;
    call_abandon(call);
    if (good) /* else it is tried again, by whoever leads */
        log_info("raised the cluster's version", F_U64("version", version));
}

/* The node did not even take it. */
static void upgrade_refused(struct call *call) {
    struct upgrader *upgrader = call->owner;
    upgrader->call = NULL;
    call_unref(call);
}

static void upgrade_propose(struct loop *loop, uint32_t version) {
    struct upgrader *upgrader = &loop->upgrader;
    uint8_t *command;
    size_t size;
    upgrader->call = call_new(loop, upgrade_refused, upgrader, 0);
    if (!upgrader->call)
        return;
    upgrader->call->op = (struct store_op){.type = STORE_RAISE, .raise = {version}};
    if (store_encode(&upgrader->call->op, &command, &size)) {
        call_fail(upgrader->call, API_NO_MEMORY);
        return;
    }
    call_propose(upgrader->call, command, size, upgrade_done);
    mem_free(command);
}

void upgrade_look(struct loop *loop) {
    struct upgrader *upgrader = &loop->upgrader;
    struct lash_status status;
    struct store_stats stats;
    if (upgrader->done || upgrader->call || !loop->node)
        return;
    if (lash_node_status(loop->node, &status) || status.raft.role != LASH_LEADER ||
        lash_node_metrics(loop->node, &upgrader->metrics))
        return;
    store_stats(loop->options->store, &stats);
    upgrader->done = stats.version == STORE_VERSION_NEWEST;
    if (stats.version >= STORE_VERSION_FIRST && !upgrader->done &&
        upgrade_is_known(&status.raft, &upgrader->metrics, stats.version + 1))
        upgrade_propose(loop, stats.version + 1);
}

void upgrade_stop(struct upgrader *upgrader) {
    if (upgrader->call)
        call_abandon(upgrader->call);
    upgrader->call = NULL;
}
