/* SPDX-License-Identifier: Apache-2.0
 *
 * The little language of `lashctl txn`: compares, then requests, one a line.
 */
#ifndef LASH_LASHCTL_TXN_PARSE_H
#define LASH_LASHCTL_TXN_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "rpc.pb-c.h"

/* Parse a compare such as `mod("key") > "0"`. Key and value are decoded in place, within `line`, which must outlive
 * `compare`. On failure returns false and says why in `problem`. */
bool txn_parse_compare(char *line, Etcdserverpb__Compare *compare, char *problem, size_t room);

/* Split a request line into words, in place: separated by blanks; double quotes with escapes, single quotes without.
 * Returns how many there are, at most `max`; -1 when there are more, or a quote is not closed. */
int txn_parse_words(char *line, const char **words, int max);

#endif
