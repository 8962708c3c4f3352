/* SPDX-License-Identifier: Apache-2.0
 *
 * Which entries there are, for those who hold them without data.
 */
#include "sim/world_hollow.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "node/replica_state.h"
#include "sim/memory.h"

enum {
    HOLLOW_SNAPSHOT_FLAGS = 6
}; /* where a snapshot's header says that it holds no data: see storage/snapshot_format.h */

/* An entry that a leader's log has held. */
struct hollow_known {
    uint64_t origin;
    uint64_t sequence;
    struct world_entry entry;
    uint64_t before; /* the one of this index that was there before it; 0: none */
};

struct world_hollow {
    struct hollow_known *known; /* number n at n - 1 */
    uint64_t count;
    uint64_t capacity;
    uint64_t *newest; /* the number of the last one of index i at i - 1; 0: none */
    uint64_t indexes;
};

static const struct hollow_known *hollow_find(const struct world_hollow *hollow, lash_index index, lash_term term) {
    uint64_t number = index <= hollow->indexes ? hollow->newest[index - 1] : 0;
    while (number && hollow->known[number - 1].entry.term != term)
        number = hollow->known[number - 1].before;
    return number ? &hollow->known[number - 1] : NULL;
}

static void hollow_learn(struct world_hollow *hollow, const struct frame_entry *entry, const struct world_entry *told) {
    if (hollow_find(hollow, entry->index, told->term))
        return;
    hollow->newest = memory_room(hollow->newest, &hollow->indexes, entry->index, sizeof hollow->newest[0]);
    hollow->known = memory_room(hollow->known, &hollow->capacity, hollow->count + 1, sizeof hollow->known[0]);
    uint64_t *newest = &hollow->newest[entry->index - 1];
    hollow->known[hollow->count++] = (struct hollow_known){entry->origin, entry->sequence, *told, *newest};
    *newest = hollow->count;
}

struct world_entry world_hollow_entry(const struct world_node *node, const struct frame *frame,
                                      const struct frame_entry *entry) {
    struct world *world = node->world;
    if (!frame->hollow)
        return (struct world_entry){frame->term, world_kind(frame, entry), world_digest(entry)};
    const struct hollow_known *known = world->hollow ? hollow_find(world->hollow, entry->index, frame->term) : NULL;
    if (!known || known->origin != entry->origin || known->sequence != entry->sequence)
        world_fail(world, "L2", "n%u holds an entry %llu of term %llu without data, and no leader has appended it",
                   (unsigned)node->id, (unsigned long long)entry->index, (unsigned long long)frame->term);
    return known->entry;
}

/* W1: whether these entries are what a witness gets, or what one who keeps data does. */
static bool hollow_is_right(const struct world_node *node, const struct frame *frame) {
    bool bare = frame->hollow || frame->body_size == (uint64_t)frame->count * FRAME_ENTRY_SIZE;
    return node->witness ? bare || frame->kind == LASH_ENTRY_CONFIGURATION : !frame->hollow;
}

void world_hollow_got(struct world_node *node, const struct frame *frame, const struct frame_entry *entry,
                      const struct world_entry *told) {
    struct world *world = node->world;
    if (!hollow_is_right(node, frame))
        world_fail(world, "W1", "n%u, which is %s, takes entry %llu with%s data", (unsigned)node->id,
                   node->witness ? "a witness" : "to keep data", (unsigned long long)entry->index,
                   node->witness ? "" : "out");
    world->tally.hollow += frame->hollow;
    if (!world->profile.witnesses || frame->hollow)
        return;
    if (!world->hollow)
        world->hollow = memory_new(1, sizeof *world->hollow);
    hollow_learn(world->hollow, entry, told);
}

void world_hollow_sent(const struct world_node *node, lash_id peer, const struct wire_head *head,
                       struct buf *const *tails, size_t count) {
    const struct world_node *other = &node->world->nodes[peer - 1];
    bool right = true;
    bool appends = head->kind == WIRE_MESSAGE && head->message.type == LASH_MSG_APPEND;
    for (size_t i = 0; appends && i < count; i++) {
        struct frame frame;
        int error = frame_header(tails[i]->data, &frame);
        LASH_ASSERT(!error);
        right = right && hollow_is_right(other, &frame);
    }
    if (head->kind == WIRE_SNAPSHOT_CHUNK && head->chunk.offset == 0 && count &&
        tails[0]->size >= HOLLOW_SNAPSHOT_FLAGS + sizeof(uint16_t))
        right = (le16_get(tails[0]->data + HOLLOW_SNAPSHOT_FLAGS) != 0) == other->witness;
    if (head->kind == WIRE_MESSAGE && head->message.type == LASH_MSG_TIMEOUT_NOW)
        right = !other->witness;
    if (!right)
        world_fail(node->world, "W1", "n%u, which is %s, is sent what is not for it by n%u", (unsigned)peer,
                   other->witness ? "a witness" : "to keep data", (unsigned)node->id);
}

lash_index world_hollow_applied(const struct world_node *node) {
    return node->witness && node->replica ? node->replica->applier.applied : node->machine.applied;
}

void world_hollow_free(struct world *world) {
    if (!world->hollow)
        return;
    memory_free(world->hollow->known);
    memory_free(world->hollow->newest);
    memory_free(world->hollow);
}
