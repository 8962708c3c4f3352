/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory that a run works in, gone when it ends, and the signals that end
 * a run early.
 */
#ifndef LASH_BENCH_SCRATCH_H
#define LASH_BENCH_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRATCH_PATH_MAX 4096

struct scratch {
    char path[SCRATCH_PATH_MAX];
};

/* Make a new directory in `base` (NULL: $TMPDIR, or else /var/tmp). Says on stderr what is wrong when it returns false, and
 * warns where a sync costs nothing because the files are in memory. */
bool scratch_make(struct scratch *scratch, const char *base);

/* Remove it with all that is in it. */
void scratch_remove(const struct scratch *scratch);

/* Make the file `name` there: `size` bytes, reserved, and with `zeroed` also written and synced once. Returns a file
 * descriptor, or -1 after saying why on stderr. */
int scratch_file(const struct scratch *scratch, const char *name, uint64_t size, bool zeroed);

/* From now on SIGINT, SIGTERM and SIGHUP end waits instead of the process. */
void interrupt_catch(void);

/* The signal that came, or 0. */
int interrupt_signal(void);

#endif
