/* SORT, SORT_RO: the elements of a list, a set or a sorted set in another order, or what keys hold that are named after
 * them.
 *
 * A command goes through three stages. (1) read_request and open_source: what is asked for, and a snapshot of the
 * elements. (2) prepare and arrange: an item per element with its rank, the items in order. (3) answer or store: the
 * elements, or what GET looks up for them; a list is built aside and published in one step.
 * It pauses in every loop (exec/sliced.h). The keys that BY and GET lead to are known from the data only: such a command
 * holds all keys there are while it is long, so that it sees them as they are at one moment.
 * Texts are compared as bytes, whatever the locale. Threads: executor only. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/call.h"
#include "exec/notify.h"
#include "exec/permit.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/sort.h"
#include "types/zset.h"

#define SORT_STEP_MOVES 32 /* items moved between two looks at whether to pause */
#define NO_LIMIT        (-1)
#define LOOKUP_WORK     4 /* for sliced_pause: of looking a key up */
/* So many weights are released by a worker. */
#define WORKER_WEIGHTS_MIN 1024

/* A name with a place for an element: "user_*", "user_*->age", "#". */
struct pattern {
    bool is_element; /* "#": the element itself */
    bool has_place;  /* false: leads nowhere */
    struct slice before;
    struct slice after;
    struct slice field; /* of a hash; empty: the name is that of a string */
};

/* What is asked for. */
struct sort_request {
    struct slice source;
    bool has_by;
    struct pattern by;
    struct pattern *gets;
    uint32_t get_count;
    bool unsorted;
    bool descending;
    bool alpha;
    int64_t offset; /* results to leave out */
    int64_t limit;  /* results at most; negative: all */
    bool stores;
    struct slice destination;
};

/* What an element is compared by, when that is a text from elsewhere. */
struct weight {
    struct slice text; /* data NULL: there is none; it belongs before all others */
    void (*release)(void *owner);
    void *owner;
};

struct weights {
    uint64_t count;
    struct weight of[]; /* of the items, by their numbers */
};

struct sort_work {
    struct call *call;
    struct sort_request request;
    struct tree rows; /* a snapshot */
    bool has_rows;
    enum entry_type type;
    struct sort sort;
    struct weights *weights; /* for BY and ALPHA together */
    char *name;              /* room for the names that patterns make */
    size_t name_capacity;
    bool has_memory; /* false: a name or a value was refused its memory */
    uint64_t first;  /* results [first, first + count) are wanted */
    uint64_t count;
};

/* ---- Reading the request ----------------------------------------------------------------------------------- */

static struct pattern read_pattern(struct slice text)
{
    struct pattern pattern = {.is_element = slice_equal(text, SLICE("#"))};
    const char *place = text.size == 0 ? NULL : memchr(text.data, '*', text.size);
    if (place == NULL)
        return pattern;
    pattern.has_place = true;
    pattern.before = slice_make(text.data, (size_t)(place - text.data));
    pattern.after = slice_make(place + 1, text.size - pattern.before.size - 1);
    const char *arrow =
        pattern.after.size == 0 ? NULL : memmem(pattern.after.data, pattern.after.size, "->", 2);
    if (arrow == NULL || arrow + 2 == text.data + text.size) /* an arrow to nothing belongs to the name */
        return pattern;
    pattern.field = slice_make(arrow + 2, (size_t)(text.data + text.size - arrow) - 2);
    pattern.after.size = (size_t)(arrow - pattern.after.data);
    return pattern;
}

/* Whether the client may read whatever keys a pattern leads to. False after an answer. */
static bool may_follow(struct call *call, const char *option)
{
    if (permit_reads_all_keys(call->client, call->command, call->argv, call->argc))
        return true;
    reply_error(call->out, "ERR %s option of SORT denied due to insufficient ACL permissions.", option);
    return false;
}

/* Reads one option at `words` of the `count` that are left. Returns how many words it took, 0 after an answer. */
static uint32_t read_option(struct call *call, const struct slice *words, uint32_t count, bool may_store,
                            struct sort_request *request)
{
    if (slice_equal_nocase(words[0], "asc") || slice_equal_nocase(words[0], "desc")) {
        request->descending = words[0].size == 4;
        return 1;
    }
    if (slice_equal_nocase(words[0], "alpha")) {
        request->alpha = true;
        return 1;
    }
    if (slice_equal_nocase(words[0], "limit") && count > 2) {
        if (num_parse_i64(words[1], &request->offset) && num_parse_i64(words[2], &request->limit))
            return 3;
        call_not_integer(call);
        return 0;
    }
    if (slice_equal_nocase(words[0], "by") && count > 1) {
        if (memchr(words[1].data, '*', words[1].size) != NULL && !may_follow(call, "BY"))
            return 0;
        request->has_by = true;
        request->by = read_pattern(words[1]);
        request->unsorted |= !request->by.has_place;
        return 2;
    }
    if (slice_equal_nocase(words[0], "get") && count > 1) {
        if (!may_follow(call, "GET"))
            return 0;
        request->gets[request->get_count++] = read_pattern(words[1]);
        return 2;
    }
    if (slice_equal_nocase(words[0], "store") && count > 1 && may_store) {
        request->stores = true;
        request->destination = words[1];
        return 2;
    }
    call_syntax_error(call);
    return 0;
}

/* False after an answer. request->gets is to be freed in any case. */
static bool read_request(struct call *call, const struct slice *words, uint32_t count, bool may_store,
                         struct sort_request *ret_request)
{
    *ret_request = (struct sort_request){.source = words[0], .limit = NO_LIMIT};
    ret_request->gets = mem_try_alloc((count / 2 + 1) * sizeof *ret_request->gets);
    if (ret_request->gets == NULL) {
        call_oom(call);
        return false;
    }
    for (uint32_t i = 1; i < count;) {
        uint32_t taken = read_option(call, words + i, count - i, may_store, ret_request);
        if (taken == 0)
            return false;
        i += taken;
    }
    return true;
}

/* ---- The elements ------------------------------------------------------------------------------------------ */

/* Which of `size` results are wanted. */
static void resolve_limit(struct sort_work *work, uint64_t size)
{
    const struct sort_request *request = &work->request;
    uint64_t offset = request->offset < 0 ? 0 : (uint64_t)request->offset;
    work->first = offset < size ? offset : size;
    work->count = size - work->first;
    if (request->limit >= 0 && (uint64_t)request->limit < work->count)
        work->count = (uint64_t)request->limit;
}

/* Takes a snapshot of the source. False after WRONGTYPE. */
static bool open_source(struct sort_work *work)
{
    struct key key;
    struct collection_view view;
    struct sort_request *request = &work->request;
    if (!call_read_key(work->call, request->source, &key))
        return true;
    work->type = entry_type(key.entry);
    if (work->type != ENTRY_LIST && work->type != ENTRY_SET && work->type != ENTRY_ZSET) {
        call_wrong_type(work->call);
        return false;
    }
    collection_open(&view, work->call->exec->keyspace, key.entry);
    tree_snapshot(view.rows, &work->rows);
    work->has_rows = true;
    if (request->unsorted && work->type == ENTRY_SET && request->stores) {
        /* A set has no order: what is stored is made to have one that is always the same. */
        request->unsorted = false;
        request->has_by = false;
        request->alpha = true;
    }
    return true;
}

/* On any thread: all that releases a weight may be called on each. */
static void free_weights(void *argument)
{
    struct weights *weights = argument;
    for (uint64_t i = 0; i < weights->count; i++) {
        if (weights->of[i].release != NULL)
            weights->of[i].release(weights->of[i].owner);
        if (i % WORKER_WEIGHTS_MIN == WORKER_WEIGHTS_MIN - 1)
            worker_pause();
    }
    mem_free(weights);
}

static void work_done(struct sort_work *work)
{
    struct worker_pool *workers = work->call->exec->workers;
    if (work->weights != NULL && workers != NULL && work->weights->count >= WORKER_WEIGHTS_MIN)
        worker_submit_bulk(workers, free_weights, work->weights);
    else if (work->weights != NULL)
        free_weights(work->weights);
    sort_done(&work->sort, workers);
    mem_free(work->name);
    mem_free(work->request.gets);
    if (work->has_rows)
        keyspace_retire_rows(work->call->exec->keyspace, &work->rows);
}

/* ---- Following patterns ------------------------------------------------------------------------------------ */

/* What a pattern leads to: a string, or an element. Valid until the next key is looked up. */
struct target {
    const struct entry *string;
    struct element element; /* data NULL: none */
};

/* The name that an element makes of a pattern. False: memory for it was refused. */
static bool make_name(struct sort_work *work, const struct pattern *pattern, struct slice text,
                      struct slice *ret_name)
{
    size_t size = pattern->before.size + text.size + pattern->after.size;
    if (size >= work->name_capacity) { /* an empty name has a place, too */
        char *larger = mem_try_realloc(work->name, 2 * size + 1);
        if (larger == NULL) {
            work->has_memory = false;
            return false;
        }
        work->name = larger;
        work->name_capacity = 2 * size + 1;
    }
    char *end = work->name;
    const struct slice parts[] = {pattern->before, text, pattern->after};
    for (unsigned i = 0; i < ARRAY_COUNT(parts); i++) {
        if (parts[i].size > 0)
            memcpy(end, parts[i].data, parts[i].size);
        end += parts[i].size;
    }
    *ret_name = slice_make(work->name, size);
    return true;
}

/* False: it leads nowhere. */
static bool follow(struct sort_work *work, const struct pattern *pattern, struct element element,
                   struct target *ret_target)
{
    struct key key;
    struct slice name;
    element_scratch scratch;
    *ret_target = (struct target){.element = element};
    if (pattern->is_element)
        return true;
    if (!pattern->has_place || !make_name(work, pattern, element_text(element, scratch), &name) ||
        !call_read_key(work->call, name, &key))
        return false;
    if (pattern->field.size == 0) {
        ret_target->string = key.entry;
        return entry_type(key.entry) == ENTRY_STRING;
    }
    if (entry_type(key.entry) != ENTRY_HASH)
        return false;
    struct collection_view hash;
    collection_open(&hash, work->call->exec->keyspace, key.entry);
    return hash_find(hash.rows, work->call->exec->keyspace->now_ms, pattern->field, &ret_target->element);
}

static struct slice target_text(const struct target *target, element_scratch scratch)
{
    return target->string != NULL ? entry_string(target->string, scratch)
                                  : element_text(target->element, scratch);
}

/* ---- Ranks ------------------------------------------------------------------------------------------------- */

/* The number that a text stands for, as strtod reads it up to the first zero byte: spaces before it are passed over, an
 * empty text is 0. False: it is none, or too large or too small for a double. */
static bool read_number(struct slice text, double *ret_number)
{
    char copy[NUM_LONG_DOUBLE_TEXT_MAX], *end;
    if (text.size >= sizeof copy)
        return false;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    errno = 0;
    *ret_number = strtod(copy, &end);
    return *end == '\0' && errno != ERANGE && !isnan(*ret_number);
}

/* The rank of what a pattern leads to, or of the element itself. False: it is no number. */
static bool rank_of_number(const struct target *target, uint64_t *ret_rank)
{
    double number;
    element_scratch scratch;
    if (target->string != NULL && entry_encoding(target->string) == ENTRY_INT)
        number = (double)entry_int(target->string);
    else if (target->string == NULL && target->element.kind == ELEMENT_INT)
        number = (double)element_int(target->element);
    else if (!read_number(target_text(target, scratch), &number))
        return false;
    *ret_rank = zset_bits(number);
    return true;
}

/* Keeps a text by which an element is compared: a reference of a long one, a copy of a short one. */
static void keep_weight(struct sort_work *work, const struct target *target, struct weight *ret_weight)
{
    element_scratch scratch;
    struct slice text = target_text(target, scratch);
    if (target->string != NULL && entry_encoding(target->string) == ENTRY_LARGE) {
        *ret_weight =
            (struct weight){text, large_string_unref, large_string_ref(entry_large(target->string))};
        return;
    }
    if (target->string == NULL && target->element.kind == ELEMENT_BLOB) {
        element_ref(target->element);
        *ret_weight = (struct weight){text, blob_unref, element_blob(target->element)};
        return;
    }
    char *copy = mem_try_alloc(text.size + 1);
    if (copy == NULL) {
        work->has_memory = false;
        return;
    }
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    *ret_weight = (struct weight){slice_make(copy, text.size), mem_free, copy};
}

/* Gives an item its rank. False: it should be a number and is none. */
static bool rank_item(struct sort_work *work, struct sort_item *item)
{
    const struct sort_request *request = &work->request;
    struct target target = {.element = sort_element(item)};
    element_scratch scratch;
    item->rank = request->alpha ? 0 : zset_bits(0); /* without a weight */
    if (!request->has_by || follow(work, &request->by, target.element, &target)) {
        if (request->alpha)
            item->rank = slice_prefix(target_text(&target, scratch));
        else if (!rank_of_number(&target, &item->rank))
            return false;
        if (work->weights != NULL)
            keep_weight(work, &target, &work->weights->of[item->number]);
    }
    if (request->descending)
        item->rank = ~item->rank;
    return true;
}

/* Items of the same rank: the rest of their texts decides, or, when numbers are equal, the elements' bytes. */
static int compare_items(const void *context, const struct sort_item *a, const struct sort_item *b)
{
    const struct sort_work *work = context;
    int order;
    if (work->weights != NULL) {
        struct slice one = work->weights->of[a->number].text, other = work->weights->of[b->number].text;
        if (one.data == NULL || other.data == NULL)
            order = (one.data != NULL) - (other.data != NULL);
        else
            order = slice_compare(one, other);
    } else {
        order = element_compare(sort_element(a), sort_element(b));
    }
    return work->request.descending ? -order : order;
}

/* ---- Sorting ----------------------------------------------------------------------------------------------- */

/* Makes an item of each element. False after an answer, or when the command has been told to end. */
static bool prepare(struct sort_work *work)
{
    const struct sort_request *request = &work->request;
    uint64_t size = tree_rows(&work->rows), number = 0;
    struct tree_place place;
    if (sort_init(&work->sort, size, compare_items, work) != ST_OK) {
        call_oom(work->call);
        return false;
    }
    if (request->has_by && request->alpha) {
        work->weights = mem_try_alloc(sizeof *work->weights + size * sizeof work->weights->of[0]);
        work->has_memory = work->weights != NULL;
        if (work->has_memory)
            work->weights->count = 0;
    }
    bool are_numbers = true;
    tree_at(&work->rows, 0, &place);
    do {
        for (unsigned row = 0; row < place.page->count && are_numbers && work->has_memory; row++) {
            struct element element = page_element(place.page, row, 0);
            struct sort_item *item = &work->sort.items[number];
            *item = (struct sort_item){
                .data = element.data, .size = element.size, .kind = element.kind, .number = (uint32_t)number};
            if (!sliced_pause(work->call, work->request.has_by ? LOOKUP_WORK : 1))
                return false;
            if (work->weights != NULL)
                work->weights->of[work->weights->count++] = (struct weight){0};
            are_numbers = rank_item(work, item);
            number++;
        }
    } while (are_numbers && work->has_memory && tree_next_page(&work->rows, &place));
    if (!work->has_memory)
        call_oom(work->call);
    else if (!are_numbers)
        reply_error(work->call->out, "ERR One or more scores can't be converted into double");
    return are_numbers && work->has_memory;
}

/* What sorting takes in steps, for CLIENT LIST. */
static uint64_t steps_of(uint64_t size)
{
    uint64_t passes = 1;
    for (uint64_t run = SORT_RUN_MIN; run < size; run *= 2)
        passes++;
    return size * passes;
}

/* False after an answer, or when the command has been told to end. */
static bool arrange(struct sort_work *work)
{
    bool reads_others = work->request.has_by;
    for (uint32_t i = 0; i < work->request.get_count; i++)
        reads_others |= work->request.gets[i].has_place;
    if (reads_others)
        sliced_hold_everything(work->call);
    if (work->has_rows && !work->request.unsorted) {
        sliced_expect(work->call, tree_rows(&work->rows) + steps_of(tree_rows(&work->rows)));
        if (!prepare(work))
            return false;
        while (!sort_step(&work->sort, SORT_STEP_MOVES))
            if (!sliced_pause(work->call, SORT_STEP_MOVES))
                return false;
    }
    resolve_limit(work, work->has_rows ? tree_rows(&work->rows) : 0);
    sliced_expect(work->call, work->count);
    return true;
}

/* ---- Results ----------------------------------------------------------------------------------------------- */

/* A walk over the wanted elements, sorted or as they stand. */
struct results {
    const struct sort_work *work;
    const struct sort_item *next;
    struct tree_place place;
    bool backwards;
};

/* There must be some. */
static void results_begin(struct results *results, const struct sort_work *work)
{
    *results = (struct results){.work = work};
    if (!work->request.unsorted) {
        results->next = work->sort.items + work->first;
        return;
    }
    results->backwards = work->type != ENTRY_SET && work->request.descending;
    uint64_t last = tree_rows(&work->rows) - 1;
    tree_at(&work->rows, results->backwards ? last - work->first : work->first, &results->place);
}

static struct element results_next(struct results *results)
{
    if (results->next != NULL)
        return sort_element(results->next++);
    struct tree_place *place = &results->place;
    struct element element = page_element(place->page, place->row, 0);
    if (results->backwards) {
        if (place->row > 0)
            place->row--;
        else
            tree_previous_page(&results->work->rows, place);
    } else if (++place->row == place->page->count) {
        tree_next_page(&results->work->rows, place);
    }
    return element;
}

static void reply_target(struct call *call, const struct target *target)
{
    if (target->string != NULL)
        call_reply_string(call, target->string);
    else
        call_reply_element(call, target->element);
}

static void answer(struct sort_work *work)
{
    struct call *call = work->call;
    const struct sort_request *request = &work->request;
    struct reply_mark mark = reply_mark(call->out); /* good until a pause, as is what needs it: has_memory */
    struct results results;
    reply_array(call->out, work->count * (request->get_count > 0 ? request->get_count : 1));
    if (work->count > 0)
        results_begin(&results, work);
    for (uint64_t i = 0; i < work->count && work->has_memory; i++) {
        struct element element = results_next(&results);
        struct target target;
        if (!sliced_pause(work->call, 1 + LOOKUP_WORK * work->request.get_count))
            return;
        if (request->get_count == 0)
            call_reply_element(call, element);
        for (uint32_t get = 0; get < request->get_count; get++) {
            if (follow(work, &request->gets[get], element, &target))
                reply_target(call, &target);
            else
                reply_null(call->out);
        }
    }
    if (!work->has_memory) {
        reply_rollback(call->out, mark);
        call_oom(call);
    }
}

/* Puts a text behind the last of a list. */
static void push_text(struct sort_work *work, struct tree *list, struct slice text)
{
    element_scratch scratch;
    struct element element;
    if (element_make(text, scratch, &element) == ST_OK)
        list_push(list, false, element);
    else
        work->has_memory = false;
}

/* Builds the list of results. False after an answer, or when the command has been told to end. */
static bool build_list(struct sort_work *work, struct tree *list)
{
    const struct sort_request *request = &work->request;
    struct results results;
    if (work->count > 0)
        results_begin(&results, work);
    for (uint64_t i = 0; i < work->count && work->has_memory; i++) {
        struct element element = results_next(&results);
        struct target target = {.element = element};
        element_scratch scratch;
        if (!sliced_pause(work->call, 1 + LOOKUP_WORK * work->request.get_count))
            return false;
        if (request->get_count == 0)
            push_text(work, list, target_text(&target, scratch));
        for (uint32_t get = 0; get < request->get_count; get++) {
            bool leads = follow(work, &request->gets[get], element, &target);
            push_text(work, list, leads ? target_text(&target, scratch) : SLICE(""));
        }
    }
    if (!work->has_memory)
        call_oom(work->call);
    return work->has_memory;
}

static void store(struct sort_work *work)
{
    struct call *call = work->call;
    struct slice destination = work->request.destination;
    struct collection_view list;
    struct key key;
    collection_begin(&list, call->exec->keyspace, ENTRY_LIST);
    bool is_built = build_list(work, list.rows);
    uint64_t size = tree_rows(list.rows);
    if (!is_built || size == 0)
        keyspace_retire_rows(call->exec->keyspace, list.rows);
    if (!is_built)
        return;
    sliced_commit(call);
    call_write_key(call, destination, &key);
    if (size == 0) {
        if (key.entry != NULL) {
            call_delete(call, &key);
            call_changed(call, NOTIFY_GENERIC, "del", destination);
        }
        reply_int(call->out, 0);
        return;
    }
    bool is_compact = list_is_compact(list.rows, call->exec->config->list_max_listpack_size, false);
    if (!call_store_collection(call, &key, &list, ENTRY_LIST, is_compact ? 0 : ENTRY_GROWN))
        return;
    call_changed(call, NOTIFY_LIST, "sortstore", destination);
    call->exec->stats.dirty += size - 1;
    reply_int(call->out, (int64_t)size);
}

/* ---- Commands ---------------------------------------------------------------------------------------------- */

static void sort(struct call *call, const struct slice *words, uint32_t count, bool may_store)
{
    struct sort_work work = {.call = call, .has_memory = true};
    if (read_request(call, words, count, may_store, &work.request) && open_source(&work) && arrange(&work)) {
        if (work.request.stores)
            store(&work);
        else
            answer(&work);
    }
    work_done(&work);
}

void cmd_sort(struct call *call, const struct args_sort *args)
{
    sort(call, args->words, args->words_count, true);
}

void cmd_sort_ro(struct call *call, const struct args_sort_ro *args)
{
    sort(call, args->words, args->words_count, false);
}
