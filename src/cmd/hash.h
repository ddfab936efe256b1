/* What the commands of hashes share: hash.c, hash_walk.c, hash_time.c and direct reads. Executor only, unless said. */
#ifndef SKUA_CMD_HASH_H
#define SKUA_CMD_HASH_H

#include "exec/call.h"
#include "types/hash.h"

/* The marks of the key's hash, into which texts of at most `longest` bytes have been put. */
uint8_t hash_marks_now(const struct call *call, const struct key *key, const struct tree *rows,
                       size_t longest);

/* Answers with the value of a field, or null. `rows` NULL: there is no hash. Whoever may read the rows. */
void hash_reply_value(struct reply *reply, const struct tree *rows, int64_t now_ms, struct slice field,
                      struct members_seen seen);

/* What is told of a field. */
enum hash_part {
    HASH_PART_FIELD = 1 << 0,
    HASH_PART_VALUE = 1 << 1,
};

/* Answers with parts of a row. Whoever may read the page. */
ALWAYS_INLINE void hash_reply_parts(struct reply *reply, const struct page *page, unsigned row,
                                    unsigned parts)
{
    if (parts & HASH_PART_FIELD)
        value_reply_element(reply, page_element(page, row, 0));
    if (parts & HASH_PART_VALUE)
        value_reply_element(reply, page_element(page, row, 1));
}

/* Bytes of the longest of the texts. */
static inline size_t hash_longest(const struct slice *texts, uint32_t count)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < count; i++)
        if (texts[i].size > longest)
            longest = texts[i].size;
    return longest;
}

#endif
