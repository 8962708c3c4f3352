/* SPDX-License-Identifier: Apache-2.0
 *
 * A gRPC client for tests: see peer.h.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int peer_connect(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int made = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(made >= 0);
    assert_int_equal(connect(made, (struct sockaddr *)&address, sizeof address), 0);
    int on = 1;
    assert_int_equal(setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return made;
}

static struct answer *peer_answer(struct peer *peer, int32_t id) {
    for (size_t i = 0; i < peer->answer_count; i++)
        if (peer->answers[i]->id == id)
            return peer->answers[i];
    return NULL;
}

/* ---- What nghttp2 reports ---------------------------------------------------------------------- */

static void peer_copy(char *to, size_t room, const uint8_t *from, size_t size) {
    assert_true(size < room);
    memcpy(to, from, size);
    to[size] = '\0';
}

static int peer_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                          const uint8_t *value, size_t value_size, uint8_t flags, void *context) {
    struct answer *answer = peer_answer(context, frame->hd.stream_id);
    char header[64], code[16];
    (void)session;
    (void)flags;
    peer_copy(header, sizeof header, name, name_size);
    if (strcmp(header, ":status") == 0)
        peer_copy(answer->http, sizeof answer->http, value, value_size);
    if (strcmp(header, "content-type") == 0)
        peer_copy(answer->type, sizeof answer->type, value, value_size);
    if (strcmp(header, "grpc-message") == 0)
        peer_copy(answer->text, sizeof answer->text, value, value_size);
    if (strcmp(header, "grpc-status") == 0) {
        peer_copy(code, sizeof code, value, value_size);
        answer->code = (int)strtol(code, NULL, 10);
    }
    return 0;
}

static int peer_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                        void *context) {
    struct answer *answer = peer_answer(context, id);
    (void)session;
    (void)flags;
    answer->body = realloc(answer->body, answer->size + size);
    assert_non_null(answer->body);
    memcpy(answer->body + answer->size, data, size);
    answer->size += size;
    return 0;
}

static int peer_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
    struct answer *answer = peer_answer(context, id);
    (void)session;
    answer->closed = true;
    answer->reset = code;
    return 0;
}

static int peer_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    struct peer *peer = context;
    (void)session;
    peer->goaway = peer->goaway || frame->hd.type == NGHTTP2_GOAWAY;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        peer->pongs++;
    return 0;
}

static ssize_t peer_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *context) {
    struct outgoing *outgoing = source->ptr;
    (void)session;
    (void)id;
    (void)context;
    size_t size = outgoing->size < room ? outgoing->size : room;
    if (outgoing->piece && size > outgoing->piece)
        size = outgoing->piece;
    if (size == 0 && outgoing->unended)
        return NGHTTP2_ERR_DEFERRED;
    if (size) {
        memcpy(out, outgoing->data, size);
        outgoing->data += size;
    }
    outgoing->size -= size;
    if (outgoing->size == 0 && !outgoing->unended)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

/* ---- Life -------------------------------------------------------------------------------------- */

void peer_open(struct peer *peer, uint16_t port) {
    nghttp2_session_callbacks *callbacks;
    peer->socket = peer_connect(port);
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, peer_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, peer_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, peer_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, peer_on_frame);
    assert_int_equal(nghttp2_session_client_new(&peer->session, callbacks, peer), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, peer->window ? peer->window : NGHTTP2_INITIAL_WINDOW_SIZE}};
    assert_int_equal(nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, settings, 1), 0);
}

void peer_close(struct peer *peer) {
    nghttp2_session_del(peer->session);
    close(peer->socket);
    for (size_t i = 0; i < peer->answer_count; i++) {
        free(peer->answers[i]->body);
        free(peer->answers[i]);
    }
    *peer = (struct peer){0};
}

static void peer_send(struct peer *peer) {
    const uint8_t *data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(peer->session, &data)) > 0) {
        for (ssize_t sent = 0; sent < size && !peer->gone;) {
            ssize_t n = send(peer->socket, data + sent, (size_t)(size - sent), MSG_NOSIGNAL);
            if (n < 0)
                peer->gone = true;
            else
                sent += n;
        }
    }
    assert_int_equal(size, 0);
}

bool peer_step(struct peer *peer) {
    uint8_t data[16384];
    peer_send(peer);
    struct pollfd poller = {.fd = peer->socket, .events = POLLIN};
    if (peer->gone || poll(&poller, 1, PEER_WAIT_MS) <= 0)
        return false;
    ssize_t size = recv(peer->socket, data, sizeof data, 0);
    if (size <= 0) {
        peer->gone = true;
        return true;
    }
    assert_int_equal(nghttp2_session_mem_recv(peer->session, data, (size_t)size), size);
    peer_send(peer);
    return true;
}

/* ---- Calls ------------------------------------------------------------------------------------- */

static void peer_add(nghttp2_nv *headers, size_t *count, const char *name, const char *value) {
    union {
        const char *constant;
        uint8_t *plain;
    } n = {.constant = name}, v = {.constant = value};
    if (value)
        headers[(*count)++] = (nghttp2_nv){.name = n.plain,
                                           .value = v.plain,
                                           .namelen = strlen(name),
                                           .valuelen = strlen(value),
                                           .flags = NGHTTP2_NV_FLAG_NONE};
}

struct answer *peer_ask(struct peer *peer, const struct ask *ask) {
    nghttp2_nv headers[16];
    size_t count = 0;
    peer_add(headers, &count, ":method", ask->method ? ask->method : "POST");
    peer_add(headers, &count, ":scheme", "http");
    peer_add(headers, &count, ":path", ask->path);
    peer_add(headers, &count, ":authority", "test");
    peer_add(headers, &count, "te", "trailers");
    peer_add(headers, &count, "content-type", ask->type ? ask->type : "application/grpc");
    peer_add(headers, &count, "grpc-timeout", ask->timeout);
    peer_add(headers, &count, "grpc-encoding", ask->encoding);
    peer_add(headers, &count, "hasleader", ask->leader);
    struct answer *answer = calloc(1, sizeof *answer);
    assert_non_null(answer);
    assert_true(peer->answer_count < sizeof peer->answers / sizeof *peer->answers);
    peer->answers[peer->answer_count++] = answer;
    answer->code = -1;
    answer->outgoing = (struct outgoing){ask->body, ask->size, ask->piece, ask->unended};
    nghttp2_data_provider provider = {.source.ptr = &answer->outgoing, .read_callback = peer_read};
    answer->id = nghttp2_submit_request(peer->session, NULL, headers, count, &provider, NULL);
    assert_true(answer->id > 0);
    peer_send(peer);
    return answer;
}

void peer_await(struct peer *peer, const struct answer *answer) {
    peer_until(peer, answer->closed);
}

struct answer *peer_call(struct peer *peer, const struct ask *ask) {
    struct answer *answer = peer_ask(peer, ask);
    peer_await(peer, answer);
    return answer;
}

uint8_t *peer_frame(const ProtobufCMessage *request, size_t *size) {
    size_t length = protobuf_c_message_get_packed_size(request);
    uint8_t *frame = malloc(length + 5);
    assert_non_null(frame);
    frame[0] = 0;
    for (unsigned i = 0; i < 4; i++)
        frame[1 + i] = (uint8_t)(length >> (24 - 8 * i));
    protobuf_c_message_pack(request, frame + 5);
    *size = length + 5;
    return frame;
}

ProtobufCMessage *peer_rpc(struct peer *peer, const char *path, const ProtobufCMessage *request,
                           const ProtobufCMessageDescriptor *type) {
    size_t size;
    uint8_t *frame = peer_frame(request, &size);
    struct answer *answer = peer_call(peer, &(struct ask){.path = path, .body = frame, .size = size});
    free(frame);
    assert_string_equal(answer->text, "");
    assert_int_equal(answer->code, 0);
    assert_string_equal(answer->http, "200");
    assert_string_equal(answer->type, "application/grpc");
    assert_true(answer->size >= 5);
    assert_int_equal(answer->body[0], 0);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, answer->size - 5, answer->body + 5);
    assert_non_null(message);
    return message;
}

void peer_rpc_fails(struct peer *peer, const char *path, const ProtobufCMessage *request, int code, const char *text) {
    size_t size;
    uint8_t *frame = peer_frame(request, &size);
    struct answer *answer = peer_call(peer, &(struct ask){.path = path, .body = frame, .size = size});
    free(frame);
    assert_string_equal(answer->text, text);
    assert_int_equal(answer->code, code);
    assert_string_equal(answer->http, "200");
    assert_int_equal(answer->size, 0);
}

char *peer_raw(uint16_t port, const void *data, size_t size) {
    int made = peer_connect(port);
    size_t received = 0, room = 65536;
    char *text = calloc(1, room);
    assert_non_null(text);
    ssize_t sent = send(made, data, size, MSG_NOSIGNAL);
    (void)sent; /* the server may have closed before it took all */
    for (;;) {
        struct pollfd poller = {.fd = made, .events = POLLIN};
        assert_int_equal(poll(&poller, 1, PEER_WAIT_MS), 1);
        ssize_t n = recv(made, text + received, room - 1 - received, 0);
        if (n <= 0)
            break;
        received += (size_t)n;
    }
    close(made);
    return text;
}
