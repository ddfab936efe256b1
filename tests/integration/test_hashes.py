"""Hashes: fields, numbers in them, chance and walks; against Python's dictionaries over every size and kind of text."""
import random

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, out_of_bounds
from harness.resp import Error
from harness.server import is_slow_build

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_A_FLOAT = Error("ERR value is not a valid float")

TEXTS = [b"", b"0", b"-1", b"127", b"128", b"32768", b"-8388609", b"9223372036854775807", b"-9223372036854775808",
         b"9223372036854775808", b"007", b"-0", b" 1", b"1.5", b"\0\r\n\xff", b"a" * 64, b"b" * 640, b"b" * 641,
         b"c" * 20000]


@pytest.fixture(params=[0, 10, 3000], ids=["alone", "in-a-page", "in-a-tree"])
def filling(request):
    """Fields beside those under test, so that each test meets each form in which a hash is stored."""
    return {b"filling:%d" % i: b"%d" % (i * i) for i in range(request.param)}


def put(r, fields, key="k"):
    if fields:
        r("HSET", key, *(word for pair in fields.items() for word in pair))


def everything(r, key="k"):
    found = r("HGETALL", key)
    fields = dict(zip(found[::2], found[1::2]))
    assert len(found) == 2 * len(fields) == 2 * r("HLEN", key)
    return fields


# ---- Fields ---------------------------------------------------------------------------------------------


def test_fields_and_values_are_any_bytes(r, filling):
    put(r, filling)
    expected = dict(filling)
    for field, value, other in zip(TEXTS, reversed(TEXTS), TEXTS[5:] + TEXTS[:5]):
        assert r("HEXISTS", "k", field) == 0
        assert r("HGET", "k", field) is None
        assert r("HSTRLEN", "k", field) == 0
        assert r("HSET", "k", field, other) == 1
        assert r("HSET", "k", field, other, field, value) == 0
        assert r("HSETNX", "k", field, other) == 0
        assert r("HEXISTS", "k", field) == 1
        assert r("HGET", "k", field) == value
        assert r("HSTRLEN", "k", field) == len(value)
        expected[field] = value
        assert r("HLEN k") == len(expected)
    assert everything(r) == expected
    assert r("HMGET", "k", b"nothing", *TEXTS) == [None, *reversed(TEXTS)]
    for field in TEXTS:
        assert r("HDEL", "k", b"nothing", field, field) == 1
        assert r("HDEL", "k", field) == 0
    assert everything(r) == filling
    assert r("EXISTS k") == bool(filling)


def test_a_missing_hash_is_an_empty_one(r, r3):
    assert r("HLEN k") == r("HEXISTS k f") == r("HSTRLEN k f") == r("HDEL k f") == 0
    assert r("HGETALL k") == r("HKEYS k") == r("HVALS k") == r("HRANDFIELD k 5") == r("HRANDFIELD k -5 WITHVALUES") == []
    assert r("HGET k f") is r("HRANDFIELD k") is None
    assert r("HMGET k f g") == [None, None]
    assert r("EXISTS k") == 0
    r3("HGETALL k")
    assert r3.raw == b"%0\r\n"
    r3("HKEYS k")
    assert r3.raw == b"*0\r\n"
    r3("HRANDFIELD k")
    assert r3.raw == b"_\r\n"


def test_setting_answers_with_the_number_of_new_fields(r):
    assert r("HSET k a 1 b 2 a 3") == 2
    assert r("HSET k a 4 c 5") == 1
    assert r("HMSET k c 6 d 7") == "OK"
    assert r("HSETNX k d 8") == 0
    assert r("HSETNX k e 9") == 1
    assert everything(r) == {b"a": b"4", b"b": b"2", b"c": b"6", b"d": b"7", b"e": b"9"}


def test_a_small_hash_keeps_the_order_of_its_fields(r):
    fields = [b"z", b"1", b"m", b"a", b"0"]
    for field in fields:
        r("HSET", "k", field, b"value of " + field)
    r("HSET k m a-longer-value-than-before")
    r("HDEL k 1")
    assert r("HKEYS k") == [b"z", b"m", b"a", b"0"]
    assert r("HVALS k") == [b"value of z", b"a-longer-value-than-before", b"value of a", b"value of 0"]
    r("HSET k 1 again")
    assert r("HKEYS k") == [b"z", b"m", b"a", b"0", b"1"]


def test_keys_and_values_come_in_the_same_order(r, filling):
    put(r, {b"f": b"v", **filling})
    keys, values = r("HKEYS k"), r("HVALS k")
    assert dict(zip(keys, values)) == {b"f": b"v", **filling}
    assert r("HGETALL k") == [word for pair in zip(keys, values) for word in pair]


def test_a_hash_is_a_map_in_resp3(r3):
    r3("HSET k a 1 b 2")
    assert r3("HGETALL k") == {b"a": b"1", b"b": b"2"}
    assert r3.raw == b"%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"
    assert r3("HRANDFIELD k 2 WITHVALUES") in ([[b"a", b"1"], [b"b", b"2"]], [[b"b", b"2"], [b"a", b"1"]])
    assert len(r3("HRANDFIELD k -3 WITHVALUES")) == 3
    assert sorted(r3("HRANDFIELD k 2")) == [b"a", b"b"]
    assert r3("HSCAN k 0") == [b"0", [b"a", b"1", b"b", b"2"]]


@pytest.mark.parametrize("command", ["HSET", "HMSET"])
def test_each_field_needs_a_value(r, command):
    wrong = Error(f"ERR wrong number of arguments for '{command.lower()}' command")
    for arguments in ("", "k", "k a", "k a 1 b"):
        assert r(f"{command} {arguments}") == wrong
    assert r("EXISTS k") == 0


# ---- Numbers --------------------------------------------------------------------------------------------


def test_counting(r, filling):
    put(r, filling)
    assert r("HINCRBY k n 5") == 5
    assert r("HINCRBY k n -7") == -2
    assert r("HGET k n") == b"-2"
    r("HSET k n 9223372036854775800")
    assert r("HINCRBY k n 7") == 9223372036854775807
    assert r("HINCRBY k n 1") == Error("ERR increment or decrement would overflow")
    r("HSET k n -9223372036854775808")
    assert r("HINCRBY k n -1") == Error("ERR increment or decrement would overflow")
    assert r("HGET k n") == b"-9223372036854775808"
    assert r("HINCRBY k n x") == r("HINCRBY k n 1.5") == NOT_AN_INTEGER
    for value in (b"", b"x", b"1.5", b"007", b" 1", b"9223372036854775808", b"1" * 700):
        r("HSET", "k", "n", value)
        assert r("HINCRBY k n 1") == Error("ERR hash value is not an integer")
        assert r("HGET k n") == value


def test_counting_with_fractions(r, filling):
    put(r, filling)
    assert r("HINCRBYFLOAT k x 10.5") == b"10.5"
    assert r("HINCRBYFLOAT k x 0.1") == b"10.6"
    assert r("HINCRBYFLOAT k x -5e0") == b"5.6"
    assert r("HINCRBYFLOAT k x 0.4") == b"6"
    assert r("HINCRBY k x 1") == 7
    assert r("HINCRBYFLOAT k x abc") == r("HINCRBYFLOAT k x nan") == NOT_A_FLOAT
    assert r("HINCRBYFLOAT k x inf") == r("HINCRBYFLOAT k x -inf") == Error("ERR value is NaN or Infinity")
    r("HSET k x inf")
    assert r("HINCRBYFLOAT k x 1") == Error("ERR increment would produce NaN or Infinity")
    for value in (b"abc", b" 1", b"", b"1" * 6000):
        r("HSET", "k", "x", value)
        assert r("HINCRBYFLOAT k x 1") == Error("ERR hash value is not a float")
        assert r("HGET k x") == value


# ---- Chance ---------------------------------------------------------------------------------------------


def test_random_fields(r, filling):
    fields = {b"a": b"1", b"b": b"2", **filling}
    put(r, fields)
    assert r("HRANDFIELD k") in fields
    for count in (0, 1, 2, len(fields) // 2, len(fields) - 1, len(fields), len(fields) + 5):
        found = r("HRANDFIELD", "k", count)
        assert len(found) == len(set(found)) == min(count, len(fields))
        assert set(found) <= set(fields)
        found = r("HRANDFIELD", "k", count, "WITHVALUES")
        assert len(found) == 2 * min(count, len(fields))
        assert dict(zip(found[::2], found[1::2])).items() <= fields.items()
    found = r("HRANDFIELD k -50 WITHVALUES")
    assert len(found) == 100
    assert set(zip(found[::2], found[1::2])) <= set(fields.items())
    assert everything(r) == fields


def test_every_field_has_its_chance(r):
    put(r, {b"%d" % i: b"v" for i in range(10)})
    assert set(r("HRANDFIELD k -1000")) == {b"%d" % i for i in range(10)}
    seen = set()
    for _ in range(200):
        seen |= set(r("HRANDFIELD k 2"))
    assert seen == {b"%d" % i for i in range(10)}


@pytest.mark.parametrize("arguments,error", [
    ("x", NOT_AN_INTEGER), ("WITHVALUES", NOT_AN_INTEGER), ("1 2", SYNTAX_ERROR), ("1 WITHVALUES 2", SYNTAX_ERROR),
    ("x WITHVALUES", NOT_AN_INTEGER)])
def test_what_hrandfield_refuses(r, arguments, error):
    r("HSET k a 1")
    assert r("HRANDFIELD k " + arguments) == error


@pytest.mark.skua_only("Redis would try")
def test_a_count_of_repetitions_has_a_limit(r):
    r("HSET k a 1")
    for count in ("-134217729", "-9223372036854775808"):
        assert r(f"HRANDFIELD k {count}") == out_of_bounds(-134217728, 9223372036854775807)


# ---- Walking --------------------------------------------------------------------------------------------


def walk(r, *options, between=lambda: None):
    found, cursor = [], b"0"
    while True:
        cursor, some = r("HSCAN", "k", cursor, *options)
        found += some
        between()
        if cursor == b"0":
            return found


def pairs(found):
    return dict(zip(found[::2], found[1::2]))


def test_a_walk_finds_everything(r, filling):
    fields = {b"a": b"1", b"b": b"x" * 5000, **filling, **{b"%d" % i: b"v" for i in range(len(filling))}}
    put(r, fields)
    assert pairs(walk(r)) == fields
    assert pairs(walk(r, "COUNT", 1000)) == fields
    wanted = {field: value for field, value in filling.items() if field.startswith(b"filling:1")}
    assert pairs(walk(r, "MATCH", "filling:1*")) == wanted
    assert pairs(walk(r, "COUNT", 2, "MATCH", "[ab]")) == {b"a": b"1", b"b": b"x" * 5000}


@pytest.mark.skua_only("NOVALUES came with Redis 7.4")
def test_a_walk_without_values(r, filling):
    put(r, {b"a": b"1", **filling})
    assert set(walk(r, "NOVALUES")) == {b"a", *filling}
    assert walk(r, "NOVALUES", "MATCH", "a", "COUNT", "100") == [b"a"]


def test_a_walk_finds_what_stays_whatever_else_changes(r):
    staying = {b"stays:%d" % i: b"v" for i in range(2000)}
    put(r, staying)
    rng = random.Random(9)

    def change():
        put(r, {b"new:%d" % rng.randrange(10**6): b"w" * rng.randrange(40) for _ in range(300)})
        gone = [field for field in r("HRANDFIELD k 500") if field not in staying]
        if gone:
            r("HDEL", "k", *gone)

    assert staying.items() <= pairs(walk(r, between=change)).items()


def test_what_hscan_refuses(r):
    r("HSET k a 1")
    assert r("HSCAN k x") == Error("ERR invalid cursor")
    assert r("HSCAN k 0 COUNT 0") == SYNTAX_ERROR
    assert r("HSCAN k 0 COUNT x") == NOT_AN_INTEGER
    assert r("HSCAN k 0 FOO") == SYNTAX_ERROR
    assert r("HSCAN nothing 0") == [b"0", []]


# ---- As keys --------------------------------------------------------------------------------------------


def test_other_types_are_left_alone(r):
    r("SET s v")
    r("HSET k a 1")
    for command in ("HSET s a 1", "HMSET s a 1", "HSETNX s a 1", "HGET s a", "HMGET s a", "HGETALL s", "HKEYS s",
                    "HVALS s", "HLEN s", "HDEL s a", "HEXISTS s a", "HSTRLEN s a", "HINCRBY s a 1", "HINCRBYFLOAT s a 1",
                    "HRANDFIELD s", "HRANDFIELD s 1", "HSCAN s 0", "SADD k a", "LPUSH k a", "GET k", "SCARD k"):
        assert r(command) == WRONG_TYPE, command
    assert everything(r) == {b"a": b"1"}
    assert r("TYPE k") == "hash"


def test_a_copy_is_independent(r, filling):
    fields = {b"a": b"1", b"c" * 5000: b"d" * 5000, **filling}
    put(r, fields)
    r("COPY k copy")
    r("HSET k a 2 new 3")
    r("HDEL copy a")
    assert everything(r) == {**fields, b"a": b"2", b"new": b"3"}
    assert everything(r, "copy") == {field: value for field, value in fields.items() if field != b"a"}
    r("DEL k")
    assert r("HGET", "copy", b"c" * 5000) == b"d" * 5000
    r("RENAME copy k")
    assert r("HLEN k") == len(fields) - 1


def test_changing_a_field_keeps_the_keys_time_to_live(r):
    r("HSET k a 1")
    r("EXPIRE k 1000")
    r("HSET k a 2 b 3")
    put(r, {b"%d" % i: b"v" for i in range(2000)})
    r("HINCRBY k a 1")
    assert 0 < r("TTL k") <= 1000
    r("HDEL", "k", *r("HKEYS k"))
    r("HSET k a 1")
    assert r("TTL k") == -1


def test_each_change_is_told(r, heard):
    for command, expected in [
            ("HSET k a 1 b 2", [("hset", "k")]), ("HSET k a 1", [("hset", "k")]), ("HMSET k a 1", [("hset", "k")]),
            ("HSETNX k a 1", []), ("HSETNX k c 1", [("hset", "k")]), ("HINCRBY k a 1", [("hincrby", "k")]),
            ("HINCRBY k a x", []), ("HINCRBYFLOAT k a 1.5", [("hincrbyfloat", "k")]), ("HDEL k x", []),
            ("HDEL k a", [("hdel", "k")]), ("HDEL k b c", [("hdel", "k"), ("del", "k")]), ("HDEL k b", [])]:
        r(command)
        assert heard() == expected, command


def test_encodings(r, config):
    r("HSET k a 1")
    assert r("OBJECT ENCODING k") == b"listpack"
    r("HSET", "k", "a", b"x" * 64)
    assert r("OBJECT ENCODING k") == b"listpack"
    r("HSET", "k", "a", b"x" * 65)
    assert r("OBJECT ENCODING k") == b"hashtable"
    r("HSET k a 1")
    assert r("OBJECT ENCODING k") == b"hashtable"
    r("DEL k")
    r("HSET", "k", b"x" * 65, "1")
    assert r("OBJECT ENCODING k") == b"hashtable"
    r("DEL k")
    put(r, {b"%d" % i: b"v" for i in range(512)})
    assert r("OBJECT ENCODING k") == b"listpack"
    r("HINCRBY k 512 1")
    assert r("OBJECT ENCODING k") == b"hashtable"
    config(hash_max_listpack_entries="2")
    config(hash_max_ziplist_value="3")
    r("DEL k l")
    r("HSET k a 1 b 2")
    r("HSETNX l a 123")
    assert r("OBJECT ENCODING k") == r("OBJECT ENCODING l") == b"listpack"
    r("HSET k c 3")
    r("HINCRBYFLOAT l a 0.5")
    assert r("OBJECT ENCODING k") == r("OBJECT ENCODING l") == b"hashtable"
    r("COPY k copy")
    assert r("OBJECT ENCODING copy") == b"hashtable"


# ---- Against a model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_commands(r, seed):
    rng, model = random.Random(seed), {}
    universe = TEXTS + [b"%d" % i for i in range(1500)] + [b"field:%d" % i for i in range(1500)]
    steps = []
    for _ in range(200 if is_slow_build() else 1500):
        several = rng.sample(universe, rng.choice([1, 3, 40]))
        chance = rng.random()
        if chance < 0.5:
            values = rng.choices(universe, k=len(several))
            steps.append((("HSET", "k", *(word for pair in zip(several, values) for word in pair)),
                          len(set(several) - set(model))))
            model.update(zip(several, values))
        elif chance < 0.75:
            steps.append((("HDEL", "k", *several), len(set(several) & set(model))))
            for field in several:
                model.pop(field, None)
        else:
            steps.append((("HMGET", "k", *several), [model.get(field) for field in several]))
    for (command, expected), reply in zip(steps, r.pipeline(*(command for command, _ in steps))):
        assert reply == expected, command[:4]
    assert everything(r) == model


@pytest.mark.parametrize("seed", range(3))
def test_fields_that_come_and_go_within_a_window(r, seed):
    """What has been looked up ahead of a few requests is changed by those before them, in the same leaves."""
    rng, model = random.Random(seed), {b"field:%d" % i: b"%d" % i for i in range(5000)}
    r("HSET", "k", *(word for pair in model.items() for word in pair))
    names = rng.sample(sorted(model), 60) + [b"other:%d" % i for i in range(60)]
    steps = []
    for number in range(500 if is_slow_build() else 3000):
        name, chance = rng.choice(names), rng.random()
        if chance < 0.3:
            steps.append((("HSET", "k", name, "v" * (number % 9)), int(name not in model)))
            model[name] = b"v" * (number % 9)
        elif chance < 0.7:
            steps.append((("HDEL", "k", name), int(name in model)))
            model.pop(name, None)
        else:
            steps.append((("HGET", "k", name), model.get(name)))
    for (command, expected), reply in zip(steps, r.pipeline(*(command for command, _ in steps))):
        assert reply == expected, command
    assert r("HLEN k") == len(model)
