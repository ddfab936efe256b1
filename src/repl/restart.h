/* A server that starts again: the snapshot that it loads names the history its data belong to, and the position in it.
 *
 * Principal entry points: restart_new, restart_free.
 * As a replica it asks its primary to go on from there. As a primary it begins a history of its own, of which the file's is the
 * beginning: replicas that have exactly what is in the file go on with it. An append-only file names no history, as in Redis.
 *
 * N1  Keys that are left out as their time has come are still there in replicas: their deletion is what the new history begins with.
 * N2  A file that names a history that cannot be gone on with (an id that is none, a database that there is not) names none.
 *
 * Threads: executor. */
#ifndef SKUA_REPL_RESTART_H
#define SKUA_REPL_RESTART_H

struct repl;
struct restart;

/* Has itself told by what loads the file at the start (exec->persist, which may be NULL). */
struct restart *restart_new(struct repl *repl);
/* NULL is allowed. */
void restart_free(struct restart *restart);

#endif
