/* SPDX-License-Identifier: Apache-2.0
 *
 * A server on the loopback: see fixture.h.
 */
#include "fixture.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server_options fixture_options;

static int fixture_remove(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

void fixture_open(struct fixture *fixture) {
    static const struct server_address address = {"127.0.0.1", 0};
    static const char *const urls[] = {"http://client:1", "http://client:2"};
    lash_index applied;
    const struct server_address *failed;
    struct server_options options = fixture_options;
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/lash-api-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    struct store_options store = {.dir = fixture->dir, .map_bytes = UINT64_C(1) << 30};
    assert_int_equal(store_open(&store, &fixture->store, &applied), 0);
    options.addresses = &address;
    options.address_count = 1;
    options.store = fixture->store;
    options.cluster_id = FIXTURE_CLUSTER;
    options.member_id = DOUBLE_ID;
    options.name = "n1";
    options.client_urls = urls;
    options.client_url_count = 2;
    fixture->node = double_open(store_machine(fixture->store), applied);
    assert_int_equal(server_open(&options, &fixture->server, &failed), 0);
    fixture->port = server_port(fixture->server, 0);
    assert_int_equal(server_start(fixture->server, fixture->node), 0);
}

void fixture_close(struct fixture *fixture) {
    server_drain(fixture->server, 0);
    lash_node_close(fixture->node);
    server_close(fixture->server);
    store_close(fixture->store);
    nftw(fixture->dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

int fixture_setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    signal(SIGPIPE, SIG_IGN); /* as lashd does */
    fixture_open(fixture);
    peer_open(&fixture->peer, fixture->port);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state) {
    struct fixture *fixture = *state;
    peer_close(&fixture->peer);
    fixture_close(fixture);
    free(fixture);
    fixture_options = (struct server_options){0};
    return 0;
}

void fixture_put(struct peer *peer, const char *key, const char *value) {
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    char copy[64];
    snprintf(copy, sizeof copy, "%s", key);
    request.key = (ProtobufCBinaryData){strlen(copy), (uint8_t *)copy};
    char *bytes = strdup(value);
    assert_non_null(bytes);
    request.value = (ProtobufCBinaryData){strlen(bytes), (uint8_t *)bytes};
    ProtobufCMessage *answer =
        peer_rpc(peer, "/etcdserverpb.KV/Put", &request.base, &etcdserverpb__put_response__descriptor);
    protobuf_c_message_free_unpacked(answer, NULL);
    free(bytes);
}

Etcdserverpb__MemberListResponse *fixture_list(struct fixture *fixture) {
    Etcdserverpb__MemberListRequest request = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
    request.linearizable = true;
    return (Etcdserverpb__MemberListResponse *)peer_rpc(&fixture->peer, "/etcdserverpb.Cluster/MemberList",
                                                        &request.base, &etcdserverpb__member_list_response__descriptor);
}

void fixture_await_published(struct fixture *fixture) {
    Etcdserverpb__MemberListResponse *answer;
    size_t urls;
    do {
        answer = fixture_list(fixture);
        urls = answer->members[0]->n_clienturls;
        protobuf_c_message_free_unpacked(&answer->base, NULL);
    } while (urls == 0);
}

char *fixture_value(size_t size) {
    char *value = malloc(size + 1);
    assert_non_null(value);
    memset(value, 'v', size);
    value[size] = '\0';
    return value;
}

void fixture_get(uint16_t port, const char *path, const char *status, const char *body) {
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", path);
    char *text = peer_raw(port, request, strlen(request));
    char *end = strstr(text, "\r\n");
    assert_non_null(end);
    *end = '\0';
    assert_string_equal(text, status);
    char *answered = strstr(end + 1, "\r\n\r\n");
    assert_non_null(answered);
    assert_string_equal(answered + 4, body);
    free(text);
}
