/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC's formats, the table of errors, and messages from bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "api/grpc.h"
#include "api/message.h"
#include "rpc.pb-c.h"

static void timeouts_are_read_and_rounded_up(void **state) {
    static const struct {
        const char *text;
        bool good;
        uint64_t ms;
    } cases[] = {
        {"1H", true, 3600000},
        {"2M", true, 120000},
        {"3S", true, 3000},
        {"100m", true, 100},
        {"1u", true, 1},
        {"1001u", true, 2},
        {"1n", true, 1},
        {"0n", true, 0},
        {"99999999m", true, 99999999},
        {"99999999H", true, UINT64_MAX / 1000000},
        {"", false, 0},
        {"m", false, 0},
        {"1", false, 0},
        {"1x", false, 0},
        {"-1m", false, 0},
        {"123456789m", false, 0},
        {"1 m", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ms = 7;
        assert_int_equal(grpc_timeout(cases[i].text, strlen(cases[i].text), &ms), cases[i].good);
        if (cases[i].good)
            assert_in_range(ms, cases[i].ms, cases[i].ms);
    }
}

static void texts_are_percent_encoded_in_whole_characters(void **state) {
    char out[64];
    (void)state;
    assert_int_equal(grpc_percent("plain text: 1/2", out, sizeof out), 15);
    assert_string_equal(out, "plain text: 1/2");
    assert_int_equal(grpc_percent("100%\n\xc3\xbc\x7f", out, sizeof out), 3 + 3 * 5);
    assert_string_equal(out, "100%25%0A%C3%BC%7F");
    char small[6];
    assert_int_equal(grpc_percent("abc%", small, sizeof small), 3);
    assert_string_equal(small, "abc");
}

static void content_types_of_grpc_are_told_from_others(void **state) {
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"application/grpc", true},
                 {"application/grpc+proto", true},
                 {"application/grpc;x=1", true},
                 {"application/grpcweb", false},
                 {"application/json", false},
                 {"application/grp", false},
                 {"", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(grpc_content_type(cases[i].text, strlen(cases[i].text)), cases[i].good);
}

static void a_message_is_gathered_from_pieces(void **state) {
    static const uint8_t stream[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    (void)state;
    for (size_t piece = 1; piece <= sizeof stream; piece++) {
        struct grpc_reader reader = {.bytes_max = 3};
        for (size_t at = 0; at < sizeof stream; at += piece) {
            assert_false(grpc_reader_whole(&reader));
            size_t size = sizeof stream - at < piece ? sizeof stream - at : piece;
            assert_int_equal(grpc_reader_feed(&reader, stream + at, size), GRPC_FEED_OK);
        }
        assert_true(grpc_reader_whole(&reader));
        assert_int_equal(reader.size, 3);
        assert_memory_equal(reader.data, "abc", 3);
        assert_int_equal(grpc_reader_feed(&reader, stream, 1), GRPC_FEED_MANY);
        grpc_reader_free(&reader);
    }
}

static void a_prefix_is_judged_before_its_message(void **state) {
    static const struct {
        uint8_t prefix[GRPC_PREFIX_SIZE];
        enum grpc_feed feed;
    } cases[] = {
        {{0, 0, 0, 0, 8}, GRPC_FEED_OK},
        {{0, 0, 0, 0, 9}, GRPC_FEED_TOO_LARGE},
        {{0, 255, 255, 255, 255}, GRPC_FEED_TOO_LARGE},
        {{1, 0, 0, 0, 1}, GRPC_FEED_COMPRESSED},
        {{2, 0, 0, 0, 1}, GRPC_FEED_BAD_FLAG},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grpc_reader reader = {.bytes_max = 8};
        assert_int_equal(grpc_reader_feed(&reader, cases[i].prefix, GRPC_PREFIX_SIZE), cases[i].feed);
        assert_null(reader.data);
    }
    struct grpc_reader empty = {.bytes_max = 8};
    assert_int_equal(grpc_reader_feed(&empty, (const uint8_t[GRPC_PREFIX_SIZE]){0}, GRPC_PREFIX_SIZE), GRPC_FEED_OK);
    assert_true(grpc_reader_whole(&empty));
}

/* The texts by which clients recognise errors; codes as gRPC numbers them. */
static void errors_have_the_codes_and_texts_of_the_api(void **state) {
    static const struct {
        enum api_error error;
        int code;
        const char *text;
    } cases[] = {
        {API_EMPTY_KEY, 3, "etcdserver: key is not provided"},
        {API_KEY_NOT_FOUND, 3, "etcdserver: key not found"},
        {API_VALUE_PROVIDED, 3, "etcdserver: value is provided"},
        {API_LEASE_PROVIDED, 3, "etcdserver: lease is provided"},
        {API_TOO_MANY_OPS, 3, "etcdserver: too many operations in txn request"},
        {API_DUPLICATE_KEY, 3, "etcdserver: duplicate key given in txn request"},
        {API_INVALID_SORT, 3, "etcdserver: invalid sort option"},
        {API_COMPACTED, 11, "etcdserver: mvcc: required revision has been compacted"},
        {API_FUTURE_REVISION, 11, "etcdserver: mvcc: required revision is a future revision"},
        {API_LEASE_NOT_FOUND, 5, "etcdserver: requested lease not found"},
        {API_NO_SPACE, 8, "etcdserver: mvcc: database space exceeded"},
        {API_REQUEST_TOO_LARGE, 3, "etcdserver: request is too large"},
        {API_TOO_MANY_REQUESTS, 8, "etcdserver: too many requests"},
        {API_NO_LEADER, 14, "etcdserver: no leader"},
        {API_LEADER_CHANGED, 14, "etcdserver: leader changed"},
        {API_STOPPED, 14, "etcdserver: server stopped"},
        {API_TIMEOUT, 14, "etcdserver: request timed out"},
        {API_TIMEOUT_LEADER_FAIL, 14, "etcdserver: request timed out, possibly due to previous leader failure"},
        {API_DEADLINE_EXCEEDED, 4, "etcdserver: context deadline exceeded"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(errors_code(cases[i].error), cases[i].code);
        assert_string_equal(errors_text(cases[i].error), cases[i].text);
    }
    for (int error = 0; error < API_ERROR_COUNT; error++)
        assert_int_equal(errors_text((enum api_error)error)[0] == '\0', error == API_OK);
}

static void every_refusal_of_the_store_is_an_error_of_the_api(void **state) {
    (void)state;
    assert_int_equal(errors_of_store(STORE_OK), API_OK);
    for (int error = STORE_OK + 1; error <= STORE_FAILED; error++)
        assert_int_not_equal(errors_of_store((enum store_error)error), API_OK);
    for (int error = LASH_BEHIND; error < 0; error++)
        assert_int_not_equal(errors_of_node(error), API_OK);
}

/* A range request: each cut of it is either no message or a shorter one, and memory that runs out is told from that. */
static void messages_are_decoded_or_refused(void **state) {
    static const uint8_t bytes[] = {0x0a, 3, 'a', 'b', 'c', 0x18, 0x96, 0x01, 0x38, 1};
    ProtobufCMessage *message;
    (void)state;
    const ProtobufCMessageDescriptor *type = &etcdserverpb__range_request__descriptor;
    assert_int_equal(message_decode(type, bytes, sizeof bytes, NULL, &message), API_OK);
    const Etcdserverpb__RangeRequest *range = (const Etcdserverpb__RangeRequest *)message;
    assert_memory_equal(range->key.data, "abc", 3);
    assert_int_equal(range->limit, 150);
    assert_true(range->serializable);
    message_free(message);
    static const size_t ends[] = {0, 5, 8, 10};
    for (size_t cut = 0, end = 0; cut <= sizeof bytes; cut++) {
        bool whole = cut == ends[end];
        assert_int_equal(message_decode(type, bytes, cut, NULL, &message), whole ? API_OK : API_BAD_MESSAGE);
        if (whole) {
            message_free(message);
            end++;
        }
    }
    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(message_decode(type, bytes, sizeof bytes, NULL, &message), API_NO_MEMORY);
    }
    mem_fail_after(0);
}

static void bytes_that_are_no_message_are_refused(void **state) {
    static const struct {
        uint8_t bytes[12];
        size_t size;
    } cases[] = {
        {{0x0b}, 1},                                                                 /* a group */
        {{0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}, 12}, /* a number too long */
        {{0x09, 1, 2, 3}, 4},                                                        /* eight bytes announced */
        {{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, 6},                                   /* more than there is */
    };
    ProtobufCMessage *message;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            message_decode(&etcdserverpb__range_request__descriptor, cases[i].bytes, cases[i].size, NULL, &message),
            API_BAD_MESSAGE);
}

static void an_answer_is_encoded_behind_its_prefix(void **state) {
    Etcdserverpb__RangeResponse answer = ETCDSERVERPB__RANGE_RESPONSE__INIT;
    answer.count = 300;
    (void)state;
    struct buf *buf = message_encode(&answer.base);
    assert_non_null(buf);
    static const uint8_t expected[] = {0, 0, 0, 0, 3, 0x20, 0xac, 0x02};
    assert_int_equal(buf->size, sizeof expected);
    assert_memory_equal(buf->data, expected, sizeof expected);
    buf_unref(buf);
    mem_fail_after(1);
    assert_null(message_encode(&answer.base));
    mem_fail_after(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_are_read_and_rounded_up),
        cmocka_unit_test(texts_are_percent_encoded_in_whole_characters),
        cmocka_unit_test(content_types_of_grpc_are_told_from_others),
        cmocka_unit_test(a_message_is_gathered_from_pieces),
        cmocka_unit_test(a_prefix_is_judged_before_its_message),
        cmocka_unit_test(errors_have_the_codes_and_texts_of_the_api),
        cmocka_unit_test(every_refusal_of_the_store_is_an_error_of_the_api),
        cmocka_unit_test(messages_are_decoded_or_refused),
        cmocka_unit_test(bytes_that_are_no_message_are_refused),
        cmocka_unit_test(an_answer_is_encoded_behind_its_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
