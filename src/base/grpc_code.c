/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of gRPC's status codes.
 */
#include "base/grpc_code.h"

#include <stddef.h>
#include <stdio.h>

const char *grpc_code_name(int code, char unknown[24]) {
    static const char *const names[GRPC_CODES] = {
        "OK",       "Canceled",        "Unknown",          "InvalidArgument",   "DeadlineExceeded",
        "NotFound", "AlreadyExists",   "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
        "Aborted",  "OutOfRange",      "Unimplemented",    "Internal",          "Unavailable",
        "DataLoss", "Unauthenticated",
    };
    if (code >= 0 && code < GRPC_CODES)
        return names[code];
    (void)snprintf(unknown, 24, "Code(%d)", code);
    return unknown;
}
