/* Work that another thread hands to the executor: the end of a job that a worker did for it.
 *
 * Principal entry points: exec_post (any thread), exec_run_posts (executor, from exec_cron).
 * Whoever posts owns the memory of the post until `run` has been called. Posts of one thread run in their order.
 * Everybody who could post must have ended before exec_free, which runs what is left. */
#ifndef SKUA_EXEC_POST_H
#define SKUA_EXEC_POST_H

#include <stdbool.h>

struct exec;

struct exec_post {
    struct exec_post *next;
    /* Called on the executor between two batches. May free the post. */
    void (*run)(struct exec *exec, struct exec_post *post);
};

/* Any thread: has `post` run soon; rings the executor's bell (exec->wake) if it has one. */
void exec_post(struct exec *exec, struct exec_post *post);

/* Executor: something is waiting to be run. */
bool exec_has_posts(const struct exec *exec);
void exec_run_posts(struct exec *exec);

#endif
