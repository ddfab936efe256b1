/* Work beside requests. Rules in task.h. Threads: executor only. */
#include "exec/task.h"

#include "base/role.h"
#include "exec/exec.h"
#include "exec/pause.h"

void exec_task_wake(struct exec *exec, struct exec_task *task)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (!list_is_listed(&task->node))
        list_append(&exec->tasks.runnable, &task->node);
}

void exec_task_sleep(struct exec_task *task)
{
    if (list_is_listed(&task->node))
        list_remove(&task->node);
}

bool exec_task_is_any(const struct exec *exec)
{
    return !list_is_empty(&exec->tasks.runnable);
}

void exec_task_step(struct exec *exec, uint64_t now_ns)
{
    struct exec_tasks *tasks = &exec->tasks;
    if (likely(list_is_empty(&tasks->runnable)))
        return;
    bool requests_come = exec->stats.batches != tasks->batches_seen;
    tasks->batches_seen = exec->stats.batches;
    if (requests_come && now_ns < tasks->next_ns)
        return;
    struct exec_task *task = list_entry(tasks->runnable.next, struct exec_task, node);
    const char *name = task->name;
    uint64_t share = task->share > 0 ? task->share : TASK_SHARE;
    list_remove(&task->node);
    list_append(&tasks->runnable, &task->node);
    uint64_t begin = pause_begin(exec);
    if (!task->step(exec, task))
        exec_task_sleep(task);
    uint64_t end = clock_ticks(exec->clock);
    uint64_t ns = clock_ticks_to_ns(exec->clock, end - begin);
    pause_note(exec, name, ns);
    if (unlikely(ns >= SPAN_MIN_NS))
        blame_task(exec, name, begin, end);
    if (unlikely(ns >= exec->latency_ns) && exec->hooks.latency)
        exec->hooks.latency(exec->hooks.context, name, ns);
    tasks->next_ns = now_ns + ns * share;
}
