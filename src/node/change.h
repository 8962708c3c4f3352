/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of the membership as it is asked for, on its way to the leader: bytes
 * that any node may send, and what they make of the membership in force.
 *
 * All little-endian. 16 bytes and the members, encoded as in a roster:
 *   0 u16 version (1)   2 u16 kind   4 u32 count   8 u64 id (0 unless REMOVE or PROMOTE)
 */
#ifndef LASH_NODE_CHANGE_H
#define LASH_NODE_CHANGE_H

#include "node/roster.h"

enum { CHANGE_VERSION = 1, CHANGE_HEAD_SIZE = 16 };

enum change_kind {
    CHANGE_SET = 1,     /* `members` are the membership */
    CHANGE_ADD = 2,     /* `members[0]` comes in addition */
    CHANGE_REMOVE = 3,  /* `id` goes */
    CHANGE_PROMOTE = 4, /* `id`, a learner, gets a vote */
    CHANGE_UPDATE = 5,  /* `members[0]` has another address, note or priority */
};

struct change {
    enum change_kind kind;
    lash_id id;
    size_t count;
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
    char hosts[LASH_RAFT_MEMBERS_MAX][ROSTER_HOST_MAX + 1]; /* of a change that was decoded */
};

/* Whether it can be asked for at all. Errors: LASH_INVALID, LASH_TOO_LARGE. */
int change_check(const struct change *change);

/* The size of its encoding, and the encoding. */
size_t change_size(const struct change *change);
void change_encode(const struct change *change, uint8_t *data);

/* Read a change, whose members' texts lie in `data` and in the change itself. Trusts nothing. Errors: LASH_CORRUPT,
 * LASH_VERSION. */
int change_decode(const uint8_t *data, size_t size, struct change *change);

/* The membership that the change makes of `present`, which is not joint; the caller's. What the nodes found out by themselves,
 * the identities of disks, is kept. Errors: LASH_EXISTS (ADD: the id is a member; PROMOTE: it votes; ADD and UPDATE: another member
 * has the address), LASH_NOT_FOUND (it is no member), LASH_INVALID (nobody would vote), LASH_TOO_LARGE (too many members), LASH_NOMEM. */
int change_apply(const struct change *change, const struct roster *present, struct roster **wanted);

#endif
