/* SPDX-License-Identifier: Apache-2.0
 *
 * Words for the store's refusals.
 */
#include "store/store.h"

static const char *const error_words[] = {
    [STORE_OK] = "success",
    [STORE_EMPTY_KEY] = "key is not provided",
    [STORE_KEY_NOT_FOUND] = "key not found",
    [STORE_VALUE_PROVIDED] = "value is provided",
    [STORE_LEASE_PROVIDED] = "lease is provided",
    [STORE_TOO_MANY_OPS] = "too many operations in txn request",
    [STORE_DUPLICATE_KEY] = "duplicate key given in txn request",
    [STORE_INVALID_SORT] = "invalid sort option",
    [STORE_COMPACTED] = "required revision has been compacted",
    [STORE_FUTURE_REVISION] = "required revision is a future revision",
    [STORE_LEASE_NOT_FOUND] = "requested lease not found",
    [STORE_NO_SPACE] = "database space exceeded",
    [STORE_INVALID_REQUEST] = "invalid request",
    [STORE_FAILED] = "the local store failed",
};

const char *store_strerror(enum store_error error) {
    if ((unsigned)error >= sizeof error_words / sizeof error_words[0])
        return "unknown error";
    return error_words[error];
}
