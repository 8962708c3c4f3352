/* SPDX-License-Identifier: Apache-2.0
 *
 * Each fault of the disk in memory, one by one, and what a loss of power decides on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sim/memfs.h"

enum { SECTORS = 8, SIZE = SECTORS * MEMFS_SECTOR };

static struct memfs *fs;
static const struct vfs *vfs;
static int file; /* "d/a": SECTORS sectors of 'o', durable, and open */

static ssize_t put(char byte, uint64_t size, uint64_t offset) {
    char bytes[SIZE];
    memset(bytes, byte, size);
    struct iovec parts[3] = {{bytes, 1}, {bytes, 0}, {bytes + 1, size - 1}};
    return vfs->pwritev(vfs->context, file, parts, 3, offset);
}

static int sync_file(void) {
    return vfs->fdatasync(vfs->context, file);
}

static char seen_at(uint64_t offset) {
    char byte = 0;
    assert_int_equal(vfs->pread(vfs->context, file, &byte, 1, offset), 1);
    return byte;
}

/* The byte that a restart finds. */
static char found_at(const struct memfs *disk, enum memfs_survival survival, uint64_t seed, uint64_t offset) {
    struct memfs *copy = memfs_clone(disk);
    uint64_t size;
    memfs_power_on(copy, survival, seed);
    char byte = (char)memfs_bytes(copy, "d/a", &size)[offset];
    memfs_free(copy);
    return byte;
}

static int setup(void **state) {
    (void)state;
    fs = memfs_new();
    vfs = memfs_vfs(fs);
    assert_int_equal(vfs->mkdir(vfs->context, "d"), 0);
    assert_int_equal(vfs->sync_dir(vfs->context, "."), 0);
    file = vfs->open(vfs->context, "d/a", VFS_WRITE | VFS_CREATE);
    assert_int_equal(put('o', SIZE, 0), SIZE);
    assert_int_equal(sync_file(), 0);
    assert_int_equal(vfs->sync_dir(vfs->context, "d"), 0);
    memfs_fail(fs, 0, MEMFS_FINE);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    memfs_free(fs);
    return 0;
}

static int create(const char *path) {
    int made = vfs->open(vfs->context, path, VFS_WRITE | VFS_CREATE);
    if (made < 0)
        return made;
    return vfs->close(vfs->context, made);
}

static bool exists(struct memfs *disk, const char *path) {
    uint64_t size;
    return memfs_vfs(disk)->size(disk, path, &size) == 0;
}

/* ---- The loss of power ---------------------------------------------------------------------------- */

static void power_loss_takes_what_was_not_synced(void **state) {
    (void)state;
    put('n', 3, 0);
    put('n', 3, 50000);
    create("d/b");
    assert_int_equal(vfs->rename(vfs->context, "d/a", "d/c"), 0);
    memfs_power_on(fs, MEMFS_NONE, 1);
    uint64_t size;
    assert_false(exists(fs, "d/b"));
    assert_false(exists(fs, "d/c"));
    assert_int_equal(memfs_bytes(fs, "d/a", &size)[0], 'o');
    assert_int_equal(size, SIZE);
    assert_int_equal(memfs_open_files(fs), 0);
}

static void all_of_it_may_survive_too(void **state) {
    (void)state;
    put('n', 3, 0);
    put('n', 3, 50000);
    assert_int_equal(vfs->rename(vfs->context, "d/a", "d/c"), 0);
    memfs_power_on(fs, MEMFS_ALL, 1);
    uint64_t size;
    assert_false(exists(fs, "d/a"));
    const uint8_t *bytes = memfs_bytes(fs, "d/c", &size);
    assert_int_equal(size, 50003);
    assert_memory_equal(bytes, "nnno", 4);
    assert_memory_equal(bytes + 49999, "\0nnn", 4);
}

/* Every subset of three sectors, of which one was written twice, is found under some seed; no sector is mixed. */
static void sectors_survive_each_on_its_own_in_any_version(void **state) {
    (void)state;
    put('1', MEMFS_SECTOR, MEMFS_SECTOR);
    put('2', 3 * MEMFS_SECTOR, 0);
    bool seen[2][3][2] = {{{false}}};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct memfs *copy = memfs_clone(fs);
        uint64_t size;
        memfs_power_on(copy, MEMFS_SOME, seed);
        const uint8_t *bytes = memfs_bytes(copy, "d/a", &size);
        for (size_t sector = 0; sector < SECTORS; sector++)
            for (size_t i = 0; i < MEMFS_SECTOR; i++)
                assert_int_equal(bytes[sector * MEMFS_SECTOR + i], bytes[sector * MEMFS_SECTOR]);
        assert_int_equal(bytes[3 * MEMFS_SECTOR], 'o');
        uint8_t middle = bytes[MEMFS_SECTOR];
        seen[bytes[0] == '2'][middle == 'o' ? 0 : middle - '0'][bytes[2 * MEMFS_SECTOR] == '2'] = true;
        memfs_free(copy);
    }
    for (size_t i = 0; i < 12; i++)
        assert_true(seen[i / 6][i / 2 % 3][i % 2]);
}

static void a_torn_sector_may_be_zeros_or_garbage_and_its_neighbours_not(void **state) {
    (void)state;
    put('n', MEMFS_SECTOR, MEMFS_SECTOR);
    unsigned old = 0, new = 0, zeros = 0, garbage = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        char byte = found_at(fs, MEMFS_GARBAGE, seed, MEMFS_SECTOR + 7);
        old += byte == 'o';
        new += byte == 'n';
        zeros += byte == 0;
        garbage += byte != 'o' && byte != 'n' && byte != 0;
        assert_int_equal(found_at(fs, MEMFS_GARBAGE, seed, MEMFS_SECTOR - 1), 'o');
        assert_int_equal(found_at(fs, MEMFS_GARBAGE, seed, 2 * MEMFS_SECTOR), 'o');
    }
    assert_true(old > 20 && new > 20 && zeros > 20 && garbage > 20);
}

static void sizes_and_names_survive_each_on_its_own(void **state) {
    (void)state;
    assert_int_equal(vfs->fallocate(vfs->context, file, 2 * SIZE), 0);
    create("d/b");
    create("d/c");
    unsigned found[8] = {0};
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct memfs *copy = memfs_clone(fs);
        uint64_t size;
        memfs_power_on(copy, MEMFS_SOME, seed);
        memfs_bytes(copy, "d/a", &size);
        found[(size == 2 * SIZE) | exists(copy, "d/b") << 1 | exists(copy, "d/c") << 2]++;
        memfs_free(copy);
    }
    for (size_t i = 0; i < 8; i++)
        assert_true(found[i] > 0);
}

static void a_lost_directory_takes_its_files_with_it(void **state) {
    (void)state;
    assert_int_equal(create("e/a"), -ENOENT);
    assert_int_equal(vfs->mkdir(vfs->context, "e"), 0);
    assert_int_equal(create("e/a"), 0);
    assert_int_equal(vfs->sync_dir(vfs->context, "e"), 0);
    memfs_power_on(fs, MEMFS_NONE, 1);
    assert_false(exists(fs, "e/a"));
    assert_int_equal(vfs->sync_dir(vfs->context, "e"), -ENOENT);
}

static void the_same_seed_gives_the_same_disk(void **state) {
    (void)state;
    put('n', SIZE, 0);
    for (uint64_t seed = 0; seed < 20; seed++)
        for (uint64_t at = 0; at < SIZE; at += 100)
            assert_int_equal(found_at(fs, MEMFS_GARBAGE, seed, at), found_at(fs, MEMFS_GARBAGE, seed, at));
}

/* One pick after the other from a list. */
static int32_t next_pick(void *context, struct memfs_point point) {
    int32_t **picks = context;
    assert_true(**picks < (int32_t)point.options || point.sector);
    return *(*picks)++;
}

static void each_point_can_be_decided_by_hand(void **state) {
    (void)state;
    put('1', MEMFS_SECTOR, 0);
    put('2', 4 * MEMFS_SECTOR, 0);
    put('o', MEMFS_SECTOR, 4 * MEMFS_SECTOR); /* what is there already */
    create("d/b");
    memfs_kill(fs);
    struct memfs_point points[8];
    assert_int_equal(memfs_points(fs, points, 2), 6);
    assert_int_equal(memfs_points(fs, points, 8), 6);
    static const uint32_t options[6] = {3, 2, 2, 2, 1, 2};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(points[i].options, options[i]);
        assert_int_equal(points[i].sector, i < 5);
    }
    int32_t picks[6] = {1, 0, 1, MEMFS_ZEROS, MEMFS_RANDOM, 0};
    int32_t *next = picks;
    memfs_power_on_as(fs, next_pick, (void *)&next);
    uint64_t size;
    const uint8_t *bytes = memfs_bytes(fs, "d/a", &size);
    assert_int_equal(bytes[0], '1');
    assert_int_equal(bytes[MEMFS_SECTOR], 'o');
    assert_int_equal(bytes[2 * MEMFS_SECTOR], '2');
    assert_int_equal(bytes[3 * MEMFS_SECTOR], 0);
    assert_memory_not_equal(bytes + 4 * MEMFS_SECTOR, "oooooooo", 8);
    assert_int_equal(bytes[5 * MEMFS_SECTOR], 'o');
    assert_false(exists(fs, "d/b"));
    assert_int_equal(memfs_points(fs, points, 8), 0);
}

static void a_killed_process_loses_nothing_that_it_wrote(void **state) {
    (void)state;
    assert_int_equal(vfs->lock(vfs->context, file), 0);
    put('n', 3, 0);
    struct memfs *copy = memfs_clone(fs);
    memfs_kill(fs);
    assert_int_equal(memfs_open_files(fs), 0);
    file = vfs->open(vfs->context, "d/a", VFS_WRITE);
    assert_int_equal(vfs->lock(vfs->context, file), 0);
    assert_int_equal(seen_at(0), 'n');
    assert_int_equal(found_at(fs, MEMFS_NONE, 1, 0), 'o');
    assert_int_equal(found_at(copy, MEMFS_NONE, 1, 0), 'o');
    assert_int_equal(found_at(copy, MEMFS_ALL, 1, 0), 'n');
    memfs_free(copy);
}

/* ---- Faults --------------------------------------------------------------------------------------- */

static void a_failed_sync_keeps_the_cache_and_loses_the_data(void **state) {
    (void)state;
    put('n', 3, 0);
    memfs_fail(fs, 1, MEMFS_EIO);
    assert_int_equal(sync_file(), -EIO);
    assert_true(memfs_failed(fs));
    assert_int_equal(sync_file(), 0);
    put('m', 3, MEMFS_SECTOR);
    assert_int_equal(seen_at(0), 'n');
    assert_int_equal(found_at(fs, MEMFS_ALL, 1, 0), 'o');
    assert_int_equal(vfs->drop_cache(vfs->context, file), 0);
    assert_int_equal(seen_at(0), 'o');
    assert_int_equal(seen_at(MEMFS_SECTOR), 'm');
}

static void a_sync_that_fails_may_have_written_some_or_all(void **state) {
    (void)state;
    unsigned written = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        memfs_seed(fs, seed);
        put((char)('A' + seed), SIZE, 0);
        memfs_fail(fs, 1, MEMFS_EIO_SOME);
        assert_int_equal(sync_file(), -EIO);
        for (uint64_t at = 0; at < SIZE; at += MEMFS_SECTOR)
            written += found_at(fs, MEMFS_ALL, 1, at) == (char)('A' + seed);
    }
    assert_in_range(written, 1, 20 * SECTORS - 1);
    put('n', 3, 0);
    memfs_fail(fs, 1, MEMFS_EIO_DONE);
    assert_int_equal(sync_file(), -EIO);
    assert_int_equal(found_at(fs, MEMFS_NONE, 1, 0), 'n');
}

static void every_kind_of_operation_can_fail(void **state) {
    (void)state;
    struct iovec part = {(void *)(uintptr_t) "x", 1};
    char byte;
    uint64_t size;
    memfs_fail_for(fs, 1, MEMFS_KINDS, MEMFS_EIO);
    assert_int_equal(vfs->open(vfs->context, "d/a", VFS_READ), -EIO);
    assert_int_equal(vfs->pread(vfs->context, file, &byte, 1, 0), -EIO);
    assert_int_equal(vfs->pwritev(vfs->context, file, &part, 1, 0), -EIO);
    assert_int_equal(vfs->fdatasync(vfs->context, file), -EIO);
    assert_int_equal(vfs->fallocate(vfs->context, file, 2 * SIZE), -EIO);
    assert_int_equal(vfs->size(vfs->context, "d/a", &size), -EIO);
    assert_int_equal(vfs->rename(vfs->context, "d/a", "d/b"), -EIO);
    assert_int_equal(vfs->unlink(vfs->context, "d/a"), -EIO);
    assert_int_equal(vfs->mkdir(vfs->context, "e"), -EIO);
    assert_int_equal(vfs->sync_dir(vfs->context, "d"), -EIO);
    assert_int_equal(vfs->list(vfs->context, "d", NULL, NULL), -EIO);
    assert_int_equal(vfs->lock(vfs->context, file), -EIO);
    assert_int_equal(vfs->drop_cache(vfs->context, file), -EIO);
    assert_int_equal(memfs_operations(fs), MEMFS_KINDS);
    assert_int_equal(vfs->size(vfs->context, "d/a", &size), 0);
    assert_int_equal(size, SIZE);
    assert_int_equal(seen_at(0), 'o');
}

static void a_failed_write_may_have_done_all_or_half(void **state) {
    (void)state;
    memfs_fail(fs, 1, MEMFS_EIO_DONE);
    assert_int_equal(put('n', 10, 0), -EIO);
    assert_int_equal(seen_at(9), 'n');
    memfs_fail(fs, 1, MEMFS_EIO_SOME);
    assert_int_equal(put('m', 10, 0), -EIO);
    assert_int_equal(seen_at(4), 'm');
    assert_int_equal(seen_at(5), 'n');
    memfs_fail(fs, 1, MEMFS_EIO_DONE);
    assert_int_equal(vfs->rename(vfs->context, "d/a", "d/b"), -EIO);
    assert_true(exists(fs, "d/b"));
}

static void reads_and_writes_are_short(void **state) {
    (void)state;
    char bytes[10];
    memfs_fail_for(fs, 1, 2, MEMFS_SHORT);
    assert_int_equal(put('n', 9, 0), 5);
    assert_int_equal(vfs->pread(vfs->context, file, bytes, 10, 0), 5);
    assert_int_equal(seen_at(4), 'n');
    assert_int_equal(seen_at(5), 'o');
}

static void a_full_disk_takes_what_fits_and_has_room_again(void **state) {
    (void)state;
    assert_int_equal(memfs_used(fs), SIZE);
    memfs_set_capacity(fs, SIZE + MEMFS_SECTOR + 100);
    assert_int_equal(put('n', SIZE, 0), SIZE);
    assert_int_equal(vfs->fallocate(vfs->context, file, SIZE + 2 * MEMFS_SECTOR), -ENOSPC);
    assert_int_equal(put('n', 2 * MEMFS_SECTOR, SIZE), MEMFS_SECTOR);
    assert_int_equal(put('n', MEMFS_SECTOR, SIZE + MEMFS_SECTOR), -ENOSPC);
    memfs_set_capacity(fs, SIZE);
    assert_int_equal(create("d/b"), -ENOSPC);
    assert_int_equal(put('n', 5, 100), 5);
    memfs_set_capacity(fs, UINT64_MAX);
    assert_int_equal(create("d/b"), 0);
    memfs_fill(fs, true);
    assert_int_equal(put('n', 5, 0), -ENOSPC);
    assert_int_equal(vfs->mkdir(vfs->context, "e"), -ENOSPC);
    memfs_fill(fs, false);
    assert_int_equal(put('n', 5, 0), 5);
}

static void room_comes_back_with_the_last_name_and_user_of_a_file(void **state) {
    (void)state;
    assert_int_equal(vfs->unlink(vfs->context, "d/a"), 0);
    assert_int_equal(memfs_used(fs), SIZE);
    assert_int_equal(vfs->sync_dir(vfs->context, "d"), 0);
    assert_int_equal(seen_at(0), 'o');
    assert_int_equal(vfs->close(vfs->context, file), 0);
    assert_int_equal(memfs_used(fs), 0);
}

static void rot_is_durable_and_seen(void **state) {
    (void)state;
    assert_true(memfs_rot(fs, "d/a", 700, 0x20));
    assert_int_equal(seen_at(700), 'O');
    assert_int_equal(found_at(fs, MEMFS_NONE, 1, 700), 'O');
    put('n', 1, 0);
    assert_true(memfs_rot(fs, "d/a", 1, 0x20));
    assert_int_equal(seen_at(1), 'o');
    assert_int_equal(found_at(fs, MEMFS_NONE, 1, 1), 'O');
    assert_int_equal(found_at(fs, MEMFS_ALL, 1, 1), 'o');
    assert_false(memfs_rot(fs, "d/a", SIZE, 1));
    assert_false(memfs_rot(fs, "d/b", 0, 1));
}

static void a_misdirected_write_lands_elsewhere_for_good(void **state) {
    (void)state;
    memfs_aim(fs, "d/a", 3 * MEMFS_SECTOR + 5);
    memfs_fail(fs, 1, MEMFS_ASTRAY);
    put('1', MEMFS_SECTOR, 0);
    assert_int_equal(put('n', MEMFS_SECTOR, 0), MEMFS_SECTOR);
    assert_int_equal(sync_file(), 0);
    assert_int_equal(seen_at(0), 'n');
    assert_int_equal(seen_at(3 * MEMFS_SECTOR), 'o');
    memfs_power_on(fs, MEMFS_ALL, 1);
    uint64_t size;
    const uint8_t *bytes = memfs_bytes(fs, "d/a", &size);
    assert_int_equal(bytes[0], 'n');
    assert_int_equal(bytes[3 * MEMFS_SECTOR], '1');
    assert_int_equal(bytes[4 * MEMFS_SECTOR], 'o');
}

static void nothing_works_without_power(void **state) {
    (void)state;
    put('n', 1, 0);
    memfs_fail(fs, 2, MEMFS_POWER_OFF);
    assert_int_equal(put('m', 1, 1), 1);
    assert_int_equal(sync_file(), -EIO);
    assert_int_equal(vfs->unlink(vfs->context, "d/a"), -EIO);
    assert_int_equal(memfs_operations(fs), 2);
    memfs_power_on(fs, MEMFS_NONE, 1);
    assert_true(exists(fs, "d/a"));
}

/* ---- The hook and time ---------------------------------------------------------------------------- */

struct observed {
    unsigned calls;
    enum memfs_kind kind;
    char path[16];
    enum memfs_fault answer;
};

static enum memfs_fault observe(void *context, enum memfs_kind kind, const char *path) {
    struct observed *observed = context;
    observed->calls++;
    observed->kind = kind;
    strncpy(observed->path, path, sizeof observed->path - 1);
    return observed->answer;
}

static void the_hook_sees_each_operation_and_decides_on_it(void **state) {
    (void)state;
    struct observed observed = {.answer = MEMFS_FINE};
    memfs_set_hook(fs, observe, &observed);
    assert_int_equal(put('n', 1, 0), 1);
    assert_int_equal(observed.kind, MEMFS_PWRITE);
    assert_string_equal(observed.path, "d/a");
    assert_string_equal(memfs_kind_name(observed.kind), "pwritev");
    assert_int_equal(vfs->rename(vfs->context, "d/a", "d/b"), 0);
    assert_string_equal(observed.path, "d/a");
    observed.answer = MEMFS_POWER_OFF;
    assert_int_equal(sync_file(), -EIO);
    assert_string_equal(observed.path, "d/b");
    assert_int_equal(observed.calls, 3);
    assert_int_equal(sync_file(), -EIO);
    assert_int_equal(observed.calls, 3);
    struct memfs *copy = memfs_clone(fs);
    assert_true(exists(copy, "d/b"));
    assert_int_equal(observed.calls, 3);
    memfs_free(copy);
}

static void operations_have_their_cost(void **state) {
    (void)state;
    memfs_set_costs(fs, &(struct memfs_costs){.call = 1, .sector_copy = 10, .sync = 1000, .sector_sync = 100});
    memfs_take_cost(fs);
    put('n', MEMFS_SECTOR + 1, 0);
    assert_int_equal(memfs_take_cost(fs), 1 + 20);
    sync_file();
    assert_int_equal(memfs_take_cost(fs), 1 + 1000 + 200);
    assert_int_equal(vfs->sync_dir(vfs->context, "d"), 0);
    assert_int_equal(memfs_take_cost(fs), 1 + 1000);
    assert_int_equal(memfs_take_cost(fs), 0);
}

static void note(void *argument, const char *path, uint64_t size) {
    uint64_t *total = argument;
    assert_string_equal(path, "d/a");
    *total += size;
}

static void the_durable_files_can_be_listed(void **state) {
    (void)state;
    uint64_t total = 0;
    create("d/b");
    put('n', 1, SIZE);
    memfs_files(fs, note, &total);
    assert_int_equal(total, SIZE);
}

int main(void) {
#define FRESH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        FRESH(power_loss_takes_what_was_not_synced),
        FRESH(all_of_it_may_survive_too),
        FRESH(sectors_survive_each_on_its_own_in_any_version),
        FRESH(a_torn_sector_may_be_zeros_or_garbage_and_its_neighbours_not),
        FRESH(sizes_and_names_survive_each_on_its_own),
        FRESH(a_lost_directory_takes_its_files_with_it),
        FRESH(the_same_seed_gives_the_same_disk),
        FRESH(each_point_can_be_decided_by_hand),
        FRESH(a_killed_process_loses_nothing_that_it_wrote),
        FRESH(a_failed_sync_keeps_the_cache_and_loses_the_data),
        FRESH(a_sync_that_fails_may_have_written_some_or_all),
        FRESH(every_kind_of_operation_can_fail),
        FRESH(a_failed_write_may_have_done_all_or_half),
        FRESH(reads_and_writes_are_short),
        FRESH(a_full_disk_takes_what_fits_and_has_room_again),
        FRESH(room_comes_back_with_the_last_name_and_user_of_a_file),
        FRESH(rot_is_durable_and_seen),
        FRESH(a_misdirected_write_lands_elsewhere_for_good),
        FRESH(nothing_works_without_power),
        FRESH(the_hook_sees_each_operation_and_decides_on_it),
        FRESH(operations_have_their_cost),
        FRESH(the_durable_files_can_be_listed),
    };
    return cmocka_run_group_tests_name("memfs", tests, NULL, NULL);
}
