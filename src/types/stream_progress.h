/* How far a group has come in its stream: entries read, and entries still to be read (the lag).
 *
 * Principal entry points: stream_progress_advance, stream_progress_lag.
 * A stream counts every entry ever added, a group counts those up to its last id. Where entries may have been deleted
 * from the middle of what a group has before it, nobody can tell how many there were, and the answer is that it is not
 * known.
 * Threads: the executor; reading a snapshot, any. */
#ifndef SKUA_TYPES_STREAM_PROGRESS_H
#define SKUA_TYPES_STREAM_PROGRESS_H

#include "types/stream.h"
#include "types/stream_group.h"

/* The group has read up to the entry of this id, which is behind its last_id: sets last_id and entries_read. */
void stream_progress_advance(const struct stream *stream, struct stream_group *group, struct stream_id id);

/* How many entries the group has before it. False: it is not known. */
bool stream_progress_lag(const struct stream *stream, const struct stream_group *group, int64_t *ret_lag);

#endif
