/* SPDX-License-Identifier: Apache-2.0
 *
 * The transport as a whole: options, what happens once per turn of the loop, and
 * the end.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "transport/internal.h"

/* The watch looks this often within the time that a handshake or a stalled write is allowed, */
#define TRANSPORT_WATCH_FRACTION 4
/* and at least this often. */
#define TRANSPORT_WATCH_MS_MAX 250

/* ---- Lifetimes ---------------------------------------------------------------------------------- */

void transport_handle_opened(struct transport *transport) {
    transport->handles++;
}

void transport_handle_closed(struct transport *transport) {
    LASH_ASSERT(transport->handles > 0);
    if (--transport->handles > 0)
        return;
    LASH_ASSERT(transport->closing);
    LASH_ASSERT(list_empty(&transport->peers) && list_empty(&transport->handshakes) && list_empty(&transport->dirty));
    void (*closed)(void *context) = transport->closed;
    void *context = transport->closed_context;
    mem_free(transport);
    if (closed)
        closed(context);
}

static void transport_on_close(uv_handle_t *handle) {
    transport_handle_closed(handle->data);
}

/* ---- Small services for the other files --------------------------------------------------------- */

struct peer *transport_find(const struct transport *transport, uint64_t id) {
    for (struct list *at = transport->peers.next; at != &transport->peers; at = at->next) {
        struct peer *peer = list_entry(at, struct peer, node);
        if (peer->id == id)
            return peer;
    }
    return NULL;
}

/* splitmix64: jitter needs to differ between nodes, and no more. */
uint64_t transport_random(struct transport *transport, uint64_t below) {
    LASH_ASSERT(below > 0);
    uint64_t mixed = transport->random += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return (mixed ^ mixed >> 31) % below;
}

bool transport_notice(struct transport *transport, uint32_t kind, uint64_t peer) {
    return notice_due(&transport->notices, kind, peer, uv_now(transport->options.loop));
}

/* Close what stalls, one connection a time, as the user may then do anything to the list. Whether writes are under
 * way. */
static bool transport_expire_writes(struct transport *transport) {
    bool writing = false;
    for (struct list *at = transport->peers.next; at != &transport->peers; at = at->next) {
        struct peer *peer = list_entry(at, struct peer, node);
        for (size_t i = 0; i < TRANSPORT_LANES; i++) {
            struct route *route = &peer->routes[i];
            if (!route->outgoing || !outgoing_is_writing(route->outgoing))
                continue;
            writing = true;
            if (outgoing_is_stalled(route->outgoing)) {
                dial_failed(route, "the peer takes no data");
                return true;
            }
        }
    }
    return writing;
}

static void transport_on_watch(uv_timer_t *timer) {
    struct transport *transport = timer->data;
    bool handshakes = incoming_expire(transport);
    bool writes = transport_expire_writes(transport);
    if ((handshakes || writes) && !transport->closing)
        transport_watch(transport);
}

void transport_watch(struct transport *transport) {
    const struct transport_options *options = &transport->options;
    uint64_t shorter_ms = options->handshake_ms < options->stall_ms ? options->handshake_ms : options->stall_ms;
    uint64_t period_ms = shorter_ms / TRANSPORT_WATCH_FRACTION + 1;
    if (period_ms > TRANSPORT_WATCH_MS_MAX)
        period_ms = TRANSPORT_WATCH_MS_MAX;
    if (!uv_is_active((const uv_handle_t *)&transport->watch))
        (void)uv_timer_start(&transport->watch, transport_on_watch, period_ms, 0);
}

/* ---- Once per turn of the loop ------------------------------------------------------------------ */

void transport_flush(struct transport *transport) {
    struct list *node;
    while ((node = list_pop(&transport->dirty)))
        outgoing_flush(node);
    (void)uv_idle_stop(&transport->idle);
}

static void transport_on_prepare(uv_prepare_t *prepare) {
    transport_flush(prepare->data);
}

static void transport_on_idle(uv_idle_t *idle) {
    (void)idle;
}

/* Packets queued by another prepare handle, after ours ran, would wait until the loop wakes up; hence the idle handle. */
void transport_dirty(struct transport *transport, struct list *node) {
    if (!list_empty(node))
        return;
    list_push(&transport->dirty, node);
    (void)uv_idle_start(&transport->idle, transport_on_idle);
}

void transport_counters(const struct transport *transport, struct transport_counters *counters) {
    *counters = transport->counters;
}

/* ---- Opening and closing ------------------------------------------------------------------------ */

static uint64_t transport_default(uint64_t given, uint64_t otherwise) {
    return given ? given : otherwise;
}

static void transport_set_options(struct transport *transport, const struct transport_options *given) {
    struct transport_options *options = &transport->options;
    *options = *given;
    options->listen_host = NULL;
    options->features = given->features | PACKET_FEATURES;
    options->packet_bytes_max = transport_default(given->packet_bytes_max, (uint64_t)320 << 20);
    options->queue_bytes_max = transport_default(given->queue_bytes_max, (uint64_t)64 << 20);
    options->queue_packets_max = (uint32_t)transport_default(given->queue_packets_max, 4096);
    options->reconnect_ms_min = transport_default(given->reconnect_ms_min, 20);
    options->reconnect_ms_max = transport_default(given->reconnect_ms_max, 1000);
    options->handshake_ms = transport_default(given->handshake_ms, 3000);
    options->stall_ms = transport_default(given->stall_ms, 10000);
}

static int transport_check_options(const struct transport_options *options) {
    if (!options->loop || options->node_id == 0 || !options->listen_host || !*options->listen_host ||
        !options->received)
        return LASH_INVALID;
    if (options->packet_bytes_max > SIZE_MAX / 2)
        return LASH_INVALID;
    if (options->reconnect_ms_max && options->reconnect_ms_min > options->reconnect_ms_max)
        return LASH_INVALID;
    return LASH_OK;
}

/* None of these can fail. */
static void transport_open_handles(struct transport *transport) {
    uv_loop_t *loop = transport->options.loop;
    int error = uv_prepare_init(loop, &transport->prepare);
    error |= uv_idle_init(loop, &transport->idle);
    error |= uv_timer_init(loop, &transport->watch);
    error |= uv_timer_init(loop, &transport->reopen);
    error |= uv_timer_init(loop, &transport->probe);
    error |= uv_prepare_start(&transport->prepare, transport_on_prepare);
    LASH_ASSERT(error == 0);
    uv_handle_t *const handles[] = {(uv_handle_t *)&transport->prepare, (uv_handle_t *)&transport->idle,
                                    (uv_handle_t *)&transport->watch, (uv_handle_t *)&transport->reopen,
                                    (uv_handle_t *)&transport->probe};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        handles[i]->data = transport;
        transport_handle_opened(transport);
    }
}

static int transport_listen(struct transport *transport, const struct transport_options *options) {
    int error = listener_resolve(options->listen_host, options->listen_port, &transport->listen_address);
    if (error)
        return error;
    error = listener_open(transport);
    if (error && error != LASH_NOMEM)
        log_error("cannot listen for peers; check the address, and that no other process uses it",
                  F_STR("host", options->listen_host), F_U64("port", options->listen_port),
                  F_STR("reason", strerror(errno)));
    return error;
}

int transport_open(const struct transport_options *options, struct transport **transport) {
    int error = transport_check_options(options);
    if (error)
        return error;
    struct transport *opened = mem_calloc(1, sizeof *opened);
    if (!opened)
        return LASH_NOMEM;
    transport_set_options(opened, options);
    opened->random = options->seed ^ options->node_id;
    list_init(&opened->peers);
    list_init(&opened->handshakes);
    list_init(&opened->dirty);
    error = transport_listen(opened, options);
    if (error) {
        mem_free(opened);
        return error;
    }
    transport_open_handles(opened);
    probe_start(opened);
    *transport = opened;
    return LASH_OK;
}

uint16_t transport_port(const struct transport *transport) {
    return address_port(&transport->listen_address);
}

void transport_close(struct transport *transport, void (*closed)(void *context), void *context) {
    LASH_ASSERT(!transport->closing);
    transport->closing = true;
    transport->closed = closed;
    transport->closed_context = context;
    listener_close(transport);
    incoming_close_handshakes(transport);
    while (!list_empty(&transport->peers))
        peer_drop(list_entry(transport->peers.next, struct peer, node));
    uv_close((uv_handle_t *)&transport->prepare, transport_on_close);
    uv_close((uv_handle_t *)&transport->idle, transport_on_close);
    uv_close((uv_handle_t *)&transport->watch, transport_on_close);
    uv_close((uv_handle_t *)&transport->reopen, transport_on_close);
    uv_close((uv_handle_t *)&transport->probe, transport_on_close);
}
