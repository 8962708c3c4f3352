/* SPDX-License-Identifier: Apache-2.0
 *
 * Recovery of the log from arbitrary files on a disk in memory. What it says it found
 * is what a plain reading of the same records gives; what it cut off nothing behind it
 * claims to have been durable; a second recovery changes nothing; and the log
 * that was recovered takes appends and keeps them.
 *
 * Input: a byte of choices (1: leave the checksums as they are; 2: those of payloads; 4: reads are short), a byte:
 * how many records get the right checksums (0: all), then files: a byte that names it, sectors of zeros to fill it up to, its bytes behind a 16-bit size.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "fuzz.h"
#include "lash/error.h"
#include "log_plain.h"
#include "sim/memfs.h"
#include "storage/log.h"
#include "storage/log_record.h"

enum {
    CHOICE_RAW = 1,
    CHOICE_RAW_PAYLOADS = 2,
    CHOICE_SHORT_READS = 4,
    FILES_MAX = 4,
    FILE_BYTES_MAX = 1 << 16,
    SECTORS_MAX = 16,
    APPEND_BYTES = 16,
    OFFERED_BYTES_MAX = 256,
    READ_BYTES_MAX = 100, /* when reads are short */
};
enum { SALT_AT = 76 }; /* in a segment's first payload, as log_record.h has it */
enum { NAME_FREE = 4, NAME_NEW = 5, NAMES = 6 };

static const char *const names[NAMES] = {
    "log/log-0000000000000001", "log/log-0000000000000002",  "log/log-0000000000000003",
    "log/log-0000000000000004", "log/free-0000000000000001", "log/new",
};

static struct vfs log_vfs;     /* what the log sees of the disk */
static const struct vfs *disk; /* the disk's own */

static ssize_t pread_short(void *context, int file, void *data, size_t size, uint64_t offset) {
    return disk->pread(context, file, data, size < READ_BYTES_MAX ? size : READ_BYTES_MAX, offset);
}

static void choose_vfs(struct memfs *fs, uint8_t choices) {
    disk = memfs_vfs(fs);
    log_vfs = *disk;
    if (choices & CHOICE_SHORT_READS)
        log_vfs.pread = pread_short;
}

static struct log_options log_options(void) {
    return (struct log_options){.vfs = &log_vfs, .dir = "log", .segment_bytes = 4096, .cluster_id = 1, .node_id = 2};
}

/* ---- The disk ------------------------------------------------------------------------------------- */

/* Give the records right checksums and chain them, up to `count` of them. */
static void fix_segment(uint8_t *data, size_t size, uint32_t *chain, bool first, bool payloads, size_t *count) {
    uint32_t salt =
        size >= RECORD_HEADER_SIZE + RECORD_SEGMENT_SIZE ? le32_get(data + RECORD_HEADER_SIZE + SALT_AT) : 0;
    for (size_t offset = 0; size - offset >= RECORD_HEADER_SIZE && *count > 0; (*count)--) {
        uint8_t *at = data + offset;
        uint64_t payload = le64_get(at + 48);
        if (le32_get(at) != 0x4345524c || payload > size - offset - RECORD_HEADER_SIZE)
            return;
        if (le16_get(at + 6) == RECORD_FRAME)
            fuzz_fix_frame(at + RECORD_HEADER_SIZE, (size_t)payload);
        if (!first || offset > 0)
            le32_put(at + 12, *chain);
        if (payloads)
            le32_put(at + 56, crc32c(0, at + RECORD_HEADER_SIZE, (size_t)payload));
        *chain = crc32c(offset > 0 ? salt : 0, at, 60);
        le32_put(at + 60, *chain);
        bool end = le32_get(at + 8) & RECORD_END;
        offset = (size_t)record_align(offset + RECORD_HEADER_SIZE + payload, end ? RECORD_SECTOR : 8);
        if (offset > size)
            return;
    }
}

static void write_file(struct memfs *fs, const char *path, const uint8_t *data, size_t size) {
    const struct vfs *vfs = memfs_vfs(fs);
    uint8_t *copy = fuzz_copy(data, size);
    struct iovec part = {.iov_base = copy, .iov_len = size};
    int file = vfs->open(vfs->context, path, VFS_WRITE | VFS_CREATE);
    LASH_ASSERT(file >= 0);
    if (size > 0)
        LASH_ASSERT(vfs->pwritev(vfs->context, file, &part, 1, 0) == (ssize_t)size);
    LASH_ASSERT(vfs->fdatasync(vfs->context, file) == 0 && vfs->close(vfs->context, file) == 0);
    mem_free(copy);
}

static struct memfs *make_disk(const uint8_t *data, size_t size) {
    struct memfs *fs = memfs_new();
    const struct vfs *vfs = memfs_vfs(fs);
    struct reader input = reader_make(data, size);
    uint8_t choices = read_u8(&input);
    size_t count = read_u8(&input);
    count = count ? count : SIZE_MAX;
    uint32_t chain = 0;
    LASH_ASSERT(vfs->mkdir(vfs->context, "log") == 0);
    for (int files = 0; reader_left(&input) > 0 && files < FILES_MAX; files++) {
        size_t name = read_u8(&input) % NAMES, sectors = read_u8(&input) % (SECTORS_MAX + 1), taken;
        const uint8_t *bytes = fuzz_take_sized(&input, &taken);
        size_t whole = taken > sectors * MEMFS_SECTOR ? taken : sectors * MEMFS_SECTOR;
        uint8_t *content = mem_calloc(1, whole + 1);
        LASH_ASSERT(content);
        memcpy(content, bytes, taken);
        if (!(choices & CHOICE_RAW) && name < NAME_FREE)
            fix_segment(content, whole, &chain, files == 0, !(choices & CHOICE_RAW_PAYLOADS), &count);
        write_file(fs, names[name], content, whole);
        mem_free(content);
    }
    LASH_ASSERT(vfs->sync_dir(vfs->context, "log") == 0);
    return fs;
}

/* ---- What recovery says --------------------------------------------------------------------------- */

/* Whether the runs and the frames are what the plain reading found. */
static void check_entries(struct log *log, const struct log_recovered *recovered, const struct log_plain *plain) {
    lash_index next = recovered->first_index;
    for (size_t i = 0; i < recovered->run_count; i++) {
        LASH_ASSERT(recovered->runs[i].first == next);
        for (uint32_t j = 0; j < recovered->runs[i].count; j++, next++)
            LASH_ASSERT(log_plain_term(plain, next) == recovered->runs[i].term);
    }
    LASH_ASSERT(next == recovered->last_index + 1);
    for (next = recovered->first_index; next <= recovered->last_index;) {
        struct buf **frames;
        size_t count;
        LASH_ASSERT(log_read(log, next, recovered->last_index, 1500, &frames, &count) == LASH_OK && count > 0);
        for (size_t i = 0; i < count; i++) {
            struct frame frame;
            size_t used;
            LASH_ASSERT(frame_check(frames[i]->data, frames[i]->size, &frame, &used) == LASH_OK);
            LASH_ASSERT(frame.first <= next && frame.first + frame.count > next);
            LASH_ASSERT(log_plain_term(plain, next) == frame.term);
            next = frame.first + frame.count;
            buf_unref(frames[i]);
        }
        mem_free(frames);
    }
}

static void check_recovered(const struct log_recovered *recovered, const struct log_plain *plain) {
    LASH_ASSERT(recovered->term == plain->term && recovered->vote == plain->vote);
    LASH_ASSERT(recovered->first_index == plain->first && recovered->last_index == plain->last);
    LASH_ASSERT(recovered->prev_term == plain->prev_term);
    LASH_ASSERT(!plain->claims_beyond);
}

static bool same(const struct log_recovered *a, const struct log_recovered *b) {
    return a->term == b->term && a->vote == b->vote && a->first_index == b->first_index &&
           a->last_index == b->last_index && a->prev_term == b->prev_term && a->run_count == b->run_count &&
           (a->run_count == 0 || memcmp(a->runs, b->runs, a->run_count * sizeof *a->runs) == 0);
}

/* The process is killed; what the next one finds. */
static struct log *reopen(struct memfs *fs, struct log *log, struct log_recovered *recovered) {
    memfs_fail(fs, 1, MEMFS_POWER_OFF);
    log_close(log);
    memfs_fail(fs, 0, MEMFS_EIO);
    memfs_kill(fs);
    struct log_options options = log_options();
    int rc = log_open(&options, &log, recovered);
    LASH_ASSERT(rc == LASH_OK);
    return log;
}

static bool append(struct log *log, const struct log_recovered *recovered) {
    static const uint8_t data[APPEND_BYTES] = "kept";
    struct frame_input input = {.origin = 2, .sequence = 1, .data = data, .size = sizeof data};
    struct buf *frame;
    LASH_ASSERT(frame_encode(0, recovered->last_index + 1, UINT64_MAX, 1, &input, 1, &frame) == LASH_OK);
    struct log_item items[] = {
        {.save_vote = true, .term = UINT64_MAX, .vote = recovered->term < UINT64_MAX ? 2 : recovered->vote},
        {.frame = frame, .first = recovered->last_index + 1}};
    int rc = log_append(log, items, 2);
    buf_unref(frame);
    if (rc == LASH_OK)
        LASH_ASSERT(log_sync(log) == LASH_OK);
    return rc == LASH_OK;
}

static void check_log(struct memfs *fs, struct log *log, struct log_recovered *recovered,
                      const struct log_plain *plain) {
    struct log_recovered again;
    check_recovered(recovered, plain);
    check_entries(log, recovered, plain);
    log = reopen(fs, log, &again);
    LASH_ASSERT(again.torn_bytes == 0 && same(&again, recovered));
    log_recovered_free(&again);
    if (recovered->last_index < UINT64_MAX - 1 && append(log, recovered)) {
        log = reopen(fs, log, &again);
        LASH_ASSERT(again.term == UINT64_MAX && again.last_index == recovered->last_index + 1);
        LASH_ASSERT(again.torn_bytes == 0 && again.first_index == recovered->first_index);
        log_recovered_free(&again);
    }
    log_close(log);
}

/* What opening the same files says when reads give all that is asked for. */
static int open_copy(const struct memfs *fs) {
    struct memfs *copy = memfs_clone(fs);
    struct log_options options = log_options();
    struct log_recovered recovered;
    struct log *log;
    options.vfs = memfs_vfs(copy);
    int rc = log_open(&options, &log, &recovered);
    if (rc == LASH_OK) {
        log_recovered_free(&recovered);
        log_close(log);
    }
    memfs_free(copy);
    return rc;
}

/* A frame with another's entry, of so many bytes of data, is offered in place of what is missing. */
static void check_refused(struct log *log, lash_index index, size_t size) {
    uint8_t *data = mem_calloc(1, size + 1);
    struct frame_input input = {.origin = 2, .sequence = UINT64_C(0x6e6f74206974), .data = data, .size = size};
    struct log_recovered recovered;
    struct buf *frame;
    LASH_ASSERT(data);
    LASH_ASSERT(frame_encode(0, index, 77, 1, &input, 1, &frame) == LASH_OK);
    LASH_ASSERT(log_repair(log, frame, &recovered) == LASH_MISMATCH);
    buf_unref(frame);
    mem_free(data);
}

/* A log that lacks something is asked what, offered frames that are another's, of just the right size among them, and asked for
 * frames. */
static void check_damaged(struct log *log) {
    const size_t least = FRAME_HEADER_SIZE + FRAME_ENTRY_SIZE;
    struct log_damage damage;
    struct log_damage any = {.index = 1};
    LASH_ASSERT(log_damaged(log, &damage) && damage.index > 0);
    if (damage.index < UINT64_MAX - 1) {
        for (size_t size = 0; size < OFFERED_BYTES_MAX; size += 8)
            check_refused(log, damage.index, size);
        if (damage.size >= least && damage.size - least < FILE_BYTES_MAX)
            check_refused(log, damage.index, (size_t)damage.size - least);
    }
    for (; any.index < 64; any.index++) {
        struct buf *frame;
        if (log_find(log, &any, &frame) == LASH_OK)
            buf_unref(frame);
    }
}

/* With the option `repair`: what is whole stays as it is, and what was mended is whole from then on. */
static void check_repair(const struct memfs *fs, int without, const struct log_recovered *expected) {
    struct memfs *copy = memfs_clone(fs);
    struct log_options options = log_options();
    struct log_recovered recovered;
    struct log_recovered again;
    struct log *log;
    options.vfs = memfs_vfs(copy);
    options.repair = true;
    int rc = log_open(&options, &log, &recovered);
    LASH_ASSERT(rc == without || without == LASH_CORRUPT);
    if (rc == LASH_OK) {
        LASH_ASSERT(without != LASH_OK || same(&recovered, expected));
        log_close(log);
        LASH_ASSERT(log_open(&options, &log, &again) == LASH_OK && same(&again, &recovered));
        log_recovered_free(&again);
        log_recovered_free(&recovered);
        log_close(log);
    } else if (rc == LASH_DAMAGED) {
        check_damaged(log);
        log_close(log);
    }
    memfs_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_quiet();
    if (size < 2)
        return 0;
    struct memfs *fs = make_disk(data, size);
    choose_vfs(fs, data[0]);
    struct log_options options = log_options();
    struct log_recovered recovered;
    struct log *log;
    struct log_plain plain;
    FILE *out = fopen("/dev/null", "we");
    LASH_ASSERT(out);
    int dumped = log_dump(&log_vfs, "log", true, out);
    (void)fclose(out);
    log_plain_read(&plain, fs, names, NAME_FREE);
    int whole = open_copy(fs);
    struct memfs *before = memfs_clone(fs);
    int rc = log_open(&options, &log, &recovered);
    LASH_ASSERT(rc == whole);
    check_repair(before, rc, &recovered);
    memfs_free(before);
    if (rc == LASH_OK && plain.segments > 0) {
        /* the dump looks into records of a torn tail, too, and says when they make no sense */
        LASH_ASSERT(dumped == LASH_OK || recovered.torn_bytes > 0);
        check_log(fs, log, &recovered, &plain);
        log_recovered_free(&recovered);
    } else if (rc == LASH_OK) {
        LASH_ASSERT(recovered.last_index == 0 && recovered.term == 0); /* no segment: a new log */
        log_recovered_free(&recovered);
        log_close(log);
    } else {
        LASH_ASSERT(rc == LASH_CORRUPT || rc == LASH_MISMATCH || rc == LASH_VERSION);
    }
    LASH_ASSERT(memfs_open_files(fs) == 0);
    log_plain_free(&plain);
    memfs_free(fs);
    return 0;
}
