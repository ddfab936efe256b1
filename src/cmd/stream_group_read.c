/* XREADGROUP: new entries for a consumer of a group, or those that it still holds; waits for new ones on request.
 *
 * A client that waits does the whole command again when one of its keys gets an entry, or is gone, or loses its group
 * (exec/block.h): so it answers then as it would have answered had it come then. Executor only. */
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "cmd/stream.h"
#include "cmd/stream_group.h"
#include "cmd/wait.h"
#include "exec/args.h"
#include "exec/block.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/stream_progress.h"

#define NO_BLOCK (-1)

#define READ_STEP    8  /* work of delivering an entry, next to that of an element */
#define BEGIN_STEP   16 /* and of beginning with a stream */
#define PARTS_INLINE 4  /* streams for which no memory is asked */

/* What the command's words say. */
struct group_reading {
    struct slice group; /* data NULL: not said yet */
    struct slice consumer;
    bool is_again;      /* the client has waited: its timeout is no longer looked at */
    uint64_t count_max; /* of entries a stream */
    int64_t block_ms;   /* NO_BLOCK: it does not wait */
    uint64_t deadline_ns;
    bool no_ack;
    struct stream_choice streams;
    int64_t now_ms; /* of the start */
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

/* One option, `words[0]`, of which `left` words are left. Returns how many words it took; 0 after an error. */
static uint32_t parse_option(struct call *call, const struct slice *words, uint32_t left,
                             struct group_reading *reading)
{
    if (left > 1 && slice_equal_nocase(words[0], "block"))
        return parse_block(call, words[1], reading) ? 2 : 0;
    if (left > 1 && slice_equal_nocase(words[0], "count"))
        return stream_parse_count(call, words[1], &reading->count_max) ? 2 : 0;
    if (left > 1 && slice_equal_nocase(words[0], "streams"))
        return stream_parse_choice(call, words + 1, left - 1, "xreadgroup", '>', &reading->streams) ? left
                                                                                                    : 0;
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
    *reading = (struct group_reading){
        .is_again = is_again,
        .count_max = UINT64_MAX,
        .block_ms = NO_BLOCK,
        .now_ms = call->exec->now_ms,
    };
    for (uint32_t i = 0; i < count;) {
        uint32_t taken = parse_option(call, words + i, count - i, reading);
        if (taken == 0)
            return false;
        i += taken;
    }
    if (reading->streams.count == 0) {
        call_syntax_error(call);
        return false;
    }
    if (reading->group.data == NULL) {
        reply_error(call->out, "ERR Missing GROUP option for XREADGROUP");
        return false;
    }
    return true;
}

/* About how many entries will be delivered. */
static uint64_t foresee(const struct group_reading *reading, const struct group_view *view, struct slice word)
{
    uint64_t most;
    if (reading->count_max < GROUP_DRAFT_MIN)
        return reading->count_max;
    if (is_new(word)) {
        most = stream_count_after(view->stream, view->group->last_id);
    } else {
        const struct stream_consumer *consumer = stream_group_find_consumer(view->group, reading->consumer);
        most = consumer == NULL ? 0 : tree_rows(&consumer->pending);
    }
    return most < reading->count_max ? most : reading->count_max;
}

/* Whether the group is there and the id is one. False after an error. Adds to `steps` what is to be done. */
static bool check_stream(struct call *call, const struct group_reading *reading, uint32_t index,
                         uint64_t *steps)
{
    struct group_view view;
    struct stream_id id;
    struct slice name = reading->streams.keys[index], word = reading->streams.ids[index];
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
    if (!is_new(word) && !stream_parse_id(call, word, 0, &id))
        return false;
    *steps += foresee(reading, &view, word);
    return true;
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

/* One of the streams: its group and its consumer, to be changed. */
struct reading_part {
    struct group_view view;
    struct stream_group *group; /* NULL: its key's time has come just now */
    struct stream_consumer *consumer;
    uint32_t same; /* the first part with this key, whose view is this one's, too: perhaps itself */
};

/* Delivers entries behind the group's last id. There is one. False, here and below: the command is to end. */
static bool read_new(struct call *call, const struct group_reading *reading, struct reading_part *part)
{
    struct stream_cursor cursor;
    struct stream_group *group = part->group;
    const struct stream *stream = part->view.stream;
    struct stream_id from = group->last_id;
    struct reply_open entries = reply_open(call->out);
    uint64_t count = 0;
    stream_id_increment(&from);
    bool is_there = stream_seek(&cursor, stream, from, false);
    for (; is_there && count < reading->count_max; is_there = stream_step(&cursor), count++) {
        if (!sliced_pause(call, READ_STEP))
            return false;
        stream_reply_entry(call, &cursor.entry);
        stream_progress_advance(stream, group, cursor.entry.id);
        if (reading->no_ack)
            continue;
        struct stream_pending pending = {cursor.entry.id, part->consumer->slot, reading->now_ms, 1};
        stream_group_deliver(call->exec->heap, group, &pending);
        part->view.consumer_is_written = true;
        group_write_claim(call, &part->view, reading->consumer, (struct slice){NULL, 0}, &pending);
    }
    if (!reading->no_ack)
        part->consumer->active_ms = reading->now_ms;
    group_write_consumer(call, &part->view, reading->consumer);
    group_write_progress(call, &part->view);
    reply_close(call->out, entries, REPLY_ARRAY, count);
    return true;
}

/* Delivers again what the consumer holds behind an id, which is not the greatest; what is in the stream no longer, as an
 * id with nothing. */
static bool read_history(struct call *call, const struct group_reading *reading, struct stream_id after,
                         struct reading_part *part)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    struct reply_open entries = reply_open(call->out);
    uint64_t count = 0;
    stream_id_increment(&after);
    stream_pending_from(&walk, part->group, part->consumer, after);
    for (; count < reading->count_max && stream_pending_next(&walk, &pending); count++) {
        struct log_entry entry;
        if (!sliced_pause(call, READ_STEP))
            return false;
        if (!stream_find(part->view.stream, pending.id, &entry)) {
            reply_array(call->out, 2);
            stream_reply_id(call->out, pending.id);
            reply_null_array(call->out);
            continue;
        }
        stream_reply_entry(call, &entry);
        pending.delivered_ms = reading->now_ms;
        pending.deliveries++;
        stream_group_deliver(call->exec->heap, part->group, &pending);
    }
    reply_close(call->out, entries, REPLY_ARRAY, count);
    return true;
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

static bool read_part(struct call *call, const struct group_reading *reading, struct reading_part *parts,
                      uint32_t index, struct stream_list *list)
{
    struct reading_part *part = &parts[parts[index].same];
    struct slice word = reading->streams.ids[index];
    if (part->group == NULL)
        return true;
    if (!is_new(word)) {
        struct stream_id after;
        stream_id_parse(word, 0, &after);
        begin_stream(call, reading->streams.keys[index], list);
        return read_history(call, reading, after, part);
    }
    const struct stream *stream = part->view.stream;
    if (stream_length(stream) == 0 || stream_id_compare(stream_end_id(stream), part->group->last_id) <= 0)
        return true;
    begin_stream(call, reading->streams.keys[index], list);
    part->view.changes++;
    return read_new(call, reading, part);
}

/* Finds for each part the first one that has its key, with a table of `slot_count` slots, a power of two: the parts' numbers
 * from 1 on, by the hashes of their names. */
static void find_same(const struct call *call, const struct group_reading *reading,
                      struct reading_part *parts, uint32_t *slots, uint32_t slot_count)
{
    memset(slots, 0, slot_count * sizeof *slots);
    for (uint32_t index = 0; index < reading->streams.count; index++) {
        struct slice name = reading->streams.keys[index];
        uint32_t at = (uint32_t)keyspace_hash(call->exec->keyspace, name) & (slot_count - 1);
        while (slots[at] != 0 && !slice_equal(reading->streams.keys[slots[at] - 1], name))
            at = (at + 1) & (slot_count - 1);
        if (slots[at] == 0)
            slots[at] = index + 1;
        parts[index].same = slots[at] - 1;
    }
}

/* Gets a group and a consumer to be changed. False: there is no memory for the consumer's name. */
static bool begin_part(struct call *call, const struct group_reading *reading, struct reading_part *parts,
                       uint32_t index, uint64_t steps)
{
    struct reading_part *part = &parts[index];
    part->group = NULL;
    if (part->same < index ||
        !group_lookup(call, reading->streams.keys[index], reading->group, true, &part->view) ||
        part->view.group == NULL)
        return true; /* it has been looked up before: only a key whose time has just come is missing now */
    part->group = group_edit(call, &part->view, steps);
    part->view.writes_effects = true;
    part->consumer = group_meet_consumer(call, &part->view, part->group, reading->consumer);
    return part->consumer != NULL;
}

static void publish_part(struct call *call, const struct group_reading *reading, struct reading_part *part)
{
    group_write_consumer(call, &part->view, reading->consumer);
    group_publish(call, &part->view);
}

/* Reads all streams. False: there was not everything that is needed for it, or the command is to end. */
static bool read_parts(struct call *call, const struct group_reading *reading, struct reading_part *parts,
                       uint64_t steps, struct stream_list *list)
{
    uint32_t begun = 0, read = 0, count = reading->streams.count;
    bool goes_on = true;
    sliced_expect(call, steps * READ_STEP);
    while (goes_on && begun < count) {
        goes_on = begin_part(call, reading, parts, begun++, steps);
        if (!goes_on)
            call_oom(call);
        goes_on = goes_on && sliced_pause(call, BEGIN_STEP);
    }
    while (goes_on && read < count)
        goes_on = read_part(call, reading, parts, read++, list);
    for (uint32_t i = 0; i < begun; i++)
        if (parts[i].group == NULL)
            continue;
        else if (goes_on)
            publish_part(call, reading, &parts[i]);
        else
            group_drop(call, &parts[i].view);
    return goes_on;
}

/* Answers if there is something to answer. False: there is not, and nothing has been written. */
static bool read_groups(struct call *call, const struct group_reading *reading)
{
    struct reading_part few[PARTS_INLINE], *parts = few;
    uint32_t few_slots[2 * PARTS_INLINE], *slots = few_slots, slot_count = 2 * PARTS_INLINE;
    struct stream_list list = {.count = 0};
    uint64_t steps = 0;
    for (uint32_t i = 0; i < reading->streams.count; i++)
        if (!check_stream(call, reading, i, &steps))
            return true;
    if (reading->streams.count > PARTS_INLINE) {
        while (slot_count < 2 * reading->streams.count)
            slot_count *= 2;
        parts = mem_alloc(reading->streams.count * sizeof *parts);
        slots = mem_alloc(slot_count * sizeof *slots);
    }
    find_same(call, reading, parts, slots, slot_count);
    if (slots != few_slots)
        mem_free(slots);
    bool is_done = read_parts(call, reading, parts, steps, &list);
    if (parts != few)
        mem_free(parts);
    if (!is_done)
        return true;
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
        .keys = reading.streams.keys,
        .key_count = reading.streams.count,
        .type = ENTRY_STREAM,
        .deadline_ns = reading.deadline_ns,
        .serve = read_again,
        .hears_of_loss = true,
    };
    block_wait(call, &request);
}
