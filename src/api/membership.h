/* SPDX-License-Identifier: Apache-2.0
 *
 * The members that the configuration in force names, with what each has said of
 * itself through the log, as clients are shown them.
 */
#ifndef LASH_API_MEMBERSHIP_H
#define LASH_API_MEMBERSHIP_H

#include "api/call.h"
#include "rpc.pb-c.h"

struct membership {
    size_t count;
    Etcdserverpb__Member **list; /* by their ids; in the call's arena, as all that it points to */
    struct lash_members *live;   /* what it was made of; NULL while this member joins and knows nobody */
};

/* Read them for `call`, to be released with membership_free. On an error there is nothing to release. On the loop's thread. */
enum api_error membership_read(struct call *call, struct membership *membership);
void membership_free(struct membership *membership);

/* The member with this id; NULL when there is none. */
const Etcdserverpb__Member *membership_find(const struct membership *membership, uint64_t id);

/* The same in the node's words. */
const struct lash_node_member *membership_find_live(const struct membership *membership, uint64_t id);

/* Whether the status' node is a member without a vote. */
bool membership_is_learner(const struct lash_raft_status *status);

/* Whether it is a witness, which keeps no data. */
bool membership_is_witness(const struct lash_raft_status *status);

/* What a configuration's note says of a member: its name, if it is known yet, and its peer URL as the operator wrote it. Into
 * `note`, of LASH_NODE_NOTE_MAX bytes; returns the size, 0 when that does not suffice. */
size_t membership_note(const char *name, const char *peer_url, uint8_t *note);

/* The address that is dialled for a peer URL without one of its own in the note: "http://HOST:PORT". */
void membership_url(const char *host, uint16_t port, char *text, size_t size);

#endif
