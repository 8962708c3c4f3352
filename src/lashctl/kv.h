/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of the KV service from command lines; shared by the verbs and by the
 * lines of a transaction.
 */
#ifndef LASH_LASHCTL_KV_H
#define LASH_LASHCTL_KV_H

#include "lashctl/ctl.h"
#include "rpc.pb-c.h"

/* A parsed command. Bytes point into the command line, which must outlive the request. */
struct kv_command {
    union {
        Etcdserverpb__RangeRequest range;
        Etcdserverpb__PutRequest put;
        Etcdserverpb__DeleteRangeRequest delete_range;
    } request;
    uint8_t *range_end; /* of --prefix; mem_free'd by kv_command_free */
    uint8_t *value;     /* read from standard input; likewise */
    char read_as[32];   /* what ctl->read_as points to, if it must be made */
    bool value_only;    /* --print-value-only */
    bool done;          /* help was printed, or an error: return exit_code */
    int exit_code;
};

/* Parse argv into `command`. `from_stdin` allows a value from standard input. */
void kv_parse_put(struct ctl *ctl, const struct verb *verb, int argc, const char **argv, bool from_stdin,
                  struct kv_command *command);
void kv_parse_get(struct ctl *ctl, const struct verb *verb, int argc, const char **argv, struct kv_command *command);
void kv_parse_del(struct ctl *ctl, const struct verb *verb, int argc, const char **argv, struct kv_command *command);
void kv_command_free(struct kv_command *command);

#endif
