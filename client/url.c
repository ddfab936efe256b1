/* Addresses of servers as URLs, taken apart.
 *
 * Principal entry point: skua_url_parse. Threads: any.
 *
 *   scheme "://" [ [user] ":" password "@" ] ( host [ ":" port ] [ "/" db ] | path ) [ "?" key=value { "&" key=value } ]
 *
 * A delimiter inside of a user, a password or a name is written as %XX. What is given is used or refused, never
 * ignored: a misspelt key would otherwise connect to another database than was meant.
 *
 * U1: the decoded strings and their zero bytes fit into storage: decoding never makes longer, there are at most four
 *     strings, and every URL has a scheme of more bytes than that. */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <skua/url.h>

#include "client/ascii.h"
#include "shm/layout.h"

#define PORT_DEFAULT 6379
#define PORT_MAX     65535
#define DB_MAX       INT32_MAX

struct parser {
    const char *text;
    size_t size;
    struct skua_url url;
    size_t stored; /* bytes of url.storage in use */
    bool db_given; /* by the path or by a key */
    const char *problem;
    size_t offset;
};

/* text[begin .. end) */
struct part {
    size_t begin, end;
};

static bool fail(struct parser *parser, size_t offset, const char *problem)
{
    parser->problem = problem;
    parser->offset = offset;
    return false;
}

/* The first of `byte` in a part, or the part's end. */
static size_t find(const struct parser *parser, struct part part, char byte)
{
    const char *found = memchr(parser->text + part.begin, byte, part.end - part.begin);
    return found != NULL ? (size_t)(found - parser->text) : part.end;
}

/* ---- Pieces ----------------------------------------------------------------------------------------------- */

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* The byte that %XX at `at` stands for, or -1. */
static int escaped_byte(const struct parser *parser, size_t at, size_t end)
{
    if (end - at < 3)
        return -1;
    int high = hex_value(parser->text[at + 1]), low = hex_value(parser->text[at + 2]);
    return high >= 0 && low >= 0 ? high * 16 + low : -1;
}

/* Decodes a part into storage. */
static bool decode(struct parser *parser, struct part part, const char **ret_string)
{
    char *begin = parser->url.storage + parser->stored, *out = begin;
    for (size_t at = part.begin; at < part.end; at++) {
        if (parser->text[at] != '%') {
            *out++ = parser->text[at];
            continue;
        }
        int byte = escaped_byte(parser, at, part.end);
        if (byte < 0)
            return fail(parser, at, "'%' without two hexadecimal digits");
        if (byte == 0)
            return fail(parser, at, "a zero byte");
        *out++ = (char)byte;
        at += 2;
    }
    *out++ = '\0';
    parser->stored += (size_t)(out - begin);
    *ret_string = begin;
    return true;
}

/* Digits that make a number of at most `max`. */
static bool parse_number(struct parser *parser, struct part part, uint32_t max, const char *problem,
                         unsigned *ret_value)
{
    uint64_t value = 0;
    if (part.begin == part.end)
        return fail(parser, part.begin, problem);
    for (size_t at = part.begin; at < part.end; at++) {
        if (parser->text[at] < '0' || parser->text[at] > '9')
            return fail(parser, at, problem);
        value = value * 10 + (uint64_t)(parser->text[at] - '0');
        if (value > max)
            return fail(parser, part.begin, problem);
    }
    *ret_value = (unsigned)value;
    return true;
}

static bool parse_db(struct parser *parser, struct part part)
{
    if (parser->db_given)
        return fail(parser, part.begin, "the database is given twice");
    parser->db_given = true;
    return parse_number(parser, part, DB_MAX, "a database is a number", &parser->url.db);
}

/* ---- Sections --------------------------------------------------------------------------------------------- */

static bool parse_scheme(struct parser *parser, struct part *rest)
{
    static const struct {
        const char *name;
        enum skua_scheme scheme;
    } schemes[] = {
        {"redis", SKUA_SCHEME_TCP}, {"valkey", SKUA_SCHEME_TCP},      {"skua", SKUA_SCHEME_TCP},
        {"unix", SKUA_SCHEME_UNIX}, {"redis+unix", SKUA_SCHEME_UNIX}, {"rediss", SKUA_SCHEME_TLS},
        {"shm", SKUA_SCHEME_SHM},   {"rdma", SKUA_SCHEME_RDMA},
    };
    const char *colon = strstr(parser->text, "://");
    if (colon == NULL)
        return fail(parser, 0, "no scheme, such as redis://");
    size_t length = (size_t)(colon - parser->text);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (ascii_equal(parser->text, length, schemes[i].name)) {
            parser->url.scheme = schemes[i].scheme;
            rest->begin = length + strlen("://");
            return true;
        }
    }
    return fail(parser, 0, "an unknown scheme");
}

/* What stands before the '@'. */
static bool parse_login(struct parser *parser, struct part login)
{
    size_t colon = find(parser, login, ':');
    if (colon == login.end)
        return fail(parser, login.begin, "a user without a password");
    struct part user = {login.begin, colon}, password = {colon + 1, login.end};
    if (user.begin < user.end && !decode(parser, user, &parser->url.user))
        return false;
    if (parser->url.user == NULL && password.begin == password.end)
        return true; /* ":@" says nothing */
    return decode(parser, password, &parser->url.password);
}

/* Takes the login off an authority. */
static bool split_login(struct parser *parser, struct part *authority)
{
    size_t at = find(parser, *authority, '@');
    if (at == authority->end)
        return true;
    struct part login = {authority->begin, at};
    authority->begin = at + 1;
    size_t second = find(parser, *authority, '@');
    if (second < authority->end)
        return fail(parser, at, "an '@' in a user or password is written as %40");
    return parse_login(parser, login);
}

static bool is_ipv6(const char *host)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr binary;
    size_t size = strcspn(host, "%");
    if (size >= sizeof(address) || (host[size] == '%' && host[size + 1] == '\0'))
        return false;
    memcpy(address, host, size);
    address[size] = '\0';
    return inet_pton(AF_INET6, address, &binary) == 1;
}

/* "[address]", "[address%25zone]"; *ret_end is the offset behind it. */
static bool parse_bracketed_host(struct parser *parser, struct part authority, size_t *ret_end)
{
    size_t close = find(parser, authority, ']');
    if (close == authority.end)
        return fail(parser, authority.begin, "'[' without ']'");
    if (!decode(parser, (struct part){authority.begin + 1, close}, &parser->url.host))
        return false;
    if (!is_ipv6(parser->url.host))
        return fail(parser, authority.begin + 1, "not an IPv6 address");
    *ret_end = close + 1;
    return true;
}

/* A name or an IPv4 address. */
static bool parse_plain_host(struct parser *parser, struct part authority, size_t *ret_end)
{
    size_t end = find(parser, authority, ':');
    if (end < authority.end && find(parser, (struct part){end + 1, authority.end}, ':') < authority.end)
        return fail(parser, authority.begin, "an IPv6 address stands in brackets");
    if (end == authority.begin)
        return fail(parser, end, "no host");
    size_t bracket = find(parser, (struct part){authority.begin, end}, ']');
    if (bracket < end)
        return fail(parser, bracket, "']' without '['");
    if (!decode(parser, (struct part){authority.begin, end}, &parser->url.host))
        return false;
    for (const char *byte = parser->url.host; *byte != '\0'; byte++) {
        if ((unsigned char)*byte <= ' ' || *byte == 0x7f)
            return fail(parser, authority.begin, "a blank or control character in the host");
        if (*byte == ':')
            return fail(parser, authority.begin, "an IPv6 address stands in brackets");
    }
    *ret_end = end;
    return true;
}

/* host[:port][/db] */
static bool parse_host(struct parser *parser, struct part rest)
{
    size_t slash = find(parser, rest, '/');
    struct part authority = {rest.begin, slash};
    if (!split_login(parser, &authority))
        return false;
    size_t end = authority.begin;
    bool bracketed = authority.begin < authority.end && parser->text[authority.begin] == '[';
    if (!(bracketed ? parse_bracketed_host : parse_plain_host)(parser, authority, &end))
        return false;
    parser->url.port = PORT_DEFAULT;
    if (end < authority.end) {
        if (parser->text[end] != ':')
            return fail(parser, end, "expected ':' and a port");
        struct part port = {end + 1, authority.end};
        if (!parse_number(parser, port, PORT_MAX, "a port is a number from 1 to 65535", &parser->url.port))
            return false;
        if (parser->url.port == 0)
            return fail(parser, port.begin, "a port is a number from 1 to 65535");
    }
    return slash + 1 >= rest.end || parse_db(parser, (struct part){slash + 1, rest.end});
}

/* /path/of/socket */
static bool parse_path(struct parser *parser, struct part rest)
{
    size_t slash = find(parser, rest, '/');
    struct part authority = {rest.begin, slash};
    if (!split_login(parser, &authority))
        return false;
    if (authority.begin < authority.end || slash == rest.end)
        return fail(parser, authority.begin, "a path begins with '/'");
    return decode(parser, (struct part){slash, rest.end}, &parser->url.path);
}

/* request-ring, reply-ring */
static bool parse_ring(struct parser *parser, struct part key, struct part value, unsigned *ret_size)
{
    static const char problem[] = "the size of a ring is a power of two from 4096 to 67108864";
    if (parser->url.scheme != SKUA_SCHEME_SHM)
        return fail(parser, key.begin, "rings are for shm:// only");
    if (*ret_size != 0)
        return fail(parser, key.begin, "the size of a ring is given twice");
    if (!parse_number(parser, value, SHM_RING_MAX, problem, ret_size))
        return false;
    bool valid = *ret_size >= SHM_RING_MIN && (*ret_size & (*ret_size - 1)) == 0;
    return valid || fail(parser, value.begin, problem);
}

static bool is_key(const struct parser *parser, struct part key, const char *name)
{
    size_t length = key.end - key.begin;
    return length == strlen(name) && memcmp(parser->text + key.begin, name, length) == 0;
}

static bool parse_key(struct parser *parser, struct part key, struct part value)
{
    if (is_key(parser, key, "db"))
        return parse_db(parser, value);
    if (is_key(parser, key, "protocol")) {
        if (parser->url.protocol != 0)
            return fail(parser, key.begin, "the protocol is given twice");
        if (!parse_number(parser, value, 3, "a protocol is 2 or 3", &parser->url.protocol))
            return false;
        return parser->url.protocol >= 2 || fail(parser, value.begin, "a protocol is 2 or 3");
    }
    if (is_key(parser, key, "name")) {
        if (parser->url.name != NULL)
            return fail(parser, key.begin, "the name is given twice");
        return value.begin < value.end ? decode(parser, value, &parser->url.name)
                                       : fail(parser, value.begin, "a name is empty");
    }
    if (is_key(parser, key, "request-ring"))
        return parse_ring(parser, key, value, &parser->url.request_ring);
    if (is_key(parser, key, "reply-ring"))
        return parse_ring(parser, key, value, &parser->url.reply_ring);
    return fail(parser, key.begin,
                parser->url.scheme == SKUA_SCHEME_SHM
                    ? "a key that is not db, protocol, name, request-ring or reply-ring"
                    : "a key that is not db, protocol or name");
}

static bool parse_query(struct parser *parser, struct part query)
{
    while (query.begin < query.end) {
        size_t end = find(parser, query, '&');
        size_t equals = find(parser, (struct part){query.begin, end}, '=');
        struct part key = {query.begin, equals}, value = {equals < end ? equals + 1 : end, end};
        if (!parse_key(parser, key, value))
            return false;
        query.begin = end < query.end ? end + 1 : end;
    }
    return true;
}

static bool check_bytes(struct parser *parser)
{
    for (size_t i = 0; i < parser->size; i++) {
        unsigned char byte = (unsigned char)parser->text[i];
        if (byte <= ' ' || byte == 0x7f)
            return fail(parser, i, "a blank or control character");
        if (byte == '#')
            return fail(parser, i, "'#' is written as %23");
    }
    return true;
}

static bool parse(struct parser *parser)
{
    parser->size = strnlen(parser->text, SKUA_URL_MAX + 1);
    if (parser->size > SKUA_URL_MAX)
        return fail(parser, SKUA_URL_MAX, "longer than 4096 bytes");
    struct part rest = {0, parser->size};
    if (!check_bytes(parser) || !parse_scheme(parser, &rest))
        return false;
    size_t question = find(parser, rest, '?');
    struct part query = {question < rest.end ? question + 1 : rest.end, rest.end};
    rest.end = question;
    bool by_path = parser->url.scheme == SKUA_SCHEME_UNIX || parser->url.scheme == SKUA_SCHEME_SHM;
    return (by_path ? parse_path : parse_host)(parser, rest) && parse_query(parser, query);
}

/* ---- The call --------------------------------------------------------------------------------------------- */

/* The same string in another struct's storage. */
static const char *moved(const char *string, const struct skua_url *from, const struct skua_url *to)
{
    return string == NULL ? NULL : to->storage + (string - from->storage);
}

enum skua_status skua_url_parse(const char *text, struct skua_url *ret_url, const char **ret_problem,
                                size_t *ret_offset)
{
    struct parser parser = {.text = text};
    if (!parse(&parser)) {
        if (ret_problem != NULL)
            *ret_problem = parser.problem;
        if (ret_offset != NULL)
            *ret_offset = parser.offset;
        return SKUA_ERR_URL;
    }
    *ret_url = parser.url;
    ret_url->host = moved(parser.url.host, &parser.url, ret_url);
    ret_url->path = moved(parser.url.path, &parser.url, ret_url);
    ret_url->user = moved(parser.url.user, &parser.url, ret_url);
    ret_url->password = moved(parser.url.password, &parser.url, ret_url);
    ret_url->name = moved(parser.url.name, &parser.url, ret_url);
    return SKUA_OK;
}
