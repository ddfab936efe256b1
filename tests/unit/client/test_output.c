/* Bytes on their way: what is reserved, sent, dropped and cut out comes out as a plain model says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/memory.h"
#include "client/output.h"

#define MODEL_MAX 400000

struct model {
    struct skua_allocator allocator;
    struct output output;
    char bytes[MODEL_MAX]; /* all that was ever put in and not cut out */
    size_t end;
};

static struct model model;

static int set_up(void **state)
{
    memset(&model, 0, sizeof(model));
    client_allocator_set(&model.allocator, NULL);
    return 0;
}

static int tear_down(void **state)
{
    output_done(&model.output, &model.allocator);
    return 0;
}

static void check(void)
{
    const struct output *output = &model.output;
    assert_true(output->begin <= output->end && output->end <= output->capacity);
    assert_true(output->begin < output->end || output->begin == 0);
    assert_int_equal(output_end_place(output), model.end);
    if (output_size(output) > 0)
        assert_memory_equal(output->bytes + output->begin, model.bytes + output->place, output_size(output));
}

static void put(size_t size)
{
    char *space = output_reserve(&model.output, &model.allocator, size);
    assert_non_null(space);
    for (size_t i = 0; i < size; i++)
        model.bytes[model.end + i] = space[i] = (char)((model.end + i) * 31 + size);
    output_commit(&model.output, size);
    model.end += size;
    check();
}

static void bytes_leave_as_they_came(void **state)
{
    for (size_t i = 0; i < 100; i++) {
        put(1 + i * 37 % 5000);
        output_sent(&model.output, &model.allocator, output_size(&model.output) * (i % 4) / 4);
        check();
    }
    output_sent(&model.output, &model.allocator, output_size(&model.output));
    check();
    assert_int_equal(model.output.begin, 0);
}

static void the_front_is_dropped_by_place(void **state)
{
    put(1000);
    output_sent(&model.output, &model.allocator, 100);
    output_drop_until(&model.output, &model.allocator, 700);
    check();
    assert_int_equal(output_size(&model.output), 300);
    output_drop_until(&model.output, &model.allocator, 1000);
    check();
    put(10);
}

static void the_middle_is_cut_out(void **state)
{
    put(1000);
    output_sent(&model.output, &model.allocator, 100);
    output_cut(&model.output, 200, 500);
    memmove(model.bytes + 200, model.bytes + 500, 500);
    model.end -= 300;
    check();
    output_cut(&model.output, 600, 700);
    model.end -= 100;
    check();
    output_cut(&model.output, 100, 600);
    model.end -= 500;
    check();
    assert_int_equal(model.output.begin, 0);
}

static void a_size_that_overflows_is_refused(void **state)
{
    put(10);
    assert_null(output_reserve(&model.output, &model.allocator, SIZE_MAX));
    check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_leave_as_they_came, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_front_is_dropped_by_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_middle_is_cut_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_size_that_overflows_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
