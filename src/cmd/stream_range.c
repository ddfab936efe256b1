/* Ranges of streams: XRANGE, XREVRANGE, and how entries are shown.
 *
 * Threads: executor only. */
#include "cmd/stream.h"
#include "exec/sliced.h"
#include "gen/args.h"

#define RANGE_STEP 4 /* work of showing an entry, next to that of an element */

/* From this size on a value travels to the socket by reference instead of being copied into the reply. */
#define REPLY_PINNED_MIN ENTRY_INLINE_MAX

/* ---- Ends of ranges ------------------------------------------------------------------------------------------------- */

bool stream_parse_bound(struct call *call, struct slice text, bool is_end, struct stream_id *ret_id)
{
    if (text.size == 1 && (text.data[0] == '-' || text.data[0] == '+')) {
        *ret_id = text.data[0] == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
        return true;
    }
    bool is_open = text.size > 1 && text.data[0] == '(';
    if (is_open)
        text = slice_make(text.data + 1, text.size - 1);
    if (!stream_parse_id(call, text, is_end ? UINT64_MAX : 0, ret_id))
        return false;
    if (!is_open || (is_end ? stream_id_decrement(ret_id) : stream_id_increment(ret_id)))
        return true;
    reply_error(call->out, "ERR invalid %s ID for the interval", is_end ? "end" : "start");
    return false;
}

/* ---- Answers ---------------------------------------------------------------------------------------------------------- */

void stream_reply_id(struct reply *out, struct stream_id id)
{
    stream_id_text text;
    reply_bulk(out, slice_make(text, stream_id_format(id, text)));
}

static void reply_value(struct reply *out, const struct log_fields *fields, struct slice value)
{
    if (likely(value.size < REPLY_PINNED_MIN || fields->blob == NULL)) {
        reply_bulk(out, value);
        return;
    }
    element_ref((struct element){(const char *)&fields->blob, sizeof fields->blob, ELEMENT_BLOB});
    reply_bulk_pinned(out, value, blob_unref, fields->blob);
}

void stream_reply_entry(struct call *call, const struct log_entry *entry)
{
    struct reply *out = call->out;
    struct log_fields fields;
    struct slice name, value;
    log_fields_begin(&fields, entry);
    reply_array(out, 2);
    stream_reply_id(out, entry->id);
    reply_array(out, 2 * fields.count);
    while (log_fields_next(&fields, &name, &value)) {
        reply_value(out, &fields, name);
        reply_value(out, &fields, value);
    }
}

bool stream_reply_range(struct call *call, const struct stream *stream, const struct stream_range *range)
{
    struct stream_cursor cursor;
    struct stream_id begin = range->backwards ? range->last : range->first;
    struct stream_id end = range->backwards ? range->first : range->last;
    const struct reply_open entries = reply_open(call->out);
    uint64_t shown = 0;
    bool more = stream_id_compare(range->first, range->last) <= 0 && range->count_max > 0 &&
                stream_seek(&cursor, stream, begin, range->backwards);
    while (more) {
        int order = stream_id_compare(cursor.entry.id, end);
        if (range->backwards ? order < 0 : order > 0)
            break;
        if (!sliced_pause(call, RANGE_STEP))
            return false;
        stream_reply_entry(call, &cursor.entry);
        more = ++shown < range->count_max && stream_step(&cursor);
    }
    reply_close(call->out, entries, REPLY_ARRAY, shown);
    return true;
}

/* ---- Commands ----------------------------------------------------------------------------------------------------------- */

static void range_of_key(struct call *call, struct slice name, const struct stream_range *range)
{
    struct key key;
    const struct stream *stream;
    if (!stream_read_key(call, name, &key, &stream))
        return;
    if (stream == NULL) {
        reply_array(call->out, 0);
        return;
    }
    if (range->count_max == 0) {
        reply_null_array(call->out);
        return;
    }
    /* From here on only what is held is looked at: the key may change whenever the walk pauses. */
    const struct stream *held = stream_ref(stream);
    sliced_expect(call, range->count_max < stream_length(held) ? range->count_max * RANGE_STEP
                                                               : stream_length(held) * RANGE_STEP);
    stream_reply_range(call, held, range);
    stream_unref(call, held);
}

/* COUNT: a negative one is zero. */
static uint64_t count_of(bool is_given, int64_t count)
{
    if (!is_given)
        return UINT64_MAX;
    return count < 0 ? 0 : (uint64_t)count;
}

void cmd_xrange(struct call *call, const struct args_xrange *args)
{
    struct stream_range range = {.count_max = count_of(args->has_count, args->count)};
    if (stream_parse_bound(call, args->start, false, &range.first) &&
        stream_parse_bound(call, args->end, true, &range.last))
        range_of_key(call, args->key, &range);
}

void cmd_xrevrange(struct call *call, const struct args_xrevrange *args)
{
    struct stream_range range = {.backwards = true, .count_max = count_of(args->has_count, args->count)};
    if (stream_parse_bound(call, args->start, false, &range.first) &&
        stream_parse_bound(call, args->end, true, &range.last))
        range_of_key(call, args->key, &range);
}
