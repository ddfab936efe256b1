/* What the commands of streams share: keys, ids, and how entries are shown. Executor only. */
#ifndef SKUA_CMD_STREAM_H
#define SKUA_CMD_STREAM_H

#include "exec/call.h"
#include "types/stream.h"

/* ---- Keys and options ------------------------------------------------------------------------------------------ */

/* Looks a stream up to read it, or to change it (by stream_change, once it is clear that there is something to change).
 * Answers WRONGTYPE and returns false when the key holds another type; true with *ret_stream NULL when it does not exist. */
bool stream_read_key(struct call *call, struct slice name, struct key *ret_key,
                     const struct stream **ret_stream);
bool stream_write_key(struct call *call, struct slice name, struct key *ret_key,
                      const struct stream **ret_stream);

/* Gives back what stream_ref holds. */
void stream_unref(struct call *call, const struct stream *stream);

/* The options stream-node-max-bytes and stream-node-max-entries. */
struct stream_limits stream_limits(const struct call *call);

/* Says that there is something new to read in a stream that has been there: who waits will be served after the command.
 * (call_store does so for new keys.) */
void stream_announce(struct call *call, const struct key *key);

/* The streams that XREAD and XREADGROUP name: as many ids as keys, as they were written. */
struct stream_choice {
    const struct slice *keys;
    const struct slice *ids;
    uint32_t count;
};

/* The words behind STREAMS. `command` and `sign` stand in the error. False after one. */
bool stream_parse_choice(struct call *call, const struct slice *words, uint32_t count, const char *command,
                         char sign, struct stream_choice *ret_streams);
/* The number behind COUNT: 0 and less mean all. False after an error. */
bool stream_parse_count(struct call *call, struct slice word, uint64_t *ret_count_max);

/* ---- Ids -------------------------------------------------------------------------------------------------------- */

void stream_invalid_id(struct call *call); /* ERR Invalid stream ID specified as stream command argument */

/* An id of an argument, "ms-seq" or "ms" alone, whose seq is then `seq_absent`. False after an error. */
bool stream_parse_id(struct call *call, struct slice text, uint64_t seq_absent, struct stream_id *ret_id);

/* The first or (`is_end`) the last id of a range: an id as above, "-", "+", or "(" before an id that is not part of the
 * range. False after an error. */
bool stream_parse_bound(struct call *call, struct slice text, bool is_end, struct stream_id *ret_id);

/* ---- Answers ------------------------------------------------------------------------------------------------------ */

void stream_reply_id(struct reply *out, struct stream_id id);

/* An array of id and fields. */
void stream_reply_entry(struct call *call, const struct log_entry *entry);

/* A range of a stream, in either direction. */
struct stream_range {
    struct stream_id first; /* first <= last, whatever the direction */
    struct stream_id last;
    uint64_t count_max;
    bool backwards;
};

/* An array of the entries of a range, with pauses: the stream must be held. False: the command is to end. */
bool stream_reply_range(struct call *call, const struct stream *stream, const struct stream_range *range);

#endif
