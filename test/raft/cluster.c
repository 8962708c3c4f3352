/* SPDX-License-Identifier: Apache-2.0
 *
 * A driver for several cores in one process; see cluster.h.
 */
#include "cluster.h"

#include <stdlib.h>
#include <string.h>

#include "cluster_judge.h"

#define LLU (unsigned long long)

/* ---- Memory ------------------------------------------------------------------------------------ */

static void *cluster_calloc(uint64_t count, size_t size) {
    void *memory = calloc(count == 0 ? 1 : count, size);
    if (memory == NULL)
        abort();
    return memory;
}

static void *cluster_grown(void *array, uint64_t *max, uint64_t count, size_t size) {
    if (count <= *max)
        return array;
    *max = *max == 0 ? 8 : *max * 2;
    void *grown = realloc(array, *max * size);
    if (grown == NULL)
        abort();
    return grown;
}

static struct entry *cluster_entries(const struct entries *log, lash_index first, uint64_t count) {
    struct entry *copy = cluster_calloc(count, sizeof *copy);
    if (count > 0)
        memcpy(copy, &log->entries[first - 1], count * sizeof *copy);
    return copy;
}

void cluster_packet_free(struct cluster_packet *packet) {
    free(packet->entries);
    packet->entries = NULL;
}

struct cluster_node *cluster_node(struct cluster *cluster, lash_id id) {
    ORACLE_CHECK(id >= 1 && id <= cluster->count, "test", "there is no node n%llu", LLU id);
    return &cluster->nodes[id - 1];
}

struct cluster *cluster_new(uint32_t count, const struct lash_raft_options *options, uint64_t seed) {
    struct cluster *cluster = cluster_calloc(1, sizeof *cluster);
    cluster->count = count;
    cluster->seed = seed;
    cluster->oracle = oracle_new();
    cluster->configuration.count = count;
    for (uint32_t i = 0; i < count; i++) {
        cluster->configuration.members[i].id = i + 1;
        cluster->configuration.members[i].flags = LASH_MEMBER_VOTER;
        cluster->nodes[i].id = i + 1;
        cluster->nodes[i].options = *options;
        cluster->nodes[i].options.id = i + 1;
        cluster->nodes[i].clock_rate = CLUSTER_CLOCK_TRUE;
        cluster->nodes[i].first_index = 1;
    }
    return cluster;
}

void cluster_spare(struct cluster *cluster, uint32_t count) {
    ORACLE_CHECK(count < cluster->count, "test", "nobody begins");
    cluster->configuration.count = cluster->count - count;
    for (uint32_t i = cluster->configuration.count; i < cluster->count; i++) {
        cluster->configuration.members[i] = (struct lash_member){0};
        cluster->nodes[i].joins = true;
    }
}

/* The payload of an entry with a configuration says which. */
#define CLUSTER_CONFIGURATION ((uint64_t)1 << 63)

const struct lash_configuration *cluster_configuration(const struct cluster *cluster, const struct entry *entry) {
    ORACLE_CHECK(entry->kind == LASH_ENTRY_CONFIGURATION, "test", "the entry is no configuration");
    return &cluster->configurations[entry->payload - CLUSTER_CONFIGURATION];
}

static void cluster_forget(struct cluster_node *node) {
    for (uint64_t i = 0; i < node->write_count; i++)
        free(node->writes[i].entries);
    for (uint64_t i = 0; i < node->held_count; i++)
        cluster_packet_free(&node->held[i].packet);
    node->write_count = 0;
    node->held_count = 0;
    node->read_count = 0;
    free(node->block);
    node->block = NULL;
    node->raft = NULL;
    node->up = false;
}

void cluster_free(struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        cluster_forget(node);
        entries_free(&node->log);
        entries_free(&node->disk);
        free(node->writes);
        free(node->held);
        free(node->reads);
    }
    for (uint32_t i = 0; i < cluster->packet_count; i++)
        cluster_packet_free(&cluster->packets[i]);
    free(cluster->configurations);
    oracle_free(cluster->oracle);
    free(cluster);
}

/* ---- Clocks ------------------------------------------------------------------------------------ */

uint64_t cluster_clock(const struct cluster *cluster, const struct cluster_node *node) {
    return cluster->now_ms * node->clock_rate / CLUSTER_CLOCK_TRUE;
}

uint64_t cluster_due(const struct cluster_node *node) {
    if (node->deadline_ms == UINT64_MAX)
        return UINT64_MAX;
    return (node->deadline_ms * CLUSTER_CLOCK_TRUE + node->clock_rate - 1) / node->clock_rate;
}

/* ---- Start and crash --------------------------------------------------------------------------- */

void cluster_disk_set(struct cluster *cluster, lash_id id, const lash_term *terms, uint32_t count, lash_term term,
                      lash_id vote) {
    struct cluster_node *node = cluster_node(cluster, id);
    entries_truncate(&node->disk, 0);
    for (uint32_t i = 0; i < count; i++) {
        struct entry entry = {.term = terms[i], .payload = terms[i] * 1000000 + i + 1, .kind = LASH_ENTRY_COMMAND};
        entries_append(&node->disk, entry);
    }
    node->disk_term = term;
    node->disk_vote = vote;
}

/* Runs for entries[0..count-1], the first at index `first`. The caller frees them. */
static struct lash_run *cluster_runs(const struct entry *entries, uint32_t count, lash_index first, uint32_t *runs) {
    struct lash_run *made = cluster_calloc(count, sizeof *made);
    *runs = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct lash_run *last = *runs == 0 ? NULL : &made[*runs - 1];
        if (last != NULL && last->term == entries[i].term && last->kind == entries[i].kind) {
            last->count++;
            continue;
        }
        made[*runs] =
            (struct lash_run){.first = first + i, .term = entries[i].term, .count = 1, .kind = entries[i].kind};
        (*runs)++;
    }
    return made;
}

void cluster_start(struct cluster *cluster, lash_id id, lash_index floor) {
    struct cluster_node *node = cluster_node(cluster, id);
    ORACLE_CHECK(!node->up, "test", "n%llu is up already", LLU id);
    cluster_recover(cluster, node);
    entries_copy(&node->log, &node->disk);
    oracle_log(cluster->oracle, &node->log, 1);

    lash_index first = node->first_index;
    struct lash_raft_saved saved = {.term = node->disk_term, .vote = node->disk_vote, .first_index = first};
    saved.prev_term = first == 1 ? 0 : node->log.entries[first - 2].term;
    saved.commit_floor = floor < node->snapshot ? node->snapshot : floor;
    saved.configuration = cluster_newest(cluster, node, node->log.count);
    if (saved.configuration.index != 0)
        saved.previous = cluster_newest(cluster, node, saved.configuration.index - 1);
    uint32_t run_count = 0;
    uint32_t count = (uint32_t)(node->log.count - (first - 1));
    struct entry *entries = cluster_entries(&node->log, first, count);
    struct lash_run *runs = cluster_runs(entries, count, first, &run_count);
    saved.runs = runs;
    saved.run_count = run_count;

    node->options.seed = cluster->seed * 1000 + ++cluster->starts;
    int error = LASH_FULL;
    for (;; node->options.terms_max *= 2) {
        free(node->block);
        node->block = cluster_calloc(1, lash_raft_size(&node->options));
        error = lash_raft_init(node->block, &node->options, &saved, cluster_clock(cluster, node), &node->raft);
        if (error != LASH_FULL)
            break;
    }
    ORACLE_CHECK(error == LASH_OK, "test", "n%llu does not start: %d", LLU id, error);
    free(runs);
    free(entries);
    node->up = true;
    cluster_observe_state(node);
    oracle_start(cluster->oracle, id, node->term);
    oracle_commit(cluster->oracle, node->term, &node->log, saved.commit_floor + 1, node->commit);
    /* The first deadline comes with the first step. */
    cluster_tick(cluster, id);
}

void cluster_start_all(struct cluster *cluster) {
    for (lash_id id = 1; id <= cluster->count; id++)
        cluster_start(cluster, id, 0);
}

/* What the first write under way says reaches the disk. */
static struct cluster_write cluster_persist(struct cluster *cluster, struct cluster_node *node) {
    struct cluster_write write = node->writes[0];
    if (write.save_vote) {
        node->disk_term = write.term;
        node->disk_vote = write.vote;
    }
    if (write.reset != 0)
        oracle_copy(cluster->oracle, &node->disk, write.reset);
    if (write.first != 0)
        entries_truncate(&node->disk, write.first - 1);
    for (uint32_t i = 0; i < write.entry_count; i++)
        entries_append(&node->disk, write.entries[i]);
    node->write_count--;
    memmove(&node->writes[0], &node->writes[1], node->write_count * sizeof node->writes[0]);
    return write;
}

void cluster_crash(struct cluster *cluster, lash_id id, uint64_t survive) {
    struct cluster_node *node = cluster_node(cluster, id);
    ORACLE_CHECK(node->up, "test", "n%llu is down already", LLU id);
    for (; survive > 0 && node->write_count > 0; survive--)
        free(cluster_persist(cluster, node).entries);
    cluster_stream_forget(cluster, id);
    cluster_forget(node);
}

/* ---- Outputs ----------------------------------------------------------------------------------- */

static void cluster_trace(struct cluster *cluster, uint64_t value) {
    cluster->trace = (cluster->trace ^ value) * 0x100000001b3u;
    cluster->trace ^= cluster->trace >> 29;
}

static void cluster_trace_outputs(struct cluster *cluster, const struct lash_outputs *outputs) {
    cluster_trace(cluster, outputs->write);
    cluster_trace(cluster, outputs->term);
    cluster_trace(cluster, outputs->append_first);
    cluster_trace(cluster, outputs->append_last);
    cluster_trace(cluster, outputs->commit);
    cluster_trace(cluster, outputs->deadline_ms);
    for (uint32_t i = 0; i < outputs->send_count; i++) {
        const struct lash_message *message = &outputs->sends[i].message;
        cluster_trace(cluster, outputs->sends[i].after_write);
        cluster_trace(cluster, message->type);
        cluster_trace(cluster, message->to);
        cluster_trace(cluster, message->term);
    }
    for (uint32_t i = 0; i < outputs->reads_done_count; i++)
        cluster_trace(cluster, outputs->reads_done[i].index);
}

/* The entries that the step wants appended: a new no-op, new commands, or some of a packet's. */
static struct entry cluster_new_entry(struct cluster *cluster, const struct lash_event *event,
                                      const struct lash_outputs *outputs, const struct cluster_packet *packet,
                                      lash_index index) {
    struct entry entry = {.term = outputs->append_term};
    if (outputs->configure) {
        entry.kind = LASH_ENTRY_CONFIGURATION;
        entry.payload = CLUSTER_CONFIGURATION + cluster->configuration_count;
        cluster->configurations = cluster_grown(cluster->configurations, &cluster->configuration_max,
                                                cluster->configuration_count + 1, sizeof outputs->configuration);
        cluster->configurations[cluster->configuration_count++] = outputs->configuration;
        return entry;
    }
    if (packet != NULL && !outputs->noop)
        return packet->entries[index - packet->first];
    entry.payload = ++cluster->payloads;
    entry.kind = outputs->noop ? (uint32_t)LASH_ENTRY_NOOP : event->propose.kind;
    return entry;
}

static void cluster_begin_write(struct cluster *cluster, struct cluster_node *node, const struct lash_event *event,
                                const struct lash_outputs *outputs, const struct cluster_packet *packet) {
    node->writes = cluster_grown(node->writes, &node->write_max, node->write_count + 1, sizeof node->writes[0]);
    struct cluster_write *write = &node->writes[node->write_count++];
    *write = (struct cluster_write){.number = outputs->write, .save_vote = outputs->save_vote};
    write->term = outputs->term;
    write->vote = outputs->vote;
    if (outputs->reset) {
        cluster_reset(cluster, node, outputs);
        write->reset = outputs->snapshot_index;
        write->reset_term = outputs->snapshot_term;
    }
    if (!outputs->append)
        return;
    struct lash_raft_status status;
    lash_raft_status(node->raft, &status);
    ORACLE_CHECK(outputs->append_first <= node->log.count + 1 && outputs->append_last >= outputs->append_first, "L5",
                 "n%llu appends %llu..%llu to a log that ends at %llu", LLU node->id, LLU outputs->append_first,
                 LLU outputs->append_last, LLU node->log.count);
    ORACLE_CHECK(status.role != LASH_LEADER || outputs->append_first == node->log.count + 1, "L1",
                 "leader n%llu overwrites its entry %llu", LLU node->id, LLU outputs->append_first);
    ORACLE_CHECK(outputs->append_first > node->commit, "L4", "n%llu drops its committed entry %llu", LLU node->id,
                 LLU outputs->append_first);
    bool noop =
        outputs->noop || (packet != NULL && !outputs->configure && outputs->append_first == outputs->append_last &&
                          packet->entries[outputs->append_first - packet->first].kind == LASH_ENTRY_NOOP);
    ORACLE_CHECK(status.full == 0 || noop, "F1", "n%llu takes entries on a full disk", LLU node->id);
    entries_truncate(&node->log, outputs->append_first - 1);
    for (lash_index index = outputs->append_first; index <= outputs->append_last; index++)
        entries_append(&node->log, cluster_new_entry(cluster, event, outputs, packet, index));
    oracle_log(cluster->oracle, &node->log, outputs->append_first);
    write->first = outputs->append_first;
    write->entry_count = (uint32_t)(outputs->append_last - outputs->append_first + 1);
    write->entries = cluster_entries(&node->log, write->first, write->entry_count);
}

/* T2: whoever is asked to take over holds all of the leader's log durably. */
static void cluster_check_timeout_now(struct cluster *cluster, struct cluster_node *node,
                                      const struct lash_message *message) {
    const struct cluster_node *target = cluster_node(cluster, message->to);
    lash_index last = node->log.count;
    const struct entry *held = cluster_durable(cluster, target, last);
    ORACLE_CHECK(node->role == LASH_LEADER && message->timeout_now.last_index == last, "T2",
                 "n%llu asks n%llu to take over a log up to %llu, and it ends at %llu", LLU node->id, LLU message->to,
                 LLU message->timeout_now.last_index, LLU last);
    ORACLE_CHECK(target->disk_term > node->term || (held != NULL && entry_equal(held, &node->log.entries[last - 1])),
                 "T2", "n%llu asks n%llu to take over, which lacks entries", LLU node->id, LLU message->to);
}

static void cluster_put(struct cluster *cluster, struct cluster_node *node, struct cluster_packet packet) {
    const struct lash_message *message = &packet.message;
    if (message->type == LASH_MSG_TIMEOUT_NOW)
        cluster_check_timeout_now(cluster, node, message);
    bool pre = (message->type == LASH_MSG_VOTE && message->vote.pre) ||
               (message->type == LASH_MSG_VOTE_REPLY && message->vote_reply.pre);
    if (!pre)
        oracle_sent(cluster->oracle, node->id, message->term, node->disk_term);
    if (message->type == LASH_MSG_VOTE_REPLY && message->vote_reply.granted && !message->vote_reply.pre)
        oracle_vote(cluster->oracle, node->id, message->term, message->to, node->disk_term, node->disk_vote);
    if (message->type == LASH_MSG_VOTE && !message->vote.pre)
        oracle_vote(cluster->oracle, node->id, message->term, node->id, node->disk_term, node->disk_vote);
    if (cluster->cut[message->from][message->to] || cluster->packet_count == CLUSTER_PACKETS_MAX) {
        cluster_packet_free(&packet);
        return;
    }
    cluster->packets[cluster->packet_count++] = packet;
}

static void cluster_send_append(struct cluster *cluster, struct cluster_node *node,
                                const struct lash_message *message) {
    lash_index first = message->append.first;
    lash_index last = message->append.last;
    cluster_check_witness(cluster, node, message);
    if (cluster->send_some != NULL) {
        last = cluster->send_some(cluster, message);
    } else {
        uint64_t most = message->append.bytes_max / CLUSTER_ENTRY_BYTES;
        most = most == 0 ? 1 : most;
        if (last - first + 1 > most)
            last = first + most - 1;
    }
    struct lash_event sent = {.type = LASH_EVENT_SENT};
    sent.sent.to = message->to;
    sent.sent.last = last;
    if (last >= first) {
        lash_index start = cluster->frame_start == NULL ? first : cluster->frame_start(cluster, message);
        struct cluster_packet packet = {.message = *message, .first = start};
        packet.entry_count = (uint32_t)(last - start + 1);
        packet.entries = cluster_entries(&node->log, start, packet.entry_count);
        sent.sent.bytes = packet.entry_count * CLUSTER_ENTRY_BYTES;
        cluster_put(cluster, node, packet);
    }
    int error = cluster_step(cluster, node->id, &sent);
    ORACLE_CHECK(error == LASH_OK, "test", "n%llu refuses what was sent: %d", LLU node->id, error);
}

static void cluster_send(struct cluster *cluster, struct cluster_node *node, const struct lash_send *send) {
    struct cluster_packet packet = {.message = send->message, .first = send->message.append.prev_index + 1};
    if (send->message.type == LASH_MSG_SNAPSHOT)
        cluster_stream_begin(cluster, node, &packet.message);
    if (send->after_write != 0 && node->write_count > 0 && node->writes[0].number <= send->after_write) {
        node->held = cluster_grown(node->held, &node->held_max, node->held_count + 1, sizeof node->held[0]);
        node->held[node->held_count++] = (struct cluster_held){.after_write = send->after_write, .packet = packet};
    } else if (send->message.type == LASH_MSG_APPEND && send->message.append.first <= send->message.append.last) {
        cluster_send_append(cluster, node, &send->message);
    } else {
        cluster_put(cluster, node, packet);
    }
}

/* R1: a read sees everything that was committed before it was asked. */
static void cluster_read_done(struct cluster *cluster, struct cluster_node *node, const struct lash_read_done *done) {
    uint64_t i = 0;
    while (i < node->read_count && node->reads[i].context != done->context)
        i++;
    ORACLE_CHECK(i < node->read_count, "R1", "n%llu answers read %llu, which nobody waits for", LLU node->id,
                 LLU done->context);
    ORACLE_CHECK(done->index == 0 || done->index >= node->reads[i].floor, "R1",
                 "n%llu answers read %llu with index %llu; %llu was committed before", LLU node->id, LLU done->context,
                 LLU done->index, LLU node->reads[i].floor);
    cluster->reads_ok += done->index != 0;
    cluster->reads_no += done->index == 0;
    node->read_count--;
    memmove(&node->reads[i], &node->reads[i + 1], (node->read_count - i) * sizeof node->reads[0]);
}

static void cluster_carry_out(struct cluster *cluster, struct cluster_node *node, const struct lash_event *event,
                              const struct lash_outputs *outputs, const struct cluster_packet *packet) {
    cluster->steps++;
    cluster_trace_outputs(cluster, outputs);
    node->deadline_ms = outputs->deadline_ms;
    if (outputs->write != 0)
        cluster_begin_write(cluster, node, event, outputs, packet);
    cluster_check(cluster, node, event, outputs);
    cluster_check_configured(cluster, node, outputs);
    if (outputs->install)
        cluster_stream_want(cluster, node, outputs);
    if (cluster->observe != NULL)
        cluster->observe(cluster, node, event, outputs);
    for (uint32_t i = 0; i < outputs->reads_done_count; i++)
        cluster_read_done(cluster, node, &outputs->reads_done[i]);
    for (uint32_t i = 0; i < outputs->send_count; i++)
        cluster_send(cluster, node, &outputs->sends[i]);
}

/* ---- Events ------------------------------------------------------------------------------------ */

static void cluster_grow(struct cluster *cluster, struct cluster_node *node) {
    node->options.terms_max *= 2;
    void *block = cluster_calloc(1, lash_raft_size(&node->options));
    int error = lash_raft_grow(node->raft, node->options.terms_max, block, &node->raft);
    ORACLE_CHECK(error == LASH_OK, "test", "n%llu does not grow: %d", LLU node->id, error);
    free(node->block);
    node->block = block;
    cluster->grows++;
}

static int cluster_step_with(struct cluster *cluster, struct cluster_node *node, struct lash_event *event,
                             const struct cluster_packet *packet) {
    struct lash_outputs outputs;
    event->now_ms = cluster_clock(cluster, node);
    int error;
    for (;;) {
        uint64_t hash = event->type == LASH_EVENT_SENT ? 0 : lash_raft_hash(node->raft);
        error = lash_raft_step(node->raft, event, &outputs);
        ORACLE_CHECK(error == LASH_OK || hash == 0 || hash == lash_raft_hash(node->raft), "contract",
                     "n%llu changed although it refused an event: %d", LLU node->id, error);
        if (error != LASH_FULL)
            break;
        cluster_grow(cluster, node);
    }
    if (error == LASH_OK)
        cluster_carry_out(cluster, node, event, &outputs, packet);
    return error;
}

int cluster_step(struct cluster *cluster, lash_id id, struct lash_event *event) {
    struct cluster_node *node = cluster_node(cluster, id);
    ORACLE_CHECK(node->up, "test", "n%llu is down", LLU id);
    return cluster_step_with(cluster, node, event, NULL);
}

int cluster_tick(struct cluster *cluster, lash_id id) {
    return cluster_step(cluster, id, &(struct lash_event){.type = LASH_EVENT_TICK});
}

int cluster_propose(struct cluster *cluster, lash_id id, uint32_t count) {
    struct lash_raft_status status;
    lash_raft_status(cluster_node(cluster, id)->raft, &status);
    struct lash_event event = {.type = LASH_EVENT_PROPOSE};
    event.propose.kind = LASH_ENTRY_COMMAND;
    event.propose.count = count;
    int error = cluster_step(cluster, id, &event);
    ORACLE_CHECK(error != LASH_OK || status.transfer_to == 0, "T1", "n%llu takes proposals while it hands over",
                 LLU id);
    ORACLE_CHECK(error != LASH_OK || status.no_room == 0, "F1", "n%llu takes proposals that no majority has room for",
                 LLU id);
    return error;
}

static int cluster_read_as(struct cluster *cluster, lash_id id, bool lease) {
    struct cluster_node *node = cluster_node(cluster, id);
    struct lash_event event = {.type = LASH_EVENT_READ};
    event.read.lease = lease;
    event.read.context = ++cluster->contexts;
    node->reads = cluster_grown(node->reads, &node->read_max, node->read_count + 1, sizeof node->reads[0]);
    node->reads[node->read_count].context = event.read.context;
    node->reads[node->read_count].floor = oracle_committed(cluster->oracle);
    node->read_count++;
    int error = cluster_step(cluster, id, &event);
    if (error != LASH_OK)
        node->read_count--;
    return error;
}

int cluster_read(struct cluster *cluster, lash_id id) {
    return cluster_read_as(cluster, id, false);
}

int cluster_read_by_lease(struct cluster *cluster, lash_id id) {
    return cluster_read_as(cluster, id, true);
}

static int cluster_tell_of(struct cluster *cluster, lash_id id, uint32_t type, lash_id peer) {
    struct lash_event event = {.type = type};
    event.peer.id = peer;
    return cluster_step(cluster, id, &event);
}

int cluster_unreachable(struct cluster *cluster, lash_id id, lash_id peer) {
    return cluster_tell_of(cluster, id, LASH_EVENT_UNREACHABLE, peer);
}

int cluster_down(struct cluster *cluster, lash_id id, lash_id peer) {
    return cluster_tell_of(cluster, id, LASH_EVENT_DOWN, peer);
}

int cluster_applied(struct cluster *cluster, lash_id id, lash_index index) {
    struct lash_event event = {.type = LASH_EVENT_APPLIED};
    event.applied.index = index;
    return cluster_step(cluster, id, &event);
}

int cluster_transfer(struct cluster *cluster, lash_id id, lash_id to) {
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    event.transfer.to = to;
    return cluster_step(cluster, id, &event);
}

int cluster_configure(struct cluster *cluster, lash_id id, const struct lash_configuration *to) {
    struct lash_event event = {.type = LASH_EVENT_CONFIGURE};
    event.configure.to = to;
    return cluster_step(cluster, id, &event);
}

int cluster_ready(struct cluster *cluster, lash_id id, lash_id peer) {
    struct lash_event event = {.type = LASH_EVENT_READY};
    event.peer.id = peer;
    return cluster_step(cluster, id, &event);
}

int cluster_room(struct cluster *cluster, lash_id id, bool full) {
    struct lash_event event = {.type = LASH_EVENT_ROOM};
    event.room.full = full;
    return cluster_step(cluster, id, &event);
}

int cluster_slow(struct cluster *cluster, lash_id id, bool slow) {
    struct lash_event event = {.type = LASH_EVENT_SLOW};
    event.slow.slow = slow;
    return cluster_step(cluster, id, &event);
}

void cluster_write(struct cluster *cluster, lash_id id, uint64_t count) {
    struct cluster_node *node = cluster_node(cluster, id);
    struct lash_event event = {.type = LASH_EVENT_WRITTEN};
    for (; count > 0 && node->write_count > 0; count--) {
        struct cluster_write write = cluster_persist(cluster, node);
        event.written.write = write.number;
        if (write.reset != 0) {
            event.written.index = write.reset;
            event.written.term = write.reset_term;
        }
        if (write.first != 0) {
            event.written.index = write.first + write.entry_count - 1;
            event.written.term = write.entries[write.entry_count - 1].term;
        }
        free(write.entries);
    }
    if (event.written.write == 0)
        return;
    uint64_t kept = 0;
    for (uint64_t i = 0; i < node->held_count; i++) {
        if (node->held[i].after_write <= event.written.write)
            cluster_put(cluster, node, node->held[i].packet);
        else
            node->held[kept++] = node->held[i];
    }
    node->held_count = kept;
    int error = cluster_step(cluster, id, &event);
    ORACLE_CHECK(error == LASH_OK, "test", "n%llu refuses a completion: %d", LLU id, error);
}

/* ---- Network ----------------------------------------------------------------------------------- */

uint32_t cluster_find(const struct cluster *cluster, lash_id from, lash_id to) {
    uint32_t i = 0;
    while (i < cluster->packet_count && ((from != 0 && cluster->packets[i].message.from != from) ||
                                         (to != 0 && cluster->packets[i].message.to != to)))
        i++;
    return i;
}

struct cluster_packet cluster_take(struct cluster *cluster, uint32_t position) {
    ORACLE_CHECK(position < cluster->packet_count, "test", "there is no such packet");
    struct cluster_packet packet = cluster->packets[position];
    cluster->packet_count--;
    memmove(&cluster->packets[position], &cluster->packets[position + 1],
            (cluster->packet_count - position) * sizeof packet);
    return packet;
}

/* What the packet's entries of kind CONFIGURATION hold. The caller frees it. */
static struct lash_configuration *cluster_held_configurations(const struct cluster *cluster,
                                                              const struct cluster_packet *packet, uint32_t *count) {
    struct lash_configuration *held = cluster_calloc(packet->entry_count, sizeof *held);
    *count = 0;
    for (uint32_t i = 0; i < packet->entry_count; i++) {
        if (packet->entries[i].kind == LASH_ENTRY_CONFIGURATION)
            held[(*count)++] = *cluster_configuration(cluster, &packet->entries[i]);
    }
    return held;
}

void cluster_hand(struct cluster *cluster, const struct cluster_packet *packet) {
    struct cluster_node *node = cluster_node(cluster, packet->message.to);
    if (!node->up)
        return;
    struct lash_event event = {.type = LASH_EVENT_MESSAGE, .message = packet->message};
    struct lash_run *runs = NULL;
    struct lash_configuration *held = NULL;
    if (event.message.type == LASH_MSG_APPEND) {
        runs = cluster_runs(packet->entries, packet->entry_count, packet->first, &event.message.append.run_count);
        held = cluster_held_configurations(cluster, packet, &event.message.append.configuration_count);
        event.message.append.runs = runs;
        event.message.append.configurations = held;
    }
    int error = cluster_step_with(cluster, node, &event, packet);
    ORACLE_CHECK(error == LASH_OK, "test", "n%llu refuses a message: %d", LLU node->id, error);
    free(runs);
    free(held);
}

void cluster_deliver(struct cluster *cluster, uint32_t position) {
    struct cluster_packet packet = cluster_take(cluster, position);
    cluster_hand(cluster, &packet);
    cluster_packet_free(&packet);
}

void cluster_drop(struct cluster *cluster, uint32_t position) {
    struct cluster_packet packet = cluster_take(cluster, position);
    cluster_packet_free(&packet);
}

void cluster_duplicate(struct cluster *cluster, uint32_t position) {
    if (cluster->packet_count == CLUSTER_PACKETS_MAX)
        return;
    struct cluster_packet copy = cluster->packets[position];
    copy.entries = cluster_calloc(copy.entry_count, sizeof *copy.entries);
    if (copy.entry_count > 0)
        memcpy(copy.entries, cluster->packets[position].entries, copy.entry_count * sizeof *copy.entries);
    cluster->packets[cluster->packet_count++] = copy;
}

void cluster_isolate(struct cluster *cluster, lash_id id, bool cut) {
    for (lash_id other = 1; other <= cluster->count; other++) {
        cluster->cut[id][other] = cut;
        cluster->cut[other][id] = cut;
    }
}

/* ---- Whole runs -------------------------------------------------------------------------------- */

void cluster_settle(struct cluster *cluster) {
    bool busy = true;
    for (uint32_t rounds = 0; busy; rounds++) {
        ORACLE_CHECK(rounds < 100000, "P2", "the cluster does not come to rest");
        busy = false;
        for (lash_id id = 1; id <= cluster->count; id++) {
            struct cluster_node *node = cluster_node(cluster, id);
            if (!node->up || node->write_count == 0)
                continue;
            cluster_write(cluster, id, node->write_count);
            busy = true;
        }
        if (cluster->packet_count > 0) {
            cluster_deliver(cluster, 0);
            busy = true;
        } else if (!busy && cluster->stream_count > 0) {
            cluster_stream_end(cluster, 0, true);
            busy = true;
        }
    }
}

void cluster_run(struct cluster *cluster, uint64_t ms) {
    uint64_t end = cluster->now_ms + ms;
    for (;;) {
        cluster_settle(cluster);
        lash_id due = 0;
        uint64_t when = end;
        for (lash_id id = 1; id <= cluster->count; id++) {
            struct cluster_node *node = cluster_node(cluster, id);
            if (node->up && cluster_due(node) < when) {
                when = cluster_due(node);
                due = id;
            }
        }
        if (when > cluster->now_ms)
            cluster->now_ms = when;
        if (due == 0)
            return;
        cluster_tick(cluster, due);
    }
}

lash_id cluster_leader(struct cluster *cluster) {
    lash_id leader = 0;
    lash_term term = 0;
    for (lash_id id = 1; id <= cluster->count; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        if (node->up && node->role == LASH_LEADER && node->term > term) {
            leader = id;
            term = node->term;
        }
    }
    return leader;
}

void cluster_elect(struct cluster *cluster, lash_id id) {
    struct cluster_node *node = cluster_node(cluster, id);
    cluster_settle(cluster);
    if (cluster->now_ms < cluster_due(node))
        cluster->now_ms = cluster_due(node);
    cluster_tick(cluster, id);
    cluster_settle(cluster);
    ORACLE_CHECK(cluster_leader(cluster) == id, "test", "n%llu was not elected", LLU id);
}
