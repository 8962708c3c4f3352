/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads from several threads while batches are applied, and while snapshots are restored:
 * each sees one whole state.
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "images.h"
#include "lash/log.h"

enum { READERS = 3, WRITES = 1500, KEYS = 4 };

struct reading {
    struct store *store;
    atomic_bool stop;
    atomic_uint reads;
    atomic_bool wrong;
};

/* Every write gives all keys the same value in one revision. */
static bool read_once(struct store *store, int64_t *revision) {
    struct store_result result = {0};
    struct store_op op = get("k", "l");
    store_read(store, &op, &result);
    bool sound = result.error == STORE_OK && result.revision >= *revision;
    const struct store_range_result *range = &result.op.range;
    sound = sound && (range->count == KEYS || result.revision == 1);
    for (size_t i = 0; sound && i < range->kv_count; i++)
        sound = range->kvs[i].mod_revision == result.revision && range->kvs[i].value.size == range->kvs[0].value.size &&
                memcmp(range->kvs[i].value.data, range->kvs[0].value.data, range->kvs[0].value.size) == 0;
    *revision = result.revision;
    store_result_free(&result);
    struct store_stats stats;
    store_stats(store, &stats);
    return sound && stats.revision >= *revision;
}

static void *read_on(void *argument) {
    struct reading *reading = argument;
    int64_t revision = 0;
    while (!atomic_load(&reading->stop)) {
        if (!read_once(reading->store, &revision))
            atomic_store(&reading->wrong, true);
        atomic_fetch_add(&reading->reads, 1);
    }
    return NULL;
}

static void readers_see_whole_states_that_never_go_back(void **state) {
    struct harness *harness = *state;
    struct reading reading = {.store = harness->store};
    pthread_t threads[READERS];
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &reading), 0);
    for (int i = 0; i < WRITES || atomic_load(&reading.reads) < 100; i++) {
        char value[32];
        snprintf(value, sizeof value, "%d", i);
        struct store_op ops[] = {put("k1", value), put("k2", value), put("k3", value), put("k4", value)};
        assert_int_equal(harness_apply(harness, txn(NULL, 0, ops, KEYS, NULL, 0)), STORE_OK);
        if (i % 50 == 49)
            assert_int_equal(harness_apply(harness, compact(harness->got.revision)), STORE_OK);
        if (i % 100 == 99) {
            struct image_bytes bytes;
            image_bytes_init(&bytes);
            assert_int_equal(image_save(harness, &bytes), LASH_OK);
            assert_int_equal(image_load(harness, &bytes, harness->next - 1), LASH_OK);
            image_bytes_free(&bytes);
        }
    }
    atomic_store(&reading.stop, true);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(atomic_load(&reading.wrong));
}

int main(void) {
    lash_set_log(NULL, NULL, LASH_LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_see_whole_states_that_never_go_back, harness_setup, harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
