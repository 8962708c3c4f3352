/* SPDX-License-Identifier: Apache-2.0
 *
 * One request against a list of endpoints: the next one is tried when one cannot
 * serve, as long as that cannot carry a write out twice.
 */
#ifndef LASH_LASHCTL_ENDPOINTS_H
#define LASH_LASHCTL_ENDPOINTS_H

#include "lashctl/ctl.h"

/* What may be done again. */
enum endpoints_kind {
    ENDPOINTS_READ, /* on another endpoint whenever one is unavailable */
    ENDPOINTS_WRITE /* only when nothing was sent, or a learner refused it: else the outcome of what was sent is unknown */
};

/* Call `path` on the first of the ctl's endpoints that serves it, within the command timeout. Returns the response, to be
 * freed with grpc_message_free, or NULL with the reason in `status`. */
ProtobufCMessage *endpoints_call(const struct ctl *ctl, enum endpoints_kind kind, const char *path,
                                 const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                                 struct grpc_status *status);

/* The same on one endpoint only, until `deadline`. */
ProtobufCMessage *endpoints_call_one(const struct ctl *ctl, const char *endpoint, const char *path,
                                     const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                                     uint64_t deadline, struct grpc_status *status);

#endif
