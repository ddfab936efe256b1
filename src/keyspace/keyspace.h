/* The keyspace: numbered databases of entries, their expiry, and the memory they give back.
 *
 * Principal entry points: keyspace_new, db_locate, db_insert, db_replace, db_remove, db_set_expire,
 * keyspace_flush, keyspace_swap, keyspace_expire_step, keyspace_reclaim_step.
 * Knows nothing of clients, commands or replies: notifications and watched keys are the executor's business
 * (exec/), which calls here.
 * Threads: executor only.
 *
 * K1  Every entry in a database's table was allocated from the keyspace's heap or, by the thread that parsed its command, from a
 *     sibling of it (exec/build.h).
 * K2  volatile_count is the number of entries with an expire time other than ENTRY_NO_EXPIRE.
 * K3  An entry that has been replaced or removed goes through keyspace_retire, never straight to entry_free:
 *     there is the one place where readers on other threads are waited for.
 * K4  Flushing puts an empty table in the place of the old one, which is freed in steps; the database is empty at once.
 * K5  timed_count is the number of entries with ENTRY_TIMED_FIELDS. The table's due time of an entry follows from
 *     entry_due_ms: whoever lets a field expire earlier says so by db_note_due.
 * K6  has_readers <=> limbo.on. Without it no thread but the executor looks at anything here.
 * K7  While has_readers, every change of what a plain read of a key gives raises the key's stamp, or the generation of all stamps,
 *     once it is in place (keyspace/stamps.h). */
#ifndef SKUA_KEYSPACE_KEYSPACE_H
#define SKUA_KEYSPACE_KEYSPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/copy.h"
#include "base/epoch.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/mutant.h"
#include "ds/table.h"
#include "keyspace/entry.h"
#include "keyspace/stamps.h"
#include "keyspace/use.h"

struct worker_pool;

struct db {
    /* Published by release stores: other threads load it (keyspace/shared.h), the executor just reads it. */
    struct table *keys;
    uint32_t number;
    uint64_t volatile_count; /* K2 */
    uint64_t timed_count;    /* K5 */
    uint64_t evict_cursor; /* where the search for a key with a time to live goes on; 0: anywhere (evict.c) */
    struct keyspace *keyspace;
    struct list_node walks; /* over the table: keyspace/walk.h */
    uint8_t stale_marks;    /* of ENTRY_SETTLED: the same, V5 */
};

struct keyspace {
    struct heap *heap;
    struct ahead *ahead; /* of heap and tables */
    struct db *dbs;
    uint32_t db_count;
    uint64_t hash_seed;
    int64_t due_origin_ms; /* zero of the tables' due times */
    int64_t now_ms;        /* time of the current batch (keyspace_set_time) */
    struct use use;        /* what the access clocks of entries mean, and what time it is for them */
    struct rng rng;
    uint32_t expire_db;           /* database at which active expiry goes on */
    struct list_node draining;    /* detached tables on their way out */
    struct list_node collections; /* large collections on their way out: struct collection, node */
    struct list_node objects;     /* the same for objects: struct object, node */
    uint64_t lazyfree_pending;    /* items in them */
    uint64_t lazyfreed;           /* items freed from them, and large values handed to workers */
    /* For readers on other threads: keyspace/shared.h. The first three belong to the executor. */
    struct limbo limbo;
    size_t unsealed_bytes;       /* in the limbo since it was last looked through */
    uint32_t steps_depth;        /* of keyspace_begin_steps */
    uint32_t steps_made;         /* debug builds: outside of brackets (keyspace_count_step) */
    bool has_readers;            /* K6 */
    struct worker_pool *workers; /* frees values over KEYSPACE_LAZY_FREE_MIN; NULL: freed in place */
    _Atomic uint64_t untracked;  /* raised by changes that pointers do not show: D6 */
    struct stamps stamps;        /* K7 */
    /* What every section looks at: changes seldom. */
    _Atomic uint32_t gate CACHE_ALIGNED;
    _Atomic uint64_t sequence; /* odd: a change of several steps is under way */
    struct use_shared use_shared;
    struct epoch epoch;
};

/* Values of at least this many bytes are freed by a worker. */
#define KEYSPACE_LAZY_FREE_MIN ((size_t)64 << 10)

/* `workers` may be NULL. The seed is for hashes. */
struct keyspace *keyspace_new(uint32_t db_count, uint64_t hash_seed, int64_t now_ms,
                              struct worker_pool *workers);
void keyspace_free(struct keyspace *keyspace);

/* Sets the time that lookups and clocks use until the next call. */
void keyspace_set_time(struct keyspace *keyspace, int64_t now_ms);

/* ---- Lookup --------------------------------------------------------------------------------------- */

ALWAYS_INLINE bool entry_key_equal(const void *item, const void *key)
{
    const struct entry *entry = item;
    const struct slice *wanted = key;
    unsigned flags = entry_flags(entry);
    size_t size = entry->key_size, offset = sizeof *entry + (flags & ENTRY_HAS_EXPIRE) * 8;
    if (unlikely(flags & ENTRY_LONG_KEY)) {
        size = entry_key_size(entry);
        offset += 8;
    }
    offset += entry_encoding(entry) == ENTRY_INLINE ? 0 : 8;
    return size == wanted->size && equal_short((const char *)entry + offset, wanted->data, size);
}

/* Of an entry whose address is the key: it is not looked at. The caller knows that nothing else can have this address. */
ALWAYS_INLINE bool entry_is_same(const void *item, const void *key)
{
    return item == key;
}

ALWAYS_INLINE uint64_t keyspace_hash(const struct keyspace *keyspace, struct slice key)
{
    return hash_slice(key, keyspace->hash_seed);
}

/* Finds an entry, expired or not. */
ALWAYS_INLINE struct entry *db_locate(const struct db *db, struct slice key, uint64_t hash,
                                      struct table_position *ret_position)
{
    if (!table_locate(db->keys, hash, entry_key_equal, &key, ret_position))
        return NULL;
    return table_item_at(ret_position);
}

/* At or past its time. */
ALWAYS_INLINE bool db_is_expired(const struct db *db, const struct entry *entry)
{
    return unlikely(entry_has_expire(entry)) && entry_expire_ms(entry) <= db->keyspace->now_ms;
}

/* At or past its time, or some of its fields are. */
ALWAYS_INLINE bool db_is_due(const struct db *db, const struct entry *entry)
{
    return unlikely(entry_flags(entry) & (ENTRY_HAS_EXPIRE | ENTRY_TIMED_FIELDS)) &&
           entry_due_ms(entry) <= db->keyspace->now_ms;
}

/* ---- Change --------------------------------------------------------------------------------------- */

/* Publishes a new entry for a key that is not there. ST_NOMEM: the entry stays the caller's. */
enum status db_insert(struct db *db, struct entry *entry, uint64_t hash);

/* Publishes `entry` in place of the one at `position` (same key) and retires that one. */
void db_replace(struct db *db, const struct table_position *position, struct entry *entry, uint64_t hash);

/* Takes the entry out and retires it. */
void db_remove(struct db *db, const struct table_position *position);

/* As db_remove, but the caller becomes the owner of the entry (RENAME, MOVE). */
struct entry *db_take(struct db *db, const struct table_position *position);

/* Sets, changes or (ENTRY_NO_EXPIRE) takes away the time to live of the entry at `position`; publishes another
 * block where the field does not exist. ST_NOMEM: nothing changed. */
enum status db_set_expire(struct db *db, const struct table_position *position, uint64_t hash,
                          int64_t expire_ms);

void db_note_change_slow(struct db *db, struct entry *entry, uint64_t hash);

/* To be called before something in a published entry changes in place: its value, whatever that consists of (not who only looks
 * at it first), or its time to live. The functions above do so themselves. One comparison while nobody walks (keyspace/walk.h). */
ALWAYS_INLINE void db_note_change(struct db *db, struct entry *entry, uint64_t hash)
{
    if (unlikely(!list_is_empty(&db->walks)))
        db_note_change_slow(db, entry, hash);
}

/* Tells that a field of the published entry of this hash now expires at `due_ms`. */
void db_note_due(struct db *db, uint64_t hash, int64_t due_ms);

/* Frees an entry that is in no table any more (K3); large strings go to a worker, large collections are freed in
 * keyspace_reclaim_step. */
void keyspace_retire(struct keyspace *keyspace, struct entry *entry);

/* The same for one that has nothing but its block, of `size` bytes: nothing of it is looked at. */
void keyspace_retire_block(struct keyspace *keyspace, struct entry *entry, size_t size);

/* Gives up one reference of an object; what nobody holds any more is freed in keyspace_reclaim_step. */
void keyspace_release_object(struct keyspace *keyspace, struct object *object);

/* The same for rows that no entry has, or has any more; takes over the reference. */
void keyspace_retire_rows(struct keyspace *keyspace, struct tree *rows);

/* Empties the database at once; the memory follows in keyspace_reclaim_step. Returns the number of keys. */
uint64_t db_flush(struct db *db);

/* Exchanges the contents of two databases. */
void keyspace_swap(struct keyspace *keyspace, uint32_t a, uint32_t b);

/* A random live entry, NULL when there is none (expired ones are skipped, up to a bounded number of tries). */
struct entry *db_random(struct db *db);

/* ---- Readers on other threads (keyspace/shared.h) ------------------------------------------------- */

/* The fence: who sees a step that follows sees that the sequence has changed. */
ALWAYS_INLINE void keyspace_make_odd(struct keyspace *keyspace)
{
    if (MUTANT(STEPS_NOT_MARKED))
        return;
    uint64_t sequence = atomic_load_explicit(&keyspace->sequence, memory_order_relaxed);
    atomic_store_explicit(&keyspace->sequence, sequence | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

/* Brackets a change that becomes visible in several steps: readers see all of it or nothing. May be nested. */
ALWAYS_INLINE void keyspace_begin_steps(struct keyspace *keyspace)
{
    if (keyspace->steps_depth++ == 0 && unlikely(keyspace->has_readers))
        keyspace_make_odd(keyspace);
}

ALWAYS_INLINE void keyspace_end_steps(struct keyspace *keyspace)
{
    uint64_t sequence = atomic_load_explicit(&keyspace->sequence, memory_order_relaxed);
    if (--keyspace->steps_depth == 0 && unlikely(sequence & 1))
        atomic_store_explicit(&keyspace->sequence, sequence + 1, memory_order_release);
}

/* Notes a change that pointers do not show (D6), before it is made: who sees the change sees that it was noted. */
ALWAYS_INLINE void keyspace_note_untracked(struct keyspace *keyspace)
{
    if (unlikely(keyspace->has_readers) && !MUTANT(UNTRACKED_NOT_NOTED)) {
        atomic_store_explicit(&keyspace->untracked,
                              atomic_load_explicit(&keyspace->untracked, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
    }
}

/* Debug builds count what others could see of a command: an entry that comes, goes or is replaced, an integer or a time to live
 * that changes in place. Not so pages, which are closed before they change: who finds one closed has seen nothing. */
ALWAYS_INLINE void keyspace_count_step(struct keyspace *keyspace)
{
#ifdef SKUA_DEBUG
    keyspace->steps_made += keyspace->steps_depth == 0;
#else
    (void)keyspace;
#endif
}

/* K7: to be called when a change of the key's value, or of whether it is there, is in place. */
ALWAYS_INLINE void keyspace_stamp(struct keyspace *keyspace, uint64_t hash)
{
    if (unlikely(keyspace->has_readers))
        stamps_raise(&keyspace->stamps, hash);
}

/* The same where the hash is not at hand. */
ALWAYS_INLINE void keyspace_stamp_entry(struct keyspace *keyspace, const struct entry *entry)
{
    if (unlikely(keyspace->has_readers))
        stamps_raise(&keyspace->stamps, keyspace_hash(keyspace, entry_key(entry)));
}

/* The word of a published entry that holds an integer gets another one; `hash` is its key's. */
ALWAYS_INLINE void keyspace_set_word(struct keyspace *keyspace, int64_t *word, uint64_t hash, int64_t value)
{
    keyspace_note_untracked(keyspace);
    keyspace_count_step(keyspace);
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
    keyspace_stamp(keyspace, hash);
}

/* Puts another integer into a published entry that holds one. */
ALWAYS_INLINE void keyspace_set_int(struct keyspace *keyspace, struct entry *entry, uint64_t hash,
                                    int64_t value)
{
    keyspace_set_word(keyspace, entry_word(entry), hash, value);
}

/* Adds to it. False: the sum has more than 64 bits, and nothing has changed. */
ALWAYS_INLINE bool keyspace_add_int(struct keyspace *keyspace, struct entry *entry, uint64_t hash,
                                    int64_t increment, int64_t *ret_value)
{
    int64_t *word = entry_word(entry);
    if (unlikely(__builtin_add_overflow(__atomic_load_n(word, __ATOMIC_RELAXED), increment, ret_value)))
        return false;
    keyspace_set_word(keyspace, word, hash, *ret_value);
    return true;
}

/* Whether a value may be put where that of a published entry lies: nobody else looks (K6). */
ALWAYS_INLINE bool keyspace_can_overwrite(const struct keyspace *keyspace, const struct entry *entry,
                                          struct slice value)
{
    return !keyspace->has_readers && entry_has_room(entry, value);
}

/* Does so, with the clock of a new entry; but how often a key was used does not depend on how often it got another value. */
ALWAYS_INLINE void keyspace_overwrite(struct keyspace *keyspace, struct entry *entry, struct slice value)
{
    const struct use *use = &keyspace->use;
    keyspace_count_step(keyspace);
    entry_overwrite(entry, value, use->rules.counts ? entry_clock(entry) : use->clock_new);
}

void keyspace_set_page_slow(struct keyspace *keyspace, struct entry *entry, struct page *page);

/* Puts what has become of its page into a published entry, NULL when something else owns it now. Readers do not see it, unless
 * it is still the one that they may see. */
ALWAYS_INLINE void keyspace_set_page(struct keyspace *keyspace, struct entry *entry, struct page *page)
{
    if (unlikely(entry_is_open(entry)))
        keyspace_set_page_slow(keyspace, entry, page);
    else
        __atomic_store_n(entry_word(entry), (int64_t)(uintptr_t)page, __ATOMIC_RELEASE);
}

/* To be called when the executor has served a read that a reader could have served: the second one of a page, or of a large
 * string, opens it (D10). */
void keyspace_note_read(struct keyspace *keyspace, struct entry *entry);

/* Releases some of what readers have gone on from. True: there is more at once. */
bool keyspace_limbo_step(struct keyspace *keyspace);

/* The limbo's share of used memory: it is as good as free. */
ALWAYS_INLINE size_t keyspace_waiting_bytes(const struct keyspace *keyspace)
{
    return keyspace->limbo.bytes;
}

/* Says whether reader threads may enter, for these reasons (enum shared_gate). With GATE_OFF the limbo empties by and by. */
void keyspace_set_gate(struct keyspace *keyspace, uint32_t gate);

/* Before reader `index` enters for the first time. */
void keyspace_expect_reader(struct keyspace *keyspace, uint32_t index);

/* ---- Upkeep --------------------------------------------------------------------------------------- */

/* Resolution of the tables' due times: active expiry finds a key at most so much later. */
#define KEYSPACE_DUE_UNIT_MS 64

/* Called for each key that active expiry found; must remove it (db_locate, notify, db_remove), or where only fields have
 * expired, those. `key` lies in the entry: it is gone after db_remove. */
typedef void (*keyspace_expired_fn)(struct db *db, struct slice key, uint64_t hash, void *context);

/* One bounded step of active expiry over all databases (at most a few hundred microseconds, counted in buckets
 * and keys, not by a clock). Returns the number of keys handed to `expired`; *ret_more tells whether it makes
 * sense to go on at once. */
size_t keyspace_expire_step(struct keyspace *keyspace, keyspace_expired_fn expired, void *context,
                            bool *ret_more);

/* One bounded step of freeing what readers have gone on from, large collections, objects and detached tables, and of giving empty
 * slabs back. Returns true when there is more. To be called now and then even where nothing seems to be left. */
bool keyspace_reclaim_step(struct keyspace *keyspace);

/* Whether something is on its way out that keyspace_reclaim_step will turn into free memory. Not what waits for readers only:
 * that is keyspace_waiting_bytes. */
bool keyspace_has_garbage(const struct keyspace *keyspace);

/* Sum over all databases: tables, entries in slabs. Large values are counted by mem_used only. */
size_t keyspace_memory(const struct keyspace *keyspace);

/* Asserts K1, K2 and the tables' own invariants. For tests. */
void keyspace_check(const struct keyspace *keyspace);

#endif
