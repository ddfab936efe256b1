/* The form of a log (tools/check/log_scan): where it is sound, torn and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "check/log_scan.h"

#define SET_A   "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n" /* 27 bytes */
#define MULTI   "*1\r\n$5\r\nMULTI\r\n"                     /* 15 */
#define EXEC    "*1\r\n$4\r\nEXEC\r\n"                      /* 14 */
#define UNKNOWN "*1\r\n$6\r\nNOSUCH\r\n"

struct log_case {
    const char *text;
    size_t size;         /* 0: the text's */
    enum log_state ends; /* LOG_DAMAGED: when fed */
    bool is_sound;
    uint64_t sound_end;
    uint64_t error_at;
};

static const struct log_case cases[] = {
    {"", 0, LOG_START, true, 0, 0},
    {SET_A, 0, LOG_START, true, 27, 0},
    {SET_A SET_A, 0, LOG_START, true, 54, 0},
    {"#TS:1700000000\n" SET_A, 0, LOG_START, true, 42, 0},
    {SET_A "#TS:17", 0, LOG_ANNOTATION, false, 27, 33},
    {MULTI SET_A EXEC, 0, LOG_START, true, 56, 0},
    {SET_A MULTI SET_A, 0, LOG_START, false, 27, 69},
    {SET_A MULTI SET_A "*1\r\n$4\r\nEX", 0, LOG_BODY, false, 27, 79},
    {SET_A "*", 0, LOG_COUNT, false, 27, 28},
    {SET_A "*3\r\n", 0, LOG_SIZE, false, 27, 31},
    {SET_A "*3\r\n$3\r\nSET\r", 0, LOG_BODY, false, 27, 39},
    {SET_A "\0\0\0", 30, LOG_ZEROS, false, 27, 30},
    {SET_A "\0\0x", 30, LOG_DAMAGED, false, 27, 27},
    {SET_A "SET a 1\r\n", 0, LOG_DAMAGED, false, 27, 27},
    {"*0\r\n", 0, LOG_DAMAGED, false, 0, 3},
    {"*-1\r\n", 0, LOG_DAMAGED, false, 0, 1},
    {"*1\n", 0, LOG_DAMAGED, false, 0, 2},
    {"*1\r\n:3\r\n", 0, LOG_DAMAGED, false, 0, 4},
    {"*1\r\n$3\r\nSETx", 0, LOG_DAMAGED, false, 0, 11},
    {"*1\r\n$99999999999999999999\r\n", 0, LOG_DAMAGED, false, 0, 26},
    {"*999999999999999999999999999999999999\r\n", 0, LOG_DAMAGED, false, 0, 33},
};

static void test_cases(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct log_case *one = &cases[i];
        size_t size = one->size > 0 ? one->size : strlen(one->text);
        for (size_t step = 1; step <= size + 1; step++) {
            struct log_scan scan;
            bool goes_on = true;
            log_scan_init(&scan, 0);
            for (size_t at = 0; goes_on && at < size; at += step)
                goes_on =
                    log_scan_feed(&scan, slice_make(one->text + at, size - at < step ? size - at : step));
            assert_int_equal(goes_on, one->ends != LOG_DAMAGED);
            assert_int_equal(scan.state, one->ends);
            assert_int_equal(log_scan_end(&scan), one->is_sound);
            assert_int_equal(scan.sound_end, one->sound_end);
            assert_int_equal(scan.error_at, one->error_at);
            assert_int_equal(scan.error[0] == 0, one->is_sound);
        }
    }
}

static void test_counts(void **state)
{
    static const char text[] = "#one\n" MULTI SET_A SET_A EXEC UNKNOWN SET_A UNKNOWN "#two\n";
    struct log_scan scan;
    log_scan_init(&scan, 1000);
    assert_true(log_scan_feed(&scan, slice_make(text, sizeof text - 1)));
    assert_true(log_scan_end(&scan));
    assert_int_equal(scan.requests, 7);
    assert_int_equal(scan.transactions, 1);
    assert_int_equal(scan.annotations, 2);
    assert_int_equal(scan.unknown, 2);
    assert_string_equal(scan.first_unknown, "NOSUCH");
    assert_int_equal(scan.first_unknown_at, 1000 + 5 + 15 + 27 + 27 + 14);
    assert_int_equal(scan.offset, 1000 + sizeof text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
