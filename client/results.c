/* Results without a callback that could not stay where they were. See results.h. Threads: the client's. */
#include <string.h>

#include "client/memory.h"
#include "client/results.h"

/* The root, and the elements of each aggregate that may be open */
#define WALK_LEVELS_MAX (SKUA_DEPTH_MAX + 2u)

static void append(struct results *results, struct result *result)
{
    result->next = NULL;
    if (results->last != NULL)
        results->last->next = result;
    else
        results->first = result;
    results->last = result;
    results->count += result->count;
}

static void remove_first(struct results *results, const struct skua_allocator *allocator)
{
    struct result *first = results->first;
    results->first = first->next;
    if (results->first == NULL)
        results->last = NULL;
    results->count -= first->count;
    results->walk.depth = 0;
    if (first == &results->spare)
        results->spare_used = false;
    else
        client_release(allocator, first);
}

void results_done(struct results *results, const struct skua_allocator *allocator)
{
    while (results->first != NULL) {
        skua_reply_free(results->first->reply);
        remove_first(results, allocator);
    }
    client_release(allocator, results->walk.levels);
    results->walk.levels = NULL;
}

bool results_add_reply(struct results *results, const struct skua_allocator *allocator,
                       struct skua_reply *reply)
{
    struct result *result = client_allocate(allocator, sizeof(*result));
    if (result == NULL)
        return false;
    *result = (struct result){.reply = reply, .count = 1};
    append(results, result);
    return true;
}

void results_add_failures(struct results *results, const struct skua_allocator *allocator,
                          enum skua_status status, uint64_t count)
{
    struct result *last = results->last;
    if (last != NULL && last->reply == NULL && last->status == status) {
        last->count += count;
        results->count += count;
        return;
    }
    struct result *result =
        results->spare_used ? client_allocate(allocator, sizeof(*result)) : &results->spare;
    if (result ==
        NULL) { /* the spare one is in the list: its caller is told at the wrong place, but is told */
        results->spare.count += count;
        results->count += count;
        return;
    }
    if (result == &results->spare)
        results->spare_used = true;
    *result = (struct result){.status = status, .count = count};
    append(results, result);
}

/* One of the first row of failures is told. */
static enum skua_status take_failure(struct results *results, const struct skua_allocator *allocator)
{
    struct result *first = results->first;
    enum skua_status status = first->status;
    if (first->count > 1) {
        first->count--;
        results->count--;
    } else {
        remove_first(results, allocator);
    }
    return status;
}

/* The reply whose last item was given ends: its strings had to live until the next call. */
static void end_walk(struct results *results, const struct skua_allocator *allocator)
{
    if (results->first == NULL || results->first->count > 0)
        return;
    skua_reply_free(results->first->reply);
    remove_first(results, allocator);
}

enum skua_status results_take(struct results *results, const struct skua_allocator *allocator,
                              struct skua_reply **ret_reply)
{
    end_walk(results, allocator);
    struct result *first = results->first;
    if (first == NULL)
        return SKUA_AGAIN;
    if (first->reply == NULL)
        return take_failure(results, allocator);
    if (results->walk.depth > 0)
        return SKUA_ERR_USE;
    *ret_reply = first->reply;
    remove_first(results, allocator);
    return SKUA_OK;
}

/* ---- Item by item ------------------------------------------------------------------------------------------- */

static void fill_item(struct skua_item *item, const struct skua_reply *value, unsigned depth)
{
    *item = (struct skua_item){
        .type = value->type,
        .depth = depth,
        .integer = value->integer,
        .number = value->number,
        .string = value->string,
        .length = value->length,
        .element_count = value->element_count,
    };
    memcpy(item->format, value->format, sizeof(item->format));
}

/* Opens `count` values. */
static void enter(struct walk *walk, const struct skua_reply *values, size_t count)
{
    if (count > 0)
        walk->levels[walk->depth++] = (struct walk_level){.next = values, .left = count};
}

/* The first of a value's attributes, or NULL. Each hangs at the one that came behind it: they are turned around, which
 * nobody sees, for a tree whose walk has begun is not given away any more. */
static const struct skua_reply *oldest_attributes(const struct skua_reply *value)
{
    const struct skua_reply *oldest = NULL;
    for (const struct skua_reply *at = value->attributes, *before; at != NULL; at = before) {
        before = at->attributes;
        ((struct skua_reply *)at)->attributes = oldest;
        oldest = at;
    }
    return oldest;
}

/* Gives the next item of the walk and goes one step on: into the value's elements, or past it. */
static void step(struct walk *walk, struct skua_item *ret_item)
{
    struct walk_level *level = &walk->levels[walk->depth - 1];
    const struct skua_reply *value = level->next;
    unsigned depth = walk->depth - 1;
    if (!level->attributes_begun) {
        level->attributes_begun = true;
        level->attributes = oldest_attributes(value);
    }
    const struct skua_reply *attributes = level->attributes;
    if (attributes != NULL) {
        level->attributes = attributes->attributes;
        fill_item(ret_item, attributes, depth);
        enter(walk, attributes->elements, attributes->element_count);
        return;
    }
    level->next++;
    level->left--;
    level->attributes_begun = false;
    fill_item(ret_item, value, depth);
    enter(walk, value->elements, value->element_count);
}

enum skua_status results_next_item(struct results *results, const struct skua_allocator *allocator,
                                   struct skua_item *ret_item)
{
    struct walk *walk = &results->walk;
    end_walk(results, allocator);
    struct result *first = results->first;
    if (first == NULL)
        return SKUA_AGAIN;
    if (first->reply == NULL)
        return take_failure(results, allocator);
    if (walk->levels == NULL) {
        walk->levels = client_allocate(allocator, WALK_LEVELS_MAX * sizeof(*walk->levels));
        if (walk->levels == NULL)
            return SKUA_ERR_MEMORY;
    }
    if (walk->depth == 0)
        enter(walk, first->reply, 1);
    step(walk, ret_item);
    while (walk->depth > 1 && walk->levels[walk->depth - 1].left == 0)
        walk->depth--;
    ret_item->last = walk->depth == 1 && walk->levels[0].left == 0;
    if (ret_item->last) {
        first->count = 0;
        results->count--;
    }
    return SKUA_OK;
}
