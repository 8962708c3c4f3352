/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds of the commands' encoding. The functions are store_encode and store_decode.
 */
#ifndef LASH_STORE_CODEC_H
#define LASH_STORE_CODEC_H

/* Transactions within transactions. More than --max-txn-ops allows by default, and few enough to recurse over. */
enum { CODEC_DEPTH_MAX = 200 };

#endif
