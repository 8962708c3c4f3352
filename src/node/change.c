/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the membership: see change.h.
 */
#include "node/change.h"

#include <string.h>

#include "base/assert.h"

/* What each kind takes. */
static const struct change_rule {
    bool named;  /* an id */
    size_t most; /* members */
} change_rules[] = {
    [CHANGE_SET] = {.most = LASH_RAFT_MEMBERS_MAX},
    [CHANGE_ADD] = {.most = 1},
    [CHANGE_REMOVE] = {.named = true},
    [CHANGE_PROMOTE] = {.named = true},
    [CHANGE_UPDATE] = {.most = 1},
};

static bool change_kind_known(uint32_t kind) {
    return kind >= CHANGE_SET && kind <= CHANGE_UPDATE;
}

/* A voter, one without data, or a learner of either kind. */
static bool change_part_known(uint32_t flags) {
    return flags == 0 || flags == LASH_MEMBER_VOTER || flags == LASH_MEMBER_PROMOTE ||
           flags == (LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS);
}

int change_check(const struct change *change) {
    LASH_ASSERT(change_kind_known(change->kind));
    const struct change_rule *rule = &change_rules[change->kind];
    if (change->count > rule->most)
        return LASH_TOO_LARGE;
    if ((change->id != 0) != rule->named || (change->count == 0) != (rule->most == 0))
        return LASH_INVALID;
    for (size_t i = 0; i < change->count; i++) {
        const struct lash_node_member *member = &change->members[i];
        int error = roster_check_member(member);
        if (error)
            return error;
        if (member->id == 0 || member->priority > LASH_RAFT_PRIORITY_MAX ||
            (member->port == 0 && change->kind != CHANGE_SET) || !change_part_known(member->flags))
            return LASH_INVALID;
    }
    return 0;
}

/* ---- Bytes --------------------------------------------------------------------------------------- */

size_t change_size(const struct change *change) {
    size_t size = CHANGE_HEAD_SIZE;
    for (size_t i = 0; i < change->count; i++)
        size += roster_member_size(&change->members[i]);
    return size;
}

void change_encode(const struct change *change, uint8_t *data) {
    struct writer writer = writer_make(data, change_size(change));
    write_u16(&writer, CHANGE_VERSION);
    write_u16(&writer, (uint16_t)change->kind);
    write_u32(&writer, (uint32_t)change->count);
    write_u64(&writer, change->id);
    for (size_t i = 0; i < change->count; i++)
        roster_write_member(&writer, &change->members[i]);
    LASH_ASSERT(!writer.failed);
}

int change_decode(const uint8_t *data, size_t size, struct change *change) {
    struct reader reader = reader_make(data, size);
    uint16_t version = read_u16(&reader);
    uint16_t kind = read_u16(&reader);
    change->count = read_u32(&reader);
    change->id = read_u64(&reader);
    if (reader.failed)
        return LASH_CORRUPT;
    if (version != CHANGE_VERSION || !change_kind_known(kind))
        return LASH_VERSION;
    change->kind = (enum change_kind)kind;
    if (change->count > LASH_RAFT_MEMBERS_MAX)
        return LASH_CORRUPT;
    for (size_t i = 0; i < change->count; i++) {
        int error = roster_read_member(&reader, &change->members[i], change->hosts[i]);
        if (error)
            return error;
    }
    return reader_left(&reader) == 0 && change_check(change) == 0 ? 0 : LASH_CORRUPT;
}

/* ---- What it means ------------------------------------------------------------------------------- */

/* The members that are wanted, while they are put together. */
struct change_members {
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
    size_t count;
};

static struct lash_node_member *change_find(struct change_members *wanted, lash_id id) {
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->members[i].id == id)
            return &wanted->members[i];
    return NULL;
}

static int change_set(const struct change *change, struct change_members *wanted) {
    struct change_members present = *wanted;
    wanted->count = change->count;
    for (size_t i = 0; i < change->count; i++) {
        const struct lash_node_member *known = change_find(&present, change->members[i].id);
        wanted->members[i] = change->members[i];
        wanted->members[i].disk = known ? known->disk : 0;
    }
    return 0;
}

/* Whether another member is found where this one is to be: two requests by way of different nodes may each have found the place
 * free, and only here they meet. */
static bool change_place_taken(const struct change_members *wanted, const struct lash_node_member *member) {
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->members[i].id != member->id && wanted->members[i].port == member->port &&
            strcmp(wanted->members[i].host, member->host) == 0)
            return true;
    return false;
}

static int change_add(const struct change *change, struct change_members *wanted) {
    if (change_find(wanted, change->members[0].id) || change_place_taken(wanted, &change->members[0]))
        return LASH_EXISTS;
    if (wanted->count == LASH_RAFT_MEMBERS_MAX)
        return LASH_TOO_LARGE;
    wanted->members[wanted->count] = change->members[0];
    wanted->members[wanted->count++].disk = 0;
    return 0;
}

static int change_remove(const struct change *change, struct change_members *wanted) {
    struct lash_node_member *member = change_find(wanted, change->id);
    if (!member)
        return LASH_NOT_FOUND;
    for (wanted->count--; member < wanted->members + wanted->count; member++)
        *member = member[1];
    return 0;
}

static int change_promote(const struct change *change, struct change_members *wanted) {
    struct lash_node_member *member = change_find(wanted, change->id);
    if (!member)
        return LASH_NOT_FOUND;
    if ((member->flags & LASH_MEMBER_VOTER) != 0)
        return LASH_EXISTS;
    member->flags = LASH_MEMBER_VOTER;
    return 0;
}

static int change_update(const struct change *change, struct change_members *wanted) {
    struct lash_node_member *member = change_find(wanted, change->members[0].id);
    if (!member)
        return LASH_NOT_FOUND;
    if (change_place_taken(wanted, &change->members[0]))
        return LASH_EXISTS;
    struct lash_node_member before = *member;
    *member = change->members[0];
    member->flags = before.flags;
    member->disk = before.disk;
    return 0;
}

int change_apply(const struct change *change, const struct roster *present, struct roster **wanted) {
    static int (*const changes[])(const struct change *change, struct change_members *wanted) = {
        [CHANGE_SET] = change_set,         [CHANGE_ADD] = change_add,       [CHANGE_REMOVE] = change_remove,
        [CHANGE_PROMOTE] = change_promote, [CHANGE_UPDATE] = change_update,
    };
    LASH_ASSERT(change_kind_known(change->kind));
    struct change_members members = {.count = present->count};
    memcpy(members.members, present->members, sizeof members.members);
    int error = changes[change->kind](change, &members);
    return error ? error : roster_new(0, members.members, members.count, wanted);
}
