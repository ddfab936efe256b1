/* Whether a request is executed now: what is looked at before, and what is said where it is not.
 *
 * Principal entry points: admit (dispatch_request); admit_well_formed, admit_must_queue (what is applied, exec/apply.h).
 * Threads: executor only.
 *
 * The order of the checks is the order in which Redis makes them, because clients see which error wins:
 * protocol fault, unknown command, arity, authentication, what MULTI forbids, permission, memory, hindrances (exec_hindrance), subscriber mode,
 * MONITOR, pause, queueing, keys that a long command holds. */
#ifndef SKUA_EXEC_ADMIT_H
#define SKUA_EXEC_ADMIT_H

#include "exec/dispatch.h"
#include "exec/evict.h"

/* Not inlined: what mostly is not the case takes no room in the short way. */
NO_INLINE bool admit_well_formed_slow(struct client *client, const struct request *request);

/* Says what is not well-formed about the request. A container is one for the long way, with its name alone as well. */
ALWAYS_INLINE bool admit_well_formed(struct client *client, const struct request *request)
{
    const struct command *command = request->command;
    if (likely(command != NULL && !(command->flags & CMD_CONTAINER) && request->argc >= command->args_min &&
               request->argc <= command->args_max))
        return true;
    return admit_well_formed_slow(client, request);
}

bool admit_must_queue_slow(const struct command *command);

/* Inside MULTI: whether the command waits for EXEC. */
ALWAYS_INLINE bool admit_must_queue(const struct client *client, const struct command *command)
{
    return unlikely(client->flags & CLIENT_IN_TRANSACTION) && admit_must_queue_slow(command);
}

void admit_queue(struct client *client, const struct request *request);

/* Whether CLIENT PAUSE holds this command of the client up. */
bool admit_must_pause_slow(const struct client *client, const struct command *command);
ALWAYS_INLINE bool admit_must_pause(const struct client *client, const struct command *command)
{
    return unlikely(client->exec->pause_until_ms != 0) && admit_must_pause_slow(client, command);
}

void admit_refuse_memory(struct client *client, const struct command *command);

/* The rest of the checks of a well-formed request. False: it was refused, queued, or must wait. */
NO_INLINE bool admit_slow(struct client *client, const struct request *request);

/* All checks, with a short way for most requests. False: as above. */
ALWAYS_INLINE bool admit(struct client *client, const struct request *request)
{
    if (unlikely(!admit_well_formed(client, request)))
        return false;
    if (unlikely(!dispatch_is_unhindered(client)))
        return admit_slow(client, request);
    if (request->command->flags & CMD_DENYOOM && unlikely(!evict_make_room(client->exec))) {
        admit_refuse_memory(client, request->command);
        return false;
    }
    return true;
}

#endif
