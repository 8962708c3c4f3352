/* SPDX-License-Identifier: Apache-2.0
 *
 * Words that tests of the membership are made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "members.h"

struct lash_configuration members(const uint32_t *pairs) {
    struct lash_configuration configuration = {0};
    for (; pairs[0] != 0; pairs += 2)
        configuration.members[configuration.count++] = (struct lash_member){.id = pairs[0], .flags = pairs[1]};
    return configuration;
}

int configure(struct solo *solo, struct lash_configuration to) {
    struct lash_event event = {.type = LASH_EVENT_CONFIGURE};
    event.configure.to = &to;
    return solo_step(solo, &event);
}

void assert_members(const struct lash_configuration *configuration, struct lash_configuration expected) {
    assert_int_equal(configuration->count, expected.count);
    for (uint32_t i = 0; i < expected.count; i++) {
        assert_int_equal(configuration->members[i].id, expected.members[i].id);
        assert_int_equal(configuration->members[i].flags, expected.members[i].flags);
    }
}

struct lash_configuration in_force(const struct solo *solo) {
    return solo_status(solo).configuration;
}

void lead_three(struct solo *solo) {
    solo_start(solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    solo_lead(solo);
    assert_int_equal(solo_status(solo).commit, 2);
}

struct lash_message append_one(struct solo *solo, lash_id from, lash_term term, lash_index prev_index,
                               lash_term prev_term, struct lash_configuration *held) {
    struct lash_message message = solo_append(solo, from, term, prev_index, prev_term, 0, SOLO_LOG(term));
    solo->runs[0].kind = LASH_ENTRY_CONFIGURATION;
    held->index = prev_index + 1;
    message.append.configurations = held;
    message.append.configuration_count = 1;
    return message;
}
