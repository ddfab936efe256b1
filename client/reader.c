/* The reader's buffer, limits and errors. What the bytes mean is in reader_item.c and reader_tree.c.
 *
 * Principal entry points: skua_reader_new, skua_reader_reserve, skua_reader_commit, skua_reader_wanted.
 * Threads and invariants: see reader.h.
 *
 * The buffer grows by doubling, but never beyond what is known to be needed when more than that was not asked for:
 * a string of 512 MB ends in a buffer of 512 MB, and what a server announces costs nothing until it arrives. Bytes are
 * moved to the front only when at least as many were used up before them, so that moving costs no more than reading. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "client/memory.h"
#include "client/reader.h"

#define STRING_MAX_DEFAULT  ((size_t)512 << 20)
#define ELEMENT_MAX_DEFAULT ((size_t)1 << 28)
#define REPLY_MAX_DEFAULT   ((uint64_t)4 << 30)
#define DEPTH_MAX_DEFAULT   32u

#define LENGTH_MAX (SIZE_MAX / 4) /* so that sums of a few lengths do not overflow */

#define CAPACITY_MIN  ((size_t)16 << 10)
#define CAPACITY_KEPT ((size_t)4 << 20) /* an empty buffer above this is given back */

static size_t at_most(size_t value, size_t max)
{
    return value < max ? value : max;
}

static void set_limits(struct skua_limits *limits, const struct skua_limits *given)
{
    *limits = given != NULL ? *given : (struct skua_limits){0};
    if (limits->string_max == 0)
        limits->string_max = STRING_MAX_DEFAULT;
    if (limits->element_max == 0)
        limits->element_max = ELEMENT_MAX_DEFAULT;
    if (limits->reply_max == 0)
        limits->reply_max = REPLY_MAX_DEFAULT < SIZE_MAX ? (size_t)REPLY_MAX_DEFAULT : SIZE_MAX;
    if (limits->depth_max == 0)
        limits->depth_max = DEPTH_MAX_DEFAULT;
    if (limits->depth_max > SKUA_DEPTH_MAX)
        limits->depth_max = SKUA_DEPTH_MAX;
    limits->string_max = at_most(limits->string_max, LENGTH_MAX);
    limits->element_max = at_most(limits->element_max, LENGTH_MAX);
    limits->reply_max = at_most(limits->reply_max, LENGTH_MAX);
}

struct skua_reader *skua_reader_new(const struct skua_limits *limits, const struct skua_allocator *allocator)
{
    struct skua_allocator chosen;
    if (!client_allocator_set(&chosen, allocator))
        return NULL;
    struct skua_reader *reader = client_allocate_zero(&chosen, 1, sizeof(*reader));
    if (reader == NULL)
        return NULL;
    reader->allocator = chosen;
    reader->need = 1;
    set_limits(&reader->limits, limits);
    return reader;
}

void skua_reader_free(struct skua_reader *reader)
{
    if (reader == NULL)
        return;
    struct skua_allocator allocator = reader->allocator;
    client_release(&allocator, reader->buffer);
    client_release(&allocator, reader);
}

void skua_reader_reset(struct skua_reader *reader)
{
    reader->state = READER_ITEMS;
    reader->depth = 0;
    reader->start = reader->at = reader->end = 0;
    reader->need = 1;
    reader->used = 0;
    reader->status = SKUA_OK;
    reader->error[0] = '\0';
    reader_trim(reader);
}

void reader_trim(struct skua_reader *reader)
{
    if (reader_kept_from(reader) < reader->end)
        return;
    reader->start = reader->at = reader->end = 0;
    if (reader->capacity <= CAPACITY_KEPT)
        return;
    client_release(&reader->allocator, reader->buffer);
    reader->buffer = NULL;
    reader->capacity = 0;
}

/* ---- Bytes in --------------------------------------------------------------------------------------------- */

/* The kept bytes, buffer[from .. end), are at the front of the buffer now. */
static void renumber(struct skua_reader *reader, size_t from)
{
    reader->at -= from;
    reader->end -= from;
    reader->start = 0;
}

/* To a block of `capacity` bytes. */
static enum skua_status move_to(struct skua_reader *reader, size_t from, size_t capacity)
{
    char *buffer = from == 0 ? client_resize(&reader->allocator, reader->buffer, capacity)
                             : client_allocate(&reader->allocator, capacity);
    if (buffer == NULL)
        return SKUA_ERR_MEMORY;
    if (from > 0) {
        memcpy(buffer, reader->buffer + from, reader->end - from);
        client_release(&reader->allocator, reader->buffer);
    }
    reader->buffer = buffer;
    reader->capacity = capacity;
    renumber(reader, from);
    return SKUA_OK;
}

/* Makes room for `size` bytes behind `end`, which there is not. */
static enum skua_status make_room(struct skua_reader *reader, size_t size)
{
    size_t from = reader_kept_from(reader);
    size_t kept = reader->end - from;
    size_t least;
    if (__builtin_add_overflow(kept, size, &least))
        return SKUA_ERR_MEMORY;
    if (least <= reader->capacity && kept <= from) {
        memcpy(reader->buffer, reader->buffer + from, kept);
        renumber(reader, from);
        return SKUA_OK;
    }
    size_t capacity = reader->capacity <= SIZE_MAX / 2 ? reader->capacity * 2 : SIZE_MAX;
    /* Exactly for a long item, when that is at least as long as all before it: so the steps stay long enough. */
    size_t before = reader->at - from;
    size_t needed = before + reader->need;
    if (reader->need >= before && needed >= least && needed < capacity)
        capacity = needed;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    if (capacity < least)
        capacity = least;
    return move_to(reader, from, capacity);
}

enum skua_status skua_reader_reserve(struct skua_reader *reader, size_t size, char **ret_space,
                                     size_t *ret_capacity)
{
    if (reader->state == READER_FAILED)
        return reader->status;
    if (size == 0)
        size = 1;
    reader_trim(reader);
    if (reader->capacity - reader->end < size) {
        enum skua_status status = make_room(reader, size);
        if (status != SKUA_OK)
            return status;
    }
    *ret_space = reader->buffer + reader->end;
    *ret_capacity = reader->capacity - reader->end;
    return SKUA_OK;
}

void skua_reader_commit(struct skua_reader *reader, size_t size)
{
    size_t space = reader->capacity - reader->end;
    reader->end += size < space ? size : space;
}

enum skua_status skua_reader_feed(struct skua_reader *reader, const void *bytes, size_t size)
{
    char *space;
    size_t capacity;
    enum skua_status status = skua_reader_reserve(reader, size, &space, &capacity);
    if (status != SKUA_OK)
        return status;
    if (size > 0)
        memcpy(space, bytes, size);
    skua_reader_commit(reader, size);
    return SKUA_OK;
}

/* ---- Questions -------------------------------------------------------------------------------------------- */

size_t skua_reader_wanted(const struct skua_reader *reader)
{
    size_t pending = reader->end - reader->at;
    return reader->need > pending ? reader->need - pending : 1;
}

size_t skua_reader_pending(const struct skua_reader *reader)
{
    return reader->end - reader_kept_from(reader);
}

void skua_reader_set_parts(struct skua_reader *reader, bool on)
{
    reader->parts = on;
    if (reader->state != READER_FAILED)
        reader->need = 1; /* what is wanted next depends on it */
}

const char *skua_reader_error(const struct skua_reader *reader)
{
    return reader->error;
}

enum skua_status reader_fail(struct skua_reader *reader, enum skua_status status, size_t offset,
                             const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(reader->error, sizeof(reader->error), format, values);
    va_end(values);
    if (length >= 0 && (size_t)length < sizeof(reader->error))
        snprintf(reader->error + length, sizeof(reader->error) - (size_t)length, ", at byte %zu of the reply",
                 reader->used + offset);
    reader->state = READER_FAILED;
    reader->status = status;
    return status;
}
