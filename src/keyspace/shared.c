/* Reading the keyspace on other threads than the executor: sections, lookups, access clocks. See shared.h and decision 009.
 *
 * Threads: shared_*: a reader, inside a section of its own; keyspace_*: the executor. */
#include "keyspace/shared.h"

#include "base/mutant.h"
#include "base/role.h"

#define FIND_TRIES_MAX 3 /* a table that is split beneath every lookup is not waited for */

/* ---- The executor's side --------------------------------------------------------------------------- */

void keyspace_expect_reader(struct keyspace *keyspace, uint32_t index)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    epoch_expect(&keyspace->epoch, index);
}

static void turn_on(struct keyspace *keyspace)
{
    limbo_turn_on(&keyspace->limbo);
    stamps_expect_readers(&keyspace->stamps);
    use_publish(&keyspace->use, &keyspace->use_shared);
    keyspace->has_readers = true;
    if (keyspace->steps_depth > 0)
        keyspace_make_odd(keyspace); /* a transaction that began when nobody could read */
}

void keyspace_set_gate(struct keyspace *keyspace, uint32_t gate)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (atomic_load_explicit(&keyspace->gate, memory_order_relaxed) == gate)
        return;
    if (!(gate & GATE_OFF) && !keyspace->has_readers)
        turn_on(keyspace);
    atomic_store_explicit(&keyspace->gate, gate, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst); /* either a section has seen it, or it is seen below */
    keyspace_limbo_step(keyspace);
}

void keyspace_note_read(struct keyspace *keyspace, struct entry *entry)
{
    enum entry_encoding encoding = entry_encoding(entry);
    if (encoding == ENTRY_LARGE &&
        (entry_flags(entry) & ENTRY_EDITED || entry_large(entry)->size > KEYSPACE_OPEN_LARGE_MAX))
        return;
    if (encoding != ENTRY_LARGE && encoding != ENTRY_PAGE)
        return;
    uintptr_t word = (uintptr_t)*entry_word(entry), address = entry_address(entry);
    if (word & ENTRY_OPEN)
        return;
    if (!(word & ENTRY_READ_ONCE)) {
        __atomic_store_n(entry_word(entry), (int64_t)(word | ENTRY_READ_ONCE), __ATOMIC_RELAXED);
        return;
    }
    if (encoding == ENTRY_PAGE && !MUTANT(OPEN_PAGE_EDITED))
        page_ref((struct page *)address);
    else if (encoding == ENTRY_LARGE)
        large_string_ref((struct large_string *)address);
    __atomic_store_n(entry_word(entry), (int64_t)(address | ENTRY_OPEN), __ATOMIC_RELEASE);
}

/* ---- Sections -------------------------------------------------------------------------------------- */

bool shared_read_begin(struct shared_read *read, struct keyspace *keyspace, uint32_t reader)
{
    read->keyspace = keyspace;
    read->reader = reader;
    epoch_enter(&keyspace->epoch, reader);
    /* Inside the section: once the gate has been closed and the section left, the limbo may be turned off. */
    read->gate = atomic_load_explicit(&keyspace->gate, memory_order_acquire);
    read->sequence = atomic_load_explicit(&keyspace->sequence, memory_order_acquire);
    if (likely((read->gate & GATE_CLOSED) == 0 && !(read->sequence & 1)))
        return true;
    epoch_leave(&keyspace->epoch, reader);
    return false;
}

uint64_t shared_read_epoch(const struct shared_read *read)
{
    return epoch_entered(&read->keyspace->epoch, read->reader);
}

bool shared_read_end(struct shared_read *read)
{
    atomic_thread_fence(memory_order_acquire); /* what was read comes before this look */
    uint64_t sequence = atomic_load_explicit(&read->keyspace->sequence, memory_order_relaxed);
    epoch_leave(&read->keyspace->epoch, read->reader);
    return likely(sequence == read->sequence) || MUTANT(STEPS_NOT_LOOKED_AT);
}

/* ---- Lookup ---------------------------------------------------------------------------------------- */

static const struct table *keys_of(const struct shared_read *read, uint32_t db)
{
    return __atomic_load_n(&read->keyspace->dbs[db].keys, __ATOMIC_ACQUIRE);
}

void shared_prefetch_bucket(const struct shared_read *read, uint32_t db, uint64_t hash)
{
    table_prefetch_bucket_shared(keys_of(read, db), hash);
}

static void prefetch_entry(const struct entry *entry)
{
    prefetch(entry);
    prefetch((const char *)entry + CACHE_LINE);
}

const struct entry *shared_prefetch_entry(const struct shared_read *read, uint32_t db, uint64_t hash,
                                          const struct table_bucket **ret_child)
{
    const struct entry *entry = table_likely_item_shared(keys_of(read, db), hash, ret_child);
    if (likely(entry != NULL))
        prefetch_entry(entry);
    else if (*ret_child != NULL)
        prefetch(*ret_child);
    return entry;
}

const struct entry *shared_prefetch_chained(const struct table_bucket *child, uint64_t hash)
{
    const struct entry *entry = table_likely_item_in(child, hash);
    if (entry != NULL)
        prefetch_entry(entry);
    return entry;
}

/* ---- What has been seen ---------------------------------------------------------------------------- */

void shared_prefetch_stamp(const struct shared_read *read, uint64_t hash)
{
    stamps_prefetch(&read->keyspace->stamps, hash);
}

uint16_t shared_stamp(const struct shared_read *read, uint64_t hash)
{
    return stamps_load(&read->keyspace->stamps, hash);
}

uint64_t shared_generation(const struct shared_read *read)
{
    return stamps_generation(&read->keyspace->stamps);
}

enum shared_found shared_find(const struct shared_read *read, uint32_t db, struct slice key, uint64_t hash,
                              struct entry **ret_entry)
{
    for (unsigned i = 0; i < FIND_TRIES_MAX; i++) {
        void *item;
        MUTANT_PAUSE(STEPS_NOT_LOOKED_AT);
        switch (table_find_shared(keys_of(read, db), hash, entry_key_equal, &key, &item)) {
        case TABLE_HIT:
            *ret_entry = item;
            MUTANT_PAUSE(LIMBO_RELEASES_AT_ONCE);
            return SHARED_FOUND;
        case TABLE_MISS: return SHARED_MISSING;
        case TABLE_UNSURE: break;
        }
    }
    return SHARED_UNSURE;
}

bool shared_find_all(const struct shared_read *read, uint32_t db, const struct slice *keys,
                     const uint64_t *hashes, uint32_t count, struct entry **ret_entries, uint64_t *ret_mark)
{
    *ret_mark = atomic_load_explicit(&read->keyspace->untracked, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        ret_entries[i] = NULL;
        if (shared_find(read, db, keys[i], hashes[i], &ret_entries[i]) == SHARED_UNSURE)
            return false;
        MUTANT_PAUSE(KEYS_LOOKED_UP_ONCE);
    }
    if (MUTANT(KEYS_LOOKED_UP_ONCE))
        return true;
    for (uint32_t i = 0; i < count; i++) {
        struct entry *again = NULL;
        if (shared_find(read, db, keys[i], hashes[i], &again) == SHARED_UNSURE || again != ret_entries[i])
            return false;
    }
    return shared_still_holds(read, *ret_mark);
}

/* The one change that may have been noted before the mark and made behind it came before all that was noted since. */
bool shared_still_holds(const struct shared_read *read, uint64_t mark)
{
    atomic_thread_fence(memory_order_acquire); /* what was read comes before this look */
    return atomic_load_explicit(&read->keyspace->untracked, memory_order_relaxed) == mark;
}

/* ---- Values ---------------------------------------------------------------------------------------- */

/* D10, E6 */
static uintptr_t open_word(const struct entry *entry)
{
    uintptr_t word = (uintptr_t)__atomic_load_n(entry_word(entry), __ATOMIC_ACQUIRE);
    return word & ENTRY_OPEN ? word & ~ENTRY_WORD_BITS : 0;
}

const struct page *shared_page(const struct entry *entry)
{
    return (const struct page *)open_word(entry);
}

struct large_string *shared_large(const struct entry *entry)
{
    return (struct large_string *)open_word(entry);
}

void shared_touch(const struct shared_read *read, struct entry *entry, uint32_t *seed)
{
    use_touch_shared(&read->keyspace->use_shared, seed, entry);
}
