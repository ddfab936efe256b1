/* Saving before the server ends. Entry: server_save_first. Threads: executor.
 *
 * While the file is being written nobody's requests are executed: what was acknowledged is in it. */
#include "base/log.h"
#include "persist/persist.h"
#include "persist/save.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "server/internal.h"

static bool wants_save(const struct server *server)
{
    /* What has been loaded so far must not take the place of the file that it is loaded from. */
    if (server->exec->hindrances & EXEC_LOADING)
        return false;
    switch ((enum exec_shutdown_save)atomic_load(&server->exec->shutdown_save)) {
    case EXEC_SHUTDOWN_SAVE_YES: return true;
    case EXEC_SHUTDOWN_SAVE_NO: return false;
    case EXEC_SHUTDOWN_SAVE_DEFAULT: break;
    }
    /* A simulated server that nobody has told anything else leaves no files. */
    return !server->simulated && server->config->save.count > 0;
}

/* Replicas get what there is first, so that what is saved is what they have: they can go on from there. */
static bool replicas_have_all(struct server *server)
{
    struct exec *exec = server->exec;
    uint64_t now_ns = clock_monotonic_ns(server->clock);
    bool is_hurried = atomic_load(&exec->shutdown_requested) == EXEC_SHUTDOWN_NOW;
    if (server->replicas_waited || is_hurried || exec->holders > 0 || !wants_save(server))
        return true;
    if (server->replicas_until_ns == 0)
        server->replicas_until_ns = now_ns + (uint64_t)server->config->shutdown_timeout * 1000000000u;
    server->replicas_waited = primary_finish(exec->repl->primary) || now_ns >= server->replicas_until_ns;
    return server->replicas_waited;
}

static void hold_clients(struct server *server)
{
    struct exec *exec = server->exec;
    server->is_saving = true;
    server->saving_requested = atomic_load(&exec->shutdown_requested);
    exec_hold_clients(exec);
    log_write(server->log, LOG_NOTICE, "the server is to end: saving first");
}

static void go_on_running(struct server *server)
{
    struct exec *exec = server->exec;
    server->is_saving = false;
    exec_release_clients(exec);
    primary_go_on(exec->repl->primary);
    server->replicas_waited = false;
    server->replicas_until_ns = 0;
    atomic_store(&exec->shutdown_save, EXEC_SHUTDOWN_SAVE_DEFAULT);
    atomic_store(&exec->shutdown_requested, EXEC_SHUTDOWN_NONE);
    saver_refuse_shutdown(exec->persist->saver);
    log_write(server->log, LOG_WARNING, "the server does not end, as it could not save");
}

bool server_save_first(struct server *server)
{
    struct exec *exec = server->exec;
    struct saver *saver = exec->persist->saver;
    /* SIGINT once more: not even that is waited for. */
    if (server->is_saving && atomic_load(&exec->shutdown_requested) != server->saving_requested)
        return true;
    if (!replicas_have_all(server))
        return false;
    enum status status = saver_finish(saver, wants_save(server));
    if (status == ST_AGAIN) {
        if (!server->is_saving)
            hold_clients(server);
        return false;
    }
    if (status == ST_OK || atomic_load(&exec->shutdown_force))
        return true;
    if (!server->is_saving)
        hold_clients(server);
    go_on_running(server);
    return false;
}
