/* Work that goes on beside requests, in short steps between them: snapshots, and whatever else would take too long at once.
 *
 * Principal entry points: exec_task_wake, exec_task_sleep (who has the work); exec_task_step (upkeep).
 * A step is bounded by its owner: some tens of microseconds. Tasks take turns. While a turn of the loop brings no requests a step
 * follows the other at once; while requests come without end, steps get one part in TASK_SHARE of the executor's time, or less where
 * their task says so.
 *
 * | from     | to       | by                                              |
 * |----------|----------|-------------------------------------------------|
 * | asleep   | runnable | exec_task_wake                                  |
 * | runnable | asleep   | exec_task_sleep; its step has answered false    |
 *
 * Threads: executor only. */
#ifndef SKUA_EXEC_TASK_H
#define SKUA_EXEC_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct exec;

#define TASK_SHARE 10

/* Zeroed but for what its owner sets: asleep. */
struct exec_task {
    struct list_node node; /* in exec.tasks.runnable; unlisted: asleep */
    const char *name;      /* to whom pauses are put down; lives as long as the program */
    uint32_t share;        /* in place of TASK_SHARE; 0: that */
    /* False: there is nothing to do until it is woken. Must not free the task. */
    bool (*step)(struct exec *exec, struct exec_task *task);
};

/* In struct exec. */
struct exec_tasks {
    struct list_node runnable;
    uint64_t next_ns;      /* while requests come, no step before */
    uint64_t batches_seen; /* by the last look */
};

/* Has steps made from now on; nothing happens if that is so. */
void exec_task_wake(struct exec *exec, struct exec_task *task);
void exec_task_sleep(struct exec_task *task);

/* Whether some task is runnable: exec_cron is to be called without delay. */
bool exec_task_is_any(const struct exec *exec);

/* A step of the one whose turn it is, if it is time for one. */
void exec_task_step(struct exec *exec, uint64_t now_ns);

#endif
