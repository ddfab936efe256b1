/* REPLICAOF NO ONE waits for what has been received and is not applied yet: a replica that becomes the primary loses nothing that it has.
 *
 * Principal entry points: role_change_must_wait.
 * Threads: executor. */
#ifndef SKUA_EXEC_ROLE_CHANGE_H
#define SKUA_EXEC_ROLE_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct client;
struct command;

/* Whether the command, or EXEC with one in its queue, ends the role of a replica that has more to apply (exec->role_change_waits). Then the client
 * waits, and its request is executed again. */
bool role_change_must_wait(struct client *client, const struct command *command, const struct slice *argv,
                           uint32_t argc);

#endif
