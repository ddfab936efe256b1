/* Proves: files are written whole or fail with the reason, also through short writes; a replaced file is the old one or the new
 * one; and the disk that tests let fail forgets only what was not synced. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../support/file_faults.h"
#include "base/file.h"

static char directory[64];

static int make_directory(void **state)
{
    snprintf(directory, sizeof directory, "/tmp/skua-test-file-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static void remove_one(void *context, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    unlink(path);
    rmdir(path);
}

static int remove_directory(void **state)
{
    file_list(file_system_real(), directory, remove_one, NULL);
    return rmdir(directory);
}

/* Good for the next fifteen calls. */
static const char *in_directory(const char *name)
{
    static char paths[16][128];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void expect_text(const char *name, const char *text)
{
    struct buf found = {0};
    assert_int_equal(file_read_whole(file_system_real(), in_directory(name), 1 << 20, &found), ST_OK);
    assert_string_equal(buf_string(&found), text);
    buf_done(&found);
}

static void files_are_written_read_and_cut(void **state)
{
    const struct file_system *system = file_system_real();
    struct file file;
    assert_int_equal(file_open(system, in_directory("a"), FILE_READ, &file), ST_NOT_FOUND);
    assert_int_equal(file_open(system, in_directory("a"), FILE_APPEND, &file), ST_OK);
    struct iovec pieces[] = {{"on", 2}, {"", 0}, {"e ", 2}, {"two", 3}};
    size_t written;
    assert_int_equal(file_write_pieces(&file, pieces, 4, &written), ST_OK);
    assert_int_equal(written, 7);
    assert_int_equal(file_sync(&file), ST_OK);
    file_close(&file);
    expect_text("a", "one two");

    assert_int_equal(file_open(system, in_directory("a"), FILE_CREATE_NEW, &file), ST_EXISTS);
    assert_int_equal(file_open(system, in_directory("a"), FILE_MODIFY, &file), ST_OK);
    char bytes[16];
    size_t count;
    assert_int_equal(file_pread(&file, bytes, sizeof bytes, 4, &count), ST_OK);
    assert_int_equal(count, 3);
    assert_memory_equal(bytes, "two", 3);
    assert_int_equal(file_pwrite_all(&file, "TWO", 3, 4), ST_OK);
    assert_int_equal(file_truncate(&file, 6), ST_OK);
    uint64_t size;
    assert_int_equal(file_size(&file, &size), ST_OK);
    assert_int_equal(size, 6);
    file_close(&file);
    expect_text("a", "one TW");

    struct buf text = {0};
    assert_int_equal(file_read_whole(system, in_directory("a"), 5, &text), ST_LIMIT);
    buf_done(&text);
}

static void count_name(void *context, const char *name)
{
    ++*(unsigned *)context;
}

static void names_come_and_go(void **state)
{
    const struct file_system *system = file_system_real();
    unsigned names = 0;
    char path[FILE_PATH_MAX];
    assert_int_equal(file_make_directory(system, in_directory("d")), ST_OK);
    assert_int_equal(file_make_directory(system, in_directory("d")), ST_EXISTS);
    assert_int_equal(file_replace(system, in_directory("b"), in_directory("temp-b"), SLICE("1")), ST_OK);
    assert_int_equal(file_rename(system, in_directory("b"), in_directory("c")), ST_OK);
    assert_int_equal(file_exists(system, in_directory("b")), ST_NOT_FOUND);
    assert_int_equal(file_exists(system, in_directory("c")), ST_OK);
    assert_int_equal(file_list(system, directory, count_name, &names), ST_OK);
    assert_int_equal(names, 3); /* a of the test before, c, d */
    assert_int_equal(file_unlink(system, in_directory("c")), ST_OK);
    assert_int_equal(file_unlink(system, in_directory("c")), ST_NOT_FOUND);
    assert_int_equal(file_sync_directory(system, directory), ST_OK);
    assert_int_equal(file_list(system, in_directory("none"), count_name, &names), ST_NOT_FOUND);
    assert_int_equal(file_directory_of("/a/b", path), ST_OK);
    assert_string_equal(path, "/a");
    assert_int_equal(file_directory_of("/a", path), ST_OK);
    assert_string_equal(path, "/");
    assert_int_equal(file_directory_of("a", path), ST_OK);
    assert_string_equal(path, ".");
}

static void short_writes_are_gone_on_with(void **state)
{
    struct file_faults faults;
    struct file file;
    file_faults_init(&faults);
    faults.write_max = 3;
    assert_int_equal(file_open(&faults.system, in_directory("short"), FILE_CREATE, &file), ST_OK);
    struct iovec pieces[] = {{"abcdefgh", 8}, {"i", 1}, {"jklm", 4}};
    size_t written;
    assert_int_equal(file_write_pieces(&file, pieces, 3, &written), ST_OK);
    assert_int_equal(written, 13);
    file_close(&file);
    expect_text("short", "abcdefghijklm");
    file_faults_done(&faults);
}

static void a_full_disk_takes_what_it_can(void **state)
{
    struct file_faults faults;
    struct file file;
    file_faults_init(&faults);
    faults.room = 5;
    assert_int_equal(file_open(&faults.system, in_directory("full"), FILE_CREATE, &file), ST_OK);
    struct iovec pieces[] = {{"abc", 3}, {"defg", 4}};
    size_t written;
    assert_int_equal(file_write_pieces(&file, pieces, 2, &written), ST_IO);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(written, 5);
    file_close(&file);
    expect_text("full", "abcde");
    file_faults_done(&faults);
}

static void a_replacement_that_fails_leaves_the_old_file(void **state)
{
    struct file_faults faults;
    file_faults_init(&faults);
    const char *path = in_directory("kept"), *temporary = in_directory("temp-kept");
    assert_int_equal(file_replace(&faults.system, path, temporary, SLICE("old")), ST_OK);
    int *const errors[] = {&faults.write_error, &faults.sync_error, &faults.rename_error, &faults.open_error};
    for (unsigned i = 0; i < 4; i++) {
        *errors[i] = EIO;
        assert_int_equal(file_replace(&faults.system, path, temporary, SLICE("new")), ST_IO);
        assert_int_equal(errno, EIO);
        *errors[i] = 0;
        expect_text("kept", "old");
        assert_int_equal(file_exists(&faults.system, temporary), ST_NOT_FOUND);
    }
    file_faults_done(&faults);
}

static void a_crash_loses_only_what_was_not_synced(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    bool lost_some = false;
    for (int i = 0; i < 50; i++) {
        struct file_faults faults;
        struct file file;
        struct buf found = {0};
        file_faults_init(&faults);
        assert_int_equal(file_open(&faults.system, in_directory("lost"), FILE_CREATE, &file), ST_OK);
        assert_int_equal(file_write_all(&file, "synced ", 7), ST_OK);
        assert_int_equal(file_sync(&file), ST_OK);
        assert_int_equal(file_write_all(&file, "unsynced", 8), ST_OK);
        file_faults_crash(&faults, &rng, false);
        assert_int_equal(file_read_whole(file_system_real(), in_directory("lost"), 100, &found), ST_OK);
        assert_in_range(found.size, 7, 15);
        assert_memory_equal(found.data, "synced unsynced", found.size);
        lost_some |= found.size < 15;
        buf_done(&found);
        file_faults_done(&faults);
    }
    assert_true(lost_some);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_written_read_and_cut),
        cmocka_unit_test(names_come_and_go),
        cmocka_unit_test(short_writes_are_gone_on_with),
        cmocka_unit_test(a_full_disk_takes_what_it_can),
        cmocka_unit_test(a_replacement_that_fails_leaves_the_old_file),
        cmocka_unit_test(a_crash_loses_only_what_was_not_synced),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
