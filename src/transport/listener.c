/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening socket. When accepting fails (no descriptors, no memory) libuv
 * would try again at once and for ever, so the socket is closed and opened again a
 * little later; peers dial again by themselves and connections that exist do
 * not notice.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/logger.h"
#include "transport/internal.h"

#define LISTENER_BACKLOG 128
#define LISTENER_REOPEN_MS 200

struct listener {
    uv_tcp_t tcp;
    struct transport *transport; /* NULL when opening failed, before the transport counted it */
};

/* Resolve what the operator gave; blocks, and so only runs while opening. Errors: LASH_INVALID. */
int listener_resolve(const char *host, uint16_t port, struct sockaddr_storage *address) {
    if (address_from_numbers(host, port, address))
        return LASH_OK;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, NULL, &hints, &found);
    if (error || !found) {
        log_error("cannot resolve the peer listen address; check its host name", F_STR("host", host),
                  F_STR("reason", error ? gai_strerror(error) : "no address"));
        return LASH_INVALID;
    }
    address_copy(found->ai_addr, port, address);
    freeaddrinfo(found);
    return LASH_OK;
}

/* A bound socket that listens, or a negative lash_error with errno set. The bound port goes into `address`. */
static int listener_socket(struct sockaddr_storage *address) {
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno == ENOMEM || errno == ENOBUFS ? LASH_NOMEM : LASH_IO;
    const int on = 1;
    socklen_t size = sizeof *address;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)address, address_size(address)) == 0 && listen(fd, LISTENER_BACKLOG) == 0 &&
        getsockname(fd, (struct sockaddr *)address, &size) == 0)
        return fd;
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return reason == EADDRINUSE ? LASH_BUSY : LASH_IO;
}

static void listener_on_close(uv_handle_t *handle) {
    struct listener *listener = handle->data;
    struct transport *transport = listener->transport;
    mem_free(listener);
    if (transport)
        transport_handle_closed(transport);
}

static void listener_give_up(struct transport *transport, const char *reason) {
    if (transport_notice(transport, NOTICE_ACCEPT, 0))
        log_error("cannot accept connections from peers for a moment; if this persists, raise the limit of open files",
                  F_STR("reason", reason), F_U64("retry_ms", LISTENER_REOPEN_MS));
    listener_close(transport);
    (void)uv_timer_start(&transport->reopen, listener_reopen, LISTENER_REOPEN_MS, 0);
}

static void listener_on_connection(uv_stream_t *server, int status) {
    struct listener *listener = server->data;
    struct transport *transport = listener->transport;
    if (transport->listener != listener)
        return;
    if (status == 0)
        status = incoming_accept(transport, server);
    if (status < 0)
        listener_give_up(transport, uv_strerror(status));
}

/* Errors: LASH_NOMEM, LASH_BUSY, LASH_IO, with errno set. */
int listener_open(struct transport *transport) {
    LASH_ASSERT(!transport->listener);
    struct sockaddr_storage address = transport->listen_address;
    struct listener *listener = mem_calloc(1, sizeof *listener);
    if (!listener) {
        errno = ENOMEM;
        return LASH_NOMEM;
    }
    int fd = listener_socket(&address);
    if (fd < 0) {
        mem_free(listener);
        return fd;
    }
    int error = uv_tcp_init(transport->options.loop, &listener->tcp);
    LASH_ASSERT(error == 0);
    listener->tcp.data = listener;
    error = uv_tcp_open(&listener->tcp, fd);
    if (error)
        (void)close(fd);
    else
        error = uv_listen((uv_stream_t *)&listener->tcp, LISTENER_BACKLOG, listener_on_connection);
    if (error) {
        errno = -error;
        uv_close((uv_handle_t *)&listener->tcp, listener_on_close);
        return LASH_IO;
    }
    listener->transport = transport;
    transport->listen_address = address;
    transport->listener = listener;
    transport_handle_opened(transport);
    return LASH_OK;
}

void listener_close(struct transport *transport) {
    if (!transport->listener)
        return;
    uv_close((uv_handle_t *)&transport->listener->tcp, listener_on_close);
    transport->listener = NULL;
}

void listener_reopen(uv_timer_t *timer) {
    struct transport *transport = timer->data;
    if (listener_open(transport) != LASH_OK)
        listener_give_up(transport, strerror(errno));
}
