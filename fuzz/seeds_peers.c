/* SPDX-License-Identifier: Apache-2.0
 *
 * Valid handshakes, packets, heads and courses of a replica's life; see seeds.h.
 */
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "lash/error.h"
#include "node/roster.h"
#include "node/wire.h"
#include "seeds.h"
#include "storage/frame.h"
#include "transport/packet.h"

enum { CHOICE_HELLO = 0, CHOICE_REPLY = 2, CHOICE_STREAM = 4, TERM = 5, LIFE_BYTES_MAX = 8192 };
/* the steps of the target `replica` */
enum {
    STEP_PACKET,
    STEP_WORK,
    STEP_FINISH,
    STEP_TIME,
    STEP_PROPOSE,
    STEP_READ,
    STEP_LINK,
    STEP_KILL,
    READER = 0x40,
    APPLY = 0x80
};

static void seed_packets(void) {
    uint8_t head[] = {CHOICE_HELLO, 3}, hello[PACKET_HELLO_SIZE], reply[PACKET_REPLY_SIZE], stream[512] = {0};
    packet_hello_encode(
        &(struct packet_hello){
            .version_min = 1, .version_max = 1, .cluster_id = 0xc1, .from = 2, .to = 1, .port = 2380, .disk = 7},
        hello);
    seed_write_behind("packet", head, sizeof head, hello, sizeof hello);
    packet_hello_encode(&(struct packet_hello){.version_min = 1, .version_max = 1}, hello);
    seed_write_behind("packet", head, sizeof head, hello, sizeof hello);
    head[0] = CHOICE_REPLY;
    packet_reply_encode(&(struct packet_reply){.status = PACKET_UNKNOWN_PEER,
                                               .version_min = 1,
                                               .version_max = 1,
                                               .node_id = 2,
                                               .cluster_id = 0xc1,
                                               .index = 9},
                        reply);
    seed_write_behind("packet", head, sizeof head, reply, sizeof reply);
    head[0] = CHOICE_STREAM;
    size_t used = 0;
    for (uint32_t size = 1; size <= 21; size += 10) {
        memset(stream + used + PACKET_HEADER_SIZE, 'h', size);
        packet_header_encode(stream + used + PACKET_HEADER_SIZE, size, (uint64_t)2 * size, stream + used);
        used += PACKET_HEADER_SIZE + (size_t)packet_align(size) + (size_t)packet_align((uint64_t)2 * size);
        seed_write_behind("packet", head, sizeof head, stream, used);
    }
    packet_header_encode_kind(PACKET_PROBE, stream + PACKET_HEADER_SIZE, PACKET_PROBE_SIZE, 0, stream);
    seed_write_behind("packet", head, sizeof head, stream, PACKET_HEADER_SIZE + PACKET_PROBE_SIZE);
}

static const struct wire_head heads[] = {
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_VOTE, .term = TERM, .vote = {.last_index = 9, .last_term = 4}}},
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_VOTE, .term = TERM, .vote = {.pre = true}}},
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_VOTE_REPLY, .term = TERM, .vote_reply = {.granted = true}}},
    {.kind = WIRE_MESSAGE,
     .message = {.type = LASH_MSG_VOTE_REPLY, .term = 1, .vote_reply = {.pre = true, .granted = true}}},
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_VOTE_REPLY, .term = 1, .vote_reply = {.granted = true}}},
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_APPEND, .term = TERM, .append = {.commit = 2, .round = 1}}},
    {.kind = WIRE_MESSAGE,
     .message = {.type = LASH_MSG_APPEND_REPLY, .term = 1, .append_reply = {.success = true, .match = 1, .round = 1}}},
    {.kind = WIRE_MESSAGE,
     .message = {.type = LASH_MSG_APPEND_REPLY, .term = 1, .append_reply = {.rejected = 1, .hint_index = 1}}},
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_READ, .term = TERM, .read = {.context = 8}}},
    {.kind = WIRE_MESSAGE,
     .message = {.type = LASH_MSG_READ_REPLY, .term = TERM, .read_reply = {.context = 8, .index = 2}}},
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_TIMEOUT_NOW, .term = TERM, .timeout_now = {.last_index = 2}}},
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_APPEND_REPLY, .term = 1, .append_reply = {.full = true}}},
    {.kind = WIRE_MESSAGE, .message = {.type = LASH_MSG_SNAPSHOT, .term = TERM, .snapshot = {9, 1}}},
    {.kind = WIRE_SNAPSHOT_CHUNK, .chunk = {.index = 9, .term = 1, .bytes = 100, .offset = 10, .crc = 5}},
    {.kind = WIRE_SNAPSHOT_ACK, .ack = {.index = 9, .term = 1, .offset = 10, .answer = WIRE_SNAPSHOT_GO_ON}},
    {.kind = WIRE_SNAPSHOT_ACK, .ack = {.index = 9, .answer = WIRE_SNAPSHOT_ASK}},
    {.kind = WIRE_FORWARD, .forward = {.term = 1, .batch = 7}},
    {.kind = WIRE_FORWARD_REPLY, .forward_reply = {.batch = 7, .error = LASH_DROPPED}},
};
enum { HEADS = sizeof heads / sizeof *heads, HEAD_APPEND = 5, HEAD_PRE_GRANTED = 3, HEAD_GRANTED = 4, HEAD_MATCH = 6 };

/* A course of steps. */
struct life {
    uint8_t bytes[LIFE_BYTES_MAX];
    size_t used;
};

static void live(struct life *life, const uint8_t *bytes, size_t size) {
    LASH_ASSERT(life->used + size <= LIFE_BYTES_MAX);
    if (size > 0)
        memcpy(life->bytes + life->used, bytes, size);
    life->used += size;
}

static void live_packet(struct life *life, uint8_t from, const struct wire_head *head, const struct buf *frame) {
    uint8_t data[WIRE_HEAD_MAX], size[2];
    size_t head_size = wire_encode(head, data);
    le16_put(size, (uint16_t)(frame ? frame->size : 0));
    live(life, (const uint8_t[]){STEP_PACKET, from, (uint8_t)head_size}, 3);
    live(life, data, head_size);
    live(life, size, sizeof size);
    if (frame)
        live(life, frame->data, frame->size);
}

/* A follower that takes entries, applies them and is killed. */
static void seed_follower(void) {
    struct life life = {.used = 0};
    static const uint8_t data[4] = "work";
    struct frame_input inputs[] = {{2, 1, data, 4}, {2, 2, data, 4}};
    struct buf *frame;
    LASH_ASSERT(frame_encode(0, 1, TERM, LASH_ENTRY_COMMAND, inputs, 2, &frame) == LASH_OK);
    live_packet(&life, 0, &heads[HEAD_APPEND], frame);
    live(&life, (const uint8_t[]){STEP_WORK, STEP_FINISH, APPLY | STEP_WORK, APPLY | STEP_FINISH, STEP_READ, STEP_KILL},
         6);
    live_packet(&life, 1, &heads[HEAD_APPEND], NULL);
    seed_write("replica", life.bytes, life.used);
    buf_unref(frame);
}

/* A leader that is elected, takes commands and has them replicated. */
static void seed_leader(void) {
    struct life life = {.used = 0};
    live(&life, (const uint8_t[]){STEP_TIME, 255, STEP_WORK, STEP_FINISH}, 4);
    live_packet(&life, 0, &heads[HEAD_PRE_GRANTED], NULL);
    live(&life, (const uint8_t[]){STEP_WORK, STEP_FINISH}, 2);
    live_packet(&life, 0, &heads[HEAD_GRANTED], NULL);
    live(&life,
         (const uint8_t[]){STEP_PROPOSE, STEP_READ, STEP_WORK, STEP_FINISH, READER | STEP_WORK, READER | STEP_FINISH},
         6);
    live_packet(&life, 0, &heads[HEAD_MATCH], NULL);
    live(&life, (const uint8_t[]){APPLY | STEP_WORK, APPLY | STEP_FINISH, STEP_PROPOSE, APPLY | STEP_LINK}, 4);
    seed_write("replica", life.bytes, life.used);
}

/* A plain roster, one without addresses, and a joint one with learners and notes. */
static void seed_rosters(void) {
    static const struct lash_node_member members[] = {
        {.id = 1, .flags = LASH_MEMBER_VOTER},
        {.id = 2, .flags = LASH_MEMBER_VOTER, .disk = 0xd15c, .host = "127.0.0.1", .port = 2380},
        {.id = 3,
         .flags = LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD,
         .host = "n3.example",
         .port = 1,
         .note = "n3",
         .note_size = 2},
        {.id = 4, .flags = LASH_MEMBER_VOTER_OLD | LASH_MEMBER_LEAVES, .priority = 3, .host = "::1", .port = 65535},
        {.id = 5, .flags = LASH_MEMBER_PROMOTE, .host = "h", .port = 9, .note = "", .note_size = 1},
    };
    for (size_t count = 1; count <= sizeof members / sizeof *members; count++) {
        struct roster *roster;
        uint8_t data[ROSTER_BYTES_MAX];
        LASH_ASSERT(roster_new(count * 7 - 7, members, count, &roster) == LASH_OK);
        roster_encode(roster, data);
        seed_write("roster", data, roster_size(roster));
        roster_unref(roster);
    }
}

void seed_peers(void) {
    seed_packets();
    seed_rosters();
    for (size_t i = 0; i < HEADS; i++) {
        uint8_t data[WIRE_HEAD_MAX];
        seed_write("wire", data, wire_encode(&heads[i], data));
        struct life life = {.used = 0};
        live_packet(&life, 1, &heads[i], NULL);
        live_packet(&life, 0, &heads[HEADS - 1 - i], NULL);
        seed_write("replica", life.bytes, life.used);
    }
    seed_follower();
    seed_leader();
}
