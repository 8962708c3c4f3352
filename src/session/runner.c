/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions on a node: their clock is the machine's monotonic one, their way to
 * the log lash_node_propose.
 */
#include "session/runner.h"

#include <signal.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"
#include "session/client.h"

struct lash_session {
    struct list link; /* runner->sessions */
    struct runner *runner;
    lash_node *node;
    struct client client;
    uint64_t deadline_ms; /* of its next turn */
    uint32_t telling;     /* ends that are being told, without the lock */
};

static uint64_t runner_now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Ends, without the lock ------------------------------------------------------------------------------------ */

/* Move what has ended to `ended`, whose members keep their session from being freed. */
static void runner_take(struct lash_session *session, struct list *ended) {
    struct list *at;
    for (at = session->client.ended.next; at != &session->client.ended; at = at->next)
        session->telling++;
    list_splice(ended, &session->client.ended);
}

static void runner_tell(struct runner *runner, struct list *ended) {
    struct list *at;
    while ((at = list_pop(ended))) {
        struct client_call *call = list_entry(at, struct client_call, link);
        struct lash_session *session = list_entry(call->client, struct lash_session, client);
        const struct buf *reply = call->result.reply;
        call->done(call->argument, call->error, reply ? reply->data : NULL, reply ? reply->size : 0);
        client_call_free(call);
        pthread_mutex_lock(&runner->mutex);
        session->telling--;
        pthread_cond_broadcast(&runner->idle);
        pthread_mutex_unlock(&runner->mutex);
    }
}

/* ---- Turns, with the lock ---------------------------------------------------------------------------------------- */

static void runner_turn(struct lash_session *session, uint64_t now_ms) {
    session->deadline_ms = client_turn(&session->client, now_ms);
    if (session->client.state == CLIENT_CLOSED)
        pthread_cond_broadcast(&session->runner->idle);
}

/* A turn outside the thread, which may have to look earlier than it meant to: what has ended is told there. */
static void runner_turn_aside(struct lash_session *session, uint64_t now_ms) {
    uint64_t before_ms = session->deadline_ms;
    runner_turn(session, now_ms);
    if (!list_empty(&session->client.ended))
        session->deadline_ms = now_ms;
    if (session->deadline_ms < before_ms)
        pthread_cond_signal(&session->runner->wake);
}

/* What is due now. Returns when something is due next. */
static uint64_t runner_turn_all(struct runner *runner, struct list *ended) {
    uint64_t now_ms = runner_now_ms();
    uint64_t next_ms = UINT64_MAX;
    struct list *at;
    for (at = runner->sessions.next; at != &runner->sessions; at = at->next) {
        struct lash_session *session = list_entry(at, struct lash_session, link);
        if (session->deadline_ms <= now_ms)
            runner_turn(session, now_ms);
        runner_take(session, ended);
        if (session->deadline_ms < next_ms)
            next_ms = session->deadline_ms;
    }
    return next_ms;
}

static void runner_sleep(struct runner *runner, uint64_t until_ms) {
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000 * 1000000)};
    if (until_ms == UINT64_MAX)
        pthread_cond_wait(&runner->wake, &runner->mutex);
    else
        pthread_cond_timedwait(&runner->wake, &runner->mutex, &until);
}

static void *runner_run(void *argument) {
    struct runner *runner = argument;
    struct list ended;
    list_init(&ended);
    pthread_setname_np(pthread_self(), "lash-session");
    pthread_mutex_lock(&runner->mutex);
    while (!runner->ending) {
        uint64_t next_ms = runner_turn_all(runner, &ended);
        if (list_empty(&ended)) {
            runner_sleep(runner, next_ms);
            continue;
        }
        pthread_mutex_unlock(&runner->mutex);
        runner_tell(runner, &ended);
        pthread_mutex_lock(&runner->mutex);
    }
    pthread_mutex_unlock(&runner->mutex);
    return NULL;
}

/* ---- The node -------------------------------------------------------------------------------------------------------- */

/* On the node's loop thread. */
static void runner_ended(void *argument, int error, lash_index index) {
    struct client_call *call = argument;
    struct lash_session *session = list_entry(call->client, struct lash_session, client);
    struct runner *runner = session->runner;
    struct list ended;
    list_init(&ended);
    pthread_mutex_lock(&runner->mutex);
    uint64_t now_ms = runner_now_ms();
    client_ended(call, now_ms, error, index);
    runner_take(session, &ended);
    runner_turn_aside(session, now_ms);
    pthread_mutex_unlock(&runner->mutex);
    runner_tell(runner, &ended);
}

static int runner_propose(void *context, struct client_call *call, const void *data, size_t size) {
    struct lash_session *session = context;
    return lash_node_propose(session->node, data, size, &call->result, runner_ended, call);
}

/* ---- Opening and closing ------------------------------------------------------------------------------------------- */

int runner_open(struct runner *runner) {
    pthread_condattr_t attributes;
    list_init(&runner->sessions);
    if (pthread_condattr_init(&attributes) != 0)
        return LASH_NOMEM;
    bool failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
                  pthread_cond_init(&runner->wake, &attributes) != 0;
    pthread_condattr_destroy(&attributes);
    if (failed)
        return LASH_NOMEM;
    if (pthread_cond_init(&runner->idle, NULL) != 0) {
        pthread_cond_destroy(&runner->wake);
        return LASH_NOMEM;
    }
    if (pthread_mutex_init(&runner->mutex, NULL) != 0) {
        pthread_cond_destroy(&runner->wake);
        pthread_cond_destroy(&runner->idle);
        return LASH_NOMEM;
    }
    return 0;
}

void runner_close(struct runner *runner) {
    LASH_ASSERT(list_empty(&runner->sessions));
    pthread_mutex_lock(&runner->mutex);
    runner->ending = true;
    pthread_cond_signal(&runner->wake);
    pthread_mutex_unlock(&runner->mutex);
    if (runner->started)
        pthread_join(runner->thread, NULL);
    pthread_mutex_destroy(&runner->mutex);
    pthread_cond_destroy(&runner->wake);
    pthread_cond_destroy(&runner->idle);
}

/* Start the thread unless it runs, with all signals blocked: they are the program's business. Errors: LASH_NOMEM. */
static int runner_start(struct runner *runner) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_lock(&runner->mutex);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!runner->started)
        runner->started = pthread_create(&runner->thread, NULL, runner_run, runner) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    int error = runner->started ? 0 : LASH_NOMEM;
    pthread_mutex_unlock(&runner->mutex);
    return error;
}

static uint64_t runner_default(uint64_t value, uint64_t otherwise) {
    return value ? value : otherwise;
}

int lash_session_open(lash_sessions *sessions, lash_node *node, const struct lash_session_options *options,
                      lash_session **session) {
    const struct lash_session_options defaults = {0};
    if (!sessions || !node || !session)
        return LASH_INVALID;
    const struct lash_session_options *given = options ? options : &defaults;
    const struct session_limits limits = {
        .timeout_ms = runner_default(given->timeout_ms, 60000),
        .sessions_max = (uint32_t)runner_default(given->sessions_max, 1024),
        .outstanding_max = (uint32_t)runner_default(given->outstanding_max, 32),
        .reply_bytes_max = (uint32_t)runner_default(given->reply_bytes_max, 16384),
    };
    uint64_t seed = given->seed;
    if (!limits_valid(&limits))
        return LASH_INVALID;
    if (!seed && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return LASH_IO;
    struct lash_session *new = mem_calloc(1, sizeof *new);
    if (!new)
        return LASH_NOMEM;
    int error = runner_start(&sessions->runner);
    if (error) {
        mem_free(new);
        return error;
    }
    const struct client_env env = {.context = new, .propose = runner_propose};
    client_init(&new->client, &env, &limits, runner_default(given->retry_ms, limits.timeout_ms), seed);
    new->runner = &sessions->runner;
    new->node = node;
    new->deadline_ms = UINT64_MAX;
    pthread_mutex_lock(&new->runner->mutex);
    list_push(&new->runner->sessions, &new->link);
    runner_turn_aside(new, runner_now_ms());
    pthread_mutex_unlock(&new->runner->mutex);
    *session = new;
    return 0;
}

int lash_session_propose(lash_session *session, const void *data, size_t size, lash_session_done_fn done,
                         void *argument) {
    if (size > UINT32_MAX)
        return LASH_TOO_LARGE;
    pthread_mutex_lock(&session->runner->mutex);
    uint64_t now_ms = runner_now_ms();
    int error = client_propose(&session->client, now_ms, data, size, done, argument);
    if (!error)
        runner_turn_aside(session, now_ms);
    pthread_mutex_unlock(&session->runner->mutex);
    return error;
}

void lash_session_close(lash_session *session) {
    if (!session)
        return;
    struct runner *runner = session->runner;
    pthread_mutex_lock(&runner->mutex);
    client_close(&session->client);
    runner_turn_aside(session, runner_now_ms());
    while (session->client.state != CLIENT_CLOSED || session->telling > 0 || !list_empty(&session->client.ended))
        pthread_cond_wait(&runner->idle, &runner->mutex);
    list_remove(&session->link);
    pthread_mutex_unlock(&runner->mutex);
    client_free(&session->client);
    mem_free(session);
}
