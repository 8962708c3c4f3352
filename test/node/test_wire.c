/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet heads: what is encoded comes back, and nothing else is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "node/wire.h"

enum { HEADS_MAX = 24 };

/* Encode, decode, and expect the same fields. */
static size_t round_trip(const struct wire_head *head, uint8_t data[WIRE_HEAD_MAX]) {
    struct wire_head decoded;
    size_t size = wire_encode(head, data);
    assert_in_range(size, 1, WIRE_HEAD_MAX);
    assert_int_equal(wire_decode(data, size, &decoded), 0);
    assert_memory_equal(&decoded, head, sizeof decoded);
    return size;
}

static struct wire_head message_head(uint32_t type) {
    struct wire_head head;
    memset(&head, 0, sizeof head);
    head.group = 0x1122334455667788U;
    head.kind = WIRE_MESSAGE;
    head.message.type = type;
    head.message.term = UINT64_MAX - 1;
    return head;
}

/* Those of snapshots. */
static size_t snapshot_heads(struct wire_head *heads) {
    size_t count = 0;
    struct wire_head head = message_head(LASH_MSG_SNAPSHOT);
    head.message.snapshot.last_index = UINT64_MAX - 5;
    head.message.snapshot.last_term = 9;
    heads[count++] = head;
    memset(&head, 0, sizeof head);
    head.kind = WIRE_SNAPSHOT_CHUNK;
    head.chunk.index = UINT64_MAX - 6;
    head.chunk.term = 8;
    head.chunk.bytes = UINT64_MAX;
    head.chunk.offset = UINT64_MAX - 1;
    head.chunk.crc = 0xfedcba98U;
    heads[count++] = head;
    memset(&head, 0, sizeof head);
    head.kind = WIRE_SNAPSHOT_ACK;
    head.ack.index = 1;
    head.ack.offset = UINT64_MAX - 2;
    head.ack.answer = WIRE_SNAPSHOT_ASK;
    heads[count++] = head;
    return count;
}

/* One head of every sort, with large numbers in every field. */
static size_t heads_of_repairs(struct wire_head *heads) {
    static const struct wire_head template = {.repair = {.index = UINT64_MAX - 7, .size = 1 << 20, .crc = 0x89abcdefU}};
    for (size_t i = 0; i < 3; i++)
        heads[i] = template;
    heads[0].kind = WIRE_REPAIR_ASK;
    heads[1].kind = WIRE_REPAIR_REPLY;
    heads[2].kind = WIRE_REPAIR_ASK;
    heads[2].repair.size = 0;
    heads[2].repair.crc = 0;
    return 3;
}

static size_t all_heads(struct wire_head heads[HEADS_MAX]) {
    size_t count = 0;
    struct wire_head head = message_head(LASH_MSG_VOTE);
    head.message.vote.last_index = UINT64_MAX;
    head.message.vote.last_term = 77;
    heads[count++] = head;
    head.message.vote.pre = true;
    heads[count++] = head;
    head.message.vote.transfer = true;
    heads[count++] = head;
    head = message_head(LASH_MSG_VOTE_REPLY);
    heads[count++] = head;
    head.message.vote_reply.granted = true;
    head.message.vote_reply.pre = true;
    heads[count++] = head;
    head = message_head(LASH_MSG_APPEND);
    head.message.append.prev_index = 1;
    head.message.append.prev_term = 1U << 31;
    head.message.append.commit = UINT64_MAX - 7;
    head.message.append.round = 3;
    heads[count++] = head;
    head = message_head(LASH_MSG_APPEND_REPLY);
    head.message.append_reply.success = true;
    head.message.append_reply.match = 10;
    head.message.append_reply.rejected = 11;
    head.message.append_reply.hint_index = 12;
    head.message.append_reply.hint_term = 13;
    head.message.append_reply.round = 14;
    heads[count++] = head;
    head.message.append_reply.full = true;
    heads[count++] = head;
    head = message_head(LASH_MSG_READ);
    head.message.read.context = UINT64_MAX;
    heads[count++] = head;
    head = message_head(LASH_MSG_READ_REPLY);
    head.message.read_reply.context = 1;
    head.message.read_reply.index = 2;
    heads[count++] = head;
    head = message_head(LASH_MSG_TIMEOUT_NOW);
    head.message.timeout_now.last_index = UINT64_MAX - 3;
    heads[count++] = head;
    memset(&head, 0, sizeof head);
    head.kind = WIRE_FORWARD;
    head.forward.term = 5;
    head.forward.batch = 6;
    heads[count++] = head;
    memset(&head, 0, sizeof head);
    head.kind = WIRE_FORWARD_REPLY;
    head.forward_reply.batch = 6;
    head.forward_reply.error = LASH_NOT_LEADER;
    heads[count++] = head;
    count += snapshot_heads(heads + count);
    return count + heads_of_repairs(heads + count);
}

static void every_head_comes_back_as_it_was(void **state) {
    (void)state;
    struct wire_head heads[HEADS_MAX];
    uint8_t data[WIRE_HEAD_MAX];
    size_t count = all_heads(heads);
    for (size_t i = 0; i < count; i++)
        round_trip(&heads[i], data);
}

static void every_truncation_and_every_longer_head_is_refused(void **state) {
    (void)state;
    struct wire_head heads[HEADS_MAX];
    size_t count = all_heads(heads);
    for (size_t i = 0; i < count; i++) {
        uint8_t data[WIRE_HEAD_MAX + 1] = {0};
        struct wire_head decoded;
        size_t size = wire_encode(&heads[i], data);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(wire_decode(data, cut, &decoded), LASH_CORRUPT);
        assert_int_equal(wire_decode(data, size + 1, &decoded), LASH_CORRUPT);
    }
}

static void no_flipped_bit_reads_past_the_end_or_makes_a_head_that_cannot_be_encoded(void **state) {
    (void)state;
    struct wire_head heads[HEADS_MAX];
    size_t count = all_heads(heads);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t data[WIRE_HEAD_MAX];
        size_t size = wire_encode(&heads[i], data);
        for (size_t bit = 0; bit < size * 8; bit++) {
            struct wire_head decoded;
            data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            if (wire_decode(data, size, &decoded) == 0) {
                uint8_t again[WIRE_HEAD_MAX];
                assert_int_equal(wire_encode(&decoded, again), size);
                assert_memory_equal(again, data, size);
                taken++;
            }
            data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
    assert_true(taken > 0);
}

static void unknown_versions_kinds_types_and_flags_are_refused(void **state) {
    (void)state;
    struct wire_head decoded;
    uint8_t data[WIRE_HEAD_MAX];
    struct wire_head head = message_head(LASH_MSG_READ);
    size_t size = wire_encode(&head, data);
    data[8] = WIRE_VERSION + 1;
    assert_int_equal(wire_decode(data, size, &decoded), LASH_VERSION);
    data[8] = WIRE_VERSION;
    data[10] = 9;
    assert_int_equal(wire_decode(data, size, &decoded), LASH_CORRUPT);
    data[10] = WIRE_MESSAGE;
    data[12] = 200;
    assert_int_equal(wire_decode(data, size, &decoded), LASH_CORRUPT);
    data[12] = LASH_MSG_READ;
    data[14] = 2;
    assert_int_equal(wire_decode(data, size, &decoded), LASH_CORRUPT);
    data[14] = 0;
    assert_int_equal(wire_decode(data, size, &decoded), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_head_comes_back_as_it_was),
        cmocka_unit_test(every_truncation_and_every_longer_head_is_refused),
        cmocka_unit_test(no_flipped_bit_reads_past_the_end_or_makes_a_head_that_cannot_be_encoded),
        cmocka_unit_test(unknown_versions_kinds_types_and_flags_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
