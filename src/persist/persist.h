/* What lives on disk: snapshot files and the append-only file.
 *
 * Principal entry points: persist_new, persist_load, persist_step, persist_cron, persist_free.
 * Each part has its state and its file: saver (save.h: SAVE, BGSAVE, save points), aof (aof.h), loader (load.h: reading files at
 * the start and from a primary). This is what they hang from.
 * Threads: executor. */
#ifndef SKUA_PERSIST_PERSIST_H
#define SKUA_PERSIST_PERSIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "base/status.h"

struct aof;
struct buf;
struct db;
struct exec;
struct load;
struct load_file;
struct load_report;
struct saver;

/* Who knows of the history that a file may name (repl/restart.h). */
struct persist_history {
    void *context;
    /* At the start, while the snapshot is loaded: a key is left out, as its time has come. */
    void (*dropped)(void *context, const struct db *db, struct slice key);
    /* It is loaded. `report` NULL: it could not be. */
    void (*loaded)(void *context, const struct load_report *report);
};

struct persist {
    struct exec *exec;
    struct list_node snapshots; /* that run: snapshot.c */
    struct saver *saver;
    struct aof *aof;
    struct load *loading;                       /* that INFO tells of: load.c */
    struct load_file *load_file;                /* that persist_step goes on with: load_file.c */
    uint64_t load_began_ns;                     /* persist_load */
    uint64_t last_load_keys, last_load_expired; /* of the last snapshot: loaded; left out */
    uint64_t reload_client;                     /* that has asked for the reload that runs: reload.c */
    struct persist_history history;             /* all zero: nobody */
    bool load_failed; /* what is on disk cannot be loaded: the server must not go on */
};

/* Also sets exec->persist. */
struct persist *persist_new(struct exec *exec);

/* Nothing is written or read any more; the workers have ended. */
void persist_free(struct persist *persist);

/* At the start, before anybody is served: begins to load what is on disk, if there is anything: the append-only file if that is
 * turned on, else the snapshot. Not ST_OK: the server is not to start, and `error` says why. */
enum status persist_load(struct persist *persist, struct buf *error);

/* A slice of a loading from files. True: there is more to do at once. */
bool persist_step(struct persist *persist);

/* Data is being loaded from files. */
bool persist_is_loading(const struct persist *persist);

/* Every 100 milliseconds: save points and the like. */
void persist_cron(struct persist *persist);

#endif
