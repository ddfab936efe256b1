/* Transactions: the queue between MULTI and EXEC.
 *
 * Principal entry points: transaction_begin, transaction_queue, transaction_execute, transaction_discard.
 * Threads: executor only.
 *
 * Q1  client->transaction != NULL <=> CLIENT_IN_TRANSACTION.
 * Q2  A queued command owns a copy of its arguments: what they pointed at is recycled with its run. */
#ifndef SKUA_EXEC_TRANSACTION_H
#define SKUA_EXEC_TRANSACTION_H

#include <stdint.h>

#include "base/status.h"
#include "exec/client.h"
#include "exec/command.h"

/* More than this in one transaction is refused, but from a primary or a file: they had been allowed. */
#define TRANSACTION_COMMANDS_MAX (1u << 20)

struct queued_command {
    const struct command *command;
    uint32_t argc;
    struct slice *argv; /* one block with the bytes behind the slices */
};

struct transaction {
    struct queued_command *commands;
    uint32_t count;
    uint32_t capacity;
    uint64_t memory;    /* bytes, for CLIENT LIST multi-mem */
    uint32_t flags_any; /* union of the queued commands' flags, */
    uint32_t flags_all; /* and what all of them have */
};

struct call;

void transaction_begin(struct client *client);

/* ST_NOMEM: refused, nothing was queued. ST_LIMIT: too many commands. */
enum status transaction_queue(struct client *client, const struct command *command, const struct slice *argv,
                              uint32_t argc);

/* Runs the queue and answers with the array of replies; the transaction is over afterwards. */
void transaction_execute(struct call *call);

/* Ends the transaction, forgets its queue and watched keys. */
void transaction_discard(struct client *client);

#endif
