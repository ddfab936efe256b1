/* Walking over a collection: what SSCAN, HSCAN and ZSCAN share. Executor only. */
#ifndef SKUA_CMD_SCAN_H
#define SKUA_CMD_SCAN_H

#include "exec/call.h"

/* The arguments that they have in common. */
struct scan_request {
    struct slice key;
    struct slice cursor;
    bool has_pattern;
    struct slice pattern; /* for element 0 of a row */
    bool has_count;
    int64_t count;
};

/* Out of those of SSCAN, HSCAN or ZSCAN, whose names are the same. */
#define SCAN_REQUEST(args)                                                                                   \
    (&(const struct scan_request){.key = (args)->key,                                                        \
                                  .cursor = (args)->cursor,                                                  \
                                  .has_pattern = (args)->has_pattern,                                        \
                                  .pattern = (args)->pattern,                                                \
                                  .has_count = (args)->has_count,                                            \
                                  .count = (args)->count})

/* Answers with a row; returns how many elements of the reply it was. `detail` as given to scan_collection. */
typedef unsigned scan_reply_fn(struct call *call, const struct page *page, unsigned row, unsigned detail);

/* One step of a walk (members_scan) over the collection of a type: the whole command. */
void scan_collection(struct call *call, const struct scan_request *request, enum entry_type type,
                     scan_reply_fn *reply_row, unsigned detail);

#endif
