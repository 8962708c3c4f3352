/* SPDX-License-Identifier: Apache-2.0
 *
 * The Cluster service: MemberList, and the changes MemberAdd, MemberRemove,
 * MemberUpdate and MemberPromote with etcd's checks. Any member takes a change:
 * its node sees to it that the leader gets it.
 */
#include "api/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/ids.h"
#include "api/membership.h"
#include "api/methods.h"
#include "api/reconfig.h"
#include "api/url.h"
#include "base/assert.h"

/* What a change keeps between its steps. */
struct cluster_change {
    struct lash_node_member member; /* of an addition or an update: as the node is to have it */
    uint64_t id;                    /* whom it is about */
    struct url url;                 /* the member's peer URL; unless it keeps the one that it has */
    char host[URL_TEXT_MAX];        /* then: its host */
    uint8_t note[LASH_NODE_NOTE_MAX];
    bool learner;
    bool keeps_url;
    bool keeps_priority;
    enum api_error (*check)(struct call *call,
                            const struct membership *membership); /* against a list that is up to date */
    int (*ask)(lash_node *node, const struct cluster_change *change, lash_done_fn done, void *argument);
    void (*answer)(struct call *call, const struct membership *membership);
};

/* ---- Lists ------------------------------------------------------------------------------------- */

/* etcd gives answers about members no revision. */
static Etcdserverpb__ResponseHeader *cluster_header(struct call *call) {
    struct convert_header header = answer_header(call, 0);
    return convert_make_header(&header, call->arena);
}

/* Answer with the members as they are now. */
static void cluster_answer(struct call *call, void (*answer)(struct call *call, const struct membership *membership)) {
    struct membership membership;
    enum api_error failed = membership_read(call, &membership);
    if (failed) {
        call_fail(call, failed);
        return;
    }
    answer(call, &membership);
    membership_free(&membership);
}

#define CLUSTER_ANSWER(type, INIT)                                                                                     \
    type answer = INIT;                                                                                                \
    answer.header = cluster_header(call);                                                                              \
    answer.members = membership->list;                                                                                 \
    answer.n_members = membership->count

static void cluster_answer_list(struct call *call, const struct membership *membership) {
    CLUSTER_ANSWER(Etcdserverpb__MemberListResponse, ETCDSERVERPB__MEMBER_LIST_RESPONSE__INIT);
    answer_with(call, answer.header ? &answer.base : NULL);
}

static void cluster_answer_add(struct call *call, const struct membership *membership) {
    const struct cluster_change *change = call->kept;
    CLUSTER_ANSWER(Etcdserverpb__MemberAddResponse, ETCDSERVERPB__MEMBER_ADD_RESPONSE__INIT);
    for (size_t i = 0; i < membership->count; i++)
        if (membership->list[i]->id == change->id)
            answer.member = membership->list[i];
    answer_with(call, answer.header ? &answer.base : NULL);
}

static void cluster_answer_remove(struct call *call, const struct membership *membership) {
    CLUSTER_ANSWER(Etcdserverpb__MemberRemoveResponse, ETCDSERVERPB__MEMBER_REMOVE_RESPONSE__INIT);
    answer_with(call, answer.header ? &answer.base : NULL);
}

static void cluster_answer_update(struct call *call, const struct membership *membership) {
    CLUSTER_ANSWER(Etcdserverpb__MemberUpdateResponse, ETCDSERVERPB__MEMBER_UPDATE_RESPONSE__INIT);
    answer_with(call, answer.header ? &answer.base : NULL);
}

static void cluster_answer_promote(struct call *call, const struct membership *membership) {
    CLUSTER_ANSWER(Etcdserverpb__MemberPromoteResponse, ETCDSERVERPB__MEMBER_PROMOTE_RESPONSE__INIT);
    answer_with(call, answer.header ? &answer.base : NULL);
}

static void cluster_listed(struct call *call, int error) {
    if (error)
        call_fail(call, errors_of_node(error));
    else
        cluster_answer(call, cluster_answer_list);
}

void cluster_member_list(struct call *call) {
    /* A witness tells what its log says: it could read nothing else. */
    if (((const Etcdserverpb__MemberListRequest *)call->message)->linearizable && !loop_is_witness(call->loop))
        call_read(call, cluster_listed);
    else
        cluster_listed(call, 0);
}

/* ---- Checks ------------------------------------------------------------------------------------ */

/* The members as the strict checks see them. */
static size_t cluster_health(struct call *call, const struct membership *membership,
                             struct reconfig_member members[LASH_RAFT_MEMBERS_MAX]) {
    uint64_t now = uv_now(&call->loop->uv);
    LASH_ASSERT(membership->count <= LASH_RAFT_MEMBERS_MAX);
    for (size_t i = 0; i < membership->count; i++) {
        const Etcdserverpb__Member *member = membership->list[i];
        uint64_t since;
        bool self = member->id == call->loop->options->member_id;
        bool connected = links_connected(&call->loop->links, member->id, &since);
        members[i] = (struct reconfig_member){
            .id = member->id,
            .voter = !member->islearner,
            .started = member->name[0] != '\0',
            .connected = self || connected,
            .healthy = self || (connected && since + RECONFIG_HEALTHY_MS <= now),
        };
    }
    return membership->count;
}

/* Whether another member than `except` has the URL, or listens at its address. */
static bool cluster_url_taken(const struct membership *membership, const struct url *url, uint64_t except) {
    for (size_t i = 0; i < membership->count; i++) {
        const Etcdserverpb__Member *member = membership->list[i];
        const struct lash_node_member *live = membership_find_live(membership, member->id);
        LASH_ASSERT(live);
        bool taken = live->port == url->port && strcmp(live->host, url->host) == 0;
        for (size_t at = 0; at < member->n_peerurls; at++)
            taken = taken || strcmp(member->peerurls[at], url->text) == 0;
        if (taken && member->id != except)
            return true;
    }
    return false;
}

static enum api_error cluster_strict_add(struct call *call, const struct membership *membership) {
    const struct cluster_change *change = call->kept;
    struct reconfig_member members[LASH_RAFT_MEMBERS_MAX];
    return reconfig_may_add(members, cluster_health(call, membership, members), !change->learner);
}

static enum api_error cluster_strict_remove(struct call *call, const struct membership *membership) {
    const struct cluster_change *change = call->kept;
    struct reconfig_member members[LASH_RAFT_MEMBERS_MAX];
    return reconfig_may_remove(members, cluster_health(call, membership, members), change->id);
}

static enum api_error cluster_check_add(struct call *call, const struct membership *membership) {
    const struct cluster_change *change = call->kept;
    size_t learners = 0;
    for (size_t i = 0; i < membership->count; i++)
        learners += membership->list[i]->islearner != 0;
    if (membership_find(membership, change->id))
        return API_MEMBER_EXISTS;
    if (cluster_url_taken(membership, &change->url, 0))
        return API_PEER_URL_EXISTS;
    return change->learner && learners >= call->loop->options->learners_max ? API_LEARNERS_TOO_MANY : API_OK;
}

static enum api_error cluster_check_remove(struct call *call, const struct membership *membership) {
    const struct cluster_change *change = call->kept;
    return membership_find(membership, change->id) ? API_OK : API_MEMBER_NOT_FOUND;
}

static enum api_error cluster_check_promote(struct call *call, const struct membership *membership) {
    const struct cluster_change *change = call->kept;
    const Etcdserverpb__Member *member = membership_find(membership, change->id);
    struct reconfig_member members[LASH_RAFT_MEMBERS_MAX];
    if (!member)
        return API_MEMBER_NOT_FOUND;
    if (!member->islearner)
        return API_MEMBER_NOT_LEARNER;
    if (call->loop->options->reconfig_unchecked)
        return API_OK;
    return reconfig_may_promote(members, cluster_health(call, membership, members));
}

/* The member keeps its address. False when that is too long to be remembered, which none is that a client gave. */
static bool cluster_keep_url(struct cluster_change *change, const struct lash_node_member *live) {
    int size = snprintf(change->host, sizeof change->host, "%s", live->host);
    change->member.host = change->host;
    change->member.port = live->port;
    change->member.note = change->note;
    change->member.note_size = live->note_size;
    if (live->note_size)
        memcpy(change->note, live->note, live->note_size);
    return size >= 0 && (size_t)size < sizeof change->host;
}

/* The member keeps its name and its vote, and what the request does not speak of. */
static enum api_error cluster_check_update(struct call *call, const struct membership *membership) {
    struct cluster_change *change = call->kept;
    const Etcdserverpb__Member *member = membership_find(membership, change->id);
    const struct lash_node_member *live = membership_find_live(membership, change->id);
    if (!member || !live)
        return API_MEMBER_NOT_FOUND;
    change->member.flags = live->flags;
    if (change->keeps_priority)
        change->member.priority = live->priority;
    if (change->keeps_url)
        return cluster_keep_url(change, live) ? API_OK : API_MEMBER_BAD_URLS;
    if (cluster_url_taken(membership, &change->url, change->id))
        return API_PEER_URL_EXISTS;
    change->member.note_size = membership_note(member->name, change->url.text, change->note);
    return API_OK;
}

/* ---- Changes ----------------------------------------------------------------------------------- */

static int cluster_ask_add(lash_node *node, const struct cluster_change *change, lash_done_fn done, void *argument) {
    return lash_node_add(node, &change->member, done, argument);
}

static int cluster_ask_update(lash_node *node, const struct cluster_change *change, lash_done_fn done, void *argument) {
    return lash_node_update(node, &change->member, done, argument);
}

static int cluster_ask_remove(lash_node *node, const struct cluster_change *change, lash_done_fn done, void *argument) {
    return lash_node_remove(node, change->id, done, argument);
}

static int cluster_ask_promote(lash_node *node, const struct cluster_change *change, lash_done_fn done,
                               void *argument) {
    return lash_node_promote(node, change->id, done, argument);
}

static void cluster_changed(struct call *call, int error) {
    const struct cluster_change *change = call->kept;
    if (error == LASH_EXISTS && change->ask == cluster_ask_promote)
        call_fail(call, API_MEMBER_NOT_LEARNER); /* somebody else was quicker */
    else if (error)
        call_fail(call, errors_of_change(error));
    else
        cluster_answer(call, change->answer);
}

static int cluster_ask(lash_node *node, struct call *call, lash_done_fn done) {
    const struct cluster_change *change = call->kept;
    return change->ask(node, change, done, call);
}

/* The list of members is as new as the call: check against it, and ask the node. */
static void cluster_checked(struct call *call, int error) {
    const struct cluster_change *change = call->kept;
    struct membership membership;
    enum api_error failed = error ? errors_of_node(error) : membership_read(call, &membership);
    if (!failed) {
        failed = change->check(call, &membership);
        membership_free(&membership);
    }
    if (failed)
        call_fail(call, failed);
    else
        call_change(call, cluster_ask, cluster_changed);
}

/* Begin: the strict check comes first, as it must not wait for a majority that is not there. */
static void cluster_begin(struct call *call,
                          enum api_error (*strict)(struct call *call, const struct membership *membership)) {
    struct membership membership;
    enum api_error failed = API_OK;
    if (strict && !call->loop->options->reconfig_unchecked) {
        failed = membership_read(call, &membership);
        if (!failed) {
            failed = strict(call, &membership);
            membership_free(&membership);
        }
    }
    if (failed)
        call_fail(call, failed);
    else
        call_read(call, cluster_checked);
}

static struct cluster_change *cluster_new_change(struct call *call) {
    call->kept = arena_calloc(call->arena, 1, sizeof(struct cluster_change));
    if (!call->kept)
        call_fail(call, API_NO_MEMORY);
    return call->kept;
}

/* The one peer URL of a member; false when the call has failed. */
static bool cluster_parse_url(struct call *call, struct cluster_change *change, char *const *urls, size_t count) {
    bool good = count > 0;
    for (size_t i = 0; i < count && good; i++)
        good = url_parse(urls[i], strlen(urls[i]), &change->url) == NULL;
    if (!good) {
        call_fail(call, API_MEMBER_BAD_URLS);
        return false;
    }
    if (count > 1) {
        call_fail_text(call, GRPC_INVALID_ARGUMENT, "lash: a member has one peer URL in this version");
        return false;
    }
    change->member.host = change->url.host;
    change->member.port = change->url.port;
    change->member.note = change->note;
    return true;
}

/* A priority that a member may have; false when the call has failed. */
static bool cluster_parse_priority(struct call *call, struct cluster_change *change, uint32_t priority) {
    change->member.priority = priority;
    if (priority <= LASH_RAFT_PRIORITY_MAX)
        return true;
    call_fail_text(call, GRPC_INVALID_ARGUMENT, "lash: a priority is at most 1000");
    return false;
}

void cluster_member_add(struct call *call) {
    const Etcdserverpb__MemberAddRequest *request = (const Etcdserverpb__MemberAddRequest *)call->message;
    struct cluster_change *change = cluster_new_change(call);
    struct timespec now;
    if (!change || !cluster_parse_url(call, change, request->peerurls, request->n_peerurls) ||
        !cluster_parse_priority(call, change, request->priority))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (!ids_member(change->url.text, "", time, &change->id)) {
        call_fail(call, API_NO_MEMORY);
        return;
    }
    change->learner = request->islearner != 0;
    change->member.id = change->id;
    change->member.flags = change->learner ? 0 : LASH_MEMBER_VOTER;
    if (request->witness[0] != '\0' && !change->learner)
        change->member.flags |= LASH_MEMBER_WITNESS;
    change->member.note_size = membership_note(request->witness, change->url.text, change->note);
    change->check = cluster_check_add;
    change->ask = cluster_ask_add;
    change->answer = cluster_answer_add;
    cluster_begin(call, cluster_strict_add);
}

void cluster_member_update(struct call *call) {
    const Etcdserverpb__MemberUpdateRequest *request = (const Etcdserverpb__MemberUpdateRequest *)call->message;
    struct cluster_change *change = cluster_new_change(call);
    if (!change)
        return;
    change->keeps_priority = !request->priority;
    change->keeps_url = request->priority && request->n_peerurls == 0;
    if (!change->keeps_url && !cluster_parse_url(call, change, request->peerurls, request->n_peerurls))
        return;
    if (request->priority && !cluster_parse_priority(call, change, request->priority->value))
        return;
    change->id = change->member.id = request->id;
    change->check = cluster_check_update;
    change->ask = cluster_ask_update;
    change->answer = cluster_answer_update;
    cluster_begin(call, NULL);
}

void cluster_member_remove(struct call *call) {
    struct cluster_change *change = cluster_new_change(call);
    if (!change)
        return;
    change->id = ((const Etcdserverpb__MemberRemoveRequest *)call->message)->id;
    change->check = cluster_check_remove;
    change->ask = cluster_ask_remove;
    change->answer = cluster_answer_remove;
    cluster_begin(call, cluster_strict_remove);
}

void cluster_member_promote(struct call *call) {
    struct cluster_change *change = cluster_new_change(call);
    if (!change)
        return;
    change->id = ((const Etcdserverpb__MemberPromoteRequest *)call->message)->id;
    change->check = cluster_check_promote;
    change->ask = cluster_ask_promote;
    change->answer = cluster_answer_promote;
    cluster_begin(call, NULL);
}
