/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk in memory: the table of operations, the faults they meet with, and the
 * end of a process. Contents are memfs_inode.c's, directories memfs_names.c's.
 */
#include "sim/memfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft/random.h"
#include "sim/memfs_names.h"

enum { HANDLES_MAX = 1024 };

struct handle {
    struct inode *inode; /* NULL: not open */
    bool writable;
    bool direct; /* its syncs are for what it wrote last: */
    bool locked;
    uint64_t written;
    uint64_t offset;
};

struct memfs {
    struct vfs vfs;
    struct list inodes;
    struct names names;
    struct handle handles[HANDLES_MAX];
    uint32_t inode_number;
    uint64_t random;
    memfs_hook hook;
    void *hook_context;
    uint64_t operations;
    uint64_t changes;
    uint64_t fail_at; /* 0: nothing fails */
    uint64_t fail_count;
    enum memfs_fault fault;
    bool failed;
    bool off;
    bool full;
    uint64_t capacity;
    char *aim; /* where stray writes land; NULL: at the begin of their own file */
    uint64_t aim_offset;
    uint64_t stray_bytes; /* of the last stray write */
    struct memfs_costs costs;
    uint64_t cost;
};

static const struct memfs_costs usual_costs = {.call = 2000, .sector_copy = 100, .sync = 80000, .sector_sync = 400};

/* ---- Faults --------------------------------------------------------------------------------------- */

/* Count an operation, and say what it meets with. */
static enum memfs_fault meet(struct memfs *fs, enum memfs_kind kind, const char *path) {
    if (fs->off)
        return MEMFS_POWER_OFF;
    uint64_t number = ++fs->operations;
    fs->cost += fs->costs.call;
    enum memfs_fault fault = fs->hook ? fs->hook(fs->hook_context, kind, path) : MEMFS_FINE;
    if (fs->fail_at && number >= fs->fail_at && number - fs->fail_at < fs->fail_count) {
        fs->failed = true;
        fault = fs->fault;
    }
    fs->off = fault == MEMFS_POWER_OFF;
    return fault;
}

/* An error, and nothing has been done. */
static bool fails(enum memfs_fault fault) {
    return fault == MEMFS_EIO || fault == MEMFS_EIO_SOME || fault == MEMFS_POWER_OFF;
}

static bool lacks_room(const struct memfs *fs, enum memfs_fault fault) {
    return fault == MEMFS_ENOSPC || fs->full;
}

static int outcome(enum memfs_fault fault) {
    return fault == MEMFS_EIO_DONE ? -EIO : 0;
}

static struct handle *handle_of(struct memfs *fs, int file) {
    LASH_ASSERT(file >= 0 && file < HANDLES_MAX && fs->handles[file].inode);
    return &fs->handles[file];
}

static void handle_close(struct handle *handle) {
    struct inode *inode = handle->inode;
    handle->inode = NULL;
    if (--inode->references == 0)
        inode_free(inode);
}

/* How much of `size` bytes at `offset` fits on the disk. */
static uint64_t fitting(const struct memfs *fs, const struct inode *inode, uint64_t size, uint64_t offset) {
    uint64_t end = inode_round(inode->size);
    if (fs->capacity == UINT64_MAX || offset + size <= end)
        return size;
    uint64_t used = memfs_used(fs);
    end += used < fs->capacity ? (fs->capacity - used) / MEMFS_SECTOR * MEMFS_SECTOR : 0;
    if (offset + size <= end)
        return size;
    return offset < end ? end - offset : 0;
}

static struct inode *find_file(const struct memfs *fs, const char *path) {
    const struct entry *entry = names_find(&fs->names.seen, path);
    return entry ? entry->inode : NULL;
}

/* ---- The table ------------------------------------------------------------------------------------ */

static void change_names(struct memfs *fs, const char *remove, const char *add, struct inode *inode) {
    fs->changes++;
    names_change(&fs->names, remove, add, inode);
}

static struct inode *create(struct memfs *fs, const char *path) {
    struct inode *inode = inode_new(++fs->inode_number, path);
    list_push(&fs->inodes, &inode->link);
    change_names(fs, NULL, path, inode);
    return inode;
}

static void set_path(struct inode *inode, const char *path) {
    if (strcmp(inode->path, path) == 0)
        return;
    free(inode->path);
    inode->path = inode_need(strdup(path));
}

static int memfs_open(void *context, const char *path, int flags) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs, MEMFS_OPEN, path);
    const struct entry *entry = names_find(&fs->names.seen, path);
    bool creates = !entry && flags & VFS_CREATE;
    if (fails(fault))
        return -EIO;
    if (creates && (lacks_room(fs, fault) || memfs_used(fs) >= fs->capacity))
        return -ENOSPC;
    if (!entry && (!creates || !names_has_parent(&fs->names.seen, path)))
        return -ENOENT;
    if (entry && !entry->inode)
        return -EISDIR;
    int file = 0;
    while (file < HANDLES_MAX && fs->handles[file].inode)
        file++;
    if (file == HANDLES_MAX)
        return -EMFILE;
    struct inode *inode = entry ? entry->inode : create(fs, path);
    if (fault == MEMFS_EIO_DONE)
        return -EIO;
    set_path(inode, path);
    inode->references++;
    fs->handles[file] = (struct handle){.inode = inode, .writable = flags & VFS_WRITE, .direct = flags & VFS_DIRECT};
    return file;
}

static int memfs_close(void *context, int file) {
    struct memfs *fs = context;
    handle_close(handle_of(fs, file));
    return 0;
}

static void charge_copy(struct memfs *fs, uint64_t size) {
    fs->cost += inode_round(size) / MEMFS_SECTOR * fs->costs.sector_copy;
}

static ssize_t memfs_pread(void *context, int file, void *data, size_t size, uint64_t offset) {
    struct memfs *fs = context;
    const struct inode *inode = handle_of(fs, file)->inode;
    enum memfs_fault fault = meet(fs, MEMFS_PREAD, inode->path);
    if (fails(fault) || fault == MEMFS_EIO_DONE)
        return -EIO;
    if (offset >= inode->size)
        return 0;
    if (size > inode->size - offset)
        size = (size_t)(inode->size - offset);
    if (fault == MEMFS_SHORT)
        size = (size + 1) / 2;
    if (size)
        memcpy(data, inode->seen + offset, size);
    charge_copy(fs, size);
    return (ssize_t)size;
}

/* The disk writes what the cache holds, but elsewhere. */
static void go_astray(struct memfs *fs, struct inode *inode, const struct iovec *parts, uint64_t size,
                      uint64_t offset) {
    struct inode *other = fs->aim ? find_file(fs, fs->aim) : inode;
    fs->stray_bytes = size;
    inode_write(inode, parts, size, offset);
    inode_clean(inode, size, offset);
    if (other)
        inode_put(other, parts, size, fs->aim_offset / MEMFS_SECTOR * MEMFS_SECTOR);
}

static ssize_t memfs_pwritev(void *context, int file, const struct iovec *parts, int count, uint64_t offset) {
    struct memfs *fs = context;
    struct handle *handle = handle_of(fs, file);
    enum memfs_fault fault = meet(fs, MEMFS_PWRITE, handle->inode->path);
    LASH_ASSERT(handle->writable);
    if (lacks_room(fs, fault))
        return -ENOSPC;
    if (fails(fault) && fault != MEMFS_EIO_SOME)
        return -EIO;
    uint64_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    uint64_t size = fault == MEMFS_SHORT || fault == MEMFS_EIO_SOME ? (total + 1) / 2 : total;
    size = fitting(fs, handle->inode, size, offset);
    if (!size && total)
        return -ENOSPC;
    fs->changes++;
    handle->written = size;
    handle->offset = offset;
    if (fault == MEMFS_ASTRAY)
        go_astray(fs, handle->inode, parts, size, offset);
    else
        inode_write(handle->inode, parts, size, offset);
    charge_copy(fs, size);
    return fault == MEMFS_EIO_DONE || fault == MEMFS_EIO_SOME ? -EIO : (ssize_t)size;
}

static int memfs_fdatasync(void *context, int file) {
    struct memfs *fs = context;
    const struct handle *handle = handle_of(fs, file);
    struct inode *inode = handle->inode;
    enum memfs_fault fault = meet(fs, MEMFS_FDATASYNC, inode->path);
    fs->cost += fs->costs.sync + (uint64_t)inode->dirty_count * fs->costs.sector_sync;
    if (fault == MEMFS_POWER_OFF)
        return -EIO;
    fs->changes += inode->dirty_count || inode->size != inode->disk_size;
    if (fails(fault)) {
        inode_lose(inode, fault == MEMFS_EIO_SOME ? &fs->random : NULL);
        return -EIO;
    }
    if (handle->direct)
        inode_sync_range(inode, handle->written, handle->offset);
    else
        inode_sync(inode);
    return outcome(fault);
}

static int memfs_fallocate(void *context, int file, uint64_t size) {
    struct memfs *fs = context;
    struct inode *inode = handle_of(fs, file)->inode;
    enum memfs_fault fault = meet(fs, MEMFS_FALLOCATE, inode->path);
    if (fails(fault))
        return -EIO;
    if (lacks_room(fs, fault) || fitting(fs, inode, size, 0) < size)
        return -ENOSPC;
    fs->changes++;
    inode_extend(inode, size);
    return outcome(fault);
}

static int memfs_size(void *context, const char *path, uint64_t *size) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs, MEMFS_SIZE, path);
    const struct inode *inode = find_file(fs, path);
    if (fails(fault) || fault == MEMFS_EIO_DONE)
        return -EIO;
    if (!inode)
        return -ENOENT;
    *size = inode->size;
    return 0;
}

static int memfs_rename(void *context, const char *from, const char *to) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs, MEMFS_RENAME, from);
    const struct entry *entry = names_find(&fs->names.seen, from);
    if (fails(fault))
        return -EIO;
    if (fault == MEMFS_ENOSPC)
        return -ENOSPC;
    if (!entry || !names_has_parent(&fs->names.seen, to))
        return -ENOENT;
    struct inode *inode = entry->inode;
    change_names(fs, from, to, inode);
    if (inode)
        set_path(inode, to);
    return outcome(fault);
}

static int memfs_unlink(void *context, const char *path) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs, MEMFS_UNLINK, path);
    if (fails(fault))
        return -EIO;
    if (!names_find(&fs->names.seen, path))
        return -ENOENT;
    change_names(fs, path, NULL, NULL);
    return outcome(fault);
}

static int memfs_mkdir(void *context, const char *path) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs, MEMFS_MKDIR, path);
    if (fails(fault))
        return -EIO;
    if (names_is_directory(&fs->names.seen, path))
        return 0;
    if (lacks_room(fs, fault))
        return -ENOSPC;
    if (names_find(&fs->names.seen, path))
        return -EEXIST;
    if (!names_has_parent(&fs->names.seen, path))
        return -ENOENT;
    change_names(fs, NULL, path, NULL);
    return outcome(fault);
}

static int memfs_sync_dir(void *context, const char *path) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs, MEMFS_SYNC_DIR, path);
    fs->cost += fs->costs.sync;
    fs->changes += fault != MEMFS_POWER_OFF && !list_empty(&fs->names.changes);
    if (fault == MEMFS_EIO_SOME)
        names_sync_some(&fs->names, path, &fs->random);
    if (fails(fault))
        return -EIO;
    if (!names_is_directory(&fs->names.seen, path))
        return -ENOENT;
    names_sync(&fs->names, path);
    return outcome(fault);
}

static int memfs_list(void *context, const char *path, void (*each)(void *argument, const char *name), void *argument) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs, MEMFS_LIST, path);
    if (fails(fault) || fault == MEMFS_EIO_DONE)
        return -EIO;
    if (!names_is_directory(&fs->names.seen, path))
        return -ENOENT;
    for (struct list *node = fs->names.seen.next; node != &fs->names.seen; node = node->next) {
        const struct entry *entry = list_entry(node, struct entry, link);
        if (names_lies_in(entry->path, path))
            each(argument, names_last(entry->path));
    }
    return 0;
}

static int memfs_lock(void *context, int file) {
    struct memfs *fs = context;
    struct handle *handle = handle_of(fs, file);
    if (fails(meet(fs, MEMFS_LOCK, handle->inode->path)))
        return -EIO;
    for (int i = 0; i < HANDLES_MAX; i++)
        if (i != file && fs->handles[i].inode == handle->inode && fs->handles[i].locked)
            return -EWOULDBLOCK;
    handle->locked = true;
    return 0;
}

static int memfs_drop_cache(void *context, int file) {
    struct memfs *fs = context;
    struct inode *inode = handle_of(fs, file)->inode;
    if (fails(meet(fs, MEMFS_DROP_CACHE, inode->path)))
        return -EIO;
    fs->changes += inode->differs;
    inode_drop_cache(inode);
    return 0;
}

/* ---- The disk ------------------------------------------------------------------------------------- */

struct memfs *memfs_new(void) {
    struct memfs *fs = inode_need(calloc(1, sizeof *fs));
    list_init(&fs->inodes);
    names_init(&fs->names);
    fs->capacity = UINT64_MAX;
    fs->costs = usual_costs;
    fs->vfs = (struct vfs){
        .context = fs,
        .open = memfs_open,
        .close = memfs_close,
        .pread = memfs_pread,
        .pwritev = memfs_pwritev,
        .fdatasync = memfs_fdatasync,
        .fallocate = memfs_fallocate,
        .size = memfs_size,
        .rename = memfs_rename,
        .unlink = memfs_unlink,
        .mkdir = memfs_mkdir,
        .sync_dir = memfs_sync_dir,
        .list = memfs_list,
        .lock = memfs_lock,
        .drop_cache = memfs_drop_cache,
    };
    return fs;
}

static struct inode *twin(void *context, uint32_t number) {
    struct memfs *clone = context;
    struct list *node = clone->inodes.next;
    while (list_entry(node, struct inode, link)->number != number) {
        node = node->next;
        LASH_ASSERT(node != &clone->inodes);
    }
    return list_entry(node, struct inode, link);
}

struct memfs *memfs_clone(const struct memfs *fs) {
    struct memfs *clone = memfs_new();
    clone->random = fs->random;
    clone->inode_number = fs->inode_number;
    clone->capacity = fs->capacity;
    clone->full = fs->full;
    clone->costs = fs->costs;
    for (struct list *node = fs->inodes.next; node != &fs->inodes; node = node->next)
        list_push(&clone->inodes, &inode_clone(list_entry(node, struct inode, link))->link);
    names_clone(&clone->names, &fs->names, twin, clone);
    struct list *node = clone->inodes.next;
    while (node != &clone->inodes) { /* files that are only open have no place in the copy */
        struct inode *inode = list_entry(node, struct inode, link);
        node = node->next;
        if (!inode->references)
            inode_free(inode);
    }
    return clone;
}

void inode_release(void *memory) {
    free(memory);
}

void memfs_free(struct memfs *fs) {
    memfs_kill(fs);
    names_free(&fs->names);
    LASH_ASSERT(list_empty(&fs->inodes));
    free(fs->aim);
    free(fs);
}

const struct vfs *memfs_vfs(struct memfs *fs) {
    return &fs->vfs;
}

void memfs_carry_out(const struct vfs *vfs, struct log_write *write) {
    const struct iovec part = {(void *)(uintptr_t)write->data, write->size};
    write->result = vfs->pwritev(vfs->context, write->file, &part, 1, write->offset);
    int synced = write->result < 0 ? 0 : vfs->fdatasync(vfs->context, write->file);
    if (synced < 0)
        write->result = synced;
}

void memfs_seed(struct memfs *fs, uint64_t seed) {
    fs->random = seed;
}

int memfs_open_files(const struct memfs *fs) {
    int count = 0;
    for (int i = 0; i < HANDLES_MAX; i++)
        count += fs->handles[i].inode != NULL;
    return count;
}

void memfs_files(const struct memfs *fs, void (*each)(void *argument, const char *path, uint64_t size),
                 void *argument) {
    for (struct list *node = fs->names.disk.next; node != &fs->names.disk; node = node->next) {
        const struct entry *entry = list_entry(node, struct entry, link);
        if (entry->inode)
            each(argument, entry->path, entry->inode->disk_size);
    }
}

/* ---- Faults, as told ------------------------------------------------------------------------------ */

const char *memfs_kind_name(enum memfs_kind kind) {
    static const char *const names[MEMFS_KINDS] = {
        "open",   "pread", "pwritev",  "fdatasync", "fallocate", "size",       "rename",
        "unlink", "mkdir", "sync_dir", "list",      "lock",      "drop_cache",
    };
    LASH_ASSERT(kind < MEMFS_KINDS);
    return names[kind];
}

void memfs_set_hook(struct memfs *fs, memfs_hook hook, void *context) {
    fs->hook = hook;
    fs->hook_context = context;
}

uint64_t memfs_operations(const struct memfs *fs) {
    return fs->operations;
}

uint64_t memfs_changes(const struct memfs *fs) {
    return fs->changes;
}

void memfs_fail(struct memfs *fs, uint64_t n, enum memfs_fault fault) {
    memfs_fail_for(fs, n, 1, fault);
}

void memfs_fail_for(struct memfs *fs, uint64_t n, uint64_t count, enum memfs_fault fault) {
    fs->operations = 0;
    fs->fail_at = n;
    fs->fail_count = count;
    fs->fault = fault;
    fs->failed = false;
}

bool memfs_failed(const struct memfs *fs) {
    return fs->failed;
}

void memfs_fill(struct memfs *fs, bool full) {
    fs->full = full;
}

void memfs_set_capacity(struct memfs *fs, uint64_t bytes) {
    fs->capacity = bytes;
}

uint64_t memfs_used(const struct memfs *fs) {
    uint64_t used = 0;
    for (struct list *node = fs->inodes.next; node != &fs->inodes; node = node->next)
        used += inode_round(list_entry(node, struct inode, link)->size);
    return used;
}

void memfs_aim(struct memfs *fs, const char *path, uint64_t offset) {
    free(fs->aim);
    fs->aim = inode_need(strdup(path));
    fs->aim_offset = offset;
}

uint64_t memfs_stray_bytes(const struct memfs *fs) {
    return fs->stray_bytes;
}

bool memfs_rot(struct memfs *fs, const char *path, uint64_t offset, uint8_t mask) {
    const struct entry *entry = names_find(&fs->names.disk, path);
    struct inode *inode = entry ? entry->inode : NULL;
    if (!inode || offset >= inode->disk_size)
        return false;
    inode->disk[offset] ^= mask;
    if (offset < inode->size && !inode->is_dirty[offset / MEMFS_SECTOR])
        inode->seen[offset] = inode->disk[offset];
    return true;
}

void memfs_set_costs(struct memfs *fs, const struct memfs_costs *costs) {
    fs->costs = *costs;
}

uint64_t memfs_take_cost(struct memfs *fs) {
    uint64_t cost = fs->cost;
    fs->cost = 0;
    return cost;
}

/* ---- The end of a process ------------------------------------------------------------------------- */

void memfs_kill(struct memfs *fs) {
    for (int i = 0; i < HANDLES_MAX; i++)
        if (fs->handles[i].inode)
            handle_close(&fs->handles[i]);
    fs->off = false;
    memfs_fail(fs, 0, MEMFS_FINE);
}

size_t memfs_points(const struct memfs *fs, struct memfs_point *points, size_t max) {
    size_t count = 0;
    struct memfs_point point;
    for (struct list *node = fs->inodes.next; node != &fs->inodes; node = node->next)
        for (uint32_t at = 0; inode_point(list_entry(node, struct inode, link), &at, &point);)
            if (count++ < max)
                points[count - 1] = point;
    for (struct list *node = fs->names.changes.next; node != &fs->names.changes; node = node->next)
        if (count++ < max)
            points[count - 1] = (struct memfs_point){2, false};
    return count;
}

void memfs_power_on_as(struct memfs *fs, int32_t (*pick)(void *context, struct memfs_point point), void *context) {
    memfs_kill(fs);
    for (struct list *node = fs->inodes.next; node != &fs->inodes; node = node->next)
        inode_power_on(list_entry(node, struct inode, link), pick, context, &fs->random);
    names_power_on(&fs->names, pick, context);
}

/* Pick by chance, or the one or other end. */
struct chances {
    enum memfs_survival survival;
    uint64_t *random;
};

static int32_t pick_by_chance(void *context, struct memfs_point point) {
    struct chances *chances = context;
    if (chances->survival == MEMFS_ALL)
        return (int32_t)point.options - 1;
    if (chances->survival == MEMFS_NONE)
        return 0;
    uint64_t chance = random_next(chances->random);
    if (chances->survival == MEMFS_GARBAGE && point.sector && chance % 4 == 0)
        return chance & 4 ? MEMFS_ZEROS : MEMFS_RANDOM;
    return (int32_t)(chance / 8 % point.options);
}

void memfs_power_on(struct memfs *fs, enum memfs_survival survival, uint64_t seed) {
    struct chances chances = {survival, &fs->random};
    fs->random = seed;
    memfs_power_on_as(fs, pick_by_chance, &chances);
}

/* ---- For tests ------------------------------------------------------------------------------------ */

uint8_t *memfs_bytes(struct memfs *fs, const char *path, uint64_t *size) {
    struct inode *inode = find_file(fs, path);
    if (!inode)
        return NULL;
    *size = inode->size;
    return inode->seen;
}

void memfs_settle(struct memfs *fs, const char *path) {
    struct inode *inode = find_file(fs, path);
    LASH_ASSERT(inode);
    inode_settle(inode);
}

void memfs_resize(struct memfs *fs, const char *path, uint64_t size) {
    struct inode *inode = find_file(fs, path);
    LASH_ASSERT(inode);
    inode_resize(inode, size);
}
