/* What sorted sets have in common, together, or apart: ZINTER, ZUNION, ZDIFF, their STORE forms, ZINTERCARD. Sets take
 * part with scores of 1.
 *
 * One operand is walked and its members are looked up in others. Intersections walk the smallest, differences the first,
 * unions walk each and leave out what an earlier one has. What is found is gathered, sorted as a sorted set is, and then
 * answered with or stored.
 * The scores of a member are put together in the order of the operands' sizes, as in Redis: the last digit of a sum
 * depends on it.
 * Threads: executor only. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cmd/zset.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/members.h"
#include "types/sort.h"

#define SORT_STEP 32 /* items moved between two chances to pause */

enum operation { OPERATION_INTER, OPERATION_UNION, OPERATION_DIFF };
enum aggregate { AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };

/* What is asked for. */
struct zset_request {
    enum operation operation;
    enum aggregate aggregate;
    const struct slice *keys;
    uint32_t key_count;
    const struct slice *weights; /* as many as keys, or none */
    uint32_t weight_count;
};

struct operand {
    struct collection_view view;
    const struct tree *rows; /* kept; NULL: the key does not exist */
    bool scored;             /* a sorted set, not a set */
    double weight;
};

struct algebra {
    struct call *call;
    const struct zset_request *request;
    struct operand *operands;
    struct operand *
        *order;        /* of request.key_count: the operands in the order in which they are gone through */
    struct sort found; /* ranks are the scores' bits; the members point into the operands' pages */
    uint64_t count;
    uint64_t count_max; /* no more are wanted */
    bool only_counts;
    bool is_over; /* the command has been told to end */
};

/* ---- Operands ---------------------------------------------------------------------------------------------- */

static uint64_t operand_size(const struct operand *operand)
{
    return operand->rows == NULL ? 0 : tree_rows(operand->rows);
}

/* False after WRONGTYPE: neither a set nor a sorted set. */
static bool open_operand(struct call *call, struct slice name, struct operand *operand)
{
    struct key key;
    operand->rows = NULL;
    operand->weight = 1;
    if (!call_read_key(call, name, &key))
        return true;
    enum entry_type type = entry_type(key.entry);
    if (type != ENTRY_SET && type != ENTRY_ZSET) {
        call_wrong_type(call);
        return false;
    }
    collection_open(&operand->view, call->exec->keyspace, key.entry);
    sliced_keep_view(call, &operand->view);
    operand->rows = operand->view.rows;
    operand->scored = type == ENTRY_ZSET;
    return true;
}

static int compare_sizes(const void *a, const void *b)
{
    const struct operand *one = *(struct operand *const *)a, *other = *(struct operand *const *)b;
    uint64_t size = operand_size(one), other_size = operand_size(other);
    if (size != other_size)
        return size < other_size ? -1 : 1;
    return one < other ? -1 : one > other; /* as they stand */
}

static void algebra_done(struct algebra *algebra)
{
    sort_done(&algebra->found, algebra->call->exec->workers);
    mem_free(algebra->order);
    mem_free(algebra->operands);
}

/* False after an answer. */
static bool open_operands(struct algebra *algebra)
{
    const struct zset_request *request = algebra->request;
    uint32_t count = request->key_count;
    algebra->operands = mem_try_alloc(count * sizeof *algebra->operands);
    algebra->order = mem_try_alloc(count * sizeof *algebra->order);
    if (algebra->operands == NULL || algebra->order == NULL) {
        call_oom(algebra->call);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        algebra->order[i] = &algebra->operands[i];
        if (!open_operand(algebra->call, request->keys[i], &algebra->operands[i]))
            return false;
    }
    for (uint32_t i = 0; i < request->weight_count; i++) {
        if (!num_parse_double(request->weights[i], &algebra->operands[i].weight)) {
            reply_error(algebra->call->out, "ERR weight value is not a float");
            return false;
        }
    }
    if (request->operation != OPERATION_DIFF)
        qsort(algebra->order, count, sizeof *algebra->order, compare_sizes);
    return true;
}

/* ---- Scores ------------------------------------------------------------------------------------------------ */

/* A score times its weight; what is no number (infinity times zero) counts as zero. */
static double weighed(const struct operand *operand, double score)
{
    score *= operand->weight;
    return isnan(score) ? 0 : score;
}

static double row_score(const struct operand *operand, const struct page *page, unsigned row)
{
    return weighed(operand, operand->scored ? zset_score_of(page_number(page, row)) : 1);
}

static bool find_score(const struct operand *operand, struct slice member, double *ret_score)
{
    if (operand->rows == NULL)
        return false;
    if (operand->scored) {
        if (!zset_score(&operand->view, member, ret_score))
            return false;
    } else {
        if (!members_contain(operand->rows, member))
            return false;
        *ret_score = 1;
    }
    *ret_score = weighed(operand, *ret_score);
    return true;
}

static double combine(enum aggregate aggregate, double score, double other)
{
    switch (aggregate) {
    case AGGREGATE_MIN: return other < score ? other : score;
    case AGGREGATE_MAX: return other > score ? other : score;
    case AGGREGATE_SUM: break;
    }
    score += other;
    return isnan(score) ? 0 : score; /* infinities of both signs */
}

/* ---- Gathering --------------------------------------------------------------------------------------------- */

/* How many members there can be in the result. */
static uint64_t result_max(const struct algebra *algebra)
{
    const struct zset_request *request = algebra->request;
    uint64_t count = operand_size(algebra->order[0]);
    for (uint32_t i = 1; request->operation == OPERATION_UNION && i < request->key_count; i++)
        count += operand_size(algebra->order[i]);
    return count;
}

/* False: no more are wanted. */
static bool gather(struct algebra *algebra, struct element member, double score)
{
    if (!algebra->only_counts)
        algebra->found.items[algebra->count] = sort_item(zset_bits(score), member);
    return ++algebra->count < algebra->count_max;
}

/* Looks a member of operand `walked` (in the order) up in the others. False: it does not belong to the result, or was
 * found in an earlier operand. */
static bool judge(const struct algebra *algebra, uint32_t walked, struct slice member, double *score)
{
    const struct zset_request *request = algebra->request;
    double other;
    for (uint32_t i = 0; i < request->key_count; i++) {
        if (i == walked)
            continue;
        bool is_in = find_score(algebra->order[i], member, &other);
        switch (request->operation) {
        case OPERATION_INTER:
            if (!is_in)
                return false;
            break;
        case OPERATION_DIFF:
            if (is_in)
                return false;
            continue;
        case OPERATION_UNION:
            if (is_in && i < walked)
                return false;
            if (!is_in)
                continue;
            break;
        }
        *score = combine(request->aggregate, *score, other);
    }
    return true;
}

/* False: no more are wanted, or the command has been told to end. */
static bool walk(struct algebra *algebra, uint32_t walked)
{
    const struct operand *operand = algebra->order[walked];
    struct tree_place place;
    if (operand->rows == NULL)
        return true;
    tree_at(operand->rows, 0, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++) {
            struct element member = page_element(place.page, row, 0);
            element_scratch scratch;
            double score = row_score(operand, place.page, row);
            algebra->is_over = !sliced_pause(algebra->call, algebra->request->key_count);
            if (algebra->is_over)
                return false;
            if (judge(algebra, walked, element_text(member, scratch), &score) &&
                !gather(algebra, member, score))
                return false;
        }
    } while (tree_next_page(operand->rows, &place));
    return true;
}

static int compare_found(const void *context, const struct sort_item *a, const struct sort_item *b)
{
    return element_compare(sort_element(a), sort_element(b));
}

/* Gathers the result, in order. False: there is nothing more to do, after an answer or because the command has been told to
 * end. */
static bool run(struct algebra *algebra)
{
    const struct zset_request *request = algebra->request;
    if (!open_operands(algebra))
        return false;
    uint64_t count = result_max(algebra);
    if (!algebra->only_counts && sort_init(&algebra->found, count, compare_found, NULL) != ST_OK) {
        call_oom(algebra->call);
        return false;
    }
    sliced_expect(algebra->call, count * request->key_count);
    /* A union goes through all, the others through the first in the order. */
    uint32_t walks = request->operation == OPERATION_UNION ? request->key_count : 1;
    for (uint32_t i = 0; i < walks && walk(algebra, i); i++)
        ;
    if (algebra->only_counts)
        return !algebra->is_over;
    algebra->found.count = algebra->count;
    while (!algebra->is_over && !sort_step(&algebra->found, SORT_STEP))
        algebra->is_over = !sliced_pause(algebra->call, SORT_STEP);
    return !algebra->is_over;
}

/* ---- What is done with the result --------------------------------------------------------------------------- */

static void answer(struct call *call, const struct zset_request *request, bool with_scores)
{
    struct algebra algebra = {.call = call, .request = request, .count_max = UINT64_MAX};
    if (run(&algebra)) {
        const struct sort_item *items = algebra.found.items;
        bool nested = zset_reply_head(call->out, algebra.count, with_scores);
        for (uint64_t i = 0; i < algebra.count && sliced_pause(call, 1); i++)
            zset_reply_member(call->out, sort_element(&items[i]), items[i].rank, with_scores, nested);
    }
    algebra_done(&algebra);
}

/* Makes a sorted set of the result. False: the command has been told to end. */
static bool build(struct algebra *algebra, struct zset_edit *edit)
{
    const struct sort_item *items = algebra->found.items;
    zset_edit_begin(algebra->call, edit);
    for (uint64_t i = 0; i < algebra->count; i++) {
        struct element member = sort_element(&items[i]);
        if (!sliced_pause(algebra->call, 2)) {
            zset_edit_drop(algebra->call, edit);
            return false;
        }
        element_ref(member);
        zset_edit_add(algebra->call, edit, member, zset_score_of(items[i].rank));
    }
    return true;
}

static void store(struct call *call, const struct zset_request *request, struct slice destination,
                  const char *event)
{
    struct algebra algebra = {.call = call, .request = request, .count_max = UINT64_MAX};
    struct zset_edit edit;
    bool is_built = run(&algebra) && build(&algebra, &edit);
    algebra_done(&algebra);
    if (is_built)
        zset_edit_store(call, &edit, destination, event);
}

/* ---- Commands ---------------------------------------------------------------------------------------------- */

/* The generated AGGREGATE of a command as ours; SUM when there is none. */
#define AGGREGATE_OF(command, value)                                                                         \
    ((value) == ARGS_##command##_AGGREGATE_MIN   ? AGGREGATE_MIN                                             \
     : (value) == ARGS_##command##_AGGREGATE_MAX ? AGGREGATE_MAX                                             \
                                                 : AGGREGATE_SUM)

void cmd_zinter(struct call *call, const struct args_zinter *args)
{
    const struct zset_request request = {.operation = OPERATION_INTER,
                                         .aggregate = AGGREGATE_OF(ZINTER, args->aggregate),
                                         .keys = args->key,
                                         .key_count = args->key_count,
                                         .weights = args->weight,
                                         .weight_count = args->weight_count};
    answer(call, &request, args->withscores);
}

void cmd_zinterstore(struct call *call, const struct args_zinterstore *args)
{
    const struct zset_request request = {.operation = OPERATION_INTER,
                                         .aggregate = AGGREGATE_OF(ZINTERSTORE, args->aggregate),
                                         .keys = args->key,
                                         .key_count = args->key_count,
                                         .weights = args->weight,
                                         .weight_count = args->weight_count};
    store(call, &request, args->destination, "zinterstore");
}

void cmd_zintercard(struct call *call, const struct args_zintercard *args)
{
    const struct zset_request request = {
        .operation = OPERATION_INTER, .keys = args->key, .key_count = args->key_count};
    struct algebra algebra = {.call = call,
                              .request = &request,
                              .only_counts = true,
                              .count_max = args->limit > 0 ? (uint64_t)args->limit : UINT64_MAX};
    if (run(&algebra))
        reply_int(call->out, (int64_t)algebra.count);
    algebra_done(&algebra);
}

void cmd_zunion(struct call *call, const struct args_zunion *args)
{
    const struct zset_request request = {.operation = OPERATION_UNION,
                                         .aggregate = AGGREGATE_OF(ZUNION, args->aggregate),
                                         .keys = args->key,
                                         .key_count = args->key_count,
                                         .weights = args->weight,
                                         .weight_count = args->weight_count};
    answer(call, &request, args->withscores);
}

void cmd_zunionstore(struct call *call, const struct args_zunionstore *args)
{
    const struct zset_request request = {.operation = OPERATION_UNION,
                                         .aggregate = AGGREGATE_OF(ZUNIONSTORE, args->aggregate),
                                         .keys = args->key,
                                         .key_count = args->key_count,
                                         .weights = args->weight,
                                         .weight_count = args->weight_count};
    store(call, &request, args->destination, "zunionstore");
}

void cmd_zdiff(struct call *call, const struct args_zdiff *args)
{
    const struct zset_request request = {
        .operation = OPERATION_DIFF, .keys = args->key, .key_count = args->key_count};
    answer(call, &request, args->withscores);
}

void cmd_zdiffstore(struct call *call, const struct args_zdiffstore *args)
{
    const struct zset_request request = {
        .operation = OPERATION_DIFF, .keys = args->key, .key_count = args->key_count};
    store(call, &request, args->destination, "zdiffstore");
}
