/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule that a transaction writes no key twice.
 */
#ifndef LASH_STORE_OVERLAP_H
#define LASH_STORE_OVERLAP_H

#include "store/store.h"

/* STORE_DUPLICATE_KEY if one of the lists of `txn` puts a key twice, or into a range that it deletes, nested transactions
 * included; STORE_OK otherwise, or STORE_FAILED when memory ran out. */
enum store_error overlap_check(const struct store_txn *txn);

#endif
