/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC over HTTP/2 on a connection: see http2.h.
 */
#include "api/http2.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#include "api/stream.h"
#include "base/assert.h"
#include "base/buf.h"

/* nghttp2 gives at most a frame at a time, and ours are at most this long: a DATA frame is cut to 16 KiB (HTTP/2's
 * default), and the headers of an answer are far below. */
enum { HTTP2_PIECE_MAX = 16 * 1024 + 1024 };
_Static_assert((int)HTTP2_PIECE_MAX <= (int)LOOP_OUTPUT_SIZE, "a frame must fit");

struct http2 {
    nghttp2_session *session;
    struct list streams; /* struct stream.in_http2 */
    struct stream *last; /* the one that nghttp2 spoke of last, or NULL */
    bool draining;
};

/* ---- Memory ------------------------------------------------------------------------------------ */

static void *http2_malloc(size_t size, void *context) {
    (void)context;
    return mem_alloc(size);
}

static void http2_free(void *memory, void *context) {
    (void)context;
    mem_free(memory);
}

static void *http2_calloc(size_t count, size_t size, void *context) {
    (void)context;
    return mem_calloc(count, size);
}

static void *http2_realloc(void *memory, size_t size, void *context) {
    (void)context;
    return mem_realloc(memory, size);
}

/* ---- What nghttp2 reports ---------------------------------------------------------------------- */

/* nghttp2 speaks of one stream several times in a row, and has to look it up each time. */
static struct stream *http2_stream(struct http2 *http, int32_t id) {
    if (!http->last || http->last->id != id)
        http->last = nghttp2_session_get_stream_user_data(http->session, id);
    return http->last;
}

static int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    struct connection *connection = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct stream *stream = stream_open(connection, session, frame->hd.stream_id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets this stream */
    struct http2 *http = connection->state;
    list_push(&http->streams, &stream->in_http2);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    http->last = stream;
    return 0;
}

static int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                           const uint8_t *value, size_t value_size, uint8_t flags, void *context) {
    const struct connection *connection = context;
    struct stream *stream = http2_stream(connection->state, frame->hd.stream_id);
    (void)session;
    (void)flags;
    if (stream && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        stream_header(stream, (const char *)name, name_size, (const char *)value, value_size);
    return 0;
}

static int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                         void *context) {
    const struct connection *connection = context;
    struct stream *stream = http2_stream(connection->state, id);
    (void)session;
    (void)flags;
    if (stream)
        stream_data(stream, data, size);
    return 0;
}

/* The client has read our notice that we are going, and started no stream since: now the last one is known. */
static int http2_on_drained(struct connection *connection) {
    struct http2 *http = connection->state;
    return nghttp2_submit_goaway(http->session, NGHTTP2_FLAG_NONE,
                                 nghttp2_session_get_last_proc_stream_id(http->session), NGHTTP2_NO_ERROR, NULL, 0);
}

static int http2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    struct connection *connection = context;
    struct http2 *http = connection->state;
    uint8_t type = frame->hd.type;
    (void)session;
    if (type == NGHTTP2_SETTINGS)
        connection->deadline_ms = 0; /* it speaks HTTP/2, and may stay as long as it likes */
    if (type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) && http->draining)
        return http2_on_drained(connection) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    struct stream *stream =
        type == NGHTTP2_HEADERS || type == NGHTTP2_DATA ? http2_stream(http, frame->hd.stream_id) : NULL;
    if (!stream)
        return 0;
    if (type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        stream_headers_end(stream);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        stream_end(stream);
    return 0;
}

/* An answer that went out before its request was whole: the rest of that request is not wanted (RFC 9113, 8.1). */
static int http2_on_answered(struct http2 *http, int32_t id) {
    const struct stream *stream = http2_stream(http, id);
    if (stream && !stream->ended && nghttp2_submit_rst_stream(http->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int http2_on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    struct connection *connection = context;
    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return http2_on_answered(connection->state, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        loop_log_client(connection->loop, "sent a client away that broke the rules of HTTP/2", connection->client,
                        nghttp2_http2_strerror(frame->goaway.error_code));
    return 0;
}

static int http2_on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
    const struct connection *connection = context;
    struct http2 *http = connection->state;
    struct stream *stream = http2_stream(http, id);
    (void)code;
    if (stream) {
        http->last = NULL;
        nghttp2_session_set_stream_user_data(session, id, NULL);
        stream_close(stream);
    }
    return 0;
}

static nghttp2_session_callbacks *http2_callbacks(void) {
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks))
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, http2_on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, http2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, http2_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, http2_on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, http2_on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, http2_on_stream_close);
    return callbacks;
}

/* ---- The protocol ------------------------------------------------------------------------------ */

static const char *http2_receive(struct connection *connection, const uint8_t *data, size_t size) {
    struct http2 *http = connection->state;
    ssize_t used = nghttp2_session_mem_recv(http->session, data, size);
    if (used >= 0)
        return NULL;
    return nghttp2_strerror((int)used);
}

/* Gather what nghttp2 has to send, frame after frame, while another one is sure to fit. Negative: its error. */
static ssize_t http2_gather(struct http2 *http, uint8_t *output) {
    size_t size = 0;
    while (LOOP_OUTPUT_SIZE - size >= HTTP2_PIECE_MAX) {
        const uint8_t *piece;
        ssize_t length = nghttp2_session_mem_send(http->session, &piece);
        if (length < 0)
            return length;
        if (length == 0)
            break;
        LASH_ASSERT((size_t)length <= HTTP2_PIECE_MAX);
        memcpy(output + size, piece, (size_t)length);
        size += (size_t)length;
    }
    return (ssize_t)size;
}

static const char *http2_flush(struct connection *connection) {
    struct http2 *http = connection->state;
    uint8_t *output = connection->loop->output;
    while (connection_wants(connection)) {
        ssize_t size = http2_gather(http, output);
        if (size < 0)
            return nghttp2_strerror((int)size);
        if (size == 0)
            break;
        if (!connection_write(connection, output, (size_t)size))
            return "cannot be written to";
    }
    if (!nghttp2_session_want_read(http->session) && !nghttp2_session_want_write(http->session))
        connection_end(connection);
    return NULL;
}

static void http2_drain(struct connection *connection) {
    struct http2 *http = connection->state;
    http->draining = true;
    if (nghttp2_submit_shutdown_notice(http->session) || nghttp2_submit_ping(http->session, NGHTTP2_FLAG_NONE, NULL))
        connection_close(connection, lash_strerror(LASH_NOMEM));
    else
        connection_dirty(connection);
}

static void http2_close(struct connection *connection) {
    struct http2 *http = connection->state;
    for (struct list *at; (at = list_pop(&http->streams)) != NULL;)
        stream_close(list_entry(at, struct stream, in_http2));
    nghttp2_session_del(http->session);
    mem_free(http);
}

static const struct connection_protocol http2_protocol = {
    .receive = http2_receive,
    .flush = http2_flush,
    .drain = http2_drain,
    .close = http2_close,
};

/* ---- The beginning ----------------------------------------------------------------------------- */

static int http2_new_session(struct connection *connection, nghttp2_session **session) {
    static const nghttp2_mem memory = {NULL, http2_malloc, http2_free, http2_calloc, http2_realloc};
    nghttp2_mem mem = memory;
    nghttp2_option *option = NULL;
    nghttp2_session_callbacks *callbacks = http2_callbacks();
    int error = callbacks ? nghttp2_option_new(&option) : NGHTTP2_ERR_NOMEM;
    if (!error) {
        /* They would be kept, thousands of them, for the sake of streams whose priority depends on theirs. */
        nghttp2_option_set_no_closed_streams(option, 1);
        error = nghttp2_session_server_new3(session, callbacks, connection, option, &mem);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return error;
}

static int http2_greet(nghttp2_session *session) {
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP2_HEADERS_MAX},
    };
    int error = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    if (error)
        return error;
    return nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, HTTP2_CONNECTION_WINDOW);
}

const char *http2_open(struct connection *connection) {
    struct http2 *http = mem_calloc(1, sizeof *http);
    if (!http)
        return lash_strerror(LASH_NOMEM);
    list_init(&http->streams);
    if (http2_new_session(connection, &http->session)) {
        mem_free(http);
        return lash_strerror(LASH_NOMEM);
    }
    if (http2_greet(http->session)) {
        nghttp2_session_del(http->session);
        mem_free(http);
        return lash_strerror(LASH_NOMEM);
    }
    connection->state = http;
    connection->protocol = &http2_protocol;
    return NULL;
}
