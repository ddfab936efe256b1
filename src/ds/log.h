/* A log page: entries of named strings under ascending ids, packed one behind the other into one block of at most 4 KB.
 * The leaves of a stream's tree (ds/tree.h) are such pages.
 *
 * Principal entry points: log_new, log_append, log_first, log_next, log_fields_next, log_kill.
 * An id costs the step from the one before; the names of the fields stand once, at the head of the page, for all entries
 * that have the same names as the first one.
 *
 * A page:
 *
 * | offset        | bytes | what                                                                              |
 * |---------------|-------|-----------------------------------------------------------------------------------|
 * | 0             | 16    | struct page: refs, layout, `count` living entries, `capacity` entries from `first` |
 * |               |       | on, dead ones too; size of the block                                              |
 * | 16            | 16    | first_id: the id of the entry at `first`                                          |
 * | 32            | 16    | last_id: that of the last entry                                                   |
 * | 48            | 2     | total: entries that were ever put into the page                                   |
 * | 50            | 2     | field_count: how many names there are                                             |
 * | 52            | 2     | first: offset of the first living entry                                           |
 * | 54            | 2     | end: offset behind the last entry                                                 |
 * | 56            |       | the names, as strings; then entries; then room                                    |
 *
 * An entry:
 *
 * | bytes   | what                                                                                          |
 * |---------|-----------------------------------------------------------------------------------------------|
 * | 1       | bits 0-1, the id: 0 same ms, seq + 1; 1 same ms, step of seq follows; 2 step of ms follows,   |
 * |         | seq is 0; 3 step of ms and seq follow. Bit 2: the fields have the page's names. Bit 3: the    |
 * |         | body lies outside. Bit 4: the entry is dead                                                   |
 * | 0 to 20 | varints as bits 0-1 say                                                                       |
 * |         | the body: with bit 2 a string for each name of the page; without, a varint n and n times a     |
 * |         | name and a value. With bit 3, the address of a struct blob (8 bytes) that holds the same       |
 *
 * A string: varint of 2 * size (+ 1: the bytes are an integer as in ds/element.h), and that many bytes. A varint: seven
 * bits a byte, low ones first, the top bit says that more follow.
 *
 * Threads: the owner of the heap changes pages, and only those with one reference. Others may read a page of which they
 * hold a reference.
 *
 * G1  first_id is the id of the entry at `first`, whatever that entry says of its own; each further id follows from the one
 *     before. Ids ascend, the last one is last_id.
 * G2  With count > 0 the entry at `first` and the last one are alive: who deletes the last entries of a stream may set its
 *     last id back, and add others. What lies between the names and `first` is not looked at any more.
 * G3  count <= capacity <= total; sizeof(struct log) <= first <= end <= page.size.
 * G4  Each body that lies outside, of a living entry, owns one reference of its blob; has_blobs says whether
 *     there may be one. */
#ifndef SKUA_DS_LOG_H
#define SKUA_DS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "ds/page.h"

#define LOG_BODY_MAX  1024 /* longer bodies lie outside */
#define LOG_NAMES_MAX 512  /* bytes of names at a page's head; when there would be more, none are kept */

/* When something happened, in milliseconds since 1970, and which of those that happened then. */
struct stream_id {
    uint64_t ms;
    uint64_t seq;
};

ALWAYS_INLINE int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

struct log {
    struct page page; /* first: P1 and P2 do not concern it */
    struct stream_id first_id;
    struct stream_id last_id;
    uint16_t total;
    uint16_t field_count;
    uint16_t first;
    uint16_t end;
};
_Static_assert(sizeof(struct log) == 56, "names follow the header");

ALWAYS_INLINE const struct log *log_of(const struct page *page)
{
    return (const struct log *)page;
}

/* An entry where it lies. Valid until its page changes. */
struct log_entry {
    const struct log *log;
    struct stream_id id;
    uint16_t offset;
    uint16_t body; /* offset */
    uint16_t next; /* offset behind it */
    uint8_t flags;
};

/* ---- Reading ----------------------------------------------------------------------------------------------- */

/* The first living entry. False: there is none. */
bool log_first(const struct page *page, struct log_entry *ret_entry);
/* The living entry behind `entry`. False: there is none, `entry` is as it was. */
bool log_next(struct log_entry *entry);

/* The fields of an entry, in order. Texts are valid until the next call, or until the page changes. */
struct log_fields {
    const uint8_t *names;  /* of the page; NULL: they stand with the values */
    const uint8_t *cursor; /* the next value, or the next name */
    uint64_t left;         /* pairs */
    uint64_t count;        /* pairs in all */
    struct blob *blob;     /* in which they lie; NULL: in the page */
    element_scratch scratch;
};

void log_fields_begin(struct log_fields *fields, const struct log_entry *entry);
bool log_fields_next(struct log_fields *fields, struct slice *ret_name, struct slice *ret_value);

/* ---- Changing: pages with one reference, by the heap's owner -------------------------------------------------- */

/* A page without entries. */
struct page *log_new(struct heap *heap);

/* What is to become an entry: its body is made once, and put into whichever page takes it. */
struct log_draft {
    struct stream_id id;
    const struct slice *pairs; /* name, value, name, value … */
    uint32_t pair_count;
};

/* A page with one entry, with room for about `size_wanted` bytes in all. NULL: there is no memory for an entry that lies
 * outside. */
struct page *log_begin(struct heap *heap, const struct log_draft *draft, size_t size_wanted);

enum log_outcome {
    LOG_APPENDED,
    LOG_FULL,  /* nothing has changed: it would be over size_max bytes */
    LOG_NOMEM, /* nothing has changed: there is no memory for an entry that lies outside */
};

/* Puts an entry, whose id is over last_id, behind the others. The page may be moved. */
enum log_outcome log_append(struct heap *heap, struct page **page, const struct log_draft *draft,
                            size_t size_max);

/* Takes a living entry out: it is dead from now on. May move the page to a smaller block when much of it is dead. */
void log_kill(struct heap *heap, struct page **page, const struct log_entry *entry);

/* Moves the page to the smallest block that holds it, for one that will not grow any more. */
void log_fit(struct heap *heap, struct page **page);

/* ---- What ds/page.h does to any page ---------------------------------------------------------------------------- */

struct page *log_clone(struct heap *heap, const struct page *page);
/* Drops the bodies that lie outside. */
void log_drop_blobs(const struct page *page);
size_t log_used(const struct page *page);
size_t log_memory(const struct page *page);
/* Asserts G1 to G4. */
void log_check(const struct page *page);

#endif
