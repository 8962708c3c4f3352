/* SPDX-License-Identifier: Apache-2.0
 *
 * Giving back to the system what the allocator holds and nobody uses.
 */
#ifndef LASH_LASHD_MEMORY_H
#define LASH_LASHD_MEMORY_H

/* To be called about once a second. Any thread. */
void memory_rest(void);

#endif
