/* SPDX-License-Identifier: Apache-2.0
 *
 * One request against a list of endpoints; see endpoints.h.
 */
#include "lashctl/endpoints.h"

#include <string.h>

#include "base/assert.h"
#include "lashctl/clock.h"

ProtobufCMessage *endpoints_call_one(const struct ctl *ctl, const char *endpoint, const char *path,
                                     const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                                     uint64_t deadline, struct grpc_status *status) {
    uint64_t dial = clock_after_ms(ctl->dial_timeout_ms);
    struct grpc_client *client = grpc_client_open(endpoint, dial < deadline ? dial : deadline, status);
    if (!client)
        return NULL;
    grpc_client_read_as(client, ctl->read_as);
    ProtobufCMessage *response = grpc_client_call(client, path, request, type, deadline, status);
    grpc_client_close(client);
    return response;
}

/* A learner, or a witness, refuses what it does not serve before it does anything, so that another endpoint may be asked for a write,
 * too. The first text is etcd's; its code is not the same in all versions. */
static bool endpoints_is_refused(const struct grpc_status *status) {
    return strcmp(status->message, "etcdserver: rpc not supported for learner") == 0 ||
           strcmp(status->message, "etcdserver: this member is a witness and keeps no data") == 0;
}

ProtobufCMessage *endpoints_call(const struct ctl *ctl, enum endpoints_kind kind, const char *path,
                                 const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                                 struct grpc_status *status) {
    LASH_ASSERT(ctl->endpoint_count > 0);
    uint64_t deadline = clock_after_ms(ctl->command_timeout_ms);
    for (size_t at = 0; at < ctl->endpoint_count; at++) {
        ProtobufCMessage *response = endpoints_call_one(ctl, ctl->endpoints[at], path, request, type, deadline, status);
        if (response)
            return response;
        bool elsewhere = status->code == GRPC_UNAVAILABLE && (kind == ENDPOINTS_READ || !status->sent);
        if ((!elsewhere && !endpoints_is_refused(status)) || clock_ms_left(deadline) == 0)
            break;
    }
    return NULL;
}
