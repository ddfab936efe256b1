/* History beyond memory: when there is a file of it, and followers that read from there. States and rules: docs/decisions/019.
 *
 * Principal entry points: primary_history_step, primary_history_end, primary_history_start, follower_read_history.
 * Threads: executor. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/log.h"
#include "base/rng.h"
#include "config/config.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "repl/history.h"
#include "repl/history_file.h"
#include "repl/primary.h"
#include "repl/repl.h"

/* After a failure: a disk that is full stays so for a while. */
#define HISTORY_REST_MS 3000

/* ---- The file ------------------------------------------------------------------------------------- */

static void moved(void *context)
{
    struct primary *primary = context;
    list_for_each(&primary->followers, node)
    {
        struct follower *follower = list_entry(node, struct follower, node);
        if (follower->reads_history)
            follower_feed(follower);
    }
}

static void begin(struct primary *primary)
{
    struct exec *exec = primary->exec;
    char name[HISTORY_NAME_SIZE];
    uint64_t mark = rng_next(&exec->rng);
    snprintf(name, sizeof name, "temp-backlog-%ld-%016" PRIx64, (long)getpid(), mark);
    struct history_options options = {
        .exec = exec,
        .files = exec->files ? exec->files : file_system_real(),
        .log = exec->propagate.log,
        .name = name,
        .mark = mark,
        .bytes_max = (uint64_t)exec->config->repl_backlog_file_size,
        .moved = moved,
        .context = primary,
    };
    primary->history = history_new(&options);
    primary->history_size = options.bytes_max;
}

void primary_history_end(struct primary *primary)
{
    if (primary->history == NULL)
        return;
    list_for_each(&primary->followers, node)
    {
        struct follower *follower = list_entry(node, struct follower, node);
        if (follower->reads_history)
            follower_drop(follower, "the file that it is sent from is given up");
        follower->reads_history = false;
    }
    history_free(primary->history);
    primary->history = NULL;
    primary_update_feed(primary);
}

static void end_if_failed(struct primary *primary)
{
    struct exec *exec = primary->exec;
    int error;
    enum status status = history_status(primary->history, &error);
    if (status == ST_OK)
        return;
    const char *why = status == ST_IO        ? strerror(error)
                      : status == ST_INVALID ? "what is read is not what was written"
                      : status == ST_LIMIT   ? "the disk does not keep up with the changes"
                                             : status_text(status);
    log_write(exec->log, LOG_WARNING,
              "the file of history (repl-backlog-file-size) is given up, as far as memory goes there is "
              "history: %s",
              why);
    snprintf(primary->history_error, sizeof primary->history_error, "%s", why);
    primary->history_rest_until_ms = exec->now_ms + HISTORY_REST_MS;
    primary_history_end(primary);
}

void primary_history_step(struct primary *primary)
{
    struct exec *exec = primary->exec;
    uint64_t size = (uint64_t)exec->config->repl_backlog_file_size;
    bool is_wanted = size > 0 && exec->propagate.needs & PROPAGATE_BACKLOG;
    if (primary->history && (!is_wanted || size != primary->history_size))
        primary_history_end(primary);
    bool is_resting = exec->now_ms < primary->history_rest_until_ms &&
                      exec->now_ms + HISTORY_REST_MS >= primary->history_rest_until_ms; /* else set back */
    if (primary->history == NULL && is_wanted && !is_resting) {
        begin(primary);
        primary_update_feed(primary);
    }
    if (primary->history) {
        history_step(primary->history);
        end_if_failed(primary);
    }
}

uint64_t primary_history_start(const struct primary *primary)
{
    const struct changelog *log = primary->exec->propagate.log;
    uint64_t start = changelog_start(log);
    if (primary->history && history_begin(primary->history) < start)
        return history_begin(primary->history);
    return start;
}

/* ---- Followers ------------------------------------------------------------------------------------ */

bool follower_read_history(struct follower *follower, uint64_t bytes_max)
{
    struct primary *primary = follower->primary;
    struct changelog *log = primary->exec->propagate.log;
    struct history *history = primary->history;
    if (follower->history_position >= changelog_kept(log)) {
        bool is_open =
            changelog_open_kept(log, CHANGELOG_LINK, follower->history_position, &follower->cursor);
        ASSERT(is_open);
        follower->reads_history = false;
        return true;
    }
    if (follower->history_position < history_begin(history)) {
        follower_drop(follower,
                      "it is slower than the changes, and repl-backlog-file-size is not enough for it");
        return false;
    }
    struct chunk_list bytes = {0};
    if (bytes_max > 0)
        follower->history_position += history_take(history, follower->history_position, bytes_max, &bytes);
    if (bytes.bytes > 0)
        follower_send(follower, &bytes);
    return false;
}
