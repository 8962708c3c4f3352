/* SPDX-License-Identifier: Apache-2.0
 *
 * Rosters: each has one encoding, so what is decoded and encoded again are the
 * same bytes, and what the core gets of it is a membership.
 */
#include "node/roster.h"

#include "base/buf.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *exact = fuzz_copy(data, size);
    struct roster *roster;
    int rc = roster_decode(exact, size, &roster);
    LASH_ASSERT(rc == LASH_OK || rc == LASH_CORRUPT || rc == LASH_VERSION);
    if (rc == LASH_OK) {
        LASH_ASSERT(roster_size(roster) == size);
        uint8_t *again = mem_alloc(size);
        LASH_ASSERT(again);
        roster_encode(roster, again);
        LASH_ASSERT(memcmp(again, data, size) == 0);
        mem_free(again);
        struct lash_configuration configuration;
        roster_configuration(roster, &configuration);
        LASH_ASSERT(configuration.count > 0 && configuration.index == roster->index);
        for (uint32_t i = 0; i < roster->count; i++)
            LASH_ASSERT(roster_find(roster, roster->members[i].id) == &roster->members[i]);
        roster_unref(roster);
    }
    mem_free(exact);
    return 0;
}
