/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation, which tests can make fail at its n-th call, with a cache of small
 * blocks in front of the C library's.
 *
 * Each thread keeps freed blocks of a size for its next allocations, and exchanges
 * them in chains with all other threads, for many blocks are made on one thread and
 * freed on another. The C library's own caches hold few blocks of a size, and a turn
 * of a server's loop frees and makes hundreds.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"

/* Sanitizers find what is used after it was freed only while nobody uses it again. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEM_CACHED false
#elif defined(__has_feature)
#define MEM_CACHED (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define MEM_CACHED true
#endif

enum {
    MEM_STEP = 64,    /* between the sizes of blocks */
    MEM_HEAD = 8,     /* what the C library takes of a step for itself */
    MEM_CLASSES = 32, /* blocks of up to 2 KiB are kept */
    MEM_CHAIN_BYTES = 16 * 1024,
    MEM_CHAINS_MAX = 16, /* of one size, kept for all threads */
};

/* A free block. */
struct mem_block {
    struct mem_block *next;
    struct mem_block *next_chain; /* of the first block of a chain that is kept for all threads */
};
_Static_assert(sizeof(struct mem_block) <= MEM_STEP - MEM_HEAD, "the smallest block has room for it");

/* A thread's blocks of one size. */
struct mem_class {
    struct mem_block *ready; /* the next to be given out, less than a chain */
    size_t ready_count;
    struct mem_block *spare; /* a whole chain, or none */
};

struct mem_cache {
    struct mem_class classes[MEM_CLASSES];
};

/* Whole chains of one size, for all threads. */
struct mem_depot {
    struct mem_block *chains;
    size_t count;
};

static _Thread_local struct mem_cache *mem_cache;
static _Thread_local bool mem_uncached; /* the thread is about to end, or there is no memory for a cache */
static pthread_once_t mem_once = PTHREAD_ONCE_INIT;
static pthread_key_t mem_key; /* tells the end of a thread */
static bool mem_keyed;
static pthread_mutex_t mem_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the depots */
static struct mem_depot mem_depots[MEM_CLASSES];

/* Allocations left until one fails; 0: none will. */
static _Atomic uint64_t mem_countdown;

void mem_fail_after(uint64_t n) {
    atomic_store_explicit(&mem_countdown, n, memory_order_relaxed);
}

/* Several threads may count down at once; exactly one of them sees the last step. */
static bool mem_fails(void) {
    uint64_t left = atomic_load_explicit(&mem_countdown, memory_order_relaxed);
    while (__builtin_expect(left != 0, 0)) {
        if (atomic_compare_exchange_weak_explicit(&mem_countdown, &left, left - 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return left == 1;
    }
    return false;
}

/* ---- Chains -------------------------------------------------------------------------------------- */

static size_t mem_class_bytes(size_t class) {
    return (class + 1) * MEM_STEP - MEM_HEAD;
}

static size_t mem_chain_count(size_t class) {
    return MEM_CHAIN_BYTES / ((class + 1) * MEM_STEP);
}

static void mem_free_blocks(struct mem_block *block) {
    for (struct mem_block *next; block; block = next) {
        next = block->next;
        free(block);
    }
}

/* A chain of this class from the depot, or NULL. */
static struct mem_block *mem_depot_take(size_t class) {
    struct mem_depot *depot = &mem_depots[class];
    (void)pthread_mutex_lock(&mem_mutex);
    struct mem_block *chain = depot->chains;
    if (chain) {
        depot->chains = chain->next_chain;
        depot->count--;
    }
    (void)pthread_mutex_unlock(&mem_mutex);
    return chain;
}

static void mem_depot_put(size_t class, struct mem_block *chain) {
    struct mem_depot *depot = &mem_depots[class];
    (void)pthread_mutex_lock(&mem_mutex);
    bool room = depot->count < MEM_CHAINS_MAX;
    if (room) {
        chain->next_chain = depot->chains;
        depot->chains = chain;
        depot->count++;
    }
    (void)pthread_mutex_unlock(&mem_mutex);
    if (!room)
        mem_free_blocks(chain);
}

/* ---- A thread's cache ---------------------------------------------------------------------------- */

static void mem_cache_end(void *cache) {
    mem_cache = NULL;
    mem_uncached = true;
    for (size_t i = 0; i < MEM_CLASSES; i++) {
        struct mem_class *class = &((struct mem_cache *)cache)->classes[i];
        mem_free_blocks(class->ready);
        mem_free_blocks(class->spare);
    }
    free(cache);
}

static void mem_key_make(void) {
    mem_keyed = pthread_key_create(&mem_key, mem_cache_end) == 0;
}

/* This thread's cache, made if need be; NULL: it has none. */
static struct mem_cache *mem_cache_get(void) {
    if (mem_cache || mem_uncached || !MEM_CACHED)
        return mem_cache;
    (void)pthread_once(&mem_once, mem_key_make);
    struct mem_cache *made = mem_keyed ? calloc(1, sizeof *made) : NULL;
    mem_uncached = !made || pthread_setspecific(mem_key, made) != 0;
    if (mem_uncached)
        free(made);
    else
        mem_cache = made;
    return mem_cache;
}

bool mem_caches(void) {
    return MEM_CACHED;
}

/* A block that was kept, or NULL. */
static void *mem_cache_take(size_t number) {
    struct mem_cache *cache = mem_cache_get();
    if (!cache)
        return NULL;
    struct mem_class *class = &cache->classes[number];
    if (!class->ready) {
        class->ready = class->spare ? class->spare : mem_depot_take(number);
        class->spare = NULL;
        if (!class->ready)
            return NULL;
        class->ready_count = mem_chain_count(number);
    }
    struct mem_block *block = class->ready;
    class->ready = block->next;
    class->ready_count--;
    return block;
}

/* Keep a block. False: the thread has no cache. */
static bool mem_cache_put(size_t number, struct mem_block *block) {
    struct mem_cache *cache = mem_cache_get();
    if (!cache)
        return false;
    struct mem_class *class = &cache->classes[number];
    block->next = class->ready;
    class->ready = block;
    if (++class->ready_count < mem_chain_count(number))
        return true;
    if (class->spare)
        mem_depot_put(number, class->spare);
    class->spare = class->ready;
    class->ready = NULL;
    class->ready_count = 0;
    return true;
}

/* ---- Allocation ---------------------------------------------------------------------------------- */

/* The class whose blocks have room for `size` bytes; MEM_CLASSES: they are too many to be kept. */
static size_t mem_class_for(size_t size) {
    return size > mem_class_bytes(MEM_CLASSES - 1) ? MEM_CLASSES : (size + MEM_HEAD - (size > 0)) / MEM_STEP;
}

/* Size 0 gives a block too, so that NULL always means that memory ran out. */
static size_t mem_rounded(size_t size) {
    size_t class = mem_class_for(size);
    return class < MEM_CLASSES ? mem_class_bytes(class) : size;
}

void *mem_alloc(size_t size) {
    if (mem_fails())
        return NULL;
    size_t class = mem_class_for(size);
    void *kept = class < MEM_CLASSES ? mem_cache_take(class) : NULL;
    return kept ? kept : malloc(mem_rounded(size));
}

void *mem_calloc(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size)
        return NULL;
    size_t bytes = count * size;
    if (bytes > mem_class_bytes(MEM_CLASSES - 1))
        return mem_fails() ? NULL : calloc(count, size);
    void *memory = mem_alloc(bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void *mem_realloc(void *old, size_t size) {
    return mem_fails() ? NULL : realloc(old, mem_rounded(size));
}

void mem_free(void *memory) {
    if (!memory)
        return;
    /* A block is kept for the largest class that it has room for, wherever it is from. */
    size_t steps = (malloc_usable_size(memory) + MEM_HEAD) / MEM_STEP;
    if (steps == 0 || steps > MEM_CLASSES || !mem_cache_put(steps - 1, memory))
        free(memory);
}

char *mem_strdup(const char *string) {
    LASH_ASSERT(string);
    size_t size = strlen(string) + 1;
    char *copy = mem_alloc(size);
    if (copy)
        memcpy(copy, string, size);
    return copy;
}
