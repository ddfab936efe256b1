/* Lists that are waited for: BLPOP BRPOP BLMPOP BLMOVE BRPOPLPUSH.
 *
 * Each does what its relative without B does, and waits (exec/block.h) where that one would answer that there is
 * nothing. Threads: executor only. */
#include "cmd/list.h"
#include "cmd/wait.h"
#include "exec/block.h"
#include "gen/args.h"

/* ---- Popping ----------------------------------------------------------------------------------------------- */

/* What is taken from the first list that has something. */
struct popping {
    bool at_head;
    bool is_array; /* BLMPOP: an array of elements, at most count_max */
    int64_t count_max;
};

/* Answers when the key is there: with the key and what was taken, or with WRONGTYPE. */
static bool pop_from(struct call *call, struct slice name, const void *details)
{
    const struct popping *popping = details;
    struct key key;
    struct collection_view list;
    if (!call_write_collection(call, name, ENTRY_LIST, &key, &list))
        return true;
    if (key.entry == NULL)
        return false;
    reply_array(call->out, 2);
    reply_bulk(call->out, name);
    if (popping->is_array)
        list_pop_some(call, &key, &list, popping->at_head, popping->count_max);
    else
        list_pop_one(call, &key, &list, popping->at_head);
    return true;
}

static void pop_or_wait(struct call *call, const struct slice *keys, uint32_t key_count, struct slice timeout,
                        const struct popping *popping)
{
    struct block_request request = {
        .keys = keys,
        .key_count = key_count,
        .type = ENTRY_LIST,
        .serve = pop_from,
        .details = popping,
        .details_size = sizeof *popping,
    };
    if (!wait_deadline_seconds(call, timeout, &request.deadline_ns))
        return;
    for (uint32_t i = 0; i < key_count; i++)
        if (pop_from(call, keys[i], popping))
            return;
    if (wait_is_allowed(call))
        block_wait(call, &request);
    else
        reply_null_array(call->out);
}

void cmd_blpop(struct call *call, const struct args_blpop *args)
{
    struct popping popping = {.at_head = true};
    pop_or_wait(call, args->key, args->key_count, args->timeout, &popping);
}

void cmd_brpop(struct call *call, const struct args_brpop *args)
{
    struct popping popping = {.at_head = false};
    pop_or_wait(call, args->key, args->key_count, args->timeout, &popping);
}

void cmd_blmpop(struct call *call, const struct args_blmpop *args)
{
    struct popping popping = {
        .at_head = args->where == ARGS_BLMPOP_WHERE_LEFT,
        .is_array = true,
        .count_max = args->has_count ? args->count : 1,
    };
    pop_or_wait(call, args->key, args->key_count, args->timeout, &popping);
}

/* ---- Moving ------------------------------------------------------------------------------------------------ */

struct moving {
    bool from_head;
    bool to_head;
};

/* Both commands name the source first and the destination second. */
#define SOURCE      1
#define DESTINATION 2

static bool move_from(struct call *call, struct slice name, const void *details)
{
    const struct moving *moving = details;
    return list_move(call, name, call->argv[DESTINATION], moving->from_head, moving->to_head);
}

static void move_or_wait(struct call *call, struct slice timeout, const struct moving *moving)
{
    struct block_request request = {
        .keys = &call->argv[SOURCE],
        .key_count = 1,
        .type = ENTRY_LIST,
        .serve = move_from,
        .details = moving,
        .details_size = sizeof *moving,
    };
    if (!wait_deadline_seconds(call, timeout, &request.deadline_ns) ||
        move_from(call, call->argv[SOURCE], moving))
        return;
    if (wait_is_allowed(call))
        block_wait(call, &request);
    else
        reply_null(call->out);
}

void cmd_blmove(struct call *call, const struct args_blmove *args)
{
    struct moving moving = {
        .from_head = args->wherefrom == ARGS_BLMOVE_WHEREFROM_LEFT,
        .to_head = args->whereto == ARGS_BLMOVE_WHERETO_LEFT,
    };
    move_or_wait(call, args->timeout, &moving);
}

void cmd_brpoplpush(struct call *call, const struct args_brpoplpush *args)
{
    struct moving moving = {.from_head = false, .to_head = true};
    move_or_wait(call, args->timeout, &moving);
}
