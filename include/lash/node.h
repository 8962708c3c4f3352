/* SPDX-License-Identifier: Apache-2.0
 *
 * A replica: everything a program needs to replicate its own state machine.
 *
 * A node keeps a durable log in a directory of its own, talks to its peers over
 * TCP, and feeds committed commands, in the same order on every replica, to the
 * state machine that the program supplies. See examples/counter.c for a whole
 * program.
 *
 * Threads: a node runs six threads of its own (loop, log, apply, read, snapshot, copy). Functions
 * here may be called from any thread unless they say otherwise; callbacks say
 * on which thread they run and must not block it, nor call lash_node_close.
 * "§" and "D§" as in lash/raft.h.
 */
#ifndef LASH_NODE_H
#define LASH_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lash/error.h"
#include "lash/raft.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A replica. Opaque. */
typedef struct lash_node lash_node;

/* ---- The state machine ------------------------------------------------------------------------- */

/* A committed command, valid only during the apply call. */
struct lash_command {
    lash_index index; /* rises; gaps are entries that are not commands */
    lash_term term;
    const void *data;
    size_t size;
    /* The `request` given to lash_node_propose if this very command was proposed on this node since it was opened,
     * else NULL. The state machine may leave the command's result there; the proposer must not touch it between
     * propose and completion. */
    void *request;
};

/* Where a snapshot goes, and where it comes from. Opaque. */
struct lash_snapshot_sink;
struct lash_snapshot_source;

/* What the program supplies. `context` is handed back to each function. */
struct lash_state_machine {
    void *context;

    /* Apply `count` commands in order (§5.3); `last` is the index to record as applied, at or above the last command's
     * (a batch may hold no command at all). Must depend on nothing but the state and the commands. A machine that
     * keeps its state on disk stores `last` atomically with it; it need not sync: commands come only once they are
     * durable in this node's log, so that a process killed at any moment finds its log at or ahead of its state.
     * Runs on the apply thread; may take its time.
     * Returns 0; LASH_FULL when nothing of it was applied for want of room on a disk: then the node takes no more commands
     * and calls again, with the same ones, until there is room; or another lash_error: then the node stops (it never goes past a command that it could not apply),
     * reports LASH_CLOSED to all waiting, and lash_node_status carries the error. */
    int (*apply)(void *context, const struct lash_command *commands, size_t count, lash_index last);

    /* Whether there is room for more: 0 or LASH_FULL, with which the node takes no more commands, as after an apply that
     * met with LASH_FULL, but sooner: while what is under way can still be applied. Called after each apply, and once a
     * second while it says LASH_FULL. Runs on the apply thread. May be NULL. */
    int (*room)(void *context);

    /* Snapshots (§7): all four of what follows, or none. Without them the log is never trimmed, and this node can neither
     * join a group whose log was, nor catch up with one. */

    /* Pin the state as it is now, after everything up to `index`, so that snapshot_write can write it down while apply goes
     * on; *view is handed to the next two. Must be quick. Runs on the apply thread. One view at a time.
     * Returns 0, or a lash_error: then no snapshot is taken now, and snapshot_end is not called. */
    int (*snapshot_begin)(void *context, lash_index index, void **view);

    /* Hand the pinned state to lash_snapshot_write, in pieces of any size, in a format that is the machine's own and that restore
     * of this version, or a later one, understands. Runs on a thread of its own; may take its time. Returns 0, or the
     * error that lash_snapshot_write returned, or another lash_error: then the snapshot is given up, and tried again later. */
    int (*snapshot_write)(void *context, void *view, struct lash_snapshot_sink *sink);

    /* Let the view go: once for each snapshot_begin that succeeded, whatever came of it, on the thread of snapshot_write. */
    void (*snapshot_end)(void *context, void *view);

    /* Replace the whole state by the one that lash_snapshot_read gives, which is that after `index`; commands go on behind
     * it. A machine that keeps its state on disk stores `index` as applied atomically with it. Runs on the apply thread;
     * may take its time. The bytes were checked by the time that lash_snapshot_read gives them, but only once it has
     * given the last (*got less than asked for) have all been: nothing of them may count before.
     * Returns 0; on an error, its own or the one that lash_snapshot_read returned, the state must be what it was before.
     * LASH_FULL and LASH_NOMEM: it is called again later. LASH_CORRUPT, when lash_snapshot_read said so: an older snapshot is
     * tried, or a peer's. Others: the node stops taking part. */
    int (*restore)(void *context, struct lash_snapshot_source *source, lash_index index);

    /* A promise: apply takes some microseconds a command at most and never waits, for a disk, a lock or anything else, and nor does
     * room. Then they may run on the loop thread as well, when there is little to apply and the apply thread has nothing to do: to
     * hand such an apply to another thread and back takes longer than the apply. Still no two of these functions run at the same
     * time but where they say so above. While an apply does not keep the promise, heartbeats wait. */
    bool quick;
};

/* Add `size` bytes to the snapshot that is being written; only during snapshot_write, on its thread. Errors: LASH_FULL,
 * LASH_IO, LASH_CLOSED (the node is closing), to be returned at once. */
LASH_PUBLIC int lash_snapshot_write(struct lash_snapshot_sink *sink, const void *data, size_t size);

/* The next bytes of the snapshot, at most `size`; *got is less only at the end. Only during restore, on its thread.
 * Errors: LASH_CORRUPT (they are not what was written), LASH_IO, LASH_NOMEM, to be returned at once. */
LASH_PUBLIC int lash_snapshot_read(struct lash_snapshot_source *source, void *data, size_t size, size_t *got);

/* ---- Opening ----------------------------------------------------------------------------------- */

/* Where a node is found. Strings are copied. */
struct lash_peer {
    lash_id id;
    const char *host; /* name or address of the peer port */
    uint16_t port;
    uint32_t priority; /* as in struct lash_node_member; in the first configuration */
};

/* The longest note of a member, in bytes. */
#define LASH_NODE_NOTE_MAX 1024

/* A member of the membership in force, or wanted (D§4). */
struct lash_node_member {
    lash_id id;        /* stands for one log: whoever has lost its data comes back under a new one */
    uint32_t flags;    /* enum lash_member_flags: VOTER; VOTER and WITNESS; 0 or PROMOTE for a learner */
    uint32_t priority; /* leadership goes to the highest that is fit to lead; up to LASH_RAFT_PRIORITY_MAX */
    uint64_t disk;     /* identity of its data directory; 0: not known yet. Filled in by the node */
    const char *host;  /* name or address of its peer port; empty, with port 0, when it is not known */
    uint16_t port;
    const void *note; /* the program's own bytes about it; the same on every node */
    size_t note_size; /* at most LASH_NODE_NOTE_MAX */
};

struct lash_status;

enum lash_observation_kind {
    LASH_OBSERVED_ROLE = 1,            /* this node's role is another, or it stands or leads in another term */
    LASH_OBSERVED_LEADER = 2,          /* `peer` is known to lead; 0: nobody is */
    LASH_OBSERVED_CONNECTED = 3,       /* messages can be sent to `peer` */
    LASH_OBSERVED_DISCONNECTED = 4,    /* they cannot any more */
    LASH_OBSERVED_SILENT = 5,          /* as leader: `peer` has not answered for an election timeout */
    LASH_OBSERVED_ANSWERING = 6,       /* as leader: it answers again, within the same leadership */
    LASH_OBSERVED_FULL = 7,            /* `peer`, which may be this node, takes no more entries: its disk has no room */
    LASH_OBSERVED_ROOM = 8,            /* it has room again */
    LASH_OBSERVED_CONFIGURATION = 9,   /* another configuration is in force (D§4) */
    LASH_OBSERVED_ERROR = 10,          /* this node takes no part any more because of `error` */
    LASH_OBSERVED_REMOVED = 11,        /* this node was removed from the cluster for good; before the ERROR */
    LASH_OBSERVED_SNAPSHOT_TAKEN = 12, /* this node has a new snapshot of its own, at `index` */
    LASH_OBSERVED_SNAPSHOT_INSTALLED =
        13,                           /* it has got the one at `index` from `peer`, and its log goes on from there */
    LASH_OBSERVED_SNAPSHOT_SENT = 14, /* `peer` has got the one at `index` from this node */
    LASH_OBSERVED_REPAIRED = 15,      /* this node's log was damaged and is whole again: it takes part from now on */
    LASH_OBSERVED_SLOW = 16, /* the disk of `peer`, which may be this node, is slow: it does not lead if another can */
    LASH_OBSERVED_SLOW_ENDED = 17, /* it is not any more */
};

/* Something that happened, with what it happened to. */
struct lash_observation {
    uint32_t kind; /* enum lash_observation_kind */
    uint32_t role; /* enum lash_role, as of now */
    lash_term term;
    lash_id leader;
    lash_id peer;
    lash_index configuration; /* index of the one in force */
    lash_index index;         /* of a snapshot; else 0 */
    int error;
};

/* Zero selects the default in brackets. Everything pointed to is copied or only used during lash_node_open. */
struct lash_node_options {
    lash_id id;              /* this node's; never one that was used before with other data */
    uint64_t cluster_id;     /* connections and data of another cluster are refused */
    uint64_t group;          /* 0 */
    const char *data_dir;    /* created if missing; locked while open; the log lies in its folder "log" */
    const char *listen_host; /* peer port to listen on */
    uint16_t listen_port;
    /* A new node of a new cluster: all members, this one too: the first configuration, which must agree on all nodes. Of one that
     * joins: members of the cluster to begin with. Of one that has data: nothing but where those of the first
     * configuration are found; what the log says later counts for more, and none may be given. */
    const struct lash_peer *peers;
    size_t peer_count;
    bool joining; /* a new node that will be added to a cluster that there is (lash_node_add): it waits for that. Of no
                   * interest to one that has data */

    uint16_t features; /* bits of the program's own, announced to its peers: see lash_peer_metrics */

    uint64_t heartbeat_ms;  /* [100] */
    uint64_t election_ms;   /* [1000] at least 3 heartbeats */
    bool no_leases;         /* reads by lease are answered by a round; this node gives no promises (D§6.4.1) */
    uint32_t lease_drift;   /* [100] per mille that any member's clock runs faster or slower than true time, at most */
    uint64_t seed;          /* [from the operating system] */
    uint64_t segment_bytes; /* [64 MiB] size of a log file */
    /* Write all of the log with a thread. Else its small appends are written by the kernel itself (io_uring, past its cache), where it lets the process do
     * that and the file system takes sectors: one wake-up less on the way of each. */
    bool no_io_uring;
    /* [16 MiB] The largest command; at most 1 GiB. One of more than 1 MiB goes into the log in parts: it holds up nobody's
     * heartbeats, reads or snapshots, but what is proposed behind it waits for it, and each node holds it in memory until it
     * is applied (the leader, and who proposed it, twice). */
    uint64_t entry_bytes_max;
    uint64_t
        pending_bytes_max; /* [256 MiB, or 2 * entry_bytes_max] proposals accepted and not finished; beyond: LASH_BUSY */
    /* [512 MiB] Entries that this node appended as leader and that no majority holds yet; beyond: LASH_BACKLOG, for proposals
     * from anywhere. What is larger by itself is appended as it is committed. */
    uint64_t uncommitted_bytes_max;
    uint64_t
        inflight_bytes_max; /* [8 MiB] entries on their way to one follower that it has not acknowledged; of a larger
                                     * one, only that one */
    uint64_t
        apply_lag_max; /* [none] entries committed and not applied by this node's state machine; beyond: LASH_BACKLOG */
    /* [5000 + 2 * election_ms] After which proposals and reads complete with LASH_TIMEOUT; must allow for the largest command's
     * way to the disks of a majority. */
    uint64_t request_timeout_ms;

    lash_index applied; /* up to here the state machine has applied already (0: it starts empty) */

    /* Snapshots; of no interest for a state machine without. One is taken when the log has grown by as much as the last
     * one's size, and at least this much, since. */
    uint64_t snapshot_bytes_min; /* [64 MiB] */
    uint64_t trailing_bytes;     /* [64 MiB] of log kept before a snapshot, for peers that lag behind */
    uint64_t snapshot_rate;      /* [unlimited] bytes a second at which a snapshot is sent to one peer */

    /* Called after role, term or leader changed, in order, on the loop thread. May be NULL. */
    void (*observe)(void *context, const struct lash_status *status);

    /* Called for each thing that happened, in order, on the loop thread; roles and leaders that pass within one step of the protocol are
     * not missed. May be NULL. */
    void (*happened)(void *context, const struct lash_observation *observation);
    void *observe_context; /* of both */
};

/* Open the replica and start its threads; elections begin at once. The log is read and checked first. Where it is damaged and
 * its peers may have what it lacks, it opens all the same, but takes no part, with LASH_DAMAGED in its status, until they have
 * sent that; meanwhile requests are refused with LASH_CLOSED.
 * On success *node is the caller's, to be closed. On failure nothing is left open.
 * Errors: LASH_INVALID (options), LASH_NOMEM, LASH_IO (see the log), LASH_BUSY (data directory or port in use),
 * LASH_CORRUPT (durable log bytes are damaged, and nobody can have them), LASH_MISMATCH (data of another cluster, node or group, or `applied`
 * beyond the log), LASH_VERSION, LASH_FULL, LASH_REMOVED (the data of a node that was removed from its cluster). */
LASH_PUBLIC int lash_node_open(const struct lash_node_options *options, const struct lash_state_machine *machine,
                               lash_node **node);

/* Stop: waiting requests complete with LASH_CLOSED, what is queued for the log is written and synced, threads end, and
 * `node` is freed. No call on this node may be under way or follow. Not from a callback. NULL is allowed. */
LASH_PUBLIC void lash_node_close(lash_node *node);

/* ---- Requests ---------------------------------------------------------------------------------- */

/* A request's end: called exactly once for each request accepted, on the loop thread. `error` is 0 or a lash_error:
 * LASH_DROPPED (certainly not carried out, as a later leader's term shows; safe to retry), LASH_FULL (certainly not carried
 * out: this node's disk, or those of a majority, have no room; of a read: this node cannot come as far before it has),
 * LASH_NO_LEADER and LASH_BUSY (nothing was tried, for want of a leader, or because what waited before it took too long),
 * LASH_BACKLOG (nothing was tried: uncommitted_bytes_max of the leader), LASH_WITNESS (nothing was tried: this node is a witness,
 * which has no data to read, and no state machine that a command could be applied by; ask another),
 * LASH_VERSION (nothing was tried: a command of more than 128 MiB, while a member that can be reached is of a version that knows
 * no parts of commands),
 * LASH_UNKNOWN, LASH_TIMEOUT or LASH_CLOSED (may or may not be carried out). `index` is the entry's, or the index that a
 * read reflects. */
typedef void (*lash_done_fn)(void *argument, int error, lash_index index);

/* Replicate a command (§5.3): `size` bytes at `data`, copied. Any node takes it; a follower forwards it to the leader.
 * `done` is called with 0 once *this* node's state machine has applied it. `request` reaches the state machine here
 * (see struct lash_command) and may be NULL. Never retried by itself, so it is applied at most once.
 * Errors (then `done` is not called): LASH_TOO_LARGE, LASH_BUSY (pending_bytes_max), LASH_BACKLOG (apply_lag_max), LASH_NOMEM,
 * LASH_CLOSED. */
LASH_PUBLIC int lash_node_propose(lash_node *node, const void *data, size_t size, void *request, lash_done_fn done,
                                  void *argument);

/* Wait until this node's state machine reflects everything that was completed anywhere before this call (§8, D§6.4:
 * ReadIndex); then `done` is called with 0 and a read of the local state machine is linearizable. Any node takes it.
 * Errors (then `done` is not called): LASH_BUSY, LASH_NOMEM, LASH_CLOSED. */
LASH_PUBLIC int lash_node_read(lash_node *node, lash_done_fn done, void *argument);

enum lash_read_kind {
    /* By a round to a majority, whatever clocks do (D§6.4). */
    LASH_READ_INDEX = 0,
    /* As fresh, without a round while the leader holds a lease (D§6.4.1), which it does once somebody reads so. Rests on clocks that
     * drift no further than `lease_drift`. Where leases are off, or not known to a majority, it is as LASH_READ_INDEX. */
    LASH_READ_LEASE = 1,
    /* At most so old: it reflects everything that was completed anywhere up to `age_ms_max` before this call, by this node's clock. It takes no
     * message while another read's answer is as young as that; else it is asked for as LASH_READ_INDEX. So it needs no leader for a while, and
     * ends with LASH_NO_LEADER or LASH_TIMEOUT after that. */
    LASH_READ_STALE = 2,
};

/* As lash_node_read, in the way that `kind` says; `age_ms_max` is looked at for LASH_READ_STALE only.
 * Errors (then `done` is not called): LASH_INVALID (no such kind), LASH_BUSY, LASH_NOMEM, LASH_CLOSED. */
LASH_PUBLIC int lash_node_read_as(lash_node *node, enum lash_read_kind kind, uint64_t age_ms_max, lash_done_fn done,
                                  void *argument);

/* Commit a barrier entry and wait until this node has applied everything before it. As lash_node_propose otherwise. */
LASH_PUBLIC int lash_node_barrier(lash_node *node, lash_done_fn done, void *argument);

/* Hand leadership over (D§3.10) to `target`, or, with 0, to the best voter: who keeps up and has no slow disk, the highest priority first. Only the leader can. Proposals
 * that come meanwhile are held, and go to the next leader. `done` is called with 0 once another leads as asked (or at
 * once when `target` is this node), LASH_NOT_LEADER, LASH_INVALID (`target` is no voter), LASH_NOT_FOUND (the target, or
 * everyone, does not answer or has no room on its disk), LASH_BUSY (a transfer to another is under way), LASH_TIMEOUT (not done
 * within an election timeout: this node goes on leading), LASH_DROPPED (another than the target leads), LASH_NOMEM or
 * LASH_CLOSED; its index is 0.
 * Errors (then `done` is not called): LASH_BUSY, LASH_NOMEM, LASH_CLOSED. */
LASH_PUBLIC int lash_node_transfer(lash_node *node, lash_id target, lash_done_fn done, void *argument);

/* Take a snapshot now; `done` is called with 0 and its index once it is durable, or with that of the newest one when nothing was
 * applied since. Only of this node, which any node may be. While one is being taken it waits for the next. No time limit.
 * `done`'s errors: LASH_FULL, LASH_IO, LASH_NOMEM, those of the state machine, LASH_CLOSED. Errors (then `done` is not called):
 * LASH_INVALID (the state machine takes no snapshots), LASH_BUSY, LASH_NOMEM, LASH_CLOSED. */
LASH_PUBLIC int lash_node_snapshot(lash_node *node, lash_done_fn done, void *argument);

/* ---- Membership (D§4) -------------------------------------------------------------------------- */

/* These change the membership. Any node takes them; a follower forwards them to the leader, which carries them out one at a time, in the
 * order in which they come to it: what is asked for is worked out there, from the membership in force by then. `done` is called
 * with 0 and the index of its entry once the new membership is committed and applied here; from the moment that it is in
 * a node's log, the node goes by it. Every member that takes part must know of memberships that change: as long as one that can be reached
 * does not, being of an older version, the change ends with LASH_VERSION.
 * Ends: 0, LASH_DROPPED, LASH_NO_LEADER, LASH_FULL, LASH_TIMEOUT, LASH_CLOSED as with lash_node_propose (LASH_BUSY:
 * nothing was tried, as the change before has not been committed, or a new leader has committed nothing yet, for all the time
 * that there was), and certainly not carried out: LASH_INVALID (nobody would vote), LASH_EXISTS, LASH_NOT_FOUND, LASH_BEHIND,
 * LASH_TOO_LARGE (more members than can be, before and after together), LASH_VERSION. Those which a function can
 * end with besides the first ones stand with it.
 * Errors (then `done` is not called): LASH_INVALID (what is no member: no id, flags other than those of struct
 * lash_node_member, an address that is none), LASH_TOO_LARGE (a host of more than 255 bytes, a note of more than
 * LASH_NODE_NOTE_MAX, too many members), LASH_BUSY, LASH_NOMEM, LASH_CLOSED. */

/* The membership as a whole; by way of a joint one (D§4.3) if more than one voter comes or goes. Everything in `members` is
 * copied; `disk` is not looked at. LASH_INVALID (an id there twice, or nobody votes), LASH_BEHIND (a learner that is to vote
 * has not caught up). */
LASH_PUBLIC int lash_node_configure(lash_node *node, const struct lash_node_member *members, size_t count,
                                    lash_done_fn done, void *argument);

/* One member more. As a learner (flags 0, or PROMOTE, which lets the leader give it a vote once it has caught up) it gets the log and has no
 * vote; as a voter it counts at once, and commits may have to wait until it has caught up. The new node is then started with
 * `joining`, or is already waiting. LASH_EXISTS (the id is a member, or one has that address). */
LASH_PUBLIC int lash_node_add(lash_node *node, const struct lash_node_member *member, lash_done_fn done,
                              void *argument);

/* One member less, which may be the leader: it hands over. The node that is removed takes no part any more once it
 * knows (LASH_OBSERVED_REMOVED), and its id must not be used again. LASH_NOT_FOUND, LASH_INVALID (nobody else votes). */
LASH_PUBLIC int lash_node_remove(lash_node *node, lash_id id, lash_done_fn done, void *argument);

/* Give a learner a vote. LASH_NOT_FOUND, LASH_EXISTS (it has one), LASH_BEHIND (it has not caught up). */
LASH_PUBLIC int lash_node_promote(lash_node *node, lash_id id, lash_done_fn done, void *argument);

/* Another address, note or priority for member->id, whose flags stay what they are. LASH_NOT_FOUND, LASH_EXISTS (another member
 * has that address). */
LASH_PUBLIC int lash_node_update(lash_node *node, const struct lash_node_member *member, lash_done_fn done,
                                 void *argument);

/* A membership at one moment. */
struct lash_members {
    lash_index index; /* of the entry that holds it; 0: the first one */
    uint64_t cluster_id;
    bool
        joint; /* on its way to the next, without those members that LEAVE and with the votes that VOTER says (D§4.3) */
    size_t count;
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
};

/* The membership in force here: the newest in this node's log, committed or not. *members is the caller's, to be freed by
 * lash_members_free. Errors: LASH_NOT_FOUND (this node joins, and knows none yet), LASH_NOMEM. */
LASH_PUBLIC int lash_node_members(lash_node *node, struct lash_members **members);

/* NULL is allowed. */
LASH_PUBLIC void lash_members_free(struct lash_members *members);

/* Ask a running cluster, by the peer addresses of any of its members (whose ids are not looked at), for its committed
 * membership: for who wants to join and does not know yet who it is. Blocks for at most about `timeout_ms`; the addresses share
 * it. *members is the caller's. Errors, the last address's: LASH_INVALID (no addresses), LASH_NOT_FOUND (nobody there, or nobody
 * who answers), LASH_TIMEOUT, LASH_CORRUPT, LASH_VERSION (an older or a newer version answers), LASH_NOMEM. */
LASH_PUBLIC int lash_node_ask(const struct lash_peer *addresses, size_t count, uint64_t timeout_ms,
                              struct lash_members **members);

/* Whose data a directory holds. */
struct lash_identity {
    lash_id id;
    uint64_t cluster_id;
    uint64_t group;
    uint64_t disk; /* the directory's own identity */
    bool removed;  /* the node knows that it was removed from its cluster */
};

/* What a data directory says of itself; it is neither locked nor changed. Errors: LASH_INVALID (no name), LASH_NOT_FOUND (it holds no data),
 * LASH_CORRUPT, LASH_VERSION, LASH_IO, LASH_NOMEM. */
LASH_PUBLIC int lash_node_identify(const char *data_dir, struct lash_identity *identity);

/* ---- Observation ------------------------------------------------------------------------------- */

/* A snapshot that is being sent to a peer. */
struct lash_snapshot_stream {
    lash_id peer;
    lash_index index; /* of the snapshot; 0: it is being looked for */
    uint64_t sent;    /* bytes of its file that the peer has acknowledged */
    uint64_t bytes;   /* of its file */
};

/* A node's snapshots. Sizes are those of files. */
struct lash_snapshot_status {
    lash_index index; /* of the newest; 0: there is none */
    lash_term term;   /* of that entry */
    uint64_t bytes;
    lash_index taking;      /* the one being taken; 0: none */
    uint64_t taken;         /* bytes of its data so far */
    lash_index receiving;   /* the one being received; 0: none */
    lash_id receiving_from; /* that peer */
    uint64_t received;
    uint64_t receiving_bytes; /* 0: not known yet */
    bool restoring;           /* the state machine is yet to be restored from a snapshot */
    uint32_t stream_count;
    struct lash_snapshot_stream streams[LASH_RAFT_MEMBERS_MAX]; /* to peers */
};

/* The node's state at one moment. */
struct lash_status {
    struct lash_raft_status raft;
    uint64_t cluster_id;
    int error;                /* 0, or why the node takes no part; LASH_DAMAGED ends by itself */
    uint32_t peers_connected; /* peers with an established connection */
    uint64_t log_bytes;       /* on disk */
    uint64_t pending_requests;
    struct lash_snapshot_status snapshot;
};

/* Fill `status` with the state after the loop thread's latest step. Never blocks for long. Always
 * returns 0: a node that has stopped taking part says why in `error`. Not to be called once lash_node_close has begun. */
LASH_PUBLIC int lash_node_status(lash_node *node, struct lash_status *status);

#ifdef __cplusplus
}
#endif
#endif
