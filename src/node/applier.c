/* SPDX-License-Identifier: Apache-2.0
 *
 * Committed entries on their way into the state machine, one job at a time: the
 * frames come from memory, or a first job fetches them from the log. Requests
 * are claimed on the loop thread before the job goes out, so that none can time
 * out while the state machine works on it.
 *
 * Commands in parts (parts.h) are put together on the way. As long as one is not whole, what the state
 * machine records as applied stays before its first part: whoever goes on from there,
 * after a restart or with a snapshot, meets all of its parts.
 */
#include "base/assert.h"
#include "node/replica_state.h"

enum {
    APPLIER_BYTES_MAX = 256 << 10, /* of frames in one job; at least one frame */
    APPLIER_FRAMES_MAX = 1024,     /* in one job */
    APPLIER_ROOM_MS = 1000,        /* after which a state machine without room is tried again */
    APPLIER_QUICK_MAX = 1024,      /* commands that a quick state machine may apply on the loop thread */
};

void applier_init(struct replica *replica) {
    struct applier *applier = &replica->applier;
    applier->replica = replica;
    applier->applied = replica->options.applied;
    applier->reached = applier->applied;
    applier->look_at_ms = replica->options.machine.room ? 0 : UINT64_MAX; /* it is asked first of all */
    list_init(&applier->claimed);
    list_init(&applier->job.link);
}

static void applier_release(struct applier *applier) {
    for (size_t i = 0; i < applier->frame_count; i++)
        buf_unref(applier->frames[i]);
    mem_free(applier->frames);
    for (size_t i = 0; i < applier->whole_count; i++)
        buf_unref(applier->wholes[i]);
    applier->frames = NULL;
    applier->frame_count = 0;
    applier->command_count = 0;
    applier->whole_count = 0;
}

void applier_free(struct replica *replica) {
    LASH_ASSERT(!replica->applier.busy && list_empty(&replica->applier.claimed));
    applier_release(&replica->applier);
    assembly_drop(&replica->applier.parts);
    mem_free(replica->applier.commands);
    mem_free(replica->applier.wholes);
}

/* On the apply thread, or, for a quick state machine, on the loop thread. */
static void applier_apply_work(struct job *job) {
    struct applier *applier = list_entry(job, struct applier, job);
    const struct lash_state_machine *machine = &applier->replica->options.machine;
    applier->error = 0;
    if (applier->last > applier->applied) /* else all of it is parts of a command that goes on */
        applier->error = machine->apply(machine->context, applier->commands, applier->command_count, applier->last);
    applier->room_error = applier->error || !machine->room ? LASH_OK : machine->room(machine->context);
}

static void applier_submit(struct applier *applier, void (*work)(struct job *job), void (*done)(struct job *job)) {
    applier->busy = true;
    applier->job.work = work;
    applier->job.done = done;
    applier->job.quick = applier->replica->options.machine.quick && work == applier_apply_work &&
                         applier->command_count <= APPLIER_QUICK_MAX;
    applier->replica->env->submit(applier->replica->env->context, REPLICA_APPLY, &applier->job);
}

/* On the apply thread, where all that came before has its turn: there is nothing to apply. */
static void applier_pass_work(struct job *job) {
    struct applier *applier = list_entry(job, struct applier, job);
    applier->error = 0;
    applier->room_error = LASH_OK;
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

/* Parts of a command that is not whole are behind what a snapshot would cover. */
static void applier_count(struct replica *replica) {
    struct applier *applier = &replica->applier;
    for (size_t i = 0; i < applier->frame_count; i++)
        applier->bytes += applier->frames[i]->size;
    if (applier->last < applier->looked)
        return;
    taker_applied(replica, applier->bytes);
    applier->bytes = 0;
}

/* The requests of the job's entries have ended. */
static void applier_end_claimed(struct replica *replica) {
    struct applier *applier = &replica->applier;
    if (!applier->error && !applier->passing) { /* each is what it is to be: no error, and its index */
        list_splice(&replica->ended, &applier->claimed);
        return;
    }
    struct list *at;
    while ((at = list_pop(&applier->claimed))) {
        struct request *request = list_entry(at, struct request, link);
        /* Proposed here before this node knew that it is a witness: carried out, but not here. */
        bool elsewhere = applier->passing && request->kind == REQUEST_COMMAND;
        int error = applier->error ? LASH_CLOSED : elsewhere ? LASH_UNKNOWN : 0;
        request_end(request, error, error ? 0 : request->index, &replica->ended);
    }
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
    applier_count(replica);
    applier_release(applier);
    if (applier->error) {
        replica_fail(replica, applier->error, "the state machine could not apply a command");
    } else {
        applier->applied = applier->last;
        applier->reached = applier->looked;
        struct lash_event event = {.type = LASH_EVENT_APPLIED};
        event.applied.index = applier->reached;
        replica_step_surely(replica, &event);
    }
    applier_end_claimed(replica);
    if (!applier->error && applier->last_term > applier->applied_term) {
        applier->applied_term = applier->last_term;
        proposer_drop_before(replica, applier->applied_term);
    }
}

/* Claim the request that proposed this entry (the last one, if it was cut) here, if there is one. */
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

static void applier_command(struct applier *applier, const struct frame_entry *entry, lash_term term, const void *data,
                            size_t size, void *user) {
    LASH_ASSERT(applier->command_count < applier->command_capacity);
    applier->commands[applier->command_count++] =
        (struct lash_command){.index = entry->index, .term = term, .data = data, .size = size, .request = user};
}

/* A part, with which the command comes as far as `next`. Errors: LASH_NOMEM. */
static int applier_part(struct replica *replica, const struct frame_entry *entry, const struct parts_cursor *next,
                        const struct part *part) {
    struct applier *applier = &replica->applier;
    int error = assembly_add(&applier->parts, next, part);
    if (error || parts_pending(next))
        return error;
    struct buf *whole = assembly_take(&applier->parts);
    applier->wholes[applier->whole_count++] = whole;
    applier_command(applier, entry, next->term, whole->data, whole->size, applier_claim(replica, entry));
    return 0;
}

/* One entry. Errors: LASH_NOMEM, when there is none for the command that it begins. */
static int applier_entry(struct replica *replica, const struct frame_entry *entry, const struct frame *frame) {
    struct applier *applier = &replica->applier;
    struct parts_cursor next = applier->parts.cursor;
    struct part part;
    int error = parts_follow(&next, frame->term, frame->kind, entry, &part);
    LASH_ASSERT(!error && entry->index == applier->looked + 1);
    /* What the entry does not go on with has ended before it. */
    if (next.next == 0 || (frame->kind == LASH_ENTRY_PART && part.offset == 0)) {
        assembly_drop(&applier->parts);
        applier->last = applier->looked;
        applier->last_term = applier->looked_term;
    }
    if (frame->kind == LASH_ENTRY_PART) {
        error = applier_part(replica, entry, &next, &part);
    } else if (frame->kind == LASH_ENTRY_CONFIGURATION) {
        changes_applied(replica, entry, &applier->claimed);
    } else {
        (void)applier_claim(replica, entry);
    }
    if (error)
        return error;
    applier->looked = entry->index;
    applier->looked_term = frame->term;
    if (!applier->parts.command) {
        applier->last = applier->looked;
        applier->last_term = applier->looked_term;
    }
    return 0;
}

/* The same for commands that are whole, of which a frame holds many. */
static void applier_commands(struct replica *replica, const uint8_t *data, const struct frame *frame) {
    struct applier *applier = &replica->applier;
    lash_index looked = applier->looked;
    size_t offset = 0;
    struct frame_entry entry;
    while (frame_next(data, frame, &offset, &entry) && entry.index <= applier->target) {
        if (entry.index <= looked)
            continue;
        LASH_ASSERT(entry.index == looked + 1);
        looked = entry.index;
        applier_command(applier, &entry, frame->term, entry.data, entry.size, applier_claim(replica, &entry));
    }
    if (looked == applier->looked)
        return;
    assembly_drop(&applier->parts); /* what was begun has ended with the first of them */
    applier->last = applier->looked = looked;
    applier->last_term = applier->looked_term = frame->term;
}

/* The entries of one frame that are beyond those looked at and within the target. Errors: LASH_NOMEM. */
static int applier_collect(struct replica *replica, const uint8_t *data, const struct frame *frame) {
    struct applier *applier = &replica->applier;
    size_t offset = 0;
    struct frame_entry entry;
    int error = 0;
    if (frame->kind == LASH_ENTRY_COMMAND) {
        applier_commands(replica, data, frame);
        return 0;
    }
    while (!error && frame_next(data, frame, &offset, &entry) && entry.index <= applier->target)
        if (entry.index > applier->looked)
            error = applier_entry(replica, &entry, frame);
    return error;
}

/* Whether this version knows what the frame holds, from behind `*seen` on. To go on without it is to be another state machine
 * than the others. Errors: LASH_VERSION, LASH_CORRUPT. */
static int applier_check(const struct applier *applier, const uint8_t *data, struct frame *frame, lash_index *seen,
                         struct parts_cursor *cursor) {
    int error = frame_header(data, frame);
    if (!error && frame->kind > LASH_ENTRY_PART)
        error = LASH_VERSION;
    size_t offset = 0;
    struct frame_entry entry;
    struct part part;
    if (!error && frame->kind == LASH_ENTRY_COMMAND) { /* each of which does to the cursor what the last does */
        lash_index last = frame->first + frame->count - 1;
        last = last < applier->target ? last : applier->target;
        if (last > *seen)
            *cursor = (struct parts_cursor){.total = 0};
        *seen = last > *seen ? last : *seen;
        return 0;
    }
    while (!error && frame_next(data, frame, &offset, &entry) && entry.index <= applier->target) {
        if (entry.index <= *seen)
            continue;
        *seen = entry.index;
        error = parts_follow(cursor, frame->term, frame->kind, &entry, &part);
    }
    return error;
}

/* Room for as many commands as the job's frames can hold. */
static int applier_reserve(struct applier *applier) {
    size_t count = 0;
    lash_index seen = applier->reached;
    struct parts_cursor cursor = applier->parts.cursor;
    for (size_t i = 0; i < applier->frame_count; i++) {
        struct frame frame;
        int error = applier_check(applier, applier->frames[i]->data, &frame, &seen, &cursor);
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
    struct buf **wholes = mem_realloc(applier->wholes, count * sizeof(struct buf *));
    if (!wholes)
        return LASH_NOMEM;
    applier->wholes = wholes;
    applier->command_capacity = count;
    return 0;
}

/* Whether the job is one of a witness. Errors: LASH_MISMATCH: commands came without data, and this node is to keep it. */
static int applier_see_witness(struct replica *replica) {
    struct applier *applier = &replica->applier;
    for (size_t i = 0; i < applier->frame_count; i++) {
        struct frame frame;
        int error = frame_header(applier->frames[i]->data, &frame);
        if (error)
            return error;
        applier->hollow |= frame.hollow;
    }
    applier->passing = witness_here(replica);
    return applier->hollow && witness_contradicted(replica) ? LASH_MISMATCH : 0;
}

/* A witness takes note of the entries of one frame, and applies nothing. */
static void applier_pass(struct replica *replica, const uint8_t *data, const struct frame *frame) {
    struct applier *applier = &replica->applier;
    size_t offset = 0;
    struct frame_entry entry;
    while (frame_next(data, frame, &offset, &entry) && entry.index <= applier->target) {
        if (entry.index <= applier->looked)
            continue;
        if (frame->kind == LASH_ENTRY_CONFIGURATION)
            changes_applied(replica, &entry, &applier->claimed);
        else
            (void)applier_claim(replica, &entry);
        applier->last = applier->looked = entry.index;
        applier->last_term = applier->looked_term = frame->term;
    }
}

/* What a job's failure to begin means. */
static void applier_refuse(struct replica *replica, int error) {
    struct applier *applier = &replica->applier;
    applier_release(applier);
    applier->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
    if (error == LASH_MISMATCH)
        replica_fail(replica, error, "the log is a witness's, and this node is to keep data");
    else if (error != LASH_NOMEM)
        replica_fail(replica, error, "the log holds a frame that this version cannot read");
}

/* The frames are there: hand their commands to the state machine. */
static void applier_start(struct replica *replica) {
    struct applier *applier = &replica->applier;
    int error = applier_see_witness(replica);
    if (!error && !applier->passing)
        error = applier_reserve(applier);
    if (error) {
        applier_refuse(replica, error);
        return;
    }
    applier->looked = applier->reached;
    applier->last = applier->applied;
    for (size_t i = 0; !error && i < applier->frame_count; i++) {
        struct frame frame;
        int wrong = frame_header(applier->frames[i]->data, &frame);
        LASH_ASSERT(!wrong);
        if (applier->passing)
            applier_pass(replica, applier->frames[i]->data, &frame);
        else
            error = applier_collect(replica, applier->frames[i]->data, &frame);
    }
    if (error) /* no memory for the rest of it, until later */
        applier->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
    if (applier->looked == applier->reached) {
        applier_release(applier);
        return;
    }
    applier_submit(applier, applier->passing ? applier_pass_work : applier_apply_work, applier_apply_done);
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
    if (applier->busy || target <= applier->reached || replica->now_ms < applier->not_before_ms ||
        restorer_due(replica))
        return;
    if (applier->full) {
        applier_submit(applier, applier_apply_work, applier_apply_done);
        return;
    }
    applier->first = applier->reached + 1;
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
    assembly_drop(&applier->parts);
    applier->reached = applier->applied;
    applier->looked_term = applier->applied_term;
    applier->bytes = 0;
    replica_note_room(replica);
}

void applier_restored(struct replica *replica, lash_index index, lash_term term) {
    struct applier *applier = &replica->applier;
    assembly_drop(&applier->parts);
    applier->applied = index;
    applier->reached = index;
    applier->looked_term = term;
    applier->bytes = 0;
    if (applier->applied_term < term)
        applier->applied_term = term;
}

uint64_t applier_deadline(const struct replica *replica) {
    const struct applier *applier = &replica->applier;
    if (applier->busy)
        return UINT64_MAX;
    uint64_t deadline = applier->look_at_ms;
    bool paused = applier->not_before_ms > replica->now_ms;
    return paused && applier->not_before_ms < deadline ? applier->not_before_ms : deadline;
}
