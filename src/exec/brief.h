/* What brief forms of commands may use (exec/dispatch.h, Z5): the first key, as its command would find it.
 *
 * Principal entry points: brief_find, brief_note_use, brief_note_read. A brief form answers by the same functions as its command does.
 * Threads: executor only. */
#ifndef SKUA_EXEC_BRIEF_H
#define SKUA_EXEC_BRIEF_H

#include "base/role.h"
#include "exec/call.h"

/* The entry of the call's first key: NULL when there is none, or something of it is at its time. */
ALWAYS_INLINE struct entry *brief_find(const struct call *call)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct slice name = call->argv[call->command->first_key];
    struct table_position position;
    struct entry *entry = db_locate(call->db, name, call->key_hash, &position);
    return likely(entry != NULL) && likely(!db_is_due(call->db, entry)) ? entry : NULL;
}

/* Of an entry that the brief form is about to look at, or to change: what call_write_key notes. */
ALWAYS_INLINE void brief_note_use(const struct call *call, struct entry *entry)
{
    struct keyspace *keyspace = call->exec->keyspace;
    if (unlikely(entry_clock(entry) != keyspace->use.fresh)) /* the client has no mode: CLIENT NO-TOUCH */
        use_touch(&keyspace->use, &keyspace->rng, entry);
}

/* The same: what call_read_key notes. */
ALWAYS_INLINE void brief_note_read(const struct call *call, struct entry *entry)
{
    call->exec->stats.keyspace_hits++;
    brief_note_use(call, entry);
    if (unlikely(call->exec->keyspace->has_readers) && call->command->direct != NULL)
        keyspace_note_read(call->exec->keyspace, entry);
}

#endif
