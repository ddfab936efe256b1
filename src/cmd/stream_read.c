/* XREAD: entries behind an id from several streams; waits for new ones on request.
 *
 * A client that waits has its ids settled when it begins ("$" is the last one of then). Whenever one of its streams gets an
 * entry it looks at all of them again; reading takes nothing away, so everybody who waits is served. Executor only. */
#include "base/alloc.h"
#include "base/num.h"
#include "cmd/stream.h"
#include "cmd/wait.h"
#include "exec/args.h"
#include "exec/block.h"
#include "gen/args.h"

#define HELD_INLINE 8 /* streams for which no memory is asked */

/* What the words say. */
struct reading {
    uint64_t count_max;
    bool is_blocking;
    uint64_t deadline_ns;
    struct stream_choice streams;
};

/* What a client that waits remembers; its keys are the first key_count words behind STREAMS. */
struct waiting {
    uint64_t count_max;
    uint32_t key_count;
    uint32_t first_key;       /* index among the arguments */
    struct stream_id after[]; /* what comes behind these ids is wanted */
};

/* ---- Words --------------------------------------------------------------------------------------------------------- */

static bool parse_block(struct call *call, struct slice word, struct reading *reading)
{
    int64_t timeout_ms;
    if (!num_parse_i64(word, &timeout_ms)) {
        reply_error(call->out, "ERR timeout is not an integer or out of range");
        return false;
    }
    reading->is_blocking = true;
    return wait_deadline(call, timeout_ms, &reading->deadline_ns);
}

/* Of words that only XREADGROUP knows. */
static void refuse_group_option(struct call *call, const char *option)
{
    reply_error(call->out, "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.",
                option);
}

/* One option. Returns how many words it took; 0 after an error. */
static uint32_t parse_option(struct call *call, const struct slice *words, uint32_t left,
                             struct reading *reading)
{
    if (left > 1 && args_is(words[0], "block", 5))
        return parse_block(call, words[1], reading) ? 2 : 0;
    if (left > 1 && args_is(words[0], "count", 5))
        return stream_parse_count(call, words[1], &reading->count_max) ? 2 : 0;
    if (left > 1 && args_is(words[0], "streams", 7))
        return stream_parse_choice(call, words + 1, left - 1, "xread", '$', &reading->streams) ? left : 0;
    if (left > 2 && args_is(words[0], "group", 5))
        refuse_group_option(call, "GROUP");
    else if (args_is(words[0], "noack", 5))
        refuse_group_option(call, "NOACK");
    else
        call_syntax_error(call);
    return 0;
}

static bool parse(struct call *call, const struct slice *words, uint32_t count, struct reading *reading)
{
    *reading = (struct reading){.count_max = UINT64_MAX};
    for (uint32_t i = 0; i < count;) {
        uint32_t taken = parse_option(call, words + i, count - i, reading);
        if (taken == 0)
            return false;
        i += taken;
    }
    if (reading->streams.count > 0)
        return true;
    call_syntax_error(call);
    return false;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static bool is_word(struct slice text, char word)
{
    return text.size == 1 && text.data[0] == word;
}

/* Behind which id entries of `stream` (NULL: it does not exist) are wanted. False after an error. */
static bool settle_id(struct call *call, struct slice text, const struct stream *stream,
                      struct stream_id *ret_after)
{
    if (is_word(text, '>')) {
        reply_error(call->out, "ERR The > ID can be specified only when calling XREADGROUP using the GROUP "
                               "<group> <consumer> option.");
        return false;
    }
    if (!is_word(text, '$') && !is_word(text, '+'))
        return stream_parse_id(call, text, 0, ret_after);
    *ret_after = stream != NULL ? stream->last_id : STREAM_ID_MIN;
    if (is_word(text, '+') && stream != NULL && stream_length(stream) > 0) {
        *ret_after = stream_end_id(stream); /* "+" is the last entry itself */
        stream_id_decrement(ret_after);
    }
    return true;
}

/* The stream of a key, held, if it has anything behind an id; otherwise NULL. */
static const struct stream *hold_stream(struct call *call, struct slice name, struct stream_id after)
{
    struct key key;
    call_peek_key(call, name, &key);
    if (key.entry == NULL || entry_type(key.entry) != ENTRY_STREAM)
        return NULL;
    const struct stream *stream = stream_of(key.entry);
    return stream_id_compare(stream_end_id(stream), after) > 0 ? stream_ref(stream) : NULL;
}

/* Answers with the array of entries of one stream, of which there are some, and of its name. False: the command is to
 * end. */
static bool read_stream(struct call *call, struct slice name, const struct stream *stream,
                        struct stream_id after, uint64_t count_max)
{
    struct stream_range range = {after, STREAM_ID_MAX, count_max, false};
    stream_id_increment(&range.first);
    if (call->out->resp == 2)
        reply_array(call->out, 2);
    reply_bulk(call->out, name);
    return stream_reply_range(call, stream, &range);
}

/* Answers with what there is in streams that are held, `held_count` of them. */
static void reply_streams(struct call *call, const struct slice *keys, const struct waiting *waiting,
                          const struct stream *const *held, uint32_t held_count)
{
    if (call->out->resp == 2)
        reply_array(call->out, held_count);
    else
        reply_map(call->out, held_count);
    for (uint32_t i = 0; i < waiting->key_count; i++)
        if (held[i] != NULL && !read_stream(call, keys[i], held[i], waiting->after[i], waiting->count_max))
            return;
}

/* Answers with the entries that there are now. False, without an answer, when there are none. */
static bool read_streams(struct call *call, const struct slice *keys, const struct waiting *waiting)
{
    const struct stream *few[HELD_INLINE];
    const struct stream **held =
        waiting->key_count <= HELD_INLINE ? few : mem_alloc(waiting->key_count * sizeof *held);
    uint32_t count = 0;
    for (uint32_t i = 0; i < waiting->key_count; i++) {
        held[i] = hold_stream(call, keys[i], waiting->after[i]);
        count += held[i] != NULL;
    }
    if (count > 0)
        reply_streams(call, keys, waiting, held, count);
    for (uint32_t i = 0; i < waiting->key_count; i++)
        if (held[i] != NULL)
            stream_unref(call, held[i]);
    if (held != few)
        mem_free(held);
    return count > 0;
}

/* Of block_wait. */
static bool read_again(struct call *call, struct slice name, const void *details)
{
    const struct waiting *waiting = details;
    return read_streams(call, &call->argv[waiting->first_key], waiting);
}

static void read_or_wait(struct call *call, const struct reading *reading, struct waiting *waiting)
{
    struct block_request request = {
        .keys = reading->streams.keys,
        .key_count = reading->streams.count,
        .type = ENTRY_STREAM,
        .deadline_ns = reading->deadline_ns,
        .serve = read_again,
        .details = waiting,
        .details_size = sizeof *waiting + reading->streams.count * sizeof *waiting->after,
    };
    for (uint32_t i = 0; i < reading->streams.count; i++) {
        struct key key;
        const struct stream *stream;
        if (!stream_read_key(call, reading->streams.keys[i], &key, &stream) ||
            !settle_id(call, reading->streams.ids[i], stream, &waiting->after[i]))
            return;
    }
    if (read_streams(call, reading->streams.keys, waiting))
        return;
    if (reading->is_blocking && wait_is_allowed(call))
        block_wait(call, &request);
    else
        reply_null_array(call->out);
}

void cmd_xread(struct call *call, const struct args_xread *args)
{
    struct reading reading;
    if (!parse(call, args->words, args->words_count, &reading))
        return;
    struct waiting *waiting = mem_try_alloc(sizeof *waiting + reading.streams.count * sizeof *waiting->after);
    if (waiting == NULL) {
        call_oom(call);
        return;
    }
    waiting->count_max = reading.count_max;
    waiting->key_count = reading.streams.count;
    waiting->first_key = (uint32_t)(reading.streams.keys - call->argv);
    read_or_wait(call, &reading, waiting);
    mem_free(waiting);
}
