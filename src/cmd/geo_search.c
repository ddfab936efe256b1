/* Members within a circle or a box: GEOSEARCH, GEOSEARCHSTORE, GEORADIUS, GEORADIUSBYMEMBER and their _RO forms.
 *
 * Each fills in a struct search, and run_search does the rest in three steps: it opens the set and keeps its rows
 * (exec/sliced.h); it walks the ranges of cells that the shape needs (types/geo.h) into a list of what it found, and sorts
 * that; it answers with the list, or makes a set of it and stores that.
 * Threads: executor only.
 *
 * H1  Where another order than that of the scores is wanted, the list is a heap until it is sorted, with that member on top
 *     which comes last; of more members than COUNT the last ones are dropped as they come. */
#include "base/worker.h"
#include "cmd/geo.h"
#include "cmd/zset.h"
#include "exec/args.h"
#include "exec/sliced.h"
#include "gen/args.h"

/* What it takes to look at a place, and to sort one in, in steps of sliced_pause. */
#define FIND_STEP 2
#define SORT_STEP 4

enum search_order { ORDER_OF_SCORES, NEAREST_FIRST, FARTHEST_FIRST };

enum search_target { TO_CLIENT, TO_SCORES, TO_DISTANCES };

/* What a command asks for. */
struct search {
    struct slice source;
    bool from_member; /* the centre is that of `member` */
    bool has_centre;
    bool has_shape;
    struct slice member;
    struct geo_shape shape;
    double unit_m;
    bool with_distance, with_hash, with_point;
    bool any; /* the first ones found are good enough */
    bool has_count;
    int64_t count;
    enum search_order order;
    enum search_target target;
    struct slice destination;
};

/* ---- Reading the arguments --------------------------------------------------------------------------------- */

/* The words that are still to be read. */
struct words {
    const struct slice *next;
    uint32_t left;
};

enum word_outcome { WORD_OTHER, WORD_TAKEN, WORD_REFUSED /* the client has its answer */ };

static bool is_token(const struct words *words, const char *token, uint32_t arguments)
{
    return words->left > arguments && slice_equal_nocase(words->next[0], token);
}

static enum word_outcome take(struct words *words, uint32_t count, bool is_right)
{
    words->next += count;
    words->left -= count;
    return is_right ? WORD_TAKEN : WORD_REFUSED;
}

static bool read_count(struct call *call, struct slice word, struct search *search)
{
    if (!num_parse_i64(word, &search->count)) {
        call_not_integer(call);
        return false;
    }
    if (search->count <= 0) {
        reply_error(call->out, "ERR COUNT must be > 0");
        return false;
    }
    search->has_count = true;
    return true;
}

/* Options that all the commands have. */
static enum word_outcome read_option(struct call *call, struct words *words, struct search *search)
{
    const struct {
        const char *token;
        bool *flag;
    } flags[] = {{"withdist", &search->with_distance},
                 {"withhash", &search->with_hash},
                 {"withcoord", &search->with_point},
                 {"any", &search->any}};
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        if (is_token(words, flags[i].token, 0)) {
            *flags[i].flag = true;
            return take(words, 1, true);
        }
    }
    if (is_token(words, "asc", 0) || is_token(words, "desc", 0)) {
        search->order = is_token(words, "asc", 0) ? NEAREST_FIRST : FARTHEST_FIRST;
        return take(words, 1, true);
    }
    if (is_token(words, "count", 1)) {
        bool is_right = read_count(call, words->next[1], search);
        return take(words, 2, is_right);
    }
    return WORD_OTHER;
}

static bool read_length(struct call *call, struct slice word, const char *name, double *ret_length)
{
    if (num_parse_double(word, ret_length))
        return true;
    reply_error(call->out, "ERR need numeric %s", name);
    return false;
}

static bool read_circle(struct call *call, const struct slice *words, struct search *search)
{
    if (!read_length(call, words[0], "radius", &search->shape.radius_m))
        return false;
    if (search->shape.radius_m < 0) {
        reply_error(call->out, "ERR radius cannot be negative");
        return false;
    }
    if (!geo_read_unit(call, words[1], &search->unit_m))
        return false;
    search->shape.radius_m *= search->unit_m;
    return true;
}

static bool read_box(struct call *call, const struct slice *words, struct search *search)
{
    struct geo_shape *shape = &search->shape;
    if (!read_length(call, words[0], "width", &shape->width_m) ||
        !read_length(call, words[1], "height", &shape->height_m))
        return false;
    if (shape->width_m < 0 || shape->height_m < 0) {
        reply_error(call->out, "ERR height or width cannot be negative");
        return false;
    }
    if (!geo_read_unit(call, words[2], &search->unit_m))
        return false;
    shape->is_box = true;
    shape->width_m *= search->unit_m;
    shape->height_m *= search->unit_m;
    return true;
}

/* The words of GEOSEARCH that say where: a centre and a shape, each once. */
static enum word_outcome read_where(struct call *call, struct words *words, struct search *search)
{
    if (is_token(words, "frommember", 1) && !search->has_centre) {
        search->has_centre = search->from_member = true;
        search->member = words->next[1];
        return take(words, 2, true);
    }
    if (is_token(words, "fromlonlat", 2) && !search->has_centre) {
        search->has_centre = true;
        bool is_right = geo_read_point(call, words->next + 1, &search->shape.centre);
        return take(words, 3, is_right);
    }
    if (is_token(words, "byradius", 2) && !search->has_shape) {
        search->has_shape = true;
        bool is_right = read_circle(call, words->next + 1, search);
        return take(words, 3, is_right);
    }
    if (is_token(words, "bybox", 3) && !search->has_shape) {
        search->has_shape = true;
        bool is_right = read_box(call, words->next + 1, search);
        return take(words, 4, is_right);
    }
    return WORD_OTHER;
}

static enum word_outcome read_storedist(struct call *call, struct words *words, struct search *search)
{
    if (search->target == TO_CLIENT || !is_token(words, "storedist", 0))
        return WORD_OTHER;
    search->target = TO_DISTANCES;
    return take(words, 1, true);
}

/* GEORADIUS STORE key and STOREDIST key: the last one counts. */
static enum word_outcome read_store_key(struct call *call, struct words *words, struct search *search)
{
    if (is_token(words, "store", 1))
        search->target = TO_SCORES;
    else if (is_token(words, "storedist", 1))
        search->target = TO_DISTANCES;
    else
        return WORD_OTHER;
    search->destination = words->next[1];
    return take(words, 2, true);
}

typedef enum word_outcome read_word_fn(struct call *call, struct words *words, struct search *search);

/* Reads all words, each by the first reader that knows it. False after an answer. */
static bool read_words(struct call *call, struct words words, struct search *search,
                       read_word_fn *const *readers, size_t reader_count)
{
    while (words.left > 0) {
        enum word_outcome outcome = WORD_OTHER;
        for (size_t i = 0; i < reader_count && outcome == WORD_OTHER; i++)
            outcome = readers[i](call, &words, search);
        if (outcome == WORD_OTHER)
            call_syntax_error(call);
        if (outcome != WORD_TAKEN)
            return false;
    }
    return true;
}

/* What the options forbid each other. `store_name`: what the error calls a command that stores. */
static bool check_options(struct call *call, const struct search *search, const char *store_name)
{
    if (search->target != TO_CLIENT && (search->with_distance || search->with_hash || search->with_point)) {
        reply_error(call->out, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                    store_name);
        return false;
    }
    if (!search->has_centre || !search->has_shape) {
        reply_error(call->out, "ERR exactly one of %s can be specified for %.*s",
                    search->has_centre ? "BYRADIUS and BYBOX" : "FROMMEMBER or FROMLONLAT",
                    ARGS_SHOWN(call->argv[0]));
        return false;
    }
    if (search->any && !search->has_count) {
        reply_error(call->out, "ERR the ANY argument requires COUNT argument");
        return false;
    }
    return true;
}

/* ---- Finding ----------------------------------------------------------------------------------------------- */

struct found {
    double distance_m;
    uint64_t bits; /* zset_bits of the score */
    struct element member;
};

/* What was found; it refers to rows that the search holds. */
struct found_list {
    struct found *items;
    uint64_t count;
    uint64_t capacity;
};

/* <0: a comes first. Members that are equally far stand in the order of their scores and bytes. */
static int compare(enum search_order order, const struct found *a, const struct found *b)
{
    if (a->distance_m != b->distance_m)
        return (a->distance_m < b->distance_m) == (order == NEAREST_FIRST) ? -1 : 1;
    if (a->bits != b->bits)
        return a->bits < b->bits ? -1 : 1;
    return element_compare(a->member, b->member);
}

/* Puts an item where the one at `hole` is missing from a heap of `count` (H1), going down from there. */
static void sift_down(enum search_order order, struct found *items, uint64_t count, uint64_t hole,
                      struct found item)
{
    for (;;) {
        uint64_t child = 2 * hole + 1;
        if (child >= count)
            break;
        if (child + 1 < count && compare(order, &items[child], &items[child + 1]) < 0)
            child++;
        if (compare(order, &items[child], &item) <= 0)
            break;
        items[hole] = items[child];
        hole = child;
    }
    items[hole] = item;
}

static void sift_up(enum search_order order, struct found *items, uint64_t hole, struct found item)
{
    while (hole > 0 && compare(order, &items[(hole - 1) / 2], &item) < 0) {
        items[hole] = items[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    items[hole] = item;
}

enum found_outcome {
    FOUND,
    FOUND_NO_MEMORY,
    FOUND_STOPPED, /* sliced_pause said so */
};

/* Takes what was found into the list. */
static enum found_outcome list_add(struct call *call, const struct search *search, struct found_list *list,
                                   const struct found *item)
{
    if (search->has_count && !search->any && list->count == (uint64_t)search->count) {
        if (compare(search->order, item, &list->items[0]) < 0)
            sift_down(search->order, list->items, list->count, 0, *item);
        return FOUND;
    }
    if (list->count == list->capacity) {
        uint64_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        void *items = list->items;
        enum status status =
            sliced_grow(call, &items, list->count * sizeof *list->items, capacity * sizeof *list->items);
        if (status != ST_OK)
            return status == ST_NOMEM ? FOUND_NO_MEMORY : FOUND_STOPPED;
        list->items = items;
        list->capacity = capacity;
    }
    if (search->order == ORDER_OF_SCORES)
        list->items[list->count++] = *item;
    else
        sift_up(search->order, list->items, list->count++, *item);
    return FOUND;
}

/* Takes the last one off the heap, again and again, and puts it behind what is left. */
static enum found_outcome list_sort(struct call *call, const struct search *search, struct found_list *list)
{
    for (uint64_t left = list->count; left > 1; left--) {
        struct found item = list->items[left - 1];
        list->items[left - 1] = list->items[0];
        sift_down(search->order, list->items, left - 1, 0, item);
        if (!sliced_pause(call, SORT_STEP))
            return FOUND_STOPPED;
    }
    return FOUND;
}

/* Looks at the rows of one range of cells. */
static enum found_outcome find_in_range(struct call *call, const struct search *search,
                                        const struct tree *rows, struct geo_range range,
                                        struct found_list *list)
{
    struct tree_place place;
    uint64_t position = zset_count_below(rows, (double)range.begin, false);
    const uint64_t end = zset_bits((double)range.end);
    if (position == tree_rows(rows))
        return FOUND;
    tree_at(rows, position, &place);
    do {
        for (; place.row < place.page->count; place.row++) {
            struct found found = {.bits = page_number(place.page, place.row)};
            if (found.bits >= end || (search->any && list->count == (uint64_t)search->count))
                return FOUND;
            if (!sliced_pause(call, FIND_STEP))
                return FOUND_STOPPED;
            struct geo_point point = geo_decode(geo_cell_of_score(zset_score_of(found.bits)));
            if (!geo_shape_contains(&search->shape, point, &found.distance_m))
                continue;
            found.member = page_element(place.page, place.row, 0);
            enum found_outcome outcome = list_add(call, search, list, &found);
            if (outcome != FOUND)
                return outcome;
        }
    } while (tree_next_page(rows, &place));
    return FOUND;
}

static enum found_outcome find(struct call *call, const struct search *search, const struct tree *rows,
                               struct found_list *list)
{
    struct geo_range ranges[GEO_RANGES_MAX];
    unsigned count = geo_shape_ranges(&search->shape, ranges);
    enum found_outcome outcome = FOUND;
    for (unsigned i = 0; i < count && outcome == FOUND; i++)
        outcome = find_in_range(call, search, rows, ranges[i], list);
    if (outcome != FOUND || search->order == ORDER_OF_SCORES)
        return outcome;
    return list_sort(call, search, list);
}

/* ---- Answering --------------------------------------------------------------------------------------------- */

static void answer(struct call *call, const struct search *search, const struct found_list *list)
{
    unsigned parts = 1u + search->with_distance + search->with_hash + search->with_point;
    reply_array(call->out, list->count);
    for (uint64_t i = 0; i < list->count && sliced_pause(call, parts); i++) {
        const struct found *found = &list->items[i];
        double score = zset_score_of(found->bits);
        if (parts > 1)
            reply_array(call->out, parts);
        call_reply_element(call, found->member);
        if (search->with_distance)
            geo_reply_distance(call, found->distance_m / search->unit_m);
        if (search->with_hash)
            reply_int(call->out, (int64_t)geo_cell_of_score(score));
        if (search->with_point)
            geo_reply_point(call, geo_decode(geo_cell_of_score(score)));
    }
}

static void store(struct call *call, const struct search *search, const struct found_list *list)
{
    struct zset_edit edit;
    zset_edit_begin(call, &edit);
    for (uint64_t i = 0; i < list->count; i++) {
        const struct found *found = &list->items[i];
        bool distances = search->target == TO_DISTANCES;
        if (!sliced_pause(call, 2)) {
            zset_edit_drop(call, &edit);
            return;
        }
        element_ref(found->member);
        zset_edit_add(call, &edit, found->member,
                      distances ? found->distance_m / search->unit_m : zset_score_of(found->bits));
    }
    zset_edit_store(call, &edit, search->destination,
                    slice_equal_nocase(call->argv[0], "geosearchstore") ? "geosearchstore"
                                                                        : "georadiusstore");
}

/* Answers with, or stores, the members of a set that exists. */
static void search_rows(struct call *call, const struct search *search, const struct tree *rows)
{
    struct found_list list = {0};
    enum found_outcome outcome = find(call, search, rows, &list);
    if (outcome == FOUND_NO_MEMORY)
        call_oom(call);
    else if (outcome == FOUND && search->target == TO_CLIENT)
        answer(call, search, &list);
    else if (outcome == FOUND)
        store(call, search, &list);
    worker_free(call->exec->workers, list.items);
}

static void run_search(struct call *call, struct search *search)
{
    struct collection_view zset;
    if (!zset_read(call, search->source, &zset))
        return;
    if (zset.rows != NULL && search->from_member &&
        !geo_find_member(&zset, search->member, &search->shape.centre)) {
        reply_error(call->out, "ERR could not decode requested zset member");
        return;
    }
    if (search->has_count && !search->any && search->order == ORDER_OF_SCORES)
        search->order = NEAREST_FIRST;
    if (zset.rows != NULL)
        search_rows(call, search, zset.rows);
    else if (search->target == TO_CLIENT)
        reply_array(call->out, 0);
    else
        store(call, search, &(struct found_list){0});
}

/* ---- Commands ---------------------------------------------------------------------------------------------- */

void cmd_geosearch(struct call *call, const struct args_geosearch *args)
{
    static read_word_fn *const readers[] = {read_option, read_where};
    struct search search = {.source = args->key};
    struct words words = {args->query, args->query_count};
    if (read_words(call, words, &search, readers, ARRAY_COUNT(readers)) &&
        check_options(call, &search, "GEOSEARCH"))
        run_search(call, &search);
}

void cmd_geosearchstore(struct call *call, const struct args_geosearchstore *args)
{
    static read_word_fn *const readers[] = {read_option, read_where, read_storedist};
    struct search search = {.source = args->source, .destination = args->destination, .target = TO_SCORES};
    struct words words = {args->query, args->query_count};
    if (read_words(call, words, &search, readers, ARRAY_COUNT(readers)) &&
        check_options(call, &search, "GEOSEARCHSTORE"))
        run_search(call, &search);
}

/* GEORADIUS and its like, of which source and centre are known. */
static void search_circle(struct call *call, struct search *search, double radius, double unit_m,
                          struct words options, bool may_store)
{
    static read_word_fn *const readers[] = {read_option, read_store_key};
    search->has_centre = search->has_shape = true;
    search->unit_m = unit_m;
    search->shape.radius_m = radius * unit_m;
    if ((search->from_member || geo_check_point(call, search->shape.centre)) &&
        read_words(call, options, search, readers, may_store ? 2 : 1) &&
        check_options(call, search, "STORE option in GEORADIUS"))
        run_search(call, search);
}

void cmd_georadius(struct call *call, const struct args_georadius *args)
{
    struct search search = {.source = args->key, .shape.centre = {args->longitude, args->latitude}};
    search_circle(call, &search, args->radius, geo_unit_m[args->unit],
                  (struct words){args->options, args->options_count}, true);
}

void cmd_georadius_ro(struct call *call, const struct args_georadius_ro *args)
{
    struct search search = {.source = args->key, .shape.centre = {args->longitude, args->latitude}};
    search_circle(call, &search, args->radius, geo_unit_m[args->unit],
                  (struct words){args->options, args->options_count}, false);
}

void cmd_georadiusbymember(struct call *call, const struct args_georadiusbymember *args)
{
    struct search search = {.source = args->key, .from_member = true, .member = args->member};
    search_circle(call, &search, args->radius, geo_unit_m[args->unit],
                  (struct words){args->options, args->options_count}, true);
}

void cmd_georadiusbymember_ro(struct call *call, const struct args_georadiusbymember_ro *args)
{
    struct search search = {.source = args->key, .from_member = true, .member = args->member};
    search_circle(call, &search, args->radius, geo_unit_m[args->unit],
                  (struct words){args->options, args->options_count}, false);
}
