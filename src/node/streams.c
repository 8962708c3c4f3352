/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends snapshots to peers (§7), to several at once: the newest one as its file lies
 * here, piece by piece. The next piece goes once the peer has the one before on its
 * disk, so a peer that is slow, or gone, costs no memory, and a stream is never far
 * ahead of the rate that it may have.
 *
 * For each offer of the core's present leadership the core hears exactly once how it
 * ended. A failure is told after a pause: then it offers again.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "node/replica_state.h"

enum {
    STREAMS_PATIENCE_BEATS = 40, /* heartbeats without a word from the peer, after which the stream is given up */
    STREAMS_LOST_BEATS = 20,     /* heartbeats after which a piece that the peer lacks is sent again */
    STREAMS_PAUSE_BEATS = 10,    /* heartbeats after a failure */
    STREAMS_BURST_US = 100000,   /* what was not sent so long ago may be sent at once */
};

void streams_init(struct replica *replica) {
    replica->streams.replica = replica;
    list_init(&replica->streams.job.link);
}

static void stream_release(struct streams *streams, struct stream *stream) {
    LASH_ASSERT(stream->state == STREAM_FREE || streams->taken > 0);
    streams->taken -= stream->state != STREAM_FREE;
    buf_unref(stream->chunk);
    snapshot_close(stream->reader);
    *stream = (struct stream){.state = STREAM_FREE};
}

void streams_free(struct replica *replica) {
    struct streams *streams = &replica->streams;
    /* A simulated process can die between a job and its end. */
    if (streams->reader != streams->streams[streams->position].reader)
        snapshot_close(streams->reader);
    buf_unref(streams->chunk);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        LASH_ASSERT(!replica->streams.streams[i].busy);
        stream_release(streams, &streams->streams[i]);
    }
}

bool streams_busy(const struct replica *replica) {
    return replica->streams.streams[replica->streams.position].busy;
}

/* ---- Ends ------------------------------------------------------------------------------------------ */

/* Nobody is interested any more. What its job works with goes once it is back. */
static void stream_drop(struct streams *streams, struct stream *stream) {
    stream->state = STREAM_OVER;
    stream->owed = false;
    if (!stream->busy && !stream->check)
        stream_release(streams, stream);
}

/* Whether the core waits for its end. */
static bool stream_owed(const struct replica *replica, const struct stream *stream) {
    return stream->owed && replica->status.role == LASH_LEADER && replica->status.term == stream->term;
}

static void stream_end(struct replica *replica, struct stream *stream, bool ok) {
    struct lash_event event = {.type = LASH_EVENT_SNAPSHOT_ENDED};
    event.snapshot_ended.id = stream->peer;
    event.snapshot_ended.ok = ok;
    bool owed = stream_owed(replica, stream);
    stream_drop(&replica->streams, stream);
    if (owed)
        replica_step_surely(replica, &event);
}

/* Pause before the next try. */
static void stream_pause(const struct replica *replica, struct stream *stream) {
    stream->state = STREAM_FAILED;
    stream->not_before_ms =
        replica->env->now_ms(replica->env->context) + STREAMS_PAUSE_BEATS * replica->options.heartbeat_ms;
}

static void stream_fail(struct replica *replica, struct stream *stream, const char *why, int error) {
    log_warn("a snapshot could not be sent; it is tried again", F_STR("why", why), F_ERR(error),
             F_HEX("peer", stream->peer), F_U64("index", stream->index), F_U64("sent", stream->offset),
             F_HEX("id", replica->options.id));
    metric_add(&replica->meter.snapshot_send_failures, 1);
    stream_pause(replica, stream);
}

static void stream_done(struct replica *replica, struct stream *stream) {
    lash_id peer = stream->peer;
    lash_index index = stream->index;
    log_info("snapshot sent", F_HEX("peer", peer), F_U64("index", index), F_U64("bytes", stream->bytes),
             F_HEX("id", replica->options.id));
    metric_add(&replica->meter.snapshots_sent, 1);
    stream_end(replica, stream, true);
    observer_tell_snapshot(replica, LASH_OBSERVED_SNAPSHOT_SENT, peer, index);
}

/* ---- Begins ---------------------------------------------------------------------------------------- */

static struct stream *streams_find(struct streams *streams, lash_id peer) {
    for (size_t i = 0; i < STREAMS_MAX; i++)
        if (streams->streams[i].peer == peer && streams->streams[i].state != STREAM_FREE &&
            streams->streams[i].state != STREAM_OVER)
            return &streams->streams[i];
    return NULL;
}

/* A free place, for a peer that has none. */
static struct stream *streams_begin(struct replica *replica, lash_id peer, lash_index least) {
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct stream *stream = &replica->streams.streams[i];
        if (stream->state != STREAM_FREE)
            continue;
        replica->streams.taken++;
        *stream = (struct stream){.peer = peer,
                                  .state = STREAM_OPENING,
                                  .least = least,
                                  .term = replica->status.term,
                                  .hollow = witness_is(replica, peer),
                                  .heard_at_ms = replica->now_ms};
        return stream;
    }
    return NULL;
}

/* Whether a peer can be sent snapshots at all. */
static bool streams_understood(const struct replica *replica, lash_id peer) {
    return (replica->env->features(replica->env->context, peer) & WIRE_SNAPSHOTS) != 0;
}

void streams_offer(struct replica *replica, const struct lash_message *message) {
    struct stream *before = streams_find(&replica->streams, message->to);
    if (message->term != replica->status.term || replica->status.role != LASH_LEADER)
        return;
    if (before)
        stream_drop(&replica->streams, before); /* of an earlier leadership, or one that the peer asked for */
    struct stream *stream = streams_begin(replica, message->to, message->snapshot.last_index);
    LASH_ASSERT(stream != NULL);
    stream->owed = true;
    if (!replica_is_connected(replica, stream->peer))
        stream_pause(replica, stream); /* it was heard already, and is being dialled */
    else if (!replica->options.snapshots || !streams_understood(replica, stream->peer))
        stream_fail(replica, stream, "it runs a version, or a state machine, that takes none", LASH_VERSION);
}

static void streams_refuse(struct replica *replica, lash_id peer) {
    struct wire_head head = {.group = replica->options.group, .kind = WIRE_SNAPSHOT_ACK};
    head.ack.answer = WIRE_SNAPSHOT_REFUSED;
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    (void)replica->env->send(replica->env->context, peer, TRANSPORT_CONTROL, data, size, NULL,
                             0); /* else it asks again */
}

/* A peer that has lost its snapshot, and whose log does without the entries, asks for any that serves. */
static void streams_asked(struct replica *replica, lash_id peer, lash_index least) {
    struct stream *stream = streams_find(&replica->streams, peer);
    if (stream && stream->owed)
        return;
    if (stream)
        stream_drop(&replica->streams, stream);
    bool serves = replica->options.snapshots && replica->taker.newest.index >= least && !witness_here(replica);
    stream = serves ? streams_begin(replica, peer, least) : NULL;
    if (stream)
        return;
    replica->taker.wanted |= replica->applier.applied >= least && !witness_here(replica);
    streams_refuse(replica, peer);
}

/* ---- The job --------------------------------------------------------------------------------------- */

static struct stream *streams_current(struct streams *streams) {
    return &streams->streams[streams->position];
}

/* The newest in the folder, if it reaches far enough. */
static int streams_open(struct streams *streams) {
    struct snapshots *snapshots = streams->replica->options.snapshots;
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    if (snapshots_list(snapshots, infos) == 0 || infos[0].index < streams->least)
        return LASH_NOT_FOUND;
    streams->info = infos[0];
    int error = streams->hollow ? snapshot_open_hollow(snapshots, infos[0].index, &streams->reader)
                                : snapshot_open(snapshots, infos[0].index, &streams->reader);
    if (error == LASH_CORRUPT)
        (void)snapshots_check(snapshots, infos[0].index); /* it is set aside */
    if (!error)
        streams->info.bytes = snapshot_file_bytes(streams->reader);
    return error;
}

static int streams_read(struct streams *streams) {
    size_t got;
    size_t most = (size_t)streams->replica->options.piece_bytes;
    LASH_ASSERT(most > 0 && most <= WIRE_CHUNK_MAX);
    streams->chunk = buf_new(most);
    if (!streams->chunk)
        return LASH_NOMEM;
    int error = snapshot_raw(streams->reader, streams->offset, streams->chunk->data, most, &got);
    streams->chunk->size = got;
    return error || got ? error : LASH_CORRUPT;
}

static void streams_work(struct job *job) {
    struct streams *streams = list_entry(job, struct streams, job);
    if (streams->check)
        streams->error = snapshots_check(streams->replica->options.snapshots, streams->index);
    else
        streams->error = streams->reader ? streams_read(streams) : streams_open(streams);
}

/* What the job has got becomes the stream's. */
static void stream_take(struct streams *streams, struct stream *stream) {
    if (!stream->reader && streams->reader) {
        stream->index = streams->info.index;
        stream->index_term = streams->info.term;
        stream->bytes = streams->info.bytes;
    }
    stream->reader = streams->reader;
    stream->chunk = streams->chunk;
    streams->reader = NULL;
    streams->chunk = NULL;
}

static void streams_done(struct job *job) {
    struct streams *streams = list_entry(job, struct streams, job);
    struct replica *replica = streams->replica;
    struct stream *stream = streams_current(streams);
    bool checked = streams->check;
    stream->busy = false;
    stream->check = false;
    replica->copying = false;
    if (checked || streams->error)
        taker_look(replica);
    if (checked)
        streams->reader = NULL;
    else
        stream_take(streams, stream);
    if (stream->state == STREAM_OVER) {
        stream_release(&replica->streams, stream);
    } else if (!checked && streams->error) {
        replica->taker.wanted |= streams->error == LASH_NOT_FOUND || streams->error == LASH_CORRUPT;
        stream_fail(replica, stream, "it could not be read", streams->error);
    } else if (stream->state == STREAM_OPENING) {
        stream->state = stream->owed ? STREAM_OFFERING : STREAM_READING;
    } else if (stream->state == STREAM_READING) {
        stream->state = STREAM_SENDING;
    }
}

static bool stream_works(const struct stream *stream) {
    return stream->check || stream->state == STREAM_OPENING || stream->state == STREAM_READING;
}

/* The next job: streams take turns. */
static void streams_start(struct replica *replica) {
    struct streams *streams = &replica->streams;
    for (size_t i = 1; !replica->copying && i <= STREAMS_MAX; i++) {
        size_t position = (streams->position + i) % STREAMS_MAX;
        if (!stream_works(&streams->streams[position]))
            continue;
        struct stream *stream = &streams->streams[position];
        streams->position = position;
        streams->index = stream->index;
        streams->least = stream->least;
        streams->offset = stream->offset;
        streams->reader = stream->reader;
        streams->check = stream->check;
        streams->hollow = stream->hollow;
        stream->busy = true;
        replica->copying = true;
        streams->job.work = streams_work;
        streams->job.done = streams_done;
        replica->env->submit(replica->env->context, REPLICA_COPY, &streams->job);
    }
}

/* ---- What the peer hears --------------------------------------------------------------------------- */

static void stream_send_offer(struct replica *replica, struct stream *stream) {
    struct wire_head head = {.group = replica->options.group, .kind = WIRE_MESSAGE};
    head.message.type = LASH_MSG_SNAPSHOT;
    head.message.term = stream->term;
    head.message.snapshot.last_index = stream->index;
    head.message.snapshot.last_term = stream->index_term;
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    if (replica->env->send(replica->env->context, stream->peer, TRANSPORT_CONTROL, data, size, NULL, 0) == 0) {
        stream->state = STREAM_OFFERED;
        stream->heard_at_ms = replica->now_ms;
    } else {
        stream->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
    }
}

/* When the next piece may go: one of `size` bytes was sent. */
static void stream_pay(const struct replica *replica, struct stream *stream, size_t size) {
    uint64_t rate = replica->options.snapshot_rate;
    uint64_t now_us = replica->now_ms * 1000;
    if (rate == 0)
        return;
    if (stream->due_us + STREAMS_BURST_US < now_us)
        stream->due_us = now_us - STREAMS_BURST_US;
    stream->due_us += size * 1000000 / rate;
    stream->not_before_ms = stream->due_us / 1000;
}

static void stream_send_chunk(struct replica *replica, struct stream *stream) {
    struct wire_head head = {.group = replica->options.group, .kind = WIRE_SNAPSHOT_CHUNK};
    head.chunk.index = stream->index;
    head.chunk.term = stream->index_term;
    head.chunk.bytes = stream->bytes;
    head.chunk.offset = stream->offset;
    head.chunk.crc = crc32c(0, stream->chunk->data, stream->chunk->size);
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(&head, data);
    if (replica->env->send(replica->env->context, stream->peer, TRANSPORT_SNAPSHOT, data, size, &stream->chunk, 1) !=
        0) {
        stream->not_before_ms = replica->now_ms + replica->options.heartbeat_ms;
        return;
    }
    metric_add(&replica->meter.snapshot_bytes_sent, stream->chunk->size);
    stream_pay(replica, stream, stream->chunk->size);
    stream->state = STREAM_SENT;
    stream->sent_at_ms = replica->now_ms;
    buf_unref(stream->chunk);
    stream->chunk = NULL;
}

/* ---- What the peer says ---------------------------------------------------------------------------- */

static void stream_go_on(const struct replica *replica, struct stream *stream, uint64_t offset) {
    if (offset > stream->bytes)
        return;
    bool first = stream->state == STREAM_OFFERED;
    bool further = stream->state == STREAM_SENT && offset > stream->offset;
    /* The same place again, long after the piece was sent: it got lost. Sooner, it may be on its way over a slow link. */
    uint64_t lost_ms = stream->sent_at_ms + STREAMS_LOST_BEATS * replica->options.heartbeat_ms;
    bool lost = stream->state == STREAM_SENT && offset == stream->offset && replica->now_ms >= lost_ms;
    if (!first && !further && !lost)
        return;
    stream->offset = offset;
    stream->state = offset < stream->bytes ? STREAM_READING : STREAM_SENT;
}

static void stream_damaged(struct replica *replica, struct stream *stream) {
    stream->check = true;
    stream_fail(replica, stream, "it arrived damaged", LASH_CORRUPT);
}

void streams_acked(struct replica *replica, lash_id from, const struct wire_head *head) {
    if (head->ack.answer == WIRE_SNAPSHOT_ASK) {
        streams_asked(replica, from, head->ack.index);
        return;
    }
    struct stream *stream = streams_find(&replica->streams, from);
    bool same = stream && stream->index == head->ack.index && stream->index_term == head->ack.term;
    if (!same && head->ack.answer == WIRE_SNAPSHOT_REFUSED)
        installer_refused(replica, from);
    if (!same || stream->state < STREAM_OFFERED || stream->state >= STREAM_FAILED)
        return;
    stream->heard_at_ms = replica->now_ms;
    if (head->ack.answer == WIRE_SNAPSHOT_GO_ON)
        stream_go_on(replica, stream, head->ack.offset);
    else if (head->ack.answer == WIRE_SNAPSHOT_DONE)
        stream_done(replica, stream);
    else if (head->ack.answer == WIRE_SNAPSHOT_DAMAGED)
        stream_damaged(replica, stream);
    else
        stream_fail(replica, stream, "the peer does not take it now", LASH_BUSY);
}

void streams_connected(struct replica *replica, lash_id peer) {
    struct stream *stream = streams_find(&replica->streams, peer);
    if (stream && stream->state == STREAM_FAILED)
        stream->not_before_ms = 0;
}

void streams_forget(struct replica *replica, lash_id peer) {
    struct stream *stream = streams_find(&replica->streams, peer);
    if (stream && stream->state != STREAM_FAILED)
        stream_end(replica, stream, false);
}

void streams_lane(struct replica *replica, lash_id peer, bool ready) {
    struct stream *stream = streams_find(&replica->streams, peer);
    if (stream && ready && stream->state == STREAM_SENDING && replica->options.snapshot_rate == 0)
        stream->not_before_ms = 0;
    else if (stream && !ready && stream->state == STREAM_SENT && stream->offset < stream->bytes)
        stream->state = STREAM_READING; /* what was on its way is sent again */
}

/* ---- When ------------------------------------------------------------------------------------------ */

static const struct lash_progress *stream_progress(const struct replica *replica, const struct stream *stream) {
    for (uint32_t i = 0; i < replica->status.progress_count; i++)
        if (replica->status.progress[i].id == stream->peer)
            return &replica->status.progress[i];
    return NULL;
}

/* Whether the stream has no object any more; then it has ended. */
static bool stream_ended(struct replica *replica, struct stream *stream) {
    const struct lash_progress *progress = stream_progress(replica, stream);
    /* The office is lost, or the peer is no member: the core has forgotten it. */
    if (stream->owed && (!stream_owed(replica, stream) || !progress)) {
        stream_drop(&replica->streams, stream);
        return true;
    }
    if (stream->owed && progress->state != LASH_SNAPSHOT) { /* it holds what it needs, wherever it has it from */
        if (stream->state == STREAM_SENT && progress->match >= stream->index)
            stream_done(replica, stream);
        else
            stream_end(replica, stream, true);
        return true;
    }
    return false;
}

static void stream_turn(struct replica *replica, struct stream *stream) {
    uint64_t patience_ms = STREAMS_PATIENCE_BEATS * replica->options.heartbeat_ms;
    if (stream->state == STREAM_FREE || stream->state == STREAM_OVER || stream_ended(replica, stream))
        return;
    if (stream->state == STREAM_FAILED) {
        if (replica->now_ms >= stream->not_before_ms && !stream->busy && !stream->check)
            stream_end(replica, stream, false);
        return;
    }
    if (replica->now_ms > stream->heard_at_ms + patience_ms && !stream->busy) {
        stream_fail(replica, stream, "the peer says nothing", LASH_TIMEOUT);
        return;
    }
    if (replica->now_ms < stream->not_before_ms)
        return;
    if (stream->state == STREAM_OFFERING)
        stream_send_offer(replica, stream);
    else if (stream->state == STREAM_SENDING)
        stream_send_chunk(replica, stream);
}

void streams_turn(struct replica *replica) {
    if (replica->streams.taken == 0) /* as nearly always, in each turn of the loop */
        return;
    for (size_t i = 0; replica_active(replica) && i < STREAMS_MAX; i++)
        stream_turn(replica, &replica->streams.streams[i]);
    streams_start(replica);
}

static uint64_t stream_deadline(const struct replica *replica, const struct stream *stream) {
    if (stream->state == STREAM_FREE || stream->state == STREAM_OVER || stream->busy || stream->check)
        return UINT64_MAX;
    bool waits = stream->state == STREAM_OFFERING || stream->state == STREAM_SENDING || stream->state == STREAM_FAILED;
    uint64_t patience_ms = STREAMS_PATIENCE_BEATS * replica->options.heartbeat_ms;
    uint64_t silent_at_ms = stream->heard_at_ms + patience_ms + 1;
    return waits && (stream->state == STREAM_FAILED || stream->not_before_ms < silent_at_ms) ? stream->not_before_ms
                                                                                             : silent_at_ms;
}

uint64_t streams_deadline(const struct replica *replica) {
    uint64_t deadline = UINT64_MAX;
    for (size_t i = 0; replica->streams.taken > 0 && i < STREAMS_MAX; i++) {
        uint64_t one = stream_deadline(replica, &replica->streams.streams[i]);
        deadline = one < deadline ? one : deadline;
    }
    return deadline;
}

void streams_status(const struct replica *replica, struct lash_snapshot_status *status) {
    for (size_t i = 0; i < STREAMS_MAX && status->stream_count < LASH_RAFT_MEMBERS_MAX; i++) {
        const struct stream *stream = &replica->streams.streams[i];
        if (stream->state == STREAM_FREE || stream->state == STREAM_OVER || stream->state == STREAM_FAILED)
            continue;
        status->streams[status->stream_count++] = (struct lash_snapshot_stream){
            .peer = stream->peer, .index = stream->index, .sent = stream->offset, .bytes = stream->bytes};
    }
}
