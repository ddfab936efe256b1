/* Proves: what is appended to a large file, in pieces of any size, is in it, byte for byte, in direct mode and wherever that is refused; in
 * direct mode no write is other than aligned but the last, and few are made; a disk that is full or broken is told of as by other
 * files; and the buffer is counted and goes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../support/file_faults.h"
#include "base/alloc.h"
#include "base/bulk_file.h"

#define PAGE      ((size_t)4096)
#define TEXT_SIZE (3 * BULK_FILE_BUFFER + 2 * PAGE + 123)

static char directory[64], path[128];
static char *text; /* TEXT_SIZE bytes without a pattern */

static int make_directory(void **state)
{
    struct rng rng;
    rng_seed(&rng, 11);
    text = malloc(TEXT_SIZE);
    for (size_t i = 0; i < TEXT_SIZE; i++)
        text[i] = (char)rng_next(&rng);
    snprintf(directory, sizeof directory, "/tmp/skua-test-bulk-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/bulk", directory);
    return 0;
}

static int remove_directory(void **state)
{
    free(text);
    unlink(path);
    return rmdir(directory);
}

static void expect_text(size_t size)
{
    struct buf found = {0};
    assert_int_equal(file_read_whole(file_system_real(), path, TEXT_SIZE, &found), ST_OK);
    assert_int_equal(found.size, size);
    assert_memory_equal(found.data, text, size);
    buf_done(&found);
}

/* Appends `size` bytes by `step` at a time. */
static enum status append(struct bulk_file *bulk, size_t size, size_t step)
{
    enum status status = ST_OK;
    for (size_t at = 0; at < size && status == ST_OK; at += step)
        status = bulk_file_append(bulk, text + at, size - at < step ? size - at : step);
    return status;
}

static enum status write_file(const struct file_system *system, size_t size, size_t step)
{
    struct bulk_file bulk;
    assert_int_equal(bulk_file_open(system, path, &bulk), ST_OK);
    enum status status = append(&bulk, size, step);
    if (status == ST_OK)
        status = bulk_file_flush(&bulk);
    if (status == ST_OK)
        status = file_sync(&bulk.file);
    bulk_file_close(&bulk);
    return status;
}

static const size_t sizes[] = {
    0, 1, PAGE - 1, PAGE, PAGE + 1, BULK_FILE_BUFFER, BULK_FILE_BUFFER + 7, 3 * BULK_FILE_BUFFER, TEXT_SIZE};
static const size_t steps[] = {777, PAGE, (size_t)256 << 10, BULK_FILE_BUFFER, TEXT_SIZE};

static void expect_files_whole(const struct file_system *system)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            assert_int_equal(write_file(system, sizes[i], steps[k]), ST_OK);
            expect_text(sizes[i]);
        }
}

static void files_of_the_machine_are_whole(void **state)
{
    expect_files_whole(file_system_real());
}

static void direct_writes_are_few_and_aligned(void **state)
{
    struct file_faults faults;
    file_faults_init(&faults);
    for (faults.direct_alignment = PAGE; faults.direct_alignment <= 16 * PAGE; faults.direct_alignment *= 4) {
        expect_files_whole(&faults.system);
        faults.writes = faults.direct_writes = 0;
        assert_int_equal(write_file(&faults.system, TEXT_SIZE, 777), ST_OK);
        bool has_pages = faults.direct_alignment <= 2 * PAGE; /* in the last part */
        assert_int_equal(faults.direct_writes, has_pages ? 4 : 3);
        assert_int_equal(faults.writes, faults.direct_writes + 1);
    }
    file_faults_done(&faults);
}

static void without_direct_mode_bytes_are_written_as_they_come(void **state)
{
    struct file_faults faults;
    struct bulk_file bulk;
    file_faults_init(&faults);
    expect_files_whole(&faults.system);
    assert_int_equal(bulk_file_open(&faults.system, path, &bulk), ST_OK);
    assert_false(bulk.is_direct);
    assert_null(bulk.block);
    assert_int_equal(append(&bulk, 2000, 1000), ST_OK);
    expect_text(2000);
    bulk_file_close(&bulk);
    assert_int_equal(faults.direct_writes, 0);

    struct file_system none = faults.system;
    none.set_direct = NULL;
    expect_files_whole(&none);
    file_faults_done(&faults);
}

/* No buffer of this size is to be had: the file system's alignment is larger than it. */
static void an_alignment_beyond_the_buffer_is_no_direct_mode(void **state)
{
    struct file_faults faults;
    file_faults_init(&faults);
    faults.direct_alignment = 2 * BULK_FILE_BUFFER;
    assert_int_equal(write_file(&faults.system, TEXT_SIZE, PAGE), ST_OK);
    expect_text(TEXT_SIZE);
    assert_int_equal(faults.direct_writes, 0);
    file_faults_done(&faults);
}

static void refused_direct_writes_go_through_the_cache(void **state)
{
    struct file_faults faults;
    struct bulk_file bulk;
    file_faults_init(&faults);
    faults.direct_alignment = PAGE;
    faults.refuses_direct_writes = true;
    expect_files_whole(&faults.system);
    assert_int_equal(faults.direct_writes, 0);
    assert_int_equal(bulk_file_open(&faults.system, path, &bulk), ST_OK);
    assert_int_equal(append(&bulk, BULK_FILE_BUFFER, PAGE), ST_OK);
    assert_false(bulk.is_direct);
    assert_null(bulk.block);
    bulk_file_close(&bulk);
    file_faults_done(&faults);
}

/* Behind a short write the next one is aligned or not. */
static void short_writes_are_gone_on_with(void **state)
{
    static const size_t most[] = {PAGE, 3 * PAGE, 1000, BULK_FILE_BUFFER / 2 + 1};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        struct file_faults faults;
        file_faults_init(&faults);
        faults.direct_alignment = PAGE;
        faults.write_max = most[i];
        assert_int_equal(write_file(&faults.system, TEXT_SIZE, 5000), ST_OK);
        expect_text(TEXT_SIZE);
        assert_true(faults.direct_writes > 0);
        file_faults_done(&faults);
    }
}

static void a_full_or_broken_disk_is_told_of(void **state)
{
    /* When the buffer is full, in the whole pages of the rest, in what goes through the cache. */
    static const uint64_t rooms[] = {BULK_FILE_BUFFER / 2, 3 * BULK_FILE_BUFFER + PAGE,
                                     3 * BULK_FILE_BUFFER + 2 * PAGE + 100};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        struct file_faults faults;
        file_faults_init(&faults);
        faults.direct_alignment = PAGE;
        faults.room = rooms[i];
        assert_int_equal(write_file(&faults.system, TEXT_SIZE, 5000), ST_IO);
        assert_int_equal(errno, ENOSPC);
        faults.room = UINT64_MAX;
        faults.write_error = EIO;
        assert_int_equal(write_file(&faults.system, PAGE, PAGE), ST_IO);
        assert_int_equal(errno, EIO);
        faults.open_error = EACCES;
        struct bulk_file bulk;
        assert_int_equal(bulk_file_open(&faults.system, path, &bulk), ST_IO);
        assert_int_equal(errno, EACCES);
        file_faults_done(&faults);
    }
}

static void the_buffer_is_counted_and_goes(void **state)
{
    struct file_faults faults;
    struct bulk_file bulk;
    file_faults_init(&faults);
    faults.direct_alignment = PAGE;
    for (unsigned i = 0; i < 3; i++) {
        faults.write_error = 0;
        size_t before = mem_used();
        assert_int_equal(bulk_file_open(&faults.system, path, &bulk), ST_OK);
        if (i == 0) /* the account of the file stays */
            before = mem_used() - mem_usable_size(bulk.block);
        assert_true(mem_used() >= before + BULK_FILE_BUFFER);
        assert_int_equal(append(&bulk, 5000, 5000), ST_OK);
        faults.write_error = i == 2 ? EIO : 0;
        if (i > 0)
            assert_int_equal(bulk_file_flush(&bulk), i == 2 ? ST_IO : ST_OK);
        bulk_file_close(&bulk);
        assert_int_equal(mem_used(), before);
    }
    file_faults_done(&faults);
}

/* The machine's: where the file system of the test has direct mode the file is in it until the tail, and not behind it. */
static void direct_mode_ends_before_the_tail(void **state)
{
    struct bulk_file bulk;
    assert_int_equal(bulk_file_open(file_system_real(), path, &bulk), ST_OK);
    assert_int_equal((fcntl(bulk.file.descriptor, F_GETFL) & O_DIRECT) != 0, bulk.is_direct);
    assert_int_equal(append(&bulk, BULK_FILE_BUFFER + 10, PAGE), ST_OK);
    assert_int_equal(bulk_file_flush(&bulk), ST_OK);
    assert_false(bulk.is_direct);
    assert_int_equal(fcntl(bulk.file.descriptor, F_GETFL) & O_DIRECT, 0);
    assert_int_equal(bulk_file_append(&bulk, text + BULK_FILE_BUFFER + 10, 20), ST_OK);
    bulk_file_close(&bulk);
    expect_text(BULK_FILE_BUFFER + 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_the_machine_are_whole),
        cmocka_unit_test(direct_writes_are_few_and_aligned),
        cmocka_unit_test(without_direct_mode_bytes_are_written_as_they_come),
        cmocka_unit_test(an_alignment_beyond_the_buffer_is_no_direct_mode),
        cmocka_unit_test(refused_direct_writes_go_through_the_cache),
        cmocka_unit_test(short_writes_are_gone_on_with),
        cmocka_unit_test(a_full_or_broken_disk_is_told_of),
        cmocka_unit_test(the_buffer_is_counted_and_goes),
        cmocka_unit_test(direct_mode_ends_before_the_tail),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
