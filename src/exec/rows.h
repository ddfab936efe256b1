/* Answers with many rows of a collection: the loop behind LRANGE, ZRANGE and SMEMBERS; and choosing many of them.
 *
 * Principal entry points: rows_reply, rows_reply_page, rows_choose.
 * Threads: executor only, unless said. */
#ifndef SKUA_EXEC_ROWS_H
#define SKUA_EXEC_ROWS_H

#include "exec/call.h"

/* Writes the first elements of `count` rows from position `first` on as bulk strings, upwards or (`reverse`) downwards; the
 * header of the array is written. The rows are kept ones (sliced_keep), and there are so many. False: the command has been
 * told to end. */
bool rows_reply(struct call *call, const struct tree *rows, uint64_t first, uint64_t count, bool reverse);

/* The same of rows of one page from `row` on, without a pause. Whoever may read the page. */
void rows_reply_page(struct reply *reply, const struct page *page, unsigned row, unsigned count,
                     bool reverse);

/* Chooses `count` different ones of the rows, of which there are as many at least: their positions, ascending, for
 * rows_choice_done. Each choice is as likely as any other. NULL: after -OOM, or the command has been told to end. */
uint64_t *rows_choose(struct call *call, const struct tree *rows, uint64_t count);
void rows_choice_done(struct call *call, uint64_t *positions);

#endif
