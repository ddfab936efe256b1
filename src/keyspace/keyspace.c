/* Databases: changes, expiry, flushing, and the memory they give back. See keyspace.h.
 *
 * Principal entry points: keyspace_new, db_insert, db_replace, db_remove, db_set_expire, db_flush,
 * keyspace_expire_step, keyspace_reclaim_step.
 * Threads: the executor. */
#include "keyspace/keyspace.h"

#include <stdatomic.h>
#include <string.h>

#include "base/ahead.h"
#include "base/alloc.h"
#include "base/bug.h"
#include "base/role.h"
#include "base/worker.h"
#include "keyspace/shared.h"
#include "keyspace/walk.h"

/* Budget of one keyspace_expire_step: passing over a bucket takes less than a nanosecond, opening one about
 * 200, removing a key up to a microsecond. */
#define EXPIRE_STEP_BUCKETS ((size_t)1 << 18)
#define EXPIRE_STEP_KEYS    128

/* Budget of one keyspace_reclaim_step: about 640 entries and half a megabyte of slabs. */
#define DRAIN_STEP_BUCKETS 128
#define TRIM_STEP_SLABS    8
#define FREE_STEP_PAGES    256 /* of a large collection: some tens of microseconds */

#define LIMBO_STEP_BAGS 16                  /* 1,024 blocks, some tens of microseconds */
#define LIMBO_SEAL_MAX  ((size_t)256 << 10) /* so many bytes do not wait for their bag to become full */
/* In the limbo at the least, so that what readers have told of them can be believed until the executor comes to it: what some fifty
 * pipelines change. More would have been forgotten by the caches when they are used again. */
#define LIMBO_ITEMS_KEPT 1024

#define FREE_ROWS_PAGES 16 /* of rows that go: more are left to keyspace_reclaim_step */

#define RANDOM_TRIES_MAX 100

/* A table that a flush has detached from its database. */
struct detached {
    struct list_node node;
    struct table *table;
    struct list_node walks; /* nothing is freed while somebody walks */
};

/* ---- What tables ask about entries ----------------------------------------------------------------- */

/* In units since due_origin_ms, rounded up, so that what is due has certainly expired. Saturates below
 * TABLE_DUE_NONE, which is in eight years. */
static uint32_t due_of_ms(const struct keyspace *keyspace, int64_t expire_ms)
{
    if (expire_ms == ENTRY_NO_EXPIRE)
        return TABLE_DUE_NONE;
    if (expire_ms <= keyspace->due_origin_ms)
        return 0;
    uint64_t distance_ms = (uint64_t)expire_ms - (uint64_t)keyspace->due_origin_ms;
    uint64_t units = distance_ms / KEYSPACE_DUE_UNIT_MS + (distance_ms % KEYSPACE_DUE_UNIT_MS != 0);
    return units < TABLE_DUE_NONE ? (uint32_t)units : TABLE_DUE_NONE - 1;
}

/* Rounded down: the counterpart of due_of_ms. */
static uint32_t due_now(const struct keyspace *keyspace)
{
    if (keyspace->now_ms <= keyspace->due_origin_ms)
        return 0;
    uint64_t units = (uint64_t)(keyspace->now_ms - keyspace->due_origin_ms) / KEYSPACE_DUE_UNIT_MS;
    return units < TABLE_DUE_NONE ? (uint32_t)units : TABLE_DUE_NONE - 1;
}

static uint64_t item_hash(const void *item, void *context)
{
    const struct keyspace *keyspace = context;
    return keyspace_hash(keyspace, entry_key(item));
}

static uint32_t item_due(const void *item, void *context)
{
    return due_of_ms(context, entry_due_ms(item));
}

static const struct table_type db_table_type = {.hash = item_hash, .due = item_due};

/* What readers may find, once it is published. */
static struct table *new_table(struct keyspace *keyspace)
{
    struct table *table = mem_alloc(sizeof *table);
    table_init(table, &db_table_type, keyspace, keyspace->heap);
    table->limbo = &keyspace->limbo;
    return table;
}

static void publish_table(struct db *db, struct table *table)
{
    __atomic_store_n(&db->keys, table, __ATOMIC_RELEASE);
}

static void release_struct(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    mem_free(block);
}

/* Of a table without items, which no database has any more. */
static void free_table(struct keyspace *keyspace, struct table *table)
{
    table_done(table);
    limbo_add(&keyspace->limbo, release_struct, NULL, table, sizeof *table);
}

/* Bytes of slabs: with less, what lies ready would show in the memory per key, and addresses are translated fast anyway. */
#define AHEAD_FROM ((size_t)128 << 20)

/* ---- Life ------------------------------------------------------------------------------------------ */

struct keyspace *keyspace_new(uint32_t db_count, uint64_t hash_seed, int64_t now_ms,
                              struct worker_pool *workers)
{
    ASSERT(db_count > 0);
    struct keyspace *keyspace = mem_calloc(1, sizeof(*keyspace));
    keyspace->ahead = ahead_new(workers);
    keyspace->heap = heap_new();
    heap_set_ahead(keyspace->heap, keyspace->ahead, AHEAD_FROM);
    keyspace->dbs = mem_calloc(db_count, sizeof(*keyspace->dbs));
    keyspace->db_count = db_count;
    keyspace->hash_seed = hash_seed;
    keyspace->due_origin_ms = now_ms;
    keyspace->workers = workers;
    epoch_init(&keyspace->epoch);
    limbo_init(&keyspace->limbo, &keyspace->epoch);
    keyspace->limbo.items_kept = LIMBO_ITEMS_KEPT;
    keyspace->limbo.heap = keyspace->heap;
    atomic_init(&keyspace->gate, GATE_OFF);
    rng_seed(&keyspace->rng, hash_seed);
    list_init(&keyspace->draining);
    list_init(&keyspace->collections);
    list_init(&keyspace->objects);
    keyspace_set_time(keyspace, now_ms);
    for (uint32_t i = 0; i < db_count; i++) {
        struct db *db = &keyspace->dbs[i];
        list_init(&db->walks);
        db->number = i;
        db->keyspace = keyspace;
        publish_table(db, new_table(keyspace));
    }
    stamps_init(&keyspace->stamps);
    return keyspace;
}

void keyspace_free(struct keyspace *keyspace)
{
    if (!keyspace)
        return;
    for (uint32_t i = 0; i < keyspace->db_count; i++) {
        db_flush(&keyspace->dbs[i]);
        free_table(keyspace, keyspace->dbs[i].keys);
    }
    while (!list_is_empty(&keyspace->draining) || !list_is_empty(&keyspace->collections) ||
           !list_is_empty(&keyspace->objects))
        keyspace_reclaim_step(keyspace);
    limbo_done(&keyspace->limbo);
    stamps_done(&keyspace->stamps);
    heap_free(keyspace->heap);
    ahead_free(keyspace->ahead);
    mem_free(keyspace->dbs);
    mem_free(keyspace);
}

void keyspace_set_time(struct keyspace *keyspace, int64_t now_ms)
{
    keyspace->now_ms = now_ms;
    use_set_time(&keyspace->use, now_ms);
    use_publish(&keyspace->use, &keyspace->use_shared);
}

/* ---- Change ---------------------------------------------------------------------------------------- */

/* To be called for each entry that has been published. */
ALWAYS_INLINE void note_published(struct db *db, const struct entry *entry, uint64_t hash)
{
    if (likely(!(entry->flags & (ENTRY_HAS_EXPIRE | ENTRY_TIMED_FIELDS))))
        return;
    db->volatile_count += entry_expire_ms(entry) != ENTRY_NO_EXPIRE;
    db->timed_count += (entry->flags & ENTRY_TIMED_FIELDS) != 0;
    db_note_due(db, hash, entry_due_ms(entry));
}

/* To be called for each entry that has been taken out. */
ALWAYS_INLINE void note_withdrawn(struct db *db, const struct entry *entry)
{
    if (likely(!(entry->flags & (ENTRY_HAS_EXPIRE | ENTRY_TIMED_FIELDS))))
        return;
    db->volatile_count -= entry_expire_ms(entry) != ENTRY_NO_EXPIRE;
    db->timed_count -= (entry->flags & ENTRY_TIMED_FIELDS) != 0;
}

void db_note_due(struct db *db, uint64_t hash, int64_t due_ms)
{
    if (due_ms != ENTRY_NO_EXPIRE)
        table_due_note(db->keys, hash, due_of_ms(db->keyspace, due_ms));
}

enum status db_insert(struct db *db, struct entry *entry, uint64_t hash)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    keyspace_note_untracked(db->keyspace);
    keyspace_count_step(db->keyspace);
    enum status status = table_insert(db->keys, hash, entry);
    if (unlikely(status != ST_OK))
        return status;
    keyspace_stamp(db->keyspace, hash);
    note_published(db, entry, hash);
    if (unlikely(!list_is_empty(&db->walks)))
        key_walks_inserted(&db->walks, entry, hash);
    return ST_OK;
}

void db_replace(struct db *db, const struct table_position *position, struct entry *entry, uint64_t hash)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (unlikely(!list_is_empty(&db->walks)))
        key_walks_replacing(&db->walks, table_item_at(position), entry, hash);
    keyspace_count_step(db->keyspace);
    struct entry *old = table_replace(db->keys, position, entry);
    keyspace_stamp(db->keyspace, hash);
    note_withdrawn(db, old);
    note_published(db, entry, hash);
    keyspace_retire(db->keyspace, old);
}

void db_note_change_slow(struct db *db, struct entry *entry, uint64_t hash)
{
    key_walks_changing(&db->walks, entry, hash);
}

struct entry *db_take(struct db *db, const struct table_position *position)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (unlikely(!list_is_empty(&db->walks)))
        key_walks_removing(&db->walks, table_item_at(position));
    keyspace_note_untracked(db->keyspace);
    keyspace_count_step(db->keyspace);
    struct entry *entry = table_remove(db->keys, position);
    keyspace_stamp_entry(db->keyspace, entry);
    note_withdrawn(db, entry);
    if (unlikely(entry->flags & ENTRY_SETTLED)) /* E7: it may come into a table again */
        entry_set_settled(entry, ENTRY_SETTLED, 0);
    return entry;
}

void db_remove(struct db *db, const struct table_position *position)
{
    keyspace_retire(db->keyspace, db_take(db, position));
}

enum status db_set_expire(struct db *db, const struct table_position *position, uint64_t hash,
                          int64_t expire_ms)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct entry *entry = table_item_at(position);
    if (entry_has_expire(entry)) {
        db_note_change(db, entry, hash);
        note_withdrawn(db, entry);
        keyspace_count_step(db->keyspace);
        __atomic_store_n(entry_expire_field(entry), expire_ms, __ATOMIC_RELAXED);
        keyspace_stamp(db->keyspace, hash);
        note_published(db, entry, hash);
        return ST_OK;
    }
    if (expire_ms == ENTRY_NO_EXPIRE)
        return ST_OK;
    struct entry_options options = {.expire_ms = expire_ms, .clock = entry_clock(entry)};
    struct entry *copy = entry_copy(db->keyspace->heap, entry, entry_key(entry), &options);
    if (!copy)
        return ST_NOMEM;
    db_replace(db, position, copy, hash);
    return ST_OK;
}

/* ---- Out of sight ---------------------------------------------------------------------------------- */

/* On a worker: a value that does not count as used memory any more. */
static void free_discounted(void *large)
{
    mem_account((int64_t)mem_usable_size(large));
    large_string_unref(large);
}

/* Gives one reference up. */
static void release_large(struct keyspace *keyspace, struct large_string *large)
{
    if (!keyspace->workers || large->capacity < KEYSPACE_LAZY_FREE_MIN) {
        large_string_unref(large);
        return;
    }
    /* The reference travels with the value. What nobody else refers to is as good as free. */
    keyspace->lazyfreed++;
    if (atomic_load_explicit(&large->refs, memory_order_acquire) == 1) {
        mem_account(-(int64_t)mem_usable_size(large));
        worker_submit_bulk(keyspace->workers, free_discounted, large);
    } else {
        worker_submit_bulk(keyspace->workers, large_string_unref, large);
    }
}

/* Of the limbo. */
static void release_readers_page(void *heap, void *page, size_t size)
{
    (void)size;
    page_unref(heap, page);
}

static void release_readers_large(void *keyspace, void *large, size_t size)
{
    (void)size;
    release_large(keyspace, large);
}

/* Many bytes do not wait for company. */
ALWAYS_INLINE void note_unsealed(struct keyspace *keyspace, size_t size)
{
    keyspace->unsealed_bytes += size;
    if (unlikely(keyspace->unsealed_bytes >= LIMBO_SEAL_MAX)) {
        keyspace->unsealed_bytes = 0;
        limbo_step_kept(&keyspace->limbo, LIMBO_STEP_BAGS);
    }
}

static void wait_for_readers(struct keyspace *keyspace, limbo_release_fn release, void *context, void *block,
                             size_t size)
{
    limbo_add(&keyspace->limbo, release, context, block, size);
    note_unsealed(keyspace, size);
}

/* The block of a published entry. */
ALWAYS_INLINE void retire_block(struct keyspace *keyspace, struct entry *entry, size_t size)
{
    if (likely(!keyspace->has_readers)) {
        heap_release(keyspace->heap, entry, size);
        return;
    }
    limbo_add_block(&keyspace->limbo, entry, size);
    note_unsealed(keyspace, size);
}

/* The readers' reference of a page; of what only they refer to, the bytes are as good as free when they have gone on. */
static void retire_readers_page(struct keyspace *keyspace, struct page *page)
{
    wait_for_readers(keyspace, release_readers_page, keyspace->heap, page,
                     page_is_shared(page) ? 0 : page->size);
}

static void retire_page(struct keyspace *keyspace, struct entry *entry)
{
    struct page *page = entry_page(entry);
    if (page == NULL)
        return;
    page_unref(keyspace->heap, page);
    if (entry_is_open(entry))
        retire_readers_page(keyspace, page);
}

static void retire_large(struct keyspace *keyspace, struct entry *entry)
{
    struct large_string *large = entry_large(entry);
    if (likely(!entry_is_open(entry))) {
        release_large(keyspace, large);
        return;
    }
    large_string_unref(large); /* the entry's: not the last one */
    bool is_shared = atomic_load_explicit(&large->refs, memory_order_relaxed) > 1;
    wait_for_readers(keyspace, release_readers_large, keyspace, large, is_shared ? 0 : large->capacity);
}

NO_INLINE static void retire_value(struct keyspace *keyspace, struct entry *entry)
{
    switch (entry_encoding(entry)) {
    case ENTRY_INT:
    case ENTRY_INLINE: break;
    case ENTRY_PAGE: retire_page(keyspace, entry); break;
    case ENTRY_LARGE: retire_large(keyspace, entry); break;
    /* Readers leave these alone. */
    case ENTRY_TREE:
        if (entry_collection(entry))
            list_append(&keyspace->collections, &entry_collection(entry)->node);
        break;
    case ENTRY_OBJECT: keyspace_release_object(keyspace, entry_object(entry)); break;
    }
}

void keyspace_retire(struct keyspace *keyspace, struct entry *entry)
{
    if (unlikely(entry_encoding(entry) > ENTRY_INLINE)) /* else the entry is all */
        retire_value(keyspace, entry);
    retire_block(keyspace, entry, entry_block_size(entry));
}

void keyspace_retire_block(struct keyspace *keyspace, struct entry *entry, size_t size)
{
    retire_block(keyspace, entry, size);
}

void keyspace_set_page_slow(struct keyspace *keyspace, struct entry *entry, struct page *page)
{
    struct page *seen = entry_page(entry);
    if (page == seen)
        return; /* which has not changed: nobody changes what is shared */
    __atomic_store_n(entry_word(entry), (int64_t)(uintptr_t)page, __ATOMIC_RELEASE);
    retire_readers_page(keyspace, seen);
}

bool keyspace_limbo_step(struct keyspace *keyspace)
{
    if (likely(!keyspace->has_readers))
        return false;
    keyspace->unsealed_bytes = 0;
    if (atomic_load_explicit(&keyspace->gate, memory_order_relaxed) & GATE_OFF &&
        limbo_turn_off(&keyspace->limbo)) {
        keyspace->has_readers = false;
        stamps_raise_all(&keyspace->stamps); /* from now on changes leave none */
        return false;
    }
    return limbo_step(&keyspace->limbo, LIMBO_STEP_BAGS);
}

void keyspace_release_object(struct keyspace *keyspace, struct object *object)
{
    if (--object->refs == 0)
        list_append(&keyspace->objects, &object->node);
}

void keyspace_retire_rows(struct keyspace *keyspace, struct tree *rows)
{
    if (!tree_free_some(rows, FREE_ROWS_PAGES))
        list_append(&keyspace->collections, &collection_new(keyspace->heap, rows, NULL)->node);
}

uint64_t db_flush(struct db *db)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    uint64_t count = table_size(db->keys);
    if (count == 0)
        return 0;
    struct keyspace *keyspace = db->keyspace;
    struct detached *detached = mem_alloc(sizeof(*detached));
    detached->table = db->keys;
    list_init(&detached->walks);
    key_walks_moved(&db->walks, &detached->walks, NULL);
    list_append(&keyspace->draining, &detached->node);
    keyspace->lazyfree_pending += count;
    keyspace_note_untracked(keyspace);
    keyspace_count_step(keyspace);
    publish_table(db, new_table(keyspace));
    stamps_raise_all(&keyspace->stamps);
    db->volatile_count = 0;
    db->timed_count = 0;
    db->stale_marks = 0;
    return count;
}

void keyspace_swap(struct keyspace *keyspace, uint32_t a, uint32_t b)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    ASSERT(a < keyspace->db_count && b < keyspace->db_count);
    if (a == b)
        return;
    struct db *first = &keyspace->dbs[a], *second = &keyspace->dbs[b];
    struct db before = *first;
    keyspace_begin_steps(keyspace);
    publish_table(first, second->keys);
    first->volatile_count = second->volatile_count;
    first->timed_count = second->timed_count;
    first->stale_marks = second->stale_marks;
    publish_table(second, before.keys);
    second->volatile_count = before.volatile_count;
    second->timed_count = before.timed_count;
    second->stale_marks = before.stale_marks;
    stamps_raise_all(&keyspace->stamps);
    keyspace_end_steps(keyspace);
    struct list_node walks;
    list_init(&walks);
    key_walks_moved(&first->walks, &walks, NULL);
    key_walks_moved(&second->walks, &first->walks, first);
    key_walks_moved(&walks, &second->walks, second);
}

struct entry *db_random(struct db *db)
{
    for (unsigned i = 0; i < RANDOM_TRIES_MAX; i++) {
        struct entry *entry = table_random(db->keys, &db->keyspace->rng);
        if (!entry || !db_is_expired(db, entry))
            return entry;
    }
    return NULL;
}

/* ---- Upkeep ---------------------------------------------------------------------------------------- */

struct expire_visit {
    struct db *db;
    keyspace_expired_fn expired;
    void *context;
};

static void visit_due(void *item, void *context)
{
    const struct expire_visit *visit = context;
    const struct entry *entry = item;
    /* Not so for a due time that was cut off at the end of the scale. */
    if (!db_is_due(visit->db, entry))
        return;
    struct slice key = entry_key(entry);
    visit->expired(visit->db, key, keyspace_hash(visit->db->keyspace, key), visit->context);
}

size_t keyspace_expire_step(struct keyspace *keyspace, keyspace_expired_fn expired, void *context,
                            bool *ret_more)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    size_t buckets_left = EXPIRE_STEP_BUCKETS, keys_left = EXPIRE_STEP_KEYS;
    uint64_t opened = 0;
    uint32_t now = due_now(keyspace);
    for (uint32_t i = 0; i < keyspace->db_count && buckets_left && keys_left; i++) {
        struct db *db = &keyspace->dbs[keyspace->expire_db];
        bool around = true;
        if (db->volatile_count + db->timed_count > 0) {
            struct expire_visit visit = {db, expired, context};
            uint64_t ahead = db->keys->due_cursor ? db->keys->due_cursor : db->keys->bucket_count;
            uint64_t opened_before = db->keys->due_opened;
            size_t handed = 0;
            around = table_due_sweep(db->keys, now, buckets_left, keys_left, visit_due, &visit, &handed);
            uint64_t cost =
                ahead - db->keys->due_cursor + (db->keys->due_opened - opened_before) * TABLE_DUE_OPEN_COST;
            buckets_left -= cost < buckets_left ? cost : buckets_left;
            keys_left -= handed;
            opened += db->keys->due_opened - opened_before;
        }
        if (!around)
            break;
        keyspace->expire_db = (keyspace->expire_db + 1) % keyspace->db_count;
    }
    *ret_more = keys_left == 0 || opened * TABLE_DUE_OPEN_COST >= EXPIRE_STEP_BUCKETS / 2;
    return EXPIRE_STEP_KEYS - keys_left;
}

static void visit_drained(void *item, void *context)
{
    struct keyspace *keyspace = context;
    uint64_t freed = keyspace->lazyfreed;
    keyspace->lazyfree_pending--;
    keyspace_retire(keyspace, item);
    keyspace->lazyfreed = freed + 1; /* once, whoever frees its value */
}

/* The first detached table over which nobody walks; NULL: none. */
static struct detached *next_to_drain(const struct keyspace *keyspace)
{
    list_for_each(&keyspace->draining, node)
    {
        struct detached *detached = list_entry(node, struct detached, node);
        if (list_is_empty(&detached->walks))
            return detached;
    }
    return NULL;
}

bool keyspace_has_garbage(const struct keyspace *keyspace)
{
    return !list_is_empty(&keyspace->collections) || !list_is_empty(&keyspace->objects) ||
           next_to_drain(keyspace) != NULL;
}

bool keyspace_reclaim_step(struct keyspace *keyspace)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (keyspace_limbo_step(keyspace))
        return true;
    if (!list_is_empty(&keyspace->collections)) {
        struct collection *collection = list_entry(keyspace->collections.next, struct collection, node);
        list_remove(&collection->node);
        if (collection_free_some(keyspace->heap, collection, FREE_STEP_PAGES))
            keyspace->lazyfreed++;
        else
            list_append(&keyspace->collections, &collection->node);
        return true;
    }
    if (!list_is_empty(&keyspace->objects)) {
        struct object *object = list_entry(keyspace->objects.next, struct object, node);
        list_remove(&object->node);
        if (object->type->free_some(keyspace->heap, object, FREE_STEP_PAGES))
            keyspace->lazyfreed++;
        else
            list_append(&keyspace->objects, &object->node);
        return true;
    }
    struct detached *detached = next_to_drain(keyspace);
    if (detached != NULL) {
        if (table_drain(detached->table, DRAIN_STEP_BUCKETS, visit_drained, keyspace)) {
            list_remove(&detached->node);
            free_table(keyspace, detached->table);
            mem_free(detached);
        }
        return true;
    }
    return heap_trim(keyspace->heap, TRIM_STEP_SLABS) == TRIM_STEP_SLABS;
}

size_t keyspace_memory(const struct keyspace *keyspace)
{
    struct heap_stats stats;
    heap_stats(keyspace->heap, &stats);
    size_t sum = stats.used_bytes;
    for (uint32_t i = 0; i < keyspace->db_count; i++)
        sum += keyspace->dbs[i].keys->mapped_bytes; /* child buckets are the heap's */
    list_for_each(&keyspace->draining, node) sum +=
        list_entry(node, struct detached, node)->table->mapped_bytes;
    return sum;
}

/* ---- Check ----------------------------------------------------------------------------------------- */

struct check_visit {
    const struct keyspace *keyspace;
    unsigned marks; /* of ENTRY_SETTLED, that there may be */
    uint64_t volatile_count;
    uint64_t timed_count;
};

/* E4 and E5. */
static void check_fields(const struct entry *entry, struct check_visit *visit)
{
    bool is_timed = entry->flags & ENTRY_TIMED_FIELDS;
    visit->timed_count += is_timed;
    if (entry_encoding(entry) == ENTRY_PAGE) {
        ASSERT(is_timed == (entry_page(entry)->layout == PAGE_TIMED_HASH));
    } else if (entry_encoding(entry) == ENTRY_TREE) {
        const struct tree *rows = &entry_collection(entry)->rows;
        struct tree_place place;
        ASSERT(is_timed == (rows->type->layout == PAGE_TIMED_HASH));
        if (!is_timed)
            return;
        tree_at(rows, 0, &place);
        do {
            ASSERT(entry_collection(entry)->due_ms <= page_due_ms(place.page));
        } while (tree_next_page(rows, &place));
    }
}

static void visit_check(void *item, void *context)
{
    struct check_visit *visit = context;
    const struct entry *entry = item;
    visit->volatile_count += entry_expire_ms(entry) != ENTRY_NO_EXPIRE;
    check_fields(entry, visit);
    ASSERT((entry->flags & ENTRY_SETTLED & ~visit->marks) == 0);
    if (entry_block_size(entry) <= HEAP_BLOCK_MAX)
        ASSERT(heap_first(entry) == visit->keyspace->heap);
    ASSERT(entry->inline_size == 0 || entry_encoding(entry) == ENTRY_INLINE);
    if (entry_encoding(entry) == ENTRY_PAGE) {
        page_check(entry_page(entry));
        ASSERT(!entry_is_open(entry) || page_is_shared(entry_page(entry))); /* E6 */
    }
    if (entry_encoding(entry) == ENTRY_TREE)
        tree_check(&entry_collection(entry)->rows);
    if (entry_encoding(entry) == ENTRY_TREE && entry_collection(entry)->has_index)
        tree_check(&entry_collection(entry)->index);
    if (entry_encoding(entry) == ENTRY_OBJECT) {
        ASSERT(entry_object(entry)->refs > 0);
        entry_object(entry)->type->check(entry_object(entry));
    }
    if (entry_encoding(entry) == ENTRY_LARGE)
        ASSERT(entry_large(entry)->refs > entry_is_open(entry) &&
               entry_large(entry)->size <= entry_large(entry)->capacity);
}

void keyspace_check(const struct keyspace *keyspace)
{
    uint64_t pending = 0;
    for (uint32_t i = 0; i < keyspace->db_count; i++) {
        const struct db *db = &keyspace->dbs[i];
        ASSERT(db->number == i && db->keyspace == keyspace);
        table_check(db->keys);
        struct check_visit visit = {.keyspace = keyspace,
                                    .marks = db->stale_marks | key_walks_marks(&db->walks)};
        uint64_t cursor = 0;
        do {
            cursor = table_scan(db->keys, cursor, visit_check, &visit);
        } while (cursor);
        ASSERT(visit.volatile_count == db->volatile_count && visit.timed_count == db->timed_count);
    }
    list_for_each(&keyspace->draining, node) pending +=
        table_size(list_entry(node, struct detached, node)->table);
    ASSERT(pending == keyspace->lazyfree_pending);
    heap_check(keyspace->heap);
}
