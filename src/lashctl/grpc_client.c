/* SPDX-License-Identifier: Apache-2.0
 *
 * A small gRPC client on nghttp2; see grpc_client.h. nghttp2 keeps the protocol's
 * state; the socket is non-blocking and driven by poll until a call's deadline.
 */
#include "lashctl/grpc_client.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lashctl/clock.h"
#include "lashctl/grpc_header.h"
#include "lashctl/grpc_session.h"
#include "lashctl/grpc_socket.h"

#define RESPONSE_BYTES_MAX (1u << 30)
#define READ_BYTES (64 << 10)

/* The call under way. */
struct call {
    int32_t stream;        /* 0: none */
    uint8_t *body;         /* prefix and message */
    size_t body_size;      /* of it */
    size_t body_at;        /* handed to nghttp2 */
    uint8_t *data;         /* what has come */
    size_t size, capacity; /* of data */
    int http_status;       /* 0: no header yet */
    int grpc_status;       /* -1: none yet */
    bool closed;           /* the stream is over */
    bool refused;          /* the server says that it did nothing */
    bool too_large;        /* the response goes beyond what is accepted, or memory ran out */
    bool heard;            /* something has come */
    char message[512];     /* percent-decoded grpc-message */

    /* A stream of answers. */
    grpc_take_fn take; /* NULL: there is one answer */
    void *context;
    const ProtobufCMessageDescriptor *type;
    bool given_up; /* `take` does not want any more */
    bool spoilt;   /* what came is no message */
};

struct grpc_client {
    int fd;
    nghttp2_session *session;
    struct grpc_address address;
    bool settings_received;
    bool broken;       /* the connection is of no further use */
    bool going_away;   /* no new streams */
    char trouble[128]; /* why it is broken */
    struct call call;
    const char *read_as; /* NULL: not said */
};

static void status_set(struct grpc_status *status, int code, bool sent, const char *message) {
    status->code = code;
    status->sent = sent;
    (void)snprintf(status->message, sizeof status->message, "%s", message);
}

static void client_break(struct grpc_client *client, const char *why) {
    if (!client->broken)
        (void)snprintf(client->trouble, sizeof client->trouble, "%s", why);
    client->broken = true;
}

/* ---- Messages -------------------------------------------------------------------------------------- */

static void *proto_alloc(void *context, size_t size) {
    (void)context;
    return mem_alloc(size);
}

static void proto_free(void *context, void *memory) {
    (void)context;
    mem_free(memory);
}

static ProtobufCAllocator allocator = {.alloc = proto_alloc, .free = proto_free, .allocator_data = NULL};

void grpc_message_free(ProtobufCMessage *message) {
    if (message)
        protobuf_c_message_free_unpacked(message, &allocator);
}

/* ---- What nghttp2 reports ------------------------------------------------------------------------ */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *context) {
    (void)session, (void)flags;
    struct grpc_client *client = context;
    struct call *call = &client->call;
    if (frame->hd.stream_id != call->stream)
        return 0;
    if (grpc_header_is(name, name_size, ":status"))
        call->http_status = grpc_header_number(value, value_size);
    else if (grpc_header_is(name, name_size, "grpc-status"))
        call->grpc_status = grpc_header_number(value, value_size);
    else if (grpc_header_is(name, name_size, "grpc-message"))
        grpc_header_text(value, value_size, call->message, sizeof call->message);
    return 0;
}

static bool call_reserve(struct call *call, size_t more) {
    if (call->capacity - call->size >= more)
        return true;
    if (call->size + more > RESPONSE_BYTES_MAX)
        return false;
    size_t capacity = call->capacity ? call->capacity * 2 : 4096;
    while (capacity < call->size + more)
        capacity *= 2;
    uint8_t *data = mem_realloc(call->data, capacity);
    if (!data)
        return false;
    call->data = data;
    call->capacity = capacity;
    return true;
}

/* The size of the message at `data`, of which `size` bytes are there: all of it with its prefix, or 0 when some is missing. */
static size_t message_size(const uint8_t *data, size_t size) {
    if (size < GRPC_PREFIX_BYTES)
        return 0;
    size_t message = (size_t)data[1] << 24 | (size_t)data[2] << 16 | (size_t)data[3] << 8 | data[4];
    return size - GRPC_PREFIX_BYTES < message ? 0 : GRPC_PREFIX_BYTES + message;
}

/* Hand over a message of a stream. False: no more are wanted. */
static bool call_take(struct call *call, const uint8_t *data, size_t size) {
    ProtobufCMessage *message =
        data[0] == 0
            ? protobuf_c_message_unpack(call->type, &allocator, size - GRPC_PREFIX_BYTES, data + GRPC_PREFIX_BYTES)
            : NULL;
    call->spoilt = !message;
    call->given_up = message && !call->take(call->context, message);
    grpc_message_free(message);
    return !call->spoilt && !call->given_up;
}

/* Hand over what is whole of what has come. False as above. */
static bool call_take_whole(struct call *call) {
    size_t at = 0;
    size_t size;
    while ((size = message_size(call->data + at, call->size - at)) > 0) {
        if (!call_take(call, call->data + at, size))
            return false;
        at += size;
    }
    call->size -= at;
    if (at > 0)
        memmove(call->data, call->data + at, call->size);
    return true;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t size,
                   void *context) {
    (void)flags;
    struct grpc_client *client = context;
    struct call *call = &client->call;
    call->heard = true;
    if (stream != call->stream || call->too_large || call->given_up || call->spoilt)
        return 0;
    if (!call_reserve(call, size)) {
        call->too_large = true;
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
        return 0;
    }
    memcpy(call->data + call->size, data, size);
    call->size += size;
    if (call->take && !call_take_whole(call))
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context) {
    (void)session;
    struct grpc_client *client = context;
    if (stream != client->call.stream)
        return 0;
    client->call.closed = client->call.heard = true;
    client->call.refused = error == NGHTTP2_REFUSED_STREAM;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)session;
    struct grpc_client *client = context;
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        client->settings_received = true;
        break;
    case NGHTTP2_GOAWAY:
        client->going_away = true;
        break;
    case NGHTTP2_PING:
        client->call.heard = true;
        break;
    default:
        break;
    }
    return 0;
}

static ssize_t on_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *context) {
    (void)session, (void)source;
    struct grpc_client *client = context;
    struct call *call = &client->call;
    if (stream != call->stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* a cancelled call's body is gone */
    size_t size = call->body_size - call->body_at;
    size = size < room ? size : room;
    memcpy(to, call->body + call->body_at, size);
    call->body_at += size;
    if (call->body_at == call->body_size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

/* ---- Moving bytes -------------------------------------------------------------------------------- */

/* Write `size` bytes whole. Returns false when the deadline passed or the connection broke in the midst of them. */
static bool client_write(struct grpc_client *client, const uint8_t *data, size_t size, uint64_t deadline) {
    while (size > 0) {
        ssize_t written = send(client->fd, data, size, MSG_NOSIGNAL);
        if (written >= 0) {
            data += written;
            size -= (size_t)written;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!grpc_socket_wait(client->fd, POLLOUT, deadline)) {
                /* Half a frame is out: the connection cannot be used again. */
                client_break(client, "the server does not read");
                return false;
            }
        } else if (errno != EINTR) {
            client_break(client, strerror(errno));
            return false;
        }
    }
    return true;
}

/* Send all that nghttp2 has to say. *wrote becomes true once any byte went out. */
static bool client_flush(struct grpc_client *client, uint64_t deadline, bool *wrote) {
    for (;;) {
        const uint8_t *data = NULL;
        ssize_t size = nghttp2_session_mem_send(client->session, &data);
        if (size < 0)
            client_break(client, nghttp2_strerror((int)size));
        else if (size == 0 && !nghttp2_session_want_read(client->session))
            client_break(client, "the HTTP/2 session ended"); /* by our own GOAWAY, after a protocol error of theirs */
        if (size <= 0)
            return size == 0;
        *wrote = true;
        if (!client_write(client, data, (size_t)size, deadline))
            return false;
    }
}

/* Read what is there, waiting for something until `deadline`. Returns false when the deadline passed. */
static bool client_read(struct grpc_client *client, uint64_t deadline) {
    uint8_t data[READ_BYTES];
    ssize_t size = recv(client->fd, data, sizeof data, 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return grpc_socket_wait(client->fd, POLLIN, deadline);
    if (size <= 0) {
        client_break(client, size == 0 ? "the server closed the connection" : strerror(errno));
        return true;
    }
    ssize_t taken = nghttp2_session_mem_recv(client->session, data, (size_t)size);
    if (taken < 0)
        client_break(client, "the HTTP/2 session ended");
    return true;
}

/* Exchange bytes until *done, the connection broke or `deadline` passed (then false). */
static bool client_run(struct grpc_client *client, const bool *done, uint64_t deadline, bool *wrote) {
    while (!*done && !client->broken) {
        if (!client_flush(client, deadline, wrote))
            return clock_ms_left(deadline) > 0;
        if (!*done && !client->broken && !client_read(client, deadline))
            return false;
    }
    return true;
}

/* ---- Connecting ---------------------------------------------------------------------------------- */

static const struct grpc_session_events client_events = {
    .header = on_header, .data = on_data, .close = on_stream_close, .frame = on_frame};

/* Say why connecting failed, naming the endpoint. */
static struct grpc_client *open_failed(struct grpc_client *client, const char *endpoint, int code, const char *why,
                                       struct grpc_status *status) {
    char text[sizeof status->message];
    (void)snprintf(text, sizeof text, "cannot connect to %s: %s", endpoint, why);
    status_set(status, code, false, text);
    grpc_client_close(client);
    return NULL;
}

struct grpc_client *grpc_client_open(const char *endpoint, uint64_t deadline, struct grpc_status *status) {
    struct grpc_client *client = mem_calloc(1, sizeof *client);
    if (!client)
        return open_failed(NULL, endpoint, GRPC_RESOURCE_EXHAUSTED, "out of memory", status);
    client->fd = -1;
    const char *wrong = grpc_address_parse(endpoint, &client->address);
    if (wrong)
        return open_failed(client, endpoint, GRPC_INVALID_ARGUMENT, wrong, status);
    client->fd = grpc_socket_connect(&client->address, deadline, &wrong);
    if (client->fd < 0)
        return open_failed(client, endpoint, GRPC_UNAVAILABLE, wrong, status);
    client->session = grpc_session_new(&client_events, client);
    if (!client->session)
        return open_failed(client, endpoint, GRPC_RESOURCE_EXHAUSTED, "out of memory", status);
    bool wrote = false;
    if (!client_run(client, &client->settings_received, deadline, &wrote))
        return open_failed(client, endpoint, GRPC_UNAVAILABLE, "the server does not answer", status);
    if (!client->settings_received)
        return open_failed(client, endpoint, GRPC_UNAVAILABLE, "no HTTP/2 server answers there", status);
    return client;
}

bool grpc_client_usable(const struct grpc_client *client) {
    return !client->broken && !client->going_away;
}

void grpc_client_close(struct grpc_client *client) {
    if (!client)
        return;
    if (client->session && !client->broken) {
        bool wrote = false;
        (void)nghttp2_session_terminate_session(client->session, NGHTTP2_NO_ERROR);
        (void)client_flush(client, clock_ns(), &wrote);
    }
    nghttp2_session_del(client->session);
    if (client->fd >= 0)
        (void)close(client->fd);
    mem_free(client);
}

void grpc_client_read_as(struct grpc_client *client, const char *how) {
    client->read_as = how;
}

/* ---- Calls --------------------------------------------------------------------------------------- */

static bool call_submit(struct grpc_client *client, const char *path, uint64_t deadline) {
    char timeout[24];
    uint64_t left = clock_ms_left(deadline);
    (void)snprintf(timeout, sizeof timeout, left > 99999999 ? "%lluS" : "%llum",
                   (unsigned long long)(left > 99999999 ? (left / 1000 > 99999999 ? 99999999 : left / 1000) : left));
    const nghttp2_nv headers[] = {
        grpc_header(":method", "POST"),
        grpc_header(":scheme", "http"),
        grpc_header(":path", path),
        grpc_header(":authority", client->address.authority),
        grpc_header("content-type", "application/grpc"),
        grpc_header("user-agent", "lash"),
        grpc_header("te", "trailers"),
        grpc_header("grpc-timeout", timeout),
        grpc_header("lash-read", client->read_as ? client->read_as : ""),
    };
    size_t count = sizeof headers / sizeof headers[0] - (client->read_as ? 0 : 1);
    nghttp2_data_provider provider = {.source = {.ptr = NULL}, .read_callback = on_body};
    int32_t stream = nghttp2_submit_request(client->session, NULL, headers, count, &provider, NULL);
    if (stream < 0)
        client_break(client, nghttp2_strerror(stream));
    else
        client->call.stream = stream;
    return stream >= 0;
}

/* The one message in what has come, or NULL with the status set. */
static ProtobufCMessage *call_decode(const struct call *call, const ProtobufCMessageDescriptor *type,
                                     struct grpc_status *status) {
    status_set(status, GRPC_INTERNAL, true, "the server's answer is not a whole gRPC message");
    size_t size = message_size(call->data, call->size);
    if (size == 0 || size != call->size || call->data[0] != 0)
        return NULL;
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, &allocator, size - GRPC_PREFIX_BYTES, call->data + GRPC_PREFIX_BYTES);
    if (!message)
        status_set(status, GRPC_INTERNAL, true, "the server's answer cannot be decoded");
    else
        status_set(status, GRPC_OK, true, "");
    return message;
}

/* What is to be said of an ended call that did not succeed. */
static void call_failed(const struct grpc_client *client, bool in_time, bool sent, struct grpc_status *status) {
    const struct call *call = &client->call;
    char text[sizeof status->message];
    if (call->too_large) {
        status_set(status, GRPC_RESOURCE_EXHAUSTED, sent, "the server's answer is too large");
    } else if (call->given_up) {
        status_set(status, GRPC_CANCELLED, sent, "given up");
    } else if (call->spoilt) {
        status_set(status, GRPC_INTERNAL, sent, "the server's answer cannot be decoded");
    } else if (call->closed && call->grpc_status > 0) {
        status_set(status, call->grpc_status, true, call->message);
    } else if (call->closed && call->refused) {
        status_set(status, GRPC_UNAVAILABLE, false, "the server refused the request");
    } else if (call->closed) {
        (void)snprintf(text, sizeof text, "the server answered without a gRPC status (HTTP status %d)",
                       call->http_status);
        status_set(status, GRPC_UNAVAILABLE, sent, text);
    } else if (!in_time) {
        status_set(status, GRPC_DEADLINE_EXCEEDED, sent, "context deadline exceeded");
    } else {
        (void)snprintf(text, sizeof text, "%.270s: %s", client->address.authority, client->trouble);
        status_set(status, GRPC_UNAVAILABLE, sent, text);
    }
}

/* Whether the server said that all is well. */
static bool call_succeeded(const struct call *call) {
    return call->closed && call->grpc_status == GRPC_OK && !call->too_large && !call->given_up && !call->spoilt;
}

/* Forget a call that has not ended, so that its late answer goes nowhere. */
static void call_cancel(struct grpc_client *client) {
    if (client->call.stream == 0 || client->call.closed || client->broken)
        return;
    bool wrote = false;
    int32_t stream = client->call.stream;
    client->call.stream = 0;
    (void)nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    (void)client_flush(client, clock_ns(), &wrote);
}

/* Take in what came between calls, so that a connection closed meanwhile is not mistaken for one that can be used. */
static void client_notice(struct grpc_client *client) {
    while (!client->broken && grpc_socket_wait(client->fd, POLLIN, 0))
        (void)client_read(client, 0);
}

/* Begin a call; false with the status set when nothing was sent. */
static bool call_begin(struct grpc_client *client, const char *path, const ProtobufCMessage *request, uint64_t deadline,
                       struct grpc_status *status) {
    client_notice(client);
    if (!grpc_client_usable(client)) {
        status_set(status, GRPC_UNAVAILABLE, false, client->broken ? client->trouble : "the server is going away");
        return false;
    }
    size_t size = protobuf_c_message_get_packed_size(request);
    uint8_t *body = size <= UINT32_MAX ? mem_alloc(GRPC_PREFIX_BYTES + size) : NULL;
    if (!body) {
        status_set(status, GRPC_RESOURCE_EXHAUSTED, false, "out of memory");
        return false;
    }
    grpc_prefix_put(body, size);
    (void)protobuf_c_message_pack(request, body + GRPC_PREFIX_BYTES);
    client->call = (struct call){.body = body, .body_size = GRPC_PREFIX_BYTES + size, .grpc_status = -1};
    (void)call_submit(client, path, deadline); /* or the connection is broken, which will be seen */
    return true;
}

static void call_forget(struct grpc_client *client) {
    call_cancel(client);
    mem_free(client->call.data);
    mem_free(client->call.body);
    client->call = (struct call){.grpc_status = -1};
}

ProtobufCMessage *grpc_client_call(struct grpc_client *client, const char *path, const ProtobufCMessage *request,
                                   const ProtobufCMessageDescriptor *type, uint64_t deadline,
                                   struct grpc_status *status) {
    LASH_ASSERT(client->call.body == NULL);
    if (!call_begin(client, path, request, deadline, status))
        return NULL;
    bool sent = false;
    bool in_time = client_run(client, &client->call.closed, deadline, &sent);
    ProtobufCMessage *response = NULL;
    if (call_succeeded(&client->call))
        response = call_decode(&client->call, type, status);
    else
        call_failed(client, in_time, sent, status);
    call_forget(client);
    return response;
}

/* Exchange bytes until the call is over; false when the server is not heard of. */
static bool stream_run(struct grpc_client *client, uint64_t idle_ms, bool *sent) {
    bool asked = false;
    while (!client->call.closed && !client->broken) {
        client->call.heard = false;
        if (client_run(client, &client->call.heard, clock_after_ms(idle_ms), sent)) {
            asked = false;
        } else if (asked || nghttp2_submit_ping(client->session, NGHTTP2_FLAG_NONE, NULL)) {
            return false;
        } else {
            asked = true;
        }
    }
    return true;
}

void grpc_client_stream(struct grpc_client *client, const char *path, const ProtobufCMessage *request,
                        const ProtobufCMessageDescriptor *type, uint64_t idle_ms, grpc_take_fn take, void *context,
                        struct grpc_status *status) {
    LASH_ASSERT(client->call.body == NULL);
    if (!call_begin(client, path, request, UINT64_MAX, status))
        return;
    client->call.take = take;
    client->call.context = context;
    client->call.type = type;
    bool sent = false;
    bool in_time = stream_run(client, idle_ms, &sent);
    if (!call_succeeded(&client->call))
        call_failed(client, in_time, sent, status);
    else if (client->call.size > 0)
        status_set(status, GRPC_INTERNAL, true, "the server's answer ends within a message");
    else
        status_set(status, GRPC_OK, true, "");
    call_forget(client);
}
