/* SPDX-License-Identifier: Apache-2.0
 *
 * Images in memory.
 */
#include "images.h"

#include <signal.h>
#include <stdlib.h>

#include "lash/error.h"

static int image_call(struct image_bytes *bytes) {
    bytes->calls++;
    if (bytes->calls == bytes->kill_at)
        (void)raise(SIGKILL);
    return bytes->calls == bytes->fail_at ? LASH_IO : LASH_OK;
}

static int image_bytes_write(void *context, const void *data, size_t size) {
    struct image_bytes *bytes = context;
    int rc = image_call(bytes);
    if (rc)
        return rc;
    if (size > bytes->capacity - bytes->size) {
        bytes->capacity = 2 * (bytes->size + size);
        bytes->data = realloc(bytes->data, bytes->capacity);
        assert_non_null(bytes->data);
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return LASH_OK;
}

static int image_bytes_read(void *context, void *data, size_t size, size_t *got) {
    struct image_bytes *bytes = context;
    int rc = image_call(bytes);
    *got = bytes->size - bytes->read < size ? bytes->size - bytes->read : size;
    if (bytes->piece && *got > bytes->piece)
        *got = bytes->piece;
    if (rc)
        return rc;
    if (*got)
        memcpy(data, bytes->data + bytes->read, *got);
    bytes->read += *got;
    return LASH_OK;
}

void image_bytes_init(struct image_bytes *bytes) {
    *bytes = (struct image_bytes){.sink = {.write = image_bytes_write, .context = bytes},
                                  .source = {.read = image_bytes_read, .context = bytes}};
}

void image_bytes_free(struct image_bytes *bytes) {
    free(bytes->data);
    image_bytes_init(bytes);
}

void image_bytes_rewind(struct image_bytes *bytes) {
    bytes->read = 0;
    bytes->calls = 0;
}

int image_save(struct harness *harness, struct image_bytes *bytes) {
    struct store_snapshot *snapshot;
    int rc = store_snapshot_begin(harness->store, &snapshot);
    if (rc)
        return rc;
    rc = store_snapshot_write(snapshot, &bytes->sink);
    store_snapshot_end(snapshot);
    return rc;
}

int image_load(struct harness *harness, struct image_bytes *bytes, lash_index index) {
    image_bytes_rewind(bytes);
    int rc = store_restore(harness->store, &bytes->source, index);
    if (rc == 0)
        harness->next = index + 1;
    return rc;
}

uint64_t image_hash(struct harness *harness) {
    uint64_t hash;
    assert_int_equal(store_hash(harness->store, &hash), LASH_OK);
    return hash;
}
