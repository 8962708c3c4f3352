/* SPDX-License-Identifier: Apache-2.0
 *
 * The strict checks: see reconfig.h.
 */
#include "api/reconfig.h"

/* The voters without `except`, and how many of them have started and are healthy. */
struct reconfig_voters {
    size_t count;
    size_t started;
    size_t healthy;
};

static struct reconfig_voters reconfig_count(const struct reconfig_member *members, size_t count, uint64_t except) {
    struct reconfig_voters voters = {0};
    for (size_t i = 0; i < count; i++) {
        if (!members[i].voter || members[i].id == except)
            continue;
        voters.count++;
        voters.started += members[i].started;
        voters.healthy += members[i].healthy;
    }
    return voters;
}

static bool reconfig_majority(size_t there, size_t of) {
    return there > of / 2;
}

enum api_error reconfig_may_add(const struct reconfig_member *members, size_t count, bool voter) {
    struct reconfig_voters voters = reconfig_count(members, count, 0);
    /* A second member for a group of one is wanted even though it takes the majority away until it has started. */
    bool second = voters.count == 1 && voters.started == 1;
    if (voter && !second && !reconfig_majority(voters.started, voters.count + 1))
        return API_MEMBER_NOT_STARTED;
    return voters.healthy == voters.count ? API_OK : API_UNHEALTHY;
}

enum api_error reconfig_may_promote(const struct reconfig_member *members, size_t count) {
    struct reconfig_voters voters = reconfig_count(members, count, 0);
    /* Who is promoted has started: it has caught up. */
    return reconfig_majority(voters.started + 1, voters.count + 1) ? API_OK : API_MEMBER_NOT_STARTED;
}

enum api_error reconfig_may_remove(const struct reconfig_member *members, size_t count, uint64_t id) {
    const struct reconfig_member *leaving = NULL;
    for (size_t i = 0; i < count; i++)
        if (members[i].id == id)
            leaving = &members[i];
    if (leaving && !leaving->voter)
        return API_OK;
    struct reconfig_voters rest = reconfig_count(members, count, id);
    if (!reconfig_majority(rest.started, rest.count))
        return API_MEMBER_NOT_STARTED;
    /* Who is down is no part of the majority that works now. */
    if (!leaving || !leaving->connected)
        return API_OK;
    struct reconfig_voters all = reconfig_count(members, count, 0);
    return all.healthy > 0 && reconfig_majority(all.healthy - 1, all.count - 1) ? API_OK : API_UNHEALTHY;
}
