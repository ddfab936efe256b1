/* What lives on disk. Rules in persist.h. Threads: executor. */
#include "persist/persist.h"

#include "base/alloc.h"
#include "exec/exec.h"
#include "persist/save.h"

struct persist *persist_new(struct exec *exec)
{
    struct persist *persist = mem_calloc(1, sizeof *persist);
    persist->exec = exec;
    list_init(&persist->snapshots);
    exec->persist = persist;
    persist->saver = saver_new(exec);
    return persist;
}

void persist_free(struct persist *persist)
{
    if (persist == NULL)
        return;
    saver_free(persist->saver);
    persist->exec->persist = NULL;
    mem_free(persist);
}

void persist_cron(struct persist *persist)
{
    saver_cron(persist->saver);
}
