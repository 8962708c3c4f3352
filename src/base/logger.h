/* SPDX-License-Identifier: Apache-2.0
 *
 * Structured log lines for operators: a message and named fields.
 *
 *   log_info("became leader", F_U64("term", term), F_HEX("id", id), F_STR("dir", path));
 *
 * The default sink writes one line to stderr in one write():
 *   2026-11-22T22:13:20.123Z INFO  became leader term=3 id=8e9e05c52164694d dir=run/n1
 * Strings with spaces, quotes, '=' or control bytes are quoted and escaped.
 */
#ifndef LASH_BASE_LOGGER_H
#define LASH_BASE_LOGGER_H

#include <stddef.h>
#include <stdint.h>

#include "lash/log.h"

enum log_field_kind { LOG_U64, LOG_I64, LOG_HEX, LOG_STRING };

struct log_field {
    const char *name;
    enum log_field_kind kind;
    uint64_t number;
    const char *string;
};

#define F_U64(name, value) ((struct log_field){(name), LOG_U64, (uint64_t)(value), NULL})
#define F_I64(name, value) ((struct log_field){(name), LOG_I64, (uint64_t)(int64_t)(value), NULL})
#define F_HEX(name, value) ((struct log_field){(name), LOG_HEX, (uint64_t)(value), NULL})
#define F_STR(name, value) ((struct log_field){(name), LOG_STRING, 0, (value)})
#define F_ERR(error) F_STR("error", lash_strerror(error))

/* Write a line with `count` fields. Any thread. Errors are ignored: logging never fails a caller. */
void log_write(enum lash_log_level level, const char *message, const struct log_field *fields, size_t count);

#define LOG_FIELDS(...)                                                                                                \
    (const struct log_field[]) {                                                                                       \
        __VA_ARGS__                                                                                                    \
    }
#define log_at(level, message, ...)                                                                                    \
    log_write((level), (message), LOG_FIELDS(__VA_ARGS__), sizeof LOG_FIELDS(__VA_ARGS__) / sizeof(struct log_field))
#define log_debug(message, ...) log_at(LASH_LOG_DEBUG, message, __VA_ARGS__)
#define log_info(message, ...) log_at(LASH_LOG_INFO, message, __VA_ARGS__)
#define log_warn(message, ...) log_at(LASH_LOG_WARN, message, __VA_ARGS__)
#define log_error(message, ...) log_at(LASH_LOG_ERROR, message, __VA_ARGS__)

#endif
