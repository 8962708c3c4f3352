/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-bench: finds the bench, reads its flags and hands over to it. Exit code 0:
 * measured; 1: it could not be; 2: wrong usage; 128 and a signal's number: ended by it.
 */
#include <popt.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/scratch.h"

enum { EXIT_MEASURED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

static struct bench_options options = {.replicas = 3,
                                       .clients = 1024,
                                       .value = 256,
                                       .keys = 10000,
                                       .connections = 8,
                                       .seconds = 10,
                                       .warm_up = 1,
                                       .endpoints = "127.0.0.1:2379"};

#define FLAG_REPLICAS                                                                                                  \
    { "replicas", '\0', POPT_ARG_INT, &options.replicas, 0, "processes, 1 to 9 [3]", "N" }
#define FLAG_CLIENTS                                                                                                   \
    { "clients", '\0', POPT_ARG_INT, &options.clients, 0, "operations outstanding [1024]", "N" }
#define FLAG_VALUE                                                                                                     \
    { "value", '\0', POPT_ARG_INT, &options.value, 0, "bytes of each value [256]", "BYTES" }
#define FLAG_SECONDS                                                                                                   \
    { "seconds", '\0', POPT_ARG_DOUBLE, &options.seconds, 0, "how long to measure [10]", "S" }
#define FLAG_WARM_UP                                                                                                   \
    { "warm-up", '\0', POPT_ARG_DOUBLE, &options.warm_up, 0, "how long not to measure before that [1]", "S" }
#define FLAG_DIR                                                                                                       \
    {                                                                                                                  \
        "dir", '\0', POPT_ARG_STRING, &options.directory, 0,                                                           \
            "where to make a directory for the files [$TMPDIR, /var/tmp]", "DIR"                                       \
    }
#define FLAG_ENDPOINTS                                                                                                 \
    {                                                                                                                  \
        "endpoints", '\0', POPT_ARG_STRING, &options.endpoints, 0, "servers, separated by commas [127.0.0.1:2379]",    \
            "LIST"                                                                                                     \
    }
#define FLAG_CONNECTIONS                                                                                               \
    { "connections", '\0', POPT_ARG_INT, &options.connections, 0, "to the servers in turn [8]", "N" }
#define FLAG_KEYS                                                                                                      \
    { "keys", '\0', POPT_ARG_INT, &options.keys, 0, "how many keys there are [10000]", "N" }
#define FLAG_HELP                                                                                                      \
    { "help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL }

static const struct poptOption crew_flags[] = {FLAG_REPLICAS, FLAG_CLIENTS, FLAG_VALUE, FLAG_SECONDS,
                                               FLAG_WARM_UP,  FLAG_DIR,     FLAG_HELP,  POPT_TABLEEND};
static const struct poptOption gap_flags[] = {FLAG_ENDPOINTS, FLAG_VALUE, FLAG_SECONDS,
                                              FLAG_WARM_UP,   FLAG_HELP,  POPT_TABLEEND};
static const struct poptOption server_flags[] = {FLAG_ENDPOINTS, FLAG_CONNECTIONS, FLAG_CLIENTS,
                                                 FLAG_VALUE,     FLAG_KEYS,        FLAG_SECONDS,
                                                 FLAG_WARM_UP,   FLAG_HELP,        POPT_TABLEEND};
static const struct poptOption disk_flags[] = {FLAG_SECONDS, FLAG_DIR, FLAG_HELP, POPT_TABLEEND};

#define COUNTED                                                                                                        \
    "The last line is a JSON object. Counted between warm-up and end, over all processes, clients included:\n"         \
    "  ops_per_second        operations that ended in that time\n"                                                     \
    "  p50_us, p99_us, ...   from a client's request to its answer, in microseconds; each client has one "             \
    "outstanding\n"                                                                                                    \
    "  cpu_us_per_op         time on processors, user and kernel\n"                                                    \
    "  syscalls_per_op       calls that read or wrote files, sockets or wake-ups (/proc/PID/io: syscr + syscw; "       \
    "calls\n"                                                                                                          \
    "                        of the send and recv family are not in it) and fdatasyncs; waiting calls are not in it\n" \
    "  waits_per_op          voluntary context switches: calls that had to wait (epoll, futex, fdatasync, ...)\n"      \
    "  fsyncs_per_second     calls of fdatasync, and writes that the kernel makes durable by itself (io_uring)\n"      \
    "  fsync_p50_us, ...     how long one of those took, in microseconds, on all replicas\n"                           \
    "  bytes_written_per_op  bytes sent to the disk, whole pages (/proc/PID/io: write_bytes)\n"                        \
    "  max_rss               bytes in memory, of the largest process since its start\n"                                \
    "Where /proc/PID/io cannot be read, null stands for what would come from it.\n"

#define SERVED                                                                                                         \
    "Works against Lash, etcd, and what else speaks the etcd v3 API without TLS. One thread with several "             \
    "connections;\n"                                                                                                   \
    "each client has one call outstanding and begins the next when it is answered. Keys are bench/0000000000 and so "  \
    "on,\n"                                                                                                            \
    "chosen evenly by a generator with a fixed seed.\n\n"                                                              \
    "The last line is a JSON object. Counted between warm-up and end, as the clients see it:\n"                        \
    "  ops_per_second        calls answered in that time\n"                                                            \
    "  p50_us, p99_us, ...   from a call's submission to the end of its answer, in microseconds\n"                     \
    "  generator_busy        share of one processor that this program itself used from begin to end; near 1 it is "    \
    "the\n"                                                                                                            \
    "                        generator that is measured\n"                                                             \
    "A call that fails ends in exit code 1.\n"

struct bench {
    const char *name;
    const char *summary;
    const char *about;
    const struct poptOption *flags;
    bool (*run)(const struct bench_options *options);
};

static const struct bench benches[] = {
    {"commit", "commits through liblash's C API",
     "Replicas in processes of their own, TCP on loopback, real fdatasync, a state machine that counts "
     "and takes snapshots. The clients "
     "are\n"
     "in the leader's process; each proposes its next value when its last one has been applied there.\n\n" COUNTED,
     crew_flags, bench_commit},
    {"disk", "one fdatasync, one round trip",
     "One writer: appends at whole sectors, each followed by fdatasync, to a file whose blocks were written once "
     "before\n"
     "and to one that is only reserved (fresh; there a sync has to write the file's map as well). And 64 bytes from "
     "one\n"
     "process to another over TCP on loopback and back. Each takes a fifth of the time; the last line is a JSON "
     "object.\n",
     disk_flags, bench_disk},
    {"floor", "the same work without consensus",
     "The limit that `commit` is held against: the same number of processes, bytes, sockets and syncs, and no "
     "protocol.\n"
     "The leader gathers what its clients want into one batch a turn, writes and syncs it, and sends it to each "
     "follower;\n"
     "a follower writes, syncs and answers; what a majority has on disk is answered. No checksums, no terms, no\n"
     "elections, nothing to recover from. Its files were written once before.\n\n" COUNTED,
     crew_flags, bench_floor},
    {"gap", "the longest time without service",
     "One client puts one key over and over; when an answer does not come within 100 ms, or is an error, it goes to "
     "the "
     "next\n"
     "endpoint. End the leader while it runs, and longest_gap_ms in the last line, a JSON object, is how long clients "
     "were\n"
     "without service. Errors are counted, and no failure as long as some puts are answered.\n",
     gap_flags, bench_gap},
    {"get", "linearizable reads from a server",
     "Each call reads one key. All keys are put first, which is not measured.\n\n" SERVED, server_flags, bench_get},
    {"put", "puts to a server", "Each call puts one key.\n\n" SERVED, server_flags, bench_put},
    {"txn", "transactions on a server",
     "Each call is one transaction: if the key exists, put it and get it, else put it.\n\n" SERVED, server_flags,
     bench_txn},
    {"watch", "events of watches on a server",
     "Each of --connections watchers watches all keys, on a connection and a thread of its own, while --clients put as "
     "in "
     "`put`.\n"
     "One client more puts the time over and over, which tells how old an event is when a watcher gets it.\n\n"
     "The last line is a JSON object. Counted between warm-up and end:\n"
     "  ops_per_second        events that all watchers got together in that time\n"
     "  puts_per_second       puts of the clients answered in that time\n"
     "  p50_us, p99_us, ...   from the submission of a put of the time to its event, in microseconds\n",
     server_flags, bench_watch},
};
enum { BENCHES = sizeof benches / sizeof benches[0] };

/* ---- Help ------------------------------------------------------------------------------------------ */

static void print_overview(void) {
    printf("usage: lash-bench BENCH [flags]\n\n");
    for (int i = 0; i < BENCHES; i++)
        printf("  %-8s %s\n", benches[i].name, benches[i].summary);
    printf("\nlash-bench BENCH --help lists its flags and says what it counts.\n");
}

static void print_flags(const struct bench *bench) {
    printf("usage: lash-bench %s [flags]\n\nMeasures %s.\n\n", bench->name, bench->summary);
    for (const struct poptOption *flag = bench->flags; flag->longName; flag++) {
        char text[40];
        (void)snprintf(text, sizeof text, "--%s%s%s", flag->longName, flag->argDescrip ? " " : "",
                       flag->argDescrip ? flag->argDescrip : "");
        printf("  %-24s %s\n", text, flag->descrip);
    }
    printf("\n%s", bench->about);
}

/* ---- Flags ----------------------------------------------------------------------------------------- */

static bool in_range(const char *name, double value, double least, double most) {
    if (value >= least && value <= most)
        return true;
    (void)fprintf(stderr, "lash-bench: --%s must be from %g to %g\n", name, least, most);
    return false;
}

static bool options_good(void) {
    return in_range("replicas", options.replicas, 1, CREW_MAX) && in_range("clients", options.clients, 1, 1 << 16) &&
           in_range("value", options.value, 1, 1 << 20) && in_range("keys", options.keys, 1, 1e9) &&
           in_range("connections", options.connections, 1, 1024) && in_range("seconds", options.seconds, 0.01, 1e6) &&
           in_range("warm-up", options.warm_up, 0, 1e6);
}

static int measure(const struct bench *bench) {
    interrupt_catch();
    bool well = bench->run(&options);
    if (interrupt_signal())
        return EXIT_SIGNAL + interrupt_signal();
    return well && fflush(stdout) == 0 ? EXIT_MEASURED : EXIT_FAILED;
}

/* Returns the exit status. */
static int run(const struct bench *bench, int argc, const char **argv) {
    poptContext context = poptGetContext("lash-bench", argc, argv, bench->flags, 0);
    if (!context)
        return EXIT_FAILED;
    int rc = poptGetNextOpt(context);
    int status = EXIT_USAGE;
    if (rc == 'h') {
        print_flags(bench);
        status = EXIT_MEASURED;
    } else if (rc < -1) {
        (void)fprintf(stderr, "lash-bench: %s: %s\n", poptBadOption(context, 0), poptStrerror(rc));
    } else if (poptPeekArg(context)) {
        (void)fprintf(stderr, "lash-bench: %s: not a flag\n", poptPeekArg(context));
    } else if (options_good()) {
        status = measure(bench);
    }
    poptFreeContext(context);
    return status;
}

int main(int argc, const char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview();
        return argc < 2 ? EXIT_USAGE : EXIT_MEASURED;
    }
    for (int i = 0; i < BENCHES; i++)
        if (strcmp(benches[i].name, argv[1]) == 0)
            return run(&benches[i], argc - 1, argv + 1);
    (void)fprintf(stderr, "lash-bench: %s: no such bench; see lash-bench --help\n", argv[1]);
    return EXIT_USAGE;
}
