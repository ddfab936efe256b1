/* What the commands of consumer groups share: finding a group, changing it, reading ids, answering with entries.
 *
 * A change of many steps is made in a draft: a stream of the command's own, which shares everything with the key's. Nobody
 * sees anything of it until it takes the key's place (group_publish), so the command may pause between its steps; the key
 * is held meanwhile (exec/hold.h).
 * Executor only. */
#ifndef SKUA_CMD_STREAM_GROUP_H
#define SKUA_CMD_STREAM_GROUP_H

#include "exec/call.h"
#include "types/stream.h"
#include "types/stream_group.h"

/* Changes of fewer entries than this are made in place, in one go. */
#define GROUP_DRAFT_MIN 512

/* A group in hand. `stream` and `group` are to be read. */
struct group_view {
    struct key key;
    const struct stream *stream;      /* NULL: no such key */
    const struct stream_group *group; /* NULL: no such group */
    struct stream *draft;             /* NULL: what is changed is the key's */
    uint64_t changes;                 /* to be counted by group_publish */
    bool has_new_consumer;            /* whose event is to come */
    /* What is written into the log of changes, of commands that say so with group_write_…: effects, in the place of their words. */
    bool must_write;          /* since group_edit */
    bool writes_effects;      /* else the command's words */
    bool consumer_is_written; /* a request that makes the new consumer is among them */
    struct propagate_draft effects;
};

/* Looks a key and a group up. False after WRONGTYPE. With `writes` nothing is counted. */
bool group_lookup(struct call *call, struct slice name, struct slice group, bool writes,
                  struct group_view *ret_view);

/* The group, which must be there, to be changed: nobody else holds it, nor its stream. */
struct stream_group *group_change(struct call *call, struct group_view *view);

/* The same for about `steps` changes: when they are many and the command may pause, in a draft. When they are not, it does
 * not pause any more. What follows is group_publish, or group_drop. */
struct stream_group *group_edit(struct call *call, struct group_view *view, uint64_t steps);

/* Ends group_edit: what has been done is what the key holds, and is counted and told. */
void group_publish(struct call *call, struct group_view *view);

/* Ends group_edit before its end: a draft has had no effect. */
void group_drop(struct call *call, struct group_view *view);

/* The consumer of the name to be changed, who has been seen now; one that is new makes its event, by group_publish.
 * NULL: there is no memory for its name. */
struct stream_consumer *group_meet_consumer(struct call *call, struct group_view *view,
                                            struct stream_group *group, struct slice name);

/* Has written: that an entry has got what `pending` says (or, when it is not in the stream any more, that it is forgotten).
 * `word` is the id as the client has written it; data NULL: it has not. */
void group_write_claim(struct call *call, struct group_view *view, struct slice consumer, struct slice word,
                       const struct stream_pending *pending);

/* Has written how far the group has read. */
void group_write_progress(struct call *call, struct group_view *view);

/* Has the consumer written, when it is new and no claim that was written makes it. */
void group_write_consumer(struct call *call, struct group_view *view, struct slice consumer);

/* Says that a group has changed: the dirty count and, unless it is NULL, the event. Clients that watch the key are not
 * concerned: what the stream holds is what it was. */
void group_changed(struct call *call, struct slice key, const char *event);

/* A key or a group in an error, as long as it is: two arguments for "%.*s". The whole error has its own limit. */
#define GROUP_SHOWN(word) (int)((word).size < REPLY_ERROR_MAX ? (word).size : REPLY_ERROR_MAX), (word).data

/* NOGROUP: the answer of most commands, and that of XINFO and XGROUP. */
void group_missing(struct call *call, struct slice key, struct slice group);
void group_not_in_key(struct call *call, struct slice key, struct slice group);

#endif
