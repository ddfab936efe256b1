/* Lists: LPUSH, RPUSH and their X forms, LPOP, RPOP, LMPOP, LLEN, LINDEX, LSET, LRANGE, LTRIM, LREM, LINSERT, LPOS, LMOVE,
 * RPOPLPUSH.
 *
 * Threads: executor only. */
#include "cmd/list.h"

#include "base/alloc.h"
#include "config/config.h"
#include "exec/call.h"
#include "exec/notify.h"
#include "exec/rows.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/list.h"

#define CUT_STEP 2048 /* elements that are taken out at once: some leaves */
#define POP_STEP 512  /* elements that are answered with and taken out at once */

/* ENTRY_GROWN when the list is past list-max-listpack-size now. One that was goes back only under half of it. */
static uint8_t list_marks(const struct call *call, const struct key *key, const struct tree *rows)
{
    bool was = key->entry != NULL && key->entry->flags & ENTRY_GROWN;
    return list_is_compact(rows, call->exec->config->list_max_listpack_size, was) ? 0 : ENTRY_GROWN;
}

static bool close_list(struct call *call, struct key *key, struct collection_view *list)
{
    return call_close_collection(call, key, list, ENTRY_LIST, list_marks(call, key, list->rows));
}

/* The events of a list from which something was taken: what was done, and that it is gone when nothing is left. */
static void removed_from(struct call *call, const struct key *key, const char *event)
{
    call_changed(call, NOTIFY_LIST, event, key->name);
    if (key->entry == NULL)
        notify_publish(call->exec, NOTIFY_GENERIC, "del", key->name, call->db);
}

bool list_resolve_index(const struct tree *rows, int64_t index, uint64_t *ret_position)
{
    uint64_t size = tree_rows(rows);
    uint64_t position = index < 0 ? size + (uint64_t)index : (uint64_t)index;
    if (position >= size)
        return false;
    *ret_position = position;
    return true;
}

void list_resolve_range(uint64_t size, int64_t start, int64_t stop, uint64_t *ret_first, uint64_t *ret_count)
{
    int64_t signed_size = (int64_t)size;
    int64_t first = start < 0 ? start + signed_size : start, last = stop < 0 ? stop + signed_size : stop;
    if (first < 0)
        first = 0;
    if (last >= signed_size)
        last = signed_size - 1;
    *ret_first = (uint64_t)first;
    *ret_count = first > last ? 0 : (uint64_t)(last - first) + 1;
}

/* ---- Pushing ----------------------------------------------------------------------------------------------- */

/* Pushes one text after the other. False: memory for a long one was refused, and none of them is in the list. */
static bool push_texts(struct tree *rows, bool at_head, const struct slice *texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        element_scratch scratch;
        struct element element;
        if (element_make(texts[i], scratch, &element) != ST_OK) {
            list_cut(rows, at_head ? 0 : tree_rows(rows) - i, i);
            return false;
        }
        list_push(rows, at_head, element);
    }
    return true;
}

/* After elements have been pushed. */
ALWAYS_INLINE void tell_pushed(struct call *call, struct slice name, bool at_head, uint64_t size)
{
    call_changed(call, NOTIFY_LIST, at_head ? "lpush" : "rpush", name);
    reply_int(call->out, (int64_t)size);
}

/* Whether a list that will have `rows` elements has the mark already that list_marks would give it. `page`: a small one's; NULL:
 * it is a tree. False: it is not told here. */
ALWAYS_INLINE bool keeps_marks(const struct call *call, const struct entry *entry, const struct page *page,
                               uint64_t rows)
{
    const int64_t limit = call->exec->config->list_max_listpack_size;
    const bool is_grown = entry_flags(entry) & ENTRY_GROWN;
    if (unlikely(limit >= 0))
        return (rows > (uint64_t)limit >> is_grown) == is_grown;
    if (is_grown)
        return list_rows_are_many(rows, limit, true);
    return page != NULL && list_page_is_compact(page, limit, false);
}

/* Most pushes are of one element into a list of which nothing moves. False: this one is not, and nothing has changed. */
ALWAYS_INLINE bool push_in_place(struct call *call, struct entry *entry, bool at_head, struct slice text,
                                 uint64_t *ret_size)
{
    element_scratch scratch;
    struct element element;
    if (text.size > ELEMENT_BYTES_MAX || element_make(text, scratch, &element) != ST_OK)
        return false; /* no blob is made here */
    if (entry_encoding(entry) == ENTRY_TREE) {
        struct tree *rows = &entry_collection(entry)->rows;
        *ret_size = tree_rows(rows) + 1;
        return keeps_marks(call, entry, NULL, *ret_size) && list_push_in_place(rows, at_head, element);
    }
    struct page *page = entry_page(entry);
    *ret_size = page->count + 1u;
    if (!keeps_marks(call, entry, page, *ret_size) || !list_push_in_page(page, at_head, element))
        return false;
    keyspace_set_page(call->exec->keyspace, entry, page);
    return true;
}

/* The same of any number of elements, and of a key that need not be there. */
NO_INLINE static void push_some(struct call *call, struct key *key, bool at_head, const struct slice *texts,
                                uint32_t count, bool must_exist)
{
    struct collection_view list;
    if (!call_open_collection(call, ENTRY_LIST, key, &list))
        return;
    if (key->entry == NULL) {
        if (must_exist) {
            reply_int(call->out, 0);
            return;
        }
        collection_begin(&list, call->exec->keyspace, ENTRY_LIST);
    }
    bool pushed = push_texts(list.rows, at_head, texts, count);
    uint64_t size = tree_rows(list.rows);
    if (!close_list(call, key, &list))
        return;
    if (!pushed) {
        call_oom(call);
        return;
    }
    call->exec->stats.dirty += count - 1;
    tell_pushed(call, key->name, at_head, size);
}

static void push(struct call *call, struct slice name, bool at_head, const struct slice *texts,
                 uint32_t count, bool must_exist)
{
    struct key key;
    uint64_t size;
    call_write_key(call, name, &key);
    if (likely(key.entry != NULL && count == 1) && entry_type(key.entry) == ENTRY_LIST &&
        likely(push_in_place(call, key.entry, at_head, texts[0], &size)))
        tell_pushed(call, name, at_head, size);
    else
        push_some(call, &key, at_head, texts, count, must_exist);
}

void cmd_lpush(struct call *call, const struct args_lpush *args)
{
    push(call, args->key, true, args->element, args->element_count, false);
}

void cmd_rpush(struct call *call, const struct args_rpush *args)
{
    push(call, args->key, false, args->element, args->element_count, false);
}

void cmd_lpushx(struct call *call, const struct args_lpushx *args)
{
    push(call, args->key, true, args->element, args->element_count, true);
}

void cmd_rpushx(struct call *call, const struct args_rpushx *args)
{
    push(call, args->key, false, args->element, args->element_count, true);
}

/* ---- Popping ----------------------------------------------------------------------------------------------- */

/* Takes `count` elements from `first` on out, in steps. False: the command has been told to end. */
static bool cut_in_steps(struct call *call, struct tree *rows, uint64_t first, uint64_t count)
{
    while (count > 0) {
        uint64_t step = count < CUT_STEP ? count : CUT_STEP;
        list_cut(rows, first, step);
        count -= step;
        if (!sliced_pause(call, LIST_SEARCH_STEP))
            return false;
    }
    return true;
}

void list_propagate_pop(struct call *call, struct slice name, bool at_head, bool has_count, uint64_t count)
{
    char text[NUM_I64_TEXT_MAX];
    const struct slice words[] = {at_head ? SLICE("LPOP") : SLICE("RPOP"), name,
                                  propagate_number((int64_t)count, text)};
    call_propagate(call, words, has_count ? 3 : 2);
}

static void tell_popped(struct call *call, const struct key *key, bool at_head, uint64_t count)
{
    removed_from(call, key, at_head ? "lpop" : "rpop");
    call->exec->stats.dirty += count - 1;
}

/* All elements are taken: the key goes, and they are told from what it was. False: the command has been told to end. */
static bool pop_all(struct call *call, struct key *key, struct collection_view *list, bool at_head)
{
    const struct tree *rows = sliced_keep(call, list->rows);
    uint64_t size = tree_rows(rows);
    if (!rows_reply(call, rows, at_head ? 0 : size - 1, size, !at_head))
        return false;
    sliced_commit_key(call, key);
    call_delete(call, key);
    tell_popped(call, key, at_head, size);
    return true;
}

uint64_t list_pop_some(struct call *call, struct key *key, struct collection_view *list, bool at_head,
                       int64_t count_max)
{
    uint64_t size = tree_rows(list->rows), count = (uint64_t)count_max;
    sliced_expect(call, 2 * (count < size ? count : size));
    reply_array(call->out, count < size ? count : size);
    if (count == 0)
        return 0;
    if (count >= size)
        return pop_all(call, key, list, at_head) ? size : 0;
    if (count > POP_STEP)
        sliced_edit(call, list);
    else
        sliced_commit(call);
    if (!rows_reply(call, list->rows, at_head ? 0 : size - 1, count, !at_head) ||
        !cut_in_steps(call, list->rows, at_head ? 0 : size - count, count))
        return 0;
    sliced_publish(call, key, list);
    close_list(call, key, list);
    tell_popped(call, key, at_head, count);
    return count;
}

void list_pop_one(struct call *call, struct key *key, struct collection_view *list, bool at_head)
{
    call_reply_element(call, list_end(list->rows, at_head));
    list_drop_end(list->rows, at_head);
    close_list(call, key, list);
    tell_popped(call, key, at_head, 1);
}

/* Most pops are of one element from a list of which no more than that end changes. False: this one is not, and nothing has
 * changed. */
ALWAYS_INLINE bool pop_in_place(struct call *call, struct entry *entry, bool at_head)
{
    if (entry_encoding(entry) == ENTRY_TREE) {
        struct tree *rows = &entry_collection(entry)->rows;
        if (tree_rows(rows) < 2 || !keeps_marks(call, entry, NULL, tree_rows(rows) - 1))
            return false;
        call_reply_element(call, list_end(rows, at_head));
        list_drop_end(rows, at_head);
        return true;
    }
    struct page *page = entry_page(entry);
    struct element element;
    if (page->count < 2 || !keeps_marks(call, entry, page, page->count - 1u) ||
        !list_drop_in_page(page, at_head, &element))
        return false;
    keyspace_set_page(call->exec->keyspace, entry, page);
    call_reply_element(call, element);
    return true;
}

static void pop(struct call *call, struct slice name, bool at_head, bool has_count, int64_t count)
{
    struct key key;
    struct collection_view list;
    call_write_key(call, name, &key);
    if (likely(key.entry != NULL && !has_count) && entry_type(key.entry) == ENTRY_LIST &&
        likely(pop_in_place(call, key.entry, at_head))) {
        tell_popped(call, &key, at_head, 1);
        return;
    }
    if (!call_open_collection(call, ENTRY_LIST, &key, &list))
        return;
    if (key.entry == NULL) {
        if (has_count)
            reply_null_array(call->out);
        else
            reply_null(call->out);
        return;
    }
    if (has_count)
        list_pop_some(call, &key, &list, at_head, count);
    else
        list_pop_one(call, &key, &list, at_head);
}

void cmd_lpop(struct call *call, const struct args_lpop *args)
{
    pop(call, args->key, true, args->has_count, args->count);
}

void cmd_rpop(struct call *call, const struct args_rpop *args)
{
    pop(call, args->key, false, args->has_count, args->count);
}

void cmd_lmpop(struct call *call, const struct args_lmpop *args)
{
    bool at_head = args->where == ARGS_LMPOP_WHERE_LEFT;
    for (uint32_t i = 0; i < args->key_count; i++) {
        struct key key;
        struct collection_view list;
        if (!call_write_collection(call, args->key[i], ENTRY_LIST, &key, &list))
            return;
        if (key.entry == NULL)
            continue;
        reply_array(call->out, 2);
        reply_bulk(call->out, key.name);
        uint64_t taken = list_pop_some(call, &key, &list, at_head, args->has_count ? args->count : 1);
        if (taken > 0)
            list_propagate_pop(call, args->key[i], at_head, true, taken);
        return;
    }
    reply_null_array(call->out);
}

/* ---- Moving ------------------------------------------------------------------------------------------------ */

/* Puts a copy of the element at one end of the destination, which may be the source, or a key that is not there. */
static bool push_moved(struct call *call, struct slice name, bool at_head, struct slice text)
{
    struct key key;
    struct collection_view list;
    if (!call_write_collection(call, name, ENTRY_LIST, &key, &list))
        return false;
    if (key.entry == NULL)
        collection_begin(&list, call->exec->keyspace, ENTRY_LIST);
    bool pushed = push_texts(list.rows, at_head, &text, 1);
    if (!close_list(call, &key, &list))
        return false;
    if (!pushed)
        call_oom(call);
    return pushed;
}

/* Pushing first: where that fails, nothing has changed. */
bool list_move(struct call *call, struct slice source, struct slice destination, bool from_head, bool to_head)
{
    struct key key;
    struct collection_view list;
    if (!call_write_collection(call, source, ENTRY_LIST, &key, &list))
        return true;
    if (key.entry == NULL)
        return false;
    element_scratch scratch;
    struct element element = list_end(list.rows, from_head);
    /* The text stays where it is until the source changes, and that may be the destination: so it is copied. */
    struct slice text = element_text(element, scratch);
    char *copy = mem_try_alloc(text.size + 1);
    if (copy == NULL) {
        call_oom(call);
        return true;
    }
    memcpy(copy, text.data, text.size);
    text.data = copy;
    bool same = slice_equal(source, destination);
    if (push_moved(call, destination, to_head, text)) {
        call_changed(call, NOTIFY_LIST, to_head ? "lpush" : "rpush", destination);
        call_write_collection(call, source, ENTRY_LIST, &key, &list);
        uint64_t last = tree_rows(list.rows) - 1;
        /* Its place has moved when it was pushed in front of it, or behind it, in the same list. */
        uint64_t at = from_head ? (same && to_head ? 1 : 0) : (same && !to_head ? last - 1 : last);
        list_cut(list.rows, at, 1);
        close_list(call, &key, &list);
        removed_from(call, &key, from_head ? "lpop" : "rpop");
        call->exec->stats.dirty--; /* one change, as Redis counts */
        reply_bulk(call->out, text);
    }
    mem_free(copy);
    return true;
}

void cmd_lmove(struct call *call, const struct args_lmove *args)
{
    if (!list_move(call, args->source, args->destination, args->wherefrom == ARGS_LMOVE_WHEREFROM_LEFT,
                   args->whereto == ARGS_LMOVE_WHERETO_LEFT))
        reply_null(call->out);
}

void cmd_rpoplpush(struct call *call, const struct args_rpoplpush *args)
{
    if (!list_move(call, args->source, args->destination, false, true))
        reply_null(call->out);
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

void cmd_llen(struct call *call, const struct args_llen *args)
{
    struct key key;
    struct collection_view list;
    if (call_read_collection(call, args->key, ENTRY_LIST, &key, &list))
        reply_int(call->out, key.entry == NULL ? 0 : (int64_t)tree_rows(list.rows));
}

void cmd_lindex(struct call *call, const struct args_lindex *args)
{
    struct key key;
    struct collection_view list;
    int64_t index;
    uint64_t position;
    if (!call_read_collection(call, args->key, ENTRY_LIST, &key, &list))
        return;
    if (key.entry == NULL) {
        reply_null(call->out);
    } else if (!num_parse_i64(args->index, &index)) {
        call_not_integer(call);
    } else if (!list_resolve_index(list.rows, index, &position)) {
        reply_null(call->out);
    } else {
        struct tree_place place;
        tree_at(list.rows, position, &place);
        call_reply_element(call, page_element(place.page, place.row, 0));
    }
}

void cmd_lrange(struct call *call, const struct args_lrange *args)
{
    struct key key;
    struct collection_view list;
    uint64_t first = 0, count = 0;
    if (!call_read_collection(call, args->key, ENTRY_LIST, &key, &list))
        return;
    if (key.entry != NULL)
        list_resolve_range(tree_rows(list.rows), args->start, args->stop, &first, &count);
    reply_array(call->out, count);
    if (count == 0)
        return;
    const struct tree *rows = sliced_keep(call, list.rows);
    sliced_expect(call, count);
    rows_reply(call, rows, first, count, false);
}

/* The next match of a search. False: there is none, or the command has been told to end, *ret_is_over. */
static bool find_next(struct call *call, struct list_search *search, uint64_t *ret_position,
                      bool *ret_is_over)
{
    for (;;) {
        enum list_found found = list_search_next(search, ret_position);
        if (found == LIST_NONE)
            return false;
        *ret_is_over = !sliced_pause(call, LIST_SEARCH_STEP);
        if (*ret_is_over)
            return false;
        if (found == LIST_FOUND)
            return true;
    }
}

/* The places of equal elements, or (without COUNT) the first one. */
void cmd_lpos(struct call *call, const struct args_lpos *args)
{
    struct key key;
    struct collection_view list;
    int64_t rank = args->has_rank ? args->rank : 1;
    const bool is_from_tail = rank < 0;
    uint64_t matches_max = !args->has_num_matches   ? 1
                           : args->num_matches == 0 ? UINT64_MAX
                                                    : (uint64_t)args->num_matches;
    if (rank == 0) {
        reply_error(call->out,
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or "
                    "use negative to start from the end of the list");
        return;
    }
    if (!call_read_collection(call, args->key, ENTRY_LIST, &key, &list))
        return;
    element_scratch scratch;
    struct element wanted = {0};
    if (key.entry != NULL && element_make(args->element, scratch, &wanted) != ST_OK) {
        call_oom(call);
        return;
    }
    struct list_search search = {0};
    bool is_over = false;
    if (key.entry != NULL) {
        const struct tree *rows = sliced_keep(call, list.rows);
        sliced_expect(call, tree_rows(rows));
        list_search_begin(&search, rows, wanted, is_from_tail ? tree_rows(rows) - 1 : 0, is_from_tail,
                          args->len > 0 ? (uint64_t)args->len : UINT64_MAX);
    }
    uint64_t skipped = (uint64_t)(is_from_tail ? -rank : rank) - 1, position, matches = 0;
    struct reply_open open = {0};
    if (args->has_num_matches)
        open = reply_open(call->out);
    while (matches < matches_max && find_next(call, &search, &position, &is_over)) {
        if (skipped > 0) {
            skipped--;
            continue;
        }
        reply_int(call->out, (int64_t)position);
        matches++;
    }
    if (args->has_num_matches)
        reply_close(call->out, open, REPLY_ARRAY, matches);
    else if (matches == 0)
        reply_null(call->out);
    if (key.entry != NULL)
        element_unref(wanted);
}

/* ---- Changing in the middle -------------------------------------------------------------------------------- */

void cmd_lset(struct call *call, const struct args_lset *args)
{
    struct key key;
    struct collection_view list;
    int64_t index;
    uint64_t position;
    if (!call_write_collection(call, args->key, ENTRY_LIST, &key, &list))
        return;
    if (key.entry == NULL) {
        call_no_such_key(call);
        return;
    }
    if (!num_parse_i64(args->index, &index)) {
        call_not_integer(call);
        return;
    }
    if (!list_resolve_index(list.rows, index, &position)) {
        reply_error(call->out, "ERR index out of range");
        return;
    }
    element_scratch scratch;
    struct element element;
    if (element_make(args->element, scratch, &element) != ST_OK) {
        call_oom(call);
        return;
    }
    struct tree_place place;
    tree_at(list.rows, position, &place);
    tree_replace(list.rows, &place, 0, element);
    close_list(call, &key, &list);
    call_changed(call, NOTIFY_LIST, "lset", args->key);
    reply_ok(call->out);
}

void cmd_linsert(struct call *call, const struct args_linsert *args)
{
    struct key key;
    struct collection_view list;
    if (!call_write_collection(call, args->key, ENTRY_LIST, &key, &list))
        return;
    if (key.entry == NULL) {
        reply_int(call->out, 0);
        return;
    }
    element_scratch pivot_scratch, scratch;
    struct element pivot, element;
    if (element_make(args->pivot, pivot_scratch, &pivot) != ST_OK) {
        call_oom(call);
        return;
    }
    struct list_search search;
    uint64_t position;
    bool is_over;
    sliced_edit(call, &list);
    sliced_expect(call, tree_rows(list.rows));
    list_search_begin(&search, list.rows, pivot, 0, false, UINT64_MAX);
    bool found = find_next(call, &search, &position, &is_over);
    element_unref(pivot);
    if (!found) {
        reply_int(call->out, -1);
        return;
    }
    if (element_make(args->element, scratch, &element) != ST_OK) {
        call_oom(call);
        return;
    }
    struct tree_place place;
    struct row row = {.elements[0] = element};
    tree_at(list.rows, position + (args->where == ARGS_LINSERT_WHERE_AFTER), &place);
    tree_insert(list.rows, &place, &row, (struct tree_order){0, 0});
    reply_int(call->out, (int64_t)tree_rows(list.rows));
    sliced_publish(call, &key, &list);
    close_list(call, &key, &list);
    call_changed(call, NOTIFY_LIST, "linsert", args->key);
}

void cmd_lrem(struct call *call, const struct args_lrem *args)
{
    struct key key;
    struct collection_view list;
    if (!call_write_collection(call, args->key, ENTRY_LIST, &key, &list))
        return;
    element_scratch scratch;
    struct element wanted;
    if (key.entry == NULL) {
        reply_int(call->out, 0);
        return;
    }
    if (element_make(args->element, scratch, &wanted) != ST_OK) {
        call_oom(call);
        return;
    }
    bool backwards = args->count < 0;
    uint64_t left = args->count == 0 ? UINT64_MAX
                    : backwards      ? 0 - (uint64_t)args->count
                                     : (uint64_t)args->count;
    uint64_t from = backwards ? tree_rows(list.rows) - 1 : 0, position, removed = 0;
    struct list_search search;
    bool is_over = false;
    sliced_edit(call, &list);
    sliced_expect(call, tree_rows(list.rows));
    list_search_begin(&search, list.rows, wanted, from, backwards, UINT64_MAX);
    while (left > 0 && find_next(call, &search, &position, &is_over)) {
        list_cut(list.rows, position, 1);
        left--;
        removed++;
        /* Backwards, what has not been looked at keeps its positions; forwards, it has moved up by one. */
        if (backwards && position == 0)
            break;
        list_search_begin(&search, list.rows, wanted, backwards ? position - 1 : position, backwards,
                          UINT64_MAX);
    }
    element_unref(wanted);
    if (is_over)
        return;
    if (removed > 0) {
        sliced_publish(call, &key, &list);
        close_list(call, &key, &list);
        removed_from(call, &key, "lrem");
        call->exec->stats.dirty += removed - 1;
    }
    reply_int(call->out, (int64_t)removed);
}

void cmd_ltrim(struct call *call, const struct args_ltrim *args)
{
    struct key key;
    struct collection_view list;
    uint64_t first, count;
    if (!call_write_collection(call, args->key, ENTRY_LIST, &key, &list))
        return;
    if (key.entry != NULL) {
        uint64_t size = tree_rows(list.rows);
        list_resolve_range(size, args->start, args->stop, &first, &count);
        if (count == 0)
            first = 0;
        /* Most lists are trimmed of what has just been pushed. */
        if (size - count > CUT_STEP)
            sliced_edit(call, &list);
        else
            sliced_commit(call);
        if (!cut_in_steps(call, list.rows, first + count, size - first - count) ||
            !cut_in_steps(call, list.rows, 0, first))
            return;
        sliced_publish(call, &key, &list);
        close_list(call, &key, &list);
        if (count < size)
            removed_from(call, &key, "ltrim");
        else
            call_touched(call, NOTIFY_LIST, "ltrim", args->key);
    }
    reply_ok(call->out);
}
