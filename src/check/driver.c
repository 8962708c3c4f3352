/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs obeyed in the order that raft.h names: write, send, commit, release
 * reads. What a message must wait for, it waits for; what was not on disk, a crash loses.
 */
#include "check/driver.h"

#include <string.h>

#include "base/assert.h"
#include "check/judge.h"
#include "check/replica.h"
#include "check/roster.h"

#define DRIVER_CHECK(driver, condition, ...)                                                                           \
    do {                                                                                                               \
        if (!(condition) && (driver)->verdict.invariant == NULL)                                                       \
            (void)judge_broken(&(driver)->verdict, "contract", __VA_ARGS__);                                           \
    } while (0)

static bool driver_failed(const struct driver *driver) {
    return driver->verdict.invariant != NULL || driver->no_memory || driver->clipped;
}

static void driver_step(struct driver *driver, struct lash_event *event);

/* ---- The disk ---------------------------------------------------------------------------------- */

/* Whether a start would find what the write puts into the log: not if that lacks the snapshot's last entry by then. */
static bool driver_counts(struct model_node *node, const struct model_write *write) {
    uint32_t snapshot = node->snapshot;
    if (write->first > snapshot)
        return node->stale == 0;
    bool covers = write->first + write->count > snapshot;
    node->stale = !covers || write->entries[snapshot - write->first] != node->disk[snapshot - 1];
    return node->stale == 0;
}

/* The oldest write reaches the disk. */
static void driver_persist(struct driver *driver) {
    struct model_node *node = &driver->node;
    const struct model_write write = node->writes[0];
    if (write.save_vote) {
        node->disk_term = write.term;
        node->disk_vote = write.vote;
    }
    if (write.reset != 0)
        node->stale = 0;
    if (write.first != 0 && driver_counts(node, &write)) {
        for (uint32_t i = write.first - 1u; i < node->disk_count; i++)
            node->disk[i] = 0;
        memcpy(&node->disk[write.first - 1], write.entries, write.count * sizeof write.entries[0]);
        node->disk_count = (uint8_t)(write.first - 1 + write.count);
    }
    node->write_count--;
    memmove(&node->writes[0], &node->writes[1], node->write_count * sizeof node->writes[0]);
    memset(&node->writes[node->write_count], 0, sizeof node->writes[0]);
}

/* What the step appends at `index`: a new entry of its own, or one of the message's. */
static model_entry driver_entry(struct driver *driver, const struct lash_outputs *outputs, lash_index index) {
    const struct model_message *message = driver->delivered;
    if (outputs->configure) {
        uint8_t byte = 0;
        bool known = roster_find(driver->bounds, &outputs->configuration, &byte) && byte != ROSTER_NONE;
        DRIVER_CHECK(driver, known && outputs->configuration.index == index,
                     "n%u appends a configuration that nobody has asked for at %u", driver->node.id, (unsigned)index);
        return known ? ROSTER_ENTRY(outputs->append_term, ROSTER_BYTE_FROM(byte), ROSTER_BYTE_TO(byte), index) : 0;
    }
    if (outputs->noop || message == NULL) {
        unsigned kind = outputs->noop ? LASH_ENTRY_NOOP : LASH_ENTRY_COMMAND;
        return MODEL_ENTRY(outputs->append_term, kind, driver->node.id, index);
    }
    lash_index prev_index = message->body.append.prev_index;
    bool there = message->body.type == LASH_MSG_APPEND && index > prev_index && index - prev_index <= message->count;
    DRIVER_CHECK(driver, there, "n%u appends entry %u, which the message does not bring", driver->node.id,
                 (unsigned)index);
    if (!there)
        return 0;
    model_entry entry = message->entries[index - prev_index - 1];
    return driver->fault == MODEL_FAULT_WRONG_ENTRY ? (model_entry)(entry ^ MODEL_ENTRY(0, 0, 1, 0)) : entry;
}

static void driver_append(struct driver *driver, const struct lash_outputs *outputs, struct model_write *write) {
    struct model_node *node = &driver->node;
    lash_index first = outputs->append_first;
    lash_index last = outputs->append_last;
    bool fits = first > 0 && first <= node->log_count + 1u && last >= first && last <= MODEL_LOG_MAX;
    DRIVER_CHECK(driver, fits, "n%u appends %u..%u to a log that ends at %u", node->id, (unsigned)first, (unsigned)last,
                 node->log_count);
    if (!fits)
        return;
    for (lash_index i = first; i <= node->log_count; i++)
        node->log[i - 1] = 0;
    for (lash_index i = first; i <= last; i++)
        node->log[i - 1] = driver_entry(driver, outputs, i);
    node->log_count = (uint8_t)last;
    write->first = (uint8_t)first;
    write->count = (uint8_t)(last - first + 1);
    memcpy(write->entries, &node->log[first - 1], write->count * sizeof write->entries[0]);
}

/* The log is dropped, and goes on behind the snapshot that has just become durable. */
static void driver_reset(struct driver *driver, const struct lash_outputs *outputs, struct model_write *write) {
    struct model_node *node = &driver->node;
    uint32_t index = (uint32_t)outputs->snapshot_index;
    DRIVER_CHECK(driver, index == node->snapshot, "n%u drops its log for a snapshot at %u, and has one at %u", node->id,
                 index, node->snapshot);
    bool held = index <= node->log_count && node->log[index - 1] == node->disk[index - 1];
    if (held && driver->verdict.invariant == NULL)
        (void)judge_broken(&driver->verdict, "S3", "n%u drops a log that holds the snapshot's entry %u", node->id,
                           index);
    memset(node->log, 0, sizeof node->log);
    memcpy(node->log, node->disk, index * sizeof node->log[0]);
    node->log_count = (uint8_t)index;
    write->reset = (uint8_t)index;
    write->reset_term = (uint8_t)outputs->snapshot_term;
}

static void driver_write(struct driver *driver, const struct lash_outputs *outputs) {
    struct model_node *node = &driver->node;
    DRIVER_CHECK(driver, outputs->write == (uint64_t)driver->durable + node->write_count + 1,
                 "n%u numbers a write %u after %u under way", node->id, (unsigned)outputs->write, node->write_count);
    /* With a bound of 0 the disk is synchronous: driver_run completes each write within its step. */
    if (node->write_count >= (driver->bounds->writes == 0 ? MODEL_WRITES_MAX : driver->bounds->writes)) {
        driver->clipped = true;
        return;
    }
    struct model_write *write = &node->writes[node->write_count++];
    memset(write, 0, sizeof *write);
    if (outputs->save_vote) {
        write->save_vote = 1;
        write->term = (uint8_t)outputs->term;
        write->vote = (uint8_t)outputs->vote;
    }
    if (outputs->reset)
        driver_reset(driver, outputs, write);
    if (outputs->append)
        driver_append(driver, outputs, write);
}

/* ---- The network ------------------------------------------------------------------------------- */

static void driver_send_now(struct driver *driver, uint32_t number, const struct model_message *message) {
    if (!judge_send(&driver->node, message, &driver->verdict))
        return;
    LASH_ASSERT(driver->send_count < DRIVER_SENDS_MAX);
    driver->sends[driver->send_count++] = number;
}

/* Held messages stay sorted, so that the order of sending is no part of the state. One that waits already, for no later
 * write, is not held again: the network may duplicate it. */
static void driver_hold(struct driver *driver, uint32_t number, uint32_t after) {
    struct model_node *node = &driver->node;
    for (uint32_t i = 0; i < node->held_count; i++) {
        if (node->held[i].message == number && node->held[i].after <= after)
            return;
    }
    if (node->held_count == MODEL_HELD_MAX) {
        driver->clipped = true;
        return;
    }
    uint32_t at = node->held_count++;
    for (; at > 0 && (node->held[at - 1].after > after ||
                      (node->held[at - 1].after == after && node->held[at - 1].message > number));
         at--)
        node->held[at] = node->held[at - 1];
    node->held[at].message = number;
    node->held[at].after = after;
}

/* Send what waited for the `count` writes that just became durable. */
static void driver_release(struct driver *driver, uint32_t count) {
    struct model_node *node = &driver->node;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->held_count; i++) {
        struct model_held held = node->held[i];
        if (held.after > count) {
            node->held[kept].message = held.message;
            node->held[kept++].after = held.after - count;
            continue;
        }
        driver_send_now(driver, held.message, intern_get(driver->messages, held.message));
    }
    memset(&node->held[kept], 0, (node->held_count - kept) * sizeof node->held[0]);
    node->held_count = (uint8_t)kept;
}

/* An APPEND with entries: all that is offered is sent, and the core hears so at once. */
static void driver_sent(struct driver *driver, const struct lash_message *message) {
    struct lash_event event = {.type = LASH_EVENT_SENT};
    event.sent.to = message->to;
    event.sent.last = message->append.last;
    event.sent.bytes = message->append.last - message->append.first + 1;
    driver_step(driver, &event);
}

/* Offer the newest snapshot. */
static void driver_offer(struct driver *driver, struct model_message *message) {
    const struct model_node *node = &driver->node;
    if (message->body.snapshot.last_index > node->snapshot && driver->verdict.invariant == NULL)
        (void)judge_broken(&driver->verdict, "S2", "n%u offers a snapshot at %u or beyond, and has one at %u", node->id,
                           (unsigned)message->body.snapshot.last_index, node->snapshot);
    message->count = node->snapshot;
    memcpy(message->entries, node->log, message->count * sizeof message->entries[0]);
    message->body.snapshot.last_index = node->snapshot;
    message->body.snapshot.last_term = MODEL_ENTRY_TERM(node->log[node->snapshot - 1]);
}

static void driver_send(struct driver *driver, const struct lash_send *send) {
    struct model_message message;
    memset(&message, 0, sizeof message);
    memcpy(&message.body, &send->message, sizeof message.body);
    bool entries = send->message.type == LASH_MSG_APPEND && send->message.append.first <= send->message.append.last;
    if (send->message.type == LASH_MSG_APPEND) {
        lash_index first = send->message.append.first;
        lash_index last = send->message.append.last;
        bool fits = first == send->message.append.prev_index + 1 && (!entries || last <= driver->node.log_count);
        DRIVER_CHECK(driver, fits, "n%u sends %u..%u of a log that ends at %u", driver->node.id, (unsigned)first,
                     (unsigned)last, driver->node.log_count);
        if (!fits)
            return;
        message.count = entries ? (uint32_t)(last - first + 1) : 0;
        memcpy(message.entries, &driver->node.log[first - 1], message.count * sizeof message.entries[0]);
        message.body.append.first = 0;
        message.body.append.last = 0;
        message.body.append.bytes_max = 0;
    }
    if (send->message.type == LASH_MSG_SNAPSHOT)
        driver_offer(driver, &message);
    uint32_t number = driver->message_number(driver->context, &message);
    driver->no_memory |= number == 0;
    if (driver->no_memory)
        return;
    bool waits = send->after_write > driver->durable && driver->fault != MODEL_FAULT_SEND_EARLY;
    if (waits)
        driver_hold(driver, number, (uint32_t)(send->after_write - driver->durable));
    else
        driver_send_now(driver, number, &message);
    if (entries && !driver_failed(driver))
        driver_sent(driver, &send->message);
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static void driver_answered(struct driver *driver, const struct lash_read_done *done) {
    struct model_node *node = &driver->node;
    bool open = done->context <= MODEL_READS_MAX && (node->reads >> done->context & 1) != 0;
    if (!open && driver->verdict.invariant == NULL)
        (void)judge_broken(&driver->verdict, "R1", "n%u answers a read that nobody waits for", node->id);
    if (!open || driver->answer_count == DRIVER_ANSWERS_MAX)
        return;
    node->reads = (uint8_t)(node->reads & ~(1u << done->context));
    driver->answers[driver->answer_count++] = REPLICA_ANSWER(done->context, done->index);
}

/* The state machine applies at once: nothing but compaction depends on how far it is. */
static void driver_apply(struct driver *driver, lash_index commit) {
    struct lash_event event = {.type = LASH_EVENT_APPLIED};
    event.applied.index = commit;
    driver_step(driver, &event);
}

static void driver_step(struct driver *driver, struct lash_event *event) {
    struct lash_outputs outputs;
    if (event->now_ms == 0)
        event->now_ms = CORE_NOW;
    int error = lash_raft_step(driver->raft, event, &outputs);
    /* While a transfer is under way nothing is proposed (D§3.10), nor another one asked for; and a change of the membership
     * waits for the one before, and for an entry of the term (D§4.1). */
    if (error == LASH_BUSY && (driver->before.transfer_to != 0 || event->type == LASH_EVENT_CONFIGURE)) {
        driver->possible = false;
        return;
    }
    DRIVER_CHECK(driver, error == LASH_OK, "n%u refuses event %u with error %d", driver->node.id, event->type, error);
    if (outputs.write != 0)
        driver_write(driver, &outputs);
    for (uint32_t i = 0; i < outputs.send_count && !driver_failed(driver); i++)
        driver_send(driver, &outputs.sends[i]);
    for (uint32_t i = 0; i < outputs.reads_done_count && !driver_failed(driver); i++)
        driver_answered(driver, &outputs.reads_done[i]);
    if (outputs.commit_advanced && !driver_failed(driver))
        driver_apply(driver, outputs.commit);
}

static void driver_deliver(struct driver *driver) {
    const struct model_message *message = driver->delivered;
    struct lash_run runs[MODEL_LOG_MAX];
    struct lash_configuration held[MODEL_LOG_MAX];
    struct lash_event event;
    uint32_t count = 0;
    memset(&event, 0, sizeof event);
    event.type = LASH_EVENT_MESSAGE;
    event.message = message->body;
    for (uint32_t i = 0; message->body.type == LASH_MSG_APPEND && i < message->count; i++) {
        lash_index index = message->body.append.prev_index + 1 + i;
        unsigned term = MODEL_ENTRY_TERM(message->entries[i]);
        unsigned kind = MODEL_ENTRY_KIND(message->entries[i]);
        if (kind == LASH_ENTRY_CONFIGURATION)
            roster_configuration(driver->bounds, ROSTER_FROM(message->entries[i]), ROSTER_TO(message->entries[i]),
                                 index, &held[event.message.append.configuration_count++]);
        if (count > 0 && runs[count - 1].term == term && runs[count - 1].kind == kind)
            runs[count - 1].count++;
        else
            runs[count++] = (struct lash_run){.first = index, .term = term, .kind = kind, .count = 1};
    }
    if (count > 0) {
        event.message.append.runs = runs;
        event.message.append.run_count = count;
        event.message.append.configurations = held;
    }
    driver_step(driver, &event);
}

static void driver_tick(struct driver *driver, enum core_deadline deadline) {
    struct lash_event event = {.type = LASH_EVENT_TICK, .now_ms = core_deadline(deadline)};
    driver_step(driver, &event);
}

static void driver_written(struct driver *driver, uint32_t count) {
    struct model_node *node = &driver->node;
    struct lash_event event = {.type = LASH_EVENT_WRITTEN};
    for (uint32_t i = 0; i < count; i++) {
        const struct model_write *write = &node->writes[0];
        if (write->reset != 0) {
            event.written.index = write->reset;
            event.written.term = write->reset_term;
        }
        if (write->count > 0) {
            event.written.index = write->first + write->count - 1u;
            event.written.term = MODEL_ENTRY_TERM(write->entries[write->count - 1]);
        }
        driver_persist(driver);
    }
    driver->durable += count;
    event.written.write = driver->durable;
    driver_release(driver, count);
    if (!driver_failed(driver))
        driver_step(driver, &event);
}

static void driver_break_disk(struct driver *driver) {
    struct model_node *node = &driver->node;
    if (driver->fault == MODEL_FAULT_LOSE_SYNCED && node->disk_count > 0)
        node->disk[--node->disk_count] = 0;
    if (driver->fault == MODEL_FAULT_LOSE_VOTE)
        node->disk_vote = 0;
    if (driver->fault == MODEL_FAULT_LOSE_TERM && node->disk_term > 0) {
        bool needed = node->disk_count > 0 && MODEL_ENTRY_TERM(node->disk[node->disk_count - 1]) == node->disk_term;
        node->disk_term = (uint8_t)(node->disk_term - !needed);
        node->disk_vote = 0;
    }
}

/* A snapshot of `entries` is durable: a start finds that much at least, and drops a log that does not hold it. */
static void driver_durable_snapshot(struct model_node *node, const model_entry *entries, uint32_t count) {
    if (count <= node->snapshot)
        return;
    node->snapshot = (uint8_t)count;
    node->stale = node->stale != 0 || node->disk_count < count || node->disk[count - 1] != entries[count - 1];
    if (node->stale == 0)
        return;
    memset(node->disk, 0, sizeof node->disk);
    memcpy(node->disk, entries, count * sizeof entries[0]);
    node->disk_count = (uint8_t)count;
}

/* A start lets the log go on from the snapshot, which may be durable before the term of the leader that sent it is; nobody
 * acted on that term yet. */
static void driver_recover(struct model_node *node) {
    uint8_t term = node->stale != 0 ? (uint8_t)MODEL_ENTRY_TERM(node->disk[node->snapshot - 1]) : 0;
    if (node->disk_term < term) {
        node->disk_term = term;
        node->disk_vote = 0;
    }
    node->stale = 0;
}

/* The process ends; of its writes under way the first `survive` reached the disk all the same. It starts again at once:
 * one that is down is like one that is up and gets no message, so being down is no state of its own. What was
 * committed is not remembered, as with a state machine that is rebuilt from the log. */
static void driver_crash(struct driver *driver, uint32_t survive, uint32_t reads) {
    struct model_node *node = &driver->node;
    for (; survive > 0; survive--)
        driver_persist(driver);
    driver_break_disk(driver);
    driver_recover(node);
    memset(node->writes, 0, sizeof node->writes);
    memset(node->held, 0, sizeof node->held);
    node->write_count = 0;
    node->held_count = 0;
    node->reads = 0;
    node->commit = node->snapshot;
    memcpy(node->log, node->disk, sizeof node->log);
    node->log_count = node->disk_count;
    /* Questions go on from a number that none was asked with yet: a life asks no more of them than reads come in it. */
    driver->raft = core_start(driver->cores, node->id, node, (uint64_t)reads * 4);
}

/* All that is committed is applied, so the snapshot covers it, whether the log's own disk holds it yet or not. */
static void driver_snapshot(struct driver *driver) {
    struct model_node *node = &driver->node;
    int error = lash_raft_compact(driver->raft, node->commit);
    DRIVER_CHECK(driver, error == LASH_OK, "n%u does not compact up to %u: %d", node->id, node->commit, error);
    driver_durable_snapshot(node, node->log, node->commit);
    /* What the core offers for want of what is gone it says at its next event. */
    driver_step(driver, &(struct lash_event){.type = LASH_EVENT_READY});
}

/* The bytes are here and durable, however long after they were offered, and whether they are still wanted or not. */
static void driver_install(struct driver *driver) {
    const struct model_message *message = driver->delivered;
    struct lash_event event = {.type = LASH_EVENT_INSTALLED};
    event.installed.index = message->body.snapshot.last_index;
    event.installed.term = message->body.snapshot.last_term;
    driver_durable_snapshot(&driver->node, message->entries, message->count);
    driver_step(driver, &event);
}

static void driver_read(struct driver *driver, uint32_t read) {
    struct lash_event event = {.type = LASH_EVENT_READ};
    event.read.context = read;
    driver->node.reads = (uint8_t)(driver->node.reads | 1u << read);
    driver_step(driver, &event);
}

static void driver_transfer(struct driver *driver, lash_id to) {
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    event.transfer.to = to;
    driver_step(driver, &event);
}

static void driver_configure(struct driver *driver, unsigned roster) {
    struct lash_configuration to;
    struct lash_event event = {.type = LASH_EVENT_CONFIGURE};
    roster_configuration(driver->bounds, roster, roster, 0, &to);
    event.configure.to = &to;
    driver_step(driver, &event);
}

static void driver_abandon(struct driver *driver) {
    struct lash_event event = {.type = LASH_EVENT_TICK};
    core_give_up(driver->raft);
    driver_step(driver, &event);
}

static void driver_propose(struct driver *driver) {
    struct lash_event event = {.type = LASH_EVENT_PROPOSE};
    event.propose.kind = LASH_ENTRY_COMMAND;
    event.propose.count = 1;
    driver_step(driver, &event);
}

/* Whether a message would have its receiver leave the bound on terms. */
static bool driver_too_far(const struct driver *driver) {
    return driver->delivered->body.type == LASH_MSG_TIMEOUT_NOW && driver->before.term >= driver->bounds->terms;
}

/* Whether the event can happen at all. */
static bool driver_possible(const struct driver *driver, enum replica_kind kind, uint32_t argument) {
    const struct model_node *node = &driver->before;
    bool leads = node->role == LASH_LEADER;
    switch (kind) {
    case REPLICA_ELECTION:
        return !leads && node->term < driver->bounds->terms;
    case REPLICA_HEARTBEAT:
    case REPLICA_PROPOSE:
        return leads;
    case REPLICA_QUORUM:
        return leads && driver->bounds->check_quorum;
    case REPLICA_GIVE_UP:
        return node->role == LASH_FOLLOWER && node->reads != 0;
    case REPLICA_WRITTEN:
        return argument > 0 && argument <= node->write_count;
    case REPLICA_READ:
        return node->leader != 0;
    case REPLICA_CRASH:
        return (argument & 255) <= node->write_count;
    case REPLICA_DELIVER:
        return !driver_too_far(driver);
    case REPLICA_TRANSFER:
        return leads && argument != node->id;
    case REPLICA_ABANDON:
        return leads && node->transfer_to != 0;
    case REPLICA_SNAPSHOT:
        return node->commit > node->snapshot;
    case REPLICA_INSTALL:
        return driver->delivered->body.type == LASH_MSG_SNAPSHOT && driver->delivered->count > node->snapshot &&
               driver->delivered->body.term <= node->term && !leads;
    case REPLICA_CONFIGURE:
        return leads && node->roster != ROSTER_BYTE(argument, argument);
    }
    LASH_UNREACHABLE("driver_possible");
}

/* Hand the event to the core in its way. */
static void driver_event(struct driver *driver, enum replica_kind kind, uint32_t argument) {
    switch (kind) {
    case REPLICA_ELECTION:
        driver_tick(driver, CORE_ELECTION);
        break;
    case REPLICA_HEARTBEAT:
        driver_tick(driver, CORE_HEARTBEAT);
        break;
    case REPLICA_QUORUM:
        driver_tick(driver, CORE_QUORUM);
        break;
    case REPLICA_GIVE_UP:
        driver_tick(driver, CORE_READ);
        break;
    case REPLICA_PROPOSE:
        driver_propose(driver);
        break;
    case REPLICA_WRITTEN:
        driver_written(driver, argument);
        break;
    case REPLICA_READ:
        driver_read(driver, argument);
        break;
    case REPLICA_CRASH:
        driver_crash(driver, argument & 255, argument >> 8);
        break;
    case REPLICA_DELIVER:
        driver_deliver(driver);
        break;
    case REPLICA_TRANSFER:
        driver_transfer(driver, argument);
        break;
    case REPLICA_ABANDON:
        driver_abandon(driver);
        break;
    case REPLICA_SNAPSHOT:
        driver_snapshot(driver);
        break;
    case REPLICA_INSTALL:
        driver_install(driver);
        break;
    case REPLICA_CONFIGURE:
        driver_configure(driver, argument);
        break;
    }
}

void driver_run(struct driver *driver) {
    enum replica_kind kind = REPLICA_KIND(driver->event);
    uint32_t argument = REPLICA_ARGUMENT(driver->event);
    memcpy(&driver->node, &driver->before, sizeof driver->node);
    driver->possible = driver_possible(driver, kind, argument);
    if (!driver->possible)
        return;
    driver_event(driver, kind, argument);
    while (driver->bounds->writes == 0 && driver->node.write_count > 0 && !driver_failed(driver))
        driver_written(driver, driver->node.write_count);
    core_show(driver->raft, &driver->node);
    DRIVER_CHECK(driver, core_show_roster(driver->cores, driver->raft, &driver->node),
                 "n%u goes by a configuration that nobody has asked for", driver->node.id);
    driver->clipped |= driver->node.round > driver->bounds->reads + 1;
    if (!driver_failed(driver))
        (void)judge_step(&driver->before, &driver->node, kind == REPLICA_CRASH, &driver->verdict);
}
