/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets have in common. A target is one file with one
 * LLVMFuzzerTestOneInput, which ends the process when a promise is broken. With the
 * option `fuzz` it is linked with libFuzzer, otherwise with replay.c, which
 * gives it the files of its corpus.
 */
#ifndef LASH_FUZZ_FUZZ_H
#define LASH_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"

/* The target. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next bytes of the input: `size` of them, or as many as there are; *taken says how many. Never NULL. */
const uint8_t *fuzz_take(struct reader *input, size_t size, size_t *taken);

/* The same, behind a 16-bit size. */
const uint8_t *fuzz_take_sized(struct reader *input, size_t *taken);

/* A copy that the caller frees by mem_free, in memory of exactly this size, so that a sanitizer sees the end; of no bytes, too. */
uint8_t *fuzz_copy(const uint8_t *data, size_t size);

/* Let log lines go nowhere: what the target does makes thousands. */
void fuzz_quiet(void);

/* Put the right checksums into what may be a frame, as far as its sizes lead; so that the fuzzer gets past the door. */
void fuzz_fix_frame(uint8_t *data, size_t size);

#endif
