/* Keyspace notifications: tells subscribers what happened to a key, on two channels.
 *
 * Principal entry points: notify_publish, notify_parse, notify_format.
 * See also: pubsub.c.
 * Threads: executor only. */
#include "exec/notify.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/role.h"
#include "exec/exec.h"
#include "exec/pubsub.h"
#include "keyspace/keyspace.h"

/* In the order in which CONFIG GET shows them: what happened, then where it is published. */
static const struct {
    char letter;
    unsigned event_class;
} notify_letters[] = {
    {'g', NOTIFY_GENERIC},  {'$', NOTIFY_STRING},   {'l', NOTIFY_LIST},    {'s', NOTIFY_SET},
    {'h', NOTIFY_HASH},     {'z', NOTIFY_ZSET},     {'x', NOTIFY_EXPIRED}, {'e', NOTIFY_EVICTED},
    {'t', NOTIFY_STREAM},   {'d', NOTIFY_MODULE},   {'n', NOTIFY_NEW},     {'K', NOTIFY_KEYSPACE},
    {'E', NOTIFY_KEYEVENT}, {'m', NOTIFY_KEY_MISS},
};

/* The letter A: every class of events but the two that would surprise a listener of older servers. */
#define NOTIFY_ALL                                                                                           \
    (NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH | NOTIFY_ZSET |                 \
     NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_STREAM | NOTIFY_MODULE)

static unsigned class_of_letter(char letter)
{
    if (letter == 'A')
        return NOTIFY_ALL;
    for (size_t i = 0; i < ARRAY_COUNT(notify_letters); i++)
        if (notify_letters[i].letter == letter)
            return notify_letters[i].event_class;
    return 0;
}

bool notify_parse(struct slice letters, unsigned *ret_classes)
{
    unsigned classes = 0;
    for (size_t i = 0; i < letters.size; i++) {
        unsigned event_class = class_of_letter(letters.data[i]);
        if (!event_class)
            return false;
        classes |= event_class;
    }
    *ret_classes = classes;
    return true;
}

void notify_format(unsigned classes, struct buf *ret_letters)
{
    if ((classes & NOTIFY_ALL) == NOTIFY_ALL) {
        buf_append_char(ret_letters, 'A');
        classes &= ~(unsigned)NOTIFY_ALL;
    }
    for (size_t i = 0; i < ARRAY_COUNT(notify_letters); i++)
        if (classes & notify_letters[i].event_class)
            buf_append_char(ret_letters, notify_letters[i].letter);
}

/* ---- Publishing ----------------------------------------------------------------------------------- */

/* Publishes `message` on "__<prefix>@<db>__:<suffix>". A notification for which memory is refused is lost,
 * like one that a disconnected subscriber misses. */
static void publish_on(struct exec *exec, const char *prefix, const struct db *db, struct slice suffix,
                       struct slice message)
{
    char head[32];
    int head_size = snprintf(head, sizeof head, "__%s@%u__:", prefix, db->number);
    char small[512];
    size_t size = (size_t)head_size + suffix.size;
    char *name = size <= sizeof small ? small : mem_try_alloc(size);
    if (!name)
        return;
    memcpy(name, head, (size_t)head_size);
    if (suffix.size)
        memcpy(name + head_size, suffix.data, suffix.size);
    uint64_t receivers;
    (void)pubsub_publish(exec->pubsub, PUBSUB_CHANNEL, slice_make(name, size), message, &receivers);
    if (name != small)
        mem_free(name);
}

void notify_publish(struct exec *exec, unsigned event_class, const char *event, struct slice key,
                    const struct db *db)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    unsigned enabled = exec->notify_classes;
    if (likely(!(enabled & event_class)) || !pubsub_has_listeners(exec->pubsub))
        return;
    struct slice event_name = slice_from_string(event);
    if (enabled & NOTIFY_KEYSPACE)
        publish_on(exec, "keyspace", db, key, event_name);
    if (enabled & NOTIFY_KEYEVENT)
        publish_on(exec, "keyevent", db, event_name, key);
}
