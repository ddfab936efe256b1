"""Fields with a time to live, as Redis 8 and Valkey 9 document them. redis-server 7.0 has none of it."""
import random
import time

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR
from harness.resp import Error, eventually

pytestmark = [pytest.mark.core, pytest.mark.skua_only("fields expire since Redis 7.4")]

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NO_FIELDS = Error("ERR Mandatory argument FIELDS is missing or not at the right position")
BAD_NUMBER = Error("ERR Parameter `numFields` should be greater than 0")
NO_MATCH = Error("ERR The `numfields` parameter must match the number of arguments")
FAR_MS = 32503680000000  # the year 3000


@pytest.fixture(params=[0, 10, 3000], ids=["alone", "in-a-page", "in-a-tree"])
def filling(r, request):
    """Fields beside those under test, so that each test meets each form in which a hash is stored."""
    fields = {b"filling:%d" % i: b"%d" % (i * i) for i in range(request.param)}
    if fields:
        r("HSET", "k", *(word for pair in fields.items() for word in pair))
    return fields


def everything(r, key="k"):
    found = r("HGETALL", key)
    fields = dict(zip(found[::2], found[1::2]))
    assert len(found) == 2 * len(fields) and len(fields) <= r("HLEN", key)
    return fields


def pass_time(r, field, key="k"):
    """Waits until the field has expired, looking at the clock only."""
    [due] = r("HPEXPIRETIME", key, "FIELDS", 1, field)
    if due > 0:
        eventually(lambda: time.time() * 1000 > due + 1, "the field's time has come")


# ---- Setting and asking ---------------------------------------------------------------------------------


def test_a_field_gets_a_time(r, filling):
    r("HSET k a 1 b 2")
    assert r("HEXPIRE k 100 FIELDS 2 a nothing") == [1, -2]
    assert r("HTTL k FIELDS 3 a b nothing") == [100, -1, -2]
    [left] = r("HPTTL k FIELDS 1 a")
    assert 0 < left <= 100_000
    assert r("HPEXPIRE k 200000 FIELDS 1 b") == [1]
    assert 199 <= r("HTTL k FIELDS 1 b")[0] <= 200
    assert r("HEXPIREAT", "k", FAR_MS // 1000, "FIELDS", 1, "a") == [1]
    assert r("HEXPIRETIME k FIELDS 1 a") == [FAR_MS // 1000]
    assert r("HPEXPIREAT", "k", FAR_MS + 1, "FIELDS", 1, "a") == [1]
    assert r("HPEXPIRETIME k FIELDS 1 a") == [FAR_MS + 1]
    assert r("HEXPIRETIME k FIELDS 1 a") == [FAR_MS // 1000 + 1]
    assert everything(r) == {b"a": b"1", b"b": b"2", **filling}
    assert r("HPERSIST k FIELDS 3 a nothing filling:0") == [1, -2, -1 if filling else -2]
    assert r("HTTL k FIELDS 1 a") == [-1]


def test_a_missing_hash_has_no_fields(r):
    for command in ("HEXPIRE k 10", "HPEXPIRE k 10", "HEXPIREAT k 10", "HPEXPIREAT k 10", "HTTL k", "HPTTL k",
                    "HEXPIRETIME k", "HPEXPIRETIME k", "HPERSIST k"):
        assert r(command + " FIELDS 2 a b") == [-2, -2], command
    assert r("HGETEX k EX 10 FIELDS 2 a b") == r("HGETDEL k FIELDS 2 a b") == [None, None]
    assert r("EXISTS k") == 0


@pytest.mark.parametrize("condition,without,earlier,later", [("NX", 1, 0, 0), ("XX", 0, 1, 1), ("GT", 0, 0, 1),
                                                             ("LT", 1, 1, 0), ("lt", 1, 1, 0)])
def test_conditions(r, filling, condition, without, earlier, later):
    r("HSET k a 1 b 2 c 3")
    assert r("HEXPIRE", "k", 100, condition, "FIELDS", 1, "a") == [without]
    assert r("HEXPIRE k 100 FIELDS 2 b c") == [1, 1]
    assert r("HEXPIRE", "k", 50, condition, "FIELDS", 2, "b", "nothing") == [earlier, -2]
    assert r("HEXPIRE", "k", 200, condition, "FIELDS", 1, "c") == [later]
    assert r("HTTL k FIELDS 3 a b c") == [100 if without else -1, 50 if earlier else 100, 200 if later else 100]


def test_a_time_that_has_passed_deletes(r, filling):
    r("HSET k a 1 b 2 c 3")
    assert r("HEXPIRE k 0 FIELDS 2 a nothing") == [2, -2]
    assert r("HPEXPIREAT k 1 FIELDS 1 b") == [2]
    assert r("HEXPIRE k 0 GT FIELDS 1 c") == [0]
    assert everything(r) == {b"c": b"3", **filling}
    assert r("HEXPIREAT k 1 LT FIELDS 1 c") == [2]
    assert r("EXISTS k") == bool(filling)


def test_what_happens_to_the_time_when_the_value_changes(r, filling):
    r("HSET k a 1 b 2 c 3 d 4")
    r("HEXPIRE k 100 FIELDS 4 a b c d")
    r("HSET k a new")
    r("HINCRBY k b 1")
    r("HINCRBYFLOAT k c 0.5")
    r("HSETNX k d new")
    assert r("HTTL k FIELDS 4 a b c d") == [-1, 100, 100, 100]
    r("HDEL k b")
    r("HSET k b 1 e 5")
    assert r("HTTL k FIELDS 2 b e") == [-1, -1]
    assert everything(r) == {b"a": b"new", b"b": b"1", b"c": b"3.5", b"d": b"4", b"e": b"5", **filling}


def test_copies_and_renamed_keys_keep_the_times(r, filling):
    r("HSET", "k", "a", "1", "b", b"x" * 5000)
    r("HPEXPIREAT", "k", FAR_MS, "FIELDS", "1", "a")
    r("COPY k copy")
    r("HPERSIST k FIELDS 1 a")
    r("RENAME copy other")
    r("EXPIRE other 1000")
    r("MOVE other 1")
    r("SELECT 1")
    try:
        assert r("HPEXPIRETIME other FIELDS 2 a b") == [FAR_MS, -1]
        assert r("HGET other b") == b"x" * 5000
        assert 0 < r("TTL other") <= 1000
    finally:
        r("SELECT 0")
    assert r("HTTL k FIELDS 1 a") == [-1]


def test_the_keys_own_time_stays(r):
    r("HSET k a 1")
    r("EXPIRE k 1000")
    r("HEXPIRE k 10 FIELDS 1 a")
    r("HSETEX k EX 50 FIELDS 1 b 2")
    assert 0 < r("TTL k") <= 1000
    assert r("INFO keyspace").decode().split("expires=")[1].startswith("1,")


# ---- Expiry ---------------------------------------------------------------------------------------------


def test_an_expired_field_is_gone_for_every_command(r, filling):
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        for command, expected in [("HGET k a", None), ("HEXISTS k a", 0), ("HSTRLEN k a", 0),
                                  # Of a large one it is counted until it is removed.
                                  ("HLEN k", len(filling) + (1 if len(filling) < 1000 else 2)),
                                  ("HMGET k a b", [None, b"2"]), ("HTTL k FIELDS 1 a", [-2]), ("HSETNX k a new", 1),
                                  ("HINCRBY k a 5", 5), ("HDEL k a", 0), ("HGETDEL k FIELDS 1 a", [None]),
                                  ("HGETEX k FIELDS 1 a", [None]), ("HPERSIST k FIELDS 1 a", [-2]),
                                  ("HSETEX k FXX FIELDS 1 a 7", 0), ("HEXPIRE k 10 FIELDS 1 a", [-2])]:
            r("HSET k a 1 b 2")
            r("HPEXPIRE k 1 FIELDS 1 a")
            pass_time(r, "a")
            assert r(command) == expected, command
        r("HSET k a 1 b 2")
        r("HPEXPIRE k 1 FIELDS 1 a")
        pass_time(r, "a")
        assert everything(r) == {b"b": b"2", **filling}
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


def test_a_hash_without_fields_is_gone(r):
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        for command, expected in [("EXISTS k", 0), ("TYPE k", "none"), ("HLEN k", 0), ("HGETALL k", []), ("TTL k", -2),
                                  ("COPY k other", 0), ("RENAME k other", Error("ERR no such key")), ("GET k", None)]:
            r("HSETEX k PX 1 FIELDS 2 a 1 b 2")
            pass_time(r, "a")
            assert r(command) == expected, command
            assert r("DBSIZE") == 0
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


def test_fields_are_removed_without_anybody_looking(r, heard, filling):
    r("HSET k stays 1")
    r("HSETEX k PX 1 FIELDS 2 a 1 b 2")
    r("HSETEX other PX 1 FIELDS 1 a 1")
    seen = []

    def all_gone():
        seen.extend(heard())
        return ("hexpired", "k") in seen and ("del", "other") in seen
    eventually(all_gone, "both hashes have lost their fields")
    assert seen.count(("hexpire", "k")) == 1
    assert seen.count(("hexpired", "k")) == seen.count(("hexpired", "other")) == 1
    assert seen.index(("hexpired", "other")) < seen.index(("del", "other"))
    assert ("del", "k") not in seen
    assert r("DBSIZE") == 1
    assert everything(r) == {b"stays": b"1", **filling}


def test_watched_keys_notice(r, connect):
    other = connect()
    r("HSET k a 1 b 2")
    r("WATCH k")
    other("HPEXPIRE k 1 FIELDS 1 a")
    assert r("MULTI") == "OK"
    r("HLEN k")
    assert r("EXEC") is None


# ---- HGETEX, HSETEX, HGETDEL ----------------------------------------------------------------------------


def test_reading_and_changing_the_time(r, filling):
    r("HSET k a 1 b 2")
    assert r("HGETEX k FIELDS 2 a nothing") == [b"1", None]
    assert r("HTTL k FIELDS 1 a") == [-1]
    assert r("HGETEX k EX 100 FIELDS 2 a nothing") == [b"1", None]
    assert r("HTTL k FIELDS 2 a b") == [100, -1]
    assert r("HGETEX k FIELDS 1 a") == [b"1"]
    assert r("HTTL k FIELDS 1 a") == [100]
    assert r("HGETEX", "k", "PXAT", FAR_MS, "FIELDS", 1, "b") == [b"2"]
    assert r("HPEXPIRETIME k FIELDS 1 b") == [FAR_MS]
    assert r("HGETEX k PERSIST FIELDS 2 a b") == [b"1", b"2"]
    assert r("HTTL k FIELDS 2 a b") == [-1, -1]
    assert r("HGETEX k PXAT 1 FIELDS 1 a") == [b"1"]
    assert everything(r) == {b"b": b"2", **filling}


def test_setting_with_a_time(r, filling):
    assert r("HSETEX", "k", "EX", 100, "FIELDS", 2, "a", "1", "b", b"x" * 3000) == 1
    assert r("HTTL k FIELDS 2 a b") == [100, 100]
    assert r("HSETEX k KEEPTTL FIELDS 2 a 2 c 3") == 1
    assert r("HTTL k FIELDS 2 a c") == [100, -1]
    assert r("HSETEX k FIELDS 1 a 3") == 1
    assert r("HTTL k FIELDS 1 a") == [-1]
    assert r("HSETEX k FNX EX 5 FIELDS 2 new 1 a 9") == 0
    assert r("HSETEX k FXX EX 5 FIELDS 2 new 1 a 9") == 0
    assert everything(r) == {b"a": b"3", b"b": b"x" * 3000, b"c": b"3", **filling}
    assert r("HSETEX k FXX PXAT 1 FIELDS 2 a 1 c 1") == 1
    assert r("HSETEX", "k", "FNX", "PXAT", FAR_MS, "FIELDS", 1, "a", "4") == 1
    assert r("HPEXPIRETIME k FIELDS 1 a") == [FAR_MS]
    assert everything(r) == {b"a": b"4", b"b": b"x" * 3000, **filling}


def test_setting_depends_on_the_key(r, filling):
    r("HSET k a 1")
    assert r("HSETEX k NX FIELDS 1 b 2") == 0
    assert r("HSETEX k NX FNX EX 100 FIELDS 1 b 2") == 0
    assert r("HSETEX other XX FIELDS 1 a 2") == r("HSETEX other XX FXX EX 100 FIELDS 1 a 2") == 0
    assert r("EXISTS other") == 0 and r("HGET k b") is None
    assert r("HSETEX k XX EX 100 FIELDS 1 b 2") == 1
    assert r("HSETEX k XX FXX KEEPTTL FIELDS 1 b 3") == 1
    assert r("HTTL k FIELDS 2 a b") == [-1, 100]
    assert r("HSETEX other NX FNX PX 100000 FIELDS 2 a 1 b 2") == 1
    assert r("HTTL other FIELDS 2 a b") == [100, 100]
    assert r("HSETEX k XX XX FIELDS 1 a 5") == 1 and r("HGET k a") == b"5"


def test_a_time_of_nothing_deletes(r, filling, heard):
    r("HSET k a 1 b 2 c 3 d 4")
    assert r("HGETEX k EX 0 FIELDS 2 a none") == [b"1", None]
    assert r("HGETEX k PXAT 0 FIELDS 1 b") == [b"2"]
    assert r("HSETEX k PX 0 FIELDS 2 c 9 none 9") == 1
    assert r("HSETEX none EXAT 0 FIELDS 1 a 1") == 1
    assert everything(r) == {b"d": b"4", **filling}
    assert [event for event, key in heard() if event != "hset"] == ["hdel", "hdel", "hdel"]


def test_what_is_expired_is_counted(r, filling):
    before = r.info("stats")
    r("HSET k a 1 b 2 c 3")
    assert r.info("keyspace")["db0"].endswith(",keys_with_volatile_items=0")
    r("HPEXPIRE k 1 FIELDS 2 a b")
    assert r.info("keyspace")["db0"].endswith(",keys_with_volatile_items=1")
    eventually(lambda: int(r.info("stats")["expired_fields"]) == int(before["expired_fields"]) + 2, "both are counted")
    assert r.info("stats")["expired_subkeys"] == r.info("stats")["expired_fields"]
    assert r.info("stats")["expired_keys"] == before["expired_keys"]


def test_taking_fields_out(r, filling):
    r("HSET", "k", "a", "1", "b", b"x" * 20000)
    assert r("HGETDEL k FIELDS 3 a nothing a") == [b"1", None, None]
    assert r("HGETDEL k FIELDS 1 b") == [b"x" * 20000]
    assert r("EXISTS k") == bool(filling)


# ---- What is refused, and told --------------------------------------------------------------------------


@pytest.mark.parametrize("arguments,error", [
    ("HEXPIRE k x FIELDS 1 a", NOT_AN_INTEGER), ("HEXPIRE k -1 FIELDS 1 a", Error("ERR invalid expire time, must be >= 0")),
    ("HEXPIRE k 9223372036854775807 FIELDS 1 a", Error("ERR invalid expire time in 'hexpire' command")),
    ("HPEXPIRE k 9223372036854775807 FIELDS 1 a", Error("ERR invalid expire time in 'hpexpire' command")),
    ("HEXPIRE k 10 FIELDS 0 a", BAD_NUMBER), ("HEXPIRE k 10 FIELDS x a", BAD_NUMBER), ("HEXPIRE k 10 FIELDS 2 a", NO_MATCH),
    ("HEXPIRE k 10 FIELDS 1 a b", NO_MATCH), ("HEXPIRE k 10 NX GT FIELDS 1 a", NO_FIELDS), ("HTTL k FIELD 1 a", NO_FIELDS),
    ("HPERSIST k FIELDS 3 a b", NO_MATCH), ("HGETEX k EX -1 FIELDS 1 a", Error("ERR invalid expire time in 'hgetex' command")),
    ("HGETEX k EX 1 PERSIST FIELDS 1 a", SYNTAX_ERROR), ("HGETEX k EX x FIELDS 1 a", NOT_AN_INTEGER),
    ("HGETEX k KEEPTTL FIELDS 1 a", SYNTAX_ERROR), ("HSETEX k EX 1 PX 1 FIELDS 1 a 1", SYNTAX_ERROR),
    ("HSETEX k FNX FXX FIELDS 1 a 1", SYNTAX_ERROR), ("HSETEX k NX XX FIELDS 1 a 1", SYNTAX_ERROR),
    ("HSETEX k NX EX 1 XX FIELDS 1 a 1", SYNTAX_ERROR), ("HGETEX k NX FIELDS 1 a", SYNTAX_ERROR), ("HSETEX k EX 1 FIELDS 1 a 1 b", NO_MATCH),
    ("HSETEX k EX 1 FIELDS 2 a 1", NO_MATCH), ("HSETEX k PERSIST FIELDS 1 a 1", SYNTAX_ERROR),
    ("HSETEX k EX -1 FIELDS 1 a 1", Error("ERR invalid expire time in 'hsetex' command")),
    ("HGETDEL k FIELDS 1 a b", NO_MATCH), ("HGETEX k EX 10 EX FIELDS 1", SYNTAX_ERROR)])
def test_what_is_refused(r, arguments, error):
    r("HSET k a 1")
    assert r(arguments) == error
    assert r("HTTL k FIELDS 1 a") == [-1]
    assert everything(r) == {b"a": b"1"}


def test_other_types_are_left_alone(r):
    r("SET s v")
    for command in ("HEXPIRE s 10 FIELDS 1 a", "HTTL s FIELDS 1 a", "HPERSIST s FIELDS 1 a", "HGETEX s FIELDS 1 a",
                    "HSETEX s EX 10 FIELDS 1 a 1", "HGETDEL s FIELDS 1 a"):
        assert r(command) == WRONG_TYPE, command
    assert r("GET s") == b"v"


def test_each_change_is_told(r, heard):
    for command, expected in [
            ("HSET k a 1 b 2", [("hset", "k")]), ("HEXPIRE k 100 FIELDS 2 a b", [("hexpire", "k")]),
            ("HEXPIRE k 100 NX FIELDS 1 a", []), ("HEXPIRE k 100 FIELDS 1 x", []), ("HTTL k FIELDS 1 a", []),
            ("HPERSIST k FIELDS 1 a", [("hpersist", "k")]), ("HPERSIST k FIELDS 1 a", []), ("HGETEX k FIELDS 1 a", []),
            ("HGETEX k EX 10 FIELDS 1 a", [("hexpire", "k")]), ("HGETEX k PERSIST FIELDS 1 a", [("hpersist", "k")]),
            ("HSETEX k EX 10 FIELDS 1 c 1", [("hset", "k"), ("hexpire", "k")]), ("HSETEX k FIELDS 1 c 1", [("hset", "k")]),
            ("HSETEX k FNX FIELDS 1 c 1", []), ("HGETDEL k FIELDS 2 c x", [("hdel", "k")]),
            ("HEXPIRE k 0 FIELDS 1 a", [("hdel", "k")]), ("HPEXPIREAT k 1 FIELDS 1 b", [("hdel", "k"), ("del", "k")])]:
        r(command)
        assert heard() == expected, command


# ---- Against a model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [20, 2000])
def test_any_sequence_of_commands(r, size):
    """The model: field -> (value, moment or -1). Times lie far away or have passed, so that no clock decides."""
    rng, model = random.Random(size), {}
    universe = [b"%d" % i for i in range(size)] + [b"f" * (i % 700) + b":%d" % i for i in range(size)]
    for _ in range(1500):
        fields = rng.sample(universe, rng.choice([1, 3, 20]))
        names = ("FIELDS", len(fields), *fields)
        moment = FAR_MS + rng.randrange(1000)
        match rng.randrange(8):
            case 0 | 1:
                r("HSET", "k", *(word for field in fields for word in (field, field[:5])))
                model |= {field: (field[:5], -1) for field in fields}
            case 2 | 3:
                assert r("HSETEX", "k", "PXAT", moment, "FIELDS", len(fields),
                         *(word for field in fields for word in (field, b"v"))) == 1
                model |= {field: (b"v", moment) for field in fields}
            case 4:
                assert r("HPEXPIREAT", "k", moment, *names) == [1 if field in model else -2 for field in fields]
                model |= {field: (model[field][0], moment) for field in fields if field in model}
            case 5:
                assert r("HPEXPIREAT", "k", 1, "XX", *names) == [
                    -2 if field not in model else 0 if model[field][1] == -1 else 2 for field in fields]
                model = {field: kept for field, kept in model.items() if field not in fields or kept[1] == -1}
            case 6:
                assert r("HPERSIST", "k", *names) == [
                    -2 if field not in model else -1 if model[field][1] == -1 else 1 for field in fields]
                model |= {field: (model[field][0], -1) for field in fields if field in model}
            case 7:
                assert r("HGETDEL", "k", *names) == [model.get(field, (None,))[0] for field in fields]
                model = {field: kept for field, kept in model.items() if field not in fields}
        asked = rng.sample(universe, 5)
        assert r("HPEXPIRETIME", "k", "FIELDS", 5, *asked) == [model.get(field, (None, -2))[1] for field in asked]
    assert everything(r) == {field: value for field, (value, _) in model.items()}


# ---- Large hashes: what has expired is removed in steps, and not seen meanwhile ----------------------------


LARGE = 3000
OVER = 1000


@pytest.fixture
def half_over(r):
    """A hash of m0 … m2999, of which the first 1,000 are past their time and still there."""
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    for first in range(0, LARGE, 500):
        r("HSET", "k", *[word for n in range(first, first + 500) for word in (f"m{n}", n)])
    for first in range(0, OVER, 500):
        r("HPEXPIRE", "k", 300, "FIELDS", 500, *[f"m{n}" for n in range(first, first + 500)])
    r("HEXPIRE k 1000 FIELDS 1 m2000")
    eventually(lambda: r("HEXISTS k m999") == 0, "their time has come")
    assert r("HLEN k") == LARGE
    yield
    r("DEBUG SET-ACTIVE-EXPIRE 1")


LIVE = {b"m%d" % n: b"%d" % n for n in range(OVER, LARGE)}


@pytest.mark.usefixtures("half_over")
def test_expired_fields_of_a_large_hash_are_not_read(r):
    assert [r("HGET k m5"), r("HMGET k m5 m1000"), r("HSTRLEN k m5"), r("HEXISTS k m5")] == [None, [None, b"1000"], 0, 0]
    flat = r("HGETALL k")
    assert dict(zip(flat[::2], flat[1::2])) == LIVE
    assert sorted(r("HKEYS k")) == sorted(LIVE)
    assert sorted(r("HVALS k")) == sorted(LIVE.values())
    cursor, found = b"0", []
    while True:
        cursor, some = r("HSCAN", "k", cursor, "COUNT", 500)
        found += some[::2]
        if cursor == b"0":
            break
    assert sorted(found) == sorted(LIVE)


@pytest.mark.usefixtures("half_over")
def test_expired_fields_of_a_large_hash_are_not_drawn(r):
    assert all(r("HRANDFIELD k") in LIVE for _ in range(50))
    assert sorted(r("HRANDFIELD k 5000")) == sorted(LIVE)
    some = r("HRANDFIELD k 100")
    assert len(set(some)) == 100 and set(some) <= set(LIVE)
    many = r("HRANDFIELD k -100 WITHVALUES")
    assert len(many) == 200 and all(LIVE[field] == value for field, value in zip(many[::2], many[1::2]))


@pytest.mark.usefixtures("half_over")
def test_expired_fields_of_a_large_hash_are_written_anew(r):
    assert r("HINCRBY k m1 7") == 7
    assert r("HINCRBYFLOAT k m2 1.5") == b"1.5"
    assert r("HSETNX k m3 new") == 1
    assert r("HSET k m4 new m1000 old") == 1
    assert r("HSETEX k FNX KEEPTTL FIELDS 1 m5 new") == 1
    assert r("HTTL k FIELDS 6 m1 m2 m3 m4 m5 m2000")[:5] == [-1] * 5
    assert r("HMGET k m1 m2 m3 m4 m5") == [b"7", b"1.5", b"new", b"new", b"new"]


@pytest.mark.usefixtures("half_over")
def test_expired_fields_of_a_large_hash_have_no_times(r):
    assert r("HTTL k FIELDS 2 m1 none") == [-2, -2]
    assert r("HPERSIST k FIELDS 1 m1") == [-2]
    assert r("HEXPIRE k 1000 FIELDS 1 m1") == [-2]
    assert r("HDEL k m1") == 0
    assert r("HGETDEL k FIELDS 1 m1") == [None]
    assert r("HGETEX k PERSIST FIELDS 1 m1") == [None]
    assert r("HSETEX k FXX FIELDS 1 m1 x") == 0


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.usefixtures("half_over")
def test_expired_fields_of_a_large_hash_are_removed_by_and_by(r, connect, config):
    config(notify_keyspace_events="Kh")
    listener = connect(3)
    listener.send("SUBSCRIBE __keyspace@0__:k")
    assert listener.push()[0] == b"subscribe"
    r("HPEXPIRE k 10 FIELDS 1 m2999")  # one more while the sweep is under way
    r("DEBUG SET-ACTIVE-EXPIRE 1")
    eventually(lambda: r("HLEN k") == LARGE - OVER - 1, "they are gone")
    assert any(listener.push()[2] == b"hexpired" for _ in range(2))
    assert r("HTTL k FIELDS 1 m2000")[0] > 0
    r("HPEXPIRE", "k", 1, "FIELDS", LARGE, *[f"m{n}" for n in range(LARGE)])
    eventually(lambda: r("EXISTS k") == 0, "the last has taken the key with it")
