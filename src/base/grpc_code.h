/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC's status codes, which server and client share. The numbers are the wire's.
 */
#ifndef LASH_BASE_GRPC_CODE_H
#define LASH_BASE_GRPC_CODE_H

enum grpc_code {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
    GRPC_CODES = 17,
};

/* The name of a code as gRPC libraries print it, such as "DeadlineExceeded"; "Code(n)" is printed into `unknown`, of 24
 * bytes, for numbers outside the list. */
const char *grpc_code_name(int code, char unknown[24]);

#endif
