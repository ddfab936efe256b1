/* Proves: what other threads post runs on the executor, each thread's posts in their order, and the bell is rung. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "exec/exec.h"
#include "exec/post.h"

#define THREADS           4
#define POSTS_OF_A_THREAD 500

struct numbered_post {
    struct exec_post post;
    unsigned thread;
    unsigned number;
};

struct fixture {
    struct exec *exec; /* only its posts and bell are used */
    _Atomic unsigned rings;
    unsigned next[THREADS];
    unsigned run;
};

struct sender {
    struct fixture *fixture;
    unsigned thread;
    struct numbered_post posts[POSTS_OF_A_THREAD];
};

static struct fixture *fixture_of_test;

static void ring(void *context)
{
    struct fixture *fixture = context;
    atomic_fetch_add(&fixture->rings, 1);
}

static void take(struct exec *exec, struct exec_post *post)
{
    struct numbered_post *numbered = (struct numbered_post *)post;
    struct fixture *fixture = fixture_of_test;
    assert_ptr_equal(exec, fixture->exec);
    assert_int_equal(numbered->number, fixture->next[numbered->thread]);
    fixture->next[numbered->thread]++;
    fixture->run++;
}

static void *send_all(void *argument)
{
    struct sender *sender = argument;
    for (unsigned i = 0; i < POSTS_OF_A_THREAD; i++) {
        sender->posts[i] = (struct numbered_post){.post.run = take, .thread = sender->thread, .number = i};
        exec_post(sender->fixture->exec, &sender->posts[i].post);
    }
    return NULL;
}

static int setup(void **state)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    fixture->exec = mem_calloc(1, sizeof *fixture->exec);
    fixture->exec->wake = ring;
    fixture->exec->wake_context = fixture;
    *state = fixture_of_test = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    mem_free(fixture->exec);
    mem_free(fixture);
    return 0;
}

static void test_nothing_posted(void **state)
{
    struct fixture *fixture = *state;
    assert_false(exec_has_posts(fixture->exec));
    exec_run_posts(fixture->exec);
    assert_int_equal(fixture->run, 0);
}

static void test_posts_of_several_threads(void **state)
{
    struct fixture *fixture = *state;
    struct sender *senders = mem_calloc(THREADS, sizeof *senders);
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        senders[i].fixture = fixture;
        senders[i].thread = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    exec_run_posts(fixture->exec); /* in the midst of it */
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    exec_run_posts(fixture->exec);
    assert_false(exec_has_posts(fixture->exec));
    assert_int_equal(fixture->run, THREADS * POSTS_OF_A_THREAD);
    assert_int_equal(atomic_load(&fixture->rings), THREADS * POSTS_OF_A_THREAD);
    mem_free(senders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_posted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_posts_of_several_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
