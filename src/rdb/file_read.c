/* Reading files. Entry: rdb_file_feed. Rules in file_read.h. Threads: the one that owns the keyspace.
 *
 * The reading is written as if all bytes were at hand (read_all and what it calls), and runs on a fiber. It pauses in two
 * places: next_piece, which the reader calls when the piece is at its end, and pause_work. */
#include "rdb/file_read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/fiber.h"
#include "rdb/crc64.h"
#include "rdb/format.h"

/* Bytes that are read before they are summed up: they are still in the cache then. */
#define SUM_STEP ((size_t)16 << 10)
/* Work of a key with a short value, in elements; and bytes of keys and values that take as long as an element. */
#define KEY_WORK     4
#define BYTES_OF_ONE 128
/* Of a key, in a message. */
#define SHOWN_KEY_MAX 128

struct rdb_file {
    struct rdb_file_options options;
    struct fiber *fiber;
    struct rdb_reader reader;
    struct rdb_pieces source;
    struct rdb_pace pace;

    struct slice piece;
    uint64_t piece_offset; /* of its first byte in the file */
    bool piece_is_summed;  /* piece_crc is the checksum at its end */
    uint64_t piece_crc;
    const uint8_t *summed; /* up to where `crc` goes, in the piece */
    uint64_t crc;
    uint64_t work_left;

    bool wants_bytes; /* why the fiber has paused: for these, or because the work is used up */
    bool has_ended;   /* there are no more */
    bool is_stopped;  /* nobody wants it any more */
    enum status outcome;

    unsigned version;
    bool is_sealed;
    struct rdb_file_key key; /* the next one, as far as it is known */
    bool in_key;             /* its value is being read */
    struct rdb_text name, texts[2];
    struct rdb_value value;
    struct buf error;
};

/* ---- Pieces and pauses ------------------------------------------------------------------------------------- */

static bool sums(const struct rdb_file *file)
{
    return file->options.checksum && !file->piece_is_summed;
}

/* Takes what has been read since the last time into the checksum. */
static void sum_up(struct rdb_file *file)
{
    if (sums(file) && file->reader.at != file->summed)
        file->crc = crc64(file->crc, file->summed, (size_t)(file->reader.at - file->summed));
    file->summed = file->reader.at;
}

/* Of the source. */
static bool next_piece(void *context, struct rdb_reader *reader)
{
    struct rdb_file *file = context;
    sum_up(file);
    if (file->piece_is_summed)
        file->crc = file->piece_crc;
    do {
        file->wants_bytes = true;
        fiber_pause(file->fiber);
        if (file->is_stopped || file->has_ended)
            return false;
    } while (file->piece.size == 0);
    reader->at = (const uint8_t *)file->piece.data;
    reader->end = reader->at + file->piece.size;
    file->summed = reader->at;
    return true;
}

/* Of the pace, and between keys. False: it is no longer wanted. */
static bool pause_work(void *context, uint32_t work)
{
    struct rdb_file *file = context;
    if ((size_t)(file->reader.at - file->summed) >= SUM_STEP)
        sum_up(file);
    if (likely(work < file->work_left)) {
        file->work_left -= work;
        return true;
    }
    file->work_left = 0;
    file->wants_bytes = false;
    fiber_pause(file->fiber);
    return !file->is_stopped;
}

uint64_t rdb_file_offset(const struct rdb_file *file)
{
    const char *at = (const char *)file->reader.at;
    return file->piece.size == 0 ? file->piece_offset : file->piece_offset + (size_t)(at - file->piece.data);
}

/* ---- What is wrong ----------------------------------------------------------------------------------------- */

static const char *const type_names[RDB_TYPES] = {
    [RDB_STRING] = "string",
    [RDB_LIST] = "list",
    [RDB_SET] = "set",
    [RDB_ZSET] = "sorted set",
    [RDB_HASH] = "hash",
    [RDB_ZSET_2] = "sorted set",
    [RDB_MODULE_OLD] = "module, old form",
    [RDB_MODULE] = "module",
    [RDB_HASH_ZIPMAP] = "hash in a zipmap",
    [RDB_LIST_ZIPLIST] = "list in a ziplist",
    [RDB_SET_INTSET] = "set in an intset",
    [RDB_ZSET_ZIPLIST] = "sorted set in a ziplist",
    [RDB_HASH_ZIPLIST] = "hash in a ziplist",
    [RDB_QUICKLIST] = "list in ziplists",
    [RDB_STREAM] = "stream",
    [RDB_HASH_LISTPACK] = "hash in a listpack",
    [RDB_ZSET_LISTPACK] = "sorted set in a listpack",
    [RDB_QUICKLIST_2] = "list in listpacks",
    [RDB_STREAM_2] = "stream",
    [RDB_SET_LISTPACK] = "set in a listpack",
    [RDB_STREAM_3] = "stream",
    [RDB_HASH_TIMED_EARLY] = "hash with times to live",
    [RDB_HASH_LISTPACK_TIMED_EARLY] = "hash with times to live in a listpack",
    [RDB_HASH_TIMED] = "hash with times to live",
    [RDB_HASH_LISTPACK_TIMED] = "hash with times to live in a listpack",
};

const char *rdb_type_name(unsigned type)
{
    return type < RDB_TYPES && type_names[type] != NULL ? type_names[type] : "unknown";
}

void rdb_file_describe_key(const struct rdb_file_key *key, struct buf *text)
{
    struct slice shown = key->name;
    bool is_cut = shown.size > SHOWN_KEY_MAX;
    if (is_cut)
        shown.size = SHOWN_KEY_MAX;
    buf_printf(text, "key ");
    buf_append_quoted(text, shown);
    buf_printf(text, "%s (database %" PRIu64 ", type %u: %s)", is_cut ? "…" : "", key->db, key->type,
               rdb_type_name(key->type));
}

void rdb_file_set_error(struct rdb_file *file, const char *format, ...)
{
    va_list arguments;
    char text[256];
    if (file->error.size > 0)
        return; /* the first one tells what was wrong */
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buf_printf(&file->error, "%s", text);
    if (file->in_key) {
        file->key.name = file->name.slice; /* it may have got another place meanwhile */
        buf_printf(&file->error, ", ");
        rdb_file_describe_key(&file->key, &file->error);
    }
    buf_printf(&file->error, ", at offset %" PRIu64, rdb_file_offset(file));
}

/* Has the reading end with a reason. */
static enum status damaged(struct rdb_file *file, const char *reason)
{
    if (!file->has_ended && !file->source.no_memory && !file->source.is_short)
        rdb_file_set_error(file, "%s", reason);
    return ST_INVALID;
}

/* The status with which the reading ends, and its reason where none was given. */
static enum status conclude(struct rdb_file *file, enum status status)
{
    if (status == ST_OK)
        return ST_OK;
    if (file->source.no_memory)
        status = ST_NOMEM;
    if (status == ST_NOMEM)
        rdb_file_set_error(file, "out of memory");
    else if (file->has_ended)
        rdb_file_set_error(file, "unexpected end of file");
    else if (file->source.is_short)
        rdb_file_set_error(file, "unexpected end of file, or damaged: something says that it is longer");
    else if (status == ST_INVALID)
        rdb_file_set_error(file, file->in_key ? "damaged value" : "damaged data");
    else
        rdb_file_set_error(file, "%s", status_text(status));
    return status;
}

const char *rdb_file_error(struct rdb_file *file)
{
    return buf_string(&file->error);
}

/* ---- What is not ours -------------------------------------------------------------------------------------- */

static const char *const foreign_texts[] = {
    [RDB_FOREIGN_TYPE] = "unknown type of value",
    [RDB_FOREIGN_MODULE] = "value of a module's type",
    [RDB_FOREIGN_MODULE_OLD] = "value of a module's type in the form of Redis 4.0's first versions",
    [RDB_FOREIGN_MODULE_AUX] = "data of a module",
    [RDB_FOREIGN_FUNCTION] = "library of functions",
    [RDB_FOREIGN_FUNCTION_OLD] = "function in the form of Redis 7.0's release candidates",
    [RDB_FOREIGN_SLOT_IMPORT] = "slot of a cluster that was being imported",
};

void rdb_file_describe_foreign(const struct rdb_file_foreign *foreign, struct buf *text)
{
    buf_printf(text, "%s", foreign_texts[foreign->what]);
    if (foreign->what == RDB_FOREIGN_MODULE || foreign->what == RDB_FOREIGN_MODULE_OLD ||
        foreign->what == RDB_FOREIGN_MODULE_AUX)
        buf_printf(text, " (%.*s, encoding %" PRIu64 ")", (int)foreign->name.size, foreign->name.data,
                   foreign->module_version);
    if (foreign->key != NULL) {
        buf_printf(text, ", ");
        rdb_file_describe_key(foreign->key, text);
    }
    buf_printf(text, ", in a file of version %u, at offset %" PRIu64, foreign->version, foreign->offset);
}

static enum status tell_foreign(struct rdb_file *file, struct rdb_file_foreign foreign)
{
    const struct rdb_visitor *visitor = &file->options.visitor;
    foreign.version = file->version;
    foreign.key = file->in_key ? &file->key : NULL;
    file->key.name = file->name.slice;
    if (visitor->on_foreign != NULL) {
        enum status status = visitor->on_foreign(visitor->context, &foreign);
        if (status != ST_OK && status != ST_UNSUPPORTED)
            return status;
        if (status == ST_OK && foreign.can_skip)
            return ST_OK;
    }
    if (file->error.size == 0) {
        rdb_file_describe_foreign(&foreign, &file->error);
        buf_printf(&file->error, "%s", foreign.can_skip ? "" : ", which cannot be skipped");
    }
    return ST_UNSUPPORTED;
}

#define MODULE_NAME_SIZE    9
#define MODULE_VERSION_BITS 10

/* The name and the version that a module's number is made of. */
static void name_module(uint64_t number, char name[static MODULE_NAME_SIZE],
                        struct rdb_file_foreign *ret_foreign)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    ret_foreign->module_version = number & ((1u << MODULE_VERSION_BITS) - 1);
    number >>= MODULE_VERSION_BITS;
    for (unsigned i = MODULE_NAME_SIZE; i-- > 0; number >>= 6)
        name[i] = letters[number & 63];
    ret_foreign->name = slice_make(name, MODULE_NAME_SIZE);
}

/* Passes a string by, without what it is compressed from being expanded. */
static enum status skip_string(struct rdb_file *file)
{
    struct rdb_stored stored;
    enum status status = rdb_read_head(&file->reader, &stored);
    return status == ST_OK ? rdb_skip_bytes(&file->reader, stored.stored_size) : status;
}

/* Passes what a module has written by, with its end. */
static enum status skip_module_parts(struct rdb_file *file)
{
    for (;;) {
        uint64_t part, number;
        enum status status = rdb_read_length(&file->reader, &part);
        if (status != ST_OK)
            return status;
        switch (part) {
        case RDB_MODULE_END: return ST_OK;
        case RDB_MODULE_SIGNED:
        case RDB_MODULE_UNSIGNED: status = rdb_read_length(&file->reader, &number); break;
        case RDB_MODULE_FLOAT: status = rdb_skip_bytes(&file->reader, 4); break;
        case RDB_MODULE_DOUBLE: status = rdb_skip_bytes(&file->reader, 8); break;
        case RDB_MODULE_TEXT: status = skip_string(file); break;
        default: return damaged(file, "damaged data of a module");
        }
        if (status == ST_OK && !pause_work(file, 1))
            status = ST_LIMIT;
        if (status != ST_OK)
            return status;
    }
}

/* The value of a type that is not ours. */
static enum status skip_value(struct rdb_file *file)
{
    struct rdb_file_foreign foreign = {.what = RDB_FOREIGN_TYPE, .offset = file->key.offset};
    char name[MODULE_NAME_SIZE];
    uint64_t module;
    enum status status = ST_OK;
    if (file->key.type == RDB_MODULE || file->key.type == RDB_MODULE_OLD) {
        status = rdb_read_length(&file->reader, &module);
        if (status != ST_OK)
            return status;
        name_module(module, name, &foreign);
        foreign.can_skip = file->key.type == RDB_MODULE;
        foreign.what = foreign.can_skip ? RDB_FOREIGN_MODULE : RDB_FOREIGN_MODULE_OLD;
    }
    if (foreign.can_skip)
        status = skip_module_parts(file);
    return status == ST_OK ? tell_foreign(file, foreign) : status;
}

/* ---- Keys -------------------------------------------------------------------------------------------------- */

static bool is_known_type(unsigned type)
{
    return type < RDB_TYPES && type_names[type] != NULL && type != RDB_MODULE && type != RDB_MODULE_OLD;
}

static enum status tell_key(struct rdb_file *file)
{
    const struct rdb_visitor *visitor = &file->options.visitor;
    if (visitor->on_key != NULL)
        return visitor->on_key(visitor->context, &file->key, &file->value);
    rdb_value_drop(&file->value, file->options.keyspace);
    return ST_OK;
}

static enum status read_value(struct rdb_file *file)
{
    const struct rdb_visitor *visitor = &file->options.visitor;
    if (unlikely(!is_known_type(file->key.type)))
        return skip_value(file);
    enum status status = rdb_decode(&file->reader, file->key.type, file->version, file->options.keyspace,
                                    &file->options.limits, &file->pace, &file->value);
    file->key.name = file->name.slice;
    if (likely(status == ST_OK))
        return tell_key(file);
    if (status == ST_EOF)
        return visitor->on_empty_key != NULL ? visitor->on_empty_key(visitor->context, &file->key) : ST_OK;
    return status;
}

static void forget_key(struct rdb_file *file)
{
    file->key = (struct rdb_file_key){.db = file->key.db, .expire_ms = ENTRY_NO_EXPIRE};
}

static enum status read_key(struct rdb_file *file, unsigned type)
{
    file->key.type = type;
    file->key.offset = rdb_file_offset(file) - 1;
    enum status status = rdb_read_text(&file->reader, &file->name);
    if (status != ST_OK)
        return damaged(file, type < RDB_TYPES ? "damaged key" : "unknown type of value, or damaged key");
    file->key.name = file->name.slice;
    file->in_key = true;
    rdb_hold(&file->reader, &file->name);
    status = read_value(file);
    if (status != ST_OK)
        status = conclude(file, status);
    rdb_release(&file->reader, &file->name);
    if (status != ST_OK)
        return status;
    file->in_key = false;
    uint64_t size = rdb_file_offset(file) - file->key.offset;
    forget_key(file);
    uint64_t work = KEY_WORK + size / BYTES_OF_ONE;
    return pause_work(file, work < UINT32_MAX ? (uint32_t)work : UINT32_MAX) ? ST_OK : ST_LIMIT;
}

/* ---- What is between keys ---------------------------------------------------------------------------------- */

static enum status read_two_texts(struct rdb_file *file)
{
    enum status status = rdb_read_text(&file->reader, &file->texts[0]);
    if (status != ST_OK)
        return status;
    rdb_hold(&file->reader, &file->texts[0]);
    status = rdb_read_text(&file->reader, &file->texts[1]);
    rdb_release(&file->reader, &file->texts[0]);
    return status;
}

static enum status read_aux(struct rdb_file *file)
{
    const struct rdb_visitor *visitor = &file->options.visitor;
    enum status status = read_two_texts(file);
    if (status != ST_OK)
        return damaged(file, "damaged auxiliary field");
    return visitor->on_aux != NULL
               ? visitor->on_aux(visitor->context, file->texts[0].slice, file->texts[1].slice)
               : ST_OK;
}

static enum status read_db(struct rdb_file *file)
{
    const struct rdb_visitor *visitor = &file->options.visitor;
    if (rdb_read_length(&file->reader, &file->key.db) != ST_OK)
        return damaged(file, "damaged number of a database");
    return visitor->on_db != NULL ? visitor->on_db(visitor->context, file->key.db) : ST_OK;
}

static enum status read_sizes(struct rdb_file *file)
{
    const struct rdb_visitor *visitor = &file->options.visitor;
    uint64_t keys, expires;
    if (rdb_read_length(&file->reader, &keys) != ST_OK || rdb_read_length(&file->reader, &expires) != ST_OK)
        return damaged(file, "damaged sizes of a database");
    return visitor->on_sizes != NULL ? visitor->on_sizes(visitor->context, keys, expires) : ST_OK;
}

/* -1 is how a key that lives for ever was written once. */
static enum status read_expire_ms(struct rdb_file *file)
{
    uint64_t number;
    if (rdb_read_u64(&file->reader, &number) != ST_OK)
        return damaged(file, "damaged time to live");
    file->key.expire_ms = number == UINT64_MAX ? ENTRY_NO_EXPIRE : (int64_t)number;
    return ST_OK;
}

static enum status read_expire_s(struct rdb_file *file)
{
    int32_t seconds;
    if (rdb_read_bytes(&file->reader, (char *)&seconds, sizeof seconds) != ST_OK)
        return damaged(file, "damaged time to live");
    file->key.expire_ms = seconds == -1 ? ENTRY_NO_EXPIRE : (int64_t)seconds * 1000;
    return ST_OK;
}

static enum status read_idle(struct rdb_file *file)
{
    file->key.has_idle = true;
    return rdb_read_length(&file->reader, &file->key.idle_seconds);
}

static enum status read_frequency(struct rdb_file *file)
{
    uint8_t frequency;
    enum status status = rdb_read_byte(&file->reader, &frequency);
    if (status != ST_OK)
        return status;
    file->key.has_frequency = true;
    file->key.frequency = frequency;
    return ST_OK;
}

/* A hint for servers with a table for each slot. */
static enum status read_slot_info(struct rdb_file *file)
{
    uint64_t number;
    for (unsigned i = 0; i < 3; i++)
        if (rdb_read_length(&file->reader, &number) != ST_OK)
            return damaged(file, "damaged sizes of a slot");
    return ST_OK;
}

static enum status read_slot_import(struct rdb_file *file)
{
    uint64_t offset = rdb_file_offset(file) - 1, ranges, slot;
    enum status status = skip_string(file);
    if (status == ST_OK)
        status = rdb_read_count(&file->reader, &ranges);
    for (; status == ST_OK && ranges > 0; ranges--) {
        if (rdb_read_length(&file->reader, &slot) != ST_OK || rdb_read_length(&file->reader, &slot) != ST_OK)
            status = ST_INVALID;
        else if (!pause_work(file, 1))
            status = ST_LIMIT;
    }
    return status == ST_OK ? tell_foreign(file, (struct rdb_file_foreign){.what = RDB_FOREIGN_SLOT_IMPORT,
                                                                          .can_skip = true,
                                                                          .offset = offset})
                           : status;
}

static enum status read_function(struct rdb_file *file)
{
    uint64_t offset = rdb_file_offset(file) - 1;
    if (rdb_read_text(&file->reader, &file->texts[0]) != ST_OK)
        return damaged(file, "damaged library of functions");
    return tell_foreign(file, (struct rdb_file_foreign){.what = RDB_FOREIGN_FUNCTION,
                                                        .can_skip = true,
                                                        .offset = offset,
                                                        .name = file->texts[0].slice});
}

static enum status read_function_old(struct rdb_file *file)
{
    uint64_t offset = rdb_file_offset(file) - 1, has_description;
    enum status status = rdb_read_text(&file->reader, &file->texts[0]);
    rdb_hold(&file->reader, &file->texts[0]);
    if (status == ST_OK)
        status = skip_string(file);
    if (status == ST_OK)
        status = rdb_read_length(&file->reader, &has_description);
    if (status == ST_OK && has_description)
        status = skip_string(file);
    if (status == ST_OK)
        status = skip_string(file);
    rdb_release(&file->reader, &file->texts[0]);
    if (status != ST_OK)
        return damaged(file, "damaged function");
    return tell_foreign(file, (struct rdb_file_foreign){.what = RDB_FOREIGN_FUNCTION_OLD,
                                                        .can_skip = true,
                                                        .offset = offset,
                                                        .name = file->texts[0].slice});
}

static enum status read_module_aux(struct rdb_file *file)
{
    struct rdb_file_foreign foreign = {
        .what = RDB_FOREIGN_MODULE_AUX, .can_skip = true, .offset = rdb_file_offset(file) - 1};
    char name[MODULE_NAME_SIZE];
    uint64_t module, part, when;
    if (rdb_read_length(&file->reader, &module) != ST_OK || rdb_read_length(&file->reader, &part) != ST_OK ||
        part != RDB_MODULE_UNSIGNED || rdb_read_length(&file->reader, &when) != ST_OK)
        return damaged(file, "damaged data of a module");
    name_module(module, name, &foreign);
    enum status status = skip_module_parts(file);
    return status == ST_OK ? tell_foreign(file, foreign) : status;
}

/* ---- The whole --------------------------------------------------------------------------------------------- */

static enum status read_number(const char *digits, unsigned count, unsigned *ret_number)
{
    unsigned number = 0;
    for (unsigned i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return ST_INVALID;
        number = 10 * number + (unsigned)(digits[i] - '0');
    }
    *ret_number = number;
    return ST_OK;
}

static enum status read_header(struct rdb_file *file)
{
    const struct rdb_visitor *visitor = &file->options.visitor;
    char header[RDB_HEADER_SIZE];
    if (rdb_read_bytes(&file->reader, header, sizeof header) != ST_OK)
        return ST_INVALID;
    bool is_valkey = memcmp(header, "VALKEY", 6) == 0;
    if (!is_valkey && memcmp(header, "REDIS", 5) != 0)
        return damaged(file, "Wrong signature: this is no RDB file");
    unsigned digits = is_valkey ? 3 : 4, version;
    if (read_number(header + RDB_HEADER_SIZE - digits, digits, &version) != ST_OK)
        return damaged(file, "Wrong signature: this is no RDB file");
    if (is_valkey ? version != RDB_VERSION_VALKEY : version == 0 || version > RDB_VERSION_TIMED) {
        rdb_file_set_error(file, "Can't handle RDB format version %s%u", is_valkey ? "Valkey " : "", version);
        return ST_UNSUPPORTED;
    }
    file->version = version;
    return visitor->on_header != NULL ? visitor->on_header(visitor->context, version, is_valkey) : ST_OK;
}

/* What is behind the last key. */
static enum status read_end(struct rdb_file *file)
{
    const struct rdb_visitor *visitor = &file->options.visitor;
    uint64_t written = 0;
    if (file->piece_is_summed) { /* that is to the end of the piece: this is somewhere before */
        file->crc =
            crc64(file->crc, file->piece.data, (size_t)((const char *)file->reader.at - file->piece.data));
        file->piece_is_summed = false;
        file->summed = file->reader.at;
    }
    sum_up(file);
    uint64_t crc = file->crc;
    if (file->version >= RDB_VERSION_SUMMED && rdb_read_u64(&file->reader, &written) != ST_OK)
        return ST_INVALID;
    if (file->options.checksum && written != 0 && written != crc) {
        rdb_file_set_error(file, "Wrong RDB checksum: expected %016" PRIx64 ", got %016" PRIx64, written,
                           crc);
        return ST_INVALID;
    }
    file->is_sealed = file->options.checksum && written != 0;
    return visitor->on_end != NULL ? visitor->on_end(visitor->context) : ST_OK;
}

static enum status read_items(struct rdb_file *file)
{
    static enum status (*const readers[])(struct rdb_file *) = {
        [RDB_OPCODE_SLOT_IMPORT - RDB_OPCODE_FIRST] = read_slot_import,
        [RDB_OPCODE_SLOT_INFO - RDB_OPCODE_FIRST] = read_slot_info,
        [RDB_OPCODE_FUNCTION - RDB_OPCODE_FIRST] = read_function,
        [RDB_OPCODE_FUNCTION_OLD - RDB_OPCODE_FIRST] = read_function_old,
        [RDB_OPCODE_MODULE_AUX - RDB_OPCODE_FIRST] = read_module_aux,
        [RDB_OPCODE_IDLE - RDB_OPCODE_FIRST] = read_idle,
        [RDB_OPCODE_FREQUENCY - RDB_OPCODE_FIRST] = read_frequency,
        [RDB_OPCODE_AUX - RDB_OPCODE_FIRST] = read_aux,
        [RDB_OPCODE_SIZES - RDB_OPCODE_FIRST] = read_sizes,
        [RDB_OPCODE_EXPIRE_MS - RDB_OPCODE_FIRST] = read_expire_ms,
        [RDB_OPCODE_EXPIRE_S - RDB_OPCODE_FIRST] = read_expire_s,
        [RDB_OPCODE_DB - RDB_OPCODE_FIRST] = read_db,
    };
    for (;;) {
        uint8_t kind;
        enum status status = rdb_read_byte(&file->reader, &kind);
        if (status != ST_OK || kind == RDB_OPCODE_END)
            return status;
        if (kind < RDB_OPCODE_FIRST)
            status = read_key(file, kind);
        else
            status = readers[kind - RDB_OPCODE_FIRST](file);
        if (status != ST_OK)
            return status;
    }
}

/* The fiber's. */
static void read_all(void *context)
{
    struct rdb_file *file = context;
    enum status status = read_header(file);
    if (status == ST_OK)
        status = read_items(file);
    if (status == ST_OK)
        status = read_end(file);
    file->outcome = conclude(file, status);
}

/* ---- Life -------------------------------------------------------------------------------------------------- */

struct rdb_file *rdb_file_new(const struct rdb_file_options *options)
{
    struct rdb_file *file = mem_calloc(1, sizeof *file);
    file->options = *options;
    file->pace = (struct rdb_pace){pause_work, file};
    file->source = (struct rdb_pieces){.context = file, .more = next_piece, .to_come = UINT64_MAX};
    file->reader = (struct rdb_reader){.text_max = options->limits.text_max, .source = &file->source};
    forget_key(file);
    file->fiber = fiber_new(RDB_FILE_STACK);
    if (file->fiber == NULL) {
        mem_free(file);
        return NULL;
    }
    fiber_start(file->fiber, read_all, file);
    fiber_resume(file->fiber); /* as far as it comes without bytes: the first pause is like the others */
    return file;
}

void rdb_file_free(struct rdb_file *file)
{
    if (file == NULL)
        return;
    file->is_stopped = true;
    while (!fiber_is_idle(file->fiber))
        fiber_resume(file->fiber);
    fiber_free(file->fiber);
    rdb_pieces_done(&file->source);
    rdb_text_done(&file->name);
    rdb_text_done(&file->texts[0]);
    rdb_text_done(&file->texts[1]);
    buf_done(&file->error);
    mem_free(file);
}

/* Goes on. */
static enum status resume(struct rdb_file *file, uint64_t work)
{
    file->work_left = work;
    if (!fiber_resume(file->fiber))
        return file->outcome;
    return file->wants_bytes ? ST_AGAIN : ST_LIMIT;
}

static void set_piece(struct rdb_file *file, struct slice bytes)
{
    file->piece_offset += file->piece.size;
    file->piece = bytes;
    file->piece_is_summed = false;
    if (file->options.bytes_total > 0) {
        uint64_t end = file->piece_offset + bytes.size;
        file->source.to_come = file->options.bytes_total > end ? file->options.bytes_total - end : 0;
    }
}

enum status rdb_file_feed(struct rdb_file *file, struct slice bytes, uint64_t work)
{
    if (bytes.size > 0) {
        ASSERT(file->wants_bytes);
        set_piece(file, bytes);
    } else if (file->wants_bytes) {
        return ST_AGAIN;
    }
    return resume(file, work);
}

enum status rdb_file_feed_summed(struct rdb_file *file, struct slice bytes, uint64_t work, uint64_t crc_after)
{
    ASSERT(bytes.size > 0 && file->wants_bytes);
    set_piece(file, bytes);
    file->piece_is_summed = true;
    file->piece_crc = crc_after;
    return resume(file, work);
}

enum status rdb_file_ends(struct rdb_file *file)
{
    file->has_ended = true;
    file->work_left = RDB_FILE_WORK_ALL;
    while (!fiber_is_idle(file->fiber))
        fiber_resume(file->fiber);
    return file->outcome;
}

struct slice rdb_file_rest(const struct rdb_file *file)
{
    return slice_make((const char *)file->reader.at, rdb_left(&file->reader));
}

unsigned rdb_file_version(const struct rdb_file *file)
{
    return file->version;
}

bool rdb_file_is_sealed(const struct rdb_file *file)
{
    return file->is_sealed;
}
