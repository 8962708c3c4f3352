/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of errors that clients see.
 */
#include "api/errors.h"

#include "base/assert.h"

static const struct {
    enum grpc_code code;
    const char *text;
} errors[API_ERROR_COUNT] = {
    [API_OK] = {GRPC_OK, ""},
    [API_EMPTY_KEY] = {GRPC_INVALID_ARGUMENT, "etcdserver: key is not provided"},
    [API_KEY_NOT_FOUND] = {GRPC_INVALID_ARGUMENT, "etcdserver: key not found"},
    [API_VALUE_PROVIDED] = {GRPC_INVALID_ARGUMENT, "etcdserver: value is provided"},
    [API_LEASE_PROVIDED] = {GRPC_INVALID_ARGUMENT, "etcdserver: lease is provided"},
    [API_TOO_MANY_OPS] = {GRPC_INVALID_ARGUMENT, "etcdserver: too many operations in txn request"},
    [API_DUPLICATE_KEY] = {GRPC_INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"},
    [API_INVALID_SORT] = {GRPC_INVALID_ARGUMENT, "etcdserver: invalid sort option"},
    [API_COMPACTED] = {GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"},
    [API_FUTURE_REVISION] = {GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"},
    [API_LEASE_NOT_FOUND] = {GRPC_NOT_FOUND, "etcdserver: requested lease not found"},
    [API_NO_SPACE] = {GRPC_RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"},
    [API_REQUEST_TOO_LARGE] = {GRPC_INVALID_ARGUMENT, "etcdserver: request is too large"},
    [API_TOO_MANY_REQUESTS] = {GRPC_RESOURCE_EXHAUSTED, "etcdserver: too many requests"},
    [API_NO_LEADER] = {GRPC_UNAVAILABLE, "etcdserver: no leader"},
    [API_NOT_LEADER] = {GRPC_FAILED_PRECONDITION, "etcdserver: not leader"},
    [API_BAD_TRANSFEREE] = {GRPC_FAILED_PRECONDITION, "etcdserver: bad leader transferee"},
    [API_TIMEOUT_TRANSFER] = {GRPC_UNAVAILABLE, "etcdserver: request timed out, leader transfer took too long"},
    [API_LEADER_CHANGED] = {GRPC_UNAVAILABLE, "etcdserver: leader changed"},
    [API_STOPPED] = {GRPC_UNAVAILABLE, "etcdserver: server stopped"},
    [API_TIMEOUT] = {GRPC_UNAVAILABLE, "etcdserver: request timed out"},
    [API_TIMEOUT_LEADER_FAIL] = {GRPC_UNAVAILABLE,
                                 "etcdserver: request timed out, possibly due to previous leader failure"},
    [API_DEADLINE_EXCEEDED] = {GRPC_DEADLINE_EXCEEDED, "etcdserver: context deadline exceeded"},
    [API_MEMBER_BAD_URLS] = {GRPC_INVALID_ARGUMENT, "etcdserver: given member URLs are invalid"},
    [API_MEMBER_EXISTS] = {GRPC_FAILED_PRECONDITION, "etcdserver: member ID already exist"},
    [API_MEMBER_NOT_FOUND] = {GRPC_NOT_FOUND, "etcdserver: member not found"},
    [API_MEMBER_NOT_LEARNER] = {GRPC_FAILED_PRECONDITION, "etcdserver: can only promote a learner member"},
    [API_MEMBER_NOT_STARTED] = {GRPC_FAILED_PRECONDITION,
                                "etcdserver: re-configuration failed due to not enough started members"},
    [API_PEER_URL_EXISTS] = {GRPC_FAILED_PRECONDITION, "etcdserver: Peer URLs already exists"},
    [API_LEARNER_NOT_READY] = {GRPC_FAILED_PRECONDITION,
                               "etcdserver: can only promote a learner member which is in sync with leader"},
    [API_LEARNERS_TOO_MANY] = {GRPC_FAILED_PRECONDITION, "etcdserver: too many learner members in cluster"},
    [API_LEARNER_UNSUPPORTED] = {GRPC_FAILED_PRECONDITION, "etcdserver: rpc not supported for learner"},
    [API_WITNESS_UNSUPPORTED] = {GRPC_UNAVAILABLE, "etcdserver: this member is a witness and keeps no data"},
    [API_MEMBERS_TOO_MANY] = {GRPC_FAILED_PRECONDITION, "lash: a cluster has at most 16 members"},
    [API_UNHEALTHY] = {GRPC_UNAVAILABLE, "etcdserver: unhealthy cluster"},
    [API_NOT_CAPABLE] = {GRPC_FAILED_PRECONDITION, "etcdserver: not capable"},
    [API_UNKNOWN_SERVICE] = {GRPC_NOT_FOUND, "unknown service"},
    [API_INVALID_REQUEST] = {GRPC_INVALID_ARGUMENT, "etcdserver: invalid request"},
    [API_BAD_MESSAGE] = {GRPC_INTERNAL, "grpc: error unmarshalling request"},
    [API_NO_MESSAGE] = {GRPC_INTERNAL, "grpc: the request stream ended before a whole message"},
    [API_MANY_MESSAGES] = {GRPC_INTERNAL, "grpc: more than one message for a unary method"},
    [API_NOT_COMPRESSED] = {GRPC_INTERNAL, "grpc: compressed flag set with identity or empty encoding"},
    [API_NO_MEMORY] = {GRPC_RESOURCE_EXHAUSTED, "lash: out of memory"},
    [API_FAILED] = {GRPC_INTERNAL, "lash: this member cannot read its data; see its log"},
};

static const enum api_error errors_store[] = {
    [STORE_OK] = API_OK,
    [STORE_EMPTY_KEY] = API_EMPTY_KEY,
    [STORE_KEY_NOT_FOUND] = API_KEY_NOT_FOUND,
    [STORE_VALUE_PROVIDED] = API_VALUE_PROVIDED,
    [STORE_LEASE_PROVIDED] = API_LEASE_PROVIDED,
    [STORE_TOO_MANY_OPS] = API_TOO_MANY_OPS,
    [STORE_DUPLICATE_KEY] = API_DUPLICATE_KEY,
    [STORE_INVALID_SORT] = API_INVALID_SORT,
    [STORE_COMPACTED] = API_COMPACTED,
    [STORE_FUTURE_REVISION] = API_FUTURE_REVISION,
    [STORE_LEASE_NOT_FOUND] = API_LEASE_NOT_FOUND,
    [STORE_NO_SPACE] = API_NO_SPACE,
    [STORE_INVALID_REQUEST] = API_INVALID_REQUEST,
    [STORE_FAILED] = API_FAILED,
};

struct errors_of {
    int error;
    enum api_error means;
};

static const struct errors_of errors_node[] = {
    {LASH_OK, API_OK},
    {LASH_NO_LEADER, API_NO_LEADER},
    {LASH_WITNESS, API_WITNESS_UNSUPPORTED},
    {LASH_NOT_LEADER, API_NO_LEADER},
    {LASH_DROPPED, API_LEADER_CHANGED},
    {LASH_UNKNOWN, API_TIMEOUT_LEADER_FAIL},
    {LASH_TIMEOUT, API_TIMEOUT},
    {LASH_BUSY, API_TOO_MANY_REQUESTS},
    {LASH_BACKLOG, API_TOO_MANY_REQUESTS},
    {LASH_TOO_LARGE, API_REQUEST_TOO_LARGE},
    {LASH_CLOSED, API_STOPPED},
    {LASH_NOMEM, API_NO_MEMORY},
    {LASH_FULL, API_NO_SPACE},
    {LASH_VERSION, API_NOT_CAPABLE}, /* a large command, while a member does not know parts */
};

/* What means something else, of changes of the membership. A new member's id is like no other: what exists is the address, with
 * which another request was quicker. */
static const struct errors_of errors_change[] = {
    {LASH_EXISTS, API_PEER_URL_EXISTS},     {LASH_NOT_FOUND, API_MEMBER_NOT_FOUND},
    {LASH_BEHIND, API_LEARNER_NOT_READY},   {LASH_INVALID, API_MEMBER_NOT_STARTED}, /* nobody would be left to vote */
    {LASH_TOO_LARGE, API_MEMBERS_TOO_MANY}, {LASH_VERSION, API_NOT_CAPABLE},
};

enum grpc_code errors_code(enum api_error error) {
    LASH_ASSERT((size_t)error < API_ERROR_COUNT);
    return errors[error].code;
}

const char *errors_text(enum api_error error) {
    LASH_ASSERT((size_t)error < API_ERROR_COUNT && errors[error].text);
    return errors[error].text;
}

enum api_error errors_of_store(enum store_error error) {
    LASH_ASSERT((size_t)error < sizeof errors_store / sizeof *errors_store);
    return errors_store[error];
}

static enum api_error errors_look_up(const struct errors_of *table, size_t count, int error) {
    for (size_t i = 0; i < count; i++)
        if (table[i].error == error)
            return table[i].means;
    return API_FAILED;
}

enum api_error errors_of_node(int error) {
    return errors_look_up(errors_node, sizeof errors_node / sizeof *errors_node, error);
}

enum api_error errors_of_change(int error) {
    enum api_error means = errors_look_up(errors_change, sizeof errors_change / sizeof *errors_change, error);
    return means == API_FAILED ? errors_of_node(error) : means;
}
