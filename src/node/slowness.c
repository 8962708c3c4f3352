/* SPDX-License-Identifier: Apache-2.0
 *
 * A slow disk: see slowness.h.
 */
#include "node/slowness.h"

#include "base/assert.h"
#include "base/logger.h"
#include "node/replica_state.h"

enum {
    SLOWNESS_MIN_MS = 100,    /* no disk is slow that takes less */
    SLOWNESS_WEIGHT = 4,      /* the last write counts for one in so many */
    SLOWNESS_PROBE_MS = 1000, /* between writes to a slow disk that has nothing to write */
};

/* Writes that take so long, smoothed, make a disk slow; half of that is not slow any more. A quarter of the election timeout: with
 * more than that a follower's patience and a client's are of the same order. */
static uint64_t slowness_limit_ms(const struct replica *replica) {
    uint64_t limit_ms = replica->options.election_ms / 4;
    return limit_ms > SLOWNESS_MIN_MS ? limit_ms : SLOWNESS_MIN_MS;
}

/* One job that takes so long makes it slow at once: an election timeout. It also counts for no more than that when it is done, so
 * that one long wait does not outweigh many good writes. */
static uint64_t slowness_stuck_ms(const struct replica *replica) {
    return 4 * slowness_limit_ms(replica);
}

void slowness_begin(struct replica *replica) {
    replica->slowness.since_ms = replica->now_ms;
}

void slowness_end(struct replica *replica, bool wrote) {
    struct slowness *slowness = &replica->slowness;
    uint64_t now_ms = replica->env->now_ms(replica->env->context);
    uint64_t took_ms = now_ms > slowness->since_ms ? now_ms - slowness->since_ms : 0;
    uint64_t most_ms = slowness_stuck_ms(replica);
    slowness->probe_at_ms = now_ms + SLOWNESS_PROBE_MS;
    if (took_ms > most_ms)
        took_ms = most_ms;
    /* Whatever did not write says something only if it took long. */
    if (!wrote && took_ms < most_ms)
        return;
    slowness->smoothed_us =
        (slowness->smoothed_us * (SLOWNESS_WEIGHT - 1) + took_ms * 1000 + SLOWNESS_WEIGHT - 1) / SLOWNESS_WEIGHT;
}

bool slowness_probe(struct replica *replica) {
    struct slowness *slowness = &replica->slowness;
    if (!slowness->slow || !replica_active(replica) || replica->now_ms < slowness->probe_at_ms)
        return false;
    slowness->probe_at_ms = replica->now_ms + SLOWNESS_PROBE_MS;
    return true;
}

/* Whether the disk is slow, by what is known now. */
static bool slowness_is(const struct replica *replica) {
    const struct slowness *slowness = &replica->slowness;
    uint64_t limit_us = slowness_limit_ms(replica) * 1000;
    if (replica->journal.busy && replica->now_ms >= slowness->since_ms + slowness_stuck_ms(replica))
        return true;
    return slowness->smoothed_us >= (slowness->slow ? limit_us / 2 : limit_us);
}

void slowness_turn(struct replica *replica) {
    struct slowness *slowness = &replica->slowness;
    bool slow = slowness_is(replica);
    if (slow == slowness->slow)
        return;
    struct lash_event event = {.type = LASH_EVENT_SLOW};
    event.slow.slow = slow;
    if (replica_step(replica, &event, NULL, 0)) /* without memory it is told again in the next turn */
        return;
    slowness->slow = slow;
    observer_tell(replica, slow ? LASH_OBSERVED_SLOW : LASH_OBSERVED_SLOW_ENDED, replica->options.id);
    if (slow)
        log_warn("disk slow: another member had better lead until it is not any more; check the disk",
                 F_U64("write_ms", slowness->smoothed_us / 1000),
                 F_U64("waiting_ms", replica->journal.busy ? replica->now_ms - slowness->since_ms : 0),
                 F_U64("limit_ms", slowness_limit_ms(replica)), F_HEX("id", replica->options.id));
    else
        log_info("disk not slow any more", F_U64("write_ms", slowness->smoothed_us / 1000),
                 F_HEX("id", replica->options.id));
}

uint64_t slowness_deadline(const struct replica *replica) {
    const struct slowness *slowness = &replica->slowness;
    if (replica->journal.busy)
        return slowness->slow ? UINT64_MAX : slowness->since_ms + slowness_stuck_ms(replica);
    return slowness->slow ? slowness->probe_at_ms : UINT64_MAX;
}
