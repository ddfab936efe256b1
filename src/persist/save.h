/* Snapshot files: SAVE, BGSAVE, save points, and saving before the server ends.
 *
 * Principal entry points: saver_begin, saver_wait (commands); saver_cron, saver_finish_for_shutdown (the server).
 *
 *   executor: saver_begin --snapshot--> worker: temp-<pid>.rdb is written, block by block
 *   executor: the snapshot has ended --> worker: sync, rename to dbfilename, sync of the directory --> executor: saver says how it was
 *
 * | from    | to      | by                                                                     |
 * |---------|---------|------------------------------------------------------------------------|
 * | idle    | writing | saver_begin                                                            |
 * | writing | placing | the snapshot has ended (also when it failed: the temporary file goes)  |
 * | placing | idle    | the worker is done                                                     |
 *
 * F1  Under dbfilename there is always a whole snapshot, the old one or the new one.
 * F2  `saved_dirty` changes of exec->stats.dirty are in the newest file: those that come while it is written are not.
 * F3  When the last one failed and stop-writes-on-bgsave-error says so, and there are save points, EXEC_SAVE_FAILS is set.
 * Threads: executor. */
#ifndef SKUA_PERSIST_SAVE_H
#define SKUA_PERSIST_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "persist/snapshot.h"

struct client;
struct exec;
struct saver;

struct saver *saver_new(struct exec *exec);
/* No snapshot of it runs any more, the workers have ended. */
void saver_free(struct saver *saver);

/* Begins to write a file. ST_EXISTS: one is being written; ST_NOMEM: refused. */
enum status saver_begin(struct saver *saver);

/* Has `then` called once, when the file that is being written is in its place, or has failed. */
void saver_then(struct saver *saver, void (*then)(void *context, bool is_ok), void *context);

/* Has one begun by the next saver_cron. */
void saver_schedule(struct saver *saver);

/* Gives up what BGSAVE or a save point has begun, or is going to begin. What somebody waits for goes on. */
enum saver_cancelled { SAVER_HAD_NOTHING, SAVER_CANCELLED, SAVER_UNSCHEDULED };
enum saver_cancelled saver_cancel(struct saver *saver);

/* Save points, and what was scheduled. Every 100 milliseconds. */
void saver_cron(struct saver *saver);

/* Blocks a client (client_block) until the file that is being written is there, and answers it: SAVE. */
void saver_block(struct saver *saver, struct client *client);

/* A file was loaded at the start, or the data is in step with another server's: nothing is unsaved. */
void saver_note_clean(struct saver *saver);

bool saver_is_busy(const struct saver *saver);

/* The end of a server that is to save: to be called until it answers something else than ST_AGAIN. ST_OK: saved, or there was
 * nothing to do; ST_IO: it could not be. `wants_save`: what SHUTDOWN said, or what follows from the option `save`. */
enum status saver_finish(struct saver *saver, bool wants_save);

/* Blocks a client that has asked for the end; it is answered only by the second: the end has failed. */
void saver_block_for_shutdown(struct saver *saver, struct client *client);
void saver_refuse_shutdown(struct saver *saver);

/* For INFO. */
struct saver_facts {
    bool is_busy;
    bool is_last_ok;
    uint64_t unsaved_changes;
    int64_t last_time_s; /* of the last file, or the start */
    int64_t last_took_s; /* -1: none yet */
    int64_t now_takes_s; /* -1: none */
    uint64_t saves;
    uint64_t last_held_bytes; /* the most that the last one kept */
    int64_t expected_end_s;   /* seconds from now; -1: not known */
};
void saver_facts(const struct saver *saver, struct saver_facts *ret_facts);

#endif
