/* Tracking by prefix. Rules in tracking_broadcast.h. Threads: one at a time. */
#include "exec/tracking_broadcast.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

struct broadcast_prefix {
    uint64_t hash;
    struct buf members; /* void * */
    struct buf changed; /* struct changed_name *, P2 */
    size_t size;
    char name[];
};

/* ---- Arrays of pointers --------------------------------------------------------------------------- */

static void **pointers(const struct buf *buf)
{
    return (void **)buf->data;
}

static size_t pointer_count(const struct buf *buf)
{
    return buf->size / sizeof(void *);
}

static void append_pointer(struct buf *buf, void *pointer)
{
    buf_append(buf, &pointer, sizeof pointer);
}

/* ---- Prefixes ------------------------------------------------------------------------------------- */

struct slice broadcast_prefix_name(const struct broadcast_prefix *prefix)
{
    return slice_make(prefix->name, prefix->size);
}

static uint64_t hash_prefix(const void *item, void *context)
{
    return ((const struct broadcast_prefix *)item)->hash;
}

static uint64_t hash_changed(const void *item, void *context)
{
    return ((const struct changed_name *)item)->hash;
}

static const struct table_type prefixes_type = {.hash = hash_prefix};
static const struct table_type changed_type = {.hash = hash_changed};

static inline bool prefix_is(const void *item, const void *name)
{
    return slice_equal(broadcast_prefix_name(item), *(const struct slice *)name);
}

static inline bool changed_is(const void *item, const void *name)
{
    const struct changed_name *changed = item;
    return slice_equal(slice_make(changed->name, changed->size), *(const struct slice *)name);
}

void broadcast_init(struct broadcast *broadcast, uint64_t hash_seed)
{
    *broadcast = (struct broadcast){.hash_seed = hash_seed};
    table_init(&broadcast->prefixes, &prefixes_type, NULL, NULL);
    table_init(&broadcast->changed, &changed_type, NULL, NULL);
}

static void free_changed(void *item, void *context)
{
    mem_free(item);
}

static void forget_changed(struct broadcast *broadcast)
{
    while (!table_drain(&broadcast->changed, SIZE_MAX, free_changed, NULL))
        ;
    for (size_t i = 0; i < pointer_count(&broadcast->touched); i++) {
        struct broadcast_prefix *prefix = pointers(&broadcast->touched)[i];
        buf_done(&prefix->changed);
    }
    buf_clear(&broadcast->touched);
}

void broadcast_done(struct broadcast *broadcast)
{
    ASSERT(broadcast_prefix_count(broadcast) == 0);
    forget_changed(broadcast);
    table_done(&broadcast->changed);
    table_done(&broadcast->prefixes);
    buf_done(&broadcast->touched);
    buf_done(&broadcast->lengths);
}

static struct prefix_length *lengths(const struct broadcast *broadcast)
{
    return (struct prefix_length *)broadcast->lengths.data;
}

static size_t length_count(const struct broadcast *broadcast)
{
    return broadcast->lengths.size / sizeof(struct prefix_length);
}

/* P1: one prefix more of this size, or one fewer. */
static void count_length(struct broadcast *broadcast, size_t size, int change)
{
    struct prefix_length none = {.size = size};
    size_t at = 0, count = length_count(broadcast);
    while (at < count && lengths(broadcast)[at].size < size)
        at++;
    if (at == count || lengths(broadcast)[at].size != size) {
        buf_append(&broadcast->lengths, &none, sizeof none);
        struct prefix_length *place = &lengths(broadcast)[at];
        memmove(place + 1, place, (count - at) * sizeof *place);
        *place = none;
    }
    struct prefix_length *length = &lengths(broadcast)[at];
    length->count += (uint64_t)(int64_t)change;
    if (length->count > 0)
        return;
    memmove(length, length + 1, (length_count(broadcast) - at - 1) * sizeof *length);
    broadcast->lengths.size -= sizeof *length;
}

static struct broadcast_prefix *find_prefix(const struct broadcast *broadcast, struct slice name)
{
    return table_find(&broadcast->prefixes, hash_slice(name, broadcast->hash_seed), prefix_is, &name);
}

/* NULL when memory is refused. */
static struct broadcast_prefix *add_prefix(struct broadcast *broadcast, struct slice name)
{
    struct broadcast_prefix *prefix = mem_try_alloc(sizeof *prefix + name.size);
    if (prefix == NULL)
        return NULL;
    *prefix = (struct broadcast_prefix){.hash = hash_slice(name, broadcast->hash_seed), .size = name.size};
    if (name.size > 0)
        memcpy(prefix->name, name.data, name.size);
    if (table_insert(&broadcast->prefixes, prefix->hash, prefix) != ST_OK) {
        mem_free(prefix);
        return NULL;
    }
    count_length(broadcast, name.size, 1);
    return prefix;
}

struct broadcast_prefix *broadcast_join(struct broadcast *broadcast, struct slice name, void *member)
{
    DEBUG_ASSERT(broadcast_noted(broadcast) == 0); /* P3 */
    struct broadcast_prefix *prefix = find_prefix(broadcast, name);
    if (prefix == NULL)
        prefix = add_prefix(broadcast, name);
    if (prefix == NULL)
        return NULL;
    append_pointer(&prefix->members, member);
    return prefix;
}

void broadcast_leave(struct broadcast *broadcast, struct broadcast_prefix *prefix, void *member)
{
    DEBUG_ASSERT(broadcast_noted(broadcast) == 0); /* P3 */
    void **members = pointers(&prefix->members);
    size_t count = pointer_count(&prefix->members), at = 0;
    while (at < count && members[at] != member)
        at++;
    ASSERT(at < count);
    members[at] = members[count - 1];
    prefix->members.size -= sizeof(void *);
    if (count > 1)
        return;
    struct slice name = broadcast_prefix_name(prefix);
    struct table_position position;
    bool found = table_locate(&broadcast->prefixes, prefix->hash, prefix_is, &name, &position);
    ASSERT(found);
    table_remove(&broadcast->prefixes, &position);
    count_length(broadcast, prefix->size, -1);
    buf_done(&prefix->members);
    buf_done(&prefix->changed);
    mem_free(prefix);
}

/* ---- Changes -------------------------------------------------------------------------------------- */

/* A name that was not noted yet; NULL when memory is refused. */
static struct changed_name *add_changed(struct broadcast *broadcast, struct slice name, uint64_t hash,
                                        uint64_t changed_by)
{
    struct changed_name *changed = mem_try_alloc(sizeof *changed + name.size);
    if (changed == NULL)
        return NULL;
    *changed = (struct changed_name){.changed_by = changed_by, .hash = hash, .size = name.size};
    if (name.size > 0)
        memcpy(changed->name, name.data, name.size);
    if (table_insert(&broadcast->changed, hash, changed) == ST_OK)
        return changed;
    mem_free(changed);
    return NULL;
}

static void list_at_prefix(struct broadcast *broadcast, struct broadcast_prefix *prefix,
                           struct changed_name *changed)
{
    if (prefix->changed.size == 0)
        append_pointer(&broadcast->touched, prefix);
    append_pointer(&prefix->changed, changed);
}

bool broadcast_note(struct broadcast *broadcast, struct slice name, uint64_t changed_by)
{
    if (broadcast_prefix_count(broadcast) == 0)
        return true;
    uint64_t hash = hash_slice(name, broadcast->hash_seed);
    struct changed_name *changed = table_find(&broadcast->changed, hash, changed_is, &name);
    if (changed != NULL) {
        if (changed->changed_by != changed_by)
            changed->changed_by = 0;
        return true;
    }
    for (size_t i = 0; i < length_count(broadcast) && lengths(broadcast)[i].size <= name.size; i++) {
        struct broadcast_prefix *prefix =
            find_prefix(broadcast, slice_make(name.data, lengths(broadcast)[i].size));
        if (prefix == NULL)
            continue;
        if (changed == NULL && (changed = add_changed(broadcast, name, hash, changed_by)) == NULL)
            return false;
        list_at_prefix(broadcast, prefix, changed);
    }
    return true;
}

void broadcast_take(struct broadcast *broadcast,
                    void (*visit)(void *context, const struct broadcast_batch *batch), void *context)
{
    for (size_t i = 0; i < pointer_count(&broadcast->touched); i++) {
        const struct broadcast_prefix *prefix = pointers(&broadcast->touched)[i];
        struct broadcast_batch batch = {
            .names = (const struct changed_name *const *)pointers(&prefix->changed),
            .name_count = pointer_count(&prefix->changed),
            .members = pointers(&prefix->members),
            .member_count = pointer_count(&prefix->members),
        };
        visit(context, &batch);
    }
    forget_changed(broadcast);
}

/* ---- Checks --------------------------------------------------------------------------------------- */

struct broadcast_sums {
    const struct broadcast *broadcast;
    uint64_t listed;
};

static void check_prefix(void *item, void *context)
{
    const struct broadcast_prefix *prefix = item;
    struct broadcast_sums *sums = context;
    struct slice name = broadcast_prefix_name(prefix);
    ASSERT(find_prefix(sums->broadcast, name) == prefix);
    ASSERT(pointer_count(&prefix->members) > 0);
    for (size_t i = 0; i < pointer_count(&prefix->changed); i++) {
        const struct changed_name *changed = pointers(&prefix->changed)[i];
        ASSERT(changed->size >= prefix->size && memcmp(changed->name, prefix->name, prefix->size) == 0);
        sums->listed++;
    }
}

void broadcast_check(const struct broadcast *broadcast)
{
    struct broadcast_sums sums = {broadcast, 0};
    uint64_t cursor = 0, counted = 0;
    do {
        if (broadcast_prefix_count(broadcast) > 0)
            cursor = table_scan(&broadcast->prefixes, cursor, check_prefix, &sums);
    } while (cursor);
    for (size_t i = 0; i < length_count(broadcast); i++) {
        ASSERT(lengths(broadcast)[i].count > 0);
        ASSERT(i == 0 || lengths(broadcast)[i - 1].size < lengths(broadcast)[i].size);
        counted += lengths(broadcast)[i].count;
    }
    ASSERT(counted == broadcast_prefix_count(broadcast));
    ASSERT(sums.listed >= broadcast_noted(broadcast));
}
