/* Whole hashes: HGETALL, HKEYS, HVALS, HRANDFIELD, HSCAN. Single fields are in hash.c.
 *
 * Threads: executor only. */
#include "cmd/hash.h"
#include "cmd/scan.h"
#include "exec/rows.h"
#include "exec/sliced.h"
#include "gen/args.h"

static void reply_parts(struct call *call, const struct page *page, unsigned row, unsigned parts)
{
    hash_reply_parts(call->out, page, row, parts);
}

typedef void reply_row_fn(struct call *call, const struct page *page, unsigned row, unsigned parts);

/* Answers with every row of kept rows whose time is after `now_ms`; returns how many they were. */
static uint64_t walk_all(struct call *call, const struct tree *rows, int64_t now_ms, reply_row_fn *reply_row,
                         unsigned parts)
{
    struct tree_place place;
    uint64_t count = 0;
    sliced_expect(call, tree_rows(rows));
    tree_at(rows, 0, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++) {
            if (!sliced_pause(call, 1))
                return count;
            if (unlikely(hash_row_is_over(place.page, row, now_ms)))
                continue;
            reply_row(call, place.page, row, parts);
            count++;
        }
    } while (tree_next_page(rows, &place));
    return count;
}

/* Whether there may be fields whose time has come (types/hash.h, H1). */
static bool may_have_expired(const struct call *call, const struct entry *entry)
{
    return entry->flags & ENTRY_TIMED_FIELDS && entry_fields_due_ms(entry) <= call->exec->keyspace->now_ms;
}

/* ---- All fields -------------------------------------------------------------------------------------------- */

static void reply_whole(struct call *call, struct slice name, unsigned parts)
{
    struct key key;
    struct collection_view hash;
    enum reply_kind kind = parts == (HASH_PART_FIELD | HASH_PART_VALUE) ? REPLY_MAP : REPLY_ARRAY;
    if (!call_read_collection(call, name, ENTRY_HASH, &key, &hash))
        return;
    uint64_t count = key.entry == NULL ? 0 : tree_rows(hash.rows);
    if (count > 0 && unlikely(may_have_expired(call, key.entry))) {
        struct reply_open open = reply_open(call->out);
        count =
            walk_all(call, sliced_keep(call, hash.rows), call->exec->keyspace->now_ms, reply_parts, parts);
        reply_close(call->out, open, kind, count);
        return;
    }
    if (kind == REPLY_MAP)
        reply_map(call->out, count);
    else
        reply_array(call->out, count);
    if (count > 0)
        walk_all(call, sliced_keep(call, hash.rows), INT64_MIN, reply_parts, parts);
}

void cmd_hgetall(struct call *call, const struct args_hgetall *args)
{
    reply_whole(call, args->key, HASH_PART_FIELD | HASH_PART_VALUE);
}

void cmd_hkeys(struct call *call, const struct args_hkeys *args)
{
    reply_whole(call, args->key, HASH_PART_FIELD);
}

void cmd_hvals(struct call *call, const struct args_hvals *args)
{
    reply_whole(call, args->key, HASH_PART_VALUE);
}

/* ---- Chance ------------------------------------------------------------------------------------------------ */

/* Begins an answer with so many fields, each alone or with its value: a flat array, or in RESP3 one of pairs. */
static void begin_fields(struct call *call, uint64_t count, unsigned parts)
{
    bool flat = parts & HASH_PART_VALUE && call->out->resp == 2;
    reply_array(call->out, flat ? 2 * count : count);
}

static void reply_field(struct call *call, const struct page *page, unsigned row, unsigned parts)
{
    if (parts & HASH_PART_VALUE && call->out->resp > 2)
        reply_array(call->out, 2);
    reply_parts(call, page, row, parts);
}

static void reply_field_at(struct call *call, const struct tree *rows, uint64_t position, unsigned parts)
{
    struct tree_place place;
    tree_at(rows, position, &place);
    reply_field(call, place.page, place.row, parts);
}

/* `count` different fields, fewer than all. */
static void reply_different(struct call *call, const struct tree *rows, uint64_t count, unsigned parts)
{
    uint64_t *positions = rows_choose(call, rows, count);
    if (positions == NULL)
        return;
    begin_fields(call, count, parts);
    for (uint64_t i = 0; i < count && sliced_pause(call, 2); i++)
        reply_field_at(call, rows, positions[i], parts);
    rows_choice_done(call, positions);
}

/* Fields at random, of kept rows: -n are n, some of them several times; n are different ones, at most all. */
static void reply_random(struct call *call, const struct tree *rows, int64_t count, unsigned parts)
{
    uint64_t size = tree_rows(rows);
    if (count < 0) {
        begin_fields(call, 0 - (uint64_t)count, parts);
        for (; count < 0 && sliced_pause(call, 2); count++)
            reply_field_at(call, rows, rng_below(&call->exec->rng, size), parts);
    } else if ((uint64_t)count < size) {
        reply_different(call, rows, (uint64_t)count, parts);
    } else {
        begin_fields(call, size, parts);
        walk_all(call, rows, INT64_MIN, reply_field, parts);
    }
}

/* Copies the fields whose times have not come. False: the command has been told to end. */
static bool copy_live(struct call *call, const struct tree *rows, struct tree *ret_live)
{
    int64_t now_ms = call->exec->keyspace->now_ms;
    struct tree_place place;
    hash_begin_timed(rows, ret_live);
    tree_at(rows, 0, &place);
    do {
        hash_add_live(ret_live, place.page, now_ms);
        if (!sliced_pause(call, 4 * place.page->count))
            return false;
    } while (tree_next_page(rows, &place));
    return true;
}

/* HRANDFIELD of a hash in which the times of some fields have come: chosen is among the others. */
static void reply_random_live(struct call *call, const struct tree *rows, int64_t count, bool has_count,
                              unsigned parts)
{
    struct tree live;
    if (copy_live(call, rows, &live)) {
        if (tree_rows(&live) > 0 && has_count)
            reply_random(call, &live, count, parts);
        else if (tree_rows(&live) > 0)
            reply_field_at(call, &live, rng_below(&call->exec->rng, tree_rows(&live)), HASH_PART_FIELD);
        else if (has_count)
            reply_array(call->out, 0);
        else
            reply_null(call->out);
    }
    keyspace_retire_rows(call->exec->keyspace, &live);
}

void cmd_hrandfield(struct call *call, const struct args_hrandfield *args)
{
    struct key key;
    struct collection_view hash;
    bool has_count = args->has_options;
    int64_t count = args->options.count;
    unsigned parts = args->options.withvalues ? HASH_PART_FIELD | HASH_PART_VALUE : HASH_PART_FIELD;
    if (!call_read_collection(call, args->key, ENTRY_HASH, &key, &hash))
        return;
    if (key.entry == NULL || (has_count && count == 0)) {
        if (has_count)
            reply_array(call->out, 0);
        else
            reply_null(call->out);
    } else if (unlikely(may_have_expired(call, key.entry))) {
        reply_random_live(call, sliced_keep(call, hash.rows), count, has_count, parts);
    } else if (has_count) {
        reply_random(call, sliced_keep(call, hash.rows), count, parts);
    } else {
        reply_field_at(call, hash.rows, rng_below(&call->exec->rng, tree_rows(hash.rows)), HASH_PART_FIELD);
    }
}

/* ---- Walking ----------------------------------------------------------------------------------------------- */

static unsigned scan_reply(struct call *call, const struct page *page, unsigned row, unsigned parts)
{
    if (unlikely(hash_row_is_over(page, row, call->exec->keyspace->now_ms)))
        return 0;
    reply_parts(call, page, row, parts);
    return parts & HASH_PART_VALUE ? 2 : 1;
}

void cmd_hscan(struct call *call, const struct args_hscan *args)
{
    scan_collection(call, SCAN_REQUEST(args), ENTRY_HASH, scan_reply,
                    args->novalues ? HASH_PART_FIELD : HASH_PART_FIELD | HASH_PART_VALUE);
}
