/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands and barriers on their way into a log: gathered into frames and
 * appended by the leader, forwarded to it by everyone else, held while there is none.
 *
 * A proposal is sent at most once, and only to the leader of one known term, which
 * refuses it when that term is over. So its fate is certain in three cases: it was
 * applied; it was refused (then it waits for the next leader); or an entry of a
 * later term was applied and it was not (§5.4: the committed log never gets an
 * entry of an earlier term again).
 */
#include "base/assert.h"

#include "node/replica_state.h"

enum {
    PROPOSER_BYTES_MAX = 1 << 20, /* of data in one frame; a single larger command gets a frame of its own */
    PROPOSER_COUNT_MAX = 1 << 16, /* of entries in one frame */
};

int proposer_init(struct replica *replica) {
    list_init(&replica->proposer.queue);
    cutter_init(replica);
    backlog_init(&replica->proposer.backlog, replica->options.uncommitted_bytes_max);
    return waiting_init(&replica->proposer.waiting);
}

void proposer_free(struct replica *replica) {
    LASH_ASSERT(list_empty(&replica->proposer.queue));
    cutter_free(replica);
    waiting_free(&replica->proposer.waiting);
    mem_free(replica->proposer.inputs);
}

void proposer_submit(struct replica *replica, struct request *request) {
    request->sequence = replica_number(replica);
    list_push(&replica->proposer.queue, &request->link);
}

static int proposer_reserve(struct proposer *proposer, size_t count) {
    if (count <= proposer->input_capacity)
        return 0;
    size_t capacity = count * 2;
    struct frame_input *inputs = mem_realloc(proposer->inputs, capacity * sizeof *inputs);
    if (!inputs)
        return LASH_NOMEM;
    proposer->inputs = inputs;
    proposer->input_capacity = capacity;
    return 0;
}

/* Put the queue's first requests of one kind, as many as make a frame, into `inputs`; the first is not to be cut. Errors:
 * LASH_NOMEM. */
static int proposer_gather(struct replica *replica, enum request_kind *kind, size_t *count) {
    struct proposer *proposer = &replica->proposer;
    size_t bytes = 0;
    *count = 0;
    for (struct list *at = proposer->queue.next; at != &proposer->queue; at = at->next) {
        const struct request *request = list_entry(at, struct request, link);
        if (*count && (request->kind != *kind || bytes + request->size > PROPOSER_BYTES_MAX ||
                       cutter_way(replica, request) != CUTTER_WHOLE))
            break;
        int error = proposer_reserve(proposer, *count + 1);
        if (error)
            return error;
        *kind = request->kind;
        bytes += request->size;
        proposer->inputs[(*count)++] = (struct frame_input){
            .origin = replica->options.id, .sequence = request->sequence, .data = request->data, .size = request->size};
        if (*count == PROPOSER_COUNT_MAX)
            break;
    }
    return 0;
}

/* The first `count` requests of the queue were sent in the present term. */
static void proposer_sent(struct replica *replica, size_t count, lash_term term, uint64_t batch) {
    for (size_t i = 0; i < count; i++) {
        struct request *request = list_entry(list_pop(&replica->proposer.queue), struct request, link);
        request->term = term;
        request->batch = batch;
        waiting_add(&replica->proposer.waiting, request);
    }
}

int proposer_append_frame(struct replica *replica, struct recent_frame *frame, size_t count, uint64_t since_ns) {
    /* What is begun would end with it (parts.h). */
    LASH_ASSERT(frame->kind == LASH_ENTRY_PART || !cutter_cutting(replica));
    frame->first = replica->status.last_index + 1;
    frame->last = replica->status.last_index + count;
    frame->term = replica->status.term;
    struct lash_event event = {.type = LASH_EVENT_PROPOSE};
    event.propose.kind = frame->kind;
    event.propose.count = (uint32_t)count;
    int error = replica_step(replica, &event, frame, 1);
    if (error)
        return error;
    replica->proposer.cutter.broken = false;
    meter_proposed(&replica->meter, frame->last, count, since_ns);
    backlog_settle(&replica->proposer.backlog, frame->term, replica->status.commit);
    if (frame->last > replica->status.commit)
        backlog_add(&replica->proposer.backlog, frame->last, frame->frame->size);
    return 0;
}

int proposer_append(struct replica *replica, uint32_t kind, const struct frame_input *inputs, size_t count) {
    struct recent_frame frame = {.kind = kind};
    uint64_t since_ns = meter_now(&replica->meter);
    int error = frame_encode(replica->options.group, replica->status.last_index + 1, replica->status.term, kind, inputs,
                             (uint32_t)count, &frame.frame);
    if (error)
        return error;
    error = proposer_append_frame(replica, &frame, count, since_ns);
    buf_unref(frame.frame);
    return error;
}

bool proposer_backlogged(struct replica *replica) {
    backlog_settle(&replica->proposer.backlog, replica->status.term, replica->status.commit);
    return backlog_full(&replica->proposer.backlog);
}

uint64_t proposer_uncommitted(const struct replica *replica) {
    struct backlog now = replica->proposer.backlog;
    backlog_settle(&now, replica->status.term, replica->status.commit);
    return replica->status.role == LASH_LEADER ? now.bytes : 0;
}

static void proposer_end_queue(struct replica *replica, int error) {
    while (!list_empty(&replica->proposer.queue))
        replica_end(replica, list_entry(replica->proposer.queue.next, struct request, link), error, 0);
}

/* See to the queue's first request if it does not go out as it is: whether it was seen to. */
static bool proposer_cut(struct replica *replica) {
    struct request *first = list_entry(replica->proposer.queue.next, struct request, link);
    enum cutter_way way = cutter_way(replica, first);
    if (way == CUTTER_PARTS)
        cutter_begin(replica);
    else if (way == CUTTER_NEVER)
        replica_end(replica, first, LASH_VERSION, 0);
    return way != CUTTER_WHOLE;
}

/* As leader: a frame of the queue's first requests, or a part of what is being cut. */
static int proposer_lead(struct replica *replica) {
    enum request_kind kind = REQUEST_COMMAND;
    if (cutter_busy(replica))
        return cutter_lead(replica);
    if (proposer_backlogged(replica)) {
        proposer_end_queue(replica, LASH_BACKLOG);
        return 0;
    }
    if (proposer_cut(replica))
        return 0;
    size_t count;
    lash_term term = replica->status.term;
    int error = proposer_gather(replica, &kind, &count);
    if (!error)
        error = proposer_append(replica, (uint32_t)kind, replica->proposer.inputs, count);
    if (!error)
        proposer_sent(replica, count, term, 0);
    return error;
}

int proposer_send(struct replica *replica, uint64_t batch, struct buf *frame) {
    struct wire_head head = {.group = replica->options.group, .kind = WIRE_FORWARD};
    head.forward.term = replica->status.term;
    head.forward.batch = batch;
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    return replica->env->send(replica->env->context, replica->status.leader, TRANSPORT_ENTRIES, data, size, &frame, 1);
}

/* As anyone else: a packet with the queue's first requests to the leader, or with a part of what is being cut. */
static int proposer_forward(struct replica *replica) {
    enum request_kind kind = REQUEST_COMMAND;
    size_t count;
    lash_term term = replica->status.term;
    struct buf *frame;
    if (cutter_busy(replica))
        return cutter_forward(replica);
    if (proposer_cut(replica))
        return 0;
    int error = proposer_gather(replica, &kind, &count);
    if (!error)
        error = frame_encode(replica->options.group, 1, term, (uint32_t)kind, replica->proposer.inputs, (uint32_t)count,
                             &frame);
    if (error)
        return error;
    uint64_t batch = replica_number(replica);
    error = proposer_send(replica, batch, frame);
    buf_unref(frame);
    if (!error)
        proposer_sent(replica, count, term, batch);
    return error;
}

/* Forward a batch; while the leader refuses what comes, as its disk hangs, say, a single one after each pause: it is not to be
 * sent over and over again all that it cannot take. */
static int proposer_try(struct replica *replica) {
    struct proposer *proposer = &replica->proposer;
    if (cutter_cutting(replica)) /* which was tried with its first part */
        return cutter_forward(replica);
    if (proposer->trying) { /* and nothing was refused in the time of a pause */
        proposer->trying = false;
        proposer->pause_ms = 0;
    }
    int error = proposer_forward(replica);
    if (!error && proposer->pause_ms) {
        proposer->trying = true;
        proposer->not_before_ms = replica->now_ms + proposer->pause_ms;
    }
    return error;
}

/* Whether proposals made here have nowhere to go: applied here, which they wait for, they would only be once there is room. */
static bool proposer_no_room(const struct replica *replica) {
    return replica->full || (replica->status.role == LASH_LEADER && replica->status.no_room);
}

/* Whether something waits to be appended or forwarded. */
static bool proposer_has_some(const struct replica *replica) {
    return !list_empty(&replica->proposer.queue) || cutter_busy(replica);
}

void proposer_turn(struct replica *replica) {
    struct proposer *proposer = &replica->proposer;
    int error = 0;
    if (proposer_no_room(replica)) {
        cutter_end(replica, LASH_FULL);
        proposer_end_queue(replica, LASH_FULL);
    }
    while (!error && replica_active(replica) && proposer_has_some(replica)) {
        /* While the office changes hands, what comes waits for whoever gets it (D§3.10). */
        if (replica->now_ms < proposer->not_before_ms || replica->status.transfer_to != 0 || journal_crowded(replica))
            return;
        if (replica->status.role == LASH_LEADER)
            error = proposer_lead(replica);
        else if (replica_is_connected(replica, replica->status.leader))
            error = proposer_try(replica);
        else
            return;
    }
    /* No memory, or a full queue to the leader: nothing was sent, try again shortly. */
    if (error)
        proposer->not_before_ms = replica->now_ms + replica->options.heartbeat_ms / 10 + 1;
}

uint64_t proposer_deadline(const struct replica *replica) {
    const struct proposer *proposer = &replica->proposer;
    if (!proposer_has_some(replica) || proposer->not_before_ms <= replica->now_ms)
        return UINT64_MAX;
    return proposer->not_before_ms;
}

void proposer_leader_changed(struct replica *replica) {
    cutter_reset(replica);
    replica->proposer.not_before_ms = 0;
    replica->proposer.pause_ms = 0;
    replica->proposer.trying = false;
}

/* The entries of a forwarded frame become inputs. Returns LASH_CORRUPT when they are not the sender's own. */
static int proposer_unpack(struct replica *replica, lash_id from, const uint8_t *tail, const struct frame *frame) {
    int error = proposer_reserve(&replica->proposer, frame->count);
    size_t offset = 0;
    struct frame_entry entry;
    for (size_t i = 0; !error && frame_next(tail, frame, &offset, &entry); i++) {
        if (entry.origin != from)
            error = LASH_CORRUPT;
        replica->proposer.inputs[i] = (struct frame_input){
            .origin = entry.origin, .sequence = entry.sequence, .data = entry.data, .size = entry.size};
    }
    return error;
}

/* Append a peer's proposals. Errors: LASH_CORRUPT, and those of proposer_append. */
static int proposer_take_over(struct replica *replica, lash_id from, const uint8_t *tail, const struct frame *frame) {
    int error = proposer_unpack(replica, from, tail, frame);
    return error ? error : proposer_append(replica, frame->kind, replica->proposer.inputs, frame->count);
}

void proposer_refuse(struct replica *replica, lash_id from, uint64_t batch, int error) {
    struct wire_head head = {.group = replica->options.group, .kind = WIRE_FORWARD_REPLY};
    head.forward_reply.batch = batch;
    head.forward_reply.error = error;
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    (void)replica->env->send(replica->env->context, from, TRANSPORT_CONTROL, data, size, NULL,
                             0); /* else the sender's wait times out */
}

/* Why nothing that is forwarded, of this kind, is taken now; or 0. */
static int proposer_refusal(struct replica *replica, const struct wire_head *head, uint32_t kind) {
    if (replica->status.role != LASH_LEADER || replica->status.term != head->forward.term)
        return LASH_NOT_LEADER;
    bool crowded = kind != LASH_ENTRY_PART && journal_overcrowded(replica); /* parts are not appended as they come */
    if (replica->status.transfer_to != 0 || crowded)
        return LASH_BUSY; /* for the next leader, or for later: a hanging disk must not fill the memory */
    if (proposer_no_room(replica))
        return LASH_FULL;
    if (kind == LASH_ENTRY_CONFIGURATION || kind == LASH_ENTRY_PART)
        return 0;
    if (proposer_backlogged(replica))
        return LASH_BACKLOG;
    return cutter_cutting(replica) ? LASH_BUSY : 0;
}

/* Take what is forwarded. Errors: LASH_CORRUPT, and why it is refused. */
static int proposer_take_in(struct replica *replica, lash_id from, const struct wire_head *head, const uint8_t *tail,
                            const struct frame *frame) {
    if (frame->kind == LASH_ENTRY_CONFIGURATION)
        return changes_forwarded(replica, from, tail, frame);
    if (frame->kind == LASH_ENTRY_PART)
        return cutter_forwarded(replica, from, head, tail, frame);
    return proposer_take_over(replica, from, tail, frame);
}

int proposer_forwarded(struct replica *replica, lash_id from, const struct wire_head *head, const uint8_t *tail,
                       size_t size) {
    struct frame frame;
    size_t used;
    int error = frame_check(tail, size, &frame, &used);
    if (error)
        return error;
    if (used != size || frame.group != replica->options.group || frame.kind == LASH_ENTRY_NOOP ||
        frame.kind > LASH_ENTRY_PART)
        return LASH_CORRUPT;
    if (!replica_active(replica))
        return 0;
    error = proposer_refusal(replica, head, frame.kind);
    if (!error)
        error = proposer_take_in(replica, from, head, tail, &frame);
    if (error == LASH_CORRUPT)
        return error;
    if (error)
        proposer_refuse(replica, from, head->forward.batch, error);
    return 0;
}

/* Move every sent request for which `matches` says so to `taken`, oldest first. */
static void proposer_take(struct replica *replica, bool (*matches)(const struct request *request, uint64_t argument),
                          uint64_t argument, struct list *taken) {
    for (struct list *at = replica->ages.next; at != &replica->ages; at = at->next) {
        struct request *request = list_entry(at, struct request, age);
        if (request->term == 0 || !matches(request, argument))
            continue;
        struct request *found = waiting_take(&replica->proposer.waiting, request->sequence);
        LASH_ASSERT(found == request);
        list_push(taken, &request->link);
    }
}

static bool proposer_in_batch(const struct request *request, uint64_t batch) {
    return request->batch == batch;
}

/* Requests that were refused wait for the next leader. */
static void proposer_requeue(struct replica *replica, struct list *refused) {
    for (struct list *at = refused->next; at != refused; at = at->next) {
        struct request *request = list_entry(at, struct request, link);
        request->term = 0;
        request->batch = 0;
    }
    struct proposer *proposer = &replica->proposer;
    list_splice(refused, &proposer->queue);
    list_splice(&proposer->queue, refused);
    /* Of a burst that is refused each batch comes by here; one pause is for all. */
    if (proposer->pause_ms == 0 || proposer->trying) {
        uint64_t longer_ms = proposer->pause_ms ? 2 * proposer->pause_ms : replica->options.heartbeat_ms;
        proposer->pause_ms = longer_ms < replica->options.election_ms ? longer_ms : replica->options.election_ms;
        proposer->not_before_ms = replica->now_ms + proposer->pause_ms;
        proposer->trying = false;
    }
}

void proposer_refused(struct replica *replica, uint64_t batch, int error) {
    struct list refused;
    list_init(&refused);
    if (batch != 0) {
        proposer_take(replica, proposer_in_batch, batch, &refused);
        cutter_refused(replica, batch, &refused);
    }
    if (!list_empty(&refused)) {
        struct request *oldest = list_entry(refused.next, struct request, link);
        if (oldest->kind == REQUEST_CHANGE) {
            list_remove(&oldest->link);
            changes_refused(replica, oldest, error);
        }
    }
    bool certain = error == LASH_FULL || error == LASH_BACKLOG || error == LASH_VERSION;
    if (!certain && !list_empty(&refused))
        proposer_requeue(replica, &refused);
    struct list *at;
    while ((at = list_pop(&refused)))
        request_end(list_entry(at, struct request, link), error, 0, &replica->ended);
}

static bool proposer_sent_before(const struct request *request, uint64_t term) {
    return request->term < term;
}

/* End what was sent in terms before this one. */
static void proposer_end_before(struct replica *replica, lash_term term, int error) {
    struct list sent;
    list_init(&sent);
    proposer_take(replica, proposer_sent_before, term, &sent);
    struct list *at;
    while ((at = list_pop(&sent)))
        request_end(list_entry(at, struct request, link), error, 0, &replica->ended);
}

void proposer_drop_before(struct replica *replica, lash_term term) {
    proposer_end_before(replica, term, LASH_DROPPED);
}

void proposer_skip(struct replica *replica, lash_term term) {
    proposer_end_before(replica, term + 1, LASH_UNKNOWN);
}
