/* SPDX-License-Identifier: Apache-2.0
 *
 * Replicas by number, and their steps, each made once.
 */
#include "check/replica.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "check/core.h"
#include "check/driver.h"
#include "check/hash.h"
#include "check/judge.h"
#include "check/trap.h"

#define REPLICA_CHUNK_WORDS ((uint32_t)1 << 18)
#define REPLICA_CHUNKS_MAX ((uint32_t)1 << 12)
#define REPLICA_VERDICTS_MAX 16

/* An event at a node, and where its step is. */
struct replica_memo {
    uint64_t key;  /* 0: free */
    uint32_t step; /* in words from the first chunk's begin */
    uint32_t reserved;
};

struct replicas {
    struct model_bounds bounds;
    enum model_fault fault;
    const uint8_t *to;
    uint32_t permutations;
    struct cores *cores;
    struct intern *nodes;
    struct intern *messages;
    struct replica_memo *memo;
    uint32_t memo_slots;
    uint64_t memo_count;
    uint32_t *chunks[REPLICA_CHUNKS_MAX];
    uint32_t chunk_count;
    uint32_t words;                                      /* used of the newest chunk */
    struct model_verdict verdicts[REPLICA_VERDICTS_MAX]; /* from 1 on */
    uint32_t verdict_count;
    uint8_t *packed; /* for one node's contents */
    struct driver driver;
};

struct replicas *replicas_new(const struct model_bounds *bounds, enum model_fault fault, const uint8_t *to,
                              uint32_t permutations) {
    struct replicas *replicas = mem_calloc(1, sizeof *replicas);
    if (replicas == NULL)
        return NULL;
    replicas->bounds = *bounds;
    replicas->fault = fault;
    replicas->to = to;
    replicas->permutations = permutations;
    replicas->memo_slots = 4096;
    replicas->cores = cores_new(bounds);
    replicas->nodes = intern_new(permutations);
    replicas->messages = intern_new(permutations);
    replicas->memo = mem_calloc(replicas->memo_slots, sizeof replicas->memo[0]);
    if (replicas->cores != NULL)
        replicas->packed = mem_alloc(sizeof(struct model_node) + cores_packed_max(replicas->cores));
    if (replicas->nodes == NULL || replicas->messages == NULL || replicas->memo == NULL || replicas->packed == NULL) {
        replicas_free(replicas);
        return NULL;
    }
    return replicas;
}

void replicas_free(struct replicas *replicas) {
    if (replicas == NULL)
        return;
    for (uint32_t i = 0; i < replicas->chunk_count; i++)
        mem_free(replicas->chunks[i]);
    cores_free(replicas->cores);
    intern_free(replicas->nodes);
    intern_free(replicas->messages);
    mem_free(replicas->memo);
    mem_free(replicas->packed);
    mem_free(replicas);
}

/* ---- Contents and their hashes ----------------------------------------------------------------- */

model_entry replica_entry_renamed(model_entry entry, const uint8_t *to) {
    if (entry == 0 || MODEL_ENTRY_KIND(entry) == LASH_ENTRY_CONFIGURATION)
        return entry;
    return MODEL_ENTRY(MODEL_ENTRY_TERM(entry), MODEL_ENTRY_KIND(entry), to[MODEL_ENTRY_MAKER(entry)],
                       MODEL_ENTRY_INDEX(entry));
}

static void replica_rename_entries(model_entry *entries, const uint8_t *to) {
    for (uint32_t i = 0; i < MODEL_LOG_MAX; i++)
        entries[i] = replica_entry_renamed(entries[i], to);
}

static const uint8_t *replica_permutation(const struct replicas *replicas, uint32_t k) {
    return &replicas->to[(size_t)k * (MODEL_NODES_MAX + 1)];
}

static uint64_t replica_message_hash(const struct model_message *message, const uint8_t *to) {
    struct model_message renamed;
    memcpy(&renamed, message, sizeof renamed);
    renamed.body.from = to[message->body.from];
    renamed.body.to = to[message->body.to];
    replica_rename_entries(renamed.entries, to);
    return hash_bytes(1, &renamed, sizeof renamed);
}

uint32_t replicas_message_number(struct replicas *replicas, const struct model_message *message) {
    bool fresh = false;
    uint32_t number = intern_add(replicas->messages, message, sizeof *message, &fresh);
    for (uint32_t k = 0; number != 0 && fresh && k < replicas->permutations; k++)
        intern_hashes(replicas->messages, number)[k] = replica_message_hash(message, replica_permutation(replicas, k));
    return number;
}

/* The hash of the driver's part under the k-th permutation. Held messages count as a set, by their own hashes. */
static uint64_t replica_node_hash(struct replicas *replicas, const struct model_node *node, uint32_t k) {
    const uint8_t *to = replica_permutation(replicas, k);
    struct model_node renamed;
    memcpy(&renamed, node, sizeof renamed);
    renamed.id = to[node->id];
    renamed.vote = to[node->vote];
    renamed.leader = to[node->leader];
    renamed.transfer_to = to[node->transfer_to];
    renamed.disk_vote = to[node->disk_vote];
    for (uint32_t slot = 0; slot < replicas->bounds.nodes; slot++) {
        renamed.match[to[slot + 1] - 1] = node->match[slot];
        renamed.next[to[slot + 1] - 1] = node->next[slot];
    }
    replica_rename_entries(renamed.log, to);
    replica_rename_entries(renamed.disk, to);
    for (uint32_t i = 0; i < node->write_count; i++) {
        renamed.writes[i].vote = to[node->writes[i].vote];
        replica_rename_entries(renamed.writes[i].entries, to);
    }
    memset(renamed.held, 0, sizeof renamed.held);
    uint64_t held = 0;
    for (uint32_t i = 0; i < node->held_count; i++)
        held += hash_word(intern_hashes(replicas->messages, node->held[i].message)[k], node->held[i].after);
    return hash_bytes(held, &renamed, sizeof renamed);
}

/* The number of a node that is in replicas->packed, with `size` bytes of its core behind it. */
static uint32_t replica_number(struct replicas *replicas, size_t size) {
    struct model_node node;
    const uint8_t *core = replicas->packed + sizeof node;
    bool fresh = false;
    memcpy(&node, replicas->packed, sizeof node);
    uint32_t number = intern_add(replicas->nodes, replicas->packed, sizeof node + size, &fresh);
    for (uint32_t k = 0; number != 0 && fresh && k < replicas->permutations; k++) {
        uint64_t hash = core_hash(replicas->cores, node.id, core, size, replica_permutation(replicas, k));
        intern_hashes(replicas->nodes, number)[k] = hash_word(hash, replica_node_hash(replicas, &node, k));
    }
    return number;
}

uint32_t replicas_start(struct replicas *replicas, const struct model_node *disk) {
    struct model_node node;
    memcpy(&node, disk, sizeof node);
    memcpy(node.log, node.disk, sizeof node.log);
    node.log_count = node.disk_count;
    struct lash_raft *raft = core_start(replicas->cores, node.id, &node, 0);
    core_show(raft, &node);
    (void)core_show_roster(replicas->cores, raft, &node);
    size_t size = core_pack(replicas->cores, raft, replicas->packed + sizeof node);
    memcpy(replicas->packed, &node, sizeof node);
    return replica_number(replicas, size);
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static bool replica_memo_grow(struct replicas *replicas) {
    uint32_t slots = replicas->memo_slots * 2;
    struct replica_memo *memo = mem_calloc(slots, sizeof memo[0]);
    if (memo == NULL)
        return false;
    for (uint32_t i = 0; i < replicas->memo_slots; i++) {
        if (replicas->memo[i].key == 0)
            continue;
        uint32_t slot = (uint32_t)hash_mix(replicas->memo[i].key) & (slots - 1);
        while (memo[slot].key != 0)
            slot = (slot + 1) & (slots - 1);
        memo[slot] = replicas->memo[i];
    }
    mem_free(replicas->memo);
    replicas->memo = memo;
    replicas->memo_slots = slots;
    return true;
}

/* The slot of `key`, or the free one where it belongs. */
static uint32_t replica_memo_slot(const struct replicas *replicas, uint64_t key) {
    uint32_t slot = (uint32_t)hash_mix(key) & (replicas->memo_slots - 1);
    while (replicas->memo[slot].key != 0 && replicas->memo[slot].key != key)
        slot = (slot + 1) & (replicas->memo_slots - 1);
    return slot;
}

/* Room for a step with so many words behind it; NULL when memory ran out. */
static struct replica_step *replica_step_room(struct replicas *replicas, uint32_t words, uint32_t *at) {
    uint32_t want = (uint32_t)(sizeof(struct replica_step) / sizeof(uint32_t)) + words;
    if (replicas->chunk_count == 0 || replicas->words + want > REPLICA_CHUNK_WORDS) {
        if (replicas->chunk_count == REPLICA_CHUNKS_MAX)
            return NULL;
        uint32_t *chunk = mem_alloc(REPLICA_CHUNK_WORDS * sizeof(uint32_t));
        if (chunk == NULL)
            return NULL;
        replicas->chunks[replicas->chunk_count++] = chunk;
        replicas->words = 0;
    }
    *at = (replicas->chunk_count - 1) * REPLICA_CHUNK_WORDS + replicas->words;
    uint32_t *place = &replicas->chunks[replicas->chunk_count - 1][replicas->words];
    replicas->words += want;
    return (struct replica_step *)place;
}

static const struct replica_step *replica_step_at(const struct replicas *replicas, uint32_t at) {
    return (const struct replica_step *)&replicas->chunks[at / REPLICA_CHUNK_WORDS][at % REPLICA_CHUNK_WORDS];
}

static uint32_t replica_driver_message(void *context, const struct model_message *message) {
    return replicas_message_number(context, message);
}

static void replica_drive(void *context) {
    driver_run(context);
}

/* Run the real core; what came of it is then in replicas->driver. */
static void replica_run(struct replicas *replicas, uint32_t number, uint32_t event) {
    struct driver *driver = &replicas->driver;
    const uint8_t *contents = intern_get(replicas->nodes, number);
    const char *what = NULL;
    memset(driver, 0, sizeof *driver);
    driver->bounds = &replicas->bounds;
    driver->fault = replicas->fault;
    driver->cores = replicas->cores;
    driver->messages = replicas->messages;
    driver->message_number = replica_driver_message;
    driver->context = replicas;
    driver->event = event;
    memcpy(&driver->before, contents, sizeof driver->before);
    if (REPLICA_KIND(event) == REPLICA_DELIVER || REPLICA_KIND(event) == REPLICA_INSTALL)
        driver->delivered = intern_get(replicas->messages, REPLICA_ARGUMENT(event));
    driver->raft = core_unpack(replicas->cores, driver->before.id, contents + sizeof driver->before,
                               intern_size(replicas->nodes, number) - sizeof driver->before);
    if (!trap_run(replica_drive, driver, &what))
        (void)judge_broken(&driver->verdict, "assertion", "n%u: %s", driver->before.id, what);
}

/* The node after the step; 0 when memory ran out. */
static uint32_t replica_after(struct replicas *replicas, uint32_t number) {
    struct driver *driver = &replicas->driver;
    if (driver->verdict.invariant != NULL)
        return number;
    size_t size = core_pack(replicas->cores, driver->raft, replicas->packed + sizeof driver->node);
    memcpy(replicas->packed, &driver->node, sizeof driver->node);
    return replica_number(replicas, size);
}

static const struct replica_step *replica_make(struct replicas *replicas, uint32_t number, uint32_t event,
                                               uint32_t *at) {
    struct driver *driver = &replicas->driver;
    replica_run(replicas, number, event);
    bool broken = driver->verdict.invariant != NULL; /* counts, whatever else the step came up against */
    bool happens = (broken || (driver->possible && !driver->clipped)) && !driver->no_memory;
    uint32_t after = happens ? replica_after(replicas, number) : 0;
    if (driver->no_memory || (happens && after == 0))
        return NULL;
    uint32_t sends = happens ? driver->send_count : 0;
    uint32_t answers = happens ? driver->answer_count : 0;
    struct replica_step *step = replica_step_room(replicas, sends + answers, at);
    if (step == NULL)
        return NULL;
    step->after = after;
    step->clipped = driver->clipped;
    step->sends = (uint8_t)sends;
    step->answers = (uint8_t)answers;
    step->verdict = 0;
    memcpy(step->words, driver->sends, sends * sizeof step->words[0]);
    memcpy(step->words + sends, driver->answers, answers * sizeof step->words[0]);
    if (broken) {
        if (replicas->verdict_count + 1 < REPLICA_VERDICTS_MAX)
            replicas->verdict_count++;
        step->verdict = (uint8_t)replicas->verdict_count;
        replicas->verdicts[step->verdict] = driver->verdict;
    }
    return step;
}

const struct replica_step *replicas_step(struct replicas *replicas, uint32_t number, uint32_t event) {
    uint64_t key = (uint64_t)number << 32 | event;
    uint32_t slot = replica_memo_slot(replicas, key);
    if (replicas->memo[slot].key == key)
        return replica_step_at(replicas, replicas->memo[slot].step);
    if (replicas->memo_count * 2 >= replicas->memo_slots && !replica_memo_grow(replicas))
        return NULL;
    uint32_t at = 0;
    const struct replica_step *step = replica_make(replicas, number, event, &at);
    if (step == NULL)
        return NULL;
    slot = replica_memo_slot(replicas, key);
    replicas->memo[slot].key = key;
    replicas->memo[slot].step = at;
    replicas->memo_count++;
    return step;
}

/* ---- Observation ------------------------------------------------------------------------------- */

const struct model_verdict *replicas_verdict(const struct replicas *replicas, uint8_t verdict) {
    LASH_ASSERT(verdict > 0 && verdict <= replicas->verdict_count);
    return &replicas->verdicts[verdict];
}

struct intern *replicas_nodes(const struct replicas *replicas) {
    return replicas->nodes;
}

struct intern *replicas_messages(const struct replicas *replicas) {
    return replicas->messages;
}

uint64_t replicas_steps(const struct replicas *replicas) {
    return replicas->memo_count;
}

size_t replicas_memory(const struct replicas *replicas) {
    return intern_memory(replicas->nodes) + intern_memory(replicas->messages) +
           replicas->memo_slots * sizeof replicas->memo[0] +
           (size_t)replicas->chunk_count * REPLICA_CHUNK_WORDS * sizeof(uint32_t);
}
