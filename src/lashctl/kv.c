/* SPDX-License-Identifier: Apache-2.0
 *
 * put, get, del and compaction.
 */
#include "lashctl/kv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "lashctl/endpoints.h"
#include "lashctl/flags.h"
#include "lashctl/output.h"

static void command_fail(struct kv_command *command, int code, const char *message) {
    command->exit_code = ctl_fail(code, "%s", message);
    command->done = true;
}

/* protobuf-c's bytes are not const, though it only reads them when packing. */
static ProtobufCBinaryData bytes_of(const char *text, size_t size) {
    union {
        const char *text;
        uint8_t *bytes;
    } view = {.text = text};
    return (ProtobufCBinaryData){size, view.bytes};
}

static ProtobufCBinaryData bytes_of_word(const char *word) {
    return bytes_of(word, strlen(word));
}

void kv_command_free(struct kv_command *command) {
    mem_free(command->range_end);
    mem_free(command->value);
    command->range_end = command->value = NULL;
}

/* ---- Ranges ---------------------------------------------------------------------------------------- */

struct range_flags {
    bool prefix;
    bool from_key;
};

/* The first key behind all that begin with `key`: the last byte that is not 0xff raised, the rest cut; all keys from
 * `key` on when there is no such byte. */
static bool prefix_end(struct kv_command *command, const ProtobufCBinaryData *key, ProtobufCBinaryData *end) {
    size_t size = key->len;
    while (size > 0 && key->data[size - 1] == 0xff)
        size--;
    if (size == 0) {
        *end = bytes_of("\0", 1);
        return true;
    }
    command->range_end = mem_alloc(size);
    if (!command->range_end)
        return false;
    memcpy(command->range_end, key->data, size);
    command->range_end[size - 1]++;
    *end = (ProtobufCBinaryData){size, command->range_end};
    return true;
}

/* Key and range end of get and del. */
static void parse_range(struct kv_command *command, const char *verb, const struct arguments *arguments,
                        const struct range_flags *flags, ProtobufCBinaryData *key, ProtobufCBinaryData *end) {
    char message[128];
    if (flags->prefix && flags->from_key) {
        command_fail(command, CTL_BAD_ARGUMENTS,
                     "`--prefix` and `--from-key` cannot be set at the same time, choose one");
        return;
    }
    if (arguments->count < 1 || arguments->count > 2) {
        (void)snprintf(message, sizeof message,
                       "%s command needs one argument as key and an optional argument as range_end", verb);
        command_fail(command, CTL_BAD_ARGUMENTS, message);
        return;
    }
    if (arguments->count == 2 && (flags->prefix || flags->from_key)) {
        command_fail(command, CTL_BAD_ARGUMENTS,
                     "too many arguments, only accept one argument when `--prefix` or `--from-key` is set");
        return;
    }
    *key = bytes_of_word(arguments->words[0]);
    if (key->len == 0 && (flags->prefix || flags->from_key))
        *key = *end = bytes_of("\0", 1);
    else if (flags->from_key)
        *end = bytes_of("\0", 1);
    else if (arguments->count == 2)
        *end = bytes_of_word(arguments->words[1]);
    else if (flags->prefix && !prefix_end(command, key, end))
        command_fail(command, CTL_ERROR, "out of memory");
}

/* ---- get -------------------------------------------------------------------------------------------- */

struct get_flags {
    struct range_flags range;
    const char *consistency, *staleness, *order, *sort_by;
    int64_t limit, revision, min_mod, max_mod, min_create, max_create;
    bool keys_only, count_only;
};

struct choice {
    const char *name;
    int value;
};

static const struct choice consistencies[] = {{"l", 0}, {"s", 1}, {"lease", 2}, {"stale", 3}};
static const struct choice orders[] = {{"", 0}, {"ASCEND", 1}, {"DESCEND", 2}};
static const struct choice targets[] = {{"", 0},       {"KEY", 0},    {"VERSION", 1},
                                        {"CREATE", 2}, {"MODIFY", 3}, {"VALUE", 4}};

/* Look `name` up, in capitals or not; false after having said what is wrong. */
static bool choose(struct kv_command *command, const struct choice *choices, size_t count, const char *name,
                   const char *complaint, int *value) {
    for (size_t at = 0; at < count; at++) {
        if (strcasecmp(choices[at].name, name) == 0) {
            *value = choices[at].value;
            return true;
        }
    }
    char message[160];
    (void)snprintf(message, sizeof message, complaint[strlen(complaint) - 1] == 'g' ? "%s \"%.80s\"" : "%s %.80s",
                   complaint, name);
    command_fail(command, CTL_BAD_FEATURE, message);
    return false;
}

static void get_request(struct ctl *ctl, struct kv_command *command, const struct get_flags *flags) {
    Etcdserverpb__RangeRequest *range = &command->request.range;
    int consistency = 0, order = 0, target = 0;
    if (!choose(command, consistencies, 4, flags->consistency, "unknown consistency flag", &consistency) ||
        !choose(command, orders, sizeof orders / sizeof orders[0], flags->order, "bad sort order", &order) ||
        !choose(command, targets, sizeof targets / sizeof targets[0], flags->sort_by, "bad sort target", &target))
        return;
    range->serializable = consistency == 1;
    if (consistency == 2)
        ctl->read_as = "lease";
    if (consistency == 3) {
        (void)snprintf(command->read_as, sizeof command->read_as, "stale=%.15s", flags->staleness);
        ctl->read_as = command->read_as;
    }
    range->sort_order = (Etcdserverpb__RangeRequest__SortOrder)order;
    range->sort_target = (Etcdserverpb__RangeRequest__SortTarget)target;
    range->limit = flags->limit;
    range->revision = flags->revision;
    range->keys_only = flags->keys_only;
    range->count_only = flags->count_only;
    range->min_mod_revision = flags->min_mod;
    range->max_mod_revision = flags->max_mod;
    range->min_create_revision = flags->min_create;
    range->max_create_revision = flags->max_create;
}

void kv_parse_get(struct ctl *ctl, const struct verb *verb, int argc, const char **argv, struct kv_command *command) {
    struct get_flags flags = {.consistency = "l", .staleness = "500ms", .order = "", .sort_by = ""};
    *command = (struct kv_command){.done = false};
    const struct flag table[] = {
        {"consistency", 0, FLAG_STRING, &flags.consistency, "l",
         "l: linearizable, s: serializable, lease: linearizable by the leader's lease, stale: see --max-staleness"},
        {"count-only", 0, FLAG_BOOL, &flags.count_only, NULL, "get only the number of keys"},
        {"from-key", 0, FLAG_BOOL, &flags.range.from_key, NULL, "get all keys from the given one on"},
        {"keys-only", 0, FLAG_BOOL, &flags.keys_only, NULL, "get only the keys"},
        {"limit", 0, FLAG_INT, &flags.limit, "0", "at most so many results; 0: all"},
        {"max-create-rev", 0, FLAG_INT, &flags.max_create, "0", "only keys created at or before this revision"},
        {"max-mod-rev", 0, FLAG_INT, &flags.max_mod, "0", "only keys modified last at or before this revision"},
        {"max-staleness", 0, FLAG_STRING, &flags.staleness, "500ms",
         "with --consistency=stale: how old an answer may be"},
        {"min-create-rev", 0, FLAG_INT, &flags.min_create, "0", "only keys created at or after this revision"},
        {"min-mod-rev", 0, FLAG_INT, &flags.min_mod, "0", "only keys modified last at or after this revision"},
        {"order", 0, FLAG_STRING, &flags.order, NULL, "ASCEND or DESCEND"},
        {"prefix", 0, FLAG_BOOL, &flags.range.prefix, NULL, "get all keys that begin with the given one"},
        {"print-value-only", 0, FLAG_BOOL, &command->value_only, NULL, "print values only (simple format)"},
        {"rev", 0, FLAG_INT, &flags.revision, "0", "the state at this revision; 0: now"},
        {"sort-by", 0, FLAG_STRING, &flags.sort_by, NULL, "CREATE, KEY, MODIFY, VALUE or VERSION"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    command->done = arguments.done;
    command->exit_code = arguments.exit_code;
    Etcdserverpb__RangeRequest *range = &command->request.range;
    etcdserverpb__range_request__init(range);
    if (!command->done)
        parse_range(command, "get", &arguments, &flags.range, &range->key, &range->range_end);
    if (!command->done)
        get_request(ctl, command, &flags);
}

/* etcdctl has no table of keys either. */
static bool format_fits(const struct ctl *ctl, struct kv_command *command) {
    if (ctl->format == CTL_TABLE)
        command_fail(command, CTL_BAD_FEATURE, "table not supported as output format");
    return ctl->format != CTL_TABLE;
}

static void get_run(struct ctl *ctl, struct kv_command *command) {
    const Etcdserverpb__RangeRequest *range = &command->request.range;
    struct grpc_status status;
    ProtobufCMessage *message = endpoints_call(ctl, ENDPOINTS_READ, "/etcdserverpb.KV/Range", &range->base,
                                               &etcdserverpb__range_response__descriptor, &status);
    const Etcdserverpb__RangeResponse *response = (const Etcdserverpb__RangeResponse *)message;
    if (!response)
        command->exit_code = ctl_fail_status(&status);
    else if (range->count_only && ctl->format == CTL_SIMPLE)
        printf("%" PRId64 "\n", response->count);
    else
        output_range(ctl, response, range->keys_only, command->value_only);
    grpc_message_free(message);
}

int kv_get(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    struct kv_command command;
    kv_parse_get(ctl, verb, argc, argv, &command);
    if (!command.done && command.value_only && ctl->format != CTL_SIMPLE)
        command_fail(&command, CTL_BAD_ARGUMENTS, "print-value-only is only for `--write-out=simple`");
    if (!command.done && format_fits(ctl, &command))
        get_run(ctl, &command);
    kv_command_free(&command);
    return command.exit_code;
}

/* ---- put -------------------------------------------------------------------------------------------- */

/* Standard input to its end as the value; an empty one counts as none. */
static bool read_value(struct kv_command *command, ProtobufCBinaryData *value) {
    size_t size = 0, capacity = 0;
    for (;;) {
        if (size == capacity) {
            capacity = capacity ? capacity * 2 : 4096;
            uint8_t *grown = mem_realloc(command->value, capacity);
            if (!grown) {
                command_fail(command, CTL_ERROR, "out of memory");
                return false;
            }
            command->value = grown;
        }
        size_t got = fread(command->value + size, 1, capacity - size, stdin);
        if (got == 0)
            break;
        size += got;
    }
    if (ferror(stdin)) {
        command_fail(command, CTL_IO, "cannot read standard input");
        return false;
    }
    *value = (ProtobufCBinaryData){size, command->value};
    return size > 0;
}

static void put_value(struct kv_command *command, const struct arguments *arguments, bool from_stdin) {
    Etcdserverpb__PutRequest *put = &command->request.put;
    bool ignore = put->ignore_value;
    if (ignore && arguments->count > 1) {
        command_fail(command, CTL_BAD_ARGUMENTS, "put command needs only 1 argument when 'ignore-value' is set");
        return;
    }
    bool given = arguments->count == 2;
    if (given)
        put->value = bytes_of_word(arguments->words[1]);
    if (arguments->count == 1 && !ignore && from_stdin)
        given = read_value(command, &put->value);
    if (!command->done && !given && !(ignore && arguments->count == 1))
        command_fail(command, CTL_BAD_ARGUMENTS, "put command needs 1 argument and input from stdin or 2 arguments");
}

static void put_lease(struct kv_command *command, const char *text) {
    char *end = NULL;
    errno = 0;
    command->request.put.lease = strtoll(text, &end, 16);
    if (errno == 0 && end != text && *end == '\0')
        return;
    char message[128];
    (void)snprintf(message, sizeof message, "bad lease ID (\"%.64s\"), expecting ID in Hex", text);
    command_fail(command, CTL_BAD_ARGUMENTS, message);
}

void kv_parse_put(struct ctl *ctl, const struct verb *verb, int argc, const char **argv, bool from_stdin,
                  struct kv_command *command) {
    const char *lease = "0";
    bool prev_kv = false, ignore_value = false, ignore_lease = false;
    *command = (struct kv_command){.done = false};
    const struct flag table[] = {
        {"ignore-lease", 0, FLAG_BOOL, &ignore_lease, NULL, "keep the key's present lease"},
        {"ignore-value", 0, FLAG_BOOL, &ignore_value, NULL, "keep the key's present value"},
        {"lease", 0, FLAG_STRING, &lease, "0", "lease ID, in hexadecimal, to attach to the key"},
        {"prev-kv", 0, FLAG_BOOL, &prev_kv, NULL, "print the key and value before the change, too"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    command->done = arguments.done;
    command->exit_code = arguments.exit_code;
    Etcdserverpb__PutRequest *put = &command->request.put;
    etcdserverpb__put_request__init(put);
    put->prev_kv = prev_kv;
    put->ignore_value = ignore_value;
    put->ignore_lease = ignore_lease;
    if (!command->done)
        put_lease(command, lease);
    if (!command->done)
        put_value(command, &arguments, from_stdin);
    if (!command->done)
        put->key = bytes_of_word(arguments.words[0]);
}

int kv_put(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    struct kv_command command;
    kv_parse_put(ctl, verb, argc, argv, true, &command);
    if (!command.done && format_fits(ctl, &command)) {
        struct grpc_status status;
        ProtobufCMessage *message =
            endpoints_call(ctl, ENDPOINTS_WRITE, "/etcdserverpb.KV/Put", &command.request.put.base,
                           &etcdserverpb__put_response__descriptor, &status);
        if (message)
            output_put(ctl, (const Etcdserverpb__PutResponse *)message);
        else
            command.exit_code = ctl_fail_status(&status);
        grpc_message_free(message);
    }
    kv_command_free(&command);
    return command.exit_code;
}

/* ---- del -------------------------------------------------------------------------------------------- */

void kv_parse_del(struct ctl *ctl, const struct verb *verb, int argc, const char **argv, struct kv_command *command) {
    struct range_flags flags = {.prefix = false};
    bool prev_kv = false, range = false;
    *command = (struct kv_command){.done = false};
    const struct flag table[] = {
        {"from-key", 0, FLAG_BOOL, &flags.from_key, NULL, "delete all keys from the given one on"},
        {"prefix", 0, FLAG_BOOL, &flags.prefix, NULL, "delete all keys that begin with the given one"},
        {"prev-kv", 0, FLAG_BOOL, &prev_kv, NULL, "print the deleted keys and values"},
        {"range", 0, FLAG_BOOL, &range, NULL, "insist on a range_end, so that a forgotten one is not one key"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    command->done = arguments.done;
    command->exit_code = arguments.exit_code;
    Etcdserverpb__DeleteRangeRequest *request = &command->request.delete_range;
    etcdserverpb__delete_range_request__init(request);
    request->prev_kv = prev_kv;
    if (!command->done)
        parse_range(command, "del", &arguments, &flags, &request->key, &request->range_end);
    if (!command->done && range && arguments.count != 2)
        command_fail(command, CTL_BAD_ARGUMENTS, "del command with `--range` needs a key and a range_end");
}

int kv_del(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    struct kv_command command;
    kv_parse_del(ctl, verb, argc, argv, &command);
    if (!command.done && format_fits(ctl, &command)) {
        struct grpc_status status;
        ProtobufCMessage *message =
            endpoints_call(ctl, ENDPOINTS_WRITE, "/etcdserverpb.KV/DeleteRange", &command.request.delete_range.base,
                           &etcdserverpb__delete_range_response__descriptor, &status);
        if (message)
            output_delete(ctl, (const Etcdserverpb__DeleteRangeResponse *)message);
        else
            command.exit_code = ctl_fail_status(&status);
        grpc_message_free(message);
    }
    kv_command_free(&command);
    return command.exit_code;
}

/* ---- compaction ------------------------------------------------------------------------------------- */

int kv_compaction(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    bool physical = false;
    const struct flag table[] = {
        {"physical", 0, FLAG_BOOL, &physical, NULL, "wait until the old revisions are removed"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "compaction command needs 1 argument");
    Etcdserverpb__CompactionRequest request = ETCDSERVERPB__COMPACTION_REQUEST__INIT;
    char *end = NULL;
    errno = 0;
    request.revision = strtoll(arguments.words[0], &end, 10);
    request.physical = physical;
    if (errno != 0 || end == arguments.words[0] || *end != '\0')
        return ctl_fail(CTL_ERROR, "\"%s\" is not a revision", arguments.words[0]);
    struct grpc_status status;
    ProtobufCMessage *message = endpoints_call(ctl, ENDPOINTS_WRITE, "/etcdserverpb.KV/Compact", &request.base,
                                               &etcdserverpb__compaction_response__descriptor, &status);
    if (!message)
        return ctl_fail_status(&status);
    printf("compacted revision %" PRId64 "\n", request.revision);
    grpc_message_free(message);
    return CTL_OK;
}
