/* Answers with stored values. Entry: value_reply_bytes, value_reply_element. Threads: see value.h. */
#include "exec/value.h"

_Static_assert(ELEMENT_BYTES_MAX < VALUE_PINNED_MIN, "only blobs are long");

void value_reply_element_slow(struct reply *reply, struct element element)
{
    element_scratch scratch;
    struct slice text = element_text(element, scratch);
    if (unlikely(text.size >= VALUE_PINNED_MIN)) {
        element_ref(element);
        reply_bulk_pinned(reply, text, blob_unref, element_blob(element));
        return;
    }
    reply_bulk(reply, text);
}
