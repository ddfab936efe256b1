/* XREADGROUP: new entries for a consumer of a group, or those that it still holds; waits for new ones on request.
 *
 * A client that waits does the whole command again when one of its keys gets an entry, or is gone, or loses its group
 * (exec/block.h): so it answers then as it would have answered had it come then. Executor only. */
#include "base/num.h"
#include "cmd/stream.h"
#include "cmd/stream_group.h"
#include "cmd/wait.h"
#include "exec/args.h"
#include "exec/block.h"
#include "gen/args.h"
#include "types/stream_progress.h"

#define NO_BLOCK (-1)

/* What the command's words say. */
struct group_reading {
    struct slice group; /* data NULL: not said yet */
    struct slice consumer;
    bool is_again;      /* the client has waited: its timeout is no longer looked at */
    uint64_t count_max; /* of entries a stream */
    int64_t block_ms;   /* NO_BLOCK: it does not wait */
    uint64_t deadline_ns;
    bool no_ack;
    const struct slice *keys;
    const struct slice *ids;
    uint32_t stream_count;
};

/* ">", or the greatest id, behind which nothing can be held. */
static bool is_new(struct slice word)
{
    struct stream_id id;
    return slice_equal(word, SLICE(">")) ||
           (stream_id_parse(word, 0, &id) && stream_id_equal(id, STREAM_ID_MAX));
}

/* ---- Arguments --------------------------------------------------------------------------------------------- */

static bool parse_block(struct call *call, struct slice word, struct group_reading *reading)
{
    if (!num_parse_i64(word, &reading->block_ms)) {
        reply_error(call->out, "ERR timeout is not an integer or out of range");
        return false;
    }
    return reading->is_again || wait_deadline(call, reading->block_ms, &reading->deadline_ns);
}

static bool parse_count(struct call *call, struct slice word, struct group_reading *reading)
{
    int64_t count;
    if (!num_parse_i64(word, &count)) {
        call_not_integer(call);
        return false;
    }
    reading->count_max = count > 0 ? (uint64_t)count : UINT64_MAX;
    return true;
}

/* The words behind STREAMS: as many keys as ids. */
static bool parse_streams(struct call *call, const struct slice *words, uint32_t count,
                          struct group_reading *reading)
{
    if (count % 2 != 0) {
        reply_error(call->out,
                    "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be "
                    "specified.");
        return false;
    }
    reading->keys = words;
    reading->ids = words + count / 2;
    reading->stream_count = count / 2;
    return true;
}

/* One option, `words[0]`, of which `left` words are left. Returns how many words it took; 0 after an error. */
static uint32_t parse_option(struct call *call, const struct slice *words, uint32_t left,
                             struct group_reading *reading)
{
    if (left > 1 && slice_equal_nocase(words[0], "block"))
        return parse_block(call, words[1], reading) ? 2 : 0;
    if (left > 1 && slice_equal_nocase(words[0], "count"))
        return parse_count(call, words[1], reading) ? 2 : 0;
    if (left > 1 && slice_equal_nocase(words[0], "streams"))
        return parse_streams(call, words + 1, left - 1, reading) ? left : 0;
    if (left > 2 && slice_equal_nocase(words[0], "group")) {
        reading->group = words[1];
        reading->consumer = words[2];
        return 3;
    }
    if (slice_equal_nocase(words[0], "noack")) {
        reading->no_ack = true;
        return 1;
    }
    call_syntax_error(call);
    return 0;
}

static bool parse(struct call *call, const struct slice *words, uint32_t count, bool is_again,
                  struct group_reading *reading)
{
    *reading = (struct group_reading){.is_again = is_again, .count_max = UINT64_MAX, .block_ms = NO_BLOCK};
    for (uint32_t i = 0; i < count;) {
        uint32_t taken = parse_option(call, words + i, count - i, reading);
        if (taken == 0)
            return false;
        i += taken;
    }
    if (reading->stream_count == 0) {
        call_syntax_error(call);
        return false;
    }
    if (reading->group.data == NULL) {
        reply_error(call->out, "ERR Missing GROUP option for XREADGROUP");
        return false;
    }
    return true;
}

/* Whether every group is there and every id is one. False after an error. */
static bool check_stream(struct call *call, const struct group_reading *reading, uint32_t index)
{
    struct group_view view;
    struct stream_id id;
    struct slice name = reading->keys[index], word = reading->ids[index];
    if (!group_lookup(call, name, reading->group, false, &view))
        return false;
    if (view.group == NULL) {
        reply_error(call->out,
                    "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP option",
                    GROUP_SHOWN(name), GROUP_SHOWN(reading->group));
        return false;
    }
    if (slice_equal(word, SLICE("$")) || slice_equal(word, SLICE("+"))) {
        reply_error(
            call->out,
            "ERR The %.*s ID is meaningless in the context of XREADGROUP: you want to read the history of "
            "this consumer by specifying a proper ID, or use the > ID to get new messages. The %.*s ID would "
            "just return an empty result set.",
            ARGS_SHOWN(word), ARGS_SHOWN(word));
        return false;
    }
    return is_new(word) || stream_parse_id(call, word, 0, &id);
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

/* Delivers entries behind the group's last id. There is one. */
static void read_new(struct call *call, const struct group_reading *reading, const struct stream *stream,
                     struct stream_group *group, struct stream_consumer *consumer)
{
    struct stream_cursor cursor;
    struct stream_id from = group->last_id;
    struct reply_open entries = reply_open(call->out);
    uint64_t count = 0;
    stream_id_increment(&from);
    bool is_there = stream_seek(&cursor, stream, from, false);
    for (; is_there && count < reading->count_max; is_there = stream_step(&cursor), count++) {
        stream_reply_entry(call, &cursor.entry);
        stream_progress_advance(stream, group, cursor.entry.id);
        if (reading->no_ack)
            continue;
        struct stream_pending pending = {cursor.entry.id, consumer->slot, call->exec->now_ms, 1};
        stream_group_deliver(call->exec->heap, group, &pending);
    }
    if (!reading->no_ack)
        consumer->active_ms = call->exec->now_ms;
    reply_close(call->out, entries, REPLY_ARRAY, count);
    group_changed(call, SLICE(""), NULL);
}

/* Delivers again what the consumer holds behind an id, which is not the greatest; what is in the stream no longer, as an
 * id with nothing. */
static void read_history(struct call *call, const struct group_reading *reading, struct stream_id after,
                         const struct stream *stream, struct stream_group *group,
                         const struct stream_consumer *consumer)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    struct reply_open entries = reply_open(call->out);
    uint64_t count = 0;
    stream_id_increment(&after);
    stream_pending_from(&walk, group, consumer, after);
    for (; count < reading->count_max && stream_pending_next(&walk, &pending); count++) {
        struct log_entry entry;
        if (!stream_find(stream, pending.id, &entry)) {
            reply_array(call->out, 2);
            stream_reply_id(call->out, pending.id);
            reply_null_array(call->out);
            continue;
        }
        stream_reply_entry(call, &entry);
        pending.delivered_ms = call->exec->now_ms;
        pending.deliveries++;
        stream_group_deliver(call->exec->heap, group, &pending);
    }
    reply_close(call->out, entries, REPLY_ARRAY, count);
}

/* The answer's list of streams, which begins with the first one that has something. */
struct stream_list {
    struct reply_open open;
    uint64_t count;
};

static void begin_stream(struct call *call, struct slice name, struct stream_list *list)
{
    if (list->count++ == 0)
        list->open = reply_open(call->out);
    if (call->out->resp < 3)
        reply_array(call->out, 2);
    reply_bulk(call->out, name);
}

/* False: there is no memory for the consumer's name. */
static bool read_stream(struct call *call, const struct group_reading *reading, uint32_t index,
                        struct stream_list *list)
{
    struct group_view view;
    struct slice name = reading->keys[index], word = reading->ids[index];
    if (!group_lookup(call, name, reading->group, true, &view) || view.group == NULL)
        return true; /* it has been looked up before: only a key whose time has just come is missing now */
    struct stream_group *group = group_change(call, &view);
    struct stream_consumer *consumer = group_meet_consumer(call, &view, group, reading->consumer);
    if (consumer == NULL)
        return false;
    if (!is_new(word)) {
        struct stream_id after;
        stream_id_parse(word, 0, &after);
        begin_stream(call, name, list);
        read_history(call, reading, after, view.stream, group, consumer);
    } else if (stream_length(view.stream) > 0 &&
               stream_id_compare(stream_end_id(view.stream), group->last_id) > 0) {
        begin_stream(call, name, list);
        read_new(call, reading, view.stream, group, consumer);
    }
    return true;
}

/* Answers if there is something to answer. False: there is not, and nothing has been written. */
static bool read_groups(struct call *call, const struct group_reading *reading)
{
    struct stream_list list = {.count = 0};
    for (uint32_t i = 0; i < reading->stream_count; i++)
        if (!check_stream(call, reading, i))
            return true;
    struct reply_mark before = reply_mark(call->out);
    for (uint32_t i = 0; i < reading->stream_count; i++) {
        if (read_stream(call, reading, i, &list))
            continue;
        reply_rollback(call->out, before);
        call_oom(call);
        return true;
    }
    if (list.count == 0)
        return false;
    reply_close(call->out, list.open, call->out->resp < 3 ? REPLY_ARRAY : REPLY_MAP, list.count);
    return true;
}

/* Of block_request: a key has got something, or has lost what it had. */
static bool read_again(struct call *call, struct slice name, const void *details)
{
    struct group_reading reading;
    (void)name;
    (void)details;
    return !parse(call, call->argv + 1, call->argc - 1, true, &reading) || read_groups(call, &reading);
}

void cmd_xreadgroup(struct call *call, const struct args_xreadgroup *args)
{
    struct group_reading reading;
    if (!parse(call, args->words, args->words_count, false, &reading) || read_groups(call, &reading))
        return;
    if (reading.block_ms == NO_BLOCK || !wait_is_allowed(call)) {
        reply_null_array(call->out);
        return;
    }
    struct block_request request = {
        .keys = reading.keys,
        .key_count = reading.stream_count,
        .type = ENTRY_STREAM,
        .deadline_ns = reading.deadline_ns,
        .serve = read_again,
        .hears_of_loss = true,
    };
    block_wait(call, &request);
}
