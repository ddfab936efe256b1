/* Asking for collections ahead. Entry: fetch_value, fetch_rows_add. Threads: executor only. */
#include "exec/fetch.h"

#include "base/num.h"
#include "exec/command.h"
#include "types/stream.h"
#include "types/zset.h"

#define INLINE_LINES_MAX  16 /* of a string that lies in its entry */
#define SCORED_MEMBER_ARG 3
#define LEAF_LINES        2 /* header of a stream's, and its names */
#define PAGE_LINES        5 /* header and columns of a small collection, and its first rows */

/* Of a string in its block: what is behind the line that has been asked for. */
static void prefetch_string(const struct entry *entry, bool writes)
{
    size_t end = entry_block_size(entry) / CACHE_LINE + 1;
    if (end > INLINE_LINES_MAX)
        end = INLINE_LINES_MAX;
    for (size_t line = 1; line < end; line++) {
        const char *at = (const char *)entry + line * CACHE_LINE;
        if (writes)
            prefetch_write(at);
        else
            prefetch(at);
    }
}

static void prefetch_lines(const void *from, size_t first, size_t end)
{
    for (size_t line = first; line < end; line++)
        prefetch((const char *)from + line * CACHE_LINE);
}

void fetch_value_slow(const struct entry *entry, const struct request *request)
{
    switch (entry_encoding(entry)) {
    case ENTRY_INLINE:
        if (request->command->flags & CMD_READONLY)
            prefetch_string(entry, false);
        else if (request->command->value_arg > 0 && request->built == NULL)
            prefetch_string(entry, true); /* which the value goes over: keyspace_overwrite */
        break;
    case ENTRY_PAGE:
        prefetch_lines(entry_page(entry), 0, request->command->list_end == LIST_END_NONE ? PAGE_LINES : 1);
        break;
    case ENTRY_TREE:
        prefetch_lines(entry_collection(entry), 0, sizeof(struct collection) / CACHE_LINE + 1);
        break;
    case ENTRY_OBJECT: prefetch_lines(entry_object(entry), 0, sizeof(struct stream) / CACHE_LINE + 1); break;
    default: break;
    }
}

static void add_leaf(struct fetch_rows *fetch, const struct page *leaf)
{
    prefetch_lines(leaf, 0, LEAF_LINES);
    fetch->leaves[fetch->leaf_count++] = leaf;
}

/* A sorted set has the row in the order of scores, too. Before a member that is the fourth word stands its score (ZADD), or a
 * number which only leads to another leaf (ZINCRBY). */
static void add_scored(struct fetch_rows *fetch, const struct tree *rows, const struct request *request)
{
    double score;
    if (request->command->member_arg == SCORED_MEMBER_ARG &&
        num_parse_double(request->argv[SCORED_MEMBER_ARG - 1], &score))
        add_leaf(fetch, zset_likely_leaf(rows, score, request->argv[SCORED_MEMBER_ARG]));
}

/* Of a small list, the place of the first row or of the last one, and of that before or behind it; all of the page where it has to move
 * to another block for a new row. */
static void add_list(struct fetch_rows *fetch, const struct page *page, const struct command *command)
{
    bool at_head = command->list_end == LIST_END_HEAD, pushes = command->flags & CMD_DENYOOM;
    unsigned slot = at_head ? page->first : page->first + page->count;
    if (page->layout != PAGE_LIST)
        return;
    if (unlikely(pushes && slot == (at_head ? 0 : page->capacity))) {
        prefetch_lines(page, 1, page->size / CACHE_LINE + 1u);
        return;
    }
    prefetch_write(page_columns(page) + (slot > 0 ? slot - 1 : 0) * (page->narrow ? 1 : sizeof(uint16_t)));
    if (at_head)
        prefetch_write((const char *)page + page->begin - pushes);
    else
        fetch->leaves[fetch->leaf_count++] = page;
}

void fetch_rows_add(struct fetch_rows *fetch, const struct entry *entry, const struct request *request)
{
    const struct command *command = request->command;
    bool writes = command->flags & CMD_WRITE;
    if (entry_encoding(entry) == ENTRY_OBJECT) {
        if (writes && entry_type(entry) == ENTRY_STREAM)
            add_leaf(fetch, stream_last_leaf((const struct stream *)entry_object(entry)));
        return;
    }
    if (command->list_end != LIST_END_NONE) {
        if (entry_encoding(entry) == ENTRY_PAGE)
            add_list(fetch, entry_page(entry), command);
        return;
    }
    uint32_t member = command->member_arg;
    if (member == 0 || member >= request->argc)
        return;
    if (entry_encoding(entry) == ENTRY_PAGE) {
        if (entry_page(entry)->tagged) /* else one with few rows, or without look-ups */
            members_fetch_add_page(&fetch->members, entry_page(entry), request->argv[member], writes);
        return;
    }
    const struct collection *collection = entry_collection(entry);
    const struct tree *rows = collection->has_index ? &collection->index : &collection->rows;
    if (!rows->type->scattered)
        return;
    members_fetch_add(&fetch->members, rows, request->argv[member], writes);
    if (collection->has_index && writes)
        add_scored(fetch, &collection->rows, request);
}

/* Of a stream or a list, where its end is; of a sorted set, the scores, among which one is searched for by halves. */
static void fetch_in_leaf(const struct page *leaf)
{
    if (leaf->layout == PAGE_LOG) {
        prefetch_write((const char *)leaf + log_of(leaf)->end);
        return;
    }
    if (leaf->layout == PAGE_LIST) {
        struct element last = page_element(leaf, leaf->count - 1u, 0);
        prefetch_write(last.data + last.size);
        return;
    }
    size_t width = leaf->form & NUMBER_WIDTH_MASK;
    prefetch_lines(page_numbers(leaf) + leaf->first * width, 0, leaf->count * width / CACHE_LINE + 1);
}

void fetch_rows_all(struct fetch_rows *fetch)
{
    if (fetch->members.count > 0)
        members_fetch_all(&fetch->members);
    for (unsigned i = 0; i < fetch->leaf_count; i++)
        fetch_in_leaf(fetch->leaves[i]);
}
