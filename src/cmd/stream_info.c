/* XINFO STREAM: what a stream is like. Executor only. */
#include "cmd/stream.h"
#include "gen/args.h"
#include "types/stream.h"

#define FULL_COUNT 10 /* entries of the full form, when the client does not say */

static void reply_named_id(struct reply *out, const char *name, struct stream_id id)
{
    reply_bulk_string(out, name);
    stream_reply_id(out, id);
}

static void reply_named_count(struct reply *out, const char *name, uint64_t count)
{
    reply_bulk_string(out, name);
    reply_int(out, (int64_t)count);
}

/* The first or the last entry, or nil. */
static void reply_end(struct call *call, const char *name, const struct stream *stream, bool is_last)
{
    struct stream_cursor cursor;
    reply_bulk_string(call->out, name);
    if (stream_seek(&cursor, stream, is_last ? STREAM_ID_MAX : STREAM_ID_MIN, is_last))
        stream_reply_entry(call, &cursor.entry);
    else
        reply_null(call->out);
}

/* The seven lines that the short and the full form begin with. */
static void reply_numbers(struct reply *out, const struct stream *stream)
{
    struct tree_shape shape;
    tree_shape(&stream->entries, &shape);
    uint64_t leaves = stream_length(stream) == 0 ? 0 : shape.pages;
    reply_named_count(out, "length", stream_length(stream));
    reply_named_count(out, "radix-tree-keys", leaves);
    /* Redis has a node above even a single leaf. */
    reply_named_count(out, "radix-tree-nodes", leaves + shape.nodes + (shape.nodes == 0));
    reply_named_id(out, "last-generated-id", stream->last_id);
    reply_named_id(out, "max-deleted-entry-id", stream->max_deleted_id);
    reply_named_count(out, "entries-added", stream->entries_added);
    reply_named_id(out, "recorded-first-entry-id", stream_first_id(stream));
}

/* The short form. */
static void reply_short(struct call *call, const struct stream *stream)
{
    reply_map(call->out, 10);
    reply_numbers(call->out, stream);
    reply_named_count(call->out, "groups", 0);
    reply_end(call, "first-entry", stream, false);
    reply_end(call, "last-entry", stream, true);
}

/* The full form, with at most `count_max` entries. */
static void reply_full(struct call *call, const struct stream *stream, uint64_t count_max)
{
    const struct stream_range all = {STREAM_ID_MIN, STREAM_ID_MAX, count_max, false};
    reply_map(call->out, 9);
    reply_numbers(call->out, stream);
    reply_bulk_string(call->out, "entries");
    stream_reply_range(call, stream, &all);
    reply_bulk_string(call->out, "groups");
    reply_array(call->out, 0);
}

void cmd_xinfo_stream(struct call *call, const struct args_xinfo_stream *args)
{
    struct key key;
    const struct stream *stream;
    if (!stream_read_key(call, args->key, &key, &stream))
        return;
    if (stream == NULL) {
        call_no_such_key(call);
        return;
    }
    if (!args->has_full_block) {
        reply_short(call, stream);
        return;
    }
    int64_t count = args->full_block.has_count ? args->full_block.count : FULL_COUNT;
    if (count < 0)
        count = FULL_COUNT;
    reply_full(call, stream, count == 0 ? UINT64_MAX : (uint64_t)count);
}
