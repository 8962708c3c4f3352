/* SPDX-License-Identifier: Apache-2.0
 *
 * The repair of a damaged log: one frame at a time, from one peer after another.
 * See repair.h for what it is, docs/protocol.md for why nothing is lost by it.
 */
#include "node/repair.h"

#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "node/lender.h"

enum {
    REPAIR_ANSWER_MS = 3000, /* within which a peer is to answer, before another is asked */
    REPAIR_PAUSE_MS = 1000,  /* after nobody could help */
    REPAIR_SAY_MS = 10000,   /* between two lines that say so */
};

struct repair {
    struct repair_options options;
    const struct replica_env *env;
    struct log *log;
    struct lender lender;
    lash_id peers[LASH_RAFT_MEMBERS_MAX]; /* that can be sent to; 0: a free place */
    size_t position;                      /* of the peer asked last */
    uint32_t refusals;                    /* by peers, one after another, of what is needed now */
    struct log_damage damage;             /* what is needed */
    lash_id asked;                        /* who is to answer; 0: nobody */
    uint64_t next_ms;                     /* when to ask (another) */
    uint64_t say_ms;                      /* when to say again that nobody helps */
    uint64_t repaired;                    /* frames */

    struct job job;
    bool busy;         /* the job is out */
    struct buf *frame; /* the job's */
    int job_result;
    int result;                     /* LASH_DAMAGED, until the log is whole or cannot be used */
    struct log_recovered recovered; /* with LASH_OK, until it is handed over */
    bool stopping;
};

/* ---- The job --------------------------------------------------------------------------------------- */

static void repair_go_on(void *owner);

static void repair_work(struct job *job) {
    struct repair *repair = list_entry(job, struct repair, job);
    repair->job_result = log_repair(repair->log, repair->frame, &repair->recovered);
}

static void repair_next(struct repair *repair) {
    bool damaged = log_damaged(repair->log, &repair->damage);
    LASH_ASSERT(damaged);
    repair->refusals = 0;
    repair->asked = 0;
    repair->next_ms = 0;
}

/* The peer that was asked cannot help. */
static void repair_refused(struct repair *repair) {
    repair->refusals++;
    repair->asked = 0;
    repair->next_ms = 0;
}

static void repair_done(struct job *job) {
    struct repair *repair = list_entry(job, struct repair, job);
    buf_unref(repair->frame);
    repair->frame = NULL;
    repair->busy = false;
    if (repair->job_result == LASH_MISMATCH) {
        log_warn("a peer's frame is not the one that the damaged log held", F_HEX("peer", repair->asked),
                 F_U64("index", repair->damage.index), F_HEX("id", repair->options.id));
        repair_refused(repair);
        return;
    }
    repair->result = repair->job_result;
    if (repair->result == LASH_DAMAGED || repair->result == LASH_OK)
        repair->repaired++;
    if (repair->result == LASH_DAMAGED)
        repair_next(repair);
    else if (repair->result == LASH_OK)
        log_info("the log is whole again", F_U64("frames", repair->repaired), F_HEX("id", repair->options.id));
    else if (repair->result == LASH_IO)
        repair->env->halt(repair->env->context, repair->result);
}

/* ---- Asking ----------------------------------------------------------------------------------------- */

static bool repair_can_ask(const struct repair *repair, lash_id peer) {
    return peer != 0 && (repair->env->features(repair->env->context, peer) & WIRE_REPAIR) != 0;
}

static uint32_t repair_helpers(const struct repair *repair) {
    uint32_t count = 0;
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++)
        count += repair_can_ask(repair, repair->peers[i]);
    return count;
}

static bool repair_send(struct repair *repair, lash_id peer) {
    struct wire_head head = {.group = repair->options.group, .kind = WIRE_REPAIR_ASK};
    uint8_t data[WIRE_HEAD_MAX];
    head.repair.index = repair->damage.index;
    head.repair.size = repair->damage.size;
    head.repair.crc = repair->damage.crc;
    size_t size = wire_encode(&head, data);
    return repair->env->send(repair->env->context, peer, TRANSPORT_CONTROL, data, size, NULL, 0) == LASH_OK;
}

static void repair_say(struct repair *repair, uint64_t now_ms) {
    if (now_ms < repair->say_ms)
        return;
    repair->say_ms = now_ms + REPAIR_SAY_MS;
    log_warn("this node's log is damaged and takes no part until a peer has what it lacks",
             F_U64("index", repair->damage.index), F_U64("segment", repair->damage.number),
             F_U64("offset", repair->damage.offset), F_U64("peers", repair_helpers(repair)),
             F_HEX("id", repair->options.id),
             F_STR("do", "start its peers; if they have all compacted that entry, remove this member from the cluster "
                         "and add it anew with an empty directory"));
}

/* Ask the next peer, unless all have just refused. */
static void repair_ask(struct repair *repair, uint64_t now_ms) {
    uint32_t helpers = repair_helpers(repair);
    repair->asked = 0;
    repair->next_ms = now_ms + REPAIR_PAUSE_MS;
    if (repair->refusals >= helpers) {
        repair_say(repair, now_ms);
        repair->refusals = 0;
        if (helpers)
            return;
    }
    for (size_t i = 1; i <= LASH_RAFT_MEMBERS_MAX; i++) {
        size_t position = (repair->position + i) % LASH_RAFT_MEMBERS_MAX;
        if (!repair_can_ask(repair, repair->peers[position]) || !repair_send(repair, repair->peers[position]))
            continue;
        repair->position = position;
        repair->asked = repair->peers[position];
        repair->next_ms = now_ms + REPAIR_ANSWER_MS;
        return;
    }
}

/* ---- Events ----------------------------------------------------------------------------------------- */

int repair_check_reply(const uint8_t *tail, size_t size) {
    struct frame frame;
    size_t used = 0;
    int error = size ? frame_check(tail, size, &frame, &used) : LASH_OK;
    return !error && used != size ? LASH_CORRUPT : error;
}

static int repair_reply(struct repair *repair, lash_id from, const struct wire_head *head, const uint8_t *tail,
                        size_t size) {
    int error = repair_check_reply(tail, size);
    bool awaited = from == repair->asked && !repair->busy && head->repair.index == repair->damage.index &&
                   head->repair.size == repair->damage.size && head->repair.crc == repair->damage.crc;
    if (error || !awaited)
        return error;
    if (!size) {
        repair_refused(repair);
        return LASH_OK;
    }
    repair->frame = buf_new(size);
    if (!repair->frame)
        return LASH_OK; /* it is asked for again */
    memcpy(repair->frame->data, tail, size);
    repair->frame->size = size;
    return LASH_OK;
}

int repair_receive(struct repair *repair, lash_id from, const uint8_t *head, size_t head_size, const uint8_t *tail,
                   size_t tail_size) {
    struct wire_head decoded;
    int error = wire_decode(head, head_size, &decoded);
    if (!error && decoded.group != repair->options.group)
        error = LASH_CORRUPT;
    if (error)
        return error;
    if (decoded.kind == WIRE_REPAIR_REPLY)
        return repair_reply(repair, from, &decoded, tail, tail_size);
    if (decoded.kind == WIRE_REPAIR_ASK && tail_size)
        return LASH_CORRUPT;
    if (decoded.kind == WIRE_REPAIR_ASK)
        lender_ask(&repair->lender, from, &decoded);
    return LASH_OK;
}

void repair_connected(struct repair *repair, lash_id peer) {
    size_t unused = LASH_RAFT_MEMBERS_MAX;
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++) {
        if (repair->peers[i] == peer)
            return;
        if (repair->peers[i] == 0)
            unused = i;
    }
    if (unused < LASH_RAFT_MEMBERS_MAX)
        repair->peers[unused] = peer;
    if (!repair->asked)
        repair->next_ms = 0;
}

void repair_disconnected(struct repair *repair, lash_id peer) {
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++)
        if (repair->peers[i] == peer)
            repair->peers[i] = 0;
    if (repair->asked == peer && !repair->busy) {
        repair->asked = 0;
        repair->next_ms = 0;
    }
}

static bool repair_goes_on(const struct repair *repair) {
    return repair->result == LASH_DAMAGED && !repair->stopping;
}

/* The log is used by one job at a time: to repair goes before to lend. */
static void repair_go_on(void *owner) {
    struct repair *repair = owner;
    if (repair->busy || repair->lender.busy || !repair_goes_on(repair))
        return;
    if (repair->frame) {
        repair->busy = true;
        repair->env->submit(repair->env->context, REPLICA_LOG, &repair->job);
        return;
    }
    lender_start(&repair->lender, REPLICA_LOG);
}

void repair_turn(struct repair *repair) {
    uint64_t now_ms = repair->env->now_ms(repair->env->context);
    bool waits = repair_goes_on(repair) && !repair->frame;
    if (waits && now_ms >= repair->next_ms)
        repair_ask(repair, now_ms);
    repair_go_on(repair);
    repair->env->arm(repair->env->context, waits ? repair->next_ms : UINT64_MAX);
}

void repair_stop(struct repair *repair) {
    repair->stopping = true;
}

bool repair_stopped(const struct repair *repair) {
    return repair->stopping && !repair->busy && !repair->lender.busy;
}

int repair_outcome(struct repair *repair, struct log_recovered *recovered) {
    if (repair->busy || repair->lender.busy || repair->result == LASH_DAMAGED)
        return LASH_DAMAGED;
    if (repair->result == LASH_OK) {
        *recovered = repair->recovered;
        repair->recovered = (struct log_recovered){.term = 0};
    }
    return repair->result;
}

void repair_fail(struct repair *repair, int error) {
    repair->result = error;
}

/* ---- Making and watching ------------------------------------------------------------------------------ */

int repair_new(const struct repair_options *options, const struct replica_env *env, struct log *log,
               struct repair **repair) {
    struct repair *new = mem_calloc(1, sizeof *new);
    if (!new)
        return LASH_NOMEM;
    new->options = *options;
    new->env = env;
    new->log = log;
    new->result = LASH_DAMAGED;
    new->job.work = repair_work;
    new->job.done = repair_done;
    list_init(&new->job.link);
    lender_init(&new->lender, env, log, options->group, repair_go_on, new);
    repair_next(new);
    log_warn("this node's log is damaged; it takes no part until its peers have helped to repair it",
             F_U64("index", new->damage.index), F_U64("segment", new->damage.number),
             F_U64("offset", new->damage.offset), F_HEX("id", options->id));
    *repair = new;
    return LASH_OK;
}

void repair_free(struct repair *repair) {
    LASH_ASSERT(!repair->busy);
    lender_free(&repair->lender);
    buf_unref(repair->frame);
    log_recovered_free(&repair->recovered);
    mem_free(repair);
}

void repair_abandon(struct repair *repair) {
    repair->busy = false;
    repair->lender.busy = false;
    repair_free(repair);
}

void repair_status(const struct repair *repair, struct lash_status *status) {
    *status = (struct lash_status){.error = repair->result, .log_bytes = log_size(repair->log)};
    status->raft.id = repair->options.id;
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++)
        status->peers_connected += repair->peers[i] != 0;
}

void repair_each_peer(const struct repair *repair, void (*each)(void *context, lash_id peer), void *context) {
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++)
        if (repair->peers[i] != 0)
            each(context, repair->peers[i]);
}
