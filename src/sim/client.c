/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients, the state machine that they write to, and what both must see. Each
 * command has a number of its own. The order in which commands are committed is the
 * witness for linearizability: a command takes its place in it between its begin and
 * its end, and a read reflects all that had ended before it began.
 */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "node/replica_state.h"
#include "raft/random.h"
#include "sim/memory.h"
#include "sim/world_session.h"
#include "sim/world_store.h"

enum { CLIENT_DATA_MAX = 4096 };

struct client_call {
    struct list link; /* of its node's */
    struct world_node *node;
    uint64_t number; /* of the command; 0: a read */
    uint64_t call;   /* the request's own number */
    uint32_t client;
    lash_index floor; /* acknowledged when it began */
};

/* ---- The state machine --------------------------------------------------------------------------------- */

/* Whether a command behind whose number there is no request of the store's is as client_submit makes it. */
static bool machine_filled(const struct lash_command *command, uint64_t number) {
    const uint8_t *data = (const uint8_t *)command->data + sizeof number;
    size_t size = command->size - sizeof number;
    return size == 0 || (data[0] == (number & 0xff) && memcmp(data, data + 1, size - 1) == 0);
}

void machine_command(struct world_node *node, const struct lash_command *command, uint64_t digest) {
    struct world *world = node->world;
    uint64_t number = 0;
    if (command->size < sizeof number)
        world_fail(world, "L2", "n%u applies %zu bytes that nobody proposed", (unsigned)node->id, command->size);
    memcpy(&number, command->data, sizeof number);
    if (number == 0 || number > world->command_count)
        world_fail(world, "L2", "n%u applies a command that nobody proposed", (unsigned)node->id);
    if (!node->store && !machine_filled(command, number))
        world_fail(world, "L2", "n%u applies command %llu with bytes that nobody proposed", (unsigned)node->id,
                   (unsigned long long)number);
    if (command->index <= node->machine.applied)
        world_fail(world, "L5", "n%u applies %llu again", (unsigned)node->id, (unsigned long long)command->index);
    struct world_command *known = &world->commands[number - 1];
    if (known->index == 0)
        known->index = command->index;
    if (known->index != command->index)
        world_fail(world, node->session ? "X1" : "L4", "command %llu was applied at %llu and now at %llu",
                   (unsigned long long)number, (unsigned long long)known->index, (unsigned long long)command->index);
    if (known->fate == WORLD_DROPPED)
        world_fail(world, "R1", "command %llu is applied, and was said to be dropped", (unsigned long long)number);
    node->machine.state = random_mix(node->machine.state ^ crc32c(digest & UINT32_MAX, command->data, command->size)) +
                          command->index + digest;
    node->machine.applied = command->index;
    node->apply_count++;
}

/* Commands that clients made as they are. Errors: those of the store. */
static int machine_commands(struct world_node *node, const struct lash_command *commands, size_t count,
                            lash_index last) {
    uint64_t *digests = memory_new(count, sizeof *digests);
    int error = node->store ? world_store_apply(node, commands, count, last, sizeof(uint64_t), digests) : 0;
    for (size_t i = 0; !error && i < count; i++)
        machine_command(node, &commands[i], digests[i]);
    memory_free(digests);
    return error;
}

int machine_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    struct world_node *node = context;
    if (node->apply_error)
        return node->apply_error;
    lash_index from = node->machine.applied;
    int error = node->session ? world_session_apply(node, commands, count, last)
                              : machine_commands(node, commands, count, last);
    if (error)
        return error;
    if (last < node->machine.applied)
        world_fail(node->world, "L5", "n%u applies up to %llu, and has %llu", (unsigned)node->id,
                   (unsigned long long)last, (unsigned long long)node->machine.applied);
    if (node->witness && count)
        world_fail(node->world, "W1", "n%u, a witness, applies commands", (unsigned)node->id);
    judge_apply(node->world->judge, node->id, from, last, count);
    node->machine.applied = last;
    uint64_t table = node->session ? world_session_hash(node) : 0;
    judge_state(node->world->judge, node->id, last, (node->machine.state ^ table) * 2 + 1);
    TRACE(node->world, "n%u applies %llu to %llu", (unsigned)node->id, (unsigned long long)from + 1,
          (unsigned long long)last);
    return 0;
}

int machine_room(void *context) {
    const struct world_node *node = context;
    return node->room_error;
}

/* ---- Ends ------------------------------------------------------------------------------------------------- */

static void client_next(struct world *world, uint32_t client) {
    if (client == WORLD_NO_CLIENT)
        return;
    world->clients[client].call = 0;
    if (!world->healed)
        world_plan(world, 1 + world_draw(world, DOMAIN_CLIENT, world->profile.think_span_us), EVENT_CLIENT, client, 0);
}

static void client_read_ended(struct world *world, const struct client_call *call, int error, lash_index index) {
    struct world_node *node = call->node;
    world->tally.reads += !error;
    world->tally.reads_failed += error != 0;
    if (!error && (index < call->floor || node->machine.applied < judge_effective(world->judge, index)))
        world_fail(world, "R1", "a read at n%u reflects %llu and the machine %llu; acknowledged were %llu",
                   (unsigned)node->id, (unsigned long long)index, (unsigned long long)node->machine.applied,
                   (unsigned long long)call->floor);
    if (!error && node->store)
        world_store_read(node, call->floor);
}

static void client_write_ended(struct world *world, const struct client_call *call, int error, lash_index index) {
    struct world_command *command = &world->commands[call->number - 1];
    bool dropped = error == LASH_DROPPED || error == LASH_NO_LEADER || error == LASH_BUSY || error == LASH_FULL ||
                   error == LASH_BACKLOG || error == LASH_WITNESS;
    LASH_ASSERT(command->fate == WORLD_OPEN);
    command->fate = !error ? WORLD_DONE : dropped ? WORLD_DROPPED : WORLD_UNSURE;
    world->tally.done += !error;
    world->tally.dropped += dropped;
    world->tally.unsure += error && !dropped;
    if (!error && (index <= call->floor || command->index != index))
        world_fail(world, "R1", "command %llu ends with index %llu; it is at %llu, and %llu was acknowledged before it",
                   (unsigned long long)call->number, (unsigned long long)index, (unsigned long long)command->index,
                   (unsigned long long)call->floor);
    if (!error && index > judge_committed(world->judge))
        world_fail(world, "D1", "command %llu is acknowledged and %llu not committed", (unsigned long long)call->number,
                   (unsigned long long)index);
    if (dropped && command->index != 0)
        world_fail(world, "R1", "command %llu is said to be dropped, and was applied at %llu",
                   (unsigned long long)call->number, (unsigned long long)command->index);
    /* What may or may not have been carried out is tried again. */
    if (call->client != WORLD_NO_CLIENT)
        world->clients[call->client].again = error ? call->number : 0;
}

static void client_ended(void *argument, int error, lash_index index) {
    struct client_call *call = argument;
    struct world *world = call->node->world;
    TRACE(world, "n%u ends %s %llu: %s, index %llu", (unsigned)call->node->id, call->number ? "command" : "read",
          (unsigned long long)(call->number ? call->number : call->call), lash_strerror(error),
          (unsigned long long)index);
    if (!error && call->node->halted)
        world_fail(world, "D4", "n%u acknowledges after its sync has failed", (unsigned)call->node->id);
    if (!error && call->node->witness && witness_here(call->node->replica))
        world_fail(world, "W1", "n%u, a witness, serves a client", (unsigned)call->node->id);
    world->outstanding--;
    if (call->number)
        client_write_ended(world, call, error, index);
    else
        client_read_ended(world, call, error, index);
    if (!error && index > world->acknowledged)
        world->acknowledged = index;
    client_next(world, call->client);
    list_remove(&call->link);
    memory_free(call);
}

void client_abandon(struct world_node *node) {
    struct world *world = node->world;
    struct list *at;
    while ((at = list_pop(&node->calls))) {
        struct client_call *call = list_entry(at, struct client_call, link);
        world->outstanding--;
        if (call->number)
            world->tally.abandoned++;
        if (call->number && call->client != WORLD_NO_CLIENT)
            world->clients[call->client].again = call->number;
        client_next(world, call->client);
        memory_free(call);
    }
}

/* ---- Begins ------------------------------------------------------------------------------------------------- */

void client_hand(struct world_node *node, struct request *request) {
    struct list requests;
    list_init(&requests);
    list_push(&requests, &request->link);
    replica_submit(node->replica, &requests);
    world_turn_soon(node);
}

/* Give a request to a node that runs. */
static void client_submit(struct world *world, size_t position, enum request_kind kind, uint64_t number,
                          uint32_t client) {
    struct world_node *node = &world->nodes[position];
    static uint8_t data[sizeof number + CLIENT_DATA_MAX];
    size_t size = 0;
    if (number) {
        size = sizeof number;
        memcpy(data, &number, sizeof number);
        if (world->profile.store)
            size += world_store_draw(world, data + sizeof number, CLIENT_DATA_MAX);
        else if (world->profile.data_max)
            size += world_draw(world, DOMAIN_CLIENT, world->profile.data_max);
        if (!world->profile.store)
            memset(data + sizeof number, (int)(number & 0xff), size - sizeof number);
    }
    struct request *request;
    int error = request_new(&node->gauge, kind, data, size, &request);
    LASH_ASSERT(!error);
    struct client_call *call = memory_new(1, sizeof *call);
    *call = (struct client_call){.node = node, .number = number, .client = client, .call = ++world->calls};
    call->floor = number ? world->acknowledged : judge_committed(world->judge);
    list_init(&call->link);
    list_push(&node->calls, &call->link);
    request->done = client_ended;
    request->argument = call;
    if (client != WORLD_NO_CLIENT)
        world->clients[client].call = call->call;
    world->outstanding++;
    client_hand(node, request);
}

uint64_t world_command(struct world *world) {
    world->commands =
        memory_room(world->commands, &world->commands_capacity, world->command_count + 1, sizeof *world->commands);
    return ++world->command_count;
}

static uint64_t client_propose(struct world *world, size_t position, uint32_t client) {
    uint64_t number = world_command(world);
    TRACE(world, "n%zu is asked for command %llu", position + 1, (unsigned long long)number);
    client_submit(world, position, REQUEST_COMMAND, number, client);
    return number;
}

static void client_read(struct world *world, size_t position, uint32_t client) {
    TRACE(world, "n%zu is asked for read %llu", position + 1, (unsigned long long)world->calls + 1);
    client_submit(world, position, REQUEST_READ, 0, client);
}

uint64_t world_propose(struct world *world, size_t position) {
    if (world->profile.sessions)
        return world_session_propose(world, position);
    return client_propose(world, position, WORLD_NO_CLIENT);
}

void world_read(struct world *world, size_t position) {
    client_read(world, position, WORLD_NO_CLIENT);
}

enum world_fate world_fate(const struct world *world, uint64_t number) {
    LASH_ASSERT(number >= 1 && number <= world->command_count);
    return (enum world_fate)world->commands[number - 1].fate;
}

static void client_transferred(void *argument, int error, lash_index index) {
    struct world *world = argument;
    if (index != 0)
        world_fail(world, "contract", "a transfer ends with index %llu", (unsigned long long)index);
    TRACE(world, "a transfer ends: %s", lash_strerror(error));
    world->tally.transfers++;
    world->transfer_error = error;
}

void world_transfer(struct world *world, size_t position, size_t target) {
    struct world_node *node = &world->nodes[position];
    struct request *request;
    int error = request_new(&node->gauge, REQUEST_TRANSFER, NULL, 0, &request);
    LASH_ASSERT(!error);
    request->target = target < world->count ? target + 1 : 0;
    request->done = client_transferred;
    request->argument = world;
    client_hand(node, request);
}

/* Ask a node that runs; when the one chosen does not, later. */
void client_event(struct world *world, const struct event *event) {
    if (world->profile.sessions) {
        world_session_event(world, event);
        return;
    }
    struct world_client *client = &world->clients[event->subject];
    size_t position = (size_t)world_draw(world, DOMAIN_CLIENT, world->count);
    bool read = world_draw(world, DOMAIN_CLIENT, 100) < world->profile.read_percent;
    const struct world_node *node = &world->nodes[position];
    if (world->healed || client->call)
        return;
    if (!node->replica || replica_error(node->replica) || node->paused_us > world->now_us) {
        client_next(world, event->subject);
        return;
    }
    if (client->again || !read) {
        client->retries += client->again != 0;
        client->again = 0;
        (void)client_propose(world, position, event->subject);
    } else {
        client_read(world, position, event->subject);
    }
}
