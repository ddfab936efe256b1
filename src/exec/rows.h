/* Answers with many rows of a collection: the loop behind LRANGE, ZRANGE and SMEMBERS.
 *
 * Principal entry points: rows_reply, rows_reply_page.
 * Threads: executor only. */
#ifndef SKUA_EXEC_ROWS_H
#define SKUA_EXEC_ROWS_H

#include "exec/call.h"

/* Writes the first elements of `count` rows from position `first` on as bulk strings, upwards or (`reverse`) downwards; the
 * header of the array is written. The rows are kept ones (sliced_keep), and there are so many. False: the command has been
 * told to end. */
bool rows_reply(struct call *call, const struct tree *rows, uint64_t first, uint64_t count, bool reverse);

/* The same of rows of one page from `row` on, without a pause. */
void rows_reply_page(struct call *call, const struct page *page, unsigned row, unsigned count, bool reverse);

#endif
