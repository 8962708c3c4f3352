/* SPDX-License-Identifier: Apache-2.0
 *
 * The little language of `lashctl txn`; see txn_parse.h.
 */
#include "lashctl/txn_parse.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t\r\n\v\f";

/* ---- Quoted strings -------------------------------------------------------------------------------- */

static int digits_value(const char *from, size_t count, int base) {
    char text[9] = "";
    memcpy(text, from, count);
    const char *allowed = base == 16 ? "0123456789abcdefABCDEF" : "01234567";
    return strspn(text, allowed) == count ? (int)strtol(text, NULL, base) : -1;
}

/* One code point as UTF-8; returns the bytes written. */
static size_t put_utf8(char *to, uint32_t point) {
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t byte = length - 1; byte > 0; byte--, point >>= 6)
        to[byte] = (char)(0x80 | (point & 0x3f));
    to[0] = (char)((0xf00 >> length & 0xff) | point);
    return length;
}

/* What follows a backslash at `from` (of which the closing quote is yet to come), decoded to `to`. Returns the bytes
 * read, 0 when it is no escape; *written are written, never more than were read. */
static size_t unescape(const char *from, char *to, size_t *written) {
    static const char letters[] = "abfnrtv\\\"'";
    static const char values[] = "\a\b\f\n\r\t\v\\\"'";
    const char *letter = *from ? strchr(letters, *from) : NULL;
    *written = 1;
    if (letter) {
        *to = values[letter - letters];
        return 1;
    }
    size_t left = strlen(from);
    size_t digits = *from == 'x' ? 2 : *from == 'u' ? 4 : *from == 'U' ? 8 : 0;
    if (digits == 0) {
        int octal = left >= 3 ? digits_value(from, 3, 8) : -1;
        *to = (char)octal;
        return octal < 0 || octal > 255 ? 0 : 3;
    }
    int point = left > digits ? digits_value(from + 1, digits, 16) : -1;
    if (point < 0 || point > 0x10ffff)
        return 0;
    if (digits == 2)
        *to = (char)point;
    else
        *written = put_utf8(to, (uint32_t)point);
    return digits + 1;
}

/* Decode the string in double quotes that begins at *at, in place. Returns its first byte and *size, and moves *at
 * behind it; NULL when it is none. */
static char *take_quoted(char **at, size_t *size) {
    char *from = *at;
    if (*from++ != '"')
        return NULL;
    char *start = from, *to = from;
    while (*from != '"') {
        size_t written = 1;
        if (*from == '\0')
            return NULL;
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        size_t read = unescape(from + 1, to, &written);
        if (read == 0)
            return NULL;
        from += read + 1;
        to += written;
    }
    *at = from + 1;
    *size = (size_t)(to - start);
    *to = '\0';
    return start;
}

int txn_parse_words(char *line, const char **words, int max) {
    int count = 0;
    for (char *at = line + strspn(line, blanks); *at; at += strspn(at, blanks)) {
        if (count == max)
            return -1;
        size_t size = 0;
        char *word = at;
        if (*at == '"') {
            word = take_quoted(&at, &size);
        } else if (*at == '\'') {
            word = at + 1;
            at = strchr(word, '\'');
            if (at)
                *at++ = '\0';
        } else {
            at += strcspn(at, blanks);
            if (*at)
                *at++ = '\0';
        }
        if (!word || !at)
            return -1;
        words[count++] = word;
    }
    return count;
}

/* ---- Compares -------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    Etcdserverpb__Compare__CompareTarget target;
    Etcdserverpb__Compare__TargetUnionCase field;
} targets[] = {
#define TARGET(name, target, field)                                                                                    \
    { name, ETCDSERVERPB__COMPARE__COMPARE_TARGET__##target, ETCDSERVERPB__COMPARE__TARGET_UNION_##field }
    TARGET("ver", VERSION, VERSION),      TARGET("version", VERSION, VERSION),
    TARGET("c", CREATE, CREATE_REVISION), TARGET("create", CREATE, CREATE_REVISION),
    TARGET("m", MOD, MOD_REVISION),       TARGET("mod", MOD, MOD_REVISION),
    TARGET("val", VALUE, VALUE),          TARGET("value", VALUE, VALUE),
    TARGET("lease", LEASE, LEASE),
#undef TARGET
};
#define TARGET_COUNT (sizeof targets / sizeof targets[0])

static const struct {
    const char *name;
    Etcdserverpb__Compare__CompareResult result;
} results[] = {
    {"!=", ETCDSERVERPB__COMPARE__COMPARE_RESULT__NOT_EQUAL},
    {"=", ETCDSERVERPB__COMPARE__COMPARE_RESULT__EQUAL},
    {"<", ETCDSERVERPB__COMPARE__COMPARE_RESULT__LESS},
    {">", ETCDSERVERPB__COMPARE__COMPARE_RESULT__GREATER},
};
#define RESULT_COUNT (sizeof results / sizeof results[0])

/* The right side, decoded: the value itself, or a number (a lease in hexadecimal). */
static bool compare_operand(Etcdserverpb__Compare *compare, char *value, size_t size) {
    if (compare->target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE) {
        compare->value = (ProtobufCBinaryData){size, (uint8_t *)value};
        return true;
    }
    bool lease = compare->target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__LEASE;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, lease ? 16 : 10);
    if (errno != 0 || end == value || end != value + size)
        return false;
    switch (compare->target) {
    case ETCDSERVERPB__COMPARE__COMPARE_TARGET__VERSION:
        compare->version = number;
        break;
    case ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE:
        compare->create_revision = number;
        break;
    case ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD:
        compare->mod_revision = number;
        break;
    default:
        compare->lease = number;
        break;
    }
    return true;
}

static size_t find_target(const char *name, size_t length) {
    size_t at = 0;
    while (at < TARGET_COUNT && (strlen(targets[at].name) != length || strncmp(targets[at].name, name, length) != 0))
        at++;
    return at;
}

static size_t find_result(const char *name) {
    size_t at = 0;
    while (at < RESULT_COUNT && strncmp(results[at].name, name, strlen(results[at].name)) != 0)
        at++;
    return at;
}

/* The parts of a compare. Returns what does not fit, or NULL. */
static const char *compare_parts(char *line, Etcdserverpb__Compare *compare) {
    size_t length = strcspn(line, "(");
    if (line[length] == '\0')
        return "expected target(\"key\") op \"value\"";
    size_t target = find_target(line, length);
    if (target == TARGET_COUNT)
        return "unknown target";
    char *at = line + length + 1;
    size_t size = 0;
    char *key = take_quoted(&at, &size);
    if (!key || *at++ != ')')
        return "expected a key in double quotes and brackets";
    compare->key = (ProtobufCBinaryData){size, (uint8_t *)key};
    compare->target = targets[target].target;
    compare->target_union_case = targets[target].field;
    at += strspn(at, blanks);
    size_t result = find_result(at);
    if (result == RESULT_COUNT)
        return "expected one of = != < >";
    compare->result = results[result].result;
    at += strlen(results[result].name);
    at += strspn(at, blanks);
    char *value = take_quoted(&at, &size);
    if (!value || at[strspn(at, blanks)] != '\0')
        return "expected a value in double quotes";
    return compare_operand(compare, value, size) ? NULL : "expected a number";
}

bool txn_parse_compare(char *line, Etcdserverpb__Compare *compare, char *problem, size_t room) {
    etcdserverpb__compare__init(compare);
    /* Decoding changes the line, so it is quoted before. */
    (void)snprintf(problem, room, "malformed comparison: %.200s", line);
    const char *why = compare_parts(line, compare);
    if (!why)
        return true;
    size_t used = strlen(problem);
    (void)snprintf(problem + used, room - used, " (%s)", why);
    return false;
}
