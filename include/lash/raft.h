/* SPDX-License-Identifier: Apache-2.0
 *
 * The consensus core: Raft as one pure step function.
 *
 * The core does no I/O, allocates nothing, reads no clock and never sees a
 * payload. The program that drives it (the driver: liblash's node, the
 * simulator, the model checker, a browser) hands it one event at a time, each
 * with the present time, and carries out the outputs. The same events give the
 * same outputs, bit for bit, on every platform.
 *
 * "§" refers to Ongaro and Ousterhout, "In Search of an Understandable
 * Consensus Algorithm (Extended Version)"; "D§" to Ongaro's dissertation.
 *
 * Threads: none of these functions locks. Use one core from one thread at a time.
 * Errors: each function lists those that it can return.
 */
#ifndef LASH_RAFT_H
#define LASH_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lash/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most members (voters of both configurations, learners, witnesses) that a group can have. */
#define LASH_RAFT_MEMBERS_MAX 16

/* The highest priority of a member. */
#define LASH_RAFT_PRIORITY_MAX 1000

/* Index and term 0 stand before the log's first entry. Id 0 means "none". */
typedef uint64_t lash_index;
typedef uint64_t lash_term;
typedef uint64_t lash_id;

/* What an entry holds. Only CONFIGURATION is interpreted by the core. */
enum lash_entry_kind {
    LASH_ENTRY_COMMAND = 0,       /* for the state machine */
    LASH_ENTRY_NOOP = 1,          /* a leader's first entry (§8) */
    LASH_ENTRY_BARRIER = 2,       /* committed for its own sake */
    LASH_ENTRY_CONFIGURATION = 3, /* membership (D§4); in force from the moment that it is in the log */
    LASH_ENTRY_PART = 4,          /* of a command that is larger than one entry is to be */
};

/* Consecutive entries of one term and kind; all that the core knows of entries. `count` is at least 1. */
struct lash_run {
    lash_index first;
    lash_term term;
    uint32_t count;
    uint32_t kind; /* enum lash_entry_kind */
};

/* A member's part in a configuration: a set of these. Learners carry neither VOTER flag (D§4.2.1). */
enum lash_member_flags {
    LASH_MEMBER_VOTER = 1,     /* votes in the (new) configuration */
    LASH_MEMBER_VOTER_OLD = 2, /* votes in the outgoing configuration of a joint one (D§4.3) */
    /* With a VOTER flag: votes and acknowledges like any voter, holds index, term and kind of every entry but no command's
     * data, and never leads. An id is a witness for good or never. At least one voter, in each half of a joint configuration,
     * is none. What a leader and witnesses commit without another voter is on that leader's disk only; see docs/protocol.md. */
    LASH_MEMBER_WITNESS = 4,
    LASH_MEMBER_PROMOTE = 8, /* a learner that the leader makes a voter by itself once it has caught up (D§4.2.1) */
    LASH_MEMBER_LEAVES = 16, /* with VOTER_OLD alone: no member any more once the joint configuration is left */
};

struct lash_member {
    lash_id id;
    uint32_t flags;
    uint32_t priority; /* up to LASH_RAFT_PRIORITY_MAX: a leader hands over to a fit voter of a higher one by itself */
};

/* A membership. It is joint when any member has VOTER_OLD. Ids are unique and not 0. An id stands for one log: whoever
 * has lost its disk comes back under a new one. */
struct lash_configuration {
    lash_index index; /* of the entry that holds it; 0: given at creation */
    uint32_t count;
    uint32_t reserved;
    struct lash_member members[LASH_RAFT_MEMBERS_MAX];
};

enum lash_role {
    LASH_FOLLOWER = 0,
    LASH_PRE_CANDIDATE = 1, /* asks whether an election could be won (D§9.6) */
    LASH_CANDIDATE = 2,
    LASH_LEADER = 3,
};

/* ---- Messages ---------------------------------------------------------------------------------- */

enum lash_message_type {
    LASH_MSG_VOTE = 1,         /* RequestVote (§5.2), or its pre-vote form (D§9.6) */
    LASH_MSG_VOTE_REPLY = 2,   /* its answer */
    LASH_MSG_APPEND = 3,       /* AppendEntries (§5.3); without runs a heartbeat */
    LASH_MSG_APPEND_REPLY = 4, /* its answer */
    LASH_MSG_READ = 5,         /* a follower asks the leader for a read index (D§6.4) */
    LASH_MSG_READ_REPLY = 6,   /* its answer */
    LASH_MSG_TIMEOUT_NOW = 7,  /* the leader asks a follower to stand for election at once (D§3.10) */
    LASH_MSG_SNAPSHOT = 8,     /* the leader offers a snapshot (§7): the answer is an APPEND_REPLY */
};

/* One message. `term` is the sender's term, except that a pre-vote carries the term that it would campaign in. */
struct lash_message {
    uint32_t type; /* enum lash_message_type */
    uint32_t reserved;
    lash_id from;
    lash_id to;
    lash_term term;
    union {
        struct {
            lash_index last_index; /* of the candidate's log (§5.4.1) */
            lash_term last_term;
            bool pre;      /* a pre-vote: changes no state at the receiver */
            bool transfer; /* the leader itself asked for this election: it is no reason to stay silent (D§3.10) */
        } vote;
        struct {
            bool granted;
            bool pre;
        } vote_reply;
        struct {
            lash_index prev_index;
            lash_term prev_term;
            lash_index commit; /* leader's commit index */
            uint64_t round;    /* leader's read round; echoed by the reply (D§6.4) */
            /* Entries from prev_index + 1 on, consecutive. In a message given to lash_raft_step `runs` holds
             * `run_count` runs and is only read during the call; it may start before prev_index + 1, and what lies
             * at or before prev_index is ignored. In an output `runs` is NULL and the entries are `first`..`last`
             * (none when last < first), of which the driver sends as many as it sees fit, but at least one, up to
             * `bytes_max` bytes; see LASH_EVENT_SENT. */
            const struct lash_run *runs;
            uint32_t run_count;
            uint32_t reserved;
            lash_index first;
            lash_index last;
            uint64_t bytes_max;
            /* In a message given to lash_raft_step: what the entries of kind CONFIGURATION hold, by their `index`, in rising
             * order; only read during the call. One for each such entry behind prev_index, or the message cannot be right;
             * others are not looked at. In an output NULL. */
            const struct lash_configuration *configurations;
            uint32_t configuration_count;
            bool promise; /* the receiver is asked to vote for nobody else for an election timeout (D§6.4.1) */
        } append;
        struct {
            bool success;
            bool full;             /* the sender's disk has no room for entries: none before it says otherwise */
            bool slow;             /* the sender's disk is slow: it had better not lead */
            lash_index match;      /* success: the receiver's log equals the leader's up to here, durably */
            lash_index rejected;   /* refusal: the prev_index refused */
            lash_index hint_index; /* refusal: where to look next, with the term there; prunes whole terms */
            lash_term hint_term;
            uint64_t round;
            uint64_t
                promise_ms; /* for so long it votes for nobody, itself included (D§6.4.1); 0: it promises nothing */
        } append_reply;
        struct {
            uint64_t context; /* the asker's; echoed */
            bool lease;       /* an answer by lease will do (D§6.4.1) */
        } read;
        struct {
            uint64_t context;
            lash_index index; /* the read index; 0: refused, this node is no leader or lost its office */
        } read_reply;
        struct {
            lash_index last_index; /* of the leader's log: a receiver with another one got this too late */
        } timeout_now;
        struct {
            /* The last entry that the snapshot covers. In an output: the earliest that serves. The driver looks for its
             * newest durable snapshot that reaches so far, puts its last entry here, and sends this; see
             * LASH_EVENT_SNAPSHOT_ENDED. */
            lash_index last_index;
            lash_term last_term;
        } snapshot;
    };
};

/* ---- Events ------------------------------------------------------------------------------------ */

enum lash_event_type {
    LASH_EVENT_TICK = 1,        /* the deadline was reached, or may have been; always harmless */
    LASH_EVENT_MESSAGE = 2,     /* `message` arrived, from whom it says, checked by the transport */
    LASH_EVENT_PROPOSE = 3,     /* append `propose.count` entries of `propose.kind` (leader only) */
    LASH_EVENT_WRITTEN = 4,     /* all writes up to `written.write` are durable */
    LASH_EVENT_SENT = 5,        /* how much of an APPEND output with entries (first <= last) was sent; must follow at
                                 * once, before any event of another type; never for one without entries */
    LASH_EVENT_APPLIED = 6,     /* the state machine applied up to `applied.index` */
    LASH_EVENT_READ = 7,        /* a linearizable read is asked for */
    LASH_EVENT_UNREACHABLE = 8, /* the connection to `peer.id` broke: what was in flight may be lost */
    LASH_EVENT_TRANSFER = 9,    /* hand leadership to `transfer.to` (leader only, D§3.10) */
    LASH_EVENT_READY = 10,      /* what could not be sent to `peer.id` (a SENT of nothing) can be sent now */
    LASH_EVENT_ROOM = 11,       /* the disk has no room for entries any more (`room.full`), or has some again */
    LASH_EVENT_DOWN = 12,       /* the process of `peer.id` has ended; a hint: an election comes sooner */
    LASH_EVENT_CONFIGURE = 13,  /* change the membership to `configure.to` (leader only, D§4) */
    LASH_EVENT_INSTALLED = 14,  /* the snapshot asked for by `install`, or a later one, is durable here (§7) */
    LASH_EVENT_SNAPSHOT_ENDED =
        15,               /* what began with a SNAPSHOT output for `snapshot_ended.id` is over: the snapshot got
                                     * there, or not, or there was none to send. Once for each such output of the
                                     * present leadership; until then no other comes for that member, unless it left
                                     * meanwhile: what is under way to who has left is given up without a word */
    LASH_EVENT_SLOW = 17, /* the disk takes so long that others had better lead (`slow.slow`), or does not any more */
};

struct lash_event {
    uint32_t type; /* enum lash_event_type */
    uint32_t reserved;
    uint64_t now_ms; /* monotonic; a value below an earlier one is taken as that earlier one */
    union {
        struct lash_message message;
        struct {
            uint32_t kind; /* COMMAND, PART or BARRIER */
            uint32_t count;
        } propose;
        struct {
            uint64_t write;   /* the number from lash_outputs.write */
            lash_index index; /* the last index that write held, from lash_outputs.append_last, or with `reset` from
                               * snapshot_index, else 0; of writes that were joined, that of the last such one */
            lash_term term;   /* the term of that index; a completion for an entry since overwritten is ignored */
        } written;
        struct {
            lash_id to;
            lash_index last; /* the last index sent; first - 1 when the queue was full and nothing was */
            uint64_t bytes;
        } sent;
        struct {
            lash_index index;
        } applied;
        struct {
            uint64_t context; /* the caller's, unique among its reads outstanding; not 0 */
            /* A lease will do (D§6.4.1): the leader need not ask anyone while it holds one. `now_ms` must have been read
             * after the read was asked for. */
            bool lease;
        } read;
        struct {
            lash_id id;
        } peer;
        struct {
            /* 0: of those voters, no witnesses, that answer and have room the best: who is not slow and keeps up, of these who has the highest
             * priority, and of these who is furthest */
            lash_id to;
        } transfer;
        struct {
            bool full;
        } room;
        struct {
            bool slow;
        } slow;
        struct {
            lash_index index; /* the last entry that the snapshot covers, and its term */
            lash_term term;
            /* The membership there, only read during the call; NULL: the one in force. Counts unless the log holds that
             * entry, and so the membership, too. */
            const struct lash_configuration *configuration;
        } installed;
        struct {
            lash_id id;
            bool ok; /* it got there, and is durable there */
        } snapshot_ended;
        struct {
            /* The membership that is wanted, as a whole; read during the call. Members are voters (VOTER), witnesses (VOTER
             * and WITNESS) or learners (0, or PROMOTE); `index` is not looked at. Nothing but addresses, which the core does not see, need differ from the
             * present one. When the voters differ by at most one the entry holds it as it is (D§4.1), else a joint
             * configuration, which the leader leaves by itself once it is committed (D§4.3). */
            const struct lash_configuration *to;
        } configure;
    };
};

/* ---- Outputs ----------------------------------------------------------------------------------- */

/* A message to send. */
struct lash_send {
    uint64_t after_write; /* 0: now. Otherwise: only once all writes up to this number are durable (§5.1, §5.3) */
    /* Goes the way of entries and keeps their order: those with entries, and what asks whether they have arrived. Whatever
     * is not ordered had better overtake it, so that no large entry delays a heartbeat. Safety rests on neither. */
    bool ordered;
    /* Says nothing but how far the log is committed. The driver may leave it out when it soon sends the same member something that
     * says as much; else it sends it before long. */
    bool notice;
    struct lash_message message;
};

/* A read's fate. The driver serves the read once the state machine has applied `index`. */
struct lash_read_done {
    uint64_t context;
    lash_index index; /* 0: refused; ask again, there is no leader or it changed */
};

/* An append, a read's answer and a snapshot's offer, or a heartbeat and one of these, for each member, of which none need be
 * this node; an answer, and a transfer. */
#define LASH_RAFT_SENDS_MAX (3 * LASH_RAFT_MEMBERS_MAX + 2)

/* What to do after a step, in this order: write, send, commit, release reads, arm the deadline. */
struct lash_outputs {
    /* The write, if any. `write` numbers writes from 1 without gaps; 0: nothing to write. Term and vote (if `save_vote`)
     * and the entries go to disk as one unit, in the order of their numbers. The driver may join several. */
    uint64_t write;
    bool save_vote;
    bool
        append; /* entries are to be written: those of the PROPOSE or APPEND given, or, with one of the next two, one */
    bool noop;  /* the one entry to append is a new leader's no-op, which the driver makes (§8) */
    bool
        configure; /* the one entry to append is of kind CONFIGURATION, which the driver makes from `configuration` (D§4);
                     * after any event at a leader, as it leaves joint configurations and promotes learners by itself */
    lash_term term; /* to save */
    lash_id vote;   /* to save; 0: none */
    lash_index
        append_first; /* entries append_first..append_last; whatever the log held from append_first on is dropped */
    lash_index append_last;
    lash_term append_term; /* term of append_last */

    /* The write drops all of the log, which goes on behind a snapshot that is durable: at `snapshot_index` + 1. */
    bool reset;
    /* `install_from` offers a snapshot that this node needs: fetch it, make it durable, then LASH_EVENT_INSTALLED. Said
     * anew with each offer; one that is under way goes on. */
    bool install;
    lash_index snapshot_index; /* with `reset` or `install`, never both: the last entry that it covers */
    lash_term snapshot_term;
    lash_id install_from;

    uint32_t send_count;
    uint32_t reads_done_count;
    struct lash_send sends[LASH_RAFT_SENDS_MAX];

    lash_index commit; /* commit index now */
    bool commit_advanced;
    bool role_changed;    /* role, term or leader are not what they were */
    uint64_t deadline_ms; /* when LASH_EVENT_TICK is due; UINT64_MAX: never */

    /* Reads released or refused by this step: `reads_done_count` of them, valid until the next step of another type
     * than LASH_EVENT_SENT. Points into the core's block. */
    const struct lash_read_done *reads_done;

    /* With `configure`: what the entry holds; its index is append_first. Else all zero. */
    struct lash_configuration configuration;
};

/* ---- Creation ---------------------------------------------------------------------------------- */

/* Fixed at creation; the block's size follows from the _max fields. Zero selects the default in brackets. */
struct lash_raft_options {
    lash_id id;            /* this node's; not 0; a member of the configuration or not */
    uint64_t group;        /* carried for the driver; 0 for the only group */
    uint64_t seed;         /* of the generator for election timeouts; nodes of a cluster must differ, and so should each
                            * start of a node: a late answer to a read of its earlier life must not fit a new one */
    uint64_t heartbeat_ms; /* [100] */
    uint64_t election_ms;  /* [1000] timeouts are drawn from election_ms .. 2 * election_ms - 1 (§5.2, §9.3) */
    bool no_pre_vote;      /* pre-vote (D§9.6) is on unless this is set */
    bool no_check_quorum;  /* a leader steps down without a quorum's replies for election_ms (D§6.2) unless set */
    /* Reads may be answered by lease (D§6.4.1), on which this node gives promises and, as leader, counts on others'. After a
     * restart it votes for nobody for election_ms, as it may have promised so: so who comes back with a shorter
     * election_ms must have been down for the longer one. Where it is not set, a read by lease is one by a round. */
    bool leases;
    uint32_t lease_drift; /* [100] per mille: how much faster or slower than true time any member's clock runs, at most;
                           * below 1000 */
    uint32_t inflight_messages_max; /* [128] per follower */
    uint32_t terms_max;             /* [256] changes of term in the log that the block can hold; see lash_raft_grow */
    uint32_t reads_max;             /* [4096] reads outstanding */
    uint64_t inflight_bytes_max;    /* [8 MiB] per follower */
    uint64_t message_bytes_max;     /* [1 MiB] of entries per APPEND */
};

/* What the disk held at start. */
struct lash_raft_saved {
    lash_term term;
    lash_id vote;
    lash_index first_index;  /* the log holds first_index..last; what is before is in a snapshot or never was (1) */
    lash_term prev_term;     /* term of first_index - 1 */
    lash_index commit_floor; /* committed for certain, e.g. applied by a durable state machine; else first_index - 1 */
    const struct lash_run *runs; /* the log's runs, consecutive from first_index; only read during the call */
    size_t run_count;
    /* The newest configuration in the log, else the snapshot's, else the one that the group began with; of count 0 for a
     * node that joins a group and is yet to learn of one: it waits for a leader to make it a member (D§4.2.1). */
    struct lash_configuration configuration;
    /* The one before it, by the same rule; of no interest when `configuration` is not in the log. What is up to its index is
     * committed, as the newer one could not have been proposed before. */
    struct lash_configuration previous;
};

/* The core: one flat block without pointers into itself, so that a copy is a memcpy of lash_raft_size() bytes and
 * equal states are equal bytes. */
struct lash_raft;

/* Bytes that a core with these options needs; 0 for options that lash_raft_init would refuse. */
LASH_PUBLIC size_t lash_raft_size(const struct lash_raft_options *options);

/* Make a core in `block`, which is 8-aligned and at least lash_raft_size() bytes, stays the caller's, and is the core
 * until the caller reuses it. It starts as a follower (§5.2); `now_ms` starts its first election timeout.
 * Errors: LASH_INVALID (options, runs with gaps or falling terms, a bad configuration), LASH_FULL (more changes of
 * term than terms_max). */
LASH_PUBLIC int lash_raft_init(void *block, const struct lash_raft_options *options,
                               const struct lash_raft_saved *saved, uint64_t now_ms, struct lash_raft **raft);

/* Handle one event; `outputs` is filled whole, but for the `sends` behind its `send_count`. On an error the core is unchanged and outputs hold nothing to do.
 * Errors: LASH_NOT_LEADER (PROPOSE, TRANSFER, CONFIGURE; a READ never fails, it is answered through reads_done),
 * LASH_INVALID (an event outside the contract, a TRANSFER to who does not vote, is a witness or is leaving, a CONFIGURE to
 * what is no membership, or in which a member becomes a witness or ceases to be one, an INSTALLED that contradicts what is committed), LASH_FULL (the block's terms_max is used up: lash_raft_grow, then the same event again), LASH_BUSY (READ:
 * reads_max outstanding; PROPOSE and CONFIGURE: a transfer is under way, or the disk has no room: see the status; TRANSFER:
 * another one is under way; CONFIGURE: the change before is not complete, or no entry of the leader's term is committed
 * yet), LASH_NOT_FOUND (TRANSFER: the one named, or everyone, does not answer or has no room), LASH_BEHIND (CONFIGURE: a
 * learner that is to vote has not caught up), LASH_TOO_LARGE (CONFIGURE: members of before and after are too many
 * together). A message that cannot be right is ignored and is no error. */
LASH_PUBLIC int lash_raft_step(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* Copy `raft` into `block`, of lash_raft_size() for its options with `terms_max` put in, which is not below the present.
 * Both are valid after. Errors: LASH_INVALID. */
LASH_PUBLIC int lash_raft_grow(const struct lash_raft *raft, uint32_t terms_max, void *block, struct lash_raft **grown);

/* Forget the log up to `index`, which a durable snapshot covers: first_index becomes index + 1.
 * Errors: LASH_INVALID (above the applied index, or below first_index - 1). */
LASH_PUBLIC int lash_raft_compact(struct lash_raft *raft, lash_index index);

/* ---- Observation ------------------------------------------------------------------------------- */

enum lash_progress_state {
    LASH_PROBE = 0,     /* one message at a time until the logs are known to meet */
    LASH_REPLICATE = 1, /* pipelined */
    LASH_SNAPSHOT = 2,  /* it lacks what was compacted, and is offered a snapshot */
};

/* How far a leader is with a member. */
struct lash_progress {
    lash_id id;
    uint32_t flags;   /* enum lash_member_flags */
    uint32_t state;   /* enum lash_progress_state */
    lash_index match; /* known to be durable there; for the leader itself: its own durable index */
    lash_index next;
    uint32_t inflight_messages;
    uint32_t active; /* 1: heard from within the last election timeout */
    uint64_t inflight_bytes;
    uint32_t full;     /* 1: it said that its disk has no room for entries */
    uint32_t snapshot; /* 1: a snapshot was offered, and what came of it is not known yet */
    uint32_t slow;     /* 1: it said that its disk is slow */
    uint32_t priority;
};

/* Why a leader hands its office over. */
enum lash_transfer_reason {
    LASH_TRANSFER_NONE = 0, /* it does not */
    LASH_TRANSFER_ASKED = 1,
    LASH_TRANSFER_LEAVING = 2,  /* it has no vote any more */
    LASH_TRANSFER_PRIORITY = 3, /* to who has a higher priority */
    LASH_TRANSFER_SLOW = 4,     /* its disk is slow, and the other's is not */
};

/* A core's public state (§5, Figure 2). */
struct lash_raft_status {
    lash_id id;
    lash_id leader; /* 0: unknown */
    lash_id vote;
    lash_term term;
    uint32_t role;           /* enum lash_role */
    uint32_t progress_count; /* 0 unless leader */
    lash_index first_index;
    lash_index last_index;
    lash_term last_term;
    lash_index durable_index; /* own log on disk up to here */
    lash_index commit;
    lash_index applied;
    lash_id transfer_to;     /* leader: whom it hands its office to; 0: nobody. No proposals are taken meanwhile */
    uint32_t full;           /* 1: the disk has no room for entries: none are taken, and no election is stood for */
    uint32_t no_room;        /* leader: 1: neither are proposals, as this node or a majority has no room for them */
    uint32_t slow;           /* 1: the disk is slow, it was told */
    uint32_t transfer_why;   /* leader: enum lash_transfer_reason */
    uint64_t lease_until_ms; /* leader: when its lease ends, by the clock of events; 0: it holds none */
    struct lash_configuration
        configuration; /* the newest in the log, which is in force; committed if `commit` says so */
    struct lash_progress progress[LASH_RAFT_MEMBERS_MAX]; /* of its members, in their order */
};

/* Fill `status`. Never fails. */
LASH_PUBLIC void lash_raft_status(const struct lash_raft *raft, struct lash_raft_status *status);

/* The term of the entry at `index`, and whether it is known: first_index - 1 .. last_index are. */
LASH_PUBLIC bool lash_raft_term_at(const struct lash_raft *raft, lash_index index, lash_term *term);

/* A hash of the whole state, equal for equal states on every platform. */
LASH_PUBLIC uint64_t lash_raft_hash(const struct lash_raft *raft);

#ifdef __cplusplus
}
#endif
#endif
