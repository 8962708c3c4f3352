/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table with chains. Sequences are consecutive numbers, so that their
 * low bits spread them evenly.
 */
#include "node/waiting.h"

#include "base/assert.h"
#include "base/buf.h"

enum { WAITING_BUCKETS_MIN = 256 };

static struct request **waiting_bucket(const struct waiting *waiting, uint64_t sequence) {
    return &waiting->buckets[sequence & (waiting->bucket_count - 1)];
}

int waiting_init(struct waiting *waiting) {
    waiting->count = 0;
    waiting->bucket_count = WAITING_BUCKETS_MIN;
    waiting->buckets = mem_calloc(waiting->bucket_count, sizeof(struct request *));
    return waiting->buckets ? 0 : LASH_NOMEM;
}

void waiting_free(struct waiting *waiting) {
    LASH_ASSERT(waiting->count == 0);
    mem_free(waiting->buckets);
    waiting->buckets = NULL;
}

static void waiting_put(struct waiting *waiting, struct request *request) {
    struct request **bucket = waiting_bucket(waiting, request->sequence);
    request->next = *bucket;
    *bucket = request;
}

static void waiting_grow(struct waiting *waiting) {
    struct waiting old = *waiting;
    struct request **buckets = mem_calloc(old.bucket_count * 2, sizeof(struct request *));
    if (!buckets)
        return;
    waiting->buckets = buckets;
    waiting->bucket_count = old.bucket_count * 2;
    for (size_t i = 0; i < old.bucket_count; i++) {
        struct request *request = old.buckets[i];
        while (request) {
            struct request *next = request->next;
            waiting_put(waiting, request);
            request = next;
        }
    }
    mem_free(old.buckets);
}

void waiting_add(struct waiting *waiting, struct request *request) {
    if (waiting->count >= waiting->bucket_count)
        waiting_grow(waiting);
    waiting_put(waiting, request);
    waiting->count++;
}

struct request *waiting_take(struct waiting *waiting, uint64_t sequence) {
    struct request **at = waiting_bucket(waiting, sequence);
    while (*at && (*at)->sequence != sequence)
        at = &(*at)->next;
    struct request *request = *at;
    if (request) {
        *at = request->next;
        request->next = NULL;
        waiting->count--;
    }
    return request;
}

_Static_assert((WAITING_BUCKETS_MIN & (WAITING_BUCKETS_MIN - 1)) == 0, "buckets are found by masking");
