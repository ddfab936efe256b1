/* Proves: a prompt thread asks for short turns and keeps its class and priority; a bulk thread gives way to all others, also when it was
 * started by a prompt one; a thread that somebody has put into another class stays there. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/scheduling.h"

struct seen {
    bool done;
    int policy;
    int nice;
    uint64_t turn_ns; /* 0: this kernel does not know of it */
};

/* As the kernel has it, in words of its own. */
static void look(struct seen *seen)
{
    uint32_t words[12] = {sizeof words};
    assert_int_equal(syscall(SYS_sched_getattr, 0, words, sizeof words, 0), 0);
    seen->policy = (int)words[1];
    seen->nice = (int)words[4];
    seen->turn_ns = words[6] | (uint64_t)words[7] << 32;
}

static void *run_prompt(void *argument)
{
    struct seen *seen = argument;
    seen->done = scheduling_prompt();
    look(seen);
    return NULL;
}

static void *run_bulk(void *argument)
{
    struct seen *seen = argument;
    seen->done = scheduling_bulk();
    look(seen);
    return NULL;
}

static void *run_bulk_of_prompt(void *argument)
{
    pthread_t thread;
    (void)scheduling_prompt();
    assert_int_equal(pthread_create(&thread, NULL, run_bulk, argument), 0);
    pthread_join(thread, NULL);
    return NULL;
}

static void *run_idle(void *argument)
{
    struct sched_param none = {0};
    struct seen *seen = argument;
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0)
        return NULL;
    seen->done = scheduling_prompt() || scheduling_bulk();
    look(seen);
    return NULL;
}

static struct seen on_a_thread(void *(*run)(void *argument))
{
    struct seen seen = {.policy = -1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, &seen), 0);
    pthread_join(thread, NULL);
    return seen;
}

static struct seen own(void)
{
    struct seen seen;
    look(&seen);
    return seen;
}

static void a_prompt_thread_has_short_turns(void **state)
{
    struct seen before = own(), seen = on_a_thread(run_prompt);
    assert_true(seen.done);
    assert_int_equal(seen.policy, before.policy);
    assert_int_equal(seen.nice, before.nice);
    if (before.turn_ns > 0)
        assert_int_equal(seen.turn_ns, 100000);
    assert_int_equal(own().turn_ns, before.turn_ns); /* its own alone */
}

static void a_bulk_thread_gives_way(void **state)
{
    struct seen before = own();
    void *(*const ways[])(void *argument) = {run_bulk, run_bulk_of_prompt};
    for (unsigned i = 0; i < 2; i++) {
        struct seen seen = on_a_thread(ways[i]);
        assert_true(seen.done);
        assert_int_equal(seen.policy, SCHED_BATCH);
        assert_int_equal(seen.nice, 19);
        assert_int_equal(seen.turn_ns, before.turn_ns);
    }
}

static void another_class_is_left_alone(void **state)
{
    struct seen seen = on_a_thread(run_idle);
    if (seen.policy < 0)
        skip();
    assert_false(seen.done);
    assert_int_equal(seen.policy, SCHED_IDLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prompt_thread_has_short_turns),
        cmocka_unit_test(a_bulk_thread_gives_way),
        cmocka_unit_test(another_class_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
