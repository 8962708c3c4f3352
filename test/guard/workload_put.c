/* SPDX-License-Identifier: Apache-2.0
 *
 * A server with a real store, the double of a node behind it and one client in
 * front: on a thread of its own each, of which bench/guard.py leaves out the client's,
 * the program's first.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "lashctl/grpc_header.h"
#include "lashctl/grpc_load.h"
#include "workloads.h"

enum { PUT_MESSAGE_MAX = 512 };

struct puts {
    size_t left;
    uint8_t message[PUT_MESSAGE_MAX];
    size_t size;
};

static size_t put_next(void *context, uint8_t *to) {
    struct puts *puts = context;
    if (puts->left == 0)
        return 0;
    puts->left--;
    memcpy(to, puts->message, puts->size);
    return puts->size;
}

static void put_prepare(struct puts *puts) {
    static uint8_t key[] = "guard/key";
    static uint8_t value[WORKLOAD_VALUE];
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = (ProtobufCBinaryData){sizeof key - 1, key};
    request.value = (ProtobufCBinaryData){sizeof value, value};
    size_t size = etcdserverpb__put_request__pack(&request, puts->message + GRPC_PREFIX_BYTES);
    LASH_ASSERT(size + GRPC_PREFIX_BYTES <= PUT_MESSAGE_MAX);
    grpc_prefix_put(puts->message, size);
    puts->size = size + GRPC_PREFIX_BYTES;
}

void workload_put(size_t times) {
    static struct grpc_load_result result;
    static struct fixture fixture;
    char endpoint[32];
    char problem[256];
    fixture_open(&fixture);
    peer_open(&fixture.peer, fixture.port);
    fixture_await_published(&fixture);
    peer_close(&fixture.peer);
    (void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", fixture.port);
    const char *endpoints[] = {endpoint};
    struct grpc_load *load = grpc_load_open(endpoints, 1, 1, 1, problem, sizeof problem);
    LASH_ASSERT(load);
    struct puts puts = {.left = times};
    put_prepare(&puts);
    struct grpc_work work = {.path = "/etcdserverpb.KV/Put",
                             .request_max = PUT_MESSAGE_MAX,
                             .response_min = GRPC_PREFIX_BYTES,
                             .context = &puts,
                             .next = put_next};
    struct grpc_load_plan plan = {.seconds = 0};
    bool well = grpc_load_run(load, &work, &plan, &result, problem, sizeof problem);
    LASH_ASSERT(well && result.failures == 0 && result.operations == times);
    grpc_load_close(load);
    fixture_close(&fixture);
}
