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
#include "exec/sliced.h"
#include "gen/args.h"
#include "keyspace/walk.h"
#include "types/members.h"

/* ---- KEYS ----------------------------------------------------------------------------------------- */

struct keys_walk {
    struct call *call;
    struct slice pattern;
    bool matches_all;
    int64_t start_ms;
    uint64_t count;
};

static void keys_visit(const struct entry *entry, void *context)
{
    struct keys_walk *walk = context;
    struct slice key = entry_key(entry);
    if (entry_expire_ms(entry) <= walk->start_ms || !(walk->matches_all || glob_match(walk->pattern, key)))
        return;
    reply_bulk(walk->call->out, key);
    walk->count++;
}

void cmd_keys(struct call *call, const struct args_keys *args)
{
    struct keys_walk context = {.call = call,
                                .pattern = args->pattern,
                                .matches_all = slice_equal(args->pattern, SLICE("*")),
                                .start_ms = call->exec->keyspace->now_ms};
    struct reply_open open = reply_open(call->out);
    struct key_walk walk;
    key_walk_begin(&walk, call->db, keys_visit, &context);
    sliced_expect(call, table_size(call->db->keys));
    while (key_walk_step(&walk) && sliced_pause(call, TABLE_LOAD))
        ;
    key_walk_end(&walk);
    reply_close(call->out, open, REPLY_ARRAY, context.count);
}

/* ---- SCAN ----------------------------------------------------------------------------------------- */

/* A call of SCAN looks at no more than this many buckets for each key that it was asked for: matches may be rare. */
#define SCAN_BUCKETS_PER_KEY 10
#define SCAN_COUNT_DEFAULT   10
#define SCAN_STEP_ROWS       64 /* of a collection, between two chances to pause */

struct scan_walk {
    struct call *call;
    const struct args_scan *args;
    struct reply names; /* of the keys that match */
    uint64_t matches;
    uint64_t visited;
    struct buf expired; /* names of keys that have turned out to be past their time, each behind its size */
};

static bool scan_matches(const struct args_scan *args, const struct entry *entry)
{
    if (args->has_pattern && !slice_equal(args->pattern, SLICE("*")) &&
        !glob_match(args->pattern, entry_key(entry)))
        return false;
    return !args->has_type || slice_equal_nocase(args->type, inspect_type_name(entry));
}

static void scan_visit(void *item, void *context)
{
    struct scan_walk *walk = context;
    const struct entry *entry = item;
    struct slice name = entry_key(entry);
    walk->visited++;
    if (db_is_expired(walk->call->db, entry)) {
        buf_append(&walk->expired, &name.size, sizeof name.size);
        buf_append_slice(&walk->expired, name);
    } else if (scan_matches(walk->args, entry)) {
        reply_bulk(&walk->names, name);
        walk->matches++;
    }
}

/* As lenient as Redis: whatever strtoul uses up wholly, if it does not begin with a space; nothing at all is 0. But a sign in front
 * makes it a number below zero, which is no cursor. False after having answered. */
static bool parse_cursor(struct call *call, struct slice text, uint64_t *ret_cursor)
{
    char copy[32];
    char first = text.size > 0 ? text.data[0] : '0';
    bool is_text = text.size < sizeof copy && !isspace((unsigned char)first) && first != '-' &&
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

/* Removes the keys that were found to be past their time. */
static void scan_remove_expired(struct call *call, const struct buf *names)
{
    for (size_t at = 0; at < names->size;) {
        struct slice name = {.data = names->data + at + sizeof name.size};
        struct key key;
        memcpy(&name.size, names->data + at, sizeof name.size);
        call_peek_key(call, name, &key);
        at += sizeof name.size + name.size;
    }
}

/* Answers with the next cursor and what has been collected. */
static void scan_answer(struct call *call, uint64_t cursor, uint64_t count, struct reply *elements)
{
    char text[NUM_I64_TEXT_MAX];
    reply_array(call->out, 2);
    reply_bulk(call->out, slice_make(text, num_format_u64(cursor, text)));
    reply_array(call->out, count);
    reply_move(call->out, elements);
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
    struct scan_walk walk = {.call = call, .args = args};
    reply_init(&walk.names, call->exec->chunks, call->out->resp);
    uint64_t buckets_left =
        wanted < UINT64_MAX / SCAN_BUCKETS_PER_KEY ? wanted * SCAN_BUCKETS_PER_KEY : UINT64_MAX;
    do {
        cursor = table_scan(call->db->keys, cursor, scan_visit, &walk);
    } while (cursor != 0 && --buckets_left > 0 && walk.visited < wanted && sliced_pause(call, TABLE_LOAD));
    scan_answer(call, cursor, walk.matches, &walk.names);
    scan_remove_expired(call, &walk.expired);
    buf_done(&walk.expired);
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

/* Walks about `count` rows in short steps; returns the next cursor. `walk` NULL: only that is wanted. */
static uint64_t walk_rows(struct call *call, const struct tree *rows, uint64_t cursor, uint64_t count,
                          struct collection_walk *walk)
{
    uint64_t step = count < SCAN_STEP_ROWS ? count : SCAN_STEP_ROWS;
    for (uint64_t done = step;; done += step) {
        cursor = members_scan(rows, cursor, step, walk ? collection_visit : NULL, walk);
        if (cursor == 0 || done >= count || !sliced_pause(call, (uint32_t)step))
            return cursor;
    }
}

void scan_collection(struct call *call, const struct scan_request *request, enum entry_type type,
                     scan_reply_fn *reply_row, unsigned detail)
{
    struct key key;
    struct collection_view view;
    const struct tree *rows = NULL;
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
    struct collection_walk walk = {call, request, reply_row, detail, 0};
    if (key.entry != NULL) {
        /* A large sorted set is walked by its index: a member is met whatever its score becomes meanwhile. */
        rows = sliced_keep(call, view.index != NULL ? view.index : view.rows);
        next = walk_rows(call, rows, cursor, count, NULL);
    }
    reply_array(call->out, 2);
    reply_bulk(call->out, slice_make(text, num_format_u64(next, text)));
    struct reply_open open = reply_open(call->out);
    if (rows != NULL)
        walk_rows(call, rows, cursor, count, &walk);
    reply_close(call->out, open, REPLY_ARRAY, walk.elements);
}
