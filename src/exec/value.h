/* Answers with stored values: those that are long are not copied.
 *
 * Principal entry points: value_reply_bytes, value_reply_element.
 * Threads: the executor; others for what they may look at (exec/direct.h). */
#ifndef SKUA_EXEC_VALUE_H
#define SKUA_EXEC_VALUE_H

#include "ds/element.h"
#include "keyspace/entry.h"
#include "protocol/reply.h"

/* From this size on a string travels to the socket by reference instead of being copied into the reply. */
#define VALUE_PINNED_MIN ENTRY_INLINE_MAX

/* Answers with bytes, as a bulk string. `large`: the string that they are a part of; NULL: they are to be copied. */
ALWAYS_INLINE void value_reply_bytes(struct reply *reply, struct slice bytes, struct large_string *large)
{
    if (unlikely(large != NULL && bytes.size >= VALUE_PINNED_MIN))
        reply_bulk_pinned(reply, bytes, large_string_unref, large_string_ref(large));
    else
        reply_bulk(reply, bytes);
}

void value_reply_element_slow(struct reply *reply, struct element element);

/* Answers with an element as a bulk string. */
ALWAYS_INLINE void value_reply_element(struct reply *reply, struct element element)
{
    if (likely(element.kind == ELEMENT_BYTES))
        reply_bulk(reply, slice_make(element.data, element.size));
    else
        value_reply_element_slow(reply, element);
}

#endif
