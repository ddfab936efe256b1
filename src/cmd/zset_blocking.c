/* Sorted sets that are waited for: BZPOPMIN BZPOPMAX BZMPOP.
 *
 * Each does what its relative without B does, and waits (exec/block.h) where that one would answer that there is
 * nothing. Threads: executor only. */
#include "cmd/wait.h"
#include "cmd/zset.h"
#include "exec/block.h"
#include "gen/args.h"

/* What is taken from the first sorted set that has something. */
struct popping {
    bool from_end;
    bool is_array; /* BZMPOP: an array of pairs, at most count_max */
    int64_t count_max;
};

/* Answers when the key is there: with the key and what was taken, or with WRONGTYPE. */
static bool pop_from(struct call *call, struct slice name, const void *details)
{
    const struct popping *popping = details;
    if (popping->is_array)
        return zset_pop_some_from(call, name, popping->from_end, popping->count_max);
    return zset_pop_one_from(call, name, popping->from_end);
}

static void pop_or_wait(struct call *call, const struct slice *keys, uint32_t key_count, struct slice timeout,
                        const struct popping *popping)
{
    struct block_request request = {
        .keys = keys,
        .key_count = key_count,
        .type = ENTRY_ZSET,
        .serve = pop_from,
        .details = popping,
        .details_size = sizeof *popping,
    };
    wait_for_first(call, &request, timeout);
}

void cmd_bzpopmin(struct call *call, const struct args_bzpopmin *args)
{
    struct popping popping = {.from_end = false};
    pop_or_wait(call, args->key, args->key_count, args->timeout, &popping);
}

void cmd_bzpopmax(struct call *call, const struct args_bzpopmax *args)
{
    struct popping popping = {.from_end = true};
    pop_or_wait(call, args->key, args->key_count, args->timeout, &popping);
}

void cmd_bzmpop(struct call *call, const struct args_bzmpop *args)
{
    struct popping popping = {
        .from_end = args->where == ARGS_BZMPOP_WHERE_MAX,
        .is_array = true,
        .count_max = args->has_count ? args->count : 1,
    };
    pop_or_wait(call, args->key, args->key_count, args->timeout, &popping);
}
