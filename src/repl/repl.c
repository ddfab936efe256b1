/* What both sides of replication need. Rules in repl.h. Threads: executor. */
#include "repl/repl.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "exec/exec.h"
#include "exec/hold.h"
#include "repl/failover.h"
#include "repl/primary.h"
#include "repl/replica.h"
#include "repl/restart.h"
#include "transport/transport.h"

bool repl_is_id(struct slice word)
{
    if (word.size != REPL_ID_SIZE)
        return false;
    for (size_t i = 0; i < word.size; i++) {
        char c = word.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return true;
}

static void make_id(struct repl *repl, char ret_id[static REPL_ID_SIZE + 1])
{
    for (unsigned i = 0; i < REPL_ID_SIZE; i++)
        ret_id[i] = "0123456789abcdef"[rng_below(&repl->exec->rng, 16)];
    ret_id[REPL_ID_SIZE] = 0;
}

static void forget_second(struct repl *repl)
{
    memset(repl->second_id, '0', REPL_ID_SIZE);
    repl->second_id[REPL_ID_SIZE] = 0;
    repl->second_offset = -1;
}

struct repl *repl_new(struct exec *exec, struct io_group *io)
{
    struct repl *repl = mem_calloc(1, sizeof *repl);
    repl->exec = exec;
    repl->io = io;
    repl->transport = &transport_tcp;
    exec->repl = repl;
    exec->propagate.history_id = repl->id;
    repl->primary = primary_new(repl);
    repl->replica = replica_new(repl);
    repl->failover = failover_new(repl);
    repl->restart = restart_new(repl);
    repl_new_history(repl);
    return repl;
}

void repl_finish(struct repl *repl)
{
    if (repl)
        replica_finish(repl->replica);
}

void repl_free(struct repl *repl)
{
    if (repl == NULL)
        return;
    restart_free(repl->restart);
    replica_free(repl->replica);
    failover_free(repl->failover);
    primary_free(repl->primary);
    repl->exec->repl = NULL;
    repl->exec->propagate.history_id = NULL;
    mem_free(repl);
}

uint64_t repl_bytes_sent(const struct repl *repl)
{
    uint64_t sent = repl->primary->sent_before;
    list_for_each(&repl->primary->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        sent += atomic_load_explicit(&follower->client->shared->bytes_out, memory_order_relaxed);
    }
    return sent;
}

void repl_client_gone(struct repl *repl, struct client *client)
{
    primary_client_gone(repl->primary, client);
}

void repl_cron(struct repl *repl)
{
    replica_cron(repl->replica);
    failover_cron(repl->failover);
    primary_cron(repl->primary);
}

void repl_new_history(struct repl *repl)
{
    make_id(repl, repl->id);
    forget_second(repl);
    primary_note_history(repl->primary);
}

/* A replica asks for what comes behind its offset, so it may have all of the old history and ask for the first byte after. */
void repl_shift_history(struct repl *repl)
{
    memcpy(repl->second_id, repl->id, sizeof repl->id);
    repl->second_offset = (int64_t)propagate_offset(repl->exec) + 1;
    make_id(repl, repl->id);
    primary_note_history(repl->primary);
}

/* ---- Roles ---------------------------------------------------------------------------------------- */

void repl_become_replica(struct repl *repl, bool *ret_known, uint32_t *ret_db)
{
    const struct propagate *propagate = &repl->exec->propagate;
    /* Without a history kept nobody has counted what has changed; and what a long command has begun nobody else will have. */
    *ret_known = propagate->needs & PROPAGATE_BACKLOG && !hold_is_any(&repl->exec->holds);
    if (*ret_known && repl->second_offset == (int64_t)propagate_offset(repl->exec) + 1) {
        /* Nothing has been written since: the data are still those of the history that others know. */
        memcpy(repl->id, repl->second_id, sizeof repl->id);
        forget_second(repl);
        *ret_db = repl->second_db; /* its stream goes on as it was: no SELECT of this server's stands in it */
    } else {
        *ret_db = propagate->db == PROPAGATE_NO_DB ? 0 : propagate->db;
    }
    repl->is_replica = repl->exec->is_replica = true;
}

void repl_become_primary(struct repl *repl, bool is_known)
{
    repl->is_replica = repl->exec->is_replica = repl->has_link = false;
    repl->second_db = repl->replica->db;
    if (is_known)
        repl_shift_history(repl);
    else
        repl_new_history(repl);
    propagate_select_again(repl->exec);
    primary_drop_followers(repl->primary);
}

void repl_take_history(struct repl *repl, const char *id, uint64_t offset)
{
    struct exec *exec = repl->exec;
    primary_drop_followers(repl->primary);
    primary_history_end(repl->primary);
    propagate_restart(exec, offset);
    primary_keep_history(repl->primary);
    memcpy(repl->id, id, sizeof repl->id);
    forget_second(repl);
    primary_note_history(repl->primary);
}

void repl_resume_history(struct repl *repl, const char *id, uint64_t offset, uint32_t db)
{
    primary_history_end(repl->primary);
    propagate_restart(repl->exec, offset);
    primary_keep_history(repl->primary);
    memcpy(repl->second_id, id, sizeof repl->second_id);
    repl->second_offset = (int64_t)offset + 1;
    repl->second_db = db;
    primary_note_history(repl->primary);
}

void repl_rename_history(struct repl *repl, const char *id)
{
    if (strcmp(repl->id, id) == 0)
        return;
    memcpy(repl->second_id, repl->id, sizeof repl->id);
    repl->second_offset = (int64_t)propagate_offset(repl->exec) + 1;
    memcpy(repl->id, id, sizeof repl->id);
    primary_note_history(repl->primary);
    primary_drop_followers(repl->primary);
}
