/* What the commands of consumer groups share: finding a group, changing it, reading ids, answering with entries.
 * Executor only. */
#ifndef SKUA_CMD_STREAM_GROUP_H
#define SKUA_CMD_STREAM_GROUP_H

#include "exec/call.h"
#include "types/stream.h"
#include "types/stream_group.h"

/* A group in hand. `stream` and `group` are to be read until stream_group_change. */
struct group_view {
    struct key key;
    const struct stream *stream;      /* NULL: no such key */
    const struct stream_group *group; /* NULL: no such group */
};

/* Looks a key and a group up. False after WRONGTYPE. With `writes` nothing is counted. */
bool group_lookup(struct call *call, struct slice name, struct slice group, bool writes,
                  struct group_view *ret_view);

/* The group, which must be there, to be changed: nobody else holds it, nor its stream. */
struct stream_group *group_change(struct call *call, struct group_view *view);

/* The consumer of the name to be changed, who has been seen now; one that is new makes its event.
 * NULL: there is no memory for its name. */
struct stream_consumer *group_meet_consumer(struct call *call, struct group_view *view,
                                            struct stream_group *group, struct slice name);

/* Says that a group has changed: the dirty count and, unless it is NULL, the event. Clients that watch the key are not
 * concerned: what the stream holds is what it was. */
void group_changed(struct call *call, struct slice key, const char *event);

/* A key or a group in an error, as long as it is: two arguments for "%.*s". The whole error has its own limit. */
#define GROUP_SHOWN(word) (int)((word).size < REPLY_ERROR_MAX ? (word).size : REPLY_ERROR_MAX), (word).data

/* NOGROUP: the answer of most commands, and that of XINFO and XGROUP. */
void group_missing(struct call *call, struct slice key, struct slice group);
void group_not_in_key(struct call *call, struct slice key, struct slice group);

#endif
