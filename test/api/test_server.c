/* SPDX-License-Identifier: Apache-2.0
 *
 * Each method over a real connection, and what becomes of a call when the node
 * fails it, holds it, or the client does not wait for it.
 */
#include "api/grpc.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health.pb-c.h"
#include "rpc.pb-c.h"

#define RANGE "/etcdserverpb.KV/Range"
#define PUT "/etcdserverpb.KV/Put"
#define TXN "/etcdserverpb.KV/Txn"
#define STATUS "/etcdserverpb.Maintenance/Status"
#define MOVE_LEADER "/etcdserverpb.Maintenance/MoveLeader"

enum {
    UNAVAILABLE = 14,
    INVALID_ARGUMENT = 3,
    DEADLINE_EXCEEDED = 4,
    NOT_FOUND = 5,
    EXHAUSTED = 8,
    FAILED_PRECONDITION = 9,
    OUT_OF_RANGE = 11
};

static ProtobufCBinaryData bytes(const char *text) {
    static char room[16][64];
    static size_t next;
    char *copy = room[next++ % 16];
    snprintf(copy, 64, "%s", text);
    return (ProtobufCBinaryData){strlen(copy), (uint8_t *)copy};
}

static Etcdserverpb__PutRequest put_request(const char *key, const char *value) {
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = bytes(key);
    request.value = bytes(value);
    return request;
}

static Etcdserverpb__RangeRequest range_request(const char *key) {
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    request.key = bytes(key);
    return request;
}

static void assert_header(const Etcdserverpb__ResponseHeader *header, int64_t revision) {
    assert_non_null(header);
    assert_int_equal(header->cluster_id, FIXTURE_CLUSTER);
    assert_int_equal(header->member_id, DOUBLE_ID);
    assert_int_equal(header->raft_term, DOUBLE_TERM);
    assert_int_equal(header->revision, revision);
}

static void assert_data(ProtobufCBinaryData data, const char *text) {
    assert_int_equal(data.len, strlen(text));
    if (data.len)
        assert_memory_equal(data.data, text, data.len);
}

/* ---- Methods ----------------------------------------------------------------------------------- */

static void a_key_is_put_and_read_back(void **state) {
    struct fixture *fixture = *state;
    fixture_put(&fixture->peer, "a", "1");
    Etcdserverpb__PutRequest put = put_request("a", "2");
    put.prev_kv = true;
    Etcdserverpb__PutResponse *put_answer =
        (Etcdserverpb__PutResponse *)peer_rpc(&fixture->peer, PUT, &put.base, &etcdserverpb__put_response__descriptor);
    assert_header(put_answer->header, 3);
    assert_data(put_answer->prev_kv->value, "1");
    protobuf_c_message_free_unpacked(&put_answer->base, NULL);

    Etcdserverpb__RangeRequest range = range_request("a");
    Etcdserverpb__RangeResponse *answer = (Etcdserverpb__RangeResponse *)peer_rpc(
        &fixture->peer, RANGE, &range.base, &etcdserverpb__range_response__descriptor);
    assert_header(answer->header, 3);
    assert_int_equal(answer->count, 1);
    assert_int_equal(answer->n_kvs, 1);
    assert_data(answer->kvs[0]->key, "a");
    assert_data(answer->kvs[0]->value, "2");
    assert_int_equal(answer->kvs[0]->create_revision, 2);
    assert_int_equal(answer->kvs[0]->mod_revision, 3);
    assert_int_equal(answer->kvs[0]->version, 2);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
}

static void a_range_is_cut_by_its_limit_and_counted_whole(void **state) {
    struct fixture *fixture = *state;
    fixture_put(&fixture->peer, "k1", "1");
    fixture_put(&fixture->peer, "k2", "2");
    fixture_put(&fixture->peer, "k3", "3");
    Etcdserverpb__RangeRequest range = range_request("k");
    range.range_end = bytes("l");
    range.limit = 2;
    range.sort_order = ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__DESCEND;
    Etcdserverpb__RangeResponse *answer = (Etcdserverpb__RangeResponse *)peer_rpc(
        &fixture->peer, RANGE, &range.base, &etcdserverpb__range_response__descriptor);
    assert_int_equal(answer->count, 3);
    assert_int_equal(answer->n_kvs, 2);
    assert_true(answer->more);
    assert_data(answer->kvs[0]->key, "k3");
    protobuf_c_message_free_unpacked(&answer->base, NULL);
}

static void a_range_is_deleted_and_given_back(void **state) {
    struct fixture *fixture = *state;
    fixture_put(&fixture->peer, "k1", "1");
    fixture_put(&fixture->peer, "k2", "2");
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = bytes("k");
    request.range_end = bytes("l");
    request.prev_kv = true;
    Etcdserverpb__DeleteRangeResponse *answer =
        (Etcdserverpb__DeleteRangeResponse *)peer_rpc(&fixture->peer, "/etcdserverpb.KV/DeleteRange", &request.base,
                                                      &etcdserverpb__delete_range_response__descriptor);
    assert_header(answer->header, 4);
    assert_int_equal(answer->deleted, 2);
    assert_int_equal(answer->n_prev_kvs, 2);
    assert_data(answer->prev_kvs[1]->value, "2");
    protobuf_c_message_free_unpacked(&answer->base, NULL);
}

/* If "k" does not exist: put it, read it, and in a transaction within delete it. */
static Etcdserverpb__TxnResponse *run_txn(struct peer *peer) {
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
    Etcdserverpb__Compare *compares[] = {&compare};
    compare.key = bytes("k");
    compare.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
    compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
    compare.mod_revision = 0;
    Etcdserverpb__PutRequest put = put_request("k", "v");
    Etcdserverpb__RangeRequest range = range_request("k");
    Etcdserverpb__DeleteRangeRequest delete_range = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    delete_range.key = bytes("other");
    Etcdserverpb__RequestOp inner_op = ETCDSERVERPB__REQUEST_OP__INIT;
    Etcdserverpb__RequestOp *inner_ops[] = {&inner_op};
    inner_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
    inner_op.request_delete_range = &delete_range;
    Etcdserverpb__TxnRequest inner = ETCDSERVERPB__TXN_REQUEST__INIT;
    inner.success = inner_ops;
    inner.n_success = 1;
    Etcdserverpb__RequestOp ops[3];
    Etcdserverpb__RequestOp *success[] = {&ops[0], &ops[1], &ops[2]};
    for (size_t i = 0; i < 3; i++)
        etcdserverpb__request_op__init(&ops[i]);
    ops[0].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    ops[0].request_put = &put;
    ops[1].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    ops[1].request_range = &range;
    ops[2].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN;
    ops[2].request_txn = &inner;
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    txn.compare = compares;
    txn.n_compare = 1;
    txn.success = success;
    txn.n_success = 3;
    return (Etcdserverpb__TxnResponse *)peer_rpc(peer, TXN, &txn.base, &etcdserverpb__txn_response__descriptor);
}

static void a_transaction_answers_each_of_its_operations(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__TxnResponse *answer = run_txn(&fixture->peer);
    assert_header(answer->header, 2);
    assert_true(answer->succeeded);
    assert_int_equal(answer->n_responses, 3);
    assert_int_equal(answer->responses[0]->response_case, ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_PUT);
    assert_int_equal(answer->responses[0]->response_put->header->revision, 2);
    assert_int_equal(answer->responses[0]->response_put->header->cluster_id, 0);
    assert_data(answer->responses[1]->response_range->kvs[0]->value, "v");
    assert_true(answer->responses[2]->response_txn->succeeded);
    assert_int_equal(answer->responses[2]->response_txn->header->revision, 0);
    assert_int_equal(answer->responses[2]->response_txn->responses[0]->response_delete_range->deleted, 0);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    answer = run_txn(&fixture->peer);
    assert_header(answer->header, 2); /* nothing changed */
    assert_false(answer->succeeded);
    assert_int_equal(answer->n_responses, 0);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
}

static void an_operation_without_a_request_is_key_not_found(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__RequestOp nothing = ETCDSERVERPB__REQUEST_OP__INIT;
    Etcdserverpb__RequestOp *ops[] = {&nothing};
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    txn.success = ops;
    txn.n_success = 1;
    peer_rpc_fails(&fixture->peer, TXN, &txn.base, INVALID_ARGUMENT, "etcdserver: key not found");
}

static void a_compacted_revision_is_out_of_range(void **state) {
    struct fixture *fixture = *state;
    fixture_put(&fixture->peer, "a", "1");
    fixture_put(&fixture->peer, "a", "2");
    Etcdserverpb__CompactionRequest request = ETCDSERVERPB__COMPACTION_REQUEST__INIT;
    request.revision = 3;
    Etcdserverpb__CompactionResponse *answer = (Etcdserverpb__CompactionResponse *)peer_rpc(
        &fixture->peer, "/etcdserverpb.KV/Compact", &request.base, &etcdserverpb__compaction_response__descriptor);
    assert_header(answer->header, 3);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    peer_rpc_fails(&fixture->peer, "/etcdserverpb.KV/Compact", &request.base, OUT_OF_RANGE,
                   "etcdserver: mvcc: required revision has been compacted");
    Etcdserverpb__RangeRequest range = range_request("a");
    range.revision = 2;
    peer_rpc_fails(&fixture->peer, RANGE, &range.base, OUT_OF_RANGE,
                   "etcdserver: mvcc: required revision has been compacted");
    range.revision = 9;
    peer_rpc_fails(&fixture->peer, RANGE, &range.base, OUT_OF_RANGE,
                   "etcdserver: mvcc: required revision is a future revision");
}

static void refusals_of_the_store_have_etcds_texts(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__PutRequest put = put_request("", "v");
    peer_rpc_fails(&fixture->peer, PUT, &put.base, INVALID_ARGUMENT, "etcdserver: key is not provided");
    put = put_request("none", "");
    put.ignore_value = true;
    peer_rpc_fails(&fixture->peer, PUT, &put.base, INVALID_ARGUMENT, "etcdserver: key not found");
    put.value = bytes("v");
    peer_rpc_fails(&fixture->peer, PUT, &put.base, INVALID_ARGUMENT, "etcdserver: value is provided");
    put = put_request("k", "v");
    put.lease = 77;
    peer_rpc_fails(&fixture->peer, PUT, &put.base, NOT_FOUND, "etcdserver: requested lease not found");
    Etcdserverpb__RangeRequest range = range_request("k");
    range.sort_target = (Etcdserverpb__RangeRequest__SortTarget)9;
    peer_rpc_fails(&fixture->peer, RANGE, &range.base, INVALID_ARGUMENT, "etcdserver: invalid sort option");
}

static Etcdserverpb__StatusResponse *ask_status(struct peer *peer) {
    Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
    return (Etcdserverpb__StatusResponse *)peer_rpc(peer, STATUS, &request.base,
                                                    &etcdserverpb__status_response__descriptor);
}

static void status_tells_of_leader_and_log(void **state) {
    struct fixture *fixture = *state;
    fixture_put(&fixture->peer, "a", "1");
    Etcdserverpb__StatusResponse *answer = ask_status(&fixture->peer);
    assert_header(answer->header, 2);
    assert_string_equal(answer->version, SERVER_VERSION);
    assert_int_equal(answer->leader, DOUBLE_ID);
    assert_true(answer->raftindex >= 1);
    assert_int_equal(answer->raftappliedindex, answer->raftindex);
    assert_int_equal(answer->raftterm, DOUBLE_TERM);
    assert_true(answer->dbsize >= answer->dbsizeinuse && answer->dbsizeinuse > 0);
    assert_int_equal(answer->n_errors, 0);
    assert_false(answer->islearner);
    assert_string_equal(answer->storageversion, "");
    protobuf_c_message_free_unpacked(&answer->base, NULL);
}

/* What the end of a transfer is to the client. */
static void a_transfers_end_is_told_in_etcds_words(void **state) {
    static const struct {
        int error;
        int code;
        const char *text;
    } ends[] = {{LASH_NOT_LEADER, FAILED_PRECONDITION, "etcdserver: not leader"},
                {LASH_INVALID, FAILED_PRECONDITION, "etcdserver: bad leader transferee"},
                {LASH_TIMEOUT, UNAVAILABLE, "etcdserver: request timed out, leader transfer took too long"},
                {LASH_NOT_FOUND, UNAVAILABLE, "etcdserver: request timed out, leader transfer took too long"},
                {LASH_CLOSED, UNAVAILABLE, "etcdserver: server stopped"}};
    struct fixture *fixture = *state;
    Etcdserverpb__MoveLeaderRequest request = ETCDSERVERPB__MOVE_LEADER_REQUEST__INIT;
    peer_rpc_fails(&fixture->peer, MOVE_LEADER, &request.base, FAILED_PRECONDITION,
                   "etcdserver: bad leader transferee");
    request.targetid = 5;
    protobuf_c_message_free_unpacked(
        peer_rpc(&fixture->peer, MOVE_LEADER, &request.base, &etcdserverpb__move_leader_response__descriptor), NULL);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        double_set_failure(fixture->node, ends[i].error);
        peer_rpc_fails(&fixture->peer, MOVE_LEADER, &request.base, ends[i].code, ends[i].text);
    }
    double_set_failure(fixture->node, 0);
    double_set_leader(fixture->node, 5);
    peer_rpc_fails(&fixture->peer, MOVE_LEADER, &request.base, FAILED_PRECONDITION, "etcdserver: not leader");
}

/* The server publishes this member's URLs by itself; the other member has not spoken. */
static void members_are_listed_with_what_they_published(void **state) {
    struct fixture *fixture = *state;
    fixture_await_published(fixture);
    Etcdserverpb__MemberListResponse *answer = fixture_list(fixture);
    assert_header(answer->header, 0);
    assert_int_equal(answer->n_members, 2);
    assert_int_equal(answer->members[0]->id, DOUBLE_ID);
    assert_string_equal(answer->members[0]->name, "n1");
    assert_string_equal(answer->members[0]->peerurls[0], "http://127.0.0.1:1");
    assert_int_equal(answer->members[0]->n_clienturls, 2);
    assert_string_equal(answer->members[0]->clienturls[1], "http://client:2");
    assert_string_equal(answer->members[1]->name, "n2");
    assert_string_equal(answer->members[1]->peerurls[0], "http://127.0.0.1:2");
    assert_int_equal(answer->members[1]->n_clienturls, 0);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
}

static int ask_health(struct peer *peer) {
    Grpc__Health__V1__HealthCheckRequest request;
    grpc__health__v1__health_check_request__init(&request);
    Grpc__Health__V1__HealthCheckResponse *answer = (Grpc__Health__V1__HealthCheckResponse *)peer_rpc(
        peer, "/grpc.health.v1.Health/Check", &request.base, &grpc__health__v1__health_check_response__descriptor);
    int status = (int)answer->status;
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    return status;
}

static void health_is_serving_until_the_node_stops(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(ask_health(&fixture->peer), GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    double_set_error(fixture->node, LASH_IO);
    assert_int_equal(ask_health(&fixture->peer), GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
    Grpc__Health__V1__HealthCheckRequest request;
    grpc__health__v1__health_check_request__init(&request);
    char service[] = "other";
    request.service = service;
    peer_rpc_fails(&fixture->peer, "/grpc.health.v1.Health/Check", &request.base, NOT_FOUND, "unknown service");
}

/* ---- The node's trouble ------------------------------------------------------------------------ */

static const struct {
    int error;
    int code;
    const char *text;
} endings[] = {
    {LASH_NO_LEADER, UNAVAILABLE, "etcdserver: no leader"},
    {LASH_DROPPED, UNAVAILABLE, "etcdserver: leader changed"},
    {LASH_UNKNOWN, UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure"},
    {LASH_TIMEOUT, UNAVAILABLE, "etcdserver: request timed out"},
    {LASH_CLOSED, UNAVAILABLE, "etcdserver: server stopped"},
    {LASH_BUSY, EXHAUSTED, "etcdserver: too many requests"},
    {LASH_BACKLOG, EXHAUSTED, "etcdserver: too many requests"},
    {LASH_TOO_LARGE, INVALID_ARGUMENT, "etcdserver: request is too large"},
};

static void a_request_that_the_node_fails_or_refuses_says_why(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__PutRequest put = put_request("a", "1");
    Etcdserverpb__RangeRequest range = range_request("a");
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        double_set_failure(fixture->node, endings[i].error);
        peer_rpc_fails(&fixture->peer, PUT, &put.base, endings[i].code, endings[i].text);
        peer_rpc_fails(&fixture->peer, RANGE, &range.base, endings[i].code, endings[i].text);
        double_set_failure(fixture->node, 0);
        double_set_refusal(fixture->node, endings[i].error);
        peer_rpc_fails(&fixture->peer, PUT, &put.base, endings[i].code, endings[i].text);
        peer_rpc_fails(&fixture->peer, RANGE, &range.base, endings[i].code, endings[i].text);
        double_set_refusal(fixture->node, 0);
    }
    fixture_put(&fixture->peer, "a", "1");
}

static void without_a_leader_only_local_reads_are_answered(void **state) {
    struct fixture *fixture = *state;
    fixture_put(&fixture->peer, "a", "1");
    double_set_leader(fixture->node, 0);
    double_set_failure(fixture->node, LASH_NO_LEADER);
    Etcdserverpb__RangeRequest range = range_request("a");
    peer_rpc_fails(&fixture->peer, RANGE, &range.base, UNAVAILABLE, "etcdserver: no leader");
    range.serializable = true;
    Etcdserverpb__RangeResponse *answer = (Etcdserverpb__RangeResponse *)peer_rpc(
        &fixture->peer, RANGE, &range.base, &etcdserverpb__range_response__descriptor);
    assert_data(answer->kvs[0]->value, "1");
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    Etcdserverpb__StatusResponse *status = ask_status(&fixture->peer);
    assert_int_equal(status->n_errors, 1);
    assert_string_equal(status->errors[0], "etcdserver: no leader");
    protobuf_c_message_free_unpacked(&status->base, NULL);
}

static void a_client_that_wants_a_leader_is_told_when_there_is_none(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__RangeRequest range = range_request("a");
    range.serializable = true;
    size_t size;
    uint8_t *frame = peer_frame(&range.base, &size);
    struct ask ask = {.path = RANGE, .body = frame, .size = size, .leader = "true"};
    assert_int_equal(peer_call(&fixture->peer, &ask)->code, 0);
    double_set_leader(fixture->node, 0);
    struct answer *answer = peer_call(&fixture->peer, &ask);
    assert_int_equal(answer->code, UNAVAILABLE);
    assert_string_equal(answer->text, "etcdserver: no leader");
    free(frame);
}

/* A transaction that only compares must see what is true now. */
static void only_serializable_reads_go_without_the_node(void **state) {
    struct fixture *fixture = *state;
    double_set_failure(fixture->node, LASH_TIMEOUT);
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    Etcdserverpb__RangeRequest range = range_request("a");
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
    Etcdserverpb__Compare *compares[] = {&compare};
    compare.key = range.key;
    txn.compare = compares;
    txn.n_compare = 1;
    peer_rpc_fails(&fixture->peer, TXN, &txn.base, UNAVAILABLE, "etcdserver: request timed out");
    txn.n_compare = 0; /* nothing at all, which needs nobody */
    protobuf_c_message_free_unpacked(peer_rpc(&fixture->peer, TXN, &txn.base, &etcdserverpb__txn_response__descriptor),
                                     NULL);
    Etcdserverpb__RequestOp op = ETCDSERVERPB__REQUEST_OP__INIT;
    Etcdserverpb__RequestOp *ops[] = {&op};
    op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    op.request_range = &range;
    txn.success = ops;
    txn.n_success = 1;
    peer_rpc_fails(&fixture->peer, TXN, &txn.base, UNAVAILABLE, "etcdserver: request timed out");
    range.serializable = true;
    ProtobufCMessage *answer = peer_rpc(&fixture->peer, TXN, &txn.base, &etcdserverpb__txn_response__descriptor);
    protobuf_c_message_free_unpacked(answer, NULL);
}

/* ---- Calls that nobody waits for --------------------------------------------------------------- */

/* A put, held by the node. */
static struct answer *ask_held_put(struct fixture *fixture, struct peer *peer, const char *timeout) {
    Etcdserverpb__PutRequest put = put_request("held", "1");
    size_t size;
    uint8_t *frame = peer_frame(&put.base, &size);
    struct answer *answer = peer_ask(peer, &(struct ask){.path = PUT, .body = frame, .size = size, .timeout = timeout});
    double_await_held(fixture->node, 1);
    free(frame);
    return answer;
}

/* The server has published by then, so that what the node holds is the test's. */
static void assert_key_is_there(struct fixture *fixture, struct peer *peer) {
    Etcdserverpb__RangeRequest range = range_request("held");
    Etcdserverpb__RangeResponse *answer =
        (Etcdserverpb__RangeResponse *)peer_rpc(peer, RANGE, &range.base, &etcdserverpb__range_response__descriptor);
    assert_int_equal(answer->count, 1);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    fixture_put(peer, "after", "1");
    (void)fixture;
}

static void a_deadline_ends_the_call_while_the_node_goes_on(void **state) {
    struct fixture *fixture = *state;
    fixture_await_published(fixture);
    double_hold(fixture->node, true);
    struct answer *answer = ask_held_put(fixture, &fixture->peer, "20m");
    peer_await(&fixture->peer, answer);
    assert_int_equal(answer->code, DEADLINE_EXCEEDED);
    assert_string_equal(answer->text, "etcdserver: context deadline exceeded");
    double_hold(fixture->node, false);
    assert_key_is_there(fixture, &fixture->peer);
}

static void a_call_is_taken_back_while_the_node_goes_on(void **state) {
    struct fixture *fixture = *state;
    fixture_await_published(fixture);
    double_hold(fixture->node, true);
    struct answer *answer = ask_held_put(fixture, &fixture->peer, NULL);
    assert_int_equal(nghttp2_submit_rst_stream(fixture->peer.session, NGHTTP2_FLAG_NONE, answer->id, NGHTTP2_CANCEL),
                     0);
    nghttp2_submit_ping(fixture->peer.session, NGHTTP2_FLAG_NONE, NULL);
    peer_until(&fixture->peer, fixture->peer.pongs == 1); /* the server has seen it */
    double_hold(fixture->node, false);
    assert_key_is_there(fixture, &fixture->peer);
}

static void a_client_vanishes_while_the_node_goes_on(void **state) {
    struct fixture *fixture = *state;
    fixture_await_published(fixture);
    double_hold(fixture->node, true);
    struct peer other = {0};
    peer_open(&other, fixture->port);
    ask_held_put(fixture, &other, NULL);
    peer_close(&other);
    double_hold(fixture->node, false);
    assert_key_is_there(fixture, &fixture->peer);
}

/* Of those that waited together one is taken back, and one has run out of time. */
static void reads_that_wait_together_see_what_was_put_before_them(void **state) {
    enum { READS = 5, TAKEN_BACK = 1, LATE = 3 };
    struct fixture *fixture = *state;
    struct answer *reads[READS];
    fixture_await_published(fixture);
    fixture_put(&fixture->peer, "held", "0");
    double_hold(fixture->node, true);
    struct answer *put = ask_held_put(fixture, &fixture->peer, NULL);
    Etcdserverpb__RangeRequest range = range_request("held");
    size_t size;
    uint8_t *frame = peer_frame(&range.base, &size);
    for (size_t i = 0; i < READS; i++)
        reads[i] =
            peer_ask(&fixture->peer,
                     &(struct ask){.path = RANGE, .body = frame, .size = size, .timeout = i == LATE ? "20m" : NULL});
    free(frame);
    int32_t taken_back = reads[TAKEN_BACK]->id;
    peer_await(&fixture->peer, reads[LATE]);
    assert_int_equal(reads[LATE]->code, DEADLINE_EXCEEDED);
    assert_int_equal(nghttp2_submit_rst_stream(fixture->peer.session, NGHTTP2_FLAG_NONE, taken_back, NGHTTP2_CANCEL),
                     0);
    nghttp2_submit_ping(fixture->peer.session, NGHTTP2_FLAG_NONE, NULL);
    peer_until(&fixture->peer, fixture->peer.pongs == 1); /* the server has seen it */
    double_hold(fixture->node, false);
    peer_await(&fixture->peer, put);
    for (size_t i = 0; i < READS; i++) {
        if (i == TAKEN_BACK || i == LATE)
            continue;
        peer_await(&fixture->peer, reads[i]);
        assert_int_equal(reads[i]->code, 0);
        Etcdserverpb__RangeResponse *answer = etcdserverpb__range_response__unpack(
            NULL, reads[i]->size - GRPC_PREFIX_SIZE, reads[i]->body + GRPC_PREFIX_SIZE);
        assert_non_null(answer);
        assert_data(answer->kvs[0]->value, "1");
        protobuf_c_message_free_unpacked(&answer->base, NULL);
    }
}

/* ---- The end ----------------------------------------------------------------------------------- */

/* Together they are longer than what is written at once, and than what a client takes unasked. */
static void answers_to_several_clients_that_come_together_are_all_whole(void **state) {
    enum { CLIENTS = 3, CALLS = 24, VALUE = 20000 };
    struct fixture *fixture = *state;
    static struct peer peers[CLIENTS];
    struct answer *answers[CALLS];
    struct peer *asked[CALLS];
    char *value = fixture_value(VALUE);
    fixture_await_published(fixture);
    for (size_t i = 0; i < CLIENTS; i++) {
        peer_open(&peers[i], fixture->port);
        fixture_put(&peers[i], "together", value);
    }
    double_hold(fixture->node, true);
    Etcdserverpb__PutRequest put = put_request("together", "");
    put.value = (ProtobufCBinaryData){VALUE, (uint8_t *)value};
    put.prev_kv = true;
    size_t size;
    uint8_t *frame = peer_frame(&put.base, &size);
    for (size_t i = 0; i < CALLS; i++) {
        size_t client = (i < CALLS / 2 ? i : i / 4) % CLIENTS; /* one after the other, then each four times in a row */
        asked[i] = &peers[client];
        answers[i] = peer_ask(asked[i], &(struct ask){.path = PUT, .body = frame, .size = size});
        double_await_held(fixture->node, i + 1);
    }
    free(frame);
    double_hold(fixture->node, false);
    for (size_t i = 0; i < CALLS; i++) {
        peer_await(asked[i], answers[i]);
        assert_int_equal(answers[i]->code, 0);
        Etcdserverpb__PutResponse *answer = etcdserverpb__put_response__unpack(
            NULL, answers[i]->size - GRPC_PREFIX_SIZE, answers[i]->body + GRPC_PREFIX_SIZE);
        assert_non_null(answer);
        assert_data(answer->prev_kv->value, value);
        assert_int_equal(answer->prev_kv->version, CLIENTS + i);
        protobuf_c_message_free_unpacked(&answer->base, NULL);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        peer_close(&peers[i]);
    free(value);
}

static void a_drained_server_finishes_what_is_under_way_and_takes_leave(void **state) {
    struct fixture *fixture = *state;
    fixture_await_published(fixture);
    double_hold(fixture->node, true);
    struct answer *answer = ask_held_put(fixture, &fixture->peer, NULL);
    double_hold(fixture->node, false);
    peer_await(&fixture->peer, answer);
    assert_int_equal(answer->code, 0);
    server_drain(fixture->server, 50); /* the client reads nothing meanwhile: it is cut off at the end */
    peer_until(&fixture->peer, fixture->peer.goaway);
    Etcdserverpb__PutRequest put = put_request("late", "1");
    size_t size;
    uint8_t *frame = peer_frame(&put.base, &size);
    struct answer *late = nghttp2_session_check_request_allowed(fixture->peer.session)
                              ? peer_ask(&fixture->peer, &(struct ask){.path = PUT, .body = frame, .size = size})
                              : NULL;
    peer_until(&fixture->peer, fixture->peer.gone || !late || late->closed);
    assert_true(!late || late->code != 0);
    free(frame);
}

static void what_the_node_still_holds_at_the_end_is_answered(void **state) {
    struct fixture *fixture = *state;
    fixture_await_published(fixture);
    double_hold(fixture->node, true);
    struct answer *answer = ask_held_put(fixture, &fixture->peer, NULL);
    fixture_close(fixture);
    peer_until(&fixture->peer, answer->closed || fixture->peer.gone);
    assert_int_equal(answer->code, UNAVAILABLE);
    assert_string_equal(answer->text, "etcdserver: server stopped");
    fixture_open(fixture);
}

#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENARIO(a_key_is_put_and_read_back),
        SCENARIO(a_range_is_cut_by_its_limit_and_counted_whole),
        SCENARIO(a_range_is_deleted_and_given_back),
        SCENARIO(a_transaction_answers_each_of_its_operations),
        SCENARIO(an_operation_without_a_request_is_key_not_found),
        SCENARIO(a_compacted_revision_is_out_of_range),
        SCENARIO(refusals_of_the_store_have_etcds_texts),
        SCENARIO(status_tells_of_leader_and_log),
        SCENARIO(a_transfers_end_is_told_in_etcds_words),
        SCENARIO(members_are_listed_with_what_they_published),
        SCENARIO(health_is_serving_until_the_node_stops),
        SCENARIO(a_request_that_the_node_fails_or_refuses_says_why),
        SCENARIO(without_a_leader_only_local_reads_are_answered),
        SCENARIO(a_client_that_wants_a_leader_is_told_when_there_is_none),
        SCENARIO(only_serializable_reads_go_without_the_node),
        SCENARIO(a_deadline_ends_the_call_while_the_node_goes_on),
        SCENARIO(a_call_is_taken_back_while_the_node_goes_on),
        SCENARIO(a_client_vanishes_while_the_node_goes_on),
        SCENARIO(reads_that_wait_together_see_what_was_put_before_them),
        SCENARIO(answers_to_several_clients_that_come_together_are_all_whole),
        SCENARIO(a_drained_server_finishes_what_is_under_way_and_takes_leave),
        SCENARIO(what_the_node_still_holds_at_the_end_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
