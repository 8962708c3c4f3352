/* SPDX-License-Identifier: Apache-2.0
 *
 * The world's events, and the replica's environment in it.
 */
#include "sim/world.h"

#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "node/replica_state.h"
#include "raft/random.h"
#include "sim/memory.h"
#include "sim/operator.h"
#include "sim/stray.h"
#include "sim/words.h"
#include "sim/world_hollow.h"
#include "sim/world_peers.h"
#include "sim/world_session.h"
#include "sim/world_snapshot.h"
#include "sim/world_store.h"

enum {
    WORLD_TURNS_OF_8 = 6, /* turns that follow an event at once, of eight */
    WORLD_TURN_SPAN_US = 200,
    WORLD_SPINS_MAX = 1000, /* of a node's deadline at one moment */
};

uint64_t world_draw(struct world *world, enum world_domain domain, uint64_t below) {
    return random_next(&world->random[domain]) % below;
}

void world_plan(struct world *world, uint64_t in_us, enum world_event kind, uint64_t subject, uint64_t argument) {
    queue_push(&world->queue,
               (struct event){
                   .at_us = world->now_us + in_us, .kind = kind, .subject = (uint32_t)subject, .argument = argument});
}

void world_fail(struct world *world, const char *invariant, const char *format, ...) {
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    judge_fail(world->judge, invariant, "%s", what);
}

/* ---- Clocks --------------------------------------------------------------------------------------- */

static uint64_t world_clock_us(const struct world_node *node) {
    const struct world_clock *clock = &node->clock;
    return clock->base_us + (node->world->now_us - clock->base_true_us) * clock->rate_ppm / 1000000;
}

uint64_t world_node_ms(const struct world_node *node) {
    return world_clock_us(node) / 1000;
}

/* When the node's clock will show `ms`. */
static uint64_t world_true_us(const struct world_node *node, uint64_t ms) {
    const struct world_clock *clock = &node->clock;
    if (ms >= UINT64_MAX / 1000)
        return UINT64_MAX;
    if (ms * 1000 <= clock->base_us)
        return node->world->now_us;
    uint64_t at = clock->base_true_us + (ms * 1000 - clock->base_us) * 1000000 / clock->rate_ppm + 1;
    return at > node->world->now_us ? at : node->world->now_us;
}

void world_clock_set(struct world_node *node, uint64_t step_us, uint64_t rate_ppm) {
    uint64_t shown_us = world_clock_us(node) + step_us;
    node->clock = (struct world_clock){shown_us, node->world->now_us, rate_ppm};
    /* What it waits for is another moment now; a turn finds out. */
    if (node->replica)
        world_turn_soon(node);
}

/* ---- What the judge sees --------------------------------------------------------------------------- */

/* The entry's checksum, of where it comes from and of its data, stands in the header before its data. */
uint64_t world_digest(const struct frame_entry *entry) {
    return le32_get(entry->data - FRAME_ENTRY_SIZE + 4) | (uint64_t)entry->size << 32;
}

uint32_t world_kind(const struct frame *frame, const struct frame_entry *entry) {
    struct part part;
    bool ends = frame->kind == LASH_ENTRY_PART && parts_decode(entry, &part) == 0 && parts_ends(&part);
    return ends ? (uint32_t)LASH_ENTRY_COMMAND : frame->kind;
}

/* Call `each` for the entries of an item of the journal. */
static void world_each_entry(struct world_node *node, const struct log_item *item, bool leading,
                             void (*each)(struct world_node *node, const struct frame *frame,
                                          const struct frame_entry *entry, const struct world_entry *told,
                                          bool leading)) {
    struct frame frame;
    struct frame_entry entry;
    size_t offset = 0;
    if (!item->frame)
        return;
    int error = frame_header(item->frame->data, &frame);
    LASH_ASSERT(!error);
    while (frame_next(item->frame->data, &frame, &offset, &entry)) {
        if (entry.index < item->first)
            continue;
        struct world_entry told = world_hollow_entry(node, &frame, &entry);
        each(node, &frame, &entry, &told, leading);
    }
}

static void world_judge_entry(struct world_node *node, const struct frame *frame, const struct frame_entry *entry,
                              const struct world_entry *told, bool leading) {
    node->world->tally.parts += leading && told->kind == LASH_ENTRY_PART;
    world_hollow_got(node, frame, entry, told);
    if (leading && frame->kind == LASH_ENTRY_CONFIGURATION && node->world->profile.operators)
        operator_judge(node, frame, entry);
    else
        judge_append(node->world->judge, node->id, entry->index, told->term, told->kind, told->digest, leading);
}

static void world_judge_journal(struct world_node *node, const struct journal_batch *batch, bool leading) {
    if (batch->reset && batch->reset != node->reset_seen) {
        if (node->world->profile.operators)
            judge_begun(node->world->judge, node->id);
        judge_reset(node->world->judge, node->id, batch->reset);
        node->reset_seen = batch->reset;
        node->journal_seen = 0;
    }
    for (; node->journal_seen < batch->count; node->journal_seen++)
        world_each_entry(node, &batch->items[node->journal_seen], leading, world_judge_entry);
}

void world_observe(struct world_node *node) {
    const struct lash_raft_status *status = &node->replica->status;
    if (replica_error(node->replica))
        return; /* it takes no part, and an entry that it had no memory for may be missing */
    world_judge_journal(node, &node->replica->journal.queued, status->role == LASH_LEADER);
    judge_observe(node->world->judge, node->id, status);
}

static void world_env_observe(void *context, const struct lash_status *status) {
    struct world_node *node = context;
    if (!node->replica)
        return;
    TRACE(node->world, "n%u is %s of term %llu, leader n%llu, commit %llu, last %llu", (unsigned)node->id,
          words_role(status->raft.role), (unsigned long long)status->raft.term, (unsigned long long)status->raft.leader,
          (unsigned long long)status->raft.commit, (unsigned long long)status->raft.last_index);
    world_observe(node);
}

/* ---- Executors -------------------------------------------------------------------------------------- */

static void world_pend_entry(struct world_node *node, const struct frame *frame, const struct frame_entry *entry,
                             const struct world_entry *told, bool leading) {
    (void)frame;
    (void)leading;
    lash_index index = entry->index;
    struct world_pending *pending = &node->pending;
    const struct judge_log *disk = pending->reset ? judge_committed_log(node->world->judge) : &node->on_disk;
    if (index <= pending->kept) {
        pending->kept = index - 1;
        pending->suffix.count = 0;
    }
    judge_log_cut(&pending->suffix, index - 1 - pending->kept);
    uint64_t chain = pending->suffix.count ? judge_log_chain(&pending->suffix, pending->suffix.count)
                                           : judge_log_chain(disk, pending->kept);
    judge_log_push(&pending->suffix, chain, told->term, told->kind, told->digest);
}

/* The journal's batch is going to be written. */
static void world_pend(struct world_node *node) {
    const struct journal_batch *batch = &node->replica->journal.writing;
    struct world_pending *pending = &node->pending;
    pending->any = batch->write > 0;
    pending->reset = batch->reset;
    node->dropped |= batch->reset != 0;
    pending->reset_term = batch->reset_term;
    pending->undone = false;
    pending->save_vote = false;
    pending->kept = batch->reset ? batch->reset : node->on_disk.count;
    pending->suffix.count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->items[i].save_vote) {
            pending->save_vote = true;
            pending->term = batch->items[i].term;
            pending->vote = batch->items[i].vote;
        }
        world_each_entry(node, &batch->items[i], false, world_pend_entry);
    }
}

/* The journal's batch has been written, or not. */
static void world_written(struct world_node *node) {
    const struct journal *journal = &node->replica->journal;
    struct world_pending *pending = &node->pending;
    struct judge *judge = node->world->judge;
    stray_after(node, !journal->sync_error && !journal->append_error && !node->refused);
    if (!journal->sync_error)
        world_snapshot_trimmed(node);
    if (!pending->any || journal->sync_error || node->refused)
        return;                                          /* what became of it, the next start shows */
    if (pending->reset && journal->writing.reset == 0) { /* whatever became of the rest */
        world_disk_reset(node, pending->reset, pending->reset_term);
        pending->reset = 0;
    }
    pending->undone = journal->append_error != 0;
    pending->any = pending->undone;
    if (pending->undone)
        return;
    world_disk_written(node, pending->kept, &pending->suffix);
    if (pending->save_vote)
        judge_durable_vote(judge, node->id, pending->term, pending->vote);
}

static void world_env_submit(void *context, enum replica_executor executor, struct job *job) {
    struct world_node *node = context;
    struct world *world = node->world;
    const struct profile *profile = &world->profile;
    if (!list_empty(&node->queued[executor]) || !list_empty(&node->worked[executor]))
        world_fail(world, "P3", "n%u has two jobs on one executor", (unsigned)node->id);
    list_push(&node->queued[executor], &job->link);
    node->jobs[executor]++;
    uint64_t us = 0;
    if (executor == REPLICA_LOG && node->repair) {
        us = (profile->disk_us + world_draw(world, DOMAIN_DISK, profile->disk_span_us)) * node->slowness;
    } else if (executor == REPLICA_LOG) {
        const struct journal *journal = &node->replica->journal;
        if (!journal->append_error && !node->refused && journal->writing.write) {
            world_judge_journal(node, &journal->writing, node->replica->status.role == LASH_LEADER);
            node->journal_seen = 0;
        }
        us = (profile->disk_us + world_draw(world, DOMAIN_DISK, profile->disk_span_us)) * node->slowness;
    } else {
        us = profile->apply_us + world_draw(world, DOMAIN_PROCESS, profile->apply_span_us); /* reading, too */
        us *= executor == REPLICA_APPLY ? 1 : node->slowness;
        us *= executor == REPLICA_SNAPSHOT ? 1 + world_draw(world, DOMAIN_PROCESS, 20) : 1;
    }
    world_plan(world, us, EVENT_WORK, node->id - 1, node->life * WORLD_EXECUTORS + executor);
}

/* The kernel writes for the replica: on the log's executor, which it is as quick as. */
static void world_env_write(void *context, struct log_write *write, struct job *job) {
    struct world_node *node = context;
    node->write = write;
    world_env_submit(node, REPLICA_LOG, job);
}

/* Carry out a write that was handed over. */
static void world_write(struct world_node *node) {
    struct log_write *write = node->write;
    node->write = NULL;
    memfs_carry_out(memfs_vfs(node->disk), write);
    node->refused = write->result != (ssize_t)write->size;
}

static void world_plan_done(struct world *world, size_t position, enum replica_executor executor) {
    world_plan(world, 1 + world_draw(world, DOMAIN_PROCESS, WORLD_TURN_SPAN_US), EVENT_DONE, position,
               world->nodes[position].life * WORLD_EXECUTORS + executor);
}

bool world_work(struct world *world, size_t position, enum replica_executor executor) {
    struct world_node *node = &world->nodes[position];
    struct list *at = list_pop(&node->queued[executor]);
    if (!at)
        return false;
    struct job *job = list_entry(at, struct job, link);
    bool writes = executor == REPLICA_LOG && node->replica;
    if (writes) {
        world_pend(node);
        stray_before(node);
    }
    if (writes)
        node->refused = false;
    if (writes && node->write)
        world_write(node);
    else
        job->work(job);
    if (writes)
        world_written(node);
    else
        (void)stray_landed(node);
    world_snapshot_look(node);
    list_push(&node->worked[executor], &job->link);
    world_plan_done(world, position, executor);
    return true;
}

bool world_finish(struct world *world, size_t position, enum replica_executor executor) {
    struct world_node *node = &world->nodes[position];
    struct list *at = list_pop(&node->worked[executor]);
    if (!at)
        return false;
    struct job *job = list_entry(at, struct job, link);
    job->done(job);
    if (node->replica)
        world_observe(node);
    return true;
}

void world_hold(struct world *world, size_t position, enum replica_executor executor) {
    world->nodes[position].held[executor] = true;
}

void world_release(struct world *world, size_t position, enum replica_executor executor) {
    struct world_node *node = &world->nodes[position];
    node->held[executor] = false;
    if (!list_empty(&node->queued[executor]))
        world_plan(world, 1, EVENT_WORK, position, node->life * WORLD_EXECUTORS + executor);
    if (!list_empty(&node->worked[executor]))
        world_plan_done(world, position, executor);
}

/* ---- The replica's environment ---------------------------------------------------------------------- */

static uint64_t world_env_now_ms(void *context) {
    return world_node_ms(context);
}

static void world_timer(struct world_node *node) {
    if (node->deadline_us >= node->timer_us)
        return;
    node->timer_us = node->deadline_us;
    world_plan(node->world, node->timer_us - node->world->now_us, EVENT_TIMER, node->id - 1,
               node->life | (uint64_t)++node->timers << 32);
}

static void world_env_arm(void *context, uint64_t deadline_ms) {
    struct world_node *node = context;
    node->deadline_us = world_true_us(node, deadline_ms);
    world_timer(node);
}

static void world_env_halt(void *context, int error) {
    struct world_node *node = context;
    TRACE(node->world, "n%u is to stop at once: %s", (unsigned)node->id, lash_strerror(error));
    node->halted = true;
    judge_halt(node->world->judge, node->id);
}

void world_turn(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    if (node->repair)
        world_repair_turn(node);
    if (!node->replica)
        return;
    replica_turn(node->replica);
    world_observe(node);
    /* Where a process stops at once it tells nobody anything. */
    if ((!node->halted || world->options.manual) && replica_deliver(node->replica))
        replica_notify(node->replica);
}

void world_turn_soon(struct world_node *node) {
    if (node->turn_planned)
        return;
    node->turn_planned = true;
    world_plan(node->world, 1 + world_draw(node->world, DOMAIN_PROCESS, WORLD_TURN_SPAN_US), EVENT_TURN, node->id - 1,
               node->life);
}

/* After an event the loop goes round at once, or after some more. */
static void world_turn_mostly(struct world_node *node) {
    if (world_draw(node->world, DOMAIN_PROCESS, 8) < WORLD_TURNS_OF_8)
        world_turn(node->world, node->id - 1);
    else
        world_turn_soon(node);
}

/* ---- Events ------------------------------------------------------------------------------------------ */

/* Something on a node that stands still happens once it goes on. */
static bool world_postponed(struct world *world, const struct event *event, uint64_t until_us) {
    if (until_us <= world->now_us)
        return false;
    struct event later = *event;
    later.at_us = until_us;
    queue_push(&world->queue, later);
    return true;
}

/* P3: a node that has nothing to do until its deadline sleeps until then. */
static void world_spin(struct world_node *node) {
    node->spins = node->spun_us == node->world->now_us ? node->spins + 1 : 0;
    node->spun_us = node->world->now_us;
    if (node->spins == WORLD_SPINS_MAX)
        world_fail(node->world, "P3", "n%u spins: its deadline is always over", (unsigned)node->id);
}

static void world_timer_event(struct world *world, const struct event *event) {
    struct world_node *node = &world->nodes[event->subject];
    if (event->argument >> 32 != node->timers)
        return;
    node->timer_us = UINT64_MAX;
    world_spin(node);
    if (node->deadline_us <= world->now_us) {
        node->deadline_us = UINT64_MAX;
        world_turn(world, event->subject);
    } else {
        world_timer(node);
    }
}

static void world_turn_event(struct world *world, const struct event *event) {
    world->nodes[event->subject].turn_planned = false;
    world_turn(world, event->subject);
}

static void world_work_event(struct world *world, const struct event *event) {
    enum replica_executor executor = (enum replica_executor)(event->argument % WORLD_EXECUTORS);
    const struct world_node *node = &world->nodes[event->subject];
    if (node->held[executor] || (executor == REPLICA_LOG && world_postponed(world, event, node->stalled_us)))
        return;
    world_work(world, event->subject, executor);
}

static void world_done_event(struct world *world, const struct event *event) {
    enum replica_executor executor = (enum replica_executor)(event->argument % WORLD_EXECUTORS);
    struct world_node *node = &world->nodes[event->subject];
    if (!node->held[executor] && world_finish(world, event->subject, executor))
        world_turn_mostly(node);
}

static void world_deliver_event(struct world *world, const struct event *event) {
    struct world_node *node = &world->nodes[event->subject % WORLD_NODES_MAX];
    uint64_t life = node->life;
    network_deliver(world, event);
    if (world_alive(node) && node->life == life)
        world_turn_mostly(node);
}

static void world_start_event(struct world *world, const struct event *event) {
    const struct world_node *node = &world->nodes[event->subject];
    if (!world_alive(node) && !node->gone)
        (void)world_start(world, event->subject);
}

/* An operator, who has seen that the replica takes no part any more, ends the process. */
static void world_kill_event(struct world *world, const struct event *event) {
    world_kill(world, event->subject);
    if (operator_retires(&world->nodes[event->subject]))
        return;
    world_plan(world, 1 + world_draw(world, DOMAIN_PROCESS, world->profile.lasting_us), EVENT_START, event->subject, 0);
}

static void world_room_event(struct world *world, const struct event *event) {
    memfs_fill(world->nodes[event->subject].disk, false);
    world->nodes[event->subject].full = false;
    TRACE(world, "n%u's disk has room again", event->subject + 1);
}

/* Who an event is for, and whether that must be alive and in its same life. */
enum world_who { WHO_NODE_ALIVE, WHO_EXECUTOR, WHO_RECEIVER, WHO_SENDER, WHO_NODE, WHO_NONE };

static const struct world_handler {
    void (*handle)(struct world *world, const struct event *event);
    enum world_who who;
} world_handlers[EVENT_KINDS] = {
    [EVENT_DELIVER] = {world_deliver_event, WHO_RECEIVER}, [EVENT_TIMER] = {world_timer_event, WHO_NODE_ALIVE},
    [EVENT_TURN] = {world_turn_event, WHO_NODE_ALIVE},     [EVENT_WORK] = {world_work_event, WHO_EXECUTOR},
    [EVENT_DONE] = {world_done_event, WHO_EXECUTOR},       [EVENT_CLIENT] = {client_event, WHO_NONE},
    [EVENT_NOTICE] = {network_notice, WHO_SENDER},         [EVENT_CONNECT] = {network_connect_event, WHO_SENDER},
    [EVENT_START] = {world_start_event, WHO_NODE},         [EVENT_KILL] = {world_kill_event, WHO_NODE_ALIVE},
    [EVENT_ROOM] = {world_room_event, WHO_NODE},           [EVENT_FAULT] = {fault_event, WHO_NONE},
};

static struct world_node *world_event_node(struct world *world, const struct event *event, enum world_who who) {
    if (who == WHO_NONE)
        return NULL;
    if (who == WHO_RECEIVER)
        return &world->nodes[event->subject % WORLD_NODES_MAX];
    if (who == WHO_SENDER)
        return &world->nodes[event->subject % WORLD_LINKS / WORLD_NODES_MAX];
    return &world->nodes[event->subject];
}

/* What the world does about a node after an event of its: power that went, a process that is to stop. */
static void world_see_to(struct world_node *node) {
    struct world *world = node->world;
    size_t position = node->id - 1;
    if (!world_alive(node) || world->options.manual)
        return;
    if (node->armed && memfs_failed(node->disk)) {
        world_power_off(world, position);
        world_plan(world, 1 + world_draw(world, DOMAIN_PROCESS, world->profile.lasting_us), EVENT_START, position, 0);
    } else if (node->halted) {
        world_kill(world, position);
        world_plan(world, 1 + world_draw(world, DOMAIN_PROCESS, world->profile.lasting_us), EVENT_START, position, 0);
    } else if (node->replica && replica_error(node->replica) && !node->ending) {
        int error = replica_error(node->replica);
        if (error == LASH_REMOVED && !node->removed)
            return; /* it is about to say so */
        if (error != LASH_REMOVED && (error == LASH_CORRUPT ? !node->damaged : !node->ailing && !node->full))
            world_fail(world, error == LASH_CORRUPT ? "D3" : "contract", "n%u stops taking part without a reason: %s",
                       (unsigned)node->id, lash_strerror(error));
        node->ending = true;
        world_plan(world, 1 + world_draw(world, DOMAIN_PROCESS, world->profile.lasting_us), EVENT_KILL, position,
                   node->life);
    }
}

static void world_run(struct world *world, const struct event *event, struct world_node *node) {
    if (node && node->short_of_memory) {
        mem_fail_after(node->short_of_memory);
        node->short_of_memory = 0;
    }
    world_handlers[event->kind].handle(world, event);
    mem_fail_after(0);
    if (node)
        world_see_to(node);
}

bool world_step(struct world *world) {
    struct event event;
    if (!queue_pop(&world->queue, &event))
        return false;
    LASH_ASSERT(event.at_us >= world->now_us && event.kind < EVENT_KINDS);
    world->now_us = event.at_us;
    enum world_who who = world_handlers[event.kind].who;
    struct world_node *node = world_event_node(world, &event, who);
    uint64_t life = who == WHO_EXECUTOR ? event.argument / WORLD_EXECUTORS : event.argument & UINT32_MAX;
    if (node && who <= WHO_RECEIVER && !world_alive(node))
        return true;
    if (who <= WHO_EXECUTOR && life != node->life)
        return true;
    if (node && world_alive(node) && world_postponed(world, &event, node->paused_us))
        return true;
    world->tally.events++;
    world->hash = random_mix(world->hash ^ (event.at_us << 8 | event.kind)) + event.subject;
    world_run(world, &event, node);
    return true;
}

/* ---- Creation ------------------------------------------------------------------------------------------ */

/* Whom the versions simulated here talk to is of the same version. */
static uint64_t world_features(void *context, lash_id peer) {
    struct world_node *node = context;
    bool open = network_link(node->world, node->id - 1, peer - 1)->open;
    if (node->world->profile.operators)
        return open ? world_peers_features(node->world, node->id - 1, peer - 1) : 0;
    return WIRE_MEMBERS | WIRE_REPAIR | WIRE_LEASES | WIRE_PARTS | WIRE_WITNESS | WIRE_SLOW |
           (open ? WIRE_SNAPSHOTS : 0);
}

static const struct replica_env world_env = {
    .now_ms = world_env_now_ms,
    .arm = world_env_arm,
    .send = network_send,
    .features = world_features,
    .submit = world_env_submit,
    .write = world_env_write,
    .observe = world_env_observe,
    .halt = world_env_halt,
};

static void world_add_node(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    LASH_ASSERT(position < WORLD_NODES_MAX && !node->world);
    node->world = world;
    node->id = position + 1;
    node->disk = memfs_new();
    node->env = world_env;
    node->env.context = node;
    node->deadline_us = UINT64_MAX;
    node->timer_us = UINT64_MAX;
    node->slowness = 1;
    node->clock = (struct world_clock){1000000 + world_draw(world, DOMAIN_PROCESS, 1000000), 0, 1000000};
    list_init(&node->calls);
    list_init(&node->changes);
    if (world->profile.operators)
        operator_furnish(node);
    for (size_t i = 0; i < WORLD_EXECUTORS; i++) {
        list_init(&node->queued[i]);
        list_init(&node->worked[i]);
    }
}

size_t world_node_new(struct world *world) {
    world_add_node(world, world->count);
    return world->count++;
}

/* All nodes vote. */
static struct roster *world_first(const struct world *world) {
    size_t count = world->count;
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
    struct roster *first;
    LASH_ASSERT(count <= LASH_RAFT_MEMBERS_MAX);
    for (size_t i = 0; i < count; i++)
        members[i] = (struct lash_node_member){
            .id = i + 1, .flags = LASH_MEMBER_VOTER, .priority = world->profile.priorities[i]};
    for (size_t i = 0; world->profile.operators && i < count; i++) {
        members[i].host = WORLD_HOST;
        members[i].port = world->nodes[i].port;
    }
    int error = roster_new(0, members, count, &first);
    LASH_ASSERT(!error);
    return first;
}

struct world *world_new(const struct world_options *options) {
    LASH_ASSERT(options->nodes >= 1 && options->nodes <= WORLD_FOUNDERS_MAX);
    LASH_ASSERT(options->puppets < options->nodes && (options->manual || !options->puppets));
    struct world *world = memory_new(1, sizeof *world);
    world->options = *options;
    world->profile = options->profile;
    world->count = options->nodes;
    uint32_t judged = world->profile.operators ? WORLD_NODES_MAX : (uint32_t)options->nodes;
    world->judge = judge_new(judged, options->failed, options->context);
    list_init(&world->free_packets);
    for (size_t i = 0; i < DOMAIN_FAULTS; i++)
        world->random[i] = random_mix(options->seed * DOMAIN_FAULTS + i + 1);
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++)
        world->random[DOMAIN_FAULTS + kind] = fault_stream(random_mix(options->seed), kind);
    network_init(world);
    for (size_t i = 0; i < world->count; i++)
        world_add_node(world, i);
    world->first = world_first(world);
    if (world->profile.operators)
        operator_begin(world);
    if (world->profile.sessions)
        world_session_begin(world);
    for (size_t i = 0; i < world->count - options->puppets; i++)
        (void)world_start(world, i);
    world->clients = memory_new(world->profile.clients, sizeof *world->clients);
    for (uint32_t i = 0; i < world->profile.clients; i++)
        world_plan(world, world_draw(world, DOMAIN_CLIENT, world->profile.think_span_us), EVENT_CLIENT, i, 0);
    fault_begin(world);
    return world;
}

static bool world_drain(struct world *world, size_t position) {
    bool happened = false;
    for (int executor = 0; executor < WORLD_EXECUTORS; executor++)
        happened |= world_work(world, position, (enum replica_executor)executor) ||
                    world_finish(world, position, (enum replica_executor)executor);
    return happened;
}

static void world_stop_node(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    if (node->repair)
        world_kill(world, position);
    if (!node->replica)
        return;
    replica_stop(node->replica);
    do
        world_turn(world, position);
    while (world_drain(world, position));
    if (!replica_stopped(node->replica))
        world_fail(world, "contract", "n%u does not stop when told to", (unsigned)node->id);
    replica_free(node->replica);
    world_snapshot_close(node);
    log_close(node->log);
    node->replica = NULL;
    node->log = NULL;
    if (node->store)
        world_store_close(node);
}

void world_free(struct world *world) {
    for (size_t i = 0; i < world->count; i++) {
        struct world_node *node = &world->nodes[i];
        world_stop_node(world, i);
        if (request_count(&node->gauge))
            world_fail(world, "P3", "n%u has %llu requests left over", (unsigned)node->id,
                       (unsigned long long)request_count(&node->gauge));
        judge_log_free(&node->pending.suffix);
        judge_log_free(&node->on_disk);
    }
    if (world->sessions)
        world_session_free(world);
    world_hollow_free(world);
    network_free(world);
    roster_unref(world->first);
    for (size_t i = 0; i < world->count; i++) {
        roster_unref(world->nodes[i].contacts);
        memfs_free(world->nodes[i].disk);
    }
    queue_free(&world->queue);
    judge_free(world->judge);
    memory_free(world->commands);
    memory_free(world->clients);
    memory_free(world->scratch);
    memory_free(world->store_revisions);
    world_store_clean(world);
    memory_free(world);
}
