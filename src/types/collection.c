/* Opening and closing collections. Entry: collection_open, collection_close. Threads: see collection.h. */
#include "types/collection.h"

#include <limits.h>

#include "base/bug.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/members.h"
#include "types/zset.h"

#define BEGIN_SIZE 512 /* of the page in which a collection is made */

static const struct tree_type *const tree_types[] = {
    [ENTRY_LIST] = &list_tree,
    [ENTRY_SET] = &set_tree,
    [ENTRY_ZSET] = &zset_tree,
    [ENTRY_HASH] = &hash_tree,
};

void collection_open(struct collection_view *view, struct keyspace *keyspace, struct entry *entry)
{
    view->keyspace = keyspace;
    if (entry_encoding(entry) == ENTRY_TREE) {
        view->rows = &entry_collection(entry)->rows;
        view->index = entry_collection(entry)->has_index ? &entry_collection(entry)->index : NULL;
        return;
    }
    DEBUG_ASSERT(entry_encoding(entry) == ENTRY_PAGE);
    const struct tree_type *type = tree_types[entry_type(entry)];
    if (unlikely(entry_flags(entry) & ENTRY_TIMED_FIELDS))
        type = &timed_hash_tree;
    tree_init_page(&view->page, type, &keyspace->hash_seed, keyspace->heap, entry_page(entry));
    view->rows = &view->page;
    view->index = NULL;
    view->due_ms = COLLECTION_DUE_NOT_KNOWN;
}

void collection_look_at(struct collection_view *view, struct keyspace *keyspace, enum entry_type type,
                        const struct page *page)
{
    const struct tree_type *tree_type = page->layout == PAGE_TIMED_HASH ? &timed_hash_tree : tree_types[type];
    tree_init_page(&view->page, tree_type, &keyspace->hash_seed, keyspace->heap, (struct page *)page);
    view->rows = &view->page;
    view->index = NULL;
}

void collection_begin(struct collection_view *view, struct keyspace *keyspace, enum entry_type type)
{
    const struct tree_type *tree_type = tree_types[type];
    view->keyspace = keyspace;
    tree_init_page(&view->page, tree_type, &keyspace->hash_seed, keyspace->heap,
                   page_new_roomy(keyspace->heap, tree_type->layout, BEGIN_SIZE));
    view->rows = &view->page;
    view->index = NULL;
    view->due_ms = COLLECTION_DUE_NOT_KNOWN;
}

/* An entry for rows that none holds yet. */
static struct entry *new_entry(const struct collection_view *view, struct slice key, enum entry_type type,
                               const struct entry_options *options)
{
    struct tree *rows = view->rows;
    /* Who makes a collection with several rows at once has often made all of it. */
    if (rows->depth == 0 && !page_is_shared(rows->root.page))
        page_fit(rows->heap, &rows->root.page, rows->root.page->count == 1);
    if (rows->depth == 0)
        return entry_new_page(rows->heap, key, type, rows->root.page, options);
    struct collection *collection = collection_new(rows->heap, rows, view->index);
    if (rows->type == &timed_hash_tree)
        collection->due_ms = view->due_ms != COLLECTION_DUE_NOT_KNOWN ? view->due_ms : hash_due_ms(rows);
    struct entry *entry = entry_new_tree(rows->heap, key, type, collection, options);
    if (entry == NULL)
        heap_release(rows->heap, collection, sizeof *collection);
    return entry;
}

enum collection_outcome collection_close(struct collection_view *view, struct entry *entry, struct slice key,
                                         enum entry_type type, const struct entry_options *options,
                                         struct entry **ret_entry)
{
    struct tree *rows = view->rows;
    bool in_page = entry != NULL && entry_encoding(entry) == ENTRY_PAGE;
    bool is_large = entry != NULL && !in_page;
    if (!is_large && rows->depth == 0 && view->index != NULL) {
        tree_free_some(view->index, UINT_MAX); /* it has grown out of its page and back into it */
        view->index = NULL;
    }
    if (in_page && rows->depth == 0)
        keyspace_set_page(view->keyspace, entry, rows->root.page);
    if (tree_rows(rows) == 0) {
        if (entry == NULL)
            tree_free_some(rows, 1);
        return COLLECTION_EMPTY;
    }
    if (is_large || (in_page && rows->depth == 0))
        return COLLECTION_KEPT;
    struct entry *made = new_entry(view, key, type, options);
    if (made == NULL) {
        if (in_page)
            fatal("out of memory"); /* what was acknowledged would be lost */
        if (view->index != NULL)
            tree_free_some(view->index, UINT_MAX);
        tree_free_some(rows, UINT_MAX);
        return COLLECTION_NOMEM;
    }
    if (in_page)
        keyspace_set_page(view->keyspace, entry, NULL); /* its page is part of the tree now */
    *ret_entry = made;
    return COLLECTION_REPLACED;
}
