/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories of the disk in memory.
 */
#include "sim/memfs_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft/random.h"

/* A change to the directories that is not durable yet. */
struct change {
    struct list link;
    char *remove; /* this path goes, or NULL */
    char *add;    /* this path comes, or NULL */
    struct inode *inode;
};

static void refer(struct inode *inode) {
    if (inode)
        inode->references++;
}

static void leave(struct inode *inode) {
    if (inode && --inode->references == 0)
        inode_free(inode);
}

/* ---- Entries -------------------------------------------------------------------------------------- */

struct entry *names_find(const struct list *entries, const char *path) {
    for (struct list *node = entries->next; node != entries; node = node->next) {
        struct entry *entry = list_entry(node, struct entry, link);
        if (strcmp(entry->path, path) == 0)
            return entry;
    }
    return NULL;
}

static void entry_remove(struct entry *entry) {
    list_remove(&entry->link);
    leave(entry->inode);
    inode_release(entry);
}

static void entry_push(struct list *entries, const char *path, struct inode *inode) {
    size_t size = strlen(path) + 1;
    struct entry *entry = inode_need(malloc(sizeof *entry + size));
    memcpy(entry->path, path, size);
    entry->inode = inode;
    refer(inode);
    list_init(&entry->link);
    list_push(entries, &entry->link);
}

static void entries_free(struct list *entries) {
    while (!list_empty(entries))
        entry_remove(list_entry(entries->next, struct entry, link));
}

const char *names_last(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The path's directory, the caller's (free). */
static char *directory_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return inode_need(strdup("."));
    return inode_need(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
}

bool names_lies_in(const char *path, const char *parent) {
    char *directory = directory_of(path);
    bool same = strcmp(directory, parent) == 0;
    inode_release(directory);
    return same;
}

bool names_is_directory(const struct list *entries, const char *path) {
    const struct entry *entry = names_find(entries, path);
    return strcmp(path, ".") == 0 || strcmp(path, "/") == 0 || (entry && !entry->inode);
}

bool names_has_parent(const struct list *entries, const char *path) {
    char *directory = directory_of(path);
    bool exists = names_is_directory(entries, directory);
    inode_release(directory);
    return exists;
}

/* A directory that was lost takes with it what was in it. */
static void remove_orphans(struct list *entries) {
    struct list *node = entries->next;
    while (node != entries) {
        struct entry *entry = list_entry(node, struct entry, link);
        node = node->next;
        if (names_has_parent(entries, entry->path))
            continue;
        entry_remove(entry);
        node = entries->next; /* what was in it is an orphan now */
    }
}

/* ---- Changes -------------------------------------------------------------------------------------- */

static void change_apply(struct list *entries, const struct change *change) {
    struct entry *gone = change->remove ? names_find(entries, change->remove) : NULL;
    if (gone)
        entry_remove(gone);
    gone = change->add ? names_find(entries, change->add) : NULL;
    if (gone)
        entry_remove(gone);
    if (change->add)
        entry_push(entries, change->add, change->inode);
}

static void change_free(struct change *change) {
    list_remove(&change->link);
    leave(change->inode);
    inode_release(change->remove);
    inode_release(change->add);
    inode_release(change);
}

static struct change *change_push(struct names *names, const char *remove, const char *add, struct inode *inode) {
    struct change *change = inode_need(calloc(1, sizeof *change));
    change->remove = remove ? inode_need(strdup(remove)) : NULL;
    change->add = add ? inode_need(strdup(add)) : NULL;
    change->inode = inode;
    refer(inode);
    list_init(&change->link);
    list_push(&names->changes, &change->link);
    return change;
}

void names_change(struct names *names, const char *remove, const char *add, struct inode *inode) {
    LASH_ASSERT(remove || add);
    change_apply(&names->seen, change_push(names, remove, add, inode));
}

static bool change_is_in(const struct change *change, const char *path) {
    return (change->remove && names_lies_in(change->remove, path)) || (change->add && names_lies_in(change->add, path));
}

/* With `random`, stop by chance: a journal is written in its order. */
static void sync_changes(struct names *names, const char *path, uint64_t *random) {
    struct list *node = names->changes.next;
    while (node != &names->changes && !(random && random_next(random) & 1)) {
        struct change *change = list_entry(node, struct change, link);
        node = node->next;
        if (!change_is_in(change, path))
            continue;
        change_apply(&names->disk, change);
        change_free(change);
    }
}

void names_sync(struct names *names, const char *path) {
    sync_changes(names, path, NULL);
}

void names_sync_some(struct names *names, const char *path, uint64_t *random) {
    sync_changes(names, path, random);
}

void names_power_on(struct names *names, int32_t (*pick)(void *context, struct memfs_point point), void *context) {
    struct memfs_point point = {2, false};
    while (!list_empty(&names->changes)) {
        struct change *change = list_entry(names->changes.next, struct change, link);
        if (pick(context, point))
            change_apply(&names->disk, change);
        change_free(change);
    }
    remove_orphans(&names->disk);
    entries_free(&names->seen);
    for (struct list *node = names->disk.next; node != &names->disk; node = node->next) {
        const struct entry *entry = list_entry(node, struct entry, link);
        entry_push(&names->seen, entry->path, entry->inode);
    }
}

/* ---- The whole ------------------------------------------------------------------------------------ */

void names_init(struct names *names) {
    list_init(&names->seen);
    list_init(&names->disk);
    list_init(&names->changes);
}

static void entries_clone(struct list *clone, const struct list *entries,
                          struct inode *(*twin)(void *context, uint32_t number), void *context) {
    for (struct list *node = entries->next; node != entries; node = node->next) {
        const struct entry *entry = list_entry(node, struct entry, link);
        entry_push(clone, entry->path, entry->inode ? twin(context, entry->inode->number) : NULL);
    }
}

void names_clone(struct names *clone, const struct names *names, struct inode *(*twin)(void *context, uint32_t number),
                 void *context) {
    names_init(clone);
    entries_clone(&clone->seen, &names->seen, twin, context);
    entries_clone(&clone->disk, &names->disk, twin, context);
    for (struct list *node = names->changes.next; node != &names->changes; node = node->next) {
        const struct change *change = list_entry(node, struct change, link);
        change_push(clone, change->remove, change->add, change->inode ? twin(context, change->inode->number) : NULL);
    }
}

void names_free(struct names *names) {
    entries_free(&names->seen);
    entries_free(&names->disk);
    while (!list_empty(&names->changes))
        change_free(list_entry(names->changes.next, struct change, link));
}
