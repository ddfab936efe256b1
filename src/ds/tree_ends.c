/* The ends of a tree. Entry: tree_push, tree_push_in_place, tree_pop. Threads: see tree.h. */
#include "ds/tree_ends.h"

#include <stdatomic.h>

#include "base/macros.h"

ALWAYS_INLINE struct tree_child *end_child(struct tree_child *child, bool at_start)
{
    return &child->node->children[at_start ? 0 : child->node->count - 1u];
}

/* The children from the root to the leaf. */
struct way {
    struct tree_child *children[TREE_DEPTH_MAX + 1];
};

/* Where the leaf hangs; NULL when somebody else holds it or a node on the way (R4). */
ALWAYS_INLINE struct tree_child *own_leaf(struct tree *tree, bool at_start, struct way *ret_way)
{
    struct tree_child *child = &tree->root;
    for (unsigned level = 0; level < tree->depth; level++) {
        /* Acquire: what the holder who has just let go read was read before we write. */
        if (unlikely(atomic_load_explicit(&child->node->refs, memory_order_acquire) > 1))
            return NULL;
        ret_way->children[level] = child;
        child = end_child(child, at_start);
    }
    ret_way->children[tree->depth] = child;
    return likely(!page_is_shared(child->page)) ? child : NULL;
}

/* R1 */
ALWAYS_INLINE void count_row(const struct tree *tree, const struct way *way, int64_t delta)
{
    for (unsigned level = 0; level <= tree->depth; level++)
        way->children[level]->rows += (uint64_t)delta;
}

/* A leaf's block may become another one. */
ALWAYS_INLINE bool push_to_leaf(struct heap *heap, struct page **page, bool at_start, struct element element)
{
    if (likely(at_start ? page_prepend(*page, element) : page_append(*page, element)))
        return true;
    struct row row = {.elements[0] = element};
    return page_insert(heap, page, at_start ? 0 : (*page)->count, &row);
}

void tree_push(struct tree *tree, bool at_start, struct element element)
{
    struct way way;
    struct tree_child *leaf = own_leaf(tree, at_start, &way);
    if (likely(leaf != NULL) && push_to_leaf(tree->heap, &leaf->page, at_start, element)) {
        count_row(tree, &way, 1);
        return;
    }
    struct tree_place place;
    struct row row = {.elements[0] = element};
    tree_at(tree, at_start ? 0 : tree_rows(tree), &place);
    tree_insert(tree, &place, &row, (struct tree_order){0, 0});
}

/* Takes back what the way down to `end` has counted. */
NO_INLINE static bool uncount(struct tree *tree, bool at_start, const struct tree_child *end)
{
    struct tree_child *child = &tree->root;
    for (; child != end; child = end_child(child, at_start))
        child->rows--;
    child->rows--;
    return false;
}

bool tree_push_in_place(struct tree *tree, bool at_start, struct element element)
{
    struct tree_child *child = &tree->root;
    child->rows++; /* R1 */
    for (unsigned levels = tree->depth; levels > 0; levels--) {
        if (unlikely(atomic_load_explicit(&child->node->refs, memory_order_acquire) > 1))
            return uncount(tree, at_start, child);
        child = end_child(child, at_start);
        child->rows++;
    }
    if (unlikely(page_is_shared(child->page)))
        return uncount(tree, at_start, child);
    bool is_pushed = at_start ? page_prepend(child->page, element) : page_append(child->page, element);
    return likely(is_pushed) ? true : uncount(tree, at_start, child);
}

void tree_pop(struct tree *tree, bool at_start)
{
    struct way way;
    struct tree_child *leaf = own_leaf(tree, at_start, &way);
    /* A leaf at an end is not joined to its neighbour as it gets small: who takes from there will soon have taken all of it. */
    if (likely(leaf != NULL && leaf->page->count > 1)) {
        page_remove(tree->heap, &leaf->page, at_start ? 0 : leaf->page->count - 1u, 1);
        count_row(tree, &way, -1);
        return;
    }
    struct tree_place place;
    tree_at(tree, at_start ? 0 : tree_rows(tree) - 1, &place);
    tree_remove(tree, &place, 1);
}
