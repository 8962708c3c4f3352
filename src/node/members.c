/* SPDX-License-Identifier: Apache-2.0
 *
 * The configurations that count (D§4), with addresses and notes: each is in force
 * from the moment that it is in the log, and no longer once it is cut off (C4).
 * The core says which; what it cannot see is kept here. Peers are dialled as the
 * configurations say: whoever is in the committed one or a later one.
 */
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "node/replica_state.h"

enum { MEMBERS_READ_BYTES = 1 << 20 };

struct roster *members_newest(const struct replica *replica) {
    const struct members *members = &replica->members;
    return members->count ? members->rosters[members->count - 1] : NULL;
}

struct roster *members_at(const struct replica *replica, lash_index index) {
    const struct members *members = &replica->members;
    struct roster *found = NULL;
    for (size_t i = 0; i < members->count && members->rosters[i]->index <= index; i++)
        found = members->rosters[i];
    return found;
}

static int members_reserve_list(struct roster ***list, size_t *capacity, size_t count) {
    if (count <= *capacity)
        return 0;
    struct roster **grown = mem_realloc(*list, 2 * count * sizeof(struct roster *));
    if (!grown)
        return LASH_NOMEM;
    *list = grown;
    *capacity = 2 * count;
    return 0;
}

/* ---- At the start -------------------------------------------------------------------------------- */

/* Add a roster of the log, behind those of earlier entries: a snapshot's may be later than some of the log's, and one of them. */
static void members_insert(struct members *members, struct roster *roster) {
    size_t at = members->count;
    while (at > 0 && members->rosters[at - 1]->index > roster->index)
        at--;
    if (at > 0 && members->rosters[at - 1]->index == roster->index) {
        roster_unref(roster);
        return;
    }
    memmove(members->rosters + at + 1, members->rosters + at, (members->count - at) * sizeof *members->rosters);
    members->rosters[at] = roster;
    members->count++;
}

/* Add the rosters of a frame's entries beyond *done, up to `last`. */
static int members_load_frame(struct replica *replica, const struct buf *buf, lash_index *done, lash_index last) {
    struct members *members = &replica->members;
    struct frame frame;
    struct frame_entry entry;
    size_t offset = 0;
    int error = frame_header(buf->data, &frame);
    while (!error && frame_next(buf->data, &frame, &offset, &entry)) {
        if (entry.index <= *done || entry.index > last)
            continue;
        error = members_reserve_list(&members->rosters, &members->capacity, members->count + 1);
        struct roster *roster;
        if (!error)
            error = roster_decode(entry.data, entry.size, &roster);
        if (error)
            break;
        *done = entry.index;
        if (roster->index != entry.index)
            error = LASH_CORRUPT;
        members_insert(members, roster);
    }
    return error;
}

static int members_load_run(struct replica *replica, const struct lash_run *run) {
    lash_index done = run->first - 1;
    lash_index last = run->first + run->count - 1;
    int error = 0;
    while (!error && done < last) {
        struct buf **frames;
        size_t count;
        lash_index before = done;
        error = log_read(replica->log, done + 1, last, MEMBERS_READ_BYTES, &frames, &count);
        if (error)
            break;
        for (size_t i = 0; i < count; i++) {
            if (!error)
                error = members_load_frame(replica, frames[i], &done, last);
            buf_unref(frames[i]);
        }
        mem_free(frames);
        if (!error && done == before)
            error = LASH_CORRUPT;
    }
    return error;
}

/* Whether this node was a member in a configuration that is committed: all but the newest are (C1). */
static bool members_was_member(const struct replica *replica, lash_index committed) {
    const struct members *members = &replica->members;
    for (size_t i = 0; i < members->count; i++)
        if ((i + 1 < members->count || members->rosters[i]->index <= committed) &&
            roster_find(members->rosters[i], replica->options.id))
            return true;
    return false;
}

/* Those that were no longer in force at the applied index are of no use any more. */
static void members_forget(struct members *members, lash_index applied) {
    size_t gone = 0;
    while (gone + 1 < members->count && members->rosters[gone + 1]->index <= applied)
        roster_unref(members->rosters[gone++]);
    if (gone == 0)
        return;
    members->count -= gone;
    memmove(members->rosters, members->rosters + gone, members->count * sizeof *members->rosters);
}

int members_load(struct replica *replica, const struct log_recovered *recovered, struct lash_raft_saved *saved) {
    struct members *members = &replica->members;
    int error = members_reserve_list(&members->rosters, &members->capacity, 1);
    if (error)
        return error;
    if (replica->options.first)
        members->rosters[members->count++] = roster_ref(replica->options.first);
    for (size_t i = 0; !error && i < recovered->run_count; i++)
        if (recovered->runs[i].kind == LASH_ENTRY_CONFIGURATION)
            error = members_load_run(replica, &recovered->runs[i]);
    if (error)
        return error;
    if (members->count)
        roster_configuration(members->rosters[members->count - 1], &saved->configuration);
    if (members->count > 1)
        roster_configuration(members->rosters[members->count - 2], &saved->previous);
    members->member = members_was_member(replica, saved->commit_floor);
    members->stale = true;
    members_forget(members, replica->options.applied);
    return 0;
}

void members_free(struct replica *replica) {
    struct members *members = &replica->members;
    members_offer_end(replica);
    for (size_t i = 0; i < members->count; i++)
        roster_unref(members->rosters[i]);
    mem_free(members->rosters);
    mem_free(members->offered);
}

/* ---- Following the core -------------------------------------------------------------------------- */

int members_offer(struct replica *replica, struct roster *roster) {
    struct members *members = &replica->members;
    int error = members_reserve_list(&members->offered, &members->offered_capacity, members->offered_count + 1);
    if (error)
        roster_unref(roster);
    else
        members->offered[members->offered_count++] = roster;
    return error;
}

void members_offer_end(struct replica *replica) {
    struct members *members = &replica->members;
    while (members->offered_count)
        roster_unref(members->offered[--members->offered_count]);
}

int members_reserve(struct replica *replica) {
    struct members *members = &replica->members;
    return members_reserve_list(&members->rosters, &members->capacity, members->count + members->offered_count + 1);
}

static void members_push(struct members *members, struct roster *roster) {
    LASH_ASSERT(members->count < members->capacity);
    LASH_ASSERT(!members->count || members->rosters[members->count - 1]->index < roster->index);
    members->rosters[members->count++] = roster;
    members->stale = true;
}

static void members_cut(struct members *members, lash_index from) {
    while (members->count && members->rosters[members->count - 1]->index >= from && from > 0) {
        roster_unref(members->rosters[--members->count]);
        members->stale = true;
    }
}

/* What the leader's core is about to append, with what it does not see: as the change asks for, else as it was. */
static void members_compose(struct replica *replica) {
    struct members *members = &replica->members;
    const struct lash_configuration *configuration = &replica->outputs.configuration;
    const struct roster *newest = members_newest(replica);
    struct lash_node_member list[LASH_RAFT_MEMBERS_MAX];
    LASH_ASSERT(newest);
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct lash_member *member = &configuration->members[i];
        const struct lash_node_member *known = members->wanted ? roster_find(members->wanted, member->id) : NULL;
        if (!known)
            known = roster_find(newest, member->id);
        LASH_ASSERT(known);
        list[i] = *known;
        list[i].flags = member->flags;
        list[i].priority = member->priority;
    }
    struct roster *roster;
    int error = roster_new(configuration->index, list, configuration->count, &roster);
    if (error)
        replica_fail(replica, error, "no memory for a configuration");
    else
        members_push(members, roster);
}

void members_stepped(struct replica *replica) {
    struct members *members = &replica->members;
    const struct lash_outputs *outputs = &replica->outputs;
    const struct lash_configuration *now = &replica->status.configuration;
    if (outputs->append)
        members_cut(members, outputs->append_first);
    if (outputs->reset)
        members_cut(members, members->offered_count ? 1 : outputs->snapshot_index + 1);
    if (outputs->reset && members->offered_count && members->count)
        roster_unref(members->rosters[--members->count]); /* the group's first, given at creation */
    if (outputs->configure)
        members_compose(replica);
    for (size_t i = 0; i < members->offered_count; i++) {
        struct roster *roster = members->offered[i];
        lash_index newest = members->count ? members->rosters[members->count - 1]->index : 0;
        if (roster->index <= now->index && (members->count == 0 ? now->count > 0 : roster->index > newest))
            members_push(members, roster_ref(roster));
    }
    if (!replica_active(replica))
        return;
    const struct roster *newest = members_newest(replica);
    LASH_ASSERT(newest ? newest->index == now->index && newest->count == now->count : now->count == 0);
}

/* ---- Peers --------------------------------------------------------------------------------------- */

static struct members_peer *members_find_peer(struct members *members, lash_id id) {
    for (size_t i = 0; i < REPLICA_PEERS_MAX; i++)
        if (members->peers[i].id == id)
            return &members->peers[i];
    return NULL;
}

/* Where a member is found. Who is in no configuration yet may learn old ones on its way, with addresses that were right
 * then; so what it was told at its start counts for more. */
static const struct lash_node_member *members_where(const struct replica *replica,
                                                    const struct lash_node_member *member) {
    const struct roster *newest = members_newest(replica);
    const struct roster *contacts = replica->options.contacts;
    bool learns = !newest || !roster_find(newest, replica->options.id);
    const struct lash_node_member *contact =
        contacts && (learns || member->port == 0) ? roster_find(contacts, member->id) : NULL;
    return contact ? contact : member;
}

/* Let the world know where a member is, unless it does. False: memory ran out. */
static bool members_dial(struct replica *replica, const struct lash_node_member *member) {
    struct members *members = &replica->members;
    struct members_peer *peer = members_find_peer(members, member->id);
    const struct lash_node_member *where = members_where(replica, member);
    if (member->id == replica->options.id || (peer && peer->stays))
        return true;
    if (peer)
        peer->stays = true;
    if (where->port == 0 || (peer && peer->port == where->port && strcmp(peer->host, where->host) == 0))
        return true;
    if (!peer)
        peer = members_find_peer(members, 0);
    int error = peer ? replica->env->add_peer(replica->env->context, member->id, where->host, where->port) : LASH_BUSY;
    if (error)
        return error != LASH_NOMEM && error != LASH_BUSY;
    peer->id = member->id;
    peer->port = where->port;
    peer->stays = true;
    memcpy(peer->host, where->host, strlen(where->host) + 1);
    return true;
}

static bool members_dial_all(struct replica *replica, const struct roster *roster) {
    bool all = true;
    for (uint32_t i = 0; roster && i < roster->count; i++)
        all = members_dial(replica, &roster->members[i]) && all;
    return all;
}

/* Whoever has left for certain is let go (D§4.2.3); it learns why when it dials again. */
static void members_hang_up(struct replica *replica) {
    struct members *members = &replica->members;
    for (size_t i = 0; i < REPLICA_PEERS_MAX; i++) {
        lash_id id = members->peers[i].id;
        if (id == 0 || members->peers[i].stays)
            continue;
        members->peers[i].id = 0;
        replica->env->remove_peer(replica->env->context, id);
        replica_disconnected(replica, id);
    }
}

/* The position of the committed configuration. */
static size_t members_committed(const struct replica *replica) {
    const struct members *members = &replica->members;
    size_t at = members->count;
    while (at > 1 && members->rosters[at - 1]->index > replica->status.commit)
        at--;
    return at ? at - 1 : 0;
}

/* Tell the world with which disk each peer is a member for certain, and what strangers are to be told. */
static void members_describe(const struct replica *replica, const struct roster *committed) {
    const struct members *members = &replica->members;
    const struct replica_env *env = replica->env;
    for (size_t i = 0; i < REPLICA_PEERS_MAX; i++) {
        lash_id id = members->peers[i].id;
        const struct lash_node_member *member = id && committed ? roster_find(committed, id) : NULL;
        if (id)
            env->expect(env->context, id, member ? member->disk : 0);
    }
    const struct roster *newest = members_newest(replica);
    bool waits = !members->member && (!newest || !roster_find(newest, replica->options.id));
    env->configured(env->context, committed ? committed->index : 0, waits);
}

/* Later configurations tell where a member is now; earlier ones, who else may still be needed. */
static void members_connect(struct replica *replica) {
    struct members *members = &replica->members;
    size_t committed = members_committed(replica);
    members->stale = false;
    members->connected = members->count ? members->rosters[committed]->index : 0;
    for (size_t i = 0; i < REPLICA_PEERS_MAX; i++)
        members->peers[i].stays = false;
    bool all = true;
    for (size_t i = members->count; i > committed; i--)
        all = members_dial_all(replica, members->rosters[i - 1]) && all;
    const struct roster *newest = members_newest(replica);
    if (!newest || !roster_find(newest, replica->options.id))
        all = members_dial_all(replica, replica->options.contacts) && all;
    members_hang_up(replica);
    members_describe(replica, members->count ? members->rosters[committed] : NULL);
    if (!all) { /* places that were taken are free now, or memory may be */
        members->stale = true;
        members->retry_at_ms = replica->now_ms + replica->options.heartbeat_ms;
    }
}

bool members_understand(const struct replica *replica, uint64_t feature) {
    const struct roster *newest = members_newest(replica);
    for (uint32_t i = 0; newest && i < newest->count; i++) {
        lash_id id = newest->members[i].id;
        if (id != replica->options.id && replica_is_connected(replica, id) &&
            !(replica->env->features(replica->env->context, id) & feature))
            return false;
    }
    return true;
}

/* ---- What a leader does by itself ---------------------------------------------------------------- */

/* The identity of a member's disk, as it says; 0: not known. */
static uint64_t members_disk(const struct replica *replica, lash_id id) {
    if (id == replica->options.id)
        return replica->options.disk;
    bool reachable = replica->env->disk && replica_is_connected(replica, id);
    return reachable ? replica->env->disk(replica->env->context, id) : 0;
}

/* Whether the leader could write down which disks its members have, and there is one that is not written down. */
static bool members_may_complete(const struct replica *replica) {
    const struct roster *newest = members_newest(replica);
    if (replica->status.role != LASH_LEADER || !newest || newest->index > replica->status.commit)
        return false;
    bool lacks = false;
    for (uint32_t i = 0; i < newest->count; i++)
        lacks = lacks || newest->members[i].disk == 0;
    for (uint32_t i = 0; lacks && i < newest->count; i++) {
        const struct lash_node_member *member = &newest->members[i];
        lacks = (member->flags & LASH_MEMBER_VOTER_OLD) == 0 && members_disk(replica, member->id) != 0;
    }
    return lacks && members_understand(replica, WIRE_MEMBERS);
}

/* Write down which disks the members have, once all of them can be asked: a member that comes back with another one has
 * lost what it had, and must not take part under its old id (E2, L6). */
static void members_complete(struct replica *replica) {
    struct members *members = &replica->members;
    if (!members_may_complete(replica))
        return;
    const struct roster *newest = members_newest(replica);
    struct lash_node_member list[LASH_RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < newest->count; i++) {
        list[i] = newest->members[i];
        if (list[i].disk == 0)
            list[i].disk = members_disk(replica, list[i].id);
    }
    struct roster *wanted;
    int error = roster_new(0, list, newest->count, &wanted);
    if (!error) {
        error = members_propose(replica, wanted, replica->options.id, 0);
        roster_unref(wanted);
    }
    if (error)
        members->retry_at_ms = replica->now_ms + replica->options.heartbeat_ms;
}

int members_propose(struct replica *replica, const struct roster *wanted, lash_id origin, uint64_t sequence) {
    struct members *members = &replica->members;
    struct lash_configuration configuration;
    roster_configuration(wanted, &configuration);
    struct lash_event event = {.type = LASH_EVENT_CONFIGURE};
    event.configure.to = &configuration;
    LASH_ASSERT(!members->wanted);
    members->wanted = wanted;
    members->origin = origin;
    members->sequence = sequence;
    int error = replica_step(replica, &event, NULL, 0);
    members->wanted = NULL;
    members->origin = replica->options.id;
    members->sequence = 0;
    return error;
}

/* ---- Leaving ------------------------------------------------------------------------------------- */

static void members_leave(struct replica *replica) {
    log_error("this node was removed from the cluster for good: it takes no part any more, and must not be started "
              "with this data again",
              F_HEX("id", replica->options.id), F_U64("configuration", replica->status.configuration.index));
    changes_left(replica);
    replica_fail(replica, LASH_REMOVED, "removed from the cluster");
}

void replica_stranger(struct replica *replica, lash_id peer, lash_index index) {
    const struct roster *newest = members_newest(replica);
    /* What a member knows is older than a committed configuration that lacks it: it was removed, and nobody will tell it otherwise
     * (D§4.2.3). Who never was a member for certain may still be added. */
    if (!replica_active(replica) || !replica->members.member || !newest || index < newest->index || index == 0)
        return;
    log_warn("a peer knows a configuration without this node", F_HEX("peer", peer), F_U64("configuration", index),
             F_U64("known_here", newest->index));
    members_leave(replica);
}

void replica_impostor(struct replica *replica, lash_id peer) {
    if (!replica_active(replica))
        return;
    log_error("this node has lost its data, and must not take part under its old id: remove it from the cluster, and "
              "add it as "
              "a new member, with another id and an empty directory",
              F_HEX("id", replica->options.id), F_HEX("peer", peer));
    replica_fail(replica, LASH_MISMATCH, "the data directory is not the one with which this node is a member");
}

/* A configuration without this node is committed and applied here. */
static bool members_has_left(const struct replica *replica) {
    const struct roster *newest = members_newest(replica);
    return replica->members.member && newest && replica->status.role != LASH_LEADER &&
           newest->index <= replica->status.commit && newest->index <= replica->applier.reached &&
           !roster_find(newest, replica->options.id);
}

void members_turn(struct replica *replica) {
    struct members *members = &replica->members;
    members_forget(members, replica->applier.applied);
    if (!members->member)
        members->member = members_was_member(replica, replica->status.commit);
    if (members_has_left(replica)) {
        members_leave(replica);
        return;
    }
    bool commit_passed = members->count && members->rosters[members_committed(replica)]->index != members->connected;
    bool due = replica->now_ms >= members->retry_at_ms;
    if (replica->env->add_peer && (commit_passed || (members->stale && due)))
        members_connect(replica);
    if (due)
        members_complete(replica);
}

uint64_t members_deadline(const struct replica *replica) {
    const struct members *members = &replica->members;
    return members->retry_at_ms > replica->now_ms ? members->retry_at_ms : UINT64_MAX;
}
