/* Sorted sets: ZADD, ZINCRBY, ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK, ZREM, ZPOPMIN, ZPOPMAX, ZMPOP, ZRANDMEMBER, ZSCAN.
 * Ranges are in zset_range.c, what several sets have in common in zset_algebra.c.
 *
 * Threads: executor only. */
#include "cmd/zset.h"

#include <math.h>

#include "base/alloc.h"
#include "base/worker.h"
#include "cmd/scan.h"
#include "config/config.h"
#include "exec/args.h"
#include "exec/notify.h"
#include "exec/rows.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/members.h"

#define REMOVE_STEP 16 /* rows that are taken out at once */
#define REMOVE_WORK 128
#define REMOVE_FEW  64 /* rows that are taken out where they are */

static const char not_a_number[] = "ERR resulting score is not a number (NaN)";

/* ---- Shared ------------------------------------------------------------------------------------------------ */

bool zset_edit_open(struct call *call, struct slice name, struct zset_edit *ret_edit)
{
    if (!call_write_collection(call, name, ENTRY_ZSET, &ret_edit->key, &ret_edit->view))
        return false;
    ret_edit->marks = ret_edit->key.entry == NULL ? 0 : ret_edit->key.entry->flags & ENTRY_MARKS;
    return true;
}

void zset_edit_begin(struct call *call, struct zset_edit *edit)
{
    collection_begin(&edit->view, call->exec->keyspace, ENTRY_ZSET);
    edit->marks = 0;
}

void zset_edit_add(struct call *call, struct zset_edit *edit, struct element member, double score)
{
    const struct config *config = call->exec->config;
    element_scratch scratch;
    if (element_text(member, scratch).size > (uint64_t)config->zset_max_listpack_value ||
        tree_rows(edit->view.rows) >= (uint64_t)config->zset_max_listpack_entries)
        edit->marks = ENTRY_GROWN;
    zset_add(&edit->view, member, score);
}

bool zset_edit_close(struct call *call, struct zset_edit *edit)
{
    return call_close_collection(call, &edit->key, &edit->view, ENTRY_ZSET, edit->marks);
}

/* Tells that rows were taken, and of the key's end when it has none left. */
static void tell_taken(struct call *call, const struct zset_edit *edit, const char *event, uint64_t taken)
{
    call_changed(call, NOTIFY_ZSET, event, edit->key.name);
    call->exec->stats.dirty += taken - 1;
    if (edit->key.entry == NULL)
        notify_publish(call->exec, NOTIFY_GENERIC, "del", edit->key.name, call->db);
}

void zset_edit_close_taken(struct call *call, struct zset_edit *edit, const char *event, uint64_t taken)
{
    zset_edit_close(call, edit);
    tell_taken(call, edit, event, taken);
}

/* Makes ready for taking so many rows out, fewer than all. */
static void begin_removal(struct call *call, struct zset_edit *edit, uint64_t count)
{
    if (count > REMOVE_FEW)
        sliced_edit(call, &edit->view);
    else
        sliced_commit(call);
}

/* Takes them out, puts the rest back, and tells of it, unless the command is told to end. */
static void end_removal(struct call *call, struct zset_edit *edit, uint64_t first, uint64_t count,
                        const char *event)
{
    uint64_t left = count;
    while (left > 0) {
        uint64_t step = left < REMOVE_STEP ? left : REMOVE_STEP;
        zset_remove_range(&edit->view, first, step);
        left -= step;
        if (!sliced_pause(call, REMOVE_WORK))
            return;
    }
    sliced_publish(call, &edit->key, &edit->view);
    zset_edit_close_taken(call, edit, event, count);
}

/* All at once, without looking at the rows. */
static void remove_all(struct call *call, struct zset_edit *edit, uint64_t count, const char *event)
{
    call_delete(call, &edit->key);
    tell_taken(call, edit, event, count);
}

void zset_edit_take(struct call *call, struct zset_edit *edit, uint64_t first, uint64_t count,
                    const char *event)
{
    if (count < tree_rows(edit->view.rows)) {
        begin_removal(call, edit, count);
        end_removal(call, edit, first, count, event);
    } else {
        sliced_commit_key(call, &edit->key);
        remove_all(call, edit, count, event);
    }
}

void zset_edit_drop(struct call *call, struct zset_edit *edit)
{
    keyspace_retire_rows(call->exec->keyspace, edit->view.rows);
    if (edit->view.index != NULL)
        keyspace_retire_rows(call->exec->keyspace, edit->view.index);
}

void zset_edit_store(struct call *call, struct zset_edit *edit, struct slice name, const char *event)
{
    uint64_t size = tree_rows(edit->view.rows);
    sliced_commit(call);
    call_write_key(call, name, &edit->key);
    if (size > 0) {
        if (!call_store_collection(call, &edit->key, &edit->view, ENTRY_ZSET, edit->marks))
            return;
        call_changed(call, NOTIFY_ZSET, event, name);
    } else {
        tree_free_some(edit->view.rows, 1);
        if (edit->key.entry != NULL) {
            call_delete(call, &edit->key);
            call_changed(call, NOTIFY_GENERIC, "del", name);
        }
    }
    reply_int(call->out, (int64_t)size);
}

void zset_reply_member(struct reply *reply, struct element member, uint64_t bits, bool with_score,
                       bool nested)
{
    if (with_score && nested)
        reply_array(reply, 2);
    value_reply_element(reply, member);
    if (with_score)
        reply_double(reply, zset_score_of(bits));
}

static void reply_row(struct call *call, const struct page *page, unsigned row, bool with_score, bool nested)
{
    zset_reply_member(call->out, page_element(page, row, 0), page_number(page, row), with_score, nested);
}

bool zset_reply_rows(struct call *call, const struct tree *rows, uint64_t first, uint64_t count, bool reverse,
                     bool with_scores, bool nested)
{
    struct tree_place place;
    if (count == 0)
        return true;
    if (!with_scores)
        return rows_reply(call, rows, first, count, reverse);
    tree_at(rows, first, &place);
    for (; count > 0; count--) {
        if (!sliced_pause(call, 1))
            return false;
        reply_row(call, place.page, place.row, with_scores, nested);
        if (reverse && place.row-- == 0)
            tree_previous_page(rows, &place);
        else if (!reverse && ++place.row == place.page->count)
            tree_next_page(rows, &place);
    }
    return true;
}

bool zset_reply_head(struct reply *reply, uint64_t count, bool with_scores)
{
    bool nested = with_scores && reply->resp == 3;
    reply_array(reply, with_scores && !nested ? 2 * count : count);
    return nested;
}

bool zset_read(struct call *call, struct slice name, struct collection_view *ret_view)
{
    struct key key;
    if (!call_read_collection(call, name, ENTRY_ZSET, &key, ret_view))
        return false;
    if (key.entry == NULL)
        ret_view->rows = NULL;
    else
        sliced_keep_view(call, ret_view);
    return true;
}

/* ---- Adding ------------------------------------------------------------------------------------------------ */

/* The score that a member with `old` is to have. False: the options leave it as it is. */
static bool wanted_score(const struct zset_addition *addition, double old, double *score)
{
    if (addition->nx)
        return false;
    if (addition->incr)
        *score += old;
    return !isnan(*score) && !(addition->gt && *score <= old) && !(addition->lt && *score >= old);
}

/* Adds or updates one member. Its blob is taken over. False: the sum is no number. */
static bool put(struct call *call, struct zset_edit *edit, struct zset_addition *addition,
                const struct zset_row *row)
{
    struct zset_found found;
    double score = row->score;
    addition->skipped = false;
    addition->score = score;
    if (!zset_find(&edit->view, row->text, &found)) {
        if (addition->xx) {
            addition->skipped = true;
            element_unref(row->member);
            return true;
        }
        zset_edit_add(call, edit, row->member, score);
        addition->added++;
        return true;
    }
    element_unref(row->member);
    double old = zset_score_of(found.bits);
    bool wanted = wanted_score(addition, old, &score);
    if (isnan(score))
        return false;
    addition->skipped = !wanted;
    if (!wanted)
        return true;
    addition->score = score;
    if (score != old) {
        zset_change(&edit->view, row->text, &found, score);
        addition->updated++;
    }
    return true;
}

/* Reads scores and members, which take turns in `words`. False after an answer. */
static bool read_rows(struct call *call, const struct slice *words, uint32_t count, struct zset_row *rows)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!num_parse_double(words[2 * i], &rows[i].score)) {
            call_not_float(call);
            return false;
        }
        rows[i].text = words[2 * i + 1];
    }
    return true;
}

static void drop_rows(struct zset_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        element_unref(rows[i].member);
}

static bool make_members(struct call *call, struct zset_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (element_make(rows[i].text, rows[i].scratch, &rows[i].member) != ST_OK) {
            drop_rows(rows, i);
            call_oom(call);
            return false;
        }
    }
    return true;
}

bool zset_put(struct call *call, struct slice name, struct zset_addition *addition, struct zset_row *rows,
              uint32_t count)
{
    struct zset_edit edit;
    if (!make_members(call, rows, count))
        return false;
    bool is_zset = zset_edit_open(call, name, &edit);
    if (!is_zset || (edit.key.entry == NULL && addition->xx)) {
        addition->skipped = true;
        drop_rows(rows, count);
        return is_zset;
    }
    if (edit.key.entry == NULL)
        zset_edit_begin(call, &edit);
    bool is_number = true; /* only INCR can make it false, and has one row */
    for (uint32_t i = 0; i < count; i++)
        is_number = put(call, &edit, addition, &rows[i]);
    if (!zset_edit_close(call, &edit))
        return false;
    if (addition->added + addition->updated > 0) {
        call_changed(call, NOTIFY_ZSET, addition->incr ? "zincr" : "zadd", name);
        call->exec->stats.dirty += addition->added + addition->updated - 1;
    }
    if (!is_number)
        reply_error(call->out, "%s", not_a_number);
    return is_number;
}

/* Reads the options at the front of words[0 .. count). Returns how many there are. */
static uint32_t read_options(struct zset_addition *addition, const struct slice *words, uint32_t count)
{
    const struct {
        const char *token;
        bool *flag;
    } options[] = {{"nx", &addition->nx}, {"xx", &addition->xx}, {"gt", &addition->gt},
                   {"lt", &addition->lt}, {"ch", &addition->ch}, {"incr", &addition->incr}};
    for (uint32_t i = 0; i < count; i++) {
        bool known = false;
        if (words[i].size == 0 || (words[i].data[0] | 32) < 'a') /* a score, most often */
            return i;
        for (size_t j = 0; j < ARRAY_COUNT(options) && !known; j++) {
            known = slice_equal_nocase(words[i], options[j].token);
            if (known)
                *options[j].flag = true;
        }
        if (!known)
            return i;
    }
    return count;
}

/* The error that the options and the number of words behind them deserve, or NULL. */
static const char *options_error(const struct zset_addition *addition, uint32_t words)
{
    if (words == 0 || words % 2 != 0)
        return "ERR syntax error";
    if (addition->nx && addition->xx)
        return "ERR XX and NX options at the same time are not compatible";
    if ((addition->gt && addition->nx) || (addition->lt && addition->nx) || (addition->gt && addition->lt))
        return "ERR GT, LT, and/or NX options at the same time are not compatible";
    if (addition->incr && words > 2)
        return "ERR INCR option supports a single increment-element pair";
    return NULL;
}

struct zset_row *zset_rows_new(struct call *call, uint32_t count, struct zset_row *few)
{
    if (count <= ZSET_ROWS_FEW)
        return few;
    struct zset_row *rows = mem_try_alloc(count * sizeof *rows);
    if (rows == NULL)
        call_oom(call);
    return rows;
}

void zset_rows_free(struct call *call, struct zset_row *rows, const struct zset_row *few)
{
    if (rows != few)
        worker_free(call->exec->workers, rows);
}

void cmd_zadd(struct call *call, const struct args_zadd *args)
{
    struct zset_addition addition = {0};
    uint32_t options = read_options(&addition, args->data, args->data_count);
    uint32_t count = (args->data_count - options) / 2;
    const char *error = options_error(&addition, args->data_count - options);
    if (error != NULL) {
        reply_error(call->out, "%s", error);
        return;
    }
    struct zset_row few[ZSET_ROWS_FEW], *rows = zset_rows_new(call, count, few);
    if (rows == NULL)
        return;
    if (read_rows(call, args->data + options, count, rows) &&
        zset_put(call, args->key, &addition, rows, count)) {
        if (!addition.incr)
            reply_int(call->out, (int64_t)(addition.added + (addition.ch ? addition.updated : 0)));
        else if (addition.skipped)
            reply_null(call->out);
        else
            reply_double(call->out, addition.score);
    }
    zset_rows_free(call, rows, few);
}

void cmd_zincrby(struct call *call, const struct args_zincrby *args)
{
    struct zset_addition addition = {.incr = true};
    struct zset_row row = {.score = args->increment, .text = args->member};
    if (zset_put(call, args->key, &addition, &row, 1))
        reply_double(call->out, addition.score);
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

void cmd_zcard(struct call *call, const struct args_zcard *args)
{
    struct collection_view zset;
    if (zset_read(call, args->key, &zset))
        reply_int(call->out, zset.rows == NULL ? 0 : (int64_t)tree_rows(zset.rows));
}

void zset_reply_score(struct reply *reply, const struct collection_view *zset, struct slice member)
{
    double score;
    if (zset->rows != NULL && zset_score(zset, member, &score))
        reply_double(reply, score);
    else
        reply_null(reply);
}

void cmd_zscore(struct call *call, const struct args_zscore *args)
{
    struct collection_view zset;
    if (zset_read(call, args->key, &zset))
        zset_reply_score(call->out, &zset, args->member);
}

void cmd_zmscore(struct call *call, const struct args_zmscore *args)
{
    struct collection_view zset;
    if (!zset_read(call, args->key, &zset))
        return;
    reply_array(call->out, args->member_count);
    for (uint32_t i = 0; i < args->member_count; i++)
        zset_reply_score(call->out, &zset, args->member[i]);
}

void zset_reply_rank(struct reply *reply, const struct collection_view *zset, struct slice member,
                     bool reverse, bool with_score)
{
    struct zset_found found;
    if (zset->rows == NULL || !zset_find(zset, member, &found)) {
        if (with_score)
            reply_null_array(reply);
        else
            reply_null(reply);
        return;
    }
    struct tree_place place;
    zset_locate(zset, member, &found, &place);
    uint64_t position = tree_position(zset->rows, &place);
    if (with_score)
        reply_array(reply, 2);
    reply_int(reply, (int64_t)(reverse ? tree_rows(zset->rows) - 1 - position : position));
    if (with_score)
        reply_double(reply, zset_score_of(found.bits));
}

static void rank(struct call *call, struct slice name, struct slice member, bool reverse, bool with_score)
{
    struct collection_view zset;
    if (zset_read(call, name, &zset))
        zset_reply_rank(call->out, &zset, member, reverse, with_score);
}

void cmd_zrank(struct call *call, const struct args_zrank *args)
{
    rank(call, args->key, args->member, false, args->withscore);
}

void cmd_zrevrank(struct call *call, const struct args_zrevrank *args)
{
    rank(call, args->key, args->member, true, args->withscore);
}

/* ---- Removing ---------------------------------------------------------------------------------------------- */

void cmd_zrem(struct call *call, const struct args_zrem *args)
{
    struct zset_edit edit;
    uint64_t removed = 0;
    if (!zset_edit_open(call, args->key, &edit))
        return;
    for (uint32_t i = 0; edit.key.entry != NULL && i < args->member_count; i++) {
        struct zset_found found;
        if (!zset_find(&edit.view, args->member[i], &found))
            continue;
        zset_remove(&edit.view, args->member[i], &found);
        removed++;
    }
    if (removed > 0)
        zset_edit_close_taken(call, &edit, "zrem", removed);
    reply_int(call->out, (int64_t)removed);
}

/* Answers with `count` rows from one end, which are there, and takes them. The head of the array is written. */
static void pop_rows(struct call *call, struct zset_edit *edit, bool from_end, uint64_t count, bool nested)
{
    const char *event = from_end ? "zpopmax" : "zpopmin";
    uint64_t size = tree_rows(edit->view.rows);
    sliced_expect(call, 3 * count);
    if (count < size)
        begin_removal(call, edit, count);
    const struct tree *rows = count < size ? edit->view.rows : sliced_keep(call, edit->view.rows);
    if (!zset_reply_rows(call, rows, from_end ? size - 1 : 0, count, from_end, true, nested))
        return;
    if (count < size) {
        end_removal(call, edit, from_end ? size - count : 0, count, event);
    } else {
        sliced_commit_key(call, &edit->key);
        remove_all(call, edit, count, event);
    }
}

static void pop(struct call *call, struct slice name, bool from_end, bool has_count, int64_t count)
{
    struct zset_edit edit;
    if (!zset_edit_open(call, name, &edit))
        return;
    uint64_t size = edit.key.entry == NULL ? 0 : tree_rows(edit.view.rows);
    uint64_t taken = !has_count ? 1 : (uint64_t)count;
    if (taken > size)
        taken = size;
    /* With a count RESP3 nests the pairs; the one pair without a count stands alone. */
    bool nested = has_count && call->out->resp == 3;
    reply_array(call->out, nested ? taken : 2 * taken);
    if (taken > 0)
        pop_rows(call, &edit, from_end, taken, nested);
}

void cmd_zpopmin(struct call *call, const struct args_zpopmin *args)
{
    pop(call, args->key, false, args->has_count, args->count);
}

void cmd_zpopmax(struct call *call, const struct args_zpopmax *args)
{
    pop(call, args->key, true, args->has_count, args->count);
}

static void propagate_pop(struct call *call, struct slice name, bool from_end, bool has_count, uint64_t count)
{
    char text[NUM_I64_TEXT_MAX];
    const struct slice words[] = {from_end ? SLICE("ZPOPMAX") : SLICE("ZPOPMIN"), name,
                                  propagate_number((int64_t)count, text)};
    if (call->has_changed) /* else it has been told to end */
        call_propagate(call, words, has_count ? 3 : 2);
}

bool zset_pop_one_from(struct call *call, struct slice name, bool from_end)
{
    struct zset_edit edit;
    if (!zset_edit_open(call, name, &edit))
        return true;
    if (edit.key.entry == NULL)
        return false;
    reply_array(call->out, 3);
    reply_bulk(call->out, name);
    pop_rows(call, &edit, from_end, 1, false);
    propagate_pop(call, name, from_end, false, 1);
    return true;
}

bool zset_pop_some_from(struct call *call, struct slice name, bool from_end, int64_t count_max)
{
    struct zset_edit edit;
    if (!zset_edit_open(call, name, &edit))
        return true;
    if (edit.key.entry == NULL)
        return false;
    uint64_t count = (uint64_t)count_max, size = tree_rows(edit.view.rows);
    if (count > size)
        count = size;
    reply_array(call->out, 2);
    reply_bulk(call->out, name);
    reply_array(call->out, count);
    pop_rows(call, &edit, from_end, count, true);
    propagate_pop(call, name, from_end, true, count);
    return true;
}

void cmd_zmpop(struct call *call, const struct args_zmpop *args)
{
    bool from_end = args->where == ARGS_ZMPOP_WHERE_MAX;
    for (uint32_t i = 0; i < args->key_count; i++)
        if (zset_pop_some_from(call, args->key[i], from_end, args->has_count ? args->count : 1))
            return;
    reply_null_array(call->out);
}

/* ---- Chance and walks --------------------------------------------------------------------------------------- */

/* With a negative count as many are answered with as were asked for, however small the set: the declaration has a bound. */
static void random_repeated(struct call *call, const struct tree *rows, uint64_t count, bool with_scores)
{
    bool nested = zset_reply_head(call->out, count, with_scores);
    for (uint64_t i = 0; i < count && sliced_pause(call, 2); i++) {
        struct tree_place place;
        members_random(rows, &call->exec->rng, &place);
        reply_row(call, place.page, place.row, with_scores, nested);
    }
}

static void random_different(struct call *call, const struct tree *rows, uint64_t count, bool with_scores)
{
    uint64_t *positions = rows_choose(call, rows, count);
    if (positions == NULL)
        return;
    bool nested = zset_reply_head(call->out, count, with_scores);
    for (uint64_t i = 0; i < count && sliced_pause(call, 2); i++)
        zset_reply_rows(call, rows, positions[i], 1, false, with_scores, nested);
    rows_choice_done(call, positions);
}

void cmd_zrandmember(struct call *call, const struct args_zrandmember *args)
{
    struct collection_view zset;
    bool has_count = args->has_options;
    int64_t count = args->options.count;
    bool with_scores = args->options.withscores;
    if (!zset_read(call, args->key, &zset))
        return;
    if (zset.rows == NULL || (has_count && count == 0)) {
        if (has_count)
            reply_array(call->out, 0);
        else
            reply_null(call->out);
    } else if (!has_count) {
        struct tree_place place;
        members_random(zset.rows, &call->exec->rng, &place);
        reply_row(call, place.page, place.row, false, false);
    } else if (count < 0) {
        random_repeated(call, zset.rows, 0 - (uint64_t)count, with_scores);
    } else if ((uint64_t)count >= tree_rows(zset.rows)) {
        uint64_t size = tree_rows(zset.rows);
        zset_reply_rows(call, zset.rows, 0, size, false, with_scores,
                        zset_reply_head(call->out, size, with_scores));
    } else {
        random_different(call, zset.rows, (uint64_t)count, with_scores);
    }
}

/* `detail`: whether the score is wanted, too. */
static unsigned scan_reply(struct call *call, const struct page *page, unsigned row, unsigned detail)
{
    char text[NUM_DOUBLE_TEXT_MAX];
    call_reply_element(call, page_element(page, row, 0));
    if (!detail)
        return 1;
    /* A bulk string in RESP3, too. */
    reply_bulk(call->out, slice_make(text, num_format_double(zset_score_of(page_number(page, row)), text)));
    return 2;
}

void cmd_zscan(struct call *call, const struct args_zscan *args)
{
    scan_collection(call, SCAN_REQUEST(args), ENTRY_ZSET, scan_reply, !args->noscores);
}
