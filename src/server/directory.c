/* The working directory: at the start, and when `dir` changes.
 *
 * Entry: server_enter_directory, server_change_directory. Threads: executor; workers open files by relative names meanwhile.
 * What makes a file under one name and gives it another later must find the same directory both times: while anything of that kind is
 * under way, the directory stays. See also: persist/save.h, persist/aof.h, repl/receive.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "persist/aof.h"
#include "persist/persist.h"
#include "persist/save.h"
#include "repl/repl.h"
#include "repl/replica.h"
#include "server/internal.h"

/* `dir` says where the server is, as a whole path; where that cannot be told it stays as it is written. */
static void name_directory(struct server *server)
{
    char path[PATH_MAX];
    struct buf error = {0};
    if (getcwd(path, sizeof path) != NULL)
        (void)config_assign(server->config, CONFIG_OPTION_DIR, slice_from_string(path), &error);
    buf_done(&error);
    mem_free(server->directory);
    server->directory = mem_strdup(server->config->dir);
}

enum status server_enter_directory(struct server *server, struct buf *ret_error)
{
    const char *path = server->config->dir;
    if (path[0] && chdir(path) != 0) {
        buf_printf(ret_error, "cannot change to directory '%s': %s", path, strerror(errno));
        return ST_IO;
    }
    name_directory(server);
    return ST_OK;
}

/* NULL: nothing is in the way. */
static const char *hindrance(const struct exec *exec)
{
    if (!aof_is_off(exec->persist->aof))
        return "the append-only file is on";
    if (saver_is_busy(exec->persist->saver))
        return "a snapshot is being written";
    if (persist_is_loading(exec->persist) || exec->hindrances & EXEC_LOADING)
        return "data is being loaded";
    if (exec->repl->replica->receive != NULL)
        return "a snapshot is being received";
    return NULL;
}

static void forget_former(struct server *server)
{
    if (server->former_directory == NULL)
        return;
    close(server->former_descriptor);
    mem_free(server->former_directory);
    server->former_directory = NULL;
}

void server_forget_directories(struct server *server)
{
    forget_former(server);
    mem_free(server->directory);
    server->directory = NULL;
}

/* Also back to where the server has come from, though the path leads nowhere any more. */
static bool go_to(const struct server *server, const char *path)
{
    if (chdir(path) == 0)
        return true;
    int reason = errno;
    if (server->former_directory && strcmp(server->former_directory, path) == 0 &&
        fchdir(server->former_descriptor) == 0)
        return true;
    errno = reason;
    return false;
}

bool server_change_directory(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    const char *reason = hindrance(server->exec);
    int here = reason ? -1 : open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (reason == NULL && (here < 0 || !go_to(server, config->dir)))
        reason = strerror(errno);
    if (reason) {
        if (here >= 0)
            close(here);
        buf_append_slice(ret_error, slice_from_string(reason));
        return false;
    }
    forget_former(server);
    server->former_descriptor = here;
    server->former_directory = mem_strdup(server->directory);
    name_directory(server);
    return true;
}
