/* URLs: what each form means, and which byte is wrong with others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <skua/url.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_string(const char *found, const char *expected)
{
    if (expected == NULL)
        assert_null(found);
    else
        assert_string_equal(found, expected);
}

struct good {
    const char *text;
    struct skua_url url;
};

static void check_good(const struct good *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct skua_url url;
        const char *problem = "untouched";
        size_t offset = 77;
        const struct skua_url *expected = &cases[i].url;
        if (skua_url_parse(cases[i].text, &url, &problem, &offset) != SKUA_OK)
            fail_msg("%s: %s at %zu", cases[i].text, problem, offset);
        assert_int_equal(url.scheme, expected->scheme);
        check_string(url.host, expected->host);
        check_string(url.path, expected->path);
        check_string(url.user, expected->user);
        check_string(url.password, expected->password);
        check_string(url.name, expected->name);
        assert_int_equal(url.port, expected->port);
        assert_int_equal(url.db, expected->db);
        assert_int_equal(url.protocol, expected->protocol);
        assert_int_equal(url.request_ring, expected->request_ring);
        assert_int_equal(url.reply_ring, expected->reply_ring);
        assert_string_equal(problem, "untouched");
        assert_int_equal(offset, 77);
    }
}

#define TCP SKUA_SCHEME_TCP, .port

static void understands_hosts(void **state)
{
    static const struct good cases[] = {
        {"redis://localhost", {TCP = 6379, .host = "localhost"}},
        {"redis://localhost/", {TCP = 6379, .host = "localhost"}},
        {"redis://localhost?", {TCP = 6379, .host = "localhost"}},
        {"REDIS://Host", {TCP = 6379, .host = "Host"}},
        {"valkey://127.0.0.1:7000", {TCP = 7000, .host = "127.0.0.1"}},
        {"skua://h:1/15", {TCP = 1, .host = "h", .db = 15}},
        {"redis://h:65535/00", {TCP = 65535, .host = "h"}},
        {"redis://:secret@host/2", {TCP = 6379, .host = "host", .password = "secret", .db = 2}},
        {"redis://user:pass@host", {TCP = 6379, .host = "host", .user = "user", .password = "pass"}},
        {"redis://user:@host", {TCP = 6379, .host = "host", .user = "user", .password = ""}},
        {"redis://:@host", {TCP = 6379, .host = "host"}},
        {"redis://u:a:b@host", {TCP = 6379, .host = "host", .user = "u", .password = "a:b"}},
        {"redis://u%3A%40:p%2f%40%20%25@h%2ex",
         {TCP = 6379, .host = "h.x", .user = "u:@", .password = "p/@ %"}},
        {"redis://[::1]", {TCP = 6379, .host = "::1"}},
        {"redis://[fe80::1%25eth0]:7000/3", {TCP = 7000, .host = "fe80::1%eth0", .db = 3}},
        {"redis://u:p@[2001:db8::7]:1", {TCP = 1, .host = "2001:db8::7", .user = "u", .password = "p"}},
        {"redis://h?db=3&protocol=3&name=a%20b%26",
         {TCP = 6379, .host = "h", .db = 3, .protocol = 3, .name = "a b&"}},
        {"redis://h/?protocol=2&", {TCP = 6379, .host = "h", .protocol = 2}},
        {"redis://h/2147483647", {TCP = 6379, .host = "h", .db = 2147483647}},
        {"rediss://h:7", {SKUA_SCHEME_TLS, .port = 7, .host = "h"}},
        {"rdma://h", {SKUA_SCHEME_RDMA, .port = 6379, .host = "h"}},
    };
    check_good(cases, COUNT(cases));
}

static void understands_paths(void **state)
{
    static const struct good cases[] = {
        {"unix:///run/skua.sock", {SKUA_SCHEME_UNIX, .path = "/run/skua.sock"}},
        {"redis+unix:///s?db=4", {SKUA_SCHEME_UNIX, .path = "/s", .db = 4}},
        {"unix://u:p@/a%20b@c:d", {SKUA_SCHEME_UNIX, .path = "/a b@c:d", .user = "u", .password = "p"}},
        {"unix://:p@/s?name=n&protocol=3",
         {SKUA_SCHEME_UNIX, .path = "/s", .password = "p", .name = "n", .protocol = 3}},
        {"shm:///skua", {SKUA_SCHEME_SHM, .path = "/skua"}},
        {"shm://u:p@/s?request-ring=4096&db=2&reply-ring=67108864",
         {SKUA_SCHEME_SHM, .path = "/s", .user = "u", .password = "p", .db = 2, .request_ring = 4096,
          .reply_ring = 67108864}},
    };
    check_good(cases, COUNT(cases));
}

struct bad {
    const char *text;
    size_t offset;
    const char *problem;
};

static void check_bad(const struct bad *cases, size_t count)
{
    struct skua_url url;
    memset(&url, 0x5a, sizeof(url));
    struct skua_url before = url;
    for (size_t i = 0; i < count; i++) {
        const char *problem = NULL;
        size_t offset = 0;
        assert_int_equal(skua_url_parse(cases[i].text, &url, &problem, &offset), SKUA_ERR_URL);
        assert_string_equal(problem, cases[i].problem);
        if (offset != cases[i].offset)
            fail_msg("%s: offset %zu", cases[i].text, offset);
        assert_memory_equal(&url, &before, sizeof(url));
        assert_int_equal(skua_url_parse(cases[i].text, &url, NULL, NULL), SKUA_ERR_URL);
    }
}

static void refuses_schemes_and_bytes(void **state)
{
    static const struct bad cases[] = {
        {"", 0, "no scheme, such as redis://"},
        {"localhost:6379", 0, "no scheme, such as redis://"},
        {"redis:/h", 0, "no scheme, such as redis://"},
        {"http://h", 0, "an unknown scheme"},
        {"://h", 0, "an unknown scheme"},
        {"redi://h", 0, "an unknown scheme"},
        {"redis://a b", 9, "a blank or control character"},
        {"redis://a\n", 9, "a blank or control character"},
        {"redis://h/#1", 10, "'#' is written as %23"},
    };
    check_bad(cases, COUNT(cases));
}

static void refuses_hosts_and_ports(void **state)
{
    static const struct bad cases[] = {
        {"redis://", 8, "no host"},
        {"redis:///1", 8, "no host"},
        {"redis://:6379", 8, "no host"},
        {"redis://u:p@", 12, "no host"},
        {"redis://h:", 10, "a port is a number from 1 to 65535"},
        {"redis://h:0", 10, "a port is a number from 1 to 65535"},
        {"redis://h:65536", 10, "a port is a number from 1 to 65535"},
        {"redis://h:99999999999999999999", 10, "a port is a number from 1 to 65535"},
        {"redis://h:6x", 11, "a port is a number from 1 to 65535"},
        {"redis://h:-1", 10, "a port is a number from 1 to 65535"},
        {"redis://::1", 8, "an IPv6 address stands in brackets"},
        {"redis://%3a%3A1", 8, "an IPv6 address stands in brackets"},
        {"redis://[::1", 8, "'[' without ']'"},
        {"redis://::1]", 8, "an IPv6 address stands in brackets"},
        {"redis://h]", 9, "']' without '['"},
        {"redis://[h]", 9, "not an IPv6 address"},
        {"redis://[]", 9, "not an IPv6 address"},
        {"redis://[::1%25]", 9, "not an IPv6 address"},
        {"redis://[::1]7000", 13, "expected ':' and a port"},
        {"redis://[::1]:", 14, "a port is a number from 1 to 65535"},
        {"redis://a%20b", 8, "a blank or control character in the host"},
        {"redis://a%00b", 9, "a zero byte"},
        {"redis://a%2", 9, "'%' without two hexadecimal digits"},
        {"redis://a%", 9, "'%' without two hexadecimal digits"},
        {"redis://a%4g", 9, "'%' without two hexadecimal digits"},
        {"redis://h%2:7", 9, "'%' without two hexadecimal digits"},
    };
    check_bad(cases, COUNT(cases));
}

static void refuses_logins(void **state)
{
    static const struct bad cases[] = {
        {"redis://user@host", 8, "a user without a password"},
        {"redis://@host", 8, "a user without a password"},
        {"redis://u:p@ss@host", 11, "an '@' in a user or password is written as %40"},
        {"redis://u%00:p@h", 9, "a zero byte"},
        {"redis://u:p%00@h", 11, "a zero byte"},
        {"redis://u%:p@h", 9, "'%' without two hexadecimal digits"},
        {"unix://user@/s", 7, "a user without a password"},
    };
    check_bad(cases, COUNT(cases));
}

static void refuses_databases_paths_and_keys(void **state)
{
    static const struct bad cases[] = {
        {"redis://h/a", 10, "a database is a number"},
        {"redis://h/1/", 11, "a database is a number"},
        {"redis://h/-1", 10, "a database is a number"},
        {"redis://h/2147483648", 10, "a database is a number"},
        {"redis://h/1?db=1", 15, "the database is given twice"},
        {"redis://h?db=1&db=1", 18, "the database is given twice"},
        {"redis://h?db=", 13, "a database is a number"},
        {"redis://h?db", 12, "a database is a number"},
        {"redis://h?protocol=1", 19, "a protocol is 2 or 3"},
        {"redis://h?protocol=4", 19, "a protocol is 2 or 3"},
        {"redis://h?protocol=2&protocol=2", 21, "the protocol is given twice"},
        {"redis://h?name=", 15, "a name is empty"},
        {"redis://h?name=a&name=b", 17, "the name is given twice"},
        {"redis://h?name=%00", 15, "a zero byte"},
        {"redis://h?timeout=1", 10, "a key that is not db, protocol or name"},
        {"redis://h?db=1&&", 15, "a key that is not db, protocol or name"},
        {"redis://h?DB=1", 10, "a key that is not db, protocol or name"},
        {"shm:///s?ring=1", 9, "a key that is not db, protocol, name, request-ring or reply-ring"},
        {"shm:///s?reply-ring=4095", 20, "the size of a ring is a power of two from 4096 to 67108864"},
        {"shm:///s?reply-ring=2048", 20, "the size of a ring is a power of two from 4096 to 67108864"},
        {"shm:///s?reply-ring=12288", 20, "the size of a ring is a power of two from 4096 to 67108864"},
        {"shm:///s?request-ring=134217728", 22, "the size of a ring is a power of two from 4096 to 67108864"},
        {"shm:///s?request-ring=", 22, "the size of a ring is a power of two from 4096 to 67108864"},
        {"shm:///s?reply-ring=4096&reply-ring=4096", 25, "the size of a ring is given twice"},
        {"unix:///s?reply-ring=4096", 10, "rings are for shm:// only"},
        {"unix://", 7, "a path begins with '/'"},
        {"unix://run/skua", 7, "a path begins with '/'"},
        {"unix://u:p@", 11, "a path begins with '/'"},
        {"unix:///a%00", 9, "a zero byte"},
    };
    check_bad(cases, COUNT(cases));
}

static void takes_urls_of_4096_bytes(void **state)
{
    char text[SKUA_URL_MAX + 2];
    memset(text, 'a', sizeof(text));
    memcpy(text, "shm:///", 7);
    text[SKUA_URL_MAX] = '\0';
    struct skua_url url;
    const char *problem = NULL;
    size_t offset = 0;
    assert_int_equal(skua_url_parse(text, &url, &problem, &offset), SKUA_OK);
    assert_int_equal(strlen(url.path), SKUA_URL_MAX - 6);
    assert_true(url.path >= url.storage && url.path < url.storage + sizeof(url.storage));
    text[SKUA_URL_MAX] = 'a';
    text[SKUA_URL_MAX + 1] = '\0';
    assert_int_equal(skua_url_parse(text, &url, &problem, &offset), SKUA_ERR_URL);
    assert_string_equal(problem, "longer than 4096 bytes");
    assert_int_equal(offset, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_hosts),
        cmocka_unit_test(understands_paths),
        cmocka_unit_test(refuses_schemes_and_bytes),
        cmocka_unit_test(refuses_hosts_and_ports),
        cmocka_unit_test(refuses_logins),
        cmocka_unit_test(refuses_databases_paths_and_keys),
        cmocka_unit_test(takes_urls_of_4096_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
