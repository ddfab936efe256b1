/* The string commands answer and publish as redis-server does: sessions taken from it, byte for byte. */
#include "../../support/command_fixture.h"
#include "exec/direct.h"

#define NIL            "$-1\r\n"
#define OK             "+OK\r\n"
#define NOT_AN_INTEGER "-ERR value is not an integer or out of range\r\n"
#define NOT_A_FLOAT    "-ERR value is not a valid float\r\n"
#define SYNTAX_ERROR   "-ERR syntax error\r\n"
#define TOO_LONG       "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"

static void set_and_its_options(void **state)
{
    static const struct session_line lines[] = {
        {"SET a 1", OK, "new:a set:a"},
        {"SET a 2 EX 10", OK, "set:a expire:a"},
        {"SET b 1 XX", NIL, ""},
        {"SET a 4 PX 100", OK, "set:a expire:a"},
        {"SET a 5 GET", "$1\r\n4\r\n", "set:a"},
        {"SET a 5 NX GET", "$1\r\n5\r\n", ""},
        {"SET c 1 NX GET", NIL, "keymiss:c new:c set:c"},
        {"SET c 2 IFEQ 7", NIL, ""},
        {"SET c 2 IFEQ 1 GET", "$1\r\n1\r\n", "set:c"},
        {"SET nothing 2 IFEQ 1", NIL, ""},
        {"SET q 1 EX 0 NX", "-ERR invalid expire time in 'set' command\r\n", ""},
        {"SET q 1 EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n", ""},
        {"SET q 1 PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n", ""},
        {"SET q 1 PXAT 9223372036854775807", OK, "new:q set:q expire:q"},
        {"SET q 1 EX x", NOT_AN_INTEGER, ""},
        {"SET q 1 NX XX", SYNTAX_ERROR, ""},
        {"SET q 1 EX 1 PX 1", SYNTAX_ERROR, ""},
        {"SETEX a 0 1", "-ERR invalid expire time in 'setex' command\r\n", ""},
        {"SETEX a 10 1", OK, "set:a expire:a"},
        {"PSETEX a -1 1", "-ERR invalid expire time in 'psetex' command\r\n", ""},
        {"PSETEX a 10000 1", OK, "set:a expire:a"},
        {"SETNX a 1", ":0\r\n", ""},
        {"SETNX e 1", ":1\r\n", "new:e set:e"},
        {"GETSET a 6", "$1\r\n1\r\n", "set:a"},
        {"GETSET d 7", NIL, "keymiss:d new:d set:d"},
    };
    PLAY(lines);
}

static void times_to_live(void **state)
{
    struct fixture *fixture = fixture_new();
    fixture_expect(fixture, "SET a 1 EX 10", OK);
    fixture_expect(fixture, "SET a 2 KEEPTTL", OK);
    fixture->now_ms += 9999;
    fixture_expect(fixture, "GET a", "$1\r\n2\r\n");
    fixture->now_ms += 1;
    fixture_expect(fixture, "GET a", NIL);
    fixture_expect_events(fixture, "expired:a keymiss:a");

    fixture_expect(fixture, "SET a 1 PX 10", OK);
    fixture_expect(fixture, "SET a 2", OK);
    fixture->now_ms += 10;
    fixture_expect(fixture, "GET a", "$1\r\n2\r\n");

    /* A moment in the past is stored and expires at the next look. */
    fixture_expect(fixture, "SET a 3 EXAT 1", OK);
    fixture_expect_events(fixture, "set:a expire:a");
    fixture_expect(fixture, "GET a", NIL);

    /* Edits keep it. */
    fixture_expect(fixture, "SET a 1 PX 10", OK);
    fixture_expect(fixture, "APPEND a 2", ":2\r\n");
    fixture_expect(fixture, "INCR a", ":13\r\n");
    fixture_expect(fixture, "INCRBYFLOAT a 1", "$2\r\n14\r\n");
    fixture_expect(fixture, "SETRANGE a 0 2", ":2\r\n");
    fixture_expect(fixture, "SETBIT a 31 1", ":0\r\n");
    fixture->now_ms += 10;
    fixture_expect(fixture, "GET a", NIL);
    fixture_free(fixture);
}

static void getex_and_getdel(void **state)
{
    static const struct session_line lines[] = {
        {"SET a 1", OK, NULL},
        {"GETEX a", "$1\r\n1\r\n", ""},
        {"GETEX a EX 10", "$1\r\n1\r\n", "expire:a"},
        {"GETEX a PERSIST", "$1\r\n1\r\n", "persist:a"},
        {"GETEX a PERSIST", "$1\r\n1\r\n", ""},
        {"GETEX a EXAT 1", "$1\r\n1\r\n", "del:a"},
        {"GETEX a EX 0", NIL, "keymiss:a"},
        {"SET a 1", OK, NULL},
        {"GETEX a EX 0", "-ERR invalid expire time in 'getex' command\r\n", ""},
        {"GETEX a EX 9223372036854775", "-ERR invalid expire time in 'getex' command\r\n", ""},
        {"GETEX a EXAT 9223372036854775807", "-ERR invalid expire time in 'getex' command\r\n", ""},
        {"GETEX a PXAT 9223372036854775807", "$1\r\n1\r\n", "expire:a"},
        {"GETEX a EX 10 PERSIST", SYNTAX_ERROR, ""},
        {"GETDEL a", "$1\r\n1\r\n", "del:a"},
        {"GETDEL a", NIL, "keymiss:a"},
    };
    PLAY(lines);
}

static void counters(void **state)
{
    static const struct session_line lines[] = {
        {"INCR a", ":1\r\n", "new:a incrby:a"},
        {"INCRBY a 41", ":42\r\n", "incrby:a"},
        {"DECR a", ":41\r\n", "incrby:a"},
        {"DECRBY a -1", ":42\r\n", "incrby:a"},
        {"DECRBY a -9223372036854775808", "-ERR decrement would overflow\r\n", ""},
        {"INCRBY a 9223372036854775807", "-ERR increment or decrement would overflow\r\n", ""},
        {"GET a", "$2\r\n42\r\n", ""},
        {"SET c abc", OK, NULL},
        {"INCR c", NOT_AN_INTEGER, ""},
        {"SET c 007", OK, NULL},
        {"INCR c", NOT_AN_INTEGER, ""},
        {"APPEND d 1", ":1\r\n", "new:d append:d"},
        {"APPEND d 2", ":2\r\n", "append:d"},
        {"INCR d", ":13\r\n", "incrby:d"},
        {"INCRBYFLOAT c x", NOT_A_FLOAT, ""},
        {"SET c abc", OK, NULL},
        {"INCRBYFLOAT c 1", NOT_A_FLOAT, ""},
        {"INCRBYFLOAT f 0.1", "$3\r\n0.1\r\n", "new:f incrbyfloat:f"},
        {"INCRBYFLOAT f -0.3", "$4\r\n-0.2\r\n", "incrbyfloat:f"},
        {"INCRBYFLOAT f 1e20", "$21\r\n100000000000000000000\r\n", "incrbyfloat:f"},
        {"INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity\r\n", ""},
        {"INCRBYFLOAT f nan", NOT_A_FLOAT, ""},
        {"INCRBYFLOAT z 1e-18", "$1\r\n0\r\n", NULL},
    };
    PLAY(lines);
}

static void parts(void **state)
{
    static const struct session_line lines[] = {
        {"STRLEN a", ":0\r\n", "keymiss:a"},
        {"APPEND a hello", ":5\r\n", "new:a append:a"},
        {"APPEND a ''", ":5\r\n", "append:a"},
        {"STRLEN a", ":5\r\n", ""},
        {"GETRANGE a 1 3", "$3\r\nell\r\n", ""},
        {"SUBSTR a -3 -1", "$3\r\nllo\r\n", ""},
        {"GETRANGE a -100 -50", "$1\r\nh\r\n", ""},
        {"GETRANGE a 3 1", "$0\r\n\r\n", ""},
        {"GETRANGE nothing 0 -1", "$0\r\n\r\n", "keymiss:nothing"},
        {"SETRANGE b 0 ''", ":0\r\n", ""},
        {"EXISTS b", ":0\r\n", NULL},
        {"SETRANGE b 3 x", ":4\r\n", "new:b setrange:b"},
        {"SETRANGE b 0 abc", ":4\r\n", "setrange:b"},
        {"GET b", "$4\r\nabcx\r\n", ""},
        {"SETRANGE b 0 ''", ":4\r\n", ""},
        {"SETRANGE b -1 x", "-ERR offset is out of range\r\n", ""},
        {"SETRANGE b 536870912 x", TOO_LONG, ""},
        {"SETRANGE b 9223372036854775807 x", TOO_LONG, ""},
        {"STRLEN b", ":4\r\n", ""},
        {"SETRANGE large 100000 x", ":100001\r\n", NULL},
        {"GETRANGE large 99999 -1", "$2\r\n", NULL},
    };
    /* The last answer has a zero byte in it: compared up to there. */
    PLAY(lines);
}

static void several_keys(void **state)
{
    static const struct session_line lines[] = {
        {"MSET a 1 b 2 a 3", OK, "new:a set:a new:b set:b set:a"},
        {"MGET a b c", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n", "keymiss:c"},
        {"MSETNX a 1 c 2", ":0\r\n", ""},
        {"MSETNX x 1 x 2", ":1\r\n", "new:x set:x set:x"},
        {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n", ""},
        {"MSET", "-ERR wrong number of arguments for 'mset' command\r\n", ""},
        {"GET x", "$1\r\n2\r\n", ""},
    };
    PLAY(lines);
}

/* Values take the place of others where they lie, of whatever kind those are and however often a key is named; where others may
 * look, never. */
static void several_keys_again(void **state)
{
    static const struct session_line lines[] = {
        {"MSET a one b two c three", OK, "new:a set:a new:b set:b new:c set:c"},
        {"MSET a four b five a six", OK, "set:a set:b set:a"},
        {"MGET a b c", "*3\r\n$3\r\nsix\r\n$4\r\nfive\r\n$5\r\nthree\r\n", ""},
        {"MSET a 7 a eight b 9", OK, "set:a set:a set:b"},
        {"MGET a b", "*2\r\n$5\r\neight\r\n$1\r\n9\r\n", ""},
        {"OBJECT ENCODING b", "$3\r\nint\r\n", ""},
        {"EXPIRE a 100", ":1\r\n", "expire:a"},
        {"APPEND c x", ":6\r\n", "append:c"},
        {"RPUSH d x", ":1\r\n", "new:d rpush:d"},
        {"MSET b ten a eleven c twelve d thirteen e last", OK, "set:b set:a set:c set:d new:e set:e"},
        {"TTL a", ":-1\r\n", ""},
        {"OBJECT ENCODING c", "$6\r\nembstr\r\n", ""},
        {"MGET a b c d e",
         "*5\r\n$6\r\neleven\r\n$3\r\nten\r\n$6\r\ntwelve\r\n$8\r\nthirteen\r\n$4\r\nlast\r\n", ""},
    };
    PLAY(lines);
}

#define MODEL_KEYS      12
#define MODEL_PAIRS_MAX 30 /* more than are asked for at once */

static void model_value(struct rng *rng, char *ret_value)
{
    bool digits = rng_below(rng, 4) == 0;
    size_t size = 1 + rng_below(rng, rng_below(rng, 8) == 0 ? 200 : 12);
    for (size_t i = 0; i < size; i++)
        ret_value[i] = (char)(digits ? '1' + (int)rng_below(rng, 9) : 'a' + (int)rng_below(rng, 26));
    ret_value[size] = 0;
}

static void expect_model(struct fixture *fixture, char (*values)[256])
{
    struct buf answer = {0};
    buf_printf(&answer, "*%d\r\n", MODEL_KEYS);
    for (unsigned key = 0; key < MODEL_KEYS; key++) {
        if (values[key][0])
            buf_printf(&answer, "$%zu\r\n%s\r\n", strlen(values[key]), values[key]);
        else
            buf_printf(&answer, "$-1\r\n");
    }
    fixture_expect(fixture, "MGET k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11", buf_string(&answer));
    buf_done(&answer);
}

/* Random MSETs among other changes, with readers on other threads or without. */
static void play_model(bool has_readers)
{
    struct fixture *fixture = fixture_new();
    char values[MODEL_KEYS][256] = {{0}};
    struct rng rng;
    rng_seed(&rng, 3);
    exec_expect_reader(fixture->exec, 0);
    exec_set_reader_threads(fixture->exec, has_readers ? 1 : 0);
    for (unsigned round = 0; round < 4000; round++) {
        struct buf command = {0};
        unsigned key = (unsigned)rng_below(&rng, MODEL_KEYS), kind = (unsigned)rng_below(&rng, 12);
        unsigned pairs = 1 + (unsigned)rng_below(&rng, kind == 0 ? MODEL_PAIRS_MAX : 6);
        const char *answer = OK;
        if (kind == 1) {
            buf_printf(&command, "DEL k%u", key);
            answer = values[key][0] ? ":1\r\n" : ":0\r\n";
            values[key][0] = 0;
        } else if (kind == 2) {
            model_value(&rng, values[key]);
            buf_printf(&command, "SET k%u %s EX 100", key, values[key]);
        } else {
            buf_append_string(&command, "MSET");
            for (unsigned i = 0; i < pairs; i++) {
                key = (unsigned)rng_below(&rng, MODEL_KEYS);
                model_value(&rng, values[key]);
                buf_printf(&command, " k%u %s", key, values[key]);
            }
        }
        fixture_expect(fixture, buf_string(&command), answer);
        expect_model(fixture, values);
        buf_done(&command);
    }
    fixture_free(fixture);
}

static void several_keys_against_a_model(void **state)
{
    play_model(false);
}

static void several_keys_while_others_look(void **state)
{
    play_model(true);
}

static const struct entry *entry_of(struct fixture *fixture, struct slice key)
{
    struct keyspace *keyspace = fixture->exec->keyspace;
    struct table_position position;
    return db_locate(&keyspace->dbs[0], key, keyspace_hash(keyspace, key), &position);
}

/* A block that others may be looking at is left as it is. */
static void overwriting_is_not_seen(void **state)
{
    struct fixture *fixture = fixture_new();
    fixture_expect(fixture, "MSET a one b two", OK);
    const struct entry *before = entry_of(fixture, SLICE("a"));
    fixture_expect(fixture, "MSET a six b ten", OK);
    assert_ptr_equal(entry_of(fixture, SLICE("a")), before);
    exec_expect_reader(fixture->exec, 0);
    exec_set_reader_threads(fixture->exec, 1);
    fixture_expect(fixture, "MSET a sum b sub", OK);
    assert_ptr_not_equal(entry_of(fixture, SLICE("a")), before);
    assert_true(slice_equal(entry_bytes(before), SLICE("six")));
    fixture_free(fixture);
}

static void lcs(void **state)
{
    static const struct session_line lines[] = {
        {"MSET a abcdef b xbcyef", OK, NULL},
        {"LCS a b", "$4\r\nbcef\r\n", ""},
        {"LCS a b LEN", ":4\r\n", ""},
        {"LCS a b IDX",
         "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:5\r\n*2\r\n:4\r\n:5\r\n*2\r\n*2\r\n:1\r\n:2\r\n*"
         "2\r\n:1\r\n"
         ":2\r\n$3\r\nlen\r\n:4\r\n",
         ""},
        {"LCS a b IDX MINMATCHLEN 3 WITHMATCHLEN", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:4\r\n", ""},
        {"LCS a b IDX LEN", "-ERR If you want both the length and indexes, please just use IDX.\r\n", ""},
        {"LCS a nothing", "$0\r\n\r\n", "keymiss:nothing"},
        {"LCS a nothing LEN", ":0\r\n", "keymiss:nothing"},
        {"LCS a b FOO", SYNTAX_ERROR, ""},
        {"SETRANGE a 20000 x", ":20001\r\n", NULL},
        {"SETRANGE b 20000 x", ":20001\r\n", NULL},
        {"LCS a b LEN", "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n",
         ""},
    };
    PLAY(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_and_its_options),
        cmocka_unit_test(times_to_live),
        cmocka_unit_test(getex_and_getdel),
        cmocka_unit_test(counters),
        cmocka_unit_test(parts),
        cmocka_unit_test(several_keys),
        cmocka_unit_test(several_keys_again),
        cmocka_unit_test(several_keys_against_a_model),
        cmocka_unit_test(several_keys_while_others_look),
        cmocka_unit_test(overwriting_is_not_seen),
        cmocka_unit_test(lcs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
