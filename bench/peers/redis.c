/* SPDX-License-Identifier: Apache-2.0
 *
 * `lash-bench put` on a Redis server: several connections on one thread, clients with
 * one SET outstanding each, the same keys and values, and a last line of JSON with the
 * same names. What a connection's clients ask in one turn leaves in one send; Redis
 * answers a connection in order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "bench/bench.h"
#include "bench/scratch.h"
#include "lashctl/clock.h"
#include "lashctl/kv_load.h"

enum {
    REDIS_READ_BYTES = 64 << 10,
    REDIS_HEAD_MAX = 96, /* of a SET, the key included */
    REDIS_PATIENCE_MS = 30000,
    REDIS_TURN_MS = 100,
};

struct link {
    int fd;
    size_t clients;
    uint64_t *began; /* ring of the outstanding operations, `clients` long */
    size_t oldest;
    size_t outstanding;
    uint8_t *out;
    size_t out_size;
    size_t out_at;
    bool line_begun; /* a part of an answer's line has come */
};

struct redis {
    const struct bench_options *options;
    struct link *links;
    uint8_t *value;
    uint64_t random;
    bool measuring;
    bool stopping;
    uint64_t operations;
    struct histogram latency;
    char trouble[160];
};

static bool fail(struct redis *redis, const char *why) {
    if (!redis->trouble[0])
        (void)snprintf(redis->trouble, sizeof redis->trouble, "%s", why);
    return false;
}

/* ---- Operations -------------------------------------------------------------------------------------- */

static size_t set_max(const struct redis *redis) {
    return REDIS_HEAD_MAX + (size_t)redis->options->value + 2;
}

static void link_ask(struct redis *redis, struct link *link) {
    redis->random = redis->random * 6364136223846793005u + 1442695040888963407u;
    uint64_t key = (redis->random >> 33) % (uint64_t)redis->options->keys;
    size_t value = (size_t)redis->options->value;
    char *to = (char *)link->out + link->out_size;
    int head = snprintf(to, REDIS_HEAD_MAX, "*3\r\n$3\r\nSET\r\n$16\r\nbench/%010" PRIu64 "\r\n$%zu\r\n", key, value);
    memcpy(to + head, redis->value, value);
    memcpy(to + head + value, "\r\n", 2);
    link->out_size += (size_t)head + value + 2;
    link->began[(link->oldest + link->outstanding++) % link->clients] = clock_ns();
}

static bool link_send(struct redis *redis, struct link *link) {
    while (link->out_at < link->out_size) {
        ssize_t sent =
            send(link->fd, link->out + link->out_at, link->out_size - link->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR || fail(redis, strerror(errno));
        link->out_at += (size_t)sent;
    }
    link->out_at = 0;
    link->out_size = 0;
    return true;
}

/* One answer of a line has come. */
static void link_answered(struct redis *redis, struct link *link) {
    if (redis->measuring) {
        redis->operations++;
        histogram_add(&redis->latency, clock_ns() - link->began[link->oldest]);
    }
    link->oldest = (link->oldest + 1) % link->clients;
    link->outstanding--;
}

/* What has come: lines that begin with a plus. Those that are answered ask again when all that was to be sent is gone, so that
 * the room for it suffices. */
static bool link_receive(struct redis *redis, struct link *link) {
    uint8_t data[REDIS_READ_BYTES];
    ssize_t size = recv(link->fd, data, sizeof data, MSG_DONTWAIT);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR || fail(redis, strerror(errno));
    if (size == 0)
        return fail(redis, "the server closed the connection");
    for (ssize_t i = 0; i < size; i++) {
        if (!link->line_begun && data[i] != '+')
            return fail(redis, "an operation failed");
        link->line_begun = data[i] != '\n';
        if (!link->line_begun)
            link_answered(redis, link);
    }
    return true;
}

static bool link_turn(struct redis *redis, struct link *link, short events) {
    if (events & ~POLLOUT && !link_receive(redis, link))
        return false;
    while (!redis->stopping && link->out_at == 0 && link->outstanding < link->clients)
        link_ask(redis, link);
    return link_send(redis, link);
}

/* ---- The run ------------------------------------------------------------------------------------------ */

static size_t outstanding(const struct redis *redis) {
    size_t sum = 0;
    for (int i = 0; i < redis->options->connections; i++)
        sum += redis->links[i].outstanding;
    return sum;
}

/* Turn until `deadline`, or until nothing is outstanding once it is stopping. */
static bool turn_until(struct redis *redis, struct pollfd *polls, uint64_t deadline) {
    for (;;) {
        uint64_t left = clock_ms_left(deadline);
        if (left == 0 || (redis->stopping && outstanding(redis) == 0))
            return true;
        for (int i = 0; i < redis->options->connections; i++) {
            const struct link *link = &redis->links[i];
            polls[i] = (struct pollfd){.fd = link->fd, .events = link->out_size > 0 ? POLLIN | POLLOUT : POLLIN};
        }
        int ready = poll(polls, (nfds_t)redis->options->connections, left < REDIS_TURN_MS ? (int)left : REDIS_TURN_MS);
        if (interrupt_signal())
            return false;
        for (int i = 0; ready > 0 && i < redis->options->connections; i++)
            if (polls[i].revents && !link_turn(redis, &redis->links[i], polls[i].revents))
                return false;
    }
}

/* "ADDRESS:PORT" */
static bool address_parse(const char *text, struct sockaddr_in *address) {
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : sizeof host;
    if (size >= sizeof host)
        return false;
    memcpy(host, text, size);
    host[size] = '\0';
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return port > 0 && port <= UINT16_MAX && *end == '\0' && inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static bool links_open(struct redis *redis) {
    const struct bench_options *options = redis->options;
    struct sockaddr_in address;
    if (!address_parse(options->endpoints, &address))
        return fail(redis, "--endpoints must be ADDRESS:PORT");
    size_t each = (size_t)options->clients / (size_t)options->connections;
    size_t rest = (size_t)options->clients % (size_t)options->connections;
    for (int i = 0; i < options->connections; i++) {
        struct link *link = &redis->links[i];
        int one = 1;
        link->clients = each + ((size_t)i < rest);
        link->began = mem_calloc(link->clients, sizeof *link->began);
        link->out = mem_alloc(link->clients * set_max(redis));
        link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (!link->began || !link->out || link->fd < 0)
            return fail(redis, "out of memory");
        if (connect(link->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
            setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
            return fail(redis, strerror(errno));
    }
    return true;
}

static void links_close(struct redis *redis) {
    for (int i = 0; i < redis->options->connections; i++) {
        if (redis->links[i].fd >= 0)
            (void)close(redis->links[i].fd);
        mem_free(redis->links[i].began);
        mem_free(redis->links[i].out);
    }
}

static bool run_phases(struct redis *redis, struct pollfd *polls, double *seconds, double *busy) {
    const struct bench_options *options = redis->options;
    struct usage before, used;
    uint64_t began = clock_ns();
    usage_read(&before);
    for (int i = 0; i < options->connections; i++)
        if (!link_turn(redis, &redis->links[i], 0))
            return false;
    if (!turn_until(redis, polls, began + (uint64_t)(options->warm_up * 1e9)))
        return false;
    redis->measuring = true;
    uint64_t since = clock_ns();
    bool well = turn_until(redis, polls, since + (uint64_t)(options->seconds * 1e9));
    *seconds = (double)(clock_ns() - since) / 1e9;
    redis->measuring = false;
    redis->stopping = true;
    usage_read(&used);
    usage_since(&used, &before);
    *busy = (double)used.cpu_ns / (double)(clock_ns() - began);
    if (!well || !turn_until(redis, polls, clock_after_ms(REDIS_PATIENCE_MS)))
        return false;
    return outstanding(redis) == 0 || fail(redis, "operations did not end");
}

static void report(const struct redis *redis, double seconds, double busy) {
    const struct bench_options *options = redis->options;
    double rate = (double)redis->operations / seconds;
    printf(
        "redis: %d clients, %d bytes, %d keys: %.0f operations a second; 50 %% within %.0f us, 99 %% within %.0f us\n",
        options->clients, options->value, options->keys, rate, bench_us(histogram_quantile(&redis->latency, 0.5)),
        bench_us(histogram_quantile(&redis->latency, 0.99)));
    printf("{\"bench\": \"redis\", \"clients\": %d, \"connections\": %d, \"value\": %d, \"keys\": %d", options->clients,
           options->connections, options->value, options->keys);
    printf(", \"seconds\": %.3f, \"operations\": %" PRIu64 ", \"ops_per_second\": %.1f", seconds, redis->operations,
           rate);
    bench_report_latency(&redis->latency);
    printf(", \"generator_busy\": %.3f}\n", busy);
}

static bool run(const struct bench_options *options) {
    static struct redis redis;
    double seconds = 0, busy = 0;
    redis.options = options;
    redis.random = 1;
    redis.links = mem_calloc((size_t)options->connections, sizeof *redis.links);
    redis.value = mem_alloc((size_t)options->value);
    struct pollfd *polls = mem_calloc((size_t)options->connections, sizeof *polls);
    bool well = redis.links && redis.value && polls;
    if (well) {
        kv_load_fill(redis.value, (size_t)options->value);
        for (int i = 0; i < options->connections; i++)
            redis.links[i].fd = -1;
        well = links_open(&redis) && run_phases(&redis, polls, &seconds, &busy);
        links_close(&redis);
    }
    if (well)
        report(&redis, seconds, busy);
    else if (!interrupt_signal())
        (void)fprintf(stderr, "redis: %s\n", redis.trouble[0] ? redis.trouble : "out of memory");
    mem_free(polls);
    mem_free(redis.value);
    mem_free(redis.links);
    return well;
}

int main(int argc, const char **argv) {
    static struct bench_options options = {.clients = 1024,
                                           .value = 256,
                                           .keys = 10000,
                                           .connections = 8,
                                           .seconds = 10,
                                           .warm_up = 1,
                                           .endpoints = "127.0.0.1:6379"};
    static const struct poptOption flags[] = {
        {"endpoints", '\0', POPT_ARG_STRING, &options.endpoints, 0, "the server [127.0.0.1:6379]", "ADDRESS:PORT"},
        {"connections", '\0', POPT_ARG_INT, &options.connections, 0, "to the server [8]", "N"},
        {"clients", '\0', POPT_ARG_INT, &options.clients, 0, "operations outstanding [1024]", "N"},
        {"value", '\0', POPT_ARG_INT, &options.value, 0, "bytes of each value [256]", "BYTES"},
        {"keys", '\0', POPT_ARG_INT, &options.keys, 0, "how many keys there are [10000]", "N"},
        {"seconds", '\0', POPT_ARG_DOUBLE, &options.seconds, 0, "how long to measure [10]", "S"},
        {"warm-up", '\0', POPT_ARG_DOUBLE, &options.warm_up, 0, "how long not to measure before that [1]", "S"},
        POPT_AUTOHELP POPT_TABLEEND};
    poptContext context = poptGetContext("redis", argc, argv, flags, 0);
    bool good = poptGetNextOpt(context) == -1 && !poptPeekArg(context) && options.clients >= 1 &&
                options.clients <= 1 << 16 && options.connections >= 1 && options.connections <= 1024 &&
                options.value >= 1 && options.value <= 1 << 20 && options.keys >= 1;
    poptFreeContext(context);
    if (!good) {
        (void)fprintf(stderr, "redis: wrong usage; see --help\n");
        return 2;
    }
    /* a connection without a client would wait for nothing */
    options.connections = options.connections < options.clients ? options.connections : options.clients;
    interrupt_catch();
    return run(&options) && fflush(stdout) == 0 ? 0 : 1;
}
