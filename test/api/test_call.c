/* SPDX-License-Identifier: Apache-2.0
 *
 * A call that two threads could end: a worker that has found its answer, and the
 * loop, at the call's deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>

#include "api/call.h"
#include "rpc.pb-c.h"

struct world {
    struct loop loop;
    struct server_options options;
    sem_t worked;
    enum api_error found; /* what the worker comes to; API_OK: an answer */
    unsigned finished;    /* calls */
    unsigned resumed;
};

static struct world world;

static void finished(struct call *call) {
    (void)call;
    world.finished++;
}

/* On the worker. */
static void execute(struct call *call) {
    Etcdserverpb__PutResponse answer = ETCDSERVERPB__PUT_RESPONSE__INIT;
    if (world.found)
        call_record(call, world.found);
    else
        call_encode(call, &answer.base);
    sem_post(&world.worked);
}

static void resume(struct call *call, int error) {
    assert_int_equal(error, 0);
    world.resumed++;
    call_finish(call);
}

/* A call that a worker is through with, of which the loop has yet to hear. */
static struct call *worked_call(enum api_error found) {
    struct call *call = call_new(&world.loop, finished, NULL, 0);
    assert_non_null(call);
    world.found = found;
    call_offload(call, execute, resume);
    while (sem_wait(&world.worked))
        continue;
    return call;
}

static void run_until_idle(void) {
    while (uv_run(&world.loop.uv, UV_RUN_DEFAULT))
        continue;
}

static int setup(void **state) {
    (void)state;
    world = (struct world){.options = {.buffered_max = 1 << 20}};
    sem_init(&world.worked, 0, 0);
    if (loop_open(&world.loop, &world.options))
        return -1;
    uv_unref((uv_handle_t *)&world.loop.wake); /* nobody else wakes it: it is idle once the calls are through */
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loop_close(&world.loop);
    sem_destroy(&world.worked);
    return 0;
}

/* ---- Scenarios --------------------------------------------------------------------------------- */

static void what_a_worker_found_becomes_the_outcome(void **state) {
    (void)state;
    struct call *good = worked_call(API_OK);
    run_until_idle();
    assert_int_equal(good->code, GRPC_OK);
    assert_non_null(good->answer);
    assert_true(world.loop.buffered > 0);
    call_unref(good);
    struct call *bad = worked_call(API_COMPACTED);
    run_until_idle();
    assert_int_equal(bad->code, GRPC_OUT_OF_RANGE);
    assert_null(bad->answer);
    call_unref(bad);
    assert_int_equal(world.finished, 2);
    assert_int_equal(world.resumed, 2);
    assert_int_equal(world.loop.buffered, 0);
}

static void a_deadline_that_passes_before_the_loop_hears_of_the_answer_counts(void **state) {
    (void)state;
    const enum api_error found[] = {API_OK, API_COMPACTED};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        struct call *call = worked_call(found[i]);
        call_deadline(call, uv_now(&world.loop.uv));
        run_until_idle();
        assert_int_equal(call->code, GRPC_DEADLINE_EXCEEDED);
        assert_string_equal(call->text, errors_text(API_DEADLINE_EXCEEDED));
        assert_null(call->answer);
        call_unref(call);
        assert_int_equal(world.finished, i + 1);
        assert_int_equal(world.resumed, 0);
        assert_int_equal(world.loop.buffered, 0);
    }
}

static void a_call_given_up_while_a_worker_has_it_leaves_nothing_behind(void **state) {
    (void)state;
    struct call *call = worked_call(API_OK);
    call_abandon(call);
    run_until_idle();
    assert_int_equal(world.finished, 0);
    assert_int_equal(world.resumed, 0);
    assert_int_equal(world.loop.buffered, 0);
}

#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENARIO(what_a_worker_found_becomes_the_outcome),
        SCENARIO(a_deadline_that_passes_before_the_loop_hears_of_the_answer_counts),
        SCENARIO(a_call_given_up_while_a_worker_has_it_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
