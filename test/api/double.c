/* SPDX-License-Identifier: Apache-2.0
 *
 * A node for tests of the API: see double.h.
 */
#include "double.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/membership.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/list.h"

enum { DOUBLE_MEMBERS_MAX = 4 };

/* A member of the double's, with room for its texts. */
struct double_member {
    struct lash_node_member member;
    char host[64];
    uint8_t note[LASH_NODE_NOTE_MAX];
};

struct request {
    struct list link;
    int (*change)(lash_node *node, const struct double_member *member); /* of the membership, or NULL */
    struct double_member member;
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
    int fail_changes;
    bool hold;
    bool closing;
    size_t waiting;
    size_t applied;
    struct lash_metrics metrics;
    struct list requests;
    struct double_member members[DOUBLE_MEMBERS_MAX];
    size_t member_count;
    lash_index configuration;
};

static int double_add(lash_node *node, const struct double_member *member);

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
        if (!error && request->change)
            error = node->fail_changes ? node->fail_changes : request->change(node, &request->member);
        lash_index index = !error && request->command ? ++node->index : node->index;
        node->waiting--;
        pthread_mutex_unlock(&node->mutex);
        bool applied = !error && request->command;
        double_end(node, request, error, index);
        pthread_mutex_lock(&node->mutex);
        node->applied += applied;
        pthread_cond_broadcast(&node->changed);
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
    for (uint16_t i = 0; i < 2; i++) {
        struct double_member member = {
            .member = {.id = i ? DOUBLE_OTHER_ID : DOUBLE_ID, .flags = LASH_MEMBER_VOTER, .port = (uint16_t)(i + 1)},
            .host = "127.0.0.1"};
        if (i) /* the one with a note, the other without */
            member.member.note_size = membership_note("n2", "http://127.0.0.1:2", member.note);
        double_add(node, &member);
    }
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

int lash_node_read_as(lash_node *node, enum lash_read_kind kind, uint64_t age_ms_max, lash_done_fn done,
                      void *argument) {
    (void)kind; /* what a read waits for is the node's affair */
    (void)age_ms_max;
    return double_ask(node, &(struct request){.done = done, .argument = argument});
}

int lash_node_transfer(lash_node *node, lash_id target, lash_done_fn done, void *argument) {
    (void)target; /* as its end the test says what became of it */
    return double_ask(node, &(struct request){.done = done, .argument = argument});
}

/* ---- Membership -------------------------------------------------------------------------------- */

static struct double_member *double_find(lash_node *node, lash_id id) {
    for (size_t i = 0; i < node->member_count; i++)
        if (node->members[i].member.id == id)
            return &node->members[i];
    return NULL;
}

static int double_add(lash_node *node, const struct double_member *member) {
    if (double_find(node, member->member.id))
        return LASH_EXISTS;
    if (node->member_count == DOUBLE_MEMBERS_MAX)
        return LASH_TOO_LARGE;
    node->members[node->member_count++] = *member;
    node->configuration++;
    return 0;
}

static int double_update(lash_node *node, const struct double_member *member) {
    struct double_member *known = double_find(node, member->member.id);
    if (!known)
        return LASH_NOT_FOUND;
    *known = *member;
    node->configuration++;
    return 0;
}

static int double_remove(lash_node *node, const struct double_member *member) {
    struct double_member *known = double_find(node, member->member.id);
    if (!known)
        return LASH_NOT_FOUND;
    *known = node->members[--node->member_count];
    node->configuration++;
    return 0;
}

static int double_promote(lash_node *node, const struct double_member *member) {
    struct double_member *known = double_find(node, member->member.id);
    if (!known)
        return LASH_NOT_FOUND;
    known->member.flags = LASH_MEMBER_VOTER;
    node->configuration++;
    return 0;
}

static int double_ask_change(lash_node *node, int (*change)(lash_node *node, const struct double_member *member),
                             const struct lash_node_member *member, lash_done_fn done, void *argument) {
    struct request request = {.change = change, .member = {.member = *member}, .done = done, .argument = argument};
    LASH_ASSERT(member->note_size <= sizeof request.member.note);
    snprintf(request.member.host, sizeof request.member.host, "%s", member->host ? member->host : "");
    if (member->note_size)
        memcpy(request.member.note, member->note, member->note_size);
    return double_ask(node, &request);
}

int lash_node_add(lash_node *node, const struct lash_node_member *member, lash_done_fn done, void *argument) {
    return double_ask_change(node, double_add, member, done, argument);
}

int lash_node_update(lash_node *node, const struct lash_node_member *member, lash_done_fn done, void *argument) {
    return double_ask_change(node, double_update, member, done, argument);
}

int lash_node_remove(lash_node *node, lash_id id, lash_done_fn done, void *argument) {
    return double_ask_change(node, double_remove, &(struct lash_node_member){.id = id}, done, argument);
}

int lash_node_promote(lash_node *node, lash_id id, lash_done_fn done, void *argument) {
    return double_ask_change(node, double_promote, &(struct lash_node_member){.id = id}, done, argument);
}

int lash_node_members(lash_node *node, struct lash_members **members) {
    struct double_texts {
        struct lash_members members;
        struct double_member copies[DOUBLE_MEMBERS_MAX];
    } *made = mem_calloc(1, sizeof *made);
    if (!made)
        return LASH_NOMEM;
    pthread_mutex_lock(&node->mutex);
    memcpy(made->copies, node->members, sizeof made->copies);
    made->members.count = node->member_count;
    made->members.index = node->configuration;
    pthread_mutex_unlock(&node->mutex);
    for (size_t i = 0; i < made->members.count; i++) {
        made->members.members[i] = made->copies[i].member;
        made->members.members[i].host = made->copies[i].host;
        made->members.members[i].note = made->copies[i].note;
    }
    if (made->members.count == 0) {
        mem_free(made);
        return LASH_NOT_FOUND;
    }
    *members = &made->members;
    return 0;
}

void lash_members_free(struct lash_members *members) {
    mem_free(members);
}

lash_index double_set_member(lash_node *node, lash_id id, uint32_t flags) {
    pthread_mutex_lock(&node->mutex);
    struct double_member *member = double_find(node, id);
    LASH_ASSERT(member);
    member->member.flags = flags;
    lash_index index = ++node->configuration;
    pthread_mutex_unlock(&node->mutex);
    return index;
}

void double_join(lash_node *node) {
    pthread_mutex_lock(&node->mutex);
    node->member_count = 0;
    pthread_mutex_unlock(&node->mutex);
}

/* ---- Observation ------------------------------------------------------------------------------- */

int lash_node_status(lash_node *node, struct lash_status *status) {
    memset(status, 0, sizeof *status);
    pthread_mutex_lock(&node->mutex);
    status->raft.configuration.index = node->configuration;
    status->raft.configuration.count = (uint32_t)node->member_count;
    for (size_t i = 0; i < node->member_count; i++)
        status->raft.configuration.members[i] =
            (struct lash_member){.id = node->members[i].member.id, .flags = node->members[i].member.flags};
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

void double_set_failure_of_changes(lash_node *node, int fail) {
    DOUBLE_SET(node, fail_changes, fail);
}

void double_hold(lash_node *node, bool hold) {
    DOUBLE_SET(node, hold, hold);
}

void double_await_applied(lash_node *node, size_t count) {
    pthread_mutex_lock(&node->mutex);
    while (node->applied < count)
        pthread_cond_wait(&node->changed, &node->mutex);
    pthread_mutex_unlock(&node->mutex);
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
