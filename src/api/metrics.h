/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics: what there is to tell of this member, in Prometheus' text format.
 * What etcd tells too has etcd's name, type, labels and bounds, so that its
 * dashboards and alerts fit; the rest begins with lash_. docs/metrics.md lists them.
 */
#ifndef LASH_API_METRICS_H
#define LASH_API_METRICS_H

#include "api/call.h"

/* Write the page; the call's answer is its text, without gRPC's prefix. */
void metrics_start(struct call *call, unsigned flags);

#endif
