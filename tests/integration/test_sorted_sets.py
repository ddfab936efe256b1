"""Sorted sets: members and scores, ranges, algebra, chance and walks; against a model of Python's over every size."""
import math
import random

import pytest

from harness.errors import NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, out_of_bounds, wrong_arity
from harness.resp import Error
from harness.server import is_slow_build

pytestmark = pytest.mark.core

INF = math.inf
NOT_POSITIVE = Error("ERR value is out of range, must be positive")
NOT_A_RANGE = Error("ERR min or max is not a float")
NOT_A_LEX_RANGE = Error("ERR min or max not valid string range item")
NOT_A_NUMBER = Error("ERR resulting score is not a number (NaN)")

MEMBERS = [b"", b"0", b"-1", b"128", b"9223372036854775807", b"9223372036854775808", b"007", b"-0", b" 1", b"1.5",
           b"\0\r\n\xff", b"\xff\xff", b"prefix:a", b"prefix:a\0", b"prefix:ab", b"a" * 64, b"b" * 640, b"b" * 641,
           b"b" * 20000]
# All of them are written with the same digits by every version.
SCORES = [0.0, 1.0, -1.0, 2.5, 0.5, 2.0**90, -2.0**90, 2.2250738585072014e-308, 123456789012.0, INF, -INF]


@pytest.fixture(params=[0, 10, 3000], ids=["alone", "in-a-page", "in-a-tree"])
def filling(request):
    """Members beside those under test, so that each test meets each form in which a sorted set is stored."""
    rng = random.Random(3)
    return {b"filling:%d" % i: float(rng.randrange(-50, 50)) for i in range(request.param)}


def text(score):
    return repr(score).removesuffix(".0")


def fill(r, model, key="k"):
    """Adds all of a model {member: score}."""
    items = list(model.items())
    for first in range(0, len(items), 500):
        r("ZADD", key, *(word for member, score in items[first:first + 500] for word in (repr(score), member)))


def ordered(model):
    """A model's (member, score) in the order of a sorted set."""
    return sorted(model.items(), key=lambda item: (item[1], item[0]))


def pairs(flat):
    return list(zip(flat[::2], map(float, flat[1::2])))


def everything(r, key="k"):
    found = pairs(r("ZRANGE", key, 0, -1, "WITHSCORES"))
    assert len(found) == r("ZCARD", key)
    return found


# ---- Members and scores ---------------------------------------------------------------------------------


def test_members_are_any_bytes(r, filling):
    fill(r, filling)
    model = dict(filling)
    for number, member in enumerate(MEMBERS):
        model[member] = SCORES[number % len(SCORES)]
        assert r("ZSCORE", "k", member) is None
        assert r("ZADD", "k", repr(model[member]), member) == 1
        assert r("ZADD", "k", repr(model[member]), member) == 0
        assert float(r("ZSCORE", "k", member)) == model[member]
    assert everything(r) == ordered(model)
    assert list(map(float, r("ZMSCORE", "k", *MEMBERS))) == [model[member] for member in MEMBERS]
    for position, (member, score) in enumerate(ordered(model)):
        if member in MEMBERS:
            assert r("ZRANK", "k", member) == position
            assert r("ZREVRANK", "k", member) == len(model) - 1 - position
    for member in MEMBERS:
        assert r("ZREM", "k", b"nothing", member) == 1
        assert r("ZREM", "k", member) == 0
    assert everything(r) == ordered(filling)
    assert r("EXISTS k") == bool(filling)


@pytest.mark.parametrize("given,shown", [
    ("1", b"1"), ("1.5", b"1.5"), ("-3", b"-3"), ("1e3", b"1000"), ("0x10", b"16"), ("+inf", b"inf"), ("-inf", b"-inf"),
    ("infinity", b"inf"), ("1e100", b"1e+100"), ("-.5", b"-0.5"),
    ("9007199254740993", b"9007199254740992")])
def test_scores_as_they_are_given_and_shown(r, r3, given, shown):
    r("ZADD", "k", given, "a")
    assert r("ZSCORE k a") == shown
    r3("ZSCORE k a")
    assert r3.raw == b"," + shown + b"\r\n"


@pytest.mark.skua_only("7.0 writes 17 digits of a score")
def test_digits_are_as_few_as_name_the_score(r):
    for given in ("0.1", "3.14", "0.00001", "1e-7", "9.5367431640625e-7", "5e-324", "1.7976931348623157e+308",
                  "0.30000000000000004", "1.7000000001234567e+9", "100000000000000000", "123456789012345680000", "1e+21"):
        r("ZADD", "k", given, "a")
        assert r("ZSCORE k a") == given.encode()
    r("ZADD k -0 a")
    assert r("ZSCORE k a") == b"0"


@pytest.mark.parametrize("score", ["", "x", "nan", "1e400", "1 ", " 1", "1,5"])
def test_what_is_no_score(r, score):
    assert r("ZADD", "k", "1", "a", score, "b") == NOT_A_FLOAT
    assert r("ZINCRBY", "k", score, "b") == NOT_A_FLOAT
    assert r("EXISTS k") == 0


def test_a_missing_sorted_set_is_an_empty_one(r, r3):
    assert r("ZCARD k") == r("ZREM k a") == r("ZCOUNT k -inf +inf") == r("ZLEXCOUNT k - +") == 0
    assert r("ZREMRANGEBYRANK k 0 -1") == r("ZREMRANGEBYSCORE k 0 1") == r("ZREMRANGEBYLEX k - +") == 0
    assert r("ZRANGE k 0 -1") == r("ZPOPMIN k") == r("ZPOPMAX k 3") == r("ZRANDMEMBER k 5") == r("ZUNION 1 k") == []
    assert r("ZSCORE k a") is r("ZRANK k a") is r("ZRANDMEMBER k") is r("ZMPOP 1 k MIN") is None
    assert r("ZMSCORE k a b") == [None, None]
    r3("ZSCORE k a")
    assert r3.raw == b"_\r\n"


def test_adding_under_conditions(r, filling):
    fill(r, filling)
    r("ZADD k 1 a 2 b")
    for command, reply, scores in [
            ("ZADD k NX 5 a 3 c", 1, b"1 2 3"), ("ZADD k XX 5 a 9 d", 0, b"5 2 3"), ("ZADD k XX CH 6 a 2 b", 1, b"6 2 3"),
            ("ZADD k GT CH 5 a 3 b", 1, b"6 3 3"), ("ZADD k LT CH 5 a 4 b", 1, b"5 3 3"),
            ("ZADD k CH 1 a 2 b 4 c", 3, b"1 2 4"), ("ZADD k XX GT 2 a", 0, b"2 2 4"), ("ZADD k ch 1 a 2 a 1 a", 3, b"1 2 4"),
            ("ZADD k INCR 2 a", b"3", b"3 2 4"), ("ZADD k NX INCR 2 a", None, b"3 2 4"),
            ("ZADD k XX INCR 2 d", None, b"3 2 4"), ("ZADD k GT INCR -1 a", None, b"3 2 4"),
            ("ZADD k LT INCR -1 a", b"2", b"2 2 4"), ("ZADD k GT INCR 0 a", None, b"2 2 4"),
            ("ZINCRBY k 0 a", b"2", b"2 2 4"), ("ZINCRBY k -1 a", b"1", b"1 2 4")]:
        assert r(command) == reply, command
        assert r("ZMSCORE k a b c") == scores.split(), command
    assert r("ZSCORE k d") is None
    assert r("ZADD k GT 7 d") == 1
    assert r("ZINCRBY k 1.5 e") == b"1.5"
    assert r("ZADD missing XX 1 a") == 0
    assert r("ZADD missing XX INCR 1 a") is None
    assert r("EXISTS missing") == 0


def test_infinities_have_no_sum(r, filling):
    fill(r, filling)
    r("ZADD k inf a")
    assert r("ZINCRBY k -inf a") == NOT_A_NUMBER
    assert r("ZADD k INCR -inf a") == NOT_A_NUMBER
    assert r("ZINCRBY k 1 a") == b"inf"


@pytest.mark.parametrize("words,error", [
    ("NX XX 1 a", "ERR XX and NX options at the same time are not compatible"),
    ("NX GT 1 a", "ERR GT, LT, and/or NX options at the same time are not compatible"),
    ("GT LT 1 a", "ERR GT, LT, and/or NX options at the same time are not compatible"),
    ("INCR 1 a 2 b", "ERR INCR option supports a single increment-element pair"),
    ("1 a 2", "ERR syntax error"), ("NX CH", "ERR syntax error"), ("FOO 1 a", "ERR syntax error"),
    ("NX XX 1 a 2", "ERR syntax error"), ("1 NX a", "ERR syntax error"), ("1 a NX b", "ERR value is not a valid float")])
def test_what_zadd_refuses(r, words, error):
    assert r("ZADD k " + words) == Error(error)
    assert r("EXISTS k") == 0


@pytest.mark.skua_only("WITHSCORE came with 7.2")
def test_a_rank_with_its_score(r, r3):
    r("ZADD k 1 a 2.5 b")
    assert r("ZRANK k b WITHSCORE") == [1, b"2.5"]
    assert r3("ZREVRANK k b WITHSCORE") == [0, 2.5]
    assert r("ZRANK k x WITHSCORE") is None
    assert r.raw == b"*-1\r\n"
    assert r("ZRANK k a FOO") == SYNTAX_ERROR
    assert r("ZRANK k a WITHSCORE x") == wrong_arity("zrank")


# ---- Ranges ---------------------------------------------------------------------------------------------


def score_end(rng):
    """An end of a range of scores: its text, the score, whether that belongs to the range."""
    score, exclusive = float(rng.choice([-INF, INF, *range(-55, 55)])), rng.random() < 0.4
    return f"{'(' if exclusive else ''}{score!r}", score, not exclusive


def chosen_by_scores(rows, low, high):
    return [(member, score) for member, score in rows
            if (low[1] < score or low[2] and low[1] == score) and (score < high[1] or high[2] and high[1] == score)]


def cut(rows, offset, count):
    return [] if offset < 0 else rows[offset:] if count < 0 else rows[offset:offset + count]


@pytest.mark.cells("tcp:0", "shm:4")
def test_ranges_by_position(r, filling):
    model = filling | {b"a": 1.0, b"b": 1.0, b"c": -INF}
    fill(r, model)
    rows, size, rng = ordered(model), len(model), random.Random(4)
    for _ in range(60):
        start, stop = (rng.choice([rng.randrange(-size - 2, size + 2), 0, -1, 2**63 - 1, -2**63]) for _ in "ab")
        first, last = (max(0, end + size) if end < 0 else end for end in (start, stop))
        last = -1 if stop < -size else last
        expected = rows[first:last + 1]
        assert pairs(r("ZRANGE", "k", start, stop, "WITHSCORES")) == expected
        assert r("ZRANGE", "k", start, stop) == [member for member, _ in expected]
        expected = rows[::-1][first:last + 1]
        assert pairs(r("ZREVRANGE", "k", start, stop, "WITHSCORES")) == expected
        assert r("ZRANGE", "k", start, stop, "REV") == [member for member, _ in expected]
        assert r("ZRANGESTORE", "l", "k", start, stop, "REV") == len(expected)
        assert everything(r, "l") == expected[::-1]


def test_ranges_by_score(r, filling):
    model = filling | {b"a": 1.0, b"b": 1.0, b"c": -INF, b"d": INF}
    fill(r, model)
    rows, rng = ordered(model), random.Random(5)
    for _ in range(60):
        low, high = score_end(rng), score_end(rng)
        limit = rng.choice([(0, -1), (1, 3), (0, 0), (-1, 5), (5, 100), (2, -7)])
        expected = chosen_by_scores(rows, low, high)
        assert r("ZCOUNT", "k", low[0], high[0]) == len(expected)
        assert pairs(r("ZRANGEBYSCORE", "k", low[0], high[0], "WITHSCORES")) == expected
        assert pairs(r("ZRANGE", "k", high[0], low[0], "BYSCORE", "WITHSCORES", "REV")) == expected[::-1]
        some = cut(expected, *limit)
        assert r("ZRANGEBYSCORE", "k", low[0], high[0], "LIMIT", *limit) == [member for member, _ in some]
        assert r("ZRANGESTORE", "l", "k", low[0], high[0], "BYSCORE", "LIMIT", *limit) == len(some)
        assert everything(r, "l") == some
        some = cut(expected[::-1], *limit)
        assert pairs(r("ZREVRANGEBYSCORE", "k", high[0], low[0], "LIMIT", *limit, "WITHSCORES")) == some
        assert pairs(r("ZRANGE", "k", high[0], low[0], "LIMIT", *limit, "BYSCORE", "REV", "WITHSCORES")) == some


@pytest.mark.parametrize("end,count", [("", 2), ("(", 1), (" 0", 2), ("1e400", 4), ("0x1", 3), ("infinity", 4)])
def test_ends_are_read_generously(r, end, count):
    r("ZADD k -1 a 0 b 1 c 2 d")
    assert r("ZCOUNT", "k", "-inf", end) == count


def lex_ends(rng, members):
    """Texts of two ends and what lies between them, of sorted members."""
    def end():
        member = rng.choice(members) if rng.random() < 0.6 else bytes(rng.randrange(97, 123) for _ in range(3))
        return rng.choice([(b"-", lambda other: 1), (b"+", lambda other: -1),
                           (b"[" + member, lambda other: (other > member) - (other < member) or 2),
                           (b"(" + member, lambda other: (other > member) - (other < member))])
    low, high = end(), end()
    return low[0], high[0], [member for member in members if low[1](member) > 0 and high[1](member) in (-1, 2)]


def test_ranges_by_bytes(r, filling):
    model = {member: 0.0 for member in [*filling, *MEMBERS]}
    fill(r, model)
    members, rng = sorted(model), random.Random(6)
    for _ in range(60):
        low, high, expected = lex_ends(rng, members)
        limit = rng.choice([(0, -1), (1, 3), (0, 0), (-1, 5), (5, 100)])
        assert r("ZRANGEBYLEX", "k", low, high) == expected, (low[:50], high[:50])
        assert r("ZLEXCOUNT", "k", low, high) == len(expected)
        assert r("ZREVRANGEBYLEX", "k", high, low) == expected[::-1]
        assert r("ZRANGE", "k", low, high, "BYLEX", "LIMIT", *limit) == cut(expected, *limit)
        assert r("ZRANGE", "k", high, low, "BYLEX", "REV", "LIMIT", *limit) == cut(expected[::-1], *limit)
        assert r("ZRANGESTORE", "l", "k", low, high, "BYLEX") == len(expected)
        assert [member for member, _ in everything(r, "l")] == expected


def test_ranges_by_bytes_stay_inside_a_set_whose_scores_differ(r, filling):
    model = filling | {b"a": 1.0, b"z": 2.0, b"b": 3.0, b"y": 4.0}
    fill(r, model)
    rng = random.Random(7)
    for _ in range(40):
        low, high, _ = lex_ends(rng, sorted(model))
        offset = rng.randrange(4)
        for reply in (r("ZRANGEBYLEX", "k", low, high, "LIMIT", offset, 9), r("ZREVRANGEBYLEX", "k", high, low)):
            assert len(set(reply)) == len(reply) and set(reply) <= set(model)
        assert r("ZLEXCOUNT", "k", low, high) <= len(model)
    assert r("ZRANGEBYLEX k - +") == [member for member, _ in ordered(model)]
    assert r("ZREMRANGEBYLEX k [a +") <= len(model)


@pytest.mark.parametrize("words,error", [
    ("ZRANGE k x 1", NOT_AN_INTEGER), ("ZRANGE k 0 1.5", NOT_AN_INTEGER), ("ZRANGE k (1 2", NOT_AN_INTEGER),
    ("ZREVRANGE k a 1", NOT_AN_INTEGER), ("ZRANGE k x 1 BYSCORE", NOT_A_RANGE), ("ZRANGE k 1 [2 BYSCORE", NOT_A_RANGE),
    ("ZCOUNT k nan 1", NOT_A_RANGE), ("ZRANGEBYSCORE k 1 2x", NOT_A_RANGE), ("ZREMRANGEBYSCORE k ((1 2", NOT_A_RANGE),
    ("ZRANGE k a + BYLEX", NOT_A_LEX_RANGE), ("ZRANGE k -x + BYLEX", NOT_A_LEX_RANGE), ("ZLEXCOUNT k - ''", NOT_A_LEX_RANGE),
    ("ZRANGEBYLEX k ++ -", NOT_A_LEX_RANGE), ("ZREMRANGEBYLEX k 1 2", NOT_A_LEX_RANGE), ("ZREMRANGEBYRANK k 0 x", NOT_AN_INTEGER),
    ("ZRANGE k 0 1 LIMIT 0", SYNTAX_ERROR), ("ZRANGE k 0 1 BYSCORE LIMIT 0 x", NOT_AN_INTEGER),
    ("ZRANGE k 0 1 BYSCORE BYLEX", SYNTAX_ERROR), ("ZRANGE k 0 1 FOO", SYNTAX_ERROR),
    ("ZRANGESTORE l k 0 1 WITHSCORES", SYNTAX_ERROR), ("ZRANGEBYSCORE k 0 1 REV", SYNTAX_ERROR),
    ("ZRANGE k 0 1 LIMIT 0 1",
     Error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")),
    ("ZRANGE k - + BYLEX WITHSCORES",
     Error("ERR syntax error, WITHSCORES not supported in combination with BYLEX"))])
def test_what_ranges_refuse(r, words, error):
    assert r(words) == error


def test_scores_are_doubles_and_pairs_are_nested_in_resp3(r, r3):
    r("ZADD k 1 a 2.5 b")
    for command in ("ZRANGE k 0 -1", "ZRANGEBYSCORE k 1 3", "ZUNION 1 k", "ZINTER 1 k", "ZDIFF 2 k x"):
        assert r(command + " WITHSCORES") == [b"a", b"1", b"b", b"2.5"], command
        assert r3(command + " WITHSCORES") == [[b"a", 1.0], [b"b", 2.5]], command
    assert sorted(r3("ZRANDMEMBER k 2 WITHSCORES")) == [[b"a", 1.0], [b"b", 2.5]]
    assert r3("ZREVRANGE k 0 0 WITHSCORES") == [[b"b", 2.5]]
    r3("ZRANGE k 0 0 WITHSCORES")
    assert r3.raw == b"*1\r\n*2\r\n$1\r\na\r\n,1\r\n"
    assert r3("ZMSCORE k a x") == [1.0, None]
    assert r3("ZSCAN k 0") == [b"0", [b"a", b"1", b"b", b"2.5"]]
    assert r3("ZINCRBY k 1 a") == 2.0
    assert r3("ZADD k INCR 1 a") == 3.0


def test_removing_ranges(r, filling):
    model = filling | {b"a": 1.0, b"b": 1.0, b"c": -INF}
    fill(r, model)
    rng = random.Random(8)
    while len(model) > 3:
        rows = ordered(model)
        if rng.random() < 0.5:
            first = rng.randrange(len(rows))
            gone = rows[first:first + rng.choice([1, 5, 400])]
            assert r("ZREMRANGEBYRANK", "k", first, first + len(gone) - 1) == len(gone)
        else:
            low, high = score_end(rng), score_end(rng)
            gone = chosen_by_scores(rows, low, high)
            assert r("ZREMRANGEBYSCORE", "k", low[0], high[0]) == len(gone)
        for member, _ in gone:
            del model[member]
        assert everything(r) == ordered(model)
    r("ZREMRANGEBYRANK k 0 -1")
    assert r("EXISTS k") == 0
    fill(r, {member: 1.0 for member in filling | {b"a": 0, b"z": 0}})
    assert r("ZREMRANGEBYLEX k (a +") == len(filling) + 1
    assert everything(r) == [(b"a", 1.0)]


def test_popping(r, filling):
    model = filling | {b"a": 1.0, b"b" * 5000: 2.0, b"c": INF}
    fill(r, model)
    rows = ordered(model)
    assert pairs(r("ZPOPMIN k")) == [rows.pop(0)]
    while rows:
        count = min(len(rows), 700)
        assert pairs(r("ZPOPMAX", "k", 700)) == [rows.pop() for _ in range(count)]
        assert everything(r) == rows
        if rows:
            assert r("ZMPOP", 2, "nothing", "k", "MIN", "COUNT", 1) == [b"k", [[rows[0][0], text(rows[0][1]).encode()]]]
            rows.pop(0)
    assert r("EXISTS k") == 0


def test_shapes_of_what_is_popped(r, r3):
    r("ZADD k 1 a 2 b 3 c 4 d 5 e 6 f")
    assert r("ZPOPMIN k") == [b"a", b"1"]
    assert r3("ZPOPMAX k") == [b"f", 6.0]
    assert r("ZPOPMIN k 1") == [b"b", b"2"]
    assert r3("ZPOPMAX k 1") == [[b"e", 5.0]]
    assert r3("ZPOPMAX k 0") == []
    assert r3("ZMPOP 1 k MAX") == [b"k", [[b"d", 4.0]]]
    assert r("ZMPOP 1 k MAX COUNT 7") == [b"k", [[b"c", b"3"]]]


@pytest.mark.parametrize("words,error", [
    ("ZPOPMIN k -1", NOT_POSITIVE), ("ZPOPMAX k x", NOT_POSITIVE), ("ZPOPMIN k 1 2", SYNTAX_ERROR),
    ("ZMPOP 0 k MIN", Error("ERR numkeys should be greater than 0")), ("ZMPOP 2 k MIN", SYNTAX_ERROR),
    ("ZMPOP 1 k LEFT", SYNTAX_ERROR), ("ZMPOP 1 k MIN COUNT 0", Error("ERR count should be greater than 0")),
    ("ZRANDMEMBER k x", NOT_AN_INTEGER), ("ZRANDMEMBER k 1 FOO", SYNTAX_ERROR)])
def test_counts_that_are_refused(r, words, error):
    assert r(words) == error


# ---- Several sets ---------------------------------------------------------------------------------------


@pytest.fixture
def sets(r):
    """Sorted sets that overlap, of every size, a plain set, and one that is not there."""
    rng = random.Random(9)
    universe = MEMBERS + [b"%d" % i for i in range(700)] + [b"member:%d" % i for i in range(700)]
    found = {"missing": {}}
    for name, size in zip("abcd", (3, 20, 400, 1300)):
        found[name] = {member: float(rng.randrange(-9, 9)) for member in rng.sample(universe, size)}
        fill(r, found[name], name)
    found["plain"] = {member: 1.0 for member in rng.sample(universe, 300)}
    r("SADD", "plain", *found["plain"])
    return found


def combined(operation, operands, weights, aggregate):
    """What an operation makes of models."""
    if operation == "DIFF":
        return {member: score for member, score in operands[0].items()
                if not any(member in other for other in operands[1:])}
    members = set().union(*operands) if operation == "UNION" else set.intersection(*map(set, operands))
    combine = {"SUM": sum, "MIN": min, "MAX": max}[aggregate]
    return {member: combine(operand[member] * weight for operand, weight in zip(operands, weights) if member in operand)
            for member in members}


@pytest.mark.parametrize("operation", ["INTER", "UNION", "DIFF"])
def test_algebra(r, sets, operation):
    rng = random.Random(10)
    for _ in range(25):
        names = rng.choices(sorted(sets), k=rng.choice([1, 2, 2, 3, 5]))
        weights, aggregate, options = [1.0] * len(names), "SUM", []
        if operation != "DIFF" and rng.random() < 0.5:
            weights = [rng.choice([0.0, 1.0, -2.0, 0.5]) for _ in names]
            options += ["WEIGHTS", *weights]
        if operation != "DIFF" and rng.random() < 0.5:
            aggregate = rng.choice(["SUM", "MIN", "MAX"])
            options = ["aggregate", aggregate, *options] if rng.random() < 0.5 else [*options, "AGGREGATE", aggregate]
        expected = ordered(combined(operation, [sets[name] for name in names], weights, aggregate))
        words = (len(names), *names, *options)
        found = r(f"Z{operation}", *words, "WITHSCORES")
        # Zeros of both signs are the same score, and stand in the order of their members.
        assert pairs(found) == expected, words
        assert r(f"Z{operation}", *words) == [member for member, _ in expected]
        assert r(f"Z{operation}STORE", "result", *words) == len(expected)
        assert everything(r, "result") == expected
        assert r("EXISTS result") == bool(expected)
        if operation == "INTER":
            for limit in (0, 1, 5, 10000):
                assert r("ZINTERCARD", len(names), *names, "LIMIT", limit) == min(limit or 10**9, len(expected))


def test_infinities_in_sums(r):
    r("ZADD a inf x 0 y")
    r("ZADD b -inf x")
    assert r("ZUNION 2 a b WITHSCORES") == [b"x", b"0", b"y", b"0"]
    assert r("ZINTER 2 a b AGGREGATE MIN WITHSCORES") == [b"x", b"-inf"]
    assert r("ZINTER 2 a b WEIGHTS 0 0 WITHSCORES") == [b"x", b"0"]
    assert r("ZUNION 1 a WEIGHTS inf WITHSCORES") == [b"y", b"0", b"x", b"inf"]


def test_sums_are_made_in_the_order_of_sizes(r):
    r("ZADD a 0.1 x 0 p 0 q")
    r("ZADD b 0.2 x 0 p")
    r("ZADD c 0.3 x")
    assert float(r("ZINTER 3 a b c WITHSCORES")[1]) == 0.3 + 0.2 + 0.1
    assert float(r("ZUNION 3 a b c WITHSCORES")[-1]) == 0.3 + 0.2 + 0.1


def test_the_result_may_replace_an_operand_or_anything(r, sets):
    union = combined("UNION", [sets["a"], sets["b"]], [1, 1], "SUM")
    assert r("ZUNIONSTORE a 2 a b") == len(union)
    assert everything(r, "a") == ordered(union)
    r("SET k string EX 1000")
    assert r("ZRANGESTORE k d 0 9") == 10
    assert r("TTL k") == -1
    assert r("ZRANGESTORE d d 5 9") == 5
    assert r("ZINTERSTORE k 2 d missing") == 0
    assert r("EXISTS k") == 0
    r("SET k string")
    assert r("ZRANGESTORE k missing 0 -1") == 0
    assert r("EXISTS k") == 0


def test_long_members_outlive_the_set_that_they_came_from(r):
    r("ZADD", "a", 1, b"x" * 100_000, 2, b"y" * 100_000)
    r("ZUNIONSTORE b 1 a")
    r("ZRANGESTORE c a 0 0")
    r("DEL a")
    assert everything(r, "b") == [(b"x" * 100_000, 1.0), (b"y" * 100_000, 2.0)]
    assert everything(r, "c") == [(b"x" * 100_000, 1.0)]


@pytest.mark.parametrize("words,error", [
    ("ZUNION 0 a", "ERR at least 1 input key is needed for 'zunion' command"),
    ("ZINTERSTORE k -1 a", "ERR at least 1 input key is needed for 'zinterstore' command"),
    ("ZDIFF x a", "ERR value is not an integer or out of range"), ("ZDIFF 2 a", "ERR syntax error"),
    ("ZUNION 1 a WEIGHTS x", "ERR weight value is not a float"), ("ZUNION 2 a b WEIGHTS 1", "ERR syntax error"),
    ("ZUNION 1 a WEIGHTS 1 2", "ERR syntax error"), ("ZINTER 1 a AGGREGATE AVG", "ERR syntax error"),
    ("ZINTER 1 a AGGREGATE", "ERR syntax error"), ("ZDIFF 1 a WEIGHTS 1", "ERR syntax error"),
    ("ZUNIONSTORE k 1 a WITHSCORES", "ERR syntax error"), ("ZINTERCARD 1 a LIMIT -1", "ERR LIMIT can't be negative"),
    ("ZINTERCARD 1 a LIMIT x", "ERR LIMIT can't be negative"), ("ZINTERCARD 1 a WITHSCORES", "ERR syntax error")])
def test_what_algebra_refuses(r, words, error):
    assert r(words) == Error(error)


# ---- Chance ---------------------------------------------------------------------------------------------


def test_random_members(r, filling):
    model = filling | {b"a": 1.0, b"b": 2.0}
    fill(r, model)
    assert r("ZRANDMEMBER k") in model
    for count in (0, 1, 2, len(model) // 2, len(model) - 1, len(model), len(model) + 5):
        found = r("ZRANDMEMBER", "k", count)
        assert len(found) == len(set(found)) == min(count, len(model)) and set(found) <= set(model)
        found = pairs(r("ZRANDMEMBER", "k", count, "WITHSCORES"))
        assert len(found) == min(count, len(model)) and set(found) <= set(model.items())
    found = pairs(r("ZRANDMEMBER k -50 WITHSCORES"))
    assert len(found) == 50 and set(found) <= set(model.items())


def test_every_member_has_its_chance(r):
    fill(r, {b"%d" % i: float(i) for i in range(10)})
    assert set(r("ZRANDMEMBER k -1000")) == {b"%d" % i for i in range(10)}


@pytest.mark.skua_only("Redis would try")
def test_a_count_of_repetitions_has_a_limit(r):
    r("ZADD k 1 a")
    for count in ("-134217729", "-9223372036854775808"):
        assert r(f"ZRANDMEMBER k {count}") == out_of_bounds(-134217728, 9223372036854775807)


# ---- Walking --------------------------------------------------------------------------------------------


def walk(r, *options, between=lambda: None):
    found, cursor = [], b"0"
    while True:
        cursor, some = r("ZSCAN", "k", cursor, *options)
        found += pairs(some)
        between()
        if cursor == b"0":
            return found


def test_a_walk_finds_everything(r, filling):
    model = filling | {b"a": 1.5, b"b": -INF}
    fill(r, model)
    assert set(walk(r)) == set(model.items())
    assert set(walk(r, "COUNT", 1000)) == set(model.items())
    assert set(walk(r, "COUNT", 2, "MATCH", "[ab]")) == {(b"a", 1.5), (b"b", -INF)}


def test_a_walk_finds_what_stays_whatever_its_score_becomes(r):
    staying = [b"stays:%d" % i for i in range(2000)]
    fill(r, {member: 1.0 for member in staying})
    rng, passing = random.Random(11), [b"passes:%d" % i for i in range(1000)]

    def change():
        """Other members come and go; those that stay move."""
        r("ZADD", "k", *(word for member in rng.sample(passing, 300) for word in (rng.randrange(99), member)))
        r("ZREM", "k", *rng.sample(passing, 300))
        r("ZADD", "k", "XX", *(word for member in rng.sample(staying, 40) for word in (rng.randrange(99), member)))

    assert set(staying) <= {member for member, _ in walk(r, between=change)}


def test_what_zscan_refuses(r):
    r("ZADD k 1 a")
    assert r("ZSCAN k x") == Error("ERR invalid cursor")
    assert r("ZSCAN k 0 COUNT 0") == SYNTAX_ERROR
    assert r("ZSCAN k 0 COUNT x") == NOT_AN_INTEGER
    assert r("ZSCAN k 0 FOO") == SYNTAX_ERROR
    assert r("ZSCAN nothing 0") == [b"0", []]


@pytest.mark.skua_only("since Valkey 8")
@pytest.mark.parametrize("size", [3, 3000])
def test_zscan_without_scores(r, size):
    members = [b"m%d" % i for i in range(size)]
    r("ZADD", "k", *(word for member in members for word in (b"1", member)))
    found = []
    cursor = b"0"
    while True:
        cursor, some = r("ZSCAN", "k", cursor, "NOSCORES", "COUNT", 100)
        found += some
        if cursor == b"0":
            break
    assert sorted(found) == sorted(members)
    assert r("ZSCAN k 0 MATCH m2 COUNT 10000 NOSCORES") == [b"0", [b"m2"]]


# ---- As keys --------------------------------------------------------------------------------------------


def test_other_types_are_left_alone(r):
    r("SET s v")
    r("ZADD k 1 a")
    for command in ("ZADD s 1 a", "ZINCRBY s 1 a", "ZREM s a", "ZCARD s", "ZSCORE s a", "ZMSCORE s a", "ZRANK s a",
                    "ZREVRANK s a", "ZRANGE s 0 1", "ZCOUNT s 0 1", "ZLEXCOUNT s - +", "ZRANGESTORE k s 0 1",
                    "ZREMRANGEBYRANK s 0 1", "ZPOPMIN s", "ZPOPMAX s 2", "ZMPOP 2 x s MIN", "ZRANDMEMBER s", "ZSCAN s 0",
                    "ZUNION 2 k s", "ZINTER 2 k s", "ZDIFF 2 k s", "ZINTERCARD 2 k s", "ZUNIONSTORE k 2 k s",
                    "SADD k a", "GET k", "LLEN k", "SUNION k x"):
        assert r(command) == WRONGTYPE, command
    assert everything(r) == [(b"a", 1.0)]
    assert r("TYPE k") == "zset"


def test_a_copy_is_independent(r, filling):
    model = filling | {b"a": 1.0, b"c" * 5000: 2.0}
    fill(r, model)
    r("COPY k copy")
    r("ZADD k 5 new 6 a")
    r("ZREM copy a")
    assert everything(r) == ordered(model | {b"new": 5.0, b"a": 6.0})
    del model[b"a"]
    assert everything(r, "copy") == ordered(model)
    r("DEL k")
    assert everything(r, "copy") == ordered(model)
    assert set(r("ZMSCORE", "copy", *model)) == {text(score).encode() for score in model.values()}


def test_each_change_is_told(r, heard):
    for command, expected in [
            ("ZADD k 1 a 2 b", [("zadd", "k")]), ("ZADD k 1 a", []), ("ZADD k 3 a", [("zadd", "k")]),
            ("ZADD k NX 4 a", []), ("ZINCRBY k 1 a", [("zincr", "k")]), ("ZINCRBY k 0 a", []),
            ("ZADD k INCR 2 c", [("zincr", "k")]), ("ZREM k x", []), ("ZREM k a", [("zrem", "k")]),
            ("ZRANGESTORE l k 0 -1", [("zrangestore", "l")]), ("ZRANGESTORE l k 5 6", [("del", "l")]),
            ("ZRANGESTORE l k 5 6", []), ("ZUNIONSTORE l 1 k", [("zunionstore", "l")]),
            ("ZINTERSTORE l 1 k", [("zinterstore", "l")]), ("ZDIFFSTORE m 2 l x", [("zdiffstore", "m")]),
            ("ZDIFFSTORE m 2 l l", [("del", "m")]), ("ZREMRANGEBYRANK l 0 0", [("zremrangebyrank", "l")]),
            ("ZREMRANGEBYSCORE l 2 2", [("zremrangebyscore", "l"), ("del", "l")]), ("ZREMRANGEBYRANK l 0 -1", []),
            ("ZREMRANGEBYLEX k [b [b", [("zremrangebylex", "k")]), ("ZPOPMIN k", [("zpopmin", "k"), ("del", "k")]),
            ("ZPOPMIN k", []), ("ZADD k 1 a 2 b 3 c", [("zadd", "k")]), ("ZPOPMAX k", [("zpopmax", "k")]),
            ("ZPOPMAX k 0", []), ("ZMPOP 1 k MIN", [("zpopmin", "k")]),
            ("ZMPOP 2 x k MAX COUNT 9", [("zpopmax", "k"), ("del", "k")])]:
        r(command)
        assert heard() == expected, command


def test_encodings(r, config):
    r("ZADD k 1 a")
    assert r("OBJECT ENCODING k") == b"listpack"
    r("ZADD", "k", 1, b"x" * 65)
    assert r("OBJECT ENCODING k") == b"skiplist"
    r("ZREM", "k", b"x" * 65)
    assert r("OBJECT ENCODING k") == b"skiplist"
    r("ZRANGESTORE l k 0 -1")
    assert r("OBJECT ENCODING l") == b"listpack"
    config(zset_max_ziplist_entries="3")
    r("ZADD m 1 a 2 b 3 c")
    assert r("OBJECT ENCODING m") == b"listpack"
    r("ZADD m 4 d")
    assert r("OBJECT ENCODING m") == b"skiplist"
    r("ZUNIONSTORE l 1 m")
    assert r("OBJECT ENCODING l") == b"skiplist"


# ---- Against a model ------------------------------------------------------------------------------------


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_commands(r, seed):
    rng, model = random.Random(seed), {}
    universe = MEMBERS + [b"%d" % i for i in range(1500)] + [b"member:%d" % i for i in range(1500)]
    steps = []
    for _ in range(200 if is_slow_build() else 1500):
        several = rng.sample(universe, rng.choice([1, 3, 40]))
        chance = rng.random()
        if chance < 0.5:
            scores = [rng.choice(SCORES) if rng.random() < 0.1 else float(rng.randrange(40)) for _ in several]
            new = len(set(several) - set(model))
            steps.append((("ZADD", "k", *(word for pair in zip(map(repr, scores), several) for word in pair)), new))
            model.update(zip(several, scores))
        elif chance < 0.7:
            steps.append((("ZREM", "k", *several), len(set(several) & set(model))))
            for member in several:
                model.pop(member, None)
        elif chance < 0.8:
            known = [member for member in several if member in model]
            steps.append((("ZMSCORE", "k", *several),
                          [text(model[member]).encode() if member in known else None for member in several]))
        elif chance < 0.9 and abs(model.get(several[0], 0.0)) < 1e9:
            model[several[0]] = model.get(several[0], 0.0) + 1
            steps.append((("ZINCRBY", "k", 1, several[0]), text(model[several[0]]).encode()))
        else:
            rows = ordered(model)
            position = rng.randrange(len(rows)) if rows else 0
            expected = rows[position:position + 10]
            steps.append((("ZRANGE", "k", position, position + 9), [member for member, _ in expected]))
    for (command, expected), reply in zip(steps, r.pipeline(*(command for command, _ in steps))):
        assert reply == expected, command[:4]
    assert everything(r) == ordered(model)
