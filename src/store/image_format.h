/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of an image that its writer and its reader must agree upon.
 */
#ifndef LASH_STORE_IMAGE_FORMAT_H
#define LASH_STORE_IMAGE_FORMAT_H

#include <stdint.h>

enum {
    IMAGE_VERSION = 1,
    IMAGE_PREAMBLE_BYTES = 8,                           /* the magic, and the version in 2 bytes */
    IMAGE_HEADER_BYTES = 16,                            /* kind, 3 zeros, size, checksum, the header's checksum */
    IMAGE_STATE_BYTES = 3 * 8 + 1 + 8 + 4,              /* BEGIN */
    IMAGE_RECORD_BYTES = 8 + 4 + 1 + 8 + 4 + 3 * 8 + 4, /* RECORD, before the key */
    IMAGE_END_BYTES = 2 * 8,                            /* END */
};

#define IMAGE_MAGIC "LASHKV"

#endif
