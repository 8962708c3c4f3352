/* SPDX-License-Identifier: Apache-2.0
 *
 * The members as clients are shown them: see membership.h.
 */
#include "api/membership.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/message.h"
#include "api/url.h"
#include "base/assert.h"

/* ---- Notes ------------------------------------------------------------------------------------- */

/* protobuf-c wants texts that may be written to; nobody does. */
static char *membership_text(const char *text) {
    union {
        const char *constant;
        char *plain;
    } copy = {.constant = text};
    return copy.plain;
}

size_t membership_note(const char *name, const char *peer_url, uint8_t *note) {
    char *urls[] = {membership_text(peer_url)};
    Etcdserverpb__Member member;
    etcdserverpb__member__init(&member);
    member.name = membership_text(name);
    member.peerurls = urls;
    member.n_peerurls = 1;
    if (etcdserverpb__member__get_packed_size(&member) > LASH_NODE_NOTE_MAX)
        return 0;
    return etcdserverpb__member__pack(&member, note);
}

void membership_url(const char *host, uint16_t port, char *text, size_t size) {
    snprintf(text, size, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host, (unsigned)port);
}

/* ---- Filling ----------------------------------------------------------------------------------- */

/* A text as a string of the call's; NULL when memory ran out. */
static char *membership_string(struct call *call, struct store_bytes bytes) {
    char *string = arena_calloc(call->arena, bytes.size + 1, 1);
    if (string && bytes.size)
        memcpy(string, bytes.data, bytes.size);
    return string;
}

static char *membership_copy(struct call *call, const char *text) {
    return membership_string(call, (struct store_bytes){(const uint8_t *)text, strlen(text)});
}

/* Name and peer URL by the member's note, or, when it has none that can be read, its address. */
static bool membership_fill_note(struct call *call, Etcdserverpb__Member *member, const struct lash_node_member *live) {
    char address[URL_TEXT_MAX] = "";
    ProtobufCMessage *decoded = NULL;
    if (live->note_size)
        (void)message_decode(&etcdserverpb__member__descriptor, live->note, live->note_size, NULL, &decoded);
    const Etcdserverpb__Member *note = (const Etcdserverpb__Member *)decoded;
    if (live->port)
        membership_url(live->host, live->port, address, sizeof address);
    bool told = note && note->n_peerurls > 0;
    size_t count = told ? note->n_peerurls : address[0] != '\0';
    member->name = membership_copy(call, note ? note->name : "");
    member->peerurls = arena_calloc(call->arena, count + 1, sizeof *member->peerurls);
    bool good = member->name && member->peerurls;
    for (size_t i = 0; i < count && good; i++) {
        member->peerurls[i] = membership_copy(call, told ? note->peerurls[i] : address);
        good = member->peerurls[i] != NULL;
    }
    member->n_peerurls = count;
    message_free(decoded);
    return good;
}

/* What the member itself has published, once it has. */
static bool membership_fill_published(struct call *call, Etcdserverpb__Member *member,
                                      const struct store_member *published) {
    member->name = membership_string(call, published->name);
    member->clienturls = arena_calloc(call->arena, published->client_url_count + 1, sizeof *member->clienturls);
    if (!member->name || !member->clienturls)
        return false;
    for (size_t i = 0; i < published->client_url_count; i++) {
        member->clienturls[i] = membership_string(call, published->client_urls[i]);
        if (!member->clienturls[i])
            return false;
    }
    member->n_clienturls = published->client_url_count;
    return true;
}

static bool membership_add(struct call *call, struct membership *membership, const struct lash_node_member *live,
                           const struct store_member *published, size_t published_count) {
    Etcdserverpb__Member *member = arena_calloc(call->arena, 1, sizeof *member);
    if (!member)
        return false;
    etcdserverpb__member__init(member);
    member->id = live->id;
    member->islearner = !(live->flags & LASH_MEMBER_VOTER);
    member->iswitness = (live->flags & LASH_MEMBER_WITNESS) != 0;
    member->priority = live->priority;
    if (!membership_fill_note(call, member, live))
        return false;
    for (size_t i = 0; i < published_count; i++)
        if (published[i].id == live->id && !membership_fill_published(call, member, &published[i]))
            return false;
    membership->list[membership->count++] = member;
    return true;
}

static int membership_by_id(const void *a, const void *b) {
    const Etcdserverpb__Member *const *left = a;
    const Etcdserverpb__Member *const *right = b;
    return ((*left)->id > (*right)->id) - ((*left)->id < (*right)->id);
}

/* Everything but the live members is there or not at all. */
static enum api_error membership_fill(struct call *call, struct membership *membership) {
    const struct store_member *published;
    size_t published_count;
    membership->list = arena_calloc(call->arena, membership->live->count + 1, sizeof *membership->list);
    if (!membership->list)
        return API_NO_MEMORY;
    store_members(call->loop->options->store, &call->result, &published, &published_count);
    if (call->result.error)
        return errors_of_store(call->result.error);
    for (size_t i = 0; i < membership->live->count; i++) {
        const struct lash_node_member *live = &membership->live->members[i];
        if (live->flags & LASH_MEMBER_LEAVES)
            continue;
        if (!membership_add(call, membership, live, published, published_count))
            return API_NO_MEMORY;
    }
    qsort(membership->list, membership->count, sizeof *membership->list, membership_by_id);
    return API_OK;
}

enum api_error membership_read(struct call *call, struct membership *membership) {
    *membership = (struct membership){0};
    lash_node *node = call->loop->node;
    int error = node ? lash_node_members(node, &membership->live) : LASH_CLOSED;
    if (error == LASH_NOT_FOUND) /* it joins, and knows nobody yet */
        return API_OK;
    if (error)
        return errors_of_node(error);
    enum api_error failed = membership_fill(call, membership);
    store_result_free(&call->result);
    if (failed)
        membership_free(membership);
    return failed;
}

void membership_free(struct membership *membership) {
    lash_members_free(membership->live);
    membership->live = NULL;
}

/* ---- Looking up -------------------------------------------------------------------------------- */

bool membership_is_learner(const struct lash_raft_status *status) {
    for (uint32_t i = 0; i < status->configuration.count; i++)
        if (status->configuration.members[i].id == status->id)
            return !(status->configuration.members[i].flags & (LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD));
    return false;
}

bool membership_is_witness(const struct lash_raft_status *status) {
    for (uint32_t i = 0; i < status->configuration.count; i++)
        if (status->configuration.members[i].id == status->id)
            return (status->configuration.members[i].flags & LASH_MEMBER_WITNESS) != 0;
    return false;
}

const Etcdserverpb__Member *membership_find(const struct membership *membership, uint64_t id) {
    for (size_t i = 0; i < membership->count; i++)
        if (membership->list[i]->id == id)
            return membership->list[i];
    return NULL;
}

const struct lash_node_member *membership_find_live(const struct membership *membership, uint64_t id) {
    for (size_t i = 0; membership->live && i < membership->live->count; i++)
        if (membership->live->members[i].id == id)
            return &membership->live->members[i];
    return NULL;
}
