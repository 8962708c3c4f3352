/* SPDX-License-Identifier: Apache-2.0
 *
 * The ids of members and of the cluster: see ids.h.
 */
#include "api/ids.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum { IDS_SIZE = 8, IDS_DIGITS = 24 };

/* SHA-1 for the sake of equal ids; nothing rests on its strength. */
static bool ids_finish(EVP_MD_CTX *context, bool good, uint64_t *id) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    good = good && EVP_DigestFinal_ex(context, digest, &size);
    EVP_MD_CTX_free(context);
    if (!good)
        return false;
    LASH_ASSERT(size >= IDS_SIZE);
    *id = 0;
    for (size_t i = 0; i < IDS_SIZE; i++)
        *id = *id << 8 | digest[i];
    return true;
}

bool ids_member(const char *peer_url, const char *token, uint64_t time, uint64_t *id) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char digits[IDS_DIGITS] = "";
    if (time)
        (void)snprintf(digits, sizeof digits, "%" PRIu64, time);
    bool good = context && EVP_DigestInit_ex(context, EVP_sha1(), NULL) &&
                EVP_DigestUpdate(context, peer_url, strlen(peer_url)) &&
                EVP_DigestUpdate(context, token, strlen(token)) && EVP_DigestUpdate(context, digits, strlen(digits));
    return ids_finish(context, good, id);
}

bool ids_cluster(const uint64_t *members, size_t count, uint64_t *id) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha1(), NULL);
    for (size_t i = 0; i < count && good; i++) {
        uint8_t bytes[IDS_SIZE];
        for (size_t b = 0; b < IDS_SIZE; b++)
            bytes[b] = (uint8_t)(members[i] >> (8 * (IDS_SIZE - 1 - b)));
        good = EVP_DigestUpdate(context, bytes, sizeof bytes);
    }
    return ids_finish(context, good, id);
}
