/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process uses of the machine, as Prometheus' clients tell it.
 */
#ifndef LASH_API_USAGE_H
#define LASH_API_USAGE_H

#include <stdint.h>

/* Zero where it cannot be told. */
struct usage {
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t cpu_ns;   /* of all threads, in user mode and in the kernel's */
    uint64_t start_ns; /* of the process, since 1970 */
    uint64_t open_files;
    uint64_t files_max;
};

/* Takes as long as looking at each open file. Any thread. */
void usage_read(struct usage *usage);

#endif
