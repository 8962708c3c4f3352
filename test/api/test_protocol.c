/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC and HTTP/2 as clients must find them, and what becomes of those who break
 * the rules: their connection or call ends, and nothing else.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "rpc.pb-c.h"

#define RANGE "/etcdserverpb.KV/Range"
#define PUT "/etcdserverpb.KV/Put"
#define TXN "/etcdserverpb.KV/Txn"

enum { REQUEST_MAX = 3 * 512 * 1024, OVERHEAD = 512 * 1024 };

/* A put of `key` with a value of `size` bytes, framed; to be freed. */
static uint8_t *framed_put(size_t value_size, size_t *size) {
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    uint8_t key[] = {'k'};
    char *value = fixture_value(value_size);
    put.key = (ProtobufCBinaryData){1, key};
    put.value = (ProtobufCBinaryData){value_size, (uint8_t *)value};
    uint8_t *frame = peer_frame(&put.base, size);
    free(value);
    return frame;
}

static void assert_fails(struct fixture *fixture, const struct ask *ask, int code, const char *text) {
    struct answer *answer = peer_call(&fixture->peer, ask);
    assert_string_equal(answer->text, text);
    assert_int_equal(answer->code, code);
    assert_string_equal(answer->http, "200");
    assert_int_equal(answer->reset, NGHTTP2_NO_ERROR);
    fixture_put(&fixture->peer, "still", "fine");
}

/* ---- Requests ---------------------------------------------------------------------------------- */

static void unknown_methods_are_unimplemented(void **state) {
    static const struct {
        const char *path;
        const char *text;
    } cases[] = {
        {"/etcdserverpb.KV/Nothing", "unknown method Nothing for service etcdserverpb.KV"},
        {"/etcdserverpb.Maintenance/Defragment", "unknown method Defragment for service etcdserverpb.Maintenance"},
        {"/etcdserverpb.Watch/Watch", "unknown service etcdserverpb.Watch"},
        {"/nothing", "malformed method name: \"/nothing\""},
        {"/", "malformed method name: \"/\""},
    };
    struct fixture *fixture = *state;
    size_t size;
    uint8_t *frame = framed_put(1, &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(fixture, &(struct ask){.path = cases[i].path, .body = frame, .size = size}, 12, cases[i].text);
    free(frame);
}

static void compressed_requests_are_unimplemented(void **state) {
    struct fixture *fixture = *state;
    size_t size;
    uint8_t *frame = framed_put(1, &size);
    assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = size, .encoding = "gzip"}, 12,
                 "grpc: Decompressor is not installed for grpc-encoding \"gzip\"");
    assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = size, .encoding = "identity"}, 0, "");
    frame[0] = 1;
    assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = size}, 13,
                 "grpc: compressed flag set with identity or empty encoding");
    frame[0] = 2;
    assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = size}, 13,
                 "grpc: error unmarshalling request");
    free(frame);
}

static void requests_over_the_limits_are_refused(void **state) {
    struct fixture *fixture = *state;
    size_t size;
    uint8_t *frame = framed_put(REQUEST_MAX + 1, &size);
    assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = size}, 3,
                 "etcdserver: request is too large");
    free(frame);
    frame = framed_put(REQUEST_MAX + OVERHEAD, &size);
    char text[128];
    snprintf(text, sizeof text, "grpc: received message larger than max (%zu vs. %d)", size - 5,
             REQUEST_MAX + OVERHEAD);
    /* The refusal comes after the prefix, and stops the client in the middle. */
    struct answer *answer = peer_call(&fixture->peer, &(struct ask){.path = PUT, .body = frame, .size = size});
    assert_string_equal(answer->text, text);
    assert_int_equal(answer->code, 8);
    free(frame);
    frame = framed_put(REQUEST_MAX - 1024, &size);
    assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = size}, 0, "");
    free(frame);
}

static void a_request_comes_in_pieces_of_any_size(void **state) {
    struct fixture *fixture = *state;
    for (size_t piece = 1; piece < 12; piece++) {
        size_t size;
        uint8_t *frame = framed_put(20, &size);
        assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = size, .piece = piece}, 0, "");
        free(frame);
    }
}

static void a_unary_call_has_exactly_one_message(void **state) {
    struct fixture *fixture = *state;
    size_t size;
    uint8_t *frame = framed_put(3, &size);
    uint8_t twice[64];
    memcpy(twice, frame, size);
    memcpy(twice + size, frame, size);
    assert_fails(fixture, &(struct ask){.path = PUT, .body = twice, .size = 2 * size}, 13,
                 "grpc: more than one message for a unary method");
    for (size_t cut = 0; cut < size; cut++)
        assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = cut}, 13,
                     "grpc: the request stream ended before a whole message");
    free(frame);
}

static void a_message_that_is_none_is_an_internal_error(void **state) {
    struct fixture *fixture = *state;
    const uint8_t frame[] = {0, 0, 0, 0, 3, 0x0a, 0x7f, 'x'}; /* a key of 127 bytes, of which one is there */
    assert_fails(fixture, &(struct ask){.path = PUT, .body = frame, .size = sizeof frame}, 13,
                 "grpc: error unmarshalling request");
}

/* Each level is two messages around the one before; a recursive decoder without a bound would run out of stack. */
static void a_deeply_nested_transaction_has_too_many_operations(void **state) {
    struct fixture *fixture = *state;
    enum { ROOM = REQUEST_MAX };
    uint8_t *buffer = malloc(ROOM);
    assert_non_null(buffer);
    size_t at = ROOM;
    for (unsigned level = 0; at > 64; level++) {
        uint8_t head[8];
        size_t length = ROOM - at, size = 0;
        head[size++] = level % 2 ? 0x12 : 0x22; /* TxnRequest.success, or RequestOp.request_txn */
        do {
            head[size++] = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
            length >>= 7;
        } while (length);
        at -= size;
        memcpy(buffer + at, head, size);
        if (level % 2 == 1 && at <= 64 + 16)
            break;
    }
    size_t length = ROOM - at;
    at -= 5;
    const uint8_t prefix[5] = {0, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                               (uint8_t)length};
    memcpy(buffer + at, prefix, sizeof prefix);
    assert_fails(fixture, &(struct ask){.path = TXN, .body = buffer + at, .size = ROOM - at}, 3,
                 "etcdserver: too many operations in txn request");
    free(buffer);
}

static void what_is_not_grpc_is_refused_as_http(void **state) {
    struct fixture *fixture = *state;
    struct answer *answer = peer_call(&fixture->peer, &(struct ask){.path = PUT, .type = "application/json"});
    assert_string_equal(answer->http, "415");
    assert_int_equal(answer->code, 3);
    answer = peer_call(&fixture->peer, &(struct ask){.path = PUT, .method = "PUT"});
    assert_string_equal(answer->http, "405");
    answer = peer_call(&fixture->peer, &(struct ask){.path = PUT, .timeout = "soon"});
    assert_string_equal(answer->http, "400");
    assert_string_equal(answer->text, "malformed grpc-timeout");
    fixture_put(&fixture->peer, "still", "fine");
}

static void a_request_that_is_never_finished_ends_with_its_deadline(void **state) {
    struct fixture *fixture = *state;
    struct answer *answer = peer_call(
        &fixture->peer, &(struct ask){.path = PUT, .body = "\0\0\0", .size = 3, .unended = true, .timeout = "20m"});
    assert_int_equal(answer->code, 4);
    fixture_put(&fixture->peer, "still", "fine");
}

/* ---- HTTP/2 ------------------------------------------------------------------------------------ */

static void pings_are_answered_and_nobody_is_sent_away_for_them(void **state) {
    struct fixture *fixture = *state;
    for (size_t i = 1; i <= 2000; i++) {
        assert_int_equal(nghttp2_submit_ping(fixture->peer.session, NGHTTP2_FLAG_NONE, NULL), 0);
        peer_until(&fixture->peer, fixture->peer.pongs == i);
    }
    assert_false(fixture->peer.goaway);
    fixture_put(&fixture->peer, "still", "fine");
}

/* Far more than any window or queue holds. */
static void a_large_answer_comes_whole_through_small_windows(void **state) {
    struct fixture *fixture = *state;
    char *value = fixture_value(1024 * 1024);
    char key[2] = "a";
    for (; key[0] < 'a' + 12; key[0]++)
        fixture_put(&fixture->peer, key, value);
    struct peer narrow = {.window = 20000};
    peer_open(&narrow, fixture->port);
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    uint8_t zero[] = {0};
    range.key = range.range_end = (ProtobufCBinaryData){1, zero};
    Etcdserverpb__RangeResponse *answer =
        (Etcdserverpb__RangeResponse *)peer_rpc(&narrow, RANGE, &range.base, &etcdserverpb__range_response__descriptor);
    assert_int_equal(answer->n_kvs, 12);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(answer->kvs[i]->value.len, 1024 * 1024);
        assert_memory_equal(answer->kvs[i]->value.data, value, 1024 * 1024);
    }
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    peer_close(&narrow);
    free(value);
}

static void many_calls_at_once_are_all_answered(void **state) {
    struct fixture *fixture = *state;
    struct answer *answers[32];
    size_t size;
    uint8_t *frame = framed_put(100000, &size);
    for (size_t i = 0; i < 32; i++)
        answers[i] = peer_ask(&fixture->peer, &(struct ask){.path = PUT, .body = frame, .size = size});
    for (size_t i = 0; i < 32; i++) {
        peer_await(&fixture->peer, answers[i]);
        assert_int_equal(answers[i]->code, 0);
    }
    free(frame);
}

/* ---- Bounds ------------------------------------------------------------------------------------ */

static int setup_small_buffer(void **state) {
    fixture_options.buffered_max = 64 * 1024;
    return fixture_setup(state);
}

static void requests_beyond_the_memory_allowed_are_refused(void **state) {
    struct fixture *fixture = *state;
    size_t size;
    uint8_t *frame = framed_put(200 * 1024, &size);
    struct answer *answer = peer_call(&fixture->peer, &(struct ask){.path = PUT, .body = frame, .size = size});
    assert_int_equal(answer->code, 8);
    assert_string_equal(answer->text, "etcdserver: too many requests");
    free(frame);
    for (size_t i = 0; i < 8; i++) { /* what was held is given back */
        frame = framed_put(30 * 1024, &size);
        answer = peer_call(&fixture->peer, &(struct ask){.path = PUT, .body = frame, .size = size});
        assert_int_equal(answer->code, 0);
        free(frame);
    }
}

/* However few bytes a call has, it takes memory for as long as the node has it. */
static void calls_beyond_the_memory_allowed_are_refused_however_small(void **state) {
    struct fixture *fixture = *state;
    struct answer *answers[40];
    size_t size, refused;
    uint8_t *frame = framed_put(1, &size);
    double_hold(fixture->node, true);
    for (size_t i = 0; i < 40; i++)
        answers[i] = peer_ask(&fixture->peer, &(struct ask){.path = PUT, .body = frame, .size = size});
    do {
        assert_true(peer_step(&fixture->peer));
        refused = 0;
        for (size_t i = 0; i < 40; i++)
            refused += answers[i]->closed;
    } while (refused < 16);
    double_hold(fixture->node, false);
    refused = 0;
    for (size_t i = 0; i < 40; i++) {
        peer_await(&fixture->peer, answers[i]);
        assert_true(answers[i]->code == 0 || answers[i]->code == 8);
        refused += answers[i]->code == 8;
    }
    assert_in_range(refused, 16, 30);
    struct answer *answer = peer_call(&fixture->peer, &(struct ask){.path = PUT, .body = frame, .size = size});
    assert_int_equal(answer->code, 0);
    free(frame);
}

/* A client that asks for much and takes nothing stops others only until it goes. */
static void answers_that_nobody_takes_stop_further_reads(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    uint8_t zero[] = {0};
    size_t size;
    range.key = range.range_end = (ProtobufCBinaryData){1, zero};
    for (size_t i = 0; i < 3; i++) {
        char key[] = {(char)('a' + i), '\0'}, *value = fixture_value(30 * 1024);
        fixture_put(&fixture->peer, key, value);
        free(value);
    }
    uint8_t *frame = peer_frame(&range.base, &size);
    struct ask ask = {.path = RANGE, .body = frame, .size = size};
    struct peer idle = {.window = 100};
    peer_open(&idle, fixture->port);
    struct answer *taken = peer_ask(&idle, &ask);
    peer_until(&idle, taken->size > 0); /* the server has the answer, and cannot get rid of it */
    struct answer *refused = peer_call(&fixture->peer, &ask);
    assert_string_equal(refused->text, "etcdserver: too many requests");
    peer_close(&idle);
    struct answer *served;
    do { /* until the server has seen it go */
        peer_close(&fixture->peer);
        peer_open(&fixture->peer, fixture->port);
        served = peer_call(&fixture->peer, &ask);
    } while (served->code == 8);
    assert_int_equal(served->code, 0);
    free(frame);
}

static int setup_two_connections(void **state) {
    fixture_options.connections_max = 2;
    return fixture_setup(state);
}

static void a_connection_too_many_is_turned_away(void **state) {
    struct fixture *fixture = *state;
    struct peer second = {0};
    fixture_put(&fixture->peer, "a", "1");
    peer_open(&second, fixture->port);
    fixture_put(&second, "a", "2");
    char *text = peer_raw(fixture->port, "", 0);
    assert_string_equal(text, "");
    free(text);
    fixture_put(&fixture->peer, "a", "3");
    peer_close(&second);
    /* The server sees the close before or after the next connection; a place is free then. */
    struct peer third = {0};
    do {
        if (third.session)
            peer_close(&third);
        peer_open(&third, fixture->port);
        nghttp2_submit_ping(third.session, NGHTTP2_FLAG_NONE, NULL);
        peer_until(&third, third.gone || third.pongs == 1);
    } while (third.gone);
    fixture_put(&third, "a", "4");
    peer_close(&third);
}

/* ---- Strangers --------------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void garbage_closes_its_own_connection_only(void **state) {
    struct fixture *fixture = *state;
    uint32_t seed = 20261122;
    printf("seed %u\n", seed);
    for (size_t round = 0; round < 60; round++) {
        uint8_t garbage[2048];
        size_t size = 1 + next_random(&seed) % sizeof garbage;
        for (size_t i = 0; i < size; i++)
            garbage[i] = (uint8_t)next_random(&seed);
        static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
        if (round % 3 > 0 && size > sizeof preface)
            memcpy(garbage, preface, sizeof preface - 1);
        if (round % 3 > 1 && size > sizeof preface + sizeof settings)
            memcpy(garbage + sizeof preface - 1, settings, sizeof settings);
        int stranger = peer_connect(fixture->port);
        assert_int_equal(send(stranger, garbage, size, MSG_NOSIGNAL), size);
        shutdown(stranger, SHUT_WR);
        while (recv(stranger, garbage, sizeof garbage, 0) > 0)
            ;
        close(stranger);
        fixture_put(&fixture->peer, "still", "fine");
    }
}

/* A proper conversation, recorded, then played back up to each byte. */
static void a_conversation_may_end_after_any_byte(void **state) {
    struct fixture *fixture = *state;
    struct peer recorder = {0};
    peer_open(&recorder, fixture->port);
    uint8_t record[512];
    size_t size = 0;
    size_t frame_size;
    uint8_t *frame = framed_put(10, &frame_size);
    int real = recorder.socket, pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    recorder.socket = pair[0];
    peer_ask(&recorder, &(struct ask){.path = PUT, .body = frame, .size = frame_size});
    size = (size_t)recv(pair[1], record, sizeof record, 0);
    assert_in_range(size, 100, sizeof record - 1);
    close(pair[1]);
    close(real);
    peer_close(&recorder);
    free(frame);
    for (size_t cut = 1; cut <= size; cut++) {
        int stranger = peer_connect(fixture->port);
        assert_int_equal(send(stranger, record, cut, MSG_NOSIGNAL), cut);
        close(stranger);
    }
    fixture_put(&fixture->peer, "still", "fine");
}

/* Fail each allocation of one call in turn, until it succeeds again and again. Whichever fails, the call or its connection
 * may fail, and the server goes on. */
static void fail_allocations_of(struct fixture *fixture, const char *path, const ProtobufCMessage *request) {
    size_t size, succeeded = 0;
    uint8_t *frame = peer_frame(request, &size);
    for (uint64_t n = 1; succeeded < 20; n++) {
        struct peer peer = {0};
        assert_true(n < 2000);
        mem_fail_after(n);
        peer_open(&peer, fixture->port);
        struct answer *answer = peer_ask(&peer, &(struct ask){.path = path, .body = frame, .size = size});
        peer_until(&peer, answer->closed || peer.gone);
        mem_fail_after(0);
        succeeded = answer->code == 0 ? succeeded + 1 : 0;
        peer_close(&peer);
        fixture_put(&fixture->peer, "still", "fine");
        peer_close(&fixture->peer);
        peer_open(&fixture->peer, fixture->port);
    }
    free(frame);
}

static void writes_survive_any_failed_allocation(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    uint8_t key[] = {'k'};
    char *value = fixture_value(3000);
    put.key = (ProtobufCBinaryData){1, key};
    put.value = (ProtobufCBinaryData){3000, (uint8_t *)value};
    put.prev_kv = true;
    fail_allocations_of(fixture, PUT, &put.base);
    free(value);
}

static void reads_survive_any_failed_allocation(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    uint8_t zero[] = {0};
    range.key = range.range_end = (ProtobufCBinaryData){1, zero};
    fixture_put(&fixture->peer, "a", "1");
    fail_allocations_of(fixture, RANGE, &range.base);
    Etcdserverpb__StatusRequest status = ETCDSERVERPB__STATUS_REQUEST__INIT;
    fail_allocations_of(fixture, "/etcdserverpb.Maintenance/Status", &status.base);
    Etcdserverpb__MemberListRequest members = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
    members.linearizable = true;
    fail_allocations_of(fixture, "/etcdserverpb.Cluster/MemberList", &members.base);
}

static void transactions_survive_any_failed_allocation(void **state) {
    struct fixture *fixture = *state;
    uint8_t key[] = {'k'};
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
    Etcdserverpb__Compare *compares[] = {&compare};
    compare.key = (ProtobufCBinaryData){1, key};
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    Etcdserverpb__DeleteRangeRequest deletion = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    put.key = deletion.key = compare.key;
    put.prev_kv = deletion.prev_kv = true;
    Etcdserverpb__RequestOp inner_op = ETCDSERVERPB__REQUEST_OP__INIT, put_op = inner_op, txn_op = inner_op;
    Etcdserverpb__RequestOp *inner_ops[] = {&inner_op}, *puts[] = {&put_op}, *txns[] = {&txn_op};
    Etcdserverpb__TxnRequest inner = ETCDSERVERPB__TXN_REQUEST__INIT, outer = inner;
    inner_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
    inner_op.request_delete_range = &deletion;
    inner.success = inner_ops;
    inner.n_success = 1;
    put_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    put_op.request_put = &put;
    txn_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN;
    txn_op.request_txn = &inner;
    outer.compare = compares; /* the key does not exist */
    outer.n_compare = 1;
    outer.success = puts;
    outer.failure = txns;
    outer.n_success = outer.n_failure = 1;
    fail_allocations_of(fixture, TXN, &outer.base);
}

#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENARIO(unknown_methods_are_unimplemented),
        SCENARIO(compressed_requests_are_unimplemented),
        SCENARIO(requests_over_the_limits_are_refused),
        SCENARIO(a_request_comes_in_pieces_of_any_size),
        SCENARIO(a_unary_call_has_exactly_one_message),
        SCENARIO(a_message_that_is_none_is_an_internal_error),
        SCENARIO(a_deeply_nested_transaction_has_too_many_operations),
        SCENARIO(what_is_not_grpc_is_refused_as_http),
        SCENARIO(a_request_that_is_never_finished_ends_with_its_deadline),
        SCENARIO(pings_are_answered_and_nobody_is_sent_away_for_them),
        SCENARIO(a_large_answer_comes_whole_through_small_windows),
        SCENARIO(many_calls_at_once_are_all_answered),
        cmocka_unit_test_setup_teardown(requests_beyond_the_memory_allowed_are_refused, setup_small_buffer,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(calls_beyond_the_memory_allowed_are_refused_however_small, setup_small_buffer,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(answers_that_nobody_takes_stop_further_reads, setup_small_buffer,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_connection_too_many_is_turned_away, setup_two_connections, fixture_teardown),
        SCENARIO(garbage_closes_its_own_connection_only),
        SCENARIO(a_conversation_may_end_after_any_byte),
        SCENARIO(writes_survive_any_failed_allocation),
        SCENARIO(reads_survive_any_failed_allocation),
        SCENARIO(transactions_survive_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
