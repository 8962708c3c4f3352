/* SPDX-License-Identifier: Apache-2.0
 *
 * Load on a server of the etcd v3 API, Lash or etcd.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "bench/bench.h"
#include "bench/scratch.h"
#include "lashctl/clock.h"
#include "lashctl/kv_load.h"

enum { SERVER_ENDPOINTS_MAX = 64 };

static bool server_tick(void *context, const struct grpc_load_result *so_far, double elapsed_seconds) {
    (void)context, (void)so_far, (void)elapsed_seconds;
    return interrupt_signal() == 0;
}

static void server_report(const char *name, const struct bench_options *options, const struct grpc_load_result *result,
                          double busy) {
    double seconds = (double)result->measured_ns / 1e9;
    double rate = (double)result->operations / seconds;
    printf("%s: %d clients, %d bytes, %d keys: %.0f operations a second; 50 %% within %.0f us, 99 %% within %.0f us\n",
           name, options->clients, options->value, options->keys, rate,
           bench_us(histogram_quantile(&result->latency, 0.5)), bench_us(histogram_quantile(&result->latency, 0.99)));
    printf("{\"bench\": \"%s\", \"clients\": %d, \"connections\": %d, \"value\": %d, \"keys\": %d", name,
           options->clients, options->connections, options->value, options->keys);
    printf(", \"seconds\": %.3f, \"operations\": %" PRIu64 ", \"ops_per_second\": %.1f", seconds, result->operations,
           rate);
    bench_report_latency(&result->latency);
    printf(", \"generator_busy\": %.3f}\n", busy);
}

/* Take `list` apart at its commas. */
static size_t server_endpoints(char *list, const char *endpoints[SERVER_ENDPOINTS_MAX]) {
    size_t count = 0;
    char *rest = list;
    for (char *one = strsep(&rest, ","); one && count < SERVER_ENDPOINTS_MAX; one = strsep(&rest, ","))
        if (*one)
            endpoints[count++] = one;
    return count;
}

static bool server_run(const char *name, enum kv_load_kind kind, const struct bench_options *options) {
    static struct grpc_load_result result;
    const char *endpoints[SERVER_ENDPOINTS_MAX];
    char problem[512] = "";
    char *list = mem_strdup(options->endpoints);
    struct kv_load load = {
        .kind = kind,
        .endpoints = endpoints,
        .endpoint_count = list ? server_endpoints(list, endpoints) : 0,
        .connections = (size_t)options->connections,
        .clients = (size_t)options->clients,
        .keys = (size_t)options->keys,
        .value_bytes = (size_t)options->value,
        .plan = {.warm_up_seconds = options->warm_up, .seconds = options->seconds, .tick = server_tick}};
    struct usage before;
    struct usage used;
    uint64_t began = clock_ns();
    bool well = false;
    usage_read(&before);
    if (load.endpoint_count > 0)
        well = kv_load_run(&load, &result, problem, sizeof problem);
    else
        (void)snprintf(problem, sizeof problem, "--endpoints names none");
    mem_free(list);
    usage_read(&used);
    usage_since(&used, &before);
    if (well && result.failures > 0) {
        (void)snprintf(problem, sizeof problem, "%" PRIu64 " operations failed: %s", result.failures, result.failure);
        well = false;
    }
    if (problem[0] && !interrupt_signal())
        (void)fprintf(stderr, "lash-bench: %s\n", problem);
    if (well)
        server_report(name, options, &result, (double)used.cpu_ns / (double)(clock_ns() - began));
    return well;
}

bool bench_put(const struct bench_options *options) {
    return server_run("put", KV_LOAD_PUT, options);
}

bool bench_get(const struct bench_options *options) {
    return server_run("get", KV_LOAD_GET, options);
}

bool bench_txn(const struct bench_options *options) {
    return server_run("txn", KV_LOAD_TXN, options);
}
