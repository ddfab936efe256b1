/* Looking at a tree as a whole: its shape, its bytes, its invariants. Entry: tree_shape, tree_memory, tree_check. Threads and
 * invariants: see tree.h. */
#include "base/bug.h"
#include "ds/tree.h"

/* ---- Measuring --------------------------------------------------------------------------------------------- */

static void count_shape(const struct tree_child *child, unsigned levels, struct tree_shape *shape)
{
    if (levels == 0) {
        shape->pages++;
        return;
    }
    shape->nodes++;
    if (levels == 1) {
        shape->pages += child->node->count;
        return;
    }
    for (unsigned i = 0; i < child->node->count; i++)
        count_shape(&child->node->children[i], levels - 1, shape);
}

void tree_shape(const struct tree *tree, struct tree_shape *ret_shape)
{
    *ret_shape = (struct tree_shape){};
    count_shape(&tree->root, tree->depth, ret_shape);
}

static size_t child_memory(const struct tree_child *child, unsigned levels, bool with_blobs)
{
    if (levels == 0)
        return with_blobs ? page_memory(child->page) : child->page->size;
    size_t bytes = child->node->size;
    for (unsigned i = 0; i < child->node->count; i++)
        bytes += child_memory(&child->node->children[i], levels - 1, with_blobs);
    return bytes;
}

size_t tree_memory(const struct tree *tree)
{
    return child_memory(&tree->root, tree->depth, true);
}

size_t tree_memory_of_blocks(const struct tree *tree)
{
    return child_memory(&tree->root, tree->depth, false);
}

static size_t node_memory(const struct tree_child *child, unsigned levels)
{
    if (levels == 0)
        return 0;
    size_t bytes = child->node->size;
    for (unsigned i = 0; levels > 1 && i < child->node->count; i++)
        bytes += node_memory(&child->node->children[i], levels - 1);
    return bytes;
}

size_t tree_node_memory(const struct tree *tree)
{
    return node_memory(&tree->root, tree->depth);
}

/* ---- Check ------------------------------------------------------------------------------------------------- */

/* What a row or a separator may be: [low, high], NULL where there is no bound. */
struct check_bounds {
    const struct tree_order *low, *high;
};

static bool is_within(struct check_bounds bounds, struct tree_order order)
{
    return (bounds.low == NULL || !tree_order_less(order, *bounds.low)) &&
           (bounds.high == NULL || !tree_order_less(*bounds.high, order));
}

static void check_leaf(const struct tree *tree, const struct tree_child *leaf, struct check_bounds bounds)
{
    const struct page *page = leaf->page;
    page_check(page);
    ASSERT(page->layout == tree->type->layout && leaf->rows == page->count);
    ASSERT(page->count > 0 || tree->depth == 0);
    for (unsigned row = 0; tree->type->order != NULL && row < page->count; row++)
        ASSERT(is_within(bounds, tree->type->order(page, row, tree->context)));
}

static void check_node(const struct tree *tree, const struct tree_child *child, struct check_bounds bounds)
{
    const struct tree_node *node = child->node;
    ASSERT(node->refs > 0 && node->count > 0 && node->count <= node->capacity);
    uint64_t rows = 0;
    for (unsigned i = 0; i < node->count; i++)
        rows += node->children[i].rows;
    ASSERT(child->rows == rows);
    for (unsigned i = 1; tree->type->order != NULL && i < node->count; i++) {
        ASSERT(is_within(bounds, node->children[i].separator));
        bounds.low = &node->children[i].separator;
    }
}

static struct check_bounds bounds_below(const struct tree_node *node, unsigned index,
                                        struct check_bounds bounds)
{
    if (index > 0)
        bounds.low = &node->children[index].separator;
    if (index + 1u < node->count)
        bounds.high = &node->children[index + 1].separator;
    return bounds;
}

static void check_child(const struct tree *tree, const struct tree_child *child, unsigned levels,
                        struct check_bounds bounds)
{
    if (levels == 0) {
        check_leaf(tree, child, bounds);
        return;
    }
    check_node(tree, child, bounds);
    for (unsigned i = 0; i < child->node->count; i++)
        check_child(tree, &child->node->children[i], levels - 1, bounds_below(child->node, i, bounds));
}

void tree_check(const struct tree *tree)
{
    ASSERT(tree->depth <= TREE_DEPTH_MAX);
    check_child(tree, &tree->root, tree->depth, (struct check_bounds){NULL, NULL});
}

void tree_check_at(const struct tree *tree, uint64_t position)
{
    const struct tree_child *child = &tree->root;
    struct check_bounds bounds = {NULL, NULL};
    ASSERT(tree->depth <= TREE_DEPTH_MAX && position < tree_rows(tree));
    for (unsigned levels = tree->depth; levels > 0; levels--) {
        const struct tree_node *node = child->node;
        unsigned index = 0;
        check_node(tree, child, bounds);
        while (position >= node->children[index].rows)
            position -= node->children[index++].rows;
        bounds = bounds_below(node, index, bounds);
        child = &node->children[index];
    }
    check_leaf(tree, child, bounds);
}
