/* The keyspace as threads other than the executor may read it: decision 009 has the rules D1 to D12.
 *
 * Principal entry points: shared_read_begin, shared_find, shared_read_end (I/O threads); keyspace_open_to_readers,
 * keyspace_begin_steps, keyspace_end_steps (executor).
 *
 *     struct shared_read read;
 *     if (shared_read_begin(&read, keyspace, reader)) {
 *         ... shared_prefetch_bucket, shared_prefetch_entry, shared_find, entry_* of what was found ...
 *         if (!shared_read_end(&read)) -> nothing of it happened: undo, try again or ask the executor
 *     }
 *
 * Threads: said at each function. A reader is one thread at a time, with a number of its own below EPOCH_READERS_MAX. */
#ifndef SKUA_KEYSPACE_SHARED_H
#define SKUA_KEYSPACE_SHARED_H

#include "base/epoch.h"
#include "ds/table.h"
#include "keyspace/entry.h"
#include "keyspace/keyspace.h"

/* Why the gate is closed: each bit is one reason. */
enum shared_gate {
    GATE_OFF = 1 << 0,      /* the option says no, or no thread could read */
    GATE_MONITOR = 1 << 1,  /* somebody wants to see every command */
    GATE_PAUSE = 1 << 2,    /* CLIENT PAUSE of everything */
    GATE_SLOW_LOG = 1 << 3, /* every command is to be logged */
    GATE_LOADING = 1 << 4,  /* what there is may not be shown: loading, or a replica without its primary */
    GATE_SHUTDOWN = 1 << 5,
    GATE_KEY_MISS = 1 << 6, /* does not close it: only that missing keys are to be reported by the executor */
    GATE_DURABLE = 1 << 7,  /* answers wait for the disk: exec/durable.h */
    GATE_HEARD =
        1 << 8, /* does not close it: writes are executed one by one, nothing is foreseen (exec/plain.h) */
};
#define GATE_CLOSED (~(uint32_t)(GATE_KEY_MISS | GATE_HEARD)) /* any of these */

/* Large strings up to this size may be read without the executor: to edit one that is open costs a copy. */
#define KEYSPACE_OPEN_LARGE_MAX ((size_t)1 << 20)

struct shared_read {
    struct keyspace *keyspace;
    uint32_t reader;
    uint32_t gate;     /* as it was when the section began */
    uint64_t sequence; /* the same, D5 */
};

/* Enters a section. False: the gate is closed or a change of several steps is under way; nothing was entered. */
bool shared_read_begin(struct shared_read *read, struct keyspace *keyspace, uint32_t reader);

/* Leaves the section. False: what was read in it is not a state that ever was. */
bool shared_read_end(struct shared_read *read);

/* Stages of a lookup, for a batch of keys: the bucket's line, then the likely entry's lines. The second returns the entry that is asked
 * for, which may be looked at inside the section, or NULL. In the latter case the key may be further along the bucket's chain (one in
 * ten is, in many tables): *ret_child, if it is not NULL, has been asked for, and the third stage does the same with it. */
void shared_prefetch_bucket(const struct shared_read *read, uint32_t db, uint64_t hash);
const struct entry *shared_prefetch_entry(const struct shared_read *read, uint32_t db, uint64_t hash,
                                          const struct table_bucket **ret_child);
const struct entry *shared_prefetch_chained(const struct table_bucket *child, uint64_t hash);

/* The epoch of the section, by which the executor knows later whether an entry that was found in it is still the same (P6 in
 * base/epoch.h). Inside a section. */
uint64_t shared_read_epoch(const struct shared_read *read);

/* For foreseeing (exec/plain.h): the generation of all stamps, then the stamp of a key, both to be loaded before the key is looked
 * up. While they are what they were the key is (keyspace/stamps.h). */
uint64_t shared_generation(const struct shared_read *read);
uint16_t shared_stamp(const struct shared_read *read, uint64_t hash);
void shared_prefetch_stamp(const struct shared_read *read, uint64_t hash);

enum shared_found {
    SHARED_FOUND,
    SHARED_MISSING,
    SHARED_UNSURE, /* the table was changing beneath the lookup: the executor knows */
};

/* Looks a key up, expired or not. Inside a section. */
enum shared_found shared_find(const struct shared_read *read, uint32_t db, struct slice key, uint64_t hash,
                              struct entry **ret_entry);

/* Looks `count` keys up as they were at one moment (D6); NULL in ret_entries for a missing one. False: ask the executor. Integers
 * change in place: whoever has read some of the entries asks shared_still_holds afterwards, with the mark. */
bool shared_find_all(const struct shared_read *read, uint32_t db, const struct slice *keys,
                     const uint64_t *hashes, uint32_t count, struct entry **ret_entries, uint64_t *ret_mark);

/* Whether what has been read of the entries is what they were at that moment. */
bool shared_still_holds(const struct shared_read *read, uint64_t mark);

/* The rows of a small collection; NULL when readers may not look at them (D10): then the executor is to be asked. Inside a
 * section, of an entry with ENTRY_PAGE. */
const struct page *shared_page(const struct entry *entry);

/* The same for a large string; a reference of it may be taken inside the section. Of an entry with ENTRY_LARGE. */
struct large_string *shared_large(const struct entry *entry);

/* Moves the access clock, as the executor's reads do. `seed` is the reader's own. Inside a section. */
void shared_touch(const struct shared_read *read, struct entry *entry, uint32_t *seed);

#endif
