/* SPDX-License-Identifier: Apache-2.0
 *
 * A roster: a configuration with what the core does not see of its members:
 * addresses, the identities of their data directories, and the program's notes.
 * Its encoding is what a CONFIGURATION entry holds, and the configuration in a
 * snapshot. A roster never changes once it is made; it is shared by references.
 *
 * All little-endian. 16 bytes and the members:
 *   0 u16 version (1)   2 u16 reserved (0)   4 u32 count   8 u64 index of the configuration's entry; 0: given at creation
 * A member, 32 bytes and its texts:
 *   0 u64 id   8 u32 flags   12 u32 priority   16 u64 disk (0: not known)
 *  24 u16 port (0: no address)   26 u16 size of the host   28 u16 size of the note   30 u16 reserved (0)   32 host, note
 *
 * Threads: any.
 */
#ifndef LASH_NODE_ROSTER_H
#define LASH_NODE_ROSTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "lash/node.h"

enum {
    ROSTER_VERSION = 1,
    ROSTER_HEAD_SIZE = 16,
    ROSTER_MEMBER_SIZE = 32,
    ROSTER_HOST_MAX = 255, /* bytes of a host's name, as in the DNS */
    ROSTER_BYTES_MAX =
        ROSTER_HEAD_SIZE + LASH_RAFT_MEMBERS_MAX * (ROSTER_MEMBER_SIZE + ROSTER_HOST_MAX + LASH_NODE_NOTE_MAX),
};

struct roster {
    _Atomic uint32_t references;
    uint32_t count;
    lash_index index; /* of the entry that holds it; 0: given at creation */
    struct lash_node_member
        members[LASH_RAFT_MEMBERS_MAX]; /* their texts lie behind; a host is never NULL, and empty without an address */
};

/* Make a roster with copies of `members`: one reference, the caller's. A host and a note may be NULL.
 * Errors: LASH_INVALID (no voter, an id that is 0 or there twice, flags that make no sense, a host without a port or with
 * other than printable characters, or a port without a host), LASH_TOO_LARGE (members, a host or a note), LASH_NOMEM. */
int roster_new(lash_index index, const struct lash_node_member *members, size_t count, struct roster **roster);

/* One reference more; returns `roster`. NULL is allowed. */
struct roster *roster_ref(struct roster *roster);

/* One reference less; the last frees it. NULL is allowed. */
void roster_unref(struct roster *roster);

/* The member with this id; NULL when there is none. */
const struct lash_node_member *roster_find(const struct roster *roster, lash_id id);

/* What the core knows of it. */
void roster_configuration(const struct roster *roster, struct lash_configuration *configuration);

/* The size of its encoding, at most ROSTER_BYTES_MAX. */
size_t roster_size(const struct roster *roster);

/* Write roster_size() bytes. */
void roster_encode(const struct roster *roster, uint8_t *data);

/* The parts of that, for whoever sends members by themselves. */

/* Whether host, port and note are in bounds. Errors: LASH_INVALID, LASH_TOO_LARGE. */
int roster_check_member(const struct lash_node_member *member);

/* The size of a member's encoding, which roster_write_member writes. */
size_t roster_member_size(const struct lash_node_member *member);
void roster_write_member(struct writer *writer, const struct lash_node_member *member);

/* Read a member; its note points into the bytes, its host is `host`. Errors: LASH_CORRUPT, LASH_VERSION. */
int roster_read_member(struct reader *reader, struct lash_node_member *member, char host[ROSTER_HOST_MAX + 1]);

/* Whether the encoded roster, which was checked, is of a joint configuration (D§4.3). */
bool roster_is_joint(const uint8_t *data, size_t size);

/* Read what roster_encode wrote; trusts nothing. Errors: LASH_CORRUPT, LASH_VERSION (a newer version wrote it), LASH_NOMEM. */
int roster_decode(const uint8_t *data, size_t size, struct roster **roster);

#endif
