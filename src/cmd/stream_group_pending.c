/* Entries that wait to be acknowledged: XACK and XPENDING. Executor only. */
#include "base/num.h"
#include "cmd/stream.h"
#include "cmd/stream_group.h"
#include "exec/sliced.h"
#include "gen/args.h"

#define PENDING_STEP 2 /* work of looking at a pending entry, next to that of an element */

/* ---- XACK -------------------------------------------------------------------------------------------------- */

void cmd_xack(struct call *call, const struct args_xack *args)
{
    struct group_view view;
    struct stream_id id;
    int64_t settled = 0;
    if (!group_lookup(call, args->key, args->group, true, &view))
        return;
    if (view.group == NULL) {
        reply_int(call->out, 0);
        return;
    }
    for (uint32_t i = 0; i < args->id_count; i++)
        if (!stream_parse_id(call, args->id[i], 0, &id))
            return;
    struct stream_group *group = group_change(call, &view);
    for (uint32_t i = 0; i < args->id_count; i++) {
        stream_id_parse(args->id[i], 0, &id);
        settled += stream_group_settle(call->exec->heap, group, id);
    }
    if (settled > 0)
        group_changed(call, args->key, NULL);
    reply_int(call->out, settled);
}

/* ---- XPENDING ---------------------------------------------------------------------------------------------- */

/* How many there are, from where to where, and who holds any. */
static void reply_summary(struct call *call, const struct stream_group *group)
{
    reply_array(call->out, 4);
    reply_int(call->out, (int64_t)tree_rows(&group->pending));
    if (tree_rows(&group->pending) == 0) {
        reply_null(call->out);
        reply_null(call->out);
        reply_null_array(call->out);
        return;
    }
    stream_reply_id(call->out, stream_group_pending_end(group, false));
    stream_reply_id(call->out, stream_group_pending_end(group, true));
    struct reply_open holders = reply_open(call->out);
    uint64_t count = 0;
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *consumer = stream_group_consumer_at(group, i);
        if (!sliced_pause(call, 1))
            return;
        if (tree_rows(&consumer->pending) == 0)
            continue;
        reply_array(call->out, 2);
        reply_bulk(call->out, stream_consumer_name(consumer));
        reply_bulk_int(call->out, (int64_t)tree_rows(&consumer->pending));
        count++;
    }
    reply_close(call->out, holders, REPLY_ARRAY, count);
}

/* What the extended form asks for. */
struct pending_query {
    struct stream_id first;
    struct stream_id last;
    uint64_t count_max;
    int64_t idle_min_ms;
    struct slice consumer; /* data NULL: any */
};

/* The words [IDLE ms] start end count [consumer]. False after an error. */
static bool parse_query(struct call *call, const struct slice *words, uint32_t count,
                        struct pending_query *ret_query)
{
    int64_t count_max;
    *ret_query = (struct pending_query){.idle_min_ms = 0};
    if (count < 3 || count > 6) {
        call_syntax_error(call);
        return false;
    }
    if (slice_equal_nocase(words[0], "idle")) {
        if (!num_parse_i64(words[1], &ret_query->idle_min_ms)) {
            call_not_integer(call);
            return false;
        }
        if (count < 5) {
            call_syntax_error(call);
            return false;
        }
        words += 2;
        count -= 2;
    }
    if (!num_parse_i64(words[2], &count_max)) {
        call_not_integer(call);
        return false;
    }
    ret_query->count_max = count_max > 0 ? (uint64_t)count_max : 0;
    if (count > 3)
        ret_query->consumer = words[3];
    return stream_parse_bound(call, words[0], false, &ret_query->first) &&
           stream_parse_bound(call, words[1], true, &ret_query->last);
}

static void reply_query(struct call *call, const struct stream_group *group,
                        const struct pending_query *query)
{
    const struct stream_consumer *only = NULL;
    const int64_t now_ms = call->exec->now_ms; /* of the start */
    if (query->consumer.data != NULL) {
        only = stream_group_find_consumer(group, query->consumer);
        if (only == NULL) {
            reply_array(call->out, 0);
            return;
        }
    }
    struct stream_pending_walk walk;
    struct stream_pending pending;
    struct reply_open rows = reply_open(call->out);
    uint64_t count = 0;
    stream_pending_from(&walk, group, only, query->first);
    while (count < query->count_max && stream_pending_next(&walk, &pending) &&
           stream_id_compare(pending.id, query->last) <= 0) {
        if (!sliced_pause(call, PENDING_STEP))
            return;
        int64_t idle = pending.delivered_ms < now_ms ? now_ms - pending.delivered_ms : 0;
        if (query->idle_min_ms > 0 && idle < query->idle_min_ms)
            continue;
        reply_array(call->out, 4);
        stream_reply_id(call->out, pending.id);
        reply_bulk(call->out, stream_consumer_name(stream_group_consumer(group, pending.slot)));
        reply_int(call->out, idle);
        reply_int(call->out, (int64_t)pending.deliveries);
        count++;
    }
    reply_close(call->out, rows, REPLY_ARRAY, count);
}

void cmd_xpending(struct call *call, const struct args_xpending *args)
{
    struct group_view view;
    struct pending_query query;
    bool is_summary = args->filters_count == 0;
    if ((!is_summary && !parse_query(call, args->filters, args->filters_count, &query)) ||
        !group_lookup(call, args->key, args->group, false, &view))
        return;
    if (view.group == NULL) {
        group_missing(call, args->key, args->group);
        return;
    }
    const struct stream *held = stream_ref(view.stream);
    if (is_summary)
        reply_summary(call, view.group);
    else
        reply_query(call, view.group, &query);
    stream_unref(call, held);
}
