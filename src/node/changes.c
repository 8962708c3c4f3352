/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to change the membership (D§4): taken anywhere, carried out by the
 * leader, one at a time. What a request asks for is worked out there, from the
 * configuration in force; so requests made at once add up.
 *
 * Its fate is certain in the cases in which a proposal's is (proposer.c). It ends
 * well once the configuration that it led to, or for a joint one the next that is
 * not, was applied here.
 */
#include "base/assert.h"
#include "base/logger.h"
#include "node/replica_state.h"

void changes_init(struct replica *replica) {
    list_init(&replica->changes.queue);
    list_init(&replica->changes.joint);
}

void changes_free(struct replica *replica) {
    LASH_ASSERT(list_empty(&replica->changes.queue) && list_empty(&replica->changes.joint));
    (void)replica;
}

void changes_submit(struct replica *replica, struct request *request) {
    request->sequence = replica_number(replica);
    list_push(&replica->changes.queue, &request->link);
}

/* Whether every node that the change would make a member, and can be reached, knows entries of its kind; the others' turn
 * comes with their connection, which a node of an older version breaks at the first such entry. */
static int changes_may_begin(const struct replica *replica) {
    const struct roster *newest = members_newest(replica);
    if (replica->status.role != LASH_LEADER || !newest)
        return LASH_NOT_LEADER;
    if (!members_understand(replica, WIRE_MEMBERS))
        return LASH_VERSION;
    for (uint32_t i = 0; i < newest->count; i++)
        if ((newest->members[i].flags & LASH_MEMBER_VOTER_OLD) != 0)
            return LASH_BUSY;
    return newest->index <= replica->status.commit ? 0 : LASH_BUSY;
}

/* Whether every member that can be reached knows witnesses, if there are to be any. */
static bool changes_witnesses_known(const struct replica *replica, const struct lash_node_member *wanted,
                                    size_t count) {
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any |= (wanted[i].flags & LASH_MEMBER_WITNESS) != 0;
    return !any || members_understand(replica, WIRE_WITNESS);
}

int changes_append(struct replica *replica, const struct change *change, lash_id origin, uint64_t sequence) {
    int error = changes_may_begin(replica);
    if (error)
        return error;
    struct roster *wanted;
    error = change_apply(change, members_newest(replica), &wanted);
    if (error)
        return error;
    error = changes_witnesses_known(replica, wanted->members, wanted->count)
                ? members_propose(replica, wanted, origin, sequence)
                : LASH_VERSION;
    roster_unref(wanted);
    if (!error)
        log_info("membership change begun", F_U64("index", replica->status.configuration.index),
                 F_U64("term", replica->status.term), F_HEX("asked_by", origin));
    return error;
}

/* Whether a request that was refused so is to be tried again. */
static bool changes_waits(int error) {
    return error == LASH_NOT_LEADER || error == LASH_BUSY || error == LASH_NOMEM;
}

static void changes_pause(struct replica *replica) {
    replica->changes.not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
}

/* The request was sent in the present term. */
static void changes_sent(struct replica *replica, struct request *request, lash_term term, uint64_t batch) {
    list_remove(&request->link);
    request->term = term;
    request->batch = batch;
    waiting_add(&replica->proposer.waiting, request);
}

static int changes_lead(struct replica *replica, struct request *request) {
    struct change change;
    lash_term term = replica->status.term;
    int error = change_decode(request->data, request->size, &change);
    LASH_ASSERT(!error);
    error = replica->full || replica->status.no_room
                ? LASH_FULL
                : changes_append(replica, &change, replica->options.id, request->sequence);
    if (!error)
        changes_sent(replica, request, term, 0);
    return error;
}

static int changes_forward(struct replica *replica, struct request *request) {
    lash_id leader = replica->status.leader;
    struct change change;
    int error = change_decode(request->data, request->size, &change);
    LASH_ASSERT(!error);
    if (!(replica->env->features(replica->env->context, leader) & WIRE_MEMBERS) ||
        !changes_witnesses_known(replica, change.members, change.count))
        return LASH_VERSION;
    struct frame_input input = {
        .origin = replica->options.id, .sequence = request->sequence, .data = request->data, .size = request->size};
    struct buf *frame;
    error = frame_encode(replica->options.group, 1, replica->status.term, LASH_ENTRY_CONFIGURATION, &input, 1, &frame);
    if (error)
        return error;
    struct wire_head head = {.group = replica->options.group, .kind = WIRE_FORWARD};
    head.forward.term = replica->status.term;
    head.forward.batch = replica_number(replica);
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    error = replica->env->send(replica->env->context, leader, TRANSPORT_ENTRIES, data, size, &frame, 1);
    buf_unref(frame);
    if (!error)
        changes_sent(replica, request, head.forward.term, head.forward.batch);
    return error ? LASH_BUSY : 0;
}

void changes_turn(struct replica *replica) {
    struct changes *changes = &replica->changes;
    while (replica_active(replica) && !list_empty(&changes->queue) && replica->now_ms >= changes->not_before_ms) {
        struct request *request = list_entry(changes->queue.next, struct request, link);
        int error;
        if (replica->status.role == LASH_LEADER)
            error = changes_lead(replica, request);
        else if (replica_is_connected(replica, replica->status.leader))
            error = changes_forward(replica, request);
        else
            return;
        if (changes_waits(error))
            changes_pause(replica);
        else if (error)
            replica_end(replica, request, error, 0);
    }
}

uint64_t changes_deadline(const struct replica *replica) {
    const struct changes *changes = &replica->changes;
    if (list_empty(&changes->queue) || changes->not_before_ms <= replica->now_ms)
        return UINT64_MAX;
    return changes->not_before_ms;
}

int changes_forwarded(struct replica *replica, lash_id from, const uint8_t *tail, const struct frame *frame) {
    struct frame_entry entry;
    struct change change;
    size_t offset = 0;
    bool whole = frame_next(tail, frame, &offset, &entry) && frame->count == 1 && entry.origin == from;
    int error = whole ? change_decode(entry.data, entry.size, &change) : LASH_CORRUPT;
    return error ? error : changes_append(replica, &change, from, entry.sequence);
}

void changes_refused(struct replica *replica, struct request *request, int error) {
    if (!changes_waits(error)) {
        request_end(request, error, 0, &replica->ended);
        return;
    }
    request->term = 0;
    request->batch = 0;
    struct list queue;
    list_init(&queue);
    list_push(&queue, &request->link);
    list_splice(&queue, &replica->changes.queue);
    list_splice(&replica->changes.queue, &queue);
    changes_pause(replica);
}

void changes_left(struct replica *replica) {
    struct list *at = replica->ages.next;
    while (at != &replica->ages) {
        struct request *request = list_entry(at, struct request, age);
        struct change change;
        at = at->next;
        if (request->kind == REQUEST_CHANGE && change_decode(request->data, request->size, &change) == 0 &&
            change.kind == CHANGE_REMOVE && change.id == replica->options.id)
            replica_end(replica, request, 0, replica->status.configuration.index);
    }
}

void changes_applied(struct replica *replica, const struct frame_entry *entry, struct list *ended) {
    struct changes *changes = &replica->changes;
    struct request *request = NULL;
    if (entry->origin == replica->options.id)
        request = waiting_take(&replica->proposer.waiting, entry->sequence);
    if (request) {
        request->term = 0;
        list_push(&changes->joint, &request->link);
    }
    for (struct list *at = changes->joint.next; at != &changes->joint; at = at->next)
        list_entry(at, struct request, link)->index = entry->index;
    if (roster_is_joint(entry->data, entry->size))
        return;
    for (struct list *at = changes->joint.next; at != &changes->joint; at = at->next)
        list_remove(&list_entry(at, struct request, link)->age);
    list_splice(ended, &changes->joint);
}
