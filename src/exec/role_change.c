/* Commands that make a replica a primary. Contract in role_change.h. Threads: executor. */
#include "exec/role_change.h"

#include "exec/client.h"
#include "exec/command.h"
#include "exec/dispatch.h"
#include "exec/exec.h"
#include "exec/transaction.h"

static bool ends_role(const struct command *command, const struct slice *argv, uint32_t argc)
{
    bool is_it = strcmp(command->full_name, "replicaof") == 0 || strcmp(command->full_name, "slaveof") == 0;
    return is_it && argc == 3 && slice_equal_nocase(argv[1], "no") && slice_equal_nocase(argv[2], "one");
}

static bool queue_ends_role(const struct transaction *transaction)
{
    for (uint32_t i = 0; i < transaction->count; i++) {
        const struct queued_command *queued = &transaction->commands[i];
        if (ends_role(queued->command, queued->argv, queued->argc))
            return true;
    }
    return false;
}

bool role_change_must_wait(struct client *client, const struct command *command, const struct slice *argv,
                           uint32_t argc)
{
    struct exec *exec = client->exec;
    bool is_exec = client->transaction != NULL && strcmp(command->full_name, "exec") == 0;
    if (!(is_exec ? queue_ends_role(client->transaction) : ends_role(command, argv, argc)))
        return false;
    struct list_node *waiting = exec->role_change_waits(exec);
    if (waiting == NULL)
        return false;
    client_wait_in(client, waiting);
    return true;
}
