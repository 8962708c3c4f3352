/* SPDX-License-Identifier: Apache-2.0
 *
 * Valid frames, logs, snapshots, keys and images; see seeds.h.
 */
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "lash/error.h"
#include "seeds.h"
#include "sim/memfs.h"
#include "storage/log.h"
#include "storage/snapshot.h"
#include "store/image.h"

enum { SECTOR = 512, ENTRY_BYTES = 40, STRANGER_AT = 2 * SECTOR, DAMAGED_AT = 2 * SECTOR, RECORD_HEADER = 64 };
/* in an input of `log`: the choice, and a byte of the second append's first payload's checksum */
enum { AS_IT_IS = 1, PAYLOADS_AS_THEY_ARE = 2, SHORT_READS = 4, SPOILED_AT = 2 + 4 + SECTOR + 56 };

static struct buf *frame_of(lash_index first, uint32_t count, lash_term term) {
    static const uint8_t data[ENTRY_BYTES] = "what a command says";
    struct frame_input inputs[8] = {{0}};
    struct buf *frame;
    LASH_ASSERT(count <= 8);
    for (uint32_t i = 0; i < count; i++)
        inputs[i] = (struct frame_input){.origin = 2, .sequence = first + i, .data = data, .size = ENTRY_BYTES - i};
    LASH_ASSERT(frame_encode(0, first, term, LASH_ENTRY_COMMAND, inputs, count, &frame) == LASH_OK);
    return frame;
}

static void seed_frames(void) {
    static const uint8_t fixed = 0, body_as_it_is = 2;
    for (uint32_t count = 1; count <= 4; count++) {
        struct buf *frame = frame_of((lash_index)count * 7, count, count);
        seed_write_behind("frame", &fixed, 1, frame->data, frame->size);
        frame->data[56] ^= 1; /* of the body's checksum */
        seed_write_behind("frame", &body_as_it_is, 1, frame->data, frame->size);
        buf_unref(frame);
    }
}

static void append(struct log *log, lash_index first, uint32_t count, lash_term term, lash_id vote) {
    struct buf *frame = frame_of(first, count, term);
    struct log_item items[] = {{.frame = frame, .first = first}, {.save_vote = true, .term = term, .vote = vote}};
    LASH_ASSERT(log_append(log, items, vote ? 2 : 1) == LASH_OK);
    LASH_ASSERT(log_sync(log) == LASH_OK);
    buf_unref(frame);
}

/* The disk's files as the target `log` takes them, without the zeros at their ends. */
static void write_disk(struct memfs *fs, uint8_t choices) {
    static const char *const names[] = {"log/log-0000000000000001", "log/log-0000000000000002",
                                        "log/log-0000000000000003", "log/log-0000000000000004"};
    uint8_t *input = mem_calloc(1, 1 << 18);
    LASH_ASSERT(input);
    size_t used = 2;
    input[0] = choices;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint64_t size;
        const uint8_t *data = memfs_bytes(fs, names[i], &size);
        if (!data)
            continue;
        size_t kept = (size_t)size;
        while (kept > 0 && data[kept - 1] == 0)
            kept--;
        input[used] = (uint8_t)i;
        input[used + 1] = (uint8_t)(size / SECTOR);
        le16_put(input + used + 2, (uint16_t)kept);
        memcpy(input + used + 4, data, kept);
        used += 4 + kept;
    }
    seed_write("log", input, used);
    if (!choices && used > SPOILED_AT) {
        input[0] = PAYLOADS_AS_THEY_ARE;
        input[SPOILED_AT] ^= 1;
        seed_write("log", input, used);
    }
    mem_free(input);
}

static struct log *open_log(struct memfs *fs) {
    struct log_options options = {
        .vfs = memfs_vfs(fs), .dir = "log", .segment_bytes = 4096, .cluster_id = 1, .node_id = 2, .salt = 0x5a17};
    struct log_recovered recovered;
    struct log *log;
    LASH_ASSERT(log_open(&options, &log, &recovered) == LASH_OK);
    log_recovered_free(&recovered);
    return log;
}

/* A record whose every checksum is right, in its own place, but made to follow another than the one that is there. */
static void seed_stranger(void) {
    struct memfs *disks[2];
    struct log *logs[2];
    uint8_t *bytes[2];
    uint64_t size;
    for (lash_id vote = 0; vote < 2; vote++) {
        disks[vote] = memfs_new();
        logs[vote] = open_log(disks[vote]);
        append(logs[vote], 1, 3, 1, vote + 1);
        append(logs[vote], 4, 2, 2, 0);
        bytes[vote] = memfs_bytes(disks[vote], "log/log-0000000000000001", &size);
    }
    memcpy(bytes[0] + STRANGER_AT, bytes[1] + STRANGER_AT, size - STRANGER_AT);
    write_disk(disks[0], AS_IT_IS);
    for (int i = 0; i < 2; i++) {
        log_close(logs[i]);
        memfs_free(disks[i]);
    }
}

/* Of an append in the middle the payload is damaged, or the header is lost, long after it was durable. */
static void seed_damaged(void) {
    static const size_t places[] = {DAMAGED_AT + RECORD_HEADER + FRAME_HEADER_SIZE, DAMAGED_AT};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct memfs *fs = memfs_new();
        struct log *log = open_log(fs);
        append(log, 1, 1, 1, 0);
        append(log, 2, 1, 1, 0);
        append(log, 3, 1, 1, 0);
        LASH_ASSERT(log_mark(log) == LASH_OK);
        uint64_t size;
        uint8_t *bytes = memfs_bytes(fs, "log/log-0000000000000001", &size);
        LASH_ASSERT(size > places[i]);
        bytes[places[i]] ^= 0xff;
        write_disk(fs, AS_IT_IS);
        log_close(log);
        memfs_free(fs);
    }
}

static void seed_logs(void) {
    struct memfs *fs = memfs_new();
    struct log *log = open_log(fs);
    write_disk(fs, 0);
    append(log, 1, 3, 1, 2);
    write_disk(fs, 0);
    append(log, 4, 2, 2, 3);
    append(log, 5, 1, 3, 0);
    LASH_ASSERT(log_mark(log) == LASH_OK);
    write_disk(fs, 0);
    for (lash_index first = 6; first < 22; first += 4)
        append(log, first, 4, 4, 0);
    write_disk(fs, 0);
    write_disk(fs, AS_IT_IS | SHORT_READS);
    LASH_ASSERT(log_trim(log, 9) == LASH_OK);
    write_disk(fs, 0);
    log_close(log);
    write_disk(fs, 0);
    memfs_free(fs);
}

/* A log that goes on behind a snapshot, in a term that it had not reached. */
static void seed_reset(void) {
    struct memfs *fs = memfs_new();
    struct log *log = open_log(fs);
    append(log, 1, 3, 1, 2);
    LASH_ASSERT(log_install(log, 20, 4, NULL) == LASH_OK);
    append(log, 21, 2, 4, 0);
    write_disk(fs, 0);
    LASH_ASSERT(log_install(log, 30, 5, NULL) == LASH_OK);
    write_disk(fs, 0);
    write_disk(fs, AS_IT_IS);
    log_close(log);
    memfs_free(fs);
}

/* Snapshots of no chunk, of one, and of several. */
static void seed_snapshots(void) {
    static const size_t sizes[] = {0, 30, 64, 200};
    static const uint8_t choices[] = {0, AS_IT_IS, 2};
    uint8_t data[200];
    uint8_t bytes[512];
    memset(data, 's', sizeof data);
    struct memfs *fs = memfs_new();
    struct snapshots_options options = {
        .vfs = memfs_vfs(fs), .dir = "s", .cluster_id = 1, .node_id = 2, .chunk_bytes = 64};
    struct snapshots *snapshots;
    LASH_ASSERT(snapshots_open(&options, &snapshots) == LASH_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct snapshot_head head = {i + 1, 3, "members", i % 2 ? 7 : 0, i % 3 == 0};
        struct snapshot_writer *writer;
        struct snapshot_reader *reader;
        size_t got;
        LASH_ASSERT(snapshot_begin(snapshots, &head, &writer) == LASH_OK);
        LASH_ASSERT(snapshot_write(writer, data, sizes[i]) == LASH_OK && snapshot_commit(writer) == LASH_OK);
        LASH_ASSERT(snapshot_open(snapshots, head.index, &reader) == LASH_OK);
        LASH_ASSERT(snapshot_raw(reader, 0, bytes, sizeof bytes, &got) == LASH_OK && got < sizeof bytes);
        seed_write_behind("snapshot", &choices[i % 3], 1, bytes, got);
        snapshot_close(reader);
    }
    snapshots_close(snapshots);
    memfs_free(fs);
}

static void seed_keys(void) {
    static const uint8_t plain[] = {0, 'a', 1,   3, 0,   'x', 0, 'b', 0, 1, 0, 2, 'a', 1,
                                    3, 0,   'x', 3, 'a', 0,   1, 0,   0, 1, 0, 0, 0};
    static const uint8_t chunks[] = {0, 'm', 0, 0xf6, 1, 0,   'm', 1, 0xf6, 1,   'z', 0, 'm', 0, 0xec, 3,
                                     3, 'm', 0, 1,    0, 'm', 2,   0, 4,    'a', 'b', 1, 'm', 0, 0xf6, 1};
    seed_write("keys", plain, sizeof plain);
    seed_write("keys", chunks, sizeof chunks);
}

/* What an image's writer has put together. */
struct seed_image {
    uint8_t bytes[1024];
    size_t size;
};

static int seed_image_write(void *context, const void *data, size_t size) {
    struct seed_image *image = context;
    LASH_ASSERT(size <= sizeof image->bytes - image->size);
    memcpy(image->bytes + image->size, data, size);
    image->size += size;
    return LASH_OK;
}

static void seed_images(void) {
    static const uint8_t choices[] = {0, 1, 3};
    static const uint8_t name[] = "key";
    const struct store_bytes key = {name, 3}, value = {name, 2};
    const struct record records[] = {
        {.revision = {2, 0}, .create_revision = 2, .version = 1, .key = key, .value = value},
        {.revision = {3, 0}, .previous = {2, 0}, .create_revision = 2, .version = 2, .lease = 5, .key = key},
        {.revision = {3, 1}, .previous = {3, 0}, .tombstone = true, .key = key},
    };
    static struct image_writer writer;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        struct seed_image image = {.size = 0};
        const struct store_sink sink = {seed_image_write, &image};
        const struct image_state state = {
            .applied = 9, .revision = 3, .compacted = (int64_t)i - 1, .removing = i == 2, .scan = {1, 0}};
        LASH_ASSERT(image_begin(&writer, &sink, &state) == LASH_OK);
        for (size_t j = 0; j <= i; j++)
            LASH_ASSERT(image_record(&writer, &records[j]) == LASH_OK);
        LASH_ASSERT(i == 0 || image_member(&writer, key) == LASH_OK);
        LASH_ASSERT(image_end(&writer) == LASH_OK);
        image.size += 40 * i; /* padding */
        seed_write_behind("image", &choices[i], 1, image.bytes, image.size);
    }
}

void seed_storage(void) {
    seed_frames();
    seed_logs();
    seed_stranger();
    seed_damaged();
    seed_reset();
    seed_snapshots();
    seed_keys();
    seed_images();
}
