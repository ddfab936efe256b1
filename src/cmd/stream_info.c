/* What is known of a stream, its groups and their consumers: XINFO. Executor only. */
#include "base/num.h"
#include "cmd/stream.h"
#include "cmd/stream_group.h"
#include "exec/args.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/stream_progress.h"

#define FULL_COUNT_DEFAULT 10

/* Work of showing a pending entry, a consumer and a group, next to that of an element. */
#define PENDING_STEP  2
#define CONSUMER_STEP 4
#define GROUP_STEP    8

/* ---- Parts ------------------------------------------------------------------------------------------------- */

static void reply_name(struct call *call, const char *name)
{
    reply_bulk_string(call->out, name);
}

static void reply_number(struct call *call, const char *name, int64_t value)
{
    reply_name(call, name);
    reply_int(call->out, value);
}

static void reply_named_id(struct call *call, const char *name, struct stream_id id)
{
    reply_name(call, name);
    stream_reply_id(call->out, id);
}

/* Entries read and lag; null where they are not known. */
static void reply_progress(struct call *call, const struct stream *stream, const struct stream_group *group)
{
    int64_t lag;
    reply_name(call, "entries-read");
    if (group->entries_read != STREAM_READ_UNKNOWN)
        reply_int(call->out, group->entries_read);
    else
        reply_null(call->out);
    reply_name(call, "lag");
    if (stream_progress_lag(stream, group, &lag))
        reply_int(call->out, lag);
    else
        reply_null(call->out);
}

/* The stream that a subcommand is about. False after an error. */
static bool lookup(struct call *call, struct slice name, struct slice group, struct group_view *ret_view)
{
    if (!group_lookup(call, name, group, false, ret_view))
        return false;
    if (ret_view->stream == NULL)
        call_no_such_key(call);
    return ret_view->stream != NULL;
}

/* ---- XINFO GROUPS, XINFO CONSUMERS ------------------------------------------------------------------------- */

void cmd_xinfo_groups(struct call *call, const struct args_xinfo_groups *args)
{
    struct group_view view;
    if (!lookup(call, args->key, SLICE(""), &view))
        return;
    const struct stream *held = stream_ref(view.stream);
    const struct stream_groups *set = held->groups;
    reply_array(call->out, stream_groups_count(set));
    for (uint32_t i = 0; i < stream_groups_count(set) && sliced_pause(call, GROUP_STEP); i++) {
        const struct stream_group *group = set->groups[i];
        reply_map(call->out, 6);
        reply_name(call, "name");
        reply_bulk(call->out, stream_group_name(group));
        reply_number(call, "consumers", group->consumer_count);
        reply_number(call, "pending", (int64_t)tree_rows(&group->pending));
        reply_named_id(call, "last-delivered-id", group->last_id);
        reply_progress(call, held, group);
    }
    stream_unref(call, held);
}

static int64_t age_ms(int64_t now_ms, int64_t since_ms)
{
    return since_ms < now_ms ? now_ms - since_ms : 0;
}

void cmd_xinfo_consumers(struct call *call, const struct args_xinfo_consumers *args)
{
    struct group_view view;
    if (!lookup(call, args->key, args->groupname, &view))
        return;
    if (view.group == NULL) {
        group_not_in_key(call, args->key, args->groupname);
        return;
    }
    const struct stream *held = stream_ref(view.stream);
    const int64_t now_ms = call->exec->now_ms; /* of the start */
    reply_array(call->out, view.group->consumer_count);
    for (uint32_t i = 0; i < view.group->consumer_count && sliced_pause(call, CONSUMER_STEP); i++) {
        const struct stream_consumer *consumer = stream_group_consumer_at(view.group, i);
        bool was_active = consumer->active_ms != STREAM_NEVER_ACTIVE;
        reply_map(call->out, 4);
        reply_name(call, "name");
        reply_bulk(call->out, stream_consumer_name(consumer));
        reply_number(call, "pending", (int64_t)tree_rows(&consumer->pending));
        reply_number(call, "idle", age_ms(now_ms, consumer->seen_ms));
        reply_number(call, "inactive",
                     was_active ? age_ms(now_ms, consumer->active_ms) : STREAM_NEVER_ACTIVE);
    }
    stream_unref(call, held);
}

/* ---- XINFO STREAM ------------------------------------------------------------------------------------------ */

/* What both forms begin with: seven fields. A tree of pages is not a radix tree: pages stand for its keys, pages and
 * inner nodes for its nodes. */
static void reply_head(struct call *call, const struct stream *stream)
{
    struct tree_shape shape;
    tree_shape(&stream->entries, &shape);
    uint64_t pages = stream_length(stream) == 0 ? 0 : shape.pages;
    reply_number(call, "length", (int64_t)stream_length(stream));
    reply_number(call, "radix-tree-keys", (int64_t)pages);
    /* Redis has a node above even a single leaf. */
    reply_number(call, "radix-tree-nodes", (int64_t)(pages + shape.nodes + (shape.nodes == 0)));
    reply_named_id(call, "last-generated-id", stream->last_id);
    reply_named_id(call, "max-deleted-entry-id", stream->max_deleted_id);
    reply_number(call, "entries-added", (int64_t)stream->entries_added);
    reply_named_id(call, "recorded-first-entry-id", stream_first_id(stream));
}

static void reply_end(struct call *call, const char *name, const struct stream *stream, bool last)
{
    struct stream_cursor cursor;
    reply_name(call, name);
    if (stream_seek(&cursor, stream, last ? STREAM_ID_MAX : STREAM_ID_MIN, last))
        stream_reply_entry(call, &cursor.entry);
    else
        reply_null(call->out);
}

static void reply_brief(struct call *call, const struct stream *stream)
{
    reply_map(call->out, 10);
    reply_head(call, stream);
    reply_number(call, "groups", stream_groups_count(stream->groups));
    reply_end(call, "first-entry", stream, false);
    reply_end(call, "last-entry", stream, true);
}

/* What is pending in a group, or at one of its consumers, which is not named again then. False, here and below: the command
 * is to end. */
static bool reply_pending(struct call *call, const struct stream_group *group,
                          const struct stream_consumer *consumer, uint64_t count_max)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    uint64_t rows = tree_rows(consumer != NULL ? &consumer->pending : &group->pending);
    reply_number(call, "pel-count", (int64_t)rows);
    reply_name(call, "pending");
    uint64_t count = rows < count_max ? rows : count_max;
    reply_array(call->out, count);
    stream_pending_from(&walk, group, consumer, STREAM_ID_MIN);
    for (; count > 0 && stream_pending_next(&walk, &pending); count--) {
        if (!sliced_pause(call, PENDING_STEP))
            return false;
        reply_array(call->out, consumer == NULL ? 4 : 3);
        stream_reply_id(call->out, pending.id);
        if (consumer == NULL)
            reply_bulk(call->out, stream_consumer_name(stream_group_consumer(group, pending.slot)));
        reply_int(call->out, pending.delivered_ms);
        reply_int(call->out, (int64_t)pending.deliveries);
    }
    return true;
}

static bool reply_group(struct call *call, const struct stream *stream, const struct stream_group *group,
                        uint64_t count_max)
{
    reply_map(call->out, 7);
    reply_name(call, "name");
    reply_bulk(call->out, stream_group_name(group));
    reply_named_id(call, "last-delivered-id", group->last_id);
    reply_progress(call, stream, group);
    if (!sliced_pause(call, GROUP_STEP) || !reply_pending(call, group, NULL, count_max))
        return false;
    reply_name(call, "consumers");
    reply_array(call->out, group->consumer_count);
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *consumer = stream_group_consumer_at(group, i);
        reply_map(call->out, 5);
        reply_name(call, "name");
        reply_bulk(call->out, stream_consumer_name(consumer));
        reply_number(call, "seen-time", consumer->seen_ms);
        reply_number(call, "active-time", consumer->active_ms);
        if (!sliced_pause(call, CONSUMER_STEP) || !reply_pending(call, group, consumer, count_max))
            return false;
    }
    return true;
}

/* The stream is held. */
static void reply_full(struct call *call, const struct stream *stream, uint64_t count_max)
{
    reply_map(call->out, 9);
    const struct stream_range all = {STREAM_ID_MIN, STREAM_ID_MAX, count_max, false};
    reply_head(call, stream);
    reply_name(call, "entries");
    if (!stream_reply_range(call, stream, &all))
        return;
    reply_name(call, "groups");
    reply_array(call->out, stream_groups_count(stream->groups));
    for (uint32_t i = 0; i < stream_groups_count(stream->groups); i++)
        if (!reply_group(call, stream, stream->groups->groups[i], count_max))
            return;
}

/* The words FULL [COUNT count]. False after an error. */
static bool parse_full(struct call *call, const struct slice *words, uint32_t count, uint64_t *ret_count_max)
{
    int64_t count_max = FULL_COUNT_DEFAULT;
    bool has_count = count == 3 && slice_equal_nocase(words[1], "count");
    if (!slice_equal_nocase(words[0], "full") || (count > 1 && !has_count)) {
        args_wrong_subcommand(call);
        return false;
    }
    if (has_count && !num_parse_i64(words[2], &count_max)) {
        call_not_integer(call);
        return false;
    }
    if (count_max < 0)
        count_max = FULL_COUNT_DEFAULT;
    *ret_count_max = count_max == 0 ? UINT64_MAX : (uint64_t)count_max;
    return true;
}

void cmd_xinfo_stream(struct call *call, const struct args_xinfo_stream *args)
{
    struct group_view view;
    uint64_t count_max;
    if (!lookup(call, args->key, SLICE(""), &view))
        return;
    if (args->full_block_count == 0) {
        reply_brief(call, view.stream);
        return;
    }
    if (!parse_full(call, args->full_block, args->full_block_count, &count_max))
        return;
    const struct stream *held = stream_ref(view.stream);
    reply_full(call, held, count_max);
    stream_unref(call, held);
}
