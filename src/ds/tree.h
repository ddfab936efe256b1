/* A counted tree of pages: what a collection of any size is made of. With one leaf it is that page and nothing else.
 *
 * Inner nodes hold, for each child, how many rows lie below it and a separator; leaves are pages (ds/page.h). Nodes and
 * pages are reference counted. A snapshot is a reference to the root: whoever changes the tree afterwards copies the
 * path from the root to what it changes, once, and leaves the rest shared.
 *
 * Principal entry points: tree_init, tree_seek, tree_at, tree_next_page (reading); tree_insert, tree_remove,
 * tree_replace, tree_set_number (changing, at a place); tree_edit_page, tree_add_page, tree_remove_page (changing whole
 * leaves); tree_snapshot, tree_free_some.
 * The tree does not know what its rows mean. Its user says by a probe where to go down, looks into the leaf itself, and
 * tells the tree at which row of it something is to be done.
 * Threads: the owner of the heap changes the tree. Others may read a snapshot of which they hold the reference.
 *
 * R1  A child's `rows` is the number of rows in the leaves below it.
 * R2  separator[i] <= the order of every row below child i, and >= that of every row below child i - 1 (equal only where
 *     rows have the same order). separator[0] is not looked at.
 * R3  No leaf is empty, except the only one of an empty tree; all leaves are at the same depth.
 * R4  What is reachable through something with refs > 1 is shared, whatever its own count says. So whoever changes goes
 *     down from the root, copies what has refs > 1 and counts up the copy's children.
 * R5  A scattered tree with inner nodes gets a new stamp, which no tree of its heap has had before, when a leaf has another way to
 *     it than before: when a leaf is divided, joined or taken out, a node copied, or a level taken off. `moves` becomes another one when a row gets
 *     another number in its leaf: when one is taken out. Adding a row behind the last of a leaf that has room, and changing a value, keep
 *     both. */
#ifndef SKUA_DS_TREE_H
#define SKUA_DS_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "ds/page.h"

#define TREE_FANOUT_MAX 127 /* children of an inner node: one block of 4 KB */
/* Levels of inner nodes: with the fewest children that merging leaves, 2^40 pages */
#define TREE_DEPTH_MAX 12

/* Where a row belongs: compared as numbers, `major` first. What it means is the user's: the hash of a member, or the
 * score and the first bytes of a member, mapped so that the order of the numbers is that of the rows. */
struct tree_order {
    uint64_t major;
    uint64_t minor;
};

ALWAYS_INLINE bool tree_order_less(struct tree_order a, struct tree_order b)
{
    return a.major != b.major ? a.major < b.major : a.minor < b.minor;
}

ALWAYS_INLINE bool tree_order_equal(struct tree_order a, struct tree_order b)
{
    return a.major == b.major && a.minor == b.minor;
}

struct tree_child {
    union {
        struct tree_node *node;
        struct page *page; /* on the lowest level */
    };
    uint64_t rows;
    struct tree_order separator;
};

struct tree_node {
    _Atomic uint32_t refs;
    uint16_t count;
    uint16_t capacity;
    uint64_t size; /* of the block in bytes */
    struct tree_child children[];
};

/* What the rows of a tree mean. `context` is the tree's user's. */
struct tree_type {
    enum page_layout layout;
    /* The order of a row. NULL: rows have only positions (lists). */
    struct tree_order (*order)(const struct page *page, unsigned row, const void *context);
    /* Of scattered rows: the orders of all rows of a page, which are their hashes. */
    void (*hashes)(const struct page *page, const void *context, uint64_t *ret_hashes);
    /* True: rows lie in a leaf in no order (found by tags), only the leaves are in order, by hashes: numbers that are spread
     * evenly over all of 64 bits. */
    bool scattered;
};

struct tree {
    const struct tree_type *type;
    const void *context; /* for the type's functions */
    struct heap *heap;
    struct tree_child root; /* its separator is not used */
    unsigned depth;         /* levels of inner nodes; 0: the root is a page */
    uint32_t phase;         /* where the next full leaf is divided: see tree.c */
    uint64_t stamp;         /* R5; 0: nobody remembers where anything is */
    uint32_t moves;         /* R5; of one stamp */
};

struct tree_step {
    struct tree_node *node;
    unsigned index;
};

/* A leaf, the way to it, and a row in it. Valid until the tree changes. */
struct tree_place {
    struct page *page;
    unsigned row;
    struct tree_order separator;           /* the leaf's; zero in the leftmost leaf */
    struct tree_step path[TREE_DEPTH_MAX]; /* [0, depth) from the root on */
};

/* Where tree_seek goes. */
struct tree_probe {
    struct tree_order order;
    /* Where separators have the probe's order, rows must be asked: <0 when the probe belongs before row 0 of `page`.
     * NULL: it belongs into the last such leaf. */
    int (*compare)(const struct tree_probe *probe, const struct page *page);
};

/* An empty tree. The type must live as long as the tree. */
void tree_init(struct tree *tree, const struct tree_type *type, const void *context, struct heap *heap);
/* A tree around one page, whose reference it takes over. */
void tree_init_page(struct tree *tree, const struct tree_type *type, const void *context, struct heap *heap,
                    struct page *page);

ALWAYS_INLINE uint64_t tree_rows(const struct tree *tree)
{
    return tree->root.rows;
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

/* The leaf where the probe belongs; row is 0. */
void tree_seek(const struct tree *tree, const struct tree_probe *probe, struct tree_place *ret_place);

/* A look-up by hash in a scattered tree, to be gone through together with others, so that they wait for their cache lines
 * together. Good until the tree changes; what it has found, as tree_descent_place says. */
#define TREE_DESCENT_STEPS 4 /* of deeper trees it is not remembered */
struct tree_descent {
    const struct tree_child *child; /* where it has come to: of tree->root or of a node on the way */
    uint64_t stamp;                 /* the tree's, and whose it is: */
    const struct heap *heap;
    uint32_t moves;      /* the tree's */
    unsigned levels;     /* of nodes between it and the leaf, itself included */
    unsigned guess;      /* which one of its node's children it leads to, probably */
    unsigned step_count; /* of `path` */
    uint64_t low;        /* the hashes below it are in [low, high] */
    uint64_t high;
    uint64_t hash;
    struct tree_step path[TREE_DESCENT_STEPS]; /* as tree_place's, as far as it has come */
};
/* Goes below the root, which is taken to be at hand. */
void tree_descent_begin(struct tree_descent *descent, const struct tree *tree, uint64_t hash);
/* Goes on to where all of their children are leaves, whose headers have been asked for. */
void tree_descend_together(struct tree_descent *descents, unsigned count);
/* What tree_seek would say, if the descent has been made in the tree as it is, but for rows of its leaves (R5). False: it has
 * not, or where rows of its hash begin cannot be told. */
bool tree_descent_place(const struct tree *tree, const struct tree_descent *descent,
                        struct tree_place *ret_place);
/* Whether the rows of that leaf have the numbers that they had. */
ALWAYS_INLINE bool tree_descent_rows_hold(const struct tree *tree, const struct tree_descent *descent)
{
    return descent->moves == tree->moves;
}

/* The row at `position`, which is below tree_rows. */
void tree_at(const struct tree *tree, uint64_t position, struct tree_place *ret_place);

/* The leftmost and the rightmost leaf, with its first or its last row (row 0 of an empty one). */
void tree_first_page(const struct tree *tree, struct tree_place *ret_place);
void tree_last_page(const struct tree *tree, struct tree_place *ret_place);

/* Rows before the place. */
uint64_t tree_position(const struct tree *tree, const struct tree_place *place);

/* The leaf to the right or to the left, with its first or its last row. False: there is none, the place is as it
 * was. */
bool tree_next_page(const struct tree *tree, struct tree_place *place);
bool tree_previous_page(const struct tree *tree, struct tree_place *place);

/* Another holder of what the tree is now, for tree_seek, tree_at and the like, on any thread; to be given back with
 * tree_free_some by the heap's owner. */
void tree_snapshot(struct tree *tree, struct tree *ret_snapshot);

/* ---- Changing ---------------------------------------------------------------------------------------------- */

/* Puts `row` before the place's row (== count: behind the last of the leaf). `order` is the row's own. The place must
 * come from tree_seek or tree_at since the last change, and is not valid afterwards. */
void tree_insert(struct tree *tree, struct tree_place *place, const struct row *row, struct tree_order order);

/* Takes `count` rows of the leaf from the place's row on out. The place is not valid afterwards. */
void tree_remove(struct tree *tree, struct tree_place *place, unsigned count);

/* Puts `element` in place of element `which` of the row. The place is not valid afterwards. */
void tree_replace(struct tree *tree, struct tree_place *place, unsigned which, struct element element);

/* Changes the row's number, by which its order must not change, in a tree whose rows lie in no order. The place stays
 * valid. */
void tree_set_number(struct tree *tree, struct tree_place *place, uint64_t number);

/* ---- Changing whole leaves ----------------------------------------------------------------------------------- */

/* For those who know their pages better than ds/page.h does (ds/log.h). */

/* Makes the leaf and the way to it the tree's own. Returns where the leaf hangs: the caller may change it or put another
 * one in its place, and tells tree_recount. The place stays valid, but for its page, which is what hangs there. */
struct page **tree_edit_page(struct tree *tree, struct tree_place *place);

/* The leaf of a place that tree_edit_page has prepared has `delta` rows more than before. A leaf without rows must be taken
 * out with tree_remove_page unless it is the only one. */
void tree_recount(struct tree *tree, struct tree_place *place, int64_t delta);

/* Hangs a page behind the leaf of the place, and takes its reference over. The place is not valid afterwards. */
void tree_add_page(struct tree *tree, struct tree_place *place, struct page *page,
                   struct tree_order separator);

/* Takes the leaf out with all of its rows; an only one becomes an empty page. The place is not valid afterwards. */
void tree_remove_page(struct tree *tree, struct tree_place *place);

/* Takes all leaves to the left of the place's out, however many they are, without looking at them: the nodes on the way to
 * the place are copied, no more. `ret_before` becomes the tree as it was, as from tree_snapshot: who gives it back frees
 * them. The place is not valid afterwards. */
void tree_cut_front(struct tree *tree, struct tree_place *place, struct tree *ret_before);

/* Drops the tree's reference to what it holds, at most about `pages_max` pages a call. True: all is gone, and the tree
 * may be forgotten. Until then it is only good for further calls. */
bool tree_free_some(struct tree *tree, unsigned pages_max);

/* How many leaves and inner nodes there are; looks at the inner nodes only. */
struct tree_shape {
    uint64_t pages;
    uint64_t nodes;
};
void tree_shape(const struct tree *tree, struct tree_shape *ret_shape);

/* Bytes of nodes, pages and blobs, all of them looked at. */
size_t tree_memory(const struct tree *tree);
/* The same without blobs, for a tree whose blobs are another one's, too. */
size_t tree_memory_of_blocks(const struct tree *tree);
/* Bytes of the inner nodes only: one for each hundred pages. */
size_t tree_node_memory(const struct tree *tree);

/* Asserts R1 to R3 and the pages' own invariants. For tests and debug builds. */
void tree_check(const struct tree *tree);
/* The same of the nodes on the way to the row at `position`, and of its leaf: as much work for a tree of any size. */
void tree_check_at(const struct tree *tree, uint64_t position);

#endif
