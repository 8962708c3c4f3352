/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's session by itself: the test is its node, its log and its clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "session/client.h"

enum { ATTEMPTS_MAX = 64, BEGIN_MS = 5000000 };

static const struct session_limits limits = {
    .timeout_ms = 1000, .sessions_max = 4, .outstanding_max = 4, .reply_bytes_max = 64};

struct attempt {
    struct client_call *call;
    struct session_command head;
    uint8_t bytes[COMMAND_HEAD_SIZE + 32];
};

struct node {
    struct client client;
    uint64_t now_ms;
    uint64_t next_ms; /* what the last turn said */
    int refuse_with;  /* every proposal is refused */
    struct attempt attempts[ATTEMPTS_MAX];
    size_t count;
    size_t seen; /* attempts that the test has looked at */
};

/* Ends of commands, by argument. */
struct end {
    int count;
    int error;
    char reply[16];
};

static int node_propose(void *context, struct client_call *call, const void *data, size_t size) {
    struct node *node = context;
    if (node->refuse_with)
        return node->refuse_with;
    assert_true(node->count < ATTEMPTS_MAX && size <= sizeof node->attempts[0].bytes);
    struct attempt *attempt = &node->attempts[node->count++];
    attempt->call = call;
    memcpy(attempt->bytes, data, size);
    assert_int_equal(command_decode(attempt->bytes, size, &attempt->head), 0);
    return 0;
}

static void node_done(void *argument, int error, const void *reply, size_t size) {
    struct end *end = argument;
    end->count++;
    end->error = error;
    assert_true(size < sizeof end->reply);
    if (size > 0)
        memcpy(end->reply, reply, size);
}

static void node_turn(struct node *node) {
    node->next_ms = client_turn(&node->client, node->now_ms);
    struct list *at;
    while ((at = list_pop(&node->client.ended))) {
        struct client_call *call = list_entry(at, struct client_call, link);
        const struct buf *reply = call->result.reply;
        call->done(call->argument, call->error, reply ? reply->data : NULL, reply ? reply->size : 0);
        client_call_free(call);
    }
}

/* Let time pass to the next thing that is due. */
static void node_wait(struct node *node) {
    assert_true(node->next_ms != UINT64_MAX);
    assert_true(node->next_ms >= node->now_ms);
    node->now_ms = node->next_ms;
    node_turn(node);
}

/* The next attempt that the test has not looked at, which is there. */
static struct attempt *node_next(struct node *node, enum command_kind kind) {
    assert_true(node->seen < node->count);
    struct attempt *attempt = &node->attempts[node->seen++];
    assert_int_equal(attempt->head.kind, kind);
    return attempt;
}

static void node_end(struct node *node, const struct attempt *attempt, int error, lash_index index) {
    client_ended(attempt->call, node->now_ms, error, index);
    node_turn(node);
}

/* The attempt is carried out, and this is the reply, or what the table says. */
static void node_apply(struct node *node, const struct attempt *attempt, int result, uint64_t log_ms,
                       const char *reply) {
    attempt->call->result.error = result;
    attempt->call->result.log_ms = log_ms;
    if (reply) {
        struct buf *buf = buf_new(strlen(reply));
        assert_non_null(buf);
        memcpy(buf->data, reply, strlen(reply));
        buf->size = strlen(reply);
        attempt->call->result.reply = buf;
    }
    node_end(node, attempt, 0, 77);
}

static void node_set_up(struct node *node) {
    const struct client_env env = {.context = node, .propose = node_propose};
    *node = (struct node){.now_ms = BEGIN_MS};
    client_init(&node->client, &env, &limits, 3000, 1);
    node_turn(node);
}

static void node_open(struct node *node) {
    node_set_up(node);
    node_apply(node, node_next(node, COMMAND_REGISTER), 0, 100, NULL);
    assert_int_equal(node->client.state, CLIENT_OPEN);
}

static void node_ask(struct node *node, struct end *end) {
    *end = (struct end){0};
    assert_int_equal(client_propose(&node->client, node->now_ms, "x", 1, node_done, end), 0);
    node_turn(node);
}

static void node_close(struct node *node) {
    client_free(&node->client);
}

/* ---- Numbers ----------------------------------------------------------------------------------------------- */

static void commands_wait_until_the_session_is_registered(void **state) {
    (void)state;
    struct node node;
    struct end end;
    node_set_up(&node);
    node_ask(&node, &end);
    struct attempt *attempt = node_next(&node, COMMAND_REGISTER);
    assert_int_equal(attempt->head.limits.timeout_ms, limits.timeout_ms);
    assert_int_equal(attempt->head.stamp_ms, 0);
    assert_int_equal(node.count, 1);
    node_apply(&node, attempt, 0, 100, NULL);
    attempt = node_next(&node, COMMAND_APPLY);
    assert_int_equal(attempt->head.session, 77);
    assert_int_equal(attempt->head.sequence, 1);
    assert_int_equal(attempt->head.size, 1);
    node_apply(&node, attempt, 0, 100, "yes");
    assert_int_equal(end.count, 1);
    assert_int_equal(end.error, 0);
    assert_string_equal(end.reply, "yes");
    node_close(&node);
}

static void a_registration_is_tried_again_after_growing_pauses(void **state) {
    (void)state;
    struct node node;
    uint64_t pause = 0, least = 10;
    node_set_up(&node);
    for (int i = 0; i < 8; i++, least = least < 640 ? least * 2 : least) {
        uint64_t before = node.now_ms;
        node_end(&node, node_next(&node, COMMAND_REGISTER), i % 2 ? LASH_UNKNOWN : LASH_NO_LEADER, 0);
        assert_int_equal(node.count, node.seen);
        node_wait(&node);
        pause = node.now_ms - before;
        assert_in_range(pause, least, 2 * least);
    }
    node_apply(&node, node_next(&node, COMMAND_REGISTER), 0, 0, NULL);
    assert_int_equal(node.client.state, CLIENT_OPEN);
    node_close(&node);
}

static void an_attempt_that_failed_is_made_again_under_the_same_number(void **state) {
    (void)state;
    static const int errors[] = {LASH_DROPPED, LASH_NO_LEADER, LASH_NOT_LEADER, LASH_BUSY,   LASH_BACKLOG,
                                 LASH_FULL,    LASH_NOMEM,     LASH_UNKNOWN,    LASH_TIMEOUT};
    struct node node;
    struct end end;
    node_open(&node);
    node_ask(&node, &end);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct attempt *attempt = node_next(&node, COMMAND_APPLY);
        assert_int_equal(attempt->head.sequence, 1);
        node.client.own.try_ms = UINT64_MAX; /* its words of its own are another test's */
        attempt->call->deadline_ms = UINT64_MAX;
        node_end(&node, attempt, errors[i], 0);
        assert_int_equal(end.count, 0);
        node_wait(&node);
    }
    node_apply(&node, node_next(&node, COMMAND_APPLY), 0, 100, "once");
    assert_int_equal(end.count, 1);
    assert_int_equal(end.error, 0);
    node_close(&node);
}

static void several_commands_are_under_way_and_the_lowest_is_told(void **state) {
    (void)state;
    struct node node;
    struct end ends[5];
    node_open(&node);
    for (size_t i = 0; i < 4; i++)
        node_ask(&node, &ends[i]);
    assert_int_equal(client_propose(&node.client, node.now_ms, "x", 1, node_done, &ends[4]), LASH_BUSY);
    struct attempt *attempts[4];
    for (size_t i = 0; i < 4; i++) {
        attempts[i] = node_next(&node, COMMAND_APPLY);
        assert_int_equal(attempts[i]->head.sequence, i + 1);
        assert_int_equal(attempts[i]->head.lowest, 1);
    }
    node_apply(&node, attempts[1], 0, 100, "2");
    assert_int_equal(client_propose(&node.client, node.now_ms, "x", 1, node_done, &ends[4]), LASH_BUSY);
    node_apply(&node, attempts[0], 0, 100, "1");
    node_ask(&node, &ends[4]);
    struct attempt *attempt = node_next(&node, COMMAND_APPLY);
    assert_int_equal(attempt->head.sequence, 5);
    assert_int_equal(attempt->head.lowest, 3);
    node_apply(&node, attempts[2], 0, 100, "3");
    node_apply(&node, attempts[3], 0, 100, "4");
    node_apply(&node, attempt, 0, 100, "5");
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ends[i].count, 1);
    node_wait(&node);
    assert_int_equal(node_next(&node, COMMAND_KEEP_ALIVE)->head.lowest, 6);
    node_apply(&node, &node.attempts[node.seen - 1], 0, 100, NULL);
    node_close(&node);
}

static void a_command_beyond_the_tables_window_is_tried_again(void **state) {
    (void)state;
    struct node node;
    struct end end;
    node_open(&node);
    node_ask(&node, &end);
    node_apply(&node, node_next(&node, COMMAND_APPLY), LASH_BUSY, 100, NULL);
    assert_int_equal(end.count, 0);
    node_wait(&node);
    node_apply(&node, node_next(&node, COMMAND_APPLY), 0, 100, "now");
    assert_int_equal(end.error, 0);
    node_close(&node);
}

/* ---- What is told at the end ------------------------------------------------------------------------------------ */

/* A command whose attempts end with these errors, until it is too old; what is told. */
static int told_after(const int *errors, size_t count) {
    struct node node;
    struct end end;
    node_open(&node);
    node_ask(&node, &end);
    for (size_t i = 0; i < count; i++) {
        struct attempt *attempt = node_next(&node, COMMAND_APPLY);
        node.client.own.try_ms = UINT64_MAX;
        if (i == count - 1)
            node.now_ms = BEGIN_MS + 3000;
        node_end(&node, attempt, errors[i], 0);
        if (i < count - 1)
            node_wait(&node);
    }
    assert_int_equal(end.count, 1);
    assert_int_equal(node.count, node.seen);
    node_close(&node);
    return end.error;
}

static void only_what_is_certain_is_told_for_certain(void **state) {
    (void)state;
    assert_int_equal(told_after((const int[]){LASH_DROPPED}, 1), LASH_DROPPED);
    assert_int_equal(told_after((const int[]){LASH_DROPPED, LASH_NO_LEADER}, 2), LASH_NO_LEADER);
    assert_int_equal(told_after((const int[]){LASH_TIMEOUT}, 1), LASH_UNKNOWN);
    assert_int_equal(told_after((const int[]){LASH_UNKNOWN, LASH_DROPPED, LASH_FULL}, 3), LASH_UNKNOWN);
    assert_int_equal(told_after((const int[]){LASH_TOO_LARGE}, 1), LASH_TOO_LARGE);
    assert_int_equal(told_after((const int[]){LASH_CLOSED}, 1), LASH_CLOSED);
    assert_int_equal(told_after((const int[]){LASH_CORRUPT}, 1), LASH_CORRUPT);
    assert_int_equal(told_after((const int[]){LASH_TIMEOUT, LASH_TOO_LARGE}, 2), LASH_UNKNOWN);
}

static void a_command_that_was_never_tried_in_its_time_is_told_so(void **state) {
    (void)state;
    struct node node;
    struct end end;
    node_set_up(&node);
    node_ask(&node, &end);
    node.now_ms = BEGIN_MS + 2999;
    node_turn(&node);
    assert_int_equal(end.count, 0);
    assert_int_equal(node.next_ms, BEGIN_MS + 3000);
    node_wait(&node);
    assert_int_equal(end.count, 1);
    assert_int_equal(end.error, LASH_NO_LEADER);
    node_apply(&node, node_next(&node, COMMAND_REGISTER), 0, 0, NULL);
    node_close(&node);
}

static void one_that_was_given_up_is_not_waited_for(void **state) {
    (void)state;
    struct node node;
    struct end end;
    node_open(&node);
    node_ask(&node, &end);
    node.client.own.try_ms = UINT64_MAX;
    node.now_ms += 4000;
    node_end(&node, node_next(&node, COMMAND_APPLY), LASH_TIMEOUT, 0);
    assert_int_equal(end.error, LASH_UNKNOWN);
    node_ask(&node, &end);
    struct attempt *attempt = node_next(&node, COMMAND_APPLY);
    assert_int_equal(attempt->head.sequence, 2);
    assert_int_equal(attempt->head.lowest, 2);
    node_apply(&node, attempt, 0, 100, "2");
    node_close(&node);
}

static void when_the_session_is_over_everything_ends(void **state) {
    (void)state;
    struct node node;
    struct end ends[4];
    node_open(&node);
    for (size_t i = 0; i < 4; i++)
        node_ask(&node, &ends[i]);
    struct attempt *attempts[4];
    for (size_t i = 0; i < 4; i++)
        attempts[i] = node_next(&node, COMMAND_APPLY);
    node_end(&node, attempts[0], LASH_TIMEOUT, 0);
    node_end(&node, attempts[1], LASH_DROPPED, 0);
    node_apply(&node, attempts[2], LASH_EXPIRED, 100, NULL);
    assert_int_equal(ends[0].error, LASH_UNKNOWN);
    assert_int_equal(ends[1].error, LASH_EXPIRED);
    assert_int_equal(ends[2].error, LASH_EXPIRED);
    assert_int_equal(ends[3].count, 0);
    node_apply(&node, attempts[3], 0, 100, "in time");
    assert_int_equal(ends[3].error, 0);
    assert_int_equal(client_propose(&node.client, node.now_ms, "x", 1, node_done, &ends[0]), LASH_EXPIRED);
    assert_true(node.next_ms == UINT64_MAX);
    node_close(&node);
}

static void when_a_word_finds_the_session_over_everything_ends(void **state) {
    (void)state;
    struct node node;
    struct end end;
    node_open(&node);
    node_wait(&node);
    struct attempt *word = node_next(&node, COMMAND_KEEP_ALIVE);
    node_ask(&node, &end);
    node_end(&node, node_next(&node, COMMAND_APPLY), LASH_NO_LEADER, 0);
    node_apply(&node, word, LASH_EXPIRED, 100, NULL);
    assert_int_equal(end.count, 1);
    assert_int_equal(end.error, LASH_EXPIRED);
    node_close(&node);
}

static void when_the_node_closes_everything_ends(void **state) {
    (void)state;
    struct node node;
    struct end ends[2];
    node_open(&node);
    node_ask(&node, &ends[0]);
    node_end(&node, node_next(&node, COMMAND_APPLY), LASH_DROPPED, 0);
    node.refuse_with = LASH_CLOSED;
    node_ask(&node, &ends[1]);
    assert_int_equal(ends[0].error, LASH_CLOSED);
    assert_int_equal(ends[1].error, LASH_CLOSED);
    assert_int_equal(client_propose(&node.client, node.now_ms, "x", 1, node_done, &ends[0]), LASH_CLOSED);
    assert_true(node.next_ms == UINT64_MAX);
    client_close(&node.client);
    node_turn(&node);
    assert_int_equal(node.client.state, CLIENT_CLOSED);
    node_close(&node);
}

/* ---- Time ------------------------------------------------------------------------------------------------------ */

static void a_silent_session_says_a_word_four_times_in_each_timeout(void **state) {
    (void)state;
    struct node node;
    node_open(&node);
    for (int i = 1; i <= 5; i++) {
        node_wait(&node);
        assert_int_equal(node.now_ms, BEGIN_MS + 250 * i);
        node_apply(&node, node_next(&node, COMMAND_KEEP_ALIVE), 0, 100 + 250 * i, NULL);
    }
    node_close(&node);
}

static void a_command_is_a_word_too(void **state) {
    (void)state;
    struct node node;
    struct end end;
    node_open(&node);
    node.now_ms += 200;
    node_ask(&node, &end);
    node_apply(&node, node_next(&node, COMMAND_APPLY), 0, 300, "x");
    assert_int_equal(node.next_ms, node.now_ms + 250);
    node_close(&node);
}

static void a_word_that_got_lost_is_said_again_soon(void **state) {
    (void)state;
    struct node node;
    node_open(&node);
    node_wait(&node);
    node_end(&node, node_next(&node, COMMAND_KEEP_ALIVE), LASH_TIMEOUT, 0);
    assert_true(node.next_ms <= node.now_ms + 20);
    node_wait(&node);
    node_apply(&node, node_next(&node, COMMAND_KEEP_ALIVE), 0, 350, NULL);
    assert_int_equal(node.next_ms, node.now_ms + 250);
    node_close(&node);
}

/* The machine's clock shows 5,000,000 where the log's shows 100: only what passes counts. */
static void stamps_are_the_logs_time_and_what_has_passed_since(void **state) {
    (void)state;
    struct node node;
    struct end end;
    node_open(&node);
    node.now_ms += 30;
    node_ask(&node, &end);
    struct attempt *attempt = node_next(&node, COMMAND_APPLY);
    assert_int_equal(attempt->head.stamp_ms, 130);
    node.now_ms += 10;
    /* others have brought it further */
    node_apply(&node, attempt, 0, 500, "x");
    node.now_ms += 5;
    node_ask(&node, &end);
    attempt = node_next(&node, COMMAND_APPLY);
    assert_int_equal(attempt->head.stamp_ms, 505);
    /* what is said of an earlier moment does not set it back */
    node_apply(&node, attempt, 0, 501, "x");
    node_ask(&node, &end);
    attempt = node_next(&node, COMMAND_APPLY);
    assert_int_equal(attempt->head.stamp_ms, 505);
    node_apply(&node, attempt, 0, 505, "x");
    node_close(&node);
}

/* ---- Closing ------------------------------------------------------------------------------------------------------ */

static void closing_waits_for_what_is_under_way_and_tells_the_log(void **state) {
    (void)state;
    struct node node;
    struct end ends[3];
    node_open(&node);
    for (size_t i = 0; i < 3; i++)
        node_ask(&node, &ends[i]);
    struct attempt *attempts[3];
    for (size_t i = 0; i < 3; i++)
        attempts[i] = node_next(&node, COMMAND_APPLY);
    node_end(&node, attempts[0], LASH_TIMEOUT, 0);
    client_close(&node.client);
    node_turn(&node);
    assert_int_equal(ends[0].error, LASH_CLOSED);
    assert_int_equal(client_propose(&node.client, node.now_ms, "x", 1, node_done, &ends[0]), LASH_CLOSED);
    node_apply(&node, attempts[1], 0, 100, "x");
    assert_int_equal(ends[1].error, 0);
    node_end(&node, attempts[2], LASH_DROPPED, 0);
    assert_int_equal(ends[2].error, LASH_CLOSED);
    assert_int_equal(node.client.state, CLIENT_OPEN);
    struct attempt *attempt = node_next(&node, COMMAND_CLOSE);
    assert_int_equal(attempt->head.session, 77);
    node_end(&node, attempt, LASH_TIMEOUT, 0);
    assert_int_equal(node.client.state, CLIENT_CLOSED);
    assert_int_equal(node.count, node.seen);
    node_close(&node);
}

static void closing_before_the_registration_has_ended_undoes_it(void **state) {
    (void)state;
    struct node node;
    node_set_up(&node);
    struct attempt *attempt = node_next(&node, COMMAND_REGISTER);
    client_close(&node.client);
    node_turn(&node);
    assert_int_equal(node.client.state, CLIENT_OPENING);
    node_apply(&node, attempt, 0, 100, NULL);
    node_apply(&node, node_next(&node, COMMAND_CLOSE), 0, 100, NULL);
    assert_int_equal(node.client.state, CLIENT_CLOSED);
    node_close(&node);
    node_set_up(&node);
    attempt = node_next(&node, COMMAND_REGISTER);
    client_close(&node.client);
    node_end(&node, attempt, LASH_DROPPED, 0);
    assert_int_equal(node.client.state, CLIENT_CLOSED);
    node_close(&node);
}

static void a_command_without_memory_is_refused(void **state) {
    (void)state;
    struct node node;
    node_open(&node);
    mem_fail_after(1);
    assert_int_equal(client_propose(&node.client, node.now_ms, "x", 1, node_done, NULL), LASH_NOMEM);
    mem_fail_after(0);
    struct end end;
    node_ask(&node, &end);
    assert_int_equal(node_next(&node, COMMAND_APPLY)->head.sequence, 1);
    node_apply(&node, &node.attempts[node.seen - 1], 0, 100, "x");
    node_close(&node);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_wait_until_the_session_is_registered),
        cmocka_unit_test(a_registration_is_tried_again_after_growing_pauses),
        cmocka_unit_test(an_attempt_that_failed_is_made_again_under_the_same_number),
        cmocka_unit_test(several_commands_are_under_way_and_the_lowest_is_told),
        cmocka_unit_test(a_command_beyond_the_tables_window_is_tried_again),
        cmocka_unit_test(only_what_is_certain_is_told_for_certain),
        cmocka_unit_test(a_command_that_was_never_tried_in_its_time_is_told_so),
        cmocka_unit_test(one_that_was_given_up_is_not_waited_for),
        cmocka_unit_test(when_the_session_is_over_everything_ends),
        cmocka_unit_test(when_a_word_finds_the_session_over_everything_ends),
        cmocka_unit_test(when_the_node_closes_everything_ends),
        cmocka_unit_test(a_silent_session_says_a_word_four_times_in_each_timeout),
        cmocka_unit_test(a_command_is_a_word_too),
        cmocka_unit_test(a_word_that_got_lost_is_said_again_soon),
        cmocka_unit_test(stamps_are_the_logs_time_and_what_has_passed_since),
        cmocka_unit_test(closing_waits_for_what_is_under_way_and_tells_the_log),
        cmocka_unit_test(closing_before_the_registration_has_ended_undoes_it),
        cmocka_unit_test(a_command_without_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
