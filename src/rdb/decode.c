/* Reading values. Entry: rdb_decode. Threads: executor only.
 *
 * A type of value (enum rdb_type) is a kind of value and a form in which its texts come: one string after the other, or
 * packed in one string, or packed in several. A source hands the texts out whatever the form; what becomes of them is
 * written once for each kind of value.
 *
 * Whatever is found wrong, what was built until then is given back in one place: rdb_decode. */
#include "rdb/decode.h"

#include <limits.h>
#include <math.h>

#include "base/bug.h"
#include "rdb/format.h"
#include "rdb/lzf.h"
#include "rdb/packed.h"
#include "rdb/stream.h"
#include "types/list.h"
#include "types/members.h"
#include "types/zset.h"

/* Where a row's number comes from: its score, or the moment when it expires. */
enum number_form {
    NUMBER_NONE,
    NUMBER_TEXT,        /* score: the next text */
    NUMBER_SCORE_TEXT,  /* score: a text of the old kind */
    NUMBER_DOUBLE,      /* score: 8 bytes */
    NUMBER_BEFORE,      /* moment: a length before the field, 0 for never */
    NUMBER_RELATIVE,    /* the same, counted from one before the first moment */
    NUMBER_BEHIND,      /* moment: 8 bytes behind the value, -1 for never */
    NUMBER_BEHIND_TEXT, /* moment: the next text, 0 for never */
};

enum text_form {
    TEXTS_SINGLE,       /* strings, behind the number of rows */
    TEXTS_PACKED,       /* one string of a packed kind */
    TEXTS_NODES,        /* several of these, behind their number */
    TEXTS_MARKED_NODES, /* each behind its enum rdb_container */
};

struct form {
    bool is_known;
    enum entry_type type;
    enum text_form texts;
    enum packed_kind packed;
    enum number_form number;
    bool has_first; /* the first moment stands before all */
};

static const struct form forms[RDB_TYPES] = {
    [RDB_STRING] = {true, ENTRY_STRING, TEXTS_SINGLE, 0, NUMBER_NONE, false},
    [RDB_LIST] = {true, ENTRY_LIST, TEXTS_SINGLE, 0, NUMBER_NONE, false},
    [RDB_SET] = {true, ENTRY_SET, TEXTS_SINGLE, 0, NUMBER_NONE, false},
    [RDB_ZSET] = {true, ENTRY_ZSET, TEXTS_SINGLE, 0, NUMBER_SCORE_TEXT, false},
    [RDB_HASH] = {true, ENTRY_HASH, TEXTS_SINGLE, 0, NUMBER_NONE, false},
    [RDB_ZSET_2] = {true, ENTRY_ZSET, TEXTS_SINGLE, 0, NUMBER_DOUBLE, false},
    [RDB_HASH_ZIPMAP] = {true, ENTRY_HASH, TEXTS_PACKED, PACKED_ZIPMAP, NUMBER_NONE, false},
    [RDB_LIST_ZIPLIST] = {true, ENTRY_LIST, TEXTS_PACKED, PACKED_ZIPLIST, NUMBER_NONE, false},
    [RDB_SET_INTSET] = {true, ENTRY_SET, TEXTS_PACKED, PACKED_INTSET, NUMBER_NONE, false},
    [RDB_ZSET_ZIPLIST] = {true, ENTRY_ZSET, TEXTS_PACKED, PACKED_ZIPLIST, NUMBER_TEXT, false},
    [RDB_HASH_ZIPLIST] = {true, ENTRY_HASH, TEXTS_PACKED, PACKED_ZIPLIST, NUMBER_NONE, false},
    [RDB_QUICKLIST] = {true, ENTRY_LIST, TEXTS_NODES, PACKED_ZIPLIST, NUMBER_NONE, false},
    [RDB_STREAM] = {.is_known = true, .type = ENTRY_STREAM},
    [RDB_STREAM_2] = {.is_known = true, .type = ENTRY_STREAM},
    [RDB_STREAM_3] = {.is_known = true, .type = ENTRY_STREAM},
    [RDB_HASH_LISTPACK] = {true, ENTRY_HASH, TEXTS_PACKED, PACKED_LISTPACK, NUMBER_NONE, false},
    [RDB_ZSET_LISTPACK] = {true, ENTRY_ZSET, TEXTS_PACKED, PACKED_LISTPACK, NUMBER_TEXT, false},
    [RDB_QUICKLIST_2] = {true, ENTRY_LIST, TEXTS_MARKED_NODES, PACKED_LISTPACK, NUMBER_NONE, false},
    [RDB_SET_LISTPACK] = {true, ENTRY_SET, TEXTS_PACKED, PACKED_LISTPACK, NUMBER_NONE, false},
    [RDB_HASH_TIMED_EARLY] = {true, ENTRY_HASH, TEXTS_SINGLE, 0, NUMBER_BEFORE, false},
    [RDB_HASH_LISTPACK_TIMED_EARLY] = {true, ENTRY_HASH, TEXTS_PACKED, PACKED_LISTPACK, NUMBER_BEHIND_TEXT,
                                       false},
    [RDB_HASH_TIMED] = {true, ENTRY_HASH, TEXTS_SINGLE, 0, NUMBER_RELATIVE, true},
    [RDB_HASH_LISTPACK_TIMED] = {true, ENTRY_HASH, TEXTS_PACKED, PACKED_LISTPACK, NUMBER_BEHIND_TEXT, true},
};

static const struct form valkey_hash = {true, ENTRY_HASH, TEXTS_SINGLE, 0, NUMBER_BEHIND, false};

/* Bytes that are copied in about the time that an element takes. */
#define BYTES_OF_ELEMENT 512
/* What moving a field takes, in elements. */
#define MOVE_WORK 4

enum status rdb_pause(const struct rdb_pace *pace, uint32_t elements, size_t bytes)
{
    uint64_t work = elements + bytes / BYTES_OF_ELEMENT;
    if (pace == NULL || pace->pause(pace->context, work < UINT32_MAX ? (uint32_t)work : UINT32_MAX))
        return ST_OK;
    return ST_LIMIT;
}

/* ---- Where texts come from --------------------------------------------------------------------------------- */

struct source {
    struct rdb_reader *reader;
    const struct rdb_pace *pace;
    const struct form *form;
    uint64_t first_ms; /* has_first */
    uint64_t left;     /* rows or nodes that are still to come */
    bool is_open;      /* a packed string is being read */
    bool is_plain;     /* a node is the one text itself */
    struct packed packed;
    struct rdb_text node; /* the string that is being read */
};

static enum status source_init(struct source *source, struct rdb_reader *reader, const struct form *form,
                               const struct rdb_pace *pace)
{
    *source = (struct source){.reader = reader, .pace = pace, .form = form, .left = 1};
    if (form->has_first && rdb_read_u64(reader, &source->first_ms) != ST_OK)
        return ST_INVALID;
    return form->texts == TEXTS_PACKED ? ST_OK : rdb_read_count(reader, &source->left);
}

static void source_done(struct source *source)
{
    rdb_text_done(&source->node);
}

/* Begins the next packed string. ST_EOF: there is none. */
static enum status open_node(struct source *source)
{
    uint64_t container = RDB_CONTAINER_PACKED;
    if (source->left == 0)
        return ST_EOF;
    source->left--;
    if (source->form->texts == TEXTS_MARKED_NODES && rdb_read_length(source->reader, &container) != ST_OK)
        return ST_INVALID;
    if (container != RDB_CONTAINER_PACKED && container != RDB_CONTAINER_PLAIN)
        return ST_INVALID;
    enum status status = rdb_read_text(source->reader, &source->node);
    if (status != ST_OK)
        return status;
    source->is_plain = container == RDB_CONTAINER_PLAIN;
    source->is_open = true;
    return source->is_plain ? ST_OK : packed_open(&source->packed, source->form->packed, source->node.slice);
}

static enum status next_packed(struct source *source, struct rdb_text *text)
{
    struct packed_item item;
    for (;;) {
        enum status status = source->is_open ? ST_OK : open_node(source);
        if (status != ST_OK)
            return status;
        if (source->is_plain) {
            text->slice = source->node.slice;
            source->is_open = false;
            return ST_OK;
        }
        status = packed_next(&source->packed, &item);
        if (status == ST_OK) {
            if (item.is_int)
                rdb_text_set_int(text, item.number);
            else
                text->slice = item.text;
            return ST_OK;
        }
        if (status != ST_EOF)
            return status;
        source->is_open = false;
    }
}

/* A row's first text. ST_EOF: there are no more rows. */
static enum status first_text(struct source *source, struct rdb_text *text)
{
    enum status status;
    if (source->form->texts != TEXTS_SINGLE) {
        status = next_packed(source, text);
    } else if (source->left == 0) {
        status = ST_EOF;
    } else {
        source->left--;
        status = rdb_read_text(source->reader, text);
    }
    return status == ST_OK ? rdb_pause(source->pace, 2, text->slice.size) : status;
}

/* A further text of a row that has begun. */
static enum status further_text(struct source *source, struct rdb_text *text)
{
    if (source->form->texts == TEXTS_SINGLE)
        return rdb_read_text(source->reader, text);
    enum status status = next_packed(source, text);
    return status == ST_EOF ? ST_INVALID : status;
}

/* ---- Lists and sets ---------------------------------------------------------------------------------------- */

struct decoder {
    struct keyspace *keyspace;
    const struct rdb_limits *limits;
    struct rdb_value *value;
    struct source source;
    struct rdb_text first, second;
};

static enum status decode_list(struct decoder *decoder)
{
    struct tree *rows = decoder->value->view.rows;
    enum status status;
    while ((status = first_text(&decoder->source, &decoder->first)) == ST_OK) {
        element_scratch scratch;
        struct element element;
        if (element_make(decoder->first.slice, scratch, &element) != ST_OK)
            return ST_NOMEM;
        list_push(rows, false, element);
    }
    decoder->value->marks = list_is_compact(rows, decoder->limits->list_size, false) ? 0 : ENTRY_GROWN;
    return status;
}

static enum status decode_set(struct decoder *decoder)
{
    struct tree *rows = decoder->value->view.rows;
    enum status status;
    while ((status = first_text(&decoder->source, &decoder->first)) == ST_OK) {
        element_scratch scratch;
        struct element member;
        struct tree_place place;
        uint64_t hash;
        if (element_make(decoder->first.slice, scratch, &member) != ST_OK)
            return ST_NOMEM;
        if (members_find(rows, member, &place, &hash)) {
            element_unref(member);
            return ST_INVALID;
        }
        members_add(rows, &place, hash, &(struct row){.elements[0] = member});
        decoder->value->marks = set_marks(rows, decoder->value->marks, &member, &decoder->limits->set);
    }
    return status;
}

/* ---- Sorted sets ------------------------------------------------------------------------------------------- */

static enum status read_score(struct decoder *decoder, double *ret_score)
{
    struct source *source = &decoder->source;
    enum status status;
    double score = NAN;
    uint64_t bits;
    switch (source->form->number) {
    case NUMBER_TEXT:
        status = further_text(source, &decoder->second);
        if (status != ST_OK)
            return status;
        if (!num_parse_double(decoder->second.slice, &score))
            return ST_INVALID;
        break;
    case NUMBER_SCORE_TEXT:
        if (rdb_read_score_text(source->reader, &score) != ST_OK)
            return ST_INVALID;
        break;
    default:
        if (rdb_read_u64(source->reader, &bits) != ST_OK)
            return ST_INVALID;
        memcpy(&score, &bits, sizeof score);
        break;
    }
    if (isnan(score))
        return ST_INVALID;
    *ret_score = score;
    return ST_OK;
}

static enum status decode_zset(struct decoder *decoder)
{
    struct collection_view *view = &decoder->value->view;
    enum status status;
    while ((status = first_text(&decoder->source, &decoder->first)) == ST_OK) {
        element_scratch scratch;
        struct element member;
        double score, other;
        rdb_hold(decoder->source.reader, &decoder->first);
        status = read_score(decoder, &score);
        rdb_release(decoder->source.reader, &decoder->first);
        if (status != ST_OK)
            return status;
        if (zset_score(view, decoder->first.slice, &other))
            return ST_INVALID;
        if (element_make(decoder->first.slice, scratch, &member) != ST_OK)
            return ST_NOMEM;
        zset_add(view, member, score);
        if (decoder->first.slice.size > decoder->limits->zset_value ||
            tree_rows(view->rows) > decoder->limits->zset_entries)
            decoder->value->marks = ENTRY_GROWN;
    }
    return status;
}

/* ---- Hashes ------------------------------------------------------------------------------------------------ */

/* A moment in the reader's numbers, where `never` means that the field does not expire. */
static enum status set_moment(uint64_t number, uint64_t never, int64_t *ret_expire_ms)
{
    if (number == never) {
        *ret_expire_ms = ENTRY_NO_EXPIRE;
        return ST_OK;
    }
    if (number >= (uint64_t)ENTRY_NO_EXPIRE)
        return ST_INVALID;
    *ret_expire_ms = (int64_t)number;
    return ST_OK;
}

static enum status moment_before(struct source *source, int64_t *ret_expire_ms)
{
    uint64_t number;
    enum number_form form = source->form->number;
    *ret_expire_ms = ENTRY_NO_EXPIRE;
    /* The last row has been read: what follows is not ours. */
    if ((form != NUMBER_BEFORE && form != NUMBER_RELATIVE) || source->left == 0)
        return ST_OK;
    if (rdb_read_length(source->reader, &number) != ST_OK)
        return ST_INVALID;
    if (form == NUMBER_RELATIVE && number > 0 &&
        __builtin_add_overflow(number - 1, source->first_ms, &number))
        return ST_INVALID;
    return set_moment(number, 0, ret_expire_ms);
}

static enum status moment_behind(struct decoder *decoder, int64_t *ret_expire_ms)
{
    struct source *source = &decoder->source;
    uint64_t number;
    struct rdb_text text = {0};
    if (source->form->number == NUMBER_BEHIND) {
        if (rdb_read_u64(source->reader, &number) != ST_OK)
            return ST_INVALID;
        return set_moment(number, UINT64_MAX, ret_expire_ms);
    }
    if (source->form->number != NUMBER_BEHIND_TEXT)
        return ST_OK;
    /* Packed texts need no memory of their own. */
    enum status status = further_text(source, &text);
    if (status == ST_OK && !num_parse_u64(text.slice, &number))
        status = ST_INVALID;
    return status == ST_OK ? set_moment(number, 0, ret_expire_ms) : status;
}

/* Gives the rows room for times, unless they have. */
static enum status add_times(struct decoder *decoder)
{
    struct collection_view *view = &decoder->value->view;
    struct tree_place place;
    struct tree timed;
    enum status status;
    if (hash_has_times(view->rows))
        return ST_OK;
    hash_begin_timed(view->rows, &timed);
    tree_at(view->rows, 0, &place);
    do {
        hash_add_timed(&timed, place.page);
        status = rdb_pause(decoder->source.pace, MOVE_WORK * place.page->count, 0);
    } while (status == ST_OK && tree_next_page(view->rows, &place));
    keyspace_retire_rows(decoder->keyspace, status == ST_OK ? view->rows : &timed);
    if (status != ST_OK)
        return status;
    view->page = timed;
    view->due_ms = ENTRY_NO_EXPIRE;
    return ST_OK;
}

/* Puts the field and the value that were read. */
static enum status add_field(struct decoder *decoder, int64_t expire_ms)
{
    struct collection_view *view = &decoder->value->view;
    element_scratch field_scratch, value_scratch;
    struct element field, value;
    if (element_make(decoder->first.slice, field_scratch, &field) != ST_OK)
        return ST_NOMEM;
    if (element_make(decoder->second.slice, value_scratch, &value) != ST_OK) {
        element_unref(field);
        return ST_NOMEM;
    }
    enum status status = expire_ms == ENTRY_NO_EXPIRE ? ST_OK : add_times(decoder);
    if (status != ST_OK) {
        element_unref(field);
        element_unref(value);
        return status;
    }
    if (expire_ms < view->due_ms)
        view->due_ms = expire_ms;
    return hash_set(view->rows, INT64_MIN, field, value, expire_ms) ? ST_OK : ST_INVALID;
}

/* The rest of a row whose field has been read. */
static enum status read_field_value(struct decoder *decoder, int64_t *expire_ms)
{
    struct rdb_reader *reader = decoder->source.reader;
    rdb_hold(reader, &decoder->first);
    enum status status = further_text(&decoder->source, &decoder->second);
    rdb_hold(reader, &decoder->second);
    if (status == ST_OK)
        status = moment_behind(decoder, expire_ms);
    rdb_release(reader, &decoder->second);
    rdb_release(reader, &decoder->first);
    return status;
}

static enum status decode_hash(struct decoder *decoder)
{
    struct rdb_value *value = decoder->value;
    enum status status;
    for (;;) {
        int64_t expire_ms;
        if ((status = moment_before(&decoder->source, &expire_ms)) != ST_OK ||
            (status = first_text(&decoder->source, &decoder->first)) != ST_OK ||
            (status = read_field_value(decoder, &expire_ms)) != ST_OK ||
            (status = add_field(decoder, expire_ms)) != ST_OK)
            break;
        size_t longest = decoder->first.slice.size > decoder->second.slice.size ? decoder->first.slice.size
                                                                                : decoder->second.slice.size;
        value->marks = hash_marks(value->view.rows, value->marks, longest, &decoder->limits->hash);
    }
    if (hash_has_times(value->view.rows))
        value->marks |= ENTRY_TIMED_FIELDS;
    return status;
}

/* ---- Strings ----------------------------------------------------------------------------------------------- */

#define STRING_STEP ((size_t)64 << 10)

/* Fills a long string, a step at a time. */
static enum status fill(struct rdb_reader *reader, const struct rdb_stored *stored,
                        const struct rdb_pace *pace, struct large_string *large)
{
    struct lzf_expander expander;
    lzf_expand_begin(&expander, stored->bytes, large->data, large->size);
    for (size_t at = 0; at < large->size; at += STRING_STEP) {
        size_t left = large->size - at, size = left < STRING_STEP ? left : STRING_STEP;
        enum status status = ST_OK;
        if (!stored->is_compressed)
            status = rdb_read_bytes(reader, large->data + at, size);
        else
            status = lzf_expand_step(&expander, size);
        if (status == ST_INVALID || (status == ST_OK && stored->is_compressed))
            return status;
        if (rdb_pause(pace, 1, 2 * size) != ST_OK)
            return ST_LIMIT;
    }
    return stored->is_compressed ? ST_INVALID : ST_OK;
}

/* One that does not lie in its entry: its bytes go where they will be. */
static enum status decode_long_string(struct rdb_reader *reader, struct rdb_stored *stored,
                                      const struct rdb_pace *pace, struct rdb_value *value)
{
    enum status status = stored->is_compressed ? rdb_read_body(reader, stored) : ST_OK;
    if (status != ST_OK)
        return status;
    value->large = large_string_new(stored->size, stored->size);
    if (value->large == NULL)
        return ST_NOMEM;
    status = fill(reader, stored, pace, value->large);
    if (status != ST_OK)
        large_string_unref(value->large);
    return status;
}

static enum status decode_string(struct rdb_reader *reader, const struct rdb_pace *pace,
                                 struct rdb_value *value)
{
    struct rdb_stored stored;
    enum status status = rdb_read_head(reader, &stored);
    if (status != ST_OK)
        return status;
    if (!stored.is_int && stored.size > ENTRY_INLINE_MAX)
        return decode_long_string(reader, &stored, pace, value);
    status = rdb_read_body(reader, &stored);
    if (status == ST_OK)
        status = rdb_text_set(&value->text, &stored);
    if (status != ST_OK)
        rdb_text_done(&value->text);
    return status;
}

/* ---- All of them ------------------------------------------------------------------------------------------- */

static void drop_rows(struct collection_view *view, struct keyspace *keyspace)
{
    if (view->index != NULL)
        keyspace_retire_rows(keyspace, view->index);
    keyspace_retire_rows(keyspace, view->rows);
}

static enum status decode_collection(struct rdb_reader *reader, const struct form *form,
                                     struct keyspace *keyspace, const struct rdb_limits *limits,
                                     const struct rdb_pace *pace, struct rdb_value *value)
{
    static enum status (*const decoders[])(struct decoder *) = {
        [ENTRY_LIST] = decode_list,
        [ENTRY_SET] = decode_set,
        [ENTRY_ZSET] = decode_zset,
        [ENTRY_HASH] = decode_hash,
    };
    struct decoder decoder = {.limits = limits, .keyspace = keyspace, .value = value};
    collection_begin(&value->view, keyspace, form->type);
    enum status status = source_init(&decoder.source, reader, form, pace);
    if (status == ST_OK)
        status = decoders[form->type](&decoder);
    source_done(&decoder.source);
    rdb_text_done(&decoder.first);
    rdb_text_done(&decoder.second);
    if (status == ST_EOF)
        status = tree_rows(value->view.rows) > 0 ? ST_OK : ST_EOF;
    if (status != ST_OK)
        drop_rows(&value->view, keyspace);
    return status;
}

enum status rdb_decode(struct rdb_reader *reader, unsigned type, unsigned version, struct keyspace *keyspace,
                       const struct rdb_limits *limits, const struct rdb_pace *pace,
                       struct rdb_value *ret_value)
{
    if (type == RDB_MODULE || type == RDB_MODULE_OLD)
        return ST_UNSUPPORTED;
    if (type >= RDB_TYPES || !forms[type].is_known)
        return ST_INVALID;
    const struct form *form = &forms[type];
    if (type == RDB_HASH_VALKEY && version >= RDB_VERSION_VALKEY)
        form = &valkey_hash;
    *ret_value = (struct rdb_value){.type = form->type};
    if (form->type == ENTRY_STRING)
        return decode_string(reader, pace, ret_value);
    if (form->type == ENTRY_STREAM)
        return rdb_decode_stream(reader, (enum rdb_type)type, keyspace, limits, pace, ret_value);
    return decode_collection(reader, form, keyspace, limits, pace, ret_value);
}

/* Of a string. */
static struct entry *string_entry(struct rdb_value *value, struct keyspace *keyspace, struct slice key,
                                  const struct entry_options *options)
{
    if (value->large == NULL) {
        struct entry *entry = entry_new_string(keyspace->heap, key, value->text.slice, options);
        rdb_text_done(&value->text);
        return entry;
    }
    struct entry *entry = entry_new_large(keyspace->heap, key, value->large, options);
    if (entry == NULL)
        large_string_unref(value->large);
    return entry;
}

struct entry *rdb_value_entry(struct rdb_value *value, struct keyspace *keyspace, struct slice key,
                              struct entry_options *options)
{
    struct entry *entry = NULL;
    options->marks = value->marks;
    if (value->type == ENTRY_STRING)
        return string_entry(value, keyspace, key, options);
    if (value->type == ENTRY_STREAM) {
        entry = entry_new_object(keyspace->heap, key, ENTRY_STREAM, &value->stream->object, options);
        if (entry == NULL)
            keyspace_release_object(keyspace, &value->stream->object);
        return entry;
    }
    collection_close(&value->view, NULL, key, value->type, options, &entry);
    return entry;
}

void rdb_value_drop(struct rdb_value *value, struct keyspace *keyspace)
{
    if (value->type == ENTRY_STREAM)
        keyspace_release_object(keyspace, &value->stream->object);
    else if (value->type != ENTRY_STRING)
        drop_rows(&value->view, keyspace);
    else if (value->large != NULL)
        large_string_unref(value->large);
    else
        rdb_text_done(&value->text);
}
