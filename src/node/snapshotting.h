/* SPDX-License-Identifier: Apache-2.0
 *
 * A replica's snapshots (§7): the taker writes them and lets the log be trimmed, the
 * restorer gives them to the state machine, the installer fetches a peer's, and the
 * streams send this replica's to peers. Files of the folder are storage/snapshot.h's.
 *
 * Two rules hold all of it together. What a durable snapshot covers may be missing from
 * the log, but never what the snapshot before the newest does not cover. And a
 * state machine that has not applied everything before the log's begin is restored
 * from a snapshot before it is given anything else, at the start as well as later.
 *
 * Threads: the loop thread, but for the `work` of jobs.
 */
#ifndef LASH_NODE_SNAPSHOTTING_H
#define LASH_NODE_SNAPSHOTTING_H

#include <stdbool.h>

#include "base/buf.h"
#include "node/job.h"
#include "node/request.h"
#include "node/roster.h"
#include "node/wire.h"
#include "storage/log.h"
#include "storage/snapshot.h"

struct replica;

/* ---- Taking (taker.c) ------------------------------------------------------------------------------ */

enum taker_state { TAKER_IDLE = 0, TAKER_BEGINNING, TAKER_WRITING };

struct taker {
    struct job job;
    struct replica *replica;
    enum taker_state state;
    bool wanted;            /* a peer needs one that reaches further than the newest */
    struct list queue;      /* requests for the next one, */
    struct list served;     /* and for the one under way */
    uint64_t bytes;         /* of the log, applied since the last one */
    uint64_t bytes_before;  /* of those, applied before the one under way */
    uint64_t not_before_ms; /* pause after a failure */
    uint64_t since_ns;
    struct snapshot_info newest; /* index 0: there is none */

    /* The one under way. */
    lash_index index;
    lash_term term;
    uint8_t *configuration;
    size_t configuration_size;
    void *view;
    _Atomic bool cancelled;
    bool hollow;              /* it is a witness's, without data */
    _Atomic uint64_t written; /* bytes of data */
    int error;                /* of the job */
    lash_index trim;          /* the log may be trimmed up to here; 0: not */
};

void taker_init(struct replica *replica);
void taker_free(struct replica *replica);
void taker_submit(struct replica *replica, struct request *request);

/* What was applied took so many bytes of the log. */
void taker_applied(struct replica *replica, uint64_t bytes);

/* The folder has another newest snapshot. */
void taker_look(struct replica *replica);

void taker_turn(struct replica *replica);
uint64_t taker_deadline(const struct replica *replica);

/* The replica takes no part any more. */
void taker_stop(struct replica *replica);

/* ---- Restoring (restorer.c) ------------------------------------------------------------------------ */

struct restorer {
    struct job job;
    struct replica *replica;
    bool wanted;            /* though the log would do as well: the state machine has nothing yet */
    bool full;              /* the state machine has no room for it */
    uint64_t not_before_ms; /* pause after a failure, or until a peer is asked again */
    lash_id asked;          /* the peer that was asked for a snapshot last */
    uint64_t since_ns;
    lash_index index; /* of the job */
    lash_term term;
    int error; /* the job's results: */
    bool damaged;
    bool hollow; /* it is a witness's snapshot: there is nothing to restore */
};

void restorer_init(struct replica *replica);

/* Whether the state machine must be given a snapshot before anything else. */
bool restorer_due(const struct replica *replica);
void restorer_turn(struct replica *replica);
uint64_t restorer_deadline(const struct replica *replica);

/* ---- Fetching a peer's (installer.c) --------------------------------------------------------------- */

enum installer_state {
    INSTALLER_IDLE = 0,
    INSTALLER_ASKING,   /* a peer was asked for any that serves */
    INSTALLER_FETCHING, /* pieces come */
    INSTALLER_READY,    /* it is durable here; the core is to hear of it */
};

struct installer {
    struct job job;
    struct replica *replica;
    enum installer_state state;
    bool busy;  /* the job is out */
    bool asked; /* for the state machine's sake, not the core's */
    lash_id from;
    lash_index index; /* while asking: the earliest that serves */
    lash_term term;
    uint64_t bytes;                 /* of the file; 0: not known yet */
    uint64_t received;              /* of them are in the file */
    struct snapshot_writer *writer; /* NULL: no byte has come yet */
    struct snapshot_writer *stale;  /* given up: its file is to be removed */
    struct buf *chunk;              /* for the job; NULL: none */
    bool complete;                  /* the job has made all of it durable, */
    struct snapshot_info own;       /* or found one that reaches as far; index 0: not */
    bool ack_due;
    uint64_t ack_at_ms;    /* when to say again how much is there */
    uint64_t heard_at_ms;  /* when a piece came last */
    int error;             /* of the job */
    uint64_t copied;       /* the job's: so much of the file is there now, */
    struct roster *roster; /* and the membership in it, once it is complete; */
    bool hollow;           /* it is one for a witness */
};

void installer_init(struct replica *replica);
void installer_free(struct replica *replica);

/* The core wants the snapshot that its outputs name. */
void installer_offered(struct replica *replica);

/* Ask a peer for a snapshot at `index` or behind. Whether one was asked. */
bool installer_ask(struct replica *replica, lash_id peer, lash_index index);

/* A piece came. Returns LASH_CORRUPT for what no right peer sends. */
int installer_chunk(struct replica *replica, lash_id from, const struct wire_head *head, const uint8_t *tail,
                    size_t size);

/* What was asked for is refused. */
void installer_refused(struct replica *replica, lash_id from);

void installer_turn(struct replica *replica);
uint64_t installer_deadline(const struct replica *replica);

/* ---- Sending to peers (streams.c) ------------------------------------------------------------------ */

enum stream_state {
    STREAM_FREE = 0,
    STREAM_OPENING,  /* the file is to be opened */
    STREAM_OFFERING, /* the offer is to be sent */
    STREAM_OFFERED,  /* the peer is to say from where on it wants it */
    STREAM_READING,  /* a piece is to be read */
    STREAM_SENDING,  /* a piece is to be sent */
    STREAM_SENT,     /* the peer is to say that it has it */
    STREAM_FAILED,   /* a pause before the core hears of it */
    STREAM_OVER,     /* only its job is waited for */
};

struct stream {
    lash_id peer;
    enum stream_state state;
    bool owed;        /* the core is to hear of its end, */
    lash_term term;   /* if this node leads in this term still */
    bool hollow;      /* the peer is a witness: no data goes there */
    bool check;       /* the file is to be looked at: the peer found it damaged */
    bool busy;        /* its job is out */
    lash_index least; /* it must reach as far */
    lash_index index;
    lash_term index_term;
    uint64_t bytes;
    struct snapshot_reader *reader;
    struct buf *chunk;      /* read and not sent */
    uint64_t offset;        /* everything before is acknowledged */
    uint64_t due_us;        /* when the next piece may go, by the rate */
    uint64_t heard_at_ms;   /* when the peer said something last, */
    uint64_t sent_at_ms;    /* and when it was sent a piece */
    uint64_t not_before_ms; /* of the next try, or of the end of the pause */
};

/* Room for those that only wait for their jobs, too. */
enum { STREAMS_MAX = 2 * LASH_RAFT_MEMBERS_MAX };

struct streams {
    struct job job;
    struct replica *replica;
    size_t position; /* of the stream whose job is out, or was last */
    /* What the job works with, and its results. */
    lash_index index;
    lash_index least;
    uint64_t offset;
    struct snapshot_reader *reader; /* NULL: it is to be opened, or, with `check`, looked at */
    bool hollow;
    bool check;
    struct snapshot_info info;
    struct buf *chunk;
    int error;
    size_t taken; /* of the streams: those that are not STREAM_FREE */
    struct stream streams[STREAMS_MAX];
};

void streams_init(struct replica *replica);
void streams_free(struct replica *replica);

/* The core offers a snapshot: find one, and send it. */
void streams_offer(struct replica *replica, const struct lash_message *message);

/* A peer says how far it is, or asks. */
void streams_acked(struct replica *replica, lash_id from, const struct wire_head *head);

/* The connection to the peer is there: no reason to pause; or it broke. */
void streams_connected(struct replica *replica, lash_id peer);
void streams_forget(struct replica *replica, lash_id peer);

/* The peer's lane for snapshots is ready, or was lost with what was in it. */
void streams_lane(struct replica *replica, lash_id peer, bool ready);

void streams_turn(struct replica *replica);
uint64_t streams_deadline(const struct replica *replica);

/* Whether a job is out. */
bool streams_busy(const struct replica *replica);
void streams_status(const struct replica *replica, struct lash_snapshot_status *status);

/* ---- The start (joiner.c) -------------------------------------------------------------------------- */

/* Let the log go on from the newest snapshot that is intact, should the process have ended between the two (S2), and find the
 * membership of that snapshot: a reference for the caller, or NULL. `recovered` is brought up to date. `*gap`: no intact
 * snapshot reaches the log's begin; which membership was in force there is then not known, unless the log has a newer one.
 * Errors: LASH_MISMATCH (the log contradicts the snapshot), LASH_CORRUPT, LASH_VERSION, LASH_IO, LASH_NOMEM, LASH_FULL. */
int joiner_join(struct snapshots *snapshots, struct log *log, struct log_recovered *recovered, bool *gap,
                struct roster **roster);

/* The newest membership that can be read in a log that is not whole, or in a snapshot (`snapshots` may be NULL): a reference for the
 * caller, or NULL. It may be of an entry that was never committed: good for asking around, and nothing else. */
struct roster *joiner_newest_roster(struct log *log, struct snapshots *snapshots);

#endif
