/* SPDX-License-Identifier: Apache-2.0
 *
 * One replica of three, whose peers say whatever comes to their minds while its
 * disk works, its process dies and its clock goes on. Nobody's words may break an
 * invariant of its own: terms and the commit index do not fall, commands are applied once and in
 * order, and what was synced is there after the process died.
 *
 * Input: steps, each a byte that chooses it and what it takes; packets are a head and a tail behind their sizes.
 */
#include "node/replica.h"

#include "base/buf.h"
#include "fuzz.h"
#include "lash/error.h"
#include "node/wire.h"
#include "sim/memfs.h"

enum { STEPS_MAX = 120, PEERS = 2, SELF = 1, HEARTBEAT_MS = 10, ELECTION_MS = 100, COMMAND_BYTES = 4 };
enum { STEP_PACKET, STEP_WORK, STEP_FINISH, STEP_TIME, STEP_PROPOSE, STEP_READ, STEP_LINK, STEP_KILL, STEPS };
enum { PACKET_RAW = 0x80 }; /* leave the checksums of frames as they are */

struct world {
    struct memfs *fs;
    struct log *log;
    struct replica *replica;
    struct replica_env env;
    struct request_gauge gauge;
    uint64_t now_ms;
    struct list queued[REPLICA_EXECUTORS], worked[REPLICA_EXECUTORS];
    lash_index applied;
    lash_term applied_term;
    size_t open; /* requests */
    lash_term recovered_term;
    lash_term term; /* of this incarnation, as `commit` */
    lash_index commit;
    bool halted;
};

/* ---- The replica's world ------------------------------------------------------------------------- */

static uint64_t now_ms(void *context) {
    return ((struct world *)context)->now_ms;
}

static void arm(void *context, uint64_t deadline_ms) {
    (void)context;
    (void)deadline_ms; /* a turn follows every step */
}

static int send_nowhere(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                        struct buf *const *tails, size_t count) {
    (void)context;
    LASH_ASSERT(lane < TRANSPORT_LANES);
    struct wire_head decoded;
    LASH_ASSERT(peer == 2 || peer == 3);
    LASH_ASSERT(wire_decode(head, head_size, &decoded) == LASH_OK);
    for (size_t i = 0; i < count; i++) {
        struct frame frame;
        size_t used;
        LASH_ASSERT(frame_check(tails[i]->data, tails[i]->size, &frame, &used) == LASH_OK && used == tails[i]->size);
    }
    return 0;
}

static uint64_t features(void *context, lash_id peer) {
    (void)context;
    (void)peer;
    return WIRE_MEMBERS;
}

static void submit_job(void *context, enum replica_executor executor, struct job *job) {
    struct world *world = context;
    list_push(&world->queued[executor], &job->link);
}

static void halt(void *context, int error) {
    (void)error;
    ((struct world *)context)->halted = true;
}

static int apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    struct world *world = context;
    for (size_t i = 0; i < count; i++) {
        LASH_ASSERT(commands[i].index > world->applied && commands[i].term >= world->applied_term);
        world->applied = commands[i].index;
        world->applied_term = commands[i].term;
    }
    LASH_ASSERT(last >= world->applied);
    world->applied = last;
    return 0;
}

static void ended(void *argument, int error, lash_index index) {
    struct world *world = argument;
    LASH_ASSERT(world->open > 0 && error <= 0);
    LASH_ASSERT(error || index <= world->applied);
    world->open--;
}

/* ---- Life ---------------------------------------------------------------------------------------- */

static void check_status(struct world *world) {
    struct lash_status status;
    replica_status(world->replica, &status);
    const struct lash_raft_status *raft = &status.raft;
    LASH_ASSERT(raft->term >= world->term && raft->commit >= world->commit);
    LASH_ASSERT(raft->commit <= raft->last_index && world->applied <= raft->commit);
    LASH_ASSERT(raft->last_term <= raft->term);
    world->term = raft->term;
    world->commit = raft->commit;
}

static void turn(struct world *world) {
    replica_turn(world->replica);
    replica_deliver(world->replica);
    check_status(world);
}

static void start(struct world *world) {
    struct log_options log_options = {
        .vfs = memfs_vfs(world->fs), .dir = "log", .segment_bytes = 4096, .cluster_id = 1, .node_id = SELF};
    struct log_recovered recovered;
    LASH_ASSERT(log_open(&log_options, &world->log, &recovered) == LASH_OK);
    LASH_ASSERT(recovered.torn_bytes == 0 && recovered.term >= world->recovered_term);
    LASH_ASSERT(recovered.last_index >= world->applied);
    world->recovered_term = world->term = recovered.term;
    world->commit = 0;
    struct replica_options options = {.id = SELF,
                                      .part_bytes = 64,
                                      .cluster_id = 1,
                                      .heartbeat_ms = HEARTBEAT_MS,
                                      .election_ms = ELECTION_MS,
                                      .seed = 1,
                                      .sequence = world->now_ms << 20,
                                      .applied = world->applied,
                                      .request_timeout_ms = (uint64_t)20 * ELECTION_MS,
                                      .recent_bytes_max = 4096,
                                      .uncommitted_bytes_max = 1 << 16,
                                      .inflight_bytes_max = 1 << 16,
                                      .machine = {.context = world, .apply = apply},
                                      .gauge = &world->gauge};
    struct lash_node_member members[PEERS + 1];
    for (uint32_t i = 0; i <= PEERS; i++)
        members[i] = (struct lash_node_member){.id = i + 1, .flags = LASH_MEMBER_VOTER};
    LASH_ASSERT(roster_new(0, members, PEERS + 1, &options.first) == LASH_OK);
    world->env = (struct replica_env){.context = world,
                                      .now_ms = now_ms,
                                      .arm = arm,
                                      .send = send_nowhere,
                                      .features = features,
                                      .submit = submit_job,
                                      .halt = halt};
    LASH_ASSERT(replica_new(&options, &world->env, world->log, &recovered, &world->replica) == LASH_OK);
    log_recovered_free(&recovered);
    roster_unref(options.first);
    for (lash_id peer = 2; peer <= PEERS + 1; peer++)
        replica_connected(world->replica, peer);
    turn(world);
}

static bool work(struct world *world, enum replica_executor executor) {
    struct list *at = list_pop(&world->queued[executor]);
    if (!at)
        return false;
    struct job *job = list_entry(at, struct job, link);
    job->work(job);
    list_push(&world->worked[executor], at);
    return true;
}

static bool finish(struct world *world, enum replica_executor executor) {
    struct list *at = list_pop(&world->worked[executor]);
    if (!at)
        return false;
    struct job *job = list_entry(at, struct job, link);
    job->done(job);
    return true;
}

/* Do all jobs, whatever they bring about. */
static void settle(struct world *world) {
    bool busy = true;
    while (busy && !world->halted) {
        busy = false;
        for (int executor = 0; executor < REPLICA_EXECUTORS; executor++)
            busy = work(world, executor) || finish(world, executor) || busy;
        turn(world);
    }
}

/* The process dies; the disk keeps what was written. */
static void kill(struct world *world) {
    for (int executor = 0; executor < REPLICA_EXECUTORS; executor++) {
        list_init(&world->queued[executor]);
        list_init(&world->worked[executor]);
    }
    replica_stop(world->replica);
    replica_abandon(world->replica);
    world->open = 0;
    memfs_fail(world->fs, 1, MEMFS_POWER_OFF);
    log_close(world->log);
    memfs_fail(world->fs, 0, MEMFS_EIO);
    memfs_kill(world->fs);
}

/* The process ends as it should; then the log must hold what the replica had. */
static void stop(struct world *world) {
    settle(world);
    struct lash_status status;
    replica_status(world->replica, &status);
    replica_stop(world->replica);
    settle(world);
    LASH_ASSERT(world->halted || replica_stopped(world->replica));
    LASH_ASSERT(world->open == 0);
    replica_free(world->replica);
    log_close(world->log);
    struct log_options options = {
        .vfs = memfs_vfs(world->fs), .dir = "log", .segment_bytes = 4096, .cluster_id = 1, .node_id = SELF};
    struct log_recovered recovered;
    LASH_ASSERT(log_open(&options, &world->log, &recovered) == LASH_OK);
    LASH_ASSERT(recovered.term == status.raft.term && recovered.last_index == status.raft.last_index);
    log_recovered_free(&recovered);
    log_close(world->log);
}

/* ---- Steps --------------------------------------------------------------------------------------- */

static void receive(struct world *world, struct reader *input) {
    uint8_t from = read_u8(input);
    size_t head_size, tail_size;
    const uint8_t *head = fuzz_take(input, read_u8(input), &head_size);
    uint8_t *exact_head = fuzz_copy(head, head_size);
    const uint8_t *tail = fuzz_take_sized(input, &tail_size);
    uint8_t *frames = fuzz_copy(tail, tail_size);
    for (size_t at = 0; !(from & PACKET_RAW) && tail_size - at >= FRAME_HEADER_SIZE;) {
        uint64_t body = le64_get(frames + at + 40);
        fuzz_fix_frame(frames + at, tail_size - at);
        at += body <= tail_size - at - FRAME_HEADER_SIZE ? FRAME_HEADER_SIZE + (size_t)body : tail_size - at;
    }
    int error = replica_receive(world->replica, 2 + from % PEERS, exact_head, head_size, frames, tail_size);
    LASH_ASSERT(error == 0 || error == LASH_CORRUPT || error == LASH_VERSION);
    mem_free(exact_head);
    mem_free(frames);
}

static void ask(struct world *world, enum request_kind kind) {
    static const uint8_t command[COMMAND_BYTES] = "work";
    struct request *request;
    LASH_ASSERT(request_new(&world->gauge, kind, command, kind == REQUEST_COMMAND ? COMMAND_BYTES : 0, &request) == 0);
    request->done = ended;
    request->argument = world;
    world->open++;
    struct list requests;
    list_init(&requests);
    list_push(&requests, &request->link);
    replica_submit(world->replica, &requests);
}

static void link_peer(struct world *world, uint8_t choice) {
    lash_id peer = 2 + (choice >> 6) % PEERS;
    if (!(choice & 0x80))
        replica_connected(world->replica, peer);
    else if (choice & 0x20)
        replica_down(world->replica, peer);
    else
        replica_disconnected(world->replica, peer);
}

static void step(struct world *world, struct reader *input) {
    uint8_t choice = read_u8(input);
    static const enum replica_executor executors[] = {REPLICA_LOG, REPLICA_READ, REPLICA_APPLY, REPLICA_LOG};
    enum replica_executor executor = executors[choice >> 6];
    switch (choice % STEPS) {
    case STEP_PACKET:
        receive(world, input);
        break;
    case STEP_WORK:
        work(world, executor);
        break;
    case STEP_FINISH:
        finish(world, executor);
        break;
    case STEP_TIME:
        world->now_ms += read_u8(input);
        break;
    case STEP_PROPOSE:
        ask(world, REQUEST_COMMAND);
        break;
    case STEP_READ:
        ask(world, choice & 0x80 ? REQUEST_TRANSFER : REQUEST_READ);
        break;
    case STEP_LINK:
        link_peer(world, choice);
        break;
    default:
        kill(world);
        start(world);
        break;
    }
    turn(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_quiet();
    struct world world = {.fs = memfs_new(), .now_ms = 1000};
    struct reader input = reader_make(data, size);
    for (int executor = 0; executor < REPLICA_EXECUTORS; executor++) {
        list_init(&world.queued[executor]);
        list_init(&world.worked[executor]);
    }
    start(&world);
    for (int steps = 0; steps < STEPS_MAX && reader_left(&input) > 0 && !world.halted; steps++)
        step(&world, &input);
    LASH_ASSERT(!world.halted); /* this disk never fails */
    stop(&world);
    memfs_free(world.fs);
    return 0;
}
