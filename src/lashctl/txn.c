/* SPDX-License-Identifier: Apache-2.0
 *
 * txn: a transaction read from standard input in three sections (compares,
 * requests on success, requests on failure), each ended by an empty line.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "lashctl/endpoints.h"
#include "lashctl/flags.h"
#include "lashctl/kv.h"
#include "lashctl/output.h"
#include "lashctl/txn_parse.h"

#define WORDS_MAX 64

/* One line of the transaction and what it means. */
struct txn_line {
    char *text;
    Etcdserverpb__Compare compare;
    struct kv_command command;
    Etcdserverpb__RequestOp op;
};

/* A section's lines; each is allocated on its own, so that pointers into it stay valid. */
struct txn_section {
    struct txn_line **lines;
    size_t count;
};

static void section_free(struct txn_section *section) {
    for (size_t at = 0; at < section->count; at++) {
        mem_free(section->lines[at]->text);
        kv_command_free(&section->lines[at]->command);
        mem_free(section->lines[at]);
    }
    mem_free(section->lines);
}

static struct txn_line *section_add(struct txn_section *section, char *text) {
    struct txn_line **lines = mem_realloc(section->lines, (section->count + 1) * sizeof *lines);
    if (lines)
        section->lines = lines;
    struct txn_line *line = lines ? mem_calloc(1, sizeof *line) : NULL;
    if (!line)
        return NULL;
    line->text = text;
    section->lines[section->count++] = line;
    return line;
}

static int parse_compare(struct ctl *ctl, struct txn_line *line) {
    (void)ctl;
    char problem[384];
    bool good = txn_parse_compare(line->text, &line->compare, problem, sizeof problem);
    return good ? CTL_OK : ctl_fail(CTL_INVALID_INPUT, "%s", problem);
}

static int parse_request(struct ctl *ctl, struct txn_line *line) {
    const char *words[WORDS_MAX];
    char quoted[256];
    (void)snprintf(quoted, sizeof quoted, "%s", line->text);
    int count = txn_parse_words(line->text, words, WORDS_MAX);
    struct verb verb = {.name = count > 0 ? words[0] : "", .usage = "", .summary = ""};
    struct kv_command *command = &line->command;
    Etcdserverpb__RequestOp *op = &line->op;
    etcdserverpb__request_op__init(op);
    if (strcmp(verb.name, "put") == 0) {
        kv_parse_put(ctl, &verb, count - 1, words + 1, false, command);
        op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
        op->request_put = &command->request.put;
    } else if (strcmp(verb.name, "get") == 0) {
        kv_parse_get(ctl, &verb, count - 1, words + 1, command);
        op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
        op->request_range = &command->request.range;
    } else if (strcmp(verb.name, "del") == 0) {
        kv_parse_del(ctl, &verb, count - 1, words + 1, command);
        op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
        op->request_delete_range = &command->request.delete_range;
    } else {
        return ctl_fail(CTL_INVALID_INPUT, "invalid txn request: %s", quoted);
    }
    if (command->done && command->exit_code == CTL_OK)
        return ctl_fail(CTL_INVALID_INPUT, "invalid txn request: %s", quoted);
    return command->exit_code;
}

/* One line of standard input without its end, to be mem_free'd; NULL when the input ends before the line does, or (then
 * *exit_code says so) memory does. */
static char *read_line(int *exit_code) {
    char *text = NULL;
    size_t size = 0, capacity = 0;
    for (int c = getchar(); c != EOF; c = getchar()) {
        if (size + 1 >= capacity) {
            capacity = capacity ? capacity * 2 : 128;
            char *grown = mem_realloc(text, capacity);
            if (!grown) {
                *exit_code = ctl_fail(CTL_ERROR, "out of memory");
                mem_free(text);
                return NULL;
            }
            text = grown;
        }
        text[size] = c == '\n' ? '\0' : (char)c;
        if (c == '\n')
            return text;
        size++;
    }
    *exit_code = ctl_fail(CTL_INVALID_INPUT, "EOF");
    mem_free(text);
    return NULL;
}

/* Read lines up to an empty one. Input that ends before it is not a whole transaction. */
static int read_section(struct ctl *ctl, struct txn_section *section,
                        int (*parse)(struct ctl *ctl, struct txn_line *line)) {
    int rc = CTL_OK;
    while (rc == CTL_OK) {
        char *text = read_line(&rc);
        if (!text)
            break;
        if (*text == '\0' || strcmp(text, "\r") == 0) {
            mem_free(text);
            break;
        }
        struct txn_line *line = section_add(section, text);
        if (!line)
            mem_free(text);
        rc = line ? parse(ctl, line) : ctl_fail(CTL_ERROR, "out of memory");
    }
    return rc;
}

/* The sections as a request, whose three arrays the caller frees. False when memory ran out. */
static bool txn_request(const struct txn_section *sections, Etcdserverpb__TxnRequest *request) {
    request->compare = mem_calloc(sections[0].count + 1, sizeof(Etcdserverpb__Compare *));
    request->success = mem_calloc(sections[1].count + 1, sizeof(Etcdserverpb__RequestOp *));
    request->failure = mem_calloc(sections[2].count + 1, sizeof(Etcdserverpb__RequestOp *));
    if (!request->compare || !request->success || !request->failure)
        return false;
    for (; request->n_compare < sections[0].count; request->n_compare++)
        request->compare[request->n_compare] = &sections[0].lines[request->n_compare]->compare;
    for (; request->n_success < sections[1].count; request->n_success++)
        request->success[request->n_success] = &sections[1].lines[request->n_success]->op;
    for (; request->n_failure < sections[2].count; request->n_failure++)
        request->failure[request->n_failure] = &sections[2].lines[request->n_failure]->op;
    return true;
}

static int txn_send(const struct ctl *ctl, const struct txn_section *sections) {
    Etcdserverpb__TxnRequest request = ETCDSERVERPB__TXN_REQUEST__INIT;
    int rc = CTL_OK;
    if (!txn_request(sections, &request)) {
        rc = ctl_fail(CTL_ERROR, "out of memory");
    } else {
        struct grpc_status status;
        ProtobufCMessage *message = endpoints_call(ctl, ENDPOINTS_WRITE, "/etcdserverpb.KV/Txn", &request.base,
                                                   &etcdserverpb__txn_response__descriptor, &status);
        if (message)
            output_txn(ctl, (const Etcdserverpb__TxnResponse *)message);
        else
            rc = ctl_fail_status(&status);
        grpc_message_free(message);
    }
    mem_free(request.compare);
    mem_free(request.success);
    mem_free(request.failure);
    return rc;
}

int txn_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    bool interactive = false;
    const struct flag table[] = {
        {"interactive", 'i', FLAG_BOOL, &interactive, NULL, "ask for each section"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    static const char *const prompts[] = {
        "compares:", "success requests (get, put, del):", "failure requests (get, put, del):"};
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 0)
        return ctl_fail(CTL_BAD_ARGUMENTS, "txn command does not accept argument");
    struct txn_section sections[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    int rc = CTL_OK;
    for (size_t at = 0; at < 3 && rc == CTL_OK; at++) {
        if (interactive) {
            printf("%s\n", prompts[at]);
            (void)fflush(stdout);
        }
        rc = read_section(ctl, &sections[at], at == 0 ? parse_compare : parse_request);
    }
    if (rc == CTL_OK && ctl->format == CTL_TABLE)
        rc = ctl_fail(CTL_BAD_FEATURE, "table not supported as output format");
    if (rc == CTL_OK)
        rc = txn_send(ctl, sections);
    for (size_t at = 0; at < 3; at++)
        section_free(&sections[at]);
    return rc;
}
