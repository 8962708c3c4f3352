/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a client's HTTP/2 session; see grpc_session.h.
 */
#include "lashctl/grpc_session.h"

#include "base/buf.h"

#define WINDOW_BYTES (16 << 20)

static void *session_malloc(size_t size, void *context) {
    (void)context;
    return mem_alloc(size);
}

static void session_free(void *memory, void *context) {
    (void)context;
    mem_free(memory);
}

static void *session_calloc(size_t count, size_t size, void *context) {
    (void)context;
    return mem_calloc(count, size);
}

static void *session_realloc(void *memory, size_t size, void *context) {
    (void)context;
    return mem_realloc(memory, size);
}

static int session_greet(nghttp2_session *session) {
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
    };
    int rc = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
    return rc ? rc : nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
}

nghttp2_session *grpc_session_new(const struct grpc_session_events *events, void *context) {
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, events->header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, events->data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, events->close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, events->frame);
    nghttp2_mem memory = {NULL, session_malloc, session_free, session_calloc, session_realloc};
    int rc = nghttp2_session_client_new3(&session, callbacks, context, NULL, &memory);
    nghttp2_session_callbacks_del(callbacks);
    if (rc == 0 && session_greet(session) == 0)
        return session;
    nghttp2_session_del(session); /* of none: nothing */
    return NULL;
}
