/* SPDX-License-Identifier: Apache-2.0
 *
 * One gRPC call on an HTTP/2 stream: see stream.h.
 */
#include "api/stream.h"

#include <stdio.h>
#include <string.h>

#include "api/connection.h"
#include "api/http2.h"
#include "api/methods.h"
#include "base/assert.h"

#define STREAM_TYPE "application/grpc"

enum { STREAM_PATH_MAX = 255, STREAM_ENCODING_MAX = 31 };

/* A header of the answer, whose name is a constant; the value is read during the submission only, unless `flags` says that it is a
 * constant too. */
static nghttp2_nv stream_header_of(const char *name, const char *value, uint8_t flags) {
    union {
        const char *constant;
        uint8_t *plain;
    } n = {.constant = name}, v = {.constant = value}; /* nghttp2 does not write through them */
    return (nghttp2_nv){.name = n.plain,
                        .value = v.plain,
                        .namelen = strlen(name),
                        .valuelen = strlen(value),
                        .flags = (uint8_t)(NGHTTP2_NV_FLAG_NO_COPY_NAME | flags)};
}

static nghttp2_nv stream_nv(const char *name, const char *value) {
    return stream_header_of(name, value, NGHTTP2_NV_FLAG_NONE);
}

static nghttp2_nv stream_constant(const char *name, const char *value) {
    return stream_header_of(name, value, NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

/* ---- The answer -------------------------------------------------------------------------------- */

/* How the call ended, as headers say it. */
struct stream_outcome {
    char code[16];
    char text[3 * CALL_TEXT_MAX];
};

static void stream_outcome(const struct stream *stream, struct stream_outcome *outcome) {
    snprintf(outcome->code, sizeof outcome->code, "%d", (int)stream->call->code);
    grpc_percent(stream->call->text, outcome->text, sizeof outcome->text);
}

/* Most answers end well, and without a text. */
static int stream_submit_good_end(struct stream *stream) {
    const nghttp2_nv trailers[] = {stream_constant("grpc-status", "0"), stream_constant("grpc-message", "")};
    return nghttp2_submit_trailer(stream->session, stream->id, trailers, sizeof trailers / sizeof *trailers);
}

static int stream_submit_trailers(struct stream *stream) {
    struct stream_outcome outcome;
    if (stream->call->code == GRPC_OK && !stream->call->text[0])
        return stream_submit_good_end(stream);
    stream_outcome(stream, &outcome);
    nghttp2_nv trailers[] = {stream_nv("grpc-status", outcome.code), stream_nv("grpc-message", outcome.text)};
    return nghttp2_submit_trailer(stream->session, stream->id, trailers, sizeof trailers / sizeof *trailers);
}

/* Hand over what there is of the answer, or of the present one of a stream. */
static size_t stream_copy_answer(struct stream *stream, uint8_t *out, size_t room) {
    const struct buf *answer = stream->call->answer;
    size_t size = answer->size - stream->sent < room ? answer->size - stream->sent : room;
    memcpy(out, answer->data + stream->sent, size);
    stream->sent += size;
    if (stream->call->next && stream->sent == answer->size) {
        stream->sent = 0;
        call_sent(stream->call);
    }
    return size;
}

/* Nothing is left to be handed over, and nothing will come. */
static bool stream_is_at_end(const struct stream *stream) {
    const struct call *call = stream->call;
    return call->answer ? !call->next && stream->sent == call->answer->size : call->over;
}

/* nghttp2 asks for more of the answer. */
static ssize_t stream_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
                           nghttp2_data_source *source, void *context) {
    struct stream *stream = source->ptr;
    (void)session;
    (void)id;
    (void)context;
    size_t size = stream->call->answer ? stream_copy_answer(stream, out, room) : 0;
    if (stream_is_at_end(stream)) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (stream_submit_trailers(stream))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    } else if (size == 0) {
        return NGHTTP2_ERR_DEFERRED; /* until there is a message, or the end */
    }
    return (ssize_t)size;
}

static int stream_submit_answer(struct stream *stream) {
    const nghttp2_nv headers[] = {stream_constant(":status", "200"), stream_constant("content-type", STREAM_TYPE)};
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = stream_read};
    return nghttp2_submit_response(stream->session, stream->id, headers, sizeof headers / sizeof *headers, &provider);
}

/* An error takes one frame: headers that are the trailers too. */
static int stream_submit_error(struct stream *stream, const char *http_status) {
    struct stream_outcome outcome;
    stream_outcome(stream, &outcome);
    nghttp2_nv headers[] = {stream_nv(":status", http_status), stream_nv("content-type", STREAM_TYPE),
                            stream_nv("grpc-status", outcome.code), stream_nv("grpc-message", outcome.text)};
    return nghttp2_submit_response(stream->session, stream->id, headers, sizeof headers / sizeof *headers, NULL);
}

/* `error` is nghttp2's, of what was submitted. */
static void stream_submitted(struct stream *stream, int error) {
    if (error)
        nghttp2_submit_rst_stream(stream->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
    connection_dirty(stream->connection);
}

static void stream_submit(struct stream *stream, const char *http_status) {
    bool good = stream->call->code == GRPC_OK;
    stream_submitted(stream, good ? stream_submit_answer(stream) : stream_submit_error(stream, http_status));
}

/* There is more for a stream of answers, or its end: let nghttp2 ask for it. It may be about to anyway. */
static void stream_resume(struct stream *stream) {
    int error = nghttp2_session_resume_data(stream->session, stream->id);
    stream_submitted(stream, error == NGHTTP2_ERR_INVALID_ARGUMENT ? 0 : error);
}

/* The tally of the call's method. */
static struct tally_method *stream_tally(struct stream *stream) {
    return &stream->connection->loop->tally.methods[methods_number(stream->call->method)];
}

static void stream_finished(struct call *call) {
    struct stream *stream = call->owner;
    stream->dispatched = true;
    if (stream->started)
        metric_add(&stream_tally(stream)->handled[call->code], 1);
    if (call->answer && !call->next)
        metric_add(&stream->connection->loop->tally.sent_bytes, call->answer->size - GRPC_PREFIX_SIZE);
    if (stream->streaming)
        stream_resume(stream);
    else
        stream_submit(stream, "200");
}

static void stream_pushed(struct call *call) {
    struct stream *stream = call->owner;
    metric_add(&stream->connection->loop->tally.sent_bytes, call->answer->size - GRPC_PREFIX_SIZE);
    if (stream->streaming) {
        stream_resume(stream);
    } else {
        stream->streaming = true;
        stream_submitted(stream, stream_submit_answer(stream));
    }
}

/* Refuse with an HTTP status of its own what is not gRPC. */
static void stream_refuse(struct stream *stream, const char *http_status, enum grpc_code code, const char *text) {
    struct call *call = stream->call;
    stream->dispatched = true;
    call->over = true;
    call->code = code;
    list_remove(&call->in_loop);
    call->text = text;
    stream_submit(stream, http_status);
}

/* ---- The request ------------------------------------------------------------------------------- */

struct stream *stream_open(struct connection *connection, nghttp2_session *session, int32_t id) {
    struct call *call = call_new(connection->loop, stream_finished, NULL, sizeof(struct stream));
    struct stream *stream = call ? arena_calloc(call->arena, 1, sizeof *stream) : NULL;
    if (!stream) {
        if (call)
            call_abandon(call);
        return NULL;
    }
    call->owner = stream;
    stream->call = call;
    stream->call->pushed = stream_pushed;
    stream->connection = connection;
    stream->session = session;
    list_init(&stream->in_http2);
    stream->id = id;
    stream->timeout_ms = UINT64_MAX;
    stream->reader.bytes_max = connection->loop->options->request_bytes_max + GRPC_OVERHEAD_BYTES;
    return stream;
}

void stream_close(struct stream *stream) {
    list_remove(&stream->in_http2);
    grpc_reader_free(&stream->reader);
    if (!stream->call->over && stream->started)
        metric_add(&stream_tally(stream)->handled[GRPC_CANCELLED], 1);
    if (stream->call->over)
        call_unref(stream->call);
    else
        call_abandon(stream->call);
}

static bool stream_is(const char *text, size_t size, const char *word) {
    return size == strlen(word) && memcmp(text, word, size) == 0;
}

/* Copy the first bytes, `most` of them; NULL when memory ran out. */
static char *stream_copy(struct stream *stream, const char *from, size_t size, size_t most) {
    size_t length = size < most ? size : most;
    char *copy = arena_alloc(stream->call->arena, length + 1, 1);
    if (!copy) {
        stream->exhausted = true;
        return NULL;
    }
    memcpy(copy, from, length);
    copy[length] = '\0';
    return copy;
}

static void stream_header_path(struct stream *stream, const char *value, size_t size) {
    stream->path_cut = size > STREAM_PATH_MAX;
    stream->path = stream_copy(stream, value, size, STREAM_PATH_MAX);
}

static void stream_header_method(struct stream *stream, const char *value, size_t size) {
    stream->is_post = stream_is(value, size, "POST");
}

static void stream_header_type(struct stream *stream, const char *value, size_t size) {
    stream->is_grpc = grpc_content_type(value, size);
}

static void stream_header_encoding(struct stream *stream, const char *value, size_t size) {
    if (size > 0 && !stream_is(value, size, "identity"))
        stream->encoding = stream_copy(stream, value, size, STREAM_ENCODING_MAX);
}

static void stream_header_timeout(struct stream *stream, const char *value, size_t size) {
    stream->bad_timeout = !grpc_timeout(value, size, &stream->timeout_ms);
}

static void stream_header_leader(struct stream *stream, const char *value, size_t size) {
    stream->call->require_leader = stream_is(value, size, "true");
}

/* How linearizable reads are made: `index`, `lease`, or `stale=` with the greatest age, in `ms` or `s`. */
static void stream_header_read(struct stream *stream, const char *value, size_t size) {
    static const char stale[] = "stale=";
    const size_t before = sizeof stale - 1;
    struct call *call = stream->call;
    char timeout[16];
    if (stream_is(value, size, "lease")) {
        call->read_kind = LASH_READ_LEASE;
    } else if (size > before && size - before < sizeof timeout && memcmp(value, stale, before) == 0) {
        /* As gRPC writes a time, whose units are one letter: S, and m for milliseconds. */
        size_t digits = size - before;
        bool ms = digits > 2 && memcmp(value + size - 2, "ms", 2) == 0;
        memcpy(timeout, value + before, digits);
        timeout[digits - (ms ? 2 : 1)] = ms ? 'm' : 'S';
        call->read_kind = LASH_READ_STALE;
        stream->bad_read =
            (!ms && value[size - 1] != 's') || !grpc_timeout(timeout, digits - (ms ? 1 : 0), &call->read_age_ms_max);
    } else {
        stream->bad_read = !stream_is(value, size, "index");
    }
}

void stream_header(struct stream *stream, const char *name, size_t name_size, const char *value, size_t value_size) {
#define STREAM_HEADER(name, take)                                                                                      \
    { name, sizeof(name) - 1, take }
    static const struct {
        const char *name;
        size_t size;
        void (*take)(struct stream *stream, const char *value, size_t size);
    } headers[] = {
        STREAM_HEADER(":path", stream_header_path),           STREAM_HEADER(":method", stream_header_method),
        STREAM_HEADER("content-type", stream_header_type),    STREAM_HEADER("grpc-encoding", stream_header_encoding),
        STREAM_HEADER("grpc-timeout", stream_header_timeout), STREAM_HEADER("hasleader", stream_header_leader),
        STREAM_HEADER("lash-read", stream_header_read),
    };
#undef STREAM_HEADER
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (name_size == headers[i].size && memcmp(name, headers[i].name, name_size) == 0)
            headers[i].take(stream, value, value_size);
}

/* Refuse an unknown method as gRPC servers word it; true if there is one. */
static bool stream_find_method(struct stream *stream) {
    char nothing[] = "";
    char *path = stream->path ? stream->path : nothing;
    char *method = strrchr(path, '/');
    if (path[0] != '/' || method == path || stream->path_cut) {
        call_fail_text(stream->call, GRPC_UNIMPLEMENTED, "malformed method name: \"%s\"", path);
        return false;
    }
    *method = '\0';
    const char *service = path + 1;
    bool known = false;
    stream->call->method = methods_find(service, method + 1, &known);
    if (stream->call->method)
        return true;
    if (known)
        call_fail_text(stream->call, GRPC_UNIMPLEMENTED, "unknown method %s for service %s", method + 1, service);
    else
        call_fail_text(stream->call, GRPC_UNIMPLEMENTED, "unknown service %s", service);
    return false;
}

void stream_headers_end(struct stream *stream) {
    uint64_t now = uv_now(&stream->connection->loop->uv);
    if (stream->exhausted) {
        call_fail(stream->call, API_NO_MEMORY);
    } else if (!stream->is_post) {
        stream_refuse(stream, "405", GRPC_INTERNAL, "gRPC requests are POST requests");
    } else if (!stream->is_grpc) {
        stream_refuse(stream, "415", GRPC_INVALID_ARGUMENT, "invalid gRPC request content-type");
    } else if (stream->bad_timeout) {
        stream_refuse(stream, "400", GRPC_INTERNAL, "malformed grpc-timeout");
    } else if (!stream_find_method(stream)) {
        return;
    } else if (stream->bad_read) {
        call_fail_text(stream->call, GRPC_INVALID_ARGUMENT, "malformed lash-read: index, lease or stale=500ms");
    } else if (stream->encoding) {
        call_fail_text(stream->call, GRPC_UNIMPLEMENTED, "grpc: Decompressor is not installed for grpc-encoding \"%s\"",
                       stream->encoding);
    } else if (loop_is_full(stream->connection->loop)) {
        call_fail(stream->call, API_TOO_MANY_REQUESTS);
    } else {
        uint64_t allowed = stream->timeout_ms < HTTP2_REQUEST_MS ? stream->timeout_ms : HTTP2_REQUEST_MS;
        if (stream->timeout_ms != UINT64_MAX)
            stream->timeout_ms = stream->timeout_ms < UINT64_MAX - now ? now + stream->timeout_ms : UINT64_MAX;
        call_deadline(stream->call, now + allowed);
    }
}

static void stream_feed_failed(struct stream *stream, enum grpc_feed feed) {
    static const enum api_error errors[] = {
        [GRPC_FEED_COMPRESSED] = API_NOT_COMPRESSED,
        [GRPC_FEED_BAD_FLAG] = API_BAD_MESSAGE,
        [GRPC_FEED_MANY] = API_MANY_MESSAGES,
        [GRPC_FEED_NO_MEMORY] = API_NO_MEMORY,
    };
    if (feed == GRPC_FEED_TOO_LARGE)
        call_fail_text(stream->call, GRPC_RESOURCE_EXHAUSTED, "grpc: received message larger than max (%zu vs. %zu)",
                       stream->reader.announced, stream->reader.bytes_max);
    else
        call_fail(stream->call, errors[feed]);
}

void stream_data(struct stream *stream, const uint8_t *data, size_t size) {
    if (stream->dispatched)
        return;
    if (loop_is_full(stream->connection->loop)) {
        call_fail(stream->call, API_TOO_MANY_REQUESTS);
        return;
    }
    loop_hold(stream->connection->loop, size);
    stream->call->held += size;
    enum grpc_feed feed = grpc_reader_feed(&stream->reader, data, size);
    if (feed != GRPC_FEED_OK)
        stream_feed_failed(stream, feed);
}

void stream_end(struct stream *stream) {
    stream->ended = true;
    if (stream->dispatched)
        return;
    stream->dispatched = true;
    if (!grpc_reader_whole(&stream->reader)) {
        call_fail(stream->call, API_NO_MESSAGE);
        return;
    }
    stream->started = true;
    metric_add(&stream_tally(stream)->started, 1);
    metric_add(&stream->connection->loop->tally.received_bytes, stream->reader.size);
    call_deadline(stream->call, stream->timeout_ms);
    call_start(stream->call, stream->call->method, stream->reader.data, stream->reader.size);
    grpc_reader_free(&stream->reader);
}
