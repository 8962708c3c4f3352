/* SPDX-License-Identifier: Apache-2.0
 *
 * The replicated counter of counter.c with commands that count exactly once: each line of standard
 * input adds its number, however often that has to be tried, and an
 * empty line reads the counter. Start three of them, in three terminals:
 *
 *   sessions 1 7001 7002 7003 /tmp/sessions1
 *   sessions 2 7001 7002 7003 /tmp/sessions2
 *   sessions 3 7001 7002 7003 /tmp/sessions3
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lash/session.h>

enum { MEMBERS = 3 };

/* The state, and its only command. It is asked for each number once; the sum is the reply, on every replica the same. */
static _Atomic int64_t counter;

static int apply(void *context, const struct lash_command *command, struct lash_reply *reply) {
    (void)context;
    int64_t added;
    if (command->size != sizeof added)
        return LASH_VERSION; /* this program never wrote that */
    memcpy(&added, command->data, sizeof added);
    int64_t value = atomic_fetch_add(&counter, added) + added;
    return lash_reply_write(reply, &value, sizeof value);
}

/* Snapshots: the log need not be kept for ever. The table of sessions goes with them by itself. */
static int snapshot_begin(void *context, lash_index index, void **view) {
    static int64_t pinned; /* there is one view at a time */
    (void)context;
    (void)index;
    pinned = atomic_load(&counter);
    *view = &pinned;
    return 0;
}

static int snapshot_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    (void)context;
    return lash_snapshot_write(sink, view, sizeof(int64_t));
}

static void snapshot_end(void *context, void *view) {
    (void)context;
    (void)view;
}

static int restore(void *context, struct lash_snapshot_source *source, lash_index index,
                   const struct lash_session_row *rows, size_t count) {
    (void)context;
    (void)index;
    (void)rows;
    (void)count;
    int64_t values[2]; /* more is asked for than there is, so that the end is reached */
    size_t got;
    int error = lash_snapshot_read(source, values, sizeof values, &got);
    if (error)
        return error;
    if (got != sizeof values[0])
        return LASH_CORRUPT;
    atomic_store(&counter, values[0]);
    return 0;
}

/* A command or a read to wait for. Its end is told on another thread. */
struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool ended;
    int error;
    int64_t value;
};

static void wait_end(struct wait *wait, int error) {
    pthread_mutex_lock(&wait->mutex);
    wait->ended = true;
    wait->error = error;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->mutex);
}

static void added(void *argument, int error, const void *reply, size_t size) {
    struct wait *wait = argument;
    if (!error && size == sizeof wait->value)
        memcpy(&wait->value, reply, sizeof wait->value);
    wait_end(wait, error);
}

static void read_ended(void *argument, int error, lash_index index) {
    (void)index;
    wait_end(argument, error);
}

static int wait_for(struct wait *wait) {
    pthread_mutex_lock(&wait->mutex);
    while (!wait->ended)
        pthread_cond_wait(&wait->cond, &wait->mutex);
    pthread_mutex_unlock(&wait->mutex);
    return wait->error;
}

/* Add a number, once. Only when a minute did not do (retry_ms) is LASH_UNKNOWN the answer. */
static int add(lash_session *session, const char *text, int64_t *value) {
    struct wait wait = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    int64_t number = strtoll(text, NULL, 10);
    int error = lash_session_propose(session, &number, sizeof number, added, &wait);
    if (!error)
        error = wait_for(&wait);
    *value = wait.value;
    return error;
}

/* The value, with everything that was added anywhere before this call. A read changes nothing, and needs no session. */
static int get(lash_node *node, int64_t *value) {
    struct wait wait = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    int error = lash_node_read(node, read_ended, &wait);
    if (!error)
        error = wait_for(&wait);
    *value = atomic_load(&counter);
    return error;
}

static int serve(lash_sessions *sessions, lash_node *node) {
    char line[32];
    lash_session *session;
    int error = lash_session_open(sessions, node, NULL, &session);
    while (!error && fgets(line, sizeof line, stdin)) {
        int64_t value = 0;
        line[strcspn(line, "\n")] = '\0';
        int failed = line[0] ? add(session, line, &value) : get(node, &value);
        if (failed)
            printf("error: %s\n", lash_strerror(failed));
        else
            printf("%" PRId64 "\n", value);
        fflush(stdout);
        if (failed != LASH_EXPIRED)
            continue;
        lash_session_close(session);
        session = NULL;
        error = lash_session_open(sessions, node, NULL, &session);
    }
    if (!error)
        lash_session_close(session);
    return error ? 1 : 0;
}

static long number(const char *text, long max) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && value > 0 && value <= max ? value : 0;
}

static int run(const struct lash_node_options *options) {
    const struct lash_session_machine program = {.apply = apply,
                                                 .snapshot_begin = snapshot_begin,
                                                 .snapshot_write = snapshot_write,
                                                 .snapshot_end = snapshot_end,
                                                 .restore = restore};
    lash_sessions *sessions;
    lash_node *node;
    int error = lash_sessions_new(&program, &sessions);
    if (error) {
        fprintf(stderr, "no sessions: %s\n", lash_strerror(error));
        return 1;
    }
    struct lash_state_machine machine = lash_sessions_machine(sessions);
    error = lash_node_open(options, &machine, &node);
    if (error) {
        fprintf(stderr, "the node could not be opened: %s\n", lash_strerror(error));
        lash_sessions_free(sessions);
        return 1;
    }
    int status = serve(sessions, node);
    lash_node_close(node);
    lash_sessions_free(sessions);
    return status;
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
                                        .peer_count = MEMBERS,
                                        .request_timeout_ms = 1000};
    return run(&options);
}
