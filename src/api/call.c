/* SPDX-License-Identifier: Apache-2.0
 *
 * A call: see call.h.
 */
#include "api/call.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/message.h"
#include "api/reading.h"
#include "base/assert.h"

/* What a call takes besides its request and answer, with its stream, its arena and what was decoded: about this much. */
enum { CALL_BYTES = 3072 };

/* Of the arena, for what a small request is decoded into. */
enum { CALL_ROOM = 512 };

struct call *call_new(struct loop *loop, void (*finished)(struct call *call), void *owner, size_t size) {
    struct store_arena *arena = arena_new_of(sizeof(struct call) + size + CALL_ROOM);
    struct call *call = arena ? arena_calloc(arena, 1, sizeof *call) : NULL;
    if (!call) {
        store_arena_free(arena);
        return NULL;
    }
    call->arena = arena;
    call->text = "";
    call->loop = loop;
    call->references = 1;
    call->deadline_ms = UINT64_MAX;
    call->finished = finished;
    call->owner = owner;
    call->held = CALL_BYTES;
    loop_hold(loop, call->held);
    list_init(&call->completion.link);
    list_init(&call->in_reading);
    list_init(&call->in_loop);
    list_push(&loop->calls, &call->in_loop);
    return call;
}

void call_unref(struct call *call) {
    LASH_ASSERT(call->references > 0);
    if (--call->references > 0)
        return;
    list_remove(&call->in_loop);
    if (call->dispose)
        call->dispose(call);
    loop_release(call->loop, call->held);
    store_result_free(&call->result);
    buf_unref(call->encoded);
    buf_unref(call->answer);
    store_arena_free(call->arena); /* and the call with it */
}

void call_deadline(struct call *call, uint64_t deadline_ms) {
    call->deadline_ms = deadline_ms;
    if (deadline_ms != UINT64_MAX)
        loop_arm(call->loop, deadline_ms);
}

void call_abandon(struct call *call) {
    call->over = true;
    list_remove(&call->in_loop);
    call_unref(call);
}

/* ---- The outcome ------------------------------------------------------------------------------- */

void call_record(struct call *call, enum api_error error) {
    LASH_ASSERT(error != API_OK);
    call->recorded = error;
}

void call_encode(struct call *call, const ProtobufCMessage *answer) {
    call_encoded(call, message_encode(answer));
}

void call_encoded(struct call *call, struct buf *text) {
    LASH_ASSERT(!call->encoded);
    call->encoded = text;
    if (!call->encoded)
        call_record(call, API_NO_MEMORY);
}

/* What was encoded is the answer. The work is done: it is held even beyond the bound, which then stops others. */
static void call_take_answer(struct call *call) {
    LASH_ASSERT(call->encoded && !call->answer);
    call->answer = call->encoded;
    call->encoded = NULL;
    call->held += call->answer->size;
    loop_hold(call->loop, call->answer->size);
}

static void call_end(struct call *call) {
    LASH_ASSERT(!call->over);
    LASH_ASSERT(call->next || (call->code == GRPC_OK) == (call->answer != NULL));
    call->over = true;
    list_remove(&call->in_loop);
    call->finished(call);
}

void call_finish(struct call *call) {
    if (call->recorded) {
        call_fail(call, call->recorded);
        return;
    }
    call_take_answer(call);
    call_end(call);
}

void call_fail(struct call *call, enum api_error error) {
    call->code = errors_code(error);
    call->text = errors_text(error);
    call_end(call);
}

void call_fail_text(struct call *call, enum grpc_code code, const char *format, ...) {
    char *text = arena_alloc(call->arena, 1, CALL_TEXT_MAX);
    va_list arguments;
    va_start(arguments, format);
    if (text)
        vsnprintf(text, CALL_TEXT_MAX, format, arguments);
    va_end(arguments);
    call->text = text ? text : lash_strerror(LASH_NOMEM);
    call->code = code;
    call_end(call);
}

/* ---- Streams of answers ------------------------------------------------------------------------ */

void call_stream(struct call *call, void (*next)(struct call *call)) {
    LASH_ASSERT(!call->over && !call->next && call->pushed);
    call->next = next;
    next(call);
}

void call_push(struct call *call, bool last) {
    LASH_ASSERT(!call->over && call->next && !call->answer && !call->last);
    if (call->recorded) {
        call_fail(call, call->recorded);
        return;
    }
    call_take_answer(call);
    call->last = last;
    call->pushed(call);
    if (last)
        call_end(call);
}

void call_sent(struct call *call) {
    LASH_ASSERT(call->answer && call->held >= call->answer->size);
    call->held -= call->answer->size;
    loop_release(call->loop, call->answer->size);
    buf_unref(call->answer);
    call->answer = NULL;
    if (!call->over)
        call->next(call);
}

/* ---- The start --------------------------------------------------------------------------------- */

bool call_status(struct call *call, struct lash_status *status) {
    return call->loop->node && lash_node_status(call->loop->node, status) == 0;
}

bool call_metrics(struct call *call, struct lash_metrics *metrics) {
    return call->loop->node && lash_node_metrics(call->loop->node, metrics) == 0;
}

static bool call_has_leader(struct call *call) {
    struct lash_status status;
    return call_status(call, &status) && status.raft.leader != 0;
}

void call_start(struct call *call, const struct call_method *method, const uint8_t *data, size_t size) {
    LASH_ASSERT(!call->over && !call->message);
    call->method = method;
    if (call->require_leader && !call_has_leader(call)) {
        call_fail(call, API_NO_LEADER);
        return;
    }
    enum api_error error = message_decode(method->request, data, size, call->arena, &call->message);
    if (!error && loop_is_learner(call->loop) && !(method->by_learner && method->by_learner(call)))
        error = API_LEARNER_UNSUPPORTED;
    if (!error && loop_is_witness(call->loop) && !method->by_witness)
        error = API_WITNESS_UNSUPPORTED;
    if (error)
        call_fail(call, error);
    else
        method->start(call);
}

/* ---- Waiting ----------------------------------------------------------------------------------- */

/* The node's answer, on its thread. */
static void call_done(void *argument, int error, lash_index index) {
    struct call *call = argument;
    (void)index;
    call->resume_error = error;
    loop_complete(call->loop, &call->completion);
}

void call_resume(struct call *call, int error) {
    LASH_ASSERT(call->references > 0 && call->resume);
    if (!call->over)
        call->resume(call, error);
    call_unref(call);
}

static void call_deliver(struct completion *completion) {
    struct call *call = list_entry(completion, struct call, completion);
    call_resume(call, call->resume_error);
}

static void call_wait(struct call *call, void (*resume)(struct call *call, int error)) {
    call->resume = resume;
    call->completion.deliver = call_deliver;
    call->references++;
}

/* The node, or the workers, would not have it: nothing will come. */
static void call_refused(struct call *call, int error) {
    call->references--;
    LASH_ASSERT(call->references > 0);
    call_fail(call, errors_of_node(error));
}

void call_propose(struct call *call, const void *data, size_t size, void (*resume)(struct call *call, int error)) {
    if (size > call->loop->options->request_bytes_max) {
        call_fail(call, API_REQUEST_TOO_LARGE);
        return;
    }
    call_wait(call, resume);
    lash_node *node = call->loop->node;
    int error = node ? lash_node_propose(node, data, size, &call->result, call_done, call) : LASH_CLOSED;
    if (error)
        call_refused(call, error);
}

void call_read(struct call *call, void (*resume)(struct call *call, int error)) {
    call_wait(call, resume);
    reading_join(call);
}

void call_transfer(struct call *call, uint64_t target, void (*resume)(struct call *call, int error)) {
    call_wait(call, resume);
    lash_node *node = call->loop->node;
    int error = node ? lash_node_transfer(node, target, call_done, call) : LASH_CLOSED;
    if (error)
        call_refused(call, error);
}

void call_change(struct call *call, int (*ask)(lash_node *node, struct call *call, lash_done_fn done),
                 void (*resume)(struct call *call, int error)) {
    call_wait(call, resume);
    lash_node *node = call->loop->node;
    int error = node ? ask(node, call, call_done) : LASH_CLOSED;
    if (error)
        call_refused(call, error);
}

static void call_work(uv_work_t *work) {
    struct call *call = work->data;
    call->execute(call);
    if (call->encoded)
        atomic_fetch_add_explicit(&call->loop->encoded, call->encoded->size, memory_order_relaxed);
}

static void call_worked(uv_work_t *work, int status) {
    (void)status; /* UV_ECANCELED only after uv_cancel, which nobody calls */
    struct call *call = work->data;
    if (call->encoded) /* it is held from now on, or dropped */
        atomic_fetch_sub_explicit(&call->loop->encoded, call->encoded->size, memory_order_relaxed);
    call_resume(call, 0);
}

void call_offload(struct call *call, void (*execute)(struct call *call), void (*resume)(struct call *call, int error)) {
    call_wait(call, resume);
    call->execute = execute;
    call->work.data = call;
    int failed = uv_queue_work(&call->loop->uv, &call->work, call_work, call_worked);
    LASH_ASSERT(failed == 0); /* fails only without a function to run */
}
