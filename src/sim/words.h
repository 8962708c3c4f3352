/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages and roles in words, for accounts of runs.
 */
#ifndef LASH_SIM_WORDS_H
#define LASH_SIM_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "lash/raft.h"

enum { WORDS_SIZE = 200 };

/* A message's kind and fields. */
void words_message(char text[WORDS_SIZE], const struct lash_message *message);

/* "leader" and so on. */
const char *words_role(uint32_t role);

#endif
