/* What debug builds check while a server runs. Entry: check_written_keys, check_everything. Threads: executor only. */
#include "exec/check.h"

#ifdef SKUA_DEBUG

#include "base/bug.h"
#include "exec/block.h"
#include "exec/pubsub.h"
#include "exec/tracking.h"
#include "types/check.h"

#define CHECK_KEYS_MAX   64                /* of one command */
#define CHECK_MEMORY_MAX ((size_t)1 << 20) /* a larger keyspace is not checked as a whole */

void check_written_keys(const struct call *call)
{
    struct key_reference keys[CHECK_KEYS_MAX];
    if (!(call->command->flags & CMD_WRITE))
        return;
    int count = command_keys(call->command, call->argv, call->argc, keys, CHECK_KEYS_MAX);
    for (int i = 0; i < count && i < CHECK_KEYS_MAX; i++) {
        struct slice name = call->argv[keys[i].index];
        struct table_position position;
        struct entry *entry = db_locate(call->db, name, keyspace_hash(call->exec->keyspace, name), &position);
        if (entry != NULL)
            entry_check(call->exec->keyspace, entry, call->exec->stats.commands);
    }
}

void check_steps_end(const struct call *call)
{
    const struct keyspace *keyspace = call->exec->keyspace;
    if (keyspace->steps_made > 1)
        BUG("%s is seen in %u steps", call->command->full_name, (unsigned)keyspace->steps_made);
}

void check_everything(const struct exec *exec)
{
    if (keyspace_memory(exec->keyspace) <= CHECK_MEMORY_MAX)
        keyspace_check(exec->keyspace);
    block_check(exec->block);
    pubsub_check(exec->pubsub);
    tracking_check(exec);
}

#endif
