/* SPDX-License-Identifier: Apache-2.0
 *
 * The server: its options, its listeners, its life. See server.h.
 */
#include "api/server.h"

#include "api/loop.h"
#include "base/assert.h"
#include "base/buf.h"

enum { SERVER_BACKLOG = 1024, SERVER_OPS_MAX = 128, SERVER_REQUEST_BYTES_MAX = 3 * 512 * 1024 };
enum { SERVER_LEARNERS_MAX = 1 };
enum { SERVER_BUFFERED_MAX = 256 * 1024 * 1024, SERVER_CONNECTIONS_MAX = 8192 };

struct server {
    struct server_options options;
    struct loop loop;
};

static void server_connected(uv_stream_t *listener, int status) {
    struct loop *loop = listener->data;
    if (status == 0)
        loop_accept(loop, (size_t)((uv_tcp_t *)listener - loop->listeners));
}

static int server_error(int status) {
    static const struct {
        int status;
        int error;
    } errors[] = {{UV_EADDRINUSE, LASH_BUSY}, {UV_EADDRNOTAVAIL, LASH_INVALID}, {UV_EINVAL, LASH_INVALID}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].status == status)
            return errors[i].error;
    return status ? LASH_IO : LASH_OK;
}

static int server_listen(struct loop *loop, const struct server_address *address) {
    struct sockaddr_storage storage;
    struct sockaddr *numeric = (struct sockaddr *)&storage;
    if (loop->listener_count == LOOP_LISTENERS_MAX)
        return LASH_INVALID;
    if (uv_ip4_addr(address->host, address->port, (struct sockaddr_in *)numeric) &&
        uv_ip6_addr(address->host, address->port, (struct sockaddr_in6 *)numeric))
        return LASH_INVALID;
    uv_tcp_t *listener = &loop->listeners[loop->listener_count++];
    uv_tcp_init(&loop->uv, listener);
    listener->data = loop;
    int status = uv_tcp_bind(listener, numeric, 0);
    if (!status)
        status = uv_listen((uv_stream_t *)listener, SERVER_BACKLOG, server_connected);
    return server_error(status);
}

static void server_defaults(struct server_options *options) {
    if (!options->ops_max)
        options->ops_max = SERVER_OPS_MAX;
    if (!options->request_bytes_max)
        options->request_bytes_max = SERVER_REQUEST_BYTES_MAX;
    if (!options->learners_max)
        options->learners_max = SERVER_LEARNERS_MAX;
    if (!options->buffered_max)
        options->buffered_max = SERVER_BUFFERED_MAX;
    if (!options->connections_max)
        options->connections_max = SERVER_CONNECTIONS_MAX;
}

int server_open(const struct server_options *options, struct server **server, const struct server_address **failed) {
    *failed = NULL;
    struct server *made = mem_calloc(1, sizeof *made);
    if (!made)
        return LASH_NOMEM;
    made->options = *options;
    server_defaults(&made->options);
    int error = loop_open(&made->loop, &made->options);
    if (error) {
        mem_free(made);
        return error;
    }
    for (size_t i = 0; i < options->address_count && !error; i++) {
        error = server_listen(&made->loop, &options->addresses[i]);
        *failed = error ? &options->addresses[i] : NULL;
    }
    if (error)
        server_close(made);
    else
        *server = made;
    return error;
}

uint16_t server_port(const struct server *server, size_t address) {
    struct sockaddr_storage storage;
    int length = sizeof storage;
    LASH_ASSERT(address < server->loop.listener_count);
    if (uv_tcp_getsockname(&server->loop.listeners[address], (struct sockaddr *)&storage, &length))
        return 0;
    const struct sockaddr_in *v4 = (const void *)&storage;
    const struct sockaddr_in6 *v6 = (const void *)&storage;
    return ntohs(storage.ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port);
}

int server_start(struct server *server, lash_node *node) {
    return loop_start(&server->loop, node);
}

void server_observe(struct server *server, const struct lash_observation *observation) {
    loop_observe(&server->loop, observation);
}

void server_drain(struct server *server, uint64_t timeout_ms) {
    loop_drain(&server->loop, timeout_ms);
}

void server_close(struct server *server) {
    if (!server)
        return;
    loop_close(&server->loop);
    mem_free(server);
}
