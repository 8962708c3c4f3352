/* SPDX-License-Identifier: Apache-2.0
 *
 * A replicated counter: the whole of a program that keeps its state on three
 * machines with liblash. Each line of standard input adds its number to the counter;
 * an empty line reads it, and "snapshot" takes a snapshot. Start three of them, in three terminals:
 *
 *   counter 1 7001 7002 7003 /tmp/counter1
 *   counter 2 7001 7002 7003 /tmp/counter2
 *   counter 3 7001 7002 7003 /tmp/counter3
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lash/log.h>
#include <lash/node.h>

enum { MEMBERS = 3 };

/* The state machine. Every replica applies the same commands in the same order, and so has the same value. */
static _Atomic int64_t counter;

static int apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    (void)context;
    (void)last; /* a state machine that keeps its state on disk would store this with it */
    for (size_t i = 0; i < count; i++) {
        char text[32] = "";
        if (commands[i].size >= sizeof text)
            return LASH_VERSION; /* this program never wrote that */
        memcpy(text, commands[i].data, commands[i].size);
        int64_t added = strtoll(text, NULL, 10);
        int64_t value = atomic_fetch_add(&counter, added) + added;
        if (commands[i].request) /* proposed by this very process: here is its result */
            *(int64_t *)commands[i].request = value;
    }
    return 0;
}

/* Snapshots, so that the log need not be kept for ever. Another thread writes the value down while more is applied; hence a
 * copy. */
static int snapshot_begin(void *context, lash_index index, void **view) {
    (void)context;
    (void)index;
    int64_t *copy = malloc(sizeof *copy);
    if (!copy)
        return LASH_NOMEM;
    *copy = atomic_load(&counter);
    *view = copy;
    return 0;
}

static int snapshot_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    (void)context;
    char text[32];
    int size = snprintf(text, sizeof text, "%" PRId64 "\n", *(int64_t *)view);
    return lash_snapshot_write(sink, text, (size_t)size);
}

static void snapshot_end(void *context, void *view) {
    (void)context;
    free(view);
}

static int restore(void *context, struct lash_snapshot_source *source, lash_index index) {
    (void)context;
    (void)index;
    char text[32];
    size_t size;
    int error = lash_snapshot_read(source, text, sizeof text, &size); /* all of it, as it is less than asked for */
    if (error)
        return error;
    if (size == 0 || size == sizeof text || text[size - 1] != '\n')
        return LASH_VERSION; /* this program never wrote that */
    text[size - 1] = '\0';
    atomic_store(&counter, strtoll(text, NULL, 10));
    return 0;
}

/* A request to wait for. Its end is told on a thread of the node. */
struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool ended;
    int error;
};

static void ended(void *argument, int error, lash_index index) {
    (void)index;
    struct wait *wait = argument;
    pthread_mutex_lock(&wait->mutex);
    wait->ended = true;
    wait->error = error;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->mutex);
}

static int wait_for(struct wait *wait) {
    pthread_mutex_lock(&wait->mutex);
    while (!wait->ended)
        pthread_cond_wait(&wait->cond, &wait->mutex);
    pthread_mutex_unlock(&wait->mutex);
    return wait->error;
}

/* Add the number in `text`; once this returns 0, no crash of a minority can undo it. */
static int add(lash_node *node, const char *text, int64_t *value) {
    for (;;) {
        struct wait wait = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        int error = lash_node_propose(node, text, strlen(text), value, ended, &wait);
        if (!error)
            error = wait_for(&wait);
        /* In these two cases nothing was added for certain, and it soon can be; else trying again might add twice. */
        if (error != LASH_DROPPED && error != LASH_NO_LEADER)
            return error;
    }
}

/* The value, with everything that was added anywhere before this call. */
static int get(lash_node *node, int64_t *value) {
    struct wait wait = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    int error = lash_node_read(node, ended, &wait);
    if (!error)
        error = wait_for(&wait);
    *value = atomic_load(&counter);
    return error;
}

/* Take a snapshot, which nobody need ask for: the node does it as the log grows. */
static int take(lash_node *node, int64_t *value) {
    struct wait wait = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    int error = lash_node_snapshot(node, ended, &wait);
    if (!error)
        error = wait_for(&wait);
    *value = atomic_load(&counter);
    return error;
}

static int serve(lash_node *node) {
    char line[32];
    while (fgets(line, sizeof line, stdin)) {
        int64_t value = 0;
        line[strcspn(line, "\n")] = '\0';
        bool snapshot = strcmp(line, "snapshot") == 0;
        int error = snapshot ? take(node, &value) : line[0] ? add(node, line, &value) : get(node, &value);
        if (error)
            printf("error: %s\n", lash_strerror(error));
        else
            printf("%" PRId64 "\n", value);
        fflush(stdout);
    }
    return 0;
}

static long number(const char *text, long max) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && value > 0 && value <= max ? value : 0;
}

int main(int argc, char **argv) {
    struct lash_peer peers[MEMBERS] = {{0}};
    long id = argc == MEMBERS + 3 ? number(argv[1], MEMBERS) : 0;
    for (int i = 0; id && i < MEMBERS; i++) {
        peers[i] = (struct lash_peer){
            .id = (lash_id)i + 1, .host = "127.0.0.1", .port = (uint16_t)number(argv[i + 2], UINT16_MAX)};
        if (peers[i].port == 0)
            id = 0;
    }
    if (id == 0) {
        fprintf(stderr, "usage: %s ID PORT1 PORT2 PORT3 DIRECTORY\n", argv[0]);
        return 2;
    }
    struct lash_node_options options = {.id = (lash_id)id,
                                        .cluster_id = 1,
                                        .data_dir = argv[MEMBERS + 2],
                                        .listen_host = peers[id - 1].host,
                                        .listen_port = peers[id - 1].port,
                                        .peers = peers,
                                        .peer_count = MEMBERS};
    struct lash_state_machine machine = {.apply = apply,
                                         .snapshot_begin = snapshot_begin,
                                         .snapshot_write = snapshot_write,
                                         .snapshot_end = snapshot_end,
                                         .restore = restore};
    lash_node *node;
    int error = lash_node_open(&options, &machine, &node);
    if (error) {
        fprintf(stderr, "the node could not be opened: %s\n", lash_strerror(error));
        return 1;
    }
    int status = serve(node);
    lash_node_close(node);
    return status;
}
