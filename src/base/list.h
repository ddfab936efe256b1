/* An intrusive doubly linked list with a head node: the node lies in the listed structure. */
#ifndef SKUA_BASE_LIST_H
#define SKUA_BASE_LIST_H

#include <stdbool.h>

#include "base/macros.h"

/* A head points to itself when empty; an unlisted node has next == NULL. */
struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

static inline void list_init(struct list_node *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

static inline bool list_is_listed(const struct list_node *node)
{
    return node->next != NULL;
}

static inline void list_append(struct list_node *head, struct list_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}

/* Safe against removal of `node` inside the loop. */
#define list_for_each(head, node)                                                                            \
    for (struct list_node *node = (head)->next, *node##_next = node->next; node != (head);                   \
         node = node##_next, node##_next = node->next)

#define list_entry(node, type, member) container_of(node, type, member)

#endif
