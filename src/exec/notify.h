/* Keyspace notifications: classes, their letters, and publishing. Executor only. */
#ifndef SKUA_EXEC_NOTIFY_H
#define SKUA_EXEC_NOTIFY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

struct exec;
struct db;

enum notify_class {
    NOTIFY_KEYSPACE = 1 << 0,  /* K */
    NOTIFY_KEYEVENT = 1 << 1,  /* E */
    NOTIFY_GENERIC = 1 << 2,   /* g */
    NOTIFY_STRING = 1 << 3,    /* $ */
    NOTIFY_LIST = 1 << 4,      /* l */
    NOTIFY_SET = 1 << 5,       /* s */
    NOTIFY_HASH = 1 << 6,      /* h */
    NOTIFY_ZSET = 1 << 7,      /* z */
    NOTIFY_EXPIRED = 1 << 8,   /* x */
    NOTIFY_EVICTED = 1 << 9,   /* e */
    NOTIFY_STREAM = 1 << 10,   /* t */
    NOTIFY_KEY_MISS = 1 << 11, /* m: not part of A */
    NOTIFY_MODULE = 1 << 12,   /* d */
    NOTIFY_NEW = 1 << 13,      /* n: not part of A */
    NOTIFY_LOCAL = 1 << 14,    /* no letter: exec/local_keys.h wants to know of changes */
};

/* False when a letter is unknown. */
bool notify_parse(struct slice letters, unsigned *ret_classes);
void notify_format(unsigned classes, struct buf *ret_letters);

/* Publishes if the class is enabled. Cheap when it is not. */
void notify_publish(struct exec *exec, unsigned event_class, const char *event, struct slice key,
                    const struct db *db);

#endif
