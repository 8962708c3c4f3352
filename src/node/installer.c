/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetches a snapshot from a peer (§7): piece by piece into a file, which counts only once
 * it is whole, read back and durable. Then the core hears of it, between two applies,
 * so that nothing is given to the state machine that comes from the log before.
 * A transfer that broke off goes on where it was, if the peer offers the same file.
 */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "node/replica_state.h"

enum {
    INSTALLER_ACK_BEATS = 10,       /* heartbeats after which the peer hears again how much is there */
    INSTALLER_PATIENCE_BEATS = 100, /* heartbeats without a piece after which another peer may be asked */
};

void installer_init(struct replica *replica) {
    replica->installer.replica = replica;
    list_init(&replica->installer.job.link);
}

void installer_free(struct replica *replica) {
    struct installer *installer = &replica->installer;
    LASH_ASSERT(!installer->busy);
    buf_unref(installer->chunk);
    snapshot_leave(installer->writer);
    snapshot_abandon(installer->stale);
    roster_unref(installer->roster);
}

/* ---- What the peer hears --------------------------------------------------------------------------- */

/* Errors: LASH_VERSION (the peer, which went on with an older version, would break the connection), and those of sending. */
static int installer_say(struct replica *replica, enum wire_snapshot_answer answer) {
    const struct installer *installer = &replica->installer;
    if (!(replica->env->features(replica->env->context, installer->from) & WIRE_SNAPSHOTS))
        return LASH_VERSION;
    struct wire_head head = {.group = replica->options.group, .kind = WIRE_SNAPSHOT_ACK};
    head.ack.index = installer->index;
    head.ack.term = installer->term;
    head.ack.offset = installer->received;
    head.ack.answer = (uint32_t)answer;
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    return replica->env->send(replica->env->context, installer->from, TRANSPORT_CONTROL, data, size, NULL, 0);
}

/* Say how much is there; what cannot be sent now is sent soon. */
static void installer_acknowledge(struct replica *replica) {
    struct installer *installer = &replica->installer;
    int error = installer_say(replica, WIRE_SNAPSHOT_GO_ON);
    uint64_t beats = error ? 1 : INSTALLER_ACK_BEATS;
    installer->ack_due = false;
    installer->ack_at_ms = replica->now_ms + beats * replica->options.heartbeat_ms;
}

/* Begin anew, with nothing. No job is out. */
static void installer_reset(struct replica *replica) {
    struct installer *installer = &replica->installer;
    LASH_ASSERT(!installer->busy);
    struct snapshot_writer *stale = installer->stale ? installer->stale : installer->writer;
    LASH_ASSERT(!installer->stale || !installer->writer);
    buf_unref(installer->chunk);
    roster_unref(installer->roster);
    *installer = (struct installer){.replica = replica, .stale = stale};
    list_init(&installer->job.link);
}

/* ---- What is asked for ----------------------------------------------------------------------------- */

/* Whether another snapshot than the one under way can be begun now. */
static bool installer_free_for(const struct installer *installer) {
    return !installer->busy && installer->state != INSTALLER_READY;
}

static void installer_begin(struct replica *replica, enum installer_state state, lash_id from, lash_index index,
                            lash_term term) {
    struct installer *installer = &replica->installer;
    installer_reset(replica);
    installer->state = state;
    installer->from = from;
    installer->index = index;
    installer->term = term;
    installer->heard_at_ms = replica->now_ms;
}

void installer_offered(struct replica *replica) {
    struct installer *installer = &replica->installer;
    const struct lash_outputs *outputs = &replica->outputs;
    if (!replica->options.snapshots || !replica->options.machine.restore)
        return;
    bool same = installer->state == INSTALLER_FETCHING && installer->from == outputs->install_from &&
                installer->index == outputs->snapshot_index && installer->term == outputs->snapshot_term;
    if (!same && !installer_free_for(installer))
        return; /* the peer tries again, and by then this one has ended */
    if (!same) {
        installer_begin(replica, INSTALLER_FETCHING, outputs->install_from, outputs->snapshot_index,
                        outputs->snapshot_term);
        log_info("a snapshot is needed", F_HEX("from", installer->from), F_U64("index", installer->index),
                 F_U64("last_index", replica->status.last_index), F_HEX("id", replica->options.id));
    }
    installer->ack_due = true;
}

bool installer_ask(struct replica *replica, lash_id peer, lash_index index) {
    struct installer *installer = &replica->installer;
    bool idle = installer->state == INSTALLER_IDLE || installer->state == INSTALLER_ASKING;
    if (!idle || !installer_free_for(installer) || !replica->options.snapshots ||
        !(replica->env->features(replica->env->context, peer) & WIRE_SNAPSHOTS))
        return false;
    installer_begin(replica, INSTALLER_ASKING, peer, index, 0);
    installer->asked = true;
    log_warn("no snapshot here holds what the log lacks: a peer is asked for one", F_HEX("peer", peer),
             F_U64("index", index), F_HEX("id", replica->options.id));
    return installer_say(replica, WIRE_SNAPSHOT_ASK) == 0;
}

void installer_refused(struct replica *replica, lash_id from) {
    struct installer *installer = &replica->installer;
    if (installer->state != INSTALLER_ASKING || installer->from != from)
        return;
    installer_reset(replica);
    replica->restorer.not_before_ms = 0;
}

/* ---- What comes ------------------------------------------------------------------------------------ */

/* Whether the piece is of what is being fetched; the first that an asked peer sends says what that is. */
static bool installer_expects(struct installer *installer, lash_id from, const struct wire_head *head) {
    if (installer->from != from)
        return false;
    if (installer->state == INSTALLER_ASKING && head->chunk.index >= installer->index && head->chunk.offset == 0) {
        installer->state = INSTALLER_FETCHING;
        installer->index = head->chunk.index;
        installer->term = head->chunk.term;
    }
    return installer->state == INSTALLER_FETCHING && installer->index == head->chunk.index &&
           installer->term == head->chunk.term;
}

int installer_chunk(struct replica *replica, lash_id from, const struct wire_head *head, const uint8_t *tail,
                    size_t size) {
    struct installer *installer = &replica->installer;
    if (size == 0 || size > WIRE_CHUNK_MAX || size > head->chunk.bytes - head->chunk.offset ||
        crc32c(0, tail, size) != head->chunk.crc)
        return LASH_CORRUPT;
    if (!replica_active(replica) || !installer_expects(installer, from, head) || installer->busy || installer->chunk)
        return 0;
    if (installer->bytes != 0 && installer->bytes != head->chunk.bytes) {
        /* The peer has made the file anew. */
        installer_begin(replica, INSTALLER_FETCHING, from, head->chunk.index, head->chunk.term);
        installer->ack_due = true;
        return 0;
    }
    if (head->chunk.offset != installer->received) {
        installer->ack_due = true;
        return 0;
    }
    installer->chunk = buf_new(size);
    if (!installer->chunk) {
        installer->ack_at_ms = replica->now_ms + replica->options.heartbeat_ms;
        return 0;
    }
    memcpy(installer->chunk->data, tail, size);
    installer->chunk->size = size;
    installer->bytes = head->chunk.bytes;
    installer->heard_at_ms = replica->now_ms;
    return 0;
}

/* ---- On the copying thread ------------------------------------------------------------------------- */

/* See which membership is in a snapshot of this node's. */
static int installer_look_in(struct installer *installer, lash_index index) {
    struct snapshot_reader *reader;
    int error = snapshot_open(installer->replica->options.snapshots, index, &reader);
    if (error)
        return error;
    const struct snapshot_head *head = snapshot_head_of(reader);
    installer->hollow = head->hollow;
    if (head->configuration_size)
        error = roster_decode(head->configuration, head->configuration_size, &installer->roster);
    snapshot_close(reader);
    return error;
}

/* Make what has come whole durable, and see which membership is in it. */
static int installer_complete(struct installer *installer) {
    struct snapshot_writer *writer = installer->writer;
    installer->writer = NULL;
    int error = snapshot_commit(writer);
    return error ? error : installer_look_in(installer, installer->index);
}

/* One that reaches as far is there already: it does as well, but for a crash between it and the core's hearing of it. */
static int installer_use_own(struct installer *installer) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    size_t count = snapshots_list(installer->replica->options.snapshots, infos);
    int error = count ? installer_look_in(installer, infos[0].index) : LASH_NOT_FOUND;
    if (error)
        return error == LASH_NOMEM ? error : LASH_IO; /* not the peer's fault, whatever it is */
    installer->own = infos[0];
    return 0;
}

/* The first piece says what there is to be copied. Of that an earlier life may have left some: then the peer is to go on there,
 * and the piece is not needed. */
static int installer_begin_copy(struct installer *installer, bool *left) {
    struct snapshots *snapshots = installer->replica->options.snapshots;
    int error = snapshot_receive(snapshots, installer->index, installer->term, installer->bytes, &installer->writer);
    *left = !error && snapshot_received(installer->writer) > 0;
    if (*left)
        log_info("a snapshot that a peer sent before is there in part", F_U64("index", installer->index),
                 F_U64("bytes", installer->bytes), F_U64("received", snapshot_received(installer->writer)));
    return error;
}

static int installer_copy(struct installer *installer) {
    bool left = false;
    int error = installer->writer ? 0 : installer_begin_copy(installer, &left);
    if (!error && !left)
        error = snapshot_copy(installer->writer, snapshot_received(installer->writer), installer->chunk->data,
                              installer->chunk->size);
    if (!error)
        installer->copied = snapshot_received(installer->writer);
    if (!error && installer->copied == installer->bytes) {
        error = installer_complete(installer);
        installer->complete = !error;
    }
    return error == LASH_EXISTS ? installer_use_own(installer) : error;
}

static void installer_work(struct job *job) {
    struct installer *installer = list_entry(job, struct installer, job);
    snapshot_abandon(installer->stale);
    installer->stale = NULL;
    installer->error = installer->chunk ? installer_copy(installer) : 0;
}

/* ---- The end --------------------------------------------------------------------------------------- */

/* After a failed sync nothing more can be installed here, and without that this node takes no part in what the others do: the
 * process stops at once (see the design's failure policy). */
static bool installer_halts(struct replica *replica) {
    if (!snapshots_dead(replica->options.snapshots))
        return false;
    replica_fail(replica, LASH_IO, "a snapshot could not be synced; what was written may be lost");
    replica->env->halt(replica->env->context, LASH_IO);
    return true;
}

static void installer_failed(struct replica *replica) {
    struct installer *installer = &replica->installer;
    int error = installer->error;
    if (error == LASH_IO && installer_halts(replica))
        return;
    log_warn("a snapshot could not be fetched; it is tried again", F_ERR(error), F_HEX("from", installer->from),
             F_U64("index", installer->index), F_U64("bytes", installer->bytes), F_HEX("id", replica->options.id));
    if (replica_active(replica))
        (void)installer_say(replica, error == LASH_CORRUPT ? WIRE_SNAPSHOT_DAMAGED : WIRE_SNAPSHOT_REFUSED);
    installer_reset(replica);
}

static void installer_done(struct job *job) {
    struct installer *installer = list_entry(job, struct installer, job);
    struct replica *replica = installer->replica;
    installer->busy = false;
    replica->copying = false;
    if (!installer->chunk)
        return;
    metric_add(&replica->meter.snapshot_bytes_received, installer->chunk->size);
    buf_unref(installer->chunk);
    installer->chunk = NULL;
    if (installer->error) {
        installer_failed(replica);
    } else if (installer->own.index) {
        installer->index = installer->own.index;
        installer->term = installer->own.term;
        installer->state = INSTALLER_READY;
        taker_look(replica);
    } else if (installer->complete) {
        installer->received = installer->copied;
        installer->state = INSTALLER_READY;
        taker_look(replica);
    } else {
        installer->received = installer->copied;
        installer->ack_due = true;
    }
}

static void installer_installed(struct replica *replica) {
    struct installer *installer = &replica->installer;
    log_info("snapshot installed", F_HEX("from", installer->from), F_U64("index", installer->index),
             F_U64("term", installer->term), F_U64("bytes", installer->bytes), F_HEX("id", replica->options.id));
    metric_add(&replica->meter.snapshots_installed, 1);
    (void)installer_say(replica, WIRE_SNAPSHOT_DONE); /* else the core's acknowledgement tells */
    observer_tell_snapshot(replica, LASH_OBSERVED_SNAPSHOT_INSTALLED, installer->from, installer->index);
    replica->restorer.not_before_ms = 0;
    installer_reset(replica);
}

/* It is durable: let the core know, between two applies. */
static void installer_tell(struct replica *replica) {
    struct installer *installer = &replica->installer;
    struct lash_configuration configuration;
    struct lash_event event = {.type = LASH_EVENT_INSTALLED};
    /* The term that it is of comes with the peer's messages. */
    if (replica->applier.busy || installer->term > replica->status.term)
        return;
    if (installer->hollow && witness_contradicted(replica)) {
        replica_fail(replica, LASH_MISMATCH, "a witness's snapshot came, and this node is to keep data");
        return;
    }
    event.installed.index = installer->index;
    event.installed.term = installer->term;
    if (installer->roster) {
        roster_configuration(installer->roster, &configuration);
        event.installed.configuration = &configuration;
    }
    if (installer->roster && members_offer(replica, roster_ref(installer->roster)))
        return;
    applier_drop(replica);
    int error = replica_step(replica, &event, NULL, 0);
    members_offer_end(replica);
    if (error == LASH_NOMEM)
        return;
    if (!error) {
        installer_installed(replica);
        return;
    }
    log_warn("a snapshot was fetched that does not fit what is committed here", F_ERR(error),
             F_HEX("from", installer->from), F_U64("index", installer->index), F_U64("term", installer->term),
             F_HEX("id", replica->options.id));
    installer_reset(replica);
}

/* ---- When ------------------------------------------------------------------------------------------ */

/* Whether what is being fetched is not needed any more. */
static bool installer_needless(const struct replica *replica) {
    const struct installer *installer = &replica->installer;
    if (installer->busy || installer->state == INSTALLER_IDLE || installer->state == INSTALLER_READY)
        return false;
    /* Who sends it may be gone, and another peer be asked. */
    uint64_t patience_ms = INSTALLER_PATIENCE_BEATS * replica->options.heartbeat_ms;
    if (restorer_due(replica) && installer->state == INSTALLER_FETCHING &&
        replica->now_ms > installer->heard_at_ms + patience_ms)
        return true;
    return installer->asked ? !restorer_due(replica) : installer->index <= replica->status.commit;
}

void installer_turn(struct replica *replica) {
    struct installer *installer = &replica->installer;
    if (installer_needless(replica))
        installer_reset(replica);
    if ((installer->chunk || installer->stale) && !installer->busy && !replica->copying) {
        installer->busy = true;
        replica->copying = true;
        installer->job.work = installer_work;
        installer->job.done = installer_done;
        replica->env->submit(replica->env->context, REPLICA_COPY, &installer->job);
    }
    bool fetching = installer->state == INSTALLER_FETCHING;
    if (fetching && (installer->ack_due || replica->now_ms >= installer->ack_at_ms))
        installer_acknowledge(replica);
    if (installer->state == INSTALLER_READY)
        installer_tell(replica);
}

uint64_t installer_deadline(const struct replica *replica) {
    const struct installer *installer = &replica->installer;
    return installer->state == INSTALLER_FETCHING ? installer->ack_at_ms : UINT64_MAX;
}
