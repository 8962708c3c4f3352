/* SPDX-License-Identifier: Apache-2.0
 *
 * How lashd ends: its exit statuses, for whoever supervises it.
 */
#ifndef LASH_LASHD_EXIT_H
#define LASH_LASHD_EXIT_H

enum lashd_exit {
    LASHD_EXIT_OK = 0,
    LASHD_EXIT_FAILED = 1,
    LASHD_EXIT_USAGE = 2,   /* flags or variables make no sense */
    LASHD_EXIT_REMOVED = 3, /* this member was removed from its cluster: starting it again is of no use */
};

#endif
