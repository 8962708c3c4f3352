/* SPDX-License-Identifier: Apache-2.0
 *
 * A small gRPC client: one cleartext HTTP/2 connection to one endpoint, unary
 * calls one after another, each with a deadline. lashctl, the load generator and
 * the tests share it.
 *
 * Threads: a client belongs to one thread at a time; different clients are
 * independent of each other.
 */
#ifndef LASH_LASHCTL_GRPC_CLIENT_H
#define LASH_LASHCTL_GRPC_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/grpc_code.h"

/* How a call, or an attempt to connect, ended. */
struct grpc_status {
    int code;          /* enum grpc_code, or whatever number the server sent */
    bool sent;         /* whether the server may have seen the request: when false, a retry elsewhere is safe */
    char message[512]; /* the server's text, percent-decoded, or ours; cut when longer */
};

struct grpc_client;

/* Connect to `endpoint` ("host:port", "[v6]:port", with or without "http://"; the default port is 2379) and wait for the
 * server's HTTP/2 settings until `deadline` (clock_ns). On success returns the client, to be closed; else NULL with the
 * reason in `status`: GRPC_UNAVAILABLE, GRPC_INVALID_ARGUMENT (the endpoint's form) or GRPC_RESOURCE_EXHAUSTED (memory). */
struct grpc_client *grpc_client_open(const char *endpoint, uint64_t deadline, struct grpc_status *status);

/* Have the calls that follow say how linearizable reads are made (metadata `lash-read`); the text stays the caller's. NULL: they do
 * not. */
void grpc_client_read_as(struct grpc_client *client, const char *how);

/* Whether another call can be tried: the connection has neither broken nor been refused further use. */
bool grpc_client_usable(const struct grpc_client *client);

/* Call the unary method at `path` ("/package.Service/Method") with `request`, until `deadline`. Returns the response
 * decoded as `type`, to be freed with grpc_message_free, when the status is GRPC_OK; else NULL.
 * A deadline that passes is GRPC_DEADLINE_EXCEEDED; a connection that breaks is GRPC_UNAVAILABLE. */
ProtobufCMessage *grpc_client_call(struct grpc_client *client, const char *path, const ProtobufCMessage *request,
                                   const ProtobufCMessageDescriptor *type, uint64_t deadline,
                                   struct grpc_status *status);

/* What takes the messages of an answer that is a stream: false to give the call up. The message is valid during the call. */
typedef bool (*grpc_take_fn)(void *context, const ProtobufCMessage *message);

/* Call the method at `path`, whose answer is a stream of messages of `type`, and hand each to `take`. There is no deadline: the server
 * may take its time, but when nothing is heard from it for `idle_ms` it is asked whether it lives, and given up after as long
 * again. The status is GRPC_OK once the server said so behind the last message; GRPC_CANCELLED after a false. */
void grpc_client_stream(struct grpc_client *client, const char *path, const ProtobufCMessage *request,
                        const ProtobufCMessageDescriptor *type, uint64_t idle_ms, grpc_take_fn take, void *context,
                        struct grpc_status *status);

/* Say good-bye and release everything. NULL is allowed. */
void grpc_client_close(struct grpc_client *client);

void grpc_message_free(ProtobufCMessage *message);

#endif
