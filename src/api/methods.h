/* SPDX-License-Identifier: Apache-2.0
 *
 * The methods that this server has, by service and name.
 */
#ifndef LASH_API_METHODS_H
#define LASH_API_METHODS_H

#include "api/call.h"

/* The method, or NULL; then *known says whether at least the service is. Static storage. */
const struct call_method *methods_find(const char *service, const char *method, bool *known);

/* All of them, by number, and the number of one. */
size_t methods_count(void);
const struct call_method *methods_at(size_t number);
size_t methods_number(const struct call_method *method);

/* The methods' beginnings, each in the file of its service. */
void kv_range(struct call *call);
void kv_put(struct call *call);
void kv_delete_range(struct call *call);
void kv_txn(struct call *call);
void kv_compact(struct call *call);
void hash_kv(struct call *call);
void maintenance_status(struct call *call);
void maintenance_move_leader(struct call *call);
void maintenance_snapshot(struct call *call);
void observation_status(struct call *call);
void cluster_member_add(struct call *call);
void cluster_member_list(struct call *call);
void cluster_member_promote(struct call *call);
void cluster_member_remove(struct call *call);
void cluster_member_update(struct call *call);
void health_check(struct call *call);

#endif
