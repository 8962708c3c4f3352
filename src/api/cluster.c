/* SPDX-License-Identifier: Apache-2.0
 *
 * The Cluster service: MemberList.
 */
#include "api/answer.h"

#include <string.h>

#include "api/methods.h"
#include "rpc.pb-c.h"

/* A text of the store's as a string of the call's; NULL when memory ran out. */
static char *cluster_string(struct call *call, struct store_bytes bytes) {
    char *string = arena_calloc(call->arena, bytes.size + 1, 1);
    if (string && bytes.size)
        memcpy(string, bytes.data, bytes.size);
    return string;
}

/* What the member itself has published, once it has. */
static bool cluster_fill_published(struct call *call, Etcdserverpb__Member *message,
                                   const struct store_member *published) {
    message->name = cluster_string(call, published->name);
    message->clienturls = arena_calloc(call->arena, published->client_url_count, sizeof *message->clienturls);
    if (!message->name || !message->clienturls)
        return false;
    for (size_t i = 0; i < published->client_url_count; i++) {
        message->clienturls[i] = cluster_string(call, published->client_urls[i]);
        if (!message->clienturls[i])
            return false;
    }
    message->n_clienturls = published->client_url_count;
    return true;
}

static bool cluster_fill(struct call *call, Etcdserverpb__Member *message, const struct server_member *member,
                         const struct store_member *published, size_t published_count) {
    etcdserverpb__member__init(message);
    message->id = member->id;
    message->name = cluster_string(call, (struct store_bytes){(const uint8_t *)member->name, strlen(member->name)});
    message->peerurls = arena_calloc(call->arena, 1, sizeof *message->peerurls);
    if (!message->name || !message->peerurls)
        return false;
    message->peerurls[0] =
        cluster_string(call, (struct store_bytes){(const uint8_t *)member->peer_url, strlen(member->peer_url)});
    message->n_peerurls = 1;
    for (size_t i = 0; i < published_count; i++)
        if (published[i].id == member->id && !cluster_fill_published(call, message, &published[i]))
            return false;
    return message->peerurls[0] != NULL;
}

static bool cluster_fill_all(struct call *call, Etcdserverpb__MemberListResponse *answer) {
    const struct server_options *options = call->loop->options;
    const struct store_member *published;
    size_t published_count;
    Etcdserverpb__Member *messages = arena_calloc(call->arena, options->member_count, sizeof *messages);
    Etcdserverpb__Member **list = arena_calloc(call->arena, options->member_count, sizeof *list);
    struct convert_header header = answer_header(call, 0); /* etcd gives member lists no revision */
    answer->header = convert_make_header(&header, call->arena);
    if (!messages || !list || !answer->header) {
        call->result.error = STORE_FAILED;
        return false;
    }
    store_members(options->store, &call->result, &published, &published_count);
    if (call->result.error)
        return false;
    for (size_t i = 0; i < options->member_count; i++) {
        list[i] = &messages[i];
        if (!cluster_fill(call, list[i], &options->members[i], published, published_count))
            return false;
    }
    answer->members = list;
    answer->n_members = options->member_count;
    return true;
}

static void cluster_serve(struct call *call, int error) {
    if (error) {
        call_fail(call, errors_of_node(error));
        return;
    }
    Etcdserverpb__MemberListResponse answer = ETCDSERVERPB__MEMBER_LIST_RESPONSE__INIT;
    if (cluster_fill_all(call, &answer))
        answer_with(call, &answer.base);
    else
        call_fail(call, call->result.error ? errors_of_store(call->result.error) : API_NO_MEMORY);
}

void cluster_member_list(struct call *call) {
    if (((const Etcdserverpb__MemberListRequest *)call->message)->linearizable)
        call_read(call, cluster_serve);
    else
        cluster_serve(call, 0);
}
