/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk in memory. An inode has its bytes as programs see them and as they
 * are on disk, and in between the versions of sectors that no sync covered.
 */
#include "sim/memfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"

enum { HANDLES_MAX = 256 };

/* A sector as it was after one write that is not durable yet. */
struct version {
    struct list link; /* in inode->versions, oldest first */
    uint64_t sector;
    uint8_t bytes[MEMFS_SECTOR];
};

struct inode {
    struct list link; /* in memfs->inodes */
    uint64_t number;
    uint8_t *seen; /* `size` bytes, and zeros up to a whole sector */
    uint8_t *disk; /* `disk_size` bytes likewise */
    uint64_t size;
    uint64_t disk_size;
    struct list versions;
};

struct entry {
    struct list link;
    char *path;
    struct inode *inode; /* NULL: a directory */
};

/* A change to the directories that is not durable yet. */
struct change {
    struct list link;
    char *remove; /* this path goes, or NULL */
    char *add;    /* this path comes, or NULL */
    struct inode *inode;
};

struct handle {
    struct inode *inode; /* NULL: not open */
    bool writable;
    bool locked;
};

struct memfs {
    struct vfs vfs;
    struct list inodes;
    struct list seen;    /* entries as programs see them */
    struct list disk;    /* entries as they are on disk */
    struct list changes; /* from `disk` to `seen`, in order */
    struct handle handles[HANDLES_MAX];
    uint64_t inode_number;
    uint64_t operations;
    uint64_t fail_at; /* 0: nothing fails */
    uint64_t fail_count;
    enum memfs_fault fault;
    bool failed;
    bool off;
    bool full;
    uint64_t random;
};

/* ---- Memory: malloc, for mem_fail_after is about the code under test ------------------------------ */

static void *need(void *memory) {
    LASH_ASSERT(memory);
    return memory;
}

static uint64_t whole(uint64_t size) {
    return (size + MEMFS_SECTOR - 1) / MEMFS_SECTOR * MEMFS_SECTOR;
}

static uint8_t *resize(uint8_t *bytes, uint64_t old, uint64_t size) {
    if (whole(size) == whole(old))
        return bytes;
    bytes = need(realloc(bytes, whole(size) + 1));
    if (size > old)
        memset(bytes + whole(old), 0, whole(size) - whole(old));
    return bytes;
}

/* SplitMix64, of Steele, Lea and Flood. */
static uint64_t draw(struct memfs *fs) {
    uint64_t z = fs->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- Inodes -------------------------------------------------------------------------------------- */

static struct inode *inode_new(struct memfs *fs, uint64_t number) {
    struct inode *inode = need(calloc(1, sizeof *inode));
    inode->number = number;
    list_init(&inode->versions);
    list_init(&inode->link);
    list_push(&fs->inodes, &inode->link);
    return inode;
}

static void forget_versions(struct inode *inode) {
    struct list *node;
    while ((node = list_pop(&inode->versions)))
        free(list_entry(node, struct version, link));
}

static void set_size(struct inode *inode, uint64_t size) {
    inode->seen = resize(inode->seen, inode->size, size);
    inode->size = size;
}

static void set_disk_size(struct inode *inode, uint64_t size) {
    inode->disk = resize(inode->disk, inode->disk_size, size);
    inode->disk_size = size;
}

static void inode_write(struct inode *inode, const uint8_t *data, size_t size, uint64_t offset) {
    if (!size)
        return;
    if (offset + size > inode->size)
        set_size(inode, offset + size);
    memcpy(inode->seen + offset, data, size);
    for (uint64_t sector = offset / MEMFS_SECTOR; sector <= (offset + size - 1) / MEMFS_SECTOR; sector++) {
        struct version *version = need(malloc(sizeof *version));
        version->sector = sector;
        memcpy(version->bytes, inode->seen + sector * MEMFS_SECTOR, MEMFS_SECTOR);
        list_init(&version->link);
        list_push(&inode->versions, &version->link);
    }
}

static void inode_sync(struct inode *inode) {
    set_disk_size(inode, inode->size);
    for (struct list *node = inode->versions.next; node != &inode->versions; node = node->next) {
        struct version *version = list_entry(node, struct version, link);
        if ((version->sector + 1) * MEMFS_SECTOR <= whole(inode->disk_size))
            memcpy(inode->disk + version->sector * MEMFS_SECTOR, version->bytes, MEMFS_SECTOR);
    }
    forget_versions(inode);
}

/* Make the disk what programs see, also where the two differ without a version (after a failed sync). */
static void inode_settle(struct inode *inode) {
    set_disk_size(inode, inode->size);
    if (inode->size)
        memcpy(inode->disk, inode->seen, whole(inode->size));
    forget_versions(inode);
}

/* Let programs see what is on disk, except for what waits to be written. */
static void inode_drop_cache(struct inode *inode) {
    uint64_t common = whole(inode->size < inode->disk_size ? inode->size : inode->disk_size);
    if (common)
        memcpy(inode->seen, inode->disk, common);
    for (struct list *node = inode->versions.next; node != &inode->versions; node = node->next) {
        struct version *version = list_entry(node, struct version, link);
        memcpy(inode->seen + version->sector * MEMFS_SECTOR, version->bytes, MEMFS_SECTOR);
    }
}

static void garbage(struct memfs *fs, uint8_t *sector) {
    bool zeros = draw(fs) & 1;
    for (int i = 0; i < MEMFS_SECTOR; i++)
        sector[i] = zeros ? 0 : (uint8_t)draw(fs);
}

/* A version that is not durable becomes so, or not. Versions come in order, so that a later one may undo this. */
static void version_survives(struct memfs *fs, struct inode *inode, const struct version *version,
                             enum memfs_survival survival) {
    if ((version->sector + 1) * MEMFS_SECTOR > whole(inode->disk_size))
        return;
    uint8_t *at = inode->disk + version->sector * MEMFS_SECTOR;
    uint64_t chance = draw(fs) % 4;
    if (survival == MEMFS_GARBAGE && chance == 0)
        garbage(fs, at);
    else if (chance >= 2)
        memcpy(at, version->bytes, MEMFS_SECTOR);
}

static void inode_power_on(struct memfs *fs, struct inode *inode, enum memfs_survival survival) {
    if (survival == MEMFS_ALL)
        inode_sync(inode);
    if (survival == MEMFS_SOME || survival == MEMFS_GARBAGE) {
        if (draw(fs) & 1)
            set_disk_size(inode, inode->size);
        for (struct list *node = inode->versions.next; node != &inode->versions; node = node->next)
            version_survives(fs, inode, list_entry(node, struct version, link), survival);
    }
    forget_versions(inode);
    set_size(inode, inode->disk_size);
    if (inode->size)
        memcpy(inode->seen, inode->disk, whole(inode->size));
}

/* ---- Directories ---------------------------------------------------------------------------------- */

static struct entry *find(const struct list *entries, const char *path) {
    for (struct list *node = entries->next; node != entries; node = node->next) {
        struct entry *entry = list_entry(node, struct entry, link);
        if (strcmp(entry->path, path) == 0)
            return entry;
    }
    return NULL;
}

static void entry_remove(struct list *entries, const char *path) {
    struct entry *entry = path ? find(entries, path) : NULL;
    if (!entry)
        return;
    list_remove(&entry->link);
    free(entry->path);
    free(entry);
}

static void entry_add(struct list *entries, const char *path, struct inode *inode) {
    if (!path)
        return;
    entry_remove(entries, path);
    struct entry *entry = need(calloc(1, sizeof *entry));
    entry->path = need(strdup(path));
    entry->inode = inode;
    list_init(&entry->link);
    list_push(entries, &entry->link);
}

static void entries_free(struct list *entries) {
    while (!list_empty(entries))
        entry_remove(entries, list_entry(entries->next, struct entry, link)->path);
}

static void change_apply(struct list *entries, const struct change *change) {
    entry_remove(entries, change->remove);
    entry_add(entries, change->add, change->inode);
}

static void change_free(struct change *change) {
    list_remove(&change->link);
    free(change->remove);
    free(change->add);
    free(change);
}

static void change_make(struct memfs *fs, const char *remove, const char *add, struct inode *inode) {
    struct change *change = need(calloc(1, sizeof *change));
    change->remove = remove ? need(strdup(remove)) : NULL;
    change->add = add ? need(strdup(add)) : NULL;
    change->inode = inode;
    list_init(&change->link);
    list_push(&fs->changes, &change->link);
    change_apply(&fs->seen, change);
}

/* Whether `path` lies in the directory `parent`; NULL: in any. */
static bool lies_in(const char *path, const char *parent) {
    if (!path)
        return false;
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strcmp(parent, ".") == 0;
    return strlen(parent) == (size_t)(slash - path) && strncmp(path, parent, strlen(parent)) == 0;
}

/* ---- Faults --------------------------------------------------------------------------------------- */

/* Count an operation, and say what happens to it: a fault, or MEMFS_FAULTS for none. */
static enum memfs_fault meet(struct memfs *fs) {
    if (fs->off)
        return MEMFS_POWER_OFF;
    uint64_t number = ++fs->operations;
    if (!fs->fail_at || number < fs->fail_at || number - fs->fail_at >= fs->fail_count)
        return MEMFS_FAULTS;
    fs->failed = true;
    fs->off = fs->fault == MEMFS_POWER_OFF;
    return fs->fault;
}

static bool is_error(enum memfs_fault fault) {
    return fault == MEMFS_EIO || fault == MEMFS_EIO_DONE || fault == MEMFS_POWER_OFF;
}

static struct handle *handle_of(struct memfs *fs, int file) {
    LASH_ASSERT(file >= 0 && file < HANDLES_MAX && fs->handles[file].inode);
    return &fs->handles[file];
}

/* ---- The table ------------------------------------------------------------------------------------ */

static int memfs_open(void *context, const char *path, int flags) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs);
    struct entry *entry = find(&fs->seen, path);
    bool creates = !entry && flags & VFS_CREATE;
    if (is_error(fault))
        return -EIO;
    if (creates && (fault == MEMFS_ENOSPC || fs->full))
        return -ENOSPC;
    if (!entry && !creates)
        return -ENOENT;
    if (entry && !entry->inode)
        return -EISDIR;
    int file = 0;
    while (file < HANDLES_MAX && fs->handles[file].inode)
        file++;
    if (file == HANDLES_MAX)
        return -EMFILE;
    struct inode *inode = entry ? entry->inode : inode_new(fs, ++fs->inode_number);
    if (creates)
        change_make(fs, NULL, path, inode);
    fs->handles[file] = (struct handle){inode, flags & VFS_WRITE, false};
    return file;
}

static int memfs_close(void *context, int file) {
    struct memfs *fs = context;
    handle_of(fs, file)->inode = NULL;
    return 0;
}

static ssize_t memfs_pread(void *context, int file, void *data, size_t size, uint64_t offset) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs);
    const struct inode *inode = handle_of(fs, file)->inode;
    if (is_error(fault))
        return -EIO;
    if (offset >= inode->size)
        return 0;
    if (size > inode->size - offset)
        size = (size_t)(inode->size - offset);
    if (fault == MEMFS_SHORT)
        size = (size + 1) / 2;
    memcpy(data, inode->seen + offset, size);
    return (ssize_t)size;
}

static ssize_t memfs_pwritev(void *context, int file, const struct iovec *parts, int count, uint64_t offset) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs);
    struct handle *handle = handle_of(fs, file);
    LASH_ASSERT(handle->writable);
    if (fault == MEMFS_ENOSPC || fs->full)
        return -ENOSPC;
    if (is_error(fault) && fault != MEMFS_EIO_DONE)
        return -EIO;
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    size_t limit = fault == MEMFS_SHORT ? (total + 1) / 2 : total;
    uint8_t *gathered = need(malloc(total + 1));
    size_t used = 0;
    for (int i = 0; i < count; used += parts[i++].iov_len)
        memcpy(gathered + used, parts[i].iov_base, parts[i].iov_len);
    inode_write(handle->inode, gathered, limit, offset);
    free(gathered);
    return fault == MEMFS_EIO_DONE ? -EIO : (ssize_t)limit;
}

static int memfs_fdatasync(void *context, int file) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs);
    struct inode *inode = handle_of(fs, file)->inode;
    if (fault == MEMFS_POWER_OFF)
        return -EIO;
    if (is_error(fault)) {
        forget_versions(inode);
        return -EIO;
    }
    inode_sync(inode);
    return 0;
}

static int memfs_fallocate(void *context, int file, uint64_t size) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs);
    struct inode *inode = handle_of(fs, file)->inode;
    if (is_error(fault))
        return -EIO;
    if (fault == MEMFS_ENOSPC || fs->full)
        return -ENOSPC;
    if (size > inode->size)
        set_size(inode, size);
    return 0;
}

static int memfs_size(void *context, const char *path, uint64_t *size) {
    struct memfs *fs = context;
    if (is_error(meet(fs)))
        return -EIO;
    const struct entry *entry = find(&fs->seen, path);
    if (!entry || !entry->inode)
        return -ENOENT;
    *size = entry->inode->size;
    return 0;
}

static int memfs_rename(void *context, const char *from, const char *to) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs);
    const struct entry *entry = find(&fs->seen, from);
    if (is_error(fault) && fault != MEMFS_EIO_DONE)
        return -EIO;
    if (fault == MEMFS_ENOSPC)
        return -ENOSPC;
    if (!entry)
        return -ENOENT;
    change_make(fs, from, to, entry->inode);
    return fault == MEMFS_EIO_DONE ? -EIO : 0;
}

static int memfs_unlink(void *context, const char *path) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs);
    if (is_error(fault) && fault != MEMFS_EIO_DONE)
        return -EIO;
    if (!find(&fs->seen, path))
        return -ENOENT;
    change_make(fs, path, NULL, NULL);
    return fault == MEMFS_EIO_DONE ? -EIO : 0;
}

/* The root, "." and "/", is always there. */
static bool is_directory(const struct list *entries, const char *path) {
    const struct entry *entry = find(entries, path);
    return strcmp(path, ".") == 0 || strcmp(path, "/") == 0 || (entry && !entry->inode);
}

static bool has_parent(const struct list *entries, const char *path) {
    const char *slash = strrchr(path, '/');
    char *parent = slash ? need(strndup(path, (size_t)(slash - path))) : need(strdup("."));
    bool exists = is_directory(entries, parent);
    free(parent);
    return exists;
}

static int memfs_mkdir(void *context, const char *path) {
    struct memfs *fs = context;
    enum memfs_fault fault = meet(fs);
    if (is_error(fault))
        return -EIO;
    if (is_directory(&fs->seen, path))
        return 0;
    if (fault == MEMFS_ENOSPC || fs->full)
        return -ENOSPC;
    if (!has_parent(&fs->seen, path))
        return -ENOENT;
    change_make(fs, NULL, path, NULL);
    return 0;
}

static int memfs_sync_dir(void *context, const char *path) {
    struct memfs *fs = context;
    if (is_error(meet(fs)))
        return -EIO;
    if (!is_directory(&fs->seen, path))
        return -ENOENT;
    struct list *node = fs->changes.next;
    while (node != &fs->changes) {
        struct change *change = list_entry(node, struct change, link);
        node = node->next;
        if (!lies_in(change->remove, path) && !lies_in(change->add, path))
            continue;
        change_apply(&fs->disk, change);
        change_free(change);
    }
    return 0;
}

static int memfs_list(void *context, const char *path, void (*each)(void *argument, const char *name), void *argument) {
    struct memfs *fs = context;
    if (is_error(meet(fs)))
        return -EIO;
    if (!is_directory(&fs->seen, path))
        return -ENOENT;
    for (struct list *node = fs->seen.next; node != &fs->seen; node = node->next) {
        const struct entry *entry = list_entry(node, struct entry, link);
        if (lies_in(entry->path, path))
            each(argument, strrchr(entry->path, '/') ? strrchr(entry->path, '/') + 1 : entry->path);
    }
    return 0;
}

static int memfs_lock(void *context, int file) {
    struct memfs *fs = context;
    if (is_error(meet(fs)))
        return -EIO;
    struct handle *handle = handle_of(fs, file);
    for (int i = 0; i < HANDLES_MAX; i++)
        if (i != file && fs->handles[i].inode == handle->inode && fs->handles[i].locked)
            return -EWOULDBLOCK;
    handle->locked = true;
    return 0;
}

static int memfs_drop_cache(void *context, int file) {
    struct memfs *fs = context;
    if (is_error(meet(fs)))
        return -EIO;
    inode_drop_cache(handle_of(fs, file)->inode);
    return 0;
}

/* ---- For tests ------------------------------------------------------------------------------------ */

struct memfs *memfs_new(void) {
    struct memfs *fs = need(calloc(1, sizeof *fs));
    list_init(&fs->inodes);
    list_init(&fs->seen);
    list_init(&fs->disk);
    list_init(&fs->changes);
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

static struct inode *clone_inode(struct memfs *clone, const struct inode *inode) {
    for (struct list *node = clone->inodes.next; node != &clone->inodes; node = node->next) {
        struct inode *known = list_entry(node, struct inode, link);
        if (known->number == inode->number)
            return known;
    }
    struct inode *copy = inode_new(clone, inode->number);
    set_size(copy, inode->disk_size);
    if (inode->disk_size)
        memcpy(copy->seen, inode->disk, whole(inode->disk_size));
    inode_settle(copy);
    return copy;
}

struct memfs *memfs_clone(const struct memfs *fs) {
    struct memfs *clone = memfs_new();
    clone->inode_number = fs->inode_number;
    for (struct list *node = fs->disk.next; node != &fs->disk; node = node->next) {
        const struct entry *entry = list_entry(node, struct entry, link);
        struct inode *inode = entry->inode ? clone_inode(clone, entry->inode) : NULL;
        entry_add(&clone->disk, entry->path, inode);
        entry_add(&clone->seen, entry->path, inode);
    }
    return clone;
}

static void forget_changes(struct memfs *fs) {
    while (!list_empty(&fs->changes))
        change_free(list_entry(fs->changes.next, struct change, link));
}

void memfs_free(struct memfs *fs) {
    forget_changes(fs);
    entries_free(&fs->seen);
    entries_free(&fs->disk);
    struct list *node;
    while ((node = list_pop(&fs->inodes))) {
        struct inode *inode = list_entry(node, struct inode, link);
        forget_versions(inode);
        free(inode->seen);
        free(inode->disk);
        free(inode);
    }
    free(fs);
}

const struct vfs *memfs_vfs(struct memfs *fs) {
    return &fs->vfs;
}

uint64_t memfs_operations(const struct memfs *fs) {
    return fs->operations;
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

void memfs_fill(struct memfs *fs, bool full) {
    fs->full = full;
}

bool memfs_failed(const struct memfs *fs) {
    return fs->failed;
}

void memfs_kill(struct memfs *fs) {
    for (int i = 0; i < HANDLES_MAX; i++)
        fs->handles[i].inode = NULL;
    fs->off = false;
    memfs_fail(fs, 0, MEMFS_FAULTS);
}

/* A directory that was lost takes with it what was in it. */
static void remove_orphans(struct list *entries) {
    struct list *node = entries->next;
    while (node != entries) {
        const struct entry *entry = list_entry(node, struct entry, link);
        node = node->next;
        if (has_parent(entries, entry->path))
            continue;
        entry_remove(entries, entry->path);
        node = entries->next; /* what was in it is an orphan now */
    }
}

void memfs_power_on(struct memfs *fs, enum memfs_survival survival, uint64_t seed) {
    memfs_kill(fs);
    fs->random = seed;
    while (!list_empty(&fs->changes)) {
        struct change *change = list_entry(fs->changes.next, struct change, link);
        bool some = survival == MEMFS_SOME || survival == MEMFS_GARBAGE;
        if (survival == MEMFS_ALL || (some && draw(fs) & 1))
            change_apply(&fs->disk, change);
        change_free(change);
    }
    for (struct list *node = fs->inodes.next; node != &fs->inodes; node = node->next)
        inode_power_on(fs, list_entry(node, struct inode, link), survival);
    remove_orphans(&fs->disk);
    entries_free(&fs->seen);
    for (struct list *node = fs->disk.next; node != &fs->disk; node = node->next) {
        const struct entry *entry = list_entry(node, struct entry, link);
        entry_add(&fs->seen, entry->path, entry->inode);
    }
}

uint8_t *memfs_bytes(struct memfs *fs, const char *path, uint64_t *size) {
    const struct entry *entry = find(&fs->seen, path);
    if (!entry || !entry->inode)
        return NULL;
    *size = entry->inode->size;
    return entry->inode->seen;
}

void memfs_settle(struct memfs *fs, const char *path) {
    const struct entry *entry = find(&fs->seen, path);
    LASH_ASSERT(entry && entry->inode);
    inode_settle(entry->inode);
}

void memfs_resize(struct memfs *fs, const char *path, uint64_t size) {
    const struct entry *entry = find(&fs->seen, path);
    LASH_ASSERT(entry && entry->inode);
    set_size(entry->inode, size);
    if (size % MEMFS_SECTOR)
        memset(entry->inode->seen + size, 0, whole(size) - size);
    inode_settle(entry->inode);
}

int memfs_open_files(const struct memfs *fs) {
    int count = 0;
    for (int i = 0; i < HANDLES_MAX; i++)
        count += fs->handles[i].inode != NULL;
    return count;
}
