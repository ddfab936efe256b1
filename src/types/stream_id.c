/* Reading and writing stream ids. Entry: stream_id_parse. Threads: any. */
#include "types/stream_id.h"

#include <string.h>

#include "base/num.h"

/* Decimal digits and nothing else. */
static bool parse_number(struct slice text, uint64_t *ret_value)
{
    /* Signs are no digits; numbers of the usual parser have no leading zeros, ids may. */
    uint64_t value = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool stream_id_parse_partly(struct slice text, uint64_t seq_absent, struct stream_id *ret_id,
                            bool *ret_any_seq)
{
    struct stream_id id = {0, seq_absent};
    const char *dash = text.size > 0 ? memchr(text.data, '-', text.size) : NULL;
    size_t ms_size = dash != NULL ? (size_t)(dash - text.data) : text.size;
    bool any_seq = false;
    if (!parse_number(slice_make(text.data, ms_size), &id.ms))
        return false;
    if (dash != NULL) {
        struct slice seq = slice_make(dash + 1, text.size - ms_size - 1);
        any_seq = seq.size == 1 && seq.data[0] == '*';
        id.seq = 0;
        if (!any_seq && !parse_number(seq, &id.seq))
            return false;
    }
    *ret_id = id;
    *ret_any_seq = any_seq;
    return true;
}

bool stream_id_parse(struct slice text, uint64_t seq_absent, struct stream_id *ret_id)
{
    struct stream_id id;
    bool any_seq;
    if (!stream_id_parse_partly(text, seq_absent, &id, &any_seq) || any_seq)
        return false;
    *ret_id = id;
    return true;
}

size_t stream_id_format(struct stream_id id, stream_id_text ret_text)
{
    size_t size = num_format_u64(id.ms, ret_text);
    ret_text[size++] = '-';
    return size + num_format_u64(id.seq, ret_text + size);
}

bool stream_id_increment(struct stream_id *id)
{
    if (id->seq == UINT64_MAX) {
        if (id->ms == UINT64_MAX)
            return false;
        id->ms++;
    }
    id->seq++; /* over the greatest is zero */
    return true;
}

bool stream_id_decrement(struct stream_id *id)
{
    if (id->seq == 0) {
        if (id->ms == 0)
            return false;
        id->ms--;
    }
    id->seq--;
    return true;
}
