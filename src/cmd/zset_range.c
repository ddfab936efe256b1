/* Ranges of sorted sets by position, score or bytes: ZRANGE, ZRANGESTORE, ZREVRANGE, ZRANGEBYSCORE, ZREVRANGEBYSCORE,
 * ZRANGEBYLEX, ZREVRANGEBYLEX, ZCOUNT, ZLEXCOUNT, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX.
 *
 * Every range is brought down to positions first: rows [first, first + count). What is done with them is the same then.
 * Threads: executor only. */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "cmd/zset.h"
#include "exec/sliced.h"
#include "gen/args.h"

#define NO_LIMIT (-1)

enum range_by { BY_RANK, BY_SCORE, BY_LEX };

/* One end of a range of bytes. */
enum lex_kind {
    LEX_LEAST, /* before every member */
    LEX_TEXT,
    LEX_MOST, /* behind every member */
};

struct range_end {
    bool exclusive; /* what equals the end does not belong to the range */
    int64_t rank;
    double score;
    enum lex_kind lex;
    struct slice text; /* of LEX_TEXT */
};

/* What a command asks for. */
struct range {
    enum range_by by;
    bool reverse;
    bool with_scores;
    bool limited;
    int64_t offset; /* rows to leave out; negative: the range is empty */
    int64_t limit;  /* rows at most; negative: all */
    struct range_end low;
    struct range_end high;
};

struct span {
    uint64_t first;
    uint64_t count;
};

enum span_outcome {
    SPAN_FOUND,
    SPAN_EMPTY,
    SPAN_STOPPED, /* sliced_pause said so */
};

/* ---- Reading the ends -------------------------------------------------------------------------------------- */

/* A score, "(" before one that does not belong to the range. As generous as strtod: an empty text is 0, spaces before
 * the number are passed over, a number too large is infinite. */
static bool parse_score(struct slice text, struct range_end *ret_end)
{
    if (text.size > 0 && text.data[0] == '(') {
        ret_end->exclusive = true;
        text = slice_make(text.data + 1, text.size - 1);
    }
    if (num_parse_double(text, &ret_end->score))
        return true;
    char copy[NUM_LONG_DOUBLE_TEXT_MAX], *end;
    if (text.size >= sizeof copy)
        return false;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    ret_end->score = strtod(copy, &end);
    return *end == '\0' && !isnan(ret_end->score);
}

static bool parse_lex(struct slice text, struct range_end *ret_end)
{
    if (text.size == 0)
        return false;
    ret_end->text = slice_make(text.data + 1, text.size - 1);
    ret_end->exclusive = text.data[0] == '(';
    switch (text.data[0]) {
    case '(':
    case '[': ret_end->lex = LEX_TEXT; return true;
    case '-': ret_end->lex = LEX_LEAST; return text.size == 1;
    case '+': ret_end->lex = LEX_MOST; return text.size == 1;
    default: return false;
    }
}

static bool parse_rank(struct slice text, struct range_end *ret_end)
{
    return num_parse_i64(text, &ret_end->rank);
}

static const struct {
    bool (*parse)(struct slice text, struct range_end *ret_end);
    const char *error;
} end_readers[] = {
    [BY_RANK] = {parse_rank, "ERR value is not an integer or out of range"},
    [BY_SCORE] = {parse_score, "ERR min or max is not a float"},
    [BY_LEX] = {parse_lex, "ERR min or max not valid string range item"},
};

/* Reads the ends in the order in which they stand: the upper one first when a range by scores or bytes is reversed.
 * False after an answer. */
static bool parse_ends(struct call *call, struct range *range, struct slice start, struct slice stop)
{
    bool upper_first = range->reverse && range->by != BY_RANK;
    if (end_readers[range->by].parse(start, upper_first ? &range->high : &range->low) &&
        end_readers[range->by].parse(stop, upper_first ? &range->low : &range->high))
        return true;
    reply_error(call->out, "%s", end_readers[range->by].error);
    return false;
}

/* ---- From ends to positions -------------------------------------------------------------------------------- */

static struct span make_span(uint64_t first, uint64_t end)
{
    return (struct span){first, end > first ? end - first : 0};
}

void zset_resolve_ranks(uint64_t rows, int64_t first, int64_t last, bool reverse, uint64_t *ret_first,
                        uint64_t *ret_count)
{
    int64_t size = (int64_t)rows;
    if (first < 0)
        first = first + size < 0 ? 0 : first + size;
    if (last < 0)
        last += size;
    if (last >= size)
        last = size - 1;
    *ret_count = first > last ? 0 : (uint64_t)(last - first) + 1;
    *ret_first = first > last ? 0 : (uint64_t)(reverse ? size - 1 - last : first);
}

static struct span span_of_ranks(const struct tree *rows, const struct range *range)
{
    struct span span;
    zset_resolve_ranks(tree_rows(rows), range->low.rank, range->high.rank, range->reverse, &span.first,
                       &span.count);
    return span;
}

static struct span span_of_scores(const struct tree *rows, const struct range *range)
{
    return make_span(zset_count_below(rows, range->low.score, range->low.exclusive),
                     zset_count_below(rows, range->high.score, !range->high.exclusive));
}

/* How many members are less than the end (or, with `inclusive`, equal to it). All scores are the same. */
static uint64_t lex_count_before(const struct tree *rows, const struct range_end *end, bool inclusive)
{
    if (end->lex == LEX_TEXT)
        return zset_count_before(rows, end->text, inclusive);
    return end->lex == LEX_LEAST ? 0 : tree_rows(rows);
}

/* <0, 0, >0: the member is less than, is, is greater than the end. */
static int lex_compare(const struct tree_place *place, const struct range_end *end)
{
    element_scratch scratch;
    if (end->lex != LEX_TEXT)
        return end->lex == LEX_LEAST ? 1 : -1;
    return slice_compare(element_text(page_element(place->page, place->row, 0), scratch), end->text);
}

static bool lex_is_behind_low(const struct tree_place *place, const struct range *range)
{
    int order = lex_compare(place, &range->low);
    return order > 0 || (order == 0 && !range->low.exclusive);
}

static bool lex_is_before_high(const struct tree_place *place, const struct range *range)
{
    int order = lex_compare(place, &range->high);
    return order < 0 || (order == 0 && !range->high.exclusive);
}

static bool step(const struct tree *rows, struct tree_place *place, bool reverse)
{
    if (reverse)
        return place->row > 0 ? (place->row--, true) : tree_previous_page(rows, place);
    return ++place->row < place->page->count || tree_next_page(rows, place);
}

/* Where scores differ the members are in no order, so that a range has no meaning; clients get what they get from Redis:
 * from the first member that is not before the range's beginning, which must not be behind its end, `offset` members are
 * passed over, and from there on all belong to it up to one that is behind the end. */
static enum span_outcome span_of_mixed_lex(struct call *call, const struct tree *rows,
                                           const struct range *range, struct span *ret_span)
{
    bool (*entered)(const struct tree_place *, const struct range *) =
        range->reverse ? lex_is_before_high : lex_is_behind_low;
    bool (*inside)(const struct tree_place *, const struct range *) =
        range->reverse ? lex_is_behind_low : lex_is_before_high;
    uint64_t size = tree_rows(rows), passed = 0, count = 0;
    struct tree_place first, last, place;
    tree_at(rows, 0, &first);
    tree_at(rows, size - 1, &last);
    if (range->offset < 0 || !lex_is_before_high(&first, range) || !lex_is_behind_low(&last, range))
        return SPAN_EMPTY;
    place = range->reverse ? last : first;
    for (; !entered(&place, range); passed++) {
        if (!sliced_pause(call, 1))
            return SPAN_STOPPED;
        if (!step(rows, &place, range->reverse))
            return SPAN_EMPTY;
    }
    if (!inside(&place, range) || (uint64_t)range->offset >= size - passed)
        return SPAN_EMPTY;
    passed += (uint64_t)range->offset;
    tree_at(rows, range->reverse ? size - 1 - passed : passed, &place);
    while (inside(&place, range)) {
        count++;
        if (!sliced_pause(call, 1))
            return SPAN_STOPPED;
        if (!step(rows, &place, range->reverse))
            break;
    }
    *ret_span = (struct span){range->reverse ? size - passed - count : passed, count};
    return SPAN_FOUND;
}

/* Leaves out `offset` rows at the beginning of the range, and what is over its limit at its end. */
static struct span cut(struct span span, const struct range *range, int64_t offset)
{
    if (offset < 0 || (uint64_t)offset >= span.count)
        return (struct span){0, 0};
    uint64_t count = span.count - (uint64_t)offset;
    if (range->limit >= 0 && count > (uint64_t)range->limit)
        count = (uint64_t)range->limit;
    if (range->reverse)
        return (struct span){span.first + span.count - (uint64_t)offset - count, count};
    return (struct span){span.first + (uint64_t)offset, count};
}

/* The rows of the range, in kept rows, of which there are any. False: the command has been told to end. */
static bool find_span(struct call *call, const struct tree *rows, const struct range *range,
                      struct span *ret_span)
{
    struct span span = {0, 0};
    int64_t offset = range->offset;
    switch (range->by) {
    case BY_RANK: span = span_of_ranks(rows, range); break;
    case BY_SCORE: span = span_of_scores(rows, range); break;
    case BY_LEX:
        if (zset_has_one_score(rows)) {
            span = make_span(lex_count_before(rows, &range->low, range->low.exclusive),
                             lex_count_before(rows, &range->high, !range->high.exclusive));
        } else {
            if (span_of_mixed_lex(call, rows, range, &span) == SPAN_STOPPED)
                return false;
            offset = 0;
        }
        break;
    }
    *ret_span = range->limited && range->by != BY_RANK ? cut(span, range, offset) : span;
    return true;
}

/* ---- Answering with a range -------------------------------------------------------------------------------- */

static void answer(struct call *call, struct slice name, struct range *range, struct slice start,
                   struct slice stop)
{
    struct collection_view zset;
    if (!parse_ends(call, range, start, stop) || !zset_read(call, name, &zset))
        return;
    if (zset.rows == NULL) {
        reply_array(call->out, 0);
        return;
    }
    struct span span;
    if (!find_span(call, zset.rows, range, &span))
        return;
    bool nested = zset_reply_head(call->out, span.count, range->with_scores);
    sliced_expect(call, span.count);
    zset_reply_rows(call, zset.rows, range->reverse ? span.first + span.count - 1 : span.first, span.count,
                    range->reverse, range->with_scores, nested);
}

/* What ZRANGE and ZRANGESTORE do not combine. A LIMIT that leaves the count open counts as none, and is ignored, where
 * none is allowed: clients rely on what Redis does there. */
static bool check_options(struct call *call, const struct range *range)
{
    const char *error = NULL;
    if (range->limited && range->limit != NO_LIMIT && range->by == BY_RANK)
        error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
    else if (range->with_scores && range->by == BY_LEX)
        error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    if (error != NULL)
        reply_error(call->out, "%s", error);
    return error == NULL;
}

void cmd_zrange(struct call *call, const struct args_zrange *args)
{
    static const enum range_by sorts[] = {[ARGS_ZRANGE_SORTBY_NONE] = BY_RANK,
                                          [ARGS_ZRANGE_SORTBY_BYSCORE] = BY_SCORE,
                                          [ARGS_ZRANGE_SORTBY_BYLEX] = BY_LEX};
    struct range range = {.by = sorts[args->sortby],
                          .reverse = args->rev,
                          .with_scores = args->withscores,
                          .limited = args->has_limit,
                          .offset = args->limit.offset,
                          .limit = args->limit.count};
    if (check_options(call, &range))
        answer(call, args->key, &range, args->start, args->stop);
}

void cmd_zrevrange(struct call *call, const struct args_zrevrange *args)
{
    struct range range = {.by = BY_RANK, .reverse = true, .with_scores = args->withscores};
    answer(call, args->key, &range, args->start, args->stop);
}

void cmd_zrangebyscore(struct call *call, const struct args_zrangebyscore *args)
{
    struct range range = {.by = BY_SCORE,
                          .with_scores = args->withscores,
                          .limited = args->has_limit,
                          .offset = args->limit.offset,
                          .limit = args->limit.count};
    answer(call, args->key, &range, args->min, args->max);
}

void cmd_zrevrangebyscore(struct call *call, const struct args_zrevrangebyscore *args)
{
    struct range range = {.by = BY_SCORE,
                          .reverse = true,
                          .with_scores = args->withscores,
                          .limited = args->has_limit,
                          .offset = args->limit.offset,
                          .limit = args->limit.count};
    answer(call, args->key, &range, args->max, args->min);
}

void cmd_zrangebylex(struct call *call, const struct args_zrangebylex *args)
{
    struct range range = {
        .by = BY_LEX, .limited = args->has_limit, .offset = args->limit.offset, .limit = args->limit.count};
    answer(call, args->key, &range, args->min, args->max);
}

void cmd_zrevrangebylex(struct call *call, const struct args_zrevrangebylex *args)
{
    struct range range = {.by = BY_LEX,
                          .reverse = true,
                          .limited = args->has_limit,
                          .offset = args->limit.offset,
                          .limit = args->limit.count};
    answer(call, args->key, &range, args->max, args->min);
}

/* ---- Storing it -------------------------------------------------------------------------------------------- */

/* False: the command has been told to end. */
static bool add_span(struct call *call, struct zset_edit *edit, const struct tree *rows,
                     const struct range *range)
{
    struct tree_place place;
    struct span span;
    if (!find_span(call, rows, range, &span))
        return false;
    if (span.count == 0)
        return true;
    sliced_expect(call, 2 * span.count);
    tree_at(rows, span.first, &place);
    for (uint64_t i = 0; i < span.count; i++) {
        struct element member = page_element(place.page, place.row, 0);
        if (!sliced_pause(call, 2))
            return false;
        element_ref(member);
        zset_edit_add(call, edit, member, zset_score_of(page_number(place.page, place.row)));
        step(rows, &place, false);
    }
    return true;
}

void cmd_zrangestore(struct call *call, const struct args_zrangestore *args)
{
    static const enum range_by sorts[] = {[ARGS_ZRANGESTORE_SORTBY_NONE] = BY_RANK,
                                          [ARGS_ZRANGESTORE_SORTBY_BYSCORE] = BY_SCORE,
                                          [ARGS_ZRANGESTORE_SORTBY_BYLEX] = BY_LEX};
    struct range range = {.by = sorts[args->sortby],
                          .reverse = args->rev,
                          .limited = args->has_limit,
                          .offset = args->limit.offset,
                          .limit = args->limit.count};
    struct collection_view zset;
    struct zset_edit edit;
    if (!check_options(call, &range) || !parse_ends(call, &range, args->min, args->max) ||
        !zset_read(call, args->src, &zset))
        return;
    zset_edit_begin(call, &edit);
    if (zset.rows != NULL && !add_span(call, &edit, zset.rows, &range)) {
        zset_edit_drop(call, &edit);
        return;
    }
    zset_edit_store(call, &edit, args->dst, "zrangestore");
}

/* ---- Counting and removing --------------------------------------------------------------------------------- */

static void count(struct call *call, struct slice name, enum range_by by, struct slice min, struct slice max)
{
    struct range range = {.by = by};
    struct collection_view zset;
    if (!parse_ends(call, &range, min, max) || !zset_read(call, name, &zset))
        return;
    struct span span = {0, 0};
    if (zset.rows == NULL || find_span(call, zset.rows, &range, &span))
        reply_int(call->out, (int64_t)span.count);
}

void cmd_zcount(struct call *call, const struct args_zcount *args)
{
    count(call, args->key, BY_SCORE, args->min, args->max);
}

void cmd_zlexcount(struct call *call, const struct args_zlexcount *args)
{
    count(call, args->key, BY_LEX, args->min, args->max);
}

static void remove_range(struct call *call, struct slice name, const struct range *range, const char *event)
{
    struct zset_edit edit;
    struct span span = {0, 0};
    if (!zset_edit_open(call, name, &edit))
        return;
    if (edit.key.entry != NULL && range->by == BY_LEX && !zset_has_one_score(edit.view.rows))
        sliced_edit(call, &edit.view); /* finding the span may pause */
    if (edit.key.entry != NULL && !find_span(call, edit.view.rows, range, &span))
        return;
    if (span.count > 0)
        zset_edit_take(call, &edit, span.first, span.count, event);
    reply_int(call->out, (int64_t)span.count);
}

void cmd_zremrangebyrank(struct call *call, const struct args_zremrangebyrank *args)
{
    struct range range = {.by = BY_RANK, .low.rank = args->start, .high.rank = args->stop};
    remove_range(call, args->key, &range, "zremrangebyrank");
}

void cmd_zremrangebyscore(struct call *call, const struct args_zremrangebyscore *args)
{
    struct range range = {.by = BY_SCORE};
    if (parse_ends(call, &range, args->min, args->max))
        remove_range(call, args->key, &range, "zremrangebyscore");
}

void cmd_zremrangebylex(struct call *call, const struct args_zremrangebylex *args)
{
    struct range range = {.by = BY_LEX};
    if (parse_ends(call, &range, args->min, args->max))
        remove_range(call, args->key, &range, "zremrangebylex");
}
