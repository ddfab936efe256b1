/* LCS: the longest common subsequence of two string values.
 *
 * Principal entry points: cmd_lcs. Threads: executor only. */
#include <string.h>

#include "base/alloc.h"
#include "cmd/string_edit.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/lcs.h"

/* Redis keeps 4 bytes for each pair of positions and refuses more of that than proto-max-bulk-len. The limit stays,
 * although the table here takes a bit for each: it bounds the time, too. */
#define TABLE_BYTES_PER_PAIR 4
/* Steps of the computation, and of the walk over its path, between two chances to pause; and what they are as work. */
#define STEP       ((size_t)4096)
#define STEP_WORK  64
#define WALK_WORK  512
#define MATCH_WORK 2

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

/* The next run of a walk; false: there is none left, or the command has been told to end, *ret_is_over. */
static bool next_run(struct call *call, struct lcs_walk *walk, struct lcs_run *ret_run, bool *ret_is_over)
{
    enum status status;
    while ((status = lcs_walk_step(walk, STEP, ret_run)) == ST_AGAIN) {
        if (!sliced_pause(call, WALK_WORK)) {
            *ret_is_over = true;
            return false;
        }
    }
    return status == ST_OK;
}

static void reply_subsequence(struct call *call, const struct lcs *lcs)
{
    char *text = mem_try_alloc(lcs->length); /* some KB: both strings are as long */
    if (text == NULL) {
        reply_no_memory(call);
        return;
    }
    struct lcs_walk walk = lcs_walk_start(lcs);
    struct lcs_run run;
    size_t left = lcs->length;
    bool is_over = false;
    while (next_run(call, &walk, &run, &is_over)) {
        left -= run.size;
        memcpy(text + left, lcs->a.data + run.a_start, run.size);
    }
    if (!is_over)
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
    reply_map(call->out, 2);
    reply_bulk(call->out, SLICE("matches"));
    struct reply_open matches = reply_open(call->out);
    uint64_t count = 0;
    struct lcs_walk walk = lcs_walk_start(lcs);
    struct lcs_run run;
    bool is_over = false;
    while (next_run(call, &walk, &run, &is_over)) {
        if ((int64_t)run.size < size_min)
            continue;
        reply_array(call->out, with_size ? 3 : 2);
        reply_place(call->out, run.a_start, run.size);
        reply_place(call->out, run.b_start, run.size);
        if (with_size)
            reply_int(call->out, (int64_t)run.size);
        count++;
        if (!sliced_pause(call, MATCH_WORK))
            return;
    }
    if (is_over)
        return;
    reply_close(call->out, matches, REPLY_ARRAY, count);
    reply_bulk(call->out, SLICE("len"));
    reply_int(call->out, (int64_t)lcs->length);
}

static void answer(struct call *call, const struct lcs *lcs, const struct args_lcs *args)
{
    if (args->len)
        reply_int(call->out, (int64_t)lcs->length);
    else if (args->idx)
        reply_matches(call, lcs, args->has_min_match_len ? args->min_match_len : 0, args->withmatchlen);
    else
        reply_subsequence(call, lcs);
}

/* False after an error, or when the command has been told to end. */
static bool compute(struct call *call, struct lcs *lcs)
{
    enum status status;
    sliced_expect(call, lcs->a.size * lcs->row_words / (STEP / STEP_WORK));
    while ((status = lcs_step(lcs, STEP)) == ST_AGAIN)
        if (!sliced_pause(call, STEP_WORK))
            return false;
    if (status != ST_OK)
        reply_no_memory(call);
    return status == ST_OK;
}

void cmd_lcs(struct call *call, const struct args_lcs *args)
{
    entry_scratch scratch_a;
    entry_scratch scratch_b;
    struct slice a;
    struct slice b;
    sliced_hold(call);
    if (!read_value(call, args->key1, scratch_a, &a) || !read_value(call, args->key2, scratch_b, &b))
        return;
    if (args->len && args->idx) {
        reply_error(call->out, "ERR If you want both the length and indexes, please just use IDX.");
        return;
    }
    if (!check_sizes(call, a, b))
        return;
    struct lcs lcs;
    lcs_begin(&lcs, a, b, !args->len);
    if (compute(call, &lcs))
        answer(call, &lcs, args);
    lcs_done(&lcs, call->exec->workers);
}
