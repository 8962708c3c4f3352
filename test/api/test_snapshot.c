/* SPDX-License-Identifier: Apache-2.0
 *
 * Maintenance.Snapshot over a real connection: the messages as etcd's clients expect
 * them, and what becomes of a stream that its client leaves alone.
 */
#include "fixture.h"

#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "rpc.pb-c.h"

#define SNAPSHOT "/etcdserverpb.Maintenance/Snapshot"

enum { DIGEST = 32, EXHAUSTED = 8, VALUES = 6, VALUE_BYTES = 100000 };

/* What the messages of an answer say together. */
struct download {
    uint8_t *data;
    size_t size;
    size_t messages;
    size_t at; /* where the source is */
};

/* Put the blobs together, and check what each message says of the rest. */
static struct download download_of(const struct answer *answer) {
    struct download download = {.data = malloc(answer->size)};
    uint64_t remaining = 0;
    for (size_t at = 0; at < answer->size;) {
        const uint8_t *prefix = answer->body + at;
        size_t size = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
        assert_true(prefix[0] == 0 && at + 5 + size <= answer->size);
        Etcdserverpb__SnapshotResponse *message = etcdserverpb__snapshot_response__unpack(NULL, size, prefix + 5);
        assert_non_null(message);
        assert_true(message->blob.len > 0);
        assert_int_equal(message->header != NULL, download.messages == 0);
        if (message->header) {
            assert_int_equal(message->header->cluster_id, FIXTURE_CLUSTER);
            assert_int_equal(message->header->revision, VALUES + 1);
        } else {
            assert_int_equal(message->remaining_bytes + (message->blob.len == DIGEST ? 0 : message->blob.len),
                             remaining);
        }
        remaining = message->remaining_bytes;
        assert_string_equal(message->version, SERVER_VERSION);
        memcpy(download.data + download.size, message->blob.data, message->blob.len);
        download.size += message->blob.len;
        download.messages++;
        at += 5 + size;
        etcdserverpb__snapshot_response__free_unpacked(message, NULL);
    }
    assert_int_equal(remaining, 0);
    return download;
}

static int download_read(void *context, void *data, size_t size, size_t *got) {
    struct download *download = context;
    *got = download->size - download->at < size ? download->size - download->at : size;
    memcpy(data, download->data + download->at, *got);
    download->at += *got;
    return 0;
}

static void fill(struct fixture *fixture) {
    char *value = fixture_value(VALUE_BYTES), key[] = "key0";
    for (int i = 0; i < VALUES; i++, key[3]++)
        fixture_put(&fixture->peer, key, value);
    free(value);
}

/* The request, which lives as long as the peer. */
static struct answer *ask_for_snapshot(struct peer *peer) {
    static const uint8_t empty[5];
    const struct ask ask = {.path = SNAPSHOT, .body = empty, .size = sizeof empty};
    return peer_ask(peer, &ask);
}

static void a_snapshot_comes_in_pieces_with_its_digest_and_can_be_restored(void **state) {
    struct fixture *fixture = *state;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size;
    uint64_t before, after;
    fill(fixture);
    struct answer *answer = ask_for_snapshot(&fixture->peer);
    peer_await(&fixture->peer, answer);
    assert_int_equal(answer->code, 0);
    struct download download = download_of(answer);
    assert_true(download.messages > VALUES * VALUE_BYTES / (128 * 1024));
    assert_int_equal(download.size % 512, DIGEST); /* by which clients tell that the digest is there */
    assert_true(EVP_Digest(download.data, download.size - DIGEST, digest, &size, EVP_sha256(), NULL));
    assert_int_equal(size, DIGEST);
    assert_memory_equal(digest, download.data + download.size - DIGEST, DIGEST);
    assert_int_equal(store_hash(fixture->store, &before), 0);
    fixture_put(&fixture->peer, "key0", "another");
    download.size -= DIGEST;
    const struct store_source source = {.read = download_read, .context = &download};
    assert_int_equal(store_restore(fixture->store, &source, 100), 0);
    assert_int_equal(store_hash(fixture->store, &after), 0);
    assert_true(before == after);
    free(download.data);
}

static void the_last_piece_comes_through_small_windows(void **state) {
    struct fixture *fixture = *state;
    struct peer narrow = {.window = 5000};
    fill(fixture);
    peer_open(&narrow, fixture->port);
    struct answer *answer = ask_for_snapshot(&narrow);
    peer_await(&narrow, answer);
    assert_int_equal(answer->code, 0);
    struct download download = download_of(answer);
    assert_true(download.size > VALUES * VALUE_BYTES);
    free(download.data);
    peer_close(&narrow);
}

/* Calls of its own between the messages of a stream. */
static void other_calls_go_on_beside_a_stream(void **state) {
    struct fixture *fixture = *state;
    fill(fixture);
    struct answer *answer = ask_for_snapshot(&fixture->peer);
    peer_until(&fixture->peer, answer->size > 0 || answer->closed);
    fixture_put(&fixture->peer, "a", "1");
    peer_await(&fixture->peer, answer);
    assert_int_equal(answer->code, 0);
    struct download download = download_of(answer);
    free(download.data);
}

/* Two at once take what two workers can; a client that goes makes room for the next. */
static void streams_are_bounded_and_end_with_their_clients(void **state) {
    struct fixture *fixture = *state;
    struct peer idle[2] = {{.window = 100}, {.window = 100}};
    fill(fixture);
    for (int i = 0; i < 2; i++) {
        struct answer *held;
        peer_open(&idle[i], fixture->port);
        held = ask_for_snapshot(&idle[i]);
        peer_until(&idle[i], held->size > 0);
    }
    struct answer *refused = ask_for_snapshot(&fixture->peer);
    peer_await(&fixture->peer, refused);
    assert_int_equal(refused->code, EXHAUSTED);
    assert_string_equal(refused->text, "etcdserver: too many requests");
    peer_close(&idle[0]);
    struct answer *again = refused;
    for (int i = 0; i < 50 && again->code == EXHAUSTED;
         i++) { /* the server sees the end of the connection in its turn */
        again = ask_for_snapshot(&fixture->peer);
        peer_await(&fixture->peer, again);
    }
    assert_int_equal(again->code, 0);
    peer_close(&idle[1]);
}

/* A file that may not grow is what a full disk is. */
static void a_full_disk_refuses_the_snapshot_and_nothing_else(void **state) {
    struct fixture *fixture = *state;
    struct rlimit before;
    fill(fixture);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit full = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    struct answer *answer = ask_for_snapshot(&fixture->peer);
    peer_await(&fixture->peer, answer);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(answer->code, EXHAUSTED);
    assert_string_equal(answer->text, "etcdserver: mvcc: database space exceeded");
    fixture_put(&fixture->peer, "a", "1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_snapshot_comes_in_pieces_with_its_digest_and_can_be_restored, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_last_piece_comes_through_small_windows, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(other_calls_go_on_beside_a_stream, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(streams_are_bounded_and_end_with_their_clients, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_the_snapshot_and_nothing_else, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
