/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions in a simulated world.
 */
#include "sim/world_session.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "raft/random.h"
#include "session/client.h"
#include "sim/memory.h"
#include "sim/operator.h"
#include "sim/world_snapshot.h"

enum {
    SESSION_REPLY_BYTES = 24,
    SESSION_FILL_MAX = 64,       /* bytes of a command behind its number */
    SESSION_CLOSES_OF_64 = 1,    /* times that a client thinks of closing its session, */
    SESSION_DIES_OF_64 = 1,      /* is no more, */
    SESSION_PAUSES_OF_64 = 2,    /* or falls silent, */
    SESSION_PAUSES_OF_4 = 1,     /* which it does so often when it does not know what became of a command */
    SESSION_ROAMS_OF_8 = 3,      /* attempts that go to any node rather than to the client's own */
    SESSION_REFUSES_EVERY = 100, /* batches, or commands */
    SESSION_SNAPS_EVERY = 6,     /* batches */
    SESSIONS_OF_TESTS = 64,      /* at a time */
    SESSION_RATE_SPAN = 20001,   /* by so many millionths clocks may differ */
};

/* A command that a client waits for. */
struct session_ask {
    struct list link; /* session->asks */
    struct session *session;
    uint64_t number;
    lash_index floor; /* acknowledged when it began */
};

struct session_attempt {
    struct list link; /* of its node's */
    struct session *session;
    struct client_call *call;
};

/* One client's session. */
struct session {
    struct list link; /* sessions->live */
    struct world *world;
    uint64_t id;       /* of the session in the world; the log has another one */
    uint32_t owner;    /* client; WORLD_NO_CLIENT: made for one command */
    size_t position;   /* the client's own node */
    uint64_t rate_ppm; /* of its clock, */
    uint64_t offset_ms;
    uint64_t paused_us;
    uint64_t timer_us; /* an event is planned for then; UINT64_MAX: none */
    uint64_t flying;
    bool dead; /* its process is: nobody hears of what is still under way */
    struct list asks;
    struct client client;
};

struct session_row {
    uint64_t id;
    uint8_t *data;
    size_t size;
};

/* A snapshot, with the program's state. */
struct session_snapshot {
    uint8_t *bytes;
    uint64_t size;
    uint64_t capacity;
    uint64_t at; /* read so far */
    struct world_machine machine;
};

/* What a node has of sessions. */
struct world_session_node {
    lash_sessions *table;
    struct list attempts;
    /* On its disk. */
    struct session_row *rows;
    uint64_t row_count;
    uint64_t row_capacity;
    struct session_snapshot snapshot;
    uint64_t refuses_until_us; /* its disk has no room */
};

/* Where programs keep their state: nowhere, in the transactions of their commits, or in a snapshot now and then. */
enum session_keeping { SESSION_KEEPS_NOTHING, SESSION_KEEPS_ROWS, SESSION_KEEPS_SNAPSHOTS, SESSION_KEEPINGS };

struct world_sessions {
    struct session_limits limits;
    uint64_t retry_ms;
    enum session_keeping keeping;
    uint64_t ids;
    struct list live;
    struct session **clients; /* NULL: the next thought opens one */
    uint64_t *replies;        /* hash of the reply to a command, by number - 1; 0: none yet */
    uint64_t replies_capacity;
};

/* ---- The program behind the table ---------------------------------------------------------------------- */

/* Where the program keeps its state there is no room for a while, now and then; the log may have some. */
static bool session_disk_refuses(struct world_node *node) {
    struct world *world = node->world;
    if (world->healed)
        return false;
    if (world_draw(world, DOMAIN_DISK, SESSION_REFUSES_EVERY) == 0)
        node->session->refuses_until_us = world->now_us + world_draw(world, DOMAIN_DISK, world->profile.lasting_us);
    return node->session->refuses_until_us > world->now_us;
}

/* X1: the reply to a command is the same wherever and whenever it is applied. */
static void session_judge_reply(struct world_node *node, uint64_t number, uint64_t hash) {
    struct world *world = node->world;
    struct world_sessions *sessions = world->sessions;
    sessions->replies = memory_room(sessions->replies, &sessions->replies_capacity, number, sizeof *sessions->replies);
    uint64_t *known = &sessions->replies[number - 1];
    if (*known && *known != hash)
        world_fail(world, "X1", "n%u answers command %llu with something else", (unsigned)node->id,
                   (unsigned long long)number);
    *known = hash;
}

static int session_apply(void *context, const struct lash_command *command, struct lash_reply *reply) {
    struct world_node *node = context;
    if (node->world->sessions->keeping != SESSION_KEEPS_ROWS && session_disk_refuses(node))
        return LASH_FULL;
    machine_command(node, command, 0);
    uint64_t words[3] = {0, command->index, node->machine.state};
    memcpy(&words[0], command->data, sizeof words[0]);
    int error = lash_reply_write(reply, words, SESSION_REPLY_BYTES);
    if (error && error != LASH_NOMEM)
        world_fail(node->world, "contract", "a reply of %d bytes is refused: %s", SESSION_REPLY_BYTES,
                   lash_strerror(error));
    if (!error)
        session_judge_reply(node, words[0], words[2] | 1);
    return error;
}

static void session_put_row(struct world_session_node *disk, const struct lash_session_row *row) {
    uint64_t at = 0;
    while (at < disk->row_count && disk->rows[at].id != row->id)
        at++;
    if (at == disk->row_count) {
        if (!row->data)
            return;
        disk->rows = memory_room(disk->rows, &disk->row_capacity, at + 1, sizeof *disk->rows);
        disk->row_count++;
    } else {
        memory_free(disk->rows[at].data);
    }
    if (!row->data) {
        disk->rows[at] = disk->rows[--disk->row_count];
        return;
    }
    disk->rows[at] = (struct session_row){.id = row->id, .data = memory_new(row->size, 1), .size = row->size};
    memcpy(disk->rows[at].data, row->data, row->size);
}

static int session_commit(void *context, lash_index last, const struct lash_session_row *rows, size_t count) {
    struct world_node *node = context;
    (void)last;
    if (session_disk_refuses(node))
        return LASH_FULL;
    for (size_t i = 0; i < count; i++)
        session_put_row(node->session, &rows[i]);
    return 0;
}

static int session_write(void *context, const void *data, size_t size) {
    struct session_snapshot *snapshot = context;
    snapshot->bytes = memory_room(snapshot->bytes, &snapshot->capacity, snapshot->size + size, 1);
    memcpy(snapshot->bytes + snapshot->size, data, size);
    snapshot->size += size;
    return 0;
}

static int session_read(void *context, void *data, size_t size, size_t *got) {
    struct session_snapshot *snapshot = context;
    uint64_t left = snapshot->size - snapshot->at;
    *got = size < left ? size : (size_t)left;
    memcpy(data, snapshot->bytes + snapshot->at, *got);
    snapshot->at += *got;
    return 0;
}

/* Put table and state, after everything up to `last`, in the place of the snapshot before, unless memory runs out. */
static void session_snap(struct world_node *node, lash_index last) {
    struct session_snapshot *snapshot = &node->session->snapshot;
    struct session_snapshot new = {.machine = {last, node->machine.state}};
    struct table_view *view;
    if (view_new(&node->session->table->table, &view) != 0)
        return;
    int error = view_write(view, &(struct view_sink){&new, session_write});
    view_free(view);
    memory_free(error ? new.bytes : snapshot->bytes);
    if (!error)
        *snapshot = new;
}

int world_session_apply(struct world_node *node, const struct lash_command *commands, size_t count, lash_index last) {
    struct world_machine before = node->machine;
    struct lash_state_machine machine = lash_sessions_machine(node->session->table);
    int error = machine.apply(machine.context, commands, count, last);
    /* Who keeps its state on disk has undone everything, others what was not applied. */
    enum session_keeping keeping = node->world->sessions->keeping;
    if (error && keeping == SESSION_KEEPS_ROWS)
        node->machine = before;
    else if (error)
        node->machine.applied = before.applied;
    else if (keeping == SESSION_KEEPS_SNAPSHOTS && world_draw(node->world, DOMAIN_DISK, SESSION_SNAPS_EVERY) == 0)
        session_snap(node, last);
    return error;
}

lash_sessions *world_session_table(const struct world_node *node) {
    return node->session->table;
}

uint64_t world_session_hash(const struct world_node *node) {
    const struct table *table = &node->session->table->table;
    uint8_t head[ROW_TABLE_SIZE];
    row_encode_table(table, head);
    uint64_t hash = crc32c(0, head, sizeof head);
    for (size_t i = 0; i < table->count; i++) {
        size_t size = row_size(table->by_id[i]);
        uint8_t *row = memory_new(size, 1);
        row_encode(table->by_id[i], row);
        hash = random_mix(hash ^ crc32c(0, row, size));
        memory_free(row);
    }
    return hash;
}

/* ---- Nodes ------------------------------------------------------------------------------------------------ */

static void session_load(struct world_node *node, bool table) {
    const struct world_session_node *disk = node->session;
    for (uint64_t i = 0; i < disk->row_count; i++) {
        const struct session_row *row = &disk->rows[i];
        if ((row->id == 0) != table)
            continue;
        int error = lash_sessions_load(disk->table, &(struct lash_session_row){row->id, row->data, row->size});
        if (error)
            world_fail(node->world, "contract", "n%u's row of session %llu is refused: %s", (unsigned)node->id,
                       (unsigned long long)row->id, lash_strerror(error));
    }
}

static void session_drop(struct world_session_node *disk) {
    while (disk->row_count > 0)
        memory_free(disk->rows[--disk->row_count].data);
    memory_free(disk->snapshot.bytes);
    disk->snapshot = (struct session_snapshot){0};
}

static void session_close_table(struct world_node *node) {
    lash_sessions_free(node->session->table);
    node->session->table = NULL;
}

/* ---- Snapshots of nodes ------------------------------------------------------------------------------------- */

static struct lash_state_machine session_machine(const struct world_node *node) {
    return lash_sessions_machine(node->session->table);
}

static int session_snapshot_begin(void *context, lash_index index, void **view) {
    struct lash_state_machine machine = session_machine(context);
    return machine.snapshot_begin(machine.context, index, view);
}

static int session_snapshot_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    struct lash_state_machine machine = session_machine(context);
    return machine.snapshot_write(machine.context, view, sink);
}

static void session_snapshot_end(void *context, void *view) {
    struct lash_state_machine machine = session_machine(context);
    machine.snapshot_end(machine.context, view);
}

static int session_snapshot_restore(void *context, struct lash_snapshot_source *source, lash_index index) {
    struct world_node *node = context;
    struct lash_state_machine machine = session_machine(node);
    int error = machine.restore(machine.context, source, index);
    if (!error)
        judge_state(node->world->judge, node->id, index, (node->machine.state ^ world_session_hash(node)) * 2 + 1);
    return error;
}

void world_session_snapshots(struct lash_state_machine *machine) {
    machine->snapshot_begin = session_snapshot_begin;
    machine->snapshot_write = session_snapshot_write;
    machine->snapshot_end = session_snapshot_end;
    machine->restore = session_snapshot_restore;
}

/* The program behind the table is restored, its rows with it. */
static int session_restore_program(void *context, struct lash_snapshot_source *source, lash_index index,
                                   const struct lash_session_row *rows, size_t count) {
    struct world_node *node = context;
    int error = snapshot_machine_restore(context, source, index);
    if (error)
        return error;
    session_drop(node->session);
    for (size_t i = 0; i < count; i++)
        session_put_row(node->session, &rows[i]);
    return 0;
}

/* ---- Starts --------------------------------------------------------------------------------------------------- */

/* Take table and state from the snapshot, if there is one. */
static void session_restore(struct world_node *node) {
    struct session_snapshot *snapshot = &node->session->snapshot;
    struct table table;
    node->machine = snapshot->machine;
    if (snapshot->size == 0)
        return;
    table_init(&table);
    snapshot->at = 0;
    int error = view_read(&table, &(struct view_source){snapshot, session_read});
    if (error || snapshot->at != snapshot->size)
        world_fail(node->world, "contract", "n%u's snapshot is refused: %s", (unsigned)node->id, lash_strerror(error));
    table_replace(&node->session->table->table, &table);
    table_clear(&table);
}

void world_session_open(struct world_node *node) {
    enum session_keeping keeping = node->world->sessions->keeping;
    struct lash_session_machine machine = {.context = node, .apply = session_apply, .room = machine_room};
    if (keeping == SESSION_KEEPS_ROWS)
        machine.commit = session_commit;
    if (node->world->profile.snapshots) {
        machine.snapshot_begin = snapshot_machine_begin;
        machine.snapshot_write = snapshot_machine_write;
        machine.snapshot_end = snapshot_machine_end;
        machine.restore = session_restore_program;
    }
    if (!node->session) {
        node->session = memory_new(1, sizeof *node->session);
        list_init(&node->session->attempts);
    }
    int error = lash_sessions_new(&machine, &node->session->table);
    LASH_ASSERT(!error);
    if (keeping != SESSION_KEEPS_ROWS)
        session_restore(node);
    session_load(node, true);
    session_load(node, false);
}

/* ---- Attempts ------------------------------------------------------------------------------------------------ */

static uint64_t session_ms(const struct session *session) {
    return session->offset_ms + session->world->now_us * session->rate_ppm / 1000000 / 1000;
}

static void session_plan(struct session *session, uint64_t at_us) {
    if (session->timer_us <= at_us && session->timer_us > session->world->now_us)
        return;
    session->timer_us = at_us;
    world_plan(session->world, at_us - session->world->now_us, EVENT_CLIENT, WORLD_NO_CLIENT, session->id);
}

/* The client turns to the log again, soon. */
static void session_plan_soon(struct session *session) {
    session_plan(session, session->world->now_us + 1);
}

/* The client falls silent, perhaps for so long that its session ends. */
static void session_pause(struct session *session) {
    struct world *world = session->world;
    session->paused_us = world->now_us + world_draw(world, DOMAIN_CLIENT, world->sessions->limits.timeout_ms * 2000);
}

static void session_ended(struct session_attempt *attempt, int error, lash_index index) {
    struct session *session = attempt->session;
    struct world *world = session->world;
    TRACE(world, "session %llu: an attempt ends: %s, index %llu", (unsigned long long)session->id, lash_strerror(error),
          (unsigned long long)index);
    world->outstanding--;
    session->flying--;
    if (!error && index > judge_committed(world->judge))
        world_fail(world, "D1", "an attempt is acknowledged and %llu not committed", (unsigned long long)index);
    /* Where one process has ended there is another one to turn to. */
    client_ended(attempt->call, session_ms(session), error == LASH_CLOSED ? LASH_UNKNOWN : error, index);
    if (attempt->call->kind == COMMAND_APPLY && attempt->call->unsure &&
        world_draw(world, DOMAIN_CLIENT, 4) < SESSION_PAUSES_OF_4)
        session_pause(session);
    list_remove(&attempt->link);
    memory_free(attempt);
    session_plan_soon(session);
}

static void session_attempt_done(void *argument, int error, lash_index index) {
    session_ended(argument, error, index);
}

static bool session_takes(const struct world_node *node) {
    bool member = !node->witness && (!node->world->healed || operator_counts(node->world, node->id - 1));
    return member && node->replica && !replica_error(node->replica) && node->paused_us <= node->world->now_us;
}

/* Where an attempt goes; NULL: who is asked does not answer. Once faults are over a client finds who does. */
static struct world_node *session_node(const struct session *session) {
    struct world *world = session->world;
    size_t position = session->position;
    if (session->owner != WORLD_NO_CLIENT && world_draw(world, DOMAIN_CLIENT, 8) < SESSION_ROAMS_OF_8)
        position = (size_t)world_draw(world, DOMAIN_CLIENT, world->count);
    for (size_t i = 0; world->healed && i < world->count && !session_takes(&world->nodes[position]); i++)
        position = (position + 1) % world->count;
    return session_takes(&world->nodes[position]) ? &world->nodes[position] : NULL;
}

static int session_propose(void *context, struct client_call *call, const void *data, size_t size) {
    struct session *session = context;
    struct world *world = session->world;
    struct world_node *node = session_node(session);
    struct request *request;
    if (!node)
        return LASH_BUSY;
    int error = request_new(&node->gauge, REQUEST_COMMAND, data, size, &request);
    if (error)
        return error;
    TRACE(world, "session %llu asks n%u: kind %d, sequence %llu", (unsigned long long)session->id, (unsigned)node->id,
          (int)call->kind, (unsigned long long)call->sequence);
    struct session_attempt *attempt = memory_new(1, sizeof *attempt);
    *attempt = (struct session_attempt){.session = session, .call = call};
    list_init(&attempt->link);
    list_push(&node->session->attempts, &attempt->link);
    request->user = &call->result;
    request->done = session_attempt_done;
    request->argument = attempt;
    world->outstanding++;
    session->flying++;
    client_hand(node, request);
    return 0;
}

void world_session_die(struct world_node *node, bool power) {
    while (!list_empty(&node->session->attempts))
        session_ended(list_entry(node->session->attempts.next, struct session_attempt, link), LASH_UNKNOWN, 0);
    session_close_table(node);
    if (power)
        session_drop(node->session);
}

/* ---- Ends of commands, judged --------------------------------------------------------------------------------- */

static bool session_certain(int error) {
    return error != LASH_UNKNOWN && error != LASH_CLOSED;
}

static void session_judge(const struct session_ask *ask, int error, const void *reply, size_t size) {
    struct world *world = ask->session->world;
    struct world_command *command = &world->commands[ask->number - 1];
    unsigned long long number = ask->number;
    uint64_t words[3] = {0};
    if (error && session_certain(error) && command->index)
        world_fail(world, "X1", "command %llu is said not to be carried out (%s), and was applied at %llu", number,
                   lash_strerror(error), (unsigned long long)command->index);
    if (error)
        return;
    if (size != SESSION_REPLY_BYTES)
        world_fail(world, "X1", "command %llu is answered with %zu bytes", number, size);
    memcpy(words, reply, sizeof words);
    if (words[0] != ask->number || words[1] != command->index ||
        (words[2] | 1) != world->sessions->replies[ask->number - 1])
        world_fail(world, "X1", "command %llu, applied at %llu, gets the answer of %llu at %llu", number,
                   (unsigned long long)command->index, (unsigned long long)words[0], (unsigned long long)words[1]);
    if (command->index <= ask->floor)
        world_fail(world, "R1", "command %llu takes effect at %llu; %llu was acknowledged before it", number,
                   (unsigned long long)command->index, (unsigned long long)ask->floor);
    if (command->index > world->acknowledged)
        world->acknowledged = command->index;
}

static void session_forget(struct session_ask *ask, enum world_fate fate) {
    struct world *world = ask->session->world;
    world->commands[ask->number - 1].fate = fate;
    world->outstanding--;
    list_remove(&ask->link);
    memory_free(ask);
}

static void session_done(void *argument, int error, const void *reply, size_t size) {
    struct session_ask *ask = argument;
    struct world *world = ask->session->world;
    TRACE(world, "session %llu: command %llu ends: %s", (unsigned long long)ask->session->id,
          (unsigned long long)ask->number, lash_strerror(error));
    session_judge(ask, error, reply, size);
    world->tally.done += !error;
    world->tally.dropped += error && session_certain(error);
    world->tally.unsure += !session_certain(error);
    session_forget(ask, !error ? WORLD_DONE : session_certain(error) ? WORLD_DROPPED : WORLD_UNSURE);
}

static void session_tell(struct session *session) {
    struct list *at;
    while ((at = list_pop(&session->client.ended))) {
        struct client_call *call = list_entry(at, struct client_call, link);
        const struct buf *reply = call->result.reply;
        call->done(call->argument, call->error, reply ? reply->data : NULL, reply ? reply->size : 0);
        client_call_free(call);
    }
}

/* ---- Lives of sessions -------------------------------------------------------------------------------------------- */

static struct session *session_open(struct world *world, uint32_t owner, size_t position) {
    struct world_sessions *sessions = world->sessions;
    struct session *session = memory_new(1, sizeof *session);
    *session = (struct session){
        .world = world, .id = ++sessions->ids, .owner = owner, .position = position, .timer_us = UINT64_MAX};
    session->rate_ppm = 1000000 - SESSION_RATE_SPAN / 2 + world_draw(world, DOMAIN_CLIENT, SESSION_RATE_SPAN);
    session->offset_ms = world_draw(world, DOMAIN_CLIENT, UINT32_MAX);
    list_init(&session->asks);
    list_init(&session->link);
    list_push(&sessions->live, &session->link);
    const struct client_env env = {.context = session, .propose = session_propose};
    client_init(&session->client, &env, &sessions->limits, sessions->retry_ms,
                world_draw(world, DOMAIN_CLIENT, UINT32_MAX));
    session_plan_soon(session);
    return session;
}

/* Nothing of it is under way. */
static void session_free_one(struct session *session) {
    struct world_sessions *sessions = session->world->sessions;
    while (!list_empty(&session->asks))
        session_forget(list_entry(session->asks.next, struct session_ask, link), WORLD_UNSURE);
    if (session->owner != WORLD_NO_CLIENT && sessions->clients[session->owner] == session)
        sessions->clients[session->owner] = NULL;
    list_remove(&session->link);
    client_free(&session->client);
    memory_free(session);
}

/* A command of a session. False when it takes none now. */
static bool session_ask(struct session *session, uint64_t *number) {
    struct world *world = session->world;
    uint8_t data[sizeof *number + SESSION_FILL_MAX];
    size_t size = sizeof *number + world_draw(world, DOMAIN_CLIENT, SESSION_FILL_MAX);
    *number = world_command(world);
    memcpy(data, number, sizeof *number);
    memset(data + sizeof *number, (int)(*number & 0xff), size - sizeof *number);
    struct session_ask *ask = memory_new(1, sizeof *ask);
    *ask = (struct session_ask){.session = session, .number = *number, .floor = world->acknowledged};
    list_init(&ask->link);
    int error = client_propose(&session->client, session_ms(session), data, size, session_done, ask);
    if (error) {
        world->commands[*number - 1].fate = WORLD_DROPPED;
        memory_free(ask);
        return false;
    }
    list_push(&session->asks, &ask->link);
    world->outstanding++;
    return true;
}

uint64_t world_session_propose(struct world *world, size_t position) {
    struct session *session = session_open(world, WORLD_NO_CLIENT, position);
    uint64_t number;
    bool taken = session_ask(session, &number);
    LASH_ASSERT(taken);
    return number;
}

/* ---- Events -------------------------------------------------------------------------------------------------------- */

static struct session *session_find(const struct world *world, uint64_t id) {
    struct list *at;
    for (at = world->sessions->live.next; at != &world->sessions->live; at = at->next) {
        struct session *session = list_entry(at, struct session, link);
        if (session->id == id)
            return session;
    }
    return NULL;
}

/* Whether it is to be closed in order, as soon as nothing is under way. */
static bool session_over(const struct session *session) {
    bool idle = list_empty(&session->client.calls);
    return idle &&
           (session->owner == WORLD_NO_CLIENT || session->world->healed || session->client.state == CLIENT_EXPIRED);
}

static void session_turn(struct session *session) {
    struct world *world = session->world;
    session_tell(session);
    if (session->dead) {
        if (session->flying == 0)
            session_free_one(session);
        return;
    }
    if (session->paused_us > world->now_us && !world->healed) {
        session_plan(session, session->paused_us);
        return;
    }
    if (session_over(session))
        client_close(&session->client);
    uint64_t next_ms = client_turn(&session->client, session_ms(session));
    session_tell(session);
    if (session->client.state == CLIENT_CLOSED) {
        session_free_one(session);
        return;
    }
    if (next_ms != UINT64_MAX) {
        uint64_t now_ms = session_ms(session);
        uint64_t in_ms = next_ms > now_ms ? next_ms - now_ms : 0;
        session_plan(session, world->now_us + in_ms * 1000 * 1000000 / session->rate_ppm + 1);
    } else if (session_over(session) && !session->client.closing) {
        session_plan_soon(session);
    }
}

/* A client does something with its session, or opens one. */
static void session_think(struct world *world, uint32_t owner) {
    struct world_sessions *sessions = world->sessions;
    struct session *session = sessions->clients[owner];
    uint64_t chance = world_draw(world, DOMAIN_CLIENT, 64);
    uint64_t number;
    if (!session) {
        sessions->clients[owner] = session_open(world, owner, (size_t)world_draw(world, DOMAIN_CLIENT, world->count));
    } else if (chance < SESSION_CLOSES_OF_64) {
        client_close(&session->client);
    } else if (chance < SESSION_CLOSES_OF_64 + SESSION_DIES_OF_64) {
        session->dead = true;
        sessions->clients[owner] = NULL;
    } else if (chance < SESSION_CLOSES_OF_64 + SESSION_DIES_OF_64 + SESSION_PAUSES_OF_64) {
        session_pause(session);
    } else {
        (void)session_ask(session, &number);
    }
    if (session)
        session_plan_soon(session);
    world_plan(world, 1 + world_draw(world, DOMAIN_CLIENT, world->profile.think_span_us), EVENT_CLIENT, owner, 0);
}

void world_session_event(struct world *world, const struct event *event) {
    if (event->subject != WORLD_NO_CLIENT) {
        if (!world->healed)
            session_think(world, event->subject);
        return;
    }
    struct session *session = session_find(world, event->argument);
    if (session && session->timer_us == world->now_us) {
        session->timer_us = UINT64_MAX;
        session_turn(session);
    }
}

void world_session_heal(struct world *world) {
    struct list *at;
    for (at = world->sessions->live.next; at != &world->sessions->live; at = at->next)
        session_plan_soon(list_entry(at, struct session, link));
}

/* ---- The whole ------------------------------------------------------------------------------------------------------ */

void world_session_begin(struct world *world) {
    uint64_t random = random_mix(world->options.seed ^ 0x73657373696f6e);
    uint64_t election_ms = world->profile.heartbeat_ms * 10;
    struct world_sessions *sessions = world->sessions = memory_new(1, sizeof *sessions);
    sessions->limits = (struct session_limits){
        .timeout_ms = election_ms << random_between(&random, 1, 7),
        .sessions_max = (uint32_t)((world->profile.operators ? WORLD_NODES_MAX : world->count) +
                                   random_between(&random, 0, 2 * world->profile.clients + 1)),
        .outstanding_max = (uint32_t)(1 + random_between(&random, 0, 12)),
        .reply_bytes_max = SESSION_REPLY_BYTES,
    };
    if (world->options.manual)
        sessions->limits.sessions_max = SESSIONS_OF_TESTS;
    sessions->retry_ms = election_ms << random_between(&random, 2, 7);
    sessions->keeping = (enum session_keeping)random_between(&random, 0, SESSION_KEEPINGS);
    sessions->clients = memory_new(world->profile.clients, sizeof(struct session *));
    list_init(&sessions->live);
}

void world_session_free(struct world *world) {
    struct world_sessions *sessions = world->sessions;
    while (!list_empty(&sessions->live))
        session_free_one(list_entry(sessions->live.next, struct session, link));
    for (size_t i = 0; i < world->count; i++) {
        struct world_session_node *node = world->nodes[i].session;
        if (!node)
            continue;
        lash_sessions_free(node->table);
        session_drop(node);
        memory_free(node->rows);
        memory_free(node);
    }
    memory_free(sessions->clients);
    memory_free(sessions->replies);
    memory_free(sessions);
}
