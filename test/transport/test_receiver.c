/* SPDX-License-Identifier: Apache-2.0
 *
 * The parser without sockets: pieces of every size, buffers that are kept, and
 * bytes that are no packets.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "transport/receiver.h"

#define STREAM_MAX ((size_t)1 << 20)
#define PACKET_BYTES_MAX ((uint64_t)400000)

/* Packets one after the other, and how many of them came out again. */
struct stream {
    uint8_t *bytes;
    size_t size;
    size_t tail_sizes[64];
    size_t count;
    size_t delivered;
    int error; /* what receiver_next said in the end */
};

static void stream_open(struct stream *stream) {
    *stream = (struct stream){.bytes = malloc(STREAM_MAX)};
    assert_non_null(stream->bytes);
}

static void stream_append(struct stream *stream, size_t tail_size) {
    uint8_t head[8];
    le64_put(head, stream->count);
    struct buf *tail = filled_buf(tail_size, (uint8_t)stream->count);
    stream->size += raw_packet(stream->bytes + stream->size, STREAM_MAX - stream->size, head,
                               (uint32_t)(stream->count % 8 + 1), tail->data, tail_size);
    buf_unref(tail);
    stream->tail_sizes[stream->count++] = tail_size;
}

static void stream_check(struct stream *stream, const struct transport_packet *packet) {
    uint8_t head[8];
    le64_put(head, stream->delivered);
    assert_true(stream->delivered < stream->count);
    assert_int_equal(packet->head_size, stream->delivered % 8 + 1);
    assert_memory_equal(packet->head, head, packet->head_size);
    assert_int_equal(packet->tail_size, stream->tail_sizes[stream->delivered]);
    assert_int_equal((uintptr_t)packet->tail % 8, 0);
    struct buf *tail = filled_buf(packet->tail_size, (uint8_t)stream->delivered);
    assert_memory_equal(packet->tail, tail->data, tail->size);
    buf_unref(tail);
    stream->delivered++;
}

/* Give `size` bytes to the receiver, no more at once than it has room for, and check the packets that come. */
static void stream_feed(struct stream *stream, struct receiver *receiver, const uint8_t *bytes, size_t size) {
    while (size > 0 && stream->error == 0) {
        size_t room_size = 0;
        uint8_t *room = receiver_room(receiver, &room_size);
        assert_non_null(room);
        assert_true(room_size > 0);
        size_t piece = room_size < size ? room_size : size;
        memcpy(room, bytes, piece);
        receiver_advance(receiver, piece);
        bytes += piece;
        size -= piece;
        struct transport_packet packet;
        while ((stream->error = receiver_next(receiver, &packet)) == 1)
            stream_check(stream, &packet);
    }
}

static void stream_of_small_packets(struct stream *stream) {
    stream_open(stream);
    const size_t sizes[] = {0, 1, 7, 8, 9, 100, 0, 31, 333};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        stream_append(stream, sizes[i]);
}

static void stream_cut_at_every_byte_is_the_same(void **state) {
    (void)state;
    struct stream stream;
    stream_of_small_packets(&stream);
    for (size_t cut = 0; cut <= stream.size; cut++) {
        struct receiver receiver;
        receiver_init(&receiver, PACKET_BYTES_MAX);
        stream.delivered = 0;
        stream_feed(&stream, &receiver, stream.bytes, cut);
        stream_feed(&stream, &receiver, stream.bytes + cut, stream.size - cut);
        assert_int_equal(stream.delivered, stream.count);
        receiver_clear(&receiver);
    }
    free(stream.bytes);
}

static void stream_byte_by_byte_is_the_same(void **state) {
    (void)state;
    struct stream stream;
    stream_of_small_packets(&stream);
    stream_append(&stream, 70000);
    stream_append(&stream, 3);
    struct receiver receiver;
    receiver_init(&receiver, PACKET_BYTES_MAX);
    for (size_t at = 0; at < stream.size; at++)
        stream_feed(&stream, &receiver, stream.bytes + at, 1);
    assert_int_equal(stream.delivered, stream.count);
    receiver_clear(&receiver);
    free(stream.bytes);
}

static void pieces_of_random_sizes_are_the_same(void **state) {
    (void)state;
    const unsigned seed = 20261122;
    print_message("seed %u\n", seed);
    srandom(seed);
    for (size_t round = 0; round < 300; round++) {
        struct stream stream;
        stream_open(&stream);
        for (size_t i = 0; i < 12; i++)
            stream_append(&stream, (size_t)random() % (random() % 4 ? 3000 : 80000));
        struct receiver receiver;
        receiver_init(&receiver, PACKET_BYTES_MAX);
        for (size_t at = 0; at < stream.size;) {
            size_t piece = 1 + (size_t)random() % (random() % 2 ? 64 : 100000);
            piece = piece < stream.size - at ? piece : stream.size - at;
            stream_feed(&stream, &receiver, stream.bytes + at, piece);
            at += piece;
        }
        assert_int_equal(stream.delivered, stream.count);
        receiver_clear(&receiver);
        free(stream.bytes);
    }
}

static void large_packet_is_read_straight_into_a_buffer_of_its_size(void **state) {
    (void)state;
    struct stream stream;
    stream_open(&stream);
    stream_append(&stream, 300000);
    struct receiver receiver;
    receiver_init(&receiver, PACKET_BYTES_MAX);
    stream_feed(&stream, &receiver, stream.bytes, PACKET_HEADER_SIZE);
    size_t room_size = 0;
    assert_non_null(receiver_room(&receiver, &room_size));
    assert_int_equal(room_size, stream.size - PACKET_HEADER_SIZE);
    stream_feed(&stream, &receiver, stream.bytes + PACKET_HEADER_SIZE, stream.size - PACKET_HEADER_SIZE);
    assert_int_equal(stream.delivered, 1);
    /* And not kept for the small ones that follow. */
    assert_non_null(receiver_room(&receiver, &room_size));
    assert_int_equal(room_size, RECEIVER_CHUNK_SIZE);
    receiver_clear(&receiver);
    free(stream.bytes);
}

static void chunk_is_used_again_only_when_nobody_kept_it(void **state) {
    (void)state;
    struct stream stream;
    stream_open(&stream);
    stream_append(&stream, 50);
    struct receiver receiver;
    receiver_init(&receiver, PACKET_BYTES_MAX);
    stream_feed(&stream, &receiver, stream.bytes, stream.size);
    size_t room_size = 0;
    assert_non_null(receiver_room(&receiver, &room_size));
    assert_int_equal(room_size, RECEIVER_CHUNK_SIZE);
    stream.delivered = 0;
    stream_feed(&stream, &receiver, stream.bytes, stream.size);
    struct buf *kept = buf_ref(receiver.buf);
    assert_non_null(receiver_room(&receiver, &room_size));
    assert_int_equal(room_size, RECEIVER_CHUNK_SIZE - stream.size);
    uint8_t before[200];
    memcpy(before, kept->data, stream.size);
    for (size_t i = 0; i < 2000; i++) {
        stream.delivered = 0;
        stream_feed(&stream, &receiver, stream.bytes, stream.size);
    }
    assert_memory_equal(kept->data, before, stream.size);
    assert_int_equal(kept->references, 1);
    buf_unref(kept);
    receiver_clear(&receiver);
    free(stream.bytes);
}

static void without_memory_there_is_no_room_until_there_is(void **state) {
    (void)state;
    struct stream stream;
    stream_open(&stream);
    stream_append(&stream, 200000);
    struct receiver receiver;
    receiver_init(&receiver, PACKET_BYTES_MAX);
    size_t room_size = 0;
    mem_fail_after(1);
    assert_null(receiver_room(&receiver, &room_size));
    stream_feed(&stream, &receiver, stream.bytes, 1000);
    mem_fail_after(1);
    assert_null(receiver_room(&receiver, &room_size));
    stream_feed(&stream, &receiver, stream.bytes + 1000, stream.size - 1000);
    assert_int_equal(stream.delivered, 1);
    receiver_clear(&receiver);
    free(stream.bytes);
}

static void too_long_a_packet_is_refused_by_its_header(void **state) {
    (void)state;
    struct stream stream;
    stream_open(&stream);
    stream_append(&stream, PACKET_BYTES_MAX);
    struct receiver receiver;
    receiver_init(&receiver, PACKET_BYTES_MAX);
    stream_feed(&stream, &receiver, stream.bytes, PACKET_HEADER_SIZE);
    assert_int_equal(stream.error, LASH_TOO_LARGE);
    receiver_clear(&receiver);
    free(stream.bytes);
}

/* Every bit of the header, head and filling, with good packets before and behind. */
static void damage_is_refused_and_what_was_before_is_delivered(void **state) {
    (void)state;
    struct stream stream;
    stream_open(&stream);
    stream_append(&stream, 20);
    size_t start = stream.size;
    stream_append(&stream, 0);
    size_t end = stream.size;
    stream_append(&stream, 20);
    for (size_t bit = 8 * start; bit < 8 * end; bit++) {
        struct receiver receiver;
        receiver_init(&receiver, PACKET_BYTES_MAX);
        stream.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        stream.delivered = 0;
        stream.error = 0;
        stream_feed(&stream, &receiver, stream.bytes, stream.size);
        assert_int_equal(stream.error, LASH_CORRUPT);
        assert_int_equal(stream.delivered, 1);
        stream.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        receiver_clear(&receiver);
    }
    free(stream.bytes);
}

/* Whatever comes, the receiver neither crashes nor hands out anything outside its buffer. */
static void random_bytes_do_no_harm(void **state) {
    (void)state;
    const unsigned seed = 42;
    print_message("seed %u\n", seed);
    srandom(seed);
    size_t refused = 0;
    for (size_t round = 0; round < 5000; round++) {
        struct stream stream;
        stream_of_small_packets(&stream);
        size_t damaged = (size_t)random() % stream.size;
        for (size_t i = 0; i < 1 + (size_t)random() % 20 && damaged + i < stream.size; i++)
            stream.bytes[damaged + i] = (uint8_t)random();
        struct receiver receiver;
        receiver_init(&receiver, PACKET_BYTES_MAX);
        int got = 0;
        for (size_t at = 0; at < stream.size && got >= 0;) {
            size_t room_size = 0;
            uint8_t *room = receiver_room(&receiver, &room_size);
            size_t piece = 1 + (size_t)random() % 100;
            piece = piece < stream.size - at ? piece : stream.size - at;
            memcpy(room, stream.bytes + at, piece);
            receiver_advance(&receiver, piece);
            at += piece;
            struct transport_packet packet;
            while ((got = receiver_next(&receiver, &packet)) == 1) {
                assert_true(packet.head >= receiver.buf->data && packet.head + packet.head_size <= packet.tail);
                assert_true(packet.tail + packet.tail_size <= receiver.buf->data + receiver.filled);
            }
        }
        refused += got < 0;
        receiver_clear(&receiver);
        free(stream.bytes);
    }
    assert_true(refused > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_cut_at_every_byte_is_the_same),
        cmocka_unit_test(stream_byte_by_byte_is_the_same),
        cmocka_unit_test(pieces_of_random_sizes_are_the_same),
        cmocka_unit_test(large_packet_is_read_straight_into_a_buffer_of_its_size),
        cmocka_unit_test(chunk_is_used_again_only_when_nobody_kept_it),
        cmocka_unit_test(without_memory_there_is_no_room_until_there_is),
        cmocka_unit_test(too_long_a_packet_is_refused_by_its_header),
        cmocka_unit_test(damage_is_refused_and_what_was_before_is_delivered),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
