/* SPDX-License-Identifier: Apache-2.0
 *
 * log_dump: the log's records as lines of text, for people in trouble. Goes on
 * behind what is damaged where the next record, or a later segment, gives it a new start.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "storage/log.h"
#include "storage/log_reader.h"
#include "storage/log_state.h"

/* One segment file as found. */
struct dump_file {
    uint64_t sequence;
    uint64_t size;
    uint64_t first_position; /* as its first record says */
    uint32_t salt;           /* likewise */
    bool begins;             /* its first record is valid */
};

struct dump {
    const struct vfs *vfs;
    const char *dir;
    bool data;
    FILE *out;
    struct log_reader reader;
    struct dump_file *files;
    size_t file_count;
    bool list_nomem;
    int worst; /* the error to return */
    uint64_t position;
    uint32_t chain;
};

static void note_file(void *argument, const char *name) {
    struct dump *dump = argument;
    uint64_t number = log_segment_number(name, "log-");
    if (!number || dump->list_nomem)
        return;
    struct dump_file *files = mem_realloc(dump->files, (dump->file_count + 1) * sizeof *files);
    if (!files) {
        dump->list_nomem = true;
        return;
    }
    dump->files = files;
    dump->files[dump->file_count++] = (struct dump_file){.sequence = number};
}

static int compare(const void *left, const void *right) {
    const struct dump_file *a = left;
    const struct dump_file *b = right;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

static void problem(struct dump *dump, const struct dump_file *file, uint64_t offset, int rc, const char *what) {
    char name[LOG_NAME_SIZE];
    log_segment_name(name, file->sequence);
    fprintf(dump->out, "%s offset=%" PRIu64 " %s: %s\n", name, offset,
            rc == LASH_CORRUPT ? "CORRUPT" : lash_strerror(rc), what);
    if (!dump->worst)
        dump->worst = rc == LASH_VERSION ? LASH_CORRUPT : rc;
}

static const char *kind_name(uint32_t kind) {
    static const char *const names[] = {"command", "noop", "barrier", "configuration", "part"};
    return kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

static void print_bytes(FILE *out, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (isprint(data[i]) && data[i] != '\\' && data[i] != '"')
            fputc(data[i], out);
        else
            fprintf(out, "\\x%02x", data[i]);
    }
}

static void print_entries(FILE *out, const uint8_t *data, const struct frame *frame) {
    struct frame_entry entry;
    size_t offset = 0;
    while (frame_next(data, frame, &offset, &entry)) {
        fprintf(out, "    index=%" PRIu64 " origin=%" PRIx64 " sequence=%" PRIu64 " size=%zu data=\"", entry.index,
                entry.origin, entry.sequence, entry.size);
        print_bytes(out, entry.data, entry.size);
        fputs("\"\n", out);
    }
}

/* What a frame record's line says besides; its payload has been found to match its checksum. */
static int print_frame(struct dump *dump, const struct record *record, const uint8_t *payload) {
    struct frame frame;
    size_t used;
    int rc = frame_check(payload, (size_t)record->size, &frame, &used);
    if (rc) {
        fputs(" a damaged frame\n", dump->out);
        return rc;
    }
    fprintf(dump->out,
            " first=%" PRIu64 " frame=%" PRIu64 "..%" PRIu64 " term=%" PRIu64 " kind=%s count=%" PRIu32 " ok\n",
            record->a, frame.first, frame.first + frame.count - 1, frame.term, kind_name(frame.kind), frame.count);
    if (dump->data)
        print_entries(dump->out, payload, &frame);
    return LASH_OK;
}

static int print_segment(struct dump *dump, const struct record *record, const uint8_t *payload) {
    struct record_segment state;
    int rc = record_segment_decode(payload, record->size, &state);
    if (rc) {
        fputs(" makes no sense\n", dump->out);
        return rc;
    }
    fprintf(dump->out,
            " number=%" PRIu64 " cluster=%" PRIx64 " node=%" PRIx64 " group=%" PRIu64 " term=%" PRIu64 " vote=%" PRIx64
            " last=%" PRIu64 " last_term=%" PRIu64 " first=%" PRIu64 " prev_term=%" PRIu64 " salt=%08" PRIx32
            " identity=%" PRIu32 " ok\n",
            record->a, state.cluster_id, state.node_id, state.group, state.term, state.vote, state.last_index,
            state.last_term, state.first_index, state.prev_term, state.salt, state.identity_size);
    if (dump->data && state.identity_size) {
        fputs("    identity=\"", dump->out);
        print_bytes(dump->out, state.identity, state.identity_size);
        fputs("\"\n", dump->out);
    }
    return LASH_OK;
}

static int print_record(struct dump *dump, const struct dump_file *file, const struct record *record,
                        const uint8_t *payload) {
    char name[LOG_NAME_SIZE];
    log_segment_name(name, file->sequence);
    fprintf(dump->out, "%s offset=%" PRIu64 " position=%" PRIu64 " durable=%" PRIu64 " size=%" PRIu64 "%s %s", name,
            record->position - file->first_position, record->position, record->durable, record->size,
            record->flags & RECORD_END ? " end" : "", record_type_name(record->type));
    switch (record->type) {
    case RECORD_SEGMENT:
        return print_segment(dump, record, payload);
    case RECORD_FRAME:
        return print_frame(dump, record, payload);
    case RECORD_VOTE:
        fprintf(dump->out, " term=%" PRIu64 " vote=%" PRIx64 " ok\n", record->a, record->b);
        return LASH_OK;
    case RECORD_TRIM:
    case RECORD_RESET:
        fprintf(dump->out, " first=%" PRIu64 " prev_term=%" PRIu64 " ok\n", record->a, record->b);
        return LASH_OK;
    default:
        fputs(" ok\n", dump->out);
        return LASH_OK;
    }
}

/* Behind the last segment's last valid record, which ended at `cut`: its end, a torn tail, or damage. Returns whether it
 * is damage. */
static bool print_end(struct dump *dump, const struct dump_file *file, uint64_t cut, const char *why) {
    uint64_t offset = dump->position - file->first_position;
    struct log_claims claims;
    int rc = log_reader_claims(&dump->reader, cut, file->first_position, &claims);
    char name[LOG_NAME_SIZE];
    log_segment_name(name, file->sequence);
    if (rc)
        problem(dump, file, offset, rc, "cannot be read");
    else if (claims.durable > file->first_position + cut)
        problem(dump, file, offset, LASH_CORRUPT, why);
    else if (claims.end > cut)
        fprintf(dump->out, "%s offset=%" PRIu64 " torn tail of %" PRIu64 " bytes, never acknowledged: %s\n", name, cut,
                claims.end - cut, why);
    else
        fprintf(dump->out, "%s offset=%" PRIu64 " end\n", name, cut);
    return !rc && claims.durable > file->first_position + cut;
}

/* Step over a damaged record: by its own header, where that is whole, else to the next one that is. False when there is none
 * before `bound`. */
static bool step_over(struct dump *dump, const struct dump_file *file, uint64_t bound) {
    uint64_t offset = dump->position - file->first_position;
    const uint8_t *bytes;
    struct record record;
    char name[LOG_NAME_SIZE];
    log_segment_name(name, file->sequence);
    bool whole = log_reader_bytes(&dump->reader, offset, RECORD_HEADER_SIZE, &bytes) == LASH_OK &&
                 record_decode(bytes, dump->reader.salt, &record) == LASH_OK && record.position == dump->position &&
                 record.prev_crc == dump->chain;
    if (whole) {
        fprintf(dump->out,
                "%s offset=%" PRIu64 " damaged: the payload of a %s of %" PRIu64 " bytes, first=%" PRIu64 "\n", name,
                offset, record_type_name(record.type), record.size, record.a);
        dump->position = record_end(&record);
        dump->chain = record.crc;
        return true;
    }
    if (log_reader_next(&dump->reader, offset + 8, file->first_position, &record) || record.position >= bound)
        return false;
    fprintf(dump->out, "%s offset=%" PRIu64 " damaged: %" PRIu64 " bytes, up to the next record\n", name, offset,
            record.position - dump->position);
    dump->position = record.position;
    dump->chain = record.prev_crc;
    return true;
}

/* Open the file and turn the reader to it. Errors: LASH_NOMEM, LASH_IO (it has been told). */
static int turn_to(struct dump *dump, struct dump_file *file, int *handle) {
    char name[LOG_NAME_SIZE];
    log_segment_name(name, file->sequence);
    char *path = log_path(dump->dir, name);
    if (!path)
        return LASH_NOMEM;
    int result = dump->vfs->size(dump->vfs->context, path, &file->size);
    if (result >= 0)
        result = dump->vfs->open(dump->vfs->context, path, VFS_READ);
    mem_free(path);
    if (result < 0) {
        problem(dump, file, 0, LASH_IO, strerror(-result));
        return LASH_IO;
    }
    *handle = result;
    log_reader_turn(&dump->reader, result, file->size);
    dump->reader.salt = file->salt;
    return LASH_OK;
}

/* All records of one segment; `next` is the one behind it, or NULL. */
static void dump_records(struct dump *dump, const struct dump_file *file, const struct dump_file *next) {
    uint64_t bound = next && next->begins ? next->first_position : UINT64_MAX;
    uint64_t cut = 0;
    const char *why = "the next segment begins elsewhere";
    dump->position = file->first_position;
    while (dump->position < bound) {
        struct record record;
        const uint8_t *payload;
        uint64_t offset = dump->position - file->first_position;
        int rc = log_reader_record(&dump->reader, offset, dump->position, &record, &payload, &why);
        if (!rc && offset && record.prev_crc != dump->chain) {
            why = "the record does not follow the one before";
            rc = LASH_CORRUPT;
        }
        if (rc == LASH_CORRUPT && !next && !print_end(dump, file, cut, why))
            return;
        if (rc == LASH_CORRUPT) {
            if (next)
                problem(dump, file, offset, rc, why);
            if (!step_over(dump, file, bound))
                return;
            cut = dump->position % RECORD_SECTOR ? cut : dump->position - file->first_position;
            continue;
        }
        if (!rc)
            rc = print_record(dump, file, &record, payload);
        if (rc) {
            problem(dump, file, offset, rc, why);
            return;
        }
        dump->position = record_end(&record);
        dump->chain = record.crc;
        if (record.flags & RECORD_END)
            cut = dump->position - file->first_position;
    }
    if (dump->position != bound)
        problem(dump, file, dump->position - file->first_position, LASH_CORRUPT, why);
}

static int dump_segment(struct dump *dump, struct dump_file *file, const struct dump_file *next) {
    int handle;
    int rc = turn_to(dump, file, &handle);
    if (rc)
        return rc == LASH_NOMEM ? rc : LASH_OK;
    dump_records(dump, file, next);
    dump->vfs->close(dump->vfs->context, handle);
    return LASH_OK;
}

/* Read where the file begins. */
static int look_at(struct dump *dump, struct dump_file *file) {
    int handle;
    int rc = turn_to(dump, file, &handle);
    if (rc)
        return rc == LASH_NOMEM ? rc : LASH_OK;
    struct record record;
    const uint8_t *payload;
    const char *why;
    rc = log_reader_record(&dump->reader, 0, RECORD_ANYWHERE, &record, &payload, &why);
    file->begins = !rc && record.type == RECORD_SEGMENT;
    struct record_segment state;
    if (file->begins && !record_segment_decode(payload, record.size, &state))
        file->salt = state.salt;
    if (file->begins)
        file->first_position = record.position;
    else
        problem(dump, file, 0, rc ? rc : LASH_CORRUPT, rc ? why : "the first record is not a segment's");
    if (file->begins && record.b > file->size)
        problem(dump, file, file->size, LASH_CORRUPT, "the file is shorter than it was made");
    dump->vfs->close(dump->vfs->context, handle);
    return LASH_OK;
}

static int dump_files(struct dump *dump) {
    for (size_t i = 0; i < dump->file_count; i++) {
        int rc = look_at(dump, &dump->files[i]);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < dump->file_count; i++) {
        const struct dump_file *next = i + 1 < dump->file_count ? &dump->files[i + 1] : NULL;
        if (i && dump->files[i].sequence != dump->files[i - 1].sequence + 1)
            problem(dump, &dump->files[i], 0, LASH_CORRUPT, "the segment before this one is missing");
        int rc = dump->files[i].begins ? dump_segment(dump, &dump->files[i], next) : LASH_OK;
        if (rc)
            return rc;
    }
    return ferror(dump->out) ? LASH_IO : dump->worst;
}

int log_dump(const struct vfs *vfs, const char *dir, bool data, FILE *out) {
    struct dump dump = {.vfs = vfs, .dir = dir, .data = data, .out = out};
    log_reader_init(&dump.reader, vfs);
    int result = vfs->list(vfs->context, dir, note_file, &dump);
    int rc;
    if (result < 0)
        rc = result == -ENOENT ? LASH_NOT_FOUND : LASH_IO;
    else if (dump.list_nomem)
        rc = LASH_NOMEM;
    else if (!dump.file_count)
        rc = LASH_NOT_FOUND;
    else {
        qsort(dump.files, dump.file_count, sizeof *dump.files, compare);
        rc = dump_files(&dump);
    }
    log_reader_free(&dump.reader);
    mem_free(dump.files);
    return rc;
}
