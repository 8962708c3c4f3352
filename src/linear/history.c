/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading histories; see history.h.
 */
#include "linear/history.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "linear/lines.h"
#include "linear/room.h"

#define OPS_MAX UINT32_MAX

/* ---- One line ------------------------------------------------------------------------------------- */

static bool get_number(struct json_object *object, const char *name, bool required, uint64_t *number) {
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, name, &value))
        return !required;
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return false;
    *number = json_object_get_uint64(value);
    return true;
}

/* One of `names`; its place in *number. */
static bool get_choice(struct json_object *object, const char *name, const char *const *names, int count, int *number) {
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, json_type_string))
        return false;
    for (*number = 0; *number < count; ++*number)
        if (strcmp(json_object_get_string(value), names[*number]) == 0)
            return true;
    return false;
}

/* A string, or null for absence. Returns what is wrong, or NULL. */
static const char *get_value(struct history *history, struct json_object *object, const char *name,
                             const char *complaint, uint32_t *number) {
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, name, &value))
        return complaint;
    *number = HISTORY_ABSENT;
    if (value == NULL)
        return NULL;
    const char *text = lines_string(value);
    if (!text)
        return complaint;
    /* Values are numbered from 1; the absent one has the text that no line can spell. */
    return texts_number(&history->values, text, number) ? NULL : lines_out_of_memory;
}

static const char *parse_op(struct history *history, struct json_object *object, struct history_op *op) {
    static const char *const kinds[] = {"put", "get", "cas"};
    static const char *const outcomes[] = {"ok", "fail", "unknown"};
    uint64_t client = 0, revision = 0;
    int kind = 0, outcome = 0;
    struct json_object *value = NULL, *swapped = NULL;
    if (!get_number(object, "client", true, &client) || client > UINT32_MAX)
        return "\"client\" is not a number";
    if (!get_choice(object, "op", kinds, 3, &kind))
        return "\"op\" is not put, get or cas";
    if (!get_choice(object, "outcome", outcomes, 3, &outcome))
        return "\"outcome\" is not ok, fail or unknown";
    const char *key = json_object_object_get_ex(object, "key", &value) ? lines_string(value) : NULL;
    if (!key)
        return "\"key\" is not a string";
    if (!get_number(object, "start_ns", true, &op->start) || !get_number(object, "end_ns", true, &op->end) ||
        op->start > op->end)
        return "\"start_ns\" and \"end_ns\" are not two rising numbers";
    if (!get_number(object, "revision", false, &revision) || revision > INT64_MAX)
        return "\"revision\" is not a number";
    op->client = (uint32_t)client;
    op->kind = (enum history_kind)kind;
    op->outcome = (enum history_outcome)outcome;
    op->revision = (int64_t)revision;
    if (json_object_object_get_ex(object, "swapped", &swapped))
        op->swapped = json_object_get_boolean(swapped);
    bool reads = op->kind == HISTORY_GET || (op->kind == HISTORY_CAS && op->outcome == HISTORY_OK && !op->swapped);
    const char *value_name = reads && op->kind == HISTORY_CAS ? "seen" : "value";
    const char *wrong = NULL;
    if (!reads || op->outcome == HISTORY_OK)
        wrong =
            get_value(history, object, value_name, "\"value\", or \"seen\", is missing or not a string", &op->value);
    if (!wrong && op->kind == HISTORY_CAS)
        wrong = get_value(history, object, "expected", "\"expected\" is missing or not a string", &op->expected);
    if (!wrong && !reads && op->value == HISTORY_ABSENT)
        wrong = "a write has no value";
    if (!wrong && !texts_number(&history->keys, key, &op->key))
        wrong = lines_out_of_memory;
    return wrong;
}

static bool history_add(struct history *history, const struct history_op *op) {
    struct history_op *more = room_for_one_more(history->ops, history->count, sizeof *more);
    if (!more)
        return false;
    history->ops = more;
    history->ops[history->count++] = *op;
    return true;
}

/* ---- The file ------------------------------------------------------------------------------------- */

static int op_order(const void *left, const void *right) {
    const struct history_op *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Whether the operation is one of the store's model alone, which has no place in a register's history. */
static bool is_store_op(struct json_object *object) {
    static const char *const kinds[] = {"delete", "range", "txn"};
    int kind = 0;
    return get_choice(object, "op", kinds, 3, &kind);
}

static bool has_failed(struct json_object *object) {
    static const char *const outcomes[] = {"fail"};
    int outcome = 0;
    return get_choice(object, "outcome", outcomes, 1, &outcome);
}

/* Returns what is wrong with the line, or NULL. */
static const char *read_line(void *context, const char *text, uint32_t line) {
    struct history *history = context;
    if (history->count == OPS_MAX)
        return "there are too many operations";
    struct json_object *object = lines_object(text);
    if (!object)
        return "it is not a JSON object";
    if (is_store_op(object)) {
        bool noted = has_failed(object) || foreign_note(&history->foreign, object, line);
        (void)json_object_put(object);
        history->left_out++;
        return noted ? NULL : lines_out_of_memory;
    }
    struct history_op op = {.line = line};
    const char *wrong = parse_op(history, object, &op);
    (void)json_object_put(object);
    if (!wrong && !history_add(history, &op))
        wrong = lines_out_of_memory;
    return wrong;
}

static bool history_init(struct history *history) {
    uint32_t absent = 0;
    *history = (struct history){.ops = NULL};
    return texts_number(&history->values, "\x01", &absent) && absent == HISTORY_ABSENT;
}

/* Whether a line that is left out, *line, may have written a key that is read. The operations are sorted. */
static bool reads_foreign(const struct history *history, uint32_t *line) {
    uint32_t found = 0;
    const struct history_op *last = NULL; /* that was looked at: all others of its key go with it */
    for (size_t at = 0; at < history->count && !found; at++) {
        const struct history_op *op = &history->ops[at];
        if (op->kind == HISTORY_PUT || (last && last->key == op->key))
            continue;
        found = foreign_line(&history->foreign, history->keys.list[op->key]);
        last = op;
    }
    if (found)
        *line = found;
    return found != 0;
}

bool history_read(FILE *file, struct history *history, char *problem, size_t room) {
    uint32_t line = 0;
    const char *wrong = history_init(history) ? lines_read(file, read_line, history, &line) : lines_out_of_memory;
    if (!wrong && history->count > 0)
        qsort(history->ops, history->count, sizeof *history->ops, op_order);
    if (!wrong && reads_foreign(history, &line))
        wrong = "it may write a key that is read as a register, which only --model=store can judge";
    if (wrong) {
        (void)snprintf(problem, room, "line %" PRIu32 ": %s", line, wrong);
        history_free(history);
        return false;
    }
    return true;
}

void history_free(struct history *history) {
    texts_free(&history->keys);
    texts_free(&history->values);
    foreign_free(&history->foreign);
    mem_free(history->ops);
    *history = (struct history){.ops = NULL};
}

size_t history_key_end(const struct history *history, size_t first) {
    LASH_ASSERT(first < history->count);
    size_t end = first;
    while (end < history->count && history->ops[end].key == history->ops[first].key)
        end++;
    return end;
}

/* ---- Printing ------------------------------------------------------------------------------------- */

static const char *value_text(const struct history *history, uint32_t value) {
    return value == HISTORY_ABSENT ? "(absent)" : history->values.list[value];
}

void history_print(const struct history *history, const struct history_op *op, uint64_t zero, FILE *out) {
    double start = (double)(op->start - zero) / 1e6;
    (void)fprintf(out, "  line %-7" PRIu32 " %10.3f .. ", op->line, start);
    if (op->outcome == HISTORY_OK)
        (void)fprintf(out, "%10.3f ms", (double)(op->end - zero) / 1e6);
    else
        (void)fprintf(out, "       ever   ");
    (void)fprintf(out, "  client %-3" PRIu32 " ", op->client);
    if (op->kind == HISTORY_PUT)
        (void)fprintf(out, "put %s", value_text(history, op->value));
    else if (op->kind == HISTORY_GET)
        (void)fprintf(out, "get -> %s", op->outcome == HISTORY_OK ? value_text(history, op->value) : "?");
    else if (op->outcome != HISTORY_OK || op->swapped)
        (void)fprintf(out, "cas %s -> %s", value_text(history, op->expected), value_text(history, op->value));
    else
        (void)fprintf(out, "cas %s failed, saw %s", value_text(history, op->expected), value_text(history, op->value));
    static const char *const notes[] = {"", ": not carried out", ": outcome unknown"};
    (void)fprintf(out, "%s\n", notes[op->outcome]);
}
