/* Streams: entries of named strings under ascending ids.
 *
 * Principal entry points: stream_of, stream_change, stream_append, stream_seek, stream_step, stream_trim.
 * A stream is an object (keyspace/entry.h): a tree whose leaves are log pages (ds/log.h), and a few numbers. Its entry in
 * the keyspace holds one reference of it. A snapshot is another reference (stream_ref): whoever changes the stream
 * afterwards gets a stream of its own from stream_change, which shares the tree and the groups with the one that is held.
 * A stream may be empty.
 * Knows trees, pages and entries, nothing of clients, commands and replies.
 * Threads: the executor; reading a snapshot, any.
 *
 * S1  The tree's rows are the living entries. No leaf is without any, except the only one of an empty stream.
 * S2  Every id in the tree is at most last_id; the tree orders leaves by the ids of their first entries.
 * S3  What is reachable through a stream with refs > 1 does not change. */
#ifndef SKUA_TYPES_STREAM_H
#define SKUA_TYPES_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "ds/log.h"
#include "ds/tree.h"
#include "keyspace/keyspace.h"
#include "types/stream_id.h"

struct stream_groups; /* types/stream_group.h */

/* Clients may set counts of entries that were added or read, so that they are near their end: there they stay. */
#define STREAM_ADDED_MAX INT64_MAX

struct stream {
    struct object object;
    struct tree entries;
    struct stream_id last_id;        /* the greatest there ever was */
    struct stream_id max_deleted_id; /* the greatest that was deleted by name; zero: none */
    uint64_t entries_added;          /* ever; no more than STREAM_ADDED_MAX */
    struct stream_groups *groups;    /* NULL: none. Owned, by the rules of stream_group.h */
};

/* How large leaves become: the options stream-node-max-bytes and stream-node-max-entries; 0: as large as a page can be. */
struct stream_limits {
    uint64_t node_bytes;
    uint64_t node_entries;
};

/* ---- Streams in the keyspace ---------------------------------------------------------------------------------- */

/* An empty stream with one reference, to go into an entry with entry_new_object(…, ENTRY_STREAM, &stream->object, …), or
 * to be given back with keyspace_release_object. */
struct stream *stream_new(struct heap *heap);

/* The stream of an entry of type ENTRY_STREAM, to be read. */
ALWAYS_INLINE const struct stream *stream_of(const struct entry *entry)
{
    return (const struct stream *)entry_object(entry);
}

/* The same to be changed: when somebody else holds it (S3), the entry gets a stream of its own, first. Valid until the
 * key changes in another way. */
struct stream *stream_change(struct keyspace *keyspace, struct entry *entry);

/* A stream of its own with what `stream` is now, which shares everything with it: to be changed in many steps, of which
 * nobody sees anything, and then put in its place by stream_exchange; or given back as any object. */
struct stream *stream_draft(struct heap *heap, const struct stream *stream);

/* Puts a draft in the place of the entry's stream, which is given up. */
void stream_exchange(struct keyspace *keyspace, struct entry *entry, struct stream *draft);

/* Another holder of what the stream is now, to be given back with keyspace_release_object(…, &stream->object). */
ALWAYS_INLINE const struct stream *stream_ref(const struct stream *stream)
{
    ((struct stream *)stream)->object.refs++;
    return stream;
}

/* ---- Reading -------------------------------------------------------------------------------------------------- */

ALWAYS_INLINE uint64_t stream_length(const struct stream *stream)
{
    return tree_rows(&stream->entries);
}

/* About how many entries lie behind an id: none of them is left out, some of one leaf may be too many. */
uint64_t stream_count_after(const struct stream *stream, struct stream_id id);

/* The ids of the first and the last entry that is there; zero when there is none. */
struct stream_id stream_first_id(const struct stream *stream);
struct stream_id stream_end_id(const struct stream *stream);

#define STREAM_BACK_STEPS 64

/* The leaf at whose end an entry is put. */
const struct page *stream_last_leaf(const struct stream *stream);

/* A walk over entries, in either direction. Valid until the stream changes; a walk over a stream that is held
 * (stream_ref) is valid as long as that. */
struct stream_cursor {
    const struct tree *entries;
    struct log_entry entry; /* where it stands: entry.id; the fields by log_fields_begin */
    bool backwards;
    unsigned behind; /* backwards: how many of `before`, a ring, are still to come */
    unsigned newest; /* where in the ring the one behind the next lies */
    struct tree_place place;
    struct log_entry before[STREAM_BACK_STEPS]; /* backwards: entries in front of the one where it stands */
};

/* Begins at the first entry from `from` on, that one included; backwards, at the last one up to `from`. False: there is
 * none. */
bool stream_seek(struct stream_cursor *cursor, const struct stream *stream, struct stream_id from,
                 bool backwards);

/* Goes to the next entry in the walk's direction. False: there is none. */
bool stream_step(struct stream_cursor *cursor);

/* The entry of an id. False: it is not there. */
bool stream_find(const struct stream *stream, struct stream_id id, struct log_entry *ret_entry);

/* ---- Changing: streams that stream_new or stream_change gave ---------------------------------------------------- */

/* Puts an entry at the end, whose id must be over last_id. False: there is no memory for it, nothing has changed. */
bool stream_append(struct stream *stream, const struct log_draft *draft, const struct stream_limits *limits);

/* Takes an entry out and moves max_deleted_id up. False: it is not there. */
bool stream_remove(struct stream *stream, struct stream_id id);

/* Which entries are cut off at the stream's beginning. */
struct stream_trim {
    enum { STREAM_TRIM_LENGTH, STREAM_TRIM_ID } by;
    bool whole_nodes;    /* "~": only leaves of which nothing is to stay */
    uint64_t length;     /* so many stay */
    struct stream_id id; /* what is less goes */
    uint64_t limit;      /* no more than about so many go; 0: no limit */
};

/* Returns how many entries have gone. However many they are, it is the work of a few pages: what they consist of is freed
 * later by the keyspace. */
uint64_t stream_trim(struct keyspace *keyspace, struct stream *stream, const struct stream_trim *trim);

/* Asserts S1 and S2, and the invariants of what it consists of. For tests and debug builds. */
void stream_check(const struct stream *stream);

#endif
