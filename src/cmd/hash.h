/* What the commands of hashes share: hash.c and hash_time.c. Executor only. */
#ifndef SKUA_CMD_HASH_H
#define SKUA_CMD_HASH_H

#include "exec/call.h"
#include "types/hash.h"

/* The marks of the key's hash, into which texts of at most `longest` bytes have been put. */
uint8_t hash_marks_now(const struct call *call, const struct key *key, const struct tree *rows,
                       size_t longest);

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
