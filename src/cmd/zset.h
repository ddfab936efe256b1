/* What the commands of sorted sets share. Executor only, unless said. */
#ifndef SKUA_CMD_ZSET_H
#define SKUA_CMD_ZSET_H

#include "exec/call.h"
#include "types/zset.h"

/* A sorted set that a command changes: opened, or begun when the key does not exist. */
struct zset_edit {
    struct key key;
    struct collection_view view;
    uint8_t marks; /* ENTRY_MARKS: follows what is added */
};

/* Looks the key up. False after WRONGTYPE. With key.entry == NULL nothing is opened: zset_edit_begin does. */
bool zset_edit_open(struct call *call, struct slice name, struct zset_edit *ret_edit);
void zset_edit_begin(struct call *call, struct zset_edit *edit);

/* Adds a member that is not there; takes its blob over. */
void zset_edit_add(struct call *call, struct zset_edit *edit, struct element member, double score);

/* Puts it back. False after -OOM. */
bool zset_edit_close(struct call *call, struct zset_edit *edit);

/* Takes `count` rows from position `first` on out, at least one, and puts the rest back; otherwise as
 * zset_edit_close_taken. */
void zset_edit_take(struct call *call, struct zset_edit *edit, uint64_t first, uint64_t count,
                    const char *event);

/* What ZADD and its relatives are to do, and what they did. */
struct zset_addition {
    bool nx, xx, gt, lt, ch, incr;
    uint64_t added;
    uint64_t updated;
    double score; /* of the last member, after it was processed */
    bool skipped; /* the last member was left as it was because of an option */
};

/* A member to be added, as it was read: nothing has changed before all are. */
struct zset_row {
    double score;
    struct slice text;
    struct element member; /* zset_put's */
    element_scratch scratch;
};

#define ZSET_ROWS_FEW 16 /* so many need no memory */

/* Room for rows: `few`, which has ZSET_ROWS_FEW, or a block. NULL after -OOM. */
struct zset_row *zset_rows_new(struct call *call, uint32_t count, struct zset_row *few);
void zset_rows_free(struct call *call, struct zset_row *rows, const struct zset_row *few);

/* Adds the members or changes their scores, tells of it, and fills in what it did. False after an answer. */
bool zset_put(struct call *call, struct slice name, struct zset_addition *addition, struct zset_row *rows,
              uint32_t count);

/* Puts it back after rows were taken, and tells of it: the event, and "del" when none is left. */
void zset_edit_close_taken(struct call *call, struct zset_edit *edit, const char *event, uint64_t taken);

/* Answers with the key, and with the member of the lowest score (`from_end`: of the highest) and that score, behind the key
 * in one array; the member is taken. True also after WRONGTYPE; false when there is no such key: nothing was answered. */
bool zset_pop_one_from(struct call *call, struct slice name, bool from_end);

/* The same for at most `count_max` > 0 members, which stand in an array of pairs behind the key. */
bool zset_pop_some_from(struct call *call, struct slice name, bool from_end, int64_t count_max);

/* Gives a set that was begun back. */
void zset_edit_drop(struct call *call, struct zset_edit *edit);

/* Stores a set that was begun (zset_edit_begin) under a name, in place of what that holds, and answers with its size; an
 * empty one removes the key. */
void zset_edit_store(struct call *call, struct zset_edit *edit, struct slice name, const char *event);

/* Opens a sorted set to read it; a command that may pause keeps it. False after WRONGTYPE. True with rows == NULL when the key does not exist. */
bool zset_read(struct call *call, struct slice name, struct collection_view *ret_view);

/* Answers with `count` rows from the one at position `first` on, which exist, or (`reverse`) backwards from it. Only the
 * rows: the caller has written the array's head. False: the command has been told to end. */
bool zset_reply_rows(struct call *call, const struct tree *rows, uint64_t first, uint64_t count, bool reverse,
                     bool with_scores, bool nested);

/* ---- Answers, of the executor or of direct reads; `zset->rows` is NULL when the key does not exist --------- */

/* Answers with the score of a member, or with its rank, from the other end with `reverse`. */
void zset_reply_score(struct reply *reply, const struct collection_view *zset, struct slice member);
void zset_reply_rank(struct reply *reply, const struct collection_view *zset, struct slice member,
                     bool reverse, bool with_score);

/* The rows that a range of ranks from `first` to `last` means, both included, in a set of `size` members: *ret_count from
 * position *ret_first on. Negative ranks count from the end; with `reverse` rank 0 is the last row. */
void zset_resolve_ranks(uint64_t size, int64_t first, int64_t last, bool reverse, uint64_t *ret_first,
                        uint64_t *ret_count);

/* Answers with a member, and its score (zset_bits) when that is wanted: one behind the other, or (`nested`) as an array
 * of two. */
void zset_reply_member(struct reply *reply, struct element member, uint64_t bits, bool with_score,
                       bool nested);

/* The head of an array of `count` rows: members, or members and scores, which RESP3 nests. */
bool zset_reply_head(struct reply *reply, uint64_t count, bool with_scores);

#endif
