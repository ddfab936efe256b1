/* Walking over the keys of a database: KEYS and SCAN; and over the rows of a collection (scan.h).
 *
 * The former go through the table bucket by bucket (table_scan), which visits each key that is there all the time at
 * least once, however the table grows or shrinks between two calls of SCAN.
 * Threads: executor only. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/glob.h"
#include "cmd/inspect.h"
#include "cmd/scan.h"
#include "exec/call.h"
#include "gen/args.h"
#include "types/members.h"

/* ---- KEYS ----------------------------------------------------------------------------------------- */

struct keys_walk {
    struct call *call;
    struct slice pattern;
    bool matches_all;
    uint64_t count;
};

static void keys_visit(void *item, void *context)
{
    const struct entry *entry = item;
    struct keys_walk *walk = context;
    struct slice key = entry_key(entry);
    if (db_is_expired(walk->call->db, entry) || !(walk->matches_all || glob_match(walk->pattern, key)))
        return;
    reply_bulk(walk->call->out, key);
    walk->count++;
}

void cmd_keys(struct call *call, const struct args_keys *args)
{
    struct keys_walk walk = {
        .call = call, .pattern = args->pattern, .matches_all = slice_equal(args->pattern, SLICE("*"))};
    struct reply_open open = reply_open(call->out);
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&call->db->keys, cursor, keys_visit, &walk);
    } while (cursor != 0);
    reply_close(call->out, open, REPLY_ARRAY, walk.count);
}

/* ---- SCAN ----------------------------------------------------------------------------------------- */

/* A call of SCAN looks at no more than this many buckets for each key that it was asked for: matches may be rare. */
#define SCAN_BUCKETS_PER_KEY 10
#define SCAN_COUNT_DEFAULT   10

struct scan_walk {
    const struct entry **entries;
    size_t count;
    size_t capacity;
    bool is_out_of_memory;
};

static void scan_visit(void *item, void *context)
{
    struct scan_walk *walk = context;
    if (walk->count == walk->capacity) {
        size_t capacity = walk->capacity ? 2 * walk->capacity : 32;
        const struct entry **entries = mem_try_realloc(walk->entries, capacity * sizeof *entries);
        if (!entries) {
            walk->is_out_of_memory = true;
            return;
        }
        walk->entries = entries;
        walk->capacity = capacity;
    }
    walk->entries[walk->count++] = item;
}

/* As lenient as Redis: whatever strtoul uses up wholly, if it does not begin with a space; nothing at all is 0. False after
 * having answered. */
static bool parse_cursor(struct call *call, struct slice text, uint64_t *ret_cursor)
{
    char copy[32];
    bool is_text = text.size < sizeof copy && !(text.size > 0 && isspace((unsigned char)text.data[0])) &&
                   !memchr(text.data, 0, text.size);
    if (is_text) {
        memcpy(copy, text.data, text.size);
        copy[text.size] = 0;
        char *end;
        errno = 0;
        *ret_cursor = strtoull(copy, &end, 10);
        if (errno == 0 && *end == 0)
            return true;
    }
    reply_error(call->out, "ERR invalid cursor");
    return false;
}

static bool scan_matches(const struct args_scan *args, const struct entry *entry)
{
    if (args->has_pattern && !slice_equal(args->pattern, SLICE("*")) &&
        !glob_match(args->pattern, entry_key(entry)))
        return false;
    return !args->has_type || slice_equal_nocase(args->type, inspect_type_name(entry));
}

static void scan_reply(struct call *call, const struct args_scan *args, const struct scan_walk *walk,
                       uint64_t cursor)
{
    char text[NUM_I64_TEXT_MAX];
    reply_array(call->out, 2);
    reply_bulk(call->out, slice_make(text, num_format_u64(cursor, text)));
    struct reply_open open = reply_open(call->out);
    uint64_t matches = 0;
    for (size_t i = 0; i < walk->count; i++) {
        const struct entry *entry = walk->entries[i];
        if (db_is_expired(call->db, entry) || !scan_matches(args, entry))
            continue;
        reply_bulk(call->out, entry_key(entry));
        matches++;
    }
    reply_close(call->out, open, REPLY_ARRAY, matches);
}

/* Removes the keys that have turned out to be past their time. Their names are copied first: an entry takes its
 * name with it, and a walk may meet an entry twice. */
static void scan_remove_expired(struct call *call, const struct scan_walk *walk)
{
    struct buf names = {0};
    for (size_t i = 0; i < walk->count; i++) {
        if (!db_is_expired(call->db, walk->entries[i]))
            continue;
        struct slice name = entry_key(walk->entries[i]);
        buf_append(&names, &name.size, sizeof name.size);
        buf_append_slice(&names, name);
    }
    for (size_t at = 0; at < names.size;) {
        struct slice name = {.data = names.data + at + sizeof name.size};
        struct key key;
        memcpy(&name.size, names.data + at, sizeof name.size);
        call_peek_key(call, name, &key);
        at += sizeof name.size + name.size;
    }
    buf_done(&names);
}

void cmd_scan(struct call *call, const struct args_scan *args)
{
    uint64_t cursor;
    uint64_t wanted = args->has_count ? (uint64_t)args->count : SCAN_COUNT_DEFAULT;
    if (!parse_cursor(call, args->cursor, &cursor))
        return;
    if (args->has_count && args->count < 1) {
        call_syntax_error(call);
        return;
    }
    struct scan_walk walk = {0};
    uint64_t buckets_left =
        wanted < UINT64_MAX / SCAN_BUCKETS_PER_KEY ? wanted * SCAN_BUCKETS_PER_KEY : UINT64_MAX;
    do {
        cursor = table_scan(&call->db->keys, cursor, scan_visit, &walk);
    } while (cursor != 0 && --buckets_left > 0 && walk.count < wanted);
    if (walk.is_out_of_memory)
        call_oom(call);
    else
        scan_reply(call, args, &walk, cursor);
    scan_remove_expired(call, &walk);
    mem_free(walk.entries);
}

/* ---- Collections ---------------------------------------------------------------------------------- */

struct collection_walk {
    struct call *call;
    const struct scan_request *request;
    scan_reply_fn *reply_row;
    unsigned detail;
    uint64_t elements;
};

static void collection_visit(void *context, const struct page *page, unsigned row)
{
    struct collection_walk *walk = context;
    element_scratch scratch;
    if (walk->request->has_pattern &&
        !glob_match(walk->request->pattern, element_text(page_element(page, row, 0), scratch)))
        return;
    walk->elements += walk->reply_row(walk->call, page, row, walk->detail);
}

void scan_collection(struct call *call, const struct scan_request *request, enum entry_type type,
                     scan_reply_fn *reply_row, unsigned detail)
{
    struct key key;
    struct collection_view view;
    uint64_t cursor, next = 0;
    char text[NUM_I64_TEXT_MAX];
    if (!parse_cursor(call, request->cursor, &cursor) ||
        !call_read_collection(call, request->key, type, &key, &view))
        return;
    if (key.entry != NULL && request->has_count && request->count < 1) {
        call_syntax_error(call);
        return;
    }
    uint64_t count = request->has_count ? (uint64_t)request->count : SCAN_COUNT_DEFAULT;
    /* A large sorted set is walked by its index: a member is met whatever its score becomes meanwhile. */
    const struct tree *rows = key.entry == NULL ? NULL : view.index != NULL ? view.index : view.rows;
    struct collection_walk walk = {call, request, reply_row, detail, 0};
    if (rows != NULL)
        next = members_scan(rows, cursor, count, NULL, NULL);
    reply_array(call->out, 2);
    reply_bulk(call->out, slice_make(text, num_format_u64(next, text)));
    struct reply_open open = reply_open(call->out);
    if (rows != NULL)
        members_scan(rows, cursor, count, collection_visit, &walk);
    reply_close(call->out, open, REPLY_ARRAY, walk.elements);
}
