"""Streams: XADD XLEN XRANGE XREVRANGE XDEL XTRIM XSETID XINFO STREAM, and what the generic commands do with them."""
import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error, as_map, eventually
from harness.server import is_slow_build

pytestmark = pytest.mark.core

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
INVALID_ID = Error("ERR Invalid stream ID specified as stream command argument")
TOO_SMALL = Error("ERR The ID specified in XADD is equal or smaller than the target stream top item")
NOT_POSITIVE = Error("ERR The ID specified in XADD must be greater than 0-0")
EXHAUSTED = Error("ERR The stream has exhausted the last possible ID, unable to add more items")
TWO_STRATEGIES = Error("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
LAST = "18446744073709551615-18446744073709551615"


def ids(reply):
    return [entry[0].decode() for entry in reply]


def fill(r, count, key="s", first=1):
    """Entries of the ids first-0, …"""
    for begin in range(first, first + count, 500):
        r.pipeline(*[f"XADD {key} {number}-0 f v{number}" for number in range(begin, min(begin + 500, first + count))])


def facts(r, key="s"):
    return {name.decode(): value for name, value in as_map(r(f"XINFO STREAM {key}")).items()}


# ---- Adding ---------------------------------------------------------------------------------------------


def test_entries_come_back_in_order(r):
    assert r("XADD s 1-1 a 1 b text") == b"1-1"
    assert r("XADD s 1-2 a 2") == b"1-2"
    assert r("XADD s 2 c 3") == b"2-0"
    assert r("XLEN s") == 3
    assert r("XRANGE s - +") == [[b"1-1", [b"a", b"1", b"b", b"text"]], [b"1-2", [b"a", b"2"]], [b"2-0", [b"c", b"3"]]]
    assert r("TYPE s") == "stream"
    assert r("OBJECT ENCODING s") == b"stream"


def test_the_server_chooses_an_id(r):
    first, second = r("XADD s * f v"), r("XADD s * f v")
    now_ms = int(r("TIME")[0]) * 1000
    assert abs(int(first.split(b"-")[0]) - now_ms) < 600000
    assert tuple(map(int, first.split(b"-"))) < tuple(map(int, second.split(b"-")))


def test_the_clock_never_goes_back(r):
    r("XADD s 99999999999999-7 f v")
    assert r("XADD s * f v") == b"99999999999999-8"
    r("XADD s 99999999999999-18446744073709551615 f v")
    assert r("XADD s * f v") == b"100000000000000-0"


def test_the_server_chooses_a_number_within_a_time(r):
    assert r("XADD s 0-* f v") == b"0-1"
    assert r("XADD s 5-* f v") == b"5-0"
    assert r("XADD s 5-* f v") == b"5-1"
    assert r("XADD s 4-* f v") == TOO_SMALL


@pytest.mark.skua_only("redis-server 7.0 calls the entry too large")
def test_the_last_number_within_a_time(r):
    r("XADD s 5-18446744073709551615 f v")
    assert r("XADD s 5-* f v") == TOO_SMALL
    assert r("XADD s 6-* f v") == b"6-0"


def test_ids_must_ascend(r):
    r("XADD s 5-5 f v")
    for smaller in ("5-5", "5-4", "4", "5", "0-1"):
        assert r(f"XADD s {smaller} f v") == TOO_SMALL
    assert r("XADD new 0-0 f v") == NOT_POSITIVE
    assert r("XADD new 0 f v") == NOT_POSITIVE
    assert r("EXISTS new") == 0


def test_the_last_id_of_all(r):
    assert r(f"XADD s {LAST} f v") == LAST.encode()
    for word in ("*", "1-1", LAST, "1-*"):
        assert r(f"XADD s {word} f v") == EXHAUSTED
    assert ids(r("XREVRANGE s + -")) == [LAST]


@pytest.mark.parametrize("word", ["x", "-", "+", "", "1-", "-1", "1-x", "1-2-3", "18446744073709551616", "1-18446744073709551616",
                                  "**", "$"])
def test_what_is_no_id(r, word):
    assert r("XADD", "s", word, "f", "v") == INVALID_ID
    r("XADD s 1-1 f v")
    assert r("XDEL", "s", word) == INVALID_ID
    assert r("XSETID", "s", word) == INVALID_ID
    assert r("XTRIM", "s", "MINID", word) == INVALID_ID


def test_only_into_a_stream_that_is_there(r):
    assert r("XADD s NOMKSTREAM * f v") is None
    assert r("EXISTS s") == 0
    r("XADD s 1-1 f v")
    assert r("XADD s NOMKSTREAM 2-2 f v") == b"2-2"


@pytest.mark.parametrize("command, error", [
    ("XADD s", wrong_arity("xadd")), ("XADD s *", wrong_arity("xadd")), ("XADD s * f", wrong_arity("xadd")),
    ("XADD s * f v g", wrong_arity("xadd")), ("XADD s MAXLEN 5 *", wrong_arity("xadd")),
    ("XADD s MAXLEN x * f v", NOT_AN_INTEGER), ("XADD s MAXLEN -1 * f v", Error("ERR The MAXLEN argument must be >= 0.")),
    ("XADD s MAXLEN ~ 1 LIMIT -1 * f v", Error("ERR The LIMIT argument must be >= 0.")),
    ("XADD s MAXLEN ~ 1 LIMIT x * f v", NOT_AN_INTEGER), ("XADD s MAXLEN 1 MINID 1 * f v", TWO_STRATEGIES),
    ("XADD s MAXLEN 1 MAXLEN 1 * f v", TWO_STRATEGIES), ("XADD s MINID x * f v", INVALID_ID),
    ("XADD s MAXLEN 1 LIMIT 1 * f v", Error("ERR syntax error, LIMIT cannot be used without the special ~ option")),
    ("XADD s LIMIT 1 * f v", Error("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")),
])
def test_malformed(r, command, error):
    assert r(command) == error
    assert r("EXISTS s") == 0


def test_other_types_are_refused(r):
    r("SET k text")
    for command in ("XADD k * f v", "XLEN k", "XRANGE k - +", "XREVRANGE k + -", "XDEL k 1-1", "XTRIM k MAXLEN 0",
                    "XSETID k 1-1", "XINFO STREAM k", "XREAD STREAMS k 0"):
        assert r(command) == WRONG_TYPE, command
    r("XADD s 1-1 f v")
    assert r("GET s") == r("LPUSH s 1") == WRONG_TYPE


# ---- What entries can hold ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "0", "-1", "007", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
                                   "x" * 63, "x" * 64, "x" * 1023, "x" * 1024, "x" * 1025, "x" * 16384, "x" * 70000, "1.5",
                                   " 1", b"\0\xff\r\n"], ids=lambda value: repr(value[:8]) + str(len(value)))
def test_values_of_every_kind(r, value):
    wanted = value if isinstance(value, bytes) else value.encode()
    for number in (1, 2):
        r("XADD", "s", f"{number}-1", "f", value)
        r("XADD", "s", f"{number}-2", value, "v", "f", value)
    assert [fields for _, fields in r("XRANGE s - +")] == [[b"f", wanted], [wanted, b"v", b"f", wanted]] * 2
    assert r("XREVRANGE s + - COUNT 1") == [[b"2-2", [wanted, b"v", b"f", wanted]]]


def test_many_fields(r):
    words = [f"word{number}" for number in range(3000)]
    r("XADD", "s", "1-1", *words)
    r("XADD", "s", "1-2", *words)
    r("XADD", "s", "1-3", *words[:2])
    assert [fields for _, fields in r("XRANGE s - +")] == [[word.encode() for word in words]] * 2 + [[b"word0", b"word1"]]


def test_the_same_field_twice(r):
    r("XADD s 1-1 f 1 f 2")
    assert r("XRANGE s - +") == [[b"1-1", [b"f", b"1", b"f", b"2"]]]


# ---- Ranges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start, end, found", [
    ("-", "+", ["1-1", "1-2", "3-0", "3-7"]), ("1", "1", ["1-1", "1-2"]), ("1-2", "3", ["1-2", "3-0", "3-7"]),
    ("(1-1", "(3-7", ["1-2", "3-0"]), ("(1", "+", ["1-1", "1-2", "3-0", "3-7"]), ("-", "(3", ["1-1", "1-2", "3-0", "3-7"]),
    ("2", "2", []), ("4", "+", []), ("-", "0", []), ("+", "-", []), ("3-7", "3-7", ["3-7"]), ("(3-7", "+", []),
    ("(3-7", "(3-7", []), (LAST, "+", []), ("-", "-", [])])
def test_ranges(r, start, end, found):
    for word in ("1-1", "1-2", "3-0", "3-7"):
        r(f"XADD s {word} f v")
    assert ids(r(f"XRANGE s {start} {end}")) == found
    assert ids(r(f"XREVRANGE s {end} {start}")) == found[::-1]
    assert ids(r(f"XRANGE s {start} {end} COUNT 2")) == found[:2]
    assert ids(r(f"XREVRANGE s {end} {start} COUNT 1")) == found[::-1][:1]


def test_counts(r, connect):
    fill(r, 5)
    assert ids(r("XRANGE s - + COUNT 1 COUNT 3")) == ["1-0", "2-0", "3-0"]
    for resp, null in ((2, b"*-1\r\n"), (3, b"_\r\n")):
        client = connect(resp)
        for count in ("0", "-1", "-9223372036854775808"):
            assert client(f"XRANGE s - + COUNT {count}") is None
            assert client.raw == null
        assert client("XRANGE no - + COUNT 0") == []
    assert len(r("XRANGE s - + COUNT 9223372036854775807")) == 5


@pytest.mark.parametrize("command, error", [
    ("XRANGE s - (0-0", Error("ERR invalid end ID for the interval")), ("XRANGE s (- +", INVALID_ID),
    ("XRANGE s (" + LAST + " +", Error("ERR invalid start ID for the interval")), ("XRANGE s ( +", INVALID_ID),
    ("XRANGE s x +", INVALID_ID), ("XRANGE s - 1-*", INVALID_ID), ("XRANGE s - + COUNT", SYNTAX_ERROR),
    ("XRANGE s - + FOO 1", SYNTAX_ERROR), ("XRANGE s - + COUNT x", NOT_AN_INTEGER), ("XREVRANGE s x y", INVALID_ID)])
def test_malformed_ranges(r, command, error):
    r("XADD s 1-1 f v")
    assert r(command) == error


def test_ranges_over_many_nodes(r):
    count = 500 if is_slow_build() else 2500
    fill(r, count)
    assert ids(r("XRANGE s - +")) == [f"{number}-0" for number in range(1, count + 1)]
    assert ids(r("XREVRANGE s + -")) == [f"{number}-0" for number in range(count, 0, -1)]
    for start in (1, 99, 100, 101, 102, 250, count):
        assert ids(r(f"XRANGE s {start} + COUNT 3")) == [f"{n}-0" for n in range(start, min(start + 3, count + 1))]
        assert ids(r(f"XREVRANGE s {start} - COUNT 3")) == [f"{n}-0" for n in range(start, max(start - 3, 0), -1)]


# ---- Taking out -----------------------------------------------------------------------------------------


def test_entries_are_deleted(r):
    fill(r, 5)
    assert r("XDEL s 2-0 4-0 4-0 9-9") == 2
    assert ids(r("XRANGE s - +")) == ["1-0", "3-0", "5-0"]
    assert r("XDEL s 1") == 1
    assert ids(r("XREVRANGE s + -")) == ["5-0", "3-0"]
    assert r("XDEL no x") == 0
    assert r("XDEL s 3-0 x") == INVALID_ID
    assert r("XLEN s") == 2


def test_an_empty_stream_stays_and_remembers(r):
    r("XADD s 5-5 f v")
    assert r("XDEL s 5-5") == 1
    assert r("EXISTS s") == 1
    assert r("XLEN s") == 0
    assert r("XRANGE s - +") == r("XREVRANGE s + -") == []
    assert r("XADD s 5-5 f v") == TOO_SMALL
    assert r("XADD s 5-6 f v") == b"5-6"
    assert ids(r("XRANGE s - +")) == ["5-6"]


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_deleting_all_over_a_long_stream(r, step):
    count = 600
    fill(r, count)
    gone = set(range(1, count + 1, step))
    for begin in range(0, len(gone), 100):
        r("XDEL", "s", *[f"{number}-0" for number in sorted(gone)[begin:begin + 100]])
    left = [f"{number}-0" for number in range(1, count + 1) if number not in gone]
    assert ids(r("XRANGE s - +")) == left
    assert ids(r("XREVRANGE s + -")) == left[::-1]
    r("XADD s 10000-0 f v")
    assert ids(r("XRANGE s - +")) == left + ["10000-0"]


def test_trimming_by_length(r):
    fill(r, 250)
    assert r("XTRIM s MAXLEN 240") == 10
    assert r("XTRIM s MAXLEN = 240") == 0
    assert ids(r("XRANGE s - + COUNT 1")) == ["11-0"]
    assert r("XTRIM s MAXLEN 3") == 237
    assert ids(r("XRANGE s - +")) == ["248-0", "249-0", "250-0"]
    assert r("XTRIM s MAXLEN 0") == 3
    assert r("EXISTS s") == 1
    assert r("XTRIM no MAXLEN 0") == 0


def test_trimming_by_id(r):
    fill(r, 250)
    assert r("XTRIM s MINID 11") == 10
    assert r("XTRIM s MINID = 11-0") == 0
    assert r("XTRIM s MINID 11-1") == 1
    assert ids(r("XRANGE s - + COUNT 1")) == ["12-0"]
    assert r("XTRIM s MINID 1000") == 239


def test_trimming_whole_nodes(r):
    fill(r, 1000)  # 100 entries a node
    assert r("XTRIM s MAXLEN ~ 999") == 0
    assert r("XTRIM s MAXLEN ~ 850") == 100
    assert r("XTRIM s MINID ~ 250") == 100
    assert ids(r("XRANGE s - + COUNT 1")) == ["201-0"]
    assert r("XTRIM s MAXLEN ~ 0 LIMIT 99") == 0
    assert r("XTRIM s MAXLEN ~ 0 LIMIT 250") == 200
    assert r("XTRIM s MAXLEN ~ 0 LIMIT 0") == 600
    assert r("XLEN s") == 0


def test_trimming_without_a_limit_stops_after_a_hundred_nodes(r, config):
    config(stream_node_max_entries=2)
    fill(r, 500)
    assert r("XTRIM s MAXLEN ~ 0") == 200
    assert r("XTRIM s MAXLEN 0") == 300


@pytest.mark.parametrize("command, error", [
    ("XTRIM s", wrong_arity("xtrim")), ("XTRIM s MAXLEN", wrong_arity("xtrim")), ("XTRIM s FOO 1", SYNTAX_ERROR),
    ("XTRIM s MAXLEN 1 NOMKSTREAM", SYNTAX_ERROR), ("XTRIM s MAXLEN 1 MINID 1", TWO_STRATEGIES),
    ("XTRIM s LIMIT 0", Error("ERR syntax error, XTRIM must be called with a trimming strategy")),
    ("XTRIM s MAXLEN 1 LIMIT 0", Error("ERR syntax error, LIMIT cannot be used without the special ~ option"))])
def test_malformed_trimming(r, command, error):
    assert r(command) == error


def test_adding_trims(r):
    fill(r, 5)
    assert r("XADD s MAXLEN 3 6-0 f v") == b"6-0"
    assert ids(r("XRANGE s - +")) == ["4-0", "5-0", "6-0"]
    r("XADD s MINID = 6 7-0 f v")
    assert ids(r("XRANGE s - +")) == ["6-0", "7-0"]
    r("XADD s MAXLEN ~ 1 8-0 f v")
    assert r("XLEN s") == 3
    r("XADD s MAXLEN 0 9-0 f v")
    assert r("XLEN s") == 0


def test_a_stream_of_constant_length(r):
    for number in range(1, 1001):
        r(f"XADD s MAXLEN 10 {number}-0 f v")
    assert ids(r("XRANGE s - +")) == [f"{number}-0" for number in range(991, 1001)]


@pytest.mark.parametrize("name, value", [("stream_node_max_entries", 3), ("stream_node_max_bytes", 100),
                                         ("stream_node_max_entries", 0), ("stream_node_max_bytes", 0)])
def test_nodes_of_other_sizes_hold_the_same(r, config, name, value):
    config(**{name: value})
    fill(r, 300)
    r("XDEL s 2-0 150-0 151-0 152-0 300-0")
    r("XTRIM s MAXLEN 280")
    wanted = [number for number in range(1, 300) if number not in (2, 150, 151, 152)][-280:]
    assert ids(r("XRANGE s - +")) == [f"{number}-0" for number in wanted]


# ---- XSETID, XINFO --------------------------------------------------------------------------------------


def test_what_a_stream_is_like(r):
    for word in ("1-1", "1-2", "1-3", "1-4"):
        r(f"XADD s {word} f v")
    r("XDEL s 1-1 1-4")
    assert facts(r) == {
        "length": 2, "radix-tree-keys": 1, "radix-tree-nodes": 2, "last-generated-id": b"1-4",
        "max-deleted-entry-id": b"1-4", "entries-added": 4, "recorded-first-entry-id": b"1-2", "groups": 0,
        "first-entry": [b"1-2", [b"f", b"v"]], "last-entry": [b"1-3", [b"f", b"v"]]}
    r("XDEL s 1-2 1-3")
    empty = facts(r)
    assert (empty["first-entry"], empty["last-entry"], empty["recorded-first-entry-id"]) == (None, None, b"0-0")
    assert (empty["length"], empty["radix-tree-keys"], empty["radix-tree-nodes"]) == (0, 0, 1)


def test_trimming_is_not_deleting(r):
    fill(r, 3)
    r("XTRIM s MAXLEN 1")
    assert facts(r)["max-deleted-entry-id"] == b"0-0"


def test_all_of_a_stream(r, r3):
    fill(r, 20)
    full = as_map(r("XINFO STREAM s FULL"))
    assert ids(full[b"entries"]) == [f"{number}-0" for number in range(1, 11)]
    assert full[b"groups"] == []
    assert len(as_map(r("XINFO STREAM s FULL COUNT 3"))[b"entries"]) == 3
    assert len(as_map(r("XINFO STREAM s FULL COUNT 0"))[b"entries"]) == 20
    assert len(as_map(r("XINFO STREAM s FULL COUNT -5"))[b"entries"]) == 10
    assert list(r3("XINFO STREAM s FULL")) == [b"length", b"radix-tree-keys", b"radix-tree-nodes", b"last-generated-id",
                                               b"max-deleted-entry-id", b"entries-added", b"recorded-first-entry-id",
                                               b"entries", b"groups"]


def test_malformed_questions(r):
    r("XADD s 1-1 f v")
    unknown = Error("ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.")
    assert r("XINFO STREAM") == wrong_arity("xinfo|stream")
    assert r("XINFO STREAM no") == Error("ERR no such key")
    assert r("XINFO STREAM s FOO") == unknown
    assert r("XINFO STREAM s FULL COUNT x") == NOT_AN_INTEGER
    assert r("XINFO FOO") == Error("ERR unknown subcommand 'FOO'. Try XINFO HELP.")


def test_the_last_id_is_set(r):
    r("XADD s 5-5 f v")
    assert r("XSETID s 9-9") == "OK"
    assert r("XADD s 9-9 f v") == TOO_SMALL
    assert r("XSETID s 5-5") == "OK"
    assert r("XSETID s 20-0 ENTRIESADDED 7 MAXDELETEDID 3-3") == "OK"
    now = facts(r)
    assert (now["last-generated-id"], now["entries-added"], now["max-deleted-entry-id"]) == (b"20-0", 7, b"3-3")


def test_the_last_id_goes_back_over_deleted_entries(r):
    fill(r, 10)
    assert r("XDEL s 8-0 9-0 10-0") == 3
    assert r("XSETID s 10-0 ENTRIESADDED 10 MAXDELETEDID 1-0") == "OK"
    assert r("XSETID s 7-3") == "OK"
    assert r("XADD s 7-3 f v") == TOO_SMALL
    assert r("XADD s 7-4 f v") == b"7-4"
    assert r("XADD s 9-0 f v") == b"9-0"
    expected = [f"{number}-0" for number in range(1, 8)] + ["7-4", "9-0"]
    assert ids(r("XRANGE s - +")) == expected
    assert ids(r("XREVRANGE s + -")) == expected[::-1]
    assert r("XDEL s 7-4 9-0 1-0") == 3
    assert ids(r("XRANGE s - +")) == expected[1:-2]


@pytest.mark.skua_only("redis-server 7.0 goes on with the least of all numbers")
def test_the_number_of_entries_added_ends_somewhere(r):
    r("XADD s 1-0 f v")
    assert r("XSETID s 1-0 ENTRIESADDED 9223372036854775807") == "OK"
    r("XADD s 2-0 f v")
    assert facts(r)["entries-added"] == 9223372036854775807
    assert r("RESTORE", "t", 0, r("DUMP s")) == "OK"
    assert facts(r, "t")["entries-added"] == 9223372036854775807


@pytest.mark.parametrize("command, error", [
    ("XSETID no 1-1", "ERR no such key"),
    ("XSETID s 5-4", "ERR The ID specified in XSETID is smaller than the target stream top item"),
    ("XSETID s 9 ENTRIESADDED -1", "ERR entries_added must be positive"),
    ("XSETID s 9 ENTRIESADDED 0", "ERR The entries_added specified in XSETID is smaller than the target stream length"),
    ("XSETID s 9 MAXDELETEDID 9-1", "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"),
    ("XSETID s 9 ENTRIESADDED x", "ERR value is not an integer or out of range"), ("XSETID s 9 FOO 1", "ERR syntax error")])
def test_malformed_settings(r, command, error):
    r("XADD s 5-5 f v")
    before = facts(r)
    assert r(command) == Error(error)
    assert facts(r) == before


# ---- With other commands --------------------------------------------------------------------------------


def test_copies_go_their_own_ways(r):
    fill(r, 250)
    assert r("COPY s t") == 1
    r("XADD s 1000-0 a b")
    r("XDEL t 1-0 100-0 250-0")
    r("XTRIM s MAXLEN 240")
    assert ids(r("XRANGE s - +")) == [f"{number}-0" for number in [*range(12, 251), 1000]]
    assert ids(r("XRANGE t - +")) == [f"{number}-0" for number in range(2, 250) if number != 100]
    assert facts(r, "t")["last-generated-id"] == b"250-0"
    r("DEL s")
    assert r("XLEN t") == 247


def test_streams_move_with_their_keys(r):
    fill(r, 150)
    r("RENAME s t")
    r("EXPIRE t 100000")
    r("PERSIST t")
    r("MOVE t 1")
    r("SELECT 1")
    fill(r, 1, "t", 1000)
    assert r("XLEN t") == 151
    r("FLUSHDB")
    assert r("EXISTS t") == 0


def test_a_stream_can_expire(r):
    r("XADD s 1-1 f v")
    r("PEXPIRE s 1")
    eventually(lambda: r("EXISTS s") == 0, "the stream is gone")
    assert r("XADD s 1-1 f v") == b"1-1"


def test_memory_of_a_stream(r):
    fill(r, 1000)
    assert 1000 * 8 < r("MEMORY USAGE s") < 1000 * 40
    r("XADD", "long", "1-1", "f", "x" * 100000)
    assert 100000 < r("MEMORY USAGE long") < 120000


def test_a_transaction_fails_when_its_stream_has_changed(r, connect):
    r("XADD s 1-1 f v")
    for change in ("XADD s 2-2 f v", "XDEL s 1-1", "XTRIM s MAXLEN 0"):
        r("WATCH s")
        assert not isinstance(connect()(change), Error)
        assert r.pipeline("MULTI", "PING", "EXEC")[2] is None, change


def test_events(r, connect, config):
    config(notify_keyspace_events="Kt")
    listener = connect()
    listener("SUBSCRIBE __keyspace@0__:s")
    for command in ("XADD s 1-1 f v", "XADD s MAXLEN 1 2-2 f v", "XTRIM s MAXLEN 0", "XTRIM s MAXLEN 0", "XDEL s 1-1",
                    "XADD s 3-3 f v", "XDEL s 3-3", "XSETID s 4-4", "XADD s 4-4 f v"):
        r(command)
    events = [listener.reply()[2] for _ in range(7)]
    assert events == [b"xadd", b"xadd", b"xtrim", b"xtrim", b"xadd", b"xdel", b"xsetid"]


def test_a_large_stream_is_freed_beside_other_work(r):
    fill(r, 500 if is_slow_build() else 20000)
    assert r("UNLINK s") == 1
    assert r("PING") == "PONG"
    fill(r, 1)
    assert r("XLEN s") == 1
