"""Walking over keys: KEYS and SCAN, with SCAN's guarantee while the database grows and shrinks."""
import pytest

from harness.errors import NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Error, eventually

pytestmark = pytest.mark.core

INVALID_CURSOR = Error("ERR invalid cursor")


def scan_all(r, *options, between=lambda: None):
    """All keys that a full scan returns, with repetitions."""
    keys = []
    cursor = b"0"
    while True:
        cursor, found = r("SCAN", cursor, *options)
        keys += found
        if cursor == b"0":
            return keys
        between()


def fill(r, prefix, count, first=0):
    r.pipeline(*[("SET", f"{prefix}{i}", i) for i in range(first, first + count)])
    return {f"{prefix}{i}".encode() for i in range(first, first + count)}


# ---- KEYS -----------------------------------------------------------------------------------------------


def test_keys_matches_patterns(r):
    r("MSET hello 1 hallo 2 hxllo 3 heello 4 h[llo 5")
    assert set(r("KEYS *")) == {b"hello", b"hallo", b"hxllo", b"heello", b"h[llo"}
    assert set(r("KEYS h?llo")) == {b"hello", b"hallo", b"hxllo", b"h[llo"}
    assert set(r("KEYS h[ae]llo")) == {b"hello", b"hallo"}
    assert set(r("KEYS h[^e]llo")) == {b"hallo", b"hxllo", b"h[llo"}
    assert set(r("KEYS h[a-e]llo")) == {b"hello", b"hallo"}
    assert set(r("KEYS", "h\\[llo")) == {b"h[llo"}
    assert set(r("KEYS h*llo")) == {b"hello", b"hallo", b"hxllo", b"heello", b"h[llo"}
    assert r("KEYS nothing*") == []
    assert r("KEYS", "") == []


def test_keys_of_a_large_database(r):
    wanted = fill(r, "key:", 3000)
    found = r("KEYS *")
    assert len(found) == 3000 and set(found) == wanted
    assert len(r("KEYS key:1*")) == 1111


def test_keys_of_an_empty_database(r):
    assert r("KEYS *") == []


def test_keys_with_any_bytes(r):
    names = [b"", b"\x00", b"a\r\nb", b"\xff\xfe", b"x" * 300, bytes(range(256))]
    for name in names:
        r("SET", name, "v")
    assert sorted(r("KEYS *")) == sorted(names)
    assert sorted(scan_all(r)) == sorted(names)


def test_a_hostile_pattern_is_answered(r):
    r("SET", "a" * 100, "v")
    assert r("KEYS", "a*" * 30 + "b") == []
    assert r("SCAN", "0", "MATCH", "a*" * 30 + "b") == [b"0", []]


# ---- SCAN -----------------------------------------------------------------------------------------------


def test_scan_finds_everything(r):
    wanted = fill(r, "key:", 1000)
    assert set(scan_all(r)) == wanted
    assert set(scan_all(r, "COUNT", 1)) == wanted
    assert set(scan_all(r, "COUNT", 100)) == wanted


def test_scan_of_an_empty_database(r):
    assert r("SCAN 0") == [b"0", []]


def test_scan_count_bounds_a_step(r):
    fill(r, "key:", 1000)
    cursor, found = r("SCAN 0 COUNT 10")
    assert cursor != b"0"
    assert 10 <= len(found) <= 40, "whole buckets, so a few more than asked for"
    assert len(r("SCAN 0")[1]) <= 40, "10 without COUNT"
    cursor, found = r("SCAN 0 COUNT 1000000000000")
    assert cursor == b"0" and len(found) == 1000


def test_a_step_is_bounded_even_if_the_table_is_nearly_empty(r):
    """What was a large table has been emptied: a step looks at ten buckets for each key that it was asked for."""
    fill(r, "key:", 3000)
    r.pipeline(*[("DEL", f"key:{i}") for i in range(2999)])
    assert scan_all(r, "COUNT", 1) == [b"key:2999"]


def test_scan_match(r):
    fill(r, "key:", 100)
    assert set(scan_all(r, "MATCH", "key:1?")) == {b"key:%d" % i for i in range(10, 20)}
    assert scan_all(r, "MATCH", "nothing") == []
    assert len(scan_all(r, "MATCH", "*")) == 100


def test_scan_type(r):
    wanted = fill(r, "key:", 100)
    assert set(scan_all(r, "TYPE", "string")) == wanted
    assert set(scan_all(r, "TYPE", "STRING")) == wanted
    assert scan_all(r, "TYPE", "list") == []
    assert scan_all(r, "TYPE", "nosuchtype") == []
    assert set(scan_all(r, "type", "string", "match", "key:5", "count", "7")) == {b"key:5"}


def test_the_last_of_repeated_options_counts(r):
    fill(r, "key:", 10)
    assert r("SCAN 0 MATCH nothing MATCH key:3 COUNT 1 COUNT 1000") == [b"0", [b"key:3"]]


def test_scan_of_a_database_that_grows(r):
    wanted = fill(r, "key:", 200)
    added = iter(range(200, 100000, 50))
    found = scan_all(r, "COUNT", 5, between=lambda: fill(r, "key:", 50, next(added)) if r("DBSIZE") < 4000 else None)
    assert wanted <= set(found)
    assert r("DBSIZE") > 1000


def test_scan_of_a_database_that_shrinks(r):
    keep = fill(r, "keep:", 100)
    fill(r, "gone:", 4000)
    removed = iter(range(0, 4000, 50))

    def shrink():
        first = next(removed, None)
        if first is not None:
            r("DEL", *[f"gone:{i}" for i in range(first, first + 50)])

    assert keep <= set(scan_all(r, "COUNT", 10, between=shrink))


def test_scan_of_a_database_that_breathes(r):
    keep = fill(r, "keep:", 200)
    state = {"steps": 0}

    def breathe():
        state["steps"] += 1
        if state["steps"] > 300:
            return
        if state["steps"] % 20 < 10:
            fill(r, "more:", 200, 200 * (state["steps"] % 10))
        else:
            r("DEL", *[f"more:{200 * (state['steps'] % 10) + i}" for i in range(200)])

    assert keep <= set(scan_all(r, "COUNT", 3, between=breathe))


def test_scan_does_not_return_expired_keys(r):
    r("DEBUG SET-ACTIVE-EXPIRE 0")
    try:
        wanted = fill(r, "key:", 50)
        r.pipeline(*[("SET", f"gone:{i}", "v", "PX", 1) for i in range(50)])
        eventually(lambda: r("EXISTS gone:49") == 0, "they have expired")
        assert set(r("KEYS *")) == wanted
        assert r("DBSIZE") == 99
        assert set(scan_all(r)) == wanted
        assert r("DBSIZE") == 50, "SCAN has removed them"
    finally:
        r("DEBUG SET-ACTIVE-EXPIRE 1")


@pytest.mark.parametrize("cursor", ["abc", "1a", "-", " 1", "1 ", "18446744073709551616", "1.0", "--1"])
def test_cursors_are_checked(r, cursor):
    assert r("SCAN", cursor) == INVALID_CURSOR


@pytest.mark.parametrize("cursor", ["18446744073709551615", "+1", "00", "", "123456789"])
def test_any_number_is_a_cursor(r, cursor):
    fill(r, "key:", 100)
    reply = r("SCAN", cursor)
    assert isinstance(reply, list) and len(reply) == 2


@pytest.mark.skua_only("since Valkey 8")
@pytest.mark.parametrize("cursor", ["-1", "-0", "-18446744073709551615"])
def test_cursors_are_not_negative(r, cursor):
    r("RPUSH list 1")
    assert r("SCAN", cursor) == INVALID_CURSOR
    for command in ("SSCAN", "HSCAN", "ZSCAN"):
        assert r(command, "list", cursor) == r(command, "none", cursor) == INVALID_CURSOR


def test_scan_refuses_nonsense(r):
    assert r("SCAN 0 COUNT") == SYNTAX_ERROR
    assert r("SCAN 0 COUNT 0") == SYNTAX_ERROR
    assert r("SCAN 0 COUNT -5") == SYNTAX_ERROR
    assert r("SCAN 0 COUNT x") == NOT_AN_INTEGER
    assert r("SCAN 0 NOSUCH 1") == SYNTAX_ERROR
    assert r("SCAN 0 MATCH") == SYNTAX_ERROR
    assert r("SCAN") == wrong_arity("scan")


def test_scan_is_per_database(r, connect):
    other = connect()
    other("SELECT 3")
    other("SET there 1")
    r("SET here 1")
    assert scan_all(r) == [b"here"]
    assert scan_all(other) == [b"there"]
