"""Strings: SET and its options, counters, ranges, many keys at once, LCS."""
import pytest

from harness.errors import NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX_ERROR, invalid_expire, wrong_arity
from harness.resp import Error
from harness.server import is_slow_build

pytestmark = pytest.mark.core

MAX = 2**63 - 1
MIN = -(2**63)
OVERFLOW = Error("ERR increment or decrement would overflow")
TOO_LONG = Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")

# Every way in which a string may be stored: integers, short and long, around each size at which blocks change.
VALUES = [b"", b"0", b"-1", str(MAX).encode(), str(MIN).encode(), b"007", b" 1", b"1 ", b"+1", b"-0", b"1.0",
          b"9223372036854775808", b"a" * 43, b"a" * 44, b"a" * 45, b"x" * 511, b"x" * 512, b"y" * 4095, b"y" * 4096,
          b"y" * 4097, b"z" * 16383, b"z" * 16384, b"z" * 16385, b"z" * 70000, bytes(range(256)) * 9, b"\r\n", b"\0"]


# ---- SET and GET ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{v[:12]!r}-{len(v)}")
def test_what_was_set_is_returned(r, value):
    assert r("SET", "k", value) == "OK"
    assert r("GET k") == value
    assert r("STRLEN k") == len(value)
    assert r("GETRANGE k 0 -1") == value


@pytest.mark.parametrize("old", VALUES, ids=lambda v: f"{v[:12]!r}-{len(v)}")
@pytest.mark.parametrize("options", [(), ("EX", 1000)], ids=["kept", "timed"])
def test_whatever_was_there_leaves_no_trace(r, old, options):
    for value in VALUES:
        r("SET", "k", old, *options)
        r("SET", "fresh", value)
        assert r("SET", "k", value) == "OK"
        assert r("GET k") == value
        assert r("OBJECT ENCODING k") == r("OBJECT ENCODING fresh")
        assert r("TTL k") == -1
        r("DEL fresh")


@pytest.mark.parametrize("key", [b"", b"\0", b"\r\n", b"k" * 500, b"k" * 5000, b"k" * 70000], ids=len)
def test_keys_are_any_bytes(r, key):
    assert r("SET", key, "v") == "OK"
    assert r("GET", key) == b"v"
    assert r("EXISTS", key) == 1
    assert r("DEL", key) == 1
    assert r("GET", key) is None


def test_each_size_replaces_each_other_size(r):
    sizes = [0, 1, 20, 44, 100, 512, 4000, 5000, 16000, 17000, 100_000]
    for before in sizes:
        for after in sizes:
            r("SET", "k", b"a" * before)
            r("SET", "k", b"b" * after)
            assert r("GET k") == b"b" * after, (before, after)


def test_get_of_a_missing_key_is_null(r, r3):
    assert r("GET nothing") is None
    assert r.raw == b"$-1\r\n"
    assert r3("GET nothing") is None
    assert r3.raw == b"_\r\n"


def test_set_nx_only_sets_a_missing_key(r):
    assert r("SET k 1 NX") == "OK"
    assert r("SET k 2 NX") is None
    assert r.raw == b"$-1\r\n"
    assert r("GET k") == b"1"


def test_set_xx_only_sets_a_present_key(r):
    assert r("SET k 1 XX") is None
    assert r("EXISTS k") == 0
    r("SET k 1")
    assert r("SET k 2 XX") == "OK"
    assert r("GET k") == b"2"


def test_set_get_returns_the_old_value(r):
    assert r("SET k 1 GET") is None
    assert r("SET k 2 GET") == b"1"
    assert r("SET k 3 XX GET") == b"2"
    assert r("SET k 4 NX GET") == b"3"
    assert r("GET k") == b"3"
    assert r("SET other 1 NX GET") is None
    assert r("GET other") == b"1"


def test_set_drops_the_time_to_live_unless_told_to_keep_it(r):
    r("SET k 1 EX 100")
    assert 0 < r("TTL k") <= 100
    r("SET k 2 KEEPTTL")
    assert 0 < r("TTL k") <= 100
    r("SET k 3")
    assert r("TTL k") == -1


@pytest.mark.parametrize("option, field", [("EX", "TTL"), ("PX", "PTTL"), ("EXAT", "EXPIRETIME"), ("PXAT", "PEXPIRETIME")])
def test_set_takes_a_time_to_live_in_four_ways(r, option, field):
    value = {"EX": 1000, "PX": 1_000_000, "EXAT": 9_999_999_999, "PXAT": 9_999_999_999_000}[option]
    assert r("SET", "k", "v", option, value) == "OK"
    found = r(field, "k")
    assert found == value if option.endswith("AT") else value * 0.9 < found <= value


def test_set_with_a_time_in_the_past_leaves_no_key(r):
    r("SET k v")
    assert r("SET k v2 EXAT 1") == "OK"
    assert r("EXISTS k") == 0
    assert r("GET k") is None


@pytest.mark.parametrize("option", ["EX", "PX", "EXAT", "PXAT"])
@pytest.mark.parametrize("value", ["0", "-1", str(MAX), str(MIN)])
def test_set_refuses_times_out_of_range(r, option, value):
    expected = invalid_expire("set")
    if option.endswith("PXAT") and value == str(MAX):
        expected = "OK"
    assert r("SET", "k", "v", option, value) == expected


@pytest.mark.parametrize("options", [
    "NX XX", "EX", "EX 10 PX 10", "EX 10 KEEPTTL", "KEEPTTL EX 10", "EXAT 10 PXAT 10", "FOO", "EX 10 EX",
    "NX FOO", "GET GET FOO", "PX 10 EX 20"])
def test_set_refuses_options_that_contradict_each_other(r, options):
    assert r(f"SET k v {options}") == SYNTAX_ERROR
    assert r("EXISTS k") == 0


@pytest.mark.parametrize("value", ["abc", "1.5", "", "9223372036854775808", " 1", "1 "])
def test_set_refuses_times_that_are_no_integers(r, value):
    assert r("SET", "k", "v", "EX", value) == NOT_AN_INTEGER


def test_options_are_taken_in_any_case_and_order(r):
    assert r("sEt k v pX 100000 nx gEt") is None
    assert r("GET k") == b"v"
    assert r("set k w GET xx Px 100000") == b"v"


def test_setnx_setex_psetex_getset(r):
    assert r("SETNX k 1") == 1
    assert r("SETNX k 2") == 0
    assert r("SETEX k 100 2") == "OK"
    assert 90 < r("TTL k") <= 100
    assert r("PSETEX k 100000 3") == "OK"
    assert 90 < r("TTL k") <= 100
    assert r("GETSET k 4") == b"3"
    assert r("TTL k") == -1
    assert r("GETSET new 1") is None


@pytest.mark.parametrize("command", ["setex", "psetex"])
def test_setex_refuses_what_is_no_time(r, command):
    assert r(command, "k", "0", "v") == invalid_expire(command)
    assert r(command, "k", "-1", "v") == invalid_expire(command)
    assert r(command, "k", str(MAX), "v") == invalid_expire(command)
    assert r(command, "k", "x", "v") == NOT_AN_INTEGER


def test_getdel_returns_and_removes(r):
    r("SET k v")
    assert r("GETDEL k") == b"v"
    assert r("GETDEL k") is None
    assert r("EXISTS k") == 0


def test_getex_changes_only_the_time_to_live(r):
    r("SET k v")
    assert r("GETEX k") == b"v"
    assert r("TTL k") == -1
    assert r("GETEX k EX 100") == b"v"
    assert 90 < r("TTL k") <= 100
    assert r("GETEX k") == b"v"
    assert 90 < r("TTL k") <= 100
    assert r("GETEX k PX 200000") == b"v"
    assert 190 < r("TTL k") <= 200
    assert r("GETEX k EXAT 9999999999") == b"v"
    assert r("EXPIRETIME k") == 9999999999
    assert r("GETEX k PERSIST") == b"v"
    assert r("TTL k") == -1
    assert r("GETEX k PXAT 1") == b"v"
    assert r("EXISTS k") == 0
    assert r("GETEX k EX 10") is None


@pytest.mark.parametrize("options", ["PERSIST EX 10", "EX 10 PX 10", "KEEPTTL", "NX", "EX", "PERSIST PERSIST x"])
def test_getex_refuses_options_that_contradict_each_other(r, options):
    r("SET k v")
    assert r(f"GETEX k {options}") == SYNTAX_ERROR


def test_getex_refuses_times_out_of_range(r):
    r("SET k v")
    assert r("GETEX k EX 0") == invalid_expire("getex")
    assert r("GETEX k PX -5") == invalid_expire("getex")


# ---- Counters -------------------------------------------------------------------------------------------


def test_counters_count(r):
    assert r("INCR n") == 1
    assert r("INCRBY n 10") == 11
    assert r("DECR n") == 10
    assert r("DECRBY n 20") == -10
    assert r("GET n") == b"-10"
    assert r("STRLEN n") == 3


def test_counters_keep_the_time_to_live(r):
    r("SET n 1 EX 100")
    r("INCR n")
    assert 90 < r("TTL n") <= 100


@pytest.mark.parametrize("value", ["a", "", "1.0", " 1", "1 ", "+1", "01", "0x1", "9223372036854775808", "1\0"])
def test_counters_refuse_values_that_are_no_integers(r, value):
    r("SET", "n", value)
    for command in ["INCR n", "DECR n", "INCRBY n 1", "DECRBY n 1"]:
        assert r(command) == NOT_AN_INTEGER
    assert r("GET n") == value.encode()


@pytest.mark.parametrize("by", ["a", "", "1.5", "9223372036854775808", " 1"])
def test_counters_refuse_steps_that_are_no_integers(r, by):
    assert r("INCRBY", "n", by) == NOT_AN_INTEGER
    assert r("DECRBY", "n", by) == NOT_AN_INTEGER
    assert r("EXISTS n") == 0


def test_counters_do_not_overflow(r):
    r("SET", "n", MAX)
    assert r("INCR n") == OVERFLOW
    assert r("INCRBY n 1") == OVERFLOW
    assert r("DECRBY n -1") == OVERFLOW
    assert r("INCRBY", "n", MIN) == -1
    r("SET", "n", MIN)
    assert r("DECR n") == OVERFLOW
    assert r("INCRBY n -1") == OVERFLOW
    assert r("INCRBY", "n", MAX) == -1
    r("SET n 0")
    assert r("DECRBY", "n", MIN) == Error("ERR decrement would overflow")


def test_incrbyfloat_adds_without_noise(r):
    assert r("INCRBYFLOAT f 10.5") == b"10.5"
    assert r("INCRBYFLOAT f 0.1") == b"10.6"
    assert r("INCRBYFLOAT f -5") == b"5.6"
    r("SET f 5.0e3")
    assert r("INCRBYFLOAT f 2.0e2") == b"5200"
    r("SET f 3.0")
    assert r("INCRBYFLOAT f 1.000000000000000005") == b"4.00000000000000001"
    r("SET f 0")
    assert r("INCRBYFLOAT f 1e20") == b"100000000000000000000"


@pytest.mark.parametrize("value", ["abc", " 1", "1 ", "", "1,5", "0x", "nan"])
def test_incrbyfloat_refuses_what_is_no_number(r, value):
    assert r("INCRBYFLOAT", "f", value) == NOT_A_FLOAT
    r("SET", "g", value)
    assert r("INCRBYFLOAT g 1") == NOT_A_FLOAT


def test_incrbyfloat_refuses_infinity(r):
    assert r("INCRBYFLOAT f inf") == Error("ERR increment would produce NaN or Infinity")
    assert r("INCRBYFLOAT f -inf") == Error("ERR increment would produce NaN or Infinity")


# ---- Parts of strings -----------------------------------------------------------------------------------


def test_append_grows_and_returns_the_length(r):
    assert r("APPEND k Hello") == 5
    assert r("APPEND", "k", " World") == 11
    assert r("GET k") == b"Hello World"
    assert r("APPEND", "k", "") == 11
    r("SET n 10")
    assert r("APPEND n 5") == 3
    assert r("INCR n") == 106


def test_append_through_all_sizes(r):
    expected = b""
    for step in range(120):
        piece = bytes([65 + step % 26]) * (step * 7)
        expected += piece
        assert r("APPEND", "k", piece) == len(expected)
    assert r("GET k") == expected


def test_append_keeps_the_time_to_live(r):
    r("SET k v EX 100")
    r("APPEND", "k", b"w" * 20000)
    assert 90 < r("TTL k") <= 100


def test_setrange_overwrites_and_pads_with_zeros(r):
    assert r("SETRANGE k 0 Hello") == 5
    assert r("SETRANGE k 3 XYZ") == 6
    assert r("GET k") == b"HelXYZ"
    assert r("SETRANGE k 9 end") == 12
    assert r("GET k") == b"HelXYZ\0\0\0end"
    assert r("SETRANGE", "new", "3", "") == 0
    assert r("EXISTS new") == 0
    r("SET n 12345")
    assert r("SETRANGE n 1 9") == 5
    assert r("GET n") == b"19345"
    assert r("SETRANGE", "k", "20000", "far") == 20003
    assert r("GETRANGE k 12 19999") == b"\0" * (20000 - 12)


def test_setrange_refuses_offsets_out_of_range(r):
    assert r("SETRANGE k -1 v") == Error("ERR offset is out of range")
    assert r("SETRANGE k 536870912 v") == TOO_LONG
    assert r("SETRANGE", "k", MAX, "v") == TOO_LONG
    assert r("SETRANGE k x v") == NOT_AN_INTEGER
    assert r("EXISTS k") == 0


@pytest.mark.parametrize("first, last, expected", [
    (0, 3, b"This"), (0, -1, b"This is a string"), (-3, -1, b"ing"), (10, 100, b"string"), (5, 4, b""), (-1, -5, b""),
    (100, 200, b""), (-100, 3, b"This"), (-100, -90, b"T"), (0, 0, b"T"), (MIN, MAX, b"This is a string")])
def test_getrange_counts_from_both_ends(r, first, last, expected):
    r("SET", "k", "This is a string")
    assert r("GETRANGE", "k", first, last) == expected
    assert r("SUBSTR", "k", first, last) == expected
    r("SET k 12345")
    assert r("GETRANGE k 1 -2") == b"234"
    assert r("GETRANGE missing 0 -1") == b""


# ---- Many keys ------------------------------------------------------------------------------------------


def test_mset_and_mget(r):
    assert r("MSET a 1 b 2 c 3") == "OK"
    assert r("MGET a b missing c a") == [b"1", b"2", None, b"3", b"1"]
    assert r("MSET a x a y") == "OK"
    assert r("GET a") == b"y"
    assert r("MSET a 1 b") == wrong_arity("mset")
    assert r("MGET") == wrong_arity("mget")


def test_mset_drops_times_to_live(r):
    r("SET a 1 EX 100")
    r("MSET a 2 b 3")
    assert r("TTL a") == -1


def test_msetnx_sets_all_or_nothing(r):
    assert r("MSETNX a 1 b 2") == 1
    assert r("MSETNX b 3 c 4") == 0
    assert r("EXISTS c") == 0
    assert r("MSETNX c 1 c 2") == 1
    assert r("GET c") == b"2"
    assert r("MSETNX a 1 b") == wrong_arity("msetnx")


def test_mget_of_thousands(r):
    count = 500 if is_slow_build() else 5000
    pairs = [word for i in range(count) for word in (f"key:{i}", f"value:{i}")]
    assert r("MSET", *pairs) == "OK"
    assert r("MGET", *pairs[::2]) == [value.encode() for value in pairs[1::2]]
    assert r("DBSIZE") == count


# ---- LCS ------------------------------------------------------------------------------------------------


def test_lcs(r, r3):
    r("MSET a ohmytext b mynewtext")
    assert r("LCS a b") == b"mytext"
    assert r("LCS a b LEN") == 6
    assert r("LCS a b IDX") == [b"matches", [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], b"len", 6]
    assert r("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN") == [b"matches", [[[4, 7], [5, 8], 4]], b"len", 6]
    assert r3("LCS a b IDX MINMATCHLEN 4") == {b"matches": [[[4, 7], [5, 8]]], b"len": 6}
    assert r("LCS a missing") == b""
    assert r("LCS a missing LEN") == 0
    assert r("LCS a b LEN IDX") == Error(
        "ERR If you want both the length and indexes, please just use IDX.")
    assert r("LCS a b FOO") == SYNTAX_ERROR
    assert r("LCS a b IDX MINMATCHLEN x") == NOT_AN_INTEGER


# ---- Encodings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, encoding", [
    ("1", b"int"), (str(MAX), b"int"), (str(MIN), b"int"), ("9223372036854775808", b"embstr"),
    ("a" * 44, b"embstr"), ("a" * 45, b"raw"), ("", b"embstr"), ("01", b"embstr"), ("-0", b"embstr")])
def test_object_encoding_names_are_those_of_redis(r, value, encoding):
    r("SET", "k", value)
    assert r("OBJECT ENCODING k") == encoding


# ---- Arity ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command, lowest, highest", [
    ("append", 2, 2), ("decr", 1, 1), ("decrby", 2, 2), ("get", 1, 1), ("getdel", 1, 1), ("getex", 1, None),
    ("getrange", 3, 3), ("getset", 2, 2), ("incr", 1, 1), ("incrby", 2, 2), ("incrbyfloat", 2, 2), ("lcs", 2, None),
    ("mget", 1, None), ("mset", 2, None), ("msetnx", 2, None), ("psetex", 3, 3), ("set", 2, None), ("setex", 3, 3),
    ("setnx", 2, 2), ("setrange", 3, 3), ("strlen", 1, 1), ("substr", 3, 3)])
def test_wrong_numbers_of_arguments_are_refused(r, command, lowest, highest):
    for count in range(lowest):
        assert r(command.upper(), *["x"] * count) == wrong_arity(command)
    if highest is not None:
        assert r(command.title(), *["1"] * (highest + 1)) == wrong_arity(command)
