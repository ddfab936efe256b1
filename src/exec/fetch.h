/* What a request will read of a collection, asked for before the request is executed, so that the misses of several requests
 * overlap.
 *
 * Principal entry points: fetch_value, then fetch_rows_begin, fetch_rows_add, fetch_rows_all.
 * Threads: executor only. */
#ifndef SKUA_EXEC_FETCH_H
#define SKUA_EXEC_FETCH_H

#include "base/macros.h"
#include "exec/exec.h"
#include "exec/request.h"
#include "keyspace/entry.h"
#include "types/members.h"

/* Whether fetch_value and fetch_has_rows have something to say of such a request. */
ALWAYS_INLINE bool fetch_goes_on(const struct request *request)
{
    return request->command != NULL && !request->command->needs_entry_only;
}

/* Asks for what the entry refers to. `entry` is only likely to be the one that the request means; it is in a table, and has
 * been asked for itself. */
void fetch_value_slow(const struct entry *entry, const struct request *request);
static inline void fetch_value(const struct entry *entry, const struct request *request)
{
    /* Most strings lie in the line that has been asked for. */
    enum entry_encoding encoding = entry_encoding(entry);
    if (encoding > ENTRY_INLINE || (encoding == ENTRY_INLINE && entry_block_size(entry) > CACHE_LINE))
        fetch_value_slow(entry, request);
}

/* The rows in question of several requests, which are looked up together. */
struct fetch_rows {
    struct members_fetch members;
    unsigned leaf_count; /* other leaves, of which what is told by their headers has been asked for */
    const struct page *leaves[MEMBERS_FETCH_MAX];
};

ALWAYS_INLINE void fetch_rows_begin(struct fetch_rows *fetch)
{
    members_fetch_begin(&fetch->members);
    fetch->leaf_count = 0;
}

/* One more request, of at most MEMBERS_FETCH_MAX; of an entry that is one (fetch_has_rows). Follows fetch_value. */
void fetch_rows_add(struct fetch_rows *fetch, const struct entry *entry, const struct request *request);

void fetch_rows_all(struct fetch_rows *fetch);

/* What has been seen of the member with this text, a word of the request that is being executed. */
ALWAYS_INLINE struct members_seen fetch_seen(const struct exec *exec, struct slice text)
{
    return members_seen_of(&exec->fetched->members, text);
}

/* Whether it is worth while to look what the request will read of it. */
ALWAYS_INLINE bool fetch_has_rows(const struct entry *entry, const struct request *request)
{
    enum entry_encoding encoding = entry_encoding(entry);
    return encoding == ENTRY_OBJECT ||
           ((encoding == ENTRY_PAGE || encoding == ENTRY_TREE) && request->command->member_arg > 0) ||
           (encoding == ENTRY_PAGE && request->command->list_end != LIST_END_NONE);
}

#endif
