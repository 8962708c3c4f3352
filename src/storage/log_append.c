/* SPDX-License-Identifier: Apache-2.0
 *
 * Appends: items are checked, become records, and count once these are written: by
 * the log itself (log_append), or, when they are small, by the caller past the
 * system's cache (log_append_begin, log_append_end), which nobody has to wait for.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "storage/log_state.h"

/* E2, E3: the term never falls, and within a term a vote once given stays. */
static int check_vote(struct log_outlook *outlook, const struct log_item *item) {
    if (item->term < outlook->term)
        return LASH_INVALID;
    if (item->term == outlook->term && outlook->vote && item->vote != outlook->vote)
        return LASH_INVALID;
    outlook->term = item->term;
    outlook->vote = item->vote;
    outlook->puts++;
    return LASH_OK;
}

/* The term of the entry at `at` once items[0 .. count) are in. */
static bool term_at(const struct log *log, const struct log_item *items, size_t count, lash_index at, lash_term *term) {
    while (count--) {
        struct frame frame;
        if (!items[count].frame || items[count].first > at)
            continue;
        if (frame_header(items[count].frame->data, &frame))
            return false;
        *term = frame.term;
        return true;
    }
    return log_index_term(&log->index, at, term);
}

static int check_frame(const struct log *log, struct log_outlook *outlook, const struct log_item *items, size_t count) {
    const struct log_item *item = &items[count];
    struct frame frame;
    if (item->frame->size < FRAME_HEADER_SIZE || frame_header(item->frame->data, &frame))
        return LASH_INVALID;
    if (item->frame->size != FRAME_HEADER_SIZE + frame.body_size || frame.body_size % 8 || frame.group != log->group)
        return LASH_INVALID;
    if (item->first < frame.first || item->first > frame.first + frame.count - 1)
        return LASH_INVALID;
    if (item->first < log->index.first_index || item->first > outlook->last + 1)
        return LASH_INVALID;
    lash_term before;
    if (!term_at(log, items, count, item->first - 1, &before) || before > frame.term)
        return LASH_INVALID;
    outlook->last = frame.first + frame.count - 1;
    outlook->puts++;
    return LASH_OK;
}

static int check_items(const struct log *log, const struct log_item *items, size_t count, struct log_outlook *outlook) {
    *outlook = (struct log_outlook){log->term, log->vote, log_index_last(&log->index), 0};
    for (size_t i = 0; i < count; i++) {
        int rc = items[i].save_vote ? check_vote(outlook, &items[i]) : LASH_OK;
        if (!rc && items[i].frame)
            rc = check_frame(log, outlook, items, i);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

static void fill_puts(const struct log_item *items, size_t count, struct log_put *puts) {
    for (size_t i = 0; i < count; i++) {
        if (items[i].save_vote)
            *puts++ = (struct log_put){.record = {.type = RECORD_VOTE, .a = items[i].term, .b = items[i].vote}};
        if (items[i].frame)
            *puts++ = (struct log_put){
                .record = {.type = RECORD_FRAME, .a = items[i].first, .size = items[i].frame->size},
                .payload = items[i].frame->data,
            };
    }
}

/* What is written now counts: make it known to readers. Nothing here can fail. The mutex is held. */
static void adopt(struct log *log, const struct log_begun *begun) {
    struct log_segment *segment = log_current(log);
    const struct log_put *puts = begun->puts;
    for (size_t i = 0; i < begun->item_count; i++) {
        const struct log_item *item = &begun->items[i];
        puts += item->save_vote;
        if (!item->frame)
            continue;
        struct frame frame;
        int rc = frame_header(item->frame->data, &frame);
        LASH_ASSERT(rc == LASH_OK);
        struct log_span span = log_span_of(&puts->record, &frame, segment);
        log_index_push(&log->index, &span);
        puts++;
    }
    LASH_ASSERT(log_index_last(&log->index) == begun->outlook.last);
    log->term = begun->outlook.term;
    log->vote = begun->outlook.vote;
    log->data_end = log->position;
}

/* Check items and make their records. Nothing was done where none are needed. Errors: LASH_NOMEM, LASH_INVALID; LASH_BUSY when
 * another thread holds the mutex and `may_wait` is false. */
static int begin(struct log *log, const struct log_item *items, size_t count, bool may_wait, struct log_begun *begun) {
    *begun = (struct log_begun){.items = items, .item_count = count};
    int rc = check_items(log, items, count, &begun->outlook);
    if (rc || !begun->outlook.puts)
        return rc;
    if (may_wait)
        pthread_mutex_lock(&log->mutex);
    else if (pthread_mutex_trylock(&log->mutex) != 0)
        return LASH_BUSY;
    rc = log_index_reserve(&log->index, count);
    pthread_mutex_unlock(&log->mutex);
    if (rc)
        return rc;
    begun->puts = mem_calloc(begun->outlook.puts, sizeof *begun->puts);
    if (!begun->puts)
        return LASH_NOMEM;
    fill_puts(items, count, begun->puts);
    return LASH_OK;
}

int log_append(struct log *log, const struct log_item *items, size_t count) {
    if (log->dead)
        return LASH_IO;
    LASH_ASSERT(!log->begun.puts);
    struct log_begun begun;
    int rc = begin(log, items, count, true, &begun);
    if (rc || !begun.outlook.puts)
        return rc;
    rc = log_batch_write(log, begun.puts, begun.outlook.puts, LOG_LEAVE_BY_APPEND);
    if (!rc) {
        pthread_mutex_lock(&log->mutex);
        adopt(log, &begun);
        pthread_mutex_unlock(&log->mutex);
    }
    mem_free(begun.puts);
    return rc;
}

/* ---- Written by the caller ---------------------------------------------------------------------- */

/* Memory as a write past the cache takes it. */
static uint8_t *direct_buffer(const struct log *log) {
    return (uint8_t *)(((uintptr_t)log->direct_memory + LOG_DIRECT_ALIGNMENT - 1) / LOG_DIRECT_ALIGNMENT *
                       LOG_DIRECT_ALIGNMENT);
}

static void forget_begun(struct log *log) {
    mem_free(log->begun.puts);
    log->begun = (struct log_begun){.puts = NULL};
}

int log_append_begin(struct log *log, const struct log_item *items, size_t count, struct log_write *write) {
    if (log->dead)
        return LASH_IO;
    LASH_ASSERT(!log->begun.puts);
    /* The write makes itself durable, and nothing before it: a mark, say, which would be missing from under it. */
    if (log->direct_file < 0 || log->durable < log->position)
        return LASH_BUSY;
    int rc = begin(log, items, count, false, &log->begun);
    if (rc || !log->begun.outlook.puts)
        return rc ? rc : LASH_BUSY;
    rc = log_batch_encode(log, log->begun.puts, log->begun.outlook.puts, LOG_LEAVE_BY_APPEND, direct_buffer(log),
                          LOG_DIRECT_MAX, &log->begun.bytes);
    if (!rc && !log_is_prepared(log, log->position + log->begun.bytes))
        rc = LASH_BUSY; /* behind it there is something to do that takes a thread */
    if (rc) {
        forget_begun(log);
        return rc;
    }
    *write = (struct log_write){.file = log->direct_file,
                                .data = direct_buffer(log),
                                .size = (size_t)log->begun.bytes,
                                .offset = log->position - log_current(log)->first_position};
    return LASH_OK;
}

/* Whether a failure means no more than that this way is closed: nothing is in a cache of which a sync could have failed. */
static bool is_refusal(ssize_t result) {
    static const int errors[] = {EINVAL, EOPNOTSUPP, EAGAIN, EINTR, ECANCELED, ENOMEM, ENOSPC, EDQUOT, ENOSYS, EPERM};
    bool refusal = result >= 0; /* too few bytes were written */
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        refusal |= result == -errors[i];
    return refusal;
}

/* Nothing of the write is to count, whatever of it is there; without its first header it does not. A full disk, which does not take that
 * either, has taken nothing, and if it did the next append there overwrites it. */
static int direct_failed(struct log *log, const struct log_write *write) {
    if (!is_refusal(write->result))
        return log_sync_failed(log, "file", (int)write->result);
    log_info("small appends go through the system's cache from now on", F_STR("dir", log->dir),
             F_STR("error", write->result < 0 ? strerror((int)-write->result) : "short write"));
    log_direct_close(log);
    log->direct_wanted = false;
    bool full = write->result < 0 && log_error_of(write->result) == LASH_FULL;
    log->dead =
        !full && log_write_zeros(log->vfs, log_current(log)->file, write->offset, write->offset + RECORD_SECTOR);
    return log->dead ? LASH_IO : LASH_BUSY;
}

int log_append_end(struct log *log, const struct log_write *write, bool may_wait) {
    LASH_ASSERT(log->begun.puts && !log->dead);
    bool written = write->result == (ssize_t)write->size;
    if (!may_wait && (!written || pthread_mutex_trylock(&log->mutex) != 0))
        return LASH_BUSY;
    int rc = LASH_OK;
    if (written) {
        if (may_wait)
            pthread_mutex_lock(&log->mutex);
        log_batch_count(log, log->begun.puts, log->begun.outlook.puts, log->begun.bytes);
        adopt(log, &log->begun);
        pthread_mutex_unlock(&log->mutex);
        log->durable = log->position;
    } else {
        rc = direct_failed(log, write);
    }
    forget_begun(log);
    return rc;
}

void log_direct_open(struct log *log) {
    if (!log->direct_wanted || log->direct_file >= 0 || log->rolling)
        return;
    char name[LOG_NAME_SIZE];
    log_segment_name(name, log_current(log)->sequence);
    char *path = log_path(log->dir, name);
    if (!path)
        return;
    int result = log->vfs->open(log->vfs->context, path, VFS_WRITE | VFS_DIRECT);
    mem_free(path);
    log->direct_file = result < 0 ? -1 : result;
    log->direct_wanted = result >= 0 || log_error_of(result) == LASH_NOMEM;
    if (!log->direct_wanted)
        log_info("small appends go through the system's cache", F_STR("dir", log->dir),
                 F_STR("error", strerror(-result)));
}

void log_direct_close(struct log *log) {
    if (log->direct_file >= 0)
        log->vfs->close(log->vfs->context, log->direct_file);
    log->direct_file = -1;
}
