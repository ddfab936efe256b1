/* Proves: manifests are read as they are written, also with names that need quotes; what Redis would refuse is refused; and files become
 * history in the right order, with numbers that are not used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "persist/aof_manifest.h"

static void expect_text(const struct aof_manifest *manifest, const char *text)
{
    struct buf found = {0};
    aof_manifest_format(manifest, &found);
    assert_string_equal(buf_string(&found), text);
    buf_done(&found);
}

static void expect_fault(const char *text, const char *fault)
{
    struct aof_manifest manifest;
    struct buf error = {0};
    assert_int_equal(aof_manifest_parse(slice_from_string(text), &manifest, &error), ST_INVALID);
    assert_string_equal(buf_string(&error), fault);
    buf_done(&error);
}

static void what_is_written_is_read(void **state)
{
    const char *text = "file a.2.base.rdb seq 2 type b\nfile a.1.base.rdb seq 1 type h\n"
                       "file \"odd \\x01 name\" seq 3 type i\nfile a.9.incr.aof seq 9 type i\n";
    struct aof_manifest manifest, copy;
    struct buf error = {0};
    assert_int_equal(aof_manifest_parse(slice_from_string(text), &manifest, &error), ST_OK);
    assert_int_equal(manifest.count, 4);
    assert_int_equal(manifest.base_seq, 2);
    assert_int_equal(manifest.incr_seq, 9);
    assert_string_equal(manifest.files[2].name, "odd \x01 name");
    expect_text(&manifest, text);
    aof_manifest_copy(&manifest, &copy);
    aof_manifest_done(&manifest);
    expect_text(&copy, text);
    aof_manifest_done(&copy);
}

static void what_is_not_known_is_passed_over(void **state)
{
    struct aof_manifest manifest;
    struct buf error = {0};
    const char *text = "# a comment\nSEQ 1 file a TYPE i startoffset 5\r\n";
    assert_int_equal(aof_manifest_parse(slice_from_string(text), &manifest, &error), ST_OK);
    expect_text(&manifest, "file a seq 1 type i\n");
    aof_manifest_done(&manifest);
}

static void faults_are_named(void **state)
{
    expect_fault("", "line 0 has no file at all");
    expect_fault("# nothing\n", "line 1 has no file at all");
    expect_fault("\n", "line 1 has an empty line");
    expect_fault("file a seq 1 type b", "line 1 has no end of the line");
    expect_fault("file a seq 1 type\n", "line 1 has a key without a word");
    expect_fault("file a seq x type b\n", "line 1 has a seq that is no number");
    expect_fault("file a seq 1 type q\n", "line 1 has no file with a seq and a type");
    expect_fault("file a seq 0 type b\n", "line 1 has no file with a seq and a type");
    expect_fault("file ../a seq 1 type b\n", "line 1 has a name that is a path");
    expect_fault("file \"\" seq 1 type b\n", "line 1 has a name that no file can have");
    expect_fault("file \"a seq 1 type b\n", "line 1 has quotes that do not match");
    expect_fault("file a seq 1 type b\nfile b seq 2 type b\n", "line 2 has a second base");
    expect_fault("file a seq 2 type i\nfile b seq 2 type i\n", "line 2 has numbers that do not grow");
    expect_fault("file a seq 1 type i\nfile a seq 2 type i\n", "line 2 has a name that is there twice");
}

static void a_rewrite_makes_history(void **state)
{
    struct aof_manifest manifest = {0};
    char name[AOF_NAME_MAX + 1];
    aof_manifest_adopt(&manifest, "log");
    assert_null(aof_manifest_last_incr(&manifest));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(aof_manifest_next_incr(&manifest, "log", name), ST_OK);
        aof_manifest_add_incr(&manifest, name);
    }
    aof_manifest_next_base(&manifest, "log", name);
    aof_manifest_set_base(&manifest, name, 3);
    expect_text(&manifest, "file log.2.base.rdb seq 2 type b\nfile log seq 1 type h\n"
                           "file log.1.incr.aof seq 1 type h\nfile log.2.incr.aof seq 2 type h\n"
                           "file log.3.incr.aof seq 3 type i\n");
    assert_int_equal(aof_manifest_count(&manifest, AOF_FILE_HISTORY), 3);
    aof_manifest_drop_history(&manifest);
    expect_text(&manifest, "file log.2.base.rdb seq 2 type b\nfile log.3.incr.aof seq 3 type i\n");
    aof_manifest_next_incr(&manifest, "log", name);
    assert_string_equal(name, "log.4.incr.aof");
    aof_manifest_done(&manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_not_known_is_passed_over),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(a_rewrite_makes_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
