/* SPDX-License-Identifier: Apache-2.0
 *
 * The errors that clients see: gRPC codes and the exact texts of the etcd v3
 * API, by which clients recognise them.
 */
#ifndef LASH_API_ERRORS_H
#define LASH_API_ERRORS_H

#include "base/grpc_code.h"
#include "store/store.h"

enum api_error {
    API_OK = 0,
    API_EMPTY_KEY,
    API_KEY_NOT_FOUND,
    API_VALUE_PROVIDED,
    API_LEASE_PROVIDED,
    API_TOO_MANY_OPS,
    API_DUPLICATE_KEY,
    API_INVALID_SORT,
    API_COMPACTED,
    API_FUTURE_REVISION,
    API_LEASE_NOT_FOUND,
    API_NO_SPACE,
    API_REQUEST_TOO_LARGE,
    API_TOO_MANY_REQUESTS,
    API_NO_LEADER,
    API_NOT_LEADER,
    API_BAD_TRANSFEREE,
    API_TIMEOUT_TRANSFER,
    API_LEADER_CHANGED,
    API_STOPPED,
    API_TIMEOUT,
    API_TIMEOUT_LEADER_FAIL,
    API_DEADLINE_EXCEEDED,
    API_MEMBER_BAD_URLS,
    API_MEMBER_EXISTS,
    API_MEMBER_NOT_FOUND,
    API_MEMBER_NOT_LEARNER,
    API_MEMBER_NOT_STARTED, /* too few members have started for the change */
    API_PEER_URL_EXISTS,
    API_LEARNER_NOT_READY,
    API_LEARNERS_TOO_MANY,
    API_LEARNER_UNSUPPORTED, /* a learner does not serve this */
    API_WITNESS_UNSUPPORTED, /* a witness, that keeps no data, does not serve this */
    API_MEMBERS_TOO_MANY,
    API_UNHEALTHY,
    API_NOT_CAPABLE,
    API_UNKNOWN_SERVICE, /* of the health check */
    API_INVALID_REQUEST, /* numbers outside their enum; etcd has no text for it */
    API_BAD_MESSAGE,     /* not a protobuf message of the method's type */
    API_NO_MESSAGE,      /* a call without a request */
    API_MANY_MESSAGES,   /* a unary call with several */
    API_NOT_COMPRESSED,  /* compressed flag without an encoding */
    API_NO_MEMORY,
    API_FAILED, /* this member's own trouble */
    API_ERROR_COUNT,
};

/* The error's code and text. Static storage. */
enum grpc_code errors_code(enum api_error error);
const char *errors_text(enum api_error error);

/* What a refusal of the store, or an error of the node, is to a client. */
enum api_error errors_of_store(enum store_error error);
enum api_error errors_of_node(int error);

/* What became of a change of the membership. */
enum api_error errors_of_change(int error);

#endif
