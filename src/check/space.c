/* SPDX-License-Identifier: Apache-2.0
 *
 * Successors of a state.
 *
 * The network. At most bounds->messages are in flight; any of them may be delivered
 * next (order is free), delivered and still be in flight (duplicated), or be lost. When a
 * step sends more than there is room for, any of those in flight or just sent are lost.
 *
 * The reduction: messages in flight are a set, a delivery leaves its message in flight, and
 * none is lost but for want of room. It keeps the set of reachable nodes and ghosts, on
 * which alone the invariants depend. Say that state t covers s when both have the same
 * nodes and ghosts and each message in flight in s is in flight in t.
 * - Whatever s can do, t can do, and covers again what comes of it: t has the message that s delivers; t keeps more than s
 *   does when s loses or uses up a message; and where s keeps some of what is in flight or just sent, t can keep those, for they
 *   fit. A message twice in flight does nothing that one which stays in flight cannot.
 *   So each state of the plain search is covered by one of the reduced search.
 * - Each step of the reduced search is one of the plain search, or several: a duplicate's delivery, and losses.
 * Besides, what can never again have an effect is not kept in flight (space_inert): delivering it changes nothing. And t
 * covers s as well if for t fewer crashes, commands, timeouts, heartbeats or transfers were spent: nodes and invariants know nothing
 * of these counts, which only end what can be done. Where a state is covered by one that was visited before, it is left out: what
 * it leads to comes of the other within as many steps. (How many reads were asked is no such count: reads are named by it.)
 */
#include "check/space.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "check/fingerprints.h"
#include "check/hash.h"
#include "check/judge.h"

#define SPACE_UNION_MAX (SPACE_MESSAGES_MAX + 32)

struct space {
    struct model_bounds bounds;
    uint32_t words;
    uint32_t permutations; /* all renamings */
    uint32_t renamings;    /* those under which states count as one: all, or the identity */
    uint8_t to[MODEL_PERMUTATIONS_MAX * (MODEL_NODES_MAX + 1)];
    struct replicas *replicas;
    struct intern *nodes;
    struct intern *messages;
    struct intern *ghosts;
    uint64_t clipped;
    struct model_verdict verdict;
};

/* One walk over the successors of a state. */
struct space_walk {
    struct space *space;
    const uint32_t *state;
    bool (*visit)(void *context, const struct space_step *step);
    void *context;
    bool ended;
    bool no_memory;
    uint32_t in_flight;                    /* messages */
    uint64_t sums[MODEL_PERMUTATIONS_MAX]; /* of the hashes of the state's parts */
    uint64_t next[MODEL_PERMUTATIONS_MAX]; /* of those of the successor */
    uint32_t result[SPACE_WORDS_MAX];
};

/* ---- Creation ---------------------------------------------------------------------------------- */

/* Whether a renaming gives each witness's id to a witness. */
static bool space_renames(const struct space *space, const uint8_t *ids) {
    uint32_t witnesses = 0;
    for (uint32_t i = 0; i < space->bounds.nodes; i++)
        witnesses |= (space->bounds.witnesses >> (i + 1) & 1u) << ids[i];
    return witnesses == space->bounds.witnesses;
}

/* All renamings of ids 1..count, the identity first; it alone where memberships tell nodes apart. */
static void space_permutations(struct space *space) {
    uint32_t count = space->bounds.nodes;
    uint8_t ids[MODEL_NODES_MAX] = {0};
    for (uint32_t i = 0; i < count; i++)
        ids[i] = (uint8_t)(i + 1);
    for (;;) {
        LASH_ASSERT(space->permutations < MODEL_PERMUTATIONS_MAX);
        if (space_renames(space, ids))
            memcpy(&space->to[space->permutations++ * (MODEL_NODES_MAX + 1) + 1], ids, count);
        if (space->bounds.changes != 0)
            return;
        uint32_t at = count - 1;
        while (at > 0 && ids[at - 1] > ids[at])
            at--;
        if (at == 0)
            return;
        uint32_t swap = count - 1;
        while (ids[swap] < ids[at - 1])
            swap--;
        uint8_t id = ids[at - 1];
        ids[at - 1] = ids[swap];
        ids[swap] = id;
        for (uint32_t low = at, high = count - 1; low < high; low++, high--) {
            id = ids[low];
            ids[low] = ids[high];
            ids[high] = id;
        }
    }
}

struct space *space_new(const struct model_bounds *bounds, enum model_fault fault) {
    struct space *space = mem_calloc(1, sizeof *space);
    if (space == NULL)
        return NULL;
    LASH_ASSERT(bounds->nodes >= 1 && bounds->nodes <= MODEL_NODES_MAX);
    LASH_ASSERT(bounds->messages >= 1 && bounds->messages <= SPACE_MESSAGES_MAX);
    space->bounds = *bounds;
    space->words = bounds->nodes + 1 + bounds->messages;
    space_permutations(space);
    space->renamings = bounds->symmetry ? space->permutations : 1;
    space->replicas = replicas_new(bounds, fault, space->to, space->permutations);
    space->ghosts = intern_new(space->permutations);
    if (space->replicas == NULL || space->ghosts == NULL) {
        space_free(space);
        return NULL;
    }
    space->nodes = replicas_nodes(space->replicas);
    space->messages = replicas_messages(space->replicas);
    return space;
}

void space_free(struct space *space) {
    if (space == NULL)
        return;
    replicas_free(space->replicas);
    intern_free(space->ghosts);
    mem_free(space);
}

/* ---- Contents ---------------------------------------------------------------------------------- */

/* Of all but what was spent. */
static uint64_t space_ghost_hash(const struct model_ghost *ghost, const uint8_t *to) {
    struct model_ghost renamed;
    memcpy(&renamed, ghost, sizeof renamed);
    renamed.crashes = 0;
    renamed.proposals = 0;
    renamed.timeouts = 0;
    renamed.heartbeats = 0;
    renamed.transfers = 0;
    for (uint32_t term = 0; term <= MODEL_TERMS_MAX; term++)
        renamed.leaders[term] = to[ghost->leaders[term]];
    for (uint32_t i = 0; i < MODEL_LOG_MAX; i++)
        renamed.committed[i] = replica_entry_renamed(ghost->committed[i], to);
    return hash_bytes(2, &renamed, sizeof renamed);
}

/* 0 when memory ran out. */
static uint32_t space_ghost_number(struct space *space, const struct model_ghost *ghost) {
    bool fresh = false;
    uint32_t number = intern_add(space->ghosts, ghost, sizeof *ghost, &fresh);
    for (uint32_t k = 0; number != 0 && fresh && k < space->permutations; k++)
        intern_hashes(space->ghosts, number)[k] =
            space_ghost_hash(ghost, &space->to[(size_t)k * (MODEL_NODES_MAX + 1)]);
    return number;
}

bool space_start(struct space *space, const struct model_node *disks, const struct model_ghost *ghost,
                 uint32_t *state) {
    memset(state, 0, space->words * sizeof state[0]);
    for (uint32_t i = 0; i < space->bounds.nodes; i++) {
        state[i] = replicas_start(space->replicas, &disks[i]);
        if (state[i] == 0)
            return false;
    }
    state[space->bounds.nodes] = space_ghost_number(space, ghost);
    return state[space->bounds.nodes] != 0;
}

bool space_start_message(struct space *space, const struct model_message *message, uint32_t *state) {
    uint32_t *place = &state[space->bounds.nodes + 1];
    while (*place != 0)
        place++;
    LASH_ASSERT(place < state + space->words);
    *place = replicas_message_number(space->replicas, message);
    return *place != 0;
}

bool space_judge(struct space *space, const uint32_t *state, struct model_verdict *verdict) {
    struct model_ghost ghost;
    struct judge_case judged = {.count = space->bounds.nodes, .bounds = &space->bounds};
    memcpy(&ghost, space_ghost(space, state), sizeof ghost);
    for (uint32_t i = 0; i < judged.count; i++)
        judged.nodes[i] = space_node(space, state, i);
    for (judged.acting = 0; judged.acting < judged.count; judged.acting++) {
        judged.before = judged.nodes[judged.acting];
        if (!judge_step(judged.before, judged.before, false, verdict) || !judge_cluster(&judged, &ghost, verdict))
            return false;
    }
    return true;
}

/* ---- Fingerprints ------------------------------------------------------------------------------ */

static inline void space_add(uint64_t *sums, const uint64_t *hashes, uint32_t count) {
    for (uint32_t k = 0; k < count; k++)
        sums[k] += hashes[k];
}

static inline void space_subtract(uint64_t *sums, const uint64_t *hashes, uint32_t count) {
    for (uint32_t k = 0; k < count; k++)
        sums[k] -= hashes[k];
}

/* The least over all renamings: the same for every state of one orbit. Never 0. */
static inline uint64_t space_least(const uint64_t *sums, uint32_t count) {
    uint64_t least = UINT64_MAX;
    for (uint32_t k = 0; k < count; k++) {
        uint64_t hash = hash_mix(sums[k]);
        least = hash < least ? hash : least;
    }
    return least == 0 ? 1 : least;
}

static void space_sums(struct space *space, const uint32_t *state, bool messages, uint32_t renamings, uint64_t *sums) {
    uint32_t nodes = space->bounds.nodes;
    memset(sums, 0, renamings * sizeof sums[0]);
    for (uint32_t i = 0; i < nodes; i++)
        space_add(sums, intern_hashes(space->nodes, state[i]), renamings);
    space_add(sums, intern_hashes(space->ghosts, state[nodes]), renamings);
    for (uint32_t i = nodes + 1; messages && i < space->words && state[i] != 0; i++)
        space_add(sums, intern_hashes(space->messages, state[i]), renamings);
}

static uint32_t space_spent_all(const struct space *space, const uint32_t *state) {
    const struct model_ghost *ghost = space_ghost(space, state);
    return FINGERPRINTS_SPENT(ghost->crashes, ghost->proposals, ghost->timeouts, ghost->heartbeats, ghost->transfers);
}

uint32_t space_spent(const struct space *space, const uint32_t *state) {
    return space->bounds.reduction ? space_spent_all(space, state) : 0;
}

static uint64_t space_mark(const struct space *space, const uint32_t *state, const uint64_t *sums) {
    uint64_t least = space_least(sums, space->renamings);
    if (space->bounds.reduction)
        return least;
    uint64_t hash = hash_word(least, space_spent_all(space, state));
    return hash == 0 ? 1 : hash;
}

uint64_t space_fingerprint(struct space *space, const uint32_t *state) {
    uint64_t sums[MODEL_PERMUTATIONS_MAX];
    space_sums(space, state, true, space->renamings, sums);
    return space_mark(space, state, sums);
}

uint64_t space_projection(struct space *space, const uint32_t *state) {
    uint64_t sums[MODEL_PERMUTATIONS_MAX];
    space_sums(space, state, false, space->permutations, sums);
    return space_least(sums, space->permutations);
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static void space_emit(struct space_walk *walk, uint32_t acting, uint32_t event, const uint64_t *sums) {
    struct space_step step = {.acting = acting, .event = event, .state = walk->result};
    step.fingerprint = space_mark(walk->space, walk->result, sums);
    step.spent = space_spent(walk->space, walk->result);
    walk->ended = !walk->visit(walk->context, &step);
}

static void space_emit_broken(struct space_walk *walk, uint32_t acting, uint32_t event,
                              const struct model_verdict *verdict) {
    struct space_step step = {.acting = acting, .event = event, .state = walk->result, .verdict = verdict};
    walk->ended = !walk->visit(walk->context, &step);
}

/* All ways to keep as many of `all` as fit. walk->next counts all of them. */
static void space_keep(struct space_walk *walk, uint32_t acting, uint32_t event, const uint32_t *all, uint32_t count) {
    struct space *space = walk->space;
    uint32_t room = space->bounds.messages;
    uint32_t *messages = &walk->result[space->bounds.nodes + 1];
    uint32_t lose = count > room ? count - room : 0;
    uint32_t lost[SPACE_UNION_MAX]; /* positions in `all`, rising */
    for (uint32_t i = 0; i < lose; i++)
        lost[i] = i;
    for (;;) {
        uint64_t sums[MODEL_PERMUTATIONS_MAX];
        uint32_t kept = 0;
        memcpy(sums, walk->next, space->renamings * sizeof sums[0]);
        for (uint32_t i = 0, next = 0; i < count; i++) {
            if (next < lose && lost[next] == i) {
                space_subtract(sums, intern_hashes(space->messages, all[i]), space->renamings);
                next++;
            } else {
                messages[kept++] = all[i];
            }
        }
        memset(&messages[kept], 0, (room - kept) * sizeof messages[0]);
        space_emit(walk, acting, event, sums);
        uint32_t at = lose;
        while (at > 0 && lost[at - 1] == count - lose + at - 1)
            at--;
        if (at == 0 || walk->ended)
            return;
        for (lost[at - 1]++; at < lose; at++)
            lost[at] = lost[at - 1] + 1;
    }
}

/* Put `message` into the sorted list. Returns whether it is one more: with the reduction the same is not there twice. */
static bool space_insert(uint32_t *all, uint32_t *count, uint32_t message, bool set) {
    uint32_t at = *count;
    while (at > 0 && all[at - 1] > message)
        at--;
    if (set && at > 0 && all[at - 1] == message)
        return false;
    LASH_ASSERT(*count < SPACE_UNION_MAX);
    memmove(&all[at + 1], &all[at], (*count - at) * sizeof all[0]);
    all[at] = message;
    (*count)++;
    return true;
}

/* Whether `message` can never again have an effect, however late it arrives. It is an answer to a question of a term,
 * or of an office in that term, that its receiver has left for good; or a request of a term that its receiver has left, to
 * which the answer would tell its sender nothing, who is in the last term of all. Terms on disk never fall (E3), and an
 * office once lost does not come back in its term, so what is inert stays so. space_audit proves of the
 * core that is being checked that what is inert has no effect. */
bool space_inert(const struct space *space, const struct model_message *message, const struct model_node *from,
                 const struct model_node *node) {
    const struct lash_message *body = &message->body;
    bool present = body->term == node->term;
    bool candidate = present && node->role == LASH_CANDIDATE;
    bool from_at_end = from->disk_term >= space->bounds.terms;
    if (body->term > node->disk_term)
        return false;
    switch (body->type) {
    case LASH_MSG_VOTE:
        return body->term < node->disk_term && from_at_end;
    case LASH_MSG_VOTE_REPLY:
        return !candidate || body->vote_reply.pre || !body->vote_reply.granted;
    case LASH_MSG_APPEND:
        return body->term < node->disk_term && from_at_end && from->role != LASH_CANDIDATE && from->role != LASH_LEADER;
    case LASH_MSG_APPEND_REPLY:
        return !candidate && !(present && node->role == LASH_LEADER);
    case LASH_MSG_READ_REPLY:
        return !present || node->reads == 0;
    default:
        return false;
    }
}

/* Take from the messages in flight what cannot arrive any more, or might as well not. */
static void space_discard(struct space_walk *walk, uint32_t *all, uint32_t *count) {
    struct space *space = walk->space;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++) {
        const struct model_message *message = intern_get(space->messages, all[i]);
        const struct model_node *from = intern_get(space->nodes, walk->result[message->body.from - 1]);
        const struct model_node *to = intern_get(space->nodes, walk->result[message->body.to - 1]);
        bool late = !space->bounds.late && message->body.term < to->term;
        if (late || (space->bounds.reduction && space_inert(space, message, from, to)))
            space_subtract(walk->next, intern_hashes(space->messages, all[i]), space->renamings);
        else
            all[kept++] = all[i];
    }
    *count = kept;
}

/* The ghosts after a step; judges it. 0: broken, or memory ran out. */
static uint32_t space_ghost_after(struct space_walk *walk, uint32_t acting, uint32_t event,
                                  const struct replica_step *step) {
    struct space *space = walk->space;
    enum replica_kind kind = REPLICA_KIND(event);
    uint32_t number = walk->state[space->bounds.nodes];
    const struct model_ghost *old = intern_get(space->ghosts, number);
    struct model_ghost ghost;
    memcpy(&ghost, old, sizeof ghost);
    struct judge_case judged = {.count = space->bounds.nodes, .acting = acting, .restarted = kind == REPLICA_CRASH};
    judged.bounds = &space->bounds;
    judged.configured = kind == REPLICA_CONFIGURE;
    for (uint32_t i = 0; i < judged.count; i++)
        judged.nodes[i] = intern_get(space->nodes, walk->result[i]);
    judged.before = intern_get(space->nodes, walk->state[acting]);
    const struct model_node *node = judged.nodes[acting];

    ghost.proposals = (uint8_t)(ghost.proposals + (kind == REPLICA_PROPOSE));
    ghost.crashes = (uint8_t)(ghost.crashes + (kind == REPLICA_CRASH));
    ghost.timeouts = (uint8_t)(ghost.timeouts + (kind == REPLICA_ELECTION || kind == REPLICA_QUORUM));
    ghost.heartbeats = (uint8_t)(ghost.heartbeats + (kind == REPLICA_HEARTBEAT));
    ghost.transfers = (uint8_t)(ghost.transfers + (kind == REPLICA_TRANSFER));
    ghost.snapshots = (uint8_t)(ghost.snapshots + (kind == REPLICA_SNAPSHOT));
    ghost.changes = (uint8_t)(ghost.changes + (kind == REPLICA_CONFIGURE));
    if (kind == REPLICA_READ) {
        ghost.reads++;
        ghost.floors[ghost.reads] = ghost.committed_count;
    }
    if (!judge_cluster(&judged, &ghost, &space->verdict))
        return 0;
    for (uint32_t i = 0; i < step->answers; i++) {
        uint32_t answer = step->words[step->sends + i];
        if (!judge_read(node, &ghost, REPLICA_ANSWER_READ(answer), REPLICA_ANSWER_INDEX(answer), &space->verdict))
            return 0;
        ghost.floors[REPLICA_ANSWER_READ(answer)] = 0;
    }
    for (uint32_t read = 1; read <= MODEL_READS_MAX; read++) {
        if ((judged.before->reads & ~node->reads) >> read & 1)
            ghost.floors[read] = 0;
    }
    if (memcmp(&ghost, old, sizeof ghost) == 0)
        return number;
    number = space_ghost_number(space, &ghost);
    walk->no_memory |= number == 0;
    return number;
}

/* Take the step that `event` is at a node. `used` is the position of the message that it uses up, or SPACE_UNION_MAX. */
static void space_take(struct space_walk *walk, uint32_t acting, uint32_t event, uint32_t used) {
    struct space *space = walk->space;
    uint32_t nodes = space->bounds.nodes;
    const struct replica_step *step = replicas_step(space->replicas, walk->state[acting], event);
    walk->no_memory |= step == NULL;
    if (step == NULL || step->after == 0) {
        space->clipped += step != NULL && step->clipped;
        return;
    }
    memcpy(walk->result, walk->state, space->words * sizeof walk->result[0]);
    if (step->verdict != 0) {
        space_emit_broken(walk, acting, event, replicas_verdict(space->replicas, step->verdict));
        return;
    }
    uint32_t all[SPACE_UNION_MAX];
    uint32_t count = 0;
    memcpy(walk->next, walk->sums, space->renamings * sizeof walk->next[0]);
    for (uint32_t i = 0; i < walk->in_flight; i++) {
        if (i != used)
            all[count++] = walk->state[nodes + 1 + i];
        else
            space_subtract(walk->next, intern_hashes(space->messages, walk->state[nodes + 1 + i]), space->renamings);
    }
    bool changed = used != SPACE_UNION_MAX || step->after != walk->state[acting] || step->answers > 0;
    for (uint32_t i = 0; i < step->sends; i++) {
        if (!space_insert(all, &count, step->words[i], space->bounds.reduction))
            continue;
        space_add(walk->next, intern_hashes(space->messages, step->words[i]), space->renamings);
        changed = true;
    }
    enum replica_kind kind = REPLICA_KIND(event);
    if (!changed && kind != REPLICA_PROPOSE && kind != REPLICA_READ)
        return;
    if (step->after != walk->state[acting] || step->answers > 0 || kind == REPLICA_HEARTBEAT) {
        walk->result[acting] = step->after;
        uint32_t ghost = space_ghost_after(walk, acting, event, step);
        if (ghost == 0) {
            if (!walk->no_memory)
                space_emit_broken(walk, acting, event, &space->verdict);
            return;
        }
        space_subtract(walk->next, intern_hashes(space->nodes, walk->state[acting]), space->renamings);
        space_add(walk->next, intern_hashes(space->nodes, step->after), space->renamings);
        space_subtract(walk->next, intern_hashes(space->ghosts, walk->state[nodes]), space->renamings);
        space_add(walk->next, intern_hashes(space->ghosts, ghost), space->renamings);
        walk->result[nodes] = ghost;
    }
    space_discard(walk, all, &count);
    space_keep(walk, acting, event, all, count);
}

/* What can happen at a node without a message. */
static void space_take_local(struct space_walk *walk, uint32_t acting) {
    const struct space *space = walk->space;
    const struct model_node *node = space_node(space, walk->state, acting);
    const struct model_ghost *ghost = space_ghost(space, walk->state);
    uint32_t events[16 + MODEL_WRITES_MAX + MODEL_NODES_MAX + MODEL_ROSTERS_MAX];
    uint32_t count = 0;
    if (ghost->timeouts < space->bounds.timeouts) {
        events[count++] = REPLICA_EVENT(REPLICA_ELECTION, 0);
        events[count++] = REPLICA_EVENT(REPLICA_QUORUM, 0);
    }
    if (ghost->heartbeats < space->bounds.heartbeats)
        events[count++] = REPLICA_EVENT(REPLICA_HEARTBEAT, 0);
    if (node->reads != 0)
        events[count++] = REPLICA_EVENT(REPLICA_GIVE_UP, 0);
    if (ghost->proposals < space->bounds.entries)
        events[count++] = REPLICA_EVENT(REPLICA_PROPOSE, 0);
    for (uint32_t to = 1; ghost->transfers < space->bounds.transfers && to <= space->bounds.nodes; to++)
        events[count++] = REPLICA_EVENT(REPLICA_TRANSFER, to);
    if (ghost->snapshots < space->bounds.snapshots)
        events[count++] = REPLICA_EVENT(REPLICA_SNAPSHOT, 0);
    for (uint32_t to = 0; ghost->changes < space->bounds.changes && to < MODEL_ROSTERS_MAX; to++) {
        if (space->bounds.rosters[to] != 0)
            events[count++] = REPLICA_EVENT(REPLICA_CONFIGURE, to);
    }
    if (node->transfer_to != 0)
        events[count++] = REPLICA_EVENT(REPLICA_ABANDON, 0);
    /* The next write alone, or all of them at once. What lies between is the next ones one by one. */
    events[count++] = REPLICA_EVENT(REPLICA_WRITTEN, 1);
    if (node->write_count > 1)
        events[count++] = REPLICA_EVENT(REPLICA_WRITTEN, node->write_count);
    if (ghost->reads < space->bounds.reads)
        events[count++] = REPLICA_EVENT(REPLICA_READ, ghost->reads + 1);
    for (uint32_t survive = 0; ghost->crashes < space->bounds.crashes && survive <= node->write_count; survive++)
        events[count++] = REPLICA_EVENT(REPLICA_CRASH, REPLICA_CRASH_OF(survive, ghost->reads));
    for (uint32_t i = 0; i < count && !walk->ended && !walk->no_memory; i++)
        space_take(walk, acting, events[i], SPACE_UNION_MAX);
}

/* What can happen to the message at a position: delivered; without the reduction also used up by that, or lost. */
static void space_take_message(struct space_walk *walk, uint32_t at) {
    struct space *space = walk->space;
    uint32_t number = walk->state[space->bounds.nodes + 1 + at];
    const struct model_message *message = intern_get(space->messages, number);
    uint32_t acting = (uint32_t)message->body.to - 1;
    uint32_t event = REPLICA_EVENT(REPLICA_DELIVER, number);
    space_take(walk, acting, event, SPACE_UNION_MAX);
    if (message->body.type == LASH_MSG_SNAPSHOT && !walk->ended && !walk->no_memory)
        space_take(walk, acting, REPLICA_EVENT(REPLICA_INSTALL, number), SPACE_UNION_MAX);
    if (space->bounds.reduction || walk->ended || walk->no_memory)
        return;
    space_take(walk, acting, event, at);
    if (walk->ended || walk->no_memory)
        return;
    uint32_t all[SPACE_UNION_MAX];
    uint32_t count = 0;
    memcpy(walk->result, walk->state, space->words * sizeof walk->result[0]);
    memcpy(walk->next, walk->sums, space->renamings * sizeof walk->next[0]);
    for (uint32_t i = 0; i < walk->in_flight; i++) {
        if (i != at)
            all[count++] = walk->state[space->bounds.nodes + 1 + i];
    }
    space_subtract(walk->next, intern_hashes(space->messages, number), space->renamings);
    space_keep(walk, acting, REPLICA_EVENT(SPACE_LOSE, number), all, count);
}

bool space_expand(struct space *space, const uint32_t *state,
                  bool (*visit)(void *context, const struct space_step *step), void *context) {
    struct space_walk walk = {.space = space, .state = state, .visit = visit, .context = context};
    uint32_t nodes = space->bounds.nodes;
    space_sums(space, state, true, space->renamings, walk.sums);
    while (walk.in_flight < space->bounds.messages && state[nodes + 1 + walk.in_flight] != 0)
        walk.in_flight++;
    for (uint32_t i = 0; i < walk.in_flight && !walk.ended && !walk.no_memory; i++) {
        if (i == 0 || state[nodes + 1 + i] != state[nodes + i])
            space_take_message(&walk, i);
    }
    for (uint32_t i = 0; i < nodes && !walk.ended && !walk.no_memory; i++)
        space_take_local(&walk, i);
    return !walk.no_memory;
}

/* ---- The reduction's premise ------------------------------------------------------------------- */

/* Whether two nodes differ only in the messages that wait for their disks. */
static bool space_same_but_held(const struct space *space, uint32_t a, uint32_t b) {
    struct model_node nodes[2];
    const uint32_t numbers[2] = {a, b};
    size_t size = intern_size(space->nodes, a);
    for (uint32_t i = 0; i < 2; i++) {
        memcpy(&nodes[i], intern_get(space->nodes, numbers[i]), sizeof nodes[i]);
        memset(nodes[i].held, 0, sizeof nodes[i].held);
        nodes[i].held_count = 0;
    }
    if (memcmp(&nodes[0], &nodes[1], sizeof nodes[0]) != 0 || intern_size(space->nodes, b) != size)
        return false;
    const uint8_t *cores[2] = {intern_get(space->nodes, a), intern_get(space->nodes, b)};
    return memcmp(cores[0] + sizeof nodes[0], cores[1] + sizeof nodes[0], size - sizeof nodes[0]) == 0;
}

/* Whether delivering an inert message changes nothing but what its sender, who knows the last term, cannot use. */
static bool space_audit_one(struct space *space, uint32_t node, uint32_t message, bool *no_memory) {
    const struct replica_step *step = replicas_step(space->replicas, node, REPLICA_EVENT(REPLICA_DELIVER, message));
    *no_memory |= step == NULL;
    if (step == NULL || (step->clipped && step->verdict == 0))
        return true;
    const struct lash_message *body = &space_message(space, message)->body;
    bool request = body->type == LASH_MSG_VOTE || body->type == LASH_MSG_APPEND;
    if (step->verdict != 0 || step->answers != 0 || (!request && step->sends != 0))
        return false;
    return step->after == node || (request && space_same_but_held(space, step->after, node));
}

bool space_audit(struct space *space, uint64_t *audited, struct model_verdict *verdict) {
    uint32_t nodes = intern_count(space->nodes);
    uint32_t messages = intern_count(space->messages);
    struct model_node last = {.disk_term = (uint8_t)space->bounds.terms};
    bool no_memory = false;
    for (uint32_t number = 1; number <= messages && space->bounds.reduction; number++) {
        const struct model_message *message = intern_get(space->messages, number);
        for (uint32_t node = 1; node <= nodes && !no_memory; node++) {
            const struct model_node *to = intern_get(space->nodes, node);
            if (message->body.to != to->id || !space_inert(space, message, &last, to))
                continue;
            (*audited)++;
            if (space_audit_one(space, node, number, &no_memory))
                continue;
            return judge_broken(verdict, "reduction",
                                "n%u in term %u heeds message %u of n%u of term %u, which is past", to->id, to->term,
                                message->body.type, (unsigned)message->body.from, (unsigned)message->body.term);
        }
    }
    return true;
}

/* ---- Observation ------------------------------------------------------------------------------- */

uint32_t space_words(const struct space *space) {
    return space->words;
}

const struct model_node *space_node(const struct space *space, const uint32_t *state, uint32_t position) {
    return intern_get(space->nodes, state[position]);
}

const struct model_ghost *space_ghost(const struct space *space, const uint32_t *state) {
    return intern_get(space->ghosts, state[space->bounds.nodes]);
}

const struct model_message *space_message(const struct space *space, uint32_t number) {
    return intern_get(space->messages, number);
}

const struct model_bounds *space_bounds(const struct space *space) {
    return &space->bounds;
}

uint64_t space_clipped(const struct space *space) {
    return space->clipped;
}

struct replicas *space_replicas(struct space *space) {
    return space->replicas;
}

size_t space_memory(const struct space *space) {
    return sizeof *space + replicas_memory(space->replicas) + intern_memory(space->ghosts);
}
