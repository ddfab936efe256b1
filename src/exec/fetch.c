/* Asking for collections ahead. Entry: fetch_value, fetch_rows_begin. Threads: executor only. */
#include "exec/fetch.h"

#include "exec/command.h"

#define INLINE_LINES_MAX 16 /* of a string that lies in its entry */
#define PAGE_LINES       5  /* header and columns of a small collection, and its first rows */

static void prefetch_lines(const void *from, size_t first, size_t end)
{
    for (size_t line = first; line < end; line++)
        prefetch((const char *)from + line * CACHE_LINE);
}

void fetch_value_slow(const struct entry *entry, const struct request *request)
{
    switch (entry_encoding(entry)) {
    case ENTRY_INLINE:
        if (request->command->flags & CMD_READONLY) {
            size_t lines = entry_block_size(entry) / CACHE_LINE;
            prefetch_lines(entry, 1, lines < INLINE_LINES_MAX ? lines + 1 : INLINE_LINES_MAX);
        }
        break;
    case ENTRY_PAGE: prefetch_lines(entry_page(entry), 0, PAGE_LINES); break;
    case ENTRY_TREE:
        prefetch_lines(entry_collection(entry), 0, sizeof(struct collection) / CACHE_LINE + 1);
        break;
    default: break;
    }
}

bool fetch_rows_begin(const struct entry *entry, const struct request *request,
                      struct members_fetch *ret_fetch)
{
    uint32_t member = request->command->member_arg;
    if (member == 0 || member >= request->argc)
        return false;
    bool writes = request->command->flags & CMD_WRITE;
    if (entry_encoding(entry) == ENTRY_PAGE) {
        if (!entry_page(entry)->tagged) /* one with few rows, or without look-ups */
            return false;
        members_fetch_begin_page(ret_fetch, entry_page(entry), request->argv[member], writes);
        return true;
    }
    if (entry_encoding(entry) != ENTRY_TREE)
        return false;
    const struct collection *collection = entry_collection(entry);
    const struct tree *rows = collection->has_index ? &collection->index : &collection->rows;
    if (!rows->type->scattered)
        return false;
    members_fetch_begin(ret_fetch, rows, request->argv[member], writes);
    return true;
}
