/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection: see connection.h.
 */
#include "api/connection.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "api/http1.h"
#include "api/http2.h"
#include "base/assert.h"
#include "base/buf.h"

/* A write under way, with the copy of its bytes. */
struct connection_write {
    uv_write_t request;
    struct connection *connection;
    size_t size;
    uint8_t data[];
};

static void connection_name(struct connection *connection) {
    struct sockaddr_storage address;
    int length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address, &length) == 0) {
        const struct sockaddr_in *v4 = (const void *)&address;
        const struct sockaddr_in6 *v6 = (const void *)&address;
        bool is_v6 = address.ss_family == AF_INET6;
        port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
        if (is_v6)
            uv_ip6_name(v6, host, sizeof host);
        else
            uv_ip4_name(v4, host, sizeof host);
    }
    snprintf(connection->client, sizeof connection->client, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* ---- The end ----------------------------------------------------------------------------------- */

static void connection_closed(uv_handle_t *handle) {
    mem_free(handle->data);
}

void connection_close(struct connection *connection, const char *reason) {
    if (connection->closed)
        return;
    connection->closed = true;
    if (reason)
        loop_log_client(connection->loop, "closed a client's connection", connection->client, reason);
    if (connection->protocol)
        connection->protocol->close(connection);
    list_remove(&connection->in_loop);
    list_remove(&connection->in_dirty);
    connection->loop->connection_count--;
    uv_close((uv_handle_t *)&connection->tcp, connection_closed);
}

static void connection_shut(uv_shutdown_t *shutdown, int status) {
    struct connection *connection = shutdown->data;
    if (status < 0 && !connection->closed)
        connection_close(connection, NULL);
}

void connection_end(struct connection *connection) {
    if (connection->ending)
        return;
    connection->ending = true;
    connection->deadline_ms = uv_now(&connection->loop->uv) + CONNECTION_LINGER_MS;
    connection_dirty(connection);
}

/* ---- Output ------------------------------------------------------------------------------------ */

void connection_dirty(struct connection *connection) {
    if (!connection->closed && list_empty(&connection->in_dirty))
        list_push(&connection->loop->dirty, &connection->in_dirty);
}

bool connection_wants(const struct connection *connection) {
    return connection->writing < CONNECTION_WRITE_MAX;
}

static void connection_written(uv_write_t *request, int status) {
    struct connection_write *write = list_entry(request, struct connection_write, request);
    struct connection *connection = write->connection;
    connection->writing -= write->size;
    mem_free(write);
    if (connection->closed)
        return;
    if (status < 0)
        connection_close(connection, NULL); /* the client has gone */
    else
        connection_dirty(connection);
}

bool connection_write(struct connection *connection, const uint8_t *data, size_t size) {
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    if (connection->writing == 0) {
        union {
            const uint8_t *constant;
            char *plain;
        } bytes = {.constant = data}; /* libuv does not write through it */
        uv_buf_t buf = uv_buf_init(bytes.plain, (unsigned)size);
        int sent = uv_try_write(stream, &buf, 1);
        if (sent < 0 && sent != UV_EAGAIN)
            return false;
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
    }
    if (size == 0)
        return true;
    struct connection_write *write = mem_alloc(sizeof *write + size);
    if (!write)
        return false;
    write->connection = connection;
    write->size = size;
    memcpy(write->data, data, size);
    uv_buf_t buf = uv_buf_init((char *)write->data, (unsigned)size);
    if (uv_write(&write->request, stream, &buf, 1, connection_written)) {
        mem_free(write);
        return false;
    }
    if (connection->writing == 0)
        connection->stalled_since = uv_now(&connection->loop->uv);
    connection->writing += size;
    return true;
}

void connection_flush(struct connection *connection) {
    if (connection->protocol && !connection->shut) {
        const char *trouble = connection->protocol->flush(connection);
        if (trouble) {
            connection_close(connection, trouble);
            return;
        }
    }
    if (connection->ending && !connection->shut && connection->writing == 0) {
        connection->shut = true;
        connection->shutdown.data = connection;
        if (uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, connection_shut))
            connection_close(connection, NULL);
    }
}

void connection_drain(struct connection *connection) {
    if (connection->protocol)
        connection->protocol->drain(connection);
    else
        connection_close(connection, NULL);
}

void connection_sweep(struct connection *connection, uint64_t now_ms) {
    if (connection->deadline_ms && now_ms >= connection->deadline_ms) {
        connection_close(connection, connection->ending || connection->protocol ? NULL : "said nothing in time");
        return;
    }
    size_t queue = uv_stream_get_write_queue_size((uv_stream_t *)&connection->tcp);
    if (queue == 0 || queue != connection->stalled_at)
        connection->stalled_since = now_ms;
    else if (now_ms - connection->stalled_since >= CONNECTION_STALL_MS)
        connection_close(connection, "does not take what it asked for");
    connection->stalled_at = queue;
}

/* ---- Input ------------------------------------------------------------------------------------- */

static const char *connection_receive(struct connection *connection, const uint8_t *data, size_t size) {
    if (connection->ending)
        return NULL;
    if (connection->protocol)
        return connection->protocol->receive(connection, data, size);
    while (size > 0 && connection->preface_size < CONNECTION_PREFACE_SIZE) {
        connection->preface[connection->preface_size++] = *data++;
        size--;
    }
    bool http2 = memcmp(connection->preface, "PRI", connection->preface_size) == 0;
    if (http2 && connection->preface_size < CONNECTION_PREFACE_SIZE)
        return NULL;
    const char *trouble = http2 ? http2_open(connection) : http1_open(connection);
    if (!trouble)
        trouble = connection->protocol->receive(connection, connection->preface, connection->preface_size);
    if (!trouble && size > 0 && !connection->ending)
        trouble = connection->protocol->receive(connection, data, size);
    return trouble;
}

static void connection_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct connection *connection = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)connection->loop->input, LOOP_INPUT_SIZE);
}

static void connection_input(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf) {
    struct connection *connection = stream->data;
    if (size < 0) {
        connection_close(connection, NULL);
        return;
    }
    const char *trouble = connection_receive(connection, (const uint8_t *)buf->base, (size_t)size);
    if (trouble)
        connection_close(connection, trouble);
    else
        connection_dirty(connection);
}

/* ---- The beginning ----------------------------------------------------------------------------- */

static void connection_start(struct loop *loop, struct connection *connection) {
    connection->loop = loop;
    list_init(&connection->in_dirty);
    list_init(&connection->in_loop);
    list_push(&loop->connections, &connection->in_loop);
    loop->connection_count++;
    connection->deadline_ms = uv_now(&loop->uv) + CONNECTION_FIRST_MS;
    uv_tcp_nodelay(&connection->tcp, 1);
    uv_tcp_keepalive(&connection->tcp, 1, CONNECTION_KEEPALIVE_S);
    if (uv_read_start((uv_stream_t *)&connection->tcp, connection_room, connection_input))
        connection_close(connection, NULL);
}

bool connection_accept(struct loop *loop, uv_stream_t *listener) {
    struct connection *connection = mem_calloc(1, sizeof *connection);
    if (!connection)
        return false;
    uv_tcp_init(&loop->uv, &connection->tcp);
    connection->tcp.data = connection;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp)) {
        uv_close((uv_handle_t *)&connection->tcp, connection_closed);
        return true;
    }
    connection_name(connection);
    if (loop->connection_count < loop->options->connections_max) {
        connection_start(loop, connection);
    } else {
        loop_log_client(loop, "turned a client away", connection->client, "too many connections");
        uv_close((uv_handle_t *)&connection->tcp, connection_closed);
    }
    return true;
}
