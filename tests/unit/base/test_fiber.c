/* Proves: a fiber keeps its place, its variables and its registers over a pause; several take turns; a fiber that has
 * ended can be started again; its stack is as large as was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/fiber.h"

#define STACK_SIZE ((size_t)64 << 10)

struct counter {
    struct fiber *fiber;
    int start;
    int seen[8];
    int count;
};

static void count_up(void *context)
{
    struct counter *counter = context;
    double half = counter->start + 0.5;
    for (int i = 0; i < 4; i++) {
        counter->seen[counter->count++] = counter->start + i;
        fiber_pause(counter->fiber);
        half += 1;
    }
    assert_true(half == counter->start + 4.5);
}

static struct counter counter_new(int start)
{
    struct counter counter = {.fiber = fiber_new(STACK_SIZE), .start = start};
    assert_non_null(counter.fiber);
    assert_true(fiber_is_idle(counter.fiber));
    return counter;
}

static void fibers_take_turns(void **state)
{
    struct counter a = counter_new(10), b = counter_new(20);
    fiber_start(a.fiber, count_up, &a);
    fiber_start(b.fiber, count_up, &b);
    for (int i = 0; i < 4; i++) {
        assert_true(fiber_resume(a.fiber));
        assert_true(fiber_resume(b.fiber));
        assert_int_equal(a.count, i + 1);
        assert_int_equal(a.seen[i], 10 + i);
        assert_int_equal(b.seen[i], 20 + i);
    }
    assert_false(fiber_is_idle(a.fiber));
    assert_false(fiber_resume(a.fiber));
    assert_false(fiber_resume(b.fiber));
    assert_true(fiber_is_idle(a.fiber));
    fiber_free(a.fiber);
    fiber_free(b.fiber);
}

static void an_ended_fiber_can_be_started_again(void **state)
{
    struct counter a = counter_new(1);
    for (int round = 0; round < 1000; round++) {
        a.count = 0;
        fiber_start(a.fiber, count_up, &a);
        while (fiber_resume(a.fiber))
            ;
        assert_int_equal(a.count, 4);
    }
    fiber_free(a.fiber);
}

static void one_that_never_began_can_be_given_back(void **state)
{
    struct fiber *fiber = fiber_new(STACK_SIZE);
    fiber_free(fiber);
}

static void fill_stack(void *context)
{
    struct counter *counter = context;
    volatile char bytes[STACK_SIZE - 8192]; /* what a sanitizer adds fits as well */
    memset((char *)bytes, 7, sizeof bytes);
    fiber_pause(counter->fiber);
    for (size_t i = 0; i < sizeof bytes; i += 512)
        counter->count += bytes[i] == 7;
}

static void the_stack_is_usable_to_its_end(void **state)
{
    struct counter a = counter_new(0);
    fiber_start(a.fiber, fill_stack, &a);
    assert_true(fiber_resume(a.fiber));
    assert_false(fiber_resume(a.fiber));
    assert_int_equal(a.count, (STACK_SIZE - 8192) / 512);
    fiber_free(a.fiber);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fibers_take_turns),
        cmocka_unit_test(an_ended_fiber_can_be_started_again),
        cmocka_unit_test(one_that_never_began_can_be_given_back),
        cmocka_unit_test(the_stack_is_usable_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
