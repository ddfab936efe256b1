/* Keys that long commands hold (exec/sliced.h), and the clients that wait to write to them.
 *
 * Principal entry points: hold_take, hold_release, hold_must_wait.
 * A long command that writes holds the keys that it will write, and those that it reads. Whoever wants to write to such a
 * key waits, in the order of coming; whoever only reads it does not. Another long command that holds keys also waits before
 * it reads a key that will be written.
 *
 * H1  A key is in the table while a long command holds it. At most one holds it to write; nobody else holds it then.
 * H2  Waiting clients are CLIENT_PAUSED: their request is executed again, from its checks on, when what they wait for has
 *     been released, before any request that came later.
 * H3  Keys are held by name, in all databases: commands that name two databases need no rule of their own.
 * H4  What is held does not expire, is not evicted, and is not given to clients that are blocked on it; whoever reads a
 *     held key past its time does not see it. Fields of a held hash do expire: a hash is read after a pause only from rows
 *     that were kept, or by a lookup of its own (SORT).
 * H5  While a client waits for a key nobody else begins to hold it, so its turn comes.
 * H6  A command that reads keys which only its data name (SORT with BY or GET) holds all there are: whoever writes to
 *     anything waits. It has begun when no key had a writer.
 * Threads: executor only. */
#ifndef SKUA_EXEC_HOLD_H
#define SKUA_EXEC_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "ds/table.h"

struct client;
struct command;
struct exec;
struct held_key;

struct hold_table {
    struct exec *exec;
    struct table keys;          /* struct held_key */
    uint32_t writer_count;      /* keys with a writer */
    uint32_t everything_count;  /* commands that hold all keys there are (H6) */
    struct list_node everyone;  /* clients that wait until nothing is held: FLUSHALL and the like */
    bool somebody_was_left_out; /* of being served what it was blocked on (H4) */
};

void hold_table_init(struct hold_table *table, struct exec *exec);
void hold_table_done(struct hold_table *table);

/* What a command is going to do with the keys that it holds. */
enum hold_scope {
    HOLD_READS,      /* it reads its keys where they are */
    HOLD_WRITES,     /* it will write to some of them */
    HOLD_EVERYTHING, /* it reads others as well: H6 */
};

/* Whether a command may hold its keys now: NULL; or the list in which its client is to wait (H2). */
struct list_node *hold_obstacle(struct hold_table *table, const struct command *command,
                                const struct slice *argv, uint32_t argc, enum hold_scope scope);

/* Holds the keys of a command. Returns them and how many; to be given to hold_release. NULL when memory is refused. There
 * is no obstacle. */
struct held_key **hold_take(struct hold_table *table, const struct command *command, const struct slice *argv,
                            uint32_t argc, enum hold_scope scope, uint32_t *ret_count);

/* Ends the holding and lets those go on who waited. */
void hold_release(struct hold_table *table, struct held_key **keys, uint32_t count, enum hold_scope scope);

/* Whether any key is held. */
static inline bool hold_is_any(const struct hold_table *table)
{
    return table_size(&table->keys) > 0 || table->everything_count > 0;
}

bool hold_must_wait_slow(struct hold_table *table, struct client *client, const struct command *command,
                         const struct slice *argv, uint32_t argc);

/* Whether a request must wait for keys that are held. When it must, the client has been made to (H2). */
static inline bool hold_must_wait(struct hold_table *table, struct client *client,
                                  const struct command *command, const struct slice *argv, uint32_t argc)
{
    return unlikely(hold_is_any(table)) && hold_must_wait_slow(table, client, command, argv, argc);
}

bool hold_conflicts_slow(const struct hold_table *table, const struct command *command,
                         const struct slice *argv, uint32_t argc);

/* As hold_must_wait, without making anybody wait. */
static inline bool hold_conflicts(const struct hold_table *table, const struct command *command,
                                  const struct slice *argv, uint32_t argc)
{
    return unlikely(hold_is_any(table)) && hold_conflicts_slow(table, command, argv, argc);
}

bool hold_has_slow(const struct hold_table *table, struct slice name);

/* Whether anybody holds the key. */
static inline bool hold_has(const struct hold_table *table, struct slice name)
{
    return unlikely(hold_is_any(table)) && hold_has_slow(table, name);
}

#endif
