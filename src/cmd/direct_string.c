/* Direct forms of commands that read strings: GET MGET STRLEN GETRANGE SUBSTR GETBIT.
 *
 * Their other halves are in string.c, string_edit.c and bitmap.c.
 * Threads: I/O threads, inside a section (exec/direct.h). */
#include "exec/direct.h"
#include "exec/value.h"
#include "gen/args.h"
#include "types/bitmap.h"
#include "types/string.h"

/* Looks the request's key up, which must hold a string or nothing: then there are no bytes, and *ret_found is false. */
static enum direct_outcome read_string(struct direct *direct, const struct request *request,
                                       entry_scratch scratch, struct direct_string *ret_string,
                                       bool *ret_found)
{
    struct entry *entry;
    enum direct_outcome outcome = direct_read_key(direct, request->argv[1], request->key_hash, &entry);
    *ret_string = (struct direct_string){SLICE(""), NULL};
    *ret_found = entry != NULL;
    if (outcome != DIRECT_ANSWERED || entry == NULL)
        return outcome;
    if (unlikely(entry_type(entry) != ENTRY_STRING))
        return DIRECT_NOT_PLAIN;
    return direct_string(entry, scratch, ret_string);
}

enum direct_outcome direct_get(struct direct *direct, const struct request *request)
{
    bool found;
    entry_scratch scratch;
    struct direct_string string;
    enum direct_outcome outcome = read_string(direct, request, scratch, &string, &found);
    if (unlikely(outcome != DIRECT_ANSWERED))
        return outcome;
    if (likely(found))
        value_reply_bytes(direct->out, string.bytes, string.large);
    else
        reply_null(direct->out);
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_mget(struct direct *direct, const struct request *request)
{
    struct entry *entries[DIRECT_KEYS_MAX];
    struct direct_string strings[DIRECT_KEYS_MAX];
    entry_scratch scratches[DIRECT_KEYS_MAX];
    uint32_t count = request->argc - 1;
    enum direct_outcome outcome = direct_read_keys(direct, request->argv + 1, count, entries);
    for (uint32_t i = 0; outcome == DIRECT_ANSWERED && i < count; i++)
        if (entries[i] != NULL && entry_type(entries[i]) == ENTRY_STRING)
            outcome = direct_string(entries[i], scratches[i], &strings[i]);
    if (outcome == DIRECT_ANSWERED)
        outcome = direct_still_holds(direct);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    reply_array(direct->out, count);
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i] != NULL && entry_type(entries[i]) == ENTRY_STRING)
            value_reply_bytes(direct->out, strings[i].bytes, strings[i].large);
        else
            reply_null(direct->out);
    }
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_strlen(struct direct *direct, const struct request *request)
{
    bool found;
    entry_scratch scratch;
    struct direct_string string;
    enum direct_outcome outcome = read_string(direct, request, scratch, &string, &found);
    if (outcome == DIRECT_ANSWERED)
        reply_int(direct->out, (int64_t)string.bytes.size);
    return outcome;
}

static enum direct_outcome read_range(struct direct *direct, const struct request *request)
{
    bool found;
    int64_t start, end;
    entry_scratch scratch;
    struct direct_string string;
    if (!num_parse_i64(request->argv[2], &start) || !num_parse_i64(request->argv[3], &end))
        return DIRECT_NOT_PLAIN;
    enum direct_outcome outcome = read_string(direct, request, scratch, &string, &found);
    if (outcome == DIRECT_ANSWERED)
        value_reply_bytes(direct->out, string_range(string.bytes, start, end), string.large);
    return outcome;
}

enum direct_outcome direct_getrange(struct direct *direct, const struct request *request)
{
    return read_range(direct, request);
}

enum direct_outcome direct_substr(struct direct *direct, const struct request *request)
{
    return read_range(direct, request);
}

/* A bit that lies in any string that is read directly, or no further away than such strings are long: beyond, it depends on
 * proto-max-bulk-len whether it can be asked for. */
#define BIT_MAX ((int64_t)KEYSPACE_OPEN_LARGE_MAX * 8)

enum direct_outcome direct_getbit(struct direct *direct, const struct request *request)
{
    bool found;
    int64_t bit;
    entry_scratch scratch;
    struct direct_string string;
    if (!num_parse_i64(request->argv[2], &bit) || bit < 0 || bit >= BIT_MAX)
        return DIRECT_NOT_PLAIN;
    enum direct_outcome outcome = read_string(direct, request, scratch, &string, &found);
    if (outcome == DIRECT_ANSWERED)
        reply_int(direct->out, bitmap_get(string.bytes, (uint64_t)bit));
    return outcome;
}
