/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 on the client port: the pages, connections that are kept, and heads
 * that are none.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/http1.h"

#define HEALTHY "{\"health\":\"true\",\"reason\":\"\"}"

static void the_pages_have_etcds_texts(void **state) {
    struct fixture *fixture = *state;
    fixture_get(fixture->port, "/version", "HTTP/1.1 200 OK",
                "{\"etcdserver\":\"" SERVER_VERSION "\",\"etcdcluster\":\"3.5.0\"}");
    fixture_get(fixture->port, "/health", "HTTP/1.1 200 OK", HEALTHY);
    fixture_get(fixture->port, "/health?serializable=true", "HTTP/1.1 200 OK", HEALTHY);
    fixture_get(fixture->port, "/nothing", "HTTP/1.1 404 Not Found", "404 page not found\n");
}

static void health_fails_without_a_leader_and_says_why(void **state) {
    struct fixture *fixture = *state;
    double_set_failure(fixture->node, LASH_TIMEOUT);
    fixture_get(fixture->port, "/health", "HTTP/1.1 503 Service Unavailable",
                "{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: request timed out\"}\n");
    double_set_leader(fixture->node, 0);
    fixture_get(fixture->port, "/health", "HTTP/1.1 503 Service Unavailable",
                "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n");
    fixture_get(fixture->port, "/health?serializable=true", "HTTP/1.1 200 OK", HEALTHY);
}

static void a_full_disk_is_no_good_health_unless_that_is_left_out(void **state) {
    static const char alarm[] = "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n";
    static const char *const with[] = {"/health", "/health?serializable=true", "/health?exclude=CORRUPT", "/health?"};
    static const char *const without[] = {"/health?exclude=NOSPACE", "/health?exclude=NOSPACE&serializable=true",
                                          "/health?serializable=false&exclude=CORRUPT&exclude=NOSPACE"};
    struct fixture *fixture = *state;
    for (int other = 0; other < 2; other++) {
        double_set_full(fixture->node, !other, other);
        for (size_t i = 0; i < sizeof with / sizeof *with; i++)
            fixture_get(fixture->port, with[i], "HTTP/1.1 503 Service Unavailable", alarm);
        for (size_t i = 0; i < sizeof without / sizeof *without; i++)
            fixture_get(fixture->port, without[i], "HTTP/1.1 200 OK", HEALTHY);
    }
    double_set_full(fixture->node, false, false);
    fixture_get(fixture->port, "/health?exclude=NOSPACE", "HTTP/1.1 200 OK", HEALTHY);
    fixture_get(fixture->port, "/health", "HTTP/1.1 200 OK", HEALTHY);
}

static void a_query_that_nobody_knows_is_ignored(void **state) {
    struct fixture *fixture = *state;
    fixture_get(fixture->port, "/health?a=b&serializable=true&", "HTTP/1.1 200 OK", HEALTHY);
    fixture_get(fixture->port, "/version?pretty", "HTTP/1.1 200 OK",
                "{\"etcdserver\":\"" SERVER_VERSION "\",\"etcdcluster\":\"3.5.0\"}");
    fixture_get(fixture->port, "/healthy?serializable=true", "HTTP/1.1 404 Not Found", "404 page not found\n");
}

/* Several requests in one piece, one of which must wait for the node; the last one says good-bye. */
static void requests_on_one_connection_are_answered_in_order(void **state) {
    static const char requests[] = "GET /version HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "POST /version HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
                                   "GET /nothing HTTP/1.0\r\n\r\n"
                                   "GET /version HTTP/1.1\r\nHost: a\r\n\r\n";
    struct fixture *fixture = *state;
    char *text = peer_raw(fixture->port, requests, strlen(requests));
    const char *version = strstr(text, "{\"etcdserver\"");
    const char *health = strstr(text, HEALTHY);
    const char *post = strstr(text, "405 Method Not Allowed\r\nAllow: GET\r\n");
    const char *nothing = strstr(text, "404 page not found");
    assert_true(version && health && post && nothing);
    assert_true(version < health && health < post && post < nothing);
    assert_null(strstr(nothing, "etcdserver")); /* HTTP/1.0 ended it */
    free(text);
}

static void a_body_that_nobody_reads_ends_the_connection_after_the_answer(void **state) {
    static const char request[] = "GET /version HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /health HTTP/1.1\r\n\r\n";
    struct fixture *fixture = *state;
    char *text = peer_raw(fixture->port, request, strlen(request));
    assert_non_null(strstr(text, "etcdserver"));
    assert_non_null(strstr(text, "Connection: close"));
    assert_null(strstr(text, "health"));
    free(text);
}

static void what_is_no_request_is_answered_so_or_cut_off(void **state) {
    struct fixture *fixture = *state;
    char *text = peer_raw(fixture->port, "hello\r\n\r\n", 9);
    assert_memory_equal(text, "HTTP/1.1 400 Bad Request\r\n", 26);
    free(text);
    text = peer_raw(fixture->port, "\x16\x03\x01\x02", 4); /* TLS */
    assert_string_equal(text, "");
    free(text);
    char *endless = fixture_value(20000);
    text = peer_raw(fixture->port, endless, 20000);
    assert_string_equal(text, "");
    free(text);
    free(endless);
    fixture_get(fixture->port, "/health", "HTTP/1.1 200 OK", HEALTHY);
}

/* The client leaves before the node has answered. */
static void nobody_waits_for_a_page(void **state) {
    struct fixture *fixture = *state;
    fixture_put(&fixture->peer, "a", "1");
    double_hold(fixture->node, true);
    int made = peer_connect(fixture->port);
    static const char request[] = "GET /health HTTP/1.1\r\n\r\n";
    assert_int_equal(send(made, request, strlen(request), 0), strlen(request));
    double_await_held(fixture->node, 1);
    close(made);
    double_hold(fixture->node, false);
    fixture_get(fixture->port, "/health", "HTTP/1.1 200 OK", HEALTHY);
}

/* ---- The parser -------------------------------------------------------------------------------- */

static void heads_are_parsed_or_refused(void **state) {
    static const struct {
        const char *head;
        bool good, keep, body;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", true, true, false},
        {"GET / HTTP/1.0\r\n\r\n", true, false, false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, true, false},
        {"GET / HTTP/1.1\r\nconnection: Upgrade, close\r\n\r\n", true, false, false},
        {"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", true, true, false},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", true, true, true},
        {"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", true, true, true},
        {"GET / HTTP/2.0\r\n\r\n", false, false, false},
        {"GET / HTTP/1.1 \r\n\r\n", false, false, false},
        {"GET /\r\n\r\n", false, false, false},
        {"GET  / HTTP/1.1\r\n\r\n", false, false, false},
        {"GET / HTTP/1.1\r\nno colon\r\n\r\n", false, false, false},
        {"GET / HTTP/1.1\r\nname : v\r\n\r\n", false, false, false},
        {"GET / HTTP/1.1\r\n: v\r\n\r\n", false, false, false},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", false, false, false},
        {"\r\n\r\n", false, false, false},
        {"GET / HTTP/1.1\r\n", false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http1_request request;
        assert_int_equal(http1_parse(cases[i].head, strlen(cases[i].head), &request), cases[i].good);
        if (!cases[i].good)
            continue;
        assert_int_equal(request.keep_alive, cases[i].keep);
        assert_int_equal(request.has_body, cases[i].body);
        assert_int_equal(request.method_size, 3);
        assert_int_equal(request.target_size, 1);
    }
}

#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENARIO(the_pages_have_etcds_texts),
        SCENARIO(health_fails_without_a_leader_and_says_why),
        SCENARIO(a_full_disk_is_no_good_health_unless_that_is_left_out),
        SCENARIO(a_query_that_nobody_knows_is_ignored),
        SCENARIO(requests_on_one_connection_are_answered_in_order),
        SCENARIO(a_body_that_nobody_reads_ends_the_connection_after_the_answer),
        SCENARIO(what_is_no_request_is_answered_so_or_cut_off),
        SCENARIO(nobody_waits_for_a_page),
        cmocka_unit_test(heads_are_parsed_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
