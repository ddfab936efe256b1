"""SORT and SORT_RO: orders, patterns, limits and storing; against Python's sorting over every kind of source."""
import random

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR
from harness.resp import Error
from harness.server import is_slow_build

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_A_NUMBER = Error("ERR One or more scores can't be converted into double")
TEXTS = [b"", b"0", b"00", b"-1", b"10", b"9", b"100", b"a", b"ab", b"abcdefgh", b"abcdefghi", b"abcdefghj", b"B",
         b"\xff", b"\xc3\xa4", b"z" * 700, b"z" * 699, b"9223372036854775807", b"-9223372036854775808"]
SIZES = [3, 20, 1500]


@pytest.fixture(params=["list", "set", "sorted-set"])
def fill(r, request):
    """Fills a key of each type; returns what is in it, in its order where it has one."""
    def fill(key, elements):
        if request.param == "list":
            r("RPUSH", key, *elements)
        elif request.param == "set":
            r("SADD", key, *elements)
        else:
            r("ZADD", key, *(word for score, element in enumerate(elements) for word in (score, element)))
        return elements
    fill.kind = request.param
    return fill


def numbers(size, seed=1):
    return [b"%d" % number for number in random.Random(seed).sample(range(-10**6, 10**6), size)]


# ---- Orders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_numbers(r, fill, size):
    expected = sorted(fill("k", numbers(size)), key=int)
    assert r("SORT k") == r("SORT k ASC") == r("SORT_RO k") == expected
    assert r("SORT k DESC") == r("SORT_RO k asc desc") == expected[::-1]
    assert r("SORT k desc asc") == expected


def test_texts_are_compared_as_bytes(r, fill):
    expected = sorted(fill("k", TEXTS))
    assert r("SORT k ALPHA") == expected
    assert r("SORT k DESC ALPHA") == expected[::-1]
    assert r("SORT k") == NOT_A_NUMBER


def test_many_texts(r, fill):
    elements = [b"%s:%d" % (word, number) for word in (b"user", b"", b"a long text in front of") for number in range(400)]
    random.Random(2).shuffle(elements)
    assert r("SORT", fill("k", elements) and "k", "ALPHA") == sorted(elements)


def test_numbers_are_read_generously(r):
    r("RPUSH", "k", "1e3", "inf", "", "-inf", "0x10", " 1", "-0.5", "100")
    assert r("SORT k") == [b"-inf", b"-0.5", b"", b" 1", b"0x10", b"100", b"1e3", b"inf"]


@pytest.mark.parametrize("text", ["1 ", "abc", "1e400", "1e-400", "nan", "-nan", "1,5", "1" * 6000])
def test_what_is_no_number(r, text):
    r("RPUSH", "k", "1", text)
    r("SET kept 1")
    assert r("SORT k") == r("SORT k LIMIT 0 0 DESC") == NOT_A_NUMBER
    assert r("SORT k STORE kept") == NOT_A_NUMBER
    assert r("GET kept") == b"1"
    assert r("SORT k BY nosort") == [b"1", text.encode()]


def test_equal_numbers_are_in_the_order_of_their_bytes(r, fill):
    elements = fill("k", [b"1", b"01", b"1.0", b"001", b"1e0", b"0"])
    assert r("SORT k") == [b"0", b"001", b"01", b"1", b"1.0", b"1e0"]
    assert r("SORT k DESC") == [b"1e0", b"1.0", b"1", b"01", b"001", b"0"]
    assert r("SORT k BY missing_*") == sorted(elements)
    assert r("SORT k BY missing_* DESC") == sorted(elements, reverse=True)


def test_a_list_may_hold_an_element_twice(r):
    r("RPUSH k 2 1 2 1")
    assert r("SORT k") == [b"1", b"1", b"2", b"2"]


def test_a_missing_source(r, r3):
    assert r("SORT k") == r("SORT_RO k BY w_* GET #") == []
    r3("SORT k")
    assert r3.raw == b"*0\r\n"
    r("SET dest 1")
    assert r("SORT k STORE dest") == 0
    assert r("EXISTS dest") == 0


def test_other_types(r):
    r("SET string 1")
    r("HSET hash f 1")
    for key in ("string", "hash"):
        assert r("SORT", key) == r("SORT", key, "STORE", "dest") == r("SORT_RO", key, "BY", "nosort") == WRONG_TYPE
        assert r("SORT", key, "FOO") == SYNTAX_ERROR


# ---- BY -------------------------------------------------------------------------------------------------


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.parametrize("size", SIZES)
def test_weights(r, fill, size):
    elements = fill("k", [b"e%d" % i for i in range(size)])
    weights = dict(zip(elements, numbers(size, 3)))
    for element, weight in weights.items():
        r("SET", b"w_%s" % element, weight)
        r("HSET", b"h_%s" % element, "weight", weight, "other", "x")
        r("HSET", "one", element, weight)
    expected = sorted(elements, key=lambda element: int(weights[element]))
    for pattern in ("w_*", "h_*->weight"):
        assert r("SORT", "k", "BY", pattern) == expected
        assert r("SORT", "k", "DESC", "BY", pattern) == expected[::-1]
        assert r("SORT", "k", "BY", pattern, "ALPHA") == sorted(elements, key=weights.get)
        assert r("SORT", "k", "BY", pattern, "LIMIT", "1", "5") == expected[1:6]
    assert r("SORT k BY h_*->other") == NOT_A_NUMBER
    assert r("SORT k BY w_*->weight") == sorted(elements)


def test_weights_of_every_form(r):
    """Short and long texts, in strings and in hashes."""
    texts = [b"5", b"5.5", b"a", b"q" * 30, b"q" * 700, b"q" * 701, b"r" * 20000, b"r" * 20001]
    order = list(range(len(texts)))
    random.Random(4).shuffle(order)
    for number in order:
        r("RPUSH", "k", number)
        r("SET", f"w_{number}", texts[number])
        r("HSET", f"h_{number}", "f", texts[number])
    expected = [b"%d" % number for number in range(len(texts))]
    for pattern in ("w_*", "h_*->f"):
        assert r("SORT", "k", "BY", pattern, "ALPHA") == expected
        assert r("SORT", "k", "BY", pattern, "ALPHA", "DESC") == expected[::-1]


def test_what_has_no_weight(r):
    r("RPUSH k a b c d")
    r("MSET w_b -1 w_c 1")
    r("RPUSH w_d 5")
    assert r("SORT k BY w_*") == [b"b", b"a", b"d", b"c"]
    assert r("SORT k BY w_* DESC") == [b"c", b"d", b"a", b"b"]
    r("SET", "w_b", "")
    assert r("SORT k BY w_* ALPHA") == [b"a", b"d", b"b", b"c"]
    assert r("SORT k BY w_*") == [b"a", b"b", b"d", b"c"]


def test_equal_texts_stay_in_their_order(r):
    elements = [b"%d" % number for number in random.Random(5).sample(range(1000), 200)]
    r("RPUSH", "k", *elements)
    for element in elements:
        r("SET", b"w_" + element, b"%d" % (int(element) % 3))
    assert r("SORT k BY w_* ALPHA") == sorted(elements, key=lambda element: int(element) % 3)
    assert r("SORT k BY w_* ALPHA DESC") == sorted(elements, key=lambda element: -(int(element) % 3))


def test_only_the_first_place_of_a_pattern_counts(r):
    r("RPUSH k a b")
    r("MSET w_a_* 2 w_b_* 1 *a 1 *b 2")
    assert r("SORT k BY w_*_*") == [b"b", b"a"]
    r("HSET a->a f 2")
    r("HSET a->b f 1")
    assert r("SORT k BY a->*->f") == [b"b", b"a"]


def test_arrows(r):
    r("RPUSH k x")
    r("HSET hx f one ->f two f-> three")
    r("SET hx-> four")
    assert r("SORT k ALPHA GET h*->f GET h*->->f GET h*->f-> GET h*->") == [b"one", b"two", b"three", b"four"]


# ---- Unsorted -------------------------------------------------------------------------------------------


def test_a_pattern_without_a_place_leaves_the_order(r):
    r("RPUSH k c a b")
    r("SADD s c a b")
    assert r("SORT k BY nosort") == r("SORT k BY w_* BY nosort BY w_*") == [b"c", b"a", b"b"]
    assert r("SORT k BY nosort DESC") == [b"b", b"a", b"c"]
    assert r("SORT k BY nosort LIMIT 1 2") == [b"a", b"b"]
    assert r("SORT k BY nosort DESC LIMIT 1 2") == [b"a", b"c"]
    assert r("SORT s BY nosort DESC") == r("SORT s BY nosort") == r("SMEMBERS s")


@pytest.mark.parametrize("size", SIZES)
def test_sorted_sets_keep_the_order_of_scores(r, size):
    members = [b"m%d" % number for number in random.Random(6).sample(range(10**6), size)]
    r("ZADD", "k", *(word for score, member in enumerate(members) for word in (score, member)))
    assert r("SORT k BY nosort") == members
    assert r("SORT k BY nosort DESC") == members[::-1]
    for offset, count in ((0, 2), (1, -1), (size - 2, 10), (-3, 2), (0, 0)):
        end = size if count < 0 else max(offset, 0) + count
        for order, expected in (("ASC", members), ("DESC", members[::-1])):
            found = r("SORT", "k", "BY", "nosort", order, "LIMIT", offset, count)
            assert found == expected[max(offset, 0):end], (order, offset, count)
    r("SORT k BY nosort DESC STORE dest")
    assert r("LRANGE dest 0 -1") == members[::-1]


def test_an_unsorted_set_is_stored_in_the_order_of_its_bytes(r):
    members = [b"m%d" % number for number in range(300)]
    r("SADD", "k", *members)
    assert set(r("SORT k BY nosort")) == set(members)
    assert r("SORT k BY nosort GET # STORE dest") == 300
    assert r("LRANGE dest 0 -1") == sorted(members)


# ---- LIMIT ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset,count,expected", [
    (0, 2, [1, 2]), (1, 2, [2, 3]), (3, 5, [4]), (4, 5, []), (9, 1, []), (-5, 2, [1, 2]), (2, -1, [3, 4]), (0, 0, []),
    (2**63 - 1, 2**63 - 1, []), (1, 2**63 - 1, [2, 3, 4])])
def test_limits(r, fill, offset, count, expected):
    fill("k", [b"3", b"1", b"4", b"2"])
    expected = [b"%d" % number for number in expected]
    assert r("SORT", "k", "LIMIT", offset, count) == expected
    assert r("SORT", "k", "LIMIT", "0", "1", "LIMIT", offset, count) == expected
    assert r("SORT", "k", "LIMIT", offset, count, "STORE", "dest") == len(expected)
    assert r("LRANGE dest 0 -1") == expected


# ---- GET ------------------------------------------------------------------------------------------------


def test_getting(r, r3, fill):
    fill("k", [b"2", b"3", b"1"])
    r("MSET v_1 one v_2 two")
    r("HSET h_1 f field n 5")
    r("RPUSH h_3 x")
    r("SET", "v_long_1", "x" * 20000)
    assert r("SORT k GET v_*") == [b"one", b"two", None]
    assert r("SORT k GET # GET v_*") == [b"1", b"one", b"2", b"two", b"3", None]
    assert r("SORT k DESC LIMIT 2 1 GET h_*->f GET h_*->n GET h_*->no") == [b"field", b"5", None]
    assert r("SORT k GET h_*") == r("SORT k GET h_*->") == r("SORT k GET nothing") == r("SORT k GET ##") == [None] * 3
    assert r("SORT k GET v_*->f") == [None] * 3
    assert r("SORT k LIMIT 0 1 GET v_long_*") == [b"x" * 20000]
    assert r("SORT_RO k BY nosort GET #") == r("SORT_RO k BY nosort")
    r3("SORT k GET v_*")
    assert r3.raw == b"*3\r\n$3\r\none\r\n$3\r\ntwo\r\n_\r\n"


def test_a_pattern_may_make_the_empty_name(r):
    r("RPUSH", "k", "")
    r("SET", "", "v")
    assert r("SORT k BY * ALPHA GET * GET #") == [b"v", b""]


def test_many_gets(r):
    r("RPUSH k b a")
    assert r("SORT", "k", "ALPHA", *["GET", "#"] * 50) == [b"a"] * 50 + [b"b"] * 50


# ---- STORE ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_storing(r, fill, size):
    expected = sorted(fill("k", numbers(size)), key=int)
    r("SET dest x EX 1000")
    assert r("SORT k STORE dest") == size
    assert r("LRANGE dest 0 -1") == expected
    assert r("TTL dest") == -1
    assert r("SORT k STORE k STORE k") == size  # onto itself
    assert r("LRANGE k 0 -1") == expected
    assert r("SORT k STORE first STORE second DESC") == size
    assert r("EXISTS first second") == 1


def test_storing_what_was_got(r):
    r("RPUSH k 2 1 3")
    r("MSET", "v_1", "one", "v_2", "x" * 1000)
    r("SET n_3 17")
    assert r("SORT k GET v_* GET n_* STORE dest") == 6
    assert r("LRANGE dest 0 -1") == [b"one", b"", b"x" * 1000, b"", b"", b"17"]
    assert r("SORT k LIMIT 5 1 STORE dest") == 0
    assert r("EXISTS dest") == 0


def test_encodings_of_what_is_stored(r, config, is_redis):
    config(list_max_listpack_size=128)
    r("RPUSH", "k", *range(500))
    r("SORT k STORE dest")
    assert r("OBJECT ENCODING dest") == b"quicklist"
    r("SORT k LIMIT 0 5 STORE dest")
    assert r("OBJECT ENCODING dest") == (b"quicklist" if is_redis else b"listpack")


def test_readers_do_not_store(r):
    r("RPUSH k 1")
    assert r("SORT_RO k STORE dest") == SYNTAX_ERROR
    assert r("EXISTS dest") == 0


def test_what_waits_for_the_destination_is_served(r, waiting):
    client = waiting("BLPOP dest 0")
    r("RPUSH k 2 1")
    assert r("SORT k STORE dest") == 2
    assert client.reply() == [b"dest", b"1"]
    assert r("LRANGE dest 0 -1") == [b"2"]


# ---- Around it ------------------------------------------------------------------------------------------


def test_options_that_are_none(r):
    r("RPUSH k 1")
    for words in ("FOO", "BY", "GET", "STORE", "LIMIT", "LIMIT 1", "ASC DESC UP", "ALPHA x"):
        assert r(f"SORT k {words}") == SYNTAX_ERROR, words
    for words in ("LIMIT a 1", "LIMIT 1 a", "LIMIT 1 1.5", "LIMIT 0 9223372036854775808", "LIMIT a b FOO"):
        assert r(f"SORT k {words}") == NOT_AN_INTEGER, words
    assert r("SORT k FOO LIMIT a b") == SYNTAX_ERROR


def test_events(r, connect, config):
    config(notify_keyspace_events="KEAmn")
    r("RPUSH k 1")
    events = connect()
    events.send("PSUBSCRIBE", "__keyevent@0__:*")
    events.reply()
    r("SORT k BY w_* GET v_* STORE dest")
    r("SORT none STORE dest")
    r("SORT none STORE dest")
    r("PUBLISH __keyevent@0__:end .")
    seen = []
    while (message := events.reply())[2] != b"__keyevent@0__:end":
        seen.append((message[2].split(b":")[1], message[3]))
    assert seen == [(b"keymiss", b"w_1"), (b"keymiss", b"v_1"), (b"new", b"dest"), (b"sortstore", b"dest"),
                    (b"keymiss", b"none"), (b"del", b"dest"), (b"keymiss", b"none")]


def test_storing_touches_watched_keys(r, connect):
    other = connect()
    r("RPUSH k 1")
    for source in ("k", "none"):
        r("WATCH dest")
        other("SORT", source, "STORE", "dest")
        r("MULTI")
        r("PING")
        assert r("EXEC") is None


def test_hits_and_misses(r):
    r("RPUSH k 1 2")
    r("SET v_1 x")
    before = r.info("stats")
    r("SORT k BY w_* GET v_*")
    after = r.info("stats")
    assert int(after["keyspace_hits"]) - int(before["keyspace_hits"]) == 2
    assert int(after["keyspace_misses"]) - int(before["keyspace_misses"]) == 3


def test_keys_of_the_command(r):
    assert r("COMMAND GETKEYS SORT k BY w_* GET x STORE d") == [b"k", b"d"]
    assert r("COMMAND GETKEYS SORT k STORE a store b") == [b"k", b"b"]
    assert r("COMMAND GETKEYS SORT k LIMIT store 1 GET store STORE x") == [b"k", b"x"]
    assert r("COMMAND GETKEYS SORT k GET store") == r("COMMAND GETKEYS SORT_RO k BY a") == [b"k"]
    assert r("COMMAND GETKEYSANDFLAGS SORT k STORE d") == [[b"k", ["RO", "access"]], [b"d", ["OW", "update"]]]


def test_key_specifications(r3):
    ((*_, specs, _),) = r3("COMMAND INFO sort")
    unknown = {b"type": b"unknown", b"spec": {}}
    assert [(spec[b"begin_search"], spec[b"find_keys"]) for spec in specs][1:] == [(unknown, unknown)] * 2


def test_in_a_transaction(r):
    r("RPUSH k 2 1")
    r("MULTI")
    r("SORT k STORE k")
    r("SORT k DESC")
    assert r("EXEC") == [2, [b"2", b"1"]]


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.skua_only("redis-server runs it in one go")
def test_in_many_slices(r, connect, config):
    """The order is that of the start, whatever others do to the list meanwhile; what is stored appears at once."""
    count = 10000 if is_slow_build() else 50000
    elements = numbers(count, 9)
    expected = sorted(elements, key=int)
    config(slice_us=1)
    r("RPUSH", "k", *elements)
    for number, element in enumerate(elements[:100]):
        r("SET", b"w_" + element, number)
    by_weight = sorted(elements[100:]) + elements[:1] + elements[1:100]
    other = connect()
    for options, result in (("", expected), ("DESC", expected[::-1]), ("ALPHA", sorted(elements)),
                            ("BY nosort DESC", elements[::-1])):
        r.send(*f"SORT k {options}".split())
        other("PING")
        assert r.reply() == result
        assert r(*f"SORT k {options} STORE dest".split()) == len(elements)
        assert r("LRANGE dest 0 -1") == result
    assert r(f"SORT k BY w_* LIMIT {count - 99} 99") == by_weight[count - 99:]
    assert r("SORT k LIMIT 0 2 GET w_* GET #") == [None, expected[0], None, expected[1]]


@pytest.mark.skua_only("redis-server runs it in one go")
def test_a_client_that_goes_ends_its_sort(r, connect, config):
    config(slice_us=1)
    r("RPUSH", "k", *numbers(50000, 10))
    for words in (["SORT", "k"], ["SORT", "k", "STORE", "dest"], ["SORT", "k", "ALPHA", "BY", "w_*"]):
        for _ in range(5):
            client = connect()
            client.send(*words)
            client.close()
    assert r("LLEN k") == 50000
