/* The two ends of a tree whose rows have only positions (a list's): looked at, pushed to and taken from with less work than at
 * any other place.
 *
 * Principal entry points: tree_end_page, tree_push, tree_push_in_place, tree_pop.
 * Threads: as tree.h. */
#ifndef SKUA_DS_TREE_ENDS_H
#define SKUA_DS_TREE_ENDS_H

#include "ds/tree.h"

/* The first leaf, or the last one. */
ALWAYS_INLINE const struct page *tree_end_page(const struct tree *tree, bool at_start)
{
    const struct tree_child *child = &tree->root;
    for (unsigned levels = tree->depth; levels > 0; levels--)
        child = &child->node->children[at_start ? 0 : child->node->count - 1u];
    return child->page;
}

/* Puts a row before the first one or behind the last one. Takes over the element's blob. */
void tree_push(struct tree *tree, bool at_start, struct element element);

/* The same where nothing but the leaf at that end changes, which has room. False: it is not that easy, and nothing has changed. */
bool tree_push_in_place(struct tree *tree, bool at_start, struct element element);

/* Takes the first row or the last one out, of a tree that has any. */
void tree_pop(struct tree *tree, bool at_start);

#endif
