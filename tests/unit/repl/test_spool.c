/* Bytes of a snapshot for several readers: whatever their paces, each gets all of them in order; memory is bounded; a disk that
 * fails costs nobody a byte. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../support/file_faults.h"
#include "base/rng.h"
#include "exec/post.h"
#include "persist/snapshot.h"
#include "repl/spool.h"

#define BLOCK    1000
#define READERS  3
#define NAME     "spool-test"
#define ROUNDS   400
#define PATIENCE 10000

static struct file_faults faults;
static struct fixture *fixture;
static struct spool *spool;
static unsigned moves;
static char directory[] = "/tmp/skua-spool-XXXXXX";

static char byte_at(uint64_t position)
{
    return (char)(position * 31 + position / 251);
}

static void moved(void *context)
{
    moves++;
}

static void setup(uint64_t memory_max)
{
    fixture = fixture_new();
    file_faults_init(&faults);
    moves = 0;
    struct spool_options options = {.exec = fixture->exec,
                                    .files = &faults.system,
                                    .name = NAME,
                                    .memory_max = memory_max,
                                    .moved = moved};
    spool = spool_new(&options);
}

static void settle(void)
{
    while (exec_has_posts(fixture->exec))
        exec_run_posts(fixture->exec);
}

static void done(void)
{
    spool_free(spool);
    settle();
    assert_int_not_equal(access(NAME, F_OK), 0);
    fixture_free(fixture);
    file_faults_done(&faults);
}

static void append(void)
{
    struct snapshot_block *block = mem_alloc(sizeof *block + BLOCK);
    *block = (struct snapshot_block){.start = spool_end(spool), .size = BLOCK};
    atomic_init(&block->refs, 1);
    for (unsigned i = 0; i < BLOCK; i++)
        block->data[i] = byte_at(block->start + i);
    spool_append(spool, block);
}

/* Takes what there is, and returns where the reader is then. */
static uint64_t take(uint64_t position, uint64_t bytes_max)
{
    struct chunk_list list = {0};
    uint64_t taken = spool_take(spool, position, bytes_max, &list);
    assert_true(taken <= bytes_max);
    assert_int_equal(list.bytes, taken);
    for (const struct chunk *chunk = list.head; chunk; chunk = chunk->next)
        for (uint64_t i = chunk->start; i < chunk->end; i++, position++)
            assert_int_equal(chunk->data[i], byte_at(position));
    chunk_list_clear(&list, fixture->exec->chunks);
    return position;
}

/* Until everything has been taken, however often the file has to be asked. */
static uint64_t take_all(uint64_t position)
{
    for (unsigned i = 0; i < PATIENCE && position < spool_end(spool); i++) {
        position = take(position, UINT64_MAX);
        settle();
    }
    return position;
}

static void a_fast_reader_is_served_from_memory(void **state)
{
    setup(10 * BLOCK);
    uint64_t position = 0;
    for (unsigned i = 0; i < 100; i++) {
        append();
        position = take(position, UINT64_MAX);
        assert_int_equal(position, spool_end(spool));
        spool_need(spool, position);
    }
    settle();
    assert_int_equal(faults.writes, 0);
    assert_int_equal(spool_memory(spool), 0);
    done();
}

static void what_a_slow_reader_lacks_goes_to_the_file(void **state)
{
    setup(10 * BLOCK);
    for (unsigned i = 0; i < 100; i++) {
        append();
        settle();
        assert_true(spool_memory(spool) <= 11 * BLOCK);
        assert_false(spool_is_full(spool));
    }
    assert_true(faults.writes > 0);
    assert_int_equal(take(0, UINT64_MAX), 0); /* it has to be read first */
    settle();
    assert_true(moves > 0);
    assert_int_equal(take_all(0), 100 * BLOCK);
    assert_int_equal(take_all(33 * BLOCK + 17), 100 * BLOCK);
    done();
}

static void all_of_it_is_in_the_file_when_that_is_wanted(void **state)
{
    setup(0);
    for (unsigned i = 0; i < 50; i++)
        append();
    settle();
    assert_true(spool_is_written(spool));
    assert_int_equal(take_all(0), 50 * BLOCK);
    done();
}

static void without_a_disk_nothing_is_lost_and_the_producer_waits(void **state)
{
    setup(10 * BLOCK);
    faults.write_error = 28; /* ENOSPC */
    for (unsigned i = 0; i < 20; i++)
        append();
    settle();
    assert_int_not_equal(spool_status(spool), ST_OK);
    assert_true(spool_can_read(spool));
    assert_true(spool_is_full(spool));
    assert_int_equal(take(0, UINT64_MAX), 20 * BLOCK);
    spool_need(spool, 15 * BLOCK);
    assert_false(spool_is_full(spool));
    done();
}

static void it_may_end_while_a_job_is_under_way(void **state)
{
    setup(0);
    append();
    append();
    done();
}

static void readers_of_all_paces_get_everything_in_order(void **state)
{
    uint64_t places[READERS] = {0};
    struct rng rng;
    rng_seed(&rng, 16);
    setup(5 * BLOCK);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t needed = UINT64_MAX;
        if (!spool_is_full(spool))
            append();
        for (unsigned i = 0; i < READERS; i++) {
            if (rng_below(&rng, i * 4 + 1) == 0)
                places[i] = take(places[i], rng_below(&rng, 4 * BLOCK));
            needed = places[i] < needed ? places[i] : needed;
        }
        spool_need(spool, needed);
        assert_int_equal(spool_start(spool), needed);
        if (rng_below(&rng, 3) > 0)
            settle();
    }
    settle();
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(take_all(places[i]), spool_end(spool));
    done();
}

int main(void)
{
    if (mkdtemp(directory) == NULL || chdir(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fast_reader_is_served_from_memory),
        cmocka_unit_test(what_a_slow_reader_lacks_goes_to_the_file),
        cmocka_unit_test(all_of_it_is_in_the_file_when_that_is_wanted),
        cmocka_unit_test(without_a_disk_nothing_is_lost_and_the_producer_waits),
        cmocka_unit_test(it_may_end_while_a_job_is_under_way),
        cmocka_unit_test(readers_of_all_paces_get_everything_in_order),
    };
    int failed = cmocka_run_group_tests_name("spool", tests, NULL, NULL);
    return chdir("/") != 0 || rmdir(directory) != 0 ? 1 : failed;
}
