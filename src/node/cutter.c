/* SPDX-License-Identifier: Apache-2.0
 *
 * Large commands, cut into parts on their way into a log. While a leader appends the parts of a
 * command it appends nothing else but what its core adds by itself, which is of kind CONFIGURATION; so parts
 * are consecutive in the sense of parts.h. It goes on as fast as its disk and the majority
 * take them, a few at a time, so that the loop goes round.
 *
 * A command's fate hangs on its last part alone: before that one is sent it is certainly not carried out.
 * So whatever comes between (another leader, a refusal, a lost connection) lets it begin anew.
 */
#include "node/cutter.h"

#include <string.h>

#include "base/assert.h"
#include "node/replica_state.h"

enum { CUTTER_BURST = 4 /* parts appended or sent before the loop goes round */ };

/* What fits one entry of the versions that do not know parts. */
#define CUTTER_WHOLE_MAX (FRAME_BODY_MAX / 2)

void cutter_init(struct replica *replica) {
    list_init(&replica->proposer.cutter.own);
}

void cutter_free(struct replica *replica) {
    LASH_ASSERT(list_empty(&replica->proposer.cutter.own));
    assembly_drop(&replica->proposer.cutter.guest);
}

static struct request *cutter_own(const struct cutter *cutter) {
    return list_empty(&cutter->own) ? NULL : list_entry(cutter->own.next, struct request, link);
}

/* Whether `size` bytes can get into the log that `replica` leads. */
static enum cutter_way cutter_leads(const struct replica *replica, uint64_t size) {
    if (size <= replica->options.part_bytes)
        return CUTTER_WHOLE;
    if (members_understand(replica, WIRE_PARTS))
        return CUTTER_PARTS;
    return size <= CUTTER_WHOLE_MAX ? CUTTER_WHOLE : CUTTER_NEVER;
}

enum cutter_way cutter_way(const struct replica *replica, const struct request *request) {
    if (request->kind != REQUEST_COMMAND || request->size <= replica->options.part_bytes)
        return CUTTER_WHOLE;
    if (replica->status.role == LASH_LEADER)
        return cutter_leads(replica, request->size);
    if (replica->env->features(replica->env->context, replica->status.leader) & WIRE_PARTS)
        return CUTTER_PARTS;
    return request->size <= CUTTER_WHOLE_MAX ? CUTTER_WHOLE : CUTTER_NEVER;
}

/* ---- Cutting --------------------------------------------------------------------------------------- */

void cutter_begin(struct replica *replica) {
    struct cutter *cutter = &replica->proposer.cutter;
    LASH_ASSERT(list_empty(&cutter->own) && cutter->source == CUTTER_NOTHING);
    list_push(&cutter->own, list_pop(&replica->proposer.queue));
    cutter->source = CUTTER_OWN;
    cutter->offset = 0;
    cutter->batch = replica->status.role == LASH_LEADER ? 0 : replica_number(replica);
}

/* The request that was being cut timed out, say. */
static bool cutter_is_orphan(const struct cutter *cutter) {
    return cutter->source == CUTTER_OWN && list_empty(&cutter->own);
}

bool cutter_busy(const struct replica *replica) {
    const struct cutter *cutter = &replica->proposer.cutter;
    const struct parts_cursor *guest = &cutter->guest.cursor;
    return cutter->source != CUTTER_NOTHING || cutter->broken || (cutter->guest.command && !parts_pending(guest));
}

bool cutter_cutting(const struct replica *replica) {
    const struct cutter *cutter = &replica->proposer.cutter;
    return cutter->source != CUTTER_NOTHING && cutter->offset > 0;
}

/* Encode the part of `data` at the offset into a frame. Errors: LASH_NOMEM. */
static int cutter_part(const struct replica *replica, const struct frame_input *whole, lash_index first,
                       struct buf **frame, size_t *size) {
    uint64_t offset = replica->proposer.cutter.offset;
    uint64_t left = whole->size - offset;
    LASH_ASSERT(offset < whole->size);
    *size = (size_t)(left < replica->options.part_bytes ? left : replica->options.part_bytes);
    uint8_t *part = mem_alloc(PARTS_HEAD + *size);
    if (!part)
        return LASH_NOMEM;
    parts_encode_head(part, whole->size, offset);
    memcpy(part + PARTS_HEAD, (const uint8_t *)whole->data + offset, *size);
    struct frame_input input = *whole;
    input.data = part;
    input.size = PARTS_HEAD + *size;
    int error = frame_encode(replica->options.group, first, replica->status.term, LASH_ENTRY_PART, &input, 1, frame);
    mem_free(part);
    return error;
}

/* So many bytes more were appended or sent. */
static void cutter_pass(struct replica *replica, size_t size) {
    struct cutter *cutter = &replica->proposer.cutter;
    cutter->offset += size;
    if (++cutter->burst < CUTTER_BURST)
        return;
    cutter->burst = 0;
    replica->proposer.not_before_ms = replica->now_ms + 1;
}

/* The request's last part, or all of it, was sent in the present term. */
static void cutter_sent(struct replica *replica) {
    struct cutter *cutter = &replica->proposer.cutter;
    struct request *request = cutter_own(cutter);
    list_remove(&request->link);
    request->term = replica->status.term;
    request->batch = cutter->batch;
    waiting_add(&replica->proposer.waiting, request);
    cutter->source = CUTTER_NOTHING;
}

/* ---- As leader ------------------------------------------------------------------------------------- */

/* What is begun will never be whole. All replicas would hold its parts in memory until the next entry comes. */
static int cutter_close(struct replica *replica) {
    const struct frame_input barrier = {.origin = replica->options.id, .sequence = replica_number(replica)};
    return proposer_append(replica, LASH_ENTRY_BARRIER, &barrier, 1);
}

/* The command whose parts are next. */
static struct frame_input cutter_next(struct replica *replica) {
    struct cutter *cutter = &replica->proposer.cutter;
    if (cutter->source == CUTTER_NOTHING) {
        cutter->source = CUTTER_GUEST;
        cutter->offset = 0;
    }
    const struct request *own = cutter_own(cutter);
    const struct assembly *guest = &cutter->guest;
    if (cutter->source == CUTTER_OWN)
        return (struct frame_input){
            .origin = replica->options.id, .sequence = own->sequence, .data = own->data, .size = own->size};
    LASH_ASSERT(guest->command && !parts_pending(&guest->cursor));
    return (struct frame_input){.origin = guest->cursor.origin,
                                .sequence = guest->cursor.sequence,
                                .data = guest->command->data,
                                .size = guest->command->size};
}

/* Append the next part, or, while a member does not know parts, a guest as a whole. */
static int cutter_append(struct replica *replica, const struct frame_input *whole) {
    struct cutter *cutter = &replica->proposer.cutter;
    struct recent_frame frame = {.kind = LASH_ENTRY_PART};
    size_t size = whole->size;
    int error;
    if (cutter->offset == 0 && cutter_leads(replica, whole->size) != CUTTER_PARTS) {
        error = proposer_append(replica, LASH_ENTRY_COMMAND, whole, 1);
    } else {
        error = cutter_part(replica, whole, replica->status.last_index + 1, &frame.frame, &size);
        if (!error)
            error = proposer_append_frame(replica, &frame, 1, meter_now(&replica->meter));
        buf_unref(frame.frame);
    }
    if (!error)
        cutter_pass(replica, size);
    return error;
}

int cutter_lead(struct replica *replica) {
    struct cutter *cutter = &replica->proposer.cutter;
    if (cutter_is_orphan(cutter)) {
        cutter->broken = cutter->offset > 0;
        cutter->source = CUTTER_NOTHING;
        return 0;
    }
    if (proposer_backlogged(replica)) /* what was taken waits for room, however large it is */
        return LASH_BACKLOG;
    if (cutter->broken)
        return cutter_close(replica);
    struct frame_input whole = cutter_next(replica);
    int error = cutter_append(replica, &whole);
    if (error || cutter->offset < whole.size)
        return error;
    if (cutter->source == CUTTER_OWN)
        cutter_sent(replica);
    else
        assembly_drop(&cutter->guest);
    cutter->source = CUTTER_NOTHING;
    return 0;
}

/* ---- To the leader --------------------------------------------------------------------------------- */

int cutter_forward(struct replica *replica) {
    struct cutter *cutter = &replica->proposer.cutter;
    const struct request *own = cutter_own(cutter);
    if (cutter_is_orphan(cutter)) {
        cutter->source = CUTTER_NOTHING;
        return 0;
    }
    LASH_ASSERT(own && cutter->batch != 0);
    const struct frame_input whole = {
        .origin = replica->options.id, .sequence = own->sequence, .data = own->data, .size = own->size};
    struct buf *frame;
    size_t size;
    int error = cutter_part(replica, &whole, 1, &frame, &size);
    if (error)
        return error;
    error = proposer_send(replica, cutter->batch, frame);
    buf_unref(frame);
    if (error)
        return error;
    cutter_pass(replica, size);
    if (cutter->offset == whole.size)
        cutter_sent(replica);
    return 0;
}

void cutter_refused(struct replica *replica, uint64_t batch, struct list *refused) {
    struct cutter *cutter = &replica->proposer.cutter;
    struct request *own = cutter_own(cutter);
    LASH_ASSERT(batch != 0);
    if (!own || cutter->batch != batch)
        return;
    list_remove(&own->link);
    list_push(refused, &own->link);
    cutter->source = CUTTER_NOTHING;
}

/* ---- From a peer ----------------------------------------------------------------------------------- */

static bool cutter_guest_is(const struct cutter *cutter, lash_id from, uint64_t batch) {
    return cutter->guest.command && cutter->guest.cursor.origin == from && cutter->guest_batch == batch;
}

/* Whether the place for a guest can be taken: one that says nothing any more is given up for another. */
static bool cutter_has_place(const struct replica *replica, lash_id from) {
    const struct cutter *cutter = &replica->proposer.cutter;
    if (!cutter->guest.command)
        return true;
    if (!parts_pending(&cutter->guest.cursor))
        return false;
    return cutter->guest.cursor.origin == from ||
           replica->now_ms > cutter->guest_heard_ms + replica->options.election_ms;
}

/* A part of a guest's. Errors: LASH_BUSY (the place is taken; something before it got lost), LASH_VERSION, LASH_BACKLOG,
 * LASH_NOMEM. */
static int cutter_host(struct replica *replica, const struct frame_entry *entry, struct part *part, uint64_t batch) {
    struct cutter *cutter = &replica->proposer.cutter;
    if (part->offset == 0 && !cutter_has_place(replica, entry->origin))
        return LASH_BUSY;
    if (part->offset == 0 && cutter_leads(replica, part->total) == CUTTER_NEVER)
        return LASH_VERSION;
    if (part->offset == 0 && proposer_backlogged(replica))
        return LASH_BACKLOG;
    if (part->offset != 0 && !cutter_guest_is(cutter, entry->origin, batch))
        return LASH_BUSY;
    struct parts_cursor next = cutter->guest.cursor;
    int error = parts_follow(&next, replica->status.term, LASH_ENTRY_PART, entry, part);
    if (!error)
        error = assembly_add(&cutter->guest, &next, part);
    if (error)
        return error == LASH_CORRUPT ? LASH_BUSY : error;
    cutter->guest_batch = batch;
    cutter->guest_heard_ms = replica->now_ms;
    return 0;
}

int cutter_forwarded(struct replica *replica, lash_id from, const struct wire_head *head, const uint8_t *tail,
                     const struct frame *frame) {
    struct cutter *cutter = &replica->proposer.cutter;
    struct frame_entry entry;
    struct part part;
    size_t offset = 0;
    bool any = frame_next(tail, frame, &offset, &entry);
    LASH_ASSERT(any);
    if (frame->count != 1 || entry.origin != from || parts_decode(&entry, &part))
        return LASH_CORRUPT;
    int error = cutter_host(replica, &entry, &part, head->forward.batch);
    bool pending = parts_pending(&cutter->guest.cursor);
    if (error && pending && cutter_guest_is(cutter, from, head->forward.batch))
        assembly_drop(&cutter->guest);
    return error;
}

/* ---- When things change ---------------------------------------------------------------------------- */

/* What was begun begins anew. */
static void cutter_return_own(struct replica *replica) {
    struct cutter *cutter = &replica->proposer.cutter;
    struct list own;
    list_init(&own);
    list_splice(&own, &cutter->own);
    list_splice(&own, &replica->proposer.queue);
    list_splice(&replica->proposer.queue, &own);
    if (cutter->source == CUTTER_OWN)
        cutter->source = CUTTER_NOTHING;
}

static void cutter_drop_guest(struct replica *replica, int error) {
    struct cutter *cutter = &replica->proposer.cutter;
    if (cutter->guest.command)
        proposer_refuse(replica, cutter->guest.cursor.origin, cutter->guest_batch, error);
    assembly_drop(&cutter->guest);
    if (cutter->source == CUTTER_GUEST)
        cutter->source = CUTTER_NOTHING;
}

void cutter_reset(struct replica *replica) {
    struct cutter *cutter = &replica->proposer.cutter;
    cutter_return_own(replica);
    cutter_drop_guest(replica, LASH_NOT_LEADER);
    cutter->broken = false; /* the next leader's no-op says so */
}

void cutter_disconnected(struct replica *replica, lash_id peer) {
    struct cutter *cutter = &replica->proposer.cutter;
    if (cutter->batch != 0 && peer == replica->status.leader)
        cutter_return_own(replica);
    if (cutter->guest.cursor.origin == peer && parts_pending(&cutter->guest.cursor))
        assembly_drop(&cutter->guest);
}

void cutter_end(struct replica *replica, int error) {
    struct cutter *cutter = &replica->proposer.cutter;
    struct request *own = cutter_own(cutter);
    bool leads = replica->status.role == LASH_LEADER;
    if (leads && cutter_cutting(replica))
        cutter->broken = true;
    if (own)
        replica_end(replica, own, error, 0);
    cutter_drop_guest(replica, error);
    cutter->source = CUTTER_NOTHING;
}
