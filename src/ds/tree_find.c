/* Going down a tree to where something belongs. Entry: tree_seek, tree_descent_begin. Threads and invariants: see tree.h. */
#include "ds/tree.h"

#include "base/macros.h"

#define GUESS_COUNT_BITS 7 /* of TREE_FANOUT_MAX */
#define GUESS_NEAR       6 /* children around a guess: those of the lines that a descent asks for */
#define GUESS_BEFORE     2 /* of these, to its left */

static const struct page *first_page(const struct tree_child *child, unsigned levels)
{
    for (; levels > 0; levels--)
        child = &child->node->children[0];
    return child->page;
}

/* Hashes are spread evenly, so where one is between the bounds of a node tells nearly which child it belongs to. In whole
 * numbers of as many bits as a fast division takes: offset / width * count. */
static unsigned guess_child(const struct tree_descent *descent, unsigned count)
{
    _Static_assert(TREE_FANOUT_MAX < 1u << GUESS_COUNT_BITS, "count and offset fit into 32 bits");
    uint64_t width = (descent->high - descent->low) | 1;
    unsigned shift = (unsigned)__builtin_clzll(width), down = 32 + GUESS_COUNT_BITS;
    uint32_t offset = (uint32_t)((descent->hash - descent->low) << shift >> down);
    unsigned guess = offset * count / (uint32_t)(width << shift >> down);
    return guess < count ? guess : count - 1;
}

/* The last child whose separator is not above the hash. Most often the guess is nearly right: those around it are counted
 * without branches that nobody can predict. */
static unsigned find_child(const struct tree_node *node, uint64_t hash, unsigned guess)
{
    const struct tree_child *children = node->children;
    unsigned index = guess, last = node->count - 1u;
    if (likely(last >= GUESS_NEAR)) {
        unsigned first = guess > GUESS_BEFORE ? guess - GUESS_BEFORE : 1, first_max = last + 1 - GUESS_NEAR;
        first = first < first_max ? first : first_max;
        index = first - 1;
        for (unsigned i = 0; i < GUESS_NEAR; i++)
            index += children[first + i].separator.major <= hash;
    }
    while (index > 0 && hash < children[index].separator.major)
        index--;
    while (index < last && hash >= children[index + 1].separator.major)
        index++;
    return index;
}

/* Goes down to the child where the hash belongs, which is near the `guess`. */
static unsigned descend_to_hash(struct tree_descent *descent, unsigned guess)
{
    const struct tree_node *node = descent->child->node;
    unsigned index = find_child(node, descent->hash, guess);
    if (index > 0)
        descent->low = node->children[index].separator.major;
    if (index + 1u < node->count)
        descent->high = node->children[index + 1].separator.major - 1;
    descent->child = &node->children[index];
    return index;
}

static void seek_hash(const struct tree *tree, uint64_t hash, struct tree_place *ret_place)
{
    struct tree_descent descent = {.child = &tree->root, .high = UINT64_MAX, .hash = hash};
    ret_place->separator = (struct tree_order){0, 0};
    for (unsigned level = 0; level < tree->depth; level++) {
        struct tree_node *node = descent.child->node;
        unsigned index = descend_to_hash(&descent, guess_child(&descent, node->count));
        ret_place->path[level].node = node;
        ret_place->path[level].index = index;
        if (index > 0)
            ret_place->separator = descent.child->separator;
    }
    ret_place->page = descent.child->page;
    ret_place->row = 0;
}

/* The child of `node` where the probe belongs; its children are `levels` levels of nodes above the leaves. */
static unsigned choose_child(const struct tree_node *node, unsigned levels, const struct tree_probe *probe)
{
    unsigned low = 1, high = node->count; /* the first one whose separator is greater */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (tree_order_less(probe->order, node->children[middle].separator))
            high = middle;
        else
            low = middle + 1;
    }
    unsigned last = low - 1;
    if (probe->compare == NULL || last == 0 ||
        !tree_order_equal(node->children[last].separator, probe->order))
        return last;
    low = 1; /* the first one that begins behind the probe, among those with its order */
    high = last + 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct tree_child *child = &node->children[middle];
        if (tree_order_less(child->separator, probe->order) ||
            probe->compare(probe, first_page(child, levels)) >= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

void tree_seek(const struct tree *tree, const struct tree_probe *probe, struct tree_place *ret_place)
{
    const struct tree_child *child = &tree->root;
    if (tree->type->scattered) {
        seek_hash(tree, probe->order.major, ret_place);
        return;
    }
    ret_place->separator = (struct tree_order){0, 0};
    for (unsigned level = 0; level < tree->depth; level++) {
        unsigned index = choose_child(child->node, tree->depth - level - 1, probe);
        ret_place->path[level].node = child->node;
        ret_place->path[level].index = index;
        child = &child->node->children[index];
        if (index > 0)
            ret_place->separator = child->separator;
    }
    ret_place->page = child->page;
    ret_place->row = 0;
}

/* Goes a level down, which is `depth` levels below the root before. */
ALWAYS_INLINE void descent_step(struct tree_descent *descent, unsigned guess)
{
    struct tree_node *node = descent->child->node;
    unsigned index = descend_to_hash(descent, guess);
    descent->levels--;
    if (likely(descent->step_count < TREE_DESCENT_STEPS))
        descent->path[descent->step_count++] = (struct tree_step){node, index};
}

void tree_descent_begin(struct tree_descent *descent, const struct tree *tree, uint64_t hash)
{
    descent->child = &tree->root;
    descent->heap = tree->heap;
    descent->moves = tree->moves;
    descent->stamp = tree->depth > 0 && tree->depth <= TREE_DESCENT_STEPS ? tree->stamp : 0;
    descent->levels = tree->depth;
    descent->step_count = 0;
    descent->low = 0;
    descent->high = UINT64_MAX;
    descent->hash = hash;
    if (tree->depth > 0)
        descent_step(descent, guess_child(descent, tree->root.node->count));
}

bool tree_descent_place(const struct tree *tree, const struct tree_descent *descent,
                        struct tree_place *ret_place)
{
    if (unlikely(descent->stamp == 0 || descent->stamp != tree->stamp || descent->heap != tree->heap ||
                 descent->low == descent->hash))
        return false;
    unsigned depth = tree->depth;
    for (unsigned level = 0; level < depth; level++)
        ret_place->path[level] = descent->path[level];
    ret_place->page = descent->path[depth - 1].node->children[descent->path[depth - 1].index].page;
    ret_place->row = 0;
    ret_place->separator = (struct tree_order){descent->low, 0};
    return true;
}

/* Nothing retires behind a prefetch whose address has yet to be translated. So those of all stand close together, with no
 * other work between them. False: all are leaves' headers. */
static bool descents_fetch_heads(const struct tree_descent *descents, unsigned count)
{
    bool goes_on = false;
    for (unsigned i = 0; i < count; i++) {
        prefetch(descents[i].child->node); /* or page */
        goes_on |= descents[i].levels > 0;
    }
    return goes_on;
}

/* Asks for the children around the one that it probably leads to. */
ALWAYS_INLINE void descent_fetch_children(struct tree_descent *descent)
{
    const struct tree_node *node = descent->child->node;
    descent->guess = guess_child(descent, node->count);
    const struct tree_child *guessed = &node->children[descent->guess];
    prefetch(&guessed[-GUESS_BEFORE].separator);
    prefetch(&guessed->separator);
    prefetch(&guessed[GUESS_BEFORE].separator);
    prefetch(&guessed[GUESS_NEAR - GUESS_BEFORE - 1].separator);
}

void tree_descend_together(struct tree_descent *descents, unsigned count)
{
    while (descents_fetch_heads(descents, count)) {
        for (unsigned i = 0; i < count; i++)
            if (likely(descents[i].levels > 0))
                descent_fetch_children(&descents[i]);
        for (unsigned i = 0; i < count; i++)
            if (likely(descents[i].levels > 0))
                descent_step(&descents[i], descents[i].guess);
    }
}
