/* SPDX-License-Identifier: Apache-2.0
 *
 * The log as its writer sees it: open and close, sync, mark and trim. Appends are log_append.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "storage/log_state.h"

/* ---- Opening and closing ------------------------------------------------------------------------ */

/* Close and free everything; nothing is written. */
static void release(struct log *log) {
    for (size_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i]->users)
            log->vfs->close(log->vfs->context, log->segments[i]->file);
        mem_free(log->segments[i]);
    }
    if (log->lock_file >= 0)
        log->vfs->close(log->vfs->context, log->lock_file);
    log_direct_close(log);
    log_recover_end(log);
    log_index_free(&log->index);
    pthread_mutex_destroy(&log->mutex);
    mem_free(log->segments);
    mem_free(log->scratch);
    mem_free(log->begun.puts);
    mem_free(log->direct_memory);
    mem_free(log->identity);
    mem_free(log->dir);
    mem_free(log);
}

static bool options_are_valid(const struct log_options *options) {
    if (!options->vfs || !options->dir || !*options->dir)
        return false;
    if (options->segment_bytes && options->segment_bytes < LOG_SEGMENT_BYTES_MIN)
        return false;
    return options->identity_size <= FRAME_BODY_MAX && (options->identity || !options->identity_size);
}

static struct log *make(const struct log_options *options) {
    struct log *log = mem_calloc(1, sizeof *log);
    if (!log)
        return NULL;
    uint64_t segment_bytes = options->segment_bytes ? options->segment_bytes : LOG_SEGMENT_BYTES_DEFAULT;
    log->vfs = options->vfs;
    log->lock_file = -1;
    log->segment_bytes = record_align(segment_bytes, RECORD_SECTOR);
    log->cluster_id = options->cluster_id;
    log->node_id = options->node_id;
    log->group = options->group;
    log->salt = options->salt;
    log->repair = options->repair;
    log->direct_file = -1;
    log->direct_wanted = options->direct;
    log->identity_size = (uint32_t)options->identity_size;
    log_index_init(&log->index);
    pthread_mutex_init(&log->mutex, NULL);
    log->dir = mem_strdup(options->dir);
    log->identity = mem_alloc(options->identity_size + 1);
    log->direct_memory = options->direct ? mem_alloc(LOG_DIRECT_MAX + LOG_DIRECT_ALIGNMENT) : NULL;
    if (!log->dir || !log->identity || (options->direct && !log->direct_memory)) {
        release(log);
        return NULL;
    }
    if (options->identity_size)
        memcpy(log->identity, options->identity, options->identity_size);
    return log;
}

static int failed_on(const struct log *log, const char *what, const char *path, int result) {
    int rc = log_error_of(result);
    log_error("cannot open the log", F_STR("what", what), F_STR("path", path), F_STR("error", strerror(-result)),
              F_STR("dir", log->dir), F_STR("do", "check that the path exists and may be written to"));
    return rc;
}

/* Make `path` and the directories above it that are missing. They become durable before the log's first segment is
 * made; until then there is nothing to lose. */
static int make_directories(const struct log *log, const char *path) {
    const struct vfs *vfs = log->vfs;
    int result = vfs->mkdir(vfs->context, path);
    if (result != -ENOENT)
        return result < 0 ? failed_on(log, "directory", path, result) : LASH_OK;
    char *parent = log_parent(path);
    if (!parent)
        return LASH_NOMEM;
    int rc = strcmp(parent, path) != 0 ? make_directories(log, parent) : LASH_IO;
    if (!rc) {
        result = vfs->mkdir(vfs->context, path);
        rc = result < 0 ? failed_on(log, "directory", path, result) : LASH_OK;
    }
    mem_free(parent);
    return rc;
}

static int take_lock(struct log *log) {
    const struct vfs *vfs = log->vfs;
    char *path = log_path(log->dir, "lock");
    if (!path)
        return LASH_NOMEM;
    int rc = LASH_OK;
    int result = vfs->open(vfs->context, path, VFS_WRITE | VFS_CREATE);
    if (result >= 0) {
        log->lock_file = result;
        result = vfs->lock(vfs->context, log->lock_file);
    }
    if (result == -EWOULDBLOCK) {
        log_error("data directory is in use", F_STR("dir", log->dir),
                  F_STR("do", "stop the other process, or give this one a directory of its own"));
        rc = LASH_BUSY;
    } else if (result < 0) {
        rc = failed_on(log, "lock", path, result);
    }
    mem_free(path);
    return rc;
}

int log_describe(const struct log *log, struct log_recovered *recovered) {
    *recovered = (struct log_recovered){
        .term = log->term,
        .vote = log->vote,
        .first_index = log->index.first_index,
        .prev_term = log->index.prev_term,
        .last_index = log_index_last(&log->index),
        .torn_bytes = log->torn_bytes,
    };
    return log_index_runs(&log->index, &recovered->runs, &recovered->run_count);
}

int log_open(const struct log_options *options, struct log **log, struct log_recovered *recovered) {
    if (!options_are_valid(options)) {
        log_error("invalid log options", F_STR("dir", options->dir ? options->dir : ""),
                  F_U64("segment_bytes", options->segment_bytes));
        return LASH_INVALID;
    }
    struct log *made = make(options);
    if (!made) {
        log_error("cannot open the log", F_ERR(LASH_NOMEM), F_STR("dir", options->dir));
        return LASH_NOMEM;
    }
    int rc = make_directories(made, made->dir);
    if (!rc)
        rc = take_lock(made);
    if (!rc)
        rc = log_recover(made);
    if (!rc)
        rc = log_describe(made, recovered);
    if (rc && rc != LASH_DAMAGED) {
        if (rc == LASH_NOMEM)
            log_error("cannot open the log", F_ERR(rc), F_STR("dir", made->dir));
        release(made);
        return rc;
    }
    *log = made;
    return rc;
}

void log_recovered_free(struct log_recovered *recovered) {
    mem_free(recovered->runs);
    recovered->runs = NULL;
    recovered->run_count = 0;
}

void log_close(struct log *log) {
    if (!log)
        return;
    bool whole = !log->recovery && log_index_damaged(&log->index) == log->index.count;
    if (whole && !log_sync(log) && !log_mark(log))
        log_sync(log);
    release(log);
}

/* ---- Syncing and marking ------------------------------------------------------------------------- */

int log_sync(struct log *log) {
    if (log->dead)
        return LASH_IO;
    if (log->durable == log->position)
        return LASH_OK;
    int rc = log_sync_file(log, log_current(log)->file);
    if (!rc)
        log->durable = log->position;
    return rc;
}

int log_mark(struct log *log) {
    if (log->dead)
        return LASH_IO;
    if (log->claimed >= log->data_end || log->durable < log->data_end || log->rolling)
        return LASH_OK;
    struct log_put put = {.record = {.type = RECORD_MARK}};
    return log_batch_write(log, &put, 1, LOG_LEAVE_BY_MARK);
}

/* ---- Trimming ----------------------------------------------------------------------------------- */

int log_trim(struct log *log, lash_index index) {
    if (log->dead)
        return LASH_IO;
    if (index < log->index.first_index)
        return log_drop_segments(log);
    lash_term term;
    if (index > log_index_last(&log->index) || !log_index_term(&log->index, index, &term))
        return LASH_INVALID;
    struct log_put put = {.record = {.type = RECORD_TRIM, .a = index + 1, .b = term}};
    int rc = log_batch_write(log, &put, 1, LOG_LEAVE_BY_TRIM);
    if (rc)
        return rc;
    log->data_end = log->position;
    rc = log_sync(log);
    if (rc)
        return rc;
    pthread_mutex_lock(&log->mutex);
    log_index_trim(&log->index, index + 1, term);
    pthread_mutex_unlock(&log->mutex);
    return log_drop_segments(log);
}

/* ---- Going on from a snapshot ------------------------------------------------------------------- */

/* Begin anew behind `index`: with one append, so that no crash leaves the term without the entries that have it, or the
 * other way round. */
static int reset(struct log *log, lash_index index, lash_term term) {
    bool raise = term > log->term;
    struct log_put puts[2] = {{.record = {.type = RECORD_VOTE, .a = term}},
                              {.record = {.type = RECORD_RESET, .a = index + 1, .b = term}}};
    int rc = log_batch_write(log, raise ? puts : puts + 1, raise ? 2 : 1, LOG_LEAVE_BY_TRIM);
    if (rc)
        return rc;
    if (raise) {
        log->term = term;
        log->vote = 0;
    }
    log->data_end = log->position;
    pthread_mutex_lock(&log->mutex);
    log_index_reset(&log->index, index + 1, term);
    pthread_mutex_unlock(&log->mutex);
    rc = log_sync(log);
    return rc ? rc : log_drop_segments(log);
}

int log_install(struct log *log, lash_index index, lash_term term, struct log_recovered *recovered) {
    if (log->dead)
        return LASH_IO;
    if (!index || !term)
        return LASH_INVALID;
    lash_term held;
    bool known = index + 1 >= log->index.first_index && index <= log_index_last(&log->index) &&
                 log_index_term(&log->index, index, &held);
    if (known && held != term && index + 1 == log->index.first_index)
        return LASH_INVALID;
    int rc = LASH_OK;
    if (index + 1 > log->index.first_index && !(known && held == term))
        rc = reset(log, index, term);
    if (rc || !recovered)
        return rc;
    log_recovered_free(recovered);
    return log_describe(log, recovered);
}

uint64_t log_size(struct log *log) {
    return log->bytes;
}
