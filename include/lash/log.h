/* SPDX-License-Identifier: Apache-2.0
 *
 * Where Lash's own log lines for operators go.
 */
#ifndef LASH_LOG_H
#define LASH_LOG_H

#include "lash/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lash_log_level {
    LASH_LOG_DEBUG = 0,
    LASH_LOG_INFO = 1,
    LASH_LOG_WARN = 2,
    LASH_LOG_ERROR = 3,
};

/* Receives one structured line, "message key=value ...", without newline, valid during the call. From any thread. */
typedef void (*lash_log_fn)(void *context, enum lash_log_level level, const char *line);

/* Send lines at `level` and above to `log`, or, when `log` is NULL, to stderr with a time stamp (the default, at
 * LASH_LOG_INFO). For the whole process; call it before opening nodes. */
LASH_PUBLIC void lash_set_log(lash_log_fn log, void *context, enum lash_log_level level);

#ifdef __cplusplus
}
#endif
#endif
