/* Streams: XADD, XTRIM, XDEL, XSETID, XLEN, and what all commands of streams share.
 *
 * Threads: executor only. */
#include "cmd/stream.h"

#include "base/num.h"
#include "config/config.h"
#include "exec/args.h"
#include "exec/block.h"
#include "exec/notify.h"
#include "gen/args.h"

/* All fields and values of an entry together. */
#define ENTRY_SIZE_MAX ((size_t)1 << 30)

/* How many entries an inexact trimming takes out at most, when the client does not say. */
#define TRIM_LEAVES_MAX    100
#define TRIM_LIMIT_DEFAULT 10000
#define TRIM_LIMIT_MAX     1000000

/* ---- Keys and options ------------------------------------------------------------------------------------------- */

static bool take_stream(struct call *call, const struct key *key, const struct stream **ret_stream)
{
    *ret_stream = NULL;
    if (key->entry == NULL)
        return true;
    if (entry_type(key->entry) != ENTRY_STREAM) {
        call_wrong_type(call);
        return false;
    }
    *ret_stream = stream_of(key->entry);
    return true;
}

bool stream_read_key(struct call *call, struct slice name, struct key *ret_key,
                     const struct stream **ret_stream)
{
    call_read_key(call, name, ret_key);
    return take_stream(call, ret_key, ret_stream);
}

bool stream_write_key(struct call *call, struct slice name, struct key *ret_key,
                      const struct stream **ret_stream)
{
    call_write_key(call, name, ret_key);
    return take_stream(call, ret_key, ret_stream);
}

void stream_unref(struct call *call, const struct stream *stream)
{
    keyspace_release_object(call->exec->keyspace, (struct object *)&stream->object);
}

struct stream_limits stream_limits(const struct call *call)
{
    const struct config *config = call->exec->config;
    return (struct stream_limits){(uint64_t)config->stream_node_max_bytes,
                                  (uint64_t)config->stream_node_max_entries};
}

void stream_announce(struct call *call, const struct key *key)
{
    block_key_ready(call->exec->block, call->db, ENTRY_STREAM, key->name, key->hash);
}

bool stream_parse_choice(struct call *call, const struct slice *words, uint32_t count, const char *command,
                         char sign, struct stream_choice *ret_streams)
{
    if (count % 2 != 0) {
        reply_error(
            call->out,
            "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' must be specified.",
            command, sign);
        return false;
    }
    *ret_streams = (struct stream_choice){.keys = words, .ids = words + count / 2, .count = count / 2};
    return true;
}

bool stream_parse_count(struct call *call, struct slice word, uint64_t *ret_count_max)
{
    int64_t count;
    if (!num_parse_i64(word, &count)) {
        call_not_integer(call);
        return false;
    }
    *ret_count_max = count > 0 ? (uint64_t)count : UINT64_MAX;
    return true;
}

void stream_invalid_id(struct call *call)
{
    reply_error(call->out, "ERR Invalid stream ID specified as stream command argument");
}

bool stream_parse_id(struct call *call, struct slice text, uint64_t seq_absent, struct stream_id *ret_id)
{
    if (stream_id_parse(text, seq_absent, ret_id))
        return true;
    stream_invalid_id(call);
    return false;
}

/* ---- Trimming ---------------------------------------------------------------------------------------------------- */

/* What stands before the id of XADD, or behind the key of XTRIM. */
struct trimming {
    bool is_wanted;
    bool has_limit;
    bool no_make; /* NOMKSTREAM */
    struct stream_trim trim;
    uint32_t threshold_at; /* the word behind "~", in argv; 0: none */
};

/* MAXLEN or MINID, whose word has been seen; `words` begins behind it. Returns how many words it takes, 0 after an
 * error. */
static uint32_t parse_threshold(struct call *call, const struct slice *words, uint32_t count, bool by_id,
                                struct trimming *trimming)
{
    uint32_t used = 0;
    int64_t length = 0;
    if (trimming->is_wanted) {
        reply_error(call->out,
                    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        return 0;
    }
    if (count >= 2 && (args_is(words[0], "~", 1) || args_is(words[0], "=", 1))) {
        trimming->trim.whole_nodes = words[0].data[0] == '~';
        used = 1;
    }
    if (by_id && !stream_parse_id(call, words[used], 0, &trimming->trim.id))
        return 0;
    if (!by_id && !num_parse_i64(words[used], &length)) {
        call_not_integer(call);
        return 0;
    }
    if (length < 0) {
        reply_error(call->out, "ERR The MAXLEN argument must be >= 0.");
        return 0;
    }
    trimming->is_wanted = true;
    trimming->trim.by = by_id ? STREAM_TRIM_ID : STREAM_TRIM_LENGTH;
    trimming->trim.length = (uint64_t)length;
    return used + 1;
}

/* LIMIT: as parse_threshold. */
static uint32_t parse_limit(struct call *call, struct slice word, struct trimming *trimming)
{
    int64_t limit;
    if (!num_parse_i64(word, &limit)) {
        call_not_integer(call);
        return 0;
    }
    if (limit < 0) {
        reply_error(call->out, "ERR The LIMIT argument must be >= 0.");
        return 0;
    }
    trimming->has_limit = true;
    trimming->trim.limit = (uint64_t)limit;
    return 1;
}

/* Whether the options go together. False after an error. */
static bool settle_trimming(struct call *call, bool is_trim, struct trimming *trimming)
{
    struct stream_trim *trim = &trimming->trim;
    const char *error = NULL;
    if (trim->limit > 0 && !trimming->is_wanted)
        error = "LIMIT cannot be used without specifying a trimming strategy";
    else if (is_trim && !trimming->is_wanted)
        error = "XTRIM must be called with a trimming strategy";
    else if (trimming->has_limit && !trim->whole_nodes && !(call->client->flags & CLIENT_PRIMARY))
        error = "LIMIT cannot be used without the special ~ option";
    if (error != NULL) {
        reply_error(call->out, "ERR syntax error, %s", error);
        return false;
    }
    if (!trim->whole_nodes)
        trim->limit =
            0; /* a log's exact trimming may still have the limit of the inexact one that it stands for */
    if (trim->whole_nodes && !trimming->has_limit) {
        uint64_t leaf = stream_limits(call).node_entries;
        trim->limit = leaf == 0 ? TRIM_LIMIT_DEFAULT : TRIM_LIMIT_MAX;
        if (leaf > 0 && leaf < TRIM_LIMIT_MAX / TRIM_LEAVES_MAX)
            trim->limit = leaf * TRIM_LEAVES_MAX;
    }
    return true;
}

/* Reads options up to a word that is none, which XTRIM refuses. *ret_used: where that is. False after an error. */
static bool parse_trimming(struct call *call, const struct slice *words, uint32_t count, bool is_trim,
                           struct trimming *ret_trimming, uint32_t *ret_used)
{
    uint32_t i = 0;
    *ret_trimming = (struct trimming){};
    while (i < count) {
        const struct slice *next = &words[i + 1];
        uint32_t left = count - i - 1, used = 0;
        bool by_id = args_is(words[i], "minid", 5);
        if (left > 0 && (by_id || args_is(words[i], "maxlen", 6))) {
            if ((used = parse_threshold(call, next, left, by_id, ret_trimming)) == 0)
                return false;
            if (ret_trimming->trim.whole_nodes)
                ret_trimming->threshold_at = (uint32_t)(&next[1] - call->argv);
        } else if (left > 0 && args_is(words[i], "limit", 5)) {
            if ((used = parse_limit(call, next[0], ret_trimming)) == 0)
                return false;
        } else if (!is_trim && args_is(words[i], "nomkstream", 10)) {
            ret_trimming->no_make = true;
        } else if (!is_trim) {
            break;
        } else {
            call_syntax_error(call);
            return false;
        }
        i += used + 1;
    }
    *ret_used = i;
    return true;
}

#define TRIM_EDITS 2

/* Where trimming takes whole nodes, what it has left is written as what it was to leave: nodes are not the same everywhere.
 * Returns how many edits it makes, in `ret_edits`; `text` is where the threshold goes. */
static uint32_t edit_trimming(const struct trimming *trimming, const struct stream *stream,
                              stream_id_text text, struct propagate_edit ret_edits[static TRIM_EDITS])
{
    if (trimming->threshold_at == 0)
        return 0;
    struct slice threshold;
    struct stream_id first = stream_length(stream) > 0 ? stream_first_id(stream) : STREAM_ID_MAX;
    if (trimming->trim.by == STREAM_TRIM_LENGTH)
        threshold = propagate_number((int64_t)stream_length(stream), text);
    else
        threshold = slice_make(text, stream_id_format(first, text));
    ret_edits[0] = (struct propagate_edit){trimming->threshold_at - 1, SLICE("=")};
    ret_edits[1] = (struct propagate_edit){trimming->threshold_at, threshold};
    return TRIM_EDITS;
}

static void propagate_trimmed(struct call *call, const struct trimming *trimming, const struct stream *stream)
{
    stream_id_text text;
    struct propagate_edit edits[TRIM_EDITS];
    uint32_t count = edit_trimming(trimming, stream, text, edits);
    if (count > 0)
        call_propagate_edited(call, edits, count);
}

void cmd_xtrim(struct call *call, const struct args_xtrim *args)
{
    struct key key;
    const struct stream *stream;
    struct trimming trimming;
    uint32_t used;
    if (!parse_trimming(call, args->words + 1, args->words_count - 1, true, &trimming, &used) ||
        !settle_trimming(call, true, &trimming) || !stream_write_key(call, args->words[0], &key, &stream))
        return;
    struct keyspace *keyspace = call->exec->keyspace;
    uint64_t gone = 0;
    if (stream != NULL)
        gone = stream_trim(keyspace, stream_change(keyspace, key.entry), &trimming.trim);
    if (gone > 0) {
        call_changed(call, NOTIFY_STREAM, "xtrim", key.name);
        propagate_trimmed(call, &trimming, stream_of(key.entry));
    }
    reply_int(call->out, (int64_t)gone);
}

/* ---- Adding ------------------------------------------------------------------------------------------------------- */

/* The id that XADD was given. */
struct wanted_id {
    bool any;     /* "*" */
    bool any_seq; /* "ms-*" */
    struct stream_id id;
};

/* False after an error. */
static bool parse_wanted_id(struct call *call, struct slice text, struct wanted_id *ret_wanted)
{
    *ret_wanted = (struct wanted_id){.any = text.size == 1 && text.data[0] == '*'};
    if (ret_wanted->any)
        return true;
    if (stream_id_parse_partly(text, 0, &ret_wanted->id, &ret_wanted->any_seq))
        return true;
    stream_invalid_id(call);
    return false;
}

/* The id that the entry gets. `last` is the greatest of the stream. False after an error. */
static bool choose_id(struct call *call, const struct wanted_id *wanted, struct stream_id last,
                      struct stream_id *ret_id)
{
    struct stream_id id = wanted->id, next = last;
    if (!stream_id_increment(&next)) {
        reply_error(call->out, "ERR The stream has exhausted the last possible ID, unable to add more items");
        return false;
    }
    if (wanted->any) {
        uint64_t now_ms = (uint64_t)call->exec->now_ms;
        id = now_ms > last.ms ? (struct stream_id){now_ms, 0} : next;
    } else if (wanted->any_seq && id.ms == last.ms && last.seq < UINT64_MAX) {
        id.seq = last.seq + 1;
    }
    if (stream_id_compare(id, last) <= 0) {
        reply_error(call->out,
                    "ERR The ID specified in XADD is equal or smaller than the target stream top item");
        return false;
    }
    *ret_id = id;
    return true;
}

/* Puts the entry into the key's stream, or into a new one. False after an error, nothing has changed. */
static bool add_entry(struct call *call, struct key *key, const struct log_draft *draft)
{
    struct keyspace *keyspace = call->exec->keyspace;
    const struct stream_limits limits = stream_limits(call);
    if (key->entry != NULL) {
        if (!stream_append(stream_change(keyspace, key->entry), draft, &limits)) {
            call_oom(call);
            return false;
        }
        stream_announce(call, key);
        return true;
    }
    struct stream *stream = stream_new(keyspace->heap);
    struct entry *entry = NULL;
    struct entry_options options = call_entry_options(call, key, false);
    if (stream_append(stream, draft, &limits))
        entry = entry_new_object(keyspace->heap, key->name, ENTRY_STREAM, &stream->object, &options);
    if (entry == NULL)
        keyspace_release_object(keyspace, &stream->object);
    return call_store(call, key, entry);
}

/* Whether the fields are of a size that can be stored. False after an error. */
static bool check_size(struct call *call, const struct log_draft *draft)
{
    size_t size = 0;
    for (uint32_t i = 0; i < 2 * draft->pair_count && size <= ENTRY_SIZE_MAX; i++)
        size += draft->pairs[i].size;
    if (size <= ENTRY_SIZE_MAX)
        return true;
    reply_error(call->out, "ERR Elements are too large to be stored");
    return false;
}

/* With the id that the entry has got in the place of one that was left to us, the word at `id_at`. */
static void propagate_added(struct call *call, const struct trimming *trimming,
                            const struct wanted_id *wanted, uint32_t id_at, struct stream_id id,
                            const struct stream *stream)
{
    stream_id_text threshold, text;
    struct propagate_edit edits[TRIM_EDITS + 1];
    if (!propagate_is_on(call->exec))
        return;
    uint32_t count = edit_trimming(trimming, stream, threshold, edits);
    if (wanted->any || wanted->any_seq)
        edits[count++] = (struct propagate_edit){id_at, slice_make(text, stream_id_format(id, text))};
    if (count > 0)
        call_propagate_edited(call, edits, count);
}

void cmd_xadd(struct call *call, const struct args_xadd *args)
{
    const struct slice *words = args->words + 1;
    uint32_t count = args->words_count - 1, used;
    struct trimming trimming;
    struct wanted_id wanted = {};
    if (!parse_trimming(call, words, count, false, &trimming, &used) ||
        (used < count && !parse_wanted_id(call, words[used], &wanted)) ||
        !settle_trimming(call, false, &trimming))
        return;
    if (count - used < 3 || (count - used) % 2 == 0) {
        args_wrong_count(call);
        return;
    }
    if (!wanted.any && !wanted.any_seq && stream_id_is_zero(wanted.id)) {
        reply_error(call->out, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    struct key key;
    const struct stream *stream;
    struct log_draft draft = {.pairs = words + used + 1, .pair_count = (count - used - 1) / 2};
    if (!stream_write_key(call, args->words[0], &key, &stream))
        return;
    if (stream == NULL && trimming.no_make) {
        reply_null(call->out);
        return;
    }
    if (!choose_id(call, &wanted, stream != NULL ? stream->last_id : STREAM_ID_MIN, &draft.id) ||
        !check_size(call, &draft) || !add_entry(call, &key, &draft))
        return;
    stream_reply_id(call->out, draft.id);
    call_changed(call, NOTIFY_STREAM, "xadd", key.name);
    struct keyspace *keyspace = call->exec->keyspace;
    if (trimming.is_wanted && stream_trim(keyspace, stream_change(keyspace, key.entry), &trimming.trim) > 0)
        notify_publish(call->exec, NOTIFY_STREAM, "xtrim", key.name, call->db);
    propagate_added(call, &trimming, &wanted, (uint32_t)(&words[used] - call->argv), draft.id,
                    stream_of(key.entry));
}

/* ---- The rest ------------------------------------------------------------------------------------------------------- */

void cmd_xlen(struct call *call, const struct args_xlen *args)
{
    struct key key;
    const struct stream *stream;
    if (stream_read_key(call, args->key, &key, &stream))
        reply_int(call->out, stream == NULL ? 0 : (int64_t)stream_length(stream));
}

void cmd_xdel(struct call *call, const struct args_xdel *args)
{
    struct key key;
    const struct stream *stream;
    struct stream_id id;
    if (!stream_write_key(call, args->key, &key, &stream))
        return;
    if (stream == NULL) {
        reply_int(call->out, 0);
        return;
    }
    for (uint32_t i = 0; i < args->id_count; i++)
        if (!stream_parse_id(call, args->id[i], 0, &id))
            return;
    uint64_t gone = 0;
    struct stream *own = stream_change(call->exec->keyspace, key.entry);
    for (uint32_t i = 0; i < args->id_count; i++) {
        stream_id_parse(args->id[i], 0, &id);
        gone += stream_remove(own, id);
    }
    if (gone > 0)
        call_changed(call, NOTIFY_STREAM, "xdel", key.name);
    reply_int(call->out, (int64_t)gone);
}

/* Whether XSETID may do what it is asked for. False after an error. */
static bool check_setting(struct call *call, const struct stream *stream, const struct args_xsetid *args,
                          struct stream_id id)
{
    if (stream_id_compare(id, stream->max_deleted_id) < 0) {
        reply_error(call->out, "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
        return false;
    }
    if (stream_length(stream) > 0 && stream_id_compare(id, stream_end_id(stream)) < 0) {
        reply_error(call->out, "ERR The ID specified in XSETID is smaller than the target stream top item");
        return false;
    }
    if (args->has_entries_added && (uint64_t)args->entries_added < stream_length(stream)) {
        reply_error(call->out,
                    "ERR The entries_added specified in XSETID is smaller than the target stream length");
        return false;
    }
    return true;
}

void cmd_xsetid(struct call *call, const struct args_xsetid *args)
{
    struct key key;
    const struct stream *stream;
    struct stream_id id, max_deleted_id = STREAM_ID_MIN;
    if (!stream_parse_id(call, args->last_id, 0, &id) ||
        (args->has_max_deleted_id && !stream_parse_id(call, args->max_deleted_id, 0, &max_deleted_id)))
        return;
    if (stream_id_compare(id, max_deleted_id) < 0) {
        reply_error(call->out,
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
        return;
    }
    if (!stream_write_key(call, args->key, &key, &stream))
        return;
    if (stream == NULL) {
        call_no_such_key(call);
        return;
    }
    if (!check_setting(call, stream, args, id))
        return;
    struct stream *own = stream_change(call->exec->keyspace, key.entry);
    own->last_id = id;
    if (args->has_entries_added)
        own->entries_added = (uint64_t)args->entries_added;
    if (!stream_id_is_zero(max_deleted_id))
        own->max_deleted_id = max_deleted_id;
    reply_ok(call->out);
    call_changed(call, NOTIFY_STREAM, "xsetid", key.name);
}
