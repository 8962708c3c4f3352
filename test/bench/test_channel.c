/* SPDX-License-Identifier: Apache-2.0
 *
 * The load generator's side of HTTP/2 against nghttp2's server, in memory: whatever
 * limits the server sets, and however the bytes are cut on their way, each call
 * arrives whole and gets its answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lashctl/grpc_channel.h"
#include "lashctl/grpc_header.h"

enum {
    CLIENTS = 20,
    CALLS = 400,
    BODY_MAX = 50000,
    LONG_HEADER = 20000,
    LONG_REQUEST = 3900,
    STREAMS = 2 * (CLIENTS + CALLS) + 2
};

static const uint64_t seeds[] = {1, 2, 3};

/* A server, and what it is to do. */
struct scenario {
    nghttp2_settings_entry settings[2];
    size_t setting_count;
    size_t answer_size;
    bool long_header;
    bool resets;          /* every fifth call */
    const size_t *agents; /* lengths of a header of the calls, in turn */
    size_t agent_count;
};

struct client {
    struct grpc_channel_call call;
    uint8_t body[BODY_MAX];
    size_t size;
    size_t got;
    bool status_seen;
};

struct rig {
    const struct scenario *scenario;
    uint64_t random;
    struct grpc_channel *channel;
    nghttp2_session *server;
    struct client clients[CLIENTS];
    size_t left; /* calls to begin */
    size_t ended;
    size_t reset;
    size_t received[STREAMS];        /* bytes of each call's message, by the server */
    size_t sent[STREAMS];            /* bytes of each answer */
    size_t headers;                  /* that the server got */
    size_t agents[LONG_REQUEST + 1]; /* calls with a header of that length */
    char agent[LONG_REQUEST + 1];
    char long_value[LONG_HEADER + 1];
};

static uint64_t next_random(struct rig *rig) {
    rig->random ^= rig->random << 13;
    rig->random ^= rig->random >> 7;
    rig->random ^= rig->random << 17;
    return rig->random >> 8;
}

/* ---- The server ---------------------------------------------------------------------------------- */

static ssize_t answer_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
                           nghttp2_data_source *source, void *context) {
    struct rig *rig = context;
    (void)source;
    size_t size = rig->scenario->answer_size - rig->sent[id];
    size = size < room ? size : room;
    memset(out, 'a', size);
    rig->sent[id] += size;
    if (rig->sent[id] < rig->scenario->answer_size)
        return (ssize_t)size;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const nghttp2_nv trailers[] = {grpc_header("grpc-status", "0"), grpc_header("x-long", rig->long_value)};
    assert_int_equal(nghttp2_submit_trailer(session, id, trailers, 2), 0);
    return (ssize_t)size;
}

static int server_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                         const uint8_t *value, size_t value_size, uint8_t flags, void *context) {
    (void)session, (void)frame, (void)flags;
    struct rig *rig = context;
    rig->headers++;
    if (grpc_header_is(name, name_size, ":path"))
        assert_true(grpc_header_is(value, value_size, "/a.B/C"));
    if (grpc_header_is(name, name_size, "user-agent")) {
        assert_true(value_size <= LONG_REQUEST);
        rig->agents[value_size]++;
        for (size_t i = 0; i < value_size; i++)
            assert_int_equal(value[i], 'u');
    }
    return 0;
}

static int server_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                       void *context) {
    (void)session, (void)flags;
    struct rig *rig = context;
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], (uint8_t)(rig->received[id] + i));
    rig->received[id] += size;
    return 0;
}

static int server_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    struct rig *rig = context;
    bool asked = frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    if (!asked)
        return 0;
    if (rig->scenario->resets && frame->hd.stream_id / 2 % 5 == 0)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    const nghttp2_nv headers[] = {grpc_header(":status", "200"), grpc_header("content-type", "application/grpc")};
    nghttp2_data_provider provider = {.read_callback = answer_read};
    return nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &provider);
}

static void server_open(struct rig *rig) {
    nghttp2_session_callbacks *callbacks;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, server_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, server_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, server_frame);
    assert_int_equal(nghttp2_session_server_new(&rig->server, callbacks, rig), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(
        nghttp2_submit_settings(rig->server, NGHTTP2_FLAG_NONE, rig->scenario->settings, rig->scenario->setting_count),
        0);
    assert_int_equal(nghttp2_submit_ping(rig->server, NGHTTP2_FLAG_NONE, NULL), 0);
}

/* ---- The clients --------------------------------------------------------------------------------- */

static void client_begin(struct rig *rig, struct client *client) {
    if (rig->left == 0)
        return;
    rig->left--;
    client->size = 1 + next_random(rig) % (next_random(rig) % 4 ? 300 : BODY_MAX);
    client->got = 0;
    client->status_seen = false;
    grpc_channel_begin(rig->channel, &client->call, client->body, client->size);
}

static void on_header(void *context, struct grpc_channel_call *call, const nghttp2_nv *header) {
    const struct rig *rig = context;
    struct client *client = list_entry(call, struct client, call);
    if (grpc_header_is(header->name, header->namelen, "grpc-status"))
        client->status_seen = grpc_header_number(header->value, header->valuelen) == 0;
    if (grpc_header_is(header->name, header->namelen, "x-long"))
        assert_int_equal(header->valuelen, strlen(rig->long_value));
}

static void on_data(void *context, struct grpc_channel_call *call, size_t size) {
    (void)context;
    list_entry(call, struct client, call)->got += size;
}

static void on_end(void *context, struct grpc_channel_call *call, uint32_t error) {
    struct rig *rig = context;
    struct client *client = list_entry(call, struct client, call);
    assert_int_equal(rig->received[call->id], client->size);
    rig->ended++;
    if (error) {
        assert_true(rig->scenario->resets);
        assert_int_equal(error, NGHTTP2_REFUSED_STREAM);
        rig->reset++;
    } else {
        assert_int_equal(client->got, rig->scenario->answer_size);
        assert_true(client->status_seen);
    }
    client_begin(rig, client);
}

/* ---- Bytes between them -------------------------------------------------------------------------- */

/* Up to as many bytes as chance will have it. */
static size_t piece_of(struct rig *rig, size_t size) {
    size_t most = next_random(rig) % 3 ? 1 + next_random(rig) % 20 : 1 + next_random(rig) % 40000;
    return size < most ? size : most;
}

static bool carry_to_server(struct rig *rig) {
    const uint8_t *data;
    size_t size = grpc_channel_output(rig->channel, &data);
    assert_null(grpc_channel_trouble(rig->channel));
    size = piece_of(rig, size);
    assert_int_equal(nghttp2_session_mem_recv(rig->server, data, size), size);
    grpc_channel_sent(rig->channel, size);
    return size > 0;
}

static bool carry_to_clients(struct rig *rig) {
    const uint8_t *data;
    ssize_t size = nghttp2_session_mem_send(rig->server, &data);
    assert_true(size >= 0);
    for (size_t at = 0, piece; at < (size_t)size; at += piece) {
        piece = piece_of(rig, (size_t)size - at);
        assert_null(grpc_channel_receive(rig->channel, data + at, piece));
    }
    return size > 0;
}

static const struct grpc_channel_events events = {.header = on_header, .data = on_data, .end = on_end};

/* The calls from now on have the scenario's `turn`-th agent. */
static void take_turn(struct rig *rig, nghttp2_nv *agent, const nghttp2_nv *headers, size_t header_count, size_t turn) {
    size_t size = rig->scenario->agents[turn];
    memset(rig->agent, 'u', size);
    rig->agent[size] = '\0';
    *agent = grpc_header("user-agent", rig->agent);
    grpc_channel_headers(rig->channel, headers, header_count);
}

static void run(const struct scenario *scenario, uint64_t seed) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    nghttp2_nv headers[] = {grpc_header(":path", "/a.B/C"), grpc_header(":method", "POST"),
                            grpc_header(":scheme", "http"), grpc_header(":authority", "test"),
                            grpc_header("te", "trailers"),  grpc_header("user-agent", "")};
    const size_t header_count = sizeof headers / sizeof *headers;
    size_t turn = 0;
    rig->scenario = scenario;
    rig->random = seed * 0x9e3779b97f4a7c15u;
    rig->left = CALLS;
    memset(rig->long_value, 'v', scenario->long_header ? LONG_HEADER : 1);
    rig->channel = grpc_channel_new(&events, rig);
    assert_non_null(rig->channel);
    grpc_channel_headers(rig->channel, headers, header_count);
    server_open(rig);
    for (size_t i = 0; i < CLIENTS; i++) {
        for (size_t at = 0; at < BODY_MAX; at++)
            rig->clients[i].body[at] = (uint8_t)at;
        client_begin(rig, &rig->clients[i]);
    }
    while (rig->ended < CALLS) {
        bool sent = carry_to_server(rig);
        assert_true(carry_to_clients(rig) || sent);
        if (turn < scenario->agent_count && rig->ended >= CALLS / 2 / scenario->agent_count * turn)
            take_turn(rig, &headers[header_count - 1], headers, header_count, turn++);
    }
    for (size_t i = 0; i < turn; i++)
        assert_true(rig->agents[scenario->agents[i]] > 0);
    assert_int_equal(turn, scenario->agent_count);
    assert_int_equal(rig->headers, CALLS * header_count);
    assert_int_equal(rig->reset > 0, scenario->resets);
    grpc_channel_free(rig->channel);
    nghttp2_session_del(rig->server);
    free(rig);
}

static void run_seeds(const struct scenario *scenario) {
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        run(scenario, seeds[i]);
}

static void calls_are_answered(void **state) {
    (void)state;
    run_seeds(&(struct scenario){.answer_size = 300});
}

static void a_server_with_small_windows_gets_messages_in_pieces(void **state) {
    (void)state;
    run_seeds(&(struct scenario){
        .settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 700}}, .setting_count = 1, .answer_size = 10});
}

static void a_server_of_few_streams_gets_no_more_at_once(void **state) {
    (void)state;
    run_seeds(&(struct scenario){
        .settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2}}, .setting_count = 1, .answer_size = 10});
}

static void a_server_without_a_header_table_gets_all_headers(void **state) {
    (void)state;
    run_seeds(&(struct scenario){
        .settings = {{NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 0}}, .setting_count = 1, .answer_size = 10});
}

/* Their length takes a byte, two or three; the longest headers do not fit the table. */
static void headers_of_calls_may_change_and_be_long(void **state) {
    static const size_t agents[] = {4, 126, 127, 128, 300, LONG_REQUEST, 5};
    (void)state;
    run_seeds(&(struct scenario){.agents = agents, .agent_count = sizeof agents / sizeof *agents, .answer_size = 10});
    run_seeds(&(struct scenario){.settings = {{NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 100}},
                                 .setting_count = 1,
                                 .agents = agents,
                                 .agent_count = sizeof agents / sizeof *agents,
                                 .answer_size = 10});
}

static void headers_that_are_too_long_end_the_channel(void **state) {
    (void)state;
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    memset(rig->agent, 'u', LONG_REQUEST);
    const nghttp2_nv headers[] = {grpc_header("one", rig->agent), grpc_header("two", rig->agent)};
    static const struct scenario scenario = {.answer_size = 10};
    rig->scenario = &scenario;
    rig->random = 1;
    rig->left = 1;
    rig->channel = grpc_channel_new(&events, rig);
    assert_non_null(rig->channel);
    grpc_channel_headers(rig->channel, headers, sizeof headers / sizeof *headers);
    server_open(rig);
    const uint8_t *data;
    do { /* until the server's settings have come */
        carry_to_server(rig);
    } while (carry_to_clients(rig));
    client_begin(rig, &rig->clients[0]);
    assert_int_equal(grpc_channel_output(rig->channel, &data), 0);
    assert_string_equal(grpc_channel_trouble(rig->channel), "the headers are too long");
    grpc_channel_free(rig->channel);
    nghttp2_session_del(rig->server);
    free(rig);
}

static void headers_longer_than_a_frame_and_large_answers_are_taken(void **state) {
    (void)state;
    run_seeds(&(struct scenario){.answer_size = 200000, .long_header = true});
}

static void calls_that_the_server_resets_end_with_its_error(void **state) {
    (void)state;
    run_seeds(&(struct scenario){.answer_size = 10, .resets = true});
}

/* ---- Servers that break the rules ---------------------------------------------------------------- */

static const struct {
    const char *what;
    uint8_t bytes[32];
    size_t size;
} broken[] = {
    {"a frame of 16385 bytes", {0x00, 0x40, 0x01, 0, 0, 0, 0, 0, 1}, 9},
    {"settings of 5 bytes", {0, 0, 5, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5}, 14},
    {"a ping of 7 bytes", {0, 0, 7, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7}, 16},
    {"a reset of 3 bytes", {0, 0, 3, 3, 0, 0, 0, 0, 1, 1, 2, 3}, 12},
    {"a window of 3 bytes", {0, 0, 3, 8, 0, 0, 0, 0, 0, 1, 2, 3}, 12},
    {"padding beyond the headers", {0, 0, 2, 1, 0x0c, 0, 0, 0, 1, 9, 0x88}, 11},
    {"a priority beyond the headers", {0, 0, 2, 1, 0x24, 0, 0, 0, 1, 9, 0x88}, 11},
    {"headers of no table", {0, 0, 1, 1, 4, 0, 0, 0, 1, 0xff}, 10},
    {"a reference to what is not there", {0, 0, 1, 1, 4, 0, 0, 0, 1, 0xfe}, 10},
    {"a continuation of nothing", {0, 0, 1, 9, 4, 0, 0, 0, 1, 0x88}, 10},
    {"a ping among headers", {0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88, 0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 27},
    {"a push", {0, 0, 5, 5, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0x88}, 14},
    {"a farewell", {0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 17},
};

static void what_breaks_the_rules_ends_the_channel(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct grpc_channel *channel = grpc_channel_new(&events, NULL);
        assert_non_null(channel);
        print_message("%s\n", broken[i].what);
        const char *trouble = NULL;
        for (size_t at = 0; at < broken[i].size && !trouble; at++)
            trouble = grpc_channel_receive(channel, broken[i].bytes + at, 1);
        assert_non_null(trouble);
        assert_ptr_equal(grpc_channel_trouble(channel), trouble);
        grpc_channel_free(channel);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered),
        cmocka_unit_test(a_server_with_small_windows_gets_messages_in_pieces),
        cmocka_unit_test(a_server_of_few_streams_gets_no_more_at_once),
        cmocka_unit_test(a_server_without_a_header_table_gets_all_headers),
        cmocka_unit_test(headers_of_calls_may_change_and_be_long),
        cmocka_unit_test(headers_that_are_too_long_end_the_channel),
        cmocka_unit_test(headers_longer_than_a_frame_and_large_answers_are_taken),
        cmocka_unit_test(calls_that_the_server_resets_end_with_its_error),
        cmocka_unit_test(what_breaks_the_rules_ends_the_channel),
    };
    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
