/* Work that another thread hands to the executor: see post.h. A stack that any thread pushes onto and that the executor
 * takes whole and turns around. */
#include "exec/post.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/role.h"
#include "exec/exec.h"

void exec_post(struct exec *exec, struct exec_post *post)
{
    struct exec_post *head = atomic_load_explicit(&exec->posts, memory_order_relaxed);
    do {
        post->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&exec->posts, &head, post, memory_order_release,
                                                    memory_order_relaxed));
    if (exec->wake != NULL)
        exec->wake(exec->wake_context);
}

bool exec_has_posts(const struct exec *exec)
{
    return atomic_load_explicit(&exec->posts, memory_order_relaxed) != NULL;
}

void exec_run_posts(struct exec *exec)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (!exec_has_posts(exec))
        return;
    struct exec_post *taken = atomic_exchange_explicit(&exec->posts, NULL, memory_order_acquire);
    struct exec_post *oldest = NULL;
    while (taken != NULL) {
        struct exec_post *next = taken->next;
        taken->next = oldest;
        oldest = taken;
        taken = next;
    }
    while (oldest != NULL) {
        struct exec_post *next = oldest->next;
        oldest->run(exec, oldest);
        oldest = next;
    }
}
