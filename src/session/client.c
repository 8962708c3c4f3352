/* SPDX-License-Identifier: Apache-2.0
 *
 * One client's session: numbers, attempts, and what is to be believed of their ends.
 */
#include "session/client.h"

#include <string.h>

#include "base/assert.h"
#include "raft/random.h"

enum {
    CLIENT_PAUSE_MS = 20, /* before the second attempt; twice as long before each further one, */
    CLIENT_DOUBLINGS = 6, /* up to so often */
    CLIENT_WORDS = 4,     /* in each timeout the session is to be heard of so often */
};

/* ---- Time in the log -------------------------------------------------------------------------------------- */

/* A command's entry had this as the log's time. What a client adds to it begins when it hears of it, later: so no clock that
 * runs at the right pace ever makes a stamp that is ahead, whatever it shows. */
static void client_hear(struct client *client, uint64_t now_ms, uint64_t log_ms) {
    bool behind = client->log_known && client->log_ms + (now_ms - client->log_seen_ms) >= log_ms;
    if (behind)
        return;
    client->log_known = true;
    client->log_ms = log_ms;
    client->log_seen_ms = now_ms;
}

static uint64_t client_stamp(const struct client *client, uint64_t now_ms) {
    return client->log_known ? client->log_ms + (now_ms - client->log_seen_ms) : 0;
}

/* ---- Ends --------------------------------------------------------------------------------------------------- */

static void client_forget_result(struct client_call *call) {
    buf_unref(call->result.reply);
    call->result = (struct session_result){0};
}

void client_call_free(struct client_call *call) {
    client_forget_result(call);
    mem_free(call);
}

/* A command ends. One that may be in the log is not told to have failed for certain. */
static void client_finish(struct client_call *call, int error) {
    LASH_ASSERT(!call->flying && call != &call->client->own);
    if (error)
        client_forget_result(call);
    call->error = error && call->unsure && error != LASH_CLOSED ? LASH_UNKNOWN : error;
    list_remove(&call->link);
    list_push(&call->client->ended, &call->link);
}

/* No attempt is made any more: what is not under way ends. */
static void client_give_up(struct client *client, int error) {
    struct list *at = client->calls.next;
    while (at != &client->calls) {
        struct client_call *call = list_entry(at, struct client_call, link);
        at = at->next;
        if (!call->flying)
            client_finish(call, error);
    }
}

static void client_change(struct client *client, enum client_state state) {
    LASH_ASSERT(state >= client->state);
    client->state = state;
}

static void client_expire(struct client *client) {
    if (client->state >= CLIENT_EXPIRED)
        return;
    client_change(client, CLIENT_EXPIRED);
    client_give_up(client, LASH_EXPIRED);
}

static void client_lose(struct client *client, int error) {
    if (client->state >= CLIENT_LOST)
        return;
    client_change(client, CLIENT_LOST);
    client_give_up(client, error);
}

/* ---- Attempts ------------------------------------------------------------------------------------------------- */

/* Whether there is a point in another attempt after this error; *unsure: this one may still be carried out. */
static bool client_retries(int error, bool *unsure) {
    static const struct {
        int error;
        bool unsure;
    } errors[] = {{LASH_DROPPED, false}, {LASH_NO_LEADER, false}, {LASH_NOT_LEADER, false},
                  {LASH_BUSY, false},    {LASH_BACKLOG, false},   {LASH_FULL, false},
                  {LASH_NOMEM, false},   {LASH_UNKNOWN, true},    {LASH_TIMEOUT, true}};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].error == error) {
            *unsure = errors[i].unsure;
            return true;
        }
    }
    *unsure = error == LASH_CLOSED;
    return false;
}

/* Another attempt, after a while: half of it for certain, the other half by chance, lest all clients come at once. */
static void client_again(struct client_call *call, uint64_t now_ms) {
    uint32_t doublings = call->attempts < CLIENT_DOUBLINGS ? call->attempts : CLIENT_DOUBLINGS;
    uint64_t half_ms = (uint64_t)CLIENT_PAUSE_MS << doublings >> 1;
    call->attempts++;
    call->try_ms = now_ms + half_ms + random_between(&call->client->random, 0, half_ms + 1);
}

/* When the session is to say something if it has nothing to say. */
static void client_put_off(struct client *client, uint64_t now_ms) {
    client->own.attempts = 0;
    client->own.try_ms = now_ms + client->limits.timeout_ms / CLIENT_WORDS;
}

static uint64_t client_lowest(const struct client *client) {
    if (list_empty(&client->calls))
        return client->next_sequence;
    return list_entry(client->calls.next, struct client_call, link)->sequence;
}

static void client_send(struct client_call *call, uint64_t now_ms) {
    struct client *client = call->client;
    struct session_command head = {
        .kind = call->kind, .sequence = call->sequence, .stamp_ms = client_stamp(client, now_ms)};
    if (call->kind == COMMAND_REGISTER)
        head.limits = client->limits;
    else
        head.session = client->id;
    if (call->kind == COMMAND_APPLY || call->kind == COMMAND_KEEP_ALIVE)
        head.lowest = client_lowest(client);
    size_t size = command_encode(&head, call->bytes) + call->size;
    LASH_ASSERT(!call->flying && !call->result.reply);
    call->flying = true;
    int error = client->env.propose(client->env.context, call, call->bytes, size);
    if (error)
        client_ended(call, now_ms, error, 0);
}

static void client_own_send(struct client *client, enum command_kind kind, uint64_t now_ms) {
    client->own.kind = kind;
    client_send(&client->own, now_ms);
}

/* ---- Ends of attempts -------------------------------------------------------------------------------------------- */

static void client_command_ended(struct client_call *call, uint64_t now_ms, int error, bool retry) {
    struct client *client = call->client;
    call->error = error;
    if (retry && client->state <= CLIENT_OPEN && !client->closing) {
        client_again(call, now_ms);
        return;
    }
    client_finish(call, error && client->closing && error != LASH_EXPIRED ? LASH_CLOSED : error);
    if (error == LASH_EXPIRED)
        client_expire(client);
    else if (error && error != LASH_TOO_LARGE && !retry)
        client_lose(client, error);
}

static void client_own_ended(struct client *client, uint64_t now_ms, int error, bool retry, lash_index index) {
    struct client_call *own = &client->own;
    client_forget_result(own);
    if (own->kind == COMMAND_CLOSE)
        return;
    if (error == LASH_EXPIRED)
        client_expire(client);
    else if (retry)
        client_again(own, now_ms);
    else if (error)
        client_lose(client, error);
    else if (client->state == CLIENT_OPENING) {
        client->id = index;
        client_change(client, CLIENT_OPEN);
    }
}

void client_ended(struct client_call *call, uint64_t now_ms, int error, lash_index index) {
    struct client *client = call->client;
    bool unsure = false;
    LASH_ASSERT(call->flying);
    call->flying = false;
    bool retry = error && client_retries(error, &unsure);
    call->unsure |= unsure;
    if (error) {
        client_forget_result(call);
    } else {
        client_hear(client, now_ms, call->result.log_ms);
        error = call->result.error;
        retry = error == LASH_BUSY;
        if (!error)
            client_put_off(client, now_ms);
    }
    if (call == &client->own)
        client_own_ended(client, now_ms, error, retry, index);
    else
        client_command_ended(call, now_ms, error, retry);
}

/* ---- Events -------------------------------------------------------------------------------------------------------- */

void client_init(struct client *client, const struct client_env *env, const struct session_limits *limits,
                 uint64_t retry_ms, uint64_t seed) {
    LASH_ASSERT(limits_valid(limits));
    *client = (struct client){
        .env = *env, .limits = *limits, .retry_ms = retry_ms, .random = random_mix(seed), .next_sequence = 1};
    list_init(&client->calls);
    list_init(&client->ended);
    list_init(&client->own.link);
    client->own.client = client;
    client->own.bytes = client->own_bytes;
}

int client_propose(struct client *client, uint64_t now_ms, const void *data, size_t size, lash_session_done_fn done,
                   void *argument) {
    if (client->state == CLIENT_EXPIRED)
        return LASH_EXPIRED;
    if (client->closing || client->state > CLIENT_EXPIRED)
        return LASH_CLOSED;
    /* reckoned as the table does, so that it never has to refuse */
    if (client->next_sequence - client_lowest(client) >= client->limits.outstanding_max)
        return LASH_BUSY;
    struct client_call *call = mem_alloc(sizeof *call + COMMAND_HEAD_SIZE + size);
    if (!call)
        return LASH_NOMEM;
    *call = (struct client_call){.client = client,
                                 .kind = COMMAND_APPLY,
                                 .sequence = client->next_sequence++,
                                 .try_ms = now_ms,
                                 .deadline_ms = now_ms + client->retry_ms,
                                 .done = done,
                                 .argument = argument,
                                 .size = size,
                                 .bytes = (uint8_t *)(call + 1)};
    if (size > 0)
        memcpy(call->bytes + COMMAND_HEAD_SIZE, data, size);
    list_init(&call->link);
    list_push(&client->calls, &call->link);
    return 0;
}

void client_close(struct client *client) {
    client->closing = true;
    client_give_up(client, LASH_CLOSED);
}

/* Commands whose time has come, to be tried or to end. */
static void client_turn_calls(struct client *client, uint64_t now_ms) {
    struct list *at = client->calls.next;
    /* an attempt that shows that the node takes nothing any more ends all the others */
    while (at != &client->calls && client->state <= CLIENT_OPEN) {
        struct client_call *call = list_entry(at, struct client_call, link);
        at = at->next;
        if (call->flying)
            continue;
        if (now_ms >= call->deadline_ms)
            client_finish(call, call->error ? call->error : LASH_NO_LEADER);
        else if (client->state == CLIENT_OPEN && now_ms >= call->try_ms)
            client_send(call, now_ms);
    }
}

static void client_turn_close(struct client *client, uint64_t now_ms) {
    if (!list_empty(&client->calls) || client->own.flying || client->state == CLIENT_CLOSED)
        return;
    if (client->state == CLIENT_OPEN && !client->told) {
        client->told = true;
        client_own_send(client, COMMAND_CLOSE, now_ms);
    }
    if (!client->own.flying)
        client_change(client, CLIENT_CLOSED);
}

static uint64_t client_deadline(const struct client *client) {
    uint64_t deadline = client->own.flying ? UINT64_MAX : client->own.try_ms;
    struct list *at;
    if (client->closing || client->state > CLIENT_OPEN)
        return UINT64_MAX;
    for (at = client->calls.next; at != &client->calls; at = at->next) {
        const struct client_call *call = list_entry(at, struct client_call, link);
        uint64_t due =
            client->state == CLIENT_OPEN && call->try_ms < call->deadline_ms ? call->try_ms : call->deadline_ms;
        if (!call->flying && due < deadline)
            deadline = due;
    }
    return deadline;
}

uint64_t client_turn(struct client *client, uint64_t now_ms) {
    if (client->closing) {
        client_turn_close(client, now_ms);
        return UINT64_MAX;
    }
    if (client->state <= CLIENT_OPEN && !client->own.flying && now_ms >= client->own.try_ms)
        client_own_send(client, client->state == CLIENT_OPEN ? COMMAND_KEEP_ALIVE : COMMAND_REGISTER, now_ms);
    client_turn_calls(client, now_ms);
    return client_deadline(client);
}

static void client_free_list(struct list *list) {
    struct list *at;
    while ((at = list_pop(list)))
        client_call_free(list_entry(at, struct client_call, link));
}

void client_free(struct client *client) {
    LASH_ASSERT(!client->own.flying);
    client_free_list(&client->calls);
    client_free_list(&client->ended);
    client_forget_result(&client->own);
}
