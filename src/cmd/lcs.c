/* LCS: the longest common subsequence of two string values.
 *
 * Principal entry points: cmd_lcs. Threads: executor only. */
#include <string.h>

#include "base/alloc.h"
#include "cmd/string_edit.h"
#include "gen/args.h"
#include "types/lcs.h"

/* Redis keeps 4 bytes for each pair of positions and refuses more of that than proto-max-bulk-len. The limit stays,
 * although the table here takes a bit for each: it bounds the time, too. */
#define TABLE_BYTES_PER_PAIR 4

/* The value of an optional string; answers with the error and returns false for another type. */
static bool read_value(struct call *call, struct slice name, entry_scratch scratch, struct slice *ret_value)
{
    struct key key;
    *ret_value = SLICE("");
    if (!call_read_key(call, name, &key))
        return true;
    if (entry_type(key.entry) != ENTRY_STRING) {
        reply_error(call->out, "ERR The specified keys must contain string values");
        return false;
    }
    *ret_value = entry_string(key.entry, scratch);
    return true;
}

static bool check_sizes(struct call *call, struct slice a, struct slice b)
{
    if (a.size >= UINT32_MAX - 1 || b.size >= UINT32_MAX - 1) {
        reply_error(call->out, "ERR String too long for LCS");
        return false;
    }
    uint64_t bytes;
    if (__builtin_mul_overflow((a.size + 1) * (b.size + 1), TABLE_BYTES_PER_PAIR, &bytes) ||
        bytes > string_limit(call)) {
        reply_error(call->out,
                    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return false;
    }
    return true;
}

static void reply_no_memory(struct call *call)
{
    reply_error(call->out, "ERR Insufficient memory, failed allocating transient memory for LCS");
}

static void reply_subsequence(struct call *call, const struct lcs *lcs)
{
    char *text = mem_try_alloc(lcs->length);
    if (text == NULL) {
        reply_no_memory(call);
        return;
    }
    struct lcs_walk walk = lcs_walk_start(lcs);
    struct lcs_run run;
    size_t left = lcs->length;
    while (lcs_walk_next(&walk, &run)) {
        left -= run.size;
        memcpy(text + left, lcs->a.data + run.a_start, run.size);
    }
    reply_bulk(call->out, slice_make(text, lcs->length));
    mem_free(text);
}

static void reply_place(struct reply *out, size_t start, size_t size)
{
    reply_array(out, 2);
    reply_int(out, (int64_t)start);
    reply_int(out, (int64_t)(start + size - 1));
}

static void reply_matches(struct call *call, const struct lcs *lcs, int64_t size_min, bool with_size)
{
    struct reply *out = call->out;
    reply_map(out, 2);
    reply_bulk(out, SLICE("matches"));
    struct reply_open matches = reply_open(out);
    uint64_t count = 0;
    struct lcs_walk walk = lcs_walk_start(lcs);
    struct lcs_run run;
    while (lcs_walk_next(&walk, &run)) {
        if ((int64_t)run.size < size_min)
            continue;
        reply_array(out, with_size ? 3 : 2);
        reply_place(out, run.a_start, run.size);
        reply_place(out, run.b_start, run.size);
        if (with_size)
            reply_int(out, (int64_t)run.size);
        count++;
    }
    reply_close(out, matches, REPLY_ARRAY, count);
    reply_bulk(out, SLICE("len"));
    reply_int(out, (int64_t)lcs->length);
}

void cmd_lcs(struct call *call, const struct args_lcs *args)
{
    entry_scratch scratch_a;
    entry_scratch scratch_b;
    struct slice a;
    struct slice b;
    if (!read_value(call, args->key1, scratch_a, &a) || !read_value(call, args->key2, scratch_b, &b))
        return;
    if (args->len && args->idx) {
        reply_error(call->out, "ERR If you want both the length and indexes, please just use IDX.");
        return;
    }
    if (!check_sizes(call, a, b))
        return;
    struct lcs lcs;
    if (lcs_compute(a, b, !args->len, &lcs) != ST_OK) {
        reply_no_memory(call);
        return;
    }
    if (args->len)
        reply_int(call->out, (int64_t)lcs.length);
    else if (args->idx)
        reply_matches(call, &lcs, args->has_min_match_len ? args->min_match_len : 0, args->withmatchlen);
    else
        reply_subsequence(call, &lcs);
    lcs_done(&lcs);
}
