/* Proves: a crash leaves a report with signal, address, version, thread, registers, stack and the program's own
 * lines, and the process still dies of that signal: for a wild pointer, an overflowed stack, BUG, a signal from
 * outside, a crash on another thread, and a crash within the report. Each case crashes a child. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bug.h"
#include "base/crash.h"
#include "base/role.h"

/* Sanitizers put themselves between a signal and its handler, which changes the two odd cases. */
#ifdef __has_feature
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || HAS_FEATURE(address_sanitizer) ||       \
    HAS_FEATURE(thread_sanitizer)
#define UNDER_SANITIZER 1
#else
#define UNDER_SANITIZER 0
#endif

static char report[65536];

static void describe(int fd, void *context)
{
    const char *text = context;
    ssize_t written = write(fd, text, strlen(text));
    (void)written;
}

/* Runs `crash` in a child and gives the signal that ended it; `report` is what it wrote. */
static int crash_child(void (*crash)(void), void (*describe_hook)(int fd, void *context))
{
    int pipe_fds[2], status;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(pipe_fds[1], STDERR_FILENO);
        close(pipe_fds[0]);
        role_set(ROLE_EXECUTOR);
        crash_install(&(struct crash_options){.fd = pipe_fds[1],
                                              .version = "9.9.9-test",
                                              .describe = describe_hook,
                                              .context = "clients: 17\n"});
        crash();
        _exit(0);
    }
    close(pipe_fds[1]);
    size_t size = 0;
    ssize_t count;
    while ((count = read(pipe_fds[0], report + size, sizeof(report) - 1 - size)) > 0)
        size += (size_t)count;
    report[size] = '\0';
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void assert_reported(const char *text)
{
    if (strstr(report, text) == NULL)
        print_error("'%s' is missing in:\n%s\n", text, report);
    assert_non_null(strstr(report, text));
}

static NO_INLINE void touch_wild_pointer(void)
{
    volatile char *wild = (char *)0x1230;
    *wild = 1;
}

static void a_wild_pointer(void **state)
{
    assert_int_equal(crash_child(touch_wild_pointer, describe), SIGSEGV);
    assert_reported("SIGSEGV");
    assert_reported("address: 0x0000000000001230");
    assert_reported("version: 9.9.9-test");
    assert_reported("executor");
    assert_reported("clients: 17");
    assert_reported("stack");
    assert_reported("crash"); /* the program's name stands in each frame */
    assert_reported("END OF CRASH REPORT");
#if defined(__x86_64__) || defined(__aarch64__)
    assert_reported("pc:      0x");
    assert_reported("sp:      0x");
#endif
}

static NO_INLINE int overflow(int depth)
{
    volatile char room[4096];
    room[0] = (char)depth;
    /* Always true, which the compiler cannot know. */
    return (getpid() > 0 ? overflow(depth + 1) : 0) + room[0];
}

static void overflow_stack(void)
{
    exit(overflow(0));
}

static void an_overflowed_stack(void **state)
{
    if (UNDER_SANITIZER)
        skip();
    assert_int_equal(crash_child(overflow_stack, describe), SIGSEGV);
    assert_reported("SIGSEGV");
    assert_reported("END OF CRASH REPORT");
}

static void notice_mistake(void)
{
    BUG("the answer is %d", 41);
}

static void a_mistake_that_the_program_notices(void **state)
{
    assert_int_equal(crash_child(notice_mistake, describe), SIGABRT);
    assert_reported("BUG at ");
    assert_reported("test_crash.c:");
    assert_reported("the answer is 41");
    assert_reported("clients: 17");
    /* One report, not a second one for the abort. */
    assert_null(strstr(strstr(report, "SKUA CRASH REPORT") + 1, "SKUA CRASH REPORT"));
}

static void send_abort(void)
{
    kill(getpid(), SIGABRT);
}

static void a_signal_from_outside(void **state)
{
    assert_int_equal(crash_child(send_abort, NULL), SIGABRT);
    assert_reported("SIGABRT");
    assert_null(strstr(report, "address:"));
    assert_reported("END OF CRASH REPORT");
}

static void *crash_thread(void *argument)
{
    role_set(ROLE_IO);
    crash_thread_enter("test-io");
    touch_wild_pointer();
    crash_thread_leave();
    return NULL;
}

static void crash_on_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, crash_thread, NULL) == 0)
        pthread_join(thread, NULL);
}

static void another_thread(void **state)
{
    assert_int_equal(crash_child(crash_on_thread, NULL), SIGSEGV);
    assert_reported("test-io io");
    assert_reported("END OF CRASH REPORT");
}

static void crash_while_describing(int fd, void *context)
{
    touch_wild_pointer();
}

static void a_crash_within_the_report(void **state)
{
    if (UNDER_SANITIZER)
        skip();
    assert_int_equal(crash_child(touch_wild_pointer, crash_while_describing), SIGSEGV);
    assert_reported("address: 0x0000000000001230");
    assert_reported("the report crashed itself");
}

static void run_fatal(void)
{
    fatal("cannot run: %s", "no luck");
}

static void fatal_ends_with_status_1(void **state)
{
    assert_int_equal(crash_child(run_fatal, NULL), -1);
    assert_reported("fatal: cannot run: no luck\n");
    assert_null(strstr(report, "CRASH REPORT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wild_pointer),
        cmocka_unit_test(an_overflowed_stack),
        cmocka_unit_test(a_mistake_that_the_program_notices),
        cmocka_unit_test(a_signal_from_outside),
        cmocka_unit_test(another_thread),
        cmocka_unit_test(a_crash_within_the_report),
        cmocka_unit_test(fatal_ends_with_status_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
