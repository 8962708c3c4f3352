/* SPDX-License-Identifier: Apache-2.0
 *
 * Prometheus' text format, the page of metrics, and the service Observation.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/exposition.h"
#include "api/usage.h"
#include "base/grpc_code.h"
#include "health.pb-c.h"
#include "lash.pb-c.h"
#include "rpc.pb-c.h"

/* ---- The format ---------------------------------------------------------------------------------- */

static void assert_text(struct exposition *exposition, const char *expected) {
    struct buf *text = exposition_finish(exposition);
    assert_non_null(text);
    assert_int_equal(text->size, strlen(expected));
    assert_memory_equal(text->data, expected, text->size);
    buf_unref(text);
}

static void samples_stand_below_their_familys_help_and_type(void **state) {
    struct exposition page = {.failed = false};
    (void)state;
    exposition_family(&page, "a_total", EXPOSITION_COUNTER, "What is counted.");
    exposition_count(&page, NULL, UINT64_MAX);
    exposition_family(&page, "b", EXPOSITION_GAUGE, "A \\ and a\nline, and \"quotes\".");
    exposition_integer(&page, NULL, -7);
    const struct exposition_labels two = {.labels = {{"x", "1"}, {"y", "2"}}};
    exposition_count(&page, &two, 3);
    assert_text(&page, "# HELP a_total What is counted.\n# TYPE a_total counter\na_total 18446744073709551615\n"
                       "# HELP b A \\\\ and a\\nline, and \"quotes\".\n# TYPE b gauge\nb -7\nb{x=\"1\",y=\"2\"} 3\n");
}

static void labels_are_escaped(void **state) {
    struct exposition page = {.failed = false};
    const struct exposition_labels labels = {.labels = {{"name", "C:\\dir\n\"quoted\" {a=b} \xc3\xa4"}}};
    (void)state;
    exposition_family(&page, "f", EXPOSITION_GAUGE, "h");
    exposition_count(&page, &labels, 1);
    assert_text(&page, "# HELP f h\n# TYPE f gauge\nf{name=\"C:\\\\dir\\n\\\"quoted\\\" {a=b} \xc3\xa4\"} 1\n");
}

static void seconds_have_all_their_digits_and_no_more(void **state) {
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "f 0\n"},
                 {1, "f 0.000000001\n"},
                 {1000000000, "f 1\n"},
                 {10000000000, "f 10\n"},
                 {1500000000, "f 1.5\n"},
                 {100000, "f 0.0001\n"},
                 {UINT64_MAX, "f 18446744073.709551615\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct exposition page = {.failed = false};
        exposition_family(&page, "f", EXPOSITION_GAUGE, "h");
        exposition_seconds(&page, NULL, cases[i].ns);
        char expected[128];
        snprintf(expected, sizeof expected, "# HELP f h\n# TYPE f gauge\n%s", cases[i].text);
        assert_text(&page, expected);
    }
}

static void a_histogram_adds_its_buckets_up(void **state) {
    struct exposition page = {.failed = false};
    const struct lash_histogram histogram = {
        .bound_ns = 1000000, .bucket_count = 3, .counts = {5, 0, 2, 1}, .sum_ns = 12345678901};
    const struct exposition_labels labels = {.labels = {{"To", "ab"}}};
    (void)state;
    exposition_family(&page, "f", EXPOSITION_HISTOGRAM, "h");
    exposition_histogram(&page, &labels, &histogram);
    assert_text(&page, "# HELP f h\n# TYPE f histogram\n"
                       "f_bucket{To=\"ab\",le=\"0.001\"} 5\nf_bucket{To=\"ab\",le=\"0.002\"} 5\n"
                       "f_bucket{To=\"ab\",le=\"0.004\"} 7\nf_bucket{To=\"ab\",le=\"+Inf\"} 8\n"
                       "f_sum{To=\"ab\"} 12.345678901\nf_count{To=\"ab\"} 8\n");
}

static void a_page_grows_as_long_as_it_must_and_fails_without_memory(void **state) {
    (void)state;
    for (uint64_t n = 0; n <= 6; n++) {
        struct exposition page = {.failed = false};
        mem_fail_after(n);
        for (int i = 0; i < 10000; i++) {
            exposition_family(&page, "family", EXPOSITION_GAUGE, "help");
            exposition_count(&page, NULL, 1);
        }
        mem_fail_after(0);
        struct buf *text = exposition_finish(&page);
        assert_int_equal(text == NULL, n >= 1 && n <= 6);
        if (text)
            assert_int_equal(text->size, 10000 * strlen("# HELP family help\n# TYPE family gauge\nfamily 1\n"));
        buf_unref(text);
    }
}

static void a_process_knows_what_it_uses(void **state) {
    struct usage usage;
    (void)state;
    usage_read(&usage);
    assert_true(usage.resident_bytes > 100000 && usage.virtual_bytes >= usage.resident_bytes);
    assert_true(usage.open_files >= 3 && usage.open_files < usage.files_max);
    uint64_t now_ns = (uint64_t)time(NULL) * 1000000000;
    assert_true(usage.start_ns < now_ns + UINT64_C(2000000000));
    assert_true(usage.start_ns + UINT64_C(3600) * 1000000000 > now_ns);
    FILE *another = fopen("/proc/self/stat", "r");
    struct usage after;
    usage_read(&after);
    assert_int_equal(after.open_files, usage.open_files + 1);
    assert_int_equal(after.start_ns, usage.start_ns);
    assert_true(after.cpu_ns >= usage.cpu_ns && after.cpu_ns > 0);
    (void)fclose(another);
}

/* ---- The page ------------------------------------------------------------------------------------ */

/* GET /metrics; the whole answer, to be freed. */
static char *fetch(const struct fixture *fixture) {
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    return peer_raw(fixture->port, request, strlen(request));
}

/* The page holds this line. */
static void assert_line(const struct fixture *fixture, const char *line) {
    char framed[256];
    snprintf(framed, sizeof framed, "\n%s\n", line);
    char *text = fetch(fixture);
    if (!strstr(text, framed))
        fail_msg("no line %s in %s", line, text);
    free(text);
}

static struct lash_metrics example(void) {
    struct lash_metrics metrics = {.elections = 3,
                                   .elections_won = 2,
                                   .leader_changes = 5,
                                   .proposals = 100,
                                   .proposals_failed = 7,
                                   .proposals_pending = 4,
                                   .reads_failed = 6,
                                   .pending_bytes = 4096,
                                   .log_queued_frames = 9,
                                   .log_queued_bytes = 900,
                                   .apply_lag_ns = 1500000,
                                   .peer_count = 2};
    metrics.sync = (struct lash_histogram){.bound_ns = 1000000, .bucket_count = 14, .counts = {98, 1, 1}, .sum_ns = 5};
    metrics.commit = (struct lash_histogram){.bound_ns = 100000, .bucket_count = 16, .counts = {0}};
    metrics.apply = metrics.commit;
    metrics.peers[0] = (struct lash_peer_metrics){
        .id = 0x33, .connected = true, .bytes_sent = 10, .bytes_received = 20, .round_trip_ns = 70000};
    metrics.peers[0].round_trip = metrics.commit;
    metrics.peers[0].round_trip.counts[1] = 2;
    metrics.peers[1] = (struct lash_peer_metrics){.id = 0x22, .disconnects = 8, .send_failures = 11};
    metrics.peers[1].round_trip = metrics.commit;
    return metrics;
}

static void the_page_tells_what_node_and_store_count(void **state) {
    struct fixture *fixture = *state;
    struct lash_metrics metrics = example();
    double_set_metrics(fixture->node, &metrics);
    fixture_put(&fixture->peer, "a", "1");
    char *text = fetch(fixture);
    assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(text, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    free(text);
    assert_line(fixture, "etcd_server_has_leader 1");
    assert_line(fixture, "etcd_server_is_leader 1");
    assert_line(fixture, "etcd_server_id{server_id=\"11\"} 1");
    assert_line(fixture, "etcd_server_leader_changes_seen_total 5");
    assert_line(fixture, "etcd_server_proposals_failed_total 7");
    assert_line(fixture, "etcd_server_proposals_pending 4");
    assert_line(fixture, "etcd_debugging_mvcc_current_revision 2");
    assert_line(fixture, "lash_members{kind=\"voter\"} 2");
    assert_line(fixture, "lash_members{kind=\"learner\"} 0");
    assert_line(fixture, "lash_raft_role{role=\"leader\"} 1");
    assert_line(fixture, "lash_raft_role{role=\"follower\"} 0");
    assert_line(fixture, "lash_elections_won_total 2");
    assert_line(fixture, "lash_apply_lag_seconds 0.0015");
    assert_line(fixture, "lash_queue_depth{queue=\"log\"} 9");
    assert_line(fixture, "lash_queue_bytes{queue=\"requests\"} 4096");
    assert_line(fixture, "lash_queue_bytes{queue=\"uncommitted\"} 0");
    assert_line(fixture, "lash_queue_bytes{queue=\"parts\"} 0");
    assert_line(fixture, "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"} 99");
    assert_line(fixture, "etcd_network_peer_sent_bytes_total{To=\"33\"} 10");
    assert_line(fixture, "etcd_network_peer_received_bytes_total{From=\"33\"} 20");
    assert_line(fixture, "etcd_network_peer_sent_failures_total{To=\"22\"} 11");
    assert_line(fixture, "etcd_network_active_peers{Local=\"11\",Remote=\"33\"} 1");
    assert_line(fixture, "etcd_network_disconnected_peers_total{Local=\"11\",Remote=\"22\"} 8");
    assert_line(fixture, "etcd_network_peer_round_trip_time_seconds_bucket{To=\"33\",le=\"0.0002\"} 2");
}

static void a_member_that_stopped_or_lost_its_leader_says_so(void **state) {
    struct fixture *fixture = *state;
    double_set_leader(fixture->node, 0);
    assert_line(fixture, "etcd_server_has_leader 0");
    assert_line(fixture, "etcd_server_is_leader 0");
    assert_line(fixture, "lash_failed 0");
    assert_line(fixture, "lash_log_damaged 0");
    double_set_error(fixture->node, LASH_DAMAGED);
    assert_line(fixture, "lash_failed 0"); /* it ends by itself */
    assert_line(fixture, "lash_log_damaged 1");
    double_set_error(fixture->node, LASH_IO);
    assert_line(fixture, "lash_failed 1");
    assert_line(fixture, "lash_log_damaged 0");
}

static void calls_are_counted_by_how_they_end(void **state) {
    struct fixture *fixture = *state;
    struct peer *peer = &fixture->peer;
    fixture_put(peer, "a", "1");
    Etcdserverpb__RangeRequest empty = ETCDSERVERPB__RANGE_REQUEST__INIT;
    peer_rpc_fails(peer, "/etcdserverpb.KV/Range", &empty.base, GRPC_INVALID_ARGUMENT,
                   "etcdserver: key is not provided");
    peer_rpc_fails(peer, "/etcdserverpb.KV/Nothing", &empty.base, GRPC_UNIMPLEMENTED,
                   "unknown method Nothing for service etcdserverpb.KV");
    assert_line(fixture, "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Put\","
                         "grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1");
    assert_line(fixture, "grpc_server_handled_total{grpc_code=\"InvalidArgument\",grpc_method=\"Range\","
                         "grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1");
    assert_line(fixture, "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Range\","
                         "grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 0");
}

static void a_call_taken_back_counts_as_cancelled(void **state) {
    struct fixture *fixture = *state;
    struct peer *peer = &fixture->peer;
    size_t size;
    uint8_t key[] = "a";
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = (ProtobufCBinaryData){1, key};
    uint8_t *body = peer_frame(&request.base, &size);
    const struct ask ask = {.path = "/etcdserverpb.KV/DeleteRange", .body = body, .size = size};
    double_hold(fixture->node, true);
    const struct answer *answer = peer_ask(peer, &ask);
    nghttp2_submit_ping(peer->session, NGHTTP2_FLAG_NONE, NULL);
    peer_until(peer, peer->pongs == 1); /* the server has seen it */
    assert_line(fixture, "grpc_server_started_total{grpc_method=\"DeleteRange\",grpc_service=\"etcdserverpb.KV\","
                         "grpc_type=\"unary\"} 1");
    assert_int_equal(nghttp2_submit_rst_stream(peer->session, NGHTTP2_FLAG_NONE, answer->id, NGHTTP2_CANCEL), 0);
    nghttp2_submit_ping(peer->session, NGHTTP2_FLAG_NONE, NULL);
    peer_until(peer, peer->pongs == 2);
    assert_line(fixture, "grpc_server_handled_total{grpc_code=\"Canceled\",grpc_method=\"DeleteRange\","
                         "grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1");
    double_hold(fixture->node, false);
    free(body);
}

/* ---- The service --------------------------------------------------------------------------------- */

static void status_tells_of_node_and_peers(void **state) {
    struct fixture *fixture = *state;
    struct lash_metrics metrics = example();
    double_set_metrics(fixture->node, &metrics);
    Lash__StatusRequest request = LASH__STATUS_REQUEST__INIT;
    ProtobufCMessage *message =
        peer_rpc(&fixture->peer, "/lash.Observation/Status", &request.base, &lash__status_response__descriptor);
    const Lash__StatusResponse *status = (const Lash__StatusResponse *)message;
    assert_int_equal(status->cluster_id, FIXTURE_CLUSTER);
    assert_int_equal(status->member_id, DOUBLE_ID);
    assert_string_equal(status->name, "n1");
    assert_string_equal(status->role, "leader");
    assert_int_equal(status->term, DOUBLE_TERM);
    assert_string_equal(status->error, "");
    assert_int_equal(status->elections, 3);
    assert_int_equal(status->proposals_failed, 7);
    assert_int_equal(status->sync->count, 100);
    assert_int_equal(status->sync->p99_ns, 2000000);
    assert_int_equal(status->commitment->count, 0);
    assert_int_equal(status->commitment->p99_ns, 0);
    assert_int_equal(status->apply_lag_ns, 1500000);
    assert_int_equal(status->n_peers, 2); /* by id */
    assert_int_equal(status->peers[0]->id, 0x22);
    assert_string_equal(status->peers[0]->name, "");
    assert_false(status->peers[0]->connected);
    assert_int_equal(status->peers[1]->id, 0x33);
    assert_string_equal(status->peers[1]->name, "n2");
    assert_true(status->peers[1]->connected);
    assert_int_equal(status->peers[1]->round_trip_ns, 70000);
    assert_null(status->peers[1]->progress);
    protobuf_c_message_free_unpacked(message, NULL);
}

#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_stand_below_their_familys_help_and_type),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(seconds_have_all_their_digits_and_no_more),
        cmocka_unit_test(a_histogram_adds_its_buckets_up),
        cmocka_unit_test(a_page_grows_as_long_as_it_must_and_fails_without_memory),
        cmocka_unit_test(a_process_knows_what_it_uses),
        SCENARIO(the_page_tells_what_node_and_store_count),
        SCENARIO(a_member_that_stopped_or_lost_its_leader_says_so),
        SCENARIO(calls_are_counted_by_how_they_end),
        SCENARIO(a_call_taken_back_counts_as_cancelled),
        SCENARIO(status_tells_of_node_and_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
