/* SPDX-License-Identifier: Apache-2.0
 *
 * Committed entries on their way into the state machine, one job at a time: the
 * frames come from memory, or a first job fetches them from the log. Requests
 * are claimed on the loop thread before the job goes out, so that none can time
 * out while the state machine works on it.
 */
#include "base/assert.h"
#include "node/replica_state.h"

enum {
    APPLIER_BYTES_MAX = 1 << 20, /* of frames in one job; at least one frame */
    APPLIER_FRAMES_MAX = 1024,   /* in one job */
    APPLIER_ROOM_MS = 1000,      /* after which a state machine without room is tried again */
};

void applier_init(struct replica *replica) {
    struct applier *applier = &replica->applier;
    applier->replica = replica;
    applier->applied = replica->options.applied;
    applier->look_at_ms = replica->options.machine.room ? 0 : UINT64_MAX; /* it is asked first of all */
    list_init(&applier->claimed);
    list_init(&applier->job.link);
}

static void applier_release(struct applier *applier) {
    for (size_t i = 0; i < applier->frame_count; i++)
        buf_unref(applier->frames[i]);
    mem_free(applier->frames);
    applier->frames = NULL;
    applier->frame_count = 0;
    applier->command_count = 0;
}

void applier_free(struct replica *replica) {
    LASH_ASSERT(!replica->applier.busy && list_empty(&replica->applier.claimed));
    applier_release(&replica->applier);
    mem_free(replica->applier.commands);
}

static void applier_submit(struct applier *applier, void (*work)(struct job *job), void (*done)(struct job *job)) {
    applier->busy = true;
    applier->job.work = work;
    applier->job.done = done;
    applier->replica->env->submit(applier->replica->env->context, REPLICA_APPLY, &applier->job);
}

/* On the apply thread. */
static void applier_apply_work(struct job *job) {
    struct applier *applier = list_entry(job, struct applier, job);
    const struct lash_state_machine *machine = &applier->replica->options.machine;
    applier->error = machine->apply(machine->context, applier->commands, applier->command_count, applier->last);
    applier->room_error = applier->error || !machine->room ? LASH_OK : machine->room(machine->context);
}

/* On the apply thread. */
static void applier_look_work(struct job *job) {
    struct applier *applier = list_entry(job, struct applier, job);
    const struct lash_state_machine *machine = &applier->replica->options.machine;
    applier->room_error = machine->room(machine->context);
}

/* Whether there is room for more, and when to ask again if there is not. */
static void applier_see_room(struct replica *replica) {
    struct applier *applier = &replica->applier;
    applier->low = applier->room_error == LASH_FULL;
    applier->look_at_ms = UINT64_MAX;
    if (applier->low)
        applier->look_at_ms = replica->env->now_ms(replica->env->context) + APPLIER_ROOM_MS;
    replica_note_room(replica);
}

static void applier_look_done(struct job *job) {
    struct applier *applier = list_entry(job, struct applier, job);
    applier->busy = false;
    applier_see_room(applier->replica);
}

/* The state machine has no room for the job's commands, and nothing of them was applied: they go out again, as often as it takes.
 * Who waits for them is not kept that long. */
static void applier_wait(struct replica *replica) {
    struct applier *applier = &replica->applier;
    applier->not_before_ms = replica->env->now_ms(replica->env->context) + APPLIER_ROOM_MS;
    for (size_t i = 0; i < applier->command_count; i++)
        applier->commands[i].request = NULL;
    struct list *at;
    while ((at = list_pop(&applier->claimed)))
        request_end(list_entry(at, struct request, link), LASH_TIMEOUT, 0, &replica->ended);
}

static void applier_apply_done(struct job *job) {
    struct applier *applier = list_entry(job, struct applier, job);
    struct replica *replica = applier->replica;
    applier->busy = false;
    applier->full = applier->error == LASH_FULL && replica_active(replica);
    applier_see_room(replica);
    if (applier->full) {
        applier_wait(replica);
        return;
    }
    for (size_t i = 0; i < applier->frame_count; i++)
        taker_applied(replica, applier->frames[i]->size);
    applier_release(applier);
    if (applier->error) {
        replica_fail(replica, applier->error, "the state machine could not apply a command");
    } else {
        applier->applied = applier->last;
        struct lash_event event = {.type = LASH_EVENT_APPLIED};
        event.applied.index = applier->applied;
        replica_step_surely(replica, &event);
    }
    struct list *at;
    while ((at = list_pop(&applier->claimed))) {
        struct request *request = list_entry(at, struct request, link);
        request_end(request, applier->error ? LASH_CLOSED : 0, applier->error ? 0 : request->index, &replica->ended);
    }
    if (!applier->error && applier->last_term > applier->applied_term) {
        applier->applied_term = applier->last_term;
        proposer_drop_before(replica, applier->applied_term);
    }
}

/* Claim the request that proposed this entry here, if there is one. */
static void *applier_claim(struct replica *replica, const struct frame_entry *entry) {
    if (entry->origin != replica->options.id)
        return NULL;
    struct request *request = waiting_take(&replica->proposer.waiting, entry->sequence);
    if (!request)
        return NULL;
    list_remove(&request->age);
    request->index = entry->index;
    list_push(&replica->applier.claimed, &request->link);
    return request->user;
}

/* The commands of one frame that are beyond `last` and within the target. */
static void applier_collect(struct replica *replica, const uint8_t *data, const struct frame *frame) {
    struct applier *applier = &replica->applier;
    size_t offset = 0;
    struct frame_entry entry;
    while (frame_next(data, frame, &offset, &entry)) {
        if (entry.index <= applier->last)
            continue;
        if (entry.index > applier->target)
            break;
        LASH_ASSERT(entry.index == applier->last + 1);
        applier->last = entry.index;
        applier->last_term = frame->term;
        if (frame->kind == LASH_ENTRY_CONFIGURATION) {
            changes_applied(replica, &entry, &applier->claimed);
            continue;
        }
        void *user = applier_claim(replica, &entry);
        if (frame->kind != LASH_ENTRY_COMMAND)
            continue;
        LASH_ASSERT(applier->command_count < applier->command_capacity);
        applier->commands[applier->command_count++] = (struct lash_command){
            .index = entry.index, .term = frame->term, .data = entry.data, .size = entry.size, .request = user};
    }
}

/* Room for as many commands as the job's frames can hold. */
static int applier_reserve(struct applier *applier) {
    size_t count = 0;
    for (size_t i = 0; i < applier->frame_count; i++) {
        struct frame frame;
        int error = frame_header(applier->frames[i]->data, &frame);
        /* A newer version wrote it: to go on without it is to be another state machine than the others. */
        if (!error && frame.kind > LASH_ENTRY_CONFIGURATION)
            error = LASH_VERSION;
        if (error)
            return error;
        count += frame.count;
    }
    if (count <= applier->command_capacity)
        return 0;
    struct lash_command *commands = mem_realloc(applier->commands, count * sizeof *commands);
    if (!commands)
        return LASH_NOMEM;
    applier->commands = commands;
    applier->command_capacity = count;
    return 0;
}

/* The frames are there: hand their commands to the state machine. */
static void applier_start(struct replica *replica) {
    struct applier *applier = &replica->applier;
    int error = applier_reserve(applier);
    if (error) {
        applier_release(applier);
        applier->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
        if (error != LASH_NOMEM)
            replica_fail(replica, error, "the log holds a frame that this version cannot read");
        return;
    }
    applier->last = applier->applied;
    for (size_t i = 0; i < applier->frame_count; i++) {
        struct frame frame;
        error = frame_header(applier->frames[i]->data, &frame);
        LASH_ASSERT(!error);
        applier_collect(replica, applier->frames[i]->data, &frame);
    }
    LASH_ASSERT(applier->last > applier->applied);
    applier_submit(applier, applier_apply_work, applier_apply_done);
}

/* On the apply thread. */
static void applier_fetch_work(struct job *job) {
    struct applier *applier = list_entry(job, struct applier, job);
    applier->error = log_read(applier->replica->log, applier->first, applier->target, APPLIER_BYTES_MAX,
                              &applier->frames, &applier->frame_count);
}

static void applier_fetch_done(struct job *job) {
    struct applier *applier = list_entry(job, struct applier, job);
    struct replica *replica = applier->replica;
    applier->busy = false;
    if (applier->error == LASH_NOMEM)
        applier->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
    else if (applier->error)
        replica_fail(replica, applier->error, "the log could not be read");
    if (applier->error)
        return;
    if (replica_active(replica))
        applier_start(replica);
    else
        applier_release(applier);
}

/* Take the job's frames from memory. Errors: LASH_NOMEM. */
static int applier_take_recent(struct replica *replica, size_t position) {
    struct applier *applier = &replica->applier;
    const struct recent *recent = &replica->recent;
    size_t count = 0;
    uint64_t bytes = 0;
    while (position + count < recent->count && count < APPLIER_FRAMES_MAX) {
        const struct recent_frame *frame = recent_at(recent, position + count);
        if (frame->first > applier->target || (count && bytes + frame->frame->size > APPLIER_BYTES_MAX))
            break;
        bytes += frame->frame->size;
        count++;
    }
    LASH_ASSERT(count > 0);
    applier->frames = mem_alloc(count * sizeof(struct buf *));
    if (!applier->frames)
        return LASH_NOMEM;
    for (size_t i = 0; i < count; i++)
        applier->frames[i] = buf_ref(recent_at(recent, position + i)->frame);
    applier->frame_count = count;
    return 0;
}

void applier_turn(struct replica *replica) {
    struct applier *applier = &replica->applier;
    lash_index target = replica->status.commit;
    if (target > replica->status.durable_index)
        target = replica->status.durable_index;
    if (!applier->busy && replica->now_ms >= applier->look_at_ms) {
        applier_submit(applier, applier_look_work, applier_look_done);
        return;
    }
    if (applier->busy || target <= applier->applied || replica->now_ms < applier->not_before_ms ||
        restorer_due(replica))
        return;
    if (applier->full) {
        applier_submit(applier, applier_apply_work, applier_apply_done);
        return;
    }
    applier->first = applier->applied + 1;
    applier->target = target;
    size_t position = recent_find(&replica->recent, applier->first);
    if (position < replica->recent.count) {
        if (applier_take_recent(replica, position) == 0)
            applier_start(replica);
        else
            applier->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
        return;
    }
    if (applier->target >= recent_first(&replica->recent))
        applier->target = recent_first(&replica->recent) - 1;
    applier_submit(applier, applier_fetch_work, applier_fetch_done);
}

void applier_stop(struct replica *replica) {
    struct applier *applier = &replica->applier;
    if (applier->busy || !applier->full)
        return;
    applier->full = false;
    applier_release(applier);
}

void applier_drop(struct replica *replica) {
    struct applier *applier = &replica->applier;
    LASH_ASSERT(!applier->busy);
    applier->full = false;
    applier_release(applier);
    replica_note_room(replica);
}

uint64_t applier_deadline(const struct replica *replica) {
    const struct applier *applier = &replica->applier;
    if (applier->busy)
        return UINT64_MAX;
    uint64_t deadline = applier->look_at_ms;
    bool paused = applier->not_before_ms > replica->now_ms;
    return paused && applier->not_before_ms < deadline ? applier->not_before_ms : deadline;
}
