/* Direct forms of commands that read small collections: HGET HMGET HEXISTS HLEN HSTRLEN HGETALL HKEYS HVALS, SISMEMBER SMISMEMBER
 * SCARD SMEMBERS, ZSCORE ZMSCORE ZCARD ZRANK ZREVRANK ZRANGE ZREVRANGE, LLEN LINDEX LRANGE.
 *
 * Their other halves are in hash.c, hash_walk.c, set.c, zset.c, zset_range.c and list.c. A small collection is one page, so each
 * answer is short.
 * Threads: I/O threads, inside a section (exec/direct.h). */
#include "cmd/hash.h"
#include "cmd/list.h"
#include "cmd/zset.h"
#include "exec/direct.h"
#include "exec/rows.h"
#include "exec/value.h"
#include "gen/args.h"
#include "types/hash.h"
#include "types/members.h"
#include "types/zset.h"

/* None of the fields that a view shows is over: no time is needed to tell. */
#define ALL_FIELDS INT64_MIN

/* Members or fields of one request, each of which is looked for. */
#define NAMES_MAX 128

static enum direct_outcome reply_size_of(struct direct *direct, const struct request *request,
                                         enum entry_type type)
{
    struct collection_view view;
    enum direct_outcome outcome = direct_read_collection(direct, request, type, &view);
    if (outcome == DIRECT_ANSWERED)
        reply_int(direct->out, view.rows == NULL ? 0 : (int64_t)tree_rows(view.rows));
    return outcome;
}

/* Answers with an array: what `reply_one` says of each of the names behind the key. */
static enum direct_outcome
reply_each(struct direct *direct, const struct request *request, enum entry_type type,
           void (*reply_one)(struct reply *reply, const struct collection_view *view, struct slice name))
{
    struct collection_view view;
    uint32_t count = request->argc - 2;
    if (count > NAMES_MAX)
        return DIRECT_TOO_LARGE;
    enum direct_outcome outcome = direct_read_collection(direct, request, type, &view);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    reply_array(direct->out, count);
    for (uint32_t i = 0; i < count; i++)
        reply_one(direct->out, &view, request->argv[2 + i]);
    return DIRECT_ANSWERED;
}

/* ---- Hashes --------------------------------------------------------------------------------------- */

enum direct_outcome direct_hget(struct direct *direct, const struct request *request)
{
    struct collection_view hash;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_HASH, &hash);
    if (outcome == DIRECT_ANSWERED)
        hash_reply_value(direct->out, hash.rows, ALL_FIELDS, request->argv[2], MEMBERS_NOT_SEEN);
    return outcome;
}

static void reply_field(struct reply *reply, const struct collection_view *hash, struct slice name)
{
    hash_reply_value(reply, hash->rows, ALL_FIELDS, name, MEMBERS_NOT_SEEN);
}

enum direct_outcome direct_hmget(struct direct *direct, const struct request *request)
{
    return reply_each(direct, request, ENTRY_HASH, reply_field);
}

enum direct_outcome direct_hexists(struct direct *direct, const struct request *request)
{
    struct tree_place place;
    struct collection_view hash;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_HASH, &hash);
    if (outcome == DIRECT_ANSWERED)
        reply_int(direct->out,
                  hash.rows != NULL && hash_locate(hash.rows, ALL_FIELDS, request->argv[2], &place));
    return outcome;
}

enum direct_outcome direct_hlen(struct direct *direct, const struct request *request)
{
    return reply_size_of(direct, request, ENTRY_HASH);
}

enum direct_outcome direct_hstrlen(struct direct *direct, const struct request *request)
{
    struct element value;
    element_scratch scratch;
    struct collection_view hash;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_HASH, &hash);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    bool found = hash.rows != NULL && hash_find(hash.rows, ALL_FIELDS, request->argv[2], &value);
    reply_int(direct->out, found ? (int64_t)element_text(value, scratch).size : 0);
    return DIRECT_ANSWERED;
}

static enum direct_outcome reply_whole_hash(struct direct *direct, const struct request *request,
                                            unsigned parts)
{
    struct collection_view hash;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_HASH, &hash);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    unsigned count = hash.rows == NULL ? 0 : (unsigned)tree_rows(hash.rows);
    if (parts == (HASH_PART_FIELD | HASH_PART_VALUE))
        reply_map(direct->out, count);
    else
        reply_array(direct->out, count);
    for (unsigned row = 0; row < count; row++)
        hash_reply_parts(direct->out, hash.rows->root.page, row, parts);
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_hgetall(struct direct *direct, const struct request *request)
{
    return reply_whole_hash(direct, request, HASH_PART_FIELD | HASH_PART_VALUE);
}

enum direct_outcome direct_hkeys(struct direct *direct, const struct request *request)
{
    return reply_whole_hash(direct, request, HASH_PART_FIELD);
}

enum direct_outcome direct_hvals(struct direct *direct, const struct request *request)
{
    return reply_whole_hash(direct, request, HASH_PART_VALUE);
}

/* ---- Sets ----------------------------------------------------------------------------------------- */

enum direct_outcome direct_scard(struct direct *direct, const struct request *request)
{
    return reply_size_of(direct, request, ENTRY_SET);
}

enum direct_outcome direct_sismember(struct direct *direct, const struct request *request)
{
    struct collection_view set;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_SET, &set);
    if (outcome == DIRECT_ANSWERED)
        reply_int(direct->out, set.rows != NULL && members_contain(set.rows, request->argv[2]));
    return outcome;
}

static void reply_is_member(struct reply *reply, const struct collection_view *set, struct slice name)
{
    reply_int(reply, set->rows != NULL && members_contain(set->rows, name));
}

enum direct_outcome direct_smismember(struct direct *direct, const struct request *request)
{
    return reply_each(direct, request, ENTRY_SET, reply_is_member);
}

enum direct_outcome direct_smembers(struct direct *direct, const struct request *request)
{
    struct collection_view set;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_SET, &set);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    unsigned count = set.rows == NULL ? 0 : (unsigned)tree_rows(set.rows);
    reply_set(direct->out, count);
    if (count > 0)
        rows_reply_page(direct->out, set.rows->root.page, 0, count, false);
    return DIRECT_ANSWERED;
}

/* ---- Sorted sets ---------------------------------------------------------------------------------- */

enum direct_outcome direct_zcard(struct direct *direct, const struct request *request)
{
    return reply_size_of(direct, request, ENTRY_ZSET);
}

enum direct_outcome direct_zscore(struct direct *direct, const struct request *request)
{
    struct collection_view zset;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_ZSET, &zset);
    if (outcome == DIRECT_ANSWERED)
        zset_reply_score(direct->out, &zset, request->argv[2]);
    return outcome;
}

enum direct_outcome direct_zmscore(struct direct *direct, const struct request *request)
{
    return reply_each(direct, request, ENTRY_ZSET, zset_reply_score);
}

static enum direct_outcome reply_rank(struct direct *direct, const struct request *request, bool reverse)
{
    struct collection_view zset;
    bool with_score = request->argc > 3;
    if (with_score && (request->argc > 4 || !slice_equal_nocase(request->argv[3], "withscore")))
        return DIRECT_NOT_PLAIN;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_ZSET, &zset);
    if (outcome == DIRECT_ANSWERED)
        zset_reply_rank(direct->out, &zset, request->argv[2], reverse, with_score);
    return outcome;
}

enum direct_outcome direct_zrank(struct direct *direct, const struct request *request)
{
    return reply_rank(direct, request, false);
}

enum direct_outcome direct_zrevrank(struct direct *direct, const struct request *request)
{
    return reply_rank(direct, request, true);
}

static void reply_rows(struct reply *reply, const struct page *page, uint64_t first, uint64_t count,
                       bool reverse, bool with_scores)
{
    bool nested = zset_reply_head(reply, count, with_scores);
    for (uint64_t i = 0; i < count; i++) {
        unsigned row = (unsigned)(reverse ? first + count - 1 - i : first + i);
        zset_reply_member(reply, page_element(page, row, 0), page_number(page, row), with_scores, nested);
    }
}

/* Of the forms of ZRANGE, those by rank. */
static enum direct_outcome reply_ranks(struct direct *direct, const struct request *request, bool reverse,
                                       bool may_reverse)
{
    int64_t start, stop;
    struct collection_view zset;
    bool with_scores = false;
    if (!num_parse_i64(request->argv[2], &start) || !num_parse_i64(request->argv[3], &stop))
        return DIRECT_NOT_PLAIN;
    for (uint32_t i = 4; i < request->argc; i++) {
        if (!with_scores && slice_equal_nocase(request->argv[i], "withscores"))
            with_scores = true;
        else if (may_reverse && !reverse && slice_equal_nocase(request->argv[i], "rev"))
            reverse = true;
        else
            return DIRECT_NOT_PLAIN;
    }
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_ZSET, &zset);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    uint64_t first, count;
    if (zset.rows == NULL) {
        reply_array(direct->out, 0);
        return DIRECT_ANSWERED;
    }
    zset_resolve_ranks(tree_rows(zset.rows), start, stop, reverse, &first, &count);
    reply_rows(direct->out, zset.rows->root.page, first, count, reverse, with_scores);
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_zrange(struct direct *direct, const struct request *request)
{
    return reply_ranks(direct, request, false, true);
}

enum direct_outcome direct_zrevrange(struct direct *direct, const struct request *request)
{
    return reply_ranks(direct, request, true, false);
}

/* ---- Lists ---------------------------------------------------------------------------------------- */

enum direct_outcome direct_llen(struct direct *direct, const struct request *request)
{
    return reply_size_of(direct, request, ENTRY_LIST);
}

enum direct_outcome direct_lindex(struct direct *direct, const struct request *request)
{
    int64_t index;
    uint64_t position;
    struct collection_view list;
    if (!num_parse_i64(request->argv[2], &index))
        return DIRECT_NOT_PLAIN;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_LIST, &list);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    if (list.rows != NULL && list_resolve_index(list.rows, index, &position))
        value_reply_element(direct->out, page_element(list.rows->root.page, (unsigned)position, 0));
    else
        reply_null(direct->out);
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_lrange(struct direct *direct, const struct request *request)
{
    int64_t start, stop;
    uint64_t first = 0, count = 0;
    struct collection_view list;
    if (!num_parse_i64(request->argv[2], &start) || !num_parse_i64(request->argv[3], &stop))
        return DIRECT_NOT_PLAIN;
    enum direct_outcome outcome = direct_read_collection(direct, request, ENTRY_LIST, &list);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    if (list.rows != NULL)
        list_resolve_range(tree_rows(list.rows), start, stop, &first, &count);
    reply_array(direct->out, count);
    if (count > 0)
        rows_reply_page(direct->out, list.rows->root.page, (unsigned)first, (unsigned)count, false);
    return DIRECT_ANSWERED;
}
