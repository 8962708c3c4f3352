/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators do to the membership, and what they are told of it. They do one thing
 * at a time: while a change may still be carried out, no other is asked for that counts
 * on it.
 */
#include "sim/operator.h"

#include <string.h>

#include "base/assert.h"
#include "node/replica_state.h"
#include "raft/random.h"
#include "sim/memory.h"
#include "sim/world_peers.h"

enum {
    OPERATOR_PORTS = 1000,         /* of the first node */
    OPERATOR_PORTS_EACH = 1000,    /* addresses that a node can have had */
    OPERATOR_DOUBT_ELECTIONS = 40, /* for so long a change that ended unsure may still come */
    OPERATOR_MEMBERS_MAX = 9,      /* more members than that are not wanted */
};

#define OPERATOR_FEATURES                                                                                              \
    (WIRE_MEMBERS | WIRE_REPAIR | WIRE_LEASES | WIRE_SNAPSHOTS | WIRE_PARTS | WIRE_SLOW | WIRE_WITNESS)

/* A change that was asked for. */
struct operator_call {
    struct list link; /* of its node's */
    struct world_node *node;
    struct change change;
};

/* ---- Nodes --------------------------------------------------------------------------------------------- */

void operator_furnish(struct world_node *node) {
    node->features = OPERATOR_FEATURES;
    node->directory = random_mix(node->world->options.seed ^ random_mix(node->id)) | 1;
    node->port = (uint16_t)(OPERATOR_PORTS + (node->id - 1) * OPERATOR_PORTS_EACH);
    node->told_port = node->port;
    world_peers_begin(node);
}

void operator_begin(struct world *world) {
    struct lash_configuration initial;
    bool joins[JUDGE_NODES_MAX + 1] = {false};
    for (size_t i = world->count; i < WORLD_NODES_MAX; i++)
        joins[i + 1] = true;
    roster_configuration(world->first, &initial);
    judge_membership(world->judge, &initial, joins);
    for (size_t i = 0; i < world->count; i++)
        world->nodes[i].contacts = roster_ref(world->first);
}

void operator_judge(struct world_node *node, const struct frame *frame, const struct frame_entry *entry) {
    struct lash_configuration configuration;
    struct roster *roster;
    int error = roster_decode(entry->data, entry->size, &roster);
    if (error == LASH_NOMEM) /* the allocation that was to fail, once, in the node's event */
        error = roster_decode(entry->data, entry->size, &roster);
    if (error || roster->index != entry->index)
        world_fail(node->world, "contract", "n%u appends a configuration that is none", (unsigned)node->id);
    roster_configuration(roster, &configuration);
    roster_unref(roster);
    judge_configure(node->world->judge, node->id, frame->term, world_digest(entry), &configuration,
                    !node->replica->members.wanted);
}

static const struct lash_member *operator_find(const struct lash_configuration *configuration, lash_id id) {
    for (uint32_t i = 0; i < configuration->count; i++)
        if (configuration->members[i].id == id)
            return &configuration->members[i];
    return NULL;
}

bool operator_counts(const struct world *world, size_t position) {
    return !world->profile.operators || operator_find(judge_governing(world->judge), position + 1) != NULL;
}

bool operator_votes(const struct world *world, size_t position) {
    if (!world->profile.operators)
        return true;
    const struct lash_member *member = operator_find(judge_governing(world->judge), position + 1);
    return member && (member->flags & LASH_MEMBER_VOTER) != 0;
}

size_t operator_members(const struct world *world) {
    return world->profile.operators ? judge_governing(world->judge)->count : world->count;
}

bool operator_retires(struct world_node *node) {
    if (!node->removed)
        return false;
    /* What it noted of its removal may be lost with the process; then it finds out again. */
    node->removed = false;
    node->gone = world_draw(node->world, DOMAIN_PROCESS, 4) != 0;
    return node->gone;
}

/* ---- What may be done ---------------------------------------------------------------------------------- */

/* Whether most of those with this flag are whole, `more` of them being damaged besides. Once one is not, the others that keep data
 * must be most by themselves: a majority may have counted on a witness, or on one that gets its vote at any moment, which also
 * refuses it to who lacks what it got. */
static bool operator_most(const struct world *world, const struct lash_configuration *configuration, uint32_t flag,
                          lash_id more) {
    uint32_t voters = 0;
    uint32_t bad = 0;
    uint32_t witnesses = 0;
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct lash_member *member = &configuration->members[i];
        const struct world_node *node = &world->nodes[member->id - 1];
        bool whole = !node->damaged && !node->gone && member->id != more;
        bool has = (member->flags & flag) != 0;
        voters += has;
        bad += has && !whole;
        witnesses += whole && node->witness;
    }
    return voters == 0 || bad == 0 || 2 * (bad + witnesses) < voters;
}

static bool operator_sound(const struct world *world, const struct lash_configuration *configuration, lash_id more) {
    return operator_most(world, configuration, LASH_MEMBER_VOTER, more) &&
           operator_most(world, configuration, LASH_MEMBER_VOTER_OLD, more);
}

bool operator_may_damage(const struct world *world, size_t position) {
    if (world->changing_us > world->now_us || !operator_sound(world, judge_governing(world->judge), position + 1))
        return false;
    for (size_t i = 0; i < world->count; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (replica && !operator_sound(world, &replica->status.configuration, position + 1))
            return false;
    }
    return true;
}

/* Whether most of those with this flag can come back, and among them one that could lead. */
static bool operator_enough(const struct world *world, const struct lash_configuration *configuration, uint32_t flag) {
    uint32_t voters = 0;
    uint32_t gone = 0;
    uint32_t leaders = 0;
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct world_node *node = &world->nodes[configuration->members[i].id - 1];
        bool has = (configuration->members[i].flags & flag) != 0;
        voters += has;
        bool left = node->gone || node->removed || (node->repair && world_repair_is_hopeless(node));
        gone += has && left;
        leaders += has && !left && !node->witness;
    }
    return voters == 0 || (2 * gone < voters && leaders > 0);
}

static bool operator_lives(const struct world *world, const struct lash_configuration *configuration) {
    return operator_enough(world, configuration, LASH_MEMBER_VOTER) &&
           operator_enough(world, configuration, LASH_MEMBER_VOTER_OLD);
}

bool operator_is_stuck(const struct world *world) {
    if (!operator_lives(world, judge_governing(world->judge)))
        return true;
    for (size_t i = 0; i < world->count; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (replica && !replica_error(replica) && !operator_lives(world, &replica->status.configuration))
            return true;
    }
    return false;
}

/* ---- What is asked for --------------------------------------------------------------------------------- */

/* What may still come is over, or not known to be. */
static void operator_doubt(struct world *world, bool doubt) {
    world->doubtful = doubt;
    world->changing_us =
        doubt ? world->now_us + world->profile.heartbeat_ms * 10000 * OPERATOR_DOUBT_ELECTIONS : world->now_us;
}

static lash_id operator_target(const struct change *change) {
    return change->kind == CHANGE_REMOVE || change->kind == CHANGE_PROMOTE ? change->id : change->members[0].id;
}

/* R1: what it was told to be done is what is committed. */
static void operator_carried_out(const struct operator_call *call, lash_index index) {
    struct world *world = call->node->world;
    const struct change *change = &call->change;
    lash_id id = operator_target(change);
    if (change->kind == CHANGE_REMOVE && id == call->node->id)
        return; /* its last word may be older */
    if (index == 0 || index > judge_committed(world->judge))
        world_fail(world, "D1", "a change of the membership is said to be done at %llu, and committed is %llu",
                   (unsigned long long)index, (unsigned long long)judge_committed(world->judge));
    const struct lash_configuration *now = judge_configured_at(world->judge, index);
    if (!now)
        world_fail(world, "R1", "a change of the membership is said to be done at %llu, where there is none",
                   (unsigned long long)index);
    const struct lash_member *member = operator_find(now, id);
    bool votes = member && (member->flags & LASH_MEMBER_VOTER) != 0;
    bool done = member != NULL;
    if (change->kind == CHANGE_REMOVE)
        done = !member;
    else if (change->kind == CHANGE_PROMOTE)
        done = votes;
    for (size_t i = 0; change->kind == CHANGE_SET && i < change->count; i++)
        done = done && operator_find(now, change->members[i].id) != NULL;
    if (!done || (change->kind == CHANGE_SET && now->count != change->count))
        world_fail(world, "R1", "n%u says that a change about n%u is done at %llu, and it is not",
                   (unsigned)call->node->id, (unsigned)id, (unsigned long long)index);
}

static bool operator_unsure(int error) {
    return error == LASH_UNKNOWN || error == LASH_TIMEOUT || error == LASH_CLOSED;
}

static void operator_ended(void *argument, int error, lash_index index) {
    struct operator_call *call = argument;
    struct world *world = call->node->world;
    lash_id id = operator_target(&call->change);
    TRACE(world, "n%u ends a change about n%u: %s, index %llu", (unsigned)call->node->id, (unsigned)id,
          lash_strerror(error), (unsigned long long)index);
    if (!error && call->node->halted)
        world_fail(world, "D4", "n%u acknowledges after its sync has failed", (unsigned)call->node->id);
    struct world_node *about = &world->nodes[id - 1];
    if (!error)
        operator_carried_out(call, index);
    if (!error && call->change.kind == CHANGE_UPDATE)
        about->told_port = call->change.members[0].port;
    if (call->change.kind == CHANGE_ADD && about->asks == 1 && !about->named && error && error != LASH_EXISTS &&
        !operator_unsure(error))
        about->denied = true;
    world->tally.changes += !error;
    world->outstanding--;
    operator_doubt(world, operator_unsure(error));
    list_remove(&call->link);
    memory_free(call);
}

void operator_abandon(struct world_node *node) {
    struct list *at;
    while ((at = list_pop(&node->changes))) {
        memory_free(list_entry(at, struct operator_call, link));
        node->world->outstanding--;
        operator_doubt(node->world, true);
    }
}

/* R1: who was certainly not added is no member. */
static void operator_look(const struct world *world) {
    for (size_t i = 0; i < world->count; i++)
        if (world->nodes[i].denied && operator_counts(world, i))
            world_fail((struct world *)(uintptr_t)world, "R1", "n%zu is a member, and was said not to be added", i + 1);
}

static bool operator_can_ask(const struct world *world, size_t position) {
    const struct world_node *node = &world->nodes[position];
    return node->replica && !replica_error(node->replica) && node->paused_us <= world->now_us;
}

/* Who is asked: the leader or somebody else. world->count: nobody. */
static size_t operator_asked(const struct world *world, const struct fault_draw *draw) {
    size_t leader = world_known_leader(world);
    if (draw->flag && leader < world->count && operator_can_ask(world, leader))
        return leader;
    for (size_t i = 0; i < world->count; i++)
        if (operator_can_ask(world, (draw->b + i) % world->count) &&
            operator_counts(world, (draw->b + i) % world->count))
            return (draw->b + i) % world->count;
    return world->count;
}

static bool operator_ask(struct world *world, const struct change *change, const struct fault_draw *draw) {
    size_t position = operator_asked(world, draw);
    uint8_t data[ROSTER_BYTES_MAX];
    struct request *request;
    if (position == world->count || change_check(change) || change_size(change) > sizeof data)
        return false;
    operator_look(world);
    struct world_node *node = &world->nodes[position];
    struct operator_call *call = memory_new(1, sizeof *call);
    call->node = node;
    call->change = *change;
    change_encode(change, data);
    int error = request_new(&node->gauge, REQUEST_CHANGE, data, change_size(change), &request);
    LASH_ASSERT(!error);
    request->done = operator_ended;
    request->argument = call;
    list_init(&call->link);
    list_push(&node->changes, &call->link);
    world->outstanding++;
    world->changing_us = UINT64_MAX;
    if (change->kind == CHANGE_ADD) {
        world->nodes[change->members[0].id - 1].asks++;
        world->nodes[change->members[0].id - 1].denied = false;
    }
    for (uint32_t i = 0; change->kind == CHANGE_SET && i < change->count; i++)
        world->nodes[change->members[i].id - 1].named = true;
    TRACE(world, "n%u is asked for a change of kind %d about n%u", (unsigned)node->id, (int)change->kind,
          (unsigned)operator_target(change));
    client_hand(node, request);
    return true;
}

/* A witness is never anything else. */
static struct lash_node_member operator_member(const struct world_node *node, uint32_t flags) {
    if (node->witness)
        flags = LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS;
    return (struct lash_node_member){.id = node->id, .flags = flags, .host = WORLD_HOST, .port = node->port};
}

/* A change that sets the membership to the committed one, to be worked on. */
static void operator_set(const struct world *world, struct change *change) {
    const struct lash_configuration *now = judge_governing(world->judge);
    memset(change, 0, sizeof *change);
    change->kind = CHANGE_SET;
    change->count = now->count;
    for (uint32_t i = 0; i < now->count; i++) {
        uint32_t flags = now->members[i].flags & (uint32_t)(LASH_MEMBER_VOTER | LASH_MEMBER_PROMOTE);
        change->members[i] = operator_member(&world->nodes[now->members[i].id - 1], flags);
    }
}

/* Tell a node, for its next start, where the members are. */
static void operator_introduce(struct world_node *node) {
    struct change members;
    operator_set(node->world, &members);
    roster_unref(node->contacts);
    int error = roster_new(0, members.members, members.count, &node->contacts);
    LASH_ASSERT(!error);
}

static void operator_leave_out(struct change *change, lash_id id) {
    size_t kept = 0;
    for (size_t i = 0; i < change->count; i++)
        if (change->members[i].id != id)
            change->members[kept++] = change->members[i];
    change->count = kept;
}

/* Whether somebody votes by what a change sets, and most of those are whole. */
static bool operator_set_is_sound(const struct world *world, const struct change *change) {
    struct lash_configuration wanted = {.count = (uint32_t)change->count};
    uint32_t voters = 0;
    for (size_t i = 0; i < change->count; i++) {
        wanted.members[i] = (struct lash_member){.id = change->members[i].id, .flags = change->members[i].flags};
        voters += (change->members[i].flags & LASH_MEMBER_VOTER) != 0;
    }
    return voters > 0 && operator_sound(world, &wanted, 0);
}

/* Without a majority what ended unsure may wait in logs for as long as it takes. */
static bool operator_waits(const struct world *world) {
    bool proposed = false;
    for (size_t i = 0; world->doubtful && i < world->count; i++)
        proposed |= !world->nodes[i].gone && operator_votes(world, i) && judge_proposed(world->judge, i + 1);
    return proposed;
}

static bool operator_free(const struct world *world) {
    return world->changing_us <= world->now_us && !operator_waits(world) &&
           !operator_find(judge_governing(world->judge), 0);
}

/* Whether a vote may go to this node: to a witness only as long as nobody's data is damaged, see operator_most. */
static bool operator_may_vote(const struct world *world, const struct world_node *node) {
    const struct lash_configuration *now = judge_governing(world->judge);
    bool whole = true;
    for (uint32_t i = 0; i < now->count; i++)
        whole = whole && !world->nodes[now->members[i].id - 1].damaged && !world->nodes[now->members[i].id - 1].gone;
    return whole || !node->witness;
}

/* ---- Adding -------------------------------------------------------------------------------------------- */

/* A machine that is to join. NULL: there have been enough. */
static struct world_node *operator_machine(struct world *world) {
    if (world->count == WORLD_NODES_MAX)
        return NULL;
    struct world_node *node = &world->nodes[world_node_new(world)];
    node->joins = true;
    node->witness = world->profile.witnesses && random_mix(world->options.seed ^ random_mix(~node->id)) % 2 == 0;
    operator_introduce(node);
    return node;
}

/* Whether a node was a member once, by what is committed: an id that has left never comes back. */
static bool operator_was_member(const struct world *world, lash_id id) {
    const struct judge_log *committed = judge_committed_log(world->judge);
    for (lash_index index = 1; index <= committed->count; index++)
        if (committed->entries[index - 1].kind == LASH_ENTRY_CONFIGURATION &&
            operator_find(judge_configured_at(world->judge, index), id))
            return true;
    return false;
}

/* A machine that waits to be added. A witness with a damaged log is of no use to anybody: nobody can repair it. */
static struct world_node *operator_waiting(struct world *world) {
    for (size_t i = 0; i < world->count; i++) {
        struct world_node *node = &world->nodes[i];
        bool useless = node->gone || (node->witness && node->damaged);
        if (node->joins && !useless && node->asks < 3 && !operator_was_member(world, node->id))
            return node;
    }
    return NULL;
}

static uint32_t operator_flags(uint64_t number) {
    static const uint32_t flags[] = {0, LASH_MEMBER_PROMOTE, LASH_MEMBER_VOTER, LASH_MEMBER_PROMOTE};
    return flags[number % 4];
}

bool operator_join(struct world *world, const struct fault_draw *draw) {
    struct change change = {.kind = CHANGE_ADD, .count = 1};
    if (!operator_free(world) || judge_governing(world->judge)->count >= OPERATOR_MEMBERS_MAX)
        return false;
    struct world_node *node = operator_waiting(world);
    bool known = node != NULL;
    if (!node)
        node = operator_machine(world);
    if (!node)
        return false;
    TRACE(world, "FAULT join: n%u is to be added%s", (unsigned)node->id, known ? ", again" : "");
    change.members[0] = operator_member(node, operator_flags(draw->number));
    bool asked = operator_may_vote(world, node) && operator_ask(world, &change, draw);
    if (!world_alive(node))
        world_plan(world, 1 + (draw->number / 4 % 2 ? draw->lasting_us : 0), EVENT_START, node->id - 1, 0);
    return asked || !known;
}

/* ---- Removing ------------------------------------------------------------------------------------------ */

/* Whom: the leader, or who is gone, or anyone. */
static lash_id operator_victim(const struct world *world, const struct fault_draw *draw) {
    const struct lash_configuration *now = judge_governing(world->judge);
    size_t leader = world_known_leader(world);
    LASH_ASSERT(now->count > 0);
    if (draw->number % 4 == 0 && leader < world->count)
        return leader + 1;
    for (uint32_t i = 0; draw->number % 4 != 1 && i < now->count; i++)
        if (world->nodes[now->members[i].id - 1].gone)
            return now->members[i].id;
    return now->members[draw->number / 4 % now->count].id;
}

bool operator_remove(struct world *world, const struct fault_draw *draw) {
    struct change change = {.kind = CHANGE_REMOVE, .id = operator_victim(world, draw)};
    struct change wanted;
    operator_set(world, &wanted);
    operator_leave_out(&wanted, change.id);
    if (!operator_free(world) || !operator_set_is_sound(world, &wanted))
        return false;
    TRACE(world, "FAULT remove: n%u", (unsigned)change.id);
    return operator_ask(world, &change, draw);
}

bool operator_promote(struct world *world, const struct fault_draw *draw) {
    const struct lash_configuration *now = judge_governing(world->judge);
    for (uint32_t i = 0; operator_free(world) && i < now->count; i++) {
        const struct lash_member *member = &now->members[(draw->a + i) % now->count];
        const struct world_node *node = &world->nodes[member->id - 1];
        if ((member->flags & LASH_MEMBER_VOTER) != 0 || node->damaged || node->gone || !operator_may_vote(world, node))
            continue;
        TRACE(world, "FAULT promote: n%u", (unsigned)node->id);
        return operator_ask(world, &(struct change){.kind = CHANGE_PROMOTE, .id = node->id}, draw);
    }
    return false;
}

/* ---- Moving -------------------------------------------------------------------------------------------- */

/* The membership does not say where everyone is: say so now. False: there is nobody like that. */
static bool operator_tell(struct world *world, const struct fault_draw *draw, bool *asked) {
    struct change change = {.kind = CHANGE_UPDATE, .count = 1};
    for (size_t i = 0; i < world->count; i++) {
        const struct world_node *node = &world->nodes[i];
        if (node->told_port == node->port || node->gone || !operator_counts(world, i))
            continue;
        change.members[0] = operator_member(node, 0);
        bool free = world->healed ? world->changing_us != UINT64_MAX : operator_free(world);
        *asked = free && operator_ask(world, &change, draw);
        return true;
    }
    return false;
}

bool operator_move(struct world *world, const struct fault_draw *draw) {
    bool asked = false;
    if (operator_tell(world, draw, &asked))
        return asked;
    struct world_node *node = &world->nodes[draw->a];
    if (!world_alive(node) || !operator_counts(world, draw->a) || !operator_free(world))
        return false;
    world_kill(world, draw->a);
    node->port++;
    operator_introduce(node);
    TRACE(world, "FAULT move: n%u to port %u", (unsigned)node->id, (unsigned)node->port);
    world_plan(world, 1 + draw->lasting_us, EVENT_START, draw->a, 0);
    if (draw->number % 2)
        (void)operator_tell(world, draw, &asked);
    return true;
}

/* ---- Several at once ----------------------------------------------------------------------------------- */

bool operator_configure(struct world *world, const struct fault_draw *draw) {
    struct change change;
    uint64_t random = draw->number;
    if (!operator_free(world))
        return false;
    operator_set(world, &change);
    for (size_t i = change.count; i-- > 0;) {
        struct lash_node_member *member = &change.members[i];
        const struct world_node *node = &world->nodes[member->id - 1];
        bool learner = (member->flags & LASH_MEMBER_VOTER) == 0;
        bool votes = random_between(&random, 0, 4) == 0 ? learner : !learner;
        if (random_between(&random, 0, 4) == 0)
            operator_leave_out(&change, member->id);
        else if (world->profile.witnesses && random_mix(draw->number ^ random_mix(member->id)) % 32 == 0)
            member->flags ^= LASH_MEMBER_WITNESS; /* which is to be refused */
        else if (!node->witness)
            member->flags = votes && !node->gone ? LASH_MEMBER_VOTER : LASH_MEMBER_PROMOTE * (uint32_t)draw->flag;
    }
    struct world_node *node =
        random_between(&random, 0, 2) && change.count < OPERATOR_MEMBERS_MAX ? operator_machine(world) : NULL;
    if (node)
        change.members[change.count++] = operator_member(node, operator_flags(draw->number / 8));
    TRACE(world, "FAULT configure: %zu members", change.count);
    if (node)
        world_plan(world, 1 + draw->lasting_us, EVENT_START, node->id - 1, 0);
    return operator_set_is_sound(world, &change) && operator_ask(world, &change, draw);
}

bool operator_replace(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    const struct lash_member *member = operator_find(judge_governing(world->judge), draw->a + 1);
    struct change change;
    if (!member || node->gone || !operator_free(world) || (!node->damaged && !world_may_damage(world, draw->a)))
        return false;
    uint32_t flags = member->flags & (uint32_t)(LASH_MEMBER_VOTER | LASH_MEMBER_PROMOTE);
    struct world_node *next = operator_machine(world);
    if (!next)
        return false;
    TRACE(world, "FAULT replace: n%u, whose disk is lost, by n%u", (unsigned)node->id, (unsigned)next->id);
    world_lose(world, draw->a);
    operator_set(world, &change);
    operator_leave_out(&change, node->id);
    change.members[change.count++] = operator_member(next, node->witness ? (uint32_t)LASH_MEMBER_VOTER : flags);
    world_plan(world, 1 + draw->lasting_us, EVENT_START, next->id - 1, 0);
    if (operator_set_is_sound(world, &change))
        (void)operator_ask(world, &change, draw);
    return true;
}

/* ---- Others -------------------------------------------------------------------------------------------- */

static void operator_snapshot_ended(void *argument, int error, lash_index index) {
    struct world_node *node = argument;
    TRACE(node->world, "n%u ends a snapshot: %s, index %llu", (unsigned)node->id, lash_strerror(error),
          (unsigned long long)index);
    if (!error && index > node->newest.index)
        world_fail(node->world, "S1", "n%u says that it has a snapshot at %llu, and the newest is at %llu",
                   (unsigned)node->id, (unsigned long long)index, (unsigned long long)node->newest.index);
}

bool operator_snapshot(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    struct request *request;
    if (!operator_can_ask(world, draw->a) || !world->profile.snapshots)
        return false;
    TRACE(world, "FAULT snapshot: n%u is asked for one", (unsigned)node->id);
    int error = request_new(&node->gauge, REQUEST_SNAPSHOT, NULL, 0, &request);
    LASH_ASSERT(!error);
    request->done = operator_snapshot_ended;
    request->argument = node;
    client_hand(node, request);
    return true;
}

bool operator_upgrade(struct world *world, const struct fault_draw *draw) {
    static const uint64_t versions[] = {OPERATOR_FEATURES, OPERATOR_FEATURES & ~WIRE_LEASES,
                                        OPERATOR_FEATURES & ~(WIRE_LEASES | WIRE_SNAPSHOTS),
                                        OPERATOR_FEATURES & ~WIRE_PARTS};
    struct world_node *node = &world->nodes[draw->a];
    uint64_t features = versions[draw->number % (sizeof versions / sizeof versions[0])];
    if (!world_alive(node) || node->features == features)
        return false;
    TRACE(world, "FAULT upgrade: n%u goes on with features %llx", (unsigned)node->id, (unsigned long long)features);
    world_kill(world, draw->a);
    node->features = features;
    world_plan(world, 1 + draw->lasting_us, EVENT_START, draw->a, 0);
    return true;
}

/* ---- The end ------------------------------------------------------------------------------------------- */

void operator_heal(struct world *world) {
    for (size_t i = 0; i < world->count; i++) {
        struct world_node *node = &world->nodes[i];
        if (node->features != OPERATOR_FEATURES && world_alive(node))
            world_kill(world, i);
        node->features = OPERATOR_FEATURES;
    }
}

/* Whether a node that was removed can learn of it: somebody is where it looks for members. */
static bool operator_may_learn(const struct world *world, size_t position) {
    for (size_t i = 0; i < world->count; i++)
        if (operator_counts(world, i) && world->nodes[i].replica && world_peers_finds(world, position, i))
            return true;
    return false;
}

const char *operator_lacks(struct world *world) {
    const struct lash_configuration *now = judge_governing(world->judge);
    const struct fault_draw anyone = {.flag = true};
    bool asked;
    if (!world->profile.operators)
        return NULL;
    operator_look(world);
    for (uint32_t i = 0; i < now->count; i++)
        if ((now->members[i].flags & LASH_MEMBER_VOTER_OLD) != 0)
            return "the end of a joint configuration";
    for (size_t i = 0; i < world->count; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (replica && !replica_error(replica) && replica->members.member && !operator_counts(world, i) &&
            operator_may_learn(world, i))
            return "the word that a node was removed";
    }
    return operator_tell(world, &anyone, &asked) ? "an address" : NULL;
}
