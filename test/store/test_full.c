/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes that go wrong. The disk fills up in the middle of one: the system writes what fits, and
 * LMDB says EIO, as if the disk had failed. Or it fails long after LMDB was told that all is well.
 * The calls into the system are replaced here.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"

static bool cut;             /* writes stop half-way */
static bool lost;            /* a page did not get to the disk, which is told once */
static fsblkcnt_t free_left; /* blocks of 4 KiB on the disk */

/* The names that LMDB and the store call, whatever this file is compiled with. */
#define IN_PLACE_OF(name) __asm__(name) __attribute__((visibility("default")))
ssize_t system_pwrite(int file, const void *data, size_t size, off_t offset) IN_PLACE_OF("pwrite");
ssize_t system_writev(int file, const struct iovec *parts, int count) IN_PLACE_OF("writev");
int system_sync_file_range(int file, off_t offset, off_t size, unsigned flags) IN_PLACE_OF("sync_file_range");
int system_fstatvfs(int file, struct statvfs *disk) IN_PLACE_OF("fstatvfs64");

ssize_t system_pwrite(int file, const void *data, size_t size, off_t offset) {
    return syscall(SYS_pwrite64, file, data, cut ? size / 2 : size, offset);
}

ssize_t system_writev(int file, const struct iovec *parts, int count) {
    if (cut)
        return syscall(SYS_write, file, parts[0].iov_base, parts[0].iov_len / 2);
    return syscall(SYS_writev, file, parts, count);
}

int system_fstatvfs(int file, struct statvfs *disk) {
    *disk = (struct statvfs){.f_bsize = 65536, .f_frsize = 4096, .f_bavail = free_left};
    return file >= 0 ? 0 : -1;
}

int system_sync_file_range(int file, off_t offset, off_t size, unsigned flags) {
    bool fails = lost && offset == 0 && size == 0 && flags == SYNC_FILE_RANGE_WAIT_BEFORE;
    lost = false;
    errno = EIO;
    return fails || file < 0 ? -1 : 0;
}

static int apply_put(struct harness *harness, const char *value) {
    struct store_op op = put("key", value);
    uint8_t *data;
    size_t size;
    assert_int_equal(store_encode(&op, &data, &size), LASH_OK);
    struct lash_command command = {.index = harness->next, .term = 1, .data = data, .size = size};
    struct lash_state_machine machine = store_machine(harness->store);
    int rc = machine.apply(machine.context, &command, 1, command.index);
    if (rc == 0)
        harness->next++;
    mem_free(data);
    return rc;
}

static void assert_value(struct harness *harness, const char *value) {
    assert_int_equal(harness_read(harness, get("key", "")), STORE_OK);
    assert_int_equal(harness->got.op.range.count, 1);
    assert_bytes(harness->got.op.range.kvs[0].value, text(value));
}

static void a_write_cut_short_on_a_full_disk_is_tried_again(void **state) {
    struct harness *harness = *state;
    assert_int_equal(apply_put(harness, "before"), LASH_OK);
    cut = true;
    free_left = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(apply_put(harness, "after"), LASH_FULL);
    assert_value(harness, "before");
    cut = false;
    assert_int_equal(apply_put(harness, "after"), LASH_OK);
    assert_value(harness, "after");
    audit(harness);
}

static void a_write_cut_short_on_a_disk_with_room_is_the_disks_failure(void **state) {
    struct harness *harness = *state;
    assert_int_equal(apply_put(harness, "before"), LASH_OK);
    cut = true;
    free_left = 1 << 20;
    assert_int_equal(apply_put(harness, "after"), LASH_IO);
    cut = false;
    assert_value(harness, "before");
}

struct image {
    uint8_t bytes[65536];
    size_t size;
    size_t read;
};

static int image_take(void *context, const void *data, size_t size) {
    struct image *image = context;
    assert_true(size <= sizeof image->bytes - image->size);
    memcpy(image->bytes + image->size, data, size);
    image->size += size;
    return LASH_OK;
}

static int image_give(void *context, void *data, size_t size, size_t *got) {
    struct image *image = context;
    size_t left = image->size - image->read;
    *got = size < left ? size : left;
    memcpy(data, image->bytes + image->read, *got);
    image->read += *got;
    if (image->read == image->size && image->size)
        cut = true; /* the last transaction does not fit */
    return LASH_OK;
}

static void a_restore_cut_short_on_a_full_disk_is_tried_again(void **state) {
    struct harness *harness = *state;
    static struct image image;
    struct store_snapshot *snapshot;
    assert_int_equal(apply_put(harness, "before"), LASH_OK);
    assert_int_equal(store_snapshot_begin(harness->store, &snapshot), LASH_OK);
    assert_int_equal(store_snapshot_write(snapshot, &(struct store_sink){.write = image_take, .context = &image}),
                     LASH_OK);
    lash_index index = store_snapshot_index(snapshot);
    store_snapshot_end(snapshot);
    const struct store_source source = {.read = image_give, .context = &image};
    free_left = 3;
    assert_int_equal(store_restore(harness->store, &source, index), LASH_FULL);
    cut = false;
    assert_value(harness, "before");
}

/* Then it may have read an older page in its place. */
static void a_database_of_which_a_page_was_lost_makes_no_snapshot_and_is_rebuilt(void **state) {
    struct harness *harness = *state;
    static struct image image;
    struct store_snapshot *snapshot;
    assert_int_equal(apply_put(harness, "before"), LASH_OK);
    assert_int_equal(store_snapshot_begin(harness->store, &snapshot), LASH_OK);
    lost = true;
    for (int i = 0; i < 2; i++) /* the system tells only once */
        assert_int_equal(store_snapshot_write(snapshot, &(struct store_sink){.write = image_take, .context = &image}),
                         LASH_IO);
    store_snapshot_end(snapshot);
    assert_int_equal(apply_put(harness, "after"), LASH_IO);
    harness_close(harness);
    harness_open(harness);
    assert_int_equal(harness->applied, 0);
}

static int setup(void **state) {
    cut = lost = false;
    free_left = 1 << 20;
    return harness_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_cut_short_on_a_full_disk_is_tried_again, setup, harness_teardown),
        cmocka_unit_test_setup_teardown(a_write_cut_short_on_a_disk_with_room_is_the_disks_failure, setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(a_database_of_which_a_page_was_lost_makes_no_snapshot_and_is_rebuilt, setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(a_restore_cut_short_on_a_full_disk_is_tried_again, setup, harness_teardown),
    };
    return cmocka_run_group_tests_name("full", tests, NULL, NULL);
}
