/* SPDX-License-Identifier: Apache-2.0
 *
 * `lash-bench commit` on canonical's raft (libraft of Debian): the same processes,
 * clients, values and report, with libraft's own files and TCP transport. A replica's
 * libuv loop has a thread of its own; the main thread is the crew's.
 *
 * What clients want in one turn of the loop is proposed by one raft_apply, which is
 * how that API takes batches; it calls back when the first of them is applied, and
 * all are counted then. libraft syncs by writing with RWF_DSYNC, which no fdatasync
 * counts.
 */
#include <netinet/in.h>
#include <popt.h>
#include <pthread.h>
#include <raft.h>
#include <raft/uv.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "bench/bench.h"
#include "bench/scratch.h"
#include "lashctl/clock.h"

enum {
    CANONICAL_TURN_MS = 5,                /* how often a replica's own state is looked at until it leads */
    CANONICAL_SNAPSHOT_EVERY = 64 * 1024, /* entries; the default, 1,024, would be spent on snapshots */
    CANONICAL_SNAPSHOT_LEAVES = 8 * 1024, /* entries kept behind one */
    CANONICAL_CONNECT_RETRY_MS = 50,
    CANONICAL_ADDRESS_MAX = 32,
};

struct canonical;

/* A proposal of some clients' values. */
struct batch {
    struct raft_apply request;
    struct canonical *bench;
    size_t count;
    uint64_t began[]; /* per client */
};

struct canonical {
    const struct bench_options *options;
    struct scratch scratch;
    uint16_t ports[CREW_MAX];
    /* in a member's process */
    pthread_t thread;
    uv_loop_t loop;
    uv_timer_t timer;     /* until this member leads */
    uv_async_t wake;      /* the main thread wants something */
    uv_prepare_t prepare; /* proposes what clients want by then */
    struct raft_uv_transport transport;
    struct raft_io io;
    struct raft_fsm machine;
    struct raft raft;
    uint64_t counter; /* the state machine: commands applied */
    struct load load;
    void *value;
    size_t waiting; /* clients that want to begin an operation */
    struct raft_buffer *buffers;
    int error; /* of the first operation that failed */
    atomic_bool leads;
    atomic_bool starting;
    atomic_bool closing;
};

/* ---- The state machine ------------------------------------------------------------------------------ */

static int machine_apply(struct raft_fsm *machine, const struct raft_buffer *buffer, void **result) {
    (void)buffer;
    struct canonical *bench = machine->data;
    bench->counter++;
    *result = NULL;
    return 0;
}

static int machine_snapshot(struct raft_fsm *machine, struct raft_buffer *buffers[], unsigned *count) {
    struct canonical *bench = machine->data;
    *count = 1;
    *buffers = raft_malloc(sizeof **buffers);
    if (!*buffers)
        return RAFT_NOMEM;
    (*buffers)->len = sizeof bench->counter;
    (*buffers)->base = raft_malloc(sizeof bench->counter);
    if (!(*buffers)->base) {
        raft_free(*buffers);
        return RAFT_NOMEM;
    }
    memcpy((*buffers)->base, &bench->counter, sizeof bench->counter);
    return 0;
}

static int machine_restore(struct raft_fsm *machine, struct raft_buffer *buffer) {
    struct canonical *bench = machine->data;
    if (buffer->len != sizeof bench->counter)
        return RAFT_MALFORMED;
    memcpy(&bench->counter, buffer->base, sizeof bench->counter);
    raft_free(buffer->base);
    return 0;
}

/* ---- Clients; loop thread --------------------------------------------------------------------------- */

static void batch_ended(struct batch *batch, int status) {
    struct canonical *bench = batch->bench;
    if (status != 0 && bench->error == 0)
        bench->error = status;
    for (size_t i = 0; i < batch->count; i++)
        bench->waiting += load_ended(&bench->load, batch->began[i], status == 0);
    mem_free(batch);
}

static void batch_applied(struct raft_apply *request, int status, void *result) {
    (void)result;
    batch_ended((struct batch *)request->data, status);
}

/* One proposal of all that wait. */
static void propose(uv_prepare_t *prepare) {
    struct canonical *bench = prepare->data;
    size_t count = bench->waiting;
    if (count == 0)
        return;
    bench->waiting = 0;
    struct batch *batch = mem_alloc(sizeof *batch + count * sizeof batch->began[0]);
    if (!batch)
        abort();
    batch->bench = bench;
    batch->count = count;
    batch->request.data = batch;
    for (size_t i = 0; i < count; i++) {
        size_t size = (size_t)bench->options->value;
        batch->began[i] = clock_ns();
        bench->buffers[i] = (struct raft_buffer){.base = raft_malloc(size), .len = size};
        if (!bench->buffers[i].base)
            abort();
        memcpy(bench->buffers[i].base, bench->value, size);
    }
    int rc = raft_apply(&bench->raft, &batch->request, bench->buffers, (unsigned)count, batch_applied);
    if (rc == 0)
        return;
    for (size_t i = 0; i < count; i++)
        raft_free(bench->buffers[i].base);
    batch_ended(batch, rc);
}

/* ---- A replica's loop thread ------------------------------------------------------------------------ */

/* As leader whose log all others have. */
static void look(uv_timer_t *timer) {
    struct canonical *bench = timer->data;
    struct raft *raft = &bench->raft;
    if (raft_state(raft) != RAFT_LEADER || raft->last_applied != raft_last_index(raft))
        return;
    for (unsigned i = 0; i < raft->configuration.n; i++)
        if (raft->leader_state.progress[i].match_index != raft_last_index(raft))
            return;
    bench->leads = true;
}

static void raft_closed(struct raft *raft) {
    struct canonical *bench = raft->data;
    raft_uv_close(&bench->io);
    raft_uv_tcp_close(&bench->transport);
}

static void woken(uv_async_t *wake) {
    struct canonical *bench = wake->data;
    if (atomic_exchange(&bench->starting, false)) {
        (void)uv_timer_stop(&bench->timer);
        bench->waiting = (size_t)bench->options->clients;
    }
    if (atomic_exchange(&bench->closing, false)) {
        raft_close(&bench->raft, raft_closed);
        uv_close((uv_handle_t *)&bench->timer, NULL);
        uv_close((uv_handle_t *)&bench->prepare, NULL);
        uv_close((uv_handle_t *)&bench->wake, NULL);
    }
}

static void *turn(void *context) {
    struct canonical *bench = context;
    (void)uv_run(&bench->loop, UV_RUN_DEFAULT);
    return NULL;
}

static bool well(const struct canonical *bench, const char *what, int rc) {
    if (rc == 0)
        return true;
    (void)fprintf(stderr, "canonical: %s: %s %s\n", what, raft_strerror(rc), bench->raft.errmsg);
    return false;
}

static void address_of(const struct canonical *bench, size_t number, char text[CANONICAL_ADDRESS_MAX]) {
    (void)snprintf(text, CANONICAL_ADDRESS_MAX, "127.0.0.1:%u", bench->ports[number]);
}

static bool bootstrap(struct canonical *bench) {
    struct raft_configuration configuration;
    char address[CANONICAL_ADDRESS_MAX];
    int rc = 0;
    raft_configuration_init(&configuration);
    for (size_t i = 0; i < (size_t)bench->options->replicas && rc == 0; i++) {
        address_of(bench, i, address);
        rc = raft_configuration_add(&configuration, i + 1, address, RAFT_VOTER);
    }
    if (rc == 0)
        rc = raft_bootstrap(&bench->raft, &configuration);
    raft_configuration_close(&configuration);
    return well(bench, "cannot bootstrap", rc);
}

static bool open_raft(struct canonical *bench, size_t number) {
    char directory[SCRATCH_PATH_MAX + 64];
    char address[CANONICAL_ADDRESS_MAX];
    (void)snprintf(directory, sizeof directory, "%s/replica%zu", bench->scratch.path, number + 1);
    address_of(bench, number, address);
    bench->machine = (struct raft_fsm){
        .version = 1, .data = bench, .apply = machine_apply, .snapshot = machine_snapshot, .restore = machine_restore};
    if (mkdir(directory, 0700) != 0) {
        perror("canonical: cannot make a directory");
        return false;
    }
    if (!well(bench, "no transport", raft_uv_tcp_init(&bench->transport, &bench->loop)) ||
        !well(bench, "no files", raft_uv_init(&bench->io, &bench->loop, directory, &bench->transport)) ||
        !well(bench, "no replica", raft_init(&bench->raft, &bench->io, &bench->machine, number + 1, address)))
        return false;
    bench->raft.data = bench;
    raft_uv_set_connect_retry_delay(&bench->io, CANONICAL_CONNECT_RETRY_MS);
    raft_set_snapshot_threshold(&bench->raft, CANONICAL_SNAPSHOT_EVERY);
    raft_set_snapshot_trailing(&bench->raft, CANONICAL_SNAPSHOT_LEAVES);
    raft_set_pre_vote(&bench->raft, true);
    return bootstrap(bench) && well(bench, "cannot start", raft_start(&bench->raft));
}

/* ---- A member, main thread -------------------------------------------------------------------------- */

static bool canonical_open(void *context, size_t number, struct crew_result *result) {
    struct canonical *bench = context;
    bench->value = mem_calloc(1, (size_t)bench->options->value);
    bench->buffers = mem_calloc((size_t)bench->options->clients, sizeof *bench->buffers);
    if (!bench->value || !bench->buffers || !load_open(&bench->load, &result->load) || uv_loop_init(&bench->loop) ||
        uv_timer_init(&bench->loop, &bench->timer) || uv_prepare_init(&bench->loop, &bench->prepare) ||
        uv_async_init(&bench->loop, &bench->wake, woken)) {
        (void)fprintf(stderr, "canonical: out of memory\n");
        return false;
    }
    bench->timer.data = bench->prepare.data = bench->wake.data = bench;
    if (!open_raft(bench, number))
        return false;
    return uv_timer_start(&bench->timer, look, CANONICAL_TURN_MS, CANONICAL_TURN_MS) == 0 &&
           uv_prepare_start(&bench->prepare, propose) == 0 && pthread_create(&bench->thread, NULL, turn, bench) == 0;
}

static bool canonical_ready(void *context) {
    struct canonical *bench = context;
    return bench->leads;
}

static void canonical_start(void *context) {
    struct canonical *bench = context;
    for (int i = 0; i < bench->options->clients; i++)
        load_join(&bench->load);
    bench->starting = true;
    (void)uv_async_send(&bench->wake);
}

static void canonical_measure(void *context, bool on) {
    struct canonical *bench = context;
    load_measure(&bench->load, on);
}

static bool canonical_stop(void *context) {
    struct canonical *bench = context;
    load_stop(&bench->load);
    if (bench->load.result->failures == 0)
        return true;
    (void)fprintf(stderr, "canonical: %llu operations failed: %s\n", (unsigned long long)bench->load.result->failures,
                  raft_strerror(bench->error));
    return false;
}

static void canonical_close(void *context) {
    struct canonical *bench = context;
    bench->closing = true;
    (void)uv_async_send(&bench->wake);
    (void)pthread_join(bench->thread, NULL);
    (void)uv_loop_close(&bench->loop);
    load_close(&bench->load);
    mem_free(bench->buffers);
    mem_free(bench->value);
}

/* ---- The parent ------------------------------------------------------------------------------------- */

/* Ports that nobody uses. */
static bool choose_ports(struct canonical *bench) {
    int sockets[CREW_MAX];
    int count = 0;
    int one = 1;
    for (; count < bench->options->replicas; count++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        sockets[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (sockets[count] < 0)
            break;
        if (setsockopt(sockets[count], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
            bind(sockets[count], (struct sockaddr *)&address, size) != 0 ||
            getsockname(sockets[count], (struct sockaddr *)&address, &size) != 0) {
            (void)close(sockets[count]);
            break;
        }
        bench->ports[count] = ntohs(address.sin_port);
    }
    bool all = count == bench->options->replicas;
    if (!all)
        perror("canonical: cannot choose ports");
    while (count > 0)
        (void)close(sockets[--count]);
    return all;
}

static bool run(const struct bench_options *options) {
    static const struct crew_work work = {.open = canonical_open,
                                          .ready = canonical_ready,
                                          .start = canonical_start,
                                          .measure = canonical_measure,
                                          .stop = canonical_stop,
                                          .close = canonical_close};
    static struct canonical bench;
    struct crew_phases phases = {.warm_up_seconds = options->warm_up, .seconds = options->seconds};
    struct crew_result *result;
    bench.options = options;
    if (!scratch_make(&bench.scratch, options->directory))
        return false;
    bool done = choose_ports(&bench) && crew_run((size_t)options->replicas, &work, &bench, &phases, &result);
    scratch_remove(&bench.scratch);
    if (done) {
        bench_report("canonical", options, result);
        crew_result_free(result);
    }
    return done;
}

int main(int argc, const char **argv) {
    static struct bench_options options = {.replicas = 3, .clients = 1024, .value = 256, .seconds = 10, .warm_up = 1};
    static const struct poptOption flags[] = {
        {"replicas", '\0', POPT_ARG_INT, &options.replicas, 0, "processes [3]", "N"},
        {"clients", '\0', POPT_ARG_INT, &options.clients, 0, "operations outstanding [1024]", "N"},
        {"value", '\0', POPT_ARG_INT, &options.value, 0, "bytes of each value, a multiple of 8 [256]", "BYTES"},
        {"seconds", '\0', POPT_ARG_DOUBLE, &options.seconds, 0, "how long to measure [10]", "S"},
        {"warm-up", '\0', POPT_ARG_DOUBLE, &options.warm_up, 0, "how long not to measure before that [1]", "S"},
        {"dir", '\0', POPT_ARG_STRING, &options.directory, 0, "where to make a directory for the files", "DIR"},
        POPT_AUTOHELP POPT_TABLEEND};
    poptContext context = poptGetContext("canonical", argc, argv, flags, 0);
    int rc = poptGetNextOpt(context);
    bool good = rc == -1 && !poptPeekArg(context) && options.replicas >= 1 && options.replicas <= CREW_MAX &&
                options.clients >= 1 && options.clients <= 1 << 16 && options.value >= 8 && options.value % 8 == 0;
    poptFreeContext(context);
    if (!good) {
        (void)fprintf(stderr, "canonical: wrong usage; see --help\n");
        return 2;
    }
    interrupt_catch();
    return run(&options) && fflush(stdout) == 0 ? 0 : 1;
}
