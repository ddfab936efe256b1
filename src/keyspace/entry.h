/* An entry: one block of memory that holds a key, its access clock, its time to live and its value.
 *
 *   header 8 | [expire_ms 8] | [long key size 8] | [word 8] | key | value bytes
 *
 * Strings up to ENTRY_INLINE_MAX bytes lie in the block behind the key; integers lie in the word; everything
 * larger or more complex is reached through the word (a pointer to a reference-counted value). What the rows of
 * a collection mean is the business of types/.
 * Threads: the executor owns entries; others may look at published ones as keyspace/shared.h says. A block that has been
 * published in a table changes only in its access clock, in its word (one aligned 8-byte store), in expire_ms (the same) and
 * in its ENTRY_MARKS and ENTRY_SETTLED, each by an atomic store: whatever else changes publishes another block. While no other thread may look,
 * the bytes of a string may change where they lie as well (keyspace_overwrite).
 *
 * E1  The block's size follows from its header (entry_block_size), so it can be given back without looking up.
 * E2  has_expire <=> the expire field exists; ENTRY_NO_EXPIRE in it means that the TTL was taken away.
 * E3  inline_size counts the value bytes behind the key; 0 unless the encoding is ENTRY_INLINE.
 * E4  ENTRY_TIMED_FIELDS <=> the rows are those of a hash and in PAGE_TIMED_HASH leaves; their numbers are the moments at
 *     which the fields expire, ENTRY_NO_EXPIRE for never.
 * E5  A collection's due_ms is not later than any of these numbers.
 * E6  The word of ENTRY_PAGE and ENTRY_LARGE has ENTRY_OPEN in it <=> readers on other threads may follow it, and hold a
 *     reference of what it points at, which is not the entry's own. So refs > 1, and whoever wants to change it in place makes
 *     a copy. It goes into the word by keyspace_note_read, and out of it by keyspace_set_page or with the entry.
 * E7  ENTRY_SETTLED belongs to walks over the keys (keyspace/walk.h, V2): nobody else looks at it, and it goes with the block. An entry
 *     that is in no table has none. */
#ifndef SKUA_KEYSPACE_ENTRY_H
#define SKUA_KEYSPACE_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/macros.h"
#include "base/num.h"
#include "base/slice.h"
#include "ds/tree.h"

#define ENTRY_INLINE_MAX   16384
#define ENTRY_NO_EXPIRE    INT64_MAX
#define ENTRY_KEY_SIZE_MAX ((size_t)512 << 20)

/* The numbers are internal; types are told to clients by name. */
enum entry_type {
    ENTRY_STRING = 0,
    ENTRY_LIST = 1,
    ENTRY_SET = 2,
    ENTRY_ZSET = 3,
    ENTRY_HASH = 4,
    ENTRY_STREAM = 5,
};

enum entry_encoding {
    ENTRY_INT = 0,    /* string that is an integer: word is the int64 */
    ENTRY_INLINE = 1, /* string behind the key */
    ENTRY_LARGE = 2,  /* string: word is a struct large_string * */
    ENTRY_PAGE = 3, /* small collection: word is a struct page *; NULL once another entry has taken it over */
    ENTRY_TREE = 4, /* large collection: word is a struct collection * */
    ENTRY_OBJECT = 5, /* a value with functions of its own (a stream): word is a struct object * */
};

enum entry_flag {
    ENTRY_HAS_EXPIRE = 1 << 0,
    ENTRY_LONG_KEY = 1 << 1,      /* key size does not fit 8 bits */
    ENTRY_EDITED = 1 << 2,        /* a string built by editing: OBJECT ENCODING says raw, whatever its size */
    ENTRY_GROWN = 1 << 3,         /* a collection that is past the thresholds of the compact encodings */
    ENTRY_MIXED = 1 << 4,         /* a set that has had a member that is no integer */
    ENTRY_TIMED_FIELDS = 1 << 5,  /* a hash that has had a field with a time to live: E4 */
    ENTRY_SETTLED_FIRST = 1 << 6, /* E7: each bit is for one walk */
    ENTRY_SETTLED_SECOND = 1 << 7,
};

#define ENTRY_SETTLED (ENTRY_SETTLED_FIRST | ENTRY_SETTLED_SECOND)

/* What a collection's type has to say of it, beside its rows. */
#define ENTRY_MARKS (ENTRY_GROWN | ENTRY_MIXED | ENTRY_TIMED_FIELDS)

struct entry {
    uint8_t type_encoding; /* type in the low four bits */
    uint8_t flags;         /* read by entry_flags */
    uint8_t key_size;
    uint8_t clock_high; /* access clock, 24 bits: see keyspace.h */
    uint16_t clock_low;
    uint16_t inline_size;
};
_Static_assert(sizeof(struct entry) == 8, "the header is one word");

/* A string too long to lie in its entry. Its bytes never change while refs > 1 (a reply, later a snapshot,
 * holds a reference). Owner of the changing: executor. References may be dropped on any thread. */
struct large_string {
    _Atomic uint32_t refs;
    size_t size;
    size_t capacity;
    char data[];
};

/* A collection too large for one page. */
struct collection {
    struct list_node node; /* among those that are being freed (keyspace.c) */
    struct tree rows;
    int64_t due_ms; /* E5; ENTRY_NO_EXPIRE: no field has a time */
    /* Where removing a large hash's expired fields has come to (types/hash.h), and the first time of those passed by. */
    uint64_t sweep_hash;
    int64_t sweep_due_ms;
    bool has_index;
    struct tree index; /* has_index: of a sorted set, its members' scores by their hashes */
};

/* A value that knows by itself how it is freed and measured: the first member of its struct. It is reference counted as a
 * whole: entries of several keys may share it, and a command that runs long may hold it. Who changes one with refs > 1
 * makes a copy first (stream_change in types/stream.h). Owner of the count: the executor. */
struct object {
    struct list_node node; /* among those that are being freed (keyspace.c) */
    const struct object_type *type;
    uint32_t refs;
};

struct object_type {
    /* Gives at most about `pages_max` pages of an object without references back. True: the object is gone. */
    bool (*free_some)(struct heap *heap, struct object *object, unsigned pages_max);
    /* Bytes of all of it. */
    size_t (*memory)(const struct object *object);
    /* Asserts its invariants. For tests and debug builds. */
    void (*check)(const struct object *object);
};

ALWAYS_INLINE enum entry_type entry_type(const struct entry *entry)
{
    return (enum entry_type)(entry->type_encoding & 0x0f);
}

ALWAYS_INLINE enum entry_encoding entry_encoding(const struct entry *entry)
{
    return (enum entry_encoding)(entry->type_encoding >> 4);
}

/* Whether it is a string that is an integer, by one comparison. */
ALWAYS_INLINE bool entry_is_int(const struct entry *entry)
{
    return entry->type_encoding == (ENTRY_STRING | ENTRY_INT << 4);
}

/* Relaxed, as the marks change while others look at the rest. */
ALWAYS_INLINE unsigned entry_flags(const struct entry *entry)
{
    return __atomic_load_n(&entry->flags, __ATOMIC_RELAXED);
}

ALWAYS_INLINE bool entry_has_expire(const struct entry *entry)
{
    return entry_flags(entry) & ENTRY_HAS_EXPIRE;
}

/* Offset of the word (or of the key where there is none). */
ALWAYS_INLINE size_t entry_word_offset(const struct entry *entry)
{
    size_t flags = entry_flags(entry);
    return sizeof(struct entry) + (flags & ENTRY_HAS_EXPIRE) * 8 + (flags & ENTRY_LONG_KEY) * 4;
}
_Static_assert(ENTRY_HAS_EXPIRE * 8 == 8 && ENTRY_LONG_KEY * 4 == 8, "each flag stands for a word");

ALWAYS_INLINE int64_t *entry_expire_field(const struct entry *entry)
{
    return (int64_t *)((char *)entry + sizeof(struct entry));
}

/* The moment, in milliseconds since 1970, that lies `time` units behind an origin: one that can be set, so never ENTRY_NO_EXPIRE.
 * False: it cannot be written. */
bool entry_expire_at(int64_t time, int64_t unit_ms, int64_t origin_ms, int64_t *ret_ms);

/* Milliseconds since 1970, ENTRY_NO_EXPIRE when the key lives for ever. */
ALWAYS_INLINE int64_t entry_expire_ms(const struct entry *entry)
{
    return entry_has_expire(entry) ? __atomic_load_n(entry_expire_field(entry), __ATOMIC_RELAXED)
                                   : ENTRY_NO_EXPIRE;
}

/* When the first of its fields expires. Of an entry with ENTRY_TIMED_FIELDS. */
int64_t entry_fields_due_ms(const struct entry *entry);

/* The key's own moment, or that of its first field: before it, nothing in the entry expires. */
ALWAYS_INLINE int64_t entry_due_ms(const struct entry *entry)
{
    int64_t due_ms = entry_expire_ms(entry);
    if (unlikely(entry_flags(entry) & ENTRY_TIMED_FIELDS)) {
        int64_t fields_due_ms = entry_fields_due_ms(entry);
        if (fields_due_ms < due_ms)
            due_ms = fields_due_ms;
    }
    return due_ms;
}

ALWAYS_INLINE int64_t *entry_word(const struct entry *entry)
{
    return (int64_t *)((char *)entry + entry_word_offset(entry));
}

/* The integer of ENTRY_INT. */
ALWAYS_INLINE int64_t entry_int(const struct entry *entry)
{
    return __atomic_load_n(entry_word(entry), __ATOMIC_RELAXED);
}

/* In the words of pages and large strings. */
#define ENTRY_OPEN      ((uintptr_t)1) /* E6 */
#define ENTRY_READ_ONCE ((uintptr_t)2) /* since the last change: keyspace_note_read */
#define ENTRY_WORD_BITS (ENTRY_OPEN | ENTRY_READ_ONCE)

ALWAYS_INLINE uintptr_t entry_address(const struct entry *entry)
{
    return (uintptr_t)__atomic_load_n(entry_word(entry), __ATOMIC_RELAXED) & ~ENTRY_WORD_BITS;
}

ALWAYS_INLINE struct large_string *entry_large(const struct entry *entry)
{
    return (struct large_string *)entry_address(entry);
}

ALWAYS_INLINE struct page *entry_page(const struct entry *entry)
{
    return (struct page *)entry_address(entry);
}

/* Of ENTRY_PAGE and ENTRY_LARGE: E6. */
ALWAYS_INLINE bool entry_is_open(const struct entry *entry)
{
    return (uintptr_t)__atomic_load_n(entry_word(entry), __ATOMIC_RELAXED) & ENTRY_OPEN;
}

ALWAYS_INLINE struct collection *entry_collection(const struct entry *entry)
{
    return (struct collection *)(uintptr_t)*entry_word(entry);
}

ALWAYS_INLINE struct object *entry_object(const struct entry *entry)
{
    return (struct object *)(uintptr_t)*entry_word(entry);
}

ALWAYS_INLINE size_t entry_key_size(const struct entry *entry)
{
    if (likely(!(entry_flags(entry) & ENTRY_LONG_KEY)))
        return entry->key_size;
    return *(uint64_t *)((char *)entry + entry_word_offset(entry) - 8);
}

ALWAYS_INLINE const char *entry_key_data(const struct entry *entry)
{
    return (const char *)entry + entry_word_offset(entry) + (entry_encoding(entry) == ENTRY_INLINE ? 0 : 8);
}

ALWAYS_INLINE struct slice entry_key(const struct entry *entry)
{
    return (struct slice){entry_key_data(entry), entry_key_size(entry)};
}

ALWAYS_INLINE size_t entry_block_size(const struct entry *entry)
{
    return (size_t)(entry_key_data(entry) - (const char *)entry) + entry_key_size(entry) + entry->inline_size;
}

/* The bytes of a string of encoding ENTRY_INLINE or ENTRY_LARGE. */
ALWAYS_INLINE struct slice entry_bytes(const struct entry *entry)
{
    if (likely(entry_encoding(entry) == ENTRY_INLINE))
        return (struct slice){entry_key_data(entry) + entry_key_size(entry), entry->inline_size};
    const struct large_string *large = entry_large(entry);
    return (struct slice){large->data, large->size};
}

/* Several threads may set it at about the same time, to about the same. A mixture of two settings is older than both only
 * when the upper bits turn over, every eighteen hours: then the key is taken for one that was not used for so long, until it
 * is used again. */
ALWAYS_INLINE uint32_t entry_clock(const struct entry *entry)
{
    return (uint32_t)__atomic_load_n(&entry->clock_high, __ATOMIC_RELAXED) << 16 |
           __atomic_load_n(&entry->clock_low, __ATOMIC_RELAXED);
}

ALWAYS_INLINE void entry_set_clock(struct entry *entry, uint32_t clock)
{
    __atomic_store_n(&entry->clock_high, (uint8_t)(clock >> 16), __ATOMIC_RELAXED);
    __atomic_store_n(&entry->clock_low, (uint16_t)clock, __ATOMIC_RELAXED);
}

ALWAYS_INLINE void entry_set_marks(struct entry *entry, uint8_t marks)
{
    uint8_t flags = (uint8_t)((entry->flags & ~ENTRY_MARKS) | marks);
    if (flags != entry->flags)
        __atomic_store_n(&entry->flags, flags, __ATOMIC_RELAXED);
}

/* E7: has those of ENTRY_SETTLED that are in `mask` be as `bits` says. */
ALWAYS_INLINE void entry_set_settled(struct entry *entry, unsigned mask, unsigned bits)
{
    __atomic_store_n(&entry->flags, (uint8_t)((entry->flags & ~mask) | bits), __ATOMIC_RELAXED);
}

/* Room in scratch space for the text of an integer entry. */
typedef char entry_scratch[NUM_I64_TEXT_MAX];

/* The value of any string entry as bytes; integers are written into `scratch`. */
ALWAYS_INLINE struct slice entry_string(const struct entry *entry, entry_scratch scratch)
{
    if (unlikely(entry_encoding(entry) == ENTRY_INT))
        return (struct slice){scratch, num_format_i64(entry_int(entry), scratch)};
    return entry_bytes(entry);
}

/* ---- Building (executor; not yet published) ------------------------------------------------------- */

struct entry_options {
    int64_t expire_ms; /* ENTRY_NO_EXPIRE: no field is reserved */
    uint32_t clock;
    bool edited;   /* ENTRY_EDITED */
    uint8_t marks; /* ENTRY_MARKS */
};

/* A string entry with a copy of key and value; an integer text becomes ENTRY_INT unless `edited`.
 * NULL when memory is refused or the key is over ENTRY_KEY_SIZE_MAX. */
struct entry *entry_new_string(struct heap *heap, struct slice key, struct slice value,
                               const struct entry_options *options);

/* As above with `size` value bytes for the caller to fill in (through entry_bytes; they are not initialised).
 * Never becomes ENTRY_INT. */
struct entry *entry_new_blank(struct heap *heap, struct slice key, size_t size,
                              const struct entry_options *options);

struct entry *entry_new_int(struct heap *heap, struct slice key, int64_t value,
                            const struct entry_options *options);

/* A string entry that takes over one reference of `large`. */
struct entry *entry_new_large(struct heap *heap, struct slice key, struct large_string *large,
                              const struct entry_options *options);

/* An entry of a collection: a small one takes over a reference of its page, a large one the struct itself. */
struct entry *entry_new_page(struct heap *heap, struct slice key, enum entry_type type, struct page *page,
                             const struct entry_options *options);
struct entry *entry_new_tree(struct heap *heap, struct slice key, enum entry_type type,
                             struct collection *collection, const struct entry_options *options);

/* An entry that takes over one reference of an object. */
struct entry *entry_new_object(struct heap *heap, struct slice key, enum entry_type type,
                               struct object *object, const struct entry_options *options);

/* The same value under another key or with another expire field (a large value or an object is shared by reference, a
 * collection by a snapshot). */
struct entry *entry_copy(struct heap *heap, const struct entry *entry, struct slice key,
                         const struct entry_options *options);

/* Whether entry_new_string would make the same block of this value, but for its bytes and their number: of a string that has no
 * other property than being one. */
bool entry_has_room(const struct entry *entry, struct slice value);
/* Puts the value, for which there is room, in the place of the one that is there. */
void entry_overwrite(struct entry *entry, struct slice value, uint32_t clock);

/* Gives the block and its reference to a large value or a collection back at once. */
void entry_free(struct heap *heap, struct entry *entry);

/* Bytes that the entry occupies, its value included (MEMORY USAGE). */
size_t entry_memory(const struct entry *entry);
/* The same without what its value consists of: of an entry with ENTRY_TREE, without the trees. */
size_t entry_own_memory(const struct entry *entry);

/* ---- Collections ---------------------------------------------------------------------------------- */

/* Takes over what the trees refer to. `index` may be NULL. */
struct collection *collection_new(struct heap *heap, const struct tree *rows, const struct tree *index);
/* The least of the rows' numbers, which are moments; ENTRY_NO_EXPIRE when there are no rows. */
int64_t page_due_ms(const struct page *page);
/* Drops at most about `pages_max` pages. True: the collection is gone. */
bool collection_free_some(struct heap *heap, struct collection *collection, unsigned pages_max);

/* ---- Large strings -------------------------------------------------------------------------------- */

/* refs == 1, size == `size`, bytes not initialised. `capacity` >= size. NULL when memory is refused. */
struct large_string *large_string_new(size_t size, size_t capacity);
/* The same with `capacity` zero bytes: a large one costs no work until it is touched. */
struct large_string *large_string_new_zeroed(size_t size, size_t capacity);
struct large_string *large_string_ref(struct large_string *large);
/* Any thread. Matches chunk's release callback. */
void large_string_unref(void *large);

#endif
