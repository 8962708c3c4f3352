/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON, tables and small formats; see output.h.
 */
#include "lashctl/output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"

/* ---- JSON ------------------------------------------------------------------------------------------ */

/* Memory that runs out ends the program: an answer that is printed in part would be a lie. */
static struct json_object *json_need(struct json_object *object) {
    LASH_ASSERT(object != NULL);
    return object;
}

static struct json_object *json_base64(const ProtobufCBinaryData *bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = (bytes->len + 2) / 3 * 4;
    char *text = mem_alloc(size + 1);
    LASH_ASSERT(text != NULL);
    for (size_t from = 0, to = 0; from < bytes->len; from += 3, to += 4) {
        size_t left = bytes->len - from;
        uint32_t group = (uint32_t)bytes->data[from] << 16 | (left > 1 ? (uint32_t)bytes->data[from + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes->data[from + 2] : 0);
        text[to] = digits[group >> 18];
        text[to + 1] = digits[group >> 12 & 63];
        text[to + 2] = left > 1 ? digits[group >> 6 & 63] : '=';
        text[to + 3] = left > 2 ? digits[group & 63] : '=';
    }
    struct json_object *string = json_need(json_object_new_string_len(text, (int)size));
    mem_free(text);
    return string;
}

/* One value at `at`, or NULL when it is the zero that is left out. In arrays (`keep`) zeros stay. */
static struct json_object *json_value(ProtobufCType type, const void *at, bool keep) {
    union {
        const void *memory;
        const int32_t *i32;
        const uint32_t *u32;
        const int64_t *i64;
        const uint64_t *u64;
        const protobuf_c_boolean *boolean;
        const char *const *string;
        const ProtobufCBinaryData *bytes;
        const ProtobufCMessage *const *message;
    } value = {.memory = at};
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
        return *value.i64 || keep ? json_need(json_object_new_int64(*value.i64)) : NULL;
    case PROTOBUF_C_TYPE_UINT64:
        return *value.u64 || keep ? json_need(json_object_new_uint64(*value.u64)) : NULL;
    case PROTOBUF_C_TYPE_UINT32:
        return *value.u32 || keep ? json_need(json_object_new_uint64(*value.u32)) : NULL;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        return *value.i32 || keep ? json_need(json_object_new_int64(*value.i32)) : NULL;
    case PROTOBUF_C_TYPE_BOOL:
        return *value.boolean || keep ? json_need(json_object_new_boolean(*value.boolean)) : NULL;
    case PROTOBUF_C_TYPE_STRING:
        return (*value.string && **value.string) || keep ? json_need(json_object_new_string(*value.string)) : NULL;
    case PROTOBUF_C_TYPE_BYTES:
        return value.bytes->len || keep ? json_base64(value.bytes) : NULL;
    case PROTOBUF_C_TYPE_MESSAGE:
        return *value.message ? output_message(*value.message) : NULL;
    default:
        return NULL; /* types that the v3 API does not use */
    }
}

static size_t value_size(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(int64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return sizeof(int32_t);
    }
}

static struct json_object *json_array(const ProtobufCFieldDescriptor *field, const char *base) {
    size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    if (count == 0)
        return NULL;
    const char *items = *(const char *const *)(const void *)(base + field->offset);
    struct json_object *array = json_need(json_object_new_array());
    for (size_t at = 0; at < count; at++)
        (void)json_object_array_add(array, json_value(field->type, items + at * value_size(field->type), true));
    return array;
}

/* etcdctl prints the member of a oneof "response" as {"Response":{"ResponsePut":{...}}}. */
static void json_oneof(struct json_object *object, const ProtobufCFieldDescriptor *field, const char *base) {
    char inner[64] = "", outer[64] = "";
    size_t used = 0;
    bool raise = true;
    for (const char *at = field->name; *at && used + 1 < sizeof inner; at++) {
        if (*at != '_')
            inner[used++] = raise ? (char)(*at - 'a' + 'A') : *at;
        raise = *at == '_';
    }
    (void)snprintf(outer, sizeof outer, "%.*s", (int)strcspn(field->name, "_"), inner);
    struct json_object *wrapper = json_need(json_object_new_object());
    (void)json_object_object_add(wrapper, inner, json_value(field->type, base + field->offset, true));
    (void)json_object_object_add(object, outer, wrapper);
}

struct json_object *output_message(const ProtobufCMessage *message) {
    const char *base = (const char *)message;
    struct json_object *object = json_need(json_object_new_object());
    for (unsigned at = 0; at < message->descriptor->n_fields; at++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[at];
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            if (*(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id)
                json_oneof(object, field, base);
            continue;
        }
        struct json_object *value = field->label == PROTOBUF_C_LABEL_REPEATED
                                        ? json_array(field, base)
                                        : json_value(field->type, base + field->offset, false);
        if (value)
            (void)json_object_object_add(object, field->name, value);
    }
    return object;
}

void output_json(struct json_object *object) {
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    LASH_ASSERT(text != NULL);
    /* These three only occur within strings; etcdctl escapes them for the sake of browsers. */
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&')
            printf("\\u%04x", (unsigned)*text);
        else
            putchar(*text);
    }
    putchar('\n');
    (void)json_object_put(object);
}

void output_message_json(const ProtobufCMessage *message) {
    output_json(output_message(message));
}

/* ---- Tables ---------------------------------------------------------------------------------------- */

static void print_run(char c, size_t count) {
    while (count-- > 0)
        putchar(c);
}

static void print_border(const size_t *widths, size_t columns) {
    for (size_t column = 0; column < columns; column++) {
        putchar('+');
        print_run('-', widths[column] + 2);
    }
    printf("+\n");
}

void output_table(const char *const *titles, size_t columns, char *const *cells, size_t rows) {
    size_t widths[16] = {0};
    LASH_ASSERT(columns <= sizeof widths / sizeof widths[0]);
    for (size_t column = 0; column < columns; column++) {
        widths[column] = strlen(titles[column]);
        for (size_t row = 0; row < rows; row++) {
            size_t width = strlen(cells[row * columns + column]);
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    print_border(widths, columns);
    for (size_t column = 0; column < columns; column++) {
        size_t gap = widths[column] - strlen(titles[column]);
        printf("| ");
        print_run(' ', gap / 2);
        printf("%s", titles[column]);
        print_run(' ', gap - gap / 2 + 1);
    }
    printf("|\n");
    print_border(widths, columns);
    for (size_t row = 0; row < rows; row++) {
        for (size_t column = 0; column < columns; column++)
            printf("| %*s ", (int)widths[column], cells[row * columns + column]);
        printf("|\n");
    }
    print_border(widths, columns);
}

/* ---- Small formats --------------------------------------------------------------------------------- */

void output_size(int64_t bytes, char *text, size_t room) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double scale = 1;
    size_t unit = 0;
    while ((double)bytes / scale >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        scale *= 1000;
        unit++;
    }
    uint64_t tenths = (uint64_t)((double)bytes / scale * 10 + 0.5);
    if (unit == 0 || tenths >= 100)
        (void)snprintf(text, room, "%.0f %s", (double)tenths / 10, units[unit]);
    else
        (void)snprintf(text, room, "%.1f %s", (double)tenths / 10, units[unit]);
}

/* A decimal fraction of `unit` nanoseconds without trailing zeros. */
static void print_fraction(uint64_t ns, uint64_t unit, const char *name, char *text, size_t room) {
    char digits[32];
    int places = 0;
    for (uint64_t left = unit; left > 1; left /= 10)
        places++;
    int length = snprintf(digits, sizeof digits, "%" PRIu64 ".%0*" PRIu64, ns / unit, places, ns % unit);
    while (length > 0 && digits[length - 1] == '0')
        digits[--length] = '\0';
    if (length > 0 && digits[length - 1] == '.')
        digits[length - 1] = '\0';
    (void)snprintf(text, room, "%s%s", digits, name);
}

void output_duration(uint64_t ns, char *text, size_t room) {
    const uint64_t second = 1000000000u;
    char rest[48];
    if (ns == 0)
        (void)snprintf(text, room, "0s");
    else if (ns < 1000)
        (void)snprintf(text, room, "%" PRIu64 "ns", ns);
    else if (ns < 1000000)
        print_fraction(ns, 1000, "\xc2\xb5s", text, room);
    else if (ns < second)
        print_fraction(ns, 1000000, "ms", text, room);
    else if (ns < 60 * second)
        print_fraction(ns, second, "s", text, room);
    else {
        print_fraction(ns % (60 * second), second, "s", rest, sizeof rest);
        (void)snprintf(text, room, "%" PRIu64 "m%s", ns / (60 * second), rest);
    }
}

char *output_string(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = size < 0 ? NULL : mem_alloc((size_t)size + 1);
    if (!text)
        return NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return text;
}
