/* SPDX-License-Identifier: Apache-2.0
 *
 * A log that is damaged where it had been durable, and another replica's that is not.
 * Whatever the damage, the log is afterwards bit for bit what it was, or it is
 * refused, or it goes on waiting: it never opens as another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lash/log.h"
#include "sim/kit.h"
#include "sim/memfs.h"
#include "storage/log_record.h"
#include "storage/log_state.h"

enum { SEGMENTS_MAX = 16, ASKED_MAX = 64 };

/* The same log twice. */
struct pair {
    struct memfs *disk; /* the one that is damaged */
    struct memfs *peer_disk;
    struct log *peer;
    struct kit_state whole; /* what the log holds */
    uint64_t segments;
    uint8_t healthy[SEGMENTS_MAX][KIT_SEGMENT];
    uint8_t type[SEGMENTS_MAX][KIT_SEGMENT];  /* enum record_type of each byte's record; 0: it is in none */
    bool payload[SEGMENTS_MAX][KIT_SEGMENT];  /* it is of a payload */
    bool replaced[SEGMENTS_MAX][KIT_SEGMENT]; /* it is of a frame of which nothing counts any more */
};

static void swallow(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static const char *segment_path(uint64_t sequence) {
    static char path[LOG_NAME_SIZE + 2] = "d/";
    log_segment_name(path + 2, sequence);
    return path;
}

static struct log_options repairing(struct memfs *disk) {
    struct log_options options = kit_options(memfs_vfs(disk), "d");
    options.repair = true;
    return options;
}

static void entries(struct log *log, struct kit_state *state, lash_index first, uint32_t count, lash_term term,
                    size_t size) {
    assert_int_equal(kit_append(log, first, count, term, 0, size), LASH_OK);
    kit_state_append(state, first, count, term, 0);
}

/* One append of a vote and two frames. */
static void vote_and_frames(struct log *log, struct kit_state *state) {
    struct log_item items[2] = {{.save_vote = true, .term = 4, .vote = 2, .first = 9}, {.first = 11}};
    items[0].frame = kit_frame(9, 2, 4, 0, 90);
    items[1].frame = kit_frame(11, 1, 4, 0, 300);
    assert_int_equal(log_append(log, items, 2), LASH_OK);
    buf_unref(items[0].frame);
    buf_unref(items[1].frame);
    kit_state_append(state, 9, 2, 4, 0);
    kit_state_append(state, 11, 1, 4, 0);
    state->term = 4;
    state->vote = 2;
}

/* Frames of several sizes and terms, a vote among them and one alone, entries that others replaced; closed, so that a mark
 * claims all of it. */
static void write_log(struct memfs *disk, struct kit_state *state) {
    struct log_options options = repairing(disk);
    struct log *log;
    struct log_recovered recovered;
    *state = (struct kit_state){.first = 1};
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    assert_int_equal(kit_vote(log, 3, 4), LASH_OK);
    for (lash_index i = 1; i <= 8; i++) {
        entries(log, state, i, 1, 3, 16 + i % 5 * 150);
        assert_int_equal(log_sync(log), LASH_OK);
    }
    vote_and_frames(log, state);
    assert_int_equal(log_sync(log), LASH_OK);
    entries(log, state, 12, 1, 4, 16);
    entries(log, state, 13, 2, 4, 200);
    assert_int_equal(log_sync(log), LASH_OK);
    assert_int_equal(kit_vote(log, 5, 1), LASH_OK);
    entries(log, state, 13, 1, 5, 40);
    state->term = 5;
    state->vote = 1;
    for (lash_index i = 14; i <= 20; i += 2) {
        entries(log, state, i, 2, 5, 100 + i * 10);
        assert_int_equal(log_sync(log), LASH_OK);
    }
    log_close(log);
}

/* What each byte of the healthy log is. */
static void map_segment(struct pair *pair, uint64_t sequence) {
    const uint8_t *bytes = pair->healthy[sequence];
    struct record record;
    uint64_t begin = 0;
    uint64_t offset = 0;
    while (offset + RECORD_HEADER_SIZE <= KIT_SEGMENT &&
           record_decode(bytes + offset, offset ? KIT_SALT : 0, &record) == LASH_OK) {
        if (offset == 0)
            begin = record.position;
        if (record.position != begin + offset)
            break;
        struct frame frame = {0};
        const uint8_t *payload = bytes + offset + RECORD_HEADER_SIZE;
        bool dead = record.type == RECORD_FRAME && frame_header(payload, &frame) == LASH_OK && frame.first == 13 &&
                    frame.term == 4;
        memset(pair->type[sequence] + offset, (int)record.type, RECORD_HEADER_SIZE + (size_t)record.size);
        memset(pair->payload[sequence] + offset + RECORD_HEADER_SIZE, 1, (size_t)record.size);
        memset(pair->replaced[sequence] + offset, dead, RECORD_HEADER_SIZE + (size_t)record.size);
        offset = record_end(&record) - begin;
    }
}

static struct pair *pair_new(void) {
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    pair->disk = memfs_new();
    write_log(pair->disk, &pair->whole);
    pair->peer_disk = memfs_clone(pair->disk);
    struct log_options options = repairing(pair->peer_disk);
    struct log_recovered recovered;
    assert_int_equal(log_open(&options, &pair->peer, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    uint64_t size;
    const uint8_t *bytes;
    while ((bytes = memfs_bytes(pair->disk, segment_path(pair->segments + 1), &size))) {
        pair->segments++;
        assert_true(pair->segments < SEGMENTS_MAX && size == KIT_SEGMENT);
        memcpy(pair->healthy[pair->segments], bytes, size);
        map_segment(pair, pair->segments);
    }
    assert_true(pair->segments >= 3);
    return pair;
}

static void pair_free(struct pair *pair) {
    log_close(pair->peer);
    memfs_free(pair->peer_disk);
    memfs_free(pair->disk);
    free(pair);
}

/* Ask the peer for what the log lacks until it is whole. LASH_DAMAGED: the peer has not got what it needs. */
static int repair(struct pair *pair, struct log *log, struct log_recovered *recovered) {
    int rc = LASH_DAMAGED;
    for (int asked = 0; rc == LASH_DAMAGED; asked++) {
        struct log_damage damage;
        struct buf *frame;
        assert_true(log_damaged(log, &damage));
        assert_true(asked < ASKED_MAX);
        if (log_find(pair->peer, &damage, &frame) != LASH_OK)
            return LASH_DAMAGED;
        rc = log_repair(log, frame, recovered);
        buf_unref(frame);
        if (rc == LASH_MISMATCH)
            return LASH_DAMAGED;
    }
    return rc;
}

/* Whether all bytes of all records are what they were. */
static bool same_bytes(struct pair *pair, struct memfs *disk) {
    for (uint64_t sequence = 1; sequence <= pair->segments; sequence++) {
        uint64_t size;
        const uint8_t *bytes = memfs_bytes(disk, segment_path(sequence), &size);
        for (size_t at = 0; at < KIT_SEGMENT; at++)
            if (pair->type[sequence][at] && bytes[at] != pair->healthy[sequence][at])
                return false;
    }
    return true;
}

/* Open the damaged log on a copy of its disk, with the peer's help. Where it opens it holds what it held. *same: and so do
 * its files. */
static int recover(struct pair *pair, bool *same) {
    struct memfs *disk = memfs_clone(pair->disk);
    struct log_options options = repairing(disk);
    struct log *log;
    struct log_recovered recovered;
    struct kit_state found;
    int rc = log_open(&options, &log, &recovered);
    bool opened = rc == LASH_OK || rc == LASH_DAMAGED;
    if (rc == LASH_DAMAGED)
        rc = repair(pair, log, &recovered);
    if (rc == LASH_OK) {
        assert_int_equal(kit_read(log, &recovered, &found), LASH_OK);
        assert_true(kit_equal(&found, &pair->whole));
        log_recovered_free(&recovered);
    }
    if (opened)
        log_close(log);
    *same = same_bytes(pair, disk);
    if (rc == LASH_OK && *same) { /* nothing is left to do, also for one that repairs nothing */
        memfs_power_on(disk, MEMFS_NONE, 0);
        options.repair = false;
        assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
        log_recovered_free(&recovered);
        log_close(log);
    }
    assert_int_equal(memfs_open_files(disk), 0);
    memfs_free(disk);
    return rc;
}

static uint8_t *bytes_of(struct pair *pair, uint64_t sequence) {
    uint64_t size;
    return memfs_bytes(pair->disk, segment_path(sequence), &size);
}

static void undo(struct pair *pair, uint64_t sequence) {
    memcpy(bytes_of(pair, sequence), pair->healthy[sequence], KIT_SEGMENT);
    memfs_settle(pair->disk, segment_path(sequence));
}

/* ---- One byte ------------------------------------------------------------------------------------------ */

/* All bytes of headers, those of frames, too, and some of the rest. */
static bool is_looked_at(const struct pair *pair, uint64_t sequence, size_t at) {
    bool near_header = at >= FRAME_HEADER_SIZE && pair->type[sequence][at - FRAME_HEADER_SIZE] &&
                       !pair->payload[sequence][at - FRAME_HEADER_SIZE];
    return (pair->type[sequence][at] && !pair->payload[sequence][at]) || near_header || at % 11 == 0;
}

static void a_bit_flipped_anywhere_is_put_right(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    for (uint64_t sequence = 1; sequence <= pair->segments; sequence++) {
        for (size_t at = 0; at < KIT_SEGMENT; at++) {
            bool same;
            if (!is_looked_at(pair, sequence, at))
                continue;
            bytes_of(pair, sequence)[at] ^= (uint8_t)(1u << at % 8);
            memfs_settle(pair->disk, segment_path(sequence));
            assert_int_equal(recover(pair, &same), LASH_OK);
            /* What does not count any more stays as it is, if only its bytes are wrong. */
            assert_true(same || (pair->replaced[sequence][at] && pair->payload[sequence][at]));
            undo(pair, sequence);
        }
    }
    pair_free(pair);
}

static bool tells(struct memfs *disk, const struct log_options *options) {
    struct log_identity identity;
    if (log_identify(memfs_vfs(disk), "d", &identity) != LASH_OK)
        return false;
    bool same = identity.cluster_id == options->cluster_id && identity.node_id == options->node_id &&
                identity.identity_size == options->identity_size &&
                memcmp(identity.identity, options->identity, options->identity_size) == 0;
    log_identity_free(&identity);
    return same;
}

/* A log of one segment has no other record that says whose it is. */
static void a_bit_flipped_in_the_only_first_record_hides_nothing(void **state) {
    (void)state;
    struct memfs *disk = memfs_new();
    struct log_options options = repairing(disk);
    struct log_recovered recovered;
    struct log *log;
    uint64_t bytes;
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    log_close(log);
    size_t size = RECORD_HEADER_SIZE + RECORD_SEGMENT_SIZE + options.identity_size;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        uint8_t *record = memfs_bytes(disk, segment_path(1), &bytes);
        record[bit / 8] ^= (uint8_t)(1U << bit % 8);
        record[bit / 8 ^ 1] ^= 0x10; /* of two bits nothing is made */
        assert_false(tells(disk, &options));
        record[bit / 8 ^ 1] ^= 0x10;
        assert_true(tells(disk, &options));
        memfs_settle(disk, segment_path(1));
        assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
        log_recovered_free(&recovered);
        log_close(log);
    }
    assert_int_equal(memfs_open_files(disk), 0);
    memfs_free(disk);
}

/* A header of which more than a bit is wrong is known if it was that of a frame or a mark. Those of terms and votes are known
 * to nobody else, and nor is that of a segment. */
static void a_byte_inverted_anywhere_is_put_right_or_refused(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    unsigned refused = 0;
    for (uint64_t sequence = 1; sequence <= pair->segments; sequence++) {
        for (size_t at = 0; at < KIT_SEGMENT; at++) {
            bool same;
            if (!is_looked_at(pair, sequence, at))
                continue;
            bytes_of(pair, sequence)[at] ^= 0xff;
            memfs_settle(pair->disk, segment_path(sequence));
            int rc = recover(pair, &same);
            uint8_t type = pair->type[sequence][at];
            bool known = type == 0 || type == RECORD_MARK || type == RECORD_FRAME;
            if (pair->replaced[sequence][at]) {
                assert_true(rc == LASH_OK || rc == LASH_CORRUPT || rc == LASH_DAMAGED);
            } else if (known) {
                assert_int_equal(rc, LASH_OK);
                assert_true(same);
            } else {
                assert_int_equal(rc, LASH_CORRUPT);
                assert_false(same);
                refused++;
            }
            undo(pair, sequence);
        }
    }
    assert_true(refused > 0);
    pair_free(pair);
}

/* ---- Sectors ------------------------------------------------------------------------------------------- */

static void garbage(uint8_t *bytes, size_t size, uint32_t seed) {
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* Whether a sector holds, or begins within, only frames that count, and at most one of their headers. */
static bool is_a_frames(const struct pair *pair, uint64_t sequence, size_t begin) {
    unsigned headers = 0;
    for (size_t at = begin; at < begin + RECORD_SECTOR; at++) {
        uint8_t type = pair->type[sequence][at];
        if (pair->replaced[sequence][at] || (type && type != RECORD_FRAME))
            return false;
        bool first = at == begin || !pair->type[sequence][at - 1] || pair->payload[sequence][at - 1];
        headers += type == RECORD_FRAME && !pair->payload[sequence][at] && first;
    }
    return headers <= 1 && pair->type[sequence][begin] == RECORD_FRAME;
}

static void a_lost_sector_of_a_frame_is_fetched_anew(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    unsigned repaired = 0;
    for (uint64_t sequence = 1; sequence <= pair->segments; sequence++) {
        for (size_t at = 0; at < 2 * (size_t)KIT_SEGMENT; at += RECORD_SECTOR) {
            size_t begin = at % KIT_SEGMENT;
            bool same;
            memset(bytes_of(pair, sequence) + begin, 0, RECORD_SECTOR);
            if (at >= KIT_SEGMENT)
                garbage(bytes_of(pair, sequence) + begin, RECORD_SECTOR, (uint32_t)at);
            memfs_settle(pair->disk, segment_path(sequence));
            int rc = recover(pair, &same);
            if (is_a_frames(pair, sequence, begin)) {
                assert_int_equal(rc, LASH_OK);
                assert_true(same);
                repaired++;
            } else {
                assert_true(rc == LASH_OK || rc == LASH_CORRUPT || rc == LASH_DAMAGED);
            }
            undo(pair, sequence);
        }
    }
    assert_true(repaired > 8);
    pair_free(pair);
}

/* ---- Two disks ------------------------------------------------------------------------------------------ */

/* Both logs wait for one another's frames: each takes what the other can give, in turn, until both are whole. */
static void two_logs_damaged_in_different_places_repair_one_another(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    struct memfs *disks[2] = {pair->disk, pair->peer_disk};
    struct log *logs[2];
    struct log_recovered recovered;
    int rc[2];
    log_close(pair->peer);
    for (uint64_t sequence = 1; sequence <= pair->segments; sequence++) {
        unsigned frames = 0;
        for (size_t at = 1; at < KIT_SEGMENT; at++) {
            bool first = pair->type[sequence][at] == RECORD_FRAME && pair->payload[sequence][at] &&
                         !pair->payload[sequence][at - 1];
            if (!first || pair->replaced[sequence][at])
                continue;
            struct memfs *disk = disks[(frames + sequence) % 2];
            uint64_t size;
            uint8_t *bytes = memfs_bytes(disk, segment_path(sequence), &size);
            memset(bytes + at + (frames % 3 ? 0 : 70), 0xaa, 20); /* the frame's header, or its entries */
            memfs_settle(disk, segment_path(sequence));
            frames++;
        }
        assert_true(frames > 0);
    }
    for (size_t i = 0; i < 2; i++) {
        struct log_options options = repairing(disks[i]);
        rc[i] = log_open(&options, &logs[i], &recovered);
        assert_int_equal(rc[i], LASH_DAMAGED);
    }
    for (size_t idle = 0, i = 0; idle < 2; i = 1 - i) {
        struct log_damage damage;
        struct buf *frame;
        idle++;
        if (!log_damaged(logs[i], &damage) || log_find(logs[1 - i], &damage, &frame) != LASH_OK)
            continue;
        rc[i] = log_repair(logs[i], frame, &recovered);
        assert_true(rc[i] == LASH_OK || rc[i] == LASH_DAMAGED);
        buf_unref(frame);
        idle = 0;
        if (rc[i] == LASH_OK) {
            struct kit_state found;
            assert_int_equal(kit_read(logs[i], &recovered, &found), LASH_OK);
            assert_true(kit_equal(&found, &pair->whole));
            log_recovered_free(&recovered);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rc[i], LASH_OK);
        assert_true(same_bytes(pair, disks[i]));
    }
    log_close(logs[0]);
    pair->peer = logs[1];
    pair_free(pair);
}

/* ---- Others' frames ---------------------------------------------------------------------------------------- */

/* Its first segment says where the entries before it end, and what it holds of them is behind the damage. */
static void what_a_log_that_stopped_has_not_seen_it_does_not_lend(void **state) {
    (void)state;
    struct memfs *disk = memfs_new();
    struct log_options options = repairing(disk);
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    lash_index last = 0;
    uint64_t size;
    for (; !memfs_bytes(disk, segment_path(3), &size); last++)
        assert_int_equal(kit_append(log, last + 1, 1, 1, 0, 400), LASH_OK);
    assert_int_equal(log_sync(log), LASH_OK);
    assert_int_equal(log_trim(log, last), LASH_OK);
    assert_null(memfs_bytes(disk, segment_path(2), &size));
    assert_int_equal(kit_append(log, last + 1, 1, 1, 0, 40), LASH_OK);
    log_close(log);
    uint8_t *bytes = memfs_bytes(disk, segment_path(3), &size);
    garbage(bytes + RECORD_SECTOR, RECORD_SECTOR, 1); /* of its first append */
    memfs_settle(disk, segment_path(3));
    assert_int_equal(log_open(&options, &log, &recovered), LASH_DAMAGED);
    for (lash_index index = 1; index < last; index++) { /* the last is the first of that segment */
        struct log_damage damage = {.index = index};
        struct buf *frame;
        assert_int_equal(log_find(log, &damage, &frame), LASH_NOT_FOUND);
    }
    log_close(log);
    memfs_free(disk);
}

/* The place of the first frame's payload in the second segment. */
static size_t a_payload(const struct pair *pair) {
    size_t at = RECORD_SECTOR;
    while (!pair->payload[2][at] || pair->type[2][at] != RECORD_FRAME)
        at++;
    return at;
}

static void a_frame_that_is_another_is_not_taken(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    size_t at = a_payload(pair);
    struct frame header;
    assert_int_equal(frame_header(pair->healthy[2] + at, &header), LASH_OK);
    for (int lost = 0; lost < 3; lost++) { /* of the frame's body, of its header, and of the record's, too */
        struct log_options options = repairing(pair->disk);
        struct log *log;
        struct log_recovered recovered;
        struct log_damage damage;
        size_t from = lost == 0 ? at + FRAME_HEADER_SIZE : lost == 1 ? at : at - RECORD_HEADER_SIZE;
        memset(bytes_of(pair, 2) + from, 0x55, at + FRAME_HEADER_SIZE + (lost == 0 ? 8 : 0) - from);
        memfs_settle(pair->disk, segment_path(2));
        assert_int_equal(log_open(&options, &log, &recovered), LASH_DAMAGED);
        assert_true(log_damaged(log, &damage));
        assert_int_equal(damage.index, header.first);
        assert_int_equal(damage.number, 2);
        assert_int_equal(damage.offset, at - RECORD_HEADER_SIZE);
        for (lash_term term = 1; term < 8; term++) {
            for (lash_index first = header.first - 1; first <= header.first + 1; first++) {
                struct buf *frame = kit_frame(first, header.count, term, 77, 16 + header.first % 5 * 150);
                assert_int_equal(log_repair(log, frame, &recovered), LASH_MISMATCH);
                buf_unref(frame);
            }
        }
        struct buf *frame;
        assert_int_equal(log_find(pair->peer, &damage, &frame), LASH_OK);
        frame->data[frame->size - 1] ^= 1;
        assert_int_equal(log_repair(log, frame, &recovered), LASH_MISMATCH);
        frame->data[frame->size - 1] ^= 1;
        assert_int_equal(log_repair(log, frame, &recovered), LASH_OK);
        buf_unref(frame);
        log_recovered_free(&recovered);
        log_close(log);
        assert_true(same_bytes(pair, pair->disk));
    }
    pair_free(pair);
}

/* How many records a dump shows as they are, of the log as it is now. */
static unsigned records_in_dump(const struct pair *pair, int expected) {
    char *text = NULL;
    size_t size = 0;
    unsigned count = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(log_dump(memfs_vfs(pair->disk), "d", false, out), expected);
    fclose(out);
    for (const char *at = text; (at = strstr(at, " ok\n")); at++)
        count++;
    free(text);
    return count;
}

static void a_dump_goes_on_behind_what_is_damaged(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    unsigned all = records_in_dump(pair, LASH_OK);
    size_t at = a_payload(pair);
    bytes_of(pair, 2)[at] ^= 0xff;
    assert_int_equal(records_in_dump(pair, LASH_CORRUPT), all - 1);
    bytes_of(pair, 2)[at - RECORD_HEADER_SIZE] ^= 0xff;
    assert_int_equal(records_in_dump(pair, LASH_CORRUPT), all - 1);
    undo(pair, 2);
    pair_free(pair);
}

/* Without the option nothing is touched. */
static void a_log_that_is_not_to_be_repaired_is_refused_as_it_is(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    struct log_options options = kit_options(memfs_vfs(pair->disk), "d");
    struct log *log;
    struct log_recovered recovered;
    size_t at = a_payload(pair);
    for (size_t bit = 0; bit < 2; bit++) {
        bytes_of(pair, 2)[at - bit * RECORD_HEADER_SIZE] ^= 1;
        memfs_settle(pair->disk, segment_path(2));
        uint64_t changes = memfs_changes(pair->disk);
        assert_int_equal(log_open(&options, &log, &recovered), LASH_CORRUPT);
        assert_int_equal(memfs_changes(pair->disk), changes);
        undo(pair, 2);
    }
    pair_free(pair);
}

/* ---- Trouble on the way ------------------------------------------------------------------------------------ */

/* Damage two frames, one so that recovery stops there, and repair them while the n-th operation meets with `fault`. Returns
 * whether it was met. */
static bool repair_in_trouble(struct pair *pair, uint64_t n, enum memfs_fault fault, enum memfs_survival survival) {
    struct memfs *disk = memfs_clone(pair->disk);
    struct log_options options = repairing(disk);
    struct log *log;
    struct log_recovered recovered;
    struct kit_state found;
    memfs_fail(disk, n, fault);
    int rc = log_open(&options, &log, &recovered);
    bool opened = rc == LASH_OK || rc == LASH_DAMAGED;
    if (rc == LASH_DAMAGED)
        rc = repair(pair, log, &recovered);
    bool met = memfs_failed(disk);
    assert_true(met || rc == LASH_OK);
    if (rc == LASH_OK)
        log_recovered_free(&recovered);
    if (opened)
        log_close(log);
    memfs_power_on(disk, survival, n);
    rc = log_open(&options, &log, &recovered);
    assert_true(rc == LASH_OK || rc == LASH_DAMAGED);
    if (rc == LASH_DAMAGED)
        rc = repair(pair, log, &recovered);
    assert_int_equal(rc, LASH_OK);
    assert_int_equal(kit_read(log, &recovered, &found), LASH_OK);
    assert_true(kit_equal(&found, &pair->whole));
    log_recovered_free(&recovered);
    log_close(log);
    assert_true(same_bytes(pair, disk));
    memfs_free(disk);
    return met;
}

static void a_repair_that_is_cut_short_anywhere_is_done_again(void **state) {
    (void)state;
    static const enum memfs_fault faults[] = {MEMFS_POWER_OFF, MEMFS_EIO, MEMFS_EIO_DONE, MEMFS_EIO_SOME, MEMFS_SHORT};
    struct pair *pair = pair_new();
    size_t at = a_payload(pair);
    memset(bytes_of(pair, 2) + at, 0x55, FRAME_HEADER_SIZE);
    bytes_of(pair, 2)[at + RECORD_SECTOR + FRAME_HEADER_SIZE] ^= 0xff;
    bytes_of(pair, 3)[RECORD_SECTOR + 3] ^= 4;
    memfs_settle(pair->disk, segment_path(2));
    memfs_settle(pair->disk, segment_path(3));
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        for (int survival = MEMFS_ALL; survival <= MEMFS_SOME; survival++)
            for (uint64_t n = 1; repair_in_trouble(pair, n, faults[i], (enum memfs_survival)survival); n++)
                continue;
    pair_free(pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bit_flipped_anywhere_is_put_right),
        cmocka_unit_test(a_bit_flipped_in_the_only_first_record_hides_nothing),
        cmocka_unit_test(a_byte_inverted_anywhere_is_put_right_or_refused),
        cmocka_unit_test(a_lost_sector_of_a_frame_is_fetched_anew),
        cmocka_unit_test(two_logs_damaged_in_different_places_repair_one_another),
        cmocka_unit_test(a_frame_that_is_another_is_not_taken),
        cmocka_unit_test(a_dump_goes_on_behind_what_is_damaged),
        cmocka_unit_test(a_log_that_is_not_to_be_repaired_is_refused_as_it_is),
        cmocka_unit_test(what_a_log_that_stopped_has_not_seen_it_does_not_lend),
        cmocka_unit_test(a_repair_that_is_cut_short_anywhere_is_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
