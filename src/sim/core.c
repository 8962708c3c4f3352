/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver of bare cores.
 */
#include "sim/core.h"

#include <string.h>

#include "base/assert.h"
#include "raft/random.h"
#include "sim/memory.h"

#define LLU (unsigned long long)

/* The rate of a clock that shows true time. */
#define CORE_CLOCK_TRUE ((uint64_t)1000)

/* ---- Logs ------------------------------------------------------------------------------------------- */

void core_log_put(struct core_log *log, lash_index first, const struct core_entry *entries, uint32_t count) {
    LASH_ASSERT(first >= 1 && first <= log->count + 1);
    log->count = first - 1;
    if (count == 0)
        return;
    log->entries = memory_room(log->entries, &log->capacity, log->count + count, sizeof *entries);
    memcpy(log->entries + log->count, entries, count * sizeof *entries);
    log->count += count;
}

/* ---- Creation --------------------------------------------------------------------------------------- */

struct core *core_new(uint32_t count, const struct lash_raft_options *options, uint64_t seed, judge_failed_fn failed,
                      void *context) {
    struct core *core = memory_new(1, sizeof *core);
    core->count = count;
    core->seed = seed;
    core->judge = judge_new(count, failed, context);
    judge_bound(core->judge, options->inflight_messages_max, options->inflight_bytes_max);
    core->configuration.count = count;
    for (uint32_t id = 1; id <= count; id++) {
        struct core_node *node = &core->nodes[id];
        core->configuration.members[id - 1] = (struct lash_member){.id = id, .flags = LASH_MEMBER_VOTER};
        node->id = id;
        node->options = *options;
        node->options.id = id;
        node->first_index = 1;
        node->clock_rate = CORE_CLOCK_TRUE;
    }
    return core;
}

void core_free(struct core *core) {
    for (uint32_t id = 1; id <= core->count; id++) {
        memory_free(core->nodes[id].block);
        memory_free(core->nodes[id].log.entries);
        memory_free(core->nodes[id].disk.entries);
    }
    memory_free(core->committed.entries);
    memory_free(core->configurations);
    judge_log_free(&core->suffix);
    judge_free(core->judge);
    memory_free(core);
}

void core_spare(struct core *core, uint32_t spare) {
    LASH_ASSERT(spare < core->count);
    bool joins[JUDGE_NODES_MAX + 1] = {false};
    core->changes = true;
    core->configuration.count = core->count - spare;
    for (uint32_t slot = core->configuration.count; slot < core->count; slot++) {
        core->configuration.members[slot] = (struct lash_member){0};
        core->nodes[slot + 1].joins = joins[slot + 1] = true;
    }
    judge_membership(core->judge, &core->configuration, joins);
}

/* The newest configuration among the first `count` entries of a node's log, else what it began with. */
static struct lash_configuration core_newest(const struct core *core, const struct core_node *node, uint64_t count) {
    struct lash_configuration none = {0};
    while (core->changes && count > 0 && node->log.entries[count - 1].kind != LASH_ENTRY_CONFIGURATION)
        count--;
    if (core->changes && count > 0)
        return core->configurations[node->log.entries[count - 1].digest];
    return node->joins ? none : core->configuration;
}

/* ---- Judging ---------------------------------------------------------------------------------------- */

static void core_observe(struct core *core, struct core_node *node) {
    lash_raft_status(node->raft, &node->status);
    judge_observe(core->judge, node->id, &node->status);
    lash_index known = core->committed.count;
    if (node->status.commit > known)
        core_log_put(&core->committed, known + 1, node->log.entries + known, (uint32_t)(node->status.commit - known));
}

/* R1: a read sees everything that was committed before it was asked. */
static void core_read_done(struct core *core, struct core_node *node, const struct lash_read_done *done) {
    uint32_t i = 0;
    while (i < node->read_count && node->reads[i].context != done->context)
        i++;
    JUDGE_CHECK(core->judge, i < node->read_count, "R1", "n%llu answers a read that nobody waits for", LLU node->id);
    JUDGE_CHECK(core->judge, done->index == 0 || done->index >= node->reads[i].floor, "R1",
                "n%llu answers a read with index %llu; %llu was committed before", LLU node->id, LLU done->index,
                LLU node->reads[i].floor);
    core->reads_ok += done->index != 0;
    node->reads[i] = node->reads[--node->read_count];
}

/* ---- Writes ----------------------------------------------------------------------------------------- */

/* The judge hears what the write has added to the disk. */
static void core_durable(struct core *core, struct core_node *node, const struct core_write *write) {
    core->suffix.count = 0;
    uint64_t chain = judge_log_chain(judge_disk(core->judge, node->id), write->first - 1);
    for (uint32_t i = 0; i < write->count; i++) {
        const struct core_entry *entry = &write->entries[i];
        judge_log_push(&core->suffix, chain, entry->term, entry->kind, entry->digest);
        chain = core->suffix.entries[i].chain;
    }
    judge_durable(core->judge, node->id, write->first - 1, &core->suffix);
}

/* The first write under way reaches the disk. */
static void core_persist(struct core *core, struct core_node *node, struct lash_event *event) {
    const struct core_write *write = &node->writes[0];
    if (write->reset) {
        core_log_put(&node->disk, 1, core->committed.entries, (uint32_t)write->reset);
        event->written.index = write->reset;
        event->written.term = write->reset_term;
    }
    if (write->count) {
        core_log_put(&node->disk, write->first, write->entries, write->count);
        if (core_disk_counts(core, node))
            core_durable(core, node, write);
        event->written.index = write->first + write->count - 1;
        event->written.term = write->entries[write->count - 1].term;
    }
    if (write->save_vote) {
        node->disk_term = write->term;
        node->disk_vote = write->vote;
        judge_durable_vote(core->judge, node->id, write->term, write->vote);
    }
    event->written.write = write->number;
    node->write_count--;
    memmove(&node->writes[0], &node->writes[1], node->write_count * sizeof node->writes[0]);
}

static void core_put(struct core *core, struct core_node *node, const struct core_packet *packet);

void core_write(struct core *core, struct core_node *node, uint32_t count) {
    struct lash_event event = {.type = LASH_EVENT_WRITTEN};
    for (; count > 0 && node->write_count > 0; count--)
        core_persist(core, node, &event);
    if (event.written.write == 0)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->held_count; i++) {
        if (node->held_after[i] <= event.written.write) {
            struct core_packet packet;
            packet.message = node->held[i];
            packet.count = 0;
            core_put(core, node, &packet);
        } else {
            node->held_after[kept] = node->held_after[i];
            node->held[kept++] = node->held[i];
        }
    }
    node->held_count = kept;
    int error = core_step(core, node, &event);
    JUDGE_CHECK(core->judge, error == LASH_OK, "contract", "n%llu refuses a completion: %d", LLU node->id, error);
}

static void core_begin_configuration(struct core *core, struct core_node *node, const struct lash_event *event,
                                     const struct lash_outputs *outputs, struct core_write *write) {
    const struct lash_configuration *configuration = &outputs->configuration;
    JUDGE_CHECK(core->judge, write->count == 1 && configuration->index == write->first, "contract",
                "n%llu puts configuration %llu at %llu", LLU node->id, LLU configuration->index, LLU write->first);
    write->entries[0] = (struct core_entry){.term = outputs->append_term, .kind = LASH_ENTRY_CONFIGURATION};
    write->entries[0].digest = core->configuration_count;
    core->configurations = memory_room(core->configurations, &core->configuration_capacity,
                                       core->configuration_count + 1, sizeof *configuration);
    core->configurations[core->configuration_count++] = *configuration;
    judge_configure(core->judge, node->id, outputs->append_term, write->entries[0].digest, configuration,
                    event->type != LASH_EVENT_CONFIGURE);
    /* What ended in this very step may be that the disk was full. */
    struct lash_raft_status status;
    lash_raft_status(node->raft, &status);
    JUDGE_CHECK(core->judge, !status.full, "F1", "n%llu takes entries on a full disk", LLU node->id);
    core_log_put(&node->log, write->first, write->entries, 1);
}

static void core_begin_write(struct core *core, struct core_node *node, const struct lash_event *event,
                             const struct lash_outputs *outputs, const struct core_packet *packet) {
    struct core_write *write = &node->writes[node->write_count++];
    write->number = outputs->write;
    write->save_vote = outputs->save_vote;
    write->term = outputs->term;
    write->vote = outputs->vote;
    write->count = 0;
    write->reset = outputs->reset ? outputs->snapshot_index : 0;
    write->reset_term = outputs->snapshot_term;
    if (outputs->reset)
        core_reset(core, node, outputs);
    if (!outputs->append)
        return;
    write->first = outputs->append_first;
    write->count = (uint32_t)(outputs->append_last - outputs->append_first + 1);
    JUDGE_CHECK(core->judge, write->count <= CORE_ENTRIES_MAX, "contract", "n%llu appends %u entries", LLU node->id,
                write->count);
    if (outputs->configure) {
        core_begin_configuration(core, node, event, outputs, write);
        return;
    }
    bool leading = outputs->noop || event->type == LASH_EVENT_PROPOSE;
    LASH_ASSERT(leading || packet);
    for (uint32_t i = 0; i < write->count; i++) {
        struct core_entry *entry = &write->entries[i];
        *entry = (struct core_entry){.term = outputs->append_term};
        if (!leading)
            *entry = packet->entries[write->first + i - packet->first];
        else
            entry->digest = ++core->digests;
        if (leading)
            entry->kind = outputs->noop ? (uint32_t)LASH_ENTRY_NOOP : event->propose.kind;
        judge_append(core->judge, node->id, write->first + i, entry->term, entry->kind, entry->digest, leading);
    }
    bool noop = write->count == 1 && write->entries[0].kind == LASH_ENTRY_NOOP;
    JUDGE_CHECK(core->judge, !node->status.full || noop, "F1", "n%llu takes entries on a full disk", LLU node->id);
    core_log_put(&node->log, write->first, write->entries, write->count);
}

/* ---- Sending ----------------------------------------------------------------------------------------- */

static void core_put(struct core *core, struct core_node *node, const struct core_packet *packet) {
    judge_sent(core->judge, node->id, &packet->message);
    if (!core->cut[packet->message.from][packet->message.to])
        core_push(core, packet);
    core->sent++;
}

static void core_send_append(struct core *core, struct core_node *node, const struct lash_message *message) {
    lash_index first = message->append.first;
    lash_index last = core->send_some(core, message);
    struct lash_event event = {.type = LASH_EVENT_SENT};
    event.sent.to = message->to;
    event.sent.last = last;
    if (last >= first) {
        struct core_packet packet;
        packet.message = *message;
        packet.first = first;
        packet.count = (uint32_t)(last - first + 1);
        memcpy(packet.entries, &node->log.entries[first - 1], packet.count * sizeof packet.entries[0]);
        event.sent.bytes = (uint64_t)packet.count * CORE_ENTRY_BYTES;
        core_put(core, node, &packet);
    }
    int error = core_step(core, node, &event);
    JUDGE_CHECK(core->judge, error == LASH_OK, "contract", "n%llu refuses what was sent: %d", LLU node->id, error);
}

static void core_send(struct core *core, struct core_node *node, const struct lash_send *send) {
    if (send->after_write != 0 && node->write_count > 0 && node->writes[0].number <= send->after_write) {
        if (node->held_count == CORE_HELD_MAX)
            return;
        node->held_after[node->held_count] = send->after_write;
        node->held[node->held_count++] = send->message;
    } else if (send->message.type == LASH_MSG_APPEND && send->message.append.first <= send->message.append.last) {
        core_send_append(core, node, &send->message);
    } else {
        struct core_packet packet;
        packet.message = send->message;
        packet.count = 0;
        if (send->message.type == LASH_MSG_SNAPSHOT)
            core_stream_begin(core, node, &packet.message);
        core_put(core, node, &packet);
    }
}

/* ---- Steps -------------------------------------------------------------------------------------------- */

static void core_grow(struct core *core, struct core_node *node) {
    node->options.terms_max *= 2;
    void *block = memory_new(1, lash_raft_size(&node->options));
    int error = lash_raft_grow(node->raft, node->options.terms_max, block, &node->raft);
    JUDGE_CHECK(core->judge, error == LASH_OK, "contract", "n%llu does not grow: %d", LLU node->id, error);
    memory_free(node->block);
    node->block = block;
}

static void core_hash(struct core *core, const struct lash_outputs *outputs) {
    uint64_t hash = core->hash ^ outputs->write ^ outputs->term << 8 ^ outputs->append_last << 20 ^
                    outputs->commit << 32 ^ outputs->deadline_ms << 40;
    for (uint32_t i = 0; i < outputs->send_count; i++) {
        const struct lash_message *message = &outputs->sends[i].message;
        hash = random_mix(hash + outputs->sends[i].after_write) ^ (uint64_t)message->type << 32 ^ message->to << 48 ^
               message->term;
    }
    core->hash = random_mix(hash);
}

static int core_step_with(struct core *core, struct core_node *node, struct lash_event *event,
                          const struct core_packet *packet) {
    struct lash_outputs outputs;
    event->now_ms = core_clock(core, node);
    /* What was sent must be told at once, before any other event; it never writes. */
    if (node->write_count == CORE_WRITES_MAX && event->type != LASH_EVENT_SENT)
        core_write(core, node, 1);
    if (core->trace)
        core_trace_event(core, node, event, packet);
    int error = lash_raft_step(node->raft, event, &outputs);
    for (; error == LASH_FULL; error = lash_raft_step(node->raft, event, &outputs))
        core_grow(core, node);
    if (core->trace)
        core_trace_outputs(core, node, &outputs, error);
    if (error)
        return error;
    core->steps++;
    core_hash(core, &outputs);
    node->deadline_ms = outputs.deadline_ms;
    if (outputs.write != 0)
        core_begin_write(core, node, event, &outputs, packet);
    core_observe(core, node);
    if (outputs.install)
        core_stream_want(core, node, &outputs);
    for (uint32_t i = 0; i < outputs.reads_done_count; i++)
        core_read_done(core, node, &outputs.reads_done[i]);
    for (uint32_t i = 0; i < outputs.send_count; i++)
        core_send(core, node, &outputs.sends[i]);
    return LASH_OK;
}

int core_step(struct core *core, struct core_node *node, struct lash_event *event) {
    return core_step_with(core, node, event, NULL);
}

int core_tick(struct core *core, struct core_node *node) {
    return core_step(core, node, &(struct lash_event){.type = LASH_EVENT_TICK});
}

int core_propose(struct core *core, struct core_node *node, uint32_t count) {
    struct lash_event event = {.type = LASH_EVENT_PROPOSE};
    event.propose.kind = LASH_ENTRY_COMMAND;
    event.propose.count = count;
    lash_id transfer_to = node->status.transfer_to;
    uint32_t no_room = node->status.no_room;
    int error = core_step(core, node, &event);
    JUDGE_CHECK(core->judge, error != LASH_OK || transfer_to == 0, "T1", "n%llu takes proposals while it hands over",
                LLU node->id);
    JUDGE_CHECK(core->judge, error != LASH_OK || no_room == 0, "F1",
                "n%llu takes proposals that no majority has room for", LLU node->id);
    return error;
}

int core_read(struct core *core, struct core_node *node, bool lease) {
    struct lash_event event = {.type = LASH_EVENT_READ};
    if (node->read_count == CORE_READS_MAX)
        return LASH_BUSY;
    event.read.context = ++core->contexts;
    event.read.lease = lease;
    node->reads[node->read_count++] = (struct core_read){event.read.context, judge_committed(core->judge)};
    int error = core_step(core, node, &event);
    if (error != LASH_OK)
        node->read_count--;
    return error;
}

int core_configure(struct core *core, struct core_node *node, const struct lash_configuration *to) {
    struct lash_event event = {.type = LASH_EVENT_CONFIGURE};
    event.configure.to = to;
    lash_id transfer_to = node->status.transfer_to;
    int error = core_step(core, node, &event);
    JUDGE_CHECK(core->judge, error != LASH_OK || transfer_to == 0, "T1",
                "n%llu changes the members while it hands over", LLU node->id);
    return error;
}

/* ---- Clocks -------------------------------------------------------------------------------------------- */

uint64_t core_clock(const struct core *core, const struct core_node *node) {
    return node->clock_ahead + core->now_ms * node->clock_rate / CORE_CLOCK_TRUE;
}

/* The true time at which the node's clock reaches its deadline. */
static uint64_t core_due_ms(const struct core_node *node) {
    if (node->deadline_ms == UINT64_MAX)
        return UINT64_MAX;
    uint64_t passed = node->deadline_ms > node->clock_ahead ? node->deadline_ms - node->clock_ahead : 0;
    return (passed * CORE_CLOCK_TRUE + node->clock_rate - 1) / node->clock_rate;
}

/* ---- Lives --------------------------------------------------------------------------------------------- */

static int core_init(struct core *core, struct core_node *node, struct lash_raft_saved *saved) {
    int error = LASH_FULL;
    for (; error == LASH_FULL; node->options.terms_max *= 2) {
        memory_free(node->block);
        node->block = memory_new(1, lash_raft_size(&node->options));
        error = lash_raft_init(node->block, &node->options, saved, core_clock(core, node), &node->raft);
        if (!error)
            break;
    }
    return error;
}

void core_start(struct core *core, struct core_node *node, lash_index floor) {
    LASH_ASSERT(!node->up);
    core_recover(core, node);
    lash_index first = node->first_index;
    core_log_put(&node->log, 1, node->disk.entries, (uint32_t)node->disk.count);
    struct lash_raft_saved saved = {.term = node->disk_term, .vote = node->disk_vote, .first_index = first};
    saved.prev_term = first == 1 ? 0 : node->log.entries[first - 2].term;
    saved.commit_floor = floor < node->snapshot ? node->snapshot : floor;
    saved.configuration = core_newest(core, node, node->log.count);
    if (saved.configuration.index != 0)
        saved.previous = core_newest(core, node, saved.configuration.index - 1);
    struct lash_run *runs = memory_new(node->log.count - first + 2, sizeof *runs);
    for (lash_index index = first; index <= node->log.count; index++) {
        const struct core_entry *entry = &node->log.entries[index - 1];
        struct lash_run *last = saved.run_count ? &runs[saved.run_count - 1] : NULL;
        if (last && last->term == entry->term && last->kind == entry->kind)
            last->count++;
        else
            runs[saved.run_count++] = (struct lash_run){index, entry->term, 1, entry->kind};
    }
    saved.runs = runs;
    node->options.seed = core->seed * 1000 + ++core->starts;
    int error = core_init(core, node, &saved);
    JUDGE_CHECK(core->judge, error == LASH_OK, "contract", "n%llu does not start: %d", LLU node->id, error);
    memory_free(runs);
    node->up = true;
    if (core->trace)
        core_trace_life(core, node, "starts");
    judge_restart(core->judge, node->id);
    core_observe(core, node);
    core_tick(core, node); /* the first deadline comes with the first step */
}

void core_crash(struct core *core, struct core_node *node, uint32_t survive) {
    LASH_ASSERT(node->up);
    struct lash_event unused = {.type = LASH_EVENT_WRITTEN};
    for (; survive > 0 && node->write_count > 0; survive--)
        core_persist(core, node, &unused);
    node->write_count = 0;
    node->held_count = 0;
    node->read_count = 0;
    node->up = false;
    core_stream_forget(core, node->id);
    if (core->trace)
        core_trace_life(core, node, "loses power");
    judge_stop(core->judge, node->id);
}

/* ---- Network -------------------------------------------------------------------------------------------- */

void core_push(struct core *core, const struct core_packet *packet) {
    if (core->packet_count == CORE_PACKETS_MAX)
        return;
    struct core_packet *to = &core->packets[(core->packet_head + core->packet_count++) % CORE_PACKETS_MAX];
    memcpy(to, packet, offsetof(struct core_packet, entries) + packet->count * sizeof packet->entries[0]);
}

struct core_packet *core_pick(struct core *core, uint32_t position) {
    LASH_ASSERT(position < core->packet_count);
    struct core_packet *oldest = &core->packets[core->packet_head];
    if (position) {
        struct core_packet *other = &core->packets[(core->packet_head + position) % CORE_PACKETS_MAX];
        struct core_packet kept = *oldest;
        *oldest = *other;
        *other = kept;
    }
    return oldest;
}

void core_drop(struct core *core) {
    core->packet_head = (core->packet_head + 1) % CORE_PACKETS_MAX;
    core->packet_count--;
}

void core_hand(struct core *core, const struct core_packet *packet) {
    struct core_node *node = &core->nodes[packet->message.to];
    struct lash_run runs[CORE_ENTRIES_MAX];
    struct lash_configuration held[CORE_ENTRIES_MAX];
    uint32_t count = 0;
    if (!node->up)
        return;
    struct lash_event event = {.type = LASH_EVENT_MESSAGE, .message = packet->message};
    if (event.message.type == LASH_MSG_APPEND) {
        for (uint32_t i = 0; i < packet->count; i++) {
            const struct core_entry *entry = &packet->entries[i];
            if (entry->kind == LASH_ENTRY_CONFIGURATION)
                held[event.message.append.configuration_count++] = core->configurations[entry->digest];
            if (count && runs[count - 1].term == entry->term && runs[count - 1].kind == entry->kind)
                runs[count - 1].count++;
            else
                runs[count++] = (struct lash_run){packet->first + i, entry->term, 1, entry->kind};
        }
        event.message.append.runs = runs;
        event.message.append.configurations = held;
        event.message.append.run_count = count;
    }
    int error = core_step_with(core, node, &event, packet);
    JUDGE_CHECK(core->judge, error == LASH_OK, "contract", "n%llu refuses a message: %d", LLU node->id, error);
}

/* ---- Whole stretches of time --------------------------------------------------------------------------- */

/* Write and deliver until nothing is under way; no time passes. */
static void core_settle(struct core *core) {
    bool busy = true;
    for (uint32_t rounds = 0; busy; rounds++) {
        JUDGE_CHECK(core->judge, rounds < 1000000, "P2", "the cluster does not come to rest");
        busy = core->packet_count > 0;
        for (lash_id id = 1; id <= core->count; id++) {
            struct core_node *node = &core->nodes[id];
            busy |= node->up && node->write_count > 0;
            if (node->up)
                core_write(core, node, node->write_count);
        }
        if (core->packet_count > 0) {
            struct core_packet packet = *core_pick(core, 0);
            core_drop(core);
            core_hand(core, &packet);
        } else if (!busy && core->stream_count > 0) {
            core_stream_end(core, 0, true);
            busy = true;
        }
    }
}

void core_pass(struct core *core, uint64_t ms) {
    uint64_t end_ms = core->now_ms + ms;
    for (;;) {
        core_settle(core);
        struct core_node *due = NULL;
        uint64_t when_ms = end_ms;
        for (lash_id id = 1; id <= core->count; id++) {
            struct core_node *node = &core->nodes[id];
            if (node->up && core_due_ms(node) < when_ms) {
                when_ms = core_due_ms(node);
                due = node;
            }
        }
        if (when_ms > core->now_ms)
            core->now_ms = when_ms;
        if (!due)
            return;
        core_tick(core, due);
    }
}

struct core_node *core_leader(struct core *core) {
    struct core_node *leader = NULL;
    for (lash_id id = 1; id <= core->count; id++) {
        struct core_node *node = &core->nodes[id];
        if (node->up && node->status.role == LASH_LEADER && (!leader || node->status.term > leader->status.term))
            leader = node;
    }
    return leader;
}
