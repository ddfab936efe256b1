/* What a new replica gets first. Rules in full_sync.h. Threads: executor. */
#include "repl/full_sync.h"

#include "repl/primary.h"

void full_sync_step(struct primary *primary)
{
}

void full_sync_forget(struct follower *follower)
{
    follower->sync = NULL;
}

bool full_sync_keeps_waiting(const struct follower *follower)
{
    return follower->state == FOLLOWER_WAITING;
}
