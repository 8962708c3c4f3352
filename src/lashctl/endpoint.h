/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs share that put one question to each endpoint.
 */
#ifndef LASH_LASHCTL_ENDPOINT_H
#define LASH_LASHCTL_ENDPOINT_H

#include "lashctl/ctl.h"
#include "lashctl/flags.h"

/* Parse the flags of such a verb, with one more of its own unless `own` is NULL, and, with --cluster, replace the endpoints by those of all members. Returns an exit code;
 * *done when there is no more to do. */
int endpoint_parse(struct ctl *ctl, const struct verb *verb, const struct flag *own, int argc, const char **argv,
                   bool *done);

/* Put the question to one endpoint, or say on stderr why there is no answer, and return NULL. */
ProtobufCMessage *endpoint_ask(const struct ctl *ctl, const char *endpoint, const char *path,
                               const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type);

#endif
