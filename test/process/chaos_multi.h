/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations of the load generator on several keys at once: transactions, one within
 * another, deletions and ranges, also of the past. Their keys are "multi/0" to "multi/5", which
 * else are only put.
 */
#ifndef LASH_TEST_PROCESS_CHAOS_MULTI_H
#define LASH_TEST_PROCESS_CHAOS_MULTI_H

#include "chaos_client.h"

struct chaos_multi {
    enum history_outcome outcome;
    bool sent; /* whether a server may have seen it */
    uint64_t start, end;
    char *text; /* request and answer as fields of the history's line (docs/history-format.md); NULL: memory ran out */
};

/* A key of these, by chance. */
void chaos_multi_key(uint64_t *seed, char key[CHAOS_TEXT_BYTES]);

/* Do one that is chosen by chance, until `deadline`. Values to write begin with `value`. */
void chaos_multi_do(struct chaos_client *client, struct chaos_multi *multi, uint64_t *seed, const char *value,
                    uint64_t deadline);
void chaos_multi_free(struct chaos_multi *multi);

#endif
