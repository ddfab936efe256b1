"""Lists: both ends, positions, searching and removing; against a plain Python list over every size and kind of element."""
import collections
import random

import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error
from harness.server import is_slow_build

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_POSITIVE = Error("ERR value is out of range, must be positive")
NO_SUCH_KEY = Error("ERR no such key")

# Integers of every width, texts, and long ones around each size at which they are stored in another way.
ELEMENTS = [b"", b"0", b"-1", b"127", b"128", b"-4096", b"32767", b"-8388608", b"2147483648", b"9223372036854775807",
            b"-9223372036854775808", b"9223372036854775808", b"007", b"-0", b" 1", b"1.5", b"\0\r\n\xff",
            b"a" * 63, b"a" * 64, b"b" * 640, b"b" * 641, b"c" * 5000, b"d" * 20000]

EVERYTHING = ("LRANGE", "k", 0, -1)


@pytest.fixture(params=[0, 10, 3000], ids=["alone", "in-a-page", "in-a-tree"])
def filling(request):
    """Elements beside those under test, so that each test meets each form in which a list is stored."""
    return [b"filling:%d" % i for i in range(request.param)]


# ---- Both ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda e: f"{e[:12]!r}-{len(e)}")
def test_an_element_comes_back_as_it_was(r, element, filling):
    if filling:
        r("RPUSH", "k", *filling)
    assert r("RPUSH", "k", element) == len(filling) + 1
    assert r("LPUSH", "k", element) == len(filling) + 2
    assert r("LINDEX k 0") == r("LINDEX k -1") == element
    assert r("LPOS", "k", element) == 0
    assert r("LPOP k") == element
    assert r("RPOP k") == element
    assert r("LLEN k") == len(filling)


def test_pushing_puts_one_after_the_other(r):
    assert r("LPUSH k 1 2 3") == 3
    assert r("RPUSH k 4 5") == 5
    assert r(*EVERYTHING) == [b"3", b"2", b"1", b"4", b"5"]
    assert r("TYPE k") == "list"


def test_pushing_onto_what_exists_only(r):
    assert r("LPUSHX k 1") == r("RPUSHX k 1") == 0
    assert r("EXISTS k") == 0
    r("LPUSH k 1")
    assert r("LPUSHX k 2 3") == 3
    assert r("RPUSHX k 4") == 4
    assert r(*EVERYTHING) == [b"3", b"2", b"1", b"4"]


def test_popping_several(r, r3, filling):
    r("RPUSH", "k", b"a", b"b", *filling, b"y", b"z")
    assert r("LPOP k 2") == [b"a", b"b"]
    assert r("RPOP k 2") == [b"z", b"y"]
    assert r("LPOP k 0") == ([] if filling else None)
    assert r("LPOP k 100000") == (filling or None)
    assert r("EXISTS k") == 0
    assert r("LPOP k 1") is None
    assert r.raw == b"*-1\r\n"
    assert r("LPOP k") is None
    assert r.raw == b"$-1\r\n"
    r3("LPOP k 1")
    assert r3.raw == b"_\r\n"


@pytest.mark.parametrize("count", ["-1", "x", "1.5", "9223372036854775808"])
def test_a_count_of_elements_is_not_negative(r, count):
    assert r("LPOP", "k", count) == NOT_POSITIVE
    assert r("RPOP", "k", count) == NOT_POSITIVE


def test_too_many_arguments_are_told_when_it_runs(r):
    assert r("LPOP k 1 2") == wrong_arity("lpop")
    r("MULTI")
    assert r("RPOP k 1 2") == "QUEUED"
    assert r("EXEC") == [wrong_arity("rpop")]


def test_popping_from_the_first_of_several(r, r3):
    r("RPUSH a 1 2 3")
    r("RPUSH b 4")
    assert r("LMPOP 3 nothing a b LEFT") == [b"a", [b"1"]]
    assert r("LMPOP 2 a b RIGHT COUNT 10") == [b"a", [b"3", b"2"]]
    assert r("LMPOP 2 a b right count 1") == [b"b", [b"4"]]
    assert r("LMPOP 2 a b LEFT") is None
    assert r.raw == b"*-1\r\n"
    r3("LMPOP 1 a LEFT")
    assert r3.raw == b"_\r\n"


@pytest.mark.parametrize("arguments,error", [
    ("0 a LEFT", "numkeys should be greater than 0"), ("x a LEFT", "numkeys should be greater than 0"),
    ("-1 a LEFT", "numkeys should be greater than 0"), ("1 a LEFT COUNT 0", "count should be greater than 0"),
    ("1 a LEFT COUNT x", "count should be greater than 0"), ("2 a LEFT", "syntax error"), ("1 a b LEFT", "syntax error"),
    ("1 a MIDDLE", "syntax error"),
    ("9223372036854775807 a LEFT", "syntax error"), ("1 a LEFT COUNT", "syntax error"),
    ("1 a LEFT COUNT 1 COUNT 2", "syntax error")])
def test_what_lmpop_refuses(r, arguments, error):
    assert r("LMPOP " + arguments) == Error("ERR " + error)


def test_the_keys_of_lmpop(r):
    assert r("COMMAND GETKEYS LMPOP 2 a b LEFT") == [b"a", b"b"]
    assert r("COMMAND GETKEYS LMPOP x a LEFT") == Error("ERR Invalid arguments specified for command")
    assert r("COMMAND GETKEYS LMPOP 3 a LEFT") == Error("ERR Invalid arguments specified for command")


def test_moving_between_lists(r):
    r("RPUSH k 1 2 3")
    assert r("LMOVE k other LEFT RIGHT") == b"1"
    assert r("LMOVE k other RIGHT LEFT") == b"3"
    assert r("RPOPLPUSH k other") == b"2"
    assert r("EXISTS k") == 0
    assert r("LRANGE other 0 -1") == [b"2", b"3", b"1"]
    assert r("LMOVE k other LEFT LEFT") is None
    assert r("LMOVE k other LEFT MIDDLE") == SYNTAX_ERROR


@pytest.mark.parametrize("source,destination,expected", [
    ("LEFT", "LEFT", [b"1", b"2", b"3"]), ("LEFT", "RIGHT", [b"2", b"3", b"1"]),
    ("RIGHT", "LEFT", [b"3", b"1", b"2"]), ("RIGHT", "RIGHT", [b"1", b"2", b"3"])])
def test_moving_within_a_list_rotates_it(r, source, destination, expected):
    r("RPUSH k 1 2 3")
    assert r("LMOVE", "k", "k", source, destination) == (b"1" if source == "LEFT" else b"3")
    assert r(*EVERYTHING) == expected
    r("DEL k")
    r("RPUSH k only")
    assert r("LMOVE", "k", "k", source, destination) == b"only"
    assert r(*EVERYTHING) == [b"only"]


def test_moving_a_long_element(r):
    r("RPUSH", "k", b"x" * 100_000)
    assert r("LMOVE k k LEFT RIGHT") == b"x" * 100_000
    assert r("LMOVE k other LEFT RIGHT") == b"x" * 100_000
    assert r("LINDEX other 0") == b"x" * 100_000


# ---- Positions ------------------------------------------------------------------------------------------


def test_ranges_are_cut_to_the_list(r, filling):
    elements = [b"a", b"b", *filling, b"z"]
    r("RPUSH", "k", *elements)
    size = len(elements)
    for start in (0, 1, -1, -2, size - 1, size, -size, -size - 1, -(2**63)):
        for stop in (0, 1, -1, -2, size - 1, size, -size, -size - 1, 2**63 - 1):
            first = max(start + size if start < 0 else start, 0)
            last = stop + size if stop < 0 else stop
            assert r("LRANGE", "k", start, stop) == elements[first:last + 1 if last >= 0 else 0], (start, stop)


def test_setting_at_a_position(r, filling):
    r("RPUSH", "k", b"a", *filling, b"z")
    for element in ELEMENTS:
        assert r("LSET", "k", 0, element) == "OK"
        assert r("LSET", "k", -1, element) == "OK"
        assert r(*EVERYTHING) == [element, *filling, element]
    assert r("LSET", "k", len(filling) + 2, "x") == Error("ERR index out of range")
    assert r("LSET k x x") == NOT_AN_INTEGER
    assert r("LSET nothing x x") == NO_SUCH_KEY


def test_trimming(r, filling):
    elements = [b"a", b"b", *filling, b"y", b"z"]
    r("RPUSH", "k", *elements)
    assert r("LTRIM k 1 -2") == "OK"
    assert r(*EVERYTHING) == elements[1:-1]
    assert r("LTRIM k 0 100000") == "OK"
    assert r(*EVERYTHING) == elements[1:-1]
    assert r("LTRIM k 5 1") == "OK"
    assert r("EXISTS k") == 0
    assert r("LTRIM k 0 -1") == "OK"


# ---- Searching ------------------------------------------------------------------------------------------


def test_finding_positions(r, filling):
    r("RPUSH", "k", b"a", b"b", *filling, b"a", b"c", b"a")
    middle, last = len(filling) + 2, len(filling) + 4
    assert r("LPOS k a") == 0
    assert r("LPOS k a RANK 2") == middle
    assert r("LPOS k a RANK -1") == last
    assert r("LPOS k a RANK -3") == 0
    assert r("LPOS k a RANK 4") is None
    assert r("LPOS k a COUNT 0") == [0, middle, last]
    assert r("LPOS k a COUNT 2 RANK -1") == [last, middle]
    assert r("LPOS k a COUNT 0 MAXLEN 1") == [0]
    assert r("LPOS k a RANK 2 MAXLEN 2") is None
    assert r("LPOS k a RANK -1 MAXLEN 1") == last
    assert r("LPOS k x COUNT 1") == []
    assert r("LPOS nothing a") is None
    assert r("LPOS nothing a COUNT 0") == []


def test_what_lpos_refuses(r, is_redis):
    assert r("LPOS k a RANK 0") == Error(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start "
        "from the end of the list")
    if not is_redis:  # 7.0 overflows; as since 7.2
        assert r("LPOS k a RANK -9223372036854775808") == Error(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
    assert r("LPOS k a COUNT -1") == Error("ERR COUNT can't be negative")
    assert r("LPOS k a MAXLEN -1") == Error("ERR MAXLEN can't be negative")
    assert r("LPOS k a FOO 1") == SYNTAX_ERROR
    assert r("LPOS k a RANK") == SYNTAX_ERROR


@pytest.mark.skua_only("since Valkey 8")
def test_lrem_refuses_the_count_that_has_no_positive_counterpart(r):
    r("RPUSH k a")
    assert r("LREM", "k", -(2**63), "a") == Error(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
    assert r("LREM", "k", -(2**63) + 1, "a") == 1


@pytest.mark.skua_only("since Redis 7.2")
def test_lpos_refuses_the_rank_that_has_no_positive_counterpart(r):
    r("RPUSH k a")
    assert r("LPOS", "k", "a", "RANK", -(2**63)) == Error(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
    assert r("LPOS", "k", "a", "RANK", -(2**63) + 1) is None


def test_inserting_beside_an_element(r, filling):
    r("RPUSH", "k", b"a", *filling, b"z")
    size = len(filling) + 2
    assert r("LINSERT k BEFORE z y") == size + 1
    assert r("LINSERT k after a b") == size + 2
    assert r("LINSERT k BEFORE nothing x") == -1
    assert r("LINSERT nothing BEFORE a x") == 0
    assert r("LINSERT k BESIDE a x") == SYNTAX_ERROR
    assert r(*EVERYTHING) == [b"a", b"b", *filling, b"y", b"z"]


@pytest.mark.parametrize("count,expected", [
    (0, [b"b", b"c"]), (1, [b"b", b"a", b"c", b"a"]), (2, [b"b", b"c", b"a"]), (-1, [b"a", b"b", b"a", b"c"]),
    (-2, [b"a", b"b", b"c"]), (10, [b"b", b"c"]), (-10, [b"b", b"c"])])
def test_removing_equal_elements(r, filling, count, expected):
    r("RPUSH", "k", b"a", b"b", b"a", b"c", b"a")
    assert r("LREM", "k", count, "a") == 5 - len(expected)
    assert r(*EVERYTHING) == expected
    assert r("LREM k 0 nothing") == 0


def test_removing_the_last_element_removes_the_key(r):
    r("RPUSH k a a")
    assert r("LREM k 0 a") == 2
    assert r("EXISTS k") == 0
    assert r("LREM k 0 a") == 0


# ---- As keys --------------------------------------------------------------------------------------------


def test_other_types_are_left_alone(r):
    r("SET s v")
    for command in ("LPUSH s a", "RPUSHX s a", "LPOP s", "LLEN s", "LINDEX s 0", "LSET s 0 a", "LRANGE s 0 1", "LPOS s a",
                    "LTRIM s 0 1", "LREM s 0 a", "LINSERT s BEFORE a b", "LMOVE s k LEFT LEFT", "RPOPLPUSH s k"):
        assert r(command) == WRONG_TYPE, command
    r("RPUSH k a")
    assert r("LMOVE k s LEFT LEFT") == WRONG_TYPE
    assert r("GET k") == r("APPEND k x") == r("INCR k") == r("GETBIT k 0") == WRONG_TYPE
    assert r("MGET k s") == [None, b"v"]
    assert r(*EVERYTHING) == [b"a"]
    assert r("SET k string") == "OK"


def test_a_copy_is_independent(r, filling):
    elements = [b"a", *filling, b"c" * 5000]
    r("RPUSH", "k", *elements)
    assert r("COPY k copy") == 1
    r("LPUSH k first")
    r("RPOP copy")
    assert r(*EVERYTHING) == [b"first", *elements]
    assert r("LRANGE copy 0 -1") == elements[:-1]
    assert r("RENAME copy k") == "OK"
    assert r(*EVERYTHING) == elements[:-1]
    assert r("COPY k k DB 1") == r("MOVE k 2") == 1
    r("SELECT 2")
    assert r(*EVERYTHING) == elements[:-1]
    assert r("EXPIRE k 1000") == 1
    assert r("PERSIST k") == 1
    assert r(*EVERYTHING) == elements[:-1]
    r("SELECT 0")


def test_the_time_to_live_stays(r, filling):
    r("RPUSH k a")
    r("EXPIRE k 1000")
    r("RPUSH", "k", b"b", *filling)
    r("LPOP k")
    assert 0 < r("TTL k") <= 1000
    r("DEL k")
    r("RPUSH k a")
    assert r("TTL k") == -1


def test_each_change_is_told(r, heard):
    for command, expected in [
            ("RPUSH k a b c d", [("rpush", "k")]), ("LPUSHX k z", [("lpush", "k")]), ("LPUSHX x a", []),
            ("LSET k 0 y", [("lset", "k")]), ("LINSERT k BEFORE a 0", [("linsert", "k")]), ("LINSERT k BEFORE ? 0", []),
            ("LREM k 0 0", [("lrem", "k")]), ("LREM k 0 0", []), ("LTRIM k 0 2", [("ltrim", "k")]), ("LPOP k 0", []),
            ("LMOVE k l LEFT LEFT", [("lpush", "l"), ("lpop", "k")]), ("RPOP k", [("rpop", "k")]),
            ("RPOPLPUSH k l", [("lpush", "l"), ("rpop", "k"), ("del", "k")]), ("LPOP l 5", [("lpop", "l"), ("del", "l")]),
            ("LTRIM l 0 -1", [])]:
        r(command)
        assert heard() == expected, command


def test_a_watched_list(r, connect):
    other = connect()
    r("RPUSH k a b")
    r("WATCH k")
    other("LPOP k")
    r("MULTI")
    r("LLEN k")
    assert r("EXEC") is None


@pytest.mark.skua_only("the encoding of lists is that of 7.2")
def test_encodings(r, config):
    r("RPUSH k a")
    assert r("OBJECT ENCODING k") == b"listpack"
    r("RPUSH", "k", *[b"x" * 100] * 79)
    assert r("OBJECT ENCODING k") == b"listpack"
    r("RPUSH", "k", b"x" * 100)
    assert r("OBJECT ENCODING k") == b"quicklist"
    r("LTRIM k 0 50")
    assert r("OBJECT ENCODING k") == b"quicklist"
    r("LTRIM k 0 30")
    assert r("OBJECT ENCODING k") == b"listpack"
    config(list_max_listpack_size="2")
    r("DEL k")
    r("RPUSH k 1 2")
    assert r("OBJECT ENCODING k") == b"listpack"
    r("RPUSH k 3")
    assert r("OBJECT ENCODING k") == b"quicklist"
    r("LTRIM k 0 0")
    assert r("OBJECT ENCODING k") == b"listpack"


# ---- Against a model ------------------------------------------------------------------------------------


def random_step(rng, model):
    """A random command and what it answers; the model is changed as the list is."""
    size = len(model)
    choice = rng.randrange(9)
    element = rng.choice(ELEMENTS)
    position = rng.randrange(size) if size else 0
    if choice < 2 or not size:
        several = [rng.choice(ELEMENTS) for _ in range(rng.choice([1, 3, 40]))]
        model.extend(several)
        return ("RPUSH", "k", *several), len(model)
    if choice == 2:
        model.insert(0, element)
        return ("LPUSH", "k", element), len(model)
    if choice == 3:
        return ("LPOP", "k"), model.pop(0)
    if choice == 4:
        taken = [model.pop() for _ in range(min(size, rng.choice([1, 7])))]
        return ("RPOP", "k", len(taken)), taken
    if choice == 5:
        model[position] = element
        return ("LSET", "k", position - size, element), "OK"
    if choice == 6:
        where = model.index(model[position])
        pivot = model[position]
        model.insert(where + 1, element)
        return ("LINSERT", "k", "AFTER", pivot, element), len(model)
    if choice == 7:
        count = min(model.count(element), 2)
        for _ in range(count):
            model.remove(element)
        return ("LREM", "k", 2, element), count
    last = min(position + rng.randrange(200), size - 1)
    return ("LRANGE", "k", position, last), model[position:last + 1]


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_commands(r, seed):
    rng, model = random.Random(seed), []
    steps = [random_step(rng, model) for _ in range(300 if is_slow_build() else 1500)]
    for (command, expected), reply in zip(steps, r.pipeline(*(command for command, _ in steps))):
        assert reply == expected, command[:4]
    assert r(*EVERYTHING) == model
    r("COPY k copy")
    r("DEL k")
    assert r("LRANGE copy 0 -1") == model


def test_empty_elements_and_one_that_is_not(r):
    r("RPUSH", "k", *[b""] * 3000)
    assert r("LSET", "k", 1234, b"x" * 400) == "OK"
    assert r("LINSERT", "k", "BEFORE", b"x" * 400, b"y") == 3001
    assert r("LRANGE", "k", 0, -1) == [b""] * 1234 + [b"y", b"x" * 400] + [b""] * 1765
    assert r("LREM", "k", 0, b"") == 2999
    assert r("LRANGE", "k", 0, -1) == [b"y", b"x" * 400]


@pytest.mark.skua_only("the encoding of lists is that of 7.2")
@pytest.mark.parametrize("element,size", [
    (b"1", 2), (b"-1", 3), (b"1000", 3), (b"40000", 5), (b"5000000000", 10), (b"", 2), (b"x" * 20, 22),
    (b"x" * 63, 65), (b"x" * 64, 67), (b"x" * 200, 204), (b"x" * 700, 704)], ids=lambda value: str(value)[:16])
def test_a_list_is_a_quicklist_from_the_byte_on_at_which_redis_makes_it_one(r, config, element, size):
    config(list_max_listpack_size="-1")
    most = (4096 - 7) // size
    r("RPUSH", "k", *[element] * most)
    assert r("OBJECT ENCODING k") == b"listpack"
    r("RPUSH", "k", element)
    assert r("OBJECT ENCODING k") == b"quicklist"
    r("LTRIM", "k", 0, (2048 - 7) // size)
    assert r("OBJECT ENCODING k") == b"quicklist"
    r("LPOP k")
    assert r("OBJECT ENCODING k") == b"listpack"


def test_a_move_is_one_change(r):
    def changes():
        return int(r.info("persistence")["rdb_changes_since_last_save"])

    before = changes()
    r("RPUSH k a b c")
    assert changes() == before + 3
    r("LMOVE k d LEFT RIGHT")
    assert changes() == before + 4
    r("RPOPLPUSH k k")
    assert changes() == before + 5


@pytest.mark.parametrize("limit", ["-1", "-2", "40"])
def test_single_pushes_and_pops_at_both_ends_through_all_sizes(r, config, limit):
    """Narrow pages, even ones, wide ones and trees, and the way back: order, length and encoding are as if it had come at once."""
    config(list_max_listpack_size=limit)
    rng = random.Random(7)
    words = [b"item:%06d" % number for number in range(100)] + [b"%d" % number for number in range(0, 90000, 1000)]
    model = collections.deque()

    def assert_same():
        assert r("LRANGE l 0 -1") == list(model)
        assert r("RPUSH", "whole", *model) == len(model)
        assert r("OBJECT ENCODING l") == r("OBJECT ENCODING whole")
        assert r("DEL whole") == 1

    for count in range(900):
        word = words[0] if count < 100 else b"x" * 700 if count == 500 else rng.choice(words)
        at_head = rng.random() < 0.5
        assert r("LPUSH" if at_head else "RPUSH", "l", word) == count + 1
        model.appendleft(word) if at_head else model.append(word)
        if count % 60 == 59 or count in (39, 40):
            assert_same()
    while len(model) > 1:
        at_head = rng.random() < 0.5
        assert r("LPOP l" if at_head else "RPOP l") == (model.popleft() if at_head else model.pop())
        if len(model) % 100 == 0:
            assert r("LRANGE l 0 -1") == list(model)
    assert r("LPOP l") == model[0]
    assert r("EXISTS l") == 0
