/* Lookups of names: numbers at once, names by a thread, and clients that go away meanwhile (this is also a test for
 * TSan). */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/resolve.h"

#define WAIT_MS 60000

static void numbers_need_no_thread(void **state)
{
    const char *const numbers[] = {"127.0.0.1", "::1", "10.1.2.3"};
    struct addrinfo *addresses;
    struct fault fault;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(resolve_numeric(numbers[i], 6379, &addresses, &fault), SKUA_OK);
        assert_non_null(addresses);
        freeaddrinfo(addresses);
    }
    assert_int_equal(resolve_numeric("localhost", 6379, &addresses, &fault), SKUA_AGAIN);
}

static enum skua_status wait_for(struct lookup *lookup, struct addrinfo **ret_addresses, struct fault *fault)
{
    struct pollfd watched = {.fd = resolve_descriptor(lookup), .events = POLLIN};
    assert_int_equal(poll(&watched, 1, WAIT_MS), 1);
    return resolve_finish(lookup, ret_addresses, fault);
}

static void a_name_is_found_by_a_thread(void **state)
{
    struct lookup *lookup;
    struct addrinfo *addresses = NULL;
    struct fault fault;
    assert_int_equal(resolve_start("localhost", 6379, &lookup, &fault), SKUA_OK);
    assert_int_equal(wait_for(lookup, &addresses, &fault), SKUA_OK);
    resolve_abandon(lookup);
    assert_non_null(addresses);
    freeaddrinfo(addresses);
}

static void an_unknown_name_says_which(void **state)
{
    struct lookup *lookup;
    struct addrinfo *addresses = NULL;
    struct fault fault;
    assert_int_equal(resolve_start("no-such-host.invalid", 6379, &lookup, &fault), SKUA_OK);
    assert_int_equal(wait_for(lookup, &addresses, &fault), SKUA_ERR_RESOLVE);
    resolve_abandon(lookup);
    assert_null(addresses);
    assert_int_equal(fault.status, SKUA_ERR_RESOLVE);
    assert_memory_equal(fault.text, "look up no-such-host.invalid: ", 30);
}

static unsigned count_threads(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    while (readdir(tasks) != NULL)
        count++;
    closedir(tasks);
    return count;
}

/* Nobody joins the thread of a lookup that was given up; what it holds would look like a leak at the end of the program. */
static void wait_for_threads(unsigned count)
{
    while (count_threads() > count)
        usleep(1000);
}

static void a_lookup_may_be_abandoned_at_any_time(void **state)
{
    unsigned threads = count_threads();
    struct fault fault;
    for (int i = 0; i < 50; i++) {
        struct lookup *lookup;
        assert_int_equal(resolve_start(i % 2 ? "localhost" : "no-such-host.invalid", 1, &lookup, &fault),
                         SKUA_OK);
        if (i % 5 == 0) { /* when it has ended */
            struct pollfd watched = {.fd = resolve_descriptor(lookup), .events = POLLIN};
            assert_int_equal(poll(&watched, 1, WAIT_MS), 1);
        }
        resolve_abandon(lookup);
    }
    resolve_abandon(NULL);
    wait_for_threads(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_need_no_thread),
        cmocka_unit_test(a_name_is_found_by_a_thread),
        cmocka_unit_test(an_unknown_name_says_which),
        cmocka_unit_test(a_lookup_may_be_abandoned_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
