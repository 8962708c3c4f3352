/* SPDX-License-Identifier: Apache-2.0
 *
 * A gRPC client that also says what no proper one says: a raw HTTP/2 session on a
 * blocking socket, with every header and byte in the test's hands.
 */
#ifndef LASH_TEST_API_PEER_H
#define LASH_TEST_API_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nghttp2/nghttp2.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

enum { PEER_WAIT_MS = 20000 }; /* what a test waits for comes at once, or is a failure */

/* A body on its way out; its bytes stay the test's. */
struct outgoing {
    const uint8_t *data;
    size_t size;
    size_t piece;
    bool unended;
};

/* What came back on a stream. */
struct answer {
    int32_t id;
    bool closed;
    uint32_t reset; /* RST_STREAM's code, if it ended so */
    char http[8];
    char type[64];
    int code; /* grpc-status; -1: none */
    char text[1024];
    uint8_t *body;
    size_t size;
    struct outgoing outgoing;
};

/* A request. Zero fields mean the usual. */
struct ask {
    const char *path;
    const char *method; /* POST */
    const char *type;   /* application/grpc */
    const char *timeout;
    const char *encoding;
    const char *leader; /* hasleader */
    const void *body;   /* with its prefix */
    size_t size;
    size_t piece; /* bytes per DATA frame; 0: as many as fit */
    bool unended; /* do not end the stream */
};

struct peer {
    int socket;
    nghttp2_session *session;
    bool gone;   /* the server closed */
    bool goaway; /* it announced that */
    size_t pongs;
    struct answer *answers[64];
    size_t answer_count;
    uint32_t window; /* of a stream; 0: HTTP/2's default */
};

int peer_connect(uint16_t port);

void peer_open(struct peer *peer, uint16_t port);
void peer_close(struct peer *peer);

/* Begin a request; what comes back is collected in the answer, which lives as long as the peer. */
struct answer *peer_ask(struct peer *peer, const struct ask *ask);

/* Exchange bytes until the answer is there. */
void peer_await(struct peer *peer, const struct answer *answer);

/* Exchange bytes until the condition, which is looked at again after each piece. */
#define peer_until(peer, condition)                                                                                    \
    do {                                                                                                               \
        while (!(condition))                                                                                           \
            assert_true(peer_step(peer));                                                                              \
    } while (0)
bool peer_step(struct peer *peer);

/* A whole call. */
struct answer *peer_call(struct peer *peer, const struct ask *ask);

/* Call with a message and expect one of `type`, to be freed with protobuf_c_message_free_unpacked(m, NULL). */
ProtobufCMessage *peer_rpc(struct peer *peer, const char *path, const ProtobufCMessage *request,
                           const ProtobufCMessageDescriptor *type);

/* Call with a message and expect this error. */
void peer_rpc_fails(struct peer *peer, const char *path, const ProtobufCMessage *request, int code, const char *text);

/* A message with its gRPC prefix; to be freed. */
uint8_t *peer_frame(const ProtobufCMessage *request, size_t *size);

/* Send bytes on a connection of their own and read until the server closes; to be freed. */
char *peer_raw(uint16_t port, const void *data, size_t size);

#endif
