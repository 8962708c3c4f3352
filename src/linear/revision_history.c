/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading histories of the whole store; see revision_history.h. Lines of the register's
 * history (get, cas) are taken as the requests that they were.
 */
#include "linear/revision_history.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "linear/lines.h"
#include "linear/room.h"

#define DEPTH_MAX 16

/* Memory that lives as long as the history. */
struct revision_block {
    struct revision_block *next;
    uint64_t data[];
};

struct parser {
    struct revision_history *history;
    const char *wrong; /* the first thing that is; nothing more is read then */
};

static void fail(struct parser *parser, const char *wrong) {
    if (!parser->wrong)
        parser->wrong = wrong;
}

static void *room_for(struct parser *parser, size_t count, size_t size) {
    struct revision_block *block = mem_calloc(1, sizeof *block + count * size);
    if (!block) {
        fail(parser, lines_out_of_memory);
        return NULL;
    }
    block->next = parser->history->blocks;
    parser->history->blocks = block;
    return block->data;
}

/* ---- Fields --------------------------------------------------------------------------------------- */

static struct json_object *field(struct json_object *object, const char *name) {
    struct json_object *value = NULL;
    return json_object_object_get_ex(object, name, &value) ? value : NULL;
}

/* A number that is not negative; `otherwise` when it is not there. */
static int64_t number(struct parser *parser, struct json_object *object, const char *name, int64_t otherwise) {
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, name, &value))
        return otherwise;
    int64_t result = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;
    if (result < 0)
        fail(parser, "what should be a number is none");
    return result;
}

static uint64_t time_of(struct parser *parser, struct json_object *object, const char *name) {
    int64_t value = number(parser, object, name, -1);
    if (value < 0)
        fail(parser, "\"start_ns\" and \"end_ns\" are not two rising numbers");
    return (uint64_t)value;
}

static uint32_t text(struct parser *parser, struct texts *texts, struct json_object *value) {
    uint32_t result = 0;
    const char *string = lines_string(value);
    if (!string)
        fail(parser, "a key or value is missing or not a string");
    else if (!texts_number(texts, string, &result))
        fail(parser, lines_out_of_memory);
    return result;
}

static int choice(struct parser *parser, struct json_object *object, const char *name, const char *const *names,
                  const char *complaint) {
    struct json_object *value = field(object, name);
    const char *chosen = value && json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
    for (int at = 0; names[at]; at++)
        if (strcmp(chosen, names[at]) == 0)
            return at;
    fail(parser, complaint);
    return 0;
}

/* The array `name`, of *count; none is the same as an empty one. */
static struct json_object *list(struct parser *parser, struct json_object *object, const char *name, size_t *count) {
    struct json_object *value = field(object, name);
    if (value && !json_object_is_type(value, json_type_array))
        fail(parser, "what should be a list is none");
    *count = value && !parser->wrong ? json_object_array_length(value) : 0;
    return value;
}

static struct json_object *item(struct parser *parser, struct json_object *array, size_t at) {
    struct json_object *value = json_object_array_get_idx(array, at);
    if (!value || !json_object_is_type(value, json_type_object))
        fail(parser, "a list holds what is not an object");
    return parser->wrong ? NULL : value;
}

/* The ends of ranges are numbered like keys, so that they get their places among them. */
static struct revision_range range(struct parser *parser, struct json_object *object) {
    struct revision_range keys = {.single = true};
    keys.first = text(parser, &parser->history->keys, field(object, "key"));
    struct json_object *end = field(object, "range_end");
    if (!end || (json_object_is_type(end, json_type_string) && json_object_get_string_len(end) == 0))
        return keys;
    keys.single = false;
    bool all = json_object_is_type(end, json_type_string) && json_object_get_string_len(end) == 1 &&
               json_object_get_string(end)[0] == '\0';
    keys.end = all ? UINT32_MAX : text(parser, &parser->history->keys, end); /* all: from the first on */
    return keys;
}

/* ---- Requests ------------------------------------------------------------------------------------- */

static const char *const kinds[] = {"put", "delete", "range", "txn", "get", "cas", NULL};
enum { KIND_GET = REVISION_TXN + 1, KIND_CAS };

static void parse_compares(struct parser *parser, struct json_object *object, struct revision_request *request) {
    static const char *const targets[] = {"value", "version", "create", "mod", NULL};
    static const char *const results[] = {"=", "!=", ">", "<", NULL};
    struct json_object *array = list(parser, object, "compare", &request->compare_count);
    request->compares = room_for(parser, request->compare_count, sizeof *request->compares);
    for (size_t at = 0; at < request->compare_count && !parser->wrong; at++) {
        struct json_object *one = item(parser, array, at);
        if (!one)
            return;
        struct revision_compare *compare = &request->compares[at];
        compare->keys = range(parser, one);
        compare->target = (enum revision_target)choice(parser, one, "target", targets, "a compare has no known target");
        compare->result = (enum revision_result)choice(parser, one, "result", results, "a compare has no known result");
        if (compare->target == REVISION_VALUE)
            compare->value = text(parser, &parser->history->values, field(one, "value"));
        else
            compare->number = number(parser, one, "value", 0);
        bool tells = compare->target == REVISION_CREATE || compare->target == REVISION_MOD;
        parser->history->revisions |= tells && compare->number > 0;
    }
}

static void parse_request(struct parser *parser, struct json_object *object, struct revision_request *request,
                          int depth);

static struct revision_request *parse_requests(struct parser *parser, struct json_object *object, const char *name,
                                               size_t *count, int depth) {
    struct json_object *array = list(parser, object, name, count);
    struct revision_request *requests = room_for(parser, *count, sizeof *requests);
    for (size_t at = 0; at < *count && !parser->wrong; at++) {
        struct json_object *one = item(parser, array, at);
        if (one)
            parse_request(parser, one, &requests[at], depth);
    }
    return requests;
}

static void parse_request(struct parser *parser, struct json_object *object, struct revision_request *request,
                          int depth) {
    int kind = choice(parser, object, "op", kinds, "\"op\" is not put, delete, range, txn, get or cas");
    if (kind > REVISION_TXN || depth > DEPTH_MAX)
        fail(parser, "a transaction holds what it cannot");
    if (parser->wrong)
        return;
    request->kind = (enum revision_kind)kind;
    if (request->kind == REVISION_TXN) {
        parse_compares(parser, object, request);
        request->success = parse_requests(parser, object, "success", &request->success_count, depth + 1);
        request->failure = parse_requests(parser, object, "failure", &request->failure_count, depth + 1);
        return;
    }
    request->keys = range(parser, object);
    if (request->kind == REVISION_PUT) {
        request->value = text(parser, &parser->history->values, field(object, "value"));
        request->keys.single = true;
    }
    request->at = number(parser, object, "at", 0);
    request->limit = number(parser, object, "limit", 0);
    parser->history->revisions |= request->at > 0;
    parser->history->past |= request->at > 0;
}

/* ---- Answers -------------------------------------------------------------------------------------- */

static void parse_seen(struct parser *parser, struct json_object *object, struct revision_seen *seen) {
    seen->key = text(parser, &parser->history->keys, field(object, "key"));
    seen->value = text(parser, &parser->history->values, field(object, "value"));
    seen->create = number(parser, object, "create", REVISION_NOT_RECORDED);
    seen->mod = number(parser, object, "mod", REVISION_NOT_RECORDED);
    seen->version = number(parser, object, "version", REVISION_NOT_RECORDED);
    parser->history->revisions |= seen->create > 0 || seen->mod > 0;
}

static void parse_answer(struct parser *parser, struct json_object *object, const struct revision_request *request,
                         struct revision_answer *answer);

static void parse_txn_answer(struct parser *parser, struct json_object *object, const struct revision_request *request,
                             struct revision_answer *answer) {
    struct json_object *succeeded = field(object, "succeeded");
    if (!succeeded || !json_object_is_type(succeeded, json_type_boolean))
        fail(parser, "\"succeeded\" is missing or not a truth value");
    answer->succeeded = succeeded && json_object_get_boolean(succeeded);
    const struct revision_request *taken = answer->succeeded ? request->success : request->failure;
    struct json_object *array = list(parser, object, "answers", &answer->answer_count);
    if (answer->answer_count != (answer->succeeded ? request->success_count : request->failure_count))
        fail(parser, "a transaction has not as many answers as requests");
    answer->answers = room_for(parser, answer->answer_count, sizeof *answer->answers);
    for (size_t at = 0; at < answer->answer_count && !parser->wrong; at++) {
        struct json_object *one = item(parser, array, at);
        if (one)
            parse_answer(parser, one, &taken[at], &answer->answers[at]);
    }
}

static void parse_answer(struct parser *parser, struct json_object *object, const struct revision_request *request,
                         struct revision_answer *answer) {
    answer->deleted = number(parser, object, "deleted", REVISION_NOT_RECORDED);
    answer->count = number(parser, object, "count", REVISION_NOT_RECORDED);
    if (request->kind == REVISION_TXN)
        parse_txn_answer(parser, object, request, answer);
    if (request->kind != REVISION_RANGE || parser->wrong)
        return;
    answer->recorded = field(object, "kvs") != NULL;
    struct json_object *array = list(parser, object, "kvs", &answer->seen_count);
    answer->seen = room_for(parser, answer->seen_count, sizeof *answer->seen);
    for (size_t at = 0; at < answer->seen_count && !parser->wrong; at++) {
        struct json_object *one = item(parser, array, at);
        if (one)
            parse_seen(parser, one, &answer->seen[at]);
    }
}

/* ---- The register's lines ------------------------------------------------------------------------- */

/* What a get, or a cas that was not carried out, saw of its key: `name` gives the value, null for none. */
static void parse_register_seen(struct parser *parser, struct json_object *object, const char *name, uint32_t key,
                                struct revision_answer *answer) {
    *answer =
        (struct revision_answer){.deleted = REVISION_NOT_RECORDED, .count = REVISION_NOT_RECORDED, .recorded = true};
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, name, &value))
        fail(parser, "\"value\", or \"seen\", is missing");
    if (!value)
        return;
    int64_t mod = number(parser, object, "revision", 0);
    answer->seen_count = 1;
    answer->seen = room_for(parser, 1, sizeof *answer->seen);
    if (answer->seen)
        answer->seen[0] = (struct revision_seen){.key = key,
                                                 .value = text(parser, &parser->history->values, value),
                                                 .create = REVISION_NOT_RECORDED,
                                                 .mod = mod > 0 ? mod : REVISION_NOT_RECORDED,
                                                 .version = REVISION_NOT_RECORDED};
    parser->history->revisions |= mod > 0;
}

static void parse_get(struct parser *parser, struct json_object *object, struct revision_op *op) {
    op->request = (struct revision_request){.kind = REVISION_RANGE, .keys = range(parser, object)};
    op->request.keys.single = true;
    if (op->outcome == HISTORY_OK)
        parse_register_seen(parser, object, "value", op->request.keys.first, &op->answer);
}

static void parse_cas(struct parser *parser, struct json_object *object, struct revision_op *op) {
    struct revision_request *request = &op->request;
    *request =
        (struct revision_request){.kind = REVISION_TXN, .compare_count = 1, .success_count = 1, .failure_count = 1};
    request->compares = room_for(parser, 1, sizeof *request->compares);
    request->success = room_for(parser, 1, sizeof *request->success);
    request->failure = room_for(parser, 1, sizeof *request->failure);
    struct revision_range key = range(parser, object);
    if (parser->wrong)
        return;
    key.single = true;
    struct json_object *expected = field(object, "expected");
    request->compares[0] =
        (struct revision_compare){.keys = key, .target = expected ? REVISION_VALUE : REVISION_CREATE};
    if (expected)
        request->compares[0].value = text(parser, &parser->history->values, expected);
    request->success[0] = (struct revision_request){.kind = REVISION_PUT, .keys = key};
    request->success[0].value = text(parser, &parser->history->values, field(object, "value"));
    request->failure[0] = (struct revision_request){.kind = REVISION_RANGE, .keys = key};
    if (op->outcome != HISTORY_OK)
        return;
    op->answer.answer_count = 1;
    op->answer.answers = room_for(parser, 1, sizeof *op->answer.answers);
    op->answer.succeeded = json_object_get_boolean(field(object, "swapped"));
    if (!parser->wrong && !op->answer.succeeded)
        parse_register_seen(parser, object, "seen", key.first, &op->answer.answers[0]);
}

/* ---- Lines ---------------------------------------------------------------------------------------- */

static void parse_op(struct parser *parser, struct json_object *object, struct revision_op *op) {
    static const char *const outcomes[] = {"ok", "fail", "unknown", NULL};
    int64_t client = number(parser, object, "client", -1);
    if (client < 0 || client > UINT32_MAX)
        fail(parser, "\"client\" is not a number");
    int kind = choice(parser, object, "op", kinds, "\"op\" is not put, delete, range, txn, get or cas");
    op->client = (uint32_t)client;
    op->outcome =
        (enum history_outcome)choice(parser, object, "outcome", outcomes, "\"outcome\" is not ok, fail or unknown");
    op->start = time_of(parser, object, "start_ns");
    op->end = time_of(parser, object, "end_ns");
    if (op->start > op->end)
        fail(parser, "\"start_ns\" and \"end_ns\" are not two rising numbers");
    if (parser->wrong)
        return;
    struct json_object *swapped = field(object, "swapped");
    bool of_key = kind == KIND_GET || (kind == KIND_CAS && !json_object_get_boolean(swapped));
    op->revision = number(parser, object, of_key ? "header" : "revision", 0);
    if (kind == KIND_GET) {
        parse_get(parser, object, op);
    } else if (kind == KIND_CAS) {
        parse_cas(parser, object, op);
    } else {
        parse_request(parser, object, &op->request, 0);
        if (op->outcome == HISTORY_OK && !parser->wrong)
            parse_answer(parser, object, &op->request, &op->answer);
    }
    parser->history->revisions |= op->revision > 0;
}

static bool add_op(struct revision_history *history, const struct revision_op *op) {
    struct revision_op *more = room_for_one_more(history->ops, history->count, sizeof *more);
    if (!more)
        return false;
    history->ops = more;
    history->ops[history->count++] = *op;
    return true;
}

static const char *read_line(void *context, const char *line_text, uint32_t line) {
    struct revision_history *history = context;
    struct parser parser = {.history = history};
    struct json_object *object = lines_object(line_text);
    if (!object)
        return "it is not a JSON object";
    struct revision_op op = {.line = line};
    parse_op(&parser, object, &op);
    (void)json_object_put(object);
    if (!parser.wrong && !add_op(history, &op))
        fail(&parser, lines_out_of_memory);
    return parser.wrong;
}

/* ---- Keys in the order of their bytes ------------------------------------------------------------- */

static void rank_range(struct revision_range *keys, const uint32_t *ranks, size_t count) {
    keys->first = ranks[keys->first];
    if (keys->single)
        keys->end = keys->first + 1;
    else
        keys->end = keys->end == UINT32_MAX ? (uint32_t)count : ranks[keys->end];
    if (keys->end < keys->first)
        keys->end = keys->first;
}

static void rank_request(struct revision_request *request, const uint32_t *ranks, size_t count) {
    if (request->kind != REVISION_TXN)
        rank_range(&request->keys, ranks, count);
    for (size_t at = 0; at < request->compare_count; at++)
        rank_range(&request->compares[at].keys, ranks, count);
    for (size_t at = 0; at < request->success_count; at++)
        rank_request(&request->success[at], ranks, count);
    for (size_t at = 0; at < request->failure_count; at++)
        rank_request(&request->failure[at], ranks, count);
}

static void rank_answer(struct revision_answer *answer, const uint32_t *ranks) {
    for (size_t at = 0; at < answer->seen_count; at++)
        answer->seen[at].key = ranks[answer->seen[at].key];
    for (size_t at = 0; at < answer->answer_count; at++)
        rank_answer(&answer->answers[at], ranks);
}

/* Number the keys anew. False when memory ran out. */
static bool rank_keys(struct revision_history *history) {
    size_t count = history->keys.count;
    uint32_t *ranks = mem_calloc(count + 1, sizeof *ranks);
    bool sorted = ranks && texts_sort(&history->keys, ranks);
    for (size_t at = 0; at < history->count && sorted; at++) {
        rank_request(&history->ops[at].request, ranks, count);
        rank_answer(&history->ops[at].answer, ranks);
    }
    mem_free(ranks);
    return sorted;
}

/* ---- The file ------------------------------------------------------------------------------------- */

static int op_order(const void *left, const void *right) {
    const struct revision_op *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

bool revision_history_read(FILE *file, struct revision_history *history, char *problem, size_t room) {
    *history = (struct revision_history){.ops = NULL};
    uint32_t line = 0;
    const char *wrong = lines_read(file, read_line, history, &line);
    if (!wrong && !rank_keys(history))
        wrong = lines_out_of_memory;
    if (wrong) {
        (void)snprintf(problem, room, "line %" PRIu32 ": %s", line, wrong);
        revision_history_free(history);
        return false;
    }
    if (history->count > 0)
        qsort(history->ops, history->count, sizeof *history->ops, op_order);
    return true;
}

void revision_history_free(struct revision_history *history) {
    for (struct revision_block *block = history->blocks, *next; block; block = next) {
        next = block->next;
        mem_free(block);
    }
    texts_free(&history->keys);
    texts_free(&history->values);
    mem_free(history->ops);
    *history = (struct revision_history){.ops = NULL};
}

/* ---- Questions ------------------------------------------------------------------------------------ */

static bool wrote(const struct revision_request *request, const struct revision_answer *answer) {
    if (request->kind == REVISION_TXN) {
        const struct revision_request *taken = answer->succeeded ? request->success : request->failure;
        for (size_t at = 0; at < answer->answer_count; at++)
            if (wrote(&taken[at], &answer->answers[at]))
                return true;
        return false;
    }
    return request->kind == REVISION_PUT || (request->kind == REVISION_DELETE && answer->deleted > 0);
}

bool revision_op_wrote(const struct revision_op *op) {
    return op->outcome == HISTORY_OK && wrote(&op->request, &op->answer);
}

static bool any_writes(const struct revision_request *requests, size_t count) {
    for (size_t at = 0; at < count; at++)
        if (revision_request_writes(&requests[at]))
            return true;
    return false;
}

bool revision_request_writes(const struct revision_request *request) {
    if (request->kind == REVISION_TXN)
        return any_writes(request->success, request->success_count) ||
               any_writes(request->failure, request->failure_count);
    return request->kind == REVISION_PUT || request->kind == REVISION_DELETE;
}

/* ---- Printing ------------------------------------------------------------------------------------- */

static const char *key_text(const struct revision_history *history, uint32_t key) {
    return key < history->keys.count ? history->keys.list[key] : "(end)";
}

static void print_request(const struct revision_history *history, const struct revision_request *request, FILE *out) {
    if (request->kind == REVISION_TXN) {
        (void)fprintf(out, "txn of %zu compares {", request->compare_count);
        for (size_t at = 0; at < request->success_count; at++)
            print_request(history, &request->success[at], out);
        (void)fprintf(out, " } else {");
        for (size_t at = 0; at < request->failure_count; at++)
            print_request(history, &request->failure[at], out);
        (void)fprintf(out, " }");
        return;
    }
    (void)fprintf(out, " %s %s", kinds[request->kind], key_text(history, request->keys.first));
    if (!request->keys.single)
        (void)fprintf(out, "..%s", key_text(history, request->keys.end));
    if (request->kind == REVISION_PUT)
        (void)fprintf(out, "=%s", history->values.list[request->value]);
    if (request->at > 0)
        (void)fprintf(out, " at %" PRId64, request->at);
}

static void print_answer(const struct revision_history *history, const struct revision_answer *answer, FILE *out) {
    for (size_t at = 0; at < answer->seen_count; at++) {
        const struct revision_seen *seen = &answer->seen[at];
        (void)fprintf(out, " %s=%s", key_text(history, seen->key), history->values.list[seen->value]);
        if (seen->mod > 0)
            (void)fprintf(out, "@%" PRId64, seen->mod);
    }
    if (answer->deleted > 0)
        (void)fprintf(out, " deleted %" PRId64, answer->deleted);
    for (size_t at = 0; at < answer->answer_count; at++)
        print_answer(history, &answer->answers[at], out);
}

void revision_op_print(const struct revision_history *history, const struct revision_op *op, uint64_t zero, FILE *out) {
    (void)fprintf(out, "  line %-7" PRIu32 " %10.3f .. ", op->line, (double)(int64_t)(op->start - zero) / 1e6);
    if (op->outcome == HISTORY_OK)
        (void)fprintf(out, "%10.3f ms", (double)(int64_t)(op->end - zero) / 1e6);
    else
        (void)fprintf(out, "       ever   ");
    (void)fprintf(out, "  client %-3" PRIu32 " ", op->client);
    print_request(history, &op->request, out);
    if (op->outcome != HISTORY_OK) {
        (void)fprintf(out, ": outcome unknown\n");
        return;
    }
    (void)fprintf(out, " ->");
    if (op->request.kind == REVISION_TXN)
        (void)fprintf(out, op->answer.succeeded ? " succeeded" : " failed");
    print_answer(history, &op->answer, out);
    (void)fprintf(out, " at revision %" PRId64 "\n", op->revision);
}
