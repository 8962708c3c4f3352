/* SPDX-License-Identifier: Apache-2.0
 *
 * The lanes that packets between two members travel in (transport.h).
 */
#ifndef LASH_TRANSPORT_LANE_H
#define LASH_TRANSPORT_LANE_H

enum transport_lane {
    TRANSPORT_CONTROL = 0,  /* small and urgent */
    TRANSPORT_ENTRIES = 1,  /* may be large */
    TRANSPORT_SNAPSHOT = 2, /* in bulk; dialled when something is to be sent */
    TRANSPORT_LANES = 3,
};

#endif
