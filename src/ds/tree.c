/* The counted tree of pages. Entry: tree_seek, tree_insert, tree_remove. Threads and invariants: see tree.h.
 *
 * Levels are counted from the root: path[0] is the root node, path[depth - 1] the parent of the leaf. */
#include "ds/tree.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/bug.h"

#define NODE_CAPACITY_MIN 4
#define MERGE_USED_MAX    1024 /* a leaf with fewer bytes looks for a neighbour to join */
#define MERGE_SIZE_MAX    2112 /* a larger block is made smaller before its page has so few */
#define MERGE_SUM_MAX     2048 /* both together: far enough from full that they do not soon part again */
#define MERGE_CHILDREN    (TREE_FANOUT_MAX / 2)
#define APPENDED_SIZE     1024 /* of a leaf behind a full one, to which rows are appended */
#define LONG_ROW          128  /* pages with longer rows on average are divided in the middle */

/* ---- Nodes ------------------------------------------------------------------------------------------------- */

static size_t node_size(unsigned capacity)
{
    return sizeof(struct tree_node) + capacity * sizeof(struct tree_child);
}

static struct tree_node *node_new(struct heap *heap, unsigned capacity)
{
    size_t size = heap_block_size(node_size(capacity));
    struct tree_node *node = heap_alloc(heap, size);
    if (node == NULL)
        fatal("out of memory");
    atomic_init(&node->refs, 1);
    node->count = 0;
    node->capacity = (uint16_t)((size - sizeof *node) / sizeof(struct tree_child));
    if (node->capacity > TREE_FANOUT_MAX)
        node->capacity = TREE_FANOUT_MAX;
    node->size = size;
    return node;
}

static void node_release(struct heap *heap, struct tree_node *node)
{
    heap_release(heap, node, node->size);
}

/* Acquire: what the holder who has just let go read was read before we write. */
static bool node_is_shared(struct tree_node *node)
{
    return atomic_load_explicit(&node->refs, memory_order_acquire) > 1;
}

/* A node of at least `capacity` with the children of `node`, whose references go over to it. */
static struct tree_node *node_move(struct heap *heap, struct tree_node *node, unsigned capacity)
{
    struct tree_node *copy = node_new(heap, capacity);
    copy->count = node->count;
    memcpy(copy->children, node->children, node->count * sizeof *node->children);
    return copy;
}

static void child_ref(struct tree_child *child, bool is_page)
{
    if (is_page)
        page_ref(child->page);
    else
        atomic_fetch_add_explicit(&child->node->refs, 1, memory_order_relaxed);
}

/* Gives up one reference of `child` whose holders, whoever is last, must free it: true when it was the last. */
static bool child_unref(struct tree_child *child, bool is_page)
{
    _Atomic uint32_t *refs = is_page ? &child->page->refs : &child->node->refs;
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* R5 */
static void restamp(struct tree *tree)
{
    tree->stamp = heap_stamp(tree->heap);
}

/* Replaces what `child` refers to by a copy of our own, if others hold it, too (R4). */
static void child_make_ours(struct tree *tree, struct tree_child *child, bool is_page,
                            bool children_are_pages)
{
    if (is_page) {
        if (page_is_shared(child->page)) {
            struct page *shared = child->page;
            child->page = page_clone(tree->heap, shared);
            page_unref(tree->heap, shared);
        }
        return;
    }
    if (!node_is_shared(child->node))
        return;
    restamp(tree);
    struct tree_node *shared = child->node;
    child->node = node_move(tree->heap, shared, shared->count);
    for (unsigned i = 0; i < shared->count; i++)
        child_ref(&child->node->children[i], children_are_pages);
    struct tree_child old = {.node = shared};
    if (child_unref(&old, false)) {
        /* The other holder let go meanwhile: its references to the children are ours to give up. */
        for (unsigned i = 0; i < shared->count; i++)
            child_unref(&shared->children[i], children_are_pages);
        node_release(tree->heap, shared);
    }
}

/* Makes the nodes on the way to the place ours alone. Returns where its leaf hangs. */
static struct tree_child *make_nodes_ours(struct tree *tree, struct tree_place *place)
{
    struct tree_child *child = &tree->root;
    for (unsigned level = 0; level < tree->depth; level++) {
        child_make_ours(tree, child, false, level + 1 == tree->depth);
        place->path[level].node = child->node;
        child = &child->node->children[place->path[level].index];
    }
    return child;
}

static struct tree_child *leaf_child(struct tree *tree, const struct tree_place *place)
{
    if (tree->depth == 0)
        return &tree->root;
    return &place->path[tree->depth - 1].node->children[place->path[tree->depth - 1].index];
}

/* And the leaf, too. */
NO_INLINE static void make_ours_slow(struct tree *tree, struct tree_place *place)
{
    child_make_ours(tree, make_nodes_ours(tree, place), true, false);
}

/* Whether nobody else holds a node on the way. */
ALWAYS_INLINE bool are_nodes_ours(const struct tree *tree, const struct tree_place *place)
{
    for (unsigned level = 0; level < tree->depth; level++)
        if (unlikely(node_is_shared(place->path[level].node)))
            return false;
    return true;
}

/* Makes the way to the place and its leaf ours alone. Returns where the leaf hangs. */
ALWAYS_INLINE struct tree_child *make_ours(struct tree *tree, struct tree_place *place)
{
    struct tree_child *leaf = leaf_child(tree, place);
    if (unlikely(!are_nodes_ours(tree, place) || page_is_shared(leaf->page))) {
        make_ours_slow(tree, place);
        leaf = leaf_child(tree, place);
    }
    place->page = leaf->page; /* also where a leaf has been changed without the tree */
    return leaf;
}

/* R1 for the leaf and everything above it. */
static void count_rows(struct tree *tree, struct tree_place *place, int64_t delta)
{
    for (unsigned level = 0; level < tree->depth; level++)
        place->path[level].node->children[place->path[level].index].rows += (uint64_t)delta;
    tree->root.rows += (uint64_t)delta;
}

static uint64_t node_rows(const struct tree_node *node)
{
    uint64_t rows = 0;
    for (unsigned i = 0; i < node->count; i++)
        rows += node->children[i].rows;
    return rows;
}

void tree_init_page(struct tree *tree, const struct tree_type *type, const void *context, struct heap *heap,
                    struct page *page)
{
    *tree = (struct tree){.type = type, .context = context, .heap = heap};
    tree->root.page = page;
    tree->root.rows = page->count;
}

void tree_init(struct tree *tree, const struct tree_type *type, const void *context, struct heap *heap)
{
    tree_init_page(tree, type, context, heap, page_new(heap, type->layout));
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

/* The child of the node below `parent` that holds its row `*position`, counted from the nearer end; the last one when it is
 * behind all. The position becomes that in the child. */
static unsigned child_at_position(const struct tree_child *parent, uint64_t *position)
{
    const struct tree_child *children = parent->node->children;
    unsigned index = 0;
    if (*position < parent->rows / 2) {
        while (*position >= children[index].rows)
            *position -= children[index++].rows;
        return index;
    }
    index = parent->node->count - 1u;
    uint64_t before = parent->rows - children[index].rows;
    while (*position < before)
        before -= children[--index].rows;
    *position -= before;
    return index;
}

void tree_at(const struct tree *tree, uint64_t position, struct tree_place *ret_place)
{
    const struct tree_child *child = &tree->root;
    ret_place->separator = (struct tree_order){0, 0};
    for (unsigned level = 0; level < tree->depth; level++) {
        struct tree_node *node = child->node;
        unsigned index = child_at_position(child, &position);
        ret_place->path[level].node = node;
        ret_place->path[level].index = index;
        child = &node->children[index];
        if (index > 0)
            ret_place->separator = child->separator;
    }
    ret_place->page = child->page;
    ret_place->row = (unsigned)position;
}

/* Down from path[level - 1] along the near side of a walk in direction `step`. Sets page and separator. */
static void descend(const struct tree *tree, struct tree_place *place, unsigned level, int step)
{
    for (; level < tree->depth; level++) {
        const struct tree_child *child =
            level == 0 ? &tree->root : &place->path[level - 1].node->children[place->path[level - 1].index];
        place->path[level].node = child->node;
        place->path[level].index = step > 0 ? 0 : child->node->count - 1u;
    }
    place->separator = (struct tree_order){0, 0};
    place->page = tree->root.page;
    for (level = 0; level < tree->depth; level++) {
        const struct tree_child *child = &place->path[level].node->children[place->path[level].index];
        if (place->path[level].index > 0)
            place->separator = child->separator;
        place->page = child->page;
    }
}

void tree_first_page(const struct tree *tree, struct tree_place *ret_place)
{
    descend(tree, ret_place, 0, 1);
    ret_place->row = 0;
}

void tree_last_page(const struct tree *tree, struct tree_place *ret_place)
{
    descend(tree, ret_place, 0, -1);
    ret_place->row = ret_place->page->count > 0 ? ret_place->page->count - 1u : 0;
}

uint64_t tree_position(const struct tree *tree, const struct tree_place *place)
{
    uint64_t position = place->row;
    for (unsigned level = 0; level < tree->depth; level++)
        for (unsigned i = 0; i < place->path[level].index; i++)
            position += place->path[level].node->children[i].rows;
    return position;
}

/* Goes from path[level].index to its neighbour `step` (1 or -1) away and down to the leaf at its near end. */
static bool neighbour(const struct tree *tree, struct tree_place *place, int step)
{
    unsigned level = tree->depth;
    while (level > 0) {
        const struct tree_node *node = place->path[level - 1].node;
        unsigned index = place->path[level - 1].index;
        if (step > 0 ? index + 1u < node->count : index > 0)
            break;
        level--;
    }
    if (level == 0)
        return false;
    place->path[level - 1].index += (unsigned)step;
    descend(tree, place, level, step);
    return true;
}

bool tree_next_page(const struct tree *tree, struct tree_place *place)
{
    if (!neighbour(tree, place, 1))
        return false;
    place->row = 0;
    return true;
}

bool tree_previous_page(const struct tree *tree, struct tree_place *place)
{
    if (!neighbour(tree, place, -1))
        return false;
    place->row = place->page->count - 1u;
    return true;
}

void tree_snapshot(struct tree *tree, struct tree *ret_snapshot)
{
    child_ref(&tree->root, tree->depth == 0);
    *ret_snapshot = *tree;
}

/* ---- Growing ----------------------------------------------------------------------------------------------- */

/* A new root above the old one, with it as the only child. */
static void grow_root(struct tree *tree, struct tree_place *place)
{
    if (tree->depth == TREE_DEPTH_MAX)
        BUG("a tree of %u levels", tree->depth);
    struct tree_node *node = node_new(tree->heap, NODE_CAPACITY_MIN);
    node->count = 1;
    node->children[0] = tree->root;
    node->children[0].separator = (struct tree_order){0, 0};
    memmove(&place->path[1], &place->path[0], tree->depth * sizeof place->path[0]);
    place->path[0].node = node;
    place->path[0].index = 0;
    tree->root.node = node;
    tree->depth++;
}

static struct tree_child *child_at(struct tree *tree, struct tree_place *place, unsigned level)
{
    return level == 0 ? &tree->root : &place->path[level - 1].node->children[place->path[level - 1].index];
}

static void insert_child(struct tree *tree, struct tree_place *place, unsigned level, unsigned index,
                         const struct tree_child *child);

/* Halves the full node at `level` of the path (all of which is ours), or opens a new one behind it when the child is to
 * be put at its end; then puts the child. */
static void split_node(struct tree *tree, struct tree_place *place, unsigned level, unsigned index,
                       const struct tree_child *child)
{
    if (level == 0) {
        grow_root(tree, place);
        level = 1;
    }
    struct tree_node *left = place->path[level].node;
    unsigned kept = index == left->count ? left->count : left->count / 2u;
    struct tree_node *right = node_new(tree->heap, left->count - kept + 1u);
    right->count = (uint16_t)(left->count - kept);
    memcpy(right->children, left->children + kept, right->count * sizeof *right->children);
    left->count = (uint16_t)kept;
    struct tree_node *target = index >= kept ? right : left;
    unsigned at = index >= kept ? index - kept : index;
    memmove(target->children + at + 1, target->children + at,
            (target->count - at) * sizeof *target->children);
    target->children[at] = *child;
    target->count++;
    unsigned above = place->path[level - 1].index;
    place->path[level - 1].node->children[above].rows = node_rows(left);
    struct tree_child sibling = {
        .node = right, .rows = node_rows(right), .separator = right->children[0].separator};
    insert_child(tree, place, level - 1, above + 1, &sibling);
}

/* Puts a child at `index` of the node at `level` of the path. Rows above are not counted. The path is not valid
 * afterwards. */
static void insert_child(struct tree *tree, struct tree_place *place, unsigned level, unsigned index,
                         const struct tree_child *child)
{
    struct tree_node *node = place->path[level].node;
    if (node->count == TREE_FANOUT_MAX) {
        split_node(tree, place, level, index, child);
        return;
    }
    if (node->count == node->capacity) {
        unsigned capacity = node->capacity + node->capacity / 2u + 1;
        struct tree_node *larger =
            node_move(tree->heap, node, capacity < TREE_FANOUT_MAX ? capacity : TREE_FANOUT_MAX);
        node_release(tree->heap, node);
        child_at(tree, place, level)->node = larger;
        node = place->path[level].node = larger;
    }
    memmove(node->children + index + 1, node->children + index,
            (node->count - index) * sizeof *node->children);
    node->children[index] = *child;
    node->count++;
}

/* Puts a leaf with the separator behind the place's, or (`before`) in front of it. The rows of both are counted above
 * their parent. The place is not valid afterwards. */
static void insert_leaf(struct tree *tree, struct tree_place *place, struct page *page,
                        struct tree_order separator, bool before)
{
    restamp(tree);
    if (tree->depth == 0)
        grow_root(tree, place);
    struct tree_child *old = leaf_child(tree, place);
    old->rows = old->page->count;
    unsigned level = tree->depth - 1, index = place->path[level].index;
    struct tree_child child = {.page = page, .rows = page->count, .separator = separator};
    insert_child(tree, place, level, before ? index : index + 1, &child);
}

/* A full leaf in two parts, before the right one is put into the tree. */
struct halves {
    struct page *right;
    struct tree_order separator; /* of the right part */
    bool is_right;               /* where the row in question is now */
    unsigned row;                /* and which one it is there */
};

/* Bytes that shall stay in a full page when it is divided: 3/8 to 5/8 of them. Were it always a half, all leaves of a
 * tree that grows evenly would be half full at one time and full at another, and their blocks would all leave a size
 * class together, with slabs of stragglers behind. */
static size_t choose_share(struct tree *tree, const struct page *page)
{
    size_t used = page_used(page);
    if (used > (size_t)page->count * LONG_ROW)
        return used / 2;
    tree->phase =
        tree->phase * 1664525 + 1013904223; /* the usual constants of a linear congruential generator */
    return used * 3 / 8 + (used / 4 * (tree->phase >> 24) >> 8);
}

/* Bytes of the rows with hashes below `middle`. By a mask: of a choice the compiler makes a branch, which goes wrong for every other
 * row. */
static size_t bytes_below(const uint64_t *hashes, const uint16_t *sizes, unsigned count, uint64_t middle)
{
    uint32_t bytes = 0;
    for (unsigned row = 0; row < count; row++)
        bytes += sizes[row] & (0u - (uint32_t)(hashes[row] < middle));
    return bytes;
}

/* A hash at which a scattered page can be divided so that about `wanted` bytes lie below it; the nearest there is when
 * rows are few and long. False: all rows have the same hash. */
static bool choose_separator(const struct page *page, const uint64_t *hashes, const uint16_t *sizes,
                             size_t wanted, uint64_t *ret_separator)
{
    uint64_t first = hashes[0], last = hashes[0]; /* separators: `first` puts all rows to the right */
    for (unsigned row = 1; row < page->count; row++) {
        first = hashes[row] < first ? hashes[row] : first;
        last = hashes[row] > last ? hashes[row] : last;
    }
    if (first == last)
        return false;
    size_t used = page_used(page), best = SIZE_MAX;
    *ret_separator = last;
    /* They are spread evenly: the first guess is near. */
    uint64_t middle = first + (last - first) / used * wanted + 1; /* first < middle <= last */
    if (middle > last)
        middle = last;
    while (first < last) {
        size_t left = bytes_below(hashes, sizes, page->count, middle);
        size_t distance = left > wanted ? left - wanted : wanted - left;
        if (distance < best) {
            best = distance;
            *ret_separator = middle;
        }
        if (distance <= used / 16)
            break;
        if (left < wanted)
            first = middle;
        else
            last = middle - 1;
        middle = first + (last - first) / 2 + 1;
    }
    return true;
}

/* Divides a page whose rows lie in no order. `hash` and `row` are those of the row in question, which may be about to
 * be put behind the last (row == count). */
static void divide_scattered(struct tree *tree, struct page **page, unsigned row, uint64_t hash,
                             struct halves *ret_halves)
{
    unsigned count = (*page)->count, left = 0;
    uint64_t *hashes = mem_alloc(count * (sizeof *hashes + sizeof(uint16_t) + 1));
    uint16_t *sizes = (uint16_t *)(hashes + count);
    uint8_t *goes_right = (uint8_t *)(sizes + count);
    tree->type->hashes(*page, tree->context, hashes);
    page_row_sizes(*page, sizes);
    ret_halves->separator = (struct tree_order){0, 0};
    bool differ =
        choose_separator(*page, hashes, sizes, choose_share(tree, *page), &ret_halves->separator.major);
    uint64_t separator = ret_halves->separator.major;
    if (!differ)
        ret_halves->separator.major = hashes[0];
    ret_halves->is_right = differ ? hash >= separator : row > count / 2;
    for (unsigned i = 0; i < count; i++)
        goes_right[i] = differ ? hashes[i] >= separator : i > count / 2;
    for (unsigned i = 0; i < row; i++)
        left += !goes_right[i];
    ret_halves->row = ret_halves->is_right ? row - left : left;
    ret_halves->right = page_divide(tree->heap, page, goes_right);
    mem_free(hashes);
}

static void divide_ordered(struct tree *tree, struct page **page, unsigned row, struct halves *ret_halves)
{
    unsigned middle = page_row_behind(*page, choose_share(tree, *page));
    ret_halves->right = page_split(tree->heap, page, middle);
    ret_halves->separator = (struct tree_order){0, 0};
    if (tree->type->order != NULL)
        ret_halves->separator = tree->type->order(ret_halves->right, 0, tree->context);
    ret_halves->is_right = row > middle;
    ret_halves->row = ret_halves->is_right ? row - middle : row;
}

/* Whether the place's leaf is the last one (the first one) of the tree. */
static bool is_outermost(const struct tree *tree, const struct tree_place *place, bool last)
{
    for (unsigned level = 0; level < tree->depth; level++)
        if (place->path[level].index != (last ? place->path[level].node->count - 1u : 0))
            return false;
    return true;
}

/* Where a row of this order is to be put: into a scattered leaf, or before the row at `position`. */
static void seek_again(const struct tree *tree, uint64_t position, struct tree_order order,
                       struct tree_place *ret_place)
{
    if (tree->type->scattered) {
        struct tree_probe probe = {.order = order};
        tree_seek(tree, &probe, ret_place);
        ret_place->row = ret_place->page->count;
        return;
    }
    tree_at(tree, position, ret_place);
    if (ret_place->row == 0 && tree_order_less(order, ret_place->separator) &&
        tree_previous_page(tree, ret_place))
        ret_place->row++; /* R2: behind the last row of the leaf before */
}

/* The row does not fit into the leaf: it begins another one, or the leaf is divided. */
static void insert_into_full(struct tree *tree, struct tree_place *place, const struct row *row,
                             struct tree_order order)
{
    struct tree_child *leaf = leaf_child(tree, place);
    bool at_end = place->row == leaf->page->count && is_outermost(tree, place, true);
    bool at_start = place->row == 0 && tree->type->order == NULL && is_outermost(tree, place, false);
    if (!tree->type->scattered && (at_end || at_start)) {
        /* Who appends leaves full pages behind. */
        struct page *fresh = page_new_roomy(tree->heap, tree->type->layout, APPENDED_SIZE);
        if (!page_insert(tree->heap, &fresh, 0, row))
            BUG("a row that no page can hold");
        insert_leaf(tree, place, fresh, order, !at_end);
        return;
    }
    struct halves halves;
    if (tree->type->scattered)
        divide_scattered(tree, &leaf->page, place->row, order.major, &halves);
    else
        divide_ordered(tree, &leaf->page, place->row, &halves);
    struct page **target = halves.is_right ? &halves.right : &leaf->page;
    if (page_insert(tree->heap, target, halves.row, row)) {
        insert_leaf(tree, place, halves.right, halves.separator, false);
        return;
    }
    /* Its part is still too full: among rows of one order, with long rows between short ones, or where all numbers need wider
     * columns now, a page cannot be divided just anywhere. It will be divided again. */
    uint64_t position = tree_position(tree, place);
    count_rows(tree, place, -1);
    insert_leaf(tree, place, halves.right, halves.separator, false);
    seek_again(tree, position, order, place);
    tree_insert(tree, place, row, order);
}

void tree_insert(struct tree *tree, struct tree_place *place, const struct row *row, struct tree_order order)
{
    struct tree_child *leaf = make_ours(tree, place);
    count_rows(tree, place, 1);
    if (!page_insert(tree->heap, &leaf->page, place->row, row))
        insert_into_full(tree, place, row, order);
}

/* What a row gets in place of what it has: another number (element NULL), or another element. */
struct change {
    uint64_t number;
    const struct element *element;
    unsigned which;
};

static bool change_in_page(struct tree *tree, struct page **page, unsigned row, const struct change *change)
{
    if (change->element == NULL)
        return page_set_number(tree->heap, page, row, change->number);
    return page_replace(tree->heap, page, row, change->which, *change->element);
}

/* The place stays valid where rows lie in no order. */
static void change_row(struct tree *tree, struct tree_place *place, const struct change *change)
{
    struct tree_child *leaf = make_ours(tree, place);
    bool changed = change_in_page(tree, &leaf->page, place->row, change);
    place->page = leaf->page;
    if (changed)
        return;
    struct halves halves;
    struct tree_probe probe = {0};
    if (tree->type->scattered) {
        probe.order = tree->type->order(leaf->page, place->row, tree->context);
        divide_scattered(tree, &leaf->page, place->row, probe.order.major, &halves);
    } else {
        divide_ordered(tree, &leaf->page, place->row, &halves);
        if (!halves.is_right &&
            halves.row == leaf->page->count) { /* an existing row: the first of the right part */
            halves.is_right = true;
            halves.row = 0;
        }
    }
    struct page **target = halves.is_right ? &halves.right : &leaf->page;
    changed = change_in_page(tree, target, halves.row, change);
    const struct page *page = *target;
    insert_leaf(tree, place, halves.right, halves.separator, false);
    if (!tree->type->scattered) {
        ASSERT(changed);
        return;
    }
    /* The row's page is the one that its order leads to, or one of the same order before it. */
    tree_seek(tree, &probe, place);
    while (place->page != page && tree_previous_page(tree, place))
        ;
    place->row = halves.row;
    if (!changed) /* as in insert_into_full */
        change_row(tree, place, change);
}

void tree_replace(struct tree *tree, struct tree_place *place, unsigned which, struct element element)
{
    change_row(tree, place, &(struct change){.element = &element, .which = which});
}

void tree_set_number(struct tree *tree, struct tree_place *place, uint64_t number)
{
    ASSERT(tree->type->scattered);
    change_row(tree, place, &(struct change){.number = number});
}

/* ---- Shrinking --------------------------------------------------------------------------------------------- */

/* Joins the children of two neighbours at `level` + 1, if that leaves room, and takes the right one out. */
static void merge_nodes(struct tree *tree, struct tree_place *place, unsigned level);

/* Takes the child at `index` of the node at `level` of the path out; what it refers to is the caller's. */
static void remove_child(struct tree *tree, struct tree_place *place, unsigned level, unsigned index)
{
    struct tree_node *node = place->path[level].node;
    restamp(tree);
    node->count--;
    memmove(node->children + index, node->children + index + 1,
            (node->count - index) * sizeof *node->children);
    if (node->count == 0 && level > 0) {
        remove_child(tree, place, level - 1, place->path[level - 1].index);
        node_release(tree->heap, node);
    } else if (level > 0 && node->count < MERGE_CHILDREN / 2) {
        merge_nodes(tree, place, level - 1);
    }
}

static void merge_nodes(struct tree *tree, struct tree_place *place, unsigned level)
{
    struct tree_node *parent = place->path[level].node;
    unsigned left = place->path[level].index;
    if (parent->count < 2)
        return;
    if (left + 1u == parent->count)
        left--;
    struct tree_child *into = &parent->children[left], *from = &parent->children[left + 1];
    if (into->node->count + from->node->count > MERGE_CHILDREN)
        return;
    bool above_pages = level + 2 == tree->depth;
    child_make_ours(tree, into, false, above_pages);
    child_make_ours(tree, from, false, above_pages);
    unsigned count = into->node->count;
    struct tree_node *joined = node_move(tree->heap, into->node, count + from->node->count);
    memcpy(joined->children + count, from->node->children, from->node->count * sizeof *joined->children);
    joined->children[count].separator = from->separator; /* the first one's own was not kept up */
    joined->count = (uint16_t)(count + from->node->count);
    node_release(tree->heap, into->node);
    node_release(tree->heap, from->node);
    into->node = joined;
    into->rows += from->rows;
    remove_child(tree, place, level, left + 1);
}

/* A root with a single child is not needed; one without any becomes an empty page. */
static void shrink_root(struct tree *tree)
{
    while (tree->depth > 0 && tree->root.node->count <= 1) {
        struct tree_node *node = tree->root.node;
        if (node_is_shared(node))
            return;
        uint64_t rows = tree->root.rows;
        restamp(tree);
        if (node->count == 0) {
            tree->depth = 0;
            tree->root.page = page_new(tree->heap, tree->type->layout);
        } else {
            tree->depth--;
            tree->root = node->children[0];
        }
        tree->root.rows = rows;
        node_release(tree->heap, node);
    }
}

/* Joins a leaf with few bytes and a neighbour under the same parent. */
static void merge_leaf(struct tree *tree, struct tree_place *place)
{
    unsigned level = tree->depth - 1;
    struct tree_node *parent = place->path[level].node;
    unsigned index = place->path[level].index;
    size_t used = page_used(parent->children[index].page);
    for (unsigned step = 0; step < 2; step++) {
        unsigned left = step == 0 ? index : index - 1;
        if (left >= parent->count - 1u) /* also when index is 0 and there is none to the left */
            continue;
        struct tree_child *into = &parent->children[left], *from = into + 1;
        if (used + page_used(step == 0 ? from->page : into->page) > MERGE_SUM_MAX)
            continue;
        child_make_ours(tree, into, true, false);
        child_make_ours(tree, from, true, false);
        if (!page_merge(tree->heap, &into->page, from->page))
            continue; /* together they need wider columns than each alone */
        into->rows += from->rows;
        remove_child(tree, place, level, left + 1);
        return;
    }
}

struct page **tree_edit_page(struct tree *tree, struct tree_place *place)
{
    return &make_ours(tree, place)->page;
}

void tree_recount(struct tree *tree, struct tree_place *place, int64_t delta)
{
    count_rows(tree, place, delta);
}

void tree_add_page(struct tree *tree, struct tree_place *place, struct page *page,
                   struct tree_order separator)
{
    make_ours(tree, place);
    count_rows(tree, place, page->count);
    insert_leaf(tree, place, page, separator, false);
}

void tree_remove_page(struct tree *tree, struct tree_place *place)
{
    struct tree_child *leaf = make_nodes_ours(tree, place);
    count_rows(tree, place, -(int64_t)leaf->rows);
    page_unref(tree->heap, leaf->page);
    if (tree->depth == 0)
        leaf->page = page_new(tree->heap, tree->type->layout);
    else
        remove_child(tree, place, tree->depth - 1, place->path[tree->depth - 1].index);
    shrink_root(tree);
}

/* Takes the first `count` children out. What they are is held by somebody else, too. Returns their rows. */
static uint64_t cut_children(struct tree_node *node, unsigned count, bool are_pages)
{
    uint64_t rows = 0;
    for (unsigned i = 0; i < count; i++) {
        rows += node->children[i].rows;
        if (child_unref(&node->children[i], are_pages))
            BUG("a child that was cut off had no other holder");
    }
    node->count = (uint16_t)(node->count - count);
    memmove(node->children, node->children + count, node->count * sizeof *node->children);
    return rows;
}

void tree_cut_front(struct tree *tree, struct tree_place *place, struct tree *ret_before)
{
    restamp(tree);
    tree_snapshot(tree, ret_before);
    make_nodes_ours(tree, place);
    for (unsigned level = tree->depth; level-- > 0;) {
        uint64_t rows =
            cut_children(place->path[level].node, place->path[level].index, level + 1 == tree->depth);
        place->path[level].index = 0;
        for (unsigned above = 0; above < level; above++)
            place->path[above].node->children[place->path[above].index].rows -= rows;
        tree->root.rows -= rows;
    }
    shrink_root(tree);
}

void tree_remove(struct tree *tree, struct tree_place *place, unsigned count)
{
    tree->moves++;
    struct tree_child *leaf = make_ours(tree, place);
    count_rows(tree, place, -(int64_t)count);
    /* Rows of a single page stay in the order in which they came: small hashes and sets show it. */
    if (tree->type->scattered && tree->depth > 0 && count == 1)
        page_remove_unordered(tree->heap, &leaf->page, place->row);
    else
        page_remove(tree->heap, &leaf->page, place->row, count);
    if (tree->depth == 0)
        return;
    if (leaf->page->count == 0) {
        page_unref(tree->heap, leaf->page);
        remove_child(tree, place, tree->depth - 1, place->path[tree->depth - 1].index);
    } else if (leaf->page->size <= MERGE_SIZE_MAX && page_used(leaf->page) < MERGE_USED_MAX) {
        merge_leaf(tree, place);
    }
    shrink_root(tree);
}

bool tree_free_some(struct tree *tree, unsigned pages_max)
{
    struct tree_child *way[TREE_DEPTH_MAX + 1]; /* way[n]: the child at n levels of nodes below the root */
    unsigned level = 0;
    way[0] = &tree->root;
    for (;;) {
        bool is_page = level == tree->depth;
        struct tree_node *node = is_page ? NULL : way[level]->node;
        if (!is_page && !node_is_shared(node) && node->count > 0) {
            way[level + 1] = &node->children[node->count - 1];
            level++;
            continue;
        }
        /* A page, an emptied node, or one that others hold: our reference goes. */
        if (is_page)
            page_unref(tree->heap, way[level]->page);
        else if (node->count == 0)
            node_release(tree->heap, node);
        else if (child_unref(way[level], false)) {
            atomic_store_explicit(&node->refs, 1, memory_order_relaxed); /* the others let go meanwhile */
            continue;
        }
        if (level == 0)
            return true;
        level--;
        way[level]->node->count--;
        if (--pages_max == 0)
            return false;
    }
}
