/* How far groups have come. Entry: stream_progress_advance, stream_progress_lag. Threads: see stream_progress.h. */
#include "types/stream_progress.h"

/* Whether an entry from `id` on may have been deleted by name, and not only cut off at the beginning. */
static bool may_have_gap(const struct stream *stream, struct stream_id id)
{
    if (stream_id_is_zero(stream->max_deleted_id) || stream_length(stream) == 0)
        return false;
    return stream_id_compare(id, stream->max_deleted_id) <= 0 &&
           stream_id_compare(stream_first_id(stream), stream->max_deleted_id) <= 0;
}

/* How many entries have ever been added up to `id`; STREAM_READ_UNKNOWN where that does not follow from the ends. */
static int64_t entries_up_to(const struct stream *stream, struct stream_id id)
{
    int64_t added = (int64_t)stream->entries_added, length = (int64_t)stream_length(stream);
    int to_last = stream_id_compare(id, stream->last_id);
    if (added == 0)
        return 0;
    if (to_last == 0 || (length == 0 && to_last < 0))
        return added;
    if (to_last > 0 || length == 0)
        return STREAM_READ_UNKNOWN;
    struct stream_id first = stream_first_id(stream);
    bool is_whole =
        stream_id_is_zero(stream->max_deleted_id) || stream_id_compare(stream->max_deleted_id, first) < 0;
    int to_first = stream_id_compare(id, first);
    if (!is_whole || to_first > 0)
        return STREAM_READ_UNKNOWN;
    return to_first < 0 ? added - length : added - length + 1;
}

/* Whether entries behind the last one that the group has got may have been cut off the beginning. */
static bool may_be_cut_off(const struct stream *stream, const struct stream_group *group)
{
    return stream_length(stream) > 0 && stream_id_compare(group->last_id, stream_first_id(stream)) < 0;
}

void stream_progress_advance(const struct stream *stream, struct stream_group *group, struct stream_id id)
{
    if (group->entries_read != STREAM_READ_UNKNOWN && !may_have_gap(stream, group->last_id) &&
        !may_be_cut_off(stream, group))
        group->entries_read += group->entries_read < STREAM_ADDED_MAX;
    else if (stream->entries_added > 0)
        group->entries_read = entries_up_to(stream, id);
    group->last_id = id;
}

bool stream_progress_lag(const struct stream *stream, const struct stream_group *group, int64_t *ret_lag)
{
    int64_t read = group->entries_read;
    if (stream->entries_added == 0)
        read = 0;
    else if (read == STREAM_READ_UNKNOWN || may_have_gap(stream, group->last_id))
        read = entries_up_to(stream, group->last_id);
    if (read == STREAM_READ_UNKNOWN)
        return false;
    *ret_lag = (int64_t)stream->entries_added - read;
    return true;
}
