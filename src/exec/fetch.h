/* What a request will read of a collection, asked for before the request is executed, so that the misses of several requests
 * overlap.
 *
 * Principal entry points: fetch_value, then fetch_rows_begin.
 * Threads: executor only. */
#ifndef SKUA_EXEC_FETCH_H
#define SKUA_EXEC_FETCH_H

#include "exec/request.h"
#include "keyspace/entry.h"
#include "types/members.h"

/* Asks for what the entry refers to. `entry` is only likely to be the one that the request means; it is in a table, and has
 * been asked for itself. */
void fetch_value(const struct entry *entry, const struct request *request);

/* Begins to look the request's member up in a large set, hash or sorted set, for members_fetch_step. False: it has none, or
 * the entry is something else. Follows fetch_value. */
bool fetch_rows_begin(const struct entry *entry, const struct request *request,
                      struct members_fetch *ret_fetch);

#endif
