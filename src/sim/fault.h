/* SPDX-License-Identifier: Apache-2.0
 *
 * What is drawn for each fault that happens at a time of its own, whatever kind it
 * is, and whether it is carried out or not.
 */
#ifndef LASH_SIM_FAULT_H
#define LASH_SIM_FAULT_H

#include "sim/world.h"

struct fault_draw {
    size_t a; /* nodes */
    size_t b;
    uint64_t lasting_us;
    uint64_t number;
    bool flag;
};

#endif
