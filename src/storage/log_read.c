/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading entries back, from any thread: from the segment's file, checked. Who needs the
 * latest often keeps them: see node/recent.h.
 */
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "storage/log_state.h"

/* What one call reads: copies of the spans, each a user of its segment. */
struct reading {
    struct log_span *spans;
    size_t count;
};

/* Take the spans from the one that holds `first` on, up to `last` and `bytes_max`. */
static int take_spans(struct log *log, lash_index first, lash_index last, uint64_t bytes_max, struct reading *reading) {
    const struct log_index *index = &log->index;
    if (first < index->first_index || first > last || last > log_index_last(index))
        return LASH_NOT_FOUND;
    size_t begin = log_index_find(index, first);
    size_t end = begin;
    uint64_t bytes = 0;
    LASH_ASSERT(begin < index->count);
    while (end < index->count && index->spans[end].first <= last) {
        bytes += index->spans[end].size;
        if (end > begin && bytes > bytes_max)
            break;
        end++;
    }
    reading->spans = mem_alloc((end - begin) * sizeof *reading->spans);
    if (!reading->spans)
        return LASH_NOMEM;
    memcpy(reading->spans, index->spans + begin, (end - begin) * sizeof *reading->spans);
    for (reading->count = 0; reading->count < end - begin; reading->count++) {
        int rc = log_segment_use(log, reading->spans[reading->count].segment);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

static void give_back(struct log *log, struct reading *reading) {
    pthread_mutex_lock(&log->mutex);
    for (size_t i = 0; i < reading->count; i++)
        log_segment_leave(log, reading->spans[i].segment);
    pthread_mutex_unlock(&log->mutex);
    mem_free(reading->spans);
}

static int read_whole(const struct log *log, const struct log_span *span, struct buf *buf) {
    while (buf->size < span->size) {
        ssize_t got = log->vfs->pread(log->vfs->context, span->segment->file, buf->data + buf->size,
                                      span->size - buf->size, span->offset + buf->size);
        if (got < 0)
            return LASH_IO;
        if (got == 0)
            return LASH_CORRUPT;
        buf->size += (size_t)got;
    }
    struct frame frame;
    size_t used = 0;
    if (frame_check(buf->data, buf->size, &frame, &used) || used != span->size)
        return LASH_CORRUPT;
    bool same = frame.first + span->skip == span->first && frame.term == span->term && frame.count == span->total &&
                frame.kind == span->kind && frame.group == log->group;
    return same ? LASH_OK : LASH_CORRUPT;
}

int log_read_frame(const struct log *log, const struct log_span *span, struct buf **frame) {
    struct buf *buf = buf_new(span->size);
    if (!buf)
        return LASH_NOMEM;
    int rc = read_whole(log, span, buf);
    if (rc) {
        char name[LOG_NAME_SIZE];
        log_segment_name(name, span->segment->sequence);
        log_error("cannot read back from the log", F_ERR(rc), F_STR("dir", log->dir), F_STR("file", name),
                  F_U64("offset", span->offset), F_U64("index", span->first),
                  F_STR("do", "check the disk; restart this node, which then checks the whole log"));
        buf_unref(buf);
        return rc;
    }
    *frame = buf;
    return LASH_OK;
}

/* A later frame replaced this one's end: encode anew what still counts, for nobody must see the rest. */
static int cut_frame(const struct log *log, const struct log_span *span, struct buf **frame) {
    struct frame header;
    int rc = frame_header((*frame)->data, &header);
    LASH_ASSERT(rc == LASH_OK);
    uint32_t count = span->skip + span->count;
    struct frame_input *inputs = mem_alloc(count * sizeof *inputs);
    if (!inputs)
        return LASH_NOMEM;
    struct frame_entry entry;
    size_t offset = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool more = frame_next((*frame)->data, &header, &offset, &entry);
        LASH_ASSERT(more);
        inputs[i] = (struct frame_input){entry.origin, entry.sequence, entry.data, entry.size};
    }
    struct buf *cut;
    rc = frame_encode(log->group, header.first, header.term, header.kind, inputs, count, &cut);
    mem_free(inputs);
    if (rc)
        return rc;
    buf_unref(*frame);
    *frame = cut;
    return LASH_OK;
}

static int read_span(const struct log *log, const struct log_span *span, struct buf **frame) {
    *frame = NULL;
    int rc = log_read_frame(log, span, frame);
    if (!rc && span->skip + span->count < span->total)
        rc = cut_frame(log, span, frame);
    if (rc) {
        buf_unref(*frame);
        *frame = NULL;
    }
    return rc;
}

int log_read(struct log *log, lash_index first, lash_index last, uint64_t bytes_max, struct buf ***frames,
             size_t *count) {
    struct reading reading = {0};
    pthread_mutex_lock(&log->mutex);
    int rc = take_spans(log, first, last, bytes_max, &reading);
    pthread_mutex_unlock(&log->mutex);
    size_t done = 0;
    struct buf **out = NULL;
    if (!rc) {
        out = mem_calloc(reading.count, sizeof(struct buf *));
        rc = out ? LASH_OK : LASH_NOMEM;
    }
    while (!rc && done < reading.count) {
        rc = read_span(log, &reading.spans[done], &out[done]);
        done += !rc;
    }
    give_back(log, &reading);
    if (rc) {
        for (size_t i = 0; i < done; i++)
            buf_unref(out[i]);
        mem_free(out);
        return rc;
    }
    *frames = out;
    *count = done;
    return LASH_OK;
}
