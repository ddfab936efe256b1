/* A collection in hand: the rows of an entry, one page or a tree of them, behind one pointer.
 *
 * Principal entry points: collection_open, collection_begin, collection_close.
 * A command opens the entry's rows, reads or changes them as a tree (ds/tree.h), and closes them: that puts back into
 * the entry what it now consists of, or makes the entry that can hold it.
 * Knows entries and memory, nothing of clients, commands and replies.
 * Threads: executor only, but for collection_look_at. */
#ifndef SKUA_TYPES_COLLECTION_H
#define SKUA_TYPES_COLLECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "ds/tree.h"
#include "keyspace/keyspace.h"

/* Valid from opening to closing, or until the key changes in another way. Must not be moved. */
struct collection_view {
    struct keyspace *keyspace;
    struct tree *rows;
    struct tree *index;    /* of a large sorted set; NULL otherwise (types/zset.h) */
    struct tree new_index; /* what `index` points at until the entry has it */
    struct tree page; /* what `rows` points at while the collection is one page in its entry, or not in any */
    /* Of a hash with times that is new or one page in its entry: not later than any of them. COLLECTION_DUE_NOT_KNOWN: closing it looks at
     * all of them, if it must. */
    int64_t due_ms;
};

#define COLLECTION_DUE_NOT_KNOWN INT64_MIN

/* The rows of an entry that holds a collection. */
void collection_open(struct collection_view *view, struct keyspace *keyspace, struct entry *entry);

/* The rows of a small collection whose page is at hand, to read them only: on any thread, as long as the page stays as it is. */
void collection_look_at(struct collection_view *view, struct keyspace *keyspace, enum entry_type type,
                        const struct page *page);

/* The rows of a collection that is not there yet: none. */
void collection_begin(struct collection_view *view, struct keyspace *keyspace, enum entry_type type);

/* What is to be done with the entry once its rows have changed. */
enum collection_outcome {
    COLLECTION_KEPT,     /* the entry holds the rows as they are now */
    COLLECTION_EMPTY,    /* no row is left: the key is to be removed */
    COLLECTION_REPLACED, /* *ret_entry is to be published in place of the entry, or as a new one */
    COLLECTION_NOMEM,    /* there is no memory for a new key; the rows are given back */
};

/* `entry` is the one that was opened, NULL after collection_begin. `key` and `options` are for a new entry, whose type
 * is `type`. */
enum collection_outcome collection_close(struct collection_view *view, struct entry *entry, struct slice key,
                                         enum entry_type type, const struct entry_options *options,
                                         struct entry **ret_entry);

#endif
