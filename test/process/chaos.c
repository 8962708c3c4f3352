/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-chaos run ENDPOINTS HISTORY: clients that put, get and compare-and-swap a few registers,
 * put write-once keys, and read, change and delete several keys at once, over all endpoints, while someone
 * else kills servers; what they did becomes a history (docs/history-format.md). Ends on SIGTERM or SIGINT, or
 * after --seconds, with one line of JSON that sums up.
 *
 * lash-chaos verify ENDPOINTS HISTORY: looks every acknowledged write of a history up again, on every
 * endpoint by a serializable read at the revision that it was acknowledged with.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <popt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "chaos_multi.h"
#include "lashctl/clock.h"
#include "linear/history.h"

#define CLIENTS_MAX 64
#define ENDPOINTS_MAX 16
#define RETRY_MS 5
#define VERIFY_TIMEOUT_MS 10000

/* ---- Options -------------------------------------------------------------------------------------- */

struct options {
    const char *history;
    int clients, keys, rate, seconds, timeout_ms;
    const char *endpoints[ENDPOINTS_MAX];
    size_t endpoint_count;
};

static atomic_bool stopping;

static void on_signal(int number) {
    (void)number;
    atomic_store(&stopping, true);
}

/* ---- run ------------------------------------------------------------------------------------------ */

/* The history's file; one line at a time. */
struct recorder {
    FILE *file;
    pthread_mutex_t lock;
    uint64_t outcomes[3];
    bool failed;
};

struct worker {
    pthread_t thread;
    const struct options *options;
    struct recorder *recorder;
    uint32_t number;
    uint64_t seed;
    uint64_t writes; /* so far; makes values unique */
    struct chaos_client client;
};

static uint32_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void print_value(FILE *file, const char *name, bool present, const char *value) {
    /* Values are letters, digits and '-': nothing to escape. */
    if (present)
        (void)fprintf(file, ",\"%s\":\"%s\"", name, value);
    else
        (void)fprintf(file, ",\"%s\":null", name);
}

static const char *const outcomes[] = {"ok", "fail", "unknown"};

static void record_multi(struct recorder *recorder, uint32_t client, const struct chaos_multi *multi) {
    (void)pthread_mutex_lock(&recorder->lock);
    int printed =
        fprintf(recorder->file,
                "{\"client\":%" PRIu32 ",%s,\"start_ns\":%" PRIu64 ",\"end_ns\":%" PRIu64 ",\"outcome\":\"%s\"}\n",
                client, multi->text, multi->start, multi->end, outcomes[multi->outcome]);
    recorder->failed = printed < 0 || recorder->failed; /* without it, the history is not whole */
    recorder->outcomes[multi->outcome]++;
    (void)pthread_mutex_unlock(&recorder->lock);
}

static void record(struct recorder *recorder, uint32_t client, const struct chaos_op *op) {
    static const char *const kinds[] = {"put", "get", "cas"};
    (void)pthread_mutex_lock(&recorder->lock);
    FILE *file = recorder->file;
    (void)fprintf(file,
                  "{\"client\":%" PRIu32 ",\"op\":\"%s\",\"key\":\"%s\",\"start_ns\":%" PRIu64 ",\"end_ns\":%" PRIu64
                  ",\"outcome\":\"%s\"",
                  client, kinds[op->kind], op->key, op->start, op->end, outcomes[op->outcome]);
    if (op->kind != HISTORY_GET)
        print_value(file, "value", true, op->value);
    if (op->kind == HISTORY_CAS)
        print_value(file, "expected", op->expected_present, op->expected);
    if (op->outcome == HISTORY_OK) {
        (void)fprintf(file, ",\"revision\":%" PRId64, op->revision);
        if (op->kind == HISTORY_GET)
            print_value(file, "value", op->seen_present, op->seen);
        if (op->kind == HISTORY_CAS)
            (void)fprintf(file, ",\"swapped\":%s", op->swapped ? "true" : "false");
        if (op->kind == HISTORY_CAS && !op->swapped)
            print_value(file, "seen", op->seen_present, op->seen);
        if (op->header > 0)
            (void)fprintf(file, ",\"header\":%" PRId64, op->header);
    }
    recorder->failed = fprintf(file, "}\n") < 0 || recorder->failed;
    recorder->outcomes[op->outcome]++;
    (void)pthread_mutex_unlock(&recorder->lock);
}

/* Decide what to do with one key: mostly with registers; one in six puts a key that is never put again, and a few put
 * one of those that others change several of. */
static void choose(struct worker *worker, struct chaos_op *op) {
    uint32_t luck = random_next(&worker->seed) % 13;
    uint32_t key = random_next(&worker->seed) % (uint32_t)worker->options->keys;
    op->kind = luck < 5 || luck == 12 ? HISTORY_PUT : luck < 8 ? HISTORY_GET : HISTORY_CAS;
    if (op->kind != HISTORY_GET)
        worker->writes++;
    (void)snprintf(op->value, sizeof op->value, "%" PRIu32 "-%" PRIu64, worker->number, worker->writes);
    if (luck < 2)
        (void)snprintf(op->key, sizeof op->key, "once/%" PRIu32 "-%" PRIu64, worker->number, worker->writes);
    else if (luck == 12)
        chaos_multi_key(&worker->seed, op->key);
    else
        (void)snprintf(op->key, sizeof op->key, "register/%" PRIu32, key);
}

/* One operation on one key. Returns what became of it. */
static enum history_outcome do_one(struct worker *worker, uint64_t deadline) {
    struct chaos_op op = {.kind = HISTORY_GET};
    choose(worker, &op);
    /* A compare expects what this client saw last of the key, so that most of them succeed. */
    chaos_client_do(&worker->client, &op, deadline);
    if (op.outcome != HISTORY_FAIL || op.sent)
        record(worker->recorder, worker->number, &op);
    return op.outcome;
}

/* One operation on several keys. */
static enum history_outcome do_many(struct worker *worker, uint64_t deadline) {
    struct chaos_multi multi;
    char value[CHAOS_TEXT_BYTES];
    (void)snprintf(value, sizeof value, "%" PRIu32 "-%" PRIu64, worker->number, ++worker->writes);
    chaos_multi_do(&worker->client, &multi, &worker->seed, value, deadline);
    if (multi.outcome != HISTORY_FAIL || multi.sent)
        record_multi(worker->recorder, worker->number, &multi);
    chaos_multi_free(&multi);
    return multi.outcome;
}

/* Hold the pace, but notice the end. */
static void wait_until_ns(uint64_t moment) {
    uint64_t left = clock_ms_left(moment);
    if (left > 0 && !atomic_load(&stopping))
        (void)poll(NULL, 0, (int)left);
}

static void *worker_run(void *argument) {
    struct worker *worker = argument;
    const struct options *options = worker->options;
    uint64_t interval = 1000000000u / (uint64_t)options->rate;
    uint64_t next = clock_ns() + random_next(&worker->seed) % interval;
    while (!atomic_load(&stopping)) {
        wait_until_ns(next);
        uint64_t deadline = clock_after_ms((uint64_t)options->timeout_ms);
        bool many = random_next(&worker->seed) % 4 == 0;
        if ((many ? do_many(worker, deadline) : do_one(worker, deadline)) != HISTORY_OK)
            (void)poll(NULL, 0, RETRY_MS);
        uint64_t now = clock_ns();
        next = next + interval > now ? next + interval : now;
    }
    chaos_client_close(&worker->client);
    return NULL;
}

static void wait_for_the_end(const struct options *options) {
    uint64_t end = clock_after_ms((uint64_t)options->seconds * 1000);
    while (!atomic_load(&stopping) && clock_ms_left(end) > 0)
        (void)poll(NULL, 0, (int)(clock_ms_left(end) < 100 ? clock_ms_left(end) : 100));
    atomic_store(&stopping, true);
}

static bool start_workers(struct worker *workers, const struct options *options, struct recorder *recorder) {
    for (int at = 0; at < options->clients; at++) {
        struct worker *worker = &workers[at];
        *worker = (struct worker){
            .options = options, .recorder = recorder, .number = (uint32_t)at, .seed = clock_ns() ^ (uint64_t)at << 48};
        chaos_client_init(&worker->client, options->endpoints, options->endpoint_count, (size_t)at);
        if (pthread_create(&worker->thread, NULL, worker_run, worker) != 0) {
            (void)fprintf(stderr, "lash-chaos: cannot start a thread\n");
            atomic_store(&stopping, true);
            for (int started = 0; started < at; started++)
                (void)pthread_join(workers[started].thread, NULL);
            return false;
        }
    }
    return true;
}

static int run(const struct options *options) {
    struct recorder recorder = {.file = fopen(options->history, "we"), .lock = PTHREAD_MUTEX_INITIALIZER};
    if (!recorder.file) {
        (void)fprintf(stderr, "lash-chaos: cannot write %s: %s\n", options->history, strerror(errno));
        return 1;
    }
    struct worker workers[CLIENTS_MAX];
    bool started = start_workers(workers, options, &recorder);
    if (started) {
        wait_for_the_end(options);
        for (int at = 0; at < options->clients; at++)
            (void)pthread_join(workers[at].thread, NULL);
    }
    bool good = started && !recorder.failed;
    if (fclose(recorder.file) != 0 || recorder.failed) {
        (void)fprintf(stderr, "lash-chaos: cannot write %s\n", options->history);
        good = false;
    }
    printf("{\"ok\":%" PRIu64 ",\"fail\":%" PRIu64 ",\"unknown\":%" PRIu64 "}\n", recorder.outcomes[HISTORY_OK],
           recorder.outcomes[HISTORY_FAIL], recorder.outcomes[HISTORY_UNKNOWN]);
    return good ? 0 : 1;
}

/* ---- verify --------------------------------------------------------------------------------------- */

static bool is_acknowledged_write(const struct history_op *op) {
    return op->outcome == HISTORY_OK && (op->kind == HISTORY_PUT || (op->kind == HISTORY_CAS && op->swapped));
}

/* Look every acknowledged write up on one endpoint. Returns how many are not there; UINT64_MAX: it cannot be asked. */
static uint64_t verify_endpoint(const struct history *history, const char *const *endpoint, uint64_t *found) {
    struct chaos_client client;
    uint64_t missing = 0;
    chaos_client_init(&client, endpoint, 1, 0);
    for (size_t at = 0; at < history->count && missing != UINT64_MAX; at++) {
        const struct history_op *op = &history->ops[at];
        if (!is_acknowledged_write(op))
            continue;
        struct chaos_op get = {.kind = HISTORY_GET};
        (void)snprintf(get.key, sizeof get.key, "%s", history->keys.list[op->key]);
        chaos_client_get_at(&client, &get, op->revision, clock_after_ms(VERIFY_TIMEOUT_MS));
        const char *value = history->values.list[op->value];
        if (get.outcome != HISTORY_OK) {
            (void)fprintf(stderr, "lash-chaos: %s: %s\n", *endpoint, get.problem);
            missing = UINT64_MAX;
        } else if (!get.seen_present || get.revision != op->revision || strcmp(get.seen, value) != 0) {
            (void)fprintf(stderr,
                          "lash-chaos: %s LOST %s=%s, acknowledged at revision %" PRId64 " (line %" PRIu32
                          "); it has %s of revision %" PRId64 "\n",
                          *endpoint, get.key, value, op->revision, op->line, get.seen_present ? get.seen : "nothing",
                          get.revision);
            missing++;
        } else {
            ++*found;
        }
    }
    chaos_client_close(&client);
    return missing;
}

static int verify(const struct options *options) {
    char problem[256];
    struct history history;
    FILE *file = fopen(options->history, "re");
    bool read = file && history_read(file, &history, problem, sizeof problem);
    if (file)
        (void)fclose(file);
    if (!read) {
        (void)fprintf(stderr, "lash-chaos: %s: %s\n", options->history, file ? problem : strerror(errno));
        return 1;
    }
    uint64_t missing = 0, found = 0;
    for (size_t at = 0; at < options->endpoint_count && missing != UINT64_MAX; at++) {
        uint64_t more = verify_endpoint(&history, &options->endpoints[at], &found);
        missing = more == UINT64_MAX ? more : missing + more;
    }
    history_free(&history);
    if (missing != UINT64_MAX)
        printf("{\"found\":%" PRIu64 ",\"missing\":%" PRIu64 "}\n", found, missing);
    return missing == 0 ? 0 : 1;
}

/* ---- The command line ----------------------------------------------------------------------------- */

/* Take the numbers that were given and the words behind them. Returns what is wrong, or NULL. `list` is cut up. */
static const char *check(struct options *options, char *list) {
    if (options->clients < 1 || options->clients > CLIENTS_MAX || options->keys < 1 ||
        options->keys > CHAOS_REMEMBERED || options->rate < 1 || options->seconds < 1 || options->timeout_ms < 1)
        return "a number is out of its range";
    char *rest = NULL;
    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (options->endpoint_count == ENDPOINTS_MAX)
            return "too many endpoints";
        options->endpoints[options->endpoint_count++] = name;
    }
    return options->endpoint_count > 0 ? NULL : "no endpoint is given";
}

static int do_mode(poptContext context, struct options *options) {
    int rc = poptGetNextOpt(context);
    const char *mode = poptGetArg(context);
    const char *list = poptGetArg(context);
    options->history = poptGetArg(context);
    const char *wrong = "expected run or verify, the endpoints and the history's file";
    bool runs = mode && strcmp(mode, "run") == 0;
    bool verifies = mode && strcmp(mode, "verify") == 0;
    char *copy = list ? mem_strdup(list) : NULL;
    if (rc < -1)
        wrong = poptStrerror(rc);
    else if ((runs || verifies) && options->history && copy)
        wrong = check(options, copy);
    int code = 2;
    if (wrong)
        (void)fprintf(stderr, "lash-chaos: %s\n", wrong);
    else
        code = runs ? run(options) : verify(options);
    mem_free(copy);
    return code;
}

int main(int argc, const char **argv) {
    struct options options = {.clients = 8, .keys = 4, .rate = 40, .seconds = 600, .timeout_ms = 3000};
    const struct poptOption table[] = {
        {"clients", 0, POPT_ARG_INT, &options.clients, 0, "client threads [8]", "N"},
        {"keys", 0, POPT_ARG_INT, &options.keys, 0, "registers [4]", "N"},
        {"rate", 0, POPT_ARG_INT, &options.rate, 0, "operations a second for each client [40]", "N"},
        {"seconds", 0, POPT_ARG_INT, &options.seconds, 0, "end after so long [600]", "N"},
        {"timeout", 0, POPT_ARG_INT, &options.timeout_ms, 0, "time allowed for an operation [3000]", "MS"},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    poptContext context = poptGetContext("lash-chaos", argc, argv, table, 0);
    if (!context)
        return 2;
    poptSetOtherOptionHelp(context, "[options] run|verify ENDPOINTS HISTORY");
    int code = do_mode(context, &options);
    poptFreeContext(context);
    return code;
}
