/* The bitmap commands answer and publish as redis-server does: sessions taken from it, byte for byte. */
#include "../../support/command_fixture.h"

#define NIL            "$-1\r\n"
#define OK             "+OK\r\n"
#define SYNTAX_ERROR   "-ERR syntax error\r\n"
#define NOT_AN_INTEGER "-ERR value is not an integer or out of range\r\n"
#define BAD_OFFSET     "-ERR bit offset is not an integer or out of range\r\n"
#define BAD_BIT        "-ERR bit is not an integer or out of range\r\n"
#define BAD_TYPE                                                                                             \
    "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.\r\n"

static void single_bits(void **state)
{
    static const struct session_line lines[] = {
        {"SETBIT a 7 1", ":0\r\n", "new:a setbit:a"},
        {"SETBIT a 7 1", ":1\r\n", ""},
        {"SETBIT a 7 0", ":1\r\n", "setbit:a"},
        {"SETBIT a 100 0", ":0\r\n", "setbit:a"},
        {"STRLEN a", ":13\r\n", ""},
        {"SETBIT a 4294967296 1", BAD_OFFSET, ""},
        {"SETBIT a -1 1", BAD_OFFSET, ""},
        {"SETBIT a x 1", BAD_OFFSET, ""},
        {"SETBIT a 1 2", BAD_BIT, ""},
        {"SETBIT a 1 x", BAD_BIT, ""},
        {"GETBIT a 4294967295", ":0\r\n", ""},
        {"GETBIT a 4294967296", BAD_OFFSET, ""},
        {"GETBIT a -1", BAD_OFFSET, ""},
        {"SET n 12", OK, NULL},
        {"GETBIT n 2", ":1\r\n", ""},
        {"SETBIT n 6 1", ":0\r\n", "setbit:n"},
        {"GET n", "$2\r\n32\r\n", ""},
        {"SET n 12", OK, NULL},
        {"SETBIT n 7 1", ":1\r\n", ""},
        {"OBJECT ENCODING n", "$3\r\nraw\r\n", NULL},
        {"SETBIT huge 4294967295 1", ":0\r\n", "new:huge setbit:huge"},
        {"GETBIT huge 4294967295", ":1\r\n", ""},
    };
    PLAY(lines);
}

static void ranges(void **state)
{
    static const struct session_line lines[] = {
        {"SET a foobar", OK, NULL},
        {"BITCOUNT a", ":26\r\n", ""},
        {"BITCOUNT a 1 1", ":6\r\n", ""},
        {"BITCOUNT a 5 30 BIT", ":17\r\n", ""},
        {"BITCOUNT a -2 -1", ":7\r\n", ""},
        {"BITCOUNT a -100 -50", ":4\r\n", ""},
        {"BITCOUNT a -50 -100", ":0\r\n", ""},
        {"BITCOUNT nothing", ":0\r\n", "keymiss:nothing"},
        {"BITCOUNT a 0 -1 FOO", SYNTAX_ERROR, ""},
        {"BITCOUNT a x 1", NOT_AN_INTEGER, ""},
        {"BITPOS a 1", ":1\r\n", ""},
        {"BITPOS a 0", ":0\r\n", ""},
        {"BITPOS a 1 2", ":17\r\n", ""},
        {"BITPOS a 1 2 3 BIT", ":2\r\n", ""},
        {"BITPOS a 0 -1", ":40\r\n", ""},
        {"BITPOS a 1 5 2", ":-1\r\n", ""},
        {"BITPOS a 1 7 100", ":-1\r\n", ""},
        {"BITPOS a 1 -50 -100", ":1\r\n", ""},
        {"BITPOS a 2", "-ERR The bit argument must be 1 or 0.\r\n", ""},
        {"BITPOS a x", NOT_AN_INTEGER, ""},
        {"BITPOS nothing 0", ":0\r\n", "keymiss:nothing"},
        {"BITPOS nothing 1", ":-1\r\n", "keymiss:nothing"},
        {"SET f \"\\xff\\xff\"", OK, NULL},
        {"BITPOS f 0", ":16\r\n", ""},
        {"BITPOS f 0 1", ":16\r\n", ""},
        {"BITPOS f 0 2", ":-1\r\n", ""},
        {"BITPOS f 0 0 -1", ":-1\r\n", ""},
    };
    PLAY(lines);
}

static void combinations(void **state)
{
    static const struct session_line lines[] = {
        {"MSET a foobar b abcdef", OK, NULL},
        {"BITOP AND d a b", ":6\r\n", "new:d set:d"},
        {"GET d", "$6\r\n`bc`ab\r\n", ""},
        {"BITOP OR d a b", ":6\r\n", "set:d"},
        {"GET d", "$6\r\ngoofev\r\n", ""},
        {"BITOP NOT d a b", "-ERR BITOP NOT must be called with a single source key.\r\n", ""},
        {"BITOP NOT d a", ":6\r\n", "set:d"},
        {"BITOP NOT d d", ":6\r\n", "set:d"},
        {"GET d", "$6\r\nfoobar\r\n", ""},
        {"BITOP XOR d a a", ":6\r\n", "set:d"},
        {"BITCOUNT d", ":0\r\n", ""},
        {"BITOP OR d a nothing", ":6\r\n", "keymiss:nothing set:d"},
        {"BITOP AND d nothing", ":0\r\n", "keymiss:nothing del:d"},
        {"BITOP AND d nothing", ":0\r\n", "keymiss:nothing"},
        {"BITOP FOO d a", SYNTAX_ERROR, ""},
        {"BITOP AND d", "-ERR wrong number of arguments for 'bitop' command\r\n", ""},
        {"SET n 12", OK, NULL},
        {"BITOP OR d n n", ":2\r\n", "new:d set:d"},
        {"GET d", "$2\r\n12\r\n", ""},
    };
    PLAY(lines);
}

static void fields(void **state)
{
    static const struct session_line lines[] = {
        {"BITFIELD a", "*0\r\n", "keymiss:a"},
        {"BITFIELD a SET u8 0 255", "*1\r\n:0\r\n", "new:a setbit:a"},
        {"BITFIELD a GET u8 0", "*1\r\n:255\r\n", ""},
        {"BITFIELD a INCRBY u8 0 10", "*1\r\n:9\r\n", "setbit:a"},
        {"BITFIELD a OVERFLOW SAT INCRBY u8 0 1000", "*1\r\n:255\r\n", "setbit:a"},
        {"BITFIELD a OVERFLOW FAIL INCRBY u8 0 1000 GET u8 0", "*2\r\n$-1\r\n:255\r\n", ""},
        {"BITFIELD a OVERFLOW SAT SET u8 0 1000", "*1\r\n:255\r\n", ""},
        {"BITFIELD a SET u8 0 1000", "*1\r\n:255\r\n", "setbit:a"},
        {"BITFIELD a SET u8 #3 1", "*1\r\n:0\r\n", "setbit:a"},
        {"BITFIELD a GET i64 0", "*1\r\n:-1729382252615303168\r\n", ""},
        {"BITFIELD a SET i8 0 128", "*1\r\n:-24\r\n", "setbit:a"},
        {"BITFIELD a OVERFLOW SAT SET i8 0 -129", "*1\r\n:-128\r\n", ""},
        {"BITFIELD a SET u8 0 -1 OVERFLOW SAT INCRBY u8 0 -300", "*2\r\n:128\r\n:0\r\n", "setbit:a"},
        {"BITFIELD b OVERFLOW FAIL INCRBY u2 100 5", "*1\r\n$-1\r\n", "new:b"},
        {"STRLEN b", ":13\r\n", ""},
        {"BITFIELD c GET u8 0", "*1\r\n:0\r\n", "keymiss:c"},
        {"BITFIELD c INCRBY i64 0 9223372036854775807 INCRBY i64 0 1",
         "*2\r\n:9223372036854775807\r\n"
         ":-9223372036854775808\r\n",
         "new:c setbit:c"},
        {"BITFIELD c OVERFLOW SAT INCRBY i64 0 -1", "*1\r\n:-9223372036854775808\r\n", ""},
    };
    PLAY(lines);
}

static void field_errors(void **state)
{
    static const struct session_line lines[] = {
        {"BITFIELD a GET u64 0", BAD_TYPE, ""},
        {"BITFIELD a GET i65 0", BAD_TYPE, ""},
        {"BITFIELD a GET u0 0", BAD_TYPE, ""},
        {"BITFIELD a GET u08 0", BAD_TYPE, ""},
        {"BITFIELD a GET U8 0", BAD_TYPE, ""},
        {"BITFIELD a GET x 0", BAD_TYPE, ""},
        {"BITFIELD a GET u8 -1", BAD_OFFSET, ""},
        {"BITFIELD a GET u8 #-1", BAD_OFFSET, ""},
        {"BITFIELD a GET u8 #", BAD_OFFSET, ""},
        {"BITFIELD a GET u8 4294967296", BAD_OFFSET, ""},
        {"BITFIELD a GET u8 #9223372036854775807", BAD_OFFSET, ""},
        {"BITFIELD a GET u8 4294967295", "*1\r\n:0\r\n", NULL},
        {"BITFIELD a OVERFLOW FOO", "-ERR Invalid OVERFLOW type specified\r\n", ""},
        {"BITFIELD a OVERFLOW", SYNTAX_ERROR, ""},
        {"BITFIELD a OVERFLOW SAT", "*0\r\n", NULL},
        {"BITFIELD a FOO", SYNTAX_ERROR, ""},
        {"BITFIELD a GET u8", SYNTAX_ERROR, ""},
        {"BITFIELD a SET u8 0", SYNTAX_ERROR, ""},
        {"BITFIELD a SET u8 0 x", NOT_AN_INTEGER, ""},
        {"BITFIELD a SET u8 0 1 FOO", SYNTAX_ERROR, ""},
        {"EXISTS a", ":0\r\n", NULL},
        {"BITFIELD_RO a GET u8 0", "*1\r\n:0\r\n", NULL},
        {"BITFIELD_RO a SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n", ""},
    };
    PLAY(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_bits), cmocka_unit_test(ranges),       cmocka_unit_test(combinations),
        cmocka_unit_test(fields),      cmocka_unit_test(field_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
