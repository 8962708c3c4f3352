/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of sessions at the head of a snapshot, before the program's bytes:
 *
 *   the table's row, u32 count, and for each session u64 size, its row; in the order of their latest commands
 */
#ifndef LASH_SESSION_SNAPSHOT_H
#define LASH_SESSION_SNAPSHOT_H

#include "session/table.h"

/* A table as it was at one moment. Replies are shared with it. */
struct table_view {
    uint8_t head[ROW_TABLE_SIZE];
    size_t count;
    struct table_session *sessions[];
};

/* Errors: LASH_NOMEM. */
int view_new(const struct table *table, struct table_view **view);
void view_free(struct table_view *view);

/* Where bytes go, and where they come from, as lash_snapshot_write and lash_snapshot_read say. */
struct view_sink {
    void *context;
    int (*write)(void *context, const void *data, size_t size);
};
struct view_source {
    void *context;
    int (*read)(void *context, void *data, size_t size, size_t *got);
};

/* Errors: LASH_NOMEM, those of the sink. */
int view_write(const struct table_view *view, const struct view_sink *sink);

/* Fill `table`, which is empty; on an error it is to be cleared. Errors: LASH_CORRUPT, LASH_VERSION, LASH_NOMEM, those of the source. */
int view_read(struct table *table, const struct view_source *source);

#endif
