/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's ring on a real file: what it writes is asked to be durable and wakes the
 * loop; what it does not take ends at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lash/log.h"
#include "node/ring.h"

enum { SIZE = 4096 };

static int refusal;         /* what the kernel answers instead of taking anything, if not 0 */
static unsigned last_flags; /* of the write that was handed to it last */

/* In front of the library's. */
int io_uring_submit(struct io_uring *ring) {
    int (*submit)(struct io_uring *) = NULL;
    *(void **)&submit = dlsym(RTLD_NEXT, "io_uring_submit");
    last_flags = (unsigned)ring->sq.sqes[0].rw_flags;
    return refusal ? refusal : submit(ring);
}

struct fixture {
    uv_loop_t loop;
    uv_check_t check;
    struct ring ring;
    struct log_write write;
    struct job job;
    char path[64];
    int ends;
};

static void ended(struct job *job) {
    struct fixture *fixture = list_entry(job, struct fixture, job);
    fixture->ends++;
}

/* As a node's loop does: what has ended is looked at in each round. */
static void each_round(uv_check_t *check) {
    struct fixture *fixture = check->data;
    ring_finish(&fixture->ring);
    if (fixture->ends)
        uv_stop(&fixture->loop);
}

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    refusal = 0;
    snprintf(fixture->path, sizeof fixture->path, "/var/tmp/lash-ring-XXXXXX");
    fixture->write.file = mkstemp(fixture->path);
    fixture->job.done = ended;
    uv_loop_init(&fixture->loop);
    uv_check_init(&fixture->loop, &fixture->check);
    fixture->check.data = fixture;
    uv_check_start(&fixture->check, each_round);
    *state = fixture;
    return fixture->write.file < 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    ring_detach(&fixture->ring);
    uv_close((uv_handle_t *)&fixture->check, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    int busy = uv_loop_close(&fixture->loop);
    ring_close(&fixture->ring);
    close(fixture->write.file);
    unlink(fixture->path);
    free(fixture);
    return busy;
}

static void swallow(void *context, enum lash_log_level level, const char *line) {
    bool *said = context;
    (void)level;
    *said |= strstr(line, "no io_uring") != NULL;
}

/* Where the kernel has no ring for us, that is said, and nothing else is wrong: the machine then has no more of it to test. */
static bool opened(struct fixture *fixture) {
    bool said = false;
    lash_set_log(swallow, &said, LASH_LOG_INFO);
    bool open = ring_open(&fixture->ring);
    lash_set_log(NULL, NULL, LASH_LOG_INFO);
    assert_int_equal(said, !open);
    if (open)
        assert_int_equal(ring_attach(&fixture->ring, &fixture->loop), 0);
    return open;
}

static void a_write_is_made_durable_and_wakes_the_loop(void **state) {
    struct fixture *fixture = *state;
    uint8_t *data = aligned_alloc(SIZE, SIZE);
    if (opened(fixture)) {
        for (int i = 1; i <= 3; i++) {
            memset(data, i, SIZE);
            fixture->write.data = data;
            fixture->write.size = SIZE;
            fixture->write.offset = (uint64_t)SIZE * i;
            fixture->ends = 0;
            ring_write(&fixture->ring, &fixture->write, &fixture->job);
            assert_true(last_flags & RWF_DSYNC);
            assert_int_equal(fixture->ends, 0);
            uv_run(&fixture->loop, UV_RUN_DEFAULT);
            assert_int_equal(fixture->ends, 1);
            assert_int_equal(fixture->write.result, SIZE);
            uint8_t found[SIZE];
            assert_int_equal(pread(fixture->write.file, found, SIZE, (off_t)SIZE * i), SIZE);
            assert_memory_equal(found, data, SIZE);
        }
    }
    free(data);
}

static void an_error_is_the_writes_result(void **state) {
    struct fixture *fixture = *state;
    static uint8_t data[SIZE];
    if (!opened(fixture))
        return;
    int file = open("/dev/full", O_WRONLY);
    struct log_write write = {.file = file, .data = data, .size = SIZE};
    ring_write(&fixture->ring, &write, &fixture->job);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(write.result, -ENOSPC);
    close(file);
}

static void what_the_kernel_does_not_take_ends_at_once(void **state) {
    struct fixture *fixture = *state;
    static uint8_t data[SIZE];
    if (!opened(fixture))
        return;
    fixture->write.data = data;
    fixture->write.size = SIZE;
    refusal = -EBUSY;
    ring_write(&fixture->ring, &fixture->write, &fixture->job);
    assert_true(ring_refused(&fixture->ring));
    assert_int_equal(fixture->ends, 0); /* it is for the next turn */
    ring_finish(&fixture->ring);
    assert_int_equal(fixture->ends, 1);
    assert_int_equal(fixture->write.result, -EAGAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_is_made_durable_and_wakes_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_is_the_writes_result, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_kernel_does_not_take_ends_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
