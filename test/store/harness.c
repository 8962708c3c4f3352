/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's tests' common ground.
 */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

const struct store_bytes everything_key = {.data = (const uint8_t *)"\0", .size = 1};
const struct store_bytes everything_end = {.data = (const uint8_t *)"\0", .size = 1};

void harness_make(struct harness *harness) {
    const char *base = getenv("TMPDIR");
    *harness = (struct harness){.next = 1};
    snprintf(harness->dir, sizeof harness->dir, "%.40s/lash-store-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(harness->dir));
}

void harness_remove(struct harness *harness) {
    DIR *dir = opendir(harness->dir);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    assert_int_equal(rmdir(harness->dir), 0);
}

int harness_try_open(struct harness *harness) {
    struct store_options options = {.dir = harness->dir, .map_bytes = UINT64_C(4) << 30};
    int rc = store_open(&options, &harness->store, &harness->applied);
    if (rc == 0)
        harness->next = harness->applied + 1;
    return rc;
}

void harness_open(struct harness *harness) {
    assert_int_equal(harness_try_open(harness), LASH_OK);
}

void harness_close(struct harness *harness) {
    store_result_free(&harness->got);
    store_close(harness->store);
    harness->store = NULL;
}

int harness_setup(void **state) {
    struct harness *harness = malloc(sizeof *harness);
    assert_non_null(harness);
    harness_make(harness);
    harness_open(harness);
    *state = harness;
    return 0;
}

int harness_teardown(void **state) {
    struct harness *harness = *state;
    audit(harness);
    harness_close(harness);
    harness_remove(harness);
    free(harness);
    return 0;
}

enum store_error harness_apply(struct harness *harness, struct store_op op) {
    struct lash_command command = {.index = harness->next, .term = 1, .request = &harness->got};
    uint8_t *encoded;
    assert_int_equal(store_encode(&op, &encoded, &command.size), LASH_OK);
    command.data = encoded;
    struct lash_state_machine machine = store_machine(harness->store);
    assert_int_equal(machine.apply(machine.context, &command, 1, command.index), LASH_OK);
    mem_free(encoded);
    harness->next++;
    return harness->got.error;
}

enum store_error harness_read(struct harness *harness, struct store_op op) {
    store_read(harness->store, &op, &harness->got);
    return harness->got.error;
}

void harness_write_file(struct harness *harness, const char *name, const char *content) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", harness->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void harness_read_file(struct harness *harness, const char *name, char *content, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", harness->dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    content[fread(content, 1, size - 1, file)] = 0;
    fclose(file);
}

struct store_bytes text(const char *string) {
    return bytes(string, strlen(string));
}

struct store_bytes bytes(const void *data, size_t size) {
    return (struct store_bytes){.data = data, .size = size};
}

struct store_op put(const char *key, const char *value) {
    return (struct store_op){.type = STORE_PUT, .put = {.key = text(key), .value = text(value)}};
}

struct store_op del(const char *key, const char *range_end) {
    return (struct store_op){.type = STORE_DELETE, .delete_range = {.key = text(key), .range_end = text(range_end)}};
}

struct store_op get(const char *key, const char *range_end) {
    return (struct store_op){.type = STORE_RANGE, .range = {.key = text(key), .range_end = text(range_end)}};
}

struct store_op get_all(void) {
    return (struct store_op){.type = STORE_RANGE, .range = {.key = everything_key, .range_end = everything_end}};
}

struct store_op compact(int64_t revision) {
    return (struct store_op){.type = STORE_COMPACT, .compaction = {.revision = revision}};
}

struct store_op compact_physical(int64_t revision) {
    return (struct store_op){.type = STORE_COMPACT, .compaction = {.revision = revision, .physical = true}};
}

struct store_op txn(const struct store_compare *compares, size_t compare_count, const struct store_op *success,
                    size_t success_count, const struct store_op *failure, size_t failure_count) {
    return (struct store_op){.type = STORE_TXN,
                             .txn = {.compares = compares,
                                     .compare_count = compare_count,
                                     .success = success,
                                     .success_count = success_count,
                                     .failure = failure,
                                     .failure_count = failure_count}};
}

void assert_kv(const struct store_kv *kv, const char *key, const char *value, int64_t create, int64_t mod,
               int64_t version) {
    assert_non_null(kv);
    assert_bytes(kv->key, text(key));
    assert_bytes(kv->value, text(value));
    assert_int_equal(kv->create_revision, create);
    assert_int_equal(kv->mod_revision, mod);
    assert_int_equal(kv->version, version);
    assert_int_equal(kv->lease, 0);
}
