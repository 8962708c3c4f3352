/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the disk in memory.
 */
#include "sim/memfs_inode.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft/random.h"

/* What a dirty sector held before it was written once more. */
struct version {
    struct list link;
    uint32_t sector;
    uint8_t bytes[MEMFS_SECTOR];
};

void *inode_need(void *memory) {
    LASH_ASSERT(memory);
    return memory;
}

uint64_t inode_round(uint64_t size) {
    return (size + MEMFS_SECTOR - 1) / MEMFS_SECTOR * MEMFS_SECTOR;
}

static uint8_t *at(uint8_t *bytes, uint64_t sector) {
    return bytes + sector * MEMFS_SECTOR;
}

/* ---- Memory --------------------------------------------------------------------------------------- */

/* A longer array of zeros that begins like `old`. */
static void *longer(void *old, size_t used, size_t size) {
    void *new = inode_need(calloc(1, size));
    if (used)
        memcpy(new, old, used);
    free(old);
    return new;
}

static void grow(struct inode *inode, uint32_t sectors) {
    size_t had = inode->capacity;
    inode->seen = longer(inode->seen, had * MEMFS_SECTOR, (size_t)sectors * MEMFS_SECTOR);
    inode->disk = longer(inode->disk, had * MEMFS_SECTOR, (size_t)sectors * MEMFS_SECTOR);
    inode->is_dirty = longer(inode->is_dirty, had * sizeof(bool), sectors * sizeof(bool));
    inode->dirty = longer(inode->dirty, inode->dirty_count * sizeof *inode->dirty, sectors * sizeof *inode->dirty);
    inode->capacity = sectors;
}

static void reserve(struct inode *inode, uint64_t size, bool exactly) {
    uint64_t sectors = inode_round(size) / MEMFS_SECTOR;
    if (sectors <= inode->capacity)
        return;
    if (!exactly && sectors < 2 * (uint64_t)inode->capacity)
        sectors = 2 * (uint64_t)inode->capacity;
    LASH_ASSERT(sectors <= INT32_MAX);
    grow(inode, (uint32_t)sectors);
}

static void versions_free(struct inode *inode) {
    struct list *node;
    while ((node = list_pop(&inode->versions)))
        inode_release(list_entry(node, struct version, link));
}

static void version_push(struct inode *inode, uint32_t sector, const uint8_t *bytes) {
    struct version *version = inode_need(malloc(sizeof *version));
    version->sector = sector;
    memcpy(version->bytes, bytes, MEMFS_SECTOR);
    list_init(&version->link);
    list_push(&inode->versions, &version->link);
}

struct inode *inode_new(uint32_t number, const char *path) {
    struct inode *inode = inode_need(calloc(1, sizeof *inode));
    inode->number = number;
    inode->path = inode_need(strdup(path));
    list_init(&inode->link);
    list_init(&inode->versions);
    return inode;
}

struct inode *inode_clone(const struct inode *inode) {
    struct inode *clone = inode_new(inode->number, inode->path);
    clone->size = inode->size;
    clone->disk_size = inode->disk_size;
    clone->differs = inode->differs;
    reserve(clone, inode->size > inode->disk_size ? inode->size : inode->disk_size, true);
    clone->dirty_count = inode->dirty_count;
    if (clone->capacity) {
        memcpy(clone->seen, inode->seen, (size_t)clone->capacity * MEMFS_SECTOR);
        memcpy(clone->disk, inode->disk, (size_t)clone->capacity * MEMFS_SECTOR);
        memcpy(clone->is_dirty, inode->is_dirty, clone->capacity * sizeof(bool));
        memcpy(clone->dirty, inode->dirty, inode->dirty_count * sizeof *inode->dirty);
    }
    for (struct list *node = inode->versions.next; node != &inode->versions; node = node->next) {
        const struct version *version = list_entry(node, struct version, link);
        version_push(clone, version->sector, version->bytes);
    }
    return clone;
}

void inode_free(struct inode *inode) {
    list_remove(&inode->link);
    versions_free(inode);
    free(inode->path);
    free(inode->seen);
    free(inode->disk);
    free(inode->is_dirty);
    free(inode->dirty);
    free(inode);
}

/* ---- Writing and syncing -------------------------------------------------------------------------- */

static void mark_dirty(struct inode *inode, uint32_t sector) {
    if (inode->is_dirty[sector]) {
        version_push(inode, sector, at(inode->seen, sector));
        return;
    }
    inode->is_dirty[sector] = true;
    inode->dirty[inode->dirty_count++] = sector;
}

/* Copy the first `size` bytes of the parts. */
static void gather(uint8_t *to, const struct iovec *parts, uint64_t size) {
    for (; size; parts++) {
        size_t some = parts->iov_len < size ? parts->iov_len : (size_t)size;
        if (some)
            memcpy(to, parts->iov_base, some);
        to += some;
        size -= some;
    }
}

void inode_write(struct inode *inode, const struct iovec *parts, uint64_t size, uint64_t offset) {
    if (!size)
        return;
    reserve(inode, offset + size, false);
    if (offset + size > inode->size)
        inode->size = offset + size;
    uint32_t last = (uint32_t)((offset + size - 1) / MEMFS_SECTOR);
    for (uint32_t sector = (uint32_t)(offset / MEMFS_SECTOR); sector <= last; sector++)
        mark_dirty(inode, sector);
    gather(inode->seen + offset, parts, size);
}

void inode_extend(struct inode *inode, uint64_t size) {
    if (size <= inode->size)
        return;
    reserve(inode, size, true);
    inode->size = size;
}

static void all_clean(struct inode *inode) {
    for (uint32_t i = 0; i < inode->dirty_count; i++)
        inode->is_dirty[inode->dirty[i]] = false;
    inode->dirty_count = 0;
    if (!list_empty(&inode->versions))
        versions_free(inode);
}

/* What a sector's write leaves behind the durable end is nothing. */
static void zero_tail(const struct inode *inode) {
    uint64_t end = inode_round(inode->disk_size);
    if (end > inode->disk_size)
        memset(inode->disk + inode->disk_size, 0, end - inode->disk_size);
}

static bool on_disk(const struct inode *inode, uint64_t sector) {
    return (sector + 1) * MEMFS_SECTOR <= inode_round(inode->disk_size);
}

void inode_sync(struct inode *inode) {
    inode->disk_size = inode->size;
    for (uint32_t i = 0; i < inode->dirty_count; i++)
        memcpy(at(inode->disk, inode->dirty[i]), at(inode->seen, inode->dirty[i]), MEMFS_SECTOR);
    all_clean(inode);
}

void inode_sync_range(struct inode *inode, uint64_t size, uint64_t offset) {
    if (inode->disk_size < offset + size)
        inode->disk_size = inode->size;
    for (uint64_t sector = offset / MEMFS_SECTOR; sector < inode_round(offset + size) / MEMFS_SECTOR; sector++)
        if (inode->is_dirty[sector])
            memcpy(at(inode->disk, (uint32_t)sector), at(inode->seen, (uint32_t)sector), MEMFS_SECTOR);
    inode_clean(inode, size, offset);
}

void inode_lose(struct inode *inode, uint64_t *random) {
    if (random && random_next(random) & 1)
        inode->disk_size = inode->size;
    for (uint32_t i = 0; random && i < inode->dirty_count; i++)
        if (on_disk(inode, inode->dirty[i]) && random_next(random) & 1)
            memcpy(at(inode->disk, inode->dirty[i]), at(inode->seen, inode->dirty[i]), MEMFS_SECTOR);
    zero_tail(inode);
    all_clean(inode);
    inode->differs = true;
}

void inode_drop_cache(struct inode *inode) {
    if (!inode->differs)
        return;
    for (uint32_t sector = 0; sector < inode->capacity; sector++)
        if (!inode->is_dirty[sector])
            memcpy(at(inode->seen, sector), at(inode->disk, sector), MEMFS_SECTOR);
    inode->differs = false;
}

void inode_put(struct inode *inode, const struct iovec *parts, uint64_t size, uint64_t offset) {
    uint64_t end = inode_round(inode->disk_size);
    if (offset >= end)
        return;
    if (size > end - offset)
        size = end - offset;
    gather(inode->disk + offset, parts, size);
    zero_tail(inode);
    inode->differs = true;
}

void inode_clean(struct inode *inode, uint64_t size, uint64_t offset) {
    uint64_t first = offset / MEMFS_SECTOR;
    uint64_t end = inode_round(offset + size) / MEMFS_SECTOR;
    uint32_t left = 0;
    for (uint32_t i = 0; i < inode->dirty_count; i++) {
        uint32_t sector = inode->dirty[i];
        if (sector >= first && sector < end)
            inode->is_dirty[sector] = false;
        else
            inode->dirty[left++] = sector;
    }
    inode->dirty_count = left;
    struct list *node = inode->versions.next;
    while (node != &inode->versions) {
        struct version *version = list_entry(node, struct version, link);
        node = node->next;
        if (inode->is_dirty[version->sector])
            continue;
        list_remove(&version->link);
        inode_release(version);
    }
    inode->differs = true;
}

void inode_settle(struct inode *inode) {
    inode->disk_size = inode->size;
    if (inode->capacity)
        memcpy(inode->disk, inode->seen, (size_t)inode->capacity * MEMFS_SECTOR);
    all_clean(inode);
    inode->differs = false;
}

void inode_resize(struct inode *inode, uint64_t size) {
    if (size < inode->size)
        memset(inode->seen + size, 0, inode->size - size);
    reserve(inode, size, true);
    inode->size = size;
    inode_settle(inode);
}

/* ---- The loss of power ---------------------------------------------------------------------------- */

/* The n-th content (from 1) that was written to a dirty sector since it was last on disk; NULL: there are fewer. */
static const uint8_t *content(const struct inode *inode, uint32_t sector, uint32_t n) {
    for (struct list *node = inode->versions.next; node != &inode->versions; node = node->next) {
        const struct version *version = list_entry(node, struct version, link);
        if (version->sector == sector && --n == 0)
            return version->bytes;
    }
    return n == 1 ? at(inode->seen, sector) : NULL;
}

static struct memfs_point sector_point(const struct inode *inode, uint32_t sector) {
    struct memfs_point point = {1, true};
    while (content(inode, sector, point.options))
        point.options++;
    if (point.options == 2 && memcmp(at(inode->disk, sector), at(inode->seen, sector), MEMFS_SECTOR) == 0)
        point.options = 1;
    return point;
}

bool inode_point(const struct inode *inode, uint32_t *at, struct memfs_point *point) {
    if (*at == 0 && inode->size == inode->disk_size)
        ++*at;
    if (*at == 0)
        *point = (struct memfs_point){2, false};
    else if (*at <= inode->dirty_count)
        *point = sector_point(inode, inode->dirty[*at - 1]);
    else
        return false;
    ++*at;
    return true;
}

static void sector_power_on(struct inode *inode, uint32_t sector, int32_t picked, uint64_t *random) {
    if (!on_disk(inode, sector) || picked == 0)
        return;
    uint8_t *to = at(inode->disk, sector);
    if (picked == MEMFS_ZEROS) {
        memset(to, 0, MEMFS_SECTOR);
    } else if (picked == MEMFS_RANDOM) {
        for (size_t i = 0; i < MEMFS_SECTOR; i += sizeof(uint64_t)) {
            uint64_t word = random_next(random);
            memcpy(to + i, &word, sizeof word);
        }
    } else {
        const uint8_t *bytes = content(inode, sector, (uint32_t)picked);
        LASH_ASSERT(bytes);
        memcpy(to, bytes, MEMFS_SECTOR);
    }
}

/* Let programs see the disk, of which sectors that are neither dirty nor in doubt are as they are seen. */
static void see_disk(struct inode *inode) {
    if (inode->differs)
        memcpy(inode->seen, inode->disk, (size_t)inode->capacity * MEMFS_SECTOR);
    for (uint32_t i = 0; !inode->differs && i < inode->dirty_count; i++)
        memcpy(at(inode->seen, inode->dirty[i]), at(inode->disk, inode->dirty[i]), MEMFS_SECTOR);
    inode->differs = false;
}

void inode_power_on(struct inode *inode, int32_t (*pick)(void *context, struct memfs_point point), void *context,
                    uint64_t *random) {
    struct memfs_point point;
    for (uint32_t i = 0; inode_point(inode, &i, &point);) {
        int32_t picked = pick(context, point);
        if (!point.sector)
            inode->disk_size = picked ? inode->size : inode->disk_size;
        else
            sector_power_on(inode, inode->dirty[i - 2], picked, random);
    }
    zero_tail(inode);
    see_disk(inode);
    all_clean(inode);
    if (inode->disk_size < inode->size)
        memset(inode->seen + inode->disk_size, 0, inode->size - inode->disk_size);
    inode->size = inode->disk_size;
}
