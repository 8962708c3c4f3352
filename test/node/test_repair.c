/* SPDX-License-Identifier: Apache-2.0
 *
 * The repair of a damaged log, alone with its peers' packets: whom it asks, what it
 * takes, what it lends, and that it says nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lash/log.h"
#include "node/repair.h"
#include "node/wire.h"
#include "sim/kit.h"
#include "sim/memfs.h"
#include "storage/log_state.h"

enum { ENTRIES = 12, SENT_MAX = 64, OLD_PEER = 9 };

struct sent {
    lash_id peer;
    struct wire_head head;
    struct buf *tail;
};

/* A node whose log lacks two frames, and what it does. */
struct patient {
    struct memfs *disk;
    struct log *log;
    struct memfs *healthy_disk;
    struct log *healthy;
    struct kit_state whole;
    struct repair *repair;
    struct replica_env env;
    uint64_t now_ms;
    uint64_t deadline_ms;
    struct job *job;
    int halted;
    struct sent sent[SENT_MAX];
    size_t sent_count;
};

static void swallow(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static uint64_t now_ms(void *context) {
    return ((struct patient *)context)->now_ms;
}

static void arm(void *context, uint64_t deadline_ms) {
    ((struct patient *)context)->deadline_ms = deadline_ms;
}

static int send_packet(void *context, lash_id peer, enum transport_lane lane, const void *head, size_t head_size,
                       struct buf *const *tails, size_t count) {
    struct patient *patient = context;
    struct sent *sent = &patient->sent[patient->sent_count++];
    assert_true(patient->sent_count <= SENT_MAX && count <= 1 && lane != TRANSPORT_SNAPSHOT);
    assert_int_equal(wire_decode(head, head_size, &sent->head), LASH_OK);
    sent->peer = peer;
    sent->tail = count ? buf_ref(tails[0]) : NULL;
    return LASH_OK;
}

static uint64_t features(void *context, lash_id peer) {
    (void)context;
    return peer == OLD_PEER ? 0 : WIRE_REPAIR;
}

static void submit(void *context, enum replica_executor executor, struct job *job) {
    struct patient *patient = context;
    assert_null(patient->job);
    assert_int_equal(executor, REPLICA_LOG);
    patient->job = job;
}

static void halt(void *context, int error) {
    ((struct patient *)context)->halted = error;
}

static void write_log(struct memfs *disk, struct kit_state *state) {
    struct log_options options = kit_options(memfs_vfs(disk), "d");
    struct log *log;
    struct log_recovered recovered;
    *state = (struct kit_state){.first = 1, .term = 2};
    assert_int_equal(log_open(&options, &log, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    assert_int_equal(kit_vote(log, 2, 0), LASH_OK);
    for (lash_index i = 1; i <= ENTRIES; i++) {
        assert_int_equal(kit_append(log, i, 1, 2, 0, 300), LASH_OK);
        kit_state_append(state, i, 1, 2, 0);
        assert_int_equal(log_sync(log), LASH_OK);
    }
    log_close(log);
}

/* Damage the frame with this entry in the first segment. */
static void damage(struct patient *patient, lash_index index) {
    const struct log_index *spans = &patient->healthy->index;
    const struct log_span *span = &spans->spans[log_index_find(spans, index)];
    char path[LOG_NAME_SIZE + 2] = "d/";
    uint64_t size;
    log_segment_name(path + 2, span->segment->sequence);
    memset(memfs_bytes(patient->disk, path, &size) + span->offset + 100, 0x33, 50);
    memfs_settle(patient->disk, path);
}

static struct patient *patient_new(void) {
    lash_set_log(swallow, NULL, LASH_LOG_ERROR);
    struct patient *patient = calloc(1, sizeof *patient);
    struct log_recovered recovered;
    assert_non_null(patient);
    patient->disk = memfs_new();
    patient->now_ms = 1000;
    patient->env = (struct replica_env){.context = patient,
                                        .now_ms = now_ms,
                                        .arm = arm,
                                        .send = send_packet,
                                        .features = features,
                                        .submit = submit,
                                        .halt = halt};
    write_log(patient->disk, &patient->whole);
    patient->healthy_disk = memfs_clone(patient->disk);
    struct log_options options = kit_options(memfs_vfs(patient->healthy_disk), "d");
    assert_int_equal(log_open(&options, &patient->healthy, &recovered), LASH_OK);
    log_recovered_free(&recovered);
    damage(patient, 3);
    damage(patient, 8);
    options = kit_options(memfs_vfs(patient->disk), "d");
    options.repair = true;
    assert_int_equal(log_open(&options, &patient->log, &recovered), LASH_DAMAGED);
    const struct repair_options its = {.id = 1, .group = KIT_GROUP};
    assert_int_equal(repair_new(&its, &patient->env, patient->log, &patient->repair), LASH_OK);
    return patient;
}

static void patient_free(struct patient *patient) {
    for (size_t i = 0; i < patient->sent_count; i++)
        buf_unref(patient->sent[i].tail);
    if (patient->repair)
        repair_free(patient->repair);
    log_close(patient->log);
    log_close(patient->healthy);
    memfs_free(patient->disk);
    memfs_free(patient->healthy_disk);
    free(patient);
}

static void work(struct patient *patient) {
    struct job *job = patient->job;
    assert_non_null(job);
    patient->job = NULL;
    job->work(job);
    job->done(job);
    repair_turn(patient->repair);
}

/* The last packet, which is to be a question to this peer for this entry. */
static struct wire_head asked(const struct patient *patient, lash_id peer, lash_index index) {
    assert_true(patient->sent_count > 0);
    const struct sent *sent = &patient->sent[patient->sent_count - 1];
    assert_int_equal(sent->head.kind, WIRE_REPAIR_ASK);
    assert_int_equal(sent->peer, peer);
    assert_int_equal(sent->head.repair.index, index);
    return sent->head;
}

static int receive(struct patient *patient, lash_id from, const struct wire_head *head, const struct buf *tail) {
    uint8_t data[WIRE_HEAD_MAX];
    size_t size = wire_encode(head, data);
    int error = repair_receive(patient->repair, from, data, size, tail ? tail->data : NULL, tail ? tail->size : 0);
    repair_turn(patient->repair);
    return error;
}

/* Answer a question with the healthy log's frame, or with none. */
static void answer(struct patient *patient, lash_id from, struct wire_head head, bool held) {
    struct log_damage wanted = {.index = head.repair.index, .size = head.repair.size, .crc = head.repair.crc};
    struct buf *frame = NULL;
    head.kind = WIRE_REPAIR_REPLY;
    if (held)
        assert_int_equal(log_find(patient->healthy, &wanted, &frame), LASH_OK);
    assert_int_equal(receive(patient, from, &head, frame), LASH_OK);
    buf_unref(frame);
}

static void connect_peer(struct patient *patient, lash_id peer) {
    repair_connected(patient->repair, peer);
    repair_turn(patient->repair);
}

static void it_asks_for_one_frame_after_the_other_until_the_log_is_whole(void **state) {
    (void)state;
    struct patient *patient = patient_new();
    struct log_recovered recovered;
    struct lash_status status;
    repair_turn(patient->repair);
    assert_int_equal(patient->sent_count, 0);
    repair_status(patient->repair, &status);
    assert_int_equal(status.error, LASH_DAMAGED);
    connect_peer(patient, 2);
    answer(patient, 2, asked(patient, 2, 3), true);
    assert_int_equal(repair_outcome(patient->repair, &recovered), LASH_DAMAGED);
    work(patient);
    answer(patient, 2, asked(patient, 2, 8), true);
    work(patient);
    assert_int_equal(patient->sent_count, 2);
    assert_int_equal(repair_outcome(patient->repair, &recovered), LASH_OK);
    struct kit_state found;
    assert_int_equal(kit_read(patient->log, &recovered, &found), LASH_OK);
    assert_true(kit_equal(&found, &patient->whole));
    log_recovered_free(&recovered);
    patient_free(patient);
}

static void a_peer_that_has_it_not_or_does_not_answer_is_followed_by_the_next(void **state) {
    (void)state;
    struct patient *patient = patient_new();
    repair_connected(patient->repair, 2);
    repair_connected(patient->repair, OLD_PEER); /* would close the connection if it were asked */
    connect_peer(patient, 3);
    lash_id first = patient->sent[0].peer;
    lash_id second = 5 - first;
    answer(patient, first, asked(patient, first, 3), false);
    (void)asked(patient, second, 3);
    uint64_t before = patient->now_ms;
    patient->now_ms = patient->deadline_ms; /* it does not answer */
    assert_true(patient->now_ms > before);
    repair_turn(patient->repair);
    answer(patient, first, asked(patient, first, 3), false);
    /* As many have refused as there are: it asks again after a pause. */
    size_t count = patient->sent_count;
    repair_turn(patient->repair);
    assert_int_equal(patient->sent_count, count);
    assert_true(patient->deadline_ms > patient->now_ms);
    patient->now_ms = patient->deadline_ms;
    repair_turn(patient->repair);
    assert_int_equal(patient->sent_count, count + 1);
    lash_id last = patient->sent[count].peer;
    answer(patient, last, asked(patient, last, 3), true);
    work(patient);
    repair_disconnected(patient->repair, patient->sent[count + 1].peer); /* and what it was asked is lost */
    repair_turn(patient->repair);
    (void)asked(patient, 5 - patient->sent[count + 1].peer, 8);
    for (size_t i = 0; i < patient->sent_count; i++)
        assert_int_not_equal(patient->sent[i].peer, OLD_PEER);
    patient_free(patient);
}

static void what_is_not_the_frame_is_not_taken(void **state) {
    (void)state;
    struct patient *patient = patient_new();
    connect_peer(patient, 2);
    struct wire_head head = asked(patient, 2, 3);
    struct wire_head reply = head;
    reply.kind = WIRE_REPAIR_REPLY;
    struct buf *another = kit_frame(3, 1, 2, 77, 300); /* of the same length */
    assert_int_equal(another->size, head.repair.size);
    assert_int_equal(receive(patient, 3, &reply, another), LASH_OK); /* it was not asked */
    assert_null(patient->job);
    assert_int_equal(receive(patient, 2, &reply, another), LASH_OK);
    work(patient);
    another->data[another->size - 20] ^= 1; /* bytes that no peer sends */
    assert_int_equal(receive(patient, 2, &reply, another), LASH_CORRUPT);
    buf_unref(another);
    patient->now_ms = patient->deadline_ms;
    repair_turn(patient->repair);
    answer(patient, 2, asked(patient, 2, 3), true);
    work(patient);
    (void)asked(patient, 2, 8);
    patient_free(patient);
}

/* It has a term, a log and time enough, and yet no message of the protocol brings it to say a word. */
static void it_takes_no_part_in_anything_else(void **state) {
    (void)state;
    struct patient *patient = patient_new();
    static const uint32_t types[] = {LASH_MSG_VOTE,       LASH_MSG_APPEND,       LASH_MSG_READ,
                                     LASH_MSG_VOTE_REPLY, LASH_MSG_APPEND_REPLY, LASH_MSG_READ_REPLY,
                                     LASH_MSG_TIMEOUT_NOW};
    connect_peer(patient, OLD_PEER);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct wire_head head = {.group = KIT_GROUP, .kind = WIRE_MESSAGE};
        head.message.type = types[i];
        head.message.term = 9;
        assert_int_equal(receive(patient, OLD_PEER, &head, NULL), LASH_OK);
    }
    struct wire_head forward = {.group = KIT_GROUP, .kind = WIRE_FORWARD, .forward = {.term = 2, .batch = 1}};
    struct buf *frame = kit_frame(1, 1, 2, 0, 40);
    assert_int_equal(receive(patient, OLD_PEER, &forward, frame), LASH_OK);
    buf_unref(frame);
    for (int i = 0; i < 100; i++) {
        patient->now_ms += 1000;
        repair_turn(patient->repair);
    }
    assert_int_equal(patient->sent_count, 0);
    assert_null(patient->job);
    struct wire_head other = {.group = KIT_GROUP + 1, .kind = WIRE_REPAIR_ASK, .repair = {.index = 1}};
    assert_int_equal(receive(patient, 2, &other, NULL), LASH_CORRUPT);
    patient_free(patient);
}

static void it_lends_what_it_holds_and_nothing_that_is_damaged(void **state) {
    (void)state;
    struct patient *patient = patient_new();
    static const struct {
        lash_index index;
        bool held;
    } asks[] = {{1, true}, {3, false}, {7, true}, {8, false}, {12, true}, {13, false}};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        struct wire_head head = {.group = KIT_GROUP, .kind = WIRE_REPAIR_ASK, .repair = {.index = asks[i].index}};
        assert_int_equal(receive(patient, 2, &head, NULL), LASH_OK);
        work(patient);
        const struct sent *sent = &patient->sent[i];
        assert_int_equal(patient->sent_count, i + 1);
        assert_int_equal(sent->head.kind, WIRE_REPAIR_REPLY);
        assert_int_equal(sent->head.repair.index, asks[i].index);
        assert_int_equal(sent->tail != NULL, asks[i].held);
        struct frame frame;
        size_t used;
        if (asks[i].held) {
            assert_int_equal(frame_check(sent->tail->data, sent->tail->size, &frame, &used), LASH_OK);
            assert_int_equal(frame.first, asks[i].index);
        }
    }
    struct wire_head another = {
        .group = KIT_GROUP, .kind = WIRE_REPAIR_ASK, .repair = {.index = 1, .size = 64, .crc = 5}};
    assert_int_equal(receive(patient, 2, &another, NULL), LASH_OK);
    work(patient);
    assert_null(patient->sent[patient->sent_count - 1].tail);
    patient_free(patient);
}

static void it_stops_when_its_job_is_back(void **state) {
    (void)state;
    struct patient *patient = patient_new();
    connect_peer(patient, 2);
    answer(patient, 2, asked(patient, 2, 3), true);
    repair_stop(patient->repair);
    assert_false(repair_stopped(patient->repair));
    work(patient);
    assert_true(repair_stopped(patient->repair));
    assert_int_equal(patient->deadline_ms, UINT64_MAX);
    patient_free(patient);
}

/* After a sync that failed nobody knows what is on disk. */
static void a_sync_that_fails_stops_the_process(void **state) {
    (void)state;
    struct patient *patient = patient_new();
    struct log_recovered recovered;
    connect_peer(patient, 2);
    answer(patient, 2, asked(patient, 2, 3), true);
    memfs_fail_for(patient->disk, 1, UINT64_MAX, MEMFS_EIO);
    work(patient);
    assert_int_equal(patient->halted, LASH_IO);
    assert_int_equal(repair_outcome(patient->repair, &recovered), LASH_IO);
    size_t count = patient->sent_count;
    patient->now_ms += 100000;
    repair_turn(patient->repair);
    assert_int_equal(patient->sent_count, count);
    patient_free(patient);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_for_one_frame_after_the_other_until_the_log_is_whole),
        cmocka_unit_test(a_peer_that_has_it_not_or_does_not_answer_is_followed_by_the_next),
        cmocka_unit_test(what_is_not_the_frame_is_not_taken),
        cmocka_unit_test(it_takes_no_part_in_anything_else),
        cmocka_unit_test(it_lends_what_it_holds_and_nothing_that_is_damaged),
        cmocka_unit_test(it_stops_when_its_job_is_back),
        cmocka_unit_test(a_sync_that_fails_stops_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
