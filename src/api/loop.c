/* SPDX-License-Identifier: Apache-2.0
 *
 * One loop thread of the server: see loop.h.
 */
#include "api/loop.h"

#include <stdatomic.h>
#include <string.h>

#include "api/call.h"
#include "api/connection.h"
#include "api/membership.h"
#include "api/publish.h"
#include "api/reading.h"
#include "api/upgrade.h"
#include "base/assert.h"
#include "base/logger.h"

/* Deadlines are met to within this, so that many of them cost few looks at the list. */
enum { LOOP_DEADLINE_STEP_MS = 10, LOOP_SWEEP_MS = 1000 };

/* ---- Budgets ----------------------------------------------------------------------------------- */

bool loop_is_full(const struct loop *loop) {
    size_t held = atomic_load_explicit(&loop->buffered, memory_order_relaxed);
    return held + atomic_load_explicit(&loop->encoded, memory_order_relaxed) >= loop->options->buffered_max;
}

void loop_hold(struct loop *loop, size_t size) {
    size_t before = atomic_load_explicit(&loop->buffered, memory_order_relaxed);
    atomic_store_explicit(&loop->buffered, before + size, memory_order_relaxed);
}

void loop_release(struct loop *loop, size_t size) {
    size_t before = atomic_load_explicit(&loop->buffered, memory_order_relaxed);
    LASH_ASSERT(before >= size);
    atomic_store_explicit(&loop->buffered, before - size, memory_order_relaxed);
}

void loop_log_client(struct loop *loop, const char *message, const char *client, const char *reason) {
    uint64_t now = uv_now(&loop->uv);
    if (now - loop->log_since >= LOOP_LOG_PERIOD_MS) {
        if (loop->log_dropped)
            log_warn("more lines about clients were left out", F_U64("lines", loop->log_dropped));
        loop->log_since = now;
        loop->log_lines = 0;
        loop->log_dropped = 0;
    }
    if (loop->log_lines >= LOOP_LOG_LINES) {
        loop->log_dropped++;
        return;
    }
    loop->log_lines++;
    log_warn(message, F_STR("client", client), F_STR("reason", reason));
}

/* ---- Deadlines --------------------------------------------------------------------------------- */

static void loop_expire(uv_timer_t *timer) {
    struct loop *loop = timer->data;
    uint64_t now = uv_now(&loop->uv);
    uint64_t next = UINT64_MAX;
    struct list expired;
    loop->deadline_armed = UINT64_MAX;
    list_init(&expired);
    for (struct list *at = loop->calls.next, *after; at != &loop->calls; at = after) {
        struct call *call = list_entry(at, struct call, in_loop);
        after = at->next;
        if (call->deadline_ms <= now) {
            list_remove(at);
            list_push(&expired, at);
        } else if (call->deadline_ms < next) {
            next = call->deadline_ms;
        }
    }
    for (struct list *at; (at = list_pop(&expired)) != NULL;)
        call_fail(list_entry(at, struct call, in_loop), API_DEADLINE_EXCEEDED);
    if (next != UINT64_MAX)
        loop_arm(loop, next < now + LOOP_DEADLINE_STEP_MS ? now + LOOP_DEADLINE_STEP_MS : next);
}

void loop_arm(struct loop *loop, uint64_t deadline_ms) {
    if (deadline_ms >= loop->deadline_armed)
        return;
    uint64_t now = uv_now(&loop->uv);
    loop->deadline_armed = deadline_ms;
    uv_timer_start(&loop->deadlines, loop_expire, deadline_ms > now ? deadline_ms - now : 0, 0);
}

/* ---- Turns ------------------------------------------------------------------------------------- */

void loop_end_turn(struct loop *loop) {
    do {
        reading_ask(loop);
        for (struct list *at; (at = list_pop(&loop->dirty)) != NULL;)
            connection_flush(list_entry(at, struct connection, in_dirty));
    } while (reading_waits(loop));
    loop->term_known = false;
}

static void loop_flush(uv_prepare_t *prepare) {
    struct loop *loop = prepare->data;
    loop_end_turn(loop);
    if (loop->draining) {
        uv_mutex_lock(&loop->lock);
        loop->connections_left = loop->connection_count;
        uv_cond_signal(&loop->drained);
        uv_mutex_unlock(&loop->lock);
    }
}

void loop_accept(struct loop *loop, size_t listener) {
    LASH_ASSERT(listener < loop->listener_count);
    bool accepted = connection_accept(loop, (uv_stream_t *)&loop->listeners[listener]);
    loop->accept_later[listener] = !accepted;
}

static void loop_swept(uv_timer_t *timer) {
    struct loop *loop = timer->data;
    for (size_t i = 0; i < loop->listener_count && !loop->draining; i++)
        if (loop->accept_later[i])
            loop_accept(loop, i);
    for (struct list *at = loop->connections.next, *after; at != &loop->connections; at = after) {
        after = at->next;
        connection_sweep(list_entry(at, struct connection, in_loop), uv_now(&loop->uv));
    }
    if (!loop->draining)
        upgrade_look(loop);
}

static void loop_close_handle(uv_handle_t *handle) {
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void loop_stop_listening(struct loop *loop) {
    for (size_t i = 0; i < loop->listener_count; i++)
        loop_close_handle((uv_handle_t *)&loop->listeners[i]);
}

static void loop_begin_drain(struct loop *loop) {
    loop->draining = true;
    loop_stop_listening(loop);
    publish_stop(&loop->publisher);
    upgrade_stop(&loop->upgrader);
    for (struct list *at = loop->connections.next, *after; at != &loop->connections; at = after) {
        after = at->next;
        connection_drain(list_entry(at, struct connection, in_loop));
    }
}

static void loop_close_handles(struct loop *loop) {
    loop_stop_listening(loop);
    loop_close_handle((uv_handle_t *)&loop->wake);
    loop_close_handle((uv_handle_t *)&loop->flush);
    loop_close_handle((uv_handle_t *)&loop->sweep);
    loop_close_handle((uv_handle_t *)&loop->deadlines);
    loop_close_handle((uv_handle_t *)&loop->publisher.timer);
}

static void loop_stop(struct loop *loop) {
    publish_stop(&loop->publisher);
    upgrade_stop(&loop->upgrader);
    loop_flush(&loop->flush);
    while (!list_empty(&loop->connections))
        connection_close(list_entry(loop->connections.next, struct connection, in_loop), NULL);
    loop_close_handles(loop);
}

static void loop_sever(struct loop *loop) {
    loop->node = NULL;
    uv_mutex_lock(&loop->lock);
    loop->severed = true;
    uv_cond_signal(&loop->drained);
    uv_mutex_unlock(&loop->lock);
}

static void loop_woken(uv_async_t *wake) {
    struct loop *loop = wake->data;
    struct list completed;
    list_init(&completed);
    uv_mutex_lock(&loop->lock);
    list_splice(&completed, &loop->completed);
    bool drain = loop->drain_wanted && !loop->draining;
    bool sever = loop->sever_wanted;
    bool stop = loop->stop_wanted;
    uv_mutex_unlock(&loop->lock);
    reading_begin(loop);
    for (struct list *at; (at = list_pop(&completed)) != NULL;) {
        struct completion *completion = list_entry(at, struct completion, link);
        completion->deliver(completion);
    }
    reading_end(loop);
    if (drain)
        loop_begin_drain(loop);
    if (sever)
        loop_sever(loop);
    if (stop)
        loop_stop(loop);
}

void loop_complete(struct loop *loop, struct completion *completion) {
    uv_mutex_lock(&loop->lock);
    bool first = list_empty(&loop->completed);
    list_push(&loop->completed, &completion->link);
    uv_mutex_unlock(&loop->lock);
    if (first)
        uv_async_send(&loop->wake);
}

uint64_t loop_term(struct loop *loop) {
    struct lash_status status;
    if (!loop->term_known) {
        loop->term_known = true;
        loop->term = loop->node && lash_node_status(loop->node, &status) == 0 ? status.raft.term : 0;
    }
    return loop->term;
}

/* ---- What the node observes ---------------------------------------------------------------------- */

void loop_observe(struct loop *loop, const struct lash_observation *observation) {
    links_observe(&loop->links, observation, uv_hrtime() / 1000000);
    atomic_store_explicit(&loop->configuration_told, observation->configuration, memory_order_relaxed);
}

/* See which part this member has, if the configuration is another one than when it was looked at last. */
static void loop_look_at_part(struct loop *loop) {
    struct lash_status status;
    lash_index told = atomic_load_explicit(&loop->configuration_told, memory_order_relaxed);
    if (told == loop->configuration_known || !loop->node || lash_node_status(loop->node, &status))
        return;
    /* The status may yet be that of before, and is then looked at again. */
    loop->configuration_known = status.raft.configuration.index;
    loop->learner = membership_is_learner(&status.raft);
    loop->witness = membership_is_witness(&status.raft);
}

bool loop_is_learner(struct loop *loop) {
    loop_look_at_part(loop);
    return loop->learner;
}

bool loop_is_witness(struct loop *loop) {
    loop_look_at_part(loop);
    return loop->witness;
}

/* ---- Life -------------------------------------------------------------------------------------- */

int loop_open(struct loop *loop, const struct server_options *options) {
    memset(loop, 0, sizeof *loop);
    if (uv_loop_init(&loop->uv))
        return LASH_NOMEM;
    if (uv_async_init(&loop->uv, &loop->wake, loop_woken)) {
        uv_loop_close(&loop->uv);
        return LASH_NOMEM;
    }
    loop->options = options;
    loop->deadline_armed = UINT64_MAX;
    list_init(&loop->calls);
    list_init(&loop->readers[LASH_READ_INDEX]);
    list_init(&loop->readers[LASH_READ_LEASE]);
    list_init(&loop->connections);
    list_init(&loop->dirty);
    list_init(&loop->completed);
    links_open(&loop->links);
    loop->configuration_known = UINT64_MAX;
    uv_prepare_init(&loop->uv, &loop->flush);
    uv_timer_init(&loop->uv, &loop->sweep);
    uv_timer_init(&loop->uv, &loop->deadlines);
    uv_timer_init(&loop->uv, &loop->publisher.timer);
    loop->wake.data = loop->flush.data = loop->sweep.data = loop->deadlines.data = loop->publisher.timer.data = loop;
    uv_mutex_init(&loop->lock);
    uv_cond_init(&loop->drained);
    return 0;
}

static void loop_run(void *argument) {
    struct loop *loop = argument;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

int loop_start(struct loop *loop, lash_node *node) {
    loop->node = node;
    uv_update_time(&loop->uv);
    uv_prepare_start(&loop->flush, loop_flush);
    uv_timer_start(&loop->sweep, loop_swept, LOOP_SWEEP_MS, LOOP_SWEEP_MS);
    publish_start(&loop->publisher);
    if (uv_thread_create(&loop->thread, loop_run, loop))
        return LASH_NOMEM;
    loop->started = true;
    return 0;
}

void loop_drain(struct loop *loop, uint64_t timeout_ms) {
    if (!loop->started)
        return;
    uint64_t until = uv_hrtime() + timeout_ms * 1000000;
    uv_mutex_lock(&loop->lock);
    loop->drain_wanted = true;
    loop->connections_left = UINT32_MAX;
    uv_async_send(&loop->wake);
    for (uint64_t now = uv_hrtime(); loop->connections_left > 0 && now < until; now = uv_hrtime())
        uv_cond_timedwait(&loop->drained, &loop->lock, until - now);
    loop->sever_wanted = true;
    uv_async_send(&loop->wake);
    while (!loop->severed)
        uv_cond_wait(&loop->drained, &loop->lock);
    uv_mutex_unlock(&loop->lock);
}

void loop_close(struct loop *loop) {
    if (loop->started) {
        uv_mutex_lock(&loop->lock);
        loop->stop_wanted = true;
        uv_mutex_unlock(&loop->lock);
        uv_async_send(&loop->wake);
        uv_thread_join(&loop->thread);
    } else {
        loop_close_handles(loop);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    LASH_ASSERT(list_empty(&loop->calls) && list_empty(&loop->connections) && !reading_waits(loop));
    int busy = uv_loop_close(&loop->uv);
    LASH_ASSERT(busy == 0);
    links_close(&loop->links);
    uv_mutex_destroy(&loop->lock);
    uv_cond_destroy(&loop->drained);
}
