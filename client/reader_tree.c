/* Replies as trees, each in one block of memory.
 *
 * Principal entry points: skua_reader_tree, skua_reply_free.
 * Threads: as the reader's; a tree knows its allocator and nothing of its reader, and may outlive it.
 *
 * A reply is read twice. The first time, which goes on whenever bytes arrive, counts what the tree needs; the second
 * time, over the same bytes, which stayed in the buffer, builds it in a block of exactly that size:
 *
 *   | struct tree: allocator, root | nodes of all aggregates, each one's together | strings |
 *
 * So a server cannot make us allocate by announcing: a node stands for at least three bytes that did arrive. A value
 * by itself, the most frequent reply, is read once.
 *
 * Until a reply is whole the counts hold what was announced, and may even wrap around; nothing is made of them then.
 *
 * T1: the second pass uses exactly the nodes and bytes that the first one counted, and cannot fail. */
#include <stdint.h>
#include <string.h>

#include "client/memory.h"
#include "client/reader.h"

struct tree {
    struct skua_allocator allocator;
    struct skua_reply root;
};

/* An aggregate whose elements are being filled in. */
struct open_node {
    struct skua_reply *next;             /* the element that comes next */
    const struct skua_reply *attributes; /* seen before it, or NULL */
};

struct builder {
    struct skua_reply *nodes; /* free ones */
    char *bytes;              /* the same */
    struct open_node open[SKUA_DEPTH_MAX + 1];
};

/* ---- First pass ------------------------------------------------------------------------------------------- */

static void tally_item(struct reader_tally *tally, const struct skua_item *item)
{
    tally->node_count += item->element_count;
    if (item->type == SKUA_ATTRIBUTE)
        tally->node_count++;
    if (item->string != NULL)
        tally->byte_count += item->length + 1;
}

/* Reads on to the end of the reply, which began at `start`. *ret_item is its last item. */
static enum skua_status measure(struct skua_reader *reader, struct skua_item *ret_item)
{
    for (;;) {
        enum skua_status status = reader_step(reader, ret_item);
        if (status != SKUA_OK)
            return status;
        tally_item(&reader->tally, ret_item);
        if (ret_item->last)
            return SKUA_OK;
    }
}

/* ---- Second pass ------------------------------------------------------------------------------------------ */

static const char *take_string(struct builder *builder, const struct skua_item *item)
{
    char *string = builder->bytes;
    if (item->length > 0)
        memcpy(string, item->string, item->length);
    string[item->length] = '\0';
    builder->bytes += item->length + 1;
    return string;
}

/* Writes a node; aggregates get their elements' place, and are open from now on at the depth below. */
static void fill(struct builder *builder, struct skua_reply *node, const struct skua_item *item)
{
    *node = (struct skua_reply){
        .type = item->type,
        .integer = item->integer,
        .number = item->number,
        .length = item->length,
        .element_count = item->element_count,
    };
    memcpy(node->format, item->format, sizeof(node->format));
    if (item->string != NULL)
        node->string = take_string(builder, item);
    if (item->element_count > 0) {
        node->elements = builder->nodes;
        builder->nodes += item->element_count;
        builder->open[item->depth + 1] = (struct open_node){node->elements, NULL};
    }
}

static void place(struct builder *builder, const struct skua_item *item)
{
    struct open_node *open = &builder->open[item->depth];
    if (item->type == SKUA_ATTRIBUTE) {
        struct skua_reply *node = builder->nodes++;
        fill(builder, node, item);
        node->attributes = open->attributes;
        open->attributes = node;
        return;
    }
    struct skua_reply *node = open->next++;
    fill(builder, node, item);
    node->attributes = open->attributes;
    open->attributes = NULL;
}

static struct tree *tree_new(const struct skua_reader *reader, struct builder *builder)
{
    const struct reader_tally *tally = &reader->tally;
    size_t size;
    if (__builtin_mul_overflow(tally->node_count, sizeof(struct skua_reply), &size) ||
        __builtin_add_overflow(size, sizeof(struct tree), &size) ||
        __builtin_add_overflow(size, tally->byte_count, &size))
        return NULL;
    struct tree *tree = client_allocate(&reader->allocator, size);
    if (tree == NULL)
        return NULL;
    tree->allocator = reader->allocator;
    builder->nodes = (struct skua_reply *)(tree + 1);
    builder->bytes = (char *)(builder->nodes + tally->node_count);
    builder->open[0] = (struct open_node){&tree->root, NULL};
    return tree;
}

/* Builds the reply in buffer[start .. at), whose last item is `item`. */
static enum skua_status build(struct skua_reader *reader, struct skua_item *item,
                              struct skua_reply **ret_reply)
{
    struct builder builder;
    struct tree *tree = tree_new(reader, &builder);
    if (tree == NULL)
        return reader_fail(reader, SKUA_ERR_MEMORY, 0, "no memory for a reply");
    if (item->depth == 0 && reader->tally.node_count == 0) { /* nothing but this item */
        place(&builder, item);
    } else {
        reader->at = reader->start;
        do {
            reader_step(reader, item);
            place(&builder, item);
        } while (!item->last);
    }
    *ret_reply = &tree->root;
    return SKUA_OK;
}

enum skua_status skua_reader_tree(struct skua_reader *reader, struct skua_reply **ret_reply)
{
    if (reader->state == READER_FAILED)
        return reader->status;
    if (reader->state != READER_TREE) {
        if (reader->state == READER_PART || reader->used > 0)
            return SKUA_ERR_USE;
        reader->state = READER_TREE;
        reader->start = reader->at;
        reader->tally = (struct reader_tally){0};
    }
    struct skua_item item;
    enum skua_status status = measure(reader, &item);
    if (status == SKUA_OK)
        status = build(reader, &item, ret_reply);
    bool begun = status == SKUA_AGAIN && reader->used > 0;
    if (reader->state == READER_TREE && !begun)
        reader->state = READER_ITEMS;
    if (status == SKUA_AGAIN && !begun && reader->parts && skua_reader_wanted(reader) > 1)
        reader->need = 1; /* skua_reader_next may be called instead, and gives a part of this string */
    return status;
}

void skua_reply_free(struct skua_reply *reply)
{
    if (reply == NULL)
        return;
    struct tree *tree = (struct tree *)((char *)reply - offsetof(struct tree, root));
    struct skua_allocator allocator = tree->allocator;
    client_release(&allocator, tree);
}
