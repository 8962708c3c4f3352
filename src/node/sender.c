/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's messages on their way out: those that vouch for something on disk
 * wait until it is there, and AppendEntries get their frames.
 */
#include "base/assert.h"
#include "node/replica_state.h"

/* Messages that wait for a write. A node whose disk hangs in a new term answers nothing that it is asked meanwhile; beyond
 * these its answers are as good as lost, and are asked for again. */
enum { SENDER_HELD_MAX = 4096 };

/* For which a notice of a commit waits for something that says the same. */
enum { SENDER_NOTICE_MS = 1 };

static int sender_list_reserve(struct sender_list *list) {
    if (list->head == list->count) {
        list->head = 0;
        list->count = 0;
    }
    size_t needed = list->count + LASH_RAFT_SENDS_MAX;
    if (needed <= list->capacity)
        return 0;
    struct lash_send *sends = mem_realloc(list->sends, needed * 2 * sizeof *sends);
    if (!sends)
        return LASH_NOMEM;
    list->sends = sends;
    list->capacity = needed * 2;
    return 0;
}

static void sender_list_add(struct sender_list *list, const struct lash_send *send) {
    LASH_ASSERT(list->count < list->capacity);
    list->sends[list->count++] = *send;
}

void sender_free(struct replica *replica) {
    mem_free(replica->sender.due.sends);
    mem_free(replica->sender.held.sends);
}

int sender_reserve(struct replica *replica) {
    int error = sender_list_reserve(&replica->sender.due);
    return error ? error : sender_list_reserve(&replica->sender.held);
}

/* What a member knows to be committed by such a message. */
static lash_index sender_told(const struct lash_message *message, lash_index last) {
    return message->append.commit < last ? message->append.commit : last;
}

/* Keep a notice in the place of the one before. */
static void sender_keep_notice(struct replica *replica, const struct lash_send *send) {
    struct sender *sender = &replica->sender;
    uint32_t i = 0;
    while (i < sender->notice_count && sender->notices[i].message.to != send->message.to)
        i++;
    if (sender->notice_count == 0)
        sender->notices_due_ms = replica->now_ms + SENDER_NOTICE_MS;
    if (i == sender->notice_count)
        sender->notice_count++;
    LASH_ASSERT(sender->notice_count <= LASH_RAFT_MEMBERS_MAX);
    sender->notices[i] = *send;
}

/* A message has left that names entries up to `last`: it may have said what a notice would. */
static void sender_drop_notice(struct sender *sender, const struct lash_message *message, lash_index last) {
    for (uint32_t i = 0; i < sender->notice_count; i++) {
        const struct lash_message *notice = &sender->notices[i].message;
        if (notice->to != message->to || notice->term > message->term ||
            sender_told(notice, notice->append.prev_index) > sender_told(message, last))
            continue;
        sender->notices[i] = sender->notices[--sender->notice_count];
        return;
    }
}

void sender_add(struct replica *replica, const struct lash_send *send) {
    if (send->notice && replica->proposer.waiting.count > 0) {
        sender_keep_notice(replica, send);
        return;
    }
    bool held = send->after_write > replica->journal.durable;
    /* A leader's entries go out in parallel with its own write (D§10.2.1); nothing in them vouches for its disk. */
    LASH_ASSERT(!held || send->message.type != LASH_MSG_APPEND ||
                send->message.append.last < send->message.append.first);
    if (!held)
        sender_list_add(&replica->sender.due, send);
    else if (replica->sender.held.count - replica->sender.held.head < SENDER_HELD_MAX)
        sender_list_add(&replica->sender.held, send);
}

bool sender_fits(const struct sender_frames *found, const struct buf *frame, uint64_t bytes_max) {
    return found->count == 0 || (found->count < SENDER_FRAMES_MAX && found->bytes + frame->size <= bytes_max);
}

void sender_take(struct sender_frames *found, struct buf *frame, lash_index last) {
    found->frames[found->count++] = buf_ref(frame);
    found->bytes += frame->size;
    found->last = last;
}

/* Frames from memory. */
static void sender_recent(struct replica *replica, const struct lash_message *message, struct sender_frames *found) {
    const struct recent *recent = &replica->recent;
    for (size_t i = recent_find(recent, message->append.first); i < recent->count; i++) {
        const struct recent_frame *frame = recent_at(recent, i);
        if (frame->first > message->append.last || !sender_fits(found, frame->frame, message->append.bytes_max))
            break;
        sender_take(found, frame->frame, frame->last);
    }
}

static int sender_transmit(struct replica *replica, const struct lash_send *send, const struct sender_frames *found) {
    if (send->message.type == LASH_MSG_SNAPSHOT) { /* there is more to it than a message */
        streams_offer(replica, &send->message);
        return 0;
    }
    struct wire_head head = {.group = replica->options.group, .kind = WIRE_MESSAGE, .message = send->message};
    uint64_t features = replica->env->features(replica->env->context, send->message.to);
    if (!(features & WIRE_LEASES))
        wire_without_leases(&head.message);
    if (!(features & WIRE_SLOW))
        wire_without_slow(&head.message);
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    enum transport_lane lane = send->ordered ? TRANSPORT_ENTRIES : TRANSPORT_CONTROL;
    return replica->env->send(replica->env->context, send->message.to, lane, data, size, found ? found->frames : NULL,
                              found ? found->count : 0);
}

/* Send AppendEntries with its entries, and tell the core how far that reached. */
static void sender_append(struct replica *replica, const struct lash_send *send) {
    const struct lash_message *message = &send->message;
    struct sender_frames found = {.count = 0};
    if (replica_is_connected(replica, message->to)) {
        sender_recent(replica, message, &found);
        if (found.count)
            fetcher_forget(replica, message->to);
        else
            fetcher_take(replica, message, &found);
        if (!found.count)
            fetcher_want(replica, message);
    }

    struct lash_event event = {.type = LASH_EVENT_SENT};
    event.sent.to = message->to;
    event.sent.last = message->append.first - 1;
    bool ready = found.count && (!witness_is(replica, message->to) || witness_strip(&found) == 0);
    if (ready && sender_transmit(replica, send, &found) == 0) {
        event.sent.last = found.last;
        event.sent.bytes = found.bytes;
        sender_drop_notice(&replica->sender, message, found.last);
    }
    for (size_t i = 0; i < found.count; i++)
        buf_unref(found.frames[i]);
    replica_step_surely(replica, &event);
}

void sender_drain(struct replica *replica) {
    struct sender *sender = &replica->sender;
    if (sender->draining)
        return;
    sender->draining = true;
    while (replica_active(replica) && sender->due.head < sender->due.count) {
        const struct lash_send send = sender->due.sends[sender->due.head++];
        if (send.message.type == LASH_MSG_APPEND && send.message.append.first <= send.message.append.last)
            sender_append(replica, &send);
        else
            (void)sender_transmit(replica, &send, NULL); /* what is lost is asked for again */
    }
    sender->draining = false;
}

void sender_notify(struct replica *replica) {
    struct sender *sender = &replica->sender;
    bool more = replica->applier.reached < replica->status.commit || !list_empty(&replica->ended);
    if (sender->notice_count == 0 || (more && replica->now_ms < sender->notices_due_ms))
        return;
    for (uint32_t i = 0; i < sender->notice_count; i++)
        if (sender->notices[i].message.term == replica->status.term && replica->status.role == LASH_LEADER)
            (void)sender_transmit(replica, &sender->notices[i], NULL);
    sender->notice_count = 0;
}

uint64_t sender_deadline(const struct replica *replica) {
    return replica->sender.notice_count ? replica->sender.notices_due_ms : UINT64_MAX;
}

void sender_release(struct replica *replica, uint64_t write) {
    struct sender_list *held = &replica->sender.held;
    size_t kept = 0;
    for (size_t i = held->head; i < held->count; i++) {
        if (held->sends[i].after_write <= write)
            (void)sender_transmit(replica, &held->sends[i], NULL);
        else
            held->sends[kept++] = held->sends[i];
    }
    held->head = 0;
    held->count = kept;
}
