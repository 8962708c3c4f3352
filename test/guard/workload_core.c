/* SPDX-License-Identifier: Apache-2.0
 *
 * Three cores whose disks are instant and whose network is a ring of messages.
 */
#include "workloads.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lash/raft.h"

enum { CORES = 3, CORE_MAIL = 64, CORE_ELECTION_MS = 1000 };

struct core_mail {
    struct lash_message message;
    struct lash_run run;
};

struct cores {
    struct lash_raft *rafts[CORES];
    void *blocks[CORES];
    struct lash_outputs outputs;
    struct core_mail mail[CORE_MAIL];
    size_t oldest;
    size_t count;
    lash_index first_command;
    lash_index applied[CORES];
};

static void core_step(struct cores *cores, size_t number, const struct lash_event *event);

/* A message joins the ring; its entries, if it has any, are of one kind, as a no-op never travels with commands here. */
static void core_post(struct cores *cores, const struct lash_message *message) {
    LASH_ASSERT(cores->count < CORE_MAIL);
    struct core_mail *mail = &cores->mail[(cores->oldest + cores->count++) % CORE_MAIL];
    mail->message = *message;
    if (message->type != LASH_MSG_APPEND)
        return;
    mail->message.append.run_count = 0;
    if (message->append.last < message->append.first)
        return;
    mail->run = (struct lash_run){
        .first = message->append.first,
        .count = (uint32_t)(message->append.last - message->append.first + 1),
        .kind = message->append.first < cores->first_command ? LASH_ENTRY_NOOP : LASH_ENTRY_COMMAND,
    };
    bool known = lash_raft_term_at(cores->rafts[message->from - 1], message->append.first, &mail->run.term);
    LASH_ASSERT(known);
    mail->message.append.run_count = 1;
}

/* Post what a step says, and say of each that it was sent. Returns how many there were. */
static size_t core_send(struct cores *cores, size_t number) {
    struct lash_outputs sent;
    uint32_t count = cores->outputs.send_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct lash_message *message = &cores->outputs.sends[i].message;
        core_post(cores, message);
        if (message->type != LASH_MSG_APPEND || message->append.last < message->append.first)
            continue;
        struct lash_event event = {.type = LASH_EVENT_SENT, .now_ms = CORE_ELECTION_MS * 3};
        event.sent.to = message->to;
        event.sent.last = message->append.last;
        event.sent.bytes = (message->append.last - message->append.first + 1) * WORKLOAD_VALUE;
        int error = lash_raft_step(cores->rafts[number], &event, &sent);
        LASH_ASSERT(!error && sent.send_count == 0 && sent.write == 0);
    }
    return count;
}

static void core_step(struct cores *cores, size_t number, const struct lash_event *event) {
    struct lash_event next = *event;
    for (;;) {
        next.now_ms = CORE_ELECTION_MS * 3;
        int error = lash_raft_step(cores->rafts[number], &next, &cores->outputs);
        LASH_ASSERT(!error);
        struct lash_event written = {.type = LASH_EVENT_WRITTEN};
        written.written.write = cores->outputs.write;
        written.written.index = cores->outputs.append ? cores->outputs.append_last : 0;
        written.written.term = cores->outputs.append ? cores->outputs.append_term : 0;
        lash_index commit = cores->outputs.commit;
        (void)core_send(cores, number);
        if (written.written.write) {
            next = written;
        } else if (commit > cores->applied[number]) {
            cores->applied[number] = commit;
            next = (struct lash_event){.type = LASH_EVENT_APPLIED};
            next.applied.index = commit;
        } else {
            return;
        }
    }
}

static void core_quiet(struct cores *cores) {
    while (cores->count > 0) {
        struct core_mail *mail = &cores->mail[cores->oldest];
        struct lash_event event = {.type = LASH_EVENT_MESSAGE, .message = mail->message};
        if (mail->message.type == LASH_MSG_APPEND)
            event.message.append.runs = &mail->run;
        cores->oldest = (cores->oldest + 1) % CORE_MAIL;
        cores->count--;
        core_step(cores, mail->message.to - 1, &event);
    }
}

static void core_open(struct cores *cores, size_t number) {
    struct lash_raft_options options = {.id = number + 1, .seed = number + 1, .election_ms = CORE_ELECTION_MS};
    struct lash_raft_saved saved = {.first_index = 1, .configuration = {.count = CORES}};
    for (size_t i = 0; i < CORES; i++)
        saved.configuration.members[i] = (struct lash_member){.id = i + 1, .flags = LASH_MEMBER_VOTER};
    cores->blocks[number] = mem_calloc(1, lash_raft_size(&options));
    LASH_ASSERT(cores->blocks[number]);
    int error = lash_raft_init(cores->blocks[number], &options, &saved, 0, &cores->rafts[number]);
    LASH_ASSERT(!error);
}

void workload_core(size_t times) {
    static struct cores cores;
    memset(&cores, 0, sizeof cores);
    cores.first_command = UINT64_MAX;
    for (size_t i = 0; i < CORES; i++)
        core_open(&cores, i);
    core_step(&cores, 0, &(struct lash_event){.type = LASH_EVENT_TICK});
    core_quiet(&cores);
    struct lash_raft_status status;
    lash_raft_status(cores.rafts[0], &status);
    LASH_ASSERT(status.role == LASH_LEADER && status.commit == status.last_index);
    cores.first_command = status.last_index + 1;
    for (size_t i = 0; i < times; i++) {
        struct lash_event event = {.type = LASH_EVENT_PROPOSE};
        event.propose.kind = LASH_ENTRY_COMMAND;
        event.propose.count = 1;
        core_step(&cores, 0, &event);
        core_quiet(&cores);
    }
    lash_raft_status(cores.rafts[0], &status);
    LASH_ASSERT(status.commit == cores.first_command + times - 1);
    for (size_t i = 0; i < CORES; i++)
        mem_free(cores.blocks[i]);
}
