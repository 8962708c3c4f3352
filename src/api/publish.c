/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing the member's attributes: see publish.h.
 */
#include "api/publish.h"

#include <string.h>

#include "api/call.h"
#include "base/assert.h"
#include "base/logger.h"

enum { PUBLISH_RETRY_MS = 200, PUBLISH_FIRST_MS = 1 };

static void publish_try(uv_timer_t *timer);

static void publish_later(struct publisher *publisher, uint64_t delay_ms) {
    uv_timer_start(&publisher->timer, publish_try, delay_ms, 0);
}

static void publish_done(struct call *call, int error) {
    const struct server_options *options = call->loop->options;
    struct publisher *publisher = call->owner;
    enum store_error refusal = call->result.error;
    publisher->call = NULL;
    call_abandon(call);
    if (error == LASH_WITNESS) { /* it has no part in what is published, and answers for itself */
        log_info("ready to serve client requests, as a witness, which keeps no data", F_STR("name", options->name),
                 F_HEX("member", options->member_id), F_HEX("cluster", options->cluster_id));
        return;
    }
    if (error || refusal) {
        log_debug("could not publish this member's client URLs yet",
                  F_STR("error", error ? lash_strerror(error) : store_strerror(refusal)));
        publish_later(publisher, PUBLISH_RETRY_MS);
        return;
    }
    log_info("ready to serve client requests", F_STR("name", options->name), F_HEX("member", options->member_id),
             F_HEX("cluster", options->cluster_id));
}

/* The node did not even take it. */
static void publish_refused(struct call *call) {
    struct publisher *publisher = call->owner;
    publisher->call = NULL;
    call_unref(call);
    publish_later(publisher, PUBLISH_RETRY_MS);
}

/* The member's attributes as a command; false when memory ran out. */
static bool publish_encode(struct call *call, uint8_t **command, size_t *size) {
    const struct server_options *options = call->loop->options;
    struct store_bytes *urls = arena_calloc(call->arena, options->client_url_count, sizeof *urls);
    if (!urls)
        return false;
    for (size_t i = 0; i < options->client_url_count; i++)
        urls[i] = (struct store_bytes){(const uint8_t *)options->client_urls[i], strlen(options->client_urls[i])};
    call->op.type = STORE_MEMBER;
    call->op.member = (struct store_member){
        .id = options->member_id,
        .name = {(const uint8_t *)options->name, strlen(options->name)},
        .client_urls = urls,
        .client_url_count = options->client_url_count,
    };
    return store_encode(&call->op, command, size) == 0;
}

static void publish_try(uv_timer_t *timer) {
    struct loop *loop = timer->data;
    struct publisher *publisher = &loop->publisher;
    uint8_t *command;
    size_t size;
    LASH_ASSERT(!publisher->call);
    publisher->call = call_new(loop, publish_refused, publisher, 0);
    if (!publisher->call) {
        publish_later(publisher, PUBLISH_RETRY_MS);
        return;
    }
    if (!publish_encode(publisher->call, &command, &size)) {
        call_fail(publisher->call, API_NO_MEMORY);
        return;
    }
    call_propose(publisher->call, command, size, publish_done);
    mem_free(command);
}

void publish_start(struct publisher *publisher) {
    publish_later(publisher, PUBLISH_FIRST_MS);
}

void publish_stop(struct publisher *publisher) {
    uv_timer_stop(&publisher->timer);
    if (publisher->call)
        call_abandon(publisher->call);
    publisher->call = NULL;
}
