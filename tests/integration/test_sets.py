"""Sets: members, algebra, chance and walks; against Python's sets over every size and kind of member."""
import random

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, out_of_bounds
from harness.resp import Error, Set
from harness.server import is_slow_build

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_POSITIVE = Error("ERR value is out of range, must be positive")

MEMBERS = [b"", b"0", b"-1", b"127", b"128", b"32768", b"-8388609", b"9223372036854775807", b"-9223372036854775808",
           b"9223372036854775808", b"007", b"-0", b" 1", b"1.5", b"\0\r\n\xff", b"a" * 64, b"b" * 640, b"b" * 641,
           b"c" * 20000]


@pytest.fixture(params=[0, 10, 3000], ids=["alone", "in-a-page", "in-a-tree"])
def filling(request):
    """Members beside those under test, so that each test meets each form in which a set is stored."""
    return {b"filling:%d" % i for i in range(request.param)}


def members(r, key="k"):
    found = r("SMEMBERS", key)
    assert len(found) == len(set(found)) == r("SCARD", key)
    return set(found)


# ---- Members --------------------------------------------------------------------------------------------


def test_members_are_any_bytes(r, filling):
    if filling:
        assert r("SADD", "k", *filling) == len(filling)
    for number, member in enumerate(MEMBERS, 1):
        assert r("SISMEMBER", "k", member) == 0
        assert r("SADD", "k", member) == 1
        assert r("SADD", "k", member, member) == 0
        assert r("SISMEMBER", "k", member) == 1
        assert r("SCARD k") == len(filling) + number
    assert members(r) == filling | set(MEMBERS)
    assert r("SMISMEMBER", "k", b"nothing", *MEMBERS) == [0] + [1] * len(MEMBERS)
    for member in MEMBERS:
        assert r("SREM", "k", b"nothing", member) == 1
        assert r("SREM", "k", member) == 0
    assert members(r) == filling
    assert r("EXISTS k") == bool(filling)


def test_a_missing_set_is_an_empty_one(r, r3):
    assert r("SCARD k") == r("SISMEMBER k a") == r("SREM k a") == r("SMOVE k other a") == 0
    assert r("SMEMBERS k") == r("SRANDMEMBER k 5") == r("SPOP k 5") == []
    assert r("SPOP k") is r("SRANDMEMBER k") is None
    assert r("SMISMEMBER k a b") == [0, 0]
    r3("SMEMBERS k")
    assert r3.raw == b"~0\r\n"
    r3("SPOP k")
    assert r3.raw == b"_\r\n"


def test_a_set_is_a_set_in_resp3(r3):
    r3("SADD k a b")
    assert r3("SMEMBERS k") == Set([b"a", b"b"])
    assert isinstance(r3("SINTER k k"), Set)
    assert isinstance(r3("SRANDMEMBER k 2"), list) and not isinstance(r3("SRANDMEMBER k 2"), Set)
    assert isinstance(r3("SPOP k 1"), Set)


def test_moving_a_member(r, filling):
    r("SADD", "k", b"a", *filling)
    r("SADD other b")
    for member in (b"a", b"x" * 5000):
        r("SADD", "k", member)
        assert r("SMOVE", "k", "other", member) == 1
        assert r("SMOVE", "k", "other", member) == 0
        assert r("SISMEMBER", "other", member) == 1
    assert members(r) == filling
    assert r("SMOVE other other b") == 1
    assert r("SMOVE other other nothing") == 0
    assert members(r, "other") == {b"a", b"b", b"x" * 5000}
    r("SADD k b")
    assert r("SMOVE k other b") == 1
    assert r("SCARD other") == 3


# ---- Several sets ---------------------------------------------------------------------------------------


@pytest.fixture
def sets(r):
    """Five sets that overlap, of every size, and one that is not there."""
    rng = random.Random(7)
    everything = MEMBERS + [b"%d" % i for i in range(700)] + [b"member:%d" % i for i in range(700)]
    found = {}
    for name, size in zip("abcde", (3, 20, 400, 1000, 1300)):
        found[name] = set(rng.sample(everything, size))
        r("SADD", name, *found[name])
    return found | {"missing": set()}


def combinations(sets):
    rng = random.Random(8)
    names = sorted(sets)
    for _ in range(40):
        yield rng.choices(names, k=rng.choice([1, 2, 2, 3, 5]))


def test_algebra(r, sets):
    for names in combinations(sets):
        operands = [sets[name] for name in names]
        for command, expected in (("INTER", set.intersection(*operands)), ("UNION", set.union(*operands)),
                                  ("DIFF", operands[0].difference(*operands[1:]))):
            found = r(f"S{command}", *names)
            assert len(found) == len(expected) and set(found) == expected, (command, names)
            assert r(f"S{command}STORE", "result", *names) == len(expected)
            assert members(r, "result") == expected, (command, names)
            assert r("EXISTS result") == bool(expected)
        common = len(set.intersection(*operands))
        assert r("SINTERCARD", len(names), *names) == common
        for limit in (0, 1, 5, 10000):
            assert r("SINTERCARD", len(names), *names, "LIMIT", limit) == (min(common, limit) if limit else common)


def test_the_result_may_replace_an_operand_or_anything(r, sets):
    assert r("SUNIONSTORE a a b") == len(sets["a"] | sets["b"])
    assert members(r, "a") == sets["a"] | sets["b"]
    r("SET k string EX 1000")
    assert r("SDIFFSTORE k c d") == len(sets["c"] - sets["d"])
    assert members(r) == sets["c"] - sets["d"]
    assert r("TTL k") == -1
    assert r("SINTERSTORE k c missing") == 0
    assert r("EXISTS k") == 0


def test_long_members_outlive_the_set_that_they_came_from(r):
    r("SADD", "a", b"x" * 100_000, b"y" * 100_000)
    r("SUNIONSTORE b a")
    r("DEL a")
    assert members(r, "b") == {b"x" * 100_000, b"y" * 100_000}


@pytest.mark.parametrize("arguments,error", [
    ("0 a", "numkeys should be greater than 0"), ("x a", "numkeys should be greater than 0"),
    ("2 a", "Number of keys can't be greater than number of args"), ("1 a LIMIT -1", "LIMIT can't be negative"),
    ("1 a LIMIT x", "LIMIT can't be negative"), ("1 a b", "syntax error"), ("1 a LIMIT", "syntax error")])
def test_what_sintercard_refuses(r, arguments, error):
    assert r("SINTERCARD " + arguments) == Error("ERR " + error)


# ---- Chance ---------------------------------------------------------------------------------------------


def test_random_members(r, filling):
    everything = {b"a", b"b", *filling}
    r("SADD", "k", *everything)
    assert r("SRANDMEMBER k") in everything
    for count in (0, 1, 2, len(everything) // 2, len(everything) - 1, len(everything), len(everything) + 5):
        found = r("SRANDMEMBER", "k", count)
        assert len(found) == len(set(found)) == min(count, len(everything))
        assert set(found) <= everything
    found = r("SRANDMEMBER k -50")
    assert len(found) == 50 and set(found) <= everything
    assert members(r) == everything


def test_every_member_has_its_chance(r):
    r("SADD", "k", *range(10))
    assert set(r("SRANDMEMBER k -1000")) == {b"%d" % i for i in range(10)}
    seen = set()
    for _ in range(200):
        seen |= set(r("SRANDMEMBER k 2"))
    assert seen == {b"%d" % i for i in range(10)}


@pytest.mark.parametrize("command,count,error", [
    ("SPOP", "-1", NOT_POSITIVE), ("SPOP", "x", NOT_POSITIVE), ("SRANDMEMBER", "x", NOT_AN_INTEGER),
    ("SPOP", "1 2", SYNTAX_ERROR), ("SRANDMEMBER", "1 2", SYNTAX_ERROR)])
def test_counts_that_are_refused(r, command, count, error):
    assert r(f"{command} k {count}") == error


@pytest.mark.skua_only("Redis would try")
def test_a_count_of_repetitions_has_a_limit(r):
    r("SADD k a")
    for count in ("-134217729", "-9223372036854775808"):
        assert r(f"SRANDMEMBER k {count}") == out_of_bounds(-134217728, 9223372036854775807)


def test_popping(r, filling):
    everything = {b"a", b"b", b"c" * 5000, *filling}
    r("SADD", "k", *everything)
    taken = {r("SPOP k")}
    while r("EXISTS k"):
        several = r("SPOP", "k", max(1, len(everything) // 3))
        assert len(several) == len(set(several)) and not taken & set(several)
        taken |= set(several)
        assert r("SCARD k") == len(everything) - len(taken)
    assert taken == everything


# ---- Walking --------------------------------------------------------------------------------------------


def walk(r, *options, between=lambda: None):
    found, cursor = [], b"0"
    while True:
        cursor, some = r("SSCAN", "k", cursor, *options)
        found += some
        between()
        if cursor == b"0":
            return found


def test_a_walk_finds_everything(r, filling):
    everything = {b"a", b"b", *filling, *(b"%d" % i for i in range(len(filling)))}
    r("SADD", "k", *everything)
    assert set(walk(r)) == everything
    assert set(walk(r, "COUNT", 1000)) == everything
    assert set(walk(r, "MATCH", "filling:1*")) == {member for member in filling if member.startswith(b"filling:1")}
    assert set(walk(r, "COUNT", 2, "MATCH", "[ab]")) == {b"a", b"b"}


def test_a_walk_finds_what_stays_whatever_else_changes(r):
    staying = {b"stays:%d" % i for i in range(2000)}
    r("SADD", "k", *staying)
    rng = random.Random(9)

    def change():
        r("SADD", "k", *(b"new:%d" % rng.randrange(10**6) for _ in range(300)))
        gone = [member for member in r("SRANDMEMBER k 500") if member not in staying]
        if gone:
            r("SREM", "k", *gone)

    assert staying <= set(walk(r, between=change))


def test_what_sscan_refuses(r):
    r("SADD k a")
    assert r("SSCAN k x") == Error("ERR invalid cursor")
    assert r("SSCAN k 0 COUNT 0") == SYNTAX_ERROR
    assert r("SSCAN k 0 COUNT x") == NOT_AN_INTEGER
    assert r("SSCAN k 0 FOO") == SYNTAX_ERROR
    assert r("SSCAN nothing 0") == [b"0", []]


# ---- As keys --------------------------------------------------------------------------------------------


def test_other_types_are_left_alone(r):
    r("SET s v")
    r("SADD k a")
    for command in ("SADD s a", "SREM s a", "SCARD s", "SISMEMBER s a", "SMISMEMBER s a", "SMEMBERS s", "SPOP s",
                    "SRANDMEMBER s", "SSCAN s 0", "SMOVE s k a", "SMOVE k s a", "SINTER k s", "SUNION k s", "SDIFF k s",
                    "SINTERCARD 2 k s", "SUNIONSTORE k k s", "LPUSH k a", "GET k", "LLEN k"):
        assert r(command) == WRONG_TYPE, command
    assert members(r) == {b"a"}
    assert r("TYPE k") == "set"


def test_a_copy_is_independent(r, filling):
    everything = {b"a", b"c" * 5000, *filling}
    r("SADD", "k", *everything)
    r("COPY k copy")
    r("SADD k new")
    r("SREM copy a")
    assert members(r) == everything | {b"new"}
    assert members(r, "copy") == everything - {b"a"}
    r("DEL k")
    assert members(r, "copy") == everything - {b"a"}


def test_each_change_is_told(r, heard):
    for command, expected in [
            ("SADD k a b", [("sadd", "k")]), ("SADD k a", []), ("SREM k x", []), ("SREM k a", [("srem", "k")]),
            ("SMOVE k l b", [("srem", "k"), ("del", "k"), ("sadd", "l")]), ("SADD k b c", [("sadd", "k")]),
            ("SMOVE k l b", [("srem", "k")]), ("SPOP k", [("spop", "k"), ("del", "k")]), ("SPOP k", []),
            ("SUNIONSTORE k l", [("sunionstore", "k")]), ("SINTERSTORE k l x", [("del", "k")]), ("SDIFFSTORE k x", []),
            ("SADD k 1 2 3", [("sadd", "k")]), ("SPOP k 2", [("spop", "k")]), ("SPOP k 9", [("spop", "k"), ("del", "k")])]:
        r(command)
        assert heard() == expected, command


@pytest.mark.skua_only("the encoding of sets is that of 7.2")
def test_encodings(r, config):
    r("SADD k 1 2 3")
    assert r("OBJECT ENCODING k") == b"intset"
    r("SADD k a")
    assert r("OBJECT ENCODING k") == b"listpack"
    r("SREM k a")
    assert r("OBJECT ENCODING k") == b"listpack"
    r("SADD", "k", b"x" * 65)
    assert r("OBJECT ENCODING k") == b"hashtable"
    r("DEL k")
    r("SADD", "k", *range(512))
    assert r("OBJECT ENCODING k") == b"intset"
    r("SADD k 512")
    assert r("OBJECT ENCODING k") == b"hashtable"
    config(set_max_intset_entries="2", set_max_listpack_entries="3")
    r("DEL k")
    r("SADD k 1 2")
    assert r("OBJECT ENCODING k") == b"intset"
    r("SADD k a")
    assert r("OBJECT ENCODING k") == b"listpack"
    r("SADD k b")
    assert r("OBJECT ENCODING k") == b"hashtable"
    r("SUNIONSTORE l k")
    assert r("OBJECT ENCODING l") == b"hashtable"


# ---- Against a model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_commands(r, seed):
    rng, model = random.Random(seed), set()
    universe = MEMBERS + [b"%d" % i for i in range(1500)] + [b"member:%d" % i for i in range(1500)]
    steps = []
    for _ in range(200 if is_slow_build() else 1500):
        several = rng.sample(universe, rng.choice([1, 3, 40]))
        if rng.random() < 0.55:
            steps.append((("SADD", "k", *several), len(set(several) - model)))
            model |= set(several)
        elif rng.random() < 0.5:
            steps.append((("SREM", "k", *several), len(set(several) & model)))
            model -= set(several)
        else:
            steps.append((("SMISMEMBER", "k", *several), [int(member in model) for member in several]))
    for (command, expected), reply in zip(steps, r.pipeline(*(command for command, _ in steps))):
        assert reply == expected, command[:4]
    assert members(r) == model


@pytest.mark.parametrize("seed", range(3))
def test_members_that_come_and_go_within_a_window(r, seed):
    """What has been looked up ahead of a few requests is changed by those before them, in the same leaves."""
    rng, model = random.Random(seed), {b"member:%d" % i for i in range(5000)}
    r("SADD", "k", *model)
    names = rng.sample(sorted(model), 60) + [b"other:%d" % i for i in range(60)]
    steps = []
    for _ in range(500 if is_slow_build() else 3000):
        name, command = rng.choice(names), rng.choice(["SADD", "SREM", "SREM", "SISMEMBER"])
        steps.append(((command, "k", name), int((name in model) != (command == "SADD"))))
        if command == "SADD":
            model.add(name)
        elif command == "SREM":
            model.discard(name)
    for (command, expected), reply in zip(steps, r.pipeline(*(command for command, _ in steps))):
        assert reply == expected, command
    assert members(r) == model
