/* Reading collections that are packed into one string: listpacks, ziplists, zipmaps, intsets.
 *
 * Principal entry points: packed_open, packed_next.
 * The bytes are not trusted: an item is handed out only when it lies within them and says of itself, of the one before
 * and of the whole what is true. Whoever has read up to ST_EOF has read a sound string; what was read before ST_INVALID
 * is to be thrown away.
 * Threads: any. */
#ifndef SKUA_RDB_PACKED_H
#define SKUA_RDB_PACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

enum packed_kind {
    PACKED_LISTPACK,
    PACKED_ZIPLIST, /* Redis up to 6.2 */
    PACKED_ZIPMAP,  /* Redis up to 2.4: fields and values in turns */
    PACKED_INTSET,  /* integers, ascending */
};

struct packed {
    enum packed_kind kind;
    const uint8_t *at, *end; /* what is not read yet; without the end mark */
    bool counted;            /* else the string does not say how many items it has */
    uint32_t left;           /* items, if counted */
    uint32_t width;          /* of an intset's integers, in bytes */
    size_t before;           /* bytes of a ziplist's item before; whether a zipmap's value comes next */
    const uint8_t *last;     /* where a ziplist says that its last item begins */
    int64_t number;          /* an intset's one before */
};

/* An integer, or bytes where the string has them. */
struct packed_item {
    bool is_int;
    int64_t number;
    struct slice text;
};

/* ST_INVALID: the frame is not sound. The bytes must stay as long as the reader. */
enum status packed_open(struct packed *packed, enum packed_kind kind, struct slice bytes);

/* ST_EOF: that was all, and it is sound. ST_INVALID: it is not. */
enum status packed_next(struct packed *packed, struct packed_item *ret_item);

#endif
