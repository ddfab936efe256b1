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
    uint64_t taken = 1;
    if (popping->is_array)
        taken = list_pop_some(call, &key, &list, popping->at_head, popping->count_max);
    else
        list_pop_one(call, &key, &list, popping->at_head);
    if (taken > 0)
        list_propagate_pop(call, name, popping->at_head, popping->is_array, taken);
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
    wait_for_first(call, &request, timeout);
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
    bool names_sides; /* BLMOVE */
};

/* Both commands name the source first and the destination second. */
#define SOURCE      1
#define DESTINATION 2

/* The client's words but for the command's name and the timeout. Of a client that has waited the sides are in lower case, as
 * Redis writes them. */
static void propagate_move(struct call *call, const struct moving *moving)
{
    const struct slice source = call->argv[SOURCE], destination = call->argv[DESTINATION];
    const struct slice sides[] = {SLICE("right"), SLICE("left")};
    if (!moving->names_sides)
        CALL_PROPAGATE(call, SLICE("RPOPLPUSH"), source, destination);
    else if (call->client->key_wait != NULL)
        CALL_PROPAGATE(call, SLICE("LMOVE"), source, destination, sides[moving->from_head],
                       sides[moving->to_head]);
    else
        CALL_PROPAGATE(call, SLICE("LMOVE"), source, destination, call->argv[DESTINATION + 1],
                       call->argv[DESTINATION + 2]);
}

static bool move_from(struct call *call, struct slice name, const void *details)
{
    const struct moving *moving = details;
    if (!list_move(call, name, call->argv[DESTINATION], moving->from_head, moving->to_head))
        return false;
    if (call->has_changed)
        propagate_move(call, moving);
    return true;
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
        .names_sides = true,
    };
    move_or_wait(call, args->timeout, &moving);
}

void cmd_brpoplpush(struct call *call, const struct args_brpoplpush *args)
{
    struct moving moving = {.from_head = false, .to_head = true};
    move_or_wait(call, args->timeout, &moving);
}
