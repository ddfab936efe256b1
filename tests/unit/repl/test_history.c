/* History on disk: whoever reads at whatever pace gets the log's bytes, in order, or is told that there is nothing; a disk that fails, or a file
 * that was changed, costs history and not a byte. */
#include "../../support/command_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../support/file_faults.h"
#include "base/rng.h"
#include "changelog/changelog.h"
#include "exec/post.h"
#include "repl/history.h"
#include "repl/history_file.h"

#define NAME     "history-test"
#define ORIGIN   12345
#define BYTES    (HISTORY_PAGES_MIN * HISTORY_SLOT_SIZE)
#define STEP     ((size_t)100000)
#define READERS  4
#define PATIENCE 1000

static struct file_faults faults;
static struct fixture *fixture;
static struct changelog *history_log;
static struct history *history;
static unsigned moves;
static char directory[] = "/tmp/skua-history-XXXXXX";

static char byte_at(uint64_t position)
{
    return (char)(position * 31 + position / 251 + position / HISTORY_PAGE_SIZE);
}

static void moved(void *context)
{
    moves++;
}

static void begin_history(void)
{
    struct history_options options = {.exec = fixture->exec,
                                      .files = &faults.system,
                                      .log = history_log,
                                      .name = NAME,
                                      .mark = 77,
                                      .bytes_max = BYTES,
                                      .moved = moved};
    history = history_new(&options);
}

static void setup(uint64_t memory_max)
{
    fixture = fixture_new();
    file_faults_init(&faults);
    moves = 0;
    history_log = changelog_new(ORIGIN, memory_max);
    begin_history();
}

static void settle(void)
{
    while (exec_has_posts(fixture->exec))
        exec_run_posts(fixture->exec);
}

static void done(void)
{
    history_free(history);
    settle();
    changelog_free(history_log);
    assert_int_not_equal(access(NAME, F_OK), 0);
    fixture_free(fixture);
    file_faults_done(&faults);
}

static void append(size_t size)
{
    static char bytes[STEP];
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(changelog_end(history_log) + i);
    changelog_append(history_log, slice_make(bytes, size));
    history_step(history);
}

static void append_to(uint64_t end)
{
    while (changelog_end(history_log) < end) {
        uint64_t left = end - changelog_end(history_log);
        append(left < STEP ? (size_t)left : STEP);
        settle();
    }
}

/* Takes what there is, and returns where the reader is then. */
static uint64_t take(uint64_t position, uint64_t bytes_max)
{
    struct chunk_list list = {0};
    uint64_t taken = history_take(history, position, bytes_max, &list);
    assert_true(taken <= bytes_max);
    assert_int_equal(list.bytes, taken);
    for (const struct chunk *chunk = list.head; chunk; chunk = chunk->next)
        for (uint64_t i = chunk->start; i < chunk->end; i++, position++)
            assert_int_equal(chunk->data[i], byte_at(position));
    chunk_list_clear(&list, fixture->exec->chunks);
    return position;
}

static void what_memory_has_forgotten_is_in_the_file(void **state)
{
    setup(CHANGELOG_BLOCK_SIZE);
    append_to(ORIGIN + BYTES / 4 * 3);
    assert_true(changelog_start(history_log) > ORIGIN);
    assert_int_equal(history_begin(history), ORIGIN);
    assert_true(history_end(history) + HISTORY_PAGE_SIZE > changelog_end(history_log));
    assert_true(changelog_memory(history_log) <= 4 * CHANGELOG_BLOCK_SIZE);
    uint64_t position = ORIGIN;
    for (unsigned i = 0; i < PATIENCE && position < history_end(history); i++) {
        position = take(position, UINT64_MAX);
        settle();
    }
    assert_int_equal(position, history_end(history));
    assert_true(history_memory(history) > 0 && history_memory(history) < 5 * HISTORY_SLOT_SIZE);
    struct changelog_cursor cursor;
    assert_true(
        changelog_open_kept(history_log, CHANGELOG_LINK, position, &cursor)); /* H1: there is no gap */
    changelog_close(&cursor);
    done();
}

static void the_oldest_pages_go(void **state)
{
    setup(CHANGELOG_BLOCK_SIZE);
    append_to(ORIGIN + 3 * BYTES);
    assert_true(history_end(history) - history_begin(history) <= BYTES);
    assert_true(history_end(history) - history_begin(history) >= BYTES / 2);
    uint64_t begin = history_begin(history);
    take(begin, 1);
    append_to(changelog_end(history_log) +
              BYTES); /* what was asked for is overwritten meanwhile: nothing of it is given */
    assert_true(history_begin(history) > begin);
    done();
}

static void readers_of_all_paces_get_the_same(void **state)
{
    struct rng rng;
    uint64_t positions[READERS];
    unsigned overtaken = 0;
    rng_seed(&rng, 3);
    setup(CHANGELOG_BLOCK_SIZE);
    append_to(ORIGIN + BYTES / 2);
    for (unsigned i = 0; i < READERS; i++)
        positions[i] = history_begin(history) + i * 1000;
    for (unsigned round = 0; round < 600; round++) {
        unsigned i = (unsigned)rng_below(&rng, READERS);
        if (rng_below(&rng, 3) == 0)
            append((size_t)rng_below(&rng, STEP) + 1);
        if (rng_below(&rng, 2) == 0)
            exec_run_posts(fixture->exec);
        if (positions[i] < history_begin(history)) {
            positions[i] = history_begin(history);
            overtaken++;
        }
        if (positions[i] < history_end(history))
            positions[i] = take(positions[i], rng_below(&rng, 3 * HISTORY_SLOT_SIZE) + 1);
    }
    int error;
    assert_int_equal(history_status(history, &error), ST_OK);
    assert_true(moves > 0 && overtaken < 600);
    done();
}

/* Fails as the hooks say, and lets go of the log: what was only kept for it goes with it. */
static void expect_failure(enum status status, int error)
{
    int found;
    for (unsigned i = 0; i < PATIENCE && history_status(history, &found) == ST_OK; i++) {
        append(STEP);
        settle();
    }
    assert_int_equal(history_status(history, &found), status);
    assert_int_equal(found, error);
    history_free(history);
    settle();
    assert_true(changelog_memory(history_log) <= 4 * CHANGELOG_BLOCK_SIZE);
    faults.write_error = faults.open_error = 0;
    faults.room = UINT64_MAX;
    begin_history();
    append_to(changelog_end(history_log) + CHANGELOG_BLOCK_SIZE);
    assert_int_equal(history_status(history, &found), ST_OK);
    assert_true(history_end(history) > history_begin(history));
}

static void a_full_disk_ends_it(void **state)
{
    setup(CHANGELOG_BLOCK_SIZE);
    faults.room = BYTES / 4;
    expect_failure(ST_IO, ENOSPC);
    done();
}

static void a_broken_disk_ends_it(void **state)
{
    setup(CHANGELOG_BLOCK_SIZE);
    append_to(ORIGIN + BYTES / 4);
    faults.write_error = EIO;
    expect_failure(ST_IO, EIO);
    done();
}

static void a_file_that_cannot_be_made_ends_it(void **state)
{
    setup(CHANGELOG_BLOCK_SIZE);
    faults.open_error = EACCES;
    expect_failure(ST_IO, EACCES);
    done();
}

static void a_disk_that_writes_a_little_at_a_time_is_fine(void **state)
{
    setup(CHANGELOG_BLOCK_SIZE);
    faults.write_max = 777;
    append_to(ORIGIN + BYTES / 4);
    uint64_t position = ORIGIN;
    for (unsigned i = 0; i < PATIENCE && position < history_end(history); i++) {
        position = take(position, UINT64_MAX);
        settle();
    }
    assert_int_equal(position, history_end(history));
    done();
}

/* H4: the jobs do not come back. */
static void a_disk_that_is_too_slow_ends_it(void **state)
{
    int error;
    setup(CHANGELOG_BLOCK_SIZE);
    while (changelog_end(history_log) < ORIGIN + HISTORY_UNWRITTEN_MAX + 4 * CHANGELOG_BLOCK_SIZE)
        append(STEP);
    assert_int_equal(history_status(history, &error), ST_LIMIT);
    done();
}

/* ---- The file alone ------------------------------------------------------------------------------- */

static char page_bytes[HISTORY_PAGE_SIZE], slot[HISTORY_SLOT_SIZE];

static void write_pages(struct history_file *file, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        uint64_t page = history_file_prepare(file, 1);
        for (size_t i = 0; i < HISTORY_PAGE_SIZE; i++)
            page_bytes[i] = byte_at(history_file_page_begin(file, page) + i);
        /* In two pieces. */
        struct iovec pieces[] = {{page_bytes, 1000}, {page_bytes + 1000, HISTORY_PAGE_SIZE - 1000}};
        assert_int_equal(history_file_write(file, page, pieces, 2), ST_OK);
        history_file_commit(file, 1);
    }
}

static struct history_file new_file(void)
{
    struct history_file file;
    struct history_file_options options = {
        .files = file_system_real(), .name = NAME, .mark = 5, .origin = ORIGIN, .bytes_max = 1};
    history_file_init(&file, &options);
    return file;
}

static void a_page_is_what_was_written_or_nothing(void **state)
{
    struct history_file file = new_file();
    assert_int_equal(history_file_read(&file, 0, slot), ST_INVALID); /* nothing is there */
    write_pages(&file, 20);
    assert_int_equal(file.begin, 4);
    for (uint64_t page = file.begin; page < file.end; page++) {
        assert_int_equal(history_file_read(&file, page, slot), ST_OK);
        for (size_t i = 0; i < HISTORY_PAGE_SIZE; i += 101)
            assert_int_equal(slot[HISTORY_HEAD_SIZE + i], byte_at(history_file_page_begin(&file, page) + i));
    }
    assert_int_equal(history_file_read(&file, 3, slot), ST_INVALID); /* page 19 lies there */
    /* Each byte counts, of the heading as well. */
    static const size_t places[] = {0, 7, 8, 15, 16, 23, 24, 5000, HISTORY_SLOT_SIZE - 1};
    for (unsigned i = 0; i < ARRAY_COUNT(places); i++) {
        off_t at = (off_t)(5 * HISTORY_SLOT_SIZE + places[i]);
        char byte, other;
        assert_int_equal(pread(file.file.descriptor, &byte, 1, at), 1);
        other = (char)(byte ^ 1);
        assert_int_equal(pwrite(file.file.descriptor, &other, 1, at), 1);
        assert_int_equal(history_file_read(&file, 5, slot), ST_INVALID);
        assert_int_equal(pwrite(file.file.descriptor, &byte, 1, at), 1);
        assert_int_equal(history_file_read(&file, 5, slot), ST_OK);
    }
    file.mark++; /* of another file */
    assert_int_equal(history_file_read(&file, 5, slot), ST_INVALID);
    file.mark--;
    assert_int_equal(ftruncate(file.file.descriptor, (off_t)(HISTORY_PAGES_MIN * HISTORY_SLOT_SIZE - 1)), 0);
    assert_int_equal(history_file_read(&file, HISTORY_PAGES_MIN - 1, slot), ST_INVALID);
    assert_int_equal(history_file_read(&file, 5, slot), ST_OK);
    history_file_done(&file);
}

static int enter_directory(void **state)
{
    return mkdtemp(directory) == NULL || chdir(directory) != 0;
}

static int leave_directory(void **state)
{
    return chdir("/") != 0 || rmdir(directory) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_memory_has_forgotten_is_in_the_file),
        cmocka_unit_test(the_oldest_pages_go),
        cmocka_unit_test(readers_of_all_paces_get_the_same),
        cmocka_unit_test(a_full_disk_ends_it),
        cmocka_unit_test(a_broken_disk_ends_it),
        cmocka_unit_test(a_file_that_cannot_be_made_ends_it),
        cmocka_unit_test(a_disk_that_writes_a_little_at_a_time_is_fine),
        cmocka_unit_test(a_disk_that_is_too_slow_ends_it),
        cmocka_unit_test(a_page_is_what_was_written_or_nothing),
    };
    return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
