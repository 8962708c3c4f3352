/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines: put together on the stack, so that logging works when memory has
 * run out, and handed over whole, so that lines of several threads never mix.
 */
#include "base/logger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

/* Longest line; what does not fit is cut off and replaced by dots. */
#define LOGGER_LINE_MAX 4096

struct logger_line {
    size_t used; /* bytes of text; the text is always terminated */
    bool cut;    /* something did not fit */
    char text[LOGGER_LINE_MAX];
};

/* Set before threads start (the contract of lash_set_log), then only read. */
static lash_log_fn logger_sink;
static void *logger_context;
static enum lash_log_level logger_level = LASH_LOG_INFO;

void lash_set_log(lash_log_fn log, void *context, enum lash_log_level level) {
    logger_sink = log;
    logger_context = context;
    logger_level = level;
}

/* Room is kept for the dots and a newline. */
static void logger_put(struct logger_line *line, const char *bytes, size_t size) {
    const size_t limit = sizeof line->text - sizeof "...\n";
    LASH_ASSERT(line->used <= limit);
    if (size > limit - line->used) {
        size = limit - line->used;
        line->cut = true;
    }
    memcpy(line->text + line->used, bytes, size);
    line->used += size;
    line->text[line->used] = '\0';
}

__attribute__((format(printf, 2, 3))) static void logger_print(struct logger_line *line, const char *format, ...) {
    char piece[64];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    LASH_ASSERT(size >= 0 && (size_t)size < sizeof piece);
    logger_put(line, piece, (size_t)size);
}

static bool logger_is_plain(char byte) {
    return (unsigned char)byte > ' ' && byte != '"' && byte != '=' && byte != '\\' && byte != 0x7f;
}

static bool logger_needs_quotes(const char *string) {
    const char *at = string;
    while (*at && logger_is_plain(*at))
        at++;
    return *at || at == string;
}

static void logger_put_escaped(struct logger_line *line, char byte) {
    if (byte == '"' || byte == '\\')
        logger_print(line, "\\%c", byte);
    else if (byte == '\n')
        logger_put(line, "\\n", 2);
    else if (byte == '\t')
        logger_put(line, "\\t", 2);
    else if (logger_is_plain(byte) || byte == ' ' || byte == '=')
        logger_put(line, &byte, 1);
    else
        logger_print(line, "\\x%02x", (unsigned)(unsigned char)byte);
}

static void logger_put_string(struct logger_line *line, const char *string) {
    if (!string) {
        logger_put(line, "(null)", 6);
        return;
    }
    if (!logger_needs_quotes(string)) {
        logger_put(line, string, strlen(string));
        return;
    }
    logger_put(line, "\"", 1);
    for (; *string && !line->cut; string++)
        logger_put_escaped(line, *string);
    logger_put(line, "\"", 1);
}

static void logger_put_field(struct logger_line *line, const struct log_field *field) {
    logger_put(line, " ", 1);
    logger_put(line, field->name, strlen(field->name));
    logger_put(line, "=", 1);
    switch (field->kind) {
    case LOG_U64:
        logger_print(line, "%" PRIu64, field->number);
        break;
    case LOG_I64:
        logger_print(line, "%" PRId64, (int64_t)field->number);
        break;
    case LOG_HEX:
        logger_print(line, "%" PRIx64, field->number);
        break;
    case LOG_STRING:
        logger_put_string(line, field->string);
        break;
    }
}

static void logger_put_time_and_level(struct logger_line *line, enum lash_log_level level) {
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    struct timespec now;
    struct tm utc;
    char date[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    logger_print(line, "%s.%03dZ %-5s ", date, (int)(now.tv_nsec / 1000000), names[level]);
}

static void logger_write_stderr(struct logger_line *line) {
    line->text[line->used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line->text, line->used);
    (void)written; /* there is nowhere to report that reporting failed */
}

void log_write(enum lash_log_level level, const char *message, const struct log_field *fields, size_t count) {
    LASH_ASSERT((unsigned)level <= LASH_LOG_ERROR);
    if (level < logger_level)
        return;
    int saved_errno = errno;
    struct logger_line line;
    line.used = 0;
    line.cut = false;
    if (!logger_sink)
        logger_put_time_and_level(&line, level);
    logger_put(&line, message, strlen(message));
    for (size_t i = 0; i < count; i++)
        logger_put_field(&line, &fields[i]);
    if (line.cut) {
        memcpy(line.text + line.used, "...", sizeof "...");
        line.used += 3;
    }
    if (logger_sink)
        logger_sink(logger_context, level, line.text);
    else
        logger_write_stderr(&line);
    errno = saved_errno;
}
