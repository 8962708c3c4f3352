/* SPDX-License-Identifier: Apache-2.0
 *
 * What all verbs of lashctl share: the global flags, the table of verbs, exit
 * codes and error lines.
 */
#ifndef LASH_LASHCTL_CTL_H
#define LASH_LASHCTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lashctl/grpc_client.h"

#define LASHCTL_API_VERSION "3.5"

/* etcdctl's exit codes, so that scripts need not tell the two apart. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_ERROR = 1,          /* the command failed, or a flag or verb is unknown */
    CTL_INVALID_INPUT = 3,  /* standard input cannot be understood */
    CTL_BAD_FEATURE = 4,    /* a flag's value is not among those allowed */
    CTL_IO = 6,             /* input or output failed */
    CTL_BAD_ARGUMENTS = 128 /* too few, too many or contradictory arguments */
};

enum ctl_format { CTL_SIMPLE, CTL_TABLE, CTL_JSON, CTL_FIELDS };

struct ctl {
    char **endpoints;      /* as given; at least one */
    size_t endpoint_count; /* of them */
    enum ctl_format format;
    bool hex;                    /* keys and values as \xNN in simple output */
    uint64_t command_timeout_ms; /* for a request, on all endpoints together */
    uint64_t dial_timeout_ms;    /* for one connection, within that */
    void **kept;                 /* values of flags and such, freed at the end */
    size_t kept_count;
    const char *read_as; /* how to read: lease or stale=AGE; NULL: by a round, or as the request says */
};

struct verb {
    const char *name;        /* one or two words */
    const char *usage;       /* what follows the name in the usage line */
    const char *summary;     /* one line */
    const char *description; /* more, or NULL */
    int (*run)(struct ctl *ctl, const struct verb *verb, int argc, const char **argv); /* returns an exit code */
};

/* The verbs, each in the file of its group. Each parses argv (without the verb's own words) and does its work. */
int kv_put(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int kv_get(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int kv_del(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int kv_compaction(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int bench_put(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int bench_get(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int bench_txn(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int txn_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int endpoint_status(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int endpoint_hashkv(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int endpoint_health(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int status_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int leader_move(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int member_add(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int member_list(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int member_promote(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int member_remove(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int member_update(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int log_dump_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);

/* Print "Error: ..." on stderr, and return `code`. */
int ctl_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The error line for a gRPC status: the server's own text for its errors, code and text for others. */
int ctl_fail_status(const struct grpc_status *status);

/* Print a status as etcdctl words it into `text`. */
void ctl_status_text(const struct grpc_status *status, char *text, size_t size);

#endif
