/* SPDX-License-Identifier: Apache-2.0
 *
 * Intrusive doubly linked lists. A list head is a node of its own ring; a node
 * not on a list points to itself, so list_remove is always safe.
 */
#ifndef LASH_BASE_LIST_H
#define LASH_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

/* The structure of `type` whose member `field` is `node`. */
#define list_entry(node, type, field) ((type *)(void *)((char *)(node)-offsetof(type, field)))

static inline void list_init(struct list *list) {
    list->next = list;
    list->prev = list;
}

static inline bool list_empty(const struct list *list) {
    return list->next == list;
}

/* Put `node`, which is on no list, at the end. */
static inline void list_push(struct list *list, struct list *node) {
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* Take `node` off its list, if it is on one. */
static inline void list_remove(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Take the first node off; NULL when empty. */
static inline struct list *list_pop(struct list *list) {
    struct list *node = list->next;
    if (node == list)
        return NULL;
    list_remove(node);
    return node;
}

/* Move all of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from) {
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
