/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor as a run of processes: the first leads, the others follow.
 */
#include "bench/floor.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct floor {
    const struct bench_options *options;
    struct scratch scratch;
    int listeners[CREW_MAX]; /* of the followers, from 1 on */
    uint16_t ports[CREW_MAX];
    /* in a member's process */
    size_t number;
    struct floor_disk disk;
    struct load load;
    struct floor_leader *leader; /* of member 0 */
    pthread_t follower;          /* of the others */
};

/* ---- In a member's process ------------------------------------------------------------------------- */

static void *floor_follower_run(void *argument) {
    struct floor *floor = argument;
    if (!floor_follow(floor->listeners[floor->number], &floor->disk))
        _exit(1);
    return NULL;
}

static bool floor_open(void *context, size_t number, struct crew_result *result) {
    struct floor *floor = context;
    floor->number = number;
    if (!floor_disk_open(&floor->disk, &floor->scratch, number))
        return false;
    for (size_t i = 1; i < (size_t)floor->options->replicas; i++)
        if (i != number)
            (void)close(floor->listeners[i]);
    if (number == 0) {
        if (!load_open(&floor->load, &result->load))
            return false;
        floor->leader = floor_leader_open(floor->options, floor->ports + 1, (size_t)floor->options->replicas - 1,
                                          &floor->disk, &floor->load);
        return floor->leader != NULL;
    }
    return pthread_create(&floor->follower, NULL, floor_follower_run, floor) == 0;
}

static bool floor_ready(void *context) {
    const struct floor *floor = context;
    return floor->number == 0;
}

static void floor_start(void *context) {
    struct floor *floor = context;
    for (int i = 0; i < floor->options->clients; i++)
        load_join(&floor->load);
    floor_leader_start(floor->leader);
}

static void floor_measure(void *context, bool on) {
    struct floor *floor = context;
    load_measure(&floor->load, on);
}

static bool floor_stop(void *context) {
    struct floor *floor = context;
    load_stop(&floor->load);
    return true;
}

static void floor_close(void *context) {
    struct floor *floor = context;
    if (floor->number == 0) {
        floor_leader_close(floor->leader);
        load_close(&floor->load);
    } else {
        (void)pthread_join(floor->follower, NULL); /* it ends when the leader closes the connection */
    }
    floor_disk_close(&floor->disk);
}

/* ---- In the parent --------------------------------------------------------------------------------- */

static bool floor_listen(struct floor *floor) {
    for (int i = 1; i < floor->options->replicas; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
            getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
            perror("lash-bench: cannot listen");
            return false;
        }
        floor->listeners[i] = listener;
        floor->ports[i] = ntohs(address.sin_port);
    }
    return true;
}

bool bench_floor(const struct bench_options *options) {
    static const struct crew_work work = {.open = floor_open,
                                          .ready = floor_ready,
                                          .start = floor_start,
                                          .measure = floor_measure,
                                          .stop = floor_stop,
                                          .close = floor_close};
    struct floor floor = {.options = options};
    struct crew_phases phases = {.warm_up_seconds = options->warm_up, .seconds = options->seconds};
    struct crew_result *result;
    if ((uint64_t)options->clients * ((uint64_t)options->value + FLOOR_ENTRY_HEAD + 8) + FLOOR_BATCH_HEAD >
        FLOOR_BATCH_MAX) {
        (void)fprintf(stderr, "lash-bench: the clients' values are more than %d MiB together\n", FLOOR_BATCH_MAX >> 20);
        return false;
    }
    if (!scratch_make(&floor.scratch, options->directory))
        return false;
    bool well = floor_listen(&floor) && crew_run((size_t)options->replicas, &work, &floor, &phases, &result);
    for (int i = 1; i < options->replicas; i++)
        if (floor.listeners[i] > 0)
            (void)close(floor.listeners[i]);
    scratch_remove(&floor.scratch);
    if (well) {
        bench_report("floor", options, result);
        crew_result_free(result);
    }
    return well;
}
