/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of members. A record is the member's command, as it came through the log.
 */
#include "store/members.h"

#include "base/buf.h"
#include "store/order.h"
#include "store/version.h"

int members_put(struct view *view, const struct store_member *member) {
    struct store_op op = {.type = STORE_MEMBER, .member = *member};
    uint8_t *record, name[8];
    size_t size;
    int rc = store_encode(&op, &record, &size);
    if (rc)
        return rc;
    be64_put(name, member->id);
    MDB_val key = {.mv_size = sizeof name, .mv_data = name}, value = {.mv_size = size, .mv_data = record};
    rc = db_error(mdb_put(view->txn, view->db->members, &key, &value, 0));
    mem_free(record);
    return rc;
}

/* Decode a record and copy what it says into `arena`. */
static int members_copy(MDB_val value, struct store_arena *arena, struct store_member *member) {
    struct store_op op;
    struct store_arena *decoded;
    int rc = store_decode(value.mv_data, value.mv_size, &op, &decoded);
    if (rc)
        return rc;
    member->id = op.member.id;
    member->client_url_count = op.member.client_url_count;
    rc = arena_copy(arena, op.member.name, &member->name);
    struct store_bytes *urls = arena_alloc(arena, member->client_url_count + 1, sizeof *urls);
    if (!urls)
        rc = LASH_NOMEM;
    for (size_t i = 0; rc == 0 && i < member->client_url_count; i++)
        rc = arena_copy(arena, op.member.client_urls[i], &urls[i]);
    member->client_urls = urls;
    store_arena_free(decoded);
    return rc;
}

int members_list(struct view *view, struct store_arena *arena, const struct store_member **members, size_t *count) {
    MDB_stat stat;
    MDB_cursor *cursor;
    int rc = db_error(mdb_stat(view->txn, view->db->members, &stat));
    if (rc == 0)
        rc = db_error(mdb_cursor_open(view->txn, view->db->members, &cursor));
    if (rc)
        return rc;
    struct store_member *list = arena_alloc(arena, stat.ms_entries + 1, sizeof *list);
    rc = list ? LASH_OK : LASH_NOMEM;
    *count = 0;
    MDB_val key, value;
    while (rc == 0) {
        rc = db_error(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
        if (rc == 0 && !version_is_record(key))
            rc = members_copy(value, arena, &list[(*count)++]);
    }
    if (rc == LASH_NOT_FOUND) /* the end */
        rc = LASH_OK;
    mdb_cursor_close(cursor);
    *members = list;
    return rc;
}

int members_each(struct view *view, int (*take)(void *context, struct store_bytes command), void *context) {
    MDB_cursor *cursor;
    int rc = db_error(mdb_cursor_open(view->txn, view->db->members, &cursor));
    if (rc)
        return rc;
    MDB_val key, value;
    while ((rc = db_error(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        rc = take(context, (struct store_bytes){.data = value.mv_data, .size = value.mv_size});
        if (rc)
            break;
    }
    mdb_cursor_close(cursor);
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}
