/* Proves: a line a call and no more, levels hold, a client's bytes cannot fake a line, and a rotated file is opened
 * anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static char directory[64];
static char path[96];

static int make_directory(void **state)
{
    snprintf(directory, sizeof(directory), "/tmp/skua-test-log-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/log", directory);
    return 0;
}

static int remove_directory(void **state)
{
    char rotated[128];
    snprintf(rotated, sizeof(rotated), "%s.1", path);
    unlink(path);
    unlink(rotated);
    return rmdir(directory);
}

/* The file's text, and the number of its lines. */
static int read_log(char *ret_text, size_t capacity)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t size = fread(ret_text, 1, capacity - 1, file);
    fclose(file);
    ret_text[size] = '\0';
    int lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += ret_text[i] == '\n';
    return lines;
}

static void lines_and_levels(void **state)
{
    char text[16384], expected[64];
    struct log *log;
    assert_int_equal(log_open(path, LOG_NOTICE, &log), ST_OK);
    log_write(log, LOG_DEBUG, "hidden");
    log_write(log, LOG_VERBOSE, "hidden");
    assert_int_equal(read_log(text, sizeof(text)), 0);
    log_write(log, LOG_NOTICE, "seen %d", 1);
    log_write(log, LOG_WARNING, "seen %d", 2);
    assert_int_equal(read_log(text, sizeof(text)), 2);
    snprintf(expected, sizeof(expected), "%d:M ", (int)getpid());
    assert_memory_equal(text, expected, strlen(expected));
    assert_non_null(strstr(text, " * seen 1\n"));
    assert_non_null(strstr(text, " # seen 2\n"));
    log_set_level(log, LOG_DEBUG);
    log_write(log, LOG_DEBUG, "debug");
    log_write(log, LOG_VERBOSE, "verbose");
    assert_int_equal(read_log(text, sizeof(text)), 4);
    assert_non_null(strstr(text, " . debug\n"));
    assert_non_null(strstr(text, " - verbose\n"));
    log_set_level(log, LOG_NOTHING);
    log_write(log, LOG_WARNING, "hidden");
    assert_int_equal(read_log(text, sizeof(text)), 4);
    log_close(log);
}

static void no_text_makes_a_second_line(void **state)
{
    static char text[65536], big[10000];
    struct log *log;
    unlink(path);
    assert_int_equal(log_open(path, LOG_DEBUG, &log), ST_OK);
    log_write(log, LOG_NOTICE, "user '%s'", "x\r\n1:M fake\x1b[2J");
    assert_int_equal(read_log(text, sizeof(text)), 1);
    assert_non_null(strstr(text, "user 'x  1:M fake [2J'\n"));
    memset(big, 'a', sizeof(big) - 1);
    log_write(log, LOG_NOTICE, "%s", big);
    assert_int_equal(read_log(text, sizeof(text)), 2);
    assert_int_equal(text[strlen(text) - 1], '\n');
    log_close(log);
}

static void lines_of_our_own(void **state)
{
    char text[16384];
    struct log *log;
    unlink(path);
    assert_int_equal(log_open(path, LOG_NOTICE, &log), ST_OK);
    log_write_lines(log, LOG_NOTICE, "first\n  second\n");
    log_write_lines(log, LOG_NOTICE, "third");
    log_write_lines(log, LOG_NOTICE, "");
    log_write_lines(log, LOG_DEBUG, "hidden");
    assert_int_equal(read_log(text, sizeof(text)), 3);
    assert_non_null(strstr(text, " * first\n"));
    assert_non_null(strstr(text, " *   second\n"));
    assert_non_null(strstr(text, " * third\n"));
    log_close(log);
}

static void a_rotated_file_is_opened_anew(void **state)
{
    char text[65536], rotated[128];
    struct log *log;
    unlink(path);
    assert_int_equal(log_open(path, LOG_DEBUG, &log), ST_OK);
    log_write(log, LOG_NOTICE, "before");
    snprintf(rotated, sizeof(rotated), "%s.1", path);
    assert_int_equal(rename(path, rotated), 0);
    /* The log looks once a second: lines go to one file or the other until then, and are never lost. */
    for (int i = 0; access(path, F_OK) != 0 && i < 1000; i++) {
        log_write(log, LOG_NOTICE, "meanwhile");
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    log_write(log, LOG_NOTICE, "after");
    assert_true(read_log(text, sizeof(text)) >= 1);
    assert_non_null(strstr(text, "after"));
    assert_null(strstr(text, "before"));
    log_close(log);
}

/* Stands in place of libc's, plain and as _FORTIFY_SOURCE calls it. */
static char system_line[256];
static int system_priority, system_facility;

void openlog(const char *ident, int option, int facility);
void openlog(const char *ident, int option, int facility)
{
    system_facility = facility;
}

static void take_line(int priority, const char *format, va_list arguments)
{
    system_priority = priority;
    vsnprintf(system_line, sizeof(system_line), format, arguments);
}

void syslog(int priority, const char *format, ...);
void syslog(int priority, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    take_line(priority, format, arguments);
    va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    take_line(priority, format, arguments);
    va_end(arguments);
}

static void lines_go_to_the_system_too(void **state)
{
    char text[16384];
    struct log *log;
    unlink(path);
    assert_int_equal(log_open(path, LOG_NOTICE, &log), ST_OK);
    log_to_system(log, "skua-test", "local3");
    assert_int_equal(system_facility, 19 << 3); /* RFC 5424 */
    log_write(log, LOG_WARNING, "100%%s %d\n", 7);
    assert_string_equal(system_line, "100%s 7 ");
    assert_int_equal(system_priority, 4);
    log_write(log, LOG_NOTICE, "noticed");
    assert_int_equal(system_priority, 5);
    log_write(log, LOG_DEBUG, "hidden");
    assert_string_equal(system_line, "noticed");
    assert_int_equal(read_log(text, sizeof(text)), 2);
    log_to_system(log, "skua-test", "user");
    assert_int_equal(system_facility, 1 << 3);
    log_close(log);
}

static void what_cannot_be_opened_is_told(void **state)
{
    char bad[128];
    struct log *log = NULL;
    snprintf(bad, sizeof(bad), "%s/none/log", directory);
    assert_int_equal(log_open(bad, LOG_DEBUG, &log), ST_IO);
    assert_null(log);
    log_write(NULL, LOG_WARNING, "swallowed");
    log_set_level(NULL, LOG_DEBUG);
    log_close(NULL);
    assert_int_equal(log_descriptor(NULL), STDERR_FILENO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_levels),
        cmocka_unit_test(no_text_makes_a_second_line),
        cmocka_unit_test(lines_of_our_own),
        cmocka_unit_test(lines_go_to_the_system_too),
        cmocka_unit_test(a_rotated_file_is_opened_anew),
        cmocka_unit_test(what_cannot_be_opened_is_told),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
