"""HyperLogLogs: PFADD, PFCOUNT, PFMERGE, PFDEBUG and PFSELFTEST, sparse and dense."""
import re

import pytest

from harness.errors import WRONGTYPE, wrong_arity
from harness.resp import Error

pytestmark = pytest.mark.core

NOT_A_HYPERLOGLOG = Error("WRONGTYPE Key is not a valid HyperLogLog string value.")
CORRUPTED = Error("INVALIDOBJ Corrupted HLL object detected")

STALE = b"\0" * 7 + b"\x80"
SPARSE = b"HYLL\x01\0\0\0" + STALE
DENSE = b"HYLL\0\0\0\0" + STALE
ALL_ZERO = b"\x7f\xff"


def numbers(first, last):
    return [str(number) for number in range(first, last)]


def encoded(text):
    """The operations of a sparse value from the form in which PFDEBUG DECODE shows them."""
    result = b""
    for kind, first, span in re.findall(r"([zZv]):(\d+),?(\d*)", text):
        if kind == "v":
            result += bytes([0x80 | int(first) - 1 << 2 | int(span) - 1])
        else:
            result += (int(first) - 1 | (0x4000 if kind == "Z" else 0)).to_bytes(2 if kind == "Z" else 1, "big")
    return result


@pytest.fixture(params=["sparse", "dense"])
def encoding(request, config):
    """Both encodings: with a limit of 0 the first element makes a value dense."""
    if request.param == "dense":
        config(hll_sparse_max_bytes="0")
    return request.param


# ---- PFADD and PFCOUNT ----------------------------------------------------------------------------------


def test_pfadd_tells_whether_the_estimate_may_have_changed(r, encoding):
    assert r("PFADD k a b c") == 1
    assert r("PFDEBUG ENCODING k") == encoding
    assert r("PFADD k a") == 0
    assert r("PFADD k c b a") == 0
    assert r("PFADD k a d") == 1
    assert r("PFCOUNT k") == 4


def test_pfadd_without_elements_makes_an_empty_one(r):
    assert r("PFADD k") == 1
    assert r("PFADD k") == 0
    assert r("PFCOUNT k") == 0
    assert r("GET k") == SPARSE[:8] + bytes(8) + ALL_ZERO
    assert r("TYPE k") == "string"


def test_elements_are_bytes_of_any_kind(r):
    elements = [b"", b"\0", b"\0\0", b"a" * 8, b"a" * 9, b"\xff" * 100]
    assert r("PFADD", "k", *elements) == 1
    assert r("PFCOUNT k") == len(elements)
    assert r("PFADD", "k", *reversed(elements)) == 0


@pytest.mark.parametrize("count, estimate", [(1, 1), (10, 10), (100, 100), (1000, 1001), (10000, 9987), (50000, 50354)])
def test_estimates_are_those_of_redis(r, encoding, count, estimate):
    for first in range(0, count, 5000):
        r("PFADD", "k", *numbers(first, min(first + 5000, count)))
    assert r("PFCOUNT k") == estimate


def test_pfcount_of_nothing(r):
    assert r("PFCOUNT k") == 0
    assert r("PFCOUNT k other") == 0
    assert r("EXISTS k other") == 0


def test_pfcount_of_several_keys_counts_each_element_once(r, encoding):
    r("PFADD", "a", *numbers(0, 60))
    r("PFADD", "b", *numbers(40, 100))
    r("PFADD", "c", *numbers(0, 100))
    assert r("PFCOUNT a b missing") == r("PFCOUNT c")
    assert r("PFCOUNT a a") == r("PFCOUNT a")
    assert r("PFCOUNT a b") > r("PFCOUNT a")


def test_pfcount_keeps_the_count_in_the_value(r, encoding):
    r("PFADD k a b c")
    assert r("GETRANGE k 8 15") == STALE
    assert r("PFCOUNT k k") == 3
    assert r("GETRANGE k 8 15") == STALE
    assert r("PFCOUNT k") == 3
    assert r("GETRANGE k 8 15") == b"\x03" + bytes(7)
    r("PFADD k a")
    assert r("GETRANGE k 8 15") == b"\x03" + bytes(7)
    r("PFADD k d")
    assert r("GETRANGE k 8 15") == b"\x03" + bytes(6) + b"\x80"
    assert r("PFCOUNT k") == 4


def test_pfcount_believes_a_count_that_is_not_stale(r):
    r("SET", "k", SPARSE[:8] + b"\x2a" + bytes(7) + ALL_ZERO)
    assert r("PFCOUNT k") == 42
    assert r("PFCOUNT k k") == 0


def test_changes_keep_the_time_to_live(r, encoding):
    r("PFADD k a")
    r("EXPIRE k 1000")
    r("PFADD k b")
    r("PFCOUNT k")
    r("PFMERGE k k")
    assert 990 < r("TTL k") <= 1000


# ---- Sparse and dense -----------------------------------------------------------------------------------


def test_a_value_becomes_dense_when_it_outgrows_the_limit(r, config):
    config(hll_sparse_max_bytes="100")
    added = 0
    r("PFADD k")
    while r("PFDEBUG ENCODING k") == "sparse":
        assert r("STRLEN k") <= 100
        r("PFADD", "k", str(added))
        added += 1
        assert added < 100
    assert r("STRLEN k") == 12304
    assert r("PFCOUNT k") == added


def test_both_encodings_have_the_same_registers(r):
    r("PFADD", "sparse", *numbers(0, 300))
    r("COPY sparse dense")
    assert r("PFDEBUG TODENSE dense") == 1
    assert r("PFDEBUG TODENSE dense") == 0
    assert r("PFCOUNT sparse") == r("PFCOUNT dense") == r("PFCOUNT sparse dense")
    r("PFADD", "sparse", *numbers(300, 400))
    r("PFADD", "dense", *numbers(300, 400))
    assert r("PFDEBUG ENCODING sparse") == "sparse"
    assert r("PFCOUNT sparse") == r("PFCOUNT dense")
    assert r("PFDEBUG GETREG sparse") == r("PFDEBUG GETREG dense")


def test_sparse_bytes_are_those_of_redis(r):
    r("PFADD k a")
    assert r("GET k") == SPARSE + b"\x71\xa6\x84\x4e\x57"
    r("PFADD k b c")
    assert r("PFDEBUG DECODE k") == b"Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603"


@pytest.mark.parametrize("before, after", [
    ("Z:12710 v:2,1 z:1 v:2,1 Z:3671", "Z:12710 v:2,3 Z:3671"),
    ("Z:12708 v:2,3 z:1 v:2,1 Z:3671", "Z:12708 v:2,4 v:2,1 Z:3671"),
    ("Z:12707 v:2,4 z:1 v:3,1 Z:3671", "Z:12707 v:2,4 v:2,1 v:3,1 Z:3671"),
    ("Z:12710 v:1,3 Z:3671", "Z:12710 v:1,1 v:2,1 v:1,1 Z:3671"),
    ("Z:12650 z:62 Z:3672", "Z:12650 z:61 v:2,1 Z:3672"),
])
def test_a_raised_register_joins_its_neighbours(r, before, after):
    r("SET", "k", SPARSE + encoded(before))
    assert r("PFDEBUG DECODE k") == before.encode()
    assert r("PFADD k a") == 1  # raises register 12711 to 2
    assert r("PFDEBUG DECODE k") == after.encode()


def test_a_copy_does_not_change_with_its_origin(r, encoding):
    r("PFADD k a")
    before = r("GET k")
    r("COPY k copy")
    r("PFADD k b c d")
    assert r("GET copy") == before
    r("PFADD copy b c d")
    assert r("GET copy") == r("GET k")


# ---- PFMERGE --------------------------------------------------------------------------------------------


def test_pfmerge_keeps_what_the_destination_has(r, encoding):
    r("PFADD d a b")
    r("PFADD s b c")
    assert r("PFMERGE d s missing") == "OK"
    assert r("PFCOUNT d") == 3
    assert r("PFCOUNT s") == 2
    assert r("PFDEBUG ENCODING d") == encoding


def test_pfmerge_makes_its_destination(r):
    assert r("PFMERGE d") == "OK"
    assert r("PFCOUNT d") == 0
    assert r("PFMERGE e missing") == "OK"
    assert r("PFDEBUG ENCODING e") == "sparse"


def test_pfmerge_is_dense_when_a_source_is(r):
    r("PFADD sparse a")
    r("PFADD dense b")
    r("PFDEBUG TODENSE dense")
    r("PFMERGE d sparse sparse")
    assert r("PFDEBUG ENCODING d") == "sparse"
    r("PFMERGE d dense")
    assert r("PFDEBUG ENCODING d") == "dense"
    r("PFMERGE dense sparse")
    assert r("PFCOUNT dense") == r("PFCOUNT d") == 2


def test_pfmerge_of_large_sparse_ones_becomes_dense(r):
    r("PFADD", "a", *numbers(0, 900))
    r("PFADD", "b", *numbers(10000, 10900))
    assert r("PFDEBUG ENCODING a") == r("PFDEBUG ENCODING b") == "sparse"
    r("PFMERGE d a b")
    assert r("PFDEBUG ENCODING d") == "dense"
    assert r("PFCOUNT d") == r("PFCOUNT a b")


# ---- Who is told ----------------------------------------------------------------------------------------


def test_watched_keys_change_when_their_bytes_do(r, connect):
    other = connect()
    for command, changes in [("PFADD k a", False), ("PFCOUNT k", True), ("PFCOUNT k", False), ("PFCOUNT k k", False),
                             ("PFADD k b", True), ("PFMERGE k", True)]:
        if not r("EXISTS k"):
            r("PFADD k a")
        r("WATCH k")
        other(*command.split())
        r("MULTI")
        r("PING")
        assert r("EXEC") == (None if changes else ["PONG"]), command


def test_events(r, connect, config):
    config(notify_keyspace_events="KEA")
    listener = connect()
    listener("SUBSCRIBE __keyspace@0__:k")
    for command in ("PFADD k a", "PFADD k a", "PFCOUNT k", "PFMERGE k", "SET k x"):
        r(command)
    events = [listener.read()[2] for _ in range(3)]
    assert events == [b"pfadd", b"pfadd", b"set"]


def test_a_value_that_was_set_becomes_raw_once_it_is_used(r):
    for command in ("PFADD k", "PFCOUNT k"):
        r("SET", "k", SPARSE[:8] + bytes(8) + ALL_ZERO)
        assert r("OBJECT ENCODING k") == b"embstr"
        assert r(command) == 0
        assert r("OBJECT ENCODING k") == b"raw"


# ---- Other values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"", b"abc", b"12345", b"1234567890123456789", b"HYLL", b"HYLL\x01" + bytes(10),
                                   b"HYLL\x02" + bytes(20), b"hyll\x01" + bytes(20), DENSE, DENSE + bytes(12287),
                                   DENSE + bytes(12289), b"HYLL\xff" + bytes(12299)])
def test_other_strings_are_refused(r, value):
    r("SET", "k", value)
    r("PFADD good a")
    for command in ("PFADD k a", "PFADD k", "PFCOUNT k", "PFCOUNT good k", "PFMERGE k good", "PFMERGE good k",
                    "PFDEBUG ENCODING k"):
        assert r(command) == NOT_A_HYPERLOGLOG, command
    assert r("GET k") == value


def test_other_types_are_refused(r):
    r("LPUSH k a")
    r("PFADD good a")
    for command in ("PFADD k a", "PFCOUNT k", "PFCOUNT good k", "PFMERGE k good", "PFMERGE good k",
                    "PFDEBUG DECODE k"):
        assert r(command) == WRONGTYPE, command


@pytest.mark.parametrize("operations", [b"", b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f\xff\x80", b"\x00", b"\xff" * 4095,
                                        b"\xff" * 4097, b"\x7f\xff" * 2])
def test_corrupted_sparse_values_are_refused(r, operations):
    r("SET", "k", SPARSE + operations)
    r("PFADD good a")
    for command in ("PFCOUNT k", "PFCOUNT good k", "PFMERGE good k", "PFMERGE k good", "PFDEBUG TODENSE k",
                    "PFDEBUG GETREG k"):
        assert r(command) == CORRUPTED, command
    assert r("GET k") == SPARSE + operations


def test_pfadd_finds_that_a_register_is_missing(r):
    r("SET", "k", SPARSE + b"\x3f")
    assert r("PFADD k") == 0
    assert r("PFADD k a") == CORRUPTED
    assert r("GET k") == SPARSE + b"\x3f"


def test_registers_that_no_hash_gives(r):
    r("SET", "k", DENSE + b"\xff" * 12288)
    assert r("PFADD k a") == 0
    assert r("PFCOUNT k") == -(1 << 63)
    assert r("PFDEBUG GETREG k") == [63] * 16384


@pytest.mark.skua_only("Redis reads a byte past the value")
@pytest.mark.parametrize("operations", [b"\x7f", b"\x3f\x7f", b"\x7f\xff" * 20000])
def test_cut_off_and_endless_values_are_refused(r, operations):
    r("SET", "k", SPARSE + operations)
    assert r("PFCOUNT k") == CORRUPTED
    assert r("PFMERGE k") == CORRUPTED
    assert r("PFDEBUG TODENSE k") == CORRUPTED


@pytest.mark.skua_only("Redis keeps what came before the fault")
def test_a_refused_pfadd_changes_nothing(r):
    r("SET", "k", SPARSE + b"\x7f\x00")  # 16129 registers
    before = r("GET k")
    assert r("PFADD", "k", *numbers(0, 1000)) == CORRUPTED
    assert r("GET k") == before


# ---- PFDEBUG and PFSELFTEST -----------------------------------------------------------------------------


def test_pfdebug_refuses(r):
    assert r("PFDEBUG GETREG k") == Error("ERR The specified key does not exist")
    assert r("PFDEBUG FOO k") == Error("ERR The specified key does not exist")
    r("PFADD k a")
    assert r("PFDEBUG FOO k") == Error("ERR Unknown PFDEBUG subcommand 'FOO'")
    r("PFDEBUG TODENSE k")
    assert r("PFDEBUG DECODE k") == Error("ERR HLL encoding is not sparse")


def test_pfdebug_getreg_makes_a_value_dense(r):
    r("PFADD k a")
    registers = r("PFDEBUG getreg k")
    assert len(registers) == 16384
    assert {index: value for index, value in enumerate(registers) if value} == {12711: 2}
    assert r("PFDEBUG ENCODING k") == "dense"


@pytest.mark.once
def test_pfselftest(r):
    assert r("PFSELFTEST") == "OK"


@pytest.mark.parametrize("command, words", [("pfadd", ""), ("pfcount", ""), ("pfmerge", ""), ("pfdebug", "getreg"),
                                            ("pfdebug", "getreg k k"), ("pfselftest", "x")])
def test_numbers_of_arguments(r, command, words):
    assert r(command, *words.split()) == wrong_arity(command)
