/* Two ends in one process, and words that no honest peer would write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shm/end.h"

#define RING UINT64_C(4096)

struct pair {
    struct shm_control a_control, b_control;
    char a_ring[RING], b_ring[RING];
    struct shm_end a, b;
};

static int set_up(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    shm_end_init(&pair->a, &pair->a_control, pair->a_ring, RING, &pair->b_control, pair->b_ring, RING);
    shm_end_init(&pair->b, &pair->b_control, pair->b_ring, RING, &pair->a_control, pair->a_ring, RING);
    *state = pair;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void fill(char *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(seed = seed * 1103515245 + 12345);
}

static void bytes_come_out_as_they_went_in(void **state)
{
    struct pair *pair = *state;
    char sent[3000], received[3000];
    for (unsigned round = 0; round < 1000; round++) {
        size_t size = 1 + (round * 37) % sizeof sent, done;
        fill(sent, size, round);
        assert_int_equal(shm_write(&pair->a, sent, size, &done), SHM_DONE);
        assert_int_equal(done, size);
        assert_int_equal(shm_read(&pair->b, received, sizeof received, &done), SHM_DONE);
        assert_int_equal(done, size);
        assert_memory_equal(sent, received, size);
    }
    assert_true(pair->a.tail > 10 * RING);
}

static void a_full_ring_takes_what_there_is_room_for(void **state)
{
    struct pair *pair = *state;
    char bytes[RING + 100], received[10];
    size_t done;
    fill(bytes, sizeof bytes, 1);
    assert_int_equal(shm_write(&pair->a, bytes, sizeof bytes, &done), SHM_DONE);
    assert_int_equal(done, RING);
    assert_int_equal(shm_write(&pair->a, bytes, 1, &done), SHM_NOTHING);
    assert_false(shm_has_space(&pair->a));
    assert_int_equal(shm_read(&pair->b, received, sizeof received, &done), SHM_DONE);
    assert_true(shm_has_space(&pair->a));
    assert_int_equal(shm_write(&pair->a, bytes + RING, 100, &done), SHM_DONE);
    assert_int_equal(done, sizeof received);
}

static void an_empty_ring_has_nothing(void **state)
{
    struct pair *pair = *state;
    char byte;
    size_t done;
    assert_false(shm_has_data(&pair->b));
    assert_int_equal(shm_read(&pair->b, &byte, 1, &done), SHM_NOTHING);
}

static void expect_broken_reader(struct pair *pair, uint64_t tail)
{
    char byte;
    size_t done;
    atomic_store(&pair->a_control.tail, tail);
    assert_true(shm_has_data(&pair->b));
    assert_int_equal(shm_read(&pair->b, &byte, 1, &done), SHM_BROKEN);
}

static void a_tail_ahead_of_the_ring_is_refused(void **state)
{
    expect_broken_reader(*state, RING + 1);
}

static void a_huge_tail_is_refused(void **state)
{
    expect_broken_reader(*state, UINT64_MAX);
}

static void a_tail_that_goes_back_is_refused(void **state)
{
    struct pair *pair = *state;
    char bytes[100];
    size_t done;
    assert_int_equal(shm_write(&pair->a, bytes, sizeof bytes, &done), SHM_DONE);
    assert_int_equal(shm_read(&pair->b, bytes, 40, &done), SHM_DONE);
    atomic_store(&pair->a_control.tail, 60); /* still ahead of the head */
    assert_int_equal(shm_read(&pair->b, bytes, 80, &done), SHM_BROKEN);
}

static void a_head_that_overtakes_the_tail_is_refused(void **state)
{
    struct pair *pair = *state;
    char bytes[RING];
    size_t done;
    assert_int_equal(shm_write(&pair->a, bytes, RING, &done), SHM_DONE);
    atomic_store(&pair->b_control.head, RING + 1);
    assert_int_equal(shm_write(&pair->a, bytes, 1, &done), SHM_BROKEN);
}

static void a_head_that_goes_back_is_refused(void **state)
{
    struct pair *pair = *state;
    char bytes[RING];
    size_t done;
    assert_int_equal(shm_write(&pair->a, bytes, RING, &done), SHM_DONE);
    assert_int_equal(shm_read(&pair->b, bytes, 200, &done), SHM_DONE);
    assert_int_equal(shm_write(&pair->a, bytes, RING, &done), SHM_DONE);
    assert_int_equal(done, 200);
    atomic_store(&pair->b_control.head, 100);
    assert_int_equal(shm_write(&pair->a, bytes, RING, &done), SHM_BROKEN);
}

static void only_a_sleeper_that_wants_it_is_rung_for_and_once(void **state)
{
    struct pair *pair = *state;
    size_t done;
    char byte = 'x';
    assert_false(shm_settle(&pair->a)); /* nothing was published */
    shm_write(&pair->a, &byte, 1, &done);
    assert_false(shm_settle(&pair->a)); /* nobody sleeps */
    shm_read(&pair->b, &byte, 1, &done);
    assert_true(shm_arm(&pair->b, SHM_WANT_DATA));
    assert_true(shm_peer_sleeps(&pair->a));
    shm_write(&pair->a, &byte, 1, &done);
    assert_true(shm_settle(&pair->a));
    shm_write(&pair->a, &byte, 1, &done);
    assert_false(shm_settle(&pair->a)); /* the same sleep */
    shm_disarm(&pair->b);
    assert_false(shm_peer_sleeps(&pair->a));
    char two[2];
    shm_read(&pair->b, two, 2, &done);
    assert_int_equal(done, 2);
    assert_true(shm_arm(&pair->b, SHM_WANT_DATA));
    shm_write(&pair->a, &byte, 1, &done);
    assert_true(shm_settle(&pair->a)); /* the next */
}

/* The test may be moved to another processor at any time, so that the words are what is compared. */
static void who_shares_a_processor_knows_it(void **state)
{
    struct pair *pair = *state;
    unsigned shared = 0;
    assert_false(shm_shares_cpu(&pair->a)); /* nothing was told */
    shm_tell_cpu(&pair->a);
    assert_true(pair->a.told_cpu > 0);
    assert_int_equal(atomic_load(&pair->a.own->cpu), pair->a.told_cpu);
    assert_false(shm_shares_cpu(&pair->a));
    atomic_store(&pair->b.own->cpu, pair->a.told_cpu + 1);
    assert_false(shm_shares_cpu(&pair->a));
    atomic_store(&pair->b.own->cpu, pair->a.told_cpu);
    for (unsigned i = 0; i < 10 * SHM_SHARED_TRY; i++)
        shared += shm_shares_cpu(&pair->a);
    assert_int_equal(shared, 10 * (SHM_SHARED_TRY - 1));
    assert_true(shm_arm(&pair->b, SHM_WANT_DATA));
    assert_int_equal(atomic_load(&pair->b.own->cpu), pair->b.told_cpu); /* who sleeps has told */
}

static void who_waits_for_space_is_not_rung_for_data(void **state)
{
    struct pair *pair = *state;
    char bytes[RING];
    size_t done;
    shm_write(&pair->a, bytes, RING, &done);
    assert_true(shm_arm(&pair->a, SHM_WANT_SPACE));
    shm_write(&pair->b, bytes, 1, &done);
    assert_false(shm_settle(&pair->b));
    shm_read(&pair->b, bytes, 1, &done);
    assert_true(shm_settle(&pair->b));
}

static void who_finds_something_does_not_sleep(void **state)
{
    struct pair *pair = *state;
    size_t done;
    shm_write(&pair->a, "x", 1, &done);
    assert_false(shm_arm(&pair->b, SHM_WANT_DATA));
    assert_false(shm_peer_sleeps(&pair->a));
    assert_false(shm_arm(&pair->a, SHM_WANT_DATA | SHM_WANT_SPACE)); /* there is room */
    assert_true(shm_arm(&pair->a, SHM_WANT_DATA));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        SPEC(bytes_come_out_as_they_went_in),
        SPEC(a_full_ring_takes_what_there_is_room_for),
        SPEC(an_empty_ring_has_nothing),
        SPEC(a_tail_ahead_of_the_ring_is_refused),
        SPEC(a_huge_tail_is_refused),
        SPEC(a_tail_that_goes_back_is_refused),
        SPEC(a_head_that_overtakes_the_tail_is_refused),
        SPEC(a_head_that_goes_back_is_refused),
        SPEC(only_a_sleeper_that_wants_it_is_rung_for_and_once),
        SPEC(who_shares_a_processor_knows_it),
        SPEC(who_waits_for_space_is_not_rung_for_data),
        SPEC(who_finds_something_does_not_sleep),
    };
    return cmocka_run_group_tests_name("shm-end", tests, NULL, NULL);
}
