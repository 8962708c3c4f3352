/* SPDX-License-Identifier: Apache-2.0
 *
 * Recovery: reads every record of every segment and decides what holds.
 *
 * The last segment and the directory are synced before anything is read, and the
 * cache is dropped: what is read is then on disk, whether the process before was
 * killed or had a sync fail, and may be relied upon.
 *
 * The decisions:
 *
 *  A  no segments, no recycled files               a new log begins, once the directories above are durable
 *  B  no segments, but recycled files              LASH_CORRUPT: somebody took the segments away
 *  C  a number is missing between two segments     LASH_CORRUPT: likewise; trimming syncs the directory file by file
 *  D  a segment's first record is not valid, or    LASH_CORRUPT: both were durable before the file got its name
 *     the file is shorter than that says
 *  E  it tells of another cluster, node, group or  LASH_MISMATCH
 *     identity
 *  F  a valid record in its place, but of an       LASH_VERSION: a newer version wrote it
 *     unknown version or type
 *  G  an invalid record, and a segment follows     LASH_CORRUPT: everything before a segment was durable before it began
 *  H  an invalid record in the last segment, and   LASH_CORRUPT: what was acknowledged is damaged
 *     one behind it claims durability beyond it
 *  I  an invalid record in the last segment, and   a torn tail, or just the end: cut off from the begin of the append
 *     no such claim                                that it belongs to, and zeroed durably
 *  J  an append without its last record            as G, H or I: only a whole append counts
 *  K  a valid record that contradicts those before LASH_CORRUPT: no crash can cause it
 *  L  entries from the first index on are missing  LASH_CORRUPT: the first segments were taken away
 *  M  as G or H, but the record's place, length    LASH_DAMAGED: a frame of another replica can be put there again
 *     and checksums are known or follow from what  (log_repair.c), if log_options ask for that; if nothing of it counts
 *     is around it                                 any more it is passed over
 *  N  as D, G or H, but what was written follows   put right, if log_options ask for that
 *     from what is left of it (log_salvage.c)
 *
 * Why I loses nothing: an append is acknowledged only after a sync covers it, a sync writes all of it, and later
 * writes go to other sectors. So a crash can leave invalid only what no sync covered. Why nothing that was cut off comes
 * back: what a search finds is zeroed; what it did not find has no valid header, or was written by an append that
 * failed, and then has neither the checksum of the record that now comes before it nor a claim beyond the cut.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "storage/log_recovery.h"

/* ---- Saying what is wrong ----------------------------------------------------------------------- */

static const char *what_to_do(int rc) {
    switch (rc) {
    case LASH_CORRUPT:
        return "do not delete anything: restore this directory from a backup, or remove this member from the cluster "
               "and add it anew with an empty directory";
    case LASH_MISMATCH:
        return "check the data directory and the member's options: this log belongs to another";
    case LASH_VERSION:
        return "start the version that wrote it, or a newer one";
    default:
        return "check the disk and the directory's permissions, then start again";
    }
}

/* Report, and pass on `rc`. `sequence` 0: not about one segment. Memory that ran out is reported by log_open. */
int recovery_fail(const struct log *log, int rc, uint64_t sequence, uint64_t offset, const char *why) {
    char name[LOG_NAME_SIZE] = "";
    if (sequence)
        log_segment_name(name, sequence);
    if (rc != LASH_NOMEM)
        log_error("cannot recover the log", F_ERR(rc), F_STR("dir", log->dir), F_STR("file", name),
                  F_U64("offset", offset), F_STR("what", why), F_STR("do", what_to_do(rc)));
    return rc;
}

static int fail_system(const struct log *log, uint64_t sequence, int result) {
    return recovery_fail(log, log_error_of(result), sequence, 0, strerror(-result));
}

/* ---- Files -------------------------------------------------------------------------------------- */

static void push_number(struct recovery *recovery, uint64_t **numbers, size_t *count, uint64_t number) {
    if ((*count & (*count - 1)) == 0) {
        uint64_t *grown = mem_realloc(*numbers, (*count ? 2 * *count : 1) * sizeof *grown);
        if (!grown) {
            recovery->list_nomem = true;
            return;
        }
        *numbers = grown;
    }
    (*numbers)[(*count)++] = number;
}

static void note_file(void *argument, const char *name) {
    struct recovery *recovery = argument;
    uint64_t number = log_segment_number(name, "log-");
    if (number)
        push_number(recovery, &recovery->sequences, &recovery->sequence_count, number);
    number = log_segment_number(name, "free-");
    if (number)
        push_number(recovery, &recovery->recycled, &recovery->recycled_count, number);
    if (strcmp(name, LOG_NEW_NAME) == 0)
        recovery->new_found = true;
}

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int list_files(struct recovery *recovery) {
    struct log *log = recovery->log;
    int rc = log_sync_dir(log, log->dir);
    if (rc)
        return rc;
    int result = log->vfs->list(log->vfs->context, log->dir, note_file, recovery);
    if (result < 0)
        return fail_system(log, 0, result);
    if (recovery->list_nomem)
        return LASH_NOMEM;
    if (recovery->sequence_count)
        qsort(recovery->sequences, recovery->sequence_count, sizeof *recovery->sequences, compare);
    for (size_t i = 1; i < recovery->sequence_count; i++)
        if (recovery->sequences[i] != recovery->sequences[i - 1] + 1)
            return recovery_fail(log, LASH_CORRUPT, recovery->sequences[i - 1] + 1, 0,
                                 "this segment is missing"); /* C */
    return LASH_OK;
}

/* Add a file to the log's segments; its first position becomes known with its first record. */
static int find_segment(struct recovery *recovery, uint64_t sequence) {
    struct log *log = recovery->log;
    char name[LOG_NAME_SIZE];
    log_segment_name(name, sequence);
    char *path = log_path(log->dir, name);
    struct log_segment *segment = mem_alloc(sizeof *segment);
    int rc = path && segment ? log_segment_reserve(log) : LASH_NOMEM;
    if (!rc) {
        *segment = (struct log_segment){.sequence = sequence, .file = -1};
        int result = log->vfs->size(log->vfs->context, path, &segment->size);
        if (result >= 0) {
            log->segments[log->segment_count++] = segment;
            log->bytes += segment->size;
            segment = NULL;
        } else {
            rc = fail_system(log, sequence, result);
        }
    }
    mem_free(segment);
    mem_free(path);
    return rc;
}

/* Remove what a crash left over, and remember files to recycle. Failure is no harm. */
static void tidy_files(struct recovery *recovery) {
    struct log *log = recovery->log;
    const struct vfs *vfs = log->vfs;
    for (size_t i = 0; i < recovery->recycled_count; i++) {
        char name[LOG_NAME_SIZE];
        log_segment_free_name(name, recovery->recycled[i]);
        char *path = log_path(log->dir, name);
        uint64_t size;
        if (!path)
            continue;
        bool fits = vfs->size(vfs->context, path, &size) == 0 && size == log->segment_bytes;
        if (fits && log->pool_count < LOG_POOL_MAX)
            log->pool[log->pool_count++] = recovery->recycled[i];
        else
            vfs->unlink(vfs->context, path);
        mem_free(path);
    }
    char *path = recovery->new_found ? log_path(log->dir, LOG_NEW_NAME) : NULL;
    if (path)
        vfs->unlink(vfs->context, path);
    mem_free(path);
}

/* ---- Segments' first records -------------------------------------------------------------------- */

static const char *mismatch(const struct log *log, const struct record_segment *state) {
    if (state->cluster_id != log->cluster_id)
        return "the log is another cluster's";
    if (state->node_id != log->node_id)
        return "the log is another node's";
    if (state->group != log->group)
        return "the log is another group's";
    if (state->identity_size != log->identity_size)
        return "the log was begun with another configuration";
    if (state->identity_size && memcmp(state->identity, log->identity, log->identity_size) != 0)
        return "the log was begun with another configuration";
    return NULL;
}

static int read_head(struct recovery *recovery, struct log_segment *segment, struct head *head) {
    struct log *log = recovery->log;
    const uint8_t *payload;
    const char *why;
    log_reader_turn(&recovery->reader, segment->file, segment->size);
    int rc = log_reader_record(&recovery->reader, 0, RECORD_ANYWHERE, &head->record, &payload, &why);
    if (rc == LASH_CORRUPT && log->repair && salvage_head(recovery, segment) == LASH_OK) /* N */
        rc = log_reader_record(&recovery->reader, 0, RECORD_ANYWHERE, &head->record, &payload, &why);
    if (rc)
        return recovery_fail(log, rc, segment->sequence, 0, why); /* D, F */
    const struct record *record = &head->record;
    bool whole = record->type == RECORD_SEGMENT && record->flags == RECORD_END && record->a == segment->sequence;
    if (whole && segment->sequence == 1)
        whole = record->position == 0 && record->prev_crc == 0;
    if (!whole || record->position % RECORD_SECTOR || record->durable != record->position)
        return recovery_fail(log, LASH_CORRUPT, segment->sequence, 0, "the first record is not this segment's"); /* D */
    if (record->b > segment->size)
        return recovery_fail(log, LASH_CORRUPT, segment->sequence, segment->size,
                             "the file is shorter than it was made"); /* D */
    if (record_segment_decode(payload, record->size, &head->state))
        return recovery_fail(log, LASH_CORRUPT, segment->sequence, 0, "the first record makes no sense"); /* D */
    why = mismatch(log, &head->state);
    if (why)
        return recovery_fail(log, LASH_MISMATCH, segment->sequence, 0, why); /* E */
    if (segment != log->segments[0] && head->state.salt != log->salt)
        return recovery_fail(log, LASH_CORRUPT, segment->sequence, 0, "the segment is not of this log"); /* K */
    log->salt = recovery->reader.salt = head->state.salt;
    segment->first_position = record->position;
    return LASH_OK;
}

/* Make sure that what will be read is on disk. */
static int settle(struct log *log, const struct log_segment *segment) {
    int rc = log_sync_file(log, segment->file);
    int result = rc || !log->vfs->drop_cache ? 0 : log->vfs->drop_cache(log->vfs->context, segment->file);
    if (result < 0)
        rc = recovery_fail(log, log_error_of(result), segment->sequence, 0, "what the cache holds may not be on disk");
    return rc;
}

static int use_segment(struct log *log, struct log_segment *segment) {
    int rc = log_segment_use(log, segment);
    return rc ? recovery_fail(log, rc, segment->sequence, 0, "the file cannot be opened") : LASH_OK;
}

static int read_heads(struct recovery *recovery) {
    struct log *log = recovery->log;
    recovery->heads = mem_calloc(recovery->sequence_count, sizeof *recovery->heads);
    if (!recovery->heads)
        return LASH_NOMEM;
    for (size_t i = 0; i < recovery->sequence_count; i++) {
        int rc = find_segment(recovery, recovery->sequences[i]);
        if (rc)
            return rc;
        struct log_segment *segment = log_current(log);
        rc = use_segment(log, segment);
        if (rc)
            return rc;
        if (i + 1 == recovery->sequence_count)
            rc = settle(log, segment);
        if (!rc)
            rc = read_head(recovery, segment, &recovery->heads[i]);
        log_segment_leave(log, segment);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

/* ---- Records ------------------------------------------------------------------------------------ */

static const char *apply_vote(struct log *log, const struct record *record) {
    if (record->a < log->term)
        return "a term below the one before";
    if (record->a == log->term && log->vote && record->b != log->vote)
        return "a second vote in a term";
    log->term = record->a;
    log->vote = record->b;
    return NULL;
}

static const char *apply_trim(struct log *log, const struct record *record) {
    if (record->a < log->index.first_index || record->a - 1 > log_index_last(&log->index))
        return "the log is trimmed to an index that it does not have";
    lash_term term;
    if (log_index_term(&log->index, record->a - 1, &term) && term != record->b)
        return "the log is trimmed with another term than the entry's";
    log_index_trim(&log->index, record->a, record->b);
    return NULL;
}

/* What the log holds was not the snapshot's (log_install would have kept it), and is gone. */
static const char *apply_reset(struct log *log, const struct record *record) {
    if (record->a <= log->index.first_index || !record->b)
        return "the log begins anew before its begin";
    lash_term term;
    if (log_index_term(&log->index, record->a - 1, &term) && term == record->b)
        return "the log begins anew behind an entry that it holds";
    log_index_reset(&log->index, record->a, record->b);
    return NULL;
}

static const char *apply_frame(struct log *log, const struct staged *staged, struct log_segment *segment) {
    const struct frame *frame = &staged->frame;
    lash_index first = staged->record.a;
    if (first < frame->first || first > frame->first + frame->count - 1)
        return "a frame whose entries do not count";
    if (first < log->index.first_index || first > log_index_last(&log->index) + 1)
        return "an index that leaves a gap";
    lash_term before;
    if (log_index_term(&log->index, first - 1, &before) && before > frame->term)
        return "an entry's term below the one before";
    struct log_span span = log_span_of(&staged->record, frame, segment);
    span.damaged = staged->damaged;
    log_index_push(&log->index, &span);
    return NULL;
}

static const char *apply(struct log *log, const struct staged *staged, struct log_segment *segment) {
    const struct record *record = &staged->record;
    if (record->durable < log->claimed)
        return "a durable position below the one before";
    log->claimed = record->durable;
    if (record->type != RECORD_MARK)
        log->data_end = UINT64_MAX; /* the end of this append, once that is known */
    switch (record->type) {
    case RECORD_VOTE:
        return apply_vote(log, record);
    case RECORD_TRIM:
        return apply_trim(log, record);
    case RECORD_FRAME:
        return apply_frame(log, staged, segment);
    case RECORD_RESET:
        return apply_reset(log, record);
    case RECORD_MARK:
        return NULL;
    default:
        return "a segment begins within a segment";
    }
}

/* The append is whole: it counts. */
static int apply_append(struct recovery *recovery, struct log_segment *segment) {
    struct log *log = recovery->log;
    int rc = log_index_reserve(&log->index, recovery->staged_count);
    if (rc)
        return rc;
    for (size_t i = 0; i < recovery->staged_count; i++) {
        const char *why = apply(log, &recovery->staged[i], segment);
        if (why) /* K */
            return recovery_fail(log, LASH_CORRUPT, segment->sequence,
                                 recovery->staged[i].record.position - segment->first_position, why);
    }
    recovery->staged_count = 0;
    log->position = recovery->position;
    log->chain = recovery->chain;
    if (log->data_end == UINT64_MAX)
        log->data_end = log->position;
    return LASH_OK;
}

static int stage_reserve(struct recovery *recovery) {
    if (recovery->staged_count < recovery->staged_capacity)
        return LASH_OK;
    size_t capacity = recovery->staged_capacity ? 2 * recovery->staged_capacity : 16;
    struct staged *staged = mem_realloc(recovery->staged, capacity * sizeof *staged);
    if (!staged)
        return LASH_NOMEM;
    recovery->staged = staged;
    recovery->staged_capacity = capacity;
    return LASH_OK;
}

int recovery_take(struct recovery *recovery, struct log_segment *segment, const struct staged *staged) {
    int rc = stage_reserve(recovery);
    if (rc)
        return rc;
    recovery->staged[recovery->staged_count++] = *staged;
    recovery->position = record_end(&staged->record);
    recovery->chain = staged->record.crc;
    return staged->record.flags & RECORD_END ? apply_append(recovery, segment) : LASH_OK;
}

/* A frame record's payload must be one frame of this group. */
static int check_payload(const struct recovery *recovery, const uint8_t *payload, struct staged *staged,
                         const char **why) {
    if (staged->record.type != RECORD_FRAME)
        return LASH_OK;
    size_t used = 0;
    int rc =
        frame_check_summed(payload, (size_t)staged->record.size, staged->record.payload_crc, &staged->frame, &used);
    if (!rc && staged->frame.group != recovery->log->group)
        rc = LASH_CORRUPT;
    *why = "a damaged frame in a valid record";
    return rc;
}

/* Read on from recovery->position until `bound`, or until no valid record follows. *valid tells which. */
static int replay_records(struct recovery *recovery, struct log_segment *segment, uint64_t bound, const char **why,
                          bool *valid) {
    *valid = true;
    while (recovery->position < bound) {
        struct staged staged = {.damaged = false};
        const uint8_t *payload;
        uint64_t offset = recovery->position - segment->first_position;
        int rc = log_reader_record(&recovery->reader, offset, recovery->position, &staged.record, &payload, why);
        if ((!rc || rc == LASH_VERSION) && staged.record.prev_crc != recovery->chain) {
            rc = LASH_CORRUPT;
            *why = "the record does not follow the one before";
        }
        if (rc == LASH_CORRUPT) {
            *valid = false;
            return LASH_OK;
        }
        if (!rc)
            rc = check_payload(recovery, payload, &staged, why);
        if (rc)
            return recovery_fail(recovery->log, rc, segment->sequence, offset, *why); /* F, K */
        rc = recovery_take(recovery, segment, &staged);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

/* Whether a record behind the place where the last segment's valid ones end claims that something there was durable. */
static int find_claims(struct recovery *recovery, const struct log_segment *segment, struct log_claims *claims) {
    const struct log *log = recovery->log;
    uint64_t cut = log->position - segment->first_position;
    int rc = log_reader_claims(&recovery->reader, cut, segment->first_position, claims);
    if (rc)
        return recovery_fail(log, rc, segment->sequence, cut, "it cannot be read");
    if (claims->durable > recovery->durable)
        recovery->durable = claims->durable;
    return LASH_OK;
}

/* The last segment ends here with a torn tail, or just ends: row I. */
static int end_of_log(struct recovery *recovery, struct log_segment *segment, uint64_t end) {
    struct log *log = recovery->log;
    uint64_t cut = log->position - segment->first_position;
    log->torn_bytes = end - cut;
    if (!log->torn_bytes)
        return LASH_OK;
    int rc = log_write_zeros(log->vfs, segment->file, cut, end);
    if (rc)
        return recovery_fail(log, rc, segment->sequence, cut, "the torn tail cannot be cut off");
    char name[LOG_NAME_SIZE];
    log_segment_name(name, segment->sequence);
    log_warn("cut off a torn tail of the log, which was never acknowledged", F_STR("dir", log->dir),
             F_STR("file", name), F_U64("offset", cut), F_U64("bytes", log->torn_bytes));
    return log_sync_file(log, segment->file);
}

/* No valid record follows in the last segment: rows H and I. *over says whether the log ends here. */
static int end_or_damage(struct recovery *recovery, struct log_segment *segment, const char *why, bool *over) {
    struct log_claims claims = {.durable = 0};
    int rc = recovery->durable > recovery->log->position ? LASH_OK : find_claims(recovery, segment, &claims);
    *over = !rc && recovery->durable <= recovery->log->position;
    if (rc)
        return rc;
    return *over ? end_of_log(recovery, segment, claims.end) : salvage_record(recovery, segment, why);
}

static bool same_state(const struct log *log, const struct record_segment *state) {
    return state->term == log->term && state->vote == log->vote && state->last_index == log_index_last(&log->index) &&
           state->last_term == log_index_last_term(&log->index) && state->first_index == log->index.first_index &&
           state->prev_term == log->index.prev_term;
}

/* A segment's first record: the log's state where the files begin, and later what must be known already. */
static int begin_segment(struct recovery *recovery, size_t i) {
    struct log *log = recovery->log;
    const struct head *head = &recovery->heads[i];
    const struct record_segment *state = &head->state;
    if (i == 0) {
        log->term = state->term;
        log->vote = state->vote;
        log->index.first_index = state->first_index;
        log->index.prev_term = state->prev_term;
        log->index.base_last = state->last_index;
        log->index.base_last_term = state->last_term;
    } else if (head->record.prev_crc != recovery->chain || !same_state(log, state)) { /* K */
        return recovery_fail(log, LASH_CORRUPT, log->segments[i]->sequence, 0,
                             "the segment does not follow the one before");
    }
    log->claimed = head->record.durable;
    log->chain = recovery->chain = head->record.crc;
    log->position = recovery->position = record_end(&head->record);
    return LASH_OK;
}

/* A segment that is not the last: everything in it was durable when the next one began. */
static int replay_full(struct recovery *recovery, struct log_segment *segment, uint64_t bound) {
    const struct log *log = recovery->log;
    const char *why = "the next segment begins elsewhere";
    bool valid = false;
    int rc = LASH_OK;
    while (!rc && !valid) {
        rc = replay_records(recovery, segment, bound, &why, &valid);
        if (!rc && !valid)
            rc = salvage_record(recovery, segment, why); /* G */
    }
    if (!rc && log->position != bound) /* G */
        rc = recovery_fail(log, LASH_CORRUPT, segment->sequence, recovery->position - segment->first_position, why);
    return rc;
}

static int replay_last(struct recovery *recovery, struct log_segment *segment) {
    const char *why = NULL;
    bool over = false;
    int rc = LASH_OK;
    while (!rc && !over) {
        bool valid;
        rc = replay_records(recovery, segment, UINT64_MAX, &why, &valid);
        if (!rc)
            rc = end_or_damage(recovery, segment, why, &over);
    }
    return rc;
}

static int replay_segment(struct recovery *recovery, size_t i) {
    struct log *log = recovery->log;
    struct log_segment *segment = log->segments[i];
    if (!recovery->begun) {
        int rc = use_segment(log, segment);
        if (!rc)
            rc = begin_segment(recovery, i);
        if (rc)
            return rc;
        recovery->begun = true;
    }
    log_reader_turn(&recovery->reader, segment->file, segment->size);
    if (i + 1 == log->segment_count)
        return replay_last(recovery, segment); /* the writer is its user */
    int rc = replay_full(recovery, segment, log->segments[i + 1]->first_position);
    if (!rc)
        log_segment_leave(log, segment);
    return rc;
}

/* Go on from where recovery begins, or has stopped for damage. */
static int replay(struct recovery *recovery) {
    struct log *log = recovery->log;
    int rc = LASH_OK;
    while (!rc && recovery->segment < log->segment_count) {
        rc = replay_segment(recovery, recovery->segment);
        if (!rc) {
            recovery->segment++;
            recovery->begun = false;
        }
    }
    if (rc)
        return rc;
    if (!log_index_complete(&log->index)) /* L */
        return recovery_fail(log, LASH_CORRUPT, log->segments[0]->sequence - 1, 0,
                             "this segment, or one before it, is missing: entries that count are gone");
    log->durable = log->position;
    return LASH_OK;
}

static void recovery_free(struct recovery *recovery) {
    log_reader_free(&recovery->reader);
    mem_free(recovery->sequences);
    mem_free(recovery->recycled);
    mem_free(recovery->heads);
    mem_free(recovery->staged);
    mem_free(recovery);
}

void log_recover_end(struct log *log) {
    if (log->recovery)
        recovery_free(log->recovery);
    log->recovery = NULL;
}

/* What is read is whole, but for frames whose places are known: make the log ready to be written. */
static int finish(struct recovery *recovery) {
    struct log *log = recovery->log;
    int rc = LASH_OK;
    tidy_files(recovery);
    if (!recovery->sequence_count) { /* A */
        rc = log_sync_parents(log);
        if (!rc)
            rc = log_roll(log, 0);
    }
    log_recover_end(log);
    if (!rc && log_index_damaged(&log->index) < log->index.count)
        rc = LASH_DAMAGED;
    return rc;
}

int log_recover_on(struct log *log) {
    int rc = replay(log->recovery);
    return rc ? rc : finish(log->recovery);
}

int log_recover(struct log *log) {
    struct recovery *recovery = mem_calloc(1, sizeof *recovery);
    if (!recovery)
        return LASH_NOMEM;
    recovery->log = log;
    log->recovery = recovery;
    log_reader_init(&recovery->reader, log->vfs);
    int rc = list_files(recovery);
    if (!rc && !recovery->sequence_count && recovery->recycled_count)
        rc = recovery_fail(log, LASH_CORRUPT, 0, 0, "all segments are missing"); /* B */
    if (!rc && !recovery->sequence_count)
        return finish(recovery);
    if (!rc)
        rc = read_heads(recovery);
    return rc ? rc : log_recover_on(log);
}
