/* Watched keys: which transactions must fail because a key has changed (WATCH).
 *
 * Principal entry points: watch_add, watch_remove_all, watch_touch, watch_touch_db.
 * Threads: executor only.
 *
 * W1  A key is in the table while at least one client watches it; a client's watches are listed at the client.
 * W2  With nobody watching, a change costs one comparison (watch_touch). */
#ifndef SKUA_EXEC_WATCH_H
#define SKUA_EXEC_WATCH_H

#include <stdbool.h>

#include "ds/table.h"
#include "exec/client.h"
#include "keyspace/keyspace.h"

struct watch_table {
    struct exec *exec;
    struct table keys; /* struct watched_key */
    uint64_t clients;  /* that watch some */
};

struct watch_table *watch_table_new(struct exec *exec);
void watch_table_free(struct watch_table *watch);

/* False when memory is refused. Watching a key twice is once. */
bool watch_add(struct watch_table *watch, struct client *client, struct db *db, struct slice key);
void watch_remove_all(struct watch_table *watch, struct client *client);

/* A key that the client watches has expired since: its EXEC must fail. */
bool watch_any_expired(struct watch_table *watch, struct client *client);

/* Number of keys that the client watches. */
uint32_t watch_count(const struct client *client);

void watch_touch_slow(struct watch_table *watch, const struct db *db, struct slice key);

static inline void watch_touch(struct watch_table *watch, const struct db *db, struct slice key)
{
    if (unlikely(table_size(&watch->keys) != 0))
        watch_touch_slow(watch, db, key);
}

/* Before a database is emptied (`replaced_with` NULL) or its contents are exchanged: touches every watched key of
 * `emptied` that exists in either, unless it was past its time when it was watched and what takes its place is so as well. */
void watch_touch_db(struct watch_table *watch, struct db *emptied, struct db *replaced_with);

#endif
