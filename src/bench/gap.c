/* SPDX-License-Identifier: Apache-2.0
 *
 * One client that puts a key over and over, and goes to the next endpoint when it has
 * no answer soon: how long the longest time was in which it got none. Whoever ends
 * a leader meanwhile learns how long the service was away.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "bench/bench.h"
#include "bench/scratch.h"
#include "lashctl/clock.h"
#include "lashctl/grpc_client.h"
#include "lashctl/kv_load.h"
#include "rpc.pb-c.h"

enum { GAP_ENDPOINTS_MAX = 64, GAP_CALL_MS = 100, GAP_CONNECT_MS = 200 };

struct gap {
    struct grpc_client *client; /* NULL: none at present */
    char *list;
    const char *endpoints[GAP_ENDPOINTS_MAX];
    size_t endpoint_count;
    size_t at; /* which endpoint is next or connected */
    uint64_t answered;
    uint64_t failed;
    uint64_t longest_ns;
    char failure[512];
};

static void gap_leave(struct gap *gap) {
    grpc_client_close(gap->client);
    gap->client = NULL;
    gap->at = (gap->at + 1) % gap->endpoint_count;
}

/* One put. Returns whether it was answered well. */
static bool gap_put(struct gap *gap, const ProtobufCMessage *request) {
    struct grpc_status status;
    if (!gap->client)
        gap->client = grpc_client_open(gap->endpoints[gap->at], clock_after_ms(GAP_CONNECT_MS), &status);
    ProtobufCMessage *answer = NULL;
    if (gap->client)
        answer = grpc_client_call(gap->client, "/etcdserverpb.KV/Put", request, &etcdserverpb__put_response__descriptor,
                                  clock_after_ms(GAP_CALL_MS), &status);
    if (answer) {
        grpc_message_free(answer);
        return true;
    }
    gap->failed++;
    (void)snprintf(gap->failure, sizeof gap->failure, "%s", status.message);
    gap_leave(gap);
    return false;
}

static void gap_run(struct gap *gap, const struct bench_options *options, uint8_t *value) {
    static uint8_t key[] = "bench/gap";
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = (ProtobufCBinaryData){sizeof key - 1, key};
    request.value = (ProtobufCBinaryData){(size_t)options->value, value};
    uint64_t begin = clock_ns(), last = begin;
    uint64_t warm = begin + (uint64_t)(options->warm_up * 1e9), end = warm + (uint64_t)(options->seconds * 1e9);
    for (uint64_t now = begin; now < end && !interrupt_signal(); now = clock_ns()) {
        if (!gap_put(gap, &request.base))
            continue;
        now = clock_ns();
        if (now >= warm) {
            gap->longest_ns = now - last > gap->longest_ns ? now - last : gap->longest_ns;
            gap->answered++;
        }
        last = now;
    }
    /* a service that did not come back was away until the end */
    uint64_t now = clock_ns();
    gap->longest_ns = now - last > gap->longest_ns ? now - last : gap->longest_ns;
}

static bool gap_open(struct gap *gap, const struct bench_options *options) {
    char *rest = NULL;
    gap->list = mem_strdup(options->endpoints);
    for (char *one = gap->list ? strtok_r(gap->list, ",", &rest) : NULL; one && gap->endpoint_count < GAP_ENDPOINTS_MAX;
         one = strtok_r(NULL, ",", &rest))
        gap->endpoints[gap->endpoint_count++] = one;
    if (gap->endpoint_count == 0)
        (void)fprintf(stderr, "lash-bench: --endpoints names none\n");
    return gap->endpoint_count > 0;
}

bool bench_gap(const struct bench_options *options) {
    struct gap gap = {.client = NULL};
    uint8_t *value = mem_alloc((size_t)options->value);
    bool well = value && gap_open(&gap, options);
    if (well) {
        kv_load_fill(value, (size_t)options->value);
        gap_run(&gap, options, value);
        well = gap.answered > 0;
        if (!well && !interrupt_signal())
            (void)fprintf(stderr, "lash-bench: not one put was answered: %s\n", gap.failure);
    }
    if (well)
        printf(
            "gap: %llu puts answered, %llu not; the longest time without an answer was %.1f ms\n"
            "{\"bench\": \"gap\", \"value\": %d, \"operations\": %llu, \"failures\": %llu, \"longest_gap_ms\": %.3f}\n",
            (unsigned long long)gap.answered, (unsigned long long)gap.failed, (double)gap.longest_ns / 1e6,
            options->value, (unsigned long long)gap.answered, (unsigned long long)gap.failed,
            (double)gap.longest_ns / 1e6);
    grpc_client_close(gap.client);
    mem_free(gap.list);
    mem_free(value);
    return well;
}
