/* SPDX-License-Identifier: Apache-2.0
 *
 * A server with a real store, the double of a node behind it and clients in front:
 * on a thread of its own each, of which bench/guard.py leaves out the clients', the
 * program's first.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "lashctl/grpc_header.h"
#include "lashctl/grpc_load.h"
#include "workloads.h"

enum { SERVED_MESSAGE_MAX = 512, SERVED_GETTERS = 64 };

static uint8_t served_key[] = "guard/key";

/* The same request, as often as is left. */
struct served {
    size_t left;
    uint8_t message[SERVED_MESSAGE_MAX];
    size_t size;
};

static size_t served_next(void *context, uint8_t *to) {
    struct served *served = context;
    if (served->left == 0)
        return 0;
    served->left--;
    memcpy(to, served->message, served->size);
    return served->size;
}

/* `times` requests. */
static void served_run(struct grpc_load *load, const char *path, const ProtobufCMessage *request, size_t times) {
    static struct grpc_load_result result;
    char problem[256];
    struct served served = {.left = times};
    size_t size = protobuf_c_message_pack(request, served.message + GRPC_PREFIX_BYTES);
    LASH_ASSERT(size + GRPC_PREFIX_BYTES <= SERVED_MESSAGE_MAX);
    grpc_prefix_put(served.message, size);
    served.size = size + GRPC_PREFIX_BYTES;
    struct grpc_work work = {.path = path,
                             .request_max = SERVED_MESSAGE_MAX,
                             .response_min = GRPC_PREFIX_BYTES,
                             .context = &served,
                             .next = served_next};
    struct grpc_load_plan plan = {.seconds = 0};
    bool well = grpc_load_run(load, &work, &plan, &result, problem, sizeof problem);
    LASH_ASSERT(well && result.failures == 0 && result.operations == times);
}

static struct grpc_load *served_open(struct fixture *fixture, size_t clients) {
    char endpoint[32];
    char problem[256];
    fixture_open(fixture);
    peer_open(&fixture->peer, fixture->port);
    fixture_await_published(fixture);
    peer_close(&fixture->peer);
    (void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", fixture->port);
    const char *endpoints[] = {endpoint};
    struct grpc_load *load = grpc_load_open(endpoints, 1, 1, clients, problem, sizeof problem);
    LASH_ASSERT(load);
    return load;
}

static void served_put(struct grpc_load *load, size_t times) {
    static uint8_t value[WORKLOAD_VALUE];
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = (ProtobufCBinaryData){sizeof served_key - 1, served_key};
    request.value = (ProtobufCBinaryData){sizeof value, value};
    served_run(load, "/etcdserverpb.KV/Put", &request.base, times);
}

void workload_put(size_t times) {
    static struct fixture fixture;
    struct grpc_load *load = served_open(&fixture, 1);
    served_put(load, times);
    grpc_load_close(load);
    fixture_close(&fixture);
}

void workload_get(size_t times) {
    static struct fixture fixture;
    struct grpc_load *load = served_open(&fixture, SERVED_GETTERS);
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    request.key = (ProtobufCBinaryData){sizeof served_key - 1, served_key};
    served_put(load, 1);
    served_run(load, "/etcdserverpb.KV/Range", &request.base, times);
    grpc_load_close(load);
    fixture_close(&fixture);
}
