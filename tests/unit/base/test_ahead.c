/* Proves that a worker touches what was asked for and nothing else, that an owner who does not wait keeps the worker off, and
 * that what is touched, waiting and over is counted. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/ahead.h"
#include "base/alloc.h"
#include "base/map.h"
#include "base/worker.h"

#define PIECES 4
#define PAGES  (AHEAD_SIZE / 4096)

struct fixture {
    struct worker_pool *workers;
    struct ahead *ahead;
    char *memory; /* PIECES of them */
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.workers = worker_pool_new(1, 0);
    fixture.ahead = ahead_new(fixture.workers);
    fixture.memory = map_new(PIECES * AHEAD_SIZE, AHEAD_SIZE);
    assert_non_null(fixture.memory);
    ahead_set_on(fixture.ahead, true);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    worker_pool_free(fixture->workers);
    ahead_free(fixture->ahead);
    map_free(fixture->memory, PIECES * AHEAD_SIZE);
    return 0;
}

static unsigned resident_pages(const struct fixture *fixture, unsigned piece)
{
    static unsigned char there[PAGES];
    unsigned count = 0;
    assert_int_equal(mincore(fixture->memory + piece * AHEAD_SIZE, AHEAD_SIZE, there), 0);
    for (unsigned i = 0; i < PAGES; i++)
        count += there[i] & 1;
    return count;
}

static struct ahead_figures figures_of(const struct fixture *fixture)
{
    struct ahead_figures figures;
    ahead_figures(fixture->ahead, &figures);
    return figures;
}

static void a_worker_touches_the_whole_piece_and_no_other(void **state)
{
    const struct fixture *fixture = *state;
    char *start = fixture->memory + AHEAD_SIZE;
    struct ahead_piece *piece = ahead_ask(fixture->ahead, start);
    assert_non_null(piece);
    assert_ptr_equal(ahead_start(piece), start);
    assert_int_equal(figures_of(fixture).waiting_bytes, AHEAD_SIZE);
    while (!ahead_is_ready(piece))
        sched_yield();
    assert_int_equal(resident_pages(fixture, 0), 0);
    assert_int_equal(resident_pages(fixture, 1), PAGES);
    assert_int_equal(resident_pages(fixture, 2), 0);
    for (size_t i = 0; i < AHEAD_SIZE; i++)
        assert_int_equal(start[i], 0);
    ahead_end(piece);
    struct ahead_figures figures = figures_of(fixture);
    assert_int_equal(figures.waiting_bytes, 0);
    assert_int_equal(figures.touched_bytes, AHEAD_SIZE);
    assert_true(figures.huge_bytes == 0 || figures.huge_bytes == AHEAD_SIZE);
    assert_true(figures.busy_ns > 0);
}

struct gate {
    _Atomic bool entered;
    _Atomic bool open;
};

static void wait_at_gate(void *argument)
{
    struct gate *gate = argument;
    atomic_store(&gate->entered, true);
    while (!atomic_load(&gate->open))
        sched_yield();
}

static void a_piece_that_has_ended_is_not_touched_any_more(void **state)
{
    const struct fixture *fixture = *state;
    struct gate gate = {0};
    worker_submit(fixture->workers, wait_at_gate, &gate);
    while (!atomic_load(&gate.entered))
        sched_yield();
    struct ahead_piece *kept = ahead_ask(fixture->ahead, fixture->memory);
    struct ahead_piece *ended = ahead_ask(fixture->ahead, fixture->memory + AHEAD_SIZE);
    assert_int_equal(figures_of(fixture).waiting_bytes, 2 * AHEAD_SIZE);
    assert_false(ahead_is_ready(kept));
    ahead_end(ended);
    assert_int_equal(figures_of(fixture).waiting_bytes, AHEAD_SIZE);
    atomic_store(&gate.open, true);
    while (!ahead_is_ready(kept) || worker_pending(fixture->workers) > 0)
        sched_yield();
    assert_int_equal(resident_pages(fixture, 0), PAGES);
    assert_int_equal(resident_pages(fixture, 1), 0);
    ahead_end(kept);
}

/* Whichever of the two comes first. */
static void ending_races_with_the_worker(void **state)
{
    const struct fixture *fixture = *state;
    for (unsigned i = 0; i < 200; i++) {
        char *start = fixture->memory + i % PIECES * AHEAD_SIZE;
        struct ahead_piece *piece = ahead_ask(fixture->ahead, start);
        if (i % 3 == 0)
            sched_yield();
        ahead_end(piece);
        start[0] = start[AHEAD_SIZE - 1] = 1; /* the owner's again */
        map_discard(start, AHEAD_SIZE);
    }
    assert_int_equal(figures_of(fixture).waiting_bytes, 0);
}

static void switched_off_and_without_workers_nothing_is_touched(void **state)
{
    const struct fixture *fixture = *state;
    assert_null(ahead_ask(NULL, fixture->memory));
    ahead_set_on(fixture->ahead, false);
    assert_null(ahead_ask(fixture->ahead, fixture->memory));
    struct ahead *alone = ahead_new(NULL);
    ahead_set_on(alone, true);
    assert_null(ahead_ask(alone, fixture->memory));
    ahead_free(alone);
    assert_int_equal(resident_pages(fixture, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_worker_touches_the_whole_piece_and_no_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_piece_that_has_ended_is_not_touched_any_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ending_races_with_the_worker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(switched_off_and_without_workers_nothing_is_touched, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
