/* SPDX-License-Identifier: Apache-2.0
 *
 * A node for tests of the API: see double.h.
 */
#include "double.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"

struct request {
    struct list link;
    bool command;
    void *data;
    size_t size;
    void *request;
    lash_done_fn done;
    void *argument;
};

struct lash_node {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct lash_state_machine machine;
    lash_index index;
    lash_id leader;
    bool full;
    bool other_full;
    int error;
    int refuse;
    int fail;
    bool hold;
    bool closing;
    size_t waiting;
    struct lash_metrics metrics;
    struct list requests;
};

/* Carry out one request; without the lock. */
static void double_end(lash_node *node, struct request *request, int error, lash_index index) {
    struct lash_command command = {
        .index = index, .term = DOUBLE_TERM, .data = request->data, .size = request->size, .request = request->request};
    if (!error && request->command)
        error = node->machine.apply(node->machine.context, &command, 1, index);
    request->done(request->argument, error, index);
    free(request->data);
    free(request);
}

static void *double_run(void *argument) {
    lash_node *node = argument;
    pthread_mutex_lock(&node->mutex);
    for (;;) {
        while (!node->closing && (node->hold || list_empty(&node->requests)))
            pthread_cond_wait(&node->changed, &node->mutex);
        if (list_empty(&node->requests))
            break;
        struct request *request = list_entry(list_pop(&node->requests), struct request, link);
        int error = node->closing ? LASH_CLOSED : node->fail;
        lash_index index = !error && request->command ? ++node->index : node->index;
        node->waiting--;
        pthread_mutex_unlock(&node->mutex);
        double_end(node, request, error, index);
        pthread_mutex_lock(&node->mutex);
    }
    pthread_mutex_unlock(&node->mutex);
    return NULL;
}

lash_node *double_open(struct lash_state_machine machine, lash_index applied) {
    lash_node *node = calloc(1, sizeof *node);
    LASH_ASSERT(node);
    node->machine = machine;
    node->index = applied;
    node->leader = DOUBLE_ID;
    list_init(&node->requests);
    pthread_mutex_init(&node->mutex, NULL);
    pthread_cond_init(&node->changed, NULL);
    int failed = pthread_create(&node->thread, NULL, double_run, node);
    LASH_ASSERT(!failed);
    return node;
}

void lash_node_close(lash_node *node) {
    pthread_mutex_lock(&node->mutex);
    node->closing = true;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->mutex);
    pthread_join(node->thread, NULL);
    pthread_mutex_destroy(&node->mutex);
    pthread_cond_destroy(&node->changed);
    free(node);
}

static int double_ask(lash_node *node, const struct request *asked) {
    pthread_mutex_lock(&node->mutex);
    int refuse = node->refuse;
    if (!refuse) {
        struct request *request = malloc(sizeof *request);
        LASH_ASSERT(request);
        *request = *asked;
        request->data = malloc(asked->size + 1);
        LASH_ASSERT(request->data);
        if (asked->size)
            memcpy(request->data, asked->data, asked->size);
        list_push(&node->requests, &request->link);
        node->waiting++;
        pthread_cond_broadcast(&node->changed);
    }
    pthread_mutex_unlock(&node->mutex);
    return refuse;
}

int lash_node_propose(lash_node *node, const void *data, size_t size, void *request, lash_done_fn done,
                      void *argument) {
    union {
        const void *constant;
        void *plain;
    } bytes = {.constant = data};
    return double_ask(node, &(struct request){.command = true,
                                              .data = bytes.plain,
                                              .size = size,
                                              .request = request,
                                              .done = done,
                                              .argument = argument});
}

int lash_node_read(lash_node *node, lash_done_fn done, void *argument) {
    return double_ask(node, &(struct request){.done = done, .argument = argument});
}

int lash_node_transfer(lash_node *node, lash_id target, lash_done_fn done, void *argument) {
    (void)target; /* as its end the test says what became of it */
    return double_ask(node, &(struct request){.done = done, .argument = argument});
}

int lash_node_status(lash_node *node, struct lash_status *status) {
    memset(status, 0, sizeof *status);
    pthread_mutex_lock(&node->mutex);
    status->raft.id = DOUBLE_ID;
    status->raft.leader = node->leader;
    status->raft.role = node->leader == DOUBLE_ID ? LASH_LEADER : LASH_FOLLOWER;
    status->raft.term = DOUBLE_TERM;
    status->raft.commit = status->raft.applied = node->index;
    status->raft.full = node->full;
    if (status->raft.role == LASH_LEADER) {
        status->raft.progress_count = 2;
        status->raft.progress[0] = (struct lash_progress){.id = DOUBLE_ID, .full = node->full};
        status->raft.progress[1] = (struct lash_progress){.id = DOUBLE_ID + 1, .full = node->other_full};
    }
    status->error = node->error;
    pthread_mutex_unlock(&node->mutex);
    return 0;
}

int lash_node_metrics(lash_node *node, struct lash_metrics *metrics) {
    pthread_mutex_lock(&node->mutex);
    *metrics = node->metrics;
    pthread_mutex_unlock(&node->mutex);
    return 0;
}

/* Change one of the node's fields under its lock. */
#define DOUBLE_SET(node, field, value)                                                                                 \
    do {                                                                                                               \
        pthread_mutex_lock(&(node)->mutex);                                                                            \
        (node)->field = (value);                                                                                       \
        pthread_cond_broadcast(&(node)->changed);                                                                      \
        pthread_mutex_unlock(&(node)->mutex);                                                                          \
    } while (0)

void double_set_leader(lash_node *node, lash_id leader) {
    DOUBLE_SET(node, leader, leader);
}

void double_set_full(lash_node *node, bool full, bool other_full) {
    DOUBLE_SET(node, other_full, other_full);
    DOUBLE_SET(node, full, full);
}

void double_set_error(lash_node *node, int error) {
    DOUBLE_SET(node, error, error);
}

void double_set_refusal(lash_node *node, int refuse) {
    DOUBLE_SET(node, refuse, refuse);
}

void double_set_failure(lash_node *node, int fail) {
    DOUBLE_SET(node, fail, fail);
}

void double_hold(lash_node *node, bool hold) {
    DOUBLE_SET(node, hold, hold);
}

void double_await_held(lash_node *node, size_t count) {
    pthread_mutex_lock(&node->mutex);
    LASH_ASSERT(node->hold);
    while (node->waiting < count)
        pthread_cond_wait(&node->changed, &node->mutex);
    pthread_mutex_unlock(&node->mutex);
}

void double_set_metrics(lash_node *node, const struct lash_metrics *metrics) {
    DOUBLE_SET(node, metrics, *metrics);
}
