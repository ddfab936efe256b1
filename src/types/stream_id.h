/* The ids of stream entries: reading, writing, and their neighbours. The struct and its order are in ds/log.h.
 *
 * Principal entry points: stream_id_parse, stream_id_parse_partly, stream_id_format.
 * Threads: any. */
#ifndef SKUA_TYPES_STREAM_ID_H
#define SKUA_TYPES_STREAM_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "ds/log.h"

#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

/* Two numbers of at most 20 digits, what stands between them, and a byte that num_format_u64 may need. */
#define STREAM_ID_TEXT_MAX 42
typedef char stream_id_text[STREAM_ID_TEXT_MAX];

ALWAYS_INLINE bool stream_id_equal(struct stream_id a, struct stream_id b)
{
    return a.ms == b.ms && a.seq == b.seq;
}

ALWAYS_INLINE bool stream_id_is_zero(struct stream_id id)
{
    return id.ms == 0 && id.seq == 0;
}

/* Reads "ms-seq", or "ms" alone, whose seq is then `seq_absent`. False: it is neither, or out of range; nothing is set. */
bool stream_id_parse(struct slice text, uint64_t seq_absent, struct stream_id *ret_id);

/* The same; "ms-*" is taken, too, and *ret_any_seq says so (seq is 0 then). */
bool stream_id_parse_partly(struct slice text, uint64_t seq_absent, struct stream_id *ret_id,
                            bool *ret_any_seq);

/* Writes "ms-seq" without a final zero. Returns its size. */
size_t stream_id_format(struct stream_id id, stream_id_text ret_text);

/* The next one up or down. False: there is none, nothing is set. */
bool stream_id_increment(struct stream_id *id);
bool stream_id_decrement(struct stream_id *id);

#endif
