/* SPDX-License-Identifier: Apache-2.0
 *
 * Damage to bytes that were on disk (D3). What a record claimed durable is never dropped
 * silently: the log says LASH_CORRUPT, or everything is there. Behind the last
 * claim a loss is confined to the tail. And the format itself, held fast.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "lash/log.h"
#include "sim/kit.h"
#include "sim/memfs.h"
#include "storage/log_record.h"
#include "storage/log_state.h"

enum { ENTRIES = 24, DUMP_EVERY = 61 };

/* A log at rest on a disk, as it was last closed or killed. */
struct victim {
    struct memfs *fs;
    struct log_options options;
    struct kit_state states[ENTRIES + 2]; /* after each append */
    size_t state_count;
};

static void swallow(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static void remember(struct victim *victim, const struct kit_state *state) {
    assert_true(victim->state_count < sizeof victim->states / sizeof *victim->states);
    victim->states[victim->state_count++] = *state;
}

/* A log of a few segments, all synced; closed with a mark, or killed without one. `salt` makes its data its own. */
static struct victim *victim_salted(bool closed, uint64_t salt) {
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    struct victim *victim = calloc(1, sizeof *victim);
    victim->fs = memfs_new();
    victim->options = kit_options(memfs_vfs(victim->fs), "d");
    struct log *log;
    struct log_recovered recovered;
    struct kit_state state = {.first = 1};
    assert_int_equal(log_open(&victim->options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    remember(victim, &state);
    assert_int_equal(kit_vote(log, 3, 4), LASH_OK);
    state.term = 3;
    state.vote = 4;
    remember(victim, &state);
    for (lash_index i = 1; i <= ENTRIES; i++) {
        assert_int_equal(kit_append(log, i, 1, 3, salt, 16 + (i % 5) * 150), LASH_OK);
        kit_state_append(&state, i, 1, 3, salt);
        remember(victim, &state);
        if (i < ENTRIES - 3) /* then several appends for one sync */
            assert_int_equal(log_sync(log), LASH_OK);
    }
    assert_int_equal(log_sync(log), LASH_OK);
    if (!closed)
        memfs_fail(victim->fs, 1, MEMFS_POWER_OFF);
    log_close(log);
    memfs_power_on(victim->fs, MEMFS_ALL, 0);
    return victim;
}

static struct victim *victim_new(bool closed) {
    return victim_salted(closed, 0);
}

static void victim_free(struct victim *victim) {
    memfs_free(victim->fs);
    free(victim);
}

static const char *segment_path(uint64_t sequence) {
    static char path[LOG_NAME_SIZE + 2] = "d/";
    log_segment_name(path + 2, sequence);
    return path;
}

/* Open what is left, on a copy of the disk. Returns log_open's error; on success *state is what was found. */
static int open_copy(const struct victim *victim, struct kit_state *state) {
    struct memfs *copy = memfs_clone(victim->fs);
    struct log_options options = victim->options;
    options.vfs = memfs_vfs(copy);
    struct log *log;
    struct log_recovered recovered;
    int rc = log_open(&options, &log, &recovered);
    if (!rc) {
        assert_int_equal(kit_read(log, &recovered, state), LASH_OK);
        log_recovered_free(&recovered);
        log_close(log);
    }
    memfs_free(copy);
    return rc;
}

/* log_dump must be of log_open's opinion. */
static void dump_copy(const struct victim *victim, int opened) {
    FILE *out = fopen("/dev/null", "w");
    assert_int_equal(log_dump(memfs_vfs(victim->fs), "d", true, out), opened);
    fclose(out);
}

/* What a byte of a segment is. */
enum { NOTHING, HEADER, PAYLOAD };

/* The records of a healthy segment: what each byte is, and the end of the last claim over all. */
static void map_segment(const uint8_t *bytes, uint64_t size, uint8_t *covered, uint64_t *claimed) {
    uint64_t offset = 0;
    struct record record;
    uint64_t first = 0;
    while (offset + RECORD_HEADER_SIZE <= size &&
           record_decode(bytes + offset, offset ? KIT_SALT : 0, &record) == LASH_OK) {
        if (offset == 0)
            first = record.position;
        memset(covered + offset, HEADER, RECORD_HEADER_SIZE);
        memset(covered + offset + RECORD_HEADER_SIZE, PAYLOAD, record.size);
        *claimed = record.durable;
        offset = record_end(&record) - first;
    }
}

/* What damage does to a byte. */
typedef void (*damage_fn)(uint8_t *byte, uint64_t at);

static void flip_a_bit(uint8_t *byte, uint64_t at) {
    *byte ^= (uint8_t)(1u << at % 8);
}

static void flip_all_bits(uint8_t *byte, uint64_t at) {
    (void)at;
    *byte ^= 0xff;
}

/* The one rule: damage under a claim is LASH_CORRUPT; other damage is, too, or takes entries from the end that nothing
 * claimed; damage to a byte without meaning does nothing. */
static void judge(const struct victim *victim, uint64_t position, bool meaningful, uint64_t claimed,
                  lash_index claimed_index) {
    struct kit_state state;
    int rc = open_copy(victim, &state);
    if (position % DUMP_EVERY == 0)
        dump_copy(victim, rc);
    if (meaningful && position < claimed) {
        assert_int_equal(rc, LASH_CORRUPT);
        return;
    }
    assert_int_equal(rc, LASH_OK);
    size_t found = 0;
    while (found < victim->state_count && !kit_equal(&state, &victim->states[found]))
        found++;
    assert_true(found < victim->state_count);
    assert_true(state.last >= claimed_index);
    if (!meaningful)
        assert_int_equal(state.last, ENTRIES);
}

/* All bytes of headers, and of the rest every `step`-th. */
static void damage_bytes(bool closed, damage_fn damage, uint64_t step, lash_index claimed_index) {
    struct victim *victim = victim_new(closed);
    uint8_t covered[KIT_SEGMENT];
    uint64_t claimed = 0;
    uint64_t last = 1;
    uint64_t size;
    while (memfs_bytes(victim->fs, segment_path(last + 1), &size))
        last++;
    assert_true(last >= 3);
    memset(covered, 0, sizeof covered);
    map_segment(memfs_bytes(victim->fs, segment_path(last), &size), size, covered, &claimed);
    for (uint64_t sequence = 1; sequence <= last; sequence++) {
        uint8_t *bytes = memfs_bytes(victim->fs, segment_path(sequence), &size);
        struct record head;
        uint64_t ignored;
        assert_int_equal(size, KIT_SEGMENT);
        assert_int_equal(record_decode(bytes, 0, &head), LASH_OK);
        memset(covered, 0, sizeof covered);
        map_segment(bytes, size, covered, &ignored);
        for (uint64_t at = 0; at < size; at++) {
            if (covered[at] != HEADER && at % step)
                continue;
            uint8_t before = bytes[at];
            damage(&bytes[at], at);
            memfs_settle(victim->fs, segment_path(sequence));
            judge(victim, head.position + at, covered[at] != NOTHING, claimed, claimed_index);
            bytes[at] = before;
            memfs_settle(victim->fs, segment_path(sequence));
        }
    }
    victim_free(victim);
}

static void a_bit_flipped_anywhere_in_a_closed_log_is_noticed(void **state) {
    (void)state;
    damage_bytes(true, flip_a_bit, 5, ENTRIES);
}

static void a_byte_inverted_anywhere_in_a_closed_log_is_noticed(void **state) {
    (void)state;
    damage_bytes(true, flip_all_bits, 23, ENTRIES);
}

/* The last sync of a killed process is claimed by nothing: the four appends that it covered. */
static void damage_to_a_killed_log_costs_at_most_what_nothing_claims(void **state) {
    (void)state;
    damage_bytes(false, flip_a_bit, 11, ENTRIES - 4);
}

/* Every pair of sectors changes places: writes that went astray. */
static void swapped_sectors_are_noticed(void **state) {
    (void)state;
    struct victim *victim = victim_new(true);
    uint64_t size;
    uint8_t *bytes = memfs_bytes(victim->fs, segment_path(2), &size);
    uint8_t healthy[KIT_SEGMENT];
    uint8_t covered[KIT_SEGMENT] = {0};
    uint64_t claimed;
    memcpy(healthy, bytes, size);
    map_segment(bytes, size, covered, &claimed);
    for (size_t a = 0; a < KIT_SEGMENT; a += RECORD_SECTOR) {
        for (size_t b = a + RECORD_SECTOR; b < KIT_SEGMENT; b += RECORD_SECTOR) {
            memcpy(bytes + a, healthy + b, RECORD_SECTOR);
            memcpy(bytes + b, healthy + a, RECORD_SECTOR);
            memfs_settle(victim->fs, segment_path(2));
            struct kit_state found;
            int rc = open_copy(victim, &found);
            assert_int_equal(rc, covered[a] || covered[b] ? LASH_CORRUPT : LASH_OK);
            memcpy(bytes, healthy, size);
        }
    }
    memfs_settle(victim->fs, segment_path(2));
    victim_free(victim);
}

/* A sector of another segment, or of this one, lies where it does not belong; zeros likewise. */
static void foreign_sectors_are_noticed(void **state) {
    (void)state;
    struct victim *victim = victim_new(true);
    uint64_t size;
    uint8_t foreign[KIT_SEGMENT];
    memcpy(foreign, memfs_bytes(victim->fs, segment_path(1), &size), KIT_SEGMENT);
    uint8_t *bytes = memfs_bytes(victim->fs, segment_path(2), &size);
    uint8_t healthy[KIT_SEGMENT];
    uint8_t covered[KIT_SEGMENT] = {0};
    uint64_t claimed;
    memcpy(healthy, bytes, size);
    map_segment(bytes, size, covered, &claimed);
    for (int zeros = 0; zeros < 2; zeros++) {
        for (size_t at = 0; at < KIT_SEGMENT; at += RECORD_SECTOR) {
            if (zeros)
                memset(bytes + at, 0, RECORD_SECTOR);
            else
                memcpy(bytes + at, foreign + at, RECORD_SECTOR);
            memfs_settle(victim->fs, segment_path(2));
            struct kit_state found;
            assert_int_equal(open_copy(victim, &found), covered[at] ? LASH_CORRUPT : LASH_OK);
            memcpy(bytes, healthy, size);
        }
    }
    memfs_settle(victim->fs, segment_path(2));
    victim_free(victim);
}

/* Write a log, of which the n-th operation, if it is a write, lands in sector `sector` of segment `sequence`. False when
 * there are fewer operations. */
static bool go_astray(uint64_t n, uint64_t sequence, uint64_t sector) {
    struct memfs *fs = memfs_new();
    struct log_options options = kit_options(memfs_vfs(fs), "d");
    struct log *log;
    struct log_recovered recovered;
    struct kit_state expected = {.first = 1};
    struct kit_state found;
    memfs_aim(fs, segment_path(sequence), sector * RECORD_SECTOR);
    memfs_fail(fs, n, MEMFS_ASTRAY);
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    for (lash_index i = 1; i <= 12; i++) {
        assert_int_equal(kit_append(log, i, 1, 1, 0, 16 + (i % 5) * 150), LASH_OK);
        assert_int_equal(log_sync(log), LASH_OK);
        kit_state_append(&expected, i, 1, 1, 0);
    }
    log_close(log);
    bool met = memfs_failed(fs);
    memfs_power_on(fs, MEMFS_ALL, 0);
    int rc = log_open(&options, &log, &recovered);
    if (!rc) {
        assert_int_equal(kit_read(log, &recovered, &found), LASH_OK);
        assert_true(kit_equal(&found, &expected));
        log_recovered_free(&recovered);
        log_close(log);
    } else {
        assert_int_equal(rc, LASH_CORRUPT);
    }
    memfs_free(fs);
    return met;
}

/* Wherever a write lands instead of where it belongs: nothing is lost in silence. */
static void a_write_that_goes_astray_is_noticed(void **state) {
    (void)state;
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    for (uint64_t sequence = 1; sequence <= 3; sequence++)
        for (uint64_t sector = 0; sector < KIT_SEGMENT / RECORD_SECTOR; sector++)
            for (uint64_t n = 1; go_astray(n, sequence, sector); n++)
                continue;
}

static void a_file_cut_off_is_noticed_wherever(void **state) {
    (void)state;
    struct victim *victim = victim_new(true);
    uint64_t whole;
    for (uint64_t sequence = 1; memfs_bytes(victim->fs, segment_path(sequence), &whole); sequence++) {
        uint8_t healthy[KIT_SEGMENT];
        memcpy(healthy, memfs_bytes(victim->fs, segment_path(sequence), &whole), KIT_SEGMENT);
        for (uint64_t size = 0; size < KIT_SEGMENT; size += 315) {
            memfs_resize(victim->fs, segment_path(sequence), size);
            struct kit_state found;
            assert_int_equal(open_copy(victim, &found), LASH_CORRUPT);
            dump_copy(victim, LASH_CORRUPT);
            memfs_resize(victim->fs, segment_path(sequence), KIT_SEGMENT);
            memcpy(memfs_bytes(victim->fs, segment_path(sequence), &whole), healthy, KIT_SEGMENT);
            memfs_settle(victim->fs, segment_path(sequence));
        }
    }
    victim_free(victim);
}

/* A file of the same name, place and size, from a copy of the directory that went its own way. */
static void a_segment_of_another_history_is_noticed(void **state) {
    (void)state;
    struct victim *other = victim_salted(true, 1);
    uint64_t size;
    for (uint64_t sequence = 1; memfs_bytes(other->fs, segment_path(sequence), &size); sequence++) {
        struct victim *victim = victim_new(true);
        const uint8_t *foreign = memfs_bytes(other->fs, segment_path(sequence), &size);
        memcpy(memfs_bytes(victim->fs, segment_path(sequence), &size), foreign, KIT_SEGMENT);
        memfs_settle(victim->fs, segment_path(sequence));
        struct kit_state found;
        assert_int_equal(open_copy(victim, &found), LASH_CORRUPT);
        victim_free(victim);
    }
    victim_free(other);
}

/* ---- Records that are valid and wrong ------------------------------------------------------------- */

/* Where the last segment's records end, and what a next record must say of the one before. */
struct end {
    uint8_t *bytes; /* of the last segment */
    const char *path;
    uint64_t offset;
    struct record next;
};

static struct end find_end(const struct victim *victim) {
    struct end end = {0};
    uint64_t last = 1;
    uint64_t size;
    while (memfs_bytes(victim->fs, segment_path(last + 1), &size))
        last++;
    end.path = segment_path(last);
    end.bytes = memfs_bytes(victim->fs, end.path, &size);
    struct record record;
    while (record_decode(end.bytes + end.offset, end.offset ? KIT_SALT : 0, &record) == LASH_OK) {
        uint64_t length = record_end(&record) - record.position;
        end.next = (struct record){.type = RECORD_MARK,
                                   .flags = RECORD_END,
                                   .prev_crc = record.crc,
                                   .position = record.position + length,
                                   .durable = record.position};
        end.offset += length;
    }
    return end;
}

static int open_with(const struct victim *victim, struct end *end) {
    record_encode(end->bytes + end->offset, KIT_SALT, &end->next);
    memfs_settle(victim->fs, end->path);
    struct kit_state found;
    return open_copy(victim, &found);
}

static void a_record_of_a_newer_version_is_not_cut_off(void **state) {
    (void)state;
    struct victim *victim = victim_new(true);
    struct end end = find_end(victim);
    assert_int_equal(open_with(victim, &end), LASH_OK);
    victim_free(victim);
    victim = victim_new(true);
    end = find_end(victim);
    end.next.type = RECORD_RESET + 1;
    assert_int_equal(open_with(victim, &end), LASH_VERSION);
    victim_free(victim);
}

static void a_record_that_contradicts_is_corruption(void **state) {
    (void)state;
    static const struct record wrong[] = {
        {.type = RECORD_VOTE, .a = 2, .b = 4},            /* a term that falls */
        {.type = RECORD_VOTE, .a = 3, .b = 5},            /* a second vote */
        {.type = RECORD_TRIM, .a = ENTRIES + 2, .b = 3},  /* beyond the log */
        {.type = RECORD_TRIM, .a = 2, .b = 2},            /* another term than the entry's */
        {.type = RECORD_RESET, .a = 1, .b = 3},           /* before the log's begin */
        {.type = RECORD_RESET, .a = ENTRIES + 9, .b = 0}, /* of no term */
        {.type = RECORD_RESET, .a = 3, .b = 3},           /* behind an entry that the log holds */
        {.type = RECORD_SEGMENT, .a = 9},                 /* in the middle of a segment */
        {.type = RECORD_FRAME, .a = ENTRIES + 1, .b = 0}, /* without a frame */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct victim *victim = victim_new(true);
        struct end end = find_end(victim);
        end.next.type = wrong[i].type;
        end.next.a = wrong[i].a;
        end.next.b = wrong[i].b;
        assert_int_equal(open_with(victim, &end), LASH_CORRUPT);
        victim_free(victim);
    }
}

/* A torn append whose payload, a client's, has the bytes of a record in its own place that claims durability. Without
 * knowing the salt nobody can make one; with it, it is believed. */
static void a_claim_forged_by_a_client_is_not_believed(void **state) {
    (void)state;
    static const struct {
        uint32_t salt;
        int opened;
    } cases[] = {{0, LASH_OK}, {KIT_SALT, LASH_CORRUPT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct victim *victim = victim_new(true);
        struct end end = find_end(victim);
        end.next.type = RECORD_MARK;
        end.next.position += RECORD_SECTOR;
        end.next.durable = end.next.position;
        record_encode(end.bytes + end.offset + RECORD_SECTOR, cases[i].salt, &end.next);
        memfs_settle(victim->fs, end.path);
        struct kit_state found;
        assert_int_equal(open_copy(victim, &found), cases[i].opened);
        dump_copy(victim, cases[i].opened);
        victim_free(victim);
    }
}

/* A segment with another salt is another log's, whatever else it says. */
static void a_segment_with_another_salt_is_corruption(void **state) {
    (void)state;
    struct victim *victim = victim_new(true);
    uint64_t size;
    uint8_t *bytes = memfs_bytes(victim->fs, segment_path(2), &size);
    struct record head;
    assert_int_equal(record_decode(bytes, 0, &head), LASH_OK);
    bytes[RECORD_HEADER_SIZE + 76] ^= 1;
    head.payload_crc = crc32c(0, bytes + RECORD_HEADER_SIZE, (size_t)head.size);
    record_encode(bytes, 0, &head);
    memfs_settle(victim->fs, segment_path(2));
    struct kit_state found;
    assert_int_equal(open_copy(victim, &found), LASH_CORRUPT);
    victim_free(victim);
}

static void a_record_that_names_another_place_does_not_count(void **state) {
    (void)state;
    struct victim *victim = victim_new(true);
    struct end end = find_end(victim);
    end.next.type = RECORD_VOTE;
    end.next.a = 77;
    end.next.position += RECORD_SECTOR;
    record_encode(end.bytes + end.offset, KIT_SALT, &end.next);
    memfs_settle(victim->fs, end.path);
    struct kit_state found;
    assert_int_equal(open_copy(victim, &found), LASH_OK);
    assert_int_equal(found.term, 3);
    victim_free(victim);
}

/* A torn tail's length is what the header says, however wrong; it must not be believed beyond the file. */
static void a_length_beyond_everything_is_a_torn_tail(void **state) {
    (void)state;
    static const uint64_t sizes[] = {KIT_SEGMENT, RECORD_PAYLOAD_MAX, 8};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct victim *victim = victim_new(true);
        struct end end = find_end(victim);
        end.next.type = RECORD_FRAME;
        end.next.a = ENTRIES + 1;
        end.next.size = sizes[i];
        end.next.payload_crc = 1;
        assert_int_equal(open_with(victim, &end), LASH_OK);
        victim_free(victim);
    }
}

static void an_append_without_its_end_does_not_count(void **state) {
    (void)state;
    struct victim *victim = victim_new(true);
    struct end end = find_end(victim);
    end.next.type = RECORD_VOTE;
    end.next.flags = 0;
    end.next.a = 77;
    record_encode(end.bytes + end.offset, KIT_SALT, &end.next);
    memfs_settle(victim->fs, end.path);
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(log_open(&victim->options, &log, &recovered), LASH_OK);
    assert_int_equal(recovered.term, 3);
    assert_int_equal(recovered.torn_bytes, RECORD_HEADER_SIZE);
    log_recovered_free(&recovered);
    log_close(log);
    assert_int_equal(log_open(&victim->options, &log, &recovered), LASH_OK);
    assert_int_equal(recovered.torn_bytes, 0);
    log_recovered_free(&recovered);
    log_close(log);
    victim_free(victim);
}

/* ---- The format ----------------------------------------------------------------------------------- */

/* What the image in log-v1.hex was made by. */
static struct memfs *write_the_image(struct kit_state *state) {
    struct memfs *fs = memfs_new();
    struct log_options options = kit_options(memfs_vfs(fs), "d");
    struct log *log;
    struct log_recovered recovered;
    *state = (struct kit_state){.term = 2, .vote = 0x0d, .first = 1};
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    assert_int_equal(kit_vote(log, 2, 0x0d), LASH_OK);
    assert_int_equal(kit_append(log, 1, 2, 1, 0, 16), LASH_OK);
    assert_int_equal(log_sync(log), LASH_OK);
    struct log_item items[2] = {{.frame = kit_frame(2, 1, 2, 0, 11), .first = 2},
                                {.frame = kit_frame(3, 1, 2, 0, 8), .first = 3}};
    assert_int_equal(log_append(log, items, 2), LASH_OK);
    buf_unref(items[0].frame);
    buf_unref(items[1].frame);
    assert_int_equal(log_trim(log, 1), LASH_OK);
    log_close(log);
    kit_state_append(state, 1, 2, 1, 0);
    kit_state_append(state, 2, 2, 2, 0);
    kit_state_trim(state, 1);
    return fs;
}

/* As hexadecimal, 32 bytes to a line, lines of zeros left out; the caller's (free). */
static char *to_text(const uint8_t *bytes, uint64_t size) {
    static const uint8_t zeros[32];
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (uint64_t at = 0; at < size; at += 32) {
        if (memcmp(bytes + at, zeros, 32) == 0)
            continue;
        fprintf(out, "%04" PRIx64 ":", at);
        for (int i = 0; i < 32; i++)
            fprintf(out, "%s%02x", i % 8 ? "" : " ", bytes[at + (uint64_t)i]);
        fputc('\n', out);
    }
    fclose(out);
    return text;
}

static char *read_golden(void) {
    FILE *in = fopen(GOLDEN_LOG, "r");
    assert_non_null(in);
    char *text = calloc(1, 1 << 16);
    size_t size = fread(text, 1, (1 << 16) - 1, in);
    fclose(in);
    assert_true(size > 0);
    return text;
}

static void the_bytes_are_those_of_version_1(void **state) {
    (void)state;
    struct kit_state expected;
    struct memfs *fs = write_the_image(&expected);
    uint64_t size;
    char *text = to_text(memfs_bytes(fs, segment_path(1), &size), KIT_SEGMENT);
    char *golden = read_golden();
    assert_string_equal(text, golden);
    free(text);
    free(golden);
    memfs_free(fs);
}

/* The inverse of to_text. */
static void parse(const char *text, uint8_t *bytes) {
    while (*text) {
        char *rest;
        unsigned long at = strtoul(text, &rest, 16);
        assert_int_equal(*rest, ':');
        for (text = rest + 1; *text != '\n'; at++) {
            char digits[3] = {0};
            text += *text == ' ';
            memcpy(digits, text, 2);
            bytes[at] = (uint8_t)strtoul(digits, &rest, 16);
            assert_ptr_equal(rest, digits + 2);
            text += 2;
        }
        text++;
    }
}

static void a_log_of_version_1_opens(void **state) {
    (void)state;
    struct kit_state expected;
    struct kit_state found;
    struct memfs *fs = write_the_image(&expected);
    uint64_t size;
    uint8_t *bytes = memfs_bytes(fs, segment_path(1), &size);
    memset(bytes, 0, size);
    char *golden = read_golden();
    parse(golden, bytes);
    free(golden);
    memfs_settle(fs, segment_path(1));
    struct log_options options = kit_options(memfs_vfs(fs), "d");
    struct log *log;
    struct log_recovered recovered;
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    assert_int_equal(kit_read(log, &recovered, &found), LASH_OK);
    assert_true(kit_equal(&found, &expected));
    assert_int_equal(recovered.torn_bytes, 0);
    log_recovered_free(&recovered);
    log_close(log);
    memfs_free(fs);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        struct kit_state state;
        struct memfs *fs = write_the_image(&state);
        uint64_t size;
        char *text = to_text(memfs_bytes(fs, segment_path(1), &size), KIT_SEGMENT);
        fputs(text, stdout);
        free(text);
        memfs_free(fs);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bit_flipped_anywhere_in_a_closed_log_is_noticed),
        cmocka_unit_test(a_byte_inverted_anywhere_in_a_closed_log_is_noticed),
        cmocka_unit_test(damage_to_a_killed_log_costs_at_most_what_nothing_claims),
        cmocka_unit_test(swapped_sectors_are_noticed),
        cmocka_unit_test(foreign_sectors_are_noticed),
        cmocka_unit_test(a_write_that_goes_astray_is_noticed),
        cmocka_unit_test(a_file_cut_off_is_noticed_wherever),
        cmocka_unit_test(a_record_of_a_newer_version_is_not_cut_off),
        cmocka_unit_test(a_record_that_contradicts_is_corruption),
        cmocka_unit_test(a_segment_of_another_history_is_noticed),
        cmocka_unit_test(a_claim_forged_by_a_client_is_not_believed),
        cmocka_unit_test(a_segment_with_another_salt_is_corruption),
        cmocka_unit_test(a_record_that_names_another_place_does_not_count),
        cmocka_unit_test(a_length_beyond_everything_is_a_torn_tail),
        cmocka_unit_test(an_append_without_its_end_does_not_count),
        cmocka_unit_test(the_bytes_are_those_of_version_1),
        cmocka_unit_test(a_log_of_version_1_opens),
    };
    return cmocka_run_group_tests_name("log damage", tests, NULL, NULL);
}
