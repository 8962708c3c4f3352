/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in a directory of its own, and short ways to ask it for things.
 */
#ifndef LASH_TEST_STORE_HARNESS_H
#define LASH_TEST_STORE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "store/store.h"

struct harness {
    char dir[64];
    struct store *store;
    lash_index applied;      /* given by the last open */
    lash_index next;         /* of the next command */
    struct store_result got; /* of the last command or read */
};

/* For cmocka: *state becomes a harness with an open, empty store; teardown closes it and removes the directory. */
int harness_setup(void **state);
int harness_teardown(void **state);

void harness_make(struct harness *harness); /* a directory, and no store in it yet */
void harness_remove(struct harness *harness);
int harness_try_open(struct harness *harness);
void harness_open(struct harness *harness);
void harness_close(struct harness *harness);

/* Encode, decode and apply one request as a batch; the result is in harness->got. Returns the refusal. */
enum store_error harness_apply(struct harness *harness, struct store_op op);

/* Read; the result is in harness->got. */
enum store_error harness_read(struct harness *harness, struct store_op op);

/* Replace a file of the directory by `text`, or read it into `text`. */
void harness_write_file(struct harness *harness, const char *name, const char *content);
void harness_read_file(struct harness *harness, const char *name, char *content, size_t size);

/* Requests. */
struct store_bytes text(const char *string);
struct store_bytes bytes(const void *data, size_t size);
struct store_op put(const char *key, const char *value);
struct store_op del(const char *key, const char *range_end);
struct store_op get(const char *key, const char *range_end);
struct store_op compact(int64_t revision);
struct store_op compact_physical(int64_t revision);

#define TXN_COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A transaction from arrays of compares, of operations if they hold, and if not; each may be NULL with 0. */
struct store_op txn(const struct store_compare *compares, size_t compare_count, const struct store_op *success,
                    size_t success_count, const struct store_op *failure, size_t failure_count);

/* All keys from "\0" on. */
extern const struct store_bytes everything_key;
extern const struct store_bytes everything_end;
struct store_op get_all(void);

#define assert_bytes(actual, expected)                                                                                 \
    do {                                                                                                               \
        struct store_bytes actual_bytes = (actual), expected_bytes = (expected);                                       \
        assert_int_equal(actual_bytes.size, expected_bytes.size);                                                      \
        if (expected_bytes.size)                                                                                       \
            assert_memory_equal(actual_bytes.data, expected_bytes.data, expected_bytes.size);                          \
    } while (0)

/* Check one key of a result, all its fields. */
void assert_kv(const struct store_kv *kv, const char *key, const char *value, int64_t create, int64_t mod,
               int64_t version);

/* Check that the tables agree: each record is reachable once, each link of the index leads somewhere, and so on. */
void audit(struct harness *harness);

/* Records that the store holds. */
size_t audit_records(struct harness *harness);

#endif
