/* What a request will read of a collection, asked for before the request is executed, so that the misses of several requests
 * overlap.
 *
 * Principal entry points: fetch_value, then fetch_rows_begin.
 * Threads: executor only. */
#ifndef SKUA_EXEC_FETCH_H
#define SKUA_EXEC_FETCH_H

#include "base/macros.h"
#include "exec/request.h"
#include "keyspace/entry.h"
#include "types/members.h"

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

/* Begins to look the request's member up in a set, a hash or a large sorted set, for members_fetch_step. False: it has none, or
 * the entry is something else. Follows fetch_value. */
bool fetch_rows_begin(const struct entry *entry, const struct request *request,
                      struct members_fetch *ret_fetch);

#endif
