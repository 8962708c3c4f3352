/* SPDX-License-Identifier: Apache-2.0
 *
 * Watches on a server of the etcd v3 API: how many events they get while clients put,
 * and how long an event takes. Each watcher has a connection and a thread of its own and
 * watches all keys; the load of `put` runs meanwhile; and one client more, the pacer,
 * puts the time over and over, so that a watcher can tell how old that is.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "bench/bench.h"
#include "bench/scratch.h"
#include "lashctl/clock.h"
#include "lashctl/grpc_client.h"
#include "lashctl/kv_load.h"
#include "rpc.pb-c.h"

enum { WATCH_ENDPOINTS_MAX = 64, WATCH_PATIENCE_MS = 10000, WATCH_CALL_MS = 5000 };

#define WATCH_PREFIX "bench/"
#define WATCH_PREFIX_END "bench0"
#define WATCH_PACER_KEY "bench/pacer"

struct watch;

struct watcher {
    struct watch *watch;
    struct grpc_client *client;
    pthread_t thread;
    bool started;
    uint64_t events; /* while it was measured */
    struct histogram latency;
    struct grpc_status status;
};

struct watch {
    const struct bench_options *options;
    char *list;
    const char *endpoints[WATCH_ENDPOINTS_MAX];
    size_t endpoint_count;
    struct watcher *watchers;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t waiting; /* watchers that are yet to be told that their watch was created */
    size_t running;
    atomic_bool measuring;
    atomic_bool ending;
    bool pacing;
    pthread_t pacer;
    struct grpc_client *pacer_client;
    size_t pacer_at; /* the endpoint that it is connected to */
    uint64_t since;
};

/* ---- Watchers ------------------------------------------------------------------------------------------ */

static void watcher_created(struct watch *watch) {
    (void)pthread_mutex_lock(&watch->mutex);
    watch->waiting--;
    (void)pthread_cond_broadcast(&watch->changed);
    (void)pthread_mutex_unlock(&watch->mutex);
}

static bool watcher_take(void *context, const ProtobufCMessage *message) {
    struct watcher *watcher = context;
    struct watch *watch = watcher->watch;
    const Etcdserverpb__WatchResponse *response = (const Etcdserverpb__WatchResponse *)(const void *)message;
    if (response->created)
        watcher_created(watch);
    bool measuring = watch->measuring;
    uint64_t now = clock_ns();
    for (size_t i = 0; measuring && i < response->n_events; i++) {
        const Mvccpb__KeyValue *kv = response->events[i]->kv;
        watcher->events++;
        if (kv && kv->value.len >= 8 && kv->key.len == strlen(WATCH_PACER_KEY) &&
            memcmp(kv->key.data, WATCH_PACER_KEY, kv->key.len) == 0)
            histogram_add(&watcher->latency, now - le64_get(kv->value.data));
    }
    return !response->canceled && !watch->ending;
}

static void *watcher_run(void *context) {
    struct watcher *watcher = context;
    struct watch *watch = watcher->watch;
    static char key[] = WATCH_PREFIX, end[] = WATCH_PREFIX_END;
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    create.key = (ProtobufCBinaryData){sizeof key - 1, (uint8_t *)key};
    create.range_end = (ProtobufCBinaryData){sizeof end - 1, (uint8_t *)end};
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    request.create_request = &create;
    grpc_client_stream(watcher->client, "/etcdserverpb.Watch/Watch", &request.base,
                       &etcdserverpb__watch_response__descriptor, WATCH_PATIENCE_MS, watcher_take, watcher,
                       &watcher->status);
    (void)pthread_mutex_lock(&watch->mutex);
    watch->running--;
    (void)pthread_cond_broadcast(&watch->changed);
    (void)pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

/* ---- The pacer ----------------------------------------------------------------------------------------- */

/* Connect to the next endpoint. */
static void pacer_connect(struct watch *watch) {
    struct grpc_status status;
    grpc_client_close(watch->pacer_client);
    watch->pacer_at = (watch->pacer_at + 1) % watch->endpoint_count;
    watch->pacer_client = grpc_client_open(watch->endpoints[watch->pacer_at], clock_after_ms(WATCH_CALL_MS), &status);
}

/* Until all watchers are gone, which leave with the next event once it is ending, or with their server. */
static void *pacer_run(void *context) {
    struct watch *watch = context;
    static char key[] = WATCH_PACER_KEY;
    uint8_t value[8];
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = (ProtobufCBinaryData){sizeof key - 1, (uint8_t *)key};
    request.value = (ProtobufCBinaryData){sizeof value, value};
    for (;;) {
        (void)pthread_mutex_lock(&watch->mutex);
        bool over = watch->ending && watch->running == 0;
        (void)pthread_mutex_unlock(&watch->mutex);
        if (over)
            return NULL;
        struct grpc_status status;
        ProtobufCMessage *answer = NULL;
        le64_put(value, clock_ns());
        if (watch->pacer_client)
            answer = grpc_client_call(watch->pacer_client, "/etcdserverpb.KV/Put", &request.base,
                                      &etcdserverpb__put_response__descriptor, clock_after_ms(WATCH_CALL_MS), &status);
        if (answer)
            grpc_message_free(answer);
        else
            pacer_connect(watch);
    }
}

/* ---- The run ------------------------------------------------------------------------------------------- */

static bool watch_tick(void *context, const struct grpc_load_result *so_far, double elapsed_seconds) {
    (void)so_far, (void)elapsed_seconds;
    struct watch *watch = context;
    if (!watch->measuring) {
        watch->since = clock_ns();
        watch->measuring = true;
    }
    return interrupt_signal() == 0;
}

static bool watch_fail(const char *what, const char *why) {
    if (!interrupt_signal())
        (void)fprintf(stderr, "lash-bench: %s: %s\n", what, why);
    return false;
}

static bool watch_open(struct watch *watch) {
    char *rest = NULL;
    watch->list = mem_strdup(watch->options->endpoints);
    watch->watchers = mem_calloc((size_t)watch->options->connections, sizeof *watch->watchers);
    if (!watch->list || !watch->watchers)
        return watch_fail("watch", "out of memory");
    for (char *one = strtok_r(watch->list, ",", &rest); one && watch->endpoint_count < WATCH_ENDPOINTS_MAX;
         one = strtok_r(NULL, ",", &rest))
        watch->endpoints[watch->endpoint_count++] = one;
    if (watch->endpoint_count == 0)
        return watch_fail("--endpoints", "names none");
    struct grpc_status status;
    watch->pacer_client = grpc_client_open(watch->endpoints[0], clock_after_ms(WATCH_CALL_MS), &status);
    if (!watch->pacer_client)
        return watch_fail(watch->endpoints[0], status.message);
    for (int i = 0; i < watch->options->connections; i++) {
        struct watcher *watcher = &watch->watchers[i];
        const char *endpoint = watch->endpoints[(size_t)i % watch->endpoint_count];
        watcher->watch = watch;
        watcher->client = grpc_client_open(endpoint, clock_after_ms(WATCH_CALL_MS), &status);
        if (!watcher->client)
            return watch_fail(endpoint, status.message);
    }
    return true;
}

/* Start the pacer, which sees to it that watchers can leave, and the watchers, and wait until each watch was created, or ended
 * otherwise. */
static bool watch_start(struct watch *watch) {
    watch->pacing = pthread_create(&watch->pacer, NULL, pacer_run, watch) == 0;
    if (!watch->pacing)
        return watch_fail("watch", "no thread");
    for (int i = 0; i < watch->options->connections; i++) {
        struct watcher *watcher = &watch->watchers[i];
        (void)pthread_mutex_lock(&watch->mutex);
        watch->waiting++;
        watch->running++;
        (void)pthread_mutex_unlock(&watch->mutex);
        if (pthread_create(&watcher->thread, NULL, watcher_run, watcher) != 0) {
            (void)pthread_mutex_lock(&watch->mutex);
            watch->running--;
            (void)pthread_mutex_unlock(&watch->mutex);
            return watch_fail("watch", "no thread");
        }
        watcher->started = true;
    }
    (void)pthread_mutex_lock(&watch->mutex);
    while (watch->waiting > 0 && watch->running == (size_t)watch->options->connections)
        (void)pthread_cond_wait(&watch->changed, &watch->mutex);
    bool all = watch->waiting == 0;
    (void)pthread_mutex_unlock(&watch->mutex);
    return all;
}

static void watch_stop(struct watch *watch) {
    watch->ending = true;
    for (int i = 0; watch->watchers && i < watch->options->connections; i++) {
        if (watch->watchers[i].started)
            (void)pthread_join(watch->watchers[i].thread, NULL);
        grpc_client_close(watch->watchers[i].client);
    }
    if (watch->pacing)
        (void)pthread_join(watch->pacer, NULL);
    grpc_client_close(watch->pacer_client);
}

/* Why a watcher ended before it was to; NULL: none did. */
static const char *watch_trouble(const struct watch *watch) {
    for (int i = 0; i < watch->options->connections; i++)
        if (watch->watchers[i].started && watch->watchers[i].status.code != GRPC_CANCELLED)
            return watch->watchers[i].status.message;
    return NULL;
}

static void watch_report(const struct watch *watch, const struct grpc_load_result *puts, double seconds) {
    static struct histogram latency;
    uint64_t events = 0;
    for (int i = 0; i < watch->options->connections; i++) {
        events += watch->watchers[i].events;
        histogram_merge(&latency, &watch->watchers[i].latency);
    }
    double put_rate = (double)puts->operations / ((double)puts->measured_ns / 1e9);
    printf("watch: %d watchers, %d clients, %d bytes: %.0f events a second of %.0f puts; 50 %% within %.0f us, 99 %% "
           "within "
           "%.0f us\n",
           watch->options->connections, watch->options->clients, watch->options->value, (double)events / seconds,
           put_rate, bench_us(histogram_quantile(&latency, 0.5)), bench_us(histogram_quantile(&latency, 0.99)));
    printf(
        "{\"bench\": \"watch\", \"clients\": %d, \"connections\": %d, \"value\": %d, \"keys\": %d, \"seconds\": %.3f",
        watch->options->clients, watch->options->connections, watch->options->value, watch->options->keys, seconds);
    printf(", \"operations\": %" PRIu64 ", \"ops_per_second\": %.1f, \"puts_per_second\": %.1f", events,
           (double)events / seconds, put_rate);
    bench_report_latency(&latency);
    printf("}\n");
}

static bool watch_measure(struct watch *watch, struct grpc_load_result *puts, double *seconds) {
    char problem[256];
    struct kv_load load = {.kind = KV_LOAD_PUT,
                           .endpoints = watch->endpoints,
                           .endpoint_count = watch->endpoint_count,
                           .connections = watch->endpoint_count,
                           .clients = (size_t)watch->options->clients,
                           .keys = (size_t)watch->options->keys,
                           .value_bytes = (size_t)watch->options->value,
                           .plan = {.warm_up_seconds = watch->options->warm_up,
                                    .seconds = watch->options->seconds,
                                    .context = watch,
                                    .tick = watch_tick}};
    bool well = kv_load_run(&load, puts, problem, sizeof problem);
    watch->measuring = false;
    *seconds = (double)(clock_ns() - watch->since) / 1e9;
    if (!well)
        return watch_fail("puts", problem);
    return puts->failures == 0 || watch_fail("puts failed", puts->failure);
}

bool bench_watch(const struct bench_options *options) {
    static struct watch watch = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    static struct grpc_load_result puts;
    double seconds = 0;
    watch.options = options;
    bool opened = watch_open(&watch);
    bool well = opened && watch_start(&watch) && watch_measure(&watch, &puts, &seconds);
    watch_stop(&watch);
    const char *trouble = opened ? watch_trouble(&watch) : NULL;
    if (trouble)
        well = watch_fail("a watch ended", trouble);
    if (well)
        watch_report(&watch, &puts, seconds);
    mem_free(watch.watchers);
    mem_free(watch.list);
    return well;
}
