/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that vote and keep no data. Their leader sends them frames without what
 * commands hold, and snapshots without data; both say so of themselves (*hollow*). Who
 * is a witness the configuration in force tells, its own as well as others'.
 */
#include "base/assert.h"
#include "node/replica_state.h"

/* The flags of a member of the configuration in force; 0 also for who is none. */
static uint32_t witness_flags(const struct replica *replica, lash_id id) {
    const struct lash_configuration *configuration = &replica->status.configuration;
    for (uint32_t i = 0; i < configuration->count; i++)
        if (configuration->members[i].id == id)
            return configuration->members[i].flags;
    return 0;
}

bool witness_is(const struct replica *replica, lash_id id) {
    return (witness_flags(replica, id) & LASH_MEMBER_WITNESS) != 0;
}

bool witness_here(const struct replica *replica) {
    return replica->applier.hollow || witness_is(replica, replica->options.id);
}

bool witness_contradicted(const struct replica *replica) {
    uint32_t flags = witness_flags(replica, replica->options.id);
    return flags != 0 && (flags & LASH_MEMBER_WITNESS) == 0;
}

int witness_strip(struct sender_frames *found) {
    found->bytes = 0;
    for (size_t i = 0; i < found->count; i++) {
        struct buf *hollow;
        int error = frame_hollow(found->frames[i], &hollow);
        if (error)
            return error;
        buf_unref(found->frames[i]);
        found->frames[i] = hollow;
        found->bytes += hollow->size;
    }
    return 0;
}

bool witness_refuses(const struct replica *replica, const struct request *request) {
    return witness_here(replica) &&
           (request->kind == REQUEST_READ || request->kind == REQUEST_COMMAND || request->kind == REQUEST_BARRIER);
}
