/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots of bare cores. One at an index is what was committed up to there; what counts
 * is when it is durable, who is offered it, and what becomes of the log.
 */
#include <string.h>

#include "base/assert.h"
#include "sim/core.h"

#define LLU (unsigned long long)

_Static_assert(CORE_STREAMS_MAX >= CORE_NODES_MAX * (CORE_NODES_MAX - 1), "one from each node to each other");

static bool core_entry_equal(const struct core_entry *a, const struct core_entry *b) {
    return a->term == b->term && a->digest == b->digest && a->kind == b->kind;
}

bool core_disk_counts(const struct core *core, const struct core_node *node) {
    lash_index snapshot = node->snapshot;
    return snapshot == 0 || (node->disk.count >= snapshot && core_entry_equal(&node->disk.entries[snapshot - 1],
                                                                              &core->committed.entries[snapshot - 1]));
}

void core_recover(struct core *core, struct core_node *node) {
    if (core_disk_counts(core, node))
        return;
    core_log_put(&node->disk, 1, core->committed.entries, (uint32_t)node->snapshot);
    node->first_index = node->snapshot + 1;
    /* It may be durable before the term of the leader that sent it is; nobody acted on that term yet. */
    lash_term term = core->committed.entries[node->snapshot - 1].term;
    if (node->disk_term >= term)
        return;
    node->disk_term = term;
    node->disk_vote = 0;
    judge_durable_vote(core->judge, node->id, term, 0);
}

/* S2: a log that begins behind the newest snapshot leaves a gap. */
static void core_check_gap(struct core *core, const struct core_node *node) {
    JUDGE_CHECK(core->judge, node->first_index <= node->snapshot + 1, "S2",
                "n%llu's log begins at %llu, and its snapshot ends at %llu", LLU node->id, LLU node->first_index,
                LLU node->snapshot);
}

void core_snapshot(struct core *core, struct core_node *node, lash_index index, lash_index compacted) {
    int error = lash_raft_compact(node->raft, compacted);
    JUDGE_CHECK(core->judge, error == LASH_OK, "contract", "n%llu does not compact: %d", LLU node->id, error);
    node->first_index = compacted + 1;
    if (node->snapshot < index)
        node->snapshot = index;
    judge_snapshot(core->judge, node->id, node->snapshot);
    core_check_gap(core, node);
}

void core_reset(struct core *core, struct core_node *node, const struct lash_outputs *outputs) {
    judge_reset(core->judge, node->id, outputs->snapshot_index);
    core_log_put(&node->log, 1, core->committed.entries, (uint32_t)outputs->snapshot_index);
    node->first_index = outputs->snapshot_index + 1;
    core_check_gap(core, node);
}

/* ---- On their way ------------------------------------------------------------------------------------ */

/* The snapshot that is on its way from one to the other; NULL: none. */
static struct core_stream *core_stream_find(struct core *core, lash_id leader, lash_id member) {
    for (uint32_t i = 0; i < core->stream_count; i++)
        if (core->streams[i].leader == leader && core->streams[i].member == member)
            return &core->streams[i];
    return NULL;
}

void core_stream_begin(struct core *core, struct core_node *node, struct lash_message *message) {
    JUDGE_CHECK(core->judge, node->snapshot >= message->snapshot.last_index, "S2",
                "n%llu has no snapshot that reaches to %llu", LLU node->id, LLU message->snapshot.last_index);
    message->snapshot.last_index = node->snapshot;
    message->snapshot.last_term = core->committed.entries[node->snapshot - 1].term;
    struct core_stream *stream = core_stream_find(core, node->id, message->to);
    if (stream == NULL)
        stream = &core->streams[core->stream_count++];
    else
        JUDGE_CHECK(core->judge, stream->leads != message->term || core->configuration_count > 0, "contract",
                    "n%llu offers n%llu a second snapshot", LLU node->id, LLU message->to);
    *stream = (struct core_stream){.leader = node->id,
                                   .leads = message->term,
                                   .member = message->to,
                                   .index = message->snapshot.last_index,
                                   .term = message->snapshot.last_term};
}

void core_stream_want(struct core *core, const struct core_node *node, const struct lash_outputs *outputs) {
    JUDGE_CHECK(core->judge, outputs->snapshot_index > node->status.commit, "S3",
                "n%llu wants a snapshot at %llu, and has committed %llu", LLU node->id, LLU outputs->snapshot_index,
                LLU node->status.commit);
    struct core_stream *stream = core_stream_find(core, outputs->install_from, node->id);
    if (stream != NULL && stream->index == outputs->snapshot_index)
        stream->wanted = true;
}

static struct core_stream core_stream_take(struct core *core, uint32_t position) {
    LASH_ASSERT(position < core->stream_count);
    struct core_stream stream = core->streams[position];
    core->stream_count--;
    memmove(&core->streams[position], &core->streams[position + 1], (core->stream_count - position) * sizeof stream);
    return stream;
}

/* The membership that a snapshot at `index` holds. */
static const struct lash_configuration *core_configured_at(const struct core *core, lash_index index) {
    while (index > 0 && core->committed.entries[index - 1].kind != LASH_ENTRY_CONFIGURATION)
        index--;
    return index == 0 ? &core->configuration : &core->configurations[core->committed.entries[index - 1].digest];
}

static void core_install(struct core *core, const struct core_stream *stream) {
    struct core_node *node = &core->nodes[stream->member];
    struct lash_event event = {.type = LASH_EVENT_INSTALLED};
    event.installed.index = stream->index;
    event.installed.term = stream->term;
    event.installed.configuration = core_configured_at(core, stream->index);
    /* With it comes the membership that the group began with, if it is still that one. */
    node->joins = false;
    judge_begun(core->judge, node->id);
    if (node->snapshot < stream->index)
        node->snapshot = stream->index;
    judge_snapshot(core->judge, node->id, node->snapshot);
    int error = core_step(core, node, &event);
    JUDGE_CHECK(core->judge, error == LASH_OK, "contract", "n%llu refuses a snapshot: %d", LLU node->id, error);
    JUDGE_CHECK(core->judge, node->status.role == LASH_LEADER || node->status.commit >= stream->index, "S3",
                "n%llu has installed a snapshot at %llu, and committed is %llu", LLU node->id, LLU stream->index,
                LLU node->status.commit);
    core->installed++;
}

void core_stream_end(struct core *core, uint32_t position, bool ok) {
    struct core_stream stream = core_stream_take(core, position);
    ok = ok && stream.wanted && core->nodes[stream.member].up;
    if (ok)
        core_install(core, &stream);
    struct core_node *leader = &core->nodes[stream.leader];
    if (leader->status.role != LASH_LEADER || leader->status.term != stream.leads)
        return;
    struct lash_event event = {.type = LASH_EVENT_SNAPSHOT_ENDED};
    event.snapshot_ended.id = stream.member;
    event.snapshot_ended.ok = ok;
    int error = core_step(core, leader, &event);
    JUDGE_CHECK(core->judge, error == LASH_OK, "contract", "n%llu refuses the end of a stream: %d", LLU leader->id,
                error);
}

void core_stream_forget(struct core *core, lash_id id) {
    for (uint32_t i = core->stream_count; i > 0; i--) {
        if (core->streams[i - 1].member == id)
            core->streams[i - 1].wanted = false;
        if (core->streams[i - 1].leader == id)
            (void)core_stream_take(core, i - 1);
    }
}
