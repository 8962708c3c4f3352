/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to a violation, for people: each step, what it did, and how the node
 * is after it.
 */
#ifndef LASH_CHECK_TRANSCRIPT_H
#define LASH_CHECK_TRANSCRIPT_H

#include <stdio.h>

#include "check/search.h"

/* Print the way to the violation that `result` tells of. */
void transcript_print(FILE *file, struct search *search, struct space *space, const struct search_result *result);

#endif
