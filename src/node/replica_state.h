/* SPDX-License-Identifier: Apache-2.0
 *
 * The insides of a replica, shared by the files that make it up: the journal
 * (log jobs), the sender and the receiver (messages), the proposer, the reads
 * and the applier (jobs of the state machine). replica.c steps the core and
 * hands its outputs out.
 */
#ifndef LASH_NODE_REPLICA_STATE_H
#define LASH_NODE_REPLICA_STATE_H

#include "node/backlog.h"
#include "node/change.h"
#include "node/cutter.h"
#include "node/lender.h"
#include "node/meter.h"
#include "node/observer.h"
#include "node/recent.h"
#include "node/replica.h"
#include "node/roster.h"
#include "node/slowness.h"
#include "node/snapshotting.h"
#include "node/waiting.h"
#include "node/wire.h"

/* ---- Parts --------------------------------------------------------------------------------------- */

/* Items that make one write. */
struct journal_batch {
    struct log_item *items; /* each with a reference to its frame */
    size_t count;
    size_t capacity;
    uint64_t bytes;   /* of the frames */
    uint64_t write;   /* the last write number in it; 0: none */
    lash_index index; /* of the last append in it; 0: none */
    lash_term term;   /* of that entry */
    /* Before anything else the log is dropped, and goes on behind a snapshot at this index; 0: not. */
    lash_index reset;
    lash_term reset_term;
};

struct journal {
    struct job job;
    struct replica *replica;
    struct journal_batch queued;  /* waits for the job to come back */
    struct journal_batch writing; /* with the job; empty for a mark */
    bool busy;                    /* the job is out */
    struct log_write write;       /* what the world writes of it, */
    uint64_t since_ns;            /* since then */
    int append_error;             /* the job's results */
    int sync_error;
    int room_error;       /* LASH_FULL: there is no room for a segment after this one */
    bool full;            /* the disk has no room: nothing more is to be taken */
    uint64_t durable;     /* writes up to this number are durable */
    uint64_t retry_at_ms; /* after LASH_NOMEM or LASH_FULL: when it is tried again */
    lash_index trim;      /* the log is to forget entries up to here; 0: nothing */
    lash_index trimming;  /* the job's */
    int trim_error;       /* its result */
    uint64_t trim_at_ms;  /* when that is tried again */
    uint64_t mark_at_ms;  /* when the log, idle by then, is told to note its durable position; UINT64_MAX: noted */
};

/* A growable list of core messages to send. */
struct sender_list {
    struct lash_send *sends;
    size_t head; /* those before are gone */
    size_t count;
    size_t capacity;
};

/* The most frames of one message. */
enum { SENDER_FRAMES_MAX = 256 };

/* The frames that go with one AppendEntries. */
struct sender_frames {
    struct buf *frames[SENDER_FRAMES_MAX];
    size_t count;
    lash_index last; /* of the last frame */
    uint64_t bytes;
};

/* What one follower needs from the log. */
struct fetch {
    lash_id peer; /* 0: a free place */
    bool wanted;  /* `first`..`last` wait to be read */
    lash_index first;
    lash_index last;
    uint64_t bytes_max;
    struct buf **frames; /* read and not yet known to be sent */
    size_t count;
};

struct fetcher {
    struct job job;
    struct replica *replica;
    struct fetch fetches[LASH_RAFT_MEMBERS_MAX];
    size_t position; /* of the peer read for last */
    bool busy;       /* the job is out */
    lash_id peer;    /* of the job */
    lash_index first;
    lash_index last;
    uint64_t bytes_max;
    int error; /* the job's results */
    struct buf **frames;
    size_t count;
};

struct sender {
    struct sender_list due;                          /* to be sent now */
    struct sender_list held;                         /* each waits for its write to be durable */
    struct lash_send notices[LASH_RAFT_MEMBERS_MAX]; /* of commits, one for a member at most */
    uint32_t notice_count;
    uint64_t notices_due_ms; /* they go then at the latest */
    bool draining;
};

struct proposer {
    struct waiting waiting; /* requests sent to a log, by sequence; each has its `term` set */
    struct list queue;      /* requests not sent yet */
    struct frame_input *inputs;
    size_t input_capacity;
    uint64_t not_before_ms; /* pause after a refusal */
    uint64_t pause_ms;      /* how long the leader is left alone; 0: it refused nothing of late */
    bool trying;            /* with a single batch, whether it takes more by now */
    struct backlog backlog; /* as leader */
    struct cutter cutter;
};

struct reads {
    struct list queue;      /* requests that wait to be asked for */
    struct list leased;     /* likewise, for which a lease will do */
    uint64_t known_ms;      /* when the latest answer so far had been asked for, */
    lash_index known_index; /* and what it was; 0: there was none */
    struct list asked;      /* batches that the core works on */
    struct list ready;      /* batches that wait for their index to be applied, in the order of indexes */
    uint64_t not_before_ms; /* pause after a refusal */
};

struct handover {
    struct list waiting; /* requests for a transfer that is under way */
};

/* Peers of the configurations before and after a change. */
enum { REPLICA_PEERS_MAX = 2 * LASH_RAFT_MEMBERS_MAX };

/* A peer that the world was told of. */
struct members_peer {
    lash_id id; /* 0: a free place */
    uint16_t port;
    char host[ROSTER_HOST_MAX + 1];
    bool stays; /* it is among those that are wanted now */
};

/* The configurations that count, with what the core does not see of them. */
struct members {
    struct roster **rosters; /* by index, rising: the last is in force; the first is in force at the applied index */
    size_t count;
    size_t capacity;
    struct roster **offered; /* what the message or the snapshot that is being handled brings */
    size_t offered_count;
    size_t offered_capacity;
    const struct roster *wanted; /* what the CONFIGURE that is being handled asks for; NULL: none is */
    lash_id origin;              /* who asked for that, and the number given to it */
    uint64_t sequence;
    struct members_peer peers[REPLICA_PEERS_MAX];
    bool stale;           /* the peers may not be those that they should be */
    lash_index connected; /* the index of the committed configuration that the peers are of */
    bool member;          /* this node was a member for certain once */
    uint64_t retry_at_ms; /* after memory ran out, or for what the leader changes by itself */
};

/* Requests for changes of the membership. */
struct changes {
    struct list queue;      /* not sent to a log yet */
    struct list joint;      /* their joint configuration is committed, and is yet to be left (D§4.3) */
    uint64_t not_before_ms; /* pause after a refusal */
};

struct applier {
    struct job job;
    struct replica *replica;
    bool busy;              /* the job is out */
    lash_index applied;     /* by the state machine; before the first part of a command that is not whole (parts.h) */
    lash_term applied_term; /* of that entry; 0: nothing applied since the start */
    lash_index reached;     /* at or behind applied: the state is that after this entry */
    struct assembly parts;  /* of the command that lies between the two */
    lash_index first;       /* of the job */
    lash_index target;      /* the job goes no further */
    lash_index looked;      /* the job's frames were looked at up to here, */
    lash_term looked_term;  /* an entry of this term, */
    lash_index last;        /* and this is what the state machine will have applied */
    lash_term last_term;    /* of that entry */
    struct buf **frames;    /* of the job, with references */
    size_t frame_count;
    uint64_t bytes; /* of frames since the last command that was whole */
    struct lash_command *commands;
    size_t command_count;
    size_t command_capacity;
    struct buf **wholes; /* commands of the job that were put together; as many as commands at most */
    size_t whole_count;
    struct list claimed;    /* requests of the job's entries, by `link`, in the order of indexes */
    int error;              /* the job's result */
    bool full;              /* the state machine has no room: the same job goes out again */
    bool low;               /* it has no room for more, it said last */
    int room_error;         /* the job's: what it says */
    bool hollow;            /* what was applied came without data, as witnesses get it */
    bool passing;           /* the job's commands are not for the state machine of this node: a witness */
    uint64_t look_at_ms;    /* when it is asked without an apply; UINT64_MAX: not */
    uint64_t not_before_ms; /* pause after memory or room ran out */
};

struct replica {
    struct replica_options options;
    const struct replica_env *env;
    struct log *log;

    struct lash_raft *raft;
    struct lash_raft_options raft_options;
    struct lash_raft_status status; /* after the latest step */
    struct lash_outputs outputs;    /* of the step under way */
    uint64_t core_deadline_ms;
    uint64_t now_ms; /* at the latest event */

    lash_id connected[REPLICA_PEERS_MAX]; /* peers that can be sent to; 0: a free place */
    uint32_t connected_count;
    uint64_t next_number; /* for sequences, batches and read contexts */
    int error;            /* why it takes no part any more */
    bool stopping;
    bool full;                /* log or state machine have no room on their disk */
    bool copying;             /* the one job of the copying thread is out */
    uint64_t hand_over_at_ms; /* full leader: when it tries to hand over again */

    struct list ages;  /* requests that may time out, oldest first */
    struct list ended; /* requests whose end is to be told */
    struct meter meter;
    struct observer observer;
    struct recent recent;
    struct journal journal;
    struct slowness slowness;
    struct sender sender;
    struct fetcher fetcher;
    struct lender lender; /* takes turns with the fetcher */
    struct proposer proposer;
    struct reads reads;
    struct handover handover;
    struct members members;
    struct changes changes;
    struct applier applier;
    struct taker taker;
    struct restorer restorer;
    struct installer installer;
    struct streams streams;
};

/* ---- replica.c ----------------------------------------------------------------------------------- */

/* Step the core and carry its outputs out. `frames` are those of the event's entries. On an error nothing happened.
 * Errors: LASH_CLOSED (takes no part), LASH_NOMEM, LASH_FULL (more changes of term than a core can hold), and those of
 * lash_raft_step. */
int replica_step(struct replica *replica, struct lash_event *event, const struct recent_frame *frames, size_t count);

/* Step for an event that must not be lost: without memory the replica fails. */
void replica_step_surely(struct replica *replica, struct lash_event *event);

/* Take no part from now on because of `error`. */
void replica_fail(struct replica *replica, int error, const char *what);

/* Whether the replica still takes part. */
bool replica_active(const struct replica *replica);

/* The journal's or the applier's room has changed: tell the core and the log. */
void replica_note_room(struct replica *replica);

/* A number never used before. */
uint64_t replica_number(struct replica *replica);

bool replica_is_connected(const struct replica *replica, lash_id peer);

/* End a request, whichever list or table it is in. */
void replica_end(struct replica *replica, struct request *request, int error, lash_index index);

/* ---- journal.c ----------------------------------------------------------------------------------- */

void journal_init(struct replica *replica);
void journal_free(struct replica *replica);

/* Make room for a write with `frames` frames. Errors: LASH_NOMEM. */
int journal_reserve(struct replica *replica, size_t frames);

/* Queue the write that the core's outputs ask for. */
void journal_add(struct replica *replica, const struct recent_frame *frames, size_t count);

/* Start the job when there is something for it. */
void journal_turn(struct replica *replica);
uint64_t journal_deadline(const struct replica *replica);

/* Whether so much waits to be written that more had better wait as well: with whom it was proposed, and, of what was sent
 * here already, where it came from. */
bool journal_crowded(const struct replica *replica);
bool journal_overcrowded(const struct replica *replica);

/* Whether everything queued has been written, or has failed to be. */
bool journal_idle(const struct replica *replica);

/* ---- sender.c ------------------------------------------------------------------------------------ */

void sender_free(struct replica *replica);

/* Make room for one step's messages. Errors: LASH_NOMEM. */
int sender_reserve(struct replica *replica);

/* Queue a message that the core put out; room was reserved. */
void sender_add(struct replica *replica, const struct lash_send *send);

/* Send what is due, and what that brings about. */
void sender_drain(struct replica *replica);

/* At the end of a turn: send the notices of commits that nothing else has made superfluous, unless the callbacks of what was
 * committed are yet to come, as what they propose says it as well. */
void sender_notify(struct replica *replica);
uint64_t sender_deadline(const struct replica *replica);

/* Writes up to `write` are durable: what waited for them is due. */
void sender_release(struct replica *replica, uint64_t write);

/* Whether a message takes one frame more; the first always fits. */
bool sender_fits(const struct sender_frames *found, const struct buf *frame, uint64_t bytes_max);

/* Add a reference to a frame that ends with `last`. */
void sender_take(struct sender_frames *found, struct buf *frame, lash_index last);

/* ---- witness.c ----------------------------------------------------------------------------------- */

/* Whether a member is a witness: it votes and keeps no data. */
bool witness_is(const struct replica *replica, lash_id id);

/* Whether this node is one, or cannot be anything else, as it was sent what only witnesses are. */
bool witness_here(const struct replica *replica);

/* Whether this node is a member that has to keep data: what is sent to witnesses is not for it. */
bool witness_contradicted(const struct replica *replica);

/* Leave out of the frames what a witness does not keep. Errors: LASH_NOMEM. */
int witness_strip(struct sender_frames *found);

/* Whether a request is one for data. */
bool witness_refuses(const struct replica *replica, const struct request *request);

/* ---- fetcher.c ----------------------------------------------------------------------------------- */

void fetcher_init(struct replica *replica);
void fetcher_free(struct replica *replica);

/* Read on where something is wanted, when nobody else is reading. */
void fetcher_turn(struct replica *replica);

/* Add the frames from the message's first entry on that were read for its receiver. */
void fetcher_take(struct replica *replica, const struct lash_message *message, struct sender_frames *found);

/* Read what the message needs; the core hears LASH_EVENT_READY when it is there. */
void fetcher_want(struct replica *replica, const struct lash_message *message);

/* Nothing is needed for the peer, or for anyone, any more. */
void fetcher_forget(struct replica *replica, lash_id peer);
void fetcher_clear_all(struct replica *replica);

/* ---- proposer.c ---------------------------------------------------------------------------------- */

int proposer_init(struct replica *replica);
void proposer_free(struct replica *replica);
void proposer_submit(struct replica *replica, struct request *request);
void proposer_turn(struct replica *replica);
uint64_t proposer_deadline(const struct replica *replica);

/* As leader: append `count` entries, or those that `frame` holds as encoded for the log's end. Errors: LASH_NOMEM, LASH_TOO_LARGE, and
 * the core's. */
int proposer_append(struct replica *replica, uint32_t kind, const struct frame_input *inputs, size_t count);
int proposer_append_frame(struct replica *replica, struct recent_frame *frame, size_t count, uint64_t since_ns);

/* Forward a frame to the leader. Errors: those of struct replica_env's send. */
int proposer_send(struct replica *replica, uint64_t batch, struct buf *frame);

/* Tell a peer that what it forwarded as `batch` was certainly not appended. */
void proposer_refuse(struct replica *replica, lash_id from, uint64_t batch, int error);

/* As leader: whether so much is yet to be committed that no more is appended. */
bool proposer_backlogged(struct replica *replica);

/* Bytes that this node appended as leader and that are not committed. */
uint64_t proposer_uncommitted(const struct replica *replica);

/* Role, term or leader changed: no reason to pause. */
void proposer_leader_changed(struct replica *replica);

/* A peer's proposals: append them as leader or refuse them. Returns LASH_CORRUPT or LASH_VERSION for bad bytes. */
int proposer_forwarded(struct replica *replica, lash_id from, const struct wire_head *head, const uint8_t *tail,
                       size_t size);

/* The proposals forwarded as `batch` were refused because of `error`. */
void proposer_refused(struct replica *replica, uint64_t batch, int error);

/* An entry of `term` was applied: what was sent in earlier terms and not applied by now never will be (§5.4). */
void proposer_drop_before(struct replica *replica, lash_term term);

/* What was applied was skipped, up to an entry of `term`, as a snapshot holds its effect: of what was sent up to that term it is
 * not known whether it is among it. */
void proposer_skip(struct replica *replica, lash_term term);

/* ---- reads.c ------------------------------------------------------------------------------------- */

void reads_init(struct replica *replica);
void reads_free(struct replica *replica);
void reads_submit(struct replica *replica, struct request *request);
void reads_turn(struct replica *replica);
uint64_t reads_deadline(const struct replica *replica);
void reads_leader_changed(struct replica *replica);

/* The core released (or, with index 0, refused) the reads asked for as `context`. */
void reads_answered(struct replica *replica, uint64_t context, lash_index index);

/* ---- handover.c ---------------------------------------------------------------------------------- */

void handover_init(struct replica *replica);
void handover_free(struct replica *replica);
void handover_submit(struct replica *replica, struct request *request);

/* The core has made a step: say in the log when it begins to hand over. */
void handover_stepped(const struct replica *replica, const struct lash_raft_status *before);

/* End the requests whose transfer has ended. */
void handover_turn(struct replica *replica);

/* ---- members.c ----------------------------------------------------------------------------------- */

/* Find the configurations that count at the start: those in the log, or the one given. Errors: LASH_NOMEM, LASH_IO,
 * LASH_CORRUPT, LASH_VERSION. */
int members_load(struct replica *replica, const struct log_recovered *recovered, struct lash_raft_saved *saved);
void members_free(struct replica *replica);

/* The configuration in force; NULL: this node joins, and knows none yet. */
struct roster *members_newest(const struct replica *replica);

/* The configuration in force at `index`, which is not below the applied one; NULL: it is not known. */
struct roster *members_at(const struct replica *replica, lash_index index);

/* The event about to be handled brings this roster, which is the replica's from now on. Errors: LASH_NOMEM. */
int members_offer(struct replica *replica, struct roster *roster);
void members_offer_end(struct replica *replica);

/* Make room for what one step can bring. Errors: LASH_NOMEM. */
int members_reserve(struct replica *replica);

/* The core has made a step: follow what it did to the configurations. */
void members_stepped(struct replica *replica);

/* As leader: ask the core for the membership `wanted`, for a request of `origin`. Errors: those of replica_step. */
int members_propose(struct replica *replica, const struct roster *wanted, lash_id origin, uint64_t sequence);

/* Let the peers be those of the configurations that count, and do what a leader does by itself. */
void members_turn(struct replica *replica);
uint64_t members_deadline(const struct replica *replica);

/* Whether every member that can be reached announces this feature (wire.h). */
bool members_understand(const struct replica *replica, uint64_t feature);

/* ---- changes.c ----------------------------------------------------------------------------------- */

void changes_init(struct replica *replica);
void changes_free(struct replica *replica);
void changes_submit(struct replica *replica, struct request *request);
void changes_turn(struct replica *replica);
uint64_t changes_deadline(const struct replica *replica);

/* As leader: append the configuration that `change` leads to, for a request of `origin`. Errors: those that
 * lash_node_configure and its kin end with. */
int changes_append(struct replica *replica, const struct change *change, lash_id origin, uint64_t sequence);

/* As leader: a change that was forwarded, in a checked frame. Returns LASH_CORRUPT or LASH_VERSION for bad bytes, or why it
 * is refused. */
int changes_forwarded(struct replica *replica, lash_id from, const uint8_t *tail, const struct frame *frame);

/* The leader has refused it. */
void changes_refused(struct replica *replica, struct request *request, int error);

/* This node was removed: whoever asked here for just that is told so. */
void changes_left(struct replica *replica);

/* An entry of kind CONFIGURATION is being applied: requests that end with it go to `ended`. */
void changes_applied(struct replica *replica, const struct frame_entry *entry, struct list *ended);

/* ---- applier.c ----------------------------------------------------------------------------------- */

void applier_init(struct replica *replica);
void applier_free(struct replica *replica);
void applier_turn(struct replica *replica);
uint64_t applier_deadline(const struct replica *replica);

/* The replica takes no part any more: what waits for room is given up. */
void applier_stop(struct replica *replica);

/* No job is out: what waits to be tried again comes from a log that is about to go. */
void applier_drop(struct replica *replica);

/* The state machine was given a snapshot at `index`, of an entry of `term`. */
void applier_restored(struct replica *replica, lash_index index, lash_term term);

/* ---- receiver.c ---------------------------------------------------------------------------------- */

/* A core message with frames as its tail. Returns LASH_CORRUPT or LASH_VERSION for bad bytes. */
int receiver_message(struct replica *replica, lash_id from, struct wire_head *head, const uint8_t *tail, size_t size);

#endif
