/* Streams. Entry: stream_append, stream_seek, stream_trim. Threads and invariants: see stream.h. */
#include "types/stream.h"

#include <limits.h>

#include "base/bug.h"
#include "types/stream_group.h"

#define TRIM_CUT_MIN 256 /* entries: fewer are taken out leaf by leaf */

/* The ids of a page, as far as the tree has to know them. */
static struct tree_order log_order(const struct page *page, unsigned row, const void *context)
{
    struct stream_id id = row == 0 ? log_of(page)->first_id : log_of(page)->last_id;
    return (struct tree_order){id.ms, id.seq};
}

static const struct tree_type stream_tree = {.layout = PAGE_LOG, .order = log_order};

static struct tree_order order_of(struct stream_id id)
{
    return (struct tree_order){id.ms, id.seq};
}

/* ---- As an object ---------------------------------------------------------------------------------------------- */

static bool free_some(struct heap *heap, struct object *object, unsigned pages_max)
{
    struct stream *stream = (struct stream *)object;
    if (!stream_groups_free_some(heap, stream->groups, pages_max))
        return false;
    stream->groups = NULL;
    if (!tree_free_some(&stream->entries, pages_max))
        return false;
    heap_release(heap, stream, sizeof *stream);
    return true;
}

static size_t memory(const struct object *object)
{
    const struct stream *stream = (const struct stream *)object;
    return heap_block_size(sizeof *stream) + tree_memory(&stream->entries) +
           stream_groups_memory(stream->groups);
}

static void check(const struct object *object)
{
    stream_check((const struct stream *)object);
}

static const struct object_type stream_object = {.free_some = free_some, .memory = memory, .check = check};

static struct stream *allocate(struct heap *heap)
{
    struct stream *stream = heap_alloc(heap, sizeof *stream);
    if (stream == NULL)
        fatal("out of memory");
    *stream = (struct stream){.object = {.type = &stream_object, .refs = 1}};
    list_init(&stream->object.node);
    return stream;
}

struct stream *stream_new(struct heap *heap)
{
    struct stream *stream = allocate(heap);
    tree_init(&stream->entries, &stream_tree, NULL, heap);
    return stream;
}

struct stream *stream_draft(struct heap *heap, const struct stream *stream)
{
    struct stream *own = allocate(heap);
    tree_snapshot((struct tree *)&stream->entries, &own->entries); /* another holder is no change */
    own->last_id = stream->last_id;
    own->max_deleted_id = stream->max_deleted_id;
    own->entries_added = stream->entries_added;
    own->groups = stream_groups_ref(stream->groups);
    return own;
}

void stream_exchange(struct keyspace *keyspace, struct entry *entry, struct stream *draft)
{
    keyspace_release_object(keyspace, entry_object(entry));
    __atomic_store_n(entry_word(entry), (int64_t)(uintptr_t)draft, __ATOMIC_RELEASE);
}

struct stream *stream_change(struct keyspace *keyspace, struct entry *entry)
{
    struct stream *stream = (struct stream *)entry_object(entry);
    if (likely(stream->object.refs == 1))
        return stream;
    struct stream *own = stream_draft(keyspace->heap, stream);
    stream_exchange(keyspace, entry, own);
    return own;
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

struct stream_id stream_first_id(const struct stream *stream)
{
    struct tree_place place;
    if (stream_length(stream) == 0)
        return STREAM_ID_MIN;
    tree_first_page(&stream->entries, &place);
    return log_of(place.page)->first_id;
}

struct stream_id stream_end_id(const struct stream *stream)
{
    struct stream_cursor cursor;
    if (!stream_seek(&cursor, stream, STREAM_ID_MAX, true))
        return STREAM_ID_MIN;
    return cursor.entry.id;
}

uint64_t stream_count_after(const struct stream *stream, struct stream_id id)
{
    struct tree_place place;
    struct tree_probe probe = {.order = order_of(id)};
    if (stream_length(stream) == 0 || stream_id_compare(stream->last_id, id) <= 0)
        return 0;
    tree_seek(&stream->entries, &probe, &place);
    return stream_length(stream) - tree_position(&stream->entries, &place);
}

/* Collects the last entries of the place's page before offset `end` whose ids are at most `from`. False: there are none. */
static bool collect_before(struct stream_cursor *cursor, unsigned end, struct stream_id from)
{
    struct log_entry entry;
    unsigned count = 0;
    for (bool more = log_first(cursor->place.page, &entry);
         more && entry.offset < end && stream_id_compare(entry.id, from) <= 0; more = log_next(&entry)) {
        cursor->before[count % STREAM_BACK_STEPS] = entry;
        count++;
    }
    cursor->behind = count < STREAM_BACK_STEPS ? count : STREAM_BACK_STEPS;
    cursor->newest = count % STREAM_BACK_STEPS;
    return count > 0;
}

static void take_before(struct stream_cursor *cursor)
{
    cursor->newest = (cursor->newest + STREAM_BACK_STEPS - 1) % STREAM_BACK_STEPS;
    cursor->entry = cursor->before[cursor->newest];
    cursor->behind--;
}

static bool step_back(struct stream_cursor *cursor)
{
    if (cursor->behind == 0 && !collect_before(cursor, cursor->entry.offset, STREAM_ID_MAX))
        do {
            if (!tree_previous_page(cursor->entries, &cursor->place))
                return false;
        } while (!collect_before(cursor, UINT_MAX, STREAM_ID_MAX));
    take_before(cursor);
    return true;
}

bool stream_step(struct stream_cursor *cursor)
{
    if (cursor->backwards)
        return step_back(cursor);
    if (likely(log_next(&cursor->entry)))
        return true;
    return tree_next_page(cursor->entries, &cursor->place) && log_first(cursor->place.page, &cursor->entry);
}

bool stream_seek(struct stream_cursor *cursor, const struct stream *stream, struct stream_id from,
                 bool backwards)
{
    cursor->entries = &stream->entries;
    cursor->backwards = backwards;
    cursor->behind = 0;
    if (stream_length(stream) == 0)
        return false;
    struct tree_probe probe = {.order = order_of(from)};
    tree_seek(&stream->entries, &probe, &cursor->place);
    if (backwards) {
        while (!collect_before(cursor, UINT_MAX, from))
            if (!tree_previous_page(cursor->entries, &cursor->place))
                return false;
        take_before(cursor);
        return true;
    }
    bool more = log_first(cursor->place.page, &cursor->entry);
    while (more && stream_id_compare(cursor->entry.id, from) < 0)
        more = stream_step(cursor);
    return more;
}

bool stream_find(const struct stream *stream, struct stream_id id, struct log_entry *ret_entry)
{
    struct tree_place place;
    struct tree_probe probe = {.order = order_of(id)};
    tree_seek(&stream->entries, &probe, &place);
    if (stream_id_compare(id, log_of(place.page)->last_id) > 0)
        return false;
    bool more = log_first(place.page, ret_entry);
    while (more && stream_id_compare(ret_entry->id, id) < 0)
        more = log_next(ret_entry);
    return more && stream_id_equal(ret_entry->id, id);
}

/* ---- Changing --------------------------------------------------------------------------------------------------- */

/* Bytes that a leaf may have, by the option. */
static size_t size_max(const struct stream_limits *limits)
{
    bool is_set = limits->node_bytes > 0 && limits->node_bytes < PAGE_SIZE_MAX;
    return is_set ? (size_t)limits->node_bytes : PAGE_SIZE_MAX;
}

/* Hangs a leaf for the entry behind the last one, which is full, or in the place of the only one, which is empty. */
static bool append_leaf(struct stream *stream, struct tree_place *place, const struct log_draft *draft)
{
    struct heap *heap = stream->entries.heap;
    bool is_first = place->page->count == 0;
    /* Who has filled one is likely to fill another. */
    struct page *page = log_begin(heap, draft, is_first ? 0 : log_of(place->page)->end);
    if (page == NULL)
        return false;
    struct page **last = tree_edit_page(&stream->entries, place);
    if (is_first) {
        page_unref(heap, *last);
        *last = page;
        tree_recount(&stream->entries, place, 1);
        return true;
    }
    log_fit(heap, last);
    tree_add_page(&stream->entries, place, page, order_of(draft->id));
    return true;
}

const struct page *stream_last_leaf(const struct stream *stream)
{
    struct tree_place place;
    tree_last_page(&stream->entries, &place);
    return place.page;
}

bool stream_append(struct stream *stream, const struct log_draft *draft, const struct stream_limits *limits)
{
    struct tree_place place;
    DEBUG_ASSERT(stream_id_compare(stream->last_id, draft->id) < 0);
    tree_last_page(&stream->entries, &place);
    const struct log *last = log_of(place.page);
    bool is_full = last->page.count == 0 || (limits->node_entries > 0 && last->total >= limits->node_entries);
    enum log_outcome outcome = LOG_FULL;
    if (likely(!is_full)) {
        struct page **page = tree_edit_page(&stream->entries, &place);
        outcome = log_append(stream->entries.heap, page, draft, size_max(limits));
        place.page = *page;
    }
    if (outcome == LOG_APPENDED)
        tree_recount(&stream->entries, &place, 1);
    else if (outcome == LOG_NOMEM || !append_leaf(stream, &place, draft))
        return false;
    stream->last_id = draft->id;
    stream->entries_added += stream->entries_added < STREAM_ADDED_MAX;
    return true;
}

/* Takes one entry of the place's leaf out. The place is not valid afterwards. */
static void kill(struct stream *stream, struct tree_place *place, const struct log_entry *entry)
{
    if (place->page->count == 1) {
        tree_remove_page(&stream->entries, place);
        return;
    }
    struct page **page = tree_edit_page(&stream->entries, place);
    struct log_entry own = *entry;
    own.log = log_of(*page); /* perhaps a copy */
    log_kill(stream->entries.heap, page, &own);
    tree_recount(&stream->entries, place, -1);
}

bool stream_remove(struct stream *stream, struct stream_id id)
{
    struct stream_cursor cursor;
    if (!stream_seek(&cursor, stream, id, false) || !stream_id_equal(cursor.entry.id, id))
        return false;
    kill(stream, &cursor.place, &cursor.entry);
    if (stream_id_compare(stream->max_deleted_id, id) < 0)
        stream->max_deleted_id = id;
    return true;
}

/* Whether all of the first leaf goes. */
static bool drops_leaf(const struct stream *stream, const struct page *page, const struct stream_trim *trim)
{
    if (trim->by == STREAM_TRIM_LENGTH)
        return stream_length(stream) - page->count >= trim->length;
    return stream_id_compare(log_of(page)->last_id, trim->id) < 0;
}

static bool drops_entry(const struct stream *stream, const struct log_entry *entry,
                        const struct stream_trim *trim)
{
    if (trim->by == STREAM_TRIM_LENGTH)
        return stream_length(stream) > trim->length;
    return stream_id_compare(entry->id, trim->id) < 0;
}

/* Goes to the leaf where trimming ends: everything before it goes. The stream has entries. Returns how many those are. */
static uint64_t seek_trim_end(const struct stream *stream, const struct stream_trim *trim,
                              struct tree_place *ret_place)
{
    const struct tree *entries = &stream->entries;
    uint64_t length = stream_length(stream), wanted;
    if (trim->by == STREAM_TRIM_LENGTH) {
        wanted = trim->length < length ? length - trim->length : 0;
    } else {
        struct tree_probe probe = {.order = order_of(trim->id)};
        tree_seek(entries, &probe, ret_place);
        wanted = tree_position(entries, ret_place);
    }
    if (trim->limit > 0 && wanted > trim->limit)
        wanted = trim->limit;
    tree_at(entries, wanted < length ? wanted : length - 1, ret_place);
    ret_place->row = 0;
    return tree_position(entries, ret_place);
}

/* Cuts off all leaves but the one where trimming ends, when they are many. Returns how many entries have gone. */
static uint64_t cut_leaves(struct keyspace *keyspace, struct stream *stream, const struct stream_trim *trim)
{
    struct tree_place place;
    struct tree before;
    if (stream_length(stream) < TRIM_CUT_MIN)
        return 0;
    uint64_t gone = seek_trim_end(stream, trim, &place);
    if (gone < TRIM_CUT_MIN)
        return 0;
    tree_cut_front(&stream->entries, &place, &before);
    keyspace_retire_rows(keyspace, &before);
    return gone;
}

uint64_t stream_trim(struct keyspace *keyspace, struct stream *stream, const struct stream_trim *trim)
{
    uint64_t gone = cut_leaves(keyspace, stream, trim);
    struct tree_place place;
    while (stream_length(stream) > 0) {
        if (trim->by == STREAM_TRIM_LENGTH && stream_length(stream) <= trim->length)
            break;
        tree_first_page(&stream->entries, &place);
        unsigned count = place.page->count;
        if (trim->limit > 0 && gone + count > trim->limit)
            break;
        if (drops_leaf(stream, place.page, trim)) {
            tree_remove_page(&stream->entries, &place);
            gone += count;
            continue;
        }
        struct log_entry entry;
        if (trim->whole_nodes || !log_first(place.page, &entry) || !drops_entry(stream, &entry, trim))
            break;
        kill(stream, &place, &entry);
        gone++;
    }
    return gone;
}

/* ---- Checking ----------------------------------------------------------------------------------------------------- */

void stream_check(const struct stream *stream)
{
    tree_check(&stream->entries);
    struct tree_place place;
    tree_last_page(&stream->entries, &place);
    ASSERT(place.page->count == 0 || stream_id_compare(log_of(place.page)->last_id, stream->last_id) <= 0);
    ASSERT(stream_length(stream) <= stream->entries_added && stream->entries_added <= STREAM_ADDED_MAX);
    stream_groups_check(stream->groups);
}
