/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole cluster of replicas on one thread: clocks, networks, disks and
 * executors are simulated, and everything happens at moments drawn from a seed.
 * What replicas say, write, apply and acknowledge is judged as it happens.
 *
 * The replicas, their logs and all below are the production code. A node's jobs
 * run as events of their own, and so does telling the replica that one is done,
 * in any order that threads could take.
 */
#ifndef LASH_SIM_WORLD_H
#define LASH_SIM_WORLD_H

#include <stdbool.h>
#include <stdio.h>

#include "node/repair.h"
#include "node/replica.h"
#include "sim/judge.h"
#include "sim/memfs.h"
#include "sim/profile.h"
#include "sim/queue.h"

enum { WORLD_LEASE_DRIFT = 100 }; /* per mille */
#define WORLD_HOST "n"            /* of all addresses; ports tell them apart */
enum { WORLD_FOUNDERS_MAX = 9 };  /* nodes to begin with; operators add others */
enum { WORLD_NODES_MAX = JUDGE_NODES_MAX, WORLD_EXECUTORS = REPLICA_EXECUTORS, WORLD_APPENDS = 64 };
#define WORLD_LINKS ((size_t)WORLD_NODES_MAX * WORLD_NODES_MAX)
#define WORLD_NO_CLIENT UINT32_MAX

/* Each has a stream of random numbers of its own. */
enum world_domain {
    DOMAIN_NETWORK,
    DOMAIN_PACKETS,
    DOMAIN_DISK,
    DOMAIN_PROCESS,
    DOMAIN_CLIENT,
    DOMAIN_FAULTS, /* and one for each kind of fault behind it */
    DOMAINS = DOMAIN_FAULTS + FAULT_KINDS,
};

enum world_event {
    EVENT_DELIVER, /* the next packet of a link's lane arrives: its subject is lane * WORLD_LINKS + link */
    EVENT_TIMER,   /* a node's deadline is reached */
    EVENT_TURN,    /* a node's loop goes round */
    EVENT_WORK,    /* a node's executor runs its next job */
    EVENT_DONE,    /* a node's loop is told that a job is done */
    EVENT_CLIENT,  /* a client makes its next request */
    EVENT_NOTICE,  /* a link's sender learns that it, or its lane of entries, is broken: subjects as of EVENT_DELIVER */
    EVENT_CONNECT, /* a link's sender tries to connect; likewise */
    EVENT_START,   /* a node is started */
    EVENT_KILL,    /* a node whose replica has failed is ended by its operator */
    EVENT_ROOM,    /* a full disk has room again */
    EVENT_FAULT,   /* the next fault of a kind */
    EVENT_KINDS,
};

struct world;
struct store;
struct world_sessions;
struct world_hollow;
struct world_session_node;

struct world_packet {
    struct list link;
    lash_id from;
    size_t head_size;
    struct buf **tails; /* with references */
    size_t tail_count;
    bool flipped;
    uint8_t head[64];
};

struct world_lane {
    bool cut;            /* it broke by itself: what is sent is lost; the sender is yet to notice */
    bool closed;         /* the sender noticed, and is yet to connect it again */
    uint32_t generation; /* of the lane alone */
    uint64_t blocked_us; /* nothing arrives before */
    uint32_t count;      /* of packets */
    uint64_t last_us;    /* when the last packet arrives */
    struct list packets; /* in order */
};

/* One way from one node to another: connections of which this is the sending end. */
struct world_link {
    bool open;           /* the sender may send */
    bool broken;         /* what is sent is lost; the sender is yet to notice */
    bool waiting;        /* an EVENT_CONNECT is planned */
    uint32_t generation; /* of the connection */
    uint64_t blocked_us; /* nothing arrives before */
    struct world_lane lanes[TRANSPORT_LANES];
};

/* A batch that is being written: the log is what is durable with this in its place from `kept` on, or without. */
struct world_pending {
    bool any;
    bool undone; /* it failed, and was undone in the cache: only a loss of power brings it back */
    bool save_vote;
    lash_term term;
    lash_id vote;
    lash_index reset; /* before that the log is dropped, and goes on behind a snapshot at this index; 0: not */
    lash_term reset_term;
    uint64_t kept;
    struct judge_log suffix;
};

/* What a disk held. */
struct world_state {
    uint64_t count; /* of entries */
    uint64_t chain; /* of all of them */
    lash_term term;
    lash_id vote;
};

/* What one job wrote to a log: a batch that became durable, or a mark. */
struct world_append {
    uint64_t begin; /* its position in the log, */
    uint64_t end;   /* and where it ends */
    uint64_t claim; /* what is before this, it says to be durable */
    bool mark;      /* durable only when a batch follows */
    bool hit;       /* by a write that went astray: of it, or onto it */
    struct world_state before;
};

/* stray.h */
struct world_stray {
    bool planned;      /* once for each disk */
    bool was_damaged;  /* the disk, before that */
    bool now;          /* in the job under way a write went astray */
    uint64_t after;    /* so many writes from now on one will; 0: none */
    uint64_t position; /* of the log where it lands; UINT64_MAX: nowhere in it */
    uint64_t floor;    /* where the last segment begins: everything before it is claimed by its name */
    struct world_append next;
    struct world_append appends[WORLD_APPENDS]; /* number n at n % WORLD_APPENDS */
    uint64_t count;
};

struct world_clock {
    uint64_t base_us;      /* what it showed */
    uint64_t base_true_us; /* then */
    uint64_t rate_ppm;
};

/* What a node knows of another one (world_peers.h). */
struct world_peer {
    bool known; /* it is dialled */
    bool guest; /* as it said hello while strangers were welcome, or with a later configuration: */
    lash_index index;
    uint16_t port; /* there, */
    uint16_t hint; /* or where it came from last; 0: it did not */
    uint64_t disk; /* with which it is a member; 0: any */
};

/* The state machine: a hash chain of all commands. It survives a killed process, and not a power loss. */
struct world_machine {
    lash_index applied;
    uint64_t state;
};

struct world_node {
    struct world *world;
    lash_id id;
    struct memfs *disk;
    struct log *log;
    struct replica *replica; /* NULL: not running, or */
    struct repair *repair;   /* its log is being repaired */
    struct replica_env env;
    struct request_gauge gauge;
    struct list calls; /* requests that have not ended */
    uint64_t life;     /* starts so far */
    struct world_clock clock;
    uint64_t features;       /* that it announces */
    uint64_t directory;      /* identity of its disk */
    uint16_t port;           /* where it is found */
    uint16_t told_port;      /* where the membership says that it is, for all that its operator knows */
    bool joins;              /* it began with no membership */
    bool witness;            /* what it is, if it is a member at all: it votes and keeps no data */
    struct roster *contacts; /* what it was told of others when it was made */
    struct world_peer peers[WORLD_NODES_MAX];
    lash_index strangers_told; /* the configuration of which strangers hear */
    bool welcomes;             /* strangers */
    bool removed;              /* it has said that it was removed */
    bool denied;               /* it was certainly not added, its operator was told */
    uint64_t asks;             /* that it be added */
    bool named;                /* in a whole membership that was asked for, which may yet come about */
    struct list changes;       /* asked for here, that have not ended */
    struct world_machine machine;
    struct world_machine view;   /* of it, pinned for a snapshot; applied 0: none */
    void *store_view;            /* the store's, likewise; NULL: none */
    struct snapshots *snapshots; /* while it runs, if the profile has snapshots */
    struct snapshot_info newest; /* of them; index 0: there is none */
    struct judge_log on_disk;    /* the log there, whatever it begins with */
    bool replaced;               /* by the newest snapshot, at the next start: that is what the judge takes it for */
    bool dropped;                /* it was, once: it begins right behind a peer's snapshot */
    bool gap;                    /* no snapshot reaches to where the log that was found begins, */
    struct roster *first;        /* and else the membership that the newest one holds; or NULL */
    bool rotten;                 /* a snapshot was damaged */
    lash_index reset_seen;       /* the judge knows of the core's reset to this index */
    struct world_pending pending;
    struct world_stray stray;
    struct store *store;                /* in the profile `store`, while it runs */
    uint64_t store_copy;                /* of its directory */
    int64_t store_revision;             /* after what it has applied */
    struct world_session_node *session; /* in the profile `session` */
    size_t journal_seen;                /* items of the replica's journal that the judge knows */

    uint64_t deadline_us; /* true time; UINT64_MAX: none */
    uint64_t timer_us;    /* of the one EVENT_TIMER that counts; UINT64_MAX: none */
    uint32_t timers;      /* planned so far; the last one counts */
    bool turn_planned;
    uint64_t paused_us;      /* it stands still until then */
    uint64_t stalled_us;     /* its disk does */
    uint64_t slowness;       /* what its disk does takes so many times as long as usual */
    uint64_t spun_us;        /* when its deadline was reached last, */
    uint32_t spins;          /* and how often since then no time has passed */
    struct log_write *write; /* what the job on the log's executor is to write, if that was handed over, */
    bool refused;            /* and was not written: the replica begins again */
    struct list queued[WORLD_EXECUTORS];
    struct list worked[WORLD_EXECUTORS];

    bool lost_power;          /* since it last ran */
    bool armed;               /* its disk is to lose power in the middle of an operation to come */
    uint64_t short_of_memory; /* so many allocations into its next event one fails; 0: none does */
    bool halted;              /* the replica asked for the process to stop */
    bool full;                /* its disk has no room */
    bool ailing;              /* a fault was planned for its disk or its memory: errors are no surprise */
    bool damaged;             /* its log was damaged, or lost: it may be gone for good */
    bool gone;                /* never to be started again */
    bool ending;              /* an EVENT_KILL is planned */

    /* For tests. */
    uint64_t jobs[WORLD_EXECUTORS]; /* submitted so far */
    uint64_t apply_count;           /* commands applied so far */
    uint64_t packets_sent;
    int apply_error;            /* what apply returns from now on, if not 0 */
    int room_error;             /* what room returns from now on */
    int send_error;             /* what every send meets with, if not 0 */
    bool held[WORLD_EXECUTORS]; /* the executor stands still: its jobs are only done by hand */
};

/* What became of a command. */
enum world_fate { WORLD_OPEN = 0, WORLD_DONE, WORLD_DROPPED, WORLD_UNSURE };

struct world_command {
    lash_index index; /* where it was applied; 0: nowhere yet */
    uint32_t fate;    /* enum world_fate */
};

struct world_client {
    uint64_t call;    /* number of the request that it waits for; 0: none */
    uint64_t again;   /* the write that it is to try again; 0: none */
    uint64_t retries; /* so far */
};

/* What has happened so far. */
struct world_tally {
    uint64_t events;
    uint64_t done, dropped, unsure, abandoned; /* commands */
    uint64_t reads, reads_failed;
    uint64_t transfers; /* ends of them */
    uint64_t packets;
    uint64_t starts;
    uint64_t repairs;   /* of damaged logs that became whole */
    uint64_t snapshots; /* taken or got */
    uint64_t installed; /* logs that went on from a peer's */
    uint64_t restored;  /* state machines */
    uint64_t changes;   /* of the membership that were carried out */
    uint64_t removals;  /* nodes that noticed that they were removed */
    uint64_t stuck;     /* 1: too many members are gone for anything to be committed */
    uint64_t parts;     /* of commands, but for the last ones, in leaders' logs */
    uint64_t hollow;    /* entries in witnesses' logs that lack their data */
    uint64_t faults[FAULT_KINDS];
};

struct world_options {
    uint64_t seed;
    size_t nodes;
    struct profile profile;
    judge_failed_fn failed; /* told of a broken invariant; must not return */
    void *context;
    void (*fault)(void *context, uint64_t number); /* told of each fault carried out; may be NULL */
    bool manual;    /* a test does what an operator would: nothing is ended or started by itself */
    size_t puppets; /* the last so many nodes do not run: a test speaks for them, and what they are sent stays where
                           * it is; with `manual` */
    FILE *trace;    /* an account of all events; NULL: none */
    const uint64_t *only; /* faults with times of their own: those of these numbers alone; NULL: all */
    size_t only_count;
};

struct world {
    struct world_options options;
    struct profile profile;
    size_t count;
    uint64_t now_us;
    struct queue queue;
    uint64_t random[DOMAINS];
    struct judge *judge;
    struct roster *first; /* the group's first configuration */
    struct world_node nodes[WORLD_NODES_MAX];
    struct world_link links[WORLD_LINKS]; /* from * WORLD_NODES_MAX + to */
    struct world_command *commands;       /* by number - 1 */
    uint64_t commands_capacity;
    uint64_t command_count;
    uint64_t calls; /* requests made so far */
    uint64_t outstanding;
    lash_index acknowledged; /* the highest index that a request ended with */
    struct world_client *clients;
    int transfer_error; /* of the last transfer */
    uint64_t
        changing_us; /* until then a change that was asked for may still be carried out; UINT64_MAX: it has not ended */
    bool doubtful;   /* the last one ended unsure: until no log that may count holds it any more, too */
    bool healed;     /* no faults, no clients any more */
    uint64_t fault_at;        /* faults planned so far, by which each has its number */
    uint64_t hash;            /* of all that happened */
    char scratch_dir[32];     /* of the stores; "": none yet */
    int64_t *store_revisions; /* by index of a command; 0: not known */
    uint64_t store_capacity;
    int64_t store_revision;          /* the highest that any store has had */
    struct world_sessions *sessions; /* in the profile `session` */
    struct world_hollow *hollow;     /* if there are to be witnesses; NULL: nothing yet */
    struct list free_packets;
    uint8_t *scratch;
    uint64_t scratch_capacity;
    struct world_tally tally;
};

struct world *world_new(const struct world_options *options);

/* Stop all that runs in order, and free it. */
void world_free(struct world *world);

/* A number below `below` from a domain's stream. */
uint64_t world_draw(struct world *world, enum world_domain domain, uint64_t below);
void world_plan(struct world *world, uint64_t in_us, enum world_event kind, uint64_t subject, uint64_t argument);
_Noreturn void world_fail(struct world *world, const char *invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next event. False when nothing is planned any more. */
bool world_step(struct world *world);

/* ---- Nodes, by position (id - 1) ------------------------------------------------------------------- */

/* What tells an entry of a checked frame from others, for the judge. */
uint64_t world_digest(const struct frame_entry *entry);

/* The kind of an entry, for the judge, to whom the last part of a command is the command: only then it is one. */
uint32_t world_kind(const struct frame *frame, const struct frame_entry *entry);

/* Let the judge see what the replica's core has done since it last looked. */
void world_observe(struct world_node *node);

/* The replica's loop goes round, now or soon. */
void world_turn(struct world *world, size_t position);
void world_turn_soon(struct world_node *node);

/* Run the oldest job of an executor, or tell the replica that one is done; false when there is none. */
bool world_work(struct world *world, size_t position, enum replica_executor executor);
bool world_finish(struct world *world, size_t position, enum replica_executor executor);

/* An executor stands still, or goes on. */
void world_hold(struct world *world, size_t position, enum replica_executor executor);
void world_release(struct world *world, size_t position, enum replica_executor executor);

uint64_t world_node_ms(const struct world_node *node);
void world_clock_set(struct world_node *node, uint64_t step_us, uint64_t rate_ppm);

/* process.c: false when it could not be started now, which is tried again by itself. */
bool world_start(struct world *world, size_t position);

/* Whether its process runs, be it that its log is still being repaired. */
static inline bool world_alive(const struct world_node *node) {
    return node->replica || node->repair;
}

/* The loop of a node whose log is being repaired goes round; once the log is whole there is a replica. */
void world_repair_turn(struct world_node *node);

/* Whether nobody that runs has what the damaged log of a node lacks. */
bool world_repair_is_hopeless(const struct world_node *node);

/* The process dies: the disk keeps what was written, the state machine what it applied. */
void world_kill(struct world *world, size_t position);

/* The machine loses power: the disk keeps what was synced and some of the rest. */
void world_power_off(struct world *world, size_t position);

/* The node is gone for ever. */
void world_lose(struct world *world, size_t position);

/* Whether this node, too, may be damaged or lost, and what was acknowledged still is not. */
bool world_may_damage(const struct world *world, size_t position);

/* A machine more, which nothing is known of yet; its position. */
size_t world_node_new(struct world *world);

/* ---- Requests (client.c) ---------------------------------------------------------------------------- */

/* The number of a command that nobody has proposed yet. */
uint64_t world_command(struct world *world);

/* At a node that runs. A command is the next one; its number. */
uint64_t world_propose(struct world *world, size_t position);
void world_read(struct world *world, size_t position);

/* Ask a node to hand leadership to another one; to the best, when that is world->count. */
void world_transfer(struct world *world, size_t position, size_t target);

enum world_fate world_fate(const struct world *world, uint64_t number);
void client_event(struct world *world, const struct event *event);
void client_abandon(struct world_node *node);

/* Hand a request to a node that runs. */
void client_hand(struct world_node *node, struct request *request);

/* The machine takes a command, whose result hashes to `digest`. */
void machine_command(struct world_node *node, const struct lash_command *command, uint64_t digest);
int machine_apply(void *context, const struct lash_command *commands, size_t count, lash_index last);
int machine_room(void *context);

/* ---- Network (network.c) ----------------------------------------------------------------------------- */

void network_init(struct world *world);

/* A node tries to connect to another one, soon. */
void network_dial(struct world *world, size_t from, size_t to);

/* The way from one node to another ends; its replica is told, or not. */
void network_lose(struct world *world, size_t from, size_t to, bool told);

/* The lane of entries breaks, by itself. */
void network_cut(struct world *world, size_t from, size_t to);

struct world_link *network_link(struct world *world, size_t from, size_t to);
int network_send(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                 struct buf *const *tails, size_t count);
void network_deliver(struct world *world, const struct event *event);
void network_notice(struct world *world, const struct event *event);
void network_connect_event(struct world *world, const struct event *event);

/* Connect two nodes that run, or break their connections so that both know; what is on its way is lost. */
void world_connect(struct world *world, size_t a, size_t b);
void world_disconnect(struct world *world, size_t a, size_t b);

/* A connection breaks; its sender notices after some time, and then tries to connect again. */
void network_break(struct world *world, size_t from, size_t to);

/* A node has started, or died. */
void network_up(struct world *world, size_t position);
void network_down(struct world *world, size_t position);
void network_free(struct world *world);

/* ---- Faults (fault.c) --------------------------------------------------------------------------------- */

void fault_begin(struct world *world);
void fault_event(struct world *world, const struct event *event);

/* No faults from now on, and those that last end. */
void fault_end(struct world *world);

/* Whether a packet is to meet with this fault. */
bool fault_of_packet(struct world *world, enum fault kind);

/* ---- The end (heal.c) ----------------------------------------------------------------------------------- */

/* The position of the leader that all running nodes know, or the number of nodes. */
size_t world_known_leader(const struct world *world);

/* End faults and clients, start and connect everything that can be; then all must come to have applied the same within
 * a bounded time (P2). */
void world_heal(struct world *world);

/* Healed, it takes requests everywhere again (P2). */
void world_ask_all(struct world *world);

/* Two nodes cannot reach one another, and everyone else can reach both: after some time the others still carry out what
 * they are asked for (P2). Nothing when there are fewer than three nodes. */
void world_ask_apart(struct world *world);

/* The office comes to who should have it, and rests there, also when the leader's disk turns slow (P5). */
void world_office(struct world *world);

/* Steps until no request is outstanding, or until a node leads and all that run know it; its position (P2). */
void world_quiet(struct world *world);
size_t world_leader(struct world *world);

/* ---- The account (trace.c) ------------------------------------------------------------------------------ */

void trace(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void trace_packet(struct world *world, const char *what, lash_id from, lash_id to, const uint8_t *head, size_t size,
                  struct buf *const *tails, size_t count);
#define TRACE(world, ...)                                                                                              \
    do {                                                                                                               \
        if (__builtin_expect((world)->options.trace != NULL, 0))                                                       \
            trace((world), __VA_ARGS__);                                                                               \
    } while (0)

#endif
