/* What lives on disk: snapshot files and the append-only file.
 *
 * Principal entry points: persist_new, persist_load, persist_cron, persist_free.
 * Each part has its state and its file: saver (save.h: SAVE, BGSAVE, save points), aof (aof.h), loader (load.h: reading files at
 * the start and from a primary). This is what they hang from.
 * Threads: executor. */
#ifndef SKUA_PERSIST_PERSIST_H
#define SKUA_PERSIST_PERSIST_H

#include "base/list.h"

struct exec;
struct saver;

struct persist {
    struct exec *exec;
    struct list_node snapshots; /* that run: snapshot.c */
    struct saver *saver;
};

/* Also sets exec->persist. */
struct persist *persist_new(struct exec *exec);

/* Nothing is written or read any more; the workers have ended. */
void persist_free(struct persist *persist);

/* Every 100 milliseconds: save points and the like. */
void persist_cron(struct persist *persist);

#endif
