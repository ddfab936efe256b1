/* What debug builds (-DSKUA_DEBUG) check while a server runs; other builds have nothing of it.
 *
 * Principal entry points: check_written_keys, check_steps_end, check_everything.
 * Threads: executor only. */
#ifndef SKUA_EXEC_CHECK_H
#define SKUA_EXEC_CHECK_H

#include "exec/call.h"

#ifdef SKUA_DEBUG

/* After a command that may write: each of its keys (at most CHECK_KEYS_MAX) is found under its hash and is what its type
 * says (types/check.h). */
void check_written_keys(const struct call *call);

/* Around a call or a slice of it, inside of its bracket: outside of any bracket readers on other threads see at most one step of
 * what it changes (decision 009, D5), or its declaration is wrong. */
static inline void check_steps_begin(struct exec *exec)
{
    exec->keyspace->steps_made = 0;
}
void check_steps_end(const struct call *call);

/* Between commands: the whole keyspace, waiting clients and subscriptions, as long as they are small. */
void check_everything(const struct exec *exec);

#else

static inline void check_written_keys(const struct call *call)
{
    (void)call;
}

static inline void check_steps_begin(struct exec *exec)
{
    (void)exec;
}

static inline void check_steps_end(const struct call *call)
{
    (void)call;
}

static inline void check_everything(const struct exec *exec)
{
    (void)exec;
}

#endif
#endif
