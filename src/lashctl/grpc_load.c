/* SPDX-License-Identifier: Apache-2.0
 *
 * The load generator's loop: epoll tells which connection has answers; a channel takes
 * them apart; each answered client asks again at once, and what the clients of a
 * connection ask leaves in one send.
 */
#include "lashctl/grpc_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lashctl/clock.h"
#include "lashctl/grpc_channel.h"
#include "lashctl/grpc_client.h"
#include "lashctl/grpc_header.h"
#include "lashctl/grpc_socket.h"

#define LOAD_READ_BYTES (256 << 10)

enum {
    LOAD_CONNECT_MS = 5000,
    LOAD_PATIENCE_MS = 30000, /* for the last answers */
    LOAD_TICK_MS = 100,
    LOAD_EVENTS = 64,
    LOAD_HEADERS = 7,
};

/* A client, and its call. */
struct load_client {
    struct load_connection *connection;
    struct grpc_channel_call call;
    uint64_t began;
    uint8_t *request; /* of the work's request_max bytes */
    size_t response_size;
    int status; /* grpc-status; -1: none yet */
};

struct load_connection {
    struct grpc_load *load;
    int fd;
    bool broken;
    bool watched_for_room; /* epoll tells when it can be written to */
    const char *trouble;   /* why it is broken */
    struct grpc_channel *channel;
    struct grpc_address address;
    nghttp2_nv headers[LOAD_HEADERS];
};

struct grpc_load {
    struct load_connection *connections;
    size_t connection_count;
    struct load_client *clients;
    size_t client_count;
    size_t active; /* clients with a call outstanding */
    int epoll;
    uint8_t *in; /* LOAD_READ_BYTES */
    /* of the run */
    const struct grpc_work *work;
    struct grpc_load_result *result;
    uint8_t *requests; /* all clients' */
    bool measuring;
    bool stopping;
};

/* ---- Calls ------------------------------------------------------------------------------------------- */

static void connection_break(struct load_connection *connection, const char *why) {
    if (!connection->broken)
        connection->trouble = why;
    connection->broken = true;
}

/* The client's next call, unless there are no more. */
static void client_begin(struct load_client *client) {
    struct load_connection *connection = client->connection;
    struct grpc_load *load = connection->load;
    size_t size = load->stopping ? 0 : load->work->next(load->work->context, client->request);
    if (size == 0)
        return;
    LASH_ASSERT(size <= load->work->request_max);
    client->response_size = 0;
    client->status = -1;
    client->began = clock_ns();
    grpc_channel_begin(connection->channel, &client->call, client->request, size);
    load->active++;
}

static void client_failed(struct grpc_load_result *result, const char *why) {
    if (result->failures++ == 0 && !result->failure[0])
        (void)snprintf(result->failure, sizeof result->failure, "%s", why);
}

static struct load_client *client_of(struct grpc_channel_call *call) {
    return list_entry(call, struct load_client, call);
}

static void on_end(void *context, struct grpc_channel_call *call, uint32_t error) {
    struct load_connection *connection = context;
    struct grpc_load *load = connection->load;
    struct load_client *client = client_of(call);
    load->active--;
    if (error != 0 || client->status < 0)
        client_failed(load->result, "a call ended without a status");
    else if (client->status > 0)
        client_failed(load->result, "a call ended with an error that has no text");
    else if (client->response_size < load->work->response_min)
        client_failed(load->result, "an answer lacks what it should hold");
    else if (load->measuring) {
        load->result->operations++;
        histogram_add(&load->result->latency, clock_ns() - client->began);
    }
    client_begin(client);
}

static void on_header(void *context, struct grpc_channel_call *call, const nghttp2_nv *header) {
    const struct load_connection *connection = context;
    char *failure = connection->load->result->failure;
    if (grpc_header_is(header->name, header->namelen, "grpc-status"))
        client_of(call)->status = grpc_header_number(header->value, header->valuelen);
    else if (header->valuelen > 0 && !failure[0] && grpc_header_is(header->name, header->namelen, "grpc-message"))
        grpc_header_text(header->value, header->valuelen, failure, sizeof connection->load->result->failure);
}

static void on_data(void *context, struct grpc_channel_call *call, size_t size) {
    (void)context;
    client_of(call)->response_size += size;
}

/* ---- Moving bytes ------------------------------------------------------------------------------------ */

/* Have epoll tell when there is room to write, or no more. */
static void connection_watch(struct load_connection *connection, bool room) {
    if (connection->watched_for_room == room)
        return;
    connection->watched_for_room = room;
    struct epoll_event event = {.events = room ? EPOLLIN | EPOLLOUT : EPOLLIN, .data = {.ptr = connection}};
    if (epoll_ctl(connection->load->epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0)
        connection_break(connection, strerror(errno));
}

/* Send all that the channel has to say, and there is room for. */
static void connection_flush(struct load_connection *connection) {
    const uint8_t *data;
    size_t size;
    while (!connection->broken && (size = grpc_channel_output(connection->channel, &data)) > 0) {
        ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            grpc_channel_sent(connection->channel, (size_t)sent);
        } else if (errno == EAGAIN) {
            connection_watch(connection, true);
            return;
        } else if (errno != EINTR) {
            connection_break(connection, strerror(errno));
        }
    }
    if (grpc_channel_trouble(connection->channel))
        connection_break(connection, grpc_channel_trouble(connection->channel));
    else if (!connection->broken)
        connection_watch(connection, false);
}

static void connection_receive(struct load_connection *connection) {
    uint8_t *data = connection->load->in;
    ssize_t size = recv(connection->fd, data, LOAD_READ_BYTES, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    const char *trouble = "the server closed the connection";
    if (size > 0)
        trouble = grpc_channel_receive(connection->channel, data, (size_t)size);
    else if (size < 0)
        trouble = strerror(errno);
    if (trouble)
        connection_break(connection, trouble);
}

/* Wait for answers and deal with them. */
static void load_turn(struct grpc_load *load, int timeout_ms) {
    struct epoll_event events[LOAD_EVENTS];
    int count = epoll_wait(load->epoll, events, LOAD_EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct load_connection *connection = events[i].data.ptr;
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            connection_receive(connection);
        connection_flush(connection);
    }
}

/* ---- Runs -------------------------------------------------------------------------------------------- */

static bool load_whole(const struct grpc_load *load, char *problem, size_t problem_size) {
    for (size_t i = 0; i < load->connection_count; i++) {
        const struct load_connection *connection = &load->connections[i];
        if (connection->broken) {
            (void)snprintf(problem, problem_size, "%s: %s", connection->address.authority, connection->trouble);
            return false;
        }
    }
    return true;
}

/* Turn until `deadline` or until no call is outstanding. Returns false when the run is to end. */
static bool load_until(struct grpc_load *load, const struct grpc_load_plan *plan, uint64_t since, uint64_t deadline,
                       char *problem, size_t problem_size) {
    uint64_t next_tick = since;
    while (load->active > 0) {
        uint64_t now = clock_ns();
        if (now >= deadline)
            break;
        if (load->measuring && plan->tick && now >= next_tick) {
            next_tick = now + (uint64_t)LOAD_TICK_MS * 1000000;
            if (!plan->tick(plan->context, load->result, (double)(now - since) / 1e9))
                return false;
        }
        uint64_t left_ms = clock_ms_left(deadline);
        load_turn(load, left_ms < LOAD_TICK_MS ? (int)left_ms : LOAD_TICK_MS);
        if (!load_whole(load, problem, problem_size))
            return false;
    }
    return true;
}

static uint64_t seconds_after(uint64_t since, double seconds) {
    return seconds > 0 ? since + (uint64_t)(seconds * 1e9) : UINT64_MAX;
}

static bool load_phases(struct grpc_load *load, const struct grpc_load_plan *plan, char *problem, size_t problem_size) {
    uint64_t now = clock_ns();
    for (size_t i = 0; i < load->client_count; i++)
        client_begin(&load->clients[i]);
    for (size_t i = 0; i < load->connection_count; i++)
        connection_flush(&load->connections[i]);
    if (plan->warm_up_seconds > 0 &&
        !load_until(load, plan, now, seconds_after(now, plan->warm_up_seconds), problem, problem_size))
        return false;
    load->measuring = true;
    now = clock_ns();
    bool well = load_until(load, plan, now, seconds_after(now, plan->seconds), problem, problem_size);
    load->result->measured_ns = clock_ns() - now;
    load->measuring = false;
    load->stopping = true;
    if (!well)
        return false;
    if (!load_until(load, plan, now, clock_after_ms(LOAD_PATIENCE_MS), problem, problem_size))
        return false;
    if (load->active > 0)
        (void)snprintf(problem, problem_size, "%zu calls were not answered", load->active);
    return load->active == 0;
}

bool grpc_load_run(struct grpc_load *load, const struct grpc_work *work, const struct grpc_load_plan *plan,
                   struct grpc_load_result *result, char *problem, size_t problem_size) {
    LASH_ASSERT(load->active == 0 && work->request_max > 0);
    memset(result, 0, sizeof *result);
    problem[0] = '\0';
    load->requests = mem_alloc(load->client_count * work->request_max);
    if (!load->requests) {
        (void)snprintf(problem, problem_size, "out of memory");
        return false;
    }
    load->work = work;
    load->result = result;
    load->stopping = false;
    for (size_t i = 0; i < load->client_count; i++)
        load->clients[i].request = load->requests + i * work->request_max;
    for (size_t i = 0; i < load->connection_count; i++) {
        struct load_connection *connection = &load->connections[i];
        connection->headers[0] = grpc_header(":path", work->path);
        grpc_channel_headers(connection->channel, connection->headers, LOAD_HEADERS);
    }
    bool well = load_phases(load, plan, problem, problem_size);
    if (well) { /* otherwise the channels may still hold them */
        mem_free(load->requests);
        load->requests = NULL;
    }
    return well;
}

/* ---- Connecting -------------------------------------------------------------------------------------- */

static const struct grpc_channel_events connection_events = {.header = on_header, .data = on_data, .end = on_end};

/* Returns NULL, or what is wrong. */
static const char *connection_open(struct grpc_load *load, struct load_connection *connection, const char *endpoint) {
    connection->load = load;
    connection->fd = -1;
    const char *wrong = grpc_address_parse(endpoint, &connection->address);
    if (wrong)
        return wrong;
    connection->fd = grpc_socket_connect(&connection->address, clock_after_ms(LOAD_CONNECT_MS), &wrong);
    if (connection->fd < 0)
        return wrong;
    const char *const pairs[LOAD_HEADERS][2] = {{":path", ""},
                                                {":method", "POST"},
                                                {":scheme", "http"},
                                                {":authority", connection->address.authority},
                                                {"content-type", "application/grpc"},
                                                {"user-agent", "lash"},
                                                {"te", "trailers"}};
    for (size_t i = 0; i < LOAD_HEADERS; i++)
        connection->headers[i] = grpc_header(pairs[i][0], pairs[i][1]);
    connection->channel = grpc_channel_new(&connection_events, connection);
    if (!connection->channel)
        return "out of memory";
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection}};
    return epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0 ? NULL : strerror(errno);
}

static struct grpc_load *load_new(size_t connections, size_t clients) {
    struct grpc_load *load = mem_calloc(1, sizeof *load);
    if (!load)
        return NULL;
    load->connections = mem_calloc(connections, sizeof *load->connections);
    load->clients = mem_calloc(clients, sizeof *load->clients);
    load->in = mem_alloc(LOAD_READ_BYTES);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->client_count = clients;
    if (load->connections && load->clients && load->in && load->epoll >= 0)
        return load;
    grpc_load_close(load);
    return NULL;
}

struct grpc_load *grpc_load_open(const char *const *endpoints, size_t endpoint_count, size_t connections,
                                 size_t clients, char *problem, size_t problem_size) {
    LASH_ASSERT(endpoint_count > 0 && connections > 0 && clients > 0);
    connections = connections < clients ? connections : clients;
    struct grpc_load *load = load_new(connections, clients);
    if (!load) {
        (void)snprintf(problem, problem_size, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < connections; i++) {
        const char *endpoint = endpoints[i % endpoint_count];
        load->connection_count++;
        const char *wrong = connection_open(load, &load->connections[i], endpoint);
        if (wrong) {
            (void)snprintf(problem, problem_size, "cannot connect to %s: %s", endpoint, wrong);
            grpc_load_close(load);
            return NULL;
        }
    }
    for (size_t i = 0; i < clients; i++)
        load->clients[i].connection = &load->connections[i % connections];
    return load;
}

void grpc_load_close(struct grpc_load *load) {
    if (!load)
        return;
    LASH_ASSERT(load->connections || load->connection_count == 0);
    for (size_t i = 0; i < load->connection_count; i++) {
        struct load_connection *connection = &load->connections[i];
        grpc_channel_free(connection->channel);
        if (connection->fd >= 0)
            (void)close(connection->fd);
    }
    if (load->epoll >= 0)
        (void)close(load->epoll);
    mem_free(load->connections);
    mem_free(load->clients);
    mem_free(load->in);
    mem_free(load->requests);
    mem_free(load);
}
