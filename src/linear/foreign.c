/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of other models' writes; see foreign.h.
 */
#include "linear/foreign.h"

#include <json-c/json.h>
#include <string.h>

#include "base/buf.h"
#include "linear/lines.h"
#include "linear/room.h"

static bool foreign_add(struct foreign *foreign, const char *first, struct json_object *end, uint32_t line) {
    struct foreign_keys *more = room_for_one_more(foreign->list, foreign->count, sizeof *more);
    if (!more)
        return false;
    foreign->list = more;
    /* A text with a zero byte in it is the end of all keys. */
    bool all = json_object_is_type(end, json_type_string) && !lines_string(end);
    const char *text = all || !end ? NULL : lines_string(end);
    struct foreign_keys keys = {.first = mem_strdup(first), .all = all, .line = line};
    if (text && *text)
        keys.end = mem_strdup(text);
    if (!keys.first || (text && *text && !keys.end)) {
        mem_free(keys.first);
        return false;
    }
    foreign->list[foreign->count++] = keys;
    return true;
}

static bool foreign_note_all(struct foreign *foreign, struct json_object *requests, uint32_t line) {
    if (!json_object_is_type(requests, json_type_array))
        return true;
    for (size_t at = 0; at < json_object_array_length(requests); at++)
        if (!foreign_note(foreign, json_object_array_get_idx(requests, at), line))
            return false;
    return true;
}

bool foreign_note(struct foreign *foreign, struct json_object *request, uint32_t line) {
    struct json_object *value = NULL, *end = NULL;
    const char *kind = json_object_object_get_ex(request, "op", &value) ? lines_string(value) : NULL;
    const char *key = json_object_object_get_ex(request, "key", &value) ? lines_string(value) : NULL;
    if (kind && strcmp(kind, "txn") == 0) {
        struct json_object *success = NULL, *failure = NULL;
        (void)json_object_object_get_ex(request, "success", &success);
        (void)json_object_object_get_ex(request, "failure", &failure);
        return foreign_note_all(foreign, success, line) && foreign_note_all(foreign, failure, line);
    }
    bool deletes = kind && strcmp(kind, "delete") == 0;
    if (!key || !(deletes || (kind && strcmp(kind, "put") == 0)))
        return true;
    if (deletes)
        (void)json_object_object_get_ex(request, "range_end", &end);
    return foreign_add(foreign, key, end, line);
}

uint32_t foreign_line(const struct foreign *foreign, const char *key) {
    for (size_t at = 0; at < foreign->count; at++) {
        const struct foreign_keys *keys = &foreign->list[at];
        int order = strcmp(key, keys->first);
        if (order == 0 || (order > 0 && (keys->all || (keys->end && strcmp(key, keys->end) < 0))))
            return keys->line;
    }
    return 0;
}

void foreign_free(struct foreign *foreign) {
    for (size_t at = 0; at < foreign->count; at++) {
        mem_free(foreign->list[at].first);
        mem_free(foreign->list[at].end);
    }
    mem_free(foreign->list);
    *foreign = (struct foreign){.list = NULL};
}
